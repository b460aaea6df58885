/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain pickles, of which no value is made before somebody asks for it: what comes of them is what the
 * reader makes, all at once, in whatever order it is asked for; and what nobody asks for is not made.
 */
#include "support.h"

#include <string.h>

#include "measure.h"
#include "pickle_read_impl.h"
#include "tagged.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text) text, sizeof(text) - 1

/* ---- As the reader --------------------------------------------------------------------------- */

/* In each protocol: what is shared is told apart from what is only equal. */
static void assert_same_pickles(djs_ctx_t *ctx, const djs_value_t *got, const djs_value_t *expected,
                                const char *why)
{
    djs_bytes_t one, other;
    int protocol;

    for (protocol = 2; protocol <= DJS_PICKLE_PROTOCOL_MAX; protocol++) {
        assert_status(ctx, djs_pickle_dumps(ctx, protocol, got, &one), APR_SUCCESS, why);
        assert_status(ctx, djs_pickle_dumps(ctx, protocol, expected, &other), APR_SUCCESS, why);
        assert_bytes(one, other, why);
    }
}

/* Asked for everything and for some of it, and for nothing, before it is written. */
static void assert_like_the_reader(test_t *test, djs_bytes_t pickle, const char *why)
{
    djs_value_t *expected, *got = djs_pr_scan(test->ctx, pickle);
    apr_uint32_t chance;

    assert_status(test->ctx, djs_pr_read(test->ctx, pickle, &expected), APR_SUCCESS, why);
    assert_non_null(got);
    assert_text(tagged_text(test->pool, got), tagged_text(test->pool, expected), why);
    assert_true(djs_value_same(got, expected));
    assert_same_pickles(test->ctx, got, expected, why);
    for (chance = 0; chance < 4; chance++) {
        apr_uint32_t choice = chance;

        got = djs_pr_scan(test->ctx, pickle);
        look_around(got, &choice);
        assert_same_pickles(test->ctx, got, expected, why);
    }
    assert_same_pickles(test->ctx, djs_pr_scan(test->ctx, pickle), expected, why);
}

/* So long that it is made only when it is asked for. */
#define LONG "abcdefghijklmnopqrstuvwxyz012345"

/* 1 February 2025, its noon, and a zone of an hour. */
#define DATE "cdatetime\ndate\n"
#define DAY  "C\4\x07\xe9\2\1"
#define NOON "cdatetime\ndatetime\nC\x0a\x07\xe9\2\1\x0c\0\0\0\0\0"
#define ZONE "cdatetime\ntimezone\ncdatetime\ntimedelta\nK\0M\x10\x0eK\0\x87R\x85R"

