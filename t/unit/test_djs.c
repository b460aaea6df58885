/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The call context, byte ranges and the names of status codes.
 */
#include "support.h"

#include <string.h>

static void the_first_failure_is_kept_and_every_status_is_given_back(void **state)
{
    test_t *test = *state;

    assert_status(NULL, djs_fail(test->ctx, DJS_ELIMIT, "%d bytes, allowed are %d", 7, 5),
                  DJS_ELIMIT, "the first failure");
    assert_status(NULL, djs_fail(test->ctx, DJS_EFORMAT, "something else"), DJS_EFORMAT,
                  "a later failure");
    assert_text(test->ctx->problem, "7 bytes, allowed are 5", "the first sentence stays");
}

static void a_forgotten_failure_makes_room_for_the_next(void **state)
{
    test_t *test = *state;

    djs_fail(test->ctx, DJS_ELIMIT, "dealt with");
    djs_forget(test->ctx);
    assert_text(test->ctx->problem, NULL, "forgotten");
    djs_fail(test->ctx, DJS_EFORMAT, "new");
    assert_text(test->ctx->problem, "new", "the next");
}

static void keep_line(void *baton, const char *line)
{
    *(const char **)baton = line;
}

static void a_trace_reaches_the_host_that_listens(void **state)
{
    static const djs_host_t listening = { keep_line };
    static const djs_host_t deaf = { NULL };
    test_t *test = *state;
    const char *line = NULL;

    djs_trace(test->ctx, "nobody is there: %d", 1);
    test->ctx->host = &deaf;
    djs_trace(test->ctx, "nobody listens: %d", 2);
    test->ctx->host = &listening;
    test->ctx->baton = &line;
    djs_trace(test->ctx, "read %s in %d", "it", 3);
    assert_text(line, "read it in 3", "what the host got");
}

static void do_nothing(void *baton, const char *line)
{
    (void)baton;
    (void)line;
}

static void a_warning_reaches_the_host_that_listens(void **state)
{
    static const djs_host_t listening = { .warn = keep_line };
    static const djs_host_t deaf = { NULL };
    test_t *test = *state;
    const char *heard = NULL;

    djs_warn(test->ctx, "nobody is there");
    test->ctx->baton = &heard;
    test->ctx->host = &deaf;
    djs_warn(test->ctx, "nobody listens");
    assert_null(heard);
    test->ctx->host = &listening;
    djs_warn(test->ctx, "%d of %s", 1, "many");
    assert_text(heard, "1 of many", "formatted");
    assert_null(test->ctx->problem);
}

static void what_no_warning_may_keep_back_is_told_apart_where_the_host_does(void **state)
{
    static const djs_host_t both = { .warn = do_nothing, .notify = keep_line };
    static const djs_host_t one = { .warn = keep_line };
    static const djs_host_t deaf = { NULL };
    test_t *test = *state;
    const char *heard = NULL;

    djs_notify(test->ctx, "nobody is there");
    test->ctx->baton = &heard;
    test->ctx->host = &deaf;
    djs_notify(test->ctx, "nobody listens");
    assert_null(heard);
    test->ctx->host = &both;
    djs_notify(test->ctx, "%d %% full", 93);
    assert_text(heard, "93 % full", "not as a warning");
    test->ctx->host = &one;
    djs_notify(test->ctx, "%d %% full", 94);
    assert_text(heard, "94 % full", "as a warning");
}

static void a_range_of_no_text_is_empty(void **state)
{
    assert_number(djs_bytes(NULL).len, 0, "NULL");
    assert_number(djs_bytes("").len, 0, "no characters");
    assert_number(djs_bytes("abc").len, 3, "three characters");
}

static void a_copy_has_a_nul_behind_it_and_is_its_own(void **state)
{
    test_t *test = *state;
    char original[] = "a\0b";
    djs_bytes_t copy = djs_bytes_copy(test->pool, djs_bytes_of(original, 3));
    djs_bytes_t nothing = djs_bytes_copy(test->pool, djs_bytes_of(NULL, 0));

    original[0] = 'z';
    assert_bytes(copy, djs_bytes_of("a\0b", 3), "bytes with NUL");
    assert_number(copy.data[3], 0, "behind it");
    assert_text(nothing.data, "", "a copy of nothing");
}

static void ranges_are_equal_when_length_and_content_are(void **state)
{
    static const struct {
        djs_bytes_t a, b;
        int equal;
        const char *why;
    } cases[] = {
        { { "ab", 2 },   { "ab", 2 },   1, "the same" },
        { { "ab", 2 },   { "ac", 2 },   0, "another byte" },
        { { "ab", 2 },   { "abc", 3 },  0, "a prefix" },
        { { "a\0b", 3 }, { "a\0c", 3 }, 0, "a difference behind NUL" },
        { { NULL, 0 },   { "", 0 },     1, "nothing, in two ways" },
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_number(djs_bytes_equal(cases[i].a, cases[i].b), cases[i].equal, cases[i].why);
    }
    assert_true(djs_bytes_is(djs_bytes_of("abc", 2), "ab"));
    assert_false(djs_bytes_is(djs_bytes_of("a\0", 2), "a"));
    assert_true(djs_bytes_is(djs_bytes_of(NULL, 0), ""));
}

static void every_status_of_ours_has_a_name_of_its_own(void **state)
{
    int status, other;

    assert_text(djs_status_name(APR_SUCCESS), "APR_SUCCESS", "APR's");
    assert_text(djs_status_name(DJS_EBADSIG), "DJS_EBADSIG", "the first of ours");
    assert_text(djs_status_name(DJS_EINTERRUPTED), "DJS_EINTERRUPTED", "the last of ours");
    assert_text(djs_status_name(DJS_ERROR_START + 99), "another status", "nobody's");
    for (status = DJS_EBADSIG; status <= DJS_EINTERRUPTED; status++) {
        for (other = DJS_EBADSIG; other < status; other++) {
            assert_string_not_equal(djs_status_name(status), djs_status_name(other));
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(the_first_failure_is_kept_and_every_status_is_given_back),
        TEST(a_forgotten_failure_makes_room_for_the_next),
        TEST(a_trace_reaches_the_host_that_listens),
        TEST(a_warning_reaches_the_host_that_listens),
        TEST(what_no_warning_may_keep_back_is_told_apart_where_the_host_does),
        TEST(a_range_of_no_text_is_empty),
        TEST(a_copy_has_a_nul_behind_it_and_is_its_own),
        TEST(ranges_are_equal_when_length_and_content_are),
        TEST(every_status_of_ours_has_a_name_of_its_own),
    };

    return RUN_TESTS(tests);
}
