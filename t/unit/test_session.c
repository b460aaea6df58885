/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SessionBase: what each operation touches, what comes of a key, how it is stored.
 */
#include "support.h"

#include <string.h>

#include "json.h"
#include "memory_engine.h"

#define KEY "abcdefghijklmnopqrstuvwxyz012345"
#define OTHER "zyxwvutsrqponmlkjihgfedcba543210"
#define LATER (TEST_NOW + apr_time_from_sec(100))

static djs_value_t *str(test_t *test, const char *text)
{
    return djs_value_make_str(test->pool, djs_bytes(text));
}

static djs_value_t *read_json(test_t *test, const char *json)
{
    djs_value_t *value;

    assert_status(test->ctx, djs_json_loads(test->ctx, DJS_JSON_UTF8, djs_bytes(json), &value),
                  APR_SUCCESS, json);
    return value;
}

/* A site with the session {"a":1} under KEY. */
static memory_site_t *site_with_session(test_t *test)
{
    memory_site_t *site = memory_site_make(test->pool);

    memory_site_put(test->ctx, site, KEY, "{\"a\":1}", LATER);
    return site;
}

/* Bytes that no key of ours signed. */
static void put_unreadable(memory_site_t *site, const char *key)
{
    djs_record_t record;

    record.data = djs_bytes("not ours:x:y");
    record.expires = LATER;
    memory_engine_put(site->memory, key, &record);
}

/* --- what touches, what modifies (spec 1.3) --- */

static void do_nothing(test_t *test, djs_session_t *session)
{
    (void)test;
    (void)session;
}

static void do_get(test_t *test, djs_session_t *session)
{
    assert_non_null(djs_session_get(test->ctx, session, djs_bytes("a")));
}

static void do_get_missing(test_t *test, djs_session_t *session)
{
    assert_null(djs_session_get(test->ctx, session, djs_bytes("b")));
}

static void do_has_key(test_t *test, djs_session_t *session)
{
    assert_true(djs_session_has_key(test->ctx, session, djs_bytes("a")));
}

static void do_set_equal(test_t *test, djs_session_t *session)
{
    djs_session_set(test->ctx, session, djs_bytes("a"), djs_value_make_int(test->pool, 1));
}

static void do_delete(test_t *test, djs_session_t *session)
{
    assert_status(test->ctx, djs_session_delete_key(test->ctx, session, djs_bytes("a")),
                  APR_SUCCESS, "a is there");
}

static void do_delete_missing(test_t *test, djs_session_t *session)
{
    assert_status(test->ctx, djs_session_delete_key(test->ctx, session, djs_bytes("b")),
                  APR_NOTFOUND, "KeyError");
}

static void do_pop(test_t *test, djs_session_t *session)
{
    assert_non_null(djs_session_pop(test->ctx, session, djs_bytes("a")));
}

static void do_pop_missing(test_t *test, djs_session_t *session)
{
    assert_null(djs_session_pop(test->ctx, session, djs_bytes("b")));
}

static void do_setdefault(test_t *test, djs_session_t *session)
{
    djs_value_t *two = djs_value_make_int(test->pool, 2);

    assert_ptr_equal(djs_session_setdefault(test->ctx, session, djs_bytes("b"), two), two);
}

static void do_setdefault_there(test_t *test, djs_session_t *session)
{
    djs_value_t *two = djs_value_make_int(test->pool, 2);

    assert_ptr_not_equal(djs_session_setdefault(test->ctx, session, djs_bytes("a"), two), two);
}

static void do_update(test_t *test, djs_session_t *session)
{
    djs_session_update(test->ctx, session, read_json(test, "{\"b\":2}"));
}

static void do_update_nothing(test_t *test, djs_session_t *session)
{
    djs_session_update(test->ctx, session, djs_value_make_dict(test->pool));
}

static void do_items(test_t *test, djs_session_t *session)
{
    assert_number(djs_value_len(djs_session_data(test->ctx, session)), 1, "one item");
}

static void do_clear(test_t *test, djs_session_t *session)
{
    djs_session_clear(test->ctx, session);
}

static void do_flush(test_t *test, djs_session_t *session)
{
    djs_session_flush(test->ctx, session);
}

static void do_cycle(test_t *test, djs_session_t *session)
{
    djs_session_cycle_key(test->ctx, session);
}

static void do_set_test_cookie(test_t *test, djs_session_t *session)
{
    djs_session_set_test_cookie(test->ctx, session);
}

static void do_test_cookie_worked(test_t *test, djs_session_t *session)
{
    assert_false(djs_session_test_cookie_worked(test->ctx, session));
}

static void do_delete_test_cookie_missing(test_t *test, djs_session_t *session)
{
    assert_status(test->ctx, djs_session_delete_test_cookie(test->ctx, session), APR_NOTFOUND,
                  "KeyError");
}

static void do_expiry_seconds(test_t *test, djs_session_t *session)
{
    djs_session_set_expiry_seconds(test->ctx, session, 0);
}

static void do_expiry_none(test_t *test, djs_session_t *session)
{
    djs_session_set_expiry_none(test->ctx, session);
}

