/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users in the table of Django's user model, whichever that is.
 *
 * A model need have no more than a key, a login name and a password. Which columns there are, and of
 * which type the key is, is asked of the database when the first user is looked for: not at start,
 * when the database may be down. It is asked again when a statement fails, and once a minute while
 * columns are missing, for they may have come by a migration.
 *
 * Keys come from sessions, as text that Python's str() made of them. What is no key of the column's
 * type, by Django's reckoning, is nobody:
 *
 *     integer      int(): white space around, a sign, leading zeros, single underscores
 *     uuid         PostgreSQL, MariaDB 10.7: its own type; elsewhere char(32) without the dashes
 *     other        as it is, and exactly so: MySQL would find "bob" for "Bob", and 7 for "7x"
 */
#include "stores.h"

#include <pthread.h>
#include <string.h>

#include <apr_lib.h>

#include "column.h"

/* While columns are missing. */
#define LOOK_AGAIN_EVERY apr_time_from_sec(60)

typedef enum field_t {
    ID, USERNAME, PASSWORD, EMAIL, FIRST_NAME, LAST_NAME, IS_ACTIVE, IS_STAFF, IS_SUPERUSER,
    LAST_LOGIN,
    FIELDS
} field_t;

typedef enum id_kind_t { ID_INTEGER, ID_UUID, ID_UUID_WITHOUT_DASHES, ID_TEXT } id_kind_t;

/* What was found out about the table, and what follows from it. Immutable once made. */
typedef struct known_t {
    apr_time_t since;
    int has[FIELDS];
    int missing;
    const char *types[FIELDS]; /* of ID and USERNAME */
    id_kind_t id_kind;
    djs_statement_t by_id, by_name, set_last_login, set_password;
} known_t;

typedef struct users_db_t {
    djs_users_t users;
    djs_database_t *database;
    djs_column_t column;
    const char *schema; /* NULL: the connection's */
    const char *table;
    const char *quoted;
    const char *names[FIELDS]; /* of the columns */
    djs_statement_t describe;  /* → name, type */
    pthread_mutex_t lock;      /* of what follows */
    apr_pool_t *pool;
    known_t *known;
} users_db_t;

/* ---- Finding out ----------------------------------------------------------------------------- */

static djs_statement_t state(const char *label, const char *what, const char *sql, int params)
{
    djs_statement_t statement = { NULL, NULL, NULL, 0, 1 };

    statement.label = label;
    statement.what = what;
    statement.sql = sql;
    statement.params = params;
    return statement;
}

/* Its arguments: schema and table; on PostgreSQL the quoted name. */
static const char *describe_sql(const users_db_t *db)
{
    switch (db->column.dialect) {
    case DJS_POSTGRESQL:
        return "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute"
               " WHERE attrelid = CAST(%pDt AS regclass) AND attnum > 0 AND NOT attisdropped";
    case DJS_MYSQL:
        return "SELECT COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS"
               " WHERE TABLE_SCHEMA = COALESCE(%s, DATABASE()) AND TABLE_NAME = %s";
    default:
        return "SELECT name, type FROM pragma_table_info(%s, %s)";
    }
}

static int describe_args(const users_db_t *db, const char *args[2])
{
    switch (db->column.dialect) {
    case DJS_POSTGRESQL:
        args[0] = db->quoted;
        return 1;
    case DJS_MYSQL:
        args[0] = db->schema;
        args[1] = db->table;
        return 2;
    default:
        args[0] = db->table;
        args[1] = db->schema;
        return 2;
    }
}

typedef struct description_t {
    const users_db_t *db;
    known_t *known;
    int columns;
} description_t;

static apr_status_t take_column(void *baton, djs_ctx_t *ctx, const djs_bytes_t *columns, int count)
{
    description_t *description = baton;
    int i;

    (void)count;
    description->columns++;
    for (i = 0; i < FIELDS; i++) {
        if (djs_bytes_is(columns[0], description->db->names[i])) {
            description->known->has[i] = 1;
            description->known->types[i] = djs_bytes_copy(ctx->pool, columns[1]).data;
        }
    }
    return APR_SUCCESS;
}

