/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cookies. The input is a Cookie header; behind its first NUL, if there is one, is what somebody would
 * like to have in a Set-Cookie, and how he changes a cookie of ours.
 *
 *     reading   what is found is in the header, as the whole reading of it says; what was removed is not
 *               there any more, and all else still is
 *     writing   a value stays a value: no line ends, no further attributes; and comes back the same
 *     sessions  in cookies, signed and sealed: nobody's is taken for ours, ours is found among theirs,
 *               and one of ours that was changed is either refused or still says the same
 */
#include <string.h>

#include "fuzz.h"
#include "encode.h"
#include "memory_engine.h"
#include "middleware.h"
#include "stores.h"

#define NAME "sessionid"

/* ---- Reading --------------------------------------------------------------------------------- */

static int is_in(djs_bytes_t name, const char *const *names, int count)
{
    int i;

    for (i = 0; i < count && !djs_bytes_is(name, names[i]); i++) {
    }
    return i < count;
}

/* The value that the dict of all cookies has; 0: none. */
static int look_up(const apr_array_header_t *pairs, const char *name, djs_bytes_t *value)
{
    int i;

    for (i = 0; i < pairs->nelts; i += 2) {
        if (djs_bytes_is(APR_ARRAY_IDX(pairs, i, djs_bytes_t), name)) {
            *value = APR_ARRAY_IDX(pairs, i + 1, djs_bytes_t);
            return 1;
        }
    }
    return 0;
}

static void check_find(djs_ctx_t *ctx, const char *header)
{
    const apr_array_header_t *values = djs_cookie_find(ctx, header, NAME);
    const apr_array_header_t *pairs = djs_cookie_parse(ctx, djs_bytes(header));
    const int plain = strpbrk(header, "\"\\") == NULL && djs_utf8_is_valid(djs_bytes(header));
    djs_bytes_t value = { NULL, 0 };
    int i;

    FUZZ_CHECK(values->nelts <= DJS_COOKIE_CANDIDATES_MAX);
    FUZZ_CHECK(look_up(pairs, NAME, &value) == (values->nelts > 0));
    if (values->nelts > 0) {
        FUZZ_CHECK(djs_bytes_is(value, APR_ARRAY_IDX(values, 0, const char *)) ||
                   memchr(value.data, '\0', value.len) != NULL);
    }
    for (i = 0; i < values->nelts; i++) {
        const char *found = APR_ARRAY_IDX(values, i, const char *);

        FUZZ_CHECK(djs_utf8_is_valid(djs_bytes(found)));
        FUZZ_CHECK(strlen(found) <= 3 * strlen(header)); /* all of it replaced by U+FFFD */
        FUZZ_CHECK(!plain || strstr(header, found) != NULL);
    }
}

