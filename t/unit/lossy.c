/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See lossy.h.
 */
#include "lossy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAIRS_MAX 64

/* For an answer that does not come, since the server has not heard all of the request. */
#define ANSWER_WITHIN 3000

/* A client and the connection to the server that is its own. */
typedef struct pair_t {
    lossy_t *lossy;
    int client, server;
    pthread_t thread;
} pair_t;

struct lossy_t {
    pthread_mutex_t lock;
    int listener, port, server_port;
    int stop[2]; /* a pipe; readable: everybody ends */
    pthread_t thread;
    pair_t pairs[PAIRS_MAX];
    int pair_count;
    const char *marker; /* NULL: nothing is to be lost; "": anything */
    int passes;         /* so many that have it are not */
    loss_t loss;
    void (*meanwhile)(void *baton);
    void *baton;
    int count;
};

static int on_loopback(int port, int (*what)(int, const struct sockaddr *, socklen_t))
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address;

    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((unsigned short)port);
    if (fd >= 0 && what(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);

        if (sent <= 0) {
            return 0;
        }
        data += sent;
        len -= (size_t)sent;
    }
    return 1;
}

/* Is this the one? Then nothing else is. */
static int is_to_be_lost(lossy_t *lossy, const char *data, size_t len)
{
    int found = 0;

    pthread_mutex_lock(&lossy->lock);
    if (lossy->marker != NULL && memmem(data, len, lossy->marker, strlen(lossy->marker)) != NULL) {
        found = lossy->passes-- == 0;
    }
    if (found) {
        lossy->marker = NULL;
    }
    pthread_mutex_unlock(&lossy->lock);
    return found;
}

static void lose(pair_t *pair, const char *data, size_t len)
{
    lossy_t *lossy = pair->lossy;
    struct pollfd answers = { pair->server, POLLIN, 0 };
    char answer[4096];

    if (lossy->loss == LOSE_ANSWER && send_all(pair->server, data, len)
        && poll(&answers, 1, ANSWER_WITHIN) > 0) {
        (void)!recv(pair->server, answer, sizeof(answer), 0);
    }
    if (lossy->meanwhile != NULL) {
        lossy->meanwhile(lossy->baton);
    }
    pthread_mutex_lock(&lossy->lock);
    lossy->count++;
    pthread_mutex_unlock(&lossy->lock);
}

/* Hand over what has come. 0: the connection ends. */
static int pump(pair_t *pair, int from, int to)
{
    char data[65536];
    ssize_t len = recv(from, data, sizeof(data), 0);

    if (len <= 0) {
        return 0;
    }
    if (from == pair->client && is_to_be_lost(pair->lossy, data, (size_t)len)) {
        lose(pair, data, (size_t)len);
        return 0;
    }
    return send_all(to, data, (size_t)len);
}

static void *run_pair(void *data)
{
    pair_t *pair = data;
    int going = pair->server >= 0;

    while (going) {
        struct pollfd fds[3] = { { pair->client, POLLIN, 0 }, { pair->server, POLLIN, 0 },
                                 { pair->lossy->stop[0], POLLIN, 0 } };

        going = poll(fds, 3, -1) > 0 && fds[2].revents == 0;
        if (going && fds[0].revents != 0) {
            going = pump(pair, pair->client, pair->server);
        }
        if (going && fds[1].revents != 0) {
            going = pump(pair, pair->server, pair->client);
        }
    }
    close(pair->client);
    close(pair->server);
    return NULL;
}

static void *run_listener(void *data)
{
    lossy_t *lossy = data;

    for (;;) {
        struct pollfd fds[2] = { { lossy->listener, POLLIN, 0 }, { lossy->stop[0], POLLIN, 0 } };
        pair_t *pair = &lossy->pairs[lossy->pair_count];

        if (poll(fds, 2, -1) <= 0 || fds[1].revents != 0 || lossy->pair_count == PAIRS_MAX) {
            return NULL;
        }
        pair->lossy = lossy;
        pair->client = accept(lossy->listener, NULL, NULL);
        pair->server = on_loopback(lossy->server_port, connect);
        if (pthread_create(&pair->thread, NULL, run_pair, pair) != 0) {
            abort();
        }
        lossy->pair_count++;
    }
}

static apr_status_t end(void *data)
{
    lossy_t *lossy = data;
    int i;

    (void)!write(lossy->stop[1], "", 1);
    pthread_join(lossy->thread, NULL);
    for (i = 0; i < lossy->pair_count; i++) {
        pthread_join(lossy->pairs[i].thread, NULL);
    }
    close(lossy->listener);
    close(lossy->stop[0]);
    close(lossy->stop[1]);
    return APR_SUCCESS;
}

lossy_t *lossy_start(test_t *test, int server_port)
{
    lossy_t *lossy = apr_pcalloc(test->pool, sizeof(*lossy));
    struct sockaddr_in address;
    socklen_t len = sizeof(address);

    pthread_mutex_init(&lossy->lock, NULL);
    lossy->server_port = server_port;
    lossy->listener = on_loopback(0, bind);
    assert_int_equal(listen(lossy->listener, PAIRS_MAX), 0);
    assert_int_equal(getsockname(lossy->listener, (struct sockaddr *)&address, &len), 0);
    lossy->port = ntohs(address.sin_port);
    assert_int_equal(pipe(lossy->stop), 0);
    assert_int_equal(pthread_create(&lossy->thread, NULL, run_listener, lossy), 0);
    apr_pool_cleanup_register(test->pool, lossy, end, apr_pool_cleanup_null);
    return lossy;
}

int lossy_port(const lossy_t *lossy)
{
    return lossy->port;
}

void lossy_lose(lossy_t *lossy, loss_t loss, const char *marker, void (*meanwhile)(void *baton),
                void *baton)
{
    pthread_mutex_lock(&lossy->lock);
    lossy->loss = loss;
    lossy->meanwhile = meanwhile;
    lossy->baton = baton;
    lossy->marker = marker;
    lossy->passes = 0;
    pthread_mutex_unlock(&lossy->lock);
}

void lossy_lose_nth(lossy_t *lossy, loss_t loss, int passes)
{
    pthread_mutex_lock(&lossy->lock);
    lossy->loss = loss;
    lossy->meanwhile = NULL;
    lossy->marker = "";
    lossy->passes = passes;
    pthread_mutex_unlock(&lossy->lock);
}

int lossy_count(lossy_t *lossy)
{
    int count;

    pthread_mutex_lock(&lossy->lock);
    count = lossy->count;
    pthread_mutex_unlock(&lossy->lock);
    return count;
}
