/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the table of settings (settings.c) needs of the kinds of values (settings_kinds.c), and
 * these of what is allowed as text (settings_texts.c).
 */
#ifndef DJS_SETTINGS_IMPL_H
#define DJS_SETTINGS_IMPL_H

#include "settings.h"

/** How the values of a kind are read and written. */
typedef struct djs_kind_t {
    apr_status_t (*parse)(djs_ctx_t *ctx, const djs_setting_row_t *row, int argc,
                          const char *const *argv, void *member);
    /* NULL: there is nothing to write. */
    const char *(*print)(apr_pool_t *pool, const djs_setting_row_t *row, const void *member);
    int many;                          /* takes more than one argument */
    int (*is_allowed)(const char *text); /* of kinds that are text or lists of it */
    const char *allowed;               /* what is, for people; NULL: the row's syntax */
} djs_kind_t;

/** One for each DJS_KIND_. */
extern const djs_kind_t djs_setting_kinds[DJS_KIND_COUNT];

/** A duration as people write it. @a row may be NULL. */
const char *djs_setting_print_duration(apr_pool_t *pool, const djs_setting_row_t *row,
                                       const void *member);

/** The position of a word in "one|two|three", in any case; -1: it is not there. */
int djs_find_word(const char *words, const char *word);

/** Is it of letters, digits and the characters of @a more, and not empty? */
int djs_setting_is_of(const char *text, const char *more);

/** May this be the value of a text of such a kind? */
int djs_setting_is_token(const char *text);
int djs_setting_is_cookie_name(const char *text);
int djs_setting_is_cookie_path(const char *text);
int djs_setting_is_domain(const char *text);
int djs_setting_is_param(const char *text);
int djs_setting_is_identifier(const char *text);
int djs_setting_is_table(const char *text);
int djs_setting_is_login_url(const char *text);
int djs_setting_is_name(const char *text);
int djs_setting_is_path(const char *text);
int djs_setting_is_secret(const char *text);

#endif
