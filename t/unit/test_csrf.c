/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens as Django makes and takes them, and requests that it lets pass or refuses, with its reasons.
 */
#include "support.h"

#include <string.h>

#include "csrf.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define SECRET "JK5WoqsWseKlr5yU2xx2kYE7ytOgAdeJ"
#define TOKEN  "NoOQtO4OZfpzHblUGVjr9bTW9z5ASLBhmYJCH4mAhjZKY6JEyiGjjZnTxSJGiOFQ"
#define OTHER  "u0KfRXwAuUnv4M0oW00GvT3Fz6I0K28gTdbG3hWgtPMlaOhV5KLXqg8IYv7rQHZY"

/* ---- settings ---- */

static djs_settings_t *settings_of(test_t *test, djs_csrf_mode_t mode)
{
    djs_settings_t *settings = djs_settings_complete(test->pool, djs_settings_make(test->pool));

    settings->csrf = mode;
    return settings;
}

static void trust(test_t *test, djs_settings_t *settings, const char *origins)
{
    char *list = apr_pstrdup(test->pool, origins);
    const char *argv[8];
    char *state;
    int argc = 0;
    const char *word;

    for (word = apr_strtok(list, " ", &state); word; word = apr_strtok(NULL, " ", &state)) {
        argv[argc++] = word;
    }
    assert_status(test->ctx,
                  djs_settings_set(test->ctx, settings, djs_setting_find("DjangoCsrfTrustedOrigins"),
                                   argc, argv),
                  APR_SUCCESS, origins);
}

static int set_samesite(djs_settings_t *settings, const char *text)
{
    settings->csrf_cookie_samesite = !text                        ? DJS_SAMESITE_OFF
                                     : strcmp(text, "Strict") == 0 ? DJS_SAMESITE_STRICT
                                     : strcmp(text, "None") == 0   ? DJS_SAMESITE_NONE
                                                                   : DJS_SAMESITE_LAX;
    return 1;
}

/* "HTTP_X_XSRF_TOKEN" is X-XSRF-TOKEN. */
static const char *header_name(test_t *test, const char *variable)
{
    char *name = apr_pstrdup(test->pool, variable + strlen("HTTP_"));
    char *c;

    for (c = name; *c; c++) {
        *c = *c == '_' ? '-' : *c;
    }
    return name;
}

/* One of Django's settings. 0: we have it not. */
static int set_one(test_t *test, djs_settings_t *settings, const char *name, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t i;

    if (strcmp(name, "CSRF_TRUSTED_ORIGINS") == 0) {
        for (i = 0; i < json_array_size(value); i++) {
            const char *entry = json_string_value(json_array_get(value, i));

            if (!djs_csrf_is_origin(entry)) {
                return 0;
            }
            trust(test, settings, entry);
        }
        return 1;
    }
    if (strcmp(name, "CSRF_USE_SESSIONS") == 0) {
        settings->csrf_use_sessions = json_is_true(value);
    }
    else if (strcmp(name, "CSRF_COOKIE_NAME") == 0) {
        settings->csrf_cookie_name = text;
    }
    else if (strcmp(name, "CSRF_COOKIE_DOMAIN") == 0) {
        settings->csrf_cookie_domain = text;
    }
    else if (strcmp(name, "SESSION_COOKIE_DOMAIN") == 0) {
        settings->cookie_domain = text;
    }
    else if (strcmp(name, "CSRF_COOKIE_PATH") == 0) {
        settings->csrf_cookie_path = text;
    }
    else if (strcmp(name, "CSRF_COOKIE_AGE") == 0) {
        settings->csrf_cookie_age = apr_time_from_sec(json_integer_value(value));
    }
    else if (strcmp(name, "CSRF_COOKIE_SECURE") == 0) {
        settings->csrf_cookie_secure = json_is_true(value) ? DJS_SECURE_ON : DJS_SECURE_OFF;
    }
    else if (strcmp(name, "CSRF_COOKIE_HTTPONLY") == 0) {
        settings->csrf_cookie_httponly = json_is_true(value);
    }
    else if (strcmp(name, "CSRF_COOKIE_SAMESITE") == 0) {
        return set_samesite(settings, text);
    }
    else if (strcmp(name, "CSRF_HEADER_NAME") == 0) {
        settings->csrf_header_name = header_name(test, text);
    }
    else {
        fail_msg("a vector has the setting %s, which this test does not know", name);
    }
    return 1;
}

