/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who gets which connection, for how long, and what happens when there is none.
 *
 * All of it is in a hub, which the threads share and which the last of them frees: a thread that is
 * stuck in the source may outlive the database.
 *
 * A connection that we have is a member, and is in one of three places:
 *
 *              opener                     borrow                  give_back
 *     source ─────────→ waiter or idle ─────────────→ busy ─────────────────────→ waiter or idle
 *        ↑                              20 ms                 broken, or ours for long
 *        └──────────── returner ←── leaving ←──────────────────────────────────────┘
 */
#include "connection.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A connection that nobody wanted for so long goes back to its source. */
#define IDLE_MAX (20 * 1000)
/* So does one that we have had for so long, wanted or not: others wait for it, too. */
#define TENURE_MAX (100 * 1000)
/* How often the watchman looks while a statement runs that he has cut, or that is waited for. */
#define WATCH_EVERY (50 * 1000)
/* While the database is down: the time between two probes. While we have connections, but no more
   can be opened: the time between two attempts. */
#define PROBE_EVERY (100 * 1000)
/* How long the end of a database waits for a thread that is stuck in the source. */
#define STOP_MAX (1000 * 1000)
/* How often a statement is begun in all, with dead connections and lost statements. */
#define ATTEMPTS_MAX 3
/* A connection that has answered so lately is not asked whether it is alive, which is a system call;
 * nor is it for a statement that may be run again, since whose connection is dead is served by the
 * next attempt. */
#define ALIVE_FOR 1000

/* Seconds, for connecting. */
#define PGCONNECT_TIMEOUT "2"

#define THREADS 3
/* How often the source is asked for a connection, while it says no at once. */
#define OPEN_TRIES_MAX 4
#define OPEN_QUICK (500 * 1000)

#define STACK_SIZE (512 * 1024)
#define WHY_MAX 300

typedef struct member_t member_t;
struct member_t {
    member_t *next, **back; /* its place in a list */
    apr_pool_t *pool;
    djs_dbd_lent_t lent;
    djs_connection_t *connection;
    apr_time_t ours_since;
    apr_time_t idle_since;
    apr_time_t started;
    apr_time_t deadline;
    apr_time_t answered; /* when the database last said something on it */
    int cut;             /* by the watchman */
};

typedef struct waiter_t waiter_t;
struct waiter_t {
    waiter_t *next;
    pthread_cond_t woken;
    apr_time_t deadline;
    member_t *member;
    int refused;
};

typedef struct hub_t {
    pthread_mutex_t lock;
    pthread_cond_t open_wanted, return_wanted, watch_wanted, thread_ended;
    djs_dbd_source_t source;
    djs_dialect_t dialect;
    int users;     /* the database and its threads: who leaves last frees it */
    int threads;   /* how many run */
    int stopping;
    int abandoned; /* the source may be gone: touch nothing of it */
    int stuck;     /* and not all threads had left it */
    int sweeping;  /* the returner will look by himself */
    apr_time_t watch_at; /* so will the watchman, then; 0: when told */

    waiter_t *waiters;
    member_t *idle, *busy, *leaving;

    int down;
    int probing;
    apr_time_t next_open;   /* not before */
    apr_time_t last_answer;
    char why[WHY_MAX];
} hub_t;

struct djs_database_t {
    hub_t *hub;
};

/* ---- Time, lists ----------------------------------------------------------------------------- */

/* Microseconds of a clock that nobody sets. */
static apr_time_t ticks(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (apr_time_t)now.tv_sec * APR_USEC_PER_SEC + now.tv_nsec / 1000;
}

