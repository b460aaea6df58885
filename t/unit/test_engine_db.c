/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engine db on real tables of Django's: the contract on each database, and rows that Django wrote.
 */
#include "databases.h"
#include "engine_contract.h"
#include "lossy.h"

#include <stdlib.h>
#include <string.h>

#include "stores.h"
#include "zone.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

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
        vector_done(a_case);
        done++;
    }
    assert_number(done, 84, "cases of this database");
}

/* ---- Clearing ---------------------------------------------------------------------------------- */

#define EXPIRED 250 /* some batches */

/* What another client puts in while it is cleared: a row that ended before all others. */
typedef struct behind_t {
    djs_engine_t *engine;
    djs_ctx_t ctx;
    const char *key;
    int batches, after_second; /* is it still there after the second batch? */
} behind_t;

static void put_behind(void *baton, apr_size_t done)
{
    behind_t *behind = baton;
    djs_record_t oldest = { .data = djs_bytes("x"), .expires = TEST_NOW / 2 };

    behind->batches++;
    if (behind->batches == 1) {
        assert_in_range(done, 1, EXPIRED - 1);
        assert_status(&behind->ctx, behind->engine->ops->create(behind->engine, &behind->ctx,
                                                                behind->key, &oldest),
                      APR_SUCCESS, "create");
    }
    else if (behind->batches == 2) {
        assert_status(&behind->ctx, behind->engine->ops->exists(behind->engine, &behind->ctx,
                                                                behind->key, &behind->after_second),
                      APR_SUCCESS, "exists");
    }
}

static djs_engine_t *open_rows_engine(rows_t *rows)
{
    djs_engine_t *engine;

    assert_status(rows->test.ctx,
                  djs_engine_db_open(rows->test.ctx, rows->test.pool, settings_of(&rows->test),
                                     NULL, rows->database, &engine),
                  APR_SUCCESS, "open");
    return engine;
}

static void clearing_goes_on_where_it_was_and_leaves_nothing_behind(void **state)
{
    static const djs_host_t host = { .progress = put_behind };
    rows_t *rows = *state;
    djs_ctx_t *ctx = rows->test.ctx;
    behind_t behind = { open_rows_engine(rows), *ctx, contract_key(&rows->test), 0, 0 };
    const djs_engine_ops_t *ops = behind.engine->ops;
    djs_record_t record = { .data = djs_bytes("x") };
    apr_size_t removed;
    int i, exists;

    assert_status(ctx, ops->clear_expired(behind.engine, ctx, &removed), APR_SUCCESS, "others'");
    for (i = 0; i < EXPIRED; i++) {
        record.expires = TEST_NOW - 1 - i;
        assert_status(ctx, ops->create(behind.engine, ctx, contract_key(&rows->test), &record),
                      APR_SUCCESS, "create");
    }
    ctx->host = &host;
    ctx->baton = &behind;
    assert_status(ctx, ops->clear_expired(behind.engine, ctx, &removed), APR_SUCCESS, "clear");
    ctx->host = NULL;
    assert_number(removed, EXPIRED + 1, "all of them were counted");
    assert_true(behind.batches > 2);
    assert_number(behind.after_second, 1, "what is removed already is not walked over again");
    assert_status(ctx, ops->exists(behind.engine, ctx, behind.key, &exists), APR_SUCCESS, "exists");
    assert_number(exists, 0, "in the end from the beginning");
}

/* Django compares in the database, which has an order for them, too. */
static void what_ended_at_no_time_that_we_know_is_cleared(void **state)
{
    rows_t *rows = *state;
    const int pgsql = strcmp(rows->which->name, "postgresql") == 0;
    const int mysql = strcmp(rows->which->name, "mysql") == 0;
    djs_engine_t *engine = open_rows_engine(rows);
    djs_ctx_t *ctx = rows->test.ctx;
    const char *key = contract_key(&rows->test);
    const char *args[3] = { key, "x", pgsql ? "-infinity" : mysql ? "1000-01-01" : "" };
    apr_size_t removed;
    int count, exists;

    assert_status(ctx, djs_database_execute(ctx, rows->database, &rows->insert, args, &count, NULL),
                  APR_SUCCESS, "insert");
    assert_status(ctx, engine->ops->clear_expired(engine, ctx, &removed), APR_SUCCESS, "clear");
    assert_status(ctx, engine->ops->exists(engine, ctx, key, &exists), APR_SUCCESS, "exists");
    assert_number(exists, 0, rows->which->name);
}

