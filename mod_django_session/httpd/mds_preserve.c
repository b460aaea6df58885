/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DjangoPreservePost: a form that is sent when the login has expired is not lost.
 *
 *     POST /order   by nobody: the form is kept (core/preserve.h), the browser goes to the login page
 *     GET  /order?django_post=ID   after the login: a page of ours tells what was kept, and asks
 *     POST /order   with that page's form: becomes the first request, body and all
 *
 * Only a form of a page of this site is kept, so that no other site can have a visitor asked to send
 * what it made up. What comes from the page that asks is judged as any form of ours, by token; the
 * form that it stands for was made before the login, which made older tokens void, so it gets the new
 * one. No value of a form is shown or logged.
 *
 * Without the directive, and for what cannot be kept, the answer says that nothing was sent.
 */
#include "mds_page.h"

#include <apr_strings.h>
#include <mod_core.h>

#include "cookie.h"
#include "form.h"
#include "preserve.h"

#define HANDLER "django-preserve"
/* The parameter and the field that say which form. */
#define PARAM "django_post"
/* Of the page's form: it is to be thrown away. */
#define DISCARD "discard"
/* Longer bodies are not the page's. */
#define ANSWER_MAX 1024

/* Longer addresses are none that a login page leads to, with the parameter. */
#define ADDRESS_MAX (DJS_URL_NEXT_MAX - DJS_PRESERVE_ID_LEN - sizeof("&" PARAM "="))

/* Names of fields that are shown, and bytes of one. */
#define NAMES_MAX 30
#define SHOWN_MAX 60

/* That the browser comes to the login page because a form was not taken; it lives for the way there. */
#define LOST_COOKIE "django_form_lost"
#define LOST_AGE apr_time_from_sec(60)

#define LOST_MESSAGE                                                                               \
    "Your login had expired, and the form was not sent. Please log in, and fill it in again."
#define GONE_MESSAGE                                                                               \
    "This form is not kept any more: it was sent or thrown away, it took too long, or it is of "   \
    "another browser or user. Nothing was sent now."
#define AGAIN_MESSAGE "This page had expired. Nothing was sent; please try again."

/* A page that is to be answered instead of what the address stands for. */
struct mds_preserve_t {
    request_rec *r; /* and not, say, what an ErrorDocument makes of it */
    int status;
    mds_page_t page;
};

/* ---- the browser's cookie ---- */

/* Over TLS of a name that no other host can set it under. */
static const char *cookie_name(request_rec *r)
{
    return mds_is_secure(r) ? "__Host-" PARAM : PARAM;
}

static const char *find_cookie(request_rec *r)
{
    mds_request_t *request = mds_request(r);
    const apr_array_header_t *values = djs_cookie_find(&request->ctx, request->cookie,
                                                       cookie_name(r));
    int i;

    for (i = 0; i < values->nelts; i++) {
        if (djs_preserve_is_id(APR_ARRAY_IDX(values, i, const char *))) {
            return APR_ARRAY_IDX(values, i, const char *);
        }
    }
    return NULL;
}

static void give_cookie(request_rec *r, const char *value)
{
    djs_cookie_look_t look = { .name = cookie_name(r), .path = "/", .samesite = DJS_SAMESITE_LAX,
                               .httponly = 1, .secure = mds_is_secure(r) };
    djs_cookie_life_t life = { .age = DJS_PRESERVE_AGE };

    apr_table_addn(r->err_headers_out, "Set-Cookie",
                   djs_cookie_line(&mds_request(r)->ctx, &look, value, life));
}

/* ---- addresses ---- */

/* Of the virtual host, as browsers know it. */
static const char *origin_of(request_rec *r)
{
    const char *host = apr_table_get(r->headers_in, "Host");

    return apr_pstrcat(r->pool, mds_is_secure(r) ? "https://" : "http://", host ? host : "", NULL);
}

/* The page with the form, if it is of this site: its path and query. */
static const char *page_before(request_rec *r)
{
    const char *referer = apr_table_get(r->headers_in, "Referer");
    const char *host = apr_table_get(r->headers_in, "Host");
    const char *path;

    if (!referer || !host
        || !djs_url_is_safe_next(&mds_request(r)->ctx, referer, host, mds_is_secure(r))) {
        return NULL;
    }
    path = strstr(referer, "://");
    path = path ? path + 3 + strcspn(path + 3, "/?#") : referer;
    return path[0] == '/' && path[1] != '/' && path[1] != '\\' ? path : NULL;
}

