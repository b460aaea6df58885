/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of engine `file` share: operations on one session (engine_file.c), the lock that
 * changes take (engine_file_lock.c), and what goes through all sessions (engine_file_all.c).
 */
#ifndef DJS_ENGINE_FILE_IMPL_H
#define DJS_ENGINE_FILE_IMPL_H

#include "engine_file.h"

#include <sys/stat.h>
#include <time.h>

#define LOCK_NAME ".mod_django_session.lock"

/* Of all files that are opened. */
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
    int directory;    /* descriptor; -1: not opened yet */
    const char *name; /* of the session's file; NULL: it concerns all */
    int lock;         /* descriptor; -1: none is held */
} call_t;

/* What a check tells. */
typedef void (*say_fn)(void *baton, int ok, const char *what);

/* Microseconds of a clock that nobody sets. */
apr_time_t djs_file_ticks(void);

/* Of the patience that the call began with. */
apr_interval_time_t djs_file_time_left(const call_t *call);

/* DJS_ESTORE, with what the system says. */
apr_status_t djs_file_fail(const call_t *call, int error, const char *what);

/* @a key NULL: it concerns all. DJS_ESTORE. */
apr_status_t djs_file_begin(call_t *call, djs_engine_t *engine, djs_ctx_t *ctx, const char *key)
    DJS_MUST_CHECK;

/* Only after djs_file_begin() succeeded. Gives rv back. */
apr_status_t djs_file_end(call_t *call, apr_status_t rv);

/* The lock of call->name, until djs_file_unlock(). DJS_ESTORE. */
apr_status_t djs_file_lock(call_t *call) DJS_MUST_CHECK;
void djs_file_unlock(call_t *call);

/* As root, as which djsession may run, what is made belongs to whom it would belong to else. 0; -1:
   errno tells. */
int djs_file_give_to_owner(const call_t *call, int fd) DJS_MUST_CHECK;

/* The key of a session's file; NULL: this is the name of something else. */
const char *djs_file_key_of(const file_t *file, const char *name);
int djs_file_is_temporary(const file_t *file, const char *name);

apr_time_t djs_file_instant(const struct timespec *time);

/* The record, and which file it is. APR_NOTFOUND; DJS_ESTORE. */
apr_status_t djs_file_read_session(const call_t *call, djs_record_t *record, struct stat *info)
    DJS_MUST_CHECK;

/* Under the lock. */
apr_status_t djs_file_remove_session(const call_t *call) DJS_MUST_CHECK;

void djs_file_discard(const call_t *call, const char *temporary);

/* ---- engine_file_all.c: operations of djs_engine_ops_t ---- */

apr_status_t djs_file_clear_expired(djs_engine_t *engine, djs_ctx_t *ctx, apr_size_t *removed);
apr_status_t djs_file_list(djs_engine_t *engine, djs_ctx_t *ctx, djs_list_fn each, void *baton);
apr_status_t djs_file_check(djs_engine_t *engine, djs_ctx_t *ctx, say_fn say, void *baton);

#endif
