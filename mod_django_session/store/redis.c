/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See redis.h. hiredis's context owns the socket and the buffers. It is used without blocking from
 * the first moment; what hiredis would do to wait is done by poll() here.
 *
 * hiredis sends by write(), which raises SIGPIPE on a closed connection. The server ignores that
 * signal, djsession and tests need not. So what hiredis has made of a command is sent here, without
 * a signal. Only TLS must go through hiredis: then the signal is blocked while it writes, and taken
 * off when it came, which takes four system calls.
 */
#include "redis.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <apr_network_io.h>
#include <hiredis/hiredis.h>
#ifdef DJS_HIREDIS_TLS
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#endif

/* Errors' first words are short. */
#define CODE_MAX 20
/* Strings have their length before them; all else comes in lines. */
#define REPLY_LINE_MAX (64 * 1024)
/* More comes at once: worth waiting for with a packet. */
#ifndef MSG_MORE
#define MSG_MORE 0
#endif
/* Only what is there already: no waiting. */
#define AT_ONCE ((apr_time_t)0)

/* What the replies of one conversation are made of, and may still take. */
typedef struct making_t {
    apr_pool_t *pool;
    apr_size_t budget;
} making_t;

struct djs_redis_t {
    redisContext *hi;
    int tls;
    int more;     /* what was read last may not have been all */
    int finished; /* it was answered, but has no future */
    making_t making;
};

/* ---- Replies, made in a pool ----------------------------------------------------------------- */

static djs_redis_type_t type_of(int type)
{
    static const djs_redis_type_t types[] = {
        [REDIS_REPLY_STRING] = DJS_REDIS_STRING, [REDIS_REPLY_ARRAY] = DJS_REDIS_ARRAY,
        [REDIS_REPLY_INTEGER] = DJS_REDIS_INTEGER, [REDIS_REPLY_NIL] = DJS_REDIS_NIL,
        [REDIS_REPLY_STATUS] = DJS_REDIS_STATUS, [REDIS_REPLY_ERROR] = DJS_REDIS_ERROR
    };

    return type >= REDIS_REPLY_STRING && type <= REDIS_REPLY_ERROR ? types[type] : DJS_REDIS_OTHER;
}

/* A reply of this kind with so many bytes beside it; NULL: more than we take, which hiredis makes an
   error of. Arrays fill up as their members come. */
static djs_redis_reply_t *make(const redisReadTask *task, apr_size_t beside, char **room)
{
    making_t *making = task->privdata;
    apr_size_t need = sizeof(djs_redis_reply_t) + beside;
    djs_redis_reply_t *reply;

    if (beside > DJS_REDIS_REPLIES_MAX || need > making->budget) {
        making->budget = 0;
        return NULL;
    }
    making->budget -= need;
    reply = apr_pcalloc(making->pool, sizeof(*reply));
    reply->type = type_of(task->type);
    if (room != NULL) {
        *room = apr_palloc(making->pool, beside);
    }
    if (task->parent != NULL) {
        djs_redis_reply_t *parent = task->parent->obj;

        parent->members[task->idx] = reply;
    }
    return reply;
}

static void *make_string(const redisReadTask *task, char *text, size_t len)
{
    char *copy = NULL;
    djs_redis_reply_t *reply = make(task, len + 1, &copy);

    if (reply != NULL) {
        memcpy(copy, text, len);
        copy[len] = '\0';
        reply->text = djs_bytes_of(copy, len);
    }
    return reply;
}

#if HIREDIS_MAJOR < 1
typedef int members_count_t;
#else
typedef size_t members_count_t;
#endif

