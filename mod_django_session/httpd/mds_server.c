/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of the process: the databases of mod_dbd, the sites, the children.
 *
 * Sites are opened while the configuration is checked, as root: that is when secrets are read. Each
 * child then has its own copy of everything, with connections of its own, which end before those
 * pools of mod_dbd do that lent them.
 */
#include "mds_page.h"

#include <unistd.h>

#include <apr_optional.h>
#include <apr_thread_mutex.h>
#include <http_main.h>
#include <mod_dbd.h>

#include "deflate.h"
#include "remember.h"

mds_process_t mds_process;

/* What sites are opened from; all else of the settings may differ. */
static const djs_setting_id_t store_settings[] = {
    DJS_SETTING_ENGINE, DJS_SETTING_SECRET_KEY, DJS_SETTING_SECRET_KEY_FALLBACKS,
    DJS_SETTING_SERIALIZER, DJS_SETTING_TABLE, DJS_SETTING_FILE_PATH, DJS_SETTING_CACHE,
    DJS_SETTING_USE_TZ, DJS_SETTING_TIME_ZONE, DJS_SETTING_USER_TABLE, DJS_SETTING_USERNAME_FIELD,
    DJS_SETTING_USER_ID_FIELD
};

/* A site that was opened, and what it was opened from. */
typedef struct opened_t {
    struct opened_t *next;
    const djs_settings_t *settings;
    const djs_database_t *database;
    const djs_site_t *site;
    server_rec *server; /* NULL: an engine of ours, which may be of many virtual hosts */
} opened_t;

static opened_t *opened;

static APR_OPTIONAL_FN_TYPE(ap_dbd_open) *dbd_open;
static APR_OPTIONAL_FN_TYPE(ap_dbd_close) *dbd_close;
static APR_OPTIONAL_FN_TYPE(ap_dbd_acquire) *dbd_acquire;

/* ---- beginnings and ends ---- */

void mds_process_begin(apr_pool_t *pconf)
{
    mds_process.pool = pconf;
    mds_process.lock = NULL;
    mds_process.running = 0;
    mds_process.stopping = 0;
    opened = NULL;
}

void mds_process_lock(void)
{
    if (mds_process.lock) {
        apr_thread_mutex_lock(mds_process.lock);
    }
}

void mds_process_unlock(void)
{
    if (mds_process.lock) {
        apr_thread_mutex_unlock(mds_process.lock);
    }
}

/*
 * A thread that waits inside mod_dbd for a database that says nothing holds the lock which mod_dbd's
 * clean-up wants: the child would never end, and after a graceful restart stay for ever.
 */
static apr_status_t leave_if_stuck(void *data)
{
    server_rec *s;

    for (s = data; s; s = s->next) {
        if (mds_server_of(s)->database && djs_database_is_stuck(mds_server_of(s)->database)) {
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                         DJSNO(0103) "the child ends without clean-up: its database still does "
                         "not say whether it can be connected to");
            _exit(0);
        }
    }
    return APR_SUCCESS;
}

/* An engine of another module learns that this child will use it. */
static void begin_engine(apr_pool_t *pchild, const opened_t *one)
{
    djs_ctx_t ctx = { .pool = pchild, .now = apr_time_now() };
    const char *name = one->settings->engine;

    if (mds_engine_child_init(&ctx, pchild, name, one->site->engine) != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, one->server ? one->server : ap_server_conf,
                     DJSNO(0104) "engine %s is not ready in this child: %s", name, ctx.problem);
    }
}

void mds_child_init(apr_pool_t *pchild, server_rec *server)
{
    server_rec *s;
    opened_t *one;
    apr_status_t rv;

    apr_pool_create(&mds_process.pool, pchild);
    apr_pool_tag(mds_process.pool, "django_session child");
    rv = apr_thread_mutex_create(&mds_process.lock, APR_THREAD_MUTEX_DEFAULT, pchild);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, server,
                     DJSNO(0102) "no mutex could be made for this child");
    }
    apr_pool_pre_cleanup_register(pchild, server, leave_if_stuck); /* runs after the following */
    /* Connections go back to mod_dbd before its pools, which are the child's, are destroyed. */
    for (s = server; s; s = s->next) {
        if (mds_server_of(s)->database) {
            djs_database_stop_with(mds_server_of(s)->database, pchild);
        }
    }
    for (one = opened; one; one = one->next) {
        begin_engine(pchild, one);
    }
    mds_stream_child_init(pchild, server);
    mds_process.compressors = djs_compressors_make(pchild);
    mds_process.running = 1;
}

/* ---- mod_dbd ---- */

static djs_dbd_lent_t as_lent(ap_dbd_t *connection)
{
    djs_dbd_lent_t lent = { connection->driver, connection->handle, connection->pool, connection };

    return lent;
}

