/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes as text and back. What Python says of odd base64 was asked of Python 3.11.
 */
#include "support.h"
#include "encode.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LITERAL(text) { (text), sizeof(text) - 1 }

/*
 * Pseudo-random, the same in each run: what fails once fails again.
 */
static unsigned int chance_state;

static unsigned int chance(unsigned int below)
{
    chance_state = chance_state * 1103515245u + 12345u;
    return (chance_state >> 16) % below;
}

/* Bytes in a block of exactly their size, so that a sanitizer sees each read beyond it. */
static djs_bytes_t chance_bytes(apr_size_t len, const char *alphabet)
{
    char *data = malloc(len > 0 ? len : 1);
    apr_size_t i;

    for (i = 0; i < len; i++) {
        data[i] = alphabet != NULL ? alphabet[chance((unsigned int)strlen(alphabet))]
                                   : (char)chance(256);
    }
    return djs_bytes_of(data, len);
}

static void give_back(djs_bytes_t bytes)
{
    free((char *)bytes.data);
}

/* ---- Base64 ---------------------------------------------------------------------------------- */

static void base64_is_written_as_python_writes_it(void **state)
{
    static const struct {
        djs_bytes_t data;
        const char *standard, *url;
    } cases[] = {
        { LITERAL(""),             "",         "" },
        { LITERAL("{"),            "ew==",     "ew" },
        { LITERAL("{}"),           "e30=",     "e30" },
        { LITERAL("{ }"),          "eyB9",     "eyB9" },
        { LITERAL("\xfb\xff\xbf"), "+/+/",     "-_-_" },
        { LITERAL("\0\0\0\0"),     "AAAAAA==", "AAAAAA" },
        { LITERAL("\xff\xff"),     "//8=",     "__8" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        djs_bytes_t standard = djs_base64_encode(test->ctx, DJS_BASE64_STANDARD, cases[i].data);
        djs_bytes_t url = djs_base64_encode(test->ctx, DJS_BASE64_URL, cases[i].data);
        char put[16];

        assert_bytes(standard, djs_bytes(cases[i].standard), "standard");
        assert_bytes(url, djs_bytes(cases[i].url), "url");
        assert_number(standard.data[standard.len], 0, "a NUL behind it");
        assert_number(djs_base64_put(DJS_BASE64_URL, cases[i].data, put), url.len, "put");
        assert_text(put, cases[i].url, "put");
    }
}

/* What Python gives; NULL data: binascii.Error. */
#define REFUSED { NULL, 1 }

static void base64_is_read_as_leniently_as_python_reads_it(void **state)
{
    static const struct {
        djs_bytes_t text, url, standard;
        const char *why;
    } cases[] = {
        { LITERAL(""), LITERAL(""), LITERAL(""), "nothing" },
        { LITERAL("eyB9"), LITERAL("{ }"), LITERAL("{ }"), "a whole group" },
        { LITERAL("e30"), LITERAL("{}"), REFUSED, "padding left out" },
        { LITERAL("e3"), LITERAL("{"), REFUSED, "padding left out, one byte" },
        { LITERAL("e"), REFUSED, REFUSED, "one digit is no byte" },
        { LITERAL("AAAAA"), REFUSED, REFUSED, "one digit too many" },
        { LITERAL("e30="), LITERAL("{}"), LITERAL("{}"), "padded" },
        { LITERAL("e30=="), LITERAL("{}"), LITERAL("{}"), "too much padding" },
        { LITERAL("e30===="), LITERAL("{}"), LITERAL("{}"), "far too much padding" },
        { LITERAL("="), LITERAL(""), LITERAL(""), "only padding" },
        { LITERAL("===="), LITERAL(""), LITERAL(""), "a group of padding" },
        { LITERAL("e==="), REFUSED, REFUSED, "one digit and padding" },
        { LITERAL("e=3=0"), LITERAL("{}"), REFUSED, "padding between digits" },
        { LITERAL("e3=0"), REFUSED, REFUSED, "a digit takes earlier padding back" },
        { LITERAL("e3==0AAA"), LITERAL("{"), LITERAL("{"), "digits behind the end" },
        { LITERAL("e30=AAAA"), LITERAL("{}"), LITERAL("{}"), "a group behind the end" },
        { LITERAL("AA=A=A"), LITERAL("\0\0"), LITERAL("\0\0"), "an end in the middle" },
        { LITERAL("AB=C=D=="), LITERAL("\0\x10"), LITERAL("\0\x10"), "padding twice" },
        { LITERAL("A=B=C=D="), LITERAL("\0\x10"), LITERAL("\0\x10"), "padding after each" },
        { LITERAL("AB=CDEF"), REFUSED, REFUSED, "six digits" },
        { LITERAL("AAAA=AAA"), REFUSED, REFUSED, "padding between groups" },
        { LITERAL("-_8"), LITERAL("\xfb\xff"), REFUSED, "url's digits" },
        { LITERAL("+/8"), LITERAL("\xfb\xff"), REFUSED, "standard's digits" },
        { LITERAL("+/8="), LITERAL("\xfb\xff"), LITERAL("\xfb\xff"), "standard, padded" },
        { LITERAL("-/+_"), LITERAL("\xfb\xff\xbf"), REFUSED, "both kinds of digits" },
        { LITERAL("e3\n0"), REFUSED, REFUSED, "what is skipped counts for the padding" },
        { LITERAL("e 3 0 "), LITERAL("{}"), REFUSED, "two of padding for three digits" },
        { LITERAL("e.30"), REFUSED, REFUSED, "a foreign character" },
        { LITERAL("e\xff""30"), REFUSED, REFUSED, "a byte beyond ASCII" },
        { LITERAL("e3\0""0A"), LITERAL("{}\0"), LITERAL("{}\0"), "NUL is skipped" },
        { LITERAL("!!!!"), LITERAL(""), LITERAL(""), "nothing but foreign characters" },
        { LITERAL("AAAA!"), LITERAL("\0\0\0"), LITERAL("\0\0\0"), "a foreign character behind" },
        { LITERAL("A\nA\nA\nA\n"), LITERAL("\0\0\0"), LITERAL("\0\0\0"), "line breaks" },
        { LITERAL("eyJhIjoxfR"), LITERAL("{\"a\":1}"), REFUSED, "bits that fill no byte" },
    };
    test_t *test = *state;
    size_t i, kind;

    for (i = 0; i < COUNT(cases); i++) {
        for (kind = DJS_BASE64_STANDARD; kind <= DJS_BASE64_URL; kind++) {
            djs_bytes_t expected = kind == DJS_BASE64_URL ? cases[i].url : cases[i].standard;
            djs_bytes_t data = djs_bytes("untouched");
            apr_status_t rv = djs_base64_decode(test->ctx, (djs_base64_t)kind, cases[i].text,
                                                &data);

            if (expected.data == NULL) {
                assert_status(NULL, rv, DJS_EFORMAT, cases[i].why);
                assert_bytes(data, djs_bytes("untouched"), cases[i].why);
            }
            else {
                assert_status(test->ctx, rv, APR_SUCCESS, cases[i].why);
                assert_bytes(data, expected, cases[i].why);
                assert_number(data.data[data.len], 0, "a NUL behind it");
            }
            djs_forget(test->ctx);
        }
    }
}

static void base64_of_any_bytes_reads_back(void **state)
{
    test_t *test = *state;
    apr_size_t len, kind;

    chance_state = 64;
    for (len = 0; len < 300; len++) {
        djs_bytes_t bytes = chance_bytes(len, NULL);

        for (kind = DJS_BASE64_STANDARD; kind <= DJS_BASE64_URL; kind++) {
            djs_bytes_t text = djs_base64_encode(test->ctx, (djs_base64_t)kind, bytes);
            djs_bytes_t back;

            assert_true(text.len < DJS_BASE64_SIZE(len));
            assert_status(test->ctx, djs_base64_decode(test->ctx, (djs_base64_t)kind, text, &back),
                          APR_SUCCESS, "our own");
            assert_bytes(back, bytes, "there and back");
        }
        give_back(bytes);
    }
}

/* ---- Base62 ---------------------------------------------------------------------------------- */

static void base62_vectors_hold_in_both_directions(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "base62.json", 42);
    const json_t *a_case;
    size_t i, numbers = 0, texts = 0;

    json_array_foreach(cases, i, a_case) {
        const char *text = vector_need(a_case, "text");
        const char *name = vector_name(test->pool, a_case);
        const json_t *number = json_object_get(a_case, "number");
        const json_t *decoded = number != NULL ? number : json_object_get(a_case, "decoded");
        apr_int64_t value = -7;
        apr_status_t rv = djs_base62_decode(test->ctx, djs_bytes(text), &value);

        assert_non_null(decoded);
        if (number != NULL) {
            assert_text(djs_base62_encode(test->pool, json_integer_value(number)), text, name);
            numbers++;
        }
        if (json_is_null(decoded)) {
            assert_status(NULL, rv, DJS_EFORMAT, name);
            assert_number(value, -7, name);
        }
        else {
            assert_status(test->ctx, rv, APR_SUCCESS, name);
            assert_number(value, json_integer_value(decoded), name);
        }
        djs_forget(test->ctx);
        vector_done(a_case);
        texts++;
    }
    assert_number(texts, json_array_size(cases), "cases looked at");
    assert_true(numbers >= 33);
}

