/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memcached as a cache, and engine cache on it: the engines' contract on real servers, what Django's
 * clients store and where, and what becomes of lost answers, restarts, silence and nonsense.
 */
#include "engine_contract.h"
#include "lossy.h"
#include "memcached_server.h"
#include "redis_server.h" /* its fake speaks any protocol */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "caches.h"
#include "engine_cache.h"
#include "memcached_clients.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Only a safety net. */
#define PLENTY "timeout=60s"
/* Where nothing will come; nobody measures it. */
#define SHORT  "timeout=150ms"
#define SERVERS 3

static memcached_server_t *tcp[SERVERS], *local;

/* ---- Tools ----------------------------------------------------------------------------------- */

static const djs_cache_conf_t *conf_of(test_t *test, const char *url, const char *option)
{
    const char *argv[] = { url, option };
    const djs_cache_conf_t *conf = NULL;

    assert_status(test->ctx, djs_cache_url_parse(test->ctx, 2, argv, &conf), APR_SUCCESS, url);
    return conf;
}

static djs_cache_t *open_at(test_t *test, const char *url, const char *option)
{
    djs_cache_t *cache = NULL;

    assert_status(test->ctx,
                  djs_caches_open(test->ctx, test->pool, conf_of(test, url, option), &cache),
                  APR_SUCCESS, url);
    test->ctx->patience = apr_time_from_sec(600);
    return cache;
}

static const char *port_url(test_t *test, int port)
{
    return apr_psprintf(test->pool, "memcached://127.0.0.1:%d", port);
}

/* A cache on the first server. */
static djs_cache_t *open_first(test_t *test)
{
    return open_at(test, memcached_server_url(tcp[0]), PLENTY);
}

static void must_set(test_t *test, djs_cache_t *cache, const char *key, const char *value)
{
    assert_status(test->ctx, cache->ops->set(cache, test->ctx, key, djs_bytes(value), 3600),
                  APR_SUCCESS, key);
}

static void assert_value(test_t *test, djs_cache_t *cache, const char *key, const char *value,
                         const char *why)
{
    djs_bytes_t found = { "", 0 };
    apr_time_t expires = 1;

    djs_forget(test->ctx);
    assert_status(test->ctx, cache->ops->get(cache, test->ctx, key, &found, &expires),
                  value != NULL ? APR_SUCCESS : APR_NOTFOUND, why);
    if (value != NULL) {
        assert_bytes(found, djs_bytes(value), why);
        assert_number(expires, 0, "memcached does not tell");
    }
}

static void assert_says(test_t *test, const char *words)
{
    assert_non_null(test->ctx->problem);
    if (strstr(test->ctx->problem, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", test->ctx->problem, words);
    }
}

/* ---- The contract ---------------------------------------------------------------------------- */

static djs_engine_t *open_engine_at(test_t *test, const void *baton)
{
    const char *url = memcached_server_url(*(memcached_server_t *const *)baton);

    return djs_engine_cache_make(test->pool, open_at(test, url, PLENTY),
                                 ":1:django.contrib.sessions.cache");
}

static const contract_t contracts[] = {
    { "TCP", open_engine_at, &tcp[0], CONTRACT_VAGUE_END | CONTRACT_FORGETS },
    { "unix socket", open_engine_at, &local, CONTRACT_VAGUE_END | CONTRACT_FORGETS },
};

/* ---- What Django's clients store ------------------------------------------------------------- */

static void a_life_is_rounded_down_to_seconds(void **state)
{
    test_t *test = *state;
    djs_engine_t *engine = djs_engine_cache_make(test->pool, open_first(test), "p");
    djs_record_t record = contract_record(test, "value");
    const char *key = contract_key(test);

    record.expires = test->ctx->now + APR_USEC_PER_SEC - 1;
    assert_status(test->ctx, engine->ops->create(engine, test->ctx, key, &record), APR_SUCCESS, "");
    assert_text(memcached_server_do(tcp[0], test, apr_pstrcat(test->pool, "mg p", key, NULL)),
                "EN", "no whole second is dead at once, not immortal");
}

static void lives_are_told_as_memcached_understands_them(void **state)
{
    static const struct { apr_int64_t life, exptime; const char *why; } cases[] = {
        { 1, 1, "relative" },
        { 2592000, 2592000, "thirty days are relative" },
        { 2592001, 1000 + 2592001, "and more an instant" },
        { 0, -1, "0 would be for ever" },
        { -1, -1, "dead at once" },
        { -3000000, -1, "dead at once" },
    };
    apr_size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        assert_number(djs_memcached_exptime(cases[i].life, 1000), cases[i].exptime, cases[i].why);
    }
}

