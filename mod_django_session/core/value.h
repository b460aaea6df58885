/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session's values: a lossless, ordered tree.
 *
 * What Django put in comes out: integers of any size, floats with their NaN and Infinity, strings
 * with NUL and lone surrogates (UTF-8 with surrogatepass), dictionaries in the order of insertion.
 * A value that came from JSON text stays text until somebody asks for it: djs_json_loads() checks
 * the whole text once and notes where its values lie; the accessors below make nodes of what they
 * are asked for. So reading one key of a large session costs one scan. djs_pickle_loads() does so,
 * too, with most pickles. Accessors cannot fail: what is not well-formed was refused when it was
 * read. No sequence of keys makes lookups slow: the time
 * for one is bounded by the length of its key.
 *
 * A tree lives in the pool it was made in and is used by one thread at a time. Values may be shared
 * between containers of one pool (they are not copied when set); who changes a list or dict that
 * others share copies it first.
 */
#ifndef DJS_VALUE_H
#define DJS_VALUE_H

#include "moment.h"

typedef struct djs_value_t djs_value_t;

typedef enum djs_type_t {
    DJS_TYPE_NULL,
    DJS_TYPE_BOOL,
    DJS_TYPE_INT,
    DJS_TYPE_FLOAT,
    DJS_TYPE_STR,
    DJS_TYPE_LIST,
    DJS_TYPE_DICT,
    /* What pickles have beyond JSON. */
    DJS_TYPE_BYTES,
    DJS_TYPE_BYTEARRAY,
    DJS_TYPE_TUPLE,
    DJS_TYPE_SET,
    DJS_TYPE_FROZENSET,
    DJS_TYPE_DATETIME,
    DJS_TYPE_DATE,
    DJS_TYPE_TIME,
    DJS_TYPE_TIMEDELTA,
    DJS_TYPE_TIMEZONE,
    DJS_TYPE_DECIMAL,
    DJS_TYPE_UUID
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
/** Python's name of the type: "NoneType", "bool", "int", ... "timedelta", "Decimal", "UUID". */
const char *djs_value_type_name(const djs_value_t *value);

/** Python's bool(value): false for None, False, all that is empty or zero. NaN is true. */
int djs_value_truthy(const djs_value_t *value);

/** BOOL only. */
int djs_value_bool(const djs_value_t *value);
/** INT: 1 and the number when it fits 64 bits, else 0. */
int djs_value_int64(const djs_value_t *value, apr_int64_t *number);
/** INT: "-"? digits, any size, not NUL-terminated; in @a pool when they must be made. */
djs_bytes_t djs_value_int_digits(const djs_value_t *value, apr_pool_t *pool);
/** FLOAT only. */
double djs_value_float(const djs_value_t *value);
/**
 * STR, BYTES, BYTEARRAY: what it has; DECIMAL: its digits. Borrowed, NUL-terminated behind its
 * length.
 */
djs_bytes_t djs_value_str(const djs_value_t *value);

/** LIST, DICT, TUPLE, SET, FROZENSET: number of items. */
apr_size_t djs_value_len(const djs_value_t *value);

/** LIST and TUPLE: item @a i; NULL beyond the end. */
djs_value_t *djs_value_at(const djs_value_t *list, apr_size_t i);
/** LIST, and a TUPLE that is being made. */
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
 * Of a key that is no text this gives opaque bytes, no UTF-8, which djs_value_get() and
 * djs_value_delete() take; djs_value_key() has the key itself.
 *
 * SET and FROZENSET: the same; the item is the value.
 */
int djs_value_member(const djs_value_t *dict, apr_size_t i, djs_bytes_t *key, djs_value_t **value);

/** DICT: the key of member @a i as a value when it is no text; NULL: it is text. */
djs_value_t *djs_value_key(const djs_value_t *dict, apr_size_t i);
/**
 * DICT: set under any key. Keys compare as in Python: 1, 1.0 and True are one, and the first that
 * came stays. The key is not copied. 0: it has no hash (a list, a dict, a set, a bytearray, a
 * signaling NaN), or a value of one is in it.
 */
int djs_value_put_key(djs_value_t *dict, djs_value_t *key, djs_value_t *value);
/** DICT: the value under any key; NULL: there is none, or the key has no hash. */
djs_value_t *djs_value_get_key(const djs_value_t *dict, djs_value_t *key);
/** DICT: set the key and value of @a from's member @a i. The key is not copied. */
void djs_value_put_member(djs_value_t *dict, const djs_value_t *from, apr_size_t i);

/** SET, FROZENSET that is being made: add an item; 0: it has no hash. Items keep their order. */
int djs_value_add_item(djs_value_t *set, djs_value_t *item);

/** A list, tuple, set or dict of its own in @a pool that shares the items of @a container. Not deep. */
djs_value_t *djs_value_copy_shallow(apr_pool_t *pool, const djs_value_t *container);

/**
 * Python's ==: 1 == 1.0 == true == Decimal("1.0"); NaN is unequal to itself; aware date-times are
 * equal when they are the same instant; order of dict members is no matter.
 */
int djs_value_equal(const djs_value_t *a, const djs_value_t *b);

/**
 * Nothing would be lost if one were stored in the other's place: types, digits, zones and the order
 * of members are the same, too. Stricter than ==, but for NaN.
 */
int djs_value_same(const djs_value_t *a, const djs_value_t *b);

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
 * ---- Python's other types. What they are made of is not copied but where it says so.
 */

/** A zone's kinds: they are written differently. */
typedef enum djs_timezone_t {
    DJS_TIMEZONE_FIXED, /* datetime.timezone, datetime.timezone.utc among them */
    DJS_TIMEZONE_PYTZ   /* pytz.UTC, which Django 3.2 and older give their date-times */
} djs_timezone_t;

/** A timedelta, normalised as Python's: 0 <= seconds < 86400, 0 <= usec < 1000000. */
typedef struct djs_span_t {
    int days, seconds, usec;
} djs_span_t;
#define DJS_SPAN_DAYS_MAX 999999999

/** What a UUID says of how it was made; DJS_UUID_UNSAID is written with nothing. */
typedef enum djs_uuid_safety_t {
    DJS_UUID_UNSAID,
    DJS_UUID_SAFE,  /* SafeUUID.safe, 0 */
    DJS_UUID_UNSAFE /* SafeUUID.unsafe, -1 */
} djs_uuid_safety_t;

/** BYTES or BYTEARRAY; copied. */
djs_value_t *djs_value_make_bytes(apr_pool_t *pool, djs_type_t type, djs_bytes_t bytes);
/** TUPLE, SET or FROZENSET, empty. */
djs_value_t *djs_value_make_group(apr_pool_t *pool, djs_type_t type);
/**
 * DATETIME, DATE (midnight) or TIME (of 1970-01-01), in microseconds of its own calendar.
 * @param zone  a TIMEZONE, or NULL: naive
 * @param fold  1: the second one of two equal local times
 */
djs_value_t *djs_value_make_time(apr_pool_t *pool, djs_type_t type, apr_time_t local,
                                 djs_value_t *zone, int fold);
djs_value_t *djs_value_make_span(apr_pool_t *pool, djs_span_t span);
/** @param name  a STR, or NULL: it has none of its own */
djs_value_t *djs_value_make_timezone(apr_pool_t *pool, djs_timezone_t kind,
                                     apr_interval_time_t offset, djs_value_t *name);
/** Copied. NULL: no number as Python's str(Decimal) writes them. */
djs_value_t *djs_value_make_decimal(apr_pool_t *pool, djs_bytes_t digits);
djs_value_t *djs_value_make_uuid(apr_pool_t *pool, const unsigned char bytes[16],
                                 djs_uuid_safety_t safety);

/** DATETIME, DATE, TIME; a DATE is naive. */
djs_moment_t djs_value_moment(const djs_value_t *value);
/** DATETIME, TIME: its TIMEZONE; NULL: naive. */
djs_value_t *djs_value_zone(const djs_value_t *value);
/** DATETIME, TIME. */
int djs_value_fold(const djs_value_t *value);
/** TIMEDELTA. */
djs_span_t djs_value_span(const djs_value_t *value);
/** TIMEZONE. */
djs_timezone_t djs_value_timezone(const djs_value_t *value, apr_interval_time_t *offset,
                                  djs_value_t **name);
/** UUID: its 16 bytes. */
const unsigned char *djs_value_uuid(const djs_value_t *value, djs_uuid_safety_t *safety);

/**
 * DATETIME, DATE, TIME as ISO 8601; TIMEDELTA as seconds with a fraction when there is one; BYTES
 * and BYTEARRAY as base64; DECIMAL, UUID and TIMEZONE as Python's str(). In @a pool.
 */
djs_bytes_t djs_value_as_text(apr_pool_t *pool, const djs_value_t *value);

/*
 * ---- For readers of formats (json_read.c, pickle_read.c, pickle_scan.c)
 */

/** A document whose values are made when somebody looks into them. Readers put their own behind. */
typedef struct djs_lazy_t djs_lazy_t;
struct djs_lazy_t {
    /**
     * Make what the document has at @a place: one djs_value_fill_*() for an int, float, str or bytes;
     * djs_value_append(), djs_value_put() or djs_value_put_key() for each item of a list, tuple or dict.
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
/** Copied. */
void djs_value_fill_uuid(djs_value_t *uuid, const unsigned char bytes[16],
                         djs_uuid_safety_t safety);
/** djs_value_set() with a key that is borrowed. */
void djs_value_put(djs_value_t *dict, djs_bytes_t key, djs_value_t *value);

#endif
