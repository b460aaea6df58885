/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DjangoSessionClearInterval: Django's clearsessions in the background.
 *
 * mod_watchdog has a thread in each child; of a singleton's threads one at a time is at work, which
 * is that of one process. Each store is cleared in its engine's own batches. Between two batches the
 * thread rests RESTS times as long as the batch took, so that most of the time the store is others',
 * and each batch has a patience of its own. A child that is told to end stops after the batch.
 *
 * How far it is stands in memory that all processes share, for mod_status.
 */
#include "mds.h"

#include <apr_optional.h>
#include <apr_shm.h>
#include <mod_watchdog.h>

#define WATCHDOG "_django_session_clear_"

/* How often the log tells how far it is. */
#define REPORT_EVERY apr_time_from_sec(5)

#define RESTS 9
/* So soon a child that is told to end does not rest any more. */
#define REST_SLICE apr_time_from_msec(100)

/* A store that is cleared, however many virtual hosts and sections use it. */
typedef struct store_t {
    server_rec *server;
    const djs_site_t *site; /* of the views the one whose sessions may become oldest */
    apr_interval_time_t interval;
    apr_interval_time_t patience;
    mds_clearing_t *state; /* shared */
} store_t;

/* What this configuration clears, of store_t *; NULL: nothing. */
static const apr_array_header_t *cleared;

/* One clearing of it. */
typedef struct round_t {
    const store_t *store;
    djs_ctx_t ctx;
    apr_size_t done;
    apr_time_t batch_began;
    apr_time_t reported;
} round_t;

/* ---- in a child ---- */

static void sleep_for(apr_interval_time_t time)
{
    for (; time > 0 && !mds_load(&mds_process.stopping); time -= REST_SLICE) {
        apr_sleep(time < REST_SLICE ? time : REST_SLICE);
    }
}

static void rest(round_t *round, apr_size_t done)
{
    if (done > round->done) {
        sleep_for(RESTS * (apr_time_now() - round->batch_began));
    }
    round->done = done;
    round->batch_began = apr_time_now();
    round->ctx.patience = mds_load(&mds_process.stopping) ? 0 : round->store->patience;
}

static void progress(void *baton, apr_size_t done)
{
    round_t *round = baton;

    mds_publish(&round->store->state->removed, done);
    rest(round, done);
    if (round->batch_began - round->reported >= REPORT_EVERY) {
        round->reported = round->batch_began;
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, round->store->server,
                     DJSNO(0141) "engine %s: %" APR_SIZE_T_FMT " expired sessions removed so far",
                     round->store->site->engine->ops->name, done);
    }
}

static void report(const round_t *round, apr_status_t rv, apr_size_t removed)
{
    const store_t *store = round->store;

    if (rv != APR_SUCCESS && !mds_load(&mds_process.stopping)) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, store->server,
                     DJSNO(0108) "engine %s: expired sessions are not removed, but for %"
                                 APR_SIZE_T_FMT ": %s",
                     store->site->engine->ops->name, removed,
                     round->ctx.problem ? round->ctx.problem : djs_status_name(rv));
    }
    else if (removed > 0) {
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, store->server,
                     DJSNO(0109) "engine %s: %" APR_SIZE_T_FMT " expired sessions removed%s",
                     store->site->engine->ops->name, removed, rv == APR_SUCCESS ? "" : ", to go on");
    }
}

static void note_begin(mds_clearing_t *state, apr_time_t now)
{
    mds_publish(&state->removed, 0);
    mds_publish(&state->ended, 0);
    mds_publish(&state->begun, now);
}

static void note_end(mds_clearing_t *state, apr_status_t rv, apr_size_t removed)
{
    mds_publish(&state->removed, removed);
    mds_publish(&state->total, state->total + removed);
    mds_publish(&state->failed, rv != APR_SUCCESS && !mds_load(&mds_process.stopping));
    mds_publish(&state->ended, apr_time_now());
}

static apr_status_t clear(int state, void *data, apr_pool_t *pool)
{
    static const djs_host_t host = { .progress = progress };
    const store_t *store = data;
    djs_engine_t *engine = store->site->engine;
    round_t round = { .store = store };
    apr_size_t removed = 0;
    apr_status_t rv;

    if (state != AP_WATCHDOG_STATE_RUNNING || mds_load(&mds_process.stopping)) {
        return APR_SUCCESS;
    }
    round.reported = round.batch_began = round.ctx.now = apr_time_now();
    round.ctx.patience = store->patience;
    round.ctx.host = &host;
    round.ctx.baton = &round;
    apr_pool_create(&round.ctx.pool, pool);
    note_begin(store->state, round.ctx.now);
    rv = engine->ops->clear_expired(engine, &round.ctx, &removed);
    note_end(store->state, rv, removed);
    report(&round, rv, removed);
    apr_pool_destroy(round.ctx.pool);
    return APR_SUCCESS; /* else mod_watchdog would not come again */
}