static void keys_that_memcached_would_misread_are_not_sent(void **state)
{
    static const char *const keys[] = { "", "a b", "a\r\nflush_all", "a\tb", "\x7f", "a\x01" };
    test_t *test = *state;
    djs_cache_t *cache = open_first(test);
    apr_size_t i;

    must_set(test, cache, "bystander", "stays");
    for (i = 0; i < COUNT(keys); i++) {
        djs_bytes_t value = djs_bytes("v");
        djs_ctx_t *ctx = test->ctx;

        assert_value(test, cache, keys[i], NULL, keys[i]);
        assert_status(ctx, cache->ops->swap(cache, ctx, keys[i], value, value, 60), APR_NOTFOUND, "");
        assert_status(ctx, cache->ops->overwrite(cache, ctx, keys[i], value, 60), APR_NOTFOUND, "");
        assert_status(ctx, cache->ops->remove(cache, ctx, keys[i]), APR_SUCCESS, "");
        assert_status(ctx, cache->ops->add(cache, ctx, keys[i], value, 60), DJS_EINVAL, "");
        djs_forget(ctx);
        assert_status(ctx, cache->ops->set(cache, ctx, keys[i], value, 60), DJS_ESTORE, "");
        djs_forget(ctx);
    }
    assert_value(test, cache, "bystander", "stays", "nothing of it was a command");
}

/* ---- Several servers ------------------------------------------------------------------------- */

static json_t *ask_django(test_t *test, const char *servers)
{
    const char *source = getenv("DJS_SRC");
    static char text[1 << 18];
    json_t *found;
    size_t len;
    FILE *pipe = popen(apr_psprintf(test->pool, "/usr/bin/python3 '%s/t/unit/django_memcached' %s "
                                                "300", source != NULL ? source : ".", servers),
                       "r");

    assert_non_null(pipe);
    len = fread(text, 1, sizeof(text), pipe);
    assert_int_equal(pclose(pipe), 0);
    assert_true(len < sizeof(text));
    found = json_loadb(text, len, 0, NULL);
    assert_non_null(found);
    return found;
}

static void each_key_is_where_djangos_client_puts_it(void **state)
{
    static const char *const formats[] = { "pymemcache", "pylibmc", "python-memcached" };
    test_t *test = *state;
    const char *servers = apr_psprintf(test->pool, "127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d",
                                       memcached_server_port(tcp[0]), memcached_server_port(tcp[1]),
                                       memcached_server_port(tcp[2]));
    json_t *found = ask_django(test, servers);
    size_t f, i;

    for (f = 0; f < COUNT(formats); f++) {
        const djs_cache_conf_t *conf
            = conf_of(test, apr_pstrcat(test->pool, "memcached://", servers, NULL),
                      apr_pstrcat(test->pool, "format=", formats[f], NULL));
        const json_t *pairs = json_object_get(found, formats[f]), *pair;
        int used[SERVERS] = { 0 };

        assert_number(json_array_size(pairs), 300, formats[f]);
        json_array_foreach(pairs, i, pair) {
            const char *key = json_string_value(json_array_get(pair, 0));
            int where = djs_memcached_server_of(conf, key);

            assert_number(json_array_size(pair), 2, key);
            assert_number(where, json_integer_value(json_array_get(pair, 1)),
                          apr_pstrcat(test->pool, formats[f], " ", key, NULL));
            used[where]++;
        }
        assert_true(used[0] > 50 && used[1] > 50 && used[2] > 50);
    }
    json_decref(found);
}

