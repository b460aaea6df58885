/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redis as a cache: the contract of cache.h on a real server, reached in each way and with each kind
 * of compare-and-swap; what becomes of lost answers and restarts; and servers that answer nonsense.
 */
#include "engine_contract.h"
#include "lossy.h"
#include "redis_server.h"

#include "caches.h"
#include "engine_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_hash.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Only a safety net. */
#define PLENTY apr_time_from_sec(60)
/* Where nothing will come; nobody measures it. */
#define SHORT apr_time_from_msec(30)
#define HOUR 3600
#define PASSWORD "hunter2-of-the-tests"

static redis_server_t *server;

/* ---- Ways to the server ---------------------------------------------------------------------- */

/* How a cache is opened. */
typedef struct way_t {
    const char *name;
    int by_socket;
    const char *user, *password;
    int database;
} way_t;

/* Users are made before the first test. "mute" may not run scripts. */
static const way_t ways[] = {
    { "tcp", 0, NULL, NULL, 0 },
    { "unix socket", 1, NULL, NULL, 0 },
    { "user", 0, "ann", PASSWORD, 2 },
    { "no scripts", 0, "mute", PASSWORD, 0 },
};

typedef struct state_t {
    test_t test;
    const way_t *way;
    djs_cache_t *cache;
    apr_uint64_t serial;
} state_t;

static djs_cache_t *open_cache(test_t *test, const way_t *way, int port,
                               apr_interval_time_t timeout)
{
    djs_cache_server_t *where = apr_pcalloc(test->pool, sizeof(*where));
    djs_cache_conf_t *conf = apr_pcalloc(test->pool, sizeof(*conf));
    djs_cache_t *cache = NULL;

    where->name = "the server";
    where->host = way->by_socket ? NULL : "127.0.0.1";
    where->port = port;
    where->path = way->by_socket ? redis_server_path(server) : NULL;
    conf->scheme = DJS_CACHE_REDIS;
    conf->servers = where;
    conf->server_count = 1;
    conf->user = way->user;
    conf->password = way->password;
    conf->database = way->database;
    conf->prefix = "";
    conf->version = "1";
    conf->timeout = timeout;
    conf->pool_max = 32;
    assert_status(test->ctx, djs_cache_redis_open(test->ctx, test->pool, conf, &cache),
                  APR_SUCCESS, way->name);
    return cache;
}

static int setup_way(void **state)
{
    const way_t *way = *state;
    state_t *s;
    void *made;

    test_setup(&made);
    s = apr_pcalloc(((test_t *)made)->pool, sizeof(*s));
    s->test = *(test_t *)made;
    s->way = way;
    s->cache = open_cache(&s->test, way, redis_server_port(server), PLENTY);
    *state = s;
    return 0;
}

/* ---- Tools ----------------------------------------------------------------------------------- */

/* A key that nobody has used before. */
static const char *new_key(state_t *s)
{
    static unsigned int serial;

    return apr_psprintf(s->test.pool, ":1:key-%u", ++serial);
}

static void assert_there(state_t *s, const char *key, djs_bytes_t expected, const char *why)
{
    djs_bytes_t value = { NULL, 0 };
    apr_time_t expires = 77;

    assert_status(s->test.ctx, s->cache->ops->get(s->cache, s->test.ctx, key, &value, &expires),
                  APR_SUCCESS, why);
    if (!djs_bytes_equal(value, expected)) {
        assert_number(value.len, expected.len, why);
        assert_memory_equal(value.data, expected.data, expected.len);
    }
    assert_number(expires, 0, why);
}

static void assert_nothing(state_t *s, const char *key, const char *why)
{
    djs_bytes_t value;
    apr_time_t expires;

    assert_status(s->test.ctx, s->cache->ops->get(s->cache, s->test.ctx, key, &value, &expires),
                  APR_NOTFOUND, why);
}

static apr_status_t add(state_t *s, const char *key, const char *value, apr_int64_t life)
{
    return s->cache->ops->add(s->cache, s->test.ctx, key, djs_bytes(value), life);
}

static apr_status_t set(state_t *s, const char *key, const char *value, apr_int64_t life)
{
    return s->cache->ops->set(s->cache, s->test.ctx, key, djs_bytes(value), life);
}

static apr_status_t overwrite(state_t *s, const char *key, const char *value, apr_int64_t life)
{
    return s->cache->ops->overwrite(s->cache, s->test.ctx, key, djs_bytes(value), life);
}

static apr_status_t swap(state_t *s, const char *key, const char *seen, const char *value,
                         apr_int64_t life)
{
    return s->cache->ops->swap(s->cache, s->test.ctx, key, djs_bytes(seen), djs_bytes(value), life);
}

static apr_status_t remove_key(state_t *s, const char *key)
{
    return s->cache->ops->remove(s->cache, s->test.ctx, key);
}

#define ASSERT(rv, expected, why) assert_status(s->test.ctx, rv, expected, why)

/* Seconds that Redis gives it, as the administrator sees them; -1: for ever; -2: nothing there. */
static long ttl_of(state_t *s, const char *key)
{
    assert_number(s->way->database, 0, "the administrator looks into database 0");
    return atol(redis_server_do(server, &s->test, apr_pstrcat(s->test.pool, "TTL ", key, NULL)));
}

/* ---- The contract ---------------------------------------------------------------------------- */

static void what_was_added_is_got(void **state)
{
    state_t *s = *state;
    const char *key = new_key(s);

    assert_nothing(s, key, "never written");
    ASSERT(add(s, key, "value", HOUR), APR_SUCCESS, "add");
    assert_there(s, key, djs_bytes("value"), "added");
}

