/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON as Python's json module reads and writes it.
 *
 * Reading is one pass over the text. It checks everything and leaves one token per value and name,
 * in the order of the text:
 *
 *     {"a": [1, 2], "b": "x"}      tokens  0 dict  1 "a"  2 list  3 1  4 2  5 "b"  6 "x"
 *
 * A token says where its text lies and which token comes behind everything inside it. So nodes are
 * made of tokens one level at a time, and no text is scanned twice. A token also says whether its
 * text is already exactly what Python would write ("canonical"): writing then copies it.
 *
 * Grammar, beside RFC 8259: the numbers NaN, Infinity, -Infinity; strings may have U+007F and lone
 * surrogate escapes.
 */
#include "json.h"
#include "encode.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct token_t {
    apr_uint32_t start, end; /* of the text */
    apr_uint32_t next;       /* the token behind this one and all inside; while a container is
                                being scanned the container around it */
    unsigned char type;      /* djs_type_t */
    unsigned char canonical;
    unsigned char plain;     /* a string without escapes, in UTF-8 */
    unsigned char truth;     /* true */
} token_t;

typedef struct document_t {
    djs_lazy_t lazy; /* first: djs_value_t knows only this part */
    djs_bytes_t text;
    djs_json_charset_t charset;
    token_t *tokens;
} document_t;

#define NO_TOKEN 0xffffffffu

/** So many need no array that grows. */
#define FEW_TOKENS 128

/* ---- Scanning -------------------------------------------------------------------------------- */

typedef struct scan_t {
    djs_ctx_t *ctx;
    document_t *document;
    const char *start, *at, *end;
    apr_uint32_t count, size; /* of the tokens */
    apr_uint32_t open;        /* the innermost container, or NO_TOKEN */
    int depth;
    apr_uint64_t names[DJS_JSON_DEPTH_MAX]; /* of each open dict: a filter of the names so far */
    token_t few[FEW_TOKENS];  /* where tokens go at first */
} scan_t;

static apr_status_t malformed(scan_t *scan, const char *what)
{
    return djs_fail(scan->ctx, DJS_EFORMAT, "JSON: %s at byte %" APR_SIZE_T_FMT, what,
                    (apr_size_t)(scan->at - scan->start));
}

static apr_uint32_t offset(const scan_t *scan)
{
    return (apr_uint32_t)(scan->at - scan->start);
}

/* A new token that begins here; valid until the next one. */
static token_t *begin_token(scan_t *scan, djs_type_t type)
{
    token_t *token;

    if (scan->count == scan->size) {
        token_t *larger = apr_palloc(scan->ctx->pool, scan->size * 2 * sizeof(token_t));

        memcpy(larger, scan->document->tokens, scan->count * sizeof(token_t));
        scan->document->tokens = larger;
        scan->size *= 2;
    }
    token = &scan->document->tokens[scan->count++];
    token->start = offset(scan);
    token->next = scan->count;
    token->type = (unsigned char)type;
    token->canonical = 1;
    token->plain = 0;
    token->truth = 0;
    return token;
}

/* The innermost container is not as Python would write it. */
static void not_canonical(scan_t *scan)
{
    if (scan->open != NO_TOKEN) {
        scan->document->tokens[scan->open].canonical = 0;
    }
}

static void end_token(scan_t *scan, token_t *token)
{
    token->end = offset(scan);
    if (!token->canonical) {
        not_canonical(scan);
    }
}

static int is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static void skip_some_blanks(scan_t *scan)
{
    while (scan->at < scan->end && is_blank(*scan->at)) {
        scan->at++;
        not_canonical(scan);
    }
}

/* Mostly there are none. */
static inline void skip_blanks(scan_t *scan)
{
    if (scan->at < scan->end && *scan->at <= ' ') {
        skip_some_blanks(scan);
    }
}

/* The next character, or NUL, which is nowhere allowed, at the end. */
static char peek(const scan_t *scan)
{
    return scan->at < scan->end ? *scan->at : '\0';
}

/* ---- Scanning strings ------------------------------------------------------------------------ */

/* How a byte in a string is taken. */
enum { ORDINARY = 0, ENDING, ESCAPE, CONTROL, DELETE, BEYOND_ASCII };

#define TIMES4(x) x, x, x, x
#define TIMES16(x) TIMES4(x), TIMES4(x), TIMES4(x), TIMES4(x)
#define TIMES64(x) TIMES16(x), TIMES16(x), TIMES16(x), TIMES16(x)

static const unsigned char kinds[256] = {
    TIMES16(CONTROL), TIMES16(CONTROL),
    ['"'] = ENDING,
    ['\\'] = ESCAPE,
    [0x7f] = DELETE,
    [0x80] = TIMES64(BEYOND_ASCII), TIMES64(BEYOND_ASCII),
};

