/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading pickles.
 *
 * A pickle is a row of instructions of one byte each, with their arguments behind. They push values
 * on a stack, put what is on its top into what is below, and remember values under numbers (the
 * memo). Marks lie in the stack: "everything above the last mark". `operations`, at the end, has all
 * instructions; those without an entry are in no protocol.
 *
 * What is not plain data never gets further than the stack: the names of callables (GLOBAL), the
 * arguments of the one that takes classes, a UUID before its state. REDUCE looks such a name up in
 * `reducers` and makes the value itself.
 *
 * No cycle can be made: what was put into something is closed and takes nothing in any more. So all
 * that a container has is known when it is put away, and its size and depth, as if nothing were
 * shared, are sums of what is on the nodes already. They are kept in the node's note,
 * its `place`.
 */
#include "pickle.h"
#include "encode.h"
#include "json.h"
#include "value_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/crypto.h>

/** A memo's number may be so far beyond what the pickle's length explains. */
#define MEMO_SLACK 16384

/** Bytes that an integer of DJS_INT_DIGITS_MAX digits needs, and a few. */
#define INT_BYTES_MAX 1800

/** Bytes of a text or the like that count as one value more. */
#define BYTES_A_VALUE 32

/* A note: NOT_A_VALUE and which, or CLOSED, depth, size. */
#define NOT_A_VALUE 0x80000000u
#define CLOSED      0x40000000u
#define DEPTH_SHIFT 20
#define DEPTH_MASK  0x3ffu
#define SIZE_MASK   0xfffffu

typedef enum global_t {
    SET, FROZENSET, BYTES, BYTEARRAY, OBJECT, ENCODE, DATETIME, DATE, TIME, TIMEDELTA, TIMEZONE,
    PYTZ_UTC, DECIMAL, UUID, RECONSTRUCTOR, GLOBAL_COUNT,
    /* Not callables, but no values either. */
    ARGUMENTS, UNFINISHED_UUID
} global_t;

/** So many need no array that grows. */
#define FEW_VALUES 64
#define FEW_MARKS  16

typedef struct reader_t {
    djs_ctx_t *ctx;
    apr_pool_t *pool;    /* of the values */
    apr_pool_t *scratch; /* of everything else; NULL: nothing has needed it yet */
    const char *start, *at, *end;
    djs_value_t **stack;
    apr_uint32_t count, size;
    apr_uint32_t *marks; /* heights of the stack */
    apr_uint32_t mark_count, mark_size;
    djs_value_t **memo;
    apr_uint32_t memo_size, memo_count;
    djs_value_t *none, *truths[2], *nothing; /* NULL: not needed yet; nothing: the empty tuple */
    djs_value_t *globals[GLOBAL_COUNT];
    apr_size_t work, work_max; /* copies and hashes made of what may be shared */
    djs_value_t *result;       /* set by STOP */
    /* Where they begin. */
    djs_value_t *few_on_stack[FEW_VALUES], *few_in_memo[FEW_VALUES];
    apr_uint32_t few_marks[FEW_MARKS];
} reader_t;

typedef apr_status_t (*operation_fn)(reader_t *reader, unsigned char code);

/* ---- Failing --------------------------------------------------------------------------------- */

static apr_status_t fail(reader_t *reader, apr_status_t status, const char *what)
{
    return djs_fail(reader->ctx, status, "pickle: %s at byte %" APR_SIZE_T_FMT, what,
                    (apr_size_t)(reader->at - reader->start));
}

static apr_status_t malformed(reader_t *reader, const char *what)
{
    return fail(reader, DJS_EFORMAT, what);
}

static apr_status_t cut_off(reader_t *reader)
{
    return malformed(reader, "cut off");
}

/* A name out of the pickle, fit for a log. */
static const char *printable(apr_pool_t *pool, djs_bytes_t name)
{
    const apr_size_t len = name.len < 60 ? name.len : 60;
    char *text = apr_pstrmemdup(pool, name.data, len);
    apr_size_t i;

    for (i = 0; i < len; i++) {
        if (text[i] < 0x21 || text[i] > 0x7e) {
            text[i] = '?';
        }
    }
    return text;
}

