/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instants as Django writes them.
 *
 * What is read, in the order of the parts:
 *
 *     date   = YYYY-MM-DD | YYYYMMDD | YYYY-Www[-D] | YYYYWww[D]
 *     text   = date [ any character, time [ zone ] ]
 *     time   = HH[:MM[:SS[fraction]]] | HH[MM[SS[fraction]]]
 *     zone   = "Z" | ("+" | "-") time
 *     fraction = ("." | ",") digits           more than six are cut off
 *
 * Python 3.11 takes a few texts beyond this grammar, and so do we, since it is Python that reads
 * what we let pass: one stray character may stand between time and zone, and anything behind six
 * digits of a fraction; a third ":" begins a fraction, and without colons nothing need begin it;
 * a NUL ends the text. An offset of less than a second counts as none.
 */
#include "moment.h"

#include <string.h>

#define USEC_PER_DAY (APR_INT64_C(86400) * APR_USEC_PER_SEC)

static int utc_offset(const djs_zone_t *zone, apr_time_t instant)
{
    (void)zone;
    (void)instant;
    return 0;
}

const djs_zone_t djs_zone_utc = { utc_offset, "UTC" };

djs_moment_t djs_moment_utc(apr_time_t instant)
{
    djs_moment_t moment = { 0, 1, 0 };

    moment.local = instant;
    return moment;
}

djs_moment_t djs_moment_naive(const djs_zone_t *zone, apr_time_t instant)
{
    djs_moment_t moment = { 0, 0, 0 };

    moment.local = instant + apr_time_from_sec(zone->offset_at(zone, instant));
    return moment;
}

apr_time_t djs_moment_instant(djs_moment_t moment)
{
    return moment.local - moment.offset;
}

/* --- the calendar --- */

typedef struct date_t {
    int year, month, day;
} date_t;

typedef struct clock_parts_t {
    int hour, minute, second, usec;
} clock_parts_t;

static apr_int64_t floor_div(apr_int64_t a, apr_int64_t b)
{
    return a / b - (a % b < 0);
}

