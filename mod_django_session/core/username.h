/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The name that somebody typed, as the field of Django's login form has it (UsernameField): less the
 * white space around it, and in Unicode's form NFKC, in which Django keeps names. So an "e" with an
 * accent behind it is the letter with the accent, and full-width digits are digits.
 *
 * Names that programs give (Django-Session-Update: login, djsession) are taken as they are, as
 * get_by_natural_key() takes them.
 */
#ifndef DJS_USERNAME_H
#define DJS_USERNAME_H

#include "djs.h"

/** Longer ones are nobody's, in bytes. */
#define DJS_USERNAME_MAX 1024

/**
 * The name to look for. In @a pool, or @a typed itself: as it is when it is over DJS_USERNAME_MAX or no
 * UTF-8.
 *
 * Characters follow the Unicode version of utf8proc. One that it has and the site's Python has not, or
 * the reverse, matters only if it has another form, as few of the newest have. Django does not change
 * names that are longer than its column, which are nobody's; we do not know the column.
 */
const char *djs_username_clean(apr_pool_t *pool, const char *typed);

/**
 * The same for all names that a database may take for one: without case, accents, and what is not seen.
 * To count by, not to look for. In @a pool.
 */
const char *djs_username_fold(apr_pool_t *pool, const char *name);

#endif
