/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes of the tree of values.
 *
 * A dictionary is an array of members in order of insertion. A deleted member stays in the array
 * without a value until the array is tidied. From INDEX_FROM members on there is an index beside
 * it, a crit-bit tree: each branch names the first bit in which the keys on its two sides differ.
 * To find a key takes at most as many steps as the key has bits, whatever the other keys are, so no
 * choice of keys makes it slow, and it needs no secret seed as hashing would.
 */
#include "value.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/crypto.h>

/** Dictionaries with fewer members are searched from end to end. */
#define INDEX_FROM 17

typedef struct member_t {
    djs_bytes_t key;
    djs_value_t *value; /* NULL: deleted */
} member_t;

/** A node of the index: another branch, or, with LEAF set, a member's number. */
#define LEAF 0x80000000u

typedef struct branch_t {
    apr_uint32_t at;       /* position in the keys */
    apr_uint32_t mask;     /* one bit of the symbol there */
    apr_uint32_t child[2]; /* keys without that bit, keys with it */
} branch_t;

typedef struct index_t {
    branch_t *branches;
    apr_uint32_t count, size, root;
} index_t;

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

/* ---- Making values --------------------------------------------------------------------------- */

static djs_value_t *make(apr_pool_t *pool, djs_type_t type)
{
    djs_value_t *value = apr_pcalloc(pool, sizeof(*value));

    value->pool = pool;
    value->type = type;
    return value;
}

djs_value_t *djs_value_make_null(apr_pool_t *pool)
{
    return make(pool, DJS_TYPE_NULL);
}

djs_value_t *djs_value_make_bool(apr_pool_t *pool, int truth)
{
    djs_value_t *value = make(pool, DJS_TYPE_BOOL);

    value->as.truth = truth != 0;
    return value;
}

djs_value_t *djs_value_make_int(apr_pool_t *pool, apr_int64_t number)
{
    djs_value_t *value = make(pool, DJS_TYPE_INT);

    value->as.integer.number = number;
    value->as.integer.fits = 1;
    return value;
}

djs_value_t *djs_value_make_wide_int(apr_pool_t *pool, djs_bytes_t digits)
{
    djs_value_t *value = make(pool, DJS_TYPE_INT);

    djs_value_fill_int(value, djs_bytes_copy(pool, digits));
    return value;
}

djs_value_t *djs_value_make_float(apr_pool_t *pool, double number)
{
    djs_value_t *value = make(pool, DJS_TYPE_FLOAT);

    value->as.number = number;
    return value;
}

djs_value_t *djs_value_make_str(apr_pool_t *pool, djs_bytes_t text)
{
    djs_value_t *value = make(pool, DJS_TYPE_STR);

    value->as.text = djs_bytes_copy(pool, text);
    return value;
}

djs_value_t *djs_value_make_list(apr_pool_t *pool)
{
    return make(pool, DJS_TYPE_LIST);
}

djs_value_t *djs_value_make_dict(apr_pool_t *pool)
{
    return make(pool, DJS_TYPE_DICT);
}

/* ---- Values that are still text -------------------------------------------------------------- */

djs_value_t *djs_value_make_lazy(apr_pool_t *pool, djs_type_t type, const djs_lazy_t *lazy,
                                 apr_uint32_t place)
{
    djs_value_t *value = make(pool, type);

    value->lazy = lazy;
    value->place = place;
    return value;
}

const djs_lazy_t *djs_value_lazy(const djs_value_t *value, apr_uint32_t *place)
{
    *place = value->place;
    return value->lazy;
}

apr_pool_t *djs_value_pool(const djs_value_t *value)
{
    return value->pool;
}

/* Reading a value may fill it in, which changes nothing that a caller can see. */
static djs_value_t *look_into(const djs_value_t *value)
{
    djs_value_t *self = (djs_value_t *)value;
    const djs_lazy_t *lazy = self->lazy;

    if (lazy != NULL) {
        self->lazy = NULL;
        lazy->fill(lazy, self->place, self);
    }
    return self;
}

