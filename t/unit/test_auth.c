/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is logged in, login and logout: what they answer and what they leave of the session.
 */
#include "support.h"

#include <string.h>

#include "auth.h"
#include "json.h"
#include "memory_engine.h"
#include "middleware.h"
#include "password.h"
#include "stores.h"

#define KEY "abcdefghijklmnopqrstuvwxyz012345"
#define LATER (TEST_NOW + apr_time_from_sec(1000))

/*
 * Vectors of the current Django; update_session_auth_hash() is called where a password is changed,
 * which only Django does.
 */
#define GET_USER_CASES   72
#define LOGIN_CASES      22
#define LOGOUT_CASES     3
#define ONLY_DJANGO      2

#define PASSWORD "md5$n9KpYsAL$00000000000000000000000000000000"
#define BACKEND "django.contrib.auth.backends.ModelBackend"

/* --- users: an array of djs_user_t with integer keys, that can be down --- */

typedef struct table_t {
    djs_users_t users;
    apr_array_header_t *rows; /* of djs_user_t */
    int down;
    int finds;
} table_t;

static apr_status_t find_by_id(djs_users_t *users, djs_ctx_t *ctx, const char *id,
                               djs_user_t **user)
{
    table_t *table = users->data;
    const char *number = djs_auth_integer_id(ctx->pool, id);
    int i;

    table->finds++;
    if (table->down) {
        return djs_fail(ctx, DJS_ESTORE, "the users are down");
    }
    for (i = 0; number != NULL && i < table->rows->nelts; i++) {
        *user = &APR_ARRAY_IDX(table->rows, i, djs_user_t);
        if (strcmp((*user)->id, number) == 0) {
            return APR_SUCCESS;
        }
    }
    return APR_NOTFOUND;
}

static const djs_users_ops_t table_ops = { .find_by_id = find_by_id };

static table_t *table_make(apr_pool_t *pool)
{
    table_t *table = apr_pcalloc(pool, sizeof(*table));

    table->users.ops = &table_ops;
    table->users.data = table;
    table->rows = apr_array_make(pool, 4, sizeof(djs_user_t));
    return table;
}

static djs_user_t *table_add(table_t *table, const char *id, const char *name, const char *password,
                             int active)
{
    djs_user_t *user = apr_array_push(table->rows);

    memset(user, 0, sizeof(*user));
    user->id = id;
    user->username = name;
    user->email = user->name = "";
    user->password = password;
    user->is_active = active;
    return user;
}

/* --- the vectors --- */

static const djs_keyring_t *keys_of(apr_pool_t *pool, const json_t *a_case)
{
    const json_t *names = json_object_get(a_case, "fallback_keys");
    djs_bytes_t fallbacks[8];
    size_t i;

    for (i = 0; i < json_array_size(names); i++) {
        assert_true(i < 8);
        fallbacks[i] = djs_bytes(json_string_value(json_array_get(names, i)));
    }
    return djs_keyring_make(pool, djs_bytes(vector_need(a_case, "key")), fallbacks,
                            (int)json_array_size(names));
}

static table_t *users_of(apr_pool_t *pool, const json_t *a_case)
{
    table_t *table = table_make(pool);
    const char *name;
    json_t *row;

    json_object_foreach(json_object_get(a_case, "users"), name, row) {
        table_add(table, apr_ltoa(pool, (long)json_integer_value(json_object_get(row, "id"))), name,
                  vector_need(row, "password"), json_is_true(json_object_get(row, "is_active")));
    }
    return table;
}

static djs_user_t *user_named(table_t *table, const char *name)
{
    int i;

    for (i = 0; i < table->rows->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(table->rows, i, djs_user_t).username, name) == 0) {
            return &APR_ARRAY_IDX(table->rows, i, djs_user_t);
        }
    }
    fail_msg("a vector names the user %s, who is not in its table", name);
    return NULL;
}

static void accept_model_backend(test_t *test, memory_site_t *site)
{
    site->settings.auth_backends = apr_array_make(test->pool, 1, sizeof(const char *));
    APR_ARRAY_PUSH(site->settings.auth_backends, const char *) = DJS_MODEL_BACKEND;
}

