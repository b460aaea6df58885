/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered for a client: found again, forgotten in turn, wiped.
 */
#include "memo.h"
#include "signing.h"
#include "support.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

static djs_ctx_t *with_memo(test_t *test)
{
    test->ctx->memo = djs_memo_make(test->pool);
    return test->ctx;
}

static void assert_found(djs_ctx_t *ctx, const void *by, const char *from, const char *expected,
                         int expected_detail, const char *why)
{
    djs_bytes_t to;
    int detail;

    assert_number(djs_memo_find(ctx, by, djs_bytes(from), &to, &detail), 1, why);
    assert_bytes(to, djs_bytes(expected), why);
    assert_number(detail, expected_detail, why);
}

static int is_known(djs_ctx_t *ctx, const void *by, const char *from)
{
    djs_bytes_t to;
    int detail;

    return djs_memo_find(ctx, by, djs_bytes(from), &to, &detail);
}

static void what_was_noted_is_found_for_the_same_input_only(void **state)
{
    djs_ctx_t *ctx = with_memo(*state);
    int ours, others;

    assert_false(is_known(ctx, &ours, "input"));
    djs_memo_note(ctx, &ours, djs_bytes("input"), djs_bytes("result"), 7);
    assert_found(ctx, &ours, "input", "result", 7, "the same");
    assert_false(is_known(ctx, &others, "input"));
    assert_false(is_known(ctx, &ours, "inpuT"));
    assert_false(is_known(ctx, &ours, "inpu"));
    assert_false(is_known(ctx, &ours, "inputs"));
    assert_false(is_known(ctx, &ours, ""));
    djs_memo_note(ctx, &ours, djs_bytes("nothing"), djs_bytes(""), 0);
    assert_found(ctx, &ours, "nothing", "", 0, "an empty result");
}

static void a_result_that_was_found_is_the_callers_own(void **state)
{
    djs_ctx_t *ctx = with_memo(*state);
    djs_bytes_t to;
    int by, detail, i;

    djs_memo_note(ctx, &by, djs_bytes("input"), djs_bytes("result"), 0);
    assert_true(djs_memo_find(ctx, &by, djs_bytes("input"), &to, &detail));
    for (i = 0; i < 10; i++) {
        djs_memo_note(ctx, &by, djs_bytes("another"), djs_bytes("RESULT"), 0);
    }
    assert_false(is_known(ctx, &by, "input"));
    assert_bytes(to, djs_bytes("result"), "unharmed");
}

static void what_was_not_used_for_the_longest_time_makes_room(void **state)
{
    djs_ctx_t *ctx = with_memo(*state);
    int by, i;

    for (i = 0; i < 100; i++) {
        char *from = apr_psprintf(ctx->pool, "input %d", i);

        djs_memo_note(ctx, &by, djs_bytes(from), djs_bytes(from + 6), i);
        assert_found(ctx, &by, from, from + 6, i, "the last");
    }
    assert_true(is_known(ctx, &by, "input 98"));
    assert_false(is_known(ctx, &by, "input 50"));
    for (i = 0; i < 100; i++) {
        char *from = apr_psprintf(ctx->pool, "another %d", i);

        djs_memo_note(ctx, &by, djs_bytes(from), djs_bytes(from + 8), i);
        assert_found(ctx, &by, "input 98", "98", 98, "in use all the time");
    }
    assert_true(is_known(ctx, &by, "another 97"));
    assert_false(is_known(ctx, &by, "another 96"));
}

static void what_is_large_is_not_kept(void **state)
{
    djs_ctx_t *ctx = with_memo(*state);
    char *large = apr_palloc(ctx->pool, DJS_MEMO_MAX + 1);
    djs_bytes_t to;
    int by, detail;

    memset(large, 'x', DJS_MEMO_MAX + 1);
    djs_memo_note(ctx, &by, djs_bytes_of(large, DJS_MEMO_MAX), djs_bytes("y"), 0);
    assert_false(djs_memo_find(ctx, &by, djs_bytes_of(large, DJS_MEMO_MAX), &to, &detail));
    djs_memo_note(ctx, &by, djs_bytes_of(large, DJS_MEMO_MAX - 1), djs_bytes("y"), 0);
    assert_true(djs_memo_find(ctx, &by, djs_bytes_of(large, DJS_MEMO_MAX - 1), &to, &detail));
    assert_bytes(to, djs_bytes("y"), "as large as may be");
}

static void without_a_memo_nothing_is_kept(void **state)
{
    test_t *test = *state;
    int by;

    assert_null(test->ctx->memo);
    djs_memo_note(test->ctx, &by, djs_bytes("input"), djs_bytes("result"), 0);
    assert_false(is_known(test->ctx, &by, "input"));
}

