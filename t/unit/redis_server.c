/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See redis_server.h.
 */
#include "redis_server.h"

#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

/* A safety net on a machine that does other things, too. */
#define START_WITHIN apr_time_from_sec(60)
/* Somebody else may have taken the port meanwhile. */
#define PORTS_TRIED 5
#define WORDS_MAX 32
#define PEERS_MAX 64

struct redis_server_t {
    char folder[64], path[96], port_text[8];
    int port;
    pid_t pid;
};

static void must(int true_now, const char *what)
{
    if (!true_now) {
        fprintf(stderr, "redis_server: %s: %s\n", what, strerror(errno));
        abort();
    }
}

static int listen_on_loopback(int *port)
{
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0
         && listen(fd, PEERS_MAX) == 0
         && getsockname(fd, (struct sockaddr *)&address, &len) == 0, "no port");
    *port = ntohs(address.sin_port);
    return fd;
}

/* ---- The real one ---------------------------------------------------------------------------- */

static void become_nobody(void)
{
    const struct passwd *nobody = getpwnam("nobody");

    if (geteuid() == 0 && nobody != NULL) {
        (void)!setgroups(0, NULL);
        (void)!setgid(nobody->pw_gid);
        (void)!setuid(nobody->pw_uid);
    }
}

static void run_server(const redis_server_t *server)
{
    (void)!chdir(server->folder);
    become_nobody();
    (void)!freopen("/dev/null", "r", stdin);
    (void)!freopen("log", "a", stdout);
    (void)!freopen("log", "a", stderr);
    execlp("redis-server", "redis-server", "--bind", "127.0.0.1", "--port", server->port_text,
           "--unixsocket", server->path, "--unixsocketperm", "777", "--save", "", "--appendonly",
           "no", "--daemonize", "no", (char *)NULL);
    _exit(127);
}

static int answers(const redis_server_t *server)
{
    redisContext *hi = redisConnectUnix(server->path);
    redisReply *reply = NULL;
    int good;

    if (hi == NULL || hi->err != 0) {
        redisFree(hi);
        return 0;
    }
    reply = redisCommand(hi, "PING");
    good = reply != NULL && reply->type == REDIS_REPLY_STATUS;
    freeReplyObject(reply);
    redisFree(hi);
    return good;
}

/* 0: it has ended, or does not answer. */
static int launch(redis_server_t *server)
{
    apr_time_t end = apr_time_now() + START_WITHIN;

    server->pid = fork();
    must(server->pid >= 0, "fork");
    if (server->pid == 0) {
        run_server(server);
    }
    while (apr_time_now() < end) {
        if (answers(server)) {
            return 1;
        }
        if (waitpid(server->pid, NULL, WNOHANG) == server->pid) {
            server->pid = 0;
            return 0;
        }
        apr_sleep(20000);
    }
    redis_server_kill(server);
    return 0;
}

redis_server_t *redis_server_start(void)
{
    redis_server_t *server = calloc(1, sizeof(*server));
    int tries, up = 0;

    must(server != NULL, "memory");
    strcpy(server->folder, "/tmp/djs-redis-XXXXXX");
    must(mkdtemp(server->folder) != NULL && chmod(server->folder, 0777) == 0, "mkdtemp");
    snprintf(server->path, sizeof(server->path), "%s/socket", server->folder);
    for (tries = 0; tries < PORTS_TRIED && !up; tries++) {
        close(listen_on_loopback(&server->port));
        snprintf(server->port_text, sizeof(server->port_text), "%d", server->port);
        up = launch(server);
    }
    must(up, "redis-server does not start; is it installed?");
    return server;
}

int redis_server_port(const redis_server_t *server)
{
    return server->port;
}

const char *redis_server_path(const redis_server_t *server)
{
    return server->path;
}

void redis_server_kill(redis_server_t *server)
{
    if (server->pid > 0) {
        kill(server->pid, SIGKILL);
        waitpid(server->pid, NULL, 0);
        server->pid = 0;
        unlink(server->path);
    }
}

void redis_server_revive(redis_server_t *server)
{
    must(launch(server), "redis-server does not start again");
}

void redis_server_end(redis_server_t *server)
{
    char name[96];

    redis_server_kill(server);
    snprintf(name, sizeof(name), "%s/log", server->folder);
    unlink(name);
    rmdir(server->folder);
    free(server);
}

/* ---- The administrator ----------------------------------------------------------------------- */

static const char *text_of(apr_pool_t *pool, const redisReply *reply)
{
    const char *text = "";
    size_t i;

    switch (reply->type) {
    case REDIS_REPLY_INTEGER:
        return apr_psprintf(pool, "%" APR_INT64_T_FMT, (apr_int64_t)reply->integer);
    case REDIS_REPLY_NIL:
        return "(nil)";
    case REDIS_REPLY_ERROR:
        return apr_pstrcat(pool, "(error) ", reply->str, NULL);
    case REDIS_REPLY_ARRAY:
        for (i = 0; i < reply->elements; i++) {
            text = apr_pstrcat(pool, text, i > 0 ? " " : "", text_of(pool, reply->element[i]), NULL);
        }
        return text;
    default:
        return apr_pstrmemdup(pool, reply->str, reply->len);
    }
}