static void make_cond(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void wait_until(hub_t *hub, pthread_cond_t *cond, apr_time_t when)
{
    struct timespec at;

    at.tv_sec = (time_t)apr_time_sec(when);
    at.tv_nsec = (long)apr_time_usec(when) * 1000;
    pthread_cond_timedwait(cond, &hub->lock, &at);
}

static void put(member_t **list, member_t *member)
{
    member->next = *list;
    member->back = list;
    if (*list != NULL) {
        (*list)->back = &member->next;
    }
    *list = member;
}

static void take(member_t *member)
{
    *member->back = member->next;
    if (member->next != NULL) {
        member->next->back = member->back;
    }
}

static void move_all(member_t **from, member_t **to)
{
    while (*from != NULL) {
        member_t *member = *from;

        take(member);
        put(to, member);
    }
}

/* ---- Opening and closing: never with the lock held ------------------------------------------- */

static void close_member(hub_t *hub, member_t *member)
{
    djs_connection_give_up(member->connection);
    hub->source.close(hub->source.data, &member->lent);
    apr_pool_destroy(member->pool);
}

static member_t *open_once(hub_t *hub, const char **why, apr_pool_t *pool)
{
    member_t *member = apr_pcalloc(pool, sizeof(*member));
    apr_status_t rv;

    member->pool = pool;
    if (hub->source.open(hub->source.data, pool, &member->lent, why) != APR_SUCCESS) {
        return NULL;
    }
    rv = djs_connection_of(&member->lent, hub->dialect, &member->connection, why);
    if (rv == APR_SUCCESS && !djs_connection_alive(member->connection)) {
        rv = djs_connection_revive(member->connection, why);
    }
    if (rv != APR_SUCCESS) {
        hub->source.close(hub->source.data, &member->lent);
        return NULL;
    }
    return member;
}

/*
 * mod_dbd answers with nothing when the connection that it meant to lend is dead, and throws that
 * one away: the next may be good. A refusal that took its time was no such thing.
 */
static member_t *open_member(hub_t *hub, const char **why, apr_pool_t *pool)
{
    apr_time_t begun = ticks();
    member_t *member;
    int tries = 0;

    do {
        member = open_once(hub, why, pool);
    } while (member == NULL && ++tries < OPEN_TRIES_MAX && ticks() - begun < OPEN_QUICK);
    return member;
}

/* ---- Members change hands: with the lock held ------------------------------------------------ */

static void lend(hub_t *hub, member_t *member, apr_time_t deadline)
{
    member->started = ticks();
    member->deadline = deadline;
    member->cut = 0;
    put(&hub->busy, member);
    if (hub->watch_at == 0 || deadline < hub->watch_at) {
        pthread_cond_signal(&hub->watch_wanted);
    }
}

static void leave(hub_t *hub, member_t *member)
{
    put(&hub->leaving, member);
    pthread_cond_signal(&hub->return_wanted);
}

/* To the one that waits longest, else aside. */
static void hand_out(hub_t *hub, member_t *member)
{
    waiter_t *waiter = hub->waiters;

    if (waiter != NULL) {
        hub->waiters = waiter->next;
        waiter->member = member;
        lend(hub, member, waiter->deadline);
        pthread_cond_signal(&waiter->woken);
        return;
    }
    member->idle_since = ticks();
    put(&hub->idle, member);
    if (!hub->sweeping) {
        pthread_cond_signal(&hub->return_wanted);
    }
}

static void refuse_waiters(hub_t *hub)
{
    waiter_t *waiter;

    for (waiter = hub->waiters; waiter != NULL; waiter = waiter->next) {
        waiter->refused = 1;
        pthread_cond_signal(&waiter->woken);
    }
    hub->waiters = NULL;
}

/* The next may probe after @a pause. */
static void go_down(hub_t *hub, const char *why, apr_interval_time_t pause)
{
    hub->down = 1;
    hub->next_open = ticks() + pause;
    apr_cpystrn(hub->why, why != NULL ? why : "no connection to be had", sizeof(hub->why));
}

static void opening_failed(hub_t *hub, const char *why)
{
    if (hub->busy == NULL && hub->idle == NULL) {
        go_down(hub, why, PROBE_EVERY);
        refuse_waiters(hub);
    }
    else {
        hub->next_open = ticks() + PROBE_EVERY; /* those that we have serve on */
    }
}

/* ---- The threads ----------------------------------------------------------------------------- */

static void *open_for_waiters(void *data)
{
    hub_t *hub = data;

    pthread_mutex_lock(&hub->lock);
    while (!hub->stopping) {
        const char *why = NULL;
        apr_pool_t *pool;
        member_t *member;

        if (hub->waiters == NULL) {
            pthread_cond_wait(&hub->open_wanted, &hub->lock);
            continue;
        }
        if (!hub->down && ticks() < hub->next_open) {
            wait_until(hub, &hub->open_wanted, hub->next_open);
            continue;
        }
        pthread_mutex_unlock(&hub->lock);
        if (apr_pool_create(&pool, NULL) != APR_SUCCESS) {
            abort(); /* as APR itself does without memory */
        }
        member = open_member(hub, &why, pool);
        pthread_mutex_lock(&hub->lock);
        if (hub->abandoned) {
            break;
        }
        if (member != NULL) {
            member->ours_since = ticks();
            hand_out(hub, member);
        }
        else {
            opening_failed(hub, why);
            apr_pool_destroy(pool);
        }
    }
    return hub;
}

/* Returns when to look again; 0: when told. */
static apr_time_t sweep_idle(hub_t *hub)
{
    apr_time_t now = ticks(), next = 0;
    member_t *member, *after;

    for (member = hub->idle; member != NULL; member = after) {
        apr_time_t end = member->idle_since + IDLE_MAX;

        after = member->next;
        if (end <= now || hub->stopping) {
            take(member);
            put(&hub->leaving, member);
        }
        else if (next == 0 || end < next) {
            next = end;
        }
    }
    return next == 0 && hub->busy != NULL ? now + IDLE_MAX : next; /* those are idle soon */
}

static void *return_idle(void *data)
{
    hub_t *hub = data;

    pthread_mutex_lock(&hub->lock);
    while (!hub->abandoned) {
        apr_time_t next = sweep_idle(hub);
        member_t *member = hub->leaving;

        if (member != NULL) {
            take(member);
            pthread_mutex_unlock(&hub->lock);
            close_member(hub, member);
            pthread_mutex_lock(&hub->lock);
            continue;
        }
        if (hub->stopping && hub->busy == NULL && hub->threads == 1) {
            break; /* the last: nobody can bring another one */
        }
        hub->sweeping = next != 0;
        if (next != 0) {
            wait_until(hub, &hub->return_wanted, next);
        }
        else {
            pthread_cond_wait(&hub->return_wanted, &hub->lock);
        }
    }
    return hub;
}

/* Cut what has outlived its deadline. Returns when to look again; 0: when told. */
static apr_time_t cut_overdue(hub_t *hub)
{
    apr_time_t now = ticks(), soon = now + WATCH_EVERY, next = 0;
    member_t *member;

    for (member = hub->busy; member != NULL; member = member->next) {
        apr_time_t again = hub->stopping && soon < member->deadline ? soon : member->deadline;

        if (member->deadline <= now) {
            /* Time and again: SQLite forgets a cut that comes before the statement has begun. */
            member->cut = 1;
            djs_connection_cut(member->connection);
            again = soon;
        }
        next = next == 0 || again < next ? again : next;
    }
    return next;
}

/* Sleeps until the first deadline of those that ran when he looked; by then most have long ended, and
   of the many that came after them, whose deadlines are later, none has woken him. */
static void *watch_busy(void *data)
{
    hub_t *hub = data;

    pthread_mutex_lock(&hub->lock);
    while (!hub->stopping || (hub->busy != NULL && !hub->abandoned)) {
        hub->watch_at = cut_overdue(hub);
        if (hub->watch_at != 0) {
            wait_until(hub, &hub->watch_wanted, hub->watch_at);
        }
        else {
            pthread_cond_wait(&hub->watch_wanted, &hub->lock);
        }
    }
    return hub;
}

/* ---- Life of a hub --------------------------------------------------------------------------- */

/* Leaves the lock, which the caller holds. */
static void leave_hub(hub_t *hub)
{
    int users = --hub->users;

    pthread_mutex_unlock(&hub->lock);
    if (users > 0) {
        return;
    }
    pthread_cond_destroy(&hub->open_wanted);
    pthread_cond_destroy(&hub->return_wanted);
    pthread_cond_destroy(&hub->watch_wanted);
    pthread_cond_destroy(&hub->thread_ended);
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}

/* Each thread comes back with the lock. */
static void thread_done(hub_t *hub)
{
    hub->threads--;
    pthread_cond_broadcast(&hub->thread_ended);
    pthread_cond_signal(&hub->return_wanted);
    leave_hub(hub);
}

static void *run_opener(void *data)
{
    thread_done(open_for_waiters(data));
    return NULL;
}

static void *run_returner(void *data)
{
    thread_done(return_idle(data));
    return NULL;
}

static void *run_watchman(void *data)
{
    thread_done(watch_busy(data));
    return NULL;
}

static int start_thread(hub_t *hub, pthread_attr_t *attributes, void *(*run)(void *))
{
    pthread_t thread;

    if (pthread_create(&thread, attributes, run, hub) != 0) {
        return 0;
    }
    hub->threads++;
    hub->users++;
    return 1;
}

/* With the lock held. Signals are the business of the process's other threads. */
static int start_threads(hub_t *hub)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    int started;

    if (hub->threads > 0) {
        return hub->threads == THREADS;
    }
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    started = start_thread(hub, &attributes, run_returner) &&
              start_thread(hub, &attributes, run_watchman) &&
              start_thread(hub, &attributes, run_opener);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return started;
}