/* What was done, and, once it is saved, what came of the key and of the record. */
static void check_after(test_t *test, const json_t *after, memory_site_t *site,
                        djs_session_t *session, const char *why)
{
    const char *key = vector_need(after, "key");

    assert_text(memory_session_json(test->ctx, session), vector_need(after, "session_json"), why);
    assert_number(djs_session_modified(session), json_is_true(json_object_get(after, "modified")),
                  why);
    if (strcmp(key, "same") == 0) {
        assert_text(djs_session_key(session), KEY, why);
    }
    else {
        assert_text(djs_session_key(session), NULL, "until it is saved");
    }
    assert_status(test->ctx, djs_session_settle(test->ctx, session), APR_SUCCESS, why);
    assert_number(djs_session_key(session) != NULL, strcmp(key, "none") != 0, why);
    if (strcmp(key, "new") == 0) {
        assert_string_not_equal(djs_session_key(session), KEY);
        assert_text(memory_site_get(test->ctx, site, djs_session_key(session)),
                    vector_need(after, "session_json"), why);
    }
    assert_number(memory_engine_get(site->memory, KEY) != NULL,
                  json_is_true(json_object_get(after, "old_row_exists")), why);
}

static void check_get_user(test_t *test, const json_t *a_case, memory_site_t *site,
                           djs_session_t *session, const char *why)
{
    const json_t *id = json_object_get(a_case, "user_id");
    djs_reason_t reason;
    djs_user_t *user;

    assert_status(test->ctx, djs_auth_user(test->ctx, &site->site, session, &user, &reason),
                  APR_SUCCESS, why);
    assert_text(user != NULL ? user->id : NULL,
                json_is_integer(id) ? apr_ltoa(test->pool, (long)json_integer_value(id)) : NULL,
                why);
    assert_number(reason != DJS_REASON_NONE, user == NULL, why);
    if (vector_text(a_case, "exception") != NULL) { /* for us no user, and nothing changes */
        assert_number(reason, DJS_REASON_USER_UNKNOWN, why);
        assert_text(memory_session_json(test->ctx, session), vector_need(a_case, "before_json"), why);
        assert_false(djs_session_modified(session));
        return;
    }
    check_after(test, json_object_get(a_case, "after"), site, session, why);
}

static void every_case_of_the_vectors_ends_as_with_django(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "auth_session.json", 101);
    const json_t *a_case;
    int get_user = 0, login = 0, logout = 0, only_django = 0;
    size_t i;

    json_array_foreach(cases, i, a_case) {
        const char *why = vector_name(test->pool, a_case);
        const char *op = vector_need(a_case, "op");
        const char *before = vector_text(a_case, "before_json");
        const char *key = before != NULL ? KEY : NULL;
        memory_site_t *site;
        djs_session_t *session;
        table_t *table;

        if (!vector_is_current(a_case)) {
            vector_left(a_case, VECTOR_OF_ANOTHER_DJANGO);
            continue;
        }
        if (strcmp(op, "update_session_auth_hash") == 0) {
            vector_left(a_case, "passwords are changed by the site, which then renews its session");
            only_django++;
            continue;
        }
        site = memory_site_make_with(test->pool, keys_of(test->pool, a_case));
        table = users_of(test->pool, a_case);
        site->site.users = &table->users;
        accept_model_backend(test, site);
        if (before != NULL) {
            memory_site_put(test->ctx, site, KEY, before, LATER);
        }
        session = djs_session_make(test->ctx, &site->site, &key, key != NULL);
        if (strcmp(op, "get_user") == 0) {
            check_get_user(test, a_case, site, session, why);
            get_user++;
            vector_done(a_case);
            continue;
        }
        if (strcmp(op, "login") == 0) {
            assert_status(test->ctx,
                          djs_auth_login(test->ctx, &site->site, session,
                                         user_named(table, vector_need(a_case, "login"))),
                          APR_SUCCESS, why);
            login++;
        }
        else {
            assert_text(op, "logout", why);
            djs_auth_logout(test->ctx, session);
            logout++;
        }
        check_after(test, json_object_get(a_case, "after"), site, session, why);
        vector_done(a_case);
    }
    assert_number(get_user, GET_USER_CASES, "get_user");
    assert_number(login, LOGIN_CASES, "login");
    assert_number(logout, LOGOUT_CASES, "logout");
    assert_number(only_django, ONLY_DJANGO, "update_session_auth_hash");
}