static void do_expiry_query(test_t *test, djs_session_t *session)
{
    djs_expiry_t expiry;

    assert_status(test->ctx, djs_session_expiry(test->ctx, session, &expiry), APR_SUCCESS, "age");
}

static void do_load(test_t *test, djs_session_t *session)
{
    assert_status(test->ctx, djs_session_load(test->ctx, session), APR_SUCCESS, "load");
}

static void do_set_modified(test_t *test, djs_session_t *session)
{
    (void)test;
    djs_session_set_modified(session);
}

static void each_operation_sets_the_flags_that_django_sets(void **state)
{
    static const struct {
        const char *name;
        void (*act)(test_t *test, djs_session_t *session);
        int accessed, modified, loads;
        const char *after;
    } cases[] = {
        { "nothing", do_nothing, 0, 0, 0, "{\"a\":1}" },
        { "get", do_get, 1, 0, 1, "{\"a\":1}" },
        { "get of a missing key", do_get_missing, 1, 0, 1, "{\"a\":1}" },
        { "has_key", do_has_key, 1, 0, 1, "{\"a\":1}" },
        { "set to an equal value", do_set_equal, 1, 1, 1, "{\"a\":1}" },
        { "del", do_delete, 1, 1, 1, "{}" },
        { "del of a missing key", do_delete_missing, 1, 0, 1, "{\"a\":1}" },
        { "pop", do_pop, 1, 1, 1, "{}" },
        { "pop of a missing key", do_pop_missing, 1, 0, 1, "{\"a\":1}" },
        { "setdefault", do_setdefault, 1, 1, 1, "{\"a\":1,\"b\":2}" },
        { "setdefault of what is there", do_setdefault_there, 1, 0, 1, "{\"a\":1}" },
        { "update", do_update, 1, 1, 1, "{\"a\":1,\"b\":2}" },
        { "update with nothing", do_update_nothing, 1, 1, 1, "{\"a\":1}" },
        { "items", do_items, 1, 0, 1, "{\"a\":1}" },
        { "clear loads nothing", do_clear, 1, 1, 0, "{}" },
        { "flush loads nothing", do_flush, 1, 1, 0, "{}" },
        { "cycle_key loads", do_cycle, 1, 1, 1, "{\"a\":1}" },
        { "set_test_cookie", do_set_test_cookie, 1, 1, 1, "{\"a\":1,\"testcookie\":\"worked\"}" },
        { "test_cookie_worked", do_test_cookie_worked, 1, 0, 1, "{\"a\":1}" },
        { "delete_test_cookie without one", do_delete_test_cookie_missing, 1, 0, 1, "{\"a\":1}" },
        { "set_expiry(0)", do_expiry_seconds, 1, 1, 1, "{\"a\":1,\"_session_expiry\":0}" },
        { "set_expiry(None) without one", do_expiry_none, 1, 0, 1, "{\"a\":1}" },
        { "get_expiry_age", do_expiry_query, 1, 0, 1, "{\"a\":1}" },
        { "load", do_load, 0, 0, 1, "{\"a\":1}" },
        { "modified = True", do_set_modified, 0, 1, 0, "{\"a\":1}" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memory_site_t *site = site_with_session(test);
        djs_session_t *session = memory_site_session(test->ctx, site, KEY);

        cases[i].act(test, session);
        assert_number(djs_session_accessed(session), cases[i].accessed, cases[i].name);
        assert_number(djs_session_modified(session), cases[i].modified, cases[i].name);
        assert_number(site->memory->loads, cases[i].loads, cases[i].name);
        assert_number(memory_engine_calls(site->memory), cases[i].loads,
                      "the engine is asked for nothing else before the save");
        assert_text(memory_session_json(test->ctx, session), cases[i].after, cases[i].name);
    }
}

static void a_session_without_a_cookie_asks_the_engine_for_nothing(void **state)
{
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    djs_session_t *session = memory_site_session(test->ctx, site, NULL);

    assert_true(djs_session_is_empty(session));
    assert_text(memory_session_json(test->ctx, session), "{}", "no data");
    assert_number(memory_engine_calls(site->memory), 0, "nothing to ask for (D-8)");
    assert_number(djs_session_status(session), DJS_SESSION_NEW, "status");
    assert_text(djs_reason_name(djs_session_reason(session)), "no-cookie", "reason");
}

static void only_where_no_key_came_and_nothing_was_done_there_is_surely_none(void **state)
{
    static const struct { const char *key; int none; const char *reason, *why; } cases[] = {
        { NULL, 1, "no-cookie", "no cookie came" },
        { "short", 1, "bad-key", "nor one that could be a key" },
        { "unknownabcdefgh", 0, "", "the engine has to be asked" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memory_site_t *site = memory_site_make(test->pool);
        djs_session_t *session = memory_site_session(test->ctx, site, cases[i].key);

        assert_number(djs_session_finds_none(session), cases[i].none, cases[i].why);
        assert_number(djs_session_accessed(session), cases[i].none, cases[i].why);
        assert_number(djs_session_status(session),
                      cases[i].none ? DJS_SESSION_NEW : DJS_SESSION_UNREAD, cases[i].why);
        assert_text(djs_reason_name(djs_session_reason(session)), cases[i].reason, cases[i].why);
        assert_number(memory_engine_calls(site->memory), 0, cases[i].why);
        djs_session_set(test->ctx, session, djs_bytes("a"), str(test, "x"));
        assert_number(djs_session_finds_none(session), 0, "something was put in");
        assert_text(memory_session_json(test->ctx, session), "{\"a\":\"x\"}", cases[i].why);
        assert_status(test->ctx, djs_session_save(test->ctx, session), APR_SUCCESS, cases[i].why);
        assert_text(memory_site_get(test->ctx, site, djs_session_key(session)), "{\"a\":\"x\"}",
                    cases[i].why);
    }
}

static void the_test_cookie_is_set_found_and_deleted(void **state)
{
    test_t *test = *state;
    djs_session_t *session = memory_site_session(test->ctx, memory_site_make(test->pool), NULL);

    djs_session_set_test_cookie(test->ctx, session);
    assert_true(djs_session_test_cookie_worked(test->ctx, session));
    assert_status(test->ctx, djs_session_delete_test_cookie(test->ctx, session), APR_SUCCESS,
                  "it is there");
    assert_false(djs_session_test_cookie_worked(test->ctx, session));
}

static void upkeep_ends_with_the_next_change(void **state)
{
    test_t *test = *state;
    djs_session_t *session = memory_site_session(test->ctx, site_with_session(test), KEY);

    djs_session_set_test_cookie(test->ctx, session);
    assert_false(djs_session_is_upkeep(session));
    djs_session_set_upkeep(session);
    djs_session_get(test->ctx, session, djs_bytes("a"));
    assert_true(djs_session_is_upkeep(session));
    djs_session_set(test->ctx, session, djs_bytes("b"), str(test, "x"));
    assert_false(djs_session_is_upkeep(session));
}

/* --- keys (spec 1.1, 1.5) --- */

static void a_key_has_eight_characters_or_more(void **state)
{
    static const struct { const char *key; int valid; const char *why; } cases[] = {
        { "", 0, "empty" },
        { "1234567", 0, "seven" },
        { "12345678", 1, "eight" },
        { "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 0, "seven, in 14 bytes" },
        { "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 1, "eight, too" },
        { "        ", 1, "characters are not checked" },
        { "../../../../etc/passwd", 1, "that is the engines' business" },
        { "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
          1, "no upper limit" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memory_site_t *site = memory_site_make(test->pool);
        djs_session_t *session = memory_site_session(test->ctx, site, cases[i].key);

        assert_text(djs_session_key(session), cases[i].valid ? cases[i].key : NULL, cases[i].why);
        assert_number(djs_session_is_empty(session), !cases[i].valid, cases[i].why);
        assert_status(test->ctx, djs_session_load(test->ctx, session), APR_SUCCESS, cases[i].why);
        assert_text(djs_session_key(session), NULL, "unknown, so never adopted");
        assert_text(djs_reason_name(djs_session_reason(session)),
                    cases[i].valid ? "unknown-key" : "bad-key", cases[i].why);
        assert_number(site->memory->loads, cases[i].valid, "asked only for what can be there");
    }
}

static void what_a_key_leads_to_is_told(void **state)
{
    test_t *test = *state;
    static const struct {
        const char *key;
        djs_session_status_t status;
        const char *reason;
        int key_stays;
    } cases[] = {
        { "livelivelive", DJS_SESSION_ACTIVE, "", 1 },
        { "unknownunknown", DJS_SESSION_NEW, "unknown-key", 0 },
        { "expiredexpired", DJS_SESSION_NEW, "unknown-key", 0 },
        { "forgedforged", DJS_SESSION_INVALID, "bad-signature", 1 },
        { "nodictionary", DJS_SESSION_INVALID, "unreadable", 1 },
    };
    memory_site_t *site = memory_site_make(test->pool);
    size_t i;

    memory_site_put(test->ctx, site, "livelivelive", "{}", TEST_NOW + 1);
    memory_site_put(test->ctx, site, "expiredexpired", "{}", TEST_NOW);
    memory_site_put(test->ctx, site, "nodictionary", "[1]", LATER);
    put_unreadable(site, "forgedforged");
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_session_t *session = memory_site_session(test->ctx, site, cases[i].key);

        assert_number(djs_session_status(session), DJS_SESSION_UNREAD, "nobody has looked");
        assert_text(memory_session_json(test->ctx, session), "{}", cases[i].key);
        assert_number(djs_session_status(session), cases[i].status, cases[i].key);
        assert_text(djs_reason_name(djs_session_reason(session)), cases[i].reason, cases[i].key);
        assert_number(djs_session_key(session) != NULL, cases[i].key_stays, cases[i].key);
        assert_number(djs_session_problem(session) != NULL,
                      cases[i].status == DJS_SESSION_INVALID, "what is wrong with it");
        assert_null(test->ctx->problem);
    }
}

static void of_several_keys_each_is_tried_until_one_works(void **state)
{
    static const struct { const char *keys[3]; int count; const char *taken, *status; } cases[] = {
        { { "unknownunknown", KEY }, 2, KEY, "active" },
        { { KEY, "unknownunknown" }, 2, KEY, "active" },
        { { "short", "forgedforged", KEY }, 3, KEY, "active" },
        { { "unknownunknown", "forgedforged", "forgedforge2" }, 3, "forgedforged", "invalid" },
        { { "unknownunknown", "alsounknown" }, 2, NULL, "new" },
        { { "short", "" }, 2, NULL, "new" },
    };
    test_t *test = *state;
    memory_site_t *site = site_with_session(test);
    size_t i;

    put_unreadable(site, "forgedforged");
    put_unreadable(site, "forgedforge2");
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_session_t *session = djs_session_make(test->ctx, &site->site, cases[i].keys,
                                                  cases[i].count);

        assert_status(test->ctx, djs_session_load(test->ctx, session), APR_SUCCESS, "load");
        assert_text(djs_session_key(session), cases[i].taken, cases[i].keys[0]);
        assert_text(djs_session_status_name(djs_session_status(session)), cases[i].status,
                    cases[i].keys[0]);
    }
}

static void a_flush_of_one_of_several_keys_ends_the_session_that_works(void **state)
{
    static const char *const keys[] = { "unknownunknown", KEY };
    test_t *test = *state;
    memory_site_t *site = site_with_session(test);
    djs_session_t *session = djs_session_make(test->ctx, &site->site, keys, 2);

    djs_session_flush(test->ctx, session);
    assert_status(test->ctx, djs_session_settle(test->ctx, session), APR_SUCCESS, "settle");
    assert_null(memory_engine_get(site->memory, KEY));
}

static void new_keys_are_32_of_36_characters_and_never_alike(void **state)
{
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    int i;

    for (i = 0; i < 50; i++) {
        djs_session_t *session = memory_site_session(test->ctx, site, NULL);

        assert_status(test->ctx, djs_session_create(test->ctx, session), APR_SUCCESS, "create");
        assert_number(strlen(djs_session_key(session)), 32, djs_session_key(session));
        assert_number(strspn(djs_session_key(session), "abcdefghijklmnopqrstuvwxyz0123456789"), 32,
                      djs_session_key(session));
    }
    assert_number(memory_engine_count(site->memory), 50, "all different");
}

static void a_new_key_is_drawn_again_while_it_is_taken_but_not_for_ever(void **state)
{
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    djs_session_t *session = memory_site_session(test->ctx, site, NULL);

    site->memory->taken = 3;
    assert_status(test->ctx, djs_session_create(test->ctx, session), APR_SUCCESS, "the fourth");
    assert_number(site->memory->creates, 4, "tries");
    site->memory->taken = 1000000;
    assert_status(test->ctx, djs_session_create(test->ctx, session), DJS_ESTORE, "all taken");
    assert_true(site->memory->creates < 100);
}

/* --- storing (spec 1.4) --- */

static void save_stores_under_the_key_that_the_session_has(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with_session(test);
    djs_session_t *session = memory_site_session(test->ctx, site, KEY);

    djs_session_set(test->ctx, session, djs_bytes("b"), str(test, "x"));
    assert_status(test->ctx, djs_session_save(test->ctx, session), APR_SUCCESS, "save");
    assert_text(memory_site_get(test->ctx, site, KEY), "{\"a\":1,\"b\":\"x\"}", "stored");
    assert_number(memory_engine_get(site->memory, KEY)->expires,
                  TEST_NOW + apr_time_from_sec(1209600), "its life begins again");
    assert_text(djs_session_key(session), KEY, "the key stays");
    assert_false(djs_session_modified(session));
    assert_text(memory_session_json(test->ctx, session), "{\"a\":1,\"b\":\"x\"}", "the data stays");
}

static void save_without_a_key_makes_one(void **state)
{
    test_t *test = *state;
    static const char *const keys[] = { NULL, "short", "unknownunknown" };
    size_t i;

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        memory_site_t *site = memory_site_make(test->pool);
        djs_session_t *session = memory_site_session(test->ctx, site, keys[i]);

        djs_session_set(test->ctx, session, djs_bytes("b"), str(test, "x"));
        assert_status(test->ctx, djs_session_save(test->ctx, session), APR_SUCCESS, "save");
        assert_text(memory_site_get(test->ctx, site, djs_session_key(session)), "{\"b\":\"x\"}",
                    "stored");
        assert_number(memory_engine_count(site->memory), 1, "and nothing else");
        assert_number(djs_session_status(session), DJS_SESSION_ACTIVE, "there is one now");
    }
}

static void a_session_deleted_meanwhile_is_not_resurrected(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with_session(test);
    djs_session_t *session = memory_site_session(test->ctx, site, KEY);

    djs_session_set(test->ctx, session, djs_bytes("b"), str(test, "x"));
    memory_engine_put(site->memory, KEY, NULL);
    assert_status(test->ctx, djs_session_save(test->ctx, session), DJS_EINTERRUPTED, "save");
    djs_session_cycle_key(test->ctx, session);
    assert_status(test->ctx, djs_session_save(test->ctx, session), DJS_EINTERRUPTED, "cycle");
    assert_number(memory_engine_count(site->memory), 0, "nothing is there");
}

static void a_session_changed_meanwhile_is_a_conflict(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with_session(test);
    djs_session_t *session = memory_site_session(test->ctx, site, KEY);

    djs_session_set(test->ctx, session, djs_bytes("b"), str(test, "x"));
    memory_site_put(test->ctx, site, KEY, "{\"a\":2}", LATER);
    assert_status(test->ctx, djs_session_save(test->ctx, session), DJS_ECONFLICT, "save");
    djs_session_cycle_key(test->ctx, session);
    assert_status(test->ctx, djs_session_save(test->ctx, session), DJS_ECONFLICT, "cycle");
    assert_text(memory_site_get(test->ctx, site, KEY), "{\"a\":2}", "the other's change stays");
    assert_number(memory_engine_count(site->memory), 1, "the new record was taken back");
}

static void of_two_who_claim_a_record_one_gets_it(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with_session(test);
    djs_session_t *one = memory_site_session(test->ctx, site, KEY);
    djs_session_t *other = memory_site_session(test->ctx, site, KEY);

    assert_status(test->ctx, djs_session_load(test->ctx, other), APR_SUCCESS, "both have read it");
    assert_status(test->ctx, djs_session_claim(test->ctx, one), APR_SUCCESS, "the first");
    assert_status(test->ctx, djs_session_claim(test->ctx, other), APR_NOTFOUND, "the second");
    assert_number(memory_engine_count(site->memory), 0, "it is gone");
    assert_true(djs_session_has_key(test->ctx, one, djs_bytes("a")));
    assert_null(djs_session_key(one));
    assert_status(test->ctx, djs_session_claim(test->ctx, memory_site_session(test->ctx, site, KEY)),
                  APR_NOTFOUND, "who comes later");
}

static void a_record_that_was_changed_meanwhile_is_nobodys_to_claim(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with_session(test);
    djs_session_t *session = memory_site_session(test->ctx, site, KEY);

    assert_status(test->ctx, djs_session_load(test->ctx, session), APR_SUCCESS, "read");
    memory_site_put(test->ctx, site, KEY, "{\"a\":2}", LATER);
    assert_status(test->ctx, djs_session_claim(test->ctx, session), APR_NOTFOUND, "claimed");
    assert_text(memory_site_get(test->ctx, site, KEY), "{\"a\":2}", "the other's change stays");
}

static void clear_then_save_keeps_the_key_and_asks_for_the_record_once(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with_session(test);
    djs_session_t *session = memory_site_session(test->ctx, site, KEY);

    djs_session_clear(test->ctx, session);
    assert_false(djs_session_is_empty(session));
    assert_status(test->ctx, djs_session_save(test->ctx, session), APR_SUCCESS, "save");
    assert_text(memory_site_get(test->ctx, site, KEY), "{}", "empty, and there");
    assert_text(djs_session_key(session), KEY, "the key stays");
}

static void clear_revives_an_expired_session_and_not_an_unknown_one(void **state)
{
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    djs_session_t *session = memory_site_session(test->ctx, site, KEY);

    djs_session_clear(test->ctx, session);
    assert_status(test->ctx, djs_session_save(test->ctx, session), DJS_EINTERRUPTED, "unknown");
    memory_site_put(test->ctx, site, KEY, "{\"a\":1}", TEST_NOW - 1);
    session = memory_site_session(test->ctx, site, KEY);
    djs_session_clear(test->ctx, session);
    assert_status(test->ctx, djs_session_save(test->ctx, session), APR_SUCCESS, "expired");
    assert_text(memory_site_get(test->ctx, site, KEY), "{}", "as Django does");
}

static void save_new_overwrites_nothing(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with_session(test);
    djs_session_t *session = memory_site_session(test->ctx, site, KEY);

    assert_status(test->ctx, djs_session_save_new(test->ctx, session), APR_EEXIST, "CreateError");
    assert_text(memory_site_get(test->ctx, site, KEY), "{\"a\":1}", "left alone");
    session = memory_site_session(test->ctx, site, OTHER);
    assert_status(test->ctx, djs_session_save_new(test->ctx, session), APR_SUCCESS, "free");
    assert_text(memory_site_get(test->ctx, site, OTHER), "{}", "stored without loading");
    session = memory_site_session(test->ctx, site, NULL);
    assert_status(test->ctx, djs_session_save_new(test->ctx, session), APR_SUCCESS, "no key");
    assert_number(memory_engine_count(site->memory), 3, "create() did it");
}

static void create_makes_a_record_at_once(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with_session(test);
    djs_session_t *session = memory_site_session(test->ctx, site, KEY);

    assert_status(test->ctx, djs_session_create(test->ctx, session), APR_SUCCESS, "unloaded");
    assert_text(memory_site_get(test->ctx, site, djs_session_key(session)), "{}", "{}");
    assert_true(djs_session_modified(session));
    session = memory_site_session(test->ctx, site, KEY);
    assert_text(memory_session_json(test->ctx, session), "{\"a\":1}", "load");
    assert_status(test->ctx, djs_session_create(test->ctx, session), APR_SUCCESS, "loaded");
    assert_text(memory_site_get(test->ctx, site, djs_session_key(session)), "{\"a\":1}", "a copy");
    assert_text(memory_site_get(test->ctx, site, KEY), "{\"a\":1}", "the old one is left alone");
}

static void a_negative_expiry_stores_a_dead_record(void **state)
{
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    djs_session_t *session = memory_site_session(test->ctx, site, NULL);

    djs_session_set_expiry_seconds(test->ctx, session, -10);
    assert_status(test->ctx, djs_session_save(test->ctx, session), APR_SUCCESS, "save");
    session = memory_site_session(test->ctx, site, djs_session_key(session));
    assert_text(memory_session_json(test->ctx, session), "{}", "a new object finds nothing");
}

static void an_unusable_expiry_is_not_saved(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with_session(test);
    djs_session_t *session = memory_site_session(test->ctx, site, KEY);

    djs_session_set(test->ctx, session, djs_bytes("_session_expiry"), str(test, "soon"));
    assert_status(test->ctx, djs_session_save(test->ctx, session), DJS_EFORMAT, "soon");
    assert_text(memory_site_get(test->ctx, site, KEY), "{\"a\":1}", "untouched");
}

/* --- flush, cycle_key: owed until saved --- */

static void flush_and_cycle_change_nothing_until_they_are_settled(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with_session(test);
    djs_session_t *session = memory_site_session(test->ctx, site, KEY);

    djs_session_cycle_key(test->ctx, session);
    assert_true(djs_session_owes(session));
    assert_null(djs_session_key(session));
    assert_false(djs_session_is_empty(session));
    djs_session_flush(test->ctx, session);
    assert_true(djs_session_is_empty(session));
    assert_text(memory_site_get(test->ctx, site, KEY), "{\"a\":1}", "still there");
    assert_status(test->ctx, djs_session_settle(test->ctx, session), APR_SUCCESS, "settle");
    assert_false(djs_session_owes(session));
    assert_number(memory_engine_count(site->memory), 0, "gone, and nothing new");
}

static void cycle_key_keeps_the_data_under_a_new_key(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with_session(test);
    djs_session_t *session = memory_site_session(test->ctx, site, KEY);

    djs_session_cycle_key(test->ctx, session);
    assert_status(test->ctx, djs_session_settle(test->ctx, session), APR_SUCCESS, "settle");
    assert_string_not_equal(djs_session_key(session), KEY);
    assert_text(memory_site_get(test->ctx, site, djs_session_key(session)), "{\"a\":1}", "moved");
    assert_number(memory_engine_count(site->memory), 1, "the old one is gone");
}

static void cycle_key_of_an_empty_session_makes_one(void **state)
{
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    djs_session_t *session = memory_site_session(test->ctx, site, NULL);

    djs_session_cycle_key(test->ctx, session);
    assert_false(djs_session_is_empty(session));
    assert_status(test->ctx, djs_session_save(test->ctx, session), APR_SUCCESS, "save");
    assert_text(memory_site_get(test->ctx, site, djs_session_key(session)), "{}", "stored");
}

static void what_is_set_after_a_flush_lives_under_a_new_key(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with_session(test);
    djs_session_t *session = memory_site_session(test->ctx, site, KEY);

    djs_session_flush(test->ctx, session);
    djs_session_set(test->ctx, session, djs_bytes("b"), str(test, "x"));
    djs_session_cycle_key(test->ctx, session);
    assert_status(test->ctx, djs_session_save(test->ctx, session), APR_SUCCESS, "save");
    assert_text(memory_site_get(test->ctx, site, djs_session_key(session)), "{\"b\":\"x\"}",
                "stored");
    assert_null(memory_engine_get(site->memory, KEY));
}

/* Another request saves the session at the moment when its old record is about to be replaced. */
static void save_old_first(void *baton, memory_engine_t *memory, const char *operation)
{
    djs_record_t *record = baton;

    if (strcmp(operation, "replace") == 0) {
        memory_engine_put(memory, KEY, record);
    }
}

static void a_save_between_the_steps_of_a_cycle_is_not_lost(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with_session(test);
    djs_session_t *session = memory_site_session(test->ctx, site, KEY);
    djs_record_t others;

    memory_site_put(test->ctx, site, OTHER, "{\"a\":2}", LATER);
    others = *memory_engine_get(site->memory, OTHER);
    memory_engine_put(site->memory, OTHER, NULL);
    djs_session_cycle_key(test->ctx, session);
    site->memory->step = save_old_first;
    site->memory->baton = &others;
    assert_status(test->ctx, djs_session_save(test->ctx, session), DJS_ECONFLICT, "save");
    assert_text(memory_site_get(test->ctx, site, KEY), "{\"a\":2}", "kept");
    assert_number(memory_engine_count(site->memory), 1, "the new record was taken back");
}

/* --- what cannot be read --- */

static void an_unreadable_record_is_never_overwritten_nor_removed(void **state)
{
    static const struct {
        const char *name;
        void (*act)(test_t *test, djs_session_t *session);
        const char *stored;
    } cases[] = {
        { "set", do_set_equal, "{\"a\":1}" },
        { "clear", do_clear, "{}" },
        { "cycle_key", do_cycle, "{}" },
        { "flush", do_flush, NULL },
        { "modified = True", do_set_modified, "{}" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memory_site_t *site = memory_site_make(test->pool);
        djs_session_t *session = memory_site_session(test->ctx, site, KEY);

        put_unreadable(site, KEY);
        cases[i].act(test, session);
        assert_status(test->ctx, cases[i].stored ? djs_session_save(test->ctx, session)
                                                 : djs_session_settle(test->ctx, session),
                      APR_SUCCESS, cases[i].name);
        assert_text(memory_site_get(test->ctx, site, KEY), "(unreadable)", cases[i].name);
        assert_number(memory_engine_get(site->memory, KEY)->expires, LATER, cases[i].name);
        if (cases[i].stored != NULL) {
            assert_string_not_equal(djs_session_key(session), KEY);
            assert_text(memory_site_get(test->ctx, site, djs_session_key(session)),
                        cases[i].stored, cases[i].name);
        }
    }
}

static void what_is_known_to_be_unreadable_is_owed_nothing(void **state)
{
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    djs_session_t *session = memory_site_session(test->ctx, site, KEY);

    put_unreadable(site, KEY);
    assert_status(test->ctx, djs_session_load(test->ctx, session), APR_SUCCESS, "load");
    djs_session_flush(test->ctx, session);
    assert_false(djs_session_owes(session));
    assert_status(test->ctx, djs_session_settle(test->ctx, session), APR_SUCCESS, "settle");
    assert_number(memory_engine_calls(site->memory), 1, "nobody asks again");
}

/* --- a store that does not answer --- */

static void a_store_that_is_down_is_asked_once_and_nothing_is_concluded(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with_session(test);
    djs_session_t *session = memory_site_session(test->ctx, site, KEY);

    site->memory->down = 1;
    assert_status(test->ctx, djs_session_load(test->ctx, session), DJS_ESTORE, "load");
    assert_status(test->ctx, djs_session_load(test->ctx, session), DJS_ESTORE, "again");
    assert_number(site->memory->loads, 1, "asked once");
    assert_number(djs_session_status(session), DJS_SESSION_ERROR, "status");
    assert_text(djs_reason_name(djs_session_reason(session)), "store-error", "reason");
    assert_false(djs_session_is_empty(session));
    site->memory->down = 0;
    djs_session_set(test->ctx, session, djs_bytes("b"), str(test, "x"));
    assert_status(test->ctx, djs_session_save(test->ctx, session), DJS_ESTORE,
                  "what was never read is not replaced");
    djs_session_clear(test->ctx, session);
    assert_status(test->ctx, djs_session_save(test->ctx, session), DJS_ESTORE, "nor cleared");
    djs_session_cycle_key(test->ctx, session);
    assert_status(test->ctx, djs_session_save(test->ctx, session), DJS_ESTORE, "nor moved");
    assert_text(memory_site_get(test->ctx, site, KEY), "{\"a\":1}", "untouched");
    assert_number(memory_engine_count(site->memory), 1, "nothing new");
}

static void a_store_that_fails_in_the_middle_of_a_move_loses_nothing(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with_session(test);
    djs_session_t *session = memory_site_session(test->ctx, site, KEY);

    djs_session_cycle_key(test->ctx, session);
    site->memory->down = 1;
    assert_status(test->ctx, djs_session_save(test->ctx, session), DJS_ESTORE, "create fails");
    site->memory->down = 0;
    djs_forget(test->ctx);
    assert_status(test->ctx, djs_session_save(test->ctx, session), APR_SUCCESS, "and later works");
    assert_text(memory_site_get(test->ctx, site, djs_session_key(session)), "{\"a\":1}", "moved");
    assert_null(memory_engine_get(site->memory, KEY));
}

/* --- after a conflict --- */

static void a_reload_forgets_everything_but_the_key(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with_session(test);
    djs_session_t *session = memory_site_session(test->ctx, site, KEY);

    djs_session_set(test->ctx, session, djs_bytes("b"), str(test, "x"));
    djs_session_cycle_key(test->ctx, session);
    memory_site_put(test->ctx, site, KEY, "{\"a\":2}", LATER);
    assert_status(test->ctx, djs_session_reload(test->ctx, session), APR_SUCCESS, "reload");
    assert_false(djs_session_accessed(session));
    assert_false(djs_session_modified(session));
    assert_false(djs_session_owes(session));
    assert_text(djs_session_key(session), KEY, "the key");
    assert_text(memory_session_json(test->ctx, session), "{\"a\":2}", "what is stored now");
    memory_engine_put(site->memory, KEY, NULL);
    assert_status(test->ctx, djs_session_reload(test->ctx, session), DJS_EINTERRUPTED, "gone");
}

static void a_rebase_puts_the_changes_on_top_of_what_is_stored_now(void **state)
{
    static const struct { const char *before, *meanwhile, *after; const char *why; } cases[] = {
        { "{\"a\":1}", "{\"a\":1,\"c\":3}", "{\"a\":1,\"c\":3,\"b\":\"x\"}", "another key is kept" },
        { "{\"a\":1}", "{\"a\":2}", "{\"a\":2,\"b\":\"x\"}", "also one that we have read" },
        { "{\"gone\":0}", "{\"gone\":5,\"c\":3}", "{\"c\":3,\"b\":\"x\"}", "a deletion stands" },
        { "{\"b\":1}", "{\"b\":7}", "{\"b\":\"x\"}", "of two changes of one key ours is later" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memory_site_t *site = memory_site_make(test->pool);
        djs_session_t *session = memory_site_session(test->ctx, site, KEY);
        djs_session_changes_t *changes;

        memory_site_put(test->ctx, site, KEY, cases[i].before, LATER);
        djs_session_set(test->ctx, session, djs_bytes("b"), str(test, "x"));
        djs_session_pop(test->ctx, session, djs_bytes("gone"));
        memory_site_put(test->ctx, site, KEY, cases[i].meanwhile, LATER);
        changes = djs_session_changes(test->ctx, session);
        assert_status(test->ctx, djs_session_rebase(test->ctx, session, changes), APR_SUCCESS,
                      cases[i].why);
        assert_true(djs_session_modified(session));
        assert_status(test->ctx, djs_session_save(test->ctx, session), APR_SUCCESS, cases[i].why);
        assert_text(memory_site_get(test->ctx, site, KEY), cases[i].after, cases[i].why);
    }
}

static void a_rebased_cycle_still_cycles(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with_session(test);
    djs_session_t *session = memory_site_session(test->ctx, site, KEY);

    djs_session_cycle_key(test->ctx, session);
    djs_session_set(test->ctx, session, djs_bytes("b"), str(test, "x"));
    memory_site_put(test->ctx, site, KEY, "{\"a\":2}", LATER);
    assert_status(test->ctx,
                  djs_session_rebase(test->ctx, session, djs_session_changes(test->ctx, session)),
                  APR_SUCCESS, "rebase");
    assert_status(test->ctx, djs_session_save(test->ctx, session), APR_SUCCESS, "save");
    assert_text(memory_site_get(test->ctx, site, djs_session_key(session)),
                "{\"a\":2,\"b\":\"x\"}", "both changes");
    assert_null(memory_engine_get(site->memory, KEY));
}

static void whether_a_session_is_valid_is_decided_when_it_is_read(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with_session(test);
    djs_session_t *session = memory_site_session(test->ctx, site, KEY);

    assert_text(memory_session_json(test->ctx, session), "{\"a\":1}", "read in time");
    test->ctx->now = LATER + 1;
    djs_session_set(test->ctx, session, djs_bytes("b"), str(test, "x"));
    assert_status(test->ctx, djs_session_reload(test->ctx, session), APR_SUCCESS,
                  "a conflict does not make it expire, either");
    djs_session_set(test->ctx, session, djs_bytes("b"), str(test, "x"));
    assert_status(test->ctx, djs_session_save(test->ctx, session), APR_SUCCESS, "saved late (D-7)");
    assert_text(memory_site_get(test->ctx, site, KEY), "{\"a\":1,\"b\":\"x\"}", "all of it");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(each_operation_sets_the_flags_that_django_sets),
        TEST(a_session_without_a_cookie_asks_the_engine_for_nothing),
        TEST(only_where_no_key_came_and_nothing_was_done_there_is_surely_none),
        TEST(the_test_cookie_is_set_found_and_deleted),
        TEST(upkeep_ends_with_the_next_change),
        TEST(a_key_has_eight_characters_or_more),
        TEST(what_a_key_leads_to_is_told),
        TEST(of_several_keys_each_is_tried_until_one_works),
        TEST(a_flush_of_one_of_several_keys_ends_the_session_that_works),
        TEST(new_keys_are_32_of_36_characters_and_never_alike),
        TEST(a_new_key_is_drawn_again_while_it_is_taken_but_not_for_ever),
        TEST(save_stores_under_the_key_that_the_session_has),
        TEST(save_without_a_key_makes_one),
        TEST(a_session_deleted_meanwhile_is_not_resurrected),
        TEST(a_session_changed_meanwhile_is_a_conflict),
        TEST(clear_then_save_keeps_the_key_and_asks_for_the_record_once),
        TEST(clear_revives_an_expired_session_and_not_an_unknown_one),
        TEST(save_new_overwrites_nothing),
        TEST(create_makes_a_record_at_once),
        TEST(a_negative_expiry_stores_a_dead_record),
        TEST(an_unusable_expiry_is_not_saved),
        TEST(flush_and_cycle_change_nothing_until_they_are_settled),
        TEST(cycle_key_keeps_the_data_under_a_new_key),
        TEST(cycle_key_of_an_empty_session_makes_one),
        TEST(what_is_set_after_a_flush_lives_under_a_new_key),
        TEST(a_save_between_the_steps_of_a_cycle_is_not_lost),
        TEST(an_unreadable_record_is_never_overwritten_nor_removed),
        TEST(what_is_known_to_be_unreadable_is_owed_nothing),
        TEST(a_store_that_is_down_is_asked_once_and_nothing_is_concluded),
        TEST(a_store_that_fails_in_the_middle_of_a_move_loses_nothing),
        TEST(a_reload_forgets_everything_but_the_key),
        TEST(of_two_who_claim_a_record_one_gets_it),
        TEST(a_record_that_was_changed_meanwhile_is_nobodys_to_claim),
        TEST(a_rebase_puts_the_changes_on_top_of_what_is_stored_now),
        TEST(a_rebased_cycle_still_cycles),
        TEST(whether_a_session_is_valid_is_decided_when_it_is_read),
    };

    return RUN_TESTS(tests);
}
