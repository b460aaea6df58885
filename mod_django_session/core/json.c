/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON as Python's json module reads and writes it.
 *
 *     document = ws value ws
 *     value    = object | array | string | number | "true" | "false" | "null"
 *              | "NaN" | "Infinity" | "-Infinity"
 *     number   = ["-"] ("0" | 1-9 0-9*) ["." 0-9+] [("e" | "E") ["+" | "-"] 0-9+]
 *     string   = '"' (any byte from U+0020 on but '"' and '\' | escape)* '"'
 *     escape   = '\' one of  " \ / b f n r t  or  u and four hex digits
 *     ws       = space, tab, LF, CR
 *
 * Three passes, each over what the one before left:
 *   scan    checks a value without making anything, and notices whether its text is just what Python
 *           would write ("canonical")
 *   load    scans the whole text; makes nodes for the top level, which keep their text
 *   build   turns the text of one node into its tree, when somebody looks inside
 */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encode.h"
#include "value_impl.h"

/* Objects inside a value are checked for equal names up to so many members and so deep; larger ones
 * merely do not count as canonical. */
#define SEEN_NAMES_MAX 8
#define SEEN_DEPTH_MAX 16

typedef struct seen_t {
    djs_bytes_t names[SEEN_NAMES_MAX];
    int count;
} seen_t;

/* Where a pass stands. */
typedef struct scan_t {
    djs_ctx_t *ctx;
    djs_json_charset_t charset;
    const char *start, *at, *end;
    int canonical;
} scan_t;

static apr_status_t bad(const scan_t *scan, const char *what)
{
    return djs_fail(scan->ctx, DJS_EFORMAT, "not JSON: %s at byte %" APR_SIZE_T_FMT, what,
                    (apr_size_t)(scan->at - scan->start));
}

/* The next byte, or 0 at the end; a NUL of the text is no token either. */
static unsigned char peek(const scan_t *scan)
{
    return scan->at < scan->end ? (unsigned char)*scan->at : 0;
}

static void skip_space(scan_t *scan)
{
    while (scan->at < scan->end
           && (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\t' || *scan->at == '\r')) {
        scan->at++;
        scan->canonical = 0;
    }
}

/* ---- strings ------------------------------------------------------------------------------ */

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The unit behind "\u" at `at`, or -1. */
static int read_unit(const char *at, const char *end)
{
    int unit = 0, i, digit;

    if (end - at < 4) {
        return -1;
    }
    for (i = 0; i < 4; i++) {
        digit = hex_digit((unsigned char)at[i]);
        if (digit < 0) {
            return -1;
        }
        unit = unit << 4 | digit;
    }
    return unit;
}

/* Would Python write this unit as \uXXXX with these digits? */
static int unit_is_canonical(int unit, const char *digits)
{
    int i;

    for (i = 0; i < 4; i++) {
        if (digits[i] >= 'A' && digits[i] <= 'F') {
            return 0;
        }
    }
    return unit >= 0x7f
           || (unit < 0x20 && unit != '\n' && unit != '\r' && unit != '\t' && unit != '\b'
               && unit != '\f');
}

static apr_status_t scan_escape(scan_t *scan)
{
    int unit;

    scan->at++;
    switch (peek(scan)) {
    case '/':
        scan->canonical = 0;
        /* fall through */
    case '"': case '\\': case 'b': case 'f': case 'n': case 'r': case 't':
        scan->at++;
        return APR_SUCCESS;
    case 'u':
        unit = read_unit(scan->at + 1, scan->end);
        if (unit < 0) {
            return bad(scan, "\\u without four hex digits");
        }
        if (!unit_is_canonical(unit, scan->at + 1)) {
            scan->canonical = 0;
        }
        scan->at += 5;
        return APR_SUCCESS;
    default:
        return bad(scan, "an unknown escape");
    }
}

/* One character that is no plain ASCII. */
static apr_status_t scan_unusual(scan_t *scan)
{
    unsigned char c = (unsigned char)*scan->at;
    apr_uint32_t code_point;
    int used = 1;

    if (c < 0x20) {
        return bad(scan, "a control character in a string");
    }
    scan->canonical = 0;
    if (c >= 0x80 && scan->charset == DJS_JSON_UTF8) {
        used = djs_utf8_next(djs_bytes_of(scan->at, (apr_size_t)(scan->end - scan->at)),
                             &code_point);
        if (used == 0 || (code_point >= 0xd800 && code_point < 0xe000)) {
            return bad(scan, "no UTF-8");
        }
    }
    scan->at += used;
    return APR_SUCCESS;
}

/* A string, its quotes included. */
static apr_status_t scan_string(scan_t *scan)
{
    apr_status_t rv = APR_SUCCESS;

    for (scan->at++; rv == APR_SUCCESS;) {
        unsigned char c;

        if (scan->at >= scan->end) {
            return bad(scan, "a string without an end");
        }
        c = (unsigned char)*scan->at;
        if (c == '"') {
            scan->at++;
            return APR_SUCCESS;
        }
        if (c == '\\') {
            rv = scan_escape(scan);
        }
        else if (c < 0x20 || c >= 0x7f) {
            rv = scan_unusual(scan);
        }
        else {
            scan->at++;
        }
    }
    return rv;
}

/* Undo one escape; gives the bytes written. `*at` stands behind the backslash. */
static int unescape(const char **at, const char *end, char *out)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *simple;
    apr_uint32_t code_point;
    int low;

    if (**at != 'u') {
        simple = strchr(from, **at);
        *out = simple != NULL ? to[simple - from] : **at;
        (*at)++;
        return 1;
    }
    code_point = (apr_uint32_t)read_unit(*at + 1, end);
    *at += 5;
    if (code_point >= 0xd800 && code_point < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\'
        && (*at)[1] == 'u') {
        low = read_unit(*at + 2, end);
        if (low >= 0xdc00 && low < 0xe000) {
            code_point = 0x10000 + ((code_point - 0xd800) << 10) + ((apr_uint32_t)low - 0xdc00);
            *at += 6;
        }
    }
    return djs_utf8_put(code_point, out);
}

/* The text of a checked string, `span` with its quotes; NUL-terminated in `pool`. */
static djs_bytes_t build_string(apr_pool_t *pool, djs_json_charset_t charset, djs_bytes_t span)
{
    const char *at = span.data + 1, *end = span.data + span.len - 1;
    /* Nothing grows but latin-1's upper half, from one byte to two. */
    char *text = apr_palloc(pool, (apr_size_t)(end - at) * 2 + 1), *out = text;

    while (at < end) {
        unsigned char c = (unsigned char)*at;

        if (c == '\\') {
            at++;
            out += unescape(&at, end, out);
        }
        else if (c >= 0x80 && charset == DJS_JSON_LATIN1) {
            out += djs_utf8_put(c, out);
            at++;
        }
        else {
            *out++ = (char)c;
            at++;
        }
    }
    *out = '\0';
    return djs_bytes_of(text, (apr_size_t)(out - text));
}

/* ---- numbers ------------------------------------------------------------------------------ */

static const char *skip_digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9') {
        at++;
    }
    return at;
}


