/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The output filter: at the first bytes of a client's answer the application's update headers are
 * taken out and applied, the session is saved, and the cookie is put in; then it is gone.
 *
 * It runs after the filters that make content and before those that keep or send it
 * (mod_cache, of which mds_cache.c has more; the protocol), on the answer that the client gets: a
 * subrequest has none, of a chain of internal redirects it is the last one's, and an error document is
 * an answer as any other.
 *
 * When the save decides that the answer must be another (400, 500, 503), an error bucket tells
 * httpd to make that one, and whatever the application still sends is dropped.
 */
#include "mds.h"

#include <apr_buckets.h>
#include <apr_strings.h>
#include <util_filter.h>

static ap_filter_rec_t *filter;

#define HEADERS "Django-Session-" /* all of ours begin so */

/* The filter that only drops has this as its context. */
static const char dropping[] = "dropping";

/* ---- the application's headers ---- */

/* NULL: there were none. */
typedef struct taken_t {
    apr_array_header_t *pairs;   /* values of Django-Session-Set, const char * */
    apr_array_header_t *objects; /* of Django-Session-Update */
} taken_t;

/* Is there a header of ours? */
static int has_ours(const apr_table_t *table)
{
    const apr_array_header_t *all = apr_table_elts(table);
    int i;

    for (i = 0; i < all->nelts; i++) {
        const char *name = APR_ARRAY_IDX(all, i, apr_table_entry_t).key;

        /* Letters alone differ by this bit. */
        if ((name[0] | 0x20) == 'd' && strncasecmp(name, HEADERS, strlen(HEADERS)) == 0) {
            return 1;
        }
    }
    return 0;
}

static int answer_sets_cookies(const request_rec *r)
{
    return apr_table_get(r->headers_out, "Set-Cookie")
           || apr_table_get(r->err_headers_out, "Set-Cookie");
}

static int collect(void *values, const char *name, const char *value)
{
    (void)name;
    APR_ARRAY_PUSH((apr_array_header_t *)values, const char *) = value;
    return 1;
}

static apr_array_header_t *take(request_rec *r, const char *name)
{
    apr_array_header_t *values = apr_array_make(r->pool, 0, sizeof(const char *));

    apr_table_do(collect, values, r->headers_out, name, NULL);
    apr_table_do(collect, values, r->err_headers_out, name, NULL);
    if (values->nelts > 0) {
        apr_table_unset(r->headers_out, name);
        apr_table_unset(r->err_headers_out, name);
    }
    return values;
}

static taken_t take_update(request_rec *r)
{
    taken_t taken = { NULL, NULL };

    if (has_ours(r->headers_out) || has_ours(r->err_headers_out)) {
        taken.pairs = take(r, MDS_SET_HEADER);
        taken.objects = take(r, MDS_UPDATE_HEADER);
    }
    return taken;
}

static int is_empty(const taken_t *taken)
{
    return !taken->pairs || (taken->pairs->nelts == 0 && taken->objects->nelts == 0);
}

typedef struct search_t {
    const char *name;
    const char *line; /* found; NULL: not yet */
} search_t;

static int is_other_cookie(void *search_, const char *header, const char *value)
{
    search_t *search = search_;

    (void)header;
    if (djs_cookie_line_is(value, search->name)) {
        search->line = value;
    }
    return !search->line; /* 0 ends the search */
}

/* The line with which the application sets this cookie. */
static const char *line_of_app(request_rec *r, const char *name)
{
    search_t search = { .name = name };

    if (answer_sets_cookies(r)
        && apr_table_do(is_other_cookie, &search, r->headers_out, "Set-Cookie", NULL)) {
        apr_table_do(is_other_cookie, &search, r->err_headers_out, "Set-Cookie", NULL);
    }
    return search.line;
}

/* If it is one of ours, the application sets it itself: it is Django, or wants to be. */
int mds_sets_cookie(request_rec *r, const char *name)
{
    return line_of_app(r, name) != NULL;
}

static apr_status_t parse(djs_ctx_t *ctx, const taken_t *taken, djs_update_t *update)
{
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; rv == APR_SUCCESS && i < taken->pairs->nelts; i++) {
        rv = djs_update_parse_pairs(ctx, update,
                                    djs_bytes(APR_ARRAY_IDX(taken->pairs, i, const char *)));
    }
    for (i = 0; rv == APR_SUCCESS && i < taken->objects->nelts; i++) {
        rv = djs_update_parse_json(ctx, update,
                                   djs_bytes(APR_ARRAY_IDX(taken->objects, i, const char *)));
    }
    return rv;
}

/* ---- the answer's headers ---- */

