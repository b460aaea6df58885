/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a session ends: set_expiry() in its forms, and the three answers.
 */
#include "support.h"

#include <stdlib.h>

#include "json.h"
#include "memory_engine.h"

/* Vectors that hold for the current Django. */
#define EXPIRY_CURRENT 177
/* Those in which an older Django stored a datetime. */
#define DATETIME_CASES 61

static djs_value_t *read_json(test_t *test, const char *json)
{
    djs_value_t *value;

    assert_status(test->ctx, djs_json_loads(test->ctx, DJS_JSON_UTF8, djs_bytes(json), &value),
                  APR_SUCCESS, json);
    return value;
}

static int fixed_zero(const djs_zone_t *zone, apr_time_t instant)
{
    (void)zone;
    (void)instant;
    return 0;
}

static const djs_zone_t naive_utc = { fixed_zero, "UTC" };

static void set_expiry_from_vector(test_t *test, djs_session_t *session, djs_value_t *value)
{
    djs_value_t *span = NULL, *moment = NULL;
    apr_int64_t parts[3];
    djs_moment_t read;
    size_t i;

    if (djs_value_type(value) == DJS_TYPE_NULL) {
        djs_session_set_expiry_none(test->ctx, session);
        return;
    }
    if (djs_value_type(value) == DJS_TYPE_DICT) {
        span = djs_value_get(value, djs_bytes("$timedelta"));
        moment = djs_value_get(value, djs_bytes("$datetime"));
    }
    if (span != NULL) {
        for (i = 0; i < 3; i++) {
            assert_true(djs_value_int64(djs_value_at(span, i), &parts[i]));
        }
        djs_session_set_expiry_span(test->ctx, session,
                                    (parts[0] * 86400 + parts[1]) * APR_USEC_PER_SEC + parts[2]);
        return;
    }
    if (moment != NULL) {
        const djs_value_t *offset = djs_value_get(value, djs_bytes("offset"));

        assert_status(test->ctx,
                      djs_moment_fromisoformat(test->ctx, djs_value_str(moment), &read),
                      APR_SUCCESS, "a vector's date");
        read.aware = djs_value_type(offset) != DJS_TYPE_NULL;
        if (read.aware) {
            read.offset = (apr_interval_time_t)(djs_value_type(offset) == DJS_TYPE_FLOAT
                                                    ? djs_value_float(offset) * APR_USEC_PER_SEC
                                                    : 0);
        }
        djs_session_set_expiry_moment(test->ctx, session, read);
        return;
    }
    if (djs_value_type(value) == DJS_TYPE_DICT) {
        value = djs_value_make_float(test->pool, atof(djs_value_str(
                                         djs_value_get(value, djs_bytes("$float"))).data));
    }
    djs_session_set(test->ctx, session, djs_bytes("_session_expiry"), value);
}

/* Django's answer is a number, "true" among them. */
static apr_interval_time_t vector_age(const json_t *age)
{
    return json_is_true(age) ? APR_USEC_PER_SEC : test_time(age);
}

static void check_answers(test_t *test, const json_t *a_case, const memory_site_t *site,
                          djs_session_t *session, const char *why)
{
    const json_t *age = json_object_get(a_case, "age");
    const json_t *date = json_object_get(a_case, "date");
    const djs_zone_t *zone = site->site.zone;
    djs_expiry_t expiry;
    djs_moment_t moment;
    apr_status_t rv = djs_session_expiry(test->ctx, session, &expiry);

    if (json_is_object(age) || json_is_object(date)) { /* Django would answer 500 */
        assert_status(test->ctx, rv, DJS_EFORMAT, why);
        assert_non_null(test->ctx->problem);
        assert_number(expiry.age, site->settings.cookie_age, "the policy");
        djs_forget(test->ctx);
        return;
    }
    assert_status(test->ctx, rv, APR_SUCCESS, why);
    assert_number(expiry.age, vector_age(age), why);
    assert_number(expiry.browser_close, json_is_true(json_object_get(a_case, "browser_close")),
                  why);
    assert_status(test->ctx, djs_moment_fromisoformat(test->ctx,
                                                      djs_bytes(json_string_value(date)), &moment),
                  APR_SUCCESS, why);
    assert_number(moment.aware, zone == NULL, why);
    assert_number(expiry.date, djs_moment_instant(moment), why);
}

