/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that are lost at each step: of each operation of each engine with a server, every
 * request in turn does not arrive, or its answer does not. Whatever the engine says then is true; what
 * it cannot know it does not say; and what was there is not changed by half.
 */
#include "databases.h"
#include "engine_contract.h"
#include "lossy.h"
#include "memcached_server.h"
#include "redis_server.h"

#include <stdio.h>
#include <string.h>

#include "cache_url.h"
#include "stores.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* More than any operation has, with a new connection. */
#define STEPS_MAX 60

static memcached_server_t *memcached;
static redis_server_t *redis;

/* ---- Engines --------------------------------------------------------------------------------- */

static int port_of_memcached(void)
{
    return memcached_server_port(memcached);
}

static int port_of_redis(void)
{
    return redis_server_port(redis);
}

static int port_of_postgresql(void)
{
    return test_database_port(&test_databases()[1]);
}

static int port_of_mariadb(void)
{
    return test_database_port(&test_databases()[2]);
}

static djs_engine_t *open_engine(test_t *test, const char *name, const char *url,
                                 const test_database_t *which)
{
    djs_settings_t *settings = djs_settings_complete(test->pool, djs_settings_make(test->pool));
    const char *argv[2] = { url, "timeout=60s" };
    djs_site_t *site;

    settings->engine = name;
    settings->secret_key = "a key that is long enough to be a key";
    if (url != NULL) {
        assert_status(test->ctx, djs_cache_url_parse(test->ctx, 2, argv, &settings->cache),
                      APR_SUCCESS, url);
    }
    assert_status(test->ctx,
                  djs_stores_open(test->ctx, test->pool, settings,
                                  which != NULL ? test_database_open(test, which) : NULL, &site),
                  APR_SUCCESS, name);
    return site->engine;
}

static djs_engine_t *open_memcached(test_t *test, int port)
{
    return open_engine(test, "cache", apr_psprintf(test->pool, "memcached://127.0.0.1:%d", port),
                       NULL);
}

static djs_engine_t *open_redis(test_t *test, int port)
{
    return open_engine(test, "cache", apr_psprintf(test->pool, "redis://127.0.0.1:%d/0", port), NULL);
}

static djs_engine_t *open_database(test_t *test, int which, int port)
{
    test_database_t *other = apr_palloc(test->pool, sizeof(*other));

    *other = test_database_at(test, &test_databases()[which], port);
    return open_engine(test, "db", NULL, other);
}

static djs_engine_t *open_postgresql(test_t *test, int port)
{
    return open_database(test, 1, port);
}

static djs_engine_t *open_mariadb(test_t *test, int port)
{
    return open_database(test, 2, port);
}

typedef struct subject_t {
    const char *name;
    djs_engine_t *(*open)(test_t *test, int port);
    int (*port)(void);
    int database; /* of test_databases(); 0: none that could be missing */
} subject_t;

static const subject_t subjects[] = {
    { "memcached", open_memcached, port_of_memcached, 0 },
    { "redis", open_redis, port_of_redis, 0 },
    { "postgresql", open_postgresql, port_of_postgresql, 1 },
    { "mysql", open_mariadb, port_of_mariadb, 2 },
};

/* ---- Operations ------------------------------------------------------------------------------ */

typedef enum operation_t { LOAD, EXISTS, CREATE, SWAP, CHANGE, OVERWRITE, REMOVE } operation_t;

/* What is there before, and when it was done; "": nothing. */
static const struct {
    const char *name, *before, *after;
} operations[] = {
    [LOAD] = { "load", "old", "old" },        [EXISTS] = { "exists", "old", "old" },
    [CREATE] = { "create", "", "new" },       [SWAP] = { "replace", "old", "new" },
    [CHANGE] = { "load and replace", "old", "new" },
    [OVERWRITE] = { "overwrite", "old", "new" }, [REMOVE] = { "remove", "old", "" },
};

/* A step that is taken: engines of its own, through a proxy and beside it. */
typedef struct step_t {
    test_t test;
    lossy_t *lossy;
    djs_engine_t *engine, *beside;
    const char *key, *why;
} step_t;

static apr_status_t operate(step_t *step, operation_t operation)
{
    const djs_engine_ops_t *ops = step->engine->ops;
    djs_ctx_t *ctx = step->test.ctx;
    djs_record_t old = contract_record(&step->test, "old"), new = old, found;
    apr_status_t rv;
    int exists = 0;

    new.data = djs_bytes("new");
    new.expires += apr_time_from_sec(1);
    switch (operation) {
    case LOAD:
        rv = ops->load(step->engine, ctx, step->key, &found);
        if (rv == APR_SUCCESS) {
            assert_bytes(found.data, old.data, step->why);
        }
        return rv;
    case EXISTS:
        rv = ops->exists(step->engine, ctx, step->key, &exists);
        assert_true(rv != APR_SUCCESS || exists);
        return rv;
    case CREATE:
        return ops->create(step->engine, ctx, step->key, &new);
    case SWAP:
        return ops->replace(step->engine, ctx, step->key, &old, &new);
    case CHANGE:
        rv = ops->load(step->engine, ctx, step->key, &found);
        return rv == APR_SUCCESS ? ops->replace(step->engine, ctx, step->key, &found, &new) : rv;
    case OVERWRITE:
        return ops->replace(step->engine, ctx, step->key, NULL, &new);
    case REMOVE:
        return ops->remove(step->engine, ctx, step->key);
    }
    return APR_EGENERAL;
}

