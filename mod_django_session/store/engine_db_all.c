/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engine db: what goes through all sessions of a table, and what djsession check looks at.
 */
#include "engine_db_impl.h"

/* ---- Clearing -------------------------------------------------------------------------------- */

apr_status_t djs_db_clear_expired(djs_engine_t *engine, djs_ctx_t *ctx, apr_size_t *removed)
{
    db_t *db = engine->data;
    const char *now = djs_column_write(ctx, &db->column, ctx->now);
    const char *args[2] = { now, now };
    apr_status_t rv;
    int rows;

    *removed = 0;
    do {
        rv = djs_database_execute(ctx, db->database, &db->clear, args, &rows, NULL);
        if (rv == APR_SUCCESS) {
            *removed += (apr_size_t)rows;
            djs_progress(ctx, *removed);
        }
    } while (rv == APR_SUCCESS && rows >= DJS_DB_BATCH);
    return rv;
}

/* ---- Listing --------------------------------------------------------------------------------- */

/* So many rows at a time are held in memory, and no connection while they are handed over. */
typedef struct page_t {
    const db_t *db;
    djs_listed_t rows[DJS_DB_BATCH];
    int count;
} page_t;

static apr_status_t take_listed(void *baton, djs_ctx_t *ctx, const djs_bytes_t *columns, int count)
{
    page_t *page = baton;
    djs_listed_t *listed = &page->rows[page->count];

    (void)count;
    listed->key = djs_bytes_copy(ctx->pool, columns[0]).data;
    djs_db_read_record(page->db, ctx, columns, &listed->record);
    page->count++;
    return APR_SUCCESS;
}

/* A page of keys above @a after; its rows are in the pool of @a page_ctx. */
static apr_status_t read_page(db_t *db, djs_ctx_t *page_ctx, const char *now, const char *after,
                              page_t *page)
{
    const char *args[2] = { now, after };

    page->db = db;
    page->count = 0;
    return djs_database_select(page_ctx, db->database, &db->list, args, take_listed, page);
}

static apr_status_t hand_over_page(djs_ctx_t *ctx, page_t *page, djs_list_fn each, void *baton)
{
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; i < page->count && rv == APR_SUCCESS; i++) {
        rv = each(baton, ctx, &page->rows[i]);
    }
    return rv;
}

apr_status_t djs_db_list(djs_engine_t *engine, djs_ctx_t *ctx, djs_list_fn each, void *baton)
{
    db_t *db = engine->data;
    const char *now = djs_column_write(ctx, &db->column, ctx->now);
    char *after = apr_pstrdup(ctx->pool, "");
    djs_ctx_t page_ctx = *ctx;
    page_t *page;
    apr_status_t rv = apr_pool_create(&page_ctx.pool, ctx->pool);

    while (rv == APR_SUCCESS) {
        page = apr_pcalloc(page_ctx.pool, sizeof(*page));
        rv = read_page(db, &page_ctx, now, after, page);
        if (page_ctx.problem != NULL) {
            rv = djs_fail(ctx, rv, "%s", page_ctx.problem);
        }
        if (rv == APR_SUCCESS) {
            rv = hand_over_page(ctx, page, each, baton);
        }
        if (rv != APR_SUCCESS || page->count < DJS_DB_BATCH) {
            break;
        }
        after = apr_pstrdup(ctx->pool, page->rows[DJS_DB_BATCH - 1].key);
        apr_pool_clear(page_ctx.pool);
    }
    ctx->patience = page_ctx.patience;
    apr_pool_destroy(page_ctx.pool);
    return rv;
}

/* ---- Checking -------------------------------------------------------------------------------- */

typedef struct counted_t {
    apr_int64_t all, live;
} counted_t;

static apr_status_t take_counts(void *baton, djs_ctx_t *ctx, const djs_bytes_t *columns, int count)
{
    counted_t *counted = baton;

    (void)ctx;
    (void)count;
    counted->all = columns[0].data != NULL ? apr_atoi64(columns[0].data) : 0;
    counted->live = columns[1].data != NULL ? apr_atoi64(columns[1].data) : 0;
    return APR_SUCCESS;
}

static apr_status_t check_reading(db_t *db, djs_ctx_t *ctx, say_fn say, void *baton)
{
    const char *now = djs_column_write(ctx, &db->column, ctx->now);
    const char *args[2] = { now, "" };
    page_t *page = apr_pcalloc(ctx->pool, sizeof(*page));
    counted_t counted = { 0, 0 };
    apr_status_t rv = djs_database_select(ctx, db->database, &db->count, &now, take_counts,
                                          &counted);

    page->db = db;
    if (rv == APR_SUCCESS) { /* this one also needs the columns */
        rv = djs_database_select(ctx, db->database, &db->list, args, take_listed, page);
    }
    say(baton, rv == APR_SUCCESS,
        rv == APR_SUCCESS
            ? apr_psprintf(ctx->pool, "table \"%s\" can be read: %" APR_INT64_T_FMT " live and %"
                           APR_INT64_T_FMT " expired sessions", db->table, counted.live,
                           counted.all - counted.live)
            : ctx->problem);
    return rv;
}

static apr_status_t check_writing(db_t *db, djs_ctx_t *ctx, say_fn say, void *baton)
{
    const djs_statement_t *statements[3] = { &db->may_insert, &db->may_update, &db->may_delete };
    apr_status_t rv = APR_SUCCESS;
    int i, rows;

    for (i = 0; i < 3 && rv == APR_SUCCESS; i++) {
        rv = djs_database_execute(ctx, db->database, statements[i], NULL, &rows, NULL);
    }
    say(baton, rv == APR_SUCCESS,
        rv == APR_SUCCESS ? apr_psprintf(ctx->pool, "table \"%s\" can be written", db->table)
                          : ctx->problem);
    return rv;
}

apr_status_t djs_db_check(djs_engine_t *engine, djs_ctx_t *ctx, say_fn say, void *baton)
{
    apr_status_t rv = check_reading(engine->data, ctx, say, baton);

    return rv == APR_SUCCESS ? check_writing(engine->data, ctx, say, baton) : rv;
}