static int hex_value(char c)
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

/* The four digits behind "\u"; -1 when they are not that. */
static int hex4(const char *at, const char *end)
{
    int value = 0, i;

    if (end - at < 4) {
        return -1;
    }
    for (i = 0; i < 4; i++) {
        int digit = hex_value(at[i]);

        if (digit < 0) {
            return -1;
        }
        value = value << 4 | digit;
    }
    return value;
}

/* What stands behind a backslash for one character, and the characters; "/" is only read. */
static const char escapes[] = "\"\\nrtbf/";
static const char escaped[] = "\"\\\n\r\t\b\f/";

/* Would Python write this code unit, in these digits, as \uXXXX? */
static int is_canonical_escape(int unit, const char *digits)
{
    int i;

    if ((unit >= 0x20 && unit < 0x7f) || (unit != 0 && unit < 0x20 && strchr(escaped, unit))) {
        return 0;
    }
    for (i = 0; i < 4; i++) {
        if (digits[i] >= 'A' && digits[i] <= 'F') {
            return 0;
        }
    }
    return 1;
}

/* At a backslash. */
static apr_status_t scan_escape(scan_t *scan, token_t *token)
{
    const char *at = scan->at + 1;
    int unit;

    token->plain = 0;
    if (at == scan->end) {
        return malformed(scan, "no such escape");
    }
    if (*at != 'u') {
        if (*at == '\0' || strchr(escapes, *at) == NULL) {
            return malformed(scan, "no such escape");
        }
        token->canonical &= *at != '/';
        scan->at += 2;
        return APR_SUCCESS;
    }
    unit = hex4(at + 1, scan->end);
    if (unit < 0) {
        return malformed(scan, "no such escape");
    }
    token->canonical &= is_canonical_escape(unit, at + 1);
    scan->at += 6;
    return APR_SUCCESS;
}

static apr_status_t scan_beyond_ascii(scan_t *scan, token_t *token)
{
    djs_bytes_t rest = djs_bytes_of(scan->at, (apr_size_t)(scan->end - scan->at));
    apr_uint32_t code_point;
    int used;

    token->canonical = 0;
    if (scan->document->charset == DJS_JSON_LATIN1) {
        token->plain = 0;
        scan->at++;
        return APR_SUCCESS;
    }
    used = djs_utf8_next(rest, &code_point);
    if (used == 0 || (code_point >= 0xd800 && code_point <= 0xdfff)) {
        return malformed(scan, "no valid UTF-8");
    }
    scan->at += used;
    return APR_SUCCESS;
}

/* At the opening quotation mark. */
static apr_status_t scan_string(scan_t *scan)
{
    token_t *token = begin_token(scan, DJS_TYPE_STR);
    apr_status_t rv = APR_SUCCESS;

    token->plain = 1;
    scan->at++;
    while (rv == APR_SUCCESS) {
        const char *at = scan->at, *end = scan->end;

        while (at < end && kinds[(unsigned char)*at] == ORDINARY) {
            at++;
        }
        scan->at = at;
        if (at == end) {
            return malformed(scan, "a string does not end");
        }
        switch (kinds[(unsigned char)*at]) {
        case ENDING:
            scan->at++;
            end_token(scan, token);
            return APR_SUCCESS;
        case ESCAPE:
            rv = scan_escape(scan, token);
            break;
        case CONTROL:
            return malformed(scan, "a control character in a string");
        case DELETE:
            token->canonical = 0;
            scan->at++;
            break;
        default:
            rv = scan_beyond_ascii(scan, token);
        }
    }
    return rv;
}

/* ---- Scanning numbers and words -------------------------------------------------------------- */

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static apr_size_t skip_digits(scan_t *scan)
{
    const char *from = scan->at;

    while (scan->at < scan->end && is_digit(*scan->at)) {
        scan->at++;
    }
    return (apr_size_t)(scan->at - from);
}

/* "e5", "E-5": consumed only when it is whole, as Python does. */
static int skip_exponent(scan_t *scan)
{
    const char *from = scan->at;

    if (peek(scan) != 'e' && peek(scan) != 'E') {
        return 0;
    }
    scan->at++;
    if (peek(scan) == '+' || peek(scan) == '-') {
        scan->at++;
    }
    if (skip_digits(scan) == 0) {
        scan->at = from;
        return 0;
    }
    return 1;
}

/* Digits behind the point, which is consumed only when there are some. */
static apr_size_t skip_fraction(scan_t *scan)
{
    apr_size_t digits;

    if (peek(scan) != '.') {
        return 0;
    }
    scan->at++;
    digits = skip_digits(scan);
    if (digits == 0) {
        scan->at--;
    }
    return digits;
}

