/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a session in a store: signing, serializer and framing in two functions.
 *
 * A wire says how one engine's records look: a layout, and what serializes the session inside.
 * Reading accepts the layout of every Django (the one before 3.1 too); writing makes the current
 * one. What another serializer wrote is no session: refused as undecodable, as Django does.
 *
 *     layout              what is stored                                       serializer
 *     SIGNED              rows and files: signing.dumps(), compressed          json or pickle
 *     LEGACY              the same before Django 3.1                           json or pickle
 *     COOKIE              signed_cookies: signing.dumps(), compressed          json or pickle
 *     SEALED              encrypted_cookies (seal.h), bound to a cookie        json or pickle
 *     JSON                what the serializer wrote, and nothing around it     json
 *     DJANGO_REDIS_JSON   the same with spaces behind commas and colons;       json
 *                         read compressed, too (djs_unpack()), written plain
 *     PICKLE              memcached, Django's Redis: the pickle, nothing else  pickle
 *     DJANGO_REDIS        the same; read compressed, too, written plain        pickle
 */
#ifndef DJS_WIRE_H
#define DJS_WIRE_H

#include "signing.h"
#include "value.h"

/** Salts of django.contrib.sessions, without the "signer" that Signer adds. */
#define DJS_SALT_SESSION_STORE  "django.contrib.sessions.SessionStore"
#define DJS_SALT_LEGACY_STORE   "django.contrib.sessionsSessionStore"
#define DJS_SALT_SIGNED_COOKIES "django.contrib.sessions.backends.signed_cookies"

/**
 * Bytes of memory that reading takes, at most, for each byte that is stored and for each byte inside,
 * unpacked (of which there are DJS_INFLATE_MAX at most), beside a fixed amount. A pickle or JSON of
 * some length costs what pickle.h and json.h say; this has room for unpacking it, too.
 */
#define DJS_WIRE_MEMORY_FACTOR 264
#define DJS_WIRE_MEMORY_BASE (1024 * 1024)

typedef enum djs_wire_layout_t {
    DJS_WIRE_SIGNED,
    DJS_WIRE_LEGACY,
    DJS_WIRE_COOKIE,
    DJS_WIRE_SEALED,
    DJS_WIRE_JSON,
    DJS_WIRE_DJANGO_REDIS_JSON,
    DJS_WIRE_PICKLE,
    DJS_WIRE_DJANGO_REDIS
} djs_wire_layout_t;

typedef struct djs_wire_t djs_wire_t;

/**
 * How sessions of one site are written and read. Made once, immutable, any thread. @a keys must
 * live as long as @a pool, and that as long as any ctx->memo; layouts without a signature need none.
 *
 * @param layout  how it writes. DJS_WIRE_SIGNED reads SIGNED and LEGACY; the others read only
 *                themselves
 * @param salt    of signed texts; NULL for that of the layout. The legacy layout's salt follows from
 *                it when it is one of Django's, and is else DJS_SALT_LEGACY_STORE
 */
djs_wire_t *djs_wire_make(apr_pool_t *pool, const djs_keyring_t *keys, djs_wire_layout_t layout,
                          const char *salt);

/**
 * The same for a site whose SESSION_SERIALIZER is a PickleSerializer: SIGNED, LEGACY, COOKIE and
 * SEALED texts with a pickle inside. The other layouts are what they are.
 */
djs_wire_t *djs_wire_make_pickled(apr_pool_t *pool, const djs_keyring_t *keys,
                                  djs_wire_layout_t layout, const char *salt);

/**
 * The same wire for the texts of one cookie: what DJS_WIRE_SEALED binds them to. Other layouts do
 * not care. Shares everything with @a wire; @a cookie is borrowed.
 */
const djs_wire_t *djs_wire_for(apr_pool_t *pool, const djs_wire_t *wire, const char *cookie);

/** What stored bytes tell beside the session. */
typedef struct djs_wire_facts_t {
    djs_wire_layout_t layout; /* that they were in */
    int key_index;            /* which key verified it: 0 the secret key, 1 the first fallback; -1:
                                 no key did, or this layout has no signature */
    apr_time_t written;       /* when, in whole seconds; 0: this layout does not tell */
} djs_wire_facts_t;

/**
 * Stored bytes → the session's dictionary (or, from a genuine text, whatever it holds: a caller that
 * needs a dictionary looks at its type). @a stored must live as long as ctx->pool.
 *
 * @param value  untouched on failure
 * @param facts  NULL, or gets what is known: of a genuine text that cannot be decoded also key and
 *               time
 * @return APR_SUCCESS; DJS_EBADSIG; DJS_EFORMAT (genuine, but undecodable); DJS_EUNSUPPORTED (a
 *         pickle of what is no plain value); DJS_ELIMIT
 */
apr_status_t djs_wire_inspect(djs_ctx_t *ctx, const djs_wire_t *wire, djs_bytes_t stored,
                              djs_value_t **value, djs_wire_facts_t *facts) DJS_MUST_CHECK;

/**
 * The session's dictionary → bytes to store, in ctx->pool. DJS_EUNSUPPORTED: it has a value that the
 * layout's serializer cannot keep.
 */
apr_status_t djs_wire_write(djs_ctx_t *ctx, const djs_wire_t *wire, const djs_value_t *value,
                            djs_bytes_t *stored) DJS_MUST_CHECK;

#endif
