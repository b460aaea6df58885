/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A URL is read from the left: scheme, user and password, servers, path, query. Each part is judged
 * where it is cut off; what is said of it never has what stands before an "@".
 */
#include "cache_url.h"

#include <stdlib.h>
#include <string.h>

#include <apr_lib.h>

#include "encode.h"
#include "settings.h"

#define PORT_MEMCACHED 11211
#define PORT_REDIS     6379
#define TIMEOUT        apr_time_from_msec(500)
#define POOL           32
#define SHM_SIZE       (APR_INT64_C(64) << 20)
#define DATABASE_MAX   65535

/* memcached's limit, and what a key of Django's has beside prefix and version. */
#define KEY_MAX  250
#define KEY_REST ((int)sizeof("::django.contrib.sessions.cached_db") - 1 + 32)

typedef struct scheme_t {
    const char *name;
    djs_cache_scheme_t scheme;
    int is_unix, tls;
    djs_cache_format_t format; /* when none is given */
} scheme_t;

static const scheme_t schemes[] = {
    { "memcached://", DJS_CACHE_MEMCACHED, 0, 0, DJS_CACHE_PYMEMCACHE },
    { "memcached+unix://", DJS_CACHE_MEMCACHED, 1, 0, DJS_CACHE_PYMEMCACHE },
    { "redis://", DJS_CACHE_REDIS, 0, 0, DJS_CACHE_DJANGO },
    { "rediss://", DJS_CACHE_REDIS, 0, 1, DJS_CACHE_DJANGO },
    { "redis+unix://", DJS_CACHE_REDIS, 1, 0, DJS_CACHE_DJANGO },
    { "shm://", DJS_CACHE_SHM, 0, 0, DJS_CACHE_OURS },
};

#define SCHEMES (sizeof(schemes) / sizeof(schemes[0]))

static const struct {
    const char *name;
    djs_cache_scheme_t scheme;
} formats[] = {
    [DJS_CACHE_PYMEMCACHE] = { "pymemcache", DJS_CACHE_MEMCACHED },
    [DJS_CACHE_PYLIBMC] = { "pylibmc", DJS_CACHE_MEMCACHED },
    [DJS_CACHE_PYTHON_MEMCACHED] = { "python-memcached", DJS_CACHE_MEMCACHED },
    [DJS_CACHE_DJANGO] = { "redis", DJS_CACHE_REDIS },
    [DJS_CACHE_DJANGO_REDIS] = { "django-redis", DJS_CACHE_REDIS },
    [DJS_CACHE_DJANGO_REDIS_JSON] = { "django-redis-json", DJS_CACHE_REDIS },
};

#define FORMATS (sizeof(formats) / sizeof(formats[0]))

/* What is being read. */
typedef struct reading_t {
    djs_ctx_t *ctx;
    djs_cache_conf_t *conf;
    const scheme_t *scheme;
    const char *argument; /* the one that is looked at */
    const char *seen[8];  /* names of options and parameters that were there */
    int seen_count;
} reading_t;

const char *djs_cache_url_mask(apr_pool_t *pool, const char *argument)
{
    const char *begin = strstr(argument, "://");
    const char *at = strrchr(argument, '@');

    if (at == NULL) {
        return apr_pstrdup(pool, argument);
    }
    /* What is no URL may be meant to be one. */
    begin = begin == NULL || begin > at ? argument : begin + 3;
    return apr_pstrcat(pool, apr_pstrmemdup(pool, argument, (apr_size_t)(begin - argument)),
                       "********", at, NULL);
}

static apr_status_t refuse(reading_t *reading, const char *allowed)
{
    djs_ctx_t *ctx = reading->ctx;

    return djs_fail(ctx, DJS_EINVAL, "\"%s\" is not allowed here; allowed: %s",
                    djs_cache_url_mask(ctx->pool, reading->argument), allowed);
}

/* ---- pieces ---- */

/* Up to a character of @a stops, which is skipped when it is there and given back. */
static char *cut(char **rest, const char *stops, char *stop)
{
    char *piece = *rest;
    char *end = piece + strcspn(piece, stops);

    *stop = *end;
    *rest = *end ? end + 1 : end;
    *end = '\0';
    return piece;
}

