/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cookie headers as Django reads them, Set-Cookie lines as Django writes them.
 */
#include "support.h"

#include <string.h>

#include "cookie.h"

/* Vectors that we do not follow: SameSite in small letters, which our settings write as "Lax". */
#define SET_COOKIE_ONLY_DJANGO 1

/* --- reading --- */

static void assert_pairs(test_t *test, djs_bytes_t header, const json_t *expected, const char *why)
{
    apr_array_header_t *pairs = djs_cookie_parse(test->ctx, header);
    size_t i;

    assert_number(pairs->nelts, 2 * json_array_size(expected), why);
    for (i = 0; i < json_array_size(expected); i++) {
        const json_t *pair = json_array_get(expected, i);
        const char *name = json_string_value(json_array_get(pair, 0));
        const char *value = json_string_value(json_array_get(pair, 1));

        assert_bytes(APR_ARRAY_IDX(pairs, 2 * i, djs_bytes_t), test_unhex(test->pool, name), why);
        assert_bytes(APR_ARRAY_IDX(pairs, 2 * i + 1, djs_bytes_t), test_unhex(test->pool, value),
                     why);
    }
}

static void every_header_of_the_vectors_is_read_as_django_reads_it(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "cookie_header.json", 47);
    const json_t *a_case;
    size_t i;

    json_array_foreach(cases, i, a_case) {
        djs_bytes_t header;

        assert_true(vector_bytes(test->pool, a_case, "header", &header));
        assert_pairs(test, header, json_object_get(a_case, "cookies"),
                     vector_name(test->pool, a_case));
        vector_done(a_case);
    }
}

