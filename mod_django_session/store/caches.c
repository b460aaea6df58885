/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See caches.h.
 */
#include "caches.h"

static apr_status_t (*const openers[])(djs_ctx_t *ctx, apr_pool_t *pool,
                                       const djs_cache_conf_t *conf, djs_cache_t **cache) = {
    [DJS_CACHE_MEMCACHED] = djs_cache_memcached_open,
    [DJS_CACHE_REDIS] = djs_cache_redis_open,
    [DJS_CACHE_SHM] = djs_cache_shm_open,
};

apr_status_t djs_caches_open(djs_ctx_t *ctx, apr_pool_t *pool, const djs_cache_conf_t *conf,
                             djs_cache_t **cache)
{
    return openers[conf->scheme](ctx, pool, conf, cache);
}
