/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to a Redis server: commands there, replies back, within a time. What the replies
 * mean is its callers' business (cache_redis.c).
 *
 * hiredis writes and parses the protocol (RESP 2) and, where it was built with it, does TLS. Waiting
 * is done here, so that a deadline holds for a conversation and not for each of its reads; so is the
 * making of replies, so that what a server may have us allocate is bounded.
 */
#ifndef DJS_REDIS_H
#define DJS_REDIS_H

#include "../core/djs.h"

/** The largest string in a command. Whole replies may be a little larger. */
#define DJS_REDIS_VALUE_MAX (16 * 1024 * 1024)
/** What all replies of one pipeline may take, in memory and on the wire. */
#define DJS_REDIS_REPLIES_MAX (DJS_REDIS_VALUE_MAX + 1024 * 1024)

/** Arguments of one command, its name included. */
#define DJS_REDIS_ARGS_MAX 12

/** Where a server is and who we are there. Must live as long as its connections. */
typedef struct djs_redis_where_t {
    const char *name;     /* for messages: "127.0.0.1:6379", no credentials */
    const char *host;     /* a name or an address; NULL: path */
    int port;
    const char *path;     /* of a unix socket */
    const char *user;     /* NULL: the server's default user */
    const char *password; /* NULL: no AUTH */
    int database;         /* SELECT, when not 0 */
    void *tls;            /* by djs_redis_tls_make; NULL: none */
} djs_redis_where_t;

/** A command: words are added to an empty ({ 0 }) one. The words are borrowed. */
typedef struct djs_redis_command_t {
    int count;
    const char *words[DJS_REDIS_ARGS_MAX];
    apr_size_t lens[DJS_REDIS_ARGS_MAX];
} djs_redis_command_t;

typedef enum djs_redis_type_t {
    DJS_REDIS_NIL,
    DJS_REDIS_STATUS,  /* text: "OK" */
    DJS_REDIS_ERROR,   /* text: "WRONGTYPE Operation against …". May quote keys: not for messages */
    DJS_REDIS_INTEGER,
    DJS_REDIS_STRING,
    DJS_REDIS_ARRAY,
    DJS_REDIS_OTHER    /* of a newer protocol; never asked for */
} djs_redis_type_t;

typedef struct djs_redis_reply_t {
    djs_redis_type_t type;
    apr_int64_t integer;
    djs_bytes_t text;                   /* with a NUL behind it, which len does not count */
    struct djs_redis_reply_t **members; /* of an array; none is NULL once the reply is complete */
    apr_size_t count;
} djs_redis_reply_t;

/** How a conversation went. After anything but ANSWERED the connection is of no use any more. */
typedef enum djs_redis_outcome_t {
    DJS_REDIS_ANSWERED, /* every command has its reply; some may be errors */
    DJS_REDIS_UNSENT,   /* the connection broke before the last command was sent: it was not run */
    DJS_REDIS_LOST,     /* the connection broke later: who knows */
    DJS_REDIS_LATE,     /* no reply within the time: who knows */
    DJS_REDIS_GARBLED   /* what came is not Redis's protocol, or more than we take: who knows */
} djs_redis_outcome_t;

typedef struct djs_redis_t djs_redis_t;

/** Can this build speak TLS? */
int djs_redis_has_tls(void);

/**
 * What TLS connections share: the system's trusted authorities, and the name that the server's
 * certificate must have. Freed with @a pool.
 * DJS_EINVAL: not in this build (hiredis has no TLS), or it could not be set up.
 */
apr_status_t djs_redis_tls_make(djs_ctx_t *ctx, apr_pool_t *pool, const char *host, void **tls)
    DJS_MUST_CHECK;

/**
 * Connect, AUTH and SELECT, within @a within (a host's name is resolved by the system, which has
 * times of its own). NULL: not possible; ctx->problem says why, without credentials.
 */
djs_redis_t *djs_redis_open(djs_ctx_t *ctx, const djs_redis_where_t *where,
                            apr_interval_time_t within);

void djs_redis_close(djs_redis_t *redis);

/**
 * Is it worth trying? No: the server has closed it, or said what it was not asked. Does not wait.
 */
int djs_redis_is_quiet(const djs_redis_t *redis);

void djs_redis_add(djs_redis_command_t *command, djs_bytes_t word);
void djs_redis_add_text(djs_redis_command_t *command, const char *word);
/** A command of these texts; ends with NULL. */
djs_redis_command_t djs_redis_command(const char *word, ...) __attribute__((sentinel));

/**
 * Send commands at once and wait for their replies, for @a within at most, and no longer than
 * ctx->patience, from which it takes what it used. Never raises SIGPIPE.
 *
 * @param replies  gets @a count replies, in ctx->pool; complete only after ANSWERED
 */
djs_redis_outcome_t djs_redis_ask(djs_ctx_t *ctx, djs_redis_t *redis,
                                  apr_interval_time_t within,
                                  const djs_redis_command_t *commands, int count,
                                  djs_redis_reply_t **replies);

/** Is it an error reply with this first word ("NOAUTH")? */
int djs_redis_is_error(const djs_redis_reply_t *reply, const char *code);

/** Is it the status "OK"? */
int djs_redis_is_ok(const djs_redis_reply_t *reply);

/** An error reply in our words, which quote nothing: "is a read-only replica: …". In @a pool. */
const char *djs_redis_explain(apr_pool_t *pool, const djs_redis_reply_t *reply);

#endif
