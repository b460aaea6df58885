/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered of users: one question to their table serves many requests, for so long and no
 * longer, and nobody is kept out by it.
 */
#include "support.h"

#include <string.h>

#include "memory_cache.h"
#include "memory_engine.h"
#include "password.h"
#include "remember.h"
#include "rights.h"
#include "users_cache.h"

#define KEY "abcdefghijklmnopqrstuvwxyz012345"
#define LATER (TEST_NOW + apr_time_from_sec(100000))
#define MINUTE apr_time_from_sec(60)

#define FIRST_PASSWORD  "pbkdf2_sha256$1$salt$first-of-the-passwords"
#define SECOND_PASSWORD "pbkdf2_sha256$1$salt$second-of-the-passwords"

/* --- a table with one user, that counts what it is asked --- */

typedef struct scene_t {
    djs_users_t users;
    djs_user_t row;
    apr_array_header_t *groups, *permissions;
    int gone, down;
    int finds, lists;
    memory_cache_t *memory;
    memory_site_t *site;
    void (*before_answer)(struct scene_t *scene, djs_ctx_t *ctx); /* NULL: nothing happens then */
} scene_t;

static apr_status_t find(scene_t *scene, djs_ctx_t *ctx, const char *id, int with_groups,
                         djs_user_t **user)
{
    djs_user_t *found = apr_pmemdup(ctx->pool, &scene->row, sizeof(*found));

    scene->finds++;
    if (scene->down) {
        return djs_fail(ctx, DJS_ESTORE, "the users are down");
    }
    if (scene->gone || strcmp(id, found->id) != 0) {
        return APR_NOTFOUND;
    }
    if (with_groups && !found->lacks_groups) {
        found->groups = scene->groups;
    }
    if (scene->before_answer != NULL) {
        scene->before_answer(scene, ctx);
    }
    *user = found;
    return APR_SUCCESS;
}

static apr_status_t find_by_id(djs_users_t *users, djs_ctx_t *ctx, const char *id, djs_user_t **user)
{
    return find(users->data, ctx, id, 0, user);
}

static apr_status_t find_with_groups(djs_users_t *users, djs_ctx_t *ctx, const char *id,
                                     djs_user_t **user)
{
    return find(users->data, ctx, id, 1, user);
}

static apr_status_t groups(djs_users_t *users, djs_ctx_t *ctx, const char *id,
                           apr_array_header_t **names)
{
    scene_t *scene = users->data;

    (void)ctx;
    (void)id;
    scene->lists++;
    *names = scene->groups;
    return APR_SUCCESS;
}

static apr_status_t permissions(djs_users_t *users, djs_ctx_t *ctx, const char *id,
                                apr_array_header_t **names)
{
    scene_t *scene = users->data;

    (void)ctx;
    (void)id;
    scene->lists++;
    *names = scene->permissions;
    return APR_SUCCESS;
}

static const djs_users_ops_t ops = { .find_by_id = find_by_id, .find_with_groups = find_with_groups,
                                     .groups = groups, .permissions = permissions };

static apr_array_header_t *two(apr_pool_t *pool, const char *a, const char *b)
{
    apr_array_header_t *names = apr_array_make(pool, 2, sizeof(const char *));

    APR_ARRAY_PUSH(names, const char *) = a;
    APR_ARRAY_PUSH(names, const char *) = b;
    return names;
}

static const djs_keyring_t *two_keys(apr_pool_t *pool)
{
    static const djs_bytes_t old = { "old", 3 };

    return djs_keyring_make(pool, djs_bytes("secret"), &old, 1);
}

static scene_t *scene_make(test_t *test, int tells_groups)
{
    scene_t *scene = apr_pcalloc(test->pool, sizeof(*scene));
    djs_export_conf_t *conf = apr_pcalloc(test->pool, sizeof(*conf));

    scene->row = (djs_user_t){ .id = "7", .username = "ada", .email = "a@b.example",
                               .name = "Ada \xc3\x89", .password = FIRST_PASSWORD, .is_active = 1,
                               .is_staff = 1, .last_login = TEST_NOW - MINUTE };
    scene->groups = two(test->pool, "writers", "editors");
    scene->permissions = two(test->pool, "a.b", "a.b");
    scene->users.ops = &ops;
    scene->users.data = scene;
    scene->memory = memory_cache_make(test->pool);
    scene->users.shared = djs_users_cache_make(test->pool, &scene->memory->cache);
    scene->site = memory_site_make_with(test->pool, two_keys(test->pool));
    scene->users.scope = djs_remember_scope(test->pool, scene->site->site.keys, "auth_user");
    scene->site->site.users = &scene->users;
    scene->site->settings.user_cache = 10 * MINUTE;
    conf->on = tells_groups;
    scene->site->settings.env = scene->site->settings.header = conf;
    return scene;
}

