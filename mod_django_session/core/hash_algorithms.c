/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The algorithms of Django's password columns: take a column apart, and make one. The formats are in
 * hashers.h.
 *
 * OpenSSL computes PBKDF2, scrypt and the digests; libcrypt (libxcrypt) bcrypt; libargon2 argon2.
 */
#include "hashers_impl.h"

#include <stdlib.h>
#include <string.h>

#include <apr_lib.h>
#include <crypt.h>
#include <openssl/evp.h>

#include "encode.h"
#include "secret.h"

#ifndef DJS_WITHOUT_ARGON2
#include <argon2.h>
#endif

#define SALT_ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
/* 22 of these 62 characters: 128 bits and more. */
#define SALT_CHARS 22
#define BCRYPT_ALPHABET "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define BCRYPT_SALT_CHARS 22
#define BCRYPT_HASH_CHARS 31
/* bcrypt takes no more of a password. */
#define BCRYPT_PASSWORD_MAX 72
/* Hash and salt of argon2, of which a column of 128 characters has no room for more. */
#define ARGON2_HASH_MIN 4
#define ARGON2_HASH_MAX 64
#define ARGON2_HASH_LEN 32
#define SCRYPT_HASH_LEN 64

/* ---- text ---- */

static apr_status_t malformed(djs_ctx_t *ctx)
{
    return djs_fail(ctx, DJS_EFORMAT, "the stored password is malformed");
}

static apr_status_t not_computed(djs_ctx_t *ctx, const char *what)
{
    return djs_fail(ctx, APR_EGENERAL, "%s could not be computed by the library that does it", what);
}

/* A number as Python writes it: no sign, no zero in front. 0: it is none, or above 32 bits. */
static int read_number(const char **text, apr_uint32_t *number)
{
    const char *c = *text;
    apr_uint64_t n = 0;

    while (apr_isdigit(*c) && n <= APR_UINT32_MAX) {
        n = n * 10 + (apr_uint64_t)(*c++ - '0');
    }
    if (c == *text || (**text == '0' && c - *text > 1) || n > APR_UINT32_MAX) {
        return 0;
    }
    *text = c;
    *number = (apr_uint32_t)n;
    return 1;
}

static int skip(const char **text, const char *what)
{
    apr_size_t len = strlen(what);

    if (strncmp(*text, what, len) != 0) {
        return 0;
    }
    *text += len;
    return 1;
}

/* Up to the next "$", which is skipped; 0: there is none. */
static int read_part(const char **text, djs_bytes_t *part)
{
    const char *dollar = strchr(*text, '$');

    if (!dollar) {
        return 0;
    }
    *part = djs_bytes_of(*text, (apr_size_t)(dollar - *text));
    *text = dollar + 1;
    return 1;
}

static const char *salt_text(djs_ctx_t *ctx, const djs_hash_params_t *params)
{
    return apr_pstrmemdup(ctx->pool, params->salt.data, params->salt.len);
}

static apr_status_t make_text_salt(djs_ctx_t *ctx, djs_hash_params_t *params)
{
    const char *salt = NULL;
    apr_status_t rv = djs_random_string(ctx, SALT_ALPHABET, SALT_CHARS, &salt);

    params->salt = djs_bytes(salt);
    return rv;
}

static int always(void)
{
    return 1;
}

/* ---- PBKDF2 ---- */

static apr_status_t decode_pbkdf2(djs_ctx_t *ctx, const char *column, djs_hash_params_t *params)
{
    djs_bytes_t name;

    if (!read_part(&column, &name) || !read_number(&column, &params->cost[0])
        || !skip(&column, "$") || !read_part(&column, &params->salt) || params->salt.len == 0) {
        return malformed(ctx);
    }
    return APR_SUCCESS;
}

static const EVP_MD *digest_of(const djs_hash_algorithm_t *algorithm)
{
    return strstr(algorithm->name, "sha256") ? EVP_sha256()
           : strstr(algorithm->name, "sha1") ? EVP_sha1()
                                             : EVP_md5();
}

