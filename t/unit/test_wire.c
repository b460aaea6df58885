/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions as stored bytes, against rows that Django wrote. Where its versions differ, everything
 * that one of them reads is read.
 */
#include "support.h"
#include "deflate.h"
#include "encode.h"
#include "json.h"
#include "tagged.h"
#include "wire.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A case's key and fallback keys. */
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

static djs_keyring_t *keyring(apr_pool_t *pool, const char *key, const char *fallback)
{
    djs_bytes_t old = djs_bytes(fallback);

    return djs_keyring_make(pool, djs_bytes(key), &old, fallback != NULL ? 1 : 0);
}

static djs_value_t *value_of(test_t *test, const char *json)
{
    djs_value_t *value = NULL;

    assert_status(test->ctx, djs_json_loads(test->ctx, DJS_JSON_LATIN1, djs_bytes(json), &value),
                  APR_SUCCESS, json);
    return value;
}

static djs_bytes_t json_of(test_t *test, const djs_value_t *value)
{
    return djs_json_dumps(test->ctx, DJS_JSON_COMPACT, value);
}

/* Read, and compare status, content, layout and key; after a failure, that no value was given. */
static void check_read(test_t *test, const djs_wire_t *wire, djs_bytes_t stored, apr_status_t rv,
                       const char *json, djs_wire_layout_t layout, const char *why)
{
    djs_wire_facts_t found;
    djs_value_t *value = NULL;

    djs_forget(test->ctx);
    assert_status(rv == APR_SUCCESS ? test->ctx : NULL,
                  djs_wire_inspect(test->ctx, wire, stored, &value, &found), rv, why);
    if (rv != APR_SUCCESS) {
        assert_null(value);
        assert_non_null(test->ctx->problem);
        return;
    }
    assert_text(test->ctx->problem, NULL, why);
    assert_bytes(json_of(test, value), djs_bytes(json), why);
    assert_number(found.layout, layout, why);
    assert_in_range(found.key_index, 0, 2);
}

/* ---- Golden vectors -------------------------------------------------------------------------- */

/* Rows of class X are signed under "django.contrib.sessions.X", in a legacy vector, too. */
static const char *salt_of_class(apr_pool_t *pool, const json_t *a_case)
{
    return apr_pstrcat(pool, "django.contrib.sessions.", vector_need(a_case, "class"), NULL);
}

/*
 * What was read as `json` is written as the same text again; but compressed by another zlib it may
 * differ, and so it may when two keys became one.
 */
static void check_written_again(test_t *test, const djs_wire_t *wire, djs_wire_layout_t layout,
                                const char *json, const json_t *a_case, const char *name)
{
    djs_bytes_t stored = djs_bytes(vector_need(a_case, "session_data"));
    djs_bytes_t written;

    assert_status(test->ctx, djs_wire_write(test->ctx, wire, value_of(test, json), &written),
                  APR_SUCCESS, name);
    check_read(test, wire, written, APR_SUCCESS, json, layout, name);
    if (stored.data[0] == '.') {
        assert_number(written.data[0], '.', name);
    }
    else if (strcmp(json, vector_need(a_case, "json")) == 0) {
        assert_bytes(written, stored, name);
    }
    else {
        assert_text(vector_need(a_case, "id"), "encode-colliding-keys", name);
    }
}

static void check_signed(test_t *test, const json_t *a_case, const char *name)
{
    djs_wire_t *wire = djs_wire_make(test->pool, case_keys(test->pool, a_case), DJS_WIRE_SIGNED,
                                     vector_need(a_case, "salt"));
    const char *json = vector_need(json_object_get(a_case, "decode"), "json");

    test->ctx->now = test_time(json_object_get(a_case, "time"));
    check_read(test, wire, djs_bytes(vector_need(a_case, "session_data")), APR_SUCCESS, json,
               DJS_WIRE_SIGNED, name);
    check_written_again(test, wire, DJS_WIRE_SIGNED, json, a_case, name);
}

