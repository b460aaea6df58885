/* SPDX-License-Identifier: Apache-2.0 */
#include "rights.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "remember.h"

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* In order, each once. */
static const apr_array_header_t *sorted(apr_pool_t *pool, const apr_array_header_t *names)
{
    apr_array_header_t *copy = apr_array_copy(pool, names);
    const char **texts = (const char **)copy->elts;
    int i, kept = 0;

    qsort(copy->elts, (size_t)copy->nelts, sizeof(const char *), compare);
    for (i = 0; i < copy->nelts; i++) {
        if (kept == 0 || strcmp(texts[kept - 1], texts[i]) != 0) {
            texts[kept++] = texts[i];
        }
    }
    copy->nelts = kept;
    return copy;
}

static int is_among(const apr_array_header_t *names, const char *name)
{
    return names->nelts > 0
           && bsearch(&name, names->elts, (size_t)names->nelts, sizeof(const char *), compare) != NULL;
}

/* Where they are told to applications it costs least to read them at once. */
static int tells_groups(const djs_settings_t *settings)
{
    return (settings->env != NULL && settings->env->on)
           || (settings->header != NULL && settings->header->on);
}

apr_status_t djs_rights_find_user(djs_ctx_t *ctx, const djs_site_t *site, const char *id,
                                  djs_user_t **user)
{
    const djs_users_ops_t *ops = site->users->ops;
    int with_groups = tells_groups(site->settings) && ops->find_with_groups != NULL;
    apr_status_t rv = with_groups ? ops->find_with_groups(site->users, ctx, id, user)
                                  : ops->find_by_id(site->users, ctx, id, user);

    if (rv == APR_SUCCESS && (*user)->groups != NULL) {
        (*user)->groups = sorted(ctx->pool, (*user)->groups);
    }
    if (rv == APR_SUCCESS) {
        djs_remember_note(ctx, site, *user);
    }
    return rv;
}

apr_status_t djs_rights_is_recent(djs_ctx_t *ctx, const djs_site_t *site, djs_user_t *user,
                                  apr_interval_time_t most, int *is_recent)
{
    djs_user_t *fresh = NULL;
    apr_status_t rv = APR_SUCCESS;

    *is_recent = user->last_login != 0 && ctx->now - user->last_login <= most;
    if (!*is_recent && user->hashes != NULL) {
        rv = djs_rights_find_user(ctx, site, user->id, &fresh);
        user->last_login = rv == APR_SUCCESS ? fresh->last_login : 0;
        *is_recent = user->last_login != 0 && ctx->now - user->last_login <= most;
    }
    return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
}

/* Once a user: @a kept is where the answer stays. */
static apr_status_t ask(djs_ctx_t *ctx, const djs_site_t *site, const djs_user_t *user, char which,
                        apr_status_t (*op)(djs_users_t *users, djs_ctx_t *ctx, const char *id,
                                           apr_array_header_t **names),
                        const apr_array_header_t **kept)
{
    apr_array_header_t *names;
    apr_status_t rv = APR_SUCCESS;

    if (*kept == NULL) {
        *kept = djs_remember_find_names(ctx, site, which, user->id);
    }
    if (*kept == NULL) {
        rv = op(site->users, ctx, user->id, &names);
        if (rv == APR_SUCCESS) {
            *kept = sorted(ctx->pool, names);
            djs_remember_note_names(ctx, site, which, user->id, *kept);
        }
    }
    return rv;
}

apr_status_t djs_rights_groups(djs_ctx_t *ctx, const djs_site_t *site, djs_user_t *user,
                               const apr_array_header_t **names)
{
    apr_status_t rv = ask(ctx, site, user, 'g', site->users->ops->groups, &user->groups);

    *names = user->groups;
    return rv;
}

apr_status_t djs_rights_groups_json(djs_ctx_t *ctx, const djs_site_t *site, djs_user_t *user,
                                    const char **json)
{
    const apr_array_header_t *names;
    djs_value_t *list = djs_value_make_list(ctx->pool);
    apr_status_t rv = djs_rights_groups(ctx, site, user, &names);
    int i;

    for (i = 0; rv == APR_SUCCESS && i < names->nelts; i++) {
        djs_value_append(list, djs_value_make_str(ctx->pool,
                                                  djs_bytes(APR_ARRAY_IDX(names, i, const char *))));
    }
    *json = rv == APR_SUCCESS ? djs_json_dumps(ctx, DJS_JSON_COMPACT, list).data : NULL;
    return rv;
}

apr_status_t djs_rights_permissions(djs_ctx_t *ctx, const djs_site_t *site, djs_user_t *user,
                                    const apr_array_header_t **names)
{
    apr_status_t rv = ask(ctx, site, user, 'p', site->users->ops->permissions,
                          &user->permissions);

    *names = user->permissions;
    return rv;
}

apr_status_t djs_rights_in_group(djs_ctx_t *ctx, const djs_site_t *site, djs_user_t *user,
                                 const char *name, int *is_in)
{
    const apr_array_header_t *names;
    apr_status_t rv = djs_rights_groups(ctx, site, user, &names);

    *is_in = rv == APR_SUCCESS && is_among(names, name);
    return rv;
}

apr_status_t djs_rights_has_perm(djs_ctx_t *ctx, const djs_site_t *site, djs_user_t *user,
                                 const char *name, int *has)
{
    const apr_array_header_t *names;
    apr_status_t rv;

    *has = user->is_active && user->is_superuser;
    if (*has || !user->is_active) {
        return APR_SUCCESS;
    }
    rv = djs_rights_permissions(ctx, site, user, &names);
    *has = rv == APR_SUCCESS && is_among(names, name);
    return rv;
}
