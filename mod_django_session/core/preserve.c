/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See preserve.h.
 */
#include "preserve.h"

#include <string.h>

#include <apr_strings.h>

#include "encode.h"
#include "seal.h"
#include "signing.h"

#define ALPHABET "abcdefghijklmnopqrstuvwxyz0123456789"
#define KEY_SALT "mod_django_session.post.key"
#define POST_KEY "_post"

/* Of the column that Django keeps keys in. */
#define KEY_LEN 40

/* Lines before the body. */
#define LINES 5

int djs_preserve_is_id(const char *text)
{
    return text != NULL && strlen(text) == DJS_PRESERVE_ID_LEN
           && strspn(text, ALPHABET) == DJS_PRESERVE_ID_LEN;
}

apr_status_t djs_preserve_id(djs_ctx_t *ctx, const char **id)
{
    return djs_random_string(ctx, ALPHABET, DJS_PRESERVE_ID_LEN, id);
}

/* ---- names ---- */

/* The key of a record. NULL: OpenSSL. */
static const char *key_of(djs_ctx_t *ctx, const djs_site_t *site, int key, const char *id)
{
    unsigned char mac[DJS_SIGNING_MAC_MAX];
    int len = djs_signing_salted_hmac(DJS_HMAC_SHA256, KEY_SALT, djs_keyring_key(site->keys, key),
                                      djs_bytes(id), mac);

    if (len <= 0) {
        return NULL;
    }
    return apr_pstrmemdup(ctx->pool,
                          djs_hex(ctx->pool, djs_bytes_of((const char *)mac, (apr_size_t)len)),
                          KEY_LEN);
}

/* What it is sealed for: moved to another id, or brought by another browser, it does not open. */
static const char *sealed_for(djs_ctx_t *ctx, const char *id, const char *browser)
{
    return apr_pstrcat(ctx->pool, POST_KEY, " ", id, " ", browser, NULL);
}

/* ---- keeping ---- */

static apr_status_t pack(djs_ctx_t *ctx, const djs_preserved_t *form, djs_bytes_t *plain)
{
    const char *head = apr_pstrcat(ctx->pool, form->origin, "\n", form->address, "\n", form->back,
                                   "\n", form->user_id, "\n", form->type, "\n", NULL);
    apr_size_t len = strlen(head);
    const char *at = head;
    int lines = 0;
    char *data;

    if (form->body.len > DJS_PRESERVE_MAX) {
        return djs_fail(ctx, DJS_ELIMIT, "a form of %" APR_SIZE_T_FMT " bytes, kept are %d",
                        form->body.len, DJS_PRESERVE_MAX);
    }
    for (at = strchr(head, '\n'); at != NULL; at = strchr(at + 1, '\n')) {
        lines++;
    }
    if (lines != LINES) {
        return djs_fail(ctx, DJS_EINVAL, "a line end in a form's address or type");
    }
    data = apr_palloc(ctx->pool, len + form->body.len + 1);
    djs_secret_wipe_with(ctx->pool, data, len + form->body.len);
    memcpy(data, head, len);
    if (form->body.len > 0) {
        memcpy(data + len, form->body.data, form->body.len);
    }
    *plain = djs_bytes_of(data, len + form->body.len);
    return APR_SUCCESS;
}

static apr_status_t make_record(djs_ctx_t *ctx, const djs_site_t *site, djs_bytes_t sealed,
                                djs_record_t *record)
{
    djs_session_t *session = djs_session_make(ctx, site, NULL, 0);

    djs_session_set(ctx, session, djs_bytes(POST_KEY), djs_value_make_str(ctx->pool, sealed));
    djs_session_set_expiry_span(ctx, session, DJS_PRESERVE_AGE);
    memset(record, 0, sizeof(*record));
    record->expires = ctx->now + DJS_PRESERVE_AGE;
    return djs_wire_write(ctx, site->wire, djs_session_data(ctx, session), &record->data);
}

