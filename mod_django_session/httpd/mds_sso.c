/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SetHandler django-sso: a login carried from one host to another. The handler stands at the same path
 * of each host; the first of DjangoSsoHosts is the one that people log in at. A browser goes
 *
 *     shop  /sso?next=/page                  gets a cookie that is good at this path, and goes to
 *     www   /sso?to=…&browser=…&next=/page   who is nobody goes to the login page and comes back;
 *                                            somebody gets a ticket (core/sso.h), and goes to
 *     shop  /sso?ticket=…&next=/page         the ticket becomes the session's login, and on to
 *     shop  /page
 */
#include "mds_page.h"

#include <apr_lib.h>
#include <apr_strings.h>

#include "sso.h"

#define HANDLER "django-sso"

/* The cookie that binds a ticket to a browser, and its life: a login page may lie between. */
#define COOKIE     "django_sso"
#define COOKIE_LEN 32
#define COOKIE_AGE apr_time_from_sec(3600)

/* A SHA-256 in hex. */
#define BROWSER_LEN 64

/* One request to the handler. */
typedef struct visit_t {
    request_rec *r;
    djs_ctx_t *ctx;
    mds_view_t *view;
    const djs_settings_t *settings;
    mds_session_t *session;
    const char *here;   /* the origin that was asked */
    const char *cookie; /* NULL: none came */
    const char *next;   /* a path of this host */
} visit_t;

/* ---- addresses ---- */

static const char *param(request_rec *r, const char *name)
{
    djs_ctx_t ctx = { .pool = r->pool };
    const char *value = NULL;

    if (r->args) {
        (void)djs_url_take_param(&ctx, r->args, name, NULL, &value);
    }
    return value;
}

/* With what no browser takes for another host. */
static const char *local_path(const char *next)
{
    int is_local = next && next[0] == '/' && next[1] != '/' && next[1] != '\\'
                   && djs_url_is_clean(next);

    return is_local ? next : "/";
}

static const char *with(visit_t *visit, const char *url, const char *name, const char *value)
{
    return djs_url_login(visit->ctx, url, name, value);
}

static const char *handler_at(visit_t *visit, const char *origin)
{
    request_rec *r = visit->r;

    return apr_pstrcat(r->pool, origin, ap_escape_uri(r->pool, r->uri), NULL);
}

/* No other site and no cache is to hear of what is in these addresses. */
static void keep_secret(request_rec *r)
{
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->err_headers_out, "Referrer-Policy", "no-referrer");
}

static int go_to(request_rec *r, const char *url)
{
    apr_table_setn(r->headers_out, "Location", url);
    return HTTP_MOVED_TEMPORARILY;
}

/* ---- refusals ---- */

#define REFUSED_MESSAGE                                                                            \
    "Your login could not be carried over to this site: it took too long, or was begun in another " \
    "browser."

static int refuse(visit_t *visit, const char *why)
{
    request_rec *r = visit->r;
    mds_page_t page = { .texts = { [MDS_PAGE_TITLE] = "Not logged in", [MDS_PAGE_AGAIN] = "1",
                                   [MDS_PAGE_MESSAGE] = REFUSED_MESSAGE } };
    const char *text;

    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, DJSNO(0221) "no login carried over: %s", why);
    page.texts[MDS_PAGE_LINK] = with(visit, ap_escape_uri(r->pool, r->uri), "next", visit->next);
    text = mds_page_text(r, visit->view, &page);
    if (!text) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    keep_secret(r);
    r->status = HTTP_FORBIDDEN;
    ap_set_content_type(r, "text/html; charset=utf-8");
    ap_rputs(text, r);
    return OK;
}

static int not_configured(request_rec *r, const char *why)
{
    ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, DJSNO(0220) "SetHandler " HANDLER " at %s: %s", r->uri,
                  why);
    return HTTP_INTERNAL_SERVER_ERROR;
}

static int no_store(visit_t *visit)
{
    mds_store_failed(visit->r, visit->session);
    return mds_unavailable(visit->r);
}

