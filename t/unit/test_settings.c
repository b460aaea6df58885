/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings: what each directive takes and refuses, how sections merge, what cannot work together.
 * Most tests go over all rows, so a new row is tested as soon as it is there.
 */
#include "support.h"

#include <string.h>

#include <apr_lib.h>

#include "settings.h"

#define ROWS  ((int)DJS_SETTING_COUNT)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const djs_setting_row_t *row_of(const char *directive)
{
    const djs_setting_row_t *row = djs_setting_find(directive);

    if (!row) {
        fail_msg("there is no row %s", directive);
    }
    return row;
}

/* Set a row to values that stand in one line. */
static apr_status_t set(djs_ctx_t *ctx, djs_settings_t *settings, const djs_setting_row_t *row,
                        const char *line)
{
    char **words;
    int count = 0;

    assert_int_equal(apr_tokenize_to_argv(line, &words, ctx->pool), APR_SUCCESS);
    while (words[count]) {
        count++;
    }
    return djs_settings_set(ctx, settings, row, count, (const char *const *)words);
}

static void must_set(djs_ctx_t *ctx, djs_settings_t *settings, const char *directive,
                     const char *line)
{
    assert_status(ctx, set(ctx, settings, row_of(directive), line), APR_SUCCESS, directive);
}

static const char *text_of(apr_pool_t *pool, const djs_settings_t *settings, const char *directive)
{
    return djs_settings_text(pool, settings, row_of(directive));
}

/* Two values for a kind, as they are printed again. */
static const struct { const char *first, *second; } examples[DJS_KIND_COUNT] = {
    [DJS_KIND_FLAG] = { "On", "Off" },
    [DJS_KIND_DURATION] = { "7s", "11d" },
    [DJS_KIND_TIMEOUT] = { "7ms", "11min" },
    [DJS_KIND_LIMIT] = { "8h", "None" },
    [DJS_KIND_PERIOD] = { "8h", "Off" },
    [DJS_KIND_TOKEN] = { "one", "two" },
    [DJS_KIND_COOKIE_NAME] = { "one", "two" },
    [DJS_KIND_COOKIE_PATH] = { "/one", "/two" },
    [DJS_KIND_COOKIE_DOMAIN] = { "one.example", "None" },
    [DJS_KIND_PARAM] = { "one", "None" },
    [DJS_KIND_TABLE] = { "one", "other.two" },
    [DJS_KIND_IDENTIFIER] = { "one", "two" },
    [DJS_KIND_URL] = { "/one", "https://two.example/" },
    [DJS_KIND_NAME] = { "one", "two.three" },
    [DJS_KIND_PATH] = { "/one", "two/three" },
    [DJS_KIND_SECRET] = { "file:/one", "env:TWO" },
    [DJS_KIND_SECRETS] = { "file:/one exec:/bin/one", "env:TWO" },
    [DJS_KIND_NAMES] = { "one", "two three" },
    [DJS_KIND_ORIGINS] = { "https://one.example", "https://*.two.example:8443 .three" },
    [DJS_KIND_HOSTS] = { "www.example", "https://www.example http://shop.example:8080" },
    [DJS_KIND_CACHE] = { "memcached://one:1,[::1]:2 prefix=p", "shm://two?size=2m pool=3" },
    [DJS_KIND_NUMBER] = { "1", "64" },
    [DJS_KIND_THROTTLE] = { "3/1h Off", "Off" },
    [DJS_KIND_HASHERS] = { "argon2=65536,3,4 md5", "bcrypt" },
    [DJS_KIND_EXPORT] = { "On one=ONE", "/two/2=Two" },
};

/* One of two values of a row. */
static const char *example(apr_pool_t *pool, const djs_setting_row_t *row, int which)
{
    const char *bar = strchr(row->values, '|');
    const char *text = which ? examples[row->kind].second : examples[row->kind].first;

    if (row->kind == DJS_KIND_CHOICE) {
        return which ? apr_pstrmemdup(pool, bar + 1, strcspn(bar + 1, "|"))
                     : apr_pstrmemdup(pool, row->values, (apr_size_t)(bar - row->values));
    }
    if (!text) {
        fail_msg("%s: its kind has no examples here", row->directive);
    }
    return text;
}

