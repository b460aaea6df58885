/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache in memcached, by libmemcached, one handle for each connection.
 *
 * Which server has a key is our own affair (memcached_clients.h), so a handle knows one server. It
 * connects once and is thrown away with the first thing that goes wrong; libmemcached's own failover,
 * retries and ejections never come into play.
 *
 * A connection that was idle may be dead without our knowing: its server was restarted. So each
 * operation begins with what may be done twice. Where that fails on a connection that was not made for
 * it, it is begun again on another. What changes something and may not be done twice (add, replace)
 * comes only after a "gets" on the same connection has been answered; when its own answer is lost, it is
 * DJS_ESTORE.
 *
 * A "cas" names the version that it replaces, which no other value ever has as long as the server runs.
 * So where the swap follows a get of the same request, on a connection that has lasted since, the
 * version that came with the get will do, and nothing is asked before. Such a cas may be lost with its
 * connection. Then "gets" on another tells: what was seen is there still, and is swapped; or it is not,
 * which may have been our doing or another's, and is DJS_ESTORE.
 *
 *     get        gets
 *     add        gets, and if nothing is there: add
 *     swap       cas of the version that was got; if it is not known, or there no more: gets, and if
 *                it is what was seen: cas
 *     overwrite  gets, and if something is there: replace
 *     set        replace; where nothing is: add. Never "set": memcached would drop what it has when
 *                the new value is too large
 *     remove     delete
 */
#include "caches.h"

#include <string.h>
#include <time.h>

#include <apr_atomic.h>
#include <libmemcached/memcached.h>

#include "../core/encode.h"
#include "clients.h"
#include "memcached_clients.h"

/* No reply may make libmemcached take more than that. */
#define MEMORY_MAX (DJS_INFLATE_MAX + 65536)

/* Somebody adds and somebody removes: so often is tried to set. */
#define SET_TRIES 5

/* Who waited less has learnt nothing of the server. */
#define TELLING apr_time_from_msec(100)

typedef struct memcached_t {
    djs_cache_t cache;
    const djs_cache_conf_t *conf;
    djs_clients_t *clients[DJS_CACHE_SERVERS_MAX]; /* in the order of conf->servers */
} memcached_t;

/* The baton of one server's clients. */
typedef struct node_t {
    const djs_cache_conf_t *conf;
    const djs_cache_server_t *server;
    volatile apr_uint32_t connections; /* how many there have been */
} node_t;

/* What the last get of a request found, kept in its pool: as this version on this connection. */
typedef struct version_t {
    const djs_clients_t *clients;
    const void *connection;
    const char *key;
    djs_bytes_t value;
    uint64_t cas;
} version_t;

#define VERSION_KEY "mod_django_session.memcached"

/* ---- Time ------------------------------------------------------------------------------------ */

static apr_time_t monotonic(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return apr_time_from_sec(now.tv_sec) + now.tv_nsec / 1000;
}

static apr_interval_time_t least(apr_interval_time_t a, apr_interval_time_t b)
{
    return a < b ? a : b;
}

/* In milliseconds, at least one, since 0 and less mean something else to poll(). */
static uint64_t milliseconds(apr_interval_time_t span)
{
    apr_int64_t whole = apr_time_as_msec(span);

    return whole < 1 ? 1 : whole > 3600000 ? 3600000 : (uint64_t)whole;
}

/* ---- Memory: what a server says is long is not believed without bound -------------------------- */

static void *take_memory(const memcached_st *handle, const size_t size, void *context)
{
    (void)handle;
    (void)context;
    return size <= MEMORY_MAX ? malloc(size) : NULL;
}

static void *take_more(const memcached_st *handle, void *memory, const size_t size, void *context)
{
    (void)handle;
    (void)context;
    return size <= MEMORY_MAX ? realloc(memory, size) : NULL;
}

static void *take_zeroed(const memcached_st *handle, size_t count, const size_t size, void *context)
{
    (void)handle;
    (void)context;
    return size == 0 || count <= MEMORY_MAX / size ? calloc(count, size) : NULL;
}

