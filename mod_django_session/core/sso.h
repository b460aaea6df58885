/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A login that is carried from one host to another of the same store.
 *
 * Browsers send no host's cookies to another. So the host that has the login gives out a ticket, which
 * the browser brings to the other one in an address:
 *
 *     ticket   signing.dumps() of 32 letters and digits, salt "mod_django_session.sso"
 *     record   in the session store, under a key that only who has the secret key can work out of the
 *              ticket: the login as a session keeps it, the host it is for, the browser it is for
 *
 * A ticket is good for DJS_SSO_AGE, for one host, and once: of all who bring it, at whatever time, the
 * store lets one take the record away. It is good in one browser: the host that sent the browser for
 * it has given it a cookie, and in the record is what only this cookie fits.
 */
#ifndef DJS_SSO_H
#define DJS_SSO_H

#include "auth.h"

#define DJS_SSO_AGE apr_time_from_sec(60)

/** An entry of DjangoSsoHosts: "https://host" or "http://host", with a port if need be; or "host". */
int djs_sso_is_host(const char *text);

/**
 * The origin of an entry ("host" alone is https), or of what a client calls itself
 * ("scheme://host[:port]"): in lower case, without the port that the scheme has anyway. In @a pool.
 * NULL: it is none.
 */
const char *djs_sso_origin(apr_pool_t *pool, const char *text);

/** The one of @a hosts (const char *) that is this origin; NULL: none. */
const char *djs_sso_find(apr_pool_t *pool, const apr_array_header_t *hosts, const char *origin);

/** What a browser shows of its cookie to the host that gives tickets. In @a pool; NULL: no memory. */
const char *djs_sso_browser(apr_pool_t *pool, const djs_keyring_t *keys, const char *cookie);

/**
 * A ticket for who is logged in by @a session (djs_auth_user() has said so), good at @a origin and with
 * the cookie that @a browser was made of. In ctx->pool; secret.
 * DJS_ESTORE.
 */
apr_status_t djs_sso_issue(djs_ctx_t *ctx, const djs_site_t *site, djs_session_t *session,
                           const char *origin, const char *browser, const char **ticket)
    DJS_MUST_CHECK;

/**
 * Take a ticket's login away. The user is looked for as by djs_auth_user(): who was deactivated, or
 * has another password since, is nobody.
 *
 * @param origin   of the host that was asked
 * @param browser  of the cookie that came with the ticket
 * @return APR_SUCCESS   @a user is who it is, in ctx->pool
 *         DJS_EBADSIG   not of ours;  DJS_EEXPIRED  too old
 *         APR_NOTFOUND  there is no such ticket (any more), or another was faster
 *         DJS_EINVAL    it is for another host or another browser, and still there for whom it is for;
 *                       or its user may not log in. The problem says which
 *         DJS_ESTORE
 */
apr_status_t djs_sso_redeem(djs_ctx_t *ctx, const djs_site_t *site, const char *ticket,
                            const char *origin, const char *browser, djs_user_t **user)
    DJS_MUST_CHECK;

#endif
