/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions that are their own key: signed_cookies against values that Django made, and what both
 * cookie engines promise. How SessionMiddleware treats them is in test_middleware.c.
 */
#include "support.h"

#include <string.h>

#include "json.h"
#include "memory_engine.h"
#include "middleware.h"
#include "stores.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Both engines; what holds for the one holds for the other. */
static const djs_wire_layout_t layouts[] = { DJS_WIRE_COOKIE, DJS_WIRE_SEALED };

static memory_site_t *site_with(test_t *test, const djs_keyring_t *keys, djs_wire_layout_t layout)
{
    memory_site_t *site = memory_site_make_with(test->pool, keys);

    site->site.engine = djs_engine_cookies_make(test->pool, layout);
    site->site.wire = djs_wire_make(test->pool, keys, layout, NULL);
    return site;
}

static djs_keyring_t *keyring(test_t *test, const char *key, const char *fallback)
{
    djs_bytes_t old = djs_bytes(fallback);

    return djs_keyring_make(test->pool, djs_bytes(key), &old, fallback != NULL ? 1 : 0);
}

static memory_site_t *site_of(test_t *test, djs_wire_layout_t layout)
{
    return site_with(test, keyring(test, "secret", NULL), layout);
}

static djs_value_t *value_of(test_t *test, const char *json)
{
    djs_value_t *value = NULL;

    assert_status(test->ctx, djs_json_loads(test->ctx, DJS_JSON_UTF8, djs_bytes(json), &value),
                  APR_SUCCESS, json);
    return value;
}

/* A session with this data, saved now: its value. */
static const char *saved(test_t *test, const memory_site_t *site, const char *json)
{
    djs_session_t *session = memory_site_session(test->ctx, site, NULL);

    djs_session_update(test->ctx, session, value_of(test, json));
    assert_status(test->ctx, djs_session_save(test->ctx, session), APR_SUCCESS, json);
    return djs_session_key(session);
}

static void check_session(test_t *test, const memory_site_t *site, const char *cookie,
                          const char *json, djs_session_status_t status, djs_reason_t reason,
                          const char *why)
{
    djs_session_t *session = memory_site_session(test->ctx, site, cookie);

    djs_forget(test->ctx);
    assert_text(memory_session_json(test->ctx, session), json, why);
    assert_text(djs_session_status_name(djs_session_status(session)),
                djs_session_status_name(status), why);
    assert_text(djs_reason_name(djs_session_reason(session)), djs_reason_name(reason), why);
}

/* ---- Django's values ------------------------------------------------------------------------- */

static djs_keyring_t *case_keys(apr_pool_t *pool, const json_t *a_case)
{
    const json_t *list = json_object_get(a_case, "fallback_keys");
    djs_bytes_t *fallbacks = apr_palloc(pool, (json_array_size(list) + 1) * sizeof(*fallbacks));
    const json_t *key;
    size_t i;

    json_array_foreach(list, i, key) {
        fallbacks[i] = djs_bytes(json_string_value(key));
    }
    return djs_keyring_make(pool, djs_bytes(vector_need(a_case, "key")), fallbacks,
                            (int)json_array_size(list));
}

/* The same bytes, unless another zlib compressed them, or two keys became one when they were read. */
static void check_saved(test_t *test, const memory_site_t *site, const json_t *a_case,
                        const char *name)
{
    const char *expected = vector_need(a_case, "cookie");
    const char *read_as = vector_need(json_object_get(a_case, "load"), "json");
    const char *cookie;

    if (strcmp(vector_need(a_case, "json"), read_as) != 0) {
        assert_text(vector_need(a_case, "id"), "save-colliding-keys", name);
        return;
    }
    test->ctx->now = test_time(json_object_get(a_case, "time"));
    cookie = saved(test, site, vector_need(a_case, "json"));
    assert_number(cookie[0] == '.', expected[0] == '.', name);
    if (cookie[0] != '.') {
        assert_text(cookie, expected, name);
    }
}