/* --- reasons --- */

/* A site with user 1, password PASSWORD, secret key "secret" and fallback "old". */
static memory_site_t *site_with_user(test_t *test, table_t **table)
{
    djs_bytes_t old = djs_bytes("old");
    memory_site_t *site =
        memory_site_make_with(test->pool, djs_keyring_make(test->pool, djs_bytes("secret"), &old, 1));

    *table = table_make(test->pool);
    table_add(*table, "1", "alice", PASSWORD, 1);
    table_add(*table, "2", "idle", PASSWORD, 0);
    site->site.users = &(*table)->users;
    return site;
}

/* A session of a login, with the hash that @a secret makes. */
static void put_login(test_t *test, memory_site_t *site, const char *id, const char *backend,
                      const char *secret)
{
    const char *hash = djs_password_session_hash(test->pool, DJS_HMAC_SHA256, djs_bytes(secret),
                                                 PASSWORD);

    memory_site_put(test->ctx, site, KEY,
                    apr_psprintf(test->pool, "{\"_auth_user_id\":%s,\"_auth_user_backend\":\"%s\","
                                 "\"_auth_user_hash\":\"%s\",\"n\":1}", id, backend, hash), LATER);
}

static void it_is_told_why_nobody_is_logged_in(void **state)
{
    static const struct {
        const char *cookie;
        const char *id, *backend, *secret; /* of what is stored under KEY; id NULL: no login there */
        const char *accepted;              /* DjangoAuthBackends */
        const char *reason;
    } cases[] = {
        { NULL, NULL, NULL, NULL, NULL, "no-cookie" },
        { "short", NULL, NULL, NULL, NULL, "bad-key" },
        { "unknownunknown", NULL, NULL, NULL, NULL, "unknown-key" },
        { KEY, NULL, NULL, NULL, NULL, "no-login" },
        { KEY, "\"9\"", BACKEND, "secret", NULL, "user-unknown" },
        { KEY, "\"abc\"", BACKEND, "secret", NULL, "user-unknown" },
        { KEY, "[1]", BACKEND, "secret", NULL, "user-unknown" },
        { KEY, "{}", BACKEND, "secret", NULL, "user-unknown" },
        { KEY, "NaN", BACKEND, "secret", NULL, "user-unknown" },
        { KEY, "\"1\\u0000\"", BACKEND, "secret", NULL, "user-unknown" },
        { KEY, "null", BACKEND, "secret", NULL, "no-login" },
        { KEY, "\"2\"", BACKEND, "secret", NULL, "user-inactive" },
        { KEY, "\"1\"", BACKEND, "other", NULL, "password-changed" },
        { KEY, "\"1\"", BACKEND, "secret", "shop.backends.Mail", "backend-refused" },
        { KEY, "\"1\"", BACKEND, "secret", BACKEND, NULL },
        { KEY, "\"1\"", "shop.backends.Mail", "secret", NULL, NULL },
        { KEY, "1", BACKEND, "secret", NULL, NULL },
        { KEY, "\"2\"", "django.contrib.auth.backends.AllowAllUsersModelBackend", "secret", NULL,
          NULL },
        { KEY, "\"1\"", BACKEND, "old", NULL, NULL },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *why = apr_psprintf(test->pool, "case %d", (int)i);
        table_t *table;
        memory_site_t *site = site_with_user(test, &table);
        djs_session_t *session;
        djs_reason_t reason;
        djs_user_t *user;

        memory_site_put(test->ctx, site, KEY, "{\"n\":1}", LATER);
        if (cases[i].id != NULL) {
            put_login(test, site, cases[i].id, cases[i].backend, cases[i].secret);
        }
        if (cases[i].accepted != NULL) {
            site->settings.auth_backends = apr_array_make(test->pool, 1, sizeof(const char *));
            APR_ARRAY_PUSH(site->settings.auth_backends, const char *) = cases[i].accepted;
        }
        session = djs_session_make(test->ctx, &site->site, &cases[i].cookie,
                                   cases[i].cookie != NULL);
        assert_status(test->ctx, djs_auth_user(test->ctx, &site->site, session, &user, &reason),
                      APR_SUCCESS, why);
        assert_text(djs_reason_name(reason), cases[i].reason ? cases[i].reason : "", why);
        assert_number(user != NULL, cases[i].reason == NULL, why);
        assert_true(djs_session_accessed(session));
        assert_true(table->finds <= 1);
    }
}

