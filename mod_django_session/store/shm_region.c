/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See shm_region.h. A region is
 *
 *     page 0    the header: what the rest is laid out by, and a checksum of that
 *     shards    each on a page boundary, all of one size
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_NOFOLLOW, flock, MADV_DONTDUMP */
#endif
#include "shm_region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#include "secret.h"
#include "shm_table_impl.h"

#define PAGE ((apr_size_t)4096)
/* As many shards as leave each of them at least this; a power of two. */
#define SHARD_MIN  ((apr_size_t)8 * 1024 * 1024)
#define SHARDS_MAX 4096u

#define LAYOUT 2 /* of the header and of all in shm_table_impl.h: count up with each change */

static const char magic[8] = { 'D', 'J', 'S', 'S', 'H', 'M', '\r', '\n' };

/* The parts of it that say how all is laid out come first, the checksum of them next. */
typedef struct header_t {
    char magic[8];
    apr_uint32_t layout;
    apr_uint32_t byte_order;
    apr_uint32_t lock_size;  /* other programs' locks may be others */
    apr_uint32_t state_size;
    apr_uint64_t size;
    apr_uint32_t shards;
    apr_uint32_t blocks;
    apr_uint64_t seed[2];
    apr_uint32_t crc;
    apr_uint32_t unused;
    apr_uint64_t warned[2];
} header_t;

static apr_uint32_t header_crc(const header_t *header)
{
    return (apr_uint32_t)crc32(0, (const Bytef *)header, offsetof(header_t, crc));
}

static apr_uint32_t shards_of(apr_size_t size)
{
    apr_uint32_t shards = 1;

    while (shards < SHARDS_MAX && size / SHARD_MIN >= (apr_size_t)shards * 2) {
        shards *= 2;
    }
    return shards;
}

static apr_size_t shard_size(apr_size_t size)
{
    return (size - PAGE) / shards_of(size) & ~(PAGE - 1);
}

/* The header of a region of this size; but for the seed and the checksum. */
static header_t plan(apr_size_t size)
{
    header_t header;

    memset(&header, 0, sizeof(header));
    memcpy(header.magic, magic, sizeof(magic));
    header.layout = LAYOUT;
    header.byte_order = 0x01020304;
    header.lock_size = sizeof(pthread_mutex_t);
    header.state_size = sizeof(shm_state_t);
    header.size = size;
    header.shards = shards_of(size);
    header.blocks = djs_shm_table_fit(shard_size(size));
    return header;
}

const char *djs_shm_region_label(apr_pool_t *pool, const djs_shm_id_t *id)
{
    return apr_psprintf(pool, "shared memory shm://%s", id->name);
}

/* ---- In this process ------------------------------------------------------------------------- */

void djs_shm_region_close(djs_shm_region_t *region)
{
    if (region->memory != NULL) {
        munmap(region->memory, region->id.size);
    }
    if (region->fd >= 0) {
        close(region->fd);
    }
    free((char *)region->id.name);
    free((char *)region->id.file);
    free(region->shards);
    free(region);
}

/* Not from a pool: it outlives the configuration. */
static djs_shm_region_t *allocate(const djs_shm_id_t *id)
{
    djs_shm_region_t *region = calloc(1, sizeof(*region));

    if (region == NULL) {
        return NULL;
    }
    region->fd = -1;
    region->id.size = id->size;
    region->id.name = strdup(id->name);
    region->id.file = id->file != NULL ? strdup(id->file) : NULL;
    region->shards = calloc(shards_of(id->size), sizeof(*region->shards));
    if (region->id.name == NULL || (id->file != NULL && region->id.file == NULL)
        || region->shards == NULL) {
        djs_shm_region_close(region);
        return NULL;
    }
    return region;
}

static apr_status_t map(djs_ctx_t *ctx, djs_shm_region_t *region)
{
    int flags = MAP_SHARED | (region->fd < 0 ? MAP_ANONYMOUS : 0);
    void *memory = mmap(NULL, region->id.size, PROT_READ | PROT_WRITE, flags, region->fd, 0);

    if (memory == MAP_FAILED) {
        return djs_fail(ctx, DJS_ESTORE, "%s: %" APR_SIZE_T_FMT " bytes are not to be had: %s",
                        djs_shm_region_label(ctx->pool, &region->id), region->id.size,
                        strerror(errno));
    }
    region->memory = memory;
    region->warned = ((header_t *)memory)->warned;
#ifdef MADV_DONTDUMP
    (void)madvise(memory, region->id.size, MADV_DONTDUMP);
#endif
    return APR_SUCCESS;
}

