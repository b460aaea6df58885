/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engine file: django.contrib.sessions.backends.file, and what it lacks.
 *
 *     NAME KEY                 a session: SESSION_COOKIE_NAME and key, nothing between. What
 *                              signing.dumps() wrote, mode 0600. Without a byte: one that Django is
 *                              about to write
 *     NAME KEY _out_ XXXXXXXX  one that is being written, by Django or us; no key has a "_"
 *     .mod_django_session.lock ours: byte HASH(NAME KEY) is locked while a session is changed
 *
 * A key is made of a-z and 0-9, so none leads out of the directory. What has a session's name and is
 * no regular file is no session; links are not followed, and nothing is waited for that would only
 * open one day.
 *
 * A session is written as a whole into a temporary file that then takes its name, so that whoever
 * reads it, and whenever a process ends, it is the old or the new one. Nothing is flushed to the
 * disk, as in Django: when the machine itself fails, the last seconds may be lost, but what was
 * half written then has no valid signature.
 *
 * Ours are changed under a lock, compared with what was seen, by all threads and processes that use
 * this engine: an open-file-description lock (flock() where there are none), which ends with its
 * holder however that ends. Django takes no locks. Between our look at its file and our change are
 * two system calls; and where the system can exchange two names at once, what Django removed is not
 * made again, and what it wrote in between is put back.
 */
#include "engine_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_NAME ".mod_django_session.lock"
#define TEMP_MARK "_out_"
#define TEMP_CHANCE 8
#define TEMP_TRIES_MAX 100

/* Of a file's name, on every file system that matters. */
#define NAME_LEN_MAX 255

/* So much is read of a file; one byte more than any session has, so that the wire refuses it. */
#define SIZE_MAX_READ (DJS_SIGNED_TEXT_MAX + 1)

/* Who is to wait for a lock looks again after so long, then twice as long, up to the second. */
#define NAP_MIN 100
#define NAP_MAX 5000

/* Temporary files of this age belong to nobody. */
#define TEMP_AGE apr_time_from_sec(86400)

/* After so many files those who look on are told. */
#define BATCH 100

#define OPEN_FLAGS (O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

typedef struct file_t {
    djs_engine_t engine;
    djs_site_t site; /* by which the age of sessions is judged; no keys, no users */
    const char *directory;
    apr_size_t prefix_len;
} file_t;

/* One operation. */
typedef struct call_t {
    const file_t *file;
    djs_ctx_t *ctx;
    apr_time_t begun;
    int directory;    /* descriptor */
    const char *name; /* of the session's file; NULL: it concerns all */
    int lock;         /* descriptor; -1: none is held */
} call_t;

/* ---- Calls, failures ------------------------------------------------------------------------- */

/* Microseconds of a clock that nobody sets. */
static apr_time_t ticks(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (apr_time_t)now.tv_sec * APR_USEC_PER_SEC + now.tv_nsec / 1000;
}

static apr_interval_time_t time_left(const call_t *call)
{
    return call->ctx->patience - (ticks() - call->begun);
}

static apr_status_t fail(const call_t *call, int error, const char *what)
{
    char text[200];

    return djs_fail(call->ctx, DJS_ESTORE, "DjangoSessionFilePath %s: %s: %s",
                    call->file->directory, what, apr_strerror(error, text, sizeof(text)));
}

