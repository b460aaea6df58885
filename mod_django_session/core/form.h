/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One field of the form in a request's body, as Django's request.POST has it.
 *
 * The body, or its beginning, is in memory; nothing of it is changed. Read are the two kinds that
 * browsers send:
 *
 *     application/x-www-form-urlencoded    name=value&name=value, "%41" and "+" decoded
 *     multipart/form-data; boundary=B      parts between lines "--B"; files are no fields
 */
#ifndef DJS_FORM_H
#define DJS_FORM_H

#include "djs.h"

/** Longest boundary that is looked for. RFC 2046 allows 70; some clients send more. */
#define DJS_FORM_BOUNDARY_MAX 200

/** Is this the Content-Type of a form that is read here? NULL is not. */
int djs_form_is_form(const char *content_type);

/**
 * The value of a field; of several of its name the last one's, as in Django.
 *
 * @param body   hostile
 * @param whole  0: there is more of it, and a value that may go on behind its end does not count
 * @return in ctx->pool; NULL: there is no such field, or it holds a NUL
 */
const char *djs_form_find(djs_ctx_t *ctx, const char *content_type, djs_bytes_t body, int whole,
                          const char *name);

#endif