static void close_all(hub_t *hub)
{
    move_all(&hub->idle, &hub->leaving);
    while (hub->leaving != NULL) {
        member_t *member = hub->leaving;

        take(member);
        close_member(hub, member);
    }
}

/*
 * httpd's prefork ends a child from a signal's handler, which may have interrupted a holder of the
 * lock: then nothing can be done, and the process is about to end anyway.
 */
static int lock_within(hub_t *hub, apr_interval_time_t within)
{
    apr_time_t end = apr_time_now() + within; /* this function wants the wall clock */
    struct timespec at;

    at.tv_sec = (time_t)apr_time_sec(end);
    at.tv_nsec = (long)apr_time_usec(end) * 1000;
    return pthread_mutex_timedlock(&hub->lock, &at) == 0;
}

/* Before the pools of the source go. Once. */
static apr_status_t stop_hub(void *data)
{
    hub_t *hub = data;
    apr_time_t end = ticks() + STOP_MAX;

    if (!lock_within(hub, STOP_MAX)) {
        return APR_SUCCESS;
    }
    hub->stopping = 1;
    refuse_waiters(hub);
    pthread_cond_broadcast(&hub->open_wanted);
    pthread_cond_broadcast(&hub->return_wanted);
    pthread_cond_broadcast(&hub->watch_wanted);
    while (hub->threads > 0 && !hub->abandoned && ticks() < end) {
        wait_until(hub, &hub->thread_ended, end);
    }
    if (hub->threads == 0 && !hub->abandoned) {
        close_all(hub);
    }
    hub->stuck = hub->stuck || (hub->threads > 0 && !hub->abandoned);
    hub->abandoned = 1;
    pthread_cond_broadcast(&hub->return_wanted);
    pthread_cond_broadcast(&hub->watch_wanted);
    pthread_mutex_unlock(&hub->lock);
    return APR_SUCCESS;
}

