/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See peer.h.
 */
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "fuzz.h"

/* No more connections than that at the same time, by their descriptors. */
#define FDS_MAX 256

static struct {
    djs_bytes_t rest; /* of the script; without data when it is over */
    peer_filter_fn filter;
    char request[100]; /* the beginning of the last one */
    apr_size_t request_len;
    int farewell;     /* the next connection is not wanted */
    int ends[FDS_MAX]; /* ours, + 1, of the client's; 0: none */
} peer;

/* ---- The script ------------------------------------------------------------------------------ */

/* The next stage is cut off. The mark behind it; 0: it was the last. */
static char next_stage(djs_bytes_t *stage)
{
    const char *mark = peer.rest.data;
    const char *end = peer.rest.data + peer.rest.len;

    while (mark < end && (end - mark < 3 || mark[0] != '\n' || mark[1] != '~')) {
        mark++;
    }
    if (mark == end) {
        *stage = peer.rest;
        peer.rest = djs_bytes_of(NULL, 0);
        return '\0';
    }
    *stage = djs_bytes_of(peer.rest.data, (apr_size_t)(mark + 1 - peer.rest.data));
    peer.rest = djs_bytes_of(mark + 3, (apr_size_t)(end - mark - 3));
    return mark[2];
}

static void cut(int client)
{
    if (peer.ends[client] > 0) {
        close(peer.ends[client] - 1);
        peer.ends[client] = 0;
    }
}

/* What the client has said since it was listened to is the request, if that is anything. */
static djs_bytes_t hear(int fd)
{
    char more[1000];
    ssize_t len = recv(fd, more, sizeof(more), MSG_DONTWAIT);

    if (len > 0) {
        peer.request_len = (apr_size_t)len < sizeof(peer.request) ? (apr_size_t)len
                                                                  : sizeof(peer.request);
        memcpy(peer.request, more, peer.request_len);
    }
    while (len > 0) {
        len = recv(fd, more, sizeof(more), MSG_DONTWAIT);
    }
    return djs_bytes_of(peer.request, peer.request_len);
}

/* What does not fit into a socket's buffer is not said. */
static void speak(int client)
{
    const int fd = peer.ends[client] - 1;
    djs_bytes_t stage;
    char mark = '\0';

    if (peer.rest.data != NULL) {
        mark = next_stage(&stage);
        if (peer.filter != NULL) {
            stage = peer.filter(hear(fd), stage);
        }
        (void)!send(fd, stage.data, stage.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    if (mark == '\0' || mark == 'c' || mark == 'f') {
        shutdown(fd, SHUT_WR); /* it still takes what we send */
        peer.farewell = mark == 'f';
    }
}

djs_bytes_t peer_begin(apr_pool_t *pool, djs_bytes_t script, peer_filter_fn filter)
{
    char *all = apr_palloc(pool, script.len + 1), *at = all;
    djs_bytes_t stage;

    peer_end();
    peer.filter = filter;
    peer.rest = script.data != NULL ? script : djs_bytes("");
    peer.farewell = script.len >= 2 && memcmp(script.data, "~f", 2) == 0;
    if (peer.farewell) {
        peer.rest = djs_bytes_of(script.data + 2, script.len - 2);
    }
    script = peer.rest;
    while (peer.rest.data != NULL) {
        (void)next_stage(&stage);
        memcpy(at, stage.data, stage.len);
        at += stage.len;
    }
    peer.rest = script;
    return djs_bytes_of(all, (apr_size_t)(at - all));
}

void peer_end(void)
{
    int client;

    for (client = 0; client < FDS_MAX; client++) {
        cut(client);
    }
    peer.rest = djs_bytes_of(NULL, 0);
}

/* ---- What stands in for the C library's ------------------------------------------------------ */

static int is_peer(const struct sockaddr *address)
{
    return address->sa_family == AF_UNIX &&
           strcmp(((const struct sockaddr_un *)(const void *)address)->sun_path, PEER_PATH) == 0;
}

int connect(int fd, const struct sockaddr *address, socklen_t len)
{
    const int flags = fcntl(fd, F_GETFL);
    int pair[2];

    if (!is_peer(address)) {
        return (int)syscall(SYS_connect, fd, address, len);
    }
    if (peer.rest.data == NULL) {
        errno = ECONNREFUSED;
        return -1;
    }
    FUZZ_CHECK(fd >= 0 && fd < FDS_MAX);
    cut(fd); /* the client has closed what had this number before */
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    FUZZ_CHECK(dup2(pair[0], fd) == fd && fcntl(fd, F_SETFL, flags) == 0);
    close(pair[0]);
    peer.ends[fd] = pair[1] + 1;
    if (peer.farewell) {
        speak(fd);
        cut(fd);
    }
    return 0;
}

static int wait_really(struct pollfd *fds, nfds_t count, int timeout)
{
    const struct timespec span = { timeout / 1000, timeout % 1000 * 1000000L };

    return ppoll(fds, count, timeout >= 0 ? &span : NULL, NULL);
}

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
    int ready = wait_really(fds, count, 0);

    if (timeout != 0 && count == 1 && fds->fd >= 0 && fds->fd < FDS_MAX &&
        peer.ends[fds->fd] > 0 && (fds->events & POLLIN) != 0) {
        while (ready == 0) { /* after the last stage there is an end to read */
            speak(fds->fd);
            ready = wait_really(fds, count, 0);
        }
    }
    return ready != 0 || timeout == 0 ? ready : wait_really(fds, count, timeout);
}
