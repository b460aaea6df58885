/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was worked out for one request, kept for the next of the same client.
 *
 * A browser fetches a page and its thirty pictures over one connection and shows the same session
 * each time: the store gives the same bytes, whose signature need not be verified and whose text need
 * not be unpacked thirty times. Only functions of bytes (and of keys, which do not change) are kept,
 * so what is found here is what would be computed; nothing here decides whether a session is there,
 * live, or whose it is.
 *
 * A memo belongs to who serves one client: a connection, whose streams may be served by many
 * threads at once (HTTP/2). Nobody waits for another: who finds it in use works things out himself.
 * It is small: the few results that were used last, none above DJS_MEMO_MAX bytes. What it holds is
 * secret: it is wiped when it is replaced and with its pool.
 */
#ifndef DJS_MEMO_H
#define DJS_MEMO_H

#include "djs.h"

/** Input and result together; larger ones are not kept. */
#define DJS_MEMO_MAX 8192

/** An empty memo that lives as long as @a pool. Any thread may use it. */
djs_memo_t *djs_memo_make(apr_pool_t *pool);

/**
 * Was this worked out before? Inputs are compared in constant time.
 *
 * @param by      who works it out, by address: a signer, a keyring. Lives as long as the memo
 * @param from    what it is worked out from
 * @param to      gets a copy of the result in ctx->pool, with a NUL behind it
 * @param detail  gets the number noted with it
 * @return 1, or 0: it was not, or ctx has no memo
 */
int djs_memo_find(djs_ctx_t *ctx, const void *by, djs_bytes_t from, djs_bytes_t *to, int *detail);

/**
 * Keep a result; what was not used for the longest time makes room. Without a memo nothing happens.
 */
void djs_memo_note(djs_ctx_t *ctx, const void *by, djs_bytes_t from, djs_bytes_t to, int detail);

#endif