static void what_is_there_is_not_added_again(void **state)
{
    state_t *s = *state;
    const char *key = new_key(s);

    ASSERT(add(s, key, "first", HOUR), APR_SUCCESS, "first");
    ASSERT(add(s, key, "second", HOUR), APR_EEXIST, "second");
    ASSERT(add(s, key, "first", HOUR), APR_EEXIST, "the same");
    assert_there(s, key, djs_bytes("first"), "left alone");
}

static void set_and_overwrite_write_what_they_promise(void **state)
{
    state_t *s = *state;
    const char *key = new_key(s);

    ASSERT(overwrite(s, key, "x", HOUR), APR_NOTFOUND, "nothing to overwrite");
    assert_nothing(s, key, "nothing was made");
    ASSERT(set(s, key, "one", HOUR), APR_SUCCESS, "set where nothing is");
    ASSERT(set(s, key, "two", HOUR), APR_SUCCESS, "set where something is");
    assert_there(s, key, djs_bytes("two"), "set");
    ASSERT(overwrite(s, key, "three", HOUR), APR_SUCCESS, "overwrite");
    assert_there(s, key, djs_bytes("three"), "overwritten");
}

static void swap_writes_only_over_what_was_seen(void **state)
{
    state_t *s = *state;
    const char *key = new_key(s);

    ASSERT(swap(s, key, "one", "two", HOUR), APR_NOTFOUND, "nothing there");
    assert_nothing(s, key, "nothing was made");
    ASSERT(set(s, key, "one", HOUR), APR_SUCCESS, "set");
    ASSERT(swap(s, key, "One", "two", HOUR), DJS_ECONFLICT, "other bytes");
    ASSERT(swap(s, key, "on", "two", HOUR), DJS_ECONFLICT, "a part of it");
    ASSERT(swap(s, key, "", "two", HOUR), DJS_ECONFLICT, "nothing is not what is there");
    assert_there(s, key, djs_bytes("one"), "left alone");
    ASSERT(swap(s, key, "one", "two", HOUR), APR_SUCCESS, "swapped");
    ASSERT(swap(s, key, "one", "two", HOUR), DJS_ECONFLICT, "the same again");
    ASSERT(swap(s, key, "two", "two", HOUR), APR_SUCCESS, "by itself");
    assert_there(s, key, djs_bytes("two"), "swapped");
}

static void what_was_removed_is_gone(void **state)
{
    state_t *s = *state;
    const char *key = new_key(s);

    ASSERT(set(s, key, "x", HOUR), APR_SUCCESS, "set");
    ASSERT(remove_key(s, key), APR_SUCCESS, "remove");
    assert_nothing(s, key, "removed");
    ASSERT(remove_key(s, key), APR_SUCCESS, "again");
}

/* As RedisCache and django-redis do with a life that is over. */
static void a_life_that_is_over_leaves_nothing(void **state)
{
    state_t *s = *state;
    const apr_int64_t lives[] = { 0, -1, -1209600 };
    size_t i;

    for (i = 0; i < COUNT(lives); i++) {
        const char *key = new_key(s);

        ASSERT(add(s, key, "x", lives[i]), APR_SUCCESS, "add where nothing is");
        assert_nothing(s, key, "added dead");
        ASSERT(overwrite(s, key, "x", lives[i]), APR_NOTFOUND, "overwrite where nothing is");
        ASSERT(set(s, key, "old", HOUR), APR_SUCCESS, "set");
        ASSERT(add(s, key, "x", lives[i]), APR_EEXIST, "add where something is");
        ASSERT(swap(s, key, "other", "x", lives[i]), DJS_ECONFLICT, "swap of something else");
        assert_there(s, key, djs_bytes("old"), "left alone");
        ASSERT(swap(s, key, "old", "x", lives[i]), APR_SUCCESS, "swap");
        assert_nothing(s, key, "swapped for something dead");
        ASSERT(set(s, key, "old", HOUR), APR_SUCCESS, "set");
        ASSERT(overwrite(s, key, "x", lives[i]), APR_SUCCESS, "overwrite");
        assert_nothing(s, key, "overwritten with something dead");
        ASSERT(set(s, key, "old", HOUR), APR_SUCCESS, "set");
        ASSERT(set(s, key, "x", lives[i]), APR_SUCCESS, "set dead");
        assert_nothing(s, key, "set dead");
    }
}

static void any_bytes_come_back_and_can_be_swapped(void **state)
{
    state_t *s = *state;
    const apr_size_t sizes[] = { 0, 1, 255, 4096, 65536, 1024 * 1024 };
    const char *key = new_key(s);
    djs_bytes_t seen = djs_bytes("begin");
    size_t i, at;

    ASSERT(set(s, key, "begin", HOUR), APR_SUCCESS, "set");
    for (i = 0; i < COUNT(sizes); i++) {
        char *data = apr_palloc(s->test.pool, sizes[i] + 1);

        for (at = 0; at < sizes[i]; at++) {
            data[at] = (char)(at * 31 + at / 251);
        }
        ASSERT(s->cache->ops->swap(s->cache, s->test.ctx, key, seen, djs_bytes_of(data, sizes[i]),
                                   HOUR), APR_SUCCESS, "swap");
        seen = djs_bytes_of(data, sizes[i]);
        assert_there(s, key, seen, "swapped");
    }
}

