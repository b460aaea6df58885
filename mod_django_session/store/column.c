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
    /* Whatever DateStyle and TimeZone the connection has. */
    column->param = zone == NULL ? "%pDz"
                                 : apr_psprintf(pool, "(%%pDa AT TIME ZONE '%s')", zone->name);
    column->read = apr_psprintf(pool,
                                "to_char(%%s AT TIME ZONE '%s', 'YYYY-MM-DD HH24:MI:SS.US')",
                                zone == NULL ? "UTC" : zone->name);
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

apr_status_t djs_column_read(djs_ctx_t *ctx, const djs_column_t *column, djs_bytes_t text,
                             apr_time_t *instant)
{
    djs_moment_t moment;
    apr_status_t rv = djs_moment_fromsql(ctx, text, &moment);

    if (rv == APR_SUCCESS) {
        *instant = ctx->now + (djs_moment_instant(moment) - naive_now(ctx, column));
    }
    return rv;
}
