/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AuthType Django: who is logged in is the request's user; nobody goes to the login page or gets
 * 401; a user without the right gets 403.
 *
 * httpd asks for a user when Require cannot be met without one. Under DjangoUnauthenticated pass one
 * who is logged in is the user in any case, and nobody goes on where Require lets nobody in.
 */
#include "mds.h"

#include <apr_strings.h>

#include "cookie.h"
#include "form.h"
#include "json.h"
#include "url.h"

/* Says for a moment, long enough for two redirects, which login was too old. */
#define ASKED_COOKIE  "django_login_asked"
#define ASKED_SECONDS 10

/* ---- where to go ---- */

const char *mds_asked_for(request_rec *r)
{
    const char *uri, *scheme;

    while (r->main || r->prev) {
        r = r->prev ? r->prev : r->main;
    }
    uri = r->unparsed_uri;
    scheme = strstr(uri, "://");
    if (*uri != '/' && scheme) {
        uri = scheme + 3 + strcspn(scheme + 3, "/?");
        uri = *uri == '/' ? uri : apr_pstrcat(r->pool, "/", uri, NULL);
    }
    /* Two slashes in front would be a host; browsers take a backslash for one. */
    if (uri[0] == '/' && (uri[1] == '/' || uri[1] == '\\')) {
        uri = apr_pstrcat(r->pool, uri[1] == '/' ? "/%2F" : "/%5C", uri + 2, NULL);
    }
    return *uri == '/' ? uri : "/";
}

/* The whole address; behind a proxy that does TLS with its scheme, as Django's build_absolute_uri(). */
static const char *whole(request_rec *r, const char *uri)
{
    const char *host = apr_table_get(r->headers_in, "Host");

    if (host && mds_is_secure(r) && strcmp(ap_http_scheme(r), "https") != 0) {
        return apr_pstrcat(r->pool, "https://", host, uri, NULL);
    }
    return ap_construct_url(r->pool, uri, r);
}

/* iri_to_uri(): what is no ASCII cannot stand in a header. */
static const char *as_uri(apr_pool_t *pool, const char *iri)
{
    char *uri = apr_palloc(pool, strlen(iri) * 3 + 1);
    char *out = uri;

    for (; *iri; iri++) {
        if ((unsigned char)*iri < 0x80) {
            *out++ = *iri;
        }
        else {
            out += apr_snprintf(out, 4, "%%%02X", (unsigned char)*iri);
        }
    }
    *out = '\0';
    return uri;
}

/* redirect_to_login(): a login page on another site needs the whole address to come back. */
static const char *login_page(request_rec *r, const djs_settings_t *settings, const char *next)
{
    const char *here = whole(r, "/");
    const char *url = settings->login_url;
    djs_ctx_t ctx = { .pool = r->pool };

    if ((*url != '/' || url[1] == '/') && strncasecmp(url, here, strlen(here)) != 0) {
        next = whole(r, next);
    }
    return as_uri(r->pool, djs_url_login(&ctx, url, settings->redirect_field_name, next));
}

static int header_has(request_rec *r, const char *header, const char *word)
{
    const char *value = apr_table_get(r->headers_in, header);

    return value && ap_strcasestr(value, word);
}

/* A browser that will show the answer; not a script in it, which could make nothing of a page. */
static int is_for_window(request_rec *r)
{
    return header_has(r, "Accept", "text/html")
           && (!apr_table_get(r->headers_in, "Sec-Fetch-Mode")
               || header_has(r, "Sec-Fetch-Mode", "navigate"))
           && !header_has(r, "X-Requested-With", "XMLHttpRequest");
}

static int is_page_view(request_rec *r)
{
    return r->method_number == M_GET /* HEAD too */ && is_for_window(r);
}

static int is_form(request_rec *r)
{
    return r->method_number == M_POST && is_for_window(r)
           && djs_form_is_form(apr_table_get(r->headers_in, "Content-Type"));
}