static void a_value_that_is_too_large_is_refused(void **state)
{
    state_t *s = *state;
    apr_size_t len = 16 * 1024 * 1024 + 1;
    djs_bytes_t large = djs_bytes_of(apr_pcalloc(s->test.pool, len), len);
    const djs_cache_ops_t *ops = s->cache->ops;
    const char *key = new_key(s);

    ASSERT(ops->add(s->cache, s->test.ctx, key, large, HOUR), DJS_ELIMIT, "add");
    ASSERT(ops->set(s->cache, s->test.ctx, key, large, HOUR), DJS_ELIMIT, "set");
    ASSERT(ops->overwrite(s->cache, s->test.ctx, key, large, HOUR), DJS_ELIMIT, "overwrite");
    ASSERT(ops->swap(s->cache, s->test.ctx, key, djs_bytes(""), large, HOUR), DJS_ELIMIT, "swap");
    assert_nothing(s, key, "nothing was sent");
}

static void hostile_keys_are_keys(void **state)
{
    state_t *s = *state;
    static const char *const keys[] = {
        ":1:a b", ":1:a\r\nSET x y\r\n", ":1:*", ":1:\xc3\xa9", ":1:\xff\xfe", ":1:{x}", ":1:'\"\\",
    };
    size_t i, other;

    for (i = 0; i < COUNT(keys); i++) {
        ASSERT(set(s, keys[i], keys[i], HOUR), APR_SUCCESS, keys[i]);
    }
    for (i = 0; i < COUNT(keys); i++) {
        assert_there(s, keys[i], djs_bytes(keys[i]), keys[i]);
        ASSERT(remove_key(s, keys[i]), APR_SUCCESS, keys[i]);
        for (other = i + 1; other < COUNT(keys); other++) {
            assert_there(s, keys[other], djs_bytes(keys[other]), "others are still there");
        }
    }
}

/* What a listing told. */
typedef struct told_t {
    state_t *s;
    int count, twice, odd;
    const char *prefix;
    apr_hash_t *keys;
} told_t;

static apr_status_t take_entry(void *baton, djs_ctx_t *ctx, const char *key, djs_bytes_t value,
                               apr_time_t expires)
{
    told_t *told = baton;
    apr_pool_t *pool = told->s->test.pool;
    const char *number = strrchr(key, '\\');

    told->count++;
    told->twice += apr_hash_get(told->keys, key, APR_HASH_KEY_STRING) != NULL;
    apr_hash_set(told->keys, apr_pstrdup(pool, key), APR_HASH_KEY_STRING, "");
    told->odd += strncmp(key, told->prefix, strlen(told->prefix)) != 0
                 || !djs_bytes_is(value, number != NULL ? number + 1 : "")
                 || expires <= ctx->now + apr_time_from_sec(HOUR / 2)
                 || expires > ctx->now + apr_time_from_sec(HOUR);
    return APR_SUCCESS;
}

static int list(state_t *s, const char *prefix)
{
    told_t told = { s, 0, 0, 0, prefix, apr_hash_make(s->test.pool) };

    ASSERT(s->cache->ops->list(s->cache, s->test.ctx, prefix, take_entry, &told), APR_SUCCESS,
           "list");
    assert_number(told.twice, 0, "each once");
    assert_number(told.odd, 0, "each with its value and its end");
    return told.count;
}

static void a_listing_shows_each_entry_of_the_prefix_once(void **state)
{
    state_t *s = *state;
    char number[16];
    int i;

    for (i = 0; i < 1100; i++) { /* more than one step */
        apr_snprintf(number, sizeof(number), "%d", i);
        ASSERT(set(s, apr_pstrcat(s->test.pool, ":1:[a-c]*?\\", number, NULL), number, HOUR),
               APR_SUCCESS, "set");
    }
    ASSERT(set(s, ":1:axx\\1", "1", HOUR), APR_SUCCESS, "what the prefix matches as a pattern");
    assert_number(list(s, ":1:[a-c]*?\\"), 1100, "all of them");
    assert_number(list(s, ":1:[a-c]*?\\109"), 11, "109 and 1090 to 1099");
    assert_number(list(s, ":1:nobody"), 0, "none");
    for (i = 0; i < 1100; i++) {
        apr_snprintf(number, sizeof(number), "%d", i);
        ASSERT(remove_key(s, apr_pstrcat(s->test.pool, ":1:[a-c]*?\\", number, NULL)), APR_SUCCESS,
               "remove");
    }
}

static apr_status_t stop_listing(void *baton, djs_ctx_t *ctx, const char *key, djs_bytes_t value,
                                 apr_time_t expires)
{
    (*(int *)baton)++;
    return DJS_EINVAL;
}

static void a_listing_ends_when_it_is_told_to(void **state)
{
    state_t *s = *state;
    int calls = 0;

    ASSERT(set(s, ":1:stop-a", "x", HOUR), APR_SUCCESS, "set");
    ASSERT(set(s, ":1:stop-b", "x", HOUR), APR_SUCCESS, "set");
    ASSERT(s->cache->ops->list(s->cache, s->test.ctx, ":1:stop-", stop_listing, &calls), DJS_EINVAL,
           "its result is the listing's");
    assert_number(calls, 1, "calls");
}

/* One of several that count up the same entry. */
typedef struct counter_t {
    state_t *s;
    const char *key;
    pthread_t thread;
    int failed;
} counter_t;

#define COUNTERS 8
#define COUNTS   50

static void count_up(counter_t *counter, djs_ctx_t *ctx)
{
    djs_cache_t *cache = counter->s->cache;
    djs_bytes_t seen;
    apr_time_t expires;
    apr_status_t rv;

    do {
        rv = cache->ops->get(cache, ctx, counter->key, &seen, &expires);
        if (rv == APR_SUCCESS) {
            rv = cache->ops->swap(cache, ctx, counter->key, seen,
                                  djs_bytes(apr_itoa(ctx->pool, atoi(seen.data) + 1)), HOUR);
        }
    } while (rv == DJS_ECONFLICT);
    counter->failed += rv != APR_SUCCESS;
}

