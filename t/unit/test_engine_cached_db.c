/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engine cached_db: the contract, with a cache that works and with one that does not; what goes to
 * which store; and orders of events, forced, in which the cache has something else than the row.
 */
#include "databases.h"
#include "engine_contract.h"
#include "memory_cache.h"
#include "memory_engine.h"
#include "redis_server.h"

#include <string.h>

#include "caches.h"
#include "engine_cached_db.h"
#include "json.h"
#include "memo.h"
#include "stores.h"

#define PREFIX "p:1:django.contrib.sessions.cached_db"
#define KEY "k0123456789012345678901234567890"
#define HOUR apr_time_from_sec(3600)

/* ---- the contract ---------------------------------------------------------------------------- */

/* On rows and cache with the same bytes: the contract's are no sessions. @a baton: what it is like. */
static djs_engine_t *open_with(test_t *test, djs_cache_t *cache)
{
    djs_settings_t *settings = apr_pcalloc(test->pool, sizeof(*settings));
    djs_database_t *database = test_database_open(test, &test_databases()[0]);
    djs_cached_db_parts_t parts = { .cache = cache, .key_prefix = PREFIX };

    settings->table = "django_session";
    assert_status(test->ctx,
                  djs_engine_db_open(test->ctx, test->pool, settings, NULL, database, &parts.rows),
                  APR_SUCCESS, "open");
    return djs_engine_cached_db_make(test->pool, &parts);
}

static djs_engine_t *open_on_sqlite(test_t *test, const void *baton)
{
    memory_cache_t *memory = memory_cache_make(test->pool);

    memory->down = strcmp(baton, "dead") == 0;
    return open_with(test, &memory->cache);
}

static redis_server_t *redis;

static djs_cache_t *open_redis(test_t *test)
{
    djs_cache_server_t *where = apr_pcalloc(test->pool, sizeof(*where));
    djs_cache_conf_t *conf = apr_pcalloc(test->pool, sizeof(*conf));
    djs_cache_t *cache = NULL;

    where->name = "the Redis of this test";
    where->host = "127.0.0.1";
    where->port = redis_server_port(redis);
    conf->scheme = DJS_CACHE_REDIS;
    conf->format = DJS_CACHE_DJANGO_REDIS_JSON;
    conf->servers = where;
    conf->server_count = 1;
    conf->prefix = "";
    conf->version = "1";
    conf->timeout = apr_time_from_sec(60); /* a safety net */
    conf->pool_max = 32;
    assert_status(test->ctx, djs_cache_redis_open(test->ctx, test->pool, conf, &cache),
                  APR_SUCCESS, "open");
    return cache;
}

static djs_engine_t *open_on_redis(test_t *test, const void *baton)
{
    (void)baton;
    return open_with(test, open_redis(test));
}

/* ---- sessions in two wires ------------------------------------------------------------------- */

typedef struct both_t {
    test_t test;
    memory_site_t *site;   /* with the rows */
    memory_cache_t *cache;
    djs_engine_t *engine;
    const djs_wire_t *row_wire, *cache_wire;
    int warnings;
    const djs_record_t *winner; /* what another request stores when it steps in */
    int stepped;
} both_t;

static void note_warning(void *baton, const char *line)
{
    both_t *both = baton;

    both->warnings++;
    if (strstr(line, KEY) != NULL) {
        fail_msg("the key is in a warning");
    }
}

static int open_both_on(void **state, int real)
{
    static const djs_host_t host = { .warn = note_warning };
    djs_cached_db_parts_t parts = { .key_prefix = PREFIX };
    both_t *both;
    void *made;

    test_setup(&made);
    both = apr_pcalloc(((test_t *)made)->pool, sizeof(*both));
    both->test = *(test_t *)made;
    both->site = memory_site_make(both->test.pool);
    both->cache = memory_cache_make(both->test.pool);
    both->row_wire = parts.row_wire = both->site->site.wire;
    both->cache_wire = parts.cache_wire
        = djs_wire_make(both->test.pool, both->site->site.keys, DJS_WIRE_JSON, NULL);
    parts.rows = &both->site->memory->engine;
    parts.cache = real ? open_redis(&both->test) : &both->cache->cache;
    both->engine = djs_engine_cached_db_make(both->test.pool, &parts);
    both->test.ctx->host = &host;
    both->test.ctx->baton = both;
    *state = both;
    return 0;
}