/* See the shards; the header is written and right. */
static void view(djs_shm_region_t *region)
{
    header_t header = plan(region->id.size);
    apr_uint32_t i;

    memcpy(region->seed, ((const header_t *)(const void *)region->memory)->seed,
           sizeof(region->seed));
    region->shard_mask = header.shards - 1;
    for (i = 0; i < header.shards; i++) {
        djs_shm_table_view(&region->shards[i],
                           region->memory + PAGE + i * shard_size(region->id.size), header.blocks,
                           region->seed);
    }
}

static apr_status_t begin(djs_ctx_t *ctx, djs_shm_region_t *region, int fresh)
{
    apr_status_t rv = APR_SUCCESS;
    apr_uint32_t i;

    for (i = 0; i <= region->shard_mask && rv == APR_SUCCESS; i++) {
        rv = djs_shm_table_begin(ctx, &region->shards[i], fresh);
    }
    return rv;
}

/* Of memory that is all zero. */
static apr_status_t make_empty(djs_ctx_t *ctx, djs_shm_region_t *region)
{
    header_t header = plan(region->id.size);
    apr_status_t rv = djs_random(ctx, header.seed, sizeof(header.seed));

    if (rv == APR_SUCCESS) {
        rv = map(ctx, region);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    header.crc = header_crc(&header);
    memcpy(region->memory, &header, sizeof(header));
    view(region);
    return begin(ctx, region, 1);
}

/* ---- Files ----------------------------------------------------------------------------------- */

#define TRY_EVERY APR_TIME_C(10000)

/* What is to be done with a file that is there. */
typedef struct opened_t {
    int fd;
    int making;      /* by a server, which makes another if this one is unfit */
    int alone;       /* nobody else has it */
    const char *why; /* NULL, or why it cannot be used: "has another size" */
} opened_t;

static apr_status_t cannot(djs_ctx_t *ctx, const djs_shm_id_t *id, const char *what)
{
    return djs_fail(ctx, DJS_ESTORE, "%s: file %s cannot be %s: %s",
                    djs_shm_region_label(ctx->pool, id), id->file, what, strerror(errno));
}

/* A lock that others hold for moments only. */
static apr_status_t lock_file(djs_ctx_t *ctx, const djs_shm_id_t *id, int fd)
{
    while (flock(fd, LOCK_SH | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return cannot(ctx, id, "locked");
        }
        if (ctx->patience <= 0) {
            return djs_fail(ctx, DJS_ESTORE, "%s: another process does not let go of file %s",
                            djs_shm_region_label(ctx->pool, id), id->file);
        }
        apr_sleep(TRY_EVERY);
        ctx->patience -= TRY_EVERY;
    }
    return APR_SUCCESS;
}

/* NULL, or why what the file's inode says makes it unfit. @a user: whose it may be beside ours. */
static const char *judge_inode(const struct stat *found, apr_size_t size, apr_uid_t user)
{
    if (found->st_uid != geteuid() && found->st_uid != user) {
        return "belongs to somebody else";
    }
    if (found->st_nlink != 1) {
        return "has another name, too";
    }
    if ((found->st_mode & 077) != 0) {
        return "can be read or written by others than its owner";
    }
    return (apr_uint64_t)found->st_size == size ? NULL : "has another size";
}

static const char *judge_header(int fd, apr_size_t size)
{
    header_t expected = plan(size);
    header_t header;

    if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header)
        || memcmp(header.magic, magic, sizeof(magic)) != 0) {
        return "is no shared memory of this module";
    }
    if (header.layout != LAYOUT) {
        return "was made by another version of this module";
    }
    if (header.crc != header_crc(&header)) {
        return "is damaged";
    }
    memcpy(expected.seed, header.seed, sizeof(expected.seed));
    return header.crc == header_crc(&expected) ? NULL : "was made by another kind of program";
}

static int still_has_name(const djs_shm_id_t *id, const struct stat *found)
{
    struct stat named;

    return lstat(id->file, &named) == 0 && named.st_dev == found->st_dev
           && named.st_ino == found->st_ino;
}

