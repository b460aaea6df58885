/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SessionMiddleware: what is saved and what is sent, for each cookie, action, status and setting;
 * and what happens when requests meet.
 */
#include "support.h"

#include <string.h>

#include "json.h"
#include "memory_engine.h"
#include "middleware.h"
#include "stores.h"

#define KEY "abcdefghijklmnopqrstuvwxyz012345"
#define LATER (TEST_NOW + apr_time_from_sec(1000))
#define DELETED "sessionid=\"\"; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; SameSite=Lax"

/* Vectors of the current Django. */
#define FOLLOWED 1180
#define STRICTER 200

static djs_session_t *begin(test_t *test, memory_site_t *site, const char *cookie,
                            djs_middleware_t **mw)
{
    *mw = djs_middleware_begin(test->ctx, &site->site, cookie);
    return (*mw)->session;
}

static djs_update_t *update_of(test_t *test, const char *json)
{
    djs_update_t *update = djs_update_make(test->ctx);

    assert_status(test->ctx, djs_update_parse_json(test->ctx, update, djs_bytes(json)),
                  APR_SUCCESS, json);
    return update;
}

/* A request without an update. */
static apr_status_t finish(test_t *test, djs_middleware_t *mw, int status, djs_answer_t *answer)
{
    return djs_middleware_finish(test->ctx, mw, status, 0, NULL, 0, answer);
}

/* A whole request that does nothing but to send an update. */
static apr_status_t request(test_t *test, memory_site_t *site, const char *cookie, int status,
                            const char *json, djs_answer_t *answer)
{
    djs_middleware_t *mw;

    begin(test, site, cookie, &mw);
    return djs_middleware_finish(test->ctx, mw, status, 0, update_of(test, json), 0, answer);
}

static memory_site_t *site_with(test_t *test, const char *json)
{
    memory_site_t *site = memory_site_make(test->pool);

    memory_site_put(test->ctx, site, KEY, json, LATER);
    return site;
}

static void put_unreadable(memory_site_t *site)
{
    djs_record_t record = { .data = djs_bytes("not ours:x:y"), .expires = LATER,
                            .written = TEST_NOW };

    memory_engine_put(site->memory, KEY, &record);
}

/* --- the vectors --- */

static void set_number(test_t *test, djs_session_t *session, const char *key, int number)
{
    djs_session_set(test->ctx, session, djs_bytes(key), djs_value_make_int(test->pool, number));
}

/* What the view of a vector did. */
static void act(test_t *test, djs_session_t *session, memory_site_t *site, const char *action)
{
    djs_ctx_t *ctx = test->ctx;

    if (strcmp(action, "nothing") == 0) {
        return;
    }
    if (strcmp(action, "read") == 0) {
        djs_session_get(ctx, session, djs_bytes("a"));
    }
    else if (strcmp(action, "set") == 0) {
        djs_session_set(ctx, session, djs_bytes("new"),
                        djs_value_make_str(test->pool, djs_bytes("v")));
    }
    else if (strcmp(action, "set-same") == 0) {
        set_number(test, session, "a", 1);
    }
    else if (strcmp(action, "pop-missing") == 0) {
        djs_session_pop(ctx, session, djs_bytes("missing"));
    }
    else if (strcmp(action, "del") == 0) {
        djs_session_pop(ctx, session, djs_bytes("a"));
    }
    else if (strcmp(action, "setdefault") == 0) {
        djs_session_setdefault(ctx, session, djs_bytes("a"), djs_value_make_int(test->pool, 2));
    }
    else if (strcmp(action, "clear") == 0) {
        djs_session_clear(ctx, session);
    }
    else if (strcmp(action, "flush") == 0) {
        djs_session_flush(ctx, session);
    }
    else if (strcmp(action, "flush-then-set") == 0) {
        djs_session_flush(ctx, session);
        set_number(test, session, "b", 2);
    }
    else if (strcmp(action, "cycle_key") == 0) {
        djs_session_cycle_key(ctx, session);
    }
    else if (strcmp(action, "expiry-0") == 0) {
        djs_session_set_expiry_seconds(ctx, session, 0);
    }
    else if (strcmp(action, "expiry-300") == 0) {
        djs_session_set_expiry_seconds(ctx, session, 300);
    }
    else if (strcmp(action, "expiry-neg") == 0) {
        djs_session_set_expiry_seconds(ctx, session, -300);
    }
    else if (strcmp(action, "expiry-none") == 0) {
        djs_session_set_expiry_none(ctx, session);
    }
    else if (strcmp(action, "test-cookie") == 0) {
        djs_session_set_test_cookie(ctx, session);
    }
    else if (strcmp(action, "modified-flag") == 0) {
        djs_session_set_modified(session);
    }
    else if (strcmp(action, "set-but-deleted-meanwhile") == 0) {
        set_number(test, session, "new", 1);
        memory_engine_put(site->memory, KEY, NULL);
    }
    else {
        fail_msg("a vector has the action %s, which this test does not know", action);
    }
}

/* One vector as it is run. */
typedef struct run_t {
    const json_t *a_case;
    const char *why;
    const char *engine, *cookie, *action;
    int status;
    memory_site_t *site;
    djs_middleware_t *mw;
    djs_answer_t answer;
    apr_status_t rv;
    int was_modified;
} run_t;

/* The session {"a":1} as a cookie that was made at @a then. */
static const char *signed_cookie(test_t *test, const memory_site_t *site, apr_time_t then)
{
    djs_ctx_t ctx = *test->ctx;
    djs_value_t *value = djs_value_make_dict(test->pool);
    djs_bytes_t text;

    ctx.now = then;
    djs_value_set(value, djs_bytes("a"), djs_value_make_int(test->pool, 1));
    assert_status(&ctx, djs_wire_write(&ctx, site->site.wire, value, &text), APR_SUCCESS, "signed");
    return apr_pstrmemdup(test->pool, text.data, text.len);
}

static int is_of_cookies(const run_t *run)
{
    return strcmp(run->engine, "signed_cookies") == 0;
}

/* The cookie of a case whose sessions are in their cookies. */
static const char *make_cookie(test_t *test, const run_t *run)
{
    memory_site_t *site = run->site;
    apr_time_t now = test->ctx->now;
    const char *cookie;

    if (strcmp(run->cookie, "unknown") == 0) {
        return "sessionid=" KEY;
    }
    if (strcmp(run->cookie, "expired") == 0) {
        now -= site->settings.cookie_age + APR_USEC_PER_SEC;
    }
    cookie = signed_cookie(test, site, now);
    if (strcmp(run->cookie, "corrupt") == 0) {
        cookie = apr_pstrcat(test->pool, "x", cookie + 1, NULL);
    }
    return apr_pstrcat(test->pool, "sessionid=", cookie, NULL);
}

static int is_of_files(const run_t *run)
{
    return strcmp(run->engine, "file") == 0;
}

/* A session that has ended, as the case's engine has it. */
static void put_expired(test_t *test, const run_t *run)
{
    memory_site_t *site = run->site;
    apr_time_t now = test->ctx->now;

    if (strcmp(run->engine, "cache") == 0) {
        return; /* it has it no more */
    }
    test->ctx->now -= site->settings.cookie_age; /* in files counts when it was written */
    memory_site_put(test->ctx, site, KEY, "{\"a\":1}", now - APR_USEC_PER_SEC);
    test->ctx->now = now;
}

