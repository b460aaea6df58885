/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite, through the library itself: prepared statements that follow schema changes, waiting for
 * other writers as long as the caller has patience, and no lock around other connections.
 */
#include "connection_impl.h"

#include <limits.h>
#include <string.h>

/* Result codes of sqlite3.h; the low byte is the kind. */
#define SQLITE_OK 0
#define SQLITE_SCHEMA 17
#define SQLITE_MISMATCH 20
#define SQLITE_ROW 100
#define SQLITE_DONE 101
#define SQLITE_CONSTRAINT_PRIMARYKEY 1555
#define SQLITE_CONSTRAINT_UNIQUE 2067

/* A type of values. */
#define SQLITE_INTEGER 1

#define SYMBOL(name, member) { "sqlite3_" name, offsetof(djs_sqlite_library_t, member), 1 }

static const djs_symbol_t symbols[] = {
    SYMBOL("prepare_v2", prepare),
    SYMBOL("bind_text", bind_text),
    SYMBOL("step", step),
    SYMBOL("reset", reset),
    SYMBOL("clear_bindings", clear_bindings),
    SYMBOL("finalize", finalize),
    SYMBOL("column_count", column_count),
    SYMBOL("column_value", column_value),
    SYMBOL("value_type", value_type),
    SYMBOL("value_int64", value_int64),
    SYMBOL("value_text", value_text),
    SYMBOL("value_bytes", value_bytes),
    SYMBOL("column_int", column_int),
    SYMBOL("changes", changes),
    SYMBOL("errmsg", errmsg),
    SYMBOL("extended_errcode", extended_errcode),
    SYMBOL("busy_timeout", busy_timeout),
    SYMBOL("interrupt", interrupt),
    { NULL, 0, 0 },
};

int djs_sqlite_find(djs_connection_t *c)
{
    return djs_library_find(c->lent.driver, symbols, &c->library.sqlite);
}

/* DBDInitSQL may have set a busy_timeout, for mod_dbd's other users; ours is another one. */
void djs_sqlite_lent(djs_connection_t *c)
{
    const djs_sqlite_library_t *sqlite = &c->library.sqlite;
    void *stmt = NULL;

    c->busy_timeout = 0;
    if (sqlite->prepare(c->native, "PRAGMA busy_timeout", -1, &stmt, NULL) == SQLITE_OK &&
        sqlite->step(stmt) == SQLITE_ROW) {
        c->busy_timeout = sqlite->column_int(stmt, 0);
    }
    sqlite->finalize(stmt);
}

void djs_sqlite_give_up(djs_connection_t *c)
{
    c->library.sqlite.busy_timeout(c->native, c->busy_timeout);
}

void djs_sqlite_cut(djs_connection_t *c)
{
    c->library.sqlite.interrupt(c->native);
}

/* A statement that is prepared on this connection. */
typedef struct prepared_t {
    const djs_statement_t *statement;
    const djs_sqlite_library_t *sqlite;
    void *stmt;
} prepared_t;

static apr_status_t end_prepared(void *data)
{
    prepared_t *prepared = data;

    prepared->sqlite->finalize(prepared->stmt);
    return APR_SUCCESS;
}

/* The %s, %pDt, … of apr_dbd_prepare are all texts here. */
static const char *plain_sql(apr_pool_t *pool, const char *sql)
{
    char *plain = apr_palloc(pool, strlen(sql) + 1);
    char *to = plain;

    for (; *sql != '\0'; sql++) {
        if (*sql != '%') {
            *to++ = *sql;
        }
        else if (*++sql == '%') {
            *to++ = '%';
        }
        else {
            *to++ = '?';
            sql += strncmp(sql, "pD", 2) == 0 ? 2 : 0;
        }
    }
    *to = '\0';
    return plain;
}

static djs_outcome_t judge(djs_ctx_t *ctx, djs_connection_t *c, djs_run_t *run)
{
    int error = c->library.sqlite.extended_errcode(c->native);

    djs_connection_said(ctx, run, c->library.sqlite.errmsg(c->native));
    if (error == SQLITE_CONSTRAINT_PRIMARYKEY || error == SQLITE_CONSTRAINT_UNIQUE) {
        return DJS_DUPLICATE;
    }
    if ((error & 0xff) == SQLITE_SCHEMA) {
        return DJS_AGAIN;
    }
    return (error & 0xff) == SQLITE_MISMATCH ? DJS_NOVALUE : DJS_REFUSED;
}