static void check_loaded(test_t *test, const memory_site_t *site, const json_t *a_case,
                         const char *name)
{
    const json_t *load = json_object_get(a_case, "load");
    const char *cookie = vector_need(a_case, "cookie");
    djs_session_t *session = memory_site_session(test->ctx, site, cookie);
    int has_key;

    assert_text(memory_session_json(test->ctx, session), vector_need(load, "json"), name);
    assert_number(djs_session_modified(session), json_is_true(json_object_get(load, "modified")),
                  name);
    assert_number(djs_session_is_empty(session), json_is_true(json_object_get(load, "empty")),
                  name);
    has_key = strcmp(vector_need(load, "key"), "same") == 0;
    assert_text(djs_session_key(session), has_key ? cookie : NULL, name);
}

static void every_cookie_of_the_vectors_is_read_as_django_reads_it(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "signed_cookies.json", 90);
    const json_t *a_case;
    int written = 0;
    size_t i;

    json_array_foreach(cases, i, a_case) {
        const char *name = vector_name(test->pool, a_case);
        const json_t *now = json_object_get(a_case, "now");
        const json_t *age = json_object_get(a_case, "cookie_age");
        memory_site_t *site = site_with(test, case_keys(test->pool, a_case), DJS_WIRE_COOKIE);

        assert_text(vector_need(a_case, "salt"), DJS_SALT_SIGNED_COOKIES, name);
        if (age != NULL) {
            site->settings.cookie_age = test_time(age);
        }
        if (json_object_get(a_case, "json") != NULL) {
            check_saved(test, site, a_case, name);
            written++;
        }
        test->ctx->now = now != NULL ? test_time(now)
                                     : test_time(json_object_get(a_case, "time"))
                                           + APR_USEC_PER_SEC;
        check_loaded(test, site, a_case, name);
        vector_done(a_case);
    }
    assert_in_range(written, 60, 1000);
}

/* With hashlib and hmac of Python 3: what Django 3.0 wrote, signed with SHA-1. */
static void a_cookie_of_django_3_0_is_read_and_written_anew_with_sha256(void **state)
{
    static const char cookie[] = "eyJhIjoxfQ:1tSm9Y:MSOWMi88LNN-KnovTNL81uQLEKk";
    test_t *test = *state;
    memory_site_t *site = site_of(test, DJS_WIRE_COOKIE);
    djs_session_t *session = memory_site_session(test->ctx, site, cookie);

    assert_text(memory_session_json(test->ctx, session), "{\"a\":1}", "read");
    assert_number(djs_session_modified(session), 0, "and that is all");
    djs_session_set_modified(session);
    assert_status(test->ctx, djs_session_save(test->ctx, session), APR_SUCCESS, "saved");
    assert_text(djs_session_key(session),
                "eyJhIjoxfQ:1tSm9Y:pQpLr4dY4iXZOV5yCaKvsdY96WGU-oEo3R3c1Of9WMY", "as today");
}

/* ---- What both engines promise --------------------------------------------------------------- */

static void every_save_makes_another_key_that_holds_the_session(void **state)
{
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(layouts); i++) {
        memory_site_t *site = site_of(test, layouts[i]);
        const char *first = saved(test, site, "{\"a\":1}");
        djs_session_t *session = memory_site_session(test->ctx, site, first);
        const char *second;

        test->ctx->now += apr_time_from_sec(5);
        djs_session_set(test->ctx, session, djs_bytes("b"), djs_value_make_int(test->pool, 2));
        assert_status(test->ctx, djs_session_save(test->ctx, session), APR_SUCCESS, "save");
        second = djs_session_key(session);
        assert_string_not_equal(first, second);
        assert_number(djs_session_modified(session), 0, "saved");
        check_session(test, site, second, "{\"a\":1,\"b\":2}", DJS_SESSION_ACTIVE, DJS_REASON_NONE,
                      "the new one");
        check_session(test, site, first, "{\"a\":1}", DJS_SESSION_ACTIVE, DJS_REASON_NONE,
                      "the old one is not revoked");
        assert_number(memory_engine_calls(site->memory), 0, "no store was asked");
    }
}

