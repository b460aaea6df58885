/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a session ends: the meaning of `_session_expiry`.
 *
 *     absent, null             the policy of the settings
 *     0, 0.0, false            the policy's age, and the end of the browser
 *     "", [], {}, empty others  "not set" for Django, but not 0; "" has no date, so it is unusable
 *     number, true             seconds from now
 *     ISO 8601 text, datetime  that date; as aware as the site's USE_TZ has it
 *     anything else            unusable: Django answers 500
 */
#ifndef DJS_EXPIRY_H
#define DJS_EXPIRY_H

#include "moment.h"
#include "settings.h"
#include "value.h"

/**
 * A session's end. In Django's three answers:
 *   age              get_expiry_age(): microseconds of a number, or floor to seconds of date - now
 *   date             get_expiry_date() as an instant (ctx->now + its distance from Django's now)
 *   browser_close    get_expire_at_browser_close()
 */
typedef struct djs_expiry_t {
    apr_interval_time_t age;
    apr_time_t date;
    int browser_close;
} djs_expiry_t;

/**
 * The three answers for a value of `_session_expiry`; NULL: absent.
 * DJS_EFORMAT: it is nothing that Django could use; @a expiry then holds the settings' policy.
 *
 * @param zone  of a site without USE_TZ; NULL: with
 */
apr_status_t djs_expiry_of(djs_ctx_t *ctx, const djs_settings_t *settings, const djs_zone_t *zone,
                           const djs_value_t *stored, djs_expiry_t *expiry) DJS_MUST_CHECK;

/** From now until then, in whole seconds rounded down, as Django counts to a date. */
apr_interval_time_t djs_expiry_until(const djs_ctx_t *ctx, apr_time_t then);

/**
 * When a record ends whose store keeps no end but only the time at which it was written (files):
 *
 *     not set (null, 0, "", …)  the settings' age after it was written
 *     number above 0, true      never: Django compares the number itself with 0
 *     number below 0            it never lived
 *     ISO 8601 text             that date
 *
 * Django counts whole seconds, rounded down: what has less than one left has ended.
 *
 * @param stored  `_session_expiry`; NULL: absent
 * @param ends    it is live while ctx->now is before this; 0: for ever
 * DJS_EFORMAT: it is nothing that Django could use; @a ends is then as if it were not set.
 */
apr_status_t djs_expiry_aged(djs_ctx_t *ctx, const djs_settings_t *settings, const djs_zone_t *zone,
                             const djs_value_t *stored, apr_time_t written, apr_time_t *ends)
    DJS_MUST_CHECK;

/** Now, as the site's Django has it: aware in UTC, or naive in its zone. */
djs_moment_t djs_expiry_now(const djs_ctx_t *ctx, const djs_zone_t *zone);

#endif
