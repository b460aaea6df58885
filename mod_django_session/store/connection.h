/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection: statements prepared on it, and what its driver's errors mean.
 *
 * apr_dbd hides what we have to know: whether an error means that a statement was lost, a key taken
 * or the connection gone; which socket it is. So we ask the client library itself, found in the
 * driver's own dependencies, with no link to it.
 *
 *     SQLite      statements run through the library alone: apr_dbd_sqlite3 holds a lock of the whole
 *                 process while it waits for another writer, sleeps for 100 ms at a time, and never
 *                 prepares again after a schema change
 *     PostgreSQL  through apr_dbd, with random access (so that an error is told from a miss), the
 *                 SQLSTATE from libpq's verbose message
 *     MySQL       through apr_dbd, the errno being what its functions return
 *
 * What we keep for a connection lives in the connection's own pool and is found there again when the
 * source lends it the next time. Not thread-safe, except djs_connection_cut().
 */
#ifndef DJS_CONNECTION_H
#define DJS_CONNECTION_H

#include "database.h"

typedef struct djs_connection_t djs_connection_t;

/** What became of a statement. In all but RAN and LOST nothing was changed. */
typedef enum djs_outcome_t {
    DJS_RAN,
    DJS_DUPLICATE, /* a unique key would have been violated */
    DJS_NOVALUE,   /* an argument is no value of its type */
    DJS_AGAIN,     /* not run; a second try may help: statement lost, table changed, deadlock */
    DJS_REFUSED,   /* the database answered with another error */
    DJS_LOST       /* the connection is gone, and whether it ran is not known */
} djs_outcome_t;

/** A statement to run, and what comes of it. */
typedef struct djs_run_t {
    const djs_statement_t *statement;
    const char *const *args;
    apr_interval_time_t patience; /* for locks of others */
    djs_row_fn each;              /* NULL: not a SELECT */
    void *baton;
    int rows;         /* touched, or handed over */
    apr_status_t rv;  /* what each() returned */
    const char *why;  /* what the database said, in ctx->pool; no argument is quoted in it */
} djs_run_t;

/**
 * What we keep for a lent connection; made when it is lent for the first time.
 * DJS_EUNSUPPORTED: the driver's library does not offer what we need.
 */
apr_status_t djs_connection_of(const djs_dbd_lent_t *lent, djs_dialect_t dialect,
                               djs_connection_t **connection, const char **why);

/** Has the other side hung up while nothing was running? Costs a system call, no round trip. */
int djs_connection_alive(djs_connection_t *connection);

/** Make the driver notice that a connection is dead, and connect anew. May block. */
apr_status_t djs_connection_revive(djs_connection_t *connection, const char **why);

/** Before it goes back to the source: leave it as it came, and let the driver know if it is dead. */
void djs_connection_give_up(djs_connection_t *connection);

djs_outcome_t djs_connection_run(djs_ctx_t *ctx, djs_connection_t *connection, djs_run_t *run);

/** End what runs on it, from another thread. */
void djs_connection_cut(djs_connection_t *connection);

#endif
