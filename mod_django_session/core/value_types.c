/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Python's types beyond JSON's, and keys of any type.
 *
 * Dictionaries find their members by bytes. A key that is no text gets bytes that equal keys share
 * and others do not, as hash() and == do in Python, but without collisions:
 *
 *     hash     = FF item                         FF is in no UTF-8, so it is never a text's
 *     item     = "N"                             None
 *              | "i" digits "e" exponent NUL     bool, int, float, Decimal: a whole number, without
 *                                                zeros at the end
 *              | "f" double                      float, Decimal: a fraction that a float has exactly
 *              | "d" digits "e" exponent NUL     any other Decimal
 *              | "n" address                     NaN is equal to nothing else
 *              | "s" bytes  |  "b" bytes         str in a tuple; bytes
 *              | "(" count item ...              tuple
 *              | "{" count bytes ...             frozenset: its members' keys, sorted
 *              | "A" instant | "D" local         datetime, aware and naive; fold counts for nothing
 *              | "C" local                       date
 *              | "O" instant | "T" local         time, aware and naive
 *              | "t" days seconds usec           timedelta
 *              | "z" kind offset                 timezone
 *              | "u" 16 bytes                    UUID
 *     bytes    = length, and so many
 */
#include "value_impl.h"
#include "encode.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Making and reading ---------------------------------------------------------------------- */

djs_value_t *djs_value_make_bytes(apr_pool_t *pool, djs_type_t type, djs_bytes_t bytes)
{
    djs_value_t *value = djs_value_make(pool, type);

    value->as.text = djs_bytes_copy(pool, bytes);
    return value;
}

djs_value_t *djs_value_make_group(apr_pool_t *pool, djs_type_t type)
{
    return djs_value_make(pool, type);
}

djs_value_t *djs_value_make_time(apr_pool_t *pool, djs_type_t type, apr_time_t local,
                                 djs_value_t *zone, int fold)
{
    djs_value_t *value = djs_value_make(pool, type);

    value->as.time.local = local;
    value->as.time.zone = zone;
    value->as.time.fold = fold != 0;
    return value;
}

djs_value_t *djs_value_make_span(apr_pool_t *pool, djs_span_t span)
{
    djs_value_t *value = djs_value_make(pool, DJS_TYPE_TIMEDELTA);

    value->as.span = span;
    return value;
}

djs_value_t *djs_value_make_timezone(apr_pool_t *pool, djs_timezone_t kind,
                                     apr_interval_time_t offset, djs_value_t *name)
{
    djs_value_t *value = djs_value_make(pool, DJS_TYPE_TIMEZONE);

    value->as.zone.kind = kind;
    value->as.zone.offset = offset;
    value->as.zone.name = name;
    return value;
}

void djs_value_fill_uuid(djs_value_t *uuid, const unsigned char bytes[16],
                         djs_uuid_safety_t safety)
{
    memcpy(uuid->as.uuid.bytes, bytes, sizeof(uuid->as.uuid.bytes));
    uuid->as.uuid.safety = safety;
}

djs_value_t *djs_value_make_uuid(apr_pool_t *pool, const unsigned char bytes[16],
                                 djs_uuid_safety_t safety)
{
    djs_value_t *value = djs_value_make(pool, DJS_TYPE_UUID);

    djs_value_fill_uuid(value, bytes, safety);
    return value;
}

djs_moment_t djs_value_moment(const djs_value_t *value)
{
    djs_moment_t moment = { 0, 0, 0 };

    moment.local = value->as.time.local;
    if (value->as.time.zone != NULL) {
        moment.aware = 1;
        moment.offset = value->as.time.zone->as.zone.offset;
    }
    return moment;
}

djs_value_t *djs_value_zone(const djs_value_t *value)
{
    return value->as.time.zone;
}

int djs_value_fold(const djs_value_t *value)
{
    return value->as.time.fold;
}

djs_span_t djs_value_span(const djs_value_t *value)
{
    return value->as.span;
}

djs_timezone_t djs_value_timezone(const djs_value_t *value, apr_interval_time_t *offset,
                                  djs_value_t **name)
{
    *offset = value->as.zone.offset;
    *name = value->as.zone.name;
    return value->as.zone.kind;
}

const unsigned char *djs_value_uuid(const djs_value_t *value, djs_uuid_safety_t *safety)
{
    *safety = value->as.uuid.safety;
    return value->as.uuid.bytes;
}

/* ---- Decimals -------------------------------------------------------------------------------- */

/** Exponents of more digits are beyond what Python's Decimal holds, or nearly. */
#define EXPONENT_DIGITS 17

