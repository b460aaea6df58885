/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See clients.h. One lock, which is never held while a client is opened, used or closed.
 *
 *     up     --- cannot connect, or a loan ended BROKEN --->  down, nobody probes before `probe_at`
 *     down   --- `probe_at` has come: the next to borrow --->  down, probing: it alone goes on
 *     down   --- a loan ended GOOD, of the probe or older -->  up
 *
 * Whoever waits for a client when its server goes down is woken, and fails.
 */
#include "clients.h"

#include <pthread.h>
#include <time.h>

/* Between two probes. */
#define PROBE_EVERY apr_time_from_msec(100)

struct djs_clients_t {
    const djs_clients_kind_t *kind;
    void *baton;
    const char *name;
    apr_time_t (*clock)(void *baton);
    void *clock_baton;
    int most;

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t freed; /* a client, a place for one, or all hope */
    void **idle;          /* the one that was used last is on top */
    int idle_count;
    int lent; /* those being opened, too */
    int down;
    int probing;
    void *probe; /* while one is lent for probing */
    apr_time_t probe_at;
};

/* ---- Time ------------------------------------------------------------------------------------ */

static apr_time_t monotonic(void *baton)
{
    struct timespec now;

    (void)baton;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return apr_time_from_sec(now.tv_sec) + now.tv_nsec / 1000;
}

static apr_time_t now_of(const djs_clients_t *clients)
{
    return clients->clock(clients->clock_baton);
}

