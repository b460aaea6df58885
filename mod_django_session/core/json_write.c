/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON as Python's json module writes it.
 */
#include "json_impl.h"
#include "encode.h"

#include <string.h>

typedef struct writer_t {
    apr_pool_t *pool;
    char *data;
    apr_size_t len, size;
    djs_json_spacing_t spacing;
    const char *foreign; /* the first type that JSON does not have, by name, else NULL */
} writer_t;

static void grow(writer_t *to, apr_size_t len)
{
    char *larger;

    to->size = (to->len + len) * 2;
    larger = apr_palloc(to->pool, to->size);
    memcpy(larger, to->data, to->len);
    to->data = larger;
}

/* Where @a len more bytes can be written. */
static inline char *room(writer_t *to, apr_size_t len)
{
    if (to->size - to->len < len) {
        grow(to, len);
    }
    return to->data + to->len;
}

static inline void write_bytes(writer_t *to, djs_bytes_t bytes)
{
    if (bytes.len > 0) {
        memcpy(room(to, bytes.len), bytes.data, bytes.len);
        to->len += bytes.len;
    }
}

static inline void write_text(writer_t *to, const char *text)
{
    write_bytes(to, djs_bytes(text));
}

static char *put_unit(char *out, apr_uint32_t unit)
{
    static const char hex[] = "0123456789abcdef";

    out[0] = '\\';
    out[1] = 'u';
    out[2] = hex[unit >> 12 & 15];
    out[3] = hex[unit >> 8 & 15];
    out[4] = hex[unit >> 4 & 15];
    out[5] = hex[unit & 15];
    return out + 6;
}

/* A character that does not stand for itself: at most 12 bytes. */
static char *put_escape(char *out, apr_uint32_t c)
{
    const char *brief = c != 0 && c < 0x7f ? strchr(djs_json_escaped, (int)c) : NULL;

    if (brief != NULL) {
        out[0] = '\\';
        out[1] = djs_json_escapes[brief - djs_json_escaped];
        return out + 2;
    }
    if (c < 0x10000) {
        return put_unit(out, c);
    }
    out = put_unit(out, 0xd800 + ((c - 0x10000) >> 10));
    return put_unit(out, 0xdc00 + ((c - 0x10000) & 0x3ff));
}

static void write_string(writer_t *to, djs_bytes_t text)
{
    apr_size_t i = 0;
    char *out;

    *room(to, 1) = '"';
    to->len++;
    while (i < text.len) {
        const apr_size_t from = i;
        apr_uint32_t c = 0xfffd;
        int used;

        while (i < text.len && djs_json_kinds[(unsigned char)text.data[i]] == ORDINARY) {
            i++;
        }
        write_bytes(to, djs_bytes_of(text.data + from, i - from));
        if (i == text.len) {
            break;
        }
        used = djs_utf8_next(djs_bytes_of(text.data + i, text.len - i), &c);
        out = room(to, 12);
        to->len += (apr_size_t)(put_escape(out, c) - out);
        i += used > 0 ? (apr_size_t)used : 1;
    }
    *room(to, 1) = '"';
    to->len++;
}

static void write_value(writer_t *to, const djs_value_t *value);

static void write_list(writer_t *to, const djs_value_t *list)
{
    const char *comma = to->spacing == DJS_JSON_SPACED ? ", " : ",";
    const djs_value_t *item;
    apr_size_t i;

    write_text(to, "[");
    for (i = 0; (item = djs_value_at(list, i)) != NULL; i++) {
        if (i > 0) {
            write_text(to, comma);
        }
        write_value(to, item);
    }
    write_text(to, "]");
}

/* What JSON has no name for; no more than the first is told of. */
static void note_foreign(writer_t *to, const djs_value_t *value)
{
    if (to->foreign == NULL) {
        to->foreign = djs_value_type_name(value);
    }
}

/* A key that is no text, as json.dumps() writes it; those that it refuses as their values' text. */
static void write_key(writer_t *to, const djs_value_t *key)
{
    writer_t inside = { to->pool, apr_palloc(to->pool, 64), 0, 64, DJS_JSON_COMPACT, to->foreign };
    djs_bytes_t text;

    if (djs_value_type(key) > DJS_TYPE_DICT) {
        note_foreign(&inside, key);
    }
    write_value(&inside, key);
    to->foreign = inside.foreign;
    text = djs_bytes_of(inside.data, inside.len);
    if (text.len > 0 && text.data[0] == '"') {
        write_bytes(to, text);
    }
    else {
        write_string(to, text);
    }
}

static void write_name(writer_t *to, djs_bytes_t text, const djs_value_t *key)
{
    if (key == NULL) {
        write_string(to, text);
    }
    else {
        write_key(to, key);
    }
}

