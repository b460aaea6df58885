/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealed strings: against texts made by another implementation, and against who has no key.
 */
#include "support.h"

#include <string.h>

#include "encode.h"
#include "memo.h"
#include "seal.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define NAME "sessionid"

static djs_sealer_t *sealer_of(test_t *test, const char *key, const char *fallback)
{
    djs_bytes_t old = djs_bytes(fallback);

    return djs_sealer_make(test->pool, djs_keyring_make(test->pool, djs_bytes(key), &old,
                                                        fallback != NULL ? 1 : 0));
}

static djs_bytes_t sealed(test_t *test, const djs_sealer_t *sealer, const char *name,
                          const char *data)
{
    djs_bytes_t text;

    assert_status(test->ctx, djs_seal_dumps(test->ctx, sealer, name, djs_bytes(data), &text),
                  APR_SUCCESS, data);
    return text;
}

/*
 * Made with AESGCM of Python's cryptography package and hashlib, from the description in seal.h:
 * secret "secret" (or "old"), nonce 00 01 ... 0b, stamp 2025-01-01 00:00:00 unless said.
 */
#define KNOWN     "AQABAgMEBQYHCAkKC286E8edQI_ZBW0BjX-AzFRI3ROvrCXJpetjvEJOibVY"
#define BY_OLD    "AQABAgMEBQYHCAkKC4oXfJBFFCCpCHl0L8P-dfpdhkRrR9GFMcn1-V5KOZAV"
#define OF_OTHER  "AQABAgMEBQYHCAkKC286E8edQI_ZBW0BjX-AzFTiYkvR9qdcl_ruJTFDBSyB"
#define OF_V2     "AgABAgMEBQYHCAkKC286E8edQI_ZBW0BjX-AzFTuURMSzh4sb-3BbA8_7CUx"

static void opens_what_another_implementation_sealed(void **state)
{
    static const struct {
        const char *text, *data;
        apr_int64_t seconds;
        int key;
        const char *why;
    } cases[] = {
        { KNOWN, "{\"a\":1}", 1735689600, 0, "plain" },
        { "AQABAgMEBQYHCAkKC246E8edQI_ZBW6_Rwtwq5vt7iNmRctbaOmACQkCeo7rmdxE0k-nPMb3ZnBF",
          "{\"k\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
          "aaaaaaaaaaaaaaaaa\"}", 1735689600, 0, "packed" },
        { BY_OLD, "{\"a\":1}", 1735689600, 1, "by the fallback key" },
        { "AQABAgMEBQYHCAkKC2_F7Dhi2ASjfhSotxSmk9g-G7vRdLYEbrU", "", -5, 0,
          "nothing, and before 1970" },
    };
    test_t *test = *state;
    djs_sealer_t *sealer = sealer_of(test, "secret", "old");
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        djs_bytes_t data;
        apr_time_t when;
        int key;

        assert_status(test->ctx, djs_seal_loads(test->ctx, sealer, NAME, djs_bytes(cases[i].text),
                                                &data, &key, &when),
                      APR_SUCCESS, cases[i].why);
        assert_bytes(data, djs_bytes(cases[i].data), cases[i].why);
        assert_number(when, apr_time_from_sec(cases[i].seconds), cases[i].why);
        assert_number(key, cases[i].key, cases[i].why);
    }
}

static void refuses_what_it_did_not_seal_for_this(void **state)
{
    static const struct {
        const char *text;
        apr_status_t rv;
        const char *why;
    } cases[] = {
        { "", DJS_EBADSIG, "nothing" },
        { "AQ", DJS_EBADSIG, "a version alone" },
        { "abcdefghijklmnopqrstuvwxyz012345", DJS_EBADSIG, "a session key" },
        { "e30:1tSm9Y:KQZ_f3C_swajFPkWSfvVF_xOPZjy3P0blac7m_DVN9Y", DJS_EBADSIG, "a signed one" },
        { OF_OTHER, DJS_EBADSIG, "of another cookie" },
        { OF_V2, DJS_EBADSIG, "of another version" },
        { "AQABAgMEBQYHCAkKC286E8edJ_tcxlUNCfL0FTXGCMgKQgphmA", DJS_EBADSIG,
          "too short to have a time" },
        { KNOWN "=", DJS_EBADSIG, "padding" },
        { KNOWN "====", DJS_EBADSIG, "much padding" },
        { KNOWN "!", DJS_EBADSIG, "what base64 readers skip" },
        { "AQABAgMEBQYHCAkKC286E8edQI/ZBW0BjX+AzFRI3ROvrCXJpetjvEJOibVY", DJS_EBADSIG,
          "the other alphabet" },
        { "AQABAgMEBQYHCAkKC206E8edQI_ZBW0BjX-AzFR1d3ZenMxrygFy1VbVsLzD", DJS_EFORMAT,
          "packed in an unknown way" },
        { "AQABAgMEBQYHCAkKC246E8edQI_ZBW0BjX-AzFS3CCFXNFEYkh5rCMgDFTGV", DJS_EFORMAT,
          "not zlib, though it says so" },
        { "AQABAgMEBQYHCAkKC296E8edJ_tchW1eHnkHYn1uz-59xgaVfi1y8A", DJS_EFORMAT,
          "from beyond all times" },
    };
    test_t *test = *state;
    djs_sealer_t *sealer = sealer_of(test, "secret", "old");
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        djs_bytes_t data = djs_bytes("untouched");

        djs_forget(test->ctx);
        assert_status(NULL, djs_seal_loads(test->ctx, sealer, NAME, djs_bytes(cases[i].text),
                                           &data, NULL, NULL),
                      cases[i].rv, cases[i].why);
        assert_non_null(test->ctx->problem);
        assert_bytes(data, djs_bytes("untouched"), cases[i].why);
    }
}

