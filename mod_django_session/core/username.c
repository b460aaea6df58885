/* SPDX-License-Identifier: Apache-2.0 */
#include "username.h"

#include <stdlib.h>
#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <utf8proc.h>

#include "encode.h"

/* str.isspace() of Python, which is what str.strip() takes away. */
static int is_space(apr_uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0
           || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029
           || c == 0x202f || c == 0x205f || c == 0x3000;
}

/* Valid UTF-8, without the white space around it. */
static djs_bytes_t strip(djs_bytes_t text)
{
    const char *end = text.data;
    djs_bytes_t rest = text;
    apr_uint32_t c;
    int len;

    while (rest.len > 0) {
        len = djs_utf8_next(rest, &c);
        rest = djs_bytes_of(rest.data + len, rest.len - (apr_size_t)len);
        if (!is_space(c)) {
            end = rest.data;
        }
        else if (end == text.data) {
            end = text.data = rest.data;
        }
    }
    text.len = (apr_size_t)(end - text.data);
    return text;
}

static int is_ascii(djs_bytes_t text)
{
    apr_size_t i;

    for (i = 0; i < text.len && (unsigned char)text.data[i] < 0x80; i++) {
    }
    return i == text.len;
}

/* What utf8proc makes of valid UTF-8; NULL: no memory. */
static const char *map(apr_pool_t *pool, djs_bytes_t text, int options)
{
    utf8proc_uint8_t *mapped = NULL;
    utf8proc_ssize_t len = utf8proc_map((const utf8proc_uint8_t *)text.data,
                                        (utf8proc_ssize_t)text.len, &mapped,
                                        (utf8proc_option_t)(UTF8PROC_STABLE | options));
    const char *copy;

    if (len < 0) {
        return NULL;
    }
    copy = apr_pstrmemdup(pool, (const char *)mapped, (apr_size_t)len);
    free(mapped);
    return copy;
}

const char *djs_username_clean(apr_pool_t *pool, const char *typed)
{
    djs_bytes_t text = djs_bytes(typed);
    const char *name;

    if (text.len > DJS_USERNAME_MAX || !djs_utf8_is_valid(text)) {
        return typed;
    }
    text = strip(text);
    if (is_ascii(text)) {
        return apr_pstrmemdup(pool, text.data, text.len);
    }
    name = map(pool, text, UTF8PROC_COMPAT | UTF8PROC_COMPOSE);
    return name ? name : typed;
}

const char *djs_username_fold(apr_pool_t *pool, const char *name)
{
    djs_bytes_t text = djs_bytes(name);
    const char *folded = NULL;
    char *c, *lower;

    if (text.len <= DJS_USERNAME_MAX && !is_ascii(text) && djs_utf8_is_valid(text)) {
        folded = map(pool, text, UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE | UTF8PROC_CASEFOLD
                                     | UTF8PROC_STRIPMARK | UTF8PROC_IGNORE);
    }
    if (folded) {
        return folded;
    }
    lower = apr_pstrdup(pool, name);
    for (c = lower; *c; c++) {
        *c = apr_tolower(*c);
    }
    return lower;
}
