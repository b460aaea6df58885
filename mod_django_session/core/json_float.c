/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floats as Python's repr() writes them and float() reads them, whatever the locale.
 */
#include "json_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Reading --------------------------------------------------------------------------------- */

/* The number behind "e", held at where nothing but zero or infinity comes out any more. */
static long read_exponent(const char *at, const char *end)
{
    const int negative = *at == '-';
    long exponent = 0;

    for (; at < end; at++) {
        if (djs_json_is_digit(*at) && exponent < 100000000) {
            exponent = exponent * 10 + (*at - '0');
        }
    }
    return negative ? -exponent : exponent;
}

/* 1.25e2 is given to strtod() as 125e0: without a decimal point no locale has a say. */
double djs_json_read_float(apr_pool_t *pool, djs_bytes_t text)
{
    const char *at = text.data, *end = text.data + text.len;
    char brief[64];
    char *copy = text.len + 24 < sizeof(brief) ? brief : apr_palloc(pool, text.len + 24);
    char *out = copy;
    long exponent = 0;
    int behind_point = 0;

    for (; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            behind_point = 1;
        }
        else {
            *out++ = *at;
            exponent -= behind_point;
        }
    }
    if (at < end) {
        exponent += read_exponent(at + 1, end);
    }
    snprintf(out, 24, "e%ld", exponent);
    return strtod(copy, NULL);
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* A finite float in decimal: 0.d1d2d3... * 10^point, rounded to so many digits. */
typedef struct decimal_t {
    char digits[17 + 1];
    int count, point;
} decimal_t;

static double decimal_value(const decimal_t *decimal)
{
    char text[40];

    snprintf(text, sizeof(text), "%.*se%d", decimal->count, decimal->digits,
             decimal->point - decimal->count);
    return strtod(text, NULL);
}

/* The decimal of @a count digits that is nearest to a positive number. */
static void round_to(double number, int count, decimal_t *decimal)
{
    char text[40];
    const char *from = text;
    int i = 0;

    snprintf(text, sizeof(text), "%.*e", count - 1, number);
    for (; *from != 'e'; from++) { /* whatever stands for the decimal point */
        if (djs_json_is_digit(*from)) {
            decimal->digits[i++] = *from;
        }
    }
    decimal->digits[i] = '\0';
    decimal->count = i;
    decimal->point = atoi(from + 1) + 1;
}

/* The decimal of as many digits above this one. */
static void step_up(decimal_t *decimal)
{
    int i = decimal->count - 1;

    while (i > 0 && decimal->digits[i] == '9') {
        decimal->digits[i--] = '0';
    }
    if (decimal->digits[i] < '9') {
        decimal->digits[i]++;
        return;
    }
    decimal->digits[0] = '1';
    decimal->point++;
}

/* The decimal of @a count digits that reads back as @a number, the nearest; 0 if there is none. */
static int reads_back(double number, int count, decimal_t *decimal)
{
    int exponent;

    round_to(number, count, decimal);
    if (decimal_value(decimal) == number) {
        return 1;
    }
    if (frexp(number, &exponent) != 0.5) {
        return 0;
    }
    /* Below a power of two floats lie closer together: what is too far below may fit above. */
    step_up(decimal);
    return decimal_value(decimal) == number;
}

/*
 * The shortest decimal that reads back as @a number, which is positive; of several the nearest.
 *
 * 15 digits belong to different normal floats each, so when they read back a shorter form can only
 * be the same digits without zeros at the end. Subnormal ones have fewer, from 1 on.
 */
static void shortest(double number, decimal_t *decimal)
{
    int count = isnormal(number) ? 15 : 1;

    while (!reads_back(number, count, decimal) && count < 17) {
        count++;
    }
    while (decimal->count > 1 && decimal->digits[decimal->count - 1] == '0') {
        decimal->count--;
    }
}

/* repr()'s layout: an exponent below -4 or from 16 on, else at least one digit behind the point. */
static int lay_out(const decimal_t *decimal, char *out, size_t size)
{
    const char *digits = decimal->digits;
    const int count = decimal->count, point = decimal->point;

    if (point < -3 || point > 16) {
        return snprintf(out, size, "%c%s%.*se%c%02d", digits[0], count > 1 ? "." : "", count - 1,
                        digits + 1, point > 0 ? '+' : '-', abs(point - 1));
    }
    if (point <= 0) {
        return snprintf(out, size, "0.%.*s%.*s", -point, "000", count, digits);
    }
    if (point < count) {
        return snprintf(out, size, "%.*s.%.*s", point, digits, count - point, digits + point);
    }
    return snprintf(out, size, "%.*s%.*s.0", count, digits, point - count, "000000000000000");
}

int djs_json_float_repr(double number, char *out)
{
    const int negative = signbit(number) != 0;
    decimal_t decimal = { "0", 1, 1 };

    if (isnan(number)) {
        return snprintf(out, DJS_JSON_FLOAT_SIZE, "NaN");
    }
    if (isinf(number)) {
        return snprintf(out, DJS_JSON_FLOAT_SIZE, negative ? "-Infinity" : "Infinity");
    }
    if (number != 0) {
        shortest(fabs(number), &decimal);
    }
    if (negative) {
        *out = '-';
    }
    return negative + lay_out(&decimal, out + negative, DJS_JSON_FLOAT_SIZE - 1);
}