/* What Django's parse_cookie says of one value; `a=` stands before it. */
static void a_value_is_stripped_decoded_and_unquoted_as_python_does(void **state)
{
    static const struct { const char *raw, *value; const char *why; } cases[] = {
        { " \t\x0b\x0c\x1c\x1d\x1e\x1f" "b" "\xc2\x85\xc2\xa0\xe3\x80\x80 ", "b",
          "all white space of Unicode" },
        { "\xe2\x80\x8b" "b", "\xe2\x80\x8b" "b", "a zero-width space is none" },
        { "\xe2\x80", "\xef\xbf\xbd", "a sequence cut short is one U+FFFD" },
        { "\xf0\x9f\x98" "b", "\xef\xbf\xbd" "b", "three bytes of four too" },
        { "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd", "an overlong slash is two" },
        { "\xe0\x80\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", "overlong, three bytes" },
        { "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", "a surrogate is three" },
        { "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
          "beyond Unicode" },
        { "\xf5\x80", "\xef\xbf\xbd\xef\xbf\xbd", "no lead byte at all" },
        { "\"\xff\"", "\xef\xbf\xbd", "decoded before it is unquoted" },
        { "\"a\\\"", "a\\", "a backslash before the last quote escapes nothing" },
        { "\"\\\"", "\\", "nor alone" },
        { "\"\\\\101\"", "\\101", "an escaped backslash hides octal digits" },
        { "\"\\1011\"", "A1", "three digits, not more" },
        { "\"\\18\"", "18", "two are none" },
        { "\"\\\xc3\xa9\"", "\xc3\xa9", "a character beyond ASCII is escaped whole" },
        { "\"\"", "", "two quotes" },
        { "\"a\" b", "\"a\" b", "quotes must enclose all" },
        { "'a'", "'a'", "single quotes are none" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *header = apr_pstrcat(test->pool, "a=", cases[i].raw, NULL);
        apr_array_header_t *found = djs_cookie_find(test->ctx, header, "a");

        assert_number(found->nelts, 1, cases[i].why);
        assert_text(APR_ARRAY_IDX(found, 0, const char *), cases[i].value, cases[i].why);
    }
}

static void our_cookie_is_found_between_semicolons_only(void **state)
{
    /* Values joined with "|", the last cookie's first. */
    static const struct { const char *header, *values; const char *why; } cases[] = {
        { NULL, "", "no header" },
        { "", "", "an empty one" },
        { ";;;", "", "semicolons only" },
        { "sid=abc", "abc", "alone" },
        { "x=1; sid=abc; y=2", "abc", "among others" },
        { "sid=abc; sid=def", "def|abc", "two, the last first" },
        { "sid=; sid=def", "def|", "an empty one counts" },
        { "sid=def; sid=", "|def", "an empty one, last" },
        { "theme=x,sid=evil", "", "a comma separates nothing (D-1)" },
        { "sid=abc, sid=evil", "abc, sid=evil", "nor here" },
        { "x=\"a; sid=evil\"; sid=abc", "abc|evil\"", "quotes do not protect a semicolon" },
        { "Sid=abc; SID=def", "", "case counts" },
        { "xsid=abc; sidx=def; sid.=ghi", "", "names that ours is a part of" },
        { "sid", "", "without = it is a value without a name" },
        { "sid;=sid", "", "also here" },
        { " sid = abc ", "abc", "white space around" },
        { "$Version=1; sid=abc; $Path=/", "abc", "no RFC 2965" },
        { "sid=\"\\000abcdefgh\"", "", "a NUL makes it no text" },
        { "a=1; b=2; c=3;sid=1;sid=2;sid=3;sid=4;sid=5;sid=6;sid=7;sid=8;sid=9;sid=10",
          "10|9|8|7|6|5|4|3", "only so many are looked at" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        apr_array_header_t *found = djs_cookie_find(test->ctx, cases[i].header, "sid");

        assert_text(apr_array_pstrcat(test->pool, found, '|'), cases[i].values, cases[i].why);
    }
    assert_number(djs_cookie_find(test->ctx, "sid=\"\\000abcdefgh\"", "sid")->nelts, 1,
                  "a cookie that is no text came nevertheless");
}

static void our_cookie_is_found_wherever_it_stands(void **state)
{
    test_t *test = *state;
    apr_array_header_t *found;
    int before, behind;

    for (before = 0; before < 20; before++) {
        for (behind = 0; behind < 20; behind++) {
            const char *header = apr_psprintf(test->pool, "%.*s;id=first;id=%.*s;%.*s", before,
                                              "a=bcdefghijklmnopqrstuvwxyz", behind,
                                              "0123456789012345678901234567", behind,
                                              "z:::::::::::<<<<<<<<<<<<<");

            found = djs_cookie_find(test->ctx, header, "id");
            assert_int_equal(found->nelts, 2);
            assert_number(strlen(APR_ARRAY_IDX(found, 0, const char *)), behind, header);
            assert_text(APR_ARRAY_IDX(found, 1, const char *), "first", header);
        }
    }
}

static void removed_cookies_leave_the_others_byte_for_byte(void **state)
{
    static const char *const names[] = { "sid", "csrftoken" };
    static const struct { const char *header, *left; const char *why; } cases[] = {
        { NULL, NULL, "no header" },
        { "sid=abc", NULL, "nothing else there" },
        { "sid=abc; other=2", "other=2", "the first: no blank in front (D-2)" },
        { "other=2; sid=abc", "other=2", "the last: no semicolon behind" },
        { "a=1; sid=abc; b=2", "a=1; b=2", "in the middle" },
        { "a=1;sid=abc;b=2", "a=1; b=2", "without blanks" },
        { "sid=1; sid=2; a=1; sid=3", "a=1", "all of them" },
        { "sid=1; csrftoken=2; a=1", "a=1", "all names" },
        { "\"sid=1", "\"sid=1", "another name" },
        { " sid =1; a=1", "a=1", "as Django reads the name" },
        { "\xc2\xa0sid=1; a=1", "a=1", "with white space beyond ASCII, too" },
        { "a=\" b \"; sid=1; c=%20", "a=\" b \"; c=%20", "values stay as they are" },
        { "a=\xff; sid=1", "a=\xff", "bytes that are no UTF-8 stay" },
        { "a=1;;  ; b=2", "a=1; b=2", "what says nothing goes" },
        { "sid; a", "sid; a", "a value without a name is another cookie" },
        { "Sid=1", "Sid=1", "case counts" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_text(djs_cookie_remove(test->ctx, cases[i].header, names, 2), cases[i].left,
                    cases[i].why);
    }
}

/* --- writing --- */

/* Django's defaults. */
static djs_settings_t *default_settings(apr_pool_t *pool)
{
    djs_settings_t *settings = apr_pcalloc(pool, sizeof(*settings));

    settings->cookie_name = "sessionid";
    settings->cookie_age = apr_time_from_sec(1209600);
    settings->cookie_path = "/";
    settings->cookie_httponly = 1;
    settings->cookie_samesite = DJS_SAMESITE_LAX;
    return settings;
}

/* 0: a value that our settings cannot have. */
static int set_samesite(djs_settings_t *settings, const json_t *value)
{
    static const char *const names[] = { "", "Lax", "Strict", "None" };
    size_t i;

    settings->cookie_samesite = DJS_SAMESITE_OFF;
    for (i = 0; json_is_string(value) && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(json_string_value(value), names[i]) == 0) {
            settings->cookie_samesite = (int)i;
            return 1;
        }
    }
    return !json_is_string(value);
}

/* The settings of a case; 0: one of them is nothing that our settings can have. */
static int read_settings(djs_settings_t *settings, const json_t *from)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)from, name, value) {
        if (strcmp(name, "SESSION_COOKIE_NAME") == 0) {
            settings->cookie_name = json_string_value(value);
        }
        else if (strcmp(name, "SESSION_COOKIE_SECURE") == 0) {
            settings->cookie_secure = json_is_true(value) ? DJS_SECURE_ON : DJS_SECURE_OFF;
        }
        else if (strcmp(name, "SESSION_COOKIE_HTTPONLY") == 0) {
            settings->cookie_httponly = json_is_true(value);
        }
        else if (strcmp(name, "SESSION_COOKIE_DOMAIN") == 0) {
            settings->cookie_domain = json_string_value(value);
        }
        else if (strcmp(name, "SESSION_COOKIE_PATH") == 0) {
            settings->cookie_path = json_string_value(value);
        }
        else if (strcmp(name, "SESSION_COOKIE_AGE") == 0) {
            settings->cookie_age = test_time(value);
        }
        else if (strcmp(name, "SESSION_EXPIRE_AT_BROWSER_CLOSE") == 0) {
            settings->expire_at_browser_close = json_is_true(value);
        }
        else if (strcmp(name, "SESSION_COOKIE_SAMESITE") == 0) {
            if (!set_samesite(settings, value)) {
                return 0;
            }
        }
        else {
            fail_msg("a vector has the setting %s, which this test does not know", name);
        }
    }
    return 1;
}

