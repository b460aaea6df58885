/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool of a server's clients. Time stands still unless a test moves it, and threads are let go on
 * one by one, so that each order of events is one that the test has chosen.
 */
#include "support.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clients.h"

#define MOST 3
#define MINUTE apr_time_from_sec(60)

/* A server in a test's hand. */
typedef struct server_t {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    apr_time_t now;
    int readings;                 /* how often the time was asked for */
    int refuses;                  /* opening fails */
    int holds;                    /* opening waits until it is 0 */
    apr_interval_time_t takes;    /* so long does opening take */
    apr_interval_time_t within;   /* what the last opening was given */
    int opening, opened, closed;
} server_t;

typedef struct client_t {
    server_t *server;
} client_t;

static server_t server;

static apr_time_t read_clock(void *baton)
{
    server_t *s = baton;
    apr_time_t now;

    pthread_mutex_lock(&s->lock);
    s->readings++;
    now = s->now;
    pthread_cond_broadcast(&s->moved);
    pthread_mutex_unlock(&s->lock);
    return now;
}

static void pass(apr_interval_time_t span)
{
    pthread_mutex_lock(&server.lock);
    server.now += span;
    pthread_mutex_unlock(&server.lock);
}

static void *open_one(void *baton, djs_ctx_t *ctx, apr_interval_time_t within)
{
    server_t *s = baton;
    client_t *client = NULL;

    pthread_mutex_lock(&s->lock);
    s->opening++;
    s->within = within;
    s->now += s->takes;
    pthread_cond_broadcast(&s->moved);
    while (s->holds) {
        pthread_cond_wait(&s->moved, &s->lock);
    }
    if (!s->refuses) {
        client = malloc(sizeof(*client));
        client->server = s;
        s->opened++;
    }
    pthread_mutex_unlock(&s->lock);
    if (client == NULL) {
        (void)djs_fail(ctx, DJS_ESTORE, "refused");
    }
    return client;
}

static void close_one(void *data)
{
    client_t *client = data;

    pthread_mutex_lock(&client->server->lock);
    client->server->closed++;
    pthread_mutex_unlock(&client->server->lock);
    free(client);
}

static const djs_clients_kind_t kind = { open_one, close_one };

static djs_clients_t *make(test_t *test)
{
    djs_clients_t *clients;

    memset(&server, 0, sizeof(server));
    pthread_mutex_init(&server.lock, NULL);
    pthread_cond_init(&server.moved, NULL);
    server.now = apr_time_from_sec(1000);
    clients = djs_clients_make(test->pool, &kind, &server, "host:1", MOST);
    djs_clients_set_clock(clients, read_clock, &server);
    test->ctx->patience = MINUTE;
    return clients;
}

static void *must_borrow(test_t *test, djs_clients_t *clients, int expected_fresh)
{
    void *client;
    int fresh = -1;

    assert_status(test->ctx, djs_clients_borrow(test->ctx, clients, &client, &fresh), APR_SUCCESS,
                  "borrow");
    assert_number(fresh, expected_fresh, "fresh");
    return client;
}

static void must_fail(test_t *test, djs_clients_t *clients, const char *problem)
{
    void *client;
    int fresh;

    djs_forget(test->ctx);
    assert_status(test->ctx, djs_clients_borrow(test->ctx, clients, &client, &fresh), DJS_ESTORE,
                  problem);
    assert_null(client);
    if (strstr(test->ctx->problem, problem) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", test->ctx->problem, problem);
    }
}

static void assert_state(djs_clients_t *clients, int lent, int idle, int down, const char *why)
{
    int is_lent, is_idle, is_down;

    djs_clients_state(clients, &is_lent, &is_idle, &is_down);
    assert_number(is_lent, lent, why);
    assert_number(is_idle, idle, why);
    assert_number(is_down, down, why);
}

/* ---- One thread ------------------------------------------------------------------------------ */

static void a_good_client_is_kept_and_lent_again(void **state)
{
    test_t *test = *state;
    djs_clients_t *clients = make(test);
    void *client;

    assert_number(server.opening, 0, "nothing is connected before it is needed");
    client = must_borrow(test, clients, 1);
    assert_state(clients, 1, 0, 0, "lent");
    djs_clients_give_back(clients, client, DJS_LOAN_GOOD);
    assert_state(clients, 0, 1, 0, "idle");
    assert_ptr_equal(must_borrow(test, clients, 0), client);
    assert_number(server.opened, 1, "one connection");
    djs_clients_give_back(clients, client, DJS_LOAN_GOOD);
}

