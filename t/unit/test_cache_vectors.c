/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The golden vectors of caches, each in the server of its client, as sessions of a whole site: what
 * Django's clients stored and what they read, for how long, and what other backends of Django keep.
 */
#include "databases.h"
#include "memcached_server.h"
#include "redis_server.h"
#include "tagged.h"

#include <string.h>

#include <apr_hash.h>

#include "cache_url.h"
#include "encode.h"
#include "engine_cache.h"
#include "json.h"
#include "memcached_clients.h"
#include "pickle.h"
#include "stores.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define OTHER_SERIALIZER "a client that no format= is for: MessagePack"

static memcached_server_t *memcached;
static redis_server_t *redis;

/* ---- Sites ----------------------------------------------------------------------------------- */

typedef struct sites_t {
    test_t test;
    apr_hash_t *opened; /* by what they are made of */
    djs_database_t *database; /* of cached_db; nothing is in it */
} sites_t;

static int setup_sites(void **state)
{
    sites_t *sites;
    void *made;

    test_setup(&made);
    sites = apr_pcalloc(((test_t *)made)->pool, sizeof(*sites));
    sites->test = *(test_t *)made;
    sites->opened = apr_hash_make(sites->test.pool);
    sites->database = test_database_open(&sites->test, &test_databases()[0]);
    *state = sites;
    return 0;
}

static int is_of_redis(const char *client)
{
    return strstr(client, "redis") != NULL;
}

/* Which format= reads what a client wrote. */
static const char *format_of(const char *client)
{
    if (strncmp(client, "django-redis-json", strlen("django-redis-json")) == 0) {
        return "django-redis-json";
    }
    if (strncmp(client, "django-redis", strlen("django-redis")) == 0) {
        return "django-redis";
    }
    return strcmp(client, "pylibmc-binary") == 0 ? "pylibmc" : client;
}

static djs_site_t *open_site(sites_t *sites, const char *client, const char *engine,
                             const char *prefix, int version)
{
    apr_pool_t *pool = sites->test.pool;
    djs_settings_t *settings = djs_settings_complete(pool, djs_settings_make(pool));
    const char *argv[5];
    djs_site_t *site;
    int argc = 0;

    argv[argc++] = is_of_redis(client)
                       ? apr_psprintf(pool, "redis://127.0.0.1:%d/0", redis_server_port(redis))
                       : memcached_server_url(memcached);
    argv[argc++] = apr_pstrcat(pool, "format=", format_of(client), NULL);
    argv[argc++] = apr_psprintf(pool, "version=%d", version);
    argv[argc++] = "timeout=60s";
    if (*prefix != '\0') {
        argv[argc++] = apr_pstrcat(pool, "prefix=", prefix, NULL);
    }
    settings->engine = engine;
    settings->secret_key = "a key that is long enough to be a key";
    assert_status(sites->test.ctx,
                  djs_cache_url_parse(sites->test.ctx, argc, argv, &settings->cache), APR_SUCCESS,
                  client);
    assert_status(sites->test.ctx,
                  djs_stores_open(sites->test.ctx, pool, settings, sites->database, &site),
                  APR_SUCCESS, client);
    return site;
}

/* The site whose Django has this client and this CACHES; opened once. */
static djs_site_t *site_of(sites_t *sites, const char *client, const char *engine,
                           const char *prefix, int version)
{
    const char *name = apr_psprintf(sites->test.pool, "%s %s %s %d", client, engine, prefix, version);
    djs_site_t *site = apr_hash_get(sites->opened, name, APR_HASH_KEY_STRING);

    if (site == NULL) {
        site = open_site(sites, client, engine, prefix, version);
        apr_hash_set(sites->opened, name, APR_HASH_KEY_STRING, site);
    }
    return site;
}

static djs_site_t *site_of_case(sites_t *sites, const json_t *a_case)
{
    const json_t *conf = json_object_get(a_case, "conf");

    return site_of(sites, vector_need(a_case, "client"), vector_need(a_case, "engine"),
                   vector_need(conf, "KEY_PREFIX"),
                   (int)json_integer_value(json_object_get(conf, "VERSION")));
}

/* As a client of Django's leaves it. */
static void put(sites_t *sites, const json_t *a_case, const char *cache_key, djs_bytes_t stored)
{
    if (is_of_redis(vector_need(a_case, "client"))) {
        redis_server_put(redis, &sites->test, cache_key, stored);
    }
    else {
        memcached_server_put(memcached, &sites->test, cache_key,
                             (unsigned int)json_integer_value(json_object_get(a_case, "flags")),
                             stored);
    }
}

