/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What applications are told: names, values, sizes; and which of a client's headers look like ours.
 */
#include "support.h"

#include <string.h>

#include "export.h"
#include "json.h"
#include "memory_engine.h"
#include "signing.h"

#define KEY "abcdefghijklmnopqrstuvwxyz012345"
#define LATER (TEST_NOW + apr_time_from_sec(1000))

/* ---- one session, told ---- */

typedef struct scene_t {
    memory_site_t *site;
    djs_export_facts_t facts;
    apr_table_t *told;  /* names with a value */
    apr_table_t *unset; /* names without */
} scene_t;

static void put(void *baton, const char *name, const char *value)
{
    scene_t *scene = baton;

    if (value != NULL) {
        apr_table_addn(scene->told, name, value);
    }
    else {
        apr_table_addn(scene->unset, name, "");
    }
}

/* @a arguments: as of the directive, ended by NULL. */
static djs_export_conf_t *conf_of(test_t *test, djs_setting_id_t id, const char *const *arguments)
{
    djs_settings_t *settings = djs_settings_make(test->pool);
    int count = 0;

    while (arguments[count] != NULL) {
        count++;
    }
    assert_status(test->ctx, djs_settings_set(test->ctx, settings, &djs_setting_rows()[id], count,
                                              arguments),
                  APR_SUCCESS, arguments[0]);
    return id == DJS_SETTING_ENV ? settings->env : settings->header;
}

/* A session with @a data under KEY (NULL: a request without a cookie). */
static scene_t *scene_of(test_t *test, const char *data, const char *const *env,
                         const char *const *header)
{
    scene_t *scene = apr_pcalloc(test->pool, sizeof(*scene));

    scene->site = memory_site_make(test->pool);
    scene->site->settings.env = conf_of(test, DJS_SETTING_ENV, env);
    scene->site->settings.header = conf_of(test, DJS_SETTING_HEADER, header);
    if (data != NULL) {
        memory_site_put(test->ctx, scene->site, KEY, data, LATER);
    }
    scene->facts.site = &scene->site->site;
    scene->facts.session = memory_site_session(test->ctx, scene->site, data != NULL ? KEY : NULL);
    scene->told = apr_table_make(test->pool, 10);
    scene->unset = apr_table_make(test->pool, 10);
    return scene;
}

static const char *const off[] = { "Off", NULL };
static const char *const on[] = { "On", NULL };

static void tell_env(test_t *test, scene_t *scene, apr_size_t *overflow)
{
    assert_status(test->ctx, djs_export_env(test->ctx, &scene->facts, put, scene, overflow),
                  APR_SUCCESS, "environment");
}

static void tell_headers(test_t *test, scene_t *scene, apr_size_t *overflow)
{
    assert_status(test->ctx, djs_export_headers(test->ctx, &scene->facts, put, scene, overflow),
                  APR_SUCCESS, "headers");
}

static void assert_told(const scene_t *scene, const char *name, const char *value)
{
    assert_text(apr_table_get(scene->told, name), value, name);
    if (value == NULL && apr_table_get(scene->unset, name) == NULL) {
        fail_msg("nobody made sure that %s is not there", name);
    }
}

static djs_user_t ada = {
    .id = "7", .username = "ada", .email = "ada@example.org", .name = "Ada L.",
    .password = "secret", .is_active = 1, .is_staff = 1, .is_superuser = 0
};

/* ---- environment ---- */