static int sends_to_login(request_rec *r, const djs_settings_t *settings)
{
    switch (settings->unauthenticated) {
    case DJS_UNAUTHENTICATED_REDIRECT:
        return 1;
    case DJS_UNAUTHENTICATED_401:
        return 0;
    default: /* auto; or pass, where Require lets nobody in only with a login */
        return is_page_view(r);
    }
}

/* ---- refusals ---- */

/* What differs from visitor to visitor is kept by no cache. */
static void keep_from_caches(request_rec *r)
{
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    apr_table_mergen(r->err_headers_out, "Vary", "Cookie");
    mds_narrow(r, MDS_FOR_ONE);
}

static const char *refusal_as_json(request_rec *r, const djs_settings_t *settings,
                                   djs_reason_t reason)
{
    djs_ctx_t ctx = { .pool = r->pool };
    djs_value_t *dict = djs_value_make_dict(r->pool);

    djs_value_set(dict, djs_bytes("login"),
                  djs_value_make_str(r->pool, djs_bytes(as_uri(r->pool, settings->login_url))));
    djs_value_set(dict, djs_bytes("reason"),
                  djs_value_make_str(r->pool, djs_bytes(djs_reason_name(reason))));
    return djs_json_dumps(&ctx, DJS_JSON_COMPACT, dict).data;
}

/* "application/json", or "application/vnd.api+json" and its like; no browser. */
static int takes_json(request_rec *r)
{
    return (header_has(r, "Accept", "application/json") || header_has(r, "Accept", "+json"))
           && !header_has(r, "Accept", "text/html");
}

static int challenge(request_rec *r, const djs_settings_t *settings, djs_reason_t reason)
{
    apr_table_setn(r->err_headers_out, "WWW-Authenticate",
                   apr_psprintf(r->pool, "Django login=\"%s\"",
                                ap_escape_quotes(r->pool,
                                                 as_uri(r->pool, settings->login_url))));
    if (takes_json(r)) {
        ap_custom_response(r, HTTP_UNAUTHORIZED, refusal_as_json(r, settings, reason));
        mds_request(r)->refusal_type = "application/json";
    }
    return HTTP_UNAUTHORIZED;
}

static int send_to(request_rec *r, const char *url, int status)
{
    apr_table_setn(r->headers_out, "Location", url);
    return status;
}

/* Its sender hears what became of it, and comes back to it. */
static int refuse_form(request_rec *r, mds_view_t *view, mds_session_t *session)
{
    const djs_settings_t *settings = view->settings;
    const char *kept = mds_preserve_keep(r, view, session);
    const char *again;

    if (kept) {
        return send_to(r, login_page(r, settings, kept), HTTP_SEE_OTHER);
    }
    again = login_page(r, settings, mds_preserve_back(r));
    if (sends_to_login(r, settings)) {
        mds_preserve_note_lost(r);
        return send_to(r, again, HTTP_MOVED_TEMPORARILY);
    }
    mds_preserve_tell_lost(r, view, again);
    return challenge(r, settings, session->reason);
}

/* The login page asks for a login itself: who is sent there is sent there again, and so on. */
static int is_login_page(request_rec *r, const djs_settings_t *settings)
{
    const char *url = settings->login_url;
    const char *asked = mds_asked_for(r);
    apr_size_t len = strcspn(url, "?#");

    return *url == '/' && strncmp(asked, url, len) == 0 && (!asked[len] || asked[len] == '?');
}

static int leads_nowhere(request_rec *r)
{
    if (mds_may_log(MDS_MSG_0240, r->request_time)) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      DJSNO(0240) "the login page %s asks for a login itself; write Require all granted "
                                  "for it", r->uri);
    }
    return HTTP_FORBIDDEN;
}

