/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See throttle.h. A count is the text "TRIES END", END being the Unix second in which it is over.
 */
#include "throttle.h"

#include <stdlib.h>

/* Whoever meets so many others in between is not served anyway. */
#define TRIES_MAX 100

typedef struct count_t {
    apr_int64_t tries;
    apr_int64_t end; /* Unix seconds */
} count_t;

static djs_bytes_t write_count(djs_ctx_t *ctx, const count_t *count)
{
    return djs_bytes(apr_psprintf(ctx->pool, "%" APR_INT64_T_FMT " %" APR_INT64_T_FMT, count->tries,
                                  count->end));
}

static count_t read_count(djs_ctx_t *ctx, djs_bytes_t text)
{
    const char *copy = apr_pstrmemdup(ctx->pool, text.data, text.len);
    char *rest;
    count_t count;

    count.tries = apr_strtoi64(copy, &rest, 10);
    count.end = apr_strtoi64(rest, NULL, 10);
    return count;
}

/* The count as it is now; APR_NOTFOUND: there is none yet, and *count begins. */
static apr_status_t find(djs_ctx_t *ctx, djs_cache_t *cache, const char *name,
                         const djs_rate_t *rate, djs_bytes_t *seen, count_t *count)
{
    apr_int64_t now = apr_time_sec(ctx->now);
    apr_time_t expires;
    apr_status_t rv = cache->ops->get(cache, ctx, name, seen, &expires);

    if (rv == APR_SUCCESS) {
        *count = read_count(ctx, *seen);
    }
    if (rv == APR_NOTFOUND || (rv == APR_SUCCESS && count->end <= now)) {
        count->tries = 0;
        count->end = now + apr_time_sec(rate->span);
    }
    return rv;
}

/* Add to the count. DJS_ECONFLICT: somebody else did, begin anew. */
static apr_status_t add(djs_ctx_t *ctx, djs_cache_t *cache, const char *name,
                        const djs_rate_t *rate, int tries, count_t *count)
{
    apr_int64_t now = apr_time_sec(ctx->now);
    djs_bytes_t seen;
    apr_status_t rv = find(ctx, cache, name, rate, &seen, count);

    if (rv != APR_SUCCESS && rv != APR_NOTFOUND) {
        return rv;
    }
    if (tries > 0 && count->tries >= rate->count) {
        return DJS_ELIMIT;
    }
    count->tries += tries;
    if (count->tries < 0) {
        return APR_SUCCESS;
    }
    if (rv == APR_NOTFOUND) {
        rv = cache->ops->add(cache, ctx, name, write_count(ctx, count), count->end - now);
        return rv == APR_EEXIST ? DJS_ECONFLICT : rv;
    }
    rv = cache->ops->swap(cache, ctx, name, seen, write_count(ctx, count), count->end - now);
    return rv == APR_NOTFOUND ? DJS_ECONFLICT : rv;
}

static apr_status_t add_surely(djs_ctx_t *ctx, djs_cache_t *cache, const char *name,
                               const djs_rate_t *rate, int tries, count_t *count)
{
    apr_status_t rv = DJS_ECONFLICT;
    int i;

    for (i = 0; rv == DJS_ECONFLICT && i < TRIES_MAX; i++) {
        djs_forget(ctx);
        rv = add(ctx, cache, name, rate, tries, count);
    }
    return rv;
}

/* What to tell of an outcome, and how long to wait. */
static apr_status_t tell(djs_ctx_t *ctx, const djs_rate_t *rate, const count_t *count,
                         apr_status_t rv, apr_interval_time_t *wait)
{
    if (rv == DJS_ELIMIT) {
        *wait = apr_time_from_sec(count->end) - ctx->now;
        return djs_fail(ctx, rv, "more than %" APR_INT64_T_FMT " tries in %" APR_INT64_T_FMT
                                 " seconds",
                        rate->count, (apr_int64_t)apr_time_sec(rate->span));
    }
    return rv == APR_SUCCESS ? rv : djs_fail(ctx, DJS_ESTORE, "a try could not be counted");
}

apr_status_t djs_throttle_take(djs_ctx_t *ctx, djs_cache_t *cache, const char *name,
                               const djs_rate_t *rate, apr_interval_time_t *wait)
{
    count_t count = { 0, 0 };
    apr_status_t rv;

    *wait = 0;
    if (rate->count == 0) {
        return APR_SUCCESS;
    }
    rv = add_surely(ctx, cache, name, rate, 1, &count);
    return tell(ctx, rate, &count, rv, wait);
}

apr_status_t djs_throttle_look(djs_ctx_t *ctx, djs_cache_t *cache, const char *name,
                               const djs_rate_t *rate, apr_int64_t *tries,
                               apr_interval_time_t *wait)
{
    count_t count = { 0, 0 };
    djs_bytes_t unused;
    apr_status_t rv;

    *wait = 0;
    *tries = 0;
    if (rate->count == 0) {
        return APR_SUCCESS;
    }
    rv = find(ctx, cache, name, rate, &unused, &count);
    *tries = count.tries;
    if (rv == APR_SUCCESS && count.tries >= rate->count) {
        rv = DJS_ELIMIT;
    }
    return tell(ctx, rate, &count, rv == APR_NOTFOUND ? APR_SUCCESS : rv, wait);
}

void djs_throttle_give_back(djs_ctx_t *ctx, djs_cache_t *cache, const char *name,
                            const djs_rate_t *rate)
{
    count_t count;
    djs_ctx_t aside = *ctx;

    if (rate->count > 0 && add_surely(&aside, cache, name, rate, -1, &count) != APR_SUCCESS) {
        djs_trace(ctx, "a try that went well still counts");
    }
}

void djs_throttle_clear(djs_ctx_t *ctx, djs_cache_t *cache, const char *name)
{
    djs_ctx_t aside = *ctx;

    if (cache->ops->remove(cache, &aside, name) != APR_SUCCESS) {
        djs_trace(ctx, "tries that went well still count");
    }
}
