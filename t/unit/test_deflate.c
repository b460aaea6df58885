/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Short texts, compressed: zlib itself reads them back, and would not have made them shorter.
 */
#include "deflate.h"
#include "support.h"

#include <string.h>
#include <zlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define CANARY 0x5a

static apr_uint32_t chance_state;

static unsigned int chance(unsigned int below)
{
    chance_state = chance_state * 1664525u + 1013904223u;
    return (chance_state >> 8) % below;
}

/* Compress into exactly the room that there has to be, and have zlib read it. Gives the length. */
static apr_size_t check(djs_bytes_t text, const char *why)
{
    unsigned char packed[DJS_DEFLATE_SHORT_ROOM(DJS_DEFLATE_SHORT_MAX) + 1];
    unsigned char back[DJS_DEFLATE_SHORT_MAX + 1];
    const apr_size_t room = DJS_DEFLATE_SHORT_ROOM(text.len);
    uLongf back_len = sizeof(back);
    uLong used;
    apr_size_t len;

    memset(packed, CANARY, sizeof(packed));
    len = djs_deflate_short(text, packed);
    assert_true(len <= room);
    assert_number(packed[len], CANARY, "nothing behind it");
    used = len;
    assert_number(uncompress2(back, &back_len, packed, &used), Z_OK, why);
    assert_number(used, len, "all of it");
    assert_bytes(djs_bytes_of((char *)back, back_len), text, why);
    assert_number(packed[0], 0x78, "zlib's header, as Django's");
    assert_number(packed[1], 0x9c, "default level, as Django's");
    return len;
}

static apr_size_t zlib_length(djs_bytes_t text)
{
    unsigned char packed[2 * DJS_DEFLATE_SHORT_MAX];
    uLongf len = sizeof(packed);

    assert_int_equal(compress(packed, &len, (const Bytef *)text.data, text.len), Z_OK);
    return len;
}

static void texts_of_every_length_are_read_back(void **state)
{
    static const char *const alphabets[] = {
        "a", "ab", "0123456789abcdef", "{}[]\":,abcdefghijklmnopqrstuvwxyz0123456789"
    };
    char text[DJS_DEFLATE_SHORT_MAX];
    apr_size_t len, i, which;

    (void)state;
    chance_state = 1;
    for (len = 0; len <= DJS_DEFLATE_SHORT_MAX; len += len < 300 ? 1 : 1 + chance(40)) {
        for (which = 0; which < COUNT(alphabets); which++) {
            for (i = 0; i < len; i++) {
                text[i] = alphabets[which][chance((unsigned int)strlen(alphabets[which]))];
            }
            (void)check(djs_bytes_of(text, len), alphabets[which]);
        }
        for (i = 0; i < len; i++) {
            text[i] = (char)chance(256);
        }
        (void)check(djs_bytes_of(text, len), "any bytes");
    }
    (void)check(djs_bytes_of(NULL, 0), "none at all");
}

/* Codes as deep as they get, repetitions of every length and from everywhere. */
static void texts_of_every_make_are_read_back(void **state)
{
    char text[DJS_DEFLATE_SHORT_MAX];
    int round;

    (void)state;
    chance_state = 2;
    for (round = 0; round < 2000; round++) {
        const apr_size_t len = 1 + chance(DJS_DEFLATE_SHORT_MAX);
        const unsigned int kind = chance(4);
        apr_size_t at = 0, i;

        while (at < len) {
            apr_size_t run = 1 + (kind == 0 ? chance(300) : chance(12));
            apr_size_t from = at > 0 ? chance((unsigned int)at) : 0;
            unsigned int depth = 0;

            run = run < len - at ? run : len - at;
            if (kind < 3 && at > 0 && chance(3) > 0) { /* something again */
                for (i = 0; i < run; i++, at++, from++) {
                    text[at] = text[from];
                }
                continue;
            }
            while (depth < 255 && chance(2) > 0) { /* each symbol half as often as the one before */
                depth++;
            }
            text[at++] = (char)(kind == 3 ? depth : chance(depth + 1));
        }
        (void)check(djs_bytes_of(text, len), "a text of chance");
    }
}