void mds_add_cookie(mds_request_t *request, const char *line)
{
    if (!request->cookies) {
        request->cookies = apr_array_make(request->ctx.pool, 1, sizeof(const char *));
    }
    APR_ARRAY_PUSH(request->cookies, const char *) = line;
}

static int is_line(void *line, const char *header, const char *value)
{
    (void)header;
    return strcmp(line, value) != 0; /* 0 ends the search */
}

static int has_cookie(request_rec *r, const char *line)
{
    if (!answer_sets_cookies(r)) { /* as nearly always */
        return 0;
    }
    return !apr_table_do(is_line, (void *)line, r->err_headers_out, "Set-Cookie", NULL)
           || !apr_table_do(is_line, (void *)line, r->headers_out, "Set-Cookie", NULL);
}

/*
 * Of one request there may be several answers: mod_cache asks again for the whole page when it may
 * not keep that nothing changed, an error may come late. Of the first one's headers httpd keeps some.
 */
static void put_headers(request_rec *r, const mds_request_t *request)
{
    int i;

    if (request->status == HTTP_SERVICE_UNAVAILABLE) {
        (void)mds_unavailable(r);
    }
    if (mds_has_param(r)) { /* the address of the page, and of its error document, holds the key */
        mds_narrow(r, MDS_FOR_ONE);
        apr_table_unset(r->headers_out, "Referrer-Policy");
        apr_table_setn(r->err_headers_out, "Referrer-Policy", "no-referrer");
    }
    mds_protect_answer(r);
    for (i = 0; request->cookies && i < request->cookies->nelts; i++) {
        const char *line = APR_ARRAY_IDX(request->cookies, i, const char *);

        if (!has_cookie(r, line)) {
            apr_table_addn(r->err_headers_out, "Set-Cookie", line);
        }
    }
}

/* ---- saving ---- */

static void log_failure(request_rec *r, const mds_session_t *session, apr_status_t rv,
                        const char *problem)
{
    const char *digest = mds_session_digest(r, session);

    if (rv == DJS_EINTERRUPTED) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                      DJSNO(0133) MDS_SESSION_MSG("deleted while the request was answered"),
                      digest);
    }
    else if (rv == DJS_EINVAL) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      DJSNO(0131) MDS_SESSION_MSG("the update of %s was refused: %s"), digest,
                      r->uri, problem);
    }
    else if (rv == DJS_ELIMIT && (session->site->engine->ops->flags & DJS_ENGINE_STATELESS)) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, DJSNO(0136) MDS_SESSION_MSG("%s, for %s"),
                      digest, problem, r->uri);
    }
    else if (mds_may_log(MDS_MSG_0132, r->request_time)) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      DJSNO(0132) MDS_SESSION_MSG("not to be saved: %s"), digest, problem);
    }
}

static void note_login(request_rec *r, djs_ctx_t *ctx, const mds_session_t *session,
                       const djs_update_t *update)
{
    const djs_user_t *user = djs_update_user(update);
    djs_users_t *users = session->site->users;

    if (user && users && users->ops->set_last_login(users, ctx, user->id) != APR_SUCCESS) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      DJSNO(0134) MDS_SESSION_MSG("user %s logged in, last_login not saved: %s"),
                      mds_session_digest(r, session), user->username, ctx->problem);
        djs_forget(ctx);
    }
}

/*
 * What the application may ask for, and has said well, behind what was asked for before: by modules,
 * and by programs that had another address answer. NULL: nothing; the answer may be 500.
 */
static djs_update_t *allowed_update(request_rec *r, const djs_settings_t *settings,
                                    const mds_session_t *session, const taken_t *taken,
                                    int *status)
{
    djs_ctx_t *ctx = &mds_request(r)->ctx;
    djs_update_t *update;
    apr_status_t rv;

    if (is_empty(taken) || r->status >= HTTP_INTERNAL_SERVER_ERROR) {
        return session->update;
    }
    update = djs_update_make(ctx); /* its rights are its own */
    rv = parse(ctx, taken, update);
    if (rv == APR_SUCCESS && session->update) {
        rv = parse(ctx, taken, session->update);
    }
    if (rv != APR_SUCCESS) {
        log_failure(r, session, DJS_EINVAL, ctx->problem);
        djs_forget(ctx);
        *status = HTTP_INTERNAL_SERVER_ERROR;
        return NULL;
    }
    if (djs_update_has_login(update) && settings->update != DJS_UPDATE_LOGIN) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      DJSNO(0135) MDS_SESSION_MSG("the update of %s has a login or logout, which "
                                                  "needs DjangoSessionUpdate Login"),
                      mds_session_digest(r, session), r->uri);
        *status = HTTP_INTERNAL_SERVER_ERROR;
        return NULL;
    }
    return session->update ? session->update : update;
}

