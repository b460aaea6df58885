/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Django computes from a user's password column.
 */
#ifndef DJS_PASSWORD_H
#define DJS_PASSWORD_H

#include "signing.h"

/**
 * AbstractBaseUser.get_session_auth_hash(): hex of salted_hmac over the password column.
 * @param secret  the secret key, or a fallback
 * @return lower-case hex in @a pool, 40 or 64 digits; NULL when OpenSSL cannot compute it
 */
const char *djs_password_session_hash(apr_pool_t *pool, djs_hmac_t hash, djs_bytes_t secret,
                                      const char *password_column);

#endif
