/* SPDX-License-Identifier: Apache-2.0 */
#include "engine_cached_db.h"

#include <string.h>

#include "../core/json.h"
#include "../core/memo.h"

/* ---- the cache, which may fail ---- */

static const char *cache_key(const djs_cached_db_parts_t *parts, djs_ctx_t *ctx, const char *key)
{
    return apr_pstrcat(ctx->pool, parts->key_prefix, key, NULL);
}

/*
 * What a call of the cache gets: failures of its own, and half of the patience at most, so that a
 * cache that says nothing leaves the database time to answer.
 */
static djs_ctx_t lend(const djs_ctx_t *ctx)
{
    djs_ctx_t own = *ctx;

    own.problem = NULL;
    own.patience = ctx->patience / 2;
    return own;
}

/* A cache that failed is no failure of the call: the host hears of it, the call goes on. */
static void forgive(const djs_cached_db_parts_t *parts, djs_ctx_t *ctx, const djs_ctx_t *own,
                    apr_status_t rv)
{
    ctx->patience -= ctx->patience / 2 - own->patience;
    if (rv == DJS_ESTORE) {
        djs_warn(ctx, "the %s in front of the sessions' database: %s", parts->cache->ops->name,
                 own->problem != NULL ? own->problem : "no answer");
    }
}

static apr_status_t cache_get(const djs_cached_db_parts_t *parts, djs_ctx_t *ctx, const char *key,
                              djs_record_t *found)
{
    djs_ctx_t own = lend(ctx);
    apr_status_t rv = parts->cache->ops->get(parts->cache, &own, cache_key(parts, ctx, key),
                                             &found->data, &found->expires);

    forgive(parts, ctx, &own, rv);
    return rv;
}

static void cache_remove(const djs_cached_db_parts_t *parts, djs_ctx_t *ctx, const char *key)
{
    djs_ctx_t own = lend(ctx);

    forgive(parts, ctx, &own,
            parts->cache->ops->remove(parts->cache, &own, cache_key(parts, ctx, key)));
}

/* ---- the same session in two wires ---- */

static int is_cached_form(const djs_cached_db_parts_t *parts, const djs_record_t *record)
{
    return record->wire == parts->cache_wire && parts->cache_wire != parts->row_wire;
}

static apr_status_t read_data(const djs_cached_db_parts_t *parts, djs_ctx_t *ctx,
                              const djs_record_t *record, djs_value_t **value)
{
    const djs_wire_t *wire = is_cached_form(parts, record) ? parts->cache_wire : parts->row_wire;

    return djs_wire_inspect(ctx, wire, record->data, value, NULL);
}

static apr_status_t read_value(const djs_cached_db_parts_t *parts, djs_ctx_t *ctx,
                               const djs_record_t *record, djs_value_t **value)
{
    if (record->value != NULL) {
        *value = record->value;
        return APR_SUCCESS;
    }
    return read_data(parts, ctx, record, value);
}

/* A record as the cache holds it. */
static apr_status_t as_cached(const djs_cached_db_parts_t *parts, djs_ctx_t *ctx,
                              const djs_record_t *record, djs_bytes_t *bytes)
{
    djs_value_t *value;
    apr_status_t rv;

    if (is_cached_form(parts, record) || parts->cache_wire == parts->row_wire) {
        *bytes = record->data;
        return APR_SUCCESS;
    }
    rv = read_value(parts, ctx, record, &value);
    return rv == APR_SUCCESS ? djs_wire_write(ctx, parts->cache_wire, value, bytes) : rv;
}

/*
 * Can what was cached be read at all? Django takes what it cannot read for nothing. What it says is
 * left in @a record, so that nobody reads it again.
 */
static int is_readable(const djs_cached_db_parts_t *parts, const djs_ctx_t *ctx,
                       djs_record_t *record)
{
    djs_ctx_t own = lend(ctx);
    djs_value_t *value;

    if (parts->cache_wire == parts->row_wire) {
        return 1;
    }
    if (read_value(parts, &own, record, &value) != APR_SUCCESS
        || djs_value_type(value) != DJS_TYPE_DICT) {
        return 0;
    }
    record->value = value;
    return 1;
}