/* What is wiped, seen on its way: the linker puts this before the real one. */
static int wiped;

void __real_djs_secret_wipe(void *data, apr_size_t len);
void __wrap_djs_secret_wipe(void *data, apr_size_t len);

void __wrap_djs_secret_wipe(void *data, apr_size_t len)
{
    apr_size_t i;

    for (i = 0; i < len; i++) {
        wiped += ((char *)data)[i] == '!';
    }
    __real_djs_secret_wipe(data, len);
}

static void what_it_holds_is_wiped_with_its_pool_and_when_replaced(void **state)
{
    test_t *test = *state;
    apr_pool_t *pool;
    int by, i;

    apr_pool_create(&pool, test->pool);
    test->ctx->memo = djs_memo_make(pool);
    wiped = 0;
    djs_memo_note(test->ctx, &by, djs_bytes("!!!!"), djs_bytes("!!!!!!"), 0);
    for (i = 0; i < 3; i++) {
        djs_memo_note(test->ctx, &by, djs_bytes("a"), djs_bytes("b"), 0);
    }
    assert_number(wiped, 0, "it is there");
    djs_memo_note(test->ctx, &by, djs_bytes("a"), djs_bytes("b"), 0);
    assert_number(wiped, 10, "replaced");
    djs_memo_note(test->ctx, &by, djs_bytes("!!"), djs_bytes("!!!"), 0);
    apr_pool_destroy(pool);
    assert_number(wiped, 15, "the pool went");
    test->ctx->memo = NULL;
}

/* Streams of one connection. What one finds is right, whatever the others do. */
typedef struct stream_t {
    djs_memo_t *memo;
    int number;
    pthread_t thread;
    int wrong, found;
} stream_t;

static void *run_stream(void *data)
{
    stream_t *stream = data;
    apr_pool_t *pool;
    int i;

    apr_pool_create(&pool, NULL);
    for (i = 0; i < 20000; i++) {
        djs_ctx_t *ctx = test_ctx(pool);
        const char *digit = apr_itoa(pool, (i + stream->number) % 3);
        const char *from = apr_pstrcat(pool, "input ", digit, NULL);
        djs_bytes_t to;
        int detail;

        ctx->memo = stream->memo;
        if (djs_memo_find(ctx, stream->memo, djs_bytes(from), &to, &detail)) {
            stream->wrong += !djs_bytes_is(to, digit) || detail != atoi(digit);
            stream->found++;
        }
        else {
            djs_memo_note(ctx, stream->memo, djs_bytes(from), djs_bytes(digit), atoi(digit));
        }
        if (i % 100 == 0) {
            apr_pool_clear(pool);
        }
    }
    apr_pool_destroy(pool);
    return NULL;
}

static void many_threads_may_use_one(void **state)
{
    test_t *test = *state;
    djs_memo_t *memo = djs_memo_make(test->pool);
    stream_t streams[4];
    int i, found = 0;

    memset(streams, 0, sizeof(streams));
    for (i = 0; i < 4; i++) {
        streams[i].memo = memo;
        streams[i].number = i;
        assert_int_equal(pthread_create(&streams[i].thread, NULL, run_stream, &streams[i]), 0);
    }
    for (i = 0; i < 4; i++) {
        pthread_join(streams[i].thread, NULL);
        assert_number(streams[i].wrong, 0, "what was found is what was noted");
        found += streams[i].found;
    }
    assert_true(found > 0);
}

