/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Environment and request headers for the application, set anew for each request, subrequest and
 * internal redirect, since each may be of another section.
 */
#include "mds.h"

#include <apr_strings.h>

static void put(void *table, const char *name, const char *value)
{
    if (value) {
        apr_table_setn(table, name, value);
    }
    else {
        apr_table_unset(table, name);
    }
}

/* For a table without any of the family: then there is nothing to look for. */
static void add(void *table, const char *name, const char *value)
{
    apr_table_addn(table, name, value);
}

/* As the core spells them; no administrator can have named one. */
static int is_of_family(const char *name)
{
    return strncmp(name, "DJANGO_SESSION", 14) == 0 || strncmp(name, "DJANGO_USER", 11) == 0
           || strncmp(name, "Django-Session", 14) == 0 || strncmp(name, "Django-User", 11) == 0;
}

/* The same for names that may be an administrator's. */
static void put_into_cleared(void *table, const char *name, const char *value)
{
    if (value && is_of_family(name)) {
        apr_table_addn(table, name, value);
    }
    else {
        put(table, name, value);
    }
}

/* Whatever an outer request, mod_env or a client put there. */
static void clear_family(apr_table_t *table)
{
    mds_strip_table(table, NULL);
}

/* A header of ours as a variable: mod_include makes them of the outer request's. */
static int is_header_variable(const char *name, const apr_array_header_t *custom)
{
    return strncmp(name, "HTTP_", 5) == 0 && djs_export_is_ours(name + 5, custom);
}

/* The variables of a subrequest begin as a copy of the outer request's. */
static void forget_outer(request_rec *r)
{
    const apr_array_header_t *custom = mds_server_of(r->server)->header_names;
    const apr_array_header_t *all = apr_table_elts(r->subprocess_env);
    int i;

    clear_family(r->subprocess_env);
    for (i = all->nelts - 1; i >= 0; i--) {
        const char *name = APR_ARRAY_IDX(all, i, apr_table_entry_t).key;

        if (name && is_header_variable(name, custom)) {
            apr_table_unset(r->subprocess_env, name);
            i = all->nelts;
        }
    }
}

/* The session may have begun in another section; what is told is this one's say. */
static djs_export_facts_t facts_of(const mds_view_t *view, const mds_session_t *session)
{
    djs_export_facts_t facts = {
        .site = view->site,
        .session = session->middleware->session,
        .user = session->user,
        .reason = session->reason,
        .add = add
    };

    return facts;
}

void mds_export_refusal(request_rec *r, mds_session_t *session)
{
    const char *status
        = djs_session_status_name(djs_session_status(session->middleware->session));

    apr_table_setn(r->subprocess_env, "DJANGO_SESSION_STATUS", status);
    if (session->reason != DJS_REASON_NONE) {
        apr_table_setn(r->subprocess_env, "DJANGO_SESSION_REASON",
                       djs_reason_name(session->reason));
    }
}

/* ---- request headers ---- */

/* Requests share their headers with their subrequests; what is of one must not reach the other. */
static void own_headers(request_rec *r)
{
    if (r->main || r->prev) {
        r->headers_in = apr_table_copy(r->pool, r->headers_in);
    }
}

/* What an outer or earlier request was told is not this one's. */
static void undo_earlier(request_rec *r, const mds_request_t *request)
{
    if (request->told_headers || request->hid_cookie) {
        own_headers(r);
    }
    if (request->told_headers) {
        mds_strip_headers(r, mds_server_of(r->server)->header_names);
    }
    if (request->hid_cookie) {
        apr_table_setn(r->headers_in, "Cookie", request->cookie);
    }
}

static void hide_cookies(request_rec *r, mds_request_t *request, const djs_settings_t *settings)
{
    const char *names[] = { settings->cookie_name, settings->csrf_cookie_name };

    if (request->cookie) {
        put(r->headers_in, "Cookie", djs_cookie_remove(&request->ctx, request->cookie, names, 2));
        request->hid_cookie = 1;
    }
}

/* ---- the hooks ---- */

static void warn_of_size(request_rec *r, const mds_session_t *session, const char *what,
                         apr_size_t size)
{
    if (size && mds_may_log(MDS_MSG_0120, r->request_time)) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      DJSNO(0120) MDS_SESSION_MSG("%s of %" APR_SIZE_T_FMT
                                                  " bytes is too large and was left out"),
                      mds_session_digest(r, session), what, size);
    }
}

static apr_status_t tell_env(request_rec *r, mds_request_t *request, const mds_view_t *view,
                             mds_session_t *session)
{
    djs_export_facts_t facts = facts_of(view, session);
    apr_size_t overflow = 0;
    apr_status_t rv;

    clear_family(r->subprocess_env);
    rv = djs_export_env(&request->ctx, &facts, put_into_cleared, r->subprocess_env, &overflow);
    warn_of_size(r, session, "a variable", overflow);
    return rv;
}