static void every_expiry_of_the_vectors_is_answered_as_django_answers_it(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "expiry.json", 272);
    const json_t *a_case;
    int checked = 0;
    size_t i;

    json_array_foreach(cases, i, a_case) {
        memory_site_t *site = memory_site_make(test->pool);
        djs_session_t *session = memory_site_session(test->ctx, site, NULL);
        const char *why = vector_name(test->pool, a_case);
        const char *stored = vector_text(a_case, "stored_json");

        if (!vector_is_current(a_case)) {
            vector_left(a_case, VECTOR_OF_ANOTHER_DJANGO);
            continue;
        }
        test->ctx->now = test_time(json_object_get(a_case, "now"));
        site->settings.cookie_age = test_time(json_object_get(a_case, "cookie_age"));
        site->settings.expire_at_browser_close =
            json_is_true(json_object_get(a_case, "expire_at_browser_close_setting"));
        site->site.zone = json_is_true(json_object_get(a_case, "use_tz")) ? NULL : &naive_utc;
        if (stored != NULL) {
            djs_session_set(test->ctx, session, djs_bytes("_session_expiry"),
                            read_json(test, stored));
        }
        else {
            set_expiry_from_vector(test, session,
                                   read_json(test, vector_need(a_case, "set_expiry")));
            assert_number(djs_session_modified(session),
                          json_is_true(json_object_get(a_case, "modified")), why);
        }
        assert_text(memory_session_json(test->ctx, session), vector_need(a_case, "session_json"), why);
        check_answers(test, a_case, site, session, why);
        vector_done(a_case);
        checked++;
    }
    assert_number(checked, EXPIRY_CURRENT, "cases of the current Django");
}

/* A datetime from its `tagged` form. */
static djs_value_t *tagged_datetime(test_t *test, const djs_value_t *tagged)
{
    const djs_value_t *offset = djs_value_get(tagged, djs_bytes("offset"));
    djs_value_t *zone = NULL;
    djs_moment_t moment;

    assert_status(test->ctx,
                  djs_moment_fromisoformat(test->ctx, djs_value_str(djs_value_get(
                                               tagged, djs_bytes("$datetime"))), &moment),
                  APR_SUCCESS, "a vector's date");
    if (djs_value_type(offset) != DJS_TYPE_NULL) {
        zone = djs_value_make_timezone(test->pool, DJS_TIMEZONE_PYTZ, (apr_interval_time_t)(
                                           djs_value_float(offset) * APR_USEC_PER_SEC), NULL);
    }
    return djs_value_make_time(test->pool, DJS_TYPE_DATETIME, moment.local, zone, 0);
}

/* What Django up to 4.0 stores where sessions are pickled. */
static void datetimes_of_older_djangos_are_ends_as_well(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "expiry.json", 272);
    const json_t *a_case;
    int checked = 0;
    size_t i;

    json_array_foreach(cases, i, a_case) {
        const char *tagged = vector_text(a_case, "session_tagged");
        memory_site_t *site = memory_site_make(test->pool);
        djs_session_t *session = memory_site_session(test->ctx, site, NULL);
        const djs_value_t *stored = NULL;

        if (tagged != NULL) {
            stored = djs_value_get(read_json(test, tagged), djs_bytes("_session_expiry"));
        }
        if (stored == NULL || djs_value_type(stored) != DJS_TYPE_DICT ||
            djs_value_get(stored, djs_bytes("$datetime")) == NULL) {
            continue;
        }
        test->ctx->now = test_time(json_object_get(a_case, "now"));
        site->settings.cookie_age = test_time(json_object_get(a_case, "cookie_age"));
        site->site.zone = json_is_true(json_object_get(a_case, "use_tz")) ? NULL : &naive_utc;
        djs_session_set(test->ctx, session, djs_bytes("_session_expiry"),
                        tagged_datetime(test, stored));
        check_answers(test, a_case, site, session, vector_name(test->pool, a_case));
        vector_done(a_case);
        checked++;
    }
    assert_number(checked, DATETIME_CASES, "cases with a datetime");
}

static void other_types_of_pickles_are_no_end(void **state)
{
    static const djs_span_t hour = { 0, 3600, 0 };
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    djs_expiry_t expiry;

    /* Django adds it to a date as if it were a number of seconds, which is a TypeError. */
    assert_status(test->ctx, djs_expiry_of(test->ctx, &site->settings, NULL,
                                           djs_value_make_span(test->pool, hour), &expiry),
                  DJS_EFORMAT, "a timedelta");
    djs_forget(test->ctx);
    assert_status(test->ctx, djs_expiry_of(test->ctx, &site->settings, NULL,
                                           djs_value_make_time(test->pool, DJS_TYPE_DATE, 0, NULL,
                                                               0), &expiry),
                  DJS_EFORMAT, "a date without a time");
}

