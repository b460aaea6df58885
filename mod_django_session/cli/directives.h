/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of directives, as httpd reads them.
 *
 * One directive a line, "\" at the end of a line goes on with the next, "#" at the beginning is a
 * comment, arguments are words or stand in quotes. Directives of ours, DBDriver and DBDParams count;
 * those of others are passed over. Which section applies to a request only httpd can tell: a file
 * with sections, or one that includes others, is refused.
 */
#ifndef DJS_CLI_DIRECTIVES_H
#define DJS_CLI_DIRECTIVES_H

#include "settings.h"

/** Largest file that is read. */
#define CLI_DIRECTIVES_MAX (1024 * 1024)

typedef struct cli_directives_t {
    djs_settings_t *settings; /* what the file sets */
    const char *driver;       /* DBDriver; NULL: not there */
    const char *params;       /* DBDParams */
} cli_directives_t;

/** DJS_EINVAL: the problem names the file, the line and what is wrong there. */
apr_status_t cli_directives_read(djs_ctx_t *ctx, const char *path, cli_directives_t *directives)
    DJS_MUST_CHECK;

#endif
