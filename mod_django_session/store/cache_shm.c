/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See cache_shm.h.
 */
#include "cache_shm.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- The regions of this process ------------------------------------------------------------- */

/*
 * Count up when it, djs_shm_region_t or what is in the memory changes: another version of this code may
 * have left it.
 */
#define REGISTRY "mod_django_session shm 2"

typedef struct registry_t {
    djs_shm_region_t *regions;
} registry_t;

static registry_t own; /* of a process whose host keeps none */
static registry_t *registry = &own;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void djs_cache_shm_keep(apr_pool_t *process)
{
    void *kept = NULL;
    djs_shm_region_t *region;

    if (apr_pool_userdata_get(&kept, REGISTRY, process) != APR_SUCCESS || kept == NULL) {
        kept = apr_pcalloc(process, sizeof(registry_t));
        (void)apr_pool_userdata_set(kept, REGISTRY, NULL, process);
    }
    registry = kept;
    for (region = registry->regions; region != NULL; region = region->next) {
        region->wanted = 0;
    }
}

static int same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Under the lock. */
static djs_shm_region_t *find_region(const djs_shm_id_t *id)
{
    djs_shm_region_t *region = registry->regions;

    while (region != NULL
           && !(strcmp(region->id.name, id->name) == 0 && region->id.size == id->size
                && same_text(region->id.file, id->file))) {
        region = region->next;
    }
    return region;
}

static void add_region(djs_shm_region_t *region)
{
    region->next = registry->regions;
    registry->regions = region;
}

/* The same configuration names another region by the same name or in the same file. */
static apr_status_t judge_neighbours(djs_ctx_t *ctx, const djs_shm_id_t *id)
{
    const djs_shm_region_t *region;

    for (region = registry->regions; region != NULL; region = region->next) {
        if (!region->wanted) {
            continue;
        }
        if (strcmp(region->id.name, id->name) == 0
            && (region->id.size != id->size || !same_text(region->id.file, id->file))) {
            return djs_fail(ctx, DJS_EINVAL, "%s is given another size= or file= elsewhere",
                            djs_shm_region_label(ctx->pool, id));
        }
        if (strcmp(region->id.name, id->name) != 0 && id->file != NULL
            && same_text(region->id.file, id->file)) {
            return djs_fail(ctx, DJS_EINVAL, "%s has the file of shm://%s",
                            djs_shm_region_label(ctx->pool, id), region->id.name);
        }
    }
    return APR_SUCCESS;
}

apr_status_t djs_cache_shm_make(djs_ctx_t *ctx, const djs_cache_conf_t *conf, apr_uid_t user,
                                apr_gid_t group)
{
    djs_shm_id_t id;
    djs_shm_region_t *region;
    apr_status_t rv = djs_shm_region_id(ctx, conf, &id);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    pthread_mutex_lock(&lock);
    rv = judge_neighbours(ctx, &id);
    region = find_region(&id);
    if (rv == APR_SUCCESS && region == NULL) {
        rv = djs_shm_region_make(ctx, &id, user, group, &region);
        if (rv == APR_SUCCESS) {
            add_region(region);
        }
    }
    if (rv == APR_SUCCESS) {
        region->wanted = 1;
    }
    pthread_mutex_unlock(&lock);
    return rv;
}

static int has_successor(const djs_shm_region_t *old)
{
    const djs_shm_region_t *region = registry->regions;

    while (region != NULL && !(region->wanted && strcmp(region->id.name, old->id.name) == 0)) {
        region = region->next;
    }
    return region != NULL;
}

/* One of the server's own, of which no configuration can speak: nothing is lost with it. */
static int is_internal(const djs_shm_id_t *id)
{
    return id->name[0] == '(';
}

static void warn_of_end(djs_ctx_t *ctx, const djs_shm_region_t *region)
{
    djs_warn(ctx, "%s of %" APR_SIZE_T_FMT "m%s%s is given up: the configuration %s",
             djs_shm_region_label(ctx->pool, &region->id), region->id.size >> 20,
             region->id.file != NULL ? " in " : ", with the sessions in it,",
             region->id.file != NULL ? region->id.file : "",
             has_successor(region) ? "gives it another size= or file="
                                   : "does not name it any more");
}