/* 1 and the number when "-"? digits fit 64 bits. */
static int parse_int64(djs_bytes_t digits, apr_int64_t *number)
{
    const int negative = digits.len > 0 && digits.data[0] == '-';
    const apr_uint64_t most = (apr_uint64_t)APR_INT64_MAX + (negative ? 1 : 0);
    apr_uint64_t sum = 0;
    apr_size_t i;

    if (digits.len > 20) {
        return 0;
    }
    for (i = negative ? 1 : 0; i < digits.len; i++) {
        unsigned int digit = (unsigned int)(digits.data[i] - '0');

        if (sum > (most - digit) / 10) {
            return 0;
        }
        sum = sum * 10 + digit;
    }
    *number = (apr_int64_t)(negative ? 0 - sum : sum);
    return 1;
}

void djs_value_fill_int(djs_value_t *value, djs_bytes_t digits)
{
    value->as.integer.fits = parse_int64(digits, &value->as.integer.number);
    value->as.integer.digits = digits;
}

void djs_value_fill_float(djs_value_t *value, double number)
{
    value->as.number = number;
}

void djs_value_fill_str(djs_value_t *value, djs_bytes_t text)
{
    value->as.text = text;
}

/* ---- Scalars --------------------------------------------------------------------------------- */

djs_type_t djs_value_type(const djs_value_t *value)
{
    return value->type;
}

const char *djs_value_type_name(const djs_value_t *value)
{
    static const char *const names[] = {
        [DJS_TYPE_NULL] = "NoneType", [DJS_TYPE_BOOL] = "bool", [DJS_TYPE_INT] = "int",
        [DJS_TYPE_FLOAT] = "float",   [DJS_TYPE_STR] = "str",   [DJS_TYPE_LIST] = "list",
        [DJS_TYPE_DICT] = "dict",
    };

    return names[value->type];
}

int djs_value_truthy(const djs_value_t *value)
{
    const djs_value_t *self = look_into(value);

    switch (self->type) {
    case DJS_TYPE_NULL:
        return 0;
    case DJS_TYPE_BOOL:
        return self->as.truth;
    case DJS_TYPE_INT:
        return !self->as.integer.fits || self->as.integer.number != 0;
    case DJS_TYPE_FLOAT:
        return self->as.number != 0;
    case DJS_TYPE_STR:
        return self->as.text.len > 0;
    case DJS_TYPE_LIST:
    case DJS_TYPE_DICT:
        break;
    }
    return djs_value_len(self) > 0;
}

int djs_value_bool(const djs_value_t *value)
{
    return value->as.truth;
}

int djs_value_int64(const djs_value_t *value, apr_int64_t *number)
{
    const djs_value_t *self = look_into(value);

    if (!self->as.integer.fits) {
        return 0;
    }
    *number = self->as.integer.number;
    return 1;
}

djs_bytes_t djs_value_int_digits(const djs_value_t *value, apr_pool_t *pool)
{
    const djs_value_t *self = look_into(value);

    if (self->as.integer.digits.data != NULL) {
        return self->as.integer.digits;
    }
    return djs_bytes(apr_psprintf(pool, "%" APR_INT64_T_FMT, self->as.integer.number));
}

double djs_value_float(const djs_value_t *value)
{
    return look_into(value)->as.number;
}

djs_bytes_t djs_value_str(const djs_value_t *value)
{
    return look_into(value)->as.text;
}

/* ---- Growing --------------------------------------------------------------------------------- */

/* Room for one more in an array in @a pool: the array, or a copy that is twice as large. */
static void *with_room(apr_pool_t *pool, void *array, apr_uint32_t count, apr_uint32_t *size,
                       apr_size_t item)
{
    void *larger;

    if (count < *size) {
        return array;
    }
    *size = *size == 0 ? 8 : *size * 2;
    larger = apr_palloc(pool, *size * item);
    if (count > 0) {
        memcpy(larger, array, count * item);
    }
    return larger;
}

/* ---- The index of a dictionary --------------------------------------------------------------- */

/* What a key has at a position: nothing (0) behind its end, so that none is another's beginning. */
static unsigned int symbol(djs_bytes_t key, apr_size_t at)
{
    return at < key.len ? 0x100u | (unsigned char)key.data[at] : 0;
}

