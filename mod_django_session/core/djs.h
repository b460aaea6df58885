/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabulary of the core: what a call gets, byte ranges, status codes, the first failure.
 *
 * Nearly every function of core and store takes a djs_ctx_t first. It carries what differs from
 * call to call: the pool where results live, the time that counts as now, how long the store may
 * still be waited for, and, after a failure, the sentence that tells a person what happened.
 *
 * The core opens no file or socket, starts no thread and reads no clock; its host fills in
 * ctx->now. Chance comes from djs_random() in secret.h alone.
 */
#ifndef DJS_H
#define DJS_H

#include <string.h>

#include <apr_pools.h>
#include <apr_strings.h>
#include <apr_time.h>
#include <apr_errno.h>

#define DJS_MUST_CHECK __attribute__((warn_unused_result))
#define DJS_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/*
 * Outcomes that callers tell apart, beside APR_SUCCESS, APR_NOTFOUND (there is none) and
 * APR_EEXIST (taken).
 */
#define DJS_ERROR_START (APR_OS_START_USERERR + 5100)
#define DJS_EBADSIG     (DJS_ERROR_START + 1)  /* no key of ours made this signature */
#define DJS_EEXPIRED    (DJS_ERROR_START + 2)  /* genuine, but too old */
#define DJS_EFORMAT     (DJS_ERROR_START + 3)  /* not in the format that it should have */
#define DJS_ELIMIT      (DJS_ERROR_START + 4)  /* larger or deeper than we accept */
#define DJS_ECONFLICT   (DJS_ERROR_START + 5)  /* somebody else changed it since it was read */
#define DJS_ESTORE      (DJS_ERROR_START + 6)  /* the store did not answer, or not in time */
#define DJS_EUNSUPPORTED (DJS_ERROR_START + 7) /* well-formed, but not something that we handle */
#define DJS_EINVAL      (DJS_ERROR_START + 8)  /* the caller's or the application's mistake */
#define DJS_EINTERRUPTED (DJS_ERROR_START + 9) /* the session was deleted meanwhile: Django's
                                                  SessionInterrupted, HTTP 400 */

/** Bytes that may hold NUL; not owned. data may be NULL only when len is 0. */
typedef struct djs_bytes_t {
    const char *data;
    apr_size_t len;
} djs_bytes_t;

/** What a host lends to core and store. Any member may be NULL. */
typedef struct djs_host_t {
    /** One line of what was decided, for the host's debug log; never a secret. */
    void (*trace)(void *baton, const char *line);
    /** Something has failed that the call can do without; for the log, seldom. Never a secret. */
    void (*warn)(void *baton, const char *line);
    /** Something has happened that an administrator should hear of, and which by itself is told
        seldom, so that no other warning may keep it back. NULL: it is warned of. Never a secret. */
    void (*notify)(void *baton, const char *line);
    /** Long work goes on: how many it has done with so far. */
    void (*progress)(void *baton, apr_size_t done);
} djs_host_t;

typedef struct djs_memo_t djs_memo_t;               /* memo.h */
typedef struct djs_compressors_t djs_compressors_t; /* deflate.h */

/** One call, or the calls of one request. Not shared between threads. */
typedef struct djs_ctx_t {
    apr_pool_t *pool;             /* where results live */
    apr_time_t now;               /* what counts as now, microseconds since 1970 UTC */
    apr_interval_time_t patience; /* how long store calls may still wait, all together;
                                     the store takes from it what it used */
    const char *problem;          /* NULL, or the first failure as a sentence, no secrets */
    const djs_host_t *host;       /* NULL: none */
    void *baton;                  /* the host's, given back to its functions */
    djs_memo_t *memo;             /* NULL, or what is remembered for this client */
    djs_compressors_t *compressors; /* NULL, or what the threads of this process share */
} djs_ctx_t;

/**
 * Note what failed, unless an earlier failure is noted already, and give back @a status, so that
 * callers write `return djs_fail(ctx, DJS_ELIMIT, "…", …)`. The sentence names the thing, its
 * value where that is no secret, and what would be right.
 */
apr_status_t djs_fail(djs_ctx_t *ctx, apr_status_t status, const char *format, ...)
    DJS_PRINTF(3, 4);

/** Forget the noted failure: the caller has dealt with it and goes on. */
void djs_forget(djs_ctx_t *ctx);

/** Tell the host's debug log what was decided; costs nothing when nobody listens. */
void djs_trace(djs_ctx_t *ctx, const char *format, ...) DJS_PRINTF(2, 3);

/** Tell the host of a failure that the call gets over, so that somebody hears of it. */
void djs_warn(djs_ctx_t *ctx, const char *format, ...) DJS_PRINTF(2, 3);

/** Tell the host what no other warning may keep back: the caller sees to it that this is seldom. */
void djs_notify(djs_ctx_t *ctx, const char *format, ...) DJS_PRINTF(2, 3);

/** Tell the host how far long work is: how many it has done with so far. */
void djs_progress(djs_ctx_t *ctx, apr_size_t done);

/** A range, borrowed. */
static inline djs_bytes_t djs_bytes_of(const char *data, apr_size_t len)
{
    djs_bytes_t bytes = { data, len };

    return bytes;
}

/** The bytes of a text, borrowed. NULL gives the empty range. */
static inline djs_bytes_t djs_bytes(const char *text)
{
    return djs_bytes_of(text, text != NULL ? strlen(text) : 0);
}

/** A copy in @a pool with a NUL behind it, which len does not count. */
djs_bytes_t djs_bytes_copy(apr_pool_t *pool, djs_bytes_t bytes);

/** Equal length and content. Not for secrets: djs_secret_equal() is. */
static inline int djs_bytes_equal(djs_bytes_t a, djs_bytes_t b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/** Equal to a text. */
static inline int djs_bytes_is(djs_bytes_t a, const char *text)
{
    return djs_bytes_equal(a, djs_bytes(text));
}

/** The name of one of the status codes above or of APR's, for messages and tests. */
const char *djs_status_name(apr_status_t status);

#endif
