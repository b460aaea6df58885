/* SPDX-License-Identifier: Apache-2.0 */
/*
 * django.contrib.sessions.backends.base.SessionBase.
 *
 * A session is an ordered dictionary with a key and two flags: accessed (somebody looked at the
 * data) and modified (it must be saved). It is loaded from its engine at the first use. The names,
 * and when each sets which flag, are Django's.
 *
 * One thing is stricter than Django: a record that cannot be read (status INVALID) is never
 * overwritten or deleted; whoever changes such a session gets a new one under a new key, and whoever
 * flushes it parts with its key only.
 *
 * Where records age (DJS_ENGINE_AGED) and one has expired, readable or not, a look at it is as in
 * Django's file engine: it is to go, and an empty session under a new key takes its place. Django
 * does both at once; here they are owed until the session is saved, as after a flush.
 *
 * Saving is a compare-and-swap against what was loaded. On DJS_ECONFLICT the host calls
 * djs_session_reload() and applies its changes again, or has them put on top of what is stored now
 * by djs_session_rebase(). A session that was deleted meanwhile is not resurrected:
 * DJS_EINTERRUPTED, Django's SessionInterrupted.
 *
 * With DjangoSessionMaxLifetime a session ends so long after its beginning, which is kept inside it as
 * `_session_started` (Unix seconds): written when it is stored, never moved, whatever happens to the
 * data. cycle_key() and clear() do not begin a session, flush() does. One of Django's begins when it
 * is met here first; that is upkeep. One that is over has status EXPIRED, its record stays.
 *
 * A session belongs to one request and one thread, and lives in the pool of the ctx it was made with.
 */
#ifndef DJS_SESSION_H
#define DJS_SESSION_H

#include "../djs_engine.h"
#include "expiry.h"
#include "moment.h"
#include "secret.h"
#include "settings.h"
#include "value.h"
#include "wire.h"

struct djs_users_t; /* auth.h */

/**
 * A Django site as one configuration section sees it: settings and what was opened from them.
 * Made at start (stores.h), immutable, shared by all threads.
 */
typedef struct djs_site_t {
    const djs_settings_t *settings;
    const djs_keyring_t *keys;
    const djs_wire_t *wire;
    djs_engine_t *engine;
    struct djs_users_t *users; /* NULL: no user table is looked at */
    const djs_zone_t *zone;    /* NULL: USE_TZ; else the zone of naive times */
    const char *cookie_deletion; /* djs_cookie_delete(), made once; NULL: to be made when needed */
} djs_site_t;

/** Fewer characters are no key. */
#define DJS_SESSION_KEY_MIN 8
/** A key of ours. */
#define DJS_SESSION_KEY_LEN 32

/** DJANGO_SESSION_STATUS. */
typedef enum djs_session_status_t {
    DJS_SESSION_UNREAD = 0, /* nobody has looked */
    DJS_SESSION_ACTIVE,
    DJS_SESSION_NEW,
    DJS_SESSION_EXPIRED,
    DJS_SESSION_INVALID,
    DJS_SESSION_ERROR
} djs_session_status_t;

/** DJANGO_SESSION_REASON; the texts are in djs_reason_name(). */
typedef enum djs_reason_t {
    DJS_REASON_NONE = 0,
    DJS_REASON_NO_COOKIE,
    DJS_REASON_BAD_KEY,       /* under 8 characters, or not a key at all */
    DJS_REASON_UNKNOWN_KEY,   /* no live record; db and caches do not tell expired from never */
    DJS_REASON_EXPIRED,
    DJS_REASON_MAX_LIFETIME,
    DJS_REASON_BAD_SIGNATURE,
    DJS_REASON_UNREADABLE,
    DJS_REASON_STORE_ERROR,
    DJS_REASON_NO_LOGIN,
    DJS_REASON_USER_UNKNOWN,
    DJS_REASON_USER_INACTIVE,
    DJS_REASON_PASSWORD_CHANGED,
    DJS_REASON_BACKEND_REFUSED,
    DJS_REASON_NOT_RECENT,
    DJS_REASON_NO_PERMISSION
} djs_reason_t;

const char *djs_session_status_name(djs_session_status_t status);
/** "" for DJS_REASON_NONE. */
const char *djs_reason_name(djs_reason_t reason);

typedef struct djs_session_t djs_session_t;

/**
 * How a record of the site's engine stands: ACTIVE, INVALID (it cannot be read) or EXPIRED. Works out
 * record->expires where the engine does not tell it (DJS_ENGINE_AGED): 0 is for ever then. An aged
 * record without a byte is a session that Django is about to write: ACTIVE, {}, for ever.
 */
djs_session_status_t djs_session_judge(djs_ctx_t *ctx, const djs_site_t *site,
                                       djs_record_t *record);

