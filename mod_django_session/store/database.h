/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Borrow a connection, run a statement, give it back; the dialects of SQL.
 *
 * Connections belong to a source: mod_dbd in the server, apr_dbd itself in the tool. A source may
 * block for as long as it likes in open(); so this layer never calls it on a request's thread when
 * it runs threaded: an opener thread of its own does, and hands connections over. Requests wait with
 * a deadline. A connection is held for a statement, handed to the next that waits, and given back
 * to the source as soon as nobody has wanted it for a moment.
 *
 *     request thread                 opener thread              keeper thread
 *     idle one there: take it
 *     else ask, wait till deadline   source->open()             gives idle ones back; cuts the
 *     run statement                                             socket under a statement that has
 *     next waiter there: hand over                              outlived its deadline
 *
 * While the database is down every call fails at once, except one at a time, which probes.
 *
 * Statements are prepared once per connection, by us, when first used; a connection that lost them
 * (PostgreSQL after a reset, SQLite after a schema change) prepares them anew, once, and a dead
 * connection is replaced, without the caller noticing.
 */
#ifndef DJS_DATABASE_H
#define DJS_DATABASE_H

#include <apr_dbd.h>
#include <apr_hash.h>

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
    /** Blocks until there is one. @a pool lives until close(). Anything else: none to be had. */
    apr_status_t (*open)(void *data, apr_pool_t *pool, djs_dbd_lent_t *lent, const char **why);
    void (*close)(void *data, djs_dbd_lent_t *lent);
    int threaded; /* 0: open() is called on the caller's thread (the tool) */
} djs_dbd_source_t;

/**
 * A database. Threads start at the first need, so this may be called before a fork; each child has
 * its own. Everything ends with @a pool.
 *
 * @param driver  apr_dbd's name: "sqlite3", "pgsql", "mysql"; DJS_EUNSUPPORTED for another
 */
apr_status_t djs_database_open(djs_ctx_t *ctx, apr_pool_t *pool, const djs_dbd_source_t *source,
                               const char *driver, djs_database_t **database) DJS_MUST_CHECK;

djs_dialect_t djs_database_dialect(const djs_database_t *database);

/**
 * A statement: its text in this dialect with %s, %lld, … of apr_dbd_prepare, known by its address.
 * Made once at start.
 */
typedef struct djs_statement_t {
    const char *label; /* lower case, unique in the process */
    const char *sql;
    int params;
    int idempotent; /* may be run again when the answer was lost */
} djs_statement_t;

/** Called for the row that was found; texts are valid during the call. NULL is SQL's NULL. */
typedef apr_status_t (*djs_row_fn)(void *baton, djs_ctx_t *ctx, const char *const *columns,
                                   int count);

/**
 * Run a SELECT and hand its rows over. An error is never taken for "no rows".
 * APR_SUCCESS; DJS_ESTORE; or what @a each returned.
 */
apr_status_t djs_database_select(djs_ctx_t *ctx, djs_database_t *database,
                                 const djs_statement_t *statement, const char *const *args,
                                 djs_row_fn each, void *baton) DJS_MUST_CHECK;

/**
 * Run any other statement. @a rows: how many it touched, as the driver counts.
 * APR_SUCCESS; APR_EEXIST: a unique key was violated; DJS_ESTORE: not run, or not known to have run
 * (then *lost, when not NULL, is 1).
 */
apr_status_t djs_database_execute(djs_ctx_t *ctx, djs_database_t *database,
                                  const djs_statement_t *statement, const char *const *args,
                                  int *rows, int *lost) DJS_MUST_CHECK;

/** Quote a [schema.]table or a column in this dialect; the name was checked by the settings. */
const char *djs_database_quote(apr_pool_t *pool, const djs_database_t *database, const char *name);

#endif
