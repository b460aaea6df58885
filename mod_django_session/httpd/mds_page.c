/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See mds_page.h.
 */
#include "mds_page.h"

#include <apr_file_io.h>
#include <apr_strings.h>

#include "encode.h"
#include "template.h"

#define NONCE_BYTES 16

static const char *const names[] = {
#define NAME(ID, name) name,
    MDS_PAGE_NAMES(NAME)
#undef NAME
    NULL
};

/* ---- templates ---- */

static apr_status_t read_file(djs_ctx_t *ctx, const char *path, djs_bytes_t *text)
{
    char *data = apr_palloc(ctx->pool, DJS_TEMPLATE_MAX + 1);
    apr_size_t len = 0;
    apr_file_t *file;
    char reason[120];
    apr_status_t rv = apr_file_open(&file, path, APR_FOPEN_READ | APR_FOPEN_BINARY, 0, ctx->pool);

    if (rv == APR_SUCCESS) {
        rv = apr_file_read_full(file, data, DJS_TEMPLATE_MAX + 1, &len);
        apr_file_close(file);
    }
    if (rv != APR_SUCCESS && !APR_STATUS_IS_EOF(rv)) {
        return djs_fail(ctx, DJS_EINVAL, "DjangoLoginTemplate %s: %s", path,
                        apr_strerror(rv, reason, sizeof(reason)));
    }
    *text = djs_bytes_of(data, len);
    return APR_SUCCESS;
}

static apr_status_t read_template(djs_ctx_t *ctx, const char *path, const djs_template_t **made)
{
    djs_ctx_t aside = { .pool = ctx->pool };
    djs_bytes_t text = djs_bytes(mds_login_page);
    apr_status_t rv = path ? read_file(ctx, path, &text) : APR_SUCCESS;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = djs_template_parse(&aside, text, names, made);
    return rv == APR_SUCCESS ? rv
                             : djs_fail(ctx, DJS_EINVAL, "DjangoLoginTemplate %s: %s",
                                        path ? path : "(built in)", aside.problem);
}

apr_status_t mds_page_open(djs_ctx_t *ctx, mds_view_t *view)
{
    /* An .htaccess file may not name what its author could not see: that is asked with the request. */
    if (!(view->pages || (view->auth && view->settings->preserve_post)) || view->transient) {
        return APR_SUCCESS;
    }
    return read_template(ctx, view->settings->login_template, &view->page);
}

/* May visitors see this file? */
static int is_visible(request_rec *r, const char *path)
{
    request_rec *sub = ap_sub_req_lookup_file(path, r, NULL);
    int visible = sub->status == HTTP_OK && sub->finfo.filetype == APR_REG;

    ap_destroy_sub_req(sub);
    return visible;
}

/* The one at this path, or with NULL our own. NULL: it cannot be; that was logged. */
static const djs_template_t *template_at(request_rec *r, const mds_view_t *view, const char *path)
{
    djs_ctx_t ctx = { .pool = r->pool };
    const djs_template_t *made = NULL;

    if (path && view->transient && !is_visible(r, path)) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      DJSNO(0202) "DjangoLoginTemplate %s: from an .htaccess file only a file that "
                                  "visitors may see",
                      path);
        return NULL;
    }
    if (read_template(&ctx, path, &made) != APR_SUCCESS) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, DJSNO(0201) "%s", ctx.problem);
        return NULL;
    }
    return made;
}

/* A template that was written for logins only leaves out what the other pages are for. */
static int has_place_for(const djs_template_t *template, const mds_page_t *page)
{
    static const mds_page_name_t others[] = { MDS_PAGE_KEPT, MDS_PAGE_AGAIN, MDS_PAGE_LINK };
    int i;

    for (i = 0; i < (int)(sizeof(others) / sizeof(others[0])); i++) {
        if (page->texts[others[i]] && !djs_template_has(template, others[i])) {
            return 0;
        }
    }
    return 1;
}

/* @a own: it is the administrator's. */
static const djs_template_t *template_for(request_rec *r, const mds_view_t *view,
                                          const mds_page_t *page, int *own)
{
    const char *path = view->settings->login_template;
    const djs_template_t *made = view->page ? view->page : template_at(r, view, path);

    *own = path != NULL;
    if (made && path && !has_place_for(made, page)) {
        *own = 0;
        made = template_at(r, view, NULL);
    }
    return made;
}

/* ---- answers ---- */

void mds_page_never_cache(request_rec *r)
{
    apr_table_setn(r->err_headers_out, "Cache-Control",
                   "max-age=0, no-cache, no-store, must-revalidate, private");
}

/*
 * The page shows a form for a password: nothing of another site's and no script may be in it, and it
 * may be in no other page. An administrator's template may have style sheets, scripts and pictures of
 * its own site. There is no form-action: browsers hold it against where a login leads to, too.
 */
static void set_headers(request_rec *r, const char *nonce, int own)
{
    apr_table_t *headers = r->err_headers_out;

    mds_page_never_cache(r);
    apr_table_setn(headers, "Content-Security-Policy",
                   apr_psprintf(r->pool,
                                "default-src 'none'; style-src 'nonce-%s'%s; base-uri 'none'; "
                                "frame-ancestors 'none'",
                                nonce,
                                own ? apr_psprintf(r->pool, " 'self'; script-src 'nonce-%s' 'self'; "
                                                            "img-src 'self' data:; font-src 'self'",
                                                   nonce)
                                    : ""));
    apr_table_setn(headers, "X-Frame-Options", "DENY");
    apr_table_setn(headers, "X-Content-Type-Options", "nosniff");
    apr_table_setn(headers, "Referrer-Policy", "same-origin");
    apr_table_setn(headers, "Cross-Origin-Opener-Policy", "same-origin");
}

/* Of the request, without its port: for people. */
static const char *host_of(request_rec *r)
{
    return r->hostname ? r->hostname : ap_get_server_name(r);
}

const char *mds_page_text(request_rec *r, mds_view_t *view, mds_page_t *page)
{
    djs_ctx_t ctx = { .pool = r->pool };
    int own;
    const djs_template_t *template = template_for(r, view, page, &own);
    char nonce[NONCE_BYTES];

    if (!template || djs_random(&ctx, nonce, sizeof(nonce)) != APR_SUCCESS) {
        return NULL;
    }
    page->texts[MDS_PAGE_NONCE] = djs_hex(r->pool, djs_bytes_of(nonce, sizeof(nonce)));
    page->texts[MDS_PAGE_HOST] = host_of(r);
    set_headers(r, page->texts[MDS_PAGE_NONCE], own);
    return djs_template_render(&ctx, template, page->texts);
}

int mds_page_send(request_rec *r, mds_view_t *view, mds_page_t *page)
{
    const char *text = mds_page_text(r, view, page);

    if (!text) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    ap_set_content_type(r, "text/html; charset=utf-8");
    ap_rputs(text, r);
    return OK;
}