static apr_status_t begin(call_t *call, djs_engine_t *engine, djs_ctx_t *ctx, const char *key)
{
    const file_t *file = engine->data;

    call->file = file;
    call->ctx = ctx;
    call->begun = ticks();
    call->lock = -1;
    call->name = key != NULL ? apr_pstrcat(ctx->pool, file->site.settings->cookie_name, key, NULL)
                             : NULL;
    if (ctx->patience <= 0) {
        return djs_fail(ctx, DJS_ESTORE, "DjangoSessionFilePath %s: no time left to look there",
                        file->directory);
    }
    call->directory = open(file->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return call->directory >= 0 ? APR_SUCCESS
                                : fail(call, errno, "the directory cannot be opened");
}

static void unlock(call_t *call)
{
    if (call->lock >= 0) {
        close(call->lock);
        call->lock = -1;
    }
}

/* Only after begin() succeeded. Gives rv back. */
static apr_status_t end(call_t *call, apr_status_t rv)
{
    apr_interval_time_t left = time_left(call);

    unlock(call);
    close(call->directory);
    call->ctx->patience = left > 0 ? left : 0;
    return rv;
}

/* ---- Names ----------------------------------------------------------------------------------- */

static int is_key_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* How many characters of a key begin this text. */
static apr_size_t key_len(const char *text)
{
    apr_size_t len = 0;

    while (is_key_char(text[len])) {
        len++;
    }
    return len;
}

/* Could a file be called so, and a temporary file beside it? */
static int can_be_a_key(const file_t *file, const char *key)
{
    apr_size_t len = key_len(key);

    return len > 0 && key[len] == '\0'
           && file->prefix_len + len + strlen(TEMP_MARK) + TEMP_CHANCE <= NAME_LEN_MAX;
}

/* The key of a session's file; NULL: this is the name of something else. */
static const char *key_of(const file_t *file, const char *name)
{
    if (strncmp(name, file->site.settings->cookie_name, file->prefix_len) != 0
        || !can_be_a_key(file, name + file->prefix_len)) {
        return NULL;
    }
    return name + file->prefix_len;
}

static int is_temporary(const file_t *file, const char *name)
{
    const char *mark = name + file->prefix_len;

    if (strncmp(name, file->site.settings->cookie_name, file->prefix_len) != 0) {
        return 0;
    }
    mark += key_len(mark);
    return strncmp(mark, TEMP_MARK, strlen(TEMP_MARK)) == 0
           && strlen(mark) == strlen(TEMP_MARK) + TEMP_CHANCE;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static apr_time_t instant(const struct timespec *time)
{
    if (time->tv_sec >= DJS_MOMENT_MAX / APR_USEC_PER_SEC) {
        return DJS_MOMENT_MAX;
    }
    if (time->tv_sec < DJS_MOMENT_MIN / APR_USEC_PER_SEC) {
        return DJS_MOMENT_MIN;
    }
    return (apr_time_t)time->tv_sec * APR_USEC_PER_SEC + time->tv_nsec / 1000;
}

/* Is it because there is no session here, but nothing at all, a link, a socket? */
static int means_absent(int error)
{
    return error == ENOENT || error == ELOOP || error == EMLINK || error == ENXIO
           || error == ENODEV;
}

/* APR_NOTFOUND: there is no regular file of this name. */
static apr_status_t open_session(const call_t *call, int *fd, struct stat *info)
{
    *fd = openat(call->directory, call->name, O_RDONLY | OPEN_FLAGS);
    if (*fd < 0) {
        return means_absent(errno) ? APR_NOTFOUND
                                   : fail(call, errno, "a session cannot be opened");
    }
    if (fstat(*fd, info) != 0) {
        apr_status_t rv = fail(call, errno, "a session cannot be opened");

        close(*fd);
        return rv;
    }
    if (!S_ISREG(info->st_mode)) {
        close(*fd);
        return APR_NOTFOUND;
    }
    return APR_SUCCESS;
}

/* All that is in a file, or SIZE_MAX_READ bytes of it; into ctx->pool. */
static apr_status_t read_all(const call_t *call, int fd, apr_size_t size, djs_bytes_t *data)
{
    apr_size_t most = size < SIZE_MAX_READ ? size : SIZE_MAX_READ;
    char *buffer = apr_palloc(call->ctx->pool, most + 1);
    apr_size_t len = 0;

    while (len < most) {
        ssize_t got = read(fd, buffer + len, most - len);

        if (got < 0 && errno != EINTR) {
            return fail(call, errno, "a session cannot be read");
        }
        if (got == 0) {
            break;
        }
        len += got > 0 ? (apr_size_t)got : 0;
    }
    buffer[len] = '\0';
    *data = djs_bytes_of(buffer, len);
    return APR_SUCCESS;
}

/* The record, and which file it is. APR_NOTFOUND; DJS_ESTORE. */
static apr_status_t read_session(const call_t *call, djs_record_t *record, struct stat *info)
{
    int fd;
    apr_status_t rv = open_session(call, &fd, info);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    memset(record, 0, sizeof(*record));
    record->written = instant(&info->st_mtim);
    rv = read_all(call, fd, (apr_size_t)info->st_size, &record->data);
    close(fd);
    return rv;
}

/* ---- The lock -------------------------------------------------------------------------------- */

/* As root, as which djsession may run, what is made belongs to whom it would belong to else. */
static int give_to_owner(const call_t *call, int fd)
{
    struct stat info;

    if (geteuid() != 0) {
        return 0;
    }
    return fstat(call->directory, &info) == 0 ? fchown(fd, info.st_uid, info.st_gid) : -1;
}

/* The lock's file, made if need be; -1: errno tells. */
static int open_lock_file(const call_t *call)
{
    int fd = openat(call->directory, LOCK_NAME, O_RDWR | OPEN_FLAGS);

    if (fd >= 0 || errno != ENOENT) {
        return fd;
    }
    fd = openat(call->directory, LOCK_NAME, O_RDWR | O_CREAT | O_EXCL | OPEN_FLAGS, 0600);
    if (fd < 0 && errno == EEXIST) { /* somebody was faster */
        return openat(call->directory, LOCK_NAME, O_RDWR | OPEN_FLAGS);
    }
    if (fd >= 0 && give_to_owner(call, fd) != 0) {
        int error = errno;

        unlinkat(call->directory, LOCK_NAME, 0);
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

#ifdef F_OFD_SETLK
/* A byte for each name; two names may share one. FNV-1a. */
static off_t byte_of(const char *name)
{
    apr_uint32_t hash = 2166136261u;

    for (; *name != '\0'; name++) {
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    }
    return (off_t)(hash & 0x3fffffff);
}
#endif

/* 0: it is ours; -1: errno tells. */
static int try_lock(int fd, const char *name)
{
#ifdef F_OFD_SETLK
    struct flock range;

    memset(&range, 0, sizeof(range));
    range.l_type = F_WRLCK;
    range.l_whence = SEEK_SET;
    range.l_start = byte_of(name);
    range.l_len = 1;
    return fcntl(fd, F_OFD_SETLK, &range);
#else
    (void)name;
    return flock(fd, LOCK_EX | LOCK_NB);
#endif
}

/* Somebody who tidies up may have removed the file: then its lock keeps nobody out. */
static int is_lock_file(const call_t *call, int fd)
{
    struct stat held, there;

    return fstat(fd, &held) == 0
           && fstatat(call->directory, LOCK_NAME, &there, AT_SYMLINK_NOFOLLOW) == 0
           && held.st_ino == there.st_ino && held.st_dev == there.st_dev;
}

static int is_held_by_another(int error)
{
    return error == EAGAIN || error == EACCES || error == EWOULDBLOCK || error == EINTR;
}

/* Until unlock(). */
static apr_status_t lock(call_t *call)
{
    apr_interval_time_t nap = NAP_MIN;

    for (;;) {
        int fd = open_lock_file(call);

        if (fd < 0) {
            return fail(call, errno, "the lock cannot be opened");
        }
        if (try_lock(fd, call->name) == 0) {
            if (is_lock_file(call, fd)) {
                call->lock = fd;
                return APR_SUCCESS;
            }
        }
        else if (!is_held_by_another(errno)) {
            apr_status_t rv = fail(call, errno, "the lock cannot be taken");

            close(fd);
            return rv;
        }
        close(fd);
        if (time_left(call) <= 0) {
            return djs_fail(call->ctx, DJS_ESTORE, "DjangoSessionFilePath %s: another process has "
                            "kept the session locked for too long", call->file->directory);
        }
        apr_sleep(nap);
        nap = nap * 2 < NAP_MAX ? nap * 2 : NAP_MAX;
    }
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* 0, or an errno. */
static int write_all(int fd, djs_bytes_t data)
{
    apr_size_t done = 0;

    while (done < data.len) {
        ssize_t put = write(fd, data.data + done, data.len - done);

        if (put < 0 && errno != EINTR) {
            return errno;
        }
        done += put > 0 ? (apr_size_t)put : 0;
    }
    return 0;
}

static apr_status_t open_temporary(const call_t *call, const char **name, int *fd)
{
    const char *chance;
    apr_status_t rv;
    int tries;

    for (tries = 0; tries < TEMP_TRIES_MAX; tries++) {
        rv = djs_random_string(call->ctx, "abcdefghijklmnopqrstuvwxyz0123456789_", TEMP_CHANCE,
                               &chance);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        *name = apr_pstrcat(call->ctx->pool, call->name, TEMP_MARK, chance, NULL);
        *fd = openat(call->directory, *name, O_WRONLY | O_CREAT | O_EXCL | OPEN_FLAGS, 0600);
        if (*fd >= 0) {
            return APR_SUCCESS;
        }
        if (errno != EEXIST) {
            break;
        }
    }
    return fail(call, errno, "no file can be made");
}

static void discard(const call_t *call, const char *temporary)
{
    unlinkat(call->directory, temporary, 0);
}

/* A whole temporary file. On a disk that is full there is none, and nothing else has changed. */
static apr_status_t write_temporary(const call_t *call, djs_bytes_t data, const char **name)
{
    int fd, error;
    apr_status_t rv = open_temporary(call, name, &fd);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    error = give_to_owner(call, fd) == 0 ? write_all(fd, data) : errno;
    if (close(fd) != 0 && error == 0) {
        error = errno; /* a disk over the network, or a quota */
    }
    if (error != 0) {
        discard(call, *name);
        return fail(call, error, "a session cannot be written, and is as it was");
    }
    return APR_SUCCESS;
}

/* ---- Putting in place ------------------------------------------------------------------------ */

#ifdef RENAME_EXCHANGE
/* Two names of which each is to be there. 0, or an errno. */
static int exchange(const call_t *call, const char *temporary)
{
    return renameat2(call->directory, temporary, call->directory, call->name,
                     RENAME_EXCHANGE) == 0 ? 0 : errno;
}

static int is_file(const call_t *call, const char *name, const struct stat *expected)
{
    struct stat info;

    return fstatat(call->directory, name, &info, AT_SYMLINK_NOFOLLOW) == 0
           && info.st_ino == expected->st_ino && info.st_dev == expected->st_dev;
}
#endif

static apr_status_t conflict(const call_t *call)
{
    return djs_fail(call->ctx, DJS_ECONFLICT, "the session was changed meanwhile");
}

/*
 * Under the lock: the temporary file takes the place of the one that was looked at. Django may come
 * between; what it does then counts. What is left under the temporary name is the caller's to discard.
 */
static apr_status_t put_in_place(const call_t *call, const char *temporary,
                                 const struct stat *looked_at)
{
    int error;

#ifdef RENAME_EXCHANGE
    error = exchange(call, temporary);
    if (error == 0 && !is_file(call, temporary, looked_at)) {
        return exchange(call, temporary) == ENOENT ? APR_NOTFOUND : conflict(call);
    }
    if (error == 0 || error == ENOENT) {
        return error == 0 ? APR_SUCCESS : APR_NOTFOUND;
    }
#endif
    (void)looked_at;
    error = renameat(call->directory, temporary, call->directory, call->name) == 0 ? 0 : errno;
    return error == 0 ? APR_SUCCESS : fail(call, error, "a session cannot be replaced");
}

/* The session as it is now is what was seen; seen NULL: is there. */
static apr_status_t compare(const call_t *call, const djs_record_t *seen, struct stat *info)
{
    djs_record_t there;
    apr_status_t rv;
    int fd;

    if (seen != NULL) {
        rv = read_session(call, &there, info);
        return rv == APR_SUCCESS && !djs_bytes_equal(there.data, seen->data) ? conflict(call) : rv;
    }
    rv = open_session(call, &fd, info);
    if (rv == APR_SUCCESS) {
        close(fd);
    }
    return rv;
}

/* Where a file can have one name only: taken first, filled then, as Django does it. */
static apr_status_t reserve(const call_t *call, const char *temporary)
{
    int fd = openat(call->directory, call->name, O_WRONLY | O_CREAT | O_EXCL | OPEN_FLAGS, 0600);
    int error;

    if (fd < 0) {
        return errno == EEXIST ? APR_EEXIST : fail(call, errno, "no file can be made");
    }
    close(fd);
    if (renameat(call->directory, temporary, call->directory, call->name) == 0) {
        return APR_SUCCESS;
    }
    error = errno;
    unlinkat(call->directory, call->name, 0);
    return fail(call, error, "a session cannot be written");
}

/* The temporary file gets a name that nobody has. APR_EEXIST. */
static apr_status_t put_first(const call_t *call, const char *temporary)
{
    if (linkat(call->directory, temporary, call->directory, call->name, 0) == 0) {
        return APR_SUCCESS;
    }
    switch (errno) {
    case EEXIST:
        return APR_EEXIST;
    case EPERM: /* the file system has no links */
    case EOPNOTSUPP:
    case ENOSYS:
    case EMLINK:
        return reserve(call, temporary);
    default:
        return fail(call, errno, "a session cannot be written");
    }
}

/* ---- The operations -------------------------------------------------------------------------- */

static apr_status_t file_load(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                              djs_record_t *found)
{
    struct stat info;
    call_t call;
    apr_status_t rv;

    if (!can_be_a_key(engine->data, key)) {
        return APR_NOTFOUND;
    }
    rv = begin(&call, engine, ctx, key);
    return rv == APR_SUCCESS ? end(&call, read_session(&call, found, &info)) : rv;
}

static apr_status_t create(const call_t *call, const djs_record_t *record)
{
    const char *temporary;
    apr_status_t rv = write_temporary(call, record->data, &temporary);

    if (rv == APR_SUCCESS) {
        rv = put_first(call, temporary);
        discard(call, temporary);
    }
    return rv;
}

static apr_status_t file_create(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                                const djs_record_t *record)
{
    call_t call;
    apr_status_t rv;

    if (!can_be_a_key(engine->data, key)) {
        return djs_fail(ctx, DJS_EINVAL, "the key of a session in a file has letters a-z and "
                        "digits, and no more of them than a file's name");
    }
    rv = begin(&call, engine, ctx, key);
    return rv == APR_SUCCESS ? end(&call, create(&call, record)) : rv;
}

/* All that takes long is done before the lock is taken, and before Django's file is looked at. */
static apr_status_t replace(call_t *call, const djs_record_t *seen, const djs_record_t *record)
{
    const char *temporary;
    struct stat info;
    apr_status_t rv = write_temporary(call, record->data, &temporary);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = lock(call);
    if (rv == APR_SUCCESS) {
        rv = compare(call, seen, &info);
    }
    if (rv == APR_SUCCESS) {
        rv = put_in_place(call, temporary, &info);
    }
    discard(call, temporary);
    return rv;
}

static apr_status_t file_replace(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                                 const djs_record_t *seen, const djs_record_t *record)
{
    call_t call;
    apr_status_t rv;

    if (!can_be_a_key(engine->data, key)) {
        return APR_NOTFOUND;
    }
    rv = begin(&call, engine, ctx, key);
    return rv == APR_SUCCESS ? end(&call, replace(&call, seen, record)) : rv;
}

/* Is there a regular file of this name? */
static apr_status_t look(const call_t *call, int *found)
{
    struct stat info;

    *found = 0;
    if (fstatat(call->directory, call->name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? APR_SUCCESS : fail(call, errno, "a session cannot be looked at");
    }
    *found = S_ISREG(info.st_mode);
    return APR_SUCCESS;
}

static apr_status_t remove_session(const call_t *call)
{
    if (unlinkat(call->directory, call->name, 0) != 0 && errno != ENOENT) {
        return fail(call, errno, "a session cannot be removed");
    }
    return APR_SUCCESS;
}

/* Under the lock: whoever is about to replace it must not do so after it is gone. */
static apr_status_t remove_locked(call_t *call)
{
    int found;
    apr_status_t rv = look(call, &found);

    if (rv != APR_SUCCESS || !found) {
        return rv;
    }
    rv = lock(call);
    return rv == APR_SUCCESS ? remove_session(call) : rv;
}

static apr_status_t file_remove(djs_engine_t *engine, djs_ctx_t *ctx, const char *key)
{
    call_t call;
    apr_status_t rv;

    if (!can_be_a_key(engine->data, key)) {
        return APR_SUCCESS;
    }
    rv = begin(&call, engine, ctx, key);
    return rv == APR_SUCCESS ? end(&call, remove_locked(&call)) : rv;
}

static apr_status_t file_exists(djs_engine_t *engine, djs_ctx_t *ctx, const char *key, int *found)
{
    call_t call;
    apr_status_t rv;

    *found = 0;
    if (!can_be_a_key(engine->data, key)) {
        return APR_SUCCESS;
    }
    rv = begin(&call, engine, ctx, key);
    return rv == APR_SUCCESS ? end(&call, look(&call, found)) : rv;
}

/* ---- All files ------------------------------------------------------------------------------- */

/* What is done with each name of the directory that begins as a session's; call->name is set. */
typedef apr_status_t (*name_fn)(void *baton, call_t *call);

/* One name, with a pool of its own for what is read. */
static apr_status_t visit(call_t *call, const char *name, name_fn each, void *baton)
{
    djs_ctx_t *ctx = call->ctx;
    djs_ctx_t scratch = *ctx;
    apr_status_t rv = apr_pool_create(&scratch.pool, ctx->pool);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    call->ctx = &scratch;
    call->name = name;
    rv = each(baton, call);
    unlock(call);
    call->ctx = ctx;
    ctx->patience = scratch.patience;
    if (rv != APR_SUCCESS && scratch.problem != NULL) {
        rv = djs_fail(ctx, rv, "%s", scratch.problem);
    }
    apr_pool_destroy(scratch.pool);
    return rv;
}

/* The calls' patience is one for each name: who looks on may say so, or end it. */
static apr_status_t still_patient(call_t *call)
{
    apr_interval_time_t left = time_left(call);

    call->begun = ticks();
    call->ctx->patience = left > 0 ? left : 0;
    return left > 0 ? APR_SUCCESS
                    : djs_fail(call->ctx, DJS_ESTORE, "DjangoSessionFilePath %s: no time left to "
                               "look at all sessions", call->file->directory);
}

static apr_status_t visit_all(call_t *call, DIR *listing, name_fn each, void *baton)
{
    const struct dirent *entry;
    apr_status_t rv = APR_SUCCESS;

    for (;;) {
        errno = 0;
        entry = readdir(listing);
        if (entry == NULL) {
            return errno == 0 ? APR_SUCCESS : fail(call, errno, "the directory cannot be read");
        }
        if (strncmp(entry->d_name, call->file->site.settings->cookie_name,
                    call->file->prefix_len) != 0) {
            continue;
        }
        rv = visit(call, entry->d_name, each, baton);
        if (rv == APR_SUCCESS) {
            rv = still_patient(call);
        }
        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
}

static apr_status_t walk(djs_engine_t *engine, djs_ctx_t *ctx, name_fn each, void *baton)
{
    call_t call;
    DIR *listing;
    int fd;
    apr_status_t rv = begin(&call, engine, ctx, NULL);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    fd = openat(call.directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    listing = fd >= 0 ? fdopendir(fd) : NULL;
    if (listing != NULL) {
        rv = visit_all(&call, listing, each, baton);
        closedir(listing);
    }
    else {
        rv = fail(&call, errno, "the directory cannot be read");
        if (fd >= 0) {
            close(fd);
        }
    }
    return end(&call, rv);
}

/* A session's file, and how it stands. APR_NOTFOUND: it is none, or none any more. */
static apr_status_t judge(call_t *call, djs_record_t *record, djs_session_status_t *status)
{
    struct stat info;
    apr_status_t rv;

    if (key_of(call->file, call->name) == NULL) {
        return APR_NOTFOUND;
    }
    rv = read_session(call, record, &info);
    if (rv == APR_SUCCESS) {
        *status = djs_session_judge(call->ctx, &call->file->site, record);
    }
    return rv;
}

typedef struct clearing_t {
    djs_ctx_t *ctx;
    apr_size_t looked_at;
    apr_size_t removed;
} clearing_t;

/* What a process left that ended while it wrote. A file counts as new when it was moved, too. */
static apr_status_t clear_temporary(call_t *call)
{
    struct stat info;

    if (fstatat(call->directory, call->name, &info, AT_SYMLINK_NOFOLLOW) == 0
        && S_ISREG(info.st_mode)
        && instant(&info.st_mtim) < call->ctx->now - TEMP_AGE
        && instant(&info.st_ctim) < call->ctx->now - TEMP_AGE) {
        discard(call, call->name);
    }
    return APR_SUCCESS;
}

/* Looked at without the lock, and then again with it. */
static apr_status_t clear_session(clearing_t *clearing, call_t *call)
{
    djs_session_status_t status;
    djs_record_t record;
    apr_status_t rv = judge(call, &record, &status);

    if (rv == APR_SUCCESS && status == DJS_SESSION_EXPIRED) {
        rv = lock(call);
        if (rv == APR_SUCCESS) {
            rv = judge(call, &record, &status);
        }
        if (rv == APR_SUCCESS && status == DJS_SESSION_EXPIRED) {
            rv = remove_session(call);
            clearing->removed += rv == APR_SUCCESS;
        }
    }
    return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
}

static apr_status_t clear_one(void *baton, call_t *call)
{
    clearing_t *clearing = baton;
    apr_status_t rv = is_temporary(call->file, call->name) ? clear_temporary(call)
                                                           : clear_session(clearing, call);

    if (rv == APR_SUCCESS && ++clearing->looked_at % BATCH == 0) {
        unlock(call);
        djs_progress(clearing->ctx, clearing->removed);
        call->ctx->patience = clearing->ctx->patience; /* whoever looks on may renew it */
        call->begun = ticks();
    }
    return rv;
}

static apr_status_t file_clear_expired(djs_engine_t *engine, djs_ctx_t *ctx, apr_size_t *removed)
{
    clearing_t clearing = { ctx, 0, 0 };
    apr_status_t rv = walk(engine, ctx, clear_one, &clearing);

    *removed = clearing.removed;
    if (rv == APR_SUCCESS && clearing.looked_at % BATCH != 0) {
        djs_progress(ctx, clearing.removed);
    }
    return rv;
}

typedef struct listing_t {
    djs_list_fn each;
    void *baton;
} listing_t;

/* One without a byte is no session yet. */
static apr_status_t list_one(void *baton, call_t *call)
{
    listing_t *listing = baton;
    djs_session_status_t status;
    djs_listed_t listed;
    apr_status_t rv = judge(call, &listed.record, &status);

    if (rv != APR_SUCCESS) {
        return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
    }
    if (status == DJS_SESSION_EXPIRED || listed.record.data.len == 0) {
        return APR_SUCCESS;
    }
    listed.key = key_of(call->file, call->name);
    return listing->each(listing->baton, call->ctx, &listed);
}

static apr_status_t file_list(djs_engine_t *engine, djs_ctx_t *ctx, djs_list_fn each, void *baton)
{
    listing_t listing = { each, baton };

    return walk(engine, ctx, list_one, &listing);
}

/* ---- Checking -------------------------------------------------------------------------------- */

typedef void (*say_fn)(void *baton, int ok, const char *what);

typedef struct counted_t {
    apr_int64_t live, expired, unreadable;
} counted_t;

static apr_status_t count_one(void *baton, call_t *call)
{
    counted_t *counted = baton;
    djs_session_status_t status;
    djs_record_t record;
    apr_status_t rv = judge(call, &record, &status);

    if (rv == APR_SUCCESS) {
        counted->live += status == DJS_SESSION_ACTIVE;
        counted->expired += status == DJS_SESSION_EXPIRED;
        counted->unreadable += status == DJS_SESSION_INVALID;
    }
    return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
}

static apr_status_t check_reading(djs_engine_t *engine, djs_ctx_t *ctx, say_fn say, void *baton)
{
    const file_t *file = engine->data;
    counted_t counted = { 0, 0, 0 };
    apr_status_t rv = walk(engine, ctx, count_one, &counted);

    say(baton, rv == APR_SUCCESS,
        rv == APR_SUCCESS
            ? apr_psprintf(ctx->pool, "directory %s can be read: %" APR_INT64_T_FMT " live, %"
                           APR_INT64_T_FMT " expired and %" APR_INT64_T_FMT " unreadable sessions",
                           file->directory, counted.live, counted.expired, counted.unreadable)
            : ctx->problem);
    return rv;
}

/* What is wrong with the rights to it; NULL: nothing. Makes no file, since root may be asking. */
static const char *rights_problem(const call_t *call)
{
    struct stat info;

    if (fstat(call->directory, &info) != 0
        || faccessat(call->directory, ".", R_OK | W_OK | X_OK, AT_EACCESS) != 0) {
        return "it cannot be written";
    }
    if ((info.st_mode & (S_IWOTH | S_ISVTX)) == S_IWOTH) {
        return "everybody on this machine may remove its files: chmod o-w";
    }
    if (geteuid() == 0 && info.st_uid == 0 && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0) {
        return "it is root's alone: it must belong to the user that the server and Django run as";
    }
    if (faccessat(call->directory, LOCK_NAME, R_OK | W_OK, AT_EACCESS) != 0 && errno != ENOENT) {
        return LOCK_NAME " in it cannot be written";
    }
    return NULL;
}

static apr_status_t check_writing(djs_engine_t *engine, djs_ctx_t *ctx, say_fn say, void *baton)
{
    const char *problem;
    call_t call;
    apr_status_t rv = begin(&call, engine, ctx, NULL);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    problem = rights_problem(&call);
    say(baton, problem == NULL,
        apr_psprintf(ctx->pool, problem == NULL ? "directory %s can be written%s"
                                                : "DjangoSessionFilePath %s: %s",
                     call.file->directory, problem == NULL ? "" : problem));
    return end(&call, APR_SUCCESS);
}

static apr_status_t file_check(djs_engine_t *engine, djs_ctx_t *ctx, say_fn say, void *baton)
{
    apr_status_t rv = check_reading(engine, ctx, say, baton);

    return rv == APR_SUCCESS ? check_writing(engine, ctx, say, baton) : rv;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static const djs_engine_ops_t ops = {
    .name = "file",
    .flags = DJS_ENGINE_AGED,
    .load = file_load,
    .create = file_create,
    .replace = file_replace,
    .remove = file_remove,
    .exists = file_exists,
    .clear_expired = file_clear_expired,
    .list = file_list,
    .check = file_check
};

static djs_engine_t *make(apr_pool_t *pool, const djs_settings_t *settings, const djs_zone_t *zone,
                          const djs_wire_t *wire)
{
    file_t *file = apr_pcalloc(pool, sizeof(*file));

    file->engine.ops = &ops;
    file->engine.data = file;
    file->site.engine = &file->engine;
    file->site.settings = settings;
    file->site.zone = zone;
    file->site.wire = wire;
    file->prefix_len = strlen(settings->cookie_name);
    file->directory = settings->file_path;
    return &file->engine;
}

apr_status_t djs_engine_file_open(djs_ctx_t *ctx, apr_pool_t *pool, const djs_settings_t *settings,
                                  const djs_zone_t *zone, const djs_wire_t *wire,
                                  djs_engine_t **engine)
{
    if (settings->file_path == NULL) {
        return djs_fail(ctx, DJS_EINVAL, "DjangoSessionEngine file needs a directory: write "
                        "DjangoSessionFilePath with the site's SESSION_FILE_PATH");
    }
    if (settings->file_path[0] != '/') {
        return djs_fail(ctx, DJS_EINVAL, "DjangoSessionFilePath %s is no absolute path",
                        settings->file_path);
    }
    *engine = make(pool, settings, zone, wire);
    return APR_SUCCESS;
}

djs_engine_t *djs_engine_file_view(apr_pool_t *pool, const djs_engine_t *engine,
                                   const djs_settings_t *settings)
{
    const file_t *file = engine->data;

    return make(pool, settings, file->site.zone, file->site.wire);
}
