/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What other modules get and bring: the optional functions and the engines of mod_django_session.h.
 */
#include "mds.h"

#include <ap_provider.h>
#include <apr_optional.h>
#include <apr_strings.h>

#include "json.h"
#include "mod_django_session.h"

/* ---- engines ---- */

static const django_session_engine_provider_t *find_provider(const char *name)
{
    return ap_lookup_provider(DJANGO_SESSION_ENGINE_GROUP, name, DJANGO_SESSION_ENGINE_VERSION);
}

/* "dbm, ldap"; NULL: no module brings one. */
static const char *names_of_others(apr_pool_t *pool)
{
    const apr_array_header_t *found = ap_list_provider_names(pool, DJANGO_SESSION_ENGINE_GROUP,
                                                             DJANGO_SESSION_ENGINE_VERSION);
    const char *names = NULL;
    int i;

    for (i = 0; i < found->nelts; i++) {
        const char *name = APR_ARRAY_IDX(found, i, ap_list_provider_names_t).provider_name;

        names = names ? apr_pstrcat(pool, names, ", ", name, NULL) : name;
    }
    return names;
}

apr_status_t mds_engine_check(djs_ctx_t *ctx, const char *name)
{
    const char *others;

    if (djs_stores_engine_name(name) || find_provider(name)) {
        return APR_SUCCESS;
    }
    others = names_of_others(ctx->pool);
    return djs_fail(ctx, DJS_EINVAL,
                    "DjangoSessionEngine: there is no engine \"%s\"; there is: %s%s%s", name,
                    djs_stores_names(ctx->pool), others ? "; of other modules: " : "",
                    others ? others : "");
}

apr_status_t mds_engine_open(djs_ctx_t *ctx, apr_pool_t *pool, server_rec *server,
                             const char *name, djs_engine_t **engine)
{
    const django_session_engine_provider_t *provider = find_provider(name);
    apr_status_t rv;

    if (!provider) {
        return mds_engine_check(ctx, name);
    }
    rv = provider->open(ctx, pool, server, name, engine);
    if (rv != APR_SUCCESS) {
        return djs_fail(ctx, DJS_EINVAL, "DjangoSessionEngine %s: its module says no more than "
                        "status %d", name, rv);
    }
    return APR_SUCCESS;
}

apr_status_t mds_engine_child_init(djs_ctx_t *ctx, apr_pool_t *pool, const char *name,
                                   djs_engine_t *engine)
{
    const django_session_engine_provider_t *provider = find_provider(name);
    apr_status_t rv;

    if (!provider || !provider->child_init) {
        return APR_SUCCESS;
    }
    rv = provider->child_init(ctx, pool, engine);
    if (rv != APR_SUCCESS) {
        return djs_fail(ctx, rv, "its module says no more than status %d", rv);
    }
    return APR_SUCCESS;
}

/* ---- the session of a request ---- */

/* APR_SUCCESS, APR_ENOTIMPL or APR_EGENERAL. */
static apr_status_t find_session(request_rec *r, mds_view_t **view, mds_session_t **session)
{
    *view = mds_view(r);
    if (!(*view)->on && !mds_is_our_auth(r)) {
        return APR_ENOTIMPL;
    }
    *session = mds_session(r, *view);
    return *session ? APR_SUCCESS : APR_EGENERAL;
}

/* That, and it has been read. */
static apr_status_t read_session(request_rec *r, mds_view_t **view, mds_session_t **session)
{
    djs_ctx_t *ctx = &mds_request(r)->ctx;
    apr_status_t rv = find_session(r, view, session);

    if (rv == APR_SUCCESS) {
        rv = djs_session_load(ctx, (*session)->middleware->session);
        if (rv != APR_SUCCESS) {
            mds_store_failed(r, *session);
        }
    }
    return rv;
}

/* The member that a selector names; the whole dictionary for NULL. */
static apr_status_t find_value(request_rec *r, const char *selector, const djs_value_t **value)
{
    mds_view_t *view;
    mds_session_t *session;
    apr_status_t rv;

    if (selector && !djs_value_selector_is_valid(selector)) {
        return APR_EINVAL;
    }
    rv = read_session(r, &view, &session);
    if (rv == APR_SUCCESS) {
        *value = djs_session_data(&mds_request(r)->ctx, session->middleware->session);
        if (selector) {
            *value = djs_value_select(*value, selector);
        }
    }
    return rv == APR_SUCCESS && !*value ? APR_NOTFOUND : rv;
}

static apr_status_t django_session_json(request_rec *r, const char *selector, const char **json)
{
    djs_ctx_t *ctx = &mds_request(r)->ctx;
    const djs_value_t *value = NULL;
    apr_status_t rv = find_value(r, selector, &value);

    if (rv == APR_SUCCESS) {
        *json = (selector ? djs_json_dumps(ctx, DJS_JSON_COMPACT, value)
                          : djs_json_dumps_without(ctx, value, '_')).data;
    }
    return rv;
}

