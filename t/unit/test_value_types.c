/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Python's types beyond JSON's: keys, equality, truth, text. Expected results are Python 3.11's.
 */
#include "support.h"

#include <math.h>
#include <string.h>

#include "json.h"
#include "value.h"

/* Values by a letter and a text, so that tables can have them. */
static djs_value_t *make_time(apr_pool_t *pool, djs_type_t type, const char *iso)
{
    djs_ctx_t *ctx = test_ctx(pool);
    djs_value_t *zone = NULL;
    djs_moment_t moment;

    assert_status(ctx, djs_moment_fromisoformat(ctx, djs_bytes(iso), &moment), APR_SUCCESS, iso);
    if (moment.aware) {
        zone = djs_value_make_timezone(pool, DJS_TIMEZONE_FIXED, moment.offset, NULL);
    }
    return djs_value_make_time(pool, type, moment.local, zone, 0);
}

static djs_value_t *make_json(apr_pool_t *pool, const char *json)
{
    djs_ctx_t *ctx = test_ctx(pool);
    djs_value_t *value;

    assert_status(ctx, djs_json_loads(ctx, DJS_JSON_UTF8, djs_bytes(json), &value), APR_SUCCESS,
                  json);
    return value;
}

/* A tuple or set of what is in a JSON list. */
static djs_value_t *make_group(apr_pool_t *pool, djs_type_t type, const char *json)
{
    djs_value_t *list = make_json(pool, json);
    djs_value_t *group = djs_value_make_group(pool, type);
    djs_value_t *item;
    apr_size_t i;

    for (i = 0; (item = djs_value_at(list, i)) != NULL; i++) {
        if (type == DJS_TYPE_TUPLE) {
            djs_value_append(group, item);
        }
        else {
            assert_int_equal(djs_value_add_item(group, item), 1);
        }
    }
    return group;
}

static djs_value_t *make(apr_pool_t *pool, const char *what)
{
    const char *text = what + 2;
    djs_span_t span = { 0, 0, 0 };

    switch (what[0]) {
    case 'b':
        return djs_value_make_bytes(pool, DJS_TYPE_BYTES, djs_bytes(text));
    case 'a':
        return djs_value_make_bytes(pool, DJS_TYPE_BYTEARRAY, djs_bytes(text));
    case '(':
        return make_group(pool, DJS_TYPE_TUPLE, text);
    case '{':
        return make_group(pool, DJS_TYPE_SET, text);
    case 'f':
        return make_group(pool, DJS_TYPE_FROZENSET, text);
    case 'D':
        return make_time(pool, DJS_TYPE_DATETIME, text);
    case 'C':
        return make_time(pool, DJS_TYPE_DATE, text);
    case 'T':
        return make_time(pool, DJS_TYPE_TIME, text);
    case 'd':
        return djs_value_make_decimal(pool, djs_bytes(text));
    case 's':
        assert_int_equal(sscanf(text, "%d %d %d", &span.days, &span.seconds, &span.usec), 3);
        return djs_value_make_span(pool, span);
    case 'z':
        return djs_value_make_timezone(pool, DJS_TIMEZONE_FIXED,
                                       apr_time_from_sec(strtol(text, NULL, 10)), NULL);
    case 'u':
        return djs_value_make_uuid(pool, (const unsigned char *)text, DJS_UUID_UNSAID);
    default:
        return make_json(pool, text);
    }
}