/*
 * Does Python write a float without an exponent in just these digits? Up to 15 digits belong to
 * different floats each, so what has no superfluous zero is the shortest. Longer ones may be, too;
 * they are worked out when they are written.
 */
static int is_canonical_float(const char *digits, apr_size_t whole, apr_size_t fraction)
{
    const char *point = digits + whole;
    const char *last = point + fraction;

    if (whole + fraction > 15) {
        return 0;
    }
    if (fraction == 1 && *last == '0') {
        return 1;
    }
    /* Below 0.0001 there is an exponent. */
    return *last != '0' && (digits[0] != '0' || strncmp(point, ".0000", 5) != 0);
}

static apr_status_t scan_number(scan_t *scan)
{
    const int negative = peek(scan) == '-';
    token_t *token = begin_token(scan, DJS_TYPE_INT);
    const char *digits;
    apr_size_t whole, fraction;
    int exponent;

    scan->at += negative;
    digits = scan->at;
    if (peek(scan) == '0') {
        scan->at++;
        whole = 1;
    }
    else {
        whole = skip_digits(scan);
    }
    if (whole == 0) {
        return malformed(scan, "no value");
    }
    fraction = skip_fraction(scan);
    exponent = skip_exponent(scan);
    if (fraction > 0 || exponent) {
        token->type = DJS_TYPE_FLOAT;
        token->canonical = !exponent && is_canonical_float(digits, whole, fraction);
    }
    else if (whole > DJS_INT_DIGITS_MAX) {
        return djs_fail(scan->ctx, DJS_ELIMIT, "JSON: an integer of %" APR_SIZE_T_FMT
                        " digits, allowed are %d", whole, DJS_INT_DIGITS_MAX);
    }
    else {
        token->canonical = !negative || *digits != '0';
    }
    end_token(scan, token);
    return APR_SUCCESS;
}

/* null, true, NaN, -Infinity and the like; what is none of them is a number or nothing. */
static apr_status_t scan_word(scan_t *scan)
{
    static const struct {
        const char *word;
        apr_size_t len;
        djs_type_t type;
    } words[] = {
        { "true", 4, DJS_TYPE_BOOL },      { "false", 5, DJS_TYPE_BOOL },
        { "null", 4, DJS_TYPE_NULL },      { "NaN", 3, DJS_TYPE_FLOAT },
        { "Infinity", 8, DJS_TYPE_FLOAT }, { "-Infinity", 9, DJS_TYPE_FLOAT },
    };
    const apr_size_t left = (apr_size_t)(scan->end - scan->at);
    apr_size_t i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (left >= words[i].len && memcmp(scan->at, words[i].word, words[i].len) == 0) {
            token_t *token = begin_token(scan, words[i].type);

            token->truth = *scan->at == 't';
            scan->at += words[i].len;
            end_token(scan, token);
            return APR_SUCCESS;
        }
    }
    return scan_number(scan);
}

/* ---- Scanning lists and dictionaries --------------------------------------------------------- */

/*
 * Had this dict the name already? The filter has 64 bits, so it may say so wrongly; the dict is
 * then written name by name.
 */
static void note_name(scan_t *scan, const token_t *name)
{
    const unsigned char *text = (const unsigned char *)scan->start + name->start;
    const apr_uint32_t len = name->end - name->start;
    /* The quotation marks are part of it; so even the empty name has these. */
    const apr_uint32_t some = len | (apr_uint32_t)text[1] << 8 | (apr_uint32_t)text[len / 2] << 16 |
                              (apr_uint32_t)text[len - 2] << 24;
    const apr_uint64_t bit = (apr_uint64_t)1 << (some * 0x9e3779b1u >> 26);

    if ((scan->names[scan->depth - 1] & bit) != 0) {
        not_canonical(scan);
    }
    scan->names[scan->depth - 1] |= bit;
}

/* A name and its colon, up to where the value begins. */
static apr_status_t scan_name(scan_t *scan)
{
    apr_status_t rv;

    if (peek(scan) != '"') {
        return malformed(scan, "no name of a member");
    }
    rv = scan_string(scan);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    note_name(scan, &scan->document->tokens[scan->count - 1]);
    skip_blanks(scan);
    if (peek(scan) != ':') {
        return malformed(scan, "no colon behind a name");
    }
    scan->at++;
    return APR_SUCCESS;
}

static apr_status_t open_container(scan_t *scan, djs_type_t type)
{
    if (scan->depth == DJS_JSON_DEPTH_MAX) {
        return djs_fail(scan->ctx, DJS_ELIMIT, "JSON: nested deeper than %d at byte %u",
                        DJS_JSON_DEPTH_MAX, offset(scan));
    }
    begin_token(scan, type)->next = scan->open;
    scan->open = scan->count - 1;
    scan->names[scan->depth++] = 0;
    scan->at++;
    return APR_SUCCESS;
}