/* A session of this user under KEY, as Django makes it with this password. */
static void log_in(test_t *test, scene_t *scene, const char *password, const char *secret)
{
    memory_site_put(test->ctx, scene->site, KEY,
                    apr_psprintf(test->pool, "{\"_auth_user_id\":\"7\",\"_auth_user_backend\":\""
                                 DJS_MODEL_BACKEND "\",\"_auth_user_hash\":\"%s\"}",
                                 djs_password_session_hash(test->pool, DJS_HMAC_SHA256,
                                                           djs_bytes(secret), password)),
                    LATER);
}

/* A request: who is it? The reason when nobody. */
static const char *ask(test_t *test, scene_t *scene, djs_user_t **user)
{
    djs_session_t *session = memory_site_session(test->ctx, scene->site, KEY);
    djs_reason_t reason;

    assert_status(test->ctx, djs_auth_user(test->ctx, &scene->site->site, session, user, &reason),
                  APR_SUCCESS, "who is it");
    assert_true((*user == NULL) == (reason != DJS_REASON_NONE));
    assert_null(test->ctx->problem);
    return *user != NULL ? (*user)->username : djs_reason_name(reason);
}

static const char *asked(test_t *test, scene_t *scene)
{
    djs_user_t *user;

    return ask(test, scene, &user);
}

/* --- what is saved --- */

static void a_user_is_read_once_for_many_requests(void **state)
{
    test_t *test = *state;
    int told;

    for (told = 0; told <= 1; told++) {
        scene_t *scene = scene_make(test, told);
        djs_user_t *user;
        int i;

        log_in(test, scene, FIRST_PASSWORD, "secret");
        for (i = 0; i < 5; i++) {
            assert_text(ask(test, scene, &user), "ada", "who");
            assert_number(scene->finds, 1, "statements");
            assert_text(user->id, "7", "id");
            assert_text(user->email, "a@b.example", "email");
            assert_text(user->name, "Ada \xc3\x89", "name");
            assert_number(user->is_active, 1, "active");
            assert_number(user->is_staff, 1, "staff");
            assert_number(user->is_superuser, 0, "superuser");
            assert_number(user->last_login, TEST_NOW - MINUTE, "last login");
            assert_true((user->groups != NULL) == told);
            if (told) {
                assert_text(apr_array_pstrcat(test->pool, user->groups, '|'), "editors|writers",
                            "groups");
            }
        }
    }
}

static void names_are_read_once_for_many_requests(void **state)
{
    test_t *test = *state;
    scene_t *scene = scene_make(test, 0);
    const apr_array_header_t *names;
    djs_user_t *user;
    int i, has;

    log_in(test, scene, FIRST_PASSWORD, "secret");
    for (i = 0; i < 3; i++) {
        assert_text(ask(test, scene, &user), "ada", "who");
        assert_status(test->ctx, djs_rights_groups(test->ctx, &scene->site->site, user, &names),
                      APR_SUCCESS, "groups");
        assert_text(apr_array_pstrcat(test->pool, names, '|'), "editors|writers", "groups");
        assert_status(test->ctx,
                      djs_rights_has_perm(test->ctx, &scene->site->site, user, "a.b", &has),
                      APR_SUCCESS, "permission");
        assert_number(has, 1, "permission");
        assert_number(scene->lists, 2, "one for each list");
    }
    test->ctx->now += 10 * MINUTE;
    assert_text(ask(test, scene, &user), "ada", "who");
    assert_status(test->ctx, djs_rights_groups(test->ctx, &scene->site->site, user, &names),
                  APR_SUCCESS, "groups");
    assert_number(scene->lists, 3, "its time is over");
}

