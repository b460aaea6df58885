/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engine db: what goes through all sessions of a table, and what djsession check looks at.
 */
#include "engine_db_impl.h"

/*
 * ---- Clearing
 *
 * What is removed stays in the index until the database cleans that up, and who looks for the oldest
 * row walks over all of it: towards the end over millions, for each batch. So each batch begins at the
 * oldest row that the one before has left. At last one looks from the beginning, for rows that have
 * come in behind our back, and for those whose end is no time that we know.
 */

typedef struct clearing_t {
    const db_t *db;
    const char *now;
    apr_time_t from; /* of what ended earlier nothing is left */
    apr_size_t removed;
    int more; /* 0: a batch was not full */
} clearing_t;

static apr_status_t clear_batch(clearing_t *clearing, djs_ctx_t *ctx,
                                const djs_statement_t *statement, const char *const *args)
{
    int rows;
    apr_status_t rv = djs_database_execute(ctx, clearing->db->database, statement, args, &rows,
                                           NULL);

    if (rv == APR_SUCCESS) {
        clearing->removed += (apr_size_t)rows;
        clearing->more = rows >= DJS_DB_CLEAR_BATCH;
        djs_progress(ctx, clearing->removed);
    }
    return rv;
}

static apr_status_t take_oldest(void *baton, djs_ctx_t *ctx, const djs_bytes_t *columns, int count)
{
    clearing_t *clearing = baton;

    (void)count;
    clearing->more = djs_column_read(ctx, &clearing->db->column, columns[0], &clearing->from)
                     == APR_SUCCESS;
    if (!clearing->more) {
        djs_forget(ctx);
    }
    return APR_SUCCESS;
}

/* A batch that begins at the oldest row there is, as far as is known. */
static apr_status_t clear_on(clearing_t *clearing, djs_ctx_t *ctx)
{
    const db_t *db = clearing->db;
    const char *args[3] = { clearing->now, NULL, clearing->now };
    apr_status_t rv;

    clearing->more = 0;
    args[1] = djs_column_write(ctx, &db->column, clearing->from);
    rv = djs_database_select(ctx, db->database, &db->oldest, args, take_oldest, clearing);
    if (rv != APR_SUCCESS || !clearing->more) {
        return rv;
    }
    args[1] = djs_column_write(ctx, &db->column, clearing->from);
    return clear_batch(clearing, ctx, &db->clear_on, args);
}

/* A batch, wherever it begins. */
static apr_status_t clear_any(clearing_t *clearing, djs_ctx_t *ctx)
{
    const char *args[2] = { clearing->now, clearing->now };

    return clear_batch(clearing, ctx, &clearing->db->clear, args);
}

/* As long as there is more; each time with a pool of its own, which what fails is told in. */
static apr_status_t go_on(clearing_t *clearing, djs_ctx_t *ctx,
                          apr_status_t (*step)(clearing_t *clearing, djs_ctx_t *ctx))
{
    apr_pool_t *pool = ctx->pool;
    apr_status_t rv = apr_pool_create(&ctx->pool, pool);

    clearing->more = 1;
    while (rv == APR_SUCCESS && clearing->more) {
        apr_pool_clear(ctx->pool);
        rv = step(clearing, ctx);
    }
    ctx->pool = pool;
    return rv;
}

apr_status_t djs_db_clear_expired(djs_engine_t *engine, djs_ctx_t *ctx, apr_size_t *removed)
{
    const db_t *db = engine->data;
    clearing_t clearing = { db, djs_column_write(ctx, &db->column, ctx->now), DJS_MOMENT_MIN, 0, 0 };
    apr_status_t rv = go_on(&clearing, ctx, clear_on);

    if (rv == APR_SUCCESS) {
        rv = go_on(&clearing, ctx, clear_any);
    }
    *removed = clearing.removed;
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