static const struct { const char *pickle; apr_size_t len; const char *why; } plain[] = {
    { BYTES("N."), "None" },
    { BYTES("\x88."), "True" },
    { BYTES("\x89."), "False" },
    { BYTES("]\x94(\x88\x89\x88N\x89Ne."), "None and bools" },
    { BYTES("K\xff."), "one byte" },
    { BYTES("M\xff\xff."), "two bytes" },
    { BYTES("J\xff\xff\xff\xff."), "-1" },
    { BYTES("J\0\0\0\x80."), "-2**31" },
    { BYTES("J\xff\xff\xff\x7f."), "2**31 - 1" },
    { BYTES("\x8a\0."), "0 in no bytes" },
    { BYTES("\x8a\1\xff."), "-1 in one" },
    { BYTES("\x8a\2\xff\0."), "255 in two" },
    { BYTES("\x8a\5\0\0\0\0\1."), "2**32" },
    { BYTES("\x8a\x08\0\0\0\0\0\0\0\x80."), "-2**63" },
    { BYTES("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f."), "2**63 - 1" },
    { BYTES("\x8b\3\0\0\0\1\2\x83."), "a length of four bytes" },
    { BYTES("G?\xf8\0\0\0\0\0\0."), "1.5" },
    { BYTES("](G\x80\0\0\0\0\0\0\0G\x7f\xf0\0\0\0\0\0\0G\x7f\xf8\0\0\0\0\0\0e."), "-0.0, inf, nan" },
    { BYTES("\x8c\0."), "no text" },
    { BYTES("\x8c\3a\0b."), "a text with NUL" },
    { BYTES("X\2\0\0\0\xc3\xa4."), "a length of four bytes" },
    { BYTES("\x8d\1\0\0\0\0\0\0\0z."), "a length of eight bytes" },
    { BYTES("\x8c\3\xed\xa0\x80."), "half of a pair" },
    { BYTES("C\0."), "no bytes" },
    { BYTES("](C\2\0\xff" "B\1\0\0\0\x80\x8e\1\0\0\0\0\0\0\0ze."), "bytes" },
    { BYTES("](C\3abcq\1h\1C\3abce."), "the same bytes, and equal ones" },

    { BYTES("]."), "an empty list" },
    { BYTES("}."), "an empty dict" },
    { BYTES(")."), "an empty tuple" },
    { BYTES("(t."), "an empty tuple by a mark" },
    { BYTES("](e."), "nothing into a list" },
    { BYTES("}(u."), "nothing into a dict" },
    { BYTES("]Na."), "one into a list" },
    { BYTES("]K\1aK\2aK\3a."), "one by one" },
    { BYTES("](K\1K\2e(K\3e(e(K\4K\5e."), "by several" },
    { BYTES("]K\1a(]K\2aK\3eK\4a."), "one by one and by several, with a list between" },
    { BYTES("]((K\1te(}K\2K\3seK\4a."), "rows that are not side by side" },
    { BYTES("}K\1K\2sK\3K\4s(K\5K\6K\7K\x08u."), "a dict by several" },
    { BYTES("N\x85."), "a tuple of one" },
    { BYTES("NK\1\x86."), "of two" },
    { BYTES("NK\1]\x87."), "of three" },
    { BYTES("(NK\1]}t."), "of four" },
    { BYTES("]((N\x85K\1K\2K\3tK\4K\5\x86K\6\x85\x85\x85" "e."), "tuples in tuples" },
    { BYTES("](]](]e]e."), "lists in lists" },

    { BYTES("}(\x8c\1aK\1\x8c\1bK\2\x8c\1aK\3u."), "a text again: the last one, in the first place" },
    { BYTES("}(\x8c\1aK\1u(\x8c\1aK\2u\x8c\1aK\3s."), "a text again, later" },
    { BYTES("}(K\1K\1\x88K\2G?\xf0\0\0\0\0\0\0K\3u."), "1, True and 1.0 are one" },
    { BYTES("}(NK\1\x89K\2C\1aK\3\x8c\1aK\4J\xff\xff\xff\xffK\5G?\xf8\0\0\0\0\0\0K\6u."),
      "keys of every type" },
    { BYTES("}(G\x7f\xf8\0\0\0\0\0\0q\1K\1G\x7f\xf8\0\0\0\0\0\0K\2h\1K\3u."),
      "a NaN is only itself" },

    { BYTES("](]q\1h\1e."), "the same list twice" },
    { BYTES("](]\x94}\x94h\1h\0h\1e."), "by MEMOIZE" },
    { BYTES("](]r\1\0\0\0j\1\0\0\0e."), "by a wide number" },
    { BYTES("}(\x8c\1a]q\1(K\1K\2e\x8c\1bh\1u."), "of two members" },
    { BYTES("}(\x8c\1a}q\1\x8c\1xNs\x8c\1b]h\1a\x8c\1ch\1\x85u."), "in a list and a tuple" },
    { BYTES("](]q\1]q\2]q\3aah\3h\2h\1e."), "the inner ones later" },
    { BYTES("](K\1\x85q\1h\1\x85q\2h\2h\1\x86q\3h\3h\2h\1e."), "one in the other" },
    { BYTES("](}(\x8c\1aq\1K\1u}(h\1K\2u}h\1K\3se."), "a key again" },
    { BYTES("](\x8c\1aq\1}h\1h\1sh\1e."), "a text as key and value" },
    { BYTES("](K\5q\1N\x94h\1h\1e."), "a number" },
    { BYTES("](\x8c\x20" LONG "q\1h\1X\x20\0\0\0" LONG "\x8c\x1f" "bcdefghijklmnopqrstuvwxyz01234"
            "5e."),
      "long texts" },
    { BYTES("}(\x8c\x20" LONG "q\1Nh\1K\1u."), "a long text as a key, again" },
    { BYTES("](K\1q\1K\2q\2h\2h\1h\2e."), "in another order than they came in" },
    { BYTES("](]q\1q\2h\2h\1h\2e."), "two numbers for a list" },
    { BYTES("](\x8c\1aq\1)q\2Gq\3aaaaaaq\3h\3h\2h\1h\1h\2h\3e."), "short ones of all kinds" },
    { BYTES("](]q\1K\1q\1h\1e."), "a number of the memo that is given anew" },
    { BYTES("]q\1(]q\1h\1h\1e."), "a number of the memo that is taken before it is full" },
    { BYTES("](])q\1)h\1e."), "empty tuples" },

    { BYTES(DATE "(" DAY "tR."), "a date" },
    { BYTES(DATE "q\1" DAY "\x85Rq\2h\1" DAY "\x85Rh\2\x87."), "two days, one of them twice" },
    { BYTES("](\x8c\x08" "datetime\x94\x8c\4date\x94\x93\x94" DAY "\x94\x85\x94R\x94h\0h\5h\2h\4Rh\3"
            "e."), "with everything in the memo" },
    { BYTES("](" ZONE "q\1" NOON "h\1\x86R" NOON "h\1\x86Rh\1e."), "two aware ones of one zone" },
    { BYTES("](" NOON ZONE "\x86Rq\2" NOON "\x85Rh\2e."), "aware and naive" },
    { BYTES("cdatetime\ntime\n(C\6\x97\0\0\0\0\1tR."), "a time with a fold" },
    { BYTES("cdatetime\ntimezone\ncdatetime\ntimedelta\n(J\xff\xff\xff\xffM\x10\x0eK\1tR\x8c\1zq\1"
            "\x86Rh\1\x86."), "a zone with a name, which is a text elsewhere, too" },
    { BYTES("cpytz\n_UTC\n)R."), "pytz" },
    { BYTES("](cdecimal\nDecimal\nq\1\x8c\4" "1.10\x85Rh\1\x8c\4sNaN\x85Rh\1\x8c\4" "1.10\x85Rq\2h\2e."),
      "Decimals" },
    { BYTES("}(\x8c\1a" DATE "(" DAY "tRq\1\x8c\1b]h\1au."), "a date in two places" },

    { BYTES("\x80\4\x95\3\0\0\0\0\0\0\0]Na."), "a frame" },
    { BYTES("\x80\5]\x94(\x95\1\0\0\0\0\0\0\0N\x95\0\0\0\0\0\0\0\0Ne."), "frames inside" },
    { BYTES("\x80\0N."), "protocol 0" },
    { BYTES("].and more"), "something behind the end" },
};

