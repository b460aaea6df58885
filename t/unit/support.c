/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See support.h.
 */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_lib.h>

/* Beyond this much of a text, a message is no help. */
#define SHOWN_MAX 2000

int test_setup(void **state)
{
    apr_pool_t *pool;
    test_t *test;

    assert_int_equal(apr_pool_create(&pool, NULL), APR_SUCCESS);
    test = apr_pcalloc(pool, sizeof(*test));
    test->pool = pool;
    test->ctx = test_ctx(pool);
    *state = test;
    return 0;
}

int test_teardown(void **state)
{
    test_t *test = *state;

    apr_pool_destroy(test->pool);
    return 0;
}

int test_run(const char *name, const struct CMUnitTest *tests, size_t count)
{
    int failed;

    /* So that what an assertion says on stderr stands beside its test in a log. */
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (apr_initialize() != APR_SUCCESS) {
        print_error("# apr_initialize failed\n");
        return 1;
    }
    failed = _cmocka_run_group_tests(name, tests, count, NULL, NULL);
    apr_terminate();
    return failed;
}

int test_part(void)
{
    const char *part = getenv("DJS_TEST_PART");
    int n = part != NULL ? atoi(part) : 1;

    return n > 1 ? n : 1;
}

int test_rounds(int rounds)
{
    return (rounds + test_part() - 1) / test_part();
}

djs_ctx_t *test_ctx(apr_pool_t *pool)
{
    djs_ctx_t *ctx = apr_pcalloc(pool, sizeof(*ctx));

    ctx->pool = pool;
    ctx->now = TEST_NOW;
    ctx->patience = apr_time_from_sec(60);
    return ctx;
}

apr_time_t test_time(const json_t *seconds)
{
    if (json_is_integer(seconds)) {
        return apr_time_from_sec(json_integer_value(seconds));
    }
    if (!json_is_real(seconds)) {
        fail_msg("a vector's time is no number");
    }
    return (apr_time_t)llround(json_real_value(seconds) * APR_USEC_PER_SEC);
}

/*
 * ---- Golden vectors
 */

/*
 * What became of the cases that this program has met: a line for each in a file of its own in the
 * folder DJS_VECTORS_RUN, if that is set, for t/unit/all_vectors.py.
 */
static void note_fate(const json_t *a_case, const char *fate)
{
    static FILE *notes;
    const char *dir = getenv("DJS_VECTORS_RUN");
    char path[APR_PATH_MAX];

    if (dir == NULL) {
        return;
    }
    if (notes == NULL) {
        apr_snprintf(path, sizeof(path), "%s/%s", dir, program_invocation_short_name);
        notes = fopen(path, "w");
        if (notes == NULL) {
            fail_msg("%s cannot be written", path);
        }
    }
    fprintf(notes, "%s\t%d\t%s\n", vector_need(a_case, "#file"),
            (int)json_integer_value(json_object_get(a_case, "#number")), fate);
    fflush(notes);
}

void vector_done(const json_t *a_case)
{
    note_fate(a_case, "");
}

void vector_left(const json_t *a_case, const char *reason)
{
    note_fate(a_case, reason);
}

/* By which note_fate() knows them. */
static void number_cases(const json_t *cases, const char *file)
{
    json_t *a_case;
    size_t i;

    json_array_foreach(cases, i, a_case) {
        json_object_set_new(a_case, "#file", json_string(file));
        json_object_set_new(a_case, "#number", json_integer((json_int_t)i));
    }
}

static apr_status_t forget_json(void *root)
{
    json_decref(root);
    return APR_SUCCESS;
}

const json_t *test_vectors(apr_pool_t *pool, const char *file, size_t least)
{
    const char *dir = getenv("DJS_VECTORS");
    const char *path;
    const json_t *cases;
    json_t *root;
    json_error_t error;

    if (dir == NULL) {
        fail_msg("DJS_VECTORS is not set to the folder of the vectors; make check sets it");
    }
    path = apr_pstrcat(pool, dir, "/", file, NULL);
    root = json_load_file(path, 0, &error);
    if (root == NULL) {
        fail_msg("%s:%d: %s", path, error.line, error.text);
    }
    apr_pool_cleanup_register(pool, root, forget_json, apr_pool_cleanup_null);
    cases = json_object_get(root, "cases");
    if (json_array_size(cases) < least) {
        fail_msg("%s has %u cases, should have %u or more", path,
                 (unsigned int)json_array_size(cases), (unsigned int)least);
    }
    number_cases(cases, file);
    return cases;
}

const char *vector_text(const json_t *a_case, const char *name)
{
    return json_string_value(json_object_get(a_case, name));
}

const char *vector_need(const json_t *a_case, const char *name)
{
    const char *text = vector_text(a_case, name);

    if (text == NULL) {
        fail_msg("vector %s has no text \"%s\"", vector_text(a_case, "id"), name);
    }
    return text;
}

const char *vector_name(apr_pool_t *pool, const json_t *a_case)
{
    const json_t *versions = json_object_get(a_case, "django");
    const char *name = vector_need(a_case, "id");
    size_t i;

    for (i = 0; i < json_array_size(versions); i++) {
        name = apr_pstrcat(pool, name, i == 0 ? " (Django " : ", ",
                           json_string_value(json_array_get(versions, i)), NULL);
    }
    return i == 0 ? name : apr_pstrcat(pool, name, ")", NULL);
}