static unsigned int side(const branch_t *branch, djs_bytes_t key)
{
    return (symbol(key, branch->at) & branch->mask) != 0;
}

/* The leaf that @a key would be at; its member may have another key. */
static apr_uint32_t *nearest(index_t *index, djs_bytes_t key)
{
    apr_uint32_t *node = &index->root;

    while ((*node & LEAF) == 0) {
        branch_t *branch = &index->branches[*node];

        node = &branch->child[side(branch, key)];
    }
    return node;
}

/* Where two keys differ first, and in which highest bit; 0 when they are equal. */
static unsigned int first_difference(djs_bytes_t a, djs_bytes_t b, apr_uint32_t *at)
{
    const apr_size_t shorter = a.len < b.len ? a.len : b.len;
    unsigned int bits, mask = 0x100;
    apr_size_t i = 0;

    while (i < shorter && a.data[i] == b.data[i]) {
        i++;
    }
    bits = symbol(a, i) ^ symbol(b, i);
    while (mask > 0 && (bits & mask) == 0) {
        mask >>= 1;
    }
    *at = (apr_uint32_t)i;
    return mask;
}

/* Enter member @a number; one that is deleted gives up its leaf to one with the same key. */
static void enter(djs_value_t *dict, apr_uint32_t number)
{
    index_t *index = dict->as.dict.index;
    const djs_bytes_t key = dict->as.dict.members[number].key;
    apr_uint32_t *node = nearest(index, key);
    branch_t made;

    made.mask = first_difference(key, dict->as.dict.members[*node & ~LEAF].key, &made.at);
    if (made.mask == 0) {
        *node = LEAF | number;
        return;
    }
    index->branches = with_room(dict->pool, index->branches, index->count, &index->size,
                                sizeof(branch_t));
    node = &index->root;
    while ((*node & LEAF) == 0) {
        branch_t *branch = &index->branches[*node];

        if (branch->at > made.at || (branch->at == made.at && branch->mask < made.mask)) {
            break;
        }
        node = &branch->child[side(branch, key)];
    }
    made.child[side(&made, key)] = LEAF | number;
    made.child[!side(&made, key)] = *node;
    *node = index->count;
    index->branches[index->count++] = made;
}

static void make_index(djs_value_t *dict)
{
    apr_uint32_t i;

    dict->as.dict.index = apr_pcalloc(dict->pool, sizeof(index_t));
    dict->as.dict.index->root = LEAF;
    for (i = 1; i < dict->as.dict.count; i++) {
        enter(dict, i);
    }
}

/* ---- Dictionaries ---------------------------------------------------------------------------- */

/* Drop what was deleted. */
static void tidy(djs_value_t *dict)
{
    member_t *members = dict->as.dict.members;
    apr_uint32_t i, live = 0;

    if (dict->as.dict.deleted == 0) {
        return;
    }
    for (i = 0; i < dict->as.dict.count; i++) {
        if (members[i].value != NULL) {
            members[live++] = members[i];
        }
    }
    dict->as.dict.count = live;
    dict->as.dict.deleted = 0;
    dict->as.dict.index = NULL;
}

static member_t *find(djs_value_t *dict, djs_bytes_t key)
{
    member_t *members = dict->as.dict.members;
    member_t *member;
    apr_uint32_t i;

    if (dict->as.dict.count < INDEX_FROM) {
        for (i = 0; i < dict->as.dict.count; i++) {
            if (members[i].key.len == key.len && members[i].value != NULL &&
                djs_bytes_equal(members[i].key, key)) {
                return &members[i];
            }
        }
        return NULL;
    }
    if (dict->as.dict.index == NULL) {
        make_index(dict);
    }
    member = &members[*nearest(dict->as.dict.index, key) & ~LEAF];
    return member->value != NULL && djs_bytes_equal(member->key, key) ? member : NULL;
}

