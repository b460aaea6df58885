/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes that an application asks for: parse, apply all or none, apply again.
 *
 * Operations travel, not documents, so that two requests that change one session at once both take
 * effect: after a conflict the same update is applied to what is stored now.
 *
 * Two forms (interface 2.4). Text pairs: "KEY=TEXT, KEY=TEXT", percent-decoded, stored as strings.
 * JSON objects: "{…}, {…}" with the members
 *     flush clear set setdefault delete increment append expiry test_cookie cycle_key login logout
 * applied in this order within an object; objects one after the other, the text pairs first. A
 * switch that is false does nothing; so does the deletion of what is not there. An absent key is
 * incremented from 0 and appended to as to an empty list.
 *
 * Keys that begin with "_auth_user" or "_session" are who is logged in and how long: no set,
 * setdefault, delete, increment or append reaches them, whatever DjangoSessionUpdate says.
 */
#ifndef DJS_UPDATE_H
#define DJS_UPDATE_H

#include "auth.h"
#include "session.h"

/** Most bytes of update headers in one response, all together. */
#define DJS_UPDATE_TEXT_MAX (1024 * 1024)

typedef struct djs_update_t djs_update_t;

/** An update without operations. */
djs_update_t *djs_update_make(djs_ctx_t *ctx);

/**
 * Add the text pairs of one Django-Session-Set header. White space around a pair does not belong to
 * it; a header of nothing else has none. Key and text are UTF-8 once percent-decoded.
 * DJS_EINVAL: what is wrong with it, telling the position and the operation, not the content;
 * DJS_ELIMIT: more than DJS_UPDATE_TEXT_MAX. After a failure the update is of no use.
 */
apr_status_t djs_update_parse_pairs(djs_ctx_t *ctx, djs_update_t *update, djs_bytes_t header)
    DJS_MUST_CHECK;

/** Add the objects of one Django-Session-Update header, UTF-8. Outcomes as above. */
apr_status_t djs_update_parse_json(djs_ctx_t *ctx, djs_update_t *update, djs_bytes_t header)
    DJS_MUST_CHECK;

/** No operation at all. */
int djs_update_is_empty(const djs_update_t *update);

/** Has a login or logout: needs DjangoSessionUpdate Login. */
int djs_update_has_login(const djs_update_t *update);

/** The user that the update logged in when it was applied last; NULL: none. */
const djs_user_t *djs_update_user(const djs_update_t *update);

/**
 * Apply all operations, or none: what cannot be applied (increment of a text, append to a number,
 * a login of a user that does not exist or is not active) is found before anything is changed.
 *
 * All is done on a copy first. Touches only the session object; what it owes to the engine happens
 * at djs_session_save(). May be called again, after djs_session_reload().
 * @return APR_SUCCESS; DJS_EINVAL: nothing was changed, the problem says which operation;
 *         DJS_ESTORE: session or user could not be read
 */
apr_status_t djs_update_apply(djs_ctx_t *ctx, const djs_site_t *site, djs_session_t *session,
                              djs_update_t *update) DJS_MUST_CHECK;

#endif
