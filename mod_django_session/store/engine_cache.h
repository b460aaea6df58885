/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Django's engine cache: a session is one entry of a cache, and its life is the entry's.
 *
 * What the cache loses is lost; what has expired is not there. A cache that can list makes an engine
 * that can. What no client of the format would have stored is there, but cannot be read: the cache gives
 * the empty value for it.
 */
#ifndef DJS_ENGINE_CACHE_H
#define DJS_ENGINE_CACHE_H

#include "../djs_engine.h"
#include "cache.h"

/** What stands before a session's key in that of the cache, after KEY_PREFIX and VERSION. */
#define DJS_ENGINE_CACHE_PREFIX     "django.contrib.sessions.cache"
#define DJS_ENGINE_CACHED_DB_PREFIX "django.contrib.sessions.cached_db"

/**
 * The engine on an open cache; both must live as long as @a pool. Nothing is asked yet.
 *
 * @param key_prefix  all that stands before a session's key: ":1:django.contrib.sessions.cache"
 */
djs_engine_t *djs_engine_cache_make(apr_pool_t *pool, djs_cache_t *cache, const char *key_prefix);

#endif
