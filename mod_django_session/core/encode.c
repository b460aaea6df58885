/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base64, base62, hex, percent, UTF-8 and zlib.
 */
#include "encode.h"
#include "deflate.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>

/* ---- Base64 ---------------------------------------------------------------------------------- */

/*
 * Which six bits a character stands for. Python skips what is no digit, and a2b_base64 knows only
 * "+/"; urlsafe_b64decode maps "-_" onto those first, so in a URL text all four are digits.
 */
#define NOT 0xff /* no digit; every digit is below 64 */
#define NOT4 NOT, NOT, NOT, NOT
#define NOT16 NOT4, NOT4, NOT4, NOT4
#define NOT64 NOT16, NOT16, NOT16, NOT16

#define BASE64_DIGITS(minus, underscore)                                                           \
    {                                                                                              \
        NOT16, NOT16,                                                                              \
        NOT4, NOT4, NOT, NOT, NOT, 62, NOT, minus, NOT, 63,                                        \
        52, 53, 54, 55, 56, 57, 58, 59, 60, 61, NOT, NOT, NOT4,                                    \
        NOT, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,                                     \
        15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, NOT4, underscore,                              \
        NOT, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,                           \
        41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, NOT4, NOT,                                     \
        NOT64, NOT64                                                                               \
    }

static const unsigned char base64_digits[2][256] = {
    [DJS_BASE64_STANDARD] = BASE64_DIGITS(NOT, NOT),
    [DJS_BASE64_URL] = BASE64_DIGITS(62, 63),
};

