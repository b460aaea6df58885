/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caches that there are: each scheme of DjangoSessionCache and how it is opened.
 */
#ifndef DJS_CACHES_H
#define DJS_CACHES_H

#include "../core/cache_url.h"
#include "cache.h"

/**
 * Open the cache that @a conf names. Nothing is asked of a server yet: it may be down. Called before
 * children of the server are forked; each has its own connections.
 *
 * @param conf  must live as long as @a pool
 * @return DJS_EINVAL: cannot work as configured; DJS_EUNSUPPORTED: this build has no such cache
 */
apr_status_t djs_caches_open(djs_ctx_t *ctx, apr_pool_t *pool, const djs_cache_conf_t *conf,
                             djs_cache_t **cache) DJS_MUST_CHECK;

/* One for each scheme; the same contract. */
apr_status_t djs_cache_memcached_open(djs_ctx_t *ctx, apr_pool_t *pool,
                                      const djs_cache_conf_t *conf,
                                      djs_cache_t **cache) DJS_MUST_CHECK;
apr_status_t djs_cache_redis_open(djs_ctx_t *ctx, apr_pool_t *pool, const djs_cache_conf_t *conf,
                                  djs_cache_t **cache) DJS_MUST_CHECK;
apr_status_t djs_cache_shm_open(djs_ctx_t *ctx, apr_pool_t *pool, const djs_cache_conf_t *conf,
                                djs_cache_t **cache) DJS_MUST_CHECK;

#endif