static void equal_values_are_one_key_and_others_are_not(void **state)
{
    static const struct { const char *a, *b; int equal; const char *why; } cases[] = {
        { "j 1", "j 1.0", 1, "hash(1) == hash(1.0)" },
        { "j 1", "j true", 1, "True is 1" },
        { "j 0", "j -0.0", 1, "and -0.0 is 0" },
        { "j 1", "j \"1\"", 0, "a text is no number" },
        { "j null", "j false", 0, "None is itself only" },
        { "j 1", "d 1.00", 1, "Decimals are numbers" },
        { "j 0.5", "d 0.50", 1, "a float that is exactly that" },
        { "j 0.1", "d 0.1", 0, "0.1 is a bit more than a tenth" },
        { "j 0.1", "d 0.1000000000000000055511151231257827021181583404541015625", 1, "just so" },
        { "j 0", "d -0E+5", 1, "zero" },
        { "j 1e300", "d 1e300", 0, "no float is 10**300" },
        { "j 1e22", "d 1E+22", 1, "but one is 10**22" },
        { "d 1E+5000", "d 10E+4999", 1, "beyond what an int may have" },
        { "d 1E-400", "d 0.1E-399", 1, "beyond what a float may have" },
        { "d 1E-400", "d -1E-400", 0, "the sign counts" },
        { "j Infinity", "d Infinity", 1, "infinite" },
        { "j Infinity", "d -Infinity", 0, "the other way" },
        { "j 9007199254740993", "j 9007199254740992.0", 0, "no rounding" },
        { "j 100000000000000000000", "j 1e20", 1, "wide, and exactly that float" },
        { "b k", "j \"k\"", 0, "bytes are no text" },
        { "b k", "b k", 1, "bytes" },
        { "( [1,\"a\"]", "( [1.0,\"a\"]", 1, "items compare as they do alone" },
        { "( [\"ab\",\"c\"]", "( [\"a\",\"bc\"]", 0, "items do not run together" },
        { "( []", "( [null]", 0, "one more" },
        { "f [1,2,3]", "f [3,2.0,true]", 1, "sets have no order" },
        { "f [1,2]", "f [1,3]", 0, "other items" },
        { "f []", "( []", 0, "a tuple is no set" },
        { "D 2025-01-01T12:00:00+01:00", "D 2025-01-01T11:00:00+00:00", 1, "the same instant" },
        { "D 2025-01-01T11:00:00", "D 2025-01-01T11:00:00+00:00", 0, "naive is not aware" },
        { "C 2025-01-01", "D 2025-01-01T00:00:00", 0, "a date is no date-time" },
        { "T 1970-01-01T12:00:00+01:00", "T 1970-01-01T11:00:00+00:00", 1, "times, too" },
        { "s 1 0 0", "s 1 0 0", 1, "time spans" },
        { "s 1 0 0", "s 0 1 0", 0, "a day is no second" },
        { "z 3600", "z 3600", 1, "zones" },
        { "u 0123456789abcdef", "u 0123456789abcdef", 1, "UUIDs" },
        { "u 0123456789abcdef", "b 0123456789abcdef", 0, "are no bytes" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_value_t *a = make(test->pool, cases[i].a), *b = make(test->pool, cases[i].b);
        djs_value_t *dict = djs_value_make_dict(test->pool);

        assert_number(djs_value_put_key(dict, a, djs_value_make_int(test->pool, 1)), 1,
                      cases[i].why);
        assert_number(djs_value_get_key(dict, b) != NULL, cases[i].equal, cases[i].why);
        assert_number(djs_value_equal(a, b), cases[i].equal, cases[i].why);
        assert_number(djs_value_equal(b, a), cases[i].equal, cases[i].why);
        assert_number(djs_value_put_key(dict, b, djs_value_make_int(test->pool, 2)), 1,
                      cases[i].why);
        assert_number(djs_value_len(dict), cases[i].equal ? 1 : 2, cases[i].why);
    }
}

static void what_has_no_hash_is_no_key(void **state)
{
    static const char *const unhashable[] = { "j []", "j {}", "{ [1]", "a k", "d sNaN", "( [[]]" };
    test_t *test = *state;
    djs_value_t *dict = djs_value_make_dict(test->pool);
    djs_value_t *set = djs_value_make_group(test->pool, DJS_TYPE_SET);
    size_t i;

    for (i = 0; i < sizeof(unhashable) / sizeof(unhashable[0]); i++) {
        assert_number(djs_value_put_key(dict, make(test->pool, unhashable[i]), dict), 0,
                      unhashable[i]);
        assert_number(djs_value_add_item(set, make(test->pool, unhashable[i])), 0, unhashable[i]);
    }
    assert_int_equal(djs_value_len(dict), 0);
    assert_int_equal(djs_value_len(set), 0);
}

static void each_nan_is_a_key_of_its_own(void **state)
{
    test_t *test = *state;
    djs_value_t *dict = djs_value_make_dict(test->pool);
    djs_value_t *nan = djs_value_make_float(test->pool, NAN);

    assert_int_equal(djs_value_put_key(dict, nan, nan), 1);
    assert_int_equal(djs_value_put_key(dict, nan, nan), 1);
    assert_int_equal(djs_value_len(dict), 1);
    assert_int_equal(djs_value_put_key(dict, djs_value_make_float(test->pool, NAN), nan), 1);
    assert_int_equal(djs_value_len(dict), 2);
    assert_int_equal(djs_value_equal(make(test->pool, "d NaN"), make(test->pool, "d NaN")), 0);
}

static void truth_is_pythons_for_all_types(void **state)
{
    static const struct { const char *what; int truth; } cases[] = {
        { "b ", 0 },          { "b x", 1 },      { "a ", 0 },    { "a x", 1 },   { "( []", 0 },
        { "( [0]", 1 },       { "{ []", 0 },     { "{ [0]", 1 }, { "f []", 0 },  { "s 0 0 0", 0 },
        { "s 0 0 1", 1 },     { "d 0.00", 0 },   { "d -0", 0 },  { "d 0E+9", 0 }, { "d 0.01", 1 },
        { "d NaN", 1 },       { "d Infinity", 1 }, { "z 0", 1 }, { "C 1970-01-01", 1 },
        { "T 1970-01-01T00:00", 1 }, { "D 1970-01-01T00:00", 1 },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_number(djs_value_truthy(make(test->pool, cases[i].what)), cases[i].truth,
                      cases[i].what);
    }
}

static void applications_get_json_that_says_the_same(void **state)
{
    static const struct { const char *what, *json; } cases[] = {
        { "b \x01\xff", "\"Af8=\"" },
        { "a hello", "\"aGVsbG8=\"" },
        { "( [1,[2]]", "[1,[2]]" },
        { "{ [3,\"b\"]", "[3,\"b\"]" },
        { "f []", "[]" },
        { "D 2025-01-02T03:04:05.000006", "\"2025-01-02T03:04:05.000006\"" },
        { "D 2025-01-02T03:04:05+05:45", "\"2025-01-02T03:04:05+05:45\"" },
        { "C 2025-01-02", "\"2025-01-02\"" },
        { "T 1970-01-01T03:04:05", "\"03:04:05\"" },
        { "T 1970-01-01T03:04:05-01:00", "\"03:04:05-01:00\"" },
        { "s 0 90 0", "90" },
        { "s -1 86399 250000", "-0.75" },
        { "s -1 86398 0", "-2" },
        { "s 999999999 86399 999999", "86399999999999.999999" },
        { "s -999999999 0 0", "-86399999913600" },
        { "z 0", "\"UTC\"" },
        { "z -12600", "\"UTC-03:30\"" },
        { "d 1.50", "\"1.50\"" },
        { "u 0123456789abcdef", "\"30313233-3435-3637-3839-616263646566\"" },
    };
    test_t *test = *state;
    djs_bytes_t unused;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const djs_value_t *value = make(test->pool, cases[i].what);
        const apr_status_t expected = cases[i].what[0] == '(' ? APR_SUCCESS : DJS_EUNSUPPORTED;

        assert_text(djs_json_dumps(test->ctx, DJS_JSON_COMPACT, value).data, cases[i].json,
                    cases[i].what);
        assert_status(test->ctx, djs_json_dumps_exactly(test->ctx, value, &unused), expected,
                      cases[i].what);
        if (expected != APR_SUCCESS) {
            assert_non_null(strstr(test->ctx->problem, djs_value_type_name(value)));
        }
        djs_forget(test->ctx);
    }
}

