/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON as Python reads and writes it: golden vectors, tables, and a property over made-up trees.
 */
#include "support.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "measure.h"

#define VECTORS 212

static djs_value_t *read_json(test_t *test, const char *json)
{
    djs_value_t *value = NULL;

    assert_status(test->ctx, djs_json_loads(test->ctx, DJS_JSON_UTF8, djs_bytes(json), &value),
                  APR_SUCCESS, json);
    return value;
}

/* ---- golden vectors ---- */

static void check_vector(test_t *test, const json_t *a_case, djs_bytes_t text, int look)
{
    const char *name = vector_name(test->pool, a_case);
    djs_bytes_t expected = djs_bytes(vector_text(a_case, "json"));
    djs_value_t *value = NULL;
    apr_status_t rv;

    djs_forget(test->ctx);
    rv = djs_json_loads(test->ctx, DJS_JSON_LATIN1, text, &value);
    if (expected.data == NULL && !vector_bytes(test->pool, a_case, "json", &expected)) {
        assert_non_null(vector_text(a_case, "error"));
        assert_number(rv == DJS_EFORMAT || rv == DJS_ELIMIT, 1, name);
        assert_non_null(test->ctx->problem);
        return;
    }
    assert_status(test->ctx, rv, APR_SUCCESS, name);
    if (look) {
        look_everywhere(value);
    }
    assert_bytes(djs_json_dumps(test->ctx, DJS_JSON_COMPACT, value), expected, name);
}

static void texts_are_read_and_written_as_django_does(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "json_text.json", VECTORS);
    size_t i;

    for (i = 0; i < json_array_size(cases); i++) {
        const json_t *a_case = json_array_get(cases, i);
        djs_bytes_t text;

        assert_int_equal(vector_bytes(test->pool, a_case, "text", &text), 1);
        text = test_alone(text);
        check_vector(test, a_case, text, 0);
        check_vector(test, a_case, text, 1);
        vector_done(a_case);
        free((void *)text.data);
    }
}

/* ---- reading ---- */

