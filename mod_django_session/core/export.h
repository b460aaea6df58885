/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a backend is told: names, values, sizes; and which client headers are never let through.
 */
#ifndef DJS_EXPORT_H
#define DJS_EXPORT_H

#include "auth.h"

/** Longest environment variable and header value that is passed on. */
#define DJS_EXPORT_ENV_MAX    (64 * 1024)
#define DJS_EXPORT_HEADER_MAX 7500

/** Of the text of signing.dumps() that DjangoSessionHeaderSigned makes of the Django-Session header. */
#define DJS_SALT_HEADER "mod_django_session.header"

/** Takes one name and value; both live in ctx->pool. value NULL: make sure that it is not there. */
typedef void (*djs_export_fn)(void *baton, const char *name, const char *value);

/** Everything that is told about a request's session. */
typedef struct djs_export_facts_t {
    const djs_site_t *site;
    djs_session_t *session; /* NULL (environment only): no session came */
    djs_user_t *user;       /* NULL: nobody, or users were not looked up */
    djs_reason_t reason;    /* of the login when there is none, else DJS_REASON_NONE */
    djs_export_fn add;      /* takes our own names, of which none is there yet: what has no value need
                               not be told; NULL: as the others */
} djs_export_facts_t;

/**
 * DJANGO_SESSION_* and DJANGO_USER_* as settings->env says. Loads the session unless it says Off.
 * Every name is told: those that have no value now with NULL, so that nobody else's is taken for
 * ours, unless there is facts->add; those of selectors always. A value that is too large is left out;
 * DJANGO_SESSION_OVERFLOW then has its size (of several the largest) and @a overflow (may be NULL)
 * gets it too, for the log, else 0. A selected text with NUL or a lone surrogate is left out, too.
 * DJS_ESTORE: status `error` and its reason were told, nothing else.
 */
apr_status_t djs_export_env(djs_ctx_t *ctx, const djs_export_facts_t *facts, djs_export_fn put,
                            void *baton, apr_size_t *overflow) DJS_MUST_CHECK;

/**
 * Django-Session-* and Django-User-* request headers as settings->header says. Same. All but
 * JSON are percent-encoded: what is not printable ASCII, "%", and blanks at the ends, which HTTP would
 * take away.
 */
apr_status_t djs_export_headers(djs_ctx_t *ctx, const djs_export_facts_t *facts, djs_export_fn put,
                                void *baton, apr_size_t *overflow) DJS_MUST_CHECK;

/**
 * A client's header that a backend could take for one of ours, in any case and with "-", "_" or any
 * other character that servers map to "_" in between: the families Django-Session, Django-User and
 * Django-Csrf-Token with all that begin so ("Django-User-X", not "Django-Users"), and the names in
 * @a custom (const char *; may be NULL), which administrators gave.
 */
int djs_export_is_ours(const char *header, const apr_array_header_t *custom);

/**
 * 0: surely not, by its first letter. Each header of each request is asked for, nearly none is, and
 * that is to cost nothing.
 */
static inline int djs_export_may_be_ours(const char *header, const apr_array_header_t *custom)
{
    return (*header | 0x20) == 'd' || (custom != NULL && custom->nelts > 0);
}

/**
 * A selected value as text (interface 2.3 and 8): a string as it is, numbers, true/false, "" for
 * null, JSON for the rest. NULL: cannot be told as text (NUL or a lone surrogate inside).
 */
const char *djs_export_text(djs_ctx_t *ctx, const djs_value_t *value);

/**
 * The name made from a selector: "DJANGO_SESSION_CART_0" or "Django-Session-Cart-0" for "/cart/0".
 * A character that is no ASCII letter or digit becomes one "_" or "-".
 */
const char *djs_export_env_name(apr_pool_t *pool, const char *selector);
const char *djs_export_header_name(apr_pool_t *pool, const char *selector);

#endif