static void close_container(scan_t *scan)
{
    token_t *token = &scan->document->tokens[scan->open];

    scan->open = token->next;
    token->next = scan->count;
    scan->depth--;
    scan->at++;
    end_token(scan, token);
}

/*
 * In a container, at its first item or behind one: closes what ends here, as many levels as do, or
 * goes to where the next value begins. At the end of the document the depth is 0.
 */
static apr_status_t scan_on(scan_t *scan, int first)
{
    while (scan->depth > 0) {
        const int is_dict = scan->document->tokens[scan->open].type == DJS_TYPE_DICT;

        skip_blanks(scan);
        if (peek(scan) == (is_dict ? '}' : ']')) {
            close_container(scan);
            first = 0;
            continue;
        }
        if (!first) {
            if (peek(scan) != ',') {
                return malformed(scan, "no comma behind an item");
            }
            scan->at++;
            skip_blanks(scan);
        }
        return is_dict ? scan_name(scan) : APR_SUCCESS;
    }
    return APR_SUCCESS;
}

/* A scalar, or the beginning of a container. */
static apr_status_t scan_value(scan_t *scan)
{
    switch (peek(scan)) {
    case '"':
        return scan_string(scan);
    case '{':
        return open_container(scan, DJS_TYPE_DICT);
    case '[':
        return open_container(scan, DJS_TYPE_LIST);
    default:
        return is_digit(peek(scan)) ? scan_number(scan) : scan_word(scan);
    }
}

/* One document from where it begins to where it ends. */
static apr_status_t scan_document(scan_t *scan)
{
    apr_status_t rv;

    do {
        const int depth = scan->depth;

        skip_blanks(scan);
        rv = scan_value(scan);
        if (rv == APR_SUCCESS) {
            rv = scan_on(scan, scan->depth > depth);
        }
    } while (rv == APR_SUCCESS && scan->depth > 0);
    return rv;
}

/* ---- Tokens into values ---------------------------------------------------------------------- */

static djs_bytes_t token_text(const document_t *document, const token_t *token)
{
    return djs_bytes_of(document->text.data + token->start, token->end - token->start);
}

/* The code point of an escape at the backslash, which is gone over. Halves of a pair are joined. */
static apr_uint32_t read_escape(const char **at, const char *end)
{
    const char *from = *at;
    int unit, low;

    if (from[1] != 'u') {
        *at += 2;
        return (unsigned char)escaped[strchr(escapes, from[1]) - escapes];
    }
    *at += 6;
    unit = hex4(from + 2, end);
    if (unit < 0xd800 || unit > 0xdbff || end - *at < 6 || from[6] != '\\' || from[7] != 'u') {
        return (apr_uint32_t)unit;
    }
    low = hex4(from + 8, end);
    if (low < 0xdc00 || low > 0xdfff) {
        return (apr_uint32_t)unit;
    }
    *at += 6;
    return 0x10000 + ((apr_uint32_t)(unit - 0xd800) << 10) + (apr_uint32_t)(low - 0xdc00);
}

/* A string with its escapes resolved, in UTF-8, NUL-terminated. */
static djs_bytes_t decode_string(apr_pool_t *pool, const document_t *document, djs_bytes_t inside)
{
    const int latin1 = document->charset == DJS_JSON_LATIN1;
    const char *at = inside.data, *end = inside.data + inside.len;
    char *text = apr_palloc(pool, (latin1 ? inside.len * 2 : inside.len) + 1);
    char *out = text;

    while (at < end) {
        if (*at == '\\') {
            out += djs_utf8_put(read_escape(&at, end), out);
        }
        else if (latin1) {
            out += djs_utf8_put((unsigned char)*at++, out);
        }
        else {
            *out++ = *at++;
        }
    }
    *out = '\0';
    return djs_bytes_of(text, (apr_size_t)(out - text));
}

/* Without a NUL behind when it is plain. */
static djs_bytes_t string_of(apr_pool_t *pool, const document_t *document, const token_t *token)
{
    djs_bytes_t inside = token_text(document, token);

    inside.data++;
    inside.len -= 2;
    return token->plain ? inside : decode_string(pool, document, inside);
}

static djs_bytes_t digits_of(djs_bytes_t text)
{
    return djs_bytes_is(text, "-0") ? djs_bytes("0") : text;
}

/* The number behind "e", held at where nothing but zero or infinity comes out any more. */
static long read_exponent(const char *at, const char *end)
{
    const int negative = *at == '-';
    long exponent = 0;

    for (; at < end; at++) {
        if (is_digit(*at) && exponent < 100000000) {
            exponent = exponent * 10 + (*at - '0');
        }
    }
    return negative ? -exponent : exponent;
}