static int open_both(void **state)
{
    return open_both_on(state, 0);
}

static int open_both_on_redis(void **state)
{
    return open_both_on(state, 1);
}

static djs_record_t record_of(both_t *both, const char *json)
{
    djs_ctx_t *ctx = both->test.ctx;
    djs_record_t record = { .expires = ctx->now + HOUR };
    djs_value_t *value;

    assert_status(ctx, djs_json_loads(ctx, DJS_JSON_UTF8, djs_bytes(json), &value), APR_SUCCESS,
                  json);
    assert_status(ctx, djs_wire_write(ctx, both->row_wire, value, &record.data), APR_SUCCESS, json);
    return record;
}

static apr_status_t load(both_t *both, djs_record_t *found)
{
    return both->engine->ops->load(both->engine, both->test.ctx, KEY, found);
}

static apr_status_t replace(both_t *both, const djs_record_t *seen, const char *json)
{
    djs_record_t record = record_of(both, json);

    return both->engine->ops->replace(both->engine, both->test.ctx, KEY, seen, &record);
}

static void assert_loaded(both_t *both, const char *json, int from_cache, djs_record_t *found)
{
    djs_ctx_t *ctx = both->test.ctx;
    djs_value_t *value;

    memset(found, 0xff, sizeof(*found)); /* all of it is told */
    assert_status(ctx, load(both, found), APR_SUCCESS, json);
    assert_true(found->wire == (from_cache ? both->cache_wire : NULL));
    assert_status(ctx, djs_wire_inspect(ctx, from_cache ? both->cache_wire : both->row_wire,
                                     found->data, &value, NULL), APR_SUCCESS, json);
    assert_bytes(djs_json_dumps(ctx, DJS_JSON_COMPACT, value), djs_bytes(json), "what was loaded");
}

static const char *cached(both_t *both)
{
    apr_int64_t life;

    return memory_cache_get(both->cache, PREFIX KEY, both->test.ctx->now, &life).data;
}

static const char *row(both_t *both)
{
    return memory_site_get(both->test.ctx, both->site, KEY);
}

static void put_row(both_t *both, const char *json)
{
    memory_site_put(both->test.ctx, both->site, KEY, json, both->test.ctx->now + HOUR);
}

static void put_cached(both_t *both, const char *text)
{
    memory_cache_put(both->cache, PREFIX KEY, both->test.ctx->now, text);
}

/* ---- what goes where ------------------------------------------------------------------------- */

static void a_hit_asks_no_row(void **state)
{
    both_t *both = *state;
    djs_record_t found;

    put_cached(both, "{\"a\": 1}");
    assert_loaded(both, "{\"a\":1}", 1, &found);
    assert_number(memory_engine_calls(both->site->memory), 0, "the rows");
}

static void a_miss_reads_the_row_and_fills_the_cache_for_the_rest_of_its_life(void **state)
{
    both_t *both = *state;
    djs_record_t found;
    apr_int64_t life;

    memory_site_put(both->test.ctx, both->site, KEY, "{\"a\":1}",
                    both->test.ctx->now + apr_time_from_sec(90) - 1);
    assert_loaded(both, "{\"a\":1}", 0, &found);
    assert_number(found.expires, both->test.ctx->now + apr_time_from_sec(90) - 1, "as the row says");
    assert_text(memory_cache_get(both->cache, PREFIX KEY, both->test.ctx->now, &life).data,
                "{\"a\":1}", "filled");
    assert_number(life, 89, "floor");
    assert_loaded(both, "{\"a\":1}", 1, &found);
    assert_number(both->site->memory->loads, 1, "once");
}

static void what_ends_within_a_second_is_not_cached(void **state)
{
    both_t *both = *state;
    djs_record_t found;

    memory_site_put(both->test.ctx, both->site, KEY, "{\"a\":1}",
                    both->test.ctx->now + apr_time_from_sec(1) - 1);
    assert_loaded(both, "{\"a\":1}", 0, &found);
    assert_null(cached(both));
}