/* 0: nothing came in time. */
static int wait_for(djs_clients_t *clients, apr_interval_time_t span)
{
    apr_time_t until = monotonic(NULL) + span;
    struct timespec at;

    at.tv_sec = (time_t)apr_time_sec(until);
    at.tv_nsec = (long)apr_time_usec(until) * 1000;
    return pthread_cond_timedwait(&clients->freed, &clients->lock, &at) == 0;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static apr_status_t close_all(void *data)
{
    djs_clients_t *clients = data;

    while (clients->idle_count > 0) {
        clients->kind->close(clients->idle[--clients->idle_count]);
    }
    pthread_cond_destroy(&clients->freed);
    pthread_mutex_destroy(&clients->lock);
    return APR_SUCCESS;
}

djs_clients_t *djs_clients_make(apr_pool_t *pool, const djs_clients_kind_t *kind, void *baton,
                                const char *name, int most)
{
    djs_clients_t *clients = apr_pcalloc(pool, sizeof(*clients));
    pthread_condattr_t attributes;

    clients->kind = kind;
    clients->baton = baton;
    clients->name = apr_pstrdup(pool, name);
    clients->most = most;
    clients->clock = monotonic;
    clients->idle = apr_palloc(pool, (apr_size_t)most * sizeof(*clients->idle));
    pthread_mutex_init(&clients->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&clients->freed, &attributes);
    pthread_condattr_destroy(&attributes);
    apr_pool_cleanup_register(pool, clients, close_all, apr_pool_cleanup_null);
    return clients;
}

void djs_clients_set_clock(djs_clients_t *clients, apr_time_t (*clock)(void *baton), void *baton)
{
    clients->clock = clock;
    clients->clock_baton = baton;
}

/* ---- What is known of the server; with the lock ---------------------------------------------- */

static void mark_down(djs_clients_t *clients)
{
    clients->down = 1;
    clients->probe_at = now_of(clients) + PROBE_EVERY;
    pthread_cond_broadcast(&clients->freed);
}

/* The probe has ended, however. */
static void end_probe(djs_clients_t *clients)
{
    clients->probing = 0;
    clients->probe = NULL;
    clients->probe_at = now_of(clients) + PROBE_EVERY;
}

/* Close the idle ones: they are as old as one that was dead. Gives the lock up meanwhile. */
static void close_idle(djs_clients_t *clients)
{
    while (clients->idle_count > 0) {
        void *client = clients->idle[--clients->idle_count];

        pthread_mutex_unlock(&clients->lock);
        clients->kind->close(client);
        pthread_mutex_lock(&clients->lock);
    }
}

/* ---- Borrow ---------------------------------------------------------------------------------- */

typedef enum claim_t { CLAIM_CLIENT, CLAIM_PLACE, CLAIM_DOWN, CLAIM_NONE } claim_t;

/* An idle client, or the right to open one; with the lock. */
static claim_t claim(djs_clients_t *clients, apr_time_t deadline, void **client, int *is_probe)
{
    for (;;) {
        apr_interval_time_t left = deadline - now_of(clients);

        if (clients->down && (clients->probing || now_of(clients) < clients->probe_at)) {
            return CLAIM_DOWN;
        }
        if (clients->idle_count > 0 && !clients->down) {
            *client = clients->idle[--clients->idle_count];
            clients->lent++;
            return CLAIM_CLIENT;
        }
        if (clients->lent < clients->most) {
            clients->lent++;
            *is_probe = clients->probing = clients->down;
            return CLAIM_PLACE;
        }
        if (left <= 0 || !wait_for(clients, left)) {
            return CLAIM_NONE;
        }
    }
}

/* With the lock, which is given up while connecting takes its time. */
static apr_status_t open_client(djs_ctx_t *ctx, djs_clients_t *clients, apr_time_t deadline,
                                int is_probe, void **client)
{
    apr_time_t begin = now_of(clients);
    apr_interval_time_t within = deadline - begin;

    pthread_mutex_unlock(&clients->lock);
    *client = within > 0 ? clients->kind->open(clients->baton, ctx, within) : NULL;
    pthread_mutex_lock(&clients->lock);
    if (*client != NULL) {
        clients->probe = is_probe ? *client : clients->probe;
        return APR_SUCCESS;
    }
    clients->lent--;
    if (is_probe) {
        end_probe(clients);
    }
    /* Who had no time to wait has learnt nothing. */
    if (within >= PROBE_EVERY || now_of(clients) - begin < within) {
        mark_down(clients);
        close_idle(clients);
    }
    pthread_cond_signal(&clients->freed);
    return djs_fail(ctx, DJS_ESTORE, "cannot connect to %s", clients->name);
}

static apr_status_t borrow(djs_ctx_t *ctx, djs_clients_t *clients, apr_time_t deadline,
                           void **client, int *fresh)
{
    int is_probe = 0;

    *fresh = 0;
    switch (claim(clients, deadline, client, &is_probe)) {
    case CLAIM_CLIENT:
        return APR_SUCCESS;
    case CLAIM_PLACE:
        *fresh = 1;
        return open_client(ctx, clients, deadline, is_probe, client);
    case CLAIM_DOWN:
        return djs_fail(ctx, DJS_ESTORE, "%s is down: it did not answer before", clients->name);
    default:
        return djs_fail(ctx, DJS_ESTORE, "%s: none of %d connections came free in time",
                        clients->name, clients->most);
    }
}

apr_status_t djs_clients_borrow(djs_ctx_t *ctx, djs_clients_t *clients, void **client, int *fresh)
{
    apr_interval_time_t patience = ctx->patience;
    apr_time_t begin = now_of(clients);
    apr_interval_time_t used;
    apr_status_t rv;

    *client = NULL;
    if (patience <= 0) {
        *fresh = 0;
        return djs_fail(ctx, DJS_ESTORE, "%s: there was no time left to ask it", clients->name);
    }
    pthread_mutex_lock(&clients->lock);
    rv = borrow(ctx, clients, begin + patience, client, fresh);
    pthread_mutex_unlock(&clients->lock);
    used = now_of(clients) - begin;
    ctx->patience = used < patience ? patience - used : 0;
    return rv;
}

/* ---- Give back ------------------------------------------------------------------------------- */

/* With the lock. */
static void settle(djs_clients_t *clients, void *client, djs_loan_t loan)
{
    if (client == clients->probe) {
        end_probe(clients);
    }
    clients->lent--;
    switch (loan) {
    case DJS_LOAN_GOOD:
        clients->down = 0;
        clients->idle[clients->idle_count++] = client;
        break;
    case DJS_LOAN_STALE:
        close_idle(clients);
        break;
    case DJS_LOAN_BROKEN:
        mark_down(clients);
        close_idle(clients);
        break;
    }
    pthread_cond_signal(&clients->freed);
}

void djs_clients_give_back(djs_clients_t *clients, void *client, djs_loan_t loan)
{
    pthread_mutex_lock(&clients->lock);
    settle(clients, client, loan);
    pthread_mutex_unlock(&clients->lock);
    if (loan != DJS_LOAN_GOOD) {
        clients->kind->close(client);
    }
}

void djs_clients_state(djs_clients_t *clients, int *lent, int *idle, int *down)
{
    pthread_mutex_lock(&clients->lock);
    *lent = clients->lent;
    *idle = clients->idle_count;
    *down = clients->down;
    pthread_mutex_unlock(&clients->lock);
}
