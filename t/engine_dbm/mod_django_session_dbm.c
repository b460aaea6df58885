/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A module that brings mod_django_session an engine of its own, "dbm":
 *
 *     LoadModule django_session_dbm_module modules/mod_django_session_dbm.so
 *     DjangoSessionEngine dbm
 *     DbmSessionFile /srv/site/sessions.db
 *
 * This is all that httpd has to know of it; what it does is in engine_dbm.c. By hand:
 *
 *     apxs -c -i mod_django_session_dbm.c engine_dbm.c
 */
#include <httpd.h>
#include <http_config.h>
#include <http_log.h>
#include <ap_provider.h>

#include "engine_dbm.h"
#include "mod_django_session.h"

extern module AP_MODULE_DECLARE_DATA django_session_dbm_module;

typedef struct server_config_t {
    const char *path;
} server_config_t;

static void *create(apr_pool_t *pool, server_rec *server)
{
    return apr_pcalloc(pool, sizeof(server_config_t));
}

static void *merge(apr_pool_t *pool, void *outer, void *inner)
{
    return ((server_config_t *)inner)->path != NULL ? inner : outer;
}

static const char *set_path(cmd_parms *cmd, void *section, const char *path)
{
    server_config_t *config = ap_get_module_config(cmd->server->module_config,
                                                   &django_session_dbm_module);

    config->path = ap_server_root_relative(cmd->pool, path);
    return config->path != NULL ? NULL : "DbmSessionFile: this is no path";
}

static apr_status_t open_engine(djs_ctx_t *ctx, apr_pool_t *pool, server_rec *server,
                                const char *name, djs_engine_t **engine)
{
    const server_config_t *config = ap_get_module_config(server->module_config,
                                                         &django_session_dbm_module);

    if (config->path == NULL) {
        return django_session_fail(ctx, APR_EINVAL,
                                   "DjangoSessionEngine %s needs a file: write DbmSessionFile PATH",
                                   name);
    }
    *engine = engine_dbm_make(pool, "DB", config->path);
    return APR_SUCCESS;
}

static void register_hooks(apr_pool_t *pool)
{
    static const django_session_engine_provider_t provider = { open_engine, engine_dbm_begin };

    ap_register_provider(pool, DJANGO_SESSION_ENGINE_GROUP, "dbm", DJANGO_SESSION_ENGINE_VERSION,
                         &provider);
}

static const command_rec commands[] = {
    AP_INIT_TAKE1("DbmSessionFile", set_path, NULL, RSRC_CONF,
                  "[PATH] where engine dbm keeps this virtual host's sessions"),
    { .name = NULL }
};

module AP_MODULE_DECLARE_DATA django_session_dbm_module = {
    STANDARD20_MODULE_STUFF, NULL, NULL, create, merge, commands, register_hooks, 0
};
