/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Cookie header as django.http.parse_cookie reads it:
 *
 *     header = cookie *( ";" cookie )          quotes do not protect ";", "," separates nothing
 *     cookie = name "=" value | value          at the first "="; without one the name is empty
 *
 * Bytes become text before anything else: UTF-8, what is none of it as U+FFFD. Name and value lose
 * the white space around them, all of Unicode's. A value in quotes is then unquoted as Python's
 * http.cookies does it: "\" and three octal digits up to 377 are the character of that number, "\"
 * and anything else but a line feed is that character.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memrchr */
#endif

#include "cookie.h"

#include <string.h>

#include "encode.h"
#include "moment.h"

/* What Python puts in place of bytes that are no UTF-8. */
#define REPLACEMENT "\xef\xbf\xbd"

/* --- bytes to text --- */

/* The bounds of the second byte; what overlong forms, surrogates and the end of Unicode leave. */
static int is_second(unsigned char lead, unsigned char c)
{
    unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;

    return c >= low && c <= high;
}

/*
 * The bytes at the beginning of @a data that stand for one character: a well-formed sequence, or
 * the longest beginning of one, or one byte that begins none. @a good says which.
 */
static apr_size_t character_length(const unsigned char *data, apr_size_t len, int *good)
{
    unsigned char lead = data[0];
    apr_size_t need = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3
                                                                          : lead < 0xf5 ? 4 : 0;
    apr_size_t have = 1;

    while (have < need && have < len &&
           (have == 1 ? is_second(lead, data[have]) : (data[have] & 0xc0) == 0x80)) {
        have++;
    }
    *good = have == need;
    return have;
}

/* bytes.decode("utf-8", "replace"), as UTF-8 again. Borrowed when nothing had to be replaced. */
static djs_bytes_t decode(djs_ctx_t *ctx, djs_bytes_t bytes)
{
    const unsigned char *data = (const unsigned char *)bytes.data;
    apr_size_t at, len;
    char *text, *out;
    int good;

    if (djs_utf8_is_valid(bytes)) {
        return bytes;
    }
    text = out = apr_palloc(ctx->pool, bytes.len * (sizeof(REPLACEMENT) - 1) + 1);
    for (at = 0; at < bytes.len; at += len) {
        len = character_length(data + at, bytes.len - at, &good);
        memcpy(out, good ? bytes.data + at : REPLACEMENT, good ? len : sizeof(REPLACEMENT) - 1);
        out += good ? len : sizeof(REPLACEMENT) - 1;
    }
    *out = '\0';
    return djs_bytes_of(text, (apr_size_t)(out - text));
}

/* --- white space --- */