/* strtod() wants the locale's own decimal point, and a host may have set any locale. */
static double to_double_slowly(apr_pool_t *pool, djs_bytes_t text)
{
    const char *point = memchr(text.data, '.', text.len);
    const char *mark = localeconv()->decimal_point;
    apr_size_t whole = point != NULL ? (apr_size_t)(point - text.data) : text.len;
    const char *rest = point != NULL ? point + 1 : "";

    return strtod(apr_psprintf(pool, "%.*s%s%.*s", (int)whole, text.data, point != NULL ? mark : "",
                               point != NULL ? (int)(text.len - whole - 1) : 0, rest),
                  NULL);
}

/* The exponent behind "e", held within what matters. */
static int read_exponent(const char *at, const char *end)
{
    int negative = 0, exponent = 0;

    if (*at == '+' || *at == '-') {
        negative = *at++ == '-';
    }
    for (; at < end && exponent < 100000; at++) {
        exponent = exponent * 10 + (*at - '0');
    }
    return negative ? -exponent : exponent;
}

/* A JSON number with a point or an exponent. With up to 15 digits and a power of ten up to 22 both
 * are exact as doubles, and one rounding is the right one; the C library does the rest. */
static double to_double(apr_pool_t *pool, djs_bytes_t text)
{
    static const double powers[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    const char *at = text.data, *end = text.data + text.len;
    int negative = *at == '-', digits = 0, exponent = 0, after_point = 0;
    apr_int64_t mantissa = 0;
    double real;

    for (at += negative; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            after_point = 1;
            continue;
        }
        digits++;
        exponent -= after_point;
        if (digits <= 15) {
            mantissa = mantissa * 10 + (*at - '0');
        }
    }
    if (at < end) {
        exponent += read_exponent(at + 1, end);
    }
    if (digits > 15 || exponent < -22 || exponent > 22) {
        return to_double_slowly(pool, text);
    }
    real = exponent < 0 ? (double)mantissa / powers[-exponent]
                        : (double)mantissa * powers[exponent];
    return negative ? -real : real;
}

