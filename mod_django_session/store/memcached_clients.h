/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Django's clients of memcached agree on with themselves, and so we with them: which of several
 * servers has a key, which keys are allowed, what flags say of a value, and how a life is told.
 */
#ifndef DJS_MEMCACHED_CLIENTS_H
#define DJS_MEMCACHED_CLIENTS_H

#include "../core/cache_url.h"

/** What is written: a pickle, not compressed. */
#define DJS_MEMCACHED_PICKLE 1u

/** memcached's own limit, in bytes; Django's is the same number of characters. */
#define DJS_MEMCACHED_KEY_MAX 250

/** Is this a key that Django, and memcached, take? No spaces, no control characters. */
int djs_memcached_key_is_valid(const char *key);

/**
 * The position in conf->servers of the server that has @a key, as conf->format's client chooses it
 * with the options that Django gives it while all servers are up:
 *
 *     pymemcache        the server with the highest MurmurHash3 of "NAME-KEY" (rendezvous hashing),
 *                       NAME being "HOST:PORT" as written, or the socket's path
 *     pylibmc           Jenkins's one-at-a-time hash of the key, modulo the number of servers
 *     python-memcached  15 bits of the key's CRC-32, 1 instead of 0, modulo the number of servers
 */
int djs_memcached_server_of(const djs_cache_conf_t *conf, const char *key);

/**
 * A value as memcached has it → the pickle inside, in ctx->pool. What no client would read as a pickle
 * of a session (text, numbers, bytes, pickles compressed where the client cannot unpack them) gives
 * the empty range, which is no pickle either.
 */
djs_bytes_t djs_memcached_read(djs_ctx_t *ctx, djs_cache_format_t format, apr_uint32_t flags,
                               djs_bytes_t stored);

/**
 * The life in seconds as memcached takes it: from 30 days on an instant, and never 0, which would be
 * for ever. @a now in seconds.
 */
apr_int64_t djs_memcached_exptime(apr_int64_t life, apr_int64_t now);

#endif