const char *mds_preserve_back(request_rec *r)
{
    const char *back = page_before(r);

    return back ? back : mds_asked_for(r);
}

/*
 * What was asked for, whatever it was rewritten to, without our parameter and without an empty query;
 * as it is when the browser comes back from the login page, whose redirect has encoded what cannot
 * stand there.
 * @param id  set to what our parameter holds
 */
static const char *split_address(request_rec *r, const char **id)
{
    const char *asked = djs_url_location(&mds_request(r)->ctx, mds_asked_for(r));
    const char *query = strchr(asked, '?');
    const char *rest;

    if (!query) {
        return asked;
    }
    rest = djs_url_take_param(&mds_request(r)->ctx, query + 1, PARAM, NULL, id);
    return apr_pstrcat(r->pool, apr_pstrmemdup(r->pool, asked, (apr_size_t)(query - asked)),
                       *rest ? "?" : "", rest, NULL);
}

static const char *address_of(request_rec *r)
{
    return split_address(r, NULL);
}

static const char *with_id(request_rec *r, const char *id)
{
    const char *address = address_of(r);

    return apr_pstrcat(r->pool, address, strchr(address, '?') ? "&" : "?", PARAM "=", id, NULL);
}

/* ---- keeping ---- */

static const char *not_kept(request_rec *r, const char *why)
{
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, DJSNO(0231) "a form for %s was not kept: %s", r->uri,
                  why);
    return NULL;
}

/* Why it need not be read; NULL: it is to be. */
static const char *reason_not_to(request_rec *r, mds_view_t *view)
{
    const char *length = apr_table_get(r->headers_in, "Content-Length");

    if (r->main || r->prev) {
        return "it came here by an internal redirect";
    }
    if (strlen(address_of(r)) > ADDRESS_MAX) {
        return "its address is too long to lead back";
    }
    if (apr_table_get(r->headers_in, "Content-Encoding")) {
        return "its body is encoded";
    }
    if (length && apr_strtoi64(length, NULL, 10) > DJS_PRESERVE_MAX) {
        return "it is too long";
    }
    return mds_csrf_is_own(r, view) ? NULL : "it is not known to come from a page of this site";
}

/* The form of the page that asks, sent when the login has expired again: what it is for is kept. */
static const char *kept_already(request_rec *r, djs_bytes_t body)
{
    const char *type = apr_table_get(r->headers_in, "Content-Type");
    const char *id = NULL;

    if (body.len <= ANSWER_MAX) {
        id = djs_form_find(&mds_request(r)->ctx, type, body, 1, PARAM);
    }
    return djs_preserve_is_id(id) ? id : NULL;
}

static const char *keep(request_rec *r, mds_session_t *session, djs_bytes_t body)
{
    djs_ctx_t *ctx = &mds_request(r)->ctx;
    const char *back = page_before(r);
    djs_preserved_t form = {
        .origin = origin_of(r), .address = address_of(r), .back = back ? back : "",
        .user_id = session->user ? session->user->id : "",
        .type = apr_table_get(r->headers_in, "Content-Type"), .body = body
    };
    const char *browser = find_cookie(r), *id = NULL;
    apr_status_t rv = browser ? APR_SUCCESS : djs_preserve_id(ctx, &browser);

    if (rv == APR_SUCCESS) {
        rv = djs_preserve_keep(ctx, session->site, &form, browser, &id);
    }
    if (rv == DJS_ESTORE) {
        mds_store_failed(r, session);
    }
    if (rv != APR_SUCCESS) {
        const char *why = ctx->problem ? ctx->problem : djs_status_name(rv);

        djs_forget(ctx);
        return not_kept(r, why);
    }
    give_cookie(r, browser);
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                  DJSNO(0230) "a form for %s is kept until there is a login", r->uri);
    return with_id(r, id);
}

const char *mds_preserve_keep(request_rec *r, mds_view_t *view, mds_session_t *session)
{
    const char *why, *id;
    djs_bytes_t body;
    int whole;

    if (!view->settings->preserve_post
        || view->settings->unauthenticated == DJS_UNAUTHENTICATED_401
        || session->site->engine->ops->flags & DJS_ENGINE_STATELESS) {
        return NULL;
    }
    why = reason_not_to(r, view);
    if (why) {
        return not_kept(r, why);
    }
    if (mds_body_peek(r, &body, &whole) != OK) {
        return not_kept(r, "it did not come whole");
    }
    if (!whole || body.len > DJS_PRESERVE_MAX) {
        return not_kept(r, "it is too long");
    }
    id = kept_already(r, body);
    if (id) {
        return with_id(r, id);
    }
    return mds_password_may_keep(r, session->site, body.len) ? keep(r, session, body)
                                                             : not_kept(r, "too many came lately");
}

