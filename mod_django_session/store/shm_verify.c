/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a shard as it must be? Every rule that shm_table.c lives by, looked at by other code.
 */
#include "shm_table_impl.h"

#include <string.h>

/* What has been met so far. */
typedef struct tally_t {
    const djs_shm_table_t *t;
    char *seen; /* a mark for each block */
    apr_uint32_t heads;
} tally_t;

static int see(tally_t *tally, apr_uint32_t block)
{
    if (block == 0 || block >= tally->t->blocks || tally->seen[block]) {
        return 0;
    }
    tally->seen[block] = 1;
    return 1;
}

static int is_wiped(const djs_shm_table_t *t, apr_uint32_t block)
{
    const char *data = t->data + (apr_size_t)block * DJS_SHM_BLOCK;

    return data[0] == 0 && memcmp(data, data + 1, DJS_SHM_BLOCK - 1) == 0;
}

static const char *look_at_free(tally_t *tally)
{
    const djs_shm_table_t *t = tally->t;
    apr_uint32_t count = 0;
    apr_uint32_t i;

    for (i = t->state->free_first; i != 0; i = t->slots[i].next) {
        if (!see(tally, i) || t->slots[i].kind != SHM_FREE) {
            return "the list of free blocks has one that is not free, or twice";
        }
        if (!is_wiped(t, i)) {
            return "a free block was not wiped";
        }
        count++;
    }
    return count == t->state->free_listed ? NULL : "the free blocks were miscounted";
}

static const char *look_at_fresh(tally_t *tally)
{
    const djs_shm_table_t *t = tally->t;
    apr_uint32_t i;

    for (i = t->state->fresh > 0 ? t->state->fresh : 1; i < t->blocks; i++) {
        if (!see(tally, i) || t->slots[i].kind != SHM_FREE) {
            return "a block that was never used is in use";
        }
    }
    return NULL;
}

static const char *look_at_entry(tally_t *tally, apr_uint32_t head)
{
    const djs_shm_table_t *t = tally->t;
    const shm_entry_t *entry = shm_entry(t, head);
    char key[DJS_SHM_KEY_MAX];
    apr_uint32_t i;

    if (!djs_shm_chain_is_whole(t, head)) {
        return "an entry's chain is not whole";
    }
    for (i = head; i != 0; i = t->slots[i].next) {
        if (!see(tally, i)) {
            return "a block is part of two things";
        }
    }
    djs_shm_copy_out(t, head, 0, key, entry->key_len);
    if (djs_shm_hash(t->seed, djs_bytes_of(key, entry->key_len)) != entry->hash
        || djs_shm_entry_sum(t, head) != entry->sum) {
        return "an entry is not what was stored";
    }
    if (entry->heap_at == 0 || entry->heap_at > t->state->entries
        || t->heap[entry->heap_at].entry != head
        || t->heap[entry->heap_at].expires != entry->expires) {
        return "an entry is not in the heap";
    }
    if (entry->heap_at > 1 && t->heap[entry->heap_at / 2].expires > entry->expires) {
        return "the heap is out of order";
    }
    tally->heads++;
    return NULL;
}

static const char *look_at_buckets(tally_t *tally)
{
    const djs_shm_table_t *t = tally->t;
    const char *why = NULL;
    apr_uint32_t bucket;
    apr_uint32_t i;

    for (bucket = 0; bucket <= t->bucket_mask && why == NULL; bucket++) {
        for (i = t->buckets[bucket]; i != 0 && why == NULL; i = shm_entry(t, i)->chain) {
            if (!shm_is(t, i, SHM_HEAD) || ((apr_uint32_t)shm_entry(t, i)->hash & t->bucket_mask)
                                               != bucket) {
                return "a bucket leads to what does not belong there";
            }
            why = look_at_entry(tally, i);
        }
    }
    return why;
}

static const char *look_at_order(const tally_t *tally)
{
    const djs_shm_table_t *t = tally->t;
    apr_uint32_t newer = 0;
    apr_uint32_t count = 0;
    apr_uint32_t i;

    for (i = t->state->newest; i != 0; i = shm_entry(t, i)->older) {
        if (!shm_is(t, i, SHM_HEAD) || shm_entry(t, i)->newer != newer || count++ > tally->heads) {
            return "the order of use is broken";
        }
        if (newer != 0 && shm_entry(t, newer)->used <= shm_entry(t, i)->used) {
            return "the order of use is not by use";
        }
        newer = i;
    }
    return count == tally->heads && t->state->oldest == newer ? NULL
                                                              : "the order of use lacks entries";
}

static const char *look_at_all(tally_t *tally)
{
    const djs_shm_table_t *t = tally->t;
    const char *why = look_at_free(tally);
    apr_uint32_t i;

    if (why == NULL) {
        why = look_at_fresh(tally);
    }
    if (why == NULL) {
        why = look_at_buckets(tally);
    }
    if (why == NULL && tally->heads != t->state->entries) {
        why = "the entries were miscounted";
    }
    if (why == NULL) {
        why = look_at_order(tally);
    }
    for (i = 1; i < t->blocks && why == NULL; i++) {
        if (!tally->seen[i]) {
            why = "a block is lost";
        }
    }
    return why;
}

apr_status_t djs_shm_table_verify(djs_ctx_t *ctx, djs_shm_table_t *t, const char **why)
{
    tally_t tally = { t, apr_pcalloc(ctx->pool, t->blocks), 0 };
    int repaired;
    apr_status_t rv = djs_shm_lock(ctx, t, &repaired);

    if (rv == APR_SUCCESS) {
        *why = look_at_all(&tally);
        djs_shm_unlock(t);
    }
    return rv;
}