/* Python's str.isspace(). */
static int is_space(apr_uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

static int is_visible(char c)
{
    return c > 0x20 && c < 0x7f;
}

/* The bytes of the white space at the beginning; 0 for none. */
static int leading_space(djs_bytes_t text)
{
    apr_uint32_t c;
    int len = djs_utf8_next(text, &c);

    return len > 0 && is_space(c) ? len : 0;
}

static int trailing_space(djs_bytes_t text)
{
    apr_size_t start = text.len;
    djs_bytes_t last;

    do {
        if (start == 0) {
            return 0;
        }
        start--;
    } while ((text.data[start] & 0xc0) == 0x80);
    last = djs_bytes_of(text.data + start, text.len - start);
    return leading_space(last);
}

static djs_bytes_t strip(djs_bytes_t text)
{
    int len;

    if (text.len > 0 && is_visible(text.data[0]) && is_visible(text.data[text.len - 1])) {
        return text; /* as nearly always */
    }
    for (len = leading_space(text); len > 0; len = leading_space(text)) {
        text = djs_bytes_of(text.data + len, text.len - (apr_size_t)len);
    }
    for (len = trailing_space(text); len > 0; len = trailing_space(text)) {
        text.len -= (apr_size_t)len;
    }
    return text;
}

/* --- one cookie --- */

/* "\" and three octal digits, 000 to 377, are at the beginning. */
static int is_octal_escape(const char *at, apr_size_t len)
{
    return len >= 4 && at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' &&
           at[2] <= '7' && at[3] >= '0' && at[3] <= '7';
}

static djs_bytes_t unquote(djs_ctx_t *ctx, djs_bytes_t value)
{
    const char *at = value.data + 1;
    const char *end;
    char *text, *out;

    if (value.len < 2 || value.data[0] != '"' || value.data[value.len - 1] != '"') {
        return value;
    }
    end = value.data + value.len - 1;
    text = out = apr_palloc(ctx->pool, value.len); /* an escape is longer than what it stands for */
    while (at < end) {
        if (is_octal_escape(at, (apr_size_t)(end - at))) {
            out += djs_utf8_put((apr_uint32_t)(((at[1] - '0') * 8 + at[2] - '0') * 8 + at[3] - '0'),
                                out);
            at += 4;
            continue;
        }
        at += *at == '\\' && at + 1 < end && at[1] != '\n';
        *out++ = *at++;
    }
    *out = '\0';
    return djs_bytes_of(text, (apr_size_t)(out - text));
}

/* One piece between two ";" in its parts, not unquoted yet. Both are empty when it says nothing. */
static void split(djs_bytes_t piece, djs_bytes_t *name, djs_bytes_t *value)
{
    const char *equals = piece.len > 0 ? memchr(piece.data, '=', piece.len) : NULL;

    if (equals == NULL) {
        *name = djs_bytes("");
        *value = strip(piece);
        return;
    }
    *name = strip(djs_bytes_of(piece.data, (apr_size_t)(equals - piece.data)));
    *value = strip(djs_bytes_of(equals + 1, piece.len - (apr_size_t)(equals - piece.data) - 1));
}

/* Cut the first piece off. 0 when there is none left. */
static int next_piece(djs_bytes_t *rest, djs_bytes_t *piece)
{
    const char *semicolon;

    if (rest->data == NULL) {
        return 0;
    }
    semicolon = rest->len > 0 ? memchr(rest->data, ';', rest->len) : NULL;
    *piece = *rest;
    if (semicolon == NULL) {
        rest->data = NULL;
        rest->len = 0;
        return 1;
    }
    piece->len = (apr_size_t)(semicolon - rest->data);
    *rest = djs_bytes_of(semicolon + 1, rest->len - piece->len - 1);
    return 1;
}

/* Cut the last piece off. */
static int last_piece(djs_bytes_t *rest, djs_bytes_t *piece)
{
    const char *semicolon;
    apr_size_t start;

    if (rest->data == NULL) {
        return 0;
    }
    semicolon = memrchr(rest->data, ';', rest->len);
    start = semicolon != NULL ? (apr_size_t)(semicolon - rest->data) + 1 : 0;
    *piece = djs_bytes_of(rest->data + start, rest->len - start);
    *rest = start > 0 ? djs_bytes_of(rest->data, start - 1) : djs_bytes_of(NULL, 0);
    return 1;
}

/* --- a header --- */

/* A part of a text that ends in NUL; the last cookie of a header mostly does. */
static const char *as_text(apr_pool_t *pool, djs_bytes_t value)
{
    if (memchr(value.data, '\0', value.len) != NULL) {
        return "";
    }
    return value.data[value.len] == '\0' ? value.data
                                         : apr_pstrmemdup(pool, value.data, value.len);
}

int djs_cookie_values(djs_ctx_t *ctx, const char *header, const char *wanted,
                      const char *values[DJS_COOKIE_CANDIDATES_MAX])
{
    djs_bytes_t rest = djs_bytes_of(NULL, 0);
    djs_bytes_t piece, name, value;
    int count = 0;

    if (header != NULL) {
        rest = decode(ctx, djs_bytes(header));
    }
    while (count < DJS_COOKIE_CANDIDATES_MAX && last_piece(&rest, &piece)) {
        split(piece, &name, &value);
        if ((name.len > 0 || value.len > 0) && djs_bytes_is(name, wanted)) {
            values[count++] = as_text(ctx->pool, unquote(ctx, value));
        }
    }
    return count;
}

apr_array_header_t *djs_cookie_find(djs_ctx_t *ctx, const char *header, const char *wanted)
{
    const char *found[DJS_COOKIE_CANDIDATES_MAX];
    int count = djs_cookie_values(ctx, header, wanted, found);
    apr_array_header_t *values = apr_array_make(ctx->pool, count, sizeof(const char *));
    int i;

    for (i = 0; i < count; i++) {
        APR_ARRAY_PUSH(values, const char *) = found[i];
    }
    return values;
}

apr_array_header_t *djs_cookie_parse(djs_ctx_t *ctx, djs_bytes_t header)
{
    apr_array_header_t *pairs = apr_array_make(ctx->pool, 16, sizeof(djs_bytes_t));
    djs_bytes_t rest = decode(ctx, header);
    djs_bytes_t piece, name, value;
    int i;

    while (next_piece(&rest, &piece)) {
        split(piece, &name, &value);
        if (name.len == 0 && value.len == 0) {
            continue;
        }
        value = unquote(ctx, value);
        for (i = 0; i < pairs->nelts && !djs_bytes_equal(APR_ARRAY_IDX(pairs, i, djs_bytes_t), name);
             i += 2) {
        }
        if (i < pairs->nelts) {
            APR_ARRAY_IDX(pairs, i + 1, djs_bytes_t) = value;
            continue;
        }
        APR_ARRAY_PUSH(pairs, djs_bytes_t) = name;
        APR_ARRAY_PUSH(pairs, djs_bytes_t) = value;
    }
    return pairs;
}

static int is_one_of(djs_bytes_t name, const char *const *names, int count)
{
    int i;

    for (i = 0; i < count; i++) {
        if (djs_bytes_is(name, names[i])) {
            return 1;
        }
    }
    return 0;
}

/* The blanks that stand between cookies; what is left is what other readers take for the cookie. */
static djs_bytes_t trim_blanks(djs_bytes_t piece)
{
    while (piece.len > 0 && (piece.data[0] == ' ' || piece.data[0] == '\t')) {
        piece = djs_bytes_of(piece.data + 1, piece.len - 1);
    }
    while (piece.len > 0 &&
           (piece.data[piece.len - 1] == ' ' || piece.data[piece.len - 1] == '\t')) {
        piece.len--;
    }
    return piece;
}

const char *djs_cookie_remove(djs_ctx_t *ctx, const char *header, const char *const *names,
                              int count)
{
    djs_bytes_t rest = header != NULL ? djs_bytes(header) : djs_bytes_of(NULL, 0);
    djs_bytes_t piece, name, value;
    char *kept, *out;

    kept = out = apr_palloc(ctx->pool, rest.len * 2 + 3);
    while (next_piece(&rest, &piece)) {
        split(decode(ctx, piece), &name, &value);
        piece = trim_blanks(piece);
        if (piece.len == 0 || is_one_of(name, names, count)) {
            continue;
        }
        if (out > kept) {
            *out++ = ';';
            *out++ = ' ';
        }
        memcpy(out, piece.data, piece.len);
        out += piece.len;
    }
    *out = '\0';
    return out > kept ? kept : NULL;
}

/* --- Set-Cookie --- */

static const char *same_site(int samesite)
{
    switch ((djs_samesite_t)samesite) {
    case DJS_SAMESITE_LAX:
        return "Lax";
    case DJS_SAMESITE_STRICT:
        return "Strict";
    case DJS_SAMESITE_NONE:
        return "None";
    case DJS_SAMESITE_OFF:
        break;
    }
    return NULL;
}

/* Room for what set_line() writes besides the texts it is given. */
#define LINE_FRAME 160

static char *append(char *out, const char *text)
{
    apr_size_t len = strlen(text);

    memcpy(out, text, len);
    return out + len;
}

/* "; NAME=VALUE", or nothing for a value that is not there or empty. */
static char *attribute(char *out, const char *name, const char *value)
{
    return value != NULL && *value != '\0' ? append(append(out, name), value) : out;
}

static char *flag(char *out, const char *name, int is_on)
{
    return is_on ? append(out, name) : out;
}

static apr_size_t length(const char *text)
{
    return text != NULL ? strlen(text) : 0;
}

/* The attributes, each only where it applies; alphabetical by the names Python gives them. */
static const char *set_line(djs_ctx_t *ctx, const djs_cookie_look_t *look, const char *value,
                            const char *expires, const char *max_age)
{
    char *line = apr_palloc(ctx->pool, strlen(look->name) + strlen(value) + length(look->domain)
                                       + length(look->path) + LINE_FRAME);
    char *out = append(append(append(line, look->name), "="), value);

    out = attribute(out, "; Domain=", look->domain);
    out = attribute(out, "; expires=", expires);
    out = flag(out, "; HttpOnly", look->httponly);
    out = attribute(out, "; Max-Age=", max_age);
    out = attribute(out, "; Path=", look->path);
    out = attribute(out, "; SameSite=", same_site(look->samesite));
    out = flag(out, "; Secure", look->secure);
    out = flag(out, "; Partitioned", look->partitioned);
    *out = '\0';
    return line;
}

static int is_plain(const char *value)
{
    apr_size_t len = strlen(value);

    return len > 0 && strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                    "!#$%&'*+-.^_`|~:") == len;
}

