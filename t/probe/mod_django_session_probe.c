/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A module that uses the optional functions of mod_django_session.h, to test them. Its handler
 * "django-session-probe" does what the query says, percent-encoded, and tells how that went:
 *
 *     json[:SELECTOR]  text[:SELECTOR]  state  user  update:OPERATIONS  late:OPERATIONS
 *
 * The answer is the outcome's name, a line feed, and what was given. "late" updates when the answer
 * has begun. Request headers make it behave as an application does: X-Update becomes the answer's
 * Django-Session-Update, X-Status its status.
 */
#include <stdlib.h>
#include <string.h>

#include <httpd.h>
#include <http_config.h>
#include <http_protocol.h>

#include "mod_django_session.h"

extern module AP_MODULE_DECLARE_DATA django_session_probe_module;

static APR_OPTIONAL_FN_TYPE(django_session_json) *session_json;
static APR_OPTIONAL_FN_TYPE(django_session_text) *session_text;
static APR_OPTIONAL_FN_TYPE(django_session_state) *session_state;
static APR_OPTIONAL_FN_TYPE(django_session_user) *session_user;
static APR_OPTIONAL_FN_TYPE(django_session_update) *session_update;

static void retrieve(void)
{
    session_json = APR_RETRIEVE_OPTIONAL_FN(django_session_json);
    session_text = APR_RETRIEVE_OPTIONAL_FN(django_session_text);
    session_state = APR_RETRIEVE_OPTIONAL_FN(django_session_state);
    session_user = APR_RETRIEVE_OPTIONAL_FN(django_session_user);
    session_update = APR_RETRIEVE_OPTIONAL_FN(django_session_update);
}

static const char *name_of(request_rec *r, apr_status_t status)
{
    switch (status) {
    case APR_SUCCESS:  return "ok";
    case APR_NOTFOUND: return "not found";
    case APR_EINVAL:   return "invalid";
    case APR_EACCES:   return "not allowed";
    case APR_ENOTIMPL: return "no sessions here";
    case APR_EGENERAL: return "no site";
    case APR_EOF:      return "too late";
    case DJS_ESTORE:   return "no answer";
    case DJS_EFORMAT:  return "no text";
    default:           return apr_itoa(r->pool, status);
    }
}

static apr_status_t tell_state(request_rec *r, const char **told)
{
    django_session_state_t state = { NULL };
    apr_status_t rv = session_state(r, &state);

    if (state.status != NULL) {
        *told = apr_psprintf(r->pool, "%s|%s|%" APR_TIME_T_FMT "|%s", state.status, state.reason,
                             apr_time_sec(state.ends), state.digest != NULL ? state.digest : "-");
    }
    return rv;
}

static apr_status_t tell_user(request_rec *r, const char **told)
{
    django_session_user_t user = { NULL };
    apr_status_t rv = session_user(r, &user, told);

    if (rv == APR_SUCCESS) {
        *told = apr_psprintf(r->pool, "%s|%s|%s|%s|%d|%d", user.id, user.username, user.email,
                             user.name, user.is_staff, user.is_superuser);
    }
    return rv;
}

static apr_status_t carry_out(request_rec *r, const char *what, const char *argument,
                              const char **told)
{
    if (strcmp(what, "json") == 0) {
        return session_json(r, argument, told);
    }
    if (strcmp(what, "text") == 0) {
        return session_text(r, argument, told);
    }
    if (strcmp(what, "state") == 0) {
        return tell_state(r, told);
    }
    if (strcmp(what, "user") == 0) {
        return tell_user(r, told);
    }
    if (strcmp(what, "late") == 0) {
        ap_rputs("-\n", r);
        ap_rflush(r);
    }
    return session_update(r, argument, told);
}

static int handle(request_rec *r)
{
    const char *update = apr_table_get(r->headers_in, "X-Update");
    const char *status = apr_table_get(r->headers_in, "X-Status");
    char *what, *argument;
    const char *told = "";
    apr_status_t rv;

    if (strcmp(r->handler, "django-session-probe") != 0) {
        return DECLINED;
    }
    what = apr_pstrdup(r->pool, r->args != NULL ? r->args : "state");
    ap_unescape_urlencoded(what);
    argument = strchr(what, ':');
    if (argument != NULL) {
        *argument++ = '\0';
    }
    ap_set_content_type(r, "text/plain; charset=utf-8");
    if (update != NULL) {
        apr_table_setn(r->headers_out, "Django-Session-Update", update);
    }
    if (status != NULL) {
        r->status = atoi(status);
    }
    rv = carry_out(r, what, argument, &told);
    ap_rprintf(r, "%s\n%s", name_of(r, rv), told != NULL ? told : "");
    return OK;
}

static void register_hooks(apr_pool_t *pool)
{
    ap_hook_optional_fn_retrieve(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(handle, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA django_session_probe_module = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks, 0
};
