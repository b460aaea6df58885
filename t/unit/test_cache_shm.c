/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared memory as a cache, and engine cache on it: the contract of the cache and of engines, room, a
 * long life against a model, several processes and their deaths, files and what may be wrong with them.
 */
#include "cache_shm.h"
#include "engine_cache.h"
#include "engine_contract.h"

#include <apr_file_info.h>
#include <apr_general.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOUR 3600

/* For values of any length, begun at any of seven places. */
static char pattern[DJS_SHM_VALUE_MAX + 8];

/* ---- Tools ----------------------------------------------------------------------------------- */

/* What a child is to open; in ctx->baton. */
typedef struct shm_url_t {
    const djs_cache_conf_t *conf;
} shm_url_t;

/* What the host was warned of last, and how often. */
typedef struct heard_t {
    int count;
    char line[500];
} heard_t;

static heard_t heard;

static void hear(void *baton, const char *line)
{
    (void)baton;
    heard.count++;
    apr_snprintf(heard.line, sizeof(heard.line), "%s", line);
}

static const djs_host_t host = { .warn = hear };

static void listen_to(test_t *test)
{
    memset(&heard, 0, sizeof(heard));
    test->ctx->host = &host;
}

static void assert_heard(const char *part)
{
    if (strstr(heard.line, part) == NULL) {
        print_error("heard \"%s\", expected \"%s\"\n", heard.line, part);
        fail();
    }
}

static const djs_cache_conf_t *parse(test_t *test, const char *url)
{
    const char *argv[1];
    const djs_cache_conf_t *conf;

    argv[0] = url;
    assert_status(test->ctx, djs_cache_url_parse(test->ctx, 1, argv, &conf), APR_SUCCESS, url);
    return conf;
}

static djs_cache_t *open_cache(test_t *test, const char *url)
{
    djs_cache_t *cache;

    assert_status(test->ctx, djs_cache_shm_open(test->ctx, test->pool, parse(test, url), &cache),
                  APR_SUCCESS, url);
    return cache;
}

static void done(test_t *test)
{
    djs_cache_shm_keep(test->pool); /* nothing is wanted any more */
    djs_cache_shm_sweep(test->ctx);
}

static apr_status_t leave_nothing(void *test)
{
    ((test_t *)test)->ctx->host = NULL;
    done(test);
    return APR_SUCCESS;
}

/* As a server whose configuration names nothing else. Regions go with the test. */
static apr_status_t make(test_t *test, const char *url)
{
    apr_pool_pre_cleanup_register(test->pool, test, leave_nothing);
    djs_cache_shm_keep(test->pool);
    return djs_cache_shm_make(test->ctx, parse(test, url), (apr_uid_t)-1, (apr_gid_t)-1);
}

/* A region that no other test has. */
static djs_cache_t *fresh(test_t *test, const char *size)
{
    static int count;
    const char *url = apr_psprintf(test->pool, "shm://test-%d?size=%s", ++count, size);

    assert_status(test->ctx, make(test, url), APR_SUCCESS, url);
    return open_cache(test, url);
}

static djs_bytes_t bytes_of(apr_size_t len)
{
    return djs_bytes_of(pattern + len % 7, len);
}

static void fill_pattern(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(pattern); i++) {
        pattern[i] = (char)(i * 31 % 251);
    }
}

static apr_status_t get(test_t *test, djs_cache_t *cache, const char *key, djs_bytes_t *value)
{
    apr_time_t expires;

    return cache->ops->get(cache, test->ctx, key, value, &expires);
}

static void must_set(test_t *test, djs_cache_t *cache, const char *key, const char *value)
{
    assert_status(test->ctx, cache->ops->set(cache, test->ctx, key, djs_bytes(value), HOUR),
                  APR_SUCCESS, key);
}

static void assert_there(test_t *test, djs_cache_t *cache, const char *key, const char *value)
{
    djs_bytes_t found;

    assert_status(test->ctx, get(test, cache, key, &found), APR_SUCCESS, key);
    assert_bytes(found, djs_bytes(value), key);
}

static void assert_gone(test_t *test, djs_cache_t *cache, const char *key, const char *why)
{
    djs_bytes_t found;

    assert_status(test->ctx, get(test, cache, key, &found), APR_NOTFOUND, why);
}

static void assert_consistent(test_t *test, djs_cache_t *cache, const char *when)
{
    const char *why;

    assert_status(test->ctx, djs_cache_shm_verify(test->ctx, cache, &why), APR_SUCCESS, when);
    assert_text(why, NULL, when);
}

static djs_shm_counts_t counts_of(test_t *test, djs_cache_t *cache)
{
    djs_shm_counts_t counts;

    assert_status(test->ctx, djs_cache_shm_count(test->ctx, cache, &counts), APR_SUCCESS, "count");
    return counts;
}

/* ---- The contract of cache.h ----------------------------------------------------------------- */

static void what_was_stored_comes_back_with_its_end(void **state)
{
    test_t *test = *state;
    djs_cache_t *cache = fresh(test, "4m");
    djs_bytes_t value;
    apr_time_t expires;

    assert_gone(test, cache, "k", "nothing yet");
    assert_status(test->ctx, cache->ops->add(cache, test->ctx, "k", djs_bytes("v"), HOUR),
                  APR_SUCCESS, "add");
    assert_status(test->ctx, cache->ops->get(cache, test->ctx, "k", &value, &expires), APR_SUCCESS,
                  "get");
    assert_bytes(value, djs_bytes("v"), "value");
    assert_number(expires, TEST_NOW + apr_time_from_sec(HOUR), "end");
    assert_status(test->ctx, cache->ops->remove(cache, test->ctx, "k"), APR_SUCCESS, "remove");
    assert_status(test->ctx, cache->ops->remove(cache, test->ctx, "k"), APR_SUCCESS, "once more");
    assert_gone(test, cache, "k", "removed");
    assert_null(test->ctx->problem);
    assert_consistent(test, cache, "after that");
    done(test);
}

static void each_store_has_its_condition(void **state)
{
    test_t *test = *state;
    djs_cache_t *cache = fresh(test, "4m");
    const djs_cache_ops_t *ops = cache->ops;
    djs_ctx_t *ctx = test->ctx;
    djs_bytes_t one = djs_bytes("one");
    djs_bytes_t two = djs_bytes("two");

    assert_status(ctx, ops->overwrite(cache, ctx, "k", one, HOUR), APR_NOTFOUND, "nothing there");
    assert_status(ctx, ops->swap(cache, ctx, "k", one, two, HOUR), APR_NOTFOUND, "nothing there");
    assert_gone(test, cache, "k", "nothing was made");
    assert_status(ctx, ops->add(cache, ctx, "k", one, HOUR), APR_SUCCESS, "free");
    assert_status(ctx, ops->add(cache, ctx, "k", two, HOUR), APR_EEXIST, "taken");
    assert_there(test, cache, "k", "one");
    assert_status(ctx, ops->swap(cache, ctx, "k", two, one, HOUR), DJS_ECONFLICT, "another");
    assert_status(ctx, ops->swap(cache, ctx, "k", djs_bytes("on"), two, HOUR), DJS_ECONFLICT,
                  "a part of it");
    assert_there(test, cache, "k", "one");
    assert_status(ctx, ops->swap(cache, ctx, "k", one, two, HOUR), APR_SUCCESS, "what was seen");
    assert_there(test, cache, "k", "two");
    assert_status(ctx, ops->overwrite(cache, ctx, "k", one, HOUR), APR_SUCCESS, "there");
    assert_there(test, cache, "k", "one");
    assert_status(ctx, ops->set(cache, ctx, "k", two, HOUR), APR_SUCCESS, "whatever there is");
    assert_there(test, cache, "k", "two");
    assert_number(counts_of(test, cache).entries, 1, "one entry all along");
    assert_consistent(test, cache, "after that");
    done(test);
}

