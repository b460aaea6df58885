/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Python's pickles, as far as sessions need them (interface section 7): what Django's cache engines
 * store, and sites with a PickleSerializer.
 *
 * A pickle is a program for a small stack machine. The reader here runs the part of its language that
 * makes plain values and nothing else: a callable is never called, only recognised by its name. What
 * values refer to several times is one node in the tree, and is written as one again.
 *
 * Of a pickle that is nothing but None, bools, numbers, texts, bytes, lists, tuples, dicts, dates and
 * times, and Decimals, nodes are made when somebody asks for them, as of JSON. One with anything else in
 * it (sets, UUIDs, integers of more than 64 bits, keys that are tuples or dates, what protocol 0 writes)
 * is made as a whole.
 */
#ifndef DJS_PICKLE_H
#define DJS_PICKLE_H

#include "value.h"

/** What Python 3.8 and later write by default in Django's clients; older ones read it from 3.4 on. */
#define DJS_PICKLE_PROTOCOL 4
#define DJS_PICKLE_PROTOCOL_MAX 5

/** Longest pickle that is read, bytes. */
#define DJS_PICKLE_MAX (16 * 1024 * 1024)
/** Nesting that is read. */
#define DJS_PICKLE_DEPTH_MAX 900
/**
 * Largest value that is read, counted as if nothing were shared: one for each value in it, and one
 * more for every 32 bytes that it has.
 */
#define DJS_PICKLE_VALUES_MAX 1000000
/**
 * Bytes of memory that reading a pickle and looking into all of it takes for each of its bytes, at most,
 * beside a fixed amount.
 */
#define DJS_PICKLE_MEMORY_FACTOR 256
#define DJS_PICKLE_MEMORY_BASE (512 * 1024)

/**
 * Pickle → value. Protocols 0 to 5. Bytes after STOP are ignored, as Python does. All of it is checked
 * now. @a pickle must live as long as ctx->pool.
 *
 * Time and memory grow with the length of the pickle and nothing else: however often it refers to
 * what it has, wherever it puts that, whatever lengths it tells. The recursion of what walks the value
 * is bounded by DJS_PICKLE_DEPTH_MAX.
 *
 * @return DJS_EFORMAT: no pickle, or cut off, or of values that no Python has; DJS_EUNSUPPORTED: a
 *         type outside of the safe subset (the problem has its name), or a value that contains itself;
 *         DJS_ELIMIT: too deep, too many values, too large
 */
apr_status_t djs_pickle_loads(djs_ctx_t *ctx, djs_bytes_t pickle, djs_value_t **value)
    DJS_MUST_CHECK;

/**
 * Value → pickle of a protocol from 2 to 5, which Python reads back equal, types and order too. The
 * same value gives the same bytes. DJS_EINVAL: another protocol.
 */
apr_status_t djs_pickle_dumps(djs_ctx_t *ctx, int protocol, const djs_value_t *value,
                              djs_bytes_t *pickle) DJS_MUST_CHECK;

#endif
