/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a session is read, what its record says of it, and how it is read again when somebody else has
 * changed it meanwhile.
 */
#include "session_impl.h"

#include <string.h>

const djs_wire_t *djs_session_wire(apr_pool_t *pool, const djs_site_t *site)
{
    return djs_wire_for(pool, site->wire, site->settings->cookie_name);
}

/* Nobody but the text itself tells how old it is, and only when it is genuine. */
static void judge_age(const djs_ctx_t *ctx, const djs_site_t *site, const djs_wire_facts_t *facts,
                      found_t *found)
{
    if (facts->key_index < 0) {
        return;
    }
    found->record.expires = facts->written + site->settings->cookie_age;
    if (found->record.expires < ctx->now) {
        found->status = DJS_SESSION_EXPIRED;
        found->reason = DJS_REASON_EXPIRED;
    }
}

/* A file that Django has made and not written yet. */
static int is_empty_file(const djs_site_t *site, const djs_record_t *record)
{
    return djs_session_is_aged(site) && record->data.len == 0;
}

static void take_empty_file(djs_ctx_t *ctx, found_t *found)
{
    found->data = djs_value_make_dict(ctx->pool);
    found->status = DJS_SESSION_ACTIVE;
    found->reason = DJS_REASON_NONE;
    found->problem = NULL;
}

/* What the record's bytes say; an engine may have looked already. */
static apr_status_t read_data(djs_ctx_t *ctx, const djs_site_t *site, found_t *found,
                              djs_wire_facts_t *facts)
{
    const djs_wire_t *wire = found->record.wire != NULL ? found->record.wire
                                                        : djs_session_wire(ctx->pool, site);

    if (found->record.value == NULL || djs_session_is_stateless(site)) {
        return djs_wire_inspect(ctx, wire, found->record.data, &found->data, facts);
    }
    found->data = found->record.value;
    found->record.value = NULL; /* from now on it may be changed */
    return APR_SUCCESS;
}

/* The record's bytes as a dictionary; what is wrong with them goes into @a found, not into ctx. */
static void read_record(djs_ctx_t *ctx, const djs_site_t *site, found_t *found)
{
    const char *earlier = ctx->problem;
    djs_wire_facts_t facts;
    apr_status_t rv;

    if (is_empty_file(site, &found->record)) {
        take_empty_file(ctx, found);
        return;
    }
    ctx->problem = NULL;
    rv = read_data(ctx, site, found, &facts);
    if (rv == APR_SUCCESS && djs_value_type(found->data) != DJS_TYPE_DICT) {
        rv = djs_fail(ctx, DJS_EFORMAT, "the session is no dictionary but of type %s",
                      djs_value_type_name(found->data));
    }
    found->status = rv == APR_SUCCESS ? DJS_SESSION_ACTIVE : DJS_SESSION_INVALID;
    found->reason = rv == APR_SUCCESS ? DJS_REASON_NONE
                    : rv == DJS_EBADSIG ? DJS_REASON_BAD_SIGNATURE : DJS_REASON_UNREADABLE;
    found->problem = ctx->problem;
    ctx->problem = earlier;
    if (djs_session_is_stateless(site)) {
        judge_age(ctx, site, &facts, found);
    }
}

/* The end of a record that was read, of an engine that leaves it to us. */
static void age_record(djs_ctx_t *ctx, const djs_site_t *site, found_t *found)
{
    const djs_value_t *stored = NULL;
    const char *earlier = ctx->problem;

    if (is_empty_file(site, &found->record)) {
        found->record.expires = 0;
        return;
    }
    if (found->status == DJS_SESSION_ACTIVE) {
        stored = djs_value_get(found->data, djs_bytes(DJS_SESSION_EXPIRY_KEY));
    }
    ctx->problem = NULL;
    if (djs_expiry_aged(ctx, site->settings, site->zone, stored, found->record.written,
                        &found->record.expires) != APR_SUCCESS) {
        found->status = DJS_SESSION_INVALID; /* who does not know when it ends does not end it */
        found->reason = DJS_REASON_UNREADABLE;
        found->problem = ctx->problem;
    }
    else if (found->record.expires != 0 && found->record.expires <= ctx->now) {
        found->status = DJS_SESSION_EXPIRED;
        found->reason = DJS_REASON_EXPIRED;
    }
    ctx->problem = earlier;
}

static void judge(djs_ctx_t *ctx, const djs_site_t *site, found_t *found)
{
    read_record(ctx, site, found);
    if (djs_session_is_aged(site)) {
        age_record(ctx, site, found);
    }
}

djs_session_status_t djs_session_judge(djs_ctx_t *ctx, const djs_site_t *site,
                                       djs_record_t *record)
{
    found_t found = { .record = *record };

    judge(ctx, site, &found);
    *record = found.record;
    return found.status;
}