static apr_status_t end_hub(void *data)
{
    hub_t *hub = data;

    stop_hub(hub);
    if (lock_within(hub, 0)) {
        leave_hub(hub);
    }
    return APR_SUCCESS;
}

static hub_t *make_hub(const djs_dbd_source_t *source, djs_dialect_t dialect)
{
    hub_t *hub = calloc(1, sizeof(*hub));

    if (hub != NULL) {
        pthread_mutex_init(&hub->lock, NULL);
        make_cond(&hub->open_wanted);
        make_cond(&hub->return_wanted);
        make_cond(&hub->watch_wanted);
        make_cond(&hub->thread_ended);
        hub->source = *source;
        hub->dialect = dialect;
        hub->users = 1;
    }
    return hub;
}

/* ---- Borrowing ------------------------------------------------------------------------------- */

static void forget_waiter(hub_t *hub, waiter_t *gone)
{
    waiter_t **at;

    for (at = &hub->waiters; *at != NULL; at = &(*at)->next) {
        if (*at == gone) {
            *at = gone->next;
            return;
        }
    }
}

static member_t *wait_for_member(hub_t *hub, apr_time_t deadline)
{
    waiter_t waiter = { NULL, PTHREAD_COND_INITIALIZER, deadline, NULL, 0 };
    waiter_t **end;

    if (!start_threads(hub)) {
        go_down(hub, "a thread could not be started", PROBE_EVERY);
        return NULL;
    }
    make_cond(&waiter.woken);
    for (end = &hub->waiters; *end != NULL; end = &(*end)->next) {
    }
    *end = &waiter;
    pthread_cond_signal(&hub->open_wanted);
    while (waiter.member == NULL && !waiter.refused && ticks() < deadline) {
        wait_until(hub, &waiter.woken, deadline);
    }
    if (waiter.member == NULL && !waiter.refused) {
        forget_waiter(hub, &waiter);
        if (hub->busy == NULL && hub->idle == NULL) {
            go_down(hub, "no connection came in time", 0);
        }
    }
    pthread_cond_destroy(&waiter.woken);
    return waiter.member;
}