static void keys_of_other_types_are_named_as_pythons_json_names_them(void **state)
{
    static const struct { const char *key, *json; apr_status_t exactly; } cases[] = {
        { "j 1", "{\"1\":0}", APR_SUCCESS },
        { "j -2.50", "{\"-2.5\":0}", APR_SUCCESS },
        { "j true", "{\"true\":0}", APR_SUCCESS },
        { "j null", "{\"null\":0}", APR_SUCCESS },
        { "j NaN", "{\"NaN\":0}", APR_SUCCESS },
        { "j \"_x\"", "{\"_x\":0}", APR_SUCCESS },
        { "( [1,\"a\"]", "{\"[1,\\\"a\\\"]\":0}", DJS_EUNSUPPORTED },
        { "D 2025-01-02T03:04:05", "{\"2025-01-02T03:04:05\":0}", DJS_EUNSUPPORTED },
        { "b k", "{\"aw==\":0}", DJS_EUNSUPPORTED },
    };
    test_t *test = *state;
    djs_bytes_t text;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_value_t *dict = djs_value_make_dict(test->pool);

        assert_int_equal(djs_value_put_key(dict, make(test->pool, cases[i].key),
                                           djs_value_make_int(test->pool, 0)), 1);
        assert_text(djs_json_dumps(test->ctx, DJS_JSON_COMPACT, dict).data, cases[i].json,
                    cases[i].key);
        assert_status(test->ctx, djs_json_dumps_exactly(test->ctx, dict, &text), cases[i].exactly,
                      cases[i].key);
        djs_forget(test->ctx);
    }
}