/* NULL: malformed, or with a NUL in it. */
static const char *decode(reading_t *reading, const char *text)
{
    djs_ctx_t aside = { .pool = reading->ctx->pool };
    djs_bytes_t data;

    if (djs_percent_decode(&aside, djs_bytes(text), &data) != APR_SUCCESS
        || memchr(data.data, '\0', data.len) != NULL) {
        return NULL;
    }
    return apr_pstrmemdup(aside.pool, data.data, data.len);
}

/* -1: no number, or over @a max. */
static int read_number(const char *text, int max)
{
    int number = 0;

    if (*text == '\0') {
        return -1;
    }
    for (; *text != '\0'; text++) {
        if (!apr_isdigit(*text) || number > (max - (*text - '0')) / 10) {
            return -1;
        }
        number = number * 10 + (*text - '0');
    }
    return number;
}

static int is_seen(reading_t *reading, const char *name)
{
    int i;

    for (i = 0; i < reading->seen_count; i++) {
        if (strcmp(reading->seen[i], name) == 0) {
            return 1;
        }
    }
    if (reading->seen_count < (int)(sizeof(reading->seen) / sizeof(reading->seen[0]))) {
        reading->seen[reading->seen_count++] = name;
    }
    return 0;
}

/* ---- servers ---- */

#define HOSTS_ALLOWED                                                                              \
    "a host name or address with a port from 1 to 65535, IPv6 in brackets: [::1]:%d"

static int is_host(const char *host, const char *more)
{
    const char *c;

    for (c = host; *c != '\0'; c++) {
        if (!apr_isalnum(*c) && strchr(more, *c) == NULL) {
            return 0;
        }
    }
    return c > host;
}

static apr_status_t read_server(reading_t *reading, char *text, int default_port,
                                djs_cache_server_t *server)
{
    apr_pool_t *pool = reading->ctx->pool;
    int in_brackets = *text == '[';
    char *host = text + in_brackets;
    char *end = in_brackets ? strchr(host, ']') : host + strcspn(host, ":");
    const char *rest = end == NULL ? "" : end + in_brackets;
    int is_right = end != NULL && (*rest == '\0' || *rest == ':');

    if (is_right) {
        server->port = *rest == ':' ? read_number(rest + 1, 65535) : default_port;
        *end = '\0';
        is_right = server->port > 0 && is_host(host, in_brackets ? ":.%" : "-._");
    }
    if (!is_right) {
        return refuse(reading, apr_psprintf(pool, HOSTS_ALLOWED, default_port));
    }
    server->host = apr_pstrdup(pool, host);
    server->path = NULL;
    server->name = apr_psprintf(pool, in_brackets ? "[%s]:%d" : "%s:%d", host, server->port);
    return APR_SUCCESS;
}

static apr_status_t read_socket(reading_t *reading, const char *text)
{
    djs_cache_server_t *server = apr_pcalloc(reading->ctx->pool, sizeof(*server));
    const char *path = decode(reading, text);

    /* As much as a socket's address holds. */
    if (path == NULL || *path != '/' || path[1] == '\0' || strlen(path) > 107) {
        return refuse(reading, "the absolute path of a socket, of at most 107 bytes");
    }
    server->path = server->name = path;
    reading->conf->servers = server;
    reading->conf->server_count = 1;
    return APR_SUCCESS;
}

/* memcached://HOST:PORT,HOST:PORT */
static apr_status_t read_memcached(reading_t *reading, char *rest)
{
    djs_cache_conf_t *conf = reading->conf;
    djs_cache_server_t *servers;
    char stop = ',';

    if (reading->scheme->is_unix) {
        return read_socket(reading, rest);
    }
    servers = apr_pcalloc(reading->ctx->pool, DJS_CACHE_SERVERS_MAX * sizeof(*servers));
    while (stop == ',') {
        apr_status_t rv;

        if (conf->server_count == DJS_CACHE_SERVERS_MAX) {
            return refuse(reading, "at most " APR_STRINGIFY(DJS_CACHE_SERVERS_MAX) " servers");
        }
        rv = read_server(reading, cut(&rest, ",", &stop), PORT_MEMCACHED,
                         &servers[conf->server_count]);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        conf->server_count++;
    }
    conf->servers = servers;
    return APR_SUCCESS;
}

/* ---- redis ---- */