static void *make_array(const redisReadTask *task, members_count_t count)
{
    /* A member is a line of three bytes at least: what cannot come within the limit is not begun. */
    apr_size_t most = DJS_REDIS_REPLIES_MAX / sizeof(djs_redis_reply_t *);
    char *members = NULL;
    djs_redis_reply_t *reply;

    reply = make(task, (apr_size_t)count > most ? DJS_REDIS_REPLIES_MAX + 1u
                                                : (apr_size_t)count * sizeof(reply), &members);
    if (reply != NULL) {
        memset(members, 0, (apr_size_t)count * sizeof(reply));
        reply->members = (djs_redis_reply_t **)(void *)members;
        reply->count = (apr_size_t)count;
    }
    return reply;
}

static void *make_integer(const redisReadTask *task, long long value)
{
    djs_redis_reply_t *reply = make(task, 0, NULL);

    if (reply != NULL) {
        reply->integer = value;
    }
    return reply;
}

/* The task's type is that of what might have been there. */
static void *make_nil(const redisReadTask *task)
{
    djs_redis_reply_t *reply = make(task, 0, NULL);

    if (reply != NULL) {
        reply->type = DJS_REDIS_NIL;
    }
    return reply;
}

#if HIREDIS_MAJOR >= 1
static void *make_double(const redisReadTask *task, double value, char *text, size_t len)
{
    return make(task, 0, NULL);
}

static void *make_bool(const redisReadTask *task, int value)
{
    return make(task, 0, NULL);
}
#endif

/* The pool frees them. */
static void free_nothing(void *reply)
{
}

static redisReplyObjectFunctions reply_functions = {
    .createString = make_string,
    .createArray = make_array,
    .createInteger = make_integer,
    .createNil = make_nil,
#if HIREDIS_MAJOR >= 1
    .createDouble = make_double,
    .createBool = make_bool,
#endif
    .freeObject = free_nothing
};

/* ---- Commands -------------------------------------------------------------------------------- */

void djs_redis_add(djs_redis_command_t *command, djs_bytes_t word)
{
    command->words[command->count] = word.data != NULL ? word.data : "";
    command->lens[command->count] = word.len;
    command->count++;
}

void djs_redis_add_text(djs_redis_command_t *command, const char *word)
{
    djs_redis_add(command, djs_bytes(word));
}

djs_redis_command_t djs_redis_command(const char *word, ...)
{
    djs_redis_command_t command = { 0 };
    va_list words;

    va_start(words, word);
    for (; word != NULL; word = va_arg(words, const char *)) {
        djs_redis_add_text(&command, word);
    }
    va_end(words);
    return command;
}

/* ---- Waiting, writing, reading --------------------------------------------------------------- */

/* Deadlines are by the clock that nobody sets. */
static apr_time_t clock_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return apr_time_from_sec(now.tv_sec) + now.tv_nsec / 1000;
}

/* Until the socket can do one of these. 0: not in time. */
static int wait_for(int fd, short events, apr_time_t until)
{
    struct pollfd look = { .fd = fd, .events = events };
    apr_interval_time_t left;
    apr_int64_t ms;
    int ready;

    do {
        left = until - clock_now();
        ms = left <= 0 ? 0 : (left + 999) / 1000;
        ready = poll(&look, 1, ms > INT_MAX ? INT_MAX : (int)ms);
    } while (ready < 0 && errno == EINTR && left > 0);
    return ready > 0;
}

static int is_pending(int number)
{
    sigset_t pending;

    sigemptyset(&pending);
    return sigpending(&pending) == 0 && sigismember(&pending, number) == 1;
}

/* SIGPIPE, of this thread, from mute to unmute. */
typedef struct muted_t {
    sigset_t before;
    int was_pending;
} muted_t;

static void mute_sigpipe(muted_t *muted)
{
    sigset_t only;

    muted->was_pending = is_pending(SIGPIPE);
    sigemptyset(&only);
    sigaddset(&only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &only, &muted->before);
}

static void unmute_sigpipe(const muted_t *muted)
{
    sigset_t only;
    int taken;

    if (!muted->was_pending && is_pending(SIGPIPE)) {
        sigemptyset(&only);
        sigaddset(&only, SIGPIPE);
        sigwait(&only, &taken);
    }
    pthread_sigmask(SIG_SETMASK, &muted->before, NULL);
}

