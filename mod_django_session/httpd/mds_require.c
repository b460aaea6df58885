/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Require django-group, django-perm, django-staff, django-superuser, django-recent-login: who the
 * user is in Django's tables; django-session: what the session holds, login or not.
 *
 * Arguments may have expressions, as those of Require user. What can be seen to match never is refused
 * when the configuration is read; of an expression's value it is said in the log.
 *
 * Under AuthType Django the user is the session's. Where something else says who the user is, of that
 * name in Django's table is spoken.
 *
 * Where nobody is there yet, a login may change the answer: AUTHZ_DENIED_NO_USER, on which httpd has
 * one asked for if nothing else lets the request in. What the store does not tell is an error, never
 * a "no", which "Require not" would take for a "yes".
 */
#include "mds.h"

#include <ap_expr.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <mod_auth.h>

#include "rights.h"

/* Some Require of ours was read: at start or, of an .htaccess file, by any request. */
static int in_use;

int mds_require_in_use(void)
{
    return mds_load(&in_use);
}

/* ---- arguments ---- */

/* The words of a line, quotes undone. */
static apr_array_header_t *words_of(apr_pool_t *pool, const char *line)
{
    apr_array_header_t *words = apr_array_make(pool, 4, sizeof(const char *));

    while (*line) {
        const char *word = ap_getword_conf(pool, &line);

        if (*word) {
            APR_ARRAY_PUSH(words, const char *) = word;
        }
    }
    return words;
}

static const char *word_at(const apr_array_header_t *words, int i)
{
    return APR_ARRAY_IDX(words, i, const char *);
}

/* What is wrong with arguments; NULL: nothing. */
typedef const char *(*judge_fn)(apr_pool_t *pool, const apr_array_header_t *words);

static const char *judge_groups(apr_pool_t *pool, const apr_array_header_t *words)
{
    (void)pool;
    return words->nelts == 0 ? "the name of a group is needed, in quotes if there is a blank in it"
                             : NULL;
}

static int is_permission(const char *name)
{
    const char *dot = strchr(name, '.');

    return dot && dot > name && dot[1];
}

static const char *judge_permissions(apr_pool_t *pool, const apr_array_header_t *words)
{
    int i;

    for (i = 0; i < words->nelts; i++) {
        if (!is_permission(word_at(words, i))) {
            return apr_psprintf(pool, "\"%s\" can be no permission: \"app_label.codename\" is meant",
                                word_at(words, i));
        }
    }
    return words->nelts == 0 ? "a permission is needed: \"app_label.codename\"" : NULL;
}

static const char *judge_selector(apr_pool_t *pool, const apr_array_header_t *words)
{
    if (words->nelts == 0) {
        return "a SELECTOR is needed, and may be followed by the values that are allowed";
    }
    return djs_value_selector_is_valid(word_at(words, 0)) ? NULL
        : apr_psprintf(pool, "\"%s\" is no SELECTOR: a key, or a JSON Pointer such as /cart/0",
                       word_at(words, 0));
}

static apr_status_t read_duration(apr_pool_t *pool, const apr_array_header_t *words,
                                  apr_interval_time_t *duration, const char **why)
{
    djs_ctx_t ctx = { .pool = pool };
    apr_status_t rv = DJS_EINVAL;

    *duration = 0;
    *why = "one DURATION is needed: 30s, 15min, 12h, 14d or 2w";
    if (words->nelts == 1) {
        rv = djs_duration_parse(&ctx, word_at(words, 0), duration);
        *why = rv == APR_SUCCESS ? NULL : ctx.problem;
    }
    if (rv == APR_SUCCESS && *duration == 0) {
        *why = "no login is ever younger than 0s";
        rv = DJS_EINVAL;
    }
    return rv;
}

static const char *judge_duration(apr_pool_t *pool, const apr_array_header_t *words)
{
    apr_interval_time_t duration;
    const char *why;

    return read_duration(pool, words, &duration, &why) == APR_SUCCESS ? NULL : why;
}

/* "%{…}", "$1": known with the request only. */
static int has_variables(const char *line)
{
    for (; *line; line++) {
        if ((line[0] == '%' && line[1] == '{') || (line[0] == '$' && apr_isdigit(line[1]))) {
            return 1;
        }
    }
    return 0;
}

static const char *parse(cmd_parms *cmd, const char *name, const char *line, judge_fn judge,
                         const void **parsed)
{
    const char *why = NULL;

    mds_publish(&in_use, 1);
    if (!has_variables(line)) {
        why = judge(cmd->temp_pool, words_of(cmd->temp_pool, line));
    }
    if (!why) {
        *parsed = ap_expr_parse_cmd(cmd, line, AP_EXPR_FLAG_STRING_RESULT, &why, NULL);
    }
    return why ? apr_psprintf(cmd->pool, "Require %s: %s", name, why) : NULL;
}

static const char *parse_groups(cmd_parms *cmd, const char *line, const void **parsed)
{
    return parse(cmd, "django-group", line, judge_groups, parsed);
}

