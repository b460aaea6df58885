/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What inject.c, which reads a page byte by byte, and inject_tags.c, which says what a tag means, share.
 */
#ifndef DJS_INJECT_IMPL_H
#define DJS_INJECT_IMPL_H

#include "inject.h"

#define NAME_MAX_LEN  20  /* of tags and attributes that are looked at; longer ones are none of them */
#define VALUE_MAX_LEN 512 /* of an address; the beginning tells */

typedef enum state_t {
    DATA,
    TAG_OPEN,
    END_TAG_OPEN,
    TAG_NAME,
    BEFORE_ATTRIBUTE,
    ATTRIBUTE_NAME,
    AFTER_ATTRIBUTE,
    BEFORE_VALUE,
    DOUBLE_QUOTED,
    SINGLE_QUOTED,
    UNQUOTED,
    AFTER_QUOTED,
    MARKUP_DECLARATION, /* "<!" */
    BOGUS_COMMENT,      /* up to ">" */
    COMMENT_START,
    COMMENT_START_DASH,
    COMMENT,
    COMMENT_END_DASH,
    COMMENT_END,
    COMMENT_END_BANG,
    CDATA,              /* in foreign parts */
    RAW,                /* script, style and the like */
    DONE                /* nothing more is put in */
} state_t;

/* A text of which the beginning is kept. */
typedef struct text_t {
    char text[VALUE_MAX_LEN + 1];
    apr_size_t len; /* of all of it */
} text_t;

struct djs_inject_t {
    const char *scheme, *host;
    state_t state;
    char window[10];      /* the last bytes, lower case: for what ends RAW, CDATA and begins "<!…" */
    apr_size_t in_window;
    /* The tag that is being read. */
    int is_end;
    char name[NAME_MAX_LEN + 1];
    apr_size_t name_len;
    char attribute[NAME_MAX_LEN + 1];
    apr_size_t attribute_len;
    text_t value;
    int has_method, is_post, has_action, is_elsewhere, has_name, is_field, has_href, base_elsewhere;
    int has_formaction, leads_elsewhere;
    /* Where in the page we are. */
    char raw[NAME_MAX_LEN + 1]; /* the element whose text RAW is, or that is in doubt in SVG; "" */
    int script_escape;          /* 0; 1: behind "<!--"; 2: in a script in that */
    int forms, templates, foreign, in_select, foreign_base;
    int template_forms;         /* those that a template has not ended */
    int in_noscript;            /* and what there was in front of it: */
    int forms_before, templates_before, select_before;
    char tail[10];              /* the last bytes in it, lower case */
    /* The field. */
    int marked;
    apr_size_t held;
};

/* ---- inject_tags.c ---- */

/** An attribute of the tag that is being read was read, with its value. */
void djs_inject_end_attribute(djs_inject_t *inject);

/** The tag was read. What follows is DATA, or RAW. */
djs_inject_event_t djs_inject_tag(djs_inject_t *inject);

/** A byte inside noscript was read: is its end here for those to whom it is text, but not for others? */
djs_inject_event_t djs_inject_follow_noscript(djs_inject_t *inject, char c);

/** The form that is being looked through is told of. Gives @a event. */
djs_inject_event_t djs_inject_decide(djs_inject_t *inject, djs_inject_event_t event);

/** Nothing more goes into this page, but into the form that is being looked through: it began well. */
djs_inject_event_t djs_inject_give_up(djs_inject_t *inject);

#endif