static void what_is_no_json_is_refused_with_its_place(void **state)
{
    static const struct { const char *text; apr_status_t rv; const char *problem; } cases[] = {
        { "", DJS_EFORMAT, "JSON: no value at byte 0" },
        { "  ", DJS_EFORMAT, "JSON: no value at byte 2" },
        { "{\"a\":1,}", DJS_EFORMAT, "JSON: no name of a member at byte 7" },
        { "{\"a\" 1}", DJS_EFORMAT, "JSON: no colon behind a name at byte 5" },
        { "[1 2]", DJS_EFORMAT, "JSON: no comma behind an item at byte 3" },
        { "[1,]", DJS_EFORMAT, "JSON: no value at byte 3" },
        { "[1", DJS_EFORMAT, "JSON: no comma behind an item at byte 2" },
        { "\"abc", DJS_EFORMAT, "JSON: a string does not end at byte 4" },
        { "\"\\x\"", DJS_EFORMAT, "JSON: no such escape at byte 1" },
        { "\"\\u12\"", DJS_EFORMAT, "JSON: no such escape at byte 1" },
        { "\"\\", DJS_EFORMAT, "JSON: no such escape at byte 1" },
        { "\"\\u", DJS_EFORMAT, "JSON: no such escape at byte 1" },
        { "\"a\nb\"", DJS_EFORMAT, "JSON: a control character in a string at byte 2" },
        { "\"\xff\"", DJS_EFORMAT, "JSON: no valid UTF-8 at byte 1" },
        { "\"\xc3\"", DJS_EFORMAT, "JSON: no valid UTF-8 at byte 1" },
        { "\"\xed\xa0\x80\"", DJS_EFORMAT, "JSON: no valid UTF-8 at byte 1" },
        { "\"\xc0\x80\"", DJS_EFORMAT, "JSON: no valid UTF-8 at byte 1" },
        { "secret", DJS_EFORMAT, "JSON: no value at byte 0" },
        { "nul", DJS_EFORMAT, "JSON: no value at byte 0" },
        { "-", DJS_EFORMAT, "JSON: no value at byte 1" },
        { "-Infinit", DJS_EFORMAT, "JSON: no value at byte 1" },
        { "01", DJS_EFORMAT, "JSON: something behind the end at byte 1" },
        { "{} {}", DJS_EFORMAT, "JSON: something behind the end at byte 3" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_bytes_t text = test_alone(djs_bytes(cases[i].text));
        djs_value_t *value = NULL;

        djs_forget(test->ctx);
        assert_status(test->ctx, djs_json_loads(test->ctx, DJS_JSON_UTF8, text, &value),
                      cases[i].rv, cases[i].text);
        assert_text(test->ctx->problem, cases[i].problem, cases[i].text);
        assert_null(value);
        free((void *)text.data);
    }
}

/* @a times @a open, then @a inside, then as many @a close. */
static djs_bytes_t nested(test_t *test, const char *open, const char *inside, const char *close,
                          int times)
{
    size_t len = times * (strlen(open) + strlen(close)) + strlen(inside);
    char *text = apr_palloc(test->pool, len + 1), *to = text;
    int i;

    for (i = 0; i < times; i++) {
        to = apr_cpystrn(to, open, strlen(open) + 1);
    }
    to = apr_cpystrn(to, inside, strlen(inside) + 1);
    for (i = 0; i < times; i++) {
        to = apr_cpystrn(to, close, strlen(close) + 1);
    }
    return djs_bytes_of(text, len);
}

static void limits_are_just_where_they_are_said_to_be(void **state)
{
    test_t *test = *state;
    djs_ctx_t *ctx = test->ctx;
    const char *nines = nested(test, "9", "", "", DJS_INT_DIGITS_MAX).data;
    char *long_text = apr_palloc(test->pool, DJS_JSON_TEXT_MAX + 1);
    djs_value_t *value;

    assert_status(ctx, djs_json_loads(ctx, DJS_JSON_UTF8,
                                      nested(test, "[", "", "]", DJS_JSON_DEPTH_MAX), &value),
                  APR_SUCCESS, "as deep as allowed");
    look_everywhere(value);
    assert_status(ctx, djs_json_loads(ctx, DJS_JSON_UTF8,
                                      nested(test, "{\"a\":", "1", "}", DJS_JSON_DEPTH_MAX + 1),
                                      &value),
                  DJS_ELIMIT, "one deeper");
    assert_status(ctx, djs_json_loads(ctx, DJS_JSON_UTF8,
                                      djs_bytes(apr_pstrcat(test->pool, "-", nines, NULL)), &value),
                  APR_SUCCESS, "as many digits as allowed");
    assert_status(ctx, djs_json_loads(ctx, DJS_JSON_UTF8,
                                      djs_bytes(apr_pstrcat(test->pool, nines, "0", NULL)), &value),
                  DJS_ELIMIT, "one digit more");
    assert_status(ctx, djs_json_loads(ctx, DJS_JSON_UTF8,
                                      djs_bytes(apr_pstrcat(test->pool, nines, "0.0", NULL)),
                                      &value),
                  APR_SUCCESS, "a float of as many");
    assert_int_equal(djs_value_float(value) > 1e300, 1);
    memset(long_text, ' ', DJS_JSON_TEXT_MAX + 1);
    long_text[0] = '1';
    assert_status(ctx, djs_json_loads(ctx, DJS_JSON_UTF8,
                                      djs_bytes_of(long_text, DJS_JSON_TEXT_MAX), &value),
                  APR_SUCCESS, "as long as allowed");
    assert_status(ctx, djs_json_loads(ctx, DJS_JSON_UTF8,
                                      djs_bytes_of(long_text, DJS_JSON_TEXT_MAX + 1), &value),
                  DJS_ELIMIT, "one byte more");
}

/* Were the work on a level in proportion to what is inside, this would take minutes. */
static void depth_and_length_together_take_no_longer(void **state)
{
    test_t *test = *state;
    djs_bytes_t zeros = nested(test, "0,", "0 ", "", 1000000);
    djs_bytes_t text = nested(test, "{\"a\":0,\"a\":[", zeros.data, "]}", DJS_JSON_DEPTH_MAX / 2);
    djs_value_t *value;
    int i;

    for (i = 0; i < 2; i++) {
        assert_status(test->ctx, djs_json_loads(test->ctx, DJS_JSON_UTF8, text, &value),
                      APR_SUCCESS, "deep and long");
        assert_int_equal(djs_json_dumps(test->ctx, DJS_JSON_COMPACT, value).len,
                         zeros.len - 1 + 8 * (DJS_JSON_DEPTH_MAX / 2));
    }
}

/* A list of so many items, in each of which the number takes the place of "#". */
static djs_bytes_t make_list(test_t *test, const char *item, const char *comma, int count)
{
    char *start = apr_palloc(test->pool, (strlen(item) + 12) * (apr_size_t)count + 3), *out = start;
    const char *at;
    int i;

    *out++ = '[';
    for (i = 0; i < count; i++) {
        out += sprintf(out, "%s", i == 0 ? "" : comma);
        for (at = item; *at != '\0'; at++) {
            if (*at == '#') {
                out += sprintf(out, "%d", i);
            }
            else {
                *out++ = *at;
            }
        }
    }
    *out++ = ']';
    return djs_bytes_of(start, (apr_size_t)(out - start));
}

/* Tokens lie in pieces of 128, 256, 512 and so on: whatever begins, ends or goes on at their borders. */
static void lists_of_every_length_are_read_and_written(void **state)
{
    static const struct { const char *item, *spaced; } items[] = {
        { "#", "#" },
        { "[#]", "[#]" },
        { "{\"name\":#}", "{\"name\": #}" },
        { "{\"a\":[],\"b\":{\"c\":[#,{}]}}", "{\"a\": [], \"b\": {\"c\": [#, {}]}}" },
    };
    test_t *test = *state;
    size_t i;
    int count;

    for (i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
        for (count = 1; count <= 5000; count += count < 140 ? 1 : count < 1000 ? 127 : 1333) {
            const djs_bytes_t text = test_alone(make_list(test, items[i].item, ",", count));
            const djs_bytes_t spaced = make_list(test, items[i].spaced, ", ", count);
            djs_value_t *value = NULL;

            assert_status(test->ctx, djs_json_loads(test->ctx, DJS_JSON_UTF8, text, &value),
                          APR_SUCCESS, items[i].item);
            assert_bytes(djs_json_dumps(test->ctx, DJS_JSON_COMPACT, value), text, "from its text");
            assert_number(djs_value_len(value), count, items[i].item);
            assert_bytes(djs_json_dumps(test->ctx, DJS_JSON_SPACED, value), spaced, "from values");
            free((char *)text.data);
        }
    }
}

static void latin1_and_utf8_read_bytes_differently(void **state)
{
    static const struct {
        djs_json_charset_t charset;
        const char *text, *decoded, *written;
    } cases[] = {
        { DJS_JSON_LATIN1, "\"\xc3\xa9\"", "\xc3\x83\xc2\xa9", "\"\\u00c3\\u00a9\"" },
        { DJS_JSON_UTF8, "\"\xc3\xa9\"", "\xc3\xa9", "\"\\u00e9\"" },
        { DJS_JSON_LATIN1, "\"\xff\"", "\xc3\xbf", "\"\\u00ff\"" },
        { DJS_JSON_UTF8, "\"\xf0\x9f\x98\x80\"", "\xf0\x9f\x98\x80", "\"\\ud83d\\ude00\"" },
        { DJS_JSON_UTF8, "\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80", "\"\\ud83d\\ude00\"" },
        { DJS_JSON_UTF8, "\"\\ud83d\"", "\xed\xa0\xbd", "\"\\ud83d\"" },
        { DJS_JSON_UTF8, "\"\\ude00\\ud83d\"", "\xed\xb8\x80\xed\xa0\xbd", "\"\\ude00\\ud83d\"" },
        { DJS_JSON_UTF8, "\"\\ud83d\\n\"", "\xed\xa0\xbd\n", "\"\\ud83d\\n\"" },
        { DJS_JSON_UTF8, "\"\x7f\\/\"", "\x7f/", "\"\\u007f/\"" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_value_t *value = NULL;

        assert_status(test->ctx, djs_json_loads(test->ctx, cases[i].charset,
                                                djs_bytes(cases[i].text), &value),
                      APR_SUCCESS, cases[i].text);
        assert_bytes(djs_json_dumps(test->ctx, DJS_JSON_COMPACT, value),
                     djs_bytes(cases[i].written), "written from its text");
        assert_bytes(djs_value_str(value), djs_bytes(cases[i].decoded), "decoded");
        assert_bytes(djs_json_dumps(test->ctx, DJS_JSON_COMPACT, value),
                     djs_bytes(cases[i].written), "written from its characters");
    }
}

static void the_last_of_equal_names_wins_in_the_first_ones_place(void **state)
{
    static const struct { const char *text, *written; } cases[] = {
        { "{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}" },
        { "{\"\\u0061\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}" },
        { "[{\"a\":1,\"a\":{\"b\":1,\"b\":2}}]", "[{\"a\":{\"b\":2}}]" },
        { "{\"\":1,\"x\":2,\"\":3}", "{\"\":3,\"x\":2}" },
        { "{\"1\":0,\"2\":0,\"3\":0,\"4\":0,\"5\":0,\"6\":0,\"7\":0,\"8\":0,\"9\":0,\"10\":0,"
          "\"11\":0,\"12\":0,\"13\":0,\"14\":0,\"15\":0,\"16\":0,\"17\":0,\"18\":0,\"3\":1}",
          "{\"1\":0,\"2\":0,\"3\":1,\"4\":0,\"5\":0,\"6\":0,\"7\":0,\"8\":0,\"9\":0,\"10\":0,"
          "\"11\":0,\"12\":0,\"13\":0,\"14\":0,\"15\":0,\"16\":0,\"17\":0,\"18\":0}" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_value_t *value = read_json(test, cases[i].text);

        assert_bytes(djs_json_dumps(test->ctx, DJS_JSON_COMPACT, value),
                     djs_bytes(cases[i].written), cases[i].text);
    }
}

static void documents_are_read_one_after_the_other(void **state)
{
    static const struct { const char *text; apr_size_t used; const char *written; } cases[] = {
        { "{\"a\":1}, {\"b\":2}", 7, "{\"a\":1}" },
        { "  [1] x", 5, "[1]" },
        { "1.x", 1, "1" },
        { "1.5e+", 3, "1.5" },
        { "01", 1, "0" },
        { "nullnull", 4, "null" },
        { "\"a\"b", 3, "\"a\"" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_value_t *value = NULL;
        apr_size_t used = 0;

        assert_status(test->ctx, djs_json_loads_prefix(test->ctx, DJS_JSON_UTF8,
                                                       djs_bytes(cases[i].text), &value, &used),
                      APR_SUCCESS, cases[i].text);
        assert_number(used, cases[i].used, cases[i].text);
        assert_bytes(djs_json_dumps(test->ctx, DJS_JSON_COMPACT, value),
                     djs_bytes(cases[i].written), cases[i].text);
    }
}

/* ---- writing ---- */

static void spaces_stand_where_json_dumps_puts_them(void **state)
{
    static const char text[] = "{\"a\":[1,{\"b, :\":2.50}],\"c\":{},\"d\":[]}";
    test_t *test = *state;
    djs_value_t *value = read_json(test, text);

    assert_text(djs_json_dumps(test->ctx, DJS_JSON_SPACED, value).data,
                "{\"a\": [1, {\"b, :\": 2.5}], \"c\": {}, \"d\": []}", "with spaces");
    assert_text(djs_json_dumps(test->ctx, DJS_JSON_COMPACT, value).data,
                "{\"a\":[1,{\"b, :\":2.5}],\"c\":{},\"d\":[]}", "without");
}

static void strings_that_were_made_are_escaped(void **state)
{
    test_t *test = *state;
    djs_bytes_t text = djs_bytes_of("\0\x01\b\t\n\f\r\x1f \"/\\~\x7f\xc2\x80\xef\xbf\xbf\xff", 20);

    assert_text(djs_json_dumps(test->ctx, DJS_JSON_COMPACT,
                               djs_value_make_str(test->pool, text)).data,
                "\"\\u0000\\u0001\\b\\t\\n\\f\\r\\u001f \\\"/\\\\~\\u007f\\u0080\\uffff\\ufffd\"",
                "every kind; a byte that is no UTF-8 does not get out as it is");
}

/* What repr() gives; also: the corners of the shortest form, which are at powers of two. */
static const struct { double number; const char *repr; } floats[] = {
    { 0.0, "0.0" }, { -0.0, "-0.0" }, { 1.0, "1.0" }, { -1.5, "-1.5" }, { 0.1, "0.1" },
    { 0.1 + 0.2, "0.30000000000000004" }, { 1.0 / 3, "0.3333333333333333" },
    { 100.0, "100.0" }, { 1e15, "1000000000000000.0" }, { 1e16, "1e+16" },
    { 123456789012345680.0, "1.2345678901234568e+17" },
    { 9007199254740993.0, "9007199254740992.0" },
    { 9999999999999998.0, "9999999999999998.0" }, { 1e22, "1e+22" }, { 1e23, "1e+23" },
    { 0.0001, "0.0001" }, { 0.00012345, "0.00012345" }, { 0.00001, "1e-05" },
    { 1.5e-10, "1.5e-10" }, { 1e100, "1e+100" }, { 1e-100, "1e-100" },
    { 5e-324, "5e-324" }, { 1.5e-323, "1.5e-323" }, { 2.2250738585072014e-308,
    "2.2250738585072014e-308" }, { 2.225073858507201e-308, "2.225073858507201e-308" },
    { 1.7976931348623157e308, "1.7976931348623157e+308" },
    { 0x1p-1074, "5e-324" }, { 0x1p-1022, "2.2250738585072014e-308" },
    { 0x1p-44, "5.684341886080802e-14" }, { 0x1p-24, "5.960464477539063e-08" },
    { 0x1p63, "9.223372036854776e+18" }, { 0x1p64, "1.8446744073709552e+19" },
    { 0x1p710, "5.386379163185535e+213" }, { 0x1p803, "5.334411546303884e+241" },
    { 0x1p863, "6.150157786156811e+259" }, { 0x1p896, "5.282945311356653e+269" },
    { 0x1p976, "6.386688990511104e+293" }, { 0x1p1023, "8.98846567431158e+307" },
    { 12345.678, "12345.678" }, { 19.99, "19.99" }, { 1735689600.25, "1735689600.25" },
    { 999999999999999.0, "999999999999999.0" }, { 99999999999999.9, "99999999999999.9" },
    { 1230000.0, "1230000.0" }, { 10.0, "10.0" }, { 0.000123, "0.000123" }, { 1.5e-6, "1.5e-06" },
    { 0x1.0000000000001p-1, "0.5000000000000001" }, { 0x1.fffffffffffffp-2, "0.49999999999999994" },
    { 0x1.3800000000001p+4, "19.500000000000004" }, { 0.000001, "1e-06" }, { 0.0000005, "5e-07" },
};

static void floats_are_written_as_repr_does(void **state)
{
    test_t *test = *state;
    char out[DJS_JSON_FLOAT_SIZE];
    size_t i;

    for (i = 0; i < sizeof(floats) / sizeof(floats[0]); i++) {
        djs_value_t *back;

        assert_number(djs_json_float_repr(floats[i].number, out), strlen(floats[i].repr),
                      floats[i].repr);
        assert_text(out, floats[i].repr, "repr()");
        back = read_json(test, out);
        assert_memory_equal(&floats[i].number, &(double){ djs_value_float(back) }, sizeof(double));
    }
    djs_json_float_repr(NAN, out);
    assert_text(out, "NaN", "not a number");
    djs_json_float_repr(-INFINITY, out);
    assert_text(out, "-Infinity", "infinite");
}

static void every_power_reads_back_as_itself(void **state)
{
    char out[DJS_JSON_FLOAT_SIZE];
    int i;

    (void)state;
    for (i = -1074; i < 1024; i++) {
        double power = ldexp(1.0, i);
        double near[] = { power, nextafter(power, 0), nextafter(power, INFINITY) };
        size_t j;

        for (j = 0; j < 3; j++) {
            assert_true(djs_json_float_repr(near[j], out) < DJS_JSON_FLOAT_SIZE);
            assert_true(isinf(near[j]) || strtod(out, NULL) == near[j]);
        }
    }
}

static void numbers_are_read_as_python_does(void **state)
{
    static const struct { const char *text, *written; } cases[] = {
        { "-0", "0" },
        { "1E5", "100000.0" },
        { "1.10", "1.1" },
        { "1e400", "Infinity" },
        { "-1e400", "-Infinity" },
        { "1e-400", "0.0" },
        { "-1e-400", "-0.0" },
        { "0e99999999999999999999", "0.0" },
        { "1e99999999999999999999", "Infinity" },
        { "1e-99999999999999999999", "0.0" },
        { "2.2250738585072011e-308", "2.225073858507201e-308" },
        { "9007199254740993.0", "9007199254740992.0" },
        { "9007199254740993.00000000000000000000000000000000000000000000000000000000000000000001",
          "9007199254740994.0" },
        { "0.00001", "1e-05" },
        { "0.0001", "0.0001" },
        { "123456789012345.6", "123456789012345.6" },
        { "1234567890123456.7", "1234567890123456.8" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_value_t *value = read_json(test, cases[i].text);

        assert_bytes(djs_json_dumps(test->ctx, DJS_JSON_COMPACT, value),
                     djs_bytes(cases[i].written), cases[i].text);
    }
}

/* A locale in which numbers have a decimal comma; the test fails when it cannot be made. */
static void use_a_decimal_comma(test_t *test)
{
    static const char source[] = "comment_char %\nescape_char /\nLC_NUMERIC\ndecimal_point \",\"\n"
                                 "thousands_sep \".\"\ngrouping 3;3\nEND LC_NUMERIC\n";
    char *dir = apr_pstrdup(test->pool, "/tmp/djs_locale.XXXXXX");
    const char *file, *command;
    FILE *out;

    assert_non_null(mkdtemp(dir));
    file = apr_pstrcat(test->pool, dir, "/source", NULL);
    out = fopen(file, "w");
    assert_non_null(out);
    assert_true(fputs(source, out) >= 0 && fclose(out) == 0);
    command = apr_psprintf(test->pool, "localedef -c -f ANSI_X3.4-1968 -i %s %s/comma 2>%s/log",
                           file, dir, dir);
    if (system(command) < 0) {
        fail_msg("cannot run localedef");
    }
    setenv("LOCPATH", dir, 1);
    if (setlocale(LC_NUMERIC, "comma") == NULL) {
        fail_msg("localedef (Debian: locales) made no locale in %s", dir);
    }
    unsetenv("LOCPATH");
    if (system(apr_pstrcat(test->pool, "rm -r ", dir, NULL)) != 0) {
        fail_msg("cannot remove %s", dir);
    }
}

static void the_hosts_locale_has_no_say(void **state)
{
    test_t *test = *state;
    char out[DJS_JSON_FLOAT_SIZE], proof[8];
    djs_value_t *value;

    use_a_decimal_comma(test);
    snprintf(proof, sizeof(proof), "%.1f", 1.5);
    assert_text(proof, "1,5", "the locale is in use");
    djs_json_float_repr(1234567.25, out);
    assert_text(out, "1234567.25", "written");
    djs_json_float_repr(0x1p710, out);
    assert_text(out, "5.386379163185535e+213", "written, at a power of two");
    value = read_json(test, "[1.5e3, 0.125, 12345678901234567.0, 3.0000000000000004]");
    assert_true(djs_value_float(djs_value_at(value, 0)) == 1500);
    assert_true(djs_value_float(djs_value_at(value, 1)) == 0.125);
    assert_text(djs_json_dumps(test->ctx, DJS_JSON_COMPACT, value).data,
                "[1500.0,0.125,1.2345678901234568e+16,3.0000000000000004]", "read and written");
    setlocale(LC_NUMERIC, "C");
}

/* ---- a property: what is written and read again is equal ---- */

static apr_uint32_t next_random(apr_uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static djs_bytes_t some_text(test_t *test, apr_uint32_t *seed)
{
    static const char *const pieces[] = { "a", "key", "\"", "\\", "/", "\n", "\x01", "\x7f",
                                          "\xc3\xa9", "\xed\xa0\xbd", "\xed\xb8\x80x",
                                          "\xf0\x9f\x98\x80", "\xef\xbf\xbf", " " };
    const char *text = "";
    unsigned int left = next_random(seed) % 6;

    for (; left > 0; left--) {
        text = apr_pstrcat(test->pool, text,
                           pieces[next_random(seed) % (sizeof(pieces) / sizeof(pieces[0]))],
                           /* so that two halves of a pair never meet */ ".", NULL);
    }
    /* Sometimes with the NUL at its end. */
    return djs_bytes_of(text, strlen(text) + next_random(seed) % 2);
}

static djs_value_t *some_number(test_t *test, apr_uint32_t *seed)
{
    union { apr_uint64_t bits; double number; } any;

    any.bits = (apr_uint64_t)next_random(seed) << 40 ^ (apr_uint64_t)next_random(seed) << 20 ^
               next_random(seed);
    switch (next_random(seed) % 4) {
    case 0:
        return djs_value_make_int(test->pool, (apr_int64_t)any.bits);
    case 1:
        return djs_value_make_wide_int(test->pool,
                                       djs_bytes(apr_psprintf(test->pool, "-9%020" APR_UINT64_T_FMT,
                                                              any.bits)));
    case 2:
        return djs_value_make_float(test->pool, (double)(next_random(seed) % 100000) / 100);
    default:
        return djs_value_make_float(test->pool, isnan(any.number) ? INFINITY : any.number);
    }
}

static djs_value_t *some_value(test_t *test, apr_uint32_t *seed, int depth)
{
    unsigned int kind = next_random(seed) % (depth > 0 ? 10 : 6);
    unsigned int count = next_random(seed) % (next_random(seed) % 8 == 0 ? 40 : 4);
    djs_value_t *value;

    if (kind < 2) {
        return some_number(test, seed);
    }
    if (kind < 4) {
        return djs_value_make_str(test->pool, some_text(test, seed));
    }
    if (kind == 4) {
        return djs_value_make_null(test->pool);
    }
    if (kind == 5) {
        return djs_value_make_bool(test->pool, next_random(seed) % 2 == 0);
    }
    value = kind < 8 ? djs_value_make_list(test->pool) : djs_value_make_dict(test->pool);
    for (; count > 0; count--) {
        djs_value_t *item = some_value(test, seed, depth - 1);

        if (kind < 8) {
            djs_value_append(value, item);
        }
        else {
            djs_value_set(value, some_text(test, seed), item);
        }
    }
    return value;
}

static void what_is_written_reads_back_equal(void **state)
{
    test_t *test = *state;
    apr_uint32_t seed = 42;
    int i;

    for (i = 0; i < 3000; i++) {
        djs_value_t *value = some_value(test, &seed, 4), *back = NULL;
        djs_json_spacing_t spacing = i % 2 == 0 ? DJS_JSON_COMPACT : DJS_JSON_SPACED;
        djs_bytes_t text = djs_json_dumps(test->ctx, spacing, value);
        djs_bytes_t compact = djs_json_dumps(test->ctx, DJS_JSON_COMPACT, value);
        djs_json_charset_t charset = i % 3 == 0 ? DJS_JSON_LATIN1 : DJS_JSON_UTF8;

        assert_int_equal(text.data[text.len], '\0');
        assert_status(test->ctx, djs_json_loads(test->ctx, charset, text, &back), APR_SUCCESS,
                      text.data);
        assert_bytes(djs_json_dumps(test->ctx, DJS_JSON_COMPACT, back), compact, "from its text");
        assert_number(djs_value_equal(value, back), 1, text.data);
        assert_bytes(djs_json_dumps(test->ctx, DJS_JSON_COMPACT, back), compact, "from its nodes");
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(texts_are_read_and_written_as_django_does),
        TEST(what_is_no_json_is_refused_with_its_place),
        TEST(limits_are_just_where_they_are_said_to_be),
        TEST(depth_and_length_together_take_no_longer),
        TEST(lists_of_every_length_are_read_and_written),
        TEST(latin1_and_utf8_read_bytes_differently),
        TEST(the_last_of_equal_names_wins_in_the_first_ones_place),
        TEST(documents_are_read_one_after_the_other),
        TEST(spaces_stand_where_json_dumps_puts_them),
        TEST(strings_that_were_made_are_escaped),
        TEST(floats_are_written_as_repr_does),
        TEST(every_power_reads_back_as_itself),
        TEST(numbers_are_read_as_python_does),
        TEST(the_hosts_locale_has_no_say),
        TEST(what_is_written_reads_back_equal),
    };

    return RUN_TESTS(tests);
}
