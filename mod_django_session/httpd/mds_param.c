/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DjangoSessionUrlParam: a session key in the address.
 *
 * An address gets about: into logs, histories, the Referer of the next page. So the parameter is
 * taken out as soon as the section is known that wants it, from all that modules, programs and logs
 * see of the request. Sections are of paths first (before translate_name) and of files then (before
 * header_parser), and of an internal redirect's target. Other sections keep theirs: it is the
 * parameter of something else there. A request that did not get so far (a malformed one, one that
 * mod_cache answers) is in the access log without what it may have held.
 */
#include "mds.h"

#include <apr_strings.h>
#include <scoreboard.h>

/* What stands in the access log where a key may have been. */
#define MASK "-"

/* The query in "/path?query" or "GET /path?query HTTP/1.1", edited; "?" goes with the last of it. */
static const char *edit_line(djs_ctx_t *ctx, const char *line, const char *name, const char *mask)
{
    const char *mark = strchr(line, '?');
    const char *end = mark ? strrchr(mark, ' ') : NULL;
    const char *query, *edited;

    if (!mark) {
        return line;
    }
    query = end ? apr_pstrmemdup(ctx->pool, mark + 1, (apr_size_t)(end - mark - 1)) : mark + 1;
    edited = djs_url_take_param(ctx, query, name, mask, NULL);
    if (edited == query) {
        return line;
    }
    return apr_pstrcat(ctx->pool, apr_pstrmemdup(ctx->pool, line, (apr_size_t)(mark - line)),
                       *edited ? "?" : "", edited, end ? end : "", NULL);
}

/* All that tells of a request's address; the value, if there is one, into @a value. */
static void edit(request_rec *r, const char *name, const char *mask, const char **value)
{
    djs_ctx_t ctx = { .pool = r->pool };
    const char *args;

    if (r->args) {
        args = djs_url_take_param(&ctx, r->args, name, mask, value);
        r->args = *args ? (char *)args : NULL;
    }
    if (r->parsed_uri.query) {
        args = djs_url_take_param(&ctx, r->parsed_uri.query, name, mask, NULL);
        r->parsed_uri.query = *args ? (char *)args : NULL;
    }
    if (r->unparsed_uri) {
        r->unparsed_uri = (char *)edit_line(&ctx, r->unparsed_uri, name, mask);
    }
    if (r->the_request) {
        r->the_request = (char *)edit_line(&ctx, r->the_request, name, mask);
    }
}

static void take(request_rec *r, const char *name)
{
    mds_request_t *request = mds_request(r);
    const char *value = NULL;
    request_rec *one;

    for (one = r; one; one = one->prev) {
        edit(one, name, NULL, &value);
    }
    if (value) {
        request->url_param = apr_pstrdup(request->ctx.pool, name);
        request->url_key = apr_pstrdup(request->ctx.pool, value);
        /* mod_status shows the line. */
        ap_update_child_status(r->connection->sbh, SERVER_BUSY_WRITE, r);
    }
}

void mds_take_param(request_rec *r)
{
    const djs_settings_t *settings = mds_view(r)->settings;

    if (!r->main && settings->url_param) {
        take(r, settings->url_param);
    }
}

int mds_take_param_of_file(request_rec *r)
{
    if (mds_server_of(r->server)->url_params) {
        mds_request(r)->located = 1;
        mds_take_param(r);
    }
    return DECLINED;
}

int mds_hide_params(request_rec *r)
{
    const apr_array_header_t *names = mds_server_of(r->server)->url_params;
    const mds_request_t *request = ap_get_module_config(r->request_config, &django_session_module);
    int i;

    if (!names || (request && request->located)) {
        return DECLINED;
    }
    for (; r; r = r->next) {
        for (i = 0; i < names->nelts; i++) {
            edit(r, APR_ARRAY_IDX(names, i, const char *), MASK, NULL);
        }
    }
    return DECLINED;
}

void mds_hide_in_address(request_rec *r, const char *name)
{
    edit(r, name, MASK, NULL);
    ap_update_child_status(r->connection->sbh, SERVER_BUSY_WRITE, r);
}

const char *mds_url_key(const mds_request_t *request, const djs_settings_t *settings)
{
    if (!settings->url_param || !request->url_param
        || strcmp(settings->url_param, request->url_param) != 0) {
        return NULL;
    }
    return request->url_key;
}

int mds_has_param(request_rec *r)
{
    return mds_server_of(r->server)->url_params
           && (mds_request(r)->url_key || mds_view(r)->settings->url_param);
}
