/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of values: dictionaries, numbers and truth as Python has them.
 * Expected results are Python 3.11's.
 */
#include "support.h"

#include <string.h>

#include "json.h"
#include "value.h"

static djs_value_t *read_json(test_t *test, const char *json)
{
    djs_value_t *value = NULL;

    assert_status(test->ctx, djs_json_loads(test->ctx, DJS_JSON_UTF8, djs_bytes(json), &value),
                  APR_SUCCESS, json);
    return value;
}

static const char *write_json(test_t *test, const djs_value_t *value)
{
    return djs_json_dumps(test->ctx, DJS_JSON_COMPACT, value).data;
}

static void set_int(test_t *test, djs_value_t *dict, const char *key, int number)
{
    djs_value_set(dict, djs_bytes(key), djs_value_make_int(test->pool, number));
}

/* ---- dictionaries ---- */

static void a_dict_keeps_the_order_of_insertion(void **state)
{
    test_t *test = *state;
    djs_value_t *dict = djs_value_make_dict(test->pool);

    set_int(test, dict, "b", 1);
    set_int(test, dict, "a", 2);
    set_int(test, dict, "", 3);
    assert_text(write_json(test, dict), "{\"b\":1,\"a\":2,\"\":3}", "as they came");
    set_int(test, dict, "b", 4);
    assert_text(write_json(test, dict), "{\"b\":4,\"a\":2,\"\":3}", "set again: in its place");
    assert_int_equal(djs_value_delete(dict, djs_bytes("b")), 1);
    assert_int_equal(djs_value_delete(dict, djs_bytes("b")), 0);
    assert_null(djs_value_get(dict, djs_bytes("b")));
    assert_int_equal(djs_value_len(dict), 2);
    set_int(test, dict, "b", 5);
    assert_text(write_json(test, dict), "{\"a\":2,\"\":3,\"b\":5}", "deleted and set: at the end");
    djs_value_clear(dict);
    assert_text(write_json(test, dict), "{}", "cleared");
    set_int(test, dict, "c", 6);
    assert_text(write_json(test, dict), "{\"c\":6}", "usable again");
}

static void keys_are_copied_and_may_hold_anything(void **state)
{
    test_t *test = *state;
    djs_value_t *dict = djs_value_make_dict(test->pool);
    char key[] = "a\0b";

    djs_value_set(dict, djs_bytes_of(key, 3), djs_value_make_int(test->pool, 1));
    set_int(test, dict, "a", 2);
    set_int(test, dict, "A", 3);
    key[0] = 'x';
    assert_text(write_json(test, dict), "{\"a\\u0000b\":1,\"a\":2,\"A\":3}", "three keys");
    assert_non_null(djs_value_get(dict, djs_bytes_of("a\0b", 3)));
    assert_null(djs_value_get(dict, djs_bytes_of("a\0", 2)));
}

static apr_uint32_t next_random(apr_uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Few enough letters for many common beginnings, with NUL, and no bound on how alike they are. */
static djs_bytes_t some_key(apr_uint32_t *seed, char *room)
{
    apr_size_t len = next_random(seed) % 6, i;

    for (i = 0; i < len; i++) {
        room[i] = "a\0b\xff"[next_random(seed) % 4];
    }
    return djs_bytes_of(room, len);
}

/* The plainest dictionary that there can be. */
typedef struct model_t {
    djs_bytes_t keys[2000];
    int values[2000];
    int count;
} model_t;

static int model_find(const model_t *model, djs_bytes_t key)
{
    int i;

    for (i = 0; i < model->count && !djs_bytes_equal(model->keys[i], key); i++) {
    }
    return i;
}

static void model_delete(model_t *model, int at)
{
    model->count--;
    memmove(model->keys + at, model->keys + at + 1,
            (size_t)(model->count - at) * sizeof(model->keys[0]));
    memmove(model->values + at, model->values + at + 1,
            (size_t)(model->count - at) * sizeof(model->values[0]));
}

static void assert_like_model(const djs_value_t *dict, const model_t *model)
{
    djs_value_t *value;
    djs_bytes_t key;
    apr_int64_t number;
    int i;

    assert_int_equal(djs_value_len(dict), model->count);
    for (i = 0; djs_value_member(dict, (apr_size_t)i, &key, &value); i++) {
        assert_true(i < model->count);
        assert_bytes(key, model->keys[i], "the key at this place");
        assert_int_equal(djs_value_int64(value, &number), 1);
        assert_number(number, model->values[i], "its value");
    }
    assert_int_equal(i, model->count);
}

static void a_large_dict_is_like_a_plain_one(void **state)
{
    test_t *test = *state;
    djs_value_t *dict = djs_value_make_dict(test->pool);
    model_t *model = apr_pcalloc(test->pool, sizeof(*model));
    apr_uint32_t seed = 20250101;
    char room[8];
    int step;

    for (step = 0; step < 20000; step++) {
        djs_bytes_t key = some_key(&seed, room);
        int at = model_find(model, key);
        int there = at < model->count;
        /* Growing for a while, then shrinking, so that it is small, too. */
        int deletes = next_random(&seed) % 10 < (step / 2000 % 2 == 0 ? 3u : 8u);

        assert_int_equal(djs_value_get(dict, key) != NULL, there);
        if (deletes) {
            assert_int_equal(djs_value_delete(dict, key), there);
            if (there) {
                model_delete(model, at);
            }
            continue;
        }
        djs_value_set(dict, key, djs_value_make_int(test->pool, step));
        model->values[at] = step;
        if (!there) {
            model->keys[at] = djs_bytes_copy(test->pool, key);
            model->count++;
        }
        if (step % 500 == 0) {
            assert_like_model(dict, model);
        }
    }
    assert_like_model(dict, model);
}

/* Were any of this quadratic, it would not end within a minute. */
static void many_keys_take_no_more_time_each(void **state)
{
    test_t *test = *state;
    djs_value_t *dict = djs_value_make_dict(test->pool);
    djs_value_t *value = djs_value_make_null(test->pool);
    char key[16];
    int round, i;

    for (round = 0; round < 2; round++) {
        for (i = 0; i < 200000; i++) {
            apr_snprintf(key, sizeof(key), "key%d", i);
            djs_value_delete(dict, djs_bytes(key));
            djs_value_set(dict, djs_bytes(key), value);
        }
    }
    assert_int_equal(djs_value_len(dict), 200000);
}

static void a_shallow_copy_shares_items_and_nothing_else(void **state)
{
    static const char *const texts[] = { "{\"a\":[1],\"b\":2}", "[[1],2]", "{}", "[]" };
    test_t *test = *state;
    djs_value_t *inner = djs_value_make_int(test->pool, 9);
    size_t i;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        djs_value_t *original = read_json(test, texts[i]);
        djs_value_t *copy = djs_value_copy_shallow(test->pool, original);

        assert_text(write_json(test, copy), texts[i], "a copy");
        if (djs_value_type(copy) == DJS_TYPE_DICT) {
            assert_ptr_equal(djs_value_get(copy, djs_bytes("a")),
                             djs_value_get(original, djs_bytes("a")));
            djs_value_set(copy, djs_bytes("z"), inner);
            djs_value_delete(copy, djs_bytes("b"));
        }
        else {
            assert_ptr_equal(djs_value_at(copy, 0), djs_value_at(original, 0));
            djs_value_append(copy, inner);
        }
        assert_text(write_json(test, original), texts[i], "the original, after the copy's change");
    }
}

