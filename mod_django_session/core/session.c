/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SessionBase over an engine.
 *
 * Where a session stands is told by three things: its key, its data (NULL until somebody asks), and
 * what is owed to the engine:
 *
 *     key   data   owed     meaning
 *     k     NULL   -        a cookie brought k; nobody has looked
 *     k     d      -        loaded, or cleared without looking (then nothing was seen)
 *     NULL  d      -        there is none; a save makes one
 *     NULL  {}     remove   flushed: the record under the old key is to go
 *     NULL  d      move     cycled: d is to live under a new key, the record under the old is to go
 *     NULL  {}     clean    the record under the old key has aged: it is to go if it still is the same
 *
 * Moving is safe against others who save at the same time: first d is stored under the new key,
 * which nobody knows; then the old record is replaced, by compare-and-swap, with one that is dead;
 * then it is removed. When the swap fails the new record is taken back, and nothing has happened.
 *
 * With a stateless engine the key is the record. Each save makes another one; nothing is left behind
 * that could be removed, replaced or in conflict, and nothing can be taken back from who has kept it.
 * A cookie that is too old or that no key made holds nothing worth keeping: as in Django the session
 * counts as modified, so that whoever looks at it gets a fresh one. One that is genuine and cannot
 * be read is left alone, as every such record is.
 */
#include "session_impl.h"

#include <string.h>

#define TEST_COOKIE_KEY "testcookie"
#define TEST_COOKIE_VALUE "worked"

const char *djs_session_status_name(djs_session_status_t status)
{
    static const char *const names[] = { "", "active", "new", "expired", "invalid", "error" };

    return names[status];
}

const char *djs_reason_name(djs_reason_t reason)
{
    static const char *const names[] = {
        [DJS_REASON_NONE] = "",
        [DJS_REASON_NO_COOKIE] = "no-cookie",
        [DJS_REASON_BAD_KEY] = "bad-key",
        [DJS_REASON_UNKNOWN_KEY] = "unknown-key",
        [DJS_REASON_EXPIRED] = "expired",
        [DJS_REASON_MAX_LIFETIME] = "max-lifetime",
        [DJS_REASON_BAD_SIGNATURE] = "bad-signature",
        [DJS_REASON_UNREADABLE] = "unreadable",
        [DJS_REASON_STORE_ERROR] = "store-error",
        [DJS_REASON_NO_LOGIN] = "no-login",
        [DJS_REASON_USER_UNKNOWN] = "user-unknown",
        [DJS_REASON_USER_INACTIVE] = "user-inactive",
        [DJS_REASON_PASSWORD_CHANGED] = "password-changed",
        [DJS_REASON_BACKEND_REFUSED] = "backend-refused",
        [DJS_REASON_NOT_RECENT] = "not-recent",
        [DJS_REASON_NO_PERMISSION] = "no-permission"
    };

    return names[reason];
}

/* --- making, asking --- */

/* Has it so many characters of UTF-8? Every byte is one but those that continue one. */
static int has_characters(const char *text, apr_size_t wanted)
{
    for (; *text != '\0' && wanted > 0; text++) {
        wanted -= ((unsigned char)*text & 0xc0) != 0x80;
    }
    return wanted == 0;
}

const char *djs_session_copy_key(apr_pool_t *pool, const char *key)
{
    apr_size_t len = strlen(key);
    char *copy = apr_pstrmemdup(pool, key, len);

    djs_secret_wipe_with(pool, copy, len);
    return copy;
}

djs_session_t *djs_session_make(djs_ctx_t *ctx, const djs_site_t *site, const char *const *keys,
                                int count)
{
    djs_session_t *session = apr_pcalloc(ctx->pool, sizeof(*session));
    const char **candidates = NULL;
    int i;

    session->site = site;
    session->pool = ctx->pool;
    session->reason = count > 0 ? DJS_REASON_BAD_KEY : DJS_REASON_NO_COOKIE;
    for (i = 0; i < count; i++) {
        if (!has_characters(keys[i], DJS_SESSION_KEY_MIN)) {
            continue;
        }
        if (candidates == NULL) {
            candidates = apr_palloc(ctx->pool, (apr_size_t)(count - i) * sizeof(*candidates));
        }
        candidates[session->candidates_len++] = djs_session_copy_key(ctx->pool, keys[i]);
    }
    session->candidates = candidates;
    if (candidates != NULL) {
        session->current.key = candidates[0];
        session->reason = DJS_REASON_NONE;
    }
    return session;
}

const char *djs_session_key(const djs_session_t *session)
{
    return session->current.key;
}