/* What is at the edges of the format's tables. */
static void repetitions_of_every_length_and_distance_are_read_back(void **state)
{
    char text[DJS_DEFLATE_SHORT_MAX];
    apr_size_t length, distance, i;

    (void)state;
    chance_state = 3;
    for (length = 1; length <= 600; length++) {
        memset(text, 'x', length);
        (void)check(djs_bytes_of(text, length), "one byte");
        for (i = 0; i < length; i++) {
            text[i] = (char)chance(256);
        }
        memcpy(text + length, text, length);
        (void)check(djs_bytes_of(text, 2 * length), "twice the same");
    }
    for (distance = 4; distance + 4 <= DJS_DEFLATE_SHORT_MAX; distance += 1 + distance / 16) {
        for (i = 0; i < distance; i++) {
            text[i] = (char)chance(256);
        }
        memcpy(text + distance, text, 4);
        (void)check(djs_bytes_of(text, distance + 4), "four bytes again");
    }
    for (i = 0; i < sizeof(text); i++) {
        text[i] = (char)chance(256);
    }
    memcpy(text + sizeof(text) - 8, text, 8);
    (void)check(djs_bytes_of(text, sizeof(text)), "the first eight bytes at the end");
}

/* The sessions of the golden vectors, and what sites keep in theirs. */
static void sessions_become_as_short_as_zlib_makes_them(void **state)
{
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
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "session_data.json", 20), *a_case;
    apr_size_t ours = 0, zlibs = 0, i;

    for (i = 0; i < COUNT(sessions); i++) {
        const apr_size_t len = check(djs_bytes(sessions[i]), sessions[i]);
        const apr_size_t most = zlib_length(djs_bytes(sessions[i]));

        assert_in_range(len, 1, most + 4);
        ours += len;
        zlibs += most;
    }
    json_array_foreach(cases, i, a_case) {
        const djs_bytes_t json = djs_bytes(vector_text(a_case, "json"));

        if (json.len <= DJS_DEFLATE_SHORT_MAX) {
            ours += check(json, json.data);
            zlibs += zlib_length(json);
        }
    }
    assert_in_range(ours * 100, 1, zlibs * 101);
}

/* Whatever lay around before: another's session must not show. */
static apr_size_t pack_after(int rubbish, djs_bytes_t text, unsigned char *packed)
{
    volatile unsigned char stack[40000];
    apr_size_t i;

    for (i = 0; i < sizeof(stack); i++) {
        stack[i] = (unsigned char)rubbish;
    }
    return djs_deflate_short(text, packed);
}

static void what_was_compressed_before_makes_no_difference(void **state)
{
    unsigned char first[DJS_DEFLATE_SHORT_ROOM(1000)], again[DJS_DEFLATE_SHORT_ROOM(1000)];
    char text[1000];
    int round;

    (void)state;
    chance_state = 4;
    for (round = 0; round < 100; round++) {
        const djs_bytes_t bytes = djs_bytes_of(text, chance(sizeof(text)));
        apr_size_t len, i;

        for (i = 0; i < bytes.len; i++) {
            text[i] = "{\":,}abcdef"[chance(11)];
        }
        len = pack_after(0, bytes, first);
        assert_number(pack_after(0xff, bytes, again), len, "its length");
        assert_memory_equal(first, again, len);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(texts_of_every_length_are_read_back),
        TEST(texts_of_every_make_are_read_back),
        TEST(repetitions_of_every_length_and_distance_are_read_back),
        TEST(sessions_become_as_short_as_zlib_makes_them),
        TEST(what_was_compressed_before_makes_no_difference),
    };

    return RUN_TESTS(tests);
}
