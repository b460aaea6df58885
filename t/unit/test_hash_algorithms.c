/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Password columns of each algorithm: right and wrong passwords as three versions of Django tell them,
 * and what hostile columns do.
 */
#include "support.h"

#include <string.h>

#include "hashers.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const djs_hashers_t *hashers_of(djs_ctx_t *ctx, const char *words)
{
    const djs_hashers_t *hashers = NULL;

    assert_status(ctx, djs_hashers_parse(ctx, 1, &words, &hashers), APR_SUCCESS, words);
    return hashers;
}

/* All that a version of Django has, cheap ones in front. */
static const djs_hashers_t *all_of(djs_ctx_t *ctx, int current)
{
    return hashers_of(ctx, current ? "pbkdf2_sha256=1 pbkdf2_sha1 argon2 bcrypt_sha256 bcrypt "
                                     "scrypt md5"
                                   : "pbkdf2_sha256=1 pbkdf2_sha1 argon2 bcrypt_sha256 bcrypt "
                                     "scrypt md5 sha1 unsalted_md5 unsalted_sha1");
}

static int is_unsupported_there(const json_t *a_case)
{
    /* Django 3.2 has no scrypt, and calls such a column unknown. */
    return strcmp(vector_need(a_case, "id"), "odd-scrypt-broken") == 0;
}

/* Built --without-argon2, which `make distcheck` does: there such columns are refused. */
static int is_left_out(const char *column)
{
#ifdef DJS_WITHOUT_ARGON2
    return strncmp(column, "argon2", 6) == 0;
#else
    return 0;
#endif
}

static void passwords_are_told_right_from_wrong_as_django_does(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "passwords.json", 353);
    const json_t *a_case;
    size_t i, right = 0;

    json_array_foreach(cases, i, a_case) {
        const char *name = vector_name(test->pool, a_case);
        const char *column = vector_text(a_case, "encoded");
        const djs_hashers_t *hashers = all_of(test->ctx, vector_is_current(a_case));
        djs_password_check_t check = { 1, 1 };
        djs_bytes_t password;
        apr_status_t rv;

        if (!column) {
            vector_left(a_case, "a password that Django itself cannot hash, bcrypt and NUL");
            continue;
        }
        if (!vector_bytes(test->pool, a_case, "password", &password)) {
            fail_msg("%s has no password", name);
        }
        if (i % (size_t)test_part() != 0) {
            continue; /* these cost what they are made to cost */
        }
        djs_forget(test->ctx);
        rv = djs_hashers_check(test->ctx, hashers, password, column, &check);
        if (is_left_out(column)) {
            assert_status(test->ctx, rv, DJS_EUNSUPPORTED, name);
            assert_number(check.right, 0, name);
            vector_done(a_case);
            continue;
        }
        if (json_object_get(a_case, "exception")) {
            assert_status(test->ctx, rv, DJS_EFORMAT, name);
        }
        else if (rv != APR_SUCCESS && !is_unsupported_there(a_case)) {
            assert_false(json_is_true(json_object_get(a_case, "ok")));
            assert_true(rv == DJS_EUNSUPPORTED || rv == DJS_EFORMAT || rv == DJS_ELIMIT);
        }
        assert_number(check.right, json_is_true(json_object_get(a_case, "ok")), name);
        right += (size_t)check.right;
        vector_done(a_case);
    }
    assert_true(right > (size_t)test_rounds(120));
}

static void what_is_encoded_is_right_needs_no_update_and_has_a_salt_of_its_own(void **state)
{
    static const char *const words[] = {
        "pbkdf2_sha256=1000", "pbkdf2_sha1=7", "argon2=64,1,8", "bcrypt_sha256=4", "bcrypt=4",
        "scrypt=16,8,5", "md5", "sha1", "unsalted_md5", "unsalted_sha1",
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(words); i++) {
        const djs_hashers_t *hashers = hashers_of(test->ctx, words[i]);
        djs_bytes_t password = djs_bytes("p\xc3\xa4ssword");
        const char *column = NULL, *other = NULL;
        djs_password_check_t check;

        if (is_left_out(words[i])) {
            assert_status(test->ctx, djs_hashers_encode(test->ctx, hashers, password, &column),
                          APR_EGENERAL, words[i]);
            continue;
        }
        assert_status(test->ctx, djs_hashers_encode(test->ctx, hashers, password, &column),
                      APR_SUCCESS, words[i]);
        assert_status(test->ctx, djs_hashers_encode(test->ctx, hashers, password, &other),
                      APR_SUCCESS, words[i]);
        assert_number(strcmp(column, other) == 0, strncmp(words[i], "unsalted", 8) == 0, words[i]);
        assert_true(strlen(column) <= 128);
        assert_status(test->ctx,
                      djs_hashers_check(test->ctx, hashers, password, column, &check), APR_SUCCESS,
                      words[i]);
        assert_number(check.right, 1, words[i]);
        assert_number(check.must_update, 0, words[i]);
        assert_status(test->ctx,
                      djs_hashers_check(test->ctx, hashers, djs_bytes("passwort"), column, &check),
                      APR_SUCCESS, words[i]);
        assert_number(check.right, 0, words[i]);
    }
}

