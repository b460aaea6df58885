/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one context and session of a client's request, and what is taken out of its headers.
 */
#include "mds.h"

#include <apr_atomic.h>
#include <util_filter.h>

#include "../core/memo.h"

/* ---- a limit for messages ---- */

int mds_may_log(mds_message_t message, apr_time_t now)
{
    /* The minute in which each was last written. */
    static apr_uint32_t last[MDS_MESSAGES];
    apr_uint32_t minute = (apr_uint32_t)(apr_time_sec(now) / 60);
    apr_uint32_t seen = apr_atomic_read32(&last[message]);

    return seen != minute && apr_atomic_cas32(&last[message], minute, seen) == seen;
}

/* ---- client headers ---- */

/* Of "keep-alive" and "close", which nearly all are, no letter begins a name of ours. */
static int may_name_ours(const char *connection, const apr_array_header_t *custom)
{
    if (!custom || custom->nelts == 0) {
        while (*connection && !djs_export_may_be_ours(connection, NULL)) {
            connection++;
        }
    }
    return *connection != '\0';
}

/* The tokens of a Connection header that do not name a header of ours. */
static const char *without_ours(apr_pool_t *pool, const char *connection,
                                const apr_array_header_t *custom)
{
    const char *kept = NULL;
    int dropped = 0;

    if (!may_name_ours(connection, custom)) {
        return NULL;
    }
    if (!connection[strcspn(connection, ";, \t\"")]) { /* one */
        return djs_export_is_ours(connection, custom) ? "" : NULL;
    }
    while (*connection) {
        const char *token = ap_get_token(pool, &connection, 0);

        connection += strspn(connection, ";, \t");
        if (!*token) {
            continue;
        }
        if (djs_export_is_ours(token, custom)) {
            dropped = 1;
        }
        else {
            kept = kept ? apr_pstrcat(pool, kept, ", ", token, NULL) : token;
        }
    }
    return dropped ? (kept ? kept : "") : NULL;
}

void mds_strip_table(apr_table_t *table, const apr_array_header_t *custom)
{
    const apr_array_header_t *all = apr_table_elts(table);
    const apr_table_entry_t *entries = (const apr_table_entry_t *)all->elts;
    int i;

    for (i = all->nelts - 1; i >= 0; i--) {
        if (djs_export_may_be_ours(entries[i].key, custom)
            && djs_export_is_ours(entries[i].key, custom)) {
            apr_table_unset(table, entries[i].key);
            i = all->nelts; /* it may have had doubles: begin anew */
        }
    }
}

static void strip(apr_pool_t *pool, apr_table_t *headers, const apr_array_header_t *custom)
{
    const char *connection;

    mds_strip_table(headers, custom);
    connection = apr_table_get(headers, "Connection");
    connection = connection ? without_ours(pool, connection, custom) : NULL;
    if (connection && *connection) {
        apr_table_setn(headers, "Connection", connection);
    }
    else if (connection) {
        apr_table_unset(headers, "Connection");
    }
}

void mds_strip_headers(request_rec *r, const apr_array_header_t *custom)
{
    strip(r->pool, r->headers_in, custom);
}

const apr_array_header_t *mds_header_names(apr_pool_t *pool, const djs_settings_t *settings)
{
    const apr_array_header_t *rules = settings->header->rules;
    apr_array_header_t *names = apr_array_make(pool, rules->nelts, sizeof(const char *));
    int i;

    for (i = 0; i < rules->nelts; i++) {
        APR_ARRAY_PUSH(names, const char *) = APR_ARRAY_IDX(rules, i, djs_export_rule_t).name;
    }
    return names;
}

/* ---- client trailers ---- */

static ap_filter_rec_t *trailer_filter;

/*
 * Under MergeTrailers On what the client sends behind the body comes among the headers when the
 * body has been read: after ours were put there, before FastCGI programs are told of them.
 */
static apr_status_t strip_trailers(ap_filter_t *f, apr_bucket_brigade *brigade,
                                   ap_input_mode_t mode, apr_read_type_e block, apr_off_t bytes)
{
    request_rec *r = f->r;
    apr_table_t *before = r->headers_in;
    apr_table_t *trailers;
    apr_status_t rv = ap_get_brigade(f->next, brigade, mode, block, bytes);

    if (r->headers_in != before) {
        trailers = apr_table_copy(r->pool, r->trailers_in);
        strip(r->pool, trailers, mds_server_of(r->server)->header_names);
        strip(r->pool, trailers, mds_header_names(r->pool, mds_view(r)->settings));
        r->headers_in = apr_table_overlay(r->pool, before, trailers);
    }
    return rv;
}

