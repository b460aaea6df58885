/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock of engine `file`, under which sessions are changed: a byte of one file for each name.
 */
#include "engine_file_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* Who is to wait for a lock looks again after so long, then twice as long, up to the second. */
#define NAP_MIN 100
#define NAP_MAX 5000

int djs_file_give_to_owner(const call_t *call, int fd)
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
    if (fd >= 0 && djs_file_give_to_owner(call, fd) != 0) {
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

apr_status_t djs_file_lock(call_t *call)
{
    apr_interval_time_t nap = NAP_MIN;

    for (;;) {
        int fd = open_lock_file(call);

        if (fd < 0) {
            return djs_file_fail(call, errno, "the lock cannot be opened");
        }
        if (try_lock(fd, call->name) == 0) {
            if (is_lock_file(call, fd)) {
                call->lock = fd;
                return APR_SUCCESS;
            }
        }
        else if (!is_held_by_another(errno)) {
            apr_status_t rv = djs_file_fail(call, errno, "the lock cannot be taken");

            close(fd);
            return rv;
        }
        close(fd);
        if (djs_file_time_left(call) <= 0) {
            return djs_fail(call->ctx, DJS_ESTORE, "DjangoSessionFilePath %s: another process has "
                            "kept the session locked for too long", call->file->directory);
        }
        apr_sleep(nap);
        nap = nap * 2 < NAP_MAX ? nap * 2 : NAP_MAX;
    }
}

void djs_file_unlock(call_t *call)
{
    if (call->lock >= 0) {
        close(call->lock);
        call->lock = -1;
    }
}
