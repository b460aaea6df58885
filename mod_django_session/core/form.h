/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields of the form in a request's body, as Django's request.POST has them.
 *
 * The body, or its beginning, is in memory. Read are the two kinds that
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

/**
 * Called with a field or a file.
 * @param name   decoded; any bytes
 * @param value  as it stands in the body, of which it is a part; data NULL: there is no "=", or no line
 *               between the headers of a part and the next boundary
 */
typedef void (*djs_form_fn)(void *baton, djs_bytes_t name, djs_bytes_t value, int file);

/** Each of a whole body, in order. 0: it is no form. */
int djs_form_each(djs_ctx_t *ctx, const char *content_type, djs_bytes_t body, djs_form_fn each,
                  void *baton);

/**
 * The body with another value in each field of a name; all else byte for byte. @a value needs no
 * encoding: letters and digits. The body itself when there is no such field; else in ctx->pool.
 */
djs_bytes_t djs_form_exchange(djs_ctx_t *ctx, const char *content_type, djs_bytes_t body,
                              const char *name, const char *value);

#endif