static void an_entry_lives_until_its_end(void **state)
{
    test_t *test = *state;
    djs_cache_t *cache = fresh(test, "4m");
    const djs_cache_ops_t *ops = cache->ops;
    djs_ctx_t *ctx = test->ctx;

    must_set(test, cache, "k", "v");
    ctx->now += apr_time_from_sec(HOUR) - 1;
    assert_there(test, cache, "k", "v");
    assert_status(ctx, ops->add(cache, ctx, "k", djs_bytes("w"), 5), APR_EEXIST, "still there");
    ctx->now += 1;
    assert_gone(test, cache, "k", "at its end");
    assert_status(ctx, ops->overwrite(cache, ctx, "k", djs_bytes("w"), 5), APR_NOTFOUND,
                  "at its end");
    assert_status(ctx, ops->add(cache, ctx, "k", djs_bytes("w"), 5), APR_SUCCESS, "free again");
    assert_number(counts_of(test, cache).expired, 1, "counted");
    assert_status(ctx, ops->set(cache, ctx, "far", djs_bytes("v"), APR_INT64_MAX), APR_SUCCESS,
                  "as far as there is time");
    assert_there(test, cache, "far", "v");
    done(test);
}

static void who_is_dead_at_once_replaces_by_nothing(void **state)
{
    static const apr_int64_t lives[] = { 0, -1, APR_INT64_MIN };
    test_t *test = *state;
    djs_cache_t *cache = fresh(test, "4m");
    const djs_cache_ops_t *ops = cache->ops;
    djs_ctx_t *ctx = test->ctx;
    djs_bytes_t v = djs_bytes("v");
    apr_size_t i;

    for (i = 0; i < sizeof(lives) / sizeof(lives[0]); i++) {
        assert_status(ctx, ops->add(cache, ctx, "k", v, lives[i]), APR_SUCCESS, "add");
        assert_gone(test, cache, "k", "added dead");
        must_set(test, cache, "k", "v");
        assert_status(ctx, ops->add(cache, ctx, "k", v, lives[i]), APR_EEXIST, "taken");
        assert_status(ctx, ops->set(cache, ctx, "k", v, lives[i]), APR_SUCCESS, "set");
        assert_gone(test, cache, "k", "set dead");
        must_set(test, cache, "k", "v");
        assert_status(ctx, ops->swap(cache, ctx, "k", v, v, lives[i]), APR_SUCCESS, "swap");
        assert_gone(test, cache, "k", "swapped for a dead one");
        must_set(test, cache, "k", "v");
        assert_status(ctx, ops->overwrite(cache, ctx, "k", v, lives[i]), APR_SUCCESS, "overwrite");
        assert_gone(test, cache, "k", "overwritten by a dead one");
    }
    assert_number(counts_of(test, cache).used_blocks, 0, "nothing is left");
    assert_consistent(test, cache, "after that");
    done(test);
}

/* Around every number of bytes at which an entry needs another block, and the limit. */
static void values_of_every_size_come_back(void **state)
{
    test_t *test = *state;
    djs_cache_t *cache = fresh(test, "16m");
    djs_bytes_t found;
    apr_size_t len;

    for (len = 0; len <= DJS_SHM_VALUE_MAX; len += len < 2000 ? 1 : len / 3) {
        assert_status(test->ctx, cache->ops->set(cache, test->ctx, "k", bytes_of(len), HOUR),
                      APR_SUCCESS, "set");
        assert_status(test->ctx, get(test, cache, "k", &found), APR_SUCCESS, "get");
        assert_int_equal(found.len, len);
        assert_true(djs_bytes_equal(found, bytes_of(len)));
    }
    for (len = DJS_SHM_VALUE_MAX - 1; len <= DJS_SHM_VALUE_MAX; len++) {
        assert_status(test->ctx, cache->ops->swap(cache, test->ctx, "k", found, bytes_of(len), 9),
                      APR_SUCCESS, "swap");
        assert_status(test->ctx, get(test, cache, "k", &found), APR_SUCCESS, "get");
        assert_true(djs_bytes_equal(found, bytes_of(len)));
    }
    assert_status(test->ctx, cache->ops->set(cache, test->ctx, "k",
                                             bytes_of(DJS_SHM_VALUE_MAX + 1), HOUR),
                  DJS_ELIMIT, "a byte more");
    assert_non_null(test->ctx->problem);
    assert_status(test->ctx, get(test, cache, "k", &found), APR_SUCCESS, "what was there stays");
    assert_consistent(test, cache, "after that");
    done(test);
}

/* Of the bytes in one piece when an entry is stored and read, of its blocks when all is looked at. */
static void a_checksum_is_the_same_across_blocks(void **state)
{
    test_t *test = *state;
    djs_cache_t *cache = fresh(test, "1m");
    apr_size_t len;

    for (len = 0; len < 600; len++) {
        const char *key = &"123456789"[len % 9];

        assert_status(test->ctx, cache->ops->set(cache, test->ctx, key, bytes_of(len), HOUR),
                      APR_SUCCESS, "set");
        assert_consistent(test, cache, "with a value of another length");
    }
    done(test);
}

static apr_uint64_t sum_of(djs_bytes_t value)
{
    djs_shm_item_t item = { .key = djs_bytes("key"), .value = value, .expires = 1, .hash = 2 };

    djs_shm_item_seal(&item);
    return item.sum;
}

static void a_checksum_sees_every_bit_and_its_place(void **state)
{
    test_t *test = *state;
    const apr_size_t len = 203;
    char *value = apr_pmemdup(test->pool, bytes_of(len).data, len);
    const apr_uint64_t sum = sum_of(djs_bytes_of(value, len));
    apr_size_t i, j;
    char kept[8];

    for (i = 0; i < 8 * len; i++) {
        value[i / 8] ^= (char)(1 << i % 8);
        assert_true(sum_of(djs_bytes_of(value, len)) != sum);
        value[i / 8] ^= (char)(1 << i % 8);
    }
    for (i = 0; i + 8 <= len; i += 8) {
        for (j = 0; j < i; j += 8) {
            assert_true(memcmp(value + i, value + j, 8) != 0);
            memcpy(kept, value + i, 8);
            memcpy(value + i, value + j, 8);
            memcpy(value + j, kept, 8);
            assert_true(sum_of(djs_bytes_of(value, len)) != sum);
            memcpy(value + j, value + i, 8);
            memcpy(value + i, kept, 8);
        }
    }
    assert_true(sum_of(djs_bytes_of(value, len - 1)) != sum);
    assert_true(sum_of(djs_bytes_of(value, len)) == sum);
}

static void keys_of_every_size_are_told_apart(void **state)
{
    test_t *test = *state;
    djs_cache_t *cache = fresh(test, "4m");
    char key[DJS_SHM_KEY_MAX + 2];
    char value[20];
    apr_size_t len;

    memset(key, 'x', sizeof(key));
    for (len = 0; len <= DJS_SHM_KEY_MAX; len++) {
        key[len] = '\0';
        apr_snprintf(value, sizeof(value), "%d", (int)len);
        must_set(test, cache, key, value);
        key[len] = 'x';
    }
    assert_consistent(test, cache, "with all of them");
    for (len = 0; len <= DJS_SHM_KEY_MAX; len++) {
        key[len] = '\0';
        apr_snprintf(value, sizeof(value), "%d", (int)len);
        assert_there(test, cache, key, value);
        key[len] = 'x';
    }
    key[DJS_SHM_KEY_MAX + 1] = '\0';
    assert_gone(test, cache, key, "too long to be there");
    assert_status(test->ctx, cache->ops->remove(cache, test->ctx, key), APR_SUCCESS, "not there");
    assert_status(test->ctx, cache->ops->overwrite(cache, test->ctx, key, djs_bytes("v"), 9),
                  APR_NOTFOUND, "not there");
    assert_status(test->ctx, cache->ops->add(cache, test->ctx, key, djs_bytes("v"), 9), DJS_ELIMIT,
                  "a byte too long");
    done(test);
}

