/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pages of the module's own: one template for all of them (DjangoLoginTemplate, or
 * conf-examples/login.html, which is built in), and what it can say.
 */
#ifndef MDS_PAGE_H
#define MDS_PAGE_H

#include "mds.h"

/** What a template may name. */
#define MDS_PAGE_NAMES(NAME)                                                                       \
    NAME(TITLE, "title")                   /* of the page */                                       \
    NAME(HOST, "host")                     /* of the request */                                    \
    NAME(NONCE, "nonce")                   /* for <style> and <script> of the page itself */       \
    NAME(CSRF_TOKEN, "csrf_token")         /* for the field csrfmiddlewaretoken */                 \
    NAME(NEXT, "next")                     /* where it goes then, when that is safe */             \
    NAME(NEXT_FIELD, "next_field")         /* the field for it */                                  \
    NAME(USERNAME, "username")             /* as it was given */                                   \
    NAME(LOGIN, "login")                   /* the form for a login is to be there */               \
    NAME(LOGOUT, "logout")                 /* the button for a logout is */                        \
    NAME(LOGGED_OUT, "logged_out")         /* that is done */                                      \
    NAME(MESSAGE, "message")               /* what went wrong, and which it was: */                \
    NAME(WRONG, "wrong")                                                                           \
    NAME(THROTTLED, "throttled")                                                                   \
    NAME(BUSY, "busy")                                                                             \
    NAME(EXPIRED, "expired")               /* the form was too old, or from elsewhere */           \
    NAME(KEPT, "kept")                     /* a form is kept, and is to be sent or not: its id */   \
    NAME(ADDRESS, "address")               /* where to */                                          \
    NAME(FIELDS, "fields")                 /* the names of its fields */                           \
    NAME(LOST, "lost")                     /* a form is not sent, and not kept */                  \
    NAME(GONE, "gone")                     /* it was kept, and is not any more */                  \
    NAME(AGAIN, "again")                   /* a login was not carried over (mds_sso.c) */          \
    NAME(LINK, "link")                     /* of these: where to begin it again */                 \
    NAME(USERNAME_ERROR, "username_error") /* of one field */                                      \
    NAME(PASSWORD_ERROR, "password_error")

typedef enum mds_page_name_t {
#define NAME(ID, name) MDS_PAGE_##ID,
    MDS_PAGE_NAMES(NAME)
#undef NAME
    MDS_PAGE_NAME_COUNT
} mds_page_name_t;

/** A page: a text for each name, NULL for none. */
typedef struct mds_page_t {
    const char *texts[MDS_PAGE_NAME_COUNT];
} mds_page_t;

/** conf-examples/login.html */
extern const char mds_login_page[];

/** Read the view's template, once it is known to need one. DJS_EINVAL: the problem names it. */
apr_status_t mds_page_open(djs_ctx_t *ctx, mds_view_t *view) DJS_MUST_CHECK;

/** The page, with its headers, but for an answer whose body others send. NULL: logged. */
const char *mds_page_text(request_rec *r, mds_view_t *view, mds_page_t *page);

/** Answer with the page. @a r->status as the caller has set it. A handler's result. */
int mds_page_send(request_rec *r, mds_view_t *view, mds_page_t *page);

/** As Django's never_cache; for redirects, too. */
void mds_page_never_cache(request_rec *r);

#endif
