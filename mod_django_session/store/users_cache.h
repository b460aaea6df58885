/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What users are remembered in (core/remember.h): any cache, for which shared memory is the one.
 */
#ifndef DJS_USERS_CACHE_H
#define DJS_USERS_CACHE_H

#include "../core/remember.h"
#include "cache.h"

/** @a cache must live as long as @a pool. */
const djs_shared_t *djs_users_cache_make(apr_pool_t *pool, djs_cache_t *cache);

#endif
