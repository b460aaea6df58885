/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading pickles: what Python wrote, what must be refused, and how much memory either may take.
 */
#include "support.h"

#include <string.h>

#include "json.h"
#include "measure.h"
#include "pickle.h"
#include "tagged.h"

/* Reading one and looking into all of it: its status. */
static void load(djs_ctx_t *ctx, djs_bytes_t pickle, void *baton)
{
    djs_value_t *value = NULL;
    apr_status_t rv = djs_pickle_loads(ctx, pickle, &value);

    assert_true((rv == APR_SUCCESS) == (value != NULL));
    assert_true((rv == APR_SUCCESS) == (ctx->problem == NULL));
    if (rv == APR_SUCCESS) {
        look_everywhere(value);
    }
    *(apr_status_t *)baton = rv;
}

static apr_status_t load_measured(djs_bytes_t pickle, const char *why)
{
    const size_t most = DJS_PICKLE_MEMORY_FACTOR * pickle.len + DJS_PICKLE_MEMORY_BASE;
    apr_status_t rv = APR_EGENERAL;
    const size_t taken = measure_memory(load, pickle, &rv);

    if (taken > most) {
        fail_msg("%s: %lu bytes for a pickle of %lu", why, (unsigned long)taken,
                 (unsigned long)pickle.len);
    }
    return rv;
}

/* Before protocol 4 Python does not write which of two equal local times it was. */
static const char *as_written(apr_pool_t *pool, const json_t *a_case, const char *tagged)
{
    const json_t *protocol = json_object_get(a_case, "protocol");
    char *text = apr_pstrdup(pool, tagged), *fold;

    if (json_is_integer(protocol) && json_integer_value(protocol) < 4) {
        while ((fold = strstr(text, "\"fold\":1")) != NULL) {
            fold[strlen("\"fold\":")] = '0';
        }
    }
    return text;
}

static void every_pickle_of_the_vectors_is_read(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "pickles.json", 908);
    const json_t *a_case;
    size_t i;

    json_array_foreach(cases, i, a_case) {
        const char *why = vector_name(test->pool, a_case);
        const char *json = vector_text(a_case, "json"), *tagged = vector_text(a_case, "tagged");
        apr_status_t rv;
        djs_value_t *value;
        djs_bytes_t text;

        (void)load_measured(tagged_pickle(test->ctx, a_case), why);
        rv = djs_pickle_loads(test->ctx, tagged_pickle(test->ctx, a_case), &value);
        if (tagged == NULL) { /* Python refuses it, too */
            assert_status(test->ctx, rv, DJS_EUNSUPPORTED, why);
            djs_forget(test->ctx);
            vector_done(a_case);
            continue;
        }
        assert_status(test->ctx, rv, APR_SUCCESS, why);
        assert_text(tagged_text(test->pool, value), as_written(test->pool, a_case, tagged), why);
        rv = djs_json_dumps_exactly(test->ctx, value, &text);
        assert_status(test->ctx, rv, json != NULL ? APR_SUCCESS : DJS_EUNSUPPORTED, why);
        if (json != NULL) {
            assert_text(text.data, json, why);
        }
        djs_forget(test->ctx);
        vector_done(a_case);
    }
}

static void every_bad_pickle_of_the_vectors_is_refused(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "pickles_bad.json", 522);
    const json_t *a_case;
    size_t i;

    json_array_foreach(cases, i, a_case) {
        const char *why = vector_name(test->pool, a_case);
        apr_status_t rv = load_measured(tagged_pickle(test->ctx, a_case), why);

        if (rv != DJS_EFORMAT && rv != DJS_EUNSUPPORTED && rv != DJS_ELIMIT) {
            assert_status(NULL, rv, DJS_EFORMAT, why);
        }
        vector_done(a_case);
    }
}

/* A row of patterns that cost more memory than most, repeated. */
static djs_bytes_t repeated(apr_pool_t *pool, const char *before, apr_size_t before_len,
                            const char *part, apr_size_t part_len, apr_size_t times,
                            const char *behind)
{
    const apr_size_t len = before_len + part_len * times + strlen(behind);
    char *bytes = apr_palloc(pool, len + 1), *out = bytes + before_len;
    apr_size_t i;

    memcpy(bytes, before, before_len);
    for (i = 0; i < times; i++, out += part_len) {
        memcpy(out, part, part_len);
    }
    memcpy(out, behind, strlen(behind) + 1);
    return djs_bytes_of(bytes, len);
}

