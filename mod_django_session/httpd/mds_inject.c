/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DjangoCsrfInject: the output filter that puts the field into forms (core/inject.h), behind the filters
 * that make content and in front of those that compress it.
 *
 * The page goes on as it comes. Held is only what follows a form's tag until it is known whether the
 * form has a field, and no longer than until somebody wants to see the page so far.
 *
 * A page that comes compressed could not be read. So the application is not told that the client takes
 * such, and mod_deflate and its like, which come later, are.
 */
#include "mds.h"

#include <apr_buckets.h>
#include <apr_strings.h>
#include <util_filter.h>

#include "inject.h"

/* What goes on at once. */
#define PASS_BYTES (64 * 1024)

static ap_filter_rec_t *filter;

typedef struct page_t {
    djs_inject_t *inject;
    const char *field;         /* HTML; secret */
    apr_bucket_brigade *out;   /* goes on */
    apr_bucket_brigade *held;  /* behind the mark */
    int marked;
    apr_size_t waiting;        /* bytes in `out` */
} page_t;

/* ---- the request ---- */

static int is_wanted(const mds_view_t *view)
{
    return view->settings->csrf == DJS_CSRF_MODE_ON && view->settings->csrf_inject;
}

static void give_encoding_back(request_rec *r, mds_request_t *request)
{
    if (request->accept_encoding) {
        apr_table_setn(r->headers_in, "Accept-Encoding", request->accept_encoding);
        request->accept_encoding = NULL;
    }
}

void mds_inject_prepare(request_rec *r, const mds_view_t *view)
{
    mds_request_t *request = mds_request(r);

    if (r->main) {
        return;
    }
    give_encoding_back(r, request); /* of the request before an internal redirect */
    if (is_wanted(view)) {
        request->accept_encoding = apr_table_get(r->headers_in, "Accept-Encoding");
        apr_table_unset(r->headers_in, "Accept-Encoding");
    }
}

/* ---- the answer's head ---- */

static const char *out_header(const request_rec *r, const char *name)
{
    const char *value = apr_table_get(r->headers_out, name);

    return value ? value : apr_table_get(r->err_headers_out, name);
}

static int is_encoded(request_rec *r)
{
    const char *encoding = r->content_encoding ? r->content_encoding
                                               : out_header(r, "Content-Encoding");

    if (!encoding || !*encoding || strcasecmp(encoding, "identity") == 0) {
        return 0;
    }
    if (mds_may_log(MDS_MSG_0213, r->request_time)) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      DJSNO(0213) "%s came in encoding %s and got no CSRF field", r->uri,
                      encoding);
    }
    return 1;
}

/* No part and no copy of a page, but a page. */
static int has_page(const request_rec *r)
{
    return r->status != HTTP_PARTIAL_CONTENT && r->status != HTTP_NOT_MODIFIED
           && r->status != HTTP_NO_CONTENT;
}

/* What was said of the page as it was. */
static void forget_original(request_rec *r)
{
    static const char *const names[] = { "Content-Length", "ETag", "Last-Modified", "Content-MD5",
                                         "Digest", "Content-Digest", "Repr-Digest", NULL };
    int i;

    for (i = 0; names[i]; i++) {
        apr_table_unset(r->headers_out, names[i]);
        apr_table_unset(r->err_headers_out, names[i]);
    }
    /* Two answers differ, so that parts of them do not fit. */
    apr_table_setn(r->headers_out, "Accept-Ranges", "none");
    apr_table_unset(r->headers_in, "Range");
    apr_table_unset(r->headers_in, "If-Range");
}

/* NULL: there is nothing to do here. */
static page_t *begin(ap_filter_t *f)
{
    request_rec *r = f->r;
    mds_view_t *view = mds_view(r);
    page_t *page;
    const char *token;

    if (!is_wanted(view) || !has_page(r) || !djs_inject_is_readable(r->content_type)
        || is_encoded(r)) {
        return NULL;
    }
    token = mds_csrf_page_token(r, view);
    if (!token) {
        return NULL;
    }
    forget_original(r);
    page = apr_pcalloc(r->pool, sizeof(*page));
    page->inject = djs_inject_make(&mds_request(r)->ctx, mds_is_secure(r),
                                   apr_table_get(r->headers_in, "Host"));
    page->field = apr_psprintf(r->pool, "<input type=\"hidden\" name=\"%s\" value=\"%s\">",
                               DJS_CSRF_FIELD, token);
    page->out = apr_brigade_create(r->pool, f->c->bucket_alloc);
    page->held = apr_brigade_create(r->pool, f->c->bucket_alloc);
    return page;
}

/* ---- its body ---- */

static void act(ap_filter_t *f, page_t *page, djs_inject_event_t event)
{
    if (event == DJS_INJECT_MARK) {
        page->marked = 1;
        return;
    }
    if (event == DJS_INJECT_INSERT) {
        APR_BRIGADE_INSERT_TAIL(page->out, apr_bucket_pool_create(page->field, strlen(page->field),
                                                                  f->r->pool,
                                                                  f->c->bucket_alloc));
    }
    if (event != DJS_INJECT_NOTHING) {
        APR_BRIGADE_CONCAT(page->out, page->held);
        page->marked = 0;
    }
}