static void every_write_goes_through_to_both(void **state)
{
    both_t *both = *state;
    djs_record_t record = record_of(both, "{\"n\":1}");
    djs_record_t found;

    assert_status(both->test.ctx,
                  both->engine->ops->create(both->engine, both->test.ctx, KEY, &record),
                  APR_SUCCESS, "create");
    assert_text(row(both), "{\"n\":1}", "row");
    assert_text(cached(both), "{\"n\":1}", "cached");
    assert_loaded(both, "{\"n\":1}", 1, &found);
    assert_status(both->test.ctx, replace(both, &found, "{\"n\":2}"), APR_SUCCESS, "from the cache");
    assert_text(row(both), "{\"n\":2}", "row");
    assert_text(cached(both), "{\"n\":2}", "cached");
    put_cached(both, NULL);
    assert_loaded(both, "{\"n\":2}", 0, &found);
    assert_status(both->test.ctx, replace(both, &found, "{\"n\":3}"), APR_SUCCESS, "from the row");
    assert_text(row(both), "{\"n\":3}", "row");
    assert_text(cached(both), "{\"n\":3}", "cached");
    assert_status(both->test.ctx, replace(both, NULL, "{\"n\":4}"), APR_SUCCESS, "whatever it was");
    assert_text(row(both), "{\"n\":4}", "row");
    assert_text(cached(both), "{\"n\":4}", "cached");
    assert_status(both->test.ctx, both->engine->ops->remove(both->engine, both->test.ctx, KEY),
                  APR_SUCCESS, "remove");
    assert_null(row(both));
    assert_null(cached(both));
    assert_number(both->warnings, 0, "warnings");
}

static void what_was_lost_by_the_cache_is_put_back_by_the_next_save(void **state)
{
    both_t *both = *state;
    djs_record_t found;

    put_row(both, "{\"n\":1}");
    put_cached(both, "{\"n\": 1}");
    assert_loaded(both, "{\"n\":1}", 1, &found);
    put_cached(both, NULL);
    assert_status(both->test.ctx, replace(both, &found, "{\"n\":2}"), APR_SUCCESS, "save");
    assert_text(cached(both), "{\"n\":2}", "added");
}

static void a_database_that_fails_leaves_the_cache_alone_or_empty(void **state)
{
    both_t *both = *state;
    djs_record_t record = record_of(both, "{\"n\":2}");

    put_row(both, "{\"n\":1}");
    put_cached(both, "{\"n\":1}");
    both->site->memory->down = 1;
    assert_status(both->test.ctx, both->engine->ops->remove(both->engine, both->test.ctx, KEY),
                  DJS_ESTORE, "the database is first");
    assert_text(cached(both), "{\"n\":1}", "still there, as its row");
    assert_status(both->test.ctx,
                  both->engine->ops->replace(both->engine, both->test.ctx, KEY, NULL, &record),
                  DJS_ESTORE, "not known to be stored");
    assert_null(cached(both));
}

/* ---- a cache that fails ---------------------------------------------------------------------- */

static void a_dead_cache_costs_warnings_and_nothing_else(void **state)
{
    both_t *both = *state;
    djs_record_t record = record_of(both, "{\"n\":1}");
    djs_record_t found;

    both->cache->down = 1;
    assert_status(both->test.ctx,
                  both->engine->ops->create(both->engine, both->test.ctx, KEY, &record),
                  APR_SUCCESS, "create");
    assert_loaded(both, "{\"n\":1}", 0, &found);
    assert_status(both->test.ctx, replace(both, &found, "{\"n\":2}"), APR_SUCCESS, "replace");
    assert_status(both->test.ctx, both->engine->ops->remove(both->engine, both->test.ctx, KEY),
                  APR_SUCCESS, "remove");
    assert_null(both->test.ctx->problem);
    assert_number(both->warnings, 4, "one a call");
}