static djs_settings_t *settings_from(test_t *test, const json_t *a_case)
{
    djs_settings_t *settings = settings_of(test, DJS_CSRF_MODE_ON);
    const char *name;
    json_t *value;

    json_object_foreach(json_object_get(a_case, "settings"), name, value) {
        if (!set_one(test, settings, name, value)) {
            return NULL;
        }
    }
    return settings;
}

/* ---- tokens ---- */

static void a_secret_is_masked_as_django_masks_it(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "csrf_tokens.json", 34);
    const json_t *a_case;
    size_t i;

    json_array_foreach(cases, i, a_case) {
        const char *secret = vector_need(a_case, "secret");
        const char *token = vector_need(a_case, "token");
        const char *why = vector_name(test->pool, a_case);

        assert_text(djs_csrf_mask(test->pool, secret, vector_need(a_case, "mask")), token, why);
        assert_true(djs_csrf_is_valid(token));
        assert_true(djs_csrf_agree(secret, token));
        assert_true(djs_csrf_agree(token, secret));
        vector_done(a_case);
    }
}

static void what_is_made_is_well_formed_and_never_the_same(void **state)
{
    test_t *test = *state;
    const char *stored, *other, *first, *second;

    assert_status(test->ctx, djs_csrf_make(test->ctx, &stored), APR_SUCCESS, "a secret");
    assert_status(test->ctx, djs_csrf_make(test->ctx, &other), APR_SUCCESS, "another");
    assert_number(strlen(stored), DJS_CSRF_TOKEN_LEN, "stored as every Django reads it");
    assert_false(djs_csrf_agree(stored, other));
    assert_status(test->ctx, djs_csrf_token(test->ctx, stored, &first), APR_SUCCESS, "a token");
    assert_status(test->ctx, djs_csrf_token(test->ctx, stored, &second), APR_SUCCESS, "again");
    assert_string_not_equal(first, second);
    assert_string_not_equal(first, stored);
    assert_true(djs_csrf_is_valid(first));
    assert_true(djs_csrf_agree(first, second));
    assert_true(djs_csrf_agree(first, stored));
    assert_status(test->ctx, djs_csrf_token(test->ctx, SECRET, &first), APR_SUCCESS, "of a secret");
    assert_true(djs_csrf_agree(first, SECRET));
}

static void only_letters_and_digits_of_two_lengths_are_tokens(void **state)
{
    static const struct { const char *text; int valid; const char *why; } cases[] = {
        { SECRET, 1, "a secret" },
        { TOKEN, 1, "a token" },
        { NULL, 0, "none" },
        { "", 0, "empty" },
        { "JK5WoqsWseKlr5yU2xx2kYE7ytOgAde", 0, "31" },
        { SECRET "x", 0, "33" },
        { TOKEN "x", 0, "65" },
        { "JK5WoqsWseKlr5yU2xx2kYE7ytOgAde-", 0, "a dash" },
        { "JK5WoqsWseKlr5yU2xx2kYE7ytOgAd\xc3\xa9", 0, "a letter of two bytes" },
        { "JK5WoqsWseKlr5yU2xx2kYE7ytOgAde\n", 0, "a line end" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        assert_number(djs_csrf_is_valid(cases[i].text), cases[i].valid, cases[i].why);
    }
}

/* ---- what is stored ---- */

/* A secret that Django stored, in a cookie or the session, is one to us, and so is its token. */
static void check_stored(test_t *test, const json_t *a_case, const char *stored)
{
    const char *secret = vector_text(a_case, "token_secret");
    const char *why = vector_name(test->pool, a_case);
    const char *token;

    assert_true(djs_csrf_is_valid(stored));
    assert_number(strlen(stored), json_integer_value(json_object_get(a_case, "stored_length")), why);
    assert_status(test->ctx, djs_csrf_token(test->ctx, stored, &token), APR_SUCCESS, why);
    if (secret && *secret) { /* Django 3.2 can make nothing of a bare secret in a session */
        assert_number(strlen(token), json_integer_value(json_object_get(a_case, "token_length")),
                      why);
        assert_true(djs_csrf_agree(secret, stored));
        assert_true(djs_csrf_agree(secret, token));
    }
}

static void check_cookie(test_t *test, const json_t *a_case, const char *line)
{
    djs_settings_t *settings = settings_from(test, a_case);
    const char *why = vector_name(test->pool, a_case);
    const char *value = strchr(line, '=') + 1;

    assert_non_null(settings);
    test->ctx->now = test_time(json_object_get(a_case, "now"));
    value = apr_pstrmemdup(test->pool, value, strcspn(value, ";"));
    assert_text(djs_csrf_set_cookie(test->ctx, settings, 0, value), line, why);
    assert_text(djs_csrf_from_cookies(test->ctx, settings, line), value, why);
    check_stored(test, a_case, value);
}

static void the_cookie_is_djangos_line_for_line_and_so_is_what_sessions_hold(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "csrf_cookie.json", 91);
    const json_t *a_case;
    size_t i;

    json_array_foreach(cases, i, a_case) {
        const char *line = vector_text(a_case, "set_cookie");
        const char *stored = vector_text(a_case, "session_stored");

        if (line) {
            check_cookie(test, a_case, line);
            vector_done(a_case);
        }
        else if (!stored) {
            vector_left(a_case, "nothing is stored, which the host decides: t/httpd/test_csrf.py");
        }
        else {
            if (strcmp(stored, "abc") == 0) {
                assert_false(djs_csrf_is_valid(stored));
            }
            else {
                check_stored(test, a_case, stored);
            }
            vector_done(a_case);
        }
    }
}

