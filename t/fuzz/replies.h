/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the targets of caches on servers share: one operation on a cache behind a peer (peer.h), with
 * what must hold whatever the server says.
 */
#ifndef REPLIES_H
#define REPLIES_H

#include "caches.h"
#include "fuzz.h"
#include "peer.h"

/** What is asked for, stored and kept secret: in no message. */
#define FUZZ_PREFIX "fuzz:1:django.contrib.sessions.cache"
#define FUZZ_KEY    FUZZ_PREFIX "0123456789abcdefghijklmnopqrstuv"
#define FUZZ_SEEN   "seen by us"
#define FUZZ_VALUE  "of our own"
#define FUZZ_PASSWORD "hunter2-of-the-fuzzer"

/** Operations: those of cache.h, and a visit to a session in it. */
#define FUZZ_OPERATIONS 9

/** Is it one that may store something? Deleting is not. */
int fuzz_stores(int operation);

/**
 * Open a cache and do one of FUZZ_OPERATIONS, then read the key.
 *
 * @param argv    of DjangoSessionCache, with PEER_PATH; up to a NULL
 * @param script  of the peer
 * @param filter  of the peer; NULL: none
 * @param layout  what values are read as
 * @param life    of what is written
 * @param nothing in these words, up to a NULL, the server says that a key is not there: a miss has one
 */
void fuzz_cache(djs_ctx_t *ctx, const char *const *argv, djs_bytes_t script,
                peer_filter_fn filter, int operation, djs_wire_layout_t layout, apr_int64_t life,
                const char *const *nothing);

#endif