static djs_session_t *load(sites_t *sites, const djs_site_t *site, const char *key, const char *why)
{
    djs_session_t *session;

    djs_forget(sites->test.ctx);
    sites->test.ctx->patience = apr_time_from_sec(60);
    session = djs_session_make(sites->test.ctx, site, &key, 1);
    assert_status(sites->test.ctx, djs_session_load(sites->test.ctx, session), APR_SUCCESS, why);
    return session;
}

/* A session that was read, and is this. */
static void assert_session(sites_t *sites, djs_session_t *session, const char *tagged,
                           const char *why)
{
    assert_text(djs_session_status_name(djs_session_status(session)), "active", why);
    assert_text(tagged_text(sites->test.pool, djs_session_data(sites->test.ctx, session)), tagged,
                why);
}

/* ---- What clients stored --------------------------------------------------------------------- */

/* What Django reads from what it stored; JSON has fewer types than a session. */
static const char *as_loaded(const json_t *a_case)
{
    const json_t *loads = json_object_get(a_case, "loads");

    return json_is_object(loads) ? vector_need(loads, "tagged") : vector_need(a_case, "tagged");
}

/*
 * Change one key and save; what is stored then is read again with all the rest as it was. Behind
 * cached_db there is a row of JSON: what was changed is as there, a key that was 1 is "1".
 */
static void check_change(sites_t *sites, const djs_site_t *site, const char *key,
                         const json_t *a_case, const char *why)
{
    djs_ctx_t *ctx = sites->test.ctx;
    djs_session_t *session = load(sites, site, key, why);
    djs_bytes_t name = djs_bytes("a key of the module's");

    djs_session_set(ctx, session, name, djs_value_make_str(ctx->pool, djs_bytes("one")));
    assert_status(ctx, djs_session_save(ctx, session), APR_SUCCESS, why);
    session = load(sites, site, key, why);
    assert_status(ctx, djs_session_delete_key(ctx, session, name), APR_SUCCESS, why);
    if (strcmp(vector_need(a_case, "engine"), "cached_db") == 0) {
        assert_bytes(djs_json_dumps(ctx, DJS_JSON_COMPACT, djs_session_data(ctx, session)),
                     djs_bytes(vector_need(a_case, "json")), why);
        return;
    }
    assert_session(sites, session, as_loaded(a_case), why);
}

/* The row that cached_db has beside what the cache holds. */
static void put_row(sites_t *sites, const djs_site_t *site, const char *key, djs_session_t *session,
                    const char *why)
{
    djs_ctx_t *ctx = sites->test.ctx;
    djs_record_t row = { .expires = TEST_NOW + apr_time_from_sec(3600) };

    assert_status(ctx, djs_wire_write(ctx, site->wire, djs_session_data(ctx, session), &row.data),
                  APR_SUCCESS, why);
    assert_status(ctx, site->engine->ops->create(site->engine, ctx, key, &row), APR_SUCCESS, why);
}

/* A compressor's text that we cannot undo: unreadable, but to cached_db, which has its rows. */
static void check_foreign(const djs_session_t *session, const json_t *a_case, const char *why)
{
    const char *compressor = strstr(vector_need(a_case, "client"), "lz4") != NULL ? "lz4" : "lzma";

    if (strcmp(vector_need(a_case, "engine"), "cached_db") == 0) {
        assert_text(djs_session_status_name(djs_session_status(session)), "new", why);
        return;
    }
    assert_text(djs_session_status_name(djs_session_status(session)), "invalid", why);
    assert_non_null(strstr(djs_session_problem(session), compressor));
}

static void check_stored(sites_t *sites, const json_t *a_case, djs_bytes_t stored, const char *why)
{
    const djs_site_t *site = site_of_case(sites, a_case);
    const char *client = vector_need(a_case, "client");
    const char *key = vector_need(a_case, "session_key");
    const char *cache_key = vector_need(a_case, "cache_key");
    djs_session_t *session;

    put(sites, a_case, cache_key, stored);
    session = load(sites, site, key, why);
    if ((strstr(client, "-lzma") != NULL || strstr(client, "-lz4") != NULL)
        && stored.data[0] != '\x80') {
        check_foreign(session, a_case, why);
        return;
    }
    assert_session(sites, session, as_loaded(a_case), why);
    if (strcmp(vector_need(a_case, "engine"), "cached_db") == 0) {
        put_row(sites, site, key, session, why);
        put(sites, a_case, cache_key, stored);
    }
    check_change(sites, site, key, a_case, why);
}

