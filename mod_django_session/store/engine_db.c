/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engine db: Django's table of sessions.
 *
 *     session_key   varchar(40), the primary key
 *     session_data  text; opaque here
 *     expire_date   a date-time (column.h); a row is live while it is > now, and cleared when < now
 *
 * Each operation is one statement in autocommit, but for what has to be looked at afterwards:
 *
 *     create   INSERT; the database refuses a key that is taken
 *     replace  UPDATE … WHERE session_data is what was seen: a compare-and-swap in one statement. 0 rows
 *              touched has three meanings, so then we look: gone, changed, or (MySQL without
 *              CLIENT_FOUND_ROWS) written as it was
 *
 * When the answer to either was lost we look, too: only if data and expire_date are to the
 * microsecond what we wrote has it taken effect.
 *
 * MySQL compares keys without case and trailing spaces in most collations, we do not: what was
 * fetched is compared here, and a changing statement has a second, binary condition.
 */
#include "engine_db_impl.h"

#include <stdlib.h>
#include <string.h>

#include "../core/encode.h"

/* varchar(40). SQLite does not mind. */
#define KEY_MAX 40
/* How often a compare-and-swap is tried that neither took effect nor met another value. */
#define SWAPS_MAX 3

#define PARAMS_MAX 6

/* ---- Statements ------------------------------------------------------------------------------ */

/* A statement's arguments, in the order of its places. */
typedef struct args_t {
    const char *values[PARAMS_MAX];
    int count;
} args_t;

static void add(args_t *args, const char *value)
{
    args->values[args->count++] = value;
}

static int is_mysql(const db_t *db)
{
    return db->column.dialect == DJS_MYSQL;
}

/* What a changing statement asks of the key, and its arguments. */
static const char *key_condition(const db_t *db)
{
    return is_mysql(db) ? "session_key = %s AND CAST(session_key AS BINARY) = CAST(%s AS BINARY)"
                        : "session_key = %s";
}

static void add_key(const db_t *db, args_t *args, const char *key)
{
    add(args, key);
    if (is_mysql(db)) {
        add(args, key);
    }
}

static int count_params(const char *sql)
{
    int count = 0;

    for (; *sql != '\0'; sql++) {
        if (*sql == '%') {
            sql++;
            count += *sql != '%';
        }
    }
    return count;
}

static djs_statement_t state(const char *label, const char *what, int idempotent, const char *sql)
{
    djs_statement_t statement = { NULL, NULL, NULL, 0, 0 };

    statement.label = label;
    statement.what = what;
    statement.sql = sql;
    statement.params = count_params(sql);
    statement.idempotent = idempotent;
    return statement;
}

static void state_reads(db_t *db, apr_pool_t *pool, const char *table)
{
    const char *what = apr_psprintf(pool, "cannot read table \"%s\"", db->table);
    const char *columns = apr_pstrcat(pool, "SELECT session_key, session_data, ",
                                      djs_column_select(pool, &db->column, "expire_date"),
                                      " FROM ", table, NULL);
    const char *now = db->column.param;

    db->load = state("load", what, 1,
                     apr_pstrcat(pool, columns, " WHERE expire_date > ", now,
                                 " AND session_key = %s", NULL));
    db->look = state("look", what, 1, apr_pstrcat(pool, columns, " WHERE session_key = %s", NULL));
    db->list = state("list", what, 1,
                     apr_pstrcat(pool, columns, " WHERE expire_date > ", now,
                                 " AND session_key > %s ORDER BY session_key LIMIT "
                                 APR_STRINGIFY(DJS_DB_BATCH), NULL));
    db->count = state("count", what, 1,
                      apr_pstrcat(pool, "SELECT CAST(COUNT(*) AS CHAR(20)), CAST(COUNT(CASE WHEN"
                                  " expire_date > ", now, " THEN 1 END) AS CHAR(20)) FROM ", table,
                                  NULL));
}