static void add_member(djs_value_t *dict, djs_bytes_t key, djs_value_t *value)
{
    member_t *member;

    if (dict->as.dict.count == dict->as.dict.size &&
        dict->as.dict.deleted > dict->as.dict.count / 2) {
        tidy(dict);
    }
    dict->as.dict.members = with_room(dict->pool, dict->as.dict.members, dict->as.dict.count,
                                      &dict->as.dict.size, sizeof(member_t));
    member = &dict->as.dict.members[dict->as.dict.count++];
    member->key = key;
    member->value = value;
    if (dict->as.dict.index != NULL) {
        enter(dict, dict->as.dict.count - 1);
    }
}

djs_value_t *djs_value_get(const djs_value_t *dict, djs_bytes_t key)
{
    member_t *member = find(look_into(dict), key);

    return member != NULL ? member->value : NULL;
}

void djs_value_put(djs_value_t *dict, djs_bytes_t key, djs_value_t *value)
{
    member_t *member = find(look_into(dict), key);

    if (member != NULL) {
        member->value = value;
    }
    else {
        add_member(dict, key, value);
    }
}

void djs_value_set(djs_value_t *dict, djs_bytes_t key, djs_value_t *value)
{
    member_t *member = find(look_into(dict), key);

    if (member != NULL) {
        member->value = value;
    }
    else {
        add_member(dict, djs_bytes_copy(dict->pool, key), value);
    }
}

int djs_value_delete(djs_value_t *dict, djs_bytes_t key)
{
    member_t *member = find(look_into(dict), key);

    if (member == NULL) {
        return 0;
    }
    member->value = NULL;
    dict->as.dict.deleted++;
    return 1;
}

void djs_value_clear(djs_value_t *dict)
{
    dict->lazy = NULL;
    memset(&dict->as.dict, 0, sizeof(dict->as.dict));
}

int djs_value_member(const djs_value_t *dict, apr_size_t i, djs_bytes_t *key, djs_value_t **value)
{
    djs_value_t *self = look_into(dict);

    tidy(self);
    if (i >= self->as.dict.count) {
        return 0;
    }
    *key = self->as.dict.members[i].key;
    *value = self->as.dict.members[i].value;
    return 1;
}

/* ---- Lists, and what both have --------------------------------------------------------------- */

apr_size_t djs_value_len(const djs_value_t *value)
{
    const djs_value_t *self = look_into(value);

    return self->type == DJS_TYPE_LIST ? self->as.list.count
                                       : self->as.dict.count - self->as.dict.deleted;
}

djs_value_t *djs_value_at(const djs_value_t *list, apr_size_t i)
{
    const djs_value_t *self = look_into(list);

    return i < self->as.list.count ? self->as.list.items[i] : NULL;
}

void djs_value_append(djs_value_t *list, djs_value_t *item)
{
    djs_value_t *self = look_into(list);

    self->as.list.items = with_room(self->pool, self->as.list.items, self->as.list.count,
                                    &self->as.list.size, sizeof(djs_value_t *));
    self->as.list.items[self->as.list.count++] = item;
}

djs_value_t *djs_value_copy_shallow(apr_pool_t *pool, const djs_value_t *container)
{
    djs_value_t *self = look_into(container);
    djs_value_t *copy = make(pool, self->type);

    if (self->type == DJS_TYPE_LIST) {
        copy->as.list.count = copy->as.list.size = self->as.list.count;
        copy->as.list.items = apr_pmemdup(pool, self->as.list.items,
                                          self->as.list.count * sizeof(djs_value_t *));
        return copy;
    }
    tidy(self);
    copy->as.dict.count = copy->as.dict.size = self->as.dict.count;
    copy->as.dict.members = apr_pmemdup(pool, self->as.dict.members,
                                        self->as.dict.count * sizeof(member_t));
    return copy;
}

/* ---- Numbers --------------------------------------------------------------------------------- */

static int is_number(const djs_value_t *value)
{
    return value->type == DJS_TYPE_BOOL || value->type == DJS_TYPE_INT ||
           value->type == DJS_TYPE_FLOAT;
}

/* BOOL and INT: the number if it fits. */
static int integer_of(const djs_value_t *value, apr_int64_t *number)
{
    if (value->type == DJS_TYPE_BOOL) {
        *number = value->as.truth;
        return 1;
    }
    return djs_value_int64(value, number);
}

