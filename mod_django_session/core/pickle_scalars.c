/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions of pickles that push scalars, text and bytes.
 */
#include "pickle_read_impl.h"
#include "encode.h"
#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/crypto.h>

/** Bytes that an integer of DJS_INT_DIGITS_MAX digits needs, and a few. */
#define INT_BYTES_MAX 1800

/* ---- Scalars --------------------------------------------------------------------------------- */

apr_status_t djs_pr_do_none(reader_t *reader, unsigned char code)
{
    if (reader->none == NULL) {
        reader->none = sized(djs_value_make_null(reader->pool), 0);
    }
    push(reader, reader->none);
    return APR_SUCCESS;
}

static apr_status_t push_truth(reader_t *reader, int truth)
{
    djs_value_t **shared = &reader->truths[truth];

    if (*shared == NULL) {
        *shared = sized(djs_value_make_bool(reader->pool, truth), 0);
    }
    push(reader, *shared);
    return APR_SUCCESS;
}

apr_status_t djs_pr_do_bool(reader_t *reader, unsigned char code)
{
    return push_truth(reader, code == 0x88);
}

/* BININT, BININT1, BININT2 */
apr_status_t djs_pr_do_binint(reader_t *reader, unsigned char code)
{
    const int width = code == 'J' ? 4 : code == 'M' ? 2 : 1;
    apr_uint64_t number;
    apr_int64_t value;
    apr_status_t rv = take_number(reader, width, &number);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    value = width == 4 ? (apr_int64_t)(apr_int32_t)number : (apr_int64_t)number;
    return push_sized(reader, djs_value_make_int(reader->pool, value), 0);
}

static apr_status_t too_many_digits(reader_t *reader)
{
    return djs_fail(reader->ctx, DJS_ELIMIT, "pickle: an integer of more than %d digits",
                    DJS_INT_DIGITS_MAX);
}

/* Little-endian two's complement. */
static BIGNUM *bignum_of(djs_bytes_t bytes)
{
    BIGNUM *number = BN_lebin2bn((const unsigned char *)bytes.data, (int)bytes.len, NULL);
    BIGNUM *beyond = NULL;

    if (number != NULL && bytes.len > 0 && (bytes.data[bytes.len - 1] & 0x80) != 0) {
        beyond = BN_new();
        if (beyond == NULL || !BN_set_bit(beyond, (int)bytes.len * 8) ||
            !BN_sub(number, number, beyond)) {
            BN_free(number);
            number = NULL;
        }
        BN_free(beyond);
    }
    return number;
}

/* LONG1, LONG4 */
apr_status_t djs_pr_do_long(reader_t *reader, unsigned char code)
{
    djs_bytes_t bytes;
    BIGNUM *number;
    char *digits;
    apr_status_t rv = take_counted(reader, code == 0x8a ? 1 : 4, &bytes);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (bytes.len > INT_BYTES_MAX) {
        return too_many_digits(reader);
    }
    number = bignum_of(bytes);
    digits = number != NULL ? BN_bn2dec(number) : NULL;
    BN_free(number);
    if (digits == NULL) {
        return djs_fail(reader->ctx, APR_ENOMEM, "pickle: OpenSSL cannot convert an integer");
    }
    if (strlen(digits) - (digits[0] == '-') > DJS_INT_DIGITS_MAX) {
        rv = too_many_digits(reader);
    }
    else {
        rv = push_sized(reader, djs_value_make_wide_int(reader->pool, djs_bytes(digits)),
                        strlen(digits));
    }
    OPENSSL_free(digits);
    return rv;
}

/* "-"? digits without zeros in front. */
static int is_decimal_text(djs_bytes_t text)
{
    const apr_size_t sign = text.len > 0 && text.data[0] == '-';
    apr_size_t i;

    for (i = sign; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return 0;
        }
    }
    return text.len > sign && (text.data[sign] != '0' || text.len == 1);
}

static apr_status_t push_digits(reader_t *reader, djs_bytes_t digits)
{
    if (!is_decimal_text(digits)) {
        return djs_pr_malformed(reader, "no integer");
    }
    if (digits.len - (digits.data[0] == '-') > DJS_INT_DIGITS_MAX) {
        return too_many_digits(reader);
    }
    return push_sized(reader, djs_value_make_wide_int(reader->pool, digits), digits.len);
}

