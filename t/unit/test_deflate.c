/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Short texts, compressed with what is kept for it: zlib itself reads them back, would hardly have
 * made them shorter, or not by much where that is quick, and what was compressed before makes no
 * difference. What is read at once is what zlib reads.
 */
#include "deflate.h"
#include "encode.h"
#include "support.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Longer than what is short. */
#define TEXT_MAX 3000

/* What sites keep in theirs. */
static const char *const sessions[] = {
    "{\"_auth_user_id\":\"1\",\"_auth_user_backend\":\"django.contrib.auth.backends."
    "ModelBackend\",\"_auth_user_hash\":\"8ad28f6a7a6a0b2d5e3c1f9b7e6d5c4b3a2918f7e6d5c4b3\"}",
    "{\"cart\":[{\"sku\":\"A-0001\",\"n\":1,\"price\":20.5},{\"sku\":\"A-0002\",\"n\":2,"
    "\"price\":21.5},{\"sku\":\"A-0003\",\"n\":3,\"price\":22.5}],\"language\":\"en-gb\","
    "\"last_seen\":\"2025-01-15T10:11:12.131415+00:00\",\"theme\":{\"dark\":true,\"cols\":3}}",
    "{\"access_token\":\"eyJhbGciOiJSUzI1NiIsImtpZCI6IjlHZjR0Zm1lN2xPbzVvQ1pGcGdPdyJ9.eyJzd"
    "WIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkFkYSIsImlhdCI6MTczNjkzMjI3\",\"expires_at\":1736935872}",
    "{\"recent\":[17,4711,815,42,1001,23,5,90210,77,1234],\"_language\":\"de\",\"note\":"
    "\"left at the counter, to be collected on Friday by the one who left it on Monday\"}",
    "{\"wizard\":{\"step\":\"address\",\"step_data\":{\"address\":{\"street\":[\"12 St James's "
    "Square\"],\"city\":[\"London\"],\"country\":[\"GB\"]}},\"step_files\":{\"address\":{}}}}",
    "{\"a\":1}", "{}",
};

static unsigned int chance(apr_uint32_t *state, unsigned int below)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % below;
}

/* Letters of a few kinds, some of them again and again. */
static djs_bytes_t make_text(apr_uint32_t *state, char *text)
{
    const apr_size_t len = chance(state, chance(state, 3) > 0 ? TEXT_MAX / 4 : TEXT_MAX);
    const unsigned int kinds = 1 + chance(state, 256);
    apr_size_t at = 0;

    while (at < len) {
        apr_size_t from = at > 0 ? chance(state, (unsigned int)at) : 0;
        unsigned int again = at > 0 && chance(state, 2) > 0 ? chance(state, 40) : 0;

        for (; again > 0 && at < len; again--) {
            text[at++] = text[from++];
        }
        if (at < len) {
            text[at++] = (char)(' ' + chance(state, kinds));
        }
    }
    return djs_bytes_of(text, len);
}

static djs_bytes_t pack(djs_ctx_t *ctx, djs_bytes_t text)
{
    djs_bytes_t packed;

    assert_status(ctx, djs_deflate(ctx, text, &packed), APR_SUCCESS, "compress");
    return packed;
}

/* As a row has it. */
static djs_bytes_t pack_quickly(djs_ctx_t *ctx, djs_bytes_t text)
{
    int packed;

    assert_status(ctx, djs_deflate_if_shorter(ctx, DJS_COMPRESS_QUICK, &text, &packed), APR_SUCCESS,
                  "compress");
    return text;
}

/* Is there libdeflate in this program? */
static int has_libdeflate(test_t *test)
{
    djs_ctx_t ctx = *test->ctx;
    djs_bytes_t packed;

    ctx.compressors = djs_compressors_make(test->pool);
    return djs_deflate_short(&ctx, djs_bytes(sessions[0]), &packed);
}

/* And ISA-L? */
static int has_isal(test_t *test)
{
    djs_ctx_t ctx = *test->ctx;
    djs_bytes_t packed;

    ctx.compressors = djs_compressors_make(test->pool);
    return djs_deflate_quickly(&ctx, djs_bytes(sessions[0]), &packed);
}

/* Does zlib read it, all of it, in its own framing? */
static int is_read_back(djs_bytes_t packed, djs_bytes_t text)
{
    Bytef back[TEXT_MAX + 1];
    uLongf back_len = sizeof(back);
    uLong used = packed.len;

    return uncompress2(back, &back_len, (const Bytef *)packed.data, &used) == Z_OK &&
           used == packed.len && back_len == text.len && memcmp(back, text.data, text.len) == 0;
}

