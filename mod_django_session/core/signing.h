/* SPDX-License-Identifier: Apache-2.0 */
/*
 * django.core.signing: signed and timed strings.
 *
 *     text      = payload ":" timestamp ":" signature
 *     payload   = ["."] base64url(bytes)        no padding; "." says that the bytes are zlib
 *     timestamp = base62(Unix seconds)          digits 0-9 A-Z a-z
 *     signature = base64url(HMAC-H(k, payload ":" timestamp))
 *     k         = H(salt "signer" secret)
 *
 * H is SHA-256 from Django 3.1 on and SHA-1 before.
 *
 * A signer is a keyring under one salt, with everything that depends only on them worked out once.
 * It is made at start or at first need, is immutable, and serves any number of threads.
 */
#ifndef DJS_SIGNING_H
#define DJS_SIGNING_H

#include "djs.h"
#include "encode.h"
#include "secret.h"

/** Longest signed text that is looked at. */
#define DJS_SIGNED_TEXT_MAX (16 * 1024 * 1024)

/** Any age is accepted. */
#define DJS_NO_MAX_AGE ((apr_interval_time_t)-1)

/** Which hashes are accepted when reading; writing always uses SHA-256. */
typedef enum djs_signing_hash_t {
    DJS_SIGNING_SHA256,        /* Django 4.0 and later */
    DJS_SIGNING_SHA256_OR_SHA1 /* Django 3.1 and 3.2, which read what 3.0 wrote */
} djs_signing_hash_t;

typedef struct djs_signer_t djs_signer_t;

/**
 * A signer in @a pool, which needs @a keys only now.
 *
 * @param salt  as in Django, without the "signer" that it adds; the empty one is, as there, the
 *              class's name
 */
djs_signer_t *djs_signer_make(apr_pool_t *pool, const djs_keyring_t *keys, const char *salt,
                              djs_signing_hash_t reads);

/**
 * From now on what @a signer verified and what it signed is kept in ctx->memo (memo.h), if there is
 * one. For signers that live as long as any memo: of a shorter life nothing may be remembered, since
 * another signer could come to stand in its place.
 */
void djs_signer_remember(djs_signer_t *signer);

/**
 * Read a string that Django's signing.dumps() wrote, and give back the bytes that were signed.
 *
 * The signature is verified, in constant time and with every key, before anything else of the
 * text is looked at; only then is the age checked and the payload decoded.
 *
 * @param max_age  oldest accepted age in microseconds, inclusive; DJS_NO_MAX_AGE for any
 * @param text     as stored; may be hostile; at most DJS_SIGNED_TEXT_MAX bytes
 * @param data     on success the bytes, in ctx->pool; untouched on failure
 * @return APR_SUCCESS
 *         DJS_EBADSIG   no key made this signature, or the text has not this shape
 *         DJS_EEXPIRED  genuine, but older than max_age
 *         DJS_EFORMAT   genuine, but not base64url, not zlib or no time: its writer is at fault
 *         DJS_ELIMIT    text or unpacked data over the limits
 *         APR_EGENERAL, APR_ENOMEM  OpenSSL or zlib cannot do their part
 */
apr_status_t djs_signing_loads(djs_ctx_t *ctx, const djs_signer_t *signer,
                               apr_interval_time_t max_age, djs_bytes_t text, djs_bytes_t *data)
    DJS_MUST_CHECK;

/**
 * The same, and also which key verified it (0: the secret key) and when it was signed. Either may
 * be NULL. They are set as soon as they are known, also when the text then proves to be too old or
 * undecodable. A time that apr_time_t cannot hold becomes one in the far past or future.
 */
apr_status_t djs_signing_inspect(djs_ctx_t *ctx, const djs_signer_t *signer,
                                 apr_interval_time_t max_age, djs_bytes_t text, djs_bytes_t *data,
                                 int *key_index, apr_time_t *signed_at) DJS_MUST_CHECK;

/**
 * Write as signing.dumps(): stamped with ctx->now, signed with the secret key. Unless @a compress
 * is DJS_COMPRESS_NOT the payload is zlib when that is shorter by at least two bytes, as Django
 * decides it.
 */
apr_status_t djs_signing_dumps(djs_ctx_t *ctx, const djs_signer_t *signer,
                               djs_compress_t compress, djs_bytes_t data,
                               djs_bytes_t *text) DJS_MUST_CHECK;

/** Which hash salted_hmac() uses. */
typedef enum djs_hmac_t { DJS_HMAC_SHA1, DJS_HMAC_SHA256 } djs_hmac_t;

/** Room for any of them. */
#define DJS_SIGNING_MAC_MAX 32

/**
 * Django's salted_hmac(salt, value, secret).digest(): HMAC-H(H(salt secret), value).
 * @a mac holds DJS_SIGNING_MAC_MAX bytes; gives the length (20 or 32), or 0 with @a mac zeroed when
 * OpenSSL cannot compute it (no memory, the hash is switched off).
 */
int djs_signing_salted_hmac(djs_hmac_t hash, const char *salt, djs_bytes_t secret,
                            djs_bytes_t value, unsigned char *mac);

/** salted_hmac() under one salt and secret, with all that does not depend on the value done. */
typedef struct djs_mac_t djs_mac_t;

/** Immutable, for any number of threads; lives in @a pool, @a secret need not. */
djs_mac_t *djs_mac_make(apr_pool_t *pool, djs_hmac_t hash, const char *salt, djs_bytes_t secret);

/** As djs_signing_salted_hmac(), at a fraction of its cost. */
int djs_mac_compute(const djs_mac_t *mac, djs_bytes_t value, unsigned char *out);

#endif
