/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands that go through all sessions of a store: list, user, logout, clearsessions.
 */
#include "auth.h"
#include "cli.h"
#include "json.h"

#include <unistd.h>

typedef struct listing_t {
    cli_t *cli;
    apr_pool_t *scratch;        /* of one record */
    const djs_user_t *user;     /* whose sessions; NULL: everybody's */
    apr_array_header_t *keys;   /* instead of printing: of const char *; NULL: print */
    apr_size_t count, unreadable;
} listing_t;

static void set(djs_value_t *dict, const char *key, djs_value_t *value)
{
    djs_value_set(dict, djs_bytes(key), value);
}

static djs_value_t *text_value(apr_pool_t *pool, const char *text)
{
    return djs_value_make_str(pool, djs_bytes(text));
}

/* Unix time; null: never, or the store does not tell. */
static djs_value_t *when_value(apr_pool_t *pool, apr_time_t when)
{
    return when != 0 ? djs_value_make_int(pool, apr_time_sec(when)) : djs_value_make_null(pool);
}

/* NULL: it cannot be read. */
static djs_value_t *data_of(djs_ctx_t *ctx, listing_t *listing, const djs_record_t *record)
{
    const djs_wire_t *wire = record->wire != NULL ? record->wire : listing->cli->site->wire;
    djs_value_t *data;

    if (djs_wire_inspect(ctx, wire, record->data, &data, NULL) == APR_SUCCESS
        && djs_value_type(data) == DJS_TYPE_DICT) {
        return data;
    }
    listing->unreadable++;
    djs_forget(ctx);
    return NULL;
}

static void say_line(djs_ctx_t *ctx, const listing_t *listing, const djs_listed_t *listed,
                     const djs_value_t *data)
{
    djs_value_t *line = djs_value_make_dict(ctx->pool);
    djs_value_t *id = data != NULL ? djs_value_get(data, djs_bytes("_auth_user_id")) : NULL;

    set(line, "id", text_value(ctx->pool, djs_secret_digest(ctx->pool, listing->cli->site->keys,
                                                            listed->key)));
    set(line, "user_id", id != NULL ? id : djs_value_make_null(ctx->pool));
    set(line, "expires", when_value(ctx->pool, listed->record.expires));
    if (listing->cli->options.given & CLI_KEYS) {
        set(line, "key", text_value(ctx->pool, listed->key));
    }
    cli_say(djs_json_dumps(ctx, DJS_JSON_COMPACT, line));
}

static apr_status_t take_listed(void *baton, djs_ctx_t *ctx, const djs_listed_t *listed)
{
    listing_t *listing = baton;
    djs_ctx_t scratch = *ctx;
    djs_value_t *data;

    scratch.pool = listing->scratch;
    data = data_of(&scratch, listing, &listed->record);
    listing->count++;
    if (listing->user == NULL
        || (data != NULL && djs_auth_names(scratch.pool, data, listing->user))) {
        if (listing->keys != NULL) {
            APR_ARRAY_PUSH(listing->keys, const char *) =
                apr_pstrdup(listing->keys->pool, listed->key);
        }
        else {
            say_line(&scratch, listing, listed, data);
        }
    }
    apr_pool_clear(listing->scratch);
    if (!isatty(STDOUT_FILENO)) {
        cli_progress("sessions listed", listing->count);
    }
    return APR_SUCCESS;
}

static apr_status_t go_through(listing_t *listing)
{
    djs_ctx_t *ctx = listing->cli->ctx;
    djs_engine_t *engine = listing->cli->site->engine;
    apr_status_t rv;

    if (engine->ops->list == NULL) {
        return djs_fail(ctx, DJS_EINVAL, "engine %s cannot list its sessions", engine->ops->name);
    }
    apr_pool_create(&listing->scratch, ctx->pool);
    rv = engine->ops->list(engine, ctx, take_listed, listing);
    if (listing->unreadable > 0) {
        cli_note("%" APR_SIZE_T_FMT " of %" APR_SIZE_T_FMT " sessions cannot be read with these "
                 "keys", listing->unreadable, listing->count);
    }
    return rv;
}

apr_status_t cli_list(cli_t *cli, int argc, const char *const *argv)
{
    listing_t listing = { .cli = cli };

    return go_through(&listing);
}

static apr_status_t find_user(cli_t *cli, const char *name, const djs_user_t **found)
{
    djs_users_t *users = cli->site->users;
    djs_user_t *user = NULL;
    apr_status_t rv;

    if (users == NULL) {
        return djs_fail(cli->ctx, DJS_EINVAL, "users are in the site's database: write "
                        "--dbd DRIVER:PARAMS, or --config FILE with DBDriver and DBDParams");
    }
    rv = users->ops->find_by_name(users, cli->ctx, name, &user);
    *found = user;
    return rv == APR_NOTFOUND ? djs_fail(cli->ctx, rv, "there is no user of this name") : rv;
}

apr_status_t cli_user(cli_t *cli, int argc, const char *const *argv)
{
    listing_t listing = { .cli = cli };
    apr_status_t rv = find_user(cli, argv[0], &listing.user);

    return rv == APR_SUCCESS ? go_through(&listing) : rv;
}

/* Listed first, then removed: an engine need not list what changes under its hands. */
apr_status_t cli_logout(cli_t *cli, int argc, const char *const *argv)
{
    djs_engine_t *engine = cli->site->engine;
    listing_t listing = { .cli = cli };
    int removed = 0;
    apr_status_t rv = find_user(cli, argv[0], &listing.user);

    listing.keys = apr_array_make(cli->ctx->pool, 8, sizeof(const char *));
    if (rv == APR_SUCCESS) {
        rv = go_through(&listing);
    }
    while (rv == APR_SUCCESS && removed < listing.keys->nelts) {
        rv = engine->ops->remove(engine, cli->ctx,
                                 APR_ARRAY_IDX(listing.keys, removed, const char *));
        removed += rv == APR_SUCCESS;
    }
    if (rv == APR_SUCCESS || removed > 0) {
        cli_say(djs_bytes(apr_itoa(cli->ctx->pool, removed)));
    }
    return rv;
}

static void show_removed(void *baton, apr_size_t removed)
{
    (void)baton;
    cli_progress("sessions removed", removed);
}

apr_status_t cli_clearsessions(cli_t *cli, int argc, const char *const *argv)
{
    static const djs_host_t host = { .warn = cli_warn, .progress = show_removed };
    djs_engine_t *engine = cli->site->engine;
    apr_size_t removed = 0;
    apr_status_t rv;

    cli->ctx->host = &host;
    rv = engine->ops->clear_expired(engine, cli->ctx, &removed);
    cli_say(djs_bytes(apr_psprintf(cli->ctx->pool, "%" APR_SIZE_T_FMT, removed)));
    return rv;
}
