/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See caches.h.
 */
#include "caches.h"

/* What configure was told to leave out. */
#ifdef DJS_WITHOUT_MEMCACHED
#define djs_cache_memcached_open NULL
#endif
#ifdef DJS_WITHOUT_REDIS
#define djs_cache_redis_open NULL
#endif

static const struct {
    apr_status_t (*open)(djs_ctx_t *ctx, apr_pool_t *pool, const djs_cache_conf_t *conf,
                         djs_cache_t **cache);
    const char *name, *option;
} caches[] = {
    [DJS_CACHE_MEMCACHED] = { djs_cache_memcached_open, "memcached", "--without-libmemcached" },
    [DJS_CACHE_REDIS] = { djs_cache_redis_open, "Redis", "--without-hiredis" },
    [DJS_CACHE_SHM] = { djs_cache_shm_open, "shared memory", "" },
};

apr_status_t djs_caches_open(djs_ctx_t *ctx, apr_pool_t *pool, const djs_cache_conf_t *conf,
                             djs_cache_t **cache)
{
    if (caches[conf->scheme].open == NULL) {
        return djs_fail(ctx, DJS_EUNSUPPORTED,
                        "DjangoSessionCache: this program was built without %s (configure %s)",
                        caches[conf->scheme].name, caches[conf->scheme].option);
    }
    return caches[conf->scheme].open(ctx, pool, conf, cache);
}
