/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connections of one process to one server of a cache: a bounded pool, and what is known of the
 * server's health. Each connection is one client handle of libmemcached or hiredis, used by one
 * thread at a time, opened when needed, kept while it is good.
 *
 * After a connection or an answer was not to be had, the server counts as down: calls fail at once,
 * but for one at a time, which probes (not more often than each 100 ms). The first success ends that.
 * So no request waits longer than its patience, and while a server is down only probes wait at all.
 */
#ifndef DJS_CLIENTS_H
#define DJS_CLIENTS_H

#include "../core/djs.h"

typedef struct djs_clients_t djs_clients_t;

/** How clients of one kind are made. Functions may be called from any thread. */
typedef struct djs_clients_kind_t {
    /**
     * Connect within @a within. NULL: failed, and ctx->problem is noted (no password in it).
     * @a baton is the one of djs_clients_make.
     */
    void *(*open)(void *baton, djs_ctx_t *ctx, apr_interval_time_t within);
    void (*close)(void *client);
} djs_clients_kind_t;

/**
 * A pool of at most @a most clients. Nothing is connected yet; a child of the server that was forked
 * after this has its own. All are closed when @a pool is cleaned; none may be lent then.
 *
 * @param name  for messages: "127.0.0.1:11211", no credentials
 */
djs_clients_t *djs_clients_make(apr_pool_t *pool, const djs_clients_kind_t *kind, void *baton,
                                const char *name, int most);

/**
 * A client for one operation. Waits for a free one, or connects, within ctx->patience, and takes from
 * that what it used.
 * DJS_ESTORE: the server is down, cannot be connected to, or no client came free in time.
 *
 * @param fresh  1: it was connected for this call. What fails on one that is not fresh because its
 *               server was restarted is worth a second attempt on a fresh one
 */
apr_status_t djs_clients_borrow(djs_ctx_t *ctx, djs_clients_t *clients, void **client, int *fresh)
    DJS_MUST_CHECK;

/** How a loan ended. */
typedef enum djs_loan_t {
    DJS_LOAN_GOOD,   /* the server answered, whatever it said */
    DJS_LOAN_STALE,  /* the connection was dead; that tells nothing of the server yet, but the idle
                        ones are as old: they are closed */
    DJS_LOAN_BROKEN  /* no answer in time, or refused: the server counts as down */
} djs_loan_t;

/** Give back what djs_clients_borrow lent; STALE and BROKEN clients are closed. */
void djs_clients_give_back(djs_clients_t *clients, void *client, djs_loan_t loan);

/** For tests: what the time is, instead of the system's monotonic clock. */
void djs_clients_set_clock(djs_clients_t *clients, apr_time_t (*clock)(void *baton), void *baton);

/** For the status page and tests: how many are lent, how many idle, and whether it counts as down. */
void djs_clients_state(djs_clients_t *clients, int *lent, int *idle, int *down);

#endif
