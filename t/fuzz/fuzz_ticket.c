/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a visitor brings back, and what is kept of it in the store: tickets of one login for several
 * hosts, and forms that wait for a login. The first byte chooses what is tried; the rest is whatever
 * he, or who can write the store, has instead, and how he changes one of ours.
 *
 *     origins   have one spelling, and nothing but a host in it
 *     tickets   nobody's is taken; one that was changed is of no use
 *     forms     are what was sent; nobody's record is taken for one, and what is in one of ours, in
 *               whatever shape, comes in its parts or not at all
 */
#include <string.h>

#include <apr_strings.h>

#include "fuzz.h"
#include "encode.h"
#include "memory_engine.h"
#include "preserve.h"
#include "seal.h"
#include "sso.h"

#define ORIGIN "https://shop.test"
#define BROWSER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* ---- origins ---- */

static void check_origin(djs_ctx_t *ctx, const char *text)
{
    apr_array_header_t *hosts = apr_array_make(ctx->pool, 1, sizeof(const char *));
    const char *origin = djs_sso_origin(ctx->pool, text);
    const char *host, *again;

    FUZZ_CHECK(djs_sso_is_host(text) == (origin != NULL));
    if (origin == NULL) {
        return;
    }
    host = strstr(origin, "://");
    FUZZ_CHECK(strncmp(origin, "http", 4) == 0 && host != NULL);
    FUZZ_CHECK(host[3] != '\0'
               && host[3 + strspn(host + 3, "abcdefghijklmnopqrstuvwxyz0123456789.-:[]")] == '\0');
    again = djs_sso_origin(ctx->pool, origin);
    FUZZ_CHECK(again != NULL && strcmp(again, origin) == 0);
    APR_ARRAY_PUSH(hosts, const char *) = text;
    FUZZ_CHECK(djs_sso_find(ctx->pool, hosts, origin) != NULL);
}

/* ---- tickets ---- */

static apr_status_t find_nobody(djs_users_t *users, djs_ctx_t *ctx, const char *id,
                                djs_user_t **user)
{
    (void)users;
    (void)ctx;
    (void)id;
    (void)user;
    return APR_NOTFOUND;
}

static void check_nobodys_ticket(djs_ctx_t *ctx, const memory_site_t *site, const char *ticket)
{
    djs_user_t *user = NULL;
    apr_status_t rv = djs_sso_redeem(ctx, &site->site, ticket, ORIGIN, BROWSER, &user);

    FUZZ_CHECK((rv == DJS_EBADSIG || rv == DJS_EEXPIRED) && user == NULL);
    djs_forget(ctx);
}

/* @a how: places and what is done to the characters there. */
static const char *changed(djs_ctx_t *ctx, const char *text, djs_bytes_t how)
{
    char *copy = apr_pstrdup(ctx->pool, text);
    apr_size_t i, len = strlen(text);

    for (i = 0; i + 1 < how.len; i += 2) {
        char *at = &copy[(unsigned char)how.data[i] % len];

        *at = *at == how.data[i + 1] ? *at : (char)(*at ^ how.data[i + 1]);
    }
    return copy;
}

static void check_changed_ticket(djs_ctx_t *ctx, memory_site_t *site, djs_bytes_t how)
{
    djs_session_t *session = memory_site_session(ctx, site, NULL);
    djs_user_t *user = NULL;
    const char *ticket, *other;
    apr_status_t rv;

    djs_session_set(ctx, session, djs_bytes("_auth_user_id"),
                    djs_value_make_str(ctx->pool, djs_bytes("1")));
    FUZZ_CHECK(djs_sso_issue(ctx, &site->site, session, ORIGIN, BROWSER, &ticket) == APR_SUCCESS);
    other = changed(ctx, ticket, how);
    rv = djs_sso_redeem(ctx, &site->site, other, ORIGIN, BROWSER, &user);
    djs_forget(ctx);
    FUZZ_CHECK(rv != APR_SUCCESS && user == NULL);
    if (rv == DJS_EBADSIG || rv == DJS_EEXPIRED) {
        FUZZ_CHECK(memory_engine_count(site->memory) == 1); /* still there for whom it is for */
    }
    FUZZ_CHECK(strcmp(ticket, other) != 0 || rv == DJS_EINVAL); /* its user, who is not there */
    djs_forget(ctx);
}

/* ---- forms ---- */

static djs_preserved_t form_of(djs_bytes_t bytes, const char *text)
{
    djs_preserved_t form = { .origin = ORIGIN, .address = text, .back = "", .user_id = "",
                             .type = text, .body = bytes };

    return form;
}

static void check_keeping(djs_ctx_t *ctx, memory_site_t *site, djs_bytes_t bytes, const char *text)
{
    djs_preserved_t form = form_of(bytes, text), found, other;
    const char *id;
    apr_status_t rv = djs_preserve_keep(ctx, &site->site, &form, BROWSER, &id);

    if (rv != APR_SUCCESS) {
        FUZZ_CHECK(rv == (bytes.len > DJS_PRESERVE_MAX ? DJS_ELIMIT : DJS_EINVAL));
        FUZZ_CHECK(rv == DJS_ELIMIT || strchr(text, '\n') != NULL);
        djs_forget(ctx);
        return;
    }
    FUZZ_CHECK(djs_preserve_find(ctx, &site->site, id, BROWSER, &found) == APR_SUCCESS);
    FUZZ_CHECK(strcmp(found.origin, ORIGIN) == 0 && strcmp(found.address, text) == 0);
    FUZZ_CHECK(*found.back == '\0' && *found.user_id == '\0' && strcmp(found.type, text) == 0);
    FUZZ_CHECK(djs_bytes_equal(found.body, bytes));
    if (!djs_preserve_is_id(text)) {
        FUZZ_CHECK(djs_preserve_find(ctx, &site->site, text, BROWSER, &other) == APR_NOTFOUND);
        FUZZ_CHECK(djs_preserve_find(ctx, &site->site, id, text, &other) == DJS_EINVAL);
        djs_forget(ctx);
    }
    FUZZ_CHECK(djs_preserve_claim(ctx, &found) == APR_SUCCESS);
    FUZZ_CHECK(djs_preserve_find(ctx, &site->site, id, BROWSER, &other) == APR_NOTFOUND);
    djs_forget(ctx);
}