/* The decimal digits of |number|, rounded to `count` of them, and its decimal exponent: 0.00123 is
 * "123" and -3. printf's own point, whatever the locale made of it, is skipped. */
static int digits_of_double(double number, int count, char *digits)
{
    char text[48];
    const char *at;
    int used = 0;

    snprintf(text, sizeof(text), "%.*e", count - 1, fabs(number));
    for (at = text; *at != 'e'; at++) {
        if (*at >= '0' && *at <= '9') {
            digits[used++] = *at;
        }
    }
    digits[used] = '\0';
    return atoi(at + 1);
}

/* digits and exponent as a number again. */
static double undigits(const char *digits, int exponent)
{
    char text[48];

    /* "123e-5": no point, so no locale. */
    snprintf(text, sizeof(text), "%se%d", digits, exponent - (int)strlen(digits) + 1);
    return strtod(text, NULL);
}

/* The digit string one unit in the last place above; the same length unless it overflows. */
static int next_digits(char *digits)
{
    int i = (int)strlen(digits) - 1;

    for (; i >= 0 && digits[i] == '9'; i--) {
        digits[i] = '0';
    }
    if (i < 0) {
        return 0;
    }
    digits[i]++;
    return 1;
}

/* The shortest digits that read back as `number`; among equally short ones the nearest. For normal
 * numbers 15 digits always identify a decimal, so fewer need not be tried: zeros at the end go. At a
 * power of two the nearest 16 digits may lie just outside the narrower half of the interval, while
 * their upper neighbour lies inside. */
static int shortest_digits(double number, char *digits)
{
    double size = fabs(number);
    int count, exponent = 0;

    for (count = size < 2.3e-308 ? 1 : 15; count <= 17; count++) {
        exponent = digits_of_double(size, count, digits);
        if (undigits(digits, exponent) == size) {
            break;
        }
        if (next_digits(digits) && undigits(digits, exponent) == size) {
            break;
        }
    }
    for (count = (int)strlen(digits); count > 1 && digits[count - 1] == '0'; count--) {
        digits[count - 1] = '\0';
    }
    return exponent;
}

/* 123, -3 → "0.00123"; 123, 1 → "12.3"; 1, 2 → "100.0" */
static int put_plain(const char *digits, int exponent, char *out)
{
    int count = (int)strlen(digits), i, used = 0;

    if (exponent < 0) {
        used = sprintf(out, "0.");
        for (i = -1; i > exponent; i--) {
            out[used++] = '0';
        }
        return used + sprintf(out + used, "%s", digits);
    }
    for (i = 0; i <= exponent || i < count; i++) {
        if (i == exponent + 1) {
            out[used++] = '.';
        }
        out[used++] = i < count ? digits[i] : '0';
    }
    if (count <= exponent + 1) {
        used += sprintf(out + used, ".0");
    }
    out[used] = '\0';
    return used;
}

