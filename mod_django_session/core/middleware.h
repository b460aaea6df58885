/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SessionMiddleware as a state machine: begin with the request's cookies, finish with what to send.
 *
 *     begin                 keys from the Cookie header; nothing is read
 *     … the request …       djs_session_* and djs_auth_* on mw->session
 *     finish(status)        the table below; the engine is asked here and only here to save
 *
 * Finish, in Django's order, "empty" worked out before anything is loaded here:
 *
 *     cookie came and empty                                        delete the cookie, Vary
 *     accessed                                                     Vary
 *     (modified or SaveEveryRequest), not empty, status < 500      save, set the cookie, Vary
 *
 * With DjangoSessionSaveInterval, SaveEveryRequest alone saves (and sends the cookie) only where that
 * moves the end of what is stored by the interval or more: sliding expiry without a write each time.
 * The stored end tells when it was saved last, since it then lay one age ahead. So
 *
 *     the settings' age, a number of seconds,     again when the interval has passed; one whose own
 *     0 (browser close)                           age is not longer than the interval each time
 *     a date                                      never: no save would move its end
 *     another age now than when it was saved      at once, if they differ by the interval
 *     the store tells no end (caches), or there   each time
 *     is no record
 *
 * An answer of 500 and above changes nothing in the store: flush() and cycle_key() are not carried
 * out, and no cookie is deleted for them. SaveEveryRequest alone never replaces a record that cannot
 * be read. A save that meets a conflict is done over with what is stored then.
 *
 * The decision is returned as data; the host sends it.
 */
#ifndef DJS_MIDDLEWARE_H
#define DJS_MIDDLEWARE_H

#include "cookie.h"
#include "session.h"
#include "update.h"

/** How often a save that met a conflict is tried again with fresh data before it counts as failed. */
#define DJS_SAVE_TRIES_MAX 64

typedef struct djs_middleware_t {
    const djs_site_t *site;
    djs_session_t *session;
    int had_cookie; /* the request brought a cookie of our name, whatever was in it */
} djs_middleware_t;

/** What the host has to do to its answer. */
typedef struct djs_answer_t {
    const char *set_cookie; /* NULL, or the value of one Set-Cookie header. Secret */
    int vary;               /* add "Cookie" to Vary */
    int status;             /* 0: as it is; 400: Django's SessionInterrupted; 500: bad update;
                               503: the store failed and DjangoSessionOnStoreError is deny */
    int saved;              /* a record was written or removed */
} djs_answer_t;

/** @a cookie_header as djs_cookie_find() takes it; NULL: none. */
djs_middleware_t *djs_middleware_begin(djs_ctx_t *ctx, const djs_site_t *site,
                                       const char *cookie_header);

/** The same with a key from elsewhere, or NULL: it counts where no cookie of our name came. */
djs_middleware_t *djs_middleware_begin_with(djs_ctx_t *ctx, const djs_site_t *site,
                                            const char *cookie_header, const char *key);

/**
 * 0: with this update (may be NULL) finish surely saves nothing, as for nearly all requests; then it
 * need not be told whether the request is secure.
 */
int djs_middleware_may_write(const djs_middleware_t *mw, const djs_update_t *update);

/**
 * Apply the application's update, if any, save if Django would, say what to send.
 *
 * @param status   of the application's answer; 500 and above: nothing is applied or saved
 * @param secure   the request counts as secure (for DjangoSessionCookieSecure Auto)
 * @param update   NULL: the application asked for nothing
 * @param app_set_cookie  the application itself sets the session cookie: its session wins, nothing
 *                        is saved and no cookie of ours is sent. Only when the session began is put
 *                        into what it has saved, where DjangoSessionMaxLifetime needs that
 * @return APR_SUCCESS; else the failure that answer->status was made of, for the host's log:
 *         DJS_EINVAL, DJS_EFORMAT of `_session_expiry` (500), DJS_EINTERRUPTED (400), DJS_ESTORE,
 *         DJS_ECONFLICT after too many tries, DJS_ELIMIT (503, or with `anonymous` 0; of a cookie that
 *         is too large 500, and the old one stays).
 *         @a answer is filled in every case.
 */
apr_status_t djs_middleware_finish(djs_ctx_t *ctx, djs_middleware_t *mw, int status, int secure,
                                   djs_update_t *update, int app_set_cookie, djs_answer_t *answer);

#endif