/* The Cookie header of a case, what is stored before it, and its settings. */
static const char *prepare(test_t *test, run_t *run)
{
    memory_site_t *site = memory_site_make(test->pool);

    run->site = site;
    test->ctx->now = test_time(json_object_get(run->a_case, "now"));
    site->settings.cookie_age = test_time(json_object_get(run->a_case, "cookie_age"));
    site->settings.save_every_request =
        json_is_true(json_object_get(run->a_case, "save_every_request"));
    site->settings.expire_at_browser_close =
        json_is_true(json_object_get(run->a_case, "expire_at_browser_close"));
    if (is_of_files(run)) {
        memory_engine_age(site->memory);
    }
    if (is_of_cookies(run)) {
        site->site.engine = djs_engine_cookies_make(test->pool, DJS_WIRE_COOKIE);
        site->site.wire = djs_wire_make(test->pool, site->site.keys, DJS_WIRE_COOKIE, NULL);
    }
    if (strcmp(run->cookie, "none") == 0) {
        return NULL;
    }
    if (strcmp(run->cookie, "short") == 0) {
        return "sessionid=short";
    }
    if (is_of_cookies(run)) {
        return make_cookie(test, run);
    }
    if (strcmp(run->cookie, "valid") == 0) {
        memory_site_put(test->ctx, site, KEY, "{\"a\":1}", test->ctx->now + APR_USEC_PER_SEC);
    }
    if (strcmp(run->cookie, "expired") == 0) {
        put_expired(test, run);
    }
    if (strcmp(run->cookie, "corrupt") == 0) {
        put_unreadable(site);
    }
    return "sessionid=" KEY;
}

static void run_case(test_t *test, run_t *run)
{
    const char *cookie = prepare(test, run);

    begin(test, run->site, cookie, &run->mw);
    act(test, run->mw->session, run->site, run->action);
    run->was_modified = djs_session_modified(run->mw->session);
    run->rv = finish(test, run->mw, run->status, &run->answer);
}

/* The line of a vector with the key that it stands for; <NEW> must be another one than before. */
static const char *expected_line(test_t *test, const run_t *run, const char *line)
{
    const char *key = djs_session_key(run->mw->session);
    const char *mark = line != NULL ? strchr(line, '<') : NULL;

    if (mark == NULL) {
        return line;
    }
    assert_non_null(key);
    assert_number(strcmp(key, KEY) == 0, strncmp(mark, "<SAME>", 6) == 0, run->why);
    assert_number(is_of_cookies(run), strncmp(mark, "<VALUE>", 7) == 0, run->why);
    return apr_pstrcat(test->pool, apr_pstrmemdup(test->pool, line, (apr_size_t)(mark - line)), key,
                       strchr(mark, '>') + 1, NULL);
}

/* What is inside of the cookie that is sent. */
static void check_cookie(test_t *test, const run_t *run)
{
    const char *expected = vector_text(run->a_case, "cookie_json");
    const char *value = djs_session_key(run->mw->session);
    djs_value_t *data;

    if (expected == NULL) {
        return;
    }
    assert_non_null(value);
    assert_status(test->ctx, djs_wire_inspect(test->ctx, run->site->site.wire, djs_bytes(value),
                                              &data, NULL), APR_SUCCESS, run->why);
    assert_bytes(djs_json_dumps(test->ctx, DJS_JSON_COMPACT, data), djs_bytes(expected), run->why);
}

static void follow_vector(test_t *test, const run_t *run)
{
    const char *stored = vector_text(run->a_case, "stored_json");
    const char *vary = vector_text(run->a_case, "vary");
    const json_t *old = json_object_get(run->a_case, "old_record_exists");
    const json_t *records = json_object_get(run->a_case, "records");
    int dropped = strcmp(run->engine, "cache") == 0 && strcmp(run->action, "expiry-neg") == 0;

    if (json_is_true(json_object_get(run->a_case, "interrupted"))) {
        assert_status(test->ctx, run->rv, DJS_EINTERRUPTED, run->why);
        assert_number(run->answer.status, 400, run->why);
        assert_text(run->answer.set_cookie, NULL, run->why);
        assert_number(memory_engine_count(run->site->memory), 0, run->why);
        return;
    }
    assert_status(test->ctx, run->rv, APR_SUCCESS, run->why);
    assert_number(run->answer.status, 0, run->why);
    assert_text(run->answer.set_cookie,
                expected_line(test, run, vector_text(run->a_case, "set_cookie")), run->why);
    /* The newest Djangos also vary on each cookie that they set. */
    assert_number(run->answer.vary, strcmp(vary, "Cookie") == 0 || run->answer.set_cookie != NULL,
                  run->why);
    check_cookie(test, run);
    if (stored != NULL) {
        assert_text(memory_site_get(test->ctx, run->site, djs_session_key(run->mw->session)),
                    stored, run->why);
    }
    if (old != NULL && !dropped) { /* a cache drops what has no life left */
        assert_number(memory_engine_get(run->site->memory, KEY) != NULL, json_is_true(old),
                      run->why);
    }
    if (records != NULL && !dropped) {
        assert_number(memory_engine_count(run->site->memory), json_integer_value(records),
                      run->why);
    }
}

/* What cannot be read stays, with its cookie; whoever changes the session gets another one. */
static void expect_untouched_corrupt(test_t *test, const run_t *run)
{
    int flushed = strcmp(run->action, "flush") == 0;
    int saves = run->status < 500 && run->was_modified && !flushed;
    const char *key = djs_session_key(run->mw->session);
    const char *django = vector_text(run->a_case, "stored_json");

    assert_status(test->ctx, run->rv, APR_SUCCESS, run->why);
    assert_text(memory_site_get(test->ctx, run->site, KEY), "(unreadable)", run->why);
    assert_number(memory_engine_count(run->site->memory), 1 + saves, run->why);
    if (saves) {
        assert_non_null(key);
        assert_string_not_equal(key, KEY);
        assert_text(memory_site_get(test->ctx, run->site, key), django ? django : "{}", run->why);
        assert_non_null(strstr(run->answer.set_cookie, key));
        return;
    }
    assert_text(run->answer.set_cookie, flushed && run->status < 500 ? DELETED : NULL,
                run->why);
}

/*
 * flush() and cycle_key() are owed until the answer is known to be none that failed. So is the new
 * session in place of an expired file, which Django makes at once: after a pop() in vain it sends no
 * cookie with it, and there is a session whose key nobody knows.
 */
static int waits(const run_t *run)
{
    int met_expired = is_of_files(run) && strcmp(run->cookie, "expired") == 0;

    return djs_session_owes(run->mw->session) || (run->status >= 500 && met_expired);
}

static void expect_nothing_changed(test_t *test, const run_t *run)
{
    assert_status(test->ctx, run->rv, APR_SUCCESS, run->why);
    assert_text(run->answer.set_cookie, NULL, run->why);
    assert_number(run->site->memory->creates + run->site->memory->replaces +
                      run->site->memory->removes, 0, run->why);
}

