/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key material: hold, wipe, compare, digest for logs; and the one source of chance.
 *
 * A secret is wiped when the pool that holds it goes. What may be printed of a session key is its
 * digest, never the key.
 */
#ifndef DJS_SECRET_H
#define DJS_SECRET_H

#include "djs.h"

/** Bytes that must not outlive their pool nor be printed. Opaque. */
typedef struct djs_secret_t djs_secret_t;

/** A wiped-at-cleanup copy of @a bytes in @a pool. The caller wipes its own copy. */
djs_secret_t *djs_secret_make(apr_pool_t *pool, djs_bytes_t bytes);

/** What is inside, borrowed; valid as long as the secret's pool. */
djs_bytes_t djs_secret_bytes(const djs_secret_t *secret);

/** Constant-time in the content; lengths are compared first and count as public. */
int djs_secret_equal(djs_bytes_t a, djs_bytes_t b);

/** Overwrite memory in a way that the compiler keeps. */
void djs_secret_wipe(void *data, apr_size_t len);

/** Wipe @a len bytes at @a data when @a pool is cleaned. */
void djs_secret_wipe_with(apr_pool_t *pool, void *data, apr_size_t len);

/** The secret key and its fallbacks, in the order of use. Immutable once made; any thread. */
typedef struct djs_keyring_t djs_keyring_t;

/**
 * Django's SECRET_KEY and SECRET_KEY_FALLBACKS.
 *
 * @param key        signs, and is tried first
 * @param fallbacks  only verify, in this order; copied
 */
djs_keyring_t *djs_keyring_make(apr_pool_t *pool, djs_bytes_t key, const djs_bytes_t *fallbacks,
                                int fallback_count);

/** How many keys, fallbacks included; at least 1. */
int djs_keyring_count(const djs_keyring_t *keys);

/** Key @a i, 0 being the secret key; borrowed. */
djs_bytes_t djs_keyring_key(const djs_keyring_t *keys, int i);

/** Fill @a data from the system's secure source. APR_EGENERAL when that fails. */
apr_status_t djs_random(djs_ctx_t *ctx, void *data, apr_size_t len) DJS_MUST_CHECK;

/**
 * Django's get_random_string: @a len characters drawn evenly (without modulo bias) from
 * @a alphabet, which has at most 256 characters.
 */
apr_status_t djs_random_string(djs_ctx_t *ctx, const char *alphabet, apr_size_t len,
                               const char **text) DJS_MUST_CHECK;

/**
 * What stands for a session key in logs and in DJANGO_SESSION_ID: 16 hex digits of a digest keyed
 * with the secret key (HMAC-SHA256 under the salt "mod_django_session.id"), so that it can be
 * matched across log lines and not be computed by who lacks the key.
 */
const char *djs_secret_digest(apr_pool_t *pool, const djs_keyring_t *keys, const char *session_key);

#endif