static void *run_counter(void *data)
{
    counter_t *counter = data;
    apr_pool_t *pool;
    int i;

    apr_pool_create(&pool, NULL);
    for (i = 0; i < COUNTS; i++) {
        count_up(counter, test_ctx(pool));
        apr_pool_clear(pool);
    }
    apr_pool_destroy(pool);
    return NULL;
}

static void no_change_is_lost_among_many_clients(void **state)
{
    state_t *s = *state;
    counter_t counters[COUNTERS];
    const char *key = new_key(s);
    int i;

    ASSERT(set(s, key, "0", HOUR), APR_SUCCESS, "set");
    for (i = 0; i < COUNTERS; i++) {
        counters[i] = (counter_t){ s, key };
        assert_int_equal(pthread_create(&counters[i].thread, NULL, run_counter, &counters[i]), 0);
    }
    for (i = 0; i < COUNTERS; i++) {
        pthread_join(counters[i].thread, NULL);
        assert_number(counters[i].failed, 0, "failed changes");
    }
    assert_there(s, key, djs_bytes(apr_itoa(s->test.pool, COUNTERS * COUNTS)), "all changes");
}

typedef struct said_t {
    apr_pool_t *pool;
    int good, bad;
    const char *all;
} said_t;

static void note_said(void *baton, int ok, const char *what)
{
    said_t *said = baton;

    ok ? said->good++ : said->bad++;
    said->all = apr_pstrcat(said->pool, said->all, what, "\n", NULL);
}

static said_t check(state_t *s, apr_status_t expected)
{
    said_t said = { s->test.pool, 0, 0, "" };

    ASSERT(s->cache->ops->check(s->cache, s->test.ctx, note_said, &said), expected, "check");
    return said;
}

static void a_healthy_server_passes_its_check(void **state)
{
    state_t *s = *state;
    said_t said = check(s, APR_SUCCESS);

    assert_number(said.bad, 0, said.all);
    assert_number(said.good, 2, said.all);
    assert_non_null(strstr(said.all, "Redis at the server can be read and written"));
    if (strcmp(s->way->name, "no scripts") == 0) {
        assert_non_null(strstr(said.all, "by WATCH"));
    }
    else {
        assert_non_null(strstr(said.all, "by a script"));
    }
    assert_number(list(s, ":1:django.contrib.sessions.cached_db-"), 0, "nothing is left behind");
}

static void without_patience_nothing_is_waited_for(void **state)
{
    state_t *s = *state;
    djs_bytes_t value;
    apr_time_t expires;

    s->test.ctx->patience = 0;
    ASSERT(s->cache->ops->get(s->cache, s->test.ctx, "x", &value, &expires), DJS_ESTORE, "get");
}

static void a_patience_that_is_used_is_taken(void **state)
{
    state_t *s = *state;

    ASSERT(set(s, new_key(s), "x", HOUR), APR_SUCCESS, "set");
    assert_true(s->test.ctx->patience < test_ctx(s->test.pool)->patience);
}

static const struct { const char *name; CMUnitTestFunction run; } contract[] = {
#define ROW(name) { #name, name }
    ROW(what_was_added_is_got),
    ROW(what_is_there_is_not_added_again),
    ROW(set_and_overwrite_write_what_they_promise),
    ROW(swap_writes_only_over_what_was_seen),
    ROW(what_was_removed_is_gone),
    ROW(a_life_that_is_over_leaves_nothing),
    ROW(any_bytes_come_back_and_can_be_swapped),
    ROW(a_value_that_is_too_large_is_refused),
    ROW(hostile_keys_are_keys),
    ROW(a_listing_shows_each_entry_of_the_prefix_once),
    ROW(a_listing_ends_when_it_is_told_to),
    ROW(no_change_is_lost_among_many_clients),
    ROW(a_healthy_server_passes_its_check),
    ROW(without_patience_nothing_is_waited_for),
    ROW(a_patience_that_is_used_is_taken),
#undef ROW
};

/* ---- The engine on it ------------------------------------------------------------------------ */

static djs_engine_t *open_engine(test_t *test, const void *baton)
{
    return djs_engine_cache_make(test->pool,
                                 open_cache(test, baton, redis_server_port(server), PLENTY),
                                 ":1:" DJS_ENGINE_CACHE_PREFIX);
}

#define CLOCKS (CONTRACT_VAGUE_END | CONTRACT_FORGETS | CONTRACT_OWN_CLOCK)

static const contract_t engines[] = {
    { "engine cache", open_engine, &ways[0], CLOCKS },
    { "engine cache without scripts", open_engine, &ways[3], CLOCKS },
};

/* What a listing tells of lives no longer than each call. */
typedef struct noted_t {
    apr_pool_t *pool;
    const char *keys;
} noted_t;

static apr_status_t note_key(void *baton, djs_ctx_t *ctx, const djs_listed_t *listed)
{
    noted_t *noted = baton;

    (void)ctx;
    noted->keys = apr_pstrcat(noted->pool, noted->keys, listed->key, ";", NULL);
    return APR_SUCCESS;
}

static void each_engine_lists_its_own_sessions(void **state)
{
    state_t *s = *state;
    djs_record_t record = contract_record(&s->test, "data");
    djs_engine_t *ours = djs_engine_cache_make(s->test.pool, s->cache,
                                               ":9:" DJS_ENGINE_CACHE_PREFIX);
    noted_t noted = { s->test.pool, "" };

    ASSERT(ours->ops->create(ours, s->test.ctx, "ours", &record), APR_SUCCESS, "create");
    ASSERT(set(s, ":9:" DJS_ENGINE_CACHED_DB_PREFIX "theirs", "data", HOUR), APR_SUCCESS, "set");
    ASSERT(ours->ops->list(ours, s->test.ctx, note_key, &noted), APR_SUCCESS, "list");
    assert_text(noted.keys, "ours;", "keys");
}

