/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our part of mod_status' page: how far the removal of expired sessions is.
 */
#include "mds.h"

#include <apr_optional_hooks.h>
#include <apr_strings.h>
#include <mod_status.h>

typedef struct telling_t {
    request_rec *r;
    int flags; /* AP_STATUS_... */
    int count;
} telling_t;

static const char *moment(apr_pool_t *pool, apr_time_t when)
{
    char *text;

    if (when == 0) {
        return "-";
    }
    text = apr_palloc(pool, APR_RFC822_DATE_LEN);
    apr_rfc822_date(text, when);
    return text;
}

static const char *state_of(const mds_clearing_t *clearing)
{
    if (clearing->begun == 0) {
        return "waiting";
    }
    if (clearing->ended == 0) {
        return "running";
    }
    return clearing->failed ? "failed" : "done";
}

/* For programs: a line for each figure. */
static void tell_short(telling_t *telling, const mds_clearing_t *clearing)
{
    int i = telling->count;

    ap_rprintf(telling->r, "DjangoSessionClear%dEngine: %s\nDjangoSessionClear%dState: %s\n", i,
               clearing->engine, i, state_of(clearing));
    ap_rprintf(telling->r, "DjangoSessionClear%dRemoved: %" APR_UINT64_T_FMT "\n"
               "DjangoSessionClear%dTotalRemoved: %" APR_UINT64_T_FMT "\n", i, clearing->removed, i,
               clearing->total);
    ap_rprintf(telling->r, "DjangoSessionClear%dBegun: %" APR_TIME_T_FMT "\n"
               "DjangoSessionClear%dEnded: %" APR_TIME_T_FMT "\n", i, apr_time_sec(clearing->begun),
               i, apr_time_sec(clearing->ended));
}

static void tell_row(telling_t *telling, const mds_clearing_t *clearing)
{
    apr_pool_t *pool = telling->r->pool;
    const char *host = clearing->server->server_hostname;

    if (telling->count == 0) {
        ap_rputs("<hr />\n<h2>Django sessions: removal of expired ones</h2>\n<table>\n<tr>"
                 "<th>Server</th><th>Engine</th><th>State</th><th>Begun</th><th>Ended</th>"
                 "<th>Removed</th><th>Since start</th></tr>\n", telling->r);
    }
    ap_rvputs(telling->r, "<tr><td>", ap_escape_html(pool, host ? host : "-"), "</td><td>",
              ap_escape_html(pool, clearing->engine), "</td><td>", state_of(clearing), "</td><td>",
              moment(pool, clearing->begun), "</td><td>", moment(pool, clearing->ended), NULL);
    ap_rprintf(telling->r, "</td><td>%" APR_UINT64_T_FMT "</td><td>%" APR_UINT64_T_FMT
               "</td></tr>\n", clearing->removed, clearing->total);
}

static void tell(void *baton, const mds_clearing_t *clearing)
{
    telling_t *telling = baton;

    if (telling->flags & AP_STATUS_SHORT) {
        tell_short(telling, clearing);
    }
    else {
        tell_row(telling, clearing);
    }
    telling->count++;
}

static int status(request_rec *r, int flags)
{
    telling_t telling = { r, flags, 0 };

    mds_clear_each(tell, &telling);
    if (telling.count > 0 && !(flags & AP_STATUS_SHORT)) {
        ap_rputs("</table>\n", r);
    }
    return OK;
}

void mds_status_register(void)
{
    APR_OPTIONAL_HOOK(ap, status_hook, status, NULL, NULL, APR_HOOK_MIDDLE);
}
