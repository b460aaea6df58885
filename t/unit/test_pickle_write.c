/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing pickles: what was read is written with nothing lost, and Python agrees.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "encode.h"
#include "json.h"
#include "pickle.h"
#include "tagged.h"

static djs_value_t *read_pickle(test_t *test, djs_bytes_t pickle, const char *why)
{
    djs_value_t *value = NULL;

    assert_status(test->ctx, djs_pickle_loads(test->ctx, pickle, &value), APR_SUCCESS, why);
    return value;
}

static djs_bytes_t write_pickle(test_t *test, int protocol, const djs_value_t *value,
                                const char *why)
{
    djs_bytes_t pickle;

    assert_status(test->ctx, djs_pickle_dumps(test->ctx, protocol, value, &pickle), APR_SUCCESS,
                  why);
    return pickle;
}

static void every_value_of_the_vectors_is_written_in_every_protocol(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "pickles.json", 908);
    const json_t *a_case;
    size_t i;
    int protocol;

    json_array_foreach(cases, i, a_case) {
        const char *why = vector_name(test->pool, a_case);
        djs_value_t *value, *back;
        djs_bytes_t pickle;

        if (vector_text(a_case, "tagged") == NULL) {
            continue; /* Python cannot read it, nor do we: test_pickle_read */
        }
        value = read_pickle(test, tagged_pickle(test->ctx, a_case), why);
        for (protocol = 2; protocol <= DJS_PICKLE_PROTOCOL_MAX; protocol++) {
            pickle = write_pickle(test, protocol, value, why);
            back = read_pickle(test, pickle, why);
            assert_number(djs_value_same(value, back), 1, why);
            assert_text(tagged_text(test->pool, back), tagged_text(test->pool, value), why);
            assert_bytes(write_pickle(test, protocol, back, why), pickle, why);
        }
        vector_done(a_case);
    }
}

/* Runs this directory's pickles.py; what it printed, if it liked what it saw. */
static const char *run_python(test_t *test, const char *arguments)
{
    const char *source = getenv("DJS_SRC");
    char line[4096] = "";
    FILE *pipe;

    assert_non_null(source);
    pipe = popen(apr_pstrcat(test->pool, "/usr/bin/python3 ", source, "/t/unit/pickles.py ",
                             arguments, " 2>&1", NULL), "r");
    assert_non_null(pipe);
    line[fread(line, 1, sizeof(line) - 1, pipe)] = '\0';
    if (pclose(pipe) != 0) {
        fail_msg("pickles.py %s: %s", arguments, line);
    }
    return apr_pstrdup(test->pool, line);
}

static void write_hex(FILE *file, djs_bytes_t bytes)
{
    apr_size_t i;

    for (i = 0; i < bytes.len; i++) {
        fprintf(file, "%02x", (unsigned char)bytes.data[i]);
    }
}

/* Each pickle of @a made, and what comes of it in one of the protocols that we write. */
static int answer_all(test_t *test, FILE *made, FILE *answers)
{
    char *line = NULL;
    size_t size = 0;
    int count = 0;

    while (getline(&line, &size, made) > 0) {
        djs_bytes_t pickle;

        line[strcspn(line, "\n")] = '\0';
        pickle = test_unhex(test->pool, line);
        write_hex(answers, pickle);
        fputc(' ', answers);
        write_hex(answers, write_pickle(test, 2 + count / 6 % 4, read_pickle(test, pickle, line),
                                        line));
        fputc('\n', answers);
        count++;
    }
    free(line);
    return count;
}

static void python_reads_back_what_it_wrote(void **state)
{
    char made_name[] = "/tmp/djs_made_XXXXXX", answer_name[] = "/tmp/djs_answer_XXXXXX";
    test_t *test = *state;
    FILE *made, *answers;
    int count;

    close(mkstemp(made_name));
    close(mkstemp(answer_name));
    run_python(test, apr_psprintf(test->pool, "make 1 3000 %s", made_name));
    made = fopen(made_name, "r");
    answers = fopen(answer_name, "w");
    assert_non_null(made);
    assert_non_null(answers);
    count = answer_all(test, made, answers);
    fclose(made);
    fclose(answers);
    assert_number(count, 3000, "pickles");
    assert_number(atoi(run_python(test, apr_pstrcat(test->pool, "compare ", answer_name, NULL))),
                  count, "compared");
    remove(made_name);
    remove(answer_name);
}