static int merges_trailers(const server_rec *server)
{
    const core_server_config *core = ap_get_core_module_config(server->module_config);

    return core->merge_trailers == AP_MERGE_TRAILERS_ENABLE;
}

void mds_request_register(void)
{
    trailer_filter = ap_register_input_filter("DJANGO_SESSION_TRAILERS", strip_trailers, NULL,
                                              AP_FTYPE_PROTOCOL - 1);
    mds_body_register();
}

/* ---- the context ---- */

/* The core's decisions, when somebody wants to read them. */
static void trace(void *baton, const char *line)
{
    request_rec *r = baton;

    ap_log_rerror(APLOG_MARK, APLOG_TRACE1, 0, r, "%s", line);
}

/* Something goes on without something else. */
static void warn(void *baton, const char *line)
{
    request_rec *r = baton;

    if (mds_may_log(MDS_MSG_0115, r->request_time)) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, DJSNO(0115) "%s", line);
    }
}

/* Beside the limit of 0115: a cache that is dead warns all the time. */
static void notify(void *baton, const char *line)
{
    request_rec *r = baton;

    ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, DJSNO(0155) "%s", line);
}

static const djs_host_t host = { .trace = trace, .warn = warn, .notify = notify };
static const djs_host_t quiet_host = { .warn = warn, .notify = notify };

request_rec *mds_request_of(const djs_ctx_t *ctx)
{
    return ctx->host == &host || ctx->host == &quiet_host ? ctx->baton : NULL;
}

static request_rec *first_of(request_rec *r)
{
    while (r->main || r->prev) {
        r = r->prev ? r->prev : r->main;
    }
    return r;
}

mds_request_t *mds_request_join(request_rec *r)
{
    request_rec *first = first_of(r);
    mds_request_t *request = ap_get_module_config(first->request_config, &django_session_module);

    if (!request) {
        request = apr_pcalloc(first->pool, sizeof(*request));
        request->ctx.pool = first->pool;
        request->ctx.now = first->request_time;
        request->ctx.host = APLOG_R_IS_LEVEL(first, APLOG_TRACE1) ? &host : &quiet_host;
        request->ctx.baton = first;
        request->ctx.compressors = mds_process.compressors;
        request->cookie = apr_table_get(first->headers_in, "Cookie");
        ap_set_module_config(first->request_config, &django_session_module, request);
    }
    ap_set_module_config(r->request_config, &django_session_module, request);
    return request;
}

int mds_post_read_request(request_rec *r)
{
    mds_request_t *request = mds_request(r);

    if (!r->main) {
        request->unlocated = r;
    }
    /* Internal redirects come here too; what they carry is ours by then. */
    if (!r->prev && !r->main) {
        mds_strip_headers(r, mds_server_of(r->server)->header_names);
    }
    /* An internal redirect begins without its predecessor's filters. */
    if (!r->main && merges_trailers(r->server)) {
        ap_add_input_filter_handle(trailer_filter, NULL, r, r->connection);
    }
    if (!r->main && r->prev) {
        mds_body_follow(r);
    }
    if (r->prev && !r->main) {
        mds_keep_update(r->prev);
    }
    return DECLINED;
}

int mds_is_our_auth_by_expression(request_rec *r)
{
    const char *type = ap_auth_type(r);

    return type && strcasecmp(type, "Django") == 0;
}

/* ---- is it secure? ---- */

/* As `SetEnvIf X-Forwarded-Proto https HTTPS=on` has it. Clients cannot set variables. */
static int says_https(const request_rec *r)
{
    const char *value = apr_table_get(r->subprocess_env, "HTTPS");

    return value && (strcasecmp(value, "on") == 0 || strcmp(value, "1") == 0);
}

/*
 * mod_remoteip knows the client's address from a proxy, which it trusts: then that proxy's word on
 * the client's protocol counts, too. Of several the first, as for Django's SECURE_PROXY_SSL_HEADER.
 */
static int was_forwarded_from_https(request_rec *r)
{
    const char *protocol = apr_table_get(r->headers_in, "X-Forwarded-Proto");

    return protocol && r->useragent_addr != r->connection->client_addr
           && strcasecmp(ap_get_token(r->pool, &protocol, 0), "https") == 0;
}

int mds_is_secure(request_rec *r)
{
    if (strcmp(ap_http_scheme(r), "https") == 0 || was_forwarded_from_https(r)) {
        return 1;
    }
    /* An internal redirect has the variables of the request before it under other names. */
    for (; r; r = r->prev ? r->prev : r->main) {
        if (says_https(r)) {
            return 1;
        }
    }
    return 0;
}

/* ---- the session ---- */

#define BACKENDS_ROW (&djs_setting_rows()[DJS_SETTING_AUTH_BACKENDS])