/*
 * Compared as JSON: a tuple that Django has cached is a list in the row. What is the same session in
 * another order is taken for another one, which costs one more load. It is the bytes that count: the
 * value of what was seen has been changed since.
 */
static int same_session(const djs_cached_db_parts_t *parts, djs_ctx_t *ctx,
                        const djs_record_t *cached, const djs_record_t *row)
{
    djs_ctx_t own = lend(ctx);
    djs_value_t *a, *b;

    return read_data(parts, &own, cached, &a) == APR_SUCCESS
           && read_data(parts, &own, row, &b) == APR_SUCCESS
           && djs_bytes_equal(djs_json_dumps(&own, DJS_JSON_COMPACT, a),
                              djs_json_dumps(&own, DJS_JSON_COMPACT, b));
}

/*
 * These bytes in the cache and those of a row are the same session: whoever sees it in the cache next
 * on this connection need not read the row to know what it must have.
 */
static void note_same(const djs_cached_db_parts_t *parts, djs_ctx_t *ctx, djs_bytes_t cached,
                      djs_bytes_t row)
{
    if (parts->cache_wire != parts->row_wire) {
        djs_memo_note(ctx, parts, cached, row, 0);
    }
}

/* ---- filling the cache ---- */

/* Whole seconds: what get_expiry_age() of the session is. */
static apr_int64_t life_of(const djs_ctx_t *ctx, const djs_record_t *record)
{
    return record->expires > ctx->now ? apr_time_sec(record->expires - ctx->now) : 0;
}

/*
 * Something was put where nothing was. Who removes a session takes its row first and what is cached
 * then: if the latter came before ours, the row is gone by now.
 */
static void take_back_if_gone(const djs_cached_db_parts_t *parts, djs_ctx_t *ctx, const char *key)
{
    djs_ctx_t own = *ctx;
    int found = 0;
    apr_status_t rv = parts->rows->ops->exists(parts->rows, &own, key, &found);

    ctx->patience = own.patience;
    if (rv != APR_SUCCESS || !found) {
        cache_remove(parts, ctx, key);
    }
}

/* Put bytes where `seen` is, or nothing; NULL: whatever is there. */
static apr_status_t exchange(const djs_cached_db_parts_t *parts, djs_ctx_t *ctx, const char *key,
                             const djs_bytes_t *seen, djs_bytes_t bytes, apr_int64_t life)
{
    djs_cache_t *cache = parts->cache;
    const char *name = cache_key(parts, ctx, key);
    apr_status_t rv;

    if (seen == NULL) {
        return cache->ops->set(cache, ctx, name, bytes, life);
    }
    rv = cache->ops->swap(cache, ctx, name, *seen, bytes, life);
    if (rv == APR_NOTFOUND) {
        rv = cache->ops->add(cache, ctx, name, bytes, life);
        if (rv == APR_SUCCESS) {
            take_back_if_gone(parts, ctx, key);
        }
    }
    return rv;
}

/* APR_EGENERAL: cannot be cached. */
static apr_status_t try_follow(const djs_cached_db_parts_t *parts, djs_ctx_t *ctx, const char *key,
                               const djs_record_t *seen, const djs_record_t *record)
{
    djs_bytes_t bytes, old;
    apr_int64_t life = life_of(ctx, record);
    apr_status_t rv;

    if (life <= 0 || as_cached(parts, ctx, record, &bytes) != APR_SUCCESS
        || (seen != NULL && as_cached(parts, ctx, seen, &old) != APR_SUCCESS)) {
        return APR_EGENERAL;
    }
    rv = exchange(parts, ctx, key, seen != NULL ? &old : NULL, bytes, life);
    if (rv == APR_SUCCESS) {
        note_same(parts, ctx, bytes, record->data);
    }
    return rv;
}

/*
 * The row has `record` now; have the cache follow. What it has beside `seen` is somebody else's,
 * older or newer: out with it.
 */