/* ---- what is not kept ---- */

/* For the login page, if it is ours: @a value NULL: it has said so. */
static void set_lost_cookie(request_rec *r, const char *value)
{
    djs_cookie_look_t look = { .name = LOST_COOKIE, .path = "/", .samesite = DJS_SAMESITE_LAX,
                               .httponly = 1, .secure = mds_is_secure(r) };
    djs_cookie_life_t life = { .age = value ? LOST_AGE : 0 };

    apr_table_addn(r->err_headers_out, "Set-Cookie",
                   djs_cookie_line(&mds_request(r)->ctx, &look, value ? value : "", life));
}

void mds_preserve_note_lost(request_rec *r)
{
    set_lost_cookie(r, "1");
}

const char *mds_preserve_lost_message(request_rec *r)
{
    mds_request_t *request = mds_request(r);

    if (djs_cookie_find(&request->ctx, request->cookie, LOST_COOKIE)->nelts == 0) {
        return NULL;
    }
    set_lost_cookie(r, NULL);
    return LOST_MESSAGE;
}

void mds_preserve_tell_lost(request_rec *r, mds_view_t *view, const char *login)
{
    mds_page_t page = { .texts = { [MDS_PAGE_TITLE] = "Not sent", [MDS_PAGE_LOST] = "1",
                                   [MDS_PAGE_MESSAGE] = LOST_MESSAGE, [MDS_PAGE_LINK] = login } };
    const char *text;

    /* An administrator's own page says what he wants. */
    if (ap_response_code_string(r, ap_index_of_response(HTTP_UNAUTHORIZED))) {
        return;
    }
    text = mds_page_text(r, view, &page);
    if (text) {
        ap_custom_response(r, HTTP_UNAUTHORIZED, text);
        mds_request(r)->refusal_type = "text/html; charset=utf-8";
    }
}

/* ---- the page that asks ---- */

typedef struct names_t {
    apr_pool_t *pool;
    apr_array_header_t *names; /* of const char * */
    int more;
} names_t;

/* As text in a line. */
static const char *readable(apr_pool_t *pool, djs_bytes_t name)
{
    apr_size_t len = name.len < SHOWN_MAX ? name.len : SHOWN_MAX;
    char *text = apr_pstrmemdup(pool, name.data, len);
    apr_size_t i;

    /* Not in the middle of a character. */
    while (len < name.len && len > 0 && ((unsigned char)name.data[len] & 0xc0) == 0x80) {
        text[--len] = '\0';
    }
    for (i = 0; i < len; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) {
            text[i] = ' ';
        }
    }
    return len < name.len ? apr_pstrcat(pool, text, "\xe2\x80\xa6", NULL) : text;
}

static void note_name(void *baton, djs_bytes_t name, djs_bytes_t value, int file)
{
    names_t *names = baton;
    const char *text;
    int i;

    (void)value;
    (void)file;
    if (name.len == 0 || djs_bytes_is(name, DJS_CSRF_FIELD)) {
        return;
    }
    text = readable(names->pool, name);
    for (i = 0; i < names->names->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(names->names, i, const char *), text) == 0) {
            return;
        }
    }
    if (names->names->nelts == NAMES_MAX) {
        names->more = 1;
        return;
    }
    APR_ARRAY_PUSH(names->names, const char *) = text;
}

static const char *names_of(djs_ctx_t *ctx, const djs_preserved_t *form)
{
    names_t names = { .pool = ctx->pool };
    const char *text = "";
    int i;

    names.names = apr_array_make(ctx->pool, 8, sizeof(const char *));
    (void)djs_form_each(ctx, form->type, form->body, note_name, &names);
    for (i = 0; i < names.names->nelts; i++) {
        text = apr_pstrcat(ctx->pool, text, i > 0 ? ", " : "",
                           APR_ARRAY_IDX(names.names, i, const char *), NULL);
    }
    return names.more ? apr_pstrcat(ctx->pool, text, ", \xe2\x80\xa6", NULL) : text;
}

/* From now on this is what the request is answered with. */
static mds_preserve_t *answer_with(request_rec *r, int status, const char *title)
{
    mds_preserve_t *answer = apr_pcalloc(mds_request(r)->ctx.pool, sizeof(*answer));

    answer->r = r;
    answer->status = status;
    answer->page.texts[MDS_PAGE_TITLE] = title;
    mds_request(r)->preserve = answer;
    r->handler = HANDLER;
    mds_narrow(r, MDS_FOR_ONE);
    return answer;
}