static void what_json_has_is_pickled_as_well(void **state)
{
    static const char json[] =
        "{\"_auth_user_id\":\"1\",\"n\":[1,-1,65536,-2147483649,1e100,NaN,true,null],"
        "\"s\":\"\\u0000\\ud800\\u20ac\",\"d\":{\"n\":1.5,\"\":{}}}";
    test_t *test = *state;
    djs_value_t *value;
    int protocol;

    assert_status(test->ctx, djs_json_loads(test->ctx, DJS_JSON_UTF8, djs_bytes(json), &value),
                  APR_SUCCESS, "JSON");
    for (protocol = 2; protocol <= DJS_PICKLE_PROTOCOL_MAX; protocol++) {
        djs_value_t *back = read_pickle(test, write_pickle(test, protocol, value, "JSON"), "back");

        assert_number(djs_value_same(value, back), 1, "the same");
        assert_text(djs_json_dumps(test->ctx, DJS_JSON_COMPACT, back).data,
                    djs_json_dumps(test->ctx, DJS_JSON_COMPACT, value).data, "the same JSON");
    }
}

static void what_is_shared_is_written_once(void **state)
{
    test_t *test = *state;
    /* 2^16 values in 33 bytes. */
    static const char pickle[] = "N\x85" "2\x86" "2\x86" "2\x86" "2\x86" "2\x86" "2\x86" "2\x86"
                                 "2\x86" "2\x86" "2\x86" "2\x86" "2\x86" "2\x86" "2\x86" "2\x86.";
    djs_value_t *value = read_pickle(test, djs_bytes_of(pickle, sizeof(pickle) - 1), "shared");
    djs_bytes_t written = write_pickle(test, 4, value, "shared");

    assert_true(written.len < 100);
    value = read_pickle(test, written, "back");
    assert_ptr_equal(djs_value_at(value, 0), djs_value_at(value, 1));
}

/* Of few texts, of more, and of some that differ in the middle only: each twice. */
static void a_text_is_written_once_however_many_there_are(void **state)
{
    static const struct { int count; const char *around; } cases[] = {
        { 1, "" }, { 46, "" }, { 47, "" }, { 48, "" }, { 49, "" }, { 300, "" },
        { 40, "the same on both sides" }, { 60, "the same on both sides" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_value_t *list = djs_value_make_list(test->pool), *back;
        djs_bytes_t pickle;
        int n;

        for (n = 0; n < 2 * cases[i].count; n++) {
            const char *text = apr_psprintf(test->pool, "%s%03d%s", cases[i].around,
                                            n % cases[i].count, cases[i].around);

            djs_value_append(list, djs_value_make_str(test->pool, djs_bytes(text)));
        }
        pickle = write_pickle(test, 4, list, cases[i].around);
        back = read_pickle(test, pickle, cases[i].around);
        assert_true(djs_value_same(list, back));
        for (n = 0; n < cases[i].count; n++) {
            assert_ptr_equal(djs_value_at(back, (apr_size_t)n),
                             djs_value_at(back, (apr_size_t)(n + cases[i].count)));
        }
    }
}

static void a_changed_key_leaves_the_others_as_they_were(void **state)
{
    static const char pickle[] = "\x80\x02}q\0(X\x01\0\0\0aK\1X\x01\0\0\0tcpytz\n_UTC\n)RK\x07" "Nu.";
    static const char want[] = "\x80\x02}q\0(X\x01\0\0\0aq\1]q\2X\x01\0\0\0tq\3cpytz\n_UTC\nq\4)Rq\5"
                               "K\x07Nu.";
    test_t *test = *state;
    djs_value_t *value = read_pickle(test, djs_bytes_of(pickle, sizeof(pickle) - 1), "a session");

    djs_value_set(value, djs_bytes("a"), djs_value_make_list(test->pool));
    assert_bytes(write_pickle(test, 2, value, "changed"), djs_bytes_of(want, sizeof(want) - 1),
                 "pytz's UTC, and a key that is a number");
}

static void what_cannot_be_written_is_told(void **state)
{
    test_t *test = *state;
    djs_bytes_t pickle;
    djs_value_t *text = djs_value_make_str(test->pool, djs_bytes("\xff"));

    assert_status(test->ctx, djs_pickle_dumps(test->ctx, 4, text, &pickle), DJS_EFORMAT,
                  "no UTF-8");
    djs_forget(test->ctx);
    assert_status(test->ctx, djs_pickle_dumps(test->ctx, 1, text, &pickle), DJS_EINVAL,
                  "a protocol that has no use");
    djs_forget(test->ctx);
    assert_status(test->ctx, djs_pickle_dumps(test->ctx, 6, text, &pickle), DJS_EINVAL,
                  "a protocol that is not known");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(every_value_of_the_vectors_is_written_in_every_protocol),
        TEST(python_reads_back_what_it_wrote),
        TEST(what_json_has_is_pickled_as_well),
        TEST(what_is_shared_is_written_once),
        TEST(a_text_is_written_once_however_many_there_are),
        TEST(a_changed_key_leaves_the_others_as_they_were),
        TEST(what_cannot_be_written_is_told),
    };

    return RUN_TESTS(tests);
}
