/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SessionMiddleware. The table is in the header.
 *
 * A save that meets a conflict is done over: what was changed directly is put on top of what is
 * stored now, the application's update is applied again, and the table is gone through again.
 */
#include "middleware.h"

#include <string.h>

#define STATUS_BAD_REQUEST  400
#define STATUS_SERVER_ERROR 500
#define STATUS_UNAVAILABLE  503

djs_middleware_t *djs_middleware_begin(djs_ctx_t *ctx, const djs_site_t *site,
                                       const char *cookie_header)
{
    return djs_middleware_begin_with(ctx, site, cookie_header, NULL);
}

djs_middleware_t *djs_middleware_begin_with(djs_ctx_t *ctx, const djs_site_t *site,
                                            const char *cookie_header, const char *key)
{
    djs_middleware_t *mw = apr_palloc(ctx->pool, sizeof(*mw));
    const char *keys[DJS_COOKIE_CANDIDATES_MAX];
    int count = djs_cookie_values(ctx, cookie_header, site->settings->cookie_name, keys);

    mw->site = site;
    mw->had_cookie = count > 0;
    if (key != NULL && count == 0) {
        keys[count++] = key;
    }
    mw->session = djs_session_make(ctx, site, keys, count);
    return mw;
}

/* What finish was asked for. */
typedef struct job_t {
    djs_middleware_t *mw;
    djs_update_t *update; /* NULL: none */
    int secure;
    djs_answer_t *answer;
} job_t;

static int says_secure(const djs_settings_t *settings, int request_is_secure)
{
    djs_cookie_look_t look = djs_cookie_look(settings);

    return djs_cookie_says_secure(&look, settings->cookie_secure, request_is_secure);
}

static const char *deletion(djs_ctx_t *ctx, const djs_site_t *site)
{
    return site->cookie_deletion != NULL ? site->cookie_deletion
                                         : djs_cookie_delete(ctx, site->settings);
}

/* The session is empty: what is owed is removed, and the cookie goes. */
static apr_status_t end_session(djs_ctx_t *ctx, const job_t *job)
{
    int owes = djs_session_owes(job->mw->session);
    apr_status_t rv = djs_session_settle(ctx, job->mw->session);

    if (rv == APR_SUCCESS) {
        job->answer->saved = owes;
        if (job->mw->had_cookie) {
            job->answer->set_cookie = deletion(ctx, job->mw->site);
            job->answer->vary = 1;
        }
    }
    return rv;
}

static apr_status_t save_session(djs_ctx_t *ctx, const job_t *job)
{
    const djs_site_t *site = job->mw->site;
    djs_session_t *session = job->mw->session;
    djs_expiry_t expiry;
    apr_status_t rv = djs_session_load(ctx, session);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (djs_session_is_unreadable(session) && !djs_session_modified(session)) {
        return APR_SUCCESS; /* SaveEveryRequest replaces nothing that cannot be read */
    }
    rv = djs_session_expiry(ctx, session, &expiry);
    if (rv == APR_SUCCESS) {
        rv = djs_session_save(ctx, session);
    }
    if (rv == APR_SUCCESS) {
        job->answer->set_cookie = djs_cookie_set(ctx, site->settings,
                                                 says_secure(site->settings, job->secure),
                                                 djs_session_key(session),
                                                 djs_cookie_life(&expiry));
        job->answer->vary = 1;
        job->answer->saved = 1;
    }
    return rv;
}

/*
 * Is it time for SaveEveryRequest to save? What is wrong with a session that cannot be judged,
 * saving it will tell.
 */
static int is_due(djs_ctx_t *ctx, const job_t *job)
{
    const djs_settings_t *settings = job->mw->site->settings;
    djs_session_t *session = job->mw->session;
    apr_interval_time_t moved;
    djs_expiry_t expiry;

    if (!settings->save_every_request || settings->save_interval == 0) {
        return settings->save_every_request;
    }
    if (djs_session_load(ctx, session) != APR_SUCCESS || djs_session_ends(session) == 0 ||
        djs_session_expiry(ctx, session, &expiry) != APR_SUCCESS) {
        return 1;
    }
    moved = djs_session_ends_if_saved(ctx, session, &expiry) - djs_session_ends(session);
    return moved >= settings->save_interval || moved <= -settings->save_interval ||
           (moved > 0 && expiry.age <= settings->save_interval);
}

