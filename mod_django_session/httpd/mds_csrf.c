/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DjangoCsrf: unsafe requests are judged in fixups, so who may not come here at all was told so before,
 * and no handler has begun; a form's field is looked for in the beginning of the body (mds_body.c).
 *
 * Tokens are told to the application in its environment and headers. Whether it shows them is not
 * known, and to send the cookie with each image would keep caches from all of them; so it goes with
 * answers that can hold a form, which are HTML, and as in Django with each of them, so that it lives
 * on. A cookie that cannot be one is replaced at once.
 *
 * A client's request has one mds_csrf_t for each cookie (or session) that its sections keep the
 * secret in: nearly always one.
 */
#include "mds.h"

#include <apr_strings.h>

#include "form.h"

struct mds_csrf_t {
    mds_csrf_t *next;
    const djs_settings_t *settings;
    mds_session_t *session; /* DjangoCsrfUseSessions; NULL: the secret is in a cookie */
    const char *came;       /* with the request; may be malformed; NULL: nothing. Secret */
    const char *stored;     /* what the visitor is to have; NULL: not asked for yet. Secret */
    const char *token;      /* of that, for all who ask in this request; NULL: as above */
    int told;               /* to the application */
    int shown;              /* in a page of ours */
};

/* ---- the visitor's secret ---- */

/* What the session says; "" stands for what is no text. */
static const char *from_session(djs_ctx_t *ctx, djs_session_t *session)
{
    djs_value_t *value = djs_session_get(ctx, session, djs_bytes(DJS_CSRF_SESSION_KEY));
    djs_bytes_t text;

    if (!value) {
        return NULL;
    }
    if (djs_value_type(value) != DJS_TYPE_STR) {
        return "";
    }
    text = djs_value_str(value);
    return memchr(text.data, '\0', text.len) ? "" : text.data;
}

static int is_of(const mds_csrf_t *csrf, const djs_settings_t *settings,
                 const mds_session_t *session)
{
    return csrf->session == session
           && (session
               || strcmp(csrf->settings->csrf_cookie_name, settings->csrf_cookie_name) == 0);
}

/*
 * DJS_ESTORE: the session could not be read, which was logged; APR_EGENERAL: its site cannot be
 * opened, the same.
 */
static apr_status_t find(request_rec *r, mds_view_t *view, mds_csrf_t **found)
{
    mds_request_t *request = mds_request(r);
    const djs_settings_t *settings = view->settings;
    mds_session_t *session = NULL;
    mds_csrf_t *csrf;

    if (settings->csrf_use_sessions) {
        session = mds_session(r, view);
        if (!session) {
            return APR_EGENERAL;
        }
        if (djs_session_load(&request->ctx, session->middleware->session) != APR_SUCCESS) {
            mds_store_failed(r, session);
            return DJS_ESTORE;
        }
    }
    for (csrf = request->csrf; csrf && !is_of(csrf, settings, session); csrf = csrf->next) {
    }
    if (!csrf) {
        csrf = apr_pcalloc(request->ctx.pool, sizeof(*csrf));
        csrf->settings = view->transient ? djs_settings_copy(request->ctx.pool, settings)
                                         : settings;
        csrf->session = session;
        csrf->came = session ? from_session(&request->ctx, session->middleware->session)
                             : djs_csrf_from_cookies(&request->ctx, settings, request->cookie);
        csrf->next = request->csrf;
        request->csrf = csrf;
    }
    *found = csrf;
    return APR_SUCCESS;
}

/* The answer to a request for which find() failed. */
static int answer_without(request_rec *r, const mds_view_t *view, apr_status_t rv)
{
    if (rv != DJS_ESTORE) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return view->settings->on_store_error == DJS_ON_STORE_ERROR_DENY ? mds_unavailable(r)
                                                                     : DECLINED;
}

static apr_status_t keep_or_make(djs_ctx_t *ctx, mds_csrf_t *csrf)
{
    if (!csrf->stored && djs_csrf_is_valid(csrf->came)) {
        csrf->stored = csrf->came;
    }
    return csrf->stored ? APR_SUCCESS : djs_csrf_make(ctx, &csrf->stored);
}