/* In ctx->pool. */
static apr_status_t describe(users_db_t *db, djs_ctx_t *ctx, known_t *known)
{
    const char *args[2] = { NULL, NULL };
    description_t description = { db, known, 0 };
    apr_status_t rv;
    int i;

    memset(known, 0, sizeof(*known));
    (void)describe_args(db, args);
    rv = djs_database_select(ctx, db->database, &db->describe, args, take_column, &description);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (description.columns == 0) {
        return djs_fail(ctx, DJS_ESTORE, "there is no table \"%s\" (DjangoUserTable)", db->table);
    }
    if (!known->has[ID] || !known->has[USERNAME]) {
        return djs_fail(ctx, DJS_ESTORE, "table \"%s\" has no column \"%s\" (%s)", db->table,
                        db->names[known->has[ID] ? USERNAME : ID],
                        known->has[ID] ? "DjangoUsernameField" : "DjangoUserIdField");
    }
    for (i = 0; i < FIELDS; i++) {
        known->missing += !known->has[i];
    }
    known->since = ctx->now;
    return APR_SUCCESS;
}

static id_kind_t kind_of(const users_db_t *db, const char *type)
{
    char *lower = apr_pstrdup(db->pool, type);
    char *at;

    for (at = lower; *at != '\0'; at++) {
        *at = (char)apr_tolower(*at);
    }
    if (strstr(lower, "int") != NULL || strstr(lower, "serial") != NULL) {
        return ID_INTEGER;
    }
    if (strcmp(lower, "char(32)") == 0) {
        return ID_UUID_WITHOUT_DASHES;
    }
    return strcmp(lower, "uuid") == 0 ? ID_UUID : ID_TEXT;
}

/* A text argument that is compared with a column: PostgreSQL has to know its type. */
static const char *argument(const users_db_t *db, const char *type)
{
    if (db->column.dialect != DJS_POSTGRESQL) {
        return "%s";
    }
    /* "character" without a length would be one letter */
    return apr_psprintf(db->pool, "CAST(%%pDt AS %s)",
                        strcmp(type, "character") == 0 ? "bpchar" : type);
}

/* With its table: SQLite takes "email" alone for a text when there is no such column. */
static const char *qualified(const users_db_t *db, field_t field)
{
    return apr_pstrcat(db->pool, db->quoted, ".",
                       djs_database_quote(db->pool, db->database, db->names[field]), NULL);
}

/* What selects a field as a text: NULL for a column that is not there. */
static const char *selected(const users_db_t *db, const known_t *known, field_t field)
{
    const char *name = qualified(db, field);

    if (!known->has[field]) {
        return "NULL";
    }
    if (field == LAST_LOGIN) {
        return djs_column_select(db->pool, &db->column, name);
    }
    return db->column.dialect == DJS_MYSQL ? apr_psprintf(db->pool, "CAST(%s AS CHAR)", name) : name;
}

/* The condition that a row is the user's. */
static const char *is_user(const users_db_t *db, const known_t *known)
{
    return apr_pstrcat(db->pool, qualified(db, ID), " = ", argument(db, known->types[ID]), NULL);
}

/* Hashes differ by the case of a letter, too, which MySQL's usual collations do not see. */
static const char *exactly(const users_db_t *db, const char *column)
{
    return db->column.dialect == DJS_MYSQL ? apr_psprintf(db->pool, "CAST(%s AS BINARY)", column)
                                           : column;
}

static void state_updates(const users_db_t *db, known_t *known)
{
    const char *what = apr_psprintf(db->pool, "cannot update table \"%s\"", db->table);
    const char *update = apr_pstrcat(db->pool, "UPDATE ", db->quoted, " SET ", NULL);
    const char *id = is_user(db, known);
    const char *password = djs_database_quote(db->pool, db->database, db->names[PASSWORD]);

    known->set_last_login = state("last_login", what,
                                  apr_pstrcat(db->pool, update, "last_login = ", db->column.param,
                                              " WHERE ", id, NULL), 2);
    known->set_password = state("password", what,
                                apr_pstrcat(db->pool, update, password, " = ", argument(db, "text"),
                                            " WHERE ", id, " AND ",
                                            exactly(db, qualified(db, PASSWORD)), " = ",
                                            argument(db, "text"), NULL), 3);
}

static void state_lookups(const users_db_t *db, known_t *known)
{
    const char *what = db->describe.what;
    const char *select = "SELECT ";
    int i;

    for (i = 0; i < FIELDS; i++) {
        select = apr_pstrcat(db->pool, select, i > 0 ? ", " : "", selected(db, known, (field_t)i),
                             NULL);
    }
    select = apr_pstrcat(db->pool, select, " FROM ", db->quoted, " WHERE ", NULL);
    known->by_id = state("user_by_id", what, apr_pstrcat(db->pool, select, is_user(db, known), NULL),
                         1);
    known->by_name = state("user_by_name", what,
                           apr_pstrcat(db->pool, select, qualified(db, USERNAME), " = ",
                                       argument(db, known->types[USERNAME]), NULL), 1);
}

