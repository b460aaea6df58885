/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a session in a store: signing, serializer and framing in two functions.
 *
 * A wire says how one engine's records look. Reading accepts the layout of every Django (the one
 * before 3.1 too); writing makes the current one.
 */
#ifndef DJS_WIRE_H
#define DJS_WIRE_H

#include "signing.h"
#include "value.h"

/** Salts of django.contrib.sessions, without the "signer" that Signer adds. */
#define DJS_SALT_SESSION_STORE  "django.contrib.sessions.SessionStore"
#define DJS_SALT_LEGACY_STORE   "django.contrib.sessionsSessionStore"

typedef enum djs_wire_layout_t {
    DJS_WIRE_SIGNED, /* signing.dumps, compressed: rows and files, Django 3.1 and later */
    DJS_WIRE_LEGACY, /* base64 of hex HMAC-SHA1 ":" data: before Django 3.1 */
    DJS_WIRE_JSON    /* the serialized text itself */
} djs_wire_layout_t;

typedef struct djs_wire_t djs_wire_t;

/**
 * How sessions of one site are written and read. Made once, immutable, any thread. @a keys must
 * live as long as @a pool.
 *
 * @param layout  how it writes. DJS_WIRE_SIGNED reads SIGNED and LEGACY; the others read only
 *                themselves
 * @param salt    of signed texts; NULL for DJS_SALT_SESSION_STORE. The legacy layout's salt follows
 *                from it when it is one of Django's, and is else DJS_SALT_LEGACY_STORE
 */
djs_wire_t *djs_wire_make(apr_pool_t *pool, const djs_keyring_t *keys, djs_wire_layout_t layout,
                          const char *salt);

/**
 * Stored bytes → the session's dictionary (or, from a genuine text, whatever JSON it holds: a
 * caller that needs a dictionary looks at its type). @a stored must live as long as ctx->pool.
 *
 * @param key_index  NULL, or gets which key verified it (0: the secret key; -1: this layout has no
 *                   signature)
 * @param layout     NULL, or gets the layout that it was in
 * @return APR_SUCCESS; DJS_EBADSIG; DJS_EFORMAT (genuine, but undecodable); DJS_ELIMIT
 */
apr_status_t djs_wire_read(djs_ctx_t *ctx, const djs_wire_t *wire, djs_bytes_t stored,
                           djs_value_t **value, int *key_index, djs_wire_layout_t *layout)
    DJS_MUST_CHECK;

/**
 * The session's dictionary → bytes to store, in ctx->pool. DJS_EUNSUPPORTED: it has a value that the
 * layout's serializer cannot keep.
 */
apr_status_t djs_wire_write(djs_ctx_t *ctx, const djs_wire_t *wire, const djs_value_t *value,
                            djs_bytes_t *stored) DJS_MUST_CHECK;

#endif
