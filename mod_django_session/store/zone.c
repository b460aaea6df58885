/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of time zone data (TZif, RFC 8536), big-endian:
 *
 *     header     "TZif" version 15 bytes, then six 32-bit counts: of UT marks, standard marks,
 *                leap seconds, transitions, types, abbreviation bytes
 *     data       transition times · their types, a byte each · types (32-bit seconds east of UTC,
 *                byte: daylight saving, byte: abbreviation) · abbreviations · leap seconds · marks
 *
 * In version 1 times have 32 bits. From version 2 on header and data follow once more, with times
 * of 64 bits, and a footer: a newline, a rule for what comes after the last transition, a newline.
 * The rule is POSIX's TZ:
 *
 *     std offset [ dst [ offset ] [ , date [/time] , date [/time] ] ]      offsets are west of UTC
 *     date = Jn (1 to 365, no leap day) | n (0 to 365) | Mm.w.d (d of week w, 5: the last)
 *
 * Before the first transition the first type holds.
 */
#include "zone.h"

#include <stdlib.h>
#include <string.h>

#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_lib.h>

#define ZONES "/usr/share/zoneinfo/"
#define LOCAL "/etc/localtime"

#define NAME_MAX_LEN 100
#define FILE_MAX (64 * 1024)
#define HEADER_SIZE 44
#define TYPES_MAX 256
#define OFFSET_MAX (26 * 3600) /* RFC 8536, 3.2: beyond this nothing is sane */

#define DAY 86400

typedef enum date_kind_t { JULIAN, ZERO_BASED, MONTHLY } date_kind_t;

typedef struct rule_date_t {
    date_kind_t kind;
    int day; /* of the year, or of the week */
    int week, month;
    int time; /* seconds after midnight */
} rule_date_t;

typedef struct rule_t {
    int there;
    int offset;     /* seconds east of UTC */
    int has_dst;
    int dst_offset;
    rule_date_t start, end;
} rule_t;

typedef struct tzif_t {
    djs_zone_t zone;
    int transitions;
    const apr_int64_t *times;
    const unsigned char *types; /* of each transition */
    int type_count;
    int offsets[TYPES_MAX]; /* seconds east of UTC */
    rule_t rule;
} tzif_t;

/* ---- What the clocks show -------------------------------------------------------------------- */

static apr_int64_t floor_div(apr_int64_t a, apr_int64_t b)
{
    return a / b - (a % b < 0);
}

static int is_leap(apr_int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static apr_int64_t days_before_year(apr_int64_t year)
{
    apr_int64_t past = year - 1;

    return past * 365 + floor_div(past, 4) - floor_div(past, 100) + floor_div(past, 400) - 719162;
}

static apr_int64_t year_of(apr_int64_t seconds)
{
    apr_int64_t days = floor_div(seconds, DAY);
    apr_int64_t year = 1970 + floor_div(days * 400, 146097);

    while (days_before_year(year + 1) <= days) {
        year++;
    }
    while (days_before_year(year) > days) {
        year--;
    }
    return year;
}

/* Day of the year, from 0, of the rule's weekday in its month. */
static apr_int64_t monthly_day(const rule_date_t *date, apr_int64_t year)
{
    static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365 };
    int leap = is_leap(year);
    int first = before[date->month - 1] + (date->month > 2 ? leap : 0);
    int next = before[date->month] + (date->month > 1 ? leap : 0);
    apr_int64_t weekday = (days_before_year(year) + first + 4) % 7; /* 1970-01-01: a Thursday */
    apr_int64_t day;

    weekday = weekday < 0 ? weekday + 7 : weekday;
    day = first + (date->day - weekday + 7) % 7 + (date->week - 1) * 7;
    return day >= next ? day - 7 : day;
}

/* The rule's date as seconds since 1970 of the clocks that it is meant for. */
static apr_int64_t date_in(const rule_date_t *date, apr_int64_t year)
{
    apr_int64_t day = date->day;

    if (date->kind == JULIAN) {
        day = date->day - 1 + (is_leap(year) && date->day > 59);
    }
    else if (date->kind == MONTHLY) {
        day = monthly_day(date, year);
    }
    return (days_before_year(year) + day) * DAY + date->time;
}

