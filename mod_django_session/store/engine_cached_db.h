/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Django's engine cached_db: two stores behind one table. The database has the sessions; a cache in
 * front of it saves asking. Every write goes through to both, the database first.
 *
 *     load     the cache; nothing there, or nothing that can be read: the row, and then the cache
 *              gets it for what is left of its life
 *     create   the row, then the cache
 *     replace  the row, then the cache. What was seen in the cache must be what the row has, as
 *              values: bytes differ, one is a pickle, the other a signed text. Else DJS_ECONFLICT,
 *              and what is cached goes, so that the next load sees the row. Which bytes of a row
 *              belong to those of the cache is remembered for the connection (memo.h): then the row
 *              is not read, and replaced only if it has just those bytes
 *     remove   the row, then what is cached
 *     clear_expired, list: the rows
 *
 * The cache is never waited for twice and never decides: one that fails costs a warning
 * (djs_warn(), which the host writes once a minute) and nothing else. One that lost what it had is
 * filled again. One that has more than the database (a row was deleted by hand, or by Django while
 * the cache was down) is believed by readers, as Django does, and by no writer: the row is not made
 * again.
 *
 * What is cached is changed only from what was seen to what was written (or from nothing), and
 * dropped when it is something else: of two requests that save at the same time the slower one must
 * not leave its older session there.
 */
#ifndef DJS_ENGINE_CACHED_DB_H
#define DJS_ENGINE_CACHED_DB_H

#include "../core/wire.h"
#include "../djs_engine.h"
#include "cache.h"

/** What it is made of; all must live as long as the engine's pool. */
typedef struct djs_cached_db_parts_t {
    djs_engine_t *rows;
    djs_cache_t *cache;
    const char *key_prefix;       /* before a session's key: ":1:django.contrib.sessions.cached_db" */
    const djs_wire_t *row_wire;   /* the site's */
    const djs_wire_t *cache_wire; /* what the cache holds; the same as row_wire: the same bytes */
} djs_cached_db_parts_t;

/** Open it. Neither store is asked. */
djs_engine_t *djs_engine_cached_db_make(apr_pool_t *pool, const djs_cached_db_parts_t *parts);

#endif
