/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session's values: a lossless, ordered tree.
 *
 * What Django put in comes out: integers of any size, floats with their NaN and Infinity, strings
 * with NUL and lone surrogates (UTF-8 with surrogatepass), dictionaries in the order of insertion.
 * A value that came from JSON text stays text until somebody asks for it: djs_json_loads() checks
 * the whole text once and notes where its values lie; the accessors below make nodes of what they
 * are asked for. So reading one key of a large session costs one scan. Accessors cannot fail: what
 * is not well-formed was refused when it was read. No sequence of keys makes lookups slow: the time
 * for one is bounded by the length of its key.
 *
 * A tree lives in the pool it was made in and is used by one thread at a time. Values may be shared
 * between containers of one pool (they are not copied when set); who changes a list or dict that
 * others share copies it first.
 */
#ifndef DJS_VALUE_H
#define DJS_VALUE_H

#include "djs.h"

typedef struct djs_value_t djs_value_t;

typedef enum djs_type_t {
    DJS_TYPE_NULL,
    DJS_TYPE_BOOL,
    DJS_TYPE_INT,
    DJS_TYPE_FLOAT,
    DJS_TYPE_STR,
    DJS_TYPE_LIST,
    DJS_TYPE_DICT
} djs_type_t;

/** More digits than Python turns into an integer. */
#define DJS_INT_DIGITS_MAX 4300

/* Making values. Strings and digits are copied into the pool. */
djs_value_t *djs_value_make_null(apr_pool_t *pool);
djs_value_t *djs_value_make_bool(apr_pool_t *pool, int truth);
djs_value_t *djs_value_make_int(apr_pool_t *pool, apr_int64_t number);
/** An integer of any size: "-"? digits, no leading zeros; at most DJS_INT_DIGITS_MAX digits. */
djs_value_t *djs_value_make_wide_int(apr_pool_t *pool, djs_bytes_t digits);
djs_value_t *djs_value_make_float(apr_pool_t *pool, double number);
djs_value_t *djs_value_make_str(apr_pool_t *pool, djs_bytes_t text);
djs_value_t *djs_value_make_list(apr_pool_t *pool);
djs_value_t *djs_value_make_dict(apr_pool_t *pool);

djs_type_t djs_value_type(const djs_value_t *value);
/** Python's name of the type: "NoneType", "bool", "int", "float", "str", "list", "dict". */
const char *djs_value_type_name(const djs_value_t *value);

/** Python's bool(value): false for null, false, 0, 0.0, "", [], {}. NaN is true. */
int djs_value_truthy(const djs_value_t *value);

/** BOOL only. */
int djs_value_bool(const djs_value_t *value);
/** INT: 1 and the number when it fits 64 bits, else 0. */
int djs_value_int64(const djs_value_t *value, apr_int64_t *number);
/** INT: "-"? digits, any size, not NUL-terminated; in @a pool when they must be made. */
djs_bytes_t djs_value_int_digits(const djs_value_t *value, apr_pool_t *pool);
/** FLOAT only. */
double djs_value_float(const djs_value_t *value);
/** STR only; borrowed, NUL-terminated behind its length. */
djs_bytes_t djs_value_str(const djs_value_t *value);

/** LIST and DICT: number of items. */
apr_size_t djs_value_len(const djs_value_t *value);

/** LIST: item @a i; NULL beyond the end. */
djs_value_t *djs_value_at(const djs_value_t *list, apr_size_t i);
void djs_value_append(djs_value_t *list, djs_value_t *item);

/** DICT: the value under @a key, or NULL. */
djs_value_t *djs_value_get(const djs_value_t *dict, djs_bytes_t key);
/** DICT: set; a new key goes to the end, an old one keeps its place. The key is copied. */
void djs_value_set(djs_value_t *dict, djs_bytes_t key, djs_value_t *value);
/** DICT: 1 when the key was there and is gone now, else 0. */
int djs_value_delete(djs_value_t *dict, djs_bytes_t key);
void djs_value_clear(djs_value_t *dict);
/**
 * DICT: member @a i in order of insertion; 0 beyond the end. The key is borrowed and not
 * NUL-terminated. Values may be replaced while members are gone through; who deletes begins anew.
 */
int djs_value_member(const djs_value_t *dict, apr_size_t i, djs_bytes_t *key, djs_value_t **value);

/** A list or dict of its own in @a pool that shares the items of @a container. Not deep. */
djs_value_t *djs_value_copy_shallow(apr_pool_t *pool, const djs_value_t *container);

/** Python's ==: 1 == 1.0 == true; NaN is unequal to itself; order of dict members is no matter. */
int djs_value_equal(const djs_value_t *a, const djs_value_t *b);

/**
 * Python's a + b for INT and FLOAT (bool counts as int): integers of any size stay exact, an int
 * and a float give a float. NULL when one of them is no number, when an integer result would have
 * more than DJS_INT_DIGITS_MAX digits, or when an integer is too large to become a float.
 */
djs_value_t *djs_value_add(apr_pool_t *pool, const djs_value_t *a, const djs_value_t *b);

/**
 * What a SELECTOR names (interface 2.3): a top-level key, or, when it begins with "/", an RFC 6901
 * JSON Pointer. NULL when there is none.
 */
djs_value_t *djs_value_select(const djs_value_t *dict, const char *selector);

/** Is this a selector at all: not empty, and a pointer's "~" is followed by "0" or "1". */
int djs_value_selector_is_valid(const char *selector);

/*
 * ---- For readers of formats (json.c): values that are still text
 */

/** A document whose values are made when somebody looks into them. Readers put their own behind. */
typedef struct djs_lazy_t djs_lazy_t;
struct djs_lazy_t {
    /**
     * Make what the document has at @a place: one djs_value_fill_*() for an int, float or str;
     * djs_value_append() or djs_value_put() for each item of a list or dict.
     */
    void (*fill)(const djs_lazy_t *lazy, apr_uint32_t place, djs_value_t *value);
};

/** A value of a known type that nobody has looked into yet. */
djs_value_t *djs_value_make_lazy(apr_pool_t *pool, djs_type_t type, const djs_lazy_t *lazy,
                                 apr_uint32_t place);
/** Where it still lies untouched; NULL once somebody has looked into it. */
const djs_lazy_t *djs_value_lazy(const djs_value_t *value, apr_uint32_t *place);

/** The pool it was made in. */
apr_pool_t *djs_value_pool(const djs_value_t *value);
/** Digits as djs_value_make_wide_int() takes them; borrowed. */
void djs_value_fill_int(djs_value_t *value, djs_bytes_t digits);
void djs_value_fill_float(djs_value_t *value, double number);
/** Borrowed, with a NUL behind its length. */
void djs_value_fill_str(djs_value_t *value, djs_bytes_t text);
/** djs_value_set() with a key that is borrowed. */
void djs_value_put(djs_value_t *dict, djs_bytes_t key, djs_value_t *value);

#endif
