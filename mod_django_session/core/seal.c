/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealed strings; the format is in the header.
 */
#include "seal.h"
#include "encode.h"
#include "memo.h"
#include "signing.h"

#include <openssl/evp.h>

#include <string.h>

#define KEY_SALT  "mod_django_session.encrypted_cookies"
#define KEY_VALUE "AES-256-GCM"

#define KEY_LEN     32
#define VERSION     1
#define VERSION_LEN 1
#define NONCE_LEN   12
#define TAG_LEN     16
#define PACKED_LEN  1
#define STAMP_LEN   8
#define PLAIN_HEAD  (PACKED_LEN + STAMP_LEN)

/* What a sealed message begins with, and the least that it is. */
#define HEAD_LEN    (VERSION_LEN + NONCE_LEN)
#define MESSAGE_MIN (HEAD_LEN + PLAIN_HEAD + TAG_LEN)

/* Further away a stamp is not told apart; a difference with any other time still fits. */
#define STAMP_SECONDS_MAX (APR_INT64_MAX / 2 / APR_USEC_PER_SEC)

struct djs_sealer_t {
    int count;
    unsigned char (*keys)[KEY_LEN]; /* NULL: OpenSSL failed */
    int remembers;                  /* results are kept in ctx->memo */
};

djs_sealer_t *djs_sealer_make(apr_pool_t *pool, const djs_keyring_t *keys)
{
    djs_sealer_t *sealer = apr_pcalloc(pool, sizeof(*sealer));
    const apr_size_t size = (apr_size_t)djs_keyring_count(keys) * KEY_LEN;
    int i, len = KEY_LEN;

    sealer->count = djs_keyring_count(keys);
    sealer->keys = apr_pcalloc(pool, size);
    djs_secret_wipe_with(pool, sealer->keys, size);
    for (i = 0; i < sealer->count && len == KEY_LEN; i++) {
        len = djs_signing_salted_hmac(DJS_HMAC_SHA256, KEY_SALT, djs_keyring_key(keys, i),
                                      djs_bytes(KEY_VALUE), sealer->keys[i]);
    }
    if (len != KEY_LEN) {
        sealer->keys = NULL;
    }
    return sealer;
}

void djs_sealer_remember(djs_sealer_t *sealer)
{
    sealer->remembers = 1;
}

static apr_status_t fail_openssl(djs_ctx_t *ctx)
{
    return djs_fail(ctx, APR_EGENERAL, "OpenSSL cannot compute AES-256-GCM");
}

/* ---- One message ----------------------------------------------------------------------------- */

/* A cipher that knows key and nonce and has taken in what is only authenticated; NULL: OpenSSL. */
static EVP_CIPHER_CTX *begin(const unsigned char *key, const unsigned char *head, const char *name,
                             int seals)
{
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    int len;

    if (cipher == NULL ||
        !EVP_CipherInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, head + VERSION_LEN, seals) ||
        !EVP_CipherUpdate(cipher, NULL, &len, head, VERSION_LEN) ||
        !EVP_CipherUpdate(cipher, NULL, &len, (const unsigned char *)name, (int)strlen(name))) {
        EVP_CIPHER_CTX_free(cipher);
        return NULL;
    }
    return cipher;
}

/* Behind the head of @a message: the plain text sealed, and the tag. */
static apr_status_t seal(djs_ctx_t *ctx, const unsigned char *key, const char *name,
                         djs_bytes_t plain, unsigned char *message)
{
    EVP_CIPHER_CTX *cipher = begin(key, message, name, 1);
    unsigned char *sealed = message + HEAD_LEN;
    int len, end;
    int done = cipher != NULL &&
               EVP_EncryptUpdate(cipher, sealed, &len, (const unsigned char *)plain.data,
                                 (int)plain.len) &&
               EVP_EncryptFinal_ex(cipher, sealed + len, &end) &&
               EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_LEN, sealed + plain.len);

    EVP_CIPHER_CTX_free(cipher);
    return done ? APR_SUCCESS : fail_openssl(ctx);
}

/* DJS_EBADSIG, without a message, when this key did not seal it. */
static apr_status_t open_with(djs_ctx_t *ctx, const unsigned char *key, const char *name,
                              djs_bytes_t message, unsigned char *plain)
{
    const unsigned char *head = (const unsigned char *)message.data;
    const apr_size_t sealed_len = message.len - HEAD_LEN - TAG_LEN;
    EVP_CIPHER_CTX *cipher = begin(key, head, name, 0);
    unsigned char tag[TAG_LEN];
    int len, end;
    apr_status_t rv = APR_SUCCESS;

    memcpy(tag, head + HEAD_LEN + sealed_len, TAG_LEN);
    if (cipher == NULL ||
        !EVP_DecryptUpdate(cipher, plain, &len, head + HEAD_LEN, (int)sealed_len) ||
        !EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag)) {
        rv = fail_openssl(ctx);
    }
    else if (!EVP_DecryptFinal_ex(cipher, plain + len, &end)) {
        djs_secret_wipe(plain, sealed_len); /* what a forger's bytes give is nothing */
        rv = DJS_EBADSIG;
    }
    EVP_CIPHER_CTX_free(cipher);
    return rv;
}