static void a_cache_that_dies_between_load_and_save_changes_nothing(void **state)
{
    both_t *both = *state;
    djs_record_t found;

    put_row(both, "{\"n\":1}");
    put_cached(both, "{\"n\":1}");
    assert_loaded(both, "{\"n\":1}", 1, &found);
    both->cache->down = 1;
    assert_status(both->test.ctx, replace(both, &found, "{\"n\":2}"), APR_SUCCESS, "save");
    assert_text(row(both), "{\"n\":2}", "row");
    /* It comes back with what it had: whoever believes it cannot save. */
    both->cache->down = 0;
    assert_loaded(both, "{\"n\":1}", 1, &found);
    assert_status(both->test.ctx, replace(both, &found, "{\"n\":9}"), DJS_ECONFLICT, "stale");
    assert_loaded(both, "{\"n\":2}", 0, &found);
    assert_status(both->test.ctx, replace(both, &found, "{\"n\":3}"), APR_SUCCESS, "fresh");
    assert_text(row(both), "{\"n\":3}", "row");
}

static void a_silent_cache_leaves_the_database_half_of_the_patience(void **state)
{
    both_t *both = *state;
    djs_record_t found;

    put_row(both, "{\"n\":1}");
    both->cache->silent = 1;
    both->test.ctx->patience = apr_time_from_sec(8);
    assert_loaded(both, "{\"n\":1}", 0, &found);
    assert_number(both->test.ctx->patience, apr_time_from_sec(4), "asked once, waited for once");
}

static void what_the_cache_has_and_nobody_can_read_is_replaced_by_the_row(void **state)
{
    static const char *const garbage[] = { "", "\x80\x05", "{", "[]", "1", "null" };
    both_t *both = *state;
    djs_record_t found;
    size_t i;

    put_row(both, "{\"n\":1}");
    for (i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        put_cached(both, garbage[i]);
        assert_loaded(both, "{\"n\":1}", 0, &found);
        assert_text(cached(both), "{\"n\":1}", garbage[i]);
    }
    assert_null(both->test.ctx->problem);
}

static void a_row_that_nobody_can_read_is_not_cached(void **state)
{
    both_t *both = *state;
    djs_record_t broken = { .data = djs_bytes("e30:of:nobody"),
                            .expires = both->test.ctx->now + HOUR };
    djs_record_t found;

    memory_engine_put(both->site->memory, KEY, &broken);
    assert_status(both->test.ctx, load(both, &found), APR_SUCCESS, "the session layer judges it");
    assert_bytes(found.data, broken.data, "as it is");
    assert_null(found.wire);
    assert_null(cached(both));
    assert_null(both->test.ctx->problem);
}

/* ---- on one connection, which has a memo ----------------------------------------------------- */

static void what_was_read_in_the_cache_need_not_be_read_again(void **state)
{
    both_t *both = *state;
    djs_record_t found;

    put_cached(both, "{\"a\": 1}");
    assert_status(both->test.ctx, load(both, &found), APR_SUCCESS, "a hit");
    assert_non_null(found.value);
    assert_bytes(djs_json_dumps(both->test.ctx, DJS_JSON_COMPACT, found.value),
                 djs_bytes("{\"a\":1}"), "what it says");
}

/* From the cache, to be saved. */
static void save_after_hit(both_t *both, const char *before, const char *after, apr_status_t rv,
                           int loads)
{
    int had = both->site->memory->loads;
    djs_record_t found;

    assert_loaded(both, before, 1, &found);
    assert_status(both->test.ctx, replace(both, &found, after), rv, after);
    assert_number(both->site->memory->loads - had, loads, "rows read");
}

static void a_save_reads_no_row_that_is_known(void **state)
{
    both_t *both = *state;
    djs_ctx_t *ctx = both->test.ctx;
    djs_record_t found;

    ctx->memo = djs_memo_make(both->test.pool);
    put_row(both, "{\"n\":1}");
    assert_loaded(both, "{\"n\":1}", 0, &found);
    save_after_hit(both, "{\"n\":1}", "{\"n\":2}", APR_SUCCESS, 0);
    save_after_hit(both, "{\"n\":2}", "{\"n\":3}", APR_SUCCESS, 0);
    ctx->now += apr_time_from_sec(5);
    put_row(both, "{\"n\":3}");
    save_after_hit(both, "{\"n\":3}", "{\"n\":4}", APR_SUCCESS, 1); /* the same, signed anew */
    assert_text(row(both), "{\"n\":4}", "row");
    put_row(both, "{\"n\":7}");
    save_after_hit(both, "{\"n\":4}", "{\"n\":5}", DJS_ECONFLICT, 1);
    assert_text(row(both), "{\"n\":7}", "another's");
    assert_null(cached(both));
    put_cached(both, "{\"n\":7}");
    memory_engine_put(both->site->memory, KEY, NULL);
    save_after_hit(both, "{\"n\":7}", "{\"n\":8}", APR_NOTFOUND, 1);
}