/* Django 4 and later give up on these; we read what 3.2 reads, which is what was stored. */
static void check_legacy(test_t *test, const json_t *a_case, const char *name)
{
    const char *salt = salt_of_class(test->pool, a_case);
    djs_keyring_t *keys = case_keys(test->pool, a_case);
    djs_wire_t *today = djs_wire_make(test->pool, keys, DJS_WIRE_SIGNED, salt);
    djs_wire_t *legacy = djs_wire_make(test->pool, keys, DJS_WIRE_LEGACY, salt);
    djs_bytes_t stored = djs_bytes(vector_need(a_case, "session_data"));
    const char *json = vector_need(a_case, "json");

    check_read(test, today, stored, APR_SUCCESS, json, DJS_WIRE_LEGACY, name);
    check_read(test, legacy, stored, APR_SUCCESS, json, DJS_WIRE_LEGACY, name);
    check_written_again(test, legacy, DJS_WIRE_LEGACY, json, a_case, name);
}

static void check_tagged(test_t *test, const djs_wire_t *wire, djs_bytes_t stored,
                         const char *tagged, const char *name)
{
    djs_value_t *value = NULL;

    djs_forget(test->ctx);
    assert_status(test->ctx, djs_wire_inspect(test->ctx, wire, stored, &value, NULL), APR_SUCCESS,
                  name);
    assert_text(tagged_text(test->pool, value), tagged, name);
    assert_status(test->ctx, djs_wire_write(test->ctx, wire, value, &stored), APR_SUCCESS, name);
    assert_status(test->ctx, djs_wire_inspect(test->ctx, wire, stored, &value, NULL), APR_SUCCESS,
                  name);
    assert_text(tagged_text(test->pool, value), tagged, "written and read again");
}

/* For a site that pickles, a session with its types; for one that does not, unreadable. */
static void check_pickle(test_t *test, const json_t *a_case, const char *name)
{
    djs_keyring_t *keys = case_keys(test->pool, a_case);
    const char *salt = vector_need(a_case, "salt");
    djs_wire_t *plain = djs_wire_make(test->pool, keys, DJS_WIRE_SIGNED, salt);
    djs_wire_t *pickled = djs_wire_make_pickled(test->pool, keys, DJS_WIRE_SIGNED, salt);
    djs_bytes_t stored = djs_bytes(vector_need(a_case, "session_data"));

    check_read(test, plain, stored, DJS_EFORMAT, NULL, DJS_WIRE_SIGNED, name);
    check_tagged(test, pickled, stored, vector_need(json_object_get(a_case, "decode"), "tagged"),
                 name);
}

/*
 * The odd ones, one by one. Django answers all that it cannot read with {}; we tell apart what is
 * not genuine from what is genuine and broken.
 */