/* ---- Remembering ----------------------------------------------------------------------------- */

static void put_stamp(apr_time_t when, unsigned char *stamp)
{
    apr_uint64_t bits = (apr_uint64_t)apr_time_sec(when);
    int i;

    for (i = STAMP_LEN; i > 0; i--) {
        stamp[i - 1] = (unsigned char)bits;
        bits >>= 8;
    }
}

static apr_int64_t get_stamp(const unsigned char *stamp)
{
    apr_uint64_t bits = 0;
    int i;

    for (i = 0; i < STAMP_LEN; i++) {
        bits = bits << 8 | stamp[i];
    }
    return (apr_int64_t)bits;
}

/* A text that was opened: the key, when it was sealed, and its data. */
typedef struct opened_t {
    int key;
    apr_time_t when;
    djs_bytes_t data;
} opened_t;

/*
 * What is kept of a text: the time, the name with its NUL, the data. The name is of what was
 * authenticated: what was opened for one cookie is not known for another.
 */
static void remember(djs_ctx_t *ctx, const djs_sealer_t *sealer, const char *name,
                     djs_bytes_t text, const opened_t *opened)
{
    const apr_size_t head = STAMP_LEN + strlen(name) + 1;
    char *known;

    if (!sealer->remembers || ctx->memo == NULL || opened->data.len > DJS_MEMO_MAX) {
        return;
    }
    known = apr_palloc(ctx->pool, head + opened->data.len);
    put_stamp(opened->when, (unsigned char *)known);
    memcpy(known + STAMP_LEN, name, head - STAMP_LEN);
    memcpy(known + head, opened->data.data, opened->data.len);
    djs_memo_note(ctx, sealer, text, djs_bytes_of(known, head + opened->data.len), opened->key);
    djs_secret_wipe(known, head + opened->data.len);
}

