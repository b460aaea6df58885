/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See shm_table.h; the memory itself is described in shm_table_impl.h.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pthread_mutex_clocklock */
#endif
#include "shm_table_impl.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* How many one step of djs_shm_table_expire() does. */
#define STEP_OF_EXPIRE 64

/* ---- The lock -------------------------------------------------------------------------------- */

/* Wait for it no longer than ctx->patience, and take what was waited from that. */
static int wait_for(djs_ctx_t *ctx, pthread_mutex_t *lock)
{
    struct timespec begin;
    struct timespec end;
    apr_interval_time_t patience = ctx->patience;
    int rc;

    if (patience <= 0) {
        return ETIMEDOUT;
    }
    clock_gettime(CLOCK_MONOTONIC, &begin);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 30)
    end = begin;
    end.tv_sec += (time_t)apr_time_sec(patience);
    end.tv_nsec += (long)apr_time_usec(patience) * 1000;
    end.tv_sec += end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    rc = pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &end);
#else
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += (time_t)apr_time_sec(patience);
    end.tv_nsec += (long)apr_time_usec(patience) * 1000;
    end.tv_sec += end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    rc = pthread_mutex_timedlock(lock, &end);
#endif
    clock_gettime(CLOCK_MONOTONIC, &end);
    patience -= apr_time_from_sec(end.tv_sec - begin.tv_sec)
                + (end.tv_nsec - begin.tv_nsec) / 1000;
    ctx->patience = patience > 0 ? patience : 0;
    return rc;
}

/* Numbers that everything else counts on. */
static int is_sane(const djs_shm_table_t *t)
{
    const shm_state_t *state = t->state;

    return state->fresh <= t->blocks && state->entries < shm_fresh_of(t)
           && state->free_listed < shm_fresh_of(t);
}

apr_status_t djs_shm_lock(djs_ctx_t *ctx, djs_shm_table_t *t, int *repaired)
{
    int rc = pthread_mutex_trylock(&t->state->lock);

    if (rc == EBUSY) {
        rc = wait_for(ctx, &t->state->lock);
    }
    if (rc == ETIMEDOUT) {
        return djs_fail(ctx, DJS_ESTORE, "shared memory was not to be had in time: another "
                        "process holds its lock");
    }
    if (rc != 0 && rc != EOWNERDEAD) {
        return djs_fail(ctx, DJS_ESTORE, "shared memory cannot be locked: error %d", rc);
    }
    *repaired = rc == EOWNERDEAD || !is_sane(t);
    if (*repaired) {
        djs_shm_rebuild(t);
    }
    if (rc == EOWNERDEAD) {
        pthread_mutex_consistent(&t->state->lock);
    }
    return APR_SUCCESS;
}

void djs_shm_unlock(djs_shm_table_t *t)
{
    pthread_mutex_unlock(&t->state->lock);
}

/* ---- Operations ------------------------------------------------------------------------------ */

/*
 * An operation under the lock, once more after a repair if it meets damage. What it has changed
 * before it met that is kept or not, but whole.
 */
typedef apr_status_t (*work_fn)(djs_ctx_t *ctx, djs_shm_table_t *t, void *job);

static apr_status_t under_lock(djs_ctx_t *ctx, djs_shm_table_t *t, work_fn work, void *job)
{
    int repaired;
    apr_status_t rv = djs_shm_lock(ctx, t, &repaired);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = work(ctx, t, job);
    if (rv == SHM_DAMAGED) {
        djs_shm_rebuild(t);
        repaired = 1;
        rv = work(ctx, t, job);
    }
    djs_shm_unlock(t);
    if (repaired) {
        djs_notify(ctx, "a part of shared memory was put together again: a process died while it "
                 "changed it, or it was damaged; what was whole is kept");
    }
    if (rv == SHM_DAMAGED) {
        return djs_fail(ctx, DJS_ESTORE, "shared memory is damaged and cannot be repaired");
    }
    return rv;
}

typedef struct get_t {
    djs_bytes_t key;
    apr_uint64_t hash;
    int use;
    djs_shm_item_t *found;
    apr_uint64_t made;
} get_t;

