/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a session is stored, gets another key and goes. The order of the steps is told in session.c.
 */
#include "session_impl.h"
#include "cookie.h"

#include <string.h>

/* A key of ours that is taken is drawn again this often; once is more than anybody will see. */
#define KEY_TRIES_MAX 16

/* Its beginning goes along, whatever has become of the rest. */
static void write_start(const djs_ctx_t *ctx, djs_session_t *session)
{
    if (session->site->settings->max_lifetime == 0) {
        return;
    }
    if (session->started == 0) {
        session->started = apr_time_sec(ctx->now);
    }
    djs_value_set(session->data, djs_bytes(DJS_SESSION_START_KEY),
                  djs_value_make_int(session->pool, session->started));
}

/* The data as a record. */
static apr_status_t make_record(djs_ctx_t *ctx, djs_session_t *session, djs_record_t *record)
{
    djs_expiry_t expiry;
    apr_status_t rv = djs_session_expiry(ctx, session, &expiry);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    write_start(ctx, session);
    record->expires = expiry.date;
    record->value = session->data;
    return djs_wire_write(ctx, djs_session_wire(ctx->pool, session->site), session->data,
                          &record->data);
}

static void note_stored(djs_session_t *session, const char *key, const djs_record_t *record)
{
    session->current.key = key;
    session->current.seen = *record;
    session->current.seen.value = NULL;
    session->current.was_seen = 1;
    session->wants_key = 0;
    session->lacks_start = 0;
    session->modified = 0;
    session->upkeep = 0;
    session->status = DJS_SESSION_ACTIVE;
    session->reason = DJS_REASON_NONE;
    session->problem = NULL;
}

apr_status_t djs_session_interrupted(djs_ctx_t *ctx)
{
    return djs_fail(ctx, DJS_EINTERRUPTED, "the session was deleted before the request completed, "
                    "for example by a logout in another one");
}

static apr_status_t remove_record(djs_ctx_t *ctx, const djs_session_t *session, const char *key)
{
    djs_engine_t *engine = session->site->engine;

    return engine->ops->remove(engine, ctx, key);
}

/*
 * May the record under a key be overwritten or removed? What was seen may; what nobody has looked at
 * is looked at now. A record that cannot be read is left alone.
 */
static apr_status_t check_readable(djs_ctx_t *ctx, const djs_session_t *session,
                                   const stored_t *stored, int *readable)
{
    found_t found;
    apr_status_t rv;

    *readable = 1;
    if (stored->was_seen) {
        return APR_SUCCESS;
    }
    rv = djs_session_fetch(ctx, session, stored->key, &found);
    *readable = rv == APR_SUCCESS && found.status != DJS_SESSION_INVALID;
    return rv;
}

/* Store under a key that nobody has. */
static apr_status_t insert(djs_ctx_t *ctx, djs_session_t *session, const djs_record_t *record,
                           const char **key)
{
    djs_engine_t *engine = session->site->engine;
    apr_status_t rv = APR_EEXIST;
    const char *drawn;
    int tries;

    for (tries = 0; rv == APR_EEXIST && tries < KEY_TRIES_MAX; tries++) {
        rv = djs_random_string(ctx, "abcdefghijklmnopqrstuvwxyz0123456789", DJS_SESSION_KEY_LEN,
                               &drawn);
        if (rv == APR_SUCCESS) {
            *key = djs_session_copy_key(session->pool, drawn);
            rv = engine->ops->create(engine, ctx, *key, record);
        }
    }
    if (rv == APR_EEXIST) {
        return djs_fail(ctx, DJS_ESTORE, "the store has every one of %d new session keys already",
                        KEY_TRIES_MAX);
    }
    return rv;
}

/* Put a dead record in the place of the one that was seen, so that nobody else can save it. */
static apr_status_t kill_old(djs_ctx_t *ctx, djs_session_t *session)
{
    djs_engine_t *engine = session->site->engine;
    djs_value_t *nothing = djs_value_make_dict(ctx->pool);
    djs_record_t dead = { .wire = NULL };
    apr_status_t rv;

    if (djs_session_is_aged(session->site)) { /* only what is inside tells that it is dead */
        djs_value_set(nothing, djs_bytes(DJS_SESSION_EXPIRY_KEY),
                      djs_value_make_int(ctx->pool, -1));
    }
    rv = djs_wire_write(ctx, session->site->wire, nothing, &dead.data);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    dead.value = nothing;
    dead.expires = ctx->now - apr_time_from_sec(86400);
    rv = engine->ops->replace(engine, ctx, session->old.key, &session->old.seen, &dead);
    return rv == APR_NOTFOUND ? djs_session_interrupted(ctx) : rv;
}

