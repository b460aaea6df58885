/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PostgreSQL and MySQL through apr_dbd, and what all connections share. SQLite's own part is in
 * connection_sqlite.c.
 */
#include "connection_impl.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <apr_buckets.h>

/* Where the state of a connection is found in its pool. */
#define USERDATA_KEY "mod_django_session.connection"

/* So much of a database's message is passed on. */
#define SAID_MAX 200
/* Shorter arguments are no secrets, and would be masked in every other word. */
#define MASKED_MIN 4

/* ---- The client library ---------------------------------------------------------------------- */

/*
 * Functions of the library that the driver was linked with. Taken from the driver's own
 * dependencies, since another copy of the library may be in the process (PHP's, say).
 */
int djs_library_find(const apr_dbd_driver_t *driver, const djs_symbol_t *wanted, void *functions)
{
    Dl_info info;
    void *library = NULL;
    int missing = 0;

    if (dladdr(driver, &info) != 0) {
        library = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    }
    for (; wanted->name != NULL; wanted++) {
        void *address = dlsym(library != NULL ? library : RTLD_DEFAULT, wanted->name);

        memcpy((char *)functions + wanted->offset, &address, sizeof(address));
        missing += address == NULL && wanted->needed;
    }
    if (library != NULL) {
        dlclose(library); /* the driver keeps it loaded */
    }
    return missing == 0;
}

static const djs_symbol_t pgsql_symbols[] = {
    { "PQstatus", offsetof(djs_pgsql_library_t, status), 1 },
    { "PQsocket", offsetof(djs_pgsql_library_t, socket), 1 },
    { "PQbackendPID", offsetof(djs_pgsql_library_t, backend), 1 },
    { "PQsetErrorVerbosity", offsetof(djs_pgsql_library_t, set_verbosity), 1 },
    { NULL, 0, 0 },
};

/* libmysqlclient has no mysql_get_socket; libmariadb, with which Debian builds apr-util, does. */
static const djs_symbol_t mysql_symbols[] = {
    { "mysql_get_socket", offsetof(djs_mysql_library_t, socket), 0 },
    { "mysql_thread_id", offsetof(djs_mysql_library_t, thread_id), 1 },
    { NULL, 0, 0 },
};

static int find_library(djs_connection_t *c)
{
    switch (c->dialect) {
    case DJS_POSTGRESQL:
        return djs_library_find(c->lent.driver, pgsql_symbols, &c->library.pgsql);
    case DJS_MYSQL:
        return djs_library_find(c->lent.driver, mysql_symbols, &c->library.mysql);
    default:
        return djs_sqlite_find(c);
    }
}

/* ---- State ----------------------------------------------------------------------------------- */

static void set_socket(djs_connection_t *c, int fd)
{
    int old;

    pthread_mutex_lock(&c->lock);
    old = c->fd;
    c->fd = fd;
    pthread_mutex_unlock(&c->lock);
    if (old >= 0) {
        close(old);
    }
}

static apr_status_t end_connection(void *data)
{
    djs_connection_t *c = data;

    set_socket(c, -1);
    pthread_mutex_destroy(&c->lock);
    return APR_SUCCESS;
}

/* A statement that is prepared on this connection; its pool is its own. */
typedef struct prepared_t {
    const djs_statement_t *statement;
    apr_pool_t *pool;
    apr_dbd_prepared_t *handle;
} prepared_t;

static void forget_all(djs_connection_t *c)
{
    apr_pool_clear(c->prepared_pool);
    c->prepared = apr_hash_make(c->prepared_pool);
}

static void forget(djs_connection_t *c, const djs_statement_t *statement)
{
    prepared_t *prepared = apr_hash_get(c->prepared, &statement, sizeof(statement));

    if (prepared != NULL) {
        apr_hash_set(c->prepared, &statement, sizeof(statement), NULL);
        apr_pool_destroy(prepared->pool);
    }
}

/*
 * A driver may have connected anew at any time since we last looked: then statements are gone and
 * the socket is another one. The socket is duplicated, so that the number which djs_connection_cut()
 * uses is ours alone, however the driver closes its own.
 */
