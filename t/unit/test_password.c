/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session's auth hash, against Django's.
 */
#include "support.h"
#include "password.h"

#include <string.h>

static djs_hmac_t case_hash(const json_t *a_case, const char *name)
{
    const char *algorithm = vector_need(a_case, "algorithm");

    if (strcmp(algorithm, "sha1") == 0) {
        return DJS_HMAC_SHA1;
    }
    assert_text(algorithm, "sha256", name);
    return DJS_HMAC_SHA256;
}

static void the_session_hash_is_djangos_with_key_and_fallbacks(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "auth_hash.json", 65);
    const json_t *a_case, *expected;
    size_t i, j, hashes = 0;

    json_array_foreach(cases, i, a_case) {
        const char *name = vector_name(test->pool, a_case);
        const char *column = vector_need(a_case, "password_field");
        const json_t *fallback_hashes = json_object_get(a_case, "fallback_hashes");
        djs_hmac_t hash = case_hash(a_case, name);

        if (fallback_hashes == NULL) {
            assert_text(djs_password_session_hash(test->pool, hash,
                                                  djs_bytes(vector_need(a_case, "key")), column),
                        vector_need(a_case, "hash"), name);
            hashes++;
        }
        json_array_foreach(fallback_hashes, j, expected) {
            const json_t *key = json_array_get(json_object_get(a_case, "fallback_keys"), j);

            assert_text(djs_password_session_hash(test->pool, hash,
                                                  djs_bytes(json_string_value(key)), column),
                        json_string_value(expected), name);
            hashes++;
        }
        vector_done(a_case);
    }
    assert_number(hashes, 56 + 9 * 2, "hashes compared");
}

static void another_password_or_key_is_another_hash(void **state)
{
    test_t *test = *state;
    const char *hash = djs_password_session_hash(test->pool, DJS_HMAC_SHA256, djs_bytes("k"), "p");

    assert_number(strlen(hash), 64, "SHA-256");
    assert_number(strlen(djs_password_session_hash(test->pool, DJS_HMAC_SHA1, djs_bytes("k"), "p")),
                  40, "SHA-1");
    assert_string_not_equal(
        djs_password_session_hash(test->pool, DJS_HMAC_SHA256, djs_bytes("k"), "q"), hash);
    assert_string_not_equal(
        djs_password_session_hash(test->pool, DJS_HMAC_SHA256, djs_bytes("l"), "p"), hash);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(the_session_hash_is_djangos_with_key_and_fallbacks),
        TEST(another_password_or_key_is_another_hash),
    };

    return RUN_TESTS(tests);
}