/* ---- a cache with something else than the row ------------------------------------------------ */

static void what_another_wrote_is_a_conflict_and_the_next_load_sees_it(void **state)
{
    both_t *both = *state;
    djs_record_t found;

    put_row(both, "{\"by\":\"another\"}");
    put_cached(both, "{\"by\":\"nobody any more\"}");
    assert_loaded(both, "{\"by\":\"nobody any more\"}", 1, &found);
    assert_status(both->test.ctx, replace(both, &found, "{\"by\":\"us\"}"), DJS_ECONFLICT, "save");
    assert_text(row(both), "{\"by\":\"another\"}", "untouched");
    assert_loaded(both, "{\"by\":\"another\"}", 0, &found);
}

static void a_session_whose_row_is_gone_is_not_made_again(void **state)
{
    both_t *both = *state;
    djs_record_t found;

    put_cached(both, "{\"n\":1}");
    assert_loaded(both, "{\"n\":1}", 1, &found);
    assert_status(both->test.ctx, replace(both, &found, "{\"n\":2}"), APR_NOTFOUND, "save");
    assert_null(row(both));
    assert_null(cached(both));
    assert_status(both->test.ctx, load(both, &found), APR_NOTFOUND, "gone for readers, too");
}

static void a_row_that_expired_meanwhile_can_be_saved(void **state)
{
    both_t *both = *state;
    djs_record_t found;

    memory_site_put(both->test.ctx, both->site, KEY, "{\"n\":1}",
                    both->test.ctx->now + apr_time_from_sec(10));
    put_cached(both, "{\"n\":1}");
    assert_loaded(both, "{\"n\":1}", 1, &found);
    both->test.ctx->now += apr_time_from_sec(20);
    assert_status(both->test.ctx, replace(both, &found, "{\"n\":2}"), APR_SUCCESS, "slow request");
    assert_text(row(both), "{\"n\":2}", "row");
}

static void sessions_are_compared_as_values_of_one_type_each(void **state)
{
    static const struct {
        const char *row, *cached;
        apr_status_t rv;
        const char *why;
    } cases[] = {
        { "{\"a\":[1,\"\\u00e9\"]}", "{ \"a\": [1, \"\xc3\xa9\"] }", APR_SUCCESS, "the same" },
        { "{\"a\":NaN}", "{\"a\": NaN}", APR_SUCCESS, "NaN is NaN" },
        { "{\"a\":1}", "{\"a\":1.0}", DJS_ECONFLICT, "another type" },
        { "{\"a\":1}", "{\"a\":true}", DJS_ECONFLICT, "another type that is equal in Python" },
        { "{\"a\":\"1\"}", "{\"a\":1}", DJS_ECONFLICT, "a text" },
        { "{\"a\":1}", "{\"a\":1,\"b\":2}", DJS_ECONFLICT, "one key more" },
        { "{}", "{}", APR_SUCCESS, "an empty session is one" },
    };
    both_t *both = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_record_t found;

        put_row(both, cases[i].row);
        put_cached(both, cases[i].cached);
        assert_status(both->test.ctx, load(both, &found), APR_SUCCESS, cases[i].why);
        assert_status(both->test.ctx, replace(both, &found, "{\"new\":1}"), cases[i].rv,
                      cases[i].why);
    }
}