static void what_would_be_stored_differently_is_not_the_same(void **state)
{
    static const struct { const char *a, *b; int same; } cases[] = {
        { "j 1", "j 1.0", 0 },          { "j [1]", "j [true]", 0 },      { "j 0.0", "j -0.0", 0 },
        { "j NaN", "j NaN", 1 },        { "d 1.0", "d 1.00", 0 },        { "d 1.0", "d 1.0", 1 },
        { "( [1]", "j [1]", 0 },        { "{ [1,2]", "{ [2,1]", 0 },     { "{ [1]", "{ [1]", 1 },
        { "b x", "a x", 0 },            { "j {\"a\":1}", "j {\"a\":1}", 1 },
        { "j {\"a\":1,\"b\":2}", "j {\"b\":2,\"a\":1}", 0 },
        { "D 2025-01-01T12:00:00+01:00", "D 2025-01-01T11:00:00+00:00", 0 },
        { "j \"a\"", "j \"a\"", 1 },    { "j [[1,\"x\"]]", "j [[1,\"x\"]]", 1 },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_number(djs_value_same(make(test->pool, cases[i].a), make(test->pool, cases[i].b)),
                      cases[i].same, apr_pstrcat(test->pool, cases[i].a, " | ", cases[i].b, NULL));
    }
}

static void selectors_go_into_tuples_and_find_keys_that_are_integers(void **state)
{
    test_t *test = *state;
    djs_value_t *dict = djs_value_make_dict(test->pool);

    djs_value_set(dict, djs_bytes("t"), make(test->pool, "( [7,8]"));
    assert_int_equal(djs_value_put_key(dict, make(test->pool, "j -12"),
                                       djs_value_make_int(test->pool, 9)), 1);
    assert_text(djs_json_dumps(test->ctx, DJS_JSON_COMPACT, djs_value_select(dict, "/t/1")).data,
                "8", "an item");
    assert_text(djs_json_dumps(test->ctx, DJS_JSON_COMPACT, djs_value_select(dict, "/-12")).data,
                "9", "a number");
    assert_non_null(djs_value_select(dict, "-12"));
    assert_null(djs_value_select(dict, "/-012"));
    assert_null(djs_value_select(dict, "/t/x"));
}

static void only_what_python_writes_is_a_decimal(void **state)
{
    static const struct { const char *text; int ok; } cases[] = {
        { "0", 1 },    { "-1.50", 1 }, { "1E+10", 1 },  { "NaN123", 1 },   { "-sNaN", 1 },
        { ".5", 1 },   { "5.", 1 },    { "1e5", 1 },    { "Infinity", 1 }, { "1E-99999999999999999", 1 },
        { "", 0 },     { ".", 0 },     { "1_0", 0 },    { " 1", 0 },       { "1E", 0 },
        { "1E+", 0 },  { "NaNx", 0 },  { "--1", 0 },    { "1E+999999999999999999", 0 },
        { "1.2.3", 0 }, { "E5", 0 },   { "-", 0 },      { "\xd9\xa1", 0 },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_number(djs_value_make_decimal(test->pool, djs_bytes(cases[i].text)) != NULL,
                      cases[i].ok, cases[i].text);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(equal_values_are_one_key_and_others_are_not),
        TEST(what_has_no_hash_is_no_key),
        TEST(each_nan_is_a_key_of_its_own),
        TEST(truth_is_pythons_for_all_types),
        TEST(applications_get_json_that_says_the_same),
        TEST(keys_of_other_types_are_named_as_pythons_json_names_them),
        TEST(what_would_be_stored_differently_is_not_the_same),
        TEST(selectors_go_into_tuples_and_find_keys_that_are_integers),
        TEST(only_what_python_writes_is_a_decimal),
    };

    return RUN_TESTS(tests);
}