/* The tool: no threads, the connection is kept. */
static member_t *open_here(hub_t *hub, apr_time_t deadline)
{
    const char *why = NULL;
    apr_pool_t *pool;
    member_t *member;

    if (apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        return NULL;
    }
    member = open_member(hub, &why, pool);
    if (member == NULL) {
        opening_failed(hub, why);
        apr_pool_destroy(pool);
        return NULL;
    }
    member->ours_since = ticks();
    lend(hub, member, deadline);
    return member;
}

/* While the database is down, one at a time may see whether it is still. */
static int may_try(hub_t *hub, int *probing)
{
    if (hub->stopping) {
        return 0;
    }
    if (hub->down && (hub->probing || ticks() < hub->next_open)) {
        return 0;
    }
    *probing = hub->down;
    hub->probing = hub->probing || hub->down;
    return 1;
}

static member_t *borrow(djs_ctx_t *ctx, hub_t *hub, apr_time_t deadline, int *probing,
                        const char **why)
{
    member_t *member = NULL;

    *probing = 0;
    pthread_mutex_lock(&hub->lock);
    if (may_try(hub, probing)) {
        member = hub->idle;
        if (member != NULL) {
            take(member);
            lend(hub, member, deadline);
        }
        else {
            member = hub->source.threaded ? wait_for_member(hub, deadline)
                                          : open_here(hub, deadline);
        }
        if (member == NULL && *probing) {
            hub->probing = 0;
        }
    }
    if (member == NULL) {
        *why = hub->down ? apr_pstrdup(ctx->pool, hub->why)
                         : "no connection came free in time";
    }
    pthread_mutex_unlock(&hub->lock);
    return member;
}

/* How a loan ended. */
typedef struct loan_t {
    int probing;
    int answered; /* the database said something */
    int broken;   /* the connection is no good any more */
    int cut;
} loan_t;

static void give_back(hub_t *hub, member_t *member, loan_t *loan)
{
    apr_time_t now = ticks();

    pthread_mutex_lock(&hub->lock);
    take(member);
    loan->cut = member->cut;
    if (loan->probing) {
        hub->probing = 0;
    }
    if (loan->answered) {
        hub->last_answer = member->answered = now;
        hub->down = 0;
    }
    else if (loan->cut && hub->last_answer < member->started) {
        go_down(hub, "the database did not answer in time", 0);
    }
    if (loan->broken) {
        move_all(&hub->idle, &hub->leaving); /* these are suspect, too */
    }
    if (!hub->source.threaded && loan->broken) {
        put(&hub->leaving, member);
        close_all(hub);
    }
    else if (hub->source.threaded &&
             (loan->broken || hub->stopping || now - member->ours_since > TENURE_MAX)) {
        leave(hub, member);
        pthread_cond_signal(&hub->open_wanted);
    }
    else {
        hand_out(hub, member);
    }
    pthread_mutex_unlock(&hub->lock);
}

/* ---- Statements ------------------------------------------------------------------------------ */