#define BYTES(text) text, sizeof(text) - 1

static void memory_is_a_fixed_multiple_of_the_input(void **state)
{
    static const struct {
        const char *before; apr_size_t before_len;
        const char *part; apr_size_t part_len;
        apr_size_t times;
        const char *behind;
        apr_status_t rv;
        const char *why;
    } cases[] = {
        { BYTES("("), BYTES("]"), 200000, "l.", APR_SUCCESS, "empty lists" },
        { BYTES("("), BYTES("}"), 200000, "t.", APR_SUCCESS, "empty dicts" },
        { BYTES("("), BYTES("N\x85"), 200000, "l.", APR_SUCCESS, "tuples of one" },
        { BYTES("("), BYTES("(N\x91"), 100000, "l.", APR_SUCCESS, "frozensets of one" },
        { BYTES("("), BYTES("}NNs"), 100000, "l.", APR_SUCCESS, "dicts of one" },
        { BYTES("("), BYTES("]Na"), 100000, "l.", APR_SUCCESS, "lists of one" },
        { BYTES("("), BYTES("K\x01"), 200000, "l.", APR_SUCCESS, "small integers" },
        { BYTES("("), BYTES("U\x01z"), 200000, "l.", APR_SUCCESS, "short texts" },
        { BYTES("(]"), BYTES("2"), 400000, "l.", APR_SUCCESS, "the same again" },
        { BYTES("(N"), BYTES("\x94"), 400000, "l.", APR_SUCCESS, "the same number of the memo" },
        { BYTES("("), BYTES("("), 400000, ".", DJS_EFORMAT, "marks" },
        { BYTES("("), BYTES("]\x94"), 200000, "l.", APR_SUCCESS, "lists in the memo" },
        { BYTES("Np16384\n"), BYTES("0Nr\0\0\0\0"), 1000, ".", APR_SUCCESS, "a sparse memo" },
        { BYTES("]("), BYTES("]"), 200000, "e.", APR_SUCCESS, "empty lists, plain" },
        { BYTES("]("), BYTES("}"), 200000, "e.", APR_SUCCESS, "empty dicts, plain" },
        { BYTES("]("), BYTES("N\x85"), 200000, "e.", APR_SUCCESS, "tuples of one, plain" },
        { BYTES("]("), BYTES("}NNs"), 100000, "e.", APR_SUCCESS, "dicts of one, plain" },
        { BYTES("]("), BYTES("]Na"), 100000, "e.", APR_SUCCESS, "lists of one, plain" },
        { BYTES("]"), BYTES("Na"), 200000, ".", APR_SUCCESS, "one by one" },
        { BYTES("]("), BYTES("N"), 400000, "e.", APR_SUCCESS, "the same again, plain" },
        { BYTES("](]\x94"), BYTES("h\0"), 200000, "e.", APR_SUCCESS, "from the memo" },
        { BYTES("]("), BYTES("\x8c\0"), 200000, "e.", APR_SUCCESS, "empty texts" },
        { BYTES("]("), BYTES("C\0"), 200000, "e.", APR_SUCCESS, "empty bytes" },
        { BYTES("]("), BYTES("]\x94"), 200000, "e.", APR_SUCCESS, "lists in the memo, plain" },
        { BYTES("](N\x94"), BYTES("("), 400000, ".", DJS_EFORMAT, "marks, plain" },
        { BYTES("](cdecimal\nDecimal\nq\1U\1" "1\x85R"), BYTES("h\1U\1" "1\x85R"),
          50000, "e.", APR_SUCCESS, "short Decimals" },
        { BYTES("](cdecimal\nDecimal\nq\1\x8c\1" "1\x85R"),
          BYTES("h\1\x8c\1" "1\x85R"), 50000, "e.", APR_SUCCESS, "short Decimals, plain" },
        { BYTES("](cpytz\n_UTC\nq\1)R"), BYTES("h\1)R"), 100000, "e.", APR_SUCCESS, "many zones" },
        { BYTES("](C\4\x07\xe9\2\1\x85q\1" "0cdatetime\ndate\nq\2h\1R"),
          BYTES("h\2h\1R"), 50000, "e.", APR_SUCCESS, "the same arguments, left to the reader" },
        { BYTES("](cdatetime\ndate\nq\2C\4\x07\xe9\2\1\x85q\1R"),
          BYTES("h\2h\1R"), 50000, "e.", APR_SUCCESS, "the same arguments" },
        { BYTES("](K\x01K\x02K\x03K\x04K\x05K\x06K\x07K\x01K\x02K\x03K\x04K\x05tq\0" "0("),
          BYTES("}h\0Ns"), 50000, "e.",
          DJS_ELIMIT, "a shared key that must be hashed each time" },
        { BYTES("(K\x01K\x02K\x03K\x04K\x05K\x06K\x07lq\0" "0c__builtin__\nset\nq\x01" "0("),
          BYTES("h\x01h\0\x85R"), 50000, "l.", DJS_ELIMIT, "a shared list made into many sets" },
        { BYTES("}("), BYTES("G\x7f\xe0\0\0\0\0\0\0N"), 20000, "u.", APR_SUCCESS,
          "floats of 300 digits as keys" },
        { BYTES("}("), BYTES("cdecimal\nDecimal\n(U\x09" "1E+999999tRN"), 5000, "u.", APR_SUCCESS,
          "short Decimals with many zeros as keys" },
        { BYTES("}("), BYTES("cdecimal\nDecimal\n(U\x05" "0.125tRN"), 5000, "u.", APR_SUCCESS,
          "Decimals that are floats" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        /* A limit is reached by all of it. */
        const apr_size_t times = cases[i].rv == DJS_ELIMIT
                                     ? cases[i].times
                                     : (apr_size_t)test_rounds((int)cases[i].times);
        djs_bytes_t pickle = repeated(test->pool, cases[i].before, cases[i].before_len,
                                      cases[i].part, cases[i].part_len, times, cases[i].behind);

        assert_status(NULL, load_measured(pickle, cases[i].why), cases[i].rv, cases[i].why);
    }
}

static void what_python_would_not_write_is_judged(void **state)
{
    static const struct { const char *pickle; apr_size_t len; apr_status_t rv; const char *why; }
    cases[] = {
        { BYTES(""), DJS_EFORMAT, "nothing" },
        { BYTES("N"), DJS_EFORMAT, "no end" },
        { BYTES("NK\0."), DJS_EFORMAT, "something left over" },
        { BYTES("(N."), DJS_EFORMAT, "a mark left over" },
        { BYTES("]q\0h\0a."), DJS_EUNSUPPORTED, "a list in itself" },
        { BYTES("}q\0Nh\0s."), DJS_EUNSUPPORTED, "a dict in itself" },
        { BYTES("]q\0]q\1h\0ah\0h\1a."), DJS_EUNSUPPORTED, "two lists in each other" },
        { BYTES("]q\0\x85q\1" "0h\0h\1a."), DJS_EUNSUPPORTED, "a list in a tuple in it" },
        { BYTES("]q\0]h\0ah\0Na."), DJS_EUNSUPPORTED, "a list that grows once it is in another" },
        { BYTES("cdatetime\ndate\n."), DJS_EUNSUPPORTED, "a class" },
        { BYTES("cuuid\nUUID\n)\x81."), DJS_EUNSUPPORTED, "half a UUID" },
        { BYTES("cuuid\nUUID\n)\x81\x85."), DJS_EUNSUPPORTED, "half a UUID in a tuple" },
        { BYTES("cuuid\nUUID\n\x85."), DJS_EUNSUPPORTED, "a class in a tuple" },
        { BYTES("cuuid\nUUID\n\x85\x85."), DJS_EUNSUPPORTED, "deeper" },
        { BYTES("cuuid\nUUID\n)R."), DJS_EFORMAT, "UUID() makes none" },
        { BYTES("c__builtin__\nset\n]\x85R."), APR_SUCCESS, "an empty set" },
        { BYTES("c__builtin__\nset\ncuuid\nUUID\n\x85R."), DJS_EFORMAT, "a set of a class" },
        { BYTES("c__builtin__\nset\n](Ne\x85R."), APR_SUCCESS, "a set of None" },
        { BYTES("c__builtin__\nset\n(]lR."), DJS_EFORMAT, "arguments in a list" },
        { BYTES("c__builtin__\nset\n(]ltR."), DJS_EFORMAT, "nothing under the mark" },
        { BYTES("NNR."), DJS_EFORMAT, "a call of None" },
        { BYTES("cdatetime\ndatetime\n(C\x0a\x07\xe9\x01\x01\x98\0\0\0\0\0tR."), DJS_EFORMAT,
          "a fold in the hours" },
        { BYTES("cdatetime\ntime\n(C\x06\x18\0\0\0\0\0tR."), DJS_EFORMAT, "hour 24" },
        { BYTES("cdatetime\ntime\n(C\x06\x97\0\0\0\0\0tR."), APR_SUCCESS, "hour 23, again" },
        { BYTES("cdatetime\ndate\n(C\x04\0\0\x01\x01tR."), DJS_EFORMAT, "the year 0" },
        { BYTES("cdatetime\ndate\n(C\x04\x07\xe9\x02\x1dtR."), DJS_EFORMAT, "29 February 2025" },
        { BYTES("cdatetime\ndate\n(C\x04\x07\xe8\x02\x1dtR."), APR_SUCCESS, "29 February 2024" },
        { BYTES("cdatetime\ntimedelta\n(K\0J\x80Q\x01\0K\0tR."), DJS_EFORMAT, "86400 seconds" },
        { BYTES("V\\ud800\n."), APR_SUCCESS, "half of a pair" },
        { BYTES("X\x0b\0\0\0abcdefgh\xed\xa0\x80."), APR_SUCCESS, "half of a pair, in UTF-8" },
        { BYTES("X\x0b\0\0\0abcdefgh\xed\xa0\xe9."), DJS_EFORMAT, "half a character" },
        { BYTES("V\\U00110000\n."), DJS_EFORMAT, "no character" },
        { BYTES("V\\\\u12\n."), APR_SUCCESS, "two backslashes" },
        { BYTES("I0x10\n."), DJS_EFORMAT, "hexadecimal" },
        { BYTES("I\n."), DJS_EFORMAT, "an empty line" },
        { BYTES("I08\n."), DJS_EFORMAT, "no octal digit" },
        { BYTES("L-0L\n."), DJS_EFORMAT, "minus zero" },
        { BYTES("F1.\n."), APR_SUCCESS, "a float without a fraction" },
        { BYTES("F.\n."), DJS_EFORMAT, "a point alone" },
        { BYTES("F1e\n."), DJS_EFORMAT, "no exponent" },
        { BYTES("F1e999999999999\n."), APR_SUCCESS, "infinity in disguise" },
        { BYTES("S'a\\'\n."), DJS_EFORMAT, "a backslash before the quote that ends it" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_value_t *unused;

        assert_status(test->ctx,
                      djs_pickle_loads(test->ctx, djs_bytes_of(cases[i].pickle, cases[i].len),
                                       &unused), cases[i].rv, cases[i].why);
        djs_forget(test->ctx);
    }
}

static void depth_and_size_are_bounded(void **state)
{
    static const struct { const char *part, *close; apr_size_t depth; apr_status_t rv; } cases[] = {
        { "]", "a", DJS_PICKLE_DEPTH_MAX, APR_SUCCESS },
        { "]", "a", DJS_PICKLE_DEPTH_MAX + 1, DJS_ELIMIT },
        { "", "\x85", DJS_PICKLE_DEPTH_MAX, APR_SUCCESS },
        { "", "\x85", DJS_PICKLE_DEPTH_MAX + 1, DJS_ELIMIT },
    };
    test_t *test = *state;
    djs_value_t *value;
    djs_bytes_t pickle;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_bytes_t opened = repeated(test->pool, "", 0, cases[i].part, strlen(cases[i].part),
                                      cases[i].depth, "N");

        pickle = repeated(test->pool, opened.data, opened.len, cases[i].close, 1, cases[i].depth,
                          ".");
        assert_status(test->ctx, djs_pickle_loads(test->ctx, pickle, &value), cases[i].rv,
                      cases[i].close);
        djs_forget(test->ctx);
    }
    /* 2^n values in 3n bytes: fine for 2^18, too many for 2^20. */
    pickle = repeated(test->pool, BYTES("N\x85"), BYTES("2\x86"), 18, ".");
    assert_status(test->ctx, djs_pickle_loads(test->ctx, pickle, &value), APR_SUCCESS, "2^18");
    pickle = repeated(test->pool, BYTES("N\x85"), BYTES("2\x86"), 20, ".");
    assert_status(test->ctx, djs_pickle_loads(test->ctx, pickle, &value), DJS_ELIMIT, "2^20");
    djs_forget(test->ctx);
    assert_status(test->ctx, djs_pickle_loads(test->ctx, djs_bytes_of(pickle.data,
                                                                      DJS_PICKLE_MAX + 1), &value),
                  DJS_ELIMIT, "too long to look at");
}

static void a_problem_names_the_class_and_nothing_that_hurts_a_log(void **state)
{
    test_t *test = *state;
    djs_value_t *unused;

    assert_status(test->ctx, djs_pickle_loads(test->ctx, djs_bytes("cshop.models\nCart\n."),
                                              &unused), DJS_EUNSUPPORTED, "a model");
    assert_non_null(strstr(test->ctx->problem, "shop.models.Cart"));
    djs_forget(test->ctx);
    assert_status(test->ctx, djs_pickle_loads(test->ctx, djs_bytes("ca\x1b[2J\xc3\xa4\nb\r\n."),
                                              &unused), DJS_EUNSUPPORTED, "an escape sequence");
    assert_non_null(strstr(test->ctx->problem, "a?[2J??.b?"));
}

static void what_is_shared_is_one_node(void **state)
{
    test_t *test = *state;
    djs_value_t *value;

    assert_status(test->ctx, djs_pickle_loads(test->ctx, djs_bytes_of(BYTES("]q\0h\0\x86.")),
                                              &value), APR_SUCCESS, "a pair");
    assert_ptr_equal(djs_value_at(value, 0), djs_value_at(value, 1));
}

/* What fits the reader's first stack, marks and memo, and what does not. */
static void pickles_of_any_length_are_read_alike(void **state)
{
    static const apr_size_t lengths[] = { 1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 500 };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        const apr_size_t len = lengths[i];
        djs_bytes_t opened = repeated(test->pool, "", 0, "(", 1, len, "K\x07");
        djs_value_t *value;
        apr_size_t depth;

        assert_status(test->ctx,
                      djs_pickle_loads(test->ctx, repeated(test->pool, BYTES("(K\x01\x94"),
                                                           BYTES("K\x02\x94"), len, "h\1l."),
                                       &value), APR_SUCCESS, "stack and memo");
        assert_number(djs_value_len(value), len + 2, "items on the stack");
        assert_ptr_equal(djs_value_at(value, len + 1), djs_value_at(value, 1));
        assert_status(test->ctx,
                      djs_pickle_loads(test->ctx, repeated(test->pool, opened.data, opened.len, "l",
                                                           1, len, "."), &value),
                      APR_SUCCESS, "marks");
        for (depth = 0; djs_value_type(value) == DJS_TYPE_LIST; depth++) {
            assert_number(djs_value_len(value), 1, "an item in each list");
            value = djs_value_at(value, 0);
        }
        assert_number(depth, len, "lists");
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(every_pickle_of_the_vectors_is_read),
        TEST(every_bad_pickle_of_the_vectors_is_refused),
        TEST(memory_is_a_fixed_multiple_of_the_input),
        TEST(what_python_would_not_write_is_judged),
        TEST(depth_and_size_are_bounded),
        TEST(a_problem_names_the_class_and_nothing_that_hurts_a_log),
        TEST(what_is_shared_is_one_node),
        TEST(pickles_of_any_length_are_read_alike),
    };

    return RUN_TESTS(tests);
}