static void secure_auto_is_the_requests_say(void **state)
{
    test_t *test = *state;
    djs_settings_t *settings = settings_of(test, DJS_CSRF_MODE_ON);

    settings->csrf_cookie_secure = DJS_SECURE_AUTO;
    assert_null(strstr(djs_csrf_set_cookie(test->ctx, settings, 0, TOKEN), "Secure"));
    assert_non_null(strstr(djs_csrf_set_cookie(test->ctx, settings, 1, TOKEN), "Secure"));
}

static void of_several_cookies_the_last_counts_as_in_django(void **state)
{
    test_t *test = *state;
    djs_settings_t *settings = settings_of(test, DJS_CSRF_MODE_ON);

    assert_text(djs_csrf_from_cookies(test->ctx, settings, "csrftoken=" SECRET "; csrftoken=x"),
                "x", "the last");
    assert_text(djs_csrf_from_cookies(test->ctx, settings, "Csrftoken=x"), NULL, "another name");
    assert_text(djs_csrf_from_cookies(test->ctx, settings, NULL), NULL, "no header");
}

/* ---- requests ---- */

/* A case of csrf_requests.json as the host would tell it. */
static djs_csrf_request_t request_of(test_t *test, const djs_settings_t *settings,
                                     const json_t *a_case)
{
    const char *type = vector_text(a_case, "content_type");
    const char *port = vector_text(a_case, "port");
    djs_csrf_request_t request = {
        .secure = json_is_true(json_object_get(a_case, "secure")),
        .host = vector_need(a_case, "host"),
        .origin = vector_text(a_case, "origin"),
        .referer = vector_text(a_case, "referer"),
        .stored = vector_text(a_case, settings->csrf_use_sessions ? "session_secret" : "cookie"),
        .header = vector_text(a_case, "header_token")
    };

    request.port = port ? atoi(port) : request.secure ? 443 : 80;
    if (!type && strcmp(vector_need(a_case, "method"), "POST") == 0) {
        request.field = vector_text(a_case, "form_token");
    }
    if (strcmp(settings->csrf_header_name, "X-CSRFToken") != 0) {
        const char *variable = apr_pstrcat(test->pool, "HTTP_", settings->csrf_header_name, NULL);
        char *c;

        for (c = (char *)variable; *c; c++) {
            *c = *c == '-' ? '_' : *c;
        }
        request.header = vector_text(json_object_get(a_case, "other_headers"), variable);
    }
    return request;
}

/* NULL: it passes. */
static const char *judge(test_t *test, const djs_settings_t *settings, const char *method,
                         const djs_csrf_request_t *request)
{
    const char *reason = NULL;

    if (djs_csrf_is_safe(method)) {
        return NULL;
    }
    if (djs_csrf_check_source(test->ctx, settings, request, &reason) == DJS_CSRF_PASS
        && djs_csrf_check_token(test->ctx, settings, request, &reason) == DJS_CSRF_PASS) {
        assert_null(reason);
        return NULL;
    }
    assert_non_null(reason);
    return reason;
}