static apr_status_t token_of(djs_ctx_t *ctx, mds_csrf_t *csrf, const char **token)
{
    apr_status_t rv = APR_SUCCESS;

    if (!csrf->token) {
        rv = keep_or_make(ctx, csrf);
        if (rv == APR_SUCCESS) {
            rv = djs_csrf_token(ctx, csrf->stored, &csrf->token);
        }
    }
    *token = csrf->token;
    return rv;
}

apr_status_t mds_csrf_token(request_rec *r, mds_view_t *view, const char **token)
{
    mds_csrf_t *csrf;
    apr_status_t rv = find(r, view, &csrf);

    if (rv == APR_SUCCESS) {
        rv = token_of(&mds_request(r)->ctx, csrf, token);
        csrf->shown = 1;
    }
    return rv;
}

apr_status_t mds_csrf_rotate(request_rec *r, mds_view_t *view)
{
    mds_csrf_t *csrf;
    apr_status_t rv = find(r, view, &csrf);

    if (rv == APR_SUCCESS) {
        csrf->token = NULL;
        csrf->shown = 1;
        rv = djs_csrf_make(&mds_request(r)->ctx, &csrf->stored);
    }
    return rv;
}

/* ---- the check ---- */

/* Applications take these for the method, whatever the request line says. */
static int is_unsafe(request_rec *r)
{
    static const char *const overrides[] = { "X-HTTP-Method-Override", "X-HTTP-Method",
                                             "X-Method-Override" };
    apr_size_t i;

    for (i = 0; i < sizeof(overrides) / sizeof(overrides[0]); i++) {
        const char *method = apr_table_get(r->headers_in, overrides[i]);

        if (method && !djs_csrf_is_safe(method)) {
            return 1;
        }
    }
    return !djs_csrf_is_safe(r->method);
}

/* Without a Host header, which only HTTP/1.0 allows, Django makes it of the server's name. */
static const char *host_of(request_rec *r)
{
    const char *host = apr_table_get(r->headers_in, "Host");

    if (!host) {
        apr_port_t port = ap_get_server_port(r);

        host = ap_is_default_port(port, r)
                   ? ap_get_server_name(r)
                   : apr_psprintf(r->pool, "%s:%u", ap_get_server_name(r), port);
    }
    return host;
}

static djs_csrf_request_t facts_of(request_rec *r, const djs_settings_t *settings)
{
    djs_csrf_request_t facts = {
        .secure = mds_is_secure(r),
        .host = host_of(r),
        .port = ap_get_server_port(r),
        .origin = apr_table_get(r->headers_in, "Origin"),
        .referer = apr_table_get(r->headers_in, "Referer"),
        .fetch_site = apr_table_get(r->headers_in, "Sec-Fetch-Site"),
        .header = apr_table_get(r->headers_in, settings->csrf_header_name)
    };

    return facts;
}

static void log_refusal(request_rec *r, djs_csrf_verdict_t verdict, const char *reason)
{
    apr_table_setn(r->notes, "django-csrf", djs_csrf_verdict_name(verdict));
    if (mds_may_log(MDS_MSG_0210, r->request_time)) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, DJSNO(0210) "Forbidden (%s): %s", reason,
                      r->uri);
        return;
    }
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, DJSNO(0211) "Forbidden (%s): %s", reason, r->uri);
}

static int refuse(request_rec *r, djs_csrf_verdict_t verdict, const char *reason)
{
    log_refusal(r, verdict, reason);
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    return HTTP_FORBIDDEN;
}

/* Django looks at forms of POST only. OK, or the answer to a body that cannot be read. */
static int find_field(request_rec *r, const char **field)
{
    const char *type = apr_table_get(r->headers_in, "Content-Type");
    djs_ctx_t *ctx = &mds_request(r)->ctx;
    djs_bytes_t body;
    int whole, answer;

    if (r->method_number != M_POST || !djs_form_is_form(type)) {
        return OK;
    }
    answer = mds_body_peek(r, &body, &whole);
    if (answer == OK) {
        *field = djs_form_find(ctx, type, body, whole, DJS_CSRF_FIELD);
    }
    return answer;
}

