/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cache made of a hash table, for tests of what stands on caches: keeps the contract of
 * store/cache.h by the clock of the caller, may be called by many threads, can be down or silent, and
 * lets a test step in at the moment before a call, to force an order of events.
 */
#ifndef MEMORY_CACHE_H
#define MEMORY_CACHE_H

#include <apr_hash.h>
#include <apr_thread_mutex.h>

#include "cache.h"

typedef struct memory_cache_t memory_cache_t;

/** Called before an operation ("get", "add", "set", "swap", "overwrite", "remove") does its work. */
typedef void (*memory_cache_step_fn)(void *baton, memory_cache_t *memory, const char *operation);

struct memory_cache_t {
    djs_cache_t cache; /* to be given to an engine */
    apr_pool_t *pool;
    apr_thread_mutex_t *lock;
    apr_hash_t *entries; /* key -> entry_t */
    int down;            /* every call fails with DJS_ESTORE */
    int silent;          /* and takes all the patience that it gets */
    memory_cache_step_fn step; /* NULL: nobody steps in */
    void *baton;
};

memory_cache_t *memory_cache_make(apr_pool_t *pool);

/** What is under a key, and for how many seconds from @a now; len 0 and no data: nothing. */
djs_bytes_t memory_cache_get(const memory_cache_t *memory, const char *key, apr_time_t now,
                             apr_int64_t *life);

/** Put text there for an hour, whatever is there; NULL removes. */
void memory_cache_put(memory_cache_t *memory, const char *key, apr_time_t now, const char *text);

#endif