static void every_case_of_the_vectors_is_answered_as_django_answers_it(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "middleware.json", 1408);
    const json_t *a_case;
    int followed = 0, stricter = 0;
    size_t i;

    json_array_foreach(cases, i, a_case) {
        run_t run;

        memset(&run, 0, sizeof(run));
        run.a_case = a_case;
        run.why = vector_name(test->pool, a_case);
        run.engine = vector_need(a_case, "engine");
        run.cookie = vector_need(a_case, "cookie");
        run.action = vector_need(a_case, "action");
        run.status = (int)json_integer_value(json_object_get(a_case, "status"));
        if (!vector_is_current(a_case)) {
            vector_left(a_case, VECTOR_OF_ANOTHER_DJANGO);
            continue;
        }
        djs_forget(test->ctx);
        run_case(test, &run);
        if (strcmp(run.cookie, "corrupt") == 0 && !is_of_cookies(&run)) {
            expect_untouched_corrupt(test, &run);
            stricter++;
        }
        else if (waits(&run)) {
            expect_nothing_changed(test, &run);
            stricter++;
        }
        else {
            follow_vector(test, &run);
            followed++;
        }
        vector_done(a_case);
    }
    assert_number(followed, FOLLOWED, "as Django");
    assert_number(stricter, STRICTER, "stricter than Django");
}

/* --- cookies --- */

static void a_request_that_brings_and_changes_nothing_costs_nothing(void **state)
{
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    djs_middleware_t *mw;
    djs_answer_t answer;

    site->settings.save_every_request = 1;
    djs_session_get(test->ctx, begin(test, site, "other=1", &mw), djs_bytes("a"));
    assert_status(test->ctx, finish(test, mw, 200, &answer), APR_SUCCESS, "finish");
    assert_number(memory_engine_calls(site->memory), 0, "no query");
    assert_text(answer.set_cookie, NULL, "no cookie (D-8)");
    assert_number(answer.vary, 1, "it was looked at");
}

static void a_stray_cookie_hides_no_valid_one(void **state)
{
    static const char *const cookies[] = {
        "sessionid=" KEY "; sessionid=plantedplanted", "sessionid=plantedplanted; sessionid=" KEY,
        "sessionid=; sessionid=" KEY, "sessionid=" KEY "; sessionid=",
        "sessionid=" KEY "; sessionid=short", "sessionid=" KEY "; sessionid=\"\\000xxxxxxxxx\"",
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cookies) / sizeof(cookies[0]); i++) {
        memory_site_t *site = site_with(test, "{\"n\":1}");
        djs_middleware_t *mw;
        djs_answer_t answer;

        begin(test, site, cookies[i], &mw);
        assert_status(test->ctx, finish(test, mw, 200, &answer), APR_SUCCESS, cookies[i]);
        assert_text(answer.set_cookie, NULL, "untouched, so nothing is known against it");
        assert_non_null(djs_session_get(test->ctx, begin(test, site, cookies[i], &mw),
                                        djs_bytes("n")));
        assert_status(test->ctx, finish(test, mw, 200, &answer), APR_SUCCESS, cookies[i]);
        assert_text(answer.set_cookie, NULL, "read: the cookie is not deleted (D-2)");
        assert_status(test->ctx, request(test, site, cookies[i], 200, "{\"increment\":{\"n\":1}}",
                                         &answer), APR_SUCCESS, cookies[i]);
        assert_text(memory_site_get(test->ctx, site, KEY), "{\"n\":2}", cookies[i]);
    }
}

static void a_key_from_elsewhere_counts_without_a_cookie(void **state)
{
    static const struct { const char *cookie, *key, *taken, *why; } cases[] = {
        { NULL, KEY, KEY, "no cookie at all" },
        { "other=1", KEY, KEY, "no cookie of our name" },
        { "sessionid=strayabcdefgh", KEY, NULL, "a cookie wins, even one of no use" },
        { NULL, "unknownabcdefgh", NULL, "a key that nobody gave is not adopted" },
        { NULL, "short", NULL, "no key" },
        { NULL, NULL, NULL, "nothing" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memory_site_t *site = site_with(test, "{\"n\":1}");
        djs_middleware_t *mw = djs_middleware_begin_with(test->ctx, &site->site, cases[i].cookie,
                                                         cases[i].key);
        djs_answer_t answer;

        djs_session_get(test->ctx, mw->session, djs_bytes("n"));
        assert_text(djs_session_key(mw->session), cases[i].taken, cases[i].why);
        set_number(test, mw->session, "n", 2);
        assert_status(test->ctx, finish(test, mw, 200, &answer), APR_SUCCESS, cases[i].why);
        assert_number(memory_engine_count(site->memory), cases[i].taken != NULL ? 1 : 2,
                      cases[i].why);
        assert_null(strstr(answer.set_cookie, "unknown"));
    }
}

static void a_cookie_that_nobody_sent_is_not_deleted(void **state)
{
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    djs_middleware_t *mw = djs_middleware_begin_with(test->ctx, &site->site, NULL,
                                                     "unknownabcdefgh");
    djs_answer_t answer;

    djs_session_get(test->ctx, mw->session, djs_bytes("n"));
    assert_status(test->ctx, finish(test, mw, 200, &answer), APR_SUCCESS, "an unknown key");
    assert_text(answer.set_cookie, NULL, "no cookie came");
}

static void a_line_that_was_made_at_start_deletes_as_one_that_is_made_now(void **state)
{
    static const struct { const char *cookie; int status; } cases[] = {
        { "sessionid=short", 200 }, { "sessionid=unknownabcdefgh", 200 }, { "sessionid=short", 500 },
    };
    static const char line[] = "made at start";
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memory_site_t *site = memory_site_make(test->pool);
        djs_middleware_t *mw;
        djs_answer_t answer;

        djs_session_get(test->ctx, begin(test, site, cases[i].cookie, &mw), djs_bytes("n"));
        assert_status(test->ctx, finish(test, mw, cases[i].status, &answer), APR_SUCCESS, "now");
        assert_text(answer.set_cookie, DELETED, cases[i].cookie);
        site->site.cookie_deletion = line;
        djs_session_get(test->ctx, begin(test, site, cases[i].cookie, &mw), djs_bytes("n"));
        assert_status(test->ctx, finish(test, mw, cases[i].status, &answer), APR_SUCCESS, "start");
        assert_ptr_equal(answer.set_cookie, line);
        assert_number(answer.vary, 1, cases[i].cookie);
    }
}