/* By token: DECLINED, or the answer. */
static int check_token(request_rec *r, mds_view_t *view, djs_csrf_request_t *facts)
{
    djs_ctx_t *ctx = &mds_request(r)->ctx;
    djs_csrf_verdict_t verdict;
    const char *reason;
    mds_csrf_t *csrf;
    apr_status_t rv = find(r, view, &csrf);
    int answer;

    if (rv != APR_SUCCESS) {
        answer = answer_without(r, view, rv);
        return answer != DECLINED ? answer : HTTP_FORBIDDEN; /* unknown is not good */
    }
    facts->stored = csrf->came;
    if (djs_csrf_is_valid(csrf->came)) {
        answer = find_field(r, &facts->field);
        if (answer != OK) {
            return answer;
        }
    }
    verdict = djs_csrf_check_token(ctx, view->settings, facts, &reason);
    return verdict == DJS_CSRF_PASS ? DECLINED : refuse(r, verdict, reason);
}

static int judge(request_rec *r, mds_view_t *view)
{
    djs_ctx_t *ctx = &mds_request(r)->ctx;
    djs_csrf_request_t facts = facts_of(r, view->settings);
    const char *reason;
    djs_csrf_verdict_t verdict = djs_csrf_check_source(ctx, view->settings, &facts, &reason);

    if (verdict != DJS_CSRF_PASS) {
        return refuse(r, verdict, reason);
    }
    return view->settings->csrf == DJS_CSRF_MODE_ON ? check_token(r, view, &facts) : DECLINED;
}

/* Of an .htaccess file nobody has looked at the combination yet. */
static int works(request_rec *r, const mds_view_t *view)
{
    djs_ctx_t ctx = { .pool = r->pool };

    if (view->transient && djs_csrf_check_settings(&ctx, view->settings) != APR_SUCCESS) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, DJSNO(0212) "in an .htaccess file: %s",
                      ctx.problem);
        return 0;
    }
    return 1;
}

/* Pages of the module's own see to their forms themselves. */
static int is_our_page(const request_rec *r)
{
    return r->handler && strncmp(r->handler, "django-", 7) == 0;
}

int mds_csrf_check(request_rec *r, mds_view_t *view)
{
    mds_request_t *request = mds_request(r);
    int mode = view->settings->csrf;
    mds_csrf_t *unused;
    int answer;

    if (mode == DJS_CSRF_MODE_OFF || r->main || is_our_page(r)) {
        return DECLINED;
    }
    if (!works(r, view)) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (!is_unsafe(r)) {
        if (mode == DJS_CSRF_MODE_ON && !view->settings->csrf_use_sessions) {
            (void)find(r, view, &unused); /* a bad cookie is replaced */
        }
        return DECLINED;
    }
    /* Once for a client's request, unless another section asks for more. */
    if (request->csrf_passed >= mode) {
        return DECLINED;
    }
    answer = judge(r, view);
    if (answer == DECLINED) {
        request->csrf_passed = mode;
    }
    return answer;
}

int mds_csrf_accepts(request_rec *r, mds_view_t *view, const char *field)
{
    djs_ctx_t *ctx = &mds_request(r)->ctx;
    djs_settings_t *settings = apr_pmemdup(r->pool, view->settings, sizeof(*settings));
    djs_csrf_request_t facts = facts_of(r, settings);
    const char *reason = "the session could not be read";
    djs_csrf_verdict_t verdict;
    mds_csrf_t *csrf;

    settings->csrf = DJS_CSRF_MODE_ON;
    verdict = djs_csrf_check_source(ctx, settings, &facts, &reason);
    if (verdict == DJS_CSRF_PASS) {
        verdict = DJS_CSRF_BAD_COOKIE;
        if (find(r, view, &csrf) == APR_SUCCESS) {
            facts.stored = csrf->came;
            facts.field = field;
            verdict = djs_csrf_check_token(ctx, settings, &facts, &reason);
        }
    }
    if (verdict != DJS_CSRF_PASS) {
        log_refusal(r, verdict, reason);
    }
    return verdict == DJS_CSRF_PASS;
}

