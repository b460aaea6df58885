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

#include <openssl/crypto.h>

/* Below a tenth of its blocks, a shard is short of room. */
#define TIGHT 10
/* How many expired entries one store clears away: always, and when room is short. */
#define CLEARED       2
#define CLEARED_TIGHT 16
/* How many one step of djs_shm_table_expire() does. */
#define STEP_OF_EXPIRE 64

void (*djs_shm_step)(void);

/* ---- Hash and checksum ----------------------------------------------------------------------- */

#define ROTATE(x, bits) ((x) << (bits) | (x) >> (64 - (bits)))

static void sip_round(apr_uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = ROTATE(v[1], 13) ^ v[0];
    v[3] = ROTATE(v[3], 16) ^ v[2];
    v[0] = ROTATE(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = ROTATE(v[1], 17) ^ v[2];
    v[3] = ROTATE(v[3], 21) ^ v[0];
    v[2] = ROTATE(v[2], 32);
}

static void sip_word(apr_uint64_t v[4], apr_uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    sip_round(v);
    v[0] ^= word;
}

apr_uint64_t djs_shm_hash(const apr_uint64_t seed[2], djs_bytes_t key)
{
    apr_uint64_t v[4] = {
        seed[0] ^ APR_UINT64_C(0x736f6d6570736575), seed[1] ^ APR_UINT64_C(0x646f72616e646f6d),
        seed[0] ^ APR_UINT64_C(0x6c7967656e657261), seed[1] ^ APR_UINT64_C(0x7465646279746573)
    };
    apr_uint64_t word;
    apr_size_t at;

    for (at = 0; at + 8 <= key.len; at += 8) {
        memcpy(&word, key.data + at, 8);
        sip_word(v, word);
    }
    word = 0;
    if (at < key.len) {
        memcpy(&word, key.data + at, key.len - at);
    }
    sip_word(v, word ^ (apr_uint64_t)key.len << 56);
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/*
 * The checksum. Not for enemies: for memory that is not what was written. Each step is reversible, so
 * a change within one word is always seen, and others but for one in 2^64.
 */
typedef struct sum_t {
    apr_uint64_t sum;
    apr_uint64_t word; /* bytes that are no whole word yet */
    apr_size_t filled; /* how many */
} sum_t;

#define SUM_FACTOR APR_UINT64_C(0x9e3779b97f4a7c15)

static void sum_word(sum_t *sum, apr_uint64_t word)
{
    sum->sum = (sum->sum ^ word) * SUM_FACTOR;
    sum->sum = ROTATE(sum->sum, 31);
}

static void sum_byte(sum_t *sum, char byte)
{
    sum->word |= (apr_uint64_t)(unsigned char)byte << 8 * sum->filled;
    sum->filled++;
    if (sum->filled == 8) {
        sum_word(sum, sum->word);
        sum->word = 0;
        sum->filled = 0;
    }
}

static void sum_bytes(sum_t *sum, const char *data, apr_size_t len)
{
    apr_uint64_t word;

    for (; len > 0 && sum->filled > 0; len--) {
        sum_byte(sum, *data++);
    }
    for (; len >= 8; len -= 8, data += 8) {
        memcpy(&word, data, 8);
        sum_word(sum, word);
    }
    for (; len > 0; len--) {
        sum_byte(sum, *data++);
    }
}

/* Key and value end with a word each. */
static void sum_end(sum_t *sum)
{
    sum_word(sum, sum->word);
    sum->word = 0;
    sum->filled = 0;
}

/* Of what a fixed part says and may not change. */
static sum_t sum_begin(apr_uint64_t hash, apr_int64_t expires, apr_size_t key_len,
                       apr_size_t value_len)
{
    sum_t sum = { hash, 0, 0 };

    sum_word(&sum, (apr_uint64_t)expires);
    sum_word(&sum, (apr_uint64_t)key_len << 32 | value_len);
    return sum;
}

static apr_uint64_t sum_of(const djs_shm_item_t *item)
{
    sum_t sum = sum_begin(item->hash, item->expires, item->key.len, item->value.len);

    sum_bytes(&sum, item->key.data, item->key.len);
    sum_end(&sum);
    sum_bytes(&sum, item->value.data, item->value.len);
    sum_end(&sum);
    return sum.sum;
}

void djs_shm_item_seal(djs_shm_item_t *item)
{
    item->sum = sum_of(item);
}

/* ---- The bytes of an entry ------------------------------------------------------------------- */

/* A place among the bytes of an entry whose chain is whole. */
typedef struct cursor_t {
    const djs_shm_table_t *t;
    apr_uint32_t block;
    apr_size_t at;
} cursor_t;

static cursor_t behind_fixed_part(const djs_shm_table_t *t, apr_uint32_t head)
{
    cursor_t cursor = { t, head, sizeof(shm_entry_t) };

    return cursor;
}

/* The bytes at the cursor that lie together, at most so many, and go behind them. */
static apr_size_t piece(cursor_t *cursor, apr_size_t most, char **data)
{
    apr_size_t len;

    if (cursor->at == DJS_SHM_BLOCK) {
        cursor->block = cursor->t->slots[cursor->block].next;
        cursor->at = 0;
    }
    len = DJS_SHM_BLOCK - cursor->at;
    *data = cursor->t->data + (apr_size_t)cursor->block * DJS_SHM_BLOCK + cursor->at;
    if (len > most) {
        len = most;
    }
    cursor->at += len;
    return len;
}

static void write_bytes(cursor_t *cursor, djs_bytes_t bytes)
{
    apr_size_t done = 0;
    char *data;

    while (done < bytes.len) {
        apr_size_t len = piece(cursor, bytes.len - done, &data);

        SHM_STEP();
        memcpy(data, bytes.data + done, len);
        done += len;
    }
}

static int bytes_equal(cursor_t *cursor, djs_bytes_t bytes)
{
    apr_size_t done = 0;
    char *data;

    while (done < bytes.len) {
        apr_size_t len = piece(cursor, bytes.len - done, &data);

        if (memcmp(data, bytes.data + done, len) != 0) {
            return 0;
        }
        done += len;
    }
    return 1;
}

static void skip(cursor_t *cursor, apr_size_t len)
{
    char *data;

    while (len > 0) {
        len -= piece(cursor, len, &data);
    }
}

void djs_shm_copy_out(const djs_shm_table_t *t, apr_uint32_t head, apr_size_t from, char *to,
                      apr_size_t len)
{
    cursor_t cursor = behind_fixed_part(t, head);
    char *data;

    skip(&cursor, from);
    while (len > 0) {
        apr_size_t some = piece(&cursor, len, &data);

        memcpy(to, data, some);
        to += some;
        len -= some;
    }
}

static void sum_stored(sum_t *sum, cursor_t *cursor, apr_size_t left)
{
    char *data;

    while (left > 0) {
        apr_size_t len = piece(cursor, left, &data);

        sum_bytes(sum, data, len);
        left -= len;
    }
    sum_end(sum);
}

apr_uint64_t djs_shm_entry_sum(const djs_shm_table_t *t, apr_uint32_t head)
{
    const shm_entry_t *entry = shm_entry(t, head);
    cursor_t cursor = behind_fixed_part(t, head);
    sum_t sum = sum_begin(entry->hash, entry->expires, entry->key_len, entry->value_len);

    sum_stored(&sum, &cursor, entry->key_len);
    sum_stored(&sum, &cursor, entry->value_len);
    return sum.sum;
}

int djs_shm_chain_is_whole(const djs_shm_table_t *t, apr_uint32_t head)
{
    const shm_entry_t *entry = shm_entry(t, head);
    apr_uint32_t left;
    apr_uint32_t block;

    if (!shm_lengths_are_sane(entry)) {
        return 0;
    }
    left = shm_blocks_of(entry->key_len, entry->value_len) - 1;
    for (block = t->slots[head].next; left > 0; left--) {
        if (!shm_is(t, block, SHM_PART)) {
            return 0;
        }
        block = t->slots[block].next;
    }
    return block == 0;
}

/* ---- Blocks ---------------------------------------------------------------------------------- */

static apr_uint32_t fresh_of(const djs_shm_table_t *t)
{
    return t->state->fresh > 0 ? t->state->fresh : 1;
}

apr_uint32_t djs_shm_free_blocks(const djs_shm_table_t *t)
{
    return t->state->free_listed + (t->blocks - fresh_of(t));
}

static apr_status_t take_block(djs_shm_table_t *t, apr_uint32_t *block)
{
    shm_state_t *state = t->state;

    if (state->free_first != 0) {
        *block = state->free_first;
        if (!shm_is(t, *block, SHM_FREE) || state->free_listed == 0) {
            return SHM_DAMAGED;
        }
        SHM_SET(state->free_first, t->slots[*block].next);
        SHM_SET(state->free_listed, state->free_listed - 1);
        return APR_SUCCESS;
    }
    *block = fresh_of(t);
    if (!shm_is(t, *block, SHM_FREE)) {
        return SHM_DAMAGED;
    }
    SHM_SET(state->fresh, *block + 1);
    return APR_SUCCESS;
}

static apr_status_t take_chain(djs_shm_table_t *t, apr_uint32_t count, apr_uint32_t *head)
{
    apr_uint32_t next = 0;

    for (; count > 0; count--) {
        if (take_block(t, head) != APR_SUCCESS) {
            return SHM_DAMAGED;
        }
        SHM_SET(t->slots[*head].next, next);
        SHM_SET(t->slots[*head].kind, SHM_PART);
        next = *head;
    }
    return APR_SUCCESS;
}

static void free_chain(djs_shm_table_t *t, apr_uint32_t block, apr_uint32_t count)
{
    shm_state_t *state = t->state;

    for (; count > 0; count--) {
        apr_uint32_t next = t->slots[block].next;

        SHM_STEP();
        OPENSSL_cleanse(t->data + (apr_size_t)block * DJS_SHM_BLOCK, DJS_SHM_BLOCK);
        SHM_SET(t->slots[block].next, state->free_first);
        SHM_SET(t->slots[block].kind, SHM_FREE);
        SHM_SET(state->free_first, block);
        SHM_SET(state->free_listed, state->free_listed + 1);
        block = next;
    }
}

/* ---- The order of use ------------------------------------------------------------------------ */

static void push_newest(djs_shm_table_t *t, apr_uint32_t head)
{
    shm_state_t *state = t->state;
    shm_entry_t *entry = shm_entry(t, head);

    SHM_SET(state->clock, state->clock + 1);
    SHM_SET(entry->used, state->clock);
    SHM_SET(entry->newer, 0);
    SHM_SET(entry->older, state->newest);
    if (shm_is(t, state->newest, SHM_HEAD)) {
        SHM_SET(shm_entry(t, state->newest)->newer, head);
    }
    else {
        SHM_SET(state->oldest, head);
    }
    SHM_SET(state->newest, head);
}

/* Where a neighbour points back to an entry; NULL: there is something else. */
static apr_uint32_t *pointer_back(djs_shm_table_t *t, apr_uint32_t head, int from_newer)
{
    const shm_entry_t *entry = shm_entry(t, head);
    apr_uint32_t neighbour = from_newer ? entry->newer : entry->older;
    apr_uint32_t *place;

    if (neighbour == 0) {
        place = from_newer ? &t->state->newest : &t->state->oldest;
    }
    else if (!shm_is(t, neighbour, SHM_HEAD)) {
        return NULL;
    }
    else {
        place = from_newer ? &shm_entry(t, neighbour)->older : &shm_entry(t, neighbour)->newer;
    }
    return *place == head ? place : NULL;
}

static apr_status_t take_out_of_order(djs_shm_table_t *t, apr_uint32_t head)
{
    const shm_entry_t *entry = shm_entry(t, head);
    apr_uint32_t *from_newer = pointer_back(t, head, 1);
    apr_uint32_t *from_older = pointer_back(t, head, 0);

    if (from_newer == NULL || from_older == NULL) {
        return SHM_DAMAGED;
    }
    SHM_SET(*from_newer, entry->older);
    SHM_SET(*from_older, entry->newer);
    return APR_SUCCESS;
}

static apr_status_t mark_used(djs_shm_table_t *t, apr_uint32_t head)
{
    if (t->state->newest == head) {
        return APR_SUCCESS;
    }
    if (take_out_of_order(t, head) != APR_SUCCESS) {
        return SHM_DAMAGED;
    }
    push_newest(t, head);
    return APR_SUCCESS;
}

/* ---- The heap of ends ------------------------------------------------------------------------ */

static void heap_place(djs_shm_table_t *t, apr_uint32_t at, shm_heap_t item)
{
    SHM_SET(t->heap[at].expires, item.expires);
    SHM_SET(t->heap[at].entry, item.entry);
    if (shm_is(t, item.entry, SHM_HEAD)) {
        SHM_SET(shm_entry(t, item.entry)->heap_at, at);
    }
}

/* Find the place of an item, from a free one upwards. */
static apr_uint32_t heap_up(djs_shm_table_t *t, apr_uint32_t at, shm_heap_t item)
{
    while (at > 1 && t->heap[at / 2].expires > item.expires) {
        heap_place(t, at, t->heap[at / 2]);
        at /= 2;
    }
    return at;
}

/* The same, downwards. */
static apr_uint32_t heap_down(djs_shm_table_t *t, apr_uint32_t at, shm_heap_t item)
{
    apr_uint32_t count = t->state->entries;

    while (at <= count / 2) {
        apr_uint32_t child = 2 * at;

        if (child < count && t->heap[child + 1].expires < t->heap[child].expires) {
            child++;
        }
        if (t->heap[child].expires >= item.expires) {
            break;
        }
        heap_place(t, at, t->heap[child]);
        at = child;
    }
    return at;
}

void djs_shm_heap_push(djs_shm_table_t *t, apr_uint32_t head)
{
    shm_heap_t item = { shm_entry(t, head)->expires, head, 0 };

    SHM_SET(t->state->entries, t->state->entries + 1);
    heap_place(t, heap_up(t, t->state->entries, item), item);
}

static apr_status_t heap_remove(djs_shm_table_t *t, apr_uint32_t head)
{
    apr_uint32_t at = shm_entry(t, head)->heap_at;
    apr_uint32_t last = t->state->entries;
    shm_heap_t item;

    if (at == 0 || at > last || t->heap[at].entry != head) {
        return SHM_DAMAGED;
    }
    item = t->heap[last];
    SHM_SET(t->state->entries, last - 1);
    if (at < last) {
        heap_place(t, heap_down(t, heap_up(t, at, item), item), item);
    }
    return APR_SUCCESS;
}

/* ---- Buckets --------------------------------------------------------------------------------- */

static apr_uint32_t *bucket_of(const djs_shm_table_t *t, apr_uint64_t hash)
{
    return &t->buckets[(apr_uint32_t)hash & t->bucket_mask];
}

/* APR_SUCCESS and @a head; APR_NOTFOUND; SHM_DAMAGED. */
static apr_status_t find(const djs_shm_table_t *t, djs_bytes_t key, apr_uint64_t hash,
                         apr_uint32_t *head)
{
    apr_uint32_t left = t->blocks;
    apr_uint32_t i;

    for (i = *bucket_of(t, hash); i != 0; i = shm_entry(t, i)->chain) {
        const shm_entry_t *entry;
        cursor_t cursor;

        if (!shm_is(t, i, SHM_HEAD) || left-- == 0) {
            return SHM_DAMAGED;
        }
        entry = shm_entry(t, i);
        if (entry->hash != hash || entry->key_len != key.len) {
            continue;
        }
        if (!djs_shm_chain_is_whole(t, i)) {
            return SHM_DAMAGED;
        }
        cursor = behind_fixed_part(t, i);
        if (bytes_equal(&cursor, key)) {
            *head = i;
            return APR_SUCCESS;
        }
    }
    return APR_NOTFOUND;
}

static apr_status_t take_out_of_bucket(djs_shm_table_t *t, apr_uint32_t head)
{
    const shm_entry_t *entry = shm_entry(t, head);
    apr_uint32_t *link = bucket_of(t, entry->hash);
    apr_uint32_t left = t->blocks;

    while (*link != head) {
        if (!shm_is(t, *link, SHM_HEAD) || left-- == 0) {
            return SHM_DAMAGED;
        }
        link = &shm_entry(t, *link)->chain;
    }
    SHM_SET(*link, entry->chain);
    return APR_SUCCESS;
}

/* ---- Entries --------------------------------------------------------------------------------- */

static apr_status_t drop(djs_shm_table_t *t, apr_uint32_t head)
{
    const shm_entry_t *entry = shm_entry(t, head);
    apr_uint32_t count;

    if (!djs_shm_chain_is_whole(t, head)) {
        return SHM_DAMAGED;
    }
    count = shm_blocks_of(entry->key_len, entry->value_len);
    SHM_SET(t->slots[head].kind, SHM_PART); /* it ceases to exist */
    if (take_out_of_bucket(t, head) != APR_SUCCESS || take_out_of_order(t, head) != APR_SUCCESS
        || heap_remove(t, head) != APR_SUCCESS) {
        return SHM_DAMAGED;
    }
    free_chain(t, head, count);
    return APR_SUCCESS;
}

/* Remove the entry that ends first, if it has ended. APR_NOTFOUND: none has. */
static apr_status_t drop_expired(djs_shm_table_t *t, apr_time_t now)
{
    if (t->state->entries == 0 || t->heap[1].expires > now) {
        return APR_NOTFOUND;
    }
    if (!shm_is(t, t->heap[1].entry, SHM_HEAD)) {
        return SHM_DAMAGED;
    }
    t->state->counts.expired++;
    return drop(t, t->heap[1].entry);
}

static apr_status_t evict(djs_shm_table_t *t)
{
    if (!shm_is(t, t->state->oldest, SHM_HEAD)) {
        return SHM_DAMAGED;
    }
    t->state->counts.evicted++;
    return drop(t, t->state->oldest);
}

static int is_tight(const djs_shm_table_t *t, apr_uint32_t needed)
{
    return djs_shm_free_blocks(t) < needed + t->blocks / TIGHT;
}

static apr_status_t make_room(djs_shm_table_t *t, apr_uint32_t needed, apr_time_t now,
                              djs_shm_report_t *report)
{
    apr_status_t rv = APR_SUCCESS;
    int cleared;

    for (cleared = 0; rv == APR_SUCCESS
                      && (cleared < CLEARED || (cleared < CLEARED_TIGHT && is_tight(t, needed)));
         cleared++) {
        rv = drop_expired(t, now);
    }
    report->tight = rv == APR_NOTFOUND && is_tight(t, needed);
    while (rv != SHM_DAMAGED && djs_shm_free_blocks(t) < needed) {
        rv = drop_expired(t, now);
        if (rv == APR_NOTFOUND) {
            rv = evict(t);
            report->evicted++;
        }
    }
    return rv == SHM_DAMAGED ? rv : APR_SUCCESS;
}

static void write_entry(djs_shm_table_t *t, apr_uint32_t head, const djs_shm_item_t *item)
{
    shm_entry_t entry = { .hash = item->hash, .expires = item->expires,
                          .key_len = (apr_uint32_t)item->key.len,
                          .value_len = (apr_uint32_t)item->value.len, .sum = item->sum };
    cursor_t cursor = behind_fixed_part(t, head);

    entry.made = t->state->clock + 1; /* what push_newest() makes it */
    entry.used = entry.made;
    SHM_STEP();
    *shm_entry(t, head) = entry;
    write_bytes(&cursor, item->key);
    write_bytes(&cursor, item->value);
}

/* Beside an older one of the same key, if there is. */
static apr_status_t insert(djs_shm_table_t *t, const djs_shm_item_t *item)
{
    apr_uint32_t *bucket = bucket_of(t, item->hash);
    apr_uint32_t head = 0;

    if (take_chain(t, shm_blocks_of(item->key.len, item->value.len), &head) != APR_SUCCESS) {
        return SHM_DAMAGED;
    }
    write_entry(t, head, item);
    SHM_SET(t->slots[head].kind, SHM_HEAD); /* it exists */
    djs_shm_heap_push(t, head);
    push_newest(t, head);
    SHM_SET(shm_entry(t, head)->chain, *bucket);
    SHM_SET(*bucket, head);
    t->state->counts.stored++;
    return APR_SUCCESS;
}

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

    return state->fresh <= t->blocks && state->entries < fresh_of(t)
           && state->free_listed < fresh_of(t);
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
    apr_status_t rv = find(t, get->key, get->hash, &head);

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
        rv = drop(t, head);
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
    return get->use ? mark_used(t, head) : APR_SUCCESS;
}

/* What was found to be damaged, unless it was replaced since. */
static apr_status_t drop_damaged(djs_ctx_t *ctx, djs_shm_table_t *t, void *job)
{
    const get_t *get = job;
    apr_uint32_t head = 0;
    apr_status_t rv = find(t, get->key, get->hash, &head);

    if (rv == APR_SUCCESS && shm_entry(t, head)->made == get->made) {
        t->state->counts.damaged++;
        rv = drop(t, head);
    }
    return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
}

apr_status_t djs_shm_table_get(djs_ctx_t *ctx, djs_shm_table_t *t, djs_bytes_t key,
                               apr_uint64_t hash, int use, djs_shm_item_t *found)
{
    get_t job = { key, hash, use, found, 0 };
    apr_status_t rv = under_lock(ctx, t, get, &job);

    if (rv == APR_SUCCESS && sum_of(found) != found->sum) {
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
    cursor_t cursor = behind_fixed_part(t, head);

    if (entry->value_len != value.len) {
        return 0;
    }
    skip(&cursor, entry->key_len);
    return bytes_equal(&cursor, value);
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
    apr_status_t rv = find(t, put->item->key, put->item->hash, head);

    if (rv == APR_SUCCESS && put->when == DJS_SHM_ABSENT && shm_entry(t, *head)->expires <= now) {
        t->state->counts.expired++;
        rv = drop(t, *head);
        *head = 0;
    }
    return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
}

/* Room for it; what it replaces is the last to go, and is 0 if it had to. */
static apr_status_t make_room_beside(djs_shm_table_t *t, const put_t *put, apr_time_t now,
                                     apr_uint32_t *old)
{
    const djs_shm_item_t *item = put->item;
    apr_status_t rv = *old != 0 ? mark_used(t, *old) : APR_SUCCESS;

    if (rv == APR_SUCCESS) {
        rv = make_room(t, shm_blocks_of(item->key.len, item->value.len), now, put->report);
    }
    if (rv == APR_SUCCESS && *old != 0) {
        *old = 0;
        rv = find(t, item->key, item->hash, old);
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
            rv = insert(t, put->item);
        }
    }
    if (rv == APR_SUCCESS && old != 0 && drop(t, old) != APR_SUCCESS) {
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
    apr_status_t rv = find(t, remove->key, remove->hash, &head);

    if (rv == APR_SUCCESS) {
        rv = drop(t, head);
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
        rv = drop_expired(t, ctx->now);
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
    apr_uint32_t end = fresh_of(t);
    apr_uint32_t i;

    apr_array_clear(keys->found);
    for (i = 1; i < end; i++) {
        const shm_entry_t *entry = shm_entry(t, i);
        cursor_t cursor = behind_fixed_part(t, i);
        char *key;

        if (t->slots[i].kind != SHM_HEAD || entry->expires <= ctx->now) {
            continue;
        }
        if (!djs_shm_chain_is_whole(t, i)) {
            return SHM_DAMAGED;
        }
        if (entry->key_len < keys->prefix.len || !bytes_equal(&cursor, keys->prefix)) {
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