/* ---- rows ---- */

/* "DjangoSessionCookieAge" is "session-cookie-age", "DjangoLoginURL" is "login-url". */
static const char *option_name(apr_pool_t *pool, const char *directive)
{
    const char *c = directive + strlen("Django");
    char *option = apr_pcalloc(pool, 2 * strlen(c) + 1);
    char *o = option;
    const char *start = c;

    for (; *c; c++) {
        int new_word = apr_isupper(*c)
                       && (!apr_isupper(c[-1]) || (c[1] && !apr_isupper(c[1])));

        if (new_word && c > start) {
            *o++ = '-';
        }
        *o++ = (char)apr_tolower(*c);
    }
    return option;
}

static void options_are_the_directives_names_in_words(void **state)
{
    test_t *test = *state;
    const djs_setting_row_t *rows = djs_setting_rows();
    int i;

    assert_true(ROWS >= 31);
    for (i = 0; i < ROWS; i++) {
        assert_number(rows[i].id, i, rows[i].directive);
        assert_int_equal(strncmp(rows[i].directive, "Django", 6), 0);
        assert_text(rows[i].option, option_name(test->pool, rows[i].directive), "the option");
        assert_ptr_equal(djs_setting_find(rows[i].directive), &rows[i]);
        assert_ptr_equal(djs_setting_find(rows[i].option), &rows[i]);
    }
    assert_ptr_equal(djs_setting_find("djangosessioncookieage"),
                     djs_setting_find("DjangoSessionCookieAge"));
    assert_null(djs_setting_find("DjangoSessionNothing"));
    assert_null(djs_setting_find(""));
}

static void what_leaks_another_tenants_data_is_never_for_htaccess(void **state)
{
    static const char *const server_only[] = {
        "DjangoSessionEngine", "DjangoSecretKey", "DjangoSecretKeyFallbacks", "DjangoSessionTable",
        "DjangoSessionFilePath", "DjangoSessionSerializer",
        "DjangoUseTZ", "DjangoTimeZone", "DjangoSessionOnStoreError", "DjangoSessionStoreTimeout",
        "DjangoSessionUpdate", "DjangoSessionUrlParam",
        "DjangoUserTable", "DjangoUsernameField", "DjangoUserIdField",
        "DjangoAuthBackends"
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(server_only); i++) {
        assert_text(row_of(server_only[i])->context, "SVD", server_only[i]);
    }
}

static void every_default_is_a_value_that_its_row_takes(void **state)
{
    test_t *test = *state;
    const djs_setting_row_t *rows = djs_setting_rows();
    djs_settings_t *complete = djs_settings_complete(test->pool, djs_settings_make(test->pool));
    int i;

    for (i = 0; i < ROWS; i++) {
        const char *text = djs_settings_text(test->pool, complete, &rows[i]);

        if (rows[i].default_text) {
            djs_settings_t *settings = djs_settings_make(test->pool);

            must_set(test->ctx, settings, rows[i].directive, rows[i].default_text);
        }
        assert_text(text, rows[i].default_text, rows[i].directive);
        assert_number(complete->is_set[i], 0, "a default is not set");
    }
}

static void every_value_is_printed_as_it_was_written(void **state)
{
    test_t *test = *state;
    const djs_setting_row_t *rows = djs_setting_rows();
    int i, which;

    for (i = 0; i < ROWS; i++) {
        for (which = 0; which < 2; which++) {
            djs_settings_t *settings = djs_settings_make(test->pool);
            const char *value = example(test->pool, &rows[i], which);

            assert_status(test->ctx, set(test->ctx, settings, &rows[i], value), APR_SUCCESS,
                          rows[i].directive);
            assert_text(djs_settings_text(test->pool, settings, &rows[i]), value,
                        rows[i].directive);
            assert_number(settings->is_set[i], 1, rows[i].directive);
        }
    }
}

/* ---- what is refused ---- */