/* 1.25e2 is given to strtod() as 125e0: without a decimal point no locale has a say. */
double djs_json_read_float(apr_pool_t *pool, djs_bytes_t text)
{
    const char *at = text.data, *end = text.data + text.len;
    char brief[64];
    char *copy = text.len + 24 < sizeof(brief) ? brief : apr_palloc(pool, text.len + 24);
    char *out = copy;
    long exponent = 0;
    int behind_point = 0;

    for (; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            behind_point = 1;
        }
        else {
            *out++ = *at;
            exponent -= behind_point;
        }
    }
    if (at < end) {
        exponent += read_exponent(at + 1, end);
    }
    snprintf(out, 24, "e%ld", exponent);
    return strtod(copy, NULL);
}

static double float_of(apr_pool_t *pool, djs_bytes_t text)
{
    if (text.data[0] == 'N') {
        return NAN;
    }
    if (text.data[0] == 'I') {
        return INFINITY;
    }
    if (text.len > 1 && text.data[1] == 'I') {
        return -INFINITY;
    }
    return djs_json_read_float(pool, text);
}

static djs_value_t *value_of(apr_pool_t *pool, const document_t *document, apr_uint32_t place)
{
    const token_t *token = &document->tokens[place];

    switch (token->type) {
    case DJS_TYPE_NULL:
        return djs_value_make_null(pool);
    case DJS_TYPE_BOOL:
        return djs_value_make_bool(pool, token->truth);
    default:
        return djs_value_make_lazy(pool, (djs_type_t)token->type, &document->lazy, place);
    }
}

static void fill_list(djs_value_t *list, const document_t *document, apr_uint32_t place)
{
    const token_t *tokens = document->tokens;
    apr_uint32_t i;

    for (i = place + 1; i < tokens[place].next; i = tokens[i].next) {
        djs_value_append(list, value_of(djs_value_pool(list), document, i));
    }
}

static void fill_dict(djs_value_t *dict, const document_t *document, apr_uint32_t place)
{
    const token_t *tokens = document->tokens;
    apr_pool_t *pool = djs_value_pool(dict);
    apr_uint32_t i;

    for (i = place + 1; i < tokens[place].next; i = tokens[i + 1].next) {
        djs_value_put(dict, string_of(pool, document, &tokens[i]), value_of(pool, document, i + 1));
    }
}

/* djs_lazy_t.fill */
static void fill(const djs_lazy_t *lazy, apr_uint32_t place, djs_value_t *value)
{
    const document_t *document = (const document_t *)lazy;
    const token_t *token = &document->tokens[place];
    apr_pool_t *pool = djs_value_pool(value);
    djs_bytes_t text;

    switch (token->type) {
    case DJS_TYPE_INT:
        djs_value_fill_int(value, digits_of(token_text(document, token)));
        break;
    case DJS_TYPE_FLOAT:
        djs_value_fill_float(value, float_of(pool, token_text(document, token)));
        break;
    case DJS_TYPE_STR:
        text = string_of(pool, document, token);
        djs_value_fill_str(value, token->plain ? djs_bytes_copy(pool, text) : text);
        break;
    case DJS_TYPE_LIST:
        fill_list(value, document, place);
        break;
    default:
        fill_dict(value, document, place);
    }
}

/* ---- Reading --------------------------------------------------------------------------------- */

apr_status_t djs_json_loads_prefix(djs_ctx_t *ctx, djs_json_charset_t charset, djs_bytes_t text,
                                   djs_value_t **value, apr_size_t *used)
{
    document_t *document;
    scan_t scan;
    apr_status_t rv;

    if (text.len > DJS_JSON_TEXT_MAX) {
        return djs_fail(ctx, DJS_ELIMIT, "JSON text of %" APR_SIZE_T_FMT " bytes, allowed are %d",
                        text.len, DJS_JSON_TEXT_MAX);
    }
    scan.ctx = ctx;
    scan.start = scan.at = text.data != NULL ? text.data : "";
    scan.end = scan.start + text.len;
    scan.count = 0;
    scan.size = FEW_TOKENS;
    scan.open = NO_TOKEN;
    scan.depth = 0;
    document = apr_palloc(ctx->pool, sizeof(*document));
    document->lazy.fill = fill;
    document->text = text;
    document->charset = charset;
    document->tokens = scan.few;
    scan.document = document;
    rv = scan_document(&scan);
    if (rv == APR_SUCCESS) {
        if (document->tokens == scan.few) {
            document->tokens = apr_pmemdup(ctx->pool, scan.few, scan.count * sizeof(token_t));
        }
        *value = value_of(ctx->pool, document, 0);
        *used = offset(&scan);
    }
    return rv;
}

