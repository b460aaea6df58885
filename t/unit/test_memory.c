/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What reading may take: JSON and stored sessions, counted. (Pickles: test_pickle_read.c. The fuzz
 * targets count, too, whatever comes.)
 */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "encode.h"
#include "json.h"
#include "measure.h"
#include "pickle.h"
#include "seal.h"
#include "wire.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* before, part so many times, behind. */
static djs_bytes_t repeated(apr_pool_t *pool, const char *before, const char *part,
                            apr_size_t times, const char *behind)
{
    const apr_size_t part_len = strlen(part);
    char *text = apr_palloc(pool, strlen(before) + part_len * times + strlen(behind) + 1);
    char *out = apr_cpystrn(text, before, strlen(before) + 1);
    apr_size_t i;

    for (i = 0; i < times; i++, out += part_len) {
        memcpy(out, part, part_len);
    }
    return djs_bytes_of(text, (apr_size_t)(apr_cpystrn(out, behind, strlen(behind) + 1) - text));
}

static void assert_within(apr_size_t taken, apr_size_t most, const char *why)
{
    if (taken > most) {
        fail_msg("%s: %lu bytes, allowed are %lu", why, (unsigned long)taken, (unsigned long)most);
    }
}

/* ---- The measure ----------------------------------------------------------------------------- */

static void take_a_million(djs_ctx_t *ctx, djs_bytes_t bytes, void *baton)
{
    apr_pool_t *below;
    int i;

    apr_pool_create(&below, ctx->pool);
    for (i = 0; i < 100; i++) {
        memset(apr_palloc(i % 2 == 0 ? below : ctx->pool, 10000), i, 10000);
    }
    apr_pool_destroy(below);
    *(int *)baton = (int)bytes.len;
}

static void what_a_pool_takes_is_counted(void **state)
{
    apr_size_t taken;
    int seen = 0;

    (void)state;
    taken = measure_memory(take_a_million, djs_bytes("bytes"), &seen);
    assert_number(seen, 5, "it has run");
    assert_true(taken >= 1000000);
    assert_within(taken, 1400000, "a million bytes, and what APR rounds up");
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void load_json(djs_ctx_t *ctx, djs_bytes_t text, void *baton)
{
    djs_value_t *value;
    apr_status_t rv = djs_json_loads(ctx, DJS_JSON_LATIN1, text, &value);

    if (rv == APR_SUCCESS) {
        look_everywhere(value);
    }
    *(apr_status_t *)baton = rv;
}

static apr_status_t load_json_measured(djs_bytes_t text, const char *why)
{
    apr_status_t rv = APR_EGENERAL;
    apr_size_t taken = measure_memory(load_json, text, &rv);

    assert_within(taken, DJS_JSON_MEMORY_FACTOR * text.len + DJS_JSON_MEMORY_BASE, why);
    return rv;
}

static void json_takes_a_fixed_multiple_of_its_text(void **state)
{
    static const struct {
        const char *before, *part;
        apr_size_t times;
        const char *behind;
        apr_status_t rv;
        const char *why;
    } rows[] = {
        { "[", "0,", 20000, "0]", APR_SUCCESS, "a value in two bytes" },
        { "[", "[],", 10000, "0]", APR_SUCCESS, "empty lists" },
        { "[", "{},", 10000, "0]", APR_SUCCESS, "empty dicts" },
        { "[", "\"\",", 10000, "0]", APR_SUCCESS, "empty texts" },
        { "[", "[0],", 8300, "0]", APR_SUCCESS, "just more tokens than a power of two" },
        { "[", "[0,0],", 10000, "0]", APR_SUCCESS, "short lists" },
        { "[", "{\"\":0},", 10000, "0]", APR_SUCCESS, "dicts of one" },
        { "[", "{\"\":0,\"\":0},", 5000, "0]", APR_SUCCESS, "the same name twice" },
        { "[", "{\"\":{}},", 5000, "0]", APR_SUCCESS, "dicts in dicts" },
        { "[", "\"\xe4\",", 10000, "0]", APR_SUCCESS, "texts that grow as UTF-8" },
        { "[", "\"\\u0001\",", 5000, "0]", APR_SUCCESS, "escapes" },
        { "[", "1e1,", 5000, "0]", APR_SUCCESS, "floats" },
        { "{\"\":0", ",\"\":0", 5000, "}", APR_SUCCESS, "one name again and again" },
        { "[", "[", DJS_JSON_DEPTH_MAX - 1, "", DJS_EFORMAT, "never closed" },
        { "", "[", 10000, "", DJS_ELIMIT, "too deep" },
        { "[", "0,", 20000, "", DJS_EFORMAT, "cut off" },
        { "\"", "\xe4", 40000, "\"", APR_SUCCESS, "one long text" },
        { "", "9", DJS_INT_DIGITS_MAX, "", APR_SUCCESS, "one long number" },
        { "", "9", 40000, "", DJS_ELIMIT, "a longer one" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(rows); i++) {
        djs_bytes_t text = repeated(test->pool, rows[i].before, rows[i].part, rows[i].times,
                                    rows[i].behind);

        assert_status(NULL, load_json_measured(text, rows[i].why), rows[i].rv, rows[i].why);
    }
}

static void json_of_the_vectors_takes_a_fixed_multiple_of_its_text(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "json_text.json", 200);
    const json_t *a_case;
    size_t i;

    json_array_foreach(cases, i, a_case) {
        const char *name = vector_name(test->pool, a_case);
        djs_bytes_t text;

        assert_true(vector_bytes(test->pool, a_case, "text", &text));
        (void)load_json_measured(text, name);
    }
}

static void check_json(djs_ctx_t *ctx, djs_bytes_t text, void *baton)
{
    djs_value_t *value;

    *(apr_status_t *)baton = djs_json_loads(ctx, DJS_JSON_LATIN1, text, &value);
}

/*
 * Into what nobody looks: a token of 16 bytes for each value, in pieces of which each is as long as all
 * before it and one more. None is copied into a longer one.
 */
static void json_that_nobody_looks_into_takes_32_bytes_for_a_value(void **state)
{
    static const apr_size_t counts[] = { 130, 1000, 20000, 65500, 66000, 300000 };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(counts); i++) {
        djs_bytes_t text = repeated(test->pool, "[", "0,", counts[i] - 1, "0]");
        apr_status_t rv = APR_EGENERAL;
        apr_size_t taken = measure_memory(check_json, text, &rv);

        assert_status(NULL, rv, APR_SUCCESS, "a list");
        assert_within(taken, 32 * counts[i] + 65536, "tokens");
    }
}

