/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See databases.h.
 */
#include "databases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static test_database_t databases[TEST_DATABASES] = {
    { "sqlite", "sqlite3", NULL, NULL },
    { "postgresql", "pgsql", "DJS_TEST_PGSQL", NULL },
    { "mysql", "mysql", "DJS_TEST_MYSQL", NULL },
};
static char folder[64];
static char other_params[TEST_DATABASES][300];
static char file[80];

/* In memory where that is possible: durability is not what is tested. */
static void make_sqlite(void)
{
    const char *source = getenv("DJS_SRC");
    char command[1000];

    if (source == NULL) {
        fail_msg("DJS_SRC is not set to the folder of the sources; make check sets it");
    }
    snprintf(folder, sizeof(folder), "%s/djs-test-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(folder) == NULL) {
        fail_msg("no folder for SQLite's file: %s", folder);
    }
    snprintf(file, sizeof(file), "%s/db.sqlite3", folder);
    snprintf(command, sizeof(command), "/usr/bin/python3 '%s/t/unit/django_tables' sqlite3 '%s'",
             source, file);
    if (system(command) != 0) {
        fail_msg("Django could not make its tables: %s", command);
    }
    databases[0].params = file;
}

const test_database_t *test_databases(void)
{
    int i;

    if (databases[0].params == NULL) {
        make_sqlite();
        for (i = 1; i < TEST_DATABASES; i++) {
            databases[i].params = getenv(databases[i].variable);
        }
    }
    return databases;
}

void test_databases_as(const char *user)
{
    int i;

    (void)test_databases();
    for (i = 1; i < TEST_DATABASES; i++) {
        const char *params = databases[i].params;
        const char *at = params != NULL ? strstr(params, "user=djs") : NULL;

        if (at != NULL) {
            snprintf(other_params[i], sizeof(other_params[i]), "%.*suser=%s%s", (int)(at - params),
                     params, user, at + strlen("user=djs"));
            databases[i].params = other_params[i];
        }
    }
}

static void is_not_there(void **state)
{
    const test_database_t *database = *state;

    print_message("run under t/unit/with_servers: %s is not set\n", database->variable);
    skip();
}

struct CMUnitTest test_absent(const test_database_t *database)
{
    struct CMUnitTest test = { database->name, is_not_there, NULL, NULL, (void *)database };

    return test;
}

static struct CMUnitTest test_of(const test_database_t *database, const database_row_t *row,
                                 CMFixtureFunction setup)
{
    struct CMUnitTest test = { NULL, row->run, setup, test_teardown, (void *)database };
    size_t size = strlen(database->name) + strlen(row->name) + 3;
    char *name = malloc(size); /* the program's for good */

    snprintf(name, size, "%s: %s", database->name, row->name);
    test.name = name;
    return test;
}

static size_t test_from(int first, struct CMUnitTest *tests, size_t count,
                        const database_row_t *rows, size_t row_count, CMFixtureFunction setup)
{
    const test_database_t *all = test_databases();
    size_t row;
    int i;

    for (i = first; i < TEST_DATABASES; i++) {
        if (all[i].params == NULL) {
            tests[count++] = test_absent(&all[i]);
            continue;
        }
        for (row = 0; row < row_count; row++) {
            tests[count++] = test_of(&all[i], &rows[row], setup);
        }
    }
    return count;
}

size_t test_on_databases(struct CMUnitTest *tests, size_t count, const database_row_t *rows,
                         size_t row_count, CMFixtureFunction setup)
{
    return test_from(0, tests, count, rows, row_count, setup);
}

size_t test_on_servers(struct CMUnitTest *tests, size_t count, const database_row_t *rows,
                       size_t row_count, CMFixtureFunction setup)
{
    return test_from(1, tests, count, rows, row_count, setup); /* SQLite is the first */
}

djs_database_t *test_database_open(test_t *test, const test_database_t *which)
{
    djs_dbd_source_t source;
    djs_database_t *database;

    assert_status(test->ctx,
                  djs_dbd_direct_source(test->ctx, test->pool, which->driver, which->params, &source),
                  APR_SUCCESS, which->name);
    assert_status(test->ctx,
                  djs_database_open(test->ctx, test->pool, &source, which->driver, &database),
                  APR_SUCCESS, which->name);
    return database;
}

static const char *port_in(const test_database_t *which)
{
    const char *at = strstr(which->params, "port=");

    assert_non_null(at);
    return at + strlen("port=");
}

int test_database_port(const test_database_t *which)
{
    return atoi(port_in(which));
}

test_database_t test_database_at(test_t *test, const test_database_t *which, int port)
{
    const char *digits = port_in(which);
    test_database_t other = *which;

    other.params = apr_psprintf(test->pool, "%.*s%d%s", (int)(digits - which->params),
                                which->params, port, digits + strspn(digits, "0123456789"));
    return other;
}

void test_database_sql(const test_database_t *which, const char *sql)
{
    const apr_dbd_driver_t *driver;
    apr_dbd_t *handle;
    apr_pool_t *pool;
    int rows, error;

    assert_int_equal(apr_pool_create(&pool, NULL), APR_SUCCESS);
    apr_dbd_init(pool);
    assert_int_equal(apr_dbd_get_driver(pool, which->driver, &driver), APR_SUCCESS);
    assert_int_equal(apr_dbd_open(driver, pool, which->params, &handle), APR_SUCCESS);
    error = apr_dbd_query(driver, handle, &rows, sql);
    if (error != 0) {
        fail_msg("%s: %s: %s", which->name, sql, apr_dbd_error(driver, handle, error));
    }
    apr_dbd_close(driver, handle);
    apr_pool_destroy(pool);
}

void test_databases_end(void)
{
    static const char *const suffixes[] = { "", "-journal", "-wal", "-shm" };
    char name[100];
    int i;

    for (i = 0; i < 4 && databases[0].params != NULL; i++) {
        snprintf(name, sizeof(name), "%s%s", file, suffixes[i]);
        unlink(name);
    }
    if (databases[0].params != NULL) {
        rmdir(folder);
    }
}