apr_status_t djs_json_loads(djs_ctx_t *ctx, djs_json_charset_t charset, djs_bytes_t text,
                            djs_value_t **value)
{
    djs_value_t *read;
    apr_size_t used;
    apr_status_t rv = djs_json_loads_prefix(ctx, charset, text, &read, &used);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    while (used < text.len && is_blank(text.data[used])) {
        used++;
    }
    if (used < text.len) {
        return djs_fail(ctx, DJS_EFORMAT, "JSON: something behind the end at byte %" APR_SIZE_T_FMT,
                        used);
    }
    *value = read;
    return APR_SUCCESS;
}

/* ---- Floats ---------------------------------------------------------------------------------- */

/* A finite float in decimal: 0.d1d2d3... * 10^point, rounded to so many digits. */
typedef struct decimal_t {
    char digits[17 + 1];
    int count, point;
} decimal_t;

static double decimal_value(const decimal_t *decimal)
{
    char text[40];

    snprintf(text, sizeof(text), "%.*se%d", decimal->count, decimal->digits,
             decimal->point - decimal->count);
    return strtod(text, NULL);
}

/* The decimal of @a count digits that is nearest to a positive number. */
static void round_to(double number, int count, decimal_t *decimal)
{
    char text[40];
    const char *from = text;
    int i = 0;

    snprintf(text, sizeof(text), "%.*e", count - 1, number);
    for (; *from != 'e'; from++) { /* whatever stands for the decimal point */
        if (is_digit(*from)) {
            decimal->digits[i++] = *from;
        }
    }
    decimal->digits[i] = '\0';
    decimal->count = i;
    decimal->point = atoi(from + 1) + 1;
}

/* The decimal of as many digits above this one. */
static void step_up(decimal_t *decimal)
{
    int i = decimal->count - 1;

    while (i > 0 && decimal->digits[i] == '9') {
        decimal->digits[i--] = '0';
    }
    if (decimal->digits[i] < '9') {
        decimal->digits[i]++;
        return;
    }
    decimal->digits[0] = '1';
    decimal->point++;
}

/* The decimal of @a count digits that reads back as @a number, the nearest; 0 if there is none. */
static int reads_back(double number, int count, decimal_t *decimal)
{
    int exponent;

    round_to(number, count, decimal);
    if (decimal_value(decimal) == number) {
        return 1;
    }
    if (frexp(number, &exponent) != 0.5) {
        return 0;
    }
    /* Below a power of two floats lie closer together: what is too far below may fit above. */
    step_up(decimal);
    return decimal_value(decimal) == number;
}

/*
 * The shortest decimal that reads back as @a number, which is positive; of several the nearest.
 *
 * 15 digits belong to different normal floats each, so when they read back a shorter form can only
 * be the same digits without zeros at the end. Subnormal ones have fewer, from 1 on.
 */
static void shortest(double number, decimal_t *decimal)
{
    int count = isnormal(number) ? 15 : 1;

    while (!reads_back(number, count, decimal) && count < 17) {
        count++;
    }
    while (decimal->count > 1 && decimal->digits[decimal->count - 1] == '0') {
        decimal->count--;
    }
}

/* repr()'s layout: an exponent below -4 or from 16 on, else at least one digit behind the point. */
static int lay_out(const decimal_t *decimal, char *out, size_t size)
{
    const char *digits = decimal->digits;
    const int count = decimal->count, point = decimal->point;

    if (point < -3 || point > 16) {
        return snprintf(out, size, "%c%s%.*se%c%02d", digits[0], count > 1 ? "." : "", count - 1,
                        digits + 1, point > 0 ? '+' : '-', abs(point - 1));
    }
    if (point <= 0) {
        return snprintf(out, size, "0.%.*s%.*s", -point, "000", count, digits);
    }
    if (point < count) {
        return snprintf(out, size, "%.*s.%.*s", point, digits, count - point, digits + point);
    }
    return snprintf(out, size, "%.*s%.*s.0", count, digits, point - count, "000000000000000");
}

int djs_json_float_repr(double number, char *out)
{
    const int negative = signbit(number) != 0;
    decimal_t decimal = { "0", 1, 1 };

    if (isnan(number)) {
        return snprintf(out, DJS_JSON_FLOAT_SIZE, "NaN");
    }
    if (isinf(number)) {
        return snprintf(out, DJS_JSON_FLOAT_SIZE, negative ? "-Infinity" : "Infinity");
    }
    if (number != 0) {
        shortest(fabs(number), &decimal);
    }
    if (negative) {
        *out = '-';
    }
    return negative + lay_out(&decimal, out + negative, DJS_JSON_FLOAT_SIZE - 1);
}

/* ---- Writing --------------------------------------------------------------------------------- */