static const char *run(redis_server_t *server, apr_pool_t *pool, int count, const char **words,
                       const size_t *lens)
{
    redisContext *hi = redisConnectUnix(server->path);
    redisReply *reply;
    const char *text;

    must(hi != NULL && hi->err == 0, "the administrator cannot connect");
    reply = redisCommandArgv(hi, count, words, lens);
    must(reply != NULL, "the administrator gets no answer");
    text = text_of(pool, reply);
    freeReplyObject(reply);
    redisFree(hi);
    return text;
}

const char *redis_server_do(redis_server_t *server, test_t *test, const char *text)
{
    const char *words[WORDS_MAX];
    char *rest = apr_pstrdup(test->pool, text);
    int count = 0;

    for (;;) {
        char *word = apr_strtok(rest, " ", &rest);

        if (word == NULL || count == WORDS_MAX) {
            return run(server, test->pool, count, words, NULL);
        }
        words[count++] = word;
    }
}

void redis_server_put(redis_server_t *server, test_t *test, const char *key, djs_bytes_t value)
{
    const char *words[3] = { "SET", key, value.data };
    const size_t lens[3] = { 3, strlen(key), value.len };

    assert_text(run(server, test->pool, 3, words, lens), "OK", "SET");
}

/* ---- The fake one ---------------------------------------------------------------------------- */

struct fake_redis_t {
    pthread_mutex_t lock;
    pthread_t thread;
    djs_bytes_t answer;
    fake_then_t then;
    int port;
    int stop[2]; /* a pipe; readable: the end */
    struct pollfd fds[PEERS_MAX + 2]; /* the end, who wants in, who is there */
    int count;
};

static void send_answer(fake_redis_t *fake, int fd)
{
    djs_bytes_t answer;
    ssize_t sent;

    pthread_mutex_lock(&fake->lock);
    answer = fake->answer;
    pthread_mutex_unlock(&fake->lock);
    while (answer.len > 0) {
        sent = send(fd, answer.data, answer.len, MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        answer.data += sent;
        answer.len -= (size_t)sent;
    }
}

/* Somebody has said something, or gone. */
static void serve(fake_redis_t *fake, struct pollfd *peer)
{
    char heard[65536];
    ssize_t len = recv(peer->fd, heard, sizeof(heard), 0);
    fake_then_t then;

    pthread_mutex_lock(&fake->lock);
    then = fake->then;
    pthread_mutex_unlock(&fake->lock);
    if (len > 0) {
        send_answer(fake, peer->fd);
    }
    if (len <= 0 || then == FAKE_CLOSES) {
        close(peer->fd);
        peer->fd = -1; /* poll() passes it over */
    }
}

/* In the place of somebody who has gone, or a new one. */
static void let_in(fake_redis_t *fake)
{
    int i = 2;

    while (i < fake->count && fake->fds[i].fd >= 0) {
        i++;
    }
    must(i < PEERS_MAX + 2, "too many connections to a fake");
    fake->fds[i].fd = accept(fake->fds[1].fd, NULL, NULL);
    fake->fds[i].events = POLLIN;
    fake->fds[i].revents = 0;
    fake->count = i < fake->count ? fake->count : i + 1;
}

static void *run_fake(void *data)
{
    fake_redis_t *fake = data;
    int i;

    while (poll(fake->fds, (nfds_t)fake->count, -1) >= 0 && fake->fds[0].revents == 0) {
        for (i = 2; i < fake->count; i++) {
            if (fake->fds[i].fd >= 0 && fake->fds[i].revents != 0) {
                serve(fake, &fake->fds[i]);
            }
        }
        if (fake->fds[1].revents != 0) {
            let_in(fake);
        }
    }
    return NULL;
}

static apr_status_t end_fake(void *data)
{
    fake_redis_t *fake = data;
    int i;

    (void)!write(fake->stop[1], "", 1);
    pthread_join(fake->thread, NULL);
    for (i = 0; i < fake->count; i++) {
        if (fake->fds[i].fd >= 0) {
            close(fake->fds[i].fd);
        }
    }
    close(fake->stop[1]);
    return APR_SUCCESS;
}

fake_redis_t *fake_redis_start(test_t *test, djs_bytes_t answer, fake_then_t then)
{
    fake_redis_t *fake = apr_pcalloc(test->pool, sizeof(*fake));

    pthread_mutex_init(&fake->lock, NULL);
    fake->answer = answer;
    fake->then = then;
    assert_int_equal(pipe(fake->stop), 0);
    fake->fds[0].fd = fake->stop[0];
    fake->fds[1].fd = listen_on_loopback(&fake->port);
    fake->fds[0].events = fake->fds[1].events = POLLIN;
    fake->count = 2;
    assert_int_equal(pthread_create(&fake->thread, NULL, run_fake, fake), 0);
    apr_pool_cleanup_register(test->pool, fake, end_fake, apr_pool_cleanup_null);
    return fake;
}

int fake_redis_port(const fake_redis_t *fake)
{
    return fake->port;
}

void fake_redis_answer(fake_redis_t *fake, djs_bytes_t answer, fake_then_t then)
{
    pthread_mutex_lock(&fake->lock);
    fake->answer = answer;
    fake->then = then;
    pthread_mutex_unlock(&fake->lock);
}
