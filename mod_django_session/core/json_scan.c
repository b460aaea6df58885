/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON into tokens: Python's grammar.
 *
 * It is RFC 8259's, and beside it: the numbers NaN, Infinity, -Infinity; strings may have U+007F
 * and escapes of lone surrogates.
 */
#include "json_impl.h"
#include "encode.h"

#include <string.h>

#define NO_TOKEN 0xffffffffu

/* A token takes a byte of the text at least: the pieces hold as many as there can be. */
typedef char pieces_suffice[(DJS_TOKENS_FIRST << DJS_TOKEN_PIECES) - DJS_TOKENS_FIRST
                            >= DJS_JSON_TEXT_MAX ? 1 : -1];

/* ---- Tokens ---------------------------------------------------------------------------------- */

typedef struct scan_t {
    djs_ctx_t *ctx;
    djs_document_t *document;
    const char *start, *at, *end;
    apr_uint32_t count, size; /* of the tokens; how many the pieces hold */
    int pieces;
    djs_token_t *free;        /* where the next one goes, unless the pieces are full */
    apr_uint32_t open;        /* the innermost container, or NO_TOKEN */
    djs_token_t *container;   /* the same, or NULL */
    int depth;
    apr_uint64_t names[DJS_JSON_DEPTH_MAX]; /* of each open dict: a filter of the names so far */
    djs_token_t few[DJS_TOKENS_FIRST]; /* the first piece, until it is known how much of it is used */
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

static void add_piece(scan_t *scan)
{
    const apr_uint32_t more = DJS_TOKENS_FIRST << scan->pieces;

    scan->free = apr_palloc(scan->ctx->pool, more * sizeof(djs_token_t));
    scan->document->pieces[scan->pieces++] = scan->free;
    scan->size += more;
}

/* A new token that begins here. */
static djs_token_t *begin_token(scan_t *scan, djs_type_t type)
{
    djs_token_t *token;

    if (scan->count == scan->size) {
        add_piece(scan);
    }
    token = scan->free++;
    scan->count++;
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
    if (scan->container != NULL) {
        scan->container->canonical = 0;
    }
}

static void end_token(scan_t *scan, djs_token_t *token)
{
    token->end = offset(scan);
    if (!token->canonical) {
        not_canonical(scan);
    }
}

static void skip_some_blanks(scan_t *scan)
{
    while (scan->at < scan->end && djs_json_is_blank(*scan->at)) {
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

#define TIMES4(x) x, x, x, x
#define TIMES16(x) TIMES4(x), TIMES4(x), TIMES4(x), TIMES4(x)
#define TIMES64(x) TIMES16(x), TIMES16(x), TIMES16(x), TIMES16(x)

const unsigned char djs_json_kinds[256] = {
    TIMES16(CONTROL), TIMES16(CONTROL),
    ['"'] = ENDING,
    ['\\'] = ESCAPE,
    [0x7f] = DELETE,
    [0x80] = TIMES64(BEYOND_ASCII), TIMES64(BEYOND_ASCII),
};

int djs_json_hex4(const char *at, const char *end)
{
    int value = 0, i;

    if (end - at < 4) {
        return -1;
    }
    for (i = 0; i < 4; i++) {
        int digit = djs_hex_digit(at[i]);

        if (digit < 0) {
            return -1;
        }
        value = value << 4 | digit;
    }
    return value;
}

const char djs_json_escapes[] = "\"\\nrtbf/";
const char djs_json_escaped[] = "\"\\\n\r\t\b\f/";

/* Would Python write this code unit, in these digits, as \uXXXX? */
static int is_canonical_escape(int unit, const char *digits)
{
    int i;

    if ((unit >= 0x20 && unit < 0x7f)
        || (unit != 0 && unit < 0x20 && strchr(djs_json_escaped, unit))) {
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
static apr_status_t scan_escape(scan_t *scan, djs_token_t *token)
{
    const char *at = scan->at + 1;
    int unit;

    token->plain = 0;
    if (at == scan->end) {
        return malformed(scan, "no such escape");
    }
    if (*at != 'u') {
        if (*at == '\0' || strchr(djs_json_escapes, *at) == NULL) {
            return malformed(scan, "no such escape");
        }
        token->canonical &= *at != '/';
        scan->at += 2;
        return APR_SUCCESS;
    }
    unit = djs_json_hex4(at + 1, scan->end);
    if (unit < 0) {
        return malformed(scan, "no such escape");
    }
    token->canonical &= is_canonical_escape(unit, at + 1);
    scan->at += 6;
    return APR_SUCCESS;
}

static apr_status_t scan_beyond_ascii(scan_t *scan, djs_token_t *token)
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
    djs_token_t *token = begin_token(scan, DJS_TYPE_STR);
    apr_status_t rv = APR_SUCCESS;

    token->plain = 1;
    scan->at++;
    while (rv == APR_SUCCESS) {
        const char *at = scan->at, *end = scan->end;

        while (at < end && djs_json_kinds[(unsigned char)*at] == ORDINARY) {
            at++;
        }
        scan->at = at;
        if (at == end) {
            return malformed(scan, "a string does not end");
        }
        switch (djs_json_kinds[(unsigned char)*at]) {
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

static apr_size_t skip_digits(scan_t *scan)
{
    const char *from = scan->at;

    while (scan->at < scan->end && djs_json_is_digit(*scan->at)) {
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
    djs_token_t *token = begin_token(scan, DJS_TYPE_INT);
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
            djs_token_t *token = begin_token(scan, words[i].type);

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
static void note_name(scan_t *scan, const djs_token_t *name)
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
    note_name(scan, scan->free - 1);
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
    scan->container = begin_token(scan, type);
    scan->container->next = scan->open;
    scan->open = scan->count - 1;
    scan->names[scan->depth++] = 0;
    scan->at++;
    return APR_SUCCESS;
}

static void close_container(scan_t *scan)
{
    djs_token_t *token = scan->container;

    scan->open = token->next;
    scan->container = scan->open != NO_TOKEN ? djs_json_token(scan->document, scan->open) : NULL;
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
        const int is_dict = scan->container->type == DJS_TYPE_DICT;

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
        return djs_json_is_digit(peek(scan)) ? scan_number(scan) : scan_word(scan);
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

/* The first piece was this scan's, on the stack. */
static void keep_few(scan_t *scan)
{
    const apr_uint32_t count = scan->count < DJS_TOKENS_FIRST ? scan->count : DJS_TOKENS_FIRST;

    scan->document->pieces[0] = apr_pmemdup(scan->ctx->pool, scan->few,
                                            count * sizeof(djs_token_t));
}

apr_status_t djs_json_scan(djs_ctx_t *ctx, djs_document_t *document, apr_size_t *used)
{
    scan_t scan;
    apr_status_t rv;

    scan.ctx = ctx;
    scan.document = document;
    scan.start = scan.at = document->text.data != NULL ? document->text.data : "";
    scan.end = scan.start + document->text.len;
    scan.count = 0;
    scan.size = DJS_TOKENS_FIRST;
    scan.pieces = 1;
    scan.free = document->pieces[0] = scan.few;
    scan.open = NO_TOKEN;
    scan.container = NULL;
    scan.depth = 0;
    rv = scan_document(&scan);
    if (rv == APR_SUCCESS) {
        keep_few(&scan);
    }
    *used = offset(&scan);
    return rv;
}
