/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SetHandler django-login and django-logout: Django's LoginView and LogoutView.
 *
 * What happens to the session is an update of it, as applications ask for it: it is carried out and
 * saved when the answer goes, and last_login is written then.
 */
#include "mds_page.h"

#include <apr_strings.h>

#include "form.h"
#include "json.h"
#include "username.h"

#define WRONG_MESSAGE                                                                              \
    "Please enter a correct username and password. Note that both fields may be case-sensitive."
#define REQUIRED_MESSAGE "This field is required."
#define THROTTLED_MESSAGE "Too many attempts to log in. Please try again later."
#define BUSY_MESSAGE "Too many people are logging in at this moment. Please try again in a few seconds."
#define EXPIRED_MESSAGE                                                                            \
    "This form had expired, or cookies are blocked. Please allow cookies for this site and try again."

/** A request for one of the pages. */
typedef struct visit_t {
    request_rec *r;
    mds_view_t *view;
    mds_session_t *session;
    djs_bytes_t body; /* of a POST; secret */
    const char *next; /* where it goes then; NULL: as the settings say */
    mds_page_t page;
} visit_t;

/* ---- what came ---- */

static const char *field(visit_t *visit, const char *name)
{
    return djs_form_find(&mds_request(visit->r)->ctx,
                         apr_table_get(visit->r->headers_in, "Content-Type"), visit->body, 1, name);
}

/* OK, or the answer to a body that cannot be read or is too long for a form of ours. */
static int read_body(visit_t *visit)
{
    int whole, answer = mds_body_peek(visit->r, &visit->body, &whole);

    return answer == OK && !whole ? HTTP_REQUEST_ENTITY_TOO_LARGE : answer;
}

/* The Host header as the client sent it, which is what Django compares with. */
static const char *host_of(request_rec *r)
{
    const char *host = apr_table_get(r->headers_in, "Host");

    return host ? host : ap_get_server_name(r);
}

/* A form's field counts for more than the address. */
static void find_next(visit_t *visit)
{
    djs_ctx_t *ctx = &mds_request(visit->r)->ctx;
    const char *name = visit->view->settings->redirect_field_name;
    const char *next = visit->r->method_number == M_POST ? field(visit, name) : NULL;

    if (!next && visit->r->args) {
        (void)djs_url_take_param(ctx, visit->r->args, name, NULL, &next);
    }
    if (djs_url_is_safe_next(ctx, next, host_of(visit->r), mds_is_secure(visit->r))) {
        visit->next = next;
    }
    visit->page.texts[MDS_PAGE_NEXT] = visit->next;
    visit->page.texts[MDS_PAGE_NEXT_FIELD] = name;
}

/* ---- answers ---- */

static int redirect(visit_t *visit, const char *otherwise)
{
    djs_ctx_t *ctx = &mds_request(visit->r)->ctx;

    mds_page_never_cache(visit->r);
    apr_table_setn(visit->r->headers_out, "Location",
                   djs_url_location(ctx, visit->next ? visit->next : otherwise));
    return HTTP_MOVED_TEMPORARILY;
}

static int send_page(visit_t *visit, int status)
{
    visit->r->status = status;
    return mds_page_send(visit->r, visit->view, &visit->page);
}

/* With a form in it. */
static int send_form(visit_t *visit, int status)
{
    apr_status_t rv = mds_csrf_token(visit->r, visit->view,
                                     &visit->page.texts[MDS_PAGE_CSRF_TOKEN]);

    if (rv != APR_SUCCESS) {
        return rv == DJS_ESTORE ? mds_unavailable(visit->r) : HTTP_INTERNAL_SERVER_ERROR;
    }
    return send_page(visit, status);
}