/* Python reads INT as C does: zeros in front make it octal. */
static int read_octal(djs_bytes_t text, apr_int64_t *number)
{
    apr_size_t i;

    *number = 0;
    for (i = 1; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '7') {
            return 0;
        }
        *number = *number * 8 + (text.data[i] - '0');
    }
    return text.len > 1 && text.len < 20 && text.data[0] == '0';
}

apr_status_t djs_pr_do_int(reader_t *reader, unsigned char code)
{
    djs_bytes_t line;
    apr_int64_t number;
    apr_status_t rv = djs_pr_take_line(reader, &line);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (djs_bytes_is(line, "00") || djs_bytes_is(line, "01")) {
        return push_truth(reader, line.data[1] == '1');
    }
    if (line.len < 20 && read_octal(line, &number)) {
        return push_sized(reader, djs_value_make_int(reader->pool, number), 0);
    }
    return push_digits(reader, line);
}

/* LONG */
apr_status_t djs_pr_do_long_text(reader_t *reader, unsigned char code)
{
    djs_bytes_t line;
    apr_status_t rv = djs_pr_take_line(reader, &line);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    line.len -= line.len > 0 && line.data[line.len - 1] == 'L';
    return push_digits(reader, line);
}

apr_status_t djs_pr_do_binfloat(reader_t *reader, unsigned char code)
{
    djs_bytes_t bytes;
    apr_status_t rv = take(reader, 8, &bytes);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    return push_sized(reader, djs_value_make_float(reader->pool, big_endian_float(bytes.data)), 0);
}

/* Digits, a point among them, an exponent: as repr() writes a finite float. */
static int is_float_text(djs_bytes_t text)
{
    const char *at = text.data, *end = text.data + text.len;
    apr_size_t digits = 0;
    int points = 0;

    at += at < end && *at == '-';
    for (; at < end && ((*at >= '0' && *at <= '9') || *at == '.'); at++) {
        digits += *at != '.';
        points += *at == '.';
    }
    if (digits > 0 && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        for (digits = 0; at < end && *at >= '0' && *at <= '9'; at++) {
            digits++;
        }
    }
    return at == end && digits > 0 && points <= 1;
}

apr_status_t djs_pr_do_float(reader_t *reader, unsigned char code)
{
    djs_bytes_t line;
    double number;
    apr_status_t rv = djs_pr_take_line(reader, &line);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (djs_bytes_is(line, "nan")) {
        number = strtod("nan", NULL);
    }
    else if (djs_bytes_is(line, "inf") || djs_bytes_is(line, "-inf")) {
        number = line.data[0] == '-' ? -strtod("inf", NULL) : strtod("inf", NULL);
    }
    else if (is_float_text(line)) {
        number = djs_json_read_float(djs_pr_scratch(reader), line);
    }
    else {
        return djs_pr_malformed(reader, "no float");
    }
    return push_sized(reader, djs_value_make_float(reader->pool, number), 0);
}

/* ---- Text and bytes -------------------------------------------------------------------------- */

static apr_status_t push_text(reader_t *reader, djs_bytes_t text)
{
    return push_sized(reader, djs_value_make_str(reader->pool, text), text.len);
}

static int width_of_length(unsigned char code)
{
    switch (code) {
    case 0x8c: /* SHORT_BINUNICODE */
    case 'C':  /* SHORT_BINBYTES */
    case 'U':  /* SHORT_BINSTRING */
        return 1;
    case 'X': /* BINUNICODE */
    case 'B': /* BINBYTES */
    case 'T': /* BINSTRING */
        return 4;
    default: /* BINUNICODE8, BINBYTES8, BYTEARRAY8 */
        return 8;
    }
}

apr_status_t djs_pr_do_binunicode(reader_t *reader, unsigned char code)
{
    djs_bytes_t text;
    apr_status_t rv = take_counted(reader, width_of_length(code), &text);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    return djs_utf8_is_passable(text) ? push_text(reader, text)
                                      : djs_pr_malformed(reader, "a text that is not UTF-8");
}

/* Python 2's str is text to Python 3 when it is ASCII, and refused when it is not. */
static apr_status_t push_ascii(reader_t *reader, djs_bytes_t text)
{
    apr_size_t i;

    for (i = 0; i < text.len; i++) {
        if ((text.data[i] & 0x80) != 0) {
            return djs_pr_fail(reader, DJS_EUNSUPPORTED, "a byte string of Python 2 that is not ASCII");
        }
    }
    return push_text(reader, text);
}