static void every_changed_byte_and_every_cut_is_noticed(void **state)
{
    test_t *test = *state;
    djs_sealer_t *sealer = sealer_of(test, "secret", NULL);
    const char *text = sealed(test, sealer, NAME, "{\"cart\":[1,2]}").data;
    apr_size_t len = strlen(text), i;
    djs_bytes_t data;

    for (i = 0; i < len; i++) {
        char *changed = apr_pstrdup(test->pool, text);

        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        djs_forget(test->ctx);
        assert_status(NULL, djs_seal_loads(test->ctx, sealer, NAME, djs_bytes(changed), &data,
                                           NULL, NULL), DJS_EBADSIG, changed);
        assert_status(NULL, djs_seal_loads(test->ctx, sealer, NAME, djs_bytes_of(text, i), &data,
                                           NULL, NULL), DJS_EBADSIG, "cut");
    }
}

static void no_two_texts_are_alike(void **state)
{
    test_t *test = *state;
    djs_sealer_t *sealer = sealer_of(test, "secret", NULL);
    djs_bytes_t one = sealed(test, sealer, NAME, "{}");
    djs_bytes_t other = sealed(test, sealer, NAME, "{}");

    assert_number(one.len, 54, "as long as Django's signed {} by chance");
    assert_number(djs_bytes_equal(one, other), 0, "the nonce is drawn anew");
}

static void what_is_inside_cannot_be_seen(void **state)
{
    test_t *test = *state;
    djs_bytes_t text = sealed(test, sealer_of(test, "secret", NULL), NAME,
                              "{\"secret-word\":\"xyzzy\"}");
    djs_bytes_t message;
    apr_size_t i;

    assert_status(test->ctx, djs_base64_decode(test->ctx, DJS_BASE64_URL, text, &message),
                  APR_SUCCESS, "base64");
    for (i = 0; i + 4 < message.len; i++) {
        assert_int_not_equal(memcmp(message.data + i, "xyzzy", 5), 0);
    }
}

static void a_fallback_key_opens_and_the_secret_key_seals(void **state)
{
    test_t *test = *state;
    djs_sealer_t *rotated = sealer_of(test, "new", "old");
    djs_bytes_t text = sealed(test, sealer_of(test, "old", NULL), NAME, "{\"a\":1}"), data;
    int key = -7;

    assert_status(test->ctx, djs_seal_loads(test->ctx, rotated, NAME, text, &data, &key, NULL),
                  APR_SUCCESS, "by the old key");
    assert_number(key, 1, "the fallback");
    text = sealed(test, rotated, NAME, "{\"a\":1}");
    assert_status(test->ctx, djs_seal_loads(test->ctx, rotated, NAME, text, &data, &key, NULL),
                  APR_SUCCESS, "by the new key");
    assert_number(key, 0, "the secret key");
}