/* A wide integer and a float: a float that is a whole number prints as just that, exactly. */
static int wide_equals_float(const djs_value_t *wide, double number)
{
    char text[DBL_MAX_10_EXP + 8];

    if (!isfinite(number) || number != floor(number)) {
        return 0;
    }
    snprintf(text, sizeof(text), "%.0f", number);
    return djs_bytes_is(wide->as.integer.digits, text);
}

static int integer_equals_float(const djs_value_t *integer, double number)
{
    apr_int64_t whole;

    if (!integer_of(integer, &whole)) {
        return wide_equals_float(integer, number);
    }
    /* -2^63 and 2^63 are floats; what lies in between and is whole has its exact integer. */
    return number >= -9223372036854775808.0 && number < 9223372036854775808.0 &&
           number == floor(number) && (apr_int64_t)number == whole;
}

static int numbers_equal(const djs_value_t *a, const djs_value_t *b)
{
    apr_int64_t x = 0, y = 0;
    int x_fits, y_fits;

    if (a->type == DJS_TYPE_FLOAT && b->type == DJS_TYPE_FLOAT) {
        return djs_value_float(a) == djs_value_float(b);
    }
    if (a->type == DJS_TYPE_FLOAT) {
        return integer_equals_float(b, djs_value_float(a));
    }
    if (b->type == DJS_TYPE_FLOAT) {
        return integer_equals_float(a, djs_value_float(b));
    }
    x_fits = integer_of(a, &x);
    y_fits = integer_of(b, &y);
    if (x_fits || y_fits) {
        return x_fits && y_fits && x == y;
    }
    return djs_bytes_equal(a->as.integer.digits, b->as.integer.digits);
}

/* 1 and the nearest float of BOOL, INT or FLOAT; 0 where Python says OverflowError. */
static int float_of(apr_pool_t *pool, const djs_value_t *value, double *number)
{
    apr_int64_t whole;

    if (value->type == DJS_TYPE_FLOAT) {
        *number = djs_value_float(value);
        return 1;
    }
    if (integer_of(value, &whole)) {
        *number = (double)whole;
        return 1;
    }
    /* Digits alone: no locale has a say in how strtod reads them. */
    *number = strtod(djs_bytes_copy(pool, value->as.integer.digits).data, NULL);
    return isfinite(*number);
}

static djs_value_t *add_floats(apr_pool_t *pool, const djs_value_t *a, const djs_value_t *b)
{
    double x, y;

    if (!float_of(pool, a, &x) || !float_of(pool, b, &y)) {
        return NULL;
    }
    return djs_value_make_float(pool, x + y);
}

static BIGNUM *bignum_of(apr_pool_t *pool, const djs_value_t *value)
{
    BIGNUM *number = NULL;
    djs_bytes_t digits = value->type == DJS_TYPE_BOOL
                             ? djs_bytes(value->as.truth ? "1" : "0")
                             : djs_bytes_copy(pool, djs_value_int_digits(value, pool));

    BN_dec2bn(&number, digits.data);
    return number;
}

static djs_value_t *add_wide(apr_pool_t *pool, const djs_value_t *a, const djs_value_t *b)
{
    BIGNUM *x = bignum_of(pool, a);
    BIGNUM *y = bignum_of(pool, b);
    djs_value_t *sum = NULL;
    char *text = NULL;

    if (x != NULL && y != NULL && BN_add(x, x, y)) {
        text = BN_bn2dec(x);
    }
    if (text != NULL && strlen(text) - (text[0] == '-') <= DJS_INT_DIGITS_MAX) {
        sum = djs_value_make_wide_int(pool, djs_bytes(text));
    }
    OPENSSL_free(text);
    BN_free(x);
    BN_free(y);
    return sum;
}

djs_value_t *djs_value_add(apr_pool_t *pool, const djs_value_t *a, const djs_value_t *b)
{
    apr_int64_t x, y, sum;

    if (!is_number(a) || !is_number(b)) {
        return NULL;
    }
    if (a->type == DJS_TYPE_FLOAT || b->type == DJS_TYPE_FLOAT) {
        return add_floats(pool, a, b);
    }
    if (integer_of(a, &x) && integer_of(b, &y) && !__builtin_add_overflow(x, y, &sum)) {
        return djs_value_make_int(pool, sum);
    }
    return add_wide(pool, a, b);
}

