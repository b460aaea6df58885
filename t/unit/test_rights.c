/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups and permissions in tables that Django made (django_tables), of models with keys of each kind;
 * what Django says of the same users is in the vectors. On each database.
 */
#include "databases.h"

#include <string.h>

#include "rights.h"
#include "stores.h"

#define UUID "6f2f7a4e-3b1c-4d5e-8f90-a1b2c3d4e5f6"
#define LONG_TABLE "customers_of_a_shop_with_a_long_name_that_few_would_choose"

typedef struct rights_state_t {
    test_t test;
    const test_database_t *which;
    djs_settings_t *settings; /* of the site */
    djs_site_t site;
} rights_state_t;

/* A site whose user model has this table. */
static const djs_site_t *site_of(rights_state_t *s, const char *table, const char *username,
                                 const char *id)
{
    s->settings = apr_pcalloc(s->test.pool, sizeof(*s->settings));
    s->settings->user_table = table;
    s->settings->username_field = username;
    s->settings->user_id_field = id;
    s->site.settings = s->settings;
    assert_status(s->test.ctx,
                  djs_users_db_open(s->test.ctx, s->test.pool, s->settings, NULL,
                                    test_database_open(&s->test, s->which), &s->site.users),
                  APR_SUCCESS, table);
    return &s->site;
}

/* Whether groups are told to applications decides how they are read, not what they are. */
static void tell_groups(rights_state_t *s, int on)
{
    djs_export_conf_t *conf = apr_pcalloc(s->test.pool, sizeof(*conf));

    conf->on = on;
    s->settings->env = conf;
}

static djs_user_t *find(rights_state_t *s, const char *id)
{
    djs_user_t *user = NULL;

    assert_status(s->test.ctx, djs_rights_find_user(s->test.ctx, &s->site, id, &user), APR_SUCCESS,
                  id);
    return user;
}

static const char *joined(apr_pool_t *pool, const apr_array_header_t *names)
{
    return apr_array_pstrcat(pool, names, '|');
}

static const char *json_joined(apr_pool_t *pool, const json_t *names)
{
    apr_array_header_t *texts = apr_array_make(pool, 4, sizeof(const char *));
    size_t i;

    for (i = 0; i < json_array_size(names); i++) {
        APR_ARRAY_PUSH(texts, const char *) = json_string_value(json_array_get(names, i));
    }
    return joined(pool, texts);
}

static const char *groups_of(rights_state_t *s, djs_user_t *user)
{
    const apr_array_header_t *names;

    assert_status(s->test.ctx, djs_rights_groups(s->test.ctx, &s->site, user, &names), APR_SUCCESS,
                  user->id);
    return joined(s->test.pool, names);
}

static const char *permissions_of(rights_state_t *s, djs_user_t *user)
{
    const apr_array_header_t *names;

    assert_status(s->test.ctx, djs_rights_permissions(s->test.ctx, &s->site, user, &names),
                  APR_SUCCESS, user->id);
    return joined(s->test.pool, names);
}

static int has_perm(rights_state_t *s, djs_user_t *user, const char *name)
{
    int has = -1;

    assert_status(s->test.ctx, djs_rights_has_perm(s->test.ctx, &s->site, user, name, &has),
                  APR_SUCCESS, name);
    return has;
}

/* --- the vectors --- */

/* Of superusers Django names all that exist, of inactive ones nothing. */
static void check_lists(rights_state_t *s, const json_t *a_case, djs_user_t *user)
{
    const char *id = vector_need(a_case, "id");

    assert_text(groups_of(s, user), json_joined(s->test.pool, json_object_get(a_case, "groups")), id);
    if (user->is_active && !user->is_superuser) {
        assert_text(permissions_of(s, user),
                    json_joined(s->test.pool, json_object_get(a_case, "get_all_permissions")), id);
    }
}

