/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updates: parsed into a list of operations, rehearsed on a copy of the session, then applied.
 *
 * The rehearsal is the same run over the same operations, on a session object without a key that
 * the engine never hears of. What it gets through, the run on the real session gets through.
 */
#include "update.h"

#include <string.h>

#include "encode.h"
#include "json.h"

/** No update reaches a key that begins so. */
static const char *const protected_beginnings[] = { "_auth_user", "_session" };

/** In the order of application within an object. */
typedef enum kind_t {
    FLUSH,
    CLEAR,
    SET,
    SETDEFAULT,
    DELETE,
    INCREMENT,
    APPEND,
    EXPIRY,
    TEST_COOKIE,
    CYCLE_KEY,
    LOGIN,
    LOGOUT,
    KIND_COUNT
} kind_t;

/** The members' names. */
static const char *const names[KIND_COUNT] = {
    [FLUSH] = "flush",         [CLEAR] = "clear",
    [SET] = "set",             [SETDEFAULT] = "setdefault",
    [DELETE] = "delete",       [INCREMENT] = "increment",
    [APPEND] = "append",       [EXPIRY] = "expiry",
    [TEST_COOKIE] = "test_cookie", [CYCLE_KEY] = "cycle_key",
    [LOGIN] = "login",         [LOGOUT] = "logout",
};

typedef struct operation_t {
    kind_t kind;
    unsigned int object; /* which it is of, from 1 on; 0: a text pair */
    unsigned int item;   /* its place in a dict or list, or among the pairs, from 1 on; 0: none */
    djs_bytes_t key;
    djs_value_t *value;  /* EXPIRY: as it was given; LOGIN: the name */
    djs_user_t *user;    /* LOGIN: who that is, when it was applied last */
} operation_t;

struct djs_update_t {
    apr_array_header_t *pairs;      /* of operation_t */
    apr_array_header_t *operations; /* of operation_t; those of the objects */
    apr_size_t text_len;            /* what was parsed, all together */
    unsigned int objects;
    const djs_user_t *user;
};

/* What messages call an operation: "pair 3" or "object 1, \"set\", item 2". */
static const char *place_of(djs_ctx_t *ctx, const operation_t *operation)
{
    if (operation->object == 0) {
        return apr_psprintf(ctx->pool, "pair %u", operation->item);
    }
    if (operation->item == 0) {
        return apr_psprintf(ctx->pool, "object %u, \"%s\"", operation->object,
                            names[operation->kind]);
    }
    return apr_psprintf(ctx->pool, "object %u, \"%s\", item %u", operation->object,
                        names[operation->kind], operation->item);
}

static apr_status_t refuse(djs_ctx_t *ctx, const operation_t *operation, const char *what)
{
    return djs_fail(ctx, DJS_EINVAL, "update: %s: %s", place_of(ctx, operation), what);
}

/* ---- Parsing: what both forms share ---------------------------------------------------------- */

djs_update_t *djs_update_make(djs_ctx_t *ctx)
{
    djs_update_t *update = apr_pcalloc(ctx->pool, sizeof(*update));

    update->pairs = apr_array_make(ctx->pool, 4, sizeof(operation_t));
    update->operations = apr_array_make(ctx->pool, 4, sizeof(operation_t));
    return update;
}

static apr_status_t take_text(djs_ctx_t *ctx, djs_update_t *update, djs_bytes_t header)
{
    if (header.len > DJS_UPDATE_TEXT_MAX - update->text_len) {
        return djs_fail(ctx, DJS_ELIMIT, "update of more than %d bytes", DJS_UPDATE_TEXT_MAX);
    }
    update->text_len += header.len;
    return APR_SUCCESS;
}

/* The metadata of Django and ours: no application gets at it by way of a key. */
static apr_status_t check_key(djs_ctx_t *ctx, const operation_t *operation)
{
    apr_size_t i;

    for (i = 0; i < sizeof(protected_beginnings) / sizeof(protected_beginnings[0]); i++) {
        const apr_size_t len = strlen(protected_beginnings[i]);

        if (operation->key.len >= len &&
            memcmp(operation->key.data, protected_beginnings[i], len) == 0) {
            return djs_fail(ctx, DJS_EINVAL, "update: %s: keys that begin with \"%s\" are not the "
                            "application's", place_of(ctx, operation), protected_beginnings[i]);
        }
    }
    return APR_SUCCESS;
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static djs_bytes_t trimmed(djs_bytes_t text)
{
    while (text.len > 0 && is_blank(text.data[0])) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && is_blank(text.data[text.len - 1])) {
        text.len--;
    }
    return text;
}

