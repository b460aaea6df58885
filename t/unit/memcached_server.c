/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See memcached_server.h.
 */
#include "memcached_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* A safety net on a machine that does other things, too. */
#define START_WITHIN apr_time_from_sec(60)
/* Somebody else may have taken the port meanwhile. */
#define PORTS_TRIED  5

struct memcached_server_t {
    char folder[64], path[96], port_text[8], url[128];
    int is_unix, port;
    pid_t pid;
};

static void must(int true_now, const char *what)
{
    if (!true_now) {
        fprintf(stderr, "memcached_server: %s: %s\n", what, strerror(errno));
        abort();
    }
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address;

    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_port = htons((unsigned short)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int free_port(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    must(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0
             && getsockname(fd, (struct sockaddr *)&address, &len) == 0,
         "no port");
    close(fd);
    return ntohs(address.sin_port);
}

/* A connection; -1: nobody listens. */
static int reach(const memcached_server_t *server)
{
    int fd = socket(server->is_unix ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in tcp = loopback(server->port);
    struct sockaddr_un local;
    int rv;

    must(fd >= 0, "socket");
    memset(&local, 0, sizeof(local));
    local.sun_family = AF_UNIX;
    apr_cpystrn(local.sun_path, server->path, sizeof(local.sun_path));
    rv = server->is_unix ? connect(fd, (struct sockaddr *)&local, sizeof(local))
                         : connect(fd, (struct sockaddr *)&tcp, sizeof(tcp));
    if (rv != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void run_server(const memcached_server_t *server)
{
    (void)!freopen("/dev/null", "r", stdin);
    (void)!freopen("/dev/null", "w", stdout);
    (void)!freopen("/dev/null", "w", stderr);
    /* Values of 8 MiB, so that the contract's fit. */
    if (server->is_unix) {
        execlp("memcached", "memcached", "-u", "nobody", "-s", server->path, "-a", "777", "-I",
               "8m", (char *)NULL);
    }
    execlp("memcached", "memcached", "-u", "nobody", "-l", "127.0.0.1", "-p", server->port_text,
           "-U", "0", "-I", "8m", (char *)NULL);
    _exit(127);
}

/* Is it ours that listens? Where another program was faster ours is about to end. */
static int is_ours(const memcached_server_t *server, int fd)
{
    static const char before[] = "STAT pid ";
    char said[2048] = "";
    const char *at;
    ssize_t got = -1;

    if (send(fd, "stats\r\n", 7, MSG_NOSIGNAL) == 7) {
        got = recv(fd, said, sizeof(said) - 1, 0); /* its process stands in the first line */
    }
    at = got > 0 ? strstr(said, before) : NULL;
    return at != NULL && atoi(at + strlen(before)) == (int)server->pid;
}

/* 0: it has ended, or does not answer. */
static int launch(memcached_server_t *server)
{
    apr_time_t end = apr_time_now() + START_WITHIN;

    server->pid = fork();
    must(server->pid >= 0, "fork");
    if (server->pid == 0) {
        run_server(server);
    }
    while (apr_time_now() < end) {
        int fd = reach(server);
        int up = fd >= 0 && is_ours(server, fd);

        if (fd >= 0) {
            close(fd);
        }
        if (up) {
            return 1;
        }
        if (waitpid(server->pid, NULL, WNOHANG) == server->pid) {
            server->pid = 0;
            return 0;
        }
        apr_sleep(10000);
    }
    memcached_server_kill(server);
    return 0;
}

memcached_server_t *memcached_server_start(int is_unix)
{
    memcached_server_t *server = calloc(1, sizeof(*server));
    int tries, up = 0;

    must(server != NULL, "memory");
    server->is_unix = is_unix;
    strcpy(server->folder, "/tmp/djs-memcached-XXXXXX");
    must(mkdtemp(server->folder) != NULL && chmod(server->folder, 0777) == 0, "mkdtemp");
    snprintf(server->path, sizeof(server->path), "%s/socket", server->folder);
    for (tries = 0; tries < PORTS_TRIED && !up; tries++) {
        server->port = free_port();
        snprintf(server->port_text, sizeof(server->port_text), "%d", server->port);
        up = launch(server);
    }
    must(up, "memcached does not start; is it installed?");
    if (is_unix) {
        snprintf(server->url, sizeof(server->url), "memcached+unix://%s", server->path);
    }
    else {
        snprintf(server->url, sizeof(server->url), "memcached://127.0.0.1:%d", server->port);
    }
    return server;
}

const char *memcached_server_url(const memcached_server_t *server)
{
    return server->url;
}

int memcached_server_port(const memcached_server_t *server)
{
    return server->port;
}

void memcached_server_kill(memcached_server_t *server)
{
    if (server->pid > 0) {
        kill(server->pid, SIGKILL);
        waitpid(server->pid, NULL, 0);
        server->pid = 0;
    }
}

void memcached_server_pause(memcached_server_t *server, int pause)
{
    int status;

    must(kill(server->pid, pause ? SIGSTOP : SIGCONT) == 0, "kill");
    if (pause) { /* until all of its threads stand still */
        must(waitpid(server->pid, &status, WUNTRACED) == server->pid && WIFSTOPPED(status), "stop");
    }
}

void memcached_server_revive(memcached_server_t *server)
{
    must(launch(server), "memcached does not start again");
}

void memcached_server_end(memcached_server_t *server)
{
    memcached_server_kill(server);
    unlink(server->path);
    rmdir(server->folder);
    free(server);
}

/* ---- Beside us ------------------------------------------------------------------------------- */

static void say(int fd, const char *data, apr_size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);

        must(sent > 0, "send");
        data += sent;
        len -= (apr_size_t)sent;
    }
}

/* All that comes until the answer to "mn", which is sent behind each command, without that. */
static const char *hear(int fd, apr_pool_t *pool)
{
    static const char end[] = "MN\r\n";
    apr_size_t room = 1 << 20, len = 0;
    char *data = apr_palloc(pool, room);

    while (len < 4 || memcmp(data + len - 4, end, 4) != 0) {
        ssize_t got = recv(fd, data + len, room - len, 0);

        must(got > 0, "recv");
        len += (apr_size_t)got;
    }
    len -= len >= 6 ? 6 : 4;
    return apr_pstrmemdup(pool, data, len);
}

const char *memcached_server_do(memcached_server_t *server, test_t *test, const char *command)
{
    int fd = reach(server);
    const char *answer;

    must(fd >= 0, "connect");
    say(fd, command, strlen(command));
    say(fd, "\r\nmn\r\n", 6);
    answer = hear(fd, test->pool);
    close(fd);
    return answer;
}

void memcached_server_put(memcached_server_t *server, test_t *test, const char *key,
                          unsigned int flags, djs_bytes_t value)
{
    const char *head = apr_psprintf(test->pool, "set %s %u 3600 %" APR_SIZE_T_FMT "\r\n", key,
                                    flags, value.len);
    int fd = reach(server);

    must(fd >= 0, "connect");
    say(fd, head, strlen(head));
    say(fd, value.data, value.len);
    say(fd, "\r\nmn\r\n", 6);
    assert_text(hear(fd, test->pool), "STORED", key);
    close(fd);
}