static void give_memory(const memcached_st *handle, void *memory, void *context)
{
    (void)handle;
    (void)context;
    free(memory);
}

/* ---- Clients --------------------------------------------------------------------------------- */

static void close_client(void *client)
{
    memcached_st *handle = client;

    /* libmemcached says farewell and waits for the other side to hang up. */
    memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, 1);
    memcached_free(handle);
}

static memcached_return_t set_up(memcached_st *handle, const djs_cache_server_t *server,
                                 apr_interval_time_t within)
{
    memcached_return_t rc = memcached_set_memory_allocators(handle, take_memory, give_memory,
                                                            take_more, take_zeroed, NULL);

    memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_SUPPORT_CAS, 1);
    memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_TCP_NODELAY, 1);
    memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT, milliseconds(within));
    memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, milliseconds(within));
    if (rc != MEMCACHED_SUCCESS) {
        return rc;
    }
    return server->path != NULL
               ? memcached_server_add_unix_socket(handle, server->path)
               : memcached_server_add(handle, server->host, (in_port_t)server->port);
}

/* What went wrong, in libmemcached's words, which have neither keys nor values in them. */
static const char *reason(memcached_st *handle, memcached_return_t rc)
{
    if (rc == MEMCACHED_TIMEOUT) {
        return "no answer in time";
    }
    if (rc == MEMCACHED_ERRNO && memcached_last_error_errno(handle) != 0) {
        return strerror(memcached_last_error_errno(handle));
    }
    return memcached_strerror(handle, rc);
}

/* A name that no other connection to this server has; an address may come again. */
static void name_connection(memcached_st *handle, node_t *node)
{
    apr_uint32_t number = apr_atomic_inc32(&node->connections);

    memcached_set_user_data(handle, (void *)(apr_uintptr_t)number);
}

static const void *connection_of(const memcached_st *handle)
{
    return memcached_get_user_data(handle);
}

static void *open_client(void *baton, djs_ctx_t *ctx, apr_interval_time_t within)
{
    node_t *node = baton;
    memcached_st *handle = memcached_create(NULL);
    memcached_return_t rc;

    if (handle == NULL) {
        return NULL;
    }
    within = least(within, node->conf->timeout);
    rc = set_up(handle, node->server, within);
    if (rc == MEMCACHED_SUCCESS) {
        rc = memcached_version(handle); /* connects, and something is there that speaks memcached */
    }
    if (rc != MEMCACHED_SUCCESS) {
        (void)djs_fail(ctx, DJS_ESTORE, "cannot connect to memcached at %s: %s",
                       node->server->name, reason(handle, rc));
        close_client(handle);
        return NULL;
    }
    name_connection(handle, node);
    return handle;
}

static const djs_clients_kind_t kind = { open_client, close_client };

/* ---- One operation --------------------------------------------------------------------------- */

typedef struct call_t {
    const memcached_t *memcached;
    djs_ctx_t *ctx;
    memcached_st *handle;
    const char *key;
    djs_bytes_t seen, value;
    apr_int64_t life;
    const version_t *version; /* of what was seen, on this connection; NULL: not known */
    int once;                 /* what comes now is not to be done twice */
    int in_doubt;             /* a cas went out, and whether it was done is not known */
    /* What "gets" found. */
    djs_bytes_t found;
    uint64_t cas;
} call_t;

typedef memcached_return_t (*step_t)(call_t *call);

static void take_result(call_t *call, const memcached_result_st *result)
{
    djs_bytes_t stored = djs_bytes_of(memcached_result_value(result),
                                      memcached_result_length(result));

    call->found = djs_bytes_copy(call->ctx->pool,
                                 djs_memcached_read(call->ctx, call->memcached->conf->format,
                                                    memcached_result_flags(result), stored));
    call->cas = memcached_result_cas(result);
}

/*
 * To the END of the answer, or the next one would begin with it. Gives how many came, -1: nonsense.
 *
 * @param rc  how it ended. libmemcached calls all NOTFOUND that ends a fetch without a result, errors
 *            too; but not if it thinks that there was one before, so that is what it is told
 */