static void a_value_dies_of_age_whatever_expiry_the_session_has(void **state)
{
    static const struct {
        const char *json;
        double after; /* seconds */
        int dies;
        const char *why;
    } cases[] = {
        { "{\"a\":1}", 0, 0, "fresh" },
        { "{\"a\":1}", 1000, 0, "at the age" },
        { "{\"a\":1}", 1000.000001, 1, "beyond it" },
        { "{\"a\":1}", -500, 0, "made by a clock that is ahead" },
        { "{\"a\":1,\"_session_expiry\":10}", 900, 0, "its own expiry is the browser's affair" },
        { "{\"a\":1,\"_session_expiry\":5000}", 1001, 1, "nor does it live longer for it" },
    };
    test_t *test = *state;
    size_t i, j;

    for (i = 0; i < COUNT(layouts); i++) {
        memory_site_t *site = site_of(test, layouts[i]);

        site->settings.cookie_age = apr_time_from_sec(1000);
        for (j = 0; j < COUNT(cases); j++) {
            const char *cookie;
            djs_session_t *session;

            test->ctx->now = TEST_NOW;
            cookie = saved(test, site, cases[j].json);
            test->ctx->now = TEST_NOW + (apr_time_t)(cases[j].after * APR_USEC_PER_SEC + 0.5);
            check_session(test, site, cookie, cases[j].dies ? "{}" : cases[j].json,
                          cases[j].dies ? DJS_SESSION_EXPIRED : DJS_SESSION_ACTIVE,
                          cases[j].dies ? DJS_REASON_EXPIRED : DJS_REASON_NONE, cases[j].why);
            session = memory_site_session(test->ctx, site, cookie);
            assert_status(test->ctx, djs_session_load(test->ctx, session), APR_SUCCESS, "load");
            assert_number(djs_session_ends(session),
                          cases[j].dies ? 0 : TEST_NOW + apr_time_from_sec(1000), cases[j].why);
        }
    }
}

static void the_end_is_counted_from_the_whole_second_of_the_save(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_of(test, DJS_WIRE_COOKIE);
    djs_session_t *session = memory_site_session(test->ctx, site, NULL);

    test->ctx->now = TEST_NOW + 750000;
    assert_status(test->ctx, djs_session_create(test->ctx, session), APR_SUCCESS, "create");
    assert_number(djs_session_ends(session), TEST_NOW + site->settings.cookie_age,
                  "as the next request will find it");
}

static void every_changed_byte_makes_it_a_strangers(void **state)
{
    test_t *test = *state;
    size_t i, at;

    for (i = 0; i < COUNT(layouts); i++) {
        memory_site_t *site = site_of(test, layouts[i]);
        const char *cookie = saved(test, site, "{\"cart\":[1,2,3]}");

        for (at = 0; cookie[at] != '\0'; at++) {
            char *changed = apr_pstrdup(test->pool, cookie);

            changed[at] = changed[at] == 'A' ? 'B' : 'A';
            check_session(test, site, changed, "{}", DJS_SESSION_INVALID, DJS_REASON_BAD_SIGNATURE,
                          changed);
        }
    }
}

static void one_engine_does_not_take_the_others_values(void **state)
{
    test_t *test = *state;
    memory_site_t *rows = memory_site_make(test->pool);
    memory_site_t *sites[] = { site_of(test, DJS_WIRE_COOKIE), site_of(test, DJS_WIRE_SEALED) };
    djs_bytes_t row;

    check_session(test, sites[0], saved(test, sites[1], "{\"a\":1}"), "{}", DJS_SESSION_INVALID,
                  DJS_REASON_BAD_SIGNATURE, "encrypted for signed");
    check_session(test, sites[1], saved(test, sites[0], "{\"a\":1}"), "{}", DJS_SESSION_INVALID,
                  DJS_REASON_BAD_SIGNATURE, "signed for encrypted");
    assert_status(test->ctx, djs_wire_write(test->ctx, rows->site.wire, value_of(test, "{}"), &row),
                  APR_SUCCESS, "a row");
    check_session(test, sites[0], apr_pstrmemdup(test->pool, row.data, row.len), "{}",
                  DJS_SESSION_INVALID, DJS_REASON_BAD_SIGNATURE, "a row of the table");
}

