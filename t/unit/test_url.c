/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to the login page. The expected addresses are what redirect_to_login() of Django 3.2
 * answers.
 */
#include "support.h"

#include "url.h"

static void the_way_to_the_login_page_is_djangos(void **state)
{
    static const struct { const char *login, *field, *next, *url; const char *why; } cases[] = {
        { "/accounts/login/", "next", "/legacy/", "/accounts/login/?next=/legacy/",
          "slashes stay" },
        { "/accounts/login/", "next", "/a b?x=1&y=\xc3\xa9#z",
          "/accounts/login/?next=/a%20b%3Fx%3D1%26y%3D%C3%A9%23z", "everything else is encoded" },
        { "/accounts/login/", "next", "/a%20b+c", "/accounts/login/?next=/a%2520b%2Bc",
          "what is encoded already is encoded again" },
        { "/accounts/login/", "next", "-._~!*'()", "/accounts/login/?next=-._~%21%2A%27%28%29",
          "unreserved characters stay" },
        { "/accounts/login/", "next", "", "/accounts/login/?next=", "empty" },
        { "/login?lang=de", "next", "/x", "/login?lang=de&next=/x", "beside a parameter" },
        { "/login?next=/old&lang=de", "next", "/x", "/login?next=/x&lang=de",
          "an old one is replaced in its place" },
        { "/login?next=1&a=2&next=3", "next", "/x", "/login?next=/x&a=2", "several old ones" },
        { "/login?a=1&b=2&a=3", "next", "/x", "/login?a=1&a=3&b=2&next=/x",
          "parameters of one name stand together" },
        { "/login?a+b=c%20d&&e", "next", "/x", "/login?a%20b=c%20d&e=&next=/x",
          "the rest is read and written again" },
        { "/login?100%&%zz", "next", "/x", "/login?100%25=&%25zz=&next=/x",
          "a percent sign alone" },
        { "/login#top", "next", "/x", "/login?next=/x#top", "in front of the fragment" },
        { "/login?#top", "next", "/x", "/login?next=/x#top", "an empty query" },
        { "https://sso.example/login?a=1#top", "goto", "https://x.example/y",
          "https://sso.example/login?a=1&goto=https%3A//x.example/y#top", "another host" },
        { "/login", "we/ird name", "/x", "/login?we/ird%20name=/x", "a field that needs encoding" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_text(djs_url_login(test->ctx, cases[i].login, cases[i].field, cases[i].next),
                    cases[i].url, cases[i].why);
    }
}

static void an_address_is_clean_without_blanks_and_controls(void **state)
{
    static const struct { const char *url; int clean; const char *why; } cases[] = {
        { "/accounts/login/", 1, "a path" },
        { "https://x.example/?a=%20", 1, "an address" },
        { "/\xc3\xa9", 1, "beyond ASCII" },
        { "", 0, "empty" },
        { "/a b", 0, "a space" },
        { "/a\r\nSet-Cookie: x=y", 0, "a header in disguise" },
        { "/a\tb", 0, "a tab" },
        { "/a\x7f", 0, "DEL" },
        { "\x01", 0, "a control" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_number(djs_url_is_clean(cases[i].url), cases[i].clean, cases[i].why);
    }
}

static void a_parameter_is_taken_out_or_hidden_and_the_rest_stays(void **state)
{
    static const struct { const char *query, *taken, *hidden, *value, *why; } cases[] = {
        { "sid=key", "", "sid=-", "key", "nothing else" },
        { "a=1&sid=key&b=2", "a=1&b=2", "a=1&sid=-&b=2", "key", "in the middle" },
        { "a=1&sid=key", "a=1", "a=1&sid=-", "key", "at the end" },
        { "sid=key&a=1", "a=1", "sid=-&a=1", "key", "at the beginning" },
        { "sid=one&a&sid=two", "a", "sid=-&a&sid=-", "two", "the last counts, as in Django" },
        { "a=1;sid=key;b", "a=1;b", "a=1;sid=-;b", "key", "parted as of old" },
        { "%73i%64=k%65y+1", "", "sid=-", "key 1", "encoded" },
        { "sid=k%C3%a9y", "", "sid=-", "k\xc3\xa9y", "hex digits of either case" },
        { "sid", "", "sid=-", "", "no value" },
        { "sid=a=b", "", "sid=-", "a=b", "an equals sign in it" },
        { "sid=k%00y&x", "x", "sid=-&x", NULL, "a NUL" },
        { "sid=%zz%", "", "sid=-", "%zz%", "no encoding at all" },
        { "", "", "", NULL, "no query" },
        { "&&a==%61&", "&&a==%61&", "&&a==%61&", NULL, "byte for byte" },
        { "SID=x&sidx=y&xsid=z&a=sid", "SID=x&sidx=y&xsid=z&a=sid", "SID=x&sidx=y&xsid=z&a=sid",
          NULL, "other names" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *value = NULL;

        assert_text(djs_url_take_param(test->ctx, cases[i].query, "sid", NULL, &value),
                    cases[i].taken, cases[i].why);
        assert_text(value, cases[i].value, cases[i].why);
        assert_text(djs_url_take_param(test->ctx, cases[i].query, "sid", "-", NULL),
                    cases[i].hidden, cases[i].why);
    }
}

/* @HOST@ stands for the host of the request. */
static const char *replace_host(apr_pool_t *pool, const char *text, const char *host)
{
    const char *at = strstr(text, "@HOST@");

    return at ? apr_pstrcat(pool, apr_pstrmemdup(pool, text, (apr_size_t)(at - text)), host,
                            replace_host(pool, at + 6, host), NULL)
              : text;
}

/* The table of attacks: what a browser would be led away by. */
static void who_logs_in_is_led_back_to_this_host_only(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "redirects.json", 100);
    const json_t *a_case;
    size_t i, refused = 0;

    json_array_foreach(cases, i, a_case) {
        const char *name = vector_name(test->pool, a_case);
        int safe = json_is_true(json_object_get(a_case, "safe"));
        const char *next = replace_host(test->pool, vector_need(a_case, "next"), "h.example:8080");

        assert_number(djs_url_is_safe_next(test->ctx, next, "h.example:8080", 0), safe, name);
        refused += !safe;
        if (safe) {
            assert_true(djs_url_is_clean(djs_url_location(test->ctx, next)));
        }
    }
    assert_true(refused >= 60);
    assert_number(djs_url_is_safe_next(test->ctx, NULL, "h.example", 0), 0, "none");
}

static void a_secure_host_does_not_lead_back_to_an_insecure_one(void **state)
{
    static const struct { const char *next; int safe; } cases[] = {
        { "https://h.example/x", 1 }, { "http://h.example/x", 0 }, { "//h.example/x", 0 },
        { "/x", 1 }, { "x", 1 }, { "https://h.example:443/x", 0 }, { "https://H.example/x", 0 },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_number(djs_url_is_safe_next(test->ctx, cases[i].next, "h.example", 1),
                      cases[i].safe, cases[i].next);
    }
}

static void an_address_is_encoded_for_a_header(void **state)
{
    static const struct { const char *url, *location; } cases[] = {
        { "/a b", "/a%20b" },
        { " /x ", "/x" },
        { "/\xc3\xa9?q=\xc3\xa9#\xc3\xa9", "/%C3%A9?q=%C3%A9#%C3%A9" },
        { "/a%20b?c=%26&d[]=1", "/a%20b?c=%26&d[]=1" },
        { "/x\r\nSet-Cookie: a=b", "/x%0D%0ASet-Cookie:%20a=b" },
        { "/\\x\"<>", "/%5Cx%22%3C%3E" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_text(djs_url_location(test->ctx, cases[i].url), cases[i].location, cases[i].url);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(the_way_to_the_login_page_is_djangos),
        TEST(a_parameter_is_taken_out_or_hidden_and_the_rest_stays),
        TEST(an_address_is_clean_without_blanks_and_controls),
        TEST(who_logs_in_is_led_back_to_this_host_only),
        TEST(a_secure_host_does_not_lead_back_to_an_insecure_one),
        TEST(an_address_is_encoded_for_a_header),
    };

    return RUN_TESTS(tests);
}
