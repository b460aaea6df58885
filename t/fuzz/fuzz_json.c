/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON: what is read is written, and read again the same, from text as from nodes; pickles keep it.
 */
#include "fuzz.h"
#include "json.h"
#include "pickle.h"

static void load(djs_ctx_t *ctx, djs_bytes_t text, void *baton)
{
    djs_value_t *value;

    if (djs_json_loads(ctx, *(djs_json_charset_t *)baton, text, &value) == APR_SUCCESS) {
        look_everywhere(value);
    }
}

static void check_round_trip(djs_ctx_t *ctx, djs_json_charset_t charset, djs_bytes_t bytes)
{
    djs_value_t *value, *back;
    djs_bytes_t text, again;

    FUZZ_CHECK(fuzz_memory(load, bytes, &charset) <=
               DJS_JSON_MEMORY_FACTOR * bytes.len + DJS_JSON_MEMORY_BASE);
    if (djs_json_loads(ctx, charset, bytes, &value) != APR_SUCCESS) {
        FUZZ_CHECK(ctx->problem != NULL);
        djs_forget(ctx);
        return;
    }
    text = djs_json_dumps(ctx, DJS_JSON_COMPACT, value);
    FUZZ_CHECK(djs_json_loads(ctx, DJS_JSON_LATIN1, text, &back) == APR_SUCCESS);
    FUZZ_CHECK(djs_value_same(value, back)); /* which looks into all of both */
    FUZZ_CHECK(djs_json_dumps_exactly(ctx, value, &again) == APR_SUCCESS);
    FUZZ_CHECK(djs_bytes_equal(text, again));
    FUZZ_CHECK(djs_pickle_dumps(ctx, DJS_PICKLE_PROTOCOL, value, &text) == APR_SUCCESS);
    FUZZ_CHECK(djs_pickle_loads(ctx, text, &back) == APR_SUCCESS);
    FUZZ_CHECK(djs_value_same(value, back));
}

void fuzz_one(djs_ctx_t *ctx, djs_bytes_t bytes)
{
    check_round_trip(ctx, DJS_JSON_UTF8, bytes);
    check_round_trip(ctx, DJS_JSON_LATIN1, bytes);
}