static const char *parse_permissions(cmd_parms *cmd, const char *line, const void **parsed)
{
    return parse(cmd, "django-perm", line, judge_permissions, parsed);
}

static const char *parse_session(cmd_parms *cmd, const char *line, const void **parsed)
{
    return parse(cmd, "django-session", line, judge_selector, parsed);
}

static const char *parse_recent(cmd_parms *cmd, const char *line, const void **parsed)
{
    return parse(cmd, "django-recent-login", line, judge_duration, parsed);
}

static const char *parse_nothing(cmd_parms *cmd, const char *line, const void **parsed)
{
    (void)parsed;
    mds_publish(&in_use, 1);
    return words_of(cmd->temp_pool, line)->nelts > 0
               ? apr_psprintf(cmd->pool, "Require: \"%s\": django-staff and django-superuser take no "
                              "arguments", line)
               : NULL;
}

/* The arguments of a request. NULL: they are of no use, which was logged. */
static const apr_array_header_t *arguments(request_rec *r, const char *line, const void *parsed,
                                           judge_fn judge)
{
    const char *why = NULL;
    const char *value = ap_expr_str_exec(r, parsed, &why);
    const apr_array_header_t *words = why ? NULL : words_of(r->pool, value);

    why = why ? why : judge(r->pool, words);
    if (why && mds_may_log(MDS_MSG_0181, r->request_time)) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, DJSNO(0181) "Require %s %s: %s",
                      apr_table_get(r->notes, AUTHZ_PROVIDER_NAME_NOTE), line, why);
    }
    return why ? NULL : words;
}

/* ---- who asks ---- */

/* A request's session and, where it is asked for, user. */
typedef struct asker_t {
    djs_ctx_t *ctx;
    const mds_view_t *view;
    mds_session_t *session;
    djs_user_t *user; /* NULL: none in Django's table */
} asker_t;

static authz_status without_store(request_rec *r, mds_session_t *session)
{
    mds_store_failed(r, session);
    mds_request(r)->lost = session;
    return AUTHZ_GENERAL_ERROR;
}

/* AUTHZ_NEUTRAL: it is there. */
static authz_status find_session(request_rec *r, asker_t *asker)
{
    mds_view_t *view = mds_view(r);

    if (!view->on && !mds_is_our_auth(r)) {
        if (mds_may_log(MDS_MSG_0180, r->request_time)) {
            ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                          DJSNO(0180) "Require %s: there are no sessions here; write AuthType Django "
                          "or DjangoSession On", apr_table_get(r->notes, AUTHZ_PROVIDER_NAME_NOTE));
        }
        return AUTHZ_GENERAL_ERROR;
    }
    asker->ctx = &mds_request(r)->ctx;
    asker->view = view;
    asker->session = mds_session(r, view);
    return asker->session ? AUTHZ_NEUTRAL : AUTHZ_GENERAL_ERROR;
}

/* The user of a name that something else has found out; inactive ones do not count. */
static apr_status_t find_named(request_rec *r, asker_t *asker)
{
    mds_session_t *session = asker->session;
    djs_users_t *users = asker->view->site->users;
    apr_status_t rv = APR_SUCCESS;

    if (!users) {
        return djs_fail(asker->ctx, DJS_ESTORE, "there is no table of users: DBDriver and DBDParams");
    }
    if (!session->named || strcmp(session->named, r->user) != 0) {
        rv = users->ops->find_by_name(users, asker->ctx, r->user, &session->named_user);
        session->named = rv == APR_SUCCESS || rv == APR_NOTFOUND
                             ? apr_pstrdup(asker->ctx->pool, r->user) : NULL;
        session->named_user = rv == APR_SUCCESS ? session->named_user : NULL;
    }
    asker->user = session->named_user && session->named_user->is_active ? session->named_user : NULL;
    return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
}

/* AUTHZ_NEUTRAL: somebody of Django's table, whose rights are to be looked at. */
static authz_status find_asker(request_rec *r, asker_t *asker)
{
    authz_status answer = r->user ? find_session(r, asker) : AUTHZ_DENIED_NO_USER;
    apr_status_t rv;

    if (answer != AUTHZ_NEUTRAL) {
        return answer;
    }
    if (mds_is_our_auth(r)) {
        rv = mds_session_user(r, asker->view, asker->session);
        asker->user = asker->session->user;
    }
    else {
        rv = find_named(r, asker);
    }
    if (rv != APR_SUCCESS) {
        return without_store(r, asker->session);
    }
    return asker->user ? AUTHZ_NEUTRAL : AUTHZ_DENIED;
}

/* ---- the providers ---- */

typedef apr_status_t (*right_fn)(djs_ctx_t *ctx, const djs_site_t *site, djs_user_t *user,
                                 const char *name, int *has);