static void follow_reconnection(djs_connection_t *c)
{
    unsigned long server_side;
    int fd = -1;

    if (c->dialect == DJS_SQLITE) {
        return;
    }
    server_side = c->dialect == DJS_POSTGRESQL ? (unsigned long)c->library.pgsql.backend(c->native)
                                               : c->library.mysql.thread_id(c->native);
    if (server_side == c->server_side && c->fd >= 0) {
        return;
    }
    if (server_side != c->server_side) {
        forget_all(c);
        c->server_side = server_side;
    }
    if (c->dialect == DJS_POSTGRESQL) {
        fd = c->library.pgsql.socket(c->native);
    }
    else if (c->library.mysql.socket != NULL) {
        fd = c->library.mysql.socket(c->native);
    }
    set_socket(c, fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

static djs_connection_t *make_connection(const djs_dbd_lent_t *lent, djs_dialect_t dialect)
{
    apr_pool_t *pool;
    djs_connection_t *c;

    /* A pool below the connection's: gone before the connection is closed. */
    if (apr_pool_create(&pool, lent->pool) != APR_SUCCESS) {
        return NULL;
    }
    c = apr_pcalloc(pool, sizeof(*c));
    c->lent = *lent;
    c->dialect = dialect;
    c->fd = -1;
    c->pool = pool;
    c->native = apr_dbd_native_handle(lent->driver, lent->handle);
    if (!find_library(c) || apr_pool_create(&c->prepared_pool, pool) != APR_SUCCESS) {
        apr_pool_destroy(pool);
        return NULL;
    }
    c->prepared = apr_hash_make(c->prepared_pool);
    pthread_mutex_init(&c->lock, NULL);
    apr_pool_cleanup_register(pool, c, end_connection, apr_pool_cleanup_null);
    apr_pool_userdata_setn(c, USERDATA_KEY, NULL, lent->pool);
    return c;
}

apr_status_t djs_connection_of(const djs_dbd_lent_t *lent, djs_dialect_t dialect,
                               djs_connection_t **connection, const char **why)
{
    void *found = NULL;

    apr_pool_userdata_get(&found, USERDATA_KEY, lent->pool);
    *connection = found != NULL ? found : make_connection(lent, dialect);
    if (*connection == NULL) {
        *why = "the client library of apr-util's driver does not offer what is needed";
        return DJS_EUNSUPPORTED;
    }
    (*connection)->lent = *lent;
    (*connection)->dead = 0;
    follow_reconnection(*connection);
    if (dialect == DJS_SQLITE) {
        djs_sqlite_lent(*connection);
    }
    return APR_SUCCESS;
}

int djs_connection_alive(djs_connection_t *c)
{
    struct pollfd look = { c->fd, POLLRDHUP, 0 };

    if (c->dead) {
        return 0;
    }
    if (c->fd < 0) { /* the driver has none, unless it cannot be asked */
        return c->dialect == DJS_SQLITE ||
               (c->dialect == DJS_MYSQL && c->library.mysql.socket == NULL);
    }
    return poll(&look, 1, 0) <= 0;
}

/*
 * A source asks the driver whether a connection is good, and libpq answers from memory: it has to
 * fail once before it knows. libmariadb asks the server.
 */
static void let_driver_notice(djs_connection_t *c)
{
    int rows;

    if (c->dialect == DJS_POSTGRESQL && !djs_connection_alive(c)) {
        (void)apr_dbd_query(c->lent.driver, c->lent.handle, &rows, "SELECT 1");
    }
}

apr_status_t djs_connection_revive(djs_connection_t *c, const char **why)
{
    let_driver_notice(c);
    if (apr_dbd_check_conn(c->lent.driver, c->lent.pool, c->lent.handle) != APR_SUCCESS) {
        *why = "the connection was lost and cannot be made again";
        return DJS_ESTORE;
    }
    c->dead = 0;
    c->server_side = 0; /* a server that was restarted counts its threads from the start again */
    follow_reconnection(c);
    return APR_SUCCESS;
}

void djs_connection_give_up(djs_connection_t *c)
{
    let_driver_notice(c);
    if (c->dialect == DJS_SQLITE) {
        djs_sqlite_give_up(c);
    }
}

void djs_connection_cut(djs_connection_t *c)
{
    if (c->dialect == DJS_SQLITE) {
        djs_sqlite_cut(c);
        return;
    }
    pthread_mutex_lock(&c->lock);
    if (c->fd >= 0) {
        shutdown(c->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&c->lock);
}

/* ---- What went wrong ------------------------------------------------------------------------- */

/* Overwrite what the database quotes of our arguments. */
static void mask_arguments(char *text, const djs_run_t *run)
{
    int i;

    for (i = 0; i < run->statement->params; i++) {
        apr_size_t len = run->args[i] != NULL ? strlen(run->args[i]) : 0;
        char *at = len >= MASKED_MIN ? strstr(text, run->args[i]) : NULL;

        for (; at != NULL; at = strstr(at, run->args[i])) {
            memset(at, '*', len);
        }
    }
}

void djs_connection_said(djs_ctx_t *ctx, djs_run_t *run, const char *message)
{
    apr_size_t len = message != NULL ? strcspn(message, "\r\n") : 0;
    char *text;

    /* Masked whole, then cut: a quoted argument must not escape by being cut in two. */
    text = apr_pstrmemdup(ctx->pool, message != NULL ? message : "", len);
    mask_arguments(text, run);
    if (len > SAID_MAX) {
        text[SAID_MAX] = '\0';
    }
    run->why = *text != '\0' ? text : "no reason given";
}

/* The SQLSTATE in libpq's verbose message, "ERROR:  42P01: relation …", and what follows it. */
static const char *find_sqlstate(const char *message, char sqlstate[6])
{
    const char *at = strchr(message, ':');
    int i;

    memset(sqlstate, 0, 6);
    if (at == NULL) {
        return message;
    }
    at += 1 + strspn(at + 1, " ");
    for (i = 0; i < 5 && isalnum((unsigned char)at[i]); i++) {
    }
    if (i < 5 || at[5] != ':') {
        return message;
    }
    memcpy(sqlstate, at, 5);
    return at + 6 + strspn(at + 6, " ");
}

static djs_outcome_t judge_pgsql(djs_ctx_t *ctx, djs_connection_t *c, djs_run_t *run)
{
    static const struct { const char *state; djs_outcome_t outcome; } known[] = {
        { "23505", DJS_DUPLICATE }, /* unique_violation */
        { "22", DJS_NOVALUE },      /* the class of data exceptions */
        { "26000", DJS_AGAIN },     /* invalid_sql_statement_name: prepared on another connection */
        { "42P05", DJS_AGAIN },     /* duplicate_prepared_statement: the same, behind a pooler */
        { "0A000", DJS_AGAIN },     /* "cached plan must not change result type" */
        { "40001", DJS_AGAIN },     /* serialization_failure */
        { "40P01", DJS_AGAIN },     /* deadlock_detected */
    };
    const char *message = apr_dbd_error(c->lent.driver, c->lent.handle, 0);
    char sqlstate[6];
    apr_size_t i;

    djs_connection_said(ctx, run, find_sqlstate(message != NULL ? message : "", sqlstate));
    if (c->library.pgsql.status(c->native) != 0) {
        return DJS_LOST;
    }
    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strncmp(sqlstate, known[i].state, strlen(known[i].state)) == 0) {
            return known[i].outcome;
        }
    }
    return DJS_REFUSED;
}

static djs_outcome_t judge_mysql(djs_ctx_t *ctx, djs_connection_t *c, djs_run_t *run, int error)
{
    static const struct { int error; djs_outcome_t outcome; } known[] = {
        { 1062, DJS_DUPLICATE }, /* ER_DUP_ENTRY */
        { 1264, DJS_NOVALUE },   /* ER_WARN_DATA_OUT_OF_RANGE */
        { 1292, DJS_NOVALUE },   /* ER_TRUNCATED_WRONG_VALUE */
        { 1366, DJS_NOVALUE },   /* ER_TRUNCATED_WRONG_VALUE_FOR_FIELD */
        { 1213, DJS_AGAIN },     /* ER_LOCK_DEADLOCK */
        { 1243, DJS_AGAIN },     /* ER_UNKNOWN_STMT_HANDLER */
        { 1412, DJS_AGAIN },     /* ER_TABLE_DEF_CHANGED */
        { 1615, DJS_AGAIN },     /* ER_NEED_REPREPARE */
        { 2030, DJS_AGAIN },     /* CR_NO_PREPARE_STMT */
        { 2056, DJS_AGAIN },     /* CR_STMT_CLOSED */
        { 1053, DJS_LOST },      /* ER_SERVER_SHUTDOWN */
        { 1927, DJS_LOST },      /* ER_CONNECTION_KILLED */
        { 2006, DJS_LOST },      /* CR_SERVER_GONE_ERROR */
        { 2013, DJS_LOST },      /* CR_SERVER_LOST */
        { 2014, DJS_LOST },      /* CR_COMMANDS_OUT_OF_SYNC */
        { 2027, DJS_LOST },      /* CR_MALFORMED_PACKET */
        { 2055, DJS_LOST },      /* CR_SERVER_LOST_EXTENDED */
        { 4031, DJS_LOST },      /* ER_CLIENT_INTERACTION_TIMEOUT */
    };
    apr_size_t i;

    djs_connection_said(ctx, run, apr_dbd_error(c->lent.driver, c->lent.handle, error));
    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].error == error) {
            return known[i].outcome;
        }
    }
    return DJS_REFUSED;
}

