/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What reading and writing JSON share: tokens.
 *
 * Scanning is one pass over the text. It checks everything and leaves one token per value and name,
 * in the order of the text:
 *
 *     {"a": [1, 2], "b": "x"}      tokens  0 dict  1 "a"  2 list  3 1  4 2  5 "b"  6 "x"
 *
 * A token says where its text lies and which token comes behind everything inside it. So nodes are
 * made of tokens one level at a time, and no text is scanned twice. A token also says whether its
 * text is already exactly what Python would write ("canonical"): writing then copies it.
 */
#ifndef DJS_JSON_IMPL_H
#define DJS_JSON_IMPL_H

#include "json.h"

typedef struct djs_token_t {
    apr_uint32_t start, end; /* of the text */
    apr_uint32_t next;       /* the token behind this one and all inside; while a container is
                                being scanned the container around it */
    unsigned char type;      /* djs_type_t */
    unsigned char canonical;
    unsigned char plain;     /* a string without escapes, in UTF-8 */
    unsigned char truth;     /* true */
} djs_token_t;

/*
 * Tokens lie in pieces, each twice as long as the one before, so that none is ever moved and memory is
 * touched once. The first piece has 128; all of them have more than the longest text can need.
 */
#define DJS_TOKENS_FIRST_BITS 7
#define DJS_TOKENS_FIRST (1u << DJS_TOKENS_FIRST_BITS)
#define DJS_TOKEN_PIECES 18

typedef struct djs_document_t {
    djs_lazy_t lazy; /* first: djs_value_t knows only this part */
    djs_bytes_t text;
    djs_json_charset_t charset;
    djs_token_t *pieces[DJS_TOKEN_PIECES]; /* as many as are needed */
} djs_document_t;

/** One of a document's tokens. */
static inline djs_token_t *djs_json_token(const djs_document_t *document, apr_uint32_t place)
{
    /* Counted so, piece i begins with 128 << i: the highest bit says which it is. */
    const apr_uint32_t at = place + DJS_TOKENS_FIRST;
    const int highest = 31 - __builtin_clz(at);

    return &document->pieces[highest - DJS_TOKENS_FIRST_BITS][at - (1u << highest)];
}

/* How a byte in a string is taken. */
enum { ORDINARY = 0, ENDING, ESCAPE, CONTROL, DELETE, BEYOND_ASCII };

/** One of these for each byte. */
extern const unsigned char djs_json_kinds[256];

/** What stands behind a backslash for one character, and the characters; "/" is only read. */
extern const char djs_json_escapes[], djs_json_escaped[];

static inline int djs_json_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline int djs_json_is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/** The four digits behind "\u"; -1 when they are not that. */
int djs_json_hex4(const char *at, const char *end);

/**
 * Scan the first value of @a document's text, white space before it gone over, and give the
 * document its tokens, in ctx->pool. @a used is where the value ended. Outcomes as of
 * djs_json_loads().
 */
apr_status_t djs_json_scan(djs_ctx_t *ctx, djs_document_t *document, apr_size_t *used)
    DJS_MUST_CHECK;

/** 1 and its text when nobody has looked into @a value and Python would write just that. */
int djs_json_is_canonical(const djs_value_t *value, djs_json_spacing_t spacing, djs_bytes_t *text);

#endif