static const struct {
    const char *id;
    apr_status_t rv;
    const char *json;
    djs_wire_layout_t layout;
} odd[] = {
    { "odd-empty",                DJS_EBADSIG, NULL, 0 },
    { "odd-spaces",               DJS_EBADSIG, NULL, 0 },
    { "odd-text",                 DJS_EBADSIG, NULL, 0 },
    { "odd-three-parts",          DJS_EBADSIG, NULL, 0 },
    { "odd-base64-no-colon",      DJS_EBADSIG, NULL, 0 },
    { "odd-base64-colon",         DJS_EBADSIG, NULL, 0 },
    { "odd-wrong-key",            DJS_EBADSIG, NULL, 0 },
    { "odd-wrong-class",          DJS_EBADSIG, NULL, 0 },
    { "odd-cut",                  DJS_EBADSIG, NULL, 0 },
    { "odd-plus-newline",         DJS_EBADSIG, NULL, 0 },
    { "odd-nonascii",             DJS_EBADSIG, NULL, 0 },
    { "odd-legacy-cut",           DJS_EBADSIG, NULL, 0 },
    { "odd-legacy-changed",       DJS_EBADSIG, NULL, 0 },
    { "odd-legacy-newline",       APR_SUCCESS, "{\"a\":1}", DJS_WIRE_LEGACY },
    { "odd-legacy-uppercase-mac", DJS_EBADSIG, NULL, 0 },
    { "odd-legacy-urlsafe",       APR_SUCCESS, "{\"a\":1}", DJS_WIRE_LEGACY },
    { "odd-legacy-wrong-key",     DJS_EBADSIG, NULL, 0 },
    { "odd-legacy-not-json",      DJS_EFORMAT, NULL, 0 },
    { "odd-json-itself",          DJS_EBADSIG, NULL, 0 },
    { "odd-old",                  APR_SUCCESS, "{\"a\":1}", DJS_WIRE_SIGNED },
    { "genuine-list",             APR_SUCCESS, "[1]", DJS_WIRE_SIGNED },
    { "genuine-number",           APR_SUCCESS, "5", DJS_WIRE_SIGNED },
    { "genuine-null",             APR_SUCCESS, "null", DJS_WIRE_SIGNED },
    { "genuine-string",           APR_SUCCESS, "\"x\"", DJS_WIRE_SIGNED },
    { "genuine-broken",           DJS_EFORMAT, NULL, 0 },
    { "genuine-deep",             DJS_ELIMIT, NULL, 0 },
    { "genuine-utf8",             APR_SUCCESS, "{\"k\":\"\\u00c3\\u00a9\"}", DJS_WIRE_SIGNED },
    { "fallback-0",               APR_SUCCESS, "{\"with\":0}", DJS_WIRE_SIGNED },
    { "fallback-0-absent",        DJS_EBADSIG, NULL, 0 },
    { "fallback-1",               APR_SUCCESS, "{\"with\":1}", DJS_WIRE_SIGNED },
    { "fallback-1-absent",        DJS_EBADSIG, NULL, 0 },
};

static void check_odd(test_t *test, const json_t *a_case, const char *name)
{
    const json_t *decode = json_object_get(a_case, "decode");
    const char *id = vector_need(a_case, "id");
    const char *django = vector_text(decode, "json");
    djs_wire_t *wire = djs_wire_make(test->pool, case_keys(test->pool, a_case), DJS_WIRE_SIGNED,
                                     vector_need(a_case, "salt"));
    size_t i = 0;

    while (i < COUNT(odd) && strcmp(odd[i].id, id) != 0) {
        i++;
    }
    if (i == COUNT(odd)) {
        fail_msg("%s: the table does not know this case", name);
        return;
    }
    check_read(test, wire, djs_bytes(vector_need(a_case, "session_data")), odd[i].rv, odd[i].json,
               odd[i].layout, name);
    /* The table says what Django says, unless this version has given up on the layout. */
    if (odd[i].layout != DJS_WIRE_LEGACY || !json_is_true(json_object_get(decode, "logged"))) {
        assert_text(django, django == NULL ? NULL : odd[i].json != NULL ? odd[i].json : "{}", name);
    }
}

static void every_row_of_django_is_read_or_refused_as_it_should(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "session_data.json", 230);
    const json_t *a_case;
    size_t i, today = 0, legacy = 0, pickle = 0, any = 0;

    json_array_foreach(cases, i, a_case) {
        const char *name = vector_name(test->pool, a_case);
        const char *format = vector_need(a_case, "format");

        if (strcmp(vector_need(a_case, "serializer"), "pickle") == 0) {
            check_pickle(test, a_case, name);
            pickle++;
        }
        else if (strcmp(format, "signed") == 0) {
            check_signed(test, a_case, name);
            today++;
        }
        else if (strcmp(format, "legacy") == 0) {
            check_legacy(test, a_case, name);
            legacy++;
        }
        else {
            assert_text(format, "any", name);
            check_odd(test, a_case, name);
            any++;
        }
        vector_done(a_case);
    }
    assert_number(today, 90, "signed");
    assert_number(legacy, 80, "legacy");
    assert_number(pickle, 21, "pickles");
    assert_number(any, 39, "odd ones");
}

static void what_signing_dumps_wrote_reads_as_its_json(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "signing.json", 220);
    const json_t *a_case;
    size_t i;

    json_array_foreach(cases, i, a_case) {
        const char *name = vector_name(test->pool, a_case);
        djs_wire_t *wire = djs_wire_make(test->pool, case_keys(test->pool, a_case), DJS_WIRE_SIGNED,
                                         vector_need(a_case, "salt"));
        const char *other = vector_text(json_object_get(a_case, "loads"), "json");

        check_read(test, wire, djs_bytes(vector_need(a_case, "text")), APR_SUCCESS,
                   other != NULL ? other : vector_need(a_case, "json"), DJS_WIRE_SIGNED, name);
    }
}