static djs_outcome_t judge(djs_ctx_t *ctx, djs_connection_t *c, djs_run_t *run, int error)
{
    djs_outcome_t outcome = c->dialect == DJS_POSTGRESQL ? judge_pgsql(ctx, c, run)
                                                         : judge_mysql(ctx, c, run, error);

    if (outcome == DJS_LOST) {
        c->dead = 1;
    }
    if (outcome == DJS_AGAIN) {
        forget(c, run->statement);
    }
    return outcome;
}

/* ---- Running through apr_dbd ----------------------------------------------------------------- */

static djs_outcome_t prepare(djs_ctx_t *ctx, djs_connection_t *c, djs_run_t *run,
                             apr_dbd_prepared_t **handle)
{
    const djs_statement_t *statement = run->statement;
    prepared_t *prepared = apr_hash_get(c->prepared, &statement, sizeof(statement));
    apr_pool_t *pool;
    djs_outcome_t outcome;
    int error;

    if (prepared != NULL) {
        *handle = prepared->handle;
        return DJS_RAN;
    }
    if (apr_pool_create(&pool, c->prepared_pool) != APR_SUCCESS) {
        run->why = "no memory";
        return DJS_REFUSED;
    }
    prepared = apr_pcalloc(pool, sizeof(*prepared));
    prepared->statement = statement;
    prepared->pool = pool;
    /* A label is never used twice on a connection: PostgreSQL may still know the old one. */
    error = apr_dbd_prepare(c->lent.driver, pool, c->lent.handle, statement->sql,
                            apr_psprintf(pool, "djs_%s_%u", statement->label, ++c->serial),
                            &prepared->handle);
    if (error == 0) {
        apr_hash_set(c->prepared, &prepared->statement, sizeof(statement), prepared);
        *handle = prepared->handle;
        return DJS_RAN;
    }
    outcome = judge(ctx, c, run, error);
    apr_pool_destroy(pool);
    return outcome == DJS_LOST ? DJS_AGAIN : outcome; /* nothing ran, for sure */
}

