/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entry is a row of texts, each with a NUL behind it; numbers are decimal:
 *
 *     u…  since, active, staff, superuser, last login, id, username, email, name,
 *         how many hashes, each hash, "+" and how many groups, each group; or "?" when those are not
 *         known, "!" when they cannot be read
 *     g…  since, how many, each group
 *     p…  since, how many, each permission
 *
 * Nothing, an entry without a byte, is the stone.
 */
#include "remember.h"

#include <stdlib.h>
#include <string.h>

#include "password.h"

/* Count up when entries change: memory outlives this code. */
#define VERSION "1"
/* An entry of more is not worth its place. */
#define ENTRY_MAX 65536
/* An id of more is none that we would have to remember. */
#define ID_MAX 200
/* Longer than a request is between reading and noting. */
#define STONE_LIFE apr_time_from_sec(60)

const char *djs_remember_scope(apr_pool_t *pool, const djs_keyring_t *keys, const char *table)
{
    const char *scope = table;
    int i;

    for (i = 0; scope != NULL && i < djs_keyring_count(keys); i++) {
        scope = djs_password_session_hash(pool, DJS_HMAC_SHA256, djs_keyring_key(keys, i), scope);
    }
    return scope;
}

static const char *key_of(djs_ctx_t *ctx, const djs_users_t *users, char which, const char *id)
{
    const char kind[] = { which, '\0' };

    return apr_pstrcat(ctx->pool, kind, VERSION ":", users->scope, ":", id, NULL);
}

static int is_on(const djs_site_t *site, const char *id)
{
    return site->settings->user_cache > 0 && site->users != NULL && site->users->shared != NULL
           && site->users->scope != NULL && strlen(id) <= ID_MAX;
}

/* ---- Reading --------------------------------------------------------------------------------- */

typedef struct reader_t {
    const char *at;
    const char *end;
    int failed;
} reader_t;

static const char *read_text(reader_t *reader)
{
    const char *text = reader->at;
    const char *nul = reader->at < reader->end
                          ? memchr(reader->at, '\0', (size_t)(reader->end - reader->at)) : NULL;

    if (nul == NULL) {
        reader->failed = 1;
        return "";
    }
    reader->at = nul + 1;
    return text;
}

/* As write_number() has it. Most of an entry is numbers, and each request reads one. */
static apr_int64_t read_number(reader_t *reader)
{
    const char *text = read_text(reader);
    const int negative = *text == '-';
    apr_uint64_t number = 0;

    for (text += negative; *text >= '0' && *text <= '9'; text++) {
        number = number * 10 + (apr_uint64_t)(*text - '0');
    }
    reader->failed |= *text != '\0';
    return (apr_int64_t)(negative ? 0 - number : number);
}

static apr_array_header_t *read_list(djs_ctx_t *ctx, reader_t *reader)
{
    apr_array_header_t *list = apr_array_make(ctx->pool, 4, sizeof(const char *));
    apr_int64_t count = read_number(reader);

    for (; count > 0 && !reader->failed; count--) {
        APR_ARRAY_PUSH(list, const char *) = read_text(reader);
    }
    return list;
}

/* Begin to read what is under a key, if it is young enough. */
static int begin(djs_ctx_t *ctx, const djs_site_t *site, const char *key, reader_t *reader)
{
    const struct djs_shared_t *shared = site->users->shared;
    djs_bytes_t value;
    apr_time_t since;

    if (!shared->get(shared->data, ctx, key, &value) || value.len == 0) {
        return 0;
    }
    reader->at = value.data;
    reader->end = value.data + value.len;
    reader->failed = 0;
    since = read_number(reader);
    return !reader->failed && since <= ctx->now && ctx->now - since < site->settings->user_cache;
}

static void read_groups(djs_ctx_t *ctx, reader_t *reader, djs_user_t *user)
{
    const char *kind = read_text(reader);

    user->lacks_groups = *kind == '!';
    if (*kind == '+') {
        user->groups = read_list(ctx, reader);
    }
}

djs_user_t *djs_remember_find(djs_ctx_t *ctx, const djs_site_t *site, const char *id)
{
    const apr_array_header_t *hashes;
    djs_user_t *user;
    reader_t reader;

    if (!is_on(site, id) || !begin(ctx, site, key_of(ctx, site->users, 'u', id), &reader)) {
        return NULL;
    }
    user = apr_pcalloc(ctx->pool, sizeof(*user));
    user->is_active = read_number(&reader) != 0;
    user->is_staff = read_number(&reader) != 0;
    user->is_superuser = read_number(&reader) != 0;
    user->last_login = read_number(&reader);
    user->id = read_text(&reader);
    user->username = read_text(&reader);
    user->email = read_text(&reader);
    user->name = read_text(&reader);
    user->password = "";
    hashes = read_list(ctx, &reader);
    user->hashes = (const char *const *)hashes->elts;
    read_groups(ctx, &reader, user);
    return !reader.failed && hashes->nelts == djs_keyring_count(site->keys) ? user : NULL;
}

