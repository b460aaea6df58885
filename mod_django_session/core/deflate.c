/* SPDX-License-Identifier: Apache-2.0 */
#include "deflate.h"

#ifdef DJS_WITHOUT_LIBDEFLATE

djs_compressors_t *djs_compressors_make(apr_pool_t *pool)
{
    return NULL;
}

int djs_deflate_short(djs_ctx_t *ctx, djs_bytes_t data, djs_bytes_t *packed)
{
    return 0;
}

int djs_inflate_at_once(djs_ctx_t *ctx, djs_bytes_t packed, apr_size_t room, djs_bytes_t *data)
{
    return 0;
}

#else

#include <apr_atomic.h>
#include <libdeflate.h>

/* How many may compress at the same time; each takes some 200 KB. */
#define SLOTS 4

/* libdeflate's fastest, whose results are as short here as those of zlib's default. */
#define LEVEL 1

typedef struct slot_t {
    apr_uint32_t in_use;
    struct libdeflate_compressor *compressor; /* NULL: not made yet */
} slot_t;

struct djs_compressors_t {
    slot_t slots[SLOTS];
};

static apr_status_t free_all(void *data)
{
    djs_compressors_t *compressors = data;
    int i;

    /* Nobody takes what is taken here; what a thread still has goes with the process. */
    for (i = 0; i < SLOTS; i++) {
        if (apr_atomic_cas32(&compressors->slots[i].in_use, 1, 0) == 0) {
            libdeflate_free_compressor(compressors->slots[i].compressor);
        }
    }
    return APR_SUCCESS;
}

djs_compressors_t *djs_compressors_make(apr_pool_t *pool)
{
    djs_compressors_t *compressors = apr_pcalloc(pool, sizeof(*compressors));

    apr_pool_cleanup_register(pool, compressors, free_all, apr_pool_cleanup_null);
    return compressors;
}

static slot_t *take(djs_compressors_t *compressors)
{
    int i;

    for (i = 0; compressors != NULL && i < SLOTS; i++) {
        if (apr_atomic_cas32(&compressors->slots[i].in_use, 1, 0) == 0) {
            return &compressors->slots[i];
        }
    }
    return NULL;
}

static void give_back(slot_t *slot)
{
    apr_atomic_set32(&slot->in_use, 0);
}

int djs_deflate_short(djs_ctx_t *ctx, djs_bytes_t data, djs_bytes_t *packed)
{
    apr_size_t len = 0, room;
    slot_t *slot;
    char *out;

    if (data.len < DJS_DEFLATE_SHORT_MIN || data.len > DJS_DEFLATE_SHORT_MAX) {
        return 0;
    }
    slot = take(ctx->compressors);
    if (slot == NULL) {
        return 0;
    }
    if (slot->compressor == NULL) {
        slot->compressor = libdeflate_alloc_compressor(LEVEL);
    }
    if (slot->compressor != NULL) {
        room = libdeflate_zlib_compress_bound(slot->compressor, data.len);
        out = apr_palloc(ctx->pool, room + 1);
        len = libdeflate_zlib_compress(slot->compressor, data.data, data.len, out, room);
        out[len] = '\0';
        *packed = djs_bytes_of(out, len);
    }
    give_back(slot);
    return len > 0;
}

int djs_inflate_at_once(djs_ctx_t *ctx, djs_bytes_t packed, apr_size_t room, djs_bytes_t *data)
{
    /* 11 KB of the C library's heap, which costs less than to share them. */
    struct libdeflate_decompressor *decompressor = libdeflate_alloc_decompressor();
    enum libdeflate_result result;
    apr_size_t len = 0;
    char *out;

    if (decompressor == NULL) {
        return 0;
    }
    out = apr_palloc(ctx->pool, room + 1);
    result = libdeflate_zlib_decompress(decompressor, packed.data, packed.len, out, room, &len);
    libdeflate_free_decompressor(decompressor);
    if (result != LIBDEFLATE_SUCCESS) {
        return 0;
    }
    out[len] = '\0';
    *data = djs_bytes_of(out, len);
    return 1;
}

#endif
