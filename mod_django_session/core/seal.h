/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealed strings: encrypted, authenticated, timed, and bound to the name of what holds them. What
 * Django's signing does for a cookie that its bearer may read, this does for one that he may not.
 * None of Django's engines encrypts: the format is ours.
 *
 *     text    = base64url(version nonce sealed tag)         no padding, and nothing else in between
 *     version = one byte, 1
 *     nonce   = 12 bytes, drawn anew for each text
 *     sealed  = AES-256-GCM(k, nonce, plain), as long as plain
 *     tag     = the 16 bytes by which GCM authenticates plain and, beside it, version name
 *     plain   = packed stamp data
 *     packed  = one byte: 1 when data is zlib, else 0
 *     stamp   = Unix seconds, 8 bytes, most significant first, two's complement
 *     name    = the bytes of the cookie's name
 *     k       = HMAC-SHA256(SHA-256("mod_django_session.encrypted_cookies" secret), "AES-256-GCM")
 *
 * k is Django's salted_hmac("mod_django_session.encrypted_cookies", "AES-256-GCM", secret,
 * algorithm="sha256").digest(), so that a Django project needs five lines to read one. Data are
 * compressed as signing.dumps() decides it. That the time is inside says when it was sealed only to
 * who has the key; how old a text may be is the caller's to judge.
 *
 * Nonces are random: after 2^32 texts under one secret the chance that two of them share one is 2^-33.
 * A site that seals a thousand cookies a second changes its secret key every month or so.
 */
#ifndef DJS_SEAL_H
#define DJS_SEAL_H

#include "djs.h"
#include "secret.h"

/** Longest sealed text that is looked at. */
#define DJS_SEALED_TEXT_MAX (16 * 1024 * 1024)

/** A keyring made ready for sealing. Immutable once it is made; any number of threads. */
typedef struct djs_sealer_t djs_sealer_t;

/** A sealer in @a pool, which needs @a keys only now. Its keys are wiped with the pool. */
djs_sealer_t *djs_sealer_make(apr_pool_t *pool, const djs_keyring_t *keys);

/**
 * From now on what @a sealer opened is kept in ctx->memo (memo.h), if there is one. As for signers:
 * only of those that live as long as any memo.
 */
void djs_sealer_remember(djs_sealer_t *sealer);

/**
 * Open a text. Nothing of what is inside is looked at before the tag was verified.
 *
 * @param name       what it was sealed for
 * @param text       may be hostile; at most DJS_SEALED_TEXT_MAX bytes
 * @param data       on success the bytes, in ctx->pool, wiped with it; untouched on failure
 * @param key_index  NULL, or gets which key opened it (0: the secret key)
 * @param sealed_at  NULL, or gets when that was, in whole seconds
 * @return APR_SUCCESS
 *         DJS_EBADSIG   no key of ours sealed this, or not for this name, or it is no sealed text
 *         DJS_EFORMAT   genuine, but not zlib, or no time: its writer is at fault
 *         DJS_ELIMIT    text or unpacked data over the limits
 *         APR_EGENERAL  OpenSSL cannot do its part
 */
apr_status_t djs_seal_loads(djs_ctx_t *ctx, const djs_sealer_t *sealer, const char *name,
                            djs_bytes_t text, djs_bytes_t *data, int *key_index,
                            apr_time_t *sealed_at) DJS_MUST_CHECK;

/** Seal with the secret key at ctx->now. DJS_ELIMIT: too long; APR_EGENERAL: OpenSSL. */
apr_status_t djs_seal_dumps(djs_ctx_t *ctx, const djs_sealer_t *sealer, const char *name,
                            djs_bytes_t data, djs_bytes_t *text) DJS_MUST_CHECK;

#endif
