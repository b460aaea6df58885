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
#include "engine_file_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TEMP_MARK "_out_"
#define TEMP_CHANCE 8
#define TEMP_TRIES_MAX 100

/* Of a file's name, on every file system that matters. */
#define NAME_LEN_MAX 255

/* So much is read of a file; one byte more than any session has, so that the wire refuses it. */
#define SIZE_MAX_READ (DJS_SIGNED_TEXT_MAX + 1)

/* ---- Calls, failures ------------------------------------------------------------------------- */

apr_time_t djs_file_ticks(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (apr_time_t)now.tv_sec * APR_USEC_PER_SEC + now.tv_nsec / 1000;
}

apr_interval_time_t djs_file_time_left(const call_t *call)
{
    return call->ctx->patience - (djs_file_ticks() - call->begun);
}

apr_status_t djs_file_fail(const call_t *call, int error, const char *what)
{
    char text[200];

    return djs_fail(call->ctx, DJS_ESTORE, "DjangoSessionFilePath %s: %s: %s",
                    call->file->directory, what, apr_strerror(error, text, sizeof(text)));
}

/* Without the directory. */
static apr_status_t start(call_t *call, djs_engine_t *engine, djs_ctx_t *ctx, const char *key)
{
    const file_t *file = engine->data;

    call->file = file;
    call->ctx = ctx;
    call->begun = djs_file_ticks();
    call->directory = call->lock = -1;
    call->name = key != NULL ? apr_pstrcat(ctx->pool, file->site.settings->cookie_name, key, NULL)
                             : NULL;
    return ctx->patience > 0 ? APR_SUCCESS
                             : djs_fail(ctx, DJS_ESTORE, "DjangoSessionFilePath %s: no time left to "
                                        "look there", file->directory);
}