static void check_user(rights_state_t *s, const json_t *a_case)
{
    const char *id = apr_ltoa(s->test.pool, (long)json_integer_value(json_object_get(a_case,
                                                                                    "user_id")));
    djs_user_t *user = find(s, id);
    const char *name;
    json_t *has;

    assert_int_equal(user->is_active, json_is_true(json_object_get(a_case, "is_active")));
    assert_int_equal(user->is_superuser, json_is_true(json_object_get(a_case, "is_superuser")));
    check_lists(s, a_case, user);
    json_object_foreach(json_object_get(a_case, "has_perm"), name, has) {
        assert_int_equal(has_perm(s, user, name), json_is_true(has));
    }
}

static void rights_are_what_django_says(void **state)
{
    rights_state_t *s = *state;
    const json_t *cases = test_vectors(s->test.pool, "permissions.json", 11);
    size_t i, users = 0;
    int told;

    (void)site_of(s, "people_clerk", "email", "id");
    for (told = 0; told <= 1; told++) {
        tell_groups(s, told);
        for (i = 0; i < json_array_size(cases); i++) {
            const json_t *a_case = json_array_get(cases, i);

            if (json_object_get(a_case, "user_id") != NULL) {
                check_user(s, a_case);
                users++;
            }
            vector_done(a_case); /* the others are the tables, which django_tables made */
        }
    }
    assert_int_equal(users, 20);
}

/* --- models of all kinds --- */

static void keys_of_any_type_lead_to_groups_and_permissions(void **state)
{
    static const struct {
        const char *table, *username, *id, *user;
    } models[] = {
        { "people_member", "number", "number", "A-1" },
        { LONG_TABLE, "username", "id", UUID },
    };
    rights_state_t *s = *state;
    apr_size_t i;
    int told;

    for (i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        (void)site_of(s, models[i].table, models[i].username, models[i].id);
        for (told = 0; told <= 1; told++) {
            djs_user_t *user;

            tell_groups(s, told);
            user = find(s, models[i].user);
            assert_text(groups_of(s, user), "shared group 0 \xc3\xa9", models[i].table);
            assert_text(permissions_of(s, user),
                        "shop.change_thing|shop.dotted.code|shop.view_thing|shop.\xc3\xa9_perm",
                        models[i].table);
        }
    }
}

static void a_model_without_groups_has_none(void **state)
{
    rights_state_t *s = *state;
    djs_user_t *user;
    int told;

    (void)site_of(s, "people_person", "login", "id");
    for (told = 0; told <= 1; told++) {
        tell_groups(s, told);
        user = find(s, UUID);
        assert_text(groups_of(s, user), "", "no table of groups");
        assert_int_equal(user->lacks_groups, 0);
        assert_text(permissions_of(s, user), "", "nor of permissions");
        assert_int_equal(has_perm(s, user, "shop.view_thing"), 0);
    }
}

static void names_are_compared_exactly(void **state)
{
    static const struct {
        const char *name;
        int is_in;
    } cases[] = {
        { "shared group 1 \xc3\xa9", 1 },
        { "shared group 1 e", 0 }, { "Shared group 1 \xc3\xa9", 0 }, { "shared group 1 \xc3\xa9 ", 0 },
        { "shared group 0 \xc3\xa9", 0 }, { "", 0 }, { "shared", 0 }, { "%", 0 }, { "\xff", 0 },
    };
    rights_state_t *s = *state;
    djs_user_t *user;
    apr_size_t i;
    int is_in;

    (void)site_of(s, "people_clerk", "email", "id");
    user = find(s, "6");
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_status(s->test.ctx,
                      djs_rights_in_group(s->test.ctx, &s->site, user, cases[i].name, &is_in),
                      APR_SUCCESS, cases[i].name);
        assert_int_equal(is_in, cases[i].is_in);
    }
    assert_int_equal(has_perm(s, user, "shop.view_thing"), 1);
    assert_int_equal(has_perm(s, user, "Shop.view_thing"), 0);
    assert_int_equal(has_perm(s, user, "shop.view_thing "), 0);
}

