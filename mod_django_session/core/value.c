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
#include "value_impl.h"

#include <string.h>

/** Dictionaries with fewer members are searched from end to end. */
#define INDEX_FROM 17

/** A node of the index: another branch, or, with LEAF set, a member's number. */
#define LEAF 0x80000000u

typedef struct branch_t {
    apr_uint32_t at;       /* position in the keys */
    apr_uint32_t mask;     /* one bit of the symbol there */
    apr_uint32_t child[2]; /* keys without that bit, keys with it */
} branch_t;

struct index_t {
    branch_t *branches;
    apr_uint32_t count, size, root;
};

/* ---- Making values --------------------------------------------------------------------------- */

djs_value_t *djs_value_make_null(apr_pool_t *pool)
{
    return djs_value_make(pool, DJS_TYPE_NULL);
}

djs_value_t *djs_value_make_bool(apr_pool_t *pool, int truth)
{
    djs_value_t *value = djs_value_make(pool, DJS_TYPE_BOOL);

    value->as.truth = truth != 0;
    return value;
}

djs_value_t *djs_value_make_int(apr_pool_t *pool, apr_int64_t number)
{
    djs_value_t *value = djs_value_make(pool, DJS_TYPE_INT);

    value->as.integer.number = number;
    value->as.integer.fits = 1;
    return value;
}

djs_value_t *djs_value_make_wide_int(apr_pool_t *pool, djs_bytes_t digits)
{
    djs_value_t *value = djs_value_make(pool, DJS_TYPE_INT);

    djs_value_fill_int(value, djs_bytes_copy(pool, digits));
    return value;
}

djs_value_t *djs_value_make_float(apr_pool_t *pool, double number)
{
    djs_value_t *value = djs_value_make(pool, DJS_TYPE_FLOAT);

    value->as.number = number;
    return value;
}

djs_value_t *djs_value_make_str(apr_pool_t *pool, djs_bytes_t text)
{
    djs_value_t *value = apr_palloc(pool, sizeof(*value) + text.len + 1);
    char *copy = (char *)(value + 1);

    memset(value, 0, sizeof(*value));
    value->pool = pool;
    value->type = DJS_TYPE_STR;
    value->as.text = djs_bytes_of(copy, text.len);
    if (text.len > 0) {
        memcpy(copy, text.data, text.len);
    }
    copy[text.len] = '\0';
    return value;
}

djs_value_t *djs_value_make_list(apr_pool_t *pool)
{
    return djs_value_make(pool, DJS_TYPE_LIST);
}

djs_value_t *djs_value_make_dict(apr_pool_t *pool)
{
    return djs_value_make(pool, DJS_TYPE_DICT);
}

/* ---- Values that are still text -------------------------------------------------------------- */

djs_value_t *djs_value_make_lazy(apr_pool_t *pool, djs_type_t type, const djs_lazy_t *lazy,
                                 apr_uint32_t place)
{
    djs_value_t *value = djs_value_make(pool, type);

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
        [DJS_TYPE_BYTES] = "bytes",         [DJS_TYPE_BYTEARRAY] = "bytearray",
        [DJS_TYPE_TUPLE] = "tuple",         [DJS_TYPE_SET] = "set",
        [DJS_TYPE_FROZENSET] = "frozenset", [DJS_TYPE_DATETIME] = "datetime",
        [DJS_TYPE_DATE] = "date",           [DJS_TYPE_TIME] = "time",
        [DJS_TYPE_TIMEDELTA] = "timedelta", [DJS_TYPE_TIMEZONE] = "timezone",
        [DJS_TYPE_DECIMAL] = "Decimal",     [DJS_TYPE_UUID] = "UUID",
    };

    return names[value->type];
}

/* Has it, in front of an exponent, something that is no zero? NaN and Infinity do. */
static int decimal_is_true(const char *digits)
{
    digits += strspn(digits, "+-0.");
    return *digits != '\0' && *digits != 'E' && *digits != 'e';
}