typedef enum decimal_kind_t { NO_DECIMAL, FINITE, INFINITE, QUIET_NAN, SIGNALING_NAN } decimal_kind_t;

/* A Decimal's text in its parts. */
typedef struct decimal_t {
    decimal_kind_t kind;
    int negative;
    djs_bytes_t whole, fraction; /* digits */
    apr_int64_t exponent;
} decimal_t;

static djs_bytes_t take_digits(const char **at, const char *end)
{
    const char *from = *at;

    while (*at < end && **at >= '0' && **at <= '9') {
        (*at)++;
    }
    return djs_bytes_of(from, (apr_size_t)(*at - from));
}

static int take_exponent(const char **at, const char *end, apr_int64_t *exponent)
{
    const char *from = *at;
    djs_bytes_t digits;
    apr_size_t i;

    *exponent = 0;
    if (from == end || (*from != 'E' && *from != 'e')) {
        return 1;
    }
    from++;
    from += from < end && (*from == '+' || *from == '-');
    *at = from;
    digits = take_digits(at, end);
    for (i = 0; i < digits.len && i < EXPONENT_DIGITS; i++) {
        *exponent = *exponent * 10 + (digits.data[i] - '0');
    }
    if (from[-1] == '-') {
        *exponent = -*exponent;
    }
    return digits.len > 0 && digits.len <= EXPONENT_DIGITS;
}

static decimal_kind_t special_kind(djs_bytes_t word)
{
    const char *at = word.data;

    if (djs_bytes_is(word, "Infinity")) {
        return INFINITE;
    }
    if (word.len >= 3 && memcmp(at, "NaN", 3) == 0) {
        at += 3;
        (void)take_digits(&at, word.data + word.len);
        return at == word.data + word.len ? QUIET_NAN : NO_DECIMAL;
    }
    if (word.len >= 4 && memcmp(at, "sNaN", 4) == 0) {
        at += 4;
        (void)take_digits(&at, word.data + word.len);
        return at == word.data + word.len ? SIGNALING_NAN : NO_DECIMAL;
    }
    return NO_DECIMAL;
}

static decimal_t parse_decimal(djs_bytes_t text)
{
    const char *at = text.data, *end = text.data + text.len;
    decimal_t decimal = { NO_DECIMAL, 0, { NULL, 0 }, { NULL, 0 }, 0 };

    if (at < end && (*at == '-' || *at == '+')) {
        decimal.negative = *at == '-';
        at++;
    }
    decimal.whole = take_digits(&at, end);
    if (at < end && *at == '.') {
        at++;
        decimal.fraction = take_digits(&at, end);
    }
    if (decimal.whole.len + decimal.fraction.len == 0) {
        decimal.kind = special_kind(djs_bytes_of(at, (apr_size_t)(end - at)));
        return decimal;
    }
    if (take_exponent(&at, end, &decimal.exponent) && at == end) {
        decimal.kind = FINITE;
    }
    return decimal;
}

djs_value_t *djs_value_make_decimal(apr_pool_t *pool, djs_bytes_t digits)
{
    djs_value_t *value;

    if (digits.len == 0 || parse_decimal(digits).kind == NO_DECIMAL) {
        return NULL;
    }
    value = djs_value_make(pool, DJS_TYPE_DECIMAL);
    value->as.text = djs_bytes_copy(pool, digits);
    return value;
}

/* ---- Writing hashes -------------------------------------------------------------------------- */

/* Counts when it has nowhere to write. */
typedef struct sink_t {
    char *out; /* NULL: only count */
    apr_size_t len;
} sink_t;

static void put(sink_t *to, const void *data, apr_size_t len)
{
    if (to->out != NULL && len > 0) {
        memcpy(to->out + to->len, data, len);
    }
    to->len += len;
}

static void put_char(sink_t *to, char c)
{
    put(to, &c, 1);
}

static void put_number(sink_t *to, apr_int64_t number)
{
    put(to, &number, sizeof(number));
}

static void put_counted(sink_t *to, char kind, djs_bytes_t bytes)
{
    put_char(to, kind);
    put_number(to, (apr_int64_t)bytes.len);
    put(to, bytes.data, bytes.len);
}

static void put_address(sink_t *to, const djs_value_t *nan)
{
    put_char(to, 'n');
    put(to, &nan, sizeof(nan));
}

/* ---- Hashes of numbers ----------------------------------------------------------------------- */

/* A number without what does not count: no zeros at either end. */
typedef struct plain_t {
    int negative;
    const char *digits;
    apr_size_t count;     /* 0: the number is 0 */
    apr_int64_t exponent; /* of the last digit */
} plain_t;

