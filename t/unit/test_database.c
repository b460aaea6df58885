/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who gets a connection, and what happens when there is none, or when it dies. With a source that
 * lends as mod_dbd does: a limited number, kept open, the last used first; it waits for ever when
 * all are out, asks the driver whether the next is good, and else throws it away and lends none.
 */
#include "databases.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- A source with a limit and a gate -------------------------------------------------------- */

#define KEPT_MAX 10

/* Who owns the connections that are killed. */
#define MORTAL "djs_mortal"

typedef struct pool_t {
    djs_dbd_source_t direct;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int max;       /* connections that may be out at a time */
    int out;       /* that are */
    int opened, closed;
    int waiting;   /* threads in open() */
    int broken;    /* open() fails at once */
    int largest;   /* most that were out */
    djs_dbd_lent_t kept[KEPT_MAX];
    int kept_count;
} pool_t;

static apr_status_t lend_kept(pool_t *p, djs_dbd_lent_t *lent, const char **why)
{
    if (apr_dbd_check_conn(lent->driver, lent->pool, lent->handle) == APR_SUCCESS) {
        return APR_SUCCESS;
    }
    p->direct.close(p->direct.data, lent);
    *why = "the connection was dead";
    return APR_EGENERAL;
}

static apr_status_t lend(void *data, apr_pool_t *pool, djs_dbd_lent_t *lent, const char **why)
{
    pool_t *p = data;
    apr_status_t rv;
    int is_kept;

    pthread_mutex_lock(&p->lock);
    p->waiting++;
    pthread_cond_broadcast(&p->changed);
    while (p->out >= p->max && !p->broken) {
        pthread_cond_wait(&p->changed, &p->lock);
    }
    p->waiting--;
    pthread_cond_broadcast(&p->changed);
    if (p->broken) {
        pthread_mutex_unlock(&p->lock);
        *why = "broken by the test";
        return APR_EGENERAL;
    }
    p->out++;
    p->largest = p->out > p->largest ? p->out : p->largest;
    is_kept = p->kept_count > 0;
    if (is_kept) {
        *lent = p->kept[--p->kept_count];
    }
    pthread_mutex_unlock(&p->lock);
    rv = is_kept ? lend_kept(p, lent, why) : p->direct.open(p->direct.data, pool, lent, why);
    pthread_mutex_lock(&p->lock);
    p->out -= rv != APR_SUCCESS;
    p->opened += rv == APR_SUCCESS;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return rv;
}