/* The same store, keys and cookie: then a session of one is a session of the other. */
static int same_site(const djs_site_t *a, const djs_site_t *b)
{
    return a == b
           || (djs_stores_same(a, b)
               && strcmp(a->settings->cookie_name, b->settings->cookie_name) == 0);
}

/* The streams of an HTTP/2 connection have connections of their own, and share what is remembered. */
int mds_pre_connection(conn_rec *connection, void *socket)
{
    if (!connection->master) {
        ap_set_module_config(connection->conn_config, &django_session_module,
                             djs_memo_make(connection->pool));
    }
    return OK;
}

/* The first request of a connection is the only one of many: for it nothing is remembered. */
static djs_memo_t *memo_of(const conn_rec *connection)
{
    if (!connection->master && connection->keepalives == 0) {
        return NULL;
    }
    connection = connection->master ? connection->master : connection;
    return ap_get_module_config(connection->conn_config, &django_session_module);
}

static mds_session_t *begin(request_rec *r, mds_request_t *request, const djs_site_t *site)
{
    mds_session_t *session = apr_pcalloc(request->ctx.pool, sizeof(*session));

    if (!request->sessions) {
        request->ctx.patience = site->settings->store_timeout;
        request->ctx.memo = request->cookie ? memo_of(r->connection) : NULL;
    }
    session->site = site;
    session->middleware = djs_middleware_begin_with(&request->ctx, site, request->cookie,
                                                    mds_url_key(request, site->settings));
    session->next = request->sessions;
    request->sessions = session;
    return session;
}

/* What comes of an .htaccess file may go with a subrequest; the session stays. */
static const djs_site_t *lasting(apr_pool_t *pool, const mds_view_t *view)
{
    djs_site_t *site;

    if (!view->transient) {
        return view->site;
    }
    site = apr_pmemdup(pool, view->site, sizeof(*site));
    site->settings = djs_settings_copy(pool, view->settings);
    return site;
}

static const djs_site_t *open_site(request_rec *r, mds_view_t *view)
{
    djs_ctx_t ctx = { .pool = r->pool, .now = mds_request(r)->ctx.now };

    if (mds_view_open(&ctx, view) != APR_SUCCESS) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, DJSNO(0110) "%s", ctx.problem);
        return NULL;
    }
    return view->site;
}

const djs_site_t *mds_site(request_rec *r, mds_view_t *view)
{
    const djs_site_t *site = mds_load(&view->site);

    return site ? site : open_site(r, view);
}

mds_session_t *mds_session(request_rec *r, mds_view_t *view)
{
    mds_request_t *request = mds_request(r);
    mds_session_t *session;

    if (!mds_site(r, view)) {
        return NULL;
    }
    for (session = request->sessions; session; session = session->next) {
        if (same_site(session->site, view->site)) {
            return session;
        }
    }
    return begin(r, request, lasting(request->ctx.pool, view));
}

int mds_may_have_session(const mds_request_t *request, const djs_settings_t *settings)
{
    return request->sessions
           || (request->cookie && strstr(request->cookie, settings->cookie_name))
           || mds_url_key(request, settings);
}

apr_status_t mds_session_user(request_rec *r, const mds_view_t *view, mds_session_t *session)
{
    mds_request_t *request = mds_request(r);

    /* Sections of one site may differ in which logins count. */
    if (!session->asked || !djs_settings_equal(session->asked, view->settings, BACKENDS_ROW)) {
        session->asked = view->transient ? djs_settings_copy(request->ctx.pool, view->settings)
                                         : view->settings;
        session->outcome = djs_auth_user(&request->ctx, view->site,
                                         session->middleware->session, &session->user,
                                         &session->reason);
    }
    return session->outcome;
}

const char *mds_session_digest(request_rec *r, const mds_session_t *session)
{
    const char *key = djs_session_key(session->middleware->session);

    return key ? djs_secret_digest(r->pool, session->site->keys, key) : "-";
}

void mds_store_failed(request_rec *r, mds_session_t *session)
{
    djs_ctx_t *ctx = &mds_request(r)->ctx;

    session->reason = DJS_REASON_STORE_ERROR;
    if (mds_may_log(MDS_MSG_0111, ctx->now)) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      DJSNO(0111) MDS_SESSION_MSG("not to be read: %s"),
                      mds_session_digest(r, session), ctx->problem ? ctx->problem : "unknown");
    }
    djs_forget(ctx);
}

int mds_unavailable(request_rec *r)
{
    apr_table_setn(r->err_headers_out, "Retry-After", "5");
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    mds_narrow(r, MDS_FOR_ONE);
    return HTTP_SERVICE_UNAVAILABLE;
}
