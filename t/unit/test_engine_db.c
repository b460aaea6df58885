/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engine db on real tables of Django's: the contract on each database, and rows that Django wrote.
 */
#include "databases.h"
#include "engine_contract.h"

#include <string.h>

#include "stores.h"
#include "zone.h"

static djs_settings_t *settings_of(test_t *test)
{
    djs_settings_t *settings = apr_pcalloc(test->pool, sizeof(*settings));

    settings->table = "django_session";
    return settings;
}

static djs_engine_t *open_db(test_t *test, const void *baton)
{
    djs_database_t *database = test_database_open(test, baton);
    djs_engine_t *engine;

    assert_status(test->ctx,
                  djs_engine_db_open(test->ctx, test->pool, settings_of(test), NULL, database,
                                     &engine),
                  APR_SUCCESS, "open");
    return engine;
}

/* ---- Rows that Django wrote, and that we write as Django ------------------------------------- */

static djs_statement_t make_statement(const char *sql, int params)
{
    djs_statement_t statement = { "test", "a statement of the test", NULL, 0, 1 };

    statement.sql = sql;
    statement.params = params;
    return statement;
}

/* Statements of the connections' lifetime: one test's. */
typedef struct rows_t {
    test_t test;
    const test_database_t *which;
    djs_database_t *database;
    djs_statement_t insert, remove, read;
} rows_t;

static int open_rows(void **state)
{
    const test_database_t *which = *state;
    int pgsql = strcmp(which->name, "postgresql") == 0;
    int mysql = strcmp(which->name, "mysql") == 0;
    rows_t *rows;
    void *made;

    test_setup(&made);
    rows = apr_pcalloc(((test_t *)made)->pool, sizeof(*rows));
    rows->test = *(test_t *)made;
    rows->which = which;
    rows->database = test_database_open(&rows->test, which);
    rows->insert = make_statement(pgsql ? "INSERT INTO django_session VALUES (%s, %pDt, %pDz)"
                               : "INSERT INTO django_session VALUES (%s, %s, %s)", 3);
    rows->remove = make_statement("DELETE FROM django_session WHERE session_key = %s", 1);
    rows->read = make_statement(mysql ? "SELECT CAST(expire_date AS CHAR) FROM django_session"
                               " WHERE session_key = %s"
                             : "SELECT expire_date FROM django_session WHERE session_key = %s", 1);
    *state = rows;
    return 0;
}

static djs_engine_t *engine_of_case(rows_t *rows, const json_t *a_case)
{
    const djs_zone_t *zone = NULL;
    djs_engine_t *engine;

    if (json_is_false(json_object_get(a_case, "use_tz"))) {
        assert_status(rows->test.ctx,
                      djs_zone_open(rows->test.ctx, rows->test.pool,
                                    vector_need(a_case, "time_zone"), &zone),
                      APR_SUCCESS, "zone");
    }
    assert_status(rows->test.ctx,
                  djs_engine_db_open(rows->test.ctx, rows->test.pool, settings_of(&rows->test),
                                     zone, rows->database, &engine),
                  APR_SUCCESS, "open");
    return engine;
}

static void put_row(rows_t *rows, const json_t *a_case)
{
    const char *args[3];
    int count;

    args[0] = vector_need(a_case, "session_key");
    args[1] = vector_need(a_case, "session_data");
    args[2] = vector_need(a_case, "expire_date");
    assert_status(rows->test.ctx,
                  djs_database_execute(rows->test.ctx, rows->database, &rows->remove, args, &count,
                                       NULL), APR_SUCCESS, "remove");
    assert_status(rows->test.ctx,
                  djs_database_execute(rows->test.ctx, rows->database, &rows->insert, args, &count,
                                       NULL), APR_SUCCESS, vector_name(rows->test.pool, a_case));
}

static void check_found(rows_t *rows, const json_t *a_case, djs_engine_t *engine)
{
    const json_t *times = json_object_get(a_case, "found_at");
    const char *name = vector_name(rows->test.pool, a_case);
    djs_ctx_t *ctx = rows->test.ctx;
    djs_record_t record;
    size_t i;

    assert_true(json_array_size(times) >= 3);
    for (i = 0; i < json_array_size(times); i++) {
        const json_t *at = json_array_get(times, i);
        int found = json_is_true(json_array_get(at, 1));

        ctx->now = test_time(json_array_get(at, 0));
        assert_status(ctx, engine->ops->load(engine, ctx, vector_need(a_case, "session_key"),
                                             &record),
                      found ? APR_SUCCESS : APR_NOTFOUND, name);
        if (found) {
            assert_bytes(record.data, djs_bytes(vector_need(a_case, "session_data")), name);
            assert_number(record.expires, test_time(json_object_get(a_case, "expires_at")), name);
        }
    }
}