static void take_back(void *data, djs_dbd_lent_t *lent)
{
    pool_t *p = data;

    pthread_mutex_lock(&p->lock);
    assert_true(p->kept_count < KEPT_MAX);
    p->kept[p->kept_count++] = *lent;
    p->out--;
    p->closed++;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

static apr_status_t close_kept(void *data)
{
    pool_t *p = data;

    while (p->kept_count > 0) {
        p->direct.close(p->direct.data, &p->kept[--p->kept_count]);
    }
    return APR_SUCCESS;
}

static void set_max(pool_t *p, int max)
{
    pthread_mutex_lock(&p->lock);
    p->max = max;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

static void set_broken(pool_t *p, int broken)
{
    pthread_mutex_lock(&p->lock);
    p->broken = broken;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

/* Wait until a member has this value; the test hangs, and is ended, if it never has. */
static void await(pool_t *p, const int *member, int value)
{
    pthread_mutex_lock(&p->lock);
    while (*member != value) {
        pthread_cond_wait(&p->changed, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
}

/* ---- State of a test ------------------------------------------------------------------------- */

typedef struct db_state_t {
    test_t test;
    const test_database_t *which;
    pool_t *pool;
    djs_database_t *database;
    apr_pool_t *life; /* of the database */
} db_state_t;

static pool_t *make_pool(test_t *test, const char *driver, const char *params, int max)
{
    pool_t *p = apr_pcalloc(test->pool, sizeof(*p));

    assert_status(test->ctx,
                  djs_dbd_direct_source(test->ctx, test->pool, driver, params, &p->direct),
                  APR_SUCCESS, driver);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    p->max = max;
    apr_pool_cleanup_register(test->pool, p, close_kept, apr_pool_cleanup_null);
    return p;
}

static djs_database_t *open_on(test_t *test, apr_pool_t *life, pool_t *p, const char *driver)
{
    djs_dbd_source_t source = { p, lend, take_back, 1, NULL };
    djs_database_t *database;

    assert_status(test->ctx, djs_database_open(test->ctx, life, &source, driver, &database),
                  APR_SUCCESS, driver);
    return database;
}

static int setup(void **state)
{
    const test_database_t *which = *state;
    db_state_t *s;
    void *made;

    test_setup(&made);
    s = apr_pcalloc(((test_t *)made)->pool, sizeof(*s));
    s->test = *(test_t *)made;
    s->which = which;
    s->pool = make_pool(&s->test, which->driver, which->params, 1);
    assert_int_equal(apr_pool_create(&s->life, s->test.pool), APR_SUCCESS);
    s->database = open_on(&s->test, s->life, s->pool, which->driver);
    *state = s;
    return 0;
}

static int is(const db_state_t *s, const char *name)
{
    return strcmp(s->which->name, name) == 0;
}

/* Live as long as the program, as the connections they are prepared on. */
static const djs_statement_t one = { "one", "cannot count to one", "SELECT '1'", 0, 1 };
static const djs_statement_t two = { "two", "cannot count to two", "SELECT '2'", 0, 1 };

static apr_status_t take_text(void *baton, djs_ctx_t *ctx, const djs_bytes_t *columns, int count)
{
    (void)count;
    *(const char **)baton = djs_bytes_copy(ctx->pool, columns[0]).data;
    return APR_SUCCESS;
}

static apr_status_t ask(djs_ctx_t *ctx, djs_database_t *database, const djs_statement_t *statement)
{
    const char *text = NULL;
    apr_status_t rv = djs_database_select(ctx, database, statement, NULL, take_text, &text);

    if (rv == APR_SUCCESS && text == NULL) {
        return APR_NOTFOUND;
    }
    return rv;
}

/* In a context of its own with this patience. */
static apr_status_t ask_within(db_state_t *s, apr_interval_time_t patience,
                               apr_interval_time_t *left)
{
    djs_ctx_t *ctx = test_ctx(s->test.pool);
    apr_status_t rv;

    ctx->patience = patience;
    rv = ask(ctx, s->database, &one);
    if (left != NULL) {
        *left = ctx->patience;
    }
    if (rv != APR_SUCCESS) {
        assert_non_null(ctx->problem);
    }
    return rv;
}

#define SHORT (300 * 1000)
#define LONG apr_time_from_sec(60)

/* ---- Sharing --------------------------------------------------------------------------------- */

typedef struct asker_t {
    djs_database_t *database;
    pthread_t thread;
    int times;
    int failures;
    volatile int *stop;
} asker_t;

static void *run_asker(void *data)
{
    asker_t *asker = data;
    int i;

    for (i = 0; i < asker->times || (asker->stop != NULL && !*asker->stop); i++) {
        apr_pool_t *pool;
        djs_ctx_t *ctx;

        if (apr_pool_create(&pool, NULL) != APR_SUCCESS) {
            abort();
        }
        ctx = test_ctx(pool);
        asker->failures += ask(ctx, asker->database, i % 2 ? &one : &two) != APR_SUCCESS;
        apr_pool_destroy(pool);
    }
    return NULL;
}

static void many_requests_share_one_connection(void **state)
{
    db_state_t *s = *state;
    asker_t askers[20];
    int i;

    for (i = 0; i < 20; i++) {
        askers[i] = (asker_t){ s->database, 0, 50, 0, NULL };
        assert_int_equal(pthread_create(&askers[i].thread, NULL, run_asker, &askers[i]), 0);
    }
    for (i = 0; i < 20; i++) {
        pthread_join(askers[i].thread, NULL);
        assert_number(askers[i].failures, 0, "each of them got its turns");
    }
    assert_number(s->pool->largest, 1, "there is one");
}

static void a_connection_goes_back_when_nobody_wants_it(void **state)
{
    db_state_t *s = *state;

    assert_status(NULL, ask_within(s, LONG, NULL), APR_SUCCESS, "used once");
    await(s->pool, &s->pool->out, 0); /* for other users of the source */
    assert_status(NULL, ask_within(s, LONG, NULL), APR_SUCCESS, "and had again");
}

static void other_users_of_the_source_get_their_turn_while_we_are_busy(void **state)
{
    db_state_t *s = *state;
    volatile int stop = 0;
    asker_t asker = { s->database, 0, 1, 0, NULL };
    int i;

    asker.stop = &stop;
    assert_int_equal(pthread_create(&asker.thread, NULL, run_asker, &asker), 0);
    for (i = 0; i < 5; i++) {
        djs_dbd_lent_t lent;
        const char *why = NULL;
        apr_pool_t *pool;

        assert_int_equal(apr_pool_create(&pool, NULL), APR_SUCCESS);
        assert_int_equal(lend(s->pool, pool, &lent, &why), APR_SUCCESS); /* or the test hangs */
        take_back(s->pool, &lent);
        apr_pool_destroy(pool);
    }
    stop = 1;
    pthread_join(asker.thread, NULL);
    assert_number(asker.failures, 0, "and we get ours");
}

/* ---- No connection --------------------------------------------------------------------------- */

static void the_wait_for_a_connection_is_bounded(void **state)
{
    db_state_t *s = *state;
    apr_interval_time_t left;

    set_max(s->pool, 0); /* somebody else has all of them */
    assert_status(NULL, ask_within(s, SHORT, &left), DJS_ESTORE, "nobody gave one back");
    assert_number(left, 0, "all patience was used");
    set_max(s->pool, 1);
    while (ask_within(s, LONG, NULL) != APR_SUCCESS) {
        /* the moment until it is noticed */
    }
}

/* Asks until there is an answer. */
static void *run_prober(void *data)
{
    asker_t *prober = data;

    do {
        prober->times = 1;
        prober->failures = 0;
        run_asker(prober);
    } while (prober->failures > 0);
    return NULL;
}

static void while_it_is_down_all_but_one_fail_at_once(void **state)
{
    db_state_t *s = *state;
    asker_t prober = { s->database, 0, 1, 0, NULL };
    apr_interval_time_t left;

    set_max(s->pool, 0);
    assert_status(NULL, ask_within(s, SHORT, NULL), DJS_ESTORE, "now it is down");
    assert_int_equal(pthread_create(&prober.thread, NULL, run_prober, &prober), 0);
    do { /* until the prober is the one that waits */
        usleep(1000); /* gives way */
        assert_status(NULL, ask_within(s, SHORT, &left), DJS_ESTORE, "still down");
    } while (left == 0);
    assert_status(NULL, ask_within(s, LONG, &left), DJS_ESTORE, "a probe is under way");
    assert_true(left > LONG / 2);
    set_max(s->pool, 1);
    pthread_join(prober.thread, NULL); /* who probed has the answer */
    assert_status(NULL, ask_within(s, LONG, NULL), APR_SUCCESS, "and it is up for all");
}

static void a_refused_connection_fails_at_once_and_recovers(void **state)
{
    db_state_t *s = *state;
    apr_interval_time_t left;
    int i;

    set_broken(s->pool, 1);
    for (i = 0; i < 20; i++) {
        assert_status(NULL, ask_within(s, LONG, &left), DJS_ESTORE, "refused");
        assert_true(left > LONG / 2);
    }
    set_broken(s->pool, 0);
    while (ask_within(s, LONG, NULL) != APR_SUCCESS) {
        /* until the next probe is due */
    }
    assert_status(NULL, ask_within(s, LONG, NULL), APR_SUCCESS, "up again");
}

static void a_wait_ends_when_the_database_is_closed(void **state)
{
    db_state_t *s = *state;
    asker_t asker = { s->database, 0, 1, 0, NULL };

    set_max(s->pool, 0);
    assert_int_equal(pthread_create(&asker.thread, NULL, run_asker, &asker), 0);
    await(s->pool, &s->pool->waiting, 1);
    apr_pool_destroy(s->life); /* although its thread is stuck in the source */
    pthread_join(asker.thread, NULL);
    assert_number(asker.failures, 1, "no connection, no answer");
    set_broken(s->pool, 1); /* the stuck one goes, before its source does */
    await(s->pool, &s->pool->waiting, 0);
}

static void all_connections_go_back_when_the_database_is_closed(void **state)
{
    db_state_t *s = *state;

    assert_status(NULL, ask_within(s, LONG, NULL), APR_SUCCESS, "one is ours");
    apr_pool_destroy(s->life);
    assert_number(s->pool->out, 0, "none is");
    assert_number(s->pool->closed, s->pool->opened, "each went back once");
}

static void a_database_that_was_never_asked_has_no_threads(void **state)
{
    db_state_t *s = *state;

    apr_pool_destroy(s->life);
    assert_number(s->pool->opened, 0, "nothing was opened");
}

static void a_pool_of_the_child_ends_it_too(void **state)
{
    db_state_t *s = *state;
    apr_pool_t *child;

    assert_int_equal(apr_pool_create(&child, s->test.pool), APR_SUCCESS);
    djs_database_stop_with(s->database, child);
    assert_status(NULL, ask_within(s, LONG, NULL), APR_SUCCESS, "in the child");
    apr_pool_destroy(child);
    assert_number(s->pool->out, 0, "went back with the child's pool");
    assert_status(NULL, ask_within(s, LONG, NULL), DJS_ESTORE, "and nothing is opened any more");
}

/* ---- Connections that die -------------------------------------------------------------------- */

/* End all connections of this program but the one that does it: others use the servers, too. */
static void kill_connections(db_state_t *s)
{
    if (is(s, "postgresql")) {
        test_database_sql(s->which, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                    "WHERE pid <> pg_backend_pid() AND usename = '" MORTAL "'");
    }
    else if (is(s, "mysql")) {
        test_database_sql(s->which,
                          /* 1094: one that has ended meanwhile, as if by itself. */
                          "BEGIN NOT ATOMIC DECLARE CONTINUE HANDLER FOR 1094 BEGIN END;"
                          " FOR one IN (SELECT id FROM information_schema.processlist"
                          " WHERE user = '" MORTAL "' AND id <> CONNECTION_ID())"
                          " DO KILL one.id; END FOR; END");
    }
}

static void a_dead_idle_connection_is_replaced_unnoticed(void **state)
{
    db_state_t *s = *state;
    int i;

    for (i = 0; i < 10; i++) {
        assert_status(NULL, ask_within(s, LONG, NULL), APR_SUCCESS, "alive");
        if (i % 2 == 0) {
            await(s->pool, &s->pool->out, 0); /* it has gone back before */
        }
        kill_connections(s);
    }
    assert_status(NULL, ask_within(s, LONG, NULL), APR_SUCCESS, "replaced");
}

/* With the driver told not to connect anew by itself: then only the source replaces. */
static void many_dead_connections_are_replaced_unnoticed(void **state)
{
    db_state_t *s = *state;
    pool_t *p = make_pool(&s->test, s->which->driver,
                          is(s, "mysql") ? apr_pstrcat(s->test.pool, s->which->params,
                                                       ",reconnect=0", NULL)
                                         : s->which->params, 3);
    djs_database_t *database = open_on(&s->test, s->life, p, s->which->driver);
    asker_t askers[6];
    int round, i;

    for (round = 0; round < 3; round++) {
        for (i = 0; i < 6; i++) {
            askers[i] = (asker_t){ database, 0, 30, 0, NULL };
            assert_int_equal(pthread_create(&askers[i].thread, NULL, run_asker, &askers[i]), 0);
        }
        for (i = 0; i < 6; i++) {
            pthread_join(askers[i].thread, NULL);
            assert_number(askers[i].failures, 0, "although all were dead");
        }
        kill_connections(s);
    }
}

/* How often this thread has looked; the linker puts this in the place of poll() (t/local.mk). */
static __thread int looks;

int __real_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
    looks++;
    return __real_poll(fds, count, timeout);
}

static const djs_statement_t once = { "once", "cannot count to one", "SELECT '1'", 0, 0 };

/* However long ago its connection has answered: it would be run again on another. */
static void only_a_statement_that_is_run_once_is_preceded_by_a_look(void **state)
{
    db_state_t *s = *state;
    djs_ctx_t *ctx = test_ctx(s->test.pool);
    int i;

    looks = 0;
    for (i = 0; i < 20; i++) {
        assert_status(ctx, ask(ctx, s->database, i % 2 ? &one : &two), APR_SUCCESS, "again");
        if (i % 4 == 0) {
            await(s->pool, &s->pool->out, 0); /* the next has another loan */
        }
    }
    assert_number(looks, 0, "may be run again");
    await(s->pool, &s->pool->out, 0);
    assert_status(ctx, ask(ctx, s->database, &once), APR_SUCCESS, "once");
    assert_number(looks, !is(s, "sqlite"), "has not answered us yet");
}

/* A source of one connection, which stays open, and loses what was prepared on it between loans. */
typedef struct forgetful_t {
    db_state_t *s;
    djs_dbd_lent_t lent;
    int loans;
} forgetful_t;

static apr_status_t lend_forgetful(void *data, apr_pool_t *pool, djs_dbd_lent_t *lent,
                                   const char **why)
{
    forgetful_t *forgetful = data;
    apr_status_t rv = APR_SUCCESS;
    int rows;

    if (forgetful->loans++ == 0) {
        rv = lend(forgetful->s->pool, pool, &forgetful->lent, why);
    }
    else if (is(forgetful->s, "postgresql")) {
        assert_int_equal(apr_dbd_query(forgetful->lent.driver, forgetful->lent.handle, &rows,
                                       "DEALLOCATE ALL"), 0);
    }
    *lent = forgetful->lent;
    return rv;
}

static void keep(void *data, djs_dbd_lent_t *lent)
{
    (void)data;
    (void)lent;
}

static void lost_statements_are_prepared_anew(void **state)
{
    db_state_t *s = *state;
    forgetful_t forgetful = { s, { NULL, NULL, NULL, NULL }, 0 };
    djs_dbd_source_t source = { &forgetful, lend_forgetful, keep, 1, NULL };
    djs_database_t *database;
    apr_pool_t *life;
    int i;

    assert_int_equal(apr_pool_create(&life, s->test.pool), APR_SUCCESS);
    assert_status(s->test.ctx,
                  djs_database_open(s->test.ctx, life, &source, s->which->driver, &database),
                  APR_SUCCESS, "open");
    for (i = 0; forgetful.loans < 5; i++) {
        assert_status(s->test.ctx, ask(s->test.ctx, database, &one), APR_SUCCESS, "one");
        assert_status(s->test.ctx, ask(s->test.ctx, database, &two), APR_SUCCESS, "two");
        usleep(i > 0 ? 25000 : 0); /* long enough for the connection to go back, now and then */
    }
    apr_pool_destroy(life);
    take_back(s->pool, &forgetful.lent);
}

/* The columns of a table that changes. */
static const djs_statement_t read_changing = { "read", "cannot read",
                                               "SELECT data FROM changing WHERE id = %s", 1, 1 };

static apr_status_t read_row(db_state_t *s, const char **text)
{
    const char *id = "1";
    djs_ctx_t *ctx = test_ctx(s->test.pool);

    *text = NULL;
    return djs_database_select(ctx, s->database, &read_changing, &id, take_text, text);
}

static void a_table_that_changes_under_us_is_no_failure(void **state)
{
    static const char *const changes[] = {
        "ALTER TABLE changing ADD COLUMN more varchar(20)",
        "CREATE INDEX changing_index ON changing (more)",
        "ALTER TABLE changing ALTER COLUMN data TYPE text",
        ("DROP TABLE changing; CREATE TABLE changing (data varchar(20), id varchar(20) PRIMARY KEY);"
         "INSERT INTO changing VALUES ('kept', '1')"),
    };
    db_state_t *s = *state;
    const char *text;
    apr_size_t i;

    test_database_sql(s->which, "CREATE TABLE changing (id varchar(20) PRIMARY KEY, data varchar(20))");
    test_database_sql(s->which, "INSERT INTO changing VALUES ('1', 'kept')");
    for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        assert_status(NULL, read_row(s, &text), APR_SUCCESS, "before");
        assert_text(text, "kept", "before");
        if ((strstr(changes[i], "TYPE") != NULL && !is(s, "postgresql")) ||
            (strchr(changes[i], ';') != NULL && is(s, "mysql"))) {
            continue; /* not its SQL, or not in one call */
        }
        test_database_sql(s->which, changes[i]);
        assert_status(NULL, read_row(s, &text), APR_SUCCESS, changes[i]);
        assert_text(text, "kept", changes[i]);
    }
    test_database_sql(s->which, "DROP TABLE changing");
    assert_status(NULL, read_row(s, &text), DJS_ESTORE, "a table that is gone is one");
}

static void an_error_is_told_and_the_connection_goes_on(void **state)
{
    static const djs_statement_t wrong = { "wrong", "cannot read table \"no_such_table\"",
                                           "SELECT x FROM no_such_table WHERE x = %s", 1, 1 };
    db_state_t *s = *state;
    const char *secret = "a secret argument";
    const char *text;
    int i;

    for (i = 0; i < 5; i++) {
        djs_ctx_t *ctx = test_ctx(s->test.pool);

        assert_status(ctx, djs_database_select(ctx, s->database, &wrong, &secret, take_text, &text),
                      DJS_ESTORE, "no such table");
        assert_non_null(strstr(ctx->problem, "no_such_table"));
        assert_null(strstr(ctx->problem, "secret argument"));
        assert_status(NULL, ask_within(s, LONG, NULL), APR_SUCCESS, "the next statement runs");
    }
    assert_true(s->pool->opened <= 6); /* no reason to connect anew */
}

/* ---- Statements that do not end -------------------------------------------------------------- */

static const djs_statement_t endless[TEST_DATABASES] = {
    { "endless", "cannot wait",
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n", 0, 1 },
    { "endless", "cannot wait", "SELECT CAST(pg_sleep(600) AS text)", 0, 1 },
    { "endless", "cannot wait", "SELECT CAST(SLEEP(600) AS CHAR)", 0, 1 },
};

static void a_statement_that_does_not_end_is_cut(void **state)
{
    db_state_t *s = *state;
    const djs_statement_t *statement = &endless[s->which - test_databases()];
    djs_ctx_t *ctx = test_ctx(s->test.pool);

    ctx->patience = SHORT;
    assert_status(ctx, ask(ctx, s->database, statement), DJS_ESTORE, "cut");
    assert_non_null(strstr(ctx->problem, "in time"));
    assert_number(ctx->patience, 0, "all patience was used");
    assert_status(NULL, ask_within(s, LONG, NULL), APR_SUCCESS, "the next one runs at once");
}

/* The test hangs, and is ended, if the second is not cut before the first's patience is over. */
static void who_is_more_patient_keeps_nobody_from_being_cut(void **state)
{
    db_state_t *s = *state;
    djs_ctx_t *ctx = test_ctx(s->test.pool);

    assert_status(NULL, ask_within(s, apr_time_from_sec(86400), NULL), APR_SUCCESS, "for a day");
    ctx->patience = SHORT;
    assert_status(ctx, ask(ctx, s->database, &endless[s->which - test_databases()]), DJS_ESTORE,
                  "cut");
    assert_non_null(strstr(ctx->problem, "in time"));
}

static djs_dbd_lent_t in_hand;

static int hold(void *data, djs_ctx_t *ctx, djs_dbd_lent_t *lent)
{
    (void)data;
    (void)ctx;
    *lent = in_hand;
    return 1;
}

static void what_the_caller_holds_already_is_used_and_watched(void **state)
{
    db_state_t *s = *state;
    djs_dbd_source_t source = { s->pool, lend, take_back, 1, hold };
    djs_ctx_t *ctx = test_ctx(s->test.pool);
    djs_database_t *database;
    apr_pool_t *life;
    const char *why;

    assert_int_equal(apr_pool_create(&life, s->test.pool), APR_SUCCESS);
    assert_int_equal(lend(s->pool, s->test.pool, &in_hand, &why), APR_SUCCESS);
    assert_status(ctx, djs_database_open(ctx, life, &source, s->which->driver, &database),
                  APR_SUCCESS, "open");
    assert_status(ctx, ask(ctx, database, &one), APR_SUCCESS, "although there is no other");
    assert_number(s->pool->opened, 1, "although there is no other");
    ctx->patience = SHORT;
    assert_status(ctx, ask(ctx, database, &endless[s->which - test_databases()]), DJS_ESTORE, "cut");
    set_max(s->pool, 2); /* for a server it is dead now */
    ctx = test_ctx(s->test.pool);
    assert_status(ctx, ask(ctx, database, &one), APR_SUCCESS, "another one instead");
    apr_pool_destroy(life);
    take_back(s->pool, &in_hand);
}

static const djs_statement_t insert_row[TEST_DATABASES] = {
    { "insert", "cannot insert", "INSERT INTO django_session VALUES (%s, 'x', %s)", 2, 0 },
    { "insert", "cannot insert", "INSERT INTO django_session VALUES (%s, 'x', %pDz)", 2, 0 },
    { "insert", "cannot insert", "INSERT INTO django_session VALUES (%s, 'x', %s)", 2, 0 },
};

static apr_status_t insert(db_state_t *s, djs_ctx_t *ctx, const char *key)
{
    const char *args[2] = { key, "2025-01-01 00:00:00" };
    int rows;

    return djs_database_execute(ctx, s->database, &insert_row[s->which - test_databases()], args,
                                &rows, NULL);
}

/* Locks the table for as long as it lives. */
typedef struct locker_t {
    const apr_dbd_driver_t *driver;
    apr_dbd_t *handle;
} locker_t;

static void lock_table(db_state_t *s, locker_t *locker)
{
    static const char *const sql[TEST_DATABASES] = {
        "BEGIN EXCLUSIVE", "BEGIN; LOCK TABLE django_session", "LOCK TABLES django_session WRITE",
    };
    int rows;

    assert_int_equal(apr_dbd_get_driver(s->test.pool, s->which->driver, &locker->driver),
                     APR_SUCCESS);
    assert_int_equal(apr_dbd_open(locker->driver, s->test.pool, s->which->params, &locker->handle),
                     APR_SUCCESS);
    assert_int_equal(apr_dbd_query(locker->driver, locker->handle, &rows,
                                   sql[s->which - test_databases()]), 0);
}

static void *unlock_later(void *data)
{
    locker_t *locker = data;

    usleep(200 * 1000); /* no order depends on it: only that it ends while the other waits, or before */
    apr_dbd_close(locker->driver, locker->handle);
    return NULL;
}

static void the_wait_for_anothers_lock_is_bounded(void **state)
{
    db_state_t *s = *state;
    djs_ctx_t *ctx = test_ctx(s->test.pool);
    locker_t locker;

    assert_status(NULL, ask_within(s, LONG, NULL), APR_SUCCESS, "connected");
    lock_table(s, &locker);
    ctx->patience = SHORT;
    assert_status(ctx, insert(s, ctx, "locked out"), DJS_ESTORE, "locked");
    assert_true(ctx->patience < SHORT / 3);
    assert_status(NULL, ask_within(s, LONG, NULL), APR_SUCCESS, "what needs no lock runs on");
    apr_dbd_close(locker.driver, locker.handle);
}

static void anothers_lock_is_waited_for(void **state)
{
    db_state_t *s = *state;
    djs_ctx_t *ctx = test_ctx(s->test.pool);
    pthread_t thread;
    locker_t locker;

    lock_table(s, &locker);
    assert_int_equal(pthread_create(&thread, NULL, unlock_later, &locker), 0);
    assert_status(ctx, insert(s, ctx, "waited for a lock"), APR_SUCCESS, "in the end");
    pthread_join(thread, NULL);
    /* Other programs have rows in this table at the same time. */
    test_database_sql(s->which, "DELETE FROM django_session WHERE session_key = 'waited for a lock'");
}

/* Accepts connections (the kernel does), and never says a word. */
static int silent_server(int *port)
{
    struct sockaddr_in address;
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 50), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void a_server_that_says_nothing_costs_no_more_than_patience(void **state)
{
    db_state_t *s = *state;
    djs_ctx_t *ctx = test_ctx(s->test.pool);
    djs_database_t *silent;
    apr_pool_t *life;
    pool_t *p;
    int port, fd;

    if (is(s, "sqlite")) {
        return; /* no server */
    }
    fd = silent_server(&port);
    p = make_pool(&s->test, s->which->driver,
                  apr_psprintf(s->test.pool, "host=127.0.0.1 port=%d user=djs dbname=djs", port), 1);
    assert_int_equal(apr_pool_create(&life, s->test.pool), APR_SUCCESS);
    silent = open_on(&s->test, life, p, s->which->driver);
    ctx->patience = SHORT;
    assert_status(ctx, ask(ctx, silent, &one), DJS_ESTORE, "silence");
    assert_number(ctx->patience, 0, "all patience was used");
    close(fd); /* which ends its connections, and so the thread that is stuck */
    await(p, &p->out, 0);
    apr_pool_destroy(life);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

#ifdef __SANITIZE_ADDRESS__
size_t __sanitizer_get_current_allocated_bytes(void); /* gcc installs no header of it */

/* What is freed stays resident for long, to be watched; so count what is allocated. */
static long kilobytes_in_use(void)
{
    return (long)(__sanitizer_get_current_allocated_bytes() / 1024);
}
#else
static long kilobytes_in_use(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long all, resident = 0;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &all, &resident), 2);
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}
#endif

static void run_many(db_state_t *s, int times)
{
    apr_pool_t *pool;

    assert_int_equal(apr_pool_create(&pool, s->test.pool), APR_SUCCESS);
    for (; times > 0; times--) {
        djs_ctx_t *ctx = test_ctx(pool);

        assert_status(ctx, ask(ctx, s->database, times % 2 ? &one : &two), APR_SUCCESS, "one of many");
        apr_pool_clear(pool);
    }
    apr_pool_destroy(pool);
}

static void many_statements_on_a_connection_cost_no_memory(void **state)
{
    db_state_t *s = *state;
    long before;

    run_many(s, 2000);
    before = kilobytes_in_use();
    run_many(s, 20000);
    assert_in_range(kilobytes_in_use(), 0, before + 1000); /* 50 bytes a statement would show */
}

/* ---- On each database ------------------------------------------------------------------------ */

static void quoting_follows_the_dialect(void **state)
{
    db_state_t *s = *state;
    int mysql = is(s, "mysql");

    assert_text(djs_database_quote(s->test.pool, s->database, "plain"),
                mysql ? "`plain`" : "\"plain\"", "a name");
    assert_text(djs_database_quote(s->test.pool, s->database, "schema.table"),
                mysql ? "`schema`.`table`" : "\"schema\".\"table\"", "a name in a schema");
    assert_text(djs_database_quote(s->test.pool, s->database, "a\"b`c%d"),
                mysql ? "`a\"b``c%%d`" : "\"a\"\"b`c%%d\"", "marks are doubled");
}

static apr_status_t join_columns(void *baton, djs_ctx_t *ctx, const djs_bytes_t *columns, int count)
{
    const char **joined = baton;
    int i;

    *joined = "";
    for (i = 0; i < count; i++) {
        *joined = apr_pstrcat(ctx->pool, *joined,
                              columns[i].data == NULL
                                  ? "(none)" : djs_bytes_copy(ctx->pool, columns[i]).data,
                              "|", NULL);
    }
    return APR_SUCCESS;
}

static const char *columns_of(db_state_t *s, const djs_statement_t *statement)
{
    const char *joined = NULL;

    assert_status(s->test.ctx, djs_database_select(s->test.ctx, s->database, statement, NULL,
                                                   join_columns, &joined),
                  APR_SUCCESS, statement->sql);
    return joined;
}

/* Each column as text, whatever the library has it as. */
static void numbers_arrive_as_their_digits(void **state)
{
    static const djs_statement_t few = {
        "few", "cannot count", "SELECT 0, 7, -42, NULL, '', 'text'", 0, 6
    };
    static const djs_statement_t wide = {
        "wide", "cannot count", "SELECT 9223372036854775807, -9223372036854775808", 0, 2
    };
    db_state_t *s = *state;

    assert_text(columns_of(s, &few), "0|7|-42|(none)||text|", "few digits");
    if (!is(s, "mysql")) { /* apr_dbd_mysql has room for eight, of a number that is of no column */
        assert_text(columns_of(s, &wide), "9223372036854775807|-9223372036854775808|", "many");
    }
}

static const database_row_t rows[] = {
    ON_EACH_DATABASE(many_requests_share_one_connection),
    ON_EACH_DATABASE(a_connection_goes_back_when_nobody_wants_it),
    ON_EACH_DATABASE(other_users_of_the_source_get_their_turn_while_we_are_busy),
    ON_EACH_DATABASE(the_wait_for_a_connection_is_bounded),
    ON_EACH_DATABASE(while_it_is_down_all_but_one_fail_at_once),
    ON_EACH_DATABASE(a_refused_connection_fails_at_once_and_recovers),
    ON_EACH_DATABASE(a_wait_ends_when_the_database_is_closed),
    ON_EACH_DATABASE(all_connections_go_back_when_the_database_is_closed),
    ON_EACH_DATABASE(a_database_that_was_never_asked_has_no_threads),
    ON_EACH_DATABASE(a_pool_of_the_child_ends_it_too),
    ON_EACH_DATABASE(a_dead_idle_connection_is_replaced_unnoticed),
    ON_EACH_DATABASE(many_dead_connections_are_replaced_unnoticed),
    ON_EACH_DATABASE(only_a_statement_that_is_run_once_is_preceded_by_a_look),
    ON_EACH_DATABASE(lost_statements_are_prepared_anew),
    ON_EACH_DATABASE(a_table_that_changes_under_us_is_no_failure),
    ON_EACH_DATABASE(an_error_is_told_and_the_connection_goes_on),
    ON_EACH_DATABASE(a_statement_that_does_not_end_is_cut),
    ON_EACH_DATABASE(who_is_more_patient_keeps_nobody_from_being_cut),
    ON_EACH_DATABASE(what_the_caller_holds_already_is_used_and_watched),
    ON_EACH_DATABASE(the_wait_for_anothers_lock_is_bounded),
    ON_EACH_DATABASE(anothers_lock_is_waited_for),
    ON_EACH_DATABASE(a_server_that_says_nothing_costs_no_more_than_patience),
    ON_EACH_DATABASE(many_statements_on_a_connection_cost_no_memory),
    ON_EACH_DATABASE(quoting_follows_the_dialect),
    ON_EACH_DATABASE(numbers_arrive_as_their_digits),
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

int main(void)
{
    static struct CMUnitTest tests[TEST_DATABASES * ROWS];
    size_t count;
    int failed;

    test_databases_as(MORTAL);
    count = test_on_databases(tests, 0, rows, ROWS, setup);
    failed = test_run("database", tests, count);
    test_databases_end();
    return failed;
}