/* With a connection that is not ours: only watched, and what it tells of the database noted. */
static djs_outcome_t run_watched(djs_ctx_t *ctx, hub_t *hub, djs_connection_t *connection,
                                 djs_run_t *run, apr_time_t deadline, int *cut)
{
    member_t member;
    djs_outcome_t outcome;

    memset(&member, 0, sizeof(member));
    member.connection = connection;
    pthread_mutex_lock(&hub->lock);
    if (hub->source.threaded && !hub->stopping) {
        (void)start_threads(hub); /* without them it runs unwatched */
    }
    lend(hub, &member, deadline);
    pthread_mutex_unlock(&hub->lock);
    outcome = djs_connection_run(ctx, connection, run);
    pthread_mutex_lock(&hub->lock);
    take(&member);
    *cut = member.cut;
    if (outcome != DJS_LOST) {
        hub->last_answer = ticks();
        hub->down = 0;
    }
    pthread_mutex_unlock(&hub->lock);
    return outcome;
}

/* On the caller's own connection. 0: it holds none, or a dead one. */
static int attempt_on_held(djs_ctx_t *ctx, hub_t *hub, djs_run_t *run, apr_time_t deadline,
                           djs_outcome_t *outcome, int *cut)
{
    djs_connection_t *connection;
    djs_dbd_lent_t lent;
    apr_time_t now = ticks();

    if (hub->source.held == NULL || !hub->source.held(hub->source.data, ctx, &lent) ||
        djs_connection_of(&lent, hub->dialect, &connection, &run->why) != APR_SUCCESS ||
        !djs_connection_alive(connection)) {
        return 0;
    }
    run->patience = deadline > now ? deadline - now : 0;
    *outcome = run_watched(ctx, hub, connection, run, deadline, cut);
    djs_connection_give_up(connection);
    return 1;
}

/* One attempt. 0: there was no connection. */
static int attempt(djs_ctx_t *ctx, hub_t *hub, djs_run_t *run, apr_time_t deadline,
                   djs_outcome_t *outcome, int *cut)
{
    loan_t loan = { 0, 0, 0, 0 };
    member_t *member;
    apr_time_t now;

    if (attempt_on_held(ctx, hub, run, deadline, outcome, cut)) {
        return 1;
    }
    member = borrow(ctx, hub, deadline, &loan.probing, &run->why);
    if (member == NULL) {
        return 0;
    }
    now = ticks();
    run->patience = deadline > now ? deadline - now : 0;
    if (run->statement->idempotent || now - member->answered < ALIVE_FOR ||
        djs_connection_alive(member->connection)) {
        *outcome = djs_connection_run(ctx, member->connection, run);
        loan.answered = *outcome != DJS_LOST;
    }
    else {
        *outcome = DJS_AGAIN;
        run->why = "the connection was closed by the database";
    }
    loan.broken = *outcome != DJS_RAN && !djs_connection_alive(member->connection);
    give_back(hub, member, &loan);
    *cut = loan.cut;
    return 1;
}

static apr_status_t conclude(djs_ctx_t *ctx, const djs_run_t *run, djs_outcome_t outcome, int cut)
{
    switch (outcome) {
    case DJS_RAN:
        return run->rv;
    case DJS_DUPLICATE:
        return APR_EEXIST;
    case DJS_NOVALUE:
        return djs_fail(ctx, DJS_EINVAL, "%s: %s", run->statement->what, run->why);
    default:
        return djs_fail(ctx, DJS_ESTORE, "%s: %s", run->statement->what,
                        cut ? "the database did not answer in time" : run->why);
    }
}

static apr_status_t run_until(djs_ctx_t *ctx, hub_t *hub, djs_run_t *run, apr_time_t deadline,
                              int *lost)
{
    djs_outcome_t outcome = DJS_REFUSED;
    int cut = 0;
    int tries;

    for (tries = 1; tries <= ATTEMPTS_MAX; tries++) {
        if (!attempt(ctx, hub, run, deadline, &outcome, &cut)) {
            /* A first attempt that was lost is still lost. */
            outcome = outcome == DJS_LOST ? DJS_LOST : DJS_REFUSED;
            break;
        }
        if (cut || (outcome != DJS_AGAIN && outcome != DJS_LOST)) {
            break;
        }
        if (outcome == DJS_LOST && (!run->statement->idempotent || run->rows > 0)) {
            break;
        }
    }
    *lost = outcome == DJS_LOST;
    return conclude(ctx, run, outcome, cut);
}

