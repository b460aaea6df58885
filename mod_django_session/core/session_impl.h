/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of a session share: itself and its dictionary (session.c), how it is read and what
 * that says (session_read.c), and how it is stored (session_save.c).
 */
#ifndef DJS_SESSION_IMPL_H
#define DJS_SESSION_IMPL_H

#include "session.h"

#define DJS_SESSION_EXPIRY_KEY "_session_expiry"
#define DJS_SESSION_START_KEY "_session_started"

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
    apr_time_t read_at;  /* what counted as now when the record was found live */
    int accessed;
    int modified;
    int upkeep;
    djs_session_status_t status;
    djs_reason_t reason;
    const char *problem;
};

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

/* Files: records tell when they were written, and no end. */
static inline int djs_session_is_aged(const djs_site_t *site)
{
    return (site->engine->ops->flags & DJS_ENGINE_AGED) != 0;
}

/* Cookies: the key is the record. */
static inline int djs_session_is_stateless(const djs_site_t *site)
{
    return (site->engine->ops->flags & DJS_ENGINE_STATELESS) != 0;
}

/* A copy of a key that is wiped with @a pool. */
const char *djs_session_copy_key(apr_pool_t *pool, const char *key);

/* The end of a lifetime that began then, in Unix seconds; 0: it has none. */
apr_time_t djs_session_lifetime_end(const djs_session_t *session, apr_int64_t started);

/* The site's wire, for the cookie that its texts are put into. */
const djs_wire_t *djs_session_wire(apr_pool_t *pool, const djs_site_t *site);

/* djs_session_load() for who looks at the status, which tells what came of it. */
apr_status_t djs_session_look(djs_ctx_t *ctx, djs_session_t *session);

/* Ask the engine for one key. APR_SUCCESS whatever it has; DJS_ESTORE when it does not answer. */
apr_status_t djs_session_fetch(djs_ctx_t *ctx, const djs_session_t *session, const char *key,
                               found_t *found) DJS_MUST_CHECK;

/* Somebody else has deleted it: DJS_EINTERRUPTED, with its problem. */
apr_status_t djs_session_interrupted(djs_ctx_t *ctx);

#endif
