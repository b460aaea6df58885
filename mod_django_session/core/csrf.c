/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules are CsrfViewMiddleware's of Django 4.0 and later; where it reads addresses it reads them
 * as Python's urlsplit() does.
 *
 * Entries of DjangoCsrfTrustedOrigins and what they let pass:
 *
 *     scheme://host[:port]     that Origin to the letter; any Referer by https of that host and port
 *     the same with "*." in    Origins of that scheme, and Referers by https, of the host and all
 *     front of the host        below it
 *     host[:port], .host       Django's form before 4.0, which looked at Referers only: as above, with
 *                              https, or any scheme where the request itself came without TLS
 */
#include "csrf.h"

#include <string.h>

#include <apr_lib.h>

#include "secret.h"

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

#define LETTERS 62

/* ---- tokens ---- */

static int index_of(char c)
{
    if (c >= 'a' && c <= 'z') {
        return c - 'a';
    }
    return c >= 'A' && c <= 'Z' ? c - 'A' + 26 : c - '0' + 52;
}

const char *djs_csrf_mask(apr_pool_t *pool, const char *secret, const char *mask)
{
    char *token = apr_palloc(pool, DJS_CSRF_TOKEN_LEN + 1);
    int i;

    for (i = 0; i < DJS_CSRF_SECRET_LEN; i++) {
        token[i] = mask[i];
        token[DJS_CSRF_SECRET_LEN + i]
            = alphabet[(index_of(secret[i]) + index_of(mask[i])) % LETTERS];
    }
    token[DJS_CSRF_TOKEN_LEN] = '\0';
    return token;
}

/* The secret in a well-formed text of either kind. */
static void unmask(const char *text, char secret[DJS_CSRF_SECRET_LEN + 1])
{
    int i;

    secret[DJS_CSRF_SECRET_LEN] = '\0';
    if (strlen(text) == DJS_CSRF_SECRET_LEN) {
        memcpy(secret, text, DJS_CSRF_SECRET_LEN);
        return;
    }
    for (i = 0; i < DJS_CSRF_SECRET_LEN; i++) {
        secret[i] = alphabet[(index_of(text[DJS_CSRF_SECRET_LEN + i]) - index_of(text[i]) + LETTERS)
                             % LETTERS];
    }
}

/* A token of a secret under a new mask. */
static apr_status_t mask_anew(djs_ctx_t *ctx, const char *secret, const char **token)
{
    const char *mask;
    apr_status_t rv = djs_random_string(ctx, alphabet, DJS_CSRF_SECRET_LEN, &mask);

    if (rv == APR_SUCCESS) {
        *token = djs_csrf_mask(ctx->pool, secret, mask);
    }
    return rv;
}

apr_status_t djs_csrf_make(djs_ctx_t *ctx, const char **stored)
{
    const char *secret;
    apr_status_t rv = djs_random_string(ctx, alphabet, DJS_CSRF_SECRET_LEN, &secret);

    return rv == APR_SUCCESS ? mask_anew(ctx, secret, stored) : rv;
}

apr_status_t djs_csrf_token(djs_ctx_t *ctx, const char *stored, const char **token)
{
    char secret[DJS_CSRF_SECRET_LEN + 1];
    apr_status_t rv;

    unmask(stored, secret);
    rv = mask_anew(ctx, secret, token);
    djs_secret_wipe(secret, sizeof(secret));
    return rv;
}

/* What is wrong with a text that should be a secret or a token, in Django's words; NULL: nothing. */
static const char *fault_of(const char *text)
{
    apr_size_t characters = 0;
    const char *c;

    for (c = text; *c; c++) {
        characters += (*c & 0xc0) != 0x80; /* those of UTF-8 */
    }
    if (characters != DJS_CSRF_SECRET_LEN && characters != DJS_CSRF_TOKEN_LEN) {
        return "has incorrect length";
    }
    return text[strspn(text, alphabet)] == '\0' ? NULL : "has invalid characters";
}

int djs_csrf_is_valid(const char *text)
{
    return text && !fault_of(text);
}