/* What the data says of the session's beginning; 0: nothing that could be true. */
static apr_int64_t read_start(const djs_ctx_t *ctx, const djs_value_t *data)
{
    const djs_value_t *value = djs_value_get(data, djs_bytes(DJS_SESSION_START_KEY));
    apr_int64_t started;

    if (value == NULL || djs_value_type(value) != DJS_TYPE_INT ||
        !djs_value_int64(value, &started) || started <= 0 || started > apr_time_sec(ctx->now)) {
        return 0;
    }
    return started;
}

/* When did it begin, and is its lifetime over? */
static void judge_lifetime(const djs_ctx_t *ctx, const djs_session_t *session, found_t *found)
{
    if (session->site->settings->max_lifetime == 0) {
        return;
    }
    found->started = read_start(ctx, found->data);
    if (found->started == 0) {
        found->started = apr_time_sec(ctx->now);
        found->lacks_start = 1;
    }
    if (djs_session_lifetime_end(session, found->started) <= ctx->now) {
        found->status = DJS_SESSION_EXPIRED;
        found->reason = DJS_REASON_MAX_LIFETIME;
    }
}

apr_status_t djs_session_fetch(djs_ctx_t *ctx, const djs_session_t *session, const char *key,
                          found_t *found)
{
    djs_engine_t *engine = session->site->engine;
    apr_status_t rv;

    memset(found, 0, sizeof(*found));
    rv = engine->ops->load(engine, ctx, key, &found->record);
    if (rv == APR_SUCCESS) {
        judge(ctx, session->site, found);
        if (found->status == DJS_SESSION_ACTIVE) {
            judge_lifetime(ctx, session, found);
        }
        return APR_SUCCESS;
    }
    if (rv == APR_NOTFOUND) {
        found->status = DJS_SESSION_NEW;
        found->reason = DJS_REASON_UNKNOWN_KEY;
        return APR_SUCCESS;
    }
    return djs_fail(ctx, DJS_ESTORE, "the session could not be loaded: %s", djs_status_name(rv));
}

static int has_record(const found_t *found)
{
    return found->status == DJS_SESSION_ACTIVE || found->status == DJS_SESSION_INVALID;
}

/* A cookie that is worth nothing, and is to be replaced by whoever looks at it. */
static int is_stale_cookie(const djs_site_t *site, djs_reason_t reason)
{
    return djs_session_is_stateless(site) && (reason == DJS_REASON_EXPIRED
                                  || reason == DJS_REASON_BAD_SIGNATURE);
}

int djs_session_is_unreadable(const djs_session_t *session)
{
    return session->status == DJS_SESSION_INVALID &&
           !is_stale_cookie(session->site, session->reason);
}

/* Stand where @a found says. The key stays only where there is a record, or was one. */
static void adopt(djs_session_t *session, const char *key, const found_t *found)
{
    int active = found->status == DJS_SESSION_ACTIVE;
    int stale = is_stale_cookie(session->site, found->reason);

    session->current.key = has_record(found) || stale ? key : NULL;
    session->modified |= stale;
    session->current.seen = found->record;
    session->current.was_seen = active;
    session->started = active ? found->started : 0;
    session->lacks_start = active && found->lacks_start;
    session->data = active ? found->data : djs_value_make_dict(session->pool);
    session->status = found->status;
    session->reason = found->reason;
    session->problem = found->problem;
}

/* As Django's file engine when it meets an expired session. */
static void begin_anew(djs_session_t *session, const char *key, const djs_record_t *expired)
{
    session->old.key = key;
    session->old.seen = *expired;
    session->old.was_seen = 1;
    session->owed = OWED_CLEAN;
    session->wants_key = 1;
    session->modified = 1;
}

static apr_status_t lose_store(djs_ctx_t *ctx, djs_session_t *session)
{
    session->status = DJS_SESSION_ERROR;
    session->reason = DJS_REASON_STORE_ERROR;
    session->problem = ctx->problem;
    return DJS_ESTORE;
}

/*
 * Try the candidates in turn. The first live and readable one is taken; else the first that is
 * there but cannot be read, so that its cookie stays; else what the first one says.
 */
static apr_status_t look_up(djs_ctx_t *ctx, djs_session_t *session)
{
    found_t best = { .status = DJS_SESSION_NEW };
    const char *best_key = NULL;
    int i;

    best.reason = session->reason;
    for (i = 0; i < session->candidates_len && best.status != DJS_SESSION_ACTIVE; i++) {
        const char *key = session->candidates[i];
        found_t found;

        if (djs_session_fetch(ctx, session, key, &found) != APR_SUCCESS) {
            return lose_store(ctx, session);
        }
        if (best_key == NULL || found.status == DJS_SESSION_ACTIVE ||
            (found.status == DJS_SESSION_INVALID && best.status != DJS_SESSION_INVALID)) {
            best = found;
            best_key = key;
        }
    }
    adopt(session, best_key, &best);
    if (best.reason == DJS_REASON_EXPIRED && djs_session_is_aged(session->site)) {
        begin_anew(session, best_key, &best.record);
    }
    if (session->lacks_start && !session->modified) {
        session->modified = 1;
        session->upkeep = 1;
    }
    djs_trace(ctx, "session loaded: %s %s", djs_session_status_name(session->status),
              djs_reason_name(session->reason));
    return APR_SUCCESS;
}

