/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record is a session with a key of its own kind, so that every engine can hold it and everything
 * that is known of logins holds for it. As a cookie it is of no use: nobody knows the key.
 *
 *     _auth_user_id, _auth_user_backend, _auth_user_hash   as in the session that it was made of
 *     _session_expiry                                      its end, for engines that keep none
 *     _sso                                                 {"origin": …, "browser": …}
 */
#include "sso.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_uri.h>

#include "encode.h"
#include "signing.h"

#define TICKET_SALT  "mod_django_session.sso"
#define KEY_SALT     "mod_django_session.sso.key"
#define BROWSER_SALT "mod_django_session.sso.browser"

#define TICKET_LEN 32

/* Of the column that Django keeps keys in. */
#define KEY_LEN 40

#define SSO_KEY     "_sso"
#define ORIGIN_KEY  "origin"
#define BROWSER_KEY "browser"

/* ---- hosts ---- */

static int is_host(const char *host)
{
    const char *at;

    for (at = host; *at != '\0'; at++) {
        if (!apr_isalnum(*at) && strchr(".-:[]", *at) == NULL) {
            return 0;
        }
    }
    return at > host;
}

/* apr_uri_parse() keeps of a number that is too large what is left of it. */
static int is_port(const char *text)
{
    apr_int64_t port = apr_strtoi64(text, NULL, 10);

    return *text == '\0' || (strlen(text) <= 5 && port > 0 && port < 65536);
}

const char *djs_sso_origin(apr_pool_t *pool, const char *text)
{
    apr_uri_t uri;
    char *origin, *at;

    if (strstr(text, "://") == NULL) {
        text = apr_pstrcat(pool, "https://", text, NULL);
    }
    if (apr_uri_parse(pool, text, &uri) != APR_SUCCESS || uri.hostname == NULL
        || uri.scheme == NULL
        || (strcasecmp(uri.scheme, "https") != 0 && strcasecmp(uri.scheme, "http") != 0)
        || uri.user != NULL || uri.path != NULL || uri.query != NULL || uri.fragment != NULL
        || !is_host(uri.hostname) || (uri.port_str != NULL && !is_port(uri.port_str))) {
        return NULL;
    }
    origin = apr_pstrcat(pool, uri.scheme, "://",
                         strchr(uri.hostname, ':') != NULL ? "[" : "", uri.hostname,
                         strchr(uri.hostname, ':') != NULL ? "]" : "", NULL);
    for (at = origin; *at != '\0'; at++) {
        *at = (char)apr_tolower(*at);
    }
    if (uri.port_str == NULL || *uri.port_str == '\0'
        || uri.port == apr_uri_port_of_scheme(uri.scheme)) {
        return origin;
    }
    return apr_psprintf(pool, "%s:%d", origin, (int)uri.port);
}

int djs_sso_is_host(const char *text)
{
    apr_pool_t *pool;
    int is;

    if (apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        return 0;
    }
    is = djs_sso_origin(pool, text) != NULL;
    apr_pool_destroy(pool);
    return is;
}

const char *djs_sso_find(apr_pool_t *pool, const apr_array_header_t *hosts, const char *origin)
{
    const char *wanted = djs_sso_origin(pool, origin);
    const char *found;
    int i;

    for (i = 0; wanted != NULL && hosts != NULL && i < hosts->nelts; i++) {
        found = djs_sso_origin(pool, APR_ARRAY_IDX(hosts, i, const char *));
        if (found != NULL && strcmp(found, wanted) == 0) {
            return found;
        }
    }
    return NULL;
}

/* ---- what only who has the secret key can work out ---- */

static const char *digest(apr_pool_t *pool, const djs_keyring_t *keys, int key, const char *salt,
                          const char *text)
{
    unsigned char mac[DJS_SIGNING_MAC_MAX];
    int len = djs_signing_salted_hmac(DJS_HMAC_SHA256, salt, djs_keyring_key(keys, key),
                                      djs_bytes(text), mac);

    return len > 0 ? djs_hex(pool, djs_bytes_of((const char *)mac, (apr_size_t)len)) : NULL;
}

const char *djs_sso_browser(apr_pool_t *pool, const djs_keyring_t *keys, const char *cookie)
{
    return digest(pool, keys, 0, BROWSER_SALT, cookie);
}

/* The key of a ticket's record. */
static apr_status_t key_of(djs_ctx_t *ctx, const djs_site_t *site, int key, const char *id,
                           const char **record_key)
{
    const char *hex = digest(ctx->pool, site->keys, key, KEY_SALT, id);

    if (hex == NULL) {
        return djs_fail(ctx, DJS_ESTORE, "OpenSSL cannot compute a ticket's key");
    }
    *record_key = apr_pstrmemdup(ctx->pool, hex, KEY_LEN);
    return APR_SUCCESS;
}

static djs_signer_t *signer_of(djs_ctx_t *ctx, const djs_site_t *site)
{
    return djs_signer_make(ctx->pool, site->keys, TICKET_SALT, DJS_SIGNING_SHA256);
}

/* ---- issuing ---- */

static void copy_login(djs_ctx_t *ctx, djs_session_t *to, djs_session_t *from)
{
    static const char *const keys[] = { "_auth_user_id", "_auth_user_backend", "_auth_user_hash" };
    apr_size_t i;

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        djs_value_t *value = djs_session_get(ctx, from, djs_bytes(keys[i]));

        if (value != NULL) {
            djs_session_set(ctx, to, djs_bytes(keys[i]), value);
        }
    }
}