int djs_csrf_agree(const char *a, const char *b)
{
    char left[DJS_CSRF_SECRET_LEN + 1], right[DJS_CSRF_SECRET_LEN + 1];
    int equal;

    unmask(a, left);
    unmask(b, right);
    equal = djs_secret_equal(djs_bytes_of(left, DJS_CSRF_SECRET_LEN),
                             djs_bytes_of(right, DJS_CSRF_SECRET_LEN));
    djs_secret_wipe(left, sizeof(left));
    djs_secret_wipe(right, sizeof(right));
    return equal;
}

/* ---- the cookie ---- */

static djs_cookie_look_t look_of(const djs_settings_t *settings)
{
    djs_cookie_look_t look = {
        .name = settings->csrf_cookie_name,
        .domain = settings->csrf_cookie_domain,
        .path = settings->csrf_cookie_path,
        .samesite = settings->csrf_cookie_samesite,
        .httponly = settings->csrf_cookie_httponly,
        .secure = settings->csrf_cookie_secure != DJS_SECURE_OFF
    };

    return look;
}

const char *djs_csrf_from_cookies(djs_ctx_t *ctx, const djs_settings_t *settings,
                                  const char *header)
{
    apr_array_header_t *values = djs_cookie_find(ctx, header, settings->csrf_cookie_name);

    return values->nelts > 0 ? APR_ARRAY_IDX(values, 0, const char *) : NULL;
}

const char *djs_csrf_set_cookie(djs_ctx_t *ctx, const djs_settings_t *settings, int secure,
                                const char *stored)
{
    djs_cookie_look_t look = look_of(settings);
    djs_cookie_life_t life = {
        .browser_close = settings->csrf_cookie_age == 0, .age = settings->csrf_cookie_age
    };

    look.secure = djs_cookie_says_secure(&look, settings->csrf_cookie_secure, secure);
    return djs_cookie_line(ctx, &look, stored, life);
}

/* ---- addresses ---- */

/* What of an address is looked at; borrowed from a text without tabs. */
typedef struct address_t {
    djs_bytes_t scheme;
    djs_bytes_t host; /* with the port, and who is in front of it */
} address_t;

/* Without what urlsplit() takes out of an address: blanks in front, tabs and line ends anywhere. */
static const char *clean(apr_pool_t *pool, const char *text)
{
    char *out, *at;

    while (*text && (unsigned char)*text <= ' ') {
        text++;
    }
    out = at = apr_palloc(pool, strlen(text) + 1);
    for (; *text; text++) {
        if (!strchr("\t\r\n", *text)) {
            *at++ = *text;
        }
    }
    *at = '\0';
    return out;
}

static apr_size_t scheme_length(const char *text)
{
    apr_size_t len = 0;

    if (apr_isalpha(text[0])) {
        while (apr_isalnum(text[len]) || strchr("+-.", text[len] ? text[len] : '!')) {
            len++;
        }
    }
    return text[len] == ':' ? len : 0;
}

/* 0: it is none; a part that is missing is empty. @a text is clean. */
static int split(const char *text, address_t *address)
{
    apr_size_t len = scheme_length(text);
    int opens, closes;

    address->scheme = djs_bytes_of(text, len);
    text += len > 0 ? len + 1 : 0;
    address->host = djs_bytes("");
    if (strncmp(text, "//", 2) == 0) {
        address->host = djs_bytes_of(text + 2, strcspn(text + 2, "/?#"));
    }
    opens = address->host.len > 0 && memchr(address->host.data, '[', address->host.len) != NULL;
    closes = address->host.len > 0 && memchr(address->host.data, ']', address->host.len) != NULL;
    return opens == closes;
}

static int is_scheme(djs_bytes_t scheme, const char *name)
{
    return scheme.len == strlen(name) && strncasecmp(scheme.data, name, scheme.len) == 0;
}

/* Of nothing but what hosts and ports are made of; browsers send no other. */
static int is_host(djs_bytes_t host)
{
    apr_size_t i;

    for (i = 0; i < host.len; i++) {
        if (!apr_isalnum(host.data[i]) && !strchr("-._:[]", host.data[i] ? host.data[i] : '!')) {
            return 0;
        }
    }
    return host.len > 0;
}