static int pbkdf2(const djs_hash_algorithm_t *algorithm, djs_bytes_t password, djs_bytes_t salt,
                  apr_uint32_t iterations, unsigned char *hash)
{
    const EVP_MD *digest = digest_of(algorithm);

    return PKCS5_PBKDF2_HMAC(password.data ? password.data : "", (int)password.len,
                             (const unsigned char *)salt.data, (int)salt.len, (int)iterations,
                             digest, EVP_MD_size(digest), hash);
}

static apr_status_t encode_pbkdf2(djs_ctx_t *ctx, const djs_hash_algorithm_t *algorithm,
                                  djs_bytes_t password, const djs_hash_params_t *params,
                                  char **column)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    char text[DJS_BASE64_SIZE(EVP_MAX_MD_SIZE)];

    if (!pbkdf2(algorithm, password, params->salt, params->cost[0], hash)) {
        return not_computed(ctx, "PBKDF2");
    }
    djs_base64_put(DJS_BASE64_STANDARD,
                   djs_bytes_of((char *)hash, (apr_size_t)EVP_MD_size(digest_of(algorithm))), text);
    *column = apr_psprintf(ctx->pool, "%s$%u$%s$%s", algorithm->name, params->cost[0],
                           salt_text(ctx, params), text);
    djs_secret_wipe(hash, sizeof(hash));
    djs_secret_wipe(text, sizeof(text));
    return APR_SUCCESS;
}

static void make_up_pbkdf2(djs_ctx_t *ctx, const djs_hash_algorithm_t *algorithm,
                           djs_bytes_t password, const djs_hash_params_t *had,
                           const apr_uint32_t *wanted)
{
    unsigned char hash[EVP_MAX_MD_SIZE];

    (void)ctx;
    if (wanted[0] > had->cost[0]) {
        (void)pbkdf2(algorithm, password, had->salt, wanted[0] - had->cost[0], hash);
        djs_secret_wipe(hash, sizeof(hash));
    }
}

/* ---- scrypt ---- */

static apr_status_t decode_scrypt(djs_ctx_t *ctx, const char *column, djs_hash_params_t *params)
{
    djs_bytes_t name;

    if (!read_part(&column, &name) || !read_number(&column, &params->cost[0])
        || !skip(&column, "$") || !read_part(&column, &params->salt) || params->salt.len == 0
        || !read_number(&column, &params->cost[1]) || !skip(&column, "$")
        || !read_number(&column, &params->cost[2]) || !skip(&column, "$")
        || (params->cost[0] & (params->cost[0] - 1)) != 0) {
        return malformed(ctx);
    }
    return APR_SUCCESS;
}

static apr_status_t encode_scrypt(djs_ctx_t *ctx, const djs_hash_algorithm_t *algorithm,
                                  djs_bytes_t password, const djs_hash_params_t *params,
                                  char **column)
{
    const apr_uint64_t n = params->cost[0], r = params->cost[1], p = params->cost[2];
    unsigned char hash[SCRYPT_HASH_LEN];
    char text[DJS_BASE64_SIZE(SCRYPT_HASH_LEN)];

    /* What it needs, and a little; OpenSSL's own limit would be the newest default. */
    if (!EVP_PBE_scrypt(password.data ? password.data : "", password.len,
                        (const unsigned char *)params->salt.data, params->salt.len, n, r, p,
                        128 * r * (n + p + 4), hash, sizeof(hash))) {
        return not_computed(ctx, "scrypt");
    }
    djs_base64_put(DJS_BASE64_STANDARD, djs_bytes_of((char *)hash, sizeof(hash)), text);
    *column = apr_psprintf(ctx->pool, "%s$%u$%s$%u$%u$%s", algorithm->name, params->cost[0],
                           salt_text(ctx, params), params->cost[1], params->cost[2], text);
    djs_secret_wipe(hash, sizeof(hash));
    djs_secret_wipe(text, sizeof(text));
    return APR_SUCCESS;
}

/* ---- argon2 ---- */

