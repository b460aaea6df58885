/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The beginning of a request's body, looked at before the application gets it, and given back.
 *
 * What was read is kept in one piece of memory of at most MDS_BODY_PEEK_MAX bytes, and an input filter
 * hands it out again in front of the rest: the application reads the body from its first byte,
 * whatever its length and coding. The filter is the last before the protocol's own, so that those
 * that change bodies (mod_deflate) see it as they would have.
 */
#include "mds.h"

#include <apr_buckets.h>
#include <util_filter.h>

static ap_filter_rec_t *filter;

struct mds_body_t {
    char *data;
    apr_size_t len, size;
    apr_size_t given; /* of len: what the application has by now */
    int whole;        /* that is all */
};

/* ---- giving back ---- */

/* How much of what is left this read is to get. */
static apr_size_t share(const mds_body_t *body, ap_input_mode_t mode, apr_off_t wanted)
{
    apr_size_t left = body->len - body->given;
    const char *end;

    switch (mode) {
    case AP_MODE_GETLINE:
        end = left > 0 ? memchr(body->data + body->given, '\n', left) : NULL;
        return end ? (apr_size_t)(end - (body->data + body->given)) + 1 : left;
    case AP_MODE_EXHAUSTIVE:
        return left;
    default:
        return wanted >= 0 && (apr_uint64_t)wanted < left ? (apr_size_t)wanted : left;
    }
}

static apr_status_t give_back(ap_filter_t *f, apr_bucket_brigade *brigade, ap_input_mode_t mode,
                              apr_read_type_e block, apr_off_t wanted)
{
    mds_body_t *body = f->ctx;
    apr_bucket_alloc_t *alloc = f->c->bucket_alloc;
    apr_size_t len;

    if (mode == AP_MODE_INIT || mode == AP_MODE_EATCRLF
        || (body->given == body->len && !body->whole)) {
        return ap_get_brigade(f->next, brigade, mode, block, wanted);
    }
    len = share(body, mode, wanted);
    if (len > 0) {
        APR_BRIGADE_INSERT_TAIL(brigade, apr_bucket_pool_create(body->data + body->given, len,
                                                                f->r->pool, alloc));
    }
    if (body->whole && body->given + len == body->len) {
        APR_BRIGADE_INSERT_TAIL(brigade, apr_bucket_eos_create(alloc));
    }
    if (mode != AP_MODE_SPECULATIVE) {
        body->given += len;
    }
    return APR_SUCCESS;
}

void mds_body_register(void)
{
    /* Behind all filters of content. */
    filter = ap_register_input_filter("DJANGO_BODY", give_back, NULL, AP_FTYPE_PROTOCOL - 2);
}

void mds_body_follow(request_rec *r)
{
    mds_body_t *body = mds_request(r)->body;

    if (body) {
        ap_add_input_filter_handle(filter, body, r, r->connection);
    }
}

void mds_body_replace(request_rec *r, djs_bytes_t data)
{
    mds_request_t *request = mds_request(r);
    mds_body_t *body = request->body;

    if (!body) { /* mod_request has kept it, and gives it out itself unless it is told */
        body = apr_pcalloc(request->ctx.pool, sizeof(*body));
        request->body = body;
        ap_add_input_filter_handle(filter, body, r, r->connection);
    }
    r->kept_body = NULL;
    body->data = (char *)data.data;
    body->len = body->size = data.len;
    body->given = 0;
    body->whole = 1;
}

/* ---- looking ---- */

static void append(apr_pool_t *pool, mds_body_t *body, const char *data, apr_size_t len)
{
    if (body->len + len > body->size) {
        char *larger;

        while (body->len + len > body->size) {
            body->size = body->size ? 2 * body->size : 8192;
        }
        larger = apr_palloc(pool, body->size);
        if (body->len > 0) {
            memcpy(larger, body->data, body->len);
        }
        body->data = larger;
    }
    memcpy(body->data + body->len, data, len);
    body->len += len;
}

/* Move what a brigade has into the body. */
static apr_status_t take(apr_pool_t *pool, mds_body_t *body, apr_bucket_brigade *brigade)
{
    apr_status_t rv = APR_SUCCESS;

    while (rv == APR_SUCCESS && !APR_BRIGADE_EMPTY(brigade)) {
        apr_bucket *bucket = APR_BRIGADE_FIRST(brigade);
        const char *data;
        apr_size_t len;

        if (APR_BUCKET_IS_EOS(bucket)) {
            body->whole = 1;
        }
        else if (!APR_BUCKET_IS_METADATA(bucket)) {
            rv = apr_bucket_read(bucket, &data, &len, APR_BLOCK_READ);
            if (rv == APR_SUCCESS) {
                append(pool, body, data, len);
            }
        }
        apr_bucket_delete(bucket);
    }
    return rv;
}

/* What mod_request kept for who comes after a login form. */
static apr_status_t take_kept(apr_pool_t *pool, mds_body_t *body, apr_bucket_brigade *kept)
{
    apr_bucket *bucket;
    apr_status_t rv = APR_SUCCESS;

    for (bucket = APR_BRIGADE_FIRST(kept);
         rv == APR_SUCCESS && bucket != APR_BRIGADE_SENTINEL(kept)
         && body->len < MDS_BODY_PEEK_MAX;
         bucket = APR_BUCKET_NEXT(bucket)) {
        const char *data;
        apr_size_t len;

        if (!APR_BUCKET_IS_METADATA(bucket)) {
            rv = apr_bucket_read(bucket, &data, &len, APR_BLOCK_READ);
            if (rv == APR_SUCCESS) {
                append(pool, body, data, len);
            }
        }
    }
    body->whole = bucket == APR_BRIGADE_SENTINEL(kept);
    return rv;
}

static apr_status_t read_beginning(ap_filter_t *f, apr_pool_t *pool, mds_body_t *body)
{
    apr_bucket_brigade *brigade = apr_brigade_create(pool, f->c->bucket_alloc);
    apr_status_t rv = APR_SUCCESS;
    int empty = 0;

    while (rv == APR_SUCCESS && !body->whole && !empty && body->len < MDS_BODY_PEEK_MAX) {
        rv = ap_get_brigade(f->next, brigade, AP_MODE_READBYTES, APR_BLOCK_READ,
                            (apr_off_t)(MDS_BODY_PEEK_MAX - body->len));
        empty = rv == APR_SUCCESS && APR_BRIGADE_EMPTY(brigade);
        if (rv == APR_SUCCESS) {
            rv = take(pool, body, brigade);
        }
    }
    apr_brigade_destroy(brigade);
    return rv;
}

int mds_body_peek(request_rec *r, djs_bytes_t *beginning, int *whole)
{
    mds_request_t *request = mds_request(r);
    mds_body_t *body = request->body;
    apr_pool_t *pool = request->ctx.pool;
    apr_status_t rv = APR_SUCCESS;

    if (!body) {
        body = apr_pcalloc(pool, sizeof(*body));
        if (r->kept_body) {
            rv = take_kept(pool, body, r->kept_body);
        }
        else {
            request->body = body;
            rv = read_beginning(ap_add_input_filter_handle(filter, body, r, r->connection), pool,
                                body);
        }
    }
    if (rv != APR_SUCCESS) {
        return ap_map_http_request_error(rv, HTTP_BAD_REQUEST);
    }
    *beginning = djs_bytes_of(body->len > 0 ? body->data : "", body->len);
    *whole = body->whole;
    return OK;
}
