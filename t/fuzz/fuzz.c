/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool and a context around each input.
 */
#include "fuzz.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int ready;
    djs_ctx_t ctx = { 0 };

    if (!ready) {
        ready = apr_initialize() == APR_SUCCESS;
    }
    FUZZ_CHECK(apr_pool_create(&ctx.pool, NULL) == APR_SUCCESS);
    ctx.now = APR_INT64_C(1735689600) * APR_USEC_PER_SEC;
    fuzz_one(&ctx, djs_bytes_of((const char *)data, size));
    apr_pool_destroy(ctx.pool);
    return 0;
}
