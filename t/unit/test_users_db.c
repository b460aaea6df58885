/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users in tables that Django made, with users that Django made (django_tables): the standard model,
 * one with a UUID, one with a text for its key. On each database.
 */
#include "databases.h"

#include <stdlib.h>
#include <string.h>

#include "memory_cache.h"
#include "stores.h"
#include "users_cache.h"

typedef struct users_state_t {
    test_t test;
    const test_database_t *which;
    djs_database_t *database;
} users_state_t;

static djs_users_t *open_users(users_state_t *s, const char *table, const char *username,
                               const char *id)
{
    djs_settings_t *settings = apr_pcalloc(s->test.pool, sizeof(*settings));
    djs_users_t *users;

    settings->user_table = table;
    settings->username_field = username;
    settings->user_id_field = id;
    assert_status(s->test.ctx,
                  djs_users_db_open(s->test.ctx, s->test.pool, settings, NULL, s->database, &users),
                  APR_SUCCESS, table);
    return users;
}

static djs_users_t *standard(users_state_t *s)
{
    return open_users(s, "auth_user", "username", "id");
}

static djs_user_t *must_find(users_state_t *s, djs_users_t *users, const char *id)
{
    djs_user_t *user = NULL;

    assert_status(s->test.ctx, users->ops->find_by_id(users, s->test.ctx, id, &user), APR_SUCCESS,
                  id);
    return user;
}

static void must_not_find(users_state_t *s, djs_users_t *users, const char *id)
{
    djs_user_t *user = NULL;

    s->test.ctx->problem = NULL;
    assert_status(s->test.ctx, users->ops->find_by_id(users, s->test.ctx, id, &user), APR_NOTFOUND,
                  id);
    assert_null(user);
    assert_null(s->test.ctx->problem);
}

static void all_of_a_user_is_read(void **state)
{
    users_state_t *s = *state;
    djs_user_t *user = must_find(s, standard(s), "7");

    assert_text(user->id, "7", "id");
    assert_text(user->username, "ada", "username");
    assert_text(user->email, "ada@example.com", "email");
    assert_text(user->name, "Ada Lovelace", "name");
    assert_text(user->password, "pbkdf2_sha256$1$salt$ada", "password");
    assert_number(user->is_active, 1, "active");
    assert_number(user->is_staff, 1, "staff");
    assert_number(user->is_superuser, 0, "superuser");
    assert_number(user->last_login, TEST_NOW - apr_time_from_sec(3600) + 250000, "last login");
}

/* Called before each statement. */
static int count_statement(void *data, djs_ctx_t *ctx, djs_dbd_lent_t *lent)
{
    (void)data, (void)lent;
    ++*(int *)ctx->baton;
    return 0;
}

static void a_user_is_found_by_one_statement(void **state)
{
    users_state_t *s = *state;
    djs_ctx_t *ctx = s->test.ctx;
    djs_dbd_source_t source;
    djs_users_t *users;
    djs_user_t *user;
    int statements = 0;

    assert_status(ctx, djs_dbd_direct_source(ctx, s->test.pool, s->which->driver, s->which->params,
                                             &source), APR_SUCCESS, s->which->name);
    source.held = count_statement;
    ctx->baton = &statements;
    assert_status(ctx, djs_database_open(ctx, s->test.pool, &source, s->which->driver, &s->database),
                  APR_SUCCESS, s->which->name);
    users = standard(s);
    must_find(s, users, "7"); /* and what columns there are */
    statements = 0;
    must_find(s, users, "7");
    assert_int_equal(statements, 1);
    assert_status(ctx, users->ops->find_with_groups(users, ctx, "7", &user), APR_SUCCESS, "groups");
    assert_int_equal(statements, 2);
    assert_status(ctx, users->ops->find_by_name(users, ctx, "ada", &user), APR_SUCCESS, "name");
    assert_int_equal(statements, 3);
    must_not_find(s, users, "999");
    assert_int_equal(statements, 4);
}