/* ---- Room ------------------------------------------------------------------------------------ */

/* Entries of this many bytes until the only shard has room for so many more. */
#define BIG 100000

static int fill_up(test_t *test, djs_cache_t *cache, apr_int64_t life)
{
    djs_shm_counts_t counts = counts_of(test, cache);
    apr_uint64_t each = BIG / DJS_SHM_BLOCK + 1;
    int n = 0;

    while (counts.blocks - counts.used_blocks >= each) {
        assert_status(test->ctx,
                      cache->ops->set(cache, test->ctx, apr_psprintf(test->pool, "n%d", n++),
                                      bytes_of(BIG), life),
                      APR_SUCCESS, "fill up");
        counts = counts_of(test, cache);
    }
    assert_number(counts.evicted, 0, "all of them are there");
    return n;
}

static void the_least_recently_used_goes_first(void **state)
{
    test_t *test = *state;
    djs_cache_t *cache = fresh(test, "4m");
    djs_bytes_t found;
    int n = fill_up(test, cache, HOUR);
    int i;

    /* All are used but the third, then the first; so the third is the one, then the second. */
    for (i = n - 1; i >= 0; i--) {
        if (i != 2) {
            assert_status(test->ctx, get(test, cache, apr_psprintf(test->pool, "n%d", i), &found),
                          APR_SUCCESS, "use");
        }
    }
    assert_status(test->ctx, cache->ops->set(cache, test->ctx, "new", bytes_of(BIG), HOUR),
                  APR_SUCCESS, "one more");
    assert_gone(test, cache, "n2", "was not used for longest");
    assert_number(counts_of(test, cache).evicted, 1, "nobody else had to go");
    assert_status(test->ctx, cache->ops->set(cache, test->ctx, "newer", bytes_of(BIG), HOUR),
                  APR_SUCCESS, "and one more");
    assert_gone(test, cache, apr_psprintf(test->pool, "n%d", n - 1), "was the first to be used");
    assert_status(test->ctx, get(test, cache, "n0", &found), APR_SUCCESS, "used last");
    assert_consistent(test, cache, "after that");
    done(test);
}

static void what_has_expired_goes_before_what_lives(void **state)
{
    test_t *test = *state;
    djs_cache_t *cache = fresh(test, "4m");
    djs_bytes_t found;
    int n = fill_up(test, cache, HOUR);
    int i;

    assert_status(test->ctx, cache->ops->remove(cache, test->ctx, "n5"), APR_SUCCESS, "remove");
    assert_status(test->ctx, cache->ops->set(cache, test->ctx, "n5", bytes_of(BIG), 60),
                  APR_SUCCESS, "it ends before the others");
    test->ctx->now += apr_time_from_sec(60);
    assert_status(test->ctx, cache->ops->set(cache, test->ctx, "new", bytes_of(BIG), HOUR),
                  APR_SUCCESS, "one more");
    assert_number(counts_of(test, cache).evicted, 0, "nobody that lives had to go");
    assert_gone(test, cache, "n5", "expired");
    for (i = 0; i < n; i++) {
        if (i != 5) {
            assert_status(test->ctx, get(test, cache, apr_psprintf(test->pool, "n%d", i), &found),
                          APR_SUCCESS, "lives");
        }
    }
    assert_consistent(test, cache, "after that");
    done(test);
}

static void it_warns_before_living_entries_go_and_once_a_minute(void **state)
{
    test_t *test = *state;
    djs_cache_t *cache = fresh(test, "4m");
    djs_shm_counts_t counts;

    listen_to(test);
    fill_up(test, cache, HOUR);
    assert_number(heard.count, 1, "one warning, though several were stored in the last tenth");
    assert_heard("soon living ones will have to go");
    assert_heard("9");
    assert_status(test->ctx, cache->ops->set(cache, test->ctx, "new", bytes_of(BIG), HOUR),
                  APR_SUCCESS, "one goes");
    assert_number(heard.count, 2, "another warning");
    assert_heard("1 living ones had to go so far");
    assert_status(test->ctx, cache->ops->set(cache, test->ctx, "more", bytes_of(BIG), HOUR),
                  APR_SUCCESS, "another goes");
    assert_number(heard.count, 2, "not in the same minute");
    test->ctx->now += apr_time_from_sec(60);
    assert_status(test->ctx, cache->ops->set(cache, test->ctx, "most", bytes_of(BIG), HOUR),
                  APR_SUCCESS, "a third goes");
    assert_number(heard.count, 3, "but in the next");
    assert_heard("3 living ones had to go so far");
    counts = counts_of(test, cache);
    assert_number(counts.evicted, 3, "counted");
    done(test);
}

static void room_that_the_expired_leave_is_no_reason_to_warn(void **state)
{
    test_t *test = *state;
    djs_cache_t *cache = fresh(test, "4m");

    fill_up(test, cache, 60);
    test->ctx->now += apr_time_from_sec(60);
    listen_to(test);
    assert_status(test->ctx, cache->ops->set(cache, test->ctx, "new", bytes_of(BIG), HOUR),
                  APR_SUCCESS, "one more");
    assert_number(heard.count, 0, "nothing that lives is in danger");
    done(test);
}

static void the_expired_are_cleared_in_steps(void **state)
{
    test_t *test = *state;
    djs_cache_t *cache = fresh(test, "64m");
    djs_shm_counts_t counts;
    apr_size_t removed;
    int i;

    for (i = 0; i < 3000; i++) {
        assert_status(test->ctx,
                      cache->ops->set(cache, test->ctx, apr_psprintf(test->pool, "k%d", i),
                                      bytes_of(i % 600), i % 3 == 0 ? HOUR : 60),
                      APR_SUCCESS, "set");
    }
    test->ctx->now += apr_time_from_sec(60);
    assert_status(test->ctx, cache->ops->clear_expired(cache, test->ctx, &removed), APR_SUCCESS,
                  "clear");
    assert_number(removed, 2000, "those whose time was over");
    counts = counts_of(test, cache);
    assert_number(counts.entries, 1000, "the others stay");
    assert_number(counts.expired, 2000, "counted");
    assert_consistent(test, cache, "after that");
    done(test);
}

typedef struct listed_t {
    int count;
    int stop_at;
} listed_t;

static apr_status_t note(void *baton, djs_ctx_t *ctx, const char *key, djs_bytes_t value,
                         apr_time_t expires)
{
    listed_t *listed = baton;

    (void)ctx;
    assert_true(strncmp(key, "a:", 2) == 0);
    assert_bytes(value, djs_bytes(key), "its own value");
    assert_number(expires, TEST_NOW + apr_time_from_sec(HOUR), key);
    listed->count++;
    return listed->count == listed->stop_at ? APR_EGENERAL : APR_SUCCESS;
}

static void a_listing_has_all_living_entries_with_the_prefix(void **state)
{
    test_t *test = *state;
    djs_cache_t *cache = fresh(test, "64m");
    listed_t listed = { 0, 0 };
    int i;

    for (i = 0; i < 500; i++) {
        const char *key = apr_psprintf(test->pool, "a:%d", i);
        const char *dead = apr_psprintf(test->pool, "a:dead%d", i);

        must_set(test, cache, key, key);
        must_set(test, cache, apr_psprintf(test->pool, "b:%d", i), "of others");
        test->ctx->now -= apr_time_from_sec(10);
        assert_status(test->ctx, cache->ops->set(cache, test->ctx, dead, djs_bytes("x"), 10),
                      APR_SUCCESS, "dead by now");
        test->ctx->now += apr_time_from_sec(10);
    }
    assert_status(test->ctx, cache->ops->list(cache, test->ctx, "a:", note, &listed), APR_SUCCESS,
                  "list");
    assert_number(listed.count, 500, "all of them");
    listed.count = 0;
    listed.stop_at = 7;
    assert_status(test->ctx, cache->ops->list(cache, test->ctx, "a:", note, &listed), APR_EGENERAL,
                  "what ends it is its result");
    assert_number(listed.count, 7, "and it ended there");
    done(test);
}

