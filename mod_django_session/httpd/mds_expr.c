/* SPDX-License-Identifier: Apache-2.0 */
/*
 * django_session('SELECTOR') and django_user('FIELD') in httpd's expressions.
 *
 * What they are asked for stands in the configuration and is judged when that is read: a function
 * whose argument a request decides would let the client choose what is told. The session is read at
 * the first need, by the say of the section as far as it is known then: where the request was just
 * read, none is, and there is nothing unless DjangoSessionEarly says that the server's own will do.
 *
 * A store that fails makes empty values; but what an expression has decided on them is not to stand.
 * So fixups, which come before any handler, answer 503: under DjangoSessionOnStoreError deny always,
 * under anonymous when it was asked for by Require, where no answer must not become a "yes". Notes of
 * the request tell it: each request of a chain is judged for itself.
 */
#include "mds.h"

#include <stddef.h>

#include <ap_expr.h>
#include <apr_strings.h>

#include "rights.h"

/* This request's Require directives are being asked. */
#define JUDGING "django-session-judging"
/* An expression of it was made of nothing; "1": while Require was asked. */
#define BLIND   "django-session-blind"

/* Some expression of ours was read: by the start or, of an .htaccess file, by any request. */
static int in_use;

/* ---- what can be asked ---- */

typedef enum kind_t { IS_TEXT, IS_FLAG, IS_GROUPS } kind_t;

typedef struct field_t {
    const char *name;
    kind_t kind;       /* const char *, int; or asked for when it is wanted */
    apr_size_t offset; /* in djs_user_t */
} field_t;

#define FIELD(member, kind) { #member, kind, offsetof(djs_user_t, member) }

static const field_t fields[] = {
    FIELD(username, IS_TEXT), FIELD(id, IS_TEXT), FIELD(email, IS_TEXT), FIELD(name, IS_TEXT),
    FIELD(is_staff, IS_FLAG), FIELD(is_superuser, IS_FLAG), FIELD(groups, IS_GROUPS)
};

#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static const field_t *find_field(const char *name)
{
    apr_size_t i;

    for (i = 0; i < FIELDS; i++) {
        if (strcmp(fields[i].name, name) == 0) {
            return &fields[i];
        }
    }
    return NULL;
}

static const char *names_of_fields(apr_pool_t *pool)
{
    const char *all = fields[0].name;
    apr_size_t i;

    for (i = 1; i < FIELDS; i++) {
        all = apr_pstrcat(pool, all, ", ", fields[i].name, NULL);
    }
    return all;
}

/* "" and "0" are false for -T. */
static apr_status_t value_of(djs_ctx_t *ctx, const djs_site_t *site, djs_user_t *user,
                             const field_t *field, const char **text)
{
    const char *at = (const char *)user + field->offset;

    switch (field->kind) {
    case IS_FLAG:
        *text = *(const int *)at ? "1" : "0";
        return APR_SUCCESS;
    case IS_GROUPS:
        return djs_rights_groups_json(ctx, site, user, text);
    default:
        *text = *(const char *const *)at;
        return APR_SUCCESS;
    }
}

/* ---- asking ---- */

/* The store has not answered. */
static const char *without_store(request_rec *r, mds_session_t *session)
{
    mds_store_failed(r, session);
    if (apr_table_get(r->notes, JUDGING)) {
        apr_table_setn(r->notes, BLIND, "1");
        mds_request(r)->blind = 1;
    }
    else if (!apr_table_get(r->notes, BLIND)) {
        apr_table_setn(r->notes, BLIND, "0");
    }
    return "";
}

/* The session that an expression may look at; NULL: none here. */
static mds_session_t *session_here(request_rec *r, mds_view_t **view)
{
    mds_request_t *request = mds_request(r);
    mds_session_t *session = NULL;

    if ((request->unlocated == r && !mds_server_of(r->server)->early) || request->asking) {
        return NULL;
    }
    request->asking = 1; /* AuthType itself may be an expression */
    *view = mds_view(r);
    if ((*view)->on || mds_is_our_auth(r)) {
        session = mds_session(r, *view);
    }
    request->asking = 0;
    if (session && request->finished) {
        mds_note_late_look(r, session); /* by what comes behind our filter: Header, the log */
    }
    return session;
}