static void every_directive_refuses_nothing_and_too_much(void **state)
{
    test_t *test = *state;
    const djs_setting_row_t *rows = djs_setting_rows();
    int i;

    for (i = 0; i < ROWS; i++) {
        static const char *const words[] = { "", "" };
        const char *two = apr_psprintf(test->pool, "%s %s", example(test->pool, &rows[i], 0),
                                       example(test->pool, &rows[i], 0));
        int many = DJS_KIND_IS_MANY(rows[i].kind);
        djs_settings_t *settings = djs_settings_make(test->pool);

        assert_status(test->ctx, djs_settings_set(test->ctx, settings, &rows[i], 0, words),
                      DJS_EINVAL, "no value");
        assert_non_null(strstr(test->ctx->problem, rows[i].directive));
        djs_forget(test->ctx);
        assert_status(test->ctx, djs_settings_set(test->ctx, settings, &rows[i], 1, words),
                      DJS_EINVAL, apr_pstrcat(test->pool, rows[i].directive, " \"\"", NULL));
        djs_forget(test->ctx);
        if (!many) {
            assert_status(test->ctx, set(test->ctx, settings, &rows[i], two), DJS_EINVAL, two);
            djs_forget(test->ctx);
        }
        assert_number(settings->is_set[i], 0, "what was refused is not set");
    }
}