static int refuse(request_rec *r, mds_view_t *view, mds_session_t *session)
{
    const djs_settings_t *settings = view->settings;

    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                  DJSNO(0112) MDS_SESSION_MSG("no login for %s: %s"),
                  mds_session_digest(r, session), r->uri, djs_reason_name(session->reason));
    mds_export_refusal(r, session);
    keep_from_caches(r);
    if ((is_form(r) || sends_to_login(r, settings)) && is_login_page(r, settings)) {
        return leads_nowhere(r);
    }
    if (is_form(r)) {
        return refuse_form(r, view, session);
    }
    if (sends_to_login(r, settings)) {
        return send_to(r, login_page(r, settings, mds_asked_for(r)), HTTP_MOVED_TEMPORARILY);
    }
    return challenge(r, settings, session->reason);
}

static int deny(request_rec *r, mds_session_t *session)
{
    mds_store_failed(r, session);
    mds_export_refusal(r, session);
    return mds_unavailable(r);
}

/* ---- hooks ---- */

static const char *remote_user(const djs_settings_t *settings, const djs_user_t *user)
{
    switch (settings->remote_user) {
    case DJS_REMOTE_USER_ID:
        return user->id;
    case DJS_REMOTE_USER_EMAIL:
        return user->email;
    default:
        return user->username;
    }
}

static int accept_user(request_rec *r, const djs_settings_t *settings, const djs_user_t *user)
{
    const char *name = remote_user(settings, user);

    if (!name || !*name) {
        if (mds_may_log(MDS_MSG_0114, mds_request(r)->ctx.now)) {
            ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                          DJSNO(0114) "user %s has not what DjangoRemoteUser %s asks for",
                          user->username,
                          djs_settings_text(r->pool, settings,
                                            &djs_setting_rows()[DJS_SETTING_REMOTE_USER]));
        }
        return HTTP_FORBIDDEN;
    }
    r->user = apr_pstrdup(r->pool, name);
    r->ap_auth_type = (char *)"Django";
    mds_narrow(r, MDS_FOR_ONE);
    return OK;
}

int mds_check_authn(request_rec *r)
{
    mds_view_t *view;
    mds_session_t *session;

    if (!mds_is_our_auth(r)) {
        return DECLINED;
    }
    view = mds_view(r);
    session = mds_session(r, view);
    if (!session) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    /* Whatever DjangoSessionOnStoreError says: without the store nobody is let in. */
    if (mds_session_user(r, view, session) != APR_SUCCESS) {
        return deny(r, session);
    }
    if (!session->user) {
        return refuse(r, view, session);
    }
    return accept_user(r, view->settings, session->user);
}

/* ---- rights ---- */

typedef int (*checkers_fn)(request_rec *r);

/* All checkers but us. */
static int ask_others(request_rec *r, mds_request_t *request, checkers_fn run)
{
    int answer;

    request->lost = NULL;
    request->not_recent = 0;
    request->inside_authz = 1;
    answer = run(r);
    request->inside_authz = 0;
    return request->lost ? deny(r, request->lost) : answer;
}

static int forbid(request_rec *r, mds_session_t *session, djs_reason_t reason)
{
    session->reason = reason;
    mds_export_refusal(r, session);
    keep_from_caches(r);
    return HTTP_FORBIDDEN;
}

/* Which login is too old: it changes when there is a new one. */
static const char *name_of_login(request_rec *r, const mds_session_t *session)
{
    const djs_user_t *user = session->user;

    return djs_secret_digest(r->pool, session->site->keys,
                             apr_psprintf(r->pool, "%s %" APR_TIME_T_FMT, user->id,
                                          user->last_login));
}

/*
 * Has the browser just been to the login page, and comes back with the same login? A page that lets
 * pass whoever is logged in would send it here again, and so on.
 */
static int comes_back(request_rec *r, const char *login)
{
    mds_request_t *request = mds_request(r);
    const apr_array_header_t *found = djs_cookie_find(&request->ctx, request->cookie, ASKED_COOKIE);

    return found->nelts > 0 && strcmp(APR_ARRAY_IDX(found, 0, const char *), login) == 0;
}