static apr_status_t get(djs_ctx_t *ctx, djs_shm_table_t *t, void *job)
{
    get_t *get = job;
    const shm_entry_t *entry;
    apr_uint32_t head = 0;
    char *value;
    apr_status_t rv = djs_shm_find(t, get->key, get->hash, &head);

    if (rv == APR_NOTFOUND) {
        t->state->counts.misses += get->use;
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    entry = shm_entry(t, head);
    if (entry->expires <= ctx->now) {
        t->state->counts.misses += get->use;
        t->state->counts.expired++;
        rv = djs_shm_drop(t, head);
        return rv == APR_SUCCESS ? APR_NOTFOUND : rv;
    }
    value = apr_palloc(ctx->pool, (apr_size_t)entry->value_len + 1);
    djs_shm_copy_out(t, head, entry->key_len, value, entry->value_len);
    value[entry->value_len] = '\0';
    get->found->key = get->key;
    get->found->hash = get->hash;
    get->found->value = djs_bytes_of(value, entry->value_len);
    get->found->expires = entry->expires;
    get->found->sum = entry->sum;
    get->made = entry->made;
    t->state->counts.hits += get->use;
    return get->use ? djs_shm_mark_used(t, head) : APR_SUCCESS;
}

/* What was found to be damaged, unless it was replaced since. */
static apr_status_t drop_damaged(djs_ctx_t *ctx, djs_shm_table_t *t, void *job)
{
    const get_t *get = job;
    apr_uint32_t head = 0;
    apr_status_t rv = djs_shm_find(t, get->key, get->hash, &head);

    if (rv == APR_SUCCESS && shm_entry(t, head)->made == get->made) {
        t->state->counts.damaged++;
        rv = djs_shm_drop(t, head);
    }
    return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
}

apr_status_t djs_shm_table_get(djs_ctx_t *ctx, djs_shm_table_t *t, djs_bytes_t key,
                               apr_uint64_t hash, int use, djs_shm_item_t *found)
{
    get_t job = { key, hash, use, found, 0 };
    apr_status_t rv = under_lock(ctx, t, get, &job);

    if (rv == APR_SUCCESS && djs_shm_item_sum(found) != found->sum) {
        rv = under_lock(ctx, t, drop_damaged, &job);
        return rv == APR_SUCCESS ? APR_NOTFOUND : rv;
    }
    return rv;
}

typedef struct put_t {
    const djs_shm_item_t *item;
    djs_shm_when_t when;
    djs_bytes_t seen;
    djs_shm_report_t *report;
} put_t;

static int value_is(const djs_shm_table_t *t, apr_uint32_t head, djs_bytes_t value)
{
    const shm_entry_t *entry = shm_entry(t, head);

    return entry->value_len == value.len && djs_shm_bytes_are(t, head, entry->key_len, value);
}

/* May it be stored? @a old: what is there, or 0. */
static apr_status_t judge(const djs_shm_table_t *t, const put_t *put, apr_uint32_t old)
{
    switch (put->when) {
    case DJS_SHM_ABSENT:
        return old != 0 ? APR_EEXIST : APR_SUCCESS;
    case DJS_SHM_PRESENT:
        return old != 0 ? APR_SUCCESS : APR_NOTFOUND;
    case DJS_SHM_SEEN:
        if (old == 0) {
            return APR_NOTFOUND;
        }
        return value_is(t, old, put->seen) ? APR_SUCCESS : DJS_ECONFLICT;
    case DJS_SHM_ALWAYS:
    default:
        return APR_SUCCESS;
    }
}

/*
 * What is there; 0: nothing. What has expired is in the way of nobody, but as long as it is there, who
 * read it while it lived can replace it.
 */
static apr_status_t find_old(djs_shm_table_t *t, const put_t *put, apr_time_t now,
                             apr_uint32_t *head)
{
    apr_status_t rv = djs_shm_find(t, put->item->key, put->item->hash, head);

    if (rv == APR_SUCCESS && put->when == DJS_SHM_ABSENT && shm_entry(t, *head)->expires <= now) {
        t->state->counts.expired++;
        rv = djs_shm_drop(t, *head);
        *head = 0;
    }
    return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
}

/* Room for it; what it replaces is the last to go, and is 0 if it had to. */
static apr_status_t make_room_beside(djs_shm_table_t *t, const put_t *put, apr_time_t now,
                                     apr_uint32_t *old)
{
    const djs_shm_item_t *item = put->item;
    apr_status_t rv = *old != 0 ? djs_shm_mark_used(t, *old) : APR_SUCCESS;

    if (rv == APR_SUCCESS) {
        rv = djs_shm_make_room(t, shm_blocks_of(item->key.len, item->value.len), now, put->report);
    }
    if (rv == APR_SUCCESS && *old != 0) {
        *old = 0;
        rv = djs_shm_find(t, item->key, item->hash, old);
        rv = rv == APR_NOTFOUND ? APR_SUCCESS : rv;
    }
    return rv;
}

static apr_status_t put(djs_ctx_t *ctx, djs_shm_table_t *t, void *job)
{
    const put_t *put = job;
    apr_uint32_t old = 0;
    apr_status_t rv = find_old(t, put, ctx->now, &old);

    if (rv == APR_SUCCESS) {
        rv = judge(t, put, old);
    }
    if (rv == APR_SUCCESS && put->item->expires > ctx->now) {
        if (shm_blocks_of(put->item->key.len, put->item->value.len) >= t->blocks) {
            return djs_fail(ctx, DJS_ELIMIT, "a session of %" APR_SIZE_T_FMT " bytes is more than "
                            "this shared memory has: give it more with size=",
                            put->item->value.len);
        }
        rv = make_room_beside(t, put, ctx->now, &old);
        if (rv == APR_SUCCESS) {
            rv = djs_shm_insert(t, put->item);
        }
    }
    if (rv == APR_SUCCESS && old != 0 && djs_shm_drop(t, old) != APR_SUCCESS) {
        djs_shm_rebuild(t); /* not once more: what was to be stored is */
    }
    return rv;
}

apr_status_t djs_shm_table_put(djs_ctx_t *ctx, djs_shm_table_t *t, const djs_shm_item_t *item,
                               djs_shm_when_t when, djs_bytes_t seen, djs_shm_report_t *report)
{
    put_t job = { item, when, seen, report };

    memset(report, 0, sizeof(*report));
    return under_lock(ctx, t, put, &job);
}

typedef struct remove_t {
    djs_bytes_t key;
    apr_uint64_t hash;
} remove_t;

static apr_status_t remove_key(djs_ctx_t *ctx, djs_shm_table_t *t, void *job)
{
    const remove_t *remove = job;
    apr_uint32_t head = 0;
    apr_status_t rv = djs_shm_find(t, remove->key, remove->hash, &head);

    if (rv == APR_SUCCESS) {
        rv = djs_shm_drop(t, head);
    }
    return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
}

apr_status_t djs_shm_table_remove(djs_ctx_t *ctx, djs_shm_table_t *t, djs_bytes_t key,
                                  apr_uint64_t hash)
{
    remove_t job = { key, hash };

    return under_lock(ctx, t, remove_key, &job);
}

static apr_status_t expire(djs_ctx_t *ctx, djs_shm_table_t *t, void *job)
{
    apr_size_t *removed = job;
    apr_status_t rv = APR_SUCCESS;

    while (rv == APR_SUCCESS && *removed < STEP_OF_EXPIRE) {
        rv = djs_shm_drop_expired(t, ctx->now);
        *removed += rv == APR_SUCCESS;
    }
    return rv == SHM_DAMAGED ? rv : APR_SUCCESS;
}

apr_status_t djs_shm_table_expire(djs_ctx_t *ctx, djs_shm_table_t *t, apr_size_t *removed)
{
    *removed = 0;
    return under_lock(ctx, t, expire, removed);
}

typedef struct keys_t {
    djs_bytes_t prefix;
    apr_pool_t *pool;
    apr_array_header_t *found;
} keys_t;

static apr_status_t collect_keys(djs_ctx_t *ctx, djs_shm_table_t *t, void *job)
{
    keys_t *keys = job;
    apr_uint32_t end = shm_fresh_of(t);
    apr_uint32_t i;

    apr_array_clear(keys->found);
    for (i = 1; i < end; i++) {
        const shm_entry_t *entry = shm_entry(t, i);
        char *key;

        if (t->slots[i].kind != SHM_HEAD || entry->expires <= ctx->now) {
            continue;
        }
        if (!djs_shm_chain_is_whole(t, i)) {
            return SHM_DAMAGED;
        }
        if (entry->key_len < keys->prefix.len || !djs_shm_bytes_are(t, i, 0, keys->prefix)) {
            continue;
        }
        key = apr_palloc(keys->pool, (apr_size_t)entry->key_len + 1);
        djs_shm_copy_out(t, i, 0, key, entry->key_len);
        key[entry->key_len] = '\0';
        APR_ARRAY_PUSH(keys->found, djs_bytes_t) = djs_bytes_of(key, entry->key_len);
    }
    return APR_SUCCESS;
}

apr_status_t djs_shm_table_keys(djs_ctx_t *ctx, djs_shm_table_t *t, djs_bytes_t prefix,
                                apr_pool_t *pool, apr_array_header_t **keys)
{
    keys_t job = { prefix, pool, apr_array_make(pool, 64, sizeof(djs_bytes_t)) };

    *keys = job.found;
    return under_lock(ctx, t, collect_keys, &job);
}

static apr_status_t add_counts(djs_ctx_t *ctx, djs_shm_table_t *t, void *job)
{
    const djs_shm_counts_t *counts = &t->state->counts;
    djs_shm_counts_t *sum = job;

    sum->entries += t->state->entries;
    sum->blocks += t->blocks - 1;
    sum->used_blocks += t->blocks - 1 - djs_shm_free_blocks(t);
    sum->hits += counts->hits;
    sum->misses += counts->misses;
    sum->stored += counts->stored;
    sum->expired += counts->expired;
    sum->evicted += counts->evicted;
    sum->repaired += counts->repaired;
    sum->damaged += counts->damaged;
    return APR_SUCCESS;
}

apr_status_t djs_shm_table_count(djs_ctx_t *ctx, djs_shm_table_t *t, djs_shm_counts_t *sum)
{
    return under_lock(ctx, t, add_counts, sum);
}
