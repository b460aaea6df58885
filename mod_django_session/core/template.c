/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See template.h. A template is read into a list of pieces; a condition knows where to go on when
 * it does not hold.
 */
#include "template.h"

#include <string.h>

#include <apr_tables.h>

typedef enum piece_kind_t { TEXT, VALUE, IF, IF_NOT } piece_kind_t;

typedef struct piece_t {
    piece_kind_t kind;
    djs_bytes_t text; /* of TEXT */
    int name;         /* of the others */
    int end;          /* of conditions: the piece behind {% endif %} */
} piece_t;

struct djs_template_t {
    apr_array_header_t *pieces;
};

typedef struct reading_t {
    djs_ctx_t *ctx;
    const char *const *names;
    const char *begin, *at, *end;
    apr_array_header_t *pieces;
    int open[DJS_TEMPLATE_DEPTH_MAX]; /* conditions that were not ended */
    int depth;
} reading_t;

/* ---- reading ---- */

static apr_status_t refuse(const reading_t *reading, const char *what, const char *word)
{
    const char *c;
    int line = 1;

    for (c = reading->begin; c < reading->at; c++) {
        line += *c == '\n';
    }
    return djs_fail(reading->ctx, DJS_EFORMAT, "line %d: %s%s%s%s", line, what, *word ? " \"" : "",
                    word, *word ? "\"" : "");
}

static const char *find(const reading_t *reading, const char *from, const char *what)
{
    apr_size_t len = strlen(what);

    for (; (apr_size_t)(reading->end - from) >= len; from++) {
        if (memcmp(from, what, len) == 0) {
            return from;
        }
    }
    return NULL;
}

/* The next "{{", "{%" or "{#"; NULL: none. */
static const char *find_tag(const reading_t *reading)
{
    const char *c;

    for (c = reading->at; c + 1 < reading->end; c++) {
        if (c[0] == '{' && (c[1] == '{' || c[1] == '%' || c[1] == '#')) {
            return c;
        }
    }
    return NULL;
}

static piece_t *add_piece(reading_t *reading, piece_kind_t kind)
{
    piece_t *piece = apr_array_push(reading->pieces);

    memset(piece, 0, sizeof(*piece));
    piece->kind = kind;
    return piece;
}