/* ---- What Redis knows ------------------------------------------------------------------------ */

static void lives_are_redis_own_ends_of_life(void **state)
{
    state_t *s = *state;
    static const struct { apr_int64_t life; long least, most; } rows[] = {
        { 1209600, 1209600 - 120, 1209600 },
        { 120, 1, 120 },
        { APR_INT64_C(9223372036854775807), 99999999000L, 100000000000L }, /* kept in bounds */
    };
    size_t i;

    for (i = 0; i < COUNT(rows); i++) {
        const char *key = new_key(s);
        long ttl;

        ASSERT(add(s, key, "a", rows[i].life), APR_SUCCESS, "add");
        ttl = ttl_of(s, key);
        assert_in_range(ttl, rows[i].least, rows[i].most);
        ASSERT(set(s, key, "b", 7 * HOUR), APR_SUCCESS, "set");
        ASSERT(swap(s, key, "b", "c", rows[i].life), APR_SUCCESS, "swap");
        ttl = ttl_of(s, key);
        assert_in_range(ttl, rows[i].least, rows[i].most);
        ASSERT(set(s, key, "b", 7 * HOUR), APR_SUCCESS, "set");
        ASSERT(overwrite(s, key, "d", rows[i].life), APR_SUCCESS, "overwrite");
        ttl = ttl_of(s, key);
        assert_in_range(ttl, rows[i].least, rows[i].most);
    }
}

static void what_is_no_string_is_no_crash(void **state)
{
    state_t *s = *state;
    const char *key = new_key(s);
    djs_bytes_t value;
    apr_time_t expires;

    redis_server_do(server, &s->test, apr_pstrcat(s->test.pool, "RPUSH ", key, " member", NULL));
    ASSERT(s->cache->ops->get(s->cache, s->test.ctx, key, &value, &expires), DJS_ESTORE, "get");
    assert_text(s->test.ctx->problem, "Redis at the server has something that is no string under "
                "the key of a session", "get");
    ASSERT(add(s, key, "x", HOUR), APR_EEXIST, "add");
    ASSERT(swap(s, key, "x", "y", HOUR), DJS_ECONFLICT, "swap");
    assert_number(list(s, key), 0, "listed");
    ASSERT(set(s, key, "x", HOUR), APR_SUCCESS, "set");
    assert_there(s, key, djs_bytes("x"), "set");
}

static void an_entry_without_an_end_is_listed_as_such(void **state)
{
    state_t *s = *state;
    const char *key = new_key(s);
    told_t told = { s, 0, 0, 0, key, apr_hash_make(s->test.pool) };

    redis_server_put(server, &s->test, key, djs_bytes(""));
    ASSERT(s->cache->ops->list(s->cache, s->test.ctx, key, take_entry, &told), APR_SUCCESS, "list");
    assert_number(told.count, 1, "count");
    assert_number(told.odd, 1, "no end in an hour");
}

static void a_server_that_forgot_our_script_is_told_it_again(void **state)
{
    state_t *s = *state;
    const char *key = new_key(s);

    ASSERT(set(s, key, "0", HOUR), APR_SUCCESS, "set");
    ASSERT(swap(s, key, "0", "1", HOUR), APR_SUCCESS, "known");
    assert_text(redis_server_do(server, &s->test, "SCRIPT FLUSH"), "OK", "flush");
    ASSERT(swap(s, key, "1", "2", HOUR), APR_SUCCESS, "forgotten");
    assert_there(s, key, djs_bytes("2"), "swapped");
}

/* ---- What a server refuses ------------------------------------------------------------------- */

static void assert_problem(state_t *s, const char *part)
{
    if (s->test.ctx->problem == NULL || strstr(s->test.ctx->problem, part) == NULL) {
        fail_msg("expected: %s; got: %s", part, s->test.ctx->problem);
    }
    assert_null(strstr(s->test.ctx->problem, "key-"));
    djs_forget(s->test.ctx);
}

static void a_replica_is_told_as_such(void **state)
{
    state_t *s = *state;
    const char *key = new_key(s);
    said_t said;

    ASSERT(set(s, key, "x", HOUR), APR_SUCCESS, "set");
    redis_server_do(server, &s->test, "REPLICAOF 127.0.0.1 1");
    ASSERT(set(s, key, "y", HOUR), DJS_ESTORE, "set");
    assert_problem(s, "is a read-only replica");
    ASSERT(swap(s, key, "x", "y", HOUR), DJS_ESTORE, "swap");
    assert_problem(s, "is a read-only replica");
    ASSERT(add(s, new_key(s), "y", HOUR), DJS_ESTORE, "add");
    assert_problem(s, "is a read-only replica");
    ASSERT(remove_key(s, key), DJS_ESTORE, "remove");
    assert_problem(s, "is a read-only replica");
    said = check(s, DJS_ESTORE);
    djs_forget(s->test.ctx);
    redis_server_do(server, &s->test, "REPLICAOF NO ONE");
    assert_non_null(strstr(said.all, "is a replica: name the primary"));
    ASSERT(set(s, key, "y", HOUR), APR_SUCCESS, "set, after it was promoted");
}