static void what_is_empty_or_null_is_read_as_such(void **state)
{
    users_state_t *s = *state;
    djs_user_t *user = must_find(s, standard(s), "8");

    assert_text(user->email, "", "email");
    assert_text(user->name, "", "no names, no space between them");
    assert_number(user->is_active, 0, "active");
    assert_number(user->is_superuser, 1, "superuser");
    assert_number(user->last_login, 0, "never");
}

static void integers_are_read_as_python_reads_them(void **state)
{
    static const char *const good[] = { "7", " 7 ", "+7", "007", "0_7", "\t7\n" };
    static const char *const bad[] = {
        "", " ", "x", "7x", "7 8", "7.0", "7e0", "0x7", "_7", "7_", "0__7", "--7", "- 7", "-7", "9",
        "99999999999", "9223372036854775808", "99999999999999999999999", "7; DROP TABLE auth_user",
        "7' OR '1'='1", "\xff", "\xef\xbc\x97", "NULL", "true",
    };
    users_state_t *s = *state;
    djs_users_t *users = standard(s);
    apr_size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_text(must_find(s, users, good[i])->id, "7", good[i]);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        must_not_find(s, users, bad[i]);
    }
}

static void names_are_found_as_the_database_compares_them(void **state)
{
    users_state_t *s = *state;
    djs_users_t *users = standard(s);
    int mysql = strcmp(s->which->name, "mysql") == 0;
    djs_user_t *user;

    assert_status(s->test.ctx, users->ops->find_by_name(users, s->test.ctx, "Grace", &user),
                  APR_SUCCESS, "exactly");
    assert_text(user->id, "8", "Grace");
    assert_status(s->test.ctx, users->ops->find_by_name(users, s->test.ctx, "grace", &user),
                  mysql ? APR_SUCCESS : APR_NOTFOUND, "another case: by collation, as Django");
    assert_status(s->test.ctx, users->ops->find_by_name(users, s->test.ctx, "", &user), APR_NOTFOUND,
                  "no name");
    assert_status(s->test.ctx, users->ops->find_by_name(users, s->test.ctx, "\xff\xfe", &user),
                  APR_NOTFOUND, "no UTF-8");
    assert_status(s->test.ctx,
                  users->ops->find_by_name(users, s->test.ctx, "' OR '1'='1", &user), APR_NOTFOUND,
                  "no SQL");
    assert_status(s->test.ctx,
                  users->ops->find_by_name(users, s->test.ctx,
                                           apr_psprintf(s->test.pool, "ada%300d", 0), &user),
                  APR_NOTFOUND, "longer than the column");
}

static void a_uuid_is_found_in_its_usual_forms(void **state)
{
    users_state_t *s = *state;
    djs_users_t *users = open_users(s, "people_person", "login", "id");
    djs_user_t *user = must_find(s, users, "6f2f7a4e-3b1c-4d5e-8f90-a1b2c3d4e5f6");

    assert_text(user->id, "6f2f7a4e-3b1c-4d5e-8f90-a1b2c3d4e5f6", "as str() writes it");
    assert_text(user->username, "jo", "login");
    assert_text(must_find(s, users, "6F2F7A4E3B1C4D5E8F90A1B2C3D4E5F6")->username, "jo", "no dashes");
    must_not_find(s, users, "6f2f7a4e-3b1c-4d5e-8f90-a1b2c3d4e5f7");
    must_not_find(s, users, "6f2f7a4e-3b1c-4d5e-8f90-a1b2c3d4e5");
    must_not_find(s, users, "6f2f7a4e-3b1c-4d5e-8f90-a1b2c3d4e5f6 ");
    must_not_find(s, users, "7");
    must_not_find(s, users, "");
}

static void columns_that_a_model_lacks_do_no_harm(void **state)
{
    users_state_t *s = *state;
    djs_users_t *users = open_users(s, "people_person", "login", "id");
    djs_user_t *user = must_find(s, users, "6f2f7a4e-3b1c-4d5e-8f90-a1b2c3d4e5f6");

    assert_text(user->email, "", "no such column");
    assert_text(user->name, "", "no such columns");
    assert_text(user->password, "secret of jo", "password");
    assert_number(user->is_active, 1, "without the column everybody is active");
    assert_number(user->is_staff, 0, "nobody is staff");
    assert_number(user->is_superuser, 0, "nobody is superuser");
}

