/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signed and timed strings; the format is in the header.
 */
#include "signing.h"
#include "encode.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <string.h>

/* ---- Keys and MACs --------------------------------------------------------------------------- */

/* salted_hmac()'s key: H(salt suffix secret). Gives its length, 0 when OpenSSL fails. */
static unsigned int derive_key(const EVP_MD *md, const char *salt, const char *suffix,
                               djs_bytes_t secret, unsigned char *key)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    unsigned int len = 0;

    if (digest == NULL || !EVP_DigestInit_ex(digest, md, NULL) ||
        !EVP_DigestUpdate(digest, salt, strlen(salt)) ||
        !EVP_DigestUpdate(digest, suffix, strlen(suffix)) ||
        !EVP_DigestUpdate(digest, secret.data, secret.len) ||
        !EVP_DigestFinal_ex(digest, key, &len)) {
        len = 0;
    }
    EVP_MD_CTX_free(digest);
    return len;
}

int djs_signing_salted_hmac(djs_hmac_t hash, const char *salt, djs_bytes_t secret,
                            djs_bytes_t value, unsigned char *mac)
{
    const EVP_MD *md = hash == DJS_HMAC_SHA1 ? EVP_sha1() : EVP_sha256();
    unsigned char key[DJS_SIGNING_MAC_MAX];
    unsigned int key_len = derive_key(md, salt, "", secret, key);
    unsigned int len = 0;

    memset(mac, 0, DJS_SIGNING_MAC_MAX);
    if (key_len == 0 ||
        HMAC(md, key, (int)key_len, (const unsigned char *)(value.data != NULL ? value.data : ""),
             value.len, mac, &len) == NULL) {
        len = 0;
    }
    djs_secret_wipe(key, sizeof(key));
    return (int)len;
}