static int recall(djs_ctx_t *ctx, const djs_sealer_t *sealer, const char *name, djs_bytes_t text,
                  opened_t *opened)
{
    const apr_size_t head = STAMP_LEN + strlen(name) + 1;
    djs_bytes_t known;
    int key;

    if (!sealer->remembers || !djs_memo_find(ctx, sealer, text, &known, &key)
        || known.len < head
        || memcmp(known.data + STAMP_LEN, name, head - STAMP_LEN) != 0) {
        return 0;
    }
    opened->key = key;
    opened->when = apr_time_from_sec(get_stamp((const unsigned char *)known.data));
    opened->data = djs_bytes_of(known.data + head, known.len - head);
    return 1;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/*
 * The message of a text. Base64 is read as Python does, which skips what is none; written again it
 * must be the same, so that there is one text for a message and not many.
 */
static int decode(djs_ctx_t *ctx, djs_bytes_t text, djs_bytes_t *message)
{
    const char *before = ctx->problem;

    if (djs_base64_decode(ctx, DJS_BASE64_URL, text, message) != APR_SUCCESS) {
        ctx->problem = before;
        return 0;
    }
    return message->len >= MESSAGE_MIN && message->data[0] == VERSION &&
           djs_bytes_equal(djs_base64_encode(ctx, DJS_BASE64_URL, *message), text);
}

static apr_status_t read_stamp(djs_ctx_t *ctx, const unsigned char *stamp, apr_time_t *when)
{
    const apr_int64_t seconds = get_stamp(stamp);

    if (seconds > STAMP_SECONDS_MAX || seconds < -STAMP_SECONDS_MAX) {
        return djs_fail(ctx, DJS_EFORMAT, "sealed text from beyond all times");
    }
    *when = apr_time_from_sec(seconds);
    return APR_SUCCESS;
}

static apr_status_t read_plain(djs_ctx_t *ctx, djs_bytes_t plain, djs_bytes_t *data)
{
    djs_bytes_t rest = djs_bytes_of(plain.data + PLAIN_HEAD, plain.len - PLAIN_HEAD);
    apr_status_t rv = APR_SUCCESS;

    if (plain.data[0] != 0 && plain.data[0] != 1) {
        return djs_fail(ctx, DJS_EFORMAT, "sealed text that is packed in an unknown way");
    }
    if (plain.data[0] == 1) {
        rv = djs_inflate(ctx, rest, DJS_INFLATE_MAX, &rest);
    }
    if (rv == APR_SUCCESS) {
        *data = rest;
    }
    return rv;
}

/* The plain text of a genuine one, and the key that sealed it. */
static apr_status_t unseal(djs_ctx_t *ctx, const djs_sealer_t *sealer, const char *name,
                           djs_bytes_t text, int *key, djs_bytes_t *plain)
{
    apr_status_t rv = DJS_EBADSIG;
    djs_bytes_t message;
    apr_size_t len;
    char *room;
    int i;

    *plain = djs_bytes_of(NULL, 0);
    if (sealer->keys == NULL) {
        return fail_openssl(ctx);
    }
    if (!decode(ctx, text, &message)) {
        return djs_fail(ctx, DJS_EBADSIG, "this is no sealed text");
    }
    len = message.len - HEAD_LEN - TAG_LEN;
    room = apr_palloc(ctx->pool, len);
    djs_secret_wipe_with(ctx->pool, room, len);
    for (i = 0; i < sealer->count && rv == DJS_EBADSIG; i++) {
        rv = open_with(ctx, sealer->keys[i], name, message, (unsigned char *)room);
    }
    if (rv == DJS_EBADSIG) {
        return djs_fail(ctx, rv, "no key of %d sealed this text for this name", sealer->count);
    }
    if (rv == APR_SUCCESS) {
        *key = i - 1;
        *plain = djs_bytes_of(room, len);
    }
    return rv;
}

/* What can be told of the text is told even when its data cannot be read. */
static apr_status_t read_text(djs_ctx_t *ctx, const djs_sealer_t *sealer, const char *name,
                              djs_bytes_t text, opened_t *opened)
{
    djs_bytes_t plain;
    apr_status_t rv = unseal(ctx, sealer, name, text, &opened->key, &plain);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = read_stamp(ctx, (const unsigned char *)plain.data + PACKED_LEN, &opened->when);
    if (rv == APR_SUCCESS) {
        rv = read_plain(ctx, plain, &opened->data);
    }
    if (rv == APR_SUCCESS) {
        remember(ctx, sealer, name, text, opened);
    }
    return rv;
}

apr_status_t djs_seal_loads(djs_ctx_t *ctx, const djs_sealer_t *sealer, const char *name,
                            djs_bytes_t text, djs_bytes_t *data, int *key_index,
                            apr_time_t *sealed_at)
{
    opened_t opened = { .key = -1 };
    apr_status_t rv = APR_SUCCESS;

    if (text.len > DJS_SEALED_TEXT_MAX) {
        return djs_fail(ctx, DJS_ELIMIT, "sealed text of %" APR_SIZE_T_FMT
                        " bytes, allowed are %d", text.len, DJS_SEALED_TEXT_MAX);
    }
    if (!recall(ctx, sealer, name, text, &opened)) {
        rv = read_text(ctx, sealer, name, text, &opened);
    }
    if (opened.key >= 0 && key_index != NULL) {
        *key_index = opened.key;
    }
    if (opened.key >= 0 && sealed_at != NULL) {
        *sealed_at = opened.when;
    }
    if (rv == APR_SUCCESS) {
        *data = opened.data;
    }
    return rv;
}

/* ---- Writing --------------------------------------------------------------------------------- */

apr_status_t djs_seal_dumps(djs_ctx_t *ctx, const djs_sealer_t *sealer, const char *name,
                            djs_bytes_t data, djs_bytes_t *text)
{
    unsigned char *message;
    apr_size_t plain_len;
    char *plain;
    int packed;
    apr_status_t rv = djs_deflate_if_shorter(ctx, DJS_COMPRESS_SMALL, &data, &packed);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (data.len > DJS_SEALED_TEXT_MAX / 4 * 3 - MESSAGE_MIN) {
        return djs_fail(ctx, DJS_ELIMIT, "%" APR_SIZE_T_FMT
                        " bytes are too many for a sealed text of %d", data.len,
                        DJS_SEALED_TEXT_MAX);
    }
    if (sealer->keys == NULL) {
        return fail_openssl(ctx);
    }
    plain_len = PLAIN_HEAD + data.len;
    plain = apr_palloc(ctx->pool, plain_len);
    djs_secret_wipe_with(ctx->pool, plain, plain_len);
    plain[0] = (char)packed;
    put_stamp(ctx->now, (unsigned char *)plain + PACKED_LEN);
    memcpy(plain + PLAIN_HEAD, data.data, data.len);
    message = apr_palloc(ctx->pool, HEAD_LEN + plain_len + TAG_LEN);
    message[0] = VERSION;
    rv = djs_random(ctx, message + VERSION_LEN, NONCE_LEN);
    if (rv == APR_SUCCESS) {
        rv = seal(ctx, sealer->keys[0], name, djs_bytes_of(plain, plain_len), message);
    }
    if (rv == APR_SUCCESS) {
        *text = djs_base64_encode(ctx, DJS_BASE64_URL, djs_bytes_of((const char *)message,
                                                                    HEAD_LEN + plain_len + TAG_LEN));
    }
    return rv;
}
