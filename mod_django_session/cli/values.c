/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands that need keys, but no store: decode, encode, secret.
 */
#include "cli.h"
#include "memcached_clients.h"
#include "site.h"

#include <string.h>

/* As django.core.management.utils.get_random_secret_key(). */
#define SECRET_ALPHABET "abcdefghijklmnopqrstuvwxyz0123456789!@#$%^&*(-_=+)"
#define SECRET_LEN      50

/* ---- Layouts --------------------------------------------------------------------------------- */

typedef struct format_t {
    const char *name;
    djs_wire_layout_t layout;
    int has_keys;  /* it is signed */
    int is_binary; /* no line of text */
} format_t;

static const format_t formats[] = {
    { "signed", DJS_WIRE_SIGNED, 1, 0 },
    { "legacy", DJS_WIRE_LEGACY, 1, 0 },
    { "pickle", DJS_WIRE_PICKLE, 0, 1 },
    { "json", DJS_WIRE_JSON, 0, 0 },
    { "django-redis", DJS_WIRE_DJANGO_REDIS, 0, 1 },
    { "django-redis-json", DJS_WIRE_DJANGO_REDIS_JSON, 0, 0 },
};

static apr_status_t fail_options(djs_ctx_t *ctx, const char *option, const char *meant,
                                 const char *given)
{
    return djs_fail(ctx, DJS_EINVAL, "%s means --format %s, not --format %s", option, meant, given);
}

/* The name that is meant: as given, or what another option implies. */
static apr_status_t choose_name(djs_ctx_t *ctx, const cli_options_t *options, const char **name)
{
    const int legacy = options->given & CLI_LEGACY;
    const int flags = options->given & CLI_FLAGS;
    const char *implied = legacy ? "legacy" : flags ? "pickle" : "signed";

    *name = options->format != NULL ? options->format : implied;
    if (legacy && strcmp(*name, "legacy") != 0) {
        return fail_options(ctx, "--legacy", "legacy", *name);
    }
    if (flags && strcmp(*name, "pickle") != 0) {
        return fail_options(ctx, "--flags", "pickle", *name);
    }
    return APR_SUCCESS;
}

static apr_status_t find_format(djs_ctx_t *ctx, const cli_options_t *options,
                                const format_t **format)
{
    const char *name;
    apr_size_t i;
    apr_status_t rv = choose_name(ctx, options, &name);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(formats[i].name, name) == 0) {
            *format = &formats[i];
            return APR_SUCCESS;
        }
    }
    return djs_fail(ctx, DJS_EINVAL, "there is no format \"%s\"; there are: signed, legacy, pickle, "
                    "json, django-redis, django-redis-json", name);
}

/* What is not signed needs no key. */
static apr_status_t open_wire(cli_t *cli, const format_t **format, djs_wire_t **wire)
{
    djs_ctx_t *ctx = cli->ctx;
    const char *salt = cli->options.salt;
    djs_keyring_t *keys = NULL;
    apr_status_t rv = find_format(ctx, &cli->options, format);

    if (rv == APR_SUCCESS && (*format)->has_keys) {
        rv = cli_keys_open(ctx, &cli->options, &keys);
    }
    if (rv == APR_SUCCESS) {
        *wire = cli->options.settings->serializer == DJS_SERIALIZER_PICKLE
                    ? djs_wire_make_pickled(ctx->pool, keys, (*format)->layout, salt)
                    : djs_wire_make(ctx->pool, keys, (*format)->layout, salt);
    }
    return rv;
}

/* ---- Commands -------------------------------------------------------------------------------- */

/* A value that proved genuine: is it young enough? */
static apr_status_t check_age(cli_t *cli, apr_time_t written)
{
    djs_ctx_t *ctx = cli->ctx;
    apr_interval_time_t max_age;
    apr_status_t rv;

    if (cli->options.max_age == NULL) {
        return APR_SUCCESS;
    }
    rv = djs_duration_parse(ctx, cli->options.max_age, &max_age);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (written == 0) {
        return djs_fail(ctx, DJS_EUNSUPPORTED, "--max-age: values of this layout do not tell when "
                        "they were made");
    }
    if (ctx->now - written > max_age) {
        return djs_fail(ctx, DJS_EEXPIRED, "signed %" APR_TIME_T_FMT
                        " s ago, allowed are %" APR_TIME_T_FMT " s",
                        apr_time_sec(ctx->now - written), apr_time_sec(max_age));
    }
    return APR_SUCCESS;
}

/* What memcached's flags say of the bytes beside them. */
static apr_status_t apply_flags(cli_t *cli, djs_bytes_t *stored)
{
    djs_ctx_t *ctx = cli->ctx;
    const char *text = cli->options.flags;
    apr_int64_t flags;
    char *end;

    if (text == NULL) {
        return APR_SUCCESS;
    }
    flags = apr_strtoi64(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || flags > 0xffffffff) {
        return djs_fail(ctx, DJS_EINVAL, "--flags: \"%s\" is no number of 32 bits", text);
    }
    *stored = djs_memcached_read(ctx, DJS_CACHE_PYLIBMC, (apr_uint32_t)flags, *stored);
    if (stored->len == 0) {
        return djs_fail(ctx, DJS_EFORMAT, "flags %s do not say that this is a pickle, as every "
                        "session is: 1, or 9 when it is compressed", text);
    }
    return APR_SUCCESS;
}

static apr_status_t read_stored(cli_t *cli, const format_t *format, const char *argument,
                                djs_bytes_t *stored)
{
    apr_status_t rv = format->is_binary ? cli_bytes(cli, argument, stored)
                                        : cli_text(cli, argument, stored);

    return rv == APR_SUCCESS ? apply_flags(cli, stored) : rv;
}

apr_status_t cli_decode(cli_t *cli, int argc, const char *const *argv)
{
    const format_t *format;
    djs_wire_facts_t facts;
    djs_wire_t *wire;
    djs_bytes_t stored;
    djs_value_t *value;
    apr_status_t rv = open_wire(cli, &format, &wire);

    if (rv == APR_SUCCESS) {
        rv = read_stored(cli, format, argc > 0 ? argv[0] : "-", &stored);
    }
    if (rv == APR_SUCCESS) {
        rv = djs_wire_inspect(cli->ctx, wire, stored, &value, &facts);
    }
    if (rv == APR_SUCCESS) {
        rv = check_age(cli, facts.written);
    }
    if (rv == APR_SUCCESS) {
        cli_say_json(cli, value);
    }
    return rv;
}

apr_status_t cli_encode(cli_t *cli, int argc, const char *const *argv)
{
    const format_t *format;
    djs_wire_t *wire;
    djs_value_t *value;
    djs_bytes_t stored;
    apr_status_t rv = open_wire(cli, &format, &wire);

    if (rv == APR_SUCCESS) {
        rv = cli_json(cli, argc > 0 ? argv[0] : "-", &value);
    }
    if (rv == APR_SUCCESS) {
        rv = djs_wire_write(cli->ctx, wire, value, &stored);
    }
    if (rv == APR_SUCCESS && format->is_binary) {
        cli_put(stored);
    }
    else if (rv == APR_SUCCESS) {
        cli_say(stored);
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
