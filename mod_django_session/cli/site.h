/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open what the options name: keys, database, site.
 */
#ifndef DJS_CLI_SITE_H
#define DJS_CLI_SITE_H

#include "options.h"
#include "session.h"

/** The keyring alone. DJS_EINVAL: there is no key, or it is not to be had. */
apr_status_t cli_keys_open(djs_ctx_t *ctx, const cli_options_t *options, djs_keyring_t **keys)
    DJS_MUST_CHECK;

/**
 * The site, in ctx->pool. Nothing is asked of the store yet.
 * DJS_EINVAL: the problem says what is missing or does not fit together.
 */
apr_status_t cli_site_open(djs_ctx_t *ctx, const cli_options_t *options, djs_site_t **site)
    DJS_MUST_CHECK;

#endif