static plain_t strip(int negative, const char *digits, apr_size_t count, apr_int64_t exponent)
{
    plain_t plain;

    while (count > 0 && *digits == '0') {
        digits++;
        count--;
    }
    while (count > 0 && digits[count - 1] == '0') {
        count--;
        exponent++;
    }
    plain.negative = negative;
    plain.digits = digits;
    plain.count = count;
    plain.exponent = exponent;
    return plain;
}

/* With its NUL. */
static void put_plain(sink_t *to, char kind, const plain_t *plain)
{
    char text[24];

    put_char(to, kind);
    put(to, "-", plain->negative && plain->count > 0);
    put(to, plain->digits, plain->count);
    put(to, text, (apr_size_t)snprintf(text, sizeof(text), "e%" APR_INT64_T_FMT,
                                       plain->count > 0 ? plain->exponent : 0) + 1);
}

static void put_whole(sink_t *to, djs_bytes_t digits)
{
    const int negative = digits.data[0] == '-';
    const plain_t plain = strip(negative, digits.data + negative, digits.len - negative, 0);

    put_plain(to, 'i', &plain);
}

static void put_int64(sink_t *to, apr_int64_t number)
{
    char digits[24];

    put_whole(to, djs_bytes_of(digits, (apr_size_t)snprintf(digits, sizeof(digits),
                                                            "%" APR_INT64_T_FMT, number)));
}

static void put_fraction(sink_t *to, double number)
{
    put_char(to, 'f');
    put(to, &number, sizeof(number));
}

static void put_float(sink_t *to, const djs_value_t *value)
{
    const double number = djs_value_float(value);
    char digits[DJS_VALUE_WHOLE_SIZE];

    if (isnan(number)) {
        put_address(to, value);
    }
    else if (isinf(number) || number != floor(number)) {
        put_fraction(to, number);
    }
    else {
        /* A float that is a whole number prints as just that, exactly. */
        put_whole(to, djs_bytes_of(digits, (apr_size_t)snprintf(digits, sizeof(digits), "%.0f",
                                                                number)));
    }
}

static void put_int(sink_t *to, const djs_value_t *value)
{
    apr_int64_t number;

    if (djs_value_int64(value, &number)) {
        put_int64(to, number);
    }
    else {
        put_whole(to, djs_value_int_digits(value, value->pool));
    }
}

/** A float's digits behind the point when it is written out in full, and all of them. */
#define FLOAT_FRACTION_DIGITS 1074
#define FLOAT_DIGITS (309 + FLOAT_FRACTION_DIGITS)

static plain_t plain_decimal(apr_pool_t *pool, const decimal_t *decimal)
{
    const apr_size_t count = decimal->whole.len + decimal->fraction.len;
    char *digits = apr_palloc(pool, count + 1);

    memcpy(digits, decimal->whole.data, decimal->whole.len);
    if (decimal->fraction.len > 0) {
        memcpy(digits + decimal->whole.len, decimal->fraction.data, decimal->fraction.len);
    }
    return strip(decimal->negative, digits, count,
                 decimal->exponent - (apr_int64_t)decimal->fraction.len);
}

/* Is a float just this fraction? Then it is a multiple of as many halves as there are digits. */
static int is_exactly(const plain_t *plain, double number)
{
    char text[FLOAT_DIGITS + 8], digits[FLOAT_DIGITS + 8];
    const int places = (int)-plain->exponent;
    const double scaled = ldexp(fabs(number), places);
    apr_size_t count = 0;
    const char *at;
    plain_t other;

    if (scaled != floor(scaled)) {
        return 0;
    }
    snprintf(text, sizeof(text), "%.*f", places, fabs(number));
    for (at = text; *at != '\0'; at++) { /* whatever stands for the decimal point */
        if (*at >= '0' && *at <= '9') {
            digits[count++] = *at;
        }
    }
    other = strip(0, digits, count, -places);
    return other.count == plain->count && other.exponent == plain->exponent &&
           memcmp(other.digits, plain->digits, plain->count) == 0;
}

/* 1 and the float that is exactly this fraction, if there is one. All of those end in 5. */
static int as_float(const plain_t *plain, double *number)
{
    char text[FLOAT_DIGITS + 32];

    if (plain->count > FLOAT_DIGITS || plain->exponent < -FLOAT_FRACTION_DIGITS ||
        plain->digits[plain->count - 1] != '5') {
        return 0;
    }
    snprintf(text, sizeof(text), "%s%.*se%d", plain->negative ? "-" : "", (int)plain->count,
             plain->digits, (int)plain->exponent);
    *number = strtod(text, NULL);
    return isfinite(*number) && is_exactly(plain, *number);
}

