/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets from files, programs, the environment, and as they are.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keys.h"

/* A file with this content, gone with the test. */
static const char *make_file(test_t *test, const void *content, size_t len, mode_t mode)
{
    char *path = apr_pstrdup(test->pool, "/tmp/djs-keys-XXXXXX");
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    apr_pool_cleanup_register(test->pool, path, (apr_status_t(*)(void *))(void (*)(void))unlink,
                              apr_pool_cleanup_null);
    return path;
}

static const char *program(test_t *test, const char *script)
{
    return apr_pstrcat(test->pool, "exec:", make_file(test, script, strlen(script), 0700), NULL);
}

static void assert_secret(test_t *test, const char *spec, const char *expected, const char *why)
{
    djs_bytes_t secret = { NULL, 0 };

    assert_status(test->ctx, djs_keys_read(test->ctx, spec, &secret), APR_SUCCESS, why);
    assert_bytes(secret, djs_bytes(expected), why);
}

static void assert_refused(test_t *test, const char *spec, const char *hint, const char *why)
{
    djs_bytes_t secret;

    test->ctx->problem = NULL;
    assert_status(test->ctx, djs_keys_read(test->ctx, spec, &secret), DJS_EINVAL, why);
    assert_non_null(test->ctx->problem);
    if (strstr(test->ctx->problem, hint) == NULL) {
        fail_msg("%s: \"%s\" does not say \"%s\"", why, test->ctx->problem, hint);
    }
}

static void a_text_without_a_prefix_is_the_secret(void **state)
{
    test_t *test = *state;

    assert_secret(test, "k3y!@#$%^&*(-_=+)", "k3y!@#$%^&*(-_=+)", "as it is");
    assert_secret(test, " spaces and \n newlines \n", " spaces and \n newlines \n", "nothing dropped");
    assert_secret(test, "files:no prefix", "files:no prefix", "almost a prefix");
    assert_refused(test, "", "is empty", "no text");
}

