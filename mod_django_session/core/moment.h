/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instants as Django writes them.
 *
 * A Python datetime is a calendar date and a time of day, with an offset from UTC (aware) or
 * without (naive). With USE_TZ Django's are aware and in UTC, without they are naive and mean the
 * site's TIME_ZONE. djs_moment_t is such a datetime: microseconds of its own calendar plus the
 * offset. An instant (apr_time_t) comes of it only through an offset.
 *
 * Under DjangoUseTZ Off nothing is converted back from local time to an instant: as Django, we
 * compare naive with naive, so an end is now + (its naive time - the naive now).
 */
#ifndef DJS_MOMENT_H
#define DJS_MOMENT_H

#include "djs.h"

/** A time zone: what its clocks show at an instant. Filled by the store from the system's data. */
typedef struct djs_zone_t djs_zone_t;
struct djs_zone_t {
    /** Seconds east of UTC at @a instant. Thread-safe. */
    int (*offset_at)(const djs_zone_t *zone, apr_time_t instant);
    const char *name; /* IANA name */
};

/** UTC, as a zone. */
extern const djs_zone_t djs_zone_utc;

/** A Python datetime. */
typedef struct djs_moment_t {
    apr_time_t local;           /* microseconds since 1970-01-01T00:00 of its own calendar */
    int aware;                  /* 0: naive, offset is nothing */
    apr_interval_time_t offset; /* aware: microseconds east of UTC; |offset| < 24 h */
} djs_moment_t;

#define DJS_MOMENT_MIN (APR_INT64_C(-62135596800) * APR_USEC_PER_SEC) /* 0001-01-01 */
#define DJS_MOMENT_MAX (APR_INT64_C(253402300800) * APR_USEC_PER_SEC) /* 10000-01-01, exclusive */

/** A date of the calendar and a time of day. */
typedef struct djs_civil_t {
    int year, month, day; /* from 1 on */
    int hour, minute, second, usec;
} djs_civil_t;

/** 1 and its microseconds since 1970-01-01T00:00; 0: the years 1 to 9999 have no such time. */
int djs_moment_from_civil(const djs_civil_t *civil, apr_time_t *local);

/** The parts of microseconds since 1970-01-01T00:00. */
djs_civil_t djs_moment_civil(apr_time_t local);

/** @a instant in UTC, aware. */
djs_moment_t djs_moment_utc(apr_time_t instant);

/** @a instant as the zone's clocks show it, naive. */
djs_moment_t djs_moment_naive(const djs_zone_t *zone, apr_time_t instant);

/** The instant of an aware moment: local - offset. */
apr_time_t djs_moment_instant(djs_moment_t moment);

/**
 * datetime.isoformat(): YYYY-MM-DDTHH:MM:SS[.ffffff][+HH:MM[:SS[.ffffff]]]; no fraction when it is
 * zero. In @a pool. @a separator is 'T' for sessions, ' ' for SQL.
 */
const char *djs_moment_isoformat(apr_pool_t *pool, djs_moment_t moment, char separator);

/**
 * datetime.fromisoformat() of Python 3.11: what isoformat() writes with any separator character,
 * and most of ISO 8601 ("Z", basic format, week dates, date alone, comma, 1 to 6+ digits).
 * DJS_EFORMAT for anything else.
 */
apr_status_t djs_moment_fromisoformat(djs_ctx_t *ctx, djs_bytes_t text, djs_moment_t *moment)
    DJS_MUST_CHECK;

/**
 * A database column as SQLite, MariaDB and PostgreSQL print it: YYYY-MM-DD HH:MM:SS[.f…][+HH[:MM]].
 * DJS_EFORMAT for anything else.
 */
apr_status_t djs_moment_fromsql(djs_ctx_t *ctx, djs_bytes_t text, djs_moment_t *moment)
    DJS_MUST_CHECK;

/** "Wed, 15 Jan 2025 00:00:00 GMT" for a cookie; whole seconds, floored. In @a pool. */
const char *djs_moment_http(apr_pool_t *pool, apr_time_t instant);

#endif