/* ---- Long lives ------------------------------------------------------------------------------ */

#define MODEL_KEYS 2000

typedef struct model_t {
    apr_size_t len[MODEL_KEYS]; /* of what is stored */
    apr_time_t ends[MODEL_KEYS]; /* 0: nothing is */
} model_t;

static apr_uint32_t draw(apr_uint32_t *seed, apr_uint32_t below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % below;
}

/* Mostly small, at times very large. */
static apr_size_t draw_len(apr_uint32_t *seed)
{
    static const apr_uint32_t most[] = { 10, 300, 1000, 1000, 1000, 5000, 20000, 100000 };

    return draw(seed, most[draw(seed, 8)]);
}

static void change_one(test_t *test, djs_cache_t *cache, model_t *model, apr_uint32_t *seed)
{
    djs_ctx_t *ctx = test->ctx;
    apr_uint32_t i = draw(seed, MODEL_KEYS);
    char key[20];
    djs_bytes_t value = bytes_of(draw_len(seed));
    djs_bytes_t found;
    apr_int64_t life = 1 + draw(seed, 900);
    int lives = model->ends[i] > ctx->now;
    apr_status_t expected = APR_SUCCESS;
    apr_status_t rv;

    apr_snprintf(key, sizeof(key), "key-%d", (int)i);
    rv = get(test, cache, key, &found);
    if (lives && rv == APR_NOTFOUND) { /* it had to go */
        lives = 0;
    }
    assert_status(ctx, rv, lives ? APR_SUCCESS : APR_NOTFOUND, key);
    if (lives) {
        assert_int_equal(found.len, model->len[i]);
        assert_true(djs_bytes_equal(found, bytes_of(model->len[i])));
    }
    switch (draw(seed, 6)) {
    case 0:
        rv = cache->ops->add(cache, ctx, key, value, life);
        expected = lives ? APR_EEXIST : APR_SUCCESS;
        break;
    case 1:
        rv = cache->ops->overwrite(cache, ctx, key, value, life);
        expected = lives ? APR_SUCCESS : APR_NOTFOUND;
        break;
    case 2:
        rv = cache->ops->swap(cache, ctx, key, bytes_of(model->len[i]), value, life);
        expected = lives ? APR_SUCCESS : APR_NOTFOUND;
        break;
    case 3:
        rv = cache->ops->remove(cache, ctx, key);
        assert_status(ctx, rv, APR_SUCCESS, "remove");
        model->ends[i] = 0;
        return;
    default:
        rv = cache->ops->set(cache, ctx, key, value, life);
    }
    assert_status(ctx, rv, expected, key);
    if (rv == APR_SUCCESS) {
        model->len[i] = value.len;
        model->ends[i] = ctx->now + apr_time_from_sec(life);
    }
}

static void a_long_life_leaves_no_holes(void **state)
{
    test_t *test = *state;
    djs_cache_t *cache = fresh(test, "4m");
    apr_pool_t *whole = test->ctx->pool;
    model_t *model = apr_pcalloc(test->pool, sizeof(*model));
    djs_shm_counts_t counts;
    apr_uint32_t seed = 42;
    int i;

    apr_pool_create(&test->ctx->pool, whole);
    for (i = 0; i < test_rounds(200000); i++) {
        if (i % 100 == 0) {
            test->ctx->now += apr_time_from_sec(1);
            apr_pool_clear(test->ctx->pool);
        }
        change_one(test, cache, model, &seed);
        if (i % 5000 == 0) {
            assert_consistent(test, cache, "at work");
        }
    }
    assert_consistent(test, cache, "in the end");
    counts = counts_of(test, cache);
    assert_true(counts.evicted > (apr_uint64_t)test_rounds(1000));
    assert_true(counts.expired > (apr_uint64_t)test_rounds(1000));
    assert_number(counts.repaired, 0, "nothing broke");
    /* Whatever was there: the largest value has room, and then all of it is free again. */
    assert_status(test->ctx, cache->ops->set(cache, test->ctx, "k", bytes_of(3 * 1024 * 1024), 9),
                  APR_SUCCESS, "nearly all of it");
    test->ctx->now += apr_time_from_sec(3600);
    {
        apr_size_t removed;

        assert_status(test->ctx, cache->ops->clear_expired(cache, test->ctx, &removed),
                      APR_SUCCESS, "clear");
    }
    assert_number(counts_of(test, cache).used_blocks, 0, "nothing is left");
    assert_consistent(test, cache, "empty");
    done(test);
}

/* ---- Several processes ----------------------------------------------------------------------- */

/* The child of a test: 0 is success; assertions are of no use in it. */
static pid_t spawn(int (*run)(test_t *test, djs_cache_t *cache), test_t *test, djs_cache_t *cache)
{
    pid_t child;

    fflush(NULL);
    child = fork();
    if (child == 0) {
        _exit(run(test, cache));
    }
    assert_true(child > 0);
    return child;
}

static int increment_often(test_t *test, djs_cache_t *cache)
{
    djs_bytes_t seen;
    apr_time_t expires;
    int done_so_far = 0;

    while (done_so_far < 250) {
        const char *more;
        apr_status_t rv = cache->ops->get(cache, test->ctx, "hits", &seen, &expires);

        if (rv != APR_SUCCESS) {
            return 1;
        }
        more = apr_psprintf(test->pool, "%d", atoi(seen.data) + 1);
        rv = cache->ops->swap(cache, test->ctx, "hits", seen, djs_bytes(more), HOUR);
        if (rv != APR_SUCCESS && rv != DJS_ECONFLICT) {
            return 1;
        }
        done_so_far += rv == APR_SUCCESS;
    }
    return 0;
}