static void an_encrypted_cookie_is_of_no_use_under_another_name(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_of(test, DJS_WIRE_SEALED);
    const char *cookie = saved(test, site, "{\"admin\":true}");

    site->settings.cookie_name = "adminid";
    check_session(test, site, cookie, "{}", DJS_SESSION_INVALID, DJS_REASON_BAD_SIGNATURE,
                  "another cookie of the same site");
    site->settings.cookie_name = "sessionid";
    check_session(test, site, cookie, "{\"admin\":true}", DJS_SESSION_ACTIVE, DJS_REASON_NONE,
                  "its own");
}

static void fallback_keys_read_and_the_secret_key_writes(void **state)
{
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(layouts); i++) {
        memory_site_t *old = site_with(test, keyring(test, "old", NULL), layouts[i]);
        memory_site_t *rotated = site_with(test, keyring(test, "new", "old"), layouts[i]);
        memory_site_t *fresh = site_with(test, keyring(test, "new", NULL), layouts[i]);
        djs_session_t *session = memory_site_session(test->ctx, rotated,
                                                     saved(test, old, "{\"a\":1}"));

        assert_text(memory_session_json(test->ctx, session), "{\"a\":1}", "by the fallback");
        djs_session_set_modified(session);
        assert_status(test->ctx, djs_session_save(test->ctx, session), APR_SUCCESS, "saved");
        check_session(test, fresh, djs_session_key(session), "{\"a\":1}", DJS_SESSION_ACTIVE,
                      DJS_REASON_NONE, "by the new key");
        check_session(test, fresh, saved(test, old, "{\"a\":1}"), "{}", DJS_SESSION_INVALID,
                      DJS_REASON_BAD_SIGNATURE, "the old key has gone");
    }
}

/* Genuine, but not ours to understand: some other program of the site's wrote it. */
static void what_is_genuine_and_unreadable_is_not_replaced_by_a_look(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_of(test, DJS_WIRE_COOKIE);
    djs_signer_t *signer = djs_signer_make(test->pool, site->site.keys, DJS_SALT_SIGNED_COOKIES,
                                           DJS_SIGNING_SHA256);
    djs_session_t *session;
    djs_bytes_t text;
    const char *cookie;

    assert_status(test->ctx, djs_signing_dumps(test->ctx, signer, DJS_COMPRESS_NOT,
                                               djs_bytes("[1,2]"), &text),
                  APR_SUCCESS, "signed");
    cookie = apr_pstrmemdup(test->pool, text.data, text.len);
    check_session(test, site, cookie, "{}", DJS_SESSION_INVALID, DJS_REASON_UNREADABLE, "a list");
    session = memory_site_session(test->ctx, site, cookie);
    assert_text(memory_session_json(test->ctx, session), "{}", "nothing");
    assert_number(djs_session_modified(session), 0, "left alone");
    assert_true(djs_session_is_unreadable(session));
    test->ctx->now += site->settings.cookie_age + apr_time_from_sec(1);
    check_session(test, site, cookie, "{}", DJS_SESSION_EXPIRED, DJS_REASON_EXPIRED,
                  "age comes before content");
}

static void cycling_saves_and_flushing_empties(void **state)
{
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(layouts); i++) {
        memory_site_t *site = site_of(test, layouts[i]);
        djs_session_t *session = memory_site_session(test->ctx, site,
                                                     saved(test, site, "{\"a\":1}"));

        djs_session_cycle_key(test->ctx, session);
        assert_true(djs_session_owes(session));
        assert_status(test->ctx, djs_session_settle(test->ctx, session), APR_SUCCESS, "cycled");
        assert_false(djs_session_owes(session));
        check_session(test, site, djs_session_key(session), "{\"a\":1}", DJS_SESSION_ACTIVE,
                      DJS_REASON_NONE, "the data are kept");
        djs_session_flush(test->ctx, session);
        assert_status(test->ctx, djs_session_settle(test->ctx, session), APR_SUCCESS, "flushed");
        assert_false(djs_session_owes(session));
        assert_true(djs_session_is_empty(session));
        assert_text(djs_session_key(session), NULL, "no key");
    }
}