static int offset_by_rule(const rule_t *rule, apr_int64_t seconds)
{
    apr_int64_t year, start, end;
    int is_dst;

    if (!rule->has_dst) {
        return rule->offset;
    }
    year = year_of(seconds + rule->offset);
    start = date_in(&rule->start, year) - rule->offset;
    end = date_in(&rule->end, year) - rule->dst_offset;
    is_dst = start < end ? start <= seconds && seconds < end : seconds < end || start <= seconds;
    return is_dst ? rule->dst_offset : rule->offset;
}

/* How many transitions are not after @a seconds. */
static int transitions_until(const tzif_t *tzif, apr_int64_t seconds)
{
    int low = 0, high = tzif->transitions;

    while (low < high) {
        int middle = low + (high - low) / 2;

        if (tzif->times[middle] <= seconds) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    return low;
}

static int offset_at(const djs_zone_t *zone, apr_time_t instant)
{
    const tzif_t *tzif = (const tzif_t *)zone;
    apr_int64_t seconds = floor_div(instant, APR_USEC_PER_SEC);
    int passed = transitions_until(tzif, seconds);

    if (passed == tzif->transitions && tzif->rule.there) {
        return offset_by_rule(&tzif->rule, seconds);
    }
    return tzif->offsets[passed == 0 ? 0 : tzif->types[passed - 1]];
}

/* ---- The rule -------------------------------------------------------------------------------- */

/* Each reader moves *at on, and says whether it found what it looked for. */

static int read_number(const char **at, int max, int *number)
{
    const char *start = *at;

    *number = 0;
    while (apr_isdigit(**at) && *number <= max) {
        *number = *number * 10 + (*(*at)++ - '0');
    }
    return *at > start && *number <= max;
}

static int read_abbreviation(const char **at)
{
    const char *start = *at;

    if (**at == '<') {
        *at += strcspn(*at, ">");
        return *(*at)++ == '>' && *at > start + 2;
    }
    while (apr_isalpha(**at)) {
        (*at)++;
    }
    return *at >= start + 3;
}

/* [+-]hh[:mm[:ss]] as seconds */
static int read_time(const char **at, int hours_max, int *seconds)
{
    int sign = **at == '-' ? -1 : 1;
    int part, scale;

    *at += **at == '-' || **at == '+';
    if (!read_number(at, hours_max, &part)) {
        return 0;
    }
    *seconds = part * 3600;
    for (scale = 60; scale > 0 && **at == ':'; scale /= 60) {
        (*at)++;
        if (!read_number(at, 59, &part)) {
            return 0;
        }
        *seconds += part * scale;
    }
    *seconds *= sign;
    return 1;
}

static int read_monthly(const char **at, rule_date_t *date)
{
    date->kind = MONTHLY;
    return read_number(at, 12, &date->month) && date->month >= 1 && *(*at)++ == '.' &&
           read_number(at, 5, &date->week) && date->week >= 1 && *(*at)++ == '.' &&
           read_number(at, 6, &date->day);
}

static int read_date(const char **at, rule_date_t *date)
{
    int found;

    date->time = 2 * 3600;
    if (*(*at)++ != ',') {
        return 0;
    }
    if (**at == 'M') {
        (*at)++;
        found = read_monthly(at, date);
    }
    else {
        date->kind = **at == 'J' ? JULIAN : ZERO_BASED;
        *at += date->kind == JULIAN;
        found = read_number(at, 365, &date->day) && (date->kind == ZERO_BASED || date->day >= 1);
    }
    if (found && **at == '/') {
        (*at)++;
        found = read_time(at, 167, &date->time);
    }
    return found;
}

static int read_rule(const char *text, rule_t *rule)
{
    const char *at = text;

    if (!read_abbreviation(&at) || !read_time(&at, 24, &rule->offset)) {
        return 0;
    }
    rule->offset = -rule->offset;
    rule->there = 1;
    if (*at == '\0') {
        return 1;
    }
    rule->has_dst = 1;
    rule->dst_offset = rule->offset + 3600;
    if (!read_abbreviation(&at)) {
        return 0;
    }
    if (*at != ',') {
        if (!read_time(&at, 24, &rule->dst_offset)) {
            return 0;
        }
        rule->dst_offset = -rule->dst_offset;
    }
    return read_date(&at, &rule->start) && read_date(&at, &rule->end) && *at == '\0';
}

/* ---- The file -------------------------------------------------------------------------------- */

/* What a header announces. */
typedef struct block_t {
    apr_uint32_t ut_marks, standard_marks, leaps, times, types, letters;
    int version;
    int time_size;
    apr_size_t size; /* of the data */
} block_t;

static apr_int64_t big_endian(const char *bytes, int size)
{
    apr_uint64_t number = 0;
    int i;

    for (i = 0; i < size; i++) {
        number = number << 8 | (unsigned char)bytes[i];
    }
    return size == 4 ? (apr_int64_t)(apr_int32_t)(apr_uint32_t)number : (apr_int64_t)number;
}

static int read_header(djs_bytes_t file, int time_size, block_t *block)
{
    apr_uint32_t *counts[] = { &block->ut_marks, &block->standard_marks, &block->leaps,
                               &block->times, &block->types, &block->letters };
    int i;

    if (file.len < HEADER_SIZE || memcmp(file.data, "TZif", 4) != 0) {
        return 0;
    }
    for (i = 0; i < 6; i++) {
        *counts[i] = (apr_uint32_t)big_endian(file.data + 20 + 4 * i, 4);
        if (*counts[i] > FILE_MAX) {
            return 0;
        }
    }
    block->version = file.data[4];
    block->time_size = time_size;
    block->size = (apr_size_t)block->times * (time_size + 1) + (apr_size_t)block->types * 6 +
                  block->letters + (apr_size_t)block->leaps * (time_size + 4) +
                  block->standard_marks + block->ut_marks;
    return block->size <= file.len - HEADER_SIZE;
}

static djs_bytes_t without(djs_bytes_t bytes, apr_size_t len)
{
    return djs_bytes_of(bytes.data + len, bytes.len - len);
}

static int read_transitions(apr_pool_t *pool, const block_t *block, const char *data, tzif_t *tzif)
{
    apr_int64_t *times = apr_palloc(pool, sizeof(*times) * (block->times + 1));
    unsigned char *types = apr_palloc(pool, block->times + 1);
    apr_uint32_t i;

    for (i = 0; i < block->times; i++) {
        times[i] = big_endian(data + (apr_size_t)i * block->time_size, block->time_size);
        types[i] = (unsigned char)data[(apr_size_t)block->times * block->time_size + i];
        if (types[i] >= block->types || (i > 0 && times[i] <= times[i - 1])) {
            return 0;
        }
    }
    tzif->times = times;
    tzif->types = types;
    tzif->transitions = (int)block->times;
    return 1;
}

static int read_types(const block_t *block, const char *data, tzif_t *tzif)
{
    apr_uint32_t i;

    if (block->types == 0 || block->types > TYPES_MAX || block->leaps > 0) {
        return 0; /* with leap seconds it counts another time than we do */
    }
    for (i = 0; i < block->types; i++) {
        tzif->offsets[i] = (int)big_endian(data + 6 * (apr_size_t)i, 4);
        if (tzif->offsets[i] > OFFSET_MAX || tzif->offsets[i] < -OFFSET_MAX) {
            return 0;
        }
    }
    tzif->type_count = (int)block->types;
    return 1;
}

static int read_footer(apr_pool_t *pool, djs_bytes_t footer, tzif_t *tzif)
{
    const char *end;

    if (footer.len < 2 || footer.data[0] != '\n') {
        return 0;
    }
    end = memchr(footer.data + 1, '\n', footer.len - 1);
    if (end == NULL) {
        return 0;
    }
    if (end == footer.data + 1) {
        return 1; /* no rule: the last type holds for ever */
    }
    return read_rule(apr_pstrmemdup(pool, footer.data + 1, (apr_size_t)(end - footer.data - 1)),
                     &tzif->rule);
}

static int read_tzif(apr_pool_t *pool, djs_bytes_t file, tzif_t *tzif)
{
    block_t block;
    const char *data;

    if (!read_header(file, 4, &block)) {
        return 0;
    }
    if (block.version >= '2') {
        file = without(file, HEADER_SIZE + block.size);
        if (!read_header(file, 8, &block)) {
            return 0;
        }
    }
    data = file.data + HEADER_SIZE;
    if (!read_transitions(pool, &block, data, tzif) ||
        !read_types(&block, data + (apr_size_t)block.times * (block.time_size + 1), tzif)) {
        return 0;
    }
    return block.time_size == 4 ||
           read_footer(pool, without(file, HEADER_SIZE + block.size), tzif);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static int is_zone_name(const char *name)
{
    apr_size_t len = strlen(name);

    return len > 0 && len <= NAME_MAX_LEN && *name != '/' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/") == len;
}

static apr_status_t read_file(apr_pool_t *pool, const char *path, djs_bytes_t *content)
{
    apr_finfo_t info;
    apr_file_t *file;
    char *data;
    apr_status_t rv = apr_stat(&info, path, APR_FINFO_TYPE | APR_FINFO_SIZE, pool);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (info.filetype != APR_REG || info.size > FILE_MAX) {
        return APR_EINVAL;
    }
    rv = apr_file_open(&file, path, APR_FOPEN_READ, APR_FPROT_OS_DEFAULT, pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    data = apr_palloc(pool, (apr_size_t)info.size + 1);
    rv = apr_file_read_full(file, data, (apr_size_t)info.size, &content->len);
    content->data = data;
    apr_file_close(file);
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

/* Where /etc/localtime leads; NULL: to no file of the zones. */
static const char *local_name(apr_pool_t *pool)
{
    char *path = realpath(LOCAL, NULL);
    const char *name;

    if (path == NULL) {
        return NULL;
    }
    name = strstr(path, "/zoneinfo/");
    name = name != NULL ? apr_pstrdup(pool, name + strlen("/zoneinfo/")) : NULL;
    free(path);
    return name != NULL && is_zone_name(name) ? name : NULL;
}

apr_status_t djs_zone_parse(djs_ctx_t *ctx, apr_pool_t *pool, const char *name, djs_bytes_t file,
                            const djs_zone_t **zone)
{
    tzif_t *tzif = apr_pcalloc(pool, sizeof(*tzif));

    if (!read_tzif(pool, file, tzif)) {
        return djs_fail(ctx, DJS_EFORMAT, "no time zone data (TZif without leap seconds)");
    }
    tzif->zone.offset_at = offset_at;
    tzif->zone.name = name != NULL ? apr_pstrdup(pool, name) : NULL;
    *zone = &tzif->zone;
    return APR_SUCCESS;
}

static apr_status_t open_file(djs_ctx_t *ctx, apr_pool_t *pool, const char *path,
                              const char *name, const djs_zone_t **zone)
{
    djs_bytes_t file;
    apr_status_t rv = read_file(ctx->pool, path, &file);

    return rv == APR_SUCCESS ? djs_zone_parse(ctx, pool, name, file, zone) : rv;
}

apr_status_t djs_zone_open(djs_ctx_t *ctx, apr_pool_t *pool, const char *name,
                           const djs_zone_t **zone)
{
    const char *path = LOCAL;
    djs_ctx_t quiet = *ctx; /* the sentence is ours */
    apr_status_t rv;

    if (name != NULL) {
        if (!is_zone_name(name)) {
            return djs_fail(ctx, DJS_EINVAL,
                            "DjangoTimeZone \"%.100s\": a name like Europe/Paris is wanted", name);
        }
        path = apr_pstrcat(ctx->pool, ZONES, name, NULL);
    }
    rv = open_file(&quiet, pool, path, name != NULL ? name : local_name(ctx->pool), zone);
    if (rv == APR_SUCCESS) {
        return APR_SUCCESS;
    }
    if (name == NULL && APR_STATUS_IS_ENOENT(rv)) {
        *zone = &djs_zone_utc; /* as the C library */
        return APR_SUCCESS;
    }
    return djs_fail(ctx, DJS_EINVAL, "DjangoTimeZone %s: there is no time zone data in %s",
                    name != NULL ? name : "of the system", path);
}
