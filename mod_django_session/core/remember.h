/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered of users for a while (DjangoUserCache), in memory that many processes share.
 *
 * It can only let somebody in. Who would be kept out by what is remembered (not active, another
 * password, a login of long ago) is looked for in the table once more; so after a change of the
 * password the new login counts at once, and old ones count until the time is over.
 *
 * The password column is not kept, but what of it a session is compared with: its session hash, one
 * for each key of the site.
 *
 * What the module itself changes is dropped. A stone then lies there for a while: who has read the
 * table before the change, and comes to note it after, finds the place taken.
 */
#ifndef DJS_REMEMBER_H
#define DJS_REMEMBER_H

#include "auth.h"

/** The memory. What fails is as if nothing were there: nobody is told. */
struct djs_shared_t {
    void *data;
    /** 1, and @a value in ctx->pool; 0: there is none. */
    int (*get)(void *data, djs_ctx_t *ctx, const char *key, djs_bytes_t *value);
    /** Where nothing is or, with @a seen, only where that is. */
    void (*put)(void *data, djs_ctx_t *ctx, const char *key, djs_bytes_t seen, djs_bytes_t value,
                apr_interval_time_t life);
    /** Whatever is there. */
    void (*set)(void *data, djs_ctx_t *ctx, const char *key, djs_bytes_t value,
                apr_interval_time_t life);
};

/** What differs between users who have the same id: which table, and which keys made the hashes. */
const char *djs_remember_scope(apr_pool_t *pool, const djs_keyring_t *keys, const char *table);

/** A user who is remembered, and not for longer than the settings allow; NULL: there is none. */
djs_user_t *djs_remember_find(djs_ctx_t *ctx, const djs_site_t *site, const char *id);

/** Remember a user as just read, if the settings say so. */
void djs_remember_note(djs_ctx_t *ctx, const djs_site_t *site, const djs_user_t *user);

/** A list of names that is the user's: 'g' groups, 'p' permissions. NULL: none is remembered. */
const apr_array_header_t *djs_remember_find_names(djs_ctx_t *ctx, const djs_site_t *site, char which,
                                                  const char *id);
void djs_remember_note_names(djs_ctx_t *ctx, const djs_site_t *site, char which, const char *id,
                             const apr_array_header_t *names);

/** The user's row was changed. */
void djs_remember_drop(djs_ctx_t *ctx, const djs_users_t *users, const char *id);

#endif