static void a_text_key_is_compared_exactly(void **state)
{
    users_state_t *s = *state;
    djs_users_t *users = open_users(s, "people_member", "number", "number");

    assert_text(must_find(s, users, "A-1")->username, "A-1", "key and login name are one column");
    assert_number(must_find(s, users, "A-1")->is_active, 0, "the column is there");
    must_not_find(s, users, "a-1");
    must_not_find(s, users, "A-1 ");
    must_not_find(s, users, "\xc3\x81-1");
}

static void the_last_login_is_written_alone(void **state)
{
    users_state_t *s = *state;
    djs_users_t *users = open_users(s, "people_member", "number", "number");
    djs_user_t *user;

    s->test.ctx->now = TEST_NOW + 123456;
    assert_status(s->test.ctx, users->ops->set_last_login(users, s->test.ctx, "A-1"), APR_SUCCESS,
                  "set");
    user = must_find(s, users, "A-1");
    assert_number(user->last_login, TEST_NOW + 123456, "now");
    assert_text(user->password, "secret of A-1", "the rest is as it was");
    assert_status(s->test.ctx, users->ops->set_last_login(users, s->test.ctx, "nobody"), APR_SUCCESS,
                  "nobody has none");
}

static void a_password_is_changed_only_from_what_was_seen(void **state)
{
    static const struct {
        const char *id, *seen, *encoded;
        apr_status_t rv;
        const char *why;
    } steps[] = {
        { "A-1", "secret of A-1", "md5$a$New", APR_SUCCESS, "it was this" },
        { "A-1", "secret of A-1", "md5$a$Newer", DJS_ECONFLICT, "no more" },
        { "A-1", "MD5$a$new", "md5$a$Newer", DJS_ECONFLICT, "in another case it is another" },
        { "A-1", "md5$a$New ", "md5$a$Newer", DJS_ECONFLICT, "with a blank, too" },
        { "A-1", "md5$a$New", "md5$a$New", APR_SUCCESS, "nothing to change" },
        { "A-1", "of old", "md5$a$New", APR_SUCCESS, "somebody has done it already" },
        { "nobody", "md5$a$New", "md5$a$Newer", APR_NOTFOUND, "not in the table" },
        { "A-1", "md5$a$New", "secret of A-1", APR_SUCCESS, "back" },
    };
    users_state_t *s = *state;
    djs_users_t *users = open_users(s, "people_member", "number", "number");
    djs_user_t before = *must_find(s, users, "A-1");
    apr_size_t i;

    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        assert_status(s->test.ctx,
                      users->ops->set_password(users, s->test.ctx, steps[i].id, steps[i].seen,
                                               steps[i].encoded),
                      steps[i].rv, steps[i].why);
        assert_null(s->test.ctx->problem);
    }
    assert_text(must_find(s, users, "A-1")->password, "secret of A-1", "at last");
    assert_number(must_find(s, users, "A-1")->last_login, before.last_login, "nothing else changed");
    assert_number(must_find(s, users, "A-1")->is_active, before.is_active, "nothing else changed");
    users = standard(s);
    assert_status(s->test.ctx, users->ops->set_password(users, s->test.ctx, "x", "", "y"),
                  APR_NOTFOUND, "no key of the column's type");
    users = open_users(s, "auth_group", "name", "id");
    assert_status(s->test.ctx, users->ops->set_password(users, s->test.ctx, "1", "", "y"),
                  DJS_ESTORE, "no such column");
    assert_non_null(strstr(s->test.ctx->problem, "\"password\""));
}

/* A stone lies where the user was remembered. */
static int is_dropped(const users_state_t *s, const memory_cache_t *memory)
{
    apr_int64_t life;
    djs_bytes_t value = memory_cache_get(memory, "u1:scope:A-1", s->test.ctx->now, &life);

    return life > 0 && value.len == 0;
}