/* The end of a move: the old record goes, or the new one is taken back. */
static apr_status_t finish_move(djs_ctx_t *ctx, djs_session_t *session, const char *new_key)
{
    int readable = 1;
    apr_status_t rv = session->old.was_seen
                          ? kill_old(ctx, session)
                          : check_readable(ctx, session, &session->old, &readable);

    if (rv != APR_SUCCESS) {
        if (remove_record(ctx, session, new_key) != APR_SUCCESS) {
            djs_trace(ctx, "a session under a key that nobody knows is left to expire");
        }
        return rv;
    }
    if (readable && remove_record(ctx, session, session->old.key) != APR_SUCCESS) {
        djs_trace(ctx, "the dead record of a session that got a new key is left to be cleared");
    }
    session->old.key = NULL;
    session->owed = OWED_NOTHING;
    return APR_SUCCESS;
}

/* Remove what has aged; who has saved it since keeps it. */
static apr_status_t clean_old(djs_ctx_t *ctx, djs_session_t *session)
{
    apr_status_t rv = kill_old(ctx, session);

    if (rv == APR_SUCCESS) {
        return remove_record(ctx, session, session->old.key);
    }
    if (rv == DJS_ECONFLICT || rv == DJS_EINTERRUPTED) {
        djs_forget(ctx);
        return APR_SUCCESS;
    }
    return rv;
}

static apr_status_t remove_flushed(djs_ctx_t *ctx, djs_session_t *session)
{
    int readable;
    apr_status_t rv = check_readable(ctx, session, &session->old, &readable);

    return rv == APR_SUCCESS && readable ? remove_record(ctx, session, session->old.key) : rv;
}

/* What goes without anything in its place. */
static apr_status_t settle_removal(djs_ctx_t *ctx, djs_session_t *session)
{
    apr_status_t rv;

    if (session->owed != OWED_REMOVE && session->owed != OWED_CLEAN) {
        return APR_SUCCESS;
    }
    if (djs_session_is_stateless(session->site)) {
        session->owed = OWED_NOTHING;
        return APR_SUCCESS;
    }
    rv = session->owed == OWED_CLEAN ? clean_old(ctx, session) : remove_flushed(ctx, session);
    if (rv == APR_SUCCESS) {
        session->old.key = NULL;
        session->owed = OWED_NOTHING;
    }
    return rv;
}

/* What no browser would keep must not be sent: it would go on with the old cookie, or with none. */
static apr_status_t check_cookie_size(djs_ctx_t *ctx, djs_session_t *session, const char *value)
{
    const djs_settings_t *settings = session->site->settings;
    djs_expiry_t expiry;
    apr_size_t size;
    apr_status_t rv = djs_session_expiry(ctx, session, &expiry);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    size = strlen(djs_cookie_set(ctx, settings, settings->cookie_secure != DJS_SECURE_OFF, value,
                                 djs_cookie_life(&expiry)));
    if (size > DJS_COOKIE_SIZE_MAX) {
        return djs_fail(ctx, DJS_ELIMIT, "the session makes a cookie of %" APR_SIZE_T_FMT " bytes, "
                        "name and attributes included, of which browsers keep %d", size,
                        DJS_COOKIE_SIZE_MAX);
    }
    return APR_SUCCESS;
}

/* Into the key. What was owed to the old one is paid: nobody looks for it any more. */
static apr_status_t store_cookie(djs_ctx_t *ctx, djs_session_t *session)
{
    djs_record_t record = { .wire = NULL };
    const char *key = NULL;
    apr_status_t rv = make_record(ctx, session, &record);

    if (rv == APR_SUCCESS) {
        key = djs_session_copy_key(session->pool, apr_pstrmemdup(ctx->pool, record.data.data,
                                                                 record.data.len));
        rv = check_cookie_size(ctx, session, key);
    }
    if (rv == APR_SUCCESS) {
        record.expires = apr_time_from_sec(apr_time_sec(ctx->now))
                         + session->site->settings->cookie_age;
        session->old.key = NULL;
        session->owed = OWED_NOTHING;
        note_stored(session, key, &record);
    }
    return rv;
}

/* Under a new key, then what is owed to the old one. */
static apr_status_t store_new(djs_ctx_t *ctx, djs_session_t *session)
{
    djs_record_t record = { .wire = NULL };
    const char *key = NULL;
    apr_status_t rv;

    if (djs_session_is_stateless(session->site)) {
        return store_cookie(ctx, session);
    }
    rv = settle_removal(ctx, session);
    if (rv == APR_SUCCESS) {
        rv = make_record(ctx, session, &record);
    }
    if (rv == APR_SUCCESS) {
        rv = insert(ctx, session, &record, &key);
    }
    if (rv == APR_SUCCESS && session->owed == OWED_MOVE) {
        rv = finish_move(ctx, session, key);
    }
    if (rv == APR_SUCCESS) {
        note_stored(session, key, &record);
    }
    return rv;
}

