/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as the vectors' `tagged` text (t/vectors/README.md), which tells all of Python's types apart.
 */
#ifndef TAGGED_H
#define TAGGED_H

#include "support.h"
#include "value.h"

/** As text; what the vectors leave out (zones' names inside of times, safety of UUIDs) is not there. */
const char *tagged_text(apr_pool_t *pool, const djs_value_t *value);

/** The bytes of a pickle of the vectors: `pickle_hex`, or `pickle_zlib_base64` for long ones. */
djs_bytes_t tagged_pickle(djs_ctx_t *ctx, const json_t *a_case);

#endif
