/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of engine `db` share: operations on one session (engine_db.c), and what goes
 * through all of them (engine_db_all.c).
 */
#ifndef DJS_ENGINE_DB_IMPL_H
#define DJS_ENGINE_DB_IMPL_H

#include "column.h"
#include "stores.h"

/* Rows that one statement lists. */
#define DJS_DB_BATCH 500
/*
 * Rows that one statement removes: less than a millisecond of the database's time, which is how long a
 * reader may have to wait behind it.
 */
#define DJS_DB_CLEAR_BATCH 25

typedef struct db_t {
    djs_engine_t engine;
    djs_database_t *database;
    djs_column_t column;
    const char *table; /* for messages */
    djs_statement_t load;      /* live, by key → key, data, expires */
    djs_statement_t look;      /* by key, live or not → key, data, expires */
    djs_statement_t create;
    djs_statement_t swap;      /* data, expires, key, seen */
    djs_statement_t overwrite; /* data, expires, key */
    djs_statement_t remove;
    djs_statement_t clear;     /* a batch */
    djs_statement_t clear_on;  /* a batch of what ended at a time or later */
    djs_statement_t oldest;    /* of that → expires */
    djs_statement_t list;      /* live, keys above one → key, data, expires */
    djs_statement_t count;     /* → all, live */
    djs_statement_t may_insert, may_update, may_delete; /* touch nothing */
} db_t;

/* What a check tells. */
typedef void (*say_fn)(void *baton, int ok, const char *what);

/* Of a row of key, data and end; in ctx->pool. */
void djs_db_read_record(const db_t *db, djs_ctx_t *ctx, const djs_bytes_t *columns,
                        djs_record_t *record);

/* engine_db_all.c: as djs_engine_ops_t has them. */
apr_status_t djs_db_clear_expired(djs_engine_t *engine, djs_ctx_t *ctx, apr_size_t *removed);
apr_status_t djs_db_list(djs_engine_t *engine, djs_ctx_t *ctx, djs_list_fn each, void *baton);
apr_status_t djs_db_check(djs_engine_t *engine, djs_ctx_t *ctx, say_fn say, void *baton);

#endif