static djs_bytes_t by_zlib(djs_ctx_t *ctx, djs_bytes_t text)
{
    uLongf len = compressBound(text.len);
    Bytef *packed = apr_palloc(ctx->pool, len);

    assert_int_equal(compress(packed, &len, (const Bytef *)text.data, text.len), Z_OK);
    return djs_bytes_of((char *)packed, len);
}

static void texts_of_every_make_are_read_back_with_compressors_and_without(void **state)
{
    test_t *test = *state;
    djs_compressors_t *compressors = djs_compressors_make(test->pool);
    apr_uint32_t seed = 1;
    apr_size_t ours = 0, zlibs = 0;
    char text[TEXT_MAX];
    int round;

    for (round = 0; round < 1000; round++) {
        const djs_bytes_t bytes = make_text(&seed, text);
        djs_bytes_t kept, without;

        test->ctx->compressors = compressors;
        kept = pack(test->ctx, bytes);
        test->ctx->compressors = NULL;
        without = pack(test->ctx, bytes);
        assert_true(is_read_back(kept, bytes));
        assert_true(is_read_back(without, bytes));
        assert_number(kept.data[kept.len], 0, "a NUL behind it");
        ours += without.len;
        zlibs += by_zlib(test->ctx, bytes).len;
    }
    /* Without compressors it is zlib with less memory. */
    assert_in_range(ours * 1000, zlibs * 999, zlibs * 1001);
}

static void sessions_become_as_short_as_zlib_makes_them(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "session_data.json", 20), *a_case;
    djs_compressors_t *compressors = djs_compressors_make(test->pool);
    apr_size_t ours = 0, zlibs = 0, i;

    for (i = 0; i < COUNT(sessions); i++) {
        const djs_bytes_t text = djs_bytes(sessions[i]), zlib = by_zlib(test->ctx, text);

        test->ctx->compressors = NULL;
        assert_bytes(pack(test->ctx, text), zlib, "without compressors");
        test->ctx->compressors = compressors;
        ours += pack(test->ctx, text).len;
        zlibs += zlib.len;
    }
    json_array_foreach(cases, i, a_case) {
        const djs_bytes_t json = djs_bytes(vector_text(a_case, "json"));

        ours += pack(test->ctx, json).len;
        zlibs += by_zlib(test->ctx, json).len;
    }
    assert_in_range(ours * 100, 1, zlibs * 102);
}

/* Nothing else is asked twice: what is not for one library is for the next. */
static void each_library_takes_all_that_is_short_for_it(void **state)
{
    test_t *test = *state;
    const int small = has_libdeflate(test), quick = has_isal(test);
    const djs_bytes_t spaces = djs_bytes(apr_psprintf(test->pool, "%*s", TEXT_MAX, ""));
    char *noise = apr_palloc(test->pool, TEXT_MAX);
    apr_uint32_t seed = 5;
    djs_bytes_t packed;
    apr_size_t len;

    for (len = 0; len < TEXT_MAX; len++) {
        noise[len] = (char)chance(&seed, 256);
    }
    test->ctx->compressors = djs_compressors_make(test->pool);
    for (len = 0; len <= TEXT_MAX; len++) {
        const int is_short = len >= DJS_DEFLATE_SHORT_MIN && len <= DJS_DEFLATE_SHORT_MAX;

        assert_number(djs_deflate_short(test->ctx, djs_bytes_of(noise, len), &packed),
                      small && is_short, "noise");
        assert_number(djs_deflate_short(test->ctx, djs_bytes_of(spaces.data, len), &packed),
                      small && is_short, "spaces");
        assert_number(djs_deflate_quickly(test->ctx, djs_bytes_of(noise, len), &packed), 0, "noise");
        assert_number(djs_deflate_quickly(test->ctx, djs_bytes_of(spaces.data, len), &packed),
                      quick && is_short && len <= DJS_DEFLATE_QUICK_MAX, "spaces");
    }
    test->ctx->compressors = NULL;
    assert_number(djs_deflate_quickly(test->ctx, djs_bytes_of(spaces.data, 100), &packed), 0,
                  "without compressors");
}

