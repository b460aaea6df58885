/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of password hashers: how it is read, which columns count, what is renewed.
 */
#include "support.h"

#include <string.h>

#include "hashers.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
/* Of "pw", as any Django makes it. */
#define PW_3 "pbkdf2_sha256$3$salt$PGcSNOOGyzByINcO4VxJhRYLio26YvJHABsHl0rVLtE="

static const djs_hashers_t *hashers_of(djs_ctx_t *ctx, const char *words)
{
    const djs_hashers_t *hashers = NULL;

    assert_status(ctx, djs_hashers_parse(ctx, 1, &words, &hashers), APR_SUCCESS, words);
    return hashers;
}

static void an_update_is_due_where_django_would_make_one(void **state)
{
    static const struct {
        const char *hashers, *column, *password;
        int due;
        const char *why;
    } cases[] = {
        { "pbkdf2_sha256=3", PW_3, "pw", 1, "the salt is weak" },
        { "pbkdf2_sha256=1000",
          "pbkdf2_sha256$1000$qzRJkMNKazbCvV9Vzbq30k$8FmekiMNT5ufrliRNm1T5+cwj1o8m6ePId3araBsBjk=",
          "hunter2s", 0, "all as it would be made" },
        { "pbkdf2_sha256=999",
          "pbkdf2_sha256$1000$qzRJkMNKazbCvV9Vzbq30k$8FmekiMNT5ufrliRNm1T5+cwj1o8m6ePId3araBsBjk=",
          "hunter2s", 1, "more iterations than are wanted" },
        { "pbkdf2_sha256",
          "pbkdf2_sha256$1000$qzRJkMNKazbCvV9Vzbq30k$8FmekiMNT5ufrliRNm1T5+cwj1o8m6ePId3araBsBjk=",
          "hunter2s", 0, "nobody said how many are wanted" },
        { "scrypt=16,8,5 pbkdf2_sha256=1000",
          "pbkdf2_sha256$1000$qzRJkMNKazbCvV9Vzbq30k$8FmekiMNT5ufrliRNm1T5+cwj1o8m6ePId3araBsBjk=",
          "hunter2s", 1, "another algorithm is the first" },
        { "bcrypt=4", "bcrypt$$2b$04$TF5KGmS.VplkOZH2xrfEmOPCZVuI/jolbaAxTC1MTFQ6zg762y81m",
          "hunter2s", 0, "as many rounds" },
        { "bcrypt=5", "bcrypt$$2b$04$TF5KGmS.VplkOZH2xrfEmOPCZVuI/jolbaAxTC1MTFQ6zg762y81m",
          "hunter2s", 1, "fewer rounds" },
#ifndef DJS_WITHOUT_ARGON2
        { "argon2=64,1,1",
          "argon2$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzaGFyZWQ$BybgT3dhui0w+GX29bs8UA",
          "hunter2s", 1, "the salt is weak" },
        { "argon2=128,2,2",
          "argon2$argon2i$v=19$m=128,t=2,p=2$c2FsdHNhbHRzaGFyZWQ$3wkqxhDuaYpAYTrOKrNE3IOb2czIwwyA",
          "hunter2s", 1, "argon2i" },
#endif
        { "md5", "md5$qzRJkMNKazbCvV9Vzbq30k$6930dc052c8155bf000ecdd2100c96b5",
          "correct horses", 0, "has no cost" },
        { "pbkdf2_sha256=1 md5", "md5$qzRJkMNKazbCvV9Vzbq30k$6930dc052c8155bf000ecdd2100c96b5",
          "correct horses", 1, "md5 is only tolerated" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        djs_password_check_t check;

        assert_status(test->ctx,
                      djs_hashers_check(test->ctx, hashers_of(test->ctx, cases[i].hashers),
                                        djs_bytes(cases[i].password), cases[i].column, &check),
                      APR_SUCCESS, cases[i].why);
        assert_number(check.right, 1, cases[i].why);
        assert_number(check.must_update, cases[i].due, cases[i].why);
        /* Nothing is due for a wrong one. */
        assert_status(test->ctx,
                      djs_hashers_check(test->ctx, hashers_of(test->ctx, cases[i].hashers),
                                        djs_bytes("wrong"), cases[i].column, &check),
                      APR_SUCCESS, cases[i].why);
        assert_number(check.right || check.must_update, 0, cases[i].why);
    }
}

static void columns_of_hashers_that_are_not_named_are_refused(void **state)
{
    test_t *test = *state;
    const djs_hashers_t *hashers = hashers_of(test->ctx, "pbkdf2_sha1=1");
    djs_password_check_t check;

    assert_status(test->ctx, djs_hashers_check(test->ctx, hashers, djs_bytes("pw"), PW_3, &check),
                  DJS_EUNSUPPORTED, "pbkdf2_sha256");
    assert_text(test->ctx->problem,
                "the stored password is of pbkdf2_sha256, which DjangoPasswordHashers does not name",
                "the administrator learns which");
    assert_number(check.right, 0, "not right");
}

static void nobody_and_unusable_columns_have_no_password(void **state)
{
    static const char *const columns[] = { NULL, "!", "!" PW_3, "!AAAAAAAA" };
    test_t *test = *state;
    const djs_hashers_t *hashers = hashers_of(test->ctx, "pbkdf2_sha256=1 bcrypt=4");
    size_t i;

    for (i = 0; i < COUNT(columns); i++) {
        djs_password_check_t check = { 1, 1 };

        assert_status(test->ctx,
                      djs_hashers_check(test->ctx, hashers, djs_bytes("pw"), columns[i], &check),
                      APR_SUCCESS, "no failure either");
        assert_number(check.right || check.must_update, 0, columns[i] ? columns[i] : "nobody");
    }
}

static void passwords_that_cannot_be_are_wrong(void **state)
{
    static const char column[]
        = "bcrypt$$2b$04$TF5KGmS.VplkOZH2xrfEmOPCZVuI/jolbaAxTC1MTFQ6zg762y81m";
    test_t *test = *state;
    const djs_hashers_t *hashers = hashers_of(test->ctx, "bcrypt=4");
    djs_bytes_t with_nul = djs_bytes_of("hunter2s\0x", 10);
    char *longest = apr_pcalloc(test->pool, DJS_PASSWORD_MAX + 2);
    djs_password_check_t check;
    const char *made;

    assert_status(test->ctx, djs_hashers_check(test->ctx, hashers, with_nul, column, &check),
                  APR_SUCCESS, "a NUL for bcrypt");
    assert_number(check.right, 0, "nothing behind a NUL is ignored");
    assert_status(test->ctx, djs_hashers_encode(test->ctx, hashers, with_nul, &made), DJS_EINVAL,
                  "nor hashed");
    djs_forget(test->ctx);
    memset(longest, 'x', DJS_PASSWORD_MAX + 1);
    assert_status(test->ctx,
                  djs_hashers_check(test->ctx, hashers, djs_bytes(longest), column, &check),
                  DJS_EINVAL, "too long");
    assert_status(test->ctx, djs_hashers_encode(test->ctx, hashers, djs_bytes(longest), &made),
                  DJS_EINVAL, "too long to hash");
    longest[DJS_PASSWORD_MAX] = '\0';
    assert_status(test->ctx,
                  djs_hashers_check(test->ctx, hashers, djs_bytes(longest), column, &check),
                  APR_SUCCESS, "just not too long");
}

static void lists_are_read_and_written_again(void **state)
{
    static const struct { const char *words, *text; } good[] = {
        { "pbkdf2_sha256", "pbkdf2_sha256" },
        { "pbkdf2_sha256=870000 argon2=102400,2,8", "pbkdf2_sha256=870000 argon2=102400,2,8" },
        { "django.contrib.auth.hashers.BCryptSHA256PasswordHasher=12 md5", "bcrypt_sha256=12 md5" },
        { " scrypt=16384,8,5 ", "scrypt=16384,8,5" },
    };
    static const struct { const char *words, *why; } bad[] = {
        { "", "none" },
        { "sha512", "no hasher of Django's" },
        { "crypt", "not one of ours" },
        { "PBKDF2_SHA256", "names have one case" },
        { "django.contrib.auth.hashers.CryptPasswordHasher", "a class without a hasher" },
        { "my.hashers.PBKDF2PasswordHasher", "somebody else's class" },
        { "md5 md5", "twice" },
        { "md5=1", "no cost" },
        { "pbkdf2_sha256=", "an empty cost" },
        { "pbkdf2_sha256=0", "no iterations" },
        { "pbkdf2_sha256=1x", "no number" },
        { "pbkdf2_sha256=1,2", "too many numbers" },
        { "pbkdf2_sha256=10000001", "beyond the limit" },
        { "argon2=102400", "too few numbers" },
        { "argon2=1048576,64,64", "each within its limit, all together not" },
        { "scrypt=15,8,1", "no power of two" },
        { "bcrypt=3", "fewer rounds than there can be" },
        { "bcrypt=-4", "a sign" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(good); i++) {
        const djs_hashers_t *hashers = hashers_of(test->ctx, good[i].words);

        assert_text(djs_hashers_text(test->pool, hashers), good[i].text, good[i].words);
        assert_true(djs_hashers_equal(hashers, hashers_of(test->ctx, good[i].text)));
        assert_true(djs_hashers_equal(hashers, djs_hashers_copy(test->pool, hashers)));
        assert_false(djs_hashers_equal(hashers, hashers_of(test->ctx, "unsalted_md5")));
    }
    for (i = 0; i < COUNT(bad); i++) {
        const djs_hashers_t *hashers;

        djs_forget(test->ctx);
        assert_status(test->ctx, djs_hashers_parse(test->ctx, 1, &bad[i].words, &hashers),
                      DJS_EINVAL, bad[i].why);
        assert_non_null(strstr(test->ctx->problem, "allowed")
                        ? strstr(test->ctx->problem, "allowed")
                        : strstr(test->ctx->problem, "twice")
                              ? strstr(test->ctx->problem, "twice")
                              : strstr(test->ctx->problem, "no cost"));
    }
}

static void a_build_tells_what_it_lacks(void **state)
{
    test_t *test = *state;

    assert_status(test->ctx,
                  djs_hashers_available(test->ctx, hashers_of(test->ctx, "pbkdf2_sha1 scrypt md5")),
                  APR_SUCCESS, "OpenSSL's are always there");
#ifdef DJS_WITHOUT_ARGON2
    assert_status(test->ctx, djs_hashers_available(test->ctx, hashers_of(test->ctx, "md5 argon2")),
                  DJS_EINVAL, "argon2");
    assert_text(test->ctx->problem, "argon2 is not in this build: it was configured --without-argon2",
                "argon2");
#else
    assert_status(test->ctx,
                  djs_hashers_available(test->ctx, hashers_of(test->ctx, "bcrypt argon2")),
                  APR_SUCCESS, "all of them");
#endif
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(an_update_is_due_where_django_would_make_one),
        TEST(columns_of_hashers_that_are_not_named_are_refused),
        TEST(nobody_and_unusable_columns_have_no_password),
        TEST(passwords_that_cannot_be_are_wrong),
        TEST(lists_are_read_and_written_again),
        TEST(a_build_tells_what_it_lacks),
    };

    return RUN_TESTS(tests);
}