static void genuine_texts_with_odd_content_read_as_django_reads_them(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "signing_bad.json", 188);
    const json_t *a_case;
    size_t i, of_any_age = 0, older = 0;

    json_array_foreach(cases, i, a_case) {
        const char *name = vector_name(test->pool, a_case);
        const json_t *expect = json_object_get(a_case, "expect");
        const char *error = vector_text(expect, "error");
        const char *json = vector_text(expect, "json");
        djs_wire_t *wire = djs_wire_make(test->pool, case_keys(test->pool, a_case), DJS_WIRE_SIGNED,
                                         vector_need(a_case, "salt"));
        apr_status_t rv = error == NULL ? APR_SUCCESS : DJS_EFORMAT;

        if (!json_is_null(json_object_get(a_case, "max_age"))) {
            continue; /* a row has no age; test_signing.c has them */
        }
        if (error != NULL && strcmp(error, "bad_signature") == 0) {
            rv = DJS_EBADSIG;
        }
        if (rv != APR_SUCCESS && strcmp(vector_need(a_case, "id"), "genuine-sha1") == 0) {
            rv = APR_SUCCESS; /* Django 3.2 reads it */
            json = "{\"a\":1}";
            older++;
        }
        check_read(test, wire, djs_bytes(vector_need(a_case, "text")), rv, json, DJS_WIRE_SIGNED,
                   name);
        of_any_age++;
    }
    assert_number(older, 1, "cases that only Django 3.2 reads");
    assert_number(of_any_age, 162, "cases without max_age");
}

/* ---- What the vectors leave out -------------------------------------------------------------- */

static djs_bytes_t written_by(test_t *test, const char *key, djs_wire_layout_t layout,
                              const char *salt, const char *json)
{
    djs_wire_t *wire = djs_wire_make(test->pool, keyring(test->pool, key, NULL), layout, salt);
    djs_bytes_t stored;

    assert_status(test->ctx, djs_wire_write(test->ctx, wire, value_of(test, json), &stored),
                  APR_SUCCESS, json);
    return stored;
}

static void a_layout_reads_what_its_contract_says(void **state)
{
    /* The last two are the same JSON to who reads it. */
    static const djs_wire_layout_t layouts[] = {
        DJS_WIRE_SIGNED, DJS_WIRE_LEGACY, DJS_WIRE_COOKIE, DJS_WIRE_SEALED, DJS_WIRE_JSON,
        DJS_WIRE_DJANGO_REDIS_JSON
    };
    /* Reader, writer. */
#define OK APR_SUCCESS
    static const apr_status_t outcomes[COUNT(layouts)][COUNT(layouts)] = {
        { OK, OK, DJS_EBADSIG, DJS_EBADSIG, DJS_EBADSIG, DJS_EBADSIG },
        { DJS_EBADSIG, OK, DJS_EBADSIG, DJS_EBADSIG, DJS_EBADSIG, DJS_EBADSIG },
        { DJS_EBADSIG, DJS_EBADSIG, OK, DJS_EBADSIG, DJS_EBADSIG, DJS_EBADSIG },
        { DJS_EBADSIG, DJS_EBADSIG, DJS_EBADSIG, OK, DJS_EBADSIG, DJS_EBADSIG },
        { DJS_EFORMAT, DJS_EFORMAT, DJS_EFORMAT, DJS_EFORMAT, OK, OK },
        { DJS_EFORMAT, DJS_EFORMAT, DJS_EFORMAT, DJS_EFORMAT, OK, OK },
    };
#undef OK
    test_t *test = *state;
    size_t reader, writer;

    for (reader = 0; reader < COUNT(layouts); reader++) {
        djs_wire_t *wire = djs_wire_make(test->pool, keyring(test->pool, "secret", NULL),
                                         layouts[reader], NULL);

        for (writer = 0; writer < COUNT(layouts); writer++) {
            djs_bytes_t stored = written_by(test, "secret", layouts[writer], NULL, "{\"a\":1}");
            const char *why = apr_psprintf(test->pool, "layout %d reads %d", (int)reader,
                                           (int)writer);
            int bare = layouts[writer] >= DJS_WIRE_JSON;
            int timed = !bare && layouts[writer] != DJS_WIRE_LEGACY;
            djs_wire_facts_t facts;
            djs_value_t *value;
            apr_status_t rv = djs_wire_inspect(test->ctx, wire, stored, &value, &facts);

            assert_status(NULL, rv, outcomes[reader][writer], why);
            if (rv == APR_SUCCESS) {
                assert_bytes(json_of(test, value), djs_bytes("{\"a\":1}"), why);
                assert_number(facts.layout, bare ? layouts[reader] : layouts[writer], why);
                assert_number(facts.key_index, bare ? -1 : 0, why);
                assert_number(facts.written, timed ? TEST_NOW : 0, why);
            }
            djs_forget(test->ctx);
        }
    }
}