static apr_status_t lend(void *data, apr_pool_t *pool, djs_dbd_lent_t *lent, const char **why)
{
    mds_server_t *server = data;
    ap_dbd_t *connection = dbd_open(pool, server->server);

    if (!connection) {
        *why = "mod_dbd gave no connection; its own line in the log says why";
        return APR_EGENERAL;
    }
    *lent = as_lent(connection);
    return APR_SUCCESS;
}

static void take_back(void *data, djs_dbd_lent_t *lent)
{
    mds_server_t *server = data;

    dbd_close(server->server, lent->lender);
}

/*
 * mod_authn_dbd and its like acquire a connection for the rest of the request. mod_dbd notes it in
 * the request's configuration, under its own module, and then gives the same one again.
 */
static int lend_held(void *data, djs_ctx_t *ctx, djs_dbd_lent_t *lent)
{
    const mds_server_t *server = data;
    const module *mod_dbd = ap_find_linked_module("mod_dbd.c");
    request_rec *r = mds_request_of(ctx);
    ap_dbd_t *connection;

    if (!r || !mod_dbd || !ap_get_module_config(r->request_config, mod_dbd)
        || mds_server_of(r->server)->database != server->database) {
        return 0;
    }
    connection = dbd_acquire(r);
    if (!connection) {
        return 0;
    }
    *lent = as_lent(connection);
    return 1;
}

static djs_database_t *find_database(const mds_server_t *wanted)
{
    server_rec *s;

    for (s = ap_server_conf; s; s = s->next) {
        const mds_server_t *server = mds_server_of(s);

        if (server->database && strcmp(server->driver, wanted->driver) == 0
            && strcmp(server->params, wanted->params) == 0) {
            return server->database;
        }
    }
    return NULL;
}

/* Make ready the database of a virtual host that has a DBDriver; connects to nothing. */
static apr_status_t make_database(djs_ctx_t *ctx, mds_server_t *server)
{
    djs_dbd_source_t source = { .data = server, .open = lend, .close = take_back,
                                .held = lend_held, .threaded = 1 };

    if (server->database) {
        return APR_SUCCESS;
    }
    if (!server->driver) {
        return djs_fail(ctx, DJS_EINVAL,
                        "sessions and users are in a database, and there is none; write DBDriver "
                        "and DBDParams (mod_dbd)");
    }
    dbd_open = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_open);
    dbd_close = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_close);
    dbd_acquire = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_acquire);
    if (!dbd_open || !dbd_close || !dbd_acquire) {
        return djs_fail(ctx, DJS_EINVAL,
                        "sessions and users are in a database, and mod_dbd is not loaded; write "
                        "LoadModule dbd_module modules/mod_dbd.so");
    }
    server->database = find_database(server);
    if (server->database) {
        return APR_SUCCESS;
    }
    return djs_database_open(ctx, mds_process.pool, &source, server->driver, &server->database);
}

/* ---- views and sites ---- */

static mds_view_t *find_view(const mds_dir_t *dir, const mds_server_t *server)
{
    mds_view_t *view = mds_load(&dir->views);

    while (view && view->server != server) {
        view = view->next;
    }
    return view;
}

static mds_view_t *make_view(apr_pool_t *pool, const mds_dir_t *dir, mds_server_t *server)
{
    mds_view_t *view = apr_pcalloc(pool, sizeof(*view));

    view->server = server;
    view->transient = dir->transient;
    view->settings = djs_settings_complete(pool, dir->set);
    view->auth = dir->auth;
    view->passwords = dir->passwords || dir->handler;
    view->pages = dir->handler;
    view->on = view->settings->session || view->auth || view->pages
               || (view->settings->csrf == DJS_CSRF_MODE_ON && view->settings->csrf_use_sessions);
    return view;
}

mds_view_t *mds_view_of(mds_dir_t *dir, mds_server_t *server, apr_pool_t *pool)
{
    mds_view_t *view = find_view(dir, server);

    if (view) {
        return view;
    }
    if (dir->transient) {
        return make_view(pool, dir, server);
    }
    mds_process_lock();
    view = find_view(dir, server);
    if (!view) {
        view = make_view(mds_process.pool, dir, server);
        view->next = dir->views;
        mds_publish(&dir->views, view);
    }
    mds_process_unlock();
    return view;
}

static int same_store(const opened_t *one, const mds_view_t *view)
{
    const djs_setting_row_t *rows = djs_setting_rows();
    apr_size_t i;

    if (one->database != view->server->database
        || (one->server && one->server != view->server->server)) {
        return 0;
    }
    for (i = 0; i < sizeof(store_settings) / sizeof(store_settings[0]); i++) {
        if (!djs_settings_equal(one->settings, view->settings, &rows[store_settings[i]])) {
            return 0;
        }
    }
    return 1;
}

