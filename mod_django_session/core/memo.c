/* SPDX-License-Identifier: Apache-2.0 */
#include "memo.h"

#include <stdlib.h>
#include <string.h>

#include <apr_atomic.h>

#include "secret.h"

/* A session's text and its digest; a login's hash; and one for another site on the connection. */
#define ENTRIES 4

typedef struct entry_t {
    const void *by; /* NULL: empty */
    int detail;
    apr_uint32_t used; /* by memo->clock; 0: never */
    apr_size_t from_len, to_len;
    char *room; /* input, then result; not of a pool, which would be one thread's */
} entry_t;

struct djs_memo_t {
    apr_uint32_t in_use;
    entry_t entries[ENTRIES];
    apr_uint32_t clock; /* counts notes and finds */
};

static int take(djs_memo_t *memo)
{
    return memo != NULL && apr_atomic_cas32(&memo->in_use, 1, 0) == 0;
}

static void give_back(djs_memo_t *memo)
{
    apr_atomic_set32(&memo->in_use, 0);
}

static void empty(entry_t *entry)
{
    if (entry->room != NULL) {
        djs_secret_wipe(entry->room, entry->from_len + entry->to_len);
        free(entry->room);
    }
    memset(entry, 0, sizeof(*entry));
}

static apr_status_t empty_all(void *data)
{
    djs_memo_t *memo = data;
    int i;

    for (i = 0; i < ENTRIES; i++) {
        empty(&memo->entries[i]);
    }
    return APR_SUCCESS;
}

djs_memo_t *djs_memo_make(apr_pool_t *pool)
{
    djs_memo_t *memo = apr_pcalloc(pool, sizeof(*memo));

    apr_pool_cleanup_register(pool, memo, empty_all, apr_pool_cleanup_null);
    return memo;
}

/* In constant time, as djs_secret_equal(), but by words: texts are long, and compared each time. */
static int is_equal(const char *a, djs_bytes_t b)
{
    apr_uint64_t differences = 0, x, y;
    apr_size_t i;

    for (i = 0; b.len - i >= sizeof(x); i += sizeof(x)) {
        memcpy(&x, a + i, sizeof(x));
        memcpy(&y, b.data + i, sizeof(y));
        differences |= x ^ y;
    }
    for (; i < b.len; i++) {
        differences |= (apr_uint64_t)(unsigned char)(a[i] ^ b.data[i]);
    }
    return differences == 0;
}

static entry_t *find(djs_memo_t *memo, const void *by, djs_bytes_t from)
{
    int i;

    for (i = 0; i < ENTRIES; i++) {
        entry_t *entry = &memo->entries[i];

        if (entry->by == by && entry->from_len == from.len && is_equal(entry->room, from)) {
            return entry;
        }
    }
    return NULL;
}

int djs_memo_find(djs_ctx_t *ctx, const void *by, djs_bytes_t from, djs_bytes_t *to, int *detail)
{
    entry_t *entry;

    if (from.len == 0 || !take(ctx->memo)) {
        return 0;
    }
    entry = find(ctx->memo, by, from);
    if (entry != NULL) {
        *to = djs_bytes_copy(ctx->pool, djs_bytes_of(entry->room + entry->from_len, entry->to_len));
        *detail = entry->detail;
        entry->used = ++ctx->memo->clock;
    }
    give_back(ctx->memo);
    return entry != NULL;
}

static void fill(entry_t *entry, const void *by, djs_bytes_t from, djs_bytes_t to, int detail)
{
    empty(entry);
    entry->room = malloc(from.len + to.len);
    if (entry->room == NULL) {
        return;
    }
    memcpy(entry->room, from.data, from.len);
    if (to.len > 0) {
        memcpy(entry->room + from.len, to.data, to.len);
    }
    entry->by = by;
    entry->detail = detail;
    entry->from_len = from.len;
    entry->to_len = to.len;
}

/* Which has not been used for the longest time; that the clock begins anew does no harm. */
static entry_t *idlest(djs_memo_t *memo)
{
    entry_t *found = &memo->entries[0];
    int i;

    for (i = 1; i < ENTRIES; i++) {
        if (memo->clock - memo->entries[i].used > memo->clock - found->used) {
            found = &memo->entries[i];
        }
    }
    return found;
}

void djs_memo_note(djs_ctx_t *ctx, const void *by, djs_bytes_t from, djs_bytes_t to, int detail)
{
    djs_memo_t *memo = ctx->memo;
    entry_t *entry;

    if (from.len == 0 || from.len > DJS_MEMO_MAX || to.len > DJS_MEMO_MAX - from.len ||
        !take(memo)) {
        return;
    }
    entry = idlest(memo);
    fill(entry, by, from, to, detail);
    entry->used = ++memo->clock;
    give_back(memo);
}