/* Another request saves, once, before the named operation of this one goes on. */
static void step_in(void *baton, memory_cache_t *cache, const char *operation)
{
    both_t *both = baton;
    djs_ctx_t *ctx = test_ctx(both->test.pool);
    djs_record_t found = { .wire = NULL };

    if (both->stepped || (strcmp(operation, "swap") != 0 && strcmp(operation, "add") != 0)) {
        return;
    }
    both->stepped = 1;
    ctx->now = both->test.ctx->now;
    assert_status(ctx, both->engine->ops->load(both->engine, ctx, KEY, &found), APR_SUCCESS, "load");
    if (found.wire == both->cache_wire) {
        /* It finds that the row is newer, and looks again. */
        assert_status(ctx, both->engine->ops->replace(both->engine, ctx, KEY, &found, both->winner),
                      DJS_ECONFLICT, "the cache is behind");
        memset(&found, 0, sizeof(found));
        assert_status(ctx, both->engine->ops->load(both->engine, ctx, KEY, &found), APR_SUCCESS,
                      "load again");
    }
    assert_status(ctx, both->engine->ops->replace(both->engine, ctx, KEY, &found, both->winner),
                  APR_SUCCESS, "another's save");
}

static void the_slower_of_two_saves_leaves_no_older_session_in_the_cache(void **state)
{
    both_t *both = *state;
    djs_record_t winner = record_of(both, "{\"n\":3}");
    djs_record_t found;

    put_row(both, "{\"n\":1}");
    put_cached(both, "{\"n\":1}");
    assert_loaded(both, "{\"n\":1}", 1, &found);
    both->winner = &winner;
    both->cache->baton = both;
    both->cache->step = step_in; /* behind our row, before our entry */
    assert_status(both->test.ctx, replace(both, &found, "{\"n\":2}"), APR_SUCCESS, "ours");
    assert_number(both->stepped, 1, "another was faster");
    assert_text(row(both), "{\"n\":3}", "the row is the other's, who saw ours");
    assert_loaded(both, "{\"n\":3}", 0, &found);
}

static void a_reader_that_fills_late_does_not_undo_a_save(void **state)
{
    both_t *both = *state;
    djs_record_t winner = record_of(both, "{\"n\":2}");
    djs_record_t found;

    put_row(both, "{\"n\":1}");
    both->winner = &winner;
    both->cache->baton = both;
    both->cache->step = step_in; /* the reader has the old row in its hands */
    assert_loaded(both, "{\"n\":1}", 0, &found);
    assert_number(both->stepped, 1, "another saved meanwhile");
    assert_text(cached(both), "{\"n\":2}", "the new one stays");
}

/* ---- a real cache that dies ------------------------------------------------------------------- */

static void a_redis_that_is_killed_at_any_step_costs_warnings_and_is_filled_again(void **state)
{
    both_t *both = *state;
    djs_record_t record = record_of(both, "{\"n\":1}");
    djs_record_t found;
    int warnings;

    assert_status(both->test.ctx,
                  both->engine->ops->create(both->engine, both->test.ctx, KEY, &record),
                  APR_SUCCESS, "create");
    assert_loaded(both, "{\"n\":1}", 1, &found);
    redis_server_kill(redis);
    assert_status(both->test.ctx, replace(both, &found, "{\"n\":2}"), APR_SUCCESS, "save");
    assert_true(both->warnings > 0);
    warnings = both->warnings;
    assert_loaded(both, "{\"n\":2}", 0, &found);
    assert_true(both->warnings > warnings);
    redis_server_revive(redis);
    do { /* until its clients have found that it is there again */
        memset(&found, 0, sizeof(found));
        assert_status(both->test.ctx, load(both, &found), APR_SUCCESS, "load");
    } while (found.wire != both->cache_wire);
    assert_status(both->test.ctx, replace(both, &found, "{\"n\":3}"), APR_SUCCESS, "save");
    assert_loaded(both, "{\"n\":3}", 1, &found);
    assert_text(row(both), "{\"n\":3}", "row");
    assert_status(both->test.ctx, both->engine->ops->remove(both->engine, both->test.ctx, KEY),
                  APR_SUCCESS, "remove");
    assert_status(both->test.ctx, load(both, &found), APR_NOTFOUND, "gone");
    assert_null(both->test.ctx->problem);
}

/* ---- the table ------------------------------------------------------------------------------- */

#define ON_BOTH(name) cmocka_unit_test_setup_teardown(name, open_both, test_teardown)
#define ON_REDIS(name) cmocka_unit_test_setup_teardown(name, open_both_on_redis, test_teardown)

