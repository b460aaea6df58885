/* SPDX-License-Identifier: Apache-2.0 */
/*
 * django.middleware.csrf: secrets, tokens, and whether a request may change things.
 *
 * A visitor has a secret, 32 letters and digits, in a cookie (or in the session under "_csrftoken").
 * Each form gets a token made from it with a mask of its own, so that no two look alike:
 *
 *     token = mask (32) + cipher (32)        cipher[i] = secret[i] + mask[i], by place in the alphabet
 *
 * What is stored is either the bare secret (Django 4.1 and later) or a token of it (before); both are
 * read, and clients may send both. We store tokens, which every Django reads in either place.
 *
 * A request is judged in two steps, so that no body is read of one that comes from elsewhere:
 *
 *     djs_csrf_check_source    Origin; without one, under TLS, Referer
 *     djs_csrf_check_token     what is stored against the form's field or the header
 *
 * `DjangoCsrf Origin` knows no tokens: there only the source is looked at, and it must be told.
 */
#ifndef DJS_CSRF_H
#define DJS_CSRF_H

#include "cookie.h"
#include "settings.h"

#define DJS_CSRF_FIELD       "csrfmiddlewaretoken"
#define DJS_CSRF_SESSION_KEY "_csrftoken"
#define DJS_CSRF_SECRET_LEN  32
#define DJS_CSRF_TOKEN_LEN   64

/* ---- tokens; secret, as what they are made of ---- */

/** A new secret in the form in which it is stored. APR_EGENERAL: no chance to be had. */
apr_status_t djs_csrf_make(djs_ctx_t *ctx, const char **stored) DJS_MUST_CHECK;

/** get_token(): a token for a form, masked anew. @a stored is well-formed. */
apr_status_t djs_csrf_token(djs_ctx_t *ctx, const char *stored, const char **token) DJS_MUST_CHECK;

/** The token of a secret with a given mask, both of 32 characters. In @a pool. */
const char *djs_csrf_mask(apr_pool_t *pool, const char *secret, const char *mask);

/** A secret or a token: of the right length and alphabet. NULL is neither. */
int djs_csrf_is_valid(const char *text);

/** Are both of one secret? Each is well-formed, of either kind. In constant time. */
int djs_csrf_agree(const char *a, const char *b);

/**
 * What is stored by the request's Cookie header (as djs_cookie_find() takes it): the value of the last
 * cookie of the name. It may be malformed. NULL: there is none.
 */
const char *djs_csrf_from_cookies(djs_ctx_t *ctx, const djs_settings_t *settings,
                                  const char *header);

/** The value of the Set-Cookie header; @a secure as for djs_cookie_set(). */
const char *djs_csrf_set_cookie(djs_ctx_t *ctx, const djs_settings_t *settings, int secure,
                                const char *stored);

/* ---- requests ---- */

/** What a request is judged by. NULL: it has none. */
typedef struct djs_csrf_request_t {
    int secure;             /* is_secure(): it came by https */
    const char *host;       /* the Host header, as sent */
    int port;               /* of the server; for Referer under DjangoCsrfCookieDomain */
    const char *origin;     /* headers: Origin, Referer, Sec-Fetch-Site */
    const char *referer;
    const char *fetch_site;
    const char *stored;     /* by the cookie or the session; may be malformed */
    const char *field;      /* DJS_CSRF_FIELD of a form's body */
    const char *header;     /* DjangoCsrfHeaderName */
} djs_csrf_request_t;

/** What a request was refused for; djs_csrf_verdict_name() names it, for counters. */
typedef enum djs_csrf_verdict_t {
    DJS_CSRF_PASS = 0,
    DJS_CSRF_BAD_ORIGIN,
    DJS_CSRF_BAD_REFERER,
    DJS_CSRF_BAD_COOKIE,
    DJS_CSRF_BAD_TOKEN,
    DJS_CSRF_VERDICTS
} djs_csrf_verdict_t;

/** "origin", "referer", "cookie", "token"; "" for DJS_CSRF_PASS. */
const char *djs_csrf_verdict_name(djs_csrf_verdict_t verdict);

/** GET, HEAD, OPTIONS, TRACE: methods that are never checked. */
int djs_csrf_is_safe(const char *method);

/**
 * Does the request come from where it may? As settings->csrf says, which is not Off.
 *
 *     On       Origin if there is one: ours, or a trusted one. Else under TLS the Referer, the same.
 *     Origin   Origin unless it is "null"; else Sec-Fetch-Site: same-origin; else the Referer, which
 *              must then be trusted by the configuration if Sec-Fetch-Site says that it is not ours.
 *
 * @param reason  what Django would say of it, as a sentence; untouched when it passes. It holds what
 *                the client sent
 */
djs_csrf_verdict_t djs_csrf_check_source(djs_ctx_t *ctx, const djs_settings_t *settings,
                                         const djs_csrf_request_t *request, const char **reason)
    DJS_MUST_CHECK;

/**
 * Is the stored secret known to who made the request? The field if there is one and it is not
 * empty, else the header. Reasons never hold a token.
 */
djs_csrf_verdict_t djs_csrf_check_token(djs_ctx_t *ctx, const djs_settings_t *settings,
                                        const djs_csrf_request_t *request, const char **reason)
    DJS_MUST_CHECK;

/* ---- settings ---- */

/**
 * Would browsers take the cookie, and can the other directives work? DJS_EINVAL: the problem names
 * the directive and what to do.
 */
apr_status_t djs_csrf_check_settings(djs_ctx_t *ctx, const djs_settings_t *settings)
    DJS_MUST_CHECK;

/**
 * An entry of DjangoCsrfTrustedOrigins: "https://host" with a port if need be, "*." in front of the
 * host for all that is below it; or as Django wrote it before 4.0 "host" and ".host".
 */
int djs_csrf_is_origin(const char *text);

#endif
