/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts of DjangoSsoHosts. What becomes of tickets is test_sso.py's. */
#include "support.h"

#include "sso.h"

static void an_origin_has_one_spelling(void **state)
{
    test_t *test = *state;
    static const struct {
        const char *text;
        const char *origin; /* NULL: it is none */
        const char *why;
    } cases[] = {
        { "www.example", "https://www.example", "https is what is meant" },
        { "WWW.Example:8443", "https://www.example:8443", "case does not count" },
        { "https://www.example:443", "https://www.example", "the scheme's own port" },
        { "http://www.example:80", "http://www.example", "the same" },
        { "http://www.example:443", "http://www.example:443", "that of another scheme" },
        { "https://www.example:", "https://www.example", "no port behind the colon" },
        { "https://[::1]:8443", "https://[::1]:8443", "an address of IPv6" },
        { "https://www.example/", NULL, "a path" },
        { "https://www.example?a", NULL, "a query" },
        { "https://www.example#a", NULL, "a fragment" },
        { "https://user@www.example", NULL, "a user" },
        { "https://user:p@www.example", NULL, "and a password" },
        { "ftp://www.example", NULL, "another scheme" },
        { "https://", NULL, "no host" },
        { "", NULL, "nothing" },
        { "*.example", NULL, "tickets are for one host" },
        { "https://www.example\\.evil", NULL, "a backslash" },
        { "https://www.exa mple", NULL, "a blank" },
        { "https://www.example:99999", NULL, "no port" },
        { "https://www.example:8x", NULL, "no number" },
        { "javascript://www.example", NULL, "a script" },
        { "//www.example://x", NULL, "a host in front of the scheme" },
        { "://www.example", NULL, "no scheme" },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *origin = djs_sso_origin(test->pool, cases[i].text);

        assert_text(origin != NULL ? origin : "none",
                    cases[i].origin != NULL ? cases[i].origin : "none", cases[i].why);
        assert_int_equal(djs_sso_is_host(cases[i].text), cases[i].origin != NULL);
    }
}

static void a_host_is_found_by_its_origin(void **state)
{
    test_t *test = *state;
    apr_array_header_t *hosts = apr_array_make(test->pool, 2, sizeof(const char *));

    APR_ARRAY_PUSH(hosts, const char *) = "Shop.example";
    APR_ARRAY_PUSH(hosts, const char *) = "http://www.example:8080";
    assert_text(djs_sso_find(test->pool, hosts, "https://shop.example:443"), "https://shop.example",
                "in another spelling");
    assert_text(djs_sso_find(test->pool, hosts, "http://www.example:8080"),
                "http://www.example:8080", "with its port");
    assert_null(djs_sso_find(test->pool, hosts, "http://shop.example"));
    assert_null(djs_sso_find(test->pool, hosts, "http://www.example"));
    assert_null(djs_sso_find(test->pool, hosts, ""));
    assert_null(djs_sso_find(test->pool, NULL, "https://shop.example"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(an_origin_has_one_spelling),
        TEST(a_host_is_found_by_its_origin),
    };

    return RUN_TESTS(tests);
}