static void what_is_remembered_of_a_user_is_dropped_by_a_change(void **state)
{
    users_state_t *s = *state;
    djs_users_t *users = open_users(s, "people_member", "number", "number");
    memory_cache_t *memory = memory_cache_make(s->test.pool);

    users->shared = djs_users_cache_make(s->test.pool, &memory->cache);
    users->scope = "scope";
    (void)must_find(s, users, "A-1");
    assert_false(is_dropped(s, memory));
    assert_status(s->test.ctx, users->ops->set_last_login(users, s->test.ctx, "A-1"), APR_SUCCESS,
                  "last login");
    assert_true(is_dropped(s, memory));
    memory_cache_put(memory, "u1:scope:A-1", s->test.ctx->now, NULL);
    assert_status(s->test.ctx,
                  users->ops->set_password(users, s->test.ctx, "A-1", "secret of A-1",
                                           "secret of A-1"), APR_SUCCESS, "password");
    assert_true(is_dropped(s, memory));
}

static void a_table_or_column_that_is_not_there_is_an_error_with_its_name(void **state)
{
    users_state_t *s = *state;
    djs_users_t *no_table = open_users(s, "no_such_table", "username", "id");
    djs_users_t *no_column = open_users(s, "auth_user", "nickname", "id");
    djs_user_t *user;

    assert_status(s->test.ctx, no_table->ops->find_by_id(no_table, s->test.ctx, "7", &user),
                  DJS_ESTORE, "no table");
    assert_non_null(strstr(s->test.ctx->problem, "no_such_table"));
    s->test.ctx->problem = NULL;
    assert_status(s->test.ctx, no_column->ops->find_by_id(no_column, s->test.ctx, "7", &user),
                  DJS_ESTORE, "no column");
    assert_non_null(strstr(s->test.ctx->problem, "nickname"));
    assert_non_null(strstr(s->test.ctx->problem, "DjangoUsernameField"));
}

static int good_news, bad_news;
static char last_news[300];

static void note_said(void *baton, int ok, const char *what)
{
    (void)baton;
    assert_non_null(what);
    apr_cpystrn(last_news, what, sizeof(last_news));
    good_news += ok;
    bad_news += !ok;
}

static void a_check_tells_good_tables_from_bad(void **state)
{
    users_state_t *s = *state;
    djs_users_t *good = standard(s);
    djs_users_t *bad = open_users(s, "no_such_table", "username", "id");

    good_news = bad_news = 0;
    assert_status(s->test.ctx, good->ops->check(good, s->test.ctx, note_said, NULL), APR_SUCCESS,
                  "good");
    assert_text(last_news, "table \"auth_user\" can be read, with groups and permissions", "said");
    assert_status(s->test.ctx, bad->ops->check(bad, s->test.ctx, note_said, NULL), DJS_ESTORE, "bad");
    assert_number(good_news, 1, "one line");
    assert_number(bad_news, 1, "one line");
}

static void a_check_tells_what_is_known_of_groups(void **state)
{
    static const struct {
        const char *table, *username, *id, *said;
    } cases[] = {
        { "people_person", "login", "id", "; it has no groups and permissions beside it; it has no "
                                          "is_active: all users are" },
        { "people_member", "number", "number", ", with groups and permissions" },
        { "customers_of_a_shop_with_a_long_name_that_few_would_choose", "username", "id",
          ", with groups and permissions; it has no is_active: all users are" },
        { "odd_check", "username", "id", "; but cannot read the groups in table \"odd_check_groups\"" },
    };
    users_state_t *s = *state;
    apr_size_t i;

    test_database_sql(s->which, "CREATE TABLE odd_check (id integer NOT NULL PRIMARY KEY, "
                                "username varchar(20) NOT NULL)");
    test_database_sql(s->which, "CREATE TABLE odd_check_groups (odd_id integer NOT NULL)");
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_users_t *users = open_users(s, cases[i].table, cases[i].username, cases[i].id);

        assert_status(s->test.ctx, users->ops->check(users, s->test.ctx, note_said, NULL),
                      APR_SUCCESS, cases[i].table);
        if (strstr(last_news, apr_psprintf(s->test.pool, "table \"%s\" can be read%s",
                                           cases[i].table, cases[i].said)) != last_news) {
            fail_msg("%s: %s", cases[i].table, last_news);
        }
    }
    assert_null(s->test.ctx->problem);
    test_database_sql(s->which, "DROP TABLE odd_check_groups");
    test_database_sql(s->which, "DROP TABLE odd_check");
}

