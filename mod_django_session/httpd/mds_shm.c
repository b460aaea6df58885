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

/* At the start nobody waits for an answer. */
#define PATIENCE apr_time_from_sec(10)

static void warn(void *server, const char *line)
{
    ap_log_error(APLOG_MARK, APLOG_WARNING | APLOG_STARTUP, 0, server, DJSNO(0106) "%s", line);
}

static const djs_host_t host = { .warn = warn };

void mds_shm_begin(void)
{
    djs_cache_shm_keep(ap_pglobal);
}

static int make_region(void *ctx_, mds_view_t *view)
{
    djs_ctx_t *ctx = ctx_;
    const djs_cache_conf_t *cache = view->settings->cache;

    if (!cache || cache->scheme != DJS_CACHE_SHM
        || djs_cache_shm_make(ctx, cache, ap_unixd_config.user_id, ap_unixd_config.group_id)
               == APR_SUCCESS) {
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
    failed = mds_each_view(pconf, server, make_region, &ctx);
    if (mds_password_begin(&ctx, pconf, ap_unixd_config.user_id, ap_unixd_config.group_id)
        != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR | APLOG_STARTUP, 0, server, DJSNO(0199) "%s",
                     ctx.problem);
        failed++;
    }
    djs_cache_shm_sweep(&ctx);
    return failed == 0 || ap_state_query(AP_SQ_CONFIG_GEN) > 1 ? OK : HTTP_INTERNAL_SERVER_ERROR;
}
