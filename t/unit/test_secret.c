/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets: held, wiped, compared; keyrings; chance; digests for logs.
 */
#include "support.h"
#include "secret.h"

#include <limits.h>
#include <string.h>

/* Alphabet of Django's session keys. */
#define KEY_ALPHABET "abcdefghijklmnopqrstuvwxyz0123456789"

static void a_secret_is_a_copy(void **state)
{
    test_t *test = *state;
    char original[] = "se\0ret";
    djs_secret_t *secret = djs_secret_make(test->pool, djs_bytes_of(original, 6));

    djs_secret_wipe(original, sizeof(original));
    assert_bytes(djs_secret_bytes(secret), djs_bytes_of("se\0ret", 6), "the copy");
    assert_number(original[0], 0, "the original, wiped");
    assert_number(djs_secret_bytes(djs_secret_make(test->pool, djs_bytes(NULL))).len, 0, "empty");
}

/* What a cleanup sees that runs after the secret's: the last one registered runs first. */
typedef struct witness_t {
    djs_bytes_t bytes;
    int left; /* bytes that are not zero */
} witness_t;

static apr_status_t look(void *data)
{
    witness_t *witness = data;
    apr_size_t i;

    witness->left = 0;
    for (i = 0; i < witness->bytes.len; i++) {
        witness->left += witness->bytes.data[i] != 0;
    }
    return APR_SUCCESS;
}

static void a_secret_is_wiped_when_its_pool_goes(void **state)
{
    test_t *test = *state;
    witness_t witness = { { NULL, 0 }, -1 };
    apr_pool_t *pool;

    apr_pool_create(&pool, test->pool);
    apr_pool_cleanup_register(pool, &witness, look, apr_pool_cleanup_null);
    witness.bytes = djs_secret_bytes(djs_secret_make(pool, djs_bytes("correct horse")));
    assert_number(witness.bytes.len, 13, "it was there");
    apr_pool_destroy(pool);
    assert_number(witness.left, 0, "bytes left when the pool went");
}

static void memory_is_wiped_with_a_pool(void **state)
{
    test_t *test = *state;
    char memory[] = "wipe this, keep that";
    apr_pool_t *pool;

    apr_pool_create(&pool, test->pool);
    djs_secret_wipe_with(pool, memory, 9);
    assert_string_equal(memory, "wipe this, keep that");
    apr_pool_destroy(pool);
    assert_memory_equal(memory, "\0\0\0\0\0\0\0\0\0, keep that", sizeof(memory));
}

static void secrets_are_equal_when_length_and_content_are(void **state)
{
    static const struct {
        djs_bytes_t a, b;
        int equal;
        const char *why;
    } cases[] = {
        { { "abc", 3 },  { "abc", 3 },  1, "the same" },
        { { "abc", 3 },  { "abd", 3 },  0, "the last byte differs" },
        { { "abc", 3 },  { "xbc", 3 },  0, "the first byte differs" },
        { { "abc", 3 },  { "ab", 2 },   0, "one is shorter" },
        { { "a\0b", 3 }, { "a\0c", 3 }, 0, "a difference behind NUL" },
        { { NULL, 0 },   { "", 0 },     1, "both empty" },
        { { "", 0 },     { "a", 1 },    0, "one empty" },
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_number(djs_secret_equal(cases[i].a, cases[i].b), cases[i].equal, cases[i].why);
        assert_number(djs_secret_equal(cases[i].b, cases[i].a), cases[i].equal, cases[i].why);
    }
}

static void a_keyring_keeps_its_keys_in_order(void **state)
{
    test_t *test = *state;
    djs_bytes_t fallbacks[] = { { "older", 5 }, { "oldest", 6 } };
    djs_keyring_t *keys = djs_keyring_make(test->pool, djs_bytes("newest"), fallbacks, 2);
    djs_keyring_t *alone = djs_keyring_make(test->pool, djs_bytes("newest"), NULL, 0);

    fallbacks[0] = djs_bytes("changed later");
    assert_number(djs_keyring_count(keys), 3, "with fallbacks");
    assert_bytes(djs_keyring_key(keys, 0), djs_bytes("newest"), "the secret key");
    assert_bytes(djs_keyring_key(keys, 1), djs_bytes("older"), "the first fallback");
    assert_bytes(djs_keyring_key(keys, 2), djs_bytes("oldest"), "the second fallback");
    assert_number(djs_keyring_count(alone), 1, "without fallbacks");
}

static void chance_fills_what_it_is_given_and_no_more(void **state)
{
    test_t *test = *state;
    unsigned char first[32], second[32] = { 0 };
    unsigned char bounded[34] = { 0 };

    assert_status(test->ctx, djs_random(test->ctx, first, sizeof(first)), APR_SUCCESS, "32 bytes");
    assert_status(test->ctx, djs_random(test->ctx, second, sizeof(second)), APR_SUCCESS, "again");
    assert_memory_not_equal(first, second, sizeof(first));
    assert_status(test->ctx, djs_random(test->ctx, bounded + 1, 32), APR_SUCCESS, "in the middle");
    assert_number(bounded[0], 0, "before");
    assert_number(bounded[33], 0, "behind");
    assert_status(test->ctx, djs_random(test->ctx, first, 0), APR_SUCCESS, "nothing");
    assert_status(NULL, djs_random(test->ctx, first, (apr_size_t)INT_MAX + 1), APR_EGENERAL,
                  "more than OpenSSL takes at once");
}