/*
 * As a text, the MySQL driver cuts off what is longer than the fldsz= of its parameters (1 MB), and
 * ends nothing with NUL; as a BLOB it gives all of it, but counts the bytes of numbers and dates
 * wrongly. Statements select texts.
 */
static djs_bytes_t read_blob(djs_connection_t *c, apr_dbd_row_t *row, int i,
                             apr_bucket_brigade *blob)
{
    djs_bytes_t bytes = { NULL, 0 };
    char *data = NULL;

    if (apr_dbd_datum_get(c->lent.driver, row, i, APR_DBD_TYPE_BLOB, blob) == APR_SUCCESS &&
        apr_brigade_pflatten(blob, &data, &bytes.len, blob->p) == APR_SUCCESS) {
        bytes.data = data != NULL ? data : "";
    }
    apr_brigade_cleanup(blob);
    return bytes;
}

/* NULL is told from an empty text, which apr_dbd_get_entry() does not. */
static djs_bytes_t read_text(djs_connection_t *c, apr_dbd_row_t *row, int i)
{
    const char *text = NULL;

    if (apr_dbd_datum_get(c->lent.driver, row, i, APR_DBD_TYPE_STRING, &text) != APR_SUCCESS) {
        text = NULL;
    }
    return djs_bytes(text);
}