static void what_is_compressed_quickly_is_read_back_and_shorter_by_an_eighth(void **state)
{
    test_t *test = *state;
    const int quick = has_isal(test);
    apr_uint32_t seed = 6;
    char text[TEXT_MAX];
    int round, taken = 0;

    test->ctx->compressors = djs_compressors_make(test->pool);
    for (round = 0; round < 1000; round++) {
        const djs_bytes_t bytes = test_alone(make_text(&seed, text));
        djs_bytes_t packed;

        if (djs_deflate_quickly(test->ctx, bytes, &packed)) {
            taken++;
            assert_true(is_read_back(packed, bytes));
            assert_in_range(packed.len, 1, bytes.len - bytes.len / 8);
            assert_number(packed.data[packed.len], 0, "a NUL behind it");
        }
        free((char *)bytes.data);
    }
    assert_in_range(taken, quick ? 500 : 0, quick ? 900 : 0);
}

/* The bytes that a site's rows have more for it. */
static void sessions_in_rows_are_at_most_a_quarter_longer_than_zlib_makes_them(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "session_data.json", 20), *a_case;
    apr_size_t ours = 0, zlibs = 0, i;
    djs_bytes_t packed;

    test->ctx->compressors = djs_compressors_make(test->pool);
    for (i = 0; i < COUNT(sessions); i++) {
        ours += pack_quickly(test->ctx, djs_bytes(sessions[i])).len;
        zlibs += by_zlib(test->ctx, djs_bytes(sessions[i])).len;
    }
    json_array_foreach(cases, i, a_case) {
        const djs_bytes_t json = djs_bytes(vector_text(a_case, "json"));

        if (djs_deflate_quickly(test->ctx, json, &packed)) {
            ours += packed.len;
            zlibs += by_zlib(test->ctx, json).len;
        }
    }
    assert_in_range(ours * 100, 1, zlibs * 125);
}

/* Another's session must not show. */
static void what_was_compressed_before_makes_no_difference(void **state)
{
    test_t *test = *state;
    djs_compressors_t *kept = djs_compressors_make(test->pool);
    apr_uint32_t seed = 2;
    char text[TEXT_MAX];
    int round;

    for (round = 0; round < 200; round++) {
        const djs_bytes_t bytes = make_text(&seed, text);
        djs_bytes_t packed, quick;
        apr_pool_t *pool;

        test->ctx->compressors = kept;
        packed = pack(test->ctx, bytes);
        quick = pack_quickly(test->ctx, bytes);
        apr_pool_create(&pool, test->pool);
        test->ctx->compressors = djs_compressors_make(pool);
        assert_bytes(packed, pack(test->ctx, bytes), "as by a new one");
        assert_bytes(quick, pack_quickly(test->ctx, bytes), "as by a new one");
        test->ctx->compressors = NULL;
        apr_pool_destroy(pool);
    }
}

typedef struct saver_t {
    djs_compressors_t *compressors;
    apr_uint32_t seed;
    pthread_t thread;
    int wrong;
} saver_t;

static void *save(void *data)
{
    saver_t *saver = data;
    char text[TEXT_MAX];
    apr_pool_t *pool;
    int round;

    apr_pool_create(&pool, NULL);
    for (round = 0; round < 200; round++) {
        djs_ctx_t *ctx = test_ctx(pool);
        djs_bytes_t packed, bytes = make_text(&saver->seed, text);

        ctx->compressors = saver->compressors;
        saver->wrong += djs_deflate(ctx, bytes, &packed) != APR_SUCCESS ||
                        !is_read_back(packed, bytes);
        saver->wrong += djs_deflate_quickly(ctx, bytes, &packed) && !is_read_back(packed, bytes);
        apr_pool_clear(pool);
    }
    apr_pool_destroy(pool);
    return NULL;
}

/* More than there are compressors. */
static void many_threads_compress_at_once(void **state)
{
    test_t *test = *state;
    djs_compressors_t *compressors = djs_compressors_make(test->pool);
    saver_t savers[8];
    apr_size_t i;

    for (i = 0; i < COUNT(savers); i++) {
        savers[i].compressors = compressors;
        savers[i].seed = (apr_uint32_t)i;
        savers[i].wrong = 0;
        assert_int_equal(pthread_create(&savers[i].thread, NULL, save, &savers[i]), 0);
    }
    for (i = 0; i < COUNT(savers); i++) {
        pthread_join(savers[i].thread, NULL);
        assert_number(savers[i].wrong, 0, "all are read back");
    }
}

