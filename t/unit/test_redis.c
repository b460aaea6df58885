/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections to Redis: to a real server, with every way in; and to one that answers whatever a
 * broken or hostile one could.
 */
#include "redis_server.h"

#include "redis.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* Only a safety net. */
#define PLENTY apr_time_from_sec(60)
/* Where nothing will come: short, and nobody measures it. */
#define SHORT apr_time_from_msec(30)

static redis_server_t *server;

static djs_redis_where_t at_port(int port)
{
    djs_redis_where_t where = { .name = "the server", .host = "127.0.0.1" };

    where.port = port;
    return where;
}

static djs_redis_where_t at_server(void)
{
    return at_port(redis_server_port(server));
}

static djs_redis_t *must_open(test_t *test, const djs_redis_where_t *where)
{
    djs_redis_t *redis = djs_redis_open(test->ctx, where, PLENTY);

    assert_text(test->ctx->problem, NULL, "open");
    assert_non_null(redis);
    return redis;
}

/* One command, one reply; the test fails when there is none. */
static djs_redis_reply_t *ask(test_t *test, djs_redis_t *redis, djs_redis_command_t command)
{
    djs_redis_reply_t *reply = NULL;

    assert_int_equal(djs_redis_ask(test->ctx, redis, PLENTY, &command, 1, &reply),
                     DJS_REDIS_ANSWERED);
    return reply;
}

static djs_redis_outcome_t outcome_of(test_t *test, djs_redis_t *redis, apr_interval_time_t within)
{
    djs_redis_command_t command = djs_redis_command("PING", NULL);
    djs_redis_reply_t *reply = NULL;

    return djs_redis_ask(test->ctx, redis, within, &command, 1, &reply);
}

/* ---- Ways in --------------------------------------------------------------------------------- */

static void a_server_is_reached_by_tcp_and_by_its_socket(void **state)
{
    djs_redis_where_t where = at_server();
    djs_redis_t *redis = must_open(*state, &where);

    assert_text(ask(*state, redis, djs_redis_command("PING", NULL))->text.data, "PONG", "tcp");
    djs_redis_close(redis);
    where.host = NULL;
    where.path = redis_server_path(server);
    redis = must_open(*state, &where);
    assert_text(ask(*state, redis, djs_redis_command("PING", NULL))->text.data, "PONG", "unix");
    djs_redis_close(redis);
    where.path = NULL;
    where.host = "localhost"; /* may be ::1 first, where nobody listens */
    redis = must_open(*state, &where);
    djs_redis_close(redis);
}

static void a_database_is_selected(void **state)
{
    djs_redis_where_t where = at_server();
    djs_redis_t *redis;

    where.database = 3;
    redis = must_open(*state, &where);
    assert_true(djs_redis_is_ok(ask(*state, redis, djs_redis_command("SET", "in3", "x", NULL))));
    djs_redis_close(redis);
    where.database = 0;
    redis = must_open(*state, &where);
    assert_int_equal(ask(*state, redis, djs_redis_command("GET", "in3", NULL))->type,
                     DJS_REDIS_NIL);
    djs_redis_close(redis);
}

static void wrong_ways_in_are_told_without_secrets(void **state)
{
    test_t *test = *state;
    static const struct {
        const char *user, *password;
        int database;
        const char *problem;
    } rows[] = {
        { NULL, "s3cret", 0, "Redis at the server: takes no password, or no user, of ours: "
                             "redis://[user:password@]…" },
        { "ann", "s3cret", 0, "Redis at the server: refuses this user or password" },
        { NULL, NULL, 99999, "Redis at the server: has no database 99999, or not for us" },
    };
    size_t i;

    for (i = 0; i < COUNT(rows); i++) {
        djs_redis_where_t where = at_server();

        where.user = rows[i].user;
        where.password = rows[i].password;
        where.database = rows[i].database;
        djs_forget(test->ctx);
        assert_null(djs_redis_open(test->ctx, &where, PLENTY));
        assert_text(test->ctx->problem, rows[i].problem, "way in");
    }
}

