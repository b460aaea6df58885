/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session's auth hash.
 */
#include "password.h"
#include "encode.h"

#define SESSION_HASH_SALT "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"

const char *djs_password_session_hash(apr_pool_t *pool, djs_hmac_t hash, djs_bytes_t secret,
                                      const char *password_column)
{
    unsigned char mac[DJS_SIGNING_MAC_MAX];
    int len = djs_signing_salted_hmac(hash, SESSION_HASH_SALT, secret, djs_bytes(password_column),
                                      mac);

    return len > 0 ? djs_hex(pool, djs_bytes_of((const char *)mac, (apr_size_t)len)) : NULL;
}