/* A value as http.cookies writes it: what is not plain stands in quotes, escaped. */
static const char *quote(djs_ctx_t *ctx, const char *value)
{
    djs_bytes_t rest = djs_bytes(value);
    char *text = apr_palloc(ctx->pool, rest.len * 4 + 3);
    char *out = text;
    apr_uint32_t c;
    int len;

    if (is_plain(value)) {
        return value;
    }
    *out++ = '"';
    for (len = djs_utf8_next(rest, &c); len > 0; len = djs_utf8_next(rest, &c)) {
        if (c == '"' || c == '\\') {
            *out++ = '\\';
            *out++ = (char)c;
        }
        else if (c < 0x20 || (c >= 0x7f && c <= 0xff) || c == ',' || c == ';') {
            out += apr_snprintf(out, 5, "\\%03o", (unsigned int)c);
        }
        else {
            memcpy(out, rest.data, (apr_size_t)len);
            out += len;
        }
        rest = djs_bytes_of(rest.data + len, rest.len - (apr_size_t)len);
    }
    *out++ = '"';
    *out = '\0';
    return text;
}

djs_cookie_life_t djs_cookie_life(const djs_expiry_t *expiry)
{
    djs_cookie_life_t life = { .browser_close = expiry->browser_close, .age = expiry->age };

    return life;
}