static void the_environment_tells_all_of_an_active_session(void **state)
{
    test_t *test = *state;
    scene_t *scene = scene_of(test, "{\"cart\":[1,{\"caf\xc3\xa9\":1.50}],\"_auth_user_id\":\"7\","
                                    "\"n\":null}",
                              on, off);
    apr_size_t overflow = 1;

    scene->facts.user = &ada;
    tell_env(test, scene, &overflow);
    assert_told(scene, "DJANGO_SESSION_STATUS", "active");
    assert_told(scene, "DJANGO_SESSION_REASON", NULL);
    assert_told(scene, "DJANGO_SESSION", "{\"cart\":[1,{\"caf\\u00e9\":1.5}],\"n\":null}");
    assert_told(scene, "DJANGO_SESSION_EXPIRES", "1735690600"); /* as it is stored: LATER */
    assert_told(scene, "DJANGO_SESSION_EXPIRE_AT_BROWSER_CLOSE", "0");
    assert_told(scene, "DJANGO_SESSION_ID",
                djs_secret_digest(test->pool, scene->site->site.keys, KEY));
    assert_told(scene, "DJANGO_SESSION_OVERFLOW", NULL);
    assert_told(scene, "DJANGO_USER", "ada");
    assert_told(scene, "DJANGO_USER_ID", "7");
    assert_told(scene, "DJANGO_USER_EMAIL", "ada@example.org");
    assert_told(scene, "DJANGO_USER_NAME", "Ada L.");
    assert_told(scene, "DJANGO_USER_IS_STAFF", "1");
    assert_told(scene, "DJANGO_USER_IS_SUPERUSER", "0");
    assert_told(scene, "DJANGO_USER_GROUPS", NULL); /* there is no table */
    assert_int_equal(overflow, 0);
    assert_int_equal(apr_table_elts(scene->told)->nelts, 11);
    assert_true(djs_session_accessed(scene->facts.session));
    assert_false(djs_session_modified(scene->facts.session));
}

static apr_status_t no_groups(djs_users_t *users, djs_ctx_t *ctx, const char *id,
                              apr_array_header_t **names)
{
    (void)users;
    (void)id;
    *names = NULL;
    return djs_fail(ctx, DJS_ESTORE, "nobody is to ask");
}

static void groups_are_told_as_json(void **state)
{
    static const char *const names[] = { "Buch \"A\"", "caf\xc3\xa9, 2", "editors" };
    static const djs_users_ops_t ops = { .groups = no_groups };
    static djs_users_t users = { .ops = &ops };
    test_t *test = *state;
    scene_t *scene = scene_of(test, "{}", on, on);
    djs_user_t user = ada;
    apr_array_header_t *groups = apr_array_make(test->pool, 3, sizeof(const char *));
    int i;

    for (i = 0; i < 3; i++) {
        APR_ARRAY_PUSH(groups, const char *) = names[i];
    }
    scene->site->site.users = &users;
    scene->facts.user = &user;
    user.groups = groups;
    tell_env(test, scene, NULL);
    tell_headers(test, scene, NULL);
    assert_told(scene, "DJANGO_USER_GROUPS", "[\"Buch \\\"A\\\"\",\"caf\\u00e9, 2\",\"editors\"]");
    assert_told(scene, "Django-User-Groups", "[\"Buch \\\"A\\\"\",\"caf\\u00e9, 2\",\"editors\"]");
    user.groups = apr_array_make(test->pool, 1, sizeof(const char *));
    apr_table_clear(scene->told);
    tell_env(test, scene, NULL);
    assert_told(scene, "DJANGO_USER_GROUPS", "[]");
}

static void groups_that_cannot_be_read_are_not_told_as_none(void **state)
{
    static const djs_users_ops_t ops = { .groups = no_groups };
    static djs_users_t users = { .ops = &ops };
    test_t *test = *state;
    scene_t *scene = scene_of(test, "{}", on, on);
    djs_user_t user = ada;

    scene->site->site.users = &users;
    scene->facts.user = &user;
    tell_env(test, scene, NULL);
    tell_headers(test, scene, NULL);
    assert_told(scene, "DJANGO_USER_GROUPS", NULL);
    assert_told(scene, "Django-User-Groups", NULL);
    assert_told(scene, "DJANGO_USER", "ada");
    assert_null(test->ctx->problem);
}

static int is_key(void *baton, const char *name, const char *value)
{
    return strstr(value, KEY) == NULL && strstr(value, "secret") == NULL;
}