static void a_store_that_does_not_answer_lets_nothing_be_concluded(void **state)
{
    static const char key[] = KEY;
    const char *keys = key;
    test_t *test = *state;
    table_t *table;
    memory_site_t *site = site_with_user(test, &table);
    djs_session_t *session;
    djs_reason_t reason;
    djs_user_t *user;

    put_login(test, site, "\"1\"", BACKEND, "secret");
    session = djs_session_make(test->ctx, &site->site, &keys, 1);
    site->memory->down = 1;
    assert_status(test->ctx, djs_auth_user(test->ctx, &site->site, session, &user, &reason),
                  DJS_ESTORE, "the sessions are down");
    assert_null(user);
    assert_number(table->finds, 0, "no user is asked for");
    assert_status(test->ctx, djs_auth_login(test->ctx, &site->site, session,
                                            &APR_ARRAY_IDX(table->rows, 0, djs_user_t)),
                  DJS_ESTORE, "no login on an unknown session");
    site->memory->down = 0;
    table->down = 1;
    session = djs_session_make(test->ctx, &site->site, &keys, 1);
    assert_status(test->ctx, djs_auth_user(test->ctx, &site->site, session, &user, &reason),
                  DJS_ESTORE, "the users are down");
    assert_null(user);
    assert_text(djs_reason_name(reason), "store-error", "reason");
    assert_false(djs_session_modified(session));
}

static void a_site_without_a_user_table_knows_nobody(void **state)
{
    const char *key = KEY;
    test_t *test = *state;
    table_t *table;
    memory_site_t *site = site_with_user(test, &table);
    djs_session_t *session;
    djs_reason_t reason;
    djs_user_t *user;

    put_login(test, site, "\"1\"", BACKEND, "secret");
    site->site.users = NULL;
    session = djs_session_make(test->ctx, &site->site, &key, 1);
    assert_status(test->ctx, djs_auth_user(test->ctx, &site->site, session, &user, &reason),
                  APR_SUCCESS, "nobody");
    assert_null(user);
    assert_false(djs_session_modified(session));
}

/* --- through the middleware --- */

static void a_hash_of_an_old_key_is_renewed_and_a_new_cookie_sent(void **state)
{
    test_t *test = *state;
    table_t *table;
    memory_site_t *site = site_with_user(test, &table);
    djs_middleware_t *mw;
    djs_answer_t answer;
    djs_reason_t reason;
    djs_user_t *user;
    const char *key;

    put_login(test, site, "\"1\"", BACKEND, "old");
    mw = djs_middleware_begin(test->ctx, &site->site, "sessionid=" KEY);
    assert_status(test->ctx, djs_auth_user(test->ctx, &site->site, mw->session, &user, &reason),
                  APR_SUCCESS, "alice");
    assert_non_null(user);
    assert_status(test->ctx, djs_middleware_finish(test->ctx, mw, 200, 0, NULL, 0, &answer),
                  APR_SUCCESS, "finish");
    key = memory_engine_key_beside(site->memory, KEY);
    assert_non_null(strstr(answer.set_cookie, key));
    assert_non_null(strstr(memory_site_get(test->ctx, site, key),
                           djs_password_session_hash(test->pool, DJS_HMAC_SHA256,
                                                     djs_bytes("secret"), PASSWORD)));
    assert_number(memory_engine_count(site->memory), 1, "moved");
}