/* ---- Equality -------------------------------------------------------------------------------- */

static int lists_equal(const djs_value_t *a, const djs_value_t *b)
{
    apr_size_t i, len = djs_value_len(a);

    if (len != djs_value_len(b)) {
        return 0;
    }
    for (i = 0; i < len; i++) {
        if (!djs_value_equal(djs_value_at(a, i), djs_value_at(b, i))) {
            return 0;
        }
    }
    return 1;
}

static int dicts_equal(const djs_value_t *a, const djs_value_t *b)
{
    djs_bytes_t key;
    djs_value_t *mine, *other;
    apr_size_t i;

    if (djs_value_len(a) != djs_value_len(b)) {
        return 0;
    }
    for (i = 0; djs_value_member(a, i, &key, &mine); i++) {
        other = djs_value_get(b, key);
        if (other == NULL || !djs_value_equal(mine, other)) {
            return 0;
        }
    }
    return 1;
}

int djs_value_equal(const djs_value_t *a, const djs_value_t *b)
{
    if (is_number(a) && is_number(b)) {
        return numbers_equal(a, b);
    }
    if (a->type != b->type) {
        return 0;
    }
    switch (a->type) {
    case DJS_TYPE_STR:
        return djs_bytes_equal(djs_value_str(a), djs_value_str(b));
    case DJS_TYPE_LIST:
        return lists_equal(a, b);
    case DJS_TYPE_DICT:
        return dicts_equal(a, b);
    default:
        return 1; /* None */
    }
}

/* ---- Selectors ------------------------------------------------------------------------------- */

int djs_value_selector_is_valid(const char *selector)
{
    const char *at = selector;

    if (selector[0] == '/') {
        while ((at = strchr(at, '~')) != NULL) {
            at++;
            if (*at != '0' && *at != '1') {
                return 0;
            }
        }
    }
    return selector[0] != '\0';
}

/* Item of a list by a pointer's token: a number without leading zeros. */
static djs_value_t *select_item(const djs_value_t *list, djs_bytes_t token)
{
    apr_size_t i, number = 0;

    if (token.len == 0 || token.len > 9 || (token.len > 1 && token.data[0] == '0')) {
        return NULL;
    }
    for (i = 0; i < token.len; i++) {
        if (token.data[i] < '0' || token.data[i] > '9') {
            return NULL;
        }
        number = number * 10 + (apr_size_t)(token.data[i] - '0');
    }
    return djs_value_at(list, number);
}

/* Member of a dict by a pointer's token, in which "~1" is "/" and "~0" is "~". */
static djs_value_t *select_member(const djs_value_t *dict, djs_bytes_t token)
{
    char *key;
    apr_size_t i, len = 0;

    if (token.len == 0 || memchr(token.data, '~', token.len) == NULL) {
        return djs_value_get(dict, token);
    }
    key = apr_palloc(dict->pool, token.len);
    for (i = 0; i < token.len; i++) {
        if (token.data[i] == '~' && i + 1 < token.len) {
            i++;
            key[len++] = token.data[i] == '1' ? '/' : '~';
        }
        else {
            key[len++] = token.data[i];
        }
    }
    return djs_value_get(dict, djs_bytes_of(key, len));
}

djs_value_t *djs_value_select(const djs_value_t *dict, const char *selector)
{
    djs_value_t *found = (djs_value_t *)dict;

    if (dict->type != DJS_TYPE_DICT) {
        return NULL;
    }
    if (selector[0] != '/') {
        return djs_value_get(dict, djs_bytes(selector));
    }
    while (found != NULL && *selector == '/') {
        djs_bytes_t token;

        selector++;
        token = djs_bytes_of(selector, strcspn(selector, "/"));
        selector += token.len;
        if (found->type == DJS_TYPE_DICT) {
            found = select_member(found, token);
        }
        else {
            found = found->type == DJS_TYPE_LIST ? select_item(found, token) : NULL;
        }
    }
    return found;
}