static int fetch_all(call_t *call, memcached_result_st *result, size_t key_len,
                     memcached_return_t *rc)
{
    int count = 0;

    for (;;) {
        result->count = 1;
        if (memcached_fetch_result(call->handle, result, rc) == NULL) {
            return count;
        }
        if (memcached_result_key_length(result) != key_len
            || memcmp(memcached_result_key_value(result), call->key, key_len) != 0
            || ++count > 1) {
            return -1;
        }
        take_result(call, result);
    }
}

/* Answers that questions have, beside success; up to SUCCESS. */
static const memcached_return_t no_others[] = { MEMCACHED_SUCCESS };
static const memcached_return_t of_store[] = {
    MEMCACHED_NOTSTORED, MEMCACHED_E2BIG, MEMCACHED_SUCCESS
};
static const memcached_return_t of_cas[] = {
    MEMCACHED_DATA_EXISTS, MEMCACHED_NOTFOUND, MEMCACHED_E2BIG, MEMCACHED_SUCCESS
};

/* What answers another question is no answer. */
static memcached_return_t expect(memcached_return_t rc, const memcached_return_t *answers)
{
    switch (rc) {
    case MEMCACHED_NOTFOUND:
    case MEMCACHED_NOTSTORED:
    case MEMCACHED_DATA_EXISTS:
    case MEMCACHED_E2BIG:
        while (*answers != rc && *answers != MEMCACHED_SUCCESS) {
            answers++;
        }
        return *answers == rc ? rc : MEMCACHED_PROTOCOL_ERROR;
    default:
        return rc;
    }
}

/* SUCCESS or NOTFOUND: the server has said so. */
static memcached_return_t gets(call_t *call)
{
    size_t len = strlen(call->key);
    memcached_return_t rc = memcached_mget(call->handle, &call->key, &len, 1);
    memcached_return_t end = MEMCACHED_PROTOCOL_ERROR;
    memcached_result_st result;
    int count;

    if (rc != MEMCACHED_SUCCESS) {
        return rc;
    }
    memcached_result_create(call->handle, &result);
    count = fetch_all(call, &result, len, &end);
    memcached_result_free(&result);
    if (count < 0) {
        return MEMCACHED_PROTOCOL_ERROR;
    }
    rc = memcached_last_error(call->handle); /* says more than a fetch does, if it says anything */
    if (rc == MEMCACHED_SUCCESS || rc == MEMCACHED_NOTFOUND || rc == MEMCACHED_END) {
        rc = end;
    }
    if (rc == MEMCACHED_END) {
        return count == 1 ? MEMCACHED_SUCCESS : MEMCACHED_NOTFOUND;
    }
    return expect(rc, no_others);
}

typedef memcached_return_t (*store_t)(memcached_st *handle, const char *key, size_t key_len,
                                      const char *value, size_t value_len, time_t exptime,
                                      uint32_t flags);

static time_t exptime_of(const call_t *call)
{
    return (time_t)djs_memcached_exptime(call->life, apr_time_sec(apr_time_now()));
}

/* add or replace */
static memcached_return_t store(call_t *call, store_t how)
{
    memcached_return_t rc = how(call->handle, call->key, strlen(call->key), call->value.data,
                                call->value.len, exptime_of(call), DJS_MEMCACHED_PICKLE);

    return expect(rc, of_store);
}

static memcached_return_t add(call_t *call)
{
    memcached_return_t rc = gets(call);

    if (rc != MEMCACHED_NOTFOUND) {
        return rc == MEMCACHED_SUCCESS ? MEMCACHED_NOTSTORED : rc;
    }
    call->once = 1;
    return store(call, memcached_add);
}

static memcached_return_t cas(call_t *call, uint64_t version)
{
    memcached_return_t rc = memcached_cas(call->handle, call->key, strlen(call->key),
                                          call->value.data, call->value.len, exptime_of(call),
                                          DJS_MEMCACHED_PICKLE, version);

    return expect(rc, of_cas);
}