static void the_engine_itself_stores_nothing_and_says_so(void **state)
{
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(layouts); i++) {
        djs_engine_t *engine = djs_engine_cookies_make(test->pool, layouts[i]);
        djs_record_t record = { .data = djs_bytes("bytes"), .expires = TEST_NOW }, found;
        apr_size_t removed = 7;
        int there = 7;

        assert_true(engine->ops->flags & DJS_ENGINE_STATELESS);
        assert_status(test->ctx, engine->ops->load(engine, test->ctx, "the-key", &found),
                      APR_SUCCESS, "load");
        assert_bytes(found.data, djs_bytes("the-key"), "the key is the record");
        assert_status(NULL, engine->ops->create(engine, test->ctx, "the-key", &record),
                      DJS_EUNSUPPORTED, "create");
        assert_status(NULL, engine->ops->replace(engine, test->ctx, "the-key", NULL, &record),
                      DJS_EUNSUPPORTED, "replace");
        djs_forget(test->ctx);
        assert_status(test->ctx, engine->ops->remove(engine, test->ctx, "the-key"), APR_SUCCESS,
                      "remove");
        assert_status(test->ctx, engine->ops->exists(engine, test->ctx, "the-key", &there),
                      APR_SUCCESS, "exists");
        assert_number(there, 0, "as Django's");
        assert_status(test->ctx, engine->ops->clear_expired(engine, test->ctx, &removed),
                      APR_SUCCESS, "clear_expired");
        assert_number(removed, 0, "nothing");
    }
}