static void secure_is_said_when_the_setting_the_request_or_the_cookie_says_so(void **state)
{
    static const struct {
        djs_secure_t setting;
        int request, said;
        const char *name;
        djs_samesite_t samesite;
        int partitioned;
    } cases[] = {
        { DJS_SECURE_OFF, 0, 0, "id", DJS_SAMESITE_LAX, 0 },
        { DJS_SECURE_OFF, 1, 0, "id", DJS_SAMESITE_LAX, 0 },
        { DJS_SECURE_ON, 0, 1, "id", DJS_SAMESITE_LAX, 0 },
        { DJS_SECURE_ON, 1, 1, "id", DJS_SAMESITE_LAX, 0 },
        { DJS_SECURE_AUTO, 0, 0, "id", DJS_SAMESITE_LAX, 0 },
        { DJS_SECURE_AUTO, 1, 1, "id", DJS_SAMESITE_LAX, 0 },
        { DJS_SECURE_AUTO, 0, 1, "__Host-id", DJS_SAMESITE_LAX, 0 },
        { DJS_SECURE_AUTO, 0, 1, "__secure-id", DJS_SAMESITE_LAX, 0 },
        { DJS_SECURE_AUTO, 0, 1, "id", DJS_SAMESITE_NONE, 0 },
        { DJS_SECURE_AUTO, 0, 1, "id", DJS_SAMESITE_LAX, 1 },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memory_site_t *site = memory_site_make(test->pool);
        djs_middleware_t *mw;
        djs_answer_t answer;

        site->settings.cookie_secure = (int)cases[i].setting;
        site->settings.cookie_name = cases[i].name;
        site->settings.cookie_samesite = (int)cases[i].samesite;
        site->settings.cookie_partitioned = cases[i].partitioned;
        djs_session_set_test_cookie(test->ctx, begin(test, site, NULL, &mw));
        assert_status(test->ctx, djs_middleware_finish(test->ctx, mw, 200, cases[i].request, NULL,
                                                       0, &answer), APR_SUCCESS, "finish");
        assert_number(strstr(answer.set_cookie, "; Secure") != NULL, cases[i].said, "Secure");
    }
}

static void an_application_that_sets_the_cookie_itself_wins(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with(test, "{\"n\":1}");
    djs_middleware_t *mw;
    djs_answer_t answer;

    set_number(test, begin(test, site, "sessionid=" KEY, &mw), "n", 5);
    assert_status(test->ctx, djs_middleware_finish(test->ctx, mw, 200, 0,
                                                   update_of(test, "{\"set\":{\"x\":1}}"), 1,
                                                   &answer), APR_SUCCESS, "finish");
    assert_text(answer.set_cookie, NULL, "one session cookie, not two");
    assert_text(memory_site_get(test->ctx, site, KEY), "{\"n\":1}", "nothing is saved");
    assert_number(answer.saved, 0, "and said so");
    assert_number(answer.vary, 1, "it was looked at");
}

/* --- updates --- */

static void an_update_is_applied_and_saved(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with(test, "{\"n\":1}");
    djs_answer_t answer;

    assert_status(test->ctx, request(test, site, "sessionid=" KEY, 302,
                                     "{\"set\":{\"x\":[1]},\"increment\":{\"n\":41}}", &answer),
                  APR_SUCCESS, "finish");
    assert_text(memory_site_get(test->ctx, site, KEY), "{\"n\":42,\"x\":[1]}", "stored");
    assert_number(answer.saved, 1, "said so");
    assert_number(answer.vary, 1, "Vary");
}

static void an_answer_that_failed_applies_and_saves_nothing(void **state)
{
    static const int statuses[] = { 500, 502, 503, 599 };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        memory_site_t *site = site_with(test, "{\"n\":1}");
        djs_answer_t answer;

        assert_status(test->ctx, request(test, site, "sessionid=" KEY, statuses[i],
                                         "{\"flush\":true,\"set\":{\"x\":1}}", &answer),
                      APR_SUCCESS, "finish");
        assert_text(memory_site_get(test->ctx, site, KEY), "{\"n\":1}", "untouched");
        assert_text(answer.set_cookie, NULL, "nothing is sent");
    }
}

static void an_update_that_cannot_be_applied_changes_nothing_and_is_500(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with(test, "{\"n\":\"text\"}");
    djs_answer_t answer;

    assert_status(test->ctx, request(test, site, "sessionid=" KEY, 200,
                                     "{\"set\":{\"x\":1},\"increment\":{\"n\":1}}", &answer),
                  DJS_EINVAL, "increment of a text");
    assert_number(answer.status, 500, "status");
    assert_text(answer.set_cookie, NULL, "no cookie");
    assert_text(memory_site_get(test->ctx, site, KEY), "{\"n\":\"text\"}", "untouched");
}

static void an_unusable_expiry_is_500_as_djangos(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with(test, "{\"_session_expiry\":\"soon\"}");
    djs_answer_t answer;

    assert_status(test->ctx, request(test, site, "sessionid=" KEY, 200, "{\"set\":{\"x\":1}}",
                                     &answer), DJS_EFORMAT, "soon");
    assert_number(answer.status, 500, "status");
    assert_text(answer.set_cookie, NULL, "no cookie");
}

static void a_deleted_session_ends_in_400_and_stays_deleted(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with(test, "{\"n\":1}");
    djs_middleware_t *mw;
    djs_answer_t answer;

    djs_session_get(test->ctx, begin(test, site, "sessionid=" KEY, &mw), djs_bytes("n"));
    memory_engine_put(site->memory, KEY, NULL);
    assert_status(test->ctx, djs_middleware_finish(test->ctx, mw, 200, 0,
                                                   update_of(test, "{\"set\":{\"x\":1}}"), 0,
                                                   &answer), DJS_EINTERRUPTED, "finish");
    assert_number(answer.status, 400, "SessionInterrupted");
    assert_text(answer.set_cookie, NULL, "no cookie");
    assert_number(memory_engine_count(site->memory), 0, "not resurrected");
}

static void an_update_on_what_cannot_be_read_starts_a_new_session(void **state)
{
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    djs_answer_t answer;
    const char *key;

    put_unreadable(site);
    assert_status(test->ctx, request(test, site, "sessionid=" KEY, 200, "{\"set\":{\"x\":1}}",
                                     &answer), APR_SUCCESS, "finish");
    key = memory_engine_key_beside(site->memory, KEY);
    assert_text(memory_site_get(test->ctx, site, KEY), "(unreadable)", "the old record stays");
    assert_text(memory_site_get(test->ctx, site, key), "{\"x\":1}", "the new session");
    assert_non_null(strstr(answer.set_cookie, key));
}

/* --- requests that meet --- */

typedef struct crowd_t {
    test_t *test;
    memory_site_t *site;
    int others; /* how many requests come between */
    const char *json;
} crowd_t;

/* Before each replace, as long as there are some, another request does all of its work. */
static void another_request(void *baton, memory_engine_t *memory, const char *operation)
{
    crowd_t *crowd = baton;
    djs_answer_t answer;

    (void)memory;
    if (strcmp(operation, "replace") == 0 && crowd->others > 0) {
        crowd->others--;
        assert_status(crowd->test->ctx,
                      request(crowd->test, crowd->site, "sessionid=" KEY, 200, crowd->json,
                              &answer), APR_SUCCESS, "the other request");
    }
}

static void crowd_in(crowd_t *crowd, test_t *test, memory_site_t *site, int others,
                     const char *json)
{
    crowd->test = test;
    crowd->site = site;
    crowd->others = others;
    crowd->json = json;
    site->memory->step = another_request;
    site->memory->baton = crowd;
}

