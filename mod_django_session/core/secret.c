/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets in pools, keyrings, chance and digests for logs.
 */
#include "secret.h"
#include "encode.h"
#include "signing.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <limits.h>
#include <string.h>

/* Salt and length of what logs show in place of a session key. */
#define DIGEST_SALT  "mod_django_session.id"
#define DIGEST_BYTES 8

struct djs_secret_t {
    djs_bytes_t bytes;
};

struct djs_keyring_t {
    int count;
    const djs_secret_t **keys;
    const djs_mac_t *digest; /* of the secret key, for djs_secret_digest() */
};

/* ---- Holding and wiping ---------------------------------------------------------------------- */

typedef struct wiping_t { /* what a cleanup has to overwrite */
    void *data;
    apr_size_t len;
} wiping_t;

static apr_status_t wipe_now(void *data)
{
    wiping_t *wiping = data;

    djs_secret_wipe(wiping->data, wiping->len);
    return APR_SUCCESS;
}

void djs_secret_wipe(void *data, apr_size_t len)
{
    if (len > 0) {
        OPENSSL_cleanse(data, len);
    }
}

void djs_secret_wipe_with(apr_pool_t *pool, void *data, apr_size_t len)
{
    wiping_t *wiping = apr_palloc(pool, sizeof(*wiping));

    wiping->data = data;
    wiping->len = len;
    apr_pool_cleanup_register(pool, wiping, wipe_now, apr_pool_cleanup_null);
}

djs_secret_t *djs_secret_make(apr_pool_t *pool, djs_bytes_t bytes)
{
    djs_secret_t *secret = apr_palloc(pool, sizeof(*secret));
    char *copy = apr_palloc(pool, bytes.len + 1);

    djs_secret_wipe_with(pool, copy, bytes.len);
    if (bytes.len > 0) {
        memcpy(copy, bytes.data, bytes.len);
    }
    copy[bytes.len] = '\0';
    secret->bytes = djs_bytes_of(copy, bytes.len);
    return secret;
}

djs_bytes_t djs_secret_bytes(const djs_secret_t *secret)
{
    return secret->bytes;
}

int djs_secret_equal(djs_bytes_t a, djs_bytes_t b)
{
    return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.data, b.data, a.len) == 0);
}

/* ---- Keyrings -------------------------------------------------------------------------------- */

djs_keyring_t *djs_keyring_make(apr_pool_t *pool, djs_bytes_t key, const djs_bytes_t *fallbacks,
                                int fallback_count)
{
    djs_keyring_t *keys = apr_palloc(pool, sizeof(*keys));
    int i;

    keys->count = 1 + fallback_count;
    keys->keys = apr_palloc(pool, (apr_size_t)keys->count * sizeof(keys->keys[0]));
    keys->keys[0] = djs_secret_make(pool, key);
    for (i = 0; i < fallback_count; i++) {
        keys->keys[i + 1] = djs_secret_make(pool, fallbacks[i]);
    }
    keys->digest = djs_mac_make(pool, DJS_HMAC_SHA256, DIGEST_SALT, key);
    return keys;
}

int djs_keyring_count(const djs_keyring_t *keys)
{
    return keys->count;
}

djs_bytes_t djs_keyring_key(const djs_keyring_t *keys, int i)
{
    return djs_secret_bytes(keys->keys[i]);
}

/* ---- Chance ---------------------------------------------------------------------------------- */

apr_status_t djs_random(djs_ctx_t *ctx, void *data, apr_size_t len)
{
    if (len > INT_MAX || RAND_priv_bytes(data, (int)len) != 1) {
        return djs_fail(ctx, APR_EGENERAL, "OpenSSL gives no %" APR_SIZE_T_FMT " random bytes",
                        len);
    }
    return APR_SUCCESS;
}

apr_status_t djs_random_string(djs_ctx_t *ctx, const char *alphabet, apr_size_t len,
                               const char **text)
{
    unsigned char chance[64];
    const apr_size_t count = strlen(alphabet);
    apr_size_t used = sizeof(chance), filled = 0;
    unsigned int fair; /* bytes below it fall evenly on the alphabet, others are drawn again */
    apr_status_t rv = APR_SUCCESS;
    char *out;

    if (count == 0 || count > 256) {
        return djs_fail(ctx, DJS_EINVAL, "alphabet of %" APR_SIZE_T_FMT " characters, "
                        "allowed are 1 to 256", count);
    }
    fair = 256 - 256 % (unsigned int)count;
    out = apr_palloc(ctx->pool, len + 1);
    while (filled < len) {
        if (used == sizeof(chance)) {
            rv = djs_random(ctx, chance, sizeof(chance));
            used = 0;
        }
        if (rv != APR_SUCCESS) {
            break;
        }
        if (chance[used] < fair) {
            out[filled++] = alphabet[chance[used] % count];
        }
        used++;
    }
    djs_secret_wipe(chance, sizeof(chance));
    if (rv == APR_SUCCESS) {
        out[len] = '\0';
        *text = out;
    }
    return rv;
}

/* ---- Digests --------------------------------------------------------------------------------- */

const char *djs_secret_digest(apr_pool_t *pool, const djs_keyring_t *keys, const char *session_key)
{
    unsigned char mac[DJS_SIGNING_MAC_MAX];
    const char *digest;

    djs_mac_compute(keys->digest, djs_bytes(session_key), mac);
    digest = djs_hex(pool, djs_bytes_of((const char *)mac, DIGEST_BYTES));
    djs_secret_wipe(mac, sizeof(mac));
    return digest;
}
