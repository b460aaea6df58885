/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked of values: are two the same, what is their sum, what does a selector name.
 */
#include "value_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/crypto.h>

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
    char text[DJS_VALUE_WHOLE_SIZE];

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

static int sets_equal(const djs_value_t *a, const djs_value_t *b)
{
    djs_bytes_t key;
    djs_value_t *item;
    apr_size_t i;

    if (djs_value_len(a) != djs_value_len(b)) {
        return 0;
    }
    for (i = 0; djs_value_member(a, i, &key, &item); i++) {
        if (djs_value_get(b, key) == NULL) {
            return 0;
        }
    }
    return 1;
}

static int is_set(const djs_value_t *value)
{
    return value->type == DJS_TYPE_SET || value->type == DJS_TYPE_FROZENSET;
}

static int has_bytes(const djs_value_t *value)
{
    return value->type == DJS_TYPE_BYTES || value->type == DJS_TYPE_BYTEARRAY;
}

/* Types that are equal only to their own. */
static int like_equal(const djs_value_t *a, const djs_value_t *b)
{
    switch (a->type) {
    case DJS_TYPE_NULL:
        return 1;
    case DJS_TYPE_STR:
        return djs_bytes_equal(djs_value_str(a), djs_value_str(b));
    case DJS_TYPE_LIST:
    case DJS_TYPE_TUPLE:
        return lists_equal(a, b);
    case DJS_TYPE_DICT:
        return dicts_equal(a, b);
    default:
        return djs_value_scalars_equal(a, b);
    }
}

int djs_value_equal(const djs_value_t *a, const djs_value_t *b)
{
    if (is_number(a) && is_number(b)) {
        return numbers_equal(a, b);
    }
    if (a->type == b->type) {
        return is_set(a) ? sets_equal(a, b) : like_equal(a, b);
    }
    if (is_set(a) && is_set(b)) {
        return sets_equal(a, b);
    }
    if (has_bytes(a) && has_bytes(b)) {
        return djs_bytes_equal(djs_value_str(a), djs_value_str(b));
    }
    if ((is_number(a) && b->type == DJS_TYPE_DECIMAL) ||
        (is_number(b) && a->type == DJS_TYPE_DECIMAL)) {
        return djs_value_scalars_equal(a, b);
    }
    return 0;
}

/* ---- Sameness -------------------------------------------------------------------------------- */

/* NULL: there is none. */
static int optional_same(const djs_value_t *a, const djs_value_t *b)
{
    return a == NULL || b == NULL ? a == b : djs_value_same(a, b);
}

static int members_same(const djs_value_t *a, const djs_value_t *b)
{
    djs_bytes_t mine, theirs;
    djs_value_t *value, *other;
    apr_size_t i;

    if (djs_value_len(a) != djs_value_len(b)) {
        return 0;
    }
    for (i = 0; djs_value_member(a, i, &mine, &value); i++) {
        const djs_value_t *name = djs_value_key(a, i);

        if (!djs_value_member(b, i, &theirs, &other) || !optional_same(name, djs_value_key(b, i)) ||
            (name == NULL && !djs_bytes_equal(mine, theirs)) || !djs_value_same(value, other)) {
            return 0;
        }
    }
    return 1;
}

static int items_same(const djs_value_t *a, const djs_value_t *b)
{
    apr_size_t i, len = djs_value_len(a);

    if (len != djs_value_len(b)) {
        return 0;
    }
    for (i = 0; i < len; i++) {
        if (!djs_value_same(djs_value_at(a, i), djs_value_at(b, i))) {
            return 0;
        }
    }
    return 1;
}

static int floats_same(double a, double b)
{
    return (isnan(a) && isnan(b)) || (a == b && signbit(a) == signbit(b));
}

int djs_value_same(const djs_value_t *a, const djs_value_t *b)
{
    if (a == b) {
        return 1;
    }
    if (a->type != b->type) {
        return 0;
    }
    switch (a->type) {
    case DJS_TYPE_FLOAT:
        return floats_same(djs_value_float(a), djs_value_float(b));
    case DJS_TYPE_LIST:
    case DJS_TYPE_TUPLE:
        return items_same(a, b);
    case DJS_TYPE_DICT:
    case DJS_TYPE_SET:
    case DJS_TYPE_FROZENSET:
        return members_same(a, b);
    case DJS_TYPE_DATETIME:
    case DJS_TYPE_DATE:
    case DJS_TYPE_TIME:
        return a->as.time.local == b->as.time.local && a->as.time.fold == b->as.time.fold &&
               optional_same(a->as.time.zone, b->as.time.zone);
    case DJS_TYPE_TIMEZONE:
        return a->as.zone.kind == b->as.zone.kind && a->as.zone.offset == b->as.zone.offset &&
               optional_same(a->as.zone.name, b->as.zone.name);
    case DJS_TYPE_DECIMAL:
        return djs_bytes_equal(a->as.text, b->as.text);
    case DJS_TYPE_UUID:
        return a->as.uuid.safety == b->as.uuid.safety && djs_value_equal(a, b);
    default:
        return djs_value_equal(a, b);
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

/* "0", "-12": as Python writes an integer of few digits. */
static int is_integer(djs_bytes_t text)
{
    apr_size_t i = text.len > 0 && text.data[0] == '-';
    const apr_size_t first = i;

    if (text.len > 20 || i == text.len || (text.data[i] == '0' && text.len > 1)) {
        return 0;
    }
    for (; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return 0;
        }
    }
    return i > first;
}

/* Member of a dict by name. An integer's digits are the key of that integer, too, as in JSON. */
static djs_value_t *select_name(const djs_value_t *dict, djs_bytes_t name)
{
    djs_value_t *found = djs_value_get(dict, name);

    if (found == NULL && is_integer(name)) {
        found = djs_value_get_key(dict, djs_value_make_wide_int(dict->pool, name));
    }
    return found;
}

/* Member of a dict by a pointer's token, in which "~1" is "/" and "~0" is "~". */
static djs_value_t *select_member(const djs_value_t *dict, djs_bytes_t token)
{
    char *key;
    apr_size_t i, len = 0;

    if (token.len == 0 || memchr(token.data, '~', token.len) == NULL) {
        return select_name(dict, token);
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

static int has_items(const djs_value_t *value)
{
    return value->type == DJS_TYPE_LIST || value->type == DJS_TYPE_TUPLE;
}

djs_value_t *djs_value_select(const djs_value_t *dict, const char *selector)
{
    djs_value_t *found = (djs_value_t *)dict;

    if (dict->type != DJS_TYPE_DICT) {
        return NULL;
    }
    if (selector[0] != '/') {
        return select_name(dict, djs_bytes(selector));
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
            found = has_items(found) ? select_item(found, token) : NULL;
        }
    }
    return found;
}