static void no_increment_of_eight_processes_is_lost(void **state)
{
    test_t *test = *state;
    djs_cache_t *cache = fresh(test, "64m");
    pid_t children[8];
    int status;
    int i;

    must_set(test, cache, "hits", "0");
    for (i = 0; i < 8; i++) {
        children[i] = spawn(increment_often, test, cache);
    }
    for (i = 0; i < 8; i++) {
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_there(test, cache, "hits", "2000");
    assert_consistent(test, cache, "after that");
    done(test);
}

/* What a child does and is killed at: after so many changes to shared memory. */
static int steps_left;

static void die_in_time(void)
{
    if (steps_left-- == 0) {
        raise(SIGKILL);
    }
}

typedef struct scene_t {
    const char *name;
    int (*run)(test_t *test, djs_cache_t *cache);
    const char *before; /* what "mine" may be afterwards; NULL: nothing */
    const char *after;
} scene_t;

static int add_mine(test_t *test, djs_cache_t *cache)
{
    return cache->ops->add(cache, test->ctx, "new", djs_bytes("new"), HOUR) != APR_SUCCESS;
}

static int swap_mine(test_t *test, djs_cache_t *cache)
{
    return cache->ops->swap(cache, test->ctx, "mine", djs_bytes("old"), djs_bytes("young"), HOUR)
           != APR_SUCCESS;
}

static int set_long(test_t *test, djs_cache_t *cache)
{
    return cache->ops->set(cache, test->ctx, "other", bytes_of(3000), HOUR) != APR_SUCCESS;
}

static int remove_mine(test_t *test, djs_cache_t *cache)
{
    return cache->ops->remove(cache, test->ctx, "mine") != APR_SUCCESS;
}

static int read_mine(test_t *test, djs_cache_t *cache)
{
    djs_bytes_t found;

    return get(test, cache, "mine", &found) != APR_SUCCESS;
}

static int clear_dead(test_t *test, djs_cache_t *cache)
{
    apr_size_t removed;

    test->ctx->now += apr_time_from_sec(10);
    return cache->ops->clear_expired(cache, test->ctx, &removed) != APR_SUCCESS;
}

static void set_scene(test_t *test, djs_cache_t *cache)
{
    int i;

    for (i = 0; i < 20; i++) {
        const char *key = apr_psprintf(test->pool, "k%d", i);

        must_set(test, cache, key, key);
        assert_status(test->ctx, cache->ops->set(cache, test->ctx,
                                                 apr_psprintf(test->pool, "dead%d", i),
                                                 djs_bytes("x"), 10),
                      APR_SUCCESS, "dead soon");
    }
    must_set(test, cache, "mine", "old");
    for (i = 0; i < 20; i += 3) {
        const char *key = apr_psprintf(test->pool, "k%d", i);

        assert_there(test, cache, key, key);
    }
    assert_status(test->ctx, cache->ops->remove(cache, test->ctx, "new"), APR_SUCCESS, "new");
    assert_status(test->ctx, cache->ops->remove(cache, test->ctx, "other"), APR_SUCCESS, "other");
}

/* Run it in a child that dies at this step; 1: it came to its end before. */
static int die_at(int step, const scene_t *scene, test_t *test, djs_cache_t *cache)
{
    pid_t child;
    int status;

    steps_left = step;
    djs_shm_step = die_in_time;
    child = spawn(scene->run, test, cache);
    djs_shm_step = NULL;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) {
        assert_int_equal(WEXITSTATUS(status), 0);
        return 1;
    }
    assert_int_equal(WTERMSIG(status), SIGKILL);
    return 0;
}

static void look_after_death(test_t *test, djs_cache_t *cache, const scene_t *scene, int step)
{
    const char *when = apr_psprintf(test->pool, "%s, killed at step %d", scene->name, step);
    djs_bytes_t found;
    apr_status_t rv;
    int i;

    assert_consistent(test, cache, when);
    for (i = 0; i < 20; i++) {
        const char *key = apr_psprintf(test->pool, "k%d", i);

        assert_there(test, cache, key, key);
    }
    rv = get(test, cache, "mine", &found);
    if (rv == APR_SUCCESS && !(scene->before != NULL && djs_bytes_is(found, scene->before))) {
        assert_text(found.data, scene->after, when);
    }
    if (rv != APR_SUCCESS) {
        assert_status(test->ctx, rv, APR_NOTFOUND, when);
        assert_text(scene->after, NULL, when);
    }
    rv = get(test, cache, "new", &found);
    assert_true(rv == APR_NOTFOUND || djs_bytes_is(found, "new"));
    rv = get(test, cache, "other", &found);
    assert_true(rv == APR_NOTFOUND || djs_bytes_equal(found, bytes_of(3000)));
}

static void a_death_inside_the_lock_harms_nobody(void **state)
{
    static const scene_t scenes[] = {
        { "add", add_mine, "old", "old" },
        { "swap", swap_mine, "old", "young" },
        { "a long one", set_long, "old", "old" },
        { "remove", remove_mine, "old", NULL },
        { "a mere read", read_mine, "old", "old" },
        { "clear the expired", clear_dead, "old", "old" },
    };
    test_t *test = *state;
    djs_cache_t *cache = fresh(test, "4m");
    apr_size_t i;

    for (i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
        int step = 0;
        int ended;

        do {
            set_scene(test, cache);
            ended = die_at(step, &scenes[i], test, cache);
            look_after_death(test, cache, &scenes[i], step);
            /* All steps at first; of long work then a part, each time another one. */
            step += (step < 60 ? 1 : 1 + step % 7) * test_part();
        } while (!ended);
        assert_true(step > 3);
    }
    assert_true(counts_of(test, cache).repaired > (apr_uint64_t)test_rounds(100));
    done(test);
}

/* Dies in a change, and then everybody who puts the shard together again does, too. */
static void a_death_during_the_repair_harms_nobody(void **state)
{
    static const scene_t swapping = { "swap", swap_mine, "old", "young" };
    static const scene_t repairing = { "repair", read_mine, "old", "young" };
    test_t *test = *state;
    djs_cache_t *cache = fresh(test, "4m");
    int step = 0;
    int ended;

    do {
        set_scene(test, cache);
        assert_int_equal(die_at(13, &swapping, test, cache), 0);
        ended = die_at(step, &repairing, test, cache);
        look_after_death(test, cache, &repairing, step);
        step += (step < 60 ? 1 : 5) * test_part();
    } while (!ended);
    assert_true(step > 100);
    set_scene(test, cache);
    assert_int_equal(die_at(13, &swapping, test, cache), 0);
    listen_to(test);
    must_set(test, cache, "mine", "saved");
    assert_number(heard.count, 1, "who repairs says so");
    assert_heard("put together again");
    done(test);
}

/* Its lock is held by one that neither goes on nor dies: nobody waits longer than they may. */
static void stop_there(void)
{
    djs_shm_step = NULL;
    raise(SIGSTOP);
}

static void nobody_waits_longer_than_they_may(void **state)
{
    test_t *test = *state;
    djs_cache_t *cache = fresh(test, "4m");
    djs_bytes_t found;
    pid_t child;
    int status;

    must_set(test, cache, "mine", "old");
    djs_shm_step = stop_there;
    child = spawn(swap_mine, test, cache);
    djs_shm_step = NULL;
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    test->ctx->patience = apr_time_from_msec(20);
    assert_status(test->ctx, get(test, cache, "mine", &found), DJS_ESTORE, "it is held");
    assert_number(test->ctx->patience, 0, "all patience is used");
    assert_non_null(test->ctx->problem);
    assert_status(test->ctx, get(test, cache, "mine", &found), DJS_ESTORE, "without waiting");
    test->ctx->patience = apr_time_from_sec(60);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_there(test, cache, "mine", "old");
    done(test);
}

/* ---- Configurations that come and go --------------------------------------------------------- */

static void a_region_stays_while_the_configuration_is_read_again(void **state)
{
    test_t *test = *state;
    djs_cache_t *cache;

    assert_status(test->ctx, make(test, "shm://again?size=2m"), APR_SUCCESS, "make");
    cache = open_cache(test, "shm://again?size=2m");
    must_set(test, cache, "k", "v");
    listen_to(test);
    assert_status(test->ctx, make(test, "shm://again?size=2m"), APR_SUCCESS, "named again");
    djs_cache_shm_sweep(test->ctx);
    assert_number(heard.count, 0, "nothing to tell");
    assert_there(test, open_cache(test, "shm://again?size=2m"), "k", "v");
    assert_status(test->ctx, make(test, "shm://again?size=3m"), APR_SUCCESS, "another size");
    djs_cache_shm_sweep(test->ctx);
    assert_heard("2m, with the sessions in it, is given up: the configuration gives it another");
    assert_gone(test, open_cache(test, "shm://again?size=3m"), "k", "a new region");
    done(test);
    assert_heard("does not name it any more");
}

