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
#include "session.h"
#include "cookie.h"

#include <string.h>

/* A key of ours that is taken is drawn again this often; once is more than anybody will see. */
#define KEY_TRIES_MAX 16

#define EXPIRY_KEY "_session_expiry"
#define START_KEY "_session_started"
#define TEST_COOKIE_KEY "testcookie"
#define TEST_COOKIE_VALUE "worked"

typedef enum owed_t {
    OWED_NOTHING,
    OWED_REMOVE, /* flush() */
    OWED_MOVE,   /* cycle_key() */
    OWED_CLEAN   /* an expired record, unless somebody saves it before us */
} owed_t;

/* A record of the engine, as far as it is known. */
typedef struct stored_t {
    const char *key;   /* NULL: none */
    djs_record_t seen; /* what was read under it */
    int was_seen;
} stored_t;

struct djs_session_t {
    const djs_site_t *site;
    apr_pool_t *pool;
    const char *const *candidates; /* of at least DJS_SESSION_KEY_MIN characters each */
    int candidates_len;
    stored_t current;
    stored_t old; /* what is owed concerns this one */
    owed_t owed;
    int wants_key; /* cycle_key(): to be stored, even when empty */
    djs_value_t *data;
    apr_int64_t started; /* Unix seconds; 0: not yet, or nobody wants to know */
    int lacks_start;     /* what is stored does not say so */
    apr_time_t read_at; /* what counted as now when the record was found live */
    int accessed;
    int modified;
    int upkeep;
    djs_session_status_t status;
    djs_reason_t reason;
    const char *problem;
};

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

static const char *copy_key(apr_pool_t *pool, const char *key)
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
        candidates[session->candidates_len++] = copy_key(ctx->pool, keys[i]);
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

/* Files: records tell when they were written, and no end. */
static int is_aged(const djs_site_t *site)
{
    return (site->engine->ops->flags & DJS_ENGINE_AGED) != 0;
}

/* The end of a lifetime that began then; 0: it has none. */
static apr_time_t lifetime_end(const djs_session_t *session, apr_int64_t started)
{
    apr_interval_time_t lifetime = session->site->settings->max_lifetime;

    return lifetime != 0 && started != 0 ? apr_time_from_sec(started) + lifetime : 0;
}