static void a_cache_of_several_servers_uses_them(void **state)
{
    test_t *test = *state;
    const char *url = apr_psprintf(test->pool, "memcached://127.0.0.1:%d,127.0.0.1:%d",
                                   memcached_server_port(tcp[1]), memcached_server_port(tcp[2]));
    djs_cache_t *cache = open_at(test, url, "format=pylibmc");
    const djs_cache_conf_t *conf = conf_of(test, url, "format=pylibmc");
    int i;

    for (i = 0; i < 20; i++) {
        const char *key = apr_psprintf(test->pool, "%s%d", contract_key(test), i);
        memcached_server_t *server = tcp[1 + djs_memcached_server_of(conf, key)];

        must_set(test, cache, key, "v");
        assert_text(memcached_server_do(server, test, apr_pstrcat(test->pool, "mg ", key, NULL)),
                    "HD", "it is where it should be");
        assert_value(test, cache, key, "v", "and is found");
    }
}

/* ---- Values that are too large --------------------------------------------------------------- */

static void a_value_too_large_is_refused_and_the_old_one_stays(void **state)
{
    static const char *const names[] = { "add", "set", "swap", "overwrite" };
    test_t *test = *state;
    djs_cache_t *cache = open_first(test);
    djs_bytes_t huge;
    apr_size_t i;
    char *data = malloc(9 << 20);

    assert_non_null(data);
    memset(data, 'x', 9 << 20);
    huge = djs_bytes_of(data, 9 << 20);
    for (i = 0; i < COUNT(names); i++) {
        const char *key = contract_key(test);
        djs_ctx_t *ctx = test->ctx;
        apr_status_t rv = APR_EGENERAL;

        if (i > 0) {
            must_set(test, cache, key, "old");
        }
        switch (i) {
        case 0: rv = cache->ops->add(cache, ctx, key, huge, 3600); break;
        case 1: rv = cache->ops->set(cache, ctx, key, huge, 3600); break;
        case 2: rv = cache->ops->swap(cache, ctx, key, djs_bytes("old"), huge, 3600); break;
        case 3: rv = cache->ops->overwrite(cache, ctx, key, huge, 3600); break;
        }
        assert_status(ctx, rv, DJS_ELIMIT, names[i]);
        assert_says(test, "takes no session of 9437184 bytes");
        assert_value(test, cache, key, i > 0 ? "old" : NULL, names[i]);
    }
    free(data);
}

/* ---- Connections that end -------------------------------------------------------------------- */

/* A cache behind a proxy that loses what a test chooses, with one idle connection. */
static djs_cache_t *open_lossy(test_t *test, lossy_t **lossy)
{
    djs_cache_t *cache;

    *lossy = lossy_start(test, memcached_server_port(tcp[0]));
    cache = open_at(test, port_url(test, lossy_port(*lossy)), PLENTY);
    must_set(test, cache, "warm", "up");
    return cache;
}

static void a_lost_question_is_asked_again(void **state)
{
    test_t *test = *state;
    lossy_t *lossy;
    djs_cache_t *cache = open_lossy(test, &lossy);
    const char *key = contract_key(test);
    int losses;

    must_set(test, cache, key, "one");
    for (losses = 0; losses < 2; losses++) {
        loss_t loss = losses == 0 ? LOSE_ANSWER : LOSE_REQUEST;
        const char *added = contract_key(test);

        lossy_lose(lossy, loss, "get", NULL, NULL);
        assert_value(test, cache, key, losses == 0 ? "one" : "two", "get");
        assert_value(test, cache, "warm", "up", "so that the swap has to ask");
        lossy_lose(lossy, loss, "get", NULL, NULL);
        assert_status(test->ctx,
                      cache->ops->swap(cache, test->ctx, key,
                                       djs_bytes(losses == 0 ? "one" : "two"), djs_bytes("two"), 60),
                      APR_SUCCESS, "swap: its question");
        lossy_lose(lossy, loss, "get", NULL, NULL);
        assert_status(test->ctx, cache->ops->add(cache, test->ctx, added, djs_bytes("v"), 60),
                      APR_SUCCESS, "add: its question");
        lossy_lose(lossy, loss, "delete", NULL, NULL);
        assert_status(test->ctx, cache->ops->remove(cache, test->ctx, added), APR_SUCCESS, "remove");
        lossy_lose(lossy, loss, "replace", NULL, NULL);
        must_set(test, cache, key, "two");
        assert_number(lossy_count(lossy), 5 * (losses + 1), "each was lost");
    }
}

