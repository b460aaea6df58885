/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the CSRF field goes into a page that somebody else wrote.
 *
 * The page is read in pieces as they come, by the rules of HTML's tokenizer, and no byte of it is
 * changed. A field belongs behind the start tag of each form that is sent to this site by POST,
 *
 *     <form method="post" action="…">           here
 *
 * unless the form has such a field already, which is known later; until then what follows the tag is
 * held, but never more than DJS_INJECT_HOLD_MAX bytes.
 *
 * A token must not get to another site. So a form is left alone when it is not sure that it is sent
 * to this one (another origin, a <base>, entities in the address, a button among what is held that has
 * an address of its own), and when browsers may take it for a part of another form: inside a form, a
 * template, a select, inside SVG or MathML. Where a page has forms in places in which it cannot be told
 * what browsers make of them, nothing more is put into it.
 */
#ifndef DJS_INJECT_H
#define DJS_INJECT_H

#include "djs.h"

/** The most of a form that is looked through for a field that is there already. */
#define DJS_INJECT_HOLD_MAX 8192

typedef struct djs_inject_t djs_inject_t;

typedef enum djs_inject_event_t {
    DJS_INJECT_NOTHING = 0, /* all was read */
    DJS_INJECT_MARK,        /* a field may go here: hold what follows */
    DJS_INJECT_INSERT,      /* it does: put it at the mark; nothing is to be held any more */
    DJS_INJECT_LEAVE        /* it does not; nothing is to be held any more */
} djs_inject_event_t;

/**
 * Begin with a page.
 * @param secure  the page's scheme is https
 * @param host    its Host header; with the scheme what counts as this site. NULL: nothing absolute does
 */
djs_inject_t *djs_inject_make(djs_ctx_t *ctx, int secure, const char *host);

/** May a page of this Content-Type be read so: HTML, in a charset whose ASCII is ASCII. NULL: no. */
int djs_inject_is_readable(const char *content_type);

/**
 * Read on until something is to be done.
 * @return how many bytes were read; what @a event says is to be done in front of the next. To be called
 *         again with the rest, also when there is none but @a event was not NOTHING
 */
apr_size_t djs_inject_scan(djs_inject_t *inject, const char *data, apr_size_t len,
                           djs_inject_event_t *event);

/** What is held must go on: the page ends, or is to be seen as far as it is. INSERT or NOTHING. */
djs_inject_event_t djs_inject_release(djs_inject_t *inject);

#endif