static void hostile_columns_are_refused_before_anything_is_computed(void **state)
{
    static const struct {
        const char *column;
        apr_status_t status;
        const char *why;
    } cases[] = {
        { "pbkdf2_sha256$10000001$salt$x", DJS_ELIMIT, "half a minute of PBKDF2" },
        { "pbkdf2_sha256$4294967295$salt$x", DJS_ELIMIT, "all that 32 bits hold" },
        { "pbkdf2_sha256$4294967296$salt$x", DJS_EFORMAT, "one more" },
        { "pbkdf2_sha256$99999999999999999999999999$salt$x", DJS_EFORMAT, "a long number" },
        { "pbkdf2_sha256$0$salt$x", DJS_ELIMIT, "none: Django takes its default" },
        { "pbkdf2_sha256$-1$salt$x", DJS_EFORMAT, "negative" },
        { "pbkdf2_sha256$ 3$salt$x", DJS_EFORMAT, "a space, which Python's int() would take" },
        { "pbkdf2_sha256$03$salt$x", DJS_EFORMAT, "a zero in front, which int() would take" },
        { "pbkdf2_sha256$3$$x", DJS_EFORMAT, "no salt" },
        { "pbkdf2_sha256$3$salt", DJS_EFORMAT, "no hash" },
        { "scrypt$2097152$salt$8$1$x", DJS_ELIMIT, "2 GiB" },
        { "scrypt$1048576$salt$32$1$x", DJS_ELIMIT, "4 GiB" },
        { "scrypt$16384$salt$8$64$x", DJS_ELIMIT, "twelve times the work of the default" },
        { "scrypt$15$salt$8$1$x", DJS_EFORMAT, "N is no power of two" },
        { "scrypt$0$salt$8$1$x", DJS_ELIMIT, "N is nothing" },
        { "scrypt$16$salt$0$1$x", DJS_ELIMIT, "no blocks" },
        { "scrypt$16$salt$8$1", DJS_EFORMAT, "no hash" },
        { "argon2$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", DJS_ELIMIT,
          "4 TiB" },
        { "argon2$argon2id$v=19$m=1048576,t=64,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", DJS_ELIMIT,
          "a minute" },
        { "argon2$argon2id$v=19$m=64,t=1,p=65$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", DJS_ELIMIT,
          "many lanes" },
        { "argon2$argon2id$v=19$m=8,t=1,p=8$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", DJS_EFORMAT,
          "less memory than its lanes need" },
        { "argon2$argon2id$v=99$m=64,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", DJS_EFORMAT,
          "a version of the future" },
        { "argon2$argon2x$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", DJS_EFORMAT,
          "another variant" },
        { "argon2$argon2id$v=19$m=64,t=1,p=1$YQ$AAAAAAAAAAAAAAAAAAAAAA", DJS_EFORMAT,
          "a salt of one byte, which the library refuses" },
        { "argon2$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$", DJS_EFORMAT, "no hash" },
        { "bcrypt$$2b$17$TF5KGmS.VplkOZH2xrfEmOPCZVuI/jolbaAxTC1MTFQ6zg762y81m", DJS_ELIMIT,
          "32 times the work of the default" },
        { "bcrypt$$2b$31$TF5KGmS.VplkOZH2xrfEmOPCZVuI/jolbaAxTC1MTFQ6zg762y81m", DJS_ELIMIT,
          "two days" },
        { "bcrypt$$2b$99$TF5KGmS.VplkOZH2xrfEmOPCZVuI/jolbaAxTC1MTFQ6zg762y81m", DJS_ELIMIT,
          "not of this world" },
        { "bcrypt$$2x$04$TF5KGmS.VplkOZH2xrfEmOPCZVuI/jolbaAxTC1MTFQ6zg762y81m", DJS_EFORMAT,
          "the broken variant" },
        { "bcrypt$$2b$04$TF5KGmS.VplkOZH2xrfEmOPCZVuI", DJS_EFORMAT, "cut short" },
        { "bcrypt$$6$rounds=999999999$salt$hash", DJS_EFORMAT, "SHA-512 of libcrypt" },
        { "bcrypt_sha256$$2b$4$", DJS_EFORMAT, "one digit" },
        { "bcrypt", DJS_EFORMAT, "a name alone" },
        { "argon2$", DJS_EFORMAT, "a name and a dollar" },
        { "md5$", DJS_EFORMAT, "a name and a dollar" },
        { "crypt$$abcdefghijklm", DJS_EUNSUPPORTED, "Django's last crypt was 4.2's" },
        { "secret", DJS_EUNSUPPORTED, "a password instead of its hash" },
        { "django.contrib.auth.hashers.MD5PasswordHasher$a$b", DJS_EUNSUPPORTED, "a class" },
    };
    test_t *test = *state;
    const djs_hashers_t *hashers = all_of(test->ctx, 0);
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        djs_password_check_t check = { 1, 1 };

        djs_forget(test->ctx);
        assert_status(test->ctx,
                      djs_hashers_check(test->ctx, hashers, djs_bytes("pw"), cases[i].column,
                                        &check),
                      is_left_out(cases[i].column) ? DJS_EUNSUPPORTED : cases[i].status,
                      cases[i].why);
        assert_number(check.right, 0, cases[i].why);
        assert_non_null(test->ctx->problem);
        /* Nothing of the column but the name of its hasher is told. */
        assert_null(strstr(test->ctx->problem, "secret"));
        assert_null(strstr(test->ctx->problem, "salt$"));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(passwords_are_told_right_from_wrong_as_django_does),
        TEST(what_is_encoded_is_right_needs_no_update_and_has_a_salt_of_its_own),
        TEST(hostile_columns_are_refused_before_anything_is_computed),
    };

    return RUN_TESTS(tests);
}
