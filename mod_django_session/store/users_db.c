/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users in the table of Django's user model, whichever that is. What there is to be looked at is
 * found out by users_table.c.
 *
 * Keys come from sessions, as text that Python's str() made of them. What is no key of the column's
 * type, by Django's reckoning, is nobody:
 *
 *     integer      int(): white space around, a sign, leading zeros, single underscores
 *     uuid         PostgreSQL, MariaDB 10.7: its own type; elsewhere char(32) without the dashes
 *     other        as it is, and exactly so: MySQL would find "bob" for "Bob", and 7 for "7x"
 */
#include "users_db_impl.h"

#include <string.h>

#include <apr_lib.h>

#include "../core/remember.h"

/* While users can be read and groups cannot. */
#define TRY_GROUPS_EVERY apr_time_from_sec(60)

/* ---- Keys ------------------------------------------------------------------------------------ */

/* Python's int(text), within 64 bits; NULL: ValueError. */
static const char *as_integer(djs_ctx_t *ctx, const char *text)
{
    char number[24] = "-"; /* and the digits */
    char *digits = number + 1;
    int negative, len = 0, was_digit = 0;

    text += strspn(text, " \t\n\v\f\r");
    negative = *text == '-';
    text += *text == '-' || *text == '+';
    for (; apr_isdigit(*text) || (*text == '_' && was_digit); text++) {
        was_digit = *text != '_';
        if (was_digit && (len > 0 || *text != '0')) {
            if (len == 19) {
                return NULL;
            }
            digits[len++] = *text;
        }
        else if (was_digit && len == 0 && !apr_isdigit(text[1]) && text[1] != '_') {
            digits[len++] = '0';
        }
    }
    text += strspn(text, " \t\n\v\f\r");
    if (!was_digit || *text != '\0') {
        return NULL;
    }
    digits[len] = '\0';
    return apr_pstrdup(ctx->pool, negative && strcmp(digits, "0") != 0 ? number : digits);
}

/* Like str(uuid.UUID(text)); NULL: ValueError. */
static const char *as_uuid(djs_ctx_t *ctx, const char *text, int dashes)
{
    char *uuid = apr_palloc(ctx->pool, 37);
    int digits = 0, len = 0;

    for (; *text != '\0'; text++) {
        if (*text == '-') {
            continue;
        }
        if (!apr_isxdigit(*text) || digits == 32) {
            return NULL;
        }
        if (dashes && (digits == 8 || digits == 12 || digits == 16 || digits == 20)) {
            uuid[len++] = '-';
        }
        uuid[len++] = (char)apr_tolower(*text);
        digits++;
    }
    uuid[len] = '\0';
    return digits == 32 ? uuid : NULL;
}

/* As the column has it; NULL: no such key can be there. */
static const char *stored_id(djs_ctx_t *ctx, const known_t *known, const char *id)
{
    switch (known->id_kind) {
    case ID_INTEGER:
        return as_integer(ctx, id);
    case ID_UUID:
        return as_uuid(ctx, id, 1);
    case ID_UUID_WITHOUT_DASHES:
        return as_uuid(ctx, id, 0);
    default:
        return id;
    }
}

/* ---- Rows ------------------------------------------------------------------------------------ */

typedef struct lookup_t {
    const users_db_t *db;
    const known_t *known;
    const char *id; /* as stored; NULL: the lookup is by name */
    apr_array_header_t *groups; /* NULL: the rows are without */
    djs_user_t *user;
    int count;
} lookup_t;

/* More than any user has: the list is never cut short, for what is not in it may be decisive. */
#define NAMES_MAX 65536

static apr_status_t take_name(djs_ctx_t *ctx, apr_array_header_t *names, const char *name)
{
    if (names->nelts >= NAMES_MAX) {
        return djs_fail(ctx, DJS_ESTORE, "a user with more than %d groups or permissions", NAMES_MAX);
    }
    APR_ARRAY_PUSH(names, const char *) = name;
    return APR_SUCCESS;
}

static const char *text_at(djs_ctx_t *ctx, const djs_bytes_t *columns, field_t field)
{
    return columns[field].data == NULL ? "" : djs_bytes_copy(ctx->pool, columns[field]).data;
}

