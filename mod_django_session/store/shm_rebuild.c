/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a shard is laid out, begun, and put together again from its slots and blocks.
 *
 * Who does that may be killed, too: until the last step each slot says whether an entry begins there,
 * so the next one starts from as much as this one did.
 */
#include "shm_table_impl.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

/* ---- Layout ---------------------------------------------------------------------------------- */

/* Less would be of no use. */
#define BLOCKS_MIN 16
/* Parts begin on lines of the processor's cache. */
#define ALIGNED(len) (((apr_size_t)(len) + 63) & ~(apr_size_t)63)

static apr_uint32_t buckets_of(apr_uint32_t blocks)
{
    apr_uint32_t buckets = 1;

    while (buckets < blocks / 2) {
        buckets *= 2;
    }
    return buckets;
}

static apr_size_t size_of(apr_uint32_t blocks)
{
    return ALIGNED(sizeof(shm_state_t)) + ALIGNED((apr_size_t)blocks * sizeof(shm_slot_t))
           + ALIGNED(((apr_size_t)blocks + 1) * sizeof(shm_heap_t))
           + ALIGNED((apr_size_t)buckets_of(blocks) * sizeof(apr_uint32_t))
           + (apr_size_t)blocks * DJS_SHM_BLOCK;
}

apr_uint32_t djs_shm_table_fit(apr_size_t bytes)
{
    apr_size_t blocks = bytes / (DJS_SHM_BLOCK + sizeof(shm_slot_t) + sizeof(shm_heap_t));

    if (blocks > APR_UINT32_MAX / 2) {
        blocks = APR_UINT32_MAX / 2;
    }
    while (blocks >= BLOCKS_MIN && size_of((apr_uint32_t)blocks) > bytes) {
        blocks -= blocks / 256 + 1;
    }
    return blocks >= BLOCKS_MIN ? (apr_uint32_t)blocks : 0;
}

void djs_shm_table_view(djs_shm_table_t *t, void *memory, apr_uint32_t blocks,
                        const apr_uint64_t seed[2])
{
    char *at = memory;

    t->state = (shm_state_t *)(void *)at;
    at += ALIGNED(sizeof(shm_state_t));
    t->slots = (shm_slot_t *)(void *)at;
    at += ALIGNED((apr_size_t)blocks * sizeof(shm_slot_t));
    t->heap = (shm_heap_t *)(void *)at;
    at += ALIGNED(((apr_size_t)blocks + 1) * sizeof(shm_heap_t));
    t->buckets = (apr_uint32_t *)(void *)at;
    at += ALIGNED((apr_size_t)buckets_of(blocks) * sizeof(apr_uint32_t));
    t->data = at;
    t->blocks = blocks;
    t->bucket_mask = buckets_of(blocks) - 1;
    t->seed[0] = seed[0];
    t->seed[1] = seed[1];
}

static int make_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t kind;
    int rc = pthread_mutexattr_init(&kind);

    if (rc != 0) {
        return rc;
    }
    rc = pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    if (rc == 0) {
        rc = pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    }
    if (rc == 0) {
        memset(lock, 0, sizeof(*lock));
        rc = pthread_mutex_init(lock, &kind);
    }
    pthread_mutexattr_destroy(&kind);
    return rc;
}

apr_status_t djs_shm_table_begin(djs_ctx_t *ctx, djs_shm_table_t *t, int fresh)
{
    int rc = make_lock(&t->state->lock);

    if (rc != 0) {
        return djs_fail(ctx, DJS_ESTORE, "no lock for shared memory could be made: error %d", rc);
    }
    if (!fresh) {
        memset(&t->state->counts, 0, sizeof(t->state->counts));
        djs_shm_rebuild(t);
        t->state->counts.repaired = 0;
    }
    return APR_SUCCESS;
}

/* ---- What is whole --------------------------------------------------------------------------- */

static void mark_parts(djs_shm_table_t *t, apr_uint32_t head, apr_uint32_t kind)
{
    const shm_entry_t *entry = shm_entry(t, head);
    apr_uint32_t left = shm_blocks_of(entry->key_len, entry->value_len) - 1;
    apr_uint32_t block;

    for (block = t->slots[head].next; left > 0; left--) {
        SHM_SET(t->slots[block].kind, kind);
        block = t->slots[block].next;
    }
}

static int is_whole(const djs_shm_table_t *t, apr_uint32_t head)
{
    const shm_entry_t *entry = shm_entry(t, head);
    char key[DJS_SHM_KEY_MAX];

    if (!djs_shm_chain_is_whole(t, head)) {
        return 0;
    }
    djs_shm_copy_out(t, head, 0, key, entry->key_len);
    return djs_shm_hash(t->seed, djs_bytes_of(key, entry->key_len)) == entry->hash
           && djs_shm_entry_sum(t, head) == entry->sum;
}

static int same_key(const djs_shm_table_t *t, apr_uint32_t one, apr_uint32_t other)
{
    const shm_entry_t *a = shm_entry(t, one);
    const shm_entry_t *b = shm_entry(t, other);
    char key[DJS_SHM_KEY_MAX];
    char other_key[DJS_SHM_KEY_MAX];

    if (a->hash != b->hash || a->key_len != b->key_len) {
        return 0;
    }
    djs_shm_copy_out(t, one, 0, key, a->key_len);
    djs_shm_copy_out(t, other, 0, other_key, a->key_len);
    return memcmp(key, other_key, a->key_len) == 0;
}