static void *find_prepared(djs_ctx_t *ctx, djs_connection_t *c, const djs_statement_t *statement)
{
    const djs_sqlite_library_t *sqlite = &c->library.sqlite;
    prepared_t *prepared = apr_hash_get(c->prepared, &statement, sizeof(statement));
    void *stmt = NULL;

    if (prepared != NULL) {
        return prepared->stmt;
    }
    if (sqlite->prepare(c->native, plain_sql(ctx->pool, statement->sql), -1, &stmt, NULL) !=
        SQLITE_OK) {
        return NULL;
    }
    prepared = apr_pcalloc(c->prepared_pool, sizeof(*prepared));
    prepared->statement = statement;
    prepared->sqlite = sqlite;
    prepared->stmt = stmt;
    apr_pool_cleanup_register(c->prepared_pool, prepared, end_prepared, apr_pool_cleanup_null);
    apr_hash_set(c->prepared, &prepared->statement, sizeof(statement), prepared);
    return stmt;
}

/*
 * Of the row that stmt is at; no other thread has this connection. sqlite3_column_text() and _bytes()
 * each take the connection's lock, and text of a number takes memory from the system.
 */
static djs_bytes_t read_column(djs_ctx_t *ctx, const djs_sqlite_library_t *sqlite, void *stmt,
                               int column)
{
    void *value = sqlite->column_value(stmt, column);
    const char *text;

    if (sqlite->value_type(value) == SQLITE_INTEGER
        && sqlite->value_int64(value) > APR_INT64_MIN) { /* which has no digits of the other sign */
        return djs_bytes(apr_off_t_toa(ctx->pool, sqlite->value_int64(value)));
    }
    text = (const char *)sqlite->value_text(value); /* before its length is asked for */
    return djs_bytes_of(text, (apr_size_t)sqlite->value_bytes(value));
}

static apr_status_t hand_over(djs_ctx_t *ctx, djs_connection_t *c, djs_run_t *run, void *stmt)
{
    const djs_sqlite_library_t *sqlite = &c->library.sqlite;
    djs_bytes_t columns[DJS_COLUMNS_MAX];
    int count = sqlite->column_count(stmt);
    int i;

    count = count < DJS_COLUMNS_MAX ? count : DJS_COLUMNS_MAX;
    for (i = 0; i < count; i++) {
        columns[i] = read_column(ctx, sqlite, stmt, i);
    }
    run->rows++;
    return run->each(run->baton, ctx, columns, count);
}

static int step_through(djs_ctx_t *ctx, djs_connection_t *c, djs_run_t *run, void *stmt)
{
    int result = c->library.sqlite.step(stmt);

    while (result == SQLITE_ROW && run->each != NULL && run->rv == APR_SUCCESS) {
        run->rv = hand_over(ctx, c, run, stmt);
        if (run->rv == APR_SUCCESS) {
            result = c->library.sqlite.step(stmt);
        }
    }
    return result;
}

djs_outcome_t djs_sqlite_run(djs_ctx_t *ctx, djs_connection_t *c, djs_run_t *run)
{
    const djs_sqlite_library_t *sqlite = &c->library.sqlite;
    apr_interval_time_t ms = apr_time_as_msec(run->patience);
    djs_outcome_t outcome = DJS_RAN;
    void *stmt;
    int result, i;

    sqlite->busy_timeout(c->native, ms > INT_MAX ? INT_MAX : (int)ms);
    stmt = find_prepared(ctx, c, run->statement);
    if (stmt == NULL) {
        return judge(ctx, c, run);
    }
    for (i = 0; i < run->statement->params; i++) {
        sqlite->bind_text(stmt, i + 1, run->args[i], -1, NULL);
    }
    result = step_through(ctx, c, run, stmt);
    if (result != SQLITE_DONE && result != SQLITE_ROW) {
        outcome = judge(ctx, c, run);
    }
    else if (run->each == NULL) {
        run->rows = sqlite->changes(c->native);
    }
    /* Ends its transaction; the arguments must not be looked at any more. */
    sqlite->reset(stmt);
    sqlite->clear_bindings(stmt);
    return outcome;
}
