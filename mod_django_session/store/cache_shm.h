/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache in shared memory: for one host, with nothing installed.
 *
 * Regions (shm_region.h) belong to the process, not to a configuration. The server makes those that
 * its configuration names before it has children, which inherit them; read anew, the configuration
 * finds them again, with all that is in them, by name, size and file. What no one names any more goes.
 * A cache finds its region when it is first used; other processes (djsession) can reach only regions
 * with a file, which they map then, and never make.
 *
 * What is used least recently goes first when there is no room, per shard of some 8 MiB: with keys
 * spread evenly, that is close to the order of the whole.
 */
#ifndef DJS_CACHE_SHM_H
#define DJS_CACHE_SHM_H

#include "caches.h"
#include "shm_region.h"

/* djs_cache_shm_open(), which touches no memory yet, is in caches.h. */

/* ---- For the host ---------------------------------------------------------------------------- */

/**
 * A configuration begins. Regions live as long as @a process, the pool of the process: also while
 * the code of this library is unloaded and loaded again. To be called before the following.
 */
void djs_cache_shm_keep(apr_pool_t *process);

/**
 * The configuration names this region: make it, unless it is there. @a user and @a group as for
 * djs_shm_region_make(). DJS_EINVAL: the configuration names another one with the same name or file.
 */
apr_status_t djs_cache_shm_make(djs_ctx_t *ctx, const djs_cache_conf_t *conf, apr_uid_t user,
                                apr_gid_t group) DJS_MUST_CHECK;

/** The configuration is through: what it did not name goes, and a warning says so. */
void djs_cache_shm_sweep(djs_ctx_t *ctx);

/** How full a region is, and what it has counted since it was made or last opened alone. */
typedef struct djs_cache_shm_stats_t {
    const djs_shm_id_t *id;
    djs_shm_counts_t counts;
} djs_cache_shm_stats_t;

/** Each region of this process. Anything but APR_SUCCESS ends it and is its result. */
apr_status_t djs_cache_shm_each(djs_ctx_t *ctx,
                                apr_status_t (*each)(void *baton, djs_ctx_t *ctx,
                                                     const djs_cache_shm_stats_t *stats),
                                void *baton) DJS_MUST_CHECK;

/* ---- For tests and tools --------------------------------------------------------------------- */

/** The region of a cache. */
apr_status_t djs_cache_shm_region(djs_ctx_t *ctx, djs_cache_t *cache,
                                  djs_shm_region_t **region) DJS_MUST_CHECK;

/** The sums of all shards. */
apr_status_t djs_cache_shm_count(djs_ctx_t *ctx, djs_cache_t *cache,
                                 djs_shm_counts_t *counts) DJS_MUST_CHECK;

/** As djs_shm_table_verify(), every shard. */
apr_status_t djs_cache_shm_verify(djs_ctx_t *ctx, djs_cache_t *cache,
                                  const char **why) DJS_MUST_CHECK;

#endif
