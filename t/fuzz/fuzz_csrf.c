/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request is judged by. The first byte says how the site is configured and which headers
 * there are; the rest are the values of the headers, each ended by a line feed:
 *
 *     Host, Origin, Referer, Sec-Fetch-Site, Cookie, the form's field, the header with the token
 *
 *     source   what passes comes from this host or from one that is trusted
 *     token    what passes knows the secret; one that we make is good
 */
#include <string.h>

#include <apr_strings.h>

#include "fuzz.h"
#include "csrf.h"

enum { SECURE = 1, BY_ORIGIN = 2, HAS_ORIGIN = 4, HAS_REFERER = 8, HAS_SITE = 16, HAS_FIELD = 32,
       HAS_HEADER = 64, WITH_DOMAIN = 128 };

enum { HOST, ORIGIN, REFERER, SITE, COOKIE, FIELD, HEADER, LINES };

#define DOMAIN "domain.test"

/* ---- where it comes from ---- */

static int ends_with(djs_bytes_t text, const char *end)
{
    apr_size_t len = strlen(end);

    return text.len >= len && strncasecmp(text.data + text.len - len, end, len) == 0;
}

/* What stands behind "//", up to the path; as browsers and Python have it. */
static djs_bytes_t host_of(const char *address)
{
    const char *slashes = strstr(address, "//");
    djs_bytes_t host = djs_bytes(slashes != NULL ? slashes + 2 : address);

    host.len = strcspn(host.data, "/?#");
    return host;
}

/* Nobody's but the owner's of the domain, with a port of his. */
static int is_trusted(djs_bytes_t host)
{
    static const char *const below[] = { ".friends.test", ".older.test" };
    static const char *const exactly[] = { "friend.test", "friends.test", "old.test",
                                           "older.test" };
    apr_size_t i;

    for (i = 0; i < sizeof(exactly) / sizeof(exactly[0]); i++) {
        if (host.len == strlen(exactly[i]) && ends_with(host, exactly[i])) {
            return 1;
        }
    }
    return (ends_with(host, below[0]) || ends_with(host, below[1]))
           && memchr(host.data, '@', host.len) == NULL && memchr(host.data, '\\', host.len) == NULL;
}

static int is_of_domain(const djs_settings_t *settings, djs_bytes_t host)
{
    return settings->csrf_cookie_domain != NULL
           && (ends_with(host, "." DOMAIN) || djs_bytes_is(host, DOMAIN)
               || ends_with(host, "." DOMAIN ":8443") || djs_bytes_is(host, DOMAIN ":8443"))
           && memchr(host.data, '@', host.len) == NULL && memchr(host.data, '\\', host.len) == NULL;
}

/* Tabs and line ends are taken out of addresses, blanks around them too, before they are read. */
static const char *cleaned(apr_pool_t *pool, const char *address)
{
    char *copy = apr_palloc(pool, strlen(address) + 1), *to = copy;

    for (; *address != '\0'; address++) {
        if (strchr("\t\r\n", *address) == NULL && (to > copy || (unsigned char)*address > ' ')) {
            *to++ = *address;
        }
    }
    *to = '\0';
    return copy;
}

static int is_from_here(djs_ctx_t *ctx, const djs_settings_t *settings,
                        const djs_csrf_request_t *request, const char *address)
{
    djs_bytes_t host = host_of(cleaned(ctx->pool, address));
    const char *here = apr_pstrcat(ctx->pool, request->secure ? "https://" : "http://",
                                   request->host, NULL);

    return strcmp(address, here) == 0 || is_trusted(host) || is_of_domain(settings, host)
           || (host.len == strlen(request->host) && ends_with(host, request->host));
}

static void check_source(djs_ctx_t *ctx, const djs_settings_t *settings,
                         const djs_csrf_request_t *request)
{
    const char *reason = NULL;
    djs_csrf_verdict_t verdict = djs_csrf_check_source(ctx, settings, request, &reason);
    int is_told = settings->csrf == DJS_CSRF_MODE_ORIGIN && request->fetch_site != NULL
                  && strcmp(request->fetch_site, "same-origin") == 0
                  && (request->origin == NULL || strcmp(request->origin, "null") == 0);

    FUZZ_CHECK((verdict == DJS_CSRF_PASS) == (reason == NULL));
    FUZZ_CHECK(!is_told || verdict == DJS_CSRF_PASS);
    if (verdict != DJS_CSRF_PASS || is_told) {
        return;
    }
    if (request->origin != NULL) {
        FUZZ_CHECK(is_from_here(ctx, settings, request, request->origin));
    }
    else if (settings->csrf == DJS_CSRF_MODE_ORIGIN || request->secure) {
        FUZZ_CHECK(request->referer != NULL
                   && is_from_here(ctx, settings, request, request->referer));
    }
}

