/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session object of core/session.h by remote control, for tests that are not written in C.
 *
 *     session_driver [djsession's options] < calls > answers
 *
 * A call is a line of JSON, ["open", "0123456789abcdef"] or ["get", "name"]; its answer is a line
 * {"value": …}, or {"error": STATUS, "problem": …} with the name of the status. "open" comes first
 * and makes the one session of the process. `calls` below lists the rest.
 */
#include "cli.h"
#include "json.h"
#include "site.h"

#include <stdio.h>
#include <string.h>

#include <apr_general.h>

#define LINE_MAX_LEN (1024 * 1024)

typedef struct driver_t {
    djs_ctx_t *ctx;
    cli_options_t options;
    djs_site_t *site;
    djs_session_t *session;
    apr_time_t now; /* 0: the clock's */
} driver_t;

/* A call's arguments, those that are not there being NULL. */
typedef struct call_args_t {
    const djs_value_t *first, *second;
} call_args_t;

typedef struct call_t {
    const char *name;
    apr_status_t (*run)(driver_t *driver, const call_args_t *args, djs_value_t **value);
} call_t;

/* ---- Values ---------------------------------------------------------------------------------- */

static djs_value_t *truth(driver_t *driver, int is_true)
{
    return djs_value_make_bool(driver->ctx->pool, is_true != 0);
}

static djs_value_t *number(driver_t *driver, apr_int64_t value)
{
    return djs_value_make_int(driver->ctx->pool, value);
}

static djs_value_t *text(driver_t *driver, const char *string)
{
    return string == NULL ? djs_value_make_null(driver->ctx->pool)
                          : djs_value_make_str(driver->ctx->pool, djs_bytes(string));
}

static int is_text(const djs_value_t *value)
{
    return value != NULL && djs_value_type(value) == DJS_TYPE_STR;
}

static djs_bytes_t name_of(const call_args_t *args)
{
    return is_text(args->first) ? djs_value_str(args->first) : djs_bytes("");
}

static apr_int64_t number_of(const djs_value_t *value)
{
    apr_int64_t result = 0;

    if (value != NULL && djs_value_type(value) == DJS_TYPE_INT) {
        djs_value_int64(value, &result);
    }
    return result;
}

/* ---- The object ------------------------------------------------------------------------------ */

static apr_status_t call_open(driver_t *driver, const call_args_t *args, djs_value_t **value)
{
    const char *key = is_text(args->first) ? djs_value_str(args->first).data : NULL;

    driver->session = djs_session_make(driver->ctx, driver->site, &key, key != NULL);
    return APR_SUCCESS;
}

static apr_status_t call_session_key(driver_t *driver, const call_args_t *args,
                                     djs_value_t **value)
{
    *value = text(driver, djs_session_key(driver->session));
    return APR_SUCCESS;
}

static apr_status_t call_accessed(driver_t *driver, const call_args_t *args, djs_value_t **value)
{
    *value = truth(driver, djs_session_accessed(driver->session));
    return APR_SUCCESS;
}

static apr_status_t call_modified(driver_t *driver, const call_args_t *args, djs_value_t **value)
{
    *value = truth(driver, djs_session_modified(driver->session));
    return APR_SUCCESS;
}

static apr_status_t call_is_empty(driver_t *driver, const call_args_t *args, djs_value_t **value)
{
    *value = truth(driver, djs_session_is_empty(driver->session));
    return APR_SUCCESS;
}

static apr_status_t call_load(driver_t *driver, const call_args_t *args, djs_value_t **value)
{
    return djs_session_load(driver->ctx, driver->session);
}

/* ---- Its dictionary -------------------------------------------------------------------------- */

static apr_status_t call_data(driver_t *driver, const call_args_t *args, djs_value_t **value)
{
    *value = djs_session_data(driver->ctx, driver->session);
    return APR_SUCCESS;
}

static apr_status_t call_has_key(driver_t *driver, const call_args_t *args, djs_value_t **value)
{
    *value = truth(driver, djs_session_has_key(driver->ctx, driver->session, name_of(args)));
    return APR_SUCCESS;
}

static apr_status_t call_get(driver_t *driver, const call_args_t *args, djs_value_t **value)
{
    *value = djs_session_get(driver->ctx, driver->session, name_of(args));
    return *value != NULL ? APR_SUCCESS : APR_NOTFOUND;
}

static apr_status_t call_set(driver_t *driver, const call_args_t *args, djs_value_t **value)
{
    djs_session_set(driver->ctx, driver->session, name_of(args), (djs_value_t *)args->second);
    return APR_SUCCESS;
}

static apr_status_t call_del(driver_t *driver, const call_args_t *args, djs_value_t **value)
{
    return djs_session_delete_key(driver->ctx, driver->session, name_of(args));
}

static apr_status_t call_pop(driver_t *driver, const call_args_t *args, djs_value_t **value)
{
    *value = djs_session_pop(driver->ctx, driver->session, name_of(args));
    return *value != NULL ? APR_SUCCESS : APR_NOTFOUND;
}

static apr_status_t call_setdefault(driver_t *driver, const call_args_t *args,
                                    djs_value_t **value)
{
    *value = djs_session_setdefault(driver->ctx, driver->session, name_of(args),
                                    (djs_value_t *)args->second);
    return APR_SUCCESS;
}

static apr_status_t call_update(driver_t *driver, const call_args_t *args, djs_value_t **value)
{
    djs_session_update(driver->ctx, driver->session, args->first);
    return APR_SUCCESS;
}

static apr_status_t call_clear(driver_t *driver, const call_args_t *args, djs_value_t **value)
{
    djs_session_clear(driver->ctx, driver->session);
    return APR_SUCCESS;
}

/* ---- Test cookie and expiry ------------------------------------------------------------------ */

static apr_status_t call_set_test_cookie(driver_t *driver, const call_args_t *args,
                                         djs_value_t **value)
{
    djs_session_set_test_cookie(driver->ctx, driver->session);
    return APR_SUCCESS;
}

static apr_status_t call_test_cookie_worked(driver_t *driver, const call_args_t *args,
                                            djs_value_t **value)
{
    *value = truth(driver, djs_session_test_cookie_worked(driver->ctx, driver->session));
    return APR_SUCCESS;
}

static apr_status_t call_delete_test_cookie(driver_t *driver, const call_args_t *args,
                                            djs_value_t **value)
{
    return djs_session_delete_test_cookie(driver->ctx, driver->session);
}

/* null, seconds, or a date-time as text. */
static apr_status_t call_set_expiry(driver_t *driver, const call_args_t *args,
                                    djs_value_t **value)
{
    djs_moment_t moment;
    apr_status_t rv = APR_SUCCESS;

    if (is_text(args->first)) {
        rv = djs_moment_fromisoformat(driver->ctx, djs_value_str(args->first), &moment);
        if (rv == APR_SUCCESS) {
            djs_session_set_expiry_moment(driver->ctx, driver->session, moment);
        }
    }
    else if (djs_value_type(args->first) == DJS_TYPE_NULL) {
        djs_session_set_expiry_none(driver->ctx, driver->session);
    }
    else {
        djs_session_set_expiry_seconds(driver->ctx, driver->session, number_of(args->first));
    }
    return rv;
}

/* Microseconds. */
static apr_status_t call_set_expiry_span(driver_t *driver, const call_args_t *args,
                                         djs_value_t **value)
{
    djs_session_set_expiry_span(driver->ctx, driver->session, number_of(args->first));
    return APR_SUCCESS;
}

/* [age, date, browser close], microseconds. */
static apr_status_t call_expiry(driver_t *driver, const call_args_t *args, djs_value_t **value)
{
    djs_expiry_t expiry;
    apr_status_t rv = djs_session_expiry(driver->ctx, driver->session, &expiry);

    *value = djs_value_make_list(driver->ctx->pool);
    djs_value_append(*value, number(driver, expiry.age));
    djs_value_append(*value, number(driver, expiry.date));
    djs_value_append(*value, truth(driver, expiry.browser_close));
    return rv;
}

/* Stop the clock at microseconds since 1970; 0 lets it go. */
static apr_status_t call_clock(driver_t *driver, const call_args_t *args, djs_value_t **value)
{
    driver->now = number_of(args->first);
    return APR_SUCCESS;
}

/* Change a setting, by its option's name. */
static apr_status_t call_setting(driver_t *driver, const call_args_t *args, djs_value_t **value)
{
    const char *setting = is_text(args->second) ? djs_value_str(args->second).data : "";

    return djs_settings_set(driver->ctx, driver->options.settings,
                            djs_setting_find(name_of(args).data), 1, &setting);
}

/* ---- The store ------------------------------------------------------------------------------- */

static apr_status_t call_create(driver_t *driver, const call_args_t *args, djs_value_t **value)
{
    return djs_session_create(driver->ctx, driver->session);
}

static apr_status_t call_save(driver_t *driver, const call_args_t *args, djs_value_t **value)
{
    return djs_session_save(driver->ctx, driver->session);
}

static apr_status_t call_save_new(driver_t *driver, const call_args_t *args, djs_value_t **value)
{
    return djs_session_save_new(driver->ctx, driver->session);
}

/* In Django both take effect in the store at once; with us when the request ends. */
static apr_status_t call_flush(driver_t *driver, const call_args_t *args, djs_value_t **value)
{
    djs_session_flush(driver->ctx, driver->session);
    return djs_session_settle(driver->ctx, driver->session);
}

static apr_status_t call_cycle_key(driver_t *driver, const call_args_t *args,
                                   djs_value_t **value)
{
    djs_session_cycle_key(driver->ctx, driver->session);
    return djs_session_settle(driver->ctx, driver->session);
}

static apr_status_t call_delete(driver_t *driver, const call_args_t *args, djs_value_t **value)
{
    djs_engine_t *engine = driver->site->engine;
    const char *key = is_text(args->first) ? name_of(args).data : djs_session_key(driver->session);

    return key != NULL ? engine->ops->remove(engine, driver->ctx, key) : APR_SUCCESS;
}

static apr_status_t call_exists(driver_t *driver, const call_args_t *args, djs_value_t **value)
{
    djs_engine_t *engine = driver->site->engine;
    int found = 0;
    apr_status_t rv = engine->ops->exists(engine, driver->ctx, name_of(args).data, &found);

    *value = truth(driver, found);
    return rv;
}

static apr_status_t call_clear_expired(driver_t *driver, const call_args_t *args,
                                       djs_value_t **value)
{
    djs_engine_t *engine = driver->site->engine;
    apr_size_t removed;
    apr_status_t rv = engine->ops->clear_expired(engine, driver->ctx, &removed);

    *value = number(driver, (apr_int64_t)removed);
    return rv;
}

/* ---- Calls ----------------------------------------------------------------------------------- */

static const call_t calls[] = {
    { "open", call_open },
    { "session_key", call_session_key },
    { "accessed", call_accessed },
    { "modified", call_modified },
    { "is_empty", call_is_empty },
    { "load", call_load },
    { "data", call_data },
    { "has_key", call_has_key },
    { "get", call_get },
    { "set", call_set },
    { "del", call_del },
    { "pop", call_pop },
    { "setdefault", call_setdefault },
    { "update", call_update },
    { "clear", call_clear },
    { "set_test_cookie", call_set_test_cookie },
    { "test_cookie_worked", call_test_cookie_worked },
    { "delete_test_cookie", call_delete_test_cookie },
    { "set_expiry", call_set_expiry },
    { "set_expiry_span", call_set_expiry_span },
    { "expiry", call_expiry },
    { "clock", call_clock },
    { "setting", call_setting },
    { "create", call_create },
    { "save", call_save },
    { "save_new", call_save_new },
    { "flush", call_flush },
    { "cycle_key", call_cycle_key },
    { "delete", call_delete },
    { "exists", call_exists },
    { "clear_expired", call_clear_expired },
};

static const call_t *find_call(const djs_value_t *line)
{
    const djs_value_t *name = djs_value_type(line) == DJS_TYPE_LIST ? djs_value_at(line, 0) : NULL;
    apr_size_t i;

    for (i = 0; is_text(name) && i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (djs_bytes_is(djs_value_str(name), calls[i].name)) {
            return &calls[i];
        }
    }
    return NULL;
}

static void answer(driver_t *driver, apr_status_t rv, djs_value_t *value)
{
    djs_value_t *dict = djs_value_make_dict(driver->ctx->pool);

    if (rv == APR_SUCCESS) {
        djs_value_set(dict, djs_bytes("value"), value);
    }
    else {
        djs_value_set(dict, djs_bytes("error"), text(driver, djs_status_name(rv)));
        djs_value_set(dict, djs_bytes("problem"), text(driver, driver->ctx->problem));
    }
    printf("%s\n", djs_json_dumps(driver->ctx, DJS_JSON_COMPACT, dict).data);
    fflush(stdout);
}

static apr_status_t run_call(driver_t *driver, djs_bytes_t line, djs_value_t **value)
{
    djs_value_t *list;
    call_args_t args;
    const call_t *call;

    djs_forget(driver->ctx);
    driver->ctx->now = driver->now != 0 ? driver->now : apr_time_now();
    driver->ctx->patience = driver->options.settings->store_timeout;
    *value = djs_value_make_null(driver->ctx->pool);
    if (djs_json_loads(driver->ctx, DJS_JSON_UTF8, line, &list) != APR_SUCCESS) {
        return DJS_EINVAL;
    }
    call = find_call(list);
    if (call == NULL || (driver->session == NULL && call->run != call_open)) {
        return djs_fail(driver->ctx, DJS_EINVAL, "no such call, or no session is open");
    }
    args.first = djs_value_at(list, 1);
    args.second = djs_value_at(list, 2);
    return call->run(driver, &args, value);
}

int main(int argc, const char *const *argv, const char *const *env)
{
    static char line[LINE_MAX_LEN];
    driver_t driver = { NULL };
    apr_pool_t *pool;
    apr_status_t rv;

    apr_app_initialize(&argc, &argv, &env);
    apr_pool_create(&pool, NULL);
    driver.ctx = apr_pcalloc(pool, sizeof(*driver.ctx));
    driver.ctx->pool = pool;
    rv = cli_options_read(driver.ctx, argc - 1, (char **)argv + 1, &driver.options);
    if (rv == APR_SUCCESS) {
        rv = cli_site_open(driver.ctx, &driver.options, &driver.site);
    }
    if (rv != APR_SUCCESS) {
        fprintf(stderr, "session_driver: %s\n", driver.ctx->problem);
        return 2;
    }
    while (fgets(line, sizeof(line), stdin) != NULL) {
        /* Values may live as long as the session. */
        djs_bytes_t kept = djs_bytes_copy(pool, djs_bytes(line));
        djs_value_t *value;

        rv = run_call(&driver, kept, &value);
        answer(&driver, rv, value);
    }
    apr_pool_destroy(pool);
    return 0;
}