/* ---- Parsing: text pairs --------------------------------------------------------------------- */

static apr_status_t decode(djs_ctx_t *ctx, const operation_t *pair, djs_bytes_t text,
                           djs_bytes_t *decoded)
{
    djs_ctx_t quiet = *ctx;

    quiet.problem = NULL;
    if (djs_percent_decode(&quiet, text, decoded) != APR_SUCCESS) {
        return refuse(ctx, pair, quiet.problem);
    }
    if (!djs_utf8_is_valid(*decoded)) {
        return refuse(ctx, pair, "not UTF-8");
    }
    return APR_SUCCESS;
}

static apr_status_t parse_pair(djs_ctx_t *ctx, djs_update_t *update, djs_bytes_t text)
{
    const char *equals = text.len > 0 ? memchr(text.data, '=', text.len) : NULL;
    operation_t pair = { SET, 0, (unsigned int)update->pairs->nelts + 1, { NULL, 0 }, NULL, NULL };
    djs_bytes_t decoded;
    apr_status_t rv;

    if (equals == NULL) {
        return refuse(ctx, &pair, "no \"=\"");
    }
    if (equals == text.data) {
        return refuse(ctx, &pair, "no key before \"=\"");
    }
    rv = decode(ctx, &pair, djs_bytes_of(text.data, (apr_size_t)(equals - text.data)), &pair.key);
    if (rv == APR_SUCCESS) {
        rv = check_key(ctx, &pair);
    }
    if (rv == APR_SUCCESS) {
        const char *from = equals + 1;

        rv = decode(ctx, &pair, djs_bytes_of(from, (apr_size_t)(text.data + text.len - from)),
                    &decoded);
    }
    if (rv == APR_SUCCESS) {
        pair.value = djs_value_make_str(ctx->pool, decoded);
        APR_ARRAY_PUSH(update->pairs, operation_t) = pair;
    }
    return rv;
}

apr_status_t djs_update_parse_pairs(djs_ctx_t *ctx, djs_update_t *update, djs_bytes_t header)
{
    const char *at = header.data, *end = header.data + header.len;
    apr_status_t rv = take_text(ctx, update, header);

    if (trimmed(header).len == 0) {
        return rv;
    }
    while (rv == APR_SUCCESS && at <= end) {
        const char *comma = memchr(at, ',', (apr_size_t)(end - at));
        const char *behind = comma != NULL ? comma : end;

        rv = parse_pair(ctx, update, trimmed(djs_bytes_of(at, (apr_size_t)(behind - at))));
        at = behind + 1;
    }
    return rv;
}

/* ---- Parsing: objects ------------------------------------------------------------------------ */

/* A member of an object: its operations go to the update. */
typedef apr_status_t (*parse_fn)(djs_ctx_t *ctx, djs_update_t *update, operation_t operation,
                                 djs_value_t *given);

static void add(djs_update_t *update, operation_t operation)
{
    APR_ARRAY_PUSH(update->operations, operation_t) = operation;
}

static apr_status_t refuse_type(djs_ctx_t *ctx, const operation_t *operation,
                                const djs_value_t *given, const char *should_be)
{
    return djs_fail(ctx, DJS_EINVAL, "update: %s: is of type %s, should be %s",
                    place_of(ctx, operation), djs_value_type_name(given), should_be);
}

static apr_status_t parse_switch(djs_ctx_t *ctx, djs_update_t *update, operation_t operation,
                                 djs_value_t *given)
{
    if (djs_value_type(given) != DJS_TYPE_BOOL) {
        return refuse_type(ctx, &operation, given, "true");
    }
    if (djs_value_bool(given)) {
        add(update, operation);
    }
    return APR_SUCCESS;
}

static int is_number(const djs_value_t *value)
{
    return djs_value_type(value) == DJS_TYPE_INT || djs_value_type(value) == DJS_TYPE_FLOAT;
}