static void state_changes(db_t *db, apr_pool_t *pool, const char *table)
{
    const char *insert = apr_psprintf(pool, "cannot insert into table \"%s\"", db->table);
    const char *update = apr_psprintf(pool, "cannot update table \"%s\"", db->table);
    const char *clear = apr_psprintf(pool, "cannot delete from table \"%s\"", db->table);
    const char *set = apr_pstrcat(pool, "UPDATE ", table, " SET session_data = %pDt, expire_date = ",
                                  db->column.param, " WHERE ", key_condition(db), NULL);

    db->create = state("create", insert, 0,
                       apr_pstrcat(pool, "INSERT INTO ", table,
                                   " (session_key, session_data, expire_date) VALUES (%s, %pDt, ",
                                   db->column.param, ")", NULL));
    db->overwrite = state("overwrite", update, 1, set);
    db->swap = state("swap", update, 0,
                     apr_pstrcat(pool, set, is_mysql(db) ? " AND CAST(session_data AS BINARY) = %pDt"
                                                         : " AND session_data = %pDt", NULL));
    db->remove = state("remove", clear, 1,
                       apr_pstrcat(pool, "DELETE FROM ", table, " WHERE ", key_condition(db),
                                   NULL));
    db->may_insert = state("may_insert", insert, 1,
                           apr_pstrcat(pool, "INSERT INTO ", table,
                                       " (session_key, session_data, expire_date) SELECT"
                                       " session_key, session_data, expire_date FROM ", table,
                                       " WHERE 1 = 0", NULL));
    db->may_update = state("may_update", update, 1,
                           apr_pstrcat(pool, "UPDATE ", table, " SET session_data = session_data,"
                                       " expire_date = expire_date WHERE 1 = 0", NULL));
    db->may_delete = state("may_delete", clear, 1,
                           apr_pstrcat(pool, "DELETE FROM ", table, " WHERE 1 = 0", NULL));
}

/* A batch of expired rows that @a more holds for, in the order of the index on expire_date. */
static djs_statement_t state_clear(const db_t *db, apr_pool_t *pool, const char *table,
                                   const char *label, const char *more)
{
    const char *what = apr_psprintf(pool, "cannot delete from table \"%s\"", db->table);
    const char *expired = apr_pstrcat(pool, "expire_date < ", db->column.param, NULL);
    const char *some = apr_pstrcat(pool, " FROM ", table, " WHERE ", expired, more,
                                   " ORDER BY expire_date LIMIT "
                                   APR_STRINGIFY(DJS_DB_CLEAR_BATCH), NULL);

    if (is_mysql(db)) {
        return state(label, what, 0, apr_pstrcat(pool, "DELETE", some, NULL));
    }
    /* The condition is repeated, so that a row which was prolonged meanwhile stays. */
    return state(label, what, 0,
                 apr_pstrcat(pool, "DELETE FROM ", table, " WHERE session_key IN (SELECT session_key",
                             some, ") AND ", expired, NULL));
}

static void state_clearing(db_t *db, apr_pool_t *pool, const char *table)
{
    const char *what = apr_psprintf(pool, "cannot read table \"%s\"", db->table);
    const char *on = apr_pstrcat(pool, " AND expire_date >= ", db->column.param, NULL);

    db->clear = state_clear(db, pool, table, "clear", "");
    db->clear_on = state_clear(db, pool, table, "clear_on", on);
    db->oldest = state("oldest", what, 1,
                       apr_pstrcat(pool, "SELECT ",
                                   djs_column_select(pool, &db->column, "expire_date"), " FROM ",
                                   table, " WHERE expire_date < ", db->column.param, on,
                                   " ORDER BY expire_date LIMIT 1", NULL));
}

/* ---- Keys and rows --------------------------------------------------------------------------- */

/* PostgreSQL would raise an error for what is no UTF-8; no row can have a longer key. */
static int can_be_a_key(const db_t *db, const char *key)
{
    apr_size_t characters = 0;
    const char *at;

    if (db->column.dialect == DJS_SQLITE) {
        return 1;
    }
    if (strlen(key) > KEY_MAX) { /* fewer bytes are no more characters */
        for (at = key; *at != '\0'; at++) {
            characters += (*at & 0xc0) != 0x80;
        }
    }
    return characters <= KEY_MAX && djs_utf8_is_valid(djs_bytes(key));
}

static djs_bytes_t copy_of(djs_ctx_t *ctx, djs_bytes_t bytes)
{
    return djs_bytes_copy(ctx->pool, bytes);
}

/* A NUL cannot be in a text column, and would end an argument early. */
static apr_status_t text_of(djs_ctx_t *ctx, djs_bytes_t data, const char **text)
{
    if (data.len > 0 && memchr(data.data, '\0', data.len) != NULL) {
        return djs_fail(ctx, DJS_EINVAL, "session data with a NUL cannot be stored in a database");
    }
    *text = apr_pstrmemdup(ctx->pool, data.len > 0 ? data.data : "", data.len);
    return APR_SUCCESS;
}

typedef struct found_t {
    const db_t *db;
    const char *key;
    djs_record_t record;
    int count;
} found_t;