static int send_login(visit_t *visit, int status, mds_page_name_t what, const char *message)
{
    visit->page.texts[MDS_PAGE_TITLE] = "Log in";
    visit->page.texts[MDS_PAGE_LOGIN] = "1";
    if (message) {
        visit->page.texts[what] = "1";
        visit->page.texts[MDS_PAGE_MESSAGE] = message;
    }
    return send_form(visit, status);
}

/* One operation on the session, to be carried out with the answer. */
static int ask_for(visit_t *visit, const char *operation, djs_value_t *value)
{
    djs_ctx_t *ctx = &mds_request(visit->r)->ctx;
    djs_value_t *update = djs_value_make_dict(ctx->pool);

    djs_value_set(update, djs_bytes(operation), value);
    visit->session->update = djs_update_make(ctx);
    return djs_update_parse_json(ctx, visit->session->update,
                                 djs_json_dumps(ctx, DJS_JSON_COMPACT, update))
           == APR_SUCCESS;
}

/* ---- login ---- */

static int welcome(visit_t *visit, const djs_user_t *user)
{
    apr_pool_t *pool = mds_request(visit->r)->ctx.pool;

    if (!ask_for(visit, "login", djs_value_make_str(pool, djs_bytes(user->username)))
        || mds_csrf_rotate(visit->r, visit->view) != APR_SUCCESS) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, visit->r, DJSNO(0196) "user %s logged in",
                  user->username);
    return redirect(visit, visit->view->settings->login_redirect_url);
}

static int answer_attempt(visit_t *visit, mds_login_t outcome, const mds_attempt_t *attempt)
{
    switch (outcome) {
    case MDS_LOGIN_RIGHT:
        return welcome(visit, attempt->user);
    case MDS_LOGIN_THROTTLED:
        return send_login(visit, mds_password_too_often(visit->r, attempt), MDS_PAGE_THROTTLED,
                          THROTTLED_MESSAGE);
    case MDS_LOGIN_BUSY:
        return send_login(visit, mds_unavailable(visit->r), MDS_PAGE_BUSY, BUSY_MESSAGE);
    case MDS_LOGIN_FAILED:
        return mds_unavailable(visit->r);
    default:
        return send_login(visit, HTTP_OK, MDS_PAGE_WRONG, WRONG_MESSAGE);
    }
}

static int try_login(visit_t *visit, const char *username, const char *password)
{
    mds_attempt_t attempt = { .username = djs_username_clean(visit->r->pool, username),
                              .password = djs_bytes(password) };
    mds_login_t outcome;

    visit->page.texts[MDS_PAGE_USERNAME] = username;
    if (!*attempt.username || !*password) {
        visit->page.texts[MDS_PAGE_USERNAME_ERROR] = *attempt.username ? NULL : REQUIRED_MESSAGE;
        visit->page.texts[MDS_PAGE_PASSWORD_ERROR] = *password ? NULL : REQUIRED_MESSAGE;
        return send_login(visit, HTTP_OK, MDS_PAGE_WRONG, NULL);
    }
    if (strlen(username) > DJS_USERNAME_MAX || attempt.password.len > DJS_PASSWORD_MAX) {
        visit->page.texts[MDS_PAGE_USERNAME] = NULL;
        return send_login(visit, HTTP_OK, MDS_PAGE_WRONG, WRONG_MESSAGE);
    }
    outcome = mds_password_check(visit->r, visit->session->site, &attempt);
    return answer_attempt(visit, outcome, &attempt);
}

static int post_login(visit_t *visit)
{
    const char *username = field(visit, "username");
    const char *password = field(visit, "password");
    char *secret = password ? apr_pstrdup(visit->r->pool, password) : NULL;
    int answer;

    if (!mds_csrf_accepts(visit->r, visit->view, field(visit, DJS_CSRF_FIELD))) {
        visit->page.texts[MDS_PAGE_USERNAME] = username;
        answer = send_login(visit, HTTP_FORBIDDEN, MDS_PAGE_EXPIRED, EXPIRED_MESSAGE);
    }
    else {
        answer = try_login(visit, username ? username : "", secret ? secret : "");
    }
    if (password) {
        djs_secret_wipe((char *)password, strlen(password));
        djs_secret_wipe(secret, strlen(secret));
    }
    return answer;
}