int djs_session_accessed(const djs_session_t *session)
{
    return session->accessed;
}

int djs_session_modified(const djs_session_t *session)
{
    return session->modified;
}

void djs_session_set_modified(djs_session_t *session)
{
    session->modified = 1;
    session->upkeep = 0;
}

void djs_session_set_upkeep(djs_session_t *session)
{
    session->upkeep = 1;
}

int djs_session_is_upkeep(const djs_session_t *session)
{
    return session->upkeep;
}

int djs_session_is_empty(const djs_session_t *session)
{
    return session->current.key == NULL && !session->wants_key &&
           (session->data == NULL || djs_value_len(session->data) == 0);
}

int djs_session_owes(const djs_session_t *session)
{
    return session->owed != OWED_NOTHING || session->wants_key;
}

djs_session_status_t djs_session_status(const djs_session_t *session)
{
    return session->status;
}

djs_reason_t djs_session_reason(const djs_session_t *session)
{
    return session->reason;
}

apr_time_t djs_session_lifetime_end(const djs_session_t *session, apr_int64_t started)
{
    apr_interval_time_t lifetime = session->site->settings->max_lifetime;

    return lifetime != 0 && started != 0 ? apr_time_from_sec(started) + lifetime : 0;
}

apr_time_t djs_session_ends(const djs_session_t *session)
{
    apr_time_t end = djs_session_lifetime_end(session, session->started);
    apr_time_t expires = session->current.was_seen ? session->current.seen.expires : 0;

    if (end != 0 && expires == 0 && djs_session_is_aged(session->site)) {
        return end;
    }
    return end != 0 && end < expires ? end : expires;
}

int djs_session_lacks_start(const djs_session_t *session)
{
    return session->lacks_start;
}

const char *djs_session_problem(const djs_session_t *session)
{
    return session->problem;
}

djs_value_t *djs_session_data(djs_ctx_t *ctx, djs_session_t *session)
{
    session->accessed = 1;
    if (session->data == NULL) {
        djs_session_look(ctx, session); /* the status tells what came of it */
    }
    return session->data;
}

int djs_session_finds_none(djs_session_t *session)
{
    if (session->candidates_len > 0 || session->data != NULL) {
        return 0;
    }
    session->accessed = 1;
    session->status = DJS_SESSION_NEW;
    return 1;
}

/* --- the dictionary --- */

djs_value_t *djs_session_get(djs_ctx_t *ctx, djs_session_t *session, djs_bytes_t key)
{
    return djs_value_get(djs_session_data(ctx, session), key);
}

int djs_session_has_key(djs_ctx_t *ctx, djs_session_t *session, djs_bytes_t key)
{
    return djs_session_get(ctx, session, key) != NULL;
}

void djs_session_set(djs_ctx_t *ctx, djs_session_t *session, djs_bytes_t key, djs_value_t *value)
{
    djs_value_set(djs_session_data(ctx, session), key, value);
    djs_session_set_modified(session);
}

static djs_value_t *take(djs_ctx_t *ctx, djs_session_t *session, djs_bytes_t key)
{
    djs_value_t *value = djs_session_get(ctx, session, key);

    if (value != NULL) {
        djs_value_delete(session->data, key);
        djs_session_set_modified(session);
    }
    return value;
}

/* Django asks whether it is modified before it looks, and looking may be what makes it so. */
djs_value_t *djs_session_pop(djs_ctx_t *ctx, djs_session_t *session, djs_bytes_t key)
{
    int before = session->modified;
    djs_value_t *value = take(ctx, session, key);

    session->modified = before || value != NULL;
    return value;
}

apr_status_t djs_session_delete_key(djs_ctx_t *ctx, djs_session_t *session, djs_bytes_t key)
{
    return take(ctx, session, key) != NULL ? APR_SUCCESS : APR_NOTFOUND;
}

djs_value_t *djs_session_setdefault(djs_ctx_t *ctx, djs_session_t *session, djs_bytes_t key,
                                    djs_value_t *value)
{
    djs_value_t *there = djs_session_get(ctx, session, key);

    if (there != NULL) {
        return there;
    }
    djs_session_set(ctx, session, key, value);
    return value;
}

void djs_session_update(djs_ctx_t *ctx, djs_session_t *session, const djs_value_t *dict)
{
    djs_value_t *data = djs_session_data(ctx, session);
    djs_value_t *value;
    djs_bytes_t key;
    apr_size_t i;

    for (i = 0; djs_value_member(dict, i, &key, &value); i++) {
        djs_value_put_member(data, dict, i);
    }
    djs_session_set_modified(session);
}