static void neither_serializer_reads_the_other(void **state)
{
    static const djs_wire_layout_t layouts[] = { DJS_WIRE_SIGNED, DJS_WIRE_LEGACY, DJS_WIRE_COOKIE,
                                                 DJS_WIRE_SEALED };
    test_t *test = *state;
    djs_keyring_t *keys = keyring(test->pool, "secret", NULL);
    size_t i;

    for (i = 0; i < COUNT(layouts); i++) {
        djs_wire_t *plain = djs_wire_make(test->pool, keys, layouts[i], NULL);
        djs_wire_t *pickled = djs_wire_make_pickled(test->pool, keys, layouts[i], NULL);
        djs_bytes_t of_plain, of_pickled;

        djs_forget(test->ctx);
        assert_status(test->ctx, djs_wire_write(test->ctx, plain, value_of(test, "{\"a\":1}"),
                                                &of_plain), APR_SUCCESS, "JSON");
        assert_status(test->ctx, djs_wire_write(test->ctx, pickled, value_of(test, "{\"a\":1}"),
                                                &of_pickled), APR_SUCCESS, "pickle");
        check_tagged(test, pickled, of_pickled, "{\"a\":1}", "its own");
        check_read(test, plain, of_plain, APR_SUCCESS, "{\"a\":1}", layouts[i], "its own");
        check_read(test, plain, of_pickled, DJS_EFORMAT, NULL, layouts[i], "a pickle as JSON");
        check_read(test, pickled, of_plain, DJS_EFORMAT, NULL, layouts[i], "JSON as a pickle");
    }
}

static void django_redis_writes_json_with_spaces(void **state)
{
    test_t *test = *state;

    assert_bytes(written_by(test, NULL, DJS_WIRE_DJANGO_REDIS_JSON, NULL,
                            "{\"a\":[1,2],\"b\":{\"c\":\"\\u00e9\"},\"d\":{}}"),
                 djs_bytes("{\"a\": [1, 2], \"b\": {\"c\": \"\\u00e9\"}, \"d\": {}}"),
                 "as json.dumps() without separators");
}

static void a_sealed_session_is_bound_to_its_cookie(void **state)
{
    test_t *test = *state;
    djs_wire_t *wire = djs_wire_make(test->pool, keyring(test->pool, "secret", NULL),
                                     DJS_WIRE_SEALED, NULL);
    const djs_wire_t *one = djs_wire_for(test->pool, wire, "sessionid");
    const djs_wire_t *other = djs_wire_for(test->pool, wire, "adminid");
    djs_bytes_t stored;

    assert_status(test->ctx, djs_wire_write(test->ctx, one, value_of(test, "{}"), &stored),
                  APR_SUCCESS, "sealed");
    check_read(test, one, stored, APR_SUCCESS, "{}", DJS_WIRE_SEALED, "its own");
    check_read(test, other, stored, DJS_EBADSIG, NULL, DJS_WIRE_SEALED, "another's");
}