static void neither_key_nor_password_is_told(void **state)
{
    static const char *const some[] = { "On", "a", NULL };
    test_t *test = *state;
    scene_t *scene = scene_of(test, "{\"a\":1}", some, some);

    scene->facts.user = &ada;
    tell_env(test, scene, NULL);
    tell_headers(test, scene, NULL);
    assert_int_equal(apr_table_do(is_key, NULL, scene->told, NULL), 1);
}

static void without_a_session_the_reason_is_told(void **state)
{
    test_t *test = *state;
    scene_t *scene = scene_of(test, NULL, on, off);

    scene->facts.reason = DJS_REASON_NO_LOGIN;
    tell_env(test, scene, NULL);
    assert_told(scene, "DJANGO_SESSION_STATUS", "new");
    assert_told(scene, "DJANGO_SESSION_REASON", "no-cookie");
    assert_told(scene, "DJANGO_SESSION", "{}");
    assert_told(scene, "DJANGO_SESSION_EXPIRES", NULL);
    assert_told(scene, "DJANGO_SESSION_EXPIRE_AT_BROWSER_CLOSE", NULL);
    assert_told(scene, "DJANGO_SESSION_ID", NULL);
    assert_told(scene, "DJANGO_USER", NULL);
    assert_told(scene, "DJANGO_USER_ID", NULL);
    assert_told(scene, "DJANGO_USER_EMAIL", NULL);
    assert_told(scene, "DJANGO_USER_NAME", NULL);
    assert_told(scene, "DJANGO_USER_IS_STAFF", NULL);
    assert_told(scene, "DJANGO_USER_IS_SUPERUSER", NULL);
    assert_int_equal(memory_engine_calls(scene->site->memory), 0);
}

static void with_a_session_but_no_user_the_logins_reason_is_told(void **state)
{
    test_t *test = *state;
    scene_t *scene = scene_of(test, "{\"a\":1}", on, off);

    scene->facts.reason = DJS_REASON_PASSWORD_CHANGED;
    tell_env(test, scene, NULL);
    assert_told(scene, "DJANGO_SESSION_STATUS", "active");
    assert_told(scene, "DJANGO_SESSION_REASON", "password-changed");
}

static void an_unreadable_session_is_invalid_and_empty(void **state)
{
    test_t *test = *state;
    scene_t *scene = scene_of(test, "{\"a\":1}", on, off);
    djs_record_t broken = { .data = { "not ours:x:y", 12 }, .expires = LATER };

    memory_engine_put(scene->site->memory, KEY, &broken);
    tell_env(test, scene, NULL);
    assert_told(scene, "DJANGO_SESSION_STATUS", "invalid");
    assert_told(scene, "DJANGO_SESSION_REASON", "bad-signature");
    assert_told(scene, "DJANGO_SESSION", "{}");
    assert_told(scene, "DJANGO_SESSION_EXPIRES", NULL);
}

static void an_end_that_is_of_no_use_is_not_told(void **state)
{
    test_t *test = *state;
    scene_t *scene = scene_of(test, "{\"_session_expiry\":\"soon\"}", on, off);

    tell_env(test, scene, NULL);
    assert_told(scene, "DJANGO_SESSION_STATUS", "active");
    assert_told(scene, "DJANGO_SESSION_EXPIRES", NULL);
    assert_told(scene, "DJANGO_SESSION_EXPIRE_AT_BROWSER_CLOSE", NULL);
    assert_null(test->ctx->problem);

    scene = scene_of(test, "{\"_session_expiry\":0}", on, off);
    tell_env(test, scene, NULL);
    assert_told(scene, "DJANGO_SESSION_EXPIRE_AT_BROWSER_CLOSE", "1");
    assert_told(scene, "DJANGO_SESSION_EXPIRES", "1735690600");
}