static void read_row(djs_connection_t *c, apr_pool_t *scratch, apr_dbd_row_t *row,
                     djs_bytes_t *columns, int count)
{
    apr_bucket_brigade *blob = NULL;
    int i;

    if (c->dialect == DJS_MYSQL) {
        blob = apr_brigade_create(scratch, apr_bucket_alloc_create(scratch));
    }
    for (i = 0; i < count; i++) {
        columns[i] = blob != NULL ? read_blob(c, row, i, blob) : read_text(c, row, i);
    }
}

static djs_outcome_t hand_over(djs_ctx_t *ctx, djs_connection_t *c, djs_run_t *run,
                               apr_pool_t *scratch, apr_dbd_results_t *results)
{
    int count = apr_dbd_num_cols(c->lent.driver, results);
    int total = apr_dbd_num_tuples(c->lent.driver, results);
    int i;

    count = count < DJS_COLUMNS_MAX ? count : DJS_COLUMNS_MAX;
    for (i = 1; i <= total && run->rv == APR_SUCCESS; i++) {
        djs_bytes_t columns[DJS_COLUMNS_MAX];
        apr_dbd_row_t *row = NULL;
        int error = apr_dbd_get_row(c->lent.driver, scratch, results, &row, i);

        if (error != 0) {
            return judge(ctx, c, run, error);
        }
        read_row(c, scratch, row, columns, count);
        run->rows++;
        run->rv = run->each(run->baton, ctx, columns, count);
    }
    return DJS_RAN;
}

static djs_outcome_t run_prepared(djs_ctx_t *ctx, djs_connection_t *c, djs_run_t *run,
                                  apr_pool_t *scratch, apr_dbd_prepared_t *prepared)
{
    const djs_dbd_lent_t *lent = &c->lent;
    apr_dbd_results_t *results = NULL;
    const char **args = apr_pmemdup(scratch, run->args, sizeof(*args) * run->statement->params);
    int error;

    if (run->each == NULL) {
        error = apr_dbd_pquery(lent->driver, scratch, lent->handle, &run->rows, prepared,
                               run->statement->params, args);
        return error == 0 ? DJS_RAN : judge(ctx, c, run, error);
    }
    error = apr_dbd_pselect(lent->driver, scratch, lent->handle, &results, prepared, 1,
                            run->statement->params, args);
    return error == 0 ? hand_over(ctx, c, run, scratch, results) : judge(ctx, c, run, error);
}

static djs_outcome_t run_through_apr(djs_ctx_t *ctx, djs_connection_t *c, djs_run_t *run)
{
    apr_dbd_prepared_t *prepared = NULL;
    apr_pool_t *scratch;
    djs_outcome_t outcome;

    if (apr_pool_create(&scratch, ctx->pool) != APR_SUCCESS) {
        run->why = "no memory";
        return DJS_REFUSED;
    }
    outcome = prepare(ctx, c, run, &prepared);
    if (outcome == DJS_RAN) {
        outcome = run_prepared(ctx, c, run, scratch, prepared);
    }
    apr_pool_destroy(scratch);
    return outcome;
}

#define VERBOSITY_VERBOSE 2 /* PQERRORS_VERBOSE */

djs_outcome_t djs_connection_run(djs_ctx_t *ctx, djs_connection_t *c, djs_run_t *run)
{
    djs_outcome_t outcome;
    int verbosity;

    run->rows = 0;
    run->rv = APR_SUCCESS;
    run->why = NULL;
    switch (c->dialect) {
    case DJS_SQLITE:
        return djs_sqlite_run(ctx, c, run);
    case DJS_POSTGRESQL:
        follow_reconnection(c);
        verbosity = c->library.pgsql.set_verbosity(c->native, VERBOSITY_VERBOSE);
        outcome = run_through_apr(ctx, c, run);
        c->library.pgsql.set_verbosity(c->native, verbosity);
        return outcome;
    default:
        follow_reconnection(c);
        return run_through_apr(ctx, c, run);
    }
}