static memcached_return_t swap(call_t *call)
{
    memcached_return_t rc;

    if (call->version != NULL) {
        call->in_doubt = 1;
        rc = cas(call, call->version->cas);
        if (rc != MEMCACHED_DATA_EXISTS) {
            return rc;
        }
        call->in_doubt = 0; /* another version; of the same bytes, perhaps */
    }
    rc = gets(call);
    if (rc != MEMCACHED_SUCCESS) {
        return rc;
    }
    if (!djs_bytes_equal(call->found, call->seen)) {
        return MEMCACHED_DATA_EXISTS;
    }
    call->once = 1;
    return cas(call, call->cas);
}

static memcached_return_t overwrite(call_t *call)
{
    memcached_return_t rc = gets(call);

    if (rc != MEMCACHED_SUCCESS) {
        return rc;
    }
    call->once = 1;
    rc = store(call, memcached_replace);
    return rc == MEMCACHED_NOTSTORED ? MEMCACHED_NOTFOUND : rc;
}

static memcached_return_t set(call_t *call)
{
    memcached_return_t rc = MEMCACHED_NOTSTORED;
    int tries;

    for (tries = 0; tries < SET_TRIES && rc == MEMCACHED_NOTSTORED; tries++) {
        rc = store(call, memcached_replace);
        if (rc == MEMCACHED_NOTSTORED) {
            rc = store(call, memcached_add);
        }
    }
    return rc;
}

static memcached_return_t delete_key(call_t *call)
{
    memcached_return_t rc = memcached_delete(call->handle, call->key, strlen(call->key), 0);

    return rc == MEMCACHED_NOTFOUND ? MEMCACHED_SUCCESS : expect(rc, no_others);
}

static memcached_return_t ask_version(call_t *call)
{
    return expect(memcached_version(call->handle), no_others);
}

/* ---- What came of it ------------------------------------------------------------------------- */

/* The server has answered, and the connection is where it should be. */
static int is_answer(memcached_return_t rc)
{
    switch (rc) {
    case MEMCACHED_SUCCESS:
    case MEMCACHED_NOTFOUND:
    case MEMCACHED_NOTSTORED:
    case MEMCACHED_DATA_EXISTS:
    case MEMCACHED_E2BIG:
    case MEMCACHED_SERVER_ERROR:
    case MEMCACHED_SERVER_MEMORY_ALLOCATION_FAILURE:
        return 1;
    default:
        return 0;
    }
}

static djs_loan_t loan_of(memcached_return_t rc, int may_repeat, apr_interval_time_t allowed)
{
    if (is_answer(rc)) {
        return DJS_LOAN_GOOD;
    }
    if (rc == MEMCACHED_TIMEOUT) {
        return allowed >= TELLING ? DJS_LOAN_BROKEN : DJS_LOAN_STALE;
    }
    return may_repeat ? DJS_LOAN_STALE : DJS_LOAN_BROKEN;
}

static apr_status_t status_of(call_t *call, const djs_cache_server_t *server,
                              memcached_return_t rc)
{
    djs_ctx_t *ctx = call->ctx;

    switch (rc) {
    case MEMCACHED_SUCCESS:
        return APR_SUCCESS;
    case MEMCACHED_NOTFOUND:
        return APR_NOTFOUND;
    case MEMCACHED_NOTSTORED:
        return APR_EEXIST;
    case MEMCACHED_DATA_EXISTS:
        return !call->in_doubt ? DJS_ECONFLICT
                               : djs_fail(ctx, DJS_ESTORE, "memcached at %s: the connection broke; "
                                          "whether it has stored the session is not known",
                                          server->name);
    case MEMCACHED_E2BIG:
        return djs_fail(ctx, DJS_ELIMIT,
                        "memcached at %s takes no session of %" APR_SIZE_T_FMT " bytes: start it "
                        "with a larger -I; what it had before is still there",
                        server->name, call->value.len);
    default:
        return djs_fail(ctx, DJS_ESTORE, "memcached at %s: %s%s", server->name,
                        reason(call->handle, rc), call->once || call->in_doubt
                            ? "; whether it has stored the session is not known" : "");
    }
}

