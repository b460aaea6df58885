/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A form that was sent when the login had expired, kept until there is another one.
 *
 * It lives in the session store, under a key that only who has the secret key can work out of its id,
 * as tickets do (sso.h). What is stored is sealed (seal.h) for this id and for one browser, which a
 * cookie names: neither who reads the store nor who knows the id has the form.
 *
 *     plain    = origin LF address LF back LF user LF type LF body
 *     record   = a session with the sealed text under "_post", and its end
 *
 * It is there for DJS_PRESERVE_AGE, and taken away once.
 */
#ifndef DJS_PRESERVE_H
#define DJS_PRESERVE_H

#include "session.h"

#define DJS_PRESERVE_AGE apr_time_from_sec(30 * 60)

/** Longest body that is kept, in bytes: caches take no records of a megabyte. */
#define DJS_PRESERVE_MAX (64 * 1024)

/** Letters and digits of an id, and of what names a browser. */
#define DJS_PRESERVE_ID_LEN 32

typedef struct djs_preserved_t {
    const char *origin;  /* of the host that it was sent to, "https://host:port" */
    const char *address; /* where to: path and query */
    const char *back;    /* the page that it was on; "": not known */
    const char *user_id; /* who was logged in then; "": not known */
    const char *type;    /* Content-Type */
    djs_bytes_t body;    /* secret */
    djs_session_t *record;
} djs_preserved_t;

/** Has @a text the shape of an id? NULL has not. */
int djs_preserve_is_id(const char *text);

/** A new id; for a browser's cookie, too. APR_EGENERAL. */
apr_status_t djs_preserve_id(djs_ctx_t *ctx, const char **id) DJS_MUST_CHECK;

/**
 * Keep a form.
 * @param browser  what its cookie holds
 * @param id       on success, in ctx->pool
 * @return DJS_ELIMIT: too long; DJS_EINVAL: a line end in what stands before the body; DJS_ESTORE
 */
apr_status_t djs_preserve_keep(djs_ctx_t *ctx, const djs_site_t *site, const djs_preserved_t *form,
                               const char *browser, const char **id) DJS_MUST_CHECK;

/**
 * Look at a form, which stays there.
 * @return APR_SUCCESS   @a form is in ctx->pool, its body wiped with it
 *         APR_NOTFOUND  there is none (any more)
 *         DJS_EINVAL    it is another browser's, or no form of ours
 *         DJS_ESTORE
 */
apr_status_t djs_preserve_find(djs_ctx_t *ctx, const djs_site_t *site, const char *id,
                               const char *browser, djs_preserved_t *form) DJS_MUST_CHECK;

/** Take it away. Of all who try, one gets APR_SUCCESS; else as djs_session_claim(). */
apr_status_t djs_preserve_claim(djs_ctx_t *ctx, const djs_preserved_t *form) DJS_MUST_CHECK;

#endif
