/* SPDX-License-Identifier: Apache-2.0 */
#include "stores.h"

#include <string.h>

#include "caches.h"
#include "engine_cache.h"
#include "engine_cached_db.h"
#include "engine_file.h"
#include "keys.h"
#include "zone.h"

/* What an engine is opened from. */
typedef struct parts_t {
    apr_pool_t *pool;
    const djs_settings_t *settings;
    const djs_keyring_t *keys;
    const djs_zone_t *zone; /* NULL: USE_TZ on */
    djs_database_t *database;
} parts_t;

/* Texts with a signature, or sealed, around what the site's serializer writes. */
static const djs_wire_t *wire_of(const parts_t *parts, djs_wire_layout_t layout)
{
    return parts->settings->serializer == DJS_SERIALIZER_PICKLE
               ? djs_wire_make_pickled(parts->pool, parts->keys, layout, NULL)
               : djs_wire_make(parts->pool, parts->keys, layout, NULL);
}

static apr_status_t open_db(djs_ctx_t *ctx, const parts_t *parts, djs_site_t *site)
{
    return djs_engine_db_open(ctx, parts->pool, parts->settings, parts->zone, parts->database,
                              &site->engine);
}

static apr_status_t open_file(djs_ctx_t *ctx, const parts_t *parts, djs_site_t *site)
{
    return djs_engine_file_open(ctx, parts->pool, parts->settings, parts->zone, site->wire,
                                &site->engine);
}

/* The values of the client that shares them; their format says what those are. */
static const djs_wire_t *cache_wire(const parts_t *parts)
{
    static const djs_wire_layout_t layouts[] = {
        [DJS_CACHE_PYMEMCACHE] = DJS_WIRE_PICKLE,
        [DJS_CACHE_PYLIBMC] = DJS_WIRE_PICKLE,
        [DJS_CACHE_PYTHON_MEMCACHED] = DJS_WIRE_PICKLE,
        [DJS_CACHE_DJANGO] = DJS_WIRE_PICKLE,
        [DJS_CACHE_DJANGO_REDIS] = DJS_WIRE_DJANGO_REDIS,
        [DJS_CACHE_DJANGO_REDIS_JSON] = DJS_WIRE_DJANGO_REDIS_JSON,
        [DJS_CACHE_OURS] = DJS_WIRE_JSON, /* nobody else reads them: the least there can be */
    };

    return djs_wire_make(parts->pool, NULL, layouts[parts->settings->cache->format], NULL);
}

/* What DjangoSessionCache names, and the wire of its values. */
static apr_status_t open_a_cache(djs_ctx_t *ctx, const parts_t *parts, djs_cache_t **cache,
                                 const djs_wire_t **wire)
{
    if (parts->settings->cache == NULL) {
        return djs_fail(ctx, DJS_EINVAL,
                        "DjangoSessionEngine %s needs a cache: DjangoSessionCache",
                        parts->settings->engine);
    }
    *wire = cache_wire(parts);
    return djs_caches_open(ctx, parts->pool, parts->settings->cache, cache);
}

static apr_status_t open_cache(djs_ctx_t *ctx, const parts_t *parts, djs_site_t *site)
{
    djs_cache_t *cache = NULL;
    apr_status_t rv = open_a_cache(ctx, parts, &cache, &site->wire);

    if (rv == APR_SUCCESS) {
        site->engine = djs_engine_cache_make(parts->pool, cache,
                                             djs_cache_key(parts->pool, parts->settings->cache,
                                                           DJS_ENGINE_CACHE_PREFIX, ""));
    }
    return rv;
}

static apr_status_t open_cached_db(djs_ctx_t *ctx, const parts_t *parts, djs_site_t *site)
{
    djs_cached_db_parts_t both = { .row_wire = site->wire };
    apr_status_t rv = open_a_cache(ctx, parts, &both.cache, &both.cache_wire);

    if (rv == APR_SUCCESS) {
        rv = djs_engine_db_open(ctx, parts->pool, parts->settings, parts->zone, parts->database,
                                &both.rows);
    }
    if (rv == APR_SUCCESS) {
        both.key_prefix = djs_cache_key(parts->pool, parts->settings->cache,
                                        DJS_ENGINE_CACHED_DB_PREFIX, "");
        site->engine = djs_engine_cached_db_make(parts->pool, &both);
    }
    return rv;
}

static apr_status_t open_cookies(const parts_t *parts, djs_wire_layout_t layout, djs_site_t *site)
{
    site->engine = djs_engine_cookies_make(parts->pool, layout);
    site->wire = wire_of(parts, layout);
    return APR_SUCCESS;
}

static apr_status_t open_signed_cookies(djs_ctx_t *ctx, const parts_t *parts, djs_site_t *site)
{
    (void)ctx;
    return open_cookies(parts, DJS_WIRE_COOKIE, site);
}

static apr_status_t open_encrypted_cookies(djs_ctx_t *ctx, const parts_t *parts, djs_site_t *site)
{
    (void)ctx;
    return open_cookies(parts, DJS_WIRE_SEALED, site);
}