static void move(page_t *page, apr_bucket *bucket, apr_size_t len)
{
    APR_BUCKET_REMOVE(bucket);
    APR_BRIGADE_INSERT_TAIL(page->marked ? page->held : page->out, bucket);
    page->waiting += len;
}

/* A bucket of data up to where something is to be done; the rest stays where it is. */
static apr_status_t take(ap_filter_t *f, page_t *page, apr_bucket *bucket, const char *data,
                         apr_size_t len)
{
    djs_inject_event_t event;
    apr_size_t used = djs_inject_scan(page->inject, data, len, &event);
    apr_status_t rv = APR_SUCCESS;

    if (used > 0 && used < len) {
        rv = apr_bucket_split(bucket, used);
    }
    if (rv == APR_SUCCESS && (used > 0 || len == 0)) {
        move(page, bucket, used);
    }
    act(f, page, event);
    return rv;
}

static apr_status_t pass(ap_filter_t *f, page_t *page)
{
    apr_status_t rv = APR_SUCCESS;

    if (!APR_BRIGADE_EMPTY(page->out)) {
        rv = ap_pass_brigade(f->next, page->out);
        apr_brigade_cleanup(page->out);
    }
    page->waiting = 0;
    return rv;
}

static apr_status_t take_metadata(ap_filter_t *f, page_t *page, apr_bucket *bucket)
{
    act(f, page, djs_inject_release(page->inject));
    move(page, bucket, 0);
    return APR_BUCKET_IS_FLUSH(bucket) || APR_BUCKET_IS_EOS(bucket) ? pass(f, page) : APR_SUCCESS;
}

/* @a block: whether to wait for it; in and out. */
static apr_status_t take_bucket(ap_filter_t *f, page_t *page, apr_bucket *bucket,
                                apr_read_type_e *block)
{
    const char *data;
    apr_size_t len;
    apr_status_t rv;

    if (APR_BUCKET_IS_METADATA(bucket)) {
        return take_metadata(f, page, bucket);
    }
    rv = apr_bucket_read(bucket, &data, &len, *block);
    if (APR_STATUS_IS_EAGAIN(rv) && *block == APR_NONBLOCK_READ) {
        *block = APR_BLOCK_READ;
        act(f, page, djs_inject_release(page->inject));
        APR_BRIGADE_INSERT_TAIL(page->out, apr_bucket_flush_create(f->c->bucket_alloc));
        return pass(f, page);
    }
    if (rv == APR_SUCCESS) {
        *block = APR_NONBLOCK_READ;
        rv = take(f, page, bucket, data, len);
    }
    return rv == APR_SUCCESS && page->waiting >= PASS_BYTES ? pass(f, page) : rv;
}

/* What is held lives on when who sent it is gone. */
static apr_status_t keep_held(ap_filter_t *f, page_t *page)
{
    apr_bucket *bucket;
    apr_status_t rv = APR_SUCCESS;

    for (bucket = APR_BRIGADE_FIRST(page->held);
         rv == APR_SUCCESS && bucket != APR_BRIGADE_SENTINEL(page->held);
         bucket = APR_BUCKET_NEXT(bucket)) {
        rv = apr_bucket_setaside(bucket, f->r->pool);
    }
    return rv;
}

static int has_error(const apr_bucket_brigade *brigade)
{
    apr_bucket *bucket;

    for (bucket = APR_BRIGADE_FIRST(brigade); bucket != APR_BRIGADE_SENTINEL(brigade);
         bucket = APR_BUCKET_NEXT(bucket)) {
        if (AP_BUCKET_IS_ERROR(bucket)) {
            return 1;
        }
    }
    return 0;
}

static apr_status_t put_fields(ap_filter_t *f, apr_bucket_brigade *brigade)
{
    page_t *page = f->ctx;
    apr_read_type_e block = APR_NONBLOCK_READ;
    apr_status_t rv = APR_SUCCESS;

    if (!page) {
        give_encoding_back(f->r, mds_request(f->r));
        page = f->ctx = has_error(brigade) ? NULL : begin(f);
        if (!page) {
            ap_remove_output_filter(f);
            return ap_pass_brigade(f->next, brigade);
        }
    }
    while (rv == APR_SUCCESS && !APR_BRIGADE_EMPTY(brigade)) {
        rv = take_bucket(f, page, APR_BRIGADE_FIRST(brigade), &block);
    }
    if (rv == APR_SUCCESS) {
        rv = pass(f, page);
    }
    return rv == APR_SUCCESS ? keep_held(f, page) : rv;
}

void mds_inject_register(void)
{
    filter = ap_register_output_filter("DJANGO_CSRF_INJECT", put_fields, NULL,
                                       AP_FTYPE_CONTENT_SET - 1);
}

void mds_inject_insert(request_rec *r)
{
    if (!r->main && is_wanted(mds_view(r))) {
        ap_add_output_filter_handle(filter, NULL, r, r->connection);
    }
}
