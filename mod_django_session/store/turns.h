/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns at costly work: a bounded number of threads do it at once, in all processes of the server.
 *
 * A turn is a mutex in memory that children inherit, a robust one: who dies with it gives it back.
 * Where all are taken one more thread may wait for each of them, and for a while; whoever comes then
 * is told at once. So work that is not worth waiting for never holds more than twice the bound of
 * the server's threads.
 */
#ifndef DJS_TURNS_H
#define DJS_TURNS_H

#include "../core/djs.h"

/** Most turns that there can be. */
#define DJS_TURNS_MAX 64

typedef struct djs_turns_t djs_turns_t;

/** Before there are children. They are gone with @a pool. DJS_ESTORE: the system has no such locks. */
apr_status_t djs_turns_make(djs_ctx_t *ctx, apr_pool_t *pool, djs_turns_t **turns) DJS_MUST_CHECK;

/**
 * Take one of the first @a bound turns. The same thread gives it back, soon.
 *
 * @param bound   1 to DJS_TURNS_MAX
 * @param wait    how long a place in front of a turn may be kept; 0: not at all
 * @param turn    to be given back
 * @param waited  it did wait: the world may have changed
 * @return APR_SUCCESS; APR_EBUSY: all are taken, and all places in front of them, or it took too long
 */
apr_status_t djs_turns_take(djs_ctx_t *ctx, djs_turns_t *turns, int bound, apr_interval_time_t wait,
                            int *turn, int *waited) DJS_MUST_CHECK;

void djs_turns_give(djs_turns_t *turns, int turn);

#endif
