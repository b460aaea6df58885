/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record is one pair of the file: the session's key, and 8 bytes with the end of its life
 * (microseconds since 1970, big endian) before its data.
 *
 * Whoever reads or writes has the file for himself: among the threads of a process by a mutex, among
 * processes by a lock on a file beside it (fcntl's locks are of processes, not of threads). So reading,
 * comparing and writing are one step, and the file is opened for each step anew, since libraries keep
 * parts of it in memory.
 */
#include "engine_dbm.h"

#include <string.h>

#include <apr_dbm.h>
#include <apr_file_io.h>
#include <apr_tables.h>
#include <apr_thread_mutex.h>

#include "mod_django_session.h"

#define TIME_LEN 8
/* How often a lock that another process has is asked for again. */
#define NAP apr_time_from_msec(2)

typedef struct dbm_t {
    const char *type;
    const char *path;
    apr_thread_mutex_t *threads; /* NULL: the process has not begun */
    apr_file_t *processes;       /* under the mutex */
} dbm_t;

/* The file while it is locked. */
typedef struct opened_t {
    dbm_t *dbm;
    apr_pool_t *pool;
    apr_dbm_t *file;
} opened_t;

/* ---- locking and opening ---- */

static apr_status_t lock_threads(djs_ctx_t *ctx, dbm_t *dbm)
{
    if (dbm->threads == NULL) {
        return django_session_fail(ctx, DJS_ESTORE, "%s.lock could not be opened", dbm->path);
    }
    if (ctx->patience <= 0
        || apr_thread_mutex_timedlock(dbm->threads, ctx->patience) != APR_SUCCESS) {
        return django_session_fail(ctx, DJS_ESTORE, "%s was busy", dbm->path);
    }
    return APR_SUCCESS;
}

static apr_status_t lock_processes(djs_ctx_t *ctx, dbm_t *dbm, apr_time_t deadline)
{
    apr_status_t rv;

    while ((rv = apr_file_lock(dbm->processes, APR_FLOCK_EXCLUSIVE | APR_FLOCK_NONBLOCK))
           != APR_SUCCESS) {
        if (!APR_STATUS_IS_EAGAIN(rv) && !APR_STATUS_IS_EACCES(rv)) {
            return django_session_fail(ctx, DJS_ESTORE, "%s.lock cannot be locked: status %d",
                                       dbm->path, rv);
        }
        if (apr_time_now() >= deadline) {
            return django_session_fail(ctx, DJS_ESTORE, "%s was busy", dbm->path);
        }
        apr_sleep(NAP);
    }
    return APR_SUCCESS;
}

static apr_status_t open_file(djs_ctx_t *ctx, opened_t *opened)
{
    const dbm_t *dbm = opened->dbm;
    apr_status_t rv = apr_dbm_open_ex(&opened->file, dbm->type, dbm->path, APR_DBM_RWCREATE,
                                      APR_FPROT_UREAD | APR_FPROT_UWRITE, opened->pool);

    if (rv != APR_SUCCESS) {
        return django_session_fail(ctx, DJS_ESTORE, "%s cannot be opened: status %d", dbm->path,
                                   rv);
    }
    return APR_SUCCESS;
}

static void close_file(opened_t *opened)
{
    if (opened->file != NULL) {
        apr_dbm_close(opened->file);
    }
    apr_pool_destroy(opened->pool);
    apr_file_unlock(opened->dbm->processes);
    apr_thread_mutex_unlock(opened->dbm->threads);
}

/* Lock and open. What the file's library needs lives in a pool of its own, until close_dbm(). */
static apr_status_t open_dbm(djs_ctx_t *ctx, djs_engine_t *engine, opened_t *opened)
{
    dbm_t *dbm = engine->data;
    apr_time_t begun = apr_time_now();
    apr_status_t rv = lock_threads(ctx, dbm);

    if (rv == APR_SUCCESS) {
        rv = lock_processes(ctx, dbm, begun + ctx->patience);
        if (rv != APR_SUCCESS) {
            apr_thread_mutex_unlock(dbm->threads);
        }
    }
    ctx->patience -= apr_time_now() - begun;
    if (rv != APR_SUCCESS) {
        return rv;
    }
    opened->dbm = dbm;
    opened->file = NULL;
    apr_pool_create(&opened->pool, ctx->pool);
    rv = open_file(ctx, opened);
    if (rv != APR_SUCCESS) {
        close_file(opened);
    }
    return rv;
}

/* ---- pairs ---- */

static apr_datum_t datum_of(const char *data, apr_size_t len)
{
    apr_datum_t datum;

    datum.dptr = (char *)data;
    datum.dsize = len;
    return datum;
}

static apr_status_t failed(djs_ctx_t *ctx, const opened_t *opened, const char *what)
{
    char text[120];
    int code;

    apr_dbm_geterror(opened->file, &code, text, sizeof(text));
    return django_session_fail(ctx, DJS_ESTORE, "%s: %s failed: %s", opened->dbm->path, what,
                               text);
}

static apr_status_t unpack(djs_ctx_t *ctx, const opened_t *opened, apr_datum_t pair,
                           djs_record_t *record)
{
    apr_uint64_t micros = 0;
    char *data;
    int i;

    if (pair.dsize < TIME_LEN) {
        return django_session_fail(ctx, DJS_ESTORE, "%s has a pair that is no record",
                                   opened->dbm->path);
    }
    for (i = 0; i < TIME_LEN; i++) {
        micros = micros << 8 | (unsigned char)pair.dptr[i];
    }
    memset(record, 0, sizeof(*record));
    record->expires = (apr_time_t)micros;
    record->data.len = pair.dsize - TIME_LEN;
    data = apr_palloc(ctx->pool, record->data.len + 1);
    memcpy(data, pair.dptr + TIME_LEN, record->data.len);
    data[record->data.len] = '\0';
    record->data.data = data;
    return APR_SUCCESS;
}

/* What is there, expired or not. */
static apr_status_t fetch(djs_ctx_t *ctx, const opened_t *opened, apr_datum_t key,
                          djs_record_t *record)
{
    apr_datum_t pair = { NULL, 0 };

    /* Not by apr_dbm_fetch(): some types fail for what is not there, others give nothing. */
    if (!apr_dbm_exists(opened->file, key)) {
        return APR_NOTFOUND;
    }
    if (apr_dbm_fetch(opened->file, key, &pair) != APR_SUCCESS) {
        return failed(ctx, opened, "fetching");
    }
    return unpack(ctx, opened, pair, record);
}

static apr_status_t store(djs_ctx_t *ctx, const opened_t *opened, const char *key,
                          const djs_record_t *record)
{
    apr_size_t len = TIME_LEN + record->data.len;
    char *pair = apr_palloc(opened->pool, len);
    apr_uint64_t micros = (apr_uint64_t)record->expires;
    int i;

    for (i = TIME_LEN - 1; i >= 0; i--) {
        pair[i] = (char)(micros & 0xff);
        micros >>= 8;
    }
    if (record->data.len > 0) {
        memcpy(pair + TIME_LEN, record->data.data, record->data.len);
    }
    if (apr_dbm_store(opened->file, datum_of(key, strlen(key)), datum_of(pair, len))
        != APR_SUCCESS) {
        return failed(ctx, opened, "storing");
    }
    return APR_SUCCESS;
}

static int equal(djs_bytes_t a, djs_bytes_t b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* ---- the operations ---- */

static apr_status_t dbm_load(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                             djs_record_t *found)
{
    opened_t opened;
    apr_status_t rv = open_dbm(ctx, engine, &opened);

    if (rv == APR_SUCCESS) {
        rv = fetch(ctx, &opened, datum_of(key, strlen(key)), found);
        close_file(&opened);
    }
    if (rv == APR_SUCCESS && found->expires <= ctx->now) {
        return APR_NOTFOUND;
    }
    return rv;
}

static apr_status_t dbm_create(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                               const djs_record_t *record)
{
    opened_t opened;
    apr_status_t rv = open_dbm(ctx, engine, &opened);

    if (rv == APR_SUCCESS) {
        rv = apr_dbm_exists(opened.file, datum_of(key, strlen(key)))
                 ? APR_EEXIST : store(ctx, &opened, key, record);
        close_file(&opened);
    }
    return rv;
}

static apr_status_t swap(djs_ctx_t *ctx, const opened_t *opened, const char *key,
                         const djs_record_t *seen, const djs_record_t *record)
{
    djs_record_t present;
    apr_status_t rv = fetch(ctx, opened, datum_of(key, strlen(key)), &present);

    if (rv == APR_SUCCESS && seen != NULL && !equal(present.data, seen->data)) {
        return DJS_ECONFLICT;
    }
    return rv == APR_SUCCESS ? store(ctx, opened, key, record) : rv;
}

static apr_status_t dbm_replace(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                                const djs_record_t *seen, const djs_record_t *record)
{
    opened_t opened;
    apr_status_t rv = open_dbm(ctx, engine, &opened);

    if (rv == APR_SUCCESS) {
        rv = swap(ctx, &opened, key, seen, record);
        close_file(&opened);
    }
    return rv;
}

static apr_status_t dbm_remove(djs_engine_t *engine, djs_ctx_t *ctx, const char *key)
{
    opened_t opened;
    apr_datum_t datum = datum_of(key, strlen(key));
    apr_status_t rv = open_dbm(ctx, engine, &opened);

    if (rv == APR_SUCCESS) {
        if (apr_dbm_exists(opened.file, datum)
            && apr_dbm_delete(opened.file, datum) != APR_SUCCESS) {
            rv = failed(ctx, &opened, "deleting");
        }
        close_file(&opened);
    }
    return rv;
}

static apr_status_t dbm_exists(djs_engine_t *engine, djs_ctx_t *ctx, const char *key, int *found)
{
    opened_t opened;
    apr_status_t rv = open_dbm(ctx, engine, &opened);

    if (rv == APR_SUCCESS) {
        *found = apr_dbm_exists(opened.file, datum_of(key, strlen(key))) != 0;
        close_file(&opened);
    }
    return rv;
}

/* ---- all records ---- */

/* Copies of all keys: the file is not to be changed, nor kept from others, while it is gone through. */
static apr_status_t all_keys(djs_engine_t *engine, djs_ctx_t *ctx, apr_array_header_t *keys)
{
    opened_t opened;
    apr_datum_t key = { NULL, 0 };
    apr_status_t rv = open_dbm(ctx, engine, &opened);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    apr_dbm_firstkey(opened.file, &key);
    while (key.dptr != NULL) {
        APR_ARRAY_PUSH(keys, const char *) = apr_pstrmemdup(keys->pool, key.dptr, key.dsize);
        apr_dbm_nextkey(opened.file, &key);
    }
    close_file(&opened);
    return APR_SUCCESS;
}

/* Gone if it has expired; it may have been prolonged since its key was noted. */
static apr_status_t clear_one(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                              apr_size_t *removed)
{
    opened_t opened;
    djs_record_t record;
    apr_datum_t datum = datum_of(key, strlen(key));
    apr_status_t rv = open_dbm(ctx, engine, &opened);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = fetch(ctx, &opened, datum, &record);
    if (rv == APR_SUCCESS && record.expires < ctx->now) {
        if (apr_dbm_delete(opened.file, datum) == APR_SUCCESS) {
            (*removed)++;
        }
        else {
            rv = failed(ctx, &opened, "deleting");
        }
    }
    close_file(&opened);
    return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
}

/* What is done with each key, in a pool that is emptied behind it. */
typedef apr_status_t (*each_key_fn)(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                                    void *baton);

static apr_status_t for_each_key(djs_engine_t *engine, djs_ctx_t *ctx, each_key_fn each,
                                 void *baton)
{
    apr_array_header_t *keys = apr_array_make(ctx->pool, 64, sizeof(const char *));
    apr_status_t rv = all_keys(engine, ctx, keys);
    djs_ctx_t own = *ctx;
    int i;

    apr_pool_create(&own.pool, ctx->pool);
    for (i = 0; rv == APR_SUCCESS && i < keys->nelts; i++) {
        apr_pool_clear(own.pool);
        rv = each(engine, &own, APR_ARRAY_IDX(keys, i, const char *), baton);
    }
    ctx->patience = own.patience;
    if (own.problem != NULL && ctx->problem == NULL) {
        ctx->problem = apr_pstrdup(ctx->pool, own.problem);
    }
    apr_pool_destroy(own.pool);
    return rv;
}

static apr_status_t clear_each(djs_engine_t *engine, djs_ctx_t *ctx, const char *key, void *removed)
{
    return clear_one(engine, ctx, key, removed);
}

static apr_status_t dbm_clear_expired(djs_engine_t *engine, djs_ctx_t *ctx, apr_size_t *removed)
{
    *removed = 0;
    return for_each_key(engine, ctx, clear_each, removed);
}

typedef struct listing_t {
    djs_list_fn each;
    void *baton;
} listing_t;

static apr_status_t list_each(djs_engine_t *engine, djs_ctx_t *ctx, const char *key, void *baton)
{
    listing_t *listing = baton;
    djs_listed_t listed = { .key = key };
    apr_status_t rv = dbm_load(engine, ctx, key, &listed.record);

    if (rv == APR_NOTFOUND) {
        return APR_SUCCESS; /* it has expired, or somebody was faster */
    }
    return rv == APR_SUCCESS ? listing->each(listing->baton, ctx, &listed) : rv;
}

static apr_status_t dbm_list(djs_engine_t *engine, djs_ctx_t *ctx, djs_list_fn each, void *baton)
{
    listing_t listing = { each, baton };

    return for_each_key(engine, ctx, list_each, &listing);
}

static apr_status_t dbm_check(djs_engine_t *engine, djs_ctx_t *ctx,
                              void (*say)(void *baton, int ok, const char *what), void *baton)
{
    const dbm_t *dbm = engine->data;
    opened_t opened;
    apr_status_t rv = open_dbm(ctx, engine, &opened);

    if (rv == APR_SUCCESS) {
        close_file(&opened);
    }
    say(baton, rv == APR_SUCCESS,
        rv == APR_SUCCESS ? apr_psprintf(ctx->pool, "%s can be opened", dbm->path) : ctx->problem);
    return rv;
}

/* ---- making it ---- */

djs_engine_t *engine_dbm_make(apr_pool_t *pool, const char *type, const char *path)
{
    static const djs_engine_ops_t ops = {
        .name = "dbm",
        .load = dbm_load,
        .create = dbm_create,
        .replace = dbm_replace,
        .remove = dbm_remove,
        .exists = dbm_exists,
        .clear_expired = dbm_clear_expired,
        .list = dbm_list,
        .check = dbm_check
    };
    djs_engine_t *engine = apr_pcalloc(pool, sizeof(*engine));
    dbm_t *dbm = apr_pcalloc(pool, sizeof(*dbm));

    dbm->type = type;
    dbm->path = path;
    engine->ops = &ops;
    engine->data = dbm;
    return engine;
}

apr_status_t engine_dbm_begin(djs_ctx_t *ctx, apr_pool_t *pool, djs_engine_t *engine)
{
    dbm_t *dbm = engine->data;
    const char *path = apr_pstrcat(pool, dbm->path, ".lock", NULL);
    apr_status_t rv = apr_file_open(&dbm->processes, path, APR_FOPEN_WRITE | APR_FOPEN_CREATE,
                                    APR_FPROT_UREAD | APR_FPROT_UWRITE, pool);

    if (rv == APR_SUCCESS) {
        rv = apr_thread_mutex_create(&dbm->threads, APR_THREAD_MUTEX_TIMED, pool);
    }
    if (rv != APR_SUCCESS) {
        return django_session_fail(ctx, rv, "%s cannot be opened: status %d", path, rv);
    }
    return APR_SUCCESS;
}