static void the_limits_hold(void **state)
{
    test_t *test = *state;
    djs_sealer_t *sealer = sealer_of(test, "secret", NULL);
    char *zeros = apr_pcalloc(test->pool, DJS_SEALED_TEXT_MAX + 2);
    djs_bytes_t text, data;

    assert_status(NULL, djs_seal_loads(test->ctx, sealer, NAME,
                                       djs_bytes_of(zeros, DJS_SEALED_TEXT_MAX + 1), &data, NULL,
                                       NULL), DJS_ELIMIT, "a long text");
    djs_forget(test->ctx);
    assert_status(test->ctx, djs_seal_dumps(test->ctx, sealer, NAME,
                                            djs_bytes_of(zeros, DJS_INFLATE_MAX), &text),
                  APR_SUCCESS, "as much as is unpacked");
    assert_status(test->ctx, djs_seal_loads(test->ctx, sealer, NAME, text, &data, NULL, NULL),
                  APR_SUCCESS, "and it is");
    assert_number(data.len, DJS_INFLATE_MAX, "all of it");
    assert_status(NULL, djs_seal_dumps(test->ctx, sealer, NAME,
                                       djs_bytes_of(zeros, DJS_INFLATE_MAX + 1), &text),
                  DJS_ELIMIT, "more could not be read again");
}

static void what_was_opened_once_is_known_for_this_name_and_these_keys_alone(void **state)
{
    test_t *test = *state;
    djs_sealer_t *sealer = sealer_of(test, "secret", "old");
    djs_sealer_t *stranger = sealer_of(test, "another", NULL);
    char changed[] = BY_OLD;
    djs_bytes_t data = djs_bytes("");
    apr_time_t when = 0;
    int key = -1, i;

    test->ctx->memo = djs_memo_make(test->pool);
    djs_sealer_remember(sealer);
    djs_sealer_remember(stranger);
    changed[sizeof(changed) - 2] ^= 1;
    for (i = 0; i < 2; i++) { /* the second time from memory */
        assert_status(test->ctx, djs_seal_loads(test->ctx, sealer, NAME, djs_bytes(BY_OLD), &data,
                                                &key, &when), APR_SUCCESS, BY_OLD);
        assert_bytes(data, djs_bytes("{\"a\":1}"), "the data");
        assert_number(when, apr_time_from_sec(1735689600), "the time");
        assert_number(key, 1, "the key");
        data = djs_bytes("");
        when = key = -1;
    }
    assert_true(djs_memo_find(test->ctx, sealer, djs_bytes(BY_OLD), &data, &key));
    assert_status(NULL, djs_seal_loads(test->ctx, sealer, "other", djs_bytes(BY_OLD), &data, NULL,
                                       NULL), DJS_EBADSIG, "for another cookie");
    djs_forget(test->ctx);
    assert_status(NULL, djs_seal_loads(test->ctx, sealer, NAME "2", djs_bytes(BY_OLD), &data, NULL,
                                       NULL), DJS_EBADSIG, "for one whose name begins so");
    djs_forget(test->ctx);
    assert_status(NULL, djs_seal_loads(test->ctx, stranger, NAME, djs_bytes(BY_OLD), &data, NULL,
                                       NULL), DJS_EBADSIG, "with other keys");
    djs_forget(test->ctx);
    assert_status(NULL, djs_seal_loads(test->ctx, sealer, NAME, djs_bytes(changed), &data, NULL,
                                       NULL), DJS_EBADSIG, "another text of this length");
}

/* Another could come to stand where it stood. */
static void nothing_is_kept_of_a_sealer_that_lives_shorter(void **state)
{
    test_t *test = *state;
    djs_sealer_t *sealer = sealer_of(test, "secret", "old");
    djs_bytes_t data = djs_bytes("");
    int key;

    test->ctx->memo = djs_memo_make(test->pool);
    assert_status(test->ctx, djs_seal_loads(test->ctx, sealer, NAME, djs_bytes(BY_OLD), &data, NULL,
                                            NULL), APR_SUCCESS, BY_OLD);
    assert_false(djs_memo_find(test->ctx, sealer, djs_bytes(BY_OLD), &data, &key));
    djs_memo_note(test->ctx, sealer, djs_bytes(BY_OLD),
                  djs_bytes_of("12345678" NAME "\0x", 8 + sizeof(NAME) + 1), 1);
    assert_status(test->ctx, djs_seal_loads(test->ctx, sealer, NAME, djs_bytes(BY_OLD), &data, NULL,
                                            NULL), APR_SUCCESS, "read again");
    assert_bytes(data, djs_bytes("{\"a\":1}"), "its own");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(opens_what_another_implementation_sealed),
        TEST(refuses_what_it_did_not_seal_for_this),
        TEST(every_changed_byte_and_every_cut_is_noticed),
        TEST(no_two_texts_are_alike),
        TEST(what_is_inside_cannot_be_seen),
        TEST(a_fallback_key_opens_and_the_secret_key_seals),
        TEST(the_limits_hold),
        TEST(what_was_opened_once_is_known_for_this_name_and_these_keys_alone),
        TEST(nothing_is_kept_of_a_sealer_that_lives_shorter),
    };

    return RUN_TESTS(tests);
}
