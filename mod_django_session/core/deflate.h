/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compression of short texts, as most sessions are: as short as zlib makes them at its default
 * level, but for a byte or two, with a third of its instructions.
 *
 * On 500 bytes zlib spends most of its time on what is for long texts: it clears 64 KB of hash
 * table, and weighs all symbols that there could be. Here everything is as large as the text may
 * be. What comes out is RFC 1950 and 1951, which every inflate reads. Longer texts are left to
 * zlib, and so is all reading: nothing hostile comes here, only what we have serialized.
 */
#ifndef DJS_DEFLATE_H
#define DJS_DEFLATE_H

#include "djs.h"

/** Longest text. */
#define DJS_DEFLATE_SHORT_MAX 2048

/** Room for what @a len bytes become at worst: each of 9 bits, and what is around them. */
#define DJS_DEFLATE_SHORT_ROOM(len) ((len) + (len) / 8 + 16)

/**
 * Compress at most DJS_DEFLATE_SHORT_MAX bytes, with zlib's framing, into @a out, which has
 * DJS_DEFLATE_SHORT_ROOM(data.len) bytes. Gives the length. Some 20 KB of stack,
 * no memory.
 */
apr_size_t djs_deflate_short(djs_bytes_t data, unsigned char *out);

#endif
