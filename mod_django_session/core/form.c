/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multipart bodies are read by lines, more kindly than RFC 2046 asks: a line may end in LF alone, and
 * the last boundary may be missing where the body ends. Who sends such a body must know the field's
 * value all the same.
 */
#include "form.h"

#include <string.h>

#include <apr_lib.h>

#include "url.h"

/* ---- Content-Type ---- */

static int is_type(const char *content_type, const char *type)
{
    apr_size_t len = strlen(type);

    while (*content_type == ' ' || *content_type == '\t') {
        content_type++;
    }
    return strncasecmp(content_type, type, len) == 0
           && (content_type[len] == '\0' || strchr("; \t", content_type[len]));
}

static int is_urlencoded(const char *content_type)
{
    return is_type(content_type, "application/x-www-form-urlencoded");
}

int djs_form_is_form(const char *content_type)
{
    return content_type
           && (is_urlencoded(content_type) || is_type(content_type, "multipart/form-data"));
}

static djs_bytes_t trim(djs_bytes_t text)
{
    while (text.len > 0 && apr_isspace(text.data[0])) {
        text = djs_bytes_of(text.data + 1, text.len - 1);
    }
    while (text.len > 0 && apr_isspace(text.data[text.len - 1])) {
        text.len--;
    }
    return text;
}

/* The length of what stands before the next ";" that is in no quotes. */
static apr_size_t piece_length(djs_bytes_t text)
{
    int quoted = 0;
    apr_size_t i;

    for (i = 0; i < text.len && (quoted || text.data[i] != ';'); i++) {
        if (text.data[i] == '\\' && quoted) {
            i++;
        }
        else if (text.data[i] == '"') {
            quoted = !quoted;
        }
    }
    return i < text.len ? i : text.len;
}

/* A parameter of a header's value: `a; name="b"`. 0: it has none of this name. */
static int find_param(djs_bytes_t value, const char *name, djs_bytes_t *found)
{
    apr_size_t len = strlen(name);

    for (;;) {
        apr_size_t used = piece_length(value);
        djs_bytes_t piece = trim(djs_bytes_of(value.data, used));

        if (piece.len > len && strncasecmp(piece.data, name, len) == 0) {
            djs_bytes_t rest = trim(djs_bytes_of(piece.data + len, piece.len - len));

            if (rest.len > 0 && rest.data[0] == '=') {
                rest = trim(djs_bytes_of(rest.data + 1, rest.len - 1));
                if (rest.len >= 2 && rest.data[0] == '"' && rest.data[rest.len - 1] == '"') {
                    rest = djs_bytes_of(rest.data + 1, rest.len - 2);
                }
                *found = rest;
                return 1;
            }
        }
        if (used == value.len) {
            return 0;
        }
        value = djs_bytes_of(value.data + used + 1, value.len - used - 1);
    }
}

/* ---- urlencoded ---- */

static int is_name(djs_ctx_t *ctx, djs_bytes_t text, const char *name)
{
    apr_size_t len = strlen(name);

    /* What cannot be it in any encoding is not worth decoding. */
    if (text.len < len || text.len > 3 * len) {
        return 0;
    }
    return djs_bytes_is(djs_url_unquote_plus(ctx, text), name);
}

/* The next pair, of which value.data is NULL without a "=". 0: the body ends before a "&". */
static int next_pair(djs_bytes_t *body, djs_bytes_t *name, djs_bytes_t *value)
{
    const char *end = memchr(body->data, '&', body->len);
    apr_size_t len = end ? (apr_size_t)(end - body->data) : body->len;
    const char *equals = len > 0 ? memchr(body->data, '=', len) : NULL;

    *name = djs_bytes_of(body->data, equals ? (apr_size_t)(equals - body->data) : len);
    *value = djs_bytes_of(equals ? equals + 1 : NULL, equals ? len - name->len - 1 : 0);
    *body = end ? djs_bytes_of(end + 1, body->len - len - 1) : djs_bytes("");
    return end != NULL;
}

static djs_bytes_t find_in_pairs(djs_ctx_t *ctx, djs_bytes_t body, int whole, const char *name)
{
    djs_bytes_t found = djs_bytes_of(NULL, 0);
    djs_bytes_t key, value;

    while (body.len > 0) {
        int ends = next_pair(&body, &key, &value);

        if ((ends || whole) && is_name(ctx, key, name)) {
            found = value.data ? djs_url_unquote_plus(ctx, value) : djs_bytes("");
        }
    }
    return found;
}