/* DECLINED: the handler answers. */
static int say_gone(request_rec *r, const char *why)
{
    mds_preserve_t *answer = answer_with(r, HTTP_GONE, "Not sent");

    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, DJSNO(0233) "no kept form for %s: %s", r->uri, why);
    answer->page.texts[MDS_PAGE_GONE] = "1";
    answer->page.texts[MDS_PAGE_MESSAGE] = GONE_MESSAGE;
    answer->page.texts[MDS_PAGE_LINK] = address_of(r);
    return DECLINED;
}

static int ask(request_rec *r, mds_view_t *view, const mds_session_t *session, const char *id,
               const djs_preserved_t *form, const char *message)
{
    mds_preserve_t *answer = answer_with(r, message ? HTTP_FORBIDDEN : HTTP_OK, "Send the form?");
    const char **texts = answer->page.texts;
    apr_status_t rv = mds_csrf_token(r, view, &texts[MDS_PAGE_CSRF_TOKEN]);

    if (rv != APR_SUCCESS) {
        return rv == DJS_ESTORE ? mds_unavailable(r) : HTTP_INTERNAL_SERVER_ERROR;
    }
    texts[MDS_PAGE_KEPT] = id;
    texts[MDS_PAGE_MESSAGE] = message;
    texts[MDS_PAGE_ADDRESS] = form->address;
    texts[MDS_PAGE_FIELDS] = names_of(&mds_request(r)->ctx, form);
    texts[MDS_PAGE_USERNAME] = session->user->username;
    return DECLINED;
}

/* Why it is not to be sent with this request; NULL: it may be. */
static const char *not_for_this(request_rec *r, const mds_session_t *session,
                                const djs_preserved_t *form)
{
    if (strcmp(form->origin, origin_of(r)) != 0) {
        return "it is for another host";
    }
    if (strcmp(form->address, address_of(r)) != 0) {
        return "it is for another address";
    }
    return *form->user_id && strcmp(form->user_id, session->user->id) != 0 ? "it is another user's"
                                                                          : NULL;
}

/* APR_NOTFOUND: not for this request; the reason was logged with the answer, which is in *answer. */
static apr_status_t find(request_rec *r, mds_session_t *session, const char *id,
                         djs_preserved_t *form, int *answer)
{
    djs_ctx_t *ctx = &mds_request(r)->ctx;
    const char *browser = find_cookie(r);
    apr_status_t rv = djs_preserve_find(ctx, session->site, id, browser ? browser : "", form);
    const char *why = ctx->problem;

    if (rv == APR_SUCCESS) {
        why = not_for_this(r, session, form);
        rv = why ? APR_NOTFOUND : APR_SUCCESS;
    }
    if (rv == DJS_ESTORE) {
        mds_store_failed(r, session);
        *answer = mds_unavailable(r);
        return rv;
    }
    djs_forget(ctx);
    if (rv != APR_SUCCESS) {
        *answer = say_gone(r, why ? why : "there is none");
        return APR_NOTFOUND;
    }
    return APR_SUCCESS;
}

static int show(request_rec *r, mds_view_t *view, mds_session_t *session, const char *id)
{
    djs_preserved_t form;
    int answer = DECLINED;

    if (find(r, session, id, &form, &answer) != APR_SUCCESS) {
        return answer;
    }
    return ask(r, view, session, id, &form, NULL);
}

/* ---- sending it ---- */

static int go_back(request_rec *r, const djs_preserved_t *form)
{
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, DJSNO(0234) "a kept form for %s was thrown away",
                  r->uri);
    mds_page_never_cache(r);
    apr_table_setn(r->headers_out, "Location",
                   djs_url_location(&mds_request(r)->ctx, *form->back ? form->back : form->address));
    return HTTP_SEE_OTHER;
}

/* The request becomes the one that was kept. */
static int resend(request_rec *r, const djs_preserved_t *form, const char *token)
{
    djs_ctx_t *ctx = &mds_request(r)->ctx;
    djs_bytes_t body = djs_form_exchange(ctx, form->type, form->body, DJS_CSRF_FIELD, token);

    mds_body_replace(r, body);
    apr_table_set(r->headers_in, "Content-Type", form->type);
    apr_table_set(r->headers_in, "Content-Length",
                  apr_psprintf(ctx->pool, "%" APR_SIZE_T_FMT, body.len));
    apr_table_unset(r->headers_in, "Content-Encoding");
    apr_table_unset(r->headers_in, "Transfer-Encoding");
    apr_table_unset(r->headers_in, "Expect");
    mds_request(r)->csrf_passed = DJS_CSRF_MODE_ON; /* the page's token was judged */
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, DJSNO(0232) "user %s sends a form that was kept for %s",
                  r->user, r->uri);
    return DECLINED;
}

