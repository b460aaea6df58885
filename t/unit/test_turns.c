/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns: how many there are, who waits, and that the dead give theirs back.
 */
#include "support.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "turns.h"

static djs_turns_t *make(test_t *test)
{
    djs_turns_t *turns = NULL;

    assert_status(test->ctx, djs_turns_make(test->ctx, test->pool, &turns), APR_SUCCESS, "made");
    return turns;
}

static void so_many_are_taken_and_no_more(void **state)
{
    test_t *test = *state;
    djs_turns_t *turns = make(test);
    int mine[3], another, waited, i;

    for (i = 0; i < 3; i++) {
        assert_status(test->ctx, djs_turns_take(test->ctx, turns, 3, 0, &mine[i], &waited),
                      APR_SUCCESS, "free");
        assert_number(waited, 0, "at once");
    }
    assert_status(NULL, djs_turns_take(test->ctx, turns, 3, 0, &another, &waited), APR_EBUSY,
                  "a fourth");
    djs_turns_give(turns, mine[1]);
    djs_forget(test->ctx);
    assert_status(test->ctx, djs_turns_take(test->ctx, turns, 3, 0, &another, &waited), APR_SUCCESS,
                  "given back");
    assert_number(another, mine[1], "that one");
}

typedef struct waiter_t {
    djs_turns_t *turns;
    apr_status_t outcome;
    int waited;
} waiter_t;

static void *take_and_give(void *baton)
{
    waiter_t *waiter = baton;
    apr_pool_t *pool;
    int turn;

    apr_pool_create(&pool, NULL);
    for (;;) {
        waiter->outcome = djs_turns_take(test_ctx(pool), waiter->turns, 1, apr_time_from_sec(600),
                                         &turn, &waiter->waited);
        if (waiter->waited) {
            break;
        }
        /* The place was taken by who looks whether it is, and not for long. */
        apr_pool_clear(pool);
        apr_sleep(1000);
    }
    if (waiter->outcome == APR_SUCCESS) {
        djs_turns_give(waiter->turns, turn);
    }
    apr_pool_destroy(pool);
    return NULL;
}

static void one_waits_for_each_and_the_next_is_told_at_once(void **state)
{
    test_t *test = *state;
    waiter_t waiter = { make(test), APR_EGENERAL, 0 };
    apr_status_t rv = APR_SUCCESS;
    pthread_t thread;
    int mine, another, waited;

    assert_status(test->ctx, djs_turns_take(test->ctx, waiter.turns, 1, 0, &mine, &waited),
                  APR_SUCCESS, "free");
    assert_int_equal(pthread_create(&thread, NULL, take_and_give, &waiter), 0);
    /*
     * Until the other one has the place: who finds it taken does not wait, long as he might. Most of the
     * time nobody looks, so that the other one comes to it, however threads take turns here.
     */
    do {
        apr_sleep(20000);
        djs_forget(test->ctx);
        rv = djs_turns_take(test->ctx, waiter.turns, 1, 1000, &another, &waited);
        assert_status(NULL, rv, APR_EBUSY, "no turn is free");
    } while (waited);
    djs_turns_give(waiter.turns, mine);
    pthread_join(thread, NULL);
    assert_status(NULL, waiter.outcome, APR_SUCCESS, "it was worth while");
    assert_number(waiter.waited, 1, "and is told");
}

static void a_dead_process_gives_its_turns_back(void **state)
{
    test_t *test = *state;
    djs_turns_t *turns = make(test);
    int turn, waited, status = -1;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        int taken = djs_turns_take(test->ctx, turns, 2, 0, &turn, &waited) == APR_SUCCESS
                    && djs_turns_take(test->ctx, turns, 2, 0, &turn, &waited) == APR_SUCCESS;
        _exit(taken ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_status(test->ctx, djs_turns_take(test->ctx, turns, 2, 0, &turn, &waited), APR_SUCCESS,
                  "one");
    assert_status(test->ctx, djs_turns_take(test->ctx, turns, 2, 0, &turn, &waited), APR_SUCCESS,
                  "and the other");
    assert_status(NULL, djs_turns_take(test->ctx, turns, 2, 0, &turn, &waited), APR_EBUSY,
                  "and no more");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(so_many_are_taken_and_no_more),
        TEST(one_waits_for_each_and_the_next_is_told_at_once),
        TEST(a_dead_process_gives_its_turns_back),
    };

    return RUN_TESTS(tests);
}
