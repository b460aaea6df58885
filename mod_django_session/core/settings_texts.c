/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is allowed as the text of a setting.
 */
#include "settings_impl.h"

#include <string.h>

#include <apr_lib.h>

#include "url.h"

int djs_find_word(const char *words, const char *word)
{
    apr_size_t len = strlen(word);
    int position;

    for (position = 0; words; position++) {
        const char *bar = strchr(words, '|');
        apr_size_t n = bar ? (apr_size_t)(bar - words) : strlen(words);

        if (n == len && strncasecmp(words, word, n) == 0) {
            return position;
        }
        words = bar ? bar + 1 : NULL;
    }
    return -1;
}

int djs_setting_is_of(const char *text, const char *more)
{
    if (!*text) {
        return 0;
    }
    for (; *text; text++) {
        if (!apr_isalnum(*text) && !strchr(more, *text)) {
            return 0;
        }
    }
    return 1;
}

/* RFC 9110: what names of cookies, parameters and headers are made of. */
int djs_setting_is_token(const char *text)
{
    return djs_setting_is_of(text, "!#$%&'*+-.^_`|~");
}

/* Python's http.cookies refuses to write a cookie that is called as one of its attributes. */
int djs_setting_is_cookie_name(const char *text)
{
    return djs_setting_is_token(text)
           && djs_find_word("expires|path|comment|domain|max-age|secure|httponly|version|samesite"
                            "|partitioned",
                        text) < 0;
}

int djs_setting_is_cookie_path(const char *text)
{
    const char *c;

    if (*text != '/') {
        return 0;
    }
    for (c = text; *c; c++) {
        if (*c <= ' ' || *c >= 0x7f || *c == ';') {
            return 0;
        }
    }
    return 1;
}

/* A host name, perhaps with the leading dot of old. */
int djs_setting_is_domain(const char *text)
{
    if (*text == '.') {
        text++;
    }
    return djs_setting_is_of(text, "-._") && *text != '.' && !strstr(text, "..")
           && text[strlen(text) - 1] != '.';
}

/* RFC 3986: what is never encoded in an address. */
int djs_setting_is_param(const char *text)
{
    return djs_setting_is_of(text, "-._~");
}

int djs_setting_is_identifier(const char *text)
{
    return djs_setting_is_of(text, "_$-") && strlen(text) <= 63;
}

int djs_setting_is_table(const char *text)
{
    const char *dot = strchr(text, '.');

    return djs_setting_is_of(text, "_$-.") && text != dot
           && (!dot || djs_setting_is_identifier(dot + 1))
           && strcspn(text, ".") <= 63 && (dot || djs_setting_is_identifier(text));
}

int djs_setting_is_login_url(const char *text)
{
    return djs_url_is_clean(text)
           && (*text == '/' || strncasecmp(text, "http://", 7) == 0
               || strncasecmp(text, "https://", 8) == 0);
}

/* Engines, zones, dotted paths: a word that leads to no other directory. */
int djs_setting_is_name(const char *text)
{
    return djs_setting_is_of(text, "_-+./") && *text != '/' && *text != '.' && !strstr(text, "..");
}

/* A file or directory; what it is relative to is the host's to say. */
int djs_setting_is_path(const char *text)
{
    const char *c;

    for (c = text; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            return 0;
        }
    }
    return c != text;
}

/* One of the forms of keys.h that names something, or a text. */
int djs_setting_is_secret(const char *text)
{
    return *text && strcmp(text, "file:") != 0 && strcmp(text, "env:") != 0
           && strcmp(text, "exec:") != 0;
}