/*
 * Before the current key is acted upon unseen: of several candidates, find out which one it is, and
 * when the session began.
 */
static void choose_key(djs_ctx_t *ctx, djs_session_t *session)
{
    if (session->data == NULL && (session->candidates_len > 1 ||
                                  session->site->settings->max_lifetime != 0)) {
        djs_session_look(ctx, session); /* the status tells what came of it */
    }
}

void djs_session_clear(djs_ctx_t *ctx, djs_session_t *session)
{
    choose_key(ctx, session);
    session->data = djs_value_make_dict(session->pool);
    session->accessed = 1;
    djs_session_set_modified(session);
}

void djs_session_set_test_cookie(djs_ctx_t *ctx, djs_session_t *session)
{
    djs_session_set(ctx, session, djs_bytes(TEST_COOKIE_KEY),
                    djs_value_make_str(session->pool, djs_bytes(TEST_COOKIE_VALUE)));
}

int djs_session_test_cookie_worked(djs_ctx_t *ctx, djs_session_t *session)
{
    const djs_value_t *value = djs_session_get(ctx, session, djs_bytes(TEST_COOKIE_KEY));

    return value != NULL && djs_value_type(value) == DJS_TYPE_STR &&
           djs_bytes_is(djs_value_str(value), TEST_COOKIE_VALUE);
}

apr_status_t djs_session_delete_test_cookie(djs_ctx_t *ctx, djs_session_t *session)
{
    return djs_session_delete_key(ctx, session, djs_bytes(TEST_COOKIE_KEY));
}

/* --- expiry --- */

void djs_session_set_expiry_seconds(djs_ctx_t *ctx, djs_session_t *session, apr_int64_t seconds)
{
    djs_session_set(ctx, session, djs_bytes(DJS_SESSION_EXPIRY_KEY),
                    djs_value_make_int(session->pool, seconds));
}

void djs_session_set_expiry_none(djs_ctx_t *ctx, djs_session_t *session)
{
    take(ctx, session, djs_bytes(DJS_SESSION_EXPIRY_KEY));
}

void djs_session_set_expiry_moment(djs_ctx_t *ctx, djs_session_t *session, djs_moment_t moment)
{
    const char *text = djs_moment_isoformat(ctx->pool, moment, 'T');

    djs_session_set(ctx, session, djs_bytes(DJS_SESSION_EXPIRY_KEY),
                    djs_value_make_str(session->pool, djs_bytes(text)));
}

void djs_session_set_expiry_span(djs_ctx_t *ctx, djs_session_t *session, apr_interval_time_t span)
{
    djs_moment_t moment = djs_expiry_now(ctx, session->site->zone);

    if (span > DJS_MOMENT_MAX - 1 - moment.local) {
        span = DJS_MOMENT_MAX - 1 - moment.local;
    }
    if (span < DJS_MOMENT_MIN - moment.local) {
        span = DJS_MOMENT_MIN - moment.local;
    }
    moment.local += span;
    djs_session_set_expiry_moment(ctx, session, moment);
}

/* A session that is still to be stored begins now. */
static void end_with_lifetime(const djs_ctx_t *ctx, const djs_session_t *session,
                              djs_expiry_t *expiry)
{
    apr_time_t end = djs_session_lifetime_end(session, session->started != 0 ? session->started
                                                                 : apr_time_sec(ctx->now));

    if (end != 0 && end < expiry->date) {
        expiry->date = end;
        expiry->age = djs_expiry_until(ctx, end);
    }
}

apr_time_t djs_session_ends_if_saved(const djs_ctx_t *ctx, const djs_session_t *session,
                                     const djs_expiry_t *expiry)
{
    djs_expiry_t of_cookie = { .date = apr_time_from_sec(apr_time_sec(ctx->now))
                                       + session->site->settings->cookie_age };

    if (!djs_session_is_stateless(session->site)) {
        return expiry->date;
    }
    end_with_lifetime(ctx, session, &of_cookie);
    return of_cookie.date;
}

apr_status_t djs_session_expiry(djs_ctx_t *ctx, djs_session_t *session, djs_expiry_t *expiry)
{
    const djs_value_t *stored = djs_session_get(ctx, session, djs_bytes(DJS_SESSION_EXPIRY_KEY));
    apr_status_t rv = djs_expiry_of(ctx, session->site->settings, session->site->zone, stored,
                                    expiry);

    end_with_lifetime(ctx, session, expiry);
    return rv;
}
