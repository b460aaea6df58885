/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as JSON, exactly as Python's json module writes and reads it.
 *
 * Written: ASCII, no spaces, every character outside U+0020..U+007E as \uXXXX in lower case, astral
 * ones as surrogate pairs, "/" as it is, floats by Python's repr, NaN and Infinity by name.
 * Read: Python's grammar (NaN, Infinity, -Infinity; no control characters in strings; the last of
 * equal names wins at the first one's place), over bytes taken as latin-1 (Django's signing) or as
 * UTF-8 (everything that people and applications send).
 */
#ifndef DJS_JSON_H
#define DJS_JSON_H

#include "value.h"

/** Nesting that is read; Python's own limit is a little below 1,000. */
#define DJS_JSON_DEPTH_MAX 900
/** Longest text that is read, bytes. */
#define DJS_JSON_TEXT_MAX (16 * 1024 * 1024)
/**
 * Bytes of memory that reading a text and looking into all of it takes for each of its bytes, at most,
 * beside a fixed amount.
 */
#define DJS_JSON_MEMORY_FACTOR 128
#define DJS_JSON_MEMORY_BASE (64 * 1024)

typedef enum djs_json_charset_t { DJS_JSON_LATIN1, DJS_JSON_UTF8 } djs_json_charset_t;

/**
 * Read one JSON document, surrounded by nothing but white space.
 *
 * The whole text is checked now, in one pass; nodes are made when asked for. @a text must live as
 * long as ctx->pool. Time and memory grow with the length of the text and nothing else: deep
 * nesting, many members and equal names included. The recursion of what walks a value is bounded
 * by DJS_JSON_DEPTH_MAX.
 *
 * @return APR_SUCCESS
 *         DJS_EFORMAT  not JSON as Python reads it; the problem tells the offset, not the content
 *         DJS_ELIMIT   too long, too deep, or an integer of more than DJS_INT_DIGITS_MAX digits
 */
apr_status_t djs_json_loads(djs_ctx_t *ctx, djs_json_charset_t charset, djs_bytes_t text,
                            djs_value_t **value) DJS_MUST_CHECK;

/**
 * Read the first of several documents, as json.JSONDecoder.raw_decode after white space. @a used
 * is where it ended. Same outcomes.
 */
apr_status_t djs_json_loads_prefix(djs_ctx_t *ctx, djs_json_charset_t charset, djs_bytes_t text,
                                   djs_value_t **value, apr_size_t *used) DJS_MUST_CHECK;

typedef enum djs_json_spacing_t {
    DJS_JSON_COMPACT, /* separators "," and ":" */
    DJS_JSON_SPACED   /* separators ", " and ": ", json.dumps' default */
} djs_json_spacing_t;

/**
 * Write for applications and people; in ctx->pool, NUL-terminated. What nobody has looked into and
 * is already as Python writes it is copied as text.
 *
 * Tuples, sets and frozensets become arrays, timedeltas numbers of seconds, and the other types that
 * JSON lacks djs_value_as_text(). Keys that are no text are written as Python's json does it; those
 * that it refuses as the text of their value.
 */
djs_bytes_t djs_json_dumps(djs_ctx_t *ctx, djs_json_spacing_t spacing, const djs_value_t *value);

/**
 * Write to be stored: compact, and as Django's JSONSerializer, which turns tuples into lists and
 * keys that are numbers into text, but knows nothing of the other types.
 *
 * @return DJS_EUNSUPPORTED: there is one of those; the problem has its name
 */
apr_status_t djs_json_dumps_exactly(djs_ctx_t *ctx, const djs_value_t *value, djs_bytes_t *text)
    DJS_MUST_CHECK;

/** The same for a dict, compact, without the members whose names begin with @a hidden. */
djs_bytes_t djs_json_dumps_without(djs_ctx_t *ctx, const djs_value_t *dict, char hidden);

/**
 * The float nearest to a number in JSON's grammar (leading zeros, and no digits on one side of the
 * point, do no harm), whatever the locale. Takes from @a pool when it is long.
 */
double djs_json_read_float(apr_pool_t *pool, djs_bytes_t text);

/** Room for djs_json_float_repr(). */
#define DJS_JSON_FLOAT_SIZE 32

/**
 * float as json.dumps() writes it: shortest digits that read back equal, whatever the locale; NaN,
 * Infinity, -Infinity. @a out holds DJS_JSON_FLOAT_SIZE bytes. Gives the length.
 */
int djs_json_float_repr(double number, char *out);

#endif