static apr_status_t open_directory(call_t *call)
{
    call->directory = open(call->file->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return call->directory >= 0 ? APR_SUCCESS
                                : djs_file_fail(call, errno, "the directory cannot be opened");
}

apr_status_t djs_file_begin(call_t *call, djs_engine_t *engine, djs_ctx_t *ctx, const char *key)
{
    apr_status_t rv = start(call, engine, ctx, key);

    return rv == APR_SUCCESS ? open_directory(call) : rv;
}

apr_status_t djs_file_end(call_t *call, apr_status_t rv)
{
    apr_interval_time_t left = djs_file_time_left(call);

    djs_file_unlock(call);
    if (call->directory >= 0) {
        close(call->directory);
    }
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

const char *djs_file_key_of(const file_t *file, const char *name)
{
    if (strncmp(name, file->site.settings->cookie_name, file->prefix_len) != 0
        || !can_be_a_key(file, name + file->prefix_len)) {
        return NULL;
    }
    return name + file->prefix_len;
}

int djs_file_is_temporary(const file_t *file, const char *name)
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

apr_time_t djs_file_instant(const struct timespec *time)
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

/* What was opened is a session, or is closed. APR_NOTFOUND: it is no regular file. */
static apr_status_t look_into(const call_t *call, int fd, struct stat *info)
{
    apr_status_t rv = APR_SUCCESS;

    if (fstat(fd, info) != 0) {
        rv = djs_file_fail(call, errno, "a session cannot be opened");
    }
    else if (!S_ISREG(info->st_mode)) {
        rv = APR_NOTFOUND;
    }
    if (rv != APR_SUCCESS) {
        close(fd);
    }
    return rv;
}

/* APR_NOTFOUND: there is no regular file of this name. */
static apr_status_t open_session(const call_t *call, int *fd, struct stat *info)
{
    *fd = openat(call->directory, call->name, O_RDONLY | OPEN_FLAGS);
    if (*fd < 0) {
        return means_absent(errno) ? APR_NOTFOUND
                                   : djs_file_fail(call, errno, "a session cannot be opened");
    }
    return look_into(call, *fd, info);
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
            return djs_file_fail(call, errno, "a session cannot be read");
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

/* And closes it. */
static apr_status_t read_opened(const call_t *call, int fd, djs_record_t *record,
                                const struct stat *info)
{
    apr_status_t rv;

    memset(record, 0, sizeof(*record));
    record->written = djs_file_instant(&info->st_mtim);
    rv = read_all(call, fd, (apr_size_t)info->st_size, &record->data);
    close(fd);
    return rv;
}

apr_status_t djs_file_read_session(const call_t *call, djs_record_t *record, struct stat *info)
{
    int fd;
    apr_status_t rv = open_session(call, &fd, info);

    return rv == APR_SUCCESS ? read_opened(call, fd, record, info) : rv;
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
    return djs_file_fail(call, errno, "no file can be made");
}

void djs_file_discard(const call_t *call, const char *temporary)
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
    error = djs_file_give_to_owner(call, fd) == 0 ? write_all(fd, data) : errno;
    if (close(fd) != 0 && error == 0) {
        error = errno; /* a disk over the network, or a quota */
    }
    if (error != 0) {
        djs_file_discard(call, *name);
        return djs_file_fail(call, error, "a session cannot be written, and is as it was");
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
    return error == 0 ? APR_SUCCESS : djs_file_fail(call, error, "a session cannot be replaced");
}

/* The session as it is now is what was seen; seen NULL: is there. */
static apr_status_t compare(const call_t *call, const djs_record_t *seen, struct stat *info)
{
    djs_record_t there;
    apr_status_t rv;
    int fd;

    if (seen != NULL) {
        rv = djs_file_read_session(call, &there, info);
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
        return errno == EEXIST ? APR_EEXIST : djs_file_fail(call, errno, "no file can be made");
    }
    close(fd);
    if (renameat(call->directory, temporary, call->directory, call->name) == 0) {
        return APR_SUCCESS;
    }
    error = errno;
    unlinkat(call->directory, call->name, 0);
    return djs_file_fail(call, error, "a session cannot be written");
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
        return djs_file_fail(call, errno, "a session cannot be written");
    }
}

/* ---- The operations -------------------------------------------------------------------------- */

/* By its path: two system calls less. Where nothing can be opened, the directory tells why. */
static apr_status_t load(call_t *call, djs_record_t *found)
{
    const char *path = apr_pstrcat(call->ctx->pool, call->file->directory, "/", call->name, NULL);
    int fd = open(path, O_RDONLY | OPEN_FLAGS);
    struct stat info;
    apr_status_t rv;

    if (fd >= 0) {
        rv = look_into(call, fd, &info);
        return rv == APR_SUCCESS ? read_opened(call, fd, found, &info) : rv;
    }
    rv = open_directory(call);
    return rv == APR_SUCCESS ? djs_file_read_session(call, found, &info) : rv;
}

static apr_status_t file_load(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                              djs_record_t *found)
{
    call_t call;
    apr_status_t rv;

    if (!can_be_a_key(engine->data, key)) {
        return APR_NOTFOUND;
    }
    rv = start(&call, engine, ctx, key);
    return rv == APR_SUCCESS ? djs_file_end(&call, load(&call, found)) : rv;
}

static apr_status_t create(const call_t *call, const djs_record_t *record)
{
    const char *temporary;
    apr_status_t rv = write_temporary(call, record->data, &temporary);

    if (rv == APR_SUCCESS) {
        rv = put_first(call, temporary);
        djs_file_discard(call, temporary);
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
    rv = djs_file_begin(&call, engine, ctx, key);
    return rv == APR_SUCCESS ? djs_file_end(&call, create(&call, record)) : rv;
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
    rv = djs_file_lock(call);
    if (rv == APR_SUCCESS) {
        rv = compare(call, seen, &info);
    }
    if (rv == APR_SUCCESS) {
        rv = put_in_place(call, temporary, &info);
    }
    djs_file_discard(call, temporary);
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
    rv = djs_file_begin(&call, engine, ctx, key);
    return rv == APR_SUCCESS ? djs_file_end(&call, replace(&call, seen, record)) : rv;
}

/* Is there a regular file of this name? */
static apr_status_t look(const call_t *call, int *found)
{
    struct stat info;

    *found = 0;
    if (fstatat(call->directory, call->name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? APR_SUCCESS
                               : djs_file_fail(call, errno, "a session cannot be looked at");
    }
    *found = S_ISREG(info.st_mode);
    return APR_SUCCESS;
}

apr_status_t djs_file_remove_session(const call_t *call)
{
    if (unlinkat(call->directory, call->name, 0) != 0 && errno != ENOENT) {
        return djs_file_fail(call, errno, "a session cannot be removed");
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
    rv = djs_file_lock(call);
    return rv == APR_SUCCESS ? djs_file_remove_session(call) : rv;
}

static apr_status_t file_remove(djs_engine_t *engine, djs_ctx_t *ctx, const char *key)
{
    call_t call;
    apr_status_t rv;

    if (!can_be_a_key(engine->data, key)) {
        return APR_SUCCESS;
    }
    rv = djs_file_begin(&call, engine, ctx, key);
    return rv == APR_SUCCESS ? djs_file_end(&call, remove_locked(&call)) : rv;
}

static apr_status_t file_exists(djs_engine_t *engine, djs_ctx_t *ctx, const char *key, int *found)
{
    call_t call;
    apr_status_t rv;

    *found = 0;
    if (!can_be_a_key(engine->data, key)) {
        return APR_SUCCESS;
    }
    rv = djs_file_begin(&call, engine, ctx, key);
    return rv == APR_SUCCESS ? djs_file_end(&call, look(&call, found)) : rv;
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
    .clear_expired = djs_file_clear_expired,
    .list = djs_file_list,
    .check = djs_file_check
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