void djs_cache_shm_sweep(djs_ctx_t *ctx)
{
    djs_shm_region_t **link = &registry->regions;

    while (*link != NULL) {
        djs_shm_region_t *region = *link;

        if (region->wanted) {
            link = &region->next;
            continue;
        }
        if (!is_internal(&region->id)) {
            warn_of_end(ctx, region);
        }
        *link = region->next;
        djs_shm_region_close(region);
    }
}

/* ---- Caches ---------------------------------------------------------------------------------- */

typedef struct shm_t {
    djs_cache_t cache;
    djs_shm_id_t id;
    djs_shm_region_t *region; /* NULL until it is first used */
} shm_t;

static apr_status_t attach(djs_ctx_t *ctx, const djs_shm_id_t *id, djs_shm_region_t **region)
{
    apr_status_t rv;

    if (id->file == NULL) {
        return djs_fail(ctx, DJS_ESTORE, "%s is inside the server that made it at its start, and "
                        "cannot be reached from elsewhere; with file=PATH it can",
                        djs_shm_region_label(ctx->pool, id));
    }
    rv = djs_shm_region_attach(ctx, id, region);
    if (rv == APR_SUCCESS) {
        add_region(*region);
    }
    return rv;
}

apr_status_t djs_cache_shm_region(djs_ctx_t *ctx, djs_cache_t *cache, djs_shm_region_t **region)
{
    shm_t *shm = cache->data;
    apr_status_t rv = APR_SUCCESS;

    *region = __atomic_load_n(&shm->region, __ATOMIC_ACQUIRE);
    if (*region != NULL) {
        return APR_SUCCESS;
    }
    pthread_mutex_lock(&lock);
    *region = find_region(&shm->id);
    if (*region == NULL) {
        rv = attach(ctx, &shm->id, region);
    }
    if (rv == APR_SUCCESS) {
        __atomic_store_n(&shm->region, *region, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&lock);
    return rv;
}

/* Which shard, and the hash in it. */
static apr_status_t find_shard(djs_ctx_t *ctx, djs_cache_t *cache, djs_bytes_t key,
                               apr_uint64_t *hash, djs_shm_region_t **region,
                               djs_shm_table_t **shard)
{
    apr_status_t rv = djs_cache_shm_region(ctx, cache, region);

    if (ctx->patience <= 0) {
        return djs_fail(ctx, DJS_ESTORE, "no time is left for shared memory");
    }
    if (rv == APR_SUCCESS) {
        *hash = djs_shm_hash((*region)->seed, key);
        *shard = &(*region)->shards[(apr_uint32_t)(*hash >> 32) & (*region)->shard_mask];
    }
    return rv;
}

/* ---- Warnings -------------------------------------------------------------------------------- */

enum { WARN_TIGHT, WARN_EVICTED };

/* May this warning be given now? Once a minute, whichever process it is. */
static int may_warn(djs_shm_region_t *region, int warning, apr_time_t now)
{
    apr_uint64_t minute = (apr_uint64_t)apr_time_sec(now) / 60;
    apr_uint64_t *last = &region->warned[warning];
    apr_uint64_t seen = __atomic_load_n(last, __ATOMIC_RELAXED);

    return seen != minute
           && __atomic_compare_exchange_n(last, &seen, minute, 0, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED);
}

static apr_status_t count_region(djs_ctx_t *ctx, djs_shm_region_t *region,
                                 djs_shm_counts_t *counts)
{
    apr_status_t rv = APR_SUCCESS;
    apr_uint32_t i;

    memset(counts, 0, sizeof(*counts));
    for (i = 0; i <= region->shard_mask && rv == APR_SUCCESS; i++) {
        rv = djs_shm_table_count(ctx, &region->shards[i], counts);
    }
    return rv;
}

static void warn(djs_ctx_t *ctx, djs_shm_region_t *region, int warning)
{
    djs_shm_counts_t counts;
    djs_ctx_t aside = *ctx;

    if (!may_warn(region, warning, ctx->now)
        || count_region(&aside, region, &counts) != APR_SUCCESS) {
        return;
    }
    djs_notify(ctx, "%s is %u %% full with %" APR_UINT64_T_FMT " sessions; %s; give it more with "
             "size=", djs_shm_region_label(ctx->pool, &region->id),
             (unsigned)(counts.used_blocks * 100 / counts.blocks), counts.entries,
             warning == WARN_TIGHT
                 ? "soon living ones will have to go, the least recently used first"
                 : apr_psprintf(ctx->pool, "%" APR_UINT64_T_FMT " living ones had to go so far",
                                counts.evicted));
}

/* ---- Operations ------------------------------------------------------------------------------ */

static apr_status_t get(djs_cache_t *cache, djs_ctx_t *ctx, const char *key, djs_bytes_t *value,
                        apr_time_t *expires)
{
    djs_shm_region_t *region;
    djs_shm_table_t *shard;
    djs_shm_item_t found;
    djs_bytes_t bytes = djs_bytes(key);
    apr_uint64_t hash;
    apr_status_t rv;

    if (bytes.len > DJS_SHM_KEY_MAX) {
        return APR_NOTFOUND;
    }
    rv = find_shard(ctx, cache, bytes, &hash, &region, &shard);
    if (rv == APR_SUCCESS) {
        rv = djs_shm_table_get(ctx, shard, bytes, hash, 1, &found);
    }
    if (rv == APR_SUCCESS) {
        *value = found.value;
        *expires = found.expires;
    }
    return rv;
}

static apr_time_t end_of(apr_time_t now, apr_int64_t life)
{
    if (life <= 0) {
        return now;
    }
    return life > (APR_INT64_MAX - now) / APR_USEC_PER_SEC ? APR_INT64_MAX
                                                           : now + life * APR_USEC_PER_SEC;
}

static apr_status_t put(djs_cache_t *cache, djs_ctx_t *ctx, const char *key, djs_bytes_t value,
                        apr_int64_t life, djs_shm_when_t when, djs_bytes_t seen)
{
    djs_shm_item_t item = { .key = djs_bytes(key), .value = value,
                            .expires = end_of(ctx->now, life) };
    djs_shm_region_t *region;
    djs_shm_table_t *shard;
    djs_shm_report_t report;
    apr_status_t rv;

    if (value.len > DJS_SHM_VALUE_MAX) {
        return djs_fail(ctx, DJS_ELIMIT, "a session of %" APR_SIZE_T_FMT " bytes; shared memory "
                        "takes %d", value.len, DJS_SHM_VALUE_MAX);
    }
    if (item.key.len > DJS_SHM_KEY_MAX) {
        return djs_fail(ctx, DJS_ELIMIT, "a key of %" APR_SIZE_T_FMT " bytes; shared memory takes "
                        "%d", item.key.len, DJS_SHM_KEY_MAX);
    }
    rv = find_shard(ctx, cache, item.key, &item.hash, &region, &shard);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    djs_shm_item_seal(&item);
    rv = djs_shm_table_put(ctx, shard, &item, when, seen, &report);
    if (report.evicted > 0) {
        warn(ctx, region, WARN_EVICTED);
    }
    else if (report.tight) {
        warn(ctx, region, WARN_TIGHT);
    }
    return rv;
}

static apr_status_t add(djs_cache_t *cache, djs_ctx_t *ctx, const char *key, djs_bytes_t value,
                        apr_int64_t life)
{
    return put(cache, ctx, key, value, life, DJS_SHM_ABSENT, djs_bytes(NULL));
}

static apr_status_t set(djs_cache_t *cache, djs_ctx_t *ctx, const char *key, djs_bytes_t value,
                        apr_int64_t life)
{
    return put(cache, ctx, key, value, life, DJS_SHM_ALWAYS, djs_bytes(NULL));
}

static apr_status_t swap(djs_cache_t *cache, djs_ctx_t *ctx, const char *key, djs_bytes_t seen,
                         djs_bytes_t value, apr_int64_t life)
{
    return strlen(key) > DJS_SHM_KEY_MAX
               ? APR_NOTFOUND
               : put(cache, ctx, key, value, life, DJS_SHM_SEEN, seen);
}

static apr_status_t overwrite(djs_cache_t *cache, djs_ctx_t *ctx, const char *key,
                              djs_bytes_t value, apr_int64_t life)
{
    return strlen(key) > DJS_SHM_KEY_MAX
               ? APR_NOTFOUND
               : put(cache, ctx, key, value, life, DJS_SHM_PRESENT, djs_bytes(NULL));
}

static apr_status_t remove_key(djs_cache_t *cache, djs_ctx_t *ctx, const char *key)
{
    djs_bytes_t bytes = djs_bytes(key);
    djs_shm_region_t *region;
    djs_shm_table_t *shard;
    apr_uint64_t hash;
    apr_status_t rv;

    if (bytes.len > DJS_SHM_KEY_MAX) {
        return APR_SUCCESS;
    }
    rv = find_shard(ctx, cache, bytes, &hash, &region, &shard);
    return rv == APR_SUCCESS ? djs_shm_table_remove(ctx, shard, bytes, hash) : rv;
}

/* ---- All entries ----------------------------------------------------------------------------- */

/* What is listed, and a pool for one entry at a time. */
typedef struct listing_t {
    djs_ctx_t *ctx;
    djs_ctx_t each_ctx;
    djs_cache_list_fn each;
    void *baton;
} listing_t;

static apr_status_t list_key(listing_t *listing, djs_shm_region_t *region, djs_shm_table_t *shard,
                             djs_bytes_t key)
{
    djs_shm_item_t found;
    apr_status_t rv;

    apr_pool_clear(listing->each_ctx.pool);
    rv = djs_shm_table_get(&listing->each_ctx, shard, key, djs_shm_hash(region->seed, key), 0,
                           &found);
    if (rv == APR_NOTFOUND) { /* removed meanwhile */
        return APR_SUCCESS;
    }
    return rv == APR_SUCCESS ? listing->each(listing->baton, listing->ctx, key.data, found.value,
                                             found.expires)
                             : djs_fail(listing->ctx, rv, "%s", listing->each_ctx.problem);
}

/* The lock is held while keys are collected, and for each entry: not while @a each is at work. */
static apr_status_t list_shard(listing_t *listing, djs_shm_region_t *region,
                               djs_shm_table_t *shard, djs_bytes_t prefix, apr_pool_t *pool)
{
    apr_array_header_t *keys = NULL;
    apr_status_t rv = djs_shm_table_keys(listing->ctx, shard, prefix, pool, &keys);
    int i;

    listing->each_ctx.patience = listing->ctx->patience;
    for (i = 0; rv == APR_SUCCESS && i < keys->nelts; i++) {
        rv = list_key(listing, region, shard, APR_ARRAY_IDX(keys, i, djs_bytes_t));
    }
    listing->ctx->patience = listing->each_ctx.patience;
    return rv;
}

static apr_status_t list(djs_cache_t *cache, djs_ctx_t *ctx, const char *prefix,
                         djs_cache_list_fn each, void *baton)
{
    listing_t listing = { ctx, *ctx, each, baton };
    djs_shm_region_t *region;
    apr_pool_t *keys;
    apr_uint32_t i;
    apr_status_t rv = djs_cache_shm_region(ctx, cache, &region);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    apr_pool_create(&keys, ctx->pool);
    apr_pool_create(&listing.each_ctx.pool, ctx->pool);
    for (i = 0; i <= region->shard_mask && rv == APR_SUCCESS; i++) {
        rv = list_shard(&listing, region, &region->shards[i], djs_bytes(prefix), keys);
        apr_pool_clear(keys);
    }
    apr_pool_destroy(listing.each_ctx.pool);
    apr_pool_destroy(keys);
    return rv;
}

static apr_status_t clear_expired(djs_cache_t *cache, djs_ctx_t *ctx, apr_size_t *removed)
{
    djs_shm_region_t *region;
    apr_uint32_t i;
    apr_size_t some;
    apr_status_t rv = djs_cache_shm_region(ctx, cache, &region);

    *removed = 0;
    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (i = 0; i <= region->shard_mask && rv == APR_SUCCESS; i++) {
        do {
            rv = djs_shm_table_expire(ctx, &region->shards[i], &some);
            *removed += some;
            djs_progress(ctx, *removed);
        } while (rv == APR_SUCCESS && some > 0);
    }
    return rv;
}

/* ---- How it is ------------------------------------------------------------------------------- */

static int is_absent(const char *file)
{
    struct stat found;

    return lstat(file, &found) != 0 && errno == ENOENT;
}

static apr_status_t check(djs_cache_t *cache, djs_ctx_t *ctx,
                          void (*say)(void *baton, int ok, const char *what), void *baton)
{
    shm_t *shm = cache->data;
    const char *label = djs_shm_region_label(ctx->pool, &shm->id);
    djs_shm_counts_t counts;
    apr_status_t rv;

    rv = djs_cache_shm_count(ctx, cache, &counts);
    if (rv != APR_SUCCESS) {
        /* What only the running server has, or has not made yet, is no fault. */
        say(baton, shm->id.file == NULL || is_absent(shm->id.file), ctx->problem);
        djs_forget(ctx);
        return APR_SUCCESS;
    }
    say(baton, 1, apr_psprintf(ctx->pool, "%s of %" APR_SIZE_T_FMT "m: %u %% full with %"
                               APR_UINT64_T_FMT " sessions; %" APR_UINT64_T_FMT " had expired, %"
                               APR_UINT64_T_FMT " living ones had to go",
                               label, shm->id.size >> 20,
                               (unsigned)(counts.used_blocks * 100 / counts.blocks),
                               counts.entries, counts.expired, counts.evicted));
    return APR_SUCCESS;
}

apr_status_t djs_cache_shm_count(djs_ctx_t *ctx, djs_cache_t *cache, djs_shm_counts_t *counts)
{
    djs_shm_region_t *region;
    apr_status_t rv = djs_cache_shm_region(ctx, cache, &region);

    return rv == APR_SUCCESS ? count_region(ctx, region, counts) : rv;
}

apr_status_t djs_cache_shm_verify(djs_ctx_t *ctx, djs_cache_t *cache, const char **why)
{
    djs_shm_region_t *region;
    apr_uint32_t i;
    apr_status_t rv = djs_cache_shm_region(ctx, cache, &region);

    *why = NULL;
    for (i = 0; rv == APR_SUCCESS && *why == NULL && i <= region->shard_mask; i++) {
        rv = djs_shm_table_verify(ctx, &region->shards[i], why);
    }
    return rv;
}

apr_status_t djs_cache_shm_each(djs_ctx_t *ctx,
                                apr_status_t (*each)(void *baton, djs_ctx_t *ctx,
                                                     const djs_cache_shm_stats_t *stats),
                                void *baton)
{
    djs_shm_region_t *region;
    apr_status_t rv = APR_SUCCESS;

    for (region = registry->regions; region != NULL && rv == APR_SUCCESS; region = region->next) {
        djs_cache_shm_stats_t stats = { .id = &region->id };

        rv = count_region(ctx, region, &stats.counts);
        if (rv == APR_SUCCESS) {
            rv = each(baton, ctx, &stats);
        }
    }
    return rv;
}

static const djs_cache_ops_t ops = {
    .name = "shm",
    .get = get,
    .add = add,
    .set = set,
    .swap = swap,
    .overwrite = overwrite,
    .remove = remove_key,
    .list = list,
    .check = check,
    .clear_expired = clear_expired
};

apr_status_t djs_cache_shm_open(djs_ctx_t *ctx, apr_pool_t *pool, const djs_cache_conf_t *conf,
                                djs_cache_t **cache)
{
    shm_t *shm = apr_pcalloc(pool, sizeof(*shm));
    apr_status_t rv = djs_shm_region_id(ctx, conf, &shm->id);

    shm->cache.ops = &ops;
    shm->cache.data = shm;
    if (rv == APR_SUCCESS) {
        *cache = &shm->cache;
    }
    return rv;
}
