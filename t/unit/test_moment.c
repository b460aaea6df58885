/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instants as Python and Django write them. What Python says stands in the tables; it was asked
 * (3.11), a quarter of a million made-up texts beside these among them.
 */
#include "support.h"

#include <string.h>

#include "moment.h"

#define HOURS(n) ((n) * APR_INT64_C(3600) * APR_USEC_PER_SEC)

/* Five hours and a half east of Greenwich. */
static int half_past_five(const djs_zone_t *zone, apr_time_t instant)
{
    (void)zone;
    (void)instant;
    return 19800;
}

static const djs_zone_t kolkata = { half_past_five, "Asia/Kolkata" };

static void isoformat_writes_what_python_writes(void **state)
{
    static const struct { djs_moment_t moment; const char *text; const char *why; } cases[] = {
        { { 0, 0, 0 }, "1970-01-01T00:00:00", "naive" },
        { { 0, 1, 0 }, "1970-01-01T00:00:00+00:00", "aware" },
        { { 1, 1, 0 }, "1970-01-01T00:00:00.000001+00:00", "six digits or none" },
        { { 250000, 0, 0 }, "1970-01-01T00:00:00.250000", "trailing zeros stay" },
        { { -1, 0, 0 }, "1969-12-31T23:59:59.999999", "before 1970" },
        { { TEST_NOW, 1, HOURS(5) + HOURS(1) / 2 }, "2025-01-01T00:00:00+05:30", "an offset" },
        { { TEST_NOW, 1, -HOURS(1) / 2 }, "2025-01-01T00:00:00-00:30", "west of Greenwich" },
        { { TEST_NOW, 1, 1172 * APR_USEC_PER_SEC }, "2025-01-01T00:00:00+00:19:32",
          "an offset with seconds, as Amsterdam's before 1937" },
        { { TEST_NOW, 1, -1172 * APR_USEC_PER_SEC - 5 }, "2025-01-01T00:00:00-00:19:32.000005",
          "an offset with a fraction" },
        { { DJS_MOMENT_MIN, 0, 0 }, "0001-01-01T00:00:00", "the first that Python has" },
        { { DJS_MOMENT_MAX - 1, 0, 0 }, "9999-12-31T23:59:59.999999", "the last" },
        { { APR_INT64_C(951782400) * APR_USEC_PER_SEC, 0, 0 }, "2000-02-29T00:00:00",
          "a leap day at the end of a century" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_text(djs_moment_isoformat(test->pool, cases[i].moment, 'T'), cases[i].text,
                    cases[i].why);
    }
    assert_text(djs_moment_isoformat(test->pool, cases[0].moment, ' '), "1970-01-01 00:00:00",
                "SQL's separator");
}

static void days_from_the_first_to_the_last_are_written_and_read_back(void **state)
{
    test_t *test = *state;
    apr_pool_t *pool;
    apr_time_t local;

    apr_pool_create(&pool, test->pool);
    for (local = DJS_MOMENT_MIN; local < DJS_MOMENT_MAX; local += HOURS(24) * 13 + 86399999999) {
        djs_moment_t moment = { 0, 0, 0 }, read;
        const char *text;

        moment.local = local;
        text = djs_moment_isoformat(pool, moment, 'T');
        assert_status(test->ctx, djs_moment_fromisoformat(test->ctx, djs_bytes(text), &read),
                      APR_SUCCESS, text);
        assert_number(read.local, local, text);
        apr_pool_clear(pool);
    }
}

static void fromisoformat_reads_what_python_reads(void **state)
{
    static const struct { const char *text, *iso; const char *why; } cases[] = {
        { "2025-01-04", "2025-01-04T00:00:00", "a date alone" },
        { "20250104", "2025-01-04T00:00:00", "basic" },
        { "2025-01-04T05:06:07", "2025-01-04T05:06:07", "what isoformat() writes" },
        { "2025-01-04 05:06:07.25", "2025-01-04T05:06:07.250000", "two digits of a fraction" },
        { "2025-01-04\xc3\xa9" "05:06", "2025-01-04T05:06:00", "any character separates" },
        { "2025-01-04\xf0\x9f\x98\x80" "05:06", "2025-01-04T05:06:00", "an astral one" },
        { "2025-01-04\xed\xa0\x80" "05:06", "2025-01-04T05:06:00", "a lone surrogate" },
        { "2025-01-04T05", "2025-01-04T05:00:00", "hours alone" },
        { "20250104T0506", "2025-01-04T05:06:00", "basic time" },
        { "2025-01-04T050607,1234567", "2025-01-04T05:06:07.123456", "a comma, seven digits" },
        { "2025-01-04T05:06:07Z", "2025-01-04T05:06:07+00:00", "Z" },
        { "2025-01-04T05:06:07+00:00", "2025-01-04T05:06:07+00:00", "aware" },
        { "2025-01-04T05:06:07-05", "2025-01-04T05:06:07-05:00", "a zone of hours" },
        { "2025-01-04T05:06:07+0530", "2025-01-04T05:06:07+05:30", "a basic zone" },
        { "2025-01-04T05:06:07+00:19:32.5", "2025-01-04T05:06:07+00:19:32.500000", "fine zone" },
        { "2025-01-04T05:06:07+00:00:00.5", "2025-01-04T05:06:07+00:00", "less than a second" },
        { "2025-01-04T05:06:07 +00:00", "2025-01-04T05:06:07+00:00", "one stray character" },
        { "2025-W01", "2024-12-30T00:00:00", "a week that began last year" },
        { "2025-W01-3", "2025-01-01T00:00:00", "a day of it" },
        { "2020W537", "2021-01-03T00:00:00", "a week 53" },
        { "2026W53", "2026-12-28T00:00:00", "a year that begins on a Thursday has one" },
        { "2025W01T05", "2024-12-30T05:00:00", "a week and a time" },
        { "2025-W01-0506", "2024-12-30T05:06:00", "two digits behind the dash are hours" },
        { "2025W01305", "2024-12-30T05:00:00", "digits in pairs: 3 separates" },
        { "9999-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999", "the last" },
        { "2024-02-29", "2024-02-29T00:00:00", "a leap day" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_moment_t moment;

        assert_status(test->ctx,
                      djs_moment_fromisoformat(test->ctx, djs_bytes(cases[i].text), &moment),
                      APR_SUCCESS, cases[i].why);
        assert_text(djs_moment_isoformat(test->pool, moment, 'T'), cases[i].iso, cases[i].why);
    }
}

static void fromisoformat_refuses_what_python_refuses(void **state)
{
    static const struct { const char *text; const char *why; } cases[] = {
        { "", "empty" },
        { "  ", "spaces" },
        { "60", "a number" },
        { "soon", "a word" },
        { "2025-01", "no day" },
        { "2025-1-4", "one digit" },
        { "2025-01-04T", "a separator and nothing" },
        { "2025-01-04\xc3\xa9", "the same, two bytes" },
        { "2025-01-04T5:06", "one digit" },
        { "2025-01-04T05:06:", "a colon too many" },
        { "2025-01-04T05:06:07.", "no fraction behind the point" },
        { "2025-01-04T05:06:07 ", "a space behind" },
        { "2025-01-04T24:00", "hour 24" },
        { "2025-01-04T05:60", "minute 60" },
        { "2025-01-04T05:06:60", "a leap second" },
        { "2025-01-04T05:06+24:00", "an offset of a day" },
        { "2025-01-04T05:06z", "Z is upper case" },
        { "2025-01-04T05:06ZZ", "two" },
        { "2031-13-01", "month 13" },
        { "2031-00-01", "month 0" },
        { "2031-02-30", "30 February" },
        { "2025-02-29", "29 February of another year" },
        { "1900-02-29", "1900 was no leap year" },
        { "0000-01-01", "year 0" },
        { "2025-W53", "2025 has 52 weeks" },
        { "2025-W00", "week 0" },
        { "2025-W01-8", "day 8" },
        { "9999-W53", "no week 53" },
        { "9999-W52-7T", "cut short" },
        { "2025-0104", "mixed" },
        { "202501-04", "mixed" },
        { "+2025-01-04", "a sign" },
        { "\xef\xbc\x92\xef\xbc\x90\xef\xbc\x92\xef\xbc\x95-01-04", "full-width digits" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_moment_t moment;

        djs_forget(test->ctx);
        assert_status(test->ctx,
                      djs_moment_fromisoformat(test->ctx, djs_bytes(cases[i].text), &moment),
                      DJS_EFORMAT, cases[i].why);
        assert_non_null(test->ctx->problem);
    }
}

static void a_database_column_is_read_as_each_database_prints_it(void **state)
{
    static const struct { const char *text, *iso; const char *why; } cases[] = {
        { "2025-01-15 00:00:00", "2025-01-15T00:00:00", "SQLite, no fraction" },
        { "2025-01-15 00:00:00.250000", "2025-01-15T00:00:00.250000", "SQLite, MariaDB" },
        { "2025-01-15 00:00:00.25", "2025-01-15T00:00:00.250000", "PostgreSQL drops zeros" },
        { "2025-01-15 00:00:00+00", "2025-01-15T00:00:00+00:00", "PostgreSQL in UTC" },
        { "2025-01-15 00:00:00.25+05:30", "2025-01-15T00:00:00.250000+05:30", "PostgreSQL" },
        { "2025-01-15 00:00:00-00:19:32", "2025-01-15T00:00:00-00:19:32", "PostgreSQL, old zone" },
        { "2025-01-15 00:00:00.1234567", "2025-01-15T00:00:00.123456", "more than six digits" },
    };
    static const char *const bad[] = {
        "", "2025-01-15", "2025-01-15T00:00:00", "2025-01-15 00:00", "2025-01-15 00:00:00.",
        "2025-01-15 00:00:00 ", "2025-01-15 24:00:00", "2025-02-30 00:00:00", "infinity",
        "0000-00-00 00:00:00", "2025-01-15 00:00:00+", "2025-01-15 00:00:00+5", "1000000000",
        "2025-01-15 00:00:00+05:", "0044-03-15 00:00:00 BC",
    };
    test_t *test = *state;
    djs_moment_t moment;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_status(test->ctx, djs_moment_fromsql(test->ctx, djs_bytes(cases[i].text), &moment),
                      APR_SUCCESS, cases[i].why);
        assert_text(djs_moment_isoformat(test->pool, moment, 'T'), cases[i].iso, cases[i].why);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_status(test->ctx, djs_moment_fromsql(test->ctx, djs_bytes(bad[i]), &moment),
                      DJS_EFORMAT, bad[i]);
    }
}

static void an_aware_moment_is_an_instant_through_its_offset(void **state)
{
    djs_moment_t moment = { TEST_NOW, 1, HOURS(2) };

    (void)state;
    assert_number(djs_moment_instant(moment), TEST_NOW - HOURS(2), "two hours east");
    assert_number(djs_moment_instant(djs_moment_utc(TEST_NOW)), TEST_NOW, "UTC");
}

static void a_naive_moment_is_what_the_clocks_of_the_zone_show(void **state)
{
    djs_moment_t moment = djs_moment_naive(&kolkata, TEST_NOW);

    (void)state;
    assert_number(moment.local, TEST_NOW + HOURS(11) / 2, "later in the east");
    assert_number(moment.aware, 0, "naive");
    assert_number(djs_moment_naive(&djs_zone_utc, TEST_NOW).local, TEST_NOW, "UTC");
}

static void a_cookies_date_is_floored_to_seconds(void **state)
{
    static const struct { apr_time_t at; const char *text; } cases[] = {
        { 0, "Thu, 01 Jan 1970 00:00:00 GMT" },
        { TEST_NOW, "Wed, 01 Jan 2025 00:00:00 GMT" },
        { TEST_NOW + 999999, "Wed, 01 Jan 2025 00:00:00 GMT" },
        { -1, "Wed, 31 Dec 1969 23:59:59 GMT" },
        { APR_INT64_C(11735689600) * APR_USEC_PER_SEC, "Fri, 21 Nov 2341 17:46:40 GMT" },
        { APR_INT64_C(951782400) * APR_USEC_PER_SEC, "Tue, 29 Feb 2000 00:00:00 GMT" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_text(djs_moment_http(test->pool, cases[i].at), cases[i].text, cases[i].text);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(isoformat_writes_what_python_writes),
        TEST(days_from_the_first_to_the_last_are_written_and_read_back),
        TEST(fromisoformat_reads_what_python_reads),
        TEST(fromisoformat_refuses_what_python_refuses),
        TEST(a_database_column_is_read_as_each_database_prints_it),
        TEST(an_aware_moment_is_an_instant_through_its_offset),
        TEST(a_naive_moment_is_what_the_clocks_of_the_zone_show),
        TEST(a_cookies_date_is_floored_to_seconds),
    };

    return RUN_TESTS(tests);
}