static void a_configuration_says_one_thing_of_each_region(void **state)
{
    test_t *test = *state;
    static const struct {
        const char *first;
        const char *second;
        apr_status_t rv;
    } cases[] = {
        { "shm://one?size=2m", "shm://one?size=2048k", APR_SUCCESS },
        { "shm://one?size=2m", "shm://one?size=3m", DJS_EINVAL },
        { "shm://one?size=2m", "shm://one?size=2m&file=/nowhere/at/all", DJS_EINVAL },
        { "shm://one?size=2m", "shm://two?size=3m", APR_SUCCESS },
        { "shm://one?size=2m", "shm://one?size=2m&file=relative", DJS_EINVAL },
        { "shm://one?size=2m", "shm://two?size=2m&file=/nowhere/at/all", DJS_ESTORE },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_forget(test->ctx);
        assert_status(test->ctx, make(test, cases[i].first), APR_SUCCESS, cases[i].first);
        assert_status(test->ctx, djs_cache_shm_make(test->ctx, parse(test, cases[i].second),
                                                    (apr_uid_t)-1, (apr_gid_t)-1),
                      cases[i].rv, cases[i].second);
        assert_int_equal(test->ctx->problem == NULL, cases[i].rv == APR_SUCCESS);
        done(test);
    }
}

static apr_status_t sum_up(void *baton, djs_ctx_t *ctx, const djs_cache_shm_stats_t *stats)
{
    apr_uint64_t *entries = baton;

    (void)ctx;
    assert_int_equal(stats->id->size, 2 * 1024 * 1024);
    *entries += stats->counts.entries;
    return APR_SUCCESS;
}

typedef struct said_t {
    int ok;
    const char *what;
} said_t;

static void keep_said(void *baton, int ok, const char *what)
{
    said_t *said = baton;

    said->ok = ok;
    said->what = what;
}

static void it_tells_how_full_it_is(void **state)
{
    test_t *test = *state;
    djs_cache_t *cache = fresh(test, "2m");
    apr_uint64_t entries = 0;
    said_t said = { -1, NULL };

    must_set(test, cache, "one", "1");
    must_set(test, cache, "two", "2");
    assert_status(test->ctx, djs_cache_shm_each(test->ctx, sum_up, &entries), APR_SUCCESS, "each");
    assert_number(entries, 2, "of all regions");
    assert_status(test->ctx, cache->ops->check(cache, test->ctx, keep_said, &said), APR_SUCCESS,
                  "check");
    assert_number(said.ok, 1, "fit for use");
    assert_non_null(strstr(said.what, "2 sessions"));
    done(test);
}

static void what_a_server_has_inside_cannot_be_reached_from_elsewhere(void **state)
{
    test_t *test = *state;
    djs_cache_t *cache = open_cache(test, "shm://elsewhere");
    said_t said = { -1, NULL };
    djs_bytes_t found;

    djs_cache_shm_keep(test->pool);
    assert_status(test->ctx, get(test, cache, "k", &found), DJS_ESTORE, "not here");
    assert_non_null(strstr(test->ctx->problem, "inside the server"));
    djs_forget(test->ctx);
    assert_status(test->ctx, cache->ops->check(cache, test->ctx, keep_said, &said), APR_SUCCESS,
                  "check");
    assert_number(said.ok, 1, "which is no fault");
    assert_non_null(strstr(said.what, "inside the server"));
    done(test);
}

/* ---- Files ----------------------------------------------------------------------------------- */

static apr_status_t remove_folder(void *folder)
{
    apr_pool_t *pool;
    apr_dir_t *dir;
    apr_finfo_t found;

    apr_pool_create(&pool, NULL);
    if (apr_dir_open(&dir, folder, pool) == APR_SUCCESS) {
        while (apr_dir_read(&found, APR_FINFO_NAME, dir) == APR_SUCCESS) {
            (void)remove(apr_psprintf(pool, "%s/%s", (const char *)folder, found.name));
        }
        apr_dir_close(dir);
    }
    (void)rmdir(folder);
    apr_pool_destroy(pool);
    return APR_SUCCESS;
}

/* The name for a file in a folder that goes with the test. */
static const char *file_of(test_t *test)
{
    const char *base = getenv("TMPDIR");
    char *folder = apr_psprintf(test->pool, "%s/djs-shm-XXXXXX", base != NULL ? base : "/tmp");

    assert_non_null(mkdtemp(folder));
    apr_pool_cleanup_register(test->pool, folder, remove_folder, apr_pool_cleanup_null);
    return apr_pstrcat(test->pool, folder, "/sessions", NULL);
}

static const char *url_of(test_t *test, const char *file, const char *size)
{
    return apr_psprintf(test->pool, "shm://file?size=%s&file=%s", size, file);
}

static djs_cache_t *make_file(test_t *test, const char *url)
{
    assert_status(test->ctx, make(test, url), APR_SUCCESS, url);
    return open_cache(test, url);
}

static void a_file_outlives_the_server(void **state)
{
    test_t *test = *state;
    const char *file = file_of(test);
    const char *url = url_of(test, file, "1m");
    djs_cache_t *cache = make_file(test, url);
    struct stat found;
    apr_time_t expires;
    djs_bytes_t value;

    must_set(test, cache, "k", "v");
    assert_status(test->ctx, cache->ops->set(cache, test->ctx, "long", bytes_of(300000), 60),
                  APR_SUCCESS, "set");
    assert_int_equal(lstat(file, &found), 0);
    assert_true(S_ISREG(found.st_mode));
    assert_int_equal(found.st_mode & 07777, 0600);
    assert_int_equal(found.st_size, 1024 * 1024);
    done(test);
    listen_to(test);
    cache = make_file(test, url);
    assert_number(heard.count, 0, "nothing to complain of");
    assert_there(test, cache, "k", "v");
    assert_status(test->ctx, cache->ops->get(cache, test->ctx, "long", &value, &expires),
                  APR_SUCCESS, "get");
    assert_true(djs_bytes_equal(value, bytes_of(300000)));
    assert_number(expires, TEST_NOW + apr_time_from_sec(60), "its end, too");
    assert_consistent(test, cache, "after that");
    done(test);
}

static int set_in_file(test_t *test, djs_cache_t *inherited)
{
    shm_url_t *url = test->ctx->baton;
    apr_pool_t *pool;
    djs_cache_t *cache;
    djs_bytes_t found;
    int i;

    (void)inherited;
    apr_pool_create(&pool, NULL);
    djs_cache_shm_keep(pool); /* as a process that inherited nothing */
    if (djs_cache_shm_open(test->ctx, pool, url->conf, &cache) != APR_SUCCESS
        || get(test, cache, "k", &found) != APR_SUCCESS || !djs_bytes_is(found, "v")) {
        return 1;
    }
    for (i = 0; i < 100; i++) {
        const char *key = apr_psprintf(pool, "k%d", i);

        if (cache->ops->set(cache, test->ctx, key, djs_bytes(key), HOUR) != APR_SUCCESS) {
            return 2;
        }
    }
    return 0;
}