static djs_cookie_life_t life_of(const djs_settings_t *settings, const json_t *set_expiry)
{
    djs_cookie_life_t life = { 0, 0 };

    if (json_is_string(set_expiry)) { /* "default" */
        life.browser_close = settings->expire_at_browser_close;
        life.age = settings->cookie_age;
        return life;
    }
    life.age = test_time(set_expiry);
    life.browser_close = life.age == 0;
    return life;
}

static void every_line_of_the_vectors_is_written_as_django_writes_it(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "set_cookie.json", 43);
    const json_t *a_case;
    int left_out = 0;
    size_t i;

    json_array_foreach(cases, i, a_case) {
        djs_settings_t *settings = default_settings(test->pool);
        const char *why = vector_name(test->pool, a_case);

        test->ctx->now = test_time(json_object_get(a_case, "now"));
        if (!read_settings(settings, json_object_get(a_case, "settings"))) {
            vector_left(a_case, "our settings know no SameSite in small letters");
            left_out++;
            continue;
        }
        assert_text(djs_cookie_set(test->ctx, settings, settings->cookie_secure == DJS_SECURE_ON,
                                   vector_need(a_case, "value"),
                                   life_of(settings, json_object_get(a_case, "set_expiry"))),
                    vector_need(a_case, "set_cookie"), why);
        assert_text(djs_cookie_delete(test->ctx, settings), vector_need(a_case, "delete_cookie"),
                    why);
        vector_done(a_case);
    }
    assert_number(left_out, SET_COOKIE_ONLY_DJANGO, "cases that our settings cannot express");
}