static int flag_at(const djs_bytes_t *columns, field_t field, int absent)
{
    if (columns[field].data == NULL) {
        return absent;
    }
    return djs_bytes_is(columns[field], "1") || djs_bytes_is(columns[field], "t");
}

/* get_full_name(): both names with a space between, stripped. */
static const char *full_name(djs_ctx_t *ctx, const djs_bytes_t *columns)
{
    const djs_bytes_t first = columns[FIRST_NAME], last = columns[LAST_NAME];
    char *name = apr_palloc(ctx->pool, first.len + 1 + last.len + 1);
    char *end = name;

    if (first.len > 0) {
        memcpy(end, first.data, first.len);
        end += first.len;
    }
    *end++ = ' ';
    if (last.len > 0) {
        memcpy(end, last.data, last.len);
        end += last.len;
    }
    *end = '\0';
    while (end > name && apr_isspace(end[-1])) {
        *--end = '\0';
    }
    return name + strspn(name, " \t\n\v\f\r");
}

static djs_user_t *read_user(const lookup_t *lookup, djs_ctx_t *ctx, const djs_bytes_t *columns)
{
    const known_t *known = lookup->known;
    djs_user_t *user = apr_pcalloc(ctx->pool, sizeof(*user));

    user->id = text_at(ctx, columns, ID);
    if (known->id_kind == ID_UUID_WITHOUT_DASHES && as_uuid(ctx, user->id, 1) != NULL) {
        user->id = as_uuid(ctx, user->id, 1);
    }
    user->username = text_at(ctx, columns, USERNAME);
    user->email = text_at(ctx, columns, EMAIL);
    user->name = full_name(ctx, columns);
    user->password = text_at(ctx, columns, PASSWORD);
    user->is_active = flag_at(columns, IS_ACTIVE, !known->has[IS_ACTIVE]);
    user->is_staff = flag_at(columns, IS_STAFF, 0);
    user->is_superuser = flag_at(columns, IS_SUPERUSER, 0);
    if (columns[LAST_LOGIN].data != NULL &&
        djs_column_read(ctx, &lookup->db->column, columns[LAST_LOGIN], &user->last_login) !=
            APR_SUCCESS) {
        djs_forget(ctx);
        user->last_login = 0;
    }
    return user;
}

/* With groups a user has several rows, which differ in the group's name. */
static apr_status_t take_user(void *baton, djs_ctx_t *ctx, const djs_bytes_t *columns, int count)
{
    lookup_t *lookup = baton;

    if (lookup->id != NULL && !djs_bytes_is(columns[ID], lookup->id)) {
        return APR_SUCCESS;
    }
    if (lookup->user == NULL || lookup->groups == NULL) {
        lookup->user = read_user(lookup, ctx, columns);
        lookup->user->groups = lookup->groups;
        lookup->count++;
    }
    if (lookup->groups != NULL && count > GROUP_NAME && columns[GROUP_NAME].data != NULL) {
        return take_name(ctx, lookup->groups, text_at(ctx, columns, GROUP_NAME));
    }
    return APR_SUCCESS;
}

/* By one of two, id or name; with the groups only by id. */
typedef struct wanted_t {
    const char *id;
    const char *name;
    int with_groups;
} wanted_t;