static void every_request_of_the_vectors_is_judged_as_django_judges_it(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "csrf_requests.json", 458);
    const json_t *a_case;
    int judged = 0;
    size_t i;

    json_array_foreach(cases, i, a_case) {
        djs_settings_t *settings = settings_from(test, a_case);
        const char *why = vector_name(test->pool, a_case);
        djs_csrf_request_t request;
        const char *reason;

        if (!vector_is_current(a_case)) {
            vector_left(a_case, VECTOR_OF_ANOTHER_DJANGO);
            continue;
        }
        assert_non_null(settings);
        request = request_of(test, settings, a_case);
        reason = judge(test, settings, vector_need(a_case, "method"), &request);
        assert_text(reason, vector_text(a_case, "reason"), why);
        assert_number(reason == NULL, json_is_true(json_object_get(a_case, "accepted")), why);
        vector_done(a_case);
        judged++;
    }
    assert_true(judged > 250);
}

/* Before Django 4.0 only Referers were looked at: what that let pass passes, and nothing else. */
static void hosts_as_djangos_before_4_0_wrote_them_work_for_referers(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "csrf_requests.json", 458);
    const json_t *a_case;
    int judged = 0;
    size_t i;

    json_array_foreach(cases, i, a_case) {
        djs_settings_t *settings = settings_from(test, a_case);
        const char *why = vector_name(test->pool, a_case);
        djs_csrf_request_t request;

        if (!settings || !settings->csrf_trusted_origins || vector_is_current(a_case)
            || vector_text(a_case, "origin")) {
            continue;
        }
        request = request_of(test, settings, a_case);
        assert_text(judge(test, settings, vector_need(a_case, "method"), &request),
                    vector_text(a_case, "reason"), why);
        vector_done(a_case);
        judged++;
    }
    assert_true(judged >= 10);
}

static void hosts_of_djangos_older_form_stand_for_origins(void **state)
{
    static const struct { const char *origin; int secure, passes; const char *why; } cases[] = {
        { "https://dash.example", 1, 1, "below the domain" },
        { "https://example", 1, 1, "the domain itself" },
        { "http://dash.example", 1, 0, "without TLS, to us with it" },
        { "http://dash.example", 0, 1, "without TLS, to us without it" },
        { "https://dash.example", 0, 1, "with TLS, to us without it" },
        { "ftp://dash.example", 0, 0, "another scheme" },
        { "https://dash.example:8443", 1, 0, "another port" },
        { "https://exact.other", 1, 1, "a host" },
        { "https://sub.exact.other", 1, 0, "below a host" },
        { "https://evil\\.example", 1, 0, "no host at all" },
        { "https://evil@dash.example", 1, 0, "somebody in front" },
        { "null", 1, 0, "an origin that hides" },
    };
    test_t *test = *state;
    djs_settings_t *settings = settings_of(test, DJS_CSRF_MODE_ON);
    size_t i;

    trust(test, settings, ".example exact.other");
    for (i = 0; i < COUNT(cases); i++) {
        djs_csrf_request_t request = {
            .secure = cases[i].secure, .host = "here.test", .port = 443,
            .origin = cases[i].origin, .stored = SECRET, .field = TOKEN
        };

        assert_number(judge(test, settings, "POST", &request) == NULL, cases[i].passes,
                      cases[i].why);
    }
}