static void each_pair(djs_ctx_t *ctx, djs_bytes_t body, djs_form_fn each, void *baton)
{
    djs_bytes_t name, value;

    while (body.len > 0) {
        (void)next_pair(&body, &name, &value);
        if (name.len > 0 || value.data) {
            each(baton, djs_url_unquote_plus(ctx, name), value, 0);
        }
    }
}

/* ---- multipart ---- */

/* A body that is being read, by lines and parts. */
typedef struct reader_t {
    djs_bytes_t rest;
    djs_bytes_t boundary; /* without the dashes in front */
    int whole;
} reader_t;

static int is_boundary(const reader_t *reader, const char *line, apr_size_t len)
{
    return len >= reader->boundary.len + 2 && line[0] == '-' && line[1] == '-'
           && memcmp(line + 2, reader->boundary.data, reader->boundary.len) == 0;
}

static void skip(reader_t *reader, apr_size_t len)
{
    reader->rest = djs_bytes_of(reader->rest.data + len, reader->rest.len - len);
}

/* The next line without its end. 0: there is no whole one. */
static int next_line(reader_t *reader, djs_bytes_t *line)
{
    const char *end = reader->rest.len > 0 ? memchr(reader->rest.data, '\n', reader->rest.len)
                                           : NULL;

    if (!end) {
        return 0;
    }
    *line = djs_bytes_of(reader->rest.data, (apr_size_t)(end - reader->rest.data));
    skip(reader, line->len + 1);
    if (line->len > 0 && line->data[line->len - 1] == '\r') {
        line->len--;
    }
    return 1;
}

/*
 * The body of a part, up to a boundary, at which the reader then is; data NULL: there is nothing, not
 * even the line end in front of the boundary. 0: it may go on.
 */
static int next_content(reader_t *reader, djs_bytes_t *content)
{
    const char *start = reader->rest.data;
    const char *end = start + reader->rest.len;
    const char *at = start;

    while (at < end && !is_boundary(reader, at, (apr_size_t)(end - at))) {
        const char *line_end = memchr(at, '\n', (apr_size_t)(end - at));

        at = line_end ? line_end + 1 : end;
    }
    if (at == end && !reader->whole) {
        return 0;
    }
    skip(reader, (apr_size_t)(at - start));
    *content = djs_bytes_of(at > start ? start : NULL, (apr_size_t)(at - start));
    if (at < end && content->len > 0) {
        content->len--; /* the line end belongs to the boundary */
        if (content->len > 0 && content->data[content->len - 1] == '\r') {
            content->len--;
        }
    }
    return 1;
}

static int is_file(djs_bytes_t disposition)
{
    djs_bytes_t name;

    return (find_param(disposition, "filename", &name) && name.len > 0)
           || (find_param(disposition, "filename*", &name) && name.len > 0);
}

/* What the headers of a part say of it. */
typedef struct part_t {
    djs_bytes_t name; /* data NULL: it has none */
    int file;
} part_t;

/* Up to the empty line. 0: they do not end. */
static int read_headers(reader_t *reader, part_t *part)
{
    static const char disposition[] = "content-disposition:";
    djs_bytes_t line;

    part->name = djs_bytes_of(NULL, 0);
    part->file = 0;
    while (next_line(reader, &line)) {
        if (line.len == 0) {
            return 1;
        }
        if (line.len > sizeof(disposition) - 1
            && strncasecmp(line.data, disposition, sizeof(disposition) - 1) == 0) {
            if (!find_param(line, "name", &part->name)) {
                part->name = djs_bytes_of(NULL, 0);
            }
            part->file = is_file(line);
        }
    }
    return 0;
}

/* Behind the line of the first boundary. 0: there is none. */
static int find_first_part(reader_t *reader)
{
    djs_bytes_t line;

    while (next_line(reader, &line)) {
        if (is_boundary(reader, line.data, line.len)) {
            return 1;
        }
    }
    return 0;
}