/* ---- Stored sessions ------------------------------------------------------------------------- */

static void read_stored(djs_ctx_t *ctx, djs_bytes_t stored, void *baton)
{
    const djs_wire_t *const *wire = baton;
    djs_value_t *value;

    if (djs_wire_inspect(ctx, *wire, stored, &value, NULL) == APR_SUCCESS) {
        look_everywhere(value);
    }
}

static const struct {
    djs_wire_layout_t layout;
    int pickled, packs; /* packs: compressed by djs_deflate() */
    const char *name;
} layouts[] = {
    { DJS_WIRE_SIGNED, 0, 0, "signed, JSON" },
    { DJS_WIRE_SIGNED, 1, 0, "signed, pickle" },
    { DJS_WIRE_LEGACY, 0, 0, "legacy, JSON" },
    { DJS_WIRE_COOKIE, 0, 0, "cookie, JSON" },
    { DJS_WIRE_SEALED, 0, 0, "sealed, JSON" },
    { DJS_WIRE_SEALED, 1, 0, "sealed, pickle" },
    { DJS_WIRE_JSON, 0, 0, "JSON" },
    { DJS_WIRE_DJANGO_REDIS_JSON, 0, 1, "django-redis, JSON" },
    { DJS_WIRE_PICKLE, 1, 0, "pickle" },
    { DJS_WIRE_DJANGO_REDIS, 1, 1, "django-redis, pickle" },
};

static const djs_wire_t *wire_of(test_t *test, size_t i)
{
    djs_keyring_t *keys = djs_keyring_make(test->pool, djs_bytes("key"), NULL, 0);

    return layouts[i].pickled ? djs_wire_make_pickled(test->pool, keys, layouts[i].layout, NULL)
                              : djs_wire_make(test->pool, keys, layouts[i].layout, NULL);
}

/* A value of which both serializers make much out of little. */
static djs_value_t *costly(test_t *test)
{
    djs_bytes_t text = repeated(test->pool, "{\"k\":[", "{\"\":0},[0],0,", 1500, "0]}");
    djs_value_t *value = NULL;

    assert_status(test->ctx, djs_json_loads(test->ctx, DJS_JSON_UTF8, text, &value), APR_SUCCESS,
                  "a large value");
    return value;
}

static void a_stored_session_takes_a_fixed_multiple_of_what_is_inside(void **state)
{
    test_t *test = *state;
    djs_value_t *value = costly(test);
    djs_bytes_t json = djs_json_dumps(test->ctx, DJS_JSON_SPACED, value);
    djs_bytes_t pickle, stored;
    apr_size_t inside;
    size_t i;

    assert_status(test->ctx, djs_pickle_dumps(test->ctx, DJS_PICKLE_PROTOCOL, value, &pickle),
                  APR_SUCCESS, "as a pickle");
    for (i = 0; i < COUNT(layouts); i++) {
        const djs_wire_t *wire = wire_of(test, i);

        inside = layouts[i].pickled ? pickle.len : json.len;
        assert_status(test->ctx, djs_wire_write(test->ctx, wire, value, &stored), APR_SUCCESS,
                      layouts[i].name);
        if (layouts[i].packs) {
            assert_status(test->ctx, djs_deflate(test->ctx, stored, &stored), APR_SUCCESS, "zlib");
        }
        assert_within(measure_memory(read_stored, stored, &wire),
                      DJS_WIRE_MEMORY_FACTOR * (stored.len + inside) + DJS_WIRE_MEMORY_BASE,
                      layouts[i].name);
    }
}