apr_size_t djs_base64_put(djs_base64_t kind, djs_bytes_t data, char *text)
{
    static const char alphabets[2][65] = {
        [DJS_BASE64_STANDARD] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        [DJS_BASE64_URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
    };
    const char *digit = alphabets[kind];
    const unsigned char *in = (const unsigned char *)data.data;
    const apr_size_t odd = data.len % 3;
    char *out = text;
    apr_size_t i;

    for (i = 0; i < data.len / 3; i++, in += 3, out += 4) {
        const unsigned int three = (unsigned int)in[0] << 16 | (unsigned int)in[1] << 8 | in[2];

        out[0] = digit[three >> 18];
        out[1] = digit[three >> 12 & 63];
        out[2] = digit[three >> 6 & 63];
        out[3] = digit[three & 63];
    }
    if (odd > 0) {
        unsigned int second = odd > 1 ? in[1] : 0;

        *out++ = digit[in[0] >> 2];
        *out++ = digit[(in[0] << 4 | second >> 4) & 63];
        if (odd > 1) {
            *out++ = digit[second << 2 & 63];
        }
        if (kind == DJS_BASE64_STANDARD) {
            *out++ = '=';
            if (odd == 1) {
                *out++ = '=';
            }
        }
    }
    *out = '\0';
    return (apr_size_t)(out - text);
}

djs_bytes_t djs_base64_encode(djs_ctx_t *ctx, djs_base64_t kind, djs_bytes_t data)
{
    char *text = apr_palloc(ctx->pool, DJS_BASE64_SIZE(data.len));

    return djs_bytes_of(text, djs_base64_put(kind, data, text));
}

/* Decodes whole groups of four digits up to the first that is not; gives the characters used. */
static apr_size_t decode_groups(const unsigned char *digits, djs_bytes_t text, unsigned char **to)
{
    const unsigned char *in = (const unsigned char *)text.data;
    unsigned char *out = *to;
    apr_size_t left;

    for (left = text.len; left >= 4; left -= 4, in += 4, out += 3) {
        unsigned int a = digits[in[0]], b = digits[in[1]], c = digits[in[2]], d = digits[in[3]];

        if ((a | b | c | d) > 63) {
            break;
        }
        out[0] = (unsigned char)(a << 2 | b >> 4);
        out[1] = (unsigned char)(b << 4 | c >> 2);
        out[2] = (unsigned char)(c << 6 | d);
    }
    *to = out;
    return text.len - left;
}

/*
 * The rest, from a group's start on, as binascii.a2b_base64 reads it: what is no digit is skipped;
 * "=" counts only behind two or three digits of a group, and when they make four together the text
 * ends there, whatever follows; bits that fill no byte are dropped. @a padding are further "=" that
 * stand behind the text. Gives 0 when the text ends within a group.
 */
static int decode_leniently(const unsigned char *digits, djs_bytes_t text, apr_size_t padding,
                            unsigned char **to)
{
    unsigned char *out = *to;
    unsigned int bits = 0, count = 0, pads = 0; /* of this group */
    apr_size_t i;

    for (i = 0; i < text.len + padding; i++) {
        unsigned int c = i < text.len ? (unsigned char)text.data[i] : '=';

        if (c == '=') {
            pads += count >= 2;
            if (count + pads >= 4) {
                count = 0;
                break;
            }
        }
        else if (digits[c] != NOT) {
            pads = 0;
            bits = bits << 6 | digits[c];
            if (count > 0) {
                *out++ = (unsigned char)(bits >> (6 - 2 * count));
            }
            count = (count + 1) % 4;
        }
    }
    *to = out;
    return count == 0;
}

apr_status_t djs_base64_decode(djs_ctx_t *ctx, djs_base64_t kind, djs_bytes_t text,
                               djs_bytes_t *data)
{
    const unsigned char *digits = base64_digits[kind];
    /* Django: "=" * (-len(s) % 4). The length counts what is skipped, too. */
    const apr_size_t padding = kind == DJS_BASE64_URL ? (4 - text.len % 4) % 4 : 0;
    unsigned char *start = apr_palloc(ctx->pool, text.len / 4 * 3 + 4);
    unsigned char *out = start;
    apr_size_t used = decode_groups(digits, text, &out);

    if (used < text.len &&
        !decode_leniently(digits, djs_bytes_of(text.data + used, text.len - used), padding, &out)) {
        return djs_fail(ctx, DJS_EFORMAT, "base64 of %" APR_SIZE_T_FMT
                        " characters ends within a group of four", text.len);
    }
    *out = '\0';
    *data = djs_bytes_of((char *)start, (apr_size_t)(out - start));
    return APR_SUCCESS;
}

/* ---- Base62 ---------------------------------------------------------------------------------- */

const char *djs_base62_encode(apr_pool_t *pool, apr_int64_t number)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    char text[1 + 11 + 1]; /* sign, 64 bits, NUL */
    char *out = text + sizeof(text) - 1;
    apr_uint64_t left = number < 0 ? 0 - (apr_uint64_t)number : (apr_uint64_t)number;

    *out = '\0';
    do {
        *--out = digits[left % 62];
        left /= 62;
    } while (left > 0);
    if (number < 0) {
        *--out = '-';
    }
    return apr_pstrdup(pool, out);
}

static int base62_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'A' && c <= 'Z') {
        return c - 'A' + 10;
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 36;
    }
    return -1;
}

apr_status_t djs_base62_decode(djs_ctx_t *ctx, djs_bytes_t text, apr_int64_t *number)
{
    const int negative = text.len > 0 && text.data[0] == '-';
    const apr_uint64_t most = (apr_uint64_t)APR_INT64_MAX + (negative ? 1 : 0);
    apr_uint64_t value = 0;
    int too_wide = 0;
    apr_size_t i;

    if (text.len == 0) {
        return djs_fail(ctx, DJS_EFORMAT, "base62 number without digits");
    }
    for (i = negative ? 1 : 0; i < text.len; i++) {
        int digit = base62_digit(text.data[i]);

        if (digit < 0) {
            return djs_fail(ctx, DJS_EFORMAT, "base62 number with a character that is no digit");
        }
        too_wide = too_wide || value > (most - (apr_uint64_t)digit) / 62;
        value = too_wide ? most : value * 62 + (apr_uint64_t)digit;
    }
    /* No -value here: the least number has no positive twin. */
    *number = negative ? (apr_int64_t)(0 - value) : (apr_int64_t)value;
    if (too_wide) {
        return djs_fail(ctx, DJS_ELIMIT, "base62 number of more than 64 bits");
    }
    return APR_SUCCESS;
}

