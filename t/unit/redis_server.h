/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redis servers for tests: Debian's redis-server, started by the test program as an unprivileged user
 * in a folder of its own; and a fake one that says what the test chooses.
 */
#ifndef REDIS_SERVER_H
#define REDIS_SERVER_H

#include "support.h"

typedef struct redis_server_t redis_server_t;

/** Start one, on a free port of 127.0.0.1 and a unix socket, and wait until it answers. */
redis_server_t *redis_server_start(void);
int redis_server_port(const redis_server_t *server);
const char *redis_server_path(const redis_server_t *server);
/** Kill it, at once; and start it again, empty, at the same port and socket. */
void redis_server_kill(redis_server_t *server);
void redis_server_revive(redis_server_t *server);
/** Stop it for good and remove its folder. */
void redis_server_end(redis_server_t *server);

/**
 * A command as an administrator gives it beside us; words without blanks. Its reply as text in the
 * test's pool: a string or status as it is, a number in decimal, "(nil)", "(error) …", and of an array
 * its members, separated by blanks.
 */
const char *redis_server_do(redis_server_t *server, test_t *test, const char *words);
/** SET key value, any bytes. */
void redis_server_put(redis_server_t *server, test_t *test, const char *key, djs_bytes_t value);

/** What the fake does after its answer. */
typedef enum fake_then_t { FAKE_WAITS, FAKE_CLOSES } fake_then_t;

/**
 * Listens on a free port of 127.0.0.1 until the test ends. To each connection that has said something
 * it says @a answer, whatever was asked, and then nothing more.
 */
typedef struct fake_redis_t fake_redis_t;
fake_redis_t *fake_redis_start(test_t *test, djs_bytes_t answer, fake_then_t then);
int fake_redis_port(const fake_redis_t *fake);
/** From the next connection's answer on. */
void fake_redis_answer(fake_redis_t *fake, djs_bytes_t answer, fake_then_t then);

#endif