static apr_status_t tell(request_rec *r, mds_request_t *request, const mds_view_t *view,
                         mds_session_t *session)
{
    const djs_settings_t *settings = view->settings;
    djs_export_facts_t facts = facts_of(view, session);
    apr_size_t overflow = 0;
    apr_status_t rv = APR_SUCCESS;

    if (settings->env->on) {
        rv = tell_env(r, request, view, session);
    }
    if (rv == APR_SUCCESS && settings->header->on) {
        /* Headers that an .htaccess file names are not among the server's. */
        mds_strip_headers(r, mds_header_names(r->pool, settings));
        clear_family(r->headers_in);
        rv = djs_export_headers(&request->ctx, &facts, put_into_cleared, r->headers_in, &overflow);
        request->told_headers = 1;
        warn_of_size(r, session, "a header", overflow);
    }
    return rv;
}

/* The environment of a request with which no session came, without making one. 0: not so here. */
static int tell_of_nobody(request_rec *r, mds_request_t *request, const mds_view_t *view)
{
    djs_export_facts_t facts = { .site = mds_load(&view->site), .add = add };

    if (!facts.site || view->settings->header->on
        || mds_may_have_session(request, view->settings)) {
        return 0;
    }
    clear_family(r->subprocess_env);
    request->told_nobody = 1;
    return djs_export_env(&request->ctx, &facts, put_into_cleared, r->subprocess_env, NULL)
           == APR_SUCCESS;
}

static int without_store(request_rec *r, mds_session_t *session)
{
    mds_store_failed(r, session);
    if (session->site->settings->on_store_error == DJS_ON_STORE_ERROR_ANONYMOUS) {
        return DECLINED;
    }
    return mds_unavailable(r);
}

/* A rule may send the request to another section; that one tells what is its own to tell. */
static void forget_early(request_rec *r, mds_request_t *request)
{
    const apr_array_header_t *rules = request->early->env->rules;
    int i;

    clear_family(r->subprocess_env);
    for (i = 0; i < rules->nelts; i++) {
        apr_table_unset(r->subprocess_env, APR_ARRAY_IDX(rules, i, djs_export_rule_t).name);
    }
    request->early = NULL;
}

static void tell_early(request_rec *r, mds_request_t *request)
{
    mds_session_t *session;
    mds_view_t *view;

    if (r->main) {
        forget_outer(r);
    }
    view = mds_view(r);
    if (!view->settings->env->on || (!view->on && !mds_is_our_auth(r))) {
        return;
    }
    if (tell_of_nobody(r, request, view)) {
        request->early = view->settings;
        return;
    }
    session = mds_session(r, view);
    if (session) {
        request->early = view->settings;
        /* Whether that is the request's end, its section has to say. */
        if (tell_env(r, request, view, session) != APR_SUCCESS) {
            mds_store_failed(r, session);
        }
    }
}

/* By the say of the server's configuration and <Location>, which are known by now. */
int mds_export_early(request_rec *r)
{
    const mds_server_t *server = mds_server_of(r->server);
    mds_request_t *request = mds_request(r);

    if (server->url_params) {
        mds_take_param(r);
    }
    if (request->unlocated == r) {
        request->unlocated = NULL;
    }
    if (server->early) {
        tell_early(r, request);
    }
    return DECLINED;
}

static int export(request_rec *r, mds_view_t *view)
{
    mds_request_t *request = mds_request(r);
    const djs_settings_t *settings = view->settings;
    mds_session_t *session;
    int answer;

    undo_earlier(r, request);
    if (r->main) {
        forget_outer(r);
    }
    if (request->early) {
        forget_early(r, request);
    }
    if (!view->on && settings->csrf == DJS_CSRF_MODE_OFF && !mds_is_our_auth(r)) {
        return DECLINED;
    }
    answer = mds_expr_fixups(r, view);
    if (answer != DECLINED) {
        return answer;
    }
    if (settings->hide_cookie || settings->header->on) {
        own_headers(r);
    }
    if (settings->hide_cookie) {
        hide_cookies(r, request, settings);
    }
    if ((!settings->env->on && !settings->header->on) || (!view->on && !mds_is_our_auth(r))) {
        return DECLINED;
    }
    if (tell_of_nobody(r, request, view)) {
        return DECLINED;
    }
    session = mds_session(r, view);
    if (!session) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (tell(r, request, view, session) != APR_SUCCESS) {
        return without_store(r, session);
    }
    return DECLINED;
}

int mds_fixups(request_rec *r)
{
    mds_view_t *view = mds_view(r);
    int checks = view->settings->csrf != DJS_CSRF_MODE_OFF;
    int answer = view->settings->preserve_post ? mds_preserve_fixups(r, view) : DECLINED;

    if (answer == DECLINED && checks) {
        answer = mds_csrf_check(r, view);
    }
    if (answer == DECLINED) {
        answer = export(r, view);
    }
    if (answer == DECLINED) {
        mds_inject_prepare(r, view);
        answer = checks ? mds_csrf_tell(r, view) : DECLINED;
    }
    return answer;
}
