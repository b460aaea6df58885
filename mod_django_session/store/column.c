/* SPDX-License-Identifier: Apache-2.0 */
#include "column.h"

#include <apr_lib.h>

/* Zone names become part of a statement's text. */
static int name_is_plain(const char *name)
{
    if (name == NULL || *name == '\0') {
        return 0;
    }
    for (; *name != '\0'; name++) {
        if (!apr_isalnum(*name) && *name != '/' && *name != '_' && *name != '-' && *name != '+') {
            return 0;
        }
    }
    return 1;
}

apr_status_t djs_column_open(djs_ctx_t *ctx, apr_pool_t *pool, const djs_database_t *database,
                             const djs_zone_t *zone, djs_column_t *column)
{
    column->dialect = djs_database_dialect(database);
    column->zone = zone;
    column->is_epoch = 0;
    column->param = "%s";
    column->read = "%s";
    if (column->dialect == DJS_MYSQL) {
        column->read = "CAST(%s AS CHAR)";
    }
    if (column->dialect != DJS_POSTGRESQL) {
        return APR_SUCCESS;
    }
    if (zone != NULL && !name_is_plain(zone->name)) {
        return djs_fail(ctx, DJS_EINVAL,
                        "DjangoTimeZone: PostgreSQL has to be told the time zone of DjangoUseTZ "
                        "Off by name, and the system's zone has none");
    }
    /* Whatever DateStyle and TimeZone the connection has. The epoch is a tenth of to_char()'s work, and
       exact to the microsecond until the year 2242. */
    if (zone == NULL) {
        column->is_epoch = 1;
        column->param = "%pDz";
        column->read = "date_part('epoch', %s)";
        return APR_SUCCESS;
    }
    column->param = apr_psprintf(pool, "(%%pDa AT TIME ZONE '%s')", zone->name);
    column->read = apr_psprintf(pool,
                                "to_char(%%s AT TIME ZONE '%s', 'YYYY-MM-DD HH24:MI:SS.US')",
                                zone->name);
    return APR_SUCCESS;
}

const char *djs_column_select(apr_pool_t *pool, const djs_column_t *column, const char *name)
{
    const char *at = column->read;

    while (*at != '%') {
        at++;
    }
    return apr_pstrcat(pool, apr_pstrmemdup(pool, column->read, (apr_size_t)(at - column->read)),
                       name, at + 2, NULL);
}

static apr_time_t naive_now(const djs_ctx_t *ctx, const djs_column_t *column)
{
    return column->zone == NULL ? ctx->now : djs_moment_naive(column->zone, ctx->now).local;
}

const char *djs_column_write(djs_ctx_t *ctx, const djs_column_t *column, apr_time_t instant)
{
    djs_moment_t moment = { 0, 0, 0 };

    if (instant < DJS_MOMENT_MIN + apr_time_from_sec(86400)) {
        instant = DJS_MOMENT_MIN + apr_time_from_sec(86400);
    }
    if (instant > DJS_MOMENT_MAX - apr_time_from_sec(86400)) {
        instant = DJS_MOMENT_MAX - apr_time_from_sec(86400);
    }
    moment.local = naive_now(ctx, column) + (instant - ctx->now);
    moment.aware = column->dialect == DJS_POSTGRESQL && column->zone == NULL;
    return djs_moment_isoformat(ctx->pool, moment, ' ');
}

/* Ten times this fits in microseconds, and is behind the year 9999. */
#define EPOCH_MAX APR_INT64_C(100000000000)

/* "-"? digits ["." digits], or one of PostgreSQL's two infinities. */
static apr_status_t read_epoch(djs_ctx_t *ctx, djs_bytes_t text, apr_time_t *instant)
{
    apr_size_t first = text.len > 0 && text.data[0] == '-', i;
    apr_time_t seconds = 0, fraction = 0, weight = APR_USEC_PER_SEC;

    if (djs_bytes_is(text, "Infinity") || djs_bytes_is(text, "-Infinity")) {
        *instant = first > 0 ? DJS_MOMENT_MIN : DJS_MOMENT_MAX - 1;
        return APR_SUCCESS;
    }
    for (i = first; i < text.len && apr_isdigit(text.data[i]) && seconds < EPOCH_MAX; i++) {
        seconds = seconds * 10 + (text.data[i] - '0');
    }
    if (i > first && i < text.len && text.data[i] == '.') {
        for (i++; i < text.len && apr_isdigit(text.data[i]); i++) {
            weight /= 10;
            fraction += weight * (text.data[i] - '0');
        }
    }
    if (i == first || i < text.len) {
        return djs_fail(ctx, DJS_EFORMAT, "not the epoch of a date-time");
    }
    *instant = apr_time_from_sec(seconds) + fraction;
    *instant = first > 0 ? -*instant : *instant;
    return APR_SUCCESS;
}

apr_status_t djs_column_read(djs_ctx_t *ctx, const djs_column_t *column, djs_bytes_t text,
                             apr_time_t *instant)
{
    djs_moment_t moment;
    apr_status_t rv;

    if (column->is_epoch) {
        return read_epoch(ctx, text, instant);
    }
    rv = djs_moment_fromsql(ctx, text, &moment);
    if (rv == APR_SUCCESS) {
        *instant = ctx->now + (djs_moment_instant(moment) - naive_now(ctx, column));
    }
    return rv;
}