/* A thousand times as much as it is long, and genuine. */
#define INSIDE (256 * 1024)

static djs_bytes_t bomb(test_t *test, size_t i)
{
    djs_bytes_t zeros = djs_bytes_of(apr_pcalloc(test->pool, INSIDE), INSIDE);
    djs_keyring_t *keys = djs_keyring_make(test->pool, djs_bytes("key"), NULL, 0);
    const char *salt = layouts[i].layout == DJS_WIRE_COOKIE ? DJS_SALT_SIGNED_COOKIES
                                                            : DJS_SALT_SESSION_STORE;
    djs_bytes_t made;
    apr_status_t rv;

    if (layouts[i].layout == DJS_WIRE_SEALED) {
        rv = djs_seal_dumps(test->ctx, djs_sealer_make(test->pool, keys), "", zeros, &made);
    }
    else if (layouts[i].packs) {
        rv = djs_deflate(test->ctx, zeros, &made);
    }
    else {
        rv = djs_signing_dumps(test->ctx, djs_signer_make(test->pool, keys, salt,
                                                          DJS_SIGNING_SHA256),
                               DJS_COMPRESS_SMALL, zeros, &made);
    }
    assert_status(test->ctx, rv, APR_SUCCESS, layouts[i].name);
    assert_true(made.len < INSIDE / 500);
    return made;
}

/* It grows by doubling, and what it grew from stays in the pool. */
static void a_bomb_takes_no_more_than_four_times_what_is_inside(void **state)
{
    static const djs_wire_layout_t packed[] = {
        DJS_WIRE_SIGNED, DJS_WIRE_COOKIE, DJS_WIRE_SEALED, DJS_WIRE_DJANGO_REDIS_JSON,
        DJS_WIRE_DJANGO_REDIS
    };
    test_t *test = *state;
    size_t i, at;

    for (i = 0; i < COUNT(layouts); i++) {
        for (at = 0; at < COUNT(packed) && packed[at] != layouts[i].layout; at++) {
        }
        if (at < COUNT(packed)) {
            const djs_wire_t *wire = wire_of(test, i);

            assert_within(measure_memory(read_stored, bomb(test, i), &wire),
                          4 * INSIDE + 131072, layouts[i].name);
        }
    }
}

/* Lines as sessions have them: alike, and with something of their own. */
static djs_bytes_t lines(test_t *test, apr_size_t count)
{
    char *text = apr_palloc(test->pool, count * 128), *out = text;
    apr_uint32_t chance = 1;
    apr_size_t i;

    for (i = 0; i < count; i++) {
        chance = chance * 1664525u + 1013904223u;
        out += apr_snprintf(out, 128, "{\"sku\":\"%08x-ABC\",\"title\":\"a large green chair\","
                            "\"n\":%u,\"seen\":\"2025-01-%02uT12:%02u:00Z\"},", chance, chance >> 16,
                            (chance >> 24) % 28 + 1, (chance >> 8) % 60);
    }
    return djs_bytes_of(text, (apr_size_t)(out - text));
}

static void inflate_it(djs_ctx_t *ctx, djs_bytes_t packed, void *baton)
{
    djs_bytes_t *text = baton, back = { NULL, 0 };

    assert_status(ctx, djs_inflate(ctx, packed, DJS_INFLATE_MAX, &back), APR_SUCCESS, "inflate");
    assert_true(djs_bytes_equal(back, *text));
}

/* No smaller room first, out of which it is copied. */
static void a_long_session_is_inflated_into_one_room(void **state)
{
    test_t *test = *state;
    djs_bytes_t text = lines(test, 10000), packed;

    assert_status(test->ctx, djs_deflate(test->ctx, text, &packed), APR_SUCCESS, "zlib");
    assert_true(text.len > 4 * packed.len && text.len < 8 * packed.len);
    assert_within(measure_memory(inflate_it, packed, &text), 8 * packed.len + 131072, "one room");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(what_a_pool_takes_is_counted),
        TEST(json_takes_a_fixed_multiple_of_its_text),
        TEST(json_of_the_vectors_takes_a_fixed_multiple_of_its_text),
        TEST(json_that_nobody_looks_into_takes_32_bytes_for_a_value),
        TEST(a_stored_session_takes_a_fixed_multiple_of_what_is_inside),
        TEST(a_bomb_takes_no_more_than_four_times_what_is_inside),
        TEST(a_long_session_is_inflated_into_one_room),
    };

    return RUN_TESTS(tests);
}
