/* SPDX-License-Identifier: Apache-2.0 */
#include "users_cache.h"

/*
 * Nobody is to hear of what fails, nor that something had to make room; what it took of the patience
 * is taken.
 */
static djs_ctx_t quiet(const djs_ctx_t *ctx)
{
    djs_ctx_t aside = *ctx;

    aside.host = NULL;
    aside.problem = NULL;
    return aside;
}

/* Whole seconds; an entry tells its own age besides. */
static apr_int64_t seconds(apr_interval_time_t life)
{
    return apr_time_sec(life + APR_USEC_PER_SEC - 1);
}

static int get(void *data, djs_ctx_t *ctx, const char *key, djs_bytes_t *value)
{
    djs_cache_t *cache = data;
    djs_ctx_t aside = quiet(ctx);
    apr_time_t expires;
    apr_status_t rv = cache->ops->get(cache, &aside, key, value, &expires);

    ctx->patience = aside.patience;
    return rv == APR_SUCCESS;
}

static void put(void *data, djs_ctx_t *ctx, const char *key, djs_bytes_t seen, djs_bytes_t value,
                apr_interval_time_t life)
{
    djs_cache_t *cache = data;
    djs_ctx_t aside = quiet(ctx);

    if (seen.data == NULL) {
        (void)cache->ops->add(cache, &aside, key, value, seconds(life));
    }
    else {
        (void)cache->ops->swap(cache, &aside, key, seen, value, seconds(life));
    }
    ctx->patience = aside.patience;
}

static void set(void *data, djs_ctx_t *ctx, const char *key, djs_bytes_t value,
                apr_interval_time_t life)
{
    djs_cache_t *cache = data;
    djs_ctx_t aside = quiet(ctx);

    (void)cache->ops->set(cache, &aside, key, value, seconds(life));
    ctx->patience = aside.patience;
}

const djs_shared_t *djs_users_cache_make(apr_pool_t *pool, djs_cache_t *cache)
{
    djs_shared_t *shared = apr_pcalloc(pool, sizeof(*shared));

    shared->data = cache;
    shared->get = get;
    shared->put = put;
    shared->set = set;
    return shared;
}
