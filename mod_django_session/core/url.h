/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that leave us: the way to the login page and back.
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

/** A text that can stand in a Location header: no control character, no space, not empty. */
int djs_url_is_clean(const char *url);

#endif