static apr_status_t run_statement(djs_ctx_t *ctx, djs_database_t *database, djs_run_t *run,
                                  int *lost)
{
    apr_time_t begun = ticks();
    apr_interval_time_t used;
    apr_status_t rv;

    *lost = 0;
    if (ctx->patience <= 0) {
        return djs_fail(ctx, DJS_ESTORE, "%s: no time left to wait for the database",
                        run->statement->what);
    }
    rv = run_until(ctx, database->hub, run, begun + ctx->patience, lost);
    used = ticks() - begun;
    ctx->patience = used < ctx->patience ? ctx->patience - used : 0;
    return rv;
}

apr_status_t djs_database_select(djs_ctx_t *ctx, djs_database_t *database,
                                 const djs_statement_t *statement, const char *const *args,
                                 djs_row_fn each, void *baton)
{
    djs_run_t run = { statement, args, 0, each, baton, 0, APR_SUCCESS, NULL };
    int lost;

    return run_statement(ctx, database, &run, &lost);
}

apr_status_t djs_database_execute(djs_ctx_t *ctx, djs_database_t *database,
                                  const djs_statement_t *statement, const char *const *args,
                                  int *rows, int *lost)
{
    djs_run_t run = { statement, args, 0, NULL, NULL, 0, APR_SUCCESS, NULL };
    int was_lost;
    apr_status_t rv = run_statement(ctx, database, &run, &was_lost);

    *rows = run.rows;
    if (lost != NULL) {
        *lost = was_lost;
    }
    return rv;
}

/* ---- Opening, dialects ----------------------------------------------------------------------- */

static int find_dialect(const char *driver, djs_dialect_t *dialect)
{
    static const struct { const char *driver; djs_dialect_t dialect; } known[] = {
        { "sqlite3", DJS_SQLITE },
        { "pgsql", DJS_POSTGRESQL },
        { "mysql", DJS_MYSQL },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(driver, known[i].driver) == 0) {
            *dialect = known[i].dialect;
            return 1;
        }
    }
    return 0;
}

apr_status_t djs_database_open(djs_ctx_t *ctx, apr_pool_t *pool, const djs_dbd_source_t *source,
                               const char *driver, djs_database_t **database)
{
    djs_dialect_t dialect;

    if (!find_dialect(driver, &dialect)) {
        return djs_fail(ctx, DJS_EUNSUPPORTED,
                        "database driver \"%s\": there are sqlite3, pgsql and mysql", driver);
    }
    if (dialect == DJS_POSTGRESQL) {
        setenv("PGCONNECT_TIMEOUT", PGCONNECT_TIMEOUT, 0);
    }
    *database = apr_pcalloc(pool, sizeof(**database));
    (*database)->hub = make_hub(source, dialect);
    if ((*database)->hub == NULL) {
        return djs_fail(ctx, APR_ENOMEM, "no memory for the database");
    }
    apr_pool_pre_cleanup_register(pool, (*database)->hub, end_hub);
    return APR_SUCCESS;
}

void djs_database_stop_with(djs_database_t *database, apr_pool_t *pool)
{
    apr_pool_pre_cleanup_register(pool, database->hub, stop_hub);
}

int djs_database_is_stuck(const djs_database_t *database)
{
    return database->hub->stuck;
}

djs_dialect_t djs_database_dialect(const djs_database_t *database)
{
    return database->hub->dialect;
}

const char *djs_database_quote(apr_pool_t *pool, const djs_database_t *database, const char *name)
{
    char mark = djs_database_dialect(database) == DJS_MYSQL ? '`' : '"';
    char *quoted = apr_palloc(pool, 2 * strlen(name) + 5);
    char *to = quoted;
    int dots = 0;

    *to++ = mark;
    for (; *name != '\0'; name++) {
        if (*name == '.' && dots++ == 0) {
            *to++ = mark;
            *to++ = '.';
            *to++ = mark;
            continue;
        }
        if (*name == mark || *name == '%') { /* %: for apr_dbd_prepare */
            *to++ = *name;
        }
        *to++ = *name;
    }
    *to++ = mark;
    *to = '\0';
    return quoted;
}