static void plain_pickles_are_read_as_by_the_reader(void **state)
{
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(plain); i++) {
        assert_like_the_reader(test, djs_bytes_of(plain[i].pickle, plain[i].len), plain[i].why);
    }
}

/* Left to the reader: what is more than plain, what is odd, what is wrong. */
static const struct { const char *pickle; apr_size_t len; const char *why; } others[] = {
    { BYTES("(Nl."), "LIST" },
    { BYTES("(NNd."), "DICT" },
    { BYTES("I1\n."), "text" },
    { BYTES("VN\n."), "more text" },
    { BYTES("U\1a."), "Python 2's str" },
    { BYTES("\x8f."), "a set" },
    { BYTES("(N\x91."), "a frozenset" },
    { BYTES("\x96\1\0\0\0\0\0\0\0a."), "a bytearray" },
    { BYTES("\x8a\x09\0\0\0\0\0\0\0\0\1."), "2**64" },
    { BYTES("cuuid\nUUID\n)\x81}(\x8c\3intK\1ub."), "a UUID" },
    { BYTES("cbuiltins\nset\n]\x85R."), "another set" },
    { BYTES("c_codecs\nencode\n\x8c\1a\x8c\6latin1\x86R."), "bytes of Python 2" },
    { BYTES("cdecimal\nDecimal\nX\x20\0\0\0" "01234567890123456789012345678901\x85R."),
      "more digits than short texts have" },
    { BYTES("}" DATE "(" DAY "tRNs."), "a date as a key" },
    { BYTES("](\x8c\1aq\1q\2h\2h\1h\2e."), "two numbers for a short text" },
    { BYTES("N0N."), "POP" },
    { BYTES("N(NN1."), "POP_MARK" },
    { BYTES("]2\x86."), "DUP" },
    { BYTES("Nq\x40h\x40\x86."), "a number that the length does not explain" },
    { BYTES("}N\x85Ns."), "a tuple as a key" },
    { BYTES("})Ns."), "the empty one" },
    { BYTES("]q\0h\0Na\x86."), "a list that is filled by way of the memo" },
    { BYTES("]q\0h\0K\1a."), "the same as the result" },

    { BYTES(DATE "."), "a class" },
    { BYTES(DATE "\x85."), "a class in a tuple" },
    { BYTES("]" DATE "a."), "a class in a list" },
    { BYTES("}" DATE "Ns."), "a class as a key" },
    { BYTES("}N" DATE "s."), "a class under a key" },
    { BYTES(DATE "q\1h\1\x86."), "a class twice" },
    { BYTES(DATE "]R."), "arguments in a list" },
    { BYTES(DATE ")R."), "no arguments" },
    { BYTES(DATE "(" DAY "NNNtR."), "too many" },
    { BYTES(DATE "(" DAY "]tR."), "a list as an argument" },
    { BYTES(DATE "(C\x04\x07\xe9\x0d\x01tR."), "month 13" },
    { BYTES(DATE "R."), "a call of nothing" },
    { BYTES("N" DATE "\x86R."), "the wrong way round" },
    { BYTES("N)R."), "a call of None" },
    { BYTES("cdatetime\ndate"), "half a name" },
    { BYTES("cdatetime\n"), "half of it" },
    { BYTES("cshop.models\nCart\n)R."), "a class of the site's" },
    { BYTES("\x8c\4date\x93."), "one name" },
    { BYTES("\x8c\4dateK\1\x93."), "a number for a name" },
    { BYTES("(\x8c\x08" "datetime\x8c\4date(\x93."), "a mark above the names" },

    { BYTES(""), "nothing" },
    { BYTES("."), "no result" },
    { BYTES("N"), "no end" },
    { BYTES("NN."), "two results" },
    { BYTES("(N."), "a mark left over" },
    { BYTES("(."), "only a mark" },
    { BYTES("a."), "nothing for nothing" },
    { BYTES("Na."), "nothing that takes it" },
    { BYTES("NNa."), "None that takes it" },
    { BYTES("](Na."), "a mark between" },
    { BYTES("]e."), "no mark" },
    { BYTES("(Ne."), "nothing under the mark" },
    { BYTES("N(Ne."), "None under the mark" },
    { BYTES("](N(e."), "a mark under the mark" },
    { BYTES("}Na."), "a dict that takes an item" },
    { BYTES("]NNs."), "a list that takes a member" },
    { BYTES(")Na."), "a tuple that takes an item" },
    { BYTES("}(Nu."), "a key without a value" },
    { BYTES("}]Ns."), "a list as a key" },
    { BYTES("}(NN}Nu."), "a dict as a key" },
    { BYTES("t."), "no mark for a tuple" },
    { BYTES("N\x86."), "one for a pair" },
    { BYTES("(N\x85."), "not across a mark: nothing is left under it" },
    { BYTES("\x94."), "nothing for the memo" },
    { BYTES("(\x94."), "a mark for the memo" },
    { BYTES("h\0."), "nothing in the memo" },
    { BYTES("Nq\1h\0."), "nothing under this number" },
    { BYTES("]q\0h\0a."), "a list in itself" },
    { BYTES("]q\0(h\0e."), "a list in itself, by a mark" },
    { BYTES("}q\0Nh\0s."), "a dict in itself" },
    { BYTES("]q\0h\0\x85" "a."), "a list in a tuple in itself" },
    { BYTES("]q\0]h\0ah\0Na."), "a list that grows once it is in another" },
    { BYTES("\x80\6N."), "protocol 6" },
    { BYTES("\x80"), "no protocol" },
    { BYTES("\x95\3\0\0\0\0\0\0\0N."), "a frame that is too long" },
    { BYTES("\x95\2\0\0\0\0\0\0"), "half a frame" },
    { BYTES("K"), "no number" },
    { BYTES("M\1"), "half a number" },
    { BYTES("J\1\1\1"), "less than a number" },
    { BYTES("G\0\0\0\0\0\0\0"), "less than a float" },
    { BYTES("\x8a"), "no length" },
    { BYTES("\x8a\1"), "no bytes" },
    { BYTES("\x8c\2a."), "a text that is cut off, at the end" },
    { BYTES("\x8c\3a."), "a text that is cut off" },
    { BYTES("\x8d\1\0\0\0\0\0\0\x80" "a."), "a length beyond everything" },
    { BYTES("\x8c\1\x80."), "no UTF-8" },
    { BYTES("X\2\0\0\0a\xc3."), "half a character" },
    { BYTES("C\3ab"), "bytes that are cut off" },
    { BYTES("q\0."), "nothing to put" },
    { BYTES("\xff."), "no instruction" },
};

