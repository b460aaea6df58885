/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where secrets come from: file:PATH, env:NAME, exec:PATH, or the text itself.
 */
#ifndef DJS_KEYS_H
#define DJS_KEYS_H

#include "../core/secret.h"
#include "../core/settings.h"

/**
 * Read the secret that @a spec names. file: drops one trailing newline; exec: gives its first line of
 * output, run once without a shell; env: the process's environment.
 * DJS_EINVAL: not to be had, or empty; the problem names the source, not the content.
 */
apr_status_t djs_keys_read(djs_ctx_t *ctx, const char *spec, djs_bytes_t *secret) DJS_MUST_CHECK;

/** DjangoSecretKey and DjangoSecretKeyFallbacks as a keyring in @a pool; copies are wiped. */
apr_status_t djs_keys_open(djs_ctx_t *ctx, apr_pool_t *pool, const djs_settings_t *settings,
                           djs_keyring_t **keys) DJS_MUST_CHECK;

#endif
