/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of a session's values.
 *
 * A dict is an array of members in the order of insertion; a larger one also has an index, an open
 * hash table of member numbers. A deleted member stays as a hole until somebody counts or walks, so
 * that deleting many keys is not quadratic.
 */
#include "value_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/crypto.h>

#include "secret.h"

/* ---- making ------------------------------------------------------------------------------- */

djs_value_t *djs_value_new(apr_pool_t *pool, djs_type_t type)
{
    djs_value_t *value = apr_pcalloc(pool, sizeof(*value));

    value->pool = pool;
    value->type = (unsigned char)type;
    return value;
}

djs_value_t *djs_value_make_null(apr_pool_t *pool)
{
    return djs_value_new(pool, DJS_TYPE_NULL);
}

djs_value_t *djs_value_make_bool(apr_pool_t *pool, int truth)
{
    djs_value_t *value = djs_value_new(pool, DJS_TYPE_BOOL);

    value->as.truth = truth != 0;
    return value;
}

djs_value_t *djs_value_make_int(apr_pool_t *pool, apr_int64_t number)
{
    djs_value_t *value = djs_value_new(pool, DJS_TYPE_INT);

    value->as.number = number;
    return value;
}

/* 1 and the number if `digits` fits 64 bits. Digits were checked by the caller. */
static int fits_int64(djs_bytes_t digits, apr_int64_t *number)
{
    int negative = digits.len > 0 && digits.data[0] == '-';
    apr_uint64_t limit = (apr_uint64_t)APR_INT64_MAX + (negative ? 1 : 0), sum = 0;
    apr_size_t i;

    for (i = negative ? 1 : 0; i < digits.len; i++) {
        unsigned int digit = (unsigned int)(digits.data[i] - '0');

        if (sum > (limit - digit) / 10) {
            return 0;
        }
        sum = sum * 10 + digit;
    }
    *number = negative ? (apr_int64_t)(0 - sum) : (apr_int64_t)sum;
    return 1;
}

djs_value_t *djs_value_make_wide_int(apr_pool_t *pool, djs_bytes_t digits)
{
    djs_value_t *value = djs_value_new(pool, DJS_TYPE_INT);

    if (!fits_int64(digits, &value->as.number)) {
        value->wide = 1;
        value->as.text = djs_bytes_copy(pool, digits);
    }
    return value;
}

djs_value_t *djs_value_make_float(apr_pool_t *pool, double number)
{
    djs_value_t *value = djs_value_new(pool, DJS_TYPE_FLOAT);

    value->as.real = number;
    return value;
}

djs_value_t *djs_value_wrap_str(apr_pool_t *pool, djs_bytes_t text)
{
    djs_value_t *value = djs_value_new(pool, DJS_TYPE_STR);

    value->as.text = text;
    return value;
}

djs_value_t *djs_value_make_str(apr_pool_t *pool, djs_bytes_t text)
{
    return djs_value_wrap_str(pool, djs_bytes_copy(pool, text));
}

djs_value_t *djs_value_make_list(apr_pool_t *pool)
{
    return djs_value_new(pool, DJS_TYPE_LIST);
}

djs_value_t *djs_value_make_dict(apr_pool_t *pool)
{
    return djs_value_new(pool, DJS_TYPE_DICT);
}

/* ---- looking ------------------------------------------------------------------------------ */

/* What an accessor may look into. Reading a value does not change what it is, so it stays const for
 * the caller, though its text may become a tree here. */
static djs_value_t *resolved(const djs_value_t *value)
{
    djs_value_t *mine = (djs_value_t *)value;

    if (mine->lazy) {
        djs_json_resolve(mine);
    }
    return mine;
}

djs_type_t djs_value_type(const djs_value_t *value)
{
    return (djs_type_t)value->type;
}

const char *djs_value_type_name(const djs_value_t *value)
{
    static const char *const names[] = { "NoneType", "bool", "int", "float", "str", "list",
                                         "dict" };

    return names[value->type];
}

