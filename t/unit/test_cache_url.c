/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DjangoSessionCache: what it takes and refuses, and that nothing is said of a password.
 */
#include "support.h"

#include <string.h>

#include "cache_url.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Parse arguments that stand in one line. */
static apr_status_t parse(test_t *test, const char *line, const djs_cache_conf_t **conf)
{
    char **words;
    int count = 0;

    assert_int_equal(apr_tokenize_to_argv(line, &words, test->pool), APR_SUCCESS);
    while (words[count] != NULL) {
        count++;
    }
    djs_forget(test->ctx);
    return djs_cache_url_parse(test->ctx, count, (const char *const *)words, conf);
}

static const djs_cache_conf_t *must_parse(test_t *test, const char *line)
{
    const djs_cache_conf_t *conf = NULL;

    assert_status(test->ctx, parse(test, line, &conf), APR_SUCCESS, line);
    return conf;
}

static void servers_are_read_as_they_are_written(void **state)
{
    static const struct { const char *line; int count; const char *host; int port; const char *path;
                          const char *name; } cases[] = {
        { "memcached://h", 1, "h", 11211, NULL, "h:11211" },
        { "memcached://h:1", 1, "h", 1, NULL, "h:1" },
        { "memcached://[::1]", 1, "::1", 11211, NULL, "[::1]:11211" },
        { "memcached://[fe80::1%eth0]:65535,x", 2, "fe80::1%eth0", 65535, NULL,
          "[fe80::1%eth0]:65535" },
        { "memcached://a:1,b:2,c:3", 3, "a", 1, NULL, "a:1" },
        { "memcached+unix:///run/m.sock", 1, NULL, 0, "/run/m.sock", "/run/m.sock" },
        { "memcached+unix:///run/a%20b", 1, NULL, 0, "/run/a b", "/run/a b" },
        { "redis://h", 1, "h", 6379, NULL, "h:6379" },
        { "redis://h/", 1, "h", 6379, NULL, "h:6379" },
        { "rediss://u:p@[::1]:7/3", 1, "::1", 7, NULL, "[::1]:7" },
        { "redis+unix:///r?db=2", 1, NULL, 0, "/r", "/r" },
        { "redis+unix://u:p@/r", 1, NULL, 0, "/r", "/r" },
        { "shm://", 0, NULL, 0, NULL, NULL },
    };
    test_t *test = *state;
    apr_size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        const djs_cache_conf_t *conf = must_parse(test, cases[i].line);

        assert_number(conf->server_count, cases[i].count, cases[i].line);
        if (cases[i].count > 0) {
            assert_text(conf->servers[0].host, cases[i].host, cases[i].line);
            assert_number(conf->servers[0].port, cases[i].port, cases[i].line);
            assert_text(conf->servers[0].path, cases[i].path, cases[i].line);
            assert_text(conf->servers[0].name, cases[i].name, cases[i].line);
        }
    }
}

static void options_have_defaults(void **state)
{
    test_t *test = *state;
    const djs_cache_conf_t *conf = must_parse(test, "memcached://h");

    assert_int_equal(conf->format, DJS_CACHE_PYMEMCACHE);
    assert_text(conf->prefix, "", "KEY_PREFIX");
    assert_text(conf->version, "1", "VERSION");
    assert_number(conf->timeout, apr_time_from_msec(500), "timeout");
    assert_number(conf->pool_max, 32, "pool");
    assert_int_equal(must_parse(test, "redis://h")->format, DJS_CACHE_DJANGO);
    assert_null(must_parse(test, "redis://h")->password);
    conf = must_parse(test, "shm://");
    assert_int_equal(conf->format, DJS_CACHE_OURS);
    assert_text(conf->shm_name, "", "no name");
    assert_number(conf->shm_size, 64 << 20, "size");
    assert_null(conf->shm_file);
}

