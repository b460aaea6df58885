/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arguments, standard input, standard output and standard error.
 */
#include "cli.h"
#include "json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Most that is read of standard input: the longest text that the core takes, and a key before it. */
#define INPUT_MAX ((apr_size_t)DJS_JSON_TEXT_MAX + 64 * 1024)

#define PROGRESS_EVERY (200 * (apr_interval_time_t)1000)

static apr_time_t progress_shown; /* when; 0: there is no progress line */

/* ---- Input ----------------------------------------------------------------------------------- */

static apr_status_t read_input(cli_t *cli)
{
    djs_ctx_t *ctx = cli->ctx;
    apr_size_t size = 64 * 1024, len = 0, got;
    char *data = apr_palloc(ctx->pool, size);

    do {
        if (len == size) {
            char *more = apr_palloc(ctx->pool, size * 2);

            memcpy(more, data, len);
            data = more;
            size *= 2;
        }
        got = fread(data + len, 1, size - len, stdin);
        len += got;
    } while (got > 0 && len <= INPUT_MAX);
    if (ferror(stdin)) {
        return djs_fail(ctx, DJS_EINVAL, "standard input cannot be read");
    }
    if (len > INPUT_MAX) {
        return djs_fail(ctx, DJS_EINVAL, "standard input is longer than %" APR_SIZE_T_FMT " bytes",
                        INPUT_MAX);
    }
    cli->input = djs_bytes_of(data, len);
    cli->input_was_read = 1;
    return APR_SUCCESS;
}

/* Is there something to read, and has nobody had it before? */
static apr_status_t need_input(cli_t *cli)
{
    apr_status_t rv = cli->input_was_read ? APR_SUCCESS : read_input(cli);

    if (rv == APR_SUCCESS && cli->input.len == 0) {
        return djs_fail(cli->ctx, DJS_EINVAL, "\"-\" means standard input, and there is nothing "
                        "(more) in it");
    }
    return rv;
}

apr_status_t cli_bytes(cli_t *cli, const char *argument, djs_bytes_t *bytes)
{
    apr_status_t rv;

    if (strcmp(argument, "-") != 0) {
        *bytes = djs_bytes(argument);
        return APR_SUCCESS;
    }
    rv = need_input(cli);
    if (rv == APR_SUCCESS) {
        *bytes = cli->input;
        cli->input = djs_bytes_of(NULL, 0);
    }
    return rv;
}

apr_status_t cli_text(cli_t *cli, const char *argument, djs_bytes_t *text)
{
    apr_status_t rv = cli_bytes(cli, argument, text);

    if (rv == APR_SUCCESS && strcmp(argument, "-") == 0 && text->data[text->len - 1] == '\n') {
        text->len--;
    }
    return rv;
}

apr_status_t cli_key(cli_t *cli, const char *argument, const char **key)
{
    const char *end;
    apr_size_t len;
    apr_status_t rv;

    *key = argument;
    if (strcmp(argument, "-") != 0) {
        return APR_SUCCESS;
    }
    rv = need_input(cli);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    end = memchr(cli->input.data, '\n', cli->input.len);
    len = end != NULL ? (apr_size_t)(end - cli->input.data) : cli->input.len;
    *key = apr_pstrmemdup(cli->ctx->pool, cli->input.data, len);
    cli->input.data += end != NULL ? len + 1 : len;
    cli->input.len -= end != NULL ? len + 1 : len;
    return APR_SUCCESS;
}

apr_status_t cli_json(cli_t *cli, const char *argument, djs_value_t **value)
{
    djs_bytes_t text;
    apr_status_t rv = cli_text(cli, argument, &text);

    if (rv == APR_SUCCESS
        && djs_json_loads(cli->ctx, DJS_JSON_UTF8, text, value) != APR_SUCCESS) {
        rv = DJS_EINVAL;
    }
    return rv;
}

apr_status_t cli_object(cli_t *cli, const char *argument, djs_value_t **value)
{
    apr_status_t rv = cli_json(cli, argument, value);

    if (rv == APR_SUCCESS && djs_value_type(*value) != DJS_TYPE_DICT) {
        return djs_fail(cli->ctx, DJS_EINVAL, "a session is a JSON object, not of type %s",
                        djs_value_type_name(*value));
    }
    return rv;
}

/* ---- Output ---------------------------------------------------------------------------------- */

void cli_say(djs_bytes_t line)
{
    if (progress_shown != 0 && isatty(STDOUT_FILENO)) {
        cli_progress_end();
    }
    cli_put(line);
    putchar('\n');
}

void cli_put(djs_bytes_t bytes)
{
    fwrite(bytes.data, 1, bytes.len, stdout);
}

void cli_say_json(cli_t *cli, const djs_value_t *value)
{
    cli_say(djs_json_dumps(cli->ctx, DJS_JSON_COMPACT, value));
}

void cli_note(const char *format, ...)
{
    char text[1024];
    va_list args;
    char *c;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    /* Messages of databases come in several lines; nothing steers a terminal. */
    for (c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            *c = ' ';
        }
    }
    cli_progress_end();
    fprintf(stderr, "djsession: %s\n", text);
}

void cli_warn(void *baton, const char *line)
{
    static int warned;

    (void)baton;
    if (!warned) {
        cli_note("%s", line);
    }
    warned = 1;
}

/* ---- Progress -------------------------------------------------------------------------------- */

void cli_progress(const char *doing, apr_size_t done)
{
    apr_time_t now;

    if (!isatty(STDERR_FILENO)) {
        return;
    }
    now = apr_time_now();
    if (progress_shown == 0 || now - progress_shown >= PROGRESS_EVERY) {
        fprintf(stderr, "\r%s: %" APR_SIZE_T_FMT, doing, done);
        progress_shown = now;
    }
}

void cli_progress_end(void)
{
    if (progress_shown != 0) {
        fprintf(stderr, "\r\033[K");
        progress_shown = 0;
    }
}