int vector_is_current(const json_t *a_case)
{
    const json_t *versions = json_object_get(a_case, "django");
    const json_t *last = json_array_get(versions, json_array_size(versions) - 1);

    return json_is_string(last) && strcmp(json_string_value(last), "5.1") == 0;
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, apr_tolower(c));

    if (at == NULL) {
        fail_msg("'%c' in a vector is no hex digit", c);
    }
    return (int)(at - digits);
}

djs_bytes_t test_alone(djs_bytes_t bytes)
{
    char *copy = malloc(bytes.len > 0 ? bytes.len : 1);

    assert_non_null(copy);
    if (bytes.len > 0) {
        memcpy(copy, bytes.data, bytes.len);
    }
    return djs_bytes_of(copy, bytes.len);
}

djs_bytes_t test_unhex(apr_pool_t *pool, const char *hex)
{
    djs_bytes_t bytes;
    char *data;
    size_t len = strlen(hex);
    size_t i;

    if (len % 2 != 0) {
        fail_msg("an odd number of hex digits in a vector: %.80s", hex);
    }
    data = apr_palloc(pool, len / 2 + 1);
    for (i = 0; i < len / 2; i++) {
        data[i] = (char)(hex_digit(hex[2 * i]) * 16 + hex_digit(hex[2 * i + 1]));
    }
    data[i] = '\0';
    bytes.data = data;
    bytes.len = i;
    return bytes;
}

/* [[hex, times], ...], one after the other. */
static djs_bytes_t unroll(apr_pool_t *pool, const json_t *runs)
{
    djs_bytes_t all = { "", 0 };
    size_t pass, i;

    for (pass = 0; pass < 2; pass++) { /* measure, then write */
        char *to = pass == 0 ? NULL : apr_palloc(pool, all.len + 1);

        if (to != NULL) {
            to[all.len] = '\0';
            all.data = to;
        }
        for (i = 0; i < json_array_size(runs); i++) {
            const json_t *run = json_array_get(runs, i);
            const char *hex = json_string_value(json_array_get(run, 0));
            json_int_t times = json_integer_value(json_array_get(run, 1));
            djs_bytes_t piece;

            if (hex == NULL || times < 0) {
                fail_msg("a run in a vector is not [hex, times]");
            }
            piece = test_unhex(pool, hex);
            if (to == NULL) {
                all.len += piece.len * (size_t)times;
                continue;
            }
            for (; times > 0; times--) {
                memcpy(to, piece.data, piece.len);
                to += piece.len;
            }
        }
    }
    return all;
}

int vector_bytes(apr_pool_t *pool, const json_t *a_case, const char *name, djs_bytes_t *bytes)
{
    const json_t *hex = json_object_get(a_case, apr_pstrcat(pool, name, "_hex", NULL));
    const json_t *runs = json_object_get(a_case, apr_pstrcat(pool, name, "_runs", NULL));

    if (json_is_string(hex)) {
        *bytes = test_unhex(pool, json_string_value(hex));
        return 1;
    }
    if (json_is_array(runs)) {
        *bytes = unroll(pool, runs);
        return 1;
    }
    return 0;
}

/*
 * ---- Assertions
 */

/* As it may stand on one line of a log. */
static const char *visible(apr_pool_t *pool, djs_bytes_t bytes)
{
    size_t shown = bytes.len < SHOWN_MAX ? bytes.len : SHOWN_MAX;
    char *text = apr_palloc(pool, shown * 4 + 1);
    char *to = text;
    size_t i;

    for (i = 0; i < shown; i++) {
        unsigned char c = (unsigned char)bytes.data[i];

        if (c >= 0x20 && c < 0x7f && c != '\\') {
            *to++ = (char)c;
        }
        else {
            to += apr_snprintf(to, 5, "\\x%02x", c);
        }
    }
    *to = '\0';
    return apr_psprintf(pool, "%s%s (%" APR_SIZE_T_FMT " bytes)", text,
                        shown < bytes.len ? "..." : "", bytes.len);
}

void test_assert_status(const djs_ctx_t *ctx, apr_status_t got, apr_status_t expected,
                        const char *why, const char *file, int line)
{
    if (got == expected) {
        return;
    }
    print_error("# %s\n#   got      %s (%d)\n#   expected %s (%d)\n#   problem: %s\n", why,
                djs_status_name(got), got, djs_status_name(expected), expected,
                ctx != NULL && ctx->problem != NULL ? ctx->problem : "none noted");
    _fail(file, line);
}

void test_assert_text(const char *got, const char *expected, const char *why, const char *file,
                      int line)
{
    if (got == NULL || expected == NULL) {
        if (got == expected) {
            return;
        }
        print_error("# %s\n#   got      %s\n#   expected %s\n", why, got ? got : "NULL",
                    expected ? expected : "NULL");
        _fail(file, line);
    }
    test_assert_bytes(djs_bytes(got), djs_bytes(expected), why, file, line);
}

void test_assert_bytes(djs_bytes_t got, djs_bytes_t expected, const char *why, const char *file,
                       int line)
{
    apr_pool_t *pool;

    if (djs_bytes_equal(got, expected)) {
        return;
    }
    assert_int_equal(apr_pool_create(&pool, NULL), APR_SUCCESS);
    print_error("# %s\n#   got      %s\n#   expected %s\n", why, visible(pool, got),
                visible(pool, expected));
    apr_pool_destroy(pool);
    _fail(file, line);
}

void test_assert_number(apr_int64_t got, apr_int64_t expected, const char *why, const char *file,
                        int line)
{
    if (got == expected) {
        return;
    }
    print_error("# %s\n#   got      %" APR_INT64_T_FMT "\n#   expected %" APR_INT64_T_FMT "\n", why,
                got, expected);
    _fail(file, line);
}
