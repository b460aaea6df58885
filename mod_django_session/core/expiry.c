/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a session ends. What the values mean is in the header.
 */
#include "expiry.h"

#include <math.h>

/* No Python timedelta is longer; keeps all sums below within 64 bits. */
#define SPAN_SECONDS_MAX (APR_INT64_C(86400) * 999999999)

djs_moment_t djs_expiry_now(const djs_ctx_t *ctx, const djs_zone_t *zone)
{
    return zone != NULL ? djs_moment_naive(zone, ctx->now) : djs_moment_utc(ctx->now);
}

apr_interval_time_t djs_expiry_until(const djs_ctx_t *ctx, apr_time_t then)
{
    apr_interval_time_t left = then - ctx->now;

    return left - (left % APR_USEC_PER_SEC + APR_USEC_PER_SEC) % APR_USEC_PER_SEC;
}

/* A number of seconds in microseconds, as timedelta(seconds=number); 0: it is none or too large. */
static int read_span(const djs_value_t *number, apr_interval_time_t *span)
{
    apr_int64_t seconds = 0;
    double whole, part = 0;

    switch (djs_value_type(number)) {
    case DJS_TYPE_BOOL:
        seconds = djs_value_bool(number);
        break;
    case DJS_TYPE_INT:
        if (!djs_value_int64(number, &seconds)) {
            return 0;
        }
        break;
    default:
        part = modf(djs_value_float(number), &whole);
        if (!isfinite(whole) || fabs(whole) > (double)SPAN_SECONDS_MAX) {
            return 0;
        }
        seconds = (apr_int64_t)whole;
    }
    if (seconds > SPAN_SECONDS_MAX || seconds < -SPAN_SECONDS_MAX) {
        return 0;
    }
    *span = seconds * APR_USEC_PER_SEC + (apr_interval_time_t)llrint(part * APR_USEC_PER_SEC);
    return 1;
}

static apr_status_t number_expiry(djs_ctx_t *ctx, const djs_zone_t *zone, const djs_value_t *stored,
                                  djs_expiry_t *expiry)
{
    apr_time_t now = djs_expiry_now(ctx, zone).local;
    apr_interval_time_t span;

    if (!djs_value_truthy(stored)) { /* 0: the policy's age, and the browser's end */
        expiry->browser_close = 1;
        return APR_SUCCESS;
    }
    if (!read_span(stored, &span) || span >= DJS_MOMENT_MAX - now || span < DJS_MOMENT_MIN - now) {
        return djs_fail(ctx, DJS_EFORMAT, "_session_expiry is a number of seconds that leads out "
                        "of the years 1 to 9999");
    }
    expiry->age = span;
    expiry->date = ctx->now + span;
    expiry->browser_close = 0;
    return APR_SUCCESS;
}

static apr_status_t moment_expiry(djs_ctx_t *ctx, const djs_zone_t *zone, djs_moment_t end,
                                  djs_expiry_t *expiry)
{
    djs_moment_t now = djs_expiry_now(ctx, zone);
    apr_interval_time_t left;

    if (end.aware != now.aware) {
        return djs_fail(ctx, DJS_EFORMAT, "_session_expiry is a date-time %s an offset, and "
                        "DjangoUseTZ is %s: it must be as the site's USE_TZ",
                        end.aware ? "with" : "without", now.aware ? "On" : "Off");
    }
    left = djs_moment_instant(end) - djs_moment_instant(now);
    expiry->date = ctx->now + left;
    expiry->age = djs_expiry_until(ctx, expiry->date);
    expiry->browser_close = 0;
    return APR_SUCCESS;
}

static apr_status_t date_expiry(djs_ctx_t *ctx, const djs_zone_t *zone, djs_bytes_t text,
                                djs_expiry_t *expiry)
{
    djs_ctx_t quiet = *ctx;
    djs_moment_t end;

    if (djs_moment_fromisoformat(&quiet, text, &end) != APR_SUCCESS) {
        return djs_fail(ctx, DJS_EFORMAT, "_session_expiry is a text but no ISO 8601 date-time");
    }
    return moment_expiry(ctx, zone, end, expiry);
}

apr_status_t djs_expiry_of(djs_ctx_t *ctx, const djs_settings_t *settings, const djs_zone_t *zone,
                           const djs_value_t *stored, djs_expiry_t *expiry)
{
    expiry->age = settings->cookie_age;
    expiry->date = ctx->now + settings->cookie_age;
    expiry->browser_close = settings->expire_at_browser_close;
    if (stored == NULL) {
        return APR_SUCCESS;
    }
    switch (djs_value_type(stored)) {
    case DJS_TYPE_NULL:
        return APR_SUCCESS;
    case DJS_TYPE_BOOL:
    case DJS_TYPE_INT:
    case DJS_TYPE_FLOAT:
        return number_expiry(ctx, zone, stored, expiry);
    case DJS_TYPE_STR:
        return date_expiry(ctx, zone, djs_value_str(stored), expiry);
    case DJS_TYPE_DATETIME:
        return moment_expiry(ctx, zone, djs_value_moment(stored), expiry);
    default:
        break;
    }
    if (djs_value_truthy(stored)) {
        return djs_fail(ctx, DJS_EFORMAT, "_session_expiry is a %s, should be a number, a date-time, "
                        "null", djs_value_type_name(stored));
    }
    expiry->browser_close = 0; /* [] and {} are not set, but not 0 either */
    return APR_SUCCESS;
}

/* What is left of a life must be a whole second at least. */
static apr_time_t last_instant(apr_time_t date)
{
    apr_time_t ends = date - (APR_USEC_PER_SEC - 1);

    return ends != 0 ? ends : 1;
}

/* As Django reckons: without USE_TZ on the clocks of its zone, whatever they were turned since. */
static apr_time_t end_of_age(djs_ctx_t *ctx, const djs_settings_t *settings,
                             const djs_zone_t *zone, apr_time_t written)
{
    djs_ctx_t then = *ctx;
    apr_time_t passed;

    then.now = written < DJS_MOMENT_MIN ? DJS_MOMENT_MIN
               : written >= DJS_MOMENT_MAX ? DJS_MOMENT_MAX - 1 : written;
    passed = djs_expiry_now(ctx, zone).local - djs_expiry_now(&then, zone).local;
    return last_instant(ctx->now - passed + settings->cookie_age);
}

static int is_negative(djs_ctx_t *ctx, const djs_value_t *number)
{
    switch (djs_value_type(number)) {
    case DJS_TYPE_INT:
        return *djs_value_int_digits(number, ctx->pool).data == '-';
    case DJS_TYPE_FLOAT:
        return djs_value_float(number) < 0;
    default:
        return 0;
    }
}

apr_status_t djs_expiry_aged(djs_ctx_t *ctx, const djs_settings_t *settings, const djs_zone_t *zone,
                             const djs_value_t *stored, apr_time_t written, apr_time_t *ends)
{
    djs_expiry_t expiry;
    apr_status_t rv = APR_SUCCESS;

    *ends = end_of_age(ctx, settings, zone, written);
    if (stored == NULL || !djs_value_truthy(stored)) {
        return APR_SUCCESS;
    }
    switch (djs_value_type(stored)) {
    case DJS_TYPE_BOOL:
    case DJS_TYPE_INT:
    case DJS_TYPE_FLOAT:
        *ends = is_negative(ctx, stored) ? ctx->now : 0;
        break;
    default:
        rv = djs_expiry_of(ctx, settings, zone, stored, &expiry);
        if (rv == APR_SUCCESS) {
            *ends = last_instant(expiry.date);
        }
    }
    return rv;
}
