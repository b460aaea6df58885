/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses: the way to the login page and back; what must not stay in one.
 */
#ifndef DJS_URL_H
#define DJS_URL_H

#include "djs.h"

/**
 * redirect_to_login(): @a login_url with @a field=@a next in its query, kept in front of a fragment;
 * an existing parameter of that name is replaced. @a next is percent-encoded as Django does
 * (urlencode with "/" safe). In ctx->pool.
 */
const char *djs_url_login(djs_ctx_t *ctx, const char *login_url, const char *field,
                          const char *next);

/**
 * Take all parameters of a name out of a query ("a=1&b=2"; ";" parts them, too), or hide what they
 * hold. The others stay byte for byte.
 *
 * @param mask   what stands in the place of their values; NULL: they are removed
 * @param value  NULL, or gets what the last of them held, decoded; untouched when there is none, or
 *               when it holds a NUL
 * @return the query as it is then, in ctx->pool; @a query itself when it has none of them
 */
const char *djs_url_take_param(djs_ctx_t *ctx, const char *query, const char *name,
                               const char *mask, const char **value);

/** Python's unquote_plus: a "%" without two hex digits stays. In ctx->pool, with a NUL behind. */
djs_bytes_t djs_url_unquote_plus(djs_ctx_t *ctx, djs_bytes_t text);

/** A text that can stand in a Location header: no control character, no space, not empty. */
int djs_url_is_clean(const char *url);

/** Longest address that leads back, in bytes. */
#define DJS_URL_NEXT_MAX 2048

/**
 * url_has_allowed_host_and_scheme(): may a visitor be sent there, because a parameter says so?
 *
 * Paths and addresses of this host, of http or https; under https not of http. What browsers make of
 * backslashes is looked at as well. Stricter than Django: no control character or space anywhere but
 * around it, no byte beyond ASCII in front, no more than DJS_URL_NEXT_MAX bytes.
 *
 * @param next    NULL or what the parameter holds; hostile
 * @param host    the request's Host header, with its port if it has one
 * @param secure  it came over TLS
 */
int djs_url_is_safe_next(djs_ctx_t *ctx, const char *next, const char *host, int secure);

/** iri_to_uri(): as it can stand in a Location header, spaces around it dropped. In ctx->pool. */
const char *djs_url_location(djs_ctx_t *ctx, const char *url);

#endif