/* Another request logs out, whole, before the cache gets what ours has read or saved. */
static void log_out(void *baton, memory_cache_t *memory, const char *operation)
{
    both_t *both = baton;

    if (strcmp(operation, "add") == 0) {
        memory->step = NULL;
        assert_status(both->test.ctx,
                      both->engine->ops->remove(both->engine, test_ctx(both->test.pool), KEY),
                      APR_SUCCESS, "remove");
    }
}

static void what_is_removed_while_it_is_being_cached_is_not_cached(void **state)
{
    both_t *both = *state;
    djs_record_t seen, found;
    int saves;

    for (saves = 0; saves < 2; saves++) {
        put_row(both, "{\"a\":1}");
        if (saves) {
            assert_loaded(both, "{\"a\":1}", 0, &seen);
            memory_cache_put(both->cache, PREFIX KEY, both->test.ctx->now, NULL); /* lost */
        }
        both->cache->baton = both;
        both->cache->step = log_out;
        if (saves) {
            assert_status(both->test.ctx, replace(both, &seen, "{\"a\":2}"), APR_SUCCESS, "before");
        }
        else {
            assert_loaded(both, "{\"a\":1}", 0, &found);
        }
        assert_null(both->cache->step);
        assert_null(cached(both));
        assert_status(both->test.ctx, load(both, &found), APR_NOTFOUND, "it is gone");
    }
}

int main(void)
{
    static const contract_t working = { "cached_db", open_on_sqlite, "working", CONTRACT_VAGUE_END };
    static const contract_t dead = { "cached_db without its cache", open_on_sqlite, "dead", 0 };
    static const contract_t real = { "cached_db on Redis", open_on_redis, NULL,
                                     CONTRACT_VAGUE_END | CONTRACT_OWN_CLOCK };
    static struct CMUnitTest tests[3 * CONTRACT_TESTS_MAX + 24] = {
        ON_BOTH(a_hit_asks_no_row),
        ON_BOTH(what_was_read_in_the_cache_need_not_be_read_again),
        ON_BOTH(a_save_reads_no_row_that_is_known),
        ON_BOTH(what_is_removed_while_it_is_being_cached_is_not_cached),
        ON_BOTH(a_miss_reads_the_row_and_fills_the_cache_for_the_rest_of_its_life),
        ON_BOTH(what_ends_within_a_second_is_not_cached),
        ON_BOTH(every_write_goes_through_to_both),
        ON_BOTH(what_was_lost_by_the_cache_is_put_back_by_the_next_save),
        ON_BOTH(a_database_that_fails_leaves_the_cache_alone_or_empty),
        ON_BOTH(a_dead_cache_costs_warnings_and_nothing_else),
        ON_BOTH(a_cache_that_dies_between_load_and_save_changes_nothing),
        ON_BOTH(a_silent_cache_leaves_the_database_half_of_the_patience),
        ON_BOTH(what_the_cache_has_and_nobody_can_read_is_replaced_by_the_row),
        ON_BOTH(a_row_that_nobody_can_read_is_not_cached),
        ON_BOTH(what_another_wrote_is_a_conflict_and_the_next_load_sees_it),
        ON_BOTH(a_session_whose_row_is_gone_is_not_made_again),
        ON_BOTH(a_row_that_expired_meanwhile_can_be_saved),
        ON_BOTH(sessions_are_compared_as_values_of_one_type_each),
        ON_BOTH(the_slower_of_two_saves_leaves_no_older_session_in_the_cache),
        ON_BOTH(a_reader_that_fills_late_does_not_undo_a_save),
        ON_REDIS(a_redis_that_is_killed_at_any_step_costs_warnings_and_is_filled_again),
    };
    size_t count = 0;
    int failed;

    redis = redis_server_start();
    while (tests[count].name != NULL) {
        count++;
    }
    count = contract_tests(&working, tests, count);
    count = contract_tests(&dead, tests, count);
    count = contract_tests(&real, tests, count);
    failed = test_run("cached_db", tests, count);
    redis_server_end(redis);
    test_databases_end();
    return failed;
}