static void two_at_a_time_have_two_clients(void **state)
{
    test_t *test = *state;
    djs_clients_t *clients = make(test);
    void *first = must_borrow(test, clients, 1);
    void *second = must_borrow(test, clients, 1);

    assert_ptr_not_equal(first, second);
    djs_clients_give_back(clients, first, DJS_LOAN_GOOD);
    djs_clients_give_back(clients, second, DJS_LOAN_GOOD);
    assert_ptr_equal(must_borrow(test, clients, 0), second);
    djs_clients_give_back(clients, second, DJS_LOAN_GOOD);
    assert_state(clients, 0, 2, 0, "the one used last is lent first");
}

static void a_stale_client_ends_the_idle_ones_but_says_nothing_of_the_server(void **state)
{
    test_t *test = *state;
    djs_clients_t *clients = make(test);
    void *a = must_borrow(test, clients, 1);
    void *b = must_borrow(test, clients, 1);

    djs_clients_give_back(clients, a, DJS_LOAN_GOOD);
    djs_clients_give_back(clients, b, DJS_LOAN_STALE);
    assert_state(clients, 0, 0, 0, "up");
    assert_number(server.closed, 2, "both");
    djs_clients_give_back(clients, must_borrow(test, clients, 1), DJS_LOAN_GOOD);
}

static void a_server_that_is_down_costs_no_time(void **state)
{
    test_t *test = *state;
    djs_clients_t *clients = make(test);
    void *idle = must_borrow(test, clients, 1);
    void *broken = must_borrow(test, clients, 1);

    djs_clients_give_back(clients, idle, DJS_LOAN_GOOD);
    djs_clients_give_back(clients, broken, DJS_LOAN_BROKEN);
    assert_state(clients, 0, 0, 1, "down, and no idle one is trusted");
    must_fail(test, clients, "host:1 is down");
    pass(apr_time_from_msec(99));
    must_fail(test, clients, "host:1 is down");
    assert_number(server.opening, 2, "nobody tried");
    assert_number(test->ctx->patience, MINUTE, "nothing was waited for");
}

static void after_a_while_one_at_a_time_probes(void **state)
{
    test_t *test = *state;
    djs_clients_t *clients = make(test);
    void *probe;

    djs_clients_give_back(clients, must_borrow(test, clients, 1), DJS_LOAN_BROKEN);
    pass(apr_time_from_msec(100));
    probe = must_borrow(test, clients, 1);
    must_fail(test, clients, "is down");
    pass(MINUTE);
    must_fail(test, clients, "is down");
    assert_number(server.opening, 2, "one probe, however long it takes");
    djs_clients_give_back(clients, probe, DJS_LOAN_GOOD);
    assert_state(clients, 0, 1, 0, "up");
    assert_ptr_equal(must_borrow(test, clients, 0), probe);
    djs_clients_give_back(clients, probe, DJS_LOAN_GOOD);
}

static void a_probe_that_fails_lets_the_next_wait(void **state)
{
    static const djs_loan_t ends[] = { DJS_LOAN_BROKEN, DJS_LOAN_STALE };
    test_t *test = *state;
    int i;

    for (i = 0; i < 2; i++) {
        djs_clients_t *clients = make(test);
        void *probe;

        djs_clients_give_back(clients, must_borrow(test, clients, 1), DJS_LOAN_BROKEN);
        pass(apr_time_from_msec(100));
        probe = must_borrow(test, clients, 1);
        djs_clients_give_back(clients, probe, ends[i]);
        assert_state(clients, 0, 0, 1, "still down");
        must_fail(test, clients, "is down");
        pass(apr_time_from_msec(100));
        djs_clients_give_back(clients, must_borrow(test, clients, 1), DJS_LOAN_GOOD);
        assert_state(clients, 0, 1, 0, "up");
    }
}

static void who_cannot_connect_is_down(void **state)
{
    test_t *test = *state;
    djs_clients_t *clients = make(test);

    server.refuses = 1;
    must_fail(test, clients, "refused");
    assert_state(clients, 0, 0, 1, "down");
    must_fail(test, clients, "is down");
    pass(apr_time_from_msec(100));
    must_fail(test, clients, "refused");
    must_fail(test, clients, "is down");
    assert_number(server.opening, 2, "the first, and one probe");
    server.refuses = 0;
    pass(apr_time_from_msec(100));
    djs_clients_give_back(clients, must_borrow(test, clients, 1), DJS_LOAN_GOOD);
    assert_state(clients, 0, 1, 0, "up");
}