static apr_status_t stop(void *unused)
{
    (void)unused;
    mds_publish(&mds_process.stopping, 1);
    return APR_SUCCESS;
}

void mds_clear_child_init(apr_pool_t *pchild, server_rec *server)
{
    (void)server;
    apr_pool_pre_cleanup_register(pchild, NULL, stop);
}

/* ---- at start ---- */

apr_status_t mds_clear_check(djs_ctx_t *ctx, const djs_settings_t *settings)
{
    if (settings->clear_interval != 0 && !APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_get_instance)) {
        return djs_fail(ctx, DJS_EINVAL,
                        "DjangoSessionClearInterval needs mod_watchdog, which is not loaded; write "
                        "LoadModule watchdog_module modules/mod_watchdog.so");
    }
    return APR_SUCCESS;
}

typedef struct collection_t {
    apr_pool_t *pool;
    apr_array_header_t *stores; /* of store_t * */
} collection_t;

static store_t *store_of(const collection_t *all, const djs_site_t *site)
{
    store_t *store;
    int i;

    for (i = 0; i < all->stores->nelts; i++) {
        store = APR_ARRAY_IDX(all->stores, i, store_t *);
        if (djs_stores_same(store->site, site)) {
            return store;
        }
    }
    store = apr_pcalloc(all->pool, sizeof(*store));
    store->site = site;
    APR_ARRAY_PUSH(all->stores, store_t *) = store;
    return store;
}

/* Of several wishes for one store the shortest interval is kept. */
static int collect(void *all, mds_view_t *view)
{
    const djs_settings_t *settings = view->settings;
    store_t *store;

    if (settings->clear_interval == 0 || !view->on || !view->site
        || !view->site->engine->ops->clear_expired) {
        return 1;
    }
    store = store_of(all, view->site);
    if (settings->cookie_age > store->site->settings->cookie_age) {
        store->site = view->site;
    }
    if (store->interval == 0 || settings->clear_interval < store->interval) {
        store->server = view->server->server;
        store->interval = settings->clear_interval;
        store->patience = settings->store_timeout;
    }
    return 1;
}

static apr_status_t enlist(apr_pool_t *pconf, const apr_array_header_t *stores)
{
    APR_OPTIONAL_FN_TYPE(ap_watchdog_get_instance) *get
        = APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_get_instance);
    APR_OPTIONAL_FN_TYPE(ap_watchdog_register_callback) *add
        = APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_register_callback);
    ap_watchdog_t *watchdog;
    apr_status_t rv = get(&watchdog, WATCHDOG, 0, 1, pconf);
    int i;

    for (i = 0; rv == APR_SUCCESS && i < stores->nelts; i++) {
        const store_t *store = APR_ARRAY_IDX(stores, i, const store_t *);

        rv = add(watchdog, store->interval, store, clear);
    }
    return rv;
}

/* Made before there are children, which inherit it. */
static apr_status_t share(apr_pool_t *pconf, const apr_array_header_t *stores)
{
    apr_size_t size = (apr_size_t)stores->nelts * sizeof(mds_clearing_t);
    mds_clearing_t *states;
    apr_shm_t *shared;
    apr_status_t rv = apr_shm_create(&shared, size, NULL, pconf);
    int i;

    if (rv == APR_SUCCESS) {
        states = apr_shm_baseaddr_get(shared);
        memset(states, 0, size);
        for (i = 0; i < stores->nelts; i++) {
            APR_ARRAY_IDX(stores, i, store_t *)->state = &states[i];
        }
    }
    return rv;
}

void mds_clear_each(void (*each)(void *baton, const mds_clearing_t *clearing), void *baton)
{
    int i;

    for (i = 0; cleared && i < cleared->nelts; i++) {
        const store_t *store = APR_ARRAY_IDX(cleared, i, const store_t *);
        mds_clearing_t now = { store->server, store->site->engine->ops->name, store->interval,
                               0, 0, 0, 0, 0 };

        now.begun = mds_load(&store->state->begun);
        now.ended = mds_load(&store->state->ended);
        now.removed = mds_load(&store->state->removed);
        now.total = mds_load(&store->state->total);
        now.failed = mds_load(&store->state->failed);
        each(baton, &now);
    }
}

int mds_clear_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                          server_rec *server)
{
    collection_t all = { pconf, apr_array_make(pconf, 1, sizeof(store_t *)) };
    apr_status_t rv;

    (void)plog;
    (void)ptemp;
    cleared = NULL;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK; /* httpd reads it once more before it starts */
    }
    (void)mds_each_view(pconf, server, collect, &all);
    if (all.stores->nelts == 0) {
        return OK;
    }
    rv = share(pconf, all.stores);
    if (rv == APR_SUCCESS) {
        rv = enlist(pconf, all.stores);
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR | APLOG_STARTUP, rv, server,
                     DJSNO(0142) "what DjangoSessionClearInterval needs cannot be had: mod_watchdog, "
                                 "shared memory");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    cleared = all.stores;
    return OK;
}