/* Lose one message of a change; what is there afterwards. */
static const struct {
    const char *marker;
    int which; /* 0 swap, 1 add, 2 overwrite */
    loss_t loss;
    const char *after, *why;
} changes[] = {
    { "cas ", 0, LOSE_ANSWER, "new", "a swap that was done" },
    { "cas ", 0, LOSE_REQUEST, "old", "a swap that was not" },
    { "add ", 1, LOSE_ANSWER, "new", "an add that was done" },
    { "add ", 1, LOSE_REQUEST, NULL, "an add that was not" },
    { "replace ", 2, LOSE_ANSWER, "new", "an overwrite that was done" },
    { "replace ", 2, LOSE_REQUEST, "old", "an overwrite that was not" },
};

static void a_change_whose_answer_is_lost_is_not_known_and_not_repeated(void **state)
{
    test_t *test = *state;
    lossy_t *lossy;
    djs_cache_t *cache = open_lossy(test, &lossy);
    djs_cache_t *beside = open_first(test);
    apr_size_t i;

    for (i = 0; i < COUNT(changes); i++) {
        const char *key = contract_key(test);
        djs_ctx_t *ctx = test->ctx;
        apr_time_t end = apr_time_now() + apr_time_from_sec(60);
        apr_status_t rv;

        if (changes[i].which != 1) {
            must_set(test, beside, key, "old");
        }
        /* The server counts as down after the one before, until a probe. */
        do {
            djs_bytes_t ignored;
            apr_time_t expires;

            djs_forget(ctx);
            rv = cache->ops->get(cache, ctx, "warm", &ignored, &expires);
        } while (rv == DJS_ESTORE && apr_time_now() < end);
        assert_status(ctx, rv, APR_SUCCESS, "up again");
        lossy_lose(lossy, changes[i].loss, changes[i].marker, NULL, NULL);
        if (changes[i].which == 0) {
            rv = cache->ops->swap(cache, ctx, key, djs_bytes("old"), djs_bytes("new"), 60);
        }
        else if (changes[i].which == 1) {
            rv = cache->ops->add(cache, ctx, key, djs_bytes("new"), 60);
        }
        else {
            rv = cache->ops->overwrite(cache, ctx, key, djs_bytes("new"), 60);
        }
        assert_status(ctx, rv, DJS_ESTORE, changes[i].why);
        assert_says(test, "not known");
        assert_number(lossy_count(lossy), i + 1, "it was lost");
        assert_value(test, beside, key, changes[i].after, changes[i].why);
    }
}

/* ---- Versions -------------------------------------------------------------------------------- */

/* What the server has counted under a name. */
static int counted(test_t *test, memcached_server_t *server, const char *name)
{
    const char *line = apr_pstrcat(test->pool, "STAT ", name, " ", NULL);
    const char *at = strstr(memcached_server_do(server, test, "stats"), line);

    assert_non_null(at);
    return atoi(at + strlen(line));
}

/* What another does between a get and a swap. */
typedef enum meanwhile_t { NOTHING, SAVES_THE_SAME, SAVES, REMOVES } meanwhile_t;

static void do_meanwhile(test_t *test, const char *key, meanwhile_t what)
{
    switch (what) {
    case NOTHING:
        return;
    case REMOVES:
        assert_text(memcached_server_do(tcp[0], test, apr_pstrcat(test->pool, "delete ", key, NULL)),
                    "DELETED", key);
        return;
    default:
        memcached_server_put(tcp[0], test, key, DJS_MEMCACHED_PICKLE,
                             djs_bytes(what == SAVES ? "other" : "old"));
    }
}