static void an_older_loan_that_ends_well_ends_the_outage(void **state)
{
    test_t *test = *state;
    djs_clients_t *clients = make(test);
    void *old = must_borrow(test, clients, 1);

    djs_clients_give_back(clients, must_borrow(test, clients, 1), DJS_LOAN_BROKEN);
    djs_clients_give_back(clients, old, DJS_LOAN_GOOD);
    assert_state(clients, 0, 1, 0, "it has just answered");
}

static void connecting_takes_from_patience_and_has_no_more_than_that(void **state)
{
    test_t *test = *state;
    djs_clients_t *clients = make(test);

    test->ctx->patience = apr_time_from_sec(2);
    server.takes = apr_time_from_msec(1500);
    djs_clients_give_back(clients, must_borrow(test, clients, 1), DJS_LOAN_STALE);
    assert_number(server.within, apr_time_from_sec(2), "all that is left");
    assert_number(test->ctx->patience, apr_time_from_msec(500), "used");
    djs_clients_give_back(clients, must_borrow(test, clients, 1), DJS_LOAN_STALE);
    assert_number(server.within, apr_time_from_msec(500), "all that is left");
    assert_number(test->ctx->patience, 0, "never below 0");
    must_fail(test, clients, "no time left");
    assert_number(server.opening, 2, "nobody tried");
}

static void one_who_has_no_time_to_connect_does_not_condemn_the_server(void **state)
{
    test_t *test = *state;
    djs_clients_t *clients = make(test);

    test->ctx->patience = apr_time_from_msec(5);
    server.takes = apr_time_from_msec(5);
    server.refuses = 1;
    must_fail(test, clients, "refused");
    assert_state(clients, 0, 0, 0, "five milliseconds say nothing");
}

static void all_are_closed_with_their_pool(void **state)
{
    test_t *test = *state;
    djs_clients_t *clients = make(test);
    void *a = must_borrow(test, clients, 1);
    void *b = must_borrow(test, clients, 1);

    djs_clients_give_back(clients, a, DJS_LOAN_GOOD);
    djs_clients_give_back(clients, b, DJS_LOAN_GOOD);
    assert_number(server.closed, 0, "kept");
    apr_pool_clear(test->pool);
    assert_number(server.closed, 2, "both");
    test->ctx = test_ctx(test->pool);
}