int djs_value_truthy(const djs_value_t *value)
{
    const djs_value_t *self = djs_value_look_into(value);

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
    case DJS_TYPE_BYTES:
    case DJS_TYPE_BYTEARRAY:
        return self->as.text.len > 0;
    case DJS_TYPE_LIST:
    case DJS_TYPE_DICT:
    case DJS_TYPE_TUPLE:
    case DJS_TYPE_SET:
    case DJS_TYPE_FROZENSET:
        return djs_value_len(self) > 0;
    case DJS_TYPE_TIMEDELTA:
        return self->as.span.days != 0 || self->as.span.seconds != 0 || self->as.span.usec != 0;
    case DJS_TYPE_DECIMAL:
        return decimal_is_true(self->as.text.data);
    case DJS_TYPE_DATETIME:
    case DJS_TYPE_DATE:
    case DJS_TYPE_TIME:
    case DJS_TYPE_TIMEZONE:
    case DJS_TYPE_UUID:
        break;
    }
    return 1;
}

int djs_value_bool(const djs_value_t *value)
{
    return value->as.truth;
}

int djs_value_int64(const djs_value_t *value, apr_int64_t *number)
{
    const djs_value_t *self = djs_value_look_into(value);

    if (!self->as.integer.fits) {
        return 0;
    }
    *number = self->as.integer.number;
    return 1;
}

/* Without printf(), which takes ten times as long. */
static djs_bytes_t print_int64(apr_pool_t *pool, apr_int64_t number)
{
    apr_uint64_t rest = number < 0 ? 0 - (apr_uint64_t)number : (apr_uint64_t)number;
    char text[24];
    char *end = text + sizeof(text), *at = end;

    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0) {
        *--at = '-';
    }
    return djs_bytes_copy(pool, djs_bytes_of(at, (apr_size_t)(end - at)));
}

djs_bytes_t djs_value_int_digits(const djs_value_t *value, apr_pool_t *pool)
{
    const djs_value_t *self = djs_value_look_into(value);

    if (self->as.integer.digits.data != NULL) {
        return self->as.integer.digits;
    }
    return print_int64(pool, self->as.integer.number);
}

double djs_value_float(const djs_value_t *value)
{
    return djs_value_look_into(value)->as.number;
}

djs_bytes_t djs_value_str(const djs_value_t *value)
{
    return djs_value_look_into(value)->as.text;
}

/* ---- Growing --------------------------------------------------------------------------------- */

/* A copy of an array in @a pool that is twice as large. */
static void *grown(apr_pool_t *pool, const void *array, apr_uint32_t count, apr_uint32_t *size,
                   apr_size_t item)
{
    void *larger;

    *size = *size == 0 ? 8 : *size * 2;
    larger = apr_palloc(pool, *size * item);
    if (count > 0) {
        memcpy(larger, array, count * item);
    }
    return larger;
}

/* Room for one more. */
static inline void *with_room(apr_pool_t *pool, void *array, apr_uint32_t count, apr_uint32_t *size,
                              apr_size_t item)
{
    return count < *size ? array : grown(pool, array, count, size, item);
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

static void add_member(djs_value_t *dict, djs_bytes_t key, djs_value_t *name, djs_value_t *value)
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
    member->name = name;
    if (dict->as.dict.index != NULL) {
        enter(dict, dict->as.dict.count - 1);
    }
}

djs_value_t *djs_value_get(const djs_value_t *dict, djs_bytes_t key)
{
    member_t *member = find(djs_value_look_into(dict), key);

    return member != NULL ? member->value : NULL;
}

void djs_value_put(djs_value_t *dict, djs_bytes_t key, djs_value_t *value)
{
    member_t *member = find(djs_value_look_into(dict), key);

    if (member != NULL) {
        member->value = value;
    }
    else {
        add_member(dict, key, NULL, value);
    }
}

