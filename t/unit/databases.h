/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The databases that store's tests run on: SQLite always, in a file of the test program's own;
 * PostgreSQL and MariaDB where t/unit/with_servers has started them. All have Django's own tables
 * (django_tables).
 */
#ifndef DATABASES_H
#define DATABASES_H

#include "support.h"

#include "database.h"

typedef struct test_database_t {
    const char *name;     /* "sqlite", "postgresql", "mysql": as the vectors call it */
    const char *driver;   /* apr_dbd's */
    const char *variable; /* of the environment, with DBDParams; NULL: made here */
    const char *params;   /* NULL: not there */
} test_database_t;

#define TEST_DATABASES 3

/** All of them; those that are not there have no params. Made once a program. */
const test_database_t *test_databases(void);

/** The same, but as another user than "djs" where there are users. Before anything else. */
void test_databases_as(const char *user);

/** A test of a table that runs on each database. */
typedef struct database_row_t {
    const char *name;
    CMUnitTestFunction run;
} database_row_t;

#define ON_EACH_DATABASE(name) { #name, name }

/**
 * Append the rows once for each database, with a setup that gets its test_database_t as *state. Of
 * a database that is not there one test is skipped, which counts as not run. Gives the new count.
 */
size_t test_on_databases(struct CMUnitTest *tests, size_t count, const database_row_t *rows,
                         size_t row_count, CMFixtureFunction setup);

/** The same, on those that have a server. */
size_t test_on_servers(struct CMUnitTest *tests, size_t count, const database_row_t *rows,
                       size_t row_count, CMFixtureFunction setup);

/** The one skipped test. */
struct CMUnitTest test_absent(const test_database_t *database);

/** An open database for one test, by a direct source. */
djs_database_t *test_database_open(test_t *test, const test_database_t *which);

/** The port of one that has a server; and the same database at another port, of a proxy. */
int test_database_port(const test_database_t *which);
test_database_t test_database_at(test_t *test, const test_database_t *which, int port);

/** Run statements on a connection of their own, as an administrator would beside us. */
void test_database_sql(const test_database_t *which, const char *sql);

/** Remove what was made. For the end of main(). */
void test_databases_end(void);

#endif