/* ---- Versions -------------------------------------------------------------------------------- */

static void note_version(const call_t *call, const djs_clients_t *clients)
{
    version_t *version = apr_palloc(call->ctx->pool, sizeof(*version));

    version->clients = clients;
    version->connection = connection_of(call->handle);
    version->key = apr_pstrdup(call->ctx->pool, call->key);
    version->value = call->found;
    version->cas = call->cas;
    apr_pool_userdata_setn(version, VERSION_KEY, NULL, call->ctx->pool);
}

/* Of what was seen; NULL: it was not got by this request, or on another connection. */
static const version_t *find_version(const call_t *call, const djs_clients_t *clients)
{
    void *found = NULL;
    const version_t *version;

    apr_pool_userdata_get(&found, VERSION_KEY, call->ctx->pool);
    version = found;
    return version != NULL && version->clients == clients
                   && version->connection == connection_of(call->handle)
                   && strcmp(version->key, call->key) == 0
                   && djs_bytes_equal(version->value, call->seen)
               ? version : NULL;
}

/* Once, on one connection. 1 in @a again: that was dead, and another may do better. */
static apr_status_t attempt(call_t *call, int position, step_t step, int *again)
{
    djs_clients_t *clients = call->memcached->clients[position];
    djs_ctx_t *ctx = call->ctx;
    apr_interval_time_t allowed;
    apr_interval_time_t took;
    memcached_return_t rc;
    djs_loan_t loan;
    void *client;
    int fresh;
    apr_status_t rv = djs_clients_borrow(ctx, clients, &client, &fresh);

    *again = 0;
    if (rv != APR_SUCCESS) {
        return rv;
    }
    allowed = least(call->memcached->conf->timeout, ctx->patience);
    call->handle = client;
    call->once = 0;
    call->version = call->seen.data != NULL && !call->in_doubt ? find_version(call, clients) : NULL;
    memcached_behavior_set(call->handle, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, milliseconds(allowed));
    took = -monotonic();
    rc = step(call);
    took += monotonic();
    ctx->patience -= least(ctx->patience, took);
    if (!is_answer(rc) && took >= allowed) {
        rc = MEMCACHED_TIMEOUT; /* libmemcached has several names for it */
    }
    loan = loan_of(rc, !fresh, allowed);
    *again = loan == DJS_LOAN_STALE && !fresh && !call->once && rc != MEMCACHED_TIMEOUT;
    if (rc == MEMCACHED_SUCCESS && step == gets) {
        note_version(call, clients);
    }
    rv = *again ? DJS_ESTORE : status_of(call, &call->memcached->conf->servers[position], rc);
    djs_clients_give_back(clients, client, loan);
    return rv;
}

static apr_status_t run_at(call_t *call, int position, step_t step)
{
    apr_status_t rv;
    int again;

    do {
        rv = attempt(call, position, step, &again);
    } while (again);
    return rv;
}

static apr_status_t run(call_t *call, step_t step)
{
    return run_at(call, djs_memcached_server_of(call->memcached->conf, call->key), step);
}

/* ---- The table ------------------------------------------------------------------------------- */

static call_t call_of(djs_cache_t *cache, djs_ctx_t *ctx, const char *key)
{
    call_t call = { .memcached = cache->data, .ctx = ctx, .key = key };

    return call;
}

static apr_status_t cache_get(djs_cache_t *cache, djs_ctx_t *ctx, const char *key,
                              djs_bytes_t *value, apr_time_t *expires)
{
    call_t call = call_of(cache, ctx, key);
    apr_status_t rv;

    if (!djs_memcached_key_is_valid(key)) {
        return APR_NOTFOUND;
    }
    rv = run(&call, gets);
    if (rv == APR_SUCCESS) {
        *value = call.found;
        *expires = 0;
    }
    return rv;
}

static apr_status_t write_value(call_t *call, djs_bytes_t value, apr_int64_t life, step_t step)
{
    if (!djs_memcached_key_is_valid(call->key)) {
        return APR_NOTFOUND;
    }
    call->value = value.data != NULL ? value : djs_bytes_of("", 0);
    call->life = life;
    return run(call, step);
}