static int write_some(redisContext *hi, int *done)
{
    muted_t muted;
    int result;

    mute_sigpipe(&muted);
    result = redisBufferWrite(hi, done);
    unmute_sigpipe(&muted);
    return result;
}

/* Commands by way of hiredis, which has the TLS. */
static djs_redis_outcome_t write_all(djs_redis_t *redis, const djs_redis_command_t *commands,
                                     int count, apr_time_t until)
{
    int i, done = 0;

    for (i = 0; i < count; i++) {
        if (redisAppendCommandArgv(redis->hi, commands[i].count, (const char **)commands[i].words,
                                   commands[i].lens) != REDIS_OK) {
            return DJS_REDIS_UNSENT;
        }
    }
    while (!done) {
        if (write_some(redis->hi, &done) != REDIS_OK) {
            return DJS_REDIS_UNSENT;
        }
        if (!done && !wait_for(redis->hi->fd, POLLOUT, until)) {
            return DJS_REDIS_LATE;
        }
    }
    return DJS_REDIS_ANSWERED;
}

static djs_redis_outcome_t send_bytes(int fd, const char *at, apr_size_t left, int flags,
                                      apr_time_t until)
{
    while (left > 0) {
        ssize_t sent = send(fd, at, left, MSG_NOSIGNAL | flags);

        if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            return DJS_REDIS_UNSENT;
        }
        if (sent > 0) {
            at += sent;
            left -= (apr_size_t)sent;
        }
        if (left > 0 && !wait_for(fd, POLLOUT, until)) {
            return DJS_REDIS_LATE;
        }
    }
    return DJS_REDIS_ANSWERED;
}

/* Commands by ourselves. */
static djs_redis_outcome_t send_all(djs_redis_t *redis, const djs_redis_command_t *commands,
                                    int count, apr_time_t until)
{
    djs_redis_outcome_t outcome = DJS_REDIS_ANSWERED;
    int i;

    for (i = 0; i < count && outcome == DJS_REDIS_ANSWERED; i++) {
        char *bytes = NULL;
        int len = redisFormatCommandArgv(&bytes, commands[i].count,
                                         (const char **)commands[i].words, commands[i].lens);

        if (len < 0) {
            return DJS_REDIS_UNSENT;
        }
        outcome = send_bytes(redis->hi->fd, bytes, (apr_size_t)len,
                             i < count - 1 ? MSG_MORE : 0, until);
        redisFreeCommand(bytes);
    }
    return outcome;
}

/* What the reader could not make sense of begins with a line, and hiredis searches all of it for the
   line's end again with each byte that comes: that must not become long. */
static int is_endless_line(const redisReader *reader)
{
    return reader->len - reader->pos > REPLY_LINE_MAX
           && memchr(reader->buf + reader->pos, '\n', REPLY_LINE_MAX) == NULL;
}

/* More bytes for the reader. */
static djs_redis_outcome_t read_some(djs_redis_t *redis, apr_time_t until)
{
    redisContext *hi = redis->hi;
    apr_size_t before = hi->reader->len;

    if (before > DJS_REDIS_REPLIES_MAX || is_endless_line(hi->reader)) {
        return DJS_REDIS_GARBLED;
    }
    if (!redis->more && !wait_for(hi->fd, POLLIN, until)) {
        return DJS_REDIS_LATE;
    }
    if (until != AT_ONCE && clock_now() > until) { /* who drips, or never ends, is late, too */
        return DJS_REDIS_LATE;
    }
    if (redisBufferRead(hi) != REDIS_OK) {
        return hi->err == REDIS_ERR_PROTOCOL || hi->err == REDIS_ERR_OOM ? DJS_REDIS_GARBLED
                                                                         : DJS_REDIS_LOST;
    }
    redis->more = hi->reader->len != before;
    return DJS_REDIS_ANSWERED;
}

