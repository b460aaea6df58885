/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cache: memcached, Redis or shared memory behind one table of functions. Engines cache and
 * cached_db stand on it; it knows nothing of sessions, keys are whole cache keys, values opaque bytes.
 *
 * A cache may lose what it holds at any time: a miss is no failure, and no promise that it was never
 * there. Every call returns within ctx->patience and the cache's own timeout=, takes from ctx->patience
 * what it used, and fails at once while the server is known to be down (clients.h). Failures never
 * quote a key, a value or a password. Every function may be called by many threads at the same time.
 */
#ifndef DJS_CACHE_H
#define DJS_CACHE_H

#include "../core/djs.h"

typedef struct djs_cache_ops_t djs_cache_ops_t;

typedef struct djs_cache_t {
    const djs_cache_ops_t *ops;
    void *data; /* the cache's own */
} djs_cache_t;

/** Called for each entry of a listing; anything but APR_SUCCESS ends it and is its result. */
typedef apr_status_t (*djs_cache_list_fn)(void *baton, djs_ctx_t *ctx, const char *key,
                                          djs_bytes_t value, apr_time_t expires);

/*
 * life is in whole seconds, as the engine hands get_expiry_age() to Django's caches; each cache does
 * with it what Django's backend does (spec 7.3): 0 and less is dead at once.
 */
struct djs_cache_ops_t {
    const char *name; /* "memcached", "redis", "shm": for messages */

    /** APR_SUCCESS and @a value in ctx->pool; @a expires: 0 when the cache does not tell.
        APR_NOTFOUND; DJS_ESTORE: no answer. */
    apr_status_t (*get)(djs_cache_t *cache, djs_ctx_t *ctx, const char *key, djs_bytes_t *value,
                        apr_time_t *expires);
    /** Only where nothing is. APR_EEXIST: something is; DJS_ESTORE; DJS_ELIMIT: larger than the
        cache takes. */
    apr_status_t (*add)(djs_cache_t *cache, djs_ctx_t *ctx, const char *key, djs_bytes_t value,
                        apr_int64_t life);
    /** Whatever is there. DJS_ESTORE; DJS_ELIMIT. */
    apr_status_t (*set)(djs_cache_t *cache, djs_ctx_t *ctx, const char *key, djs_bytes_t value,
                        apr_int64_t life);
    /** Only where @a seen is (bytes equal), in one atomic step. DJS_ECONFLICT: something else is;
        APR_NOTFOUND: nothing is, and nothing was made; DJS_ESTORE: not known; DJS_ELIMIT. */
    apr_status_t (*swap)(djs_cache_t *cache, djs_ctx_t *ctx, const char *key, djs_bytes_t seen,
                         djs_bytes_t value, apr_int64_t life);
    /** As set, but only where something is. APR_NOTFOUND; DJS_ESTORE; DJS_ELIMIT. */
    apr_status_t (*overwrite)(djs_cache_t *cache, djs_ctx_t *ctx, const char *key,
                              djs_bytes_t value, apr_int64_t life);
    /** APR_SUCCESS: it is not there any more; DJS_ESTORE. */
    apr_status_t (*remove)(djs_cache_t *cache, djs_ctx_t *ctx, const char *key);
    /** All live entries whose key begins with @a prefix. NULL: this cache cannot list. */
    apr_status_t (*list)(djs_cache_t *cache, djs_ctx_t *ctx, const char *prefix,
                         djs_cache_list_fn each, void *baton);
    /** Is it there, and fit for use? As the member of the same name in djs_engine.h. */
    apr_status_t (*check)(djs_cache_t *cache, djs_ctx_t *ctx,
                          void (*say)(void *baton, int ok, const char *what), void *baton);
    /** Remove what has expired, in steps that keep no lock for long; @a removed counts. NULL: this
        cache does so by itself. */
    apr_status_t (*clear_expired)(djs_cache_t *cache, djs_ctx_t *ctx, apr_size_t *removed);
};

#endif
