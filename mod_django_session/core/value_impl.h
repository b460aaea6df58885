/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What value.c and json.c share and nobody else sees: a node, and how one that is still text is
 * turned into a tree.
 *
 * A node that came from JSON keeps its text (span). While it is `lazy`, the text is all there is.
 * Text that is already as Python would write it is `canonical` and is copied when written; only
 * lazy nodes and scalars use it, because what a tree was made of may have been changed since.
 */
#ifndef DJS_VALUE_IMPL_H
#define DJS_VALUE_IMPL_H

#include "json.h"

typedef struct djs_member_t {
    djs_bytes_t key;
    djs_value_t *value; /* NULL: deleted, to be squeezed out */
} djs_member_t;

/** From how many members on a dict has an index. */
#define DJS_DICT_INDEX_MIN 9

typedef struct djs_dict_t {
    djs_member_t *members;
    apr_size_t used, room; /* of members, deleted ones included */
    apr_size_t holes;      /* deleted members */
    apr_uint32_t *slots;   /* NULL, or the index: member number + 1, 0 for an empty slot */
    apr_size_t slot_count; /* a power of two */
    apr_uint64_t seed[2];  /* of the index; a client cannot know it and so not make keys collide */
} djs_dict_t;

typedef struct djs_items_t {
    djs_value_t **items;
    apr_size_t used, room;
} djs_items_t;

struct djs_value_t {
    apr_pool_t *pool;
    djs_bytes_t span;        /* JSON text, or empty */
    unsigned char type;      /* djs_type_t */
    unsigned char lazy;      /* only span says what it is */
    unsigned char canonical; /* span is what djs_json_dumps would write */
    unsigned char charset;   /* djs_json_charset_t of span */
    unsigned char wide;      /* INT: as.text has the digits */
    union {
        int truth;
        apr_int64_t number;
        double real;
        djs_bytes_t text; /* STR; digits of a wide INT */
        djs_items_t list;
        djs_dict_t dict;
    } as;
};

/** An empty node; nothing but pool and type is set. */
djs_value_t *djs_value_new(apr_pool_t *pool, djs_type_t type);

/** STR around bytes that are in its pool already, NUL-terminated. */
djs_value_t *djs_value_wrap_str(apr_pool_t *pool, djs_bytes_t text);

/** DICT: as djs_value_set(), but the key is in the dict's pool already, NUL-terminated. */
void djs_value_set_owned(djs_value_t *dict, djs_bytes_t key, djs_value_t *value);

/** Turn a lazy node, whose text was checked when it was read, into what it says, all the way down. */
void djs_json_resolve(djs_value_t *value);

#endif