/* ---- logout ---- */

static int say_goodbye(visit_t *visit)
{
    const char *there = visit->view->settings->logout_redirect_url;

    if (!ask_for(visit, "logout", djs_value_make_bool(mds_request(visit->r)->ctx.pool, 1))) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, visit->r, DJSNO(0200) MDS_SESSION_MSG("logout"),
                  mds_session_digest(visit->r, visit->session));
    if (visit->next || there) {
        return redirect(visit, there);
    }
    visit->page.texts[MDS_PAGE_TITLE] = "Logged out";
    visit->page.texts[MDS_PAGE_LOGGED_OUT] = "1";
    return send_page(visit, HTTP_OK);
}

static int send_logout(visit_t *visit, int status, const char *message)
{
    visit->page.texts[MDS_PAGE_TITLE] = "Log out";
    visit->page.texts[MDS_PAGE_LOGOUT] = "1";
    visit->page.texts[MDS_PAGE_MESSAGE] = message;
    visit->page.texts[MDS_PAGE_EXPIRED] = message;
    return send_form(visit, status);
}

/* A link is not enough, or any page could log its visitors out; but it leads to the button. */
static int get_logout(visit_t *visit)
{
    if (visit->view->settings->logout_get) {
        return say_goodbye(visit);
    }
    apr_table_setn(visit->r->headers_out, "Allow", "POST");
    return send_logout(visit, HTTP_METHOD_NOT_ALLOWED, NULL);
}

static int post_logout(visit_t *visit)
{
    if (!mds_csrf_accepts(visit->r, visit->view, field(visit, DJS_CSRF_FIELD))) {
        return send_logout(visit, HTTP_FORBIDDEN, EXPIRED_MESSAGE);
    }
    return say_goodbye(visit);
}

/* ---- handlers ---- */

static int get_login(visit_t *visit)
{
    return send_login(visit, HTTP_OK, MDS_PAGE_LOST, mds_preserve_lost_message(visit->r));
}

static const struct {
    const char *handler;
    int (*get)(visit_t *visit);
    int (*post)(visit_t *visit);
} pages[] = {
    { "django-login", get_login, post_login },
    { "django-logout", get_logout, post_logout },
};

static int find_page(const char *handler)
{
    int i;

    if (!handler || *handler != 'd') { /* as nearly always */
        return -1;
    }
    for (i = 0; i < (int)(sizeof(pages) / sizeof(pages[0])); i++) {
        if (strcmp(pages[i].handler, handler) == 0) {
            return i;
        }
    }
    return -1;
}

int mds_is_login_handler(const char *handler)
{
    return find_page(handler) >= 0;
}

static int serve(visit_t *visit, int number)
{
    request_rec *r = visit->r;
    int answer;

    ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, M_POST, -1);
    if (r->method_number == M_GET) {
        find_next(visit);
        return pages[number].get(visit);
    }
    if (r->method_number != M_POST) {
        return HTTP_METHOD_NOT_ALLOWED;
    }
    answer = read_body(visit);
    if (answer == OK) {
        find_next(visit);
        answer = pages[number].post(visit);
        djs_secret_wipe((char *)visit->body.data, visit->body.len);
    }
    return answer;
}

int mds_login_handler(request_rec *r)
{
    int number = find_page(r->handler);
    visit_t visit = { .r = r };

    if (number < 0) {
        return DECLINED;
    }
    visit.view = mds_view(r);
    visit.session = mds_session(r, visit.view);
    if (!visit.session) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (!visit.session->site->users) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      DJSNO(0203) "%s needs a database with users: DBDriver and DBDParams",
                      r->handler);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return serve(&visit, number);
}
