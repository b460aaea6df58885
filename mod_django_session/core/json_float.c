/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floats as Python's repr() writes them and float() reads them, whatever the locale.
 */
#include "json_impl.h"

#include <float.h>
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

/* Whole numbers of more digits are not told apart by their floats. */
#define FEW_MAX 1e15

/* The digits of a whole number below FEW_MAX, but for zeros at their end. */
static void take_whole(apr_int64_t whole, decimal_t *decimal)
{
    char backwards[16];
    int i, count = 0;

    for (; whole > 0; whole /= 10) {
        backwards[count++] = (char)('0' + whole % 10);
    }
    for (i = 0; i < count; i++) {
        decimal->digits[i] = backwards[count - 1 - i];
    }
    decimal->digits[count] = '\0';
    decimal->count = decimal->point = count;
}

/*
 * Most floats were written by people, with few digits: a whole number of up to 15 of them over a
 * power of ten. Where that division gives the float back they are what is looked for: both numbers
 * are exact, so it is rounded once, as reading the digits would be (but where floats are calculated
 * with more digits than they have).
 */
static int has_few_digits(double number, decimal_t *decimal)
{
    static const double tens[] = { 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6 };
    int i;

    for (i = 0; FLT_EVAL_METHOD == 0 && i < (int)(sizeof(tens) / sizeof(tens[0])); i++) {
        double most = number * tens[i] + 0.5;
        apr_int64_t whole;

        if (most >= FEW_MAX) {
            return 0;
        }
        whole = (apr_int64_t)most;
        if ((double)whole / tens[i] == number) {
            take_whole(whole, decimal);
            decimal->point -= i;
            return 1;
        }
    }
    return 0;
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

    if (!has_few_digits(number, decimal)) {
        while (!reads_back(number, count, decimal) && count < 17) {
            count++;
        }
    }
    while (decimal->count > 1 && decimal->digits[decimal->count - 1] == '0') {
        decimal->count--;
    }
}

/* The digits at these places, which are zeros where there are none; 0 is the first one's. */
static char *put_digits(const decimal_t *decimal, int from, int to, char *out)
{
    for (; from < to; from++) {
        *out++ = (char)(from >= 0 && from < decimal->count ? decimal->digits[from] : '0');
    }
    return out;
}

/* repr()'s layout: an exponent below -4 or from 16 on, else at least one digit behind the point. */
static int lay_out(const decimal_t *decimal, char *out, size_t size)
{
    const int count = decimal->count, point = decimal->point;
    char *at = out;

    if (point < -3 || point > 16) {
        return snprintf(out, size, "%c%s%.*se%c%02d", decimal->digits[0], count > 1 ? "." : "",
                        count - 1, decimal->digits + 1, point > 0 ? '+' : '-', abs(point - 1));
    }
    if (point <= 0) {
        *at++ = '0';
    }
    at = put_digits(decimal, 0, point, at);
    *at++ = '.';
    at = put_digits(decimal, point, count > point ? count : point + 1, at);
    *at = '\0';
    return (int)(at - out);
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
