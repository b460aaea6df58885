/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool and a context around each input; what several targets check.
 */
#include "fuzz.h"
#include "encode.h"

#include <stdio.h>
#include <stdlib.h>

#include <apr_general.h>

void fuzz_check(int holds, const char *what, const char *file, int line)
{
    if (!holds) {
        fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
        abort();
    }
}

apr_size_t fuzz_memory(measured_fn run, djs_bytes_t bytes, void *baton)
{
    const int before = fuzz_pools_apart(0);
    const apr_size_t taken = measure_memory(run, bytes, baton);

    (void)fuzz_pools_apart(before);
    return taken;
}

apr_size_t fuzz_unpacked_max(apr_size_t len)
{
    return len < DJS_INFLATE_MAX / 1032 ? 1032 * len : DJS_INFLATE_MAX;
}

static void read_stored(djs_ctx_t *ctx, djs_bytes_t stored, void *baton)
{
    djs_value_t *value;

    if (djs_wire_inspect(ctx, baton, stored, &value, NULL) == APR_SUCCESS) {
        look_everywhere(value);
    }
}

int fuzz_stored(djs_ctx_t *ctx, const djs_wire_t *wire, djs_bytes_t stored, apr_size_t inside)
{
    djs_wire_facts_t facts = { 0 }, again_facts;
    djs_value_t *value, *back;
    djs_bytes_t again;

    FUZZ_CHECK(fuzz_memory(read_stored, stored, (void *)wire) <=
               DJS_WIRE_MEMORY_FACTOR * (stored.len + inside) + DJS_WIRE_MEMORY_BASE);
    if (djs_wire_inspect(ctx, wire, stored, &value, &facts) != APR_SUCCESS) {
        FUZZ_CHECK(ctx->problem != NULL);
        djs_forget(ctx);
        return 0;
    }
    FUZZ_CHECK(ctx->problem == NULL);
    FUZZ_CHECK(djs_wire_write(ctx, wire, value, &again) == APR_SUCCESS);
    FUZZ_CHECK(djs_wire_inspect(ctx, wire, again, &back, &again_facts) == APR_SUCCESS);
    FUZZ_CHECK(djs_value_same(value, back));
    FUZZ_CHECK(again_facts.key_index == facts.key_index);
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int ready;
    djs_ctx_t ctx = { 0 };

    if (!ready) {
        ready = apr_initialize() == APR_SUCCESS;
    }
    FUZZ_CHECK(apr_pool_create(&ctx.pool, NULL) == APR_SUCCESS);
    ctx.now = APR_INT64_C(1735689600) * APR_USEC_PER_SEC;
    (void)fuzz_pools_apart(1);
    fuzz_one(&ctx, djs_bytes_of((const char *)data, size));
    apr_pool_destroy(ctx.pool);
    (void)fuzz_pools_apart(0);
    fuzz_pools_free();
    return 0;
}
