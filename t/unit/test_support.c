/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The helpers of the other tests: that vectors are read whole, and that a wrong result is noticed.
 */
#include "support.h"

#include <string.h>

static void hex_becomes_bytes_nul_included(void **state)
{
    test_t *test = *state;

    assert_bytes(test_unhex(test->pool, "0041fF"), djs_bytes_of("\0A\xff", 3), "0041fF");
    assert_number(test_unhex(test->pool, "").len, 0, "no digits");
}

static void runs_are_written_one_after_the_other(void **state)
{
    test_t *test = *state;
    json_t *a_case = json_pack("{s:[[s,i],[s,i],[s,i]]}", "text_runs", "5b", 3, "31", 0, "5d", 2);
    djs_bytes_t bytes;
    int found = vector_bytes(test->pool, a_case, "text", &bytes);

    json_decref(a_case);
    assert_number(found, 1, "a case with runs");
    assert_bytes(bytes, djs_bytes("[[[]]"), "three, none, two");
}

static void a_case_without_the_bytes_is_told_apart_from_empty_bytes(void **state)
{
    test_t *test = *state;
    json_t *a_case = json_pack("{s:s,s:n}", "text_hex", "", "other_hex");
    djs_bytes_t bytes = { "x", 1 };
    int found = vector_bytes(test->pool, a_case, "text", &bytes);
    int other = vector_bytes(test->pool, a_case, "other", &bytes);
    int absent = vector_bytes(test->pool, a_case, "absent", &bytes);

    json_decref(a_case);
    assert_number(found, 1, "an empty text");
    assert_number(bytes.len, 0, "an empty text");
    assert_number(other, 0, "null");
    assert_number(absent, 0, "not there");
}

static void a_fraction_of_a_second_survives(void **state)
{
    json_t *real = json_real(1735689600.25);
    json_t *whole = json_integer(1735689600);
    apr_time_t from_real = test_time(real);
    apr_time_t from_whole = test_time(whole);

    json_decref(real);
    json_decref(whole);
    assert_number(from_real, TEST_NOW + 250000, "a real");
    assert_number(from_whole, TEST_NOW, "an integer");
}

static void a_context_is_ready_for_use(void **state)
{
    test_t *test = *state;

    assert_ptr_equal(test->ctx->pool, test->pool);
    assert_number(test->ctx->now, TEST_NOW, "the time stands still");
    assert_null(test->ctx->problem);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(hex_becomes_bytes_nul_included),
        TEST(runs_are_written_one_after_the_other),
        TEST(a_case_without_the_bytes_is_told_apart_from_empty_bytes),
        TEST(a_fraction_of_a_second_survives),
        TEST(a_context_is_ready_for_use),
    };

    return RUN_TESTS(tests);
}