/**
 * A session that nobody has looked at. Nothing is read yet.
 *
 * @param keys   candidate keys, the one to try first at index 0 (of several cookies of our name:
 *               the last); copied. One with under 8 characters counts as none
 * @param count  0: the request brought none
 */
djs_session_t *djs_session_make(djs_ctx_t *ctx, const djs_site_t *site, const char *const *keys,
                                int count);

/** session_key: the current key, or NULL. Secret. */
const char *djs_session_key(const djs_session_t *session);
int djs_session_accessed(const djs_session_t *session);
int djs_session_modified(const djs_session_t *session);
/** request.session.modified = True: something deep inside a value was changed. */
void djs_session_set_modified(djs_session_t *session);
/** No key and no data. Loads nothing: a key that was not looked up yet counts as "not empty". */
int djs_session_is_empty(const djs_session_t *session);

/**
 * What was changed since the session was last unmodified is our own upkeep, which nobody asked for
 * (a login hash written anew): when it cannot be stored, because another request was faster, that is
 * no failure. Any other change ends that.
 */
void djs_session_set_upkeep(djs_session_t *session);
int djs_session_is_upkeep(const djs_session_t *session);

/**
 * Something is there that cannot be read and is not to be overwritten: status INVALID. Not so a
 * cookie with a signature that no key made, whose engine has nothing else: what a stranger wrote is
 * not worth keeping. Loads nothing.
 */
int djs_session_is_unreadable(const djs_session_t *session);

/** Where it stands; loads nothing. */
djs_session_status_t djs_session_status(const djs_session_t *session);
djs_reason_t djs_session_reason(const djs_session_t *session);

/**
 * When the record that was loaded, or was saved since, ends; 0 when there is none. Not beyond the
 * lifetime's end.
 */
apr_time_t djs_session_ends(const djs_session_t *session);
/** Its lifetime has an end, but what is stored does not say yet when it began. */
int djs_session_lacks_start(const djs_session_t *session);
/**
 * When it would end, were it saved now with @a expiry: a cookie is taken for the settings' age,
 * whatever the session says of itself.
 */
apr_time_t djs_session_ends_if_saved(const djs_ctx_t *ctx, const djs_session_t *session,
                                     const djs_expiry_t *expiry);
/** With status INVALID or ERROR: what was wrong, as a sentence without secrets; else NULL. */
const char *djs_session_problem(const djs_session_t *session);

/**
 * Load if not loaded, without setting accessed. Of several candidate keys the first that has a live
 * readable record is taken; else the first whose record cannot be read; else the first candidate
 * decides the status.
 * APR_SUCCESS: loaded, or there is none (status NEW, EXPIRED, INVALID; the data is {}).
 * DJS_ESTORE: status ERROR; nothing may be concluded from the data, which is {}. Tried once only.
 */
apr_status_t djs_session_load(djs_ctx_t *ctx, djs_session_t *session) DJS_MUST_CHECK;

/**
 * The dictionary, loaded if need be; sets accessed. Read-only for the caller; changes go through
 * the functions below. Never NULL: {} when there is none or after a failed load.
 */
djs_value_t *djs_session_data(djs_ctx_t *ctx, djs_session_t *session);

/**
 * The same look where it is sure to find {}: no key was brought, and nothing has been put in. Status
 * NEW, and no dictionary is made. 0: it is not sure, and nobody has looked.
 */
int djs_session_finds_none(djs_session_t *session);

/* Dict operations. All load, all set accessed; who sets modified is Django's rule, noted here. */
djs_value_t *djs_session_get(djs_ctx_t *ctx, djs_session_t *session, djs_bytes_t key);
int djs_session_has_key(djs_ctx_t *ctx, djs_session_t *session, djs_bytes_t key);
/** modified: always. */
void djs_session_set(djs_ctx_t *ctx, djs_session_t *session, djs_bytes_t key, djs_value_t *value);
/** modified: if it was there. APR_NOTFOUND: KeyError. */
apr_status_t djs_session_delete_key(djs_ctx_t *ctx, djs_session_t *session, djs_bytes_t key);
/** modified: if it was there. NULL: it was not. */
djs_value_t *djs_session_pop(djs_ctx_t *ctx, djs_session_t *session, djs_bytes_t key);
/** modified: if absent. Gives what is there now. */
djs_value_t *djs_session_setdefault(djs_ctx_t *ctx, djs_session_t *session, djs_bytes_t key,
                                    djs_value_t *value);
/** modified: always, even for {}. */
void djs_session_update(djs_ctx_t *ctx, djs_session_t *session, const djs_value_t *dict);

/** Empty the data, keep the key; loads nothing; accessed and modified. */
void djs_session_clear(djs_ctx_t *ctx, djs_session_t *session);