/* Six requests of one page, all read before the first of them answers. */
static void parallel_requests_after_a_change_of_key_all_pass(void **state)
{
    test_t *test = *state;
    table_t *table;
    memory_site_t *site = site_with_user(test, &table);
    djs_middleware_t *mw[6];
    int i, cookies = 0;

    put_login(test, site, "\"1\"", BACKEND, "old");
    for (i = 0; i < 6; i++) {
        djs_reason_t reason;
        djs_user_t *user;

        mw[i] = djs_middleware_begin(test->ctx, &site->site, "sessionid=" KEY);
        assert_status(test->ctx,
                      djs_auth_user(test->ctx, &site->site, mw[i]->session, &user, &reason),
                      APR_SUCCESS, "alice");
        assert_non_null(user);
    }
    for (i = 0; i < 6; i++) {
        djs_answer_t answer;

        assert_status(test->ctx, djs_middleware_finish(test->ctx, mw[i], 200, 0, NULL, 0, &answer),
                      APR_SUCCESS, "finish");
        assert_number(answer.status, 0, "as it is");
        cookies += answer.set_cookie != NULL;
    }
    assert_number(cookies, 1, "one of them sends the new key");
    assert_number(memory_engine_count(site->memory), 1, "one session, not six");
}

static void a_changed_password_ends_the_session_and_its_cookie(void **state)
{
    test_t *test = *state;
    table_t *table;
    memory_site_t *site = site_with_user(test, &table);
    djs_middleware_t *mw;
    djs_answer_t answer;
    djs_reason_t reason;
    djs_user_t *user;

    put_login(test, site, "\"1\"", BACKEND, "secret");
    APR_ARRAY_IDX(table->rows, 0, djs_user_t).password = "md5$new$1";
    mw = djs_middleware_begin(test->ctx, &site->site, "sessionid=" KEY);
    assert_status(test->ctx, djs_auth_user(test->ctx, &site->site, mw->session, &user, &reason),
                  APR_SUCCESS, "nobody");
    assert_null(user);
    assert_status(test->ctx, djs_middleware_finish(test->ctx, mw, 302, 0, NULL, 0, &answer),
                  APR_SUCCESS, "finish");
    assert_non_null(strstr(answer.set_cookie, "Max-Age=0"));
    assert_number(memory_engine_count(site->memory), 0, "the record is gone");
}

/*
 * Until 3.0 the hash was SHA-1, and 3.1 and 3.2 took it. Today's Django does not, and its rule is
 * ours: the rows of such sites are read, their logins have to be made again.
 */
static void a_login_of_django_3_0_is_none_today(void **state)
{
    test_t *test = *state;
    table_t *table;
    memory_site_t *site = site_with_user(test, &table);
    const char *hash = djs_password_session_hash(test->pool, DJS_HMAC_SHA1, djs_bytes("secret"),
                                                 PASSWORD);
    djs_session_t *session;
    djs_reason_t reason;
    djs_user_t *user;

    assert_number(strlen(hash), 40, "SHA-1");
    memory_site_put(test->ctx, site, KEY,
                    apr_psprintf(test->pool, "{\"_auth_user_id\":\"1\",\"_auth_user_backend\":\"%s\","
                                 "\"_auth_user_hash\":\"%s\"}", BACKEND, hash), LATER);
    session = memory_site_session(test->ctx, site, KEY);
    assert_status(test->ctx, djs_auth_user(test->ctx, &site->site, session, &user, &reason),
                  APR_SUCCESS, "nobody");
    assert_null(user);
    assert_text(djs_reason_name(reason), "password-changed", "flushed, as today's Django does");
}

/* Who this cookie is of, and what SessionMiddleware then sends; NULL: nobody, or nothing. */
static const char *user_of(test_t *test, const memory_site_t *site, const char *cookie,
                           const char **set_cookie)
{
    djs_middleware_t *mw = djs_middleware_begin(test->ctx, &site->site,
                                                apr_pstrcat(test->pool, "sessionid=", cookie, NULL));
    djs_answer_t answer;
    djs_reason_t reason;
    djs_user_t *user;

    assert_status(test->ctx, djs_auth_user(test->ctx, &site->site, mw->session, &user, &reason),
                  APR_SUCCESS, cookie);
    assert_status(test->ctx, djs_middleware_finish(test->ctx, mw, 200, 0, NULL, 0, &answer),
                  APR_SUCCESS, cookie);
    *set_cookie = answer.set_cookie;
    return user != NULL ? user->username : NULL;
}

