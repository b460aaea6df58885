/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions as stored bytes.
 *
 *     signed  = signing.dumps(session, salt, compress)                         see signing.h
 *     legacy  = base64(hex ":" json)                standard alphabet, padded, never compressed
 *     hex     = HMAC-SHA1(SHA-1(legacy salt, secret), json), 40 lower-case digits
 *
 * Until 3.0 Django wrote the legacy layout, and 3.1 and 3.2 still read it. Its salt is not the
 * signed layout's; both are made of the store's class: "django.contrib.sessions." and the qualified
 * name (Outer.Inner) today, "django.contrib.sessions" and the bare name (Inner) then.
 */
#include "wire.h"
#include "encode.h"
#include "json.h"

#include <string.h>

#define SALT_PREFIX        "django.contrib.sessions."
#define SALT_PREFIX_LEGACY "django.contrib.sessions"

struct djs_wire_t {
    djs_wire_layout_t layout;
    const djs_keyring_t *keys;
    const djs_signer_t *signer; /* NULL unless the layout is signed */
    const char *legacy_salt;
};

/* A salt of the administrator's own does not tell the class; nearly all are called SessionStore. */
static const char *legacy_salt_of(apr_pool_t *pool, const char *salt)
{
    if (strncmp(salt, SALT_PREFIX, strlen(SALT_PREFIX)) != 0) {
        return DJS_SALT_LEGACY_STORE;
    }
    return apr_pstrcat(pool, SALT_PREFIX_LEGACY, strrchr(salt, '.') + 1, NULL);
}

djs_wire_t *djs_wire_make(apr_pool_t *pool, const djs_keyring_t *keys, djs_wire_layout_t layout,
                          const char *salt)
{
    djs_wire_t *wire = apr_pcalloc(pool, sizeof(*wire));

    wire->layout = layout;
    wire->keys = keys;
    salt = salt != NULL ? salt : DJS_SALT_SESSION_STORE;
    wire->legacy_salt = legacy_salt_of(pool, salt);
    if (layout == DJS_WIRE_SIGNED) {
        wire->signer = djs_signer_make(pool, keys, salt, DJS_SIGNING_SHA256_OR_SHA1);
    }
    return wire;
}

/* ---- The layout before Django 3.1 ------------------------------------------------------------ */

/* The signature of json by key i, in hex; NULL when OpenSSL fails. */
static const char *sign_legacy(djs_ctx_t *ctx, const djs_wire_t *wire, int i, djs_bytes_t json)
{
    unsigned char mac[DJS_SIGNING_MAC_MAX];
    int len = djs_signing_salted_hmac(DJS_HMAC_SHA1, wire->legacy_salt,
                                      djs_keyring_key(wire->keys, i), json, mac);
    const char *hex = NULL;

    if (len > 0) {
        hex = djs_hex(ctx->pool, djs_bytes_of((char *)mac, (apr_size_t)len));
    }
    djs_secret_wipe(mac, sizeof(mac));
    return hex;
}

/* DJS_EBADSIG without a message: the caller knows what else it may have been. */
static apr_status_t unsign_legacy(djs_ctx_t *ctx, const djs_wire_t *wire, djs_bytes_t stored,
                                  djs_bytes_t *json, int *key_index)
{
    djs_bytes_t decoded, signature, rest;
    const char *colon;
    int i;

    if (djs_base64_decode(ctx, DJS_BASE64_STANDARD, stored, &decoded) != APR_SUCCESS) {
        return DJS_EBADSIG;
    }
    colon = memchr(decoded.data, ':', decoded.len);
    if (colon == NULL) {
        return DJS_EBADSIG;
    }
    signature = djs_bytes_of(decoded.data, (apr_size_t)(colon - decoded.data));
    rest = djs_bytes_of(colon + 1, decoded.len - signature.len - 1);
    for (i = 0; i < djs_keyring_count(wire->keys); i++) {
        const char *expected = sign_legacy(ctx, wire, i, rest);

        if (expected != NULL && djs_secret_equal(djs_bytes(expected), signature)) {
            *json = rest;
            *key_index = i;
            return APR_SUCCESS;
        }
    }
    return DJS_EBADSIG;
}