/* Where an entry of the same key stands in the bucket; else where the bucket ends. */
static apr_uint32_t *find_twin(djs_shm_table_t *t, apr_uint32_t head)
{
    apr_uint32_t *link = &t->buckets[(apr_uint32_t)shm_entry(t, head)->hash & t->bucket_mask];

    while (*link != 0 && !same_key(t, *link, head)) {
        link = &shm_entry(t, *link)->chain;
    }
    return link;
}

/* An entry that is whole goes into its bucket, unless a younger one of its key is there. */
static void keep(djs_shm_table_t *t, apr_uint32_t head)
{
    apr_uint32_t *link = find_twin(t, head);
    apr_uint32_t twin = *link;

    if (twin != 0 && shm_entry(t, twin)->made > shm_entry(t, head)->made) {
        SHM_SET(t->slots[head].kind, SHM_PART);
        return;
    }
    SHM_SET(shm_entry(t, head)->chain, twin != 0 ? shm_entry(t, twin)->chain : 0);
    SHM_SET(*link, head);
    mark_parts(t, head, SHM_KEPT);
    if (twin != 0) {
        mark_parts(t, twin, SHM_PART);
        SHM_SET(t->slots[twin].kind, SHM_PART);
    }
}

static void keep_what_is_whole(djs_shm_table_t *t)
{
    apr_uint32_t i;

    for (i = 1; i < t->blocks; i++) {
        if (t->slots[i].kind >= SHM_KEPT) { /* somebody died at this, or it is no kind at all */
            SHM_SET(t->slots[i].kind, SHM_PART);
        }
    }
    for (i = 1; i < t->blocks; i++) {
        if (t->slots[i].kind != SHM_HEAD) {
            continue;
        }
        if (is_whole(t, i)) {
            keep(t, i);
        }
        else {
            SHM_SET(t->slots[i].kind, SHM_PART);
            t->state->counts.damaged++;
        }
    }
}

/* ---- What follows from that ------------------------------------------------------------------ */

static apr_uint32_t end_of_used(const djs_shm_table_t *t)
{
    apr_uint32_t end = t->blocks;

    while (end > 1 && t->slots[end - 1].kind == SHM_FREE) {
        end--;
    }
    return end;
}

static void free_the_rest(djs_shm_table_t *t)
{
    shm_state_t *state = t->state;
    apr_uint32_t fresh = state->fresh <= t->blocks ? state->fresh : t->blocks;
    apr_uint32_t used = end_of_used(t);
    apr_uint32_t i;

    if (fresh < used) {
        fresh = used;
    }
    for (i = fresh - 1; i > 0; i--) {
        if (t->slots[i].kind == SHM_KEPT) {
            SHM_SET(t->slots[i].kind, SHM_PART);
        }
        else if (t->slots[i].kind != SHM_HEAD) {
            SHM_STEP();
            OPENSSL_cleanse(t->data + (apr_size_t)i * DJS_SHM_BLOCK, DJS_SHM_BLOCK);
            SHM_SET(t->slots[i].next, state->free_first);
            SHM_SET(t->slots[i].kind, SHM_FREE);
            SHM_SET(state->free_first, i);
            SHM_SET(state->free_listed, state->free_listed + 1);
        }
    }
    SHM_SET(state->fresh, fresh);
}

static int by_use(const void *one, const void *other)
{
    const shm_heap_t *a = one;
    const shm_heap_t *b = other;

    return (a->expires > b->expires) - (a->expires < b->expires);
}

/* The heap's memory holds the entries while they are sorted. */
static apr_uint32_t sort_by_use(djs_shm_table_t *t)
{
    apr_uint32_t count = 0;
    apr_uint32_t i;

    for (i = 1; i < t->state->fresh; i++) {
        if (t->slots[i].kind == SHM_HEAD) {
            SHM_STEP();
            t->heap[count].expires = (apr_int64_t)shm_entry(t, i)->used;
            t->heap[count].entry = i;
            count++;
        }
    }
    qsort(t->heap, count, sizeof(*t->heap), by_use);
    return count;
}

static void link_by_use(djs_shm_table_t *t)
{
    shm_state_t *state = t->state;
    apr_uint32_t count = sort_by_use(t);
    apr_uint32_t older = 0;
    apr_uint32_t i;

    for (i = 0; i < count; i++) {
        shm_entry_t *entry = shm_entry(t, t->heap[i].entry);

        SHM_SET(entry->older, older);
        SHM_SET(entry->newer, i + 1 < count ? t->heap[i + 1].entry : 0);
        SHM_SET(entry->used, (apr_uint64_t)i + 1);
        SHM_SET(entry->made, (apr_uint64_t)i + 1);
        older = t->heap[i].entry;
    }
    SHM_SET(state->oldest, count > 0 ? t->heap[0].entry : 0);
    SHM_SET(state->newest, older);
    SHM_SET(state->clock, (apr_uint64_t)count + 1);
}

void djs_shm_rebuild(djs_shm_table_t *t)
{
    shm_state_t *state = t->state;
    apr_uint32_t i;

    SHM_SET(state->free_first, 0);
    SHM_SET(state->free_listed, 0);
    SHM_SET(state->entries, 0);
    memset(t->buckets, 0, ((apr_size_t)t->bucket_mask + 1) * sizeof(*t->buckets));
    keep_what_is_whole(t);
    free_the_rest(t);
    link_by_use(t);
    for (i = state->oldest; i != 0; i = shm_entry(t, i)->newer) {
        djs_shm_heap_push(t, i);
    }
    state->counts.repaired++;
}