static void partitioned_comes_last_and_its_deletion_is_secure(void **state)
{
    static const djs_cookie_life_t browser = { 1, 0 };
    test_t *test = *state;
    djs_settings_t *settings = default_settings(test->pool);

    settings->cookie_partitioned = 1;
    assert_text(djs_cookie_set(test->ctx, settings, 1, "v", browser),
                "sessionid=v; HttpOnly; Path=/; SameSite=Lax; Secure; Partitioned", "set");
    assert_text(djs_cookie_delete(test->ctx, settings),
                "sessionid=\"\"; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; "
                "SameSite=Lax; Secure; Partitioned", "browsers take Partitioned only with Secure");
}

static void a_max_age_is_truncated_toward_zero(void **state)
{
    static const struct { apr_interval_time_t age; const char *text; } cases[] = {
        { 999999, "; expires=Wed, 01 Jan 2025 00:00:00 GMT; HttpOnly; Max-Age=0;" },
        { -999999, "; expires=Tue, 31 Dec 2024 23:59:59 GMT; HttpOnly; Max-Age=0;" },
        { -1500000, "; expires=Tue, 31 Dec 2024 23:59:58 GMT; HttpOnly; Max-Age=-1;" },
    };
    test_t *test = *state;
    djs_settings_t *settings = default_settings(test->pool);
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_cookie_life_t life = { 0, 0 };

        life.age = cases[i].age;
        assert_text(djs_cookie_set(test->ctx, settings, 0, "v", life),
                    apr_pstrcat(test->pool, "sessionid=v", cases[i].text, " Path=/; SameSite=Lax",
                                NULL), cases[i].text);
    }
}

static void a_value_that_is_no_token_is_quoted_as_python_quotes_it(void **state)
{
    static const struct { const char *value, *written; } cases[] = {
        { "abc-XYZ_0.9:!#$%&'*+^`|~", "abc-XYZ_0.9:!#$%&'*+^`|~" },
        { "a;b,c", "\"a\\073b\\054c\"" },
        { "a b=c", "\"a b=c\"" },
        { "a\"b\\c", "\"a\\\"b\\\\c\"" },
        { "a\r\nb\x7f", "\"a\\015\\012b\\177\"" },
        { "\xc3\xa9", "\"\\351\"" },
    };
    static const djs_cookie_life_t browser = { 1, 0 };
    test_t *test = *state;
    djs_settings_t *settings = default_settings(test->pool);
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *line = djs_cookie_set(test->ctx, settings, 0, cases[i].value, browser);
        apr_array_header_t *found;

        assert_text(line, apr_pstrcat(test->pool, "sessionid=", cases[i].written,
                                      "; HttpOnly; Path=/; SameSite=Lax", NULL), cases[i].value);
        found = djs_cookie_find(test->ctx, line, "sessionid");
        assert_text(APR_ARRAY_IDX(found, 0, const char *), cases[i].value, "and read back");
    }
}

static void the_name_of_a_line_is_what_stands_before_its_first_equals_sign(void **state)
{
    static const struct { const char *line; int ours; const char *why; } cases[] = {
        { "sessionid=x; Path=/", 1, "a cookie" },
        { " sessionid =x", 1, "with blanks, which browsers drop" },
        { "sessionid=", 1, "an empty one" },
        { "sessionid", 0, "no cookie" },
        { "sessionid2=x", 0, "a longer name" },
        { "Sessionid=x", 0, "case counts" },
        { "x=sessionid=1", 0, "in the value" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_number(djs_cookie_line_is(cases[i].line, "sessionid"), cases[i].ours, cases[i].why);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(every_header_of_the_vectors_is_read_as_django_reads_it),
        TEST(a_value_is_stripped_decoded_and_unquoted_as_python_does),
        TEST(our_cookie_is_found_between_semicolons_only),
        TEST(our_cookie_is_found_wherever_it_stands),
        TEST(removed_cookies_leave_the_others_byte_for_byte),
        TEST(every_line_of_the_vectors_is_written_as_django_writes_it),
        TEST(partitioned_comes_last_and_its_deletion_is_secure),
        TEST(a_max_age_is_truncated_toward_zero),
        TEST(a_value_that_is_no_token_is_quoted_as_python_quotes_it),
        TEST(the_name_of_a_line_is_what_stands_before_its_first_equals_sign),
    };

    return RUN_TESTS(tests);
}