static apr_status_t parse_dict(djs_ctx_t *ctx, djs_update_t *update, operation_t operation,
                               djs_value_t *given)
{
    if (djs_value_type(given) != DJS_TYPE_DICT) {
        return refuse_type(ctx, &operation, given, "an object of keys");
    }
    while (djs_value_member(given, operation.item, &operation.key, &operation.value)) {
        apr_status_t rv;

        operation.item++;
        rv = check_key(ctx, &operation);
        if (rv == APR_SUCCESS && operation.kind == INCREMENT && !is_number(operation.value)) {
            rv = refuse_type(ctx, &operation, operation.value, "a number");
        }
        if (rv != APR_SUCCESS) {
            return rv;
        }
        add(update, operation);
    }
    return APR_SUCCESS;
}

static apr_status_t parse_keys(djs_ctx_t *ctx, djs_update_t *update, operation_t operation,
                               djs_value_t *given)
{
    const djs_value_t *key;

    if (djs_value_type(given) != DJS_TYPE_LIST) {
        return refuse_type(ctx, &operation, given, "a list of keys");
    }
    while ((key = djs_value_at(given, operation.item)) != NULL) {
        apr_status_t rv;

        operation.item++;
        if (djs_value_type(key) != DJS_TYPE_STR) {
            return refuse_type(ctx, &operation, key, "a key, which is a text");
        }
        operation.key = djs_value_str(key);
        rv = check_key(ctx, &operation);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        add(update, operation);
    }
    return APR_SUCCESS;
}

static apr_status_t parse_expiry(djs_ctx_t *ctx, djs_update_t *update, operation_t operation,
                                 djs_value_t *given)
{
    apr_int64_t seconds;

    switch (djs_value_type(given)) {
    case DJS_TYPE_INT:
        if (!djs_value_int64(given, &seconds)) {
            return refuse(ctx, &operation, "too many seconds");
        }
        break;
    case DJS_TYPE_STR:
    case DJS_TYPE_NULL:
        break;
    default:
        return refuse_type(ctx, &operation, given, "whole seconds, an ISO 8601 date-time or null");
    }
    operation.value = given;
    add(update, operation);
    return APR_SUCCESS;
}

static apr_status_t parse_test_cookie(djs_ctx_t *ctx, djs_update_t *update, operation_t operation,
                                      djs_value_t *given)
{
    if (djs_value_type(given) != DJS_TYPE_STR) {
        return refuse_type(ctx, &operation, given, "\"set\" or \"delete\"");
    }
    if (!djs_bytes_is(djs_value_str(given), "set") &&
        !djs_bytes_is(djs_value_str(given), "delete")) {
        return refuse(ctx, &operation, "should be \"set\" or \"delete\"");
    }
    operation.value = given;
    add(update, operation);
    return APR_SUCCESS;
}

static apr_status_t parse_login(djs_ctx_t *ctx, djs_update_t *update, operation_t operation,
                                djs_value_t *given)
{
    djs_bytes_t name;

    if (djs_value_type(given) != DJS_TYPE_STR) {
        return refuse_type(ctx, &operation, given, "a user's name");
    }
    name = djs_value_str(given);
    if (name.len == 0 || memchr(name.data, '\0', name.len) != NULL || !djs_utf8_is_valid(name)) {
        return refuse(ctx, &operation, "no name that a user can have");
    }
    operation.value = given;
    add(update, operation);
    return APR_SUCCESS;
}

static const parse_fn parsers[KIND_COUNT] = {
    [FLUSH] = parse_switch,          [CLEAR] = parse_switch,
    [SET] = parse_dict,              [SETDEFAULT] = parse_dict,
    [DELETE] = parse_keys,           [INCREMENT] = parse_dict,
    [APPEND] = parse_dict,           [EXPIRY] = parse_expiry,
    [TEST_COOKIE] = parse_test_cookie, [CYCLE_KEY] = parse_switch,
    [LOGIN] = parse_login,           [LOGOUT] = parse_switch,
};

