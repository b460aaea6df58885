/* SPDX-License-Identifier: Apache-2.0 */
#include "username.h"

#include <stdlib.h>
#include <string.h>

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

const char *djs_username_clean(apr_pool_t *pool, const char *typed)
{
    djs_bytes_t text = djs_bytes(typed);
    utf8proc_uint8_t *normal = NULL;
    utf8proc_ssize_t len;
    const char *name;

    if (text.len > DJS_USERNAME_MAX || !djs_utf8_is_valid(text)) {
        return typed;
    }
    text = strip(text);
    if (is_ascii(text)) {
        return apr_pstrmemdup(pool, text.data, text.len);
    }
    len = utf8proc_map((const utf8proc_uint8_t *)text.data, (utf8proc_ssize_t)text.len, &normal,
                       UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_COMPOSE);
    if (len < 0) { /* no memory: it was valid */
        return typed;
    }
    name = apr_pstrmemdup(pool, (const char *)normal, (apr_size_t)len);
    free(normal);
    return name;
}
