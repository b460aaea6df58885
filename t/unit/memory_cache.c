/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See memory_cache.h.
 */
#include "memory_cache.h"

#include <string.h>

typedef struct entry_t {
    djs_bytes_t value;
    apr_time_t expires;
} entry_t;

/* Begins an operation and locks. APR_SUCCESS; DJS_ESTORE: not locked. */
static apr_status_t begin(djs_cache_t *cache, djs_ctx_t *ctx, const char *operation)
{
    memory_cache_t *memory = cache->data;

    if (memory->step != NULL) {
        memory->step(memory->baton, memory, operation);
    }
    if (memory->silent) {
        ctx->patience = 0;
    }
    if (memory->down || memory->silent || ctx->patience <= 0) {
        return djs_fail(ctx, DJS_ESTORE, "the hash table is down");
    }
    apr_thread_mutex_lock(memory->lock);
    return APR_SUCCESS;
}

static apr_status_t end(djs_cache_t *cache, apr_status_t rv)
{
    memory_cache_t *memory = cache->data;

    apr_thread_mutex_unlock(memory->lock);
    return rv;
}

static const entry_t *find(const memory_cache_t *memory, const char *key, apr_time_t now)
{
    const entry_t *entry = apr_hash_get(memory->entries, key, APR_HASH_KEY_STRING);

    return entry != NULL && entry->expires > now ? entry : NULL;
}

static void put(memory_cache_t *memory, const char *key, djs_bytes_t value, apr_time_t expires)
{
    entry_t *entry = apr_palloc(memory->pool, sizeof(*entry));

    entry->value = djs_bytes_copy(memory->pool, value);
    entry->expires = expires;
    apr_hash_set(memory->entries, apr_pstrdup(memory->pool, key), APR_HASH_KEY_STRING, entry);
}

static void store(djs_cache_t *cache, const djs_ctx_t *ctx, const char *key, djs_bytes_t value,
                  apr_int64_t life)
{
    put(cache->data, key, value, ctx->now + apr_time_from_sec(life));
}

static apr_status_t memory_get(djs_cache_t *cache, djs_ctx_t *ctx, const char *key,
                               djs_bytes_t *value, apr_time_t *expires)
{
    apr_status_t rv = begin(cache, ctx, "get");
    const entry_t *entry;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    entry = find(cache->data, key, ctx->now);
    if (entry != NULL) {
        *value = djs_bytes_copy(ctx->pool, entry->value);
        *expires = entry->expires;
    }
    return end(cache, entry != NULL ? APR_SUCCESS : APR_NOTFOUND);
}

static apr_status_t memory_add(djs_cache_t *cache, djs_ctx_t *ctx, const char *key,
                               djs_bytes_t value, apr_int64_t life)
{
    apr_status_t rv = begin(cache, ctx, "add");

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (find(cache->data, key, ctx->now) != NULL) {
        return end(cache, APR_EEXIST);
    }
    store(cache, ctx, key, value, life);
    return end(cache, APR_SUCCESS);
}

static apr_status_t memory_set(djs_cache_t *cache, djs_ctx_t *ctx, const char *key,
                               djs_bytes_t value, apr_int64_t life)
{
    apr_status_t rv = begin(cache, ctx, "set");

    if (rv != APR_SUCCESS) {
        return rv;
    }
    store(cache, ctx, key, value, life);
    return end(cache, APR_SUCCESS);
}

static apr_status_t memory_swap(djs_cache_t *cache, djs_ctx_t *ctx, const char *key,
                                djs_bytes_t seen, djs_bytes_t value, apr_int64_t life)
{
    apr_status_t rv = begin(cache, ctx, "swap");
    const entry_t *entry;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    entry = find(cache->data, key, ctx->now);
    if (entry == NULL) {
        return end(cache, APR_NOTFOUND);
    }
    if (!djs_bytes_equal(entry->value, seen)) {
        return end(cache, DJS_ECONFLICT);
    }
    store(cache, ctx, key, value, life);
    return end(cache, APR_SUCCESS);
}

static apr_status_t memory_overwrite(djs_cache_t *cache, djs_ctx_t *ctx, const char *key,
                                     djs_bytes_t value, apr_int64_t life)
{
    apr_status_t rv = begin(cache, ctx, "overwrite");

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (find(cache->data, key, ctx->now) == NULL) {
        return end(cache, APR_NOTFOUND);
    }
    store(cache, ctx, key, value, life);
    return end(cache, APR_SUCCESS);
}

static apr_status_t memory_remove(djs_cache_t *cache, djs_ctx_t *ctx, const char *key)
{
    apr_status_t rv = begin(cache, ctx, "remove");
    memory_cache_t *memory = cache->data;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    apr_hash_set(memory->entries, key, APR_HASH_KEY_STRING, NULL);
    return end(cache, APR_SUCCESS);
}

memory_cache_t *memory_cache_make(apr_pool_t *pool)
{
    static const djs_cache_ops_t ops = { "hash table", memory_get,       memory_add,    memory_set,
                                         memory_swap,  memory_overwrite, memory_remove, NULL, NULL };
    memory_cache_t *memory = apr_pcalloc(pool, sizeof(*memory));

    memory->cache.ops = &ops;
    memory->cache.data = memory;
    apr_pool_create(&memory->pool, pool);
    memory->entries = apr_hash_make(memory->pool);
    apr_thread_mutex_create(&memory->lock, APR_THREAD_MUTEX_DEFAULT, pool);
    return memory;
}

djs_bytes_t memory_cache_get(const memory_cache_t *memory, const char *key, apr_time_t now,
                             apr_int64_t *life)
{
    const entry_t *entry = find(memory, key, now);

    *life = entry != NULL ? apr_time_sec(entry->expires - now) : 0;
    return entry != NULL ? entry->value : djs_bytes_of(NULL, 0);
}

void memory_cache_put(memory_cache_t *memory, const char *key, apr_time_t now, const char *text)
{
    if (text != NULL) {
        put(memory, key, djs_bytes(text), now + apr_time_from_sec(3600));
    }
    else {
        apr_hash_set(memory->entries, key, APR_HASH_KEY_STRING, NULL);
    }
}
