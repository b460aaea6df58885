/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often may something be tried? Counts in a cache, by name.
 *
 * A count begins with the first try and is over when its span is; tries that were refused do not
 * prolong it. It is counted before the try is made, so that many at once are not more than allowed.
 * What the cache has no room for is forgotten: then a count begins anew.
 */
#ifndef DJS_THROTTLE_H
#define DJS_THROTTLE_H

#include "../core/settings.h"
#include "cache.h"

/**
 * Count a try.
 *
 * @param rate  a count of 0: nothing is counted, all is allowed
 * @param wait  how long until the next is allowed, when this is not
 * @return APR_SUCCESS: go on; DJS_ELIMIT: too many; DJS_ESTORE: it could not be counted
 */
apr_status_t djs_throttle_take(djs_ctx_t *ctx, djs_cache_t *cache, const char *name,
                               const djs_rate_t *rate, apr_interval_time_t *wait) DJS_MUST_CHECK;

/**
 * Would a try be too many? Nothing is counted.
 *
 * @param tries  how many there were
 * @param wait   as above; as are the outcomes
 */
apr_status_t djs_throttle_look(djs_ctx_t *ctx, djs_cache_t *cache, const char *name,
                               const djs_rate_t *rate, apr_int64_t *tries,
                               apr_interval_time_t *wait) DJS_MUST_CHECK;

/** That try is not to count. */
void djs_throttle_give_back(djs_ctx_t *ctx, djs_cache_t *cache, const char *name,
                            const djs_rate_t *rate);

/** No try is to count. */
void djs_throttle_clear(djs_ctx_t *ctx, djs_cache_t *cache, const char *name);

#endif