const apr_array_header_t *djs_remember_find_names(djs_ctx_t *ctx, const djs_site_t *site, char which,
                                                  const char *id)
{
    const apr_array_header_t *names;
    reader_t reader;

    if (!is_on(site, id) || !begin(ctx, site, key_of(ctx, site->users, which, id), &reader)) {
        return NULL;
    }
    names = read_list(ctx, &reader);
    return reader.failed ? NULL : names;
}

/* ---- Writing --------------------------------------------------------------------------------- */

typedef struct writer_t {
    apr_pool_t *pool;
    apr_array_header_t *texts;
    apr_size_t len;
} writer_t;

static void write_text(writer_t *writer, const char *text)
{
    APR_ARRAY_PUSH(writer->texts, const char *) = text;
    writer->len += strlen(text) + 1;
}

static void write_number(writer_t *writer, apr_int64_t number)
{
    write_text(writer, apr_psprintf(writer->pool, "%" APR_INT64_T_FMT, number));
}

static void write_list(writer_t *writer, const apr_array_header_t *list)
{
    int i;

    write_number(writer, list->nelts);
    for (i = 0; i < list->nelts; i++) {
        write_text(writer, APR_ARRAY_IDX(list, i, const char *));
    }
}

static writer_t begin_entry(djs_ctx_t *ctx)
{
    writer_t writer = { ctx->pool, apr_array_make(ctx->pool, 24, sizeof(const char *)), 0 };

    write_number(&writer, ctx->now);
    return writer;
}

/* A stone keeps its place; an older entry has to be the one that we see. */
static void store(djs_ctx_t *ctx, const djs_site_t *site, const char *key, const writer_t *writer)
{
    const struct djs_shared_t *shared = site->users->shared;
    djs_bytes_t seen = djs_bytes(NULL);
    char *value, *out;
    int i;

    if (writer->len > ENTRY_MAX
        || (shared->get(shared->data, ctx, key, &seen) && seen.len == 0)) {
        return;
    }
    value = out = apr_palloc(ctx->pool, writer->len);
    for (i = 0; i < writer->texts->nelts; i++) {
        const char *text = APR_ARRAY_IDX(writer->texts, i, const char *);
        apr_size_t size = strlen(text) + 1;

        memcpy(out, text, size);
        out += size;
    }
    shared->put(shared->data, ctx, key, seen, djs_bytes_of(value, writer->len),
                site->settings->user_cache);
}

static int write_hashes(writer_t *writer, const djs_site_t *site, const djs_user_t *user)
{
    int i, count = djs_keyring_count(site->keys);

    write_number(writer, count);
    for (i = 0; i < count; i++) {
        const char *hash = djs_password_session_hash(writer->pool, DJS_HMAC_SHA256,
                                                     djs_keyring_key(site->keys, i), user->password);

        if (hash == NULL) {
            return 0;
        }
        write_text(writer, hash);
    }
    return 1;
}

void djs_remember_note(djs_ctx_t *ctx, const djs_site_t *site, const djs_user_t *user)
{
    writer_t writer;

    if (!is_on(site, user->id)) {
        return;
    }
    writer = begin_entry(ctx);
    write_number(&writer, user->is_active);
    write_number(&writer, user->is_staff);
    write_number(&writer, user->is_superuser);
    write_number(&writer, user->last_login);
    write_text(&writer, user->id);
    write_text(&writer, user->username);
    write_text(&writer, user->email);
    write_text(&writer, user->name);
    if (!write_hashes(&writer, site, user)) {
        return;
    }
    write_text(&writer, user->groups != NULL ? "+" : user->lacks_groups ? "!" : "?");
    if (user->groups != NULL) {
        write_list(&writer, user->groups);
    }
    store(ctx, site, key_of(ctx, site->users, 'u', user->id), &writer);
}

void djs_remember_note_names(djs_ctx_t *ctx, const djs_site_t *site, char which, const char *id,
                             const apr_array_header_t *names)
{
    writer_t writer;

    if (is_on(site, id)) {
        writer = begin_entry(ctx);
        write_list(&writer, names);
        store(ctx, site, key_of(ctx, site->users, which, id), &writer);
    }
}

void djs_remember_drop(djs_ctx_t *ctx, const djs_users_t *users, const char *id)
{
    if (users->shared != NULL && users->scope != NULL && strlen(id) <= ID_MAX) {
        users->shared->set(users->shared->data, ctx, key_of(ctx, users, 'u', id), djs_bytes(""),
                           STONE_LIFE);
    }
}