static void a_password_and_a_user_with_a_password_let_in(void **state)
{
    test_t *test = *state;
    djs_redis_where_t where = at_server();
    djs_redis_t *redis;

    redis_server_do(server, test, "ACL SETUSER ann on >p%40ss ~* +@all");
    where.user = "ann";
    where.password = "p%40ss";
    redis = must_open(test, &where);
    assert_text(ask(test, redis, djs_redis_command("ACL", "WHOAMI", NULL))->text.data, "ann",
                "user");
    redis_server_do(server, test, "CONFIG SET requirepass hidden");
    where.user = NULL;
    where.password = "hidden";
    djs_redis_close(must_open(test, &where));
    where.password = NULL;
    where.database = 1;
    assert_null(djs_redis_open(test->ctx, &where, PLENTY));
    assert_non_null(strstr(test->ctx->problem, "wants a password"));
    assert_true(djs_redis_is_ok(ask(test, redis, djs_redis_command("CONFIG", "SET", "requirepass",
                                                                   "", NULL))));
    djs_redis_close(redis);
}

static void where_nobody_listens_is_told(void **state)
{
    test_t *test = *state;
    fake_redis_t *fake = fake_redis_start(test, djs_bytes(""), FAKE_WAITS);
    djs_redis_where_t where = at_port(fake_redis_port(fake));

    apr_pool_clear(test->pool); /* the fake has ended, its port is nobody's */
    test->ctx = test_ctx(test->pool);
    assert_null(djs_redis_open(test->ctx, &where, PLENTY));
    assert_text(test->ctx->problem, "Redis at the server: Connection refused", "port");
    djs_forget(test->ctx);
    where.host = NULL;
    where.path = "/nonexistent/socket";
    assert_null(djs_redis_open(test->ctx, &where, PLENTY));
    assert_text(test->ctx->problem, "Redis at the server: No such file or directory", "socket");
    djs_forget(test->ctx);
    where.host = "no-such-host.invalid";
    where.path = NULL;
    assert_null(djs_redis_open(test->ctx, &where, PLENTY));
    assert_text(test->ctx->problem, "Redis at the server: its name has no address", "host");
}

static void tls_is_refused_at_start_where_hiredis_has_none(void **state)
{
    test_t *test = *state;
    void *tls = NULL;

    if (djs_redis_has_tls()) {
        assert_status(test->ctx, djs_redis_tls_make(test->ctx, test->pool, "localhost", &tls),
                      APR_SUCCESS, "TLS");
        return;
    }
    assert_status(test->ctx, djs_redis_tls_make(test->ctx, test->pool, "localhost", &tls),
                  DJS_EINVAL, "no TLS");
    assert_non_null(strstr(test->ctx->problem, "rediss://"));
}

#ifdef DJS_HIREDIS_TLS

/* The server speaks TLS, too, as localhost, with a certificate that only SSL_CERT_FILE trusts. */
static int add_tls(test_t *test)
{
    char folder[] = "/tmp/djs-redis-tls-XXXXXX";
    fake_redis_t *fake = fake_redis_start(test, djs_bytes(""), FAKE_WAITS);
    int port = fake_redis_port(fake);
    const char *answer;

    apr_pool_clear(test->pool); /* the port is free again */
    test->ctx = test_ctx(test->pool);
    assert_non_null(mkdtemp(folder));
    assert_int_equal(system(apr_pstrcat(test->pool, "cd ", folder, " && openssl req -x509 -nodes"
                                        " -newkey rsa:2048 -keyout key -out cert -subj /CN=redis"
                                        " -addext subjectAltName=DNS:localhost 2>log"
                                        " && chmod 755 . && chmod 644 key cert", NULL)), 0);
    answer = redis_server_do(server, test,
                             apr_psprintf(test->pool, "CONFIG SET tls-cert-file %s/cert "
                                          "tls-key-file %s/key tls-auth-clients no tls-port %d",
                                          folder, folder, port));
    assert_text(answer, "OK", "TLS");
    assert_int_equal(setenv("SSL_CERT_FILE", apr_pstrcat(test->pool, folder, "/cert", NULL), 1), 0);
    return port;
}