static void what_is_changed_deep_inside_is_written(void **state)
{
    test_t *test = *state;
    djs_value_t *value = read_json(test, "{\"a\":[{\"b\":1}],\"c\":{\"d\":2}}");
    djs_value_t *b = djs_value_at(djs_value_get(value, djs_bytes("a")), 0);

    djs_value_set(b, djs_bytes("b"), djs_value_make_null(test->pool));
    assert_text(write_json(test, value), "{\"a\":[{\"b\":null}],\"c\":{\"d\":2}}",
                "not the text that was read");
}

/* ---- numbers ---- */

static void integers_fit_64_bits_or_do_not(void **state)
{
    static const struct { const char *digits; int fits; apr_int64_t number; } cases[] = {
        { "0", 1, 0 },
        { "-1", 1, -1 },
        { "9223372036854775807", 1, APR_INT64_MAX },
        { "9223372036854775808", 0, 0 },
        { "-9223372036854775808", 1, APR_INT64_MIN },
        { "-9223372036854775809", 0, 0 },
        { "10000000000000000000", 0, 0 },
        { "18446744073709551616", 0, 0 },
        { "-99999999999999999999", 0, 0 },
        { "123456789012345678901234567890", 0, 0 },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_value_t *made = djs_value_make_wide_int(test->pool, djs_bytes(cases[i].digits));
        djs_value_t *read = read_json(test, cases[i].digits);
        apr_int64_t number = 0;

        assert_number(djs_value_int64(made, &number), cases[i].fits, cases[i].digits);
        assert_number(number, cases[i].number, cases[i].digits);
        assert_number(djs_value_int64(read, &number), cases[i].fits, cases[i].digits);
        assert_bytes(djs_value_int_digits(made, test->pool), djs_bytes(cases[i].digits), "made");
        assert_bytes(djs_value_int_digits(read, test->pool), djs_bytes(cases[i].digits), "read");
    }
    assert_bytes(djs_value_int_digits(djs_value_make_int(test->pool, APR_INT64_MIN), test->pool),
                 djs_bytes("-9223372036854775808"), "made of a number");
}

/* ---- truth and equality ---- */

static void truth_is_pythons(void **state)
{
    static const char *const truthy[] = { "true", "1", "-1", "0.1", "NaN", "\"0\"", "\"\\u0000\"",
                                          "[0]", "{\"\":null}", "18446744073709551616" };
    static const char *const falsy[] = { "null", "false", "0", "-0", "0.0", "-0.0", "\"\"", "[]",
                                         "{}" };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(truthy) / sizeof(truthy[0]); i++) {
        assert_number(djs_value_truthy(read_json(test, truthy[i])), 1, truthy[i]);
    }
    for (i = 0; i < sizeof(falsy) / sizeof(falsy[0]); i++) {
        assert_number(djs_value_truthy(read_json(test, falsy[i])), 0, falsy[i]);
    }
}

static void types_have_pythons_names(void **state)
{
    static const struct { const char *json, *name; } cases[] = {
        { "null", "NoneType" }, { "true", "bool" }, { "1", "int" }, { "1e5", "float" },
        { "NaN", "float" }, { "\"\"", "str" }, { "[]", "list" }, { "{}", "dict" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_text(djs_value_type_name(read_json(test, cases[i].json)), cases[i].name,
                    cases[i].json);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_dict_keeps_the_order_of_insertion),
        TEST(keys_are_copied_and_may_hold_anything),
        TEST(a_large_dict_is_like_a_plain_one),
        TEST(many_keys_take_no_more_time_each),
        TEST(a_shallow_copy_shares_items_and_nothing_else),
        TEST(what_is_changed_deep_inside_is_written),
        TEST(integers_fit_64_bits_or_do_not),
        TEST(truth_is_pythons),
        TEST(types_have_pythons_names),
    };

    return RUN_TESTS(tests);
}