/* The next part and its content, as next_content() has it. 0: there is none that is whole. */
static int next_part(reader_t *reader, part_t *part, djs_bytes_t *content)
{
    return read_headers(reader, part) && next_content(reader, content);
}

static djs_bytes_t find_in_parts(reader_t *reader, const char *name)
{
    djs_bytes_t found = djs_bytes_of(NULL, 0);
    djs_bytes_t content, line;
    part_t part;
    int more = find_first_part(reader);

    while (more && next_part(reader, &part, &content)) {
        if (part.name.data && !part.file && djs_bytes_is(part.name, name)) {
            found = content.len > 0 ? content : djs_bytes("");
        }
        /* Whatever else the boundary's line says: Django reads on behind the last one, too. */
        more = next_line(reader, &line);
    }
    return found;
}

static void each_part(reader_t *reader, djs_form_fn each, void *baton)
{
    djs_bytes_t content, line;
    part_t part;
    int more = find_first_part(reader);

    while (more && next_part(reader, &part, &content)) {
        if (part.name.data) {
            each(baton, part.name, content, part.file);
        }
        more = next_line(reader, &line);
    }
}

/* ---- both ---- */

static int has_boundary(const char *content_type, reader_t *reader)
{
    return find_param(djs_bytes(content_type), "boundary", &reader->boundary)
           && reader->boundary.len > 0 && reader->boundary.len <= DJS_FORM_BOUNDARY_MAX;
}

const char *djs_form_find(djs_ctx_t *ctx, const char *content_type, djs_bytes_t body, int whole,
                          const char *name)
{
    reader_t reader = { .rest = body, .whole = whole };
    djs_bytes_t found;

    if (!djs_form_is_form(content_type)) {
        return NULL;
    }
    if (is_urlencoded(content_type)) {
        found = find_in_pairs(ctx, body, whole, name);
    }
    else {
        if (!has_boundary(content_type, &reader)) {
            return NULL;
        }
        found = find_in_parts(&reader, name);
    }
    if (!found.data || memchr(found.data, '\0', found.len)) {
        return NULL;
    }
    return apr_pstrmemdup(ctx->pool, found.data, found.len);
}

int djs_form_each(djs_ctx_t *ctx, const char *content_type, djs_bytes_t body, djs_form_fn each,
                  void *baton)
{
    reader_t reader = { .rest = body, .whole = 1 };

    if (!djs_form_is_form(content_type)) {
        return 0;
    }
    if (is_urlencoded(content_type)) {
        each_pair(ctx, body, each, baton);
        return 1;
    }
    if (!has_boundary(content_type, &reader)) {
        return 0;
    }
    each_part(&reader, each, baton);
    return 1;
}

/* ---- another value ---- */

typedef struct exchange_t {
    const char *name, *value;
    const char *done; /* how far of the body is in the copy */
    char *at;         /* its end, so far; NULL: only count */
    int found;
} exchange_t;

static void put(exchange_t *exchange, const char *data, apr_size_t len)
{
    memcpy(exchange->at, data, len);
    exchange->at += len;
}

static void exchange_one(void *baton, djs_bytes_t name, djs_bytes_t value, int file)
{
    exchange_t *exchange = baton;

    if (file || !value.data || !djs_bytes_is(name, exchange->name)) {
        return;
    }
    exchange->found++;
    if (exchange->at) {
        put(exchange, exchange->done, (apr_size_t)(value.data - exchange->done));
        put(exchange, exchange->value, strlen(exchange->value));
        exchange->done = value.data + value.len;
    }
}

djs_bytes_t djs_form_exchange(djs_ctx_t *ctx, const char *content_type, djs_bytes_t body,
                              const char *name, const char *value)
{
    exchange_t exchange = { .name = name, .value = value, .done = body.data };
    char *copy;

    if (!djs_form_each(ctx, content_type, body, exchange_one, &exchange) || exchange.found == 0) {
        return body;
    }
    copy = exchange.at = apr_palloc(ctx->pool,
                                    body.len + (apr_size_t)exchange.found * strlen(value) + 1);
    (void)djs_form_each(ctx, content_type, body, exchange_one, &exchange);
    put(&exchange, exchange.done, (apr_size_t)(body.data + body.len - exchange.done));
    return djs_bytes_of(copy, (apr_size_t)(exchange.at - copy));
}