/* ---- the browser's cookie ---- */

static int is_cookie(const char *value)
{
    const char *at;

    for (at = value; *at; at++) {
        if (!apr_isalnum(*at)) {
            return 0;
        }
    }
    return at - value == COOKIE_LEN;
}

static const char *find_cookie(visit_t *visit)
{
    const apr_array_header_t *values = djs_cookie_find(visit->ctx, mds_request(visit->r)->cookie,
                                                       COOKIE);
    int i;

    for (i = 0; i < values->nelts; i++) {
        if (is_cookie(APR_ARRAY_IDX(values, i, const char *))) {
            return APR_ARRAY_IDX(values, i, const char *);
        }
    }
    return NULL;
}

/* The same for all windows of a browser, so that each finds its own way back. */
static apr_status_t give_cookie(visit_t *visit)
{
    request_rec *r = visit->r;
    djs_cookie_look_t look = {
        .name = COOKIE, .path = ap_escape_uri(r->pool, r->uri), .samesite = DJS_SAMESITE_LAX,
        .httponly = 1, .secure = mds_is_secure(r)
    };
    djs_cookie_life_t life = { .age = COOKIE_AGE };
    apr_status_t rv = APR_SUCCESS;

    if (!visit->cookie) {
        rv = djs_random_string(visit->ctx, "abcdefghijklmnopqrstuvwxyz0123456789", COOKIE_LEN,
                               &visit->cookie);
    }
    if (rv == APR_SUCCESS) {
        apr_table_addn(r->err_headers_out, "Set-Cookie",
                       djs_cookie_line(visit->ctx, &look, visit->cookie, life));
    }
    return rv;
}

/* ---- the three steps ---- */

static int is_login_host(const visit_t *visit)
{
    const char *first = APR_ARRAY_IDX(visit->settings->sso_hosts, 0, const char *);

    return strcmp(djs_sso_origin(visit->r->pool, first), visit->here) == 0;
}

/* Where people log in at this host, and come back to @a next. */
static int go_to_login(visit_t *visit, const char *next)
{
    const char *url = visit->settings->login_url;
    apr_size_t path = strcspn(url, "?#");

    if (strncmp(url, visit->r->uri, path) == 0 && !visit->r->uri[path]) {
        return not_configured(visit->r, "DjangoLoginURL leads here again, on the first of "
                                        "DjangoSsoHosts, which is to have a login page");
    }
    return go_to(visit->r, with(visit, url, visit->settings->redirect_field_name, next));
}

/* Send the browser for a ticket. */
static int begin(visit_t *visit)
{
    const char *first, *browser, *url;

    if (visit->session->user) {
        return go_to(visit->r, visit->next);
    }
    if (is_login_host(visit)) {
        return go_to_login(visit, visit->next);
    }
    if (give_cookie(visit) != APR_SUCCESS) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    browser = djs_sso_browser(visit->r->pool, visit->view->site->keys, visit->cookie);
    if (!browser) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    first = APR_ARRAY_IDX(visit->settings->sso_hosts, 0, const char *);
    url = with(visit, handler_at(visit, djs_sso_origin(visit->r->pool, first)), "to", visit->here);
    return go_to(visit->r, with(visit, with(visit, url, "browser", browser), "next", visit->next));
}

static int is_browser(const char *text)
{
    return text && strlen(text) == BROWSER_LEN
           && strspn(text, "0123456789abcdef") == BROWSER_LEN;
}

/* Give a ticket to another host. */
static int issue(visit_t *visit, const char *to)
{
    request_rec *r = visit->r;
    const char *origin = djs_sso_find(r->pool, visit->settings->sso_hosts, to);
    const char *browser = param(r, "browser");
    const char *ticket, *url;

    if (!origin || !is_browser(browser)) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                      DJSNO(0223) "a ticket was asked for in no way that this handler does");
        return HTTP_BAD_REQUEST;
    }
    if (!visit->session->user) {
        url = apr_pstrcat(r->pool, ap_escape_uri(r->pool, r->uri), "?", r->args, NULL);
        return go_to_login(visit, url);
    }
    if (djs_sso_issue(visit->ctx, visit->view->site, visit->session->middleware->session, origin,
                      browser, &ticket) != APR_SUCCESS) {
        return no_store(visit);
    }
    url = with(visit, handler_at(visit, origin), "ticket", ticket);
    return go_to(r, with(visit, url, "next", visit->next));
}

