/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to the login page, as django.contrib.auth.views.redirect_to_login makes it: the query of
 * the login address is read as a QueryDict, the parameter is set in it, and the whole is written
 * again. So "+" becomes "%20", "a" becomes "a=", and parameters of one name stand together.
 */
#include "url.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_tables.h>

#include "encode.h"

/** A parameter of a query, decoded. */
typedef struct param_t {
    djs_bytes_t name;
    apr_array_header_t *values; /* of djs_bytes_t */
} param_t;

djs_bytes_t djs_url_unquote_plus(djs_ctx_t *ctx, djs_bytes_t text)
{
    char *data = apr_palloc(ctx->pool, text.len + 1);
    char *out = data;
    apr_size_t i;

    for (i = 0; i < text.len; i++) {
        char c = text.data[i];

        if (c == '%' && text.len - i > 2 && djs_hex_digit(text.data[i + 1]) >= 0
            && djs_hex_digit(text.data[i + 2]) >= 0) {
            c = (char)(djs_hex_digit(text.data[i + 1]) * 16 + djs_hex_digit(text.data[i + 2]));
            i += 2;
        }
        else if (c == '+') {
            c = ' ';
        }
        *out++ = c;
    }
    *out = '\0';
    return djs_bytes_of(data, (apr_size_t)(out - data));
}

/* The parameter of a name, made at the end when there is none. */
static param_t *param_of(djs_ctx_t *ctx, apr_array_header_t *params, djs_bytes_t name)
{
    param_t *param;
    int i;

    for (i = 0; i < params->nelts; i++) {
        param = &APR_ARRAY_IDX(params, i, param_t);
        if (djs_bytes_equal(param->name, name)) {
            return param;
        }
    }
    param = apr_array_push(params);
    param->name = name;
    param->values = apr_array_make(ctx->pool, 1, sizeof(djs_bytes_t));
    return param;
}

/* The bytes before the first @a c, or all of them; *rest is what follows it. */
static djs_bytes_t cut(djs_bytes_t text, char c, djs_bytes_t *rest)
{
    const char *at = text.len > 0 ? memchr(text.data, c, text.len) : NULL;
    apr_size_t len = at != NULL ? (apr_size_t)(at - text.data) : text.len;

    *rest = at != NULL ? djs_bytes_of(at + 1, text.len - len - 1) : djs_bytes("");
    return djs_bytes_of(text.data, len);
}

static apr_array_header_t *parse_query(djs_ctx_t *ctx, djs_bytes_t query)
{
    apr_array_header_t *params = apr_array_make(ctx->pool, 4, sizeof(param_t));
    djs_bytes_t pair, name, value;
    param_t *param;

    while (query.len > 0) {
        pair = cut(query, '&', &query);
        if (pair.len > 0) {
            name = cut(pair, '=', &value);
            param = param_of(ctx, params, djs_url_unquote_plus(ctx, name));
            APR_ARRAY_PUSH(param->values, djs_bytes_t) = djs_url_unquote_plus(ctx, value);
        }
    }
    return params;
}

/* QueryDict.urlencode(safe="/") */
static const char *write_query(djs_ctx_t *ctx, const apr_array_header_t *params)
{
    apr_array_header_t *pairs = apr_array_make(ctx->pool, 4, sizeof(const char *));
    int i, j;

    for (i = 0; i < params->nelts; i++) {
        const param_t *param = &APR_ARRAY_IDX(params, i, param_t);
        const char *name = djs_quote(ctx->pool, param->name, "/");

        for (j = 0; j < param->values->nelts; j++) {
            djs_bytes_t value = APR_ARRAY_IDX(param->values, j, djs_bytes_t);

            APR_ARRAY_PUSH(pairs, const char *) =
                apr_pstrcat(ctx->pool, name, "=", djs_quote(ctx->pool, value, "/"), NULL);
        }
    }
    return apr_array_pstrcat(ctx->pool, pairs, '&');
}

const char *djs_url_login(djs_ctx_t *ctx, const char *login_url, const char *field,
                          const char *next)
{
    djs_bytes_t fragment, query, path;
    apr_array_header_t *params;
    param_t *param;

    path = cut(cut(djs_bytes(login_url), '#', &fragment), '?', &query);
    params = parse_query(ctx, query);
    param = param_of(ctx, params, djs_bytes(field));
    apr_array_clear(param->values);
    APR_ARRAY_PUSH(param->values, djs_bytes_t) = djs_bytes(next);
    return apr_pstrcat(ctx->pool, apr_pstrmemdup(ctx->pool, path.data, path.len), "?",
                       write_query(ctx, params), fragment.len > 0 ? "#" : "", fragment.data, NULL);
}

/* ---- one parameter ---- */