void djs_value_set(djs_value_t *dict, djs_bytes_t key, djs_value_t *value)
{
    member_t *member = find(djs_value_look_into(dict), key);

    if (member != NULL) {
        member->value = value;
    }
    else {
        add_member(dict, djs_bytes_copy(dict->pool, key), NULL, value);
    }
}

int djs_value_delete(djs_value_t *dict, djs_bytes_t key)
{
    member_t *member = find(djs_value_look_into(dict), key);

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
    djs_value_t *self = djs_value_look_into(dict);

    tidy(self);
    if (i >= self->as.dict.count) {
        return 0;
    }
    *key = self->as.dict.members[i].key;
    *value = self->as.dict.members[i].value;
    return 1;
}

djs_value_t *djs_value_key(const djs_value_t *dict, apr_size_t i)
{
    djs_value_t *self = djs_value_look_into(dict);

    tidy(self);
    return i < self->as.dict.count ? self->as.dict.members[i].name : NULL;
}

/* ---- Keys of any type ------------------------------------------------------------------------ */

djs_value_t *djs_value_get_key(const djs_value_t *dict, djs_value_t *key)
{
    djs_bytes_t bytes;

    return djs_value_hash(dict->pool, key, &bytes) ? djs_value_get(dict, bytes) : NULL;
}

/* An equal key stays as it is, and with @a old_stays the value under it. */
static int put_hashed(djs_value_t *dict, djs_value_t *key, djs_value_t *value, int old_stays)
{
    djs_value_t *self = djs_value_look_into(dict);
    member_t *member;
    djs_bytes_t bytes;

    if (!djs_value_hash(self->pool, key, &bytes)) {
        return 0;
    }
    member = find(self, bytes);
    if (member == NULL) {
        add_member(self, bytes, key->type != DJS_TYPE_STR ? key : NULL, value);
    }
    else if (!old_stays) {
        member->value = value;
    }
    return 1;
}

int djs_value_put_key(djs_value_t *dict, djs_value_t *key, djs_value_t *value)
{
    return put_hashed(dict, key, value, 0);
}

int djs_value_add_item(djs_value_t *set, djs_value_t *item)
{
    return put_hashed(set, item, item, 1);
}

void djs_value_put_member(djs_value_t *dict, const djs_value_t *from, apr_size_t i)
{
    djs_value_t *self = djs_value_look_into(dict);
    djs_value_t *source = djs_value_look_into(from);
    member_t *theirs, *mine;

    tidy(source);
    theirs = &source->as.dict.members[i];
    mine = find(self, theirs->key);
    if (mine != NULL) {
        mine->value = theirs->value;
    }
    else {
        add_member(self, djs_bytes_copy(self->pool, theirs->key), theirs->name, theirs->value);
    }
}

/* ---- Lists, and what both have --------------------------------------------------------------- */

static int has_list(const djs_value_t *value)
{
    return value->type == DJS_TYPE_LIST || value->type == DJS_TYPE_TUPLE;
}

apr_size_t djs_value_len(const djs_value_t *value)
{
    const djs_value_t *self = djs_value_look_into(value);

    return has_list(self) ? self->as.list.count : self->as.dict.count - self->as.dict.deleted;
}

djs_value_t *djs_value_at(const djs_value_t *list, apr_size_t i)
{
    const djs_value_t *self = djs_value_look_into(list);

    return i < self->as.list.count ? self->as.list.items[i] : NULL;
}

void djs_value_append(djs_value_t *list, djs_value_t *item)
{
    djs_value_t *self = djs_value_look_into(list);

    self->as.list.items = with_room(self->pool, self->as.list.items, self->as.list.count,
                                    &self->as.list.size, sizeof(djs_value_t *));
    self->as.list.items[self->as.list.count++] = item;
}

djs_value_t *djs_value_copy_shallow(apr_pool_t *pool, const djs_value_t *container)
{
    djs_value_t *self = djs_value_look_into(container);
    djs_value_t *copy = djs_value_make(pool, self->type);

    if (has_list(self)) {
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