/* ---- What Django's own engine answers ---------------------------------------------------------- */

typedef enum operation_t { CREATE, REPLACE, LOAD, EXISTS, REMOVE, CLEAR, CYCLE } operation_t;

/* Each method of db_sql.json. How a method's statements read is our own; what comes of them is not. */
static const struct {
    const char *method, *result; /* as the vectors have them */
    operation_t operation;
    int is_there; /* before */
    apr_status_t rv;
    int stays; /* afterwards */
} methods[] = {
    { "save-new", "ok", CREATE, 0, APR_SUCCESS, 1 },
    { "create", "ok", CREATE, 0, APR_SUCCESS, 1 },
    { "save-must_create-taken", "CreateError", CREATE, 1, APR_EEXIST, 1 },
    { "save-existing", "ok", REPLACE, 1, APR_SUCCESS, 1 },
    { "save-deleted-meanwhile", "UpdateError", REPLACE, 0, APR_NOTFOUND, 0 },
    { "load", "ok", LOAD, 1, APR_SUCCESS, 1 },
    { "load-unknown", "ok", LOAD, 0, APR_NOTFOUND, 0 },
    { "exists", "ok", EXISTS, 1, APR_SUCCESS, 1 },
    { "delete", "ok", REMOVE, 1, APR_SUCCESS, 0 },
    { "delete-unknown", "ok", REMOVE, 0, APR_SUCCESS, 0 },
    { "clear_expired", "ok", CLEAR, 1, APR_SUCCESS, 1 }, /* it lives */
    { "cycle_key", "ok", CYCLE, 1, APR_SUCCESS, 0 },
};

static apr_status_t operate(djs_engine_t *engine, djs_ctx_t *ctx, operation_t operation,
                            const char *key, const char *other)
{
    djs_record_t record = { .data = djs_bytes("new"), .expires = TEST_NOW + APR_USEC_PER_SEC };
    djs_record_t found;
    apr_size_t removed;
    int exists;

    switch (operation) {
    case CREATE:
        return engine->ops->create(engine, ctx, key, &record);
    case REPLACE:
        return engine->ops->replace(engine, ctx, key, NULL, &record);
    case LOAD:
        return engine->ops->load(engine, ctx, key, &found);
    case EXISTS:
        return engine->ops->exists(engine, ctx, key, &exists);
    case REMOVE:
        return engine->ops->remove(engine, ctx, key);
    case CLEAR:
        return engine->ops->clear_expired(engine, ctx, &removed);
    case CYCLE:
        assert_status(ctx, engine->ops->create(engine, ctx, other, &record), APR_SUCCESS, "new key");
        return engine->ops->remove(engine, ctx, key);
    }
    return APR_EGENERAL;
}

static void check_method(rows_t *rows, djs_engine_t *engine, const json_t *a_case)
{
    const char *id = vector_need(a_case, "id") + strlen(rows->which->name) + 1;
    const char *key = contract_key(&rows->test), *other = contract_key(&rows->test);
    djs_record_t old = contract_record(&rows->test, "old");
    djs_ctx_t *ctx = rows->test.ctx;
    apr_size_t i;
    int exists;

    for (i = 0; i < COUNT(methods) && strcmp(methods[i].method, id) != 0; i++) {
    }
    assert_true(i < COUNT(methods));
    assert_text(methods[i].result, vector_need(a_case, "result"), id);
    if (methods[i].is_there) {
        assert_status(ctx, engine->ops->create(engine, ctx, key, &old), APR_SUCCESS, id);
    }
    assert_status(ctx, operate(engine, ctx, methods[i].operation, key, other), methods[i].rv, id);
    assert_status(ctx, engine->ops->exists(engine, ctx, key, &exists), APR_SUCCESS, id);
    assert_number(exists, methods[i].stays, id);
    assert_null(ctx->problem);
}

