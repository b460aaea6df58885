/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings: one row of settings.def per directive, and what all hosts do with the rows.
 *
 * A section's settings hold, for each row, a value and whether it was set there. "Set" is a bit of
 * its own, so that writing the default in an inner section undoes an outer value. Defaults are put
 * in once, at the end (djs_settings_complete), never before merging.
 *
 * Values are judged when parsed (djs_settings_set), combinations in djs_settings_check. Reading
 * what file:, env: and exec: name is I/O and belongs to the store (keys.h).
 */
#ifndef DJS_SETTINGS_H
#define DJS_SETTINGS_H

#include <apr_tables.h>

#include "cache_url.h"
#include "djs.h"
#include "hashers.h"

/** Longest duration: 100 years. An end of life stays within the years that Python can write. */
#define DJS_DURATION_MAX (apr_time_from_sec(APR_INT64_C(36500) * 86400))

/** One selected value of DjangoSessionEnv or DjangoSessionHeader. */
typedef struct djs_export_rule_t {
    const char *selector;
    const char *name; /* variable or header name, given or made from the selector */
} djs_export_rule_t;

/** DjangoSessionEnv, DjangoSessionHeader. */
typedef struct djs_export_conf_t {
    int on;    /* status and user facts, and, with whole, the session as JSON */
    int whole; /* On was said: the whole session */
    apr_array_header_t *rules; /* of djs_export_rule_t; never NULL */
} djs_export_conf_t;

/** How often something may be tried. */
typedef struct djs_rate_t {
    apr_int64_t count;        /* 0: any number of times */
    apr_interval_time_t span; /* in so much time */
} djs_rate_t;

/** DjangoLoginThrottle. */
typedef struct djs_throttle_conf_t {
    djs_rate_t account;
    djs_rate_t address;
} djs_throttle_conf_t;

/* CHOICE values, in the order of the words in their rows. */
typedef enum { DJS_ON_STORE_ERROR_DENY, DJS_ON_STORE_ERROR_ANONYMOUS } djs_on_store_error_t;
typedef enum { DJS_SERIALIZER_JSON, DJS_SERIALIZER_PICKLE } djs_serializer_t;
typedef enum { DJS_SECURE_OFF, DJS_SECURE_ON, DJS_SECURE_AUTO } djs_secure_t;
typedef enum {
    DJS_SAMESITE_OFF,
    DJS_SAMESITE_LAX,
    DJS_SAMESITE_STRICT,
    DJS_SAMESITE_NONE
} djs_samesite_t;
typedef enum { DJS_UPDATE_OFF, DJS_UPDATE_ON, DJS_UPDATE_LOGIN } djs_update_right_t;
typedef enum {
    DJS_UNAUTHENTICATED_AUTO,
    DJS_UNAUTHENTICATED_REDIRECT,
    DJS_UNAUTHENTICATED_401,
    DJS_UNAUTHENTICATED_PASS
} djs_unauthenticated_t;
typedef enum {
    DJS_REMOTE_USER_USERNAME,
    DJS_REMOTE_USER_ID,
    DJS_REMOTE_USER_EMAIL
} djs_remote_user_t;
typedef enum { DJS_CSRF_MODE_OFF, DJS_CSRF_MODE_ORIGIN, DJS_CSRF_MODE_ON } djs_csrf_mode_t;

typedef enum djs_setting_id_t {
#define SETTING(ID, member, type, directive, option, kind, def, context, values, about) \
    DJS_SETTING_##ID,
#include "settings.def"
#undef SETTING
    DJS_SETTING_COUNT
} djs_setting_id_t;

/** The settings of one section, or the complete ones of a request. */
typedef struct djs_settings_t {
#define SETTING(ID, member, type, directive, option, kind, def, context, values, about) type member;
#include "settings.def"
#undef SETTING
    unsigned char is_set[DJS_SETTING_COUNT];
} djs_settings_t;

/** May a value of this kind be made of several arguments? */
#define DJS_KIND_IS_MANY(kind)                                                                     \
    ((kind) == DJS_KIND_SECRETS || (kind) == DJS_KIND_NAMES || (kind) == DJS_KIND_ORIGINS          \
     || (kind) == DJS_KIND_HOSTS                                                                   \
     || (kind) == DJS_KIND_EXPORT || (kind) == DJS_KIND_CACHE || (kind) == DJS_KIND_HASHERS        \
     || (kind) == DJS_KIND_THROTTLE)