static void a_fallback_key_counts_and_leads_to_the_new_hash(void **state)
{
    test_t *test = *state;
    scene_t *scene = scene_make(test, 0);
    djs_session_t *session;
    djs_reason_t reason;
    djs_user_t *user;

    log_in(test, scene, FIRST_PASSWORD, "secret");
    assert_text(asked(test, scene), "ada", "is read");
    log_in(test, scene, FIRST_PASSWORD, "old");
    session = memory_site_session(test->ctx, scene->site, KEY);
    assert_status(test->ctx, djs_auth_user(test->ctx, &scene->site->site, session, &user, &reason),
                  APR_SUCCESS, "by the old key");
    assert_number(scene->finds, 1, "it is remembered with each key");
    assert_true(djs_session_modified(session));
    assert_true(djs_bytes_is(djs_value_str(djs_session_get(test->ctx, session,
                                                           djs_bytes("_auth_user_hash"))),
                             djs_password_session_hash(test->pool, DJS_HMAC_SHA256,
                                                       djs_bytes("secret"), FIRST_PASSWORD)));
}

/* --- the bound --- */

static void a_change_in_the_table_holds_when_the_time_is_over(void **state)
{
    static const struct {
        apr_interval_time_t after;
        const char *who;
        const char *why;
    } steps[] = {
        { 0, "ada", "remembered" },
        { 10 * MINUTE - 1, "ada", "the last moment" },
        { 10 * MINUTE, "user-inactive", "the bound" },
        { 11 * MINUTE, "user-inactive", "and then" },
    };
    test_t *test = *state;
    scene_t *scene = scene_make(test, 0);
    apr_size_t i;

    log_in(test, scene, FIRST_PASSWORD, "secret");
    assert_text(asked(test, scene), "ada", "is read");
    scene->row.is_active = 0;
    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        test->ctx->now = TEST_NOW + steps[i].after;
        assert_text(asked(test, scene), steps[i].who, steps[i].why);
    }
    scene->row.is_active = 1;
    assert_text(asked(test, scene), "ada", "who is remembered as inactive is looked for");
    scene->gone = 1;
    assert_text(asked(test, scene), "ada", "again for so long");
    test->ctx->now += 10 * MINUTE;
    assert_text(asked(test, scene), "user-unknown", "and no longer");
}

static void each_section_has_its_own_bound(void **state)
{
    test_t *test = *state;
    scene_t *scene = scene_make(test, 0);

    log_in(test, scene, FIRST_PASSWORD, "secret");
    assert_text(asked(test, scene), "ada", "is read, for ten minutes");
    test->ctx->now += MINUTE;
    scene->site->settings.user_cache = MINUTE;
    assert_text(asked(test, scene), "ada", "here it is too old");
    assert_number(scene->finds, 2, "read again");
    assert_text(asked(test, scene), "ada", "and remembered anew");
    assert_number(scene->finds, 2, "statements");
    scene->site->settings.user_cache = 0;
    assert_text(asked(test, scene), "ada", "here nothing is remembered");
    assert_number(scene->finds, 3, "statements");
    test->ctx->now -= 2 * MINUTE;
    scene->site->settings.user_cache = 10 * MINUTE;
    assert_text(asked(test, scene), "ada", "what comes from the future is not believed");
    assert_number(scene->finds, 4, "statements");
}

static void without_the_directive_nothing_is_kept(void **state)
{
    test_t *test = *state;
    scene_t *scene = scene_make(test, 1);

    scene->site->settings.user_cache = 0;
    log_in(test, scene, FIRST_PASSWORD, "secret");
    assert_text(asked(test, scene), "ada", "who");
    assert_number(apr_hash_count(scene->memory->entries), 0, "entries");
}

/* --- nobody is kept out --- */

static void a_new_password_counts_at_once_and_the_old_one_no_more(void **state)
{
    test_t *test = *state;
    scene_t *scene = scene_make(test, 0);

    log_in(test, scene, FIRST_PASSWORD, "secret");
    assert_text(asked(test, scene), "ada", "is read");
    scene->row.password = SECOND_PASSWORD;
    assert_text(asked(test, scene), "ada", "an old login, for so long");
    log_in(test, scene, SECOND_PASSWORD, "secret");
    assert_text(asked(test, scene), "ada", "the new login");
    assert_number(scene->finds, 2, "the table was asked");
    assert_text(asked(test, scene), "ada", "the new login");
    assert_number(scene->finds, 2, "and is remembered");
    log_in(test, scene, FIRST_PASSWORD, "secret");
    assert_text(asked(test, scene), "password-changed", "the old login, from then on");
}