static void a_swap_of_what_was_got_asks_only_where_the_version_is_another(void **state)
{
    static const struct {
        const char *why, *seen;
        meanwhile_t meanwhile;
        int other_got; /* in between, by the same request */
        int asked;
        apr_status_t rv;
        const char *after;
    } cases[] = {
        { "nothing in between", "old", NOTHING, 0, 0, APR_SUCCESS, "new" },
        { "the same bytes, saved again", "old", SAVES_THE_SAME, 0, 1, APR_SUCCESS, "new" },
        { "other bytes", "old", SAVES, 0, 1, DJS_ECONFLICT, "other" },
        { "it is gone", "old", REMOVES, 0, 0, APR_NOTFOUND, NULL },
        { "something else was got since", "old", NOTHING, 1, 1, APR_SUCCESS, "new" },
        { "what was seen is not what was got", "odd", NOTHING, 0, 1, DJS_ECONFLICT, "old" },
    };
    test_t *test = *state;
    djs_cache_t *cache = open_first(test);
    apr_size_t i;

    must_set(test, cache, "another", "value");
    for (i = 0; i < COUNT(cases); i++) {
        const char *key = contract_key(test);
        int asked;

        must_set(test, cache, key, "old");
        assert_value(test, cache, key, "old", cases[i].why);
        if (cases[i].other_got) {
            assert_value(test, cache, "another", "value", cases[i].why);
        }
        do_meanwhile(test, key, cases[i].meanwhile);
        asked = counted(test, tcp[0], "cmd_get");
        assert_status(test->ctx,
                      cache->ops->swap(cache, test->ctx, key, djs_bytes(cases[i].seen),
                                       djs_bytes("new"), 60), cases[i].rv, cases[i].why);
        assert_number(counted(test, tcp[0], "cmd_get") - asked, cases[i].asked, cases[i].why);
        assert_value(test, cache, key, cases[i].after, cases[i].why);
    }
}

/* While the swap does not know yet that it is lost; on a thread, and in a pool, of its own. */
typedef struct disturbance_t {
    const char *key;
    meanwhile_t what;
} disturbance_t;

static void disturb(void *baton)
{
    const disturbance_t *disturbance = baton;
    test_t own = { .ctx = NULL };

    assert_int_equal(apr_pool_create(&own.pool, NULL), APR_SUCCESS);
    do_meanwhile(&own, disturbance->key, disturbance->what);
    apr_pool_destroy(own.pool);
}

static void a_lost_swap_is_finished_only_where_it_surely_was_not_done(void **state)
{
    static const struct {
        const char *why;
        loss_t loss;
        meanwhile_t meanwhile;
        apr_status_t rv;
        const char *after;
    } cases[] = {
        { "it was not done", LOSE_REQUEST, NOTHING, APR_SUCCESS, "new" },
        { "it was done", LOSE_ANSWER, NOTHING, DJS_ESTORE, "new" },
        { "another came, perhaps after it", LOSE_REQUEST, SAVES, DJS_ESTORE, "other" },
        { "another came after it", LOSE_ANSWER, SAVES, DJS_ESTORE, "other" },
        { "it is gone, done or not", LOSE_REQUEST, REMOVES, APR_NOTFOUND, NULL },
    };
    test_t *test = *state;
    lossy_t *lossy;
    djs_cache_t *cache = open_lossy(test, &lossy);
    djs_cache_t *beside = open_first(test);
    apr_size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        disturbance_t disturbance = { contract_key(test), cases[i].meanwhile };
        apr_status_t rv;

        must_set(test, beside, disturbance.key, "old");
        assert_value(test, cache, disturbance.key, "old", cases[i].why);
        lossy_lose(lossy, cases[i].loss, "cas ", disturb, &disturbance);
        rv = cache->ops->swap(cache, test->ctx, disturbance.key, djs_bytes("old"), djs_bytes("new"),
                              60);
        assert_status(test->ctx, rv, cases[i].rv, cases[i].why);
        if (rv == DJS_ESTORE) {
            assert_says(test, "not known");
        }
        assert_number(lossy_count(lossy), i + 1, "it was lost");
        assert_value(test, beside, disturbance.key, cases[i].after, cases[i].why);
    }
}

/* The version that memcached gives to what is under a key. */
static int version_of(test_t *test, memcached_server_t *server, const char *key)
{
    int version = -1;

    assert_number(sscanf(memcached_server_do(server, test,
                                             apr_pstrcat(test->pool, "gets ", key, NULL)),
                         "VALUE %*s %*u %*u %d", &version), 1, key);
    return version;
}