static apr_status_t unknown_global(reader_t *reader, djs_bytes_t module, djs_bytes_t name)
{
    return djs_fail(reader->ctx, DJS_EUNSUPPORTED, "pickle: %s.%s is none of the types that are read "
                    "(None, bool, int, float, str, bytes, bytearray, list, tuple, dict, set, "
                    "frozenset, datetime's, Decimal, UUID)", printable(reader->pool, module),
                    printable(reader->pool, name));
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static apr_pool_t *scratch(reader_t *reader)
{
    if (reader->scratch == NULL) {
        apr_pool_create(&reader->scratch, reader->pool);
    }
    return reader->scratch;
}

/* An array of twice the size. */
static void *grown(reader_t *reader, const void *array, apr_uint32_t *size, apr_size_t item)
{
    void *larger = apr_palloc(scratch(reader), *size * 2 * item);

    memcpy(larger, array, *size * item);
    *size *= 2;
    return larger;
}

/* ---- Arguments ------------------------------------------------------------------------------- */

static inline apr_status_t take(reader_t *reader, apr_uint64_t len, djs_bytes_t *bytes)
{
    *bytes = djs_bytes_of(reader->at, (apr_size_t)len);
    if (len > (apr_uint64_t)(reader->end - reader->at)) {
        return cut_off(reader);
    }
    reader->at += len;
    return APR_SUCCESS;
}

/* A number of @a width bytes, little-endian. */
static inline apr_status_t take_number(reader_t *reader, int width, apr_uint64_t *number)
{
    int i;

    *number = 0;
    if (width > reader->end - reader->at) {
        return cut_off(reader);
    }
    reader->at += width;
    for (i = 1; i <= width; i++) {
        *number = *number << 8 | (unsigned char)reader->at[-i];
    }
    return APR_SUCCESS;
}

/* Bytes behind their length, of which @a width bytes tell. */
static inline apr_status_t take_counted(reader_t *reader, int width, djs_bytes_t *bytes)
{
    apr_uint64_t len;
    apr_status_t rv = take_number(reader, width, &len);

    return rv == APR_SUCCESS ? take(reader, len, bytes) : rv;
}

static apr_status_t take_line(reader_t *reader, djs_bytes_t *line)
{
    const apr_size_t left = (apr_size_t)(reader->end - reader->at);
    const char *end = left > 0 ? memchr(reader->at, '\n', left) : NULL;

    if (end == NULL) {
        return cut_off(reader);
    }
    *line = djs_bytes_of(reader->at, (apr_size_t)(end - reader->at));
    reader->at = end + 1;
    return APR_SUCCESS;
}

/* ---- The stack ------------------------------------------------------------------------------- */

static inline void push(reader_t *reader, djs_value_t *value)
{
    if (reader->count == reader->size) {
        reader->stack = grown(reader, reader->stack, &reader->size, sizeof(*reader->stack));
    }
    reader->stack[reader->count++] = value;
}

/* How many there are above the last mark. */
static inline apr_uint32_t above_mark(const reader_t *reader)
{
    return reader->count -
           (reader->mark_count > 0 ? reader->marks[reader->mark_count - 1] : 0);
}

/* At least so many above the last mark? */
static inline apr_status_t need(reader_t *reader, apr_uint32_t count)
{
    return above_mark(reader) < count ? malformed(reader, "too little on the stack") : APR_SUCCESS;
}

/* The last mark is taken away; everything above it is @a items and off the stack. */
static apr_status_t pop_to_mark(reader_t *reader, djs_value_t ***items, apr_uint32_t *count)
{
    *items = NULL;
    *count = 0;
    if (reader->mark_count == 0) {
        return malformed(reader, "no mark");
    }
    *count = above_mark(reader);
    reader->count -= *count;
    reader->mark_count--;
    *items = reader->stack + reader->count;
    return APR_SUCCESS;
}

/* ---- Sizes and what is closed ---------------------------------------------------------------- */

static apr_uint32_t size_of(const djs_value_t *value)
{
    return value->place & SIZE_MASK;
}

static apr_uint32_t depth_of(const djs_value_t *value)
{
    return value->place >> DEPTH_SHIFT & DEPTH_MASK;
}

static int is_value(const djs_value_t *value)
{
    return (value->place & NOT_A_VALUE) == 0;
}

static int is_global(const djs_value_t *value, global_t which)
{
    return value->place == (NOT_A_VALUE | which);
}

static djs_value_t *not_a_value(djs_value_t *node, global_t which)
{
    node->place = NOT_A_VALUE | which;
    return node;
}

/* A new value of so many bytes. */
static inline djs_value_t *sized(djs_value_t *value, apr_size_t len)
{
    const apr_size_t size = 1 + len / BYTES_A_VALUE;

    value->place = size < SIZE_MASK ? (apr_uint32_t)size : SIZE_MASK;
    return value;
}

static inline apr_status_t push_sized(reader_t *reader, djs_value_t *value, apr_size_t len)
{
    push(reader, sized(value, len));
    return APR_SUCCESS;
}

/* Put @a item into @a parent as far as sizes are concerned, and close it. */
static apr_status_t adopt(reader_t *reader, djs_value_t *parent, djs_value_t *item)
{
    const apr_uint32_t size = size_of(parent) + size_of(item);
    apr_uint32_t depth = depth_of(parent);

    if (!is_value(item)) {
        return fail(reader, DJS_EUNSUPPORTED, "a class or half a value among the values");
    }
    item->place |= CLOSED;
    if ((parent->place & CLOSED) != 0) { /* it may be the item itself */
        return fail(reader, DJS_EUNSUPPORTED, "a value that contains itself");
    }
    depth = depth_of(item) + 1 > depth ? depth_of(item) + 1 : depth;
    if (size > DJS_PICKLE_VALUES_MAX || depth > DJS_PICKLE_DEPTH_MAX) {
        return fail(reader, DJS_ELIMIT, depth > DJS_PICKLE_DEPTH_MAX ? "nested too deep"
                                                                     : "too many values");
    }
    parent->place = depth << DEPTH_SHIFT | size;
    return APR_SUCCESS;
}

/* Work that a pickle may ask for again and again by referring to the same thing. */
static apr_status_t work(reader_t *reader, apr_size_t amount)
{
    reader->work += amount;
    return reader->work > reader->work_max ? fail(reader, DJS_ELIMIT, "too many values")
                                           : APR_SUCCESS;
}

/* ---- Scalars --------------------------------------------------------------------------------- */

static apr_status_t do_none(reader_t *reader, unsigned char code)
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

static apr_status_t do_bool(reader_t *reader, unsigned char code)
{
    return push_truth(reader, code == 0x88);
}

/* BININT, BININT1, BININT2 */
static apr_status_t do_binint(reader_t *reader, unsigned char code)
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
static apr_status_t do_long(reader_t *reader, unsigned char code)
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
        return malformed(reader, "no integer");
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

static apr_status_t do_int(reader_t *reader, unsigned char code)
{
    djs_bytes_t line;
    apr_int64_t number;
    apr_status_t rv = take_line(reader, &line);

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
static apr_status_t do_long_text(reader_t *reader, unsigned char code)
{
    djs_bytes_t line;
    apr_status_t rv = take_line(reader, &line);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    line.len -= line.len > 0 && line.data[line.len - 1] == 'L';
    return push_digits(reader, line);
}

static apr_status_t do_binfloat(reader_t *reader, unsigned char code)
{
    apr_uint64_t bits = 0;
    djs_bytes_t bytes;
    double number;
    int i;
    apr_status_t rv = take(reader, 8, &bytes);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (i = 0; i < 8; i++) {
        bits = bits << 8 | (unsigned char)bytes.data[i];
    }
    memcpy(&number, &bits, sizeof(number));
    return push_sized(reader, djs_value_make_float(reader->pool, number), 0);
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

static apr_status_t do_float(reader_t *reader, unsigned char code)
{
    djs_bytes_t line;
    double number;
    apr_status_t rv = take_line(reader, &line);

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
        number = djs_json_read_float(scratch(reader), line);
    }
    else {
        return malformed(reader, "no float");
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

static apr_status_t do_binunicode(reader_t *reader, unsigned char code)
{
    djs_bytes_t text;
    apr_status_t rv = take_counted(reader, width_of_length(code), &text);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    return djs_utf8_is_passable(text) ? push_text(reader, text)
                                      : malformed(reader, "a text that is not UTF-8");
}

/* Python 2's str is text to Python 3 when it is ASCII, and refused when it is not. */
static apr_status_t push_ascii(reader_t *reader, djs_bytes_t text)
{
    apr_size_t i;

    for (i = 0; i < text.len; i++) {
        if ((text.data[i] & 0x80) != 0) {
            return fail(reader, DJS_EUNSUPPORTED, "a byte string of Python 2 that is not ASCII");
        }
    }
    return push_text(reader, text);
}

static apr_status_t do_binstring(reader_t *reader, unsigned char code)
{
    djs_bytes_t text;
    apr_status_t rv = take_counted(reader, width_of_length(code), &text);

    return rv == APR_SUCCESS ? push_ascii(reader, text) : rv;
}

static int digit_value(char c, int base)
{
    int value = c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' ? (c | 0x20) - 'a' + 10 : 99;

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

static apr_status_t do_string(reader_t *reader, unsigned char code)
{
    djs_bytes_t line;
    const char *at, *end;
    char *text, *out;
    apr_status_t rv = take_line(reader, &line);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (line.len < 2 || (line.data[0] != '\'' && line.data[0] != '"') ||
        line.data[line.len - 1] != line.data[0]) {
        return malformed(reader, "a string without quotes");
    }
    out = text = apr_palloc(scratch(reader), line.len);
    at = line.data + 1;
    end = line.data + line.len - 1;
    while (at < end) {
        int c = (unsigned char)*at++;

        if (c == '\\') {
            c = read_string_escape(&at, end);
            if (c == -1) {
                return malformed(reader, "no such escape");
            }
            c = c == -2 ? '\\' : c;
        }
        *out++ = (char)c;
    }
    return push_ascii(reader, djs_bytes_of(text, (apr_size_t)(out - text)));
}

/* raw-unicode-escape: \uXXXX and \UXXXXXXXX, all else as it is, in latin-1. */
static apr_status_t do_unicode(reader_t *reader, unsigned char code)
{
    djs_bytes_t line;
    const char *at, *end;
    char *text, *out;
    apr_status_t rv = take_line(reader, &line);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    out = text = apr_palloc(scratch(reader), line.len * 2 + 1);
    at = line.data;
    end = line.data + line.len;
    while (at < end) {
        apr_int64_t c = (unsigned char)*at++;

        if (c == '\\' && at < end && (*at == 'u' || *at == 'U')) {
            const int digits = *at++ == 'u' ? 4 : 8;

            c = take_digits(&at, end, 16, digits, digits);
            if (c < 0 || c > 0x10ffff) {
                return malformed(reader, "no such escape");
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
static apr_status_t do_binbytes(reader_t *reader, unsigned char code)
{
    const djs_type_t type = code == 0x96 ? DJS_TYPE_BYTEARRAY : DJS_TYPE_BYTES;
    djs_bytes_t bytes;
    apr_status_t rv = take_counted(reader, width_of_length(code), &bytes);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    return push_sized(reader, djs_value_make_bytes(reader->pool, type, bytes), bytes.len);
}

/* ---- Containers ------------------------------------------------------------------------------ */

static apr_status_t append_all(reader_t *reader, djs_value_t *list, djs_value_t **items,
                               apr_uint32_t count)
{
    apr_status_t rv = APR_SUCCESS;
    apr_uint32_t i;

    for (i = 0; rv == APR_SUCCESS && i < count; i++) {
        rv = adopt(reader, list, items[i]);
        if (rv == APR_SUCCESS) {
            djs_value_append(list, items[i]);
        }
    }
    return rv;
}

/* What a key's hash costs; a text is its own. */
static apr_status_t hash_work(reader_t *reader, const djs_value_t *key)
{
    return djs_value_type(key) != DJS_TYPE_STR ? work(reader, size_of(key)) : APR_SUCCESS;
}

static apr_status_t unhashable(reader_t *reader, const djs_value_t *key)
{
    return djs_fail(reader->ctx, DJS_EFORMAT, "pickle: a key or an item of a set is of type %s, "
                    "which Python cannot hash", djs_value_type_name(key));
}

static apr_status_t set_all(reader_t *reader, djs_value_t *dict, djs_value_t **items,
                            apr_uint32_t count)
{
    apr_status_t rv = APR_SUCCESS;
    apr_uint32_t i;

    if (count % 2 != 0) {
        return malformed(reader, "a key without a value");
    }
    for (i = 0; rv == APR_SUCCESS && i < count; i += 2) {
        rv = adopt(reader, dict, items[i]);
        if (rv == APR_SUCCESS) {
            rv = adopt(reader, dict, items[i + 1]);
        }
        if (rv == APR_SUCCESS) {
            rv = hash_work(reader, items[i]);
        }
        if (rv == APR_SUCCESS && !djs_value_put_key(dict, items[i], items[i + 1])) {
            rv = unhashable(reader, items[i]);
        }
    }
    return rv;
}

static apr_status_t add_item(reader_t *reader, djs_value_t *set, djs_value_t *item)
{
    apr_status_t rv = adopt(reader, set, item);

    if (rv == APR_SUCCESS) {
        rv = hash_work(reader, item);
    }
    if (rv == APR_SUCCESS && !djs_value_add_item(set, item)) {
        rv = unhashable(reader, item);
    }
    return rv;
}

static apr_status_t add_all(reader_t *reader, djs_value_t *set, djs_value_t **items,
                            apr_uint32_t count)
{
    apr_status_t rv = APR_SUCCESS;
    apr_uint32_t i;

    for (i = 0; rv == APR_SUCCESS && i < count; i++) {
        rv = add_item(reader, set, items[i]);
    }
    return rv;
}

static djs_value_t *make_container(reader_t *reader, djs_type_t type)
{
    return sized(djs_value_make_group(reader->pool, type), 0);
}

/* EMPTY_LIST, EMPTY_DICT, EMPTY_SET */
static apr_status_t do_empty(reader_t *reader, unsigned char code)
{
    push(reader, make_container(reader, code == ']' ? DJS_TYPE_LIST
                                        : code == '}' ? DJS_TYPE_DICT : DJS_TYPE_SET));
    return APR_SUCCESS;
}

static apr_status_t do_empty_tuple(reader_t *reader, unsigned char code)
{
    if (reader->nothing == NULL) {
        reader->nothing = make_container(reader, DJS_TYPE_TUPLE);
    }
    push(reader, reader->nothing);
    return APR_SUCCESS;
}

/* LIST, DICT, FROZENSET: of everything above the mark. */
static apr_status_t do_gather(reader_t *reader, unsigned char code)
{
    djs_value_t *made = make_container(reader, code == 'l' ? DJS_TYPE_LIST : code == 'd' ?
                                       DJS_TYPE_DICT : DJS_TYPE_FROZENSET);
    djs_value_t **items;
    apr_uint32_t count;
    apr_status_t rv = pop_to_mark(reader, &items, &count);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = code == 'l' ? append_all(reader, made, items, count)
         : code == 'd' ? set_all(reader, made, items, count) : add_all(reader, made, items, count);
    push(reader, made);
    return rv;
}

/* Is the top of the stack a container of this type that takes something in? */
static apr_status_t receiver(reader_t *reader, djs_type_t type, djs_value_t **container)
{
    apr_status_t rv = need(reader, 1);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    *container = reader->stack[reader->count - 1];
    if (!is_value(*container) || djs_value_type(*container) != type) {
        return malformed(reader, "items for what takes none");
    }
    return APR_SUCCESS;
}

/* APPENDS, SETITEMS, ADDITEMS: everything above the mark into what is below it. */
static apr_status_t do_extend(reader_t *reader, unsigned char code)
{
    djs_value_t **items, *container;
    apr_uint32_t count;
    apr_status_t rv = pop_to_mark(reader, &items, &count);

    if (rv == APR_SUCCESS) {
        rv = receiver(reader, code == 'e' ? DJS_TYPE_LIST : code == 'u' ? DJS_TYPE_DICT
                                                                        : DJS_TYPE_SET, &container);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return code == 'e' ? append_all(reader, container, items, count)
           : code == 'u' ? set_all(reader, container, items, count)
                         : add_all(reader, container, items, count);
}

/* APPEND, SETITEM: one. */
static apr_status_t do_insert(reader_t *reader, unsigned char code)
{
    const apr_uint32_t count = code == 'a' ? 1 : 2;
    djs_value_t **items, *container;
    apr_status_t rv = need(reader, count + 1);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    reader->count -= count;
    items = reader->stack + reader->count;
    rv = receiver(reader, code == 'a' ? DJS_TYPE_LIST : DJS_TYPE_DICT, &container);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return code == 'a' ? append_all(reader, container, items, count)
                       : set_all(reader, container, items, count);
}

/* Arguments may have classes among them; then the tuple is no value. */
static apr_status_t push_tuple(reader_t *reader, djs_value_t **items, apr_uint32_t count)
{
    djs_value_t *tuple;
    apr_uint32_t i, classes = 0;
    apr_status_t rv = APR_SUCCESS;

    if (count == 0) {
        return do_empty_tuple(reader, 0);
    }
    tuple = make_container(reader, DJS_TYPE_TUPLE);
    for (i = 0; i < count; i++) {
        classes += is_global(items[i], UUID) || is_global(items[i], OBJECT);
    }
    if (classes == 0) {
        rv = append_all(reader, tuple, items, count);
    }
    for (i = 0; classes > 0 && i < count; i++) {
        djs_value_append(tuple, items[i]);
    }
    push(reader, classes > 0 ? not_a_value(tuple, ARGUMENTS) : tuple);
    return rv;
}

static apr_status_t do_tuple(reader_t *reader, unsigned char code)
{
    djs_value_t **items;
    apr_uint32_t count;
    apr_status_t rv = pop_to_mark(reader, &items, &count);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    return push_tuple(reader, items, count);
}

/* TUPLE1, TUPLE2, TUPLE3 */
static apr_status_t do_small_tuple(reader_t *reader, unsigned char code)
{
    const apr_uint32_t count = code - 0x84u;
    apr_status_t rv = need(reader, count);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    reader->count -= count;
    return push_tuple(reader, reader->stack + reader->count, count);
}

/* ---- Stack and memo -------------------------------------------------------------------------- */

static apr_status_t do_mark(reader_t *reader, unsigned char code)
{
    if (reader->mark_count == reader->mark_size) {
        reader->marks = grown(reader, reader->marks, &reader->mark_size, sizeof(*reader->marks));
    }
    reader->marks[reader->mark_count++] = reader->count;
    return APR_SUCCESS;
}

static apr_status_t do_pop(reader_t *reader, unsigned char code)
{
    apr_status_t rv;

    if (reader->mark_count > 0 && above_mark(reader) == 0) {
        reader->mark_count--;
        return APR_SUCCESS;
    }
    rv = need(reader, 1);
    reader->count -= rv == APR_SUCCESS;
    return rv;
}

static apr_status_t do_pop_mark(reader_t *reader, unsigned char code)
{
    djs_value_t **items;
    apr_uint32_t count;

    return pop_to_mark(reader, &items, &count);
}

static apr_status_t do_dup(reader_t *reader, unsigned char code)
{
    apr_status_t rv = need(reader, 1);

    if (rv == APR_SUCCESS) {
        push(reader, reader->stack[reader->count - 1]);
    }
    return rv;
}

/* The number of a PUT or GET in any of their forms. */
static apr_status_t take_index(reader_t *reader, unsigned char code, apr_uint64_t *index)
{
    djs_bytes_t line;
    apr_size_t i;
    apr_status_t rv;

    if (code != 'p' && code != 'g') {
        return take_number(reader, code == 'q' || code == 'h' ? 1 : 4, index);
    }
    rv = take_line(reader, &line);
    *index = 0;
    if (rv == APR_SUCCESS && (line.len == 0 || line.len > 10)) {
        return malformed(reader, "no number for the memo");
    }
    for (i = 0; rv == APR_SUCCESS && i < line.len; i++) {
        if (line.data[i] < '0' || line.data[i] > '9') {
            return malformed(reader, "no number for the memo");
        }
        *index = *index * 10 + (apr_uint64_t)(line.data[i] - '0');
    }
    return rv;
}

/* Room in the memo for this number. */
static apr_status_t grow_memo(reader_t *reader, apr_uint64_t index)
{
    apr_uint32_t size = reader->memo_size;
    djs_value_t **larger;

    if (index >= (apr_uint64_t)(reader->end - reader->start) + MEMO_SLACK) {
        return fail(reader, DJS_ELIMIT, "a number for the memo that is too large");
    }
    while (index >= size) {
        size *= 2;
    }
    larger = apr_pcalloc(scratch(reader), size * sizeof(*larger));
    memcpy(larger, reader->memo, reader->memo_size * sizeof(*larger));
    reader->memo = larger;
    reader->memo_size = size;
    return APR_SUCCESS;
}

static inline apr_status_t remember(reader_t *reader, apr_uint64_t index)
{
    apr_status_t rv = need(reader, 1);

    if (rv == APR_SUCCESS && index >= reader->memo_size) {
        rv = grow_memo(reader, index);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    reader->memo_count += reader->memo[index] == NULL;
    reader->memo[index] = reader->stack[reader->count - 1];
    return APR_SUCCESS;
}

static apr_status_t do_put(reader_t *reader, unsigned char code)
{
    apr_uint64_t index;
    apr_status_t rv = take_index(reader, code, &index);

    return rv == APR_SUCCESS ? remember(reader, index) : rv;
}

static apr_status_t do_memoize(reader_t *reader, unsigned char code)
{
    return remember(reader, reader->memo_count);
}

static apr_status_t do_get(reader_t *reader, unsigned char code)
{
    apr_uint64_t index;
    apr_status_t rv = take_index(reader, code, &index);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (index >= reader->memo_size || reader->memo[index] == NULL) {
        return malformed(reader, "nothing in the memo under this number");
    }
    push(reader, reader->memo[index]);
    return APR_SUCCESS;
}

/* ---- Callables by name ----------------------------------------------------------------------- */

static const struct {
    const char *module, *name;
    global_t global;
} names[] = {
    { "builtins", "set", SET },             { "__builtin__", "set", SET },
    { "builtins", "frozenset", FROZENSET }, { "__builtin__", "frozenset", FROZENSET },
    { "builtins", "bytes", BYTES },         { "__builtin__", "bytes", BYTES },
    { "builtins", "bytearray", BYTEARRAY }, { "__builtin__", "bytearray", BYTEARRAY },
    { "builtins", "object", OBJECT },       { "__builtin__", "object", OBJECT },
    { "_codecs", "encode", ENCODE },        { "datetime", "datetime", DATETIME },
    { "datetime", "date", DATE },           { "datetime", "time", TIME },
    { "datetime", "timedelta", TIMEDELTA }, { "datetime", "timezone", TIMEZONE },
    { "pytz", "_UTC", PYTZ_UTC },           { "decimal", "Decimal", DECIMAL },
    { "uuid", "UUID", UUID },               { "copyreg", "_reconstructor", RECONSTRUCTOR },
    { "copy_reg", "_reconstructor", RECONSTRUCTOR },
};

static apr_status_t push_global(reader_t *reader, djs_bytes_t module, djs_bytes_t name)
{
    apr_size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (djs_bytes_is(module, names[i].module) && djs_bytes_is(name, names[i].name)) {
            djs_value_t **global = &reader->globals[names[i].global];

            if (*global == NULL) {
                *global = not_a_value(djs_value_make_null(scratch(reader)), names[i].global);
            }
            push(reader, *global);
            return APR_SUCCESS;
        }
    }
    return unknown_global(reader, module, name);
}

static apr_status_t do_global(reader_t *reader, unsigned char code)
{
    djs_bytes_t module, name;
    apr_status_t rv = take_line(reader, &module);

    if (rv == APR_SUCCESS) {
        rv = take_line(reader, &name);
    }
    return rv == APR_SUCCESS ? push_global(reader, module, name) : rv;
}

static int is_of(const djs_value_t *value, djs_type_t type)
{
    return value != NULL && is_value(value) && djs_value_type(value) == type;
}

static apr_status_t do_stack_global(reader_t *reader, unsigned char code)
{
    const djs_value_t *module, *name;
    apr_status_t rv = need(reader, 2);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    reader->count -= 2;
    module = reader->stack[reader->count];
    name = reader->stack[reader->count + 1];
    if (!is_of(module, DJS_TYPE_STR) || !is_of(name, DJS_TYPE_STR)) {
        return malformed(reader, "a class without a name");
    }
    return push_global(reader, djs_value_str(module), djs_value_str(name));
}

/* ---- What they would make -------------------------------------------------------------------- */

static apr_status_t bad_arguments(reader_t *reader)
{
    return malformed(reader, "not the arguments that Python writes for this type");
}

/* A set or frozenset of a list. */
static apr_status_t make_set(reader_t *reader, global_t global, djs_value_t *args)
{
    djs_value_t *list = djs_value_at(args, 0), *item, *set;
    apr_size_t i;
    apr_status_t rv = APR_SUCCESS;

    if (djs_value_len(args) != 1 || !is_of(list, DJS_TYPE_LIST)) {
        return bad_arguments(reader);
    }
    set = make_container(reader, global == SET ? DJS_TYPE_SET : DJS_TYPE_FROZENSET);
    for (i = 0; rv == APR_SUCCESS && (item = djs_value_at(list, i)) != NULL; i++) {
        rv = work(reader, 1); /* the same list may be taken again */
        if (rv == APR_SUCCESS) {
            rv = add_item(reader, set, item);
        }
    }
    push(reader, set);
    return rv;
}

/* The bytes are not copied: they may be asked for again and again. */
static apr_status_t push_shared(reader_t *reader, djs_type_t type, djs_bytes_t bytes)
{
    djs_value_t *value = djs_value_make_bytes(reader->pool, type, djs_bytes(""));

    djs_value_fill_str(value, bytes);
    return push_sized(reader, value, bytes.len);
}

static apr_status_t make_bytes(reader_t *reader, global_t global, djs_value_t *args)
{
    return djs_value_len(args) == 0 ? push_shared(reader, DJS_TYPE_BYTES, djs_bytes(""))
                                    : bad_arguments(reader);
}

static apr_status_t make_bytearray(reader_t *reader, global_t global, djs_value_t *args)
{
    const djs_value_t *bytes = djs_value_at(args, 0);

    if (bytes == NULL) {
        return push_shared(reader, DJS_TYPE_BYTEARRAY, djs_bytes(""));
    }
    if (djs_value_len(args) != 1 || !is_of(bytes, DJS_TYPE_BYTES)) {
        return bad_arguments(reader);
    }
    return push_shared(reader, DJS_TYPE_BYTEARRAY, djs_value_str(bytes));
}

/* _codecs.encode(text, "latin1"), which older protocols have for bytes. */
static apr_status_t make_encoded(reader_t *reader, global_t global, djs_value_t *args)
{
    const djs_value_t *text = djs_value_at(args, 0), *charset = djs_value_at(args, 1);
    djs_bytes_t from;
    char *bytes, *out;
    apr_status_t rv;

    if (djs_value_len(args) != 2 || !is_of(text, DJS_TYPE_STR) || !is_of(charset, DJS_TYPE_STR) ||
        !djs_bytes_is(djs_value_str(charset), "latin1")) {
        return bad_arguments(reader);
    }
    rv = work(reader, size_of(text));
    if (rv != APR_SUCCESS) {
        return rv;
    }
    from = djs_value_str(text);
    out = bytes = apr_palloc(reader->pool, from.len + 1);
    while (from.len > 0) {
        apr_uint32_t c;
        int used = djs_utf8_next(from, &c);

        if (used == 0 || c > 0xff) {
            return malformed(reader, "bytes beyond latin-1");
        }
        *out++ = (char)c;
        from = djs_bytes_of(from.data + used, from.len - (apr_size_t)used);
    }
    *out = '\0';
    return push_shared(reader, DJS_TYPE_BYTES, djs_bytes_of(bytes, (apr_size_t)(out - bytes)));
}

/* Arguments of a date or time: so many bytes, and perhaps a zone. */
static apr_status_t state_of(reader_t *reader, const djs_value_t *args, apr_size_t len,
                             const unsigned char **state, djs_value_t **zone)
{
    const djs_value_t *bytes = djs_value_at(args, 0);

    *zone = djs_value_at(args, 1);
    if (djs_value_len(args) > 2 || !is_of(bytes, DJS_TYPE_BYTES) ||
        djs_value_str(bytes).len != len || (*zone != NULL && !is_of(*zone, DJS_TYPE_TIMEZONE))) {
        return bad_arguments(reader);
    }
    *state = (const unsigned char *)djs_value_str(bytes).data;
    return APR_SUCCESS;
}

static void read_date(const unsigned char *state, djs_civil_t *civil)
{
    civil->year = state[0] << 8 | state[1];
    civil->month = state[2] & 0x7f;
    civil->day = state[3];
}

static void read_clock(const unsigned char *state, djs_civil_t *civil)
{
    civil->hour = state[0] & 0x7f;
    civil->minute = state[1];
    civil->second = state[2];
    civil->usec = state[3] << 16 | state[4] << 8 | state[5];
}

/* A time with a zone is as large as both. */
static apr_status_t push_time(reader_t *reader, djs_type_t type, const djs_civil_t *civil,
                              djs_value_t *zone, int fold)
{
    apr_time_t local;
    djs_value_t *made;

    if (!djs_moment_from_civil(civil, &local)) {
        return malformed(reader, "a date or time that the calendar has not");
    }
    made = sized(djs_value_make_time(reader->pool, type, local, zone, fold), 0);
    push(reader, made);
    return zone != NULL ? adopt(reader, made, zone) : APR_SUCCESS;
}

static apr_status_t make_datetime(reader_t *reader, global_t global, djs_value_t *args)
{
    djs_civil_t civil;
    const unsigned char *state;
    djs_value_t *zone;
    apr_status_t rv = state_of(reader, args, 10, &state, &zone);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    read_date(state, &civil);
    read_clock(state + 4, &civil);
    if ((state[4] & 0x80) != 0) {
        return malformed(reader, "a date or time that the calendar has not");
    }
    return push_time(reader, DJS_TYPE_DATETIME, &civil, zone, state[2] >> 7);
}

static apr_status_t make_date(reader_t *reader, global_t global, djs_value_t *args)
{
    djs_civil_t civil = { 0 };
    const unsigned char *state;
    djs_value_t *zone;
    apr_status_t rv = state_of(reader, args, 4, &state, &zone);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    read_date(state, &civil);
    if (zone != NULL || (state[2] & 0x80) != 0) {
        return bad_arguments(reader);
    }
    return push_time(reader, DJS_TYPE_DATE, &civil, NULL, 0);
}

static apr_status_t make_time(reader_t *reader, global_t global, djs_value_t *args)
{
    djs_civil_t civil = { 1970, 1, 1, 0, 0, 0, 0 };
    const unsigned char *state;
    djs_value_t *zone;
    apr_status_t rv = state_of(reader, args, 6, &state, &zone);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    read_clock(state, &civil);
    return push_time(reader, DJS_TYPE_TIME, &civil, zone, state[0] >> 7);
}

/* An argument that is an int within bounds. */
static int int_argument(const djs_value_t *args, apr_size_t i, int least, int most, int *number)
{
    const djs_value_t *value = djs_value_at(args, i);
    apr_int64_t wide;

    if (!is_of(value, DJS_TYPE_INT) || !djs_value_int64(value, &wide) || wide < least ||
        wide > most) {
        return 0;
    }
    *number = (int)wide;
    return 1;
}

static apr_status_t make_timedelta(reader_t *reader, global_t global, djs_value_t *args)
{
    djs_span_t span;

    if (djs_value_len(args) != 3 ||
        !int_argument(args, 0, -DJS_SPAN_DAYS_MAX, DJS_SPAN_DAYS_MAX, &span.days) ||
        !int_argument(args, 1, 0, 86399, &span.seconds) ||
        !int_argument(args, 2, 0, 999999, &span.usec)) {
        return bad_arguments(reader);
    }
    return push_sized(reader, djs_value_make_span(reader->pool, span), 0);
}

static apr_status_t make_timezone(reader_t *reader, global_t global, djs_value_t *args)
{
    const djs_value_t *delta = djs_value_at(args, 0);
    djs_value_t *name = djs_value_at(args, 1), *zone;
    djs_span_t span;

    if (djs_value_len(args) > 2 || !is_of(delta, DJS_TYPE_TIMEDELTA) ||
        (name != NULL && !is_of(name, DJS_TYPE_STR))) {
        return bad_arguments(reader);
    }
    span = djs_value_span(delta);
    /* Less than a day in either direction. */
    if (span.days < -1 || span.days > 0 ||
        (span.days == -1 && span.seconds == 0 && span.usec == 0)) {
        return bad_arguments(reader);
    }
    zone = sized(djs_value_make_timezone(reader->pool, DJS_TIMEZONE_FIXED,
                                         apr_time_from_sec(span.days * 86400 + span.seconds) +
                                         span.usec, name), 0);
    push(reader, zone);
    return name != NULL ? adopt(reader, zone, name) : APR_SUCCESS;
}

static apr_status_t make_pytz_utc(reader_t *reader, global_t global, djs_value_t *args)
{
    if (djs_value_len(args) != 0) {
        return bad_arguments(reader);
    }
    return push_sized(reader, djs_value_make_timezone(reader->pool, DJS_TIMEZONE_PYTZ, 0, NULL), 0);
}

static apr_status_t make_decimal(reader_t *reader, global_t global, djs_value_t *args)
{
    const djs_value_t *digits = djs_value_at(args, 0);
    djs_value_t *decimal = NULL;
    apr_status_t rv;

    if (djs_value_len(args) != 1 || !is_of(digits, DJS_TYPE_STR)) {
        return bad_arguments(reader);
    }
    rv = work(reader, size_of(digits));
    if (rv != APR_SUCCESS) {
        return rv;
    }
    decimal = djs_value_make_decimal(reader->pool, djs_value_str(digits));
    return decimal != NULL ? push_sized(reader, decimal, djs_value_str(digits).len)
                           : bad_arguments(reader);
}

static void push_unfinished_uuid(reader_t *reader)
{
    static const unsigned char zero[16];

    push(reader, not_a_value(djs_value_make_uuid(reader->pool, zero, DJS_UUID_UNSAID),
                             UNFINISHED_UUID));
}

/* Protocols 0 and 1 make objects so; UUID's is the only one. */
static apr_status_t make_object(reader_t *reader, global_t global, djs_value_t *args)
{
    if (djs_value_len(args) != 3 || !is_global(djs_value_at(args, 0), UUID) ||
        !is_global(djs_value_at(args, 1), OBJECT) ||
        !is_of(djs_value_at(args, 2), DJS_TYPE_NULL)) {
        return bad_arguments(reader);
    }
    push_unfinished_uuid(reader);
    return APR_SUCCESS;
}

typedef apr_status_t (*reducer_fn)(reader_t *reader, global_t global, djs_value_t *args);

/* NULL: not called by REDUCE. */
static const reducer_fn reducers[GLOBAL_COUNT] = {
    [SET] = make_set,             [FROZENSET] = make_set,       [BYTES] = make_bytes,
    [BYTEARRAY] = make_bytearray, [ENCODE] = make_encoded,      [DATETIME] = make_datetime,
    [DATE] = make_date,           [TIME] = make_time,           [TIMEDELTA] = make_timedelta,
    [TIMEZONE] = make_timezone,   [PYTZ_UTC] = make_pytz_utc,   [DECIMAL] = make_decimal,
    [RECONSTRUCTOR] = make_object,
};

/* A callable and its arguments, off the stack. */
static apr_status_t pop_call(reader_t *reader, global_t *global, djs_value_t **args)
{
    const djs_value_t *callable;
    apr_status_t rv = need(reader, 2);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    reader->count -= 2;
    callable = reader->stack[reader->count];
    *args = reader->stack[reader->count + 1];
    if (is_value(callable) || djs_value_type(callable) != DJS_TYPE_NULL) {
        return malformed(reader, "a call of what is no class");
    }
    *global = (global_t)(callable->place & ~NOT_A_VALUE);
    if (djs_value_type(*args) != DJS_TYPE_TUPLE) {
        return bad_arguments(reader);
    }
    /* Only the constructor takes classes. */
    return is_value(*args) || *global == RECONSTRUCTOR ? APR_SUCCESS : bad_arguments(reader);
}

static apr_status_t do_reduce(reader_t *reader, unsigned char code)
{
    global_t global;
    djs_value_t *args;
    apr_status_t rv = pop_call(reader, &global, &args);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    return reducers[global] != NULL ? reducers[global](reader, global, args)
                                    : bad_arguments(reader);
}

static apr_status_t do_newobj(reader_t *reader, unsigned char code)
{
    global_t global;
    djs_value_t *args;
    apr_status_t rv = pop_call(reader, &global, &args);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (global != UUID || djs_value_len(args) != 0) {
        return bad_arguments(reader);
    }
    push_unfinished_uuid(reader);
    return APR_SUCCESS;
}

/* A UUID's integer as its bytes; 0: it is none, or has more than 128 bits. */
static int uuid_bytes(reader_t *reader, const djs_value_t *number, unsigned char bytes[16])
{
    BIGNUM *wide = NULL;
    djs_bytes_t digits;
    int ok;

    if (!is_of(number, DJS_TYPE_INT)) {
        return 0;
    }
    digits = djs_bytes_copy(scratch(reader), djs_value_int_digits(number, scratch(reader)));
    ok = digits.len <= 39 && digits.data[0] != '-' && BN_dec2bn(&wide, digits.data) > 0 &&
         BN_bn2binpad(wide, bytes, 16) == 16;
    BN_free(wide);
    return ok;
}

static int uuid_safety(const djs_value_t *said, djs_uuid_safety_t *safety)
{
    apr_int64_t number;

    *safety = DJS_UUID_UNSAID;
    if (said == NULL) {
        return 1;
    }
    if (!is_of(said, DJS_TYPE_INT) || !djs_value_int64(said, &number) || number > 0 ||
        number < -1) {
        return 0;
    }
    *safety = number == 0 ? DJS_UUID_SAFE : DJS_UUID_UNSAFE;
    return 1;
}

static apr_status_t do_build(reader_t *reader, unsigned char code)
{
    djs_value_t *state, *uuid, *number, *safe;
    djs_uuid_safety_t safety;
    unsigned char bytes[16];
    apr_status_t rv = need(reader, 2);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    state = reader->stack[--reader->count];
    uuid = reader->stack[reader->count - 1];
    if (!is_global(uuid, UNFINISHED_UUID) || !is_of(state, DJS_TYPE_DICT)) {
        return fail(reader, DJS_EUNSUPPORTED, "state for what has none");
    }
    number = djs_value_get(state, djs_bytes("int"));
    safe = djs_value_get(state, djs_bytes("is_safe"));
    if (number == NULL || djs_value_len(state) != (safe != NULL ? 2 : 1) ||
        !uuid_bytes(reader, number, bytes) || !uuid_safety(safe, &safety)) {
        return bad_arguments(reader);
    }
    djs_value_fill_uuid(uuid, bytes, safety);
    (void)sized(uuid, 0);
    return APR_SUCCESS;
}

/* ---- The machine ----------------------------------------------------------------------------- */

static apr_status_t do_proto(reader_t *reader, unsigned char code)
{
    apr_uint64_t protocol;
    apr_status_t rv = take_number(reader, 1, &protocol);

    if (rv == APR_SUCCESS && protocol > DJS_PICKLE_PROTOCOL_MAX) {
        return djs_fail(reader->ctx, DJS_EUNSUPPORTED, "pickle of protocol %d, known are 0 to %d",
                        (int)protocol, DJS_PICKLE_PROTOCOL_MAX);
    }
    return rv;
}

/* Frames tell how much to read at once; we have it all. */
static apr_status_t do_frame(reader_t *reader, unsigned char code)
{
    apr_uint64_t len;
    apr_status_t rv = take_number(reader, 8, &len);

    if (rv == APR_SUCCESS && len > (apr_uint64_t)(reader->end - reader->at)) {
        return cut_off(reader);
    }
    return rv;
}

/* INST, OBJ, NEWOBJ_EX, EXT1, EXT2, EXT4, PERSID, BINPERSID, NEXT_BUFFER, READONLY_BUFFER */
static apr_status_t do_refuse(reader_t *reader, unsigned char code)
{
    return djs_fail(reader->ctx, DJS_EUNSUPPORTED, "pickle: instruction 0x%02x, which no type that "
                    "is read needs", code);
}

/* Under the result may lie the result again, as when it was filled by way of the memo. */
static apr_status_t do_stop(reader_t *reader, unsigned char code)
{
    djs_value_t *value;
    apr_uint32_t i;
    apr_status_t rv = need(reader, 1);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    value = reader->stack[reader->count - 1];
    if (!is_value(value)) {
        return fail(reader, DJS_EUNSUPPORTED, "a class or half a value as the result");
    }
    for (i = 0; i < reader->count; i++) {
        if (reader->stack[i] != value || reader->mark_count > 0) {
            return malformed(reader, "more than the result on the stack");
        }
    }
    reader->result = value;
    return APR_SUCCESS;
}

static const operation_fn operations[256] = {
    ['N'] = do_none,         [0x88] = do_bool,       [0x89] = do_bool,
    ['I'] = do_int,          ['L'] = do_long_text,   ['J'] = do_binint,
    ['K'] = do_binint,       ['M'] = do_binint,      [0x8a] = do_long,
    [0x8b] = do_long,        ['F'] = do_float,       ['G'] = do_binfloat,

    ['V'] = do_unicode,      ['X'] = do_binunicode,  [0x8c] = do_binunicode,
    [0x8d] = do_binunicode,  ['S'] = do_string,      ['T'] = do_binstring,
    ['U'] = do_binstring,    ['B'] = do_binbytes,    ['C'] = do_binbytes,
    [0x8e] = do_binbytes,    [0x96] = do_binbytes,

    [']'] = do_empty,        ['}'] = do_empty,       [0x8f] = do_empty,
    [')'] = do_empty_tuple,  ['l'] = do_gather,      ['d'] = do_gather,
    [0x91] = do_gather,      ['t'] = do_tuple,       [0x85] = do_small_tuple,
    [0x86] = do_small_tuple, [0x87] = do_small_tuple, ['a'] = do_insert,
    ['s'] = do_insert,       ['e'] = do_extend,      ['u'] = do_extend,
    [0x90] = do_extend,

    ['('] = do_mark,         ['0'] = do_pop,         ['1'] = do_pop_mark,
    ['2'] = do_dup,          ['p'] = do_put,         ['q'] = do_put,
    ['r'] = do_put,          [0x94] = do_memoize,    ['g'] = do_get,
    ['h'] = do_get,          ['j'] = do_get,

    ['c'] = do_global,       [0x93] = do_stack_global, ['R'] = do_reduce,
    [0x81] = do_newobj,      ['b'] = do_build,

    [0x80] = do_proto,       [0x95] = do_frame,      ['.'] = do_stop,

    ['i'] = do_refuse,       ['o'] = do_refuse,      [0x92] = do_refuse,
    [0x82] = do_refuse,      [0x83] = do_refuse,     [0x84] = do_refuse,
    ['P'] = do_refuse,       ['Q'] = do_refuse,      [0x97] = do_refuse,
    [0x98] = do_refuse,
};

static apr_status_t run(reader_t *reader)
{
    apr_status_t rv = APR_SUCCESS;

    while (rv == APR_SUCCESS && reader->result == NULL) {
        unsigned char code;

        if (reader->at == reader->end) {
            return cut_off(reader);
        }
        code = (unsigned char)*reader->at++;
        rv = operations[code] != NULL ? operations[code](reader, code)
                                      : malformed(reader, "no such instruction");
    }
    return rv;
}

apr_status_t djs_pickle_loads(djs_ctx_t *ctx, djs_bytes_t pickle, djs_value_t **value)
{
    reader_t reader;
    apr_status_t rv;

    if (pickle.len > DJS_PICKLE_MAX) {
        return djs_fail(ctx, DJS_ELIMIT, "pickle of %" APR_SIZE_T_FMT " bytes, allowed are %d",
                        pickle.len, DJS_PICKLE_MAX);
    }
    memset(&reader, 0, sizeof(reader));
    reader.ctx = ctx;
    reader.pool = ctx->pool;
    reader.start = reader.at = pickle.data != NULL ? pickle.data : "";
    reader.end = reader.start + pickle.len;
    reader.work_max = 2 * pickle.len + 1024;
    reader.stack = reader.few_on_stack;
    reader.memo = reader.few_in_memo;
    reader.size = reader.memo_size = FEW_VALUES;
    reader.marks = reader.few_marks;
    reader.mark_size = FEW_MARKS;
    rv = run(&reader);
    if (reader.scratch != NULL) {
        apr_pool_destroy(reader.scratch);
    }
    if (rv == APR_SUCCESS) {
        *value = reader.result;
    }
    return rv;
}