static void follow(const djs_cached_db_parts_t *parts, djs_ctx_t *ctx, const char *key,
                   const djs_record_t *seen, const djs_record_t *record)
{
    djs_ctx_t own = lend(ctx);
    apr_status_t rv = try_follow(parts, &own, key, seen, record);

    forgive(parts, ctx, &own, rv);
    if (rv != APR_SUCCESS && rv != DJS_ESTORE) {
        cache_remove(parts, ctx, key);
    }
}

/*
 * A row was read because nothing was cached, or nothing of use. Where another has put something
 * meanwhile, that is as new as this, or newer.
 */
static void fill(const djs_cached_db_parts_t *parts, djs_ctx_t *ctx, const char *key,
                 const djs_record_t *useless, djs_record_t *row)
{
    djs_ctx_t own = lend(ctx);
    djs_cache_t *cache = parts->cache;
    const char *name = cache_key(parts, ctx, key);
    djs_bytes_t bytes;
    apr_int64_t life = life_of(ctx, row);
    apr_status_t rv;

    if (life <= 0
        || (parts->cache_wire != parts->row_wire
            && read_value(parts, &own, row, &row->value) != APR_SUCCESS)
        || as_cached(parts, &own, row, &bytes) != APR_SUCCESS) {
        return;
    }
    rv = useless != NULL ? cache->ops->swap(cache, &own, name, useless->data, bytes, life)
                         : cache->ops->add(cache, &own, name, bytes, life);
    forgive(parts, ctx, &own, rv);
    if (rv == APR_SUCCESS) {
        note_same(parts, ctx, bytes, row->data);
    }
    if (rv == APR_SUCCESS && useless == NULL) {
        take_back_if_gone(parts, ctx, key);
    }
}

/* ---- the operations ---- */

static apr_status_t cached_db_load(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                                   djs_record_t *found)
{
    const djs_cached_db_parts_t *parts = engine->data;
    djs_record_t cached = { .wire = parts->cache_wire };
    apr_status_t cache_rv = cache_get(parts, ctx, key, &cached);
    apr_status_t rv;

    if (cache_rv == APR_SUCCESS && is_readable(parts, ctx, &cached)) {
        *found = cached;
        return APR_SUCCESS;
    }
    memset(found, 0, sizeof(*found));
    rv = parts->rows->ops->load(parts->rows, ctx, key, found);
    if (rv == APR_SUCCESS && cache_rv != DJS_ESTORE) {
        fill(parts, ctx, key, cache_rv == APR_SUCCESS ? &cached : NULL, found);
    }
    return rv;
}

static apr_status_t cached_db_create(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                                     const djs_record_t *record)
{
    const djs_cached_db_parts_t *parts = engine->data;
    apr_status_t rv = parts->rows->ops->create(parts->rows, ctx, key, record);

    if (rv == APR_SUCCESS) {
        follow(parts, ctx, key, NULL, record);
    }
    return rv;
}

/* The row of what was seen in the cache. It need not be live: whether it has expired since does not
   matter. APR_NOTFOUND; DJS_ECONFLICT; DJS_ESTORE. */
static apr_status_t find_row(const djs_cached_db_parts_t *parts, djs_ctx_t *ctx, const char *key,
                             const djs_record_t *cached, djs_record_t *row)
{
    djs_ctx_t early = *ctx;
    apr_status_t rv;

    memset(row, 0, sizeof(*row));
    early.now = 0;
    rv = parts->rows->ops->load(parts->rows, &early, key, row);
    ctx->patience = early.patience;
    if (ctx->problem == NULL) {
        ctx->problem = early.problem;
    }
    if (rv == APR_SUCCESS && !same_session(parts, ctx, cached, row)) {
        return DJS_ECONFLICT;
    }
    return rv;
}

/*
 * The row alone. Of what was seen in the cache the row may be known from before: then comparing with
 * that is all. Where it is another text it may still be the same session, signed anew.
 */