/* The same session as stored by a client that has pickles. */
static djs_value_t *same_of_another(sites_t *sites, const json_t *cases, const json_t *a_case)
{
    const char *id = vector_need(a_case, "id") + strlen(vector_need(a_case, "client"));
    const json_t *other;
    djs_value_t *value;
    djs_bytes_t pickle;
    size_t i;

    json_array_foreach(cases, i, other) {
        if (strcmp(vector_need(other, "client"), "django-redis-pickle5") == 0
            && strcmp(vector_need(other, "id") + strlen("django-redis-pickle5"), id) == 0) {
            assert_true(vector_bytes(sites->test.pool, other, "value", &pickle));
            assert_status(sites->test.ctx, djs_pickle_loads(sites->test.ctx, pickle, &value),
                          APR_SUCCESS, id);
            return value;
        }
    }
    fail_msg("no client has stored a pickle of %s", id);
    return NULL;
}

/* What the client's serializer cannot keep ours cannot, either: refused, and nothing is stored. */
static void check_refused(sites_t *sites, const json_t *cases, const json_t *a_case, const char *why)
{
    djs_ctx_t *ctx = sites->test.ctx;
    djs_session_t *session = djs_session_make(ctx, site_of_case(sites, a_case), NULL, 0);

    djs_session_update(ctx, session, same_of_another(sites, cases, a_case));
    djs_forget(ctx);
    assert_status(ctx, djs_session_save(ctx, session), DJS_EUNSUPPORTED, why);
    assert_null(djs_session_key(session));
}

/* Of nine bytes; how many there are is a pickler's own affair. */
#define FRAME 9

/* Too long to be in the vectors: made here of what it held, and as long as the client's. */
static void check_long(sites_t *sites, const json_t *a_case, const char *why)
{
    djs_ctx_t *ctx = sites->test.ctx;
    djs_value_t *value;
    djs_bytes_t pickle;

    assert_status(ctx, djs_json_loads(ctx, DJS_JSON_UTF8, djs_bytes(vector_need(a_case, "json")),
                                      &value), APR_SUCCESS, why);
    assert_status(ctx, djs_pickle_dumps(ctx, 5, value, &pickle), APR_SUCCESS, why);
    assert_in_range(json_integer_value(json_object_get(a_case, "length")) - (json_int_t)pickle.len,
                    0, FRAME);
    check_stored(sites, a_case, pickle, why);
}

static void what_clients_stored_is_read_and_changed(void **state)
{
    sites_t *sites = *state;
    const json_t *cases = test_vectors(sites->test.pool, "cache_values.json", 794);
    const json_t *a_case;
    size_t i;

    json_array_foreach(cases, i, a_case) {
        const char *why = vector_name(sites->test.pool, a_case);
        djs_bytes_t stored;

        if (strcmp(vector_need(a_case, "client"), "django-redis-msgpack") == 0) {
            vector_left(a_case, OTHER_SERIALIZER);
            continue;
        }
        if (vector_text(a_case, "exception") != NULL) {
            check_refused(sites, cases, a_case, why);
        }
        else if (vector_bytes(sites->test.pool, a_case, "value", &stored)) {
            check_stored(sites, a_case, stored, why);
        }
        else {
            check_long(sites, a_case, why);
        }
        vector_done(a_case);
    }
}

/* ---- What clients read ----------------------------------------------------------------------- */

#define READ "{\"query\":\"15Fbu62fdzhuVKPZbPcf\",\"n\":64}"

/*
 * The session that a value put there by hand is; NULL: none. What Django finds to be nothing, or
 * finds and cannot use, is unreadable to us: it is never overwritten. And format=django-redis reads
 * what any compressor wrote, whichever the site has.
 */
static const char *session_read(const json_t *a_case, djs_bytes_t stored)
{
    const char *loaded = vector_need(a_case, "loaded_tagged");

    if (json_is_true(json_object_get(a_case, "found"))) {
        return *loaded == '{' && strncmp(loaded, "{\"$", 3) != 0 ? loaded : NULL;
    }
    if (strcmp(format_of(vector_need(a_case, "client")), "django-redis") == 0 && stored.len > 0
        && stored.data[0] == 'x') {
        return READ;
    }
    return NULL;
}

