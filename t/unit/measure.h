/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much memory something takes, for what promises a bound: counted by the allocator, so that
 * nothing escapes.
 */
#ifndef MEASURE_H
#define MEASURE_H

#include "djs.h"
#include "value.h"

/** What is measured; ctx->pool is its own and goes behind it. */
typedef void (*measured_fn)(djs_ctx_t *ctx, djs_bytes_t bytes, void *baton);

/**
 * Bytes that @a run has taken for its pool and those below, also those that were given back: a pool
 * keeps what it had until the end.
 */
apr_size_t measure_memory(measured_fn run, djs_bytes_t bytes, void *baton);

/** Look into all of a value, as deep as it is: what was lazy is made. */
void look_everywhere(const djs_value_t *value);

/** Look into some of it; what, and in which order, follows from @a chance, which goes on. */
void look_around(const djs_value_t *value, apr_uint32_t *chance);

#endif
