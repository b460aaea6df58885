/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node of the tree of values is made of: for the files that implement value.h, nobody else.
 */
#ifndef DJS_VALUE_IMPL_H
#define DJS_VALUE_IMPL_H

#include "value.h"

typedef struct member_t {
    djs_bytes_t key;
    djs_value_t *value; /* NULL: deleted */
} member_t;

typedef struct index_t index_t; /* value.c's */

struct djs_value_t {
    apr_pool_t *pool;
    const djs_lazy_t *lazy; /* NULL: the union is filled in */
    apr_uint32_t place;     /* in lazy */
    djs_type_t type;
    union {
        int truth;
        struct {
            apr_int64_t number; /* when it fits */
            int fits;
            djs_bytes_t digits; /* data NULL: not made yet */
        } integer;
        double number;
        djs_bytes_t text;
        struct {
            djs_value_t **items;
            apr_uint32_t count, size;
        } list;
        struct {
            member_t *members;
            index_t *index;                /* NULL: none, or out of date */
            apr_uint32_t count, size;      /* deleted ones included */
            apr_uint32_t deleted;
        } dict;
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

#endif