static void a_random_string_has_the_length_and_the_characters(void **state)
{
    static const apr_size_t lengths[] = { 0, 1, 32, 63, 64, 65, 1000 };
    test_t *test = *state;
    const char *text, *other;
    size_t i;

    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        assert_status(test->ctx, djs_random_string(test->ctx, KEY_ALPHABET, lengths[i], &text),
                      APR_SUCCESS, "a length");
        assert_number(strlen(text), lengths[i], "the length");
        assert_number(strspn(text, KEY_ALPHABET), lengths[i], "characters of the alphabet");
    }
    assert_status(test->ctx, djs_random_string(test->ctx, KEY_ALPHABET, 32, &text), APR_SUCCESS,
                  "a key");
    assert_status(test->ctx, djs_random_string(test->ctx, KEY_ALPHABET, 32, &other), APR_SUCCESS,
                  "another");
    assert_string_not_equal(text, other);
}

/*
 * 36 does not divide 256: taken modulo, the first 4 characters would come 8 times in 256 and the
 * others 7 times, a chi-square near 700 here. That of even draws passes 120 once in 10^10 runs.
 */
static void random_characters_are_drawn_evenly(void **state)
{
    enum { DRAWS = 36 * 10000 };
    test_t *test = *state;
    double chi_square = 0;
    int counts[256] = { 0 };
    const char *text, *c;

    assert_status(test->ctx, djs_random_string(test->ctx, KEY_ALPHABET, DRAWS, &text), APR_SUCCESS,
                  "many");
    for (c = text; *c != '\0'; c++) {
        counts[(unsigned char)*c]++;
    }
    for (c = KEY_ALPHABET; *c != '\0'; c++) {
        double off = counts[(unsigned char)*c] - DRAWS / 36.0;

        chi_square += off * off / (DRAWS / 36.0);
    }
    if (chi_square > 120) {
        fail_msg("chi-square of 36 characters in %d draws is %.1f", DRAWS, chi_square);
    }
}

static void a_random_string_needs_an_alphabet(void **state)
{
    test_t *test = *state;
    char long_alphabet[258];
    const char *text = "untouched";

    memset(long_alphabet, 'a', sizeof(long_alphabet));
    long_alphabet[257] = '\0';
    assert_status(NULL, djs_random_string(test->ctx, "", 8, &text), DJS_EINVAL, "no characters");
    assert_status(NULL, djs_random_string(test->ctx, long_alphabet, 8, &text), DJS_EINVAL, "257");
    assert_text(text, "untouched", "after failures");
    long_alphabet[256] = '\0';
    assert_status(NULL, djs_random_string(test->ctx, long_alphabet, 8, &text), APR_SUCCESS, "256");
    assert_text(text, "aaaaaaaa", "256 times the same");
}

static void a_digest_depends_on_session_and_secret_key_alone(void **state)
{
    test_t *test = *state;
    djs_bytes_t fallback = djs_bytes("secret2");
    djs_keyring_t *one = djs_keyring_make(test->pool, djs_bytes("secret"), NULL, 0);
    djs_keyring_t *with_fallback = djs_keyring_make(test->pool, djs_bytes("secret"), &fallback, 1);
    djs_keyring_t *other = djs_keyring_make(test->pool, fallback, NULL, 0);

    /* hmac.new(sha256(b"mod_django_session.id" + secret).digest(), key, sha256).hexdigest()[:16] */
    assert_text(djs_secret_digest(test->pool, one, "abcdefgh12345678"), "0a45e7e5d7b6819b",
                "as Python computes it");
    assert_text(djs_secret_digest(test->pool, with_fallback, "abcdefgh12345678"),
                "0a45e7e5d7b6819b", "fallbacks do not matter");
    assert_text(djs_secret_digest(test->pool, other, "abcdefgh12345678"), "19c4060ba868efa3",
                "another secret key");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_secret_is_a_copy),
        TEST(a_secret_is_wiped_when_its_pool_goes),
        TEST(memory_is_wiped_with_a_pool),
        TEST(secrets_are_equal_when_length_and_content_are),
        TEST(a_keyring_keeps_its_keys_in_order),
        TEST(chance_fills_what_it_is_given_and_no_more),
        TEST(a_random_string_has_the_length_and_the_characters),
        TEST(random_characters_are_drawn_evenly),
        TEST(a_random_string_needs_an_alphabet),
        TEST(a_digest_depends_on_session_and_secret_key_alone),
    };

    return RUN_TESTS(tests);
}