/* One session's part in the answer. */
static void finish_session(request_rec *r, mds_request_t *request, mds_session_t *session,
                           djs_update_t *update)
{
    djs_ctx_t *ctx = &request->ctx;
    const djs_settings_t *settings = session->site->settings;
    int status = request->status ? request->status : r->status;
    int app_cookie = mds_sets_cookie(r, settings->cookie_name);
    int secure = djs_middleware_may_write(session->middleware, update) && mds_is_secure(r);
    djs_answer_t answer = { .status = 0 };
    apr_status_t rv;

    rv = djs_middleware_finish(ctx, session->middleware, status, secure, update, app_cookie,
                               &answer);
    if (rv != APR_SUCCESS) {
        log_failure(r, session, rv, ctx->problem);
        djs_forget(ctx);
    }
    else if (update) {
        note_login(r, ctx, session, update);
    }
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r,
                  DJSNO(0140) MDS_SESSION_MSG("%s %s, %ssaved, %s cookie"),
                  mds_session_digest(r, session),
                  djs_session_status_name(djs_session_status(session->middleware->session)),
                  djs_reason_name(djs_session_reason(session->middleware->session)),
                  answer.saved ? "" : "not ", answer.set_cookie ? "with a" : "without a");
    if (answer.status) {
        request->status = answer.status;
    }
    if (answer.vary) {
        mds_note_look(r, session);
    }
    if (app_cookie) {
        mds_narrow(r, MDS_FOR_ONE);
    }
    if (answer.set_cookie) {
        mds_add_cookie(request, answer.set_cookie);
    }
}

static void warn_of_update(request_rec *r)
{
    if (mds_may_log(MDS_MSG_0130, r->request_time)) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      DJSNO(0130) "%s sent a session update, which DjangoSessionUpdate does not "
                                  "allow there",
                      r->uri);
    }
}

/* What the application's headers ask for, by the say of its own section. */
static void accept_update(request_rec *r, mds_request_t *request, const taken_t *taken)
{
    mds_view_t *view = mds_view(r);
    int on = view->on || mds_is_our_auth(r);
    mds_session_t *mine = NULL;

    if (on && (!is_empty(taken) || mds_may_have_session(request, view->settings))) {
        mine = mds_session(r, view);
    }
    if (mine && view->settings->update != DJS_UPDATE_OFF) {
        mine->update = allowed_update(r, view->settings, mine, taken, &request->status);
    }
    else if (!is_empty(taken)) {
        warn_of_update(r);
    }
    if (mine && mine->update && djs_update_has_login(mine->update)
        && view->settings->csrf == DJS_CSRF_MODE_ON
        && mds_csrf_rotate(r, view) != APR_SUCCESS) {
        request->status = HTTP_SERVICE_UNAVAILABLE;
    }
}

/*
 * With a CGI program's local Location go its other headers. Here they are still the program's; what
 * answers in the end may be of a section that has other rights. What an error document replaces is no
 * answer, and asks for nothing.
 */
void mds_keep_update(request_rec *r)
{
    mds_request_t *request = mds_request(r);
    taken_t taken = take_update(r);

    if (!request->finished && !is_empty(&taken) && ap_is_HTTP_SUCCESS(r->status)) {
        accept_update(r, request, &taken);
    }
}

/* Nothing has come, was made, or is asked for: most requests are such. */
static int has_nothing(const mds_request_t *request, const taken_t *taken)
{
    return !request->cookie && !request->sessions && !request->url_key && !request->csrf
           && !request->blind && is_empty(taken);
}

/*
 * Finish every session that the request met. What the answer must be and carry is kept in the
 * request: an answer that httpd makes in place of this one begins with empty tables of headers.
 */
static void finish(request_rec *r, mds_request_t *request)
{
    taken_t taken = take_update(r);
    mds_session_t *session;

    request->vary |= request->told_nobody;
    if (has_nothing(request, &taken)) {
        return;
    }
    /*
     * What was valid when it was read stays so, however long the application took; but the new
     * end of a session counts from its saving, as Django's.
     */
    request->ctx.now = apr_time_now();
    accept_update(r, request, &taken);
    mds_csrf_finish(r, request);
    for (session = request->sessions; session; session = session->next) {
        finish_session(r, request, session, session->update);
    }
    if (request->cookies) {
        mds_narrow(r, MDS_FOR_ONE);
    }
    if (request->blind && (r->status == HTTP_UNAUTHORIZED || r->status == HTTP_FORBIDDEN)) {
        request->status = HTTP_SERVICE_UNAVAILABLE; /* the store may have said otherwise */
    }
}

/* ---- the filter ---- */

static apr_status_t drop(request_rec *r, apr_bucket_brigade *brigade)
{
    (void)r;
    apr_brigade_cleanup(brigade);
    return AP_FILTER_ERROR;
}

