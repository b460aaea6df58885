/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entries of a shard: bytes in chains of blocks, and what leads to them. Under its lock.
 */
#include "shm_table_impl.h"

#include <string.h>

#include <openssl/crypto.h>

/* Below a tenth of its blocks, a shard is short of room. */
#define TIGHT 10
/* How many expired entries one store clears away: always, and when room is short. */
#define CLEARED       2
#define CLEARED_TIGHT 16

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
 * The checksum. Not for enemies: for memory that is not what was written. Words go into the lanes in
 * turn, so that a processor works on several at once. Each step is reversible, so a change within
 * one word is always seen, and others but for one in 2^64.
 */
#define LANES 4

typedef struct sum_t {
    apr_uint64_t lanes[LANES];
    apr_size_t words;  /* how many there were */
    apr_uint64_t word; /* bytes that are no whole word yet */
    apr_size_t filled; /* how many */
} sum_t;

#define SUM_FACTOR APR_UINT64_C(0x9e3779b97f4a7c15)

static inline apr_uint64_t sum_step(apr_uint64_t sum, apr_uint64_t word)
{
    sum = (sum ^ word) * SUM_FACTOR;
    return ROTATE(sum, 31);
}

static inline apr_uint64_t word_at(const char *data)
{
    apr_uint64_t word;

    memcpy(&word, data, 8);
    return word;
}

static void sum_word(sum_t *sum, apr_uint64_t word)
{
    apr_uint64_t *lane = &sum->lanes[sum->words++ % LANES];

    *lane = sum_step(*lane, word);
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

/* As many words as there are lanes, as often as possible, from the first lane on; gives the rest. */
static apr_size_t sum_rows(sum_t *sum, const char *data, apr_size_t len)
{
    apr_uint64_t a = sum->lanes[0], b = sum->lanes[1], c = sum->lanes[2], d = sum->lanes[3];

    for (; len >= 8 * LANES; len -= 8 * LANES, data += 8 * LANES) {
        a = sum_step(a, word_at(data));
        b = sum_step(b, word_at(data + 8));
        c = sum_step(c, word_at(data + 16));
        d = sum_step(d, word_at(data + 24));
    }
    sum->lanes[0] = a;
    sum->lanes[1] = b;
    sum->lanes[2] = c;
    sum->lanes[3] = d;
    return len;
}

static void sum_bytes(sum_t *sum, const char *data, apr_size_t len)
{
    apr_size_t rest;

    for (; len > 0 && sum->filled > 0; len--) {
        sum_byte(sum, *data++);
    }
    for (; len >= 8 && sum->words % LANES != 0; len -= 8, data += 8) {
        sum_word(sum, word_at(data));
    }
    if (len >= 8 * LANES) {
        rest = sum_rows(sum, data, len);
        data += len - rest;
        len = rest;
    }
    for (; len >= 8; len -= 8, data += 8) {
        sum_word(sum, word_at(data));
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

static apr_uint64_t sum_of(const sum_t *sum)
{
    apr_uint64_t all = sum->lanes[0];
    int i;

    for (i = 1; i < LANES; i++) {
        all = sum_step(all, sum->lanes[i]);
    }
    return all;
}

/* Of what a fixed part says and may not change. */
static sum_t sum_begin(apr_uint64_t hash, apr_int64_t expires, apr_size_t key_len,
                       apr_size_t value_len)
{
    sum_t sum = { { 1, 2, 3, 4 }, 0, 0, 0 };

    sum_word(&sum, hash);
    sum_word(&sum, (apr_uint64_t)expires);
    sum_word(&sum, (apr_uint64_t)key_len << 32 | value_len);
    return sum;
}

apr_uint64_t djs_shm_item_sum(const djs_shm_item_t *item)
{
    sum_t sum = sum_begin(item->hash, item->expires, item->key.len, item->value.len);

    sum_bytes(&sum, item->key.data, item->key.len);
    sum_end(&sum);
    sum_bytes(&sum, item->value.data, item->value.len);
    sum_end(&sum);
    return sum_of(&sum);
}

void djs_shm_item_seal(djs_shm_item_t *item)
{
    item->sum = djs_shm_item_sum(item);
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

int djs_shm_bytes_are(const djs_shm_table_t *t, apr_uint32_t head, apr_size_t from,
                      djs_bytes_t bytes)
{
    cursor_t cursor = behind_fixed_part(t, head);

    skip(&cursor, from);
    return bytes_equal(&cursor, bytes);
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
    return sum_of(&sum);
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

apr_uint32_t djs_shm_free_blocks(const djs_shm_table_t *t)
{
    return t->state->free_listed + (t->blocks - shm_fresh_of(t));
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
    *block = shm_fresh_of(t);
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

apr_status_t djs_shm_mark_used(djs_shm_table_t *t, apr_uint32_t head)
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

apr_status_t djs_shm_find(const djs_shm_table_t *t, djs_bytes_t key, apr_uint64_t hash,
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

apr_status_t djs_shm_drop(djs_shm_table_t *t, apr_uint32_t head)
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

apr_status_t djs_shm_drop_expired(djs_shm_table_t *t, apr_time_t now)
{
    if (t->state->entries == 0 || t->heap[1].expires > now) {
        return APR_NOTFOUND;
    }
    if (!shm_is(t, t->heap[1].entry, SHM_HEAD)) {
        return SHM_DAMAGED;
    }
    t->state->counts.expired++;
    return djs_shm_drop(t, t->heap[1].entry);
}

static apr_status_t evict(djs_shm_table_t *t)
{
    if (!shm_is(t, t->state->oldest, SHM_HEAD)) {
        return SHM_DAMAGED;
    }
    t->state->counts.evicted++;
    return djs_shm_drop(t, t->state->oldest);
}

static int is_tight(const djs_shm_table_t *t, apr_uint32_t needed)
{
    return djs_shm_free_blocks(t) < needed + t->blocks / TIGHT;
}

apr_status_t djs_shm_make_room(djs_shm_table_t *t, apr_uint32_t needed, apr_time_t now,
                              djs_shm_report_t *report)
{
    apr_status_t rv = APR_SUCCESS;
    int cleared;

    for (cleared = 0; rv == APR_SUCCESS
                      && (cleared < CLEARED || (cleared < CLEARED_TIGHT && is_tight(t, needed)));
         cleared++) {
        rv = djs_shm_drop_expired(t, now);
    }
    report->tight = rv == APR_NOTFOUND && is_tight(t, needed);
    while (rv != SHM_DAMAGED && djs_shm_free_blocks(t) < needed) {
        rv = djs_shm_drop_expired(t, now);
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

apr_status_t djs_shm_insert(djs_shm_table_t *t, const djs_shm_item_t *item)
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