static int is_same(const known_t *a, const known_t *b)
{
    return memcmp(a->has, b->has, sizeof(a->has)) == 0 && strcmp(a->types[ID], b->types[ID]) == 0 &&
           strcmp(a->types[USERNAME], b->types[USERNAME]) == 0;
}

/* With the lock held. A table that has not changed costs no memory. */
static const known_t *remember(users_db_t *db, const known_t *found)
{
    known_t *known = db->known;

    if (known != NULL && is_same(known, found)) {
        known->since = found->since;
        return known;
    }
    known = apr_pmemdup(db->pool, found, sizeof(*found));
    known->types[ID] = apr_pstrdup(db->pool, found->types[ID]);
    known->types[USERNAME] = apr_pstrdup(db->pool, found->types[USERNAME]);
    known->id_kind = kind_of(db, known->types[ID]);
    state_lookups(db, known);
    state_updates(db, known);
    db->known = known;
    return known;
}

/* Ask the database. */
static apr_status_t find_out(users_db_t *db, djs_ctx_t *ctx, const known_t **known)
{
    known_t found;
    apr_status_t rv = describe(db, ctx, &found);

    if (rv == APR_SUCCESS) {
        pthread_mutex_lock(&db->lock);
        *known = remember(db, &found);
        pthread_mutex_unlock(&db->lock);
    }
    return rv;
}

static apr_status_t get_known(users_db_t *db, djs_ctx_t *ctx, const known_t **known)
{
    int stale;

    pthread_mutex_lock(&db->lock);
    *known = db->known;
    stale = *known == NULL ||
            ((*known)->missing > 0 && ctx->now - (*known)->since > LOOK_AGAIN_EVERY);
    pthread_mutex_unlock(&db->lock);
    return stale ? find_out(db, ctx, known) : APR_SUCCESS;
}

/* ---- Keys ------------------------------------------------------------------------------------ */

/* Python's int(text), within 64 bits; NULL: ValueError. */
static const char *as_integer(djs_ctx_t *ctx, const char *text)
{
    char digits[24];
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
    return apr_pstrcat(ctx->pool, negative && strcmp(digits, "0") != 0 ? "-" : "", digits, NULL);
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
    djs_user_t *user;
    int count;
} lookup_t;

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
    char *name = apr_pstrcat(ctx->pool, text_at(ctx, columns, FIRST_NAME), " ",
                             text_at(ctx, columns, LAST_NAME), NULL);
    char *end = name + strlen(name);

    while (end > name && apr_isspace(end[-1])) {
        *--end = '\0';
    }
    return name + strspn(name, " \t\n\v\f\r");
}

static apr_status_t take_user(void *baton, djs_ctx_t *ctx, const djs_bytes_t *columns, int count)
{
    lookup_t *lookup = baton;
    const known_t *known = lookup->known;
    djs_user_t *user = apr_pcalloc(ctx->pool, sizeof(*user));

    (void)count;
    if (lookup->id != NULL && !djs_bytes_is(columns[ID], lookup->id)) {
        return APR_SUCCESS;
    }
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
    lookup->user = user;
    lookup->count++;
    return APR_SUCCESS;
}

