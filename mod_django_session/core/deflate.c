/* SPDX-License-Identifier: Apache-2.0 */
#include "deflate.h"

#include <stdlib.h>

#include <apr_atomic.h>

/* How many may compress at the same time; each takes up to 300 KB. */
#define SLOTS 4

struct libdeflate_compressor;
struct isal_zstream;

typedef struct slot_t {
    apr_uint32_t in_use;
    struct libdeflate_compressor *small; /* NULL: not made yet */
    struct isal_zstream *quick;          /* the same */
} slot_t;

struct djs_compressors_t {
    slot_t slots[SLOTS];
};

/* How one library does it. Gives how many bytes it made, 0 when there is no memory or not the room. */
typedef apr_size_t pack_t(slot_t *slot, djs_bytes_t data, char *out, apr_size_t room);

/* What does not become shorter is stored, in frames of 11 bytes; libraries want some to spare. */
#define ROOM_TO_SPARE 64

/* ---- libdeflate ------------------------------------------------------------------------------ */

#ifdef DJS_WITHOUT_LIBDEFLATE

static apr_size_t pack_small(slot_t *slot, djs_bytes_t data, char *out, apr_size_t room)
{
    return 0;
}

static void free_small(slot_t *slot)
{
}

int djs_inflate_at_once(djs_ctx_t *ctx, djs_bytes_t packed, apr_size_t room, djs_bytes_t *data)
{
    return 0;
}

#else

#include <libdeflate.h>

/* Its fastest, whose results are as short here as those of zlib's default. */
#define LEVEL 1

static apr_size_t pack_small(slot_t *slot, djs_bytes_t data, char *out, apr_size_t room)
{
    if (slot->small == NULL) {
        slot->small = libdeflate_alloc_compressor(LEVEL);
    }
    return slot->small == NULL ? 0 : libdeflate_zlib_compress(slot->small, data.data, data.len, out,
                                                              room);
}

static void free_small(slot_t *slot)
{
    libdeflate_free_compressor(slot->small);
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

/* ---- ISA-L ----------------------------------------------------------------------------------- */

#ifdef DJS_WITHOUT_ISAL

static apr_size_t pack_quick(slot_t *slot, djs_bytes_t data, char *out, apr_size_t room)
{
    return 0;
}

#else

#include <isa-l/igzip_lib.h>

/* Its fastest level, which needs no tables of ours, and the codes of RFC 1951, 3.2.6. */
static apr_size_t pack_quick(slot_t *slot, djs_bytes_t data, char *out, apr_size_t room)
{
    struct isal_zstream *stream = slot->quick;

    if (stream == NULL) {
        stream = slot->quick = calloc(1, sizeof(*stream));
        if (stream == NULL) {
            return 0;
        }
    }
    isal_deflate_stateless_init(stream);
    isal_deflate_set_hufftables(stream, NULL, IGZIP_HUFFTABLE_STATIC);
    stream->gzip_flag = IGZIP_ZLIB;
    stream->end_of_stream = 1;
    stream->next_in = (uint8_t *)data.data;
    stream->avail_in = (uint32_t)data.len;
    stream->next_out = (uint8_t *)out;
    stream->avail_out = (uint32_t)room;
    return isal_deflate_stateless(stream) == COMP_OK ? stream->total_out : 0;
}

#endif

/* ---- Those of a process ---------------------------------------------------------------------- */

static apr_status_t free_all(void *data)
{
    djs_compressors_t *compressors = data;
    int i;

    /* Nobody takes what is taken here; what a thread still has goes with the process. */
    for (i = 0; i < SLOTS; i++) {
        if (apr_atomic_cas32(&compressors->slots[i].in_use, 1, 0) == 0) {
            free_small(&compressors->slots[i]);
            free(compressors->slots[i].quick);
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

/* 0: no slot is free, or it does not work. */
static int compress_by(pack_t *pack, djs_ctx_t *ctx, djs_bytes_t data, djs_bytes_t *packed)
{
    const apr_size_t room = data.len + ROOM_TO_SPARE;
    slot_t *slot = take(ctx->compressors);
    apr_size_t len;
    char *out;

    if (slot == NULL) {
        return 0;
    }
    out = apr_palloc(ctx->pool, room + 1);
    len = pack(slot, data, out, room);
    give_back(slot);
    if (len == 0) {
        return 0;
    }
    out[len] = '\0';
    *packed = djs_bytes_of(out, len);
    return 1;
}

int djs_deflate_short(djs_ctx_t *ctx, djs_bytes_t data, djs_bytes_t *packed)
{
    return data.len >= DJS_DEFLATE_SHORT_MIN && data.len <= DJS_DEFLATE_SHORT_MAX &&
           compress_by(pack_small, ctx, data, packed);
}

int djs_deflate_quickly(djs_ctx_t *ctx, djs_bytes_t data, djs_bytes_t *packed)
{
    djs_bytes_t made;

    if (data.len < DJS_DEFLATE_SHORT_MIN || data.len > DJS_DEFLATE_QUICK_MAX ||
        !compress_by(pack_quick, ctx, data, &made) || made.len > data.len - data.len / 8) {
        return 0;
    }
    *packed = made;
    return 1;
}
