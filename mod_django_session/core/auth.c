/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is logged in, login, logout: django.contrib.auth.get_user(), login() and logout().
 *
 *     _auth_user_id        the user's primary key, as text; readers take a number
 *     _auth_user_backend   dotted path of the backend that checked the password
 *     _auth_user_hash      hex of an HMAC over the password column: it dies with the password
 */
#include "auth.h"

#include <math.h>
#include <string.h>

#include "memo.h"
#include "password.h"
#include "remember.h"
#include "rights.h"

#define ID_KEY      "_auth_user_id"
#define BACKEND_KEY "_auth_user_backend"
#define HASH_KEY    "_auth_user_hash"

/* --- the id --- */

static int is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f);
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

const char *djs_auth_integer_id(apr_pool_t *pool, const char *text)
{
    char *digits = apr_palloc(pool, strlen(text) + 2);
    char *out = digits;
    int negative;

    while (is_space(*text)) {
        text++;
    }
    negative = *text == '-';
    text += negative || *text == '+';
    for (; is_digit(*text) || (*text == '_' && out > digits && is_digit(text[1])); text++) {
        if (*text != '_') {
            *out++ = *text;
        }
    }
    while (is_space(*text)) {
        text++;
    }
    if (out == digits || *text != '\0') {
        return NULL;
    }
    *out = '\0';
    while (digits[0] == '0' && digits[1] != '\0') {
        digits++;
    }
    return negative && *digits != '0' ? apr_pstrcat(pool, "-", digits, NULL) : digits;
}

/* A stored id as text; NULL: no key of any user is like this. */
static const char *id_text(apr_pool_t *pool, const djs_value_t *id)
{
    djs_bytes_t text;

    switch (djs_value_type(id)) {
    case DJS_TYPE_STR:
        text = djs_value_str(id);
        return memchr(text.data, '\0', text.len) == NULL
                   ? apr_pstrmemdup(pool, text.data, text.len) : NULL;
    case DJS_TYPE_INT:
        text = djs_value_int_digits(id, pool);
        return apr_pstrmemdup(pool, text.data, text.len);
    case DJS_TYPE_BOOL:
        return djs_value_bool(id) ? "1" : "0";
    case DJS_TYPE_FLOAT: /* as int(): cut off */
        return fabs(djs_value_float(id)) < 9e15
                   ? apr_psprintf(pool, "%" APR_INT64_T_FMT, (apr_int64_t)djs_value_float(id))
                   : NULL;
    default:
        return NULL;
    }
}

/* Do a stored id and a user's mean the same? As text, or as the same integer. */
static int is_id_of(apr_pool_t *pool, const djs_value_t *stored, const djs_user_t *user)
{
    const char *text = id_text(pool, stored);
    const char *number = text != NULL ? djs_auth_integer_id(pool, text) : NULL;

    return text != NULL && (strcmp(text, user->id) == 0 ||
                            (number != NULL && strcmp(number, user->id) == 0));
}

int djs_auth_names(apr_pool_t *pool, const djs_value_t *data, const djs_user_t *user)
{
    const djs_value_t *id = djs_value_get(data, djs_bytes(ID_KEY));

    return id != NULL && is_id_of(pool, id, user);
}

/* --- the backend --- */

/* Its text when a login by it counts, else NULL. */
static const char *accepted_backend(apr_pool_t *pool, const djs_settings_t *settings,
                                    const djs_value_t *backend)
{
    const apr_array_header_t *accepted = settings->auth_backends;
    djs_bytes_t text;
    int i;

    if (djs_value_type(backend) != DJS_TYPE_STR) {
        return NULL;
    }
    text = djs_value_str(backend);
    for (i = 0; accepted != NULL && i < accepted->nelts; i++) {
        if (djs_bytes_is(text, APR_ARRAY_IDX(accepted, i, const char *))) {
            return APR_ARRAY_IDX(accepted, i, const char *);
        }
    }
    return accepted == NULL ? apr_pstrmemdup(pool, text.data, text.len) : NULL;
}