static void fallback_keys_read_every_layout_and_write_none(void **state)
{
    static const djs_wire_layout_t layouts[] = { DJS_WIRE_SIGNED, DJS_WIRE_LEGACY, DJS_WIRE_COOKIE,
                                                 DJS_WIRE_SEALED };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(layouts); i++) {
        djs_wire_t *rotated = djs_wire_make(test->pool, keyring(test->pool, "new", "old"),
                                            layouts[i], NULL);
        djs_wire_t *unaware = djs_wire_make(test->pool, keyring(test->pool, "old", NULL),
                                            layouts[i], NULL);
        djs_bytes_t stored = written_by(test, "old", layouts[i], NULL, "{\"a\":1}");
        djs_wire_facts_t facts;
        djs_value_t *value;

        assert_status(test->ctx, djs_wire_inspect(test->ctx, rotated, stored, &value, &facts),
                      APR_SUCCESS, "by a fallback");
        assert_number(facts.key_index, 1, "the fallback");
        assert_status(test->ctx, djs_wire_write(test->ctx, rotated, value, &stored), APR_SUCCESS,
                      "written again");
        assert_status(test->ctx, djs_wire_inspect(test->ctx, rotated, stored, &value, &facts),
                      APR_SUCCESS, "by the new key");
        assert_number(facts.key_index, 0, "the new key");
        check_read(test, unaware, stored, DJS_EBADSIG, NULL, layouts[i], "the old key alone");
        djs_forget(test->ctx);
    }
}