/* A login of long ago: have another one made, if that can help. */
static int ask_again(request_rec *r, mds_view_t *view, mds_session_t *session)
{
    const char *login = name_of_login(r, session);

    if (session->user->last_login == 0 || comes_back(r, login)) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, DJSNO(0182) "user %s has no recent login for %s, "
                      "and %s", r->user, r->uri,
                      session->user->last_login == 0 ? "never has a last_login"
                                                     : "comes from the login page without another");
        return forbid(r, session, DJS_REASON_NOT_RECENT);
    }
    session->reason = DJS_REASON_NOT_RECENT;
    if (sends_to_login(r, view->settings)) {
        apr_table_addn(r->err_headers_out, "Set-Cookie",
                       apr_psprintf(r->pool, ASKED_COOKIE "=%s; HttpOnly; Max-Age=%d; Path=/; "
                                    "SameSite=Lax%s", login, ASKED_SECONDS,
                                    mds_is_secure(r) ? "; Secure" : ""));
    }
    return refuse(r, view, session);
}

/* Would a younger login be enough? */
static int lacks_login_only(request_rec *r, mds_request_t *request, checkers_fn run)
{
    int answer;

    if (!request->not_recent) {
        return 0;
    }
    request->as_if_recent = 1;
    answer = ask_others(r, request, run);
    request->as_if_recent = 0;
    return answer == OK;
}

/*
 * mod_authz_core answers 401 to a user without the right, unless AuthzSendForbiddenOnFailure is On:
 * right for Basic, where the browser then asks for another password, but here a script would go
 * to log in somebody who is logged in. So we ask all checkers ourselves and correct that answer.
 */
static int judge(request_rec *r, checkers_fn run)
{
    mds_request_t *request = mds_request(r);
    mds_session_t *session;
    mds_view_t *view;
    int answer = ask_others(r, request, run);

    if ((answer != HTTP_UNAUTHORIZED && answer != HTTP_FORBIDDEN) || !r->user
        || !mds_is_our_auth(r)) {
        return answer;
    }
    view = mds_view(r);
    session = mds_session(r, view);
    if (!session) {
        return HTTP_FORBIDDEN;
    }
    if (session->user && lacks_login_only(r, request, run)) {
        return ask_again(r, view, session);
    }
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, DJSNO(0113) "user %s lacks a right for %s", r->user,
                  r->uri);
    return forbid(r, session, DJS_REASON_NO_PERMISSION);
}

/* Under pass: the user, if there is one. OK: go on, with or without. */
static int welcome(request_rec *r, mds_view_t *view)
{
    mds_session_t *session = mds_session(r, view);

    if (!session) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (mds_session_user(r, view, session) != APR_SUCCESS) {
        if (view->settings->on_store_error == DJS_ON_STORE_ERROR_DENY) {
            return deny(r, session);
        }
        mds_store_failed(r, session);
        return OK;
    }
    return session->user ? accept_user(r, view->settings, session->user) : OK;
}

/* Before a user is asked for: who needs none gets in. */
int mds_access_checker(request_rec *r)
{
    mds_view_t *view = NULL;
    int answer;

    if (mds_request(r)->inside_authz) {
        return DECLINED;
    }
    if (mds_is_our_auth(r)) {
        view = mds_view(r);
    }
    if (view && view->settings->unauthenticated == DJS_UNAUTHENTICATED_PASS) {
        answer = welcome(r, view);
        return answer == OK ? judge(r, ap_run_access_checker_ex) : answer;
    }
    return mds_require_in_use() ? judge(r, ap_run_access_checker_ex) : DECLINED;
}

int mds_auth_checker(request_rec *r)
{
    if (mds_request(r)->inside_authz || (!mds_is_our_auth(r) && !mds_require_in_use())) {
        return DECLINED;
    }
    return judge(r, ap_run_auth_checker);
}
