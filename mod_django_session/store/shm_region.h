/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A region of shared memory: shards (shm_table.h) behind a header, in memory that children inherit,
 * or in a file that others can map, too, and that is still there after a restart.
 *
 * A file is not believed but for what its header says and its checksum confirms; it must be ours: a
 * regular file with one name, mode 0600, of the server's user or of the one it runs as. Whoever maps
 * it holds a shared flock() on it as long. Who finds itself alone with it makes the locks anew, since
 * those in the file may be held by processes of before the last boot, and goes through all of it, so
 * that only whole entries stay. A file that cannot be used is not changed: another takes its name.
 * Only for local file systems.
 *
 * Sessions are in it in clear, as in a table of the database. It is left out of core dumps.
 */
#ifndef DJS_SHM_REGION_H
#define DJS_SHM_REGION_H

#include <apr_user.h>

#include "../core/cache_url.h"
#include "shm_table.h"

#define DJS_SHM_SIZE_MIN APR_INT64_C(1048576)
/* 1 TiB, or what the machine can address. */
#define DJS_SHM_SIZE_MAX (APR_INT64_C(1) << (APR_SIZEOF_VOIDP == 8 ? 40 : 30))

/** Which region. */
typedef struct djs_shm_id_t {
    const char *name; /* may be empty */
    apr_size_t size;  /* of memory: a multiple of 4 KiB */
    const char *file; /* NULL: none; else absolute */
} djs_shm_id_t;

/*
 * One that this process has mapped. It lives as long as the process, longer than the code that made
 * it when httpd loads the module anew: nothing in it points to code or constants.
 */
typedef struct djs_shm_region_t {
    struct djs_shm_region_t *next; /* in the list of cache_shm.c */
    djs_shm_id_t id;
    int wanted; /* by the current configuration */
    int fd;     /* -1: no file */
    char *memory;
    apr_uint64_t *warned; /* [2], shared: in which minute each warning was given last */
    apr_uint32_t shard_mask;
    djs_shm_table_t *shards;
    apr_uint64_t seed[2];
} djs_shm_region_t;

/** How a region is called in messages. */
const char *djs_shm_region_label(apr_pool_t *pool, const djs_shm_id_t *id);

/**
 * Which region a configuration means. Borrows its texts.
 * DJS_EINVAL: the size or the path of the file makes no sense here.
 */
apr_status_t djs_shm_region_id(djs_ctx_t *ctx, const djs_cache_conf_t *conf,
                               djs_shm_id_t *id) DJS_MUST_CHECK;

/**
 * Make one, or map the file if there is one that fits; else the file is started anew, and a warning
 * says why.
 *
 * @param user, group  whose the file is to be if this process is root's; (apr_uid_t)-1: as it is
 * @return APR_SUCCESS; DJS_EINVAL: something else has the file's name, or a number makes no sense;
 *         DJS_ESTORE: the system refuses
 */
apr_status_t djs_shm_region_make(djs_ctx_t *ctx, const djs_shm_id_t *id, apr_uid_t user,
                                 apr_gid_t group, djs_shm_region_t **region) DJS_MUST_CHECK;

/** Map a file that is there and fits. DJS_ESTORE: it is not, or does not. */
apr_status_t djs_shm_region_attach(djs_ctx_t *ctx, const djs_shm_id_t *id,
                                   djs_shm_region_t **region) DJS_MUST_CHECK;

/** Unmap and forget; others that have it mapped keep it. */
void djs_shm_region_close(djs_shm_region_t *region);

#endif