/* Every engine is one row. */
static const struct {
    const char *name;
    const char *dotted; /* Django's SESSION_ENGINE; NULL: Django has no such engine */
    int needs_database;
    /* Sets the engine; and the wire, where it is not the one that is there: of rows and files. */
    apr_status_t (*open)(djs_ctx_t *ctx, const parts_t *parts, djs_site_t *site);
    /* NULL: sections' settings are nothing to it. */
    djs_engine_t *(*view)(apr_pool_t *pool, const djs_engine_t *engine,
                          const djs_settings_t *settings);
} engines[] = {
    { "db", "django.contrib.sessions.backends.db", 1, open_db, NULL },
    { "file", "django.contrib.sessions.backends.file", 0, open_file, djs_engine_file_view },
    { "cache", "django.contrib.sessions.backends.cache", 0, open_cache, NULL },
    { "cached_db", "django.contrib.sessions.backends.cached_db", 1, open_cached_db, NULL },
    { "signed_cookies", "django.contrib.sessions.backends.signed_cookies", 0, open_signed_cookies,
      NULL },
    { "encrypted_cookies", NULL, 0, open_encrypted_cookies, NULL },
};

#define ENGINES (sizeof(engines) / sizeof(engines[0]))

/* ENGINES: there is none of this name. */
static apr_size_t find_engine(const char *value)
{
    apr_size_t i;

    for (i = 0; i < ENGINES; i++) {
        if (strcmp(value, engines[i].name) == 0
            || (engines[i].dotted != NULL && strcmp(value, engines[i].dotted) == 0)) {
            break;
        }
    }
    return i;
}

const char *djs_stores_names(apr_pool_t *pool)
{
    const char *names = engines[0].name;
    apr_size_t i;

    for (i = 1; i < ENGINES; i++) {
        names = apr_pstrcat(pool, names, i + 1 < ENGINES ? ", " : " or ", engines[i].name, NULL);
    }
    return names;
}

const char *djs_stores_engine_name(const char *value)
{
    apr_size_t i = find_engine(value);

    return i < ENGINES ? engines[i].name : NULL;
}

int djs_stores_needs_database(const char *engine_name)
{
    apr_size_t i = find_engine(engine_name);

    return i < ENGINES && engines[i].needs_database;
}

static apr_status_t open_engine(djs_ctx_t *ctx, const parts_t *parts, djs_site_t *site)
{
    apr_size_t i = find_engine(parts->settings->engine);

    if (i == ENGINES) {
        return djs_fail(ctx, DJS_EINVAL, "DjangoSessionEngine %s: there is %s",
                        parts->settings->engine, djs_stores_names(ctx->pool));
    }
    if (engines[i].needs_database && parts->database == NULL) {
        return djs_fail(ctx, DJS_EINVAL,
                        "DjangoSessionEngine %s needs a database: DBDriver and DBDParams",
                        engines[i].name);
    }
    return engines[i].open(ctx, parts, site);
}

static apr_status_t open_zone(djs_ctx_t *ctx, parts_t *parts)
{
    if (parts->settings->use_tz) {
        return APR_SUCCESS;
    }
    return djs_zone_open(ctx, parts->pool, parts->settings->time_zone, &parts->zone);
}

/* NULL: the engine that the settings name. */
static apr_status_t open_site(djs_ctx_t *ctx, apr_pool_t *pool, const djs_settings_t *settings,
                              djs_database_t *database, djs_engine_t *engine, djs_site_t **site)
{
    parts_t parts = { pool, settings, NULL, NULL, database };
    djs_site_t *opened = apr_pcalloc(pool, sizeof(*opened));
    djs_keyring_t *keys = NULL;
    apr_status_t rv = djs_keys_open(ctx, pool, settings, &keys);

    if (rv == APR_SUCCESS) {
        rv = open_zone(ctx, &parts);
    }
    if (rv == APR_SUCCESS) {
        parts.keys = keys;
        opened->engine = engine;
        opened->wire = wire_of(&parts, DJS_WIRE_SIGNED); /* rows and files */
        rv = engine != NULL ? APR_SUCCESS : open_engine(ctx, &parts, opened);
    }
    if (rv == APR_SUCCESS && database != NULL) {
        rv = djs_users_db_open(ctx, pool, settings, parts.zone, database, &opened->users);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    opened->settings = settings;
    opened->keys = keys;
    opened->zone = parts.zone;
    *site = opened;
    return APR_SUCCESS;
}

apr_status_t djs_stores_open(djs_ctx_t *ctx, apr_pool_t *pool, const djs_settings_t *settings,
                             djs_database_t *database, djs_site_t **site)
{
    return open_site(ctx, pool, settings, database, NULL, site);
}

apr_status_t djs_stores_open_around(djs_ctx_t *ctx, apr_pool_t *pool,
                                    const djs_settings_t *settings, djs_database_t *database,
                                    djs_engine_t *engine, djs_site_t **site)
{
    return open_site(ctx, pool, settings, database, engine, site);
}

djs_site_t *djs_stores_view(apr_pool_t *pool, const djs_site_t *store,
                            const djs_settings_t *settings)
{
    djs_site_t *site = apr_pmemdup(pool, store, sizeof(*store));
    apr_size_t i = find_engine(store->settings->engine);

    site->settings = settings;
    if (i < ENGINES && engines[i].view != NULL) {
        site->engine = engines[i].view(pool, store->engine, settings);
    }
    return site;
}

int djs_stores_same(const djs_site_t *a, const djs_site_t *b)
{
    return a->keys == b->keys
           && (a->engine == b->engine
               || strcmp(a->settings->cookie_name, b->settings->cookie_name) == 0);
}