static void everything_can_be_said(void **state)
{
    test_t *test = *state;
    const djs_cache_conf_t *conf = must_parse(
        test, "rediss://al%40ice:s%2F%3a%25@h:1/15 pool=7 timeout=2s version=v2 'prefix=a b' "
              "format=django-redis-json");

    assert_int_equal(conf->scheme, DJS_CACHE_REDIS);
    assert_number(conf->tls, 1, "rediss");
    assert_text(conf->user, "al@ice", "user");
    assert_text(conf->password, "s/:%", "password");
    assert_number(conf->database, 15, "database");
    assert_number(conf->pool_max, 7, "pool");
    assert_number(conf->timeout, apr_time_from_sec(2), "timeout");
    assert_text(conf->version, "v2", "version");
    assert_text(conf->prefix, "a b", "Redis takes any key");
    assert_int_equal(conf->format, DJS_CACHE_DJANGO_REDIS_JSON);
    conf = must_parse(test, "redis+unix://:pw@/r.sock?db=4");
    assert_null(conf->user);
    assert_text(conf->password, "pw", "a password alone");
    assert_number(conf->database, 4, "?db=");
    conf = must_parse(test, "shm://shop?file=/var/lib/x%26y&size=1m");
    assert_text(conf->shm_name, "shop", "name");
    assert_text(conf->shm_file, "/var/lib/x&y", "file");
    assert_number(conf->shm_size, 1 << 20, "size");
}

static void what_cannot_be_is_refused_and_named(void **state)
{
    static const struct { const char *line, *named, *why; } bad[] = {
        { "''", "memcached://", "nothing" },
        { "h:11211", "memcached://", "no scheme" },
        { "http://h", "memcached://", "another scheme" },
        { "memcached:h", "memcached://", "no slashes" },
        { "memcached://", "11211", "no server" },
        { "memcached://h:0", "65535", "port 0" },
        { "memcached://h:65536", "65535", "no such port" },
        { "memcached://h:99999999999999999999", "65535", "a port that overflows" },
        { "memcached://h:+1", "65535", "a sign" },
        { "memcached://h:", "65535", "an empty port" },
        { "memcached://h,", "11211", "a comma too many" },
        { "memcached://::1", "brackets", "IPv6 without brackets" },
        { "memcached://[::1", "brackets", "half of the brackets" },
        { "memcached://[::1]x", "brackets", "more behind it" },
        { "memcached://[]", "brackets", "nothing inside" },
        { "memcached://h/x", "host name", "memcached has no path" },
        { "memcached+unix://h", "absolute path", "a host" },
        { "memcached+unix:///", "absolute path", "no path" },
        { "memcached+unix:///a%00b", "absolute path", "a NUL" },
        { "redis://h,i", "host name", "two servers" },
        { "redis://h/x", "number of a database", "a name" },
        { "redis://h/-1", "number of a database", "negative" },
        { "redis://h/0/1", "number of a database", "two" },
        { "redis://h?db=1", "/NUMBER", "as of unix sockets" },
        { "redis+unix:///r/0?x=1", "?db=", "another parameter" },
        { "redis+unix:///r?db=", "number of a database", "none" },
        { "shm://a/b", "letters", "a path" },
        { "shm://?size=12", "1m", "too small" },
        { "shm://?size=9999999g", "1m", "too large" },
        { "shm://?size=x", "1m", "no number" },
        { "shm://?size=", "1m", "nothing" },
        { "shm://?file=", "file=", "nothing" },
        { "shm://?size=2m&size=2m", "once", "twice" },
        { "shm://?speed=1", "size=SIZE", "unknown" },
        { "shm:// format=redis", "no format=", "nobody else reads it" },
        { "memcached://h format=redis", "pymemcache, pylibmc, python-memcached", "another's" },
        { "redis://h format=pylibmc", "redis, django-redis, django-redis-json", "another's" },
        { "redis://h format=Redis", "django-redis", "case counts" },
        { "redis://h timeout=0", "not 0", "no time" },
        { "redis://h timeout=soon", "not 0", "no duration" },
        { "redis://h pool=0", "from 1 to", "no clients" },
        { "redis://h pool=2000", "from 1 to", "too many" },
        { "redis://h pool=3 pool=3", "each option once", "twice" },
        { "redis://h version=", "VERSION", "empty" },
        { "redis://h colour=red", "format=", "unknown option" },
        { "redis://h redis://i", "one URL", "two URLs" },
        { "memcached://h 'prefix=a b'", "without spaces", "no key of memcached" },
        { "redis://h 'prefix=a\nb'", "control", "would end the line of a log" },
    };
    test_t *test = *state;
    apr_size_t i;

    for (i = 0; i < COUNT(bad); i++) {
        const djs_cache_conf_t *conf = NULL;

        assert_status(test->ctx, parse(test, bad[i].line, &conf), DJS_EINVAL, bad[i].line);
        assert_null(conf);
        if (strstr(test->ctx->problem, bad[i].named) == NULL) {
            fail_msg("%s (%s): \"%s\" does not say \"%s\"", bad[i].line, bad[i].why,
                     test->ctx->problem, bad[i].named);
        }
    }
}