apr_status_t djs_preserve_keep(djs_ctx_t *ctx, const djs_site_t *site, const djs_preserved_t *form,
                               const char *browser, const char **id)
{
    djs_record_t record;
    djs_bytes_t plain = { NULL, 0 }, sealed = { NULL, 0 };
    const char *made = NULL, *key = NULL;
    apr_status_t rv = pack(ctx, form, &plain);

    if (rv == APR_SUCCESS) {
        rv = djs_preserve_id(ctx, &made);
    }
    if (rv == APR_SUCCESS) {
        rv = djs_seal_dumps(ctx, djs_sealer_make(ctx->pool, site->keys),
                            sealed_for(ctx, made, browser), plain, &sealed);
    }
    if (rv == APR_SUCCESS) {
        rv = make_record(ctx, site, sealed, &record);
    }
    if (rv == APR_SUCCESS) {
        key = key_of(ctx, site, 0, made);
        rv = key != NULL ? site->engine->ops->create(site->engine, ctx, key, &record)
                         : djs_fail(ctx, DJS_ESTORE, "OpenSSL cannot compute a form's key");
    }
    if (rv == APR_SUCCESS) {
        *id = made;
    }
    return rv;
}

/* ---- finding ---- */

static apr_status_t unpack(djs_ctx_t *ctx, djs_bytes_t plain, djs_preserved_t *form)
{
    const char **const texts[LINES] = { &form->origin, &form->address, &form->back, &form->user_id,
                                        &form->type };
    int i;

    for (i = 0; i < LINES; i++) {
        const char *end = plain.len > 0 ? memchr(plain.data, '\n', plain.len) : NULL;
        apr_size_t len = end != NULL ? (apr_size_t)(end - plain.data) : 0;

        if (end == NULL) {
            return djs_fail(ctx, DJS_EINVAL, "a kept form has not its shape");
        }
        *texts[i] = apr_pstrmemdup(ctx->pool, plain.data, len);
        plain = djs_bytes_of(end + 1, plain.len - len - 1);
    }
    form->body = plain;
    return APR_SUCCESS;
}

static apr_status_t open_record(djs_ctx_t *ctx, const djs_site_t *site, const char *name,
                                djs_preserved_t *form)
{
    const djs_value_t *sealed = djs_session_get(ctx, form->record, djs_bytes(POST_KEY));
    djs_bytes_t plain = { NULL, 0 };
    apr_time_t sealed_at = 0;
    apr_status_t rv;

    if (sealed == NULL || djs_value_type(sealed) != DJS_TYPE_STR) {
        return APR_NOTFOUND;
    }
    rv = djs_seal_loads(ctx, djs_sealer_make(ctx->pool, site->keys), name, djs_value_str(sealed),
                        &plain, NULL, &sealed_at);
    if (rv != APR_SUCCESS) {
        djs_forget(ctx);
        return djs_fail(ctx, DJS_EINVAL, "the form is another browser's");
    }
    /* Whatever the store says of its end. */
    return sealed_at + DJS_PRESERVE_AGE < ctx->now ? APR_NOTFOUND : unpack(ctx, plain, form);
}

apr_status_t djs_preserve_find(djs_ctx_t *ctx, const djs_site_t *site, const char *id,
                               const char *browser, djs_preserved_t *form)
{
    int count = djs_keyring_count(site->keys);
    const char **keys = apr_palloc(ctx->pool, (apr_size_t)count * sizeof(*keys));
    apr_status_t rv;
    int i;

    if (!djs_preserve_is_id(id)) {
        return APR_NOTFOUND;
    }
    for (i = 0; i < count; i++) {
        keys[i] = key_of(ctx, site, i, id);
        if (keys[i] == NULL) {
            return djs_fail(ctx, DJS_ESTORE, "OpenSSL cannot compute a form's key");
        }
    }
    memset(form, 0, sizeof(*form));
    form->record = djs_session_make(ctx, site, keys, count);
    rv = djs_session_load(ctx, form->record);
    return rv == APR_SUCCESS ? open_record(ctx, site, sealed_for(ctx, id, browser), form) : rv;
}

apr_status_t djs_preserve_claim(djs_ctx_t *ctx, const djs_preserved_t *form)
{
    return djs_session_claim(ctx, form->record);
}
