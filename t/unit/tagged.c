/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as the vectors' `tagged` text.
 */
#include "tagged.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <apr_tables.h>

#include "encode.h"
#include "json.h"

static const char *quoted(apr_pool_t *pool, djs_bytes_t text)
{
    return djs_json_dumps(test_ctx(pool), DJS_JSON_COMPACT, djs_value_make_str(pool, text)).data;
}

static const char *tag(apr_pool_t *pool, const char *name, djs_bytes_t text)
{
    return apr_pstrcat(pool, "{\"$", name, "\":", quoted(pool, text), "}", NULL);
}

/* Parts, with commas between them. */
static const char *joined(apr_pool_t *pool, const apr_array_header_t *parts)
{
    return apr_array_pstrcat(pool, parts, ',');
}

static const char *tagged_float(apr_pool_t *pool, double number)
{
    char text[DJS_JSON_FLOAT_SIZE];

    djs_json_float_repr(number, text);
    if (!isfinite(number)) {
        return isnan(number) ? "nan" : number < 0 ? "-inf" : "inf";
    }
    return apr_pstrdup(pool, text);
}

static const char *tagged_int(apr_pool_t *pool, const djs_value_t *value)
{
    const djs_bytes_t digits = djs_value_int_digits(value, pool);
    apr_int64_t number;

    if (djs_value_int64(value, &number) && llabs(number) < APR_INT64_C(9007199254740992)) {
        return apr_pstrmemdup(pool, digits.data, digits.len);
    }
    return tag(pool, "int", digits);
}

