/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What connection.c and connection_sqlite.c share; for nobody else.
 */
#ifndef DJS_CONNECTION_IMPL_H
#define DJS_CONNECTION_IMPL_H

#include "connection.h"

#include <pthread.h>
#include <stddef.h>

#include <apr_hash.h>

/* A function of a client library, and where its address goes. */
typedef struct djs_symbol_t {
    const char *name;
    apr_size_t offset;
    int needed;
} djs_symbol_t;

/* 1: all that are needed were found. Ends with a NULL name. */
int djs_library_find(const apr_dbd_driver_t *driver, const djs_symbol_t *wanted, void *functions);

/* libpq-fe.h */
typedef struct djs_pgsql_library_t {
    int (*status)(const void *conn); /* 0 is CONNECTION_OK */
    int (*socket)(const void *conn);
    int (*backend)(const void *conn);
    int (*set_verbosity)(void *conn, int verbosity);
} djs_pgsql_library_t;

/* mysql.h */
typedef struct djs_mysql_library_t {
    int (*socket)(void *mysql);
    unsigned long (*thread_id)(void *mysql);
} djs_mysql_library_t;

/* sqlite3.h */
typedef struct djs_sqlite_library_t {
    int (*prepare)(void *db, const char *sql, int len, void **stmt, const char **tail);
    int (*bind_text)(void *stmt, int place, const char *text, int len, void (*destroy)(void *));
    int (*step)(void *stmt);
    int (*reset)(void *stmt);
    int (*clear_bindings)(void *stmt);
    int (*finalize)(void *stmt);
    int (*column_count)(void *stmt);
    void *(*column_value)(void *stmt, int column);
    int (*value_type)(void *value);
    apr_int64_t (*value_int64)(void *value);
    const unsigned char *(*value_text)(void *value);
    int (*value_bytes)(void *value);
    int (*column_int)(void *stmt, int column);
    int (*changes)(void *db);
    const char *(*errmsg)(void *db);
    int (*extended_errcode)(void *db);
    int (*busy_timeout)(void *db, int milliseconds);
    void (*interrupt)(void *db);
} djs_sqlite_library_t;

struct djs_connection_t {
    djs_dbd_lent_t lent;
    djs_dialect_t dialect;
    void *native; /* PGconn, MYSQL, sqlite3 */
    apr_pool_t *pool;
    apr_pool_t *prepared_pool;
    apr_hash_t *prepared; /* address of a djs_statement_t → what it was prepared to */
    unsigned int serial;
    unsigned long server_side; /* process or thread that serves us */
    int dead;
    int busy_timeout;     /* SQLite: as it was when lent, in ms */
    pthread_mutex_t lock; /* of fd */
    int fd;               /* a duplicate of the driver's socket; -1: none */
    union {
        djs_pgsql_library_t pgsql;
        djs_mysql_library_t mysql;
        djs_sqlite_library_t sqlite;
    } library;
};

/* Note what the database said: one line, bounded, without our arguments. */
void djs_connection_said(djs_ctx_t *ctx, djs_run_t *run, const char *message);

int djs_sqlite_find(djs_connection_t *connection);
void djs_sqlite_lent(djs_connection_t *connection);
void djs_sqlite_give_up(djs_connection_t *connection);
void djs_sqlite_cut(djs_connection_t *connection);
djs_outcome_t djs_sqlite_run(djs_ctx_t *ctx, djs_connection_t *connection, djs_run_t *run);

#endif