static void tls_is_spoken_to_the_host_that_was_named(void **state)
{
    test_t *test = *state;
    int port = add_tls(test);
    djs_redis_where_t where = at_port(port);
    djs_redis_t *redis;
    apr_size_t len = 3 * 1024 * 1024;
    djs_redis_command_t set = djs_redis_command("SET", "tls", NULL);

    where.host = "localhost";
    where.database = 1;
    assert_status(test->ctx, djs_redis_tls_make(test->ctx, test->pool, where.host, &where.tls),
                  APR_SUCCESS, "make");
    redis = must_open(test, &where);
    djs_redis_add(&set, djs_bytes_of(apr_pcalloc(test->pool, len), len));
    assert_true(djs_redis_is_ok(ask(test, redis, set)));
    assert_number(ask(test, redis, djs_redis_command("GET", "tls", NULL))->text.len, len, "GET");
    assert_true(djs_redis_is_quiet(redis));
    djs_redis_close(redis);

    where.host = "127.0.0.1"; /* of which the certificate says nothing */
    assert_status(test->ctx, djs_redis_tls_make(test->ctx, test->pool, where.host, &where.tls),
                  APR_SUCCESS, "make");
    assert_null(djs_redis_open(test->ctx, &where, PLENTY));
    assert_text(test->ctx->problem, "Redis at the server: IP address mismatch", "another host");
    djs_forget(test->ctx);

    where.port = redis_server_port(server); /* takes a greeting for the beginning of a command */
    assert_null(djs_redis_open(test->ctx, &where, SHORT));
    assert_text(test->ctx->problem, "Redis at the server: no TLS in time", "no TLS there");
    djs_forget(test->ctx);
    where.port = port;

    unsetenv("SSL_CERT_FILE");
    where.host = "localhost";
    assert_status(test->ctx, djs_redis_tls_make(test->ctx, test->pool, where.host, &where.tls),
                  APR_SUCCESS, "make");
    assert_null(djs_redis_open(test->ctx, &where, PLENTY));
    assert_non_null(strstr(test->ctx->problem, "self-signed certificate"));
}

#endif

/* ---- Conversations --------------------------------------------------------------------------- */

static void any_bytes_go_and_come_back(void **state)
{
    test_t *test = *state;
    djs_redis_where_t where = at_server();
    djs_redis_t *redis = must_open(test, &where);
    apr_size_t sizes[] = { 0, 1, 16384, 1024 * 1024, 8 * 1024 * 1024 };
    size_t i, at;

    for (i = 0; i < COUNT(sizes); i++) {
        char *data = apr_palloc(test->pool, sizes[i] + 1);
        djs_redis_command_t set = djs_redis_command("SET", "bytes", NULL);

        for (at = 0; at < sizes[i]; at++) {
            data[at] = (char)(at * 7 + at / 256);
        }
        djs_redis_add(&set, djs_bytes_of(data, sizes[i]));
        assert_true(djs_redis_is_ok(ask(test, redis, set)));
        assert_true(djs_bytes_equal(ask(test, redis, djs_redis_command("GET", "bytes", NULL))->text,
                                    djs_bytes_of(data, sizes[i])));
    }
    djs_redis_close(redis);
}

static void a_pipeline_gets_each_reply_in_order(void **state)
{
    test_t *test = *state;
    djs_redis_where_t where = at_server();
    djs_redis_t *redis = must_open(test, &where);
    djs_redis_command_t commands[5];
    djs_redis_reply_t *replies[5];

    commands[0] = djs_redis_command("DEL", "pipe", NULL);
    commands[1] = djs_redis_command("RPUSH", "pipe", "a", "b", NULL);
    commands[2] = djs_redis_command("GET", "pipe", NULL);
    commands[3] = djs_redis_command("LRANGE", "pipe", "0", "-1", NULL);
    commands[4] = djs_redis_command("GET", "nothing", NULL);
    assert_int_equal(djs_redis_ask(test->ctx, redis, PLENTY, commands, 5, replies),
                     DJS_REDIS_ANSWERED);
    assert_int_equal(replies[0]->type, DJS_REDIS_INTEGER);
    assert_int_equal(replies[1]->integer, 2);
    assert_true(djs_redis_is_error(replies[2], "WRONGTYPE"));
    assert_int_equal(replies[3]->type, DJS_REDIS_ARRAY);
    assert_int_equal(replies[3]->count, 2);
    assert_bytes(replies[3]->members[1]->text, djs_bytes("b"), "second member");
    assert_int_equal(replies[4]->type, DJS_REDIS_NIL);
    assert_true(djs_redis_is_quiet(redis));
    djs_redis_close(redis);
}