static const char *keep_one(djs_ctx_t *ctx, memory_site_t *site)
{
    djs_preserved_t form = form_of(djs_bytes("a=1"), "/");
    const char *id;

    FUZZ_CHECK(djs_preserve_keep(ctx, &site->site, &form, BROWSER, &id) == APR_SUCCESS);
    return id;
}

/* Exchange what is in the one record that the store has. */
static void put_sealed(djs_ctx_t *ctx, memory_site_t *site, djs_bytes_t sealed)
{
    djs_value_t *data = djs_value_make_dict(ctx->pool);
    const char *key = memory_engine_key_beside(site->memory, "");
    djs_record_t record = *memory_engine_get(site->memory, key);

    djs_value_set(data, djs_bytes("_post"), djs_value_make_str(ctx->pool, sealed));
    FUZZ_CHECK(djs_wire_write(ctx, site->site.wire, data, &record.data) == APR_SUCCESS);
    memory_engine_put(site->memory, key, &record);
}

static void check_nobodys_form(djs_ctx_t *ctx, memory_site_t *site, djs_bytes_t bytes)
{
    const char *id = keep_one(ctx, site);
    djs_preserved_t found;

    if (!djs_utf8_is_valid(bytes)) {
        return; /* no text of a session's */
    }
    put_sealed(ctx, site, bytes);
    FUZZ_CHECK(djs_preserve_find(ctx, &site->site, id, BROWSER, &found) != APR_SUCCESS);
    djs_forget(ctx);
}

static void check_parts(djs_ctx_t *ctx, const djs_preserved_t *form, djs_bytes_t bytes)
{
    const char *head = apr_pstrcat(ctx->pool, form->origin, "\n", form->address, "\n", form->back,
                                   "\n", form->user_id, "\n", form->type, "\n", NULL);
    apr_size_t i, len = bytes.len - form->body.len;
    int lines = 0;

    FUZZ_CHECK(form->body.len < bytes.len);
    FUZZ_CHECK(memcmp(form->body.data, bytes.data + len, form->body.len) == 0);
    for (i = 0; i < len; i++) {
        lines += bytes.data[i] == '\n';
    }
    FUZZ_CHECK(lines == 5);
    FUZZ_CHECK(memchr(bytes.data, '\0', len) != NULL
               || djs_bytes_is(djs_bytes_of(bytes.data, len), head));
}

/* Sealed by who has our key, but of no shape that we write. */
static void check_shape(djs_ctx_t *ctx, memory_site_t *site, djs_bytes_t bytes)
{
    const char *id = keep_one(ctx, site);
    const char *name = apr_pstrcat(ctx->pool, "_post ", id, " " BROWSER, NULL);
    djs_preserved_t found;
    djs_bytes_t sealed;
    apr_status_t rv;

    rv = djs_seal_dumps(ctx, djs_sealer_make(ctx->pool, site->site.keys), name, bytes, &sealed);
    FUZZ_CHECK(rv == APR_SUCCESS);
    put_sealed(ctx, site, sealed);
    rv = djs_preserve_find(ctx, &site->site, id, BROWSER, &found);
    if (rv == APR_SUCCESS) {
        check_parts(ctx, &found, bytes);
        return;
    }
    FUZZ_CHECK(rv == DJS_EINVAL);
    djs_forget(ctx);
}

/* Records as caches have them, which is quick. */
static memory_site_t *site_of(djs_ctx_t *ctx)
{
    memory_site_t *site = memory_site_make(ctx->pool);

    site->site.wire = djs_wire_make(ctx->pool, site->site.keys, DJS_WIRE_PICKLE, NULL);
    return site;
}

void fuzz_one(djs_ctx_t *ctx, djs_bytes_t bytes)
{
    static const djs_users_ops_t nobody = { .find_by_id = find_nobody };
    djs_users_t users = { .ops = &nobody };
    memory_site_t *site = site_of(ctx);
    djs_bytes_t rest;
    const char *text;

    if (bytes.len == 0) {
        return;
    }
    rest = djs_bytes_of(bytes.data + 1, bytes.len - 1);
    text = apr_pstrmemdup(ctx->pool, rest.data, rest.len);
    site->site.users = &users;
    switch ((unsigned char)bytes.data[0] % 4) {
    case 0:
        check_origin(ctx, text);
        check_nobodys_ticket(ctx, site, text);
        check_changed_ticket(ctx, site, rest);
        break;
    case 1:
        check_keeping(ctx, site, rest, text);
        break;
    case 2:
        check_nobodys_form(ctx, site, rest);
        break;
    default:
        check_shape(ctx, site, rest);
        break;
    }
}