static void a_login_that_is_too_old_by_what_is_remembered_is_looked_for(void **state)
{
    test_t *test = *state;
    scene_t *scene = scene_make(test, 0);
    djs_user_t *user;
    int is_recent;

    log_in(test, scene, FIRST_PASSWORD, "secret");
    assert_text(asked(test, scene), "ada", "is read");
    assert_text(ask(test, scene, &user), "ada", "is remembered");
    scene->row.last_login = TEST_NOW;
    assert_status(test->ctx,
                  djs_rights_is_recent(test->ctx, &scene->site->site, user, MINUTE / 2, &is_recent),
                  APR_SUCCESS, "by another login");
    assert_number(is_recent, 1, "recent");
    assert_number(scene->finds, 2, "the table was asked");
    scene->row.last_login = 0;
    assert_text(ask(test, scene, &user), "ada", "is remembered");
    assert_status(test->ctx,
                  djs_rights_is_recent(test->ctx, &scene->site->site, user, MINUTE / 2, &is_recent),
                  APR_SUCCESS, "for a yes nobody is asked");
    assert_number(is_recent, 1, "recent");
    assert_number(scene->finds, 2, "statements");
    test->ctx->now += MINUTE;
    scene->down = 1;
    assert_status(test->ctx,
                  djs_rights_is_recent(test->ctx, &scene->site->site, user, MINUTE / 2, &is_recent),
                  DJS_ESTORE, "not known");
    assert_number(is_recent, 0, "not known");
    djs_forget(test->ctx);
}

static void a_memory_that_fails_is_as_none(void **state)
{
    test_t *test = *state;
    scene_t *scene = scene_make(test, 1);

    log_in(test, scene, FIRST_PASSWORD, "secret");
    scene->memory->down = 1;
    assert_text(asked(test, scene), "ada", "who");
    assert_text(asked(test, scene), "ada", "who");
    assert_number(scene->finds, 2, "statements");
}

/* --- what the module changes itself --- */

static void what_was_changed_is_dropped(void **state)
{
    test_t *test = *state;
    scene_t *scene = scene_make(test, 0);

    log_in(test, scene, FIRST_PASSWORD, "secret");
    assert_text(asked(test, scene), "ada", "is read");
    scene->row.is_active = 0;
    djs_remember_drop(test->ctx, &scene->users, "7");
    assert_text(asked(test, scene), "user-inactive", "at once");
}

/* The other process changes the row, and drops it, when this one has read it and not noted it yet. */
static void change_row(scene_t *scene, djs_ctx_t *ctx)
{
    scene->before_answer = NULL;
    scene->row.is_active = 0;
    djs_remember_drop(ctx, &scene->users, "7");
}

static void who_has_read_before_a_change_notes_nothing_after_it(void **state)
{
    test_t *test = *state;
    scene_t *scene = scene_make(test, 0);

    log_in(test, scene, FIRST_PASSWORD, "secret");
    scene->before_answer = change_row;
    assert_text(asked(test, scene), "ada", "read before the change");
    assert_text(asked(test, scene), "user-inactive", "what was read is not remembered");
    scene->row.is_active = 1;
    test->ctx->now += 2 * MINUTE;
    assert_text(asked(test, scene), "ada", "later");
    assert_text(asked(test, scene), "ada", "it is");
    assert_number(scene->finds, 3, "statements");
}

/* --- secrets and strangers --- */

static int holds(const memory_cache_t *memory, const char *text)
{
    apr_hash_index_t *at;
    int found = 0;

    for (at = apr_hash_first(NULL, memory->entries); at != NULL; at = apr_hash_next(at)) {
        apr_int64_t life;
        djs_bytes_t value = memory_cache_get(memory, apr_hash_this_key(at), TEST_NOW, &life);
        apr_size_t i, len = strlen(text);

        for (i = 0; i + len <= value.len; i++) {
            found |= memcmp(value.data + i, text, len) == 0;
        }
        found |= strstr(apr_hash_this_key(at), text) != NULL;
    }
    return found;
}

static void neither_password_nor_keys_are_in_memory(void **state)
{
    test_t *test = *state;
    scene_t *scene = scene_make(test, 1);

    log_in(test, scene, FIRST_PASSWORD, "secret");
    assert_text(asked(test, scene), "ada", "is read");
    assert_number(holds(scene->memory, "ada"), 1, "the user is there");
    assert_number(holds(scene->memory, "first-of"), 0, "the password is not");
    assert_number(holds(scene->memory, "pbkdf2"), 0, "nor how it is hashed");
    assert_number(holds(scene->memory, "secret"), 0, "nor the key");
    assert_number(holds(scene->memory, "auth_user"), 0, "nor the table");
}