static int is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_in_month(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Days since 1970-01-01. Years are counted from March, so that the leap day comes last. */
static apr_int64_t days_of(date_t date)
{
    apr_int64_t year = date.month > 2 ? date.year : date.year - 1;
    int month = (date.month + 9) % 12;
    apr_int64_t leap_days = floor_div(year, 4) - floor_div(year, 100) + floor_div(year, 400);

    return 365 * year + leap_days + (153 * month + 2) / 5 + date.day - 1 - 719468;
}

static date_t date_of(apr_int64_t days)
{
    date_t date;
    apr_int64_t since = days + 719468;
    apr_int64_t era = floor_div(since, 146097);
    int of_era = (int)(since - era * 146097);
    int year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int of_year = of_era - (365 * year + year / 4 - year / 100);
    int month = (5 * of_year + 2) / 153;

    date.day = of_year - (153 * month + 2) / 5 + 1;
    date.month = month < 10 ? month + 3 : month - 9;
    date.year = (int)(era * 400) + year + (date.month <= 2);
    return date;
}

/* Monday is 0. */
static int weekday_of(apr_int64_t days)
{
    return (int)(days + 3 - 7 * floor_div(days + 3, 7));
}

static int date_is_valid(date_t date)
{
    return date.year >= 1 && date.year <= 9999 && date.month >= 1 && date.month <= 12 &&
           date.day >= 1 && date.day <= days_in_month(date.year, date.month);
}

static int clock_is_valid(clock_parts_t at)
{
    return at.hour < 24 && at.minute < 60 && at.second < 60;
}

static apr_int64_t usec_of(clock_parts_t at)
{
    return ((at.hour * 60 + at.minute) * 60 + at.second) * (apr_int64_t)APR_USEC_PER_SEC + at.usec;
}

/* --- writing --- */

/* The parts of a day's microseconds. */
static clock_parts_t clock_of(apr_int64_t usec)
{
    clock_parts_t at;

    at.usec = (int)(usec % APR_USEC_PER_SEC);
    usec /= APR_USEC_PER_SEC;
    at.second = (int)(usec % 60);
    at.minute = (int)(usec / 60 % 60);
    at.hour = (int)(usec / 3600);
    return at;
}

int djs_moment_from_civil(const djs_civil_t *civil, apr_time_t *local)
{
    const date_t date = { civil->year, civil->month, civil->day };
    const clock_parts_t at = { civil->hour, civil->minute, civil->second, civil->usec };

    if (!date_is_valid(date) || at.hour < 0 || at.minute < 0 || at.second < 0 ||
        !clock_is_valid(at) || at.usec < 0 || at.usec >= APR_USEC_PER_SEC) {
        return 0;
    }
    *local = days_of(date) * USEC_PER_DAY + usec_of(at);
    return 1;
}

djs_civil_t djs_moment_civil(apr_time_t local)
{
    const apr_int64_t days = floor_div(local, USEC_PER_DAY);
    const date_t date = date_of(days);
    const clock_parts_t at = clock_of(local - days * USEC_PER_DAY);
    const djs_civil_t civil = { date.year, date.month, date.day,
                                at.hour, at.minute, at.second, at.usec };

    return civil;
}

/* "+05:30", with seconds and a fraction only where there are some. */
static const char *offset_text(apr_pool_t *pool, apr_interval_time_t offset)
{
    clock_parts_t at = clock_of(offset < 0 ? -offset : offset);
    const char *text = apr_psprintf(pool, "%c%02d:%02d", offset < 0 ? '-' : '+', at.hour, at.minute);

    if (at.second != 0 || at.usec != 0) {
        text = apr_psprintf(pool, "%s:%02d", text, at.second);
    }
    return at.usec != 0 ? apr_psprintf(pool, "%s.%06d", text, at.usec) : text;
}

/* @a count digits of a number that is not negative; gives where the text goes on. */
static char *put_digits(char *out, int number, int count)
{
    int i;

    for (i = count - 1; i >= 0; i--, number /= 10) {
        out[i] = (char)('0' + number % 10);
    }
    return out + count;
}

static char *put_part(char *out, char before, int number, int count)
{
    *out = before;
    return put_digits(out + 1, number, count);
}

/* By hand: each look into a database needs one of these. */
const char *djs_moment_isoformat(apr_pool_t *pool, djs_moment_t moment, char separator)
{
    apr_int64_t days = floor_div(moment.local, USEC_PER_DAY);
    date_t date = date_of(days);
    clock_parts_t at = clock_of(moment.local - days * USEC_PER_DAY);
    char text[sizeof("YYYY-MM-DDTHH:MM:SS.ffffff")];
    char *out = put_digits(text, date.year, 4);

    out = put_part(out, '-', date.month, 2);
    out = put_part(out, '-', date.day, 2);
    out = put_part(out, separator, at.hour, 2);
    out = put_part(out, ':', at.minute, 2);
    out = put_part(out, ':', at.second, 2);
    if (at.usec != 0) {
        out = put_part(out, '.', at.usec, 6);
    }
    *out = '\0';
    return moment.aware ? apr_pstrcat(pool, text, offset_text(pool, moment.offset), NULL)
                        : apr_pstrmemdup(pool, text, (apr_size_t)(out - text));
}

const char *djs_moment_http(apr_pool_t *pool, apr_time_t instant)
{
    char *text = apr_palloc(pool, APR_RFC822_DATE_LEN);

    apr_rfc822_date(text, floor_div(instant, APR_USEC_PER_SEC) * APR_USEC_PER_SEC);
    return text;
}

/* --- reading --- */

/* A text that reads as if a NUL stood behind its end. */
typedef struct scan_t {
    const char *at;
    const char *end;
} scan_t;

static scan_t scan_of(const char *data, apr_size_t len)
{
    scan_t in;

    in.at = data;
    in.end = data + len;
    return in;
}

static char peek(const scan_t *in)
{
    return (char)(in->at < in->end ? *in->at : '\0');
}

static int skip(scan_t *in, char c)
{
    if (in->at >= in->end || *in->at != c) {
        return 0;
    }
    in->at++;
    return 1;
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Exactly @a count digits. */
static int read_digits(scan_t *in, int count, int *number)
{
    *number = 0;
    while (count-- > 0) {
        if (!is_digit(peek(in))) {
            return 0;
        }
        *number = *number * 10 + (*in->at++ - '0');
    }
    return 1;
}

/*
 * The digits of a fraction as microseconds: at least one, at least six of them when there are six
 * characters; what follows the sixth is skipped.
 */
static int read_fraction(scan_t *in, int *usec)
{
    int count = in->end - in->at < 6 ? (int)(in->end - in->at) : 6;

    if (count == 0 || !read_digits(in, count, usec)) {
        return 0;
    }
    for (; count < 6; count++) {
        *usec *= 10;
    }
    while (is_digit(peek(in))) {
        in->at++;
    }
    return 1;
}

/* Day 1 of week 1 is the Monday of the week with the year's first Thursday. */
static int week_date(int year, int week, int day, date_t *date)
{
    date_t new_year = { 0, 1, 1 };
    apr_int64_t first;
    int weekday;

    new_year.year = year;
    first = days_of(new_year);
    weekday = weekday_of(first);
    if (week < 1 || week > 53 || day < 1 || day > 7 || year < 1 ||
        (week == 53 && weekday != 3 && !(weekday == 2 && is_leap(year)))) {
        return 0;
    }
    first += weekday > 3 ? 7 - weekday : -weekday;
    *date = date_of(first + 7 * (week - 1) + day - 1);
    return 1;
}

/* A date that takes all of the text. */
static int read_date(scan_t in, date_t *date)
{
    int dashes, week, day = 1;

    if (!read_digits(&in, 4, &date->year)) {
        return 0;
    }
    dashes = skip(&in, '-');
    if (skip(&in, 'W')) {
        if (!read_digits(&in, 2, &week)) {
            return 0;
        }
        if (in.at < in.end && ((dashes && !skip(&in, '-')) || !read_digits(&in, 1, &day))) {
            return 0;
        }
        return in.at == in.end && week_date(date->year, week, day, date);
    }
    return read_digits(&in, 2, &date->month) && (!dashes || skip(&in, '-')) &&
           read_digits(&in, 2, &date->day) && in.at == in.end;
}

/*
 * How many bytes the date takes. Only where "W" stands is there a choice: behind "YYYY-Www-" a
 * single digit is the day, two are hours; behind "YYYYWww" digits come in pairs, but for the day.
 */
static apr_size_t date_length(djs_bytes_t text)
{
    apr_size_t digits = 7;

    if (text.len == 7) {
        return 7;
    }
    if (text.data[4] == '-' && text.data[5] != 'W') {
        return 10;
    }
    if (text.data[4] == '-') {
        return text.len > 9 && text.data[8] == '-' && !(text.len > 10 && is_digit(text.data[10]))
                   ? 10 : 8;
    }
    if (text.data[4] != 'W') {
        return 8;
    }
    while (digits < text.len && is_digit(text.data[digits])) {
        digits++;
    }
    return digits < 9 ? digits : digits % 2 == 0 ? 7 : 8;
}

/* The bytes of the one character that separates date and time. */
static apr_size_t separator_length(unsigned char lead)
{
    return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* The time of day that @a in begins with; 0 when there is none. What is left is the caller's. */
static int read_clock(scan_t *in, clock_parts_t *at)
{
    int *const parts[] = { &at->hour, &at->minute, &at->second };
    int i, colons = 0;

    memset(at, 0, sizeof(*at));
    for (i = 0; i < 3; i++) {
        char c;

        if (!read_digits(in, 2, parts[i])) {
            return 0;
        }
        if (in->end - in->at <= 1) {
            return 1;
        }
        c = peek(in);
        if (i == 0) {
            colons = c == ':';
        }
        if (c == '.' || c == ',') {
            in->at++;
            break;
        }
        if (colons && !skip(in, ':')) {
            return 0;
        }
    }
    return read_fraction(in, &at->usec);
}

/* A zone that takes all of the text: "Z" or a signed time of less than a day. */
static int read_zone(scan_t in, apr_interval_time_t *offset)
{
    clock_parts_t at = { 0, 0, 0, 0 };
    int negative = peek(&in) == '-';

    if (*in.at++ != 'Z' && !read_clock(&in, &at)) {
        return 0;
    }
    if (at.hour == 0 && at.minute == 0 && at.second == 0) {
        at.usec = 0;
    }
    *offset = negative ? -usec_of(at) : usec_of(at);
    return peek(&in) == '\0' && usec_of(at) < USEC_PER_DAY;
}

/* A time of day, with or without a zone, that takes all of the text. */
static int read_time(scan_t in, clock_parts_t *at, djs_moment_t *moment)
{
    scan_t zone = in;

    while (zone.at < zone.end && *zone.at != '+' && *zone.at != '-' && *zone.at != 'Z') {
        zone.at++;
    }
    moment->aware = zone.at < zone.end;
    in.end = zone.at;
    if (!read_clock(&in, at)) {
        return 0;
    }
    return moment->aware ? read_zone(zone, &moment->offset) : peek(&in) == '\0';
}

apr_status_t djs_moment_fromisoformat(djs_ctx_t *ctx, djs_bytes_t text, djs_moment_t *moment)
{
    djs_moment_t read = { 0, 0, 0 };
    clock_parts_t at = { 0, 0, 0, 0 };
    date_t date;
    apr_size_t length;

    if (text.len < 7) {
        return djs_fail(ctx, DJS_EFORMAT, "not an ISO 8601 date-time: too short");
    }
    length = date_length(text);
    if (length > text.len || !read_date(scan_of(text.data, length), &date) ||
        !date_is_valid(date)) {
        return djs_fail(ctx, DJS_EFORMAT, "not an ISO 8601 date-time: there is no such date");
    }
    if (text.len > length) {
        length += separator_length((unsigned char)text.data[length]);
        if (length > text.len ||
            !read_time(scan_of(text.data + length, text.len - length), &at, &read) ||
            !clock_is_valid(at)) {
            return djs_fail(ctx, DJS_EFORMAT, "not an ISO 8601 date-time: there is no such time");
        }
    }
    read.local = days_of(date) * USEC_PER_DAY + usec_of(at);
    *moment = read;
    return APR_SUCCESS;
}

/* One digit or more, as microseconds. */
static int read_sql_fraction(scan_t *in, int *usec)
{
    int scale = 100000;

    if (!is_digit(peek(in))) {
        return 0;
    }
    for (*usec = 0; is_digit(peek(in)); in->at++, scale /= 10) {
        *usec += (*in->at - '0') * scale;
    }
    return 1;
}

/* "+05", "+05:30", "+00:19:32", "Z" or nothing. */
static int read_sql_zone(scan_t in, djs_moment_t *moment)
{
    clock_parts_t at = { 0, 0, 0, 0 };
    int negative = peek(&in) == '-';

    moment->aware = in.at < in.end;
    if (!moment->aware || (skip(&in, 'Z') && in.at == in.end)) {
        return 1;
    }
    if ((!skip(&in, '+') && !skip(&in, '-')) || !read_digits(&in, 2, &at.hour) ||
        (skip(&in, ':') && !read_digits(&in, 2, &at.minute)) ||
        (skip(&in, ':') && !read_digits(&in, 2, &at.second))) {
        return 0;
    }
    moment->offset = negative ? -usec_of(at) : usec_of(at);
    return in.at == in.end && clock_is_valid(at);
}

apr_status_t djs_moment_fromsql(djs_ctx_t *ctx, djs_bytes_t text, djs_moment_t *moment)
{
    djs_moment_t read = { 0, 0, 0 };
    clock_parts_t at = { 0, 0, 0, 0 };
    scan_t in = scan_of(text.data, text.len);
    date_t date;

    if (!read_digits(&in, 4, &date.year) || !skip(&in, '-') || !read_digits(&in, 2, &date.month) ||
        !skip(&in, '-') || !read_digits(&in, 2, &date.day) || !skip(&in, ' ') ||
        !read_digits(&in, 2, &at.hour) || !skip(&in, ':') || !read_digits(&in, 2, &at.minute) ||
        !skip(&in, ':') || !read_digits(&in, 2, &at.second) ||
        (skip(&in, '.') && !read_sql_fraction(&in, &at.usec)) || !read_sql_zone(in, &read) ||
        !date_is_valid(date) || !clock_is_valid(at)) {
        return djs_fail(ctx, DJS_EFORMAT, "not a date-time of a database");
    }
    read.local = days_of(date) * USEC_PER_DAY + usec_of(at);
    *moment = read;
    return APR_SUCCESS;
}