/* is_same_domain(): the pattern is lowered, the host is as it was sent. */
static int is_same_domain(djs_bytes_t host, const char *pattern)
{
    apr_size_t len = strlen(pattern);
    apr_size_t i;

    if (*pattern == '.' && host.len == len - 1) {
        pattern++;
        len--;
    }
    else if (*pattern == '.' ? host.len < len || !is_host(host) : host.len != len) {
        return 0;
    }
    for (i = 0; i < len; i++) {
        if (host.data[host.len - len + i] != apr_tolower(pattern[i])) {
            return 0;
        }
    }
    return len > 0;
}

/* The host part of an entry, "*" dropped; *scheme is empty for Django's older form. */
static const char *pattern_of(const char *entry, djs_bytes_t *scheme)
{
    const char *colons = strstr(entry, "://");

    *scheme = djs_bytes_of(entry, colons ? (apr_size_t)(colons - entry) : 0);
    entry = colons ? colons + 3 : entry;
    return *entry == '*' ? entry + 1 : entry;
}

static int lists_origin(const djs_settings_t *settings, const djs_csrf_request_t *request,
                        const char *origin, const char *cleaned)
{
    const apr_array_header_t *entries = settings->csrf_trusted_origins;
    address_t from;
    int i;

    for (i = 0; entries && i < entries->nelts; i++) {
        const char *entry = APR_ARRAY_IDX(entries, i, const char *);
        djs_bytes_t scheme;
        const char *pattern = pattern_of(entry, &scheme);

        if (strcmp(entry, origin) == 0) {
            return 1;
        }
        /* A whole origin is compared to the letter, patterns by their parts. */
        if ((scheme.len > 0 && *pattern != '.') || !split(cleaned, &from)
            || !is_same_domain(from.host, pattern)) {
            continue;
        }
        if (scheme.len > 0 ? from.scheme.len == scheme.len
                                 && strncasecmp(from.scheme.data, scheme.data, scheme.len) == 0
                           : is_scheme(from.scheme, "https")
                                 || (!request->secure && is_scheme(from.scheme, "http"))) {
            return 1;
        }
    }
    return 0;
}

static int is_own_origin(const djs_csrf_request_t *request, const char *origin)
{
    const char *scheme = request->secure ? "https://" : "http://";
    apr_size_t len = strlen(scheme);

    return request->host && *request->host && strncmp(origin, scheme, len) == 0
           && strcmp(origin + len, request->host) == 0;
}

static int lists_host(const djs_settings_t *settings, djs_bytes_t host)
{
    const apr_array_header_t *entries = settings->csrf_trusted_origins;
    djs_bytes_t scheme;
    int i;

    for (i = 0; entries && i < entries->nelts; i++) {
        if (is_same_domain(host, pattern_of(APR_ARRAY_IDX(entries, i, const char *), &scheme))) {
            return 1;
        }
    }
    return 0;
}

/* The host itself, or, where the cookie is of a domain, what the cookie is sent to. */
static int is_own_host(djs_ctx_t *ctx, const djs_settings_t *settings,
                       const djs_csrf_request_t *request, djs_bytes_t host)
{
    const char *domain = settings->csrf_use_sessions ? settings->cookie_domain
                                                     : settings->csrf_cookie_domain;

    if (!domain) {
        return request->host && is_same_domain(host, request->host);
    }
    if (request->port != 443 && request->port != 80) {
        domain = apr_psprintf(ctx->pool, "%s:%d", domain, request->port);
    }
    return is_same_domain(host, domain);
}

/* ---- where it comes from ---- */

static djs_csrf_verdict_t refuse(djs_ctx_t *ctx, djs_csrf_verdict_t verdict, const char **reason,
                                 const char *format, ...) DJS_PRINTF(4, 5);