static const char *cookie_of_login(test_t *test, const memory_site_t *site, const table_t *table)
{
    djs_session_t *session = memory_site_session(test->ctx, site, NULL);

    assert_status(test->ctx, djs_auth_login(test->ctx, &site->site, session,
                                            &APR_ARRAY_IDX(table->rows, 0, djs_user_t)),
                  APR_SUCCESS, "login");
    assert_status(test->ctx, djs_session_save(test->ctx, session), APR_SUCCESS, "saved");
    return djs_session_key(session);
}

static void a_login_lives_and_ends_in_a_cookie_too(void **state)
{
    static const djs_wire_layout_t layouts[] = { DJS_WIRE_COOKIE, DJS_WIRE_SEALED };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        table_t *table;
        memory_site_t *site = site_with_user(test, &table);
        memory_site_t *old = memory_site_make_with(test->pool, djs_keyring_make(
                                                       test->pool, djs_bytes("old"), NULL, 0));
        const char *cookie, *sent;

        site->site.engine = old->site.engine = djs_engine_cookies_make(test->pool, layouts[i]);
        site->site.wire = djs_wire_make(test->pool, site->site.keys, layouts[i], NULL);
        old->site.wire = djs_wire_make(test->pool, old->site.keys, layouts[i], NULL);
        cookie = cookie_of_login(test, site, table);
        assert_text(user_of(test, site, cookie, &sent), "alice", "logged in");
        assert_text(sent, NULL, "nothing has changed");
        assert_text(user_of(test, site, cookie_of_login(test, old, table), &sent), "alice",
                    "by the old key");
        assert_non_null(sent); /* the hash is renewed, and so is the cookie */
        APR_ARRAY_IDX(table->rows, 0, djs_user_t).password = "md5$new$1";
        assert_text(user_of(test, site, cookie, &sent), NULL, "the password was changed");
        assert_non_null(sent);
        assert_non_null(strstr(sent, "Max-Age=0"));
    }
}

static void a_login_works_the_first_time_whatever_the_cookie_is_worth(void **state)
{
    static const char *const cookies[] = {
        NULL, "sessionid=short", "sessionid=unknownunknown", "sessionid=expiredexpired",
        "sessionid=forgedforged", "sessionid=" KEY, "sessionid=" KEY "; sessionid=unknownunknown",
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cookies) / sizeof(cookies[0]); i++) {
        table_t *table;
        memory_site_t *site = site_with_user(test, &table);
        djs_record_t forged = { .data = { "x:y:z", 5 }, .expires = LATER };
        const char *why = cookies[i] ? cookies[i] : "no cookie";
        djs_middleware_t *mw;
        djs_session_t *session;
        djs_answer_t answer;
        djs_reason_t reason;
        djs_user_t *user;
        const char *key;

        memory_site_put(test->ctx, site, "expiredexpired", "{\"old\":1}", TEST_NOW - 1);
        memory_site_put(test->ctx, site, KEY, "{\"cart\":1}", LATER);
        memory_engine_put(site->memory, "forgedforged", &forged);
        mw = djs_middleware_begin(test->ctx, &site->site, cookies[i]);
        assert_status(test->ctx, djs_auth_login(test->ctx, &site->site, mw->session,
                                                &APR_ARRAY_IDX(table->rows, 0, djs_user_t)),
                      APR_SUCCESS, why);
        assert_status(test->ctx, djs_middleware_finish(test->ctx, mw, 302, 0, NULL, 0, &answer),
                      APR_SUCCESS, why);
        key = djs_session_key(mw->session);
        assert_non_null(strstr(answer.set_cookie, key));
        session = djs_session_make(test->ctx, &site->site, &key, 1);
        assert_status(test->ctx, djs_auth_user(test->ctx, &site->site, session, &user, &reason),
                      APR_SUCCESS, why);
        assert_non_null(user); /* D-11 */
    }
}

