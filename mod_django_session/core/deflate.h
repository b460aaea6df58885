/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compression of short texts, as most sessions are, and reading of what is compressed, by libraries
 * that take less time than zlib and make the same format, RFC 1950.
 *
 * For 500 bytes libdeflate takes three quarters of zlib's time, and its tables can be kept, where
 * zlib's are made anew each time; the result is as short. ISA-L takes a sixth of libdeflate's time: it
 * finds what repeats itself and then uses the codes that RFC 1951 has ready instead of making some
 * for this text, so that it becomes a quarter longer. That is for rows and files. Cookies travel with
 * each request and have a limit, so they are to be short.
 *
 * A process has a few compressors, however many threads it has: compressing takes microseconds, and
 * who finds none free takes zlib instead of waiting. Long texts are left to zlib, which makes them
 * shorter.
 *
 * A kept compressor has places, counts and codes of the last text in its tables, none of its bytes,
 * and clears them before the next text.
 *
 * Reading takes less than zlib's time, the longer the text the less, but needs all the room for the
 * result at once. What becomes longer than one would think, and what is damaged, is for zlib to read
 * again and to judge.
 */
#ifndef DJS_DEFLATE_H
#define DJS_DEFLATE_H

#include "djs.h"

/** Shorter texts libdeflate stores as they are, longer ones become shorter by zlib. */
#define DJS_DEFLATE_SHORT_MIN 64
#define DJS_DEFLATE_SHORT_MAX 2000

/** Of longer texts it would be too much that their codes are not made for them. */
#define DJS_DEFLATE_QUICK_MAX 1000

/**
 * Compressors for the threads of a process, in @a pool; each is made when it is first needed. For
 * djs_ctx_t.compressors.
 */
djs_compressors_t *djs_compressors_make(apr_pool_t *pool);

/**
 * Compress a short text with zlib's framing; in ctx->pool, with a NUL behind it. 0: it is not
 * short, or there is no compressor (none free, none in ctx, no memory, built without): zlib's turn.
 */
int djs_deflate_short(djs_ctx_t *ctx, djs_bytes_t data, djs_bytes_t *packed);

/**
 * The same in a sixth of the time, by ISA-L. 0 also when it would not be shorter by an eighth at
 * least, as of texts in which little repeats itself: djs_deflate_short()'s turn.
 */
int djs_deflate_quickly(djs_ctx_t *ctx, djs_bytes_t data, djs_bytes_t *packed);

/**
 * Inflate a whole zlib stream, whatever follows it, into at most @a room bytes; in ctx->pool, with a
 * NUL behind it. 0: it becomes longer, is none or damaged, or this was built without: zlib's turn.
 */
int djs_inflate_at_once(djs_ctx_t *ctx, djs_bytes_t packed, apr_size_t room, djs_bytes_t *data);

#endif
