/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session engine: where records live. The contract for ours and for engines of other modules.
 *
 * An engine maps a session key to a record: opaque bytes with an end of life. It knows nothing of
 * what is inside, of requests, or of cookies. Every function may be called by many threads at the
 * same time with the same engine; a djs_ctx_t belongs to one of them.
 *
 * Each function must return within ctx->patience, and take from it what it used. Failures set
 * ctx->problem (djs_fail) and never quote a key or data.
 *
 * Keys come from clients: any bytes without NUL, 8 characters or more, no upper length. An engine
 * that cannot hold a key answers APR_NOTFOUND.
 */
#ifndef DJS_ENGINE_H
#define DJS_ENGINE_H

#include <apr_pools.h>
#include <apr_time.h>

#include "djs.h"

struct djs_wire_t;  /* core/wire.h; engines of other modules leave it NULL */
struct djs_value_t; /* core/value.h; the same */

/** What is stored under a key. Members that an engine does not know of are 0. */
typedef struct djs_record_t {
    djs_bytes_t data;   /* opaque; in ctx->pool when it comes from an engine */
    apr_time_t expires; /* the end of its life; it is live while this is in the future. 0 in what was
                           loaded: live, but the store does not tell for how long (caches) */
    apr_time_t written; /* of a DJS_ENGINE_AGED engine: when it was stored last */
    const struct djs_wire_t *wire; /* what data is in; NULL: the site's own. Of what was loaded; what
                                      is to be stored always is in the site's */
    struct djs_value_t *value; /* what data says, where that is known already; else NULL. Of what was
                                  loaded: in ctx->pool, and the caller's, who may change it. Of what
                                  is to be stored: what data was made of, to be looked at only */
} djs_record_t;

/** What an engine is like. */
#define DJS_ENGINE_STATELESS 1u /* nothing is stored: the key is the record, and who saves gets a new
                                   one (cookies). Only load is called: it gives the key back as data */
#define DJS_ENGINE_AGED      2u /* the end of life is not stored beside the data but follows from
                                   `written` and from what is inside (files) */

/** One entry of a listing. */
typedef struct djs_listed_t {
    const char *key; /* secret */
    djs_record_t record;
} djs_listed_t;

/** Called for each live record; anything but APR_SUCCESS ends the listing and is its result. */
typedef apr_status_t (*djs_list_fn)(void *baton, djs_ctx_t *ctx, const djs_listed_t *listed);

typedef struct djs_engine_ops_t djs_engine_ops_t;

/** An open engine. Engines put their own data behind it. */
typedef struct djs_engine_t {
    const djs_engine_ops_t *ops;
    void *data; /* the engine's own */
} djs_engine_t;

struct djs_engine_ops_t {
    const char *name;   /* as DjangoSessionEngine names it */
    unsigned int flags; /* DJS_ENGINE_… */

    /**
     * What is stored under @a key and still live at ctx->now.
     * APR_SUCCESS; APR_NOTFOUND: nothing live; DJS_ESTORE: no answer.
     */
    apr_status_t (*load)(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                         djs_record_t *found);

    /**
     * Store under a key that nobody has. APR_SUCCESS; APR_EEXIST: taken (by a live or an expired
     * record), and what is there is left alone; DJS_ESTORE.
     */
    apr_status_t (*create)(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                           const djs_record_t *record);

    /**
     * Store only if what is there is still @a seen (bytes equal; whether it has expired since does
     * not matter). @a seen NULL: whatever is there, as Django's save().
     * APR_SUCCESS; DJS_ECONFLICT: something else is there; APR_NOTFOUND: nothing is there, and
     * nothing was made: a deleted session is never resurrected; DJS_ESTORE: not known to be stored.
     */
    apr_status_t (*replace)(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                            const djs_record_t *seen, const djs_record_t *record);

    /** APR_SUCCESS: it is not there any more, whether it was or not; DJS_ESTORE. */
    apr_status_t (*remove)(djs_engine_t *engine, djs_ctx_t *ctx, const char *key);

    /** Is anything stored under @a key, expired or not. APR_SUCCESS and @a found; DJS_ESTORE. */
    apr_status_t (*exists)(djs_engine_t *engine, djs_ctx_t *ctx, const char *key, int *found);

    /**
     * Remove what has expired before ctx->now, in steps that keep no lock for long; @a removed
     * counts them. APR_SUCCESS; DJS_ESTORE: @a removed says how many went before.
     */
    apr_status_t (*clear_expired)(djs_engine_t *engine, djs_ctx_t *ctx, apr_size_t *removed);

    /** All live records, in no order. NULL: this engine cannot list. */
    apr_status_t (*list)(djs_engine_t *engine, djs_ctx_t *ctx, djs_list_fn each, void *baton);

    /**
     * Is the store there and fit for use (table, columns, rights)? Calls @a say once for each thing
     * looked at, with ok 1 or 0. NULL: nothing to look at.
     */
    apr_status_t (*check)(djs_engine_t *engine, djs_ctx_t *ctx,
                          void (*say)(void *baton, int ok, const char *what), void *baton);
};

#endif