static apr_status_t django_session_text(request_rec *r, const char *selector, const char **text)
{
    const djs_value_t *value = NULL;
    apr_status_t rv = selector ? find_value(r, selector, &value) : APR_EINVAL;
    const char *told;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    told = djs_export_text(&mds_request(r)->ctx, value);
    if (!told) {
        return DJS_EFORMAT;
    }
    *text = told;
    return APR_SUCCESS;
}

static apr_status_t django_session_state(request_rec *r, django_session_state_t *state)
{
    mds_view_t *view;
    mds_session_t *mine = NULL;
    apr_status_t rv = read_session(r, &view, &mine);
    const djs_session_t *session;

    if (!mine) {
        return rv;
    }
    session = mine->middleware->session;
    state->status = djs_session_status_name(djs_session_status(session));
    state->reason = djs_reason_name(djs_session_reason(session));
    state->ends = djs_session_ends(session);
    state->digest = djs_session_key(session) ? mds_session_digest(r, mine) : NULL;
    return rv;
}

static apr_status_t django_session_user(request_rec *r, django_session_user_t *user,
                                        const char **reason)
{
    mds_view_t *view;
    mds_session_t *session;
    apr_status_t rv = read_session(r, &view, &session);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = mds_session_user(r, view, session);
    if (rv != APR_SUCCESS) {
        mds_store_failed(r, session);
        return rv;
    }
    if (!session->user) {
        if (reason) {
            *reason = djs_reason_name(session->reason);
        }
        return APR_NOTFOUND;
    }
    user->id = session->user->id;
    user->username = session->user->username;
    user->email = session->user->email;
    user->name = session->user->name;
    user->is_staff = session->user->is_staff;
    user->is_superuser = session->user->is_superuser;
    user->last_login = session->user->last_login;
    return APR_SUCCESS;
}

/* ---- changing it ---- */

/* The operations of all texts, one after the other. */
static apr_status_t parse_all(djs_ctx_t *ctx, const apr_array_header_t *texts,
                              djs_update_t **update)
{
    apr_status_t rv = APR_SUCCESS;
    int i;

    *update = djs_update_make(ctx);
    for (i = 0; rv == APR_SUCCESS && i < texts->nelts; i++) {
        rv = djs_update_parse_json(ctx, *update,
                                   djs_bytes(APR_ARRAY_IDX(texts, i, const char *)));
    }
    return rv;
}

/* Do the rights of this section reach so far? */
static apr_status_t judge_rights(djs_ctx_t *ctx, const djs_settings_t *settings,
                                 const char *operations)
{
    djs_update_t *alone = djs_update_make(ctx);
    apr_status_t rv;

    if (settings->update == DJS_UPDATE_OFF) {
        return djs_fail(ctx, APR_EACCES, "DjangoSessionUpdate is Off here");
    }
    rv = djs_update_parse_json(ctx, alone, djs_bytes(operations));
    if (rv != APR_SUCCESS) {
        return APR_EINVAL;
    }
    if (djs_update_has_login(alone) && settings->update != DJS_UPDATE_LOGIN) {
        return djs_fail(ctx, APR_EACCES, "a login or logout needs DjangoSessionUpdate Login");
    }
    return APR_SUCCESS;
}

/* Put the operations behind those that wait already. */
static apr_status_t add_update(djs_ctx_t *ctx, mds_session_t *session, const char *operations)
{
    djs_update_t *update;
    apr_status_t rv;

    if (!session->operations) {
        session->operations = apr_array_make(ctx->pool, 2, sizeof(const char *));
    }
    APR_ARRAY_PUSH(session->operations, const char *) = apr_pstrdup(ctx->pool, operations);
    rv = parse_all(ctx, session->operations, &update);
    if (rv != APR_SUCCESS) {
        (void)apr_array_pop(session->operations); /* too much, all together */
        return APR_EINVAL;
    }
    session->update = update;
    return APR_SUCCESS;
}

static apr_status_t django_session_update(request_rec *r, const char *operations,
                                          const char **why)
{
    mds_request_t *request = mds_request(r);
    djs_ctx_t ctx = request->ctx; /* problems are the caller's to tell */
    mds_view_t *view;
    mds_session_t *session;
    apr_status_t rv = find_session(r, &view, &session);

    ctx.problem = NULL;
    if (rv == APR_SUCCESS && request->finished) {
        rv = djs_fail(&ctx, APR_EOF, "the answer is being sent already");
    }
    if (rv == APR_SUCCESS) {
        rv = judge_rights(&ctx, view->settings, operations);
    }
    if (rv == APR_SUCCESS) {
        rv = add_update(&ctx, session, operations);
    }
    if (rv != APR_SUCCESS && why) {
        *why = ctx.problem ? ctx.problem : "there is no session here";
    }
    return rv;
}

void mds_api_register(void)
{
    APR_REGISTER_OPTIONAL_FN(django_session_json);
    APR_REGISTER_OPTIONAL_FN(django_session_text);
    APR_REGISTER_OPTIONAL_FN(django_session_state);
    APR_REGISTER_OPTIONAL_FN(django_session_user);
    APR_REGISTER_OPTIONAL_FN(django_session_update);
}