static void another_process_works_on_the_same_file(void **state)
{
    test_t *test = *state;
    shm_url_t url = { parse(test, url_of(test, file_of(test), "1m")) };
    djs_cache_t *cache = make_file(test, url.conf->argv[0]);
    pid_t child;
    int status;
    int i;

    must_set(test, cache, "k", "v");
    test->ctx->baton = &url;
    child = spawn(set_in_file, test, NULL);
    for (i = 100; i < 200; i++) {
        const char *key = apr_psprintf(test->pool, "k%d", i);

        must_set(test, cache, key, key);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    for (i = 0; i < 200; i++) {
        const char *key = apr_psprintf(test->pool, "k%d", i);

        assert_there(test, cache, key, key);
    }
    assert_number(counts_of(test, cache).repaired, 0, "nobody took it for his alone");
    assert_consistent(test, cache, "after that");
    done(test);
}

static void who_makes_no_files_says_what_is_wrong(void **state)
{
    test_t *test = *state;
    const char *file = file_of(test);
    said_t said = { -1, NULL };
    djs_cache_t *cache;
    djs_bytes_t found;
    struct stat there;

    djs_cache_shm_keep(test->pool);
    assert_status(test->ctx, get(test, open_cache(test, url_of(test, file, "1m")), "k", &found),
                  DJS_ESTORE, "no file");
    assert_non_null(strstr(test->ctx->problem, "is not there"));
    assert_int_equal(lstat(file, &there), -1);
    djs_forget(test->ctx);
    cache = open_cache(test, url_of(test, file, "1m"));
    assert_status(test->ctx, cache->ops->check(cache, test->ctx, keep_said, &said), APR_SUCCESS,
                  "check");
    assert_number(said.ok, 1, "nor is it a fault before the first start");
    make_file(test, url_of(test, file, "1m"));
    done(test);
    assert_status(test->ctx, get(test, open_cache(test, url_of(test, file, "2m")), "k", &found),
                  DJS_ESTORE, "another size");
    assert_non_null(strstr(test->ctx->problem, "has another size"));
    djs_forget(test->ctx);
    cache = open_cache(test, url_of(test, file, "2m"));
    assert_status(test->ctx, cache->ops->check(cache, test->ctx, keep_said, &said), APR_SUCCESS,
                  "check");
    assert_number(said.ok, 0, "which is one");
    done(test);
}

static void write_at(const char *file, off_t at, const char *data, size_t len)
{
    FILE *stream = fopen(file, "r+b");

    assert_non_null(stream);
    assert_int_equal(fseeko(stream, at, SEEK_SET), 0);
    assert_int_equal(fwrite(data, 1, len, stream), len);
    assert_int_equal(fclose(stream), 0);
}

static void spoil_begin(const char *file)
{
    write_at(file, 0, "GIF89a", 6);
}

static void spoil_layout(const char *file)
{
    write_at(file, 8, "\x7f", 1);
}

static void spoil_seed(const char *file)
{
    write_at(file, 40, "spoiled", 7);
}

static void cut_off(const char *file)
{
    assert_int_equal(truncate(file, 500000), 0);
}

static void empty(const char *file)
{
    assert_int_equal(truncate(file, 0), 0);
}

static void open_to_others(const char *file)
{
    assert_int_equal(chmod(file, 0640), 0);
}

static void give_away(const char *file)
{
    assert_int_equal(chown(file, 12345, 12345), 0);
}

static void give_another_name(const char *file)
{
    char other[300];

    apr_snprintf(other, sizeof(other), "%s.other", file);
    assert_int_equal(link(file, other), 0);
}

static void a_file_that_cannot_be_trusted_is_started_anew(void **state)
{
    static const struct {
        void (*spoil)(const char *file);
        const char *why;
    } cases[] = {
        { spoil_begin, "is no shared memory" },
        { spoil_layout, "another version" },
        { spoil_seed, "is damaged" },
        { cut_off, "has another size" },
        { empty, "has another size" },
        { open_to_others, "can be read or written by others" },
        { give_away, "belongs to somebody else" },
        { give_another_name, "has another name" },
    };
    test_t *test = *state;
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *file = file_of(test);
        const char *url = url_of(test, file, "1m");
        djs_cache_t *cache = make_file(test, url);
        struct stat found;

        if (cases[i].spoil == give_away && geteuid() != 0) {
            continue; /* only root gives files away, and looks at it */
        }
        must_set(test, cache, "k", "v");
        done(test);
        cases[i].spoil(file);
        listen_to(test);
        cache = make_file(test, url);
        assert_heard(cases[i].why);
        assert_heard("started anew");
        assert_gone(test, cache, "k", cases[i].why);
        assert_int_equal(lstat(file, &found), 0);
        assert_int_equal(found.st_mode & 07777, 0600);
        assert_int_equal(found.st_nlink, 1);
        must_set(test, cache, "k", "w");
        done(test);
        listen_to(test);
        assert_there(test, make_file(test, url), "k", "w");
        assert_number(heard.count, 0, "and is good then");
        done(test);
    }
}

static void what_is_no_file_is_left_alone(void **state)
{
    test_t *test = *state;
    const char *file = file_of(test);
    const char *target = file_of(test);
    struct stat found;

    make_file(test, url_of(test, target, "1m"));
    done(test);
    assert_int_equal(symlink(target, file), 0);
    assert_int_not_equal(make(test, url_of(test, file, "1m")), APR_SUCCESS);
    assert_non_null(test->ctx->problem);
    assert_int_equal(lstat(file, &found), 0);
    assert_true(S_ISLNK(found.st_mode));
    assert_int_equal(unlink(file), 0);
    assert_int_equal(mkfifo(file, 0600), 0);
    assert_int_not_equal(make(test, url_of(test, file, "1m")), APR_SUCCESS);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(mkdir(file, 0700), 0);
    assert_int_not_equal(make(test, url_of(test, file, "1m")), APR_SUCCESS);
    done(test);
}

static int make_too_large(test_t *test, djs_cache_t *cache)
{
    struct rlimit limit = { 500000, 500000 };
    shm_url_t *url = test->ctx->baton;
    apr_pool_t *pool;

    (void)cache;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    apr_pool_create(&pool, NULL);
    djs_cache_shm_keep(pool);
    return djs_cache_shm_make(test->ctx, url->conf, (apr_uid_t)-1, (apr_gid_t)-1) != DJS_ESTORE
           || strstr(test->ctx->problem, "made as large") == NULL;
}