/* Two of Django's own let inactive users in. */
static int takes_inactive(const char *backend)
{
    return strcmp(backend, "django.contrib.auth.backends.AllowAllUsersModelBackend") == 0 ||
           strcmp(backend, "django.contrib.auth.backends.AllowAllUsersRemoteUserBackend") == 0;
}

/* What a login by password is said to have been checked by: one that the site accepts. */
static const char *own_backend(const djs_settings_t *settings)
{
    const apr_array_header_t *accepted = settings->auth_backends;
    int i;

    for (i = 0; accepted != NULL && i < accepted->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(accepted, i, const char *), DJS_MODEL_BACKEND) == 0) {
            return DJS_MODEL_BACKEND;
        }
    }
    return accepted != NULL && accepted->nelts > 0 ? APR_ARRAY_IDX(accepted, 0, const char *)
                                                   : DJS_MODEL_BACKEND;
}

/* --- the hash --- */

static const char *hash_with_key(djs_ctx_t *ctx, const djs_site_t *site, int key,
                                 const djs_user_t *user)
{
    const djs_bytes_t secret = djs_keyring_key(site->keys, key);
    djs_bytes_t hash;
    int unused;

    if (user->hashes != NULL) {
        return user->hashes[key];
    }
    if (!djs_memo_find(ctx, secret.data, djs_bytes(user->password), &hash, &unused)) {
        hash = djs_bytes(djs_password_session_hash(ctx->pool, DJS_HMAC_SHA256, secret,
                                                   user->password));
        if (hash.data != NULL) {
            djs_memo_note(ctx, secret.data, djs_bytes(user->password), hash, 0);
        }
    }
    return hash.data;
}

/* The key that the stored hash was made with, 0 being the secret key; -1: none of ours. */
static int key_of_hash(djs_ctx_t *ctx, const djs_site_t *site, const djs_user_t *user,
                       const djs_value_t *stored)
{
    int i;

    if (stored == NULL || djs_value_type(stored) != DJS_TYPE_STR) {
        return -1;
    }
    for (i = 0; i < djs_keyring_count(site->keys); i++) {
        const char *hash = hash_with_key(ctx, site, i, user);

        if (hash != NULL && djs_secret_equal(djs_value_str(stored), djs_bytes(hash))) {
            return i;
        }
    }
    return -1;
}

static void set_text(djs_ctx_t *ctx, djs_session_t *session, const char *key, const char *text)
{
    djs_session_set(ctx, session, djs_bytes(key), djs_value_make_str(ctx->pool, djs_bytes(text)));
}

/* A hash of an old key is made with the new one; nobody asked for that. */
static void renew_hash(djs_ctx_t *ctx, const djs_site_t *site, djs_session_t *session,
                       const djs_user_t *user)
{
    int was_modified = djs_session_modified(session);

    djs_session_cycle_key(ctx, session);
    set_text(ctx, session, HASH_KEY, hash_with_key(ctx, site, 0, user));
    if (!was_modified) {
        djs_session_set_upkeep(session);
    }
}

/* --- who is it --- */

/* One who is remembered, if that is enough to come in; and the key that his login's hash is of. */
static djs_user_t *find_remembered(djs_ctx_t *ctx, const djs_site_t *site, const char *id,
                                   const char *backend, const djs_value_t *hash, int *key)
{
    djs_user_t *user = site->users != NULL && id != NULL ? djs_remember_find(ctx, site, id) : NULL;

    if (user == NULL || !(user->is_active || takes_inactive(backend))) {
        return NULL;
    }
    *key = key_of_hash(ctx, site, user, hash);
    return *key >= 0 ? user : NULL;
}

/* The user row of an id, if it may come in by this backend. APR_SUCCESS with a user or a reason. */
static apr_status_t find_user(djs_ctx_t *ctx, const djs_site_t *site, const char *id,
                              const char *backend, djs_user_t **user, djs_reason_t *reason)
{
    apr_status_t rv = APR_NOTFOUND;

    if (site->users != NULL && id != NULL) {
        rv = djs_rights_find_user(ctx, site, id, user);
    }
    if (rv == APR_NOTFOUND) {
        *user = NULL;
        *reason = DJS_REASON_USER_UNKNOWN;
        return APR_SUCCESS;
    }
    if (rv == APR_SUCCESS && !(*user)->is_active && !takes_inactive(backend)) {
        *user = NULL;
        *reason = DJS_REASON_USER_INACTIVE;
    }
    return rv;
}