/* ---- A table that changes while we run ------------------------------------------------------- */

static void a_migration_while_we_run_is_followed(void **state)
{
    users_state_t *s = *state;
    djs_users_t *users = open_users(s, "changing", "name", "id");

    test_database_sql(s->which, "CREATE TABLE changing (id integer NOT NULL PRIMARY KEY, "
                                "name varchar(20) NOT NULL, password varchar(20) NOT NULL, "
                                "email varchar(20) NOT NULL)");
    test_database_sql(s->which, "INSERT INTO changing VALUES (1, 'eve', 'pw', 'e@x')");
    assert_text(must_find(s, users, "1")->email, "e@x", "at first there is a column");
    assert_number(must_find(s, users, "1")->is_active, 1, "and no is_active");
    test_database_sql(s->which, "ALTER TABLE changing DROP COLUMN email");
    assert_text(must_find(s, users, "1")->email, "", "then there is none, at once");
    test_database_sql(s->which,
                      "ALTER TABLE changing ADD COLUMN is_active smallint NOT NULL DEFAULT 0");
    s->test.ctx->now += apr_time_from_sec(61);
    assert_number(must_find(s, users, "1")->is_active, 0, "and a new one, within a minute");
    test_database_sql(s->which, "DROP TABLE changing");
}

/* ---- On each database ------------------------------------------------------------------------ */

static int setup(void **state)
{
    const test_database_t *which = *state;
    users_state_t *s;
    void *made;

    test_setup(&made);
    s = apr_pcalloc(((test_t *)made)->pool, sizeof(*s));
    s->test = *(test_t *)made;
    s->which = which;
    s->database = test_database_open(&s->test, which);
    *state = s;
    return 0;
}

static const database_row_t rows[] = {
    ON_EACH_DATABASE(all_of_a_user_is_read),
    ON_EACH_DATABASE(a_user_is_found_by_one_statement),
    ON_EACH_DATABASE(what_is_empty_or_null_is_read_as_such),
    ON_EACH_DATABASE(integers_are_read_as_python_reads_them),
    ON_EACH_DATABASE(names_are_found_as_the_database_compares_them),
    ON_EACH_DATABASE(a_uuid_is_found_in_its_usual_forms),
    ON_EACH_DATABASE(columns_that_a_model_lacks_do_no_harm),
    ON_EACH_DATABASE(a_text_key_is_compared_exactly),
    ON_EACH_DATABASE(the_last_login_is_written_alone),
    ON_EACH_DATABASE(a_password_is_changed_only_from_what_was_seen),
    ON_EACH_DATABASE(what_is_remembered_of_a_user_is_dropped_by_a_change),
    ON_EACH_DATABASE(a_table_or_column_that_is_not_there_is_an_error_with_its_name),
    ON_EACH_DATABASE(a_check_tells_good_tables_from_bad),
    ON_EACH_DATABASE(a_check_tells_what_is_known_of_groups),
    ON_EACH_DATABASE(a_migration_while_we_run_is_followed),
};

int main(void)
{
    static struct CMUnitTest tests[TEST_DATABASES * sizeof(rows) / sizeof(rows[0])];
    size_t count = test_on_databases(tests, 0, rows, sizeof(rows) / sizeof(rows[0]), setup);
    int failed = test_run("users_db", tests, count);

    test_databases_end();
    return failed;
}
