/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections straight from apr_dbd. A pool of its own for each, so that one that is being opened
 * when the program ends takes nothing with it.
 */
#include "database.h"

#include <string.h>

#include <apr_file_info.h>

typedef struct direct_t {
    const apr_dbd_driver_t *driver;
    const char *params;
    const char *file; /* NULL, or a file that has to be there: SQLite would make an empty one */
} direct_t;

typedef struct closing_t {
    const apr_dbd_driver_t *driver;
    apr_dbd_t *handle;
} closing_t;

static apr_status_t close_handle(void *data)
{
    closing_t *closing = data;

    return apr_dbd_close(closing->driver, closing->handle);
}

static apr_status_t open_direct(void *data, apr_pool_t *pool, djs_dbd_lent_t *lent,
                                const char **why)
{
    direct_t direct = *(const direct_t *)data; /* which may be gone when we are through */
    closing_t *closing;
    apr_finfo_t found;
    apr_pool_t *own;
    apr_status_t rv;

    if (direct.file != NULL) {
        rv = apr_stat(&found, direct.file, APR_FINFO_TYPE, pool);
        if (rv != APR_SUCCESS) {
            *why = apr_psprintf(pool, "file %s is not there, or out of reach", direct.file);
            return rv;
        }
    }
    rv = apr_pool_create(&own, NULL);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = apr_dbd_open_ex(direct.driver, own, direct.params, &lent->handle, why);
    if (rv != APR_SUCCESS) {
        /* With a handle there was a connection, and the message went with it. */
        *why = lent->handle == NULL ? apr_pstrdup(pool, *why) : "the connection was lost at once";
        apr_pool_destroy(own);
        return rv;
    }
    lent->driver = direct.driver;
    lent->pool = own;
    closing = apr_palloc(own, sizeof(*closing));
    closing->driver = direct.driver;
    closing->handle = lent->handle;
    apr_pool_cleanup_register(own, closing, close_handle, apr_pool_cleanup_null);
    return APR_SUCCESS;
}

static void close_direct(void *data, djs_dbd_lent_t *lent)
{
    (void)data;
    apr_pool_destroy(lent->pool);
}

apr_status_t djs_dbd_direct_source(djs_ctx_t *ctx, apr_pool_t *pool, const char *driver,
                                   const char *params, djs_dbd_source_t *source)
{
    direct_t *direct = apr_pcalloc(pool, sizeof(*direct));
    apr_status_t rv;

    apr_dbd_init(pool);
    rv = apr_dbd_get_driver(pool, driver, &direct->driver);
    if (rv != APR_SUCCESS) {
        return djs_fail(ctx, DJS_EUNSUPPORTED,
                        "apr-util's database driver \"%s\" is not installed", driver);
    }
    direct->params = apr_pstrdup(pool, params);
    direct->file = strcmp(driver, "sqlite3") == 0 ? direct->params : NULL;
    memset(source, 0, sizeof(*source));
    source->data = direct;
    source->open = open_direct;
    source->close = close_direct;
    source->threaded = 1;
    return APR_SUCCESS;
}