typedef struct writer_t {
    apr_pool_t *pool;
    char *data;
    apr_size_t len, size;
    djs_json_spacing_t spacing;
    const char *foreign; /* the first type that JSON does not have, by name, else NULL */
} writer_t;

/* Where @a len more bytes can be written. */
static char *room(writer_t *to, apr_size_t len)
{
    if (to->size - to->len < len) {
        char *larger;

        to->size = (to->len + len) * 2;
        larger = apr_palloc(to->pool, to->size);
        memcpy(larger, to->data, to->len);
        to->data = larger;
    }
    return to->data + to->len;
}

static void write_bytes(writer_t *to, djs_bytes_t bytes)
{
    if (bytes.len > 0) {
        memcpy(room(to, bytes.len), bytes.data, bytes.len);
        to->len += bytes.len;
    }
}

static void write_text(writer_t *to, const char *text)
{
    write_bytes(to, djs_bytes(text));
}

static char *put_unit(char *out, apr_uint32_t unit)
{
    static const char hex[] = "0123456789abcdef";

    out[0] = '\\';
    out[1] = 'u';
    out[2] = hex[unit >> 12 & 15];
    out[3] = hex[unit >> 8 & 15];
    out[4] = hex[unit >> 4 & 15];
    out[5] = hex[unit & 15];
    return out + 6;
}

/* A character that does not stand for itself: at most 12 bytes. */
static char *put_escape(char *out, apr_uint32_t c)
{
    const char *brief = c != 0 && c < 0x7f ? strchr(escaped, (int)c) : NULL;

    if (brief != NULL) {
        out[0] = '\\';
        out[1] = escapes[brief - escaped];
        return out + 2;
    }
    if (c < 0x10000) {
        return put_unit(out, c);
    }
    out = put_unit(out, 0xd800 + ((c - 0x10000) >> 10));
    return put_unit(out, 0xdc00 + ((c - 0x10000) & 0x3ff));
}

static void write_string(writer_t *to, djs_bytes_t text)
{
    apr_size_t i = 0;
    char *out;

    *room(to, 1) = '"';
    to->len++;
    while (i < text.len) {
        const apr_size_t from = i;
        apr_uint32_t c = 0xfffd;
        int used;

        while (i < text.len && kinds[(unsigned char)text.data[i]] == ORDINARY) {
            i++;
        }
        write_bytes(to, djs_bytes_of(text.data + from, i - from));
        if (i == text.len) {
            break;
        }
        used = djs_utf8_next(djs_bytes_of(text.data + i, text.len - i), &c);
        out = room(to, 12);
        to->len += (apr_size_t)(put_escape(out, c) - out);
        i += used > 0 ? (apr_size_t)used : 1;
    }
    *room(to, 1) = '"';
    to->len++;
}

static void write_value(writer_t *to, const djs_value_t *value);

static void write_list(writer_t *to, const djs_value_t *list)
{
    const char *comma = to->spacing == DJS_JSON_SPACED ? ", " : ",";
    const djs_value_t *item;
    apr_size_t i;

    write_text(to, "[");
    for (i = 0; (item = djs_value_at(list, i)) != NULL; i++) {
        if (i > 0) {
            write_text(to, comma);
        }
        write_value(to, item);
    }
    write_text(to, "]");
}

/* What JSON has no name for; no more than the first is told of. */
static void note_foreign(writer_t *to, const djs_value_t *value)
{
    if (to->foreign == NULL) {
        to->foreign = djs_value_type_name(value);
    }
}

/* A key that is no text, as json.dumps() writes it; those that it refuses as their values' text. */
static void write_key(writer_t *to, const djs_value_t *key)
{
    writer_t inside = { to->pool, apr_palloc(to->pool, 64), 0, 64, DJS_JSON_COMPACT, to->foreign };
    djs_bytes_t text;

    if (djs_value_type(key) > DJS_TYPE_DICT) {
        note_foreign(&inside, key);
    }
    write_value(&inside, key);
    to->foreign = inside.foreign;
    text = djs_bytes_of(inside.data, inside.len);
    if (text.len > 0 && text.data[0] == '"') {
        write_bytes(to, text);
    }
    else {
        write_string(to, text);
    }
}

static void write_name(writer_t *to, djs_bytes_t text, const djs_value_t *key)
{
    if (key == NULL) {
        write_string(to, text);
    }
    else {
        write_key(to, key);
    }
}