static djs_csrf_verdict_t refuse(djs_ctx_t *ctx, djs_csrf_verdict_t verdict, const char **reason,
                                 const char *format, ...)
{
    va_list args;

    va_start(args, format);
    *reason = apr_pvsprintf(ctx->pool, format, args);
    va_end(args);
    return verdict;
}

static djs_csrf_verdict_t check_origin(djs_ctx_t *ctx, const djs_settings_t *settings,
                                       const djs_csrf_request_t *request, const char **reason)
{
    const char *origin = request->origin;

    if (is_own_origin(request, origin)
        || lists_origin(settings, request, origin, clean(ctx->pool, origin))) {
        return DJS_CSRF_PASS;
    }
    return refuse(ctx, DJS_CSRF_BAD_ORIGIN, reason,
                  "Origin checking failed - %s does not match any trusted origins.", origin);
}

#define REFERER "Referer checking failed - "

static djs_csrf_verdict_t check_referer(djs_ctx_t *ctx, const djs_settings_t *settings,
                                        const djs_csrf_request_t *request, const char **reason)
{
    const char *referer;
    address_t from;

    if (!request->referer) {
        return refuse(ctx, DJS_CSRF_BAD_REFERER, reason, REFERER "no Referer.");
    }
    referer = clean(ctx->pool, request->referer);
    if (!split(referer, &from) || from.scheme.len == 0 || from.host.len == 0) {
        return refuse(ctx, DJS_CSRF_BAD_REFERER, reason, REFERER "Referer is malformed.");
    }
    if (!is_scheme(from.scheme, "https")) {
        return refuse(ctx, DJS_CSRF_BAD_REFERER, reason,
                      REFERER "Referer is insecure while host is secure.");
    }
    if (lists_host(settings, from.host) || is_own_host(ctx, settings, request, from.host)) {
        return DJS_CSRF_PASS;
    }
    return refuse(ctx, DJS_CSRF_BAD_REFERER, reason,
                  REFERER "%s does not match any trusted origins.", referer);
}

/* The origin of a Referer, as an Origin header would say it; NULL: it has none. */
static const char *origin_of(djs_ctx_t *ctx, const char *referer)
{
    address_t from;

    referer = clean(ctx->pool, referer);
    if (!split(referer, &from) || from.scheme.len == 0 || !is_host(from.host)) {
        return NULL;
    }
    return apr_psprintf(ctx->pool, "%.*s://%.*s", (int)from.scheme.len, from.scheme.data,
                        (int)from.host.len, from.host.data);
}

/* `DjangoCsrf Origin` without an Origin that says something. */
static djs_csrf_verdict_t check_site(djs_ctx_t *ctx, const djs_settings_t *settings,
                                     const djs_csrf_request_t *request, const char **reason)
{
    const char *site = request->fetch_site;
    const char *from = request->referer ? origin_of(ctx, request->referer) : NULL;

    if (site && strcmp(site, "same-origin") == 0) {
        return DJS_CSRF_PASS;
    }
    if (request->origin) {
        return check_origin(ctx, settings, request, reason); /* "null", unless that is trusted */
    }
    if (from && (lists_origin(settings, request, from, from)
                 || (!site && is_own_origin(request, from)))) {
        return DJS_CSRF_PASS;
    }
    if (site) {
        return refuse(ctx, DJS_CSRF_BAD_ORIGIN, reason,
                      "Origin checking failed - Sec-Fetch-Site is %s.", site);
    }
    if (request->referer) {
        return refuse(ctx, DJS_CSRF_BAD_REFERER, reason,
                      REFERER "%s does not match any trusted origins.", request->referer);
    }
    return refuse(ctx, DJS_CSRF_BAD_ORIGIN, reason,
                  "Origin checking failed - no Origin, Referer or Sec-Fetch-Site.");
}

djs_csrf_verdict_t djs_csrf_check_source(djs_ctx_t *ctx, const djs_settings_t *settings,
                                         const djs_csrf_request_t *request, const char **reason)
{
    if (settings->csrf == DJS_CSRF_MODE_ORIGIN
        && (!request->origin || strcmp(request->origin, "null") == 0)) {
        return check_site(ctx, settings, request, reason);
    }
    if (request->origin) {
        return check_origin(ctx, settings, request, reason);
    }
    return request->secure ? check_referer(ctx, settings, request, reason) : DJS_CSRF_PASS;
}

