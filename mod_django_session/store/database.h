/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Borrow a connection, run a statement, give it back; the dialects of SQL.
 *
 * Connections belong to a source: mod_dbd in the server, apr_dbd itself in the tool. A source may
 * block for as long as it likes in open() and close(); so this layer never calls them on a request's
 * thread when it runs threaded: threads of its own do, and hand connections over. Requests wait with
 * a deadline. A connection is held for a statement, handed to the next that waits, and given back
 * to the source as soon as nobody has wanted it for a moment.
 *
 *     request thread             opener             returner            watchman
 *     idle one there: take it
 *     else ask, wait for it      source->open()
 *     run the statement                                                 cuts what has outlived
 *     hand over or leave idle                       source->close()     its deadline
 *
 * While the database is down every call fails at once, except one at a time, which probes. It is
 * down after a connection could not be opened while we had none, and after a statement was cut
 * during which no other was answered; it is up again with the first answer.
 *
 * Statements are prepared by us, once per connection, when first used; a connection that lost them
 * prepares them anew (PostgreSQL after a reset or a changed table, MariaDB after a reconnection) and
 * a dead connection is replaced, without the caller noticing.
 */
#ifndef DJS_DATABASE_H
#define DJS_DATABASE_H

#include <apr_dbd.h>

#include "../core/djs.h"

typedef struct djs_database_t djs_database_t;

typedef enum djs_dialect_t { DJS_SQLITE, DJS_POSTGRESQL, DJS_MYSQL } djs_dialect_t;

/** A connection as a source lends it. */
typedef struct djs_dbd_lent_t {
    const apr_dbd_driver_t *driver;
    apr_dbd_t *handle;
    apr_pool_t *pool; /* lives as long as the connection */
    void *lender;     /* the source's own */
} djs_dbd_lent_t;

/** Where connections come from. Functions may be called from any thread. */
typedef struct djs_dbd_source_t {
    void *data;
    /**
     * Blocks until there is one. @a pool lives until close(). Anything but APR_SUCCESS: none to be
     * had; @a why may say why, in @a pool.
     */
    apr_status_t (*open)(void *data, apr_pool_t *pool, djs_dbd_lent_t *lent, const char **why);
    void (*close)(void *data, djs_dbd_lent_t *lent);
    int threaded; /* 0: open() and close() are called on the caller's thread, nothing is cut */
    /**
     * NULL, or: does the caller hold a connection of this source already? 1: @a lent is it, for
     * a statement. Then no other is waited for, which with a full pool could be for ever.
     */
    int (*held)(void *data, djs_ctx_t *ctx, djs_dbd_lent_t *lent);
} djs_dbd_source_t;

/**
 * Connections straight from apr_dbd, for programs without mod_dbd: opened when needed, closed when
 * given back.
 *
 * @param driver  "sqlite3", "pgsql", "mysql"
 * @param params  what DBDParams would say; may hold a password, is never quoted
 * @return DJS_EUNSUPPORTED: apr-util has no such driver on this machine
 */
apr_status_t djs_dbd_direct_source(djs_ctx_t *ctx, apr_pool_t *pool, const char *driver,
                                   const char *params, djs_dbd_source_t *source) DJS_MUST_CHECK;

/**
 * A database. Threads start at the first need, so this may be called before a fork; each child has
 * its own. Everything ends when @a pool is cleaned, before the pools below it: what we hold goes back
 * to the source; a thread that is stuck in the source is waited for, but not for ever.
 *
 * Call it before other threads are made: for pgsql it sets PGCONNECT_TIMEOUT unless the environment
 * has it, since libpq's connecting has no limit else. For mysql the administrator can set a limit, in
 * the option file's group that DBDParams names with group=.
 *
 * @param source  copied; its data must outlive @a pool, and a stuck open()
 * @param driver  apr_dbd's name: "sqlite3", "pgsql", "mysql"; DJS_EUNSUPPORTED for another
 */
apr_status_t djs_database_open(djs_ctx_t *ctx, apr_pool_t *pool, const djs_dbd_source_t *source,
                               const char *driver, djs_database_t **database) DJS_MUST_CHECK;

/**
 * Stop when @a pool is cleaned, too: in a child of the server, whose connections end with a pool of
 * the child's own. To be called in the child before its first request.
 */
void djs_database_stop_with(djs_database_t *database, apr_pool_t *pool);

/**
 * It was stopped, but a thread is inside the source still and cannot be ended. What the source lives
 * in is not to be destroyed then: the thread will go on there, or holds a lock that is wanted for it.
 */
int djs_database_is_stuck(const djs_database_t *database);

djs_dialect_t djs_database_dialect(const djs_database_t *database);

/**
 * A statement: its text in this dialect with the %s, %pDt, … of apr_dbd_prepare. Known by its
 * address: made once, and lives as long as the connections.
 */
typedef struct djs_statement_t {
    const char *label; /* lower case, no spaces */
    const char *what;  /* begins a message: "cannot read table \"x\"" */
    const char *sql;
    int params;
    int idempotent; /* may be run again when the answer was lost */
} djs_statement_t;

#define DJS_COLUMNS_MAX 16

/**
 * Called for each row; the bytes are valid during the call. NULL data is SQL's NULL. A connection is
 * held meanwhile: copy, and return. Anything but APR_SUCCESS ends the SELECT and is its result.
 */
typedef apr_status_t (*djs_row_fn)(void *baton, djs_ctx_t *ctx, const djs_bytes_t *columns,
                                   int count);

/**
 * Run a SELECT and hand its rows over. An error is never taken for "no rows". What is no text in the
 * table is to be CAST to CHAR for MySQL.
 * APR_SUCCESS; DJS_ESTORE; DJS_EINVAL: an argument is no value of the type that its place has; or
 * what @a each returned.
 */
apr_status_t djs_database_select(djs_ctx_t *ctx, djs_database_t *database,
                                 const djs_statement_t *statement, const char *const *args,
                                 djs_row_fn each, void *baton) DJS_MUST_CHECK;

/**
 * Run any other statement. @a rows: how many it touched, as the driver counts.
 * APR_SUCCESS; APR_EEXIST: a unique key was violated; DJS_EINVAL, as above; DJS_ESTORE: not run, or
 * not known to have run (then *lost, when not NULL, is 1).
 */
apr_status_t djs_database_execute(djs_ctx_t *ctx, djs_database_t *database,
                                  const djs_statement_t *statement, const char *const *args,
                                  int *rows, int *lost) DJS_MUST_CHECK;

/** Quote a [schema.]table or a column in this dialect, for a statement's text. */
const char *djs_database_quote(apr_pool_t *pool, const djs_database_t *database, const char *name);

#endif