static void a_store_that_is_down_tells_an_error_and_nothing_else(void **state)
{
    static const char *const some[] = { "On", "a", NULL };
    test_t *test = *state;
    scene_t *scene = scene_of(test, "{\"a\":1}", some, some);

    scene->site->memory->down = 1;
    scene->facts.user = &ada;
    assert_status(test->ctx, djs_export_env(test->ctx, &scene->facts, put, scene, NULL),
                  DJS_ESTORE, "environment");
    assert_told(scene, "DJANGO_SESSION_STATUS", "error");
    assert_told(scene, "DJANGO_SESSION_REASON", "store-error");
    assert_told(scene, "DJANGO_SESSION", NULL);
    assert_told(scene, "DJANGO_SESSION_A", NULL);
    assert_told(scene, "DJANGO_SESSION_ID", NULL);
    assert_told(scene, "DJANGO_USER", NULL);
    assert_int_equal(apr_table_elts(scene->told)->nelts, 2);
    assert_non_null(test->ctx->problem);
    assert_status(test->ctx, djs_export_headers(test->ctx, &scene->facts, put, scene, NULL),
                  DJS_ESTORE, "headers");
    assert_told(scene, "Django-Session-Status", "error");
    assert_told(scene, "Django-Session", NULL);
    assert_told(scene, "Django-Session-A", NULL);
    assert_told(scene, "Django-User", NULL);
    assert_int_equal(apr_table_elts(scene->told)->nelts, 3);
}

/* Takes what there is: a name without a value would be a crash. */
static void add_value(void *baton, const char *name, const char *value)
{
    scene_t *scene = baton;

    assert_non_null(value);
    apr_table_addn(scene->told, name, value);
}

static void assert_same_told(const scene_t *a, const scene_t *b)
{
    const apr_array_header_t *all = apr_table_elts(a->told);
    int i;

    assert_int_equal(all->nelts, apr_table_elts(b->told)->nelts);
    for (i = 0; i < all->nelts; i++) {
        const apr_table_entry_t *entry = &APR_ARRAY_IDX(all, i, apr_table_entry_t);

        assert_text(apr_table_get(b->told, entry->key), entry->val, entry->key);
    }
}

static void where_none_of_our_names_is_only_those_with_a_value_are_told(void **state)
{
    static const char *const some[] = { "On", "a", "gone", NULL };
    test_t *test = *state;
    scene_t *scene = scene_of(test, "{\"a\":1}", some, some);
    scene_t *cleared = scene_of(test, "{\"a\":1}", some, some);

    cleared->facts.add = add_value;
    tell_env(test, scene, NULL);
    tell_env(test, cleared, NULL);
    tell_headers(test, scene, NULL);
    tell_headers(test, cleared, NULL);
    assert_same_told(scene, cleared);
    assert_told(cleared, "DJANGO_SESSION_GONE", NULL); /* may be a name of the administrator's */
    assert_told(cleared, "Django-Session-Gone", NULL);
    assert_null(apr_table_get(cleared->unset, "DJANGO_USER"));
    assert_null(apr_table_get(cleared->unset, "Django-User"));
}

static void a_request_without_a_session_is_told_as_one_whose_session_is_new(void **state)
{
    static const char *const some[] = { "On", "a", NULL };
    test_t *test = *state;
    scene_t *scene = scene_of(test, NULL, some, off);
    scene_t *without = scene_of(test, NULL, some, off);

    without->facts.session = NULL;
    tell_env(test, scene, NULL);
    tell_env(test, without, NULL);
    assert_same_told(scene, without);
    assert_told(without, "DJANGO_SESSION_REASON", "no-cookie");
    assert_told(without, "DJANGO_SESSION_A", NULL);
}