static const char *tagged_list(apr_pool_t *pool, const djs_value_t *list)
{
    apr_array_header_t *parts = apr_array_make(pool, 8, sizeof(const char *));
    const djs_value_t *item;
    apr_size_t i;

    for (i = 0; (item = djs_value_at(list, i)) != NULL; i++) {
        APR_ARRAY_PUSH(parts, const char *) = tagged_text(pool, item);
    }
    return apr_pstrcat(pool, "[", joined(pool, parts), "]", NULL);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char *tagged_set(apr_pool_t *pool, const djs_value_t *set)
{
    apr_array_header_t *parts = apr_array_make(pool, 8, sizeof(const char *));
    djs_value_t *item;
    djs_bytes_t unused;
    apr_size_t i;

    for (i = 0; djs_value_member(set, i, &unused, &item); i++) {
        APR_ARRAY_PUSH(parts, const char *) = tagged_text(pool, item);
    }
    qsort(parts->elts, (size_t)parts->nelts, sizeof(const char *), by_text);
    return apr_pstrcat(pool, "{\"$", djs_value_type_name(set), "\":[", joined(pool, parts), "]}",
                       NULL);
}

static int is_plain(const djs_value_t *dict)
{
    djs_value_t *value;
    djs_bytes_t key;
    apr_size_t i;

    for (i = 0; djs_value_member(dict, i, &key, &value); i++) {
        if (djs_value_key(dict, i) != NULL || (key.len > 0 && key.data[0] == '$')) {
            return 0;
        }
    }
    return 1;
}

static const char *tagged_dict(apr_pool_t *pool, const djs_value_t *dict)
{
    apr_array_header_t *parts = apr_array_make(pool, 8, sizeof(const char *));
    const int plain = is_plain(dict);
    djs_value_t *value;
    djs_bytes_t text;
    apr_size_t i;

    for (i = 0; djs_value_member(dict, i, &text, &value); i++) {
        const djs_value_t *key = djs_value_key(dict, i);
        const char *name = key != NULL ? tagged_text(pool, key) : quoted(pool, text);

        APR_ARRAY_PUSH(parts, const char *) =
            apr_pstrcat(pool, plain ? "" : "[", name, plain ? ":" : ",",
                        tagged_text(pool, value), plain ? "" : "]", NULL);
    }
    return apr_pstrcat(pool, plain ? "{" : "{\"$dict\":[", joined(pool, parts), plain ? "}" : "]}",
                       NULL);
}

static const char *offset_text(apr_pool_t *pool, apr_interval_time_t offset)
{
    return tagged_float(pool, (double)offset / APR_USEC_PER_SEC);
}

static const char *tagged_time(apr_pool_t *pool, const djs_value_t *value)
{
    djs_moment_t moment = djs_value_moment(value);
    const char *text, *offset = moment.aware ? offset_text(pool, moment.offset) : "null";

    moment.aware = 0;
    text = djs_moment_isoformat(pool, moment, 'T');
    if (djs_value_type(value) == DJS_TYPE_DATE) {
        return tag(pool, "date", djs_bytes_of(text, 10));
    }
    return apr_psprintf(pool, "{\"$%s\":\"%s\",\"offset\":%s,\"fold\":%d}",
                        djs_value_type_name(value),
                        djs_value_type(value) == DJS_TYPE_TIME ? text + 11 : text, offset,
                        djs_value_fold(value));
}

static const char *tagged_zone(apr_pool_t *pool, const djs_value_t *value)
{
    apr_interval_time_t offset;
    djs_value_t *unused;

    (void)djs_value_timezone(value, &offset, &unused);
    return apr_pstrcat(pool, "{\"$timezone\":", offset_text(pool, offset), ",\"name\":",
                       quoted(pool, djs_value_as_text(pool, value)), "}", NULL);
}

const char *tagged_text(apr_pool_t *pool, const djs_value_t *value)
{
    const char *name = djs_value_type_name(value);
    djs_span_t span;

    switch (djs_value_type(value)) {
    case DJS_TYPE_NULL:
        return "null";
    case DJS_TYPE_BOOL:
        return djs_value_bool(value) ? "true" : "false";
    case DJS_TYPE_INT:
        return tagged_int(pool, value);
    case DJS_TYPE_FLOAT:
        return tag(pool, "float", djs_bytes(tagged_float(pool, djs_value_float(value))));
    case DJS_TYPE_STR:
        return quoted(pool, djs_value_str(value));
    case DJS_TYPE_LIST:
        return tagged_list(pool, value);
    case DJS_TYPE_DICT:
        return tagged_dict(pool, value);
    case DJS_TYPE_BYTES:
    case DJS_TYPE_BYTEARRAY:
        return tag(pool, name, djs_bytes(djs_hex(pool, djs_value_str(value))));
    case DJS_TYPE_TUPLE:
        return apr_pstrcat(pool, "{\"$tuple\":", tagged_list(pool, value), "}", NULL);
    case DJS_TYPE_SET:
    case DJS_TYPE_FROZENSET:
        return tagged_set(pool, value);
    case DJS_TYPE_DATETIME:
    case DJS_TYPE_DATE:
    case DJS_TYPE_TIME:
        return tagged_time(pool, value);
    case DJS_TYPE_TIMEDELTA:
        span = djs_value_span(value);
        return apr_psprintf(pool, "{\"$timedelta\":[%d,%d,%d]}", span.days, span.seconds, span.usec);
    case DJS_TYPE_TIMEZONE:
        return tagged_zone(pool, value);
    case DJS_TYPE_DECIMAL:
        return tag(pool, "decimal", djs_value_str(value));
    case DJS_TYPE_UUID:
        return tag(pool, "uuid", djs_value_as_text(pool, value));
    }
    return "?";
}

djs_bytes_t tagged_pickle(djs_ctx_t *ctx, const json_t *a_case)
{
    djs_bytes_t bytes;

    if (!vector_bytes(ctx->pool, a_case, "pickle", &bytes)) {
        assert_status(ctx, djs_base64_decode(ctx, DJS_BASE64_STANDARD,
                                             djs_bytes(vector_need(a_case, "pickle_zlib_base64")),
                                             &bytes), APR_SUCCESS, "base64");
        assert_status(ctx, djs_inflate(ctx, bytes, DJS_INFLATE_MAX, &bytes), APR_SUCCESS, "zlib");
    }
    return bytes;
}
