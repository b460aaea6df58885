/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer 101 (Switching Protocols), with which WebSockets begin.
 *
 * httpd writes it past the filters of the request: from the backend's headers, or as the bytes that
 * mod_proxy_wstunnel got. So for a request that asks for an upgrade a filter of the connection looks
 * at what is sent first. Of an answer 101 it takes out update headers, has the session saved, puts its
 * cookie in, and leaves all else as it is, byte for byte. If the session decides that the answer must
 * be another, that one goes out, and the connection ends. Other answers pass by the request's own
 * filter: at their first bytes this one goes.
 */
#include "mds.h"

#include <apr_buckets.h>
#include <apr_strings.h>
#include <http_connection.h>
#include <util_filter.h>

static ap_filter_rec_t *filter;

#define INTERIM   "HTTP/1.1 1"
#define SWITCHING "HTTP/1.1 101"
#define HEAD_END  "\r\n\r\n"

/* More is no answer. */
#define HEAD_MAX (64 * 1024)

typedef struct upgrade_t {
    request_rec *r;
    apr_bucket_brigade *held; /* what came of the head so far */
    int done;
} upgrade_t;

/* ---- the head ---- */

static int is_header(const char *line, const char *name)
{
    apr_size_t len = strlen(name);

    return strncasecmp(line, name, len) == 0 && line[len] == ':';
}

/* The headers that matter here into @a headers; the others, with the first line, are given back. */
static const char *sort_out(apr_pool_t *pool, char *head, apr_table_t *headers)
{
    const char *kept = "";
    char *rest = head, *line;

    for (line = apr_strtok(head, "\r\n", &rest); line; line = apr_strtok(NULL, "\r\n", &rest)) {
        char *value = strchr(line, ':');
        int is_update = is_header(line, MDS_SET_HEADER) || is_header(line, MDS_UPDATE_HEADER);

        if (is_update || is_header(line, "Set-Cookie")) {
            apr_table_add(headers, apr_pstrmemdup(pool, line, (apr_size_t)(value - line)),
                          value + 1 + strspn(value + 1, " \t"));
        }
        if (!is_update) {
            kept = apr_pstrcat(pool, kept, line, "\r\n", NULL);
        }
    }
    return kept;
}

/* What is said instead of 101. */
static const char *refusal(apr_pool_t *pool, int status)
{
    return apr_pstrcat(pool, "HTTP/1.1 ", ap_get_status_line(status), "\r\n",
                       status == HTTP_SERVICE_UNAVAILABLE ? "Retry-After: 5\r\n" : "",
                       "Cache-Control: no-store\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                       NULL);
}

/* The head as it goes out. A status: of the answer that is to be instead. */
static int edit(request_rec *r, char *head, const char **out)
{
    apr_table_t *headers = apr_table_make(r->pool, 4);
    const char *kept = sort_out(r->pool, head, headers);
    apr_array_header_t *cookies = apr_array_make(r->pool, 1, sizeof(const char *));
    int status = mds_finish_upgrade(r, headers, cookies);
    int i;

    if (status) {
        *out = refusal(r->pool, status);
        return status;
    }
    for (i = 0; i < cookies->nelts; i++) {
        kept = apr_pstrcat(r->pool, kept, "Set-Cookie: ", APR_ARRAY_IDX(cookies, i, const char *),
                           "\r\n", NULL);
    }
    *out = apr_pstrcat(r->pool, kept, "\r\n", NULL);
    return 0;
}

/* ---- the filter ---- */

static apr_status_t pass(ap_filter_t *f, upgrade_t *upgrade)
{
    upgrade->done = 1;
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, upgrade->held);
}

static void put_in_front(ap_filter_t *f, apr_bucket_brigade *brigade, const char *text)
{
    APR_BRIGADE_INSERT_HEAD(brigade, apr_bucket_heap_create(text, strlen(text), NULL,
                                                            f->c->bucket_alloc));
}

/* Nothing of what the application sent goes out, nor what it will send. */
static apr_status_t refuse(ap_filter_t *f, upgrade_t *upgrade, const char *text)
{
    apr_brigade_cleanup(upgrade->held);
    put_in_front(f, upgrade->held, text);
    APR_BRIGADE_INSERT_TAIL(upgrade->held, apr_bucket_flush_create(f->c->bucket_alloc));
    (void)pass(f, upgrade);
    f->c->aborted = 1;
    if (!f->c->master) {
        (void)apr_socket_shutdown(ap_get_conn_socket(f->c), APR_SHUTDOWN_READ);
    }
    return APR_ECONNABORTED;
}

