/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directives from a file. The grammar is httpd's; what the lines mean is in core/settings.c.
 */
#include "directives.h"

#include <string.h>

#include <apr_file_io.h>
#include <apr_lib.h>

/* Most arguments of a line; the longest lists of ours are a handful. */
#define WORDS_MAX 256

/* ---- Lines and words ------------------------------------------------------------------------- */

static apr_status_t read_file(djs_ctx_t *ctx, const char *path, char **text)
{
    apr_file_t *file;
    apr_size_t len = 0;
    char why[120];
    apr_status_t rv = apr_file_open(&file, path, APR_FOPEN_READ | APR_FOPEN_BINARY, 0, ctx->pool);

    if (rv == APR_SUCCESS) {
        *text = apr_palloc(ctx->pool, CLI_DIRECTIVES_MAX + 1);
        rv = apr_file_read_full(file, *text, CLI_DIRECTIVES_MAX + 1, &len);
        apr_file_close(file);
    }
    if (rv == APR_SUCCESS) {
        return djs_fail(ctx, DJS_EINVAL, "--config %s: more than %d bytes", path, CLI_DIRECTIVES_MAX);
    }
    if (!APR_STATUS_IS_EOF(rv)) {
        return djs_fail(ctx, DJS_EINVAL, "--config %s: %s", path,
                        apr_strerror(rv, why, sizeof(why)));
    }
    (*text)[len] = '\0';
    if (strlen(*text) != len) {
        return djs_fail(ctx, DJS_EINVAL, "--config %s: has a NUL byte, so it is no text", path);
    }
    return APR_SUCCESS;
}

/*
 * Cut the next line off *rest, with those that it goes on in, and trim it. NULL at the end; *number
 * counts the lines of the file.
 */
static char *next_line(char **rest, int *number)
{
    char *line = *rest, *from = *rest, *to = *rest;

    if (*from == '\0') {
        return NULL;
    }
    for (++*number; *from != '\0' && *from != '\n';) {
        apr_size_t end = from[0] != '\\' ? 0 : from[1] == '\n' ? 2
                         : from[1] == '\r' && from[2] == '\n' ? 3 : 0;

        if (end > 0) {
            from += end;
            ++*number;
        }
        else {
            *to++ = *from++;
        }
    }
    *rest = *from == '\0' ? from : from + 1;
    while (to > line && apr_isspace(to[-1])) {
        to--;
    }
    *to = '\0';
    while (apr_isspace(*line)) {
        line++;
    }
    return line;
}

/* Cut the next word off *rest and take its quotes away; NULL at the end. */
static char *next_word(char **rest)
{
    char *word, *from, *to, quote;

    for (from = *rest; apr_isspace(*from); from++) {
        continue;
    }
    if (*from == '\0') {
        return NULL;
    }
    quote = *from == '"' || *from == '\'' ? *from++ : '\0';
    for (word = to = from; *from != '\0'; from++) {
        if (quote != '\0' ? *from == quote : apr_isspace(*from)) {
            break;
        }
        if (quote != '\0' && *from == '\\' && (from[1] == '\\' || from[1] == quote)) {
            from++;
        }
        *to++ = *from;
    }
    *rest = *from == '\0' ? from : from + 1;
    *to = '\0';
    return word;
}

/* ---- Directives ------------------------------------------------------------------------------ */

static apr_status_t take_text(djs_ctx_t *ctx, const char *name, int argc,
                              const char *const *argv, const char **text)
{
    if (argc != 1) {
        return djs_fail(ctx, DJS_EINVAL, "%s takes one value", name);
    }
    *text = argv[0];
    return APR_SUCCESS;
}

/* httpd replaces ${NAME}; what it would be there, we cannot know. */
static apr_status_t refuse_variables(djs_ctx_t *ctx, const char *name, int argc,
                                     const char *const *argv)
{
    int i;

    for (i = 0; i < argc; i++) {
        if (strstr(argv[i], "${") != NULL) {
            return djs_fail(ctx, DJS_EINVAL, "%s has a ${...}, which only httpd can replace; "
                            "write the value itself", name);
        }
    }
    return APR_SUCCESS;
}

static int is_of_ours(const char *name)
{
    return strncasecmp(name, "Django", 6) == 0 || strcasecmp(name, "DBDriver") == 0
           || strcasecmp(name, "DBDParams") == 0;
}

static apr_status_t take_directive(djs_ctx_t *ctx, cli_directives_t *directives, const char *name,
                                   int argc, const char *const *argv)
{
    const djs_setting_row_t *row;
    apr_status_t rv = refuse_variables(ctx, name, argc, argv);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (strcasecmp(name, "DBDriver") == 0) {
        return take_text(ctx, name, argc, argv, &directives->driver);
    }
    if (strcasecmp(name, "DBDParams") == 0) {
        return take_text(ctx, name, argc, argv, &directives->params);
    }
    row = djs_setting_find(name);
    if (row == NULL) {
        return djs_fail(ctx, DJS_EINVAL, "there is no directive %s", name);
    }
    return djs_settings_set(ctx, directives->settings, row, argc, argv);
}

static apr_status_t take_line(djs_ctx_t *ctx, cli_directives_t *directives, char *line)
{
    const char *words[WORDS_MAX];
    const char *name;
    int count = 0;
    char *word;

    if (*line == '#' || *line == '\0') {
        return APR_SUCCESS;
    }
    if (*line == '<') {
        return djs_fail(ctx, DJS_EINVAL, "has a section, and which one applies only httpd can "
                        "tell; give a file with the directives alone");
    }
    name = next_word(&line);
    if (strcasecmp(name, "Include") == 0 || strcasecmp(name, "IncludeOptional") == 0) {
        return djs_fail(ctx, DJS_EINVAL, "%s is httpd's; give a file with the directives "
                        "themselves", name);
    }
    if (!is_of_ours(name)) {
        return APR_SUCCESS;
    }
    for (word = next_word(&line); word != NULL; word = next_word(&line)) {
        if (count == WORDS_MAX) {
            return djs_fail(ctx, DJS_EINVAL, "%s has more than %d values", name, WORDS_MAX);
        }
        words[count++] = word;
    }
    return take_directive(ctx, directives, name, count, words);
}

apr_status_t cli_directives_read(djs_ctx_t *ctx, const char *path, cli_directives_t *directives)
{
    int number = 0;
    char *text, *line;
    apr_status_t rv;

    memset(directives, 0, sizeof(*directives));
    directives->settings = djs_settings_make(ctx->pool);
    rv = read_file(ctx, path, &text);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (line = next_line(&text, &number); line != NULL; line = next_line(&text, &number)) {
        rv = take_line(ctx, directives, line);
        if (rv != APR_SUCCESS) {
            ctx->problem = apr_psprintf(ctx->pool, "%s line %d: %s", path, number, ctx->problem);
            return rv;
        }
    }
    return APR_SUCCESS;
}