/* Test cookie. */
void djs_session_set_test_cookie(djs_ctx_t *ctx, djs_session_t *session);
int djs_session_test_cookie_worked(djs_ctx_t *ctx, djs_session_t *session);
/** APR_NOTFOUND: KeyError. */
apr_status_t djs_session_delete_test_cookie(djs_ctx_t *ctx, djs_session_t *session);

/* Expiry. Django's set_expiry() in its forms. */
void djs_session_set_expiry_seconds(djs_ctx_t *ctx, djs_session_t *session, apr_int64_t seconds);
/** set_expiry(None): the policy of the settings again. modified: only if there was one. */
void djs_session_set_expiry_none(djs_ctx_t *ctx, djs_session_t *session);
/** set_expiry(datetime): stored as isoformat() text, its offset kept. */
void djs_session_set_expiry_moment(djs_ctx_t *ctx, djs_session_t *session, djs_moment_t moment);
/** set_expiry(timedelta): now + span, stored as a date. */
void djs_session_set_expiry_span(djs_ctx_t *ctx, djs_session_t *session, apr_interval_time_t span);

/**
 * Work out the three answers. Loads, sets accessed.
 * DJS_EFORMAT: `_session_expiry` is nothing that Django could use (it would answer 500);
 * @a expiry then holds the settings' policy.
 */
apr_status_t djs_session_expiry(djs_ctx_t *ctx, djs_session_t *session, djs_expiry_t *expiry)
    DJS_MUST_CHECK;

/**
 * save(): store under the current key; with no key, create().
 * APR_SUCCESS         stored; not modified any more; djs_session_key() is its key
 * DJS_ECONFLICT       it was changed since it was loaded: reload, apply again, save again
 * DJS_EINTERRUPTED    its record is gone (Django's UpdateError)
 * DJS_ESTORE, DJS_EFORMAT (expiry), DJS_ELIMIT
 * A session of status INVALID is stored under a new key; its old record stays.
 */
apr_status_t djs_session_save(djs_ctx_t *ctx, djs_session_t *session) DJS_MUST_CHECK;

/** save(must_create=True). APR_EEXIST: CreateError; else as save(). */
apr_status_t djs_session_save_new(djs_ctx_t *ctx, djs_session_t *session) DJS_MUST_CHECK;

/** create(): a new key, a record at once with the loaded data or {}. */
apr_status_t djs_session_create(djs_ctx_t *ctx, djs_session_t *session) DJS_MUST_CHECK;

/**
 * Forget the data, the flags and what is owed, and read the record again, under the key that it was
 * loaded from. It counts as live when it is for the time at which it was loaded first.
 * DJS_EINTERRUPTED: it is gone; DJS_ESTORE.
 */
apr_status_t djs_session_reload(djs_ctx_t *ctx, djs_session_t *session) DJS_MUST_CHECK;

/** What was done to a session since it was loaded: keys set and deleted, flags, a cycled key. */
typedef struct djs_session_changes_t djs_session_changes_t;
djs_session_changes_t *djs_session_changes(djs_ctx_t *ctx, const djs_session_t *session);

/** djs_session_reload(), then the changes on top of what is stored now. Same outcomes. */
apr_status_t djs_session_rebase(djs_ctx_t *ctx, djs_session_t *session,
                                const djs_session_changes_t *changes) DJS_MUST_CHECK;

/**
 * Take the record out of the store for good, keeping what was read. Of all who try, in whatever process,
 * one gets APR_SUCCESS; the others, and who comes when there is none or when it was changed since it was
 * read, APR_NOTFOUND. DJS_ESTORE: it may be gone. The session has no key then.
 */
apr_status_t djs_session_claim(djs_ctx_t *ctx, djs_session_t *session) DJS_MUST_CHECK;

/**
 * flush(): clear, delete the record, no key. The record goes when the host saves
 * (djs_middleware_finish) or, outside a request, with djs_session_settle(): an answer that fails
 * half-way deletes nothing.
 */
void djs_session_flush(djs_ctx_t *ctx, djs_session_t *session);

/**
 * cycle_key(): keep the data under a new key. As flush(), the engine is asked when the session is
 * saved; then the old record is removed.
 */
void djs_session_cycle_key(djs_ctx_t *ctx, djs_session_t *session);

/**
 * Do what is owed to the engine: for a flushed session remove the record, for a cycled one create
 * the new and remove the old (outcomes as djs_session_save()'s). Nothing owed: APR_SUCCESS.
 * djs_session_save() does the same and more.
 */
apr_status_t djs_session_settle(djs_ctx_t *ctx, djs_session_t *session) DJS_MUST_CHECK;
/** Is anything owed. */
int djs_session_owes(const djs_session_t *session);

#endif