static apr_status_t answer(ap_filter_t *f, upgrade_t *upgrade, char *text, apr_size_t len)
{
    request_rec *r = upgrade->r;
    apr_bucket *after, *head;
    const char *out;

    text[len] = '\0';
    if (edit(r, text, &out)) {
        return refuse(f, upgrade, out);
    }
    (void)apr_brigade_partition(upgrade->held, (apr_off_t)len, &after); /* it is all in memory */
    while ((head = APR_BRIGADE_FIRST(upgrade->held)) != after) {
        apr_bucket_delete(head);
    }
    put_in_front(f, upgrade->held, out);
    mds_stream_begin(r, NULL);
    return pass(f, upgrade);
}

static int has_end(const apr_bucket_brigade *brigade)
{
    apr_bucket *bucket;

    for (bucket = APR_BRIGADE_FIRST(brigade); bucket != APR_BRIGADE_SENTINEL(brigade);
         bucket = APR_BUCKET_NEXT(bucket)) {
        if (AP_BUCKET_IS_EOR(bucket) || AP_BUCKET_IS_EOC(bucket)) {
            return 1;
        }
    }
    return 0;
}

/* All of the head's bytes that came so far, with room for a NUL. */
static char *read_head(const upgrade_t *upgrade, apr_size_t *len)
{
    char *text = apr_palloc(upgrade->r->pool, HEAD_MAX + 1);

    *len = HEAD_MAX;
    if (apr_brigade_flatten(upgrade->held, text, len) != APR_SUCCESS) {
        *len = 0;
    }
    text[*len] = '\0';
    return text;
}

static apr_status_t look(ap_filter_t *f, upgrade_t *upgrade)
{
    char first[sizeof(SWITCHING) - 1];
    apr_size_t len = sizeof(first);
    char *text, *end;

    if (has_end(upgrade->held) || apr_brigade_flatten(upgrade->held, first, &len) != APR_SUCCESS
        || memcmp(first, INTERIM, len < strlen(INTERIM) ? len : strlen(INTERIM)) != 0) {
        return pass(f, upgrade);
    }
    if (len < sizeof(first)) {
        return APR_SUCCESS; /* more is to come */
    }
    if (memcmp(first, SWITCHING, len) != 0) {
        return ap_pass_brigade(f->next, upgrade->held); /* 100, 103: another answer follows */
    }
    text = read_head(upgrade, &len);
    end = strstr(text, HEAD_END);
    if (end) {
        return answer(f, upgrade, text, (apr_size_t)(end - text) + strlen(HEAD_END));
    }
    if (len == HEAD_MAX) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, upgrade->r,
                      DJSNO(0174) "the answer 101 to %s has more than %d bytes of headers",
                      upgrade->r->uri, HEAD_MAX);
        return refuse(f, upgrade, refusal(upgrade->r->pool, HTTP_BAD_GATEWAY));
    }
    return APR_SUCCESS;
}

static apr_status_t look_at_answer(ap_filter_t *f, apr_bucket_brigade *brigade)
{
    upgrade_t *upgrade = f->ctx;
    apr_status_t rv;

    if (upgrade->done) {
        return ap_pass_brigade(f->next, brigade);
    }
    rv = ap_save_brigade(f, &upgrade->held, &brigade, f->c->pool);
    return rv == APR_SUCCESS ? look(f, upgrade) : rv;
}

void mds_upgrade_register(void)
{
    filter = ap_register_output_filter("DJANGO_SESSION_UPGRADE", look_at_answer, NULL,
                                       AP_FTYPE_CONNECTION);
}

void mds_upgrade_insert(request_rec *r)
{
    upgrade_t *upgrade;

    if (apr_table_get(r->headers_in, "Upgrade")) {
        upgrade = apr_pcalloc(r->pool, sizeof(*upgrade));
        upgrade->r = r;
        upgrade->held = apr_brigade_create(r->connection->pool, r->connection->bucket_alloc);
        ap_add_output_filter_handle(filter, upgrade, r, r->connection);
    }
}