static apr_status_t write_legacy(djs_ctx_t *ctx, const djs_wire_t *wire, djs_bytes_t json,
                                 djs_bytes_t *stored)
{
    const char *signature = sign_legacy(ctx, wire, 0, json);
    apr_size_t len;
    char *joined;

    if (signature == NULL) {
        return djs_fail(ctx, APR_EGENERAL, "OpenSSL cannot compute an HMAC");
    }
    len = strlen(signature);
    joined = apr_palloc(ctx->pool, len + 1 + json.len);
    memcpy(joined, signature, len);
    joined[len] = ':';
    memcpy(joined + len + 1, json.data, json.len);
    *stored = djs_base64_encode(ctx, DJS_BASE64_STANDARD, djs_bytes_of(joined, len + 1 + json.len));
    return APR_SUCCESS;
}

/* ---- Reading and writing --------------------------------------------------------------------- */

/*
 * Today's layout, and only what no key signed in it is looked at as a legacy one: a genuine text
 * that cannot be decoded is broken, not older.
 */
static apr_status_t unsign(djs_ctx_t *ctx, const djs_wire_t *wire, djs_bytes_t stored,
                           djs_bytes_t *json, int *key_index, djs_wire_layout_t *layout)
{
    const char *before = ctx->problem;
    apr_status_t rv = DJS_EBADSIG;

    if (stored.len > DJS_SIGNED_TEXT_MAX) {
        return djs_fail(ctx, DJS_ELIMIT, "stored session of %" APR_SIZE_T_FMT
                        " bytes, allowed are %d", stored.len, DJS_SIGNED_TEXT_MAX);
    }
    if (wire->layout == DJS_WIRE_SIGNED) {
        *layout = DJS_WIRE_SIGNED;
        rv = djs_signing_inspect(ctx, wire->signer, DJS_NO_MAX_AGE, stored, json, key_index, NULL);
    }
    if (rv == DJS_EBADSIG) {
        ctx->problem = before;
        *layout = DJS_WIRE_LEGACY;
        rv = unsign_legacy(ctx, wire, stored, json, key_index);
    }
    if (rv == DJS_EBADSIG) {
        ctx->problem = before;
        return djs_fail(ctx, rv, "stored session with a signature that none of %d keys made",
                        djs_keyring_count(wire->keys));
    }
    return rv;
}

apr_status_t djs_wire_read(djs_ctx_t *ctx, const djs_wire_t *wire, djs_bytes_t stored,
                           djs_value_t **value, int *key_index, djs_wire_layout_t *layout)
{
    djs_json_charset_t charset = DJS_JSON_UTF8;
    djs_wire_layout_t found = DJS_WIRE_JSON;
    djs_bytes_t json = stored;
    int key = -1;
    apr_status_t rv;

    if (wire->layout != DJS_WIRE_JSON) {
        charset = DJS_JSON_LATIN1;
        rv = unsign(ctx, wire, stored, &json, &key, &found);
        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    rv = djs_json_loads(ctx, charset, json, value);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (key_index != NULL) {
        *key_index = key;
    }
    if (layout != NULL) {
        *layout = found;
    }
    return APR_SUCCESS;
}

apr_status_t djs_wire_write(djs_ctx_t *ctx, const djs_wire_t *wire, const djs_value_t *value,
                            djs_bytes_t *stored)
{
    djs_bytes_t json;
    apr_status_t rv = djs_json_dumps_exactly(ctx, value, &json);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    switch (wire->layout) {
    case DJS_WIRE_SIGNED:
        return djs_signing_dumps(ctx, wire->signer, 1, json, stored);
    case DJS_WIRE_LEGACY:
        return write_legacy(ctx, wire, json, stored);
    case DJS_WIRE_JSON:
        break;
    }
    *stored = json;
    return APR_SUCCESS;
}