/* ---- the token ---- */

/* "X-CSRFToken" as Django writes it in its reasons: X-Csrftoken. */
static const char *title_of(apr_pool_t *pool, const char *header)
{
    char *title = apr_pstrdup(pool, header);
    char *c;

    for (c = title; *c; c++) {
        *c = c == title || !apr_isalpha(c[-1]) ? apr_toupper(*c) : apr_tolower(*c);
    }
    return title;
}

static djs_csrf_verdict_t refuse_token(djs_ctx_t *ctx, const djs_settings_t *settings,
                                       int is_field, const char *fault, const char **reason)
{
    const char *source = "POST";

    if (!is_field) {
        source = apr_psprintf(ctx->pool, "the '%s' HTTP header",
                              title_of(ctx->pool, settings->csrf_header_name));
    }
    *reason = apr_psprintf(ctx->pool, "CSRF token from %s %s.", source, fault);
    return DJS_CSRF_BAD_TOKEN;
}

djs_csrf_verdict_t djs_csrf_check_token(djs_ctx_t *ctx, const djs_settings_t *settings,
                                        const djs_csrf_request_t *request, const char **reason)
{
    int is_field = request->field && *request->field;
    const char *token = is_field ? request->field : request->header;
    const char *fault;

    if (!request->stored) {
        return refuse(ctx, DJS_CSRF_BAD_COOKIE, reason, "CSRF cookie not set.");
    }
    fault = fault_of(request->stored);
    if (fault) {
        return refuse(ctx, DJS_CSRF_BAD_COOKIE, reason, "CSRF cookie %s.", fault);
    }
    if (!token) {
        return refuse(ctx, DJS_CSRF_BAD_TOKEN, reason, "CSRF token missing.");
    }
    fault = fault_of(token);
    if (!fault && !djs_csrf_agree(token, request->stored)) {
        fault = "incorrect";
    }
    return fault ? refuse_token(ctx, settings, is_field, fault, reason) : DJS_CSRF_PASS;
}

const char *djs_csrf_verdict_name(djs_csrf_verdict_t verdict)
{
    static const char *const names[DJS_CSRF_VERDICTS] = { "", "origin", "referer", "cookie",
                                                          "token" };

    return names[verdict];
}

int djs_csrf_is_safe(const char *method)
{
    return strcasecmp(method, "GET") == 0 || strcasecmp(method, "HEAD") == 0
           || strcasecmp(method, "OPTIONS") == 0 || strcasecmp(method, "TRACE") == 0;
}

/* ---- settings ---- */

int djs_csrf_is_origin(const char *text)
{
    apr_size_t len = scheme_length(text);
    const char *host = text;

    if (len > 0 && strncmp(text + len, "://", 3) == 0) {
        host = text + len + 3;
        host += strncmp(host, "*.", 2) == 0 ? 2 : 0;
    }
    else {
        host += *host == '.';
    }
    return *host != '.' && is_host(djs_bytes(host));
}

apr_status_t djs_csrf_check_settings(djs_ctx_t *ctx, const djs_settings_t *settings)
{
    djs_cookie_look_t look = look_of(settings);

    if (strncasecmp(settings->csrf_header_name, "HTTP_", 5) == 0) {
        return djs_fail(ctx, DJS_EINVAL,
                        "DjangoCsrfHeaderName %s is a WSGI variable; write the header's name as "
                        "clients send it, such as X-CSRFToken",
                        settings->csrf_header_name);
    }
    if (strcmp(settings->csrf_cookie_name, settings->cookie_name) == 0) {
        return djs_fail(ctx, DJS_EINVAL,
                        "DjangoCsrfCookieName and DjangoSessionCookieName are both %s; they must "
                        "differ",
                        settings->cookie_name);
    }
    return djs_cookie_check(ctx, &look, "DjangoCsrfCookie");
}
