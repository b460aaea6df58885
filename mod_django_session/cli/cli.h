/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of djsession share: one call of the tool, its commands, its input and output.
 *
 * Results go to standard output, messages to standard error, one line each. A command returns a
 * status; djsession.c prints ctx->problem, if there is one, and makes the exit code of both.
 */
#ifndef DJS_CLI_H
#define DJS_CLI_H

#include "options.h"
#include "session.h"

/** The exit codes of interface 3. */
typedef enum cli_exit_t {
    CLI_DONE = 0,
    CLI_NOT_FOUND = 1,
    CLI_USAGE = 2,
    CLI_STORE_FAILED = 3,
    CLI_ALREADY_THERE = 4,
    CLI_UNREADABLE = 5
} cli_exit_t;

/** One call of the tool. */
typedef struct cli_t {
    djs_ctx_t *ctx;
    cli_options_t options;
    djs_site_t *site;   /* NULL for commands without CLI_NEEDS_SITE */
    djs_bytes_t input;  /* what of standard input was not used yet */
    int input_was_read;
} cli_t;

/** What a command needs before it runs. */
enum { CLI_NEEDS_SITE = 1, CLI_IS_LONG = 2 };

/** As many arguments as there are. */
#define CLI_ANY (-1)

/** A command. */
typedef struct cli_command_t {
    const char *name;
    int least, most; /* arguments */
    int needs;       /* CLI_NEEDS_SITE; CLI_IS_LONG: the store's timeout does not limit the whole */
    int options;     /* which CLI_… of options.h it takes */
    apr_status_t (*run)(cli_t *cli, int argc, const char *const *argv);
    const char *arguments;
    const char *about;
} cli_command_t;

/** All commands, and how many. */
const cli_command_t *cli_commands(int *count);

/* commands.c has those that work on one session of a store; these are elsewhere. */
apr_status_t cli_list(cli_t *cli, int argc, const char *const *argv);
apr_status_t cli_user(cli_t *cli, int argc, const char *const *argv);
apr_status_t cli_logout(cli_t *cli, int argc, const char *const *argv);
apr_status_t cli_clearsessions(cli_t *cli, int argc, const char *const *argv);
apr_status_t cli_decode(cli_t *cli, int argc, const char *const *argv);
apr_status_t cli_encode(cli_t *cli, int argc, const char *const *argv);
apr_status_t cli_secret(cli_t *cli, int argc, const char *const *argv);
apr_status_t cli_check(cli_t *cli, int argc, const char *const *argv);
apr_status_t cli_explain(cli_t *cli, int argc, const char *const *argv);

/* ---- Input ----------------------------------------------------------------------------------- */

/** The bytes of an argument; "-" is what standard input has left. */
apr_status_t cli_bytes(cli_t *cli, const char *argument, djs_bytes_t *bytes) DJS_MUST_CHECK;

/** The same of a text: of standard input less one newline at its end. */
apr_status_t cli_text(cli_t *cli, const char *argument, djs_bytes_t *text) DJS_MUST_CHECK;

/** A session key; "-" is the next line of standard input. */
apr_status_t cli_key(cli_t *cli, const char *argument, const char **key) DJS_MUST_CHECK;

/** JSON of an argument, or of standard input. DJS_EINVAL: it is none. */
apr_status_t cli_json(cli_t *cli, const char *argument, djs_value_t **value) DJS_MUST_CHECK;

/** The same, and it must be an object. */
apr_status_t cli_object(cli_t *cli, const char *argument, djs_value_t **value) DJS_MUST_CHECK;

/* ---- Output ---------------------------------------------------------------------------------- */

/** One line of result. */
void cli_say(djs_bytes_t line);

/** Bytes of a result that is no text. */
void cli_put(djs_bytes_t bytes);

/** One line of JSON, as Python's json writes it, compact. */
void cli_say_json(cli_t *cli, const djs_value_t *value);

/** One message. Never a secret. */
void cli_note(const char *format, ...) DJS_PRINTF(1, 2);

/** The same, as djs_host_t.warn: the first one only, a dead cache has one for each session. */
void cli_warn(void *baton, const char *line);

/** How far long work is, now and then and only on a terminal. */
void cli_progress(const char *doing, apr_size_t done);
/** Take the progress line away. */
void cli_progress_end(void);

#endif