static void a_cookie_that_is_no_key_is_told_alike_with_and_without_a_look_at_the_data(void **state)
{
    static const char *const some[] = { "On", "a", NULL };
    test_t *test = *state;
    scene_t *looked = scene_of(test, NULL, some, off);
    scene_t *told = scene_of(test, NULL, some, off);

    looked->facts.session = memory_site_session(test->ctx, looked->site, "short");
    told->facts.session = memory_site_session(test->ctx, told->site, "short");
    told->facts.add = add_value;
    told->facts.reason = looked->facts.reason = DJS_REASON_NO_LOGIN;
    tell_env(test, looked, NULL);
    tell_env(test, told, NULL);
    assert_same_told(looked, told);
    assert_told(told, "DJANGO_SESSION_STATUS", "new");
    assert_told(told, "DJANGO_SESSION_REASON", "bad-key");
    assert_told(told, "DJANGO_SESSION", "{}");
    assert_told(told, "DJANGO_SESSION_A", NULL);
    assert_true(djs_session_accessed(told->facts.session));
    assert_number(djs_session_status(told->facts.session), DJS_SESSION_NEW, "who asks later");
    /* Somebody logs in while the request is answered. */
    djs_session_set(test->ctx, told->facts.session, djs_bytes("a"),
                    djs_value_make_str(test->pool, djs_bytes("now")));
    apr_table_clear(told->told);
    tell_env(test, told, NULL);
    assert_told(told, "DJANGO_SESSION_A", "now");
    assert_told(told, "DJANGO_SESSION", "{\"a\":\"now\"}");
}

static void off_tells_nothing_and_reads_nothing(void **state)
{
    test_t *test = *state;
    scene_t *scene = scene_of(test, "{\"a\":1}", off, off);

    tell_env(test, scene, NULL);
    tell_headers(test, scene, NULL);
    assert_int_equal(apr_table_elts(scene->told)->nelts, 0);
    assert_int_equal(apr_table_elts(scene->unset)->nelts, 0);
    assert_int_equal(memory_engine_calls(scene->site->memory), 0);
    assert_false(djs_session_accessed(scene->facts.session));
}

static void selected_values_have_their_names(void **state)
{
    static const char *const some[] = { "cart", "/cart/0/price", "t=MY_TEXT", "_secret=OURS",
                                        "missing", "nul", "lone", "/nothing", NULL };
    test_t *test = *state;
    scene_t *scene = scene_of(test, "{\"cart\":[{\"price\":9.90}],\"t\":\"a\\nb\xc3\xa9\","
                                    "\"_secret\":true,\"nul\":\"a\\u0000b\","
                                    "\"lone\":\"\\ud800\",\"nothing\":null}",
                              some, off);

    tell_env(test, scene, NULL);
    assert_told(scene, "DJANGO_SESSION_CART", "[{\"price\":9.9}]");
    assert_told(scene, "DJANGO_SESSION_CART_0_PRICE", "9.9");
    assert_told(scene, "MY_TEXT", "a\nb\xc3\xa9");
    assert_told(scene, "OURS", "true");
    assert_told(scene, "DJANGO_SESSION_MISSING", NULL);
    assert_told(scene, "DJANGO_SESSION_NUL", NULL);
    assert_told(scene, "DJANGO_SESSION_LONE", NULL);
    assert_told(scene, "DJANGO_SESSION_NOTHING", "");
    assert_told(scene, "DJANGO_SESSION", NULL);
    assert_told(scene, "DJANGO_SESSION_STATUS", "active");
}

/* ---- headers ---- */

/* What Django makes of it is in t/httpd/test_snippets.py. */
static void a_signed_header_is_the_same_object(void **state)
{
    static const char *const some[] = { "On", "theme", NULL };
    test_t *test = *state;
    scene_t *scene = scene_of(test, "{\"theme\":\"dark\",\"_x\":1}", off, some);
    djs_bytes_t data = { NULL, 0 };
    const char *header;

    scene->site->settings.header_signed = 1;
    tell_headers(test, scene, NULL);
    header = apr_table_get(scene->told, "Django-Session");
    assert_non_null(header);
    assert_status(test->ctx,
                  djs_signing_loads(test->ctx,
                                    djs_signer_make(test->pool, scene->facts.site->keys,
                                                    DJS_SALT_HEADER, DJS_SIGNING_SHA256),
                                    0, djs_bytes(header), &data),
                  APR_SUCCESS, "signed by the site now");
    assert_string_equal(data.data, "{\"theme\":\"dark\"}");
    assert_told(scene, "Django-Session-Theme", "dark");
}

