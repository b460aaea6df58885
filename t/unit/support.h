/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What unit tests share: APR and a pool, a call context, golden vectors, and assertions that print
 * both sides.
 *
 * A test program is one table of cmocka tests and
 *
 *     int main(void)
 *     {
 *         static const struct CMUnitTest tests[] = { TEST(name_that_is_a_sentence), ... };
 *         return RUN_TESTS(tests);
 *     }
 *
 * in which each test gets a test_t of its own as *state, with a pool and a context that live as
 * long as the test. One table a program: TAP has one plan.
 */
#ifndef SUPPORT_H
#define SUPPORT_H

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>

#include "djs.h"

/** What a test gets as *state. */
typedef struct test_t {
    apr_pool_t *pool;
    djs_ctx_t *ctx; /* made by test_ctx(pool) */
} test_t;

/** 2025-01-01 00:00:00 UTC: what counts as now in a fresh context. */
#define TEST_NOW (APR_INT64_C(1735689600) * APR_USEC_PER_SEC)

/** A context in @a pool at TEST_NOW, with plenty of patience and nobody listening. */
djs_ctx_t *test_ctx(apr_pool_t *pool);

/** An instant from Unix seconds as the vectors write it: an integer or a real. */
apr_time_t test_time(const json_t *seconds);

#define TEST(name) cmocka_unit_test_setup_teardown(name, test_setup, test_teardown)
#define RUN_TESTS(tests) test_run(#tests, tests, sizeof(tests) / sizeof((tests)[0]))

int test_setup(void **state);
int test_teardown(void **state);
int test_run(const char *name, const struct CMUnitTest *tests, size_t count);

/*
 * ---- In part
 *
 * memcheck makes every step fifty times as long. With DJS_TEST_PART=N in the environment, as `make
 * check-valgrind` has it, a test does one in N of what nothing but many repetitions make long; each
 * kind of step still happens.
 */

/** N; 1 where nobody asked. */
int test_part(void);

/** That part of @a rounds. */
int test_rounds(int rounds);

/*
 * ---- Golden vectors
 */

/**
 * The cases of t/vectors/@a file, an array, in @a pool. Fails the test when the file is missing,
 * is not in the shape that t/vectors/README.md gives, or has fewer than @a least cases: a file that
 * lost its cases must not look like success.
 */
const json_t *test_vectors(apr_pool_t *pool, const char *file, size_t least);

/**
 * Say that a case was run, at the end of its run; or why it cannot be, as a sentence: the reason is
 * printed at the end of `make check`, and t/unit/all_vectors.py fails for a case of which nothing was
 * said. What was run by any test was run.
 */
void vector_done(const json_t *a_case);
void vector_left(const json_t *a_case, const char *reason);

/** A reason: another Django answers otherwise, and the newest one's answers are ours. */
#define VECTOR_OF_ANOTHER_DJANGO "what an older Django answers; the module answers as the newest"

/** Member @a name of a case: a text, or NULL when it is null or missing. */
const char *vector_text(const json_t *a_case, const char *name);

/** The same, but the test fails when it is missing or no text. */
const char *vector_need(const json_t *a_case, const char *name);

/** The case's `id` and versions, for messages; in @a pool. */
const char *vector_name(apr_pool_t *pool, const json_t *a_case);

/** The case holds for the newest Django that the vectors know, whose behaviour is ours. */
int vector_is_current(const json_t *a_case);

/**
 * The bytes of a `NAME_hex` or `NAME_runs` member; the test fails when it is there and malformed.
 * @return 1, or 0 when the case has neither
 */
int vector_bytes(apr_pool_t *pool, const json_t *a_case, const char *name, djs_bytes_t *bytes);

/** Bytes from hex digits; the test fails when they are malformed. */
djs_bytes_t test_unhex(apr_pool_t *pool, const char *hex);

/** A copy in a block of just its size: memory checkers see a step behind its end. To be freed. */
djs_bytes_t test_alone(djs_bytes_t bytes);

/*
 * ---- Assertions that print both sides
 *
 * `why` is what the case is about: a vector's name, or the reason beside a table's row.
 */
#define assert_status(ctx, got, expected, why) \
    test_assert_status(ctx, got, expected, why, __FILE__, __LINE__)
#define assert_text(got, expected, why) test_assert_text(got, expected, why, __FILE__, __LINE__)
#define assert_bytes(got, expected, why) test_assert_bytes(got, expected, why, __FILE__, __LINE__)
#define assert_number(got, expected, why) \
    test_assert_number((apr_int64_t)(got), (apr_int64_t)(expected), why, __FILE__, __LINE__)

/** Also prints ctx->problem (@a ctx may be NULL) and both codes by name. */
void test_assert_status(const djs_ctx_t *ctx, apr_status_t got, apr_status_t expected,
                        const char *why, const char *file, int line);

/** Either may be NULL, which equals only NULL. */
void test_assert_text(const char *got, const char *expected, const char *why, const char *file,
                      int line);

/** Prints text as text and other bytes as \xNN. */
void test_assert_bytes(djs_bytes_t got, djs_bytes_t expected, const char *why, const char *file,
                       int line);

void test_assert_number(apr_int64_t got, apr_int64_t expected, const char *why, const char *file,
                        int line);

#endif