/* Have httpd answer with @a status, and drop what the application has sent and will send. */
static apr_status_t answer_instead(ap_filter_t *f, apr_bucket_brigade *brigade, int status)
{
    request_rec *r = f->r;
    apr_bucket_alloc_t *alloc = r->connection->bucket_alloc;
    apr_status_t rv;

    apr_brigade_cleanup(brigade);
    APR_BRIGADE_INSERT_TAIL(brigade, ap_bucket_error_create(status, NULL, r->pool, alloc));
    APR_BRIGADE_INSERT_TAIL(brigade, apr_bucket_eos_create(alloc));
    r->no_cache = 1;
    /* Else httpd would take it for an error on the way to an error document. */
    r->status = HTTP_OK;
    r->status_line = NULL;
    /* Past the filters of content: there is no content. */
    rv = ap_pass_brigade(r->proto_output_filters, brigade);
    ap_add_output_filter_handle(filter, (void *)dropping, r, r->connection);
    return rv;
}

static int has_error_bucket(const apr_bucket_brigade *brigade)
{
    apr_bucket *bucket;

    for (bucket = APR_BRIGADE_FIRST(brigade); bucket != APR_BRIGADE_SENTINEL(brigade);
         bucket = APR_BUCKET_NEXT(bucket)) {
        if (AP_BUCKET_IS_ERROR(bucket)) {
            return 1;
        }
    }
    return 0;
}

/* All of the answer is here; a program's output has a length that nobody knows yet. */
static int is_whole(const apr_bucket_brigade *brigade)
{
    apr_bucket *bucket;

    for (bucket = APR_BRIGADE_FIRST(brigade);
         bucket != APR_BRIGADE_SENTINEL(brigade) && bucket->length != (apr_size_t)-1;
         bucket = APR_BUCKET_NEXT(bucket)) {
        if (APR_BUCKET_IS_EOS(bucket)) {
            return 1;
        }
    }
    return 0;
}

/* More of the answer is to come, nobody knows for how long. */
static void watch(request_rec *r)
{
    const djs_settings_t *settings = mds_view(r)->settings;
    const char *line;
    const apr_array_header_t *keys;

    if (settings->stream_check == 0) {
        return;
    }
    line = line_of_app(r, settings->cookie_name);
    if (!line) {
        mds_stream_begin(r, NULL);
        return;
    }
    keys = djs_cookie_find(&mds_request(r)->ctx,
                           apr_pstrmemdup(r->pool, line, strcspn(line, ";")),
                           settings->cookie_name);
    if (keys->nelts > 0) {
        mds_stream_begin(r, APR_ARRAY_IDX(keys, 0, const char *));
    }
}

int mds_finish_upgrade(request_rec *r, apr_table_t *headers, apr_array_header_t *cookies)
{
    mds_request_t *request = mds_request(r);
    apr_table_t *headers_out = r->headers_out;
    int status = r->status;

    if (request->finished) {
        return 0;
    }
    request->finished = 1;
    r->headers_out = headers;
    r->status = HTTP_SWITCHING_PROTOCOLS;
    finish(r, request);
    r->headers_out = headers_out;
    r->status = status;
    if (request->cookies) {
        apr_array_cat(cookies, request->cookies);
        request->cookies = NULL;
    }
    return request->status;
}

static apr_status_t save_and_pass(ap_filter_t *f, apr_bucket_brigade *brigade)
{
    request_rec *r = f->r;
    mds_request_t *request;

    if (f->ctx == dropping) {
        return drop(r, brigade);
    }
    /* An answer that is about to be replaced by another is not the one. */
    if (has_error_bucket(brigade)) {
        return ap_pass_brigade(f->next, brigade);
    }
    request = mds_request(r);
    if (request->finished) {
        (void)take_update(r);
    }
    else {
        request->finished = 1;
        finish(r, request);
        if (request->status) {
            return answer_instead(f, brigade, request->status);
        }
    }
    put_headers(r, request);
    if (!is_whole(brigade)) {
        watch(r);
    }
    if (request->refusal_type && r->status == HTTP_UNAUTHORIZED) {
        ap_set_content_type(r, request->refusal_type);
    }
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, brigade);
}

void mds_filter_register(void)
{
    filter = ap_register_output_filter("DJANGO_SESSION", save_and_pass, NULL, AP_FTYPE_CONTENT_SET);
}

void mds_insert_filter(request_rec *r)
{
    if (!r->main) {
        ap_add_output_filter_handle(filter, NULL, r, r->connection);
        mds_upgrade_insert(r);
    }
}

void mds_insert_filters(request_rec *r)
{
    mds_inject_insert(r);
    mds_insert_filter(r);
}