static void values_out_of_place_are_refused_by_name(void **state)
{
    static const struct { const char *directive, *value, *why; } bad[] = {
        { "DjangoSession", "Maybe", "neither On nor Off" },
        { "DjangoSession", "1", "a number" },
        { "DjangoSessionCookieAge", "garbage", "text (D-10)" },
        { "DjangoSessionCookieAge", "-5", "a sign" },
        { "DjangoSessionCookieAge", "+5", "a sign" },
        { "DjangoSessionCookieAge", "5.5", "a fraction" },
        { "DjangoSessionCookieAge", "1e3", "an exponent" },
        { "DjangoSessionCookieAge", "0x10", "hex" },
        { "DjangoSessionCookieAge", "12 ", "a space" },
        { "DjangoSessionCookieAge", "12x", "no unit" },
        { "DjangoSessionCookieAge", "12H", "units are in lower case" },
        { "DjangoSessionCookieAge", "d", "a unit alone" },
        { "DjangoSessionCookieAge", "250ms", "a part of a second" },
        { "DjangoSessionCookieAge", "36501d", "over a hundred years" },
        { "DjangoSessionCookieAge", "9223372036854775807", "overflow" },
        { "DjangoSessionCookieAge", "18446744073709551617", "overflow that comes round" },
        { "DjangoSessionCookieAge", "99999999999999999999999999999999", "far overflow" },
        { "DjangoSessionStoreTimeout", "0", "no patience at all" },
        { "DjangoSessionStoreTimeout", "0ms", "no patience at all" },
        { "DjangoSessionStoreTimeout", "never", "text" },
        { "DjangoSessionOnStoreError", "ignore", "another word" },
        { "DjangoSessionOnStoreError", "den", "a part of a word" },
        { "DjangoSessionOnStoreError", "deny|anonymous", "both words" },
        { "DjangoSessionCookieName", "a;b", "a separator" },
        { "DjangoSessionCookieName", "a=b", "an equals sign" },
        { "DjangoSessionCookieName", "s\xc3\xa9same", "beyond ASCII" },
        { "DjangoSessionCookieName", "Max-Age", "an attribute of cookies" },
        { "DjangoSessionCookiePath", "legacy", "no slash in front" },
        { "DjangoSessionCookiePath", "/a;b", "a separator" },
        { "DjangoSessionCookieDomain", "a..b", "an empty label" },
        { "DjangoSessionCookieDomain", "a.b.", "a dot at the end" },
        { "DjangoSessionCookieDomain", ".", "a dot alone" },
        { "DjangoSessionCookieDomain", "a.b:80", "a port" },
        { "DjangoSessionCookieDomain", "a;b", "a separator" },
        { "DjangoSessionTable", "a\"b", "a quote" },
        { "DjangoSessionTable", "a.b.c", "two dots" },
        { "DjangoSessionTable", ".a", "no schema" },
        { "DjangoSessionTable", "a.", "no table" },
        { "DjangoSessionTable", "t%s", "a percent sign, which apr_dbd would read" },
        { "DjangoSessionTable", "a;b", "SQL" },
        { "DjangoUsernameField", "a.b", "no schema here" },
        { "DjangoUserIdField", "id--\xc3\xa9", "beyond ASCII" },
        { "DjangoLoginURL", "login/", "relative" },
        { "DjangoLoginURL", "javascript:alert(1)", "another scheme" },
        { "DjangoSessionFilePath", "", "no path" },
        { "DjangoSessionFilePath", "/a\nb", "a line's end" },
        { "DjangoTimeZone", "/etc/passwd", "a path" },
        { "DjangoTimeZone", "../../etc/passwd", "the way up" },
        { "DjangoTimeZone", "Europe/../../x", "the way up" },
        { "DjangoSecretKey", "file:", "no path" },
        { "DjangoSecretKey", "env:", "no name" },
        { "DjangoSecretKey", "exec:", "no path" },
        { "DjangoAuthBackends", "a.b c;d", "a separator" },
        { "DjangoSessionEnv", "Off cart", "all or nothing" },
        { "DjangoSessionEnv", "cart On", "On stands first" },
        { "DjangoSessionEnv", "cart Off", "Off stands alone" },
        { "DjangoSessionEnv", "/a~2", "no JSON Pointer" },
        { "DjangoSessionEnv", "=NAME", "no selector" },
        { "DjangoSessionEnv", "cart=", "no name" },
        { "DjangoSessionEnv", "cart=A-B", "no name for a variable" },
        { "DjangoSessionEnv", "cart=1A", "no name for a variable" },
        { "DjangoSessionEnv", "cart=HTTP_CART", "clients fill these" },
        { "DjangoSessionEnv", "user=REMOTE_USER", "the server's own word" },
        { "DjangoSessionEnv", "t=DJANGO_CSRF_TOKEN", "this is DjangoCsrf's" },
        { "DjangoSessionEnv", "x=LD_PRELOAD", "the loader's" },
        { "DjangoSessionEnv", "status", "would be DJANGO_SESSION_STATUS" },
        { "DjangoSessionEnv", "x=django_user_id", "a fact of ours, in any case" },
        { "DjangoSessionHeader", "cart=X_Cart", "servers take _ for -" },
        { "DjangoSessionHeader", "cart=X:Cart", "no name for a header" },
        { "DjangoSessionHeader", "cart=Content-Length", "not for applications" },
        { "DjangoSessionHeader", "cart=cookie", "not for applications" },
        { "DjangoSessionHeader", "status", "would be Django-Session-Status" },
        { "DjangoPasswordHashers", "sha512", "no hasher of Django's" },
        { "DjangoPasswordHashers", "pbkdf2_sha256=many", "no number" },
        { "DjangoLoginThreads", "0", "nobody would ever log in" },
        { "DjangoLoginThreads", "65", "more than there can be" },
        { "DjangoLoginThreads", "4x", "no number" },
        { "DjangoLoginThrottle", "5/5min", "one of two" },
        { "DjangoLoginThrottle", "0/5min Off", "not once" },
        { "DjangoLoginThrottle", "5/0s Off", "in no time" },
        { "DjangoLoginThrottle", "5/250ms Off", "a part of a second" },
        { "DjangoLoginThrottle", "5 Off", "in what time" },
        { "DjangoLoginThrottle", "Off Off Off", "three" },
        { "DjangoLoginThrottle", "5/5min/5min Off", "two slashes" },
        { "DjangoBasicCache", "-1", "a sign" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(bad); i++) {
        djs_settings_t *settings = djs_settings_make(test->pool);
        const djs_setting_row_t *row = row_of(bad[i].directive);
        apr_status_t rv;

        if (strchr(bad[i].value, ' ') && row->kind == DJS_KIND_DURATION) {
            rv = djs_settings_set(test->ctx, settings, row, 1, &bad[i].value);
        }
        else {
            rv = set(test->ctx, settings, row, bad[i].value);
        }
        assert_status(test->ctx, rv, DJS_EINVAL, bad[i].why);
        assert_non_null(strstr(test->ctx->problem, bad[i].directive));
        djs_forget(test->ctx);
    }
}

static void a_refusal_tells_the_value_and_what_is_allowed(void **state)
{
    static const struct { const char *directive, *value, *says, *allows; } cases[] = {
        { "DjangoSessionCookieAge", "garbage", "\"garbage\"", "from 0 to 36500d" },
        { "DjangoSessionStoreTimeout", "0", "\"0\"", "from 1ms to 36500d" },
        { "DjangoSessionCookieSameSite", "Loose", "\"Loose\"", "Off|Lax|Strict|None" },
        { "DjangoSession", "Yes", "\"Yes\"", "On|Off" },
        { "DjangoSessionCookieName", "a b", "\"a b\"", "letters, digits" },
        { "DjangoSessionEnv", "x=A-B", "\"A-B\"", "SELECTOR=NAME" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        djs_settings_t *settings = djs_settings_make(test->pool);

        assert_status(test->ctx,
                      djs_settings_set(test->ctx, settings, row_of(cases[i].directive), 1,
                                       &cases[i].value),
                      DJS_EINVAL, cases[i].value);
        assert_non_null(strstr(test->ctx->problem, cases[i].says));
        assert_non_null(strstr(test->ctx->problem, cases[i].allows));
        djs_forget(test->ctx);
    }
}

static void a_secret_is_in_no_message_and_no_listing(void **state)
{
    static const char *const planted = "planted-secret";
    static const char *const two[] = { "planted-secret", "" };
    test_t *test = *state;
    djs_settings_t *settings = djs_settings_make(test->pool);
    const djs_setting_row_t *key = row_of("DjangoSecretKey");
    const djs_setting_row_t *fallbacks = row_of("DjangoSecretKeyFallbacks");

    assert_status(test->ctx, djs_settings_set(test->ctx, settings, key, 2, two), DJS_EINVAL,
                  "two keys");
    assert_null(strstr(test->ctx->problem, planted));
    djs_forget(test->ctx);
    assert_status(test->ctx, djs_settings_set(test->ctx, settings, fallbacks, 2, two), DJS_EINVAL,
                  "the second is empty");
    assert_null(strstr(test->ctx->problem, planted));
    djs_forget(test->ctx);

    must_set(test->ctx, settings, "DjangoSecretKey", planted);
    must_set(test->ctx, settings, "DjangoSecretKeyFallbacks", "planted-secret file:/etc/old");
    assert_text(djs_settings_text(test->pool, settings, key), "********", "masked");
    assert_text(djs_settings_text(test->pool, settings, fallbacks), "******** file:/etc/old",
                "masked, but where it comes from is told");
}

/* ---- what is accepted ---- */

static void durations_are_read_in_every_unit(void **state)
{
    static const struct { const char *text; apr_interval_time_t duration; } cases[] = {
        { "0", 0 },
        { "1", APR_TIME_C(1000000) },
        { "30s", APR_TIME_C(30000000) },
        { "15min", APR_TIME_C(900000000) },
        { "15m", APR_TIME_C(900000000) },
        { "12h", APR_TIME_C(43200000000) },
        { "14d", APR_TIME_C(1209600000000) },
        { "2w", APR_TIME_C(1209600000000) },
        { "250ms", APR_TIME_C(250000) },
        { "007", APR_TIME_C(7000000) },
        { "36500d", DJS_DURATION_MAX },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        apr_interval_time_t duration = -1;

        assert_status(test->ctx, djs_duration_parse(test->ctx, cases[i].text, &duration),
                      APR_SUCCESS, cases[i].text);
        assert_number(duration, cases[i].duration, cases[i].text);
    }
}

static void durations_are_printed_in_their_largest_unit(void **state)
{
    static const struct { const char *text, *printed; } cases[] = {
        { "0", "0s" }, { "86400", "1d" }, { "2w", "14d" }, { "90min", "90min" },
        { "3600", "1h" }, { "61", "61s" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        djs_settings_t *settings = djs_settings_make(test->pool);

        must_set(test->ctx, settings, "DjangoSessionCookieAge", cases[i].text);
        assert_text(text_of(test->pool, settings, "DjangoSessionCookieAge"), cases[i].printed,
                    cases[i].text);
    }
}

static void words_are_read_in_any_case(void **state)
{
    test_t *test = *state;
    djs_settings_t *settings = djs_settings_make(test->pool);

    must_set(test->ctx, settings, "DjangoSession", "ON");
    must_set(test->ctx, settings, "DjangoSessionCookieSameSite", "strict");
    must_set(test->ctx, settings, "DjangoSessionCookieDomain", "NONE");
    assert_number(settings->session, 1, "On");
    assert_number(settings->cookie_samesite, DJS_SAMESITE_STRICT, "Strict");
    assert_null(settings->cookie_domain);
    must_set(test->ctx, settings, "DjangoUnauthenticated", "401");
    assert_number(settings->unauthenticated, DJS_UNAUTHENTICATED_401, "401");
    must_set(test->ctx, settings, "DjangoSessionUpdate", "login");
    assert_number(settings->update, DJS_UPDATE_LOGIN, "Login");
}

static void exports_say_what_and_how_it_is_called(void **state)
{
    static const struct {
        const char *line;
        int on, whole;
        const char *selector, *name;
    } cases[] = {
        { "Off", 0, 0, NULL, NULL },
        { "On", 1, 1, NULL, NULL },
        { "cart", 1, 0, "cart", "DJANGO_SESSION_CART" },
        { "On cart=CART", 1, 1, "cart", "CART" },
        { "/cart/0/price", 1, 0, "/cart/0/price", "DJANGO_SESSION_CART_0_PRICE" },
        { "/a=b=NAME", 1, 0, "/a=b", "NAME" },
        { "'two words=TWO'", 1, 0, "two words", "TWO" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        djs_settings_t *settings = djs_settings_make(test->pool);
        const djs_export_rule_t *rule;

        must_set(test->ctx, settings, "DjangoSessionEnv", cases[i].line);
        assert_number(settings->env->on, cases[i].on, cases[i].line);
        assert_number(settings->env->whole, cases[i].whole, cases[i].line);
        assert_number(settings->env->rules->nelts, cases[i].selector ? 1 : 0, cases[i].line);
        if (cases[i].selector) {
            rule = &APR_ARRAY_IDX(settings->env->rules, 0, djs_export_rule_t);
            assert_text(rule->selector, cases[i].selector, cases[i].line);
            assert_text(rule->name, cases[i].name, cases[i].line);
        }
    }
}

static void what_would_be_several_words_is_printed_in_quotes(void **state)
{
    test_t *test = *state;
    djs_settings_t *settings = djs_settings_make(test->pool);

    must_set(test->ctx, settings, "DjangoSessionEnv", "'two words=TWO' 'a\"b=QUOTE'");
    assert_text(text_of(test->pool, settings, "DjangoSessionEnv"),
                "\"two words=TWO\" \"a\\\"b=QUOTE\"", "as httpd reads it");
}

/* ---- sections ---- */

/* D-15: a section with one directive of its own undoes no other one of the outer section. */
static void every_row_inherits_and_merges_whatever_else_is_set(void **state)
{
    test_t *test = *state;
    const djs_setting_row_t *rows = djs_setting_rows();
    int i, other;

    for (i = 0; i < ROWS; i++) {
        const char *outer_value = example(test->pool, &rows[i], 0);
        const char *inner_value = example(test->pool, &rows[i], 1);
        djs_settings_t *outer = djs_settings_make(test->pool);
        djs_settings_t *inner = djs_settings_make(test->pool);
        djs_settings_t *merged;

        assert_status(test->ctx, set(test->ctx, outer, &rows[i], outer_value), APR_SUCCESS,
                      rows[i].directive);
        for (other = 0; other < ROWS; other++) {
            if (other != i) {
                assert_status(test->ctx,
                              set(test->ctx, inner, &rows[other],
                                  example(test->pool, &rows[other], 1)),
                              APR_SUCCESS, rows[other].directive);
            }
        }
        merged = djs_settings_merge(test->pool, outer, inner);
        assert_text(djs_settings_text(test->pool, merged, &rows[i]), outer_value, "inherited");

        assert_status(test->ctx, set(test->ctx, inner, &rows[i], inner_value), APR_SUCCESS,
                      rows[i].directive);
        merged = djs_settings_merge(test->pool, outer, inner);
        assert_text(djs_settings_text(test->pool, merged, &rows[i]), inner_value, "inner wins");
        assert_text(djs_settings_text(test->pool, outer, &rows[i]), outer_value,
                    "the outer section is as it was");
    }
}

static void writing_the_default_in_an_inner_section_undoes_the_outer_value(void **state)
{
    test_t *test = *state;
    const djs_setting_row_t *rows = djs_setting_rows();
    int i;

    for (i = 0; i < ROWS; i++) {
        djs_settings_t *outer = djs_settings_make(test->pool);
        djs_settings_t *inner = djs_settings_make(test->pool);

        if (!rows[i].default_text) {
            continue;
        }
        must_set(test->ctx, outer, rows[i].directive, example(test->pool, &rows[i], 0));
        must_set(test->ctx, inner, rows[i].directive, rows[i].default_text);
        assert_text(djs_settings_text(test->pool,
                                      djs_settings_complete(
                                          test->pool,
                                          djs_settings_merge(test->pool, outer, inner)),
                                      &rows[i]),
                    rows[i].default_text, rows[i].directive);
    }
}

static void a_copy_equals_the_original_and_outlives_it(void **state)
{
    test_t *test = *state;
    const djs_setting_row_t *rows = djs_setting_rows();
    apr_pool_t *short_lived;
    djs_ctx_t ctx = { .now = TEST_NOW };
    djs_settings_t *copy;
    int i;

    apr_pool_create(&short_lived, test->pool);
    ctx.pool = short_lived;
    {
        djs_settings_t *settings = djs_settings_make(short_lived);

        for (i = 0; i < ROWS; i++) {
            assert_status(&ctx, set(&ctx, settings, &rows[i], example(short_lived, &rows[i], 1)),
                          APR_SUCCESS, rows[i].directive);
        }
        copy = djs_settings_copy(test->pool, settings);
        for (i = 0; i < ROWS; i++) {
            if (rows[i].kind != DJS_KIND_EXPORT) {
                assert_number(djs_settings_equal(copy, settings, &rows[i]), 1, rows[i].directive);
            }
        }
    }
    apr_pool_destroy(short_lived);
    for (i = 0; i < ROWS; i++) {
        assert_text(djs_settings_text(test->pool, copy, &rows[i]),
                    example(test->pool, &rows[i], 1), rows[i].directive);
    }
}

static void rows_are_equal_by_content(void **state)
{
    test_t *test = *state;
    const djs_setting_row_t *rows = djs_setting_rows();
    int i;

    for (i = 0; i < ROWS; i++) {
        djs_settings_t *a = djs_settings_make(test->pool);
        djs_settings_t *b = djs_settings_make(test->pool);

        assert_number(djs_settings_equal(a, b, &rows[i]), 1, "neither is set");
        if (rows[i].kind == DJS_KIND_EXPORT) {
            continue;
        }
        must_set(test->ctx, a, rows[i].directive, example(test->pool, &rows[i], 0));
        must_set(test->ctx, b, rows[i].directive, example(test->pool, &rows[i], 1));
        assert_number(djs_settings_equal(a, b, &rows[i]), 0, rows[i].directive);
        must_set(test->ctx, b, rows[i].directive, example(test->pool, &rows[i], 0));
        assert_number(djs_settings_equal(a, b, &rows[i]), 1, rows[i].directive);
    }
}

/* ---- combinations ---- */

static void combinations_that_cannot_work_are_refused_by_name(void **state)
{
    static const struct { const char *lines[6]; const char *names, *why; } bad[] = {
        { { NULL }, "DjangoSecretKey", "no secret key" },
        { { "DjangoSecretKey x", "DjangoSessionCookieSameSite None", NULL },
          "DjangoSessionCookieSecure", "SameSite=None without Secure" },
        { { "DjangoSecretKey x", "DjangoSessionCookiePartitioned On", NULL },
          "DjangoSessionCookieSecure", "Partitioned without Secure" },
        { { "DjangoSecretKey x", "DjangoSessionCookieName __Secure-id", NULL },
          "DjangoSessionCookieSecure", "__Secure- without Secure" },
        { { "DjangoSecretKey x", "DjangoSessionCookieName __Host-id", NULL },
          "DjangoSessionCookieSecure", "__Host- without Secure" },
        { { "DjangoSecretKey x", "DjangoSessionCookieName __host-id",
            "DjangoSessionCookieSecure On", "DjangoSessionCookieDomain a.example", NULL },
          "DjangoSessionCookieDomain", "__Host- with a domain" },
        { { "DjangoSecretKey x", "DjangoSessionCookieName __Host-id",
            "DjangoSessionCookieSecure On", "DjangoSessionCookiePath /a", NULL },
          "DjangoSessionCookiePath", "__Host- with a path" },
        { { "DjangoSecretKey x", "DjangoSessionCookieAge 0", NULL }, "DjangoSessionCookieAge",
          "no life at all" },
        { { "DjangoSecretKey x", "DjangoSessionSaveInterval 14d", NULL },
          "DjangoSessionCookieAge", "an interval as long as the age" },
        { { "DjangoSecretKey x", "DjangoSessionCookieAge 5min", "DjangoSessionSaveInterval 301",
            NULL }, "DjangoSessionSaveInterval", "an interval longer than the age" },
        { { "DjangoSecretKey x", "DjangoSessionEnv a.b a_b", NULL }, "DjangoSessionEnv",
          "two selectors with one name" },
        { { "DjangoSecretKey x", "DjangoSessionEnv a=X b=x", NULL }, "DjangoSessionEnv",
          "names differ in case only" },
        { { "DjangoSecretKey x", "DjangoSessionHeader a=X-A /b=x-a", NULL },
          "DjangoSessionHeader", "two selectors with one header" },
    };
    static const char *const good[] = {
        "DjangoSession On", "DjangoSecretKey x", "DjangoSessionCookieName __Host-id",
        "DjangoSessionCookieSecure Auto", "DjangoSessionCookieSameSite None",
        "DjangoSessionCookiePartitioned On", "DjangoSessionEnv On a b=B",
        "DjangoSessionCookieAge 5min", "DjangoSessionSaveInterval 299", NULL
    };
    test_t *test = *state;
    djs_settings_t *settings;
    size_t i;
    int line;

    for (i = 0; i < COUNT(bad); i++) {
        settings = djs_settings_make(test->pool);
        for (line = 0; bad[i].lines[line]; line++) {
            const char *space = strchr(bad[i].lines[line], ' ');

            must_set(test->ctx, settings,
                     apr_pstrmemdup(test->pool, bad[i].lines[line],
                                    (apr_size_t)(space - bad[i].lines[line])),
                     space + 1);
        }
        assert_status(test->ctx,
                      djs_settings_check(test->ctx, djs_settings_complete(test->pool, settings)),
                      DJS_EINVAL, bad[i].why);
        assert_non_null(strstr(test->ctx->problem, bad[i].names));
        djs_forget(test->ctx);
    }
    settings = djs_settings_make(test->pool);
    for (line = 0; good[line]; line++) {
        const char *space = strchr(good[line], ' ');

        must_set(test->ctx, settings,
                 apr_pstrmemdup(test->pool, good[line], (apr_size_t)(space - good[line])),
                 space + 1);
    }
    assert_status(test->ctx,
                  djs_settings_check(test->ctx, djs_settings_complete(test->pool, settings)),
                  APR_SUCCESS, "what works together");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(options_are_the_directives_names_in_words),
        TEST(what_leaks_another_tenants_data_is_never_for_htaccess),
        TEST(every_default_is_a_value_that_its_row_takes),
        TEST(every_value_is_printed_as_it_was_written),
        TEST(every_directive_refuses_nothing_and_too_much),
        TEST(values_out_of_place_are_refused_by_name),
        TEST(a_refusal_tells_the_value_and_what_is_allowed),
        TEST(a_secret_is_in_no_message_and_no_listing),
        TEST(durations_are_read_in_every_unit),
        TEST(durations_are_printed_in_their_largest_unit),
        TEST(words_are_read_in_any_case),
        TEST(exports_say_what_and_how_it_is_called),
        TEST(what_would_be_several_words_is_printed_in_quotes),
        TEST(every_row_inherits_and_merges_whatever_else_is_set),
        TEST(writing_the_default_in_an_inner_section_undoes_the_outer_value),
        TEST(a_copy_equals_the_original_and_outlives_it),
        TEST(rows_are_equal_by_content),
        TEST(combinations_that_cannot_work_are_refused_by_name),
    };

    return RUN_TESTS(tests);
}
