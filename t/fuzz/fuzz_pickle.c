/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pickles: what is read is written in each protocol and read again the same; JSON and the comparison
 * take whatever comes of it. A plain one, whose values are made when they are asked for, is what the
 * reader makes all at once.
 */
#include "fuzz.h"
#include "json.h"
#include "pickle_read_impl.h"

static void load(djs_ctx_t *ctx, djs_bytes_t pickle, void *baton)
{
    djs_value_t *value;

    (void)baton;
    if (djs_pickle_loads(ctx, pickle, &value) == APR_SUCCESS) {
        look_everywhere(value);
    }
}

static void check_written(djs_ctx_t *ctx, const djs_value_t *value, djs_bytes_t expected)
{
    djs_bytes_t pickle;

    FUZZ_CHECK(djs_pickle_dumps(ctx, DJS_PICKLE_PROTOCOL, value, &pickle) == APR_SUCCESS);
    FUZZ_CHECK(djs_bytes_equal(pickle, expected));
}

static void check_scan(djs_ctx_t *ctx, djs_bytes_t bytes)
{
    djs_value_t *plain = djs_pr_scan(ctx, bytes), *value;
    apr_uint32_t chance = (apr_uint32_t)bytes.len;
    djs_bytes_t pickle;

    FUZZ_CHECK(ctx->problem == NULL);
    if (plain == NULL) {
        return;
    }
    FUZZ_CHECK(djs_pr_read(ctx, bytes, &value) == APR_SUCCESS);
    FUZZ_CHECK(djs_pickle_dumps(ctx, DJS_PICKLE_PROTOCOL, value, &pickle) == APR_SUCCESS);
    check_written(ctx, plain, pickle);
    FUZZ_CHECK(djs_value_same(plain, value));
    plain = djs_pr_scan(ctx, bytes);
    look_around(plain, &chance);
    check_written(ctx, plain, pickle);
}

void fuzz_one(djs_ctx_t *ctx, djs_bytes_t bytes)
{
    djs_value_t *value, *back;
    djs_bytes_t pickle, again, json;
    int protocol;

    FUZZ_CHECK(fuzz_memory(load, bytes, NULL) <=
               DJS_PICKLE_MEMORY_FACTOR * bytes.len + DJS_PICKLE_MEMORY_BASE);
    check_scan(ctx, bytes);
    if (djs_pickle_loads(ctx, bytes, &value) != APR_SUCCESS) {
        FUZZ_CHECK(ctx->problem != NULL);
        return;
    }
    for (protocol = 2; protocol <= DJS_PICKLE_PROTOCOL_MAX; protocol++) {
        FUZZ_CHECK(djs_pickle_dumps(ctx, protocol, value, &pickle) == APR_SUCCESS);
        FUZZ_CHECK(djs_pickle_loads(ctx, pickle, &back) == APR_SUCCESS);
        FUZZ_CHECK(djs_value_same(value, back));
        FUZZ_CHECK(djs_pickle_dumps(ctx, protocol, back, &again) == APR_SUCCESS);
        FUZZ_CHECK(djs_bytes_equal(pickle, again));
    }
    (void)djs_value_truthy(value);
    (void)djs_value_equal(value, back);
    if (djs_json_dumps_exactly(ctx, value, &json) == APR_SUCCESS) {
        FUZZ_CHECK(djs_json_loads(ctx, DJS_JSON_UTF8, json, &back) == APR_SUCCESS ||
                   bytes.len > DJS_JSON_DEPTH_MAX);
    }
    json = djs_json_dumps(ctx, DJS_JSON_SPACED, value);
    FUZZ_CHECK(djs_json_loads(ctx, DJS_JSON_UTF8, json, &back) == APR_SUCCESS ||
               bytes.len > DJS_JSON_DEPTH_MAX);
}
