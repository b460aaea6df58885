/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry of engines, and how a site is opened from its settings.
 */
#ifndef DJS_STORES_H
#define DJS_STORES_H

#include "../core/auth.h"
#include "../core/session.h"
#include "database.h"

/** Names of all engines, in one sentence for messages: "db". */
const char *djs_stores_names(apr_pool_t *pool);

/**
 * The engine that a DjangoSessionEngine value names; Django's dotted paths mean the same.
 * NULL: there is none of this name.
 */
const char *djs_stores_engine_name(const char *value);

/** Does this engine need a database, a user table aside? */
int djs_stores_needs_database(const char *engine_name);

/**
 * Open a site. Nothing is asked of the store yet: it may be down.
 *
 * @param settings  complete; must live as long as @a pool
 * @param database  for the db engine and the user table; NULL: there is none
 * @return APR_SUCCESS; DJS_EINVAL: secret not to be had, unknown zone, engine without its store:
 *         the problem names the directive
 */
apr_status_t djs_stores_open(djs_ctx_t *ctx, apr_pool_t *pool, const djs_settings_t *settings,
                             djs_database_t *database, djs_site_t **site) DJS_MUST_CHECK;

/**
 * The same around an engine that the host got elsewhere, from another module: its records are the
 * site's signed texts. A database is for the user table only; NULL: there is none.
 */
apr_status_t djs_stores_open_around(djs_ctx_t *ctx, apr_pool_t *pool,
                                    const djs_settings_t *settings, djs_database_t *database,
                                    djs_engine_t *engine, djs_site_t **site) DJS_MUST_CHECK;

/** Engine db on a table that Django migrated. */
apr_status_t djs_engine_db_open(djs_ctx_t *ctx, apr_pool_t *pool, const djs_settings_t *settings,
                                const djs_zone_t *zone, djs_database_t *database,
                                djs_engine_t **engine) DJS_MUST_CHECK;

/**
 * The engine signed_cookies (DJS_WIRE_COOKIE) or encrypted_cookies (DJS_WIRE_SEALED); what they keep
 * is in a wire of that layout.
 */
djs_engine_t *djs_engine_cookies_make(apr_pool_t *pool, djs_wire_layout_t layout);

/** Users in Django's tables. */
apr_status_t djs_users_db_open(djs_ctx_t *ctx, apr_pool_t *pool, const djs_settings_t *settings,
                               const djs_zone_t *zone, djs_database_t *database,
                               djs_users_t **users) DJS_MUST_CHECK;

/**
 * A site as a section of the configuration sees it: what was opened once, with the section's own
 * settings. Keeps both in @a pool by reference.
 */
djs_site_t *djs_stores_view(apr_pool_t *pool, const djs_site_t *store,
                            const djs_settings_t *settings);

/** Are the records of one view those of the other? Files are called after the section's cookie. */
int djs_stores_same(const djs_site_t *a, const djs_site_t *b);

#endif