/* One of the names is enough. */
static authz_status check_names(request_rec *r, const char *line, const void *parsed, judge_fn judge,
                                right_fn has_right)
{
    asker_t asker = { .user = NULL };
    authz_status answer = find_asker(r, &asker);
    const apr_array_header_t *names;
    int i, has = 0;

    if (answer != AUTHZ_NEUTRAL) {
        return answer;
    }
    names = arguments(r, line, parsed, judge);
    if (!names) {
        return AUTHZ_GENERAL_ERROR;
    }
    for (i = 0; i < names->nelts && !has; i++) {
        if (has_right(asker.ctx, asker.view->site, asker.user, word_at(names, i), &has)
            != APR_SUCCESS) {
            return without_store(r, asker.session);
        }
    }
    return has ? AUTHZ_GRANTED : AUTHZ_DENIED;
}

static authz_status check_group(request_rec *r, const char *line, const void *parsed)
{
    return check_names(r, line, parsed, judge_groups, djs_rights_in_group);
}

static authz_status check_permission(request_rec *r, const char *line, const void *parsed)
{
    return check_names(r, line, parsed, judge_permissions, djs_rights_has_perm);
}

/* staff_member_required */
static authz_status check_staff(request_rec *r, const char *line, const void *parsed)
{
    asker_t asker = { .user = NULL };
    authz_status answer = find_asker(r, &asker);

    (void)line;
    (void)parsed;
    if (answer != AUTHZ_NEUTRAL) {
        return answer;
    }
    return asker.user->is_active && asker.user->is_staff ? AUTHZ_GRANTED : AUTHZ_DENIED;
}

static authz_status check_superuser(request_rec *r, const char *line, const void *parsed)
{
    asker_t asker = { .user = NULL };
    authz_status answer = find_asker(r, &asker);

    (void)line;
    (void)parsed;
    if (answer != AUTHZ_NEUTRAL) {
        return answer;
    }
    return asker.user->is_active && asker.user->is_superuser ? AUTHZ_GRANTED : AUTHZ_DENIED;
}

/* A login of long ago is made good by another: mds_auth.c asks for it when nothing else is missing. */
static authz_status check_recent(request_rec *r, const char *line, const void *parsed)
{
    asker_t asker = { .user = NULL };
    authz_status answer = find_asker(r, &asker);
    mds_request_t *request = mds_request(r);
    const apr_array_header_t *words;
    apr_interval_time_t most;
    const char *why;
    int is_recent;

    if (answer != AUTHZ_NEUTRAL) {
        return answer;
    }
    words = arguments(r, line, parsed, judge_duration);
    if (!words || read_duration(r->pool, words, &most, &why) != APR_SUCCESS) {
        return AUTHZ_GENERAL_ERROR;
    }
    if (djs_rights_is_recent(asker.ctx, asker.view->site, asker.user, most, &is_recent)
        != APR_SUCCESS) {
        return without_store(r, asker.session);
    }
    if (is_recent) {
        return AUTHZ_GRANTED;
    }
    request->not_recent = 1;
    return request->as_if_recent ? AUTHZ_GRANTED : AUTHZ_DENIED;
}

static int is_one_of(djs_ctx_t *ctx, const djs_value_t *value, const apr_array_header_t *words)
{
    const char *text = djs_export_text(ctx, value);
    int i;

    for (i = 1; text && i < words->nelts; i++) {
        if (strcmp(word_at(words, i), text) == 0) {
            return 1;
        }
    }
    return 0;
}

/* One of the values or, where none are given, any that Python takes for true. */
static authz_status check_session(request_rec *r, const char *line, const void *parsed)
{
    asker_t asker = { .user = NULL };
    authz_status answer = find_session(r, &asker);
    const apr_array_header_t *words;
    const djs_value_t *value;
    djs_session_t *session;

    if (answer != AUTHZ_NEUTRAL) {
        return answer;
    }
    words = arguments(r, line, parsed, judge_selector);
    if (!words) {
        return AUTHZ_GENERAL_ERROR;
    }
    session = asker.session->middleware->session;
    value = djs_value_select(djs_session_data(asker.ctx, session), word_at(words, 0));
    if (djs_session_status(session) == DJS_SESSION_ERROR) {
        return without_store(r, asker.session);
    }
    if (value && (words->nelts > 1 ? is_one_of(asker.ctx, value, words) : djs_value_truthy(value))) {
        return AUTHZ_GRANTED;
    }
    return !r->user && mds_is_our_auth(r) ? AUTHZ_DENIED_NO_USER : AUTHZ_DENIED;
}

static const struct {
    const char *name;
    authz_provider provider;
} providers[] = {
    { "django-group", { check_group, parse_groups } },
    { "django-perm", { check_permission, parse_permissions } },
    { "django-staff", { check_staff, parse_nothing } },
    { "django-superuser", { check_superuser, parse_nothing } },
    { "django-recent-login", { check_recent, parse_recent } },
    { "django-session", { check_session, parse_session } },
};

void mds_require_register(apr_pool_t *pool)
{
    apr_size_t i;

    for (i = 0; i < sizeof(providers) / sizeof(providers[0]); i++) {
        ap_register_auth_provider(pool, AUTHZ_PROVIDER_GROUP, providers[i].name,
                                  AUTHZ_PROVIDER_VERSION, &providers[i].provider,
                                  AP_AUTH_INTERNAL_PER_CONF);
    }
}
