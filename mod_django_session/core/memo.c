/* SPDX-License-Identifier: Apache-2.0 */
#include "memo.h"

#include <string.h>

#include "secret.h"

/* A session's text and its digest; a login's hash; and one for another site on the connection. */
#define ENTRIES 4
/* A room that is too small is left, wiped, for one twice as large: all of them take no more than
   twice DJS_MEMO_MAX. */
#define ROOM_MIN 512

typedef struct entry_t {
    const void *by; /* NULL: empty */
    int detail;
    apr_size_t from_len, to_len;
    char *room; /* input, then result */
    apr_size_t size;
} entry_t;

struct djs_memo_t {
    apr_pool_t *pool;
    entry_t entries[ENTRIES];
    int oldest;
};

static apr_status_t wipe(void *data)
{
    djs_memo_t *memo = data;
    int i;

    for (i = 0; i < ENTRIES; i++) {
        entry_t *entry = &memo->entries[i];

        djs_secret_wipe(entry->room, entry->from_len + entry->to_len);
        entry->by = NULL;
        entry->from_len = entry->to_len = 0;
    }
    return APR_SUCCESS;
}

djs_memo_t *djs_memo_make(apr_pool_t *pool)
{
    djs_memo_t *memo = apr_pcalloc(pool, sizeof(*memo));

    memo->pool = pool;
    apr_pool_cleanup_register(pool, memo, wipe, apr_pool_cleanup_null);
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

int djs_memo_find(djs_ctx_t *ctx, const void *by, djs_bytes_t from, djs_bytes_t *to, int *detail)
{
    int i;

    for (i = 0; ctx->memo != NULL && i < ENTRIES; i++) {
        const entry_t *entry = &ctx->memo->entries[i];

        if (entry->by == by && entry->from_len == from.len && is_equal(entry->room, from)) {
            *to = djs_bytes_copy(ctx->pool,
                                 djs_bytes_of(entry->room + entry->from_len, entry->to_len));
            *detail = entry->detail;
            return 1;
        }
    }
    return 0;
}

static void make_room(djs_memo_t *memo, entry_t *entry, apr_size_t size)
{
    djs_secret_wipe(entry->room, entry->from_len + entry->to_len);
    if (size > entry->size) {
        entry->size = entry->size > 0 ? entry->size : ROOM_MIN;
        while (entry->size < size) {
            entry->size *= 2;
        }
        entry->room = apr_palloc(memo->pool, entry->size);
    }
}

void djs_memo_note(djs_ctx_t *ctx, const void *by, djs_bytes_t from, djs_bytes_t to, int detail)
{
    djs_memo_t *memo = ctx->memo;
    entry_t *entry;

    if (memo == NULL || from.len == 0 || from.len > DJS_MEMO_MAX ||
        to.len > DJS_MEMO_MAX - from.len) {
        return;
    }
    entry = &memo->entries[memo->oldest];
    memo->oldest = (memo->oldest + 1) % ENTRIES;
    make_room(memo, entry, from.len + to.len);
    memcpy(entry->room, from.data, from.len);
    if (to.len > 0) {
        memcpy(entry->room + from.len, to.data, to.len);
    }
    entry->by = by;
    entry->detail = detail;
    entry->from_len = from.len;
    entry->to_len = to.len;
}