static void a_legacy_row_is_bound_to_its_class(void **state)
{
    static const struct {
        const char *writer, *reader;
        apr_status_t rv;
        const char *why;
    } cases[] = {
        { NULL, "django.contrib.sessions.SessionStore", APR_SUCCESS, "the default" },
        { "django.contrib.sessions.Inner", "django.contrib.sessions.Outer.Inner", APR_SUCCESS,
          "the old salt had the bare name" },
        { NULL, "django.contrib.sessions.Custom", DJS_EBADSIG, "another class" },
        { NULL, "django.contrib.sessions.backends.signed_cookies", DJS_EBADSIG,
          "no old row becomes a cookie" },
        { NULL, "a.salt.of.its.own", APR_SUCCESS, "nearly every class is called SessionStore" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        djs_wire_t *wire = djs_wire_make(test->pool, keyring(test->pool, "secret", NULL),
                                         DJS_WIRE_SIGNED, cases[i].reader);

        check_read(test, wire, written_by(test, "secret", DJS_WIRE_LEGACY, cases[i].writer, "{}"),
                   cases[i].rv, "{}", DJS_WIRE_LEGACY, cases[i].why);
    }
}

/* Sign bytes that are no session, as only who has the key can. */
static djs_bytes_t signed_bytes(test_t *test, const char *key, djs_bytes_t bytes)
{
    djs_signer_t *signer = djs_signer_make(test->pool, keyring(test->pool, key, NULL),
                                           DJS_SALT_SESSION_STORE, DJS_SIGNING_SHA256);
    djs_bytes_t text;

    assert_status(test->ctx, djs_signing_dumps(test->ctx, signer, DJS_COMPRESS_SMALL, bytes, &text),
                  APR_SUCCESS, "signed");
    return text;
}

static void genuine_but_broken_is_not_called_forged(void **state)
{
    static const char *const broken[] = { "", "{", "{\"a\":1}x", "\x80\x04}.", "{'a':1}" };
    test_t *test = *state;
    djs_wire_t *wire = djs_wire_make(test->pool, keyring(test->pool, "secret", NULL),
                                     DJS_WIRE_SIGNED, NULL);
    size_t i;

    for (i = 0; i < COUNT(broken); i++) {
        check_read(test, wire, signed_bytes(test, "secret", djs_bytes(broken[i])), DJS_EFORMAT,
                   NULL, DJS_WIRE_SIGNED, "genuine");
        check_read(test, wire, signed_bytes(test, "other", djs_bytes(broken[i])), DJS_EBADSIG, NULL,
                   DJS_WIRE_SIGNED, "forged");
    }
}

static void json_at_rest_is_utf8_and_signed_json_latin1(void **state)
{
    test_t *test = *state;
    djs_keyring_t *keys = keyring(test->pool, "secret", NULL);
    djs_wire_t *plain = djs_wire_make(test->pool, keys, DJS_WIRE_JSON, NULL);
    djs_wire_t *wire = djs_wire_make(test->pool, keys, DJS_WIRE_SIGNED, NULL);
    djs_bytes_t utf8 = djs_bytes("{\"k\":\"\xc3\xa9\"}");
    djs_value_t *value;

    assert_status(test->ctx, djs_wire_inspect(test->ctx, plain, utf8, &value, NULL),
                  APR_SUCCESS, "plain");
    assert_bytes(json_of(test, value), djs_bytes("{\"k\":\"\\u00e9\"}"), "plain");
    check_read(test, wire, signed_bytes(test, "secret", utf8), APR_SUCCESS,
               "{\"k\":\"\\u00c3\\u00a9\"}", DJS_WIRE_SIGNED, "signed");
}

/* The zlib stream in a signed text. */
static djs_bytes_t stream_in(test_t *test, djs_bytes_t stored)
{
    const char *colon = memchr(stored.data, ':', stored.len);
    djs_bytes_t packed;

    assert_int_equal(stored.data[0], '.');
    assert_non_null(colon);
    assert_status(test->ctx, djs_base64_decode(test->ctx, DJS_BASE64_URL,
                                               djs_bytes_of(stored.data + 1,
                                                            (apr_size_t)(colon - stored.data) - 1),
                                               &packed),
                  APR_SUCCESS, "base64");
    return packed;
}

static void rows_are_compressed_quickly_and_cookies_to_be_short(void **state)
{
    static const char json[] =
        "{\"cart\":[{\"sku\":\"A-0001\",\"n\":1},{\"sku\":\"A-0002\",\"n\":2},{\"sku\":\"A-0003\","
        "\"n\":3},{\"sku\":\"A-0004\",\"n\":4}],\"language\":\"en-gb\",\"theme\":\"dark\"}";
    test_t *test = *state;
    djs_bytes_t quick, small;

    test->ctx->compressors = djs_compressors_make(test->pool);
    assert_status(test->ctx, djs_deflate(test->ctx, djs_bytes(json), &small), APR_SUCCESS, "small");
    if (!djs_deflate_quickly(test->ctx, djs_bytes(json), &quick)) {
        quick = small; /* built without ISA-L */
    }
    assert_bytes(stream_in(test, written_by(test, "secret", DJS_WIRE_SIGNED, NULL, json)), quick,
                 "a row");
    assert_bytes(stream_in(test, written_by(test, "secret", DJS_WIRE_COOKIE, NULL, json)), small,
                 "a cookie");
}

static void an_earlier_failure_is_not_overwritten_by_trying_layouts(void **state)
{
    test_t *test = *state;
    djs_wire_t *wire = djs_wire_make(test->pool, keyring(test->pool, "secret", NULL),
                                     DJS_WIRE_SIGNED, NULL);
    djs_bytes_t legacy = written_by(test, "secret", DJS_WIRE_LEGACY, NULL, "{}");
    djs_value_t *value;

    djs_fail(test->ctx, DJS_ESTORE, "earlier");
    assert_status(test->ctx, djs_wire_inspect(test->ctx, wire, legacy, &value, NULL),
                  APR_SUCCESS, "a legacy row");
    assert_text(test->ctx->problem, "earlier", "what failed before");
}

static void a_row_over_the_limit_is_refused_unread(void **state)
{
    static const djs_wire_layout_t layouts[] = { DJS_WIRE_SIGNED, DJS_WIRE_LEGACY, DJS_WIRE_JSON };
    test_t *test = *state;
    apr_size_t len = DJS_SIGNED_TEXT_MAX + 1;
    char *large = apr_palloc(test->pool, len);
    size_t i;

    memset(large, ' ', len);
    for (i = 0; i < COUNT(layouts); i++) {
        djs_wire_t *wire = djs_wire_make(test->pool, keyring(test->pool, "secret", NULL),
                                         layouts[i], NULL);

        check_read(test, wire, djs_bytes_of(large, len), DJS_ELIMIT, NULL, layouts[i], "too large");
    }
}

static void no_random_row_is_taken_for_a_session(void **state)
{
    static const char alphabet[] = "MTg0ZTM3YWE6e30=AZ09-_.:::{}\"\n\xff";
    test_t *test = *state;
    djs_wire_t *wire = djs_wire_make(test->pool, keyring(test->pool, "secret", "old"),
                                     DJS_WIRE_SIGNED, NULL);
    unsigned int seed = 1, round, i;

    for (round = 0; round < 3000; round++) {
        apr_size_t len = round % 150;
        char *row = malloc(len > 0 ? len : 1); /* no pool's: a sanitizer sees what is beyond it */
        djs_value_t *value;
        apr_pool_t *pool;

        for (i = 0; i < len; i++) {
            seed = seed * 1103515245u + 12345u;
            row[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
        }
        apr_pool_create(&pool, test->pool);
        assert_status(NULL, djs_wire_inspect(test_ctx(pool), wire, djs_bytes_of(row, len), &value, NULL),
                      DJS_EBADSIG, "random");
        apr_pool_destroy(pool);
        free(row);
    }
}

/* A case of cache_values.json: read as Django reads it; and, when nothing was packed or lost, written
   as it was. 0: Django itself stored nothing. */
static int check_django_redis(test_t *test, const json_t *a_case, int packed)
{
    const djs_wire_t *wire = djs_wire_make(test->pool, NULL, DJS_WIRE_DJANGO_REDIS_JSON, NULL);
    const json_t *loads = json_object_get(a_case, "loads");
    const char *name = vector_name(test->pool, a_case);
    int same = json_is_string(loads);
    djs_value_t *value = NULL;
    djs_bytes_t stored, back;

    if (!vector_bytes(test->pool, a_case, "value", &stored)) {
        return 0;
    }
    assert_status(test->ctx, djs_wire_inspect(test->ctx, wire, stored, &value, NULL),
                  APR_SUCCESS, name);
    assert_bytes(json_of(test, value), djs_bytes(same ? vector_need(a_case, "json")
                                                      : vector_need(loads, "tagged")), name);
    assert_status(test->ctx, djs_wire_write(test->ctx, wire, value, &back), APR_SUCCESS, name);
    if (same && !packed) {
        assert_bytes(back, stored, name);
    }
    return 1;
}

static void what_django_redis_stored_as_json_is_read_and_written_the_same(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "cache_values.json", 700);
    int plain = 0, packed = 0;
    const json_t *a_case;
    size_t i;

    json_array_foreach(cases, i, a_case) {
        const char *client = vector_need(a_case, "client");

        if (strcmp(client, "django-redis-json") == 0) {
            plain += check_django_redis(test, a_case, 0);
        }
        else if (strcmp(client, "django-redis-json-zlib") == 0) {
            packed += check_django_redis(test, a_case, 1);
        }
    }
    assert_true(plain >= 15);
    assert_true(packed >= 15);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(every_row_of_django_is_read_or_refused_as_it_should),
        TEST(what_signing_dumps_wrote_reads_as_its_json),
        TEST(genuine_texts_with_odd_content_read_as_django_reads_them),
        TEST(a_layout_reads_what_its_contract_says),
        TEST(neither_serializer_reads_the_other),
        TEST(django_redis_writes_json_with_spaces),
        TEST(a_sealed_session_is_bound_to_its_cookie),
        TEST(fallback_keys_read_every_layout_and_write_none),
        TEST(a_legacy_row_is_bound_to_its_class),
        TEST(genuine_but_broken_is_not_called_forged),
        TEST(json_at_rest_is_utf8_and_signed_json_latin1),
        TEST(rows_are_compressed_quickly_and_cookies_to_be_short),
        TEST(an_earlier_failure_is_not_overwritten_by_trying_layouts),
        TEST(a_row_over_the_limit_is_refused_unread),
        TEST(no_random_row_is_taken_for_a_session),
        TEST(what_django_redis_stored_as_json_is_read_and_written_the_same),
    };

    return RUN_TESTS(tests);
}
