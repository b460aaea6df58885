/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time zones: against the C library, which reads the same files, and with files that are broken.
 */
#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "zone.h"

static const djs_zone_t *open_zone(test_t *test, const char *name)
{
    const djs_zone_t *zone = NULL;

    assert_status(test->ctx, djs_zone_open(test->ctx, test->pool, name, &zone), APR_SUCCESS, name);
    return zone;
}

static int offset_of_libc(apr_time_t instant)
{
    time_t seconds = (time_t)apr_time_sec(instant);
    struct tm local;

    assert_non_null(localtime_r(&seconds, &local));
    return (int)local.tm_gmtoff;
}

/* Every few days, odd seconds, from 1905 to 2310: the table and the rule. */
static void offsets_are_those_of_the_c_library(void **state)
{
    static const char *const names[] = {
        "UTC", "Europe/Paris", "America/New_York", "America/Chicago", "Asia/Kolkata",
        "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Casablanca", "Europe/Dublin",
        "Pacific/Apia", "Antarctica/Troll", "America/St_Johns", "Asia/Tehran", "Etc/GMT+12",
        "America/Nuuk", "America/Godthab",
    };
    test_t *test = *state;
    apr_size_t i;
    apr_int64_t t;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const djs_zone_t *zone = open_zone(test, names[i]);

        assert_text(zone->name, names[i], "its name");
        setenv("TZ", names[i], 1);
        tzset();
        for (t = APR_INT64_C(-2051222400); t < APR_INT64_C(10729324800); t += 86400 * 5 + 12347) {
            assert_number(zone->offset_at(zone, apr_time_from_sec(t)),
                          offset_of_libc(apr_time_from_sec(t)),
                          apr_psprintf(test->ctx->pool, "%s at %" APR_INT64_T_FMT, names[i], t));
        }
        unsetenv("TZ");
    }
}

/* The second before, and the second itself. */
static void clocks_change_at_the_very_second(void **state)
{
    static const struct { const char *name; apr_int64_t at; int before, after; } changes[] = {
        { "Europe/Paris", APR_INT64_C(1743296400), 3600, 7200 },      /* 2025-03-30 01:00 UTC */
        { "Europe/Paris", APR_INT64_C(1761440400), 7200, 3600 },      /* 2025-10-26 01:00 UTC */
        { "Europe/Paris", APR_INT64_C(4867088400), 3600, 7200 },      /* 2124-03-26: by the rule */
        { "America/New_York", APR_INT64_C(1741503600), -18000, -14400 },
        { "Australia/Lord_Howe", APR_INT64_C(1743865200), 39600, 37800 }, /* half an hour */
    };
    test_t *test = *state;
    apr_size_t i;

    for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        const djs_zone_t *zone = open_zone(test, changes[i].name);
        apr_time_t at = apr_time_from_sec(changes[i].at);

        assert_number(zone->offset_at(zone, at - 1), changes[i].before, changes[i].name);
        assert_number(zone->offset_at(zone, at), changes[i].after, changes[i].name);
    }
}

static void names_that_lead_elsewhere_are_refused(void **state)
{
    static const char *const bad[] = {
        "", "/etc/passwd", "../../../etc/passwd", "Europe/../../../../etc/passwd", "Europe",
        "Europe/Atlantis", "Europe/Paris\n", "Europe/Paris'; DROP", "zone.tab", "tzdata.zi",
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    };
    test_t *test = *state;
    const djs_zone_t *zone;
    apr_size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        test->ctx->problem = NULL;
        assert_status(test->ctx, djs_zone_open(test->ctx, test->pool, bad[i], &zone), DJS_EINVAL,
                      bad[i]);
        assert_non_null(test->ctx->problem);
    }
}

static void the_systems_zone_is_the_default(void **state)
{
    test_t *test = *state;
    const djs_zone_t *zone = open_zone(test, NULL);

    unsetenv("TZ");
    tzset();
    assert_number(zone->offset_at(zone, TEST_NOW), offset_of_libc(TEST_NOW), "/etc/localtime");
}

/* ---- Files that are broken ------------------------------------------------------------------- */

/* Version 2: one transition at 1000000000 from type 0 (UTC) to type 1 (one hour east). */
static djs_bytes_t make_file(test_t *test, const char *footer)
{
    static const char head[] =
        "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\4"
        "\0\0\0\0\0\0AAA\0"
        "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\2\0\0\0\4"
        "\0\0\0\0\x3b\x9a\xca\0\1"
        "\0\0\0\0\0\0\0\0\x0e\x10\0\0AAA\0";
    apr_size_t len = strlen(footer);
    char *file = malloc(sizeof(head) - 1 + len); /* its end is watched by valgrind and ASan */

    assert_non_null(file);
    memcpy(file, head, sizeof(head) - 1);
    memcpy(file + sizeof(head) - 1, footer, len);
    apr_pool_cleanup_register(test->pool, file, (apr_status_t(*)(void *))(void (*)(void))free,
                              apr_pool_cleanup_null);
    return djs_bytes_of(file, sizeof(head) - 1 + len);
}

static apr_status_t parse(test_t *test, djs_bytes_t file, const djs_zone_t **zone)
{
    test->ctx->problem = NULL;
    return djs_zone_parse(test->ctx, test->pool, NULL, file, zone);
}