static void check_remove(djs_ctx_t *ctx, const char *header)
{
    static const char *const names[] = { NAME, "csrftoken" };
    const char *left = djs_cookie_remove(ctx, header, names, 2);
    const apr_array_header_t *before = djs_cookie_parse(ctx, djs_bytes(header));
    const apr_array_header_t *after = djs_cookie_parse(ctx, djs_bytes(left));
    int i, at = 0;

    FUZZ_CHECK(djs_cookie_find(ctx, left, names[0])->nelts == 0);
    FUZZ_CHECK(djs_cookie_find(ctx, left, names[1])->nelts == 0);
    for (i = 0; i < before->nelts; i += 2) {
        if (!is_in(APR_ARRAY_IDX(before, i, djs_bytes_t), names, 2)) {
            FUZZ_CHECK(at + 1 < after->nelts);
            FUZZ_CHECK(djs_bytes_equal(APR_ARRAY_IDX(before, i, djs_bytes_t),
                                       APR_ARRAY_IDX(after, at, djs_bytes_t)));
            FUZZ_CHECK(djs_bytes_equal(APR_ARRAY_IDX(before, i + 1, djs_bytes_t),
                                       APR_ARRAY_IDX(after, at + 1, djs_bytes_t)));
            at += 2;
        }
    }
    FUZZ_CHECK(at == after->nelts);
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* Nothing that ends a line or a header. */
static void check_line(const char *line)
{
    const unsigned char *c;

    for (c = (const unsigned char *)line; *c != '\0'; c++) {
        FUZZ_CHECK(*c >= 0x20 && *c != 0x7f);
    }
    FUZZ_CHECK(djs_cookie_line_is(line, NAME));
}

static void check_set(djs_ctx_t *ctx, const djs_settings_t *settings, const char *value)
{
    const djs_cookie_life_t life = { 0, apr_time_from_sec(60) };
    const char *line = djs_cookie_set(ctx, settings, 1, value, life);
    const char *plain = djs_cookie_set(ctx, settings, 1, "plain", life);
    const char *end = strchr(line, ';');
    const apr_array_header_t *back;

    check_line(line);
    FUZZ_CHECK(end != NULL && strcmp(end, strchr(plain, ';')) == 0);
    if (djs_utf8_is_valid(djs_bytes(value))) {
        back = djs_cookie_find(ctx, apr_pstrmemdup(ctx->pool, line, (apr_size_t)(end - line)), NAME);
        FUZZ_CHECK(back->nelts == 1 && strcmp(APR_ARRAY_IDX(back, 0, const char *), value) == 0);
    }
}

/* ---- Sessions in cookies --------------------------------------------------------------------- */

static memory_site_t *site_of(djs_ctx_t *ctx, djs_wire_layout_t layout)
{
    const djs_keyring_t *keys = djs_keyring_make(ctx->pool, djs_bytes("fuzz"), NULL, 0);
    memory_site_t *site = memory_site_make_with(ctx->pool, keys);

    site->site.engine = djs_engine_cookies_make(ctx->pool, layout);
    site->site.wire = djs_wire_make(ctx->pool, keys, layout, NULL);
    return site;
}

static djs_middleware_t *begin(djs_ctx_t *ctx, const memory_site_t *site, const char *header,
                               djs_session_status_t *status)
{
    djs_middleware_t *mw = djs_middleware_begin(ctx, &site->site, header);

    FUZZ_CHECK(djs_session_load(ctx, mw->session) == APR_SUCCESS);
    *status = djs_session_status(mw->session);
    return mw;
}

/* Somebody's header: no session, and a visit makes one. "NAME=VALUE" of the cookie that is sent. */
static const char *check_visit(djs_ctx_t *ctx, const memory_site_t *site, const char *header)
{
    djs_session_status_t status;
    djs_middleware_t *mw = begin(ctx, site, header, &status);
    djs_answer_t answer;

    FUZZ_CHECK(status != DJS_SESSION_ACTIVE);
    FUZZ_CHECK(djs_value_len(djs_session_data(ctx, mw->session)) == 0);
    djs_session_set(ctx, mw->session, djs_bytes("ours"), djs_value_make_int(ctx->pool, 1));
    FUZZ_CHECK(djs_middleware_finish(ctx, mw, 200, 1, NULL, 0, &answer) == APR_SUCCESS);
    FUZZ_CHECK(answer.set_cookie != NULL && answer.saved && answer.status == 0);
    check_line(answer.set_cookie);
    return apr_pstrmemdup(ctx->pool, answer.set_cookie, strcspn(answer.set_cookie, ";"));
}

static void check_is_ours(djs_ctx_t *ctx, const memory_site_t *site, const char *header)
{
    djs_session_status_t status;
    djs_middleware_t *mw = begin(ctx, site, header, &status);

    FUZZ_CHECK(status == DJS_SESSION_ACTIVE);
    FUZZ_CHECK(djs_session_has_key(ctx, mw->session, djs_bytes("ours")));
}

/* @a how: places and what is done to the characters there. */
static void check_changed(djs_ctx_t *ctx, const memory_site_t *site, const char *cookie,
                          djs_bytes_t how)
{
    const djs_wire_t *wire = djs_wire_for(ctx->pool, site->site.wire, NAME);
    djs_bytes_t value = djs_bytes_copy(ctx->pool, djs_bytes(strchr(cookie, '=') + 1));
    char *changed = (char *)value.data;
    djs_value_t *found;
    apr_size_t i;

    for (i = 0; i + 1 < how.len; i += 2) {
        changed[(unsigned char)how.data[i] % value.len] ^= how.data[i + 1];
    }
    if (djs_wire_inspect(ctx, wire, value, &found, NULL) == APR_SUCCESS) {
        FUZZ_CHECK(djs_value_len(found) == 1 && djs_value_get(found, djs_bytes("ours")) != NULL);
    }
    djs_forget(ctx);
}

static void check_sessions(djs_ctx_t *ctx, djs_wire_layout_t layout, const char *header,
                           djs_bytes_t how)
{
    const memory_site_t *site = site_of(ctx, layout);
    const char *ours = check_visit(ctx, site, header);

    check_is_ours(ctx, site, apr_pstrcat(ctx->pool, header, ";", ours, NULL));
    if (djs_cookie_find(ctx, header, NAME)->nelts < DJS_COOKIE_CANDIDATES_MAX) {
        check_is_ours(ctx, site, apr_pstrcat(ctx->pool, ours, ";", header, NULL));
    }
    check_changed(ctx, site, ours, how);
}

void fuzz_one(djs_ctx_t *ctx, djs_bytes_t bytes)
{
    const char *header = apr_pstrmemdup(ctx->pool, bytes.data, bytes.len);
    const apr_size_t len = strlen(header);
    djs_bytes_t rest = len < bytes.len ? djs_bytes_of(header + len + 1, bytes.len - len - 1)
                                       : djs_bytes(header);

    check_find(ctx, header);
    check_remove(ctx, header);
    check_set(ctx, &memory_site_make(ctx->pool)->settings, rest.data);
    check_sessions(ctx, DJS_WIRE_COOKIE, header, rest);
    check_sessions(ctx, DJS_WIRE_SEALED, header, rest);
}
