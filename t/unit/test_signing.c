/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signed strings, against what Django signed, read and refused. What is inside is JSON; here it is
 * bytes, and test_wire.c reads it.
 */
#include "support.h"
#include "encode.h"
#include "signing.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SALT "django.core.signing"

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

static int case_is_of(const json_t *a_case, const char *django)
{
    const json_t *version;
    size_t i;

    json_array_foreach(json_object_get(a_case, "django"), i, version) {
        if (strcmp(json_string_value(version), django) == 0) {
            return 1;
        }
    }
    return 0;
}

static djs_signer_t *signer_of(apr_pool_t *pool, const char *key, const char *salt)
{
    return djs_signer_make(pool, djs_keyring_make(pool, djs_bytes(key), NULL, 0), salt,
                           DJS_SIGNING_SHA256);
}

/* ---- Golden vectors -------------------------------------------------------------------------- */

static void check_dumps(test_t *test, const djs_signer_t *signer, const json_t *a_case,
                        const char *name)
{
    int compress = json_is_true(json_object_get(a_case, "compress"));
    int compressed = json_is_true(json_object_get(a_case, "compressed"));
    djs_bytes_t json = djs_bytes(vector_need(a_case, "json"));
    djs_bytes_t text, back;

    assert_status(test->ctx, djs_signing_dumps(test->ctx, signer, compress, json, &text),
                  APR_SUCCESS, name);
    assert_number(text.data[0] == '.', compressed, name);
    if (!compressed) {
        assert_bytes(text, djs_bytes(vector_need(a_case, "text")), name);
    }
    assert_status(test->ctx, djs_signing_loads(test->ctx, signer, 0, text, &back), APR_SUCCESS,
                  name);
    assert_bytes(back, json, name);
}

static void what_django_signed_is_read_and_written_alike(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "signing.json", 220);
    const json_t *a_case;
    size_t i, sha1 = 0, refused = 0;

    json_array_foreach(cases, i, a_case) {
        const char *name = vector_name(test->pool, a_case);
        const char *salt = vector_need(a_case, "salt");
        djs_keyring_t *keys = case_keys(test->pool, a_case);
        djs_signer_t *today = djs_signer_make(test->pool, keys, salt, DJS_SIGNING_SHA256);
        djs_signer_t *older = djs_signer_make(test->pool, keys, salt, DJS_SIGNING_SHA256_OR_SHA1);
        djs_bytes_t text = djs_bytes(vector_need(a_case, "text"));
        int is_sha1 = strcmp(vector_need(a_case, "algorithm"), "sha1") == 0;
        int is_refused = json_object_get(json_object_get(a_case, "loads"), "error") != NULL;
        djs_bytes_t data;

        test->ctx->now = test_time(json_object_get(a_case, "time"));
        assert_status(NULL, djs_signing_loads(test->ctx, today, 0, text, &data),
                      is_sha1 ? DJS_EBADSIG : APR_SUCCESS, name);
        djs_forget(test->ctx);
        assert_status(test->ctx, djs_signing_loads(test->ctx, older, 0, text, &data), APR_SUCCESS,
                      name);
        assert_bytes(data, djs_bytes(vector_need(a_case, "json")), name);
        if (!is_sha1) {
            check_dumps(test, today, a_case, name);
        }
        assert_number(is_refused, is_sha1 && !case_is_of(a_case, "3.2"), name);
        sha1 += (size_t)is_sha1;
        refused += (size_t)is_refused;
        vector_done(a_case);
    }
    assert_number(sha1, 12, "cases signed with SHA-1");
    assert_number(refused, 6, "of these, as Django 5 reads them");
}