int mds_csrf_is_own(request_rec *r, mds_view_t *view)
{
    djs_settings_t *settings = apr_pmemdup(r->pool, view->settings, sizeof(*settings));
    djs_csrf_request_t facts = facts_of(r, settings);
    const char *reason;

    settings->csrf = DJS_CSRF_MODE_ORIGIN;
    return djs_csrf_check_source(&mds_request(r)->ctx, settings, &facts, &reason) == DJS_CSRF_PASS;
}

/* ---- what the application is told ---- */

int mds_csrf_tell(request_rec *r, mds_view_t *view)
{
    const djs_settings_t *settings = view->settings;
    mds_request_t *request = mds_request(r);
    const char *token;
    mds_csrf_t *csrf;
    apr_status_t rv;

    if (settings->csrf != DJS_CSRF_MODE_ON || (!settings->env->on && !settings->header->on)) {
        return DECLINED;
    }
    rv = find(r, view, &csrf);
    if (rv != APR_SUCCESS) {
        return answer_without(r, view, rv);
    }
    if (token_of(&request->ctx, csrf, &token) != APR_SUCCESS) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    csrf->told = 1;
    if (settings->env->on) {
        apr_table_setn(r->subprocess_env, "DJANGO_CSRF_TOKEN", token);
    }
    if (settings->header->on) {
        apr_table_setn(r->headers_in, "Django-Csrf-Token", token);
        request->told_headers = 1;
    }
    return DECLINED;
}

const char *mds_csrf_page_token(request_rec *r, mds_view_t *view)
{
    mds_request_t *request = mds_request(r);
    const char *token;
    mds_csrf_t *csrf;

    if (find(r, view, &csrf) != APR_SUCCESS
        /* The application has a secret of its own there. */
        || (!csrf->session && mds_sets_cookie(r, csrf->settings->csrf_cookie_name))
        /* Too late for ours. */
        || (request->finished && !csrf->told)
        || token_of(&request->ctx, csrf, &token) != APR_SUCCESS) {
        djs_forget(&request->ctx);
        return NULL;
    }
    csrf->told = 1;
    return token;
}

/* ---- the answer ---- */

static int is_html(const request_rec *r)
{
    return r->content_type
           && (strncasecmp(r->content_type, "text/html", 9) == 0
               || strncasecmp(r->content_type, "application/xhtml+xml", 21) == 0);
}

static int goes_along(const request_rec *r, const mds_csrf_t *csrf)
{
    int malformed = !csrf->session && csrf->came && !djs_csrf_is_valid(csrf->came);

    return csrf->shown || malformed
           || (csrf->told && is_html(r) && r->status != HTTP_NOT_MODIFIED);
}

/* Into the session, which is saved after this, or into a cookie. */
static void store(request_rec *r, mds_request_t *request, const mds_csrf_t *csrf)
{
    djs_ctx_t *ctx = &request->ctx;

    if (!csrf->session) {
        mds_add_cookie(request,
                       djs_csrf_set_cookie(ctx, csrf->settings, mds_is_secure(r), csrf->stored));
        request->vary = 1;
    }
    else if (csrf->stored != csrf->came) {
        djs_session_set(ctx, csrf->session->middleware->session, djs_bytes(DJS_CSRF_SESSION_KEY),
                        djs_value_make_str(ctx->pool, djs_bytes(csrf->stored)));
    }
}

void mds_csrf_finish(request_rec *r, mds_request_t *request)
{
    mds_csrf_t *csrf;

    for (csrf = request->csrf; csrf; csrf = csrf->next) {
        if (csrf->told && csrf->came) { /* in no page of another visitor */
            mds_narrow(r, MDS_FOR_ONE_UNLESS_PUBLIC);
        }
        if (!goes_along(r, csrf)
            || (!csrf->session && mds_sets_cookie(r, csrf->settings->csrf_cookie_name))) {
            continue;
        }
        if (keep_or_make(&request->ctx, csrf) == APR_SUCCESS) {
            store(r, request, csrf);
        }
        djs_forget(&request->ctx);
    }
}