/* Every member is one of ours. */
static apr_status_t check_names(djs_ctx_t *ctx, const djs_value_t *object, unsigned int number)
{
    djs_value_t *value;
    djs_bytes_t name;
    apr_size_t i;
    int kind;

    for (i = 0; djs_value_member(object, i, &name, &value); i++) {
        for (kind = 0; kind < KIND_COUNT && !djs_bytes_is(name, names[kind]); kind++) {
        }
        if (kind == KIND_COUNT) {
            return djs_fail(ctx, DJS_EINVAL, "update: object %u: member %" APR_SIZE_T_FMT
                            " is no operation", number, i + 1);
        }
    }
    return APR_SUCCESS;
}

static apr_status_t parse_object(djs_ctx_t *ctx, djs_update_t *update, const djs_value_t *object)
{
    operation_t operation = { FLUSH, ++update->objects, 0, { NULL, 0 }, NULL, NULL };
    apr_status_t rv;
    int kind;

    if (djs_value_type(object) != DJS_TYPE_DICT) {
        return djs_fail(ctx, DJS_EINVAL, "update: object %u is of type %s", operation.object,
                        djs_value_type_name(object));
    }
    rv = check_names(ctx, object, operation.object);
    for (kind = 0; rv == APR_SUCCESS && kind < KIND_COUNT; kind++) {
        djs_value_t *given = djs_value_get(object, djs_bytes(names[kind]));

        if (given != NULL) {
            operation.kind = (kind_t)kind;
            rv = parsers[kind](ctx, update, operation, given);
        }
    }
    return rv;
}

/* The next object of @a rest, which goes behind it. */
static apr_status_t read_object(djs_ctx_t *ctx, const djs_update_t *update, djs_bytes_t *rest,
                                djs_value_t **object)
{
    djs_ctx_t quiet = *ctx;
    apr_size_t used = 0;
    apr_status_t rv;

    quiet.problem = NULL;
    rv = djs_json_loads_prefix(&quiet, DJS_JSON_UTF8, *rest, object, &used);
    if (rv != APR_SUCCESS) {
        return djs_fail(ctx, rv == DJS_ELIMIT ? DJS_ELIMIT : DJS_EINVAL,
                        "update: object %u: %s of it", update->objects + 1, quiet.problem);
    }
    *rest = trimmed(djs_bytes_of(rest->data + used, rest->len - used));
    return APR_SUCCESS;
}