int djs_json_float_repr(double number, char *out)
{
    char digits[24];
    int exponent, used = 0;

    if (isnan(number)) {
        return sprintf(out, "NaN");
    }
    if (isinf(number)) {
        return sprintf(out, "%s", number < 0 ? "-Infinity" : "Infinity");
    }
    if (signbit(number)) {
        out[used++] = '-';
    }
    if (number == 0.0) {
        return used + sprintf(out + used, "0.0");
    }
    exponent = shortest_digits(number, digits);
    if (exponent >= -4 && exponent < 16) {
        return used + put_plain(digits, exponent, out + used);
    }
    used += sprintf(out + used, "%c%s%s", digits[0], digits[1] != '\0' ? "." : "", digits + 1);
    return used + sprintf(out + used, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
}

/* Is the text of a float what repr() gives? Up to 15 digits around a point, with no idle zero, are;
 * anything longer or with an exponent is tried. */
static int float_is_canonical(djs_bytes_t text)
{
    char buffer[40], repr[32];
    double number;

    if (text.len > 32) {
        return 0;
    }
    memcpy(buffer, text.data, text.len);
    buffer[text.len] = '\0';
    if (text.len <= 16 && strpbrk(buffer, "eE") == NULL) {
        int small = strncmp(buffer + (*buffer == '-'), "0.000", 5) == 0;

        return !small && (buffer[text.len - 1] != '0' || buffer[text.len - 2] == '.');
    }
    {
        char *point = strchr(buffer, '.');

        if (point != NULL) {
            *point = *localeconv()->decimal_point;
        }
        number = strtod(buffer, NULL);
    }
    djs_json_float_repr(number, repr);
    return djs_bytes_is(text, repr);
}

static apr_status_t scan_word(scan_t *scan, const char *word)
{
    apr_size_t len = strlen(word);

    if ((apr_size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0) {
        return bad(scan, "no value");
    }
    scan->at += len;
    return APR_SUCCESS;
}

/* The digits, point and exponent of a number; `*real` tells a float from an int. */
static const char *skip_number(const char *at, const char *end, int *real)
{
    const char *next;

    if (*at == '0') {
        at++;
    }
    else {
        at = skip_digits(at, end);
    }
    if (end - at >= 2 && at[0] == '.' && at[1] >= '0' && at[1] <= '9') {
        *real = 1;
        at = skip_digits(at + 1, end);
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        next = at + 1;
        if (next < end && (*next == '+' || *next == '-')) {
            next++;
        }
        if (next < end && *next >= '0' && *next <= '9') {
            *real = 1;
            at = skip_digits(next, end);
        }
    }
    return at;
}

static apr_status_t scan_number(scan_t *scan, djs_type_t *type)
{
    int negative = peek(scan) == '-';
    const char *from = scan->at, *digits = from + negative;
    djs_bytes_t text;
    int real = 0;

    *type = DJS_TYPE_FLOAT;
    if (digits < scan->end && *digits == 'I') {
        return scan_word(scan, negative ? "-Infinity" : "Infinity");
    }
    if (digits >= scan->end || *digits < '0' || *digits > '9') {
        return bad(scan, "no value");
    }
    scan->at = skip_number(digits, scan->end, &real);
    text = djs_bytes_of(from, (apr_size_t)(scan->at - from));
    if (real) {
        scan->canonical = scan->canonical && float_is_canonical(text);
        return APR_SUCCESS;
    }
    *type = DJS_TYPE_INT;
    if (scan->at - digits > DJS_INT_DIGITS_MAX) {
        return djs_fail(scan->ctx, DJS_ELIMIT, "an integer of more than %d digits",
                        DJS_INT_DIGITS_MAX);
    }
    if (djs_bytes_is(text, "-0")) {
        scan->canonical = 0; /* reads as 0 */
    }
    return APR_SUCCESS;
}

/* ---- scan: check a value without making it ------------------------------------------------ */

static apr_status_t scan_scalar(scan_t *scan, djs_type_t *type)
{
    switch (peek(scan)) {
    case '"':
        *type = DJS_TYPE_STR;
        return scan_string(scan);
    case 't':
        *type = DJS_TYPE_BOOL;
        return scan_word(scan, "true");
    case 'f':
        *type = DJS_TYPE_BOOL;
        return scan_word(scan, "false");
    case 'n':
        *type = DJS_TYPE_NULL;
        return scan_word(scan, "null");
    case 'N':
        *type = DJS_TYPE_FLOAT;
        return scan_word(scan, "NaN");
    default:
        return scan_number(scan, type);
    }
}

/* A member's name and its colon. The name is given with its quotes. */
static apr_status_t scan_name(scan_t *scan, djs_bytes_t *name)
{
    const char *from = scan->at;
    apr_status_t rv;

    if (peek(scan) != '"') {
        return bad(scan, "no name of a member");
    }
    rv = scan_string(scan);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *name = djs_bytes_of(from, (apr_size_t)(scan->at - from));
    skip_space(scan);
    if (peek(scan) != ':') {
        return bad(scan, "no colon");
    }
    scan->at++;
    skip_space(scan);
    return APR_SUCCESS;
}

/* An inner object with two equal names is not as Python would write it. Canonical names are equal
 * when their texts are. */
static void note_name(scan_t *scan, seen_t *seen, int depth, djs_bytes_t name)
{
    int i;

    if (!scan->canonical) {
        return;
    }
    if (depth >= SEEN_DEPTH_MAX || seen[depth].count >= SEEN_NAMES_MAX) {
        scan->canonical = 0;
        return;
    }
    for (i = 0; i < seen[depth].count; i++) {
        if (djs_bytes_equal(seen[depth].names[i], name)) {
            scan->canonical = 0;
            return;
        }
    }
    seen[depth].names[seen[depth].count++] = name;
}

/* The containers that a value opened and has not closed yet. */
typedef struct open_t {
    unsigned char kind[DJS_JSON_DEPTH_MAX];
    int depth, depth_max;
    seen_t seen[SEEN_DEPTH_MAX];
} open_t;

static apr_status_t scan_open(scan_t *scan, open_t *open)
{
    if (open->depth >= open->depth_max) {
        return djs_fail(scan->ctx, DJS_ELIMIT, "JSON nested deeper than %d", DJS_JSON_DEPTH_MAX);
    }
    if (open->depth < SEEN_DEPTH_MAX) {
        open->seen[open->depth].count = 0;
    }
    open->kind[open->depth++] = peek(scan);
    scan->at++;
    skip_space(scan);
    return APR_SUCCESS;
}

/* The member's name where one belongs. */
static apr_status_t scan_inner_name(scan_t *scan, open_t *open)
{
    djs_bytes_t name;
    apr_status_t rv;

    if (open->kind[open->depth - 1] != '{') {
        return APR_SUCCESS;
    }
    rv = scan_name(scan, &name);
    if (rv == APR_SUCCESS) {
        note_name(scan, open->seen, open->depth - 1, name);
    }
    return rv;
}

/* Behind a value: close what ends here, and go to the next value if there is one. */
static apr_status_t scan_onward(scan_t *scan, open_t *open)
{
    while (open->depth > 0) {
        unsigned char close = open->kind[open->depth - 1] == '{' ? '}' : ']';

        skip_space(scan);
        if (peek(scan) == ',') {
            scan->at++;
            skip_space(scan);
            return scan_inner_name(scan, open);
        }
        if (peek(scan) != close) {
            return bad(scan, "no comma or end");
        }
        scan->at++;
        open->depth--;
    }
    return APR_SUCCESS;
}

/* One whole value; gives its type. `depth_max` containers may be open inside it. */
static apr_status_t scan_value(scan_t *scan, int depth_max, djs_type_t *type)
{
    djs_type_t inner;
    apr_status_t rv;
    open_t open;

    open.depth = 0;
    open.depth_max = depth_max;
    *type = peek(scan) == '{' ? DJS_TYPE_DICT : DJS_TYPE_LIST;
    if (peek(scan) != '{' && peek(scan) != '[') {
        return scan_scalar(scan, type);
    }
    do {
        unsigned char c = peek(scan);

        if (c != '{' && c != '[') {
            rv = scan_scalar(scan, &inner);
            if (rv == APR_SUCCESS) {
                rv = scan_onward(scan, &open);
            }
            continue;
        }
        rv = scan_open(scan, &open);
        if (rv == APR_SUCCESS && peek(scan) == (c == '{' ? '}' : ']')) {
            rv = scan_onward(scan, &open);
        }
        else if (rv == APR_SUCCESS) {
            rv = scan_inner_name(scan, &open);
        }
    } while (rv == APR_SUCCESS && open.depth > 0);
    return rv;
}

/* ---- load: the top level ------------------------------------------------------------------ */

/* Check the value at `scan` and make a node that keeps its text. */
static apr_status_t load_lazy(scan_t *scan, int depth_max, djs_value_t **value)
{
    const char *from = scan->at;
    djs_type_t type;
    apr_status_t rv;

    scan->canonical = 1;
    rv = scan_value(scan, depth_max, &type);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *value = djs_value_new(scan->ctx->pool, type);
    (*value)->span = djs_bytes_of(from, (apr_size_t)(scan->at - from));
    (*value)->lazy = 1;
    (*value)->canonical = (unsigned char)scan->canonical;
    (*value)->charset = (unsigned char)scan->charset;
    return APR_SUCCESS;
}

static apr_status_t load_member(scan_t *scan, djs_value_t *dict)
{
    djs_value_t *item = NULL;
    djs_bytes_t name;
    apr_status_t rv = scan_name(scan, &name);

    if (rv == APR_SUCCESS) {
        rv = load_lazy(scan, DJS_JSON_DEPTH_MAX - 1, &item);
    }
    if (rv == APR_SUCCESS) {
        djs_value_set_owned(dict, build_string(scan->ctx->pool, scan->charset, name), item);
    }
    return rv;
}

static apr_status_t load_item(scan_t *scan, djs_value_t *list)
{
    djs_value_t *item = NULL;
    apr_status_t rv = load_lazy(scan, DJS_JSON_DEPTH_MAX - 1, &item);

    if (rv == APR_SUCCESS) {
        djs_value_append(list, item);
    }
    return rv;
}

static apr_status_t load_container(scan_t *scan, djs_value_t **value)
{
    int is_dict = peek(scan) == '{';
    unsigned char close = is_dict ? '}' : ']';
    apr_status_t rv;

    *value = djs_value_new(scan->ctx->pool, is_dict ? DJS_TYPE_DICT : DJS_TYPE_LIST);
    scan->at++;
    skip_space(scan);
    if (peek(scan) == close) {
        scan->at++;
        return APR_SUCCESS;
    }
    for (;;) {
        rv = is_dict ? load_member(scan, *value) : load_item(scan, *value);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        skip_space(scan);
        if (peek(scan) == close) {
            scan->at++;
            return APR_SUCCESS;
        }
        if (peek(scan) != ',') {
            return bad(scan, "no comma or end");
        }
        scan->at++;
        skip_space(scan);
    }
}

apr_status_t djs_json_loads_prefix(djs_ctx_t *ctx, djs_json_charset_t charset, djs_bytes_t text,
                                   djs_value_t **value, apr_size_t *used)
{
    scan_t scan = { ctx, charset, text.data, text.data, text.data + text.len, 1 };
    djs_value_t *found = NULL;
    apr_status_t rv;

    if (text.len > DJS_JSON_TEXT_MAX) {
        return djs_fail(ctx, DJS_ELIMIT, "JSON of %" APR_SIZE_T_FMT " bytes, allowed are %d",
                        text.len, DJS_JSON_TEXT_MAX);
    }
    if (text.len == 0) {
        return djs_fail(ctx, DJS_EFORMAT, "not JSON: empty");
    }
    skip_space(&scan);
    rv = peek(&scan) == '{' || peek(&scan) == '['
             ? load_container(&scan, &found)
             : load_lazy(&scan, DJS_JSON_DEPTH_MAX, &found);
    if (rv == APR_SUCCESS) {
        *value = found;
        *used = (apr_size_t)(scan.at - text.data);
    }
    return rv;
}

apr_status_t djs_json_loads(djs_ctx_t *ctx, djs_json_charset_t charset, djs_bytes_t text,
                            djs_value_t **value)
{
    djs_value_t *found = NULL;
    apr_size_t used;
    apr_status_t rv = djs_json_loads_prefix(ctx, charset, text, &found, &used);
    scan_t rest = { ctx, charset, text.data, text.data, text.data + text.len, 1 };

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rest.at += used;
    skip_space(&rest);
    if (rest.at != rest.end) {
        return bad(&rest, "more after the value");
    }
    *value = found;
    return APR_SUCCESS;
}

/* ---- build: the tree of a checked text ---------------------------------------------------- */

static void build_number(djs_value_t *value, djs_bytes_t text)
{
    const char *at = text.data + (*text.data == '-');

    if (value->type == DJS_TYPE_INT) {
        djs_value_t *whole = djs_value_make_wide_int(value->pool, text);

        value->wide = whole->wide;
        value->as = whole->as;
    }
    else if (*at == 'N') {
        value->as.real = NAN;
    }
    else if (*at == 'I') {
        value->as.real = *text.data == '-' ? -INFINITY : INFINITY;
    }
    else {
        value->as.real = to_double(value->pool, text);
    }
}

static void build_scalar(djs_value_t *value, djs_bytes_t text)
{
    switch (djs_value_type(value)) {
    case DJS_TYPE_BOOL:
        value->as.truth = *text.data == 't';
        break;
    case DJS_TYPE_STR:
        value->as.text = build_string(value->pool, (djs_json_charset_t)value->charset, text);
        break;
    case DJS_TYPE_INT:
    case DJS_TYPE_FLOAT:
        build_number(value, text);
        break;
    default:
        break;
    }
}

/* The scalar at `scan`, made. Its text was checked, so scanning it again only finds its end. */
static djs_value_t *build_item(scan_t *scan, apr_pool_t *pool)
{
    const char *from = scan->at;
    djs_type_t type = DJS_TYPE_NULL;
    djs_value_t *value;

    if (scan_scalar(scan, &type) != APR_SUCCESS) {
        return djs_value_make_null(pool); /* not reached: the text was checked */
    }
    value = djs_value_new(pool, type);
    value->charset = (unsigned char)scan->charset;
    build_scalar(value, djs_bytes_of(from, (apr_size_t)(scan->at - from)));
    return value;
}

/* Step over white space and the comma or colon between two things. */
static void build_skip(scan_t *scan)
{
    skip_space(scan);
    if (peek(scan) == ',' || peek(scan) == ':') {
        scan->at++;
        skip_space(scan);
    }
}

/* Put the next item of the text into `into`; gives it when it is a container to go into. */
static djs_value_t *build_next(scan_t *scan, djs_value_t *into)
{
    djs_bytes_t name = { NULL, 0 };
    djs_value_t *item;
    const char *from;
    unsigned char c;

    if (into->type == DJS_TYPE_DICT) {
        from = scan->at;
        if (scan_string(scan) == APR_SUCCESS) {
            name = build_string(into->pool, scan->charset,
                                djs_bytes_of(from, (apr_size_t)(scan->at - from)));
        }
        build_skip(scan);
    }
    c = peek(scan);
    if (c == '{' || c == '[') {
        item = djs_value_new(into->pool, c == '{' ? DJS_TYPE_DICT : DJS_TYPE_LIST);
        scan->at++;
        skip_space(scan);
    }
    else {
        item = build_item(scan, into->pool);
        build_skip(scan);
    }
    if (into->type == DJS_TYPE_DICT) {
        djs_value_set_owned(into, name, item);
    }
    else {
        djs_value_append(into, item);
    }
    return c == '{' || c == '[' ? item : NULL;
}

void djs_json_resolve(djs_value_t *value)
{
    djs_ctx_t unused = { .pool = value->pool };
    scan_t scan = { &unused, (djs_json_charset_t)value->charset, value->span.data,
                    value->span.data, value->span.data + value->span.len, 0 };
    djs_value_t *open[DJS_JSON_DEPTH_MAX], *item;
    int depth = 0;

    value->lazy = 0;
    if (value->type != DJS_TYPE_DICT && value->type != DJS_TYPE_LIST) {
        build_scalar(value, value->span);
        return;
    }
    open[depth++] = value;
    scan.at++;
    skip_space(&scan);
    while (depth > 0) {
        if (peek(&scan) == '}' || peek(&scan) == ']') {
            scan.at++;
            build_skip(&scan);
            depth--;
            continue;
        }
        item = build_next(&scan, open[depth - 1]);
        if (item != NULL) {
            open[depth++] = item;
        }
    }
}

/* ---- write -------------------------------------------------------------------------------- */

typedef struct out_t {
    apr_pool_t *pool;
    char *data;
    apr_size_t len, room;
    const char *comma, *colon;
} out_t;

static void reserve(out_t *out, apr_size_t more)
{
    char *larger;

    if (out->room - out->len >= more) {
        return;
    }
    while (out->room - out->len < more) {
        out->room *= 2;
    }
    larger = apr_palloc(out->pool, out->room);
    memcpy(larger, out->data, out->len);
    out->data = larger;
}

static void put(out_t *out, const char *data, apr_size_t len)
{
    reserve(out, len);
    memcpy(out->data + out->len, data, len);
    out->len += len;
}

static void put_text(out_t *out, const char *text)
{
    put(out, text, strlen(text));
}

static void put_unit(out_t *out, apr_uint32_t unit)
{
    static const char hex[] = "0123456789abcdef";
    char text[6] = { '\\', 'u', hex[unit >> 12 & 15], hex[unit >> 8 & 15], hex[unit >> 4 & 15],
                     hex[unit & 15] };

    put(out, text, sizeof(text));
}

/* A character that cannot stand for itself. */
static void put_escaped(out_t *out, apr_uint32_t code_point)
{
    static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
    const char *simple = code_point != 0 && code_point < 0x7f ? strchr(from, (int)code_point) : NULL;

    if (simple != NULL) {
        char text[2] = { '\\', to[simple - from] };

        put(out, text, 2);
    }
    else if (code_point >= 0x10000) {
        put_unit(out, 0xd800 + ((code_point - 0x10000) >> 10));
        put_unit(out, 0xdc00 + ((code_point - 0x10000) & 0x3ff));
    }
    else {
        put_unit(out, code_point);
    }
}

static int is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void put_string(out_t *out, djs_bytes_t text)
{
    apr_size_t i = 0, from;
    apr_uint32_t code_point;
    int used;

    put(out, "\"", 1);
    while (i < text.len) {
        for (from = i; i < text.len && is_plain((unsigned char)text.data[i]); i++) {
        }
        put(out, text.data + from, i - from);
        if (i == text.len) {
            break;
        }
        used = djs_utf8_next(djs_bytes_of(text.data + i, text.len - i), &code_point);
        if (used == 0) {
            /* Nobody may put other bytes in; if somebody did, they do not get out as they are. */
            code_point = 0xfffd;
            used = 1;
        }
        put_escaped(out, code_point);
        i += (apr_size_t)used;
    }
    put(out, "\"", 1);
}

static void put_scalar(out_t *out, const djs_value_t *value)
{
    char repr[32];

    switch (djs_value_type(value)) {
    case DJS_TYPE_BOOL:
        put_text(out, djs_value_bool(value) ? "true" : "false");
        break;
    case DJS_TYPE_INT: {
        djs_bytes_t digits = djs_value_int_digits(value, out->pool);

        put(out, digits.data, digits.len);
        break;
    }
    case DJS_TYPE_FLOAT:
        djs_json_float_repr(djs_value_float(value), repr);
        put_text(out, repr);
        break;
    case DJS_TYPE_STR:
        put_string(out, djs_value_str(value));
        break;
    default:
        put_text(out, "null");
        break;
    }
}

static void put_value(out_t *out, const djs_value_t *value);

static void put_list(out_t *out, const djs_value_t *list)
{
    apr_size_t i, len = djs_value_len(list);

    put(out, "[", 1);
    for (i = 0; i < len; i++) {
        if (i > 0) {
            put_text(out, out->comma);
        }
        put_value(out, djs_value_at(list, i));
    }
    put(out, "]", 1);
}

static void put_dict(out_t *out, const djs_value_t *dict)
{
    djs_value_t *item;
    djs_bytes_t key;
    apr_size_t i;

    put(out, "{", 1);
    for (i = 0; djs_value_member(dict, i, &key, &item); i++) {
        if (i > 0) {
            put_text(out, out->comma);
        }
        put_string(out, key);
        put_text(out, out->colon);
        put_value(out, item);
    }
    put(out, "}", 1);
}

/* Trees are no deeper than what was read, one level for what an update wraps around it. */
static void put_value(out_t *out, const djs_value_t *value)
{
    if (value->lazy && value->canonical
        && (out->comma[1] == '\0'
            || (value->type != DJS_TYPE_LIST && value->type != DJS_TYPE_DICT))) {
        put(out, value->span.data, value->span.len);
    }
    else if (value->type == DJS_TYPE_LIST) {
        put_list(out, value);
    }
    else if (value->type == DJS_TYPE_DICT) {
        put_dict(out, value);
    }
    else {
        put_scalar(out, value);
    }
}

djs_bytes_t djs_json_dumps(djs_ctx_t *ctx, djs_json_spacing_t spacing, const djs_value_t *value)
{
    out_t out = { ctx->pool, NULL, 0, 512, ",", ":" };

    if (spacing == DJS_JSON_SPACED) {
        out.comma = ", ";
        out.colon = ": ";
    }
    out.data = apr_palloc(ctx->pool, out.room);
    put_value(&out, value);
    put(&out, "", 1);
    return djs_bytes_of(out.data, out.len - 1);
}