int djs_value_truthy(const djs_value_t *value)
{
    djs_value_t *mine = resolved(value);

    switch (djs_value_type(mine)) {
    case DJS_TYPE_NULL:
        return 0;
    case DJS_TYPE_BOOL:
        return mine->as.truth;
    case DJS_TYPE_INT:
        return mine->wide || mine->as.number != 0;
    case DJS_TYPE_FLOAT:
        return mine->as.real != 0.0;
    case DJS_TYPE_STR:
        return mine->as.text.len > 0;
    case DJS_TYPE_LIST:
    case DJS_TYPE_DICT:
        return djs_value_len(mine) > 0;
    }
    return 0;
}

int djs_value_bool(const djs_value_t *value)
{
    return resolved(value)->as.truth;
}

int djs_value_int64(const djs_value_t *value, apr_int64_t *number)
{
    djs_value_t *mine = resolved(value);

    if (mine->wide) {
        return 0;
    }
    *number = mine->as.number;
    return 1;
}

djs_bytes_t djs_value_int_digits(const djs_value_t *value, apr_pool_t *pool)
{
    djs_value_t *mine = resolved(value);

    return mine->wide ? mine->as.text
                      : djs_bytes(apr_psprintf(pool, "%" APR_INT64_T_FMT, mine->as.number));
}

double djs_value_float(const djs_value_t *value)
{
    return resolved(value)->as.real;
}

djs_bytes_t djs_value_str(const djs_value_t *value)
{
    return resolved(value)->as.text;
}

/* ---- lists -------------------------------------------------------------------------------- */

/* An array of `size` bytes an item with room for one more than `used`. */
static void *grown(apr_pool_t *pool, void *old, apr_size_t used, apr_size_t *room, apr_size_t size)
{
    void *larger;

    if (used < *room) {
        return old;
    }
    *room = *room == 0 ? 8 : *room * 2;
    larger = apr_palloc(pool, *room * size);
    if (used > 0) {
        memcpy(larger, old, used * size);
    }
    return larger;
}

djs_value_t *djs_value_at(const djs_value_t *list, apr_size_t i)
{
    djs_items_t *items = &resolved(list)->as.list;

    return i < items->used ? items->items[i] : NULL;
}

void djs_value_append(djs_value_t *list, djs_value_t *item)
{
    djs_items_t *items = &resolved(list)->as.list;

    items->items = grown(list->pool, items->items, items->used, &items->room,
                         sizeof(*items->items));
    items->items[items->used++] = item;
}

/* ---- dicts -------------------------------------------------------------------------------- */

