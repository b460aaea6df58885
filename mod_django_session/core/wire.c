/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions as stored bytes.
 *
 *     signed  = signing.dumps(session, salt, compress)                         see signing.h
 *     sealed  =                                                                see seal.h
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
#include "pickle.h"
#include "seal.h"

#include <string.h>

#define SALT_PREFIX        "django.contrib.sessions."
#define SALT_PREFIX_LEGACY "django.contrib.sessions"

struct djs_wire_t {
    djs_wire_layout_t layout;
    int pickled; /* what is inside: a pickle, else JSON */
    const djs_keyring_t *keys;
    djs_signer_t *signer;       /* of SIGNED and COOKIE */
    const char *legacy_salt;    /* of SIGNED and LEGACY */
    djs_sealer_t *sealer;       /* of SEALED */
    const char *cookie;         /* of SEALED: what its texts are bound to */
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
    wire->pickled = layout == DJS_WIRE_PICKLE || layout == DJS_WIRE_DJANGO_REDIS;
    wire->keys = keys;
    wire->cookie = "";
    if (salt == NULL) {
        salt = layout == DJS_WIRE_COOKIE ? DJS_SALT_SIGNED_COOKIES : DJS_SALT_SESSION_STORE;
    }
    switch (layout) {
    case DJS_WIRE_SIGNED:
    case DJS_WIRE_LEGACY:
        wire->legacy_salt = legacy_salt_of(pool, salt);
        break;
    case DJS_WIRE_SEALED:
        wire->sealer = djs_sealer_make(pool, keys);
        djs_sealer_remember(wire->sealer);
        break;
    case DJS_WIRE_COOKIE:
    case DJS_WIRE_JSON:
    case DJS_WIRE_DJANGO_REDIS_JSON:
    case DJS_WIRE_PICKLE:
    case DJS_WIRE_DJANGO_REDIS:
        break;
    }
    if (layout == DJS_WIRE_SIGNED || layout == DJS_WIRE_COOKIE) {
        wire->signer = djs_signer_make(pool, keys, salt, DJS_SIGNING_SHA256_OR_SHA1);
        djs_signer_remember(wire->signer);
    }
    return wire;
}

djs_wire_t *djs_wire_make_pickled(apr_pool_t *pool, const djs_keyring_t *keys,
                                  djs_wire_layout_t layout, const char *salt)
{
    djs_wire_t *wire = djs_wire_make(pool, keys, layout, salt);

    wire->pickled |= layout != DJS_WIRE_JSON && layout != DJS_WIRE_DJANGO_REDIS_JSON;
    return wire;
}

const djs_wire_t *djs_wire_for(apr_pool_t *pool, const djs_wire_t *wire, const char *cookie)
{
    djs_wire_t *bound;

    if (wire->layout != DJS_WIRE_SEALED) {
        return wire;
    }
    bound = apr_pmemdup(pool, wire, sizeof(*wire));
    bound->cookie = cookie;
    return bound;
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
                           djs_bytes_t *data, djs_wire_facts_t *facts)
{
    const char *before = ctx->problem;
    apr_status_t rv = DJS_EBADSIG;

    if (stored.len > DJS_SIGNED_TEXT_MAX) {
        return djs_fail(ctx, DJS_ELIMIT, "stored session of %" APR_SIZE_T_FMT
                        " bytes, allowed are %d", stored.len, DJS_SIGNED_TEXT_MAX);
    }
    if (wire->signer != NULL) {
        rv = djs_signing_inspect(ctx, wire->signer, DJS_NO_MAX_AGE, stored, data,
                                 &facts->key_index, &facts->written);
    }
    if (rv == DJS_EBADSIG && wire->legacy_salt != NULL) {
        ctx->problem = before;
        facts->layout = DJS_WIRE_LEGACY;
        rv = unsign_legacy(ctx, wire, stored, data, &facts->key_index);
    }
    if (rv == DJS_EBADSIG) {
        ctx->problem = before;
        return djs_fail(ctx, rv, "stored session with a signature that none of %d keys made",
                        djs_keyring_count(wire->keys));
    }
    return rv;
}