/* ---- reading ---- */

static void what_fits_is_read_at_once_and_all_else_left_to_zlib(void **state)
{
    test_t *test = *state;
    const int with_it = has_libdeflate(test);
    apr_uint32_t seed = 3;
    char text[TEXT_MAX];
    int round;

    for (round = 0; round < 300; round++) {
        const djs_bytes_t bytes = make_text(&seed, text);
        const djs_bytes_t packed = test_alone(by_zlib(test->ctx, bytes));
        djs_bytes_t back = djs_bytes("untouched");

        if (bytes.len > 0) {
            assert_number(djs_inflate_at_once(test->ctx, packed, bytes.len - 1, &back), 0,
                          "a byte too little");
            assert_number(djs_inflate_at_once(test->ctx, packed, 0, &back), 0, "no room");
        }
        assert_bytes(back, djs_bytes("untouched"), "no result");
        assert_number(djs_inflate_at_once(test->ctx, packed, bytes.len, &back), with_it, "just so");
        if (with_it) {
            assert_bytes(back, bytes, "the text");
            assert_number(back.data[back.len], 0, "a NUL behind it");
        }
        free((char *)packed.data);
    }
}

/* Of each damage, zlib alone says what it is, and whether it is one. */
static void damaged_streams_are_read_as_zlib_reads_them(void **state)
{
    test_t *test = *state;
    apr_uint32_t seed = 4;
    char text[TEXT_MAX];
    int round;

    for (round = 0; round < 3000; round++) {
        const djs_bytes_t bytes = make_text(&seed, text);
        const djs_bytes_t packed = test_alone(by_zlib(test->ctx, bytes));
        apr_size_t len = chance(&seed, 3) > 0 ? packed.len
                                              : chance(&seed, (unsigned int)packed.len + 1);
        Bytef expected[2 * TEXT_MAX];
        uLongf expected_len = sizeof(expected);
        djs_bytes_t back;
        int result;

        if (len == packed.len) {
            ((char *)packed.data)[chance(&seed, (unsigned int)len)] ^= (char)(1 << chance(&seed, 8));
        }
        result = uncompress(expected, &expected_len, (const Bytef *)packed.data, len);
        djs_forget(test->ctx);
        if (result == Z_OK) {
            assert_status(test->ctx, djs_inflate(test->ctx, djs_bytes_of(packed.data, len),
                                                 sizeof(expected), &back), APR_SUCCESS, "harmless");
            assert_bytes(back, djs_bytes_of((char *)expected, expected_len), "the same");
        }
        else {
            assert_true(djs_inflate(test->ctx, djs_bytes_of(packed.data, len), sizeof(expected),
                                    &back) != APR_SUCCESS);
            assert_non_null(test->ctx->problem);
        }
        free((char *)packed.data);
    }
}

static void what_follows_a_stream_is_ignored(void **state)
{
    test_t *test = *state;
    const djs_bytes_t text = djs_bytes(sessions[1]), packed = by_zlib(test->ctx, text);
    char *longer = apr_pcalloc(test->pool, packed.len + 100);
    djs_bytes_t back;

    memcpy(longer, packed.data, packed.len);
    assert_number(djs_inflate_at_once(test->ctx, djs_bytes_of(longer, packed.len + 100), TEXT_MAX,
                                      &back), has_libdeflate(test), "and a hundred bytes");
    assert_status(test->ctx, djs_inflate(test->ctx, djs_bytes_of(longer, packed.len + 100), TEXT_MAX,
                                         &back), APR_SUCCESS, "and a hundred bytes");
    assert_bytes(back, text, "the text");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(texts_of_every_make_are_read_back_with_compressors_and_without),
        TEST(sessions_become_as_short_as_zlib_makes_them),
        TEST(each_library_takes_all_that_is_short_for_it),
        TEST(what_is_compressed_quickly_is_read_back_and_shorter_by_an_eighth),
        TEST(sessions_in_rows_are_at_most_a_quarter_longer_than_zlib_makes_them),
        TEST(what_was_compressed_before_makes_no_difference),
        TEST(many_threads_compress_at_once),
        TEST(what_fits_is_read_at_once_and_all_else_left_to_zlib),
        TEST(damaged_streams_are_read_as_zlib_reads_them),
        TEST(what_follows_a_stream_is_ignored),
    };

    return RUN_TESTS(tests);
}
