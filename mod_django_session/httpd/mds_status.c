/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our part of mod_status' page: how far the removal of expired sessions is, how full shared memory is.
 * For programs (?auto) a line for each figure, else tables.
 */
#include "mds.h"

#include <apr_optional_hooks.h>
#include <apr_strings.h>
#include <mod_status.h>

#include "cache_shm.h"

/* A page that waits longer for a shard's lock goes without what is behind it. */
#define PATIENCE apr_time_from_sec(1)

typedef struct telling_t {
    request_rec *r;
    int is_short;
    int count; /* rows that were told */
} telling_t;

/* "DjangoSessionClear0Removed: 3" */
static void tell_figure(const telling_t *telling, const char *what, const char *name,
                        apr_uint64_t figure)
{
    ap_rprintf(telling->r, "%s%d%s: %" APR_UINT64_T_FMT "\n", what, telling->count, name, figure);
}

static void tell_text(const telling_t *telling, const char *what, const char *name,
                      const char *text)
{
    ap_rprintf(telling->r, "%s%d%s: %s\n", what, telling->count, name, text);
}

static void begin_table(const telling_t *telling, const char *title, const char *heads)
{
    if (telling->count == 0) {
        ap_rvputs(telling->r, "<hr />\n<h2>", title, "</h2>\n<table>\n<tr>", heads, "</tr>\n", NULL);
    }
}

static void end_table(const telling_t *telling)
{
    if (telling->count > 0 && !telling->is_short) {
        ap_rputs("</table>\n", telling->r);
    }
}

/* ---- expired sessions ---- */

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

static void tell_clearing_shortly(const telling_t *telling, const mds_clearing_t *clearing)
{
    static const char what[] = "DjangoSessionClear";

    tell_text(telling, what, "Engine", clearing->engine);
    tell_text(telling, what, "State", state_of(clearing));
    tell_figure(telling, what, "Removed", clearing->removed);
    tell_figure(telling, what, "TotalRemoved", clearing->total);
    tell_figure(telling, what, "Begun", (apr_uint64_t)apr_time_sec(clearing->begun));
    tell_figure(telling, what, "Ended", (apr_uint64_t)apr_time_sec(clearing->ended));
}

static void tell_clearing_row(const telling_t *telling, const mds_clearing_t *clearing)
{
    apr_pool_t *pool = telling->r->pool;
    const char *host = clearing->server->server_hostname;

    begin_table(telling, "Django sessions: removal of expired ones",
                "<th>Server</th><th>Engine</th><th>State</th><th>Begun</th><th>Ended</th>"
                "<th>Removed</th><th>Since start</th>");
    ap_rvputs(telling->r, "<tr><td>", ap_escape_html(pool, host ? host : "-"), "</td><td>",
              ap_escape_html(pool, clearing->engine), "</td><td>", state_of(clearing), "</td><td>",
              moment(pool, clearing->begun), "</td><td>", moment(pool, clearing->ended), NULL);
    ap_rprintf(telling->r, "</td><td>%" APR_UINT64_T_FMT "</td><td>%" APR_UINT64_T_FMT
               "</td></tr>\n", clearing->removed, clearing->total);
}

static void tell_clearing(void *baton, const mds_clearing_t *clearing)
{
    telling_t *telling = baton;

    if (telling->is_short) {
        tell_clearing_shortly(telling, clearing);
    }
    else {
        tell_clearing_row(telling, clearing);
    }
    telling->count++;
}

/* ---- shared memory ---- */

static apr_uint64_t percent(const djs_shm_counts_t *counts)
{
    return counts->blocks > 0 ? counts->used_blocks * 100 / counts->blocks : 0;
}

static void tell_memory_shortly(const telling_t *telling, const djs_cache_shm_stats_t *stats)
{
    static const char what[] = "DjangoSessionShm";

    tell_text(telling, what, "Name", stats->id->name);
    tell_figure(telling, what, "Size", stats->id->size);
    tell_figure(telling, what, "UsedPercent", percent(&stats->counts));
    tell_figure(telling, what, "Entries", stats->counts.entries);
    tell_figure(telling, what, "Hits", stats->counts.hits);
    tell_figure(telling, what, "Misses", stats->counts.misses);
    tell_figure(telling, what, "Expired", stats->counts.expired);
    tell_figure(telling, what, "Evicted", stats->counts.evicted);
}

static void tell_memory_row(const telling_t *telling, const djs_cache_shm_stats_t *stats)
{
    const djs_shm_counts_t *counts = &stats->counts;

    begin_table(telling, "Django sessions: shared memory",
                "<th>Name</th><th>Size</th><th>Used</th><th>Entries</th><th>Hits</th>"
                "<th>Misses</th><th>Expired</th><th>Evicted alive</th>");
    ap_rprintf(telling->r, "<tr><td>%s</td><td>%" APR_SIZE_T_FMT " KiB</td><td>%" APR_UINT64_T_FMT
               "%%</td>", ap_escape_html(telling->r->pool, stats->id->name),
               stats->id->size / 1024, percent(counts));
    ap_rprintf(telling->r, "<td>%" APR_UINT64_T_FMT "</td><td>%" APR_UINT64_T_FMT "</td><td>%"
               APR_UINT64_T_FMT "</td><td>%" APR_UINT64_T_FMT "</td><td>%" APR_UINT64_T_FMT
               "</td></tr>\n", counts->entries, counts->hits, counts->misses, counts->expired,
               counts->evicted);
}

static apr_status_t tell_memory(void *baton, djs_ctx_t *ctx, const djs_cache_shm_stats_t *stats)
{
    telling_t *telling = baton;

    (void)ctx;
    if (telling->is_short) {
        tell_memory_shortly(telling, stats);
    }
    else {
        tell_memory_row(telling, stats);
    }
    telling->count++;
    return APR_SUCCESS;
}

/* ---- the hook ---- */

static int status(request_rec *r, int flags)
{
    djs_ctx_t ctx = { .pool = r->pool, .now = r->request_time, .patience = PATIENCE };
    telling_t clearings = { r, (flags & AP_STATUS_SHORT) != 0, 0 };
    telling_t memory = clearings;

    mds_clear_each(tell_clearing, &clearings);
    end_table(&clearings);
    if (djs_cache_shm_each(&ctx, tell_memory, &memory) != APR_SUCCESS) {
        djs_forget(&ctx); /* what was told is right, and the page goes on */
    }
    end_table(&memory);
    return OK;
}

void mds_status_register(void)
{
    APR_OPTIONAL_HOOK(ap, status_hook, status, NULL, NULL, APR_HOOK_MIDDLE);
}
