/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node of the tree of values is made of: for the files that implement value.h, and
 * for pickle_read.c, which leaves notes on nodes and touches each one several times.
 */
#ifndef DJS_VALUE_IMPL_H
#define DJS_VALUE_IMPL_H

#include "value.h"

#include <float.h>

/** Room for any float that is a whole number, printed in full. */
#define DJS_VALUE_WHOLE_SIZE (DBL_MAX_10_EXP + 8)

typedef struct member_t {
    djs_bytes_t key;    /* text, or what djs_value_hash() gives */
    djs_value_t *value; /* NULL: deleted */
    djs_value_t *name;  /* the key when it is no text, else NULL */
} member_t;

typedef struct index_t index_t; /* value.c's */

struct djs_value_t {
    apr_pool_t *pool;
    const djs_lazy_t *lazy; /* NULL: the union is filled in */
    apr_uint32_t place;     /* in lazy; else a note of its reader, at first 0 */
    djs_type_t type;
    union {
        int truth;
        struct {
            apr_int64_t number; /* when it fits */
            int fits;
            djs_bytes_t digits; /* data NULL: not made yet */
        } integer;
        double number;
        djs_bytes_t text; /* STR, BYTES, BYTEARRAY, DECIMAL */
        struct {
            apr_time_t local;
            djs_value_t *zone; /* NULL: naive */
            int fold;
        } time; /* DATETIME, DATE, TIME */
        djs_span_t span;
        struct {
            apr_interval_time_t offset;
            djs_value_t *name;
            djs_timezone_t kind;
        } zone;
        struct {
            unsigned char bytes[16];
            djs_uuid_safety_t safety;
        } uuid;
        struct {
            djs_value_t **items;
            apr_uint32_t count, size;
        } list; /* LIST, TUPLE */
        struct {
            member_t *members;
            index_t *index;                /* NULL: none, or out of date */
            apr_uint32_t count, size;      /* deleted ones included */
            apr_uint32_t deleted;
        } dict; /* DICT, SET, FROZENSET */
    } as;
};

static inline djs_value_t *djs_value_make(apr_pool_t *pool, djs_type_t type)
{
    djs_value_t *value = apr_pcalloc(pool, sizeof(*value));

    value->pool = pool;
    value->type = type;
    return value;
}

/* Reading a value may fill it in, which changes nothing that a caller can see. */
static inline djs_value_t *djs_value_look_into(const djs_value_t *value)
{
    djs_value_t *self = (djs_value_t *)value;
    const djs_lazy_t *lazy = self->lazy;

    if (lazy != NULL) {
        self->lazy = NULL;
        lazy->fill(lazy, self->place, self);
    }
    return self;
}

/**
 * A key's bytes, the same for all keys that are equal in Python: a STR's text; else bytes that are no
 * UTF-8, in @a pool. 0: it has no hash.
 */
int djs_value_hash(apr_pool_t *pool, const djs_value_t *key, djs_bytes_t *bytes);

/** a == b for the types beyond JSON's that are no containers, and DECIMAL with any number. */
int djs_value_scalars_equal(const djs_value_t *a, const djs_value_t *b);

#endif
