/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies in a store, in each layout that we read. The first byte chooses the layout, and with the
 * second one, its flags, what memcached's clients keep. The rest is tried as it is; as if a site of
 * ours had signed, sealed or compressed it; and, where that is done to JSON or pickles, those are what
 * it is.
 *
 * Nothing that was not signed by us may be read in a layout that signs.
 */
#include <string.h>

#include "fuzz.h"
#include "cache_url.h"
#include "encode.h"
#include "memcached_clients.h"
#include "seal.h"

#define COOKIE "sessionid"

typedef struct row_t {
    djs_wire_layout_t layout;
    int pickled;
    /* From the inside out, by us; NULL: nothing is around it. 0: it is too long for that. */
    int (*wrap)(djs_ctx_t *ctx, const djs_keyring_t *keys, djs_bytes_t inside, djs_bytes_t *stored);
    int is_genuine; /* only what is wrapped by us is read */
} row_t;

static int sign_for(djs_ctx_t *ctx, const djs_keyring_t *keys, const char *salt, djs_bytes_t inside,
                    djs_bytes_t *stored)
{
    const djs_signer_t *signer = djs_signer_make(ctx->pool, keys, salt, DJS_SIGNING_SHA256);

    FUZZ_CHECK(djs_signing_dumps(ctx, signer, DJS_COMPRESS_SMALL, inside, stored) == APR_SUCCESS);
    return 1;
}

static int sign_row(djs_ctx_t *ctx, const djs_keyring_t *keys, djs_bytes_t inside,
                    djs_bytes_t *stored)
{
    return sign_for(ctx, keys, DJS_SALT_SESSION_STORE, inside, stored);
}

static int sign_cookie(djs_ctx_t *ctx, const djs_keyring_t *keys, djs_bytes_t inside,
                       djs_bytes_t *stored)
{
    return sign_for(ctx, keys, DJS_SALT_SIGNED_COOKIES, inside, stored);
}

/* As Django did before 3.1. */
static int sign_legacy(djs_ctx_t *ctx, const djs_keyring_t *keys, djs_bytes_t inside,
                       djs_bytes_t *stored)
{
    unsigned char mac[DJS_SIGNING_MAC_MAX];
    const int len = djs_signing_salted_hmac(DJS_HMAC_SHA1, DJS_SALT_LEGACY_STORE,
                                            djs_keyring_key(keys, 0), inside, mac);
    const char *hex = djs_hex(ctx->pool, djs_bytes_of((char *)mac, (apr_size_t)len));
    const apr_size_t hex_len = strlen(hex);
    char *joined = apr_palloc(ctx->pool, hex_len + 1 + inside.len);

    memcpy(joined, hex, hex_len);
    joined[hex_len] = ':';
    if (inside.len > 0) {
        memcpy(joined + hex_len + 1, inside.data, inside.len);
    }
    *stored = djs_base64_encode(ctx, DJS_BASE64_STANDARD,
                                djs_bytes_of(joined, hex_len + 1 + inside.len));
    return 1;
}

static int seal(djs_ctx_t *ctx, const djs_keyring_t *keys, djs_bytes_t inside, djs_bytes_t *stored)
{
    FUZZ_CHECK(djs_seal_dumps(ctx, djs_sealer_make(ctx->pool, keys), COOKIE, inside, stored) ==
               APR_SUCCESS);
    return 1;
}

static int pack(djs_ctx_t *ctx, const djs_keyring_t *keys, djs_bytes_t inside, djs_bytes_t *stored)
{
    (void)keys;
    FUZZ_CHECK(djs_deflate(ctx, inside, stored) == APR_SUCCESS);
    return 1;
}

static const row_t rows[] = {
    { DJS_WIRE_SIGNED, 0, sign_row, 1 },
    { DJS_WIRE_SIGNED, 1, sign_row, 1 },
    { DJS_WIRE_LEGACY, 0, sign_legacy, 1 },
    { DJS_WIRE_LEGACY, 1, sign_legacy, 1 },
    { DJS_WIRE_COOKIE, 0, sign_cookie, 1 },
    { DJS_WIRE_COOKIE, 1, sign_cookie, 1 },
    { DJS_WIRE_SEALED, 0, seal, 1 },
    { DJS_WIRE_SEALED, 1, seal, 1 },
    { DJS_WIRE_JSON, 0, NULL, 0 },
    { DJS_WIRE_DJANGO_REDIS_JSON, 0, pack, 0 },
    { DJS_WIRE_PICKLE, 1, NULL, 0 },
    { DJS_WIRE_DJANGO_REDIS, 1, pack, 0 },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))
#define FORMATS 3

static void check_layout(djs_ctx_t *ctx, const row_t *row, djs_bytes_t bytes)
{
    const djs_keyring_t *keys = djs_keyring_make(ctx->pool, djs_bytes("fuzz"), NULL, 0);
    const djs_wire_t *wire = row->pickled
                                 ? djs_wire_make_pickled(ctx->pool, keys, row->layout, NULL)
                                 : djs_wire_make(ctx->pool, keys, row->layout, NULL);
    djs_bytes_t wrapped;
    int read;

    wire = djs_wire_for(ctx->pool, wire, COOKIE);
    read = fuzz_stored(ctx, wire, bytes, row->wrap != NULL ? fuzz_unpacked_max(bytes.len) : 0);
    FUZZ_CHECK(!read || !row->is_genuine);
    if (row->wrap != NULL && row->wrap(ctx, keys, bytes, &wrapped)) {
        (void)fuzz_stored(ctx, wire, wrapped, bytes.len);
    }
}

/* One of memcached's clients stored this with these flags. */
static void check_memcached(djs_ctx_t *ctx, djs_cache_format_t format, apr_uint32_t flags,
                            djs_bytes_t bytes)
{
    const djs_wire_t *wire = djs_wire_make(ctx->pool, NULL, DJS_WIRE_PICKLE, NULL);
    djs_bytes_t packed, pickle = djs_memcached_read(ctx, format, flags, bytes);

    FUZZ_CHECK(ctx->problem == NULL);
    FUZZ_CHECK(pickle.len <= bytes.len || pickle.len <= fuzz_unpacked_max(bytes.len));
    (void)fuzz_stored(ctx, wire, pickle, 0);
    FUZZ_CHECK(djs_deflate(ctx, bytes, &packed) == APR_SUCCESS);
    pickle = djs_memcached_read(ctx, format, flags, packed);
    FUZZ_CHECK(djs_bytes_equal(pickle, bytes) || djs_bytes_equal(pickle, packed) ||
               pickle.len == 0);
}

void fuzz_one(djs_ctx_t *ctx, djs_bytes_t bytes)
{
    static const djs_cache_format_t formats[FORMATS] = {
        DJS_CACHE_PYMEMCACHE, DJS_CACHE_PYLIBMC, DJS_CACHE_PYTHON_MEMCACHED
    };
    unsigned int which;

    if (bytes.len < 2) {
        return;
    }
    which = (unsigned char)bytes.data[0] % (ROWS + FORMATS);
    if (which < ROWS) {
        check_layout(ctx, &rows[which], djs_bytes_of(bytes.data + 1, bytes.len - 1));
    }
    else {
        check_memcached(ctx, formats[which - ROWS], (unsigned char)bytes.data[1],
                        djs_bytes_of(bytes.data + 2, bytes.len - 2));
    }
}