const char *djs_cookie_line(djs_ctx_t *ctx, const djs_cookie_look_t *look, const char *value,
                            djs_cookie_life_t life)
{
    const char *expires = NULL;
    const char *max_age = NULL;

    if (!life.browser_close) {
        expires = djs_moment_http(ctx->pool, ctx->now + life.age);
        max_age = apr_off_t_toa(ctx->pool, life.age / APR_USEC_PER_SEC);
    }
    return set_line(ctx, look, quote(ctx, value), expires, max_age);
}

djs_cookie_look_t djs_cookie_look(const djs_settings_t *settings)
{
    djs_cookie_look_t look = {
        .name = settings->cookie_name,
        .domain = settings->cookie_domain,
        .path = settings->cookie_path,
        .samesite = settings->cookie_samesite,
        .httponly = settings->cookie_httponly,
        .secure = settings->cookie_secure != DJS_SECURE_OFF,
        .partitioned = settings->cookie_partitioned
    };

    return look;
}

const char *djs_cookie_set(djs_ctx_t *ctx, const djs_settings_t *settings, int secure,
                           const char *value, djs_cookie_life_t life)
{
    djs_cookie_look_t look = djs_cookie_look(settings);

    look.secure = secure;
    return djs_cookie_line(ctx, &look, value, life);
}

/* Browsers take a cookie of such a name only with Secure. */
static int is_secure_name(const char *name)
{
    return strncasecmp(name, "__Secure-", 9) == 0 || strncasecmp(name, "__Host-", 7) == 0;
}

static int needs_secure(const djs_cookie_look_t *look)
{
    return is_secure_name(look->name) || look->samesite == DJS_SAMESITE_NONE || look->partitioned;
}

int djs_cookie_says_secure(const djs_cookie_look_t *look, int setting, int request_is_secure)
{
    return setting == DJS_SECURE_ON
           || (setting == DJS_SECURE_AUTO && (request_is_secure || needs_secure(look)));
}

const char *djs_cookie_delete(djs_ctx_t *ctx, const djs_settings_t *settings)
{
    djs_cookie_look_t look = djs_cookie_look(settings);

    look.httponly = 0;
    look.secure = needs_secure(&look);
    return set_line(ctx, &look, "\"\"", "Thu, 01 Jan 1970 00:00:00 GMT", "0");
}

/* RFC 6265bis, 4.1.3 and 5.7. */
apr_status_t djs_cookie_check(djs_ctx_t *ctx, const djs_cookie_look_t *look,
                              const char *directives)
{
    const char *what = NULL;

    if (!look->secure && look->samesite == DJS_SAMESITE_NONE) {
        what = "SameSite None";
    }
    else if (!look->secure && look->partitioned) {
        what = "Partitioned On";
    }
    else if (!look->secure && is_secure_name(look->name)) {
        what = apr_pstrcat(ctx->pool, "Name ", look->name, NULL);
    }
    if (what) {
        return djs_fail(ctx, DJS_EINVAL,
                        "%s%s needs %sSecure On or Auto: browsers refuse the cookie otherwise",
                        directives, what, directives);
    }
    if (strncasecmp(look->name, "__Host-", 7) == 0
        && (look->domain || strcmp(look->path, "/") != 0)) {
        return djs_fail(ctx, DJS_EINVAL,
                        "%sName %s needs %sDomain None and %sPath /: browsers refuse the cookie "
                        "otherwise",
                        directives, look->name, directives, directives);
    }
    return APR_SUCCESS;
}

int djs_cookie_line_is(const char *set_cookie, const char *name)
{
    apr_size_t len = strlen(name);

    while (*set_cookie == ' ' || *set_cookie == '\t') {
        set_cookie++;
    }
    if (strncmp(set_cookie, name, len) != 0) {
        return 0;
    }
    set_cookie += len;
    while (*set_cookie == ' ' || *set_cookie == '\t') {
        set_cookie++;
    }
    return *set_cookie == '=';
}
