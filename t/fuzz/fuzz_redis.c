/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Redis server says. The first byte chooses what we ask for, the second one how we are
 * configured; the rest is the script of the server (peer.h): RESP, by hiredis, and all that is made of
 * it.
 */
#include "replies.h"

enum { WITH_PASSWORD = 1, WITH_USER = 2, WITH_DATABASE = 4, LIFE_IS_OVER = 8, LAYOUT_SHIFT = 4 };

static const struct {
    const char *format;
    djs_wire_layout_t layout;
} formats[] = {
    { "format=redis", DJS_WIRE_PICKLE },
    { "format=django-redis", DJS_WIRE_DJANGO_REDIS },
    { "format=django-redis-json", DJS_WIRE_DJANGO_REDIS_JSON },
};

void fuzz_one(djs_ctx_t *ctx, djs_bytes_t bytes)
{
    static const char *const nothing[] = { "$-1", "*-1", "_", NULL };
    const char *argv[5] = { NULL };
    unsigned int how, format;

    if (bytes.len < 2) {
        return;
    }
    how = (unsigned char)bytes.data[1];
    format = (how >> LAYOUT_SHIFT) % 3;
    argv[0] = apr_pstrcat(ctx->pool, "redis+unix://",
                          how & WITH_PASSWORD ? how & WITH_USER ? "ann:" FUZZ_PASSWORD "@"
                                                                : ":" FUZZ_PASSWORD "@" : "",
                          PEER_PATH, how & WITH_DATABASE ? "?db=3" : "", NULL);
    argv[1] = formats[format].format;
    argv[2] = "prefix=fuzz";
    argv[3] = "timeout=60s";
    fuzz_cache(ctx, argv, djs_bytes_of(bytes.data + 2, bytes.len - 2), NULL,
               (unsigned char)bytes.data[0] % FUZZ_OPERATIONS, formats[format].layout,
               how & LIFE_IS_OVER ? 0 : 60, nothing);
}
