/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes as text and back: base64, base62, hex, percent, UTF-8 with surrogates, bounded zlib.
 *
 * Decoders take hostile input. Each says what it accepts; none reads beyond the given length.
 */
#ifndef DJS_ENCODE_H
#define DJS_ENCODE_H

#include "djs.h"

/** Most bytes that inflating gives before it stops: no bomb goes off in a signed cookie. */
#define DJS_INFLATE_MAX (16 * 1024 * 1024)

typedef enum djs_base64_t {
    DJS_BASE64_STANDARD, /* "+/", padded: the layout before Django 3.1, cache rows */
    DJS_BASE64_URL       /* "-_", no padding: django.core.signing */
} djs_base64_t;

/** Room for @a len bytes as base64 of either kind, with a NUL. */
#define DJS_BASE64_SIZE(len) (((len) / 3 + 1) * 4 + 1)

/** Encode; in ctx->pool. */
djs_bytes_t djs_base64_encode(djs_ctx_t *ctx, djs_base64_t kind, djs_bytes_t data);

/**
 * Encode into @a text, which holds DJS_BASE64_SIZE(data.len) bytes, with a NUL behind. Gives the
 * length.
 */
apr_size_t djs_base64_put(djs_base64_t kind, djs_bytes_t data, char *text);

/**
 * Decode as Python's base64 module does: for DJS_BASE64_URL both "-_" and "+/" are digits, padding
 * is added by length; characters outside the alphabet are skipped (binascii.a2b_base64 without
 * validation). DJS_EFORMAT when what remains is no whole number of bytes.
 */
apr_status_t djs_base64_decode(djs_ctx_t *ctx, djs_base64_t kind, djs_bytes_t text,
                               djs_bytes_t *data) DJS_MUST_CHECK;

/** Django's base62 of a signed number: "0-9A-Za-z", most significant first. In @a pool. */
const char *djs_base62_encode(apr_pool_t *pool, apr_int64_t number);

/**
 * Read base62 as Django's b62_decode. DJS_EFORMAT for the empty text or another character;
 * DJS_ELIMIT beyond 64 bits, and then @a number is the nearest that fits.
 */
apr_status_t djs_base62_decode(djs_ctx_t *ctx, djs_bytes_t text, apr_int64_t *number)
    DJS_MUST_CHECK;

/** What a hex digit of either case stands for; -1: it is none. */
int djs_hex_digit(char c);

/** Lower-case hex; in @a pool. */
const char *djs_hex(apr_pool_t *pool, djs_bytes_t data);

/** Decode "%41" and leave everything else; DJS_EFORMAT for a "%" without two hex digits. */
apr_status_t djs_percent_decode(djs_ctx_t *ctx, djs_bytes_t text, djs_bytes_t *data)
    DJS_MUST_CHECK;

/** Percent-encode every byte outside printable ASCII, and "%" itself. In ctx->pool. */
const char *djs_percent_encode(djs_ctx_t *ctx, djs_bytes_t data);

/** Percent-encode as Python's urllib.parse.quote(text, safe). In @a pool. */
const char *djs_quote(apr_pool_t *pool, djs_bytes_t data, const char *safe);

/**
 * One code point of UTF-8 in which lone surrogates (ED A0..BF xx) are allowed, as Python's
 * surrogatepass. Gives the bytes used, 0 when @a text does not begin with a well-formed one.
 */
int djs_utf8_next(djs_bytes_t text, apr_uint32_t *code_point);

/** Write a code point (surrogates too) as UTF-8; @a out holds 4 bytes. Gives the bytes written. */
int djs_utf8_put(apr_uint32_t code_point, char *out);

/** Well-formed UTF-8 without surrogates. */
int djs_utf8_is_valid(djs_bytes_t text);
/** The same, but surrogates are allowed, as in djs_utf8_next(). */
int djs_utf8_is_passable(djs_bytes_t text);

/**
 * zlib format: what Python's zlib.compress(data) makes, or something as short where libdeflate is
 * faster (deflate.h). DJS_ELIMIT, APR_ENOMEM.
 */
apr_status_t djs_deflate(djs_ctx_t *ctx, djs_bytes_t data, djs_bytes_t *packed) DJS_MUST_CHECK;

/** Whether to compress, and what for. */
typedef enum djs_compress_t {
    DJS_COMPRESS_NOT,
    DJS_COMPRESS_SMALL, /* as djs_deflate(): for cookies */
    DJS_COMPRESS_QUICK  /* where a quarter more bytes are worth a sixth of the time: rows, files */
} djs_compress_t;

/**
 * Put zlib in the place of @a data where that is shorter by two bytes or more, as Django's
 * signing.dumps() decides it; @a packed says whether it was.
 */
apr_status_t djs_deflate_if_shorter(djs_ctx_t *ctx, djs_compress_t compress, djs_bytes_t *data,
                                    int *packed) DJS_MUST_CHECK;

/**
 * As Python's zlib.decompress(), which ignores bytes after the stream, but never more than @a max
 * bytes. DJS_EFORMAT: no zlib stream, checksum wrong, cut short; DJS_ELIMIT: larger than @a max.
 */
apr_status_t djs_inflate(djs_ctx_t *ctx, djs_bytes_t packed, apr_size_t max, djs_bytes_t *data)
    DJS_MUST_CHECK;

/** The same of gzip's framing; of its first member. */
apr_status_t djs_gunzip(djs_ctx_t *ctx, djs_bytes_t packed, apr_size_t max, djs_bytes_t *data)
    DJS_MUST_CHECK;

/**
 * What a cache client may have compressed, as it was before: zlib and gzip are unpacked, up to
 * DJS_INFLATE_MAX bytes, other bytes are given back as they are, for that is how django-redis reads
 * (and it leaves short values plain). No serializer's text begins like a compressor's.
 * DJS_ELIMIT; DJS_EUNSUPPORTED: lzma, lz4 or zstd, which the problem names.
 */
apr_status_t djs_unpack(djs_ctx_t *ctx, djs_bytes_t stored, djs_bytes_t *data) DJS_MUST_CHECK;

#endif