/* ---- Hex and percent ------------------------------------------------------------------------- */

static const char hex_lower[] = "0123456789abcdef";
static const char hex_upper[] = "0123456789ABCDEF";

int djs_hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

const char *djs_hex(apr_pool_t *pool, djs_bytes_t data)
{
    char *text = apr_palloc(pool, data.len * 2 + 1);
    char *out = text;
    apr_size_t i;

    for (i = 0; i < data.len; i++) {
        unsigned char c = (unsigned char)data.data[i];

        *out++ = hex_lower[c >> 4];
        *out++ = hex_lower[c & 15];
    }
    *out = '\0';
    return text;
}

apr_status_t djs_percent_decode(djs_ctx_t *ctx, djs_bytes_t text, djs_bytes_t *data)
{
    char *start = apr_palloc(ctx->pool, text.len + 1);
    char *out = start;
    apr_size_t i;

    for (i = 0; i < text.len; i++) {
        int high, low;

        if (text.data[i] != '%') {
            *out++ = text.data[i];
            continue;
        }
        high = text.len - i > 2 ? djs_hex_digit(text.data[i + 1]) : -1;
        low = text.len - i > 2 ? djs_hex_digit(text.data[i + 2]) : -1;
        if (high < 0 || low < 0) {
            return djs_fail(ctx, DJS_EFORMAT, "\"%%\" at byte %" APR_SIZE_T_FMT
                            " is not followed by two hex digits", i);
        }
        *out++ = (char)(high << 4 | low);
        i += 2;
    }
    *out = '\0';
    *data = djs_bytes_of(start, (apr_size_t)(out - start));
    return APR_SUCCESS;
}

static char *put_percent(char *out, unsigned char c)
{
    *out++ = '%';
    *out++ = hex_upper[c >> 4];
    *out++ = hex_upper[c & 15];
    return out;
}

const char *djs_percent_encode(djs_ctx_t *ctx, djs_bytes_t data)
{
    char *text = apr_palloc(ctx->pool, data.len * 3 + 1);
    char *out = text;
    apr_size_t i;

    for (i = 0; i < data.len; i++) {
        unsigned char c = (unsigned char)data.data[i];

        if (c >= 0x20 && c < 0x7f && c != '%') {
            *out++ = (char)c;
        }
        else {
            out = put_percent(out, c);
        }
    }
    *out = '\0';
    return text;
}

/* The characters that urllib.parse.quote() never encodes. */
static int is_unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || c == '.' || c == '-' || c == '~';
}

const char *djs_quote(apr_pool_t *pool, djs_bytes_t data, const char *safe)
{
    char *text = apr_palloc(pool, data.len * 3 + 1);
    char *out = text;
    apr_size_t i;

    for (i = 0; i < data.len; i++) {
        unsigned char c = (unsigned char)data.data[i];

        if (is_unreserved(c) || (c != '\0' && strchr(safe, c) != NULL)) {
            *out++ = (char)c;
        }
        else {
            out = put_percent(out, c);
        }
    }
    *out = '\0';
    return text;
}

/* ---- UTF-8 ----------------------------------------------------------------------------------- */

#define IS_SURROGATE(code_point) ((code_point) >= 0xd800 && (code_point) <= 0xdfff)