static void a_server_that_has_gone_is_noticed_before_anything_is_sent(void **state)
{
    test_t *test = *state;
    djs_redis_where_t where = at_server();
    djs_redis_t *redis = must_open(test, &where);

    assert_true(djs_redis_is_quiet(redis));
    redis_server_kill(server);
    assert_false(djs_redis_is_quiet(redis));
    redis_server_revive(server);
    assert_false(djs_redis_is_quiet(redis));
    djs_redis_close(redis);
    djs_redis_close(must_open(test, &where));
}

static void writing_to_the_dead_raises_no_signal(void **state)
{
    test_t *test = *state;
    djs_redis_where_t where = at_server();
    djs_redis_t *redis = must_open(test, &where);
    void (*before)(int) = signal(SIGPIPE, SIG_DFL); /* which would end this program */
    int i;

    redis_server_kill(server);
    for (i = 0; i < 3; i++) { /* the first write meets the reset, the next ones a dead socket */
        assert_int_not_equal(outcome_of(test, redis, PLENTY), DJS_REDIS_ANSWERED);
    }
    djs_redis_close(redis);
    redis_server_revive(server);
    signal(SIGPIPE, before);
}

static void a_silent_server_is_waited_for_no_longer_than_allowed(void **state)
{
    test_t *test = *state;
    fake_redis_t *fake = fake_redis_start(test, djs_bytes(""), FAKE_WAITS);
    djs_redis_where_t where = at_port(fake_redis_port(fake));
    djs_redis_t *redis = must_open(test, &where);

    assert_int_equal(outcome_of(test, redis, SHORT), DJS_REDIS_LATE);
    djs_redis_close(redis);
    where.database = 1; /* so something is asked at once */
    assert_null(djs_redis_open(test->ctx, &where, SHORT));
    assert_non_null(strstr(test->ctx->problem, "got no answer"));
}

/* ---- What a broken or hostile server could say ----------------------------------------------- */

static void whatever_a_server_says_is_an_outcome_and_no_crash(void **state)
{
    test_t *test = *state;
    static const struct {
        const char *answer;
        fake_then_t then;
        djs_redis_outcome_t outcome;
        const char *why;
    } rows[] = {
        { "+OK\r\n", FAKE_WAITS, DJS_REDIS_ANSWERED, "a status" },
        { "-ERR what\r\n", FAKE_CLOSES, DJS_REDIS_ANSWERED, "an error, and good-bye" },
        { "$-1\r\n", FAKE_WAITS, DJS_REDIS_ANSWERED, "nil" },
        { "*-1\r\n", FAKE_WAITS, DJS_REDIS_ANSWERED, "a nil array" },
        { "*0\r\n", FAKE_WAITS, DJS_REDIS_ANSWERED, "an empty array" },
        { "*2\r\n*1\r\n:1\r\n$0\r\n\r\n", FAKE_WAITS, DJS_REDIS_ANSWERED, "arrays in arrays" },
        { "+OK\r\n+OK\r\n", FAKE_WAITS, DJS_REDIS_ANSWERED, "more than was asked" },
        { "", FAKE_CLOSES, DJS_REDIS_LOST, "closed at once" },
        { "+O", FAKE_CLOSES, DJS_REDIS_LOST, "closed in the midst of a line" },
        { "$5\r\nab", FAKE_CLOSES, DJS_REDIS_LOST, "closed in the midst of a string" },
        { "*2\r\n:1\r\n", FAKE_CLOSES, DJS_REDIS_LOST, "closed in the midst of an array" },
        { "$5\r\nab", FAKE_WAITS, DJS_REDIS_LATE, "silent in the midst of a string" },
        { "$9223372036854775807\r\n", FAKE_WAITS, DJS_REDIS_LATE, "a string of 2^63 - 1 bytes" },
        { "$99999999999999999999\r\n", FAKE_WAITS, DJS_REDIS_GARBLED, "a length beyond 64 bits" },
        { "$-2\r\n", FAKE_WAITS, DJS_REDIS_GARBLED, "a negative length" },
        { "$x\r\n", FAKE_WAITS, DJS_REDIS_GARBLED, "a length that is no number" },
        { "*2147483647\r\n", FAKE_WAITS, DJS_REDIS_GARBLED, "an array of 2^31 - 1 members" },
        { "*1000000000\r\n", FAKE_WAITS, DJS_REDIS_GARBLED, "an array of a billion members" },
        { "*2\r\n*1000000000\r\n", FAKE_WAITS, DJS_REDIS_GARBLED, "the same inside of one" },
        { "*-2\r\n", FAKE_WAITS, DJS_REDIS_GARBLED, "a negative number of members" },
        { ":12x\r\n", FAKE_WAITS, DJS_REDIS_GARBLED, "an integer that is none" },
        { "HTTP/1.1 400 Bad Request\r\n\r\n", FAKE_CLOSES, DJS_REDIS_GARBLED, "not Redis" },
        { "\n\n\n", FAKE_WAITS, DJS_REDIS_GARBLED, "empty lines" },
    };
    fake_redis_t *fake = fake_redis_start(test, djs_bytes(""), FAKE_WAITS);
    djs_redis_where_t where = at_port(fake_redis_port(fake));
    size_t i;

    for (i = 0; i < COUNT(rows); i++) {
        apr_interval_time_t within = rows[i].outcome == DJS_REDIS_LATE ? SHORT : PLENTY;
        djs_redis_t *redis = must_open(test, &where);

        fake_redis_answer(fake, djs_bytes(rows[i].answer), rows[i].then);
        assert_number(outcome_of(test, redis, within), rows[i].outcome, rows[i].why);
        djs_redis_close(redis);
    }
}