static void users_of_other_tables_and_keys_are_not_taken_for_each_other(void **state)
{
    test_t *test = *state;
    apr_pool_t *pool = test->pool;
    const djs_keyring_t *keys = two_keys(pool);
    const char *scopes[4];
    scene_t *scene = scene_make(test, 0);
    int i, j;

    scopes[0] = djs_remember_scope(pool, keys, "auth_user");
    scopes[1] = djs_remember_scope(pool, keys, "people_person");
    scopes[2] = djs_remember_scope(pool, djs_keyring_make(pool, djs_bytes("secret"), NULL, 0),
                                   "auth_user");
    scopes[3] = djs_remember_scope(pool, djs_keyring_make(pool, djs_bytes("other"), NULL, 0),
                                   "auth_user");
    for (i = 0; i < 4; i++) {
        for (j = 0; j < i; j++) {
            assert_string_not_equal(scopes[i], scopes[j]);
        }
    }
    log_in(test, scene, FIRST_PASSWORD, "secret");
    assert_text(asked(test, scene), "ada", "is read");
    scene->users.scope = scopes[1];
    assert_text(asked(test, scene), "ada", "another table's");
    assert_number(scene->finds, 2, "is read, too");
}

static void an_entry_that_is_cut_or_garbled_is_none(void **state)
{
    test_t *test = *state;
    scene_t *scene = scene_make(test, 1);
    const char *key = apr_pstrcat(test->pool, "u1:", scene->users.scope, ":7", NULL);
    djs_bytes_t whole;
    apr_int64_t life;
    apr_size_t len;

    log_in(test, scene, FIRST_PASSWORD, "secret");
    assert_text(asked(test, scene), "ada", "is read");
    whole = djs_bytes_copy(test->pool, memory_cache_get(scene->memory, key, TEST_NOW, &life));
    assert_true(whole.len > 100);
    for (len = 0; len < whole.len; len++) {
        djs_bytes_t part = djs_bytes_copy(test->pool, djs_bytes_of(whole.data, len));

        assert_status(test->ctx, scene->memory->cache.ops->set(&scene->memory->cache, test->ctx, key,
                                                               part, 600), APR_SUCCESS, "put");
        assert_null(djs_remember_find(test->ctx, &scene->site->site, "7"));
    }
    memory_cache_put(scene->memory, key, TEST_NOW, "garbage");
    assert_null(djs_remember_find(test->ctx, &scene->site->site, "7"));
    assert_text(asked(test, scene), "ada", "who");
}

static void ids_in_odd_spellings_are_not_remembered(void **state)
{
    test_t *test = *state;
    scene_t *scene = scene_make(test, 0);
    const char *longest = apr_psprintf(test->pool, "%0201d", 7);

    log_in(test, scene, FIRST_PASSWORD, "secret");
    assert_text(asked(test, scene), "ada", "is read");
    assert_null(djs_remember_find(test->ctx, &scene->site->site, "07"));
    assert_null(djs_remember_find(test->ctx, &scene->site->site, " 7"));
    assert_null(djs_remember_find(test->ctx, &scene->site->site, longest));
    assert_number(apr_hash_count(scene->memory->entries), 1, "entries");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_user_is_read_once_for_many_requests),
        TEST(names_are_read_once_for_many_requests),
        TEST(a_fallback_key_counts_and_leads_to_the_new_hash),
        TEST(a_change_in_the_table_holds_when_the_time_is_over),
        TEST(each_section_has_its_own_bound),
        TEST(without_the_directive_nothing_is_kept),
        TEST(a_new_password_counts_at_once_and_the_old_one_no_more),
        TEST(a_login_that_is_too_old_by_what_is_remembered_is_looked_for),
        TEST(a_memory_that_fails_is_as_none),
        TEST(what_was_changed_is_dropped),
        TEST(who_has_read_before_a_change_notes_nothing_after_it),
        TEST(neither_password_nor_keys_are_in_memory),
        TEST(users_of_other_tables_and_keys_are_not_taken_for_each_other),
        TEST(an_entry_that_is_cut_or_garbled_is_none),
        TEST(ids_in_odd_spellings_are_not_remembered),
    };

    return test_run("remember", tests, sizeof(tests) / sizeof(tests[0]));
}
