/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An engine made of a hash table, for tests: keeps the contract of djs_engine.h, counts its calls,
 * can be down, tells no end of a record that was put with 0, and lets a test step in at the moment
 * before a call, to force an order of events.
 */
#ifndef MEMORY_ENGINE_H
#define MEMORY_ENGINE_H

#include <apr_hash.h>

#include "session.h"

typedef struct memory_engine_t memory_engine_t;

/** Called before an operation ("load", "create", "replace", "remove") does its work. */
typedef void (*memory_step_fn)(void *baton, memory_engine_t *memory, const char *operation);

struct memory_engine_t {
    djs_engine_t engine; /* to be given to a site */
    apr_pool_t *pool;
    apr_hash_t *records; /* key -> djs_record_t */
    int aged;            /* it is as one of files: see memory_engine_age() */
    int down;            /* every call fails with DJS_ESTORE */
    int taken;           /* so many creates find their key taken */
    int loads, creates, replaces, removes;
    memory_step_fn step; /* NULL: nobody steps in */
    void *baton;
};

memory_engine_t *memory_engine_make(apr_pool_t *pool);

/** From now on it keeps the time at which records are written, and no end (DJS_ENGINE_AGED). */
void memory_engine_age(memory_engine_t *memory);

/** What is under a key, live or not; NULL: nothing. */
const djs_record_t *memory_engine_get(const memory_engine_t *memory, const char *key);

/** Put, whatever is there; the bytes are copied. NULL removes. */
void memory_engine_put(memory_engine_t *memory, const char *key, const djs_record_t *record);

int memory_engine_count(const memory_engine_t *memory);

/** Calls of all kinds. */
int memory_engine_calls(const memory_engine_t *memory);

/** Some key that is there and is not @a other; NULL: none. */
const char *memory_engine_key_beside(const memory_engine_t *memory, const char *other);

/*
 * A site over it: Django's default settings, the secret key "secret" (or the keys given), records
 * as the db engine has them. Settings may be changed at any time.
 */
typedef struct memory_site_t {
    djs_site_t site;
    djs_settings_t settings;
    memory_engine_t *memory;
} memory_site_t;

memory_site_t *memory_site_make(apr_pool_t *pool);

/** The same with other keys. */
memory_site_t *memory_site_make_with(apr_pool_t *pool, const djs_keyring_t *keys);

/** Store JSON text as a session's data under a key, as the site's wire writes it. */
void memory_site_put(djs_ctx_t *ctx, memory_site_t *site, const char *key, const char *json,
                     apr_time_t expires);

/** The data under a key as compact JSON; NULL: nothing there. "(unreadable)": not ours to read. */
const char *memory_site_get(djs_ctx_t *ctx, const memory_site_t *site, const char *key);

/** A session object with one candidate key, or none. */
djs_session_t *memory_site_session(djs_ctx_t *ctx, const memory_site_t *site, const char *key);

/** Its data as compact JSON; a look at it. */
const char *memory_session_json(djs_ctx_t *ctx, djs_session_t *session);

#endif