static void a_signed_text_is_verified_once_and_its_age_each_time(void **state)
{
    test_t *test = *state;
    djs_ctx_t *ctx = with_memo(test);
    djs_keyring_t *keys = djs_keyring_make(test->pool, djs_bytes("secret"), NULL, 0);
    djs_signer_t *signer = djs_signer_make(test->pool, keys, "salt", DJS_SIGNING_SHA256);
    djs_signer_t *other = djs_signer_make(test->pool, keys, "pepper", DJS_SIGNING_SHA256);
    djs_bytes_t text, data, forged;
    apr_size_t i;
    int round;

    djs_signer_remember(signer);
    djs_signer_remember(other);
    ctx->memo = NULL; /* somebody else's */
    assert_status(ctx, djs_signing_dumps(ctx, signer, DJS_COMPRESS_SMALL,
                                         djs_bytes("{\"a\":\"aaaaaaaaaaaaaaaaa\"}"), &text),
                  APR_SUCCESS, "sign");
    with_memo(test);
    for (round = 0; round < 2; round++) {
        int key = -1;
        apr_time_t at = 0;

        assert_status(ctx, djs_signing_inspect(ctx, signer, apr_time_from_sec(10), text, &data,
                                               &key, &at), APR_SUCCESS, "read");
        assert_bytes(data, djs_bytes("{\"a\":\"aaaaaaaaaaaaaaaaa\"}"), "its data");
        assert_number(key, 0, "the key");
        assert_number(at, TEST_NOW, "the time");
        assert_status(ctx, djs_signing_loads(ctx, other, DJS_NO_MAX_AGE, text, &data), DJS_EBADSIG,
                      "another's salt");
        djs_forget(ctx);
    }
    for (i = 0; i < text.len; i++) {
        forged = djs_bytes_copy(test->pool, text);
        ((char *)forged.data)[i] ^= 1;
        assert_int_not_equal(djs_signing_loads(ctx, signer, DJS_NO_MAX_AGE, forged, &data),
                             APR_SUCCESS);
        djs_forget(ctx);
    }
    assert_status(ctx, djs_signing_loads(ctx, signer, apr_time_from_sec(10), text, &data),
                  APR_SUCCESS, "still known");
    ctx->now += apr_time_from_sec(11);
    assert_status(ctx, djs_signing_loads(ctx, signer, apr_time_from_sec(10), text, &data),
                  DJS_EEXPIRED, "known, and too old");
}

static void what_was_signed_is_known_without_its_being_read(void **state)
{
    static const char content[] = "{\"a\":\"aaaaaaaaaaaaaaaaa\"}";
    test_t *test = *state;
    djs_ctx_t *ctx = with_memo(test);
    djs_keyring_t *keys = djs_keyring_make(test->pool, djs_bytes("secret"), NULL, 0);
    djs_signer_t *signer = djs_signer_make(test->pool, keys, "salt", DJS_SIGNING_SHA256);
    djs_bytes_t text, data;
    int compress, key;

    djs_signer_remember(signer);
    for (compress = 0; compress <= 1; compress++) {
        assert_status(ctx, djs_signing_dumps(ctx, signer, compress, djs_bytes(content), &text),
                      APR_SUCCESS, "sign");
        assert_number(text.data[0] == '.', compress, "compressed");
        assert_found(ctx, signer, apr_pstrmemdup(test->pool, text.data, text.len), content, 0,
                     "by the secret key");
        key = -1;
        assert_status(ctx, djs_signing_inspect(ctx, signer, DJS_NO_MAX_AGE, text, &data, &key, NULL),
                      APR_SUCCESS, "read");
        assert_bytes(data, djs_bytes(content), "what is remembered is what is read");
        assert_number(key, 0, "and by whom");
    }
}

/* Another with other keys may be put where it was. */
static void nothing_is_kept_of_a_signer_that_lives_shorter(void **state)
{
    test_t *test = *state;
    djs_ctx_t *ctx = with_memo(test);
    djs_keyring_t *keys = djs_keyring_make(test->pool, djs_bytes("secret"), NULL, 0);
    djs_signer_t *signer = djs_signer_make(test->pool, keys, "salt", DJS_SIGNING_SHA256);
    djs_bytes_t text, data;

    assert_status(ctx, djs_signing_dumps(ctx, signer, DJS_COMPRESS_NOT, djs_bytes("ticket"), &text),
                  APR_SUCCESS, "sign");
    assert_status(ctx, djs_signing_loads(ctx, signer, DJS_NO_MAX_AGE, text, &data), APR_SUCCESS,
                  "read");
    assert_false(is_known(ctx, signer, text.data));
    djs_memo_note(ctx, signer, text, djs_bytes("another's"), 0);
    assert_status(ctx, djs_signing_loads(ctx, signer, DJS_NO_MAX_AGE, text, &data), APR_SUCCESS,
                  "read again");
    assert_bytes(data, djs_bytes("ticket"), "its own");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(what_was_noted_is_found_for_the_same_input_only),
        TEST(a_result_that_was_found_is_the_callers_own),
        TEST(what_was_not_used_for_the_longest_time_makes_room),
        TEST(what_is_large_is_not_kept),
        TEST(without_a_memo_nothing_is_kept),
        TEST(what_it_holds_is_wiped_with_its_pool_and_when_replaced),
        TEST(many_threads_may_use_one),
        TEST(a_signed_text_is_verified_once_and_its_age_each_time),
        TEST(what_was_signed_is_known_without_its_being_read),
        TEST(nothing_is_kept_of_a_signer_that_lives_shorter),
    };

    return RUN_TESTS(tests);
}