static const char *ask_session(ap_expr_eval_ctx_t *call, const void *selector, const char *unused)
{
    mds_view_t *view;
    mds_session_t *session = call->r ? session_here(call->r, &view) : NULL;
    const djs_value_t *value;
    const char *text;
    djs_ctx_t *ctx;

    (void)unused;
    if (!session) {
        return "";
    }
    ctx = &mds_request(call->r)->ctx;
    value = djs_value_select(djs_session_data(ctx, session->middleware->session), selector);
    if (djs_session_status(session->middleware->session) == DJS_SESSION_ERROR) {
        return without_store(call->r, session);
    }
    text = value ? djs_export_text(ctx, value) : NULL;
    return text ? text : "";
}

static const char *ask_user(ap_expr_eval_ctx_t *call, const void *field, const char *unused)
{
    mds_view_t *view;
    mds_session_t *session = call->r ? session_here(call->r, &view) : NULL;
    const char *text = NULL;
    apr_status_t rv;

    (void)unused;
    if (!session) {
        return "";
    }
    rv = mds_session_user(call->r, view, session);
    if (rv == APR_SUCCESS && session->user) {
        rv = value_of(&mds_request(call->r)->ctx, view->site, session->user, field, &text);
    }
    if (rv != APR_SUCCESS) {
        return without_store(call->r, session);
    }
    return text ? text : "";
}

/* ---- when the configuration is read ---- */

static int refuse(const ap_expr_lookup_parms *call, const char *why)
{
    *call->err = apr_psprintf(call->ptemp, "%s(%s%s%s): %s", call->name, call->arg ? "'" : "",
                              call->arg ? call->arg : "...", call->arg ? "'" : "", why);
    return !OK;
}

static int look_up_session(const ap_expr_lookup_parms *call)
{
    if (!call->arg || !djs_value_selector_is_valid(call->arg)) {
        return refuse(call, "a SELECTOR is needed: a plain text, the key of a value or a JSON "
                            "Pointer such as '/cart/0'");
    }
    *call->func = ask_session;
    *call->data = apr_pstrdup(call->pool, call->arg);
    return OK;
}

static int look_up_user(const ap_expr_lookup_parms *call)
{
    const field_t *field = call->arg ? find_field(call->arg) : NULL;

    if (!field) {
        return refuse(call, apr_pstrcat(call->ptemp, "what it can be asked for, as a plain text, "
                                        "is ", names_of_fields(call->ptemp), NULL));
    }
    *call->func = ask_user;
    *call->data = field;
    return OK;
}

static int look_up(ap_expr_lookup_parms *call)
{
    int answer = DECLINED;

    if (call->type == AP_EXPR_FUNC_STRING && ap_cstr_casecmp(call->name, "django_session") == 0) {
        answer = look_up_session(call);
    }
    else if (call->type == AP_EXPR_FUNC_STRING && ap_cstr_casecmp(call->name, "django_user") == 0) {
        answer = look_up_user(call);
    }
    if (answer == OK) {
        mds_publish(&in_use, 1);
    }
    return answer;
}

/* ---- what becomes of a failure ---- */

static int begin_judging(request_rec *r)
{
    if (mds_load(&in_use)) {
        apr_table_setn(r->notes, JUDGING, "");
    }
    return DECLINED;
}

int mds_expr_fixups(request_rec *r, mds_view_t *view)
{
    const char *blind;
    mds_session_t *session;

    if (!mds_load(&in_use)) {
        return DECLINED;
    }
    blind = apr_table_get(r->notes, BLIND);
    apr_table_unset(r->notes, JUDGING);
    if (!blind || (*blind == '0'
                   && view->settings->on_store_error == DJS_ON_STORE_ERROR_ANONYMOUS)) {
        return DECLINED;
    }
    session = mds_session(r, view);
    if (session) {
        mds_export_refusal(r, session);
    }
    return mds_unavailable(r);
}

void mds_expr_register(void)
{
    ap_hook_expr_lookup(look_up, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_access(begin_judging, NULL, NULL, APR_HOOK_REALLY_FIRST,
                         AP_AUTH_INTERNAL_PER_CONF);
}