/* Under a lock, and judged. APR_NOTFOUND: there is none. APR_EAGAIN: it was replaced meanwhile. */
static apr_status_t try_file(djs_ctx_t *ctx, const djs_shm_id_t *id, apr_uid_t user,
                             opened_t *opened)
{
    struct stat found;
    apr_status_t rv;

    opened->fd = open(id->file, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (opened->fd < 0) {
        return errno == ENOENT ? APR_NOTFOUND : cannot(ctx, id, "opened");
    }
    if (fstat(opened->fd, &found) != 0) {
        return cannot(ctx, id, "looked at");
    }
    if (!S_ISREG(found.st_mode)) {
        return djs_fail(ctx, DJS_EINVAL, "%s: %s is no file",
                        djs_shm_region_label(ctx->pool, id), id->file);
    }
    opened->alone = flock(opened->fd, LOCK_EX | LOCK_NB) == 0;
    rv = opened->alone ? APR_SUCCESS : lock_file(ctx, id, opened->fd);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (!still_has_name(id, &found)) {
        return APR_EAGAIN;
    }
    /* Only for who makes files is a stranger's one unfit: the administrator may look at any. */
    opened->why = judge_inode(&found, id->size, opened->making ? user : found.st_uid);
    if (opened->why == NULL) {
        opened->why = judge_header(opened->fd, id->size);
    }
    return APR_SUCCESS;
}

static apr_status_t open_file(djs_ctx_t *ctx, const djs_shm_id_t *id, int making, apr_uid_t user,
                              opened_t *opened)
{
    apr_status_t rv = APR_EAGAIN;
    int tries;

    for (tries = 0; rv == APR_EAGAIN && tries < 100; tries++) {
        memset(opened, 0, sizeof(*opened));
        opened->making = making;
        rv = try_file(ctx, id, user, opened);
        if (rv != APR_SUCCESS && opened->fd >= 0) {
            close(opened->fd);
        }
    }
    return rv == APR_EAGAIN ? cannot(ctx, id, "opened before it is replaced") : rv;
}

static apr_uint64_t damaged_in(const djs_shm_region_t *region)
{
    apr_uint64_t damaged = 0;
    apr_uint32_t i;

    for (i = 0; i <= region->shard_mask; i++) {
        damaged += region->shards[i].state->counts.damaged;
    }
    return damaged;
}

/* Nobody else has the file, and nobody comes before this is done. */
static apr_status_t begin_alone(djs_ctx_t *ctx, djs_shm_region_t *region)
{
    apr_status_t rv = begin(ctx, region, 0);

    if (rv == APR_SUCCESS && damaged_in(region) > 0) {
        djs_warn(ctx, "%s: %" APR_UINT64_T_FMT " sessions of file %s were damaged and are gone",
                 djs_shm_region_label(ctx->pool, &region->id), damaged_in(region),
                 region->id.file);
    }
    return rv;
}

/* What was opened is the region's already. */
static apr_status_t use_file(djs_ctx_t *ctx, djs_shm_region_t *region, const opened_t *opened)
{
    apr_status_t rv = map(ctx, region);
    if (rv == APR_SUCCESS) {
        view(region);
    }
    if (rv == APR_SUCCESS && opened->alone) {
        rv = begin_alone(ctx, region);
    }
    return rv == APR_SUCCESS ? lock_file(ctx, &region->id, region->fd) : rv;
}

static apr_status_t give_to(djs_ctx_t *ctx, const djs_shm_id_t *id, int fd, apr_uid_t user,
                            apr_gid_t group)
{
    if (geteuid() != 0 || user == (apr_uid_t)-1 || fchown(fd, user, group) == 0) {
        return APR_SUCCESS;
    }
    return cannot(ctx, id, "given to the server's user");
}

/* Make all of it be there: a full disk shows now, not as a signal later. */
static apr_status_t reserve(djs_ctx_t *ctx, const djs_shm_region_t *region)
{
    errno = posix_fallocate(region->fd, 0, (off_t)region->id.size);
    return errno == 0 ? APR_SUCCESS : cannot(ctx, &region->id, "made as large as size= says");
}

/* Under a name of its own, then under the right one: what is there is never seen half made. */
static apr_status_t make_file(djs_ctx_t *ctx, djs_shm_region_t *region, apr_uid_t user,
                              apr_gid_t group)
{
    const djs_shm_id_t *id = &region->id;
    const char *draft = apr_psprintf(ctx->pool, "%s.%ld", id->file, (long)getpid());
    apr_status_t rv;

    (void)unlink(draft);
    region->fd = open(draft, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (region->fd < 0) {
        return cannot(ctx, id, "made");
    }
    rv = give_to(ctx, id, region->fd, user, group);
    if (rv == APR_SUCCESS) {
        rv = lock_file(ctx, id, region->fd);
    }
    if (rv == APR_SUCCESS) {
        rv = reserve(ctx, region);
    }
    if (rv == APR_SUCCESS) {
        rv = make_empty(ctx, region);
    }
    if (rv == APR_SUCCESS && rename(draft, id->file) != 0) {
        rv = cannot(ctx, id, "given its name");
    }
    if (rv != APR_SUCCESS) {
        (void)unlink(draft);
    }
    return rv;
}

/* The file as it is, if it can be used; else a new one. */
static apr_status_t use_or_make_file(djs_ctx_t *ctx, djs_shm_region_t *region, apr_uid_t user,
                                     apr_gid_t group)
{
    opened_t opened;
    apr_status_t rv = open_file(ctx, &region->id, 1, user, &opened);

    if (rv == APR_SUCCESS && opened.why == NULL) {
        region->fd = opened.fd;
        rv = give_to(ctx, &region->id, opened.fd, user, group);
        return rv == APR_SUCCESS ? use_file(ctx, region, &opened) : rv;
    }
    if (rv == APR_SUCCESS) {
        djs_warn(ctx, "%s: file %s %s and is started anew, without sessions",
                 djs_shm_region_label(ctx->pool, &region->id), region->id.file, opened.why);
        rv = make_file(ctx, region, user, group);
        close(opened.fd); /* not before: who holds it is not alone */
        return rv;
    }
    return rv == APR_NOTFOUND ? make_file(ctx, region, user, group) : rv;
}

/* ---- Regions --------------------------------------------------------------------------------- */

apr_status_t djs_shm_region_id(djs_ctx_t *ctx, const djs_cache_conf_t *conf, djs_shm_id_t *id)
{
    if (conf->shm_size < DJS_SHM_SIZE_MIN || conf->shm_size > DJS_SHM_SIZE_MAX) {
        return djs_fail(ctx, DJS_EINVAL, "shared memory shm://%s: size= of %" APR_INT64_T_FMT
                        " bytes; here it is from %" APR_INT64_T_FMT "m to %" APR_INT64_T_FMT "m",
                        conf->shm_name, conf->shm_size, DJS_SHM_SIZE_MIN >> 20,
                        DJS_SHM_SIZE_MAX >> 20);
    }
    if (conf->shm_file != NULL && conf->shm_file[0] != '/') {
        return djs_fail(ctx, DJS_EINVAL, "shared memory shm://%s: file=%s is no absolute path",
                        conf->shm_name, conf->shm_file);
    }
    id->name = conf->shm_name;
    id->size = ((apr_size_t)conf->shm_size + PAGE - 1) & ~(PAGE - 1);
    id->file = conf->shm_file;
    return APR_SUCCESS;
}

static apr_status_t begin_region(djs_ctx_t *ctx, const djs_shm_id_t *id, djs_shm_region_t **region)
{
    *region = allocate(id);
    return *region != NULL ? APR_SUCCESS : djs_fail(ctx, DJS_ESTORE, "out of memory");
}

apr_status_t djs_shm_region_make(djs_ctx_t *ctx, const djs_shm_id_t *id, apr_uid_t user,
                                 apr_gid_t group, djs_shm_region_t **region)
{
    djs_shm_region_t *made = NULL;
    apr_status_t rv = begin_region(ctx, id, &made);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = id->file != NULL ? use_or_make_file(ctx, made, user, group) : make_empty(ctx, made);
    if (rv != APR_SUCCESS) {
        djs_shm_region_close(made);
        return rv;
    }
    *region = made;
    return APR_SUCCESS;
}

static apr_status_t attach_file(djs_ctx_t *ctx, djs_shm_region_t *region)
{
    opened_t opened;
    apr_status_t rv = open_file(ctx, &region->id, 0, (apr_uid_t)-1, &opened);

    if (rv == APR_NOTFOUND) {
        return djs_fail(ctx, DJS_ESTORE, "%s: file %s is not there: httpd makes it at its start",
                        djs_shm_region_label(ctx->pool, &region->id), region->id.file);
    }
    if (rv == APR_SUCCESS && opened.why != NULL) {
        close(opened.fd);
        return djs_fail(ctx, DJS_ESTORE, "%s: file %s %s",
                        djs_shm_region_label(ctx->pool, &region->id), region->id.file, opened.why);
    }
    region->fd = rv == APR_SUCCESS ? opened.fd : -1;
    return rv == APR_SUCCESS ? use_file(ctx, region, &opened) : rv;
}

apr_status_t djs_shm_region_attach(djs_ctx_t *ctx, const djs_shm_id_t *id,
                                   djs_shm_region_t **region)
{
    djs_shm_region_t *made = NULL;
    apr_status_t rv = begin_region(ctx, id, &made);

    if (rv == APR_SUCCESS) {
        rv = attach_file(ctx, made);
    }
    if (rv != APR_SUCCESS) {
        if (made != NULL) {
            djs_shm_region_close(made);
        }
        return rv;
    }
    *region = made;
    return APR_SUCCESS;
}