static int name_number(const reading_t *reading, const char *name)
{
    int i;

    for (i = 0; reading->names[i]; i++) {
        if (strcmp(reading->names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

static apr_status_t add_named(reading_t *reading, piece_kind_t kind, const char *name)
{
    int number = name_number(reading, name);

    if (number < 0) {
        return refuse(reading, "there is no", name);
    }
    add_piece(reading, kind)->name = number;
    return APR_SUCCESS;
}

static apr_status_t open_condition(reading_t *reading, piece_kind_t kind, const char *name)
{
    if (reading->depth == DJS_TEMPLATE_DEPTH_MAX) {
        return refuse(reading, "too many {% if %} in one another", "");
    }
    reading->open[reading->depth++] = reading->pieces->nelts;
    return add_named(reading, kind, name);
}

static apr_status_t close_condition(reading_t *reading)
{
    if (reading->depth == 0) {
        return refuse(reading, "{% endif %} without {% if %}", "");
    }
    reading->depth--;
    APR_ARRAY_IDX(reading->pieces, reading->open[reading->depth], piece_t).end
        = reading->pieces->nelts;
    return APR_SUCCESS;
}

/* What stands in "{% … %}". */
static apr_status_t read_statement(reading_t *reading, char *inside)
{
    char *rest;
    const char *words[4] = { "", "", "", "" };
    const char *word;
    int count = 0;

    for (word = apr_strtok(inside, " \t\r\n", &rest); word && count < 4;
         word = apr_strtok(NULL, " \t\r\n", &rest)) {
        words[count++] = word;
    }
    if (count == 1 && strcmp(words[0], "endif") == 0) {
        return close_condition(reading);
    }
    if (count == 2 && strcmp(words[0], "if") == 0) {
        return open_condition(reading, IF, words[1]);
    }
    if (count == 3 && strcmp(words[0], "if") == 0 && strcmp(words[1], "not") == 0) {
        return open_condition(reading, IF_NOT, words[2]);
    }
    return refuse(reading, "only {% if NAME %}, {% if not NAME %} and {% endif %} are known, not",
                  words[0]);
}

static apr_status_t read_value(reading_t *reading, char *inside)
{
    char *rest;
    const char *name = apr_strtok(inside, " \t\r\n", &rest);

    if (!name || apr_strtok(NULL, " \t\r\n", &rest)) {
        return refuse(reading, "{{ }} holds one name", "");
    }
    return add_named(reading, VALUE, name);
}

/* From "{{" and its like to where it ends. */
static apr_status_t read_tag(reading_t *reading)
{
    char kind = reading->at[1];
    const char *end = find(reading, reading->at + 2, kind == '{'   ? "}}"
                                                     : kind == '%' ? "%}"
                                                                   : "#}");
    char *inside;
    apr_status_t rv = APR_SUCCESS;

    if (!end) {
        return refuse(reading, "this is not ended:", apr_pstrmemdup(reading->ctx->pool, reading->at, 2));
    }
    inside = apr_pstrmemdup(reading->ctx->pool, reading->at + 2,
                            (apr_size_t)(end - reading->at - 2));
    if (kind == '{') {
        rv = read_value(reading, inside);
    }
    else if (kind == '%') {
        rv = read_statement(reading, inside);
    }
    reading->at = end + 2;
    return rv;
}

apr_status_t djs_template_parse(djs_ctx_t *ctx, djs_bytes_t text, const char *const *names,
                                const djs_template_t **made)
{
    reading_t reading = { .ctx = ctx, .names = names, .begin = text.data, .at = text.data,
                          .end = text.data + text.len };
    djs_template_t *template = apr_palloc(ctx->pool, sizeof(*template));
    apr_status_t rv = APR_SUCCESS;

    if (text.len > DJS_TEMPLATE_MAX) {
        return djs_fail(ctx, DJS_ELIMIT, "%" APR_SIZE_T_FMT " bytes, allowed are %d", text.len,
                        DJS_TEMPLATE_MAX);
    }
    reading.pieces = template->pieces = apr_array_make(ctx->pool, 32, sizeof(piece_t));
    while (rv == APR_SUCCESS && reading.at < reading.end) {
        const char *tag = find_tag(&reading);
        const char *until = tag ? tag : reading.end;

        if (until > reading.at) {
            add_piece(&reading, TEXT)->text
                = djs_bytes_of(reading.at, (apr_size_t)(until - reading.at));
        }
        reading.at = until;
        if (tag) {
            rv = read_tag(&reading);
        }
    }
    if (rv == APR_SUCCESS && reading.depth > 0) {
        rv = refuse(&reading, "{% if %} without {% endif %}", "");
    }
    *made = template;
    return rv;
}

int djs_template_has(const djs_template_t *made, int name)
{
    int i;

    for (i = 0; i < made->pieces->nelts; i++) {
        const piece_t *piece = &APR_ARRAY_IDX(made->pieces, i, piece_t);

        if (piece->kind != TEXT && piece->name == name) {
            return 1;
        }
    }
    return 0;
}

/* ---- writing ---- */

static const char *entity(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#x27;";
    default:
        return NULL;
    }
}

const char *djs_template_escape(apr_pool_t *pool, const char *text)
{
    char *out = apr_palloc(pool, strlen(text) * 6 + 1);
    char *o = out;

    for (; *text; text++) {
        const char *escaped = entity(*text);

        if (escaped) {
            apr_size_t len = strlen(escaped);

            memcpy(o, escaped, len);
            o += len;
        }
        else {
            *o++ = *text;
        }
    }
    *o = '\0';
    return out;
}

const char *djs_template_render(djs_ctx_t *ctx, const djs_template_t *made,
                                const char *const *values)
{
    const piece_t *pieces = (const piece_t *)made->pieces->elts;
    apr_array_header_t *parts = apr_array_make(ctx->pool, made->pieces->nelts, sizeof(char *));
    int i = 0;

    while (i < made->pieces->nelts) {
        const piece_t *piece = &pieces[i++];
        const char *value = values[piece->name] ? values[piece->name] : "";

        if (piece->kind == TEXT) {
            APR_ARRAY_PUSH(parts, const char *)
                = apr_pstrmemdup(ctx->pool, piece->text.data, piece->text.len);
        }
        else if (piece->kind == VALUE) {
            APR_ARRAY_PUSH(parts, const char *) = djs_template_escape(ctx->pool, value);
        }
        else if ((*value != '\0') != (piece->kind == IF)) {
            i = piece->end;
        }
    }
    return apr_array_pstrcat(ctx->pool, parts, '\0');
}
