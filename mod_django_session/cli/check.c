/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands that look and tell: check (the whole site) and explain (one session).
 */
#include "auth.h"
#include "cli.h"
#include "json.h"

#include <stdlib.h>
#include <string.h>

/* So many sessions are looked at for whether keys and times are the site's. */
#define SAMPLE_MAX 100

/* A save takes a moment; what is further off than this is another clock or another age. */
#define TIME_TOLERANCE apr_time_from_sec(60)

/* ---- check ----------------------------------------------------------------------------------- */

typedef struct checking_t {
    cli_t *cli;
    apr_pool_t *scratch;   /* of one record */
    int failed;
    int looked_at, by_key, by_fallback, without_key;
    int timed, off;        /* how many tell when they should end, and how many end at another time */
    apr_interval_time_t shift; /* of the last of those */
} checking_t;

static void say_check(void *baton, int ok, const char *what)
{
    checking_t *checking = baton;

    cli_say(djs_bytes(apr_pstrcat(checking->cli->ctx->pool, ok ? "ok: " : "FAIL: ", what, NULL)));
    if (!ok) {
        checking->failed++;
    }
}

/* A check that could not be made is one that failed, unless it said so itself. */
static void say_outcome(checking_t *checking, apr_status_t rv, int failed_before, const char *what)
{
    djs_ctx_t *ctx = checking->cli->ctx;

    if (rv != APR_SUCCESS && checking->failed == failed_before) {
        say_check(checking, 0, ctx->problem != NULL ? ctx->problem : what);
    }
    djs_forget(ctx);
}

/* A signed record tells when it was saved, so when it should end is known. */
static void look_at_time(checking_t *checking, djs_ctx_t *ctx, const djs_record_t *record,
                         apr_time_t written, const djs_value_t *data)
{
    const djs_site_t *site = checking->cli->site;
    const djs_value_t *stored = djs_value_get(data, djs_bytes("_session_expiry"));
    djs_expiry_t expiry;

    ctx->now = written;
    if (djs_expiry_of(ctx, site->settings, site->zone, stored, &expiry) != APR_SUCCESS) {
        return;
    }
    checking->timed++;
    if (llabs((long long)(record->expires - expiry.date)) > TIME_TOLERANCE) {
        checking->off++;
        checking->shift = record->expires - expiry.date;
    }
}

/* Files: their end is not stored, but follows from these very settings. */
static int is_aged(const djs_site_t *site)
{
    return (site->engine->ops->flags & DJS_ENGINE_AGED) != 0;
}

static apr_status_t look_at_record(void *baton, djs_ctx_t *ctx, const djs_listed_t *listed)
{
    checking_t *checking = baton;
    djs_ctx_t scratch = *ctx;
    djs_wire_facts_t facts;
    djs_value_t *data;

    scratch.pool = checking->scratch;
    checking->looked_at++;
    if (djs_wire_inspect(&scratch, checking->cli->site->wire, listed->record.data, &data,
                         &facts) == APR_SUCCESS && djs_value_type(data) == DJS_TYPE_DICT) {
        checking->by_key += facts.key_index == 0;
        checking->by_fallback += facts.key_index > 0;
        checking->without_key += facts.key_index < 0; /* values of caches have no signature */
        if (facts.written != 0 && listed->record.expires != 0 && !is_aged(checking->cli->site)) {
            look_at_time(checking, &scratch, &listed->record, facts.written, data);
        }
    }
    apr_pool_clear(checking->scratch);
    return checking->looked_at < SAMPLE_MAX ? APR_SUCCESS : APR_EOF;
}

static void say_keys(checking_t *checking)
{
    int readable = checking->by_key + checking->by_fallback;
    const char *what;

    if (checking->looked_at == 0) {
        say_check(checking, 1, "no live session is there, so the key was not tried");
        return;
    }
    if (checking->without_key > 0) {
        say_check(checking, 1, apr_psprintf(checking->cli->ctx->pool, "%d of %d live sessions can "
                                            "be read; they are not signed",
                                            checking->without_key, checking->looked_at));
        return;
    }
    if (readable == 0) {
        what = apr_psprintf(checking->cli->ctx->pool, "DjangoSecretKey: none of %d live sessions "
                            "was signed with it; is it the site's SECRET_KEY?",
                            checking->looked_at);
    }
    else {
        what = apr_psprintf(checking->cli->ctx->pool, "the key reads %d of %d live sessions, "
                            "fallback keys %d", checking->by_key, checking->looked_at,
                            checking->by_fallback);
    }
    say_check(checking, readable > 0, what);
}

