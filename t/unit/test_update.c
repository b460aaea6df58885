/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updates: what is understood, what is refused and how that is told, what comes of a session, and
 * that it is all or nothing.
 */
#include "support.h"

#include <string.h>

#include "json.h"
#include "memory_engine.h"
#include "update.h"

#define KEY "abcdefghijklmnopqrstuvwxyz012345"
#define LATER (TEST_NOW + apr_time_from_sec(1000))
#define PASSWORD "md5$n9KpYsAL$00000000000000000000000000000000"

/* ---- users: three, by name ---- */

typedef struct people_t {
    djs_users_t users;
    int down;
    int finds;
} people_t;

static djs_user_t some_users[] = {
    { .id = "1", .username = "ada", .password = PASSWORD, .is_active = 1 },
    { .id = "2", .username = "bob", .password = PASSWORD, .is_active = 1 },
    { .id = "3", .username = "eve", .password = PASSWORD, .is_active = 0 },
};

static apr_status_t find_by_name(djs_users_t *users, djs_ctx_t *ctx, const char *username,
                                 djs_user_t **user)
{
    people_t *people = users->data;
    size_t i;

    people->finds++;
    if (people->down) {
        return djs_fail(ctx, DJS_ESTORE, "the users are down");
    }
    for (i = 0; i < sizeof(some_users) / sizeof(some_users[0]); i++) {
        if (strcmp(some_users[i].username, username) == 0) {
            *user = &some_users[i];
            return APR_SUCCESS;
        }
    }
    return APR_NOTFOUND;
}

static const djs_users_ops_t people_ops = { .find_by_name = find_by_name };

static people_t *add_people(test_t *test, memory_site_t *site)
{
    people_t *people = apr_pcalloc(test->pool, sizeof(*people));

    people->users.ops = &people_ops;
    people->users.data = people;
    site->site.users = &people->users;
    return people;
}

/* ---- one session, one update ---- */

typedef struct scene_t {
    memory_site_t *site;
    djs_session_t *session;
    djs_update_t *update;
} scene_t;

/* A session with @a data under KEY (NULL: none), and nothing asked for yet. */
static scene_t scene_of(test_t *test, const char *data)
{
    scene_t scene;

    scene.site = memory_site_make(test->pool);
    if (data != NULL) {
        memory_site_put(test->ctx, scene.site, KEY, data, LATER);
    }
    scene.session = memory_site_session(test->ctx, scene.site, data != NULL ? KEY : NULL);
    scene.update = djs_update_make(test->ctx);
    return scene;
}

static void ask(test_t *test, scene_t *scene, const char *json)
{
    assert_status(test->ctx,
                  djs_update_parse_json(test->ctx, scene->update, djs_bytes(json)), APR_SUCCESS,
                  json);
}

static void ask_pairs(test_t *test, scene_t *scene, const char *pairs)
{
    assert_status(test->ctx,
                  djs_update_parse_pairs(test->ctx, scene->update, djs_bytes(pairs)), APR_SUCCESS,
                  pairs);
}

static apr_status_t apply(test_t *test, scene_t *scene)
{
    return djs_update_apply(test->ctx, &scene->site->site, scene->session, scene->update);
}

static void assert_data(test_t *test, const scene_t *scene, const char *json, const char *why)
{
    assert_text(memory_session_json(test->ctx, scene->session), json, why);
}

/* What an update makes of a session's data. */
static void check_effect(test_t *test, const char *before, const char *json, const char *after)
{
    scene_t scene = scene_of(test, before);

    djs_forget(test->ctx);
    ask(test, &scene, json);
    assert_status(test->ctx, apply(test, &scene), APR_SUCCESS, json);
    assert_data(test, &scene, after, json);
}

/* ---- operations ---- */