static void a_file_loses_one_trailing_newline(void **state)
{
    static const struct { const char *content, *secret; } files[] = {
        { "secret", "secret" },        { "secret\n", "secret" }, { "secret\n\n", "secret\n" },
        { "secret\r\n", "secret" },    { " secret ", " secret " }, { "two\nlines\n", "two\nlines" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        const char *path = make_file(test, files[i].content, strlen(files[i].content), 0600);

        assert_secret(test, apr_pstrcat(test->pool, "file:", path, NULL), files[i].secret,
                      files[i].content);
    }
}

static void a_file_that_is_no_good_is_named_in_the_refusal(void **state)
{
    test_t *test = *state;
    char *large = calloc(1, 65 * 1024 + 1);
    const char *path;

    assert_refused(test, "file:/nowhere/at/all", "/nowhere/at/all", "no such file");
    assert_refused(test, "file:/tmp", "/tmp", "a folder");
    assert_refused(test, apr_pstrcat(test->pool, "file:", make_file(test, "", 0, 0600), NULL),
                   "is empty", "an empty file");
    assert_refused(test, apr_pstrcat(test->pool, "file:", make_file(test, "\n", 1, 0600), NULL),
                   "is empty", "a newline alone");
    assert_non_null(large);
    memset(large, 'x', 65 * 1024);
    path = make_file(test, large, 65 * 1024, 0600);
    free(large);
    assert_refused(test, apr_pstrcat(test->pool, "file:", path, NULL), "longer than", "too large");
}

static void a_variable_of_the_environment_is_taken_as_it_is(void **state)
{
    test_t *test = *state;

    setenv("DJS_TEST_SECRET", "from outside\n", 1);
    assert_secret(test, "env:DJS_TEST_SECRET", "from outside\n", "nothing dropped");
    setenv("DJS_TEST_SECRET", "", 1);
    assert_refused(test, "env:DJS_TEST_SECRET", "DJS_TEST_SECRET", "set, and empty");
    unsetenv("DJS_TEST_SECRET");
    assert_refused(test, "env:DJS_TEST_SECRET", "DJS_TEST_SECRET", "not set");
}

static void a_program_says_it_in_its_first_line(void **state)
{
    test_t *test = *state;

    setenv("DJS_TEST_SECRET", "inherited", 1);
    assert_secret(test, program(test, "#!/bin/sh\necho first\necho second\n"), "first", "two lines");
    assert_secret(test, program(test, "#!/bin/sh\nprintf 'no newline'\n"), "no newline", "no newline");
    assert_secret(test, program(test, "#!/bin/sh\necho \"$DJS_TEST_SECRET\"\n"), "inherited",
                  "it has the environment");
    assert_secret(test, program(test, "#!/bin/sh\ncat && echo done\n"), "done",
                  "it has an empty standard input");
    assert_secret(test, program(test, "#!/bin/sh\nexec yes\n"), "y", "it would go on for ever");
    unsetenv("DJS_TEST_SECRET");
}

static void a_program_that_fails_is_refused_whatever_it_said(void **state)
{
    test_t *test = *state;

    assert_refused(test, program(test, "#!/bin/sh\necho leaked\nexit 3\n"), "failed", "exit 3");
    assert_null(strstr(test->ctx->problem, "leaked"));
    assert_refused(test, program(test, "#!/bin/sh\necho leaked\nkill -9 $$\n"), "failed", "killed");
    assert_refused(test, program(test, "#!/bin/sh\nexit 0\n"), "is empty", "it says nothing");
    assert_refused(test, "exec:/nowhere/at/all", "/nowhere/at/all", "no such program");
    assert_refused(test, program(test, "not a program"), "djs-keys", "no interpreter");
    assert_refused(test, program(test, "#!/bin/sh\nexec tr '\\0' x </dev/zero"), "longer than",
                   "its line never ends");
}

static void no_shell_reads_the_path(void **state)
{
    test_t *test = *state;

    assert_refused(test, "exec:/bin/echo secret", "/bin/echo secret", "no words");
    assert_refused(test, "exec:/bin/true; echo secret", "cannot be run", "no commands");
}

static void a_keyring_holds_the_key_and_its_fallbacks_in_order(void **state)
{
    test_t *test = *state;
    djs_settings_t *settings = apr_pcalloc(test->pool, sizeof(*settings));
    djs_keyring_t *keys = NULL;

    settings->secret_key = "first";
    settings->secret_key_fallbacks = apr_array_make(test->pool, 2, sizeof(const char *));
    APR_ARRAY_PUSH(settings->secret_key_fallbacks, const char *) = "second";
    APR_ARRAY_PUSH(settings->secret_key_fallbacks, const char *) =
        apr_pstrcat(test->pool, "file:", make_file(test, "third\n", 6, 0600), NULL);
    assert_status(test->ctx, djs_keys_open(test->ctx, test->pool, settings, &keys), APR_SUCCESS,
                  "three");
    assert_number(djs_keyring_count(keys), 3, "three");
    assert_bytes(djs_keyring_key(keys, 0), djs_bytes("first"), "the key");
    assert_bytes(djs_keyring_key(keys, 1), djs_bytes("second"), "a fallback");
    assert_bytes(djs_keyring_key(keys, 2), djs_bytes("third"), "a fallback from a file");
}

static void a_refusal_names_the_directive_and_no_secret(void **state)
{
    test_t *test = *state;
    djs_settings_t *settings = apr_pcalloc(test->pool, sizeof(*settings));
    djs_keyring_t *keys;

    assert_status(test->ctx, djs_keys_open(test->ctx, test->pool, settings, &keys), DJS_EINVAL,
                  "no key");
    assert_non_null(strstr(test->ctx->problem, "DjangoSecretKey"));
    test->ctx->problem = NULL;
    settings->secret_key = "the very secret";
    settings->secret_key_fallbacks = apr_array_make(test->pool, 1, sizeof(const char *));
    APR_ARRAY_PUSH(settings->secret_key_fallbacks, const char *) = "env:DJS_TEST_NOT_SET";
    assert_status(test->ctx, djs_keys_open(test->ctx, test->pool, settings, &keys), DJS_EINVAL,
                  "no fallback");
    assert_non_null(strstr(test->ctx->problem, "DjangoSecretKeyFallbacks"));
    assert_null(strstr(test->ctx->problem, "very secret"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_text_without_a_prefix_is_the_secret),
        TEST(a_file_loses_one_trailing_newline),
        TEST(a_file_that_is_no_good_is_named_in_the_refusal),
        TEST(a_variable_of_the_environment_is_taken_as_it_is),
        TEST(a_program_says_it_in_its_first_line),
        TEST(a_program_that_fails_is_refused_whatever_it_said),
        TEST(no_shell_reads_the_path),
        TEST(a_keyring_holds_the_key_and_its_fallbacks_in_order),
        TEST(a_refusal_names_the_directive_and_no_secret),
    };

    return RUN_TESTS(tests);
}