static void a_full_disk_shows_at_the_start(void **state)
{
    test_t *test = *state;
    const char *file = file_of(test);
    shm_url_t url = { parse(test, url_of(test, file, "1m")) };
    struct stat found;
    int status;
    pid_t child;

    test->ctx->baton = &url;
    child = spawn(make_too_large, test, NULL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(lstat(file, &found), -1);
    assert_int_equal(rmdir(apr_pstrndup(test->pool, file, strrchr(file, '/') - file)), 0);
}

/* As after a power cut: its locks are held by nobody that lives. */
static void the_locks_of_the_dead_are_made_anew(void **state)
{
    test_t *test = *state;
    const char *file = file_of(test);
    const char *url = url_of(test, file, "1m");
    djs_cache_t *cache = make_file(test, url);
    djs_shm_region_t *region;
    off_t at;

    must_set(test, cache, "k", "v");
    assert_status(test->ctx, djs_cache_shm_region(test->ctx, cache, &region), APR_SUCCESS, "it");
    at = (char *)region->shards[0].state - region->memory;
    done(test);
    write_at(file, at, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c", 12);
    assert_there(test, make_file(test, url), "k", "v");
    done(test);
}

#define SMALL_ENTRIES 100

static const char *small_key(char *key, int i)
{
    apr_snprintf(key, 20, "key-%d", i);
    return key;
}

static apr_size_t small_len(int i)
{
    return (apr_size_t)(i * 37 % 1500);
}

static void fill_small(test_t *test, djs_cache_t *cache)
{
    char key[20];
    int i;

    for (i = 0; i < SMALL_ENTRIES; i++) {
        assert_status(test->ctx, cache->ops->set(cache, test->ctx, small_key(key, i),
                                                 bytes_of(small_len(i)), HOUR + i),
                      APR_SUCCESS, "set");
    }
}

/* Each is what was stored, or is gone. Gives how many are there. */
static int look_at_small(test_t *test, djs_cache_t *cache, int may_fail)
{
    char key[20];
    djs_bytes_t found;
    int there = 0;
    int i;

    for (i = 0; i < SMALL_ENTRIES; i++) {
        apr_status_t rv = get(test, cache, small_key(key, i), &found);

        if (rv == APR_SUCCESS) {
            assert_true(djs_bytes_equal(found, bytes_of(small_len(i))));
            there++;
        }
        else if (!may_fail) {
            assert_status(test->ctx, rv, APR_NOTFOUND, key);
        }
    }
    return there;
}

/* Mostly where the entries are and what leads to them, behind the header and the lock. */
static void flip_bits(djs_shm_region_t *region, apr_uint32_t *seed, char *memory)
{
    const djs_shm_table_t *shard = &region->shards[0];
    apr_size_t state = (char *)shard->state - region->memory + sizeof(pthread_mutex_t);
    apr_size_t data = shard->data - region->memory;
    apr_size_t slots = (char *)shard->slots - region->memory;
    apr_size_t buckets = (char *)shard->buckets - region->memory;
    apr_size_t at;
    int flips = 1 + (int)draw(seed, 30);

    for (; flips > 0; flips--) {
        switch (draw(seed, 5)) {
        case 0:
            at = state + draw(seed, 32);
            break;
        case 1:
            at = slots + draw(seed, 8 * 600);
            break;
        case 2:
            at = buckets + draw(seed, (apr_uint32_t)(data - buckets));
            break;
        case 3:
            at = (char *)shard->heap - region->memory + draw(seed, 16 * 120);
            break;
        default:
            at = data + draw(seed, 256 * 600);
        }
        memory[at] ^= (char)(1 << draw(seed, 8));
    }
}

static void a_file_with_flipped_bits_gives_what_was_stored_or_nothing(void **state)
{
    test_t *test = *state;
    const char *file = file_of(test);
    const char *url = url_of(test, file, "1m");
    djs_cache_t *cache = make_file(test, url);
    char *memory = malloc(1024 * 1024);
    char *spoiled = malloc(1024 * 1024);
    apr_pool_t *whole = test->ctx->pool;
    djs_shm_region_t *region;
    djs_shm_region_t seen;
    djs_shm_table_t shard;
    apr_uint32_t seed = 7;
    int lost = 0;
    int i;

    assert_non_null(memory);
    assert_non_null(spoiled);
    fill_small(test, cache);
    assert_status(test->ctx, djs_cache_shm_region(test->ctx, cache, &region), APR_SUCCESS, "it");
    memcpy(memory, region->memory, 1024 * 1024);
    seen = *region; /* for its addresses alone */
    shard = region->shards[0];
    seen.shards = &shard;
    done(test);
    apr_pool_create(&test->ctx->pool, whole);
    for (i = 0; i < 150; i++) {
        apr_pool_clear(test->ctx->pool);
        memcpy(spoiled, memory, 1024 * 1024);
        flip_bits(&seen, &seed, spoiled);
        write_at(file, 0, spoiled, 1024 * 1024);
        cache = make_file(test, url);
        lost += SMALL_ENTRIES - look_at_small(test, cache, 0);
        assert_consistent(test, cache, "when it was opened");
        fill_small(test, cache);
        assert_number(look_at_small(test, cache, 0), SMALL_ENTRIES, "all that is stored now");
        assert_consistent(test, cache, "when it was used");
        done(test);
    }
    assert_true(lost > 0);
    assert_true(lost < 150 * SMALL_ENTRIES / 10);
    free(memory);
    free(spoiled);
}

/* Under a running server, who knows by whom: no crash, no wrong data, and it comes back. */
static void bits_that_flip_in_use_do_no_more_than_lose_entries(void **state)
{
    test_t *test = *state;
    djs_cache_t *cache = fresh(test, "1m");
    apr_pool_t *whole = test->ctx->pool;
    djs_shm_region_t *region;
    apr_size_t removed;
    apr_uint32_t seed = 9;
    char key[20];
    int i;
    int k;

    assert_status(test->ctx, djs_cache_shm_region(test->ctx, cache, &region), APR_SUCCESS, "it");
    apr_pool_create(&test->ctx->pool, whole);
    for (i = 0; i < 200; i++) {
        apr_pool_clear(test->ctx->pool);
        fill_small(test, cache);
        flip_bits(region, &seed, region->memory);
        look_at_small(test, cache, 1);
        for (k = 0; k < SMALL_ENTRIES; k += 3) {
            (void)cache->ops->remove(cache, test->ctx, small_key(key, k));
        }
        test->ctx->now += apr_time_from_sec(HOUR + 50);
        (void)cache->ops->clear_expired(cache, test->ctx, &removed);
        test->ctx->now = TEST_NOW;
        djs_forget(test->ctx);
    }
    assert_true(counts_of(test, cache).repaired > 10);
    done(test);
}

/* ---- The engine ------------------------------------------------------------------------------ */

static djs_engine_t *open_engine(test_t *test, const void *url)
{
    assert_status(test->ctx, make(test, url), APR_SUCCESS, url);
    return djs_engine_cache_make(test->pool, open_cache(test, url),
                                 ":1:" DJS_ENGINE_CACHE_PREFIX);
}

static void the_engine_clears_what_has_expired(void **state)
{
    test_t *test = *state;
    djs_engine_t *engine = open_engine(test, "shm://cleared?size=1m");
    djs_record_t record = contract_record(test, "data");
    apr_size_t removed;

    assert_status(test->ctx, engine->ops->create(engine, test->ctx, contract_key(test), &record),
                  APR_SUCCESS, "create");
    test->ctx->now = record.expires;
    assert_status(test->ctx, engine->ops->clear_expired(engine, test->ctx, &removed), APR_SUCCESS,
                  "clear");
    assert_number(removed, 1, "it had expired");
    done(test);
}

int main(void)
{
    static const contract_t contract = { "shm", open_engine, "shm://contract?size=64m",
                                         CONTRACT_VAGUE_END | CONTRACT_FORGETS };
    static const struct CMUnitTest own[] = {
        TEST(what_was_stored_comes_back_with_its_end),
        TEST(each_store_has_its_condition),
        TEST(an_entry_lives_until_its_end),
        TEST(who_is_dead_at_once_replaces_by_nothing),
        TEST(values_of_every_size_come_back),
        TEST(a_checksum_is_the_same_across_blocks),
        TEST(a_checksum_sees_every_bit_and_its_place),
        TEST(keys_of_every_size_are_told_apart),
        TEST(the_least_recently_used_goes_first),
        TEST(what_has_expired_goes_before_what_lives),
        TEST(it_warns_before_living_entries_go_and_once_a_minute),
        TEST(room_that_the_expired_leave_is_no_reason_to_warn),
        TEST(the_expired_are_cleared_in_steps),
        TEST(a_listing_has_all_living_entries_with_the_prefix),
        TEST(a_long_life_leaves_no_holes),
        TEST(no_increment_of_eight_processes_is_lost),
        TEST(a_death_inside_the_lock_harms_nobody),
        TEST(a_death_during_the_repair_harms_nobody),
        TEST(nobody_waits_longer_than_they_may),
        TEST(a_region_stays_while_the_configuration_is_read_again),
        TEST(a_configuration_says_one_thing_of_each_region),
        TEST(it_tells_how_full_it_is),
        TEST(what_a_server_has_inside_cannot_be_reached_from_elsewhere),
        TEST(a_file_outlives_the_server),
        TEST(another_process_works_on_the_same_file),
        TEST(who_makes_no_files_says_what_is_wrong),
        TEST(a_file_that_cannot_be_trusted_is_started_anew),
        TEST(what_is_no_file_is_left_alone),
        TEST(a_full_disk_shows_at_the_start),
        TEST(the_locks_of_the_dead_are_made_anew),
        TEST(a_file_with_flipped_bits_gives_what_was_stored_or_nothing),
        TEST(bits_that_flip_in_use_do_no_more_than_lose_entries),
        TEST(the_engine_clears_what_has_expired),
    };
    static struct CMUnitTest tests[sizeof(own) / sizeof(own[0]) + CONTRACT_TESTS_MAX];
    size_t count = sizeof(own) / sizeof(own[0]);

    memcpy(tests, own, sizeof(own));
    count = contract_tests(&contract, tests, count);
    fill_pattern();
    return test_run("cache_shm", tests, count);
}
