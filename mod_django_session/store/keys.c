/* SPDX-License-Identifier: Apache-2.0 */
#include "keys.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <apr_file_io.h>
#include <apr_thread_proc.h>

/* Far beyond any secret. */
#define SECRET_MAX (64 * 1024)
/* A program that says nothing for so long has nothing to say. */
#define EXEC_PATIENCE apr_time_from_sec(30)

/* Where a secret is being read from, for messages. */
typedef struct spot_t {
    djs_ctx_t *ctx;
    const char *directive;
    const char *spec; /* not to be shown unless it names a source */
} spot_t;

static apr_status_t refuse(const spot_t *spot, const char *why)
{
    return djs_fail(spot->ctx, DJS_EINVAL, "%s %s: %s", spot->directive, spot->spec, why);
}

static apr_status_t refuse_status(const spot_t *spot, const char *what, apr_status_t rv)
{
    char text[120];

    apr_strerror(rv, text, sizeof(text));
    return djs_fail(spot->ctx, DJS_EINVAL, "%s %s: %s: %s", spot->directive, spot->spec, what, text);
}

/* All there is, or the first SECRET_MAX bytes and one more; wiped with the pool. */
static apr_status_t read_all(const spot_t *spot, apr_file_t *file, djs_bytes_t *content)
{
    char *data = apr_palloc(spot->ctx->pool, SECRET_MAX + 1);
    apr_status_t rv;

    djs_secret_wipe_with(spot->ctx->pool, data, SECRET_MAX + 1);
    content->data = data;
    rv = apr_file_read_full(file, data, SECRET_MAX + 1, &content->len);
    return APR_STATUS_IS_EOF(rv) ? APR_SUCCESS : rv;
}

static void drop_newline(djs_bytes_t *content)
{
    if (content->len > 0 && content->data[content->len - 1] == '\n') {
        content->len--;
        content->len -= content->len > 0 && content->data[content->len - 1] == '\r';
    }
}

static apr_status_t read_file(const spot_t *spot, const char *path, djs_bytes_t *content)
{
    apr_file_t *file;
    apr_status_t rv = apr_file_open(&file, path, APR_FOPEN_READ, APR_FPROT_OS_DEFAULT,
                                    spot->ctx->pool);

    if (rv != APR_SUCCESS) {
        return refuse_status(spot, "cannot be opened", rv);
    }
    rv = read_all(spot, file, content);
    apr_file_close(file);
    if (rv != APR_SUCCESS) {
        return refuse_status(spot, "cannot be read", rv);
    }
    drop_newline(content);
    return APR_SUCCESS;
}

static apr_status_t start_program(const char *path, apr_pool_t *pool, apr_proc_t *program)
{
    const char *args[2] = { NULL, NULL };
    apr_procattr_t *attributes;
    apr_file_t *nothing;
    apr_status_t rv = apr_procattr_create(&attributes, pool);

    args[0] = path;
    if (rv == APR_SUCCESS) {
        rv = apr_procattr_io_set(attributes, APR_NO_PIPE, APR_CHILD_BLOCK, APR_NO_PIPE);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_file_open(&nothing, "/dev/null", APR_FOPEN_READ, APR_FPROT_OS_DEFAULT, pool);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_procattr_child_in_set(attributes, nothing, NULL);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_procattr_cmdtype_set(attributes, APR_PROGRAM_ENV); /* no shell */
    }
    if (rv == APR_SUCCESS) {
        rv = apr_procattr_error_check_set(attributes, 1);
    }
    return rv == APR_SUCCESS ? apr_proc_create(program, path, args, NULL, attributes, pool) : rv;
}