static apr_status_t decode_argon2(djs_ctx_t *ctx, const char *column, djs_hash_params_t *params)
{
    static const char *const variants[] = { "argon2id", "argon2i", "argon2d" };
    djs_bytes_t part, salt;
    int i;

    if (!read_part(&column, &part) || !read_part(&column, &part)) {
        return malformed(ctx);
    }
    for (i = 0; i < 3; i++) {
        if (djs_bytes_is(part, variants[i])) {
            params->variant = variants[i];
        }
    }
    params->version = 0;
    if (!params->variant
        || (skip(&column, "v=") && (!read_number(&column, &params->version) || !skip(&column, "$")))
        || !skip(&column, "m=") || !read_number(&column, &params->cost[0])
        || !skip(&column, ",t=") || !read_number(&column, &params->cost[1])
        || !skip(&column, ",p=") || !read_number(&column, &params->cost[2])
        || !skip(&column, "$") || !read_part(&column, &salt)
        || djs_base64_decode(ctx, DJS_BASE64_URL, salt, &params->salt) != APR_SUCCESS) {
        return malformed(ctx);
    }
    params->hash_len = strlen(column) / 4 * 3 + strlen(column) % 4 * 3 / 4;
    return (params->version == 0 || params->version == 16 || params->version == 19)
                   && params->hash_len >= ARGON2_HASH_MIN && params->hash_len <= ARGON2_HASH_MAX
               ? APR_SUCCESS
               : malformed(ctx);
}

#ifdef DJS_WITHOUT_ARGON2

static int has_argon2(void)
{
    return 0;
}

static apr_status_t encode_argon2(djs_ctx_t *ctx, const djs_hash_algorithm_t *algorithm,
                                  djs_bytes_t password, const djs_hash_params_t *params,
                                  char **column)
{
    return not_computed(ctx, "argon2");
}

#else

static int has_argon2(void)
{
    return 1;
}

static argon2_type argon2_type_of(const char *variant)
{
    return strcmp(variant, "argon2id") == 0  ? Argon2_id
           : strcmp(variant, "argon2i") == 0 ? Argon2_i
                                             : Argon2_d;
}

/* Base64 without padding. */
static char *put_unpadded(djs_bytes_t data, char *text)
{
    djs_base64_put(DJS_BASE64_STANDARD, data, text);
    text[strcspn(text, "=")] = '\0';
    return text;
}

static apr_status_t encode_argon2(djs_ctx_t *ctx, const djs_hash_algorithm_t *algorithm,
                                  djs_bytes_t password, const djs_hash_params_t *params,
                                  char **column)
{
    unsigned char hash[ARGON2_HASH_MAX];
    char text[DJS_BASE64_SIZE(ARGON2_HASH_MAX)];
    char salt[DJS_BASE64_SIZE(DJS_PASSWORD_COLUMN_MAX)];
    /* One thread, ours: the number of lanes is no licence to start as many. */
    argon2_context context = {
        .out = hash, .outlen = (apr_uint32_t)params->hash_len,
        .pwd = (unsigned char *)password.data, .pwdlen = (apr_uint32_t)password.len,
        .salt = (unsigned char *)params->salt.data, .saltlen = (apr_uint32_t)params->salt.len,
        .m_cost = params->cost[0], .t_cost = params->cost[1], .lanes = params->cost[2],
        .threads = 1, .flags = ARGON2_DEFAULT_FLAGS,
        .version = params->version ? params->version : ARGON2_VERSION_10,
    };
    int outcome = argon2_ctx(&context, argon2_type_of(params->variant));

    if (outcome == ARGON2_MEMORY_ALLOCATION_ERROR) {
        return djs_fail(ctx, APR_ENOMEM, "argon2 with %u KiB: there is not so much memory",
                        params->cost[0]);
    }
    if (outcome != ARGON2_OK) {
        return malformed(ctx);
    }
    put_unpadded(djs_bytes_of((char *)hash, params->hash_len), text);
    *column = apr_psprintf(
        ctx->pool, "%s$%s$%sm=%u,t=%u,p=%u$%s$%s", algorithm->name, params->variant,
        params->version ? apr_psprintf(ctx->pool, "v=%u$", params->version) : "", params->cost[0],
        params->cost[1], params->cost[2], put_unpadded(params->salt, salt), text);
    djs_secret_wipe(hash, sizeof(hash));
    djs_secret_wipe(text, sizeof(text));
    return APR_SUCCESS;
}

#endif

static apr_status_t make_argon2_salt(djs_ctx_t *ctx, djs_hash_params_t *params)
{
    params->variant = "argon2id";
    params->version = 19;
    params->hash_len = ARGON2_HASH_LEN;
    return make_text_salt(ctx, params);
}