apr_status_t djs_pr_do_binstring(reader_t *reader, unsigned char code)
{
    djs_bytes_t text;
    apr_status_t rv = take_counted(reader, width_of_length(code), &text);

    return rv == APR_SUCCESS ? push_ascii(reader, text) : rv;
}

/* Bases up to 16. */
static int digit_value(char c, int base)
{
    int value = djs_hex_digit(c);

    return value < base ? value : -1;
}

/* So many digits to a base, at least @a least; -1: there are not so many. */
static apr_int64_t take_digits(const char **at, const char *end, int base, int least, int most)
{
    apr_int64_t number = 0;
    int count = 0;

    while (count < most && *at < end && digit_value(**at, base) >= 0) {
        number = number * base + digit_value(**at, base);
        (*at)++;
        count++;
    }
    return count >= least ? number : -1;
}

/* A character of a STRING's repr behind the backslash; -1: no such escape; -2: none at all. */
static int read_string_escape(const char **at, const char *end)
{
    static const char letters[] = "\\'\"abfnrtv", meant[] = "\\'\"\a\b\f\n\r\t\v";
    const char *found;

    if (*at == end) {
        return -1;
    }
    if (**at == 'x') {
        (*at)++;
        return (int)take_digits(at, end, 16, 2, 2);
    }
    if (**at >= '0' && **at <= '7') {
        return (int)take_digits(at, end, 8, 1, 3) & 0xff;
    }
    found = **at != '\0' ? strchr(letters, **at) : NULL;
    if (found == NULL) {
        return **at == '\n' ? -1 : -2;
    }
    (*at)++;
    return meant[found - letters];
}

apr_status_t djs_pr_do_string(reader_t *reader, unsigned char code)
{
    djs_bytes_t line;
    const char *at, *end;
    char *text, *out;
    apr_status_t rv = djs_pr_take_line(reader, &line);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (line.len < 2 || (line.data[0] != '\'' && line.data[0] != '"') ||
        line.data[line.len - 1] != line.data[0]) {
        return djs_pr_malformed(reader, "a string without quotes");
    }
    out = text = apr_palloc(djs_pr_scratch(reader), line.len);
    at = line.data + 1;
    end = line.data + line.len - 1;
    while (at < end) {
        int c = (unsigned char)*at++;

        if (c == '\\') {
            c = read_string_escape(&at, end);
            if (c == -1) {
                return djs_pr_malformed(reader, "no such escape");
            }
            c = c == -2 ? '\\' : c;
        }
        *out++ = (char)c;
    }
    return push_ascii(reader, djs_bytes_of(text, (apr_size_t)(out - text)));
}

/* raw-unicode-escape: \uXXXX and \UXXXXXXXX, all else as it is, in latin-1. */
apr_status_t djs_pr_do_unicode(reader_t *reader, unsigned char code)
{
    djs_bytes_t line;
    const char *at, *end;
    char *text, *out;
    apr_status_t rv = djs_pr_take_line(reader, &line);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    out = text = apr_palloc(djs_pr_scratch(reader), line.len * 2 + 1);
    at = line.data;
    end = line.data + line.len;
    while (at < end) {
        apr_int64_t c = (unsigned char)*at++;

        if (c == '\\' && at < end && (*at == 'u' || *at == 'U')) {
            const int digits = *at++ == 'u' ? 4 : 8;

            c = take_digits(&at, end, 16, digits, digits);
            if (c < 0 || c > 0x10ffff) {
                return djs_pr_malformed(reader, "no such escape");
            }
        }
        else if (c == '\\' && at < end) { /* a pair: the second begins no escape */
            *out++ = '\\';
            c = (unsigned char)*at++;
        }
        out += djs_utf8_put((apr_uint32_t)c, out);
    }
    return push_text(reader, djs_bytes_of(text, (apr_size_t)(out - text)));
}

/* BINBYTES and its like, BYTEARRAY8 */
apr_status_t djs_pr_do_binbytes(reader_t *reader, unsigned char code)
{
    const djs_type_t type = code == 0x96 ? DJS_TYPE_BYTEARRAY : DJS_TYPE_BYTES;
    djs_bytes_t bytes;
    apr_status_t rv = take_counted(reader, width_of_length(code), &bytes);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    return push_sized(reader, djs_value_make_bytes(reader->pool, type, bytes), bytes.len);
}