typedef enum djs_setting_kind_t {
    DJS_KIND_FLAG,
    DJS_KIND_DURATION,
    DJS_KIND_TIMEOUT,
    DJS_KIND_LIMIT,
    DJS_KIND_PERIOD,
    DJS_KIND_CHOICE,
    DJS_KIND_TOKEN,
    DJS_KIND_COOKIE_NAME,
    DJS_KIND_COOKIE_PATH,
    DJS_KIND_COOKIE_DOMAIN,
    DJS_KIND_PARAM,
    DJS_KIND_TABLE,
    DJS_KIND_IDENTIFIER,
    DJS_KIND_URL,
    DJS_KIND_NAME,
    DJS_KIND_PATH,
    DJS_KIND_SECRET,
    DJS_KIND_SECRETS,
    DJS_KIND_NAMES,
    DJS_KIND_ORIGINS,
    DJS_KIND_HOSTS,
    DJS_KIND_EXPORT,
    DJS_KIND_CACHE,
    DJS_KIND_HASHERS,
    DJS_KIND_NUMBER,
    DJS_KIND_THROTTLE,
    DJS_KIND_COUNT
} djs_setting_kind_t;

/** A row, for hosts that make directives, options and tables of them. */
typedef struct djs_setting_row_t {
    djs_setting_id_t id;
    const char *directive;      /* "DjangoSessionCookieAge" */
    const char *option;         /* "session-cookie-age": djsession's, without the dashes before */
    djs_setting_kind_t kind;
    const char *default_text;   /* NULL: none */
    const char *context;        /* letters of SVDH */
    const char *values;         /* syntax */
    const char *about;
    apr_size_t offset, size;    /* of the member in djs_settings_t */
} djs_setting_row_t;

/** All rows, DJS_SETTING_COUNT of them, in the order of settings.def. */
const djs_setting_row_t *djs_setting_rows(void);

/** The row of a directive (any case) or option name; NULL when there is none. */
const djs_setting_row_t *djs_setting_find(const char *name);

/** Nothing set. */
djs_settings_t *djs_settings_make(apr_pool_t *pool);

/**
 * Parse a directive's arguments into a section.
 * DJS_EINVAL: ctx->problem names the directive, the value (never a secret) and what is allowed.
 */
apr_status_t djs_settings_set(djs_ctx_t *ctx, djs_settings_t *settings,
                              const djs_setting_row_t *row, int argc, const char *const *argv)
    DJS_MUST_CHECK;

/** The inner section's values where set, else the outer's. That is the whole merge. */
djs_settings_t *djs_settings_merge(apr_pool_t *pool, const djs_settings_t *outer,
                                   const djs_settings_t *inner);

/** A copy with the default of every row that is not set. is_set stays as it was. */
djs_settings_t *djs_settings_complete(apr_pool_t *pool, const djs_settings_t *settings);

/**
 * Can complete settings work together: SameSite=None without Secure, a `__Host-` name with a Domain
 * or another path, no secret key, two selectors with one name, … DJS_EINVAL: the problem names the
 * directives and what to do.
 */
apr_status_t djs_settings_check(djs_ctx_t *ctx, const djs_settings_t *settings) DJS_MUST_CHECK;

/**
 * A row's value as it would stand in the configuration; secrets masked. In @a pool. NULL: it has
 * none, which cannot be written.
 */
const char *djs_settings_text(apr_pool_t *pool, const djs_settings_t *settings,
                              const djs_setting_row_t *row);

/** Take over the value of one row, and that it is set; borrowed. */
void djs_settings_take(djs_settings_t *to, const djs_settings_t *from,
                       const djs_setting_row_t *row);

/** A copy that shares nothing with the original. */
djs_settings_t *djs_settings_copy(apr_pool_t *pool, const djs_settings_t *settings);

/** Do both have the same value in this row? An EXPORT is equal only to itself. */
int djs_settings_equal(const djs_settings_t *a, const djs_settings_t *b,
                       const djs_setting_row_t *row);

/**
 * "30s" "15min" "15m" "12h" "14d" "2w" "250ms" or bare seconds, at most DJS_DURATION_MAX.
 * DJS_EINVAL for anything else: signs, spaces, fractions, no number, no such unit.
 */
apr_status_t djs_duration_parse(djs_ctx_t *ctx, const char *text, apr_interval_time_t *duration)
    DJS_MUST_CHECK;

#endif
