/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a user may: the groups and permissions of django.contrib.auth, as its ModelBackend tells them.
 *
 * They are read at the first question and kept with the user, who lives as long as the request. Of
 * all of these DJS_ESTORE means that the answer is not known: nothing is to be concluded from it.
 */
#ifndef DJS_RIGHTS_H
#define DJS_RIGHTS_H

#include "auth.h"

/**
 * The user of an id, as djs_users_ops_t.find_by_id; with the groups, in one statement, where the site's
 * settings tell applications of them.
 */
apr_status_t djs_rights_find_user(djs_ctx_t *ctx, const djs_site_t *site, const char *id,
                                  djs_user_t **user) DJS_MUST_CHECK;

/**
 * Is the last login no older than @a most? What is remembered may say yes; before a no the table is
 * asked.
 */
apr_status_t djs_rights_is_recent(djs_ctx_t *ctx, const djs_site_t *site, djs_user_t *user,
                                  apr_interval_time_t most, int *is_recent) DJS_MUST_CHECK;

/** Names of the groups, of const char *, in the order of their characters' code points. */
apr_status_t djs_rights_groups(djs_ctx_t *ctx, const djs_site_t *site, djs_user_t *user,
                               const apr_array_header_t **names) DJS_MUST_CHECK;

/** The same as a JSON array, ASCII. */
apr_status_t djs_rights_groups_json(djs_ctx_t *ctx, const djs_site_t *site, djs_user_t *user,
                                    const char **json) DJS_MUST_CHECK;

/** get_all_permissions(), but of a superuser too only what tables name: "app_label.codename". */
apr_status_t djs_rights_permissions(djs_ctx_t *ctx, const djs_site_t *site, djs_user_t *user,
                                    const apr_array_header_t **names) DJS_MUST_CHECK;

/** Is the user in the group of exactly this name? */
apr_status_t djs_rights_in_group(djs_ctx_t *ctx, const djs_site_t *site, djs_user_t *user,
                                 const char *name, int *is_in) DJS_MUST_CHECK;

/** has_perm(): an active superuser has all, also what does not exist; one who is inactive has none. */
apr_status_t djs_rights_has_perm(djs_ctx_t *ctx, const djs_site_t *site, djs_user_t *user,
                                 const char *name, int *has) DJS_MUST_CHECK;

#endif
