/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of settings.def at work. A row's kind says how its arguments are read and how its value
 * is written again (settings_kinds.c); everything else is the same for all rows.
 */
#include "settings_impl.h"

#include <stddef.h>
#include <string.h>

#include "cookie.h"
#include "export.h"
#include "hashers.h"

static const djs_setting_row_t rows[] = {
#define SETTING(ID, member, type, directive, option, kind, def, context, values, about)            \
    { DJS_SETTING_##ID, directive, option, DJS_KIND_##kind, def, context, values, about,           \
      offsetof(djs_settings_t, member), sizeof(type) },
#include "settings.def"
#undef SETTING
};

/* ---- what hosts call ---- */

const djs_setting_row_t *djs_setting_rows(void)
{
    return rows;
}

const djs_setting_row_t *djs_setting_find(const char *name)
{
    int i;

    for (i = 0; i < DJS_SETTING_COUNT; i++) {
        if (strcasecmp(rows[i].directive, name) == 0 || strcmp(rows[i].option, name) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

djs_settings_t *djs_settings_make(apr_pool_t *pool)
{
    return apr_pcalloc(pool, sizeof(djs_settings_t));
}

apr_status_t djs_settings_set(djs_ctx_t *ctx, djs_settings_t *settings,
                              const djs_setting_row_t *row, int argc, const char *const *argv)
{
    const djs_kind_t *kind = &djs_setting_kinds[row->kind];
    apr_status_t rv;

    if (argc < 1 || (argc > 1 && !kind->many)) {
        return djs_fail(ctx, DJS_EINVAL, "%s takes %s: %s", row->directive,
                        kind->many ? "one value or more" : "one value", row->values);
    }
    rv = kind->parse(ctx, row, argc, argv, (char *)settings + row->offset);
    if (rv == APR_SUCCESS) {
        settings->is_set[row->id] = 1;
    }
    return rv;
}

void djs_settings_take(djs_settings_t *to, const djs_settings_t *from,
                       const djs_setting_row_t *row)
{
    memcpy((char *)to + row->offset, (const char *)from + row->offset, row->size);
    to->is_set[row->id] = 1;
}

djs_settings_t *djs_settings_merge(apr_pool_t *pool, const djs_settings_t *outer,
                                   const djs_settings_t *inner)
{
    djs_settings_t *merged = apr_pmemdup(pool, outer, sizeof(*outer));
    int i;

    for (i = 0; i < DJS_SETTING_COUNT; i++) {
        if (inner->is_set[i]) {
            djs_settings_take(merged, inner, &rows[i]);
        }
    }
    return merged;
}

djs_settings_t *djs_settings_complete(apr_pool_t *pool, const djs_settings_t *settings)
{
    djs_settings_t *complete = apr_pmemdup(pool, settings, sizeof(*settings));
    djs_ctx_t ctx = { .pool = pool };
    int i;

    for (i = 0; i < DJS_SETTING_COUNT; i++) {
        const char *text = rows[i].default_text;

        if (!settings->is_set[i] && text) {
            /* Defaults are right: test_settings.c parses each. */
            (void)djs_setting_kinds[rows[i].kind].parse(&ctx, &rows[i], 1, &text,
                                            (char *)complete + rows[i].offset);
        }
    }
    return complete;
}

const char *djs_settings_text(apr_pool_t *pool, const djs_settings_t *settings,
                              const djs_setting_row_t *row)
{
    return djs_setting_kinds[row->kind].print(pool, row, (const char *)settings + row->offset);
}

static djs_export_conf_t *copy_export(apr_pool_t *pool, const djs_export_conf_t *conf)
{
    djs_export_conf_t *copy = apr_pmemdup(pool, conf, sizeof(*conf));
    int i;

    copy->rules = apr_array_copy(pool, conf->rules);
    for (i = 0; i < copy->rules->nelts; i++) {
        djs_export_rule_t *rule = &APR_ARRAY_IDX(copy->rules, i, djs_export_rule_t);

        rule->selector = apr_pstrdup(pool, rule->selector);
        rule->name = apr_pstrdup(pool, rule->name);
    }
    return copy;
}

static apr_array_header_t *copy_texts(apr_pool_t *pool, const apr_array_header_t *texts)
{
    apr_array_header_t *copy = apr_array_copy(pool, texts);
    int i;

    for (i = 0; i < copy->nelts; i++) {
        APR_ARRAY_IDX(copy, i, const char *)
            = apr_pstrdup(pool, APR_ARRAY_IDX(copy, i, const char *));
    }
    return copy;
}

static void copy_member(apr_pool_t *pool, djs_settings_t *settings, const djs_setting_row_t *row)
{
    void *member = (char *)settings + row->offset;

    switch (row->kind) {
    case DJS_KIND_FLAG:
    case DJS_KIND_DURATION:
    case DJS_KIND_TIMEOUT:
    case DJS_KIND_LIMIT:
    case DJS_KIND_PERIOD:
    case DJS_KIND_CHOICE:
    case DJS_KIND_NUMBER:
    case DJS_KIND_THROTTLE:
        break;
    case DJS_KIND_EXPORT:
        if (*(djs_export_conf_t **)member) {
            *(djs_export_conf_t **)member = copy_export(pool, *(djs_export_conf_t **)member);
        }
        break;
    case DJS_KIND_CACHE:
        if (*(const djs_cache_conf_t **)member) {
            *(const djs_cache_conf_t **)member
                = djs_cache_conf_copy(pool, *(const djs_cache_conf_t **)member);
        }
        break;
    case DJS_KIND_HASHERS:
        if (*(const djs_hashers_t **)member) {
            *(const djs_hashers_t **)member
                = djs_hashers_copy(pool, *(const djs_hashers_t **)member);
        }
        break;
    case DJS_KIND_SECRETS:
    case DJS_KIND_NAMES:
    case DJS_KIND_ORIGINS:
    case DJS_KIND_HOSTS:
        if (*(apr_array_header_t **)member) {
            *(apr_array_header_t **)member = copy_texts(pool, *(apr_array_header_t **)member);
        }
        break;
    default:
        *(const char **)member = apr_pstrdup(pool, *(const char **)member);
    }
}

djs_settings_t *djs_settings_copy(apr_pool_t *pool, const djs_settings_t *settings)
{
    djs_settings_t *copy = apr_pmemdup(pool, settings, sizeof(*settings));
    int i;

    for (i = 0; i < DJS_SETTING_COUNT; i++) {
        copy_member(pool, copy, &rows[i]);
    }
    return copy;
}

static int texts_equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static int lists_equal(const apr_array_header_t *a, const apr_array_header_t *b)
{
    int i;

    if (!a || !b || a->nelts != b->nelts) {
        return a == b;
    }
    for (i = 0; i < a->nelts; i++) {
        if (!texts_equal(APR_ARRAY_IDX(a, i, const char *), APR_ARRAY_IDX(b, i, const char *))) {
            return 0;
        }
    }
    return 1;
}

int djs_settings_equal(const djs_settings_t *a, const djs_settings_t *b,
                       const djs_setting_row_t *row)
{
    const char *left = (const char *)a + row->offset;
    const char *right = (const char *)b + row->offset;

    switch (row->kind) {
    case DJS_KIND_FLAG:
    case DJS_KIND_DURATION:
    case DJS_KIND_TIMEOUT:
    case DJS_KIND_LIMIT:
    case DJS_KIND_PERIOD:
    case DJS_KIND_CHOICE:
    case DJS_KIND_NUMBER:
    case DJS_KIND_THROTTLE:
    case DJS_KIND_EXPORT:
        return memcmp(left, right, row->size) == 0;
    case DJS_KIND_CACHE:
        return djs_cache_conf_equal(*(const djs_cache_conf_t *const *)left,
                                    *(const djs_cache_conf_t *const *)right);
    case DJS_KIND_HASHERS:
        return djs_hashers_equal(*(const djs_hashers_t *const *)left,
                                 *(const djs_hashers_t *const *)right);
    case DJS_KIND_SECRETS:
    case DJS_KIND_NAMES:
    case DJS_KIND_ORIGINS:
    case DJS_KIND_HOSTS:
        return lists_equal(*(apr_array_header_t *const *)left,
                           *(apr_array_header_t *const *)right);
    default:
        return texts_equal(*(const char *const *)left, *(const char *const *)right);
    }
}

/* ---- combinations ---- */

static apr_status_t check_names(djs_ctx_t *ctx, const char *directive,
                                const djs_export_conf_t *conf)
{
    int i, j;

    for (i = 0; i < conf->rules->nelts; i++) {
        const djs_export_rule_t *a = &APR_ARRAY_IDX(conf->rules, i, djs_export_rule_t);

        for (j = 0; j < i; j++) {
            const djs_export_rule_t *b = &APR_ARRAY_IDX(conf->rules, j, djs_export_rule_t);

            /* Tables of variables and of headers know no upper and lower case. */
            if (strcasecmp(a->name, b->name) == 0) {
                return djs_fail(ctx, DJS_EINVAL,
                                "%s: \"%s\" and \"%s\" would both be called %s; write "
                                "SELECTOR=NAME to give one another name",
                                directive, b->selector, a->selector, a->name);
            }
        }
    }
    return APR_SUCCESS;
}

static apr_status_t check_hashers(djs_ctx_t *ctx, const djs_settings_t *settings)
{
    djs_ctx_t aside = { .pool = ctx->pool };
    apr_status_t rv = djs_hashers_available(&aside, settings->password_hashers);

    return rv == APR_SUCCESS
               ? rv
               : djs_fail(ctx, rv, "DjangoPasswordHashers: %s; leave it out, or build the module with "
                          "it", aside.problem);
}

apr_status_t djs_settings_check(djs_ctx_t *ctx, const djs_settings_t *settings)
{
    djs_cookie_look_t look = djs_cookie_look(settings);
    apr_status_t rv;

    if (!settings->secret_key) {
        return djs_fail(ctx, DJS_EINVAL,
                        "DjangoSecretKey is missing: sessions are signed with the site's "
                        "SECRET_KEY; write DjangoSecretKey file:PATH");
    }
    if (settings->cookie_age == 0) {
        return djs_fail(ctx, DJS_EINVAL,
                        "DjangoSessionCookieAge 0: sessions would end as they begin; for cookies "
                        "that end with the browser write DjangoSessionExpireAtBrowserClose On");
    }
    if (settings->save_interval >= settings->cookie_age) {
        return djs_fail(ctx, DJS_EINVAL,
                        "DjangoSessionSaveInterval %s must be below DjangoSessionCookieAge %s: "
                        "sessions in use would end before they are saved again",
                        djs_setting_print_duration(ctx->pool, NULL, &settings->save_interval),
                        djs_setting_print_duration(ctx->pool, NULL, &settings->cookie_age));
    }
    rv = djs_cookie_check(ctx, &look, "DjangoSessionCookie");
    if (rv == APR_SUCCESS) {
        rv = check_names(ctx, "DjangoSessionEnv", settings->env);
    }
    if (rv == APR_SUCCESS) {
        rv = check_names(ctx, "DjangoSessionHeader", settings->header);
    }
    if (rv == APR_SUCCESS && settings->header_signed && settings->header->on
        && !settings->header->whole) {
        rv = djs_fail(ctx, DJS_EINVAL,
                      "DjangoSessionHeaderSigned On signs the whole session, and DjangoSessionHeader "
                      "names single values, which nobody can verify; write DjangoSessionHeader On");
    }
    /* The default may name what this build was configured without. */
    if (rv == APR_SUCCESS && settings->is_set[DJS_SETTING_PASSWORD_HASHERS]) {
        rv = check_hashers(ctx, settings);
    }
    return rv;
}
