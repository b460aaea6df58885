/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engine db on real tables of Django's: the contract on each database.
 */
#include "databases.h"
#include "engine_contract.h"

#include "stores.h"

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

int main(void)
{
    static struct CMUnitTest tests[TEST_DATABASES * CONTRACT_TESTS_MAX];
    static contract_t contracts[TEST_DATABASES];
    const test_database_t *databases = test_databases();
    size_t count = 0;
    int i, failed;

    for (i = 0; i < TEST_DATABASES; i++) {
        contracts[i].name = databases[i].name;
        contracts[i].open = open_db;
        contracts[i].baton = &databases[i];
        if (databases[i].params == NULL) {
            tests[count++] = test_absent(&databases[i]);
            continue;
        }
        count = contract_tests(&contracts[i], tests, count);
    }
    failed = test_run("engine_db", tests, count);
    test_databases_end();
    return failed;
}
