/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memcached servers for tests: Debian's, started by the test program as an unprivileged user.
 */
#ifndef MEMCACHED_SERVER_H
#define MEMCACHED_SERVER_H

#include "support.h"

typedef struct memcached_server_t memcached_server_t;

/** Start one on a free port of 127.0.0.1, or on a unix socket, and wait until it answers. */
memcached_server_t *memcached_server_start(int is_unix);
/** As a DjangoSessionCache has it: "memcached://127.0.0.1:1234" or "memcached+unix:///...". */
const char *memcached_server_url(const memcached_server_t *server);
int memcached_server_port(const memcached_server_t *server);
/** Kill it, at once; and start it again, empty, at the same port or socket. */
void memcached_server_kill(memcached_server_t *server);
void memcached_server_revive(memcached_server_t *server);
/** It hangs, and goes on. */
void memcached_server_pause(memcached_server_t *server, int pause);
/** Stop it for good and remove its folder. */
void memcached_server_end(memcached_server_t *server);

/** A command of memcached's text protocol, beside us; the answer, without its last line end. */
const char *memcached_server_do(memcached_server_t *server, test_t *test, const char *command);
/** Store any bytes with these flags, for an hour. */
void memcached_server_put(memcached_server_t *server, test_t *test, const char *key,
                          unsigned int flags, djs_bytes_t value);

#endif