/* memcached counts from the start again. */
static void a_version_means_nothing_after_a_restart(void **state)
{
    test_t *test = *state;
    djs_cache_t *cache = open_at(test, memcached_server_url(tcp[2]), PLENTY);
    const char *key = contract_key(test);
    djs_ctx_t *other = test_ctx(test->pool);
    djs_bytes_t value;
    apr_time_t expires;
    int version;

    assert_int_equal(apr_pool_create(&other->pool, test->pool), APR_SUCCESS);
    memcached_server_kill(tcp[2]);
    memcached_server_revive(tcp[2]);
    memcached_server_put(tcp[2], test, key, DJS_MEMCACHED_PICKLE, djs_bytes("old"));
    assert_value(test, cache, key, "old", "got");
    version = version_of(test, tcp[2], key);
    memcached_server_kill(tcp[2]);
    memcached_server_revive(tcp[2]);
    memcached_server_put(tcp[2], test, key, DJS_MEMCACHED_PICKLE, djs_bytes("other"));
    assert_number(version_of(test, tcp[2], key), version, "as before");
    other->patience = apr_time_from_sec(600);
    assert_status(other, cache->ops->get(cache, other, key, &value, &expires), APR_SUCCESS,
                  "another request has a new connection made");
    assert_status(test->ctx, cache->ops->swap(cache, test->ctx, key, djs_bytes("old"),
                                              djs_bytes("new"), 60), DJS_ECONFLICT, "the same number");
    assert_value(test, cache, key, "other", "left alone");
}

static void a_restart_of_the_server_fails_nothing(void **state)
{
    static const char *const names[] = { "get", "add", "set", "swap", "overwrite", "remove" };
    test_t *test = *state;
    djs_cache_t *cache = open_at(test, memcached_server_url(tcp[2]), PLENTY);
    apr_size_t i;

    for (i = 0; i < COUNT(names); i++) {
        const char *key = contract_key(test);
        djs_bytes_t value = djs_bytes("value");
        djs_ctx_t *ctx = test->ctx;

        must_set(test, cache, key, "value"); /* a connection is idle now */
        memcached_server_kill(tcp[2]);
        memcached_server_revive(tcp[2]);
        switch (i) {
        case 0: assert_value(test, cache, key, NULL, names[i]); break;
        case 1:
            assert_status(ctx, cache->ops->add(cache, ctx, key, value, 60), APR_SUCCESS, names[i]);
            break;
        case 2: must_set(test, cache, key, "again"); break;
        case 3:
            assert_status(ctx, cache->ops->swap(cache, ctx, key, value, value, 60), APR_NOTFOUND,
                          "never resurrected");
            break;
        case 4:
            assert_status(ctx, cache->ops->overwrite(cache, ctx, key, value, 60), APR_NOTFOUND,
                          "never resurrected");
            break;
        case 5:
            assert_status(ctx, cache->ops->remove(cache, ctx, key), APR_SUCCESS, names[i]);
            break;
        }
    }
}

static void a_server_that_is_gone_is_an_error_until_it_is_back(void **state)
{
    test_t *test = *state;
    djs_cache_t *cache = open_at(test, memcached_server_url(tcp[2]), PLENTY);
    apr_time_t end = apr_time_now() + apr_time_from_sec(60);
    djs_bytes_t value;
    apr_time_t expires;
    apr_status_t rv;

    must_set(test, cache, "gone", "v");
    memcached_server_kill(tcp[2]);
    assert_status(test->ctx, cache->ops->get(cache, test->ctx, "gone", &value, &expires), DJS_ESTORE,
                  "no answer is no miss");
    assert_says(test, "cannot connect to memcached at 127.0.0.1:");
    memcached_server_revive(tcp[2]);
    do {
        djs_forget(test->ctx);
        rv = cache->ops->get(cache, test->ctx, "gone", &value, &expires);
    } while (rv == DJS_ESTORE && apr_time_now() < end);
    assert_status(test->ctx, rv, APR_NOTFOUND, "it is back, and empty");
}

/* ---- Servers that are none ------------------------------------------------------------------- */