/* OK: this request is the one that takes it. */
static int claim(request_rec *r, mds_session_t *session, const djs_preserved_t *form)
{
    djs_ctx_t *ctx = &mds_request(r)->ctx;
    apr_status_t rv = djs_preserve_claim(ctx, form);

    if (rv == DJS_ESTORE) {
        mds_store_failed(r, session);
        return mds_unavailable(r);
    }
    djs_forget(ctx);
    return rv == APR_SUCCESS ? OK : say_gone(r, "another was faster");
}

static int confirm(request_rec *r, mds_view_t *view, mds_session_t *session,
                   djs_bytes_t body, const char *id)
{
    djs_ctx_t *ctx = &mds_request(r)->ctx;
    const char *type = apr_table_get(r->headers_in, "Content-Type");
    const char *token = djs_form_find(ctx, type, body, 1, DJS_CSRF_FIELD);
    int discard = djs_form_find(ctx, type, body, 1, DISCARD) != NULL;
    djs_preserved_t form;
    int answer = DECLINED;

    if (find(r, session, id, &form, &answer) != APR_SUCCESS) {
        return answer;
    }
    if (!mds_csrf_accepts(r, view, token)) {
        return ask(r, view, session, id, &form, AGAIN_MESSAGE);
    }
    /* All that can fail goes before what cannot be undone. */
    if (mds_csrf_token(r, view, &token) != APR_SUCCESS) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    answer = claim(r, session, &form);
    if (answer != OK) {
        return answer;
    }
    return discard ? go_back(r, &form) : resend(r, &form, token);
}

/* ---- hooks ---- */

static const char *id_in_address(request_rec *r)
{
    const char *id = NULL;

    (void)split_address(r, &id);
    return djs_preserve_is_id(id) ? id : NULL;
}

/* Most forms are told from the page's by their length, and by the cookie that is not there. */
static int may_be_answer(request_rec *r)
{
    const char *type = apr_table_get(r->headers_in, "Content-Type");
    const char *length = apr_table_get(r->headers_in, "Content-Length");

    return type && strncasecmp(type, "application/x-www-form-urlencoded", 33) == 0
           && (!length || apr_strtoi64(length, NULL, 10) <= ANSWER_MAX) && find_cookie(r);
}

/* OK, and *id is NULL when it is none; or the answer to a body that cannot be read. */
static int id_in_form(request_rec *r, djs_bytes_t *body, const char **id)
{
    int whole, answer;

    if (!may_be_answer(r)) {
        return OK;
    }
    answer = mds_body_peek(r, body, &whole);
    if (answer == OK && whole) {
        *id = kept_already(r, *body);
    }
    return answer;
}

int mds_preserve_fixups(request_rec *r, mds_view_t *view)
{
    djs_bytes_t body = { NULL, 0 };
    const char *id = NULL;
    mds_session_t *session;
    int answer = OK;

    if (r->main || r->prev || !mds_is_our_auth(r)) {
        return DECLINED;
    }
    if (r->method_number == M_GET) {
        id = id_in_address(r);
    }
    else if (r->method_number == M_POST) {
        answer = id_in_form(r, &body, &id);
    }
    if (answer != OK || !id) {
        return answer == OK ? DECLINED : answer;
    }
    /* Where Require asks for nobody in particular, the form does: one with a login is to send it. */
    answer = mds_check_authn(r);
    if (answer != OK) {
        return answer;
    }
    session = mds_session(r, view);
    if (!session || !session->user) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return r->method_number == M_GET ? show(r, view, session, id)
                                     : confirm(r, view, session, body, id);
}

/* Before every other: it stands for the address that the page speaks of. */
static int handle(request_rec *r)
{
    mds_preserve_t *answer = mds_request(r)->preserve;

    if (!answer || answer->r != r) {
        return DECLINED;
    }
    r->status = answer->status;
    return mds_page_send(r, mds_view(r), &answer->page);
}

void mds_preserve_register(void)
{
    ap_hook_handler(handle, NULL, NULL, APR_HOOK_REALLY_FIRST);
}
