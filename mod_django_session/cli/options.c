/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: each option is a row of settings.def, or of the small tables below.
 */
#include "options.h"
#include "directives.h"
#include "secret.h"

#include <string.h>

/* ---- Options of single commands -------------------------------------------------------------- */

static const struct {
    int option;
    const char *name;
    const char *value; /* what its value is called; NULL: it takes none */
} own[] = {
    { CLI_MUST_CREATE, "must-create", NULL },
    { CLI_KEYS, "keys", NULL },
    { CLI_SALT, "salt", "SALT" },
    { CLI_MAX_AGE, "max-age", "DURATION" },
    { CLI_LEGACY, "legacy", NULL },
    { CLI_FORMAT, "format", "signed|legacy|pickle|json|django-redis|django-redis-json" },
    { CLI_FLAGS, "flags", "NUMBER" },
};

#define OWN ((int)(sizeof(own) / sizeof(own[0])))

const char *cli_option_name(int option, const char **value)
{
    int i;

    for (i = 0; i < OWN; i++) {
        if (own[i].option == option) {
            *value = own[i].value;
            return own[i].name;
        }
    }
    return NULL;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* A command line half read. */
typedef struct reading_t {
    cli_options_t *options;
    int argc, at; /* argv[at] is the next */
    char **argv;
    apr_array_header_t *values[DJS_SETTING_COUNT]; /* const char *, of each setting that was there */
    const char *config; /* NULL: no --config */
    const char *dbd;    /* NULL: no --dbd */
    int argument_count;
    const char **arguments;
} reading_t;

/* The option at hand: --name, --name=inside or --name next. */
typedef struct option_t {
    const char *name;
    char *inside; /* NULL: no "=" */
} option_t;

static apr_status_t take_value(djs_ctx_t *ctx, reading_t *reading, const option_t *option,
                               char **value)
{
    *value = option->inside;
    if (*value == NULL && reading->at < reading->argc) {
        *value = reading->argv[reading->at++];
    }
    if (*value == NULL) {
        return djs_fail(ctx, DJS_EINVAL, "--%s needs a value", option->name);
    }
    return APR_SUCCESS;
}

static apr_status_t refuse_value(djs_ctx_t *ctx, const option_t *option)
{
    if (option->inside != NULL) {
        return djs_fail(ctx, DJS_EINVAL, "--%s takes no value", option->name);
    }
    return APR_SUCCESS;
}

/* Keep a copy; the list of processes shows no secret any longer. */
static const char *hide(djs_ctx_t *ctx, reading_t *reading, char *text)
{
    const char *copy = apr_pstrdup(ctx->pool, text);

    djs_secret_wipe_with(ctx->pool, (char *)copy, strlen(copy));
    memset(text, '*', strlen(text));
    reading->options->shown_secrets = 1;
    return copy;
}

static int names_a_source(const char *secret)
{
    return strncmp(secret, "file:", 5) == 0 || strncmp(secret, "env:", 4) == 0
           || strncmp(secret, "exec:", 5) == 0;
}

static apr_status_t take_setting(djs_ctx_t *ctx, reading_t *reading, const option_t *option,
                                 const djs_setting_row_t *row)
{
    apr_array_header_t **values = &reading->values[row->id];
    char *value;
    const char *kept;
    apr_status_t rv = take_value(ctx, reading, option, &value);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    kept = value;
    if (((row->kind == DJS_KIND_SECRET || row->kind == DJS_KIND_SECRETS)
         && !names_a_source(value))
        || (row->kind == DJS_KIND_CACHE && strchr(value, '@') != NULL)) {
        kept = hide(ctx, reading, value);
    }
    if (*values == NULL) {
        *values = apr_array_make(ctx->pool, 1, sizeof(const char *));
    }
    APR_ARRAY_PUSH(*values, const char *) = kept;
    return APR_SUCCESS;
}

/* "password=", "pass=", "//user:password@host". */
static int has_password(const char *params)
{
    return strstr(params, "pass") != NULL || strchr(params, '@') != NULL;
}

static apr_status_t take_dbd(djs_ctx_t *ctx, reading_t *reading, const option_t *option)
{
    char *value, *params;
    apr_status_t rv = take_value(ctx, reading, option, &value);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    params = strchr(value, ':');
    if (params == NULL || params == value || params[1] == '\0') {
        return djs_fail(ctx, DJS_EINVAL, "--dbd is written DRIVER:PARAMS, for example "
                        "sqlite3:/srv/site/db.sqlite3");
    }
    reading->options->driver = apr_pstrmemdup(ctx->pool, value, (apr_size_t)(params - value));
    params++;
    reading->options->params = has_password(params) ? hide(ctx, reading, params) : params;
    return APR_SUCCESS;
}

static apr_status_t take_own(djs_ctx_t *ctx, reading_t *reading, const option_t *option, int i)
{
    cli_options_t *options = reading->options;
    char *value = NULL;
    apr_status_t rv = own[i].value != NULL ? take_value(ctx, reading, option, &value)
                                           : refuse_value(ctx, option);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    options->given |= own[i].option;
    switch (own[i].option) {
    case CLI_SALT:
        options->salt = value;
        break;
    case CLI_MAX_AGE:
        options->max_age = value;
        break;
    case CLI_FORMAT:
        options->format = value;
        break;
    case CLI_FLAGS:
        options->flags = value;
        break;
    }
    return APR_SUCCESS;
}

static int find_own(const char *name)
{
    int i;

    for (i = 0; i < OWN && strcmp(own[i].name, name) != 0; i++) {
        continue;
    }
    return i < OWN ? i : -1;
}

/* Directives are found by their own name, too; as options they have another. */
static const djs_setting_row_t *find_row(const char *name)
{
    const djs_setting_row_t *row = djs_setting_find(name);

    return row != NULL && strcmp(row->option, name) == 0 ? row : NULL;
}

static apr_status_t take_option(djs_ctx_t *ctx, reading_t *reading, char *text)
{
    option_t option = { text, strchr(text, '=') };
    const djs_setting_row_t *row;
    char *value;
    apr_status_t rv;

    if (option.inside != NULL) {
        option.name = apr_pstrmemdup(ctx->pool, text, (apr_size_t)(option.inside - text));
        option.inside++;
    }
    row = find_row(option.name);
    if (row != NULL) {
        return take_setting(ctx, reading, &option, row);
    }
    if (find_own(option.name) >= 0) {
        return take_own(ctx, reading, &option, find_own(option.name));
    }
    if (strcmp(option.name, "dbd") == 0) {
        return take_dbd(ctx, reading, &option);
    }
    if (strcmp(option.name, "config") == 0) {
        rv = take_value(ctx, reading, &option, &value);
        reading->config = value;
        return rv;
    }
    if (strcmp(option.name, "help") == 0) {
        reading->options->help = 1;
        return refuse_value(ctx, &option);
    }
    if (strcmp(option.name, "version") == 0) {
        reading->options->version = 1;
        return refuse_value(ctx, &option);
    }
    return djs_fail(ctx, DJS_EINVAL, "there is no option --%s; djsession --help lists them",
                    option.name);
}

static apr_status_t read_arguments(djs_ctx_t *ctx, reading_t *reading)
{
    int options_end = 0;

    reading->arguments = apr_pcalloc(ctx->pool, sizeof(char *) * (apr_size_t)(reading->argc + 1));
    while (reading->at < reading->argc) {
        char *text = reading->argv[reading->at++];
        apr_status_t rv = APR_SUCCESS;

        if (options_end || strncmp(text, "--", 2) != 0) {
            reading->arguments[reading->argument_count++] = text;
        }
        else if (text[2] == '\0') {
            options_end = 1;
        }
        else {
            rv = take_option(ctx, reading, text + 2);
        }
        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    return APR_SUCCESS;
}

/* ---- Settings -------------------------------------------------------------------------------- */

/* Several values only where the setting takes several; of the others the last counts. */
static apr_status_t set_row(djs_ctx_t *ctx, djs_settings_t *settings,
                            const djs_setting_row_t *row, const apr_array_header_t *values)
{
    const char *const *argv = (const char *const *)values->elts;
    int skip = DJS_KIND_IS_MANY(row->kind) ? 0 : values->nelts - 1;

    return djs_settings_set(ctx, settings, row, values->nelts - skip, argv + skip);
}

static apr_status_t settle_settings(djs_ctx_t *ctx, reading_t *reading)
{
    cli_options_t *options = reading->options;
    djs_settings_t *settings = djs_settings_make(ctx->pool);
    cli_directives_t config;
    int i;

    for (i = 0; i < DJS_SETTING_COUNT; i++) {
        apr_status_t rv;

        if (reading->values[i] == NULL) {
            continue;
        }
        rv = set_row(ctx, settings, &djs_setting_rows()[i], reading->values[i]);
        if (rv != APR_SUCCESS) {
            ctx->problem = apr_psprintf(ctx->pool, "--%s: %s", djs_setting_rows()[i].option,
                                        ctx->problem);
            return rv;
        }
    }
    if (reading->config != NULL) {
        apr_status_t rv = cli_directives_read(ctx, reading->config, &config);

        if (rv != APR_SUCCESS) {
            return rv;
        }
        settings = djs_settings_merge(ctx->pool, config.settings, settings);
        if (options->driver == NULL) {
            options->driver = config.driver;
            options->params = config.params;
        }
    }
    options->settings = djs_settings_complete(ctx->pool, settings);
    return APR_SUCCESS;
}

apr_status_t cli_options_read(djs_ctx_t *ctx, int argc, char **argv, cli_options_t *options)
{
    reading_t *reading = apr_pcalloc(ctx->pool, sizeof(*reading));
    apr_status_t rv;

    memset(options, 0, sizeof(*options));
    reading->options = options;
    reading->argc = argc;
    reading->argv = argv;
    rv = read_arguments(ctx, reading);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    options->argc = reading->argument_count;
    options->argv = reading->arguments;
    return settle_settings(ctx, reading);
}