static apr_status_t run_program(const spot_t *spot, const char *path, djs_bytes_t *content)
{
    apr_proc_t program;
    apr_exit_why_e why;
    const char *newline;
    int code;
    apr_status_t rv = start_program(path, spot->ctx->pool, &program);

    if (rv != APR_SUCCESS) {
        return refuse_status(spot, "cannot be run", rv);
    }
    apr_file_pipe_timeout_set(program.out, EXEC_PATIENCE);
    rv = read_all(spot, program.out, content);
    apr_file_close(program.out);
    if (rv != APR_SUCCESS || content->len > SECRET_MAX) {
        apr_proc_kill(&program, SIGKILL);
    }
    if (!APR_STATUS_IS_CHILD_DONE(apr_proc_wait(&program, &code, &why, APR_WAIT))) {
        code = 0; /* somebody else has waited for it */
        why = APR_PROC_EXIT;
    }
    if (rv != APR_SUCCESS) {
        return refuse_status(spot, "said nothing", rv);
    }
    if (content->len <= SECRET_MAX && (!APR_PROC_CHECK_EXIT(why) || code != 0)) {
        return refuse(spot, "the program failed");
    }
    newline = content->len > 0 ? memchr(content->data, '\n', content->len) : NULL;
    if (newline != NULL) {
        content->len = (apr_size_t)(newline - content->data) + 1;
        drop_newline(content);
    }
    return APR_SUCCESS;
}

static apr_status_t read_variable(const spot_t *spot, const char *name, djs_bytes_t *content)
{
    const char *value = getenv(name);

    if (value == NULL) {
        return refuse(spot, "this variable is not set in the environment");
    }
    *content = djs_bytes(value);
    return APR_SUCCESS;
}

static apr_status_t read_source(const spot_t *spot, djs_bytes_t *secret)
{
    static const struct {
        const char *prefix;
        apr_status_t (*read)(const spot_t *spot, const char *name, djs_bytes_t *content);
    } sources[] = {
        { "file:", read_file },
        { "exec:", run_program },
        { "env:", read_variable },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        apr_size_t len = strlen(sources[i].prefix);

        if (strncmp(spot->spec, sources[i].prefix, len) == 0) {
            return sources[i].read(spot, spot->spec + len, secret);
        }
    }
    *secret = djs_bytes(spot->spec);
    return APR_SUCCESS;
}

static apr_status_t read_secret(djs_ctx_t *ctx, const char *directive, const char *spec,
                                djs_bytes_t *secret)
{
    spot_t spot = { ctx, directive, spec };
    apr_status_t rv = read_source(&spot, secret);

    if (rv == APR_SUCCESS && secret->len == 0) {
        rv = refuse(&spot, "is empty");
    }
    if (rv == APR_SUCCESS && secret->len > SECRET_MAX) {
        rv = djs_fail(ctx, DJS_EINVAL, "%s: is longer than %d bytes", directive, SECRET_MAX);
    }
    return rv;
}

apr_status_t djs_keys_read(djs_ctx_t *ctx, const char *spec, djs_bytes_t *secret)
{
    return read_secret(ctx, "secret", spec, secret);
}

apr_status_t djs_keys_open(djs_ctx_t *ctx, apr_pool_t *pool, const djs_settings_t *settings,
                           djs_keyring_t **keys)
{
    const apr_array_header_t *specs = settings->secret_key_fallbacks;
    int count = specs != NULL ? specs->nelts : 0;
    djs_bytes_t *fallbacks = apr_pcalloc(ctx->pool, sizeof(*fallbacks) * (count + 1));
    djs_bytes_t key;
    apr_status_t rv;
    int i;

    if (settings->secret_key == NULL) {
        return djs_fail(ctx, DJS_EINVAL,
                        "DjangoSecretKey is not set: it is the site's SECRET_KEY, file:PATH for "
                        "example");
    }
    rv = read_secret(ctx, "DjangoSecretKey", settings->secret_key, &key);
    for (i = 0; i < count && rv == APR_SUCCESS; i++) {
        rv = read_secret(ctx, "DjangoSecretKeyFallbacks", APR_ARRAY_IDX(specs, i, const char *),
                         &fallbacks[i]);
    }
    if (rv == APR_SUCCESS) {
        *keys = djs_keyring_make(pool, key, fallbacks, count);
    }
    return rv;
}