/* Genuine texts whose JSON Django reads into something that is written in another way. */
static int is_evened_out_by_json(const char *id)
{
    static const char *const ids[] = {
        "genuine-payload-json-spaces", "genuine-payload-json-utf8", "genuine-payload-json-latin1",
        "genuine-payload-json-dup",    "genuine-z-1mb-of-spaces",
        "genuine-payload-standard-alphabet",
    };
    size_t i;

    for (i = 0; i < COUNT(ids); i++) {
        if (strcmp(id, ids[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

static apr_status_t expected_status(const json_t *expect, const char *name)
{
    const char *error = vector_text(expect, "error");

    if (error == NULL) {
        return APR_SUCCESS;
    }
    if (strcmp(error, "bad_signature") == 0) {
        return DJS_EBADSIG;
    }
    if (strcmp(error, "expired") == 0) {
        return DJS_EEXPIRED;
    }
    assert_text(error, "malformed", name);
    /* Not JSON, says Django: to signing they are bytes as good as any. */
    return strcmp(vector_need(expect, "exception"), "JSONDecodeError") == 0 ? APR_SUCCESS
                                                                            : DJS_EFORMAT;
}

static void check_reading(test_t *test, const json_t *a_case, djs_signing_hash_t reads,
                          size_t *evened_out)
{
    const char *name = vector_name(test->pool, a_case);
    const json_t *expect = json_object_get(a_case, "expect");
    const json_t *seconds = json_object_get(a_case, "max_age");
    const char *json = vector_text(expect, "json");
    djs_signer_t *signer = djs_signer_make(test->pool, case_keys(test->pool, a_case),
                                           vector_need(a_case, "salt"), reads);
    djs_bytes_t data = djs_bytes("untouched");
    apr_status_t expected = expected_status(expect, name);
    apr_status_t rv;

    test->ctx->now = test_time(json_object_get(a_case, "now"));
    rv = djs_signing_loads(test->ctx, signer,
                           json_is_null(seconds) ? DJS_NO_MAX_AGE : test_time(seconds),
                           djs_bytes(vector_need(a_case, "text")), &data);
    assert_status(expected == APR_SUCCESS ? test->ctx : NULL, rv, expected, name);
    assert_number(test->ctx->problem == NULL, expected == APR_SUCCESS, name);
    if (expected != APR_SUCCESS) {
        assert_bytes(data, djs_bytes("untouched"), name);
    }
    else if (is_evened_out_by_json(vector_need(a_case, "id"))) {
        (*evened_out)++;
    }
    else if (json != NULL) {
        assert_bytes(data, djs_bytes(json), name);
    }
    djs_forget(test->ctx);
}

static void what_django_refused_is_refused_for_the_same_reason(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "signing_bad.json", 188);
    const json_t *a_case;
    size_t i, older = 0, today = 0, evened_out = 0;

    json_array_foreach(cases, i, a_case) {
        if (case_is_of(a_case, "3.2")) {
            check_reading(test, a_case, DJS_SIGNING_SHA256_OR_SHA1, &evened_out);
            older++;
        }
        if (case_is_of(a_case, "5.1")) {
            check_reading(test, a_case, DJS_SIGNING_SHA256, &evened_out);
            today++;
        }
        vector_done(a_case);
    }
    assert_number(older, 176, "cases of Django 3.2");
    assert_number(today, 187, "cases of Django 5.1");
    assert_number(evened_out, 12, "six cases whose JSON is for test_wire.c, read twice");
}

/* ---- What the vectors leave out -------------------------------------------------------------- */

static void inspecting_tells_the_key_and_the_time(void **state)
{
    test_t *test = *state;
    djs_bytes_t fallbacks[] = { { "older", 5 }, { "oldest", 6 } };
    djs_signer_t *signer = djs_signer_make(
        test->pool, djs_keyring_make(test->pool, djs_bytes("newest"), fallbacks, 2), SALT,
        DJS_SIGNING_SHA256);
    static const struct {
        const char *secret;
        apr_status_t rv;
        int key;
    } cases[] = {
        { "newest", APR_SUCCESS, 0 },
        { "older", APR_SUCCESS, 1 },
        { "oldest", APR_SUCCESS, 2 },
        { "unknown", DJS_EBADSIG, -7 },
    };
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        djs_bytes_t text, data;
        apr_time_t signed_at = -7;
        int key = -7;

        test->ctx->now = TEST_NOW + 999999;
        assert_status(test->ctx,
                      djs_signing_dumps(test->ctx, signer_of(test->pool, cases[i].secret, SALT),
                                        DJS_COMPRESS_NOT, djs_bytes("{}"), &text),
                      APR_SUCCESS, cases[i].secret);
        assert_status(NULL, djs_signing_inspect(test->ctx, signer, DJS_NO_MAX_AGE, text, &data,
                                                &key, &signed_at),
                      cases[i].rv, cases[i].secret);
        assert_number(key, cases[i].key, cases[i].secret);
        assert_number(signed_at, cases[i].rv == APR_SUCCESS ? TEST_NOW : -7, cases[i].secret);
    }
}

static void an_expired_text_still_tells_its_key_and_time(void **state)
{
    test_t *test = *state;
    djs_signer_t *signer = signer_of(test->pool, "secret", SALT);
    djs_bytes_t text, data = djs_bytes("untouched");
    apr_time_t signed_at = -7;
    int key = -7;

    assert_status(test->ctx, djs_signing_dumps(test->ctx, signer, DJS_COMPRESS_NOT,
                                               djs_bytes("{}"), &text),
                  APR_SUCCESS, "now");
    test->ctx->now = TEST_NOW + apr_time_from_sec(10) + 1;
    assert_status(NULL, djs_signing_inspect(test->ctx, signer, apr_time_from_sec(10), text, &data,
                                            &key, &signed_at),
                  DJS_EEXPIRED, "a microsecond too late");
    assert_number(key, 0, "the key");
    assert_number(signed_at, TEST_NOW, "the time");
    assert_bytes(data, djs_bytes("untouched"), "the data");
    assert_text(test->ctx->problem, "signed 10 s ago, allowed are 10 s", "the message");
}

/* Sign any text at all, as only who has the key can. */
static djs_bytes_t sign_anything(apr_pool_t *pool, const char *secret, const char *value)
{
    unsigned char mac[DJS_SIGNING_MAC_MAX];
    char signature[DJS_BASE64_SIZE(DJS_SIGNING_MAC_MAX)];
    int len = djs_signing_salted_hmac(DJS_HMAC_SHA256, SALT "signer", djs_bytes(secret),
                                      djs_bytes(value), mac);

    djs_base64_put(DJS_BASE64_URL, djs_bytes_of((char *)mac, (apr_size_t)len), signature);
    return djs_bytes(apr_pstrcat(pool, value, ":", signature, NULL));
}

static void a_time_far_away_neither_overflows_nor_is_refused(void **state)
{
    enum { PAST = -1, UNKNOWN, FUTURE };
    static const struct {
        const char *value;
        apr_interval_time_t max_age;
        apr_status_t rv;
        int when;
        const char *why;
    } cases[] = {
        { "e30:AzL8n0Y58m7", 0, APR_SUCCESS, FUTURE, "the most seconds in 64 bits" },
        { "e30:zzzzzzzzzzzzzzzzzzzz", 0, APR_SUCCESS, FUTURE, "beyond 64 bits" },
        { "e30:-AzL8n0Y58m8", 0, DJS_EEXPIRED, PAST, "the least seconds in 64 bits" },
        { "e30:-zzzzzzzzzzzzzzzzzzzz", 0, DJS_EEXPIRED, PAST, "beyond 64 bits" },
        { "e30:-zzzzzzzzzzzzzzzzzzzz", DJS_NO_MAX_AGE, APR_SUCCESS, PAST, "any age" },
        { "e30:zzzzzzzzzzzzzzzzzzzz_", DJS_NO_MAX_AGE, DJS_EFORMAT, UNKNOWN, "no number" },
    };
    test_t *test = *state;
    djs_signer_t *signer = signer_of(test->pool, "secret", SALT);
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        apr_time_t signed_at = 0;
        djs_bytes_t data;

        assert_status(NULL, djs_signing_inspect(test->ctx, signer, cases[i].max_age,
                                                sign_anything(test->pool, "secret", cases[i].value),
                                                &data, NULL, &signed_at),
                      cases[i].rv, cases[i].why);
        assert_number(test->ctx->problem == NULL, cases[i].rv == APR_SUCCESS, cases[i].why);
        assert_number(signed_at > TEST_NOW ? FUTURE : signed_at < 0 ? PAST : UNKNOWN, cases[i].when,
                      cases[i].why);
        djs_forget(test->ctx);
    }
}

static void an_earlier_failure_outlives_a_time_beyond_64_bits(void **state)
{
    test_t *test = *state;
    djs_bytes_t data;

    djs_fail(test->ctx, DJS_ESTORE, "earlier");
    assert_status(test->ctx,
                  djs_signing_loads(test->ctx, signer_of(test->pool, "secret", SALT), 0,
                                    sign_anything(test->pool, "secret", "e30:zzzzzzzzzzzzzzzzzzzz"),
                                    &data),
                  APR_SUCCESS, "a far future");
    assert_text(test->ctx->problem, "earlier", "what failed before");
}

static void an_empty_salt_is_the_name_of_the_class(void **state)
{
    test_t *test = *state;
    djs_bytes_t text, data;

    assert_status(test->ctx, djs_signing_dumps(test->ctx, signer_of(test->pool, "secret", ""),
                                               DJS_COMPRESS_NOT, djs_bytes("{}"), &text),
                  APR_SUCCESS, "empty salt");
    assert_status(test->ctx, djs_signing_loads(
                                 test->ctx, signer_of(test->pool, "secret",
                                                      "django.core.signing.TimestampSigner"),
                                 0, text, &data),
                  APR_SUCCESS, "the class's name");
}

static void no_part_of_a_signed_text_may_change(void **state)
{
    test_t *test = *state;
    djs_signer_t *signer = signer_of(test->pool, "secret", SALT);
    djs_bytes_t text, data;
    apr_size_t i;
    int bit;

    assert_status(test->ctx, djs_signing_dumps(test->ctx, signer, DJS_COMPRESS_SMALL,
                                               djs_bytes("{\"a\":\"b\"}"), &text),
                  APR_SUCCESS, "a text");
    for (i = 0; i < text.len; i++) {
        for (bit = 0; bit < 8; bit++) {
            char *changed = apr_pmemdup(test->pool, text.data, text.len);

            changed[i] ^= (char)(1 << bit);
            assert_status(NULL, djs_signing_loads(test->ctx, signer, DJS_NO_MAX_AGE,
                                                  djs_bytes_of(changed, text.len), &data),
                          DJS_EBADSIG, "one bit");
        }
        assert_status(NULL, djs_signing_loads(test->ctx, signer, DJS_NO_MAX_AGE,
                                              djs_bytes_of(text.data, i), &data),
                      DJS_EBADSIG, "cut short");
    }
}

static void compression_is_used_only_when_it_saves_two_bytes(void **state)
{
    test_t *test = *state;
    djs_signer_t *signer = signer_of(test->pool, "secret", SALT);
    apr_size_t len;
    int seen_equal = 0;

    /* The same byte again and again: the packed length stays while the length grows. */
    for (len = 0; len < 40; len++) {
        char *data = apr_palloc(test->pool, len + 1);
        djs_bytes_t packed, text;

        memset(data, 'a', len);
        assert_status(test->ctx, djs_deflate(test->ctx, djs_bytes_of(data, len), &packed),
                      APR_SUCCESS, "packed");
        assert_status(test->ctx, djs_signing_dumps(test->ctx, signer, DJS_COMPRESS_SMALL,
                                                   djs_bytes_of(data, len), &text),
                      APR_SUCCESS, "signed");
        assert_number(text.data[0] == '.', packed.len + 1 < len, "saves more than one byte");
        seen_equal += packed.len + 1 == len;
    }
    assert_true(seen_equal > 0);
}

static void texts_and_data_over_the_limit_are_refused(void **state)
{
    test_t *test = *state;
    djs_signer_t *signer = signer_of(test->pool, "secret", SALT);
    apr_size_t len = DJS_SIGNED_TEXT_MAX + 1;
    char *large = apr_palloc(test->pool, len);
    djs_bytes_t text, data;

    memset(large, 'A', len);
    assert_status(NULL, djs_signing_loads(test->ctx, signer, DJS_NO_MAX_AGE,
                                          djs_bytes_of(large, len), &data),
                  DJS_ELIMIT, "one byte over");
    djs_forget(test->ctx);
    assert_status(NULL, djs_signing_loads(test->ctx, signer, DJS_NO_MAX_AGE,
                                          djs_bytes_of(large, len - 1), &data),
                  DJS_EBADSIG, "as long as allowed");
    djs_forget(test->ctx);
    assert_status(NULL, djs_signing_dumps(test->ctx, signer, DJS_COMPRESS_NOT,
                                          djs_bytes_of(large, len), &text),
                  DJS_ELIMIT, "too much to sign");
    djs_forget(test->ctx);
    assert_status(NULL, djs_signing_dumps(test->ctx, signer, DJS_COMPRESS_SMALL,
                                          djs_bytes_of(large, len), &text),
                  DJS_ELIMIT, "too much to compress");
    djs_forget(test->ctx);
    len = DJS_SIGNED_TEXT_MAX / 4 * 3 - 128;
    assert_status(test->ctx, djs_signing_dumps(test->ctx, signer, DJS_COMPRESS_NOT,
                                               djs_bytes_of(large, len), &text),
                  APR_SUCCESS, "what just fits");
    assert_status(test->ctx, djs_signing_loads(test->ctx, signer, 0, text, &data), APR_SUCCESS,
                  "what just fits");
    assert_number(data.len, len, "what just fits");
}

static void a_signer_outlives_the_keyring_it_was_made_of(void **state)
{
    test_t *test = *state;
    djs_bytes_t text, data;
    djs_signer_t *signer;
    apr_pool_t *pool;

    apr_pool_create(&pool, test->pool);
    signer = djs_signer_make(test->pool, djs_keyring_make(pool, djs_bytes("secret"), NULL, 0), SALT,
                             DJS_SIGNING_SHA256);
    apr_pool_destroy(pool);
    assert_status(test->ctx, djs_signing_dumps(test->ctx, signer, DJS_COMPRESS_NOT,
                                               djs_bytes("{}"), &text),
                  APR_SUCCESS, "signed");
    assert_status(test->ctx, djs_signing_loads(test->ctx, signer_of(test->pool, "secret", SALT), 0,
                                               text, &data),
                  APR_SUCCESS, "read by another");
}

/* What a second thread does with a signer that others use. */
typedef struct worker_t {
    const djs_signer_t *signer;
    int wrong;
} worker_t;

static void sign_and_read(worker_t *worker, apr_pool_t *parent)
{
    apr_pool_t *pool;
    djs_ctx_t *ctx;
    djs_bytes_t text, data;
    int i;

    apr_pool_create(&pool, parent);
    for (i = 0; i < 2000; i++) {
        const char *content = apr_psprintf(pool, "{\"n\":%d}", i);

        ctx = test_ctx(pool);
        worker->wrong += djs_signing_dumps(ctx, worker->signer, DJS_COMPRESS_NOT,
                                           djs_bytes(content), &text) != APR_SUCCESS;
        worker->wrong += djs_signing_loads(ctx, worker->signer, 0, text, &data) != APR_SUCCESS ||
                         !djs_bytes_is(data, content);
    }
    apr_pool_destroy(pool);
}

static void *run_worker(void *baton)
{
    /* A root pool of its own: APR's pools are not for two threads. */
    sign_and_read(baton, NULL);
    return NULL;
}

static void one_signer_serves_many_threads(void **state)
{
    test_t *test = *state;
    djs_signer_t *signer = signer_of(test->pool, "secret", SALT);
    worker_t workers[4];
    pthread_t threads[COUNT(workers)];
    size_t i;

    for (i = 0; i < COUNT(workers); i++) {
        workers[i].signer = signer;
        workers[i].wrong = 0;
        assert_int_equal(pthread_create(&threads[i], NULL, run_worker, &workers[i]), 0);
    }
    for (i = 0; i < COUNT(workers); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_number(workers[i].wrong, 0, "results of a thread");
    }
}

static void salted_hmac_is_djangos(void **state)
{
    /* django.utils.crypto.salted_hmac(salt, value, secret, algorithm=…).hexdigest() */
    static const struct {
        djs_hmac_t hash;
        const char *salt;
        djs_bytes_t secret, value;
        const char *hex;
    } cases[] = {
        { DJS_HMAC_SHA1, "salt", { "secret", 6 },
          { "value", 5 },
          "a82be9ba6efe61405ee8d2e8a3781c37e103360a" },
        { DJS_HMAC_SHA256, "salt", { "secret", 6 },
          { "value", 5 },
          "debaddcd9ecbaab181289870baf8af49b0af0a7050d620d1a63f1e69bd87ceb8" },
        { DJS_HMAC_SHA1, "", { "\000s", 2 },
          { "", 0 },
          "97f3d29c359ce8e209957cfe0e635215f3151d3a" },
        { DJS_HMAC_SHA256, "django.contrib.sessionsSessionStore",
          { "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
            "kkkkkkkkkkkkkkkkkkkk", 100 },
          { "a\000b", 3 },
          "dc60c2fc6b4bdd2d18acf6e50f6d135a6f148697a1d845bbd8bf23bdbb4337eb" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        unsigned char mac[DJS_SIGNING_MAC_MAX];
        int len = djs_signing_salted_hmac(cases[i].hash, cases[i].salt, cases[i].secret,
                                          cases[i].value, mac);

        assert_text(djs_hex(test->pool, djs_bytes_of((char *)mac, (apr_size_t)len)), cases[i].hex,
                    cases[i].salt);
    }
}

static void no_random_text_is_taken_for_a_signed_one(void **state)
{
    static const char alphabet[] = "AZaz09-_=.::::\n\xff";
    test_t *test = *state;
    djs_signer_t *signer = djs_signer_make(
        test->pool, djs_keyring_make(test->pool, djs_bytes("secret"), NULL, 0), SALT,
        DJS_SIGNING_SHA256_OR_SHA1);
    unsigned int seed = 1, round, i;

    for (round = 0; round < 5000; round++) {
        apr_size_t len = round % 120;
        char *text = malloc(len + 1); /* not a pool's: a sanitizer sees each byte beyond it */
        djs_bytes_t data;
        apr_pool_t *pool;

        for (i = 0; i < len; i++) {
            seed = seed * 1103515245u + 12345u;
            text[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
        }
        text = realloc(text, len > 0 ? len : 1);
        apr_pool_create(&pool, test->pool);
        assert_status(NULL, djs_signing_loads(test_ctx(pool), signer, DJS_NO_MAX_AGE,
                                              djs_bytes_of(text, len), &data),
                      DJS_EBADSIG, "random");
        apr_pool_destroy(pool);
        free(text);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(what_django_signed_is_read_and_written_alike),
        TEST(what_django_refused_is_refused_for_the_same_reason),
        TEST(inspecting_tells_the_key_and_the_time),
        TEST(an_expired_text_still_tells_its_key_and_time),
        TEST(a_time_far_away_neither_overflows_nor_is_refused),
        TEST(an_earlier_failure_outlives_a_time_beyond_64_bits),
        TEST(an_empty_salt_is_the_name_of_the_class),
        TEST(no_part_of_a_signed_text_may_change),
        TEST(compression_is_used_only_when_it_saves_two_bytes),
        TEST(texts_and_data_over_the_limit_are_refused),
        TEST(a_signer_outlives_the_keyring_it_was_made_of),
        TEST(one_signer_serves_many_threads),
        TEST(salted_hmac_is_djangos),
        TEST(no_random_text_is_taken_for_a_signed_one),
    };

    return RUN_TESTS(tests);
}
