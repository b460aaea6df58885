/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain pickles: checked in one pass (pickle_scan.c), and made into values when somebody asks for them
 * (pickle_fill.c).
 *
 * Nearly every session is of None, bools, numbers, texts, bytes, lists, tuples, dicts, dates and
 * Decimals, for which Python writes few instructions: those of djs_pr_instructions. Over these runs the
 * machine of pickle_read.c, with items, which are numbers, in the places of values:
 *
 *     item    of what is short (scalars, short texts, the empty tuple) where its instruction is in the
 *             pickle; of all else the number of a token
 *     token   where its instruction is; its size and depth, in a note as the reader's, which of what is
 *             short are 1 and 0; its rows
 *     row     what came into it by one instruction: the next row, how many items, and these (in a dict
 *             keys and values; of a date and the like the class and its arguments)
 *
 * What the reader checks is checked, so that nothing can fail any more when nodes are made of items, one
 * level at a time; dates and the like are made for a trial. Whatever else there is, the scan gives up,
 * and the reader begins anew: other instructions, what is wrong, and what is only odd. So it alone
 * judges, and tells what is wrong.
 *
 * What the memo gives back is shared: it has one node, which is kept for whoever asks next. It takes no
 * more items, so no cycle can be made here either. What is short gets a token only then; where it stood
 * first is found among those that were recalled.
 */
#ifndef DJS_PICKLE_SCAN_IMPL_H
#define DJS_PICKLE_SCAN_IMPL_H

#include "pickle_read_impl.h"

/** Bytes of an integer that fits 64 bits. */
#define INT64_BYTES 8

/** An item that is a token, not a place in the pickle. */
#define TOKEN 0x80000000u

/** Something short that the memo gave back: where it is, and its token. */
#define RECALLED(start, token) ((apr_uint64_t)(start) << 32 | (token))
#define RECALLED_START(recalled) ((apr_uint32_t)((recalled) >> 32))
#define RECALLED_TOKEN(recalled) ((apr_uint32_t)(recalled))

typedef struct token_t {
    apr_uint32_t start; /* of its instruction */
    apr_uint32_t note;  /* CLOSED: shared; depth; size; of a class NOT_A_VALUE and which */
    apr_uint32_t first; /* its first row; 0: it has no items */
    apr_uint32_t last;  /* its last row; of what is shared its number among these */
} token_t;

typedef enum what_t {
    OTHER, /* the reader's */
    FIXED, COUNTED, EMPTY,
    MARK, EXTEND, INSERT, TUPLE_TO_MARK, SMALL_TUPLE,
    GLOBAL, STACK_GLOBAL, REDUCE,
    PUT, MEMOIZE, GET, PROTO, FRAME, STOP
} what_t;

typedef struct instruction_t {
    unsigned char what;  /* what_t */
    unsigned char width; /* bytes of its argument; COUNTED: of the length of what is behind */
    unsigned short type; /* djs_type_t of what it makes or takes */
} instruction_t;

/** One of these for each byte. */
extern const instruction_t djs_pr_instructions[256];

static inline const instruction_t *instruction_at(const char *at)
{
    return &djs_pr_instructions[(unsigned char)*at];
}

/* COUNTED: the bytes behind the length. */
static inline djs_bytes_t bytes_at(const char *at)
{
    const int width = instruction_at(at)->width;

    return djs_bytes_of(at + 1 + width, (apr_size_t)little_endian(at + 1, width));
}

/** REDUCE makes all of these: dates, times, timedeltas, timezones, Decimals. */
#define CALLED_TYPE DJS_TYPE_DATETIME

/** What the scan leaves; items and tokens refer to the pickle. */
typedef struct document_t {
    djs_lazy_t lazy; /* first: djs_value_t knows only this part */
    const char *pickle;
    token_t *tokens;
    apr_uint32_t *rows;
    apr_uint64_t *recalled;
    apr_uint32_t recalled_count, recalled_from, recalled_to; /* first and last place */
    int is_ordered; /* recalled */
    djs_value_t **shared; /* NULL: nobody has asked for it yet */
} document_t;

/** djs_lazy_t.fill: the place is an item. */
void djs_pr_fill(const djs_lazy_t *lazy, apr_uint32_t place, djs_value_t *value);

/** The value of an item, made now or earlier; what is in it and what is long are not made yet. */
djs_value_t *djs_pr_value_of(const document_t *document, apr_pool_t *pool, apr_uint32_t item);

/** As djs_pr_call(), of the class and the tuple of arguments in a row. */
djs_value_t *djs_pr_make_called(const document_t *document, apr_pool_t *pool, apr_uint32_t row,
                                apr_size_t *work);

#endif