static apr_status_t replace_row(const djs_cached_db_parts_t *parts, djs_ctx_t *ctx, const char *key,
                                const djs_record_t *seen, const djs_record_t *record)
{
    djs_engine_t *rows = parts->rows;
    djs_record_t row = { .wire = NULL };
    const char *before = ctx->problem;
    apr_status_t rv;
    int unused;

    if (seen == NULL || !is_cached_form(parts, seen)) {
        return rows->ops->replace(rows, ctx, key, seen, record);
    }
    if (djs_memo_find(ctx, parts, seen->data, &row.data, &unused)) {
        rv = rows->ops->replace(rows, ctx, key, &row, record);
        if (rv != DJS_ECONFLICT) {
            return rv;
        }
        ctx->problem = before;
    }
    rv = find_row(parts, ctx, key, seen, &row);
    return rv == APR_SUCCESS ? rows->ops->replace(rows, ctx, key, &row, record) : rv;
}

static apr_status_t cached_db_replace(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                                      const djs_record_t *seen, const djs_record_t *record)
{
    const djs_cached_db_parts_t *parts = engine->data;
    apr_status_t rv = replace_row(parts, ctx, key, seen, record);

    if (rv == APR_SUCCESS) {
        follow(parts, ctx, key, seen, record);
        if (seen == NULL) {
            take_back_if_gone(parts, ctx, key);
        }
    }
    else {
        /* Not what the row has, or nobody knows: the next load is to see the row. */
        cache_remove(parts, ctx, key);
    }
    return rv;
}

static apr_status_t cached_db_remove(djs_engine_t *engine, djs_ctx_t *ctx, const char *key)
{
    const djs_cached_db_parts_t *parts = engine->data;
    apr_status_t rv = parts->rows->ops->remove(parts->rows, ctx, key);

    if (rv == APR_SUCCESS) {
        cache_remove(parts, ctx, key);
    }
    return rv;
}

static apr_status_t cached_db_exists(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                                     int *found)
{
    const djs_cached_db_parts_t *parts = engine->data;
    djs_record_t cached;

    if (cache_get(parts, ctx, key, &cached) == APR_SUCCESS) {
        *found = 1;
        return APR_SUCCESS;
    }
    return parts->rows->ops->exists(parts->rows, ctx, key, found);
}

static apr_status_t cached_db_clear_expired(djs_engine_t *engine, djs_ctx_t *ctx,
                                            apr_size_t *removed)
{
    const djs_cached_db_parts_t *parts = engine->data;

    return parts->rows->ops->clear_expired(parts->rows, ctx, removed);
}

static apr_status_t cached_db_list(djs_engine_t *engine, djs_ctx_t *ctx, djs_list_fn each,
                                   void *baton)
{
    const djs_cached_db_parts_t *parts = engine->data;

    return parts->rows->ops->list(parts->rows, ctx, each, baton);
}

static apr_status_t cached_db_check(djs_engine_t *engine, djs_ctx_t *ctx,
                                    void (*say)(void *baton, int ok, const char *what),
                                    void *baton)
{
    const djs_cached_db_parts_t *parts = engine->data;
    apr_status_t rv = parts->rows->ops->check(parts->rows, ctx, say, baton);
    apr_status_t cache_rv = APR_SUCCESS;

    if (parts->cache->ops->check != NULL) {
        cache_rv = parts->cache->ops->check(parts->cache, ctx, say, baton);
    }
    return rv == APR_SUCCESS ? cache_rv : rv;
}

djs_engine_t *djs_engine_cached_db_make(apr_pool_t *pool, const djs_cached_db_parts_t *parts)
{
    static const djs_engine_ops_t ops = {
        .name = "cached_db",
        .load = cached_db_load,
        .create = cached_db_create,
        .replace = cached_db_replace,
        .remove = cached_db_remove,
        .exists = cached_db_exists,
        .clear_expired = cached_db_clear_expired,
        .list = cached_db_list,
        .check = cached_db_check
    };
    djs_engine_t *engine = apr_pcalloc(pool, sizeof(*engine));

    engine->ops = &ops;
    engine->data = apr_pmemdup(pool, parts, sizeof(*parts));
    return engine;
}