static void what_is_not_plain_is_left_to_the_reader(void **state)
{
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(others); i++) {
        const djs_bytes_t pickle = djs_bytes_of(others[i].pickle, others[i].len);
        djs_ctx_t *one = test_ctx(test->pool), *other = test_ctx(test->pool);
        djs_value_t *got, *expected;
        apr_status_t rv;

        if (djs_pr_scan(one, pickle) != NULL) {
            fail_msg("%s: taken for plain", others[i].why);
        }
        assert_text(one->problem, NULL, others[i].why);
        rv = djs_pr_read(other, pickle, &expected);
        assert_status(one, djs_pickle_loads(one, pickle, &got), rv, others[i].why);
        assert_text(one->problem, other->problem, others[i].why);
        if (rv == APR_SUCCESS) {
            assert_same_pickles(test->ctx, got, expected, others[i].why);
        }
    }
}

/* Of each of the vectors either the reader thinks the same, or it alone judges. */
static size_t compare_vectors(test_t *test, const char *file, size_t least)
{
    const json_t *cases = test_vectors(test->pool, file, least);
    const json_t *a_case;
    size_t i, taken = 0;

    json_array_foreach(cases, i, a_case) {
        const djs_bytes_t pickle = tagged_pickle(test->ctx, a_case);

        if (djs_pr_scan(test->ctx, pickle) != NULL) {
            assert_like_the_reader(test, pickle, vector_name(test->pool, a_case));
            taken++;
        }
    }
    return taken;
}