/* One lookup with what is known; @a id as stored. */
static apr_status_t look_up(users_db_t *db, djs_ctx_t *ctx, const known_t *known, const char *id,
                            const wanted_t *wanted, djs_user_t **user)
{
    lookup_t lookup = { db, known, id, NULL, NULL, 0 };
    const char *arg = id != NULL ? id : wanted->name;
    const djs_statement_t *statement = id != NULL ? &known->by_id : &known->by_name;
    apr_status_t rv;

    if (wanted->with_groups) {
        lookup.groups = apr_array_make(ctx->pool, 4, sizeof(const char *));
        statement = known->keys[GROUPS] != NULL ? &known->by_id_with_groups : statement;
    }
    rv = djs_database_select(ctx, db->database, statement, &arg, take_user, &lookup);
    if (rv == DJS_EINVAL) { /* the text is no value of the column's type */
        djs_forget(ctx);
        return APR_NOTFOUND;
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (lookup.count > 1) {
        return djs_fail(ctx, DJS_ESTORE, "table \"%s\" has several users of one name", db->table);
    }
    *user = lookup.user;
    return lookup.count == 1 ? APR_SUCCESS : APR_NOTFOUND;
}

/* A statement failed: is it that the table has changed? Then @a known is what it is now. */
static int has_changed(users_db_t *db, djs_ctx_t *ctx, const known_t **known)
{
    const known_t *before = *known;
    djs_ctx_t other = *ctx; /* the failure that counts is noted already */

    if (ctx->patience <= 0 || djs_users_table_look(db, &other, known) != APR_SUCCESS) {
        *known = before;
    }
    ctx->patience = other.patience;
    return *known != before;
}

static apr_status_t find(users_db_t *db, djs_ctx_t *ctx, const wanted_t *wanted, djs_user_t **user)
{
    const known_t *known;
    const char *problem = ctx->problem;
    apr_status_t rv = djs_users_table_known(db, ctx, &known);
    int tries;

    *user = NULL;
    for (tries = 0; rv == APR_SUCCESS && tries < 2; tries++) {
        const char *stored = wanted->id != NULL ? stored_id(ctx, known, wanted->id) : NULL;

        if (wanted->id != NULL && stored == NULL) {
            return APR_NOTFOUND;
        }
        rv = look_up(db, ctx, known, stored, wanted, user);
        if (rv != DJS_ESTORE || tries > 0 || !has_changed(db, ctx, &known)) {
            return rv;
        }
        ctx->problem = problem;
        rv = APR_SUCCESS;
    }
    return rv;
}

static apr_status_t find_by_id(djs_users_t *users, djs_ctx_t *ctx, const char *id,
                               djs_user_t **user)
{
    const wanted_t wanted = { id, NULL, 0 };

    return find(users->data, ctx, &wanted, user);
}

static apr_status_t find_by_name(djs_users_t *users, djs_ctx_t *ctx, const char *username,
                                 djs_user_t **user)
{
    const wanted_t wanted = { NULL, username, 0 };

    return find(users->data, ctx, &wanted, user);
}

/* ---- Groups and permissions ------------------------------------------------------------------ */

/* Have we just seen that they cannot be read? */
static int lacks_groups(users_db_t *db, const djs_ctx_t *ctx)
{
    apr_time_t since;

    pthread_mutex_lock(&db->lock);
    since = db->no_groups_since;
    pthread_mutex_unlock(&db->lock);
    return since != 0 && ctx->now - since < TRY_GROUPS_EVERY;
}

static void note_no_groups(users_db_t *db, const djs_ctx_t *ctx)
{
    pthread_mutex_lock(&db->lock);
    db->no_groups_since = ctx->now;
    pthread_mutex_unlock(&db->lock);
}

static apr_status_t find_without_groups(djs_users_t *users, djs_ctx_t *ctx, const char *id,
                                        djs_user_t **user)
{
    apr_status_t rv = find_by_id(users, ctx, id, user);

    if (rv == APR_SUCCESS) {
        (*user)->lacks_groups = 1;
    }
    return rv;
}

/*
 * Who may read the table of users may perhaps not read those of groups: then a user is found still,
 * and that the groups are not known is told.
 */
static apr_status_t find_with_groups(djs_users_t *users, djs_ctx_t *ctx, const char *id,
                                     djs_user_t **user)
{
    const wanted_t wanted = { id, NULL, 1 };
    users_db_t *db = users->data;
    djs_ctx_t other = *ctx;
    apr_status_t rv, without;

    if (lacks_groups(db, ctx)) {
        return find_without_groups(users, ctx, id, user);
    }
    rv = find(db, ctx, &wanted, user);
    if (rv != DJS_ESTORE || ctx->patience <= 0) {
        return rv;
    }
    other.patience = ctx->patience;
    without = find_without_groups(users, &other, id, user);
    ctx->patience = other.patience;
    if (without != APR_SUCCESS && without != APR_NOTFOUND) {
        return rv;
    }
    note_no_groups(db, ctx);
    djs_warn(ctx, "%s", ctx->problem);
    ctx->problem = other.problem;
    return without;
}

/* A group's name, or the label of an application and a codename. */
static apr_status_t take_right(void *baton, djs_ctx_t *ctx, const djs_bytes_t *columns, int count)
{
    const char *name = djs_bytes_copy(ctx->pool, columns[0]).data;

    if (count > 1) {
        name = apr_pstrcat(ctx->pool, name, ".", djs_bytes_copy(ctx->pool, columns[1]).data, NULL);
    }
    return take_name(ctx, baton, name);
}

/* With what is known. */
static apr_status_t read_rights(users_db_t *db, djs_ctx_t *ctx, const known_t *known,
                                relation_t which, const char *id, apr_array_header_t *names)
{
    const djs_statement_t *statement = which == GROUPS ? &known->groups : &known->permissions;
    const char *stored = stored_id(ctx, known, id);
    const char *args[] = { stored, stored };
    apr_status_t rv;

    if (statement->sql == NULL || stored == NULL) {
        return APR_SUCCESS; /* the model has no such thing; nobody has none */
    }
    rv = djs_database_select(ctx, db->database, statement, args, take_right, names);
    if (rv == DJS_EINVAL) {
        djs_forget(ctx);
        return APR_SUCCESS;
    }
    return rv;
}

static apr_status_t list_rights(users_db_t *db, djs_ctx_t *ctx, relation_t which, const char *id,
                                apr_array_header_t **names)
{
    const known_t *known;
    const char *problem = ctx->problem;
    apr_status_t rv = djs_users_table_known(db, ctx, &known);
    int tries;

    for (tries = 0; rv == APR_SUCCESS && tries < 2; tries++) {
        *names = apr_array_make(ctx->pool, 8, sizeof(const char *));
        rv = read_rights(db, ctx, known, which, id, *names);
        if (rv != DJS_ESTORE || tries > 0 || !has_changed(db, ctx, &known)) {
            return rv;
        }
        ctx->problem = problem;
        rv = APR_SUCCESS;
    }
    return rv;
}

static apr_status_t groups(djs_users_t *users, djs_ctx_t *ctx, const char *id,
                           apr_array_header_t **names)
{
    return list_rights(users->data, ctx, GROUPS, id, names);
}

static apr_status_t permissions(djs_users_t *users, djs_ctx_t *ctx, const char *id,
                                apr_array_header_t **names)
{
    return list_rights(users->data, ctx, PERMISSIONS, id, names);
}

/* ---- Changes --------------------------------------------------------------------------------- */

static apr_status_t set_last_login(djs_users_t *users, djs_ctx_t *ctx, const char *id)
{
    users_db_t *db = users->data;
    const known_t *known;
    const char *args[2];
    int rows;
    apr_status_t rv = djs_users_table_known(db, ctx, &known);

    if (rv != APR_SUCCESS || !known->has[LAST_LOGIN]) {
        return rv;
    }
    args[0] = djs_column_write(ctx, &db->column, ctx->now);
    args[1] = stored_id(ctx, known, id);
    if (args[1] == NULL) {
        return APR_SUCCESS; /* nobody, whose last login is nothing */
    }
    rv = djs_database_execute(ctx, db->database, &known->set_last_login, args, &rows, NULL);
    djs_remember_drop(ctx, users, id);
    return rv;
}

/* Nothing was changed: by somebody else's faster change, or because it was done already? */
static apr_status_t tell_conflict(djs_users_t *users, djs_ctx_t *ctx, const char *id,
                                  const char *encoded)
{
    djs_user_t *user;
    apr_status_t rv = find_by_id(users, ctx, id, &user);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    return strcmp(user->password, encoded) == 0 ? APR_SUCCESS : DJS_ECONFLICT;
}

/* May run twice when an answer was lost: the second time finds what the first has left. */
static apr_status_t set_password(djs_users_t *users, djs_ctx_t *ctx, const char *id,
                                 const char *seen, const char *encoded)
{
    users_db_t *db = users->data;
    const known_t *known;
    const char *args[3];
    int rows = 0;
    apr_status_t rv = djs_users_table_known(db, ctx, &known);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (!known->has[PASSWORD]) {
        return djs_fail(ctx, DJS_ESTORE, "table \"%s\" has no column \"%s\"", db->table,
                        db->names[PASSWORD]);
    }
    args[0] = encoded;
    args[1] = stored_id(ctx, known, id);
    args[2] = seen;
    if (args[1] == NULL) {
        return APR_NOTFOUND;
    }
    rv = djs_database_execute(ctx, db->database, &known->set_password, args, &rows, NULL);
    djs_remember_drop(ctx, users, id); /* also when the outcome is not known */
    return rv == APR_SUCCESS && rows == 0 ? tell_conflict(users, ctx, id, encoded) : rv;
}

/* A key that is of the column's type, and nobody's. */
static const char *id_of_nobody(const known_t *known)
{
    switch (known->id_kind) {
    case ID_INTEGER:
        return "0";
    case ID_UUID:
    case ID_UUID_WITHOUT_DASHES:
        return "00000000-0000-0000-0000-000000000000";
    default:
        return "";
    }
}

/* Logins do without them; so that they cannot be read is worth a word, and no failure. */
static const char *judge_rights(users_db_t *db, djs_ctx_t *ctx, const known_t *known)
{
    apr_array_header_t *names = apr_array_make(ctx->pool, 1, sizeof(const char *));
    djs_ctx_t own = *ctx;
    apr_status_t rv;

    if (known->keys[GROUPS] == NULL && known->keys[PERMISSIONS] == NULL) {
        return "; it has no groups and permissions beside it";
    }
    own.problem = NULL;
    rv = read_rights(db, &own, known, GROUPS, id_of_nobody(known), names);
    if (rv == APR_SUCCESS) {
        rv = read_rights(db, &own, known, PERMISSIONS, id_of_nobody(known), names);
    }
    ctx->patience = own.patience;
    return rv == APR_SUCCESS ? ", with groups and permissions"
                             : apr_pstrcat(ctx->pool, "; but ", own.problem, NULL);
}

static apr_status_t check(djs_users_t *users, djs_ctx_t *ctx,
                          void (*say)(void *baton, int ok, const char *what), void *baton)
{
    users_db_t *db = users->data;
    const known_t *known;
    const wanted_t wanted = { NULL, "", 0 };
    djs_user_t *nobody;
    apr_status_t rv = djs_users_table_look(db, ctx, &known);

    if (rv == APR_SUCCESS) {
        rv = look_up(db, ctx, known, NULL, &wanted, &nobody);
    }
    if (rv == APR_SUCCESS || rv == APR_NOTFOUND) {
        say(baton, 1, apr_psprintf(ctx->pool, "table \"%s\" can be read%s%s", db->table,
                                   judge_rights(db, ctx, known),
                                   known->has[IS_ACTIVE] ? ""
                                                         : "; it has no is_active: all users are"));
        return APR_SUCCESS;
    }
    say(baton, 0, ctx->problem);
    return rv;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static const djs_users_ops_t ops = {
    find_by_id, find_with_groups, find_by_name, groups, permissions, set_last_login, set_password,
    check
};

static apr_status_t end_lock(void *data)
{
    pthread_mutex_destroy(data);
    return APR_SUCCESS;
}

apr_status_t djs_users_db_open(djs_ctx_t *ctx, apr_pool_t *pool, const djs_settings_t *settings,
                               const djs_zone_t *zone, djs_database_t *database,
                               djs_users_t **users)
{
    users_db_t *db = apr_pcalloc(pool, sizeof(*db));
    apr_status_t rv = djs_column_open(ctx, pool, database, zone, &db->column);

    if (rv == APR_SUCCESS) {
        rv = apr_pool_create(&db->pool, pool); /* for what is found out later, under the lock */
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    db->users.ops = &ops;
    db->users.data = db;
    db->database = database;
    djs_users_table_open(db, pool, settings);
    pthread_mutex_init(&db->lock, NULL);
    apr_pool_cleanup_register(pool, &db->lock, end_lock, apr_pool_cleanup_null);
    *users = &db->users;
    return APR_SUCCESS;
}