/* What is around the serialized session taken away. */
static apr_status_t unwrap(djs_ctx_t *ctx, const djs_wire_t *wire, djs_bytes_t stored,
                           djs_bytes_t *data, djs_wire_facts_t *facts)
{
    switch (wire->layout) {
    case DJS_WIRE_SIGNED:
    case DJS_WIRE_LEGACY:
    case DJS_WIRE_COOKIE:
        return unsign(ctx, wire, stored, data, facts);
    case DJS_WIRE_SEALED:
        return djs_seal_loads(ctx, wire->sealer, wire->cookie, stored, data, &facts->key_index,
                              &facts->written);
    case DJS_WIRE_DJANGO_REDIS_JSON:
    case DJS_WIRE_DJANGO_REDIS:
        return djs_unpack(ctx, stored, data); /* its compressors; what we write is plain */
    case DJS_WIRE_JSON:
    case DJS_WIRE_PICKLE:
        break;
    }
    *data = stored;
    return APR_SUCCESS;
}

static apr_status_t wrap(djs_ctx_t *ctx, const djs_wire_t *wire, djs_bytes_t data,
                         djs_bytes_t *stored)
{
    switch (wire->layout) {
    case DJS_WIRE_SIGNED:
        return djs_signing_dumps(ctx, wire->signer, DJS_COMPRESS_QUICK, data, stored);
    case DJS_WIRE_COOKIE:
        return djs_signing_dumps(ctx, wire->signer, DJS_COMPRESS_SMALL, data, stored);
    case DJS_WIRE_LEGACY:
        return write_legacy(ctx, wire, data, stored);
    case DJS_WIRE_SEALED:
        return djs_seal_dumps(ctx, wire->sealer, wire->cookie, data, stored);
    case DJS_WIRE_JSON:
    case DJS_WIRE_DJANGO_REDIS_JSON:
    case DJS_WIRE_PICKLE:
    case DJS_WIRE_DJANGO_REDIS:
        break;
    }
    *stored = data;
    return APR_SUCCESS;
}

/* Django reads what it signed as latin-1; django-redis reads UTF-8, as everybody. */
static djs_json_charset_t charset_of(const djs_wire_t *wire)
{
    return wire->layout == DJS_WIRE_JSON || wire->layout == DJS_WIRE_DJANGO_REDIS_JSON
               ? DJS_JSON_UTF8 : DJS_JSON_LATIN1;
}

static apr_status_t serialize(djs_ctx_t *ctx, const djs_wire_t *wire, const djs_value_t *value,
                              djs_bytes_t *data)
{
    apr_status_t rv;

    if (wire->pickled) {
        return djs_pickle_dumps(ctx, DJS_PICKLE_PROTOCOL, value, data);
    }
    rv = djs_json_dumps_exactly(ctx, value, data);
    if (rv == APR_SUCCESS && wire->layout == DJS_WIRE_DJANGO_REDIS_JSON) {
        *data = djs_json_dumps(ctx, DJS_JSON_SPACED, value);
    }
    return rv;
}

static apr_status_t deserialize(djs_ctx_t *ctx, const djs_wire_t *wire, djs_bytes_t data,
                                djs_value_t **value)
{
    return wire->pickled ? djs_pickle_loads(ctx, data, value)
                         : djs_json_loads(ctx, charset_of(wire), data, value);
}

apr_status_t djs_wire_inspect(djs_ctx_t *ctx, const djs_wire_t *wire, djs_bytes_t stored,
                              djs_value_t **value, djs_wire_facts_t *facts)
{
    djs_wire_facts_t found = { wire->layout, -1, 0 };
    djs_bytes_t data;
    apr_status_t rv = unwrap(ctx, wire, stored, &data, &found);

    if (facts != NULL) {
        *facts = found;
    }
    return rv == APR_SUCCESS ? deserialize(ctx, wire, data, value) : rv;
}

apr_status_t djs_wire_write(djs_ctx_t *ctx, const djs_wire_t *wire, const djs_value_t *value,
                            djs_bytes_t *stored)
{
    djs_bytes_t data;
    apr_status_t rv = serialize(ctx, wire, value, &data);

    return rv == APR_SUCCESS ? wrap(ctx, wire, data, stored) : rv;
}