/* As somebody sees it whose connection is well. */
static void assert_there(step_t *step, const char *one, const char *or_other)
{
    djs_ctx_t *ctx = test_ctx(step->test.pool);
    djs_record_t found = { .data = { "", 0 } };
    apr_status_t rv = step->beside->ops->load(step->beside, ctx, step->key, &found);

    if (rv != APR_NOTFOUND) {
        assert_status(ctx, rv, APR_SUCCESS, step->why);
    }
    if (!djs_bytes_is(found.data, or_other)) {
        assert_bytes(found.data, djs_bytes(one), step->why);
    }
}

/* Nobody else is there: any answer but "done" and "nobody knows" would be a lie. */
static void check_outcome(step_t *step, operation_t operation)
{
    const char *before = operations[operation].before, *after = operations[operation].after;
    apr_status_t rv = operate(step, operation);
    int lost = lossy_count(step->lossy);

    if (rv == APR_SUCCESS || lost == 0) {
        assert_status(step->test.ctx, rv, APR_SUCCESS, step->why);
        assert_there(step, after, after);
        return;
    }
    assert_status(step->test.ctx, rv, DJS_ESTORE, step->why);
    assert_non_null(step->test.ctx->problem);
    assert_there(step, before, after);
}

static void open_step(step_t *step, const subject_t *subject, operation_t operation)
{
    djs_record_t old;

    step->test.ctx = test_ctx(step->test.pool);
    step->lossy = lossy_start(&step->test, subject->port());
    step->engine = subject->open(&step->test, lossy_port(step->lossy));
    step->beside = subject->open(&step->test, subject->port());
    step->key = contract_key(&step->test);
    old = contract_record(&step->test, "old");
    if (*operations[operation].before != '\0') {
        assert_status(step->test.ctx,
                      step->beside->ops->create(step->beside, step->test.ctx, step->key, &old),
                      APR_SUCCESS, step->why);
    }
}

/* 0: the operation has no such step. */
static int lose_step(apr_pool_t *parent, const subject_t *subject, operation_t operation, loss_t loss,
                     int is_connected, int number)
{
    step_t step = { .why = apr_psprintf(parent, "%s of %s: %s of step %d, %s", subject->name,
                                        operations[operation].name,
                                        loss == LOSE_ANSWER ? "the answer" : "the request", number,
                                        is_connected ? "connected" : "not yet connected") };
    djs_record_t found;
    int lost;

    assert_int_equal(apr_pool_create(&step.test.pool, parent), APR_SUCCESS);
    open_step(&step, subject, operation);
    if (is_connected) {
        (void)!step.engine->ops->load(step.engine, step.test.ctx, "nobody has it", &found);
    }
    lossy_lose_nth(step.lossy, loss, number);
    check_outcome(&step, operation);
    lost = lossy_count(step.lossy);
    apr_pool_destroy(step.test.pool);
    return lost > 0;
}

static void each_step_may_be_lost(void **state)
{
    const subject_t *subject = *state;
    static const loss_t losses[] = { LOSE_REQUEST, LOSE_ANSWER };
    size_t operation, loss;
    apr_pool_t *pool;
    int connected, steps;

    assert_int_equal(apr_pool_create(&pool, NULL), APR_SUCCESS);
    for (operation = 0; operation < COUNT(operations); operation++) {
        for (loss = 0; loss < COUNT(losses); loss++) {
            for (connected = 0; connected < 2; connected++) {
                for (steps = 0; lose_step(pool, subject, (operation_t)operation, losses[loss],
                                          connected, steps); steps++) {
                    assert_true(steps < STEPS_MAX);
                }
                assert_true(steps > 0);
            }
        }
    }
    apr_pool_destroy(pool);
}

int main(void)
{
    static struct CMUnitTest tests[COUNT(subjects)];
    char names[COUNT(subjects)][60];
    size_t i;
    int failed;

    memcached = memcached_server_start(0);
    redis = redis_server_start();
    for (i = 0; i < COUNT(subjects); i++) {
        const test_database_t *database = &test_databases()[subjects[i].database];

        if (database->params == NULL) {
            tests[i] = test_absent(database);
            continue;
        }
        snprintf(names[i], sizeof(names[i]), "%s: each_step_may_be_lost", subjects[i].name);
        tests[i].name = names[i];
        tests[i].test_func = each_step_may_be_lost;
        tests[i].initial_state = (void *)&subjects[i];
    }
    failed = test_run("losses", tests, COUNT(subjects));
    redis_server_end(redis);
    memcached_server_end(memcached);
    test_databases_end();
    return failed;
}