static void a_full_server_is_told_as_such(void **state)
{
    state_t *s = *state;
    const char *key = new_key(s);
    said_t said;

    ASSERT(set(s, key, "x", HOUR), APR_SUCCESS, "set");
    redis_server_do(server, &s->test, "CONFIG SET maxmemory 1");
    ASSERT(set(s, key, "y", HOUR), DJS_ESTORE, "set");
    assert_problem(s, "is full");
    ASSERT(swap(s, key, "x", "y", HOUR), DJS_ESTORE, "swap");
    assert_problem(s, "is full");
    assert_there(s, key, djs_bytes("x"), "left alone");
    said = check(s, DJS_ESTORE);
    djs_forget(s->test.ctx);
    redis_server_do(server, &s->test, "CONFIG SET maxmemory 0");
    assert_non_null(strstr(said.all, "maxmemory-policy noeviction"));
}

static void a_server_that_evicts_is_warned_about(void **state)
{
    state_t *s = *state;
    said_t said;

    redis_server_do(server, &s->test, "CONFIG SET maxmemory 1000000000");
    redis_server_do(server, &s->test, "CONFIG SET maxmemory-policy allkeys-lru");
    said = check(s, APR_SUCCESS);
    redis_server_do(server, &s->test, "CONFIG SET maxmemory-policy noeviction");
    redis_server_do(server, &s->test, "CONFIG SET maxmemory 0");
    assert_non_null(strstr(said.all, "warning: Redis at the server drops living sessions"));
}

static void a_user_without_rights_is_told_what_is_missing(void **state)
{
    state_t *s = *state;
    way_t way = { "tied", 0, "tied", PASSWORD, 0 };
    const char *key = new_key(s);
    said_t said;

    redis_server_do(server, &s->test, "ACL SETUSER tied on >" PASSWORD " ~other:* +@all");
    s->cache = open_cache(&s->test, &way, redis_server_port(server), PLENTY);
    ASSERT(set(s, key, "x", HOUR), DJS_ESTORE, "set");
    assert_problem(s, "does not allow this user what we need");
    ASSERT(swap(s, key, "x", "y", HOUR), DJS_ESTORE, "swap");
    assert_problem(s, "does not allow this user what we need");
    said = check(s, DJS_ESTORE);
    assert_true(said.bad > 0);
    djs_forget(s->test.ctx);
    redis_server_do(server, &s->test, "ACL SETUSER tied ~*");
    ASSERT(set(s, key, "x", HOUR), APR_SUCCESS, "set");
    assert_text(redis_server_do(server, &s->test, "SCRIPT FLUSH"), "OK", "flush");
    ASSERT(swap(s, key, "x", "y", HOUR), APR_SUCCESS, "swap");
    assert_text(redis_server_do(server, &s->test, "SCRIPT FLUSH"), "OK", "flush");
}

static void a_password_that_changes_is_told_and_secret(void **state)
{
    state_t *s = *state;
    way_t way = { "late", 0, "late", PASSWORD, 0 };

    redis_server_do(server, &s->test, "ACL SETUSER late on >" PASSWORD " ~* +@all");
    s->cache = open_cache(&s->test, &way, redis_server_port(server), PLENTY);
    ASSERT(set(s, "x", "x", HOUR), APR_SUCCESS, "set");
    redis_server_do(server, &s->test, "ACL SETUSER late resetpass >another");
    redis_server_do(server, &s->test, "CLIENT KILL USER late");
    ASSERT(set(s, "x", "x", HOUR), DJS_ESTORE, "set");
    assert_null(strstr(s->test.ctx->problem, PASSWORD));
    assert_problem(s, "refuses this user or password");
    redis_server_do(server, &s->test, "ACL SETUSER late resetpass >" PASSWORD);
}

/* ---- Lost answers, restarts ------------------------------------------------------------------ */

static void lost_answers_are_asked_for_again_where_that_does_no_harm(void **state)
{
    state_t *s = *state;
    lossy_t *lossy = lossy_start(&s->test, redis_server_port(server));
    const loss_t losses[] = { LOSE_REQUEST, LOSE_ANSWER };
    way_t way = { "lossy" };
    size_t i;

    s->cache = open_cache(&s->test, &way, lossy_port(lossy), PLENTY);
    for (i = 0; i < COUNT(losses); i++) {
        const char *key = new_key(s);

        ASSERT(set(s, key, "x", HOUR), APR_SUCCESS, "a connection that lies idle");
        lossy_lose(lossy, losses[i], "GET", NULL, NULL);
        assert_there(s, key, djs_bytes("x"), "get");
        lossy_lose(lossy, losses[i], "SET", NULL, NULL);
        ASSERT(set(s, key, "y", HOUR), APR_SUCCESS, "set");
        lossy_lose(lossy, losses[i], "XX", NULL, NULL);
        ASSERT(overwrite(s, key, "z", HOUR), APR_SUCCESS, "overwrite");
        assert_there(s, key, djs_bytes("z"), "overwritten");
        lossy_lose(lossy, losses[i], "DEL", NULL, NULL);
        ASSERT(remove_key(s, key), APR_SUCCESS, "remove");
        assert_nothing(s, key, "removed");
    }
    assert_number(lossy_count(lossy), 8, "lost");
}