static void each_method_ends_as_djangos(void **state)
{
    rows_t *rows = *state;
    const json_t *cases = test_vectors(rows->test.pool, "db_sql.json", 42);
    djs_engine_t *engine = open_rows_engine(rows);
    const json_t *a_case;
    size_t i, done = 0;

    json_array_foreach(cases, i, a_case) {
        if (strcmp(vector_need(a_case, "database"), rows->which->name) != 0) {
            continue;
        }
        check_method(rows, engine, a_case);
        vector_done(a_case);
        done++;
    }
    assert_in_range(done, COUNT(methods) - 1, 42);
}

/* ---- Answers that are lost ------------------------------------------------------------------- */

#define MARKER "what-is-lost"

typedef struct lost_t {
    contract_state_t contract; /* its engine goes through the proxy */
    const test_database_t *which;
    lossy_t *lossy;
    const char *key;
} lost_t;

static int open_lossy(void **state)
{
    test_database_t other;
    lost_t *lost;
    void *made;

    test_setup(&made);
    lost = apr_pcalloc(((test_t *)made)->pool, sizeof(*lost));
    lost->contract.test = *(test_t *)made;
    lost->which = *state;
    lost->lossy = lossy_start(&lost->contract.test, test_database_port(lost->which));
    other = test_database_at(&lost->contract.test, lost->which, lossy_port(lost->lossy));
    lost->contract.engine = open_db(&lost->contract.test, &other);
    lost->key = contract_key(&lost->contract.test);
    *state = lost;
    return 0;
}

static apr_status_t create_lossy(lost_t *lost, const djs_record_t *record)
{
    djs_engine_t *engine = lost->contract.engine;

    return engine->ops->create(engine, lost->contract.test.ctx, lost->key, record);
}

static apr_status_t replace_lossy(lost_t *lost, const djs_record_t *seen,
                                  const djs_record_t *record)
{
    djs_engine_t *engine = lost->contract.engine;

    return engine->ops->replace(engine, lost->contract.test.ctx, lost->key, seen, record);
}

static void assert_there(lost_t *lost, const djs_record_t *expected)
{
    djs_engine_t *engine = lost->contract.engine;
    djs_record_t found;

    assert_status(lost->contract.test.ctx,
                  engine->ops->load(engine, lost->contract.test.ctx, lost->key, &found),
                  APR_SUCCESS, "load");
    assert_bytes(found.data, expected->data, "data");
    assert_number(found.expires, expected->expires, "its end");
}

/* An INSERT or a compare-and-swap that took effect, or did not, counts as what it did. */
static void a_lost_statement_counts_once(void **state)
{
    static const loss_t losses[] = { LOSE_ANSWER, LOSE_REQUEST };
    lost_t *lost = *state;
    test_t *test = &lost->contract.test;
    int i;

    for (i = 0; i < 2; i++) {
        djs_record_t first = contract_record(test, "first " MARKER);
        djs_record_t second = contract_record(test, "second " MARKER);

        lost->key = contract_key(test);
        lossy_lose(lost->lossy, losses[i], MARKER, NULL, NULL);
        assert_status(test->ctx, create_lossy(lost, &first), APR_SUCCESS, "create");
        assert_null(test->ctx->problem);
        assert_number(lossy_count(lost->lossy), 2 * i + 1, "its answer or request was lost");
        assert_there(lost, &first);
        lossy_lose(lost->lossy, losses[i], MARKER, NULL, NULL);
        assert_status(test->ctx, replace_lossy(lost, &first, &second), APR_SUCCESS, "replace");
        assert_null(test->ctx->problem);
        assert_number(lossy_count(lost->lossy), 2 * i + 2, "its answer or request was lost");
        assert_there(lost, &second);
    }
}