/* A site is opened from these rows alone: all that it needs, nothing that is .htaccess' to say. */
static const djs_settings_t *settings_of_store(apr_pool_t *pool, const djs_settings_t *settings)
{
    djs_settings_t *few = djs_settings_make(pool);
    apr_size_t i;

    for (i = 0; i < sizeof(store_settings) / sizeof(store_settings[0]); i++) {
        djs_settings_take(few, settings, &djs_setting_rows()[store_settings[i]]);
    }
    return djs_settings_complete(pool, few);
}

/* With an engine of ours or of another module. */
static apr_status_t open_site(djs_ctx_t *ctx, opened_t *one, server_rec *server,
                              djs_database_t *database, djs_site_t **site)
{
    const char *name = one->settings->engine;
    djs_engine_t *engine;
    apr_status_t rv;

    if (djs_stores_engine_name(name)) {
        return djs_stores_open(ctx, mds_process.pool, one->settings, database, site);
    }
    one->server = server;
    rv = mds_engine_open(ctx, mds_process.pool, server, name, &engine);
    if (rv == APR_SUCCESS && mds_process.running) {
        rv = mds_engine_child_init(ctx, mds_process.pool, name, engine);
    }
    if (rv == APR_SUCCESS) {
        rv = djs_stores_open_around(ctx, mds_process.pool, one->settings, database, engine, site);
    }
    return rv;
}

/* Users of different tables, databases or keys are not each other's. Under the lock. */
static void share_users(djs_ctx_t *ctx, const opened_t *one, const mds_server_t *server,
                        djs_site_t *site)
{
    djs_ctx_t own = { .pool = mds_process.pool, .now = ctx->now };
    const djs_settings_t *settings = one->settings;

    if (site->users) {
        site->users->shared = mds_shm_users(&own);
        site->users->scope = djs_remember_scope(
            mds_process.pool, site->keys,
            apr_pstrcat(ctx->pool, server->driver, "\n", server->params, "\n", settings->user_table,
                        "\n", settings->user_id_field, "\n", settings->username_field, NULL));
    }
}

/* Under the lock. */
static apr_status_t open_store(djs_ctx_t *ctx, const mds_view_t *view, const djs_site_t **site)
{
    opened_t *one = opened;
    djs_site_t *fresh;
    apr_status_t rv;

    while (one && !same_store(one, view)) {
        one = one->next;
    }
    if (!one) {
        one = apr_pcalloc(mds_process.pool, sizeof(*one));
        one->settings = settings_of_store(mds_process.pool, view->settings);
        one->database = view->server->database;
        rv = open_site(ctx, one, view->server->server, view->server->database, &fresh);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        share_users(ctx, one, view->server, fresh);
        one->site = fresh;
        one->next = opened;
        opened = one;
    }
    *site = one->site;
    return APR_SUCCESS;
}

static apr_status_t open_view(djs_ctx_t *ctx, mds_view_t *view)
{
    const djs_site_t *store;
    djs_site_t *site;
    apr_status_t rv = mds_view_check(ctx, view);

    if (rv == APR_SUCCESS) {
        rv = mds_page_open(ctx, view);
    }
    if (rv == APR_SUCCESS) {
        rv = open_store(ctx, view, &store);
    }
    if (rv == APR_SUCCESS) {
        site = djs_stores_view(ctx->pool, store, view->settings);
        /* Of what lives with a request, few ever need it. */
        site->cookie_deletion = view->transient ? NULL : djs_cookie_delete(ctx, view->settings);
        mds_publish(&view->site, (const djs_site_t *)site);
    }
    return rv;
}

/* Sessions or users are in it. AuthType Django without users would let nobody in. */
static int uses_database(const mds_view_t *view)
{
    return view->server->driver || view->auth || view->passwords
           || djs_stores_needs_database(view->settings->engine);
}

apr_status_t mds_view_check(djs_ctx_t *ctx, mds_view_t *view)
{
    apr_status_t rv = djs_settings_check(ctx, view->settings);

    return rv == APR_SUCCESS && uses_database(view) ? make_database(ctx, view->server) : rv;
}

apr_status_t mds_view_open(djs_ctx_t *ctx, mds_view_t *view)
{
    apr_status_t rv = APR_SUCCESS;
    djs_ctx_t own = *ctx;

    if (mds_load(&view->site)) {
        return APR_SUCCESS;
    }
    if (!view->transient) {
        own.pool = mds_process.pool;
    }
    mds_process_lock();
    if (!view->site) {
        rv = open_view(&own, view);
    }
    mds_process_unlock();
    if (rv != APR_SUCCESS) {
        return djs_fail(ctx, rv, "%s", own.problem);
    }
    return APR_SUCCESS;
}
