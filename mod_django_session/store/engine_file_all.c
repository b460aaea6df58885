/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engine file: what goes through all sessions of a directory, and what djsession check looks at.
 */
#include "engine_file_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Temporary files of this age belong to nobody. */
#define TEMP_AGE apr_time_from_sec(86400)

/* After so many files those who look on are told. */
#define BATCH 100

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
    djs_file_unlock(call);
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
    apr_interval_time_t left = djs_file_time_left(call);

    call->begun = djs_file_ticks();
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
            return errno == 0 ? APR_SUCCESS
                              : djs_file_fail(call, errno, "the directory cannot be read");
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
    apr_status_t rv = djs_file_begin(&call, engine, ctx, NULL);

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
        rv = djs_file_fail(&call, errno, "the directory cannot be read");
        if (fd >= 0) {
            close(fd);
        }
    }
    return djs_file_end(&call, rv);
}

/* A session's file, and how it stands. APR_NOTFOUND: it is none, or none any more. */
static apr_status_t judge(call_t *call, djs_record_t *record, djs_session_status_t *status)
{
    struct stat info;
    apr_status_t rv;

    if (djs_file_key_of(call->file, call->name) == NULL) {
        return APR_NOTFOUND;
    }
    rv = djs_file_read_session(call, record, &info);
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
        && djs_file_instant(&info.st_mtim) < call->ctx->now - TEMP_AGE
        && djs_file_instant(&info.st_ctim) < call->ctx->now - TEMP_AGE) {
        djs_file_discard(call, call->name);
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
        rv = djs_file_lock(call);
        if (rv == APR_SUCCESS) {
            rv = judge(call, &record, &status);
        }
        if (rv == APR_SUCCESS && status == DJS_SESSION_EXPIRED) {
            rv = djs_file_remove_session(call);
            clearing->removed += rv == APR_SUCCESS;
        }
    }
    return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
}

static apr_status_t clear_one(void *baton, call_t *call)
{
    clearing_t *clearing = baton;
    apr_status_t rv = djs_file_is_temporary(call->file, call->name) ? clear_temporary(call)
                                                           : clear_session(clearing, call);

    if (rv == APR_SUCCESS && ++clearing->looked_at % BATCH == 0) {
        djs_file_unlock(call);
        djs_progress(clearing->ctx, clearing->removed);
        call->ctx->patience = clearing->ctx->patience; /* whoever looks on may renew it */
        call->begun = djs_file_ticks();
    }
    return rv;
}

apr_status_t djs_file_clear_expired(djs_engine_t *engine, djs_ctx_t *ctx, apr_size_t *removed)
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
    listed.key = djs_file_key_of(call->file, call->name);
    return listing->each(listing->baton, call->ctx, &listed);
}

apr_status_t djs_file_list(djs_engine_t *engine, djs_ctx_t *ctx, djs_list_fn each, void *baton)
{
    listing_t listing = { each, baton };

    return walk(engine, ctx, list_one, &listing);
}

/* ---- Checking -------------------------------------------------------------------------------- */

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
    apr_status_t rv = djs_file_begin(&call, engine, ctx, NULL);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    problem = rights_problem(&call);
    say(baton, problem == NULL,
        apr_psprintf(ctx->pool, problem == NULL ? "directory %s can be written%s"
                                                : "DjangoSessionFilePath %s: %s",
                     call.file->directory, problem == NULL ? "" : problem));
    return djs_file_end(&call, APR_SUCCESS);
}

apr_status_t djs_file_check(djs_engine_t *engine, djs_ctx_t *ctx, say_fn say, void *baton)
{
    apr_status_t rv = check_reading(engine, ctx, say, baton);

    return rv == APR_SUCCESS ? check_writing(engine, ctx, say, baton) : rv;
}