static void without_tokens_the_source_must_be_told_and_be_ours(void **state)
{
    static const struct {
        const char *origin, *site, *referer;
        int secure, passes;
        const char *why;
    } cases[] = {
        { NULL, NULL, NULL, 1, 0, "nothing is told" },
        { NULL, NULL, NULL, 0, 0, "nor without TLS" },
        { "https://here.test", NULL, NULL, 1, 1, "our origin" },
        { "http://here.test", NULL, NULL, 0, 1, "our origin without TLS" },
        { "http://here.test", NULL, NULL, 1, 0, "our name without TLS" },
        { "https://here.test:8443", NULL, NULL, 1, 0, "our name, another port" },
        { "https://evil.test", NULL, "https://here.test/", 1, 0, "another origin" },
        { "https://evil.test", "same-origin", NULL, 1, 0, "an origin says more than the site" },
        { "https://friend.test", "cross-site", NULL, 1, 1, "a trusted origin" },
        { "", NULL, "https://here.test/", 1, 0, "an empty origin" },
        { "null", NULL, NULL, 1, 0, "an origin that hides" },
        { "null", NULL, "https://here.test/", 1, 0, "the same with a referer of ours" },
        { "null", "same-origin", NULL, 1, 1, "Referrer-Policy: no-referrer makes it so" },
        { "null", "cross-site", NULL, 1, 0, "a sandbox or a redirect" },
        { NULL, "same-origin", NULL, 1, 1, "the site alone" },
        { NULL, "same-origin, same-origin", NULL, 1, 0, "the site twice" },
        { NULL, "Same-Origin", NULL, 1, 0, "no word that browsers say" },
        { NULL, "none", NULL, 1, 0, "a person at the address bar sends no such request" },
        { NULL, "same-site", NULL, 1, 0, "another host of the site" },
        { NULL, "cross-site", NULL, 1, 0, "another site" },
        { NULL, "cross-site", "https://here.test/", 1, 0, "which no page of ours is" },
        { NULL, "cross-site", "https://friend.test/x", 1, 1, "a trusted page" },
        { NULL, NULL, "https://here.test/a?b#c", 1, 1, "a page of ours" },
        { NULL, NULL, "http://here.test/a", 0, 1, "the same without TLS" },
        { NULL, NULL, "http://here.test/a", 1, 0, "our name without TLS" },
        { NULL, NULL, "https://here.test/a", 0, 0, "our name with TLS, to us without it" },
        { NULL, NULL, "https://friend.test/", 1, 1, "a trusted page" },
        { NULL, NULL, "https://evil.test/https://here.test/", 1, 0, "our name in the path" },
        { NULL, NULL, "https://here.test@evil.test/", 1, 0, "our name in front" },
        { NULL, NULL, "https://here.test.evil.test/", 1, 0, "our name below another" },
        { NULL, NULL, "https://evil.test\\@here.test/", 1, 0, "a backslash" },
        { NULL, NULL, "//here.test/", 1, 0, "no scheme" },
        { NULL, NULL, "", 1, 0, "an empty referer" },
    };
    test_t *test = *state;
    djs_settings_t *settings = settings_of(test, DJS_CSRF_MODE_ORIGIN);
    size_t i;

    trust(test, settings, "https://friend.test");
    for (i = 0; i < COUNT(cases); i++) {
        djs_csrf_request_t request = {
            .secure = cases[i].secure, .host = "here.test", .port = 443,
            .origin = cases[i].origin, .fetch_site = cases[i].site, .referer = cases[i].referer
        };
        const char *reason = NULL;
        djs_csrf_verdict_t verdict
            = djs_csrf_check_source(test->ctx, settings, &request, &reason);

        assert_number(verdict == DJS_CSRF_PASS, cases[i].passes, cases[i].why);
        assert_number(reason == NULL, cases[i].passes, cases[i].why);
    }
}

static void a_reason_holds_no_token(void **state)
{
    test_t *test = *state;
    djs_settings_t *settings = settings_of(test, DJS_CSRF_MODE_ON);
    djs_csrf_request_t request = { .host = "here.test", .stored = SECRET, .field = OTHER };
    const char *reason = judge(test, settings, "POST", &request);

    assert_text(reason, "CSRF token from POST incorrect.", "the field");
    request.field = NULL;
    request.header = OTHER;
    assert_text(judge(test, settings, "PUT", &request),
                "CSRF token from the 'X-Csrftoken' HTTP header incorrect.", "the header");
    request.stored = SECRET "x";
    assert_text(judge(test, settings, "PUT", &request), "CSRF cookie has incorrect length.",
                "the cookie");
}

static void verdicts_have_names_for_counters(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < DJS_CSRF_VERDICTS; i++) {
        assert_non_null(djs_csrf_verdict_name((djs_csrf_verdict_t)i));
        assert_number(*djs_csrf_verdict_name((djs_csrf_verdict_t)i) == '\0', i == DJS_CSRF_PASS,
                      "only passing has none");
    }
}

/* ---- settings ---- */