/* Which length of the hash is the preferred one depends on the version of Python's library. */
static int is_old_argon2(const djs_hash_params_t *params)
{
    return strcmp(params->variant, "argon2id") != 0 || params->version != 19
           || (params->hash_len != 16 && params->hash_len != ARGON2_HASH_LEN);
}

/* ---- bcrypt ---- */

static apr_status_t decode_bcrypt(djs_ctx_t *ctx, const char *column, djs_hash_params_t *params)
{
    djs_bytes_t part, variant;

    if (!read_part(&column, &part) || !read_part(&column, &part) || part.len != 0
        || !read_part(&column, &variant) || variant.len != 2 || variant.data[0] != '2'
        || !memchr("aby", variant.data[1], 3) || !apr_isdigit(column[0])
        || !apr_isdigit(column[1]) || column[2] != '$'
        || strspn(column + 3, BCRYPT_ALPHABET) != BCRYPT_SALT_CHARS + BCRYPT_HASH_CHARS
        || column[3 + BCRYPT_SALT_CHARS + BCRYPT_HASH_CHARS]) {
        return malformed(ctx);
    }
    params->variant = apr_pstrmemdup(ctx->pool, variant.data, variant.len);
    params->cost[0] = (apr_uint32_t)(column[0] - '0') * 10 + (apr_uint32_t)(column[1] - '0');
    params->salt = djs_bytes_of(column + 3, BCRYPT_SALT_CHARS);
    return APR_SUCCESS;
}

/* Gives what is behind the cost: salt and hash; NULL: it cannot be computed. */
static const char *bcrypt(struct crypt_data *data, const char *password,
                          const djs_hash_params_t *params)
{
    char setting[sizeof("$2b$00$") + BCRYPT_SALT_CHARS];
    const char *made;

    /* Today's variant under each name, as Python's bcrypt does. */
    apr_snprintf(setting, sizeof(setting), "$2b$%02u$%.*s", params->cost[0], BCRYPT_SALT_CHARS,
                 params->salt.data);
    made = crypt_r(password, setting, data);
    return made && strlen(made) == sizeof("$2b$00$") - 1 + BCRYPT_SALT_CHARS + BCRYPT_HASH_CHARS
               ? made + sizeof("$2b$00$") - 1
               : NULL;
}

static int has_bcrypt(void)
{
    const djs_hash_params_t cheapest = { .cost = { 4 }, .salt = { "abcdefghijklmnopqrstuu", 22 } };
    struct crypt_data *data = calloc(1, sizeof(*data));
    int there = data && bcrypt(data, "", &cheapest);

    free(data);
    return there;
}