static void what_clients_read_is_read_and_nothing_else(void **state)
{
    sites_t *sites = *state;
    const json_t *cases = test_vectors(sites->test.pool, "cache_reads.json", 264);
    const json_t *a_case;
    size_t i;

    json_array_foreach(cases, i, a_case) {
        const char *why = vector_name(sites->test.pool, a_case);
        const char *client = vector_need(a_case, "client");
        const djs_site_t *site = site_of(sites, client, "cache", "", 1);
        djs_session_t *session;
        djs_bytes_t stored;

        if (strcmp(client, "django-redis-msgpack") == 0) {
            vector_left(a_case, OTHER_SERIALIZER);
            continue;
        }
        assert_true(vector_bytes(sites->test.pool, a_case, "value", &stored));
        put(sites, a_case, ":1:" DJS_ENGINE_CACHE_PREFIX "put-by-hand", stored);
        session = load(sites, site, "put-by-hand", why);
        if (session_read(a_case, stored) != NULL) {
            assert_session(sites, session, session_read(a_case, stored), why);
        }
        else {
            assert_text(djs_session_status_name(djs_session_status(session)), "invalid", why);
        }
        vector_done(a_case);
    }
}

/* ---- For how long ---------------------------------------------------------------------------- */

/* set_expiry() of a case. A time span is negative where its first member, days, is. */
static void set_expiry(djs_ctx_t *ctx, djs_session_t *session, const char *tagged)
{
    int days, seconds;

    if (strcmp(tagged, "null") == 0) {
        djs_session_set_expiry_none(ctx, session);
    }
    else if (sscanf(tagged, "{\"$timedelta\":[%d,%d,0]}", &days, &seconds) == 2) {
        djs_session_set_expiry_span(ctx, session, apr_time_from_sec(days * 86400 + seconds));
    }
    else {
        djs_session_set_expiry_seconds(ctx, session, apr_atoi64(tagged));
    }
}

/* The seconds that an entry has left, as its server says; 0 or less: it is not there. */
static int seconds_left(sites_t *sites, const char *client, const char *cache_key)
{
    int flags = 0, seconds = 0;

    if (is_of_redis(client)) {
        return atoi(redis_server_do(redis, &sites->test,
                                    apr_pstrcat(sites->test.pool, "TTL ", cache_key, NULL)));
    }
    if (sscanf(memcached_server_do(memcached, &sites->test,
                                   apr_pstrcat(sites->test.pool, "mg ", cache_key, " f t", NULL)),
               "HD f%d t%d", &flags, &seconds) == 2) {
        assert_number(flags, 1, "a pickle, says every client");
    }
    return seconds;
}

static void check_life(sites_t *sites, const json_t *a_case, const char *why)
{
    djs_ctx_t *ctx = sites->test.ctx;
    const char *client = vector_need(a_case, "client");
    const char *tagged = vector_need(a_case, "set_expiry");
    djs_site_t *site = open_site(sites, client, "cache", "", 1);
    int age = (int)json_integer_value(json_object_get(a_case, "expiry_age"));
    djs_session_t *session = djs_session_make(ctx, site, NULL, 0);
    djs_expiry_t expiry;
    int left;

    ((djs_settings_t *)site->settings)->cookie_age =
        test_time(json_object_get(a_case, "cookie_age"));
    set_expiry(ctx, session, tagged);
    assert_status(ctx, djs_session_expiry(ctx, session, &expiry), APR_SUCCESS, why);
    if (strstr(tagged, "$timedelta") == NULL || age > 0) {
        assert_number(expiry.age, apr_time_from_sec(age), why);
    }
    else { /* the vectors' clock went on meanwhile */
        assert_in_range(apr_time_from_sec(-1) - expiry.age, 0, apr_time_from_sec(-1 - age));
    }
    assert_status(ctx, djs_session_save(ctx, session), APR_SUCCESS, why);
    left = seconds_left(sites, client,
                        apr_pstrcat(ctx->pool, ":1:" DJS_ENGINE_CACHE_PREFIX,
                                    djs_session_key(session), NULL));
    if (json_is_true(json_object_get(a_case, "stored"))) {
        assert_true(json_is_true(json_object_get(a_case, "ttl_equals_expiry_age")));
        assert_false(json_is_true(json_object_get(a_case, "never_expires")));
        /* Time passes here, and memcached's clock has whole seconds. */
        assert_in_range(age + 2 - left, 0, 120);
    }
    else {
        assert_true(left <= 0);
    }
}

static void sessions_live_as_long_as_with_django(void **state)
{
    sites_t *sites = *state;
    const json_t *cases = test_vectors(sites->test.pool, "cache_ttl.json", 42);
    const json_t *a_case;
    size_t i;

    json_array_foreach(cases, i, a_case) {
        sites->test.ctx->patience = apr_time_from_sec(60);
        check_life(sites, a_case, vector_name(sites->test.pool, a_case));
        vector_done(a_case);
    }
}

/* ---- Under which keys; other backends -------------------------------------------------------- */

