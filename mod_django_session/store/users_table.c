/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of users and those beside it: what there is, and the statements that follow from it.
 *
 * A model need have no more than a key, a login name and a password. Which columns there are, and of
 * which type the key is, is asked of the database when the first user is looked for: not at start,
 * when the database may be down. It is asked again when a statement fails, and once a minute while
 * columns are missing, for they may have come by a migration.
 *
 * A user's groups and permissions are in tables of pairs that Django names after the model's:
 *
 *     auth_user                  auth_user_groups              (id, user_id, group_id)
 *                                auth_user_user_permissions    (id, user_id, permission_id)
 *     people_person              people_person_groups          (id, person_id, group_id)
 *                                people_person_user_permissions
 *
 * Where a model's table is given another name, theirs follow it, but the column has the model's name
 * still: it is the one that is neither `id` nor the other side's. Without the table a model has none.
 */
#include "users_db_impl.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_md5.h>

/* While columns are missing. */
#define LOOK_AGAIN_EVERY apr_time_from_sec(60)

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

/* A table of the same schema, quoted. */
static const char *beside(const users_db_t *db, apr_pool_t *pool, const char *table)
{
    const char *name = db->schema != NULL ? apr_pstrcat(pool, db->schema, ".", table, NULL) : table;

    return djs_database_quote(pool, db->database, name);
}

/* Its arguments: schema and table; on PostgreSQL the quoted name. */
static const char *describe_sql(const users_db_t *db)
{
    switch (db->column.dialect) {
    case DJS_POSTGRESQL:
        return "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute"
               " WHERE attrelid = to_regclass(CAST(%pDt AS text)) AND attnum > 0 AND NOT attisdropped";
    case DJS_MYSQL:
        return "SELECT COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS"
               " WHERE TABLE_SCHEMA = COALESCE(%s, DATABASE()) AND TABLE_NAME = %s";
    default:
        return "SELECT name, type FROM pragma_table_info(%s, %s)";
    }
}