/* Does the session's hash, of this key, still speak for this user? Else the session is flushed. */
static int judge_hash(djs_ctx_t *ctx, const djs_site_t *site, djs_session_t *session,
                      const djs_user_t *user, int key)
{
    if (key < 0) {
        djs_session_flush(ctx, session);
    }
    if (key > 0) {
        renew_hash(ctx, site, session, user);
    }
    return key >= 0;
}

apr_status_t djs_auth_user(djs_ctx_t *ctx, const djs_site_t *site, djs_session_t *session,
                           djs_user_t **user, djs_reason_t *reason)
{
    const djs_value_t *id, *backend_value, *hash;
    const char *backend, *text;
    djs_user_t *found = NULL;
    apr_status_t rv;
    int key = -1;

    *user = NULL;
    *reason = DJS_REASON_NONE;
    id = djs_session_get(ctx, session, djs_bytes(ID_KEY));
    rv = djs_session_load(ctx, session);
    if (rv != APR_SUCCESS) {
        *reason = DJS_REASON_STORE_ERROR;
        return rv;
    }
    backend_value = djs_session_get(ctx, session, djs_bytes(BACKEND_KEY));
    if (id == NULL || backend_value == NULL || djs_value_type(id) == DJS_TYPE_NULL) {
        *reason = djs_session_reason(session);
        if (*reason == DJS_REASON_NONE) {
            *reason = DJS_REASON_NO_LOGIN;
        }
        return APR_SUCCESS;
    }
    backend = accepted_backend(ctx->pool, site->settings, backend_value);
    if (backend == NULL) {
        *reason = DJS_REASON_BACKEND_REFUSED;
        return APR_SUCCESS;
    }
    text = id_text(ctx->pool, id);
    hash = djs_session_get(ctx, session, djs_bytes(HASH_KEY));
    found = find_remembered(ctx, site, text, backend, hash, &key);
    if (found == NULL) {
        rv = find_user(ctx, site, text, backend, &found, reason);
        if (rv != APR_SUCCESS) {
            *reason = DJS_REASON_STORE_ERROR;
            return rv;
        }
        key = found != NULL ? key_of_hash(ctx, site, found, hash) : -1;
    }
    if (found != NULL && !judge_hash(ctx, site, session, found, key)) {
        *reason = DJS_REASON_PASSWORD_CHANGED;
        return APR_SUCCESS;
    }
    *user = found;
    return APR_SUCCESS;
}

/* --- login, logout --- */

apr_status_t djs_auth_login(djs_ctx_t *ctx, const djs_site_t *site, djs_session_t *session,
                            const djs_user_t *user)
{
    const djs_value_t *id = djs_session_get(ctx, session, djs_bytes(ID_KEY));
    const char *hash = hash_with_key(ctx, site, 0, user);
    apr_status_t rv = djs_session_load(ctx, session);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (hash == NULL) {
        return djs_fail(ctx, APR_EGENERAL, "the login hash could not be computed");
    }
    if (id == NULL) {
        djs_session_cycle_key(ctx, session);
    }
    else if (!is_id_of(ctx->pool, id, user) ||
             key_of_hash(ctx, site, user,
                         djs_session_get(ctx, session, djs_bytes(HASH_KEY))) != 0) {
        djs_session_flush(ctx, session);
    }
    set_text(ctx, session, ID_KEY, user->id);
    set_text(ctx, session, BACKEND_KEY, own_backend(site->settings));
    set_text(ctx, session, HASH_KEY, hash);
    return APR_SUCCESS;
}

void djs_auth_logout(djs_ctx_t *ctx, djs_session_t *session)
{
    djs_session_flush(ctx, session);
}