static void a_prefix_that_fills_the_key_is_refused(void **state)
{
    test_t *test = *state;
    const djs_cache_conf_t *conf;
    char line[300] = "memcached://h prefix=";
    apr_size_t len = strlen(line);

    memset(line + len, 'p', 181);
    conf = must_parse(test, line);
    assert_number(strlen(djs_cache_key(test->pool, conf, "django.contrib.sessions.cached_db",
                                       "0123456789abcdef0123456789abcdef")),
                  249, "one is left");
    memset(line + len, 'p', 183);
    assert_status(test->ctx, parse(test, line, &conf), DJS_EINVAL, "no key of 250 bytes");
    assert_non_null(strstr(test->ctx->problem, "182 bytes"));
}

static void a_password_is_never_said(void **state)
{
    static const char *const lines[] = {
        "redis://u:hunter2@h/x",    "redis://u:hunter2@h:0",   "redis://hunter2@h",
        "redis://:@hunter2@",       "redis:u:hunter2@h",       "redis://u:%hunter2@h",
        "redis://u:hunter2/x@h",    "rediss://hunter2:@h",     "redis+unix://u:hunter2@h",
        "redis://h redis://hunter2@h", "xxx://u:hunter2@h",
    };
    test_t *test = *state;
    const djs_cache_conf_t *conf;
    apr_size_t i;

    for (i = 0; i < COUNT(lines); i++) {
        assert_status(test->ctx, parse(test, lines[i], &conf), DJS_EINVAL, lines[i]);
        if (strstr(test->ctx->problem, "hunter2") != NULL) {
            fail_msg("%s: %s", lines[i], test->ctx->problem);
        }
    }
    assert_text(djs_cache_url_mask(test->pool, "redis://u:hunter2@h/1"), "redis://********@h/1",
                "what is shown");
}

static void a_copy_is_equal_and_its_own(void **state)
{
    test_t *test = *state;
    const djs_cache_conf_t *conf = must_parse(test, "redis://u:p@h/1 prefix=x");
    apr_pool_t *pool;
    const djs_cache_conf_t *copy;

    assert_int_equal(apr_pool_create(&pool, NULL), APR_SUCCESS);
    copy = djs_cache_conf_copy(pool, conf);
    assert_true(djs_cache_conf_equal(conf, copy));
    assert_text(copy->password, "p", "all of it");
    assert_ptr_not_equal(copy->servers[0].host, conf->servers[0].host);
    assert_false(djs_cache_conf_equal(conf, must_parse(test, "redis://u:q@h/1 prefix=x")));
    assert_false(djs_cache_conf_equal(conf, must_parse(test, "redis://u:p@h/1")));
    assert_false(djs_cache_conf_equal(conf, NULL));
    assert_true(djs_cache_conf_equal(NULL, NULL));
    apr_pool_destroy(pool);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(servers_are_read_as_they_are_written),
        TEST(options_have_defaults),
        TEST(everything_can_be_said),
        TEST(what_cannot_be_is_refused_and_named),
        TEST(a_prefix_that_fills_the_key_is_refused),
        TEST(a_password_is_never_said),
        TEST(a_copy_is_equal_and_its_own),
    };

    return RUN_TESTS(tests);
}