/* ---- the token ---- */

static void check_token(djs_ctx_t *ctx, const djs_settings_t *settings, djs_csrf_request_t *request)
{
    const char *reason = NULL, *token;
    djs_csrf_verdict_t verdict = djs_csrf_check_token(ctx, settings, request, &reason);
    const char *sent = request->field != NULL && *request->field != '\0' ? request->field
                                                                         : request->header;

    FUZZ_CHECK((verdict == DJS_CSRF_PASS) == (reason == NULL));
    FUZZ_CHECK((verdict == DJS_CSRF_PASS)
               == (djs_csrf_is_valid(request->stored) && djs_csrf_is_valid(sent)
                   && djs_csrf_agree(request->stored, sent)));
    if (!djs_csrf_is_valid(request->stored)) {
        return;
    }
    FUZZ_CHECK(djs_csrf_token(ctx, request->stored, &token) == APR_SUCCESS);
    FUZZ_CHECK(strlen(token) == DJS_CSRF_TOKEN_LEN && djs_csrf_is_valid(token));
    FUZZ_CHECK(djs_csrf_agree(token, request->stored) && djs_csrf_agree(request->stored, token));
    request->field = token;
    FUZZ_CHECK(djs_csrf_check_token(ctx, settings, request, &reason) == DJS_CSRF_PASS);
    if (strlen(request->stored) == DJS_CSRF_SECRET_LEN) { /* as a mask of itself */
        token = djs_csrf_mask(ctx->pool, request->stored, request->stored);
        FUZZ_CHECK(djs_csrf_agree(token, request->stored));
    }
}

/* ---- the site ---- */

static djs_settings_t *settings_of(djs_ctx_t *ctx, unsigned int how)
{
    static const char *const trusted[] = { "https://friend.test", "https://*.friends.test",
                                           "old.test", ".older.test" };
    djs_settings_t *settings = djs_settings_complete(ctx->pool, djs_settings_make(ctx->pool));
    apr_size_t i;

    settings->csrf = how & BY_ORIGIN ? DJS_CSRF_MODE_ORIGIN : DJS_CSRF_MODE_ON;
    settings->csrf_trusted_origins = apr_array_make(ctx->pool, 4, sizeof(const char *));
    for (i = 0; i < sizeof(trusted) / sizeof(trusted[0]); i++) {
        FUZZ_CHECK(djs_csrf_is_origin(trusted[i]));
        APR_ARRAY_PUSH(settings->csrf_trusted_origins, const char *) = trusted[i];
    }
    if (how & WITH_DOMAIN) {
        settings->csrf_cookie_domain = "." DOMAIN;
    }
    return settings;
}

/* Lines; those that are missing are empty. A header holds no NUL. */
static void split(djs_ctx_t *ctx, djs_bytes_t bytes, const char **lines)
{
    char *text = apr_pstrmemdup(ctx->pool, bytes.data, bytes.len);
    int i;

    for (i = 0; i < LINES; i++) {
        char *end = text + strcspn(text, "\n");

        /* In memory of just its length. */
        lines[i] = apr_pstrmemdup(ctx->pool, text, (apr_size_t)(end - text));
        text = *end != '\0' ? end + 1 : end;
    }
}

void fuzz_one(djs_ctx_t *ctx, djs_bytes_t bytes)
{
    const char *lines[LINES];
    unsigned int how = bytes.len > 0 ? (unsigned char)bytes.data[0] : 0;
    djs_settings_t *settings = settings_of(ctx, how);
    djs_csrf_request_t request = { .secure = how & SECURE, .port = how & SECURE ? 8443 : 80 };

    split(ctx, bytes.len > 0 ? djs_bytes_of(bytes.data + 1, bytes.len - 1) : bytes, lines);
    request.host = lines[HOST];
    request.origin = how & HAS_ORIGIN ? lines[ORIGIN] : NULL;
    request.referer = how & HAS_REFERER ? lines[REFERER] : NULL;
    request.fetch_site = how & HAS_SITE ? lines[SITE] : NULL;
    request.field = how & HAS_FIELD ? lines[FIELD] : NULL;
    request.header = how & HAS_HEADER ? lines[HEADER] : NULL;
    request.stored = djs_csrf_from_cookies(ctx, settings, lines[COOKIE]);
    (void)djs_csrf_is_origin(lines[ORIGIN]);
    check_source(ctx, settings, &request);
    check_token(ctx, settings, &request);
}