/* [[USER]:PASSWORD@] or [USER@], taken off. */
static apr_status_t read_credentials(reading_t *reading, char **rest)
{
    djs_cache_conf_t *conf = reading->conf;
    char *at = strrchr(*rest, '@');
    char *slash = strchr(*rest, '/');
    char *user = *rest;
    char *colon;

    if (at == NULL) {
        return APR_SUCCESS;
    }
    *at = '\0';
    *rest = at + 1;
    colon = strchr(user, ':');
    if (colon != NULL) {
        *colon = '\0';
        conf->password = decode(reading, colon + 1);
    }
    if (*user != '\0') {
        conf->user = decode(reading, user);
    }
    if ((slash != NULL && slash < at) || conf->password == NULL || *conf->password == '\0'
        || (*user != '\0' && conf->user == NULL)) {
        return refuse(reading, "[USER]:PASSWORD@ before the host, in which / ? @ : and % are "
                               "written %2F %3F %40 %3A and %25");
    }
    return APR_SUCCESS;
}

static apr_status_t read_database(reading_t *reading, const char *text)
{
    reading->conf->database = read_number(text, DATABASE_MAX);
    if (reading->conf->database < 0) {
        return refuse(reading, "the number of a database, from 0 to " APR_STRINGIFY(DATABASE_MAX));
    }
    return APR_SUCCESS;
}

static apr_status_t read_redis_query(reading_t *reading, char *query)
{
    if (*query == '\0') {
        return APR_SUCCESS;
    }
    if (!reading->scheme->is_unix || strncmp(query, "db=", 3) != 0) {
        return refuse(reading, reading->scheme->is_unix ? "?db=NUMBER" : "/NUMBER, no query");
    }
    return read_database(reading, query + 3);
}

static apr_status_t read_redis(reading_t *reading, char *rest)
{
    djs_cache_conf_t *conf = reading->conf;
    djs_cache_server_t *server;
    char *address;
    char stop;
    apr_status_t rv = read_credentials(reading, &rest);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    conf->tls = reading->scheme->tls;
    address = cut(&rest, "?", &stop);
    rv = read_redis_query(reading, rest);
    if (rv != APR_SUCCESS || reading->scheme->is_unix) {
        return rv != APR_SUCCESS ? rv : read_socket(reading, address);
    }
    server = apr_pcalloc(reading->ctx->pool, sizeof(*server));
    rest = address;
    address = cut(&rest, "/", &stop);
    conf->servers = server;
    conf->server_count = 1;
    rv = read_server(reading, address, PORT_REDIS, server);
    if (rv == APR_SUCCESS && *rest != '\0') {
        rv = read_database(reading, rest);
    }
    return rv;
}

/* ---- shm ---- */

/* -1: no size. */
static apr_int64_t read_size(const char *text)
{
    static const char units[] = "kmg";
    apr_size_t len = strlen(text);
    const char *unit = len > 0 ? strchr(units, apr_tolower(text[len - 1])) : NULL;
    int shift = unit != NULL ? 10 * (int)(unit - units + 1) : 0;
    apr_int64_t size = 0;
    apr_size_t i;

    len -= unit != NULL;
    for (i = 0; i < len; i++) {
        if (!apr_isdigit(text[i]) || size > (APR_INT64_C(1) << 40)) {
            return -1;
        }
        size = size * 10 + (text[i] - '0');
    }
    return len == 0 || size > (APR_INT64_C(1) << 40) >> shift ? -1 : size << shift;
}

static apr_status_t read_shm_parameter(reading_t *reading, char *parameter)
{
    djs_cache_conf_t *conf = reading->conf;

    if (strncmp(parameter, "size=", 5) == 0 && !is_seen(reading, "size")) {
        conf->shm_size = read_size(parameter + 5);
        if (conf->shm_size >= DJS_CACHE_SHM_MIN) {
            return APR_SUCCESS;
        }
        return refuse(reading, "size= bytes, or a number with k, m or g, from 1m to 1024g");
    }
    if (strncmp(parameter, "file=", 5) == 0 && !is_seen(reading, "file")) {
        conf->shm_file = decode(reading, parameter + 5);
        if (conf->shm_file != NULL && *conf->shm_file != '\0') {
            return APR_SUCCESS;
        }
        return refuse(reading, "file= and a path");
    }
    return refuse(reading, "size=SIZE and file=PATH, each once, joined by &");
}

