/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a Cookie header as Django's parse_cookie, writing a Set-Cookie as Django's HttpResponse.
 */
#ifndef DJS_COOKIE_H
#define DJS_COOKIE_H

#include "expiry.h"
#include "settings.h"

/**
 * The largest cookie that all browsers keep, counted as the strictest of them do: the whole value of
 * the Set-Cookie header, name, "=", value and attributes. (RFC 6265, 6.1, asks for at least this much;
 * others count name and value only, and so keep a little more.)
 */
#define DJS_COOKIE_SIZE_MAX 4096

/** Cookies of one name that are looked at; more are ignored, the last ones count. */
#define DJS_COOKIE_CANDIDATES_MAX 8

/**
 * The values of all cookies named @a name, the last one first, as django.http.parse_cookie reads
 * them: split at ";" only, at the first "=", white space stripped, quoted values unquoted (Python's
 * http.cookies). @a header is the request's Cookie header, several joined with "; ", or NULL.
 * A value with NUL inside is no text and is given as "". They live in ctx->pool or in @a header.
 * @return how many
 */
int djs_cookie_values(djs_ctx_t *ctx, const char *header, const char *name,
                      const char *values[DJS_COOKIE_CANDIDATES_MAX]);

/** The same as an array of const char *, in ctx->pool. */
apr_array_header_t *djs_cookie_find(djs_ctx_t *ctx, const char *header, const char *name);

/**
 * Every cookie of a header as Django reads it: pairs of djs_bytes_t, name then value, in order,
 * later duplicates of a name in the first one's place (a Python dict). For tests and tools.
 */
apr_array_header_t *djs_cookie_parse(djs_ctx_t *ctx, djs_bytes_t header);

/**
 * The header without any cookie of the given names: the others byte for byte, joined by "; ".
 * NULL when none is left.
 */
const char *djs_cookie_remove(djs_ctx_t *ctx, const char *header, const char *const *names,
                              int count);

/** What a Set-Cookie line says beside its name and value. */
typedef struct djs_cookie_life_t {
    int browser_close;       /* no Max-Age, no expires */
    apr_interval_time_t age; /* from ctx->now; may be 0 or negative */
} djs_cookie_life_t;

/** The rest of such a line. */
typedef struct djs_cookie_look_t {
    const char *name;
    const char *domain; /* NULL: none */
    const char *path;
    int samesite;       /* djs_samesite_t */
    int httponly;
    int secure;
    int partitioned;
} djs_cookie_look_t;

/**
 * The value of a Set-Cookie header, attributes in Django's order: Domain, expires, HttpOnly,
 * Max-Age, Path, SameSite, Secure (and Partitioned last). A @a value that is no token is quoted.
 */
const char *djs_cookie_line(djs_ctx_t *ctx, const djs_cookie_look_t *look, const char *value,
                            djs_cookie_life_t life);

/**
 * Would browsers take it? DJS_EINVAL: the problem names the directives, which all begin with
 * @a directives ("DjangoSessionCookie").
 */
apr_status_t djs_cookie_check(djs_ctx_t *ctx, const djs_cookie_look_t *look,
                              const char *directives) DJS_MUST_CHECK;

/** The life of the session cookie of a session with this expiry. */
djs_cookie_life_t djs_cookie_life(const djs_expiry_t *expiry);

/**
 * djs_cookie_line() of the session cookie.
 * @param secure  whether to say Secure: the host has decided what Auto means for this request
 */
const char *djs_cookie_set(djs_ctx_t *ctx, const djs_settings_t *settings, int secure,
                           const char *value, djs_cookie_life_t life);

/** The session cookie as the settings describe it, Secure where it can be (On or Auto). */
djs_cookie_look_t djs_cookie_look(const djs_settings_t *settings);

/**
 * Whether to say Secure under this setting (djs_secure_t). Auto does so on a plain connection, too,
 * when browsers would refuse the cookie without, for its name or its other attributes.
 */
int djs_cookie_says_secure(const djs_cookie_look_t *look, int setting, int request_is_secure);

/** The line with which Django deletes the session cookie. */
const char *djs_cookie_delete(djs_ctx_t *ctx, const djs_settings_t *settings);

/** The name at the beginning of a Set-Cookie value is @a name. */
int djs_cookie_line_is(const char *set_cookie, const char *name);

#endif