static void headers_are_the_same_facts(void **state)
{
    static const char *const some[] = { "On", "theme", "/cart/0=X-First", "missing", NULL };
    static djs_user_t odd = { .id = "a b", .username = "\xc3\x89ve % Smith\n" };
    test_t *test = *state;
    scene_t *scene = scene_of(test, "{\"theme\":\"dark\",\"cart\":[1],\"_x\":1,\"p\":\"100%\"}",
                              off, some);
    apr_size_t overflow = 1;

    scene->facts.user = &odd;
    tell_headers(test, scene, &overflow);
    assert_told(scene, "Django-Session", "{\"theme\":\"dark\",\"cart\":[1],\"p\":\"100%\"}");
    assert_told(scene, "Django-Session-Status", "active");
    assert_told(scene, "Django-Session-Theme", "dark");
    assert_told(scene, "X-First", "1");
    assert_told(scene, "Django-Session-Missing", NULL);
    assert_told(scene, "Django-Session-Overflow", NULL);
    assert_told(scene, "Django-User", "%C3%89ve %25 Smith%0A");
    assert_told(scene, "Django-User-Id", "a b");
    assert_int_equal(apr_table_elts(scene->told)->nelts, 6);
    assert_int_equal(overflow, 0);
    assert_true(djs_session_accessed(scene->facts.session));
}