static void trusted_origins_have_a_host_and_no_path(void **state)
{
    static const struct { const char *text; int good; const char *why; } cases[] = {
        { "https://a.example", 1, "an origin" },
        { "http://a.example:8080", 1, "with a port" },
        { "https://*.a.example", 1, "all below it" },
        { "https://[::1]:8443", 1, "an address" },
        { "a.example", 1, "Django's older form" },
        { ".a.example", 1, "and all below it" },
        { "localhost:8000", 1, "a host and port" },
        { "chrome-extension://abc", 1, "another scheme" },
        { "*.a.example", 0, "of neither form" },
        { "*", 0, "all" },
        { "https://*", 0, "all of one scheme" },
        { "https://a.example/", 0, "a path" },
        { "https://a.*.example", 0, "a star inside" },
        { "https://.a.example", 0, "half a pattern" },
        { "https://", 0, "no host" },
        { "//a.example", 0, "no scheme" },
        { "https://u@a.example", 0, "somebody in front" },
        { "https://a b", 0, "a blank" },
        { "..a", 0, "two dots" },
        { ".", 0, "a dot" },
        { "", 0, "empty" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        assert_number(djs_csrf_is_origin(cases[i].text), cases[i].good, cases[i].why);
    }
}

static void settings_that_cannot_work_are_refused_by_name(void **state)
{
    static const struct { const char *directive, *value, *names, *why; } bad[] = {
        { "DjangoCsrfCookieSameSite", "None", "DjangoCsrfCookieSecure", "SameSite=None" },
        { "DjangoCsrfCookieName", "__Secure-c", "DjangoCsrfCookieSecure", "__Secure-" },
        { "DjangoCsrfCookieName", "__Host-c", "DjangoCsrfCookieSecure", "__Host-" },
        { "DjangoCsrfCookieName", "sessionid", "DjangoSessionCookieName", "one name for two" },
        { "DjangoCsrfHeaderName", "HTTP_X_CSRFTOKEN", "X-CSRFToken", "Django's variable" },
    };
    test_t *test = *state;
    djs_settings_t *settings = settings_of(test, DJS_CSRF_MODE_ON);
    size_t i;

    assert_status(test->ctx, djs_csrf_check_settings(test->ctx, settings), APR_SUCCESS, "default");
    for (i = 0; i < COUNT(bad); i++) {
        settings = settings_of(test, DJS_CSRF_MODE_ON);
        assert_status(test->ctx,
                      djs_settings_set(test->ctx, settings, djs_setting_find(bad[i].directive), 1,
                                       &bad[i].value),
                      APR_SUCCESS, bad[i].why);
        assert_status(test->ctx, djs_csrf_check_settings(test->ctx, settings), DJS_EINVAL,
                      bad[i].why);
        assert_non_null(strstr(test->ctx->problem, bad[i].directive));
        assert_non_null(strstr(test->ctx->problem, bad[i].names));
        djs_forget(test->ctx);
    }
    settings->csrf_header_name = "X-CSRFToken";
    settings->csrf_cookie_name = "__Host-c";
    settings->csrf_cookie_secure = DJS_SECURE_AUTO;
    settings->csrf_cookie_samesite = DJS_SAMESITE_NONE;
    assert_status(test->ctx, djs_csrf_check_settings(test->ctx, settings), APR_SUCCESS,
                  "what works together");
    settings->csrf_cookie_domain = "a.example";
    assert_status(test->ctx, djs_csrf_check_settings(test->ctx, settings), DJS_EINVAL,
                  "__Host- with a domain");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_secret_is_masked_as_django_masks_it),
        TEST(what_is_made_is_well_formed_and_never_the_same),
        TEST(only_letters_and_digits_of_two_lengths_are_tokens),
        TEST(the_cookie_is_djangos_line_for_line_and_so_is_what_sessions_hold),
        TEST(secure_auto_is_the_requests_say),
        TEST(of_several_cookies_the_last_counts_as_in_django),
        TEST(every_request_of_the_vectors_is_judged_as_django_judges_it),
        TEST(hosts_as_djangos_before_4_0_wrote_them_work_for_referers),
        TEST(hosts_of_djangos_older_form_stand_for_origins),
        TEST(without_tokens_the_source_must_be_told_and_be_ours),
        TEST(a_reason_holds_no_token),
        TEST(verdicts_have_names_for_counters),
        TEST(trusted_origins_have_a_host_and_no_path),
        TEST(settings_that_cannot_work_are_refused_by_name),
    };

    return RUN_TESTS(tests);
}
