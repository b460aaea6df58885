/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands that need keys, but no store: decode, encode, secret.
 */
#include "cli.h"
#include "signing.h"
#include "site.h"

#include <string.h>

/* As django.core.management.utils.get_random_secret_key(). */
#define SECRET_ALPHABET "abcdefghijklmnopqrstuvwxyz0123456789!@#$%^&*(-_=+)"
#define SECRET_LEN      50

/* ---- Layouts --------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    djs_wire_layout_t layout;
} formats[] = {
    { "signed", DJS_WIRE_SIGNED },
    { "legacy", DJS_WIRE_LEGACY },
    { "json", DJS_WIRE_JSON },
};

static apr_status_t find_layout(djs_ctx_t *ctx, const cli_options_t *options,
                                djs_wire_layout_t *layout)
{
    const char *name = options->format;
    apr_size_t i;

    if (name != NULL && (options->given & CLI_LEGACY) && strcmp(name, "legacy") != 0) {
        return djs_fail(ctx, DJS_EINVAL, "--legacy means --format legacy, not --format %s", name);
    }
    if (name == NULL) {
        name = options->given & CLI_LEGACY ? "legacy" : "signed";
    }
    for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(formats[i].name, name) == 0) {
            *layout = formats[i].layout;
            return APR_SUCCESS;
        }
    }
    return djs_fail(ctx, DJS_EINVAL, "there is no format \"%s\"; there are: signed, legacy, json",
                    name);
}

/* Plain JSON needs no key. */
static apr_status_t open_wire(cli_t *cli, djs_wire_layout_t *layout, djs_keyring_t **keys,
                              djs_wire_t **wire)
{
    djs_ctx_t *ctx = cli->ctx;
    apr_status_t rv = find_layout(ctx, &cli->options, layout);

    *keys = NULL;
    if (rv == APR_SUCCESS && *layout != DJS_WIRE_JSON) {
        rv = cli_keys_open(ctx, &cli->options, keys);
    }
    if (rv == APR_SUCCESS) {
        *wire = djs_wire_make(ctx->pool, *keys, *layout, cli->options.salt);
    }
    return rv;
}

/* ---- Commands -------------------------------------------------------------------------------- */

/* A value that proved genuine: is it young enough? */
static apr_status_t check_age(cli_t *cli, const djs_keyring_t *keys, djs_wire_layout_t layout,
                              djs_bytes_t text)
{
    djs_ctx_t *ctx = cli->ctx;
    const char *salt = cli->options.salt != NULL ? cli->options.salt : DJS_SALT_SESSION_STORE;
    apr_interval_time_t max_age;
    djs_bytes_t signed_bytes;
    apr_status_t rv;

    if (cli->options.max_age == NULL) {
        return APR_SUCCESS;
    }
    rv = djs_duration_parse(ctx, cli->options.max_age, &max_age);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (layout != DJS_WIRE_SIGNED) {
        return djs_fail(ctx, DJS_EUNSUPPORTED, "--max-age: values of this layout do not tell when "
                        "they were made");
    }
    return djs_signing_loads(ctx, djs_signer_make(ctx->pool, keys, salt,
                                                  DJS_SIGNING_SHA256_OR_SHA1),
                             max_age, text, &signed_bytes);
}

apr_status_t cli_decode(cli_t *cli, int argc, const char *const *argv)
{
    djs_wire_layout_t layout;
    djs_keyring_t *keys;
    djs_wire_t *wire;
    djs_bytes_t text;
    djs_value_t *value;
    apr_status_t rv = open_wire(cli, &layout, &keys, &wire);

    if (rv == APR_SUCCESS) {
        rv = cli_text(cli, argc > 0 ? argv[0] : "-", &text);
    }
    if (rv == APR_SUCCESS) {
        rv = djs_wire_read(cli->ctx, wire, text, &value, NULL, &layout);
    }
    if (rv == APR_SUCCESS) {
        rv = check_age(cli, keys, layout, text);
    }
    if (rv == APR_SUCCESS) {
        cli_say_json(cli, value);
    }
    return rv;
}

apr_status_t cli_encode(cli_t *cli, int argc, const char *const *argv)
{
    djs_wire_layout_t layout;
    djs_keyring_t *keys;
    djs_wire_t *wire;
    djs_value_t *value;
    djs_bytes_t text;
    apr_status_t rv = open_wire(cli, &layout, &keys, &wire);

    if (rv == APR_SUCCESS) {
        rv = cli_json(cli, argc > 0 ? argv[0] : "-", &value);
    }
    if (rv == APR_SUCCESS) {
        rv = djs_wire_write(cli->ctx, wire, value, &text);
    }
    if (rv == APR_SUCCESS) {
        cli_say(text);
    }
    return rv;
}

apr_status_t cli_secret(cli_t *cli, int argc, const char *const *argv)
{
    const char *secret;
    apr_status_t rv = djs_random_string(cli->ctx, SECRET_ALPHABET, SECRET_LEN, &secret);

    if (rv == APR_SUCCESS) {
        cli_say(djs_bytes(secret));
    }
    return rv;
}