static void put_finite(sink_t *to, const plain_t *plain)
{
    double number;

    if (plain->count == 0 || plain->exponent >= 0) {
        put_plain(to, 'i', plain);
    }
    else if (as_float(plain, &number)) {
        put_fraction(to, number);
    }
    else {
        put_plain(to, 'd', plain);
    }
}

static int put_decimal(sink_t *to, const djs_value_t *value)
{
    const decimal_t decimal = parse_decimal(value->as.text);
    plain_t plain;

    switch (decimal.kind) {
    case FINITE:
        plain = plain_decimal(value->pool, &decimal);
        put_finite(to, &plain);
        return 1;
    case INFINITE:
        put_fraction(to, decimal.negative ? -INFINITY : INFINITY);
        return 1;
    case QUIET_NAN:
        put_address(to, value);
        return 1;
    default:
        return 0;
    }
}

/* ---- Hashes of the others -------------------------------------------------------------------- */

static int put_item(sink_t *to, const djs_value_t *value);

static int put_tuple(sink_t *to, const djs_value_t *tuple)
{
    const apr_size_t count = djs_value_len(tuple);
    apr_size_t i;

    put_char(to, '(');
    put_number(to, (apr_int64_t)count);
    for (i = 0; i < count; i++) {
        if (!put_item(to, djs_value_at(tuple, i))) {
            return 0;
        }
    }
    return 1;
}