static void parallel_changes_all_take_effect_under_one_key(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with(test, "{\"n\":0}");
    djs_answer_t answer;
    crowd_t crowd;

    crowd_in(&crowd, test, site, 20, "{\"increment\":{\"n\":1}}");
    assert_status(test->ctx, request(test, site, "sessionid=" KEY, 200, "{\"increment\":{\"n\":1}}",
                                     &answer), APR_SUCCESS, "finish");
    assert_text(memory_site_get(test->ctx, site, KEY), "{\"n\":21}", "none is lost (D-12)");
    assert_number(memory_engine_count(site->memory), 1, "one session");
}

/* Somebody else saves right before each replace of ours. */
static void spoil(void *baton, memory_engine_t *memory, const char *operation)
{
    crowd_t *crowd = baton;

    (void)memory;
    if (strcmp(operation, "replace") == 0) {
        memory_site_put(crowd->test->ctx, crowd->site, KEY,
                        apr_psprintf(crowd->test->pool, "{\"n\":%d}", ++crowd->others), LATER);
    }
}

static void a_save_that_always_loses_is_given_up_in_the_end(void **state)
{
    static const struct { djs_on_store_error_t policy; int status; } cases[] = {
        { DJS_ON_STORE_ERROR_DENY, 503 }, { DJS_ON_STORE_ERROR_ANONYMOUS, 0 },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memory_site_t *site = site_with(test, "{\"n\":0}");
        djs_answer_t answer;
        crowd_t crowd;

        crowd_in(&crowd, test, site, 0, NULL);
        site->memory->step = spoil;
        site->settings.on_store_error = (int)cases[i].policy;
        assert_status(test->ctx, request(test, site, "sessionid=" KEY, 200, "{\"set\":{\"x\":1}}",
                                         &answer), DJS_ECONFLICT, "finish");
        assert_number(site->memory->replaces, DJS_SAVE_TRIES_MAX, "tries");
        assert_number(answer.status, cases[i].status, "status");
        assert_text(answer.set_cookie, NULL, "no cookie");
        assert_text(memory_site_get(test->ctx, site, KEY), "{\"n\":64}", "the others' data");
    }
}

static void save_every_request_prolongs_what_is_stored_now(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with(test, "{\"n\":0}");
    djs_middleware_t *mw;
    djs_answer_t answer;
    crowd_t crowd;

    site->settings.save_every_request = 1;
    begin(test, site, "sessionid=" KEY, &mw);
    crowd_in(&crowd, test, site, 3, "{\"increment\":{\"n\":1}}");
    assert_status(test->ctx, finish(test, mw, 200, &answer), APR_SUCCESS, "finish");
    assert_text(memory_site_get(test->ctx, site, KEY), "{\"n\":3}", "nothing is undone");
    assert_non_null(answer.set_cookie);
    assert_number(answer.vary, 1, "Vary with every cookie of ours");
}

