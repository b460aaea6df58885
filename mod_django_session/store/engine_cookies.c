/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engines signed_cookies and encrypted_cookies: nothing is stored. A session's key is the session
 * itself, signed or sealed by the site's wire, and the browser keeps it.
 *
 * What little there is to do is here; that each save makes a new key, and that a text is accepted for
 * the cookie's age from when it was made, is in core/session.c. As in Django no key is known to exist
 * and nothing can be removed: a copy of a cookie stays valid until it is too old, after a logout, too.
 */
#include "stores.h"

#include <string.h>

static apr_status_t cookies_load(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                                 djs_record_t *found)
{
    (void)engine;
    memset(found, 0, sizeof(*found));
    found->data = djs_bytes_copy(ctx->pool, djs_bytes(key));
    return APR_SUCCESS;
}

static apr_status_t fail_nowhere(djs_engine_t *engine, djs_ctx_t *ctx)
{
    return djs_fail(ctx, DJS_EUNSUPPORTED, "engine %s keeps nothing under a key of somebody's "
                    "choice: the key is the session", engine->ops->name);
}

static apr_status_t cookies_create(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                                   const djs_record_t *record)
{
    (void)key;
    (void)record;
    return fail_nowhere(engine, ctx);
}

static apr_status_t cookies_replace(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                                    const djs_record_t *seen, const djs_record_t *record)
{
    (void)key;
    (void)seen;
    (void)record;
    return fail_nowhere(engine, ctx);
}

static apr_status_t cookies_remove(djs_engine_t *engine, djs_ctx_t *ctx, const char *key)
{
    (void)engine;
    (void)ctx;
    (void)key;
    return APR_SUCCESS;
}

static apr_status_t cookies_exists(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                                   int *found)
{
    (void)engine;
    (void)ctx;
    (void)key;
    *found = 0;
    return APR_SUCCESS;
}

static apr_status_t cookies_clear_expired(djs_engine_t *engine, djs_ctx_t *ctx,
                                          apr_size_t *removed)
{
    (void)engine;
    (void)ctx;
    *removed = 0;
    return APR_SUCCESS;
}

static apr_status_t cookies_check(djs_engine_t *engine, djs_ctx_t *ctx,
                                  void (*say)(void *baton, int ok, const char *what), void *baton)
{
    say(baton, 1, apr_psprintf(ctx->pool, "engine %s needs no store: sessions are in their cookies",
                               engine->ops->name));
    return APR_SUCCESS;
}

#define COOKIE_ENGINE(engine_name)          \
    {                                       \
        .name = engine_name,                \
        .flags = DJS_ENGINE_STATELESS,      \
        .load = cookies_load,               \
        .create = cookies_create,           \
        .replace = cookies_replace,         \
        .remove = cookies_remove,           \
        .exists = cookies_exists,           \
        .clear_expired = cookies_clear_expired, \
        .check = cookies_check              \
    }

static const djs_engine_ops_t signed_ops = COOKIE_ENGINE("signed_cookies");
static const djs_engine_ops_t encrypted_ops = COOKIE_ENGINE("encrypted_cookies");

djs_engine_t *djs_engine_cookies_make(apr_pool_t *pool, djs_wire_layout_t layout)
{
    djs_engine_t *engine = apr_pcalloc(pool, sizeof(*engine));

    engine->ops = layout == DJS_WIRE_SEALED ? &encrypted_ops : &signed_ops;
    return engine;
}
