/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Python's pickles, as far as sessions need them (interface section 7): what Django's cache engines
 * store, and sites with a PickleSerializer.
 *
 * A pickle is a program for a small stack machine. The reader here runs the part of its language that
 * makes plain values and nothing else: a callable is never called, only recognised by its name.
 */
#ifndef DJS_PICKLE_H
#define DJS_PICKLE_H

#include "value.h"

/** What Python 3.8 and later write by default in Django's clients; older ones read it from 3.4 on. */
#define DJS_PICKLE_PROTOCOL 4
#define DJS_PICKLE_PROTOCOL_MAX 5

/**
 * Pickle → value, in ctx->pool. Protocols 0 to 5. Bytes after STOP are ignored, as Python does.
 * Memory is bounded by a fixed multiple of the input's length, which the tests measure.
 *
 * @return DJS_EFORMAT: no pickle, or cut off; DJS_EUNSUPPORTED: a type outside of the safe subset (the
 *         problem has its name); DJS_ELIMIT: too deep, too many values, too large
 */
apr_status_t djs_pickle_loads(djs_ctx_t *ctx, djs_bytes_t pickle, djs_value_t **value)
    DJS_MUST_CHECK;

/** Value → pickle of a protocol from 2 to 5, which Python reads back equal, types and order too. */
apr_status_t djs_pickle_dumps(djs_ctx_t *ctx, int protocol, const djs_value_t *value,
                              djs_bytes_t *pickle) DJS_MUST_CHECK;

#endif