static apr_status_t read_shm(reading_t *reading, char *rest)
{
    char stop;
    char *name = cut(&rest, "?", &stop);

    reading->conf->shm_size = SHM_SIZE;
    reading->conf->shm_name = apr_pstrdup(reading->ctx->pool, name);
    if (*name != '\0' && (!is_host(name, "-._") || strlen(name) > 64)) {
        return refuse(reading, "a name of at most 64 letters, digits, dots, - and _");
    }
    while (stop != '\0') {
        apr_status_t rv = read_shm_parameter(reading, cut(&rest, "&", &stop));

        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    return APR_SUCCESS;
}

/* ---- options ---- */

static const char *list_formats(apr_pool_t *pool, djs_cache_scheme_t scheme)
{
    const char *list = "";
    apr_size_t i;

    for (i = 0; i < FORMATS; i++) {
        if (formats[i].scheme == scheme) {
            list = apr_pstrcat(pool, list, *list != '\0' ? ", " : "", formats[i].name, NULL);
        }
    }
    return list;
}

static apr_status_t read_format(reading_t *reading, const char *value)
{
    djs_cache_scheme_t scheme = reading->conf->scheme;
    const char *allowed;
    apr_size_t i;

    for (i = 0; i < FORMATS; i++) {
        if (strcmp(formats[i].name, value) == 0 && formats[i].scheme == scheme) {
            reading->conf->format = (djs_cache_format_t)i;
            return APR_SUCCESS;
        }
    }
    allowed = list_formats(reading->ctx->pool, scheme);
    return refuse(reading, *allowed == '\0'
                               ? "no format=: what is in shm:// no other client reads"
                               : apr_psprintf(reading->ctx->pool, "for %s format= one of %s",
                                              reading->scheme->name, allowed));
}

/* What every key has in it: memcached, and so Django, takes no key with a space. */
static apr_status_t read_part(reading_t *reading, const char *value, const char **part)
{
    int strict = reading->conf->scheme == DJS_CACHE_MEMCACHED;
    const unsigned char *c;

    for (c = (const unsigned char *)value; *c != '\0'; c++) {
        if (*c < 0x20 || *c == 0x7f || (strict && *c == ' ')) {
            return refuse(reading, strict ? "text without spaces and control characters"
                                          : "text without control characters");
        }
    }
    *part = apr_pstrdup(reading->ctx->pool, value);
    return APR_SUCCESS;
}

static apr_status_t read_prefix(reading_t *reading, const char *value)
{
    return read_part(reading, value, &reading->conf->prefix);
}

static apr_status_t read_version(reading_t *reading, const char *value)
{
    if (*value == '\0') {
        return refuse(reading, "version= and the cache's VERSION, a number as a rule");
    }
    return read_part(reading, value, &reading->conf->version);
}

static apr_status_t read_timeout(reading_t *reading, const char *value)
{
    djs_ctx_t aside = { .pool = reading->ctx->pool };

    if (djs_duration_parse(&aside, value, &reading->conf->timeout) != APR_SUCCESS
        || reading->conf->timeout == 0) {
        return refuse(reading, "timeout= seconds, or a number with ms, s, min, h or d; not 0");
    }
    return APR_SUCCESS;
}

static apr_status_t read_pool(reading_t *reading, const char *value)
{
    reading->conf->pool_max = read_number(value, DJS_CACHE_POOL_MAX);
    if (reading->conf->pool_max < 1) {
        return refuse(reading, "pool= a number from 1 to " APR_STRINGIFY(DJS_CACHE_POOL_MAX));
    }
    return APR_SUCCESS;
}

static const struct {
    const char *name;
    apr_status_t (*read)(reading_t *reading, const char *value);
} options[] = {
    { "format=", read_format },   { "prefix=", read_prefix }, { "version=", read_version },
    { "timeout=", read_timeout }, { "pool=", read_pool },
};

static apr_status_t read_option(reading_t *reading, const char *argument)
{
    apr_size_t i;

    reading->argument = argument;
    for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        apr_size_t len = strlen(options[i].name);

        if (strncmp(argument, options[i].name, len) == 0) {
            return is_seen(reading, options[i].name)
                       ? refuse(reading, "each option once")
                       : options[i].read(reading, argument + len);
        }
    }
    return refuse(reading, "one URL, then format=, prefix=, version=, timeout= and pool=");
}

/* ---- the whole ---- */