/* What bcrypt is given. DJS_EINVAL: C's text ends at a NUL. */
static apr_status_t bcrypt_password(djs_ctx_t *ctx, const djs_hash_algorithm_t *algorithm,
                                    djs_bytes_t password, char *text)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    apr_size_t i;

    if (strcmp(algorithm->name, "bcrypt") == 0) {
        len = (unsigned int)(password.len < BCRYPT_PASSWORD_MAX ? password.len
                                                                : BCRYPT_PASSWORD_MAX);
        if (password.len > 0 && memchr(password.data, '\0', password.len)) {
            return djs_fail(ctx, DJS_EINVAL, "bcrypt takes no password with a NUL in it");
        }
        memcpy(text, len ? password.data : "", len);
        text[len] = '\0';
        return APR_SUCCESS;
    }
    if (!EVP_Digest(password.data ? password.data : "", password.len, digest, &len, EVP_sha256(),
                    NULL)) {
        return not_computed(ctx, "SHA-256");
    }
    for (i = 0; i < len; i++) {
        text[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    text[2 * len] = '\0';
    djs_secret_wipe(digest, sizeof(digest));
    return APR_SUCCESS;
}

/* Compute it @a times; the last is the result, NULL after a failure. */
static apr_status_t repeat_bcrypt(djs_ctx_t *ctx, const djs_hash_algorithm_t *algorithm,
                                  djs_bytes_t password, const djs_hash_params_t *params,
                                  apr_uint32_t times, char **column)
{
    char text[BCRYPT_PASSWORD_MAX + 1];
    struct crypt_data *data;
    const char *made = NULL;
    apr_status_t rv = bcrypt_password(ctx, algorithm, password, text);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    /* 32 KiB: too much for the stack of somebody's thread. */
    data = calloc(1, sizeof(*data));
    if (data) {
        while (times-- > 0) {
            made = bcrypt(data, text, params);
        }
        if (made) {
            *column = apr_psprintf(ctx->pool, "%s$$%s$%02u$%s", algorithm->name, params->variant,
                                   params->cost[0], made);
        }
        djs_secret_wipe(data, sizeof(*data));
        free(data);
    }
    djs_secret_wipe(text, sizeof(text));
    return made ? APR_SUCCESS : not_computed(ctx, "bcrypt");
}

static apr_status_t encode_bcrypt(djs_ctx_t *ctx, const djs_hash_algorithm_t *algorithm,
                                  djs_bytes_t password, const djs_hash_params_t *params,
                                  char **column)
{
    return repeat_bcrypt(ctx, algorithm, password, params, 1, column);
}

/* Each round doubles the work. */
static void make_up_bcrypt(djs_ctx_t *ctx, const djs_hash_algorithm_t *algorithm,
                           djs_bytes_t password, const djs_hash_params_t *had,
                           const apr_uint32_t *wanted)
{
    djs_ctx_t aside = { .pool = ctx->pool };
    char *column = NULL;

    if (wanted[0] > had->cost[0]) {
        (void)repeat_bcrypt(&aside, algorithm, password, had,
                            ((apr_uint32_t)1 << (wanted[0] - had->cost[0])) - 1, &column);
    }
}

/* 16 bytes in 22 characters: the last has two bits of them. */
static apr_status_t make_bcrypt_salt(djs_ctx_t *ctx, djs_hash_params_t *params)
{
    const char *most = NULL, *last = NULL;
    apr_status_t rv = djs_random_string(ctx, BCRYPT_ALPHABET, BCRYPT_SALT_CHARS - 1, &most);

    if (rv == APR_SUCCESS) {
        rv = djs_random_string(ctx, ".Oeu", 1, &last);
    }
    if (rv == APR_SUCCESS) {
        params->variant = "2b";
        params->salt = djs_bytes(apr_pstrcat(ctx->pool, most, last, NULL));
    }
    return rv;
}

/* ---- digests of old ---- */

static apr_status_t decode_digest(djs_ctx_t *ctx, const char *column, djs_hash_params_t *params)
{
    djs_bytes_t name;

    if (!read_part(&column, &name) || !read_part(&column, &params->salt)
        || params->salt.len == 0) {
        return malformed(ctx);
    }
    return APR_SUCCESS;
}

static apr_status_t decode_unsalted(djs_ctx_t *ctx, const char *column, djs_hash_params_t *params)
{
    (void)ctx;
    (void)column;
    params->salt = djs_bytes("");
    return APR_SUCCESS;
}

/* Hex of digest(salt + password), in ctx->pool; NULL: it cannot be computed. */
static const char *digest_hex(djs_ctx_t *ctx, const djs_hash_algorithm_t *algorithm,
                              djs_bytes_t password, djs_bytes_t salt)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int made = context && EVP_DigestInit_ex(context, digest_of(algorithm), NULL)
               && EVP_DigestUpdate(context, salt.data, salt.len)
               && EVP_DigestUpdate(context, password.data, password.len)
               && EVP_DigestFinal_ex(context, digest, &len);
    const char *hex = made ? djs_hex(ctx->pool, djs_bytes_of((char *)digest, len)) : NULL;

    EVP_MD_CTX_free(context);
    djs_secret_wipe(digest, sizeof(digest));
    return hex;
}

static apr_status_t encode_digest(djs_ctx_t *ctx, const djs_hash_algorithm_t *algorithm,
                                  djs_bytes_t password, const djs_hash_params_t *params,
                                  char **column)
{
    const char *hex = digest_hex(ctx, algorithm, password, params->salt);

    if (!hex) {
        return not_computed(ctx, algorithm->name);
    }
    *column = apr_pstrcat(ctx->pool, algorithm->name, "$", salt_text(ctx, params), "$", hex, NULL);
    return APR_SUCCESS;
}

