/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often something may be tried.
 */
#include "support.h"

#include <string.h>

#include "memory_cache.h"
#include "throttle.h"

static const djs_rate_t three_a_minute = { 3, apr_time_from_sec(60) };

static apr_status_t try_it(test_t *test, memory_cache_t *memory, apr_interval_time_t *wait)
{
    djs_forget(test->ctx);
    return djs_throttle_take(test->ctx, &memory->cache, "name", &three_a_minute, wait);
}

static void so_many_are_allowed_and_no_more_until_the_span_is_over(void **state)
{
    test_t *test = *state;
    memory_cache_t *memory = memory_cache_make(test->pool);
    apr_interval_time_t wait;
    int i;

    for (i = 0; i < 3; i++) {
        test->ctx->now = TEST_NOW + apr_time_from_sec(10 * i);
        assert_status(test->ctx, try_it(test, memory, &wait), APR_SUCCESS, "allowed");
        assert_number(wait, 0, "nothing to wait for");
    }
    /* Refusals do not prolong it. */
    for (i = 30; i < 60; i += 10) {
        test->ctx->now = TEST_NOW + apr_time_from_sec(i);
        assert_status(test->ctx, try_it(test, memory, &wait), DJS_ELIMIT, "one too many");
        assert_number(apr_time_sec(wait), 60 - i, "until the first is a minute ago");
    }
    test->ctx->now = TEST_NOW + apr_time_from_sec(60);
    assert_status(test->ctx, try_it(test, memory, &wait), APR_SUCCESS, "a new span");
    assert_text(test->ctx->problem, NULL, "no problem is left");
}

static void names_are_counted_apart(void **state)
{
    test_t *test = *state;
    memory_cache_t *memory = memory_cache_make(test->pool);
    apr_interval_time_t wait;
    int i;

    for (i = 0; i < 4; i++) {
        assert_status(NULL, try_it(test, memory, &wait), i < 3 ? APR_SUCCESS : DJS_ELIMIT, "one");
    }
    djs_forget(test->ctx);
    assert_status(test->ctx,
                  djs_throttle_take(test->ctx, &memory->cache, "other", &three_a_minute, &wait),
                  APR_SUCCESS, "another");
}

static void what_is_given_back_does_not_count(void **state)
{
    test_t *test = *state;
    memory_cache_t *memory = memory_cache_make(test->pool);
    apr_interval_time_t wait;
    int i;

    for (i = 0; i < 10; i++) {
        assert_status(test->ctx, try_it(test, memory, &wait), APR_SUCCESS, "allowed");
        djs_throttle_give_back(test->ctx, &memory->cache, "name", &three_a_minute);
    }
    /* More than was taken changes nothing. */
    djs_throttle_give_back(test->ctx, &memory->cache, "name", &three_a_minute);
    for (i = 0; i < 4; i++) {
        assert_status(NULL, try_it(test, memory, &wait), i < 3 ? APR_SUCCESS : DJS_ELIMIT, "then");
    }
    djs_throttle_clear(test->ctx, &memory->cache, "name");
    assert_status(test->ctx, try_it(test, memory, &wait), APR_SUCCESS, "a clean record");
}

static void a_look_counts_nothing_and_tells_what_a_try_would(void **state)
{
    test_t *test = *state;
    memory_cache_t *memory = memory_cache_make(test->pool);
    apr_interval_time_t wait;
    apr_int64_t tries;
    int i;

    for (i = 0; i <= 3; i++) {
        djs_forget(test->ctx);
        assert_status(test->ctx,
                      djs_throttle_look(test->ctx, &memory->cache, "name", &three_a_minute, &tries,
                                        &wait),
                      i < 3 ? APR_SUCCESS : DJS_ELIMIT, "look");
        assert_number(tries, i, "so many tries");
        assert_number(apr_time_sec(wait), i < 3 ? 0 : 60, "to wait");
        assert_status(NULL, try_it(test, memory, &wait), i < 3 ? APR_SUCCESS : DJS_ELIMIT, "try");
    }
    test->ctx->now += apr_time_from_sec(60);
    assert_status(test->ctx,
                  djs_throttle_look(test->ctx, &memory->cache, "name", &three_a_minute, &tries,
                                    &wait),
                  APR_SUCCESS, "a new span");
    assert_number(tries, 0, "none in it");
    memory->down = 1;
    assert_status(test->ctx,
                  djs_throttle_look(test->ctx, &memory->cache, "name", &three_a_minute, &tries,
                                    &wait),
                  DJS_ESTORE, "down");
}

static void no_limit_counts_nothing(void **state)
{
    static const djs_rate_t none = { 0, 0 };
    test_t *test = *state;
    memory_cache_t *memory = memory_cache_make(test->pool);
    apr_interval_time_t wait;
    apr_int64_t life;
    int i;

    for (i = 0; i < 10; i++) {
        assert_status(test->ctx,
                      djs_throttle_take(test->ctx, &memory->cache, "name", &none, &wait),
                      APR_SUCCESS, "no limit");
    }
    djs_throttle_give_back(test->ctx, &memory->cache, "name", &none);
    assert_number(memory_cache_get(memory, "name", TEST_NOW, &life).len, 0, "nothing is kept");
}

static void without_its_memory_nothing_is_allowed(void **state)
{
    test_t *test = *state;
    memory_cache_t *memory = memory_cache_make(test->pool);
    apr_interval_time_t wait;

    memory->down = 1;
    assert_status(test->ctx, try_it(test, memory, &wait), DJS_ESTORE, "down");
    assert_non_null(test->ctx->problem);
}

/* Somebody else tries between our look and our count. */
static void step_in(void *baton, memory_cache_t *memory, const char *operation)
{
    int *left = baton;
    apr_interval_time_t wait;
    apr_pool_t *pool;
    apr_status_t rv;

    if (*left == 0 || (strcmp(operation, "add") != 0 && strcmp(operation, "swap") != 0)) {
        return;
    }
    (*left)--;
    memory->step = NULL;
    apr_pool_create(&pool, NULL);
    rv = djs_throttle_take(test_ctx(pool), &memory->cache, "name", &three_a_minute, &wait);
    assert_status(NULL, rv, APR_SUCCESS, "the other one");
    apr_pool_destroy(pool);
    memory->step = step_in;
}

static void tries_at_the_same_time_all_count(void **state)
{
    test_t *test = *state;
    memory_cache_t *memory = memory_cache_make(test->pool);
    apr_interval_time_t wait;
    int others = 2;

    memory->step = step_in;
    memory->baton = &others;
    assert_status(test->ctx, try_it(test, memory, &wait), APR_SUCCESS, "the third");
    assert_number(others, 0, "both came in between");
    assert_status(test->ctx, try_it(test, memory, &wait), DJS_ELIMIT, "the fourth");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(so_many_are_allowed_and_no_more_until_the_span_is_over),
        TEST(names_are_counted_apart),
        TEST(what_is_given_back_does_not_count),
        TEST(a_look_counts_nothing_and_tells_what_a_try_would),
        TEST(no_limit_counts_nothing),
        TEST(without_its_memory_nothing_is_allowed),
        TEST(tries_at_the_same_time_all_count),
    };

    return RUN_TESTS(tests);
}
