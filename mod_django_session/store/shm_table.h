/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One shard of a shared memory: a table of entries under a lock of its own, in memory that several
 * processes map, each of which may be killed at any instruction.
 *
 * Memory is divided into blocks of 256 bytes. An entry (its fixed part, its key, its value) is a
 * chain of blocks, so whatever was stored and removed before, an entry fits when there are as many
 * blocks left as it needs: there is no fragmentation. Beside the blocks stand
 *
 *     slots    one a block: what it is (free, the head or another part of an entry) and the next one
 *     buckets  chains of entries by the hash of their keys
 *     heap     entries by their end of life, soonest first
 *     a list   of the entries by their last use
 *
 * Truth is in the slots and blocks alone. An entry is written into blocks that nothing refers to; one
 * store, of "head" into a slot, makes it exist, one store makes it cease. All else can be made from
 * that again, and is: when somebody died with the lock (the mutex is a robust one and tells), or when
 * anything is met that cannot be, nothing of the shard is believed but entries whose chain is whole
 * and whose checksum is right; of two with one key it is the younger. So nothing half-written is
 * ever read, no number in the memory leads outside of it, and no loop is without an end.
 *
 * Blocks are wiped when they become free: sessions are in them in clear.
 */
#ifndef DJS_SHM_TABLE_H
#define DJS_SHM_TABLE_H

#include <apr_tables.h>

#include "../core/djs.h"

#define DJS_SHM_KEY_MAX   512
#define DJS_SHM_VALUE_MAX (4 * 1024 * 1024)

/** A shard as a process sees it; what it points to is shared. */
typedef struct djs_shm_table_t {
    struct shm_state_t *state;
    struct shm_slot_t *slots; /* [blocks]; number 0 is no block */
    struct shm_heap_t *heap;  /* [blocks + 1]; from 1 on */
    apr_uint32_t *buckets;    /* [bucket_mask + 1] */
    char *data;               /* [blocks][256] */
    apr_uint32_t blocks;
    apr_uint32_t bucket_mask;
    apr_uint64_t seed[2]; /* of the hash: who chooses keys cannot choose buckets */
} djs_shm_table_t;

/** What an entry is to be, or was. */
typedef struct djs_shm_item_t {
    djs_bytes_t key;
    djs_bytes_t value;
    apr_time_t expires; /* live while this is in the future */
    apr_uint64_t hash;  /* by djs_shm_table_hash() */
    apr_uint64_t sum;   /* by djs_shm_item_seal(): before the lock is taken */
} djs_shm_item_t;

/** Which shards and tables count; summed up over shards for a region. */
typedef struct djs_shm_counts_t {
    apr_uint64_t entries;
    apr_uint64_t blocks;      /* all that there are */
    apr_uint64_t used_blocks;
    apr_uint64_t hits;
    apr_uint64_t misses;
    apr_uint64_t stored;
    apr_uint64_t expired;  /* removed because their time was over */
    apr_uint64_t evicted;  /* removed alive, to make room */
    apr_uint64_t repaired; /* times that the shard was put together again */
    apr_uint64_t damaged;  /* entries that were no more what had been stored */
} djs_shm_counts_t;

#define DJS_SHM_BLOCK 256

/** The hash of a key: SipHash-2-4 under the region's seed. */
apr_uint64_t djs_shm_hash(const apr_uint64_t seed[2], djs_bytes_t key);

/** Work out item->sum. */
void djs_shm_item_seal(djs_shm_item_t *item);

/** How many blocks fit into @a bytes with all that belongs to them; 0: too few to be of use. */
apr_uint32_t djs_shm_table_fit(apr_size_t bytes);

/** See @a memory, on a page boundary, as a shard of so many blocks. */
void djs_shm_table_view(djs_shm_table_t *table, void *memory, apr_uint32_t blocks,
                        const apr_uint64_t seed[2]);

/**
 * Make the lock anew: nobody else may have the memory in use. @a fresh: the memory is all zero, and
 * is an empty table now; of any other, what is whole is kept.
 * APR_SUCCESS; DJS_ESTORE: the system has no such locks.
 */
apr_status_t djs_shm_table_begin(djs_ctx_t *ctx, djs_shm_table_t *table, int fresh) DJS_MUST_CHECK;

/*
 * Operations. Each takes the lock, for which it waits within ctx->patience, and gives it back.
 * DJS_ESTORE: not to be had in time. Time is ctx->now.
 */

/** APR_SUCCESS: @a found, its value in ctx->pool; APR_NOTFOUND. @a use: counts as a use of it. */
apr_status_t djs_shm_table_get(djs_ctx_t *ctx, djs_shm_table_t *table, djs_bytes_t key,
                               apr_uint64_t hash, int use, djs_shm_item_t *found) DJS_MUST_CHECK;

/** On what condition an item is stored. */
typedef enum djs_shm_when_t {
    DJS_SHM_ALWAYS,
    DJS_SHM_ABSENT,  /* else APR_EEXIST */
    DJS_SHM_PRESENT, /* else APR_NOTFOUND */
    DJS_SHM_SEEN     /* the stored value equals @a seen; else DJS_ECONFLICT or APR_NOTFOUND */
} djs_shm_when_t;

/** What storing has led to. */
typedef struct djs_shm_report_t {
    apr_uint32_t evicted; /* living entries that had to go */
    int tight;            /* less than a tenth is left */
} djs_shm_report_t;

/**
 * Store, and make room: what has expired goes first, then what was not used for longest. An item
 * that has expired already replaces by nothing.
 */
apr_status_t djs_shm_table_put(djs_ctx_t *ctx, djs_shm_table_t *table, const djs_shm_item_t *item,
                               djs_shm_when_t when, djs_bytes_t seen,
                               djs_shm_report_t *report) DJS_MUST_CHECK;

/** APR_SUCCESS, whether it was there or not. */
apr_status_t djs_shm_table_remove(djs_ctx_t *ctx, djs_shm_table_t *table, djs_bytes_t key,
                                  apr_uint64_t hash) DJS_MUST_CHECK;

/** Remove some of what has expired; @a removed 0: there is none left. */
apr_status_t djs_shm_table_expire(djs_ctx_t *ctx, djs_shm_table_t *table,
                                  apr_size_t *removed) DJS_MUST_CHECK;

/** The keys that begin with @a prefix, of djs_bytes_t, in @a pool. */
apr_status_t djs_shm_table_keys(djs_ctx_t *ctx, djs_shm_table_t *table, djs_bytes_t prefix,
                                apr_pool_t *pool, apr_array_header_t **keys) DJS_MUST_CHECK;

/** Add this shard's counts to @a sum. */
apr_status_t djs_shm_table_count(djs_ctx_t *ctx, djs_shm_table_t *table,
                                 djs_shm_counts_t *sum) DJS_MUST_CHECK;

/**
 * Is everything as it must be? @a why: NULL, or the first thing that is not. Looks at every block;
 * changes nothing.
 */
apr_status_t djs_shm_table_verify(djs_ctx_t *ctx, djs_shm_table_t *table,
                                  const char **why) DJS_MUST_CHECK;

/** For tests: called before each change to shared memory, to die there. NULL: nobody. */
extern void (*djs_shm_step)(void);

#endif