static void rules_say_what_comes_after_the_table(void **state)
{
    /* 2030-01-15, 2030-07-15 */
    static const struct { const char *footer; int january, july; const char *why; } rules[] = {
        { "\n\n", 3600, 3600, "no rule: the last type for ever" },
        { "\nCET-1\n", 3600, 3600, "a standard time alone" },
        { "\n<+0330>-3:30\n", 12600, 12600, "an abbreviation of digits" },
        { "\nEST5EDT,M3.2.0,M11.1.0\n", -18000, -14400, "north" },
        { "\nAEST-10AEDT,M10.1.0,M4.1.0/3\n", 39600, 36000, "south" },
        { "\nIST-1GMT0,M10.5.0,M3.5.0/1\n", 0, 3600, "Ireland: its winter time is the exception" },
        { "\nXXX3EDT4,0/0,J365/23\n", -14400, -14400, "daylight saving all the year" },
        { "\nAAA0BBB,J60/-5,J300/167:59:59\n", 0, 3600, "Julian days, times beyond a day" },
        { "\nAAA0BBB,59,299\n", 0, 3600, "days from 0" },
    };
    test_t *test = *state;
    apr_size_t i;

    for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        const djs_zone_t *zone;

        assert_status(test->ctx, parse(test, make_file(test, rules[i].footer), &zone), APR_SUCCESS,
                      rules[i].why);
        assert_number(zone->offset_at(zone, apr_time_from_sec(APR_INT64_C(1894665600))),
                      rules[i].january, rules[i].why);
        assert_number(zone->offset_at(zone, apr_time_from_sec(APR_INT64_C(1910304000))),
                      rules[i].july, rules[i].why);
        assert_number(zone->offset_at(zone, 0), 0, "the table");
    }
}

static void broken_rules_are_refused(void **state)
{
    static const char *const footers[] = {
        "", "\n", "CET-1\n", "\nCET-1", "\nC-1\n", "\n<>-1\n", "\n<CET-1\n", "\nCET\n", "\nCET-25\n",
        "\nCET-1:60\n", "\nCET-1CEST\n", "\nCET-1CEST,\n", "\nCET-1CEST,M3.5.0\n",
        "\nCET-1CEST,M13.5.0,M10.5.0\n", "\nCET-1CEST,M0.5.0,M10.5.0\n",
        "\nCET-1CEST,M3.6.0,M10.5.0\n", "\nCET-1CEST,M3.0.0,M10.5.0\n",
        "\nCET-1CEST,M3.5.7,M10.5.0\n", "\nCET-1CEST,J0,J365\n", "\nCET-1CEST,J1,J366\n",
        "\nCET-1CEST,M3.5.0/168,M10.5.0\n", "\nCET-1CEST,M3.5.0,M10.5.0x\n",
        "\nCET-1CEST,M3.5.0,M10.5\n", "\nCET-99999999999999999999\n",
    };
    test_t *test = *state;
    const djs_zone_t *zone;
    apr_size_t i;

    for (i = 0; i < sizeof(footers) / sizeof(footers[0]); i++) {
        assert_status(test->ctx, parse(test, make_file(test, footers[i]), &zone), DJS_EFORMAT,
                      footers[i]);
    }
}

static void a_file_that_is_cut_short_is_refused(void **state)
{
    test_t *test = *state;
    djs_bytes_t whole = make_file(test, "\nCET-1CEST,M3.5.0,M10.5.0/3\n");
    const djs_zone_t *zone;
    apr_size_t len;

    assert_status(test->ctx, parse(test, whole, &zone), APR_SUCCESS, "whole");
    for (len = 0; len < whole.len; len++) {
        char *exact = malloc(len + 1);
        apr_status_t rv;

        assert_non_null(exact);
        memcpy(exact, whole.data, len);
        rv = parse(test, djs_bytes_of(exact, len), &zone);
        free(exact);
        assert_status(test->ctx, rv, DJS_EFORMAT,
                      apr_psprintf(test->pool, "%" APR_SIZE_T_FMT " bytes", len));
    }
}

static void any_byte_may_be_wrong_without_harm(void **state)
{
    static const unsigned char values[] = { 0, 1, 0x7f, 0x80, 0xff };
    test_t *test = *state;
    djs_bytes_t whole = make_file(test, "\nCET-1CEST,M3.5.0,M10.5.0/3\n");
    apr_size_t at, i;

    for (at = 0; at < whole.len; at++) {
        for (i = 0; i < sizeof(values); i++) {
            char *changed = (char *)whole.data;
            char before = changed[at];
            const djs_zone_t *zone;

            changed[at] = (char)values[i];
            if (parse(test, whole, &zone) == APR_SUCCESS) {
                int offset = zone->offset_at(zone, TEST_NOW);

                assert_in_range(offset + 26 * 3600, 0, 52 * 3600);
            }
            changed[at] = before;
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(offsets_are_those_of_the_c_library),
        TEST(clocks_change_at_the_very_second),
        TEST(names_that_lead_elsewhere_are_refused),
        TEST(the_systems_zone_is_the_default),
        TEST(rules_say_what_comes_after_the_table),
        TEST(broken_rules_are_refused),
        TEST(a_file_that_is_cut_short_is_refused),
        TEST(any_byte_may_be_wrong_without_harm),
    };

    return RUN_TESTS(tests);
}