static void numbers_that_lead_out_of_the_calendar_are_refused(void **state)
{
    static const struct { const char *json; apr_status_t rv; const char *why; } cases[] = {
        { "NaN", DJS_EFORMAT, "no number" },
        { "Infinity", DJS_EFORMAT, "no end" },
        { "-Infinity", DJS_EFORMAT, "no beginning" },
        { "1e400", DJS_EFORMAT, "Infinity in disguise" },
        { "1e300", DJS_EFORMAT, "too far" },
        { "99999999999999999999999999", DJS_EFORMAT, "beyond 64 bits" },
        { "9223372036854775807", DJS_EFORMAT, "64 bits of seconds" },
        { "-9223372036854775808", DJS_EFORMAT, "the other way" },
        { "251666611199", APR_SUCCESS, "the last second of 9999" },
        { "251666611200", DJS_EFORMAT, "the year 10000" },
        { "-63871286400", APR_SUCCESS, "the first second of the year 1" },
        { "-63871286401", DJS_EFORMAT, "before it" },
        { "-0.0", APR_SUCCESS, "zero" },
        { "0.0000004", APR_SUCCESS, "less than a microsecond" },
    };
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_expiry_t expiry;

        assert_status(test->ctx, djs_expiry_of(test->ctx, &site->settings, NULL,
                                               read_json(test, cases[i].json), &expiry),
                      cases[i].rv, cases[i].why);
    }
}

static void only_null_and_zero_can_end_with_the_browser(void **state)
{
    static const struct { const char *json; int setting, close; } cases[] = {
        { "null", 0, 0 },  { "null", 1, 1 },  { "0", 0, 1 },  { "0", 1, 1 },
        { "false", 0, 1 }, { "-0.0", 0, 1 },  { "[]", 0, 0 }, { "[]", 1, 0 },
        { "{}", 1, 0 },    { "true", 1, 0 },  { "60", 1, 0 }, { "0.5", 1, 0 },
        { "\"2031-02-03T00:00:00Z\"", 1, 0 },
    };
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_expiry_t expiry;

        site->settings.expire_at_browser_close = cases[i].setting;
        assert_status(test->ctx, djs_expiry_of(test->ctx, &site->settings, NULL,
                                               read_json(test, cases[i].json), &expiry),
                      APR_SUCCESS, cases[i].json);
        assert_number(expiry.browser_close, cases[i].close, cases[i].json);
    }
}

static int two_hours_east(const djs_zone_t *zone, apr_time_t instant)
{
    (void)zone;
    (void)instant;
    return 7200;
}

static void without_use_tz_dates_are_the_zones_and_the_end_is_an_instant(void **state)
{
    static const djs_zone_t zone = { two_hours_east, "Africa/Johannesburg" };
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    djs_session_t *session = memory_site_session(test->ctx, site, NULL);
    djs_expiry_t expiry;

    site->site.zone = &zone;
    djs_session_set_expiry_span(test->ctx, session, apr_time_from_sec(90));
    assert_text(memory_session_json(test->ctx, session),
                "{\"_session_expiry\":\"2025-01-01T02:01:30\"}", "naive");
    assert_status(test->ctx, djs_session_expiry(test->ctx, session, &expiry), APR_SUCCESS, "end");
    assert_number(expiry.date, TEST_NOW + apr_time_from_sec(90), "the instant");
    assert_number(expiry.age, apr_time_from_sec(90), "the age");
}

static void an_absurd_span_ends_with_the_calendar(void **state)
{
    static const struct { apr_interval_time_t span; const char *json; } cases[] = {
        { APR_INT64_MAX, "{\"_session_expiry\":\"9999-12-31T23:59:59.999999+00:00\"}" },
        { APR_INT64_MIN, "{\"_session_expiry\":\"0001-01-01T00:00:00+00:00\"}" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_session_t *session = memory_site_session(test->ctx, memory_site_make(test->pool), NULL);

        djs_session_set_expiry_span(test->ctx, session, cases[i].span);
        assert_text(memory_session_json(test->ctx, session), cases[i].json, "clipped");
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(every_expiry_of_the_vectors_is_answered_as_django_answers_it),
        TEST(datetimes_of_older_djangos_are_ends_as_well),
        TEST(other_types_of_pickles_are_no_end),
        TEST(numbers_that_lead_out_of_the_calendar_are_refused),
        TEST(only_null_and_zero_can_end_with_the_browser),
        TEST(without_use_tz_dates_are_the_zones_and_the_end_is_an_instant),
        TEST(an_absurd_span_ends_with_the_calendar),
    };

    return RUN_TESTS(tests);
}