static const scheme_t *find_scheme(const char *url)
{
    apr_size_t i;

    for (i = 0; i < SCHEMES; i++) {
        if (strncmp(url, schemes[i].name, strlen(schemes[i].name)) == 0) {
            return &schemes[i];
        }
    }
    return NULL;
}

static apr_status_t read_url(reading_t *reading, const char *url)
{
    char *rest;

    reading->argument = url;
    reading->scheme = find_scheme(url);
    if (reading->scheme == NULL) {
        return refuse(reading, "memcached://HOST[:PORT][,...], memcached+unix:///PATH, "
                               "redis://HOST[:PORT][/DB], rediss://..., redis+unix:///PATH[?db=DB] "
                               "and shm://[NAME][?size=SIZE&file=PATH]");
    }
    reading->conf->scheme = reading->scheme->scheme;
    reading->conf->format = reading->scheme->format;
    rest = apr_pstrdup(reading->ctx->pool, url + strlen(reading->scheme->name));
    switch (reading->conf->scheme) {
    case DJS_CACHE_MEMCACHED:
        return read_memcached(reading, rest);
    case DJS_CACHE_REDIS:
        return read_redis(reading, rest);
    default:
        return read_shm(reading, rest);
    }
}

/* Would memcached refuse each key that Django makes? */
static apr_status_t check_length(djs_ctx_t *ctx, const djs_cache_conf_t *conf)
{
    int room = KEY_MAX - KEY_REST - (int)strlen(conf->version);

    if (conf->scheme == DJS_CACHE_MEMCACHED && (int)strlen(conf->prefix) > room) {
        return djs_fail(ctx, DJS_EINVAL,
                        "prefix= of %" APR_SIZE_T_FMT " bytes: no session would fit into "
                        "memcached's keys of at most %d bytes; allowed: %d bytes",
                        strlen(conf->prefix), KEY_MAX, room > 0 ? room : 0);
    }
    return APR_SUCCESS;
}

static const char *const *copy_arguments(apr_pool_t *pool, int argc, const char *const *argv)
{
    const char **copy = apr_palloc(pool, (apr_size_t)argc * sizeof(*copy));
    int i;

    for (i = 0; i < argc; i++) {
        copy[i] = apr_pstrdup(pool, argv[i]);
    }
    return copy;
}

apr_status_t djs_cache_url_parse(djs_ctx_t *ctx, int argc, const char *const *argv,
                                 const djs_cache_conf_t **conf)
{
    djs_cache_conf_t *made = apr_pcalloc(ctx->pool, sizeof(*made));
    reading_t reading = { .ctx = ctx, .conf = made };
    apr_status_t rv;
    int i;

    made->prefix = "";
    made->version = "1";
    made->timeout = TIMEOUT;
    made->pool_max = POOL;
    made->argc = argc;
    made->argv = copy_arguments(ctx->pool, argc, argv);
    rv = read_url(&reading, argv[0]);
    for (i = 1; i < argc && rv == APR_SUCCESS; i++) {
        rv = read_option(&reading, argv[i]);
    }
    if (rv == APR_SUCCESS) {
        rv = check_length(ctx, made);
    }
    if (rv == APR_SUCCESS) {
        *conf = made;
    }
    return rv;
}

const djs_cache_conf_t *djs_cache_conf_copy(apr_pool_t *pool, const djs_cache_conf_t *conf)
{
    djs_ctx_t ctx = { .pool = pool };
    const djs_cache_conf_t *copy = NULL;

    /* It was parsed once, so it can be again. */
    return djs_cache_url_parse(&ctx, conf->argc, conf->argv, &copy) == APR_SUCCESS ? copy : NULL;
}

int djs_cache_conf_equal(const djs_cache_conf_t *a, const djs_cache_conf_t *b)
{
    int i;

    if (a == NULL || b == NULL || a->argc != b->argc) {
        return a == b;
    }
    for (i = 0; i < a->argc; i++) {
        if (strcmp(a->argv[i], b->argv[i]) != 0) {
            return 0;
        }
    }
    return 1;
}

const char *djs_cache_format_name(djs_cache_format_t format)
{
    return format < FORMATS ? formats[format].name : "";
}

const char *djs_cache_key(apr_pool_t *pool, const djs_cache_conf_t *conf,
                          const char *engine_prefix, const char *key)
{
    return apr_pstrcat(pool, conf->prefix, ":", conf->version, ":", engine_prefix, key, NULL);
}