static void describe_args(const users_db_t *db, apr_pool_t *pool, const char *table,
                          const char *args[2])
{
    switch (db->column.dialect) {
    case DJS_POSTGRESQL:
        args[0] = beside(db, pool, table);
        break;
    case DJS_MYSQL:
        args[0] = db->schema;
        args[1] = table;
        break;
    default:
        args[0] = table;
        args[1] = db->schema;
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

/* The other side's column of each relation, and where it is. */
static const struct {
    const char *field; /* of the model */
    const char *other;
} relations[RELATIONS] = {
    { "groups", "group_id" },
    { "user_permissions", "permission_id" },
};

typedef struct pairs_t {
    const users_db_t *db;
    relation_t which;
    const char *key;
    int is_sure; /* it has the name that the table's suggests */
} pairs_t;

/* Is it "user_id", where the table of users is "auth_user"? */
static int is_named_after(const char *column, const char *table)
{
    apr_size_t len = strlen(column) - strlen("_id");
    apr_size_t table_len = strlen(table);

    return table_len >= len
           && strncasecmp(table + table_len - len, column, len) == 0
           && (table_len == len || table[table_len - len - 1] == '_');
}

static apr_status_t take_pair_column(void *baton, djs_ctx_t *ctx, const djs_bytes_t *columns,
                                     int count)
{
    pairs_t *pairs = baton;
    const char *column = djs_bytes_copy(ctx->pool, columns[0]).data;
    apr_size_t len = columns[0].len;

    (void)count;
    if (pairs->is_sure || len < 4 || strcmp(column + len - 3, "_id") != 0
        || strcmp(column, relations[pairs->which].other) == 0) {
        return APR_SUCCESS;
    }
    pairs->is_sure = is_named_after(column, pairs->db->table);
    if (pairs->is_sure || pairs->key == NULL) {
        pairs->key = column;
    }
    return APR_SUCCESS;
}

static apr_status_t describe_pairs(users_db_t *db, djs_ctx_t *ctx, known_t *known, relation_t which)
{
    const char *args[2] = { NULL, NULL };
    pairs_t pairs = { db, which, NULL, 0 };
    apr_status_t rv;

    describe_args(db, ctx->pool, db->pairs[which], args);
    rv = djs_database_select(ctx, db->database, &db->describe, args, take_pair_column, &pairs);
    known->keys[which] = pairs.key;
    known->missing += pairs.key == NULL;
    return rv;
}

/* In ctx->pool. */
static apr_status_t describe(users_db_t *db, djs_ctx_t *ctx, known_t *known)
{
    const char *args[2] = { NULL, NULL };
    description_t description = { db, known, 0 };
    apr_status_t rv;
    int i;

    memset(known, 0, sizeof(*known));
    describe_args(db, ctx->pool, db->table, args);
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
    rv = describe_pairs(db, ctx, known, GROUPS);
    return rv == APR_SUCCESS ? describe_pairs(db, ctx, known, PERMISSIONS) : rv;
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

/* All fields, and what more: everything before WHERE. */
static const char *select_from(const users_db_t *db, const known_t *known, const char *more,
                               const char *joins)
{
    const char *select = "SELECT ";
    int i;

    for (i = 0; i < FIELDS; i++) {
        select = apr_pstrcat(db->pool, select, i > 0 ? ", " : "", selected(db, known, (field_t)i),
                             NULL);
    }
    return apr_pstrcat(db->pool, select, more, " FROM ", db->quoted, joins, " WHERE ", NULL);
}

static void state_lookups(const users_db_t *db, known_t *known)
{
    const char *what = db->describe.what;
    const char *select = select_from(db, known, "", "");

    known->by_id = state("user_by_id", what, apr_pstrcat(db->pool, select, is_user(db, known), NULL),
                         1);
    known->by_name = state("user_by_name", what,
                           apr_pstrcat(db->pool, select, qualified(db, USERNAME), " = ",
                                       argument(db, known->types[USERNAME]), NULL), 1);
}

/* ---- Groups and permissions ------------------------------------------------------------------ */

/* A column of a table beside that of users. */
static const char *column_of(const users_db_t *db, const char *table, const char *column)
{
    return apr_pstrcat(db->pool, beside(db, db->pool, table), ".",
                       djs_database_quote(db->pool, db->database, column), NULL);
}

/* "<joined> ON <one column> = <another>" */
static const char *join(const users_db_t *db, const char *table, const char *column,
                        const char *equal_to)
{
    return apr_pstrcat(db->pool, " JOIN ", beside(db, db->pool, table), " ON ",
                       column_of(db, table, column), " = ", equal_to, NULL);
}

/* The condition that a pair is the user's. */
static const char *is_users_pair(const users_db_t *db, const known_t *known, relation_t which)
{
    return apr_pstrcat(db->pool, column_of(db, db->pairs[which], known->keys[which]), " = ",
                       argument(db, known->types[ID]), NULL);
}

static void state_groups(const users_db_t *db, known_t *known)
{
    const char *what = apr_psprintf(db->pool, "cannot read the groups in table \"%s\"",
                                    db->pairs[GROUPS]);
    const char *name = column_of(db, "auth_group", "name");
    const char *group = join(db, "auth_group", "id", column_of(db, db->pairs[GROUPS], "group_id"));
    const char *pairs = join(db, db->pairs[GROUPS], known->keys[GROUPS], qualified(db, ID));

    known->groups = state("groups", what,
                          apr_pstrcat(db->pool, "SELECT ", name, " FROM ",
                                      beside(db, db->pool, db->pairs[GROUPS]), group, " WHERE ",
                                      is_users_pair(db, known, GROUPS), NULL), 1);
    /* One row a group, and one for who is in none. */
    known->by_id_with_groups =
        state("user_with_groups", what,
              apr_pstrcat(db->pool,
                          select_from(db, known, apr_pstrcat(db->pool, ", ", name, NULL),
                                      apr_pstrcat(db->pool, " LEFT", pairs, " LEFT", group, NULL)),
                          is_user(db, known), NULL), 1);
}

/* The user's own, and those of the user's groups; each twice that is both. */
static void state_permissions(const users_db_t *db, known_t *known)
{
    static const char *const permission = "auth_permission";
    static const char *const of_groups = "auth_group_permissions";
    const char *select =
        apr_pstrcat(db->pool, "SELECT ", column_of(db, "django_content_type", "app_label"), ", ",
                    column_of(db, permission, "codename"), " FROM ", beside(db, db->pool, permission),
                    join(db, "django_content_type", "id",
                         column_of(db, permission, "content_type_id")), NULL);
    const char *own = known->keys[PERMISSIONS] == NULL ? NULL :
        apr_pstrcat(db->pool, select,
                    join(db, db->pairs[PERMISSIONS], "permission_id",
                         column_of(db, permission, "id")),
                    " WHERE ", is_users_pair(db, known, PERMISSIONS), NULL);
    const char *by_groups = known->keys[GROUPS] == NULL ? NULL :
        apr_pstrcat(db->pool, select,
                    join(db, of_groups, "permission_id", column_of(db, permission, "id")),
                    join(db, db->pairs[GROUPS], "group_id", column_of(db, of_groups, "group_id")),
                    " WHERE ", is_users_pair(db, known, GROUPS), NULL);

    known->permissions =
        state("permissions",
              apr_psprintf(db->pool, "cannot read the permissions of users in table \"%s\"",
                           db->table),
              own == NULL ? by_groups
                          : apr_pstrcat(db->pool, own, by_groups != NULL ? " UNION ALL " : NULL,
                                        by_groups, NULL),
              (own != NULL) + (by_groups != NULL));
}

/* ---- What is known --------------------------------------------------------------------------- */

static int is_same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static int is_same(const known_t *a, const known_t *b)
{
    return memcmp(a->has, b->has, sizeof(a->has)) == 0 && strcmp(a->types[ID], b->types[ID]) == 0 &&
           strcmp(a->types[USERNAME], b->types[USERNAME]) == 0 &&
           is_same_text(a->keys[GROUPS], b->keys[GROUPS]) &&
           is_same_text(a->keys[PERMISSIONS], b->keys[PERMISSIONS]);
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
    known->keys[GROUPS] = apr_pstrdup(db->pool, found->keys[GROUPS]);
    known->keys[PERMISSIONS] = apr_pstrdup(db->pool, found->keys[PERMISSIONS]);
    known->id_kind = kind_of(db, known->types[ID]);
    state_lookups(db, known);
    state_updates(db, known);
    if (known->keys[GROUPS] != NULL) {
        state_groups(db, known);
    }
    if (known->keys[GROUPS] != NULL || known->keys[PERMISSIONS] != NULL) {
        state_permissions(db, known);
    }
    db->known = known;
    return known;
}

apr_status_t djs_users_table_look(users_db_t *db, djs_ctx_t *ctx, const known_t **known)
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

apr_status_t djs_users_table_known(users_db_t *db, djs_ctx_t *ctx, const known_t **known)
{
    int stale;

    pthread_mutex_lock(&db->lock);
    *known = db->known;
    stale = *known == NULL ||
            ((*known)->missing > 0 && ctx->now - (*known)->since > LOOK_AGAIN_EVERY);
    pthread_mutex_unlock(&db->lock);
    return stale ? djs_users_table_look(db, ctx, known) : APR_SUCCESS;
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* As Django's truncate_name(): what is too long for a name ends in four digits of its MD5. */
static const char *table_name(const users_db_t *db, apr_pool_t *pool, const char *name)
{
    apr_size_t most = db->column.dialect == DJS_POSTGRESQL ? 63 : 64; /* characters: ASCII, mostly */
    unsigned char digest[APR_MD5_DIGESTSIZE];

    if (db->column.dialect == DJS_SQLITE || strlen(name) <= most) {
        return name;
    }
    apr_md5(digest, name, strlen(name));
    return apr_psprintf(pool, "%.*s%02x%02x", (int)(most - 4), name, digest[0], digest[1]);
}

static void split_table(users_db_t *db, apr_pool_t *pool, const char *table)
{
    const char *dot = strchr(table, '.');

    db->table = apr_pstrdup(pool, dot != NULL ? dot + 1 : table);
    db->schema = dot != NULL ? apr_pstrmemdup(pool, table, (apr_size_t)(dot - table)) : NULL;
}

void djs_users_table_open(users_db_t *db, apr_pool_t *pool, const djs_settings_t *settings)
{
    static const char *const names[FIELDS] = {
        "", "", "password", "email", "first_name", "last_name", "is_active", "is_staff",
        "is_superuser", "last_login",
    };
    int i;

    split_table(db, pool, settings->user_table);
    db->quoted = djs_database_quote(pool, db->database, settings->user_table);
    memcpy(db->names, names, sizeof(names));
    db->names[ID] = settings->user_id_field;
    db->names[USERNAME] = settings->username_field;
    for (i = 0; i < RELATIONS; i++) {
        db->pairs[i] = table_name(db, pool,
                                  apr_pstrcat(pool, db->table, "_", relations[i].field, NULL));
    }
    db->describe = state("describe_users",
                         apr_psprintf(pool, "cannot read table \"%s\"", settings->user_table),
                         describe_sql(db), db->column.dialect == DJS_POSTGRESQL ? 1 : 2);
}
