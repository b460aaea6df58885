/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forms. The input is a Content-Type, a NUL, and a body.
 *
 *     fields    stand in the body, in order and apart from each other
 *     finding   gives the last field of a name; of a beginning of the body nothing else
 *     exchange  changes the values of a name and nothing else, whatever the fields are read as
 */
#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>

#include "fuzz.h"
#include "form.h"
#include "url.h"

#define NAME "tok"
#define VALUE "Exchanged0"

/* Beside fixed amounts, for each byte of the body. */
#define MEMORY_FACTOR 32
#define MEMORY_BASE (64 * 1024)

typedef struct field_t {
    djs_bytes_t name, value;
    int file;
} field_t;

typedef struct form_t {
    apr_pool_t *pool;
    const char *type;
    apr_array_header_t *fields;
} form_t;

static void note(void *baton, djs_bytes_t name, djs_bytes_t value, int file)
{
    form_t *form = baton;
    field_t *field = apr_array_push(form->fields);

    field->name = djs_bytes_copy(form->pool, name);
    field->value = value;
    field->file = file;
}

/* 0: it is no form. */
static int read_form(djs_ctx_t *ctx, const char *type, djs_bytes_t body, form_t *form)
{
    form->pool = ctx->pool;
    form->type = type;
    form->fields = apr_array_make(ctx->pool, 8, sizeof(field_t));
    return djs_form_each(ctx, type, body, note, form);
}

static const field_t *field_of(const form_t *form, int i)
{
    return &APR_ARRAY_IDX(form->fields, i, field_t);
}

static int is_urlencoded(const form_t *form)
{
    return strchr(form->type, '/') != NULL && form->type[strspn(form->type, " \t")] != 'm'
           && form->type[strspn(form->type, " \t")] != 'M';
}

static djs_bytes_t decoded(djs_ctx_t *ctx, const form_t *form, const field_t *field)
{
    if (field->value.data == NULL) {
        return djs_bytes("");
    }
    return is_urlencoded(form) ? djs_url_unquote_plus(ctx, field->value) : field->value;
}

static void check_places(const form_t *form, djs_bytes_t body)
{
    const char *at = body.data;
    int i;

    for (i = 0; i < form->fields->nelts; i++) {
        const field_t *field = field_of(form, i);

        FUZZ_CHECK(field->name.len <= body.len);
        if (field->value.data != NULL) {
            FUZZ_CHECK(field->value.data >= at);
            FUZZ_CHECK(field->value.data + field->value.len <= body.data + body.len);
            at = field->value.data + field->value.len;
        }
    }
}

/* Has the form a field of the name with this value? */
static int has(djs_ctx_t *ctx, const form_t *form, const char *value)
{
    int i;

    for (i = 0; i < form->fields->nelts; i++) {
        const field_t *field = field_of(form, i);

        if (!field->file && djs_bytes_is(field->name, NAME)
            && djs_bytes_is(decoded(ctx, form, field), value)) {
            return 1;
        }
    }
    return 0;
}

static void check_find(djs_ctx_t *ctx, const form_t *form, djs_bytes_t body)
{
    const char *found = djs_form_find(ctx, form->type, body, 1, NAME);
    djs_bytes_t last = { NULL, 0 };
    int i;

    for (i = 0; i < form->fields->nelts; i++) {
        const field_t *field = field_of(form, i);

        if (!field->file && djs_bytes_is(field->name, NAME)) {
            last = decoded(ctx, form, field);
            last = last.len > 0 ? last : djs_bytes("");
        }
    }
    if (last.data == NULL || (last.len > 0 && memchr(last.data, '\0', last.len) != NULL)) {
        FUZZ_CHECK(found == NULL);
        return;
    }
    FUZZ_CHECK(found != NULL && djs_bytes_is(last, found));
}

static void check_beginning(djs_ctx_t *ctx, const form_t *form, djs_bytes_t body)
{
    apr_size_t len = body.len < 400 ? 0 : body.len - 400;

    for (; len < body.len; len++) {
        const char *found = djs_form_find(ctx, form->type, djs_bytes_of(body.data, len), 0, NAME);

        FUZZ_CHECK(found == NULL || has(ctx, form, found));
    }
}

