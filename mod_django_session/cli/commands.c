/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands that work on one session of a store, and the table of all commands.
 *
 * They do what Django's SessionStore does with the same names; where the session object does the
 * work, the rules are in core/session.c.
 */
#include "cli.h"
#include "json.h"
#include "middleware.h"
#include "update.h"

#include <string.h>

/* ---- One session ----------------------------------------------------------------------------- */

/* Characters, not bytes: those that do not continue one of UTF-8. */
static int is_key(const char *key)
{
    int characters = 0;

    for (; *key != '\0' && characters < DJS_SESSION_KEY_MIN; key++) {
        characters += (*key & 0xc0) != 0x80;
    }
    while ((*key & 0xc0) == 0x80) {
        key++;
    }
    return characters >= DJS_SESSION_KEY_MIN;
}

static apr_status_t fail_not_found(djs_ctx_t *ctx)
{
    return djs_fail(ctx, APR_NOTFOUND, "no live session has this key");
}

/* The session of a key, loaded: there and readable, or the status says what it is. */
static apr_status_t load(cli_t *cli, const char *key, djs_session_t **session)
{
    djs_ctx_t *ctx = cli->ctx;
    apr_status_t rv;

    *session = djs_session_make(ctx, cli->site, &key, 1);
    rv = djs_session_load(ctx, *session);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    switch (djs_session_status(*session)) {
    case DJS_SESSION_ACTIVE:
        return APR_SUCCESS;
    case DJS_SESSION_INVALID:
        return djs_fail(ctx, djs_session_reason(*session) == DJS_REASON_BAD_SIGNATURE
                                 ? DJS_EBADSIG : DJS_EFORMAT,
                        "the session cannot be read: %s", djs_session_problem(*session));
    default:
        return fail_not_found(ctx);
    }
}

/* The key is the session itself: nothing is stored. */
static int is_stateless(const cli_t *cli)
{
    return (cli->site->engine->ops->flags & DJS_ENGINE_STATELESS) != 0;
}

static void say_key(const djs_session_t *session)
{
    if (djs_session_key(session) != NULL) {
        cli_say(djs_bytes(djs_session_key(session)));
    }
}

/* Nothing is printed unless all selectors name something. */
static apr_status_t say_selected(cli_t *cli, const djs_value_t *data, int argc,
                                 const char *const *argv)
{
    djs_ctx_t *ctx = cli->ctx;
    int i;

    for (i = 0; i < argc; i++) {
        if (!djs_value_selector_is_valid(argv[i])) {
            return djs_fail(ctx, DJS_EINVAL, "\"%s\" is no selector: a key, or a JSON Pointer that "
                            "begins with /", argv[i]);
        }
        if (djs_value_select(data, argv[i]) == NULL) {
            return djs_fail(ctx, APR_NOTFOUND, "the session has no %s", argv[i]);
        }
    }
    for (i = 0; i < argc; i++) {
        cli_say_json(cli, djs_value_select(data, argv[i]));
    }
    return APR_SUCCESS;
}