apr_time_t djs_session_ends(const djs_session_t *session)
{
    apr_time_t end = lifetime_end(session, session->started);
    apr_time_t expires = session->current.was_seen ? session->current.seen.expires : 0;

    if (end != 0 && expires == 0 && is_aged(session->site)) {
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

/* --- loading --- */

/* The site's, for the cookie that its texts are put into. */
static const djs_wire_t *wire_of(apr_pool_t *pool, const djs_site_t *site)
{
    return djs_wire_for(pool, site->wire, site->settings->cookie_name);
}

/* What there is under a key. */
typedef struct found_t {
    djs_session_status_t status;
    djs_reason_t reason;
    djs_record_t record;
    djs_value_t *data;
    apr_int64_t started; /* where lifetimes have an end */
    int lacks_start;
    const char *problem;
} found_t;

static int is_stateless(const djs_site_t *site)
{
    return (site->engine->ops->flags & DJS_ENGINE_STATELESS) != 0;
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
    return is_aged(site) && record->data.len == 0;
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
                                                        : wire_of(ctx->pool, site);

    if (found->record.value == NULL || is_stateless(site)) {
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
    if (is_stateless(site)) {
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
        stored = djs_value_get(found->data, djs_bytes(EXPIRY_KEY));
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
    if (is_aged(site)) {
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
    const djs_value_t *value = djs_value_get(data, djs_bytes(START_KEY));
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
    if (lifetime_end(session, found->started) <= ctx->now) {
        found->status = DJS_SESSION_EXPIRED;
        found->reason = DJS_REASON_MAX_LIFETIME;
    }
}

/* Ask the engine for one key. APR_SUCCESS whatever it has; DJS_ESTORE when it does not answer. */
static apr_status_t fetch(djs_ctx_t *ctx, const djs_session_t *session, const char *key,
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
    return is_stateless(site) && (reason == DJS_REASON_EXPIRED
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

        if (fetch(ctx, session, key, &found) != APR_SUCCESS) {
            return lose_store(ctx, session);
        }
        if (best_key == NULL || found.status == DJS_SESSION_ACTIVE ||
            (found.status == DJS_SESSION_INVALID && best.status != DJS_SESSION_INVALID)) {
            best = found;
            best_key = key;
        }
    }
    adopt(session, best_key, &best);
    if (best.reason == DJS_REASON_EXPIRED && is_aged(session->site)) {
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

static apr_status_t load(djs_ctx_t *ctx, djs_session_t *session)
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
    return load(ctx, session);
}

djs_value_t *djs_session_data(djs_ctx_t *ctx, djs_session_t *session)
{
    session->accessed = 1;
    if (session->data == NULL) {
        load(ctx, session); /* the status tells what came of it */
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
        load(ctx, session); /* the status tells what came of it */
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
    djs_session_set(ctx, session, djs_bytes(EXPIRY_KEY),
                    djs_value_make_int(session->pool, seconds));
}

void djs_session_set_expiry_none(djs_ctx_t *ctx, djs_session_t *session)
{
    take(ctx, session, djs_bytes(EXPIRY_KEY));
}

void djs_session_set_expiry_moment(djs_ctx_t *ctx, djs_session_t *session, djs_moment_t moment)
{
    const char *text = djs_moment_isoformat(ctx->pool, moment, 'T');

    djs_session_set(ctx, session, djs_bytes(EXPIRY_KEY),
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
    apr_time_t end = lifetime_end(session, session->started != 0 ? session->started
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

    if (!is_stateless(session->site)) {
        return expiry->date;
    }
    end_with_lifetime(ctx, session, &of_cookie);
    return of_cookie.date;
}

apr_status_t djs_session_expiry(djs_ctx_t *ctx, djs_session_t *session, djs_expiry_t *expiry)
{
    const djs_value_t *stored = djs_session_get(ctx, session, djs_bytes(EXPIRY_KEY));
    apr_status_t rv = djs_expiry_of(ctx, session->site->settings, session->site->zone, stored,
                                    expiry);

    end_with_lifetime(ctx, session, expiry);
    return rv;
}

/* --- storing --- */

/* Its beginning goes along, whatever has become of the rest. */
static void write_start(const djs_ctx_t *ctx, djs_session_t *session)
{
    if (session->site->settings->max_lifetime == 0) {
        return;
    }
    if (session->started == 0) {
        session->started = apr_time_sec(ctx->now);
    }
    djs_value_set(session->data, djs_bytes(START_KEY),
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
    return djs_wire_write(ctx, wire_of(ctx->pool, session->site), session->data, &record->data);
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

static apr_status_t interrupted(djs_ctx_t *ctx)
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
    rv = fetch(ctx, session, stored->key, &found);
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
            *key = copy_key(session->pool, drawn);
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

    if (is_aged(session->site)) { /* only what is inside tells that it is dead */
        djs_value_set(nothing, djs_bytes(EXPIRY_KEY), djs_value_make_int(ctx->pool, -1));
    }
    rv = djs_wire_write(ctx, session->site->wire, nothing, &dead.data);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    dead.value = nothing;
    dead.expires = ctx->now - apr_time_from_sec(86400);
    rv = engine->ops->replace(engine, ctx, session->old.key, &session->old.seen, &dead);
    return rv == APR_NOTFOUND ? interrupted(ctx) : rv;
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
    if (is_stateless(session->site)) {
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
        key = copy_key(session->pool, apr_pstrmemdup(ctx->pool, record.data.data, record.data.len));
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

    if (is_stateless(session->site)) {
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
        return interrupted(ctx);
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
    if (session->current.key == NULL || is_stateless(session->site)) {
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
    if (session->current.key == NULL || is_stateless(session->site)) {
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
    if (session->status != DJS_SESSION_ACTIVE || is_stateless(session->site)) {
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
        return interrupted(ctx);
    }
    then.now = session->read_at != 0 ? session->read_at : ctx->now;
    rv = fetch(&then, session, key, &found);
    ctx->patience = then.patience;
    ctx->problem = then.problem;
    if (rv != APR_SUCCESS) {
        return lose_store(ctx, session);
    }
    adopt(session, key, &found);
    session->owed = OWED_NOTHING;
    session->wants_key = session->accessed = session->modified = session->upkeep = 0;
    return has_record(&found) ? APR_SUCCESS : interrupted(ctx);
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
