/* SPDX-License-Identifier: Apache-2.0 */
/*
 * django.contrib.auth on sessions: who is logged in, login, logout.
 *
 * Users come from an interface that the store fills (users_db.c: Django's tables).
 */
#ifndef DJS_AUTH_H
#define DJS_AUTH_H

#include "session.h"

#define DJS_SALT_SESSION_AUTH_HASH "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"
#define DJS_MODEL_BACKEND "django.contrib.auth.backends.ModelBackend"

/** A row of the user table. Texts in the pool of the ctx that asked. */
typedef struct djs_user_t {
    const char *id;       /* primary key as text */
    const char *username; /* USERNAME_FIELD */
    const char *email;    /* "" when the model has none */
    const char *name;     /* get_full_name(): first and last name */
    const char *password; /* encoded column; secret; "" with hashes */
    int is_active;        /* 1 when the model has no such column */
    int is_staff;
    int is_superuser;
    apr_time_t last_login; /* 0: never */
    /* Of const char *; NULL: not asked for. By djs_rights_groups() and djs_rights_permissions(). */
    const apr_array_header_t *groups;
    const apr_array_header_t *permissions;
    /* Of a user who was remembered (remember.h): the session hashes, one a key; else NULL. */
    const char *const *hashes;
    int lacks_groups; /* they should have come with the user, but cannot be read */
} djs_user_t;

typedef struct djs_users_t djs_users_t;
typedef struct djs_shared_t djs_shared_t; /* remember.h */

typedef struct djs_users_ops_t {
    /** By primary key, as text. APR_NOTFOUND (also for text that is no such key); DJS_ESTORE. */
    apr_status_t (*find_by_id)(djs_users_t *users, djs_ctx_t *ctx, const char *id,
                               djs_user_t **user);
    /**
     * The same in one statement with the names of the groups, in any order. Where they cannot be read
     * but users can, the user lacks_groups, and the host is warned.
     */
    apr_status_t (*find_with_groups)(djs_users_t *users, djs_ctx_t *ctx, const char *id,
                                     djs_user_t **user);
    /** By login name, exactly. APR_NOTFOUND; DJS_ESTORE. */
    apr_status_t (*find_by_name)(djs_users_t *users, djs_ctx_t *ctx, const char *username,
                                 djs_user_t **user);
    /**
     * Names of the groups that a user (by id) is in, in any order, of const char *, in ctx->pool. A
     * model without groups: none. DJS_ESTORE.
     */
    apr_status_t (*groups)(djs_users_t *users, djs_ctx_t *ctx, const char *id,
                           apr_array_header_t **names);
    /** The same for permissions, the user's own and the groups': "app_label.codename", doubles too. */
    apr_status_t (*permissions)(djs_users_t *users, djs_ctx_t *ctx, const char *id,
                                apr_array_header_t **names);
    /** UPDATE of last_login to ctx->now, that column only. DJS_ESTORE. */
    apr_status_t (*set_last_login)(djs_users_t *users, djs_ctx_t *ctx, const char *id);
    /**
     * UPDATE of the password column, that column only, from @a seen (djs_user_t.password) to @a encoded:
     * who upgrades a hash undoes nobody's change of the password meanwhile.
     * APR_SUCCESS: it is @a encoded; DJS_ECONFLICT: it is neither; APR_NOTFOUND: nobody; DJS_ESTORE.
     */
    apr_status_t (*set_password)(djs_users_t *users, djs_ctx_t *ctx, const char *id,
                                 const char *seen, const char *encoded);
    /** As djs_engine_ops_t.check. */
    apr_status_t (*check)(djs_users_t *users, djs_ctx_t *ctx,
                          void (*say)(void *baton, int ok, const char *what), void *baton);
} djs_users_ops_t;

struct djs_users_t {
    const djs_users_ops_t *ops;
    void *data;
    const djs_shared_t *shared; /* where they are remembered; NULL: nowhere */
    const char *scope;          /* under what names: djs_remember_scope() */
};

/**
 * Python's int(text) for a column of integers: blanks around, a sign, leading zeros and single "_"
 * between digits are taken. Plain digits with a "-" if need be, in @a pool; NULL: no integer.
 */
const char *djs_auth_integer_id(apr_pool_t *pool, const char *text);

/**
 * Is it @a user whom a session with this data names? That the login still counts is djs_auth_user()'s
 * to say.
 */
int djs_auth_names(apr_pool_t *pool, const djs_value_t *data, const djs_user_t *user);

/**
 * get_user(): who is logged in by this session.
 *
 * Loads the session (accessed) and at most one user row. In Django's order: id and backend there;
 * backend among DjangoAuthBackends; row there; active; `_auth_user_hash` right, in constant time,
 * with the secret key or a fallback. A wrong hash flushes the session. A hash by a fallback key
 * cycles the key and writes the hash anew, as Django 4.1.8 and later; that is upkeep
 * (djs_session_set_upkeep). Without a session the reason is the session's own.
 *
 * @return APR_SUCCESS   @a user is who it is, or NULL with @a reason saying why nobody
 *         DJS_ESTORE    session or user could not be read; nothing may be concluded
 */
apr_status_t djs_auth_user(djs_ctx_t *ctx, const djs_site_t *site, djs_session_t *session,
                           djs_user_t **user, djs_reason_t *reason) DJS_MUST_CHECK;

/**
 * login(): 10.4 of the formats. Who logs in was authenticated by the caller. Sets the three keys,
 * cycles or flushes as Django does. Does not write last_login: that is djs_users_ops_t's, after the
 * session was saved.
 */
apr_status_t djs_auth_login(djs_ctx_t *ctx, const djs_site_t *site, djs_session_t *session,
                            const djs_user_t *user) DJS_MUST_CHECK;

/** logout(): flush. */
void djs_auth_logout(djs_ctx_t *ctx, djs_session_t *session);

#endif