apr_status_t djs_update_parse_json(djs_ctx_t *ctx, djs_update_t *update, djs_bytes_t header)
{
    djs_bytes_t rest = trimmed(header);
    int more = rest.len > 0;
    apr_status_t rv = take_text(ctx, update, header);

    while (rv == APR_SUCCESS && more) {
        djs_value_t *object = NULL;

        rv = read_object(ctx, update, &rest, &object);
        if (rv == APR_SUCCESS) {
            rv = parse_object(ctx, update, object);
        }
        if (rv == APR_SUCCESS && rest.len > 0 && rest.data[0] != ',') {
            return djs_fail(ctx, DJS_EINVAL, "update: no comma behind object %u", update->objects);
        }
        more = rest.len > 0;
        rest = more ? djs_bytes_of(rest.data + 1, rest.len - 1) : rest;
    }
    return rv;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

int djs_update_is_empty(const djs_update_t *update)
{
    return update->pairs->nelts == 0 && update->operations->nelts == 0;
}

int djs_update_has_login(const djs_update_t *update)
{
    int i;

    for (i = 0; i < update->operations->nelts; i++) {
        kind_t kind = APR_ARRAY_IDX(update->operations, i, operation_t).kind;

        if (kind == LOGIN || kind == LOGOUT) {
            return 1;
        }
    }
    return 0;
}

const djs_user_t *djs_update_user(const djs_update_t *update)
{
    return update->user;
}

/* ---- Applying -------------------------------------------------------------------------------- */

/* One run of all operations over one session. */
typedef struct run_t {
    djs_ctx_t *ctx;
    const djs_site_t *site;
    djs_session_t *session;
    djs_value_t *lists; /* dict: lists that this run made, which nobody else has yet */
    const djs_user_t *user; /* who was logged in */
} run_t;

static apr_status_t run_flush(run_t *run, const operation_t *operation)
{
    djs_session_flush(run->ctx, run->session);
    return APR_SUCCESS;
}

static apr_status_t run_clear(run_t *run, const operation_t *operation)
{
    djs_session_clear(run->ctx, run->session);
    return APR_SUCCESS;
}

static apr_status_t run_set(run_t *run, const operation_t *operation)
{
    djs_session_set(run->ctx, run->session, operation->key, operation->value);
    return APR_SUCCESS;
}

static apr_status_t run_setdefault(run_t *run, const operation_t *operation)
{
    djs_session_setdefault(run->ctx, run->session, operation->key, operation->value);
    return APR_SUCCESS;
}

static apr_status_t run_delete(run_t *run, const operation_t *operation)
{
    djs_session_pop(run->ctx, run->session, operation->key);
    return APR_SUCCESS;
}

static apr_status_t refuse_stored(djs_ctx_t *ctx, const operation_t *operation,
                                  const djs_value_t *stored, const char *what)
{
    return djs_fail(ctx, DJS_EINVAL, "update: %s: what the session has there is of type %s, %s",
                    place_of(ctx, operation), djs_value_type_name(stored), what);
}

static apr_status_t run_increment(run_t *run, const operation_t *operation)
{
    djs_value_t *old = djs_session_get(run->ctx, run->session, operation->key);
    djs_value_t *sum = operation->value;

    if (old != NULL) {
        sum = djs_value_add(run->ctx->pool, old, operation->value);
    }
    if (sum == NULL && (is_number(old) || djs_value_type(old) == DJS_TYPE_BOOL)) {
        return refuse(run->ctx, operation, "the sum is too large");
    }
    if (sum == NULL) {
        return refuse_stored(run->ctx, operation, old, "no number");
    }
    djs_session_set(run->ctx, run->session, operation->key, sum);
    return APR_SUCCESS;
}

/* What is in the session is shared with others; so it is copied, once in a run. */
static apr_status_t run_append(run_t *run, const operation_t *operation)
{
    djs_value_t *old = djs_session_get(run->ctx, run->session, operation->key);
    djs_value_t *list = djs_value_get(run->lists, operation->key);

    if (old != NULL && djs_value_type(old) != DJS_TYPE_LIST) {
        return refuse_stored(run->ctx, operation, old, "no list");
    }
    if (old == NULL || old != list) {
        list = old != NULL ? djs_value_copy_shallow(run->ctx->pool, old)
                           : djs_value_make_list(run->ctx->pool);
        djs_value_set(run->lists, operation->key, list);
    }
    djs_value_append(list, operation->value);
    djs_session_set(run->ctx, run->session, operation->key, list);
    return APR_SUCCESS;
}

/* Django would store what it cannot read again; we look at it first. */
static apr_status_t run_expiry(run_t *run, const operation_t *operation)
{
    djs_ctx_t quiet = *run->ctx;
    djs_moment_t moment;
    djs_expiry_t unused;
    apr_int64_t seconds;

    quiet.problem = NULL;
    if (djs_expiry_of(&quiet, run->site->settings, run->site->zone, operation->value, &unused) !=
        APR_SUCCESS) {
        return refuse(run->ctx, operation, quiet.problem);
    }
    if (djs_value_type(operation->value) == DJS_TYPE_NULL) {
        djs_session_set_expiry_none(run->ctx, run->session);
    }
    else if (djs_value_type(operation->value) == DJS_TYPE_STR) {
        if (djs_moment_fromisoformat(&quiet, djs_value_str(operation->value), &moment) !=
            APR_SUCCESS) {
            return refuse(run->ctx, operation, quiet.problem);
        }
        djs_session_set_expiry_moment(run->ctx, run->session, moment);
    }
    else if (djs_value_int64(operation->value, &seconds)) {
        djs_session_set_expiry_seconds(run->ctx, run->session, seconds);
    }
    return APR_SUCCESS;
}

static apr_status_t run_test_cookie(run_t *run, const operation_t *operation)
{
    if (djs_bytes_is(djs_value_str(operation->value), "set")) {
        djs_session_set_test_cookie(run->ctx, run->session);
    }
    else if (djs_session_delete_test_cookie(run->ctx, run->session) == APR_NOTFOUND) {
        djs_trace(run->ctx, "update: there is no test cookie to delete");
    }
    return APR_SUCCESS;
}

static apr_status_t run_cycle_key(run_t *run, const operation_t *operation)
{
    djs_session_cycle_key(run->ctx, run->session);
    return APR_SUCCESS;
}

static apr_status_t run_login(run_t *run, const operation_t *operation)
{
    run->user = operation->user;
    return djs_auth_login(run->ctx, run->site, run->session, operation->user);
}

static apr_status_t run_logout(run_t *run, const operation_t *operation)
{
    djs_auth_logout(run->ctx, run->session);
    run->user = NULL;
    return APR_SUCCESS;
}

typedef apr_status_t (*run_fn)(run_t *run, const operation_t *operation);

static const run_fn runners[KIND_COUNT] = {
    [FLUSH] = run_flush,             [CLEAR] = run_clear,
    [SET] = run_set,                 [SETDEFAULT] = run_setdefault,
    [DELETE] = run_delete,           [INCREMENT] = run_increment,
    [APPEND] = run_append,           [EXPIRY] = run_expiry,
    [TEST_COOKIE] = run_test_cookie, [CYCLE_KEY] = run_cycle_key,
    [LOGIN] = run_login,             [LOGOUT] = run_logout,
};

static apr_status_t run_all(run_t *run, const apr_array_header_t *operations)
{
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; rv == APR_SUCCESS && i < operations->nelts; i++) {
        const operation_t *operation = &APR_ARRAY_IDX(operations, i, operation_t);

        rv = runners[operation->kind](run, operation);
    }
    return rv;
}