/* "NAME", "NAME=…", in any encoding. */
static int is_param(djs_ctx_t *ctx, djs_bytes_t part, const char *name, djs_bytes_t *value)
{
    const char *equals = part.len > 0 ? memchr(part.data, '=', part.len) : NULL;
    apr_size_t len = equals != NULL ? (apr_size_t)(equals - part.data) : part.len;

    *value = equals != NULL ? djs_bytes_of(equals + 1, part.len - len - 1) : djs_bytes("");
    return djs_bytes_is(djs_url_unquote_plus(ctx, djs_bytes_of(part.data, len)), name);
}

static void note_value(djs_ctx_t *ctx, djs_bytes_t text, const char **value)
{
    djs_bytes_t plain = djs_url_unquote_plus(ctx, text);

    if (value != NULL && memchr(plain.data, '\0', plain.len) == NULL) {
        *value = plain.data;
    }
}

const char *djs_url_take_param(djs_ctx_t *ctx, const char *query, const char *name,
                               const char *mask, const char **value)
{
    apr_array_header_t *kept = apr_array_make(ctx->pool, 16, sizeof(const char *));
    const char *part = query, *separator = "";
    int taken = 0;

    for (;;) {
        apr_size_t len = strcspn(part, "&;");
        djs_bytes_t held;
        int ours = is_param(ctx, djs_bytes_of(part, len), name, &held);

        taken |= ours;
        if (ours) {
            note_value(ctx, held, value);
        }
        if (!ours || mask != NULL) {
            const char *text = ours ? apr_pstrcat(ctx->pool, name, "=", mask, NULL)
                                    : apr_pstrmemdup(ctx->pool, part, len);

            APR_ARRAY_PUSH(kept, const char *) = kept->nelts > 0 ? separator : "";
            APR_ARRAY_PUSH(kept, const char *) = text;
        }
        if (part[len] == '\0') {
            return taken ? apr_array_pstrcat(ctx->pool, kept, 0) : query;
        }
        separator = part[len] == '&' ? "&" : ";";
        part += len + 1;
    }
}

int djs_url_is_clean(const char *url)
{
    const unsigned char *at;

    for (at = (const unsigned char *)url; *at > 0x20 && *at != 0x7f; at++) {
    }
    return *url != '\0' && *at == '\0';
}

/* ---- addresses that lead back ---- */

static const char *trim(apr_pool_t *pool, const char *text)
{
    apr_size_t len;

    text += strspn(text, " \t\r\n\v\f");
    len = strlen(text);
    while (len > 0 && strchr(" \t\r\n\v\f", text[len - 1])) {
        len--;
    }
    return apr_pstrmemdup(pool, text, len);
}

/* The length of the scheme as Python's urlsplit() sees one; 0: there is none. */
static apr_size_t scheme_length(const char *url)
{
    apr_size_t len = 0;

    if (!apr_isalpha(url[0])) {
        return 0;
    }
    while (apr_isalnum(url[len]) || (url[len] && strchr("+-.", url[len]))) {
        len++;
    }
    return url[len] == ':' ? len : 0;
}

/* One reading of it: _url_has_allowed_host_and_scheme(). */
static int leads_here(const char *url, const char *host, int secure)
{
    apr_size_t scheme = scheme_length(url);
    const char *rest = scheme ? url + scheme + 1 : url;
    int has_host = strncmp(rest, "//", 2) == 0;
    apr_size_t host_len = has_host ? strcspn(rest + 2, "/?#") : 0;

    /* Browsers take more slashes than two for a host as well. */
    if (strncmp(url, "///", 3) == 0 || ((scheme || has_host) && host_len == 0)) {
        return 0;
    }
    if (host_len > 0 && (strlen(host) != host_len || strncmp(rest + 2, host, host_len) != 0)) {
        return 0;
    }
    if (scheme) {
        return (scheme == 5 && strncasecmp(url, "https", 5) == 0)
               || (!secure && scheme == 4 && strncasecmp(url, "http", 4) == 0);
    }
    return host_len == 0 || !secure;
}

int djs_url_is_safe_next(djs_ctx_t *ctx, const char *next, const char *host, int secure)
{
    const char *url;
    char *slashed, *c;

    if (!next || strlen(next) > DJS_URL_NEXT_MAX) {
        return 0;
    }
    url = trim(ctx->pool, next);
    slashed = apr_pstrdup(ctx->pool, url);
    for (c = slashed; *c; c++) {
        if ((unsigned char)*c <= ' ' || *c == 0x7f) {
            return 0;
        }
        if (*c == '\\') {
            *c = '/';
        }
    }
    return *url && (unsigned char)*url < 0x80 && leads_here(url, host, secure)
           && leads_here(slashed, host, secure);
}

const char *djs_url_location(djs_ctx_t *ctx, const char *url)
{
    return djs_quote(ctx->pool, djs_bytes(trim(ctx->pool, url)), "/#%[]=:;$&()+,!?*@'~");
}