/* Nothing in a table tells USE_TZ; that all sessions end at another time than they should does. */
static void say_times(checking_t *checking)
{
    long minutes = (long)(checking->shift / apr_time_from_sec(60));

    if (checking->timed == 0) {
        return;
    }
    if (checking->off < checking->timed) {
        say_check(checking, 1, "sessions end when these settings say");
        return;
    }
    say_check(checking, 0,
              apr_psprintf(checking->cli->ctx->pool, "sessions end %ld minutes %s than these "
                           "settings say; are DjangoUseTZ, DjangoTimeZone and "
                           "DjangoSessionCookieAge as the site's USE_TZ, TIME_ZONE and "
                           "SESSION_COOKIE_AGE?", labs(minutes), minutes > 0 ? "later" : "earlier"));
}

static void check_records(checking_t *checking)
{
    djs_ctx_t *ctx = checking->cli->ctx;
    djs_engine_t *engine = checking->cli->site->engine;
    apr_status_t rv;

    if (engine->ops->list == NULL) {
        return;
    }
    apr_pool_create(&checking->scratch, ctx->pool);
    rv = engine->ops->list(engine, ctx, look_at_record, checking);
    if (rv != APR_SUCCESS && rv != APR_EOF) {
        say_outcome(checking, rv, checking->failed, "sessions cannot be listed");
        return;
    }
    say_keys(checking);
    say_times(checking);
}

apr_status_t cli_check(cli_t *cli, int argc, const char *const *argv)
{
    djs_engine_t *engine = cli->site->engine;
    djs_users_t *users = cli->site->users;
    checking_t checking = { cli };
    int before = 0;
    apr_status_t rv;

    if (engine->ops->check != NULL) {
        rv = engine->ops->check(engine, cli->ctx, say_check, &checking);
        say_outcome(&checking, rv, before, "the store cannot be checked");
    }
    if (checking.failed == 0) {
        check_records(&checking);
        before = checking.failed;
        if (users != NULL) {
            rv = users->ops->check(users, cli->ctx, say_check, &checking);
            say_outcome(&checking, rv, before, "the user table cannot be checked");
        }
    }
    return checking.failed > 0 ? DJS_ESTORE : APR_SUCCESS;
}

/* ---- explain --------------------------------------------------------------------------------- */

static void say_line(cli_t *cli, const char *format, ...) DJS_PRINTF(2, 3);

static void say_line(cli_t *cli, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    cli_say(djs_bytes(apr_pvsprintf(cli->ctx->pool, format, args)));
    va_end(args);
}

static const char *instant(djs_ctx_t *ctx, apr_time_t when)
{
    return djs_moment_isoformat(ctx->pool, djs_moment_utc(when), 'T');
}

/* The key is the session: it is all there is, and tells itself when it ends. */
static int is_stateless(const djs_site_t *site)
{
    return (site->engine->ops->flags & DJS_ENGINE_STATELESS) != 0;
}

/* Of a genuine text that is all there is. */
static apr_status_t explain_age(cli_t *cli, apr_time_t written)
{
    apr_time_t ends = written + cli->site->settings->cookie_age;

    say_line(cli, "expires: %s%s", instant(cli->ctx, ends),
             ends < cli->ctx->now ? ", it has expired" : "");
    return ends < cli->ctx->now ? APR_NOTFOUND : APR_SUCCESS;
}

/* Of what the store has. */
static apr_status_t explain_end(cli_t *cli, djs_record_t *record)
{
    int aged = is_aged(cli->site);

    if (aged && djs_session_judge(cli->ctx, cli->site, record) == DJS_SESSION_EXPIRED) {
        say_line(cli, "expires: it has expired");
        return APR_NOTFOUND;
    }
    if (record->expires != 0) {
        say_line(cli, "expires: %s", instant(cli->ctx, record->expires));
    }
    else {
        say_line(cli, "expires: %s", aged ? "never on the server, as Django's file sessions with an "
                                            "age of their own" : "the store does not tell");
    }
    return APR_SUCCESS;
}

