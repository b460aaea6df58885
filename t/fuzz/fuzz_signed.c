/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stored sessions: as they come, with a genuine signature over whatever it is, and what was signed or
 * sealed is read again.
 */
#include <string.h>

#include "fuzz.h"
#include "deflate.h"
#include "encode.h"
#include "seal.h"
#include "signing.h"

/* The bytes with a signature that is ours. */
static djs_bytes_t sign(djs_ctx_t *ctx, const djs_keyring_t *keys, djs_bytes_t bytes)
{
    unsigned char mac[DJS_SIGNING_MAC_MAX];
    const int len = djs_signing_salted_hmac(DJS_HMAC_SHA256, DJS_SALT_SESSION_STORE "signer",
                                            djs_keyring_key(keys, 0), bytes, mac);
    djs_bytes_t signature;

    FUZZ_CHECK(len > 0);
    signature = djs_base64_encode(ctx, DJS_BASE64_URL, djs_bytes_of((char *)mac, (apr_size_t)len));
    return djs_bytes_of(apr_pstrcat(ctx->pool, apr_pstrmemdup(ctx->pool, bytes.data, bytes.len), ":",
                                    signature.data, NULL),
                        bytes.len + 1 + signature.len);
}

static void check_signing(djs_ctx_t *ctx, const djs_keyring_t *keys, djs_bytes_t bytes)
{
    const djs_signer_t *signer = djs_signer_make(ctx->pool, keys, "salt", DJS_SIGNING_SHA256);
    djs_bytes_t text, back;
    djs_compress_t compress;

    ctx->compressors = djs_compressors_make(ctx->pool);
    for (compress = DJS_COMPRESS_NOT; compress <= DJS_COMPRESS_QUICK; compress++) {
        FUZZ_CHECK(djs_signing_dumps(ctx, signer, compress, bytes, &text) == APR_SUCCESS);
        FUZZ_CHECK(djs_signing_loads(ctx, signer, 0, text, &back) == APR_SUCCESS);
        FUZZ_CHECK(djs_bytes_equal(bytes, back));
    }
}

/* Nobody's text is opened; whatever was sealed comes out again. */
static void check_sealing(djs_ctx_t *ctx, const djs_keyring_t *keys, djs_bytes_t bytes)
{
    const djs_sealer_t *sealer = djs_sealer_make(ctx->pool, keys);
    djs_bytes_t text, back;

    FUZZ_CHECK(djs_seal_loads(ctx, sealer, "sessionid", bytes, &back, NULL, NULL) != APR_SUCCESS);
    FUZZ_CHECK(ctx->problem != NULL);
    djs_forget(ctx);
    FUZZ_CHECK(djs_seal_dumps(ctx, sealer, "sessionid", bytes, &text) == APR_SUCCESS);
    FUZZ_CHECK(djs_seal_loads(ctx, sealer, "sessionid", text, &back, NULL, NULL) == APR_SUCCESS);
    FUZZ_CHECK(djs_bytes_equal(bytes, back));
}

void fuzz_one(djs_ctx_t *ctx, djs_bytes_t bytes)
{
    djs_keyring_t *keys = djs_keyring_make(ctx->pool, djs_bytes("fuzz"), NULL, 0);
    const djs_wire_t *wire = djs_wire_make(ctx->pool, keys, DJS_WIRE_SIGNED, NULL);

    FUZZ_CHECK(!fuzz_stored(ctx, wire, bytes, fuzz_unpacked_max(bytes.len)));
    if (bytes.len == 0 || memchr(bytes.data, '\0', bytes.len) == NULL) {
        (void)fuzz_stored(ctx, wire, sign(ctx, keys, bytes), fuzz_unpacked_max(bytes.len));
    }
    check_signing(ctx, keys, bytes);
    check_sealing(ctx, keys, bytes);
}