static void keys_are_those_of_django(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "cache_keys.json", 100);
    size_t i;
    const json_t *a_case;

    json_array_foreach(cases, i, a_case) {
        const char *name = vector_name(test->pool, a_case);
        const json_t *given = json_object_get(a_case, "conf");
        const json_t *version = json_object_get(given, "VERSION");
        const char *prefix = json_string_value(json_object_get(given, "KEY_PREFIX"));
        const char *cache_key = vector_need(a_case, "cache_key");
        djs_cache_conf_t conf = { .prefix = prefix != NULL ? prefix : "", .version = "1" };
        int is_long = strlen(cache_key) > DJS_MEMCACHED_KEY_MAX;

        /* Django counts characters, memcached bytes: what either refuses is unknown. */
        assert_number(!djs_memcached_key_is_valid(cache_key),
                      json_is_true(json_object_get(a_case, "memcached_refuses")) || is_long, name);
        if (json_object_get(given, "KEY_FUNCTION") != NULL) {
            vector_left(a_case, "a KEY_FUNCTION of the site's own is out of reach");
            continue;
        }
        if (json_is_integer(version)) {
            conf.version = apr_psprintf(test->pool, "%d", (int)json_integer_value(version));
        }
        else if (version != NULL) {
            conf.version = json_is_null(version) ? "None" : json_string_value(version);
        }
        assert_text(djs_cache_key(test->pool, &conf,
                                  apr_pstrcat(test->pool, "django.contrib.sessions.",
                                              vector_need(a_case, "engine"), NULL),
                                  vector_need(a_case, "session_key")),
                    cache_key, name);
        vector_done(a_case);
    }
}

/* The pickle of the session in what LocMemCache, DatabaseCache or FileBasedCache keeps. */
static djs_bytes_t pickle_inside(test_t *test, const json_t *a_case)
{
    const char *row = vector_text(json_object_get(a_case, "row"), "value");
    djs_bytes_t kept, pickle;
    const char *packed;

    if (row != NULL) {
        assert_status(test->ctx, djs_base64_decode(test->ctx, DJS_BASE64_STANDARD, djs_bytes(row),
                                                   &pickle), APR_SUCCESS, "base64");
        return pickle;
    }
    if (vector_bytes(test->pool, a_case, "value", &kept)) {
        return kept;
    }
    assert_true(vector_bytes(test->pool, a_case, "content", &kept));
    packed = memmem(kept.data, kept.len, ".x\x9c", 3); /* behind the pickle of when it ends */
    assert_non_null(packed);
    assert_status(test->ctx,
                  djs_inflate(test->ctx, djs_bytes_of(packed + 1, kept.len - (apr_size_t)(packed + 1
                                                                                 - kept.data)),
                              DJS_INFLATE_MAX, &pickle), APR_SUCCESS, "zlib");
    return pickle;
}

/* No DjangoSessionCache names these; what is in them is a pickle as everywhere, under the same key. */
static void what_other_backends_keep_is_such_a_pickle(void **state)
{
    test_t *test = *state;
    const json_t *cases = test_vectors(test->pool, "cache_files.json", 18);
    const json_t *a_case;
    size_t i;

    json_array_foreach(cases, i, a_case) {
        const char *why = vector_name(test->pool, a_case);
        const json_t *given = json_object_get(a_case, "conf");
        djs_cache_conf_t conf = { .prefix = vector_need(given, "KEY_PREFIX") };
        djs_value_t *value;

        conf.version = apr_psprintf(test->pool, "%d",
                                    (int)json_integer_value(json_object_get(given, "VERSION")));
        assert_text(djs_cache_key(test->pool, &conf, DJS_ENGINE_CACHE_PREFIX,
                                  vector_need(a_case, "session_key")),
                    vector_need(a_case, "cache_key"), why);
        assert_status(test->ctx, djs_pickle_loads(test->ctx, pickle_inside(test, a_case), &value),
                      APR_SUCCESS, why);
        assert_bytes(djs_json_dumps(test->ctx, DJS_JSON_COMPACT, value),
                     djs_bytes(vector_need(a_case, "json")), why);
        vector_done(a_case);
    }
}

#define SITES_TEST(name) cmocka_unit_test_setup_teardown(name, setup_sites, test_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        SITES_TEST(what_clients_stored_is_read_and_changed),
        SITES_TEST(what_clients_read_is_read_and_nothing_else),
        SITES_TEST(sessions_live_as_long_as_with_django),
        TEST(keys_are_those_of_django),
        TEST(what_other_backends_keep_is_such_a_pickle),
    };
    int failed;

    memcached = memcached_server_start(0);
    redis = redis_server_start();
    failed = RUN_TESTS(tests);
    redis_server_end(redis);
    memcached_server_end(memcached);
    test_databases_end();
    return failed;
}