/* --- what cannot be read --- */

static int warnings;

static void count_warning(void *baton, const char *line)
{
    (void)baton;
    assert_non_null(strstr(line, "groups"));
    warnings++;
}

/* A model's table with the pairs, but a column of theirs is not what it is called. */
static void make_unreadable(const test_database_t *which)
{
    test_database_sql(which, "CREATE TABLE odd (id integer NOT NULL PRIMARY KEY, "
                             "username varchar(20) NOT NULL, password varchar(20) NOT NULL)");
    test_database_sql(which, "INSERT INTO odd VALUES (1, 'eve', 'pw')");
    test_database_sql(which, "CREATE TABLE odd_groups (id integer NOT NULL PRIMARY KEY, "
                             "odd_id integer NOT NULL, group_no integer NOT NULL)");
}

static void a_user_whose_groups_cannot_be_read_is_found_and_asking_for_them_fails(void **state)
{
    static const djs_host_t host = { .warn = count_warning };
    rights_state_t *s = *state;
    const apr_array_header_t *names;
    djs_user_t *user;
    int is_in = 1, has = 1;

    make_unreadable(s->which);
    (void)site_of(s, "odd", "username", "id");
    tell_groups(s, 1);
    warnings = 0;
    s->test.ctx->host = &host;
    user = find(s, "1");
    assert_text(user->username, "eve", "found");
    assert_int_equal(user->lacks_groups, 1);
    assert_null(s->test.ctx->problem);
    assert_int_equal(warnings, 1);
    assert_int_equal(find(s, "1")->lacks_groups, 1);
    assert_int_equal(warnings, 1); /* they are not tried again for a while */
    assert_status(s->test.ctx, djs_rights_groups(s->test.ctx, &s->site, user, &names), DJS_ESTORE,
                  "groups");
    assert_non_null(strstr(s->test.ctx->problem, "odd_groups"));
    assert_status(s->test.ctx, djs_rights_in_group(s->test.ctx, &s->site, user, "x", &is_in),
                  DJS_ESTORE, "in a group");
    assert_int_equal(is_in, 0);
    assert_status(s->test.ctx, djs_rights_has_perm(s->test.ctx, &s->site, user, "a.b", &has),
                  DJS_ESTORE, "permissions by groups");
    assert_int_equal(has, 0);
    djs_forget(s->test.ctx);
    test_database_sql(s->which, "DROP TABLE odd_groups");
    s->test.ctx->now += apr_time_from_sec(61);
    user = find(s, "1");
    assert_int_equal(user->lacks_groups, 0); /* tried again: by now there are none */
    assert_text(groups_of(s, user), "", "none");
    test_database_sql(s->which, "DROP TABLE odd");
}

/* --- on each database --- */

static int setup(void **state)
{
    const test_database_t *which = *state;
    rights_state_t *s;
    void *made;

    test_setup(&made);
    s = apr_pcalloc(((test_t *)made)->pool, sizeof(*s));
    s->test = *(test_t *)made;
    s->which = which;
    *state = s;
    return 0;
}

static const database_row_t rows[] = {
    ON_EACH_DATABASE(rights_are_what_django_says),
    ON_EACH_DATABASE(keys_of_any_type_lead_to_groups_and_permissions),
    ON_EACH_DATABASE(a_model_without_groups_has_none),
    ON_EACH_DATABASE(names_are_compared_exactly),
    ON_EACH_DATABASE(a_user_whose_groups_cannot_be_read_is_found_and_asking_for_them_fails),
};

int main(void)
{
    static struct CMUnitTest tests[TEST_DATABASES * sizeof(rows) / sizeof(rows[0])];
    size_t count = test_on_databases(tests, 0, rows, sizeof(rows) / sizeof(rows[0]), setup);
    int failed = test_run("rights", tests, count);

    test_databases_end();
    return failed;
}