static djs_redis_outcome_t read_reply(djs_redis_t *redis, apr_time_t until,
                                      djs_redis_reply_t **reply)
{
    djs_redis_outcome_t outcome = DJS_REDIS_ANSWERED;
    void *made = NULL;

    while (outcome == DJS_REDIS_ANSWERED) {
        if (redisReaderGetReply(redis->hi->reader, &made) != REDIS_OK) {
            return DJS_REDIS_GARBLED;
        }
        if (made != NULL) {
            *reply = made;
            return DJS_REDIS_ANSWERED;
        }
        outcome = read_some(redis, until);
    }
    return outcome;
}

/* A server that does not want us says so and closes, whatever we sent: that is an answer. */
static djs_redis_outcome_t read_farewell(djs_redis_t *redis, djs_redis_reply_t **replies, int count)
{
    djs_redis_reply_t *reply = NULL;
    int i;

    redis->hi->err = 0;
    redis->finished = 1;
    if (read_reply(redis, AT_ONCE, &reply) != DJS_REDIS_ANSWERED || reply->type != DJS_REDIS_ERROR) {
        return DJS_REDIS_UNSENT;
    }
    for (i = 0; i < count; i++) {
        replies[i] = reply;
    }
    return DJS_REDIS_ANSWERED;
}

/* The replies of the next conversation, of which nothing is there yet; what TLS holds does not show. */
static void begin_making(djs_redis_t *redis, apr_pool_t *pool)
{
    redis->more = redis->tls;
    redis->making.pool = pool;
    redis->making.budget = DJS_REDIS_REPLIES_MAX;
    redis->hi->reader->privdata = &redis->making;
}

static djs_redis_outcome_t converse(djs_redis_t *redis, apr_time_t until,
                                    const djs_redis_command_t *commands, int count,
                                    djs_redis_reply_t **replies)
{
    djs_redis_outcome_t outcome;
    int i;

    outcome = (redis->tls ? write_all : send_all)(redis, commands, count, until);
    if (outcome == DJS_REDIS_UNSENT) {
        return read_farewell(redis, replies, count);
    }
    for (i = 0; i < count && outcome == DJS_REDIS_ANSWERED; i++) {
        outcome = read_reply(redis, until, &replies[i]);
    }
    return outcome;
}

djs_redis_outcome_t djs_redis_ask(djs_ctx_t *ctx, djs_redis_t *redis,
                                  apr_interval_time_t within,
                                  const djs_redis_command_t *commands, int count,
                                  djs_redis_reply_t **replies)
{
    apr_time_t begun = clock_now();
    apr_interval_time_t used;
    djs_redis_outcome_t outcome;

    begin_making(redis, ctx->pool);
    outcome = converse(redis, begun + (within < ctx->patience ? within : ctx->patience), commands,
                       count, replies);
    used = clock_now() - begun;
    ctx->patience = used < ctx->patience ? ctx->patience - used : 0;
    return outcome;
}

int djs_redis_is_quiet(const djs_redis_t *redis)
{
    const redisReader *reader = redis->hi->reader;

    return !redis->finished && reader->len == reader->pos
           && !wait_for(redis->hi->fd, POLLIN, AT_ONCE);
}

/* ---- Connecting ------------------------------------------------------------------------------ */