/* Once through the table. */
static apr_status_t try_once(djs_ctx_t *ctx, const job_t *job)
{
    djs_session_t *session = job->mw->session;

    if (job->update != NULL) {
        apr_status_t rv = djs_update_apply(ctx, job->mw->site, session, job->update);

        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    job->answer->vary = djs_session_accessed(session);
    if (djs_session_is_empty(session)) {
        return end_session(ctx, job);
    }
    if (djs_session_modified(session) || is_due(ctx, job)) {
        return save_session(ctx, job);
    }
    return APR_SUCCESS;
}

int djs_middleware_may_write(const djs_middleware_t *mw, const djs_update_t *update)
{
    return (update != NULL && !djs_update_is_empty(update)) || djs_session_modified(mw->session) ||
           djs_session_owes(mw->session) || mw->site->settings->save_every_request;
}

/* Until it is stored, but not for ever. */
static apr_status_t try_often(djs_ctx_t *ctx, const job_t *job)
{
    djs_session_t *session = job->mw->session;
    djs_session_changes_t *changes = djs_session_changes(ctx, session);
    apr_status_t rv = try_once(ctx, job);
    int tries;

    for (tries = 1; rv == DJS_ECONFLICT && tries < DJS_SAVE_TRIES_MAX; tries++) {
        djs_trace(ctx, "another request changed the session: try %d", tries + 1);
        rv = djs_session_rebase(ctx, session, changes);
        if (rv == APR_SUCCESS) {
            rv = try_once(ctx, job);
        }
    }
    if (rv == DJS_ECONFLICT) {
        return djs_fail(ctx, rv, "the session was changed by others each of the %d times that it "
                        "was to be saved", DJS_SAVE_TRIES_MAX);
    }
    return rv;
}

/* The status of the answer that a failure makes. */
static int status_of(apr_status_t failure, const djs_site_t *site)
{
    switch (failure) {
    case DJS_ELIMIT: /* of a cookie: the application's doing; of a store: see below */
        if (site->engine->ops->flags & DJS_ENGINE_STATELESS) {
            return STATUS_SERVER_ERROR;
        }
        break;
    case DJS_EINTERRUPTED:
        return STATUS_BAD_REQUEST;
    case DJS_EINVAL:
    case DJS_EFORMAT:
    case DJS_EUNSUPPORTED: /* a value that the serializer cannot keep: Django's TypeError */
        return STATUS_SERVER_ERROR;
    }
    return site->settings->on_store_error == DJS_ON_STORE_ERROR_DENY ? STATUS_UNAVAILABLE : 0;
}

/* An answer that failed changes nothing; only a cookie that never worked goes. */
static void finish_failed(djs_ctx_t *ctx, const job_t *job)
{
    const djs_session_t *session = job->mw->session;

    job->answer->vary = djs_session_accessed(session);
    if (job->mw->had_cookie && djs_session_is_empty(session) && !djs_session_owes(session)) {
        job->answer->set_cookie = deletion(ctx, job->mw->site);
        job->answer->vary = 1;
    }
}

/*
 * The application has saved the session. What it may have saved again without, each time, goes on
 * top: when the session began. If another is faster, the next request does it.
 */
static void keep_start(djs_ctx_t *ctx, const djs_middleware_t *mw)
{
    djs_session_t *session = mw->session;

    if (!djs_session_lacks_start(session) || djs_session_owes(session) ||
        (mw->site->engine->ops->flags & DJS_ENGINE_STATELESS) != 0) {
        return;
    }
    if (djs_session_reload(ctx, session) != APR_SUCCESS ||
        (djs_session_lacks_start(session) && djs_session_save(ctx, session) != APR_SUCCESS)) {
        djs_trace(ctx, "the session's beginning is not noted yet: %s",
                  ctx->problem != NULL ? ctx->problem : "another request changed it");
        djs_forget(ctx);
    }
}

apr_status_t djs_middleware_finish(djs_ctx_t *ctx, djs_middleware_t *mw, int status, int secure,
                                   djs_update_t *update, int app_set_cookie, djs_answer_t *answer)
{
    int upkeep = djs_session_is_upkeep(mw->session);
    job_t job;
    apr_status_t rv;

    memset(answer, 0, sizeof(*answer));
    job.mw = mw;
    job.update = update != NULL && !djs_update_is_empty(update) ? update : NULL;
    job.secure = secure;
    job.answer = answer;
    if (app_set_cookie) {
        answer->vary = djs_session_accessed(mw->session);
        if (status < STATUS_SERVER_ERROR) {
            keep_start(ctx, mw);
        }
        return APR_SUCCESS;
    }
    if (status >= STATUS_SERVER_ERROR) {
        finish_failed(ctx, &job);
        return APR_SUCCESS;
    }
    rv = djs_middleware_may_write(mw, update) ? try_often(ctx, &job) : try_once(ctx, &job);
    if (rv == DJS_EINTERRUPTED && upkeep && job.update == NULL) {
        djs_forget(ctx);
        return APR_SUCCESS; /* another request did the same, and sends the cookie */
    }
    if (rv != APR_SUCCESS) {
        answer->set_cookie = NULL;
        answer->saved = 0;
        answer->status = status_of(rv, mw->site);
    }
    return rv;
}