/* Head, and then so many bytes. */
static djs_bytes_t long_answer(test_t *test, const char *head, apr_size_t len, const char *unit)
{
    apr_size_t at = strlen(head), step = strlen(unit);
    char *data = apr_palloc(test->pool, at + len + step);

    memcpy(data, head, at);
    for (; at < strlen(head) + len; at += step) {
        memcpy(data + at, unit, step);
    }
    return djs_bytes_of(data, at);
}

static void endless_replies_are_cut_off(void **state)
{
    test_t *test = *state;
    static const struct { const char *head, *unit, *why; } rows[] = {
        { "+", "x", "a line without an end" },
        { "$999999999\r\n", "x", "a string larger than we take" },
        { "*3000000\r\n", ":1\r\n", "small members, too many of them" },
        { "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", "*1\r\n", "deep" },
    };
    fake_redis_t *fake = fake_redis_start(test, djs_bytes(""), FAKE_WAITS);
    djs_redis_where_t where = at_port(fake_redis_port(fake));
    size_t i;

    for (i = 0; i < COUNT(rows); i++) {
        djs_redis_t *redis = must_open(test, &where);

        fake_redis_answer(fake, long_answer(test, rows[i].head, DJS_REDIS_REPLIES_MAX + 65536,
                                            rows[i].unit), FAKE_CLOSES);
        assert_number(outcome_of(test, redis, PLENTY), DJS_REDIS_GARBLED, rows[i].why);
        djs_redis_close(redis);
    }
}

/* Pseudo-random, the same in each run: what fails once fails again. */
static unsigned int chance(unsigned int below)
{
    static unsigned int state = 1;

    state = state * 1103515245u + 12345u;
    return (state >> 16) % below;
}

static void no_mutated_reply_breaks_the_reader(void **state)
{
    test_t *test = *state;
    static const char *const replies[] = {
        "$11\r\nhello world\r\n", "*2\r\n$1\r\n0\r\n*2\r\n$2\r\nk1\r\n$2\r\nk2\r\n",
        "-NOSCRIPT No matching script.\r\n", "*1\r\n*1\r\n*1\r\n*1\r\n:-1\r\n", "$-1\r\n",
        ":9223372036854775807\r\n", "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n",
    };
    static const char alphabet[] = "*$+-:_,#(!=%~>|0123456789\r\n\0\xff";
    fake_redis_t *fake = fake_redis_start(test, djs_bytes(""), FAKE_CLOSES);
    djs_redis_where_t where = at_port(fake_redis_port(fake));
    apr_pool_t *pool;
    int i, changes;

    apr_pool_create(&pool, test->pool);
    for (i = 0; i < 1500; i++) {
        test_t one = { pool, test_ctx(pool) };
        djs_bytes_t reply = djs_bytes_copy(pool, djs_bytes(replies[chance(COUNT(replies))]));
        djs_redis_t *redis = must_open(&one, &where);

        for (changes = (int)chance(5); changes > 0; changes--) {
            ((char *)reply.data)[chance((unsigned int)reply.len)]
                = alphabet[chance(sizeof(alphabet) - 1)];
        }
        reply.len -= chance(4) == 0 ? chance((unsigned int)reply.len) : 0;
        fake_redis_answer(fake, reply, FAKE_CLOSES);
        assert_int_not_equal(outcome_of(&one, redis, PLENTY), DJS_REDIS_LATE);
        djs_redis_close(redis);
        apr_pool_clear(pool);
    }
}