/* Take the ticket, and log in who it is for. */
static int redeem(visit_t *visit, const char *ticket)
{
    const djs_site_t *site = visit->view->site;
    djs_session_t *session = visit->session->middleware->session;
    const char *browser = visit->cookie ? djs_sso_browser(visit->r->pool, site->keys, visit->cookie)
                                        : NULL;
    djs_user_t *user = NULL;
    apr_status_t rv = DJS_EINVAL;

    mds_hide_in_address(visit->r, "ticket");
    if (browser) {
        rv = djs_sso_redeem(visit->ctx, site, ticket, visit->here, browser, &user);
    }
    if (rv == APR_SUCCESS) {
        rv = djs_auth_login(visit->ctx, site, session, user);
    }
    if (rv == APR_SUCCESS && visit->settings->csrf == DJS_CSRF_MODE_ON) {
        rv = mds_csrf_rotate(visit->r, visit->view);
    }
    if (rv == DJS_ESTORE) {
        return no_store(visit);
    }
    if (rv != APR_SUCCESS && visit->session->user) { /* "back", or another window was first */
        djs_forget(visit->ctx);
        return go_to(visit->r, visit->next);
    }
    if (rv != APR_SUCCESS) {
        const char *why = visit->ctx->problem ? visit->ctx->problem : djs_status_name(rv);

        djs_forget(visit->ctx);
        return refuse(visit, browser ? why : "the browser has no cookie of " HANDLER);
    }
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, visit->r,
                  DJSNO(0222) "user %s has come with a login of another host", user->username);
    return go_to(visit->r, visit->next);
}

/* ---- the handler ---- */

static int visited(visit_t *visit)
{
    const char *ticket = param(visit->r, "ticket");
    const char *to = param(visit->r, "to");

    if (mds_session_user(visit->r, visit->view, visit->session) != APR_SUCCESS) {
        return no_store(visit);
    }
    if (ticket) {
        return redeem(visit, ticket);
    }
    return to ? issue(visit, to) : begin(visit);
}

static int answer(request_rec *r)
{
    visit_t visit = { .r = r };
    const char *host = apr_table_get(r->headers_in, "Host");

    keep_secret(r);
    ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, -1);
    if (r->method_number != M_GET || r->header_only) {
        return HTTP_METHOD_NOT_ALLOWED; /* HEAD, too, would use a ticket up */
    }
    visit.ctx = &mds_request(r)->ctx;
    visit.view = mds_view(r);
    visit.settings = visit.view->settings;
    if (!visit.view->on || !visit.settings->sso_hosts) {
        return not_configured(r, "it needs DjangoSession On and DjangoSsoHosts");
    }
    visit.session = mds_session(r, visit.view);
    if (!visit.session) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (visit.view->site->engine->ops->flags & DJS_ENGINE_STATELESS) {
        return not_configured(r, "it needs an engine that stores sessions; cookies hold no tickets");
    }
    visit.here = djs_sso_find(r->pool, visit.settings->sso_hosts,
                              apr_pstrcat(r->pool, mds_is_secure(r) ? "https://" : "http://",
                                          host ? host : "", NULL));
    if (!visit.here) {
        return not_configured(r, "the host that was asked is none of DjangoSsoHosts");
    }
    visit.cookie = find_cookie(&visit);
    visit.next = local_path(param(r, "next"));
    return visited(&visit);
}

static int handle(request_rec *r)
{
    return *r->handler == *HANDLER && strcmp(r->handler, HANDLER) == 0 ? answer(r) : DECLINED;
}

void mds_sso_register(void)
{
    ap_hook_handler(handle, NULL, NULL, APR_HOOK_MIDDLE);
}
