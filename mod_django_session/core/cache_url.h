/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What DjangoSessionCache says: which cache, where it is, and what Django's clients put into it.
 *
 *     memcached://HOST[:PORT][,HOST[:PORT]...]     IPv6 in brackets; port 11211
 *     memcached+unix:///PATH
 *     redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]   port 6379, database 0; rediss:// with TLS
 *     redis+unix://[[USER]:PASSWORD@]/PATH[?db=DB]
 *     shm://[NAME][?size=SIZE&file=PATH]           SIZE in bytes, or with k, m or g
 *
 * User, password, name and paths are percent-decoded. Then options, in any order, each once:
 *
 *     format=FORMAT    whose stored values these are (below); only one that goes with the scheme
 *     prefix=TEXT      KEY_PREFIX; empty
 *     version=TEXT     VERSION; 1
 *     timeout=TIME     the longest that one operation waits for the cache; 500ms
 *     pool=NUMBER      connections to one server that a child of httpd opens at most; 32
 */
#ifndef DJS_CACHE_URL_H
#define DJS_CACHE_URL_H

#include "djs.h"

typedef enum djs_cache_scheme_t {
    DJS_CACHE_MEMCACHED,
    DJS_CACHE_REDIS,
    DJS_CACHE_SHM
} djs_cache_scheme_t;

/** Which client of Django's shares the values. */
typedef enum djs_cache_format_t {
    DJS_CACHE_PYMEMCACHE,       /* django.core.cache.backends.memcached.PyMemcacheCache */
    DJS_CACHE_PYLIBMC,          /* ...PyLibMCCache */
    DJS_CACHE_PYTHON_MEMCACHED, /* ...MemcachedCache, up to Django 4.0 */
    DJS_CACHE_DJANGO,           /* django.core.cache.backends.redis.RedisCache */
    DJS_CACHE_DJANGO_REDIS,     /* django_redis.cache.RedisCache, its PickleSerializer */
    DJS_CACHE_DJANGO_REDIS_JSON, /* the same with its JSONSerializer */
    DJS_CACHE_OURS              /* shm: plain JSON; nobody else reads it */
} djs_cache_format_t;

#define DJS_CACHE_SERVERS_MAX 64
#define DJS_CACHE_POOL_MAX    1024
#define DJS_CACHE_SHM_MIN     (APR_INT64_C(1) << 20)

/** One server. */
typedef struct djs_cache_server_t {
    const char *host; /* as written, an IPv6 address without its brackets; NULL: a unix socket */
    int port;
    const char *path; /* of the unix socket; NULL: TCP */
    const char *name; /* for messages: "127.0.0.1:11211", "[::1]:6379", "/run/redis.sock" */
} djs_cache_server_t;

/** A parsed DjangoSessionCache. Immutable; lives in the pool that it was parsed in. */
typedef struct djs_cache_conf_t {
    djs_cache_scheme_t scheme;
    djs_cache_format_t format;
    const djs_cache_server_t *servers; /* memcached, redis */
    int server_count;                  /* redis: 1; shm: 0 */
    const char *user;                  /* redis: NULL: none */
    const char *password;              /* redis: secret; NULL: none, no AUTH is sent */
    int database;                      /* redis */
    int tls;                           /* rediss:// */
    const char *shm_name;              /* shm: "" when not given */
    apr_int64_t shm_size;              /* shm: bytes; 64 MiB when not given */
    const char *shm_file;              /* shm: absolute, or relative to what the host says; NULL */
    const char *prefix;                /* KEY_PREFIX */
    const char *version;               /* VERSION */
    apr_interval_time_t timeout;       /* of one operation */
    int pool_max;                      /* clients of one server in one process */
    const char *const *argv;           /* as it stood in the configuration: secret */
    int argc;
} djs_cache_conf_t;

/**
 * Parse the directive's arguments into @a conf, in ctx->pool.
 * DJS_EINVAL: the problem says which part is wrong and what is allowed; it never has the password.
 * It does not name the directive: the caller knows how it is called here.
 */
apr_status_t djs_cache_url_parse(djs_ctx_t *ctx, int argc, const char *const *argv,
                                 const djs_cache_conf_t **conf) DJS_MUST_CHECK;

/** A copy that shares nothing with the original. */
const djs_cache_conf_t *djs_cache_conf_copy(apr_pool_t *pool, const djs_cache_conf_t *conf);

/** The URL, or what stands in its place, without user and password, for people. */
const char *djs_cache_url_mask(apr_pool_t *pool, const char *argument);

/** Were both written the same? Either may be NULL. */
int djs_cache_conf_equal(const djs_cache_conf_t *a, const djs_cache_conf_t *b);

/** The name of a format, as format= takes it; "" for DJS_CACHE_OURS. */
const char *djs_cache_format_name(djs_cache_format_t format);

/**
 * The whole key of a session as Django makes it: PREFIX:VERSION:ENGINE-PREFIX KEY.
 *
 * @param engine_prefix  "django.contrib.sessions.cache" or "django.contrib.sessions.cached_db"
 */
const char *djs_cache_key(apr_pool_t *pool, const djs_cache_conf_t *conf,
                          const char *engine_prefix, const char *key);

#endif