static apr_status_t encode_unsalted(djs_ctx_t *ctx, const djs_hash_algorithm_t *algorithm,
                                    djs_bytes_t password, const djs_hash_params_t *params,
                                    char **column)
{
    const char *hex = digest_hex(ctx, algorithm, password, params->salt);

    if (!hex) {
        return not_computed(ctx, algorithm->name);
    }
    *column = apr_pstrcat(ctx->pool, strstr(algorithm->name, "sha1") ? "sha1$$" : "", hex, NULL);
    return APR_SUCCESS;
}

static apr_status_t make_no_salt(djs_ctx_t *ctx, djs_hash_params_t *params)
{
    (void)ctx;
    params->salt = djs_bytes("");
    return APR_SUCCESS;
}

/* ---- the table ---- */

/*
 * Costs without a word of the administrator's are those of Django 5.2. The limits hold what a check
 * may take below some seconds and some hundred megabytes.
 */
const djs_hash_algorithm_t djs_hash_algorithms[] = {
    { "pbkdf2_sha256", "PBKDF2PasswordHasher", NULL, 1, { 1000000 }, { 1 }, { 10000000 }, 0,
      SALT_CHARS, SALT_CHARS, 0, always, decode_pbkdf2, encode_pbkdf2, make_text_salt,
      make_up_pbkdf2, NULL },
    { "pbkdf2_sha1", "PBKDF2SHA1PasswordHasher", NULL, 1, { 1000000 }, { 1 }, { 10000000 }, 0,
      SALT_CHARS, SALT_CHARS, 0, always, decode_pbkdf2, encode_pbkdf2, make_text_salt,
      make_up_pbkdf2, NULL },
    { "argon2", "Argon2PasswordHasher", "argon2", 3, { 102400, 2, 8 }, { 8, 1, 1 },
      { 1048576, 64, 64 }, APR_UINT64_C(1) << 23, SALT_CHARS, SALT_CHARS, 1, has_argon2,
      decode_argon2, encode_argon2, make_argon2_salt, NULL, is_old_argon2 },
    { "bcrypt_sha256", "BCryptSHA256PasswordHasher", NULL, 1, { 12 }, { 4 }, { 16 }, 0,
      BCRYPT_SALT_CHARS, 0, 0, has_bcrypt, decode_bcrypt, encode_bcrypt, make_bcrypt_salt,
      make_up_bcrypt, NULL },
    { "scrypt", "ScryptPasswordHasher", NULL, 3, { 16384, 8, 5 }, { 2, 1, 1 },
      { 1048576, 32, 64 }, APR_UINT64_C(1) << 22, SALT_CHARS, SALT_CHARS, 0, always, decode_scrypt,
      encode_scrypt, make_text_salt, NULL, NULL },
    { "bcrypt", "BCryptPasswordHasher", NULL, 1, { 12 }, { 4 }, { 16 }, 0, BCRYPT_SALT_CHARS, 0, 0,
      has_bcrypt, decode_bcrypt, encode_bcrypt, make_bcrypt_salt, make_up_bcrypt, NULL },
    { "md5", "MD5PasswordHasher", NULL, 0, { 0 }, { 0 }, { 0 }, 0, SALT_CHARS, SALT_CHARS, 0,
      always, decode_digest, encode_digest, make_text_salt, NULL, NULL },
    { "sha1", "SHA1PasswordHasher", NULL, 0, { 0 }, { 0 }, { 0 }, 0, SALT_CHARS, SALT_CHARS, 0,
      always, decode_digest, encode_digest, make_text_salt, NULL, NULL },
    { "unsalted_md5", "UnsaltedMD5PasswordHasher", NULL, 0, { 0 }, { 0 }, { 0 }, 0, 0, 0, 0, always,
      decode_unsalted, encode_unsalted, make_no_salt, NULL, NULL },
    { "unsalted_sha1", "UnsaltedSHA1PasswordHasher", NULL, 0, { 0 }, { 0 }, { 0 }, 0, 0, 0, 0,
      always, decode_unsalted, encode_unsalted, make_no_salt, NULL, NULL },
    { NULL }
};
