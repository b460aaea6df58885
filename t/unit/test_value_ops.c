/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adding, comparing and selecting values. Expected results are Python 3.11's.
 */
#include "support.h"

#include <string.h>

#include "json.h"
#include "value.h"

static djs_value_t *read_json(test_t *test, const char *json)
{
    djs_value_t *value = NULL;

    assert_status(test->ctx, djs_json_loads(test->ctx, DJS_JSON_UTF8, djs_bytes(json), &value),
                  APR_SUCCESS, json);
    return value;
}

static const char *write_json(test_t *test, const djs_value_t *value)
{
    return djs_json_dumps(test->ctx, DJS_JSON_COMPACT, value).data;
}

static void adding_is_pythons(void **state)
{
    static const struct { const char *a, *b, *sum; const char *why; } cases[] = {
        { "1", "2", "3", "integers" },
        { "1", "-1", "0", "to zero" },
        { "9223372036854775807", "1", "9223372036854775808", "out of 64 bits" },
        { "-9223372036854775808", "-1", "-9223372036854775809", "out of 64 bits below" },
        { "9223372036854775808", "-1", "9223372036854775807", "into 64 bits" },
        { "123456789012345678901234567890", "1", "123456789012345678901234567891", "wide" },
        { "-123456789012345678901234567890", "123456789012345678901234567890", "0", "wide to 0" },
        { "0.1", "0.2", "0.30000000000000004", "floats" },
        { "1", "0.5", "1.5", "an int and a float" },
        { "9007199254740993", "0.0", "9007199254740992.0", "an int that a float cannot hold" },
        { "123456789012345678901234567890", "0.0", "1.2345678901234568e+29", "wide and a float" },
        { "1e308", "1e308", "Infinity", "too large a float" },
        { "Infinity", "-Infinity", "NaN", "no number" },
        { "true", "1", "2", "true counts as 1" },
        { "true", "true", "2", "also both" },
        { "false", "9223372036854775808", "9223372036854775808", "false and a wide one" },
        { "false", "1.5", "1.5", "false and a float" },
        { "1", "\"2\"", NULL, "a text" },
        { "null", "1", NULL, "None" },
        { "[1]", "[2]", NULL, "lists are not numbers" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_value_t *a = read_json(test, cases[i].a), *b = read_json(test, cases[i].b);
        djs_value_t *sum = djs_value_add(test->pool, a, b);
        djs_value_t *swapped = djs_value_add(test->pool, b, a);

        assert_text(sum ? write_json(test, sum) : NULL, cases[i].sum, cases[i].why);
        assert_text(swapped ? write_json(test, swapped) : NULL, cases[i].sum, cases[i].why);
    }
}

static void a_sum_of_too_many_digits_is_none(void **state)
{
    test_t *test = *state;
    char *nines = apr_palloc(test->pool, DJS_INT_DIGITS_MAX + 1);
    djs_value_t *most, *one = djs_value_make_int(test->pool, 1);

    memset(nines, '9', DJS_INT_DIGITS_MAX);
    nines[DJS_INT_DIGITS_MAX] = '\0';
    most = read_json(test, nines);
    assert_null(djs_value_add(test->pool, most, one));
    assert_null(djs_value_add(test->pool, most, djs_value_make_float(test->pool, 1)));
    assert_non_null(djs_value_add(test->pool, most, djs_value_make_int(test->pool, -1)));
    most = read_json(test, apr_pstrcat(test->pool, "-", nines, NULL));
    assert_non_null(djs_value_add(test->pool, most, one));
    assert_null(djs_value_add(test->pool, most, djs_value_make_int(test->pool, -1)));
}

static void equality_is_pythons(void **state)
{
    static const struct { const char *a, *b; int equal; const char *why; } cases[] = {
        { "1", "1.0", 1, "int and float" },
        { "true", "1", 1, "true is 1" },
        { "true", "1.0", 1, "true is 1.0" },
        { "false", "0", 1, "false is 0" },
        { "false", "-0.0", 1, "false is -0.0" },
        { "true", "2", 0, "true is not 2" },
        { "null", "null", 1, "None" },
        { "null", "false", 0, "None is not false" },
        { "null", "0", 0, "None is not 0" },
        { "0.0", "-0.0", 1, "both zeros" },
        { "NaN", "NaN", 0, "NaN is nothing" },
        { "Infinity", "1e999", 1, "both infinite" },
        { "9007199254740993", "9007199254740992.0", 0, "exact beyond 2**53" },
        { "9007199254740992", "9007199254740992.0", 1, "2**53" },
        { "9223372036854775807", "9223372036854775808.0", 0, "2**63 - 1 is not 2**63" },
        { "9223372036854775808", "9223372036854775808.0", 1, "2**63" },
        { "-9223372036854775808", "-9223372036854775808.0", 1, "-2**63" },
        { "1180591620717411303424", "1180591620717411303424.0", 1, "2**70" },
        { "1180591620717411303425", "1180591620717411303424.0", 0, "2**70 + 1" },
        { "123456789012345678901", "123456789012345678901", 1, "wide" },
        { "123456789012345678901", "-123456789012345678901", 0, "wide, the sign" },
        { "1", "\"1\"", 0, "a text is no number" },
        { "\"a\"", "\"\\u0061\"", 1, "spelling does not matter" },
        { "\"a\"", "\"a\\u0000\"", 0, "a NUL does" },
        { "[1,[2.0]]", "[true,[2]]", 1, "lists, item by item" },
        { "[1]", "[1,1]", 0, "length" },
        { "[]", "{}", 0, "a list is no dict" },
        { "{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1.0}", 1, "order does not matter" },
        { "{\"a\":1}", "{\"b\":1}", 0, "other key" },
        { "{\"a\":1}", "{\"a\":1,\"b\":1}", 0, "one more" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_value_t *a = read_json(test, cases[i].a), *b = read_json(test, cases[i].b);

        assert_number(djs_value_equal(a, b), cases[i].equal, cases[i].why);
        assert_number(djs_value_equal(b, a), cases[i].equal, cases[i].why);
    }
}

static void selectors_name_what_rfc_6901_says(void **state)
{
    static const char json[] = "{\"a\":{\"b\":[10,{\"c\":\"x\"}]},\"a/b\":1,\"m~n\":2,\"\":3,"
                               "\"/a\":4,\"~1\":5,\"\xc3\xa9\":6,\"n\":null}";
    static const struct { const char *selector, *found; const char *why; } cases[] = {
        { "a", "{\"b\":[10,{\"c\":\"x\"}]}", "a top-level key" },
        { "a/b", "1", "without a first slash it is just a key" },
        { "m~n", "2", "nothing is escaped in a key" },
        { "\xc3\xa9", "6", "UTF-8" },
        { "/a/b/0", "10", "an item" },
        { "/a/b/1/c", "\"x\"", "a member of an item" },
        { "/a~1b", "1", "~1 is a slash" },
        { "/m~0n", "2", "~0 is a tilde" },
        { "/~01", "5", "~01 is ~1" },
        { "/~1a", "4", "a slash at the beginning" },
        { "/", "3", "the empty key" },
        { "/n", "null", "None is there" },
        { "/a/b/2", NULL, "behind the end" },
        { "/a/b/-", NULL, "the item behind the last is never there" },
        { "/a/b/01", NULL, "a leading zero" },
        { "/a/b/+1", NULL, "a sign" },
        { "/a/b/", NULL, "no number" },
        { "/a/b/99999999999999999999", NULL, "no number that counts anything" },
        { "/a/b/4294967296", NULL, "not item 0" },
        { "/a/b/0/x", NULL, "inside a number" },
        { "/a/b/1/c/0", NULL, "inside a text" },
        { "/a/", NULL, "the empty key of an object that has none" },
        { "missing", NULL, "not there" },
    };
    test_t *test = *state;
    djs_value_t *dict = read_json(test, json);
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_value_t *found = djs_value_select(dict, cases[i].selector);

        assert_text(found ? write_json(test, found) : NULL, cases[i].found, cases[i].why);
    }
    assert_null(djs_value_select(read_json(test, "[1]"), "0"));
}

static void a_selector_is_judged_before_it_is_used(void **state)
{
    static const struct { const char *selector; int valid; } cases[] = {
        { "a", 1 }, { "/", 1 }, { "/a/b", 1 }, { "/~0~1", 1 }, { "a~", 1 },
        { "", 0 }, { "/~", 0 }, { "/a~2", 0 }, { "/~01~", 0 },
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_number(djs_value_selector_is_valid(cases[i].selector), cases[i].valid,
                      cases[i].selector);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(adding_is_pythons),
        TEST(a_sum_of_too_many_digits_is_none),
        TEST(equality_is_pythons),
        TEST(selectors_name_what_rfc_6901_says),
        TEST(a_selector_is_judged_before_it_is_used),
    };

    return RUN_TESTS(tests);
}