static void a_lost_answer_to_add_or_swap_is_a_failure(void **state)
{
    state_t *s = *state;
    lossy_t *lossy = lossy_start(&s->test, redis_server_port(server));
    const char *key = new_key(s), *other = new_key(s);
    way_t way = { "lossy", 0, s->way->user, s->way->password, 0 };

    s->cache = open_cache(&s->test, &way, lossy_port(lossy), PLENTY);
    ASSERT(set(s, key, "x", HOUR), APR_SUCCESS, "a connection that lies idle");
    ASSERT(swap(s, key, "x", "y", HOUR), APR_SUCCESS, "swap");
    lossy_lose(lossy, LOSE_ANSWER, s->way->user != NULL ? "EXEC" : "EVALSHA", NULL, NULL);
    ASSERT(swap(s, key, "y", "z", HOUR), DJS_ESTORE, "swap, run");
    assert_problem(s, "the connection broke before the answer came");
    assert_there(s, key, djs_bytes("z"), "it was run, which nobody can know");
    lossy_lose(lossy, LOSE_REQUEST, s->way->user != NULL ? "EXEC" : "EVALSHA", NULL, NULL);
    ASSERT(swap(s, key, "z", "a", HOUR), DJS_ESTORE, "swap, not run");
    assert_problem(s, "the connection broke before the answer came");
    assert_there(s, key, djs_bytes("z"), "it was not run");
    lossy_lose(lossy, LOSE_ANSWER, "NX", NULL, NULL);
    ASSERT(add(s, other, "x", HOUR), DJS_ESTORE, "add");
    ASSERT(add(s, other, "x", HOUR), APR_EEXIST, "it was run");
    assert_number(lossy_count(lossy), 3, "lost");
}

static void a_restart_of_the_server_is_not_noticed(void **state)
{
    state_t *s = *state;
    const char *key = new_key(s);

    ASSERT(set(s, key, "x", HOUR), APR_SUCCESS, "set");
    ASSERT(swap(s, key, "x", "y", HOUR), APR_SUCCESS, "swap");
    redis_server_kill(server);
    redis_server_revive(server);
    ASSERT(add(s, key, "z", HOUR), APR_SUCCESS, "add, on what is empty now");
    redis_server_kill(server);
    redis_server_revive(server);
    ASSERT(swap(s, key, "z", "a", HOUR), APR_NOTFOUND, "swap, which knows its script no more");
    redis_server_kill(server);
    redis_server_revive(server);
    assert_nothing(s, key, "get");
}

static void while_the_server_is_away_calls_fail(void **state)
{
    state_t *s = *state;
    djs_bytes_t value;
    apr_time_t expires;
    apr_status_t rv = DJS_ESTORE;
    said_t said;
    int i;

    ASSERT(set(s, "x", "x", HOUR), APR_SUCCESS, "set");
    redis_server_kill(server);
    for (i = 0; i < 3; i++) {
        ASSERT(s->cache->ops->get(s->cache, s->test.ctx, "x", &value, &expires), DJS_ESTORE, "get");
        ASSERT(set(s, "x", "x", HOUR), DJS_ESTORE, "set");
        ASSERT(swap(s, "x", "x", "y", HOUR), DJS_ESTORE, "swap");
        ASSERT(add(s, "x", "x", HOUR), DJS_ESTORE, "add");
    }
    said = check(s, DJS_ESTORE);
    assert_number(said.bad, 1, said.all);
    redis_server_revive(server);
    while (rv == DJS_ESTORE && s->test.ctx->patience > 0) { /* until somebody may probe */
        djs_forget(s->test.ctx);
        rv = set(s, "x", "x", HOUR);
    }
    ASSERT(rv, APR_SUCCESS, "it is back");
}

static void a_silent_server_is_not_waited_for_beyond_the_timeout(void **state)
{
    state_t *s = *state;
    fake_redis_t *fake = fake_redis_start(&s->test, djs_bytes(""), FAKE_WAITS);
    way_t way = { "silent" };

    s->cache = open_cache(&s->test, &way, fake_redis_port(fake), SHORT);
    ASSERT(set(s, "x", "x", HOUR), DJS_ESTORE, "set");
    assert_problem(s, "no answer in time");
    assert_true(s->test.ctx->patience > 0); /* so it was timeout= that ended it */
    s->cache = open_cache(&s->test, &way, fake_redis_port(fake), PLENTY);
    s->test.ctx->patience = SHORT;
    ASSERT(set(s, "x", "x", HOUR), DJS_ESTORE, "set");
    assert_problem(s, "no answer in time");
}

/* ---- Nonsense -------------------------------------------------------------------------------- */

static apr_status_t try_get(state_t *s)
{
    djs_bytes_t value;
    apr_time_t expires;

    return s->cache->ops->get(s->cache, s->test.ctx, ":1:key-x", &value, &expires);
}

static apr_status_t try_add(state_t *s)
{
    return add(s, ":1:key-x", "x", HOUR);
}

static apr_status_t try_set(state_t *s)
{
    return set(s, ":1:key-x", "x", HOUR);
}

static apr_status_t try_swap(state_t *s)
{
    return swap(s, ":1:key-x", "x", "y", HOUR);
}

static apr_status_t try_remove(state_t *s)
{
    return remove_key(s, ":1:key-x");
}

static apr_status_t try_list(state_t *s)
{
    int calls = 0;

    return s->cache->ops->list(s->cache, s->test.ctx, ":1:", stop_listing, &calls);
}

static apr_status_t try_check(state_t *s)
{
    said_t said = { s->test.pool, 0, 0, "" };
    apr_status_t rv = s->cache->ops->check(s->cache, s->test.ctx, note_said, &said);

    assert_true(said.bad > 0);
    return rv;
}