static void each_operation_does_what_it_says(void **state)
{
    static const struct { const char *before, *update, *after; } cases[] = {
        { "{\"a\":1}", "{\"set\":{\"b\":[1,{\"x\":null}],\"a\":2.50}}",
          "{\"a\":2.5,\"b\":[1,{\"x\":null}]}" },
        { "{\"a\":1}", "{\"setdefault\":{\"a\":2,\"b\":3}}", "{\"a\":1,\"b\":3}" },
        { "{\"a\":null}", "{\"setdefault\":{\"a\":2}}", "{\"a\":null}" },
        { "{\"a\":1,\"b\":2}", "{\"delete\":[\"a\",\"missing\",\"a\"]}", "{\"b\":2}" },
        { "{\"n\":1,\"f\":0.5}", "{\"increment\":{\"n\":2,\"f\":1,\"new\":-3}}",
          "{\"n\":3,\"f\":1.5,\"new\":-3}" },
        { "{\"n\":9223372036854775807}", "{\"increment\":{\"n\":1}}",
          "{\"n\":9223372036854775808}" },
        { "{\"n\":true}", "{\"increment\":{\"n\":1}}", "{\"n\":2}" },
        { "{\"l\":[1]}", "{\"append\":{\"l\":[2],\"new\":{\"a\":1}}}",
          "{\"l\":[1,[2]],\"new\":[{\"a\":1}]}" },
        { "{}", "{\"expiry\":300}", "{\"_session_expiry\":300}" },
        { "{}", "{\"expiry\":0}", "{\"_session_expiry\":0}" },
        { "{}", "{\"expiry\":-1}", "{\"_session_expiry\":-1}" },
        { "{\"_session_expiry\":5}", "{\"expiry\":null}", "{}" },
        { "{}", "{\"expiry\":\"2025-02-01T12:30:00+01:00\"}",
          "{\"_session_expiry\":\"2025-02-01T12:30:00+01:00\"}" },
        { "{}", "{\"expiry\":\"2025-02-01T12:30:00Z\"}",
          "{\"_session_expiry\":\"2025-02-01T12:30:00+00:00\"}" },
        { "{}", "{\"test_cookie\":\"set\"}", "{\"testcookie\":\"worked\"}" },
        { "{\"testcookie\":\"worked\"}", "{\"test_cookie\":\"delete\"}", "{}" },
        { "{\"a\":1}", "{\"test_cookie\":\"delete\"}", "{\"a\":1}" },
        { "{\"a\":1}", "{\"clear\":true}", "{}" },
        { "{\"a\":1}", "{\"flush\":true}", "{}" },
        { "{\"a\":1}", "{\"cycle_key\":true}", "{\"a\":1}" },
        { "{\"a\":1}", "{\"logout\":true}", "{}" },
        { "{\"a\":1}",
          "{\"clear\":false,\"flush\":false,\"logout\":false,\"cycle_key\":false}", "{\"a\":1}" },
        { "{\"a\":1}", "{}", "{\"a\":1}" },
        { "{\"A\":1}", "{\"set\":{\"a\":\"\",\"\":0}}", "{\"A\":1,\"a\":\"\",\"\":0}" },
        { "{}", "{\"set\":{\"k\":[123456789012345678901234567890,1e400,\"\\ud800\\u0000\"]}}",
          "{\"k\":[123456789012345678901234567890,Infinity,\"\\ud800\\u0000\"]}" },
        { "{}", "{\"set\":{\"k\":\"\xc3\xa9\"}}", "{\"k\":\"\\u00e9\"}" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_effect(test, cases[i].before, cases[i].update, cases[i].after);
    }
}

static void operations_have_their_order_and_objects_theirs(void **state)
{
    static const struct { const char *before, *update, *after; } cases[] = {
        { "{\"a\":1}", "{\"set\":{\"b\":2},\"flush\":true}", "{\"b\":2}" },
        { "{\"a\":1}", "{\"increment\":{\"a\":5},\"clear\":true}", "{\"a\":5}" },
        { "{}", "{\"append\":{\"a\":2},\"delete\":[\"a\"],\"set\":{\"a\":1}}", "{\"a\":[2]}" },
        { "{}", "{\"increment\":{\"a\":1},\"setdefault\":{\"a\":10}}", "{\"a\":11}" },
        { "{}", "{\"expiry\":5,\"clear\":true}", "{\"_session_expiry\":5}" },
        { "{\"a\":1}", "{\"set\":{\"b\":2}} , {\"clear\":true},{\"set\":{\"c\":3}}", "{\"c\":3}" },
        { "{}", "{\"increment\":{\"a\":1}},{\"increment\":{\"a\":1}}", "{\"a\":2}" },
        { "{}", "{\"append\":{\"a\":1}},{\"append\":{\"a\":2}},{\"set\":{\"a\":[0]}},"
                "{\"append\":{\"a\":3}}", "{\"a\":[0,3]}" },
        { "{}", " {\"set\":{\"a\":1}}\t", "{\"a\":1}" },
        { "{\"a\":1}", "{\"set\":{\"b\":2}},{\"logout\":true}", "{}" },
        { "{\"a\":1}", "   ", "{\"a\":1}" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_effect(test, cases[i].before, cases[i].update, cases[i].after);
    }
}

static void pairs_are_texts(void **state)
{
    static const struct { const char *pairs, *after; const char *why; } cases[] = {
        { "a=1", "{\"a\":\"1\"}", "a text, whatever it looks like" },
        { "a=1,b=2", "{\"a\":\"1\",\"b\":\"2\"}", "two" },
        { " a=1 ,\tb= 2\t", "{\"a\":\"1\",\"b\":\" 2\"}", "blanks around a pair are not its" },
        { "a=", "{\"a\":\"\"}", "the empty text" },
        { "a=x=y", "{\"a\":\"x=y\"}", "the first = counts" },
        { "a=%2C%20%25%3D", "{\"a\":\", %=\"}", "percent-decoded" },
        { "a%3Db=1", "{\"a=b\":\"1\"}", "the key, too" },
        { "a=%00b", "{\"a\":\"\\u0000b\"}", "NUL is a character" },
        { "caf%C3%A9=\xc3\xa9", "{\"caf\\u00e9\":\"\\u00e9\"}", "UTF-8, encoded or not" },
        { "a=1,a=2", "{\"a\":\"2\"}", "the last wins" },
        { "Foo=1,foo=2", "{\"Foo\":\"1\",\"foo\":\"2\"}", "case counts" },
        { "expiry=99999999999999999", "{\"expiry\":\"99999999999999999\"}", "just a key" },
        { "_x=1", "{\"_x\":\"1\"}", "an underscore alone is nobody's" },
        { "  ", "{}", "nothing" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scene_t scene = scene_of(test, "{}");

        ask_pairs(test, &scene, cases[i].pairs);
        assert_status(test->ctx, apply(test, &scene), APR_SUCCESS, cases[i].why);
        assert_data(test, &scene, cases[i].after, cases[i].why);
    }
}

static void pairs_come_before_objects_whatever_was_parsed_first(void **state)
{
    test_t *test = *state;
    scene_t scene = scene_of(test, "{}");

    ask(test, &scene, "{\"setdefault\":{\"a\":\"object\"}}");
    ask_pairs(test, &scene, "a=pair");
    assert_status(test->ctx, apply(test, &scene), APR_SUCCESS, "both");
    assert_data(test, &scene, "{\"a\":\"pair\"}", "the pair was there already");
}

/* ---- refusals ---- */

static void what_is_not_understood_is_told_by_its_place(void **state)
{
    static const struct { const char *json, *problem; } cases[] = {
        { "{\"set\":{\"secret\":1}", "update: object 1: JSON: no comma behind an item at byte 19 "
                                     "of it" },
        { "{},{]", "update: object 2: JSON: no name of a member at byte 1 of it" },
        { "{},", "update: object 2: JSON: no value at byte 0 of it" },
        { "{} {}", "update: no comma behind object 1" },
        { "[]", "update: object 1 is of type list" },
        { "{\"set\":{\"a\":1},\"secret\":1}", "update: object 1: member 2 is no operation" },
        { "{\"Set\":{}}", "update: object 1: member 1 is no operation" },
        { "{},{\"flush\":1}", "update: object 2, \"flush\": is of type int, should be true" },
        { "{\"clear\":null}", "update: object 1, \"clear\": is of type NoneType, should be true" },
        { "{\"logout\":\"true\"}", "update: object 1, \"logout\": is of type str, should be true" },
        { "{\"cycle_key\":{}}",
          "update: object 1, \"cycle_key\": is of type dict, should be true" },
        { "{\"set\":[]}",
          "update: object 1, \"set\": is of type list, should be an object of keys" },
        { "{\"append\":\"secret\"}",
          "update: object 1, \"append\": is of type str, should be an object of keys" },
        { "{\"delete\":\"secret\"}",
          "update: object 1, \"delete\": is of type str, should be a list of keys" },
        { "{\"delete\":[\"a\",1]}",
          "update: object 1, \"delete\", item 2: is of type int, should be a key, which is a "
          "text" },
        { "{\"increment\":{\"a\":1,\"b\":\"secret\"}}",
          "update: object 1, \"increment\", item 2: is of type str, should be a number" },
        { "{\"increment\":{\"a\":true}}",
          "update: object 1, \"increment\", item 1: is of type bool, should be a number" },
        { "{\"expiry\":1.5}",
          "update: object 1, \"expiry\": is of type float, should be whole seconds, "
                              "an ISO 8601 date-time or null" },
        { "{\"expiry\":true}",
          "update: object 1, \"expiry\": is of type bool, should be whole seconds, "
                               "an ISO 8601 date-time or null" },
        { "{\"expiry\":99999999999999999999}", "update: object 1, \"expiry\": too many seconds" },
        { "{\"test_cookie\":true}",
          "update: object 1, \"test_cookie\": is of type bool, should be \"set\" or \"delete\"" },
        { "{\"test_cookie\":\"secret\"}",
          "update: object 1, \"test_cookie\": should be \"set\" or \"delete\"" },
        { "{\"login\":1}", "update: object 1, \"login\": is of type int, should be a user's name" },
        { "{\"login\":\"\"}", "update: object 1, \"login\": no name that a user can have" },
        { "{\"login\":\"a\\u0000b\"}",
          "update: object 1, \"login\": no name that a user can have" },
        { "{\"login\":\"\\ud800\"}", "update: object 1, \"login\": no name that a user can have" },
        { "{\"set\":{\"a\":\"\xff\"}}",
          "update: object 1: JSON: no valid UTF-8 at byte 13 of it" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_forget(test->ctx);
        assert_status(test->ctx, djs_update_parse_json(test->ctx, djs_update_make(test->ctx),
                                                       djs_bytes(cases[i].json)),
                      DJS_EINVAL, cases[i].json);
        assert_text(test->ctx->problem, cases[i].problem, cases[i].json);
    }
}

static void pairs_that_are_none_are_told_by_their_number(void **state)
{
    static const struct { const char *pairs, *problem; } cases[] = {
        { "secret", "update: pair 1: no \"=\"" },
        { "a=1,secret", "update: pair 2: no \"=\"" },
        { "a=1,", "update: pair 2: no \"=\"" },
        { "a=1,,b=2", "update: pair 2: no \"=\"" },
        { "=secret", "update: pair 1: no key before \"=\"" },
        { "a=%", "update: pair 1: \"%\" at byte 0 is not followed by two hex digits" },
        { "a=secret%4", "update: pair 1: \"%\" at byte 6 is not followed by two hex digits" },
        { "%zz=1", "update: pair 1: \"%\" at byte 0 is not followed by two hex digits" },
        { "a=%FF", "update: pair 1: not UTF-8" },
        { "%C3=1", "update: pair 1: not UTF-8" },
        { "a=%ED%A0%80", "update: pair 1: not UTF-8" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_forget(test->ctx);
        assert_status(test->ctx, djs_update_parse_pairs(test->ctx, djs_update_make(test->ctx),
                                                        djs_bytes(cases[i].pairs)),
                      DJS_EINVAL, cases[i].pairs);
        assert_text(test->ctx->problem, cases[i].problem, cases[i].pairs);
    }
}

static void no_update_reaches_who_is_logged_in(void **state)
{
    static const struct { const char *before, *after; } operations[] = {
        { "{\"set\":{\"x\":1,\"", "\":\"1\"}}" }, { "{\"setdefault\":{\"", "\":\"1\"}}" },
        { "{\"delete\":[\"", "\"]}" },             { "{\"increment\":{\"", "\":1}}" },
        { "{\"append\":{\"", "\":1}}" },
    };
    static const char *const keys[] = {
        "_auth_user_id", "_auth_user_hash", "_auth_user_backend", "_auth_user", "_auth_userx",
        "_session_expiry", "_session_started", "_session", "\\u005fauth_user_id",
    };
    static const char *const pairs[] = { "_auth_user_id=1", "%5Fauth_user_id=1",
                                         "a=1, _session_expiry=9", "_session_started=1" };
    test_t *test = *state;
    size_t i, j;

    for (i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        for (j = 0; j < sizeof(keys) / sizeof(keys[0]); j++) {
            const char *json = apr_pstrcat(test->pool, operations[i].before, keys[j],
                                           operations[i].after, NULL);

            assert_status(test->ctx, djs_update_parse_json(test->ctx, djs_update_make(test->ctx),
                                                           djs_bytes(json)),
                          DJS_EINVAL, json);
        }
    }
    for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        assert_status(test->ctx, djs_update_parse_pairs(test->ctx, djs_update_make(test->ctx),
                                                        djs_bytes(pairs[i])),
                      DJS_EINVAL, pairs[i]);
    }
}

static void an_update_has_a_largest_size(void **state)
{
    test_t *test = *state;
    char *text = apr_palloc(test->pool, DJS_UPDATE_TEXT_MAX + 1);
    djs_update_t *update = djs_update_make(test->ctx);

    memset(text, 'x', DJS_UPDATE_TEXT_MAX + 1);
    memcpy(text, "a=", 2);
    assert_status(test->ctx, djs_update_parse_pairs(test->ctx, djs_update_make(test->ctx),
                                                    djs_bytes_of(text, DJS_UPDATE_TEXT_MAX + 1)),
                  DJS_ELIMIT, "too large");
    assert_status(test->ctx, djs_update_parse_pairs(test->ctx, update,
                                                    djs_bytes_of(text, DJS_UPDATE_TEXT_MAX)),
                  APR_SUCCESS, "as large as allowed");
    assert_status(test->ctx, djs_update_parse_json(test->ctx, update, djs_bytes("{}")), DJS_ELIMIT,
                  "too large together");
    assert_status(test->ctx,
                  djs_update_parse_json(test->ctx, djs_update_make(test->ctx),
                                        djs_bytes(apr_pstrcat(test->pool, "{\"set\":{\"a\":1",
                                                              "000000000000000000000", "}}",
                                                              NULL))),
                  APR_SUCCESS, "a wide integer");
    memset(text, '[', 2000);
    assert_status(test->ctx, djs_update_parse_json(test->ctx, djs_update_make(test->ctx),
                                                   djs_bytes_of(text, 2000)),
                  DJS_ELIMIT, "too deep");
}

/* ---- all or nothing ---- */

static void what_cannot_be_applied_changes_nothing(void **state)
{
    static const struct { const char *update, *problem_begins; } cases[] = {
        { "{\"set\":{\"new\":1},\"increment\":{\"n\":1,\"t\":1}}",
          "update: object 1, \"increment\", item 2: what the session has there is of type str, no "
          "number" },
        { "{\"set\":{\"new\":1}},{\"increment\":{\"nothing\":1}}",
          "update: object 2, \"increment\", item 1: what the session has there is of type "
          "NoneType, no number" },
        { "{\"set\":{\"new\":\"x\"}},{\"increment\":{\"new\":1}}",
          "update: object 2, \"increment\", item 1: what the session has there is of type str, no "
          "number" },
        { "{\"append\":{\"l\":2,\"n\":1}}",
          "update: object 1, \"append\", item 2: what the session has there is of type int, no "
          "list" },
        { "{\"delete\":[\"n\"],\"append\":{\"t\":1}}",
          "update: object 1, \"append\", item 1: what the session has there is of type str, no "
          "list" },
        { "{\"flush\":true},{\"append\":{\"a\":1}},{\"increment\":{\"a\":1}}",
          "update: object 3, \"increment\", item 1: what the session has there is of type list, no "
          "number" },
        { "{\"delete\":[\"n\"],\"expiry\":\"tomorrow\"}",
          "update: object 1, \"expiry\": _session_expiry is " },
        { "{\"delete\":[\"n\"],\"expiry\":\"\"}",
          "update: object 1, \"expiry\": _session_expiry is " },
        { "{\"delete\":[\"n\"],\"expiry\":\"2025-02-01T00:00:00\"}",
          "update: object 1, \"expiry\": _session_expiry is " },
        { "{\"delete\":[\"n\"],\"expiry\":999999999999999}",
          "update: object 1, \"expiry\": _session_expiry is " },
        { "{\"delete\":[\"n\"],\"login\":\"nobody\"}",
          "update: object 1, \"login\": there is no such user" },
        { "{\"delete\":[\"n\"],\"login\":\"Ada\"}",
          "update: object 1, \"login\": there is no such user" },
        { "{\"delete\":[\"n\"],\"login\":\"eve\"}",
          "update: object 1, \"login\": the user is not active" },
        { "{\"flush\":true,\"login\":\"ada\"},{\"login\":\"eve\"}",
          "update: object 2, \"login\": the user is not active" },
    };
    static const char before[] = "{\"n\":1,\"t\":\"x\",\"l\":[1],\"nothing\":null}";
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scene_t scene = scene_of(test, before);

        add_people(test, scene.site);
        djs_forget(test->ctx);
        ask(test, &scene, cases[i].update);
        assert_status(test->ctx, apply(test, &scene), DJS_EINVAL, cases[i].update);
        assert_true(strlen(test->ctx->problem) >= strlen(cases[i].problem_begins));
        assert_bytes(djs_bytes_of(test->ctx->problem, strlen(cases[i].problem_begins)),
                     djs_bytes(cases[i].problem_begins), cases[i].update);
        assert_data(test, &scene, before, cases[i].update);
        assert_number(djs_session_modified(scene.session), 0, cases[i].update);
        assert_text(djs_session_key(scene.session), KEY, cases[i].update);
        assert_null(djs_update_user(scene.update));
    }
}

static void a_sum_too_large_is_refused(void **state)
{
    test_t *test = *state;
    char *nines = apr_palloc(test->pool, DJS_INT_DIGITS_MAX + 1);
    scene_t scene;

    memset(nines, '9', DJS_INT_DIGITS_MAX);
    nines[DJS_INT_DIGITS_MAX] = '\0';
    scene = scene_of(test, apr_pstrcat(test->pool, "{\"n\":", nines, "}", NULL));
    ask(test, &scene, "{\"increment\":{\"n\":1}}");
    assert_status(test->ctx, apply(test, &scene), DJS_EINVAL, "more digits than Python reads");
    assert_text(test->ctx->problem,
                "update: object 1, \"increment\", item 1: the sum is too large", "told");
}

static void naive_dates_are_for_sites_without_time_zones(void **state)
{
    test_t *test = *state;
    scene_t scene = scene_of(test, "{}");

    scene.site->settings.use_tz = 0;
    scene.site->site.zone = &djs_zone_utc;
    ask(test, &scene, "{\"expiry\":\"2025-02-01 00:00\"}");
    assert_status(test->ctx, apply(test, &scene), APR_SUCCESS, "naive without USE_TZ");
    assert_data(test, &scene, "{\"_session_expiry\":\"2025-02-01T00:00:00\"}", "as isoformat()");
    scene.update = djs_update_make(test->ctx);
    ask(test, &scene, "{\"expiry\":\"2025-02-01T00:00:00Z\"}");
    assert_status(test->ctx, apply(test, &scene), DJS_EINVAL, "aware without USE_TZ");
}

static void an_update_can_be_applied_again_to_other_data(void **state)
{
    test_t *test = *state;
    scene_t scene = scene_of(test, "{\"n\":1,\"l\":[1]}");

    ask(test, &scene, "{\"increment\":{\"n\":1},\"append\":{\"l\":2}},"
                      "{\"set\":{\"m\":[]}},{\"append\":{\"m\":3}}");
    assert_status(test->ctx, apply(test, &scene), APR_SUCCESS, "once");
    assert_data(test, &scene, "{\"n\":2,\"l\":[1,2],\"m\":[3]}", "once");
    memory_site_put(test->ctx, scene.site, KEY, "{\"n\":10,\"other\":true}", LATER);
    assert_status(test->ctx, djs_session_save(test->ctx, scene.session), DJS_ECONFLICT,
                  "somebody else was faster");
    djs_forget(test->ctx);
    assert_status(test->ctx, djs_session_reload(test->ctx, scene.session), APR_SUCCESS, "reload");
    assert_status(test->ctx, apply(test, &scene), APR_SUCCESS, "again");
    assert_status(test->ctx, djs_session_save(test->ctx, scene.session), APR_SUCCESS, "stored");
    assert_text(memory_site_get(test->ctx, scene.site, KEY),
                "{\"n\":11,\"other\":true,\"l\":[2],\"m\":[3]}", "both took effect, each once");
}

static void what_fails_on_fresh_data_changes_nothing_of_it(void **state)
{
    test_t *test = *state;
    scene_t scene = scene_of(test, "{\"n\":1}");

    ask(test, &scene, "{\"set\":{\"a\":1},\"increment\":{\"n\":1}}");
    assert_status(test->ctx, apply(test, &scene), APR_SUCCESS, "once");
    memory_site_put(test->ctx, scene.site, KEY, "{\"n\":\"text now\"}", LATER);
    assert_status(test->ctx, djs_session_reload(test->ctx, scene.session), APR_SUCCESS, "reload");
    assert_status(test->ctx, apply(test, &scene), DJS_EINVAL, "again");
    assert_data(test, &scene, "{\"n\":\"text now\"}", "as it is stored");
    assert_false(djs_session_modified(scene.session));
}

/* Were any of it quadratic in the operations, this would not end within a minute. */
static void many_operations_take_no_more_time_each(void **state)
{
    test_t *test = *state;
    scene_t scene = scene_of(test, "{\"l\":[0]}");
    apr_size_t size = 0;
    char *text = apr_palloc(test->pool, DJS_UPDATE_TEXT_MAX);
    djs_value_t *list;

    while (size + 40 < DJS_UPDATE_TEXT_MAX) {
        size += (apr_size_t)apr_snprintf(text + size, 40, "%s{\"append\":{\"l\":1}}",
                                         size > 0 ? "," : "");
    }
    assert_status(test->ctx, djs_update_parse_json(test->ctx, scene.update,
                                                   djs_bytes_of(text, size)),
                  APR_SUCCESS, "many objects");
    assert_status(test->ctx, apply(test, &scene), APR_SUCCESS, "many appends");
    list = djs_session_get(test->ctx, scene.session, djs_bytes("l"));
    assert_int_equal(djs_value_len(list), 1 + (size + 1) / strlen("{\"append\":{\"l\":1}},"));
}

/* ---- key, login, store ---- */

static void a_cycled_key_is_another_and_a_flushed_one_is_gone(void **state)
{
    test_t *test = *state;
    scene_t scene = scene_of(test, "{\"a\":1}");

    ask(test, &scene, "{\"cycle_key\":true}");
    assert_status(test->ctx, apply(test, &scene), APR_SUCCESS, "cycle_key");
    assert_status(test->ctx, djs_session_save(test->ctx, scene.session), APR_SUCCESS, "saved");
    assert_string_not_equal(djs_session_key(scene.session), KEY);
    assert_null(memory_engine_get(scene.site->memory, KEY));

    scene = scene_of(test, "{\"a\":1}");
    ask(test, &scene, "{\"flush\":true,\"set\":{\"b\":2}}");
    assert_status(test->ctx, apply(test, &scene), APR_SUCCESS, "flush, set");
    assert_status(test->ctx, djs_session_save(test->ctx, scene.session), APR_SUCCESS, "saved");
    assert_null(memory_engine_get(scene.site->memory, KEY));
    assert_text(memory_site_get(test->ctx, scene.site, djs_session_key(scene.session)),
                "{\"b\":2}", "under a new key");
}

static void a_login_is_djangos(void **state)
{
    test_t *test = *state;
    scene_t scene = scene_of(test, "{\"cart\":[1]}");
    people_t *people = add_people(test, scene.site);

    assert_false(djs_update_has_login(scene.update));
    ask(test, &scene, "{\"login\":\"ada\"}");
    ask_pairs(test, &scene, "a=1");
    assert_true(djs_update_has_login(scene.update));
    assert_status(test->ctx, apply(test, &scene), APR_SUCCESS, "login");
    assert_int_equal(people->finds, 1);
    assert_text(djs_update_user(scene.update)->username, "ada", "who it is");
    assert_bytes(djs_value_str(djs_session_get(test->ctx, scene.session,
                                               djs_bytes("_auth_user_id"))),
                 djs_bytes("1"), "the id");
    assert_true(djs_session_has_key(test->ctx, scene.session, djs_bytes("cart")));
    assert_status(test->ctx, djs_session_save(test->ctx, scene.session), APR_SUCCESS, "saved");
    assert_string_not_equal(djs_session_key(scene.session), KEY);
    assert_null(memory_engine_get(scene.site->memory, KEY));
    people->down = 1;
    assert_status(test->ctx, apply(test, &scene), DJS_ESTORE, "once more, in vain");
    assert_null(djs_update_user(scene.update));
}

static void what_comes_after_a_login_sees_what_it_left(void **state)
{
    test_t *test = *state;
    scene_t scene = scene_of(test, "{\"_auth_user_id\":\"2\",\"n\":5}");

    add_people(test, scene.site);
    ask(test, &scene, "{\"login\":\"ada\"},{\"increment\":{\"n\":1}}");
    assert_status(test->ctx, apply(test, &scene), APR_SUCCESS, "another user's session");
    assert_text(djs_json_dumps(test->ctx, DJS_JSON_COMPACT,
                               djs_session_get(test->ctx, scene.session, djs_bytes("n"))).data,
                "1", "the other's data was flushed");

    scene = scene_of(test, "{\"_auth_user_id\":\"2\"}");
    add_people(test, scene.site);
    ask(test, &scene, "{\"login\":\"ada\",\"logout\":true}");
    assert_status(test->ctx, apply(test, &scene), APR_SUCCESS, "in and out");
    assert_data(test, &scene, "{}", "nobody");
    assert_null(djs_update_user(scene.update));
}

static void a_login_needs_users(void **state)
{
    test_t *test = *state;
    scene_t scene = scene_of(test, "{}");
    people_t *people;

    ask(test, &scene, "{\"login\":\"ada\"}");
    assert_status(test->ctx, apply(test, &scene), DJS_EINVAL, "no user table");
    people = add_people(test, scene.site);
    people->down = 1;
    assert_status(test->ctx, apply(test, &scene), DJS_ESTORE, "the user table is down");
    assert_false(djs_session_modified(scene.session));
    people->down = 0;
    assert_status(test->ctx, apply(test, &scene), APR_SUCCESS, "up again");
}

static void a_store_that_is_down_is_said_to_be_so(void **state)
{
    test_t *test = *state;
    scene_t scene = scene_of(test, "{\"a\":1}");

    scene.site->memory->down = 1;
    ask(test, &scene, "{\"set\":{\"b\":1}}");
    assert_status(test->ctx, apply(test, &scene), DJS_ESTORE, "nothing can be concluded");
    assert_false(djs_session_modified(scene.session));
}

static void a_flush_reads_nothing(void **state)
{
    static const char *const updates[] = { "{\"flush\":true}", "{\"clear\":true}",
                                           "{\"logout\":true,\"clear\":true}",
                                           "{\"flush\":true,\"increment\":{\"n\":1}}" };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(updates) / sizeof(updates[0]); i++) {
        scene_t scene = scene_of(test, "{\"a\":1}");

        ask(test, &scene, updates[i]);
        assert_status(test->ctx, apply(test, &scene), APR_SUCCESS, updates[i]);
        assert_int_equal(memory_engine_calls(scene.site->memory), 0);
        assert_true(djs_session_modified(scene.session));
    }
}

static void an_update_of_nothing_touches_nothing(void **state)
{
    test_t *test = *state;
    scene_t scene = scene_of(test, "{\"a\":1}");

    ask(test, &scene, "{},{\"set\":{}},{\"delete\":[]},{\"flush\":false}");
    assert_true(djs_update_is_empty(scene.update));
    assert_status(test->ctx, apply(test, &scene), APR_SUCCESS, "nothing");
    assert_false(djs_session_accessed(scene.session));
    assert_int_equal(memory_engine_calls(scene.site->memory), 0);
    ask_pairs(test, &scene, "a=1");
    assert_false(djs_update_is_empty(scene.update));
}

static void a_session_that_cannot_be_read_is_left_alone(void **state)
{
    test_t *test = *state;
    scene_t scene = scene_of(test, "{\"a\":1}");
    djs_record_t broken = { .data = { "not ours:x:y", 12 }, .expires = LATER };

    memory_engine_put(scene.site->memory, KEY, &broken);
    ask(test, &scene, "{\"increment\":{\"n\":1}}");
    assert_status(test->ctx, apply(test, &scene), APR_SUCCESS, "on nothing");
    assert_status(test->ctx, djs_session_save(test->ctx, scene.session), APR_SUCCESS, "saved");
    assert_string_not_equal(djs_session_key(scene.session), KEY);
    assert_text(memory_site_get(test->ctx, scene.site, djs_session_key(scene.session)),
                "{\"n\":1}", "under a new key");
    assert_text(memory_site_get(test->ctx, scene.site, KEY), "(unreadable)", "as it was");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(each_operation_does_what_it_says),
        TEST(operations_have_their_order_and_objects_theirs),
        TEST(pairs_are_texts),
        TEST(pairs_come_before_objects_whatever_was_parsed_first),
        TEST(what_is_not_understood_is_told_by_its_place),
        TEST(pairs_that_are_none_are_told_by_their_number),
        TEST(no_update_reaches_who_is_logged_in),
        TEST(an_update_has_a_largest_size),
        TEST(what_cannot_be_applied_changes_nothing),
        TEST(a_sum_too_large_is_refused),
        TEST(naive_dates_are_for_sites_without_time_zones),
        TEST(an_update_can_be_applied_again_to_other_data),
        TEST(what_fails_on_fresh_data_changes_nothing_of_it),
        TEST(many_operations_take_no_more_time_each),
        TEST(a_cycled_key_is_another_and_a_flushed_one_is_gone),
        TEST(a_login_is_djangos),
        TEST(what_comes_after_a_login_sees_what_it_left),
        TEST(a_login_needs_users),
        TEST(a_store_that_is_down_is_said_to_be_so),
        TEST(a_flush_reads_nothing),
        TEST(an_update_of_nothing_touches_nothing),
        TEST(a_session_that_cannot_be_read_is_left_alone),
    };

    return RUN_TESTS(tests);
}