static void who_says_more_than_was_asked_is_not_quiet(void **state)
{
    test_t *test = *state;
    fake_redis_t *fake = fake_redis_start(test, djs_bytes("+OK\r\n+MORE\r\n"), FAKE_WAITS);
    djs_redis_where_t where = at_port(fake_redis_port(fake));
    djs_redis_t *redis = must_open(test, &where);

    assert_int_equal(outcome_of(test, redis, PLENTY), DJS_REDIS_ANSWERED);
    assert_false(djs_redis_is_quiet(redis));
    djs_redis_close(redis);
}

static void errors_are_explained_without_quoting(void **state)
{
    test_t *test = *state;
    static const struct { const char *error, *says; } rows[] = {
        { "READONLY You can't write against a read only replica.", "read-only replica" },
        { "LOADING Redis is loading the dataset in memory", "not ready yet" },
        { "OOM command not allowed when used memory > 'maxmemory'.", "full" },
        { "MISCONF Redis is configured to save RDB snapshots", "disk" },
        { "MOVED 3999 127.0.0.1:6381", "Redis Cluster" },
        { "NOAUTH Authentication required.", "wants a password" },
        { "WRONGPASS invalid username-password pair or user is disabled.", "refuses" },
        { "WRONGTYPE Operation against a key holding the wrong kind of value", "no string" },
        { "DENIED Redis is running in protected mode", "protected mode" },
        { "ERR max number of clients reached", "maxclients" },
        { "ERR unknown command 'EVALSHA', with args beginning with: 'session-key'",
          "answers with an error (ERR)" },
        { "SOMETHING session-key", "answers with an error (SOMETHING)" },
        { "session-key", "answers with an error (without a code)" },
        { "", "answers with an error (without a code)" },
        { "AVERYLONGWORDTHATCOULDBEANYTHINGATALL", "answers with an error (without a code)" },
    };
    size_t i;

    for (i = 0; i < COUNT(rows); i++) {
        djs_redis_reply_t reply = { DJS_REDIS_ERROR, 0, djs_bytes(rows[i].error), NULL, 0 };
        const char *text = djs_redis_explain(test->pool, &reply);

        if (strstr(text, rows[i].says) == NULL) {
            fail_msg("%s: %s", rows[i].error, text);
        }
        assert_null(strstr(text, "session-key"));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_server_is_reached_by_tcp_and_by_its_socket),
        TEST(a_database_is_selected),
        TEST(wrong_ways_in_are_told_without_secrets),
        TEST(a_password_and_a_user_with_a_password_let_in),
        TEST(where_nobody_listens_is_told),
        TEST(tls_is_refused_at_start_where_hiredis_has_none),
#ifdef DJS_HIREDIS_TLS
        TEST(tls_is_spoken_to_the_host_that_was_named),
#endif
        TEST(any_bytes_go_and_come_back),
        TEST(a_pipeline_gets_each_reply_in_order),
        TEST(a_server_that_has_gone_is_noticed_before_anything_is_sent),
        TEST(writing_to_the_dead_raises_no_signal),
        TEST(a_silent_server_is_waited_for_no_longer_than_allowed),
        TEST(whatever_a_server_says_is_an_outcome_and_no_crash),
        TEST(endless_replies_are_cut_off),
        TEST(no_mutated_reply_breaks_the_reader),
        TEST(who_says_more_than_was_asked_is_not_quiet),
        TEST(errors_are_explained_without_quoting),
    };
    int failed;

    server = redis_server_start();
    failed = RUN_TESTS(tests);
    redis_server_end(server);
    return failed;
}