static void every_pickle_of_the_vectors_is_read_as_by_the_reader(void **state)
{
    test_t *test = *state;

    assert_true(compare_vectors(test, "pickles.json", 908) > 200);
    (void)compare_vectors(test, "pickles_bad.json", 522); /* a few of them are only odd */
}

/* ---- Long, deep, large ----------------------------------------------------------------------- */

/* A list, a dict and a tuple of so many, with something in between. */
static djs_value_t *of_many(apr_pool_t *pool, apr_size_t count)
{
    djs_value_t *list = djs_value_make_list(pool), *dict = djs_value_make_dict(pool);
    djs_value_t *tuple = djs_value_make_group(pool, DJS_TYPE_TUPLE), *pair, *both;
    apr_size_t i;

    for (i = 0; i < count; i++) {
        pair = djs_value_make_list(pool);
        djs_value_append(pair, djs_value_make_int(pool, (apr_int64_t)i));
        djs_value_append(pair, tuple);
        djs_value_append(list, i % 3 == 0 ? pair : djs_value_make_float(pool, (double)i));
        djs_value_set(dict, djs_bytes(apr_psprintf(pool, "key %d", (int)(i % 2000))), pair);
    }
    for (i = 0; i < count; i++) {
        djs_value_append(tuple, djs_value_make_int(pool, (apr_int64_t)i));
    }
    both = djs_value_make_dict(pool);
    djs_value_set(both, djs_bytes("list"), list);
    djs_value_set(both, djs_bytes("dict"), dict);
    return both;
}

