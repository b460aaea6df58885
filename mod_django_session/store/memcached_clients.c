/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See memcached_clients.h.
 */
#include "memcached_clients.h"

#include <string.h>

#include <zlib.h>

#include "../core/encode.h"

int djs_memcached_key_is_valid(const char *key)
{
    const unsigned char *c = (const unsigned char *)key;

    while (*c > ' ' && *c != 0x7f) {
        c++;
    }
    return *c == '\0' && c > (const unsigned char *)key
           && c - (const unsigned char *)key <= DJS_MEMCACHED_KEY_MAX;
}

/* ---- pymemcache ------------------------------------------------------------------------------ */

/* MurmurHash3, 32 bits, seed 0, fed byte by byte. */
typedef struct murmur_t {
    apr_uint32_t hash, block, len;
} murmur_t;

static apr_uint32_t rotate(apr_uint32_t number, int bits)
{
    return number << bits | number >> (32 - bits);
}

static apr_uint32_t scramble(apr_uint32_t block)
{
    return rotate(block * 0xcc9e2d51u, 15) * 0x1b873593u;
}

static void murmur_byte(murmur_t *murmur, apr_uint32_t byte)
{
    murmur->block |= byte << 8 * (murmur->len++ % 4);
    if (murmur->len % 4 == 0) {
        murmur->hash = rotate(murmur->hash ^ scramble(murmur->block), 13) * 5 + 0xe6546b64u;
        murmur->block = 0;
    }
}

static apr_uint32_t murmur_end(const murmur_t *murmur)
{
    apr_uint32_t hash = (murmur->hash ^ scramble(murmur->block)) ^ murmur->len;

    hash = (hash ^ hash >> 16) * 0x85ebca6bu;
    hash = (hash ^ hash >> 13) * 0xc2b2ae35u;
    return hash ^ hash >> 16;
}

/* pymemcache hashes characters, and of each the lowest byte. */
static void murmur_text(murmur_t *murmur, const char *text)
{
    djs_bytes_t rest = djs_bytes(text);

    while (rest.len > 0) {
        apr_uint32_t character = (unsigned char)*rest.data;
        int used = djs_utf8_next(rest, &character);

        murmur_byte(murmur, character & 0xff);
        rest.data += used > 0 ? used : 1;
        rest.len -= used > 0 ? (apr_size_t)used : 1;
    }
}

/* As pymemcache calls a server. */
static void murmur_server(murmur_t *murmur, const djs_cache_server_t *server)
{
    char port[12];

    if (server->path != NULL) {
        murmur_text(murmur, server->path);
        return;
    }
    apr_snprintf(port, sizeof(port), ":%d", server->port);
    murmur_text(murmur, server->host);
    murmur_text(murmur, port);
}

/* Of two with the same hash the one with the greater name, as text. */
static int is_greater(const djs_cache_server_t *a, const djs_cache_server_t *b)
{
    return strcmp(a->name, b->name) > 0;
}

static int choose_rendezvous(const djs_cache_conf_t *conf, const char *key)
{
    apr_uint32_t best = 0;
    int winner = 0;
    int i;

    for (i = 0; i < conf->server_count; i++) {
        murmur_t murmur = { 0, 0, 0 };
        apr_uint32_t score;

        murmur_server(&murmur, &conf->servers[i]);
        murmur_byte(&murmur, '-');
        murmur_text(&murmur, key);
        score = murmur_end(&murmur);
        if (i == 0 || score > best
            || (score == best && is_greater(&conf->servers[i], &conf->servers[winner]))) {
            best = score;
            winner = i;
        }
    }
    return winner;
}

/* ---- pylibmc, python-memcached --------------------------------------------------------------- */

/* As libmemcached has it: a byte over 127 counts as negative. */
static apr_uint32_t one_at_a_time(const char *key)
{
    apr_uint32_t hash = 0;

    for (; *key != '\0'; key++) {
        hash += (apr_uint32_t)(signed char)*key;
        hash += hash << 10;
        hash ^= hash >> 6;
    }
    hash += hash << 3;
    hash ^= hash >> 11;
    return hash + (hash << 15);
}

static apr_uint32_t crc(const char *key)
{
    uLong sum = crc32(crc32(0, NULL, 0), (const Bytef *)key, (uInt)strlen(key));
    apr_uint32_t hash = (apr_uint32_t)(sum >> 16) & 0x7fff;

    return hash != 0 ? hash : 1;
}

int djs_memcached_server_of(const djs_cache_conf_t *conf, const char *key)
{
    apr_uint32_t count = (apr_uint32_t)conf->server_count;

    if (count == 1) {
        return 0;
    }
    switch (conf->format) {
    case DJS_CACHE_PYLIBMC:
        return (int)(one_at_a_time(key) % count);
    case DJS_CACHE_PYTHON_MEMCACHED:
        return (int)(crc(key) % count);
    default:
        return choose_rendezvous(conf, key);
    }
}

/* ---- Values ---------------------------------------------------------------------------------- */

/* The flags of all three; higher bits mean nothing to them. */
#define FLAG_ZLIB  8u
#define FLAGS_MASK 31u /* pickle 1, integer 2, long 4, zlib 8, text 16 */

djs_bytes_t djs_memcached_read(djs_ctx_t *ctx, djs_cache_format_t format, apr_uint32_t flags,
                               djs_bytes_t stored)
{
    djs_ctx_t aside = { .pool = ctx->pool };
    djs_bytes_t pickle = djs_bytes_of("", 0);

    flags &= FLAGS_MASK;
    if (flags == DJS_MEMCACHED_PICKLE) {
        return stored;
    }
    if (flags == (DJS_MEMCACHED_PICKLE | FLAG_ZLIB) && format != DJS_CACHE_PYMEMCACHE
        && djs_inflate(&aside, stored, DJS_INFLATE_MAX, &pickle) == APR_SUCCESS) {
        return pickle;
    }
    return djs_bytes_of("", 0);
}

apr_int64_t djs_memcached_exptime(apr_int64_t life, apr_int64_t now)
{
    static const apr_int64_t thirty_days = 30 * 86400;

    if (life <= 0) {
        return -1;
    }
    return life > thirty_days ? now + life : life;
}