/* @a hidden: members whose names begin with it are left out; '\0': none. */
static void write_members(writer_t *to, const djs_value_t *dict, char hidden)
{
    const char *comma = to->spacing == DJS_JSON_SPACED ? ", " : ",";
    const char *colon = to->spacing == DJS_JSON_SPACED ? ": " : ":";
    djs_bytes_t key;
    djs_value_t *value;
    int written = 0;
    apr_size_t i;

    write_text(to, "{");
    for (i = 0; djs_value_member(dict, i, &key, &value); i++) {
        if (hidden != '\0' && key.len > 0 && key.data[0] == hidden) {
            continue;
        }
        if (written++ > 0) {
            write_text(to, comma);
        }
        /* What stands for a key of another type is no text, so it begins with no ASCII. */
        write_name(to, key, key.len > 0 && (key.data[0] & 0x80) != 0 ? djs_value_key(dict, i)
                                                                     : NULL);
        write_text(to, colon);
        write_value(to, value);
    }
    write_text(to, "}");
}

static void write_dict(writer_t *to, const djs_value_t *dict)
{
    write_members(to, dict, '\0');
}

static void write_set(writer_t *to, const djs_value_t *set)
{
    djs_bytes_t key;
    djs_value_t *item;
    apr_size_t i;

    write_text(to, "[");
    for (i = 0; djs_value_member(set, i, &key, &item); i++) {
        if (i > 0) {
            write_text(to, to->spacing == DJS_JSON_SPACED ? ", " : ",");
        }
        write_value(to, item);
    }
    write_text(to, "]");
}

static void write_foreign(writer_t *to, const djs_value_t *value)
{
    note_foreign(to, value);
    switch (djs_value_type(value)) {
    case DJS_TYPE_SET:
    case DJS_TYPE_FROZENSET:
        write_set(to, value);
        break;
    case DJS_TYPE_TIMEDELTA:
        write_bytes(to, djs_value_as_text(to->pool, value));
        break;
    default:
        write_string(to, djs_value_as_text(to->pool, value));
    }
}

static void write_value(writer_t *to, const djs_value_t *value)
{
    char number[DJS_JSON_FLOAT_SIZE];
    djs_bytes_t text;

    if (djs_json_is_canonical(value, to->spacing, &text)) {
        write_bytes(to, text);
        return;
    }
    switch (djs_value_type(value)) {
    case DJS_TYPE_NULL:
        write_text(to, "null");
        break;
    case DJS_TYPE_BOOL:
        write_text(to, djs_value_bool(value) ? "true" : "false");
        break;
    case DJS_TYPE_INT:
        write_bytes(to, djs_value_int_digits(value, to->pool));
        break;
    case DJS_TYPE_FLOAT:
        djs_json_float_repr(djs_value_float(value), number);
        write_text(to, number);
        break;
    case DJS_TYPE_STR:
        write_string(to, djs_value_str(value));
        break;
    case DJS_TYPE_LIST:
        write_list(to, value);
        break;
    case DJS_TYPE_DICT:
        write_dict(to, value);
        break;
    case DJS_TYPE_TUPLE:
        write_list(to, value);
        break;
    default:
        write_foreign(to, value);
    }
}

/* With a NUL behind. */
static djs_bytes_t written(writer_t *to)
{
    *room(to, 1) = '\0';
    return djs_bytes_of(to->data, to->len);
}

djs_bytes_t djs_json_dumps(djs_ctx_t *ctx, djs_json_spacing_t spacing, const djs_value_t *value)
{
    writer_t to = { ctx->pool, apr_palloc(ctx->pool, 1024), 0, 1024, spacing, NULL };

    write_value(&to, value);
    return written(&to);
}

apr_status_t djs_json_dumps_exactly(djs_ctx_t *ctx, const djs_value_t *value, djs_bytes_t *text)
{
    writer_t to = { ctx->pool, apr_palloc(ctx->pool, 1024), 0, 1024, DJS_JSON_COMPACT, NULL };

    write_value(&to, value);
    if (to.foreign != NULL) {
        return djs_fail(ctx, DJS_EUNSUPPORTED, "a value of type %s, which JSON cannot keep: only "
                        "Python's pickles can", to.foreign);
    }
    *text = written(&to);
    return APR_SUCCESS;
}

djs_bytes_t djs_json_dumps_without(djs_ctx_t *ctx, const djs_value_t *dict, char hidden)
{
    writer_t to = { ctx->pool, apr_palloc(ctx->pool, 1024), 0, 1024, DJS_JSON_COMPACT, NULL };

    write_members(&to, dict, hidden);
    return written(&to);
}