/* ---- exchanging ---- */

static int is_exchanged(const field_t *field)
{
    return !field->file && field->value.data != NULL && djs_bytes_is(field->name, NAME);
}

/* The fields, and between them what was between them. */
static void check_same_but(const form_t *before, djs_bytes_t body, const form_t *after,
                           djs_bytes_t changed)
{
    const char *at = body.data, *now = changed.data;
    int i;

    FUZZ_CHECK(before->fields->nelts == after->fields->nelts);
    for (i = 0; i < before->fields->nelts; i++) {
        const field_t *old = field_of(before, i), *new = field_of(after, i);
        apr_size_t between;

        FUZZ_CHECK(djs_bytes_equal(old->name, new->name) && old->file == new->file);
        FUZZ_CHECK((old->value.data == NULL) == (new->value.data == NULL));
        if (old->value.data == NULL) {
            continue;
        }
        between = (apr_size_t)(old->value.data - at);
        FUZZ_CHECK(between == (apr_size_t)(new->value.data - now));
        FUZZ_CHECK(memcmp(at, now, between) == 0);
        FUZZ_CHECK(is_exchanged(old) ? djs_bytes_is(new->value, VALUE)
                                     : djs_bytes_equal(old->value, new->value));
        at = old->value.data + old->value.len;
        now = new->value.data + new->value.len;
    }
    FUZZ_CHECK(djs_bytes_equal(djs_bytes_of(at, (apr_size_t)(body.data + body.len - at)),
                               djs_bytes_of(now, (apr_size_t)(changed.data + changed.len - now))));
}

static void check_exchange(djs_ctx_t *ctx, const form_t *form, djs_bytes_t body)
{
    djs_bytes_t changed = djs_form_exchange(ctx, form->type, body, NAME, VALUE);
    form_t after;
    int i, count = 0;

    for (i = 0; i < form->fields->nelts; i++) {
        count += is_exchanged(field_of(form, i));
    }
    if (count == 0) {
        FUZZ_CHECK(changed.data == body.data && changed.len == body.len);
        return;
    }
    /* In memory of just its length. */
    changed = djs_bytes_of(apr_pmemdup(ctx->pool, changed.data, changed.len), changed.len);
    FUZZ_CHECK(read_form(ctx, form->type, changed, &after));
    check_same_but(form, body, &after, changed);
}

/* ---- all of it ---- */

static void ignore(void *baton, djs_bytes_t name, djs_bytes_t value, int file)
{
    (void)baton;
    (void)name;
    (void)value;
    (void)file;
}

static void read_once(djs_ctx_t *ctx, djs_bytes_t body, void *baton)
{
    (void)djs_form_each(ctx, baton, body, ignore, NULL);
    (void)djs_form_find(ctx, baton, body, 1, NAME);
}

void fuzz_one(djs_ctx_t *ctx, djs_bytes_t bytes)
{
    const char *type = apr_pstrmemdup(ctx->pool, bytes.data, bytes.len);
    const apr_size_t len = strlen(type);
    djs_bytes_t body = djs_bytes("");
    form_t form;

    if (len < bytes.len) {
        body = djs_bytes_of(bytes.data + len + 1, bytes.len - len - 1);
    }
    FUZZ_CHECK(fuzz_memory(read_once, body, (void *)type)
               <= MEMORY_FACTOR * bytes.len + MEMORY_BASE);
    if (!read_form(ctx, type, body, &form)) {
        FUZZ_CHECK(form.fields->nelts == 0);
        FUZZ_CHECK(djs_form_find(ctx, type, body, 1, NAME) == NULL);
        return;
    }
    FUZZ_CHECK(djs_form_is_form(type));
    check_places(&form, body);
    check_find(ctx, &form, body);
    check_beginning(ctx, &form, body);
    check_exchange(ctx, &form, body);
}
