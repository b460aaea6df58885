/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked of values: are two the same, what is their sum, what does a selector name.
 */
#include "value_impl.h"

#include <float.h>
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