static void a_child_has_its_own(void **state)
{
    test_t *test = *state;
    djs_clients_t *clients = make(test);
    int status;
    pid_t child = fork();

    if (child == 0) {
        void *client;
        int fresh;

        _exit(djs_clients_borrow(test->ctx, clients, &client, &fresh) == APR_SUCCESS && fresh
                      && server.opened == 1
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_number(server.opened, 0, "nothing of it is seen here");
}

/* ---- Several threads ------------------------------------------------------------------------- */

typedef struct borrower_t {
    djs_clients_t *clients;
    pthread_t thread;
    apr_pool_t *pool;
    apr_status_t rv;
    void *client;
    int fresh;
    apr_interval_time_t patience;
    const char *problem;
} borrower_t;

static void *run_borrower(void *data)
{
    borrower_t *b = data;
    djs_ctx_t *ctx = test_ctx(b->pool);

    ctx->patience = b->patience;
    b->rv = djs_clients_borrow(ctx, b->clients, &b->client, &b->fresh);
    b->problem = ctx->problem;
    return NULL;
}

static void start(borrower_t *b, djs_clients_t *clients, apr_interval_time_t patience)
{
    memset(b, 0, sizeof(*b));
    b->clients = clients;
    b->patience = patience;
    assert_int_equal(apr_pool_create(&b->pool, NULL), APR_SUCCESS);
    assert_int_equal(pthread_create(&b->thread, NULL, run_borrower, b), 0);
}

static void join(borrower_t *b)
{
    assert_int_equal(pthread_join(b->thread, NULL), 0);
}

static void reach(const int *counter, int value)
{
    pthread_mutex_lock(&server.lock);
    while (*counter < value) {
        pthread_cond_wait(&server.moved, &server.lock);
    }
    pthread_mutex_unlock(&server.lock);
}

/*
 * Start a borrower, and come back when it waits: it asks for the time twice, before it takes the lock
 * and with it, and gives the lock up only by waiting.
 */
static void start_waiting(borrower_t *b, djs_clients_t *clients, apr_interval_time_t patience)
{
    int lent, idle, down;
    int readings;

    pthread_mutex_lock(&server.lock);
    readings = server.readings;
    pthread_mutex_unlock(&server.lock);
    start(b, clients, patience);
    reach(&server.readings, readings + 2);
    djs_clients_state(clients, &lent, &idle, &down);
}

static void borrow_all(test_t *test, djs_clients_t *clients, void **lent)
{
    int i;

    for (i = 0; i < MOST; i++) {
        lent[i] = must_borrow(test, clients, 1);
    }
}

static void give_back_all(djs_clients_t *clients, void **lent)
{
    int i;

    for (i = 0; i < MOST; i++) {
        djs_clients_give_back(clients, lent[i], DJS_LOAN_GOOD);
    }
}

static void who_waits_gets_the_next_that_comes_free(void **state)
{
    test_t *test = *state;
    djs_clients_t *clients = make(test);
    void *lent[MOST];
    borrower_t waiter;

    borrow_all(test, clients, lent);
    start_waiting(&waiter, clients, MINUTE);
    djs_clients_give_back(clients, lent[1], DJS_LOAN_GOOD);
    join(&waiter);
    assert_status(NULL, waiter.rv, APR_SUCCESS, waiter.problem);
    assert_ptr_equal(waiter.client, lent[1]);
    assert_number(waiter.fresh, 0, "not fresh");
    assert_number(server.opened, MOST, "never more than that");
    give_back_all(clients, lent);
    apr_pool_destroy(waiter.pool);
}

static void who_waits_connects_when_a_place_comes_free(void **state)
{
    test_t *test = *state;
    djs_clients_t *clients = make(test);
    void *lent[MOST];
    borrower_t waiter;

    borrow_all(test, clients, lent);
    start_waiting(&waiter, clients, MINUTE);
    djs_clients_give_back(clients, lent[1], DJS_LOAN_STALE);
    join(&waiter);
    assert_status(NULL, waiter.rv, APR_SUCCESS, waiter.problem);
    assert_number(waiter.fresh, 1, "a new one in its place");
    lent[1] = waiter.client;
    give_back_all(clients, lent);
    apr_pool_destroy(waiter.pool);
}

static void who_waits_in_vain_is_told_why(void **state)
{
    test_t *test = *state;
    djs_clients_t *clients = make(test);
    void *lent[MOST];
    borrower_t waiter;

    borrow_all(test, clients, lent);
    start(&waiter, clients, apr_time_from_msec(1));
    join(&waiter);
    assert_status(NULL, waiter.rv, DJS_ESTORE, "all are lent");
    assert_text(waiter.problem, "host:1: none of 3 connections came free in time", "why");
    assert_state(clients, MOST, 0, 0, "that says nothing of the server");
    give_back_all(clients, lent);
    apr_pool_destroy(waiter.pool);
}

static void who_waits_for_a_server_that_goes_down_fails_at_once(void **state)
{
    test_t *test = *state;
    djs_clients_t *clients = make(test);
    void *lent[MOST];
    borrower_t waiters[2];
    int i;

    borrow_all(test, clients, lent);
    start_waiting(&waiters[0], clients, MINUTE);
    start_waiting(&waiters[1], clients, MINUTE);
    djs_clients_give_back(clients, lent[0], DJS_LOAN_BROKEN);
    for (i = 0; i < 2; i++) {
        join(&waiters[i]);
        assert_status(NULL, waiters[i].rv, DJS_ESTORE, "woken");
        assert_text(waiters[i].problem, "host:1 is down: it did not answer before", "why");
        apr_pool_destroy(waiters[i].pool);
    }
    djs_clients_give_back(clients, lent[1], DJS_LOAN_BROKEN);
    djs_clients_give_back(clients, lent[2], DJS_LOAN_BROKEN);
    assert_state(clients, 0, 0, 1, "all came back");
}

static void while_one_probes_the_others_fail_at_once(void **state)
{
    test_t *test = *state;
    djs_clients_t *clients = make(test);
    borrower_t probe;

    djs_clients_give_back(clients, must_borrow(test, clients, 1), DJS_LOAN_BROKEN);
    pass(apr_time_from_msec(100));
    server.holds = 1;
    start(&probe, clients, MINUTE);
    reach(&server.opening, 2);
    must_fail(test, clients, "is down");
    pass(apr_time_from_sec(10));
    must_fail(test, clients, "is down");
    pthread_mutex_lock(&server.lock);
    server.holds = 0;
    pthread_cond_broadcast(&server.moved);
    pthread_mutex_unlock(&server.lock);
    join(&probe);
    assert_status(NULL, probe.rv, APR_SUCCESS, probe.problem);
    must_fail(test, clients, "is down"); /* connected is not answered */
    djs_clients_give_back(clients, probe.client, DJS_LOAN_GOOD);
    djs_clients_give_back(clients, must_borrow(test, clients, 0), DJS_LOAN_GOOD);
    apr_pool_destroy(probe.pool);
}

static void nobody_holds_the_others_up_by_connecting(void **state)
{
    test_t *test = *state;
    djs_clients_t *clients = make(test);
    void *first = must_borrow(test, clients, 1);
    borrower_t slow;

    server.holds = 1;
    start(&slow, clients, MINUTE);
    reach(&server.opening, 2);
    djs_clients_give_back(clients, first, DJS_LOAN_GOOD);
    assert_ptr_equal(must_borrow(test, clients, 0), first);
    pthread_mutex_lock(&server.lock);
    server.holds = 0;
    pthread_cond_broadcast(&server.moved);
    pthread_mutex_unlock(&server.lock);
    join(&slow);
    djs_clients_give_back(clients, first, DJS_LOAN_GOOD);
    djs_clients_give_back(clients, slow.client, DJS_LOAN_GOOD);
    assert_state(clients, 0, 2, 0, "both are kept");
    apr_pool_destroy(slow.pool);
}

#define CROWD 12
#define TURNS 200

static void *run_crowd(void *data)
{
    borrower_t *b = data;
    djs_ctx_t *ctx = test_ctx(b->pool);
    int i;

    for (i = 0; i < TURNS && b->rv == APR_SUCCESS; i++) {
        ctx->patience = MINUTE;
        b->rv = djs_clients_borrow(ctx, b->clients, &b->client, &b->fresh);
        if (b->rv == APR_SUCCESS) {
            djs_clients_give_back(b->clients, b->client,
                                  i % 7 == 3 ? DJS_LOAN_STALE : DJS_LOAN_GOOD);
        }
    }
    return NULL;
}

static void a_crowd_shares_a_few(void **state)
{
    test_t *test = *state;
    djs_clients_t *clients = make(test);
    borrower_t crowd[CROWD];
    int lent, idle, down, i;

    memset(crowd, 0, sizeof(crowd));
    for (i = 0; i < CROWD; i++) {
        crowd[i].clients = clients;
        assert_int_equal(apr_pool_create(&crowd[i].pool, NULL), APR_SUCCESS);
        assert_int_equal(pthread_create(&crowd[i].thread, NULL, run_crowd, &crowd[i]), 0);
    }
    for (i = 0; i < CROWD; i++) {
        join(&crowd[i]);
        assert_status(NULL, crowd[i].rv, APR_SUCCESS, "everybody had each turn");
        apr_pool_destroy(crowd[i].pool);
    }
    djs_clients_state(clients, &lent, &idle, &down);
    assert_number(lent, 0, "all came back");
    assert_true(idle <= MOST);
    assert_number(server.opened - server.closed, idle, "the rest is closed");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_good_client_is_kept_and_lent_again),
        TEST(two_at_a_time_have_two_clients),
        TEST(a_stale_client_ends_the_idle_ones_but_says_nothing_of_the_server),
        TEST(a_server_that_is_down_costs_no_time),
        TEST(after_a_while_one_at_a_time_probes),
        TEST(a_probe_that_fails_lets_the_next_wait),
        TEST(who_cannot_connect_is_down),
        TEST(an_older_loan_that_ends_well_ends_the_outage),
        TEST(connecting_takes_from_patience_and_has_no_more_than_that),
        TEST(one_who_has_no_time_to_connect_does_not_condemn_the_server),
        TEST(all_are_closed_with_their_pool),
        TEST(a_child_has_its_own),
        TEST(who_waits_gets_the_next_that_comes_free),
        TEST(who_waits_connects_when_a_place_comes_free),
        TEST(who_waits_in_vain_is_told_why),
        TEST(who_waits_for_a_server_that_goes_down_fails_at_once),
        TEST(while_one_probes_the_others_fail_at_once),
        TEST(nobody_holds_the_others_up_by_connecting),
        TEST(a_crowd_shares_a_few),
    };

    return RUN_TESTS(tests);
}
