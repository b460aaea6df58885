/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared memory: made once the whole configuration is known, as root and before there are children,
 * which inherit it. It stays while the configuration is read again (graceful restarts): regions are
 * kept by the pool of the process, not by that of the configuration.
 */
#include "mds.h"

#include <http_main.h>
#include <unixd.h>

#include "cache_shm.h"
#include "users_cache.h"

/* At the start nobody waits for an answer. */
#define PATIENCE apr_time_from_sec(10)

static void warn(void *server, const char *line)
{
    ap_log_error(APLOG_MARK, APLOG_WARNING | APLOG_STARTUP, 0, server, DJSNO(0106) "%s", line);
}

static const djs_host_t host = { .warn = warn };

/* What is remembered of users: some tens of thousands of them. No configuration can name it so. */
static const djs_cache_conf_t users_conf = { .scheme = DJS_CACHE_SHM, .format = DJS_CACHE_OURS,
                                             .shm_name = "(users)", .shm_size = 32 * 1024 * 1024 };
static const djs_shared_t *users_shared;

void mds_shm_begin(void)
{
    users_shared = NULL;
    djs_cache_shm_keep(ap_pglobal);
}

const djs_shared_t *mds_shm_users(djs_ctx_t *ctx)
{
    djs_cache_t *cache;

    if (!users_shared && djs_caches_open(ctx, ctx->pool, &users_conf, &cache) == APR_SUCCESS) {
        users_shared = djs_users_cache_make(ctx->pool, cache);
    }
    return users_shared;
}

static apr_status_t make_region_of(djs_ctx_t *ctx, const djs_cache_conf_t *cache)
{
    return djs_cache_shm_make(ctx, cache, ap_unixd_config.user_id, ap_unixd_config.group_id);
}

static int make_regions(void *ctx_, mds_view_t *view)
{
    djs_ctx_t *ctx = ctx_;
    const djs_cache_conf_t *cache = view->settings->cache;
    apr_status_t rv = APR_SUCCESS;

    if (cache && cache->scheme == DJS_CACHE_SHM) {
        rv = make_region_of(ctx, cache);
    }
    if (rv == APR_SUCCESS && view->settings->user_cache > 0) {
        rv = make_region_of(ctx, &users_conf);
    }
    if (rv == APR_SUCCESS) {
        return 1;
    }
    ap_log_error(APLOG_MARK, APLOG_ERR | APLOG_STARTUP, 0, view->server->server,
                 DJSNO(0105) "%s", ctx->problem);
    djs_forget(ctx);
    return 0;
}

/* A running server goes on without what could not be made: its sessions are answered with 503. */
int mds_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *server)
{
    djs_ctx_t ctx = { .pool = ptemp, .now = apr_time_now(), .patience = PATIENCE, .host = &host,
                      .baton = server };
    int failed;

    (void)plog;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK; /* httpd reads it once more before it starts */
    }
    failed = mds_each_view(pconf, server, make_regions, &ctx);
    if (mds_password_begin(&ctx, pconf, ap_unixd_config.user_id, ap_unixd_config.group_id)
        != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR | APLOG_STARTUP, 0, server, DJSNO(0199) "%s",
                     ctx.problem);
        failed++;
    }
    djs_cache_shm_sweep(&ctx);
    return failed == 0 || ap_state_query(AP_SQ_CONFIG_GEN) > 1 ? OK : HTTP_INTERNAL_SERVER_ERROR;
}
