/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine that reads pickles (pickle_read.c), for its instructions: those that make scalars, text
 * and bytes (pickle_scalars.c), and those that call something by its name (pickle_calls.c); and what
 * it shares with the scan of plain ones (pickle_scan.c).
 */
#ifndef DJS_PICKLE_READ_IMPL_H
#define DJS_PICKLE_READ_IMPL_H

#include "pickle.h"
#include "value_impl.h"

#include <string.h>

/** Bytes of a text or the like that count as one value more. */
#define BYTES_A_VALUE 32

/* A note: NOT_A_VALUE and which, or CLOSED, depth, size. */
#define NOT_A_VALUE 0x80000000u
#define CLOSED      0x40000000u
#define DEPTH_SHIFT 20
#define DEPTH_MASK  0x3ffu
#define SIZE_MASK   0xfffffu

static inline apr_uint32_t depth_in(apr_uint32_t note)
{
    return note >> DEPTH_SHIFT & DEPTH_MASK;
}

/* Of a new value of so many bytes. */
static inline apr_uint32_t note_of(apr_size_t len)
{
    const apr_size_t size = 1 + len / BYTES_A_VALUE;

    return size < SIZE_MASK ? (apr_uint32_t)size : SIZE_MASK;
}

/* Copies and hashes made of what may be shared, for a pickle of so many bytes. */
static inline apr_size_t work_max_of(apr_size_t len)
{
    return 2 * len + 1024;
}

static inline apr_uint64_t little_endian(const char *at, int width)
{
    apr_uint64_t number = 0;

    while (width > 0) {
        number = number << 8 | (unsigned char)at[--width];
    }
    return number;
}

/* BINFLOAT's argument */
static inline double big_endian_float(const char *at)
{
    apr_uint64_t bits = 0;
    double number;
    int i;

    for (i = 0; i < 8; i++) {
        bits = bits << 8 | (unsigned char)at[i];
    }
    memcpy(&number, &bits, sizeof(number));
    return number;
}

/**
 * A plain pickle's value, of which nothing is made before somebody looks into it; @a pickle is
 * borrowed. NULL: djs_pr_read() has to look at it. Takes no more from ctx->pool then.
 */
djs_value_t *djs_pr_scan(djs_ctx_t *ctx, djs_bytes_t pickle);

/** djs_pickle_loads() by the machine below: all values are made at once. */
apr_status_t djs_pr_read(djs_ctx_t *ctx, djs_bytes_t pickle, djs_value_t **value) DJS_MUST_CHECK;

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
    apr_size_t work, work_max; /* work_max_of() */
    djs_value_t *result;       /* set by STOP */
    /* Where they begin. */
    djs_value_t *few_on_stack[FEW_VALUES], *few_in_memo[FEW_VALUES];
    apr_uint32_t few_marks[FEW_MARKS];
} reader_t;

/* ---- the machine ---- */

/** At the beginning of a pickle, with nothing on the stack. */
void djs_pr_begin(reader_t *reader, djs_ctx_t *ctx, djs_bytes_t pickle);

/** GLOBAL_COUNT: none that is known. */
global_t djs_pr_find_global(djs_bytes_t module, djs_bytes_t name);

/**
 * What REDUCE makes of a callable that has a reducer, and a tuple with notes on all that is in it; with
 * its own note. NULL: not these arguments. To @a work is added what djs_pr_work() was told.
 */
djs_value_t *djs_pr_call(apr_pool_t *pool, global_t global, djs_value_t *args, apr_size_t *work);

/** What an instruction returns when something is not as it must be; the problem has the offset. */
apr_status_t djs_pr_fail(reader_t *reader, apr_status_t status, const char *what);
apr_status_t djs_pr_malformed(reader_t *reader, const char *what);
apr_status_t djs_pr_cut_off(reader_t *reader);
apr_status_t djs_pr_unknown_global(reader_t *reader, djs_bytes_t module, djs_bytes_t name);

/** For what is needed while reading only. */
apr_pool_t *djs_pr_scratch(reader_t *reader);