static apr_status_t run_update(run_t *run, const djs_update_t *update)
{
    apr_status_t rv = run_all(run, update->pairs);

    return rv == APR_SUCCESS ? run_all(run, update->operations) : rv;
}

static apr_status_t find_user(djs_ctx_t *ctx, djs_users_t *users, operation_t *operation)
{
    djs_user_t *user = NULL;
    apr_status_t rv;

    if (users == NULL) {
        return refuse(ctx, operation, "no users are looked up here");
    }
    rv = users->ops->find_by_name(users, ctx, djs_value_str(operation->value).data, &user);
    if (rv == APR_NOTFOUND) {
        return refuse(ctx, operation, "there is no such user");
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (!user->is_active) {
        return refuse(ctx, operation, "the user is not active");
    }
    operation->user = user;
    return APR_SUCCESS;
}

/* Users are asked for once, so that both runs get the same answer. */
static apr_status_t find_users(djs_ctx_t *ctx, const djs_site_t *site, djs_update_t *update)
{
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; rv == APR_SUCCESS && i < update->operations->nelts; i++) {
        operation_t *operation = &APR_ARRAY_IDX(update->operations, i, operation_t);

        if (operation->kind == LOGIN) {
            rv = find_user(ctx, site->users, operation);
        }
    }
    return rv;
}

/* Whatever the session holds, the first operation throws it away: nothing need be read for it. */
static int begins_anew(const djs_update_t *update)
{
    kind_t first;

    if (update->pairs->nelts > 0) {
        return 0;
    }
    first = APR_ARRAY_IDX(update->operations, 0, operation_t).kind;
    return first == FLUSH || first == CLEAR || first == LOGOUT;
}

/* A session of its own with the same data. */
static djs_session_t *copy_session(djs_ctx_t *ctx, const djs_site_t *site, djs_session_t *session,
                                   int with_data)
{
    djs_session_t *copy = djs_session_make(ctx, site, NULL, 0);

    if (with_data) {
        djs_session_update(ctx, copy, djs_session_data(ctx, session));
    }
    return copy;
}

apr_status_t djs_update_apply(djs_ctx_t *ctx, const djs_site_t *site, djs_session_t *session,
                              djs_update_t *update)
{
    run_t run = { ctx, site, NULL, djs_value_make_dict(ctx->pool), NULL };
    apr_status_t rv = APR_SUCCESS;
    int reads;

    update->user = NULL;
    if (djs_update_is_empty(update)) {
        return APR_SUCCESS;
    }
    reads = !begins_anew(update);
    if (reads) {
        rv = djs_session_load(ctx, session);
    }
    if (rv == APR_SUCCESS) {
        rv = find_users(ctx, site, update);
    }
    if (rv == APR_SUCCESS) {
        run.session = copy_session(ctx, site, session, reads);
        rv = run_update(&run, update);
    }
    if (rv == APR_SUCCESS) {
        run.session = session;
        rv = run_update(&run, update);
    }
    if (rv == APR_SUCCESS) {
        update->user = run.user;
    }
    return rv;
}