void djs_db_read_record(const db_t *db, djs_ctx_t *ctx, const djs_bytes_t *columns,
                        djs_record_t *record)
{
    record->data = copy_of(ctx, columns[1]);
    if (djs_column_read(ctx, &db->column, columns[2], &record->expires) != APR_SUCCESS) {
        /* The database compared it with now, and says that it is later. Django does not mind. */
        djs_forget(ctx);
        record->expires = DJS_MOMENT_MAX - 1;
    }
}

static apr_status_t take_row(void *baton, djs_ctx_t *ctx, const djs_bytes_t *columns, int count)
{
    found_t *found = baton;

    (void)count;
    if (djs_bytes_is(columns[0], found->key)) {
        djs_db_read_record(found->db, ctx, columns, &found->record);
        found->count++;
    }
    return APR_SUCCESS;
}

/* By key, live or not. */
static apr_status_t look(db_t *db, djs_ctx_t *ctx, const char *key, djs_record_t *record)
{
    found_t found = { .db = db, .key = key };
    apr_status_t rv = djs_database_select(ctx, db->database, &db->look, &key, take_row, &found);

    *record = found.record;
    return rv == APR_SUCCESS && found.count == 0 ? APR_NOTFOUND : rv;
}

static int is_record(const djs_record_t *stored, const djs_record_t *ours)
{
    return djs_bytes_equal(stored->data, ours->data) && stored->expires == ours->expires;
}

/* ---- The operations -------------------------------------------------------------------------- */

static apr_status_t db_load(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                            djs_record_t *record)
{
    db_t *db = engine->data;
    found_t found = { .db = db, .key = key };
    args_t args = { { NULL }, 0 };
    apr_status_t rv;

    if (!can_be_a_key(db, key)) {
        return APR_NOTFOUND;
    }
    if (db->column.is_epoch) { /* exact: we can compare, and spare the server the reading of now */
        rv = look(db, ctx, key, record);
        return rv == APR_SUCCESS && record->expires <= ctx->now ? APR_NOTFOUND : rv;
    }
    add(&args, djs_column_write(ctx, &db->column, ctx->now));
    add(&args, key);
    rv = djs_database_select(ctx, db->database, &db->load, args.values, take_row, &found);
    *record = found.record;
    return rv == APR_SUCCESS && found.count == 0 ? APR_NOTFOUND : rv;
}

static apr_status_t insert(db_t *db, djs_ctx_t *ctx, const char *key, const djs_record_t *record,
                           int *lost)
{
    args_t args = { { NULL }, 0 };
    const char *data;
    int rows;
    apr_status_t rv = text_of(ctx, record->data, &data);

    *lost = 0;
    if (rv != APR_SUCCESS) {
        return rv;
    }
    add(&args, key);
    add(&args, data);
    add(&args, djs_column_write(ctx, &db->column, record->expires));
    return djs_database_execute(ctx, db->database, &db->create, args.values, &rows, lost);
}

static apr_status_t db_create(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                              const djs_record_t *record)
{
    db_t *db = engine->data;
    djs_record_t stored;
    apr_status_t rv, looked;
    int lost;

    if (!can_be_a_key(db, key)) {
        return djs_fail(ctx, DJS_EINVAL, "a session key in this database is text of at most %d "
                        "characters", KEY_MAX);
    }
    rv = insert(db, ctx, key, record, &lost);
    if (!lost) {
        return rv;
    }
    looked = look(db, ctx, key, &stored);
    if (looked == APR_NOTFOUND) {
        djs_forget(ctx);
        return insert(db, ctx, key, record, &lost);
    }
    if (looked != APR_SUCCESS) {
        return rv;
    }
    djs_forget(ctx);
    return is_record(&stored, record) ? APR_SUCCESS : APR_EEXIST;
}

static apr_status_t overwrite(db_t *db, djs_ctx_t *ctx, const char *key,
                              const djs_record_t *record)
{
    args_t args = { { NULL }, 0 };
    djs_record_t stored;
    const char *data;
    int rows;
    apr_status_t rv = text_of(ctx, record->data, &data);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    add(&args, data);
    add(&args, djs_column_write(ctx, &db->column, record->expires));
    add_key(db, &args, key);
    rv = djs_database_execute(ctx, db->database, &db->overwrite, args.values, &rows, NULL);
    if (rv != APR_SUCCESS || rows > 0) {
        return rv;
    }
    /* MySQL may have found nothing to change. */
    return is_mysql(db) ? look(db, ctx, key, &stored) : APR_NOTFOUND;
}

/* What happens next when it is not known yet whether we have replaced anything. */
typedef enum verdict_t { DONE, TRY_AGAIN, CHANGED } verdict_t;

