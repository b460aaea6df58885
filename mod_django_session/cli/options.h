/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of djsession: settings, options of single commands, and the rest.
 *
 * Each row of settings.def is an option, called like its directive without "Django", in lower case
 * with dashes: `--session-cookie-age 1h`, or `--session-cookie-age=1h`. On and Off may be written
 * in any case; an option that takes several values is repeated. `--config FILE` reads directives
 * from a file; options win over it, wherever they stand. `--dbd DRIVER:PARAMS` names the database.
 * Options stand before or after the command; "--" ends them.
 */
#ifndef DJS_CLI_OPTIONS_H
#define DJS_CLI_OPTIONS_H

#include "settings.h"

/** Options of single commands; a command says which of them it takes. */
enum {
    CLI_MUST_CREATE = 1 << 0,
    CLI_KEYS = 1 << 1,
    CLI_SALT = 1 << 2,
    CLI_MAX_AGE = 1 << 3,
    CLI_LEGACY = 1 << 4,
    CLI_FORMAT = 1 << 5,
    CLI_FLAGS = 1 << 6,
    CLI_LAST = CLI_FLAGS
};

typedef struct cli_options_t {
    djs_settings_t *settings; /* complete */
    const char *driver;       /* apr_dbd's name of the database; NULL: none was named */
    const char *params;       /* for the driver; may hold a password */
    int given;                /* which CLI_… were there */
    const char *salt;
    const char *max_age;
    const char *format;
    const char *flags;
    int help;
    int version;
    int shown_secrets; /* a secret stood on the command line, where `ps` shows it */
    int argc;          /* the command and its arguments */
    const char *const *argv;
} cli_options_t;

/**
 * Read a command line without the program's name, and the file that --config names. Secrets given
 * as text are copied and overwritten in @a argv, so that `ps` shows them no longer.
 * DJS_EINVAL: the problem says what was wrong and what is right.
 */
apr_status_t cli_options_read(djs_ctx_t *ctx, int argc, char **argv, cli_options_t *options)
    DJS_MUST_CHECK;

/** The name of a CLI_… option without the dashes, and its value's name (NULL: it takes none). */
const char *cli_option_name(int option, const char **value);

#endif