static void a_save_interval_saves_again_when_that_much_of_the_age_has_passed(void **state)
{
#define AGE      1000
#define INTERVAL 100
    static const struct {
        const char *json;
        int browser_close; /* by the settings */
        int left;          /* seconds, of what is stored */
        int now_left;      /* after the request; equal: not saved */
        const char *why;
    } cases[] = {
        { "{\"n\":1}", 0, AGE, AGE, "saved just now" },
        { "{\"n\":1}", 0, AGE - INTERVAL + 1, AGE - INTERVAL + 1, "a second too early" },
        { "{\"n\":1}", 0, AGE - INTERVAL, AGE, "the interval has passed" },
        { "{\"n\":1}", 0, 1, AGE, "nearly all of the age has passed" },
        { "{\"n\":1}", 0, 0, AGE, "it ended while the application was at work" },
        { "{\"n\":1}", 0, AGE + INTERVAL - 1, AGE + INTERVAL - 1, "a little longer than now" },
        { "{\"n\":1}", 0, 5 * AGE, AGE, "saved when the age was longer" },
        { "{\"n\":1}", 1, AGE - 1, AGE - 1, "browser close: the record slides all the same" },
        { "{\"n\":1}", 1, AGE - INTERVAL, AGE, "browser close, after the interval" },
        { "{\"_session_expiry\":0}", 0, AGE - 1, AGE - 1, "its own browser close" },
        { "{\"_session_expiry\":0}", 0, AGE - INTERVAL, AGE, "the same, after the interval" },
        { "{\"_session_expiry\":500}", 0, 401, 401, "an age of its own" },
        { "{\"_session_expiry\":500}", 0, 400, 500, "the same, after the interval" },
        { "{\"_session_expiry\":100}", 0, 99, 100, "an age of its own that is no longer" },
        { "{\"_session_expiry\":100}", 0, 100, 100, "the same within one instant" },
        { "{\"_session_expiry\":null}", 0, AGE - INTERVAL, AGE, "not set" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memory_site_t *site = memory_site_make(test->pool);
        int saves = cases[i].left != cases[i].now_left;
        djs_middleware_t *mw;
        djs_answer_t answer;

        site->settings.cookie_age = apr_time_from_sec(AGE);
        site->settings.save_every_request = 1;
        site->settings.save_interval = apr_time_from_sec(INTERVAL);
        site->settings.expire_at_browser_close = cases[i].browser_close;
        memory_site_put(test->ctx, site, KEY, cases[i].json,
                        test->ctx->now + apr_time_from_sec(cases[i].left));
        begin(test, site, "sessionid=" KEY, &mw);
        test->ctx->now--; /* the last that it is live, where nothing is left */
        assert_status(test->ctx, djs_session_load(test->ctx, mw->session), APR_SUCCESS, "load");
        test->ctx->now++;
        assert_status(test->ctx, finish(test, mw, 200, &answer), APR_SUCCESS, cases[i].why);
        assert_number(answer.saved, saves, cases[i].why);
        assert_number(answer.set_cookie != NULL, saves, cases[i].why);
        assert_number(answer.vary, saves, cases[i].why);
        assert_number(apr_time_sec(memory_engine_get(site->memory, KEY)->expires - test->ctx->now),
                      cases[i].now_left, cases[i].why);
    }
}

static void a_date_is_not_moved_by_a_save_interval(void **state)
{
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    apr_time_t end = test->ctx->now + apr_time_from_sec(50) + 7;
    djs_middleware_t *mw;
    djs_answer_t answer;

    site->settings.save_every_request = 1;
    site->settings.save_interval = apr_time_from_sec(100);
    djs_session_set_expiry_moment(test->ctx, begin(test, site, NULL, &mw), djs_moment_utc(end));
    assert_status(test->ctx, finish(test, mw, 200, &answer), APR_SUCCESS, "a session with a date");
    begin(test, site, apr_pstrcat(test->pool, "sessionid=", djs_session_key(mw->session), NULL),
          &mw);
    test->ctx->now += apr_time_from_sec(49);
    assert_status(test->ctx, finish(test, mw, 200, &answer), APR_SUCCESS, "a visit");
    assert_number(answer.saved, 0, "its end stays where it is");
    assert_text(answer.set_cookie, NULL, "and the browser knows it");
}

static void a_save_interval_holds_back_no_change_and_nothing_without_an_end(void **state)
{
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    djs_middleware_t *mw;
    djs_answer_t answer;

    site->settings.save_every_request = 1;
    site->settings.save_interval = apr_time_from_sec(100);
    memory_site_put(test->ctx, site, KEY, "{\"n\":1}", test->ctx->now + site->settings.cookie_age);
    assert_status(test->ctx, request(test, site, "sessionid=" KEY, 200, "{\"set\":{\"n\":2}}",
                                     &answer), APR_SUCCESS, "a change");
    assert_number(answer.saved, 1, "a change is saved at once");
    assert_non_null(answer.set_cookie);

    memory_site_put(test->ctx, site, KEY, "{\"n\":1}", 0);
    begin(test, site, "sessionid=" KEY, &mw);
    assert_status(test->ctx, finish(test, mw, 200, &answer), APR_SUCCESS, "no end is told");
    assert_number(answer.saved, 1, "saved each time, as without an interval");
    assert_number(memory_engine_count(site->memory), 1, "under its key");

    begin(test, site, "sessionid=abcdefgh12345678", &mw);
    assert_status(test->ctx, finish(test, mw, 200, &answer), APR_SUCCESS, "no such session");
    assert_number(answer.saved, 1, "as Django: SaveEveryRequest makes one");
    assert_number(memory_engine_count(site->memory), 2, "a new one");

    site->memory->down = 1;
    begin(test, site, "sessionid=" KEY, &mw);
    assert_status(test->ctx, finish(test, mw, 200, &answer), DJS_ESTORE, "the store is down");
    assert_number(answer.status, 503, "and that is said");
}

/* --- DjangoSessionMaxLifetime --- */

#define LIFETIME 3600
#define BEGAN (apr_time_sec(TEST_NOW))

static memory_site_t *mortal_site(test_t *test)
{
    memory_site_t *site = memory_site_make(test->pool);

    test->ctx->now = TEST_NOW;
    site->settings.max_lifetime = apr_time_from_sec(LIFETIME);
    return site;
}

/* `rest` with the time at which the session began. */
static const char *began(test_t *test, const char *rest, apr_int64_t when)
{
    return apr_psprintf(test->pool, "{%s%s\"_session_started\":%" APR_INT64_T_FMT "}", rest,
                        *rest ? "," : "", when);
}

static const char *beginning(test_t *test)
{
    return apr_psprintf(test->pool, "\"_session_started\":%" APR_INT64_T_FMT, BEGAN);
}

static apr_int64_t left(test_t *test, const memory_site_t *site, const char *key)
{
    return memory_engine_get(site->memory, key)->expires - test->ctx->now;
}

/* What a look comes to. */
static djs_session_t *look(test_t *test, memory_site_t *site, const char *cookie,
                           djs_middleware_t **mw)
{
    djs_session_t *session = begin(test, site, cookie, mw);

    djs_session_get(test->ctx, session, djs_bytes("n"));
    return session;
}

static void a_session_says_when_it_began_and_ends_with_its_lifetime(void **state)
{
    static const struct { const char *json; int left; const char *max_age, *why; } cases[] = {
        { "{\"set\":{\"n\":1}}", LIFETIME, "Max-Age=3600;", "the settings' age is longer" },
        { "{\"set\":{\"n\":1},\"expiry\":3601}", LIFETIME, "Max-Age=3600;", "so is its own" },
        { "{\"set\":{\"n\":1},\"expiry\":60}", 60, "Max-Age=60;", "an own age that is shorter" },
        { "{\"set\":{\"n\":1},\"expiry\":0}", LIFETIME, NULL, "the browser's end" },
        { "{\"set\":{\"n\":1},\"expiry\":\"9000-01-01T00:00:00+00:00\"}", LIFETIME,
          "Max-Age=3600;", "a date" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memory_site_t *site = mortal_site(test);
        const char *key;
        djs_answer_t answer;

        assert_status(test->ctx, request(test, site, NULL, 200, cases[i].json, &answer),
                      APR_SUCCESS, cases[i].why);
        key = memory_engine_key_beside(site->memory, KEY);
        assert_non_null(strstr(memory_site_get(test->ctx, site, key), beginning(test)));
        assert_number(apr_time_sec(left(test, site, key)), cases[i].left, cases[i].why);
        if (cases[i].max_age != NULL) {
            assert_non_null(strstr(answer.set_cookie, cases[i].max_age));
        }
        else {
            assert_null(strstr(answer.set_cookie, "Max-Age"));
        }
    }
}

static void neither_cookie_nor_record_outlives_the_lifetime_by_a_fraction(void **state)
{
    test_t *test = *state;
    memory_site_t *site = mortal_site(test);
    djs_answer_t answer;

    test->ctx->now += 1;
    assert_status(test->ctx, request(test, site, NULL, 200, "{\"set\":{\"n\":1}}", &answer),
                  APR_SUCCESS, "a microsecond behind the second");
    assert_non_null(strstr(answer.set_cookie, "Max-Age=3599;"));
    assert_number(left(test, site, memory_engine_key_beside(site->memory, KEY)),
                  apr_time_from_sec(LIFETIME) - 1, "the record");
}

static void a_session_of_djangos_begins_when_it_is_met(void **state)
{
    static const struct { const char *before; const char *after; const char *why; } cases[] = {
        { "{\"n\":1}", "\"n\":1", "it says nothing" },
        { "{\"_session_started\":null}", "", "nothing" },
        { "{\"_session_started\":true}", "", "no number" },
        { "{\"_session_started\":1.5}", "", "no whole number" },
        { "{\"_session_started\":\"1\"}", "", "a text" },
        { "{\"_session_started\":0}", "", "not this" },
        { "{\"_session_started\":-5}", "", "nor this" },
        { "{\"_session_started\":99999999999999999999}", "", "nor this" },
        { "{\"_session_started\":9000000000}", "", "in the future: it would live on until then" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memory_site_t *site = mortal_site(test);
        djs_middleware_t *mw;
        djs_answer_t answer;

        memory_site_put(test->ctx, site, KEY, cases[i].before, TEST_NOW + apr_time_from_sec(86400));
        look(test, site, "sessionid=" KEY, &mw);
        assert_number(djs_session_status(mw->session), DJS_SESSION_ACTIVE, cases[i].why);
        assert_number(apr_time_sec(djs_session_ends(mw->session) - TEST_NOW), LIFETIME, "its end");
        assert_status(test->ctx, finish(test, mw, 500, &answer), APR_SUCCESS, "an answer of 500");
        assert_text(memory_site_get(test->ctx, site, KEY), cases[i].before, "changes nothing");
        look(test, site, "sessionid=" KEY, &mw);
        assert_status(test->ctx, finish(test, mw, 200, &answer), APR_SUCCESS, cases[i].why);
        assert_text(memory_site_get(test->ctx, site, KEY), began(test, cases[i].after, BEGAN),
                    cases[i].why);
        assert_number(apr_time_sec(left(test, site, KEY)), LIFETIME, cases[i].why);
        assert_non_null(strstr(answer.set_cookie, KEY));
        look(test, site, "sessionid=" KEY, &mw);
        assert_status(test->ctx, finish(test, mw, 200, &answer), APR_SUCCESS, "the next");
        assert_number(answer.saved, 0, "is not its beginning");
    }
}

static void nothing_puts_off_the_end_of_a_lifetime(void **state)
{
    static const char *const requests[] = {
        "{\"set\":{\"n\":2}}", "{\"clear\":true}", "{\"expiry\":86400}", "{\"expiry\":null}",
        "{\"clear\":true,\"set\":{\"n\":3}}", "{\"cycle_key\":true}",
    };
    test_t *test = *state;
    memory_site_t *site = mortal_site(test);
    const char *key = KEY;
    djs_answer_t answer;
    djs_middleware_t *mw;
    size_t i;

    site->settings.save_every_request = 1;
    memory_site_put(test->ctx, site, key, began(test, "\"n\":1", BEGAN), LATER);
    for (i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        test->ctx->now += apr_time_from_sec(60);
        assert_status(test->ctx,
                      request(test, site, apr_pstrcat(test->pool, "sessionid=", key, NULL), 200,
                              requests[i], &answer),
                      APR_SUCCESS, requests[i]);
        if (memory_engine_get(site->memory, key) == NULL) {
            key = memory_engine_key_beside(site->memory, key);
        }
        assert_non_null(strstr(memory_site_get(test->ctx, site, key), beginning(test)));
        assert_number(apr_time_sec(memory_engine_get(site->memory, key)->expires), BEGAN + LIFETIME,
                      requests[i]);
    }
    assert_string_not_equal(key, KEY);
    test->ctx->now = apr_time_from_sec(BEGAN + LIFETIME) - 1;
    look(test, site, apr_pstrcat(test->pool, "sessionid=", key, NULL), &mw);
    assert_number(djs_session_status(mw->session), DJS_SESSION_ACTIVE, "its last moment");
}

static void a_flush_begins_another_session(void **state)
{
    test_t *test = *state;
    memory_site_t *site = mortal_site(test);
    djs_answer_t answer;

    memory_site_put(test->ctx, site, KEY, began(test, "\"n\":1", BEGAN - 60), LATER);
    assert_status(test->ctx, request(test, site, "sessionid=" KEY, 200,
                                     "{\"flush\":true,\"set\":{\"n\":2}}", &answer), APR_SUCCESS,
                  "flush");
    assert_text(memory_site_get(test->ctx, site, memory_engine_key_beside(site->memory, KEY)),
                began(test, "\"n\":2", BEGAN), "it begins now");
}

static void a_lifetime_that_is_over_is_an_expired_session(void **state)
{
    test_t *test = *state;
    memory_site_t *site = mortal_site(test);
    const char *old = began(test, "\"n\":1", BEGAN - LIFETIME);
    djs_middleware_t *mw;
    djs_answer_t answer;
    const char *key;

    /* Django itself has prolonged it. */
    memory_site_put(test->ctx, site, KEY, old, LATER);
    look(test, site, "sessionid=" KEY, &mw);
    assert_number(djs_session_status(mw->session), DJS_SESSION_EXPIRED, "status");
    assert_number(djs_session_reason(mw->session), DJS_REASON_MAX_LIFETIME, "reason");
    assert_text(memory_session_json(test->ctx, mw->session), "{}", "nothing of it is seen");
    assert_status(test->ctx, finish(test, mw, 200, &answer), APR_SUCCESS, "finish");
    assert_text(answer.set_cookie, DELETED, "the cookie goes");

    assert_status(test->ctx, request(test, site, "sessionid=" KEY, 200, "{\"set\":{\"n\":2}}",
                                     &answer), APR_SUCCESS, "a change");
    key = memory_engine_key_beside(site->memory, KEY);
    assert_text(memory_site_get(test->ctx, site, key), began(test, "\"n\":2", BEGAN), "a new one");
    assert_text(memory_site_get(test->ctx, site, KEY), old, "the old record is not touched");

    look(test, site, apr_pstrcat(test->pool, "sessionid=", key, "; sessionid=" KEY, NULL), &mw);
    assert_text(djs_session_key(mw->session), key, "it hides no valid one");
}

static void what_another_request_noted_first_is_the_beginning(void **state)
{
    test_t *test = *state;
    memory_site_t *site = mortal_site(test);
    djs_middleware_t *mw;
    djs_answer_t answer;

    memory_site_put(test->ctx, site, KEY, "{\"n\":1}", LATER);
    set_number(test, begin(test, site, "sessionid=" KEY, &mw), "x", 7);
    memory_site_put(test->ctx, site, KEY, began(test, "\"n\":1", BEGAN - 5), LATER);
    assert_status(test->ctx, finish(test, mw, 200, &answer), APR_SUCCESS, "finish");
    assert_number(apr_time_sec(left(test, site, KEY)), LIFETIME - 5, "its end");
    assert_non_null(strstr(memory_site_get(test->ctx, site, KEY), "\"x\":7"));

    memory_site_put(test->ctx, site, KEY, "{\"n\":1}", LATER);
    look(test, site, "sessionid=" KEY, &mw);
    memory_engine_put(site->memory, KEY, NULL);
    assert_status(test->ctx, finish(test, mw, 200, &answer), APR_SUCCESS, "it is gone");
    assert_number(answer.status, 0, "nobody asked for that save, so it is no failure");
}

static void an_application_that_always_saves_itself_cannot_keep_a_session_without_a_beginning(
    void **state)
{
    test_t *test = *state;
    memory_site_t *site = mortal_site(test);
    djs_middleware_t *mw;
    djs_answer_t answer;

    memory_site_put(test->ctx, site, KEY, "{\"n\":1}", LATER);
    look(test, site, "sessionid=" KEY, &mw);
    memory_site_put(test->ctx, site, KEY, "{\"n\":2}", LATER);
    assert_status(test->ctx, djs_middleware_finish(test->ctx, mw, 200, 0, NULL, 1, &answer),
                  APR_SUCCESS, "the application has saved it and sends the cookie");
    assert_text(memory_site_get(test->ctx, site, KEY), began(test, "\"n\":2", BEGAN), "on top");
    assert_text(answer.set_cookie, NULL, "its cookie wins");

    memory_site_put(test->ctx, site, KEY, "{\"n\":1}", LATER);
    look(test, site, "sessionid=" KEY, &mw);
    memory_engine_put(site->memory, KEY, NULL);
    assert_status(test->ctx, djs_middleware_finish(test->ctx, mw, 200, 0, NULL, 1, &answer),
                  APR_SUCCESS, "it has given it another key");
    assert_number(memory_engine_count(site->memory), 0, "which the next request will meet");
    assert_text(test->ctx->problem, NULL, "no failure");
}

/* --- the others again --- */

static void direct_changes_are_put_on_top_before_the_update_is_applied_again(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with(test, "{\"n\":0}");
    djs_middleware_t *mw;
    djs_answer_t answer;
    crowd_t crowd;

    set_number(test, begin(test, site, "sessionid=" KEY, &mw), "direct", 7);
    crowd_in(&crowd, test, site, 2, "{\"increment\":{\"n\":1}}");
    assert_status(test->ctx, djs_middleware_finish(test->ctx, mw, 200, 0,
                                                   update_of(test, "{\"increment\":{\"n\":10}}"), 0,
                                                   &answer), APR_SUCCESS, "finish");
    assert_text(memory_site_get(test->ctx, site, KEY), "{\"n\":12,\"direct\":7}", "all of it");
}

static void a_cycled_key_takes_the_others_changes_along(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with(test, "{\"n\":0}");
    djs_answer_t answer;
    crowd_t crowd;
    const char *key;

    crowd_in(&crowd, test, site, 3, "{\"increment\":{\"n\":1}}");
    assert_status(test->ctx, request(test, site, "sessionid=" KEY, 200,
                                     "{\"increment\":{\"n\":10},\"cycle_key\":true}", &answer),
                  APR_SUCCESS, "finish");
    key = memory_engine_key_beside(site->memory, KEY);
    assert_text(memory_site_get(test->ctx, site, key), "{\"n\":13}", "all of it");
    assert_number(memory_engine_count(site->memory), 1, "one session");
}

static void upkeep_that_another_request_did_first_is_no_failure(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with(test, "{\"n\":0}");
    djs_middleware_t *mw;
    djs_answer_t answer;
    djs_session_t *session = begin(test, site, "sessionid=" KEY, &mw);

    djs_session_cycle_key(test->ctx, session);
    djs_session_set_upkeep(session);
    memory_engine_put(site->memory, KEY, NULL);
    assert_status(test->ctx, finish(test, mw, 200, &answer), APR_SUCCESS, "finish");
    assert_number(answer.status, 0, "the page is fine");
    assert_text(answer.set_cookie, NULL, "the other request has sent the cookie");
    assert_number(memory_engine_count(site->memory), 0, "and nothing is left of ours");
}

static void a_slow_request_does_not_lose_its_session(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with(test, "{\"user\":\"bob\"}");
    djs_middleware_t *mw;
    djs_answer_t answer;

    djs_session_get(test->ctx, begin(test, site, "sessionid=" KEY, &mw), djs_bytes("user"));
    test->ctx->now = LATER + apr_time_from_sec(1);
    assert_status(test->ctx, djs_middleware_finish(test->ctx, mw, 200, 0,
                                                   update_of(test, "{\"set\":{\"b\":2}}"), 0,
                                                   &answer), APR_SUCCESS, "finish");
    assert_text(memory_site_get(test->ctx, site, KEY), "{\"user\":\"bob\",\"b\":2}",
                "the whole session (D-7)");
}

/* --- a store that does not answer --- */

static void a_store_that_is_down_is_503_or_passed_over(void **state)
{
    static const struct {
        djs_on_store_error_t policy;
        int before_load; /* it is down from the beginning */
        int status;
        const char *why;
    } cases[] = {
        { DJS_ON_STORE_ERROR_DENY, 1, 503, "deny, dead at load" },
        { DJS_ON_STORE_ERROR_DENY, 0, 503, "deny, dead between load and save" },
        { DJS_ON_STORE_ERROR_ANONYMOUS, 1, 0, "anonymous, dead at load" },
        { DJS_ON_STORE_ERROR_ANONYMOUS, 0, 0, "anonymous, dead between load and save" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memory_site_t *site = site_with(test, "{\"n\":1}");
        djs_middleware_t *mw;
        djs_answer_t answer;

        site->settings.on_store_error = (int)cases[i].policy;
        site->memory->down = cases[i].before_load;
        djs_session_get(test->ctx, begin(test, site, "sessionid=" KEY, &mw), djs_bytes("n"));
        site->memory->down = 1;
        djs_forget(test->ctx);
        assert_status(test->ctx, djs_middleware_finish(test->ctx, mw, 200, 0,
                                                       update_of(test, "{\"set\":{\"x\":1}}"), 0,
                                                       &answer), DJS_ESTORE, cases[i].why);
        assert_number(answer.status, cases[i].status, cases[i].why);
        assert_text(answer.set_cookie, NULL, "the cookie is left alone");
        assert_non_null(test->ctx->problem);
        assert_text(memory_site_get(test->ctx, site, KEY), "{\"n\":1}", cases[i].why);
    }
}

static void a_store_that_fails_when_it_is_flushed_keeps_the_cookie(void **state)
{
    test_t *test = *state;
    memory_site_t *site = site_with(test, "{\"n\":1}");
    djs_middleware_t *mw;
    djs_answer_t answer;

    djs_session_flush(test->ctx, begin(test, site, "sessionid=" KEY, &mw));
    site->memory->down = 1;
    assert_status(test->ctx, finish(test, mw, 200, &answer), DJS_ESTORE, "finish");
    assert_number(answer.status, 503, "nobody is told that the session has ended");
    assert_text(answer.set_cookie, NULL, "no cookie");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(every_case_of_the_vectors_is_answered_as_django_answers_it),
        TEST(a_request_that_brings_and_changes_nothing_costs_nothing),
        TEST(a_stray_cookie_hides_no_valid_one),
        TEST(a_key_from_elsewhere_counts_without_a_cookie),
        TEST(a_cookie_that_nobody_sent_is_not_deleted),
        TEST(a_line_that_was_made_at_start_deletes_as_one_that_is_made_now),
        TEST(secure_is_said_when_the_setting_the_request_or_the_cookie_says_so),
        TEST(an_application_that_sets_the_cookie_itself_wins),
        TEST(an_update_is_applied_and_saved),
        TEST(an_answer_that_failed_applies_and_saves_nothing),
        TEST(an_update_that_cannot_be_applied_changes_nothing_and_is_500),
        TEST(an_unusable_expiry_is_500_as_djangos),
        TEST(a_deleted_session_ends_in_400_and_stays_deleted),
        TEST(an_update_on_what_cannot_be_read_starts_a_new_session),
        TEST(parallel_changes_all_take_effect_under_one_key),
        TEST(a_save_that_always_loses_is_given_up_in_the_end),
        TEST(save_every_request_prolongs_what_is_stored_now),
        TEST(a_save_interval_saves_again_when_that_much_of_the_age_has_passed),
        TEST(a_date_is_not_moved_by_a_save_interval),
        TEST(a_save_interval_holds_back_no_change_and_nothing_without_an_end),
        TEST(a_session_says_when_it_began_and_ends_with_its_lifetime),
        TEST(neither_cookie_nor_record_outlives_the_lifetime_by_a_fraction),
        TEST(a_session_of_djangos_begins_when_it_is_met),
        TEST(nothing_puts_off_the_end_of_a_lifetime),
        TEST(a_flush_begins_another_session),
        TEST(a_lifetime_that_is_over_is_an_expired_session),
        TEST(what_another_request_noted_first_is_the_beginning),
        TEST(an_application_that_always_saves_itself_cannot_keep_a_session_without_a_beginning),
        TEST(direct_changes_are_put_on_top_before_the_update_is_applied_again),
        TEST(a_cycled_key_takes_the_others_changes_along),
        TEST(upkeep_that_another_request_did_first_is_no_failure),
        TEST(a_slow_request_does_not_lose_its_session),
        TEST(a_store_that_is_down_is_503_or_passed_over),
        TEST(a_store_that_fails_when_it_is_flushed_keeps_the_cookie),
    };

    return RUN_TESTS(tests);
}
