/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The application of the benchmark: its handler "bench-answer" answers with what a file holds, headers
 * and body, as mod_asis does. But mod_asis asks the system for each byte of the headers by itself, and
 * modules want to be told of changes in headers of very different lengths: with mod_asis each byte of
 * them costs 0.4 µs, half of what is to be measured.
 */
#include <string.h>

#include <httpd.h>
#include <http_config.h>
#include <http_log.h>
#include <http_protocol.h>
#include <util_script.h>

extern module AP_MODULE_DECLARE_DATA bench_answer_module;

static int answer(request_rec *r)
{
    char body[512];
    apr_size_t len = sizeof(body);
    apr_file_t *file;
    int status;

    if (strcmp(r->handler, "bench-answer") != 0) {
        return DECLINED;
    }
    if (apr_file_open(&file, r->filename, APR_READ | APR_BUFFERED, 0, r->pool) != APR_SUCCESS) {
        return HTTP_NOT_FOUND;
    }
    status = ap_scan_script_header_err(r, file, NULL);
    if (status != OK) {
        return status;
    }
    while (apr_file_read(file, body, &len) == APR_SUCCESS) {
        ap_rwrite(body, (int)len, r);
        len = sizeof(body);
    }
    apr_file_close(file);
    return OK;
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_handler(answer, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA bench_answer_module = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks, 0
};