/* Whose signature it is and what is inside. */
static apr_status_t explain_record(cli_t *cli, const djs_record_t *record)
{
    djs_ctx_t *ctx = cli->ctx;
    const djs_site_t *site = cli->site;
    djs_wire_facts_t facts;
    djs_value_t *data;
    const djs_wire_t *wire = record->wire != NULL ? record->wire
                                                  : djs_wire_for(ctx->pool, site->wire,
                                                                 site->settings->cookie_name);
    apr_status_t rv = djs_wire_inspect(ctx, wire, record->data, &data, &facts);

    if (is_stateless(site) && facts.key_index >= 0
        && explain_age(cli, facts.written) != APR_SUCCESS) {
        djs_forget(ctx);
        return APR_NOTFOUND;
    }
    if (rv != APR_SUCCESS) {
        say_line(cli, "content: unreadable: %s", ctx->problem);
        djs_forget(ctx);
        return rv;
    }
    if (facts.key_index > 0) {
        say_line(cli, "signature: genuine, by fallback key %d", facts.key_index);
    }
    else if (facts.key_index == 0) {
        say_line(cli, "signature: genuine, by the secret key");
    }
    if (facts.layout == DJS_WIRE_LEGACY) {
        say_line(cli, "layout: the one before Django 3.1");
    }
    if (djs_value_type(data) != DJS_TYPE_DICT) {
        say_line(cli, "content: unreadable: of type %s, not an object", djs_value_type_name(data));
        return DJS_EFORMAT;
    }
    say_line(cli, "content: an object of %" APR_SIZE_T_FMT " keys", djs_value_len(data));
    return APR_SUCCESS;
}

/* As JSON, since anything can be in a name. */
static const char *quoted(djs_ctx_t *ctx, const char *text)
{
    return djs_json_dumps(ctx, DJS_JSON_COMPACT,
                          djs_value_make_str(ctx->pool, djs_bytes(text))).data;
}

/* On a session object of its own, which is not saved: nothing changes. */
static apr_status_t explain_user(cli_t *cli, const char *key)
{
    djs_session_t *session = djs_session_make(cli->ctx, cli->site, &key, 1);
    djs_reason_t reason;
    djs_user_t *user;
    apr_status_t rv;

    if (cli->site->users == NULL) {
        return APR_SUCCESS;
    }
    rv = djs_auth_user(cli->ctx, cli->site, session, &user, &reason);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (user == NULL) {
        say_line(cli, "user: nobody: %s", djs_reason_name(reason));
    }
    else {
        say_line(cli, "user: %s, id %s", quoted(cli->ctx, user->username), user->id);
    }
    return APR_SUCCESS;
}

apr_status_t cli_explain(cli_t *cli, int argc, const char *const *argv)
{
    djs_ctx_t *ctx = cli->ctx;
    djs_engine_t *engine = cli->site->engine;
    djs_record_t record;
    const char *key;
    int found;
    apr_status_t rv = cli_key(cli, argv[0], &key);

    memset(&record, 0, sizeof(record)); /* an engine fills in what it knows of */
    if (rv == APR_SUCCESS) {
        rv = engine->ops->exists(engine, ctx, key, &found);
    }
    if (rv == APR_SUCCESS) {
        say_line(cli, "id: %s", djs_secret_digest(ctx->pool, cli->site->keys, key));
        say_line(cli, "record: %s", is_stateless(cli->site) ? "the key itself"
                                    : found ? "there" : "not there");
        rv = engine->ops->load(engine, ctx, key, &record);
    }
    if (rv == APR_NOTFOUND && found) {
        say_line(cli, "expires: it has expired");
    }
    if (rv == APR_SUCCESS && !is_stateless(cli->site)) {
        rv = explain_end(cli, &record);
    }
    if (rv == APR_SUCCESS) {
        rv = explain_record(cli, &record);
    }
    return rv == APR_SUCCESS ? explain_user(cli, key) : rv;
}
