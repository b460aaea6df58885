/* SPDX-License-Identifier: Apache-2.0 */
/*
 * django.contrib.auth.hashers: is this the password of a column, and a new column for a password.
 *
 * A column is text that begins with the name of its algorithm:
 *
 *     pbkdf2_sha256$ITERATIONS$SALT$BASE64     also pbkdf2_sha1
 *     scrypt$N$SALT$R$P$BASE64                 Django 4.0 and later
 *     argon2$argon2id$v=19$m=KIB,t=PASSES,p=LANES$SALT$HASH   base64 without padding; argon2i, argon2d
 *     bcrypt_sha256$$2b$ROUNDS$SALTHASH        of the hex text of SHA-256(password)
 *     bcrypt$$2b$ROUNDS$SALTHASH               of its first 72 bytes
 *     md5$SALT$HEX, sha1$SALT$HEX              of salt + password
 *     HEX, md5$$HEX, sha1$$HEX                 unsalted_md5, unsalted_sha1
 *     !…                                       no password fits
 *
 * A password is checked by making the text again with the parameters of the column and comparing all
 * of it, in constant time. Columns may be hostile: parameters are held against limits before anything
 * is computed, a few times what Django's newest version takes.
 *
 * The time that a check takes tells little of the user: there is none, an unusable column and one
 * that cannot be checked all cost what the preferred hasher costs, and a wrong password for a column
 * with less work than that is made up for, as Django does.
 */
#ifndef DJS_HASHERS_H
#define DJS_HASHERS_H

#include "djs.h"

/** Longest password that is looked at, in bytes. */
#define DJS_PASSWORD_MAX 4096
/** Longest column; Django's own has room for 128 characters. */
#define DJS_PASSWORD_COLUMN_MAX 512

/** PASSWORD_HASHERS: which algorithms count; the first makes new columns. Immutable. */
typedef struct djs_hashers_t djs_hashers_t;

/** What a check came to. */
typedef struct djs_password_check_t {
    int right;
    int must_update; /* right, and Django would hash it again: must_update() */
} djs_password_check_t;

/**
 * Read the list as it stands in the configuration: words of names, each argument one or more.
 *
 *     NAME[=COST]    a name as above, or the dotted path of one of Django's classes
 *     COST           pbkdf2: iterations; bcrypt: rounds; scrypt: N,r,p; argon2: KiB,passes,lanes
 *
 * A COST says that the site's Django has it: columns with another are made anew. Without one, new
 * columns have a cost that is good today, and no column is made anew for its cost.
 *
 * @return DJS_EINVAL: the problem names the word and what is allowed
 */
apr_status_t djs_hashers_parse(djs_ctx_t *ctx, int argc, const char *const *argv,
                               const djs_hashers_t **hashers) DJS_MUST_CHECK;

/** The list as djs_hashers_parse() reads it. */
const char *djs_hashers_text(apr_pool_t *pool, const djs_hashers_t *hashers);

djs_hashers_t *djs_hashers_copy(apr_pool_t *pool, const djs_hashers_t *hashers);
int djs_hashers_equal(const djs_hashers_t *a, const djs_hashers_t *b);

/** Can this build compute all of the list? DJS_EINVAL: the problem names what it cannot. */
apr_status_t djs_hashers_available(djs_ctx_t *ctx, const djs_hashers_t *hashers) DJS_MUST_CHECK;

/**
 * check_password(). Takes as long as a hash takes: 0.1 s and more, whatever comes of it.
 *
 * @param password  UTF-8; the caller wipes it
 * @param column    NULL: there is no such user
 * @param check     set in every case; not right after a failure
 * @return APR_SUCCESS; else the password counts as wrong, and the column is at fault by the first three:
 *         DJS_EUNSUPPORTED  its algorithm is not in the list, or not in this build
 *         DJS_EFORMAT       it is malformed
 *         DJS_ELIMIT        its parameters are beyond reason
 *         DJS_EINVAL        the password is longer than DJS_PASSWORD_MAX; nothing was computed
 *         APR_EGENERAL, APR_ENOMEM  it could not be computed
 */
apr_status_t djs_hashers_check(djs_ctx_t *ctx, const djs_hashers_t *hashers, djs_bytes_t password,
                               const char *column, djs_password_check_t *check) DJS_MUST_CHECK;

/**
 * make_password(): a column for a password, by the first of the list, with a new salt.
 * DJS_EINVAL: the password cannot be hashed by it (a NUL for bcrypt, or too long).
 */
apr_status_t djs_hashers_encode(djs_ctx_t *ctx, const djs_hashers_t *hashers, djs_bytes_t password,
                                const char **column) DJS_MUST_CHECK;

#endif