/** Twice the room for an array that is full. */
void *djs_pr_grown(reader_t *reader, const void *array, apr_uint32_t *size, apr_size_t item);

/** A text up to the end of its line. */
apr_status_t djs_pr_take_line(reader_t *reader, djs_bytes_t *line);

/** Put @a item into @a parent as far as sizes are concerned, and close it. */
apr_status_t djs_pr_adopt(reader_t *reader, djs_value_t *parent, djs_value_t *item);

/** Work that a pickle may ask for again and again by referring to the same thing. */
apr_status_t djs_pr_work(reader_t *reader, apr_size_t amount);

djs_value_t *djs_pr_make_container(reader_t *reader, djs_type_t type);
apr_status_t djs_pr_add_item(reader_t *reader, djs_value_t *set, djs_value_t *item);

/* ---- arguments, the stack, notes ---- */

static inline apr_status_t take(reader_t *reader, apr_uint64_t len, djs_bytes_t *bytes)
{
    *bytes = djs_bytes_of(reader->at, (apr_size_t)len);
    if (len > (apr_uint64_t)(reader->end - reader->at)) {
        return djs_pr_cut_off(reader);
    }
    reader->at += len;
    return APR_SUCCESS;
}

/* A number of @a width bytes, little-endian. */
static inline apr_status_t take_number(reader_t *reader, int width, apr_uint64_t *number)
{
    *number = 0;
    if (width > reader->end - reader->at) {
        return djs_pr_cut_off(reader);
    }
    *number = little_endian(reader->at, width);
    reader->at += width;
    return APR_SUCCESS;
}

/* Bytes behind their length, of which @a width bytes tell. */
static inline apr_status_t take_counted(reader_t *reader, int width, djs_bytes_t *bytes)
{
    apr_uint64_t len;
    apr_status_t rv = take_number(reader, width, &len);

    return rv == APR_SUCCESS ? take(reader, len, bytes) : rv;
}

static inline void push(reader_t *reader, djs_value_t *value)
{
    if (reader->count == reader->size) {
        reader->stack = djs_pr_grown(reader, reader->stack, &reader->size, sizeof(*reader->stack));
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
    return above_mark(reader) < count ? djs_pr_malformed(reader, "too little on the stack")
                                      : APR_SUCCESS;
}

static inline apr_uint32_t size_of(const djs_value_t *value)
{
    return value->place & SIZE_MASK;
}

static inline int is_value(const djs_value_t *value)
{
    return (value->place & NOT_A_VALUE) == 0;
}

static inline int is_global(const djs_value_t *value, global_t which)
{
    return value->place == (NOT_A_VALUE | which);
}

static inline djs_value_t *not_a_value(djs_value_t *node, global_t which)
{
    node->place = NOT_A_VALUE | which;
    return node;
}

/* A new value of so many bytes. */
static inline djs_value_t *sized(djs_value_t *value, apr_size_t len)
{
    value->place = note_of(len);
    return value;
}

static inline apr_status_t push_sized(reader_t *reader, djs_value_t *value, apr_size_t len)
{
    push(reader, sized(value, len));
    return APR_SUCCESS;
}

static inline int is_of(const djs_value_t *value, djs_type_t type)
{
    return value != NULL && is_value(value) && djs_value_type(value) == type;
}

/* ---- instructions ---- */

typedef apr_status_t operation_t(reader_t *reader, unsigned char code);

/* pickle_scalars.c */
operation_t djs_pr_do_none, djs_pr_do_bool, djs_pr_do_binint, djs_pr_do_long,
    djs_pr_do_int, djs_pr_do_long_text, djs_pr_do_binfloat, djs_pr_do_float,
    djs_pr_do_binunicode, djs_pr_do_binstring, djs_pr_do_string,
    djs_pr_do_unicode, djs_pr_do_binbytes;

/* pickle_calls.c */
operation_t djs_pr_do_global, djs_pr_do_stack_global, djs_pr_do_reduce,
    djs_pr_do_newobj, djs_pr_do_build;

#endif
