/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in the memory of a shard: for shm_entries.c and shm_table.c, which work on it,
 * shm_rebuild.c, which puts it together again, and shm_verify.c, which looks whether it is right.
 *
 * Any of it may be wrong in the memory of others' making or after a death: numbers of blocks are
 * looked at (djs_shm_is_head() and its like) before they are used.
 */
#ifndef DJS_SHM_TABLE_IMPL_H
#define DJS_SHM_TABLE_IMPL_H

#include "shm_table.h"

#include <pthread.h>

/* What a block is. Fresh memory is free. */
#define SHM_FREE 0u
#define SHM_PART 1u /* of an entry, but its head; or of nothing yet, or no longer */
#define SHM_HEAD 2u /* an entry begins here and exists */
#define SHM_KEPT 3u /* while a shard is put together: a part that belongs to an entry */

typedef struct shm_slot_t {
    apr_uint32_t next; /* 0: the last one */
    apr_uint32_t kind;
} shm_slot_t;

typedef struct shm_heap_t {
    apr_int64_t expires;
    apr_uint32_t entry;
    apr_uint32_t unused;
} shm_heap_t;

/* At the begin of an entry; the key and then the value follow, across the blocks of its chain. */
typedef struct shm_entry_t {
    apr_uint64_t hash;
    apr_int64_t expires;
    apr_uint32_t key_len;
    apr_uint32_t value_len;
    apr_uint64_t sum;   /* of the above, the key and the value */
    apr_uint64_t made;  /* by the shard's clock: when it came to be, */
    apr_uint64_t used;  /* and when it was used last */
    apr_uint32_t newer; /* neighbours in the order of use */
    apr_uint32_t older;
    apr_uint32_t heap_at;
    apr_uint32_t chain; /* the next entry of the bucket */
} shm_entry_t;

typedef struct shm_state_t {
    pthread_mutex_t lock;
    apr_uint64_t clock;       /* one step for each use */
    apr_uint32_t free_first;  /* of a list through the slots */
    apr_uint32_t free_listed; /* how many it has */
    apr_uint32_t fresh;       /* from here on, no block was ever used; 0 is as 1 */
    apr_uint32_t newest;
    apr_uint32_t oldest;
    apr_uint32_t entries; /* in the heap, and in all */
    djs_shm_counts_t counts;
} shm_state_t;

/* Something is there that cannot be. */
#define SHM_DAMAGED APR_EGENERAL

static inline shm_entry_t *shm_entry(const djs_shm_table_t *t, apr_uint32_t block)
{
    return (shm_entry_t *)(void *)(t->data + (apr_size_t)block * DJS_SHM_BLOCK);
}

static inline int shm_is(const djs_shm_table_t *t, apr_uint32_t block, apr_uint32_t kind)
{
    return block > 0 && block < t->blocks && t->slots[block].kind == kind;
}

/* Blocks of an entry with so many bytes behind its fixed part. */
static inline apr_uint32_t shm_blocks_of(apr_size_t key_len, apr_size_t value_len)
{
    return (apr_uint32_t)((sizeof(shm_entry_t) + key_len + value_len + DJS_SHM_BLOCK - 1)
                          / DJS_SHM_BLOCK);
}

static inline int shm_lengths_are_sane(const shm_entry_t *entry)
{
    return entry->key_len <= DJS_SHM_KEY_MAX && entry->value_len <= DJS_SHM_VALUE_MAX;
}

/* A change that others can see; not before those written above it. */
#define SHM_STEP() do { if (djs_shm_step != NULL) { djs_shm_step(); } } while (0)
#define SHM_SET(place, value)                                                                      \
    do {                                                                                           \
        SHM_STEP();                                                                                \
        __atomic_store_n(&(place), (value), __ATOMIC_RELEASE);                                     \
    } while (0)

/* The first block that was never used. */
static inline apr_uint32_t shm_fresh_of(const djs_shm_table_t *t)
{
    return t->state->fresh > 0 ? t->state->fresh : 1;
}

/* ---- shm_entries.c: under the lock; SHM_DAMAGED from any of them ----------------------------- */

/* How many blocks are to be had without removing anything. */
apr_uint32_t djs_shm_free_blocks(const djs_shm_table_t *t);

/* The checksum that an entry should have; its chain is whole. */
apr_uint64_t djs_shm_entry_sum(const djs_shm_table_t *t, apr_uint32_t head);

/* Put an entry where its end of life belongs. */
void djs_shm_heap_push(djs_shm_table_t *t, apr_uint32_t head);

/* As many blocks as its lengths say, each of them a part, and none more. */
int djs_shm_chain_is_whole(const djs_shm_table_t *t, apr_uint32_t head);

/* Copy bytes of an entry, counted from behind its fixed part; its chain is whole. */
void djs_shm_copy_out(const djs_shm_table_t *t, apr_uint32_t head, apr_size_t from, char *to,
                      apr_size_t len);

/* APR_SUCCESS and @a head, or APR_NOTFOUND. */
apr_status_t djs_shm_find(const djs_shm_table_t *t, djs_bytes_t key, apr_uint64_t hash,
                          apr_uint32_t *head) DJS_MUST_CHECK;

/* Are these the bytes of an entry, counted from behind its fixed part? Its chain is whole. */
int djs_shm_bytes_are(const djs_shm_table_t *t, apr_uint32_t head, apr_size_t from,
                      djs_bytes_t bytes);

/* Nobody has used an entry later. */
apr_status_t djs_shm_mark_used(djs_shm_table_t *t, apr_uint32_t head) DJS_MUST_CHECK;

/* Put a sealed item in, beside an older one of the same key, if there is. There is room. */
apr_status_t djs_shm_insert(djs_shm_table_t *t, const djs_shm_item_t *item) DJS_MUST_CHECK;

apr_status_t djs_shm_drop(djs_shm_table_t *t, apr_uint32_t head) DJS_MUST_CHECK;

/* Drop the entry that ends first, if it has ended. APR_NOTFOUND: none has. */
apr_status_t djs_shm_drop_expired(djs_shm_table_t *t, apr_time_t now) DJS_MUST_CHECK;

/* Drop what has ended, and while that is not enough what was used last longest ago. */
apr_status_t djs_shm_make_room(djs_shm_table_t *t, apr_uint32_t needed, apr_time_t now,
                               djs_shm_report_t *report) DJS_MUST_CHECK;

/* The checksum that an item should have. */
apr_uint64_t djs_shm_item_sum(const djs_shm_item_t *item);

/* ---- shm_table.c ----------------------------------------------------------------------------- */

/* @a repaired: it had to be put together again. */
apr_status_t djs_shm_lock(djs_ctx_t *ctx, djs_shm_table_t *t, int *repaired) DJS_MUST_CHECK;
void djs_shm_unlock(djs_shm_table_t *t);

/* shm_rebuild.c: keep what is whole, make all else anew. Under the lock. */
void djs_shm_rebuild(djs_shm_table_t *t);

#endif