/* SaveEveryRequest with an interval: by the age of the value, not by the session's own expiry. */
static void a_cookie_is_renewed_when_the_interval_has_passed(void **state)
{
    static const struct {
        const char *json;
        int after; /* seconds */
        int saves;
        const char *why;
    } cases[] = {
        { "{\"a\":1}", 99, 0, "too early" },
        { "{\"a\":1}", 100, 1, "it has passed" },
        { "{\"a\":1,\"_session_expiry\":500}", 99, 0, "an expiry of its own" },
        { "{\"a\":1,\"_session_expiry\":500}", 100, 1, "the same, later" },
        { "{\"a\":1,\"_session_expiry\":50}", 1, 1, "a browser forgets it before it has passed" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        memory_site_t *site = site_of(test, DJS_WIRE_COOKIE);
        djs_middleware_t *mw;
        djs_answer_t answer;
        const char *cookie;

        site->settings.save_every_request = 1;
        site->settings.save_interval = apr_time_from_sec(100);
        test->ctx->now = TEST_NOW;
        cookie = saved(test, site, cases[i].json);
        test->ctx->now += apr_time_from_sec(cases[i].after);
        mw = djs_middleware_begin(test->ctx, &site->site,
                                  apr_pstrcat(test->pool, "sessionid=", cookie, NULL));
        assert_status(test->ctx, djs_middleware_finish(test->ctx, mw, 200, 0, NULL, 0, &answer),
                      APR_SUCCESS, cases[i].why);
        assert_number(answer.set_cookie != NULL, cases[i].saves, cases[i].why);
    }
}

/* A cookie cannot be taken back, but what is in it says when it began. */
static void a_lifetime_ends_a_cookie_and_its_copies(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_of(test, DJS_WIRE_SEALED);
    djs_session_t *session;
    const char *cookie;

    site->settings.max_lifetime = apr_time_from_sec(3600);
    cookie = saved(test, site, "{\"a\":1}");
    test->ctx->now += apr_time_from_sec(3000);
    session = memory_site_session(test->ctx, site, cookie);
    djs_session_set(test->ctx, session, djs_bytes("a"), djs_value_make_int(test->pool, 2));
    assert_status(test->ctx, djs_session_save(test->ctx, session), APR_SUCCESS, "saved anew");
    assert_number(djs_session_ends(session), TEST_NOW + apr_time_from_sec(3600), "no later");
    test->ctx->now += apr_time_from_sec(600);
    check_session(test, site, djs_session_key(session), "{}", DJS_SESSION_EXPIRED,
                  DJS_REASON_MAX_LIFETIME, "the last one");
    check_session(test, site, cookie, "{}", DJS_SESSION_EXPIRED, DJS_REASON_MAX_LIFETIME,
                  "the first one");
}

/* ---- Size ------------------------------------------------------------------------------------ */

/* A request that sets a text of so many characters that do not compress. */
static apr_status_t request(test_t *test, memory_site_t *site, const char *cookie, apr_size_t len,
                            djs_answer_t *answer)
{
    const char *header = apr_pstrcat(test->pool, "sessionid=", cookie, NULL);
    djs_middleware_t *mw = djs_middleware_begin(test->ctx, &site->site, header);
    const char *text;

    assert_status(test->ctx, djs_random_string(test->ctx, "0123456789abcdefghijklmnopqrstuvwxyz"
                                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ+/", len, &text),
                  APR_SUCCESS, "chance");
    djs_session_set(test->ctx, mw->session, djs_bytes("k"),
                    djs_value_make_str(test->pool, djs_bytes(text)));
    return djs_middleware_finish(test->ctx, mw, 200, 0, NULL, 0, answer);
}

/* The lengths around the limit, one by one: what is sent never is above it. */
static void a_cookie_that_no_browser_keeps_is_refused_and_the_old_one_stays(void **state)
{
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(layouts); i++) {
        memory_site_t *site = site_of(test, layouts[i]);
        const char *cookie = saved(test, site, "{\"a\":1}");
        apr_size_t len, largest = 0;
        int refused = 0;

        for (len = 2800; len < 4000; len += 20) {
            djs_answer_t answer;
            apr_status_t rv = request(test, site, cookie, len, &answer);

            if (rv == APR_SUCCESS) {
                apr_size_t size = strlen(answer.set_cookie);

                assert_in_range(size, 1, DJS_COOKIE_SIZE_MAX);
                largest = size > largest ? size : largest;
                continue;
            }
            refused++;
            assert_status(test->ctx, rv, DJS_ELIMIT, "too large");
            assert_number(answer.status, 500, "the application's doing");
            assert_text(answer.set_cookie, NULL, "the old one stays");
            assert_number(answer.saved, 0, "nothing was saved");
            assert_non_null(strstr(test->ctx->problem, "bytes"));
            djs_forget(test->ctx);
        }
        assert_in_range(largest, DJS_COOKIE_SIZE_MAX - 100, DJS_COOKIE_SIZE_MAX);
        assert_in_range(refused, 1, 59);
    }
}

static void attributes_count_and_so_does_anonymous(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_of(test, DJS_WIRE_COOKIE);
    char *path = apr_palloc(test->pool, 4001);
    const char *cookie = saved(test, site, "{\"a\":1}");
    djs_answer_t answer;

    memset(path, 'p', 4000);
    path[0] = '/';
    path[4000] = '\0';
    site->settings.cookie_path = path;
    site->settings.on_store_error = DJS_ON_STORE_ERROR_ANONYMOUS;
    assert_status(test->ctx, request(test, site, cookie, 10, &answer), DJS_ELIMIT, "a long path");
    assert_number(answer.status, 500, "no store has failed");
    assert_text(answer.set_cookie, NULL, "the old one stays");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(every_cookie_of_the_vectors_is_read_as_django_reads_it),
        TEST(a_cookie_of_django_3_0_is_read_and_written_anew_with_sha256),
        TEST(every_save_makes_another_key_that_holds_the_session),
        TEST(a_value_dies_of_age_whatever_expiry_the_session_has),
        TEST(the_end_is_counted_from_the_whole_second_of_the_save),
        TEST(every_changed_byte_makes_it_a_strangers),
        TEST(one_engine_does_not_take_the_others_values),
        TEST(an_encrypted_cookie_is_of_no_use_under_another_name),
        TEST(fallback_keys_read_and_the_secret_key_writes),
        TEST(what_is_genuine_and_unreadable_is_not_replaced_by_a_look),
        TEST(cycling_saves_and_flushing_empties),
        TEST(the_engine_itself_stores_nothing_and_says_so),
        TEST(a_cookie_is_renewed_when_the_interval_has_passed),
        TEST(a_lifetime_ends_a_cookie_and_its_copies),
        TEST(a_cookie_that_no_browser_keeps_is_refused_and_the_old_one_stays),
        TEST(attributes_count_and_so_does_anonymous),
    };

    return RUN_TESTS(tests);
}