static apr_status_t run_get(cli_t *cli, int argc, const char *const *argv)
{
    djs_session_t *session;
    djs_value_t *data;
    const char *key;
    apr_status_t rv = cli_key(cli, argv[0], &key);

    if (rv == APR_SUCCESS) {
        rv = load(cli, key, &session);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    data = djs_session_data(cli->ctx, session);
    if (argc > 1) {
        return say_selected(cli, data, argc - 1, argv + 1);
    }
    cli_say_json(cli, data);
    return APR_SUCCESS;
}

/* An end of life that Django could not read is the command line's fault here. */
static apr_status_t blame_input(apr_status_t rv)
{
    return rv == DJS_EFORMAT || rv == DJS_ELIMIT ? DJS_EINVAL : rv;
}

static apr_status_t run_create(cli_t *cli, int argc, const char *const *argv)
{
    djs_session_t *session = djs_session_make(cli->ctx, cli->site, NULL, 0);
    djs_value_t *data;
    apr_status_t rv;

    if (argc > 0) {
        rv = cli_object(cli, argv[0], &data);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        djs_session_update(cli->ctx, session, data);
    }
    rv = blame_input(djs_session_create(cli->ctx, session));
    if (rv == APR_SUCCESS) {
        say_key(session);
    }
    return rv;
}

/* What an engine keeps of a session with this data, saved now. */
static apr_status_t make_record(cli_t *cli, const djs_value_t *data, djs_record_t *record)
{
    const djs_site_t *site = cli->site;
    djs_expiry_t expiry;
    apr_status_t rv = djs_expiry_of(cli->ctx, site->settings, site->zone,
                                    djs_value_get(data, djs_bytes("_session_expiry")), &expiry);

    memset(record, 0, sizeof(*record));
    if (rv == APR_SUCCESS) {
        record->expires = expiry.date;
        rv = djs_wire_write(cli->ctx, site->wire, data, &record->data);
    }
    return blame_input(rv);
}

static apr_status_t store_new(cli_t *cli, const char *key, const djs_record_t *record)
{
    djs_engine_t *engine = cli->site->engine;
    apr_status_t rv;

    if (!is_key(key)) {
        return djs_fail(cli->ctx, DJS_EINVAL, "a session key has %d characters or more",
                        DJS_SESSION_KEY_MIN);
    }
    rv = engine->ops->create(engine, cli->ctx, key, record);
    return rv == APR_EEXIST
               ? djs_fail(cli->ctx, rv, "there is a session under this key already") : rv;
}

/*
 * Whatever is there is replaced, an expired or unreadable record too. A session object would leave
 * the latter alone; the administrator who names it means it.
 */
static apr_status_t store_again(cli_t *cli, const char *key, const djs_record_t *record)
{
    djs_engine_t *engine = cli->site->engine;
    apr_status_t rv = APR_NOTFOUND;

    if (is_key(key)) {
        rv = engine->ops->replace(engine, cli->ctx, key, NULL, record);
    }
    return rv == APR_NOTFOUND
               ? djs_fail(cli->ctx, rv, "there is no session under this key to replace") : rv;
}

/* Without a message: the exit code is the answer. */
static apr_status_t exists(cli_t *cli, const char *key)
{
    djs_engine_t *engine = cli->site->engine;
    djs_session_t *session;
    int found = 0;
    apr_status_t rv = APR_SUCCESS;

    if (is_stateless(cli)) { /* a value that is not good now is none */
        rv = load(cli, key, &session);
        djs_forget(cli->ctx);
        return rv == APR_SUCCESS ? APR_SUCCESS : APR_NOTFOUND;
    }
    if (is_key(key)) {
        rv = engine->ops->exists(engine, cli->ctx, key, &found);
    }
    return rv == APR_SUCCESS && !found ? APR_NOTFOUND : rv;
}

/* A new value; the one given has to be genuine, or with --must-create must not be. */
static apr_status_t save_cookie(cli_t *cli, const char *key, const djs_value_t *data)
{
    int must_create = cli->options.given & CLI_MUST_CREATE;
    djs_session_t *session;
    apr_status_t rv;

    if ((exists(cli, key) == APR_SUCCESS) == (must_create != 0)) {
        return must_create ? djs_fail(cli->ctx, APR_EEXIST, "this is a session already")
                           : fail_not_found(cli->ctx);
    }
    session = djs_session_make(cli->ctx, cli->site, NULL, 0);
    djs_session_update(cli->ctx, session, data);
    rv = blame_input(djs_session_create(cli->ctx, session));
    if (rv == APR_SUCCESS) {
        say_key(session);
    }
    return rv;
}

static apr_status_t run_save(cli_t *cli, int argc, const char *const *argv)
{
    djs_record_t record;
    djs_value_t *data;
    const char *key;
    apr_status_t rv = cli_key(cli, argv[0], &key);

    if (rv == APR_SUCCESS) {
        rv = cli_object(cli, argv[1], &data);
    }
    if (rv == APR_SUCCESS && is_stateless(cli)) {
        return save_cookie(cli, key, data);
    }
    if (rv == APR_SUCCESS) {
        rv = make_record(cli, data, &record);
    }
    if (rv == APR_SUCCESS) {
        rv = cli->options.given & CLI_MUST_CREATE ? store_new(cli, key, &record)
                                                  : store_again(cli, key, &record);
    }
    if (rv == APR_SUCCESS) {
        cli_say(djs_bytes(key));
    }
    return rv;
}

/* Apply and store once. A session that was emptied and has no key leaves nothing to store. */
static apr_status_t try_update(cli_t *cli, djs_session_t *session, djs_update_t *update)
{
    djs_ctx_t *ctx = cli->ctx;
    apr_status_t rv = djs_update_apply(ctx, cli->site, session, update);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (djs_session_is_empty(session)) {
        return djs_session_settle(ctx, session);
    }
    return djs_session_modified(session) ? djs_session_save(ctx, session) : APR_SUCCESS;
}

/* What Django's login() does besides: the user's last_login. */
static apr_status_t note_login(cli_t *cli, const djs_update_t *update)
{
    const djs_user_t *user = djs_update_user(update);

    if (user == NULL) {
        return APR_SUCCESS;
    }
    return cli->site->users->ops->set_last_login(cli->site->users, cli->ctx, user->id);
}

static apr_status_t run_update(cli_t *cli, int argc, const char *const *argv)
{
    djs_ctx_t *ctx = cli->ctx;
    djs_update_t *update = djs_update_make(ctx);
    djs_session_t *session;
    const char *key;
    djs_bytes_t json;
    int tries;
    apr_status_t rv = cli_key(cli, argv[0], &key);

    if (rv == APR_SUCCESS) {
        rv = cli_text(cli, argv[1], &json);
    }
    if (rv == APR_SUCCESS) {
        rv = blame_input(djs_update_parse_json(ctx, update, json));
    }
    if (rv == APR_SUCCESS) {
        rv = load(cli, key, &session);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = try_update(cli, session, update);
    if (is_stateless(cli)) {
        rv = blame_input(rv);
    }
    for (tries = 1; rv == DJS_ECONFLICT && tries < DJS_SAVE_TRIES_MAX; tries++) {
        djs_forget(ctx);
        rv = djs_session_reload(ctx, session);
        if (rv == APR_SUCCESS) {
            rv = try_update(cli, session, update);
        }
    }
    if (rv == APR_SUCCESS) {
        rv = note_login(cli, update);
    }
    if (rv == APR_SUCCESS) {
        say_key(session);
    }
    return rv;
}

static apr_status_t run_exists(cli_t *cli, int argc, const char *const *argv)
{
    const char *key;
    apr_status_t rv = cli_key(cli, argv[0], &key);

    return rv == APR_SUCCESS ? exists(cli, key) : rv;
}

static apr_status_t run_delete(cli_t *cli, int argc, const char *const *argv)
{
    djs_engine_t *engine = cli->site->engine;
    const char *key;
    apr_status_t rv = cli_key(cli, argv[0], &key);

    if (rv == APR_SUCCESS) {
        rv = exists(cli, key);
    }
    if (rv == APR_SUCCESS && is_stateless(cli)) {
        cli_note("nothing is stored that could be deleted: whoever has this cookie can use it until "
                 "it is too old, or until the secret key is another one");
    }
    return rv == APR_SUCCESS ? engine->ops->remove(engine, cli->ctx, key) : rv;
}

/* ---- The table ------------------------------------------------------------------------------- */

static const cli_command_t commands[] = {
    { "get", 1, CLI_ANY, CLI_NEEDS_SITE, 0, run_get,
      "KEY [SELECTOR ...]", "print the session, or the selected values, as JSON" },
    { "create", 0, 1, CLI_NEEDS_SITE, 0, run_create,
      "[JSON]", "make a session with a new key; print the key" },
    { "save", 2, 2, CLI_NEEDS_SITE, CLI_MUST_CREATE, run_save,
      "KEY JSON", "replace the session's whole data; print the key" },
    { "update", 2, 2, CLI_NEEDS_SITE, 0, run_update,
      "KEY JSON", "apply operations (set, delete, increment, ...); print the key" },
    { "delete", 1, 1, CLI_NEEDS_SITE, 0, run_delete,
      "KEY", "delete the session; exit 1 when there is none" },
    { "exists", 1, 1, CLI_NEEDS_SITE, 0, run_exists,
      "KEY", "exit 0 when there is such a session, expired or not, else 1" },
    { "list", 0, 0, CLI_NEEDS_SITE | CLI_IS_LONG, CLI_KEYS, cli_list,
      "", "live sessions, one JSON object a line" },
    { "user", 1, 1, CLI_NEEDS_SITE | CLI_IS_LONG, CLI_KEYS, cli_user,
      "USERNAME", "that user's live sessions, as list prints them" },
    { "logout", 1, 1, CLI_NEEDS_SITE | CLI_IS_LONG, 0, cli_logout,
      "USERNAME", "end that user's live sessions; print how many" },
    { "explain", 1, 1, CLI_NEEDS_SITE, 0, cli_explain,
      "KEY", "why the session is or is not accepted" },
    { "decode", 0, 1, 0, CLI_SALT | CLI_MAX_AGE | CLI_LEGACY | CLI_FORMAT | CLI_FLAGS,
      cli_decode,
      "[STRING]", "print a stored session value as JSON" },
    { "encode", 0, 1, 0, CLI_SALT | CLI_LEGACY | CLI_FORMAT, cli_encode,
      "[JSON]", "print JSON as a stored session value" },
    { "clearsessions", 0, 0, CLI_NEEDS_SITE | CLI_IS_LONG, 0, cli_clearsessions,
      "", "remove what has expired; print how many" },
    { "secret", 0, 0, 0, 0, cli_secret,
      "", "print a new random secret key" },
    { "check", 0, 0, CLI_NEEDS_SITE | CLI_IS_LONG, 0, cli_check,
      "", "look at store, table, keys and times; one line a check" },
};

const cli_command_t *cli_commands(int *count)
{
    *count = (int)(sizeof(commands) / sizeof(commands[0]));
    return commands;
}
