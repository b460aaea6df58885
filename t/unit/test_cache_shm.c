/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_shm.h"
#include "support.h"

#include <apr_general.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOUR 3600

/* For values of any length, begun at any of seven places. */
static char pattern[DJS_SHM_VALUE_MAX + 8];

/* ---- Tools ----------------------------------------------------------------------------------- */

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

/* As a server whose configuration names nothing else. */
static apr_status_t make(test_t *test, const char *url)
{
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

static void done(test_t *test)
{
    djs_cache_shm_keep(test->pool); /* nothing is wanted any more */
    djs_cache_shm_sweep(test->ctx);
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
    assert_status(ctx, ops->overwrite(cache, ctx, "k", djs_bytes("w"), 5), APR_NOTFOUND,
                  "at its end");
    assert_gone(test, cache, "k", "at its end");
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
    djs_cache_t *cache = fresh(test, "4m");
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
    for (i = 0; i < 200000; i++) {
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
    assert_true(counts.evicted > 1000);
    assert_true(counts.expired > 1000);
    assert_number(counts.repaired, 0, "nothing broke");
    /* Whatever was there: the largest value has room, and then all of it is free again. */
    assert_status(test->ctx, cache->ops->set(cache, test->ctx, "k", bytes_of(DJS_SHM_VALUE_MAX), 9),
                  APR_SUCCESS, "the largest");
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
            step += step < 60 ? 1 : 1 + step % 7;
        } while (!ended);
        assert_true(step > 3);
    }
    assert_true(counts_of(test, cache).repaired > 100);
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
        step += step < 60 ? 1 : 5;
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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(what_was_stored_comes_back_with_its_end),
        TEST(each_store_has_its_condition),
        TEST(an_entry_lives_until_its_end),
        TEST(who_is_dead_at_once_replaces_by_nothing),
        TEST(values_of_every_size_come_back),
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
    };

    fill_pattern();
    return RUN_TESTS(tests);
}
