/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From options to an open site. The server's way there goes through mod_dbd; ours is apr_dbd itself.
 */
#include "site.h"
#include "database.h"
#include "keys.h"
#include "stores.h"

apr_status_t cli_keys_open(djs_ctx_t *ctx, const cli_options_t *options, djs_keyring_t **keys)
{
    if (options->settings->secret_key == NULL) {
        return djs_fail(ctx, DJS_EINVAL, "--secret-key is missing: sessions are signed with the "
                        "site's SECRET_KEY; write --secret-key file:PATH");
    }
    return djs_keys_open(ctx, ctx->pool, options->settings, keys);
}

/* NULL when the engine needs none and none was named. */
static apr_status_t open_database(djs_ctx_t *ctx, const cli_options_t *options,
                                  djs_database_t **database)
{
    const char *engine = djs_stores_engine_name(options->settings->engine);
    djs_dbd_source_t *source = apr_pcalloc(ctx->pool, sizeof(*source));
    apr_status_t rv;

    *database = NULL;
    if (options->driver == NULL) {
        if (engine != NULL && djs_stores_needs_database(engine)) {
            return djs_fail(ctx, DJS_EINVAL, "engine %s needs a database: write "
                            "--dbd DRIVER:PARAMS, or --config FILE with DBDriver and DBDParams",
                            engine);
        }
        return APR_SUCCESS;
    }
    rv = djs_dbd_direct_source(ctx, ctx->pool, options->driver,
                               options->params != NULL ? options->params : "", source);
    if (rv == APR_SUCCESS) {
        rv = djs_database_open(ctx, ctx->pool, source, options->driver, database);
    }
    /* A driver that is not there is a matter of the command line. */
    return rv == DJS_EUNSUPPORTED ? DJS_EINVAL : rv;
}

apr_status_t cli_site_open(djs_ctx_t *ctx, const cli_options_t *options, djs_site_t **site)
{
    djs_database_t *database;
    apr_status_t rv = djs_settings_check(ctx, options->settings);

    if (rv == APR_SUCCESS) {
        rv = open_database(ctx, options, &database);
    }
    if (rv == APR_SUCCESS) {
        rv = djs_stores_open(ctx, ctx->pool, options->settings, database, site);
    }
    return rv;
}