/* What fits the first arrays, and what does not; one batch, and several. */
static void pickles_of_any_length_are_read_alike(void **state)
{
    static const apr_size_t counts[] = { 0, 1, 2, 47, 48, 49, 64, 65, 128, 300, 999, 1000, 1001, 2001 };
    test_t *test = *state;
    djs_bytes_t pickle;
    size_t i;

    for (i = 0; i < COUNT(counts); i++) {
        /* Each of a third of them has all of the tuple. */
        const apr_size_t count = counts[i] > 300 ? 300 + counts[i] % 7 : counts[i];
        djs_value_t *list = djs_value_make_list(test->pool);
        apr_size_t k;

        for (k = 0; k < counts[i]; k++) {
            djs_value_append(list, djs_value_make_int(test->pool, (apr_int64_t)k));
        }
        assert_status(test->ctx, djs_pickle_dumps(test->ctx, 4, list, &pickle), APR_SUCCESS, "");
        assert_like_the_reader(test, pickle,
                               apr_psprintf(test->pool, "%d in a list", (int)counts[i]));
        assert_status(test->ctx, djs_pickle_dumps(test->ctx, i % 2 == 0 ? 4 : 2,
                                                  of_many(test->pool, count), &pickle),
                      APR_SUCCESS, "");
        assert_like_the_reader(test, pickle, apr_psprintf(test->pool, "%d of each", (int)count));
    }
}

/* A text so many times. */
static const char *times(apr_pool_t *pool, const char *part, int count)
{
    const size_t len = strlen(part);
    char *text = apr_palloc(pool, (size_t)count * len + 1), *out = text;

    for (; count > 0; count--, out += len) {
        memcpy(out, part, len);
    }
    *out = '\0';
    return text;
}

static void depth_and_size_are_bounded_as_by_the_reader(void **state)
{
    static const struct { const char *open, *inside, *close; int depth, taken; } cases[] = {
        { "]", "N", "a", DJS_PICKLE_DEPTH_MAX, 1 },
        { "]", "N", "a", DJS_PICKLE_DEPTH_MAX + 1, 0 },
        { "](", "N", "e", DJS_PICKLE_DEPTH_MAX, 1 },
        { "](", "N", "e", DJS_PICKLE_DEPTH_MAX + 1, 0 },
        { "}N", "N", "s", DJS_PICKLE_DEPTH_MAX, 1 },
        { "}N", "N", "s", DJS_PICKLE_DEPTH_MAX + 1, 0 },
        { "", "N", "\x85", DJS_PICKLE_DEPTH_MAX, 1 },
        { "", "N", "\x85", DJS_PICKLE_DEPTH_MAX + 1, 0 },
        { "(", "N", "t", DJS_PICKLE_DEPTH_MAX, 1 },
        { "(", "N", "t", DJS_PICKLE_DEPTH_MAX + 1, 0 },
        /* 2^n values in 4n bytes. */
        { "", "N\x85", "q\1h\1\x86", 18, 1 },
        { "", "N\x85", "q\1h\1\x86", 20, 0 },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        const djs_bytes_t pickle = djs_bytes(apr_pstrcat(
            test->pool, times(test->pool, cases[i].open, cases[i].depth), cases[i].inside,
            times(test->pool, cases[i].close, cases[i].depth), ".", NULL));
        djs_value_t *expected, *got = djs_pr_scan(test->ctx, pickle);

        assert_number(got != NULL, cases[i].taken, cases[i].close);
        assert_status(test->ctx, djs_pr_read(test->ctx, pickle, &expected),
                      cases[i].taken ? APR_SUCCESS : DJS_ELIMIT, cases[i].close);
        if (cases[i].taken) {
            assert_true(djs_value_same(got, expected));
        }
        djs_forget(test->ctx);
    }
}

/* ---- What is not asked for ------------------------------------------------------------------- */

static int is_untouched(const djs_value_t *value)
{
    apr_uint32_t place;

    return djs_value_lazy(value, &place) != NULL;
}

static void what_nobody_asks_for_is_not_made(void **state)
{
    test_t *test = *state;
    djs_value_t *dict, *list, *text;
    djs_bytes_t pickle;

    assert_status(test->ctx, djs_pickle_dumps(test->ctx, 4, of_many(test->pool, 10), &pickle),
                  APR_SUCCESS, "");
    assert_status(test->ctx, djs_pickle_loads(test->ctx, pickle, &dict), APR_SUCCESS, "");
    assert_true(is_untouched(dict));
    list = djs_value_get(dict, djs_bytes("list"));
    assert_false(is_untouched(dict));
    assert_true(is_untouched(list));
    assert_true(is_untouched(djs_value_get(dict, djs_bytes("dict"))));
    assert_number(djs_value_len(list), 10, "items");
    assert_true(is_untouched(djs_value_at(list, 0)));
    assert_true(is_untouched(djs_value_at(list, 3)));

    pickle = djs_bytes_of(BYTES("](\x8c\x20" LONG "C\1be."));
    assert_status(test->ctx, djs_pickle_loads(test->ctx, pickle, &list), APR_SUCCESS, "");
    text = djs_value_at(list, 0);
    assert_true(is_untouched(text));
    assert_text(djs_value_str(text).data, LONG, "with its NUL");
    assert_false(is_untouched(text));
    assert_true(is_untouched(djs_value_at(list, 1)));
}

