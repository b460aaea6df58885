/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What caches may keep of an answer.
 *
 * Caches on the way go by the headers: Vary: Cookie where the session was looked at, as Django's, and
 * Cache-Control: private on what is one visitor's. That is not enough for mod_cache:
 *
 * - Its quick handler answers before access is checked, so it would show a protected page to those
 *   whose login has ended.
 * - It can be told to keep what is private, and mod_headers comes after us and may say "public".
 * - It takes the Cookie that it keeps an answer for, and mostly looks it up by, from headers_in, which
 *   DjangoSessionHideCookie changes: one's answer would be that of all who send no cookie.
 * - The parts of a page that subrequests make it keeps under their own addresses, and their answers
 *   do not come through our filter; the page itself may be on its way before its parts are made.
 * - Where SetOutputFilter CACHE stands it keeps what the application sent, before our filter.
 *
 * So what is one visitor's is kept from it by means that it never overrides, too: the variable
 * "no-cache"; and r->no_cache, which may come late, where the Expires header that it makes is seen by
 * nobody or right.
 */
#include "mds.h"

#include <apr_strings.h>
#include <util_filter.h>

#define CACHE_CONTROL "Cache-Control"

/* ---- headers ---- */

static int has_star(void *baton, const char *name, const char *value)
{
    (void)baton;
    (void)name;
    return !ap_find_token(NULL, value, "*"); /* 0 ends the search */
}

/* httpd itself removes doubles when it sends the header. */
static void vary_on_cookie(request_rec *r)
{
    if (!apr_table_get(r->headers_out, "Vary") && !apr_table_get(r->err_headers_out, "Vary")) {
        apr_table_addn(r->headers_out, "Vary", "Cookie");
    }
    else if (apr_table_do(has_star, NULL, r->headers_out, "Vary", NULL)
        && apr_table_do(has_star, NULL, r->err_headers_out, "Vary", NULL)) {
        apr_table_mergen(r->headers_out, "Vary", "Cookie");
    }
}

/* What the Cache-Control lines of a table say. */
typedef struct said_t {
    apr_pool_t *pool;
    const char *rest; /* all but what invites shared caches; NULL: nothing */
    int shared;       /* they are invited */
    int kept;         /* they are told to keep off */
} said_t;

static int read_line(void *baton, const char *name, const char *line)
{
    said_t *said = baton;
    const char *item;

    (void)name;
    for (item = ap_get_list_item(said->pool, &line); item;
         item = ap_get_list_item(said->pool, &line)) {
        if (strcmp(item, "public") == 0 || strncmp(item, "s-maxage=", 9) == 0) {
            said->shared = 1;
            continue;
        }
        /* private="Some-Header" is about that header alone. */
        said->kept |= strcmp(item, "private") == 0 || strcmp(item, "no-store") == 0;
        said->rest = said->rest ? apr_pstrcat(said->pool, said->rest, ", ", item, NULL) : item;
    }
    return 1;
}

static said_t read_table(request_rec *r, const apr_table_t *table)
{
    said_t said = { .pool = r->pool };

    apr_table_do(read_line, &said, table, CACHE_CONTROL, NULL);
    return said;
}

static void withdraw_invitation(apr_table_t *table, const said_t *said)
{
    if (!said->shared) {
        return;
    }
    apr_table_unset(table, CACHE_CONTROL);
    if (said->rest) {
        apr_table_setn(table, CACHE_CONTROL, said->rest);
    }
}

static void add_private(request_rec *r, int even_if_public)
{
    said_t err = read_table(r, r->err_headers_out);
    said_t out = read_table(r, r->headers_out);
    int in_err = err.shared || err.rest;

    if ((err.shared || out.shared) && !even_if_public) {
        return;
    }
    withdraw_invitation(r->err_headers_out, &err);
    withdraw_invitation(r->headers_out, &out);
    if (!err.kept && !out.kept) {
        apr_table_mergen(in_err ? r->err_headers_out : r->headers_out, CACHE_CONTROL, "private");
    }
}

static void say_private(request_rec *r, int even_if_public)
{
    if (apr_table_get(r->headers_out, CACHE_CONTROL)
        || apr_table_get(r->err_headers_out, CACHE_CONTROL)) {
        add_private(r, even_if_public);
    }
    else { /* as nearly always */
        apr_table_addn(r->headers_out, CACHE_CONTROL, "private");
    }
}

/* ---- whom an answer is for ---- */

/* Parts have no headers that anybody sees; those of the page may be on their way. */
static void keep_parts(request_rec *r, const mds_request_t *request)
{
    if (!r->main) {
        return;
    }
    for (; r->main; r = r->main) {
        r->no_cache = 1;
    }
    if (request->finished) {
        r->no_cache = 1;
    }
}

void mds_narrow(request_rec *r, mds_audience_t audience)
{
    mds_request_t *request = mds_request(r);

    if (request->audience < audience) {
        request->audience = audience;
    }
    keep_parts(r, request);
}

void mds_note_look(request_rec *r, const mds_session_t *session)
{
    mds_request(r)->vary = 1;
    if (session->middleware->had_cookie) {
        mds_narrow(r, mds_is_our_auth(r) ? MDS_FOR_ONE : MDS_FOR_ONE_UNLESS_PUBLIC);
    }
}

void mds_note_late_look(request_rec *r, const mds_session_t *session)
{
    mds_note_look(r, session);
    mds_protect_answer(r);
}

void mds_protect_answer(request_rec *r)
{
    const mds_request_t *request = mds_request(r);
    int hidden = request->vary && mds_view(r)->settings->hide_cookie;

    if (request->vary) {
        vary_on_cookie(r);
    }
    if (request->audience != MDS_FOR_ALL) {
        say_private(r, request->audience == MDS_FOR_ONE);
    }
    if (request->audience != MDS_FOR_ALL || hidden) {
        apr_table_setn(r->subprocess_env, "no-cache", "1");
    }
}

/* ---- mod_cache where our filter is not between it and the application ---- */

/* What SetOutputFilter CACHE puts among the filters; NULL: there is no mod_cache. */
static const ap_filter_rec_t *marker;

int mds_cache_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                          server_rec *server)
{
    (void)pconf;
    (void)plog;
    (void)ptemp;
    (void)server;
    marker = ap_get_output_filter_handle("CACHE");
    return OK;
}

static int has_marker(const ap_filter_t *f)
{
    while (f && f->frec != marker) {
        f = f->next;
    }
    return f != NULL;
}

void mds_guard_cache(request_rec *r)
{
    if ((!r->main && (!marker || !has_marker(r->output_filters)))
        || (!mds_view(r)->on && !mds_is_our_auth(r))) {
        return;
    }
    if (r->main) {
        keep_parts(r, mds_request(r));
    }
    else {
        apr_table_setn(r->subprocess_env, "no-cache", "1");
    }
}