static djs_value_t *text_value(djs_ctx_t *ctx, const char *text)
{
    return djs_value_make_str(ctx->pool, djs_bytes(text));
}

/* The record of a ticket: a session that is never saved as one. */
static apr_status_t make_record(djs_ctx_t *ctx, const djs_site_t *site, djs_session_t *session,
                                const char *origin, const char *browser, djs_record_t *record)
{
    djs_session_t *carried = djs_session_make(ctx, site, NULL, 0);
    djs_value_t *bound = djs_value_make_dict(ctx->pool);

    copy_login(ctx, carried, session);
    djs_value_set(bound, djs_bytes(ORIGIN_KEY), text_value(ctx, origin));
    djs_value_set(bound, djs_bytes(BROWSER_KEY), text_value(ctx, browser));
    djs_session_set(ctx, carried, djs_bytes(SSO_KEY), bound);
    djs_session_set_expiry_span(ctx, carried, DJS_SSO_AGE);
    memset(record, 0, sizeof(*record));
    record->expires = ctx->now + DJS_SSO_AGE;
    return djs_wire_write(ctx, site->wire, djs_session_data(ctx, carried), &record->data);
}

apr_status_t djs_sso_issue(djs_ctx_t *ctx, const djs_site_t *site, djs_session_t *session,
                           const char *origin, const char *browser, const char **ticket)
{
    djs_record_t record;
    djs_bytes_t text;
    const char *id = NULL, *key = NULL;
    apr_status_t rv = djs_random_string(ctx, "abcdefghijklmnopqrstuvwxyz0123456789", TICKET_LEN,
                                        &id);

    if (rv == APR_SUCCESS) {
        rv = key_of(ctx, site, 0, id, &key);
    }
    if (rv == APR_SUCCESS) {
        rv = make_record(ctx, site, session, origin, browser, &record);
    }
    if (rv == APR_SUCCESS) {
        rv = site->engine->ops->create(site->engine, ctx, key, &record);
    }
    if (rv == APR_SUCCESS) {
        rv = djs_signing_dumps(ctx, signer_of(ctx, site), DJS_COMPRESS_NOT, djs_bytes(id), &text);
    }
    if (rv == APR_SUCCESS) {
        *ticket = apr_pstrmemdup(ctx->pool, text.data, text.len);
    }
    return rv;
}

/* ---- redeeming ---- */

static int is_bound_to(const djs_value_t *bound, const char *name, const char *expected)
{
    const djs_value_t *value = NULL;

    if (bound != NULL && djs_value_type(bound) == DJS_TYPE_DICT) {
        value = djs_value_get(bound, djs_bytes(name));
    }
    return value != NULL && djs_value_type(value) == DJS_TYPE_STR
           && djs_secret_equal(djs_value_str(value), djs_bytes(expected));
}

/* The record as a session; APR_NOTFOUND: none, or no ticket's. */
static apr_status_t find_record(djs_ctx_t *ctx, const djs_site_t *site, const char *ticket,
                                djs_session_t **found)
{
    djs_bytes_t id = { NULL, 0 };
    const char *key;
    int which = 0;
    apr_status_t rv = djs_signing_inspect(ctx, signer_of(ctx, site), DJS_SSO_AGE,
                                          djs_bytes(ticket), &id, &which, NULL);

    if (rv != APR_SUCCESS) {
        return rv == DJS_EEXPIRED ? rv : DJS_EBADSIG;
    }
    rv = key_of(ctx, site, which, apr_pstrmemdup(ctx->pool, id.data, id.len), &key);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *found = djs_session_make(ctx, site, &key, 1);
    rv = djs_session_load(ctx, *found);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return djs_session_has_key(ctx, *found, djs_bytes(SSO_KEY)) ? APR_SUCCESS : APR_NOTFOUND;
}

static apr_status_t check_bounds(djs_ctx_t *ctx, djs_session_t *record, const char *origin,
                                 const char *browser)
{
    const djs_value_t *bound = djs_session_get(ctx, record, djs_bytes(SSO_KEY));

    if (!is_bound_to(bound, ORIGIN_KEY, origin)) {
        return djs_fail(ctx, DJS_EINVAL, "the ticket is for another host");
    }
    if (!is_bound_to(bound, BROWSER_KEY, browser)) {
        return djs_fail(ctx, DJS_EINVAL, "the ticket is for another browser");
    }
    return APR_SUCCESS;
}

apr_status_t djs_sso_redeem(djs_ctx_t *ctx, const djs_site_t *site, const char *ticket,
                            const char *origin, const char *browser, djs_user_t **user)
{
    djs_session_t *record = NULL;
    djs_reason_t reason;
    apr_status_t rv = find_record(ctx, site, ticket, &record);

    if (rv == APR_SUCCESS) {
        rv = check_bounds(ctx, record, origin, browser);
    }
    if (rv == APR_SUCCESS) {
        rv = djs_session_claim(ctx, record);
    }
    if (rv == APR_SUCCESS) {
        rv = djs_auth_user(ctx, site, record, user, &reason);
    }
    if (rv == APR_SUCCESS && *user == NULL) {
        return djs_fail(ctx, DJS_EINVAL, "the ticket's user may not log in: %s",
                        djs_reason_name(reason));
    }
    return rv;
}