static apr_status_t cache_add(djs_cache_t *cache, djs_ctx_t *ctx, const char *key,
                              djs_bytes_t value, apr_int64_t life)
{
    call_t call = call_of(cache, ctx, key);
    apr_status_t rv = write_value(&call, value, life, add);

    if (rv == APR_NOTFOUND) {
        return djs_fail(ctx, DJS_EINVAL, "memcached takes no key with spaces or control "
                                         "characters, or of more than %d bytes",
                        DJS_MEMCACHED_KEY_MAX);
    }
    return rv;
}

static apr_status_t cache_set(djs_cache_t *cache, djs_ctx_t *ctx, const char *key,
                              djs_bytes_t value, apr_int64_t life)
{
    call_t call = call_of(cache, ctx, key);
    apr_status_t rv = write_value(&call, value, life, set);

    if (rv == APR_NOTFOUND || rv == APR_EEXIST) {
        return djs_fail(ctx, DJS_ESTORE, "memcached did not take a value: %s",
                        rv == APR_EEXIST ? "others were faster, each time" : "no key for it");
    }
    return rv;
}

static apr_status_t cache_swap(djs_cache_t *cache, djs_ctx_t *ctx, const char *key,
                               djs_bytes_t seen, djs_bytes_t value, apr_int64_t life)
{
    call_t call = call_of(cache, ctx, key);

    call.seen = seen;
    return write_value(&call, value, life, swap);
}

static apr_status_t cache_overwrite(djs_cache_t *cache, djs_ctx_t *ctx, const char *key,
                                    djs_bytes_t value, apr_int64_t life)
{
    call_t call = call_of(cache, ctx, key);

    return write_value(&call, value, life, overwrite);
}

static apr_status_t cache_remove(djs_cache_t *cache, djs_ctx_t *ctx, const char *key)
{
    call_t call = call_of(cache, ctx, key);

    return djs_memcached_key_is_valid(key) ? run(&call, delete_key) : APR_SUCCESS;
}

static apr_status_t cache_check(djs_cache_t *cache, djs_ctx_t *ctx,
                                void (*say)(void *baton, int ok, const char *what), void *baton)
{
    const memcached_t *memcached = cache->data;
    apr_interval_time_t patience = ctx->patience;
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; i < memcached->conf->server_count; i++) {
        const char *name = memcached->conf->servers[i].name;
        djs_ctx_t aside = { .pool = ctx->pool, .now = ctx->now, .patience = patience };
        call_t call = call_of(cache, &aside, NULL);

        if (run_at(&call, i, ask_version) == APR_SUCCESS) {
            say(baton, 1, apr_psprintf(ctx->pool, "memcached at %s answers", name));
            continue;
        }
        say(baton, 0, aside.problem);
        rv = djs_fail(ctx, DJS_ESTORE, "%s", aside.problem);
    }
    return rv;
}

static const djs_cache_ops_t ops = {
    .name = "memcached",
    .get = cache_get,
    .add = cache_add,
    .set = cache_set,
    .swap = cache_swap,
    .overwrite = cache_overwrite,
    .remove = cache_remove,
    .check = cache_check
};

apr_status_t djs_cache_memcached_open(djs_ctx_t *ctx, apr_pool_t *pool,
                                      const djs_cache_conf_t *conf, djs_cache_t **cache)
{
    memcached_t *memcached = apr_pcalloc(pool, sizeof(*memcached));
    int i;

    (void)ctx;
    memcached->conf = conf;
    for (i = 0; i < conf->server_count; i++) {
        node_t *node = apr_pcalloc(pool, sizeof(*node));

        node->conf = conf;
        node->server = &conf->servers[i];
        memcached->clients[i] = djs_clients_make(pool, &kind, node, conf->servers[i].name,
                                                 conf->pool_max);
    }
    memcached->cache.ops = &ops;
    memcached->cache.data = memcached;
    *cache = &memcached->cache;
    return APR_SUCCESS;
}