/* Under the key that it has; with nothing seen, whatever is there. */
static apr_status_t store_again(djs_ctx_t *ctx, djs_session_t *session)
{
    djs_engine_t *engine = session->site->engine;
    stored_t *current = &session->current;
    djs_record_t record = { .wire = NULL };
    apr_status_t rv = make_record(ctx, session, &record);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = engine->ops->replace(engine, ctx, current->key, current->was_seen ? &current->seen : NULL,
                              &record);
    if (rv == APR_NOTFOUND) {
        return djs_session_interrupted(ctx);
    }
    if (rv == APR_SUCCESS) {
        note_stored(session, current->key, &record);
    }
    return rv;
}

apr_status_t djs_session_save(djs_ctx_t *ctx, djs_session_t *session)
{
    int readable;
    apr_status_t rv = djs_session_load(ctx, session);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (session->current.key == NULL || djs_session_is_stateless(session->site)) {
        return store_new(ctx, session);
    }
    rv = check_readable(ctx, session, &session->current, &readable);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (!readable) { /* its record stays as it is, and so does its key */
        session->current.key = NULL;
        return store_new(ctx, session);
    }
    return store_again(ctx, session);
}

apr_status_t djs_session_save_new(djs_ctx_t *ctx, djs_session_t *session)
{
    djs_engine_t *engine = session->site->engine;
    djs_record_t record = { .wire = NULL };
    apr_status_t rv;

    if (session->data == NULL) {
        session->data = djs_value_make_dict(session->pool);
    }
    if (session->current.key == NULL || djs_session_is_stateless(session->site)) {
        return store_new(ctx, session);
    }
    rv = make_record(ctx, session, &record);
    if (rv == APR_SUCCESS) {
        rv = engine->ops->create(engine, ctx, session->current.key, &record);
    }
    if (rv == APR_EEXIST) {
        return djs_fail(ctx, APR_EEXIST, "there is a session under this key already");
    }
    if (rv == APR_SUCCESS) {
        note_stored(session, session->current.key, &record);
    }
    return rv;
}

apr_status_t djs_session_create(djs_ctx_t *ctx, djs_session_t *session)
{
    apr_status_t rv;

    if (session->data == NULL) {
        session->data = djs_value_make_dict(session->pool);
    }
    rv = store_new(ctx, session);
    if (rv == APR_SUCCESS) {
        djs_session_set_modified(session);
    }
    return rv;
}

/* --- flush and cycle --- */

/* Part with the record under the current key. One that cannot be read is owed nothing. */
static void leave_behind(djs_session_t *session, owed_t owed)
{
    if (session->current.key != NULL && session->status != DJS_SESSION_INVALID) {
        session->old = session->current;
        session->owed = owed;
    }
    else if (session->owed == OWED_MOVE) {
        session->owed = owed;
    }
    session->current.key = NULL;
    session->current.was_seen = 0;
}

apr_status_t djs_session_claim(djs_ctx_t *ctx, djs_session_t *session)
{
    apr_status_t rv = djs_session_load(ctx, session);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (session->status != DJS_SESSION_ACTIVE || djs_session_is_stateless(session->site)) {
        return APR_NOTFOUND;
    }
    leave_behind(session, OWED_CLEAN);
    rv = kill_old(ctx, session);
    if (rv == DJS_ECONFLICT || rv == DJS_EINTERRUPTED) {
        djs_forget(ctx);
        return APR_NOTFOUND;
    }
    if (rv == APR_SUCCESS && remove_record(ctx, session, session->old.key) != APR_SUCCESS) {
        djs_forget(ctx); /* it is dead, and will be cleared */
    }
    session->old.key = NULL;
    session->owed = OWED_NOTHING;
    return rv;
}

void djs_session_flush(djs_ctx_t *ctx, djs_session_t *session)
{
    djs_session_clear(ctx, session);
    leave_behind(session, OWED_REMOVE);
    session->wants_key = 0;
    session->started = 0;
    session->lacks_start = 0;
    session->status = DJS_SESSION_NEW;
    session->reason = DJS_REASON_NONE;
    session->problem = NULL;
}

void djs_session_cycle_key(djs_ctx_t *ctx, djs_session_t *session)
{
    session->accessed = 1;
    djs_session_set_modified(session);
    if (djs_session_load(ctx, session) == APR_SUCCESS) {
        leave_behind(session, OWED_MOVE);
        session->wants_key = 1;
    }
}

apr_status_t djs_session_settle(djs_ctx_t *ctx, djs_session_t *session)
{
    return session->wants_key ? djs_session_save(ctx, session) : settle_removal(ctx, session);
}