static void a_login_over_one_of_an_old_key_starts_anew(void **state)
{
    const char *key = KEY;
    test_t *test = *state;
    table_t *table;
    memory_site_t *site = site_with_user(test, &table);
    djs_session_t *session = djs_session_make(test->ctx, &site->site, &key, 1);

    put_login(test, site, "\"1\"", BACKEND, "old");
    assert_status(test->ctx, djs_auth_login(test->ctx, &site->site, session,
                                            &APR_ARRAY_IDX(table->rows, 0, djs_user_t)),
                  APR_SUCCESS, "the same user");
    assert_false(djs_session_has_key(test->ctx, session, djs_bytes("n")));
    assert_text(djs_session_key(session), NULL, "flushed, as Django does");
}

static void a_login_is_said_to_be_by_a_backend_that_counts(void **state)
{
    static const struct { const char *accepted[2]; int count; const char *said; } cases[] = {
        { { NULL, NULL }, 0, BACKEND },
        { { "shop.Mail", BACKEND }, 2, BACKEND },
        { { "shop.Mail", "shop.Card" }, 2, "shop.Mail" },
    };
    test_t *test = *state;
    size_t i;
    int j;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        table_t *table;
        memory_site_t *site = site_with_user(test, &table);
        djs_session_t *session = djs_session_make(test->ctx, &site->site, NULL, 0);
        djs_reason_t reason;
        djs_user_t *user;

        for (j = 0; j < cases[i].count; j++) {
            if (site->settings.auth_backends == NULL) {
                site->settings.auth_backends = apr_array_make(test->pool, 2, sizeof(const char *));
            }
            APR_ARRAY_PUSH(site->settings.auth_backends, const char *) = cases[i].accepted[j];
        }
        assert_status(test->ctx, djs_auth_login(test->ctx, &site->site, session,
                                                &APR_ARRAY_IDX(table->rows, 0, djs_user_t)),
                      APR_SUCCESS, cases[i].said);
        assert_bytes(djs_value_str(djs_session_get(test->ctx, session,
                                                   djs_bytes("_auth_user_backend"))),
                     djs_bytes(cases[i].said), "backend");
        assert_status(test->ctx, djs_auth_user(test->ctx, &site->site, session, &user, &reason),
                      APR_SUCCESS, cases[i].said);
        assert_non_null(user);
    }
}

static void an_integer_id_is_read_as_python_reads_it(void **state)
{
    static const struct { const char *text, *id; const char *why; } cases[] = {
        { "42", "42", "plain" },
        { " 1 ", "1", "blanks" },
        { "\t1\r\n", "1", "other white space" },
        { "+1", "1", "a sign" },
        { "-1", "-1", "negative" },
        { "-0", "0", "no negative zero" },
        { "001", "1", "leading zeros" },
        { "000", "0", "zeros" },
        { "1_0", "10", "grouped" },
        { "999999999999999999999999999999", "999999999999999999999999999999", "any size" },
        { "", NULL, "empty" },
        { " ", NULL, "blank" },
        { "-", NULL, "a sign alone" },
        { "+ 1", NULL, "a blank behind the sign" },
        { "_1", NULL, "not between digits" },
        { "1_", NULL, "nor here" },
        { "1__0", NULL, "one at a time" },
        { "1 0", NULL, "two numbers" },
        { "0x1", NULL, "hex" },
        { "1.0", NULL, "a fraction" },
        { "abc", NULL, "a word" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_text(djs_auth_integer_id(test->pool, cases[i].text), cases[i].id, cases[i].why);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(every_case_of_the_vectors_ends_as_with_django),
        TEST(it_is_told_why_nobody_is_logged_in),
        TEST(a_store_that_does_not_answer_lets_nothing_be_concluded),
        TEST(a_site_without_a_user_table_knows_nobody),
        TEST(a_hash_of_an_old_key_is_renewed_and_a_new_cookie_sent),
        TEST(parallel_requests_after_a_change_of_key_all_pass),
        TEST(a_changed_password_ends_the_session_and_its_cookie),
        TEST(a_login_of_django_3_0_is_none_today),
        TEST(a_login_lives_and_ends_in_a_cookie_too),
        TEST(a_login_works_the_first_time_whatever_the_cookie_is_worth),
        TEST(a_login_over_one_of_an_old_key_starts_anew),
        TEST(a_login_is_said_to_be_by_a_backend_that_counts),
        TEST(an_integer_id_is_read_as_python_reads_it),
    };

    return RUN_TESTS(tests);
}
