/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages with places for a few texts, in as much of Django's template language as that needs:
 *
 *     {{ name }}                          the text of that name, escaped for HTML
 *     {% if name %}...{% endif %}         only when it is not empty; may stand in one another
 *     {% if not name %}...{% endif %}     only when it is
 *     {# ... #}                           nothing
 *
 * Which names there are is known when a template is read, so that a mistake is found then.
 */
#ifndef DJS_TEMPLATE_H
#define DJS_TEMPLATE_H

#include "djs.h"

/** Longest template, in bytes. */
#define DJS_TEMPLATE_MAX (1024 * 1024)
/** How deep {% if %} may stand in one another. */
#define DJS_TEMPLATE_DEPTH_MAX 16

/** A template that was read. Immutable. */
typedef struct djs_template_t djs_template_t;

/**
 * @param text   borrowed
 * @param names  that it may use, ended by NULL; their order is that of the values; borrowed
 * @return DJS_EFORMAT: the problem names the line and what is wrong; DJS_ELIMIT: it is too long
 */
apr_status_t djs_template_parse(djs_ctx_t *ctx, djs_bytes_t text, const char *const *names,
                                const djs_template_t **made) DJS_MUST_CHECK;

/** Has it a place for the name of this number, or a condition on it? */
int djs_template_has(const djs_template_t *made, int name);

/** The page, in ctx->pool. @a values: one for each name; NULL is empty. */
const char *djs_template_render(djs_ctx_t *ctx, const djs_template_t *made,
                                const char *const *values);

/** Escaped as Django's conditional_escape() does: & < > " ' */
const char *djs_template_escape(apr_pool_t *pool, const char *text);

#endif