static void base62_beyond_64_bits_is_the_nearest_that_fits(void **state)
{
    static const struct {
        const char *text;
        apr_status_t rv;
        apr_int64_t number;
        const char *why;
    } cases[] = {
        { "AzL8n0Y58m7",   APR_SUCCESS, APR_INT64_MAX, "the most" },
        { "AzL8n0Y58m8",   DJS_ELIMIT,  APR_INT64_MAX, "one more" },
        { "-AzL8n0Y58m8",  APR_SUCCESS, APR_INT64_MIN, "the least" },
        { "-AzL8n0Y58m9",  DJS_ELIMIT,  APR_INT64_MIN, "one less" },
        { "zzzzzzzzzzzzzzzzzzzzzzzzz", DJS_ELIMIT, APR_INT64_MAX, "many digits" },
        { "-10000000000000000000", DJS_ELIMIT, APR_INT64_MIN, "many digits below zero" },
        { "0000000000000000000000z", APR_SUCCESS, 61, "many zeros" },
        { "zzzzzzzzzzzzzzzzzzzz_", DJS_EFORMAT, -7, "no digit behind too many" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        apr_int64_t number = -7;

        assert_status(NULL, djs_base62_decode(test->ctx, djs_bytes(cases[i].text), &number),
                      cases[i].rv, cases[i].why);
        assert_number(number, cases[i].number, cases[i].why);
    }
    assert_text(djs_base62_encode(test->pool, APR_INT64_MAX), "AzL8n0Y58m7", "the most");
    assert_text(djs_base62_encode(test->pool, APR_INT64_MIN), "-AzL8n0Y58m8", "the least");
}

/* ---- Hex and percent ------------------------------------------------------------------------- */

static void hex_is_lower_case(void **state)
{
    test_t *test = *state;

    assert_text(djs_hex(test->pool, djs_bytes_of("\0\x1f\xab\xff", 4)), "001fabff", "four bytes");
    assert_text(djs_hex(test->pool, djs_bytes("")), "", "none");
}

static void percent_signs_decode_to_bytes(void **state)
{
    static const struct {
        djs_bytes_t text, data;
        apr_status_t rv;
        const char *why;
    } cases[] = {
        { LITERAL("plain+text"), LITERAL("plain+text"), APR_SUCCESS, "a plus is a plus" },
        { LITERAL("%41%2c%2C"), LITERAL("A,,"), APR_SUCCESS, "both cases" },
        { LITERAL("%00"), LITERAL("\0"), APR_SUCCESS, "NUL" },
        { LITERAL("%c3%a9\xc3"), LITERAL("\xc3\xa9\xc3"), APR_SUCCESS, "bytes, whatever they are" },
        { LITERAL("%25"), LITERAL("%"), APR_SUCCESS, "the sign itself" },
        { LITERAL("%2541"), LITERAL("%41"), APR_SUCCESS, "decoded once" },
        { LITERAL(""), LITERAL(""), APR_SUCCESS, "nothing" },
        { LITERAL("a%"), LITERAL(""), DJS_EFORMAT, "at the end" },
        { LITERAL("a%4"), LITERAL(""), DJS_EFORMAT, "one digit, then the end" },
        { LITERAL("%4g"), LITERAL(""), DJS_EFORMAT, "a second that is no digit" },
        { LITERAL("%g4"), LITERAL(""), DJS_EFORMAT, "a first that is no digit" },
        { LITERAL("%%41"), LITERAL(""), DJS_EFORMAT, "a sign for a digit" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        djs_bytes_t data = djs_bytes("");

        assert_status(NULL, djs_percent_decode(test->ctx, cases[i].text, &data), cases[i].rv,
                      cases[i].why);
        assert_bytes(data, cases[i].data, cases[i].why);
    }
    assert_text(test->ctx->problem, "\"%\" at byte 1 is not followed by two hex digits", "message");
}

static void what_is_not_printable_is_percent_encoded(void **state)
{
    test_t *test = *state;

    assert_text(djs_percent_encode(test->ctx, djs_bytes_of("a b~%\0\x1f\x7f\xc3\xa9", 10)),
                "a b~%25%00%1F%7F%C3%A9", "of each kind");
    assert_text(djs_percent_encode(test->ctx, djs_bytes("")), "", "nothing");
}

static void quote_is_pythons(void **state)
{
    static const struct {
        djs_bytes_t data;
        const char *safe, *text;
    } cases[] = {
        { LITERAL("/a b?c=d&\xc3\xa9~%"), "/", "/a%20b%3Fc%3Dd%26%C3%A9~%25" },
        { LITERAL("a/b'()*"), "", "a%2Fb%27%28%29%2A" },
        { LITERAL("/x?y"), "/?", "/x?y" },
        { LITERAL("AZaz09_.-~"), "", "AZaz09_.-~" },
        { LITERAL("\0"), "/", "%00" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        assert_text(djs_quote(test->pool, cases[i].data, cases[i].safe), cases[i].text,
                    cases[i].text);
    }
}

static void any_bytes_survive_percent_encoding(void **state)
{
    test_t *test = *state;
    apr_size_t len;

    chance_state = 25;
    for (len = 0; len < 200; len++) {
        djs_bytes_t bytes = chance_bytes(len, len % 2 ? NULL : "%aF0 \x80");
        const char *text = djs_percent_encode(test->ctx, bytes);
        djs_bytes_t back;

        assert_status(test->ctx, djs_percent_decode(test->ctx, djs_bytes(text), &back), APR_SUCCESS,
                      "encoded");
        assert_bytes(back, bytes, "there and back");
        text = djs_quote(test->pool, bytes, "/");
        assert_status(test->ctx, djs_percent_decode(test->ctx, djs_bytes(text), &back), APR_SUCCESS,
                      "quoted");
        assert_bytes(back, bytes, "there and back");
        give_back(bytes);
    }
}

/* ---- UTF-8 ----------------------------------------------------------------------------------- */

static void utf8_is_read_with_surrogates_and_strictly_else(void **state)
{
    static const struct {
        djs_bytes_t text;
        int used;
        apr_uint32_t code_point;
        const char *why;
    } cases[] = {
        { LITERAL(""), 0, 0, "nothing" },
        { LITERAL("\0"), 1, 0, "NUL" },
        { LITERAL("a\x80"), 1, 'a', "ASCII, whatever follows" },
        { LITERAL("\x7f"), 1, 0x7f, "the last of one byte" },
        { LITERAL("\xc2\x80"), 2, 0x80, "the first of two" },
        { LITERAL("\xdf\xbf"), 2, 0x7ff, "the last of two" },
        { LITERAL("\xe0\xa0\x80"), 3, 0x800, "the first of three" },
        { LITERAL("\xef\xbf\xbf"), 3, 0xffff, "the last of three" },
        { LITERAL("\xed\xa0\x80"), 3, 0xd800, "a high surrogate" },
        { LITERAL("\xed\xbf\xbf"), 3, 0xdfff, "a low surrogate" },
        { LITERAL("\xf0\x90\x80\x80"), 4, 0x10000, "the first of four" },
        { LITERAL("\xf4\x8f\xbf\xbf"), 4, 0x10ffff, "the last of all" },
        { LITERAL("\xf4\x90\x80\x80"), 0, 0, "beyond the last" },
        { LITERAL("\xf8\x88\x80\x80\x80"), 0, 0, "five bytes" },
        { LITERAL("\xff"), 0, 0, "no first byte" },
        { LITERAL("\x80"), 0, 0, "a later byte first" },
        { LITERAL("\xc0\x80"), 0, 0, "NUL in two bytes" },
        { LITERAL("\xc1\xbf"), 0, 0, "ASCII in two bytes" },
        { LITERAL("\xe0\x9f\xbf"), 0, 0, "two as three" },
        { LITERAL("\xf0\x8f\xbf\xbf"), 0, 0, "three as four" },
        { LITERAL("\xc3"), 0, 0, "cut short" },
        { LITERAL("\xe2\x82"), 0, 0, "three cut short" },
        { LITERAL("\xf0\x9f\x98"), 0, 0, "four cut short" },
        { LITERAL("\xe2\x28\xa1"), 0, 0, "a second byte of ASCII" },
        { LITERAL("\xe2\x82\x28"), 0, 0, "a third byte of ASCII" },
    };
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        apr_uint32_t code_point = 0;
        char put[4];

        assert_number(djs_utf8_next(cases[i].text, &code_point), cases[i].used, cases[i].why);
        assert_number(code_point, cases[i].code_point, cases[i].why);
        if (cases[i].used > 0) {
            assert_number(djs_utf8_put(code_point, put), cases[i].used, cases[i].why);
            assert_memory_equal(put, cases[i].text.data, (size_t)cases[i].used);
        }
    }
}

static void valid_utf8_has_no_surrogates(void **state)
{
    static const struct {
        djs_bytes_t text;
        int valid, passable;
        const char *why;
    } cases[] = {
        { LITERAL(""), 1, 1, "nothing" },
        { LITERAL("a\0\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), 1, 1, "one to four bytes" },
        { LITERAL("a\xed\xa0\x80"), 0, 1, "a surrogate" },
        { LITERAL("a\xed\xa0\xbd\xed\xb8\x80"), 0, 1, "a pair of surrogates (CESU-8)" },
        { LITERAL("a\xc3"), 0, 0, "cut short at the end" },
        { LITERAL("\xe9t\xe9"), 0, 0, "latin-1" },
    };
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        assert_number(djs_utf8_is_valid(cases[i].text), cases[i].valid, cases[i].why);
        assert_number(djs_utf8_is_passable(cases[i].text), cases[i].passable, cases[i].why);
    }
}

/* ASCII is looked at in words: what is none is seen wherever it stands in one, and behind one. */
static void utf8_is_checked_at_every_place(void **state)
{
    static const struct { const char *bytes; int valid; } pieces[] = {
        { "\xc3\xa9", 1 }, { "\xf0\x9f\x8d\x8e", 1 }, { "\xff", 0 }, { "\xc3", 0 },
        { "\xed\xa0\x80", 0 },
    };
    char text[40];
    apr_size_t i, before, after;

    (void)state;
    for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        apr_size_t len = strlen(pieces[i].bytes);

        for (before = 0; before < 18; before++) {
            for (after = 0; after < 18; after++) {
                memset(text, 'a', sizeof(text));
                memcpy(text + before, pieces[i].bytes, len);
                assert_number(djs_utf8_is_valid(djs_bytes_of(text, before + len + after)),
                              pieces[i].valid, pieces[i].bytes);
            }
        }
    }
}

static void every_code_point_survives_utf8(void **state)
{
    apr_uint32_t code_point, back;
    int wrong = 0;
    char put[4];

    for (code_point = 0; code_point <= 0x10ffff; code_point++) {
        int len = djs_utf8_put(code_point, put);

        wrong += djs_utf8_next(djs_bytes_of(put, (apr_size_t)len), &back) != len ||
                 back != code_point;
    }
    assert_number(wrong, 0, "code points that did not come back");
}

/* ---- zlib ------------------------------------------------------------------------------------ */

static djs_bytes_t repeat(apr_pool_t *pool, char c, apr_size_t len)
{
    char *data = apr_palloc(pool, len + 1);

    memset(data, c, len);
    return djs_bytes_of(data, len);
}

static void any_bytes_survive_compression(void **state)
{
    static const apr_size_t lengths[] = { 0, 1, 2, 100, 1000, 40000, 300000 };
    test_t *test = *state;
    size_t i;

    chance_state = 78;
    for (i = 0; i < COUNT(lengths); i++) {
        djs_bytes_t noise = chance_bytes(lengths[i], NULL);
        djs_bytes_t text = chance_bytes(lengths[i], "aaaaab");
        djs_bytes_t packed, back;

        assert_status(test->ctx, djs_deflate(test->ctx, noise, &packed), APR_SUCCESS, "noise");
        assert_number(packed.data[0], 0x78, "zlib's header");
        assert_number((unsigned char)packed.data[1], 0x9c, "default level");
        assert_status(test->ctx, djs_inflate(test->ctx, packed, lengths[i], &back), APR_SUCCESS,
                      "exactly the limit");
        assert_bytes(back, noise, "noise");
        assert_status(test->ctx, djs_deflate(test->ctx, text, &packed), APR_SUCCESS, "text");
        assert_status(test->ctx, djs_inflate(test->ctx, packed, DJS_INFLATE_MAX, &back),
                      APR_SUCCESS, "text");
        assert_bytes(back, text, "text");
        give_back(noise);
        give_back(text);
    }
}

static void a_zlib_bomb_stops_at_the_limit(void **state)
{
    static const struct {
        apr_size_t unpacked, max;
        apr_status_t rv;
        const char *why;
    } cases[] = {
        { 5000,                5000,            APR_SUCCESS, "as large as allowed" },
        { 5000,                4999,            DJS_ELIMIT,  "one more" },
        { 5000,                0,               DJS_ELIMIT,  "nothing allowed" },
        { 0,                   0,               APR_SUCCESS, "nothing in it" },
        { DJS_INFLATE_MAX,     DJS_INFLATE_MAX, APR_SUCCESS, "the whole limit" },
        { DJS_INFLATE_MAX,     1000000,         DJS_ELIMIT,  "a thousand to one" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        djs_bytes_t data = repeat(test->pool, ' ', cases[i].unpacked);
        djs_bytes_t packed, back = djs_bytes("untouched");

        assert_status(test->ctx, djs_deflate(test->ctx, data, &packed), APR_SUCCESS, cases[i].why);
        assert_status(NULL, djs_inflate(test->ctx, packed, cases[i].max, &back), cases[i].rv,
                      cases[i].why);
        if (cases[i].rv == APR_SUCCESS) {
            assert_true(djs_bytes_equal(back, data));
        }
        else {
            assert_bytes(back, djs_bytes("untouched"), cases[i].why);
        }
    }
    assert_status(NULL, djs_deflate(test->ctx, repeat(test->pool, ' ', DJS_INFLATE_MAX + 1),
                                    &(djs_bytes_t){ NULL, 0 }), DJS_ELIMIT, "too much to compress");
}

static void damaged_zlib_is_refused_and_what_follows_it_ignored(void **state)
{
    test_t *test = *state;
    djs_bytes_t hello = djs_bytes("hello hello hello hello");
    djs_bytes_t packed, back;
    djs_bytes_t bare;
    char *damaged, *longer;
    apr_size_t len;

    assert_status(test->ctx, djs_deflate(test->ctx, hello, &packed), APR_SUCCESS, "hello");
    for (len = 0; len < packed.len; len++) {
        assert_status(NULL, djs_inflate(test->ctx, djs_bytes_of(packed.data, len), 1000, &back),
                      DJS_EFORMAT, "cut short");
    }
    damaged = apr_pmemdup(test->pool, packed.data, packed.len);
    damaged[packed.len - 1] ^= 1;
    assert_status(NULL, djs_inflate(test->ctx, djs_bytes_of(damaged, packed.len), 1000, &back),
                  DJS_EFORMAT, "a checksum that is wrong");
    assert_status(NULL, djs_inflate(test->ctx, djs_bytes("no zlib at all"), 1000, &back),
                  DJS_EFORMAT, "no zlib");
    assert_status(NULL, djs_inflate(test->ctx, djs_bytes("x\xbb\0\0\0\1"), 1000, &back),
                  DJS_EFORMAT, "one that needs a dictionary");
    bare = djs_bytes_of(packed.data + 2, packed.len - 6);
    assert_status(NULL, djs_inflate(test->ctx, bare, 1000, &back), DJS_EFORMAT,
                  "deflate without zlib's frame");
    djs_forget(test->ctx);
    longer = apr_pstrcat(test->pool, "0123456789012345678901234567890123456789", NULL);
    memcpy(longer, packed.data, packed.len);
    assert_status(test->ctx, djs_inflate(test->ctx, djs_bytes(longer), 1000, &back), APR_SUCCESS,
                  "something behind the stream");
    assert_bytes(back, hello, "something behind the stream");
}

/* ---- Hostile input --------------------------------------------------------------------------- */

/* gzip.compress(b"some text, some text", mtime=0) */
static const char gzip_text[] =
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x2b\xce\xcf\x4d\x55\x28"
    "\x49\xad\x28\xd1\x51\x28\x86\x31\x01\xf4\xba\x34\xea\x14\x00\x00\x00";

static void what_clients_compressed_is_unpacked_and_all_else_left_alone(void **state)
{
    test_t *test = *state;
    static const struct { djs_bytes_t data; const char *why; } plain[] = {
        { LITERAL(""), "nothing" },
        { LITERAL("x"), "less than a header" },
        { LITERAL("\x80\x04}\x94."), "a pickle" },
        { LITERAL("(dp0\n."), "a pickle of protocol 0" },
        { LITERAL("(S'a'\nt."), "one whose first bytes could be zlib's" },
        { LITERAL("{\"a\": 1}"), "JSON" },
        { LITERAL("12"), "an integer" },
        { LITERAL("x\x9c is no stream"), "zlib's header and nothing of zlib's" },
        { LITERAL("\x1f\x8b\x08 is no stream"), "the same of gzip" },
    };
    static const struct { djs_bytes_t data; const char *name; } foreign[] = {
        { LITERAL("\xfd\x37zXZ\0\0\x04"), "lzma" },
        { LITERAL("\x04\x22\x4d\x18\x68\x40"), "lz4" },
        { LITERAL("\x28\xb5\x2f\xfd\x20\x01"), "zstd" },
    };
    djs_bytes_t packed, back;
    size_t i;

    for (i = 0; i < COUNT(plain); i++) {
        djs_bytes_t stored = plain[i].data;

        assert_status(test->ctx, djs_unpack(test->ctx, stored, &back), APR_SUCCESS, plain[i].why);
        assert_bytes(back, stored, plain[i].why);
        assert_text(test->ctx->problem, NULL, plain[i].why);
    }
    assert_status(test->ctx, djs_deflate(test->ctx, djs_bytes("some text"), &packed), APR_SUCCESS,
                  "deflate");
    assert_status(test->ctx, djs_unpack(test->ctx, packed, &back), APR_SUCCESS, "zlib");
    assert_bytes(back, djs_bytes("some text"), "zlib");
    packed = djs_bytes_of(gzip_text, sizeof(gzip_text) - 1);
    assert_status(test->ctx, djs_unpack(test->ctx, packed, &back), APR_SUCCESS, "gzip");
    assert_bytes(back, djs_bytes("some text, some text"), "gzip");
    for (i = 0; i < COUNT(foreign); i++) {
        djs_forget(test->ctx);
        assert_status(test->ctx, djs_unpack(test->ctx, foreign[i].data, &back), DJS_EUNSUPPORTED,
                      foreign[i].name);
        assert_non_null(strstr(test->ctx->problem, foreign[i].name));
    }
}

/* Whether the stored value of a case is what its client's compressor makes: short ones are plain. */
static void check_compressed(test_t *test, const json_t *a_case, const char *client)
{
    int foreign = strstr(client, "lzma") != NULL || strstr(client, "lz4") != NULL;
    djs_bytes_t stored, back;
    apr_status_t rv;

    if (!vector_bytes(test->pool, a_case, "value", &stored)) {
        return;
    }
    djs_forget(test->ctx);
    rv = djs_unpack(test->ctx, stored, &back);
    if (foreign && rv != APR_SUCCESS) {
        assert_status(test->ctx, rv, DJS_EUNSUPPORTED, vector_name(test->pool, a_case));
        return;
    }
    assert_status(test->ctx, rv, APR_SUCCESS, vector_name(test->pool, a_case));
    assert_true(back.len > 0);
    assert_number(back.data[0], strstr(client, "json") != NULL ? '{' : '\x80',
                  vector_name(test->pool, a_case));
}

static void what_real_clients_compressed_is_unpacked(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "cache_values.json", 700);
    const json_t *a_case;
    int count = 0;
    size_t i;

    json_array_foreach(cases, i, a_case) {
        const char *client = vector_need(a_case, "client");

        if (strstr(client, "-zlib") != NULL || strstr(client, "-gzip") != NULL
            || strstr(client, "-lzma") != NULL || strstr(client, "-lz4") != NULL) {
            check_compressed(test, a_case, client);
            count++;
        }
    }
    assert_true(count > 100);
}

static void what_clients_compressed_unpacks_to_no_more_than_the_limit(void **state)
{
    test_t *test = *state;
    apr_size_t len = DJS_INFLATE_MAX + 1;
    uLongf packed_len = compressBound(len);
    char *packed = apr_palloc(test->pool, packed_len);
    djs_bytes_t back;

    assert_int_equal(compress((Bytef *)packed, &packed_len, apr_pcalloc(test->pool, len), len),
                     Z_OK);
    assert_status(test->ctx, djs_unpack(test->ctx, djs_bytes_of(packed, packed_len), &back),
                  DJS_ELIMIT, "a bomb");
    assert_non_null(strstr(test->ctx->problem, "unpacks to more than"));
}

static void no_decoder_breaks_on_random_bytes(void **state)
{
    static const char *const alphabets[] = {
        NULL, "AZaz09+/-_=", "A=\n.", "%0aG", "\xe2\x82\xf0\x9f"
    };
    test_t *test = *state;
    unsigned int round;

    chance_state = 20250101;
    for (round = 0; round < 20000; round++) {
        djs_bytes_t bytes = chance_bytes(chance(40), alphabets[round % COUNT(alphabets)]);
        apr_pool_t *pool;
        djs_ctx_t *ctx;
        djs_bytes_t data;
        apr_int64_t number;
        apr_uint32_t code_point;
        apr_status_t rv;

        apr_pool_create(&pool, test->pool);
        ctx = test_ctx(pool);
        rv = djs_base64_decode(ctx, DJS_BASE64_URL, bytes, &data);
        assert_true(rv == APR_SUCCESS ? data.len <= bytes.len : rv == DJS_EFORMAT);
        rv = djs_base64_decode(ctx, DJS_BASE64_STANDARD, bytes, &data);
        assert_true(rv == APR_SUCCESS ? data.len <= bytes.len : rv == DJS_EFORMAT);
        rv = djs_base62_decode(ctx, bytes, &number);
        assert_true(rv == APR_SUCCESS || rv == DJS_EFORMAT || rv == DJS_ELIMIT);
        rv = djs_percent_decode(ctx, bytes, &data);
        assert_true(rv == APR_SUCCESS ? data.len <= bytes.len : rv == DJS_EFORMAT);
        rv = djs_inflate(ctx, bytes, 10000, &data);
        assert_true(rv == APR_SUCCESS || rv == DJS_EFORMAT || rv == DJS_ELIMIT);
        assert_in_range(djs_utf8_next(bytes, &code_point), 0, bytes.len);
        assert_in_range(djs_utf8_is_valid(bytes), 0, 1);
        assert_number(strlen(djs_hex(pool, bytes)), 2 * bytes.len, "hex");
        apr_pool_destroy(pool);
        give_back(bytes);
    }
}

static void no_damaged_stream_breaks_the_inflater(void **state)
{
    test_t *test = *state;
    unsigned int round;

    chance_state = 9;
    for (round = 0; round < 3000; round++) {
        djs_bytes_t text = chance_bytes(200, "abcab");
        djs_bytes_t packed, back;
        apr_pool_t *pool;
        djs_ctx_t *ctx;
        apr_status_t rv;

        apr_pool_create(&pool, test->pool);
        ctx = test_ctx(pool);
        assert_status(ctx, djs_deflate(ctx, text, &packed), APR_SUCCESS, "text");
        ((char *)packed.data)[chance((unsigned int)packed.len)] ^= (char)(1 << chance(8));
        rv = djs_inflate(ctx, packed, 1000, &back);
        /* Adler-32 does not see every change, so it may succeed. */
        assert_true(rv == APR_SUCCESS ? back.len <= 1000
                                      : rv == DJS_EFORMAT || rv == DJS_ELIMIT);
        apr_pool_destroy(pool);
        give_back(text);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(base64_is_written_as_python_writes_it),
        TEST(base64_is_read_as_leniently_as_python_reads_it),
        TEST(base64_of_any_bytes_reads_back),
        TEST(base62_vectors_hold_in_both_directions),
        TEST(base62_beyond_64_bits_is_the_nearest_that_fits),
        TEST(hex_is_lower_case),
        TEST(percent_signs_decode_to_bytes),
        TEST(what_is_not_printable_is_percent_encoded),
        TEST(quote_is_pythons),
        TEST(any_bytes_survive_percent_encoding),
        TEST(utf8_is_read_with_surrogates_and_strictly_else),
        TEST(valid_utf8_has_no_surrogates),
        TEST(utf8_is_checked_at_every_place),
        TEST(every_code_point_survives_utf8),
        TEST(any_bytes_survive_compression),
        TEST(a_zlib_bomb_stops_at_the_limit),
        TEST(damaged_zlib_is_refused_and_what_follows_it_ignored),
        TEST(what_clients_compressed_is_unpacked_and_all_else_left_alone),
        TEST(what_real_clients_compressed_is_unpacked),
        TEST(what_clients_compressed_unpacks_to_no_more_than_the_limit),
        TEST(no_decoder_breaks_on_random_bytes),
        TEST(no_damaged_stream_breaks_the_inflater),
    };

    return RUN_TESTS(tests);
}