static int by_bytes(const void *one, const void *other)
{
    const djs_bytes_t *a = one, *b = other;
    const apr_size_t shorter = a->len < b->len ? a->len : b->len;
    const int order = shorter > 0 ? memcmp(a->data, b->data, shorter) : 0;

    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static int put_frozenset(sink_t *to, const djs_value_t *set)
{
    const apr_size_t count = djs_value_len(set);
    djs_bytes_t *keys = apr_palloc(set->pool, (count + 1) * sizeof(*keys));
    djs_value_t *unused;
    apr_size_t i;

    for (i = 0; i < count; i++) {
        djs_value_member(set, i, &keys[i], &unused);
    }
    if (to->out != NULL) {
        qsort(keys, count, sizeof(*keys), by_bytes);
    }
    put_char(to, '{');
    put_number(to, (apr_int64_t)count);
    for (i = 0; i < count; i++) {
        put_counted(to, 's', keys[i]);
    }
    return 1;
}

static void put_time(sink_t *to, char aware, char naive, const djs_value_t *value)
{
    const djs_moment_t moment = djs_value_moment(value);

    put_char(to, moment.aware ? aware : naive);
    put_number(to, moment.aware ? djs_moment_instant(moment) : moment.local);
}

static int put_item(sink_t *to, const djs_value_t *value)
{
    switch (value->type) {
    case DJS_TYPE_NULL:
        put_char(to, 'N');
        return 1;
    case DJS_TYPE_BOOL:
        put_int64(to, djs_value_bool(value));
        return 1;
    case DJS_TYPE_INT:
        put_int(to, value);
        return 1;
    case DJS_TYPE_FLOAT:
        put_float(to, value);
        return 1;
    case DJS_TYPE_STR:
        put_counted(to, 's', djs_value_str(value));
        return 1;
    case DJS_TYPE_BYTES:
        put_counted(to, 'b', djs_value_str(value));
        return 1;
    case DJS_TYPE_TUPLE:
        return put_tuple(to, value);
    case DJS_TYPE_FROZENSET:
        return put_frozenset(to, value);
    case DJS_TYPE_DATETIME:
        put_time(to, 'A', 'D', value);
        return 1;
    case DJS_TYPE_DATE:
        put_time(to, 'C', 'C', value);
        return 1;
    case DJS_TYPE_TIME:
        put_time(to, 'O', 'T', value);
        return 1;
    case DJS_TYPE_TIMEDELTA:
        put_char(to, 't');
        put(to, &value->as.span, sizeof(value->as.span));
        return 1;
    case DJS_TYPE_TIMEZONE:
        put_char(to, 'z');
        put_number(to, value->as.zone.kind);
        put_number(to, value->as.zone.offset);
        return 1;
    case DJS_TYPE_DECIMAL:
        return put_decimal(to, value);
    case DJS_TYPE_UUID:
        put_char(to, 'u');
        put(to, value->as.uuid.bytes, sizeof(value->as.uuid.bytes));
        return 1;
    case DJS_TYPE_LIST:
    case DJS_TYPE_DICT:
    case DJS_TYPE_SET:
    case DJS_TYPE_BYTEARRAY:
        break;
    }
    return 0;
}

int djs_value_hash(apr_pool_t *pool, const djs_value_t *key, djs_bytes_t *bytes)
{
    sink_t to = { NULL, 0 };

    if (key->type == DJS_TYPE_STR) {
        *bytes = djs_value_str(key);
        return 1;
    }
    put_char(&to, '\xff');
    if (!put_item(&to, key)) {
        return 0;
    }
    to.out = apr_palloc(pool, to.len);
    to.len = 0;
    put_char(&to, '\xff');
    (void)put_item(&to, key);
    *bytes = djs_bytes_of(to.out, to.len);
    return 1;
}

static int is_nan(const djs_value_t *value)
{
    return value->type == DJS_TYPE_DECIMAL && strstr(value->as.text.data, "NaN") != NULL;
}

int djs_value_scalars_equal(const djs_value_t *a, const djs_value_t *b)
{
    djs_bytes_t x, y;

    if (a->type == DJS_TYPE_BYTES || a->type == DJS_TYPE_BYTEARRAY) {
        return djs_bytes_equal(djs_value_str(a), djs_value_str(b));
    }
    return !is_nan(a) && !is_nan(b) && djs_value_hash(a->pool, a, &x) &&
           djs_value_hash(b->pool, b, &y) && djs_bytes_equal(x, y);
}

/* ---- As text --------------------------------------------------------------------------------- */

static djs_bytes_t span_text(apr_pool_t *pool, djs_span_t span)
{
    apr_int64_t seconds = (apr_int64_t)span.days * 86400 + span.seconds;
    int usec = span.usec;
    const char *sign = "";
    char *text, *end;

    if (seconds < 0) { /* -1 s and 0.25 s are -0.75 s */
        sign = "-";
        seconds = -seconds - (usec > 0);
        usec = usec > 0 ? APR_USEC_PER_SEC - usec : 0;
    }
    text = apr_psprintf(pool, "%s%" APR_INT64_T_FMT ".%06d", sign, seconds, usec);
    end = text + strlen(text);
    while (end[-1] == '0') {
        end--;
    }
    end -= end[-1] == '.';
    return djs_bytes_of(text, (apr_size_t)(end - text));
}

static djs_bytes_t time_text(apr_pool_t *pool, const djs_value_t *value)
{
    const char *text = djs_moment_isoformat(pool, djs_value_moment(value), 'T');

    if (value->type == DJS_TYPE_TIME) {
        text = strchr(text, 'T') + 1;
    }
    return djs_bytes_of(text, value->type == DJS_TYPE_DATE ? sizeof("YYYY-MM-DD") - 1
                                                           : strlen(text));
}

/* As str(timezone): its name, or UTC and the offset. */
static djs_bytes_t zone_text(apr_pool_t *pool, const djs_value_t *zone)
{
    djs_moment_t epoch = { 0, 1, 0 };

    if (zone->as.zone.name != NULL) {
        return djs_value_str(zone->as.zone.name);
    }
    if (zone->as.zone.offset == 0) {
        return djs_bytes("UTC");
    }
    epoch.offset = zone->as.zone.offset;
    return djs_bytes(apr_pstrcat(pool, "UTC", djs_moment_isoformat(pool, epoch, 'T') +
                                 sizeof("1970-01-01T00:00:00") - 1, NULL));
}

static djs_bytes_t uuid_text(apr_pool_t *pool, const djs_value_t *uuid)
{
    const char *hex = djs_hex(pool, djs_bytes_of((const char *)uuid->as.uuid.bytes, 16));

    return djs_bytes(apr_psprintf(pool, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
                                  hex + 16, hex + 20));
}

static djs_bytes_t base64_text(apr_pool_t *pool, djs_bytes_t bytes)
{
    char *text = apr_palloc(pool, DJS_BASE64_SIZE(bytes.len));

    return djs_bytes_of(text, djs_base64_put(DJS_BASE64_STANDARD, bytes, text));
}

djs_bytes_t djs_value_as_text(apr_pool_t *pool, const djs_value_t *value)
{
    switch (value->type) {
    case DJS_TYPE_BYTES:
    case DJS_TYPE_BYTEARRAY:
        return base64_text(pool, djs_value_str(value));
    case DJS_TYPE_DATETIME:
    case DJS_TYPE_DATE:
    case DJS_TYPE_TIME:
        return time_text(pool, value);
    case DJS_TYPE_TIMEDELTA:
        return span_text(pool, value->as.span);
    case DJS_TYPE_TIMEZONE:
        return zone_text(pool, value);
    case DJS_TYPE_UUID:
        return uuid_text(pool, value);
    default:
        return djs_value_str(value);
    }
}