static apr_uint64_t rotated(apr_uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static void sip_round(apr_uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotated(v[1], 13) ^ v[0];
    v[0] = rotated(v[0], 32);
    v[2] += v[3];
    v[3] = rotated(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotated(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotated(v[1], 17) ^ v[2];
    v[2] = rotated(v[2], 32);
}

/* SipHash-1-3, as CPython's dictionaries since 3.11: keys that collide cannot be made without the
 * seed. */
static apr_uint64_t hash_of(const apr_uint64_t seed[2], djs_bytes_t key)
{
    apr_uint64_t v[4] = { seed[0] ^ APR_UINT64_C(0x736f6d6570736575),
                          seed[1] ^ APR_UINT64_C(0x646f72616e646f6d),
                          seed[0] ^ APR_UINT64_C(0x6c7967656e657261),
                          seed[1] ^ APR_UINT64_C(0x7465646279746573) };
    apr_size_t left = key.len, i;
    const char *at = key.data;
    apr_uint64_t word;

    for (; left >= 8; left -= 8, at += 8) {
        memcpy(&word, at, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = (apr_uint64_t)key.len << 56;
    for (i = 0; i < left; i++) {
        word |= (apr_uint64_t)(unsigned char)at[i] << (8 * i);
    }
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The slot that holds `key`, or the empty one where it would go. */
static apr_uint32_t *find_slot(const djs_dict_t *dict, djs_bytes_t key)
{
    apr_size_t mask = dict->slot_count - 1, at = (apr_size_t)hash_of(dict->seed, key) & mask;

    while (dict->slots[at] != 0
           && !djs_bytes_equal(dict->members[dict->slots[at] - 1].key, key)) {
        at = (at + 1) & mask;
    }
    return &dict->slots[at];
}

/* Make the index anew, for twice as many members as there are. */
static void index_members(apr_pool_t *pool, djs_dict_t *dict)
{
    djs_ctx_t chance = { .pool = pool };
    apr_size_t i;

    if (dict->slots == NULL && djs_random(&chance, dict->seed, sizeof(dict->seed)) != APR_SUCCESS) {
        /* Without chance the addresses of this process have to do: slower at worst, never wrong. */
        dict->seed[0] = (apr_uint64_t)(apr_uintptr_t)dict;
        dict->seed[1] = (apr_uint64_t)(apr_uintptr_t)pool;
    }
    dict->slot_count = 32;
    while (dict->slot_count < dict->used * 4) {
        dict->slot_count *= 2;
    }
    dict->slots = apr_pcalloc(pool, dict->slot_count * sizeof(*dict->slots));
    for (i = 0; i < dict->used; i++) {
        *find_slot(dict, dict->members[i].key) = (apr_uint32_t)(i + 1);
    }
}

/* Squeeze out what was deleted. */
static void close_holes(djs_value_t *value)
{
    djs_dict_t *dict = &value->as.dict;
    apr_size_t i, kept = 0;

    if (dict->holes == 0) {
        return;
    }
    for (i = 0; i < dict->used; i++) {
        if (dict->members[i].value != NULL) {
            dict->members[kept++] = dict->members[i];
        }
    }
    dict->used = kept;
    dict->holes = 0;
    if (dict->slots != NULL) {
        index_members(value->pool, dict);
    }
}

/* The member under `key`, a deleted one too, or NULL. */
static djs_member_t *find_member(const djs_dict_t *dict, djs_bytes_t key)
{
    apr_size_t i;

    if (dict->slots != NULL) {
        apr_uint32_t number = *find_slot(dict, key);

        return number != 0 ? &dict->members[number - 1] : NULL;
    }
    for (i = 0; i < dict->used; i++) {
        if (djs_bytes_equal(dict->members[i].key, key)) {
            return &dict->members[i];
        }
    }
    return NULL;
}

djs_value_t *djs_value_get(const djs_value_t *dict, djs_bytes_t key)
{
    const djs_member_t *member = find_member(&resolved(dict)->as.dict, key);

    return member != NULL ? member->value : NULL;
}

/* A new member at the end; `key` is not there. */
static void add_member(djs_value_t *value, djs_bytes_t key, djs_value_t *item)
{
    djs_dict_t *dict = &value->as.dict;

    dict->members = grown(value->pool, dict->members, dict->used, &dict->room,
                          sizeof(*dict->members));
    dict->members[dict->used].key = key;
    dict->members[dict->used].value = item;
    dict->used++;
    if (dict->slots != NULL && dict->used * 2 <= dict->slot_count) {
        *find_slot(dict, key) = (apr_uint32_t)dict->used;
    }
    else if (dict->used >= DJS_DICT_INDEX_MIN) {
        index_members(value->pool, dict);
    }
}

void djs_value_set_owned(djs_value_t *value, djs_bytes_t key, djs_value_t *item)
{
    djs_member_t *member = find_member(&resolved(value)->as.dict, key);

    if (member != NULL && member->value == NULL) {
        /* Deleted and set again: it goes to the end, as in Python. */
        close_holes(value);
        member = NULL;
    }
    if (member != NULL) {
        member->value = item;
        return;
    }
    add_member(value, key, item);
}

void djs_value_set(djs_value_t *dict, djs_bytes_t key, djs_value_t *item)
{
    djs_member_t *member = find_member(&resolved(dict)->as.dict, key);

    if (member != NULL && member->value != NULL) {
        member->value = item;
        return;
    }
    djs_value_set_owned(dict, djs_bytes_copy(dict->pool, key), item);
}

int djs_value_delete(djs_value_t *value, djs_bytes_t key)
{
    djs_dict_t *dict = &resolved(value)->as.dict;
    djs_member_t *member = find_member(dict, key);

    if (member == NULL || member->value == NULL) {
        return 0;
    }
    member->value = NULL;
    dict->holes++;
    return 1;
}

void djs_value_clear(djs_value_t *value)
{
    memset(&resolved(value)->as.dict, 0, sizeof(value->as.dict));
}

int djs_value_member(const djs_value_t *value, apr_size_t i, djs_bytes_t *key, djs_value_t **item)
{
    djs_value_t *mine = resolved(value);

    close_holes(mine);
    if (i >= mine->as.dict.used) {
        return 0;
    }
    *key = mine->as.dict.members[i].key;
    *item = mine->as.dict.members[i].value;
    return 1;
}

apr_size_t djs_value_len(const djs_value_t *container)
{
    djs_value_t *mine = resolved(container);

    return mine->type == DJS_TYPE_LIST ? mine->as.list.used
                                       : mine->as.dict.used - mine->as.dict.holes;
}

djs_value_t *djs_value_copy_shallow(apr_pool_t *pool, const djs_value_t *container)
{
    djs_value_t *copy = djs_value_new(pool, djs_value_type(container)), *item;
    djs_bytes_t key;
    apr_size_t i;

    if (copy->type == DJS_TYPE_LIST) {
        for (i = 0; i < djs_value_len(container); i++) {
            djs_value_append(copy, djs_value_at(container, i));
        }
        return copy;
    }
    for (i = 0; djs_value_member(container, i, &key, &item); i++) {
        djs_value_set(copy, key, item);
    }
    return copy;
}

/* ---- numbers ------------------------------------------------------------------------------ */

/* bool, int, float: Python's numbers. */
static int is_number(const djs_value_t *value)
{
    return value->type == DJS_TYPE_BOOL || value->type == DJS_TYPE_INT
           || value->type == DJS_TYPE_FLOAT;
}

/* A bool or int as its digits. */
static djs_bytes_t digits_of(apr_pool_t *pool, const djs_value_t *value)
{
    if (value->type == DJS_TYPE_BOOL) {
        return djs_bytes(djs_value_bool(value) ? "1" : "0");
    }
    return djs_value_int_digits(value, pool);
}

/* A bool or int as int64; 0 when it is wider. */
static int small_int(const djs_value_t *value, apr_int64_t *number)
{
    if (value->type == DJS_TYPE_BOOL) {
        *number = djs_value_bool(value);
        return 1;
    }
    return djs_value_int64(value, number);
}

/* float(value) of Python; 0 for an int that is too large (OverflowError). */
static int as_float(apr_pool_t *pool, const djs_value_t *value, double *number)
{
    apr_int64_t small;

    if (value->type == DJS_TYPE_FLOAT) {
        *number = djs_value_float(value);
        return 1;
    }
    if (small_int(value, &small)) {
        *number = (double)small;
        return 1;
    }
    /* Digits alone: no locale has a say. */
    *number = strtod(digits_of(pool, value).data, NULL);
    return isfinite(*number) != 0;
}

static djs_value_t *add_wide(apr_pool_t *pool, djs_bytes_t a, djs_bytes_t b)
{
    BIGNUM *sum = NULL, *other = NULL;
    djs_value_t *result = NULL;
    char *digits = NULL;

    if (BN_dec2bn(&sum, a.data) > 0 && BN_dec2bn(&other, b.data) > 0
        && BN_add(sum, sum, other) == 1) {
        digits = BN_bn2dec(sum);
    }
    if (digits != NULL && strlen(digits) - (digits[0] == '-') <= DJS_INT_DIGITS_MAX) {
        result = djs_value_make_wide_int(pool, djs_bytes(digits));
    }
    OPENSSL_free(digits);
    BN_free(sum);
    BN_free(other);
    return result;
}

djs_value_t *djs_value_add(apr_pool_t *pool, const djs_value_t *a, const djs_value_t *b)
{
    apr_int64_t x, y, sum;
    double p, q;

    if (!is_number(a) || !is_number(b)) {
        return NULL;
    }
    if (a->type == DJS_TYPE_FLOAT || b->type == DJS_TYPE_FLOAT) {
        return as_float(pool, a, &p) && as_float(pool, b, &q) ? djs_value_make_float(pool, p + q)
                                                              : NULL;
    }
    if (small_int(a, &x) && small_int(b, &y) && !__builtin_add_overflow(x, y, &sum)) {
        return djs_value_make_int(pool, sum);
    }
    return add_wide(pool, digits_of(pool, a), digits_of(pool, b));
}

/* ---- comparing ---------------------------------------------------------------------------- */

/* Python compares an int with a float exactly, whatever their sizes. */
static int int_equals_float(const djs_value_t *whole, double real)
{
    apr_pool_t *pool = whole->pool;
    djs_bytes_t digits;

    if (!isfinite(real) || real != floor(real)) {
        return 0;
    }
    digits = digits_of(pool, whole);
    if (real == 0.0) {
        return djs_bytes_is(digits, "0");
    }
    if (digits.len > 320) {
        return 0;
    }
    /* All digits, exactly; glibc's printf does not round. apr's would. */
    {
        char text[340];

        snprintf(text, sizeof(text), "%.0f", real);
        return djs_bytes_is(digits, text);
    }
}

static int numbers_equal(const djs_value_t *a, const djs_value_t *b)
{
    if (a->type == DJS_TYPE_FLOAT && b->type == DJS_TYPE_FLOAT) {
        return djs_value_float(a) == djs_value_float(b);
    }
    if (a->type == DJS_TYPE_FLOAT) {
        return int_equals_float(b, djs_value_float(a));
    }
    if (b->type == DJS_TYPE_FLOAT) {
        return int_equals_float(a, djs_value_float(b));
    }
    return djs_bytes_equal(digits_of(a->pool, a), digits_of(b->pool, b));
}

static int lists_equal(const djs_value_t *a, const djs_value_t *b)
{
    apr_size_t i, len = djs_value_len(a);

    for (i = 0; i < len; i++) {
        if (!djs_value_equal(djs_value_at(a, i), djs_value_at(b, i))) {
            return 0;
        }
    }
    return 1;
}

static int dicts_equal(const djs_value_t *a, const djs_value_t *b)
{
    djs_value_t *mine, *other;
    djs_bytes_t key;
    apr_size_t i;

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
    if (a->type == DJS_TYPE_NULL) {
        return 1;
    }
    if (a->type == DJS_TYPE_STR) {
        return djs_bytes_equal(djs_value_str(a), djs_value_str(b));
    }
    if (djs_value_len(a) != djs_value_len(b)) {
        return 0;
    }
    return a->type == DJS_TYPE_LIST ? lists_equal(a, b) : dicts_equal(a, b);
}

/* ---- selectors ---------------------------------------------------------------------------- */

/* The next reference token of a pointer, "~1" and "~0" undone; `*at` moves behind it. */
static djs_bytes_t next_token(apr_pool_t *pool, const char **at)
{
    const char *from = *at;
    apr_size_t len = strcspn(from, "/"), i, used = 0;
    char *token = apr_palloc(pool, len + 1);

    for (i = 0; i < len; i++) {
        if (from[i] == '~' && i + 1 < len) {
            i++;
            token[used++] = from[i] == '1' ? '/' : '~';
        }
        else {
            token[used++] = from[i];
        }
    }
    token[used] = '\0';
    *at = from + len;
    return djs_bytes_of(token, used);
}

/* An array index of RFC 6901: "0", or digits without a leading zero. */
static djs_value_t *item_at(const djs_value_t *list, djs_bytes_t token)
{
    apr_int64_t number;
    apr_size_t i;

    if (token.len == 0 || (token.len > 1 && token.data[0] == '0')) {
        return NULL;
    }
    for (i = 0; i < token.len; i++) {
        if (token.data[i] < '0' || token.data[i] > '9') {
            return NULL;
        }
    }
    return fits_int64(token, &number) ? djs_value_at(list, (apr_size_t)number) : NULL;
}

djs_value_t *djs_value_select(const djs_value_t *dict, const char *selector)
{
    djs_value_t *here = (djs_value_t *)dict;
    const char *at = selector;

    if (*selector != '/') {
        return djs_value_get(dict, djs_bytes(selector));
    }
    while (here != NULL && *at == '/') {
        djs_bytes_t token;

        at++;
        token = next_token(dict->pool, &at);
        if (here->type == DJS_TYPE_DICT) {
            here = djs_value_get(here, token);
        }
        else {
            here = here->type == DJS_TYPE_LIST ? item_at(here, token) : NULL;
        }
    }
    return here;
}

int djs_value_selector_is_valid(const char *selector)
{
    const char *at;

    if (*selector == '\0') {
        return 0;
    }
    if (*selector != '/') {
        return 1;
    }
    for (at = selector; *at != '\0'; at++) {
        if (*at == '~' && at[1] != '0' && at[1] != '1') {
            return 0;
        }
    }
    return 1;
}