static void check_cleared(rows_t *rows, const json_t *a_case, djs_engine_t *engine)
{
    const json_t *times = json_object_get(a_case, "clear_expired_removes_at");
    djs_ctx_t *ctx = rows->test.ctx;
    size_t i;

    assert_true(json_array_size(times) >= 2);
    for (i = 0; i < json_array_size(times); i++) {
        const json_t *at = json_array_get(times, i);
        apr_size_t removed;
        int exists;

        put_row(rows, a_case);
        ctx->now = test_time(json_array_get(at, 0));
        assert_status(ctx, engine->ops->clear_expired(engine, ctx, &removed), APR_SUCCESS, "clear");
        assert_status(ctx, engine->ops->exists(engine, ctx, vector_need(a_case, "session_key"),
                                               &exists), APR_SUCCESS, "exists");
        assert_number(exists, !json_is_true(json_array_get(at, 1)),
                      vector_name(rows->test.pool, a_case));
    }
}

static apr_status_t take_text(void *baton, djs_ctx_t *ctx, const djs_bytes_t *columns, int count)
{
    (void)count;
    *(const char **)baton = djs_bytes_copy(ctx->pool, columns[0]).data;
    return APR_SUCCESS;
}

/* PostgreSQL keeps an instant, and found_at has told which; the others a text. */
static void check_written(rows_t *rows, const json_t *a_case, djs_engine_t *engine)
{
    const char *key = vector_need(a_case, "session_key");
    const char *name = vector_name(rows->test.pool, a_case);
    djs_ctx_t *ctx = rows->test.ctx;
    const char *text = NULL;
    djs_record_t record;

    ctx->now = test_time(json_object_get(a_case, "now"));
    record.data = djs_bytes(vector_need(a_case, "session_data"));
    record.expires = test_time(json_object_get(a_case, "expires_at"));
    assert_status(ctx, engine->ops->remove(engine, ctx, key), APR_SUCCESS, name);
    assert_status(ctx, engine->ops->create(engine, ctx, key, &record), APR_SUCCESS, name);
    if (strcmp(rows->which->name, "postgresql") == 0) {
        check_found(rows, a_case, engine);
        return;
    }
    assert_status(ctx,
                  djs_database_select(ctx, rows->database, &rows->read, &key, take_text, &text),
                  APR_SUCCESS, name);
    assert_text(text, vector_need(a_case, "expire_date"), name);
}

static void rows_of_djangos_are_read_cleared_and_written_alike(void **state)
{
    rows_t *rows = *state;
    const json_t *cases = test_vectors(rows->test.pool, "db_rows.json", 250);
    size_t i, done = 0;

    for (i = 0; i < json_array_size(cases); i++) {
        const json_t *a_case = json_array_get(cases, i);
        djs_engine_t *engine;

        if (strcmp(vector_need(a_case, "database"), rows->which->name) != 0) {
            continue;
        }
        engine = engine_of_case(rows, a_case);
        put_row(rows, a_case);
        check_found(rows, a_case, engine);
        check_cleared(rows, a_case, engine);
        check_written(rows, a_case, engine);
        done++;
    }
    assert_number(done, 84, "cases of this database");
}

/* ---- On each database ------------------------------------------------------------------------ */

static const database_row_t rows[] = {
    ON_EACH_DATABASE(rows_of_djangos_are_read_cleared_and_written_alike),
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

int main(void)
{
    static struct CMUnitTest tests[TEST_DATABASES * (CONTRACT_TESTS_MAX + ROWS)];
    static contract_t contracts[TEST_DATABASES];
    const test_database_t *databases = test_databases();
    size_t count = test_on_databases(tests, 0, rows, ROWS, open_rows);
    int i, failed;

    for (i = 0; i < TEST_DATABASES; i++) {
        contracts[i].name = databases[i].name;
        contracts[i].open = open_db;
        contracts[i].baton = &databases[i];
        if (databases[i].params != NULL) {
            count = contract_tests(&contracts[i], tests, count);
        }
    }
    failed = test_run("engine_db", tests, count);
    test_databases_end();
    return failed;
}