/* After a failed load nothing may be concluded, again and again. */
static apr_status_t refuse(djs_ctx_t *ctx, const djs_session_t *session)
{
    return djs_fail(ctx, DJS_ESTORE, "%s",
                    session->problem ? session->problem : "the session could not be loaded");
}

apr_status_t djs_session_look(djs_ctx_t *ctx, djs_session_t *session)
{
    if (session->data == NULL) {
        session->data = djs_value_make_dict(session->pool);
        session->read_at = ctx->now;
        return look_up(ctx, session);
    }
    return session->status == DJS_SESSION_ERROR ? refuse(ctx, session) : APR_SUCCESS;
}

apr_status_t djs_session_load(djs_ctx_t *ctx, djs_session_t *session)
{
    return djs_session_look(ctx, session);
}

/* --- after a conflict --- */

struct djs_session_changes_t {
    int accessed;
    int modified;
    int upkeep;
    int cycled;
    djs_value_t *set;            /* dict */
    apr_array_header_t *deleted; /* of djs_bytes_t */
};

/* The record that the data came from, current or left behind; NULL when there is none. */
static const stored_t *origin(const djs_session_t *session)
{
    const stored_t *stored = session->owed == OWED_MOVE ? &session->old : &session->current;

    return stored->key != NULL && stored->was_seen ? stored : NULL;
}

static void compare(const djs_value_t *before, const djs_value_t *after,
                    djs_session_changes_t *changes)
{
    djs_value_t *value, *other;
    djs_bytes_t key;
    apr_size_t i;

    for (i = 0; djs_value_member(after, i, &key, &value); i++) {
        other = djs_value_get(before, key);
        if (other == NULL || !djs_value_same(other, value)) {
            djs_value_put_member(changes->set, after, i);
        }
    }
    for (i = 0; djs_value_member(before, i, &key, &value); i++) {
        if (djs_value_get(after, key) == NULL) {
            APR_ARRAY_PUSH(changes->deleted, djs_bytes_t) = key;
        }
    }
}

djs_session_changes_t *djs_session_changes(djs_ctx_t *ctx, const djs_session_t *session)
{
    djs_session_changes_t *changes = apr_pcalloc(ctx->pool, sizeof(*changes));
    const stored_t *stored = origin(session);
    found_t before;

    changes->accessed = session->accessed;
    changes->modified = session->modified;
    changes->upkeep = session->upkeep;
    changes->cycled = session->wants_key;
    changes->set = djs_value_make_dict(ctx->pool);
    changes->deleted = apr_array_make(ctx->pool, 0, sizeof(djs_bytes_t));
    if (session->modified && stored != NULL) {
        before.record = stored->seen;
        read_record(ctx, session->site, &before);
        if (before.status == DJS_SESSION_ACTIVE) {
            compare(before.data, session->data, changes);
        }
    }
    return changes;
}

apr_status_t djs_session_reload(djs_ctx_t *ctx, djs_session_t *session)
{
    const char *key = session->owed != OWED_NOTHING ? session->old.key : session->current.key;
    djs_ctx_t then = *ctx;
    found_t found;
    apr_status_t rv;

    if (key == NULL) {
        return djs_session_interrupted(ctx);
    }
    then.now = session->read_at != 0 ? session->read_at : ctx->now;
    rv = djs_session_fetch(&then, session, key, &found);
    ctx->patience = then.patience;
    ctx->problem = then.problem;
    if (rv != APR_SUCCESS) {
        return lose_store(ctx, session);
    }
    adopt(session, key, &found);
    session->owed = OWED_NOTHING;
    session->wants_key = session->accessed = session->modified = session->upkeep = 0;
    return has_record(&found) ? APR_SUCCESS : djs_session_interrupted(ctx);
}

apr_status_t djs_session_rebase(djs_ctx_t *ctx, djs_session_t *session,
                                const djs_session_changes_t *changes)
{
    apr_status_t rv = djs_session_reload(ctx, session);
    int i;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (i = 0; i < changes->deleted->nelts; i++) {
        djs_value_delete(session->data, APR_ARRAY_IDX(changes->deleted, i, djs_bytes_t));
    }
    djs_session_update(ctx, session, changes->set);
    if (changes->cycled) {
        djs_session_cycle_key(ctx, session);
    }
    session->accessed = changes->accessed;
    session->modified = changes->modified;
    session->upkeep = changes->upkeep;
    return APR_SUCCESS;
}