/* Another administrator's statement while nobody knows. */
typedef struct meanwhile_t {
    lost_t *lost;
    const char *sql;
} meanwhile_t;

static void run_meanwhile(void *baton)
{
    const meanwhile_t *meanwhile = baton;

    test_database_sql(meanwhile->lost->which, meanwhile->sql);
}

/* Nobody can say whether ours was among what happened: it is not done over. */
static void a_lost_change_that_others_built_on_is_not_made_again(void **state)
{
    static const loss_t losses[] = { LOSE_ANSWER, LOSE_REQUEST };
    lost_t *lost = *state;
    test_t *test = &lost->contract.test;
    djs_record_t first = contract_record(test, "1");
    djs_record_t second = contract_record(test, "2 " MARKER);
    int i;

    for (i = 0; i < 2; i++) {
        meanwhile_t meanwhile = { lost, NULL };

        lost->key = contract_key(test);
        assert_status(test->ctx, create_lossy(lost, &first), APR_SUCCESS, "create");
        meanwhile.sql = apr_psprintf(test->pool, "UPDATE django_session SET session_data = '3' "
                                     "WHERE session_key = '%s'", lost->key);
        lossy_lose(lost->lossy, losses[i], MARKER, run_meanwhile, &meanwhile);
        assert_status(test->ctx, replace_lossy(lost, &first, &second), DJS_ESTORE, "who knows");
        assert_non_null(strstr(test->ctx->problem, "lost"));
        djs_forget(test->ctx);
        first.data = djs_bytes("3");
        assert_there(lost, &first);
        first.data = djs_bytes("1");
    }
}

/* The same data with another end is not ours: then two increments to the same number count twice. */
static void anothers_equal_change_is_not_taken_for_a_lost_one(void **state)
{
    lost_t *lost = *state;
    test_t *test = &lost->contract.test;
    djs_record_t first = contract_record(test, "1");
    djs_record_t ours = contract_record(test, "2 " MARKER);
    meanwhile_t meanwhile = { lost, NULL };

    ours.expires += 1;
    assert_status(test->ctx, create_lossy(lost, &first), APR_SUCCESS, "create");
    meanwhile.sql = apr_psprintf(test->pool, "UPDATE django_session SET session_data = '2 " MARKER
                                 "' WHERE session_key = '%s'", lost->key);
    lossy_lose(lost->lossy, LOSE_REQUEST, MARKER, run_meanwhile, &meanwhile);
    assert_status(test->ctx, replace_lossy(lost, &first, &ours), DJS_ESTORE, "that was another's");
    djs_forget(test->ctx);
}

/* ---- On each database ------------------------------------------------------------------------ */

static const database_row_t lossy_rows[] = {
    ON_EACH_DATABASE(a_lost_statement_counts_once),
    ON_EACH_DATABASE(a_lost_change_that_others_built_on_is_not_made_again),
    ON_EACH_DATABASE(anothers_equal_change_is_not_taken_for_a_lost_one),
};

#define LOSSY_ROWS (sizeof(lossy_rows) / sizeof(lossy_rows[0]))

static const database_row_t rows[] = {
    ON_EACH_DATABASE(rows_of_djangos_are_read_cleared_and_written_alike),
    ON_EACH_DATABASE(clearing_goes_on_where_it_was_and_leaves_nothing_behind),
    ON_EACH_DATABASE(what_ended_at_no_time_that_we_know_is_cleared),
    ON_EACH_DATABASE(each_method_ends_as_djangos),
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

int main(void)
{
    static struct CMUnitTest tests[TEST_DATABASES * (CONTRACT_TESTS_MAX + LOSSY_ROWS + ROWS)];
    static contract_t contracts[TEST_DATABASES];
    const test_database_t *databases = test_databases();
    size_t count = test_on_databases(tests, 0, rows, ROWS, open_rows);
    int i, failed;

    count = test_on_servers(tests, count, lossy_rows, LOSSY_ROWS, open_lossy);
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