static void nonsense_is_a_failure_of_every_operation(void **state)
{
    state_t *s = *state;
    static const struct { const char *name; apr_status_t (*run)(state_t *); } operations[] = {
        { "get", try_get }, { "add", try_add }, { "set", try_set }, { "swap", try_swap },
        { "remove", try_remove }, { "list", try_list }, { "check", try_check },
    };
    static const char *const answers[] = {
        "+HELLO\r\n", "*1\r\n$1\r\nx\r\n", "*2\r\n$1\r\n0\r\n$1\r\n0\r\n", "*2\r\n*0\r\n*0\r\n",
        "*0\r\n", "-\r\n", "-ERR key-x\r\n", "-LOADING key-x\r\n", "-MOVED 1 key-x\r\n",
        "-MISCONF key-x\r\n", "-ERR unknown command 'key-x'\r\n", "-NOSCRIPT key-x\r\n",
        "-NOPERM key-x\r\n", "garbage key-x\r\n", "$5\r\nab", "+QUEUED\r\n",
    };
    fake_redis_t *fake = fake_redis_start(&s->test, djs_bytes(""), FAKE_CLOSES);
    way_t way = { "nonsense" };
    size_t i, at;

    for (i = 0; i < COUNT(answers); i++) {
        fake_redis_answer(fake, djs_bytes(answers[i]), FAKE_CLOSES);
        for (at = 0; at < COUNT(operations); at++) {
            const char *why = apr_psprintf(s->test.pool, "%s: %s", operations[at].name, answers[i]);

            s->cache = open_cache(&s->test, &way, fake_redis_port(fake), PLENTY);
            djs_forget(s->test.ctx);
            ASSERT(operations[at].run(s), DJS_ESTORE, why);
            assert_problem(s, "Redis at the server");
        }
    }
}

/* Or an engine, which cuts the prefix off, would look behind the end of a key that is too short. */
static void a_listing_has_only_keys_with_the_prefix(void **state)
{
    state_t *s = *state;
    static const char answer[] = "*2\r\n$1\r\n0\r\n*3\r\n$1\r\n:\r\n$0\r\n\r\n$5\r\n:1:ke\r\n";
    fake_redis_t *fake = fake_redis_start(&s->test, djs_bytes(answer), FAKE_CLOSES);
    way_t way = { "liar" };
    int calls = 0;

    s->cache = open_cache(&s->test, &way, fake_redis_port(fake), PLENTY);
    ASSERT(s->cache->ops->list(s->cache, s->test.ctx, ":1:key-", stop_listing, &calls), APR_SUCCESS,
           "nothing more was asked for");
    assert_number(calls, 0, "calls");
}

/* ---- All of them ----------------------------------------------------------------------------- */

#define ON_TCP(name) { #name, name, setup_way, test_teardown, (void *)&ways[0] }
#define NO_SCRIPTS(name) { #name " (no scripts)", name, setup_way, test_teardown, (void *)&ways[3] }

static size_t add_contract(struct CMUnitTest *tests, size_t count, apr_pool_t *pool)
{
    size_t i, way;

    for (way = 0; way < COUNT(ways); way++) {
        for (i = 0; i < COUNT(contract); i++) {
            struct CMUnitTest row = { NULL, contract[i].run, setup_way, test_teardown, NULL };

            row.name = apr_psprintf(pool, "%s: %s", ways[way].name, contract[i].name);
            row.initial_state = (void *)&ways[way];
            tests[count++] = row;
        }
    }
    return count;
}

static int make_users(void **state)
{
    test_t *test = *state;

    redis_server_do(server, test, "ACL SETUSER ann on >" PASSWORD " ~* +@all");
    redis_server_do(server, test, "ACL SETUSER mute on >" PASSWORD " ~* +@all -@scripting");
    return 0;
}

/* The server forgets its users when it restarts. */
static void users_are_made(void **state)
{
    make_users(state);
}

int main(void)
{
    static const struct CMUnitTest others[] = {
        ON_TCP(each_engine_lists_its_own_sessions),
        ON_TCP(lives_are_redis_own_ends_of_life),
        ON_TCP(what_is_no_string_is_no_crash),
        ON_TCP(an_entry_without_an_end_is_listed_as_such),
        ON_TCP(a_server_that_forgot_our_script_is_told_it_again),
        ON_TCP(a_replica_is_told_as_such),
        NO_SCRIPTS(a_replica_is_told_as_such),
        ON_TCP(a_full_server_is_told_as_such),
        NO_SCRIPTS(a_full_server_is_told_as_such),
        NO_SCRIPTS(what_is_no_string_is_no_crash),
        NO_SCRIPTS(lives_are_redis_own_ends_of_life),
        ON_TCP(a_server_that_evicts_is_warned_about),
        ON_TCP(a_user_without_rights_is_told_what_is_missing),
        ON_TCP(a_password_that_changes_is_told_and_secret),
        ON_TCP(lost_answers_are_asked_for_again_where_that_does_no_harm),
        ON_TCP(a_lost_answer_to_add_or_swap_is_a_failure),
        NO_SCRIPTS(a_lost_answer_to_add_or_swap_is_a_failure),
        ON_TCP(nonsense_is_a_failure_of_every_operation),
        ON_TCP(a_listing_has_only_keys_with_the_prefix),
        ON_TCP(a_silent_server_is_not_waited_for_beyond_the_timeout),
        ON_TCP(a_restart_of_the_server_is_not_noticed),
        ON_TCP(while_the_server_is_away_calls_fail),
    };
    static struct CMUnitTest tests[COUNT(ways) * COUNT(contract) + COUNT(others) + 1
                                   + COUNT(engines) * CONTRACT_TESTS_MAX] = {
        TEST(users_are_made)
    };
    apr_pool_t *pool;
    size_t count, i;
    int failed;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    server = redis_server_start();
    count = add_contract(tests, 1, pool);
    for (i = 0; i < COUNT(engines); i++) {
        count = contract_tests(&engines[i], tests, count);
    }
    memcpy(tests + count, others, sizeof(others));
    failed = test_run("cache_redis", tests, count + COUNT(others));
    redis_server_end(server);
    apr_terminate();
    return failed;
}