/* One lookup with what is known; DJS_EINVAL: the text is no value of the column's type. */
static apr_status_t look_up(users_db_t *db, djs_ctx_t *ctx, const known_t *known, const char *id,
                            const char *name, djs_user_t **user)
{
    lookup_t lookup = { db, known, id, NULL, 0 };
    const char *arg = id != NULL ? id : name;
    apr_status_t rv = djs_database_select(ctx, db->database, id != NULL ? &known->by_id
                                                                        : &known->by_name,
                                          &arg, take_user, &lookup);

    if (rv == DJS_EINVAL) {
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

    if (ctx->patience <= 0 || find_out(db, &other, known) != APR_SUCCESS) {
        *known = before;
    }
    ctx->patience = other.patience;
    return *known != before;
}

static apr_status_t find(users_db_t *db, djs_ctx_t *ctx, const char *id, const char *name,
                         djs_user_t **user)
{
    const known_t *known;
    const char *problem = ctx->problem;
    apr_status_t rv = get_known(db, ctx, &known);
    int tries;

    for (tries = 0; rv == APR_SUCCESS && tries < 2; tries++) {
        const char *stored = id != NULL ? stored_id(ctx, known, id) : NULL;

        if (id != NULL && stored == NULL) {
            return APR_NOTFOUND;
        }
        rv = look_up(db, ctx, known, stored, name, user);
        if (rv == DJS_ESTORE && tries == 0 && has_changed(db, ctx, &known)) {
            ctx->problem = problem;
            rv = APR_SUCCESS;
        }
    }
    return rv;
}

static apr_status_t find_by_id(djs_users_t *users, djs_ctx_t *ctx, const char *id,
                               djs_user_t **user)
{
    *user = NULL;
    return find(users->data, ctx, id, NULL, user);
}

static apr_status_t find_by_name(djs_users_t *users, djs_ctx_t *ctx, const char *username,
                                 djs_user_t **user)
{
    *user = NULL;
    return find(users->data, ctx, NULL, username, user);
}

static apr_status_t set_last_login(djs_users_t *users, djs_ctx_t *ctx, const char *id)
{
    users_db_t *db = users->data;
    const known_t *known;
    const char *args[2];
    int rows;
    apr_status_t rv = get_known(db, ctx, &known);

    if (rv != APR_SUCCESS || !known->has[LAST_LOGIN]) {
        return rv;
    }
    args[0] = djs_column_write(ctx, &db->column, ctx->now);
    args[1] = stored_id(ctx, known, id);
    if (args[1] == NULL) {
        return APR_SUCCESS; /* nobody, whose last login is nothing */
    }
    return djs_database_execute(ctx, db->database, &known->set_last_login, args, &rows, NULL);
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
    apr_status_t rv = get_known(db, ctx, &known);

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
    return rv == APR_SUCCESS && rows == 0 ? tell_conflict(users, ctx, id, encoded) : rv;
}

static apr_status_t check(djs_users_t *users, djs_ctx_t *ctx,
                          void (*say)(void *baton, int ok, const char *what), void *baton)
{
    users_db_t *db = users->data;
    const known_t *known;
    djs_user_t *nobody;
    apr_status_t rv = find_out(db, ctx, &known);

    if (rv == APR_SUCCESS) {
        rv = look_up(db, ctx, known, NULL, "", &nobody);
    }
    if (rv == APR_SUCCESS || rv == APR_NOTFOUND) {
        say(baton, 1, apr_psprintf(ctx->pool, "table \"%s\" can be read%s", db->table,
                                   known->has[IS_ACTIVE] ? ""
                                                         : "; it has no is_active: all users are"));
        return APR_SUCCESS;
    }
    say(baton, 0, ctx->problem);
    return rv;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static const djs_users_ops_t ops = { find_by_id, find_by_name, set_last_login, set_password,
                                     check };

static apr_status_t end_lock(void *data)
{
    pthread_mutex_destroy(data);
    return APR_SUCCESS;
}

static void split_table(users_db_t *db, apr_pool_t *pool, const char *table)
{
    const char *dot = strchr(table, '.');

    db->table = apr_pstrdup(pool, dot != NULL ? dot + 1 : table);
    db->schema = dot != NULL ? apr_pstrmemdup(pool, table, (apr_size_t)(dot - table)) : NULL;
}

apr_status_t djs_users_db_open(djs_ctx_t *ctx, apr_pool_t *pool, const djs_settings_t *settings,
                               const djs_zone_t *zone, djs_database_t *database,
                               djs_users_t **users)
{
    static const char *const names[FIELDS] = {
        "", "", "password", "email", "first_name", "last_name", "is_active", "is_staff",
        "is_superuser", "last_login",
    };
    const char *unused[2];
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
    split_table(db, pool, settings->user_table);
    db->quoted = djs_database_quote(pool, database, settings->user_table);
    memcpy(db->names, names, sizeof(names));
    db->names[ID] = settings->user_id_field;
    db->names[USERNAME] = settings->username_field;
    db->describe = state("describe_users",
                         apr_psprintf(pool, "cannot read table \"%s\"", settings->user_table),
                         describe_sql(db), describe_args(db, unused));
    pthread_mutex_init(&db->lock, NULL);
    apr_pool_cleanup_register(pool, &db->lock, end_lock, apr_pool_cleanup_null);
    *users = &db->users;
    return APR_SUCCESS;
}