/* Listens and never accepts: the system connects, and nothing is ever said. */
static int listen_silently(int *port)
{
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0
                && listen(fd, 8) == 0
                && getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void a_server_that_says_nothing_is_not_waited_for_long(void **state)
{
    test_t *test = *state;
    int port;
    int fd = listen_silently(&port);
    djs_cache_t *cache = open_at(test, port_url(test, port), SHORT);
    apr_interval_time_t before = test->ctx->patience;
    djs_bytes_t value;
    apr_time_t expires;

    assert_status(test->ctx, cache->ops->get(cache, test->ctx, "k", &value, &expires), DJS_ESTORE,
                  "silence");
    assert_says(test, "cannot connect to memcached at");
    assert_true(before - test->ctx->patience >= apr_time_from_msec(150)); /* taken from it */
    close(fd);
}

static void a_server_that_hangs_is_a_failure_and_no_miss(void **state)
{
    test_t *test = *state;
    djs_cache_t *warm = open_at(test, memcached_server_url(tcp[1]), PLENTY);
    djs_cache_t *cache = open_at(test, memcached_server_url(tcp[1]), SHORT);
    apr_time_t end = apr_time_now() + apr_time_from_sec(60);
    djs_bytes_t value;
    apr_time_t expires;
    apr_status_t rv;

    must_set(test, warm, "hangs", "v");
    do { /* a connection, however slow the machine */
        djs_forget(test->ctx);
        rv = cache->ops->get(cache, test->ctx, "hangs", &value, &expires);
    } while (rv != APR_SUCCESS && apr_time_now() < end);
    assert_status(test->ctx, rv, APR_SUCCESS, "connected");
    memcached_server_pause(tcp[1], 1);
    rv = cache->ops->get(cache, test->ctx, "hangs", &value, &expires);
    memcached_server_pause(tcp[1], 0);
    assert_status(test->ctx, rv, DJS_ESTORE, "silence");
    assert_says(test, "no answer in time");
    assert_value(test, warm, "hangs", "v", "the others did not notice");
}

static void nonsense_is_a_failure_and_no_session(void **state)
{
    /*
     * Missing: an empty line, "VERSION" or "VALUE" with nothing behind, a negative length. Those make
     * libmemcached 1.1.4 itself read and write where it should not.
     */
    static const char *const answers[] = {
        "+PONG\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "ERROR\r\n", "CLIENT_ERROR bad\r\n",
        "SERVER_ERROR out of memory\r\n", "VALUE k 1 1\r\nx\r\nEND\r\n",
        "VALUE k 1 99999999999999999999\r\n", "END\r\n", "STORED\r\n", "\x80\x81\x82\x83\r\n",
        "VERSION 1.6.18\r\nVALUE k 1 4000000000 1\r\n",
        "VERSION 1.6.18\r\nVALUE other 1 1 1\r\nx\r\n",
        "VERSION 1.6.18\r\nVALUE k 1 5 1\r\nabc", "VERSION 1.6.18\r\nVALUE k x y z\r\n",
        "VERSION 1.6.18\r\nSTORED\r\n", "VERSION 1.6.18\r\nVALUE k 1 1 1\r\nxy\r\nEND\r\n",
    };
    test_t *test = *state;
    apr_size_t i;

    for (i = 0; i < COUNT(answers); i++) {
        fake_redis_t *fake = fake_redis_start(test, djs_bytes(answers[i]), FAKE_CLOSES);
        djs_cache_t *cache = open_at(test, port_url(test, fake_redis_port(fake)), PLENTY);
        djs_bytes_t value;
        apr_time_t expires;

        djs_forget(test->ctx);
        assert_status(test->ctx, cache->ops->get(cache, test->ctx, "k", &value, &expires),
                      DJS_ESTORE, answers[i]);
        assert_non_null(test->ctx->problem);
    }
}

static int good_news, bad_news;

static void note_said(void *baton, int ok, const char *what)
{
    (void)baton;
    good_news += ok;
    bad_news += !ok;
    assert_non_null(what);
}

/* Steps that come after another one: t/fuzz/fuzz_memcached.c. */
static void an_answer_to_another_question_is_a_failure(void **state)
{
    static const struct {
        const char *operation, *answer;
    } rows[] = {
        { "set", "EXISTS\r\n" }, { "set", "NOT_FOUND\r\n" }, { "remove", "EXISTS\r\n" },
        { "remove", "NOT_STORED\r\n" }, { "get", "EXISTS\r\n" }, { "get", "NOT_STORED\r\n" },
        { "get", "OK\r\n" }, { "get", "DELETED\r\n" }, { "get", "17\r\n" },
        { "get", "ERROR\r\n" }, { "get", "STORED\r\n" },
        { "get", "SERVER_ERROR object too large for cache\r\n" },
        { "get", "SERVER_ERROR out of memory\r\n" },
        { "get", "VALUE k 1 3 1\r\nold\r\nERROR\r\n" },
    };
    test_t *test = *state;
    djs_ctx_t *ctx = test->ctx;
    djs_bytes_t value;
    apr_time_t expires;
    apr_size_t i;

    for (i = 0; i < COUNT(rows); i++) {
        const char *why = apr_pstrcat(test->pool, rows[i].operation, ": ", rows[i].answer, NULL);
        fake_redis_t *fake = fake_redis_start(test, djs_bytes("VERSION 1.6.18\r\n"), FAKE_WAITS);
        djs_cache_t *cache = open_at(test, port_url(test, fake_redis_port(fake)), PLENTY);
        apr_status_t rv;

        djs_forget(ctx);
        assert_status(ctx, cache->ops->check(cache, ctx, note_said, NULL), APR_SUCCESS, why);
        fake_redis_answer(fake, djs_bytes(rows[i].answer), FAKE_WAITS);
        switch (rows[i].operation[0]) {
        case 'g': rv = cache->ops->get(cache, ctx, "k", &value, &expires); break;
        case 'r': rv = cache->ops->remove(cache, ctx, "k"); break;
        default: rv = cache->ops->set(cache, ctx, "k", djs_bytes("new"), 60); break;
        }
        assert_status(ctx, rv, DJS_ESTORE, why);
        assert_non_null(ctx->problem);
    }
}

static void a_check_names_each_server(void **state)
{
    test_t *test = *state;
    int port;
    int fd = listen_silently(&port);
    djs_cache_t *cache;

    close(fd);
    good_news = bad_news = 0;
    cache = open_at(test, apr_psprintf(test->pool, "%s,127.0.0.1:%d", memcached_server_url(tcp[0]),
                                       port),
                    PLENTY);
    assert_status(test->ctx, cache->ops->check(cache, test->ctx, note_said, NULL), DJS_ESTORE, "");
    assert_number(good_news, 1, "the one that is there");
    assert_number(bad_news, 1, "the one that is not");
}

int main(void)
{
    static const struct CMUnitTest own[] = {
        TEST(a_life_is_rounded_down_to_seconds),
        TEST(lives_are_told_as_memcached_understands_them),
        TEST(keys_that_memcached_would_misread_are_not_sent),
        TEST(each_key_is_where_djangos_client_puts_it),
        TEST(a_cache_of_several_servers_uses_them),
        TEST(a_value_too_large_is_refused_and_the_old_one_stays),
        TEST(a_lost_question_is_asked_again),
        TEST(a_change_whose_answer_is_lost_is_not_known_and_not_repeated),
        TEST(a_swap_of_what_was_got_asks_only_where_the_version_is_another),
        TEST(a_lost_swap_is_finished_only_where_it_surely_was_not_done),
        TEST(a_version_means_nothing_after_a_restart),
        TEST(a_restart_of_the_server_fails_nothing),
        TEST(a_server_that_is_gone_is_an_error_until_it_is_back),
        TEST(a_server_that_says_nothing_is_not_waited_for_long),
        TEST(a_server_that_hangs_is_a_failure_and_no_miss),
        TEST(nonsense_is_a_failure_and_no_session),
        TEST(an_answer_to_another_question_is_a_failure),
        TEST(a_check_names_each_server),
    };
    static struct CMUnitTest tests[COUNT(own) + COUNT(contracts) * CONTRACT_TESTS_MAX];
    size_t count = COUNT(own);
    int failed, i;

    memcpy(tests, own, sizeof(own));
    for (i = 0; i < (int)COUNT(contracts); i++) {
        count = contract_tests(&contracts[i], tests, count);
    }
    for (i = 0; i < SERVERS; i++) {
        tcp[i] = memcached_server_start(0);
    }
    local = memcached_server_start(1);
    failed = test_run("cache_memcached", tests, count);
    for (i = 0; i < SERVERS; i++) {
        memcached_server_end(tcp[i]);
    }
    memcached_server_end(local);
    return failed;
}
