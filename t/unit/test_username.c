/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that people type, against the field of Django's login form.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "username.h"

static djs_bytes_t bytes_of(test_t *test, const char *hex)
{
    return strcmp(hex, "-") == 0 ? djs_bytes("") : test_unhex(test->pool, hex);
}

static void names_are_what_djangos_form_makes_of_them(void **state)
{
    test_t *test = *state;
    const char *source = getenv("DJS_SRC");
    char line[8192];
    FILE *pipe;
    int count = 0;

    assert_non_null(source);
    pipe = popen(apr_pstrcat(test->pool, "/usr/bin/python3 ", source, "/t/unit/usernames.py", NULL),
                 "r");
    assert_non_null(pipe);
    while (fgets(line, sizeof(line), pipe)) {
        char *cleaned = strchr(line, ' ');
        djs_bytes_t given;

        assert_non_null(cleaned);
        *cleaned++ = '\0';
        cleaned[strcspn(cleaned, "\n")] = '\0';
        given = bytes_of(test, line);
        assert_bytes(djs_bytes(djs_username_clean(test->pool,
                                                  apr_pstrmemdup(test->pool, given.data,
                                                                 given.len))),
                     bytes_of(test, cleaned), line);
        count++;
    }
    assert_number(pclose(pipe), 0, "usernames.py");
    assert_true(count > 8000);
}

static void what_is_no_name_is_left_as_it_is(void **state)
{
    static const char *const names[] = {
        "\xff", " \xef\xbc\xa1\xff", "\xc0\x80", "\xed\xa0\x80", "\xef\xbc", " caf\xe9",
    };
    test_t *test = *state;
    char *name;
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_text(djs_username_clean(test->pool, names[i]), names[i], "no UTF-8");
    }
    name = apr_pcalloc(test->pool, DJS_USERNAME_MAX + 2);
    memset(name, ' ', DJS_USERNAME_MAX + 1);
    assert_text(djs_username_clean(test->pool, name), name, "too long");
    assert_text(djs_username_clean(test->pool, name + 1), "", "as long as may be");
}

static void names_that_a_database_takes_for_one_are_counted_as_one(void **state)
{
    static const struct { const char *a, *b; int same; const char *why; } cases[] = {
        { "ada", "ADA", 1, "case" },
        { "jos\xc3\xa9", "JOS\xc3\x89", 1, "case beyond ASCII" },
        { "jos\xc3\xa9", "Jose", 1, "an accent" },
        { "jos\xc3\xa9", "jose\xcc\x81", 1, "an accent by itself" },
        { "stra\xc3\x9f" "e", "STRASSE", 1, "sharp s" },
        { "ada\xe2\x80\x8b", "ada", 1, "what is not seen" },
        { "\xef\xbc\xa1" "da", "ada", 1, "full width" },
        { "ada", "adb", 0, "another letter" },
        { "\xd0\xb0" "da", "ada", 0, "another alphabet" },
        { "\xff" "ADA", "\xff" "ada", 1, "no UTF-8" },
        { "\xff", "\xfe", 0, "other bytes" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_number(strcmp(djs_username_fold(test->pool, cases[i].a),
                             djs_username_fold(test->pool, cases[i].b)) == 0,
                      cases[i].same, cases[i].why);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(names_are_what_djangos_form_makes_of_them),
        TEST(what_is_no_name_is_left_as_it_is),
        TEST(names_that_a_database_takes_for_one_are_counted_as_one),
    };

    return RUN_TESTS(tests);
}
