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

const test_database_t *test_database(const char *name)
{
    int i;

    test_databases();
    for (i = 0; i < TEST_DATABASES; i++) {
        if (strcmp(databases[i].name, name) == 0 && databases[i].params != NULL) {
            return &databases[i];
        }
    }
    print_message("%s is not there: run under t/unit/with_servers\n", name);
    skip();
    return NULL;
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
