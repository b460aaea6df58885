/* SPDX-License-Identifier: Apache-2.0 */
/*
 * djsession: the administrator's tool. Reads the command line, runs a command, tells how it went.
 */
#include "cli.h"
#include "site.h"

#include <stdio.h>
#include <string.h>

#include <apr_general.h>

/* Long work has no limit but the administrator's patience, unless a timeout is given. */
#define PATIENCE_LONG (apr_time_from_sec(APR_INT64_C(365) * 86400))

/* ---- Help ------------------------------------------------------------------------------------ */

static void say_commands(void)
{
    const cli_command_t *commands;
    int count, i, bit;

    commands = cli_commands(&count);
    printf("Commands:\n");
    for (i = 0; i < count; i++) {
        printf("  %s%s%s", commands[i].name, *commands[i].arguments ? " " : "",
               commands[i].arguments);
        for (bit = 1; bit <= CLI_LAST; bit <<= 1) {
            const char *value;
            const char *name = cli_option_name(bit, &value);

            if (commands[i].options & bit) {
                printf(" [--%s%s%s]", name, value != NULL ? " " : "", value != NULL ? value : "");
            }
        }
        printf("\n      %s\n", commands[i].about);
    }
}

static void say_settings(void)
{
    const djs_setting_row_t *rows = djs_setting_rows();
    int i;

    for (i = 0; i < DJS_SETTING_COUNT; i++) {
        printf("  --%s %s\n      %s", rows[i].option, rows[i].values, rows[i].about);
        if (rows[i].default_text != NULL) {
            printf(" Default: %s.", rows[i].default_text);
        }
        printf("\n");
    }
}

static void say_help(void)
{
    printf("Usage: djsession [OPTION ...] COMMAND [ARGUMENT ...]\n\n"
           "Read and change the sessions of a Django site.\n\n");
    say_commands();
    printf("\nA JSON or STRING of \"-\" is read from standard input, a KEY of \"-\" is its first\n"
           "line. Options stand before or after the command.\n\n"
           "Options:\n"
           "  --config FILE\n      A file of httpd directives; options win over it.\n"
           "  --dbd DRIVER:PARAMS\n      The database, as DBDriver and DBDParams.\n"
           "  --help, --version\n\n"
           "Settings, called like the module's directives:\n");
    say_settings();
    printf("\nExit status: 0 done, 1 not found or deleted meanwhile, 2 usage, 3 the store failed,\n"
           "4 already there, 5 unreadable.\n");
}

/* ---- Running --------------------------------------------------------------------------------- */

static const cli_command_t *find_command(const char *name)
{
    int count, i;
    const cli_command_t *commands = cli_commands(&count);

    for (i = 0; i < count; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

/* Does what was given fit the command? */
static apr_status_t check_usage(djs_ctx_t *ctx, const cli_options_t *options,
                                const cli_command_t *command)
{
    int arguments = options->argc - 1;
    int bit;

    if (arguments < command->least || (command->most != CLI_ANY && arguments > command->most)) {
        return djs_fail(ctx, DJS_EINVAL, "usage: djsession %s%s%s", command->name,
                        *command->arguments ? " " : "", command->arguments);
    }
    for (bit = 1; bit <= CLI_LAST; bit <<= 1) {
        if ((options->given & bit) && !(command->options & bit)) {
            const char *value;

            return djs_fail(ctx, DJS_EINVAL, "%s has no option --%s", command->name,
                            cli_option_name(bit, &value));
        }
    }
    return APR_SUCCESS;
}

static apr_interval_time_t patience(const djs_settings_t *settings, const cli_command_t *command)
{
    if ((command->needs & CLI_IS_LONG) && !settings->is_set[DJS_SETTING_STORE_TIMEOUT]) {
        return PATIENCE_LONG;
    }
    return settings->store_timeout;
}

static apr_status_t run(cli_t *cli)
{
    const cli_options_t *options = &cli->options;
    const cli_command_t *command;
    apr_status_t rv;

    if (options->argc == 0) {
        return djs_fail(cli->ctx, DJS_EINVAL, "which command? djsession --help lists them");
    }
    command = find_command(options->argv[0]);
    if (command == NULL) {
        return djs_fail(cli->ctx, DJS_EINVAL, "there is no command \"%s\"; djsession --help lists "
                        "them", options->argv[0]);
    }
    cli->ctx->patience = patience(options->settings, command);
    rv = check_usage(cli->ctx, options, command);
    if (rv == APR_SUCCESS && (command->needs & CLI_NEEDS_SITE)) {
        rv = cli_site_open(cli->ctx, options, &cli->site);
    }
    if (rv == APR_SUCCESS) {
        rv = command->run(cli, options->argc - 1, options->argv + 1);
    }
    return rv;
}

static cli_exit_t exit_code(apr_status_t rv)
{
    switch (rv) {
    case APR_SUCCESS:
        return CLI_DONE;
    case APR_NOTFOUND:
    case DJS_EINTERRUPTED:
        return CLI_NOT_FOUND;
    case DJS_EINVAL:
        return CLI_USAGE;
    case APR_EEXIST:
        return CLI_ALREADY_THERE;
    case DJS_EBADSIG:
    case DJS_EEXPIRED:
    case DJS_EFORMAT:
    case DJS_ELIMIT:
    case DJS_EUNSUPPORTED:
        return CLI_UNREADABLE;
    default:
        return CLI_STORE_FAILED;
    }
}

/* What was printed but is not written is not done. */
static cli_exit_t finish_output(cli_exit_t code)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        cli_note("standard output cannot be written");
        return code == CLI_DONE ? CLI_STORE_FAILED : code;
    }
    return code;
}

static cli_exit_t work(cli_t *cli, int argc, char **argv)
{
    apr_status_t rv = cli_options_read(cli->ctx, argc, argv, &cli->options);

    if (rv == APR_SUCCESS && cli->options.help) {
        say_help();
        return CLI_DONE;
    }
    if (rv == APR_SUCCESS && cli->options.version) {
        printf("djsession %s\n", DJS_VERSION);
        return CLI_DONE;
    }
    if (cli->options.shown_secrets) {
        cli_note("warning: a secret on the command line can be seen by other users of this "
                 "machine; write it to a file (file:PATH, --config FILE)");
    }
    if (rv == APR_SUCCESS) {
        rv = run(cli);
    }
    cli_progress_end();
    if (rv != APR_SUCCESS && cli->ctx->problem != NULL) {
        cli_note("%s", cli->ctx->problem);
    }
    return exit_code(rv);
}

int main(int argc, const char *const *argv, const char *const *env)
{
    static const djs_host_t host = { .warn = cli_warn };
    cli_t cli = { NULL };
    apr_pool_t *pool;
    cli_exit_t code;

    if (apr_app_initialize(&argc, &argv, &env) != APR_SUCCESS) {
        fprintf(stderr, "djsession: APR cannot be used\n");
        return CLI_STORE_FAILED;
    }
    /* No apr_terminate(): drivers of databases stay loaded, for what they do when a program ends. */
    apr_pool_create(&pool, NULL);
    cli.ctx = apr_pcalloc(pool, sizeof(*cli.ctx));
    cli.ctx->pool = pool;
    cli.ctx->now = apr_time_now();
    cli.ctx->host = &host;
    code = finish_output(work(&cli, argc - 1, (char **)argv + 1));
    apr_pool_destroy(pool);
    return code;
}
