/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Session records in a DBM file (apr_dbm), for one host.
 *
 * An example of an engine that does all that djs_engine.h asks for, in the least code; for a site
 * with much to do it is too slow, and a machine that fails while it writes may spoil the file.
 */
#ifndef ENGINE_DBM_H
#define ENGINE_DBM_H

#include "djs_engine.h"

/**
 * An engine on the file @a path of apr_dbm's @a type ("DB", "GDBM"); SDBM has no room for sessions.
 * Touches no file yet. @a path and @a type must live as long as @a pool.
 */
djs_engine_t *engine_dbm_make(apr_pool_t *pool, const char *type, const char *path);

/** This process begins to use it: opens path.lock, until @a pool is cleaned. */
apr_status_t engine_dbm_begin(djs_ctx_t *ctx, apr_pool_t *pool, djs_engine_t *engine);

#endif
