/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Date-time columns as Django keeps them.
 *
 *                  USE_TZ on                       USE_TZ off
 *     SQLite       text, UTC                       text, the zone's clocks
 *     MySQL        datetime(6), UTC                datetime(6), the zone's clocks
 *     PostgreSQL   timestamptz                     timestamptz; Django's naive values mean the zone
 *
 * Texts have no fraction when it is zero: SQLite compares them as texts. With USE_TZ off, as Django,
 * we compare naive with naive and convert nothing back: an end is now + (its naive time - the naive
 * now).
 */
#ifndef DJS_COLUMN_H
#define DJS_COLUMN_H

#include "../core/moment.h"
#include "database.h"

/**
 * The type of the date-time columns of one site.
 *
 * @param zone  NULL: USE_TZ on. Else the zone of naive values; PostgreSQL is told its name
 */
typedef struct djs_column_t {
    djs_dialect_t dialect;
    const djs_zone_t *zone;
    int is_epoch;      /* selected as seconds since 1970, with a fraction */
    const char *param; /* what stands for a value in a statement's text */
    const char *read;  /* format with one %s, the column: the expression to select */
} djs_column_t;

/** DJS_EINVAL: PostgreSQL would have to know a zone that has no name. */
apr_status_t djs_column_open(djs_ctx_t *ctx, apr_pool_t *pool, const djs_database_t *database,
                             const djs_zone_t *zone, djs_column_t *column) DJS_MUST_CHECK;

/** The expression that selects @a name as a text which djs_column_read() understands. */
const char *djs_column_select(apr_pool_t *pool, const djs_column_t *column, const char *name);

/** An instant as an argument, in ctx->pool. Beyond the years 1 to 9999 the nearest there is. */
const char *djs_column_write(djs_ctx_t *ctx, const djs_column_t *column, apr_time_t instant);

/** DJS_EFORMAT: not a time that we know to read. */
apr_status_t djs_column_read(djs_ctx_t *ctx, const djs_column_t *column, djs_bytes_t text,
                             apr_time_t *instant) DJS_MUST_CHECK;

#endif
