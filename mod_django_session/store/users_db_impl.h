/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users in a table: what users_db.c, which looks for them, and users_table.c, which finds out what
 * there is to look at, share.
 */
#ifndef DJS_USERS_DB_IMPL_H
#define DJS_USERS_DB_IMPL_H

#include <pthread.h>

#include "column.h"
#include "stores.h"

/* The columns that are read, in this order; behind them, where it is asked for, a group's name. */
typedef enum field_t {
    ID, USERNAME, PASSWORD, EMAIL, FIRST_NAME, LAST_NAME, IS_ACTIVE, IS_STAFF, IS_SUPERUSER,
    LAST_LOGIN,
    FIELDS
} field_t;

#define GROUP_NAME FIELDS

typedef enum id_kind_t { ID_INTEGER, ID_UUID, ID_UUID_WITHOUT_DASHES, ID_TEXT } id_kind_t;

/* What a model has many of: a table of pairs, <user table>_<what>, made by Django. */
typedef enum relation_t { GROUPS, PERMISSIONS, RELATIONS } relation_t;

/* What was found out about the table, and what follows from it. Immutable once made. */
typedef struct known_t {
    apr_time_t since;
    int has[FIELDS];
    int missing;
    const char *types[FIELDS]; /* of ID and USERNAME */
    const char *keys[RELATIONS]; /* the column of the pairs that is the user's; NULL: no such table */
    id_kind_t id_kind;
    djs_statement_t by_id, by_name, set_last_login, set_password;
    djs_statement_t by_id_with_groups, groups, permissions; /* where there are any */
} known_t;

typedef struct users_db_t {
    djs_users_t users;
    djs_database_t *database;
    djs_column_t column;
    const char *schema; /* NULL: the connection's */
    const char *table;
    const char *quoted;
    const char *names[FIELDS]; /* of the columns */
    const char *pairs[RELATIONS]; /* names of the tables */
    djs_statement_t describe;  /* → name, type */
    pthread_mutex_t lock;      /* of what follows */
    apr_pool_t *pool;
    known_t *known;
    apr_time_t no_groups_since; /* when it was found that users can be read, but groups cannot */
} users_db_t;

/** Which table and columns; asks nothing. @a table: [schema.]table. */
void djs_users_table_open(users_db_t *db, apr_pool_t *pool, const djs_settings_t *settings);

/** What is known; is asked of the database when nothing is, or too little for too long. */
apr_status_t djs_users_table_known(users_db_t *db, djs_ctx_t *ctx, const known_t **known)
    DJS_MUST_CHECK;

/** Ask the database again. */
apr_status_t djs_users_table_look(users_db_t *db, djs_ctx_t *ctx, const known_t **known)
    DJS_MUST_CHECK;

#endif
