/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON as Python's json module reads it: tokens (json_scan.c) into values, when somebody asks.
 */
#include "json_impl.h"
#include "encode.h"

#include <math.h>
#include <string.h>

/* ---- Tokens into values ---------------------------------------------------------------------- */

static djs_bytes_t token_text(const djs_document_t *document, const djs_token_t *token)
{
    return djs_bytes_of(document->text.data + token->start, token->end - token->start);
}

/* The code point of an escape at the backslash, which is gone over. Halves of a pair are joined. */
static apr_uint32_t read_escape(const char **at, const char *end)
{
    const char *from = *at;
    int unit, low;

    if (from[1] != 'u') {
        const char *brief = strchr(djs_json_escapes, from[1]);

        *at += 2;
        return (unsigned char)djs_json_escaped[brief - djs_json_escapes];
    }
    *at += 6;
    unit = djs_json_hex4(from + 2, end);
    if (unit < 0xd800 || unit > 0xdbff || end - *at < 6 || from[6] != '\\' || from[7] != 'u') {
        return (apr_uint32_t)unit;
    }
    low = djs_json_hex4(from + 8, end);
    if (low < 0xdc00 || low > 0xdfff) {
        return (apr_uint32_t)unit;
    }
    *at += 6;
    return 0x10000 + ((apr_uint32_t)(unit - 0xd800) << 10) + (apr_uint32_t)(low - 0xdc00);
}

/* A string with its escapes resolved, in UTF-8, NUL-terminated. */
static djs_bytes_t decode_string(apr_pool_t *pool, const djs_document_t *document,
                                 djs_bytes_t inside)
{
    const int latin1 = document->charset == DJS_JSON_LATIN1;
    const char *at = inside.data, *end = inside.data + inside.len;
    char *text = apr_palloc(pool, (latin1 ? inside.len * 2 : inside.len) + 1);
    char *out = text;

    while (at < end) {
        if (*at == '\\') {
            out += djs_utf8_put(read_escape(&at, end), out);
        }
        else if (latin1) {
            out += djs_utf8_put((unsigned char)*at++, out);
        }
        else {
            *out++ = *at++;
        }
    }
    *out = '\0';
    return djs_bytes_of(text, (apr_size_t)(out - text));
}

/* Without a NUL behind when it is plain. */
static djs_bytes_t string_of(apr_pool_t *pool, const djs_document_t *document,
                             const djs_token_t *token)
{
    djs_bytes_t inside = token_text(document, token);

    inside.data++;
    inside.len -= 2;
    return token->plain ? inside : decode_string(pool, document, inside);
}

static djs_bytes_t digits_of(djs_bytes_t text)
{
    return djs_bytes_is(text, "-0") ? djs_bytes("0") : text;
}

static double float_of(apr_pool_t *pool, djs_bytes_t text)
{
    if (text.data[0] == 'N') {
        return NAN;
    }
    if (text.data[0] == 'I') {
        return INFINITY;
    }
    if (text.len > 1 && text.data[1] == 'I') {
        return -INFINITY;
    }
    return djs_json_read_float(pool, text);
}

static djs_value_t *value_of(apr_pool_t *pool, const djs_document_t *document, apr_uint32_t place)
{
    const djs_token_t *token = djs_json_token(document, place);

    switch (token->type) {
    case DJS_TYPE_NULL:
        return djs_value_make_null(pool);
    case DJS_TYPE_BOOL:
        return djs_value_make_bool(pool, token->truth);
    default:
        return djs_value_make_lazy(pool, (djs_type_t)token->type, &document->lazy, place);
    }
}

static void fill_list(djs_value_t *list, const djs_document_t *document, apr_uint32_t place)
{
    const apr_uint32_t end = djs_json_token(document, place)->next;
    apr_uint32_t i;

    for (i = place + 1; i < end; i = djs_json_token(document, i)->next) {
        djs_value_append(list, value_of(djs_value_pool(list), document, i));
    }
}

static void fill_dict(djs_value_t *dict, const djs_document_t *document, apr_uint32_t place)
{
    const apr_uint32_t end = djs_json_token(document, place)->next;
    apr_pool_t *pool = djs_value_pool(dict);
    apr_uint32_t i;

    for (i = place + 1; i < end; i = djs_json_token(document, i + 1)->next) {
        djs_value_put(dict, string_of(pool, document, djs_json_token(document, i)),
                      value_of(pool, document, i + 1));
    }
}

/* djs_lazy_t.fill */
static void fill(const djs_lazy_t *lazy, apr_uint32_t place, djs_value_t *value)
{
    const djs_document_t *document = (const djs_document_t *)lazy;
    const djs_token_t *token = djs_json_token(document, place);
    apr_pool_t *pool = djs_value_pool(value);
    djs_bytes_t text;

    switch (token->type) {
    case DJS_TYPE_INT:
        djs_value_fill_int(value, digits_of(token_text(document, token)));
        break;
    case DJS_TYPE_FLOAT:
        djs_value_fill_float(value, float_of(pool, token_text(document, token)));
        break;
    case DJS_TYPE_STR:
        text = string_of(pool, document, token);
        djs_value_fill_str(value, token->plain ? djs_bytes_copy(pool, text) : text);
        break;
    case DJS_TYPE_LIST:
        fill_list(value, document, place);
        break;
    default:
        fill_dict(value, document, place);
    }
}

/* ---- Reading --------------------------------------------------------------------------------- */

apr_status_t djs_json_loads_prefix(djs_ctx_t *ctx, djs_json_charset_t charset, djs_bytes_t text,
                                   djs_value_t **value, apr_size_t *used)
{
    djs_document_t *document;
    apr_status_t rv;

    if (text.len > DJS_JSON_TEXT_MAX) {
        return djs_fail(ctx, DJS_ELIMIT, "JSON text of %" APR_SIZE_T_FMT " bytes, allowed are %d",
                        text.len, DJS_JSON_TEXT_MAX);
    }
    document = apr_palloc(ctx->pool, sizeof(*document));
    document->lazy.fill = fill;
    document->text = text;
    document->charset = charset;
    rv = djs_json_scan(ctx, document, used);
    if (rv == APR_SUCCESS) {
        *value = value_of(ctx->pool, document, 0);
    }
    return rv;
}

apr_status_t djs_json_loads(djs_ctx_t *ctx, djs_json_charset_t charset, djs_bytes_t text,
                            djs_value_t **value)
{
    djs_value_t *read;
    apr_size_t used;
    apr_status_t rv = djs_json_loads_prefix(ctx, charset, text, &read, &used);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    while (used < text.len && djs_json_is_blank(text.data[used])) {
        used++;
    }
    if (used < text.len) {
        return djs_fail(ctx, DJS_EFORMAT, "JSON: something behind the end at byte %" APR_SIZE_T_FMT,
                        used);
    }
    *value = read;
    return APR_SUCCESS;
}

int djs_json_is_canonical(const djs_value_t *value, djs_json_spacing_t spacing, djs_bytes_t *text)
{
    apr_uint32_t place;
    const djs_document_t *document = (const djs_document_t *)djs_value_lazy(value, &place);
    const djs_token_t *token;

    if (!document || document->lazy.fill != fill) {
        return 0;
    }
    token = djs_json_token(document, place);
    *text = token_text(document, token);
    return token->canonical && (spacing == DJS_JSON_COMPACT || token->type < DJS_TYPE_LIST);
}