int djs_utf8_next(djs_bytes_t text, apr_uint32_t *code_point)
{
    static const struct {
        unsigned char mask, lead; /* the first byte is `lead` in the bits of `mask` */
        apr_uint32_t least;       /* what is less has a shorter form */
    } forms[] = {
        { 0x80, 0x00, 0x00 },
        { 0xe0, 0xc0, 0x80 },
        { 0xf0, 0xe0, 0x800 },
        { 0xf8, 0xf0, 0x10000 },
    };
    const unsigned char *in = (const unsigned char *)text.data;
    apr_uint32_t c;
    apr_size_t more = 0, i; /* bytes behind the first */

    while (text.len > 0 && more < 4 && (in[0] & forms[more].mask) != forms[more].lead) {
        more++;
    }
    if (more == 4 || text.len <= more) {
        return 0;
    }
    c = in[0] & ~(apr_uint32_t)forms[more].mask;
    for (i = 1; i <= more; i++) {
        if ((in[i] & 0xc0) != 0x80) {
            return 0;
        }
        c = c << 6 | (in[i] & 0x3f);
    }
    if (c < forms[more].least || c > 0x10ffff) {
        return 0;
    }
    *code_point = c;
    return (int)more + 1;
}

int djs_utf8_put(apr_uint32_t code_point, char *out)
{
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        out[0] = (char)(0xc0 | code_point >> 6);
        out[1] = (char)(0x80 | (code_point & 0x3f));
        return 2;
    }
    if (code_point < 0x10000) {
        out[0] = (char)(0xe0 | code_point >> 12);
        out[1] = (char)(0x80 | (code_point >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code_point & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code_point >> 18);
    out[1] = (char)(0x80 | (code_point >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code_point >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code_point & 0x3f));
    return 4;
}

/* How many bytes from @a at on are ASCII: nearly everything is, and goes by in words. */
static apr_size_t ascii_run(djs_bytes_t text, apr_size_t at)
{
    apr_size_t start = at;
    apr_uint64_t word;

    for (; text.len - at >= sizeof(word); at += sizeof(word)) {
        memcpy(&word, text.data + at, sizeof(word));
        if ((word & APR_UINT64_C(0x8080808080808080)) != 0) {
            break;
        }
    }
    while (at < text.len && (text.data[at] & 0x80) == 0) {
        at++;
    }
    return at - start;
}

static int is_utf8(djs_bytes_t text, int may_have_surrogates)
{
    apr_size_t i = ascii_run(text, 0);

    while (i < text.len) {
        apr_uint32_t code_point;
        int used = djs_utf8_next(djs_bytes_of(text.data + i, text.len - i), &code_point);

        if (used == 0 || (IS_SURROGATE(code_point) && !may_have_surrogates)) {
            return 0;
        }
        i += (apr_size_t)used;
        i += ascii_run(text, i);
    }
    return 1;
}

int djs_utf8_is_valid(djs_bytes_t text)
{
    return is_utf8(text, 0);
}

int djs_utf8_is_passable(djs_bytes_t text)
{
    return is_utf8(text, 1);
}

/* ---- zlib ------------------------------------------------------------------------------------ */

/*
 * zlib works in a pool: malloc() would take its 270 KB from the system and give them back each
 * time, which costs ten times the compression of a session.
 */
static voidpf allocate(voidpf pool, uInt count, uInt size)
{
    return apr_palloc(pool, (apr_size_t)count * size);
}

static void release_with_pool(voidpf pool, voidpf memory)
{
}

/* A stream over data, whose state lives in @a scratch. */
static void begin_stream(z_stream *stream, apr_pool_t *scratch, djs_bytes_t data)
{
    memset(stream, 0, sizeof(*stream));
    stream->zalloc = allocate;
    stream->zfree = release_with_pool;
    stream->opaque = scratch;
    stream->next_in = (z_const Bytef *)data.data;
    stream->avail_in = (uInt)data.len;
}

/* zlib's memLevel: its default clears 64 KB, this one 8 and has room for as many symbols. */
#define MEMORY_SHORT 5

/* One stream from beginning to end; gives zlib's last word. */
static int deflate_all(djs_ctx_t *ctx, z_stream *stream, djs_bytes_t *packed)
{
    uLong bound;
    Bytef *out;
    int memory = stream->avail_in <= DJS_DEFLATE_SHORT_MAX ? MEMORY_SHORT : MAX_MEM_LEVEL - 1;
    int result = deflateInit2(stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS, memory,
                              Z_DEFAULT_STRATEGY);

    if (result != Z_OK) {
        return result;
    }
    bound = deflateBound(stream, stream->avail_in);
    out = apr_palloc(ctx->pool, bound + 1);
    stream->next_out = out;
    stream->avail_out = (uInt)bound;
    result = deflate(stream, Z_FINISH);
    deflateEnd(stream);
    out[stream->total_out] = '\0';
    *packed = djs_bytes_of((char *)out, stream->total_out);
    return result;
}

apr_status_t djs_deflate(djs_ctx_t *ctx, djs_bytes_t data, djs_bytes_t *packed)
{
    djs_bytes_t whole;
    apr_pool_t *scratch;
    z_stream stream;
    int result;

    if (djs_deflate_short(ctx, data, packed)) {
        return APR_SUCCESS;
    }

    if (data.len > DJS_INFLATE_MAX) {
        return djs_fail(ctx, DJS_ELIMIT, "%" APR_SIZE_T_FMT
                        " bytes to compress, allowed are %d", data.len, DJS_INFLATE_MAX);
    }
    apr_pool_create(&scratch, ctx->pool);
    begin_stream(&stream, scratch, data);
    result = deflate_all(ctx, &stream, &whole);
    apr_pool_destroy(scratch);
    if (result != Z_STREAM_END) {
        return djs_fail(ctx, APR_ENOMEM, "zlib cannot compress");
    }
    *packed = whole;
    return APR_SUCCESS;
}

apr_status_t djs_deflate_if_shorter(djs_ctx_t *ctx, djs_compress_t compress, djs_bytes_t *data,
                                    int *packed)
{
    djs_bytes_t shorter;

    *packed = 0;
    if (compress == DJS_COMPRESS_NOT) {
        return APR_SUCCESS;
    }
    if (compress != DJS_COMPRESS_QUICK || !djs_deflate_quickly(ctx, *data, &shorter)) {
        apr_status_t rv = djs_deflate(ctx, *data, &shorter);

        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    *packed = shorter.len + 1 < data->len;
    if (*packed) {
        *data = shorter;
    }
    return APR_SUCCESS;
}

/*
 * Room that nearly always suffices: short sessions shrink to a half or a third, long ones to a fifth.
 * What is not used of it is not touched, either.
 */
static apr_size_t room_for(apr_size_t packed_len, apr_size_t max)
{
    const apr_size_t room = packed_len * (packed_len < 1024 ? 4 : 8) + 64;

    return room < max ? room : max;
}

/*
 * Inflate all of stream's input into one buffer that doubles up to `max` bytes. Gives zlib's last
 * word: Z_STREAM_END, Z_BUF_ERROR (cut short, or more than max) or another error.
 */
static int inflate_growing(djs_ctx_t *ctx, z_stream *stream, apr_size_t max, djs_bytes_t *data)
{
    /* One call into a buffer that suffices needs no window. */
    apr_size_t size = room_for(stream->avail_in, max);
    char *out = NULL;
    int result;

    do {
        char *larger;

        size = size > max ? max : size;
        larger = apr_palloc(ctx->pool, size + 1);
        if (stream->total_out > 0) {
            memcpy(larger, out, stream->total_out);
        }
        out = larger;
        stream->next_out = (Bytef *)out + stream->total_out;
        stream->avail_out = (uInt)(size - stream->total_out);
        result = inflate(stream, Z_FINISH);
        size *= 2;
    } while (result == Z_BUF_ERROR && stream->avail_out == 0 && stream->total_out < max);

    out[stream->total_out] = '\0';
    *data = djs_bytes_of(out, stream->total_out);
    return result;
}

/* window: as inflateInit2() takes it, which is zlib's way to say which framing there must be. */
static apr_status_t inflate_framed(djs_ctx_t *ctx, djs_bytes_t packed, int window, const char *name,
                                   apr_size_t max, djs_bytes_t *data)
{
    djs_bytes_t unpacked;
    apr_pool_t *scratch;
    z_stream stream;
    int result;

    if (packed.len > UINT_MAX / 8 || max > UINT_MAX / 4) {
        return djs_fail(ctx, DJS_ELIMIT, "%" APR_SIZE_T_FMT " compressed bytes are too many",
                        packed.len);
    }
    apr_pool_create(&scratch, ctx->pool);
    begin_stream(&stream, scratch, packed);
    result = inflateInit2(&stream, window);
    if (result == Z_OK) {
        result = inflate_growing(ctx, &stream, max, &unpacked);
        inflateEnd(&stream);
    }
    apr_pool_destroy(scratch);
    switch (result) {
    case Z_STREAM_END:
        *data = unpacked;
        return APR_SUCCESS;
    case Z_MEM_ERROR:
    case Z_VERSION_ERROR:
        return djs_fail(ctx, APR_ENOMEM, "zlib cannot decompress");
    case Z_BUF_ERROR:
        if (stream.avail_out == 0) {
            return djs_fail(ctx, DJS_ELIMIT, "compressed data unpacks to more than %" APR_SIZE_T_FMT
                            " bytes", max);
        }
        break;
    }
    return djs_fail(ctx, DJS_EFORMAT, "compressed data is not %s or is damaged", name);
}

apr_status_t djs_inflate(djs_ctx_t *ctx, djs_bytes_t packed, apr_size_t max, djs_bytes_t *data)
{
    if (djs_inflate_at_once(ctx, packed, room_for(packed.len, max), data)) {
        return APR_SUCCESS;
    }
    return inflate_framed(ctx, packed, MAX_WBITS, "zlib", max, data);
}

apr_status_t djs_gunzip(djs_ctx_t *ctx, djs_bytes_t packed, apr_size_t max, djs_bytes_t *data)
{
    return inflate_framed(ctx, packed, MAX_WBITS + 16, "gzip", max, data);
}

/* ---- What cache clients compressed ----------------------------------------------------------- */

static int begins_with(djs_bytes_t data, const char *magic, apr_size_t len)
{
    return data.len >= len && memcmp(data.data, magic, len) == 0;
}

/* RFC 1950, 2.2: deflate with a window of up to 32 KiB, no dictionary, and a check of both bytes. */
static int is_zlib(djs_bytes_t data)
{
    const unsigned char *head = (const unsigned char *)data.data;

    return data.len >= 2 && (head[0] & 0x0f) == 8 && (head[0] >> 4) <= 7 && (head[1] & 0x20) == 0
           && (head[0] * 256 + head[1]) % 31 == 0;
}

/* Compressors whose values we recognise and do not read. */
static const struct {
    const char *name, *magic;
    apr_size_t len;
} foreign[] = {
    { "lzma", "\xfd\x37zXZ\0", 6 },
    { "lz4", "\x04\x22\x4d\x18", 4 },
    { "zstd", "\x28\xb5\x2f\xfd", 4 },
};

apr_status_t djs_unpack(djs_ctx_t *ctx, djs_bytes_t stored, djs_bytes_t *data)
{
    apr_status_t rv = DJS_EFORMAT;
    djs_ctx_t attempt = *ctx; /* it is no failure that something is not compressed */
    apr_size_t i;

    attempt.problem = NULL;
    for (i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        if (begins_with(stored, foreign[i].magic, foreign[i].len)) {
            return djs_fail(ctx, DJS_EUNSUPPORTED, "compressed with %s; what can be read is zlib, "
                            "gzip and what is not compressed", foreign[i].name);
        }
    }
    if (is_zlib(stored)) {
        rv = djs_inflate(&attempt, stored, DJS_INFLATE_MAX, data);
    }
    else if (begins_with(stored, "\x1f\x8b", 2)) {
        rv = djs_gunzip(&attempt, stored, DJS_INFLATE_MAX, data);
    }
    if (rv == DJS_EFORMAT) {
        *data = stored;
        return APR_SUCCESS;
    }
    return rv == APR_SUCCESS ? rv : djs_fail(ctx, rv, "%s", attempt.problem);
}