/* @a hidden: members whose names begin with it are left out; '\0': none. */
static void write_members(writer_t *to, const djs_value_t *dict, char hidden)
{
    const char *comma = to->spacing == DJS_JSON_SPACED ? ", " : ",";
    const char *colon = to->spacing == DJS_JSON_SPACED ? ": " : ":";
    djs_bytes_t key;
    djs_value_t *value;
    int written = 0;
    apr_size_t i;

    write_text(to, "{");
    for (i = 0; djs_value_member(dict, i, &key, &value); i++) {
        if (hidden != '\0' && key.len > 0 && key.data[0] == hidden) {
            continue;
        }
        if (written++ > 0) {
            write_text(to, comma);
        }
        /* What stands for a key of another type is no text, so it begins with no ASCII. */
        write_name(to, key, key.len > 0 && (key.data[0] & 0x80) != 0 ? djs_value_key(dict, i)
                                                                     : NULL);
        write_text(to, colon);
        write_value(to, value);
    }
    write_text(to, "}");
}

static void write_dict(writer_t *to, const djs_value_t *dict)
{
    write_members(to, dict, '\0');
}

static void write_set(writer_t *to, const djs_value_t *set)
{
    djs_bytes_t key;
    djs_value_t *item;
    apr_size_t i;

    write_text(to, "[");
    for (i = 0; djs_value_member(set, i, &key, &item); i++) {
        if (i > 0) {
            write_text(to, to->spacing == DJS_JSON_SPACED ? ", " : ",");
        }
        write_value(to, item);
    }
    write_text(to, "]");
}

static void write_foreign(writer_t *to, const djs_value_t *value)
{
    note_foreign(to, value);
    switch (djs_value_type(value)) {
    case DJS_TYPE_SET:
    case DJS_TYPE_FROZENSET:
        write_set(to, value);
        break;
    case DJS_TYPE_TIMEDELTA:
        write_bytes(to, djs_value_as_text(to->pool, value));
        break;
    default:
        write_string(to, djs_value_as_text(to->pool, value));
    }
}

/* 1 and its text when nobody has looked into it and Python would write just that. */
static int is_canonical(const djs_value_t *value, djs_json_spacing_t spacing, djs_bytes_t *text)
{
    apr_uint32_t place;
    const document_t *document = (const document_t *)djs_value_lazy(value, &place);
    const token_t *token;

    if (document == NULL || document->lazy.fill != fill) {
        return 0;
    }
    token = &document->tokens[place];
    *text = token_text(document, token);
    return token->canonical && (spacing == DJS_JSON_COMPACT || token->type < DJS_TYPE_LIST);
}

static void write_value(writer_t *to, const djs_value_t *value)
{
    char number[DJS_JSON_FLOAT_SIZE];
    djs_bytes_t text;

    if (is_canonical(value, to->spacing, &text)) {
        write_bytes(to, text);
        return;
    }
    switch (djs_value_type(value)) {
    case DJS_TYPE_NULL:
        write_text(to, "null");
        break;
    case DJS_TYPE_BOOL:
        write_text(to, djs_value_bool(value) ? "true" : "false");
        break;
    case DJS_TYPE_INT:
        write_bytes(to, djs_value_int_digits(value, to->pool));
        break;
    case DJS_TYPE_FLOAT:
        djs_json_float_repr(djs_value_float(value), number);
        write_text(to, number);
        break;
    case DJS_TYPE_STR:
        write_string(to, djs_value_str(value));
        break;
    case DJS_TYPE_LIST:
        write_list(to, value);
        break;
    case DJS_TYPE_DICT:
        write_dict(to, value);
        break;
    case DJS_TYPE_TUPLE:
        write_list(to, value);
        break;
    default:
        write_foreign(to, value);
    }
}

/* With a NUL behind. */
static djs_bytes_t written(writer_t *to)
{
    *room(to, 1) = '\0';
    return djs_bytes_of(to->data, to->len);
}

djs_bytes_t djs_json_dumps(djs_ctx_t *ctx, djs_json_spacing_t spacing, const djs_value_t *value)
{
    writer_t to = { ctx->pool, apr_palloc(ctx->pool, 1024), 0, 1024, spacing, NULL };

    write_value(&to, value);
    return written(&to);
}

apr_status_t djs_json_dumps_exactly(djs_ctx_t *ctx, const djs_value_t *value, djs_bytes_t *text)
{
    writer_t to = { ctx->pool, apr_palloc(ctx->pool, 1024), 0, 1024, DJS_JSON_COMPACT, NULL };

    write_value(&to, value);
    if (to.foreign != NULL) {
        return djs_fail(ctx, DJS_EUNSUPPORTED, "a value of type %s, which JSON cannot keep: only "
                        "Python's pickles can", to.foreign);
    }
    *text = written(&to);
    return APR_SUCCESS;
}

djs_bytes_t djs_json_dumps_without(djs_ctx_t *ctx, const djs_value_t *dict, char hidden)
{
    writer_t to = { ctx->pool, apr_palloc(ctx->pool, 1024), 0, 1024, DJS_JSON_COMPACT, NULL };

    write_members(&to, dict, hidden);
    return written(&to);
}