static verdict_t judge_swap(const djs_record_t *stored, const djs_record_t *seen,
                            const djs_record_t *ours, int lost)
{
    int unchanged = djs_bytes_equal(stored->data, seen->data);

    /* Without a lost answer, what equals ours may be another's, made from the same `seen`. */
    if (is_record(stored, ours) && (lost || unchanged)) {
        return DONE;
    }
    return unchanged ? TRY_AGAIN : CHANGED;
}

/* lost: in and out, whether the answer to any attempt was. */
static apr_status_t swap_once(db_t *db, djs_ctx_t *ctx, const char *key, const djs_record_t *seen,
                              const djs_record_t *record, int *lost, verdict_t *verdict)
{
    args_t args = { { NULL }, 0 };
    djs_record_t stored;
    const char *data, *seen_data;
    int rows, lost_now;
    apr_status_t rv = text_of(ctx, record->data, &data);

    *verdict = DONE;
    if (rv == APR_SUCCESS) {
        rv = text_of(ctx, seen->data, &seen_data);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    add(&args, data);
    add(&args, djs_column_write(ctx, &db->column, record->expires));
    add_key(db, &args, key);
    add(&args, seen_data);
    rv = djs_database_execute(ctx, db->database, &db->swap, args.values, &rows, &lost_now);
    if ((rv == APR_SUCCESS && rows > 0) || (rv != APR_SUCCESS && !lost_now)) {
        return rv;
    }
    *lost = *lost || lost_now;
    rv = look(db, ctx, key, &stored);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    djs_forget(ctx); /* the lost answer, which we know by now */
    *verdict = judge_swap(&stored, seen, record, *lost);
    return APR_SUCCESS;
}

static apr_status_t db_replace(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                               const djs_record_t *seen, const djs_record_t *record)
{
    db_t *db = engine->data;
    int lost = 0;
    int tries;

    if (!can_be_a_key(db, key)) {
        return APR_NOTFOUND;
    }
    if (seen == NULL) {
        return overwrite(db, ctx, key, record);
    }
    for (tries = 0; tries < SWAPS_MAX; tries++) {
        verdict_t verdict;
        apr_status_t rv = swap_once(db, ctx, key, seen, record, &lost, &verdict);

        if (rv != APR_SUCCESS || verdict == DONE) {
            return rv;
        }
        if (verdict == CHANGED && lost) {
            return djs_fail(ctx, DJS_ESTORE, "%s: the answer was lost, and others have changed the "
                            "session since: nobody knows whether it was stored", db->swap.what);
        }
        if (verdict == CHANGED) {
            break;
        }
    }
    return djs_fail(ctx, DJS_ECONFLICT, "the session was changed meanwhile");
}

static apr_status_t db_remove(djs_engine_t *engine, djs_ctx_t *ctx, const char *key)
{
    db_t *db = engine->data;
    args_t args = { { NULL }, 0 };
    int rows;

    if (!can_be_a_key(db, key)) {
        return APR_SUCCESS;
    }
    add_key(db, &args, key);
    return djs_database_execute(ctx, db->database, &db->remove, args.values, &rows, NULL);
}

static apr_status_t db_exists(djs_engine_t *engine, djs_ctx_t *ctx, const char *key, int *found)
{
    db_t *db = engine->data;
    djs_record_t stored;
    apr_status_t rv;

    *found = 0;
    if (!can_be_a_key(db, key)) {
        return APR_SUCCESS;
    }
    rv = look(db, ctx, key, &stored);
    *found = rv == APR_SUCCESS;
    return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static const djs_engine_ops_t ops = {
    .name = "db",
    .load = db_load,
    .create = db_create,
    .replace = db_replace,
    .remove = db_remove,
    .exists = db_exists,
    .clear_expired = djs_db_clear_expired,
    .list = djs_db_list,
    .check = djs_db_check
};

apr_status_t djs_engine_db_open(djs_ctx_t *ctx, apr_pool_t *pool, const djs_settings_t *settings,
                                const djs_zone_t *zone, djs_database_t *database,
                                djs_engine_t **engine)
{
    db_t *db = apr_pcalloc(pool, sizeof(*db));
    const char *table = djs_database_quote(pool, database, settings->table);
    apr_status_t rv = djs_column_open(ctx, pool, database, zone, &db->column);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    db->engine.ops = &ops;
    db->engine.data = db;
    db->database = database;
    db->table = apr_pstrdup(pool, settings->table);
    state_reads(db, pool, table);
    state_changes(db, pool, table);
    state_clearing(db, pool, table);
    *engine = &db->engine;
    return APR_SUCCESS;
}