typedef apr_status_t (*read_fn)(djs_ctx_t *ctx, djs_bytes_t pickle, djs_value_t **value);

static void read_and_ask_for_one(djs_ctx_t *ctx, djs_bytes_t pickle, void *baton)
{
    djs_value_t *value;

    assert_status(ctx, (*(read_fn *)baton)(ctx, pickle, &value), APR_SUCCESS, "");
    assert_text(djs_value_str(djs_value_get(value, djs_bytes("language"))).data, "en", "asked for");
}

/* A shop's session: a short text, and items, each a dict of a few. */
static djs_value_t *shop(apr_pool_t *pool, int items)
{
    djs_value_t *session = djs_value_make_dict(pool), *list = djs_value_make_list(pool);

    for (; items > 0; items--) {
        djs_value_t *item = djs_value_make_dict(pool);

        djs_value_set(item, djs_bytes("n"), djs_value_make_int(pool, items));
        djs_value_set(item, djs_bytes("price"), djs_value_make_float(pool, items * 0.25));
        djs_value_set(item, djs_bytes("name"),
                      djs_value_make_str(pool, djs_bytes(apr_psprintf(pool, "lamp %d", items))));
        djs_value_append(list, item);
    }
    djs_value_set(session, djs_bytes("items"), list);
    djs_value_set(session, djs_bytes("language"), djs_value_make_str(pool, djs_bytes("en")));
    return session;
}

static void reading_takes_less_memory_than_making_all_values(void **state)
{
    read_fn all = djs_pr_read, asked = djs_pickle_loads;
    test_t *test = *state;
    djs_bytes_t pickle;

    assert_status(test->ctx, djs_pickle_dumps(test->ctx, 4, shop(test->pool, 5000), &pickle),
                  APR_SUCCESS, "");
    assert_true(measure_memory(read_and_ask_for_one, pickle, &asked) * 2 <
                measure_memory(read_and_ask_for_one, pickle, &all));
}

/* What two places refer to is one, whichever is asked first; and is changed in both. */
static void what_is_shared_is_one_node_in_any_order(void **state)
{
    const djs_bytes_t pickle =
        djs_bytes_of(BYTES("}(\x8c\1a]q\1K\1a\x8c\1b]h\1a\x8c\1ch\1\x85u."));
    test_t *test = *state;
    int order;

    for (order = 0; order < 6; order++) {
        djs_value_t *dict, *found[3];
        int i;

        assert_status(test->ctx, djs_pickle_loads(test->ctx, pickle, &dict), APR_SUCCESS, "");
        for (i = 0; i < 3; i++) {
            static const char *const names[] = { "a", "b", "c" };
            const int which = order < 3 ? (i + order) % 3 : (order - i) % 3;
            djs_value_t *value = djs_value_get(dict, djs_bytes(names[which]));

            found[i] = which == 0 ? value : djs_value_at(value, 0);
        }
        assert_ptr_equal(found[0], found[1]);
        assert_ptr_equal(found[0], found[2]);
        djs_value_append(found[0], djs_value_make_null(test->pool));
        assert_number(djs_value_len(djs_value_get(dict, djs_bytes("a"))), 2, "items");
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(plain_pickles_are_read_as_by_the_reader),
        TEST(what_is_not_plain_is_left_to_the_reader),
        TEST(every_pickle_of_the_vectors_is_read_as_by_the_reader),
        TEST(pickles_of_any_length_are_read_alike),
        TEST(depth_and_size_are_bounded_as_by_the_reader),
        TEST(what_nobody_asks_for_is_not_made),
        TEST(reading_takes_less_memory_than_making_all_values),
        TEST(what_is_shared_is_one_node_in_any_order),
    };

    return RUN_TESTS(tests);
}
