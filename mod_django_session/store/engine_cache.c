/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See engine_cache.h.
 */
#include "engine_cache.h"

#include <string.h>

typedef struct engine_cache_t {
    djs_engine_t engine;
    djs_cache_t *cache;
    const char *key_prefix;
} engine_cache_t;

static djs_cache_t *cache_of(djs_engine_t *engine)
{
    return ((engine_cache_t *)engine->data)->cache;
}

static const char *whole_key(djs_engine_t *engine, djs_ctx_t *ctx, const char *key)
{
    return apr_pstrcat(ctx->pool, ((engine_cache_t *)engine->data)->key_prefix, key, NULL);
}

/* Whole seconds from now on, rounded down, as get_expiry_age() counts them. */
static apr_int64_t life_of(const djs_ctx_t *ctx, const djs_record_t *record)
{
    apr_interval_time_t span = record->expires - ctx->now;

    return span >= 0 ? span / APR_USEC_PER_SEC
                     : -((-span + APR_USEC_PER_SEC - 1) / APR_USEC_PER_SEC);
}

static apr_status_t load(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                         djs_record_t *found)
{
    djs_cache_t *cache = cache_of(engine);

    memset(found, 0, sizeof(*found));
    return cache->ops->get(cache, ctx, whole_key(engine, ctx, key), &found->data, &found->expires);
}

static apr_status_t create(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                           const djs_record_t *record)
{
    djs_cache_t *cache = cache_of(engine);

    return cache->ops->add(cache, ctx, whole_key(engine, ctx, key), record->data,
                           life_of(ctx, record));
}

static apr_status_t replace(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                            const djs_record_t *seen, const djs_record_t *record)
{
    djs_cache_t *cache = cache_of(engine);
    const char *whole = whole_key(engine, ctx, key);

    if (seen == NULL) {
        return cache->ops->overwrite(cache, ctx, whole, record->data, life_of(ctx, record));
    }
    return cache->ops->swap(cache, ctx, whole, seen->data, record->data, life_of(ctx, record));
}

static apr_status_t delete_key(djs_engine_t *engine, djs_ctx_t *ctx, const char *key)
{
    djs_cache_t *cache = cache_of(engine);

    return cache->ops->remove(cache, ctx, whole_key(engine, ctx, key));
}

static apr_status_t exists(djs_engine_t *engine, djs_ctx_t *ctx, const char *key, int *found)
{
    djs_record_t record;
    apr_status_t rv = load(engine, ctx, key, &record);

    *found = rv == APR_SUCCESS;
    return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
}

/* Most caches do that themselves. */
static apr_status_t clear_expired(djs_engine_t *engine, djs_ctx_t *ctx, apr_size_t *removed)
{
    djs_cache_t *cache = cache_of(engine);

    *removed = 0;
    return cache->ops->clear_expired != NULL ? cache->ops->clear_expired(cache, ctx, removed)
                                             : APR_SUCCESS;
}

/* Both engines may share a cache, and Django's names are such that cached_db's keys begin as ours do. */
static int is_of_cached_db(const char *key)
{
    const char *rest = &DJS_ENGINE_CACHED_DB_PREFIX[sizeof(DJS_ENGINE_CACHE_PREFIX) - 1];

    return strncmp(key, rest, strlen(rest)) == 0;
}

typedef struct listing_t {
    apr_size_t prefix_len;
    djs_list_fn each;
    void *baton;
} listing_t;

static apr_status_t list_one(void *baton, djs_ctx_t *ctx, const char *key, djs_bytes_t value,
                             apr_time_t expires)
{
    const listing_t *listing = baton;
    djs_listed_t listed = { .key = key + listing->prefix_len,
                            .record = { .data = value, .expires = expires } };

    return is_of_cached_db(listed.key) ? APR_SUCCESS : listing->each(listing->baton, ctx, &listed);
}

static apr_status_t list(djs_engine_t *engine, djs_ctx_t *ctx, djs_list_fn each, void *baton)
{
    djs_cache_t *cache = cache_of(engine);
    const char *prefix = whole_key(engine, ctx, "");
    listing_t listing = { strlen(prefix), each, baton };

    return cache->ops->list(cache, ctx, prefix, list_one, &listing);
}

static apr_status_t check(djs_engine_t *engine, djs_ctx_t *ctx,
                          void (*say)(void *baton, int ok, const char *what), void *baton)
{
    djs_cache_t *cache = cache_of(engine);

    return cache->ops->check != NULL ? cache->ops->check(cache, ctx, say, baton) : APR_SUCCESS;
}

#define OPS                                                                                        \
    .name = "cache", .load = load, .create = create, .replace = replace, .remove = delete_key,     \
    .exists = exists, .clear_expired = clear_expired, .check = check

static const djs_engine_ops_t ops = { OPS };
static const djs_engine_ops_t listing_ops = { OPS, .list = list };

djs_engine_t *djs_engine_cache_make(apr_pool_t *pool, djs_cache_t *cache, const char *key_prefix)
{
    engine_cache_t *made = apr_pcalloc(pool, sizeof(*made));

    made->engine.ops = cache->ops->list != NULL ? &listing_ops : &ops;
    made->engine.data = made;
    made->cache = cache;
    made->key_prefix = key_prefix;
    return &made->engine;
}