static void header_values_are_printable_ascii(void **state)
{
    static const char *const some[] = { "v", NULL };
    static const struct { const char *json, *header; const char *why; } cases[] = {
        { "\"plain text\"", "plain text", "as it is" },
        { "\"a%b\"", "a%25b", "a percent sign" },
        { "\"a\\r\\nX: y\"", "a%0D%0AX: y", "no way to another header" },
        { "\"\xc3\xa9\"", "%C3%A9", "UTF-8" },
        { "\"a\\u007f\\u0001\"", "a%7F%01", "controls" },
        { "\" a b  \"", "%20a b%20%20", "blanks at the ends would not arrive" },
        { "\"  \"", "%20%20", "nothing but blanks" },
        { "\"\\ta\"", "%09a", "a tab" },
        { "\"\"", "", "nothing" },
        { "{\"\xc3\xa9\":\"%\"}", "{\"\\u00e9\":\"%25\"}", "JSON" },
        { "1e400", "Infinity", "a float" },
        { "false", "false", "a truth" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scene_t *scene = scene_of(test, apr_pstrcat(test->pool, "{\"v\":", cases[i].json, "}",
                                                    NULL),
                                  off, some);

        tell_headers(test, scene, NULL);
        assert_text(apr_table_get(scene->told, "Django-Session-V"), cases[i].header, cases[i].why);
    }
}

/* ---- sizes ---- */

static const char *text_of(test_t *test, apr_size_t len)
{
    char *text = apr_palloc(test->pool, len + 1);

    memset(text, 'x', len);
    text[len] = '\0';
    return text;
}

static void what_is_too_large_is_left_out_and_its_size_told(void **state)
{
    static const char *const some[] = { "On", "a", "b", NULL };
    static const struct {
        apr_size_t a, b;
        const char *overflow;
        int a_told, b_told;
    } cases[] = {
        { DJS_EXPORT_HEADER_MAX, 1, NULL, 1, 1 },
        { DJS_EXPORT_HEADER_MAX + 1, 1, "7501", 0, 1 },
        { 8000, 9000, "9000", 0, 0 },
        { 9000, 8000, "9000", 0, 0 },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *data = apr_pstrcat(test->pool, "{\"a\":\"", text_of(test, cases[i].a),
                                       "\",\"b\":\"", text_of(test, cases[i].b), "\"}", NULL);
        scene_t *scene = scene_of(test, data, some, some);
        apr_size_t overflow = 0;

        scene->site->settings.header->whole = 0;
        tell_headers(test, scene, &overflow);
        assert_told(scene, "Django-Session-Overflow", cases[i].overflow);
        assert_text(apr_psprintf(test->pool, "%d", (int)overflow),
                    cases[i].overflow ? cases[i].overflow : "0", "told to the host, too");
        assert_int_equal(apr_table_get(scene->told, "Django-Session-A") != NULL, cases[i].a_told);
        assert_int_equal(apr_table_get(scene->told, "Django-Session-B") != NULL, cases[i].b_told);
        tell_env(test, scene, &overflow);
        assert_told(scene, "DJANGO_SESSION_OVERFLOW", NULL);
        assert_non_null(apr_table_get(scene->told, "DJANGO_SESSION"));
    }
}

static void a_variable_holds_64_kib(void **state)
{
    test_t *test = *state;
    /* {"a":"…"} is 8 characters longer than what is in it. */
    scene_t *scene = scene_of(test, apr_pstrcat(test->pool, "{\"a\":\"",
                                                text_of(test, DJS_EXPORT_ENV_MAX - 8), "\"}", NULL),
                              on, on);

    tell_env(test, scene, NULL);
    assert_int_equal(strlen(apr_table_get(scene->told, "DJANGO_SESSION")), DJS_EXPORT_ENV_MAX);
    assert_told(scene, "DJANGO_SESSION_OVERFLOW", NULL);
    tell_headers(test, scene, NULL);
    assert_told(scene, "Django-Session", NULL);
    assert_told(scene, "Django-Session-Overflow", "65536");

    scene = scene_of(test, apr_pstrcat(test->pool, "{\"a\":\"",
                                       text_of(test, DJS_EXPORT_ENV_MAX - 7), "\"}", NULL),
                     on, off);
    tell_env(test, scene, NULL);
    assert_told(scene, "DJANGO_SESSION", NULL);
    assert_told(scene, "DJANGO_SESSION_OVERFLOW", "65537");
}

/* ---- names ---- */

static void names_are_made_of_selectors(void **state)
{
    static const struct { const char *selector, *env, *header; } cases[] = {
        { "cart", "DJANGO_SESSION_CART", "Django-Session-Cart" },
        { "/cart/0/price", "DJANGO_SESSION_CART_0_PRICE", "Django-Session-Cart-0-Price" },
        { "cartItems", "DJANGO_SESSION_CARTITEMS", "Django-Session-CartItems" },
        { "last_visit", "DJANGO_SESSION_LAST_VISIT", "Django-Session-Last-Visit" },
        { "a.b-c d", "DJANGO_SESSION_A_B_C_D", "Django-Session-A-B-C-D" },
        { "caf\xc3\xa9", "DJANGO_SESSION_CAF_", "Django-Session-Caf-" },
        { "/a~1b", "DJANGO_SESSION_A_1B", "Django-Session-A-1b" },
        { "_auth_user_id", "DJANGO_SESSION__AUTH_USER_ID", "Django-Session--Auth-User-Id" },
        { "//a", "DJANGO_SESSION__A", "Django-Session--A" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_text(djs_export_env_name(test->pool, cases[i].selector), cases[i].env,
                    cases[i].selector);
        assert_text(djs_export_header_name(test->pool, cases[i].selector), cases[i].header,
                    cases[i].selector);
    }
}

static void what_a_client_sends_in_our_name_is_known(void **state)
{
    static const struct { const char *name; int ours; const char *why; } cases[] = {
        { "Django-Session", 1, "the session itself" },
        { "DJANGO-SESSION", 1, "any case" },
        { "django_session", 1, "an underscore, as backends write it" },
        { "Django.Session", 1, "another character that becomes one" },
        { "Django Session", 1, "even a blank" },
        { "Django-Session-Status", 1, "of the family" },
        { "django_session-overflow", 1, "mixed" },
        { "Django-Session-", 1, "the family's beginning" },
        { "Django-Session_Anything", 1, "whatever name a selector makes" },
        { "Django-User", 1, "the user" },
        { "Django_User-ID", 1, "the user's id" },
        { "Django-User-Groups", 1, "one that is told in other configurations" },
        { "Django-Csrf-Token", 1, "the token" },
        { "django-csrf_token", 1, "mixed" },
        { "X-Remote-User", 1, "an administrator's" },
        { "x_remote_user", 1, "an administrator's, in other words" },
        { "X+Remote+USER", 1, "and with other characters" },
        { "Django-Users", 0, "another word" },
        { "Django-Session2", 0, "another word" },
        { "Django-Sessio", 0, "too short" },
        { "Django", 0, "too short" },
        { "DjangoSession", 0, "nothing in between: no backend takes it for ours" },
        { "X-Django-Session", 0, "another beginning" },
        { "-Django-User", 0, "another beginning" },
        { "Django--User", 0, "one character more" },
        { "X-Remote-User-Name", 0, "an administrator's name is just that" },
        { "X-Remote", 0, "shorter than an administrator's" },
        { "Cookie", 0, "somebody else's" },
        { "", 0, "nothing" },
    };
    test_t *test = *state;
    apr_array_header_t *custom = apr_array_make(test->pool, 1, sizeof(const char *));
    size_t i;

    APR_ARRAY_PUSH(custom, const char *) = "X-Remote-User";
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_number(djs_export_is_ours(cases[i].name, custom), cases[i].ours,
                      apr_pstrcat(test->pool, cases[i].name, ": ", cases[i].why, NULL));
    }
    assert_number(djs_export_is_ours("X-Remote-User", NULL), 0, "no administrator named it");
}

static void every_header_of_ours_is_known_as_ours(void **state)
{
    static const char *const some[] = { "On", "a", "/b/c", "_d", "e=X-Custom", NULL };
    test_t *test = *state;
    scene_t *scene = scene_of(test, "{\"a\":1}", off, some);
    apr_array_header_t *custom = apr_array_make(test->pool, 1, sizeof(const char *));
    const apr_array_header_t *names[2];
    int i, j, count = 0;

    APR_ARRAY_PUSH(custom, const char *) = "X-Custom";
    scene->facts.user = &ada;
    tell_headers(test, scene, NULL);
    names[0] = apr_table_elts(scene->told);
    names[1] = apr_table_elts(scene->unset);
    for (i = 0; i < 2; i++) {
        for (j = 0; j < names[i]->nelts; j++, count++) {
            const char *name = APR_ARRAY_IDX(names[i], j, apr_table_entry_t).key;

            assert_number(djs_export_is_ours(name, custom), 1, name);
        }
    }
    assert_int_equal(count, 10);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(the_environment_tells_all_of_an_active_session),
        TEST(groups_are_told_as_json),
        TEST(groups_that_cannot_be_read_are_not_told_as_none),
        TEST(neither_key_nor_password_is_told),
        TEST(without_a_session_the_reason_is_told),
        TEST(with_a_session_but_no_user_the_logins_reason_is_told),
        TEST(an_unreadable_session_is_invalid_and_empty),
        TEST(an_end_that_is_of_no_use_is_not_told),
        TEST(a_store_that_is_down_tells_an_error_and_nothing_else),
        TEST(where_none_of_our_names_is_only_those_with_a_value_are_told),
        TEST(a_request_without_a_session_is_told_as_one_whose_session_is_new),
        TEST(a_cookie_that_is_no_key_is_told_alike_with_and_without_a_look_at_the_data),
        TEST(off_tells_nothing_and_reads_nothing),
        TEST(selected_values_have_their_names),
        TEST(headers_are_the_same_facts),
        TEST(a_signed_header_is_the_same_object),
        TEST(header_values_are_printable_ascii),
        TEST(what_is_too_large_is_left_out_and_its_size_told),
        TEST(a_variable_holds_64_kib),
        TEST(names_are_made_of_selectors),
        TEST(what_a_client_sends_in_our_name_is_known),
        TEST(every_header_of_ours_is_known_as_ours),
    };

    return RUN_TESTS(tests);
}
