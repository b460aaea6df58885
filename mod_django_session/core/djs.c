/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The call context, byte ranges and the names of status codes.
 */
#include "djs.h"

#include <stdarg.h>
#include <string.h>

apr_status_t djs_fail(djs_ctx_t *ctx, apr_status_t status, const char *format, ...)
{
    if (ctx->problem == NULL) {
        va_list args;

        va_start(args, format);
        ctx->problem = apr_pvsprintf(ctx->pool, format, args);
        va_end(args);
    }
    return status;
}

void djs_forget(djs_ctx_t *ctx)
{
    ctx->problem = NULL;
}

void djs_trace(djs_ctx_t *ctx, const char *format, ...)
{
    va_list args;
    const char *line;

    if (ctx->host == NULL || ctx->host->trace == NULL) {
        return;
    }
    va_start(args, format);
    line = apr_pvsprintf(ctx->pool, format, args);
    va_end(args);
    ctx->host->trace(ctx->baton, line);
}

void djs_warn(djs_ctx_t *ctx, const char *format, ...)
{
    va_list args;
    const char *line;

    if (ctx->host == NULL || ctx->host->warn == NULL) {
        return;
    }
    va_start(args, format);
    line = apr_pvsprintf(ctx->pool, format, args);
    va_end(args);
    ctx->host->warn(ctx->baton, line);
}

void djs_notify(djs_ctx_t *ctx, const char *format, ...)
{
    void (*tell)(void *baton, const char *line) = NULL;
    va_list args;
    const char *line;

    if (ctx->host != NULL) {
        tell = ctx->host->notify != NULL ? ctx->host->notify : ctx->host->warn;
    }
    if (tell == NULL) {
        return;
    }
    va_start(args, format);
    line = apr_pvsprintf(ctx->pool, format, args);
    va_end(args);
    tell(ctx->baton, line);
}

void djs_progress(djs_ctx_t *ctx, apr_size_t done)
{
    if (ctx->host != NULL && ctx->host->progress != NULL) {
        ctx->host->progress(ctx->baton, done);
    }
}

djs_bytes_t djs_bytes_copy(apr_pool_t *pool, djs_bytes_t bytes)
{
    char *copy = apr_palloc(pool, bytes.len + 1);

    if (bytes.len > 0) {
        memcpy(copy, bytes.data, bytes.len);
    }
    copy[bytes.len] = '\0';
    return djs_bytes_of(copy, bytes.len);
}

const char *djs_status_name(apr_status_t status)
{
    static const struct {
        apr_status_t status;
        const char *name;
    } names[] = {
        { APR_SUCCESS,      "APR_SUCCESS" },
        { APR_NOTFOUND,     "APR_NOTFOUND" },
        { APR_EEXIST,       "APR_EEXIST" },
        { APR_ENOMEM,       "APR_ENOMEM" },
        { APR_EINVAL,       "APR_EINVAL" },
        { APR_EGENERAL,     "APR_EGENERAL" },
        { APR_ENOTIMPL,     "APR_ENOTIMPL" },
        { APR_ENOENT,       "APR_ENOENT" },
        { APR_EACCES,       "APR_EACCES" },
        { APR_EOF,          "APR_EOF" },
        { APR_TIMEUP,       "APR_TIMEUP" },
        { DJS_EBADSIG,      "DJS_EBADSIG" },
        { DJS_EEXPIRED,     "DJS_EEXPIRED" },
        { DJS_EFORMAT,      "DJS_EFORMAT" },
        { DJS_ELIMIT,       "DJS_ELIMIT" },
        { DJS_ECONFLICT,    "DJS_ECONFLICT" },
        { DJS_ESTORE,       "DJS_ESTORE" },
        { DJS_EUNSUPPORTED, "DJS_EUNSUPPORTED" },
        { DJS_EINVAL,       "DJS_EINVAL" },
        { DJS_EINTERRUPTED, "DJS_EINTERRUPTED" },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].status == status) {
            return names[i].name;
        }
    }
    return "another status";
}