/* hi is connecting: until it is. NULL: it is; else what went wrong. */
static const char *finish_connect(djs_ctx_t *ctx, redisContext *hi, apr_time_t until)
{
    socklen_t size = sizeof(int);
    int error = 0;

    if (hi == NULL) {
        return "no memory";
    }
    if (hi->err != 0) {
        return apr_pstrdup(ctx->pool, hi->errstr);
    }
    if (!wait_for(hi->fd, POLLOUT, until)) {
        return "no connection in time";
    }
    if (getsockopt(hi->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        error = errno;
    }
    if (error != 0) {
        char text[128];

        return apr_pstrdup(ctx->pool, apr_strerror(error, text, sizeof(text)));
    }
    return NULL;
}

/* Each address of the host in turn, in the time that is left. */
static redisContext *connect_tcp(djs_ctx_t *ctx, const djs_redis_where_t *where, apr_time_t until,
                                 const char **why)
{
    apr_sockaddr_t *address = NULL;
    apr_status_t rv = apr_sockaddr_info_get(&address, where->host, APR_UNSPEC,
                                            (apr_port_t)where->port, 0, ctx->pool);
    redisContext *hi;
    char *numeric;

    *why = "its name has no address";
    if (rv != APR_SUCCESS) {
        return NULL;
    }
    for (; address != NULL; address = address->next) {
        if (apr_sockaddr_ip_get(&numeric, address) != APR_SUCCESS) {
            continue;
        }
        hi = redisConnectNonBlock(numeric, where->port);
        *why = finish_connect(ctx, hi, until);
        if (*why == NULL) {
            return hi;
        }
        if (hi != NULL) {
            redisFree(hi);
        }
    }
    return NULL;
}

/* The kernel takes a connection to a unix socket at once, or says EAGAIN: its queue is full. */
static redisContext *connect_unix(djs_ctx_t *ctx, const djs_redis_where_t *where, apr_time_t until,
                                  const char **why)
{
    redisContext *hi = redisConnectUnixNonBlock(where->path);

    *why = finish_connect(ctx, hi, until);
    if (*why != NULL && hi != NULL) {
        redisFree(hi);
        return NULL;
    }
    return hi;
}

/* ---- TLS ------------------------------------------------------------------------------------- */

#ifdef DJS_HIREDIS_TLS

int djs_redis_has_tls(void)
{
    return 1;
}

typedef struct tls_t {
    SSL_CTX *openssl;
    const char *host;
} tls_t;

static apr_status_t free_tls(void *data)
{
    SSL_CTX_free(((tls_t *)data)->openssl);
    return APR_SUCCESS;
}

apr_status_t djs_redis_tls_make(djs_ctx_t *ctx, apr_pool_t *pool, const char *host, void **made)
{
    tls_t *tls = apr_pcalloc(pool, sizeof(*tls));

    tls->host = apr_pstrdup(pool, host);
    tls->openssl = SSL_CTX_new(TLS_client_method());
    if (tls->openssl == NULL) {
        return djs_fail(ctx, DJS_EINVAL, "TLS for Redis: OpenSSL has no context for us");
    }
    apr_pool_cleanup_register(pool, tls, free_tls, apr_pool_cleanup_null);
    SSL_CTX_set_min_proto_version(tls->openssl, TLS1_2_VERSION);
    SSL_CTX_set_verify(tls->openssl, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_set_default_verify_paths(tls->openssl) != 1) {
        return djs_fail(ctx, DJS_EINVAL, "TLS for Redis: no trusted authorities on this system");
    }
    *made = tls;
    return APR_SUCCESS;
}

/* The certificate must be the host's, be that a name or an address. */
static int expect_host(SSL *ssl, const char *host)
{
    X509_VERIFY_PARAM *expected = SSL_get0_param(ssl);

    return X509_VERIFY_PARAM_set1_ip_asc(expected, host) == 1
           || (SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1);
}

static const char *why_refused(const SSL *ssl)
{
    long verified = SSL_get_verify_result(ssl);

    return verified != X509_V_OK ? X509_verify_cert_error_string(verified)
                                 : "TLS is refused, or not spoken at this port";
}

/* Until hands are shaken. NULL: they are; else what went wrong. */
static const char *shake_hands(SSL *ssl, int fd, apr_time_t until)
{
    int result, wants;

    for (;;) {
        ERR_clear_error();
        result = SSL_do_handshake(ssl);
        if (result == 1) {
            return NULL;
        }
        wants = SSL_get_error(ssl, result);
        if (wants != SSL_ERROR_WANT_READ && wants != SSL_ERROR_WANT_WRITE) {
            return why_refused(ssl);
        }
        if (!wait_for(fd, wants == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, until)) {
            return "no TLS in time";
        }
    }
}

static const char *begin_tls(redisContext *hi, const tls_t *tls, apr_time_t until)
{
    SSL *ssl = SSL_new(tls->openssl);
    const char *why = NULL;
    muted_t muted;

    if (ssl == NULL || !expect_host(ssl, tls->host)) {
        SSL_free(ssl);
        return "no memory for TLS";
    }
    mute_sigpipe(&muted);
    if (redisInitiateSSL(hi, ssl) == REDIS_OK) { /* from here on ssl is the context's */
        why = shake_hands(ssl, hi->fd, until);
    }
    else {
        why = why_refused(ssl);
        SSL_free(ssl);
    }
    unmute_sigpipe(&muted);
    return why;
}

#else

int djs_redis_has_tls(void)
{
    return 0;
}

apr_status_t djs_redis_tls_make(djs_ctx_t *ctx, apr_pool_t *pool, const char *host, void **made)
{
    return djs_fail(ctx, DJS_EINVAL, "rediss:// is not possible: this module was built with a "
                    "hiredis that has no TLS (hiredis_ssl, of hiredis 1.0 and later); use redis:// "
                    "through a tunnel, or a unix socket");
}

static const char *begin_tls(redisContext *hi, const void *tls, apr_time_t until)
{
    return "no TLS in this build";
}

#endif

/* ---- Opening and closing --------------------------------------------------------------------- */

/* AUTH and SELECT, as far as they are needed. */
static int say_hello(djs_ctx_t *ctx, const djs_redis_where_t *where,
                     djs_redis_command_t commands[2])
{
    int count = 0;

    if (where->password != NULL) {
        commands[count] = djs_redis_command("AUTH", NULL);
        if (where->user != NULL) {
            djs_redis_add_text(&commands[count], where->user);
        }
        djs_redis_add_text(&commands[count++], where->password);
    }
    if (where->database != 0) {
        commands[count++] = djs_redis_command("SELECT",
                                              apr_itoa(ctx->pool, where->database), NULL);
    }
    return count;
}

/* NULL: we are in; else why not. */
static const char *enter(djs_ctx_t *ctx, djs_redis_t *redis, const djs_redis_where_t *where,
                         apr_time_t until)
{
    djs_redis_command_t commands[2];
    djs_redis_reply_t *replies[2];
    int count = say_hello(ctx, where, commands);
    int i;

    begin_making(redis, ctx->pool);
    if (converse(redis, until, commands, count, replies) != DJS_REDIS_ANSWERED) {
        return "connected, but AUTH or SELECT got no answer";
    }
    for (i = 0; i < count; i++) {
        if (djs_redis_is_error(replies[i], "ERR") && commands[i].words[0][0] == 'S') {
            return apr_psprintf(ctx->pool, "has no database %d, or not for us", where->database);
        }
        if (djs_redis_is_error(replies[i], "ERR")) {
            return "takes no password, or no user, of ours: redis://[user:password@]…";
        }
        if (!djs_redis_is_ok(replies[i])) {
            return djs_redis_explain(ctx->pool, replies[i]);
        }
    }
    return NULL;
}

djs_redis_t *djs_redis_open(djs_ctx_t *ctx, const djs_redis_where_t *where,
                            apr_interval_time_t within)
{
    apr_time_t until = clock_now() + within;
    const char *why = NULL;
    redisContext *hi = where->path != NULL ? connect_unix(ctx, where, until, &why)
                                           : connect_tcp(ctx, where, until, &why);
    djs_redis_t *redis;

    if (why == NULL && where->tls != NULL) {
        why = begin_tls(hi, where->tls, until);
    }
    if (why == NULL) {
        hi->reader->fn = &reply_functions;
        redis = calloc(1, sizeof(*redis));
        if (redis == NULL) {
            abort(); /* as APR's pools do */
        }
        redis->hi = hi;
        redis->tls = where->tls != NULL;
        why = enter(ctx, redis, where, until);
        if (why == NULL) {
            return redis;
        }
        free(redis);
    }
    djs_fail(ctx, DJS_ESTORE, "Redis at %s: %s", where->name, why);
    if (hi != NULL) {
        redisFree(hi);
    }
    return NULL;
}

void djs_redis_close(djs_redis_t *redis)
{
    redisFree(redis->hi);
    free(redis);
}

/* ---- What errors mean ------------------------------------------------------------------------ */

int djs_redis_is_ok(const djs_redis_reply_t *reply)
{
    return reply->type == DJS_REDIS_STATUS && djs_bytes_is(reply->text, "OK");
}

int djs_redis_is_error(const djs_redis_reply_t *reply, const char *code)
{
    apr_size_t len = strlen(code);

    return reply->type == DJS_REDIS_ERROR && strncmp(reply->text.data, code, len) == 0
           && (reply->text.data[len] == ' ' || reply->text.data[len] == '\0');
}

static const struct {
    const char *code;
    const char *meaning;
} errors[] = {
    { "NOAUTH", "wants a password: redis://[user:]password@…" },
    { "WRONGPASS", "refuses this user or password" },
    { "NOPERM", "does not allow this user what we need: its ACL must have +@read +@write "
                "+@transaction, should have +@scripting, and needs the keys of the prefix" },
    { "READONLY", "is a read-only replica: name the primary" },
    { "LOADING", "is reading its data from disk and not ready yet" },
    { "OOM", "is full (maxmemory), and its maxmemory-policy lets nothing go" },
    { "MISCONF", "takes no writes since it cannot save its data to disk" },
    { "NOREPLICAS", "takes no writes since too few of its replicas are there" },
    { "MASTERDOWN", "is a replica that has lost its primary" },
    { "BUSY", "is busy with somebody's script" },
    { "DENIED", "is in protected mode: it wants a password, or to be asked from its own host" },
    { "MOVED", "is part of a Redis Cluster, which is not supported: name a server that is not" },
    { "ASK", "is part of a Redis Cluster, which is not supported: name a server that is not" },
    { "CLUSTERDOWN", "is part of a Redis Cluster, which is not supported: name one that is not" },
    { "CROSSSLOT", "is part of a Redis Cluster, which is not supported: name one that is not" },
    { "WRONGTYPE", "has something that is no string under the key of a session" },
};

/* Only the code of an error is known to quote nothing: letters before the first blank. */
static const char *code_of(apr_pool_t *pool, djs_bytes_t text)
{
    apr_size_t len = 0;

    while (len < text.len && len <= CODE_MAX && text.data[len] >= 'A' && text.data[len] <= 'Z') {
        len++;
    }
    if (len == 0 || len > CODE_MAX || (len < text.len && text.data[len] != ' ')) {
        return "without a code";
    }
    return apr_pstrmemdup(pool, text.data, len);
}

const char *djs_redis_explain(apr_pool_t *pool, const djs_redis_reply_t *reply)
{
    apr_size_t i;

    if (reply->type != DJS_REDIS_ERROR) {
        return "answers something that was not asked: is it Redis?";
    }
    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (djs_redis_is_error(reply, errors[i].code)) {
            return errors[i].meaning;
        }
    }
    if (djs_bytes_is(reply->text, "ERR max number of clients reached")) {
        return "has as many clients as it takes (maxclients)";
    }
    return apr_psprintf(pool, "answers with an error (%s)", code_of(pool, reply->text));
}
