/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and values for applications: environment variables and request headers from the same facts.
 */
#include "export.h"

#include <string.h>

#include <apr_lib.h>

#include "encode.h"
#include "json.h"
#include "memo.h"
#include "rights.h"
#include "signing.h"

/* ---- Names ----------------------------------------------------------------------------------- */

static int is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* A continuing byte of UTF-8: its character was counted with the first. */
static int continues_character(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/*
 * @a prefix and the selector without its first "/", each character that is no letter or digit as
 * @a separator; in upper case all letters, or the first of each word.
 */
static const char *make_name(apr_pool_t *pool, const char *prefix, const char *selector,
                             char separator, int all_upper)
{
    const char *from = selector[0] == '/' ? selector + 1 : selector;
    char *name = apr_palloc(pool, strlen(prefix) + strlen(from) + 1);
    char *out = name + strlen(prefix);
    int word_begins = 1;

    memcpy(name, prefix, strlen(prefix));
    for (; *from != '\0'; from++) {
        if (is_alphanumeric(*from)) {
            *out++ = all_upper || word_begins ? (char)apr_toupper(*from) : *from;
            word_begins = 0;
        }
        else if (!continues_character(*from)) {
            *out++ = separator;
            word_begins = 1;
        }
    }
    *out = '\0';
    return name;
}

const char *djs_export_env_name(apr_pool_t *pool, const char *selector)
{
    return make_name(pool, "DJANGO_SESSION_", selector, '_', 1);
}

const char *djs_export_header_name(apr_pool_t *pool, const char *selector)
{
    return make_name(pool, "Django-Session-", selector, '-', 0);
}

/* ---- Client headers that look like ours ------------------------------------------------------ */

/* Servers map all that is no letter or digit to "_": so do we, and fold the case. By hand, without
 * the C library's table for a locale: each header of each request comes here. */
static char folded(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return (char)(c | 0x20);
    }
    return is_alphanumeric(c) ? c : '_';
}

static int same_character(char a, char b)
{
    return folded(a) == folded(b);
}

/* How much of @a header is @a name; 0 when it does not begin so. */
static apr_size_t matches(const char *header, const char *name)
{
    apr_size_t i;

    for (i = 0; name[i] != '\0'; i++) {
        if (header[i] == '\0' || !same_character(header[i], name[i])) {
            return 0;
        }
    }
    return i;
}

int djs_export_is_ours(const char *header, const apr_array_header_t *custom)
{
    static const char *const families[] = { "Django-Session", "Django-User", "Django-Csrf-Token" };
    apr_size_t i, used;
    int j;

    for (i = 0; folded(*header) == 'd' && i < sizeof(families) / sizeof(families[0]); i++) {
        used = matches(header, families[i]);
        if (used > 0 && !is_alphanumeric(header[used])) {
            return 1; /* the name itself, or more of its family */
        }
    }
    for (j = 0; custom != NULL && j < custom->nelts; j++) {
        used = matches(header, APR_ARRAY_IDX(custom, j, const char *));
        if (used > 0 && header[used] == '\0') {
            return 1;
        }
    }
    return 0;
}

/* ---- Values ---------------------------------------------------------------------------------- */

const char *djs_export_text(djs_ctx_t *ctx, const djs_value_t *value)
{
    djs_bytes_t text;

    switch (djs_value_type(value)) {
    case DJS_TYPE_NULL:
        return "";
    case DJS_TYPE_STR:
        text = djs_value_str(value);
        if (memchr(text.data, '\0', text.len) != NULL || !djs_utf8_is_valid(text)) {
            return NULL;
        }
        return text.data;
    default:
        return djs_json_dumps(ctx, DJS_JSON_COMPACT, value).data;
    }
}

/*
 * As it can stand in a header: printable ASCII. Blanks at the ends are encoded, too: they would not
 * arrive, as HTTP does not count them to the value.
 */
static const char *header_text(djs_ctx_t *ctx, const char *text)
{
    const char *encoded = djs_percent_encode(ctx, djs_bytes(text));
    const apr_size_t len = strlen(encoded);
    const apr_size_t first = strspn(encoded, " ");
    apr_size_t last = len;
    char *out, *start;
    apr_size_t i;

    while (last > first && encoded[last - 1] == ' ') {
        last--;
    }
    if (first == 0 && last == len) {
        return encoded;
    }
    out = start = apr_palloc(ctx->pool, len * 3 + 1);
    for (i = 0; i < len; i++) {
        if (i < first || i >= last) {
            memcpy(out, "%20", 3);
            out += 3;
        }
        else {
            *out++ = encoded[i];
        }
    }
    *out = '\0';
    return start;
}

/* Everything but the keys that begin with "_", which are Django's own. */
static const char *whole_session(djs_ctx_t *ctx, const djs_value_t *data)
{
    if (!djs_value_truthy(data)) {
        return "{}";
    }
    return djs_json_dumps_without(ctx, data, '_').data;
}

/* ---- Telling --------------------------------------------------------------------------------- */

/* One export: from whom, to whom, and what did not fit. */
typedef struct teller_t {
    djs_ctx_t *ctx;
    const djs_export_facts_t *facts;
    djs_export_fn put;
    void *baton;
    int is_header;
    apr_size_t overflow; /* size of the largest value that was left out */
} teller_t;

/* NULL for one that is too large. */
static const char *limited(teller_t *teller, const char *value)
{
    const apr_size_t most = teller->is_header ? DJS_EXPORT_HEADER_MAX : DJS_EXPORT_ENV_MAX;
    const apr_size_t len = value != NULL ? strlen(value) : 0;

    if (len > most) {
        teller->overflow = len > teller->overflow ? len : teller->overflow;
        return NULL;
    }
    return value;
}

/* A name of our own, and a value that fits. NULL: make sure that nobody else says anything. */
static void tell_fitting(teller_t *teller, const char *name, const char *value)
{
    if (teller->facts->add == NULL) {
        teller->put(teller->baton, name, value);
    }
    else if (value != NULL) {
        teller->facts->add(teller->baton, name, value);
    }
}

static void tell_own(teller_t *teller, const char *name, const char *value)
{
    tell_fitting(teller, name, limited(teller, value));
}

/* The text of a selector or of a column: any characters. */
static const char *text_for(const teller_t *teller, const char *text)
{
    return text != NULL && teller->is_header ? header_text(teller->ctx, text) : text;
}

static void tell_rules(teller_t *teller, const djs_export_conf_t *conf, const djs_value_t *data)
{
    int i;

    for (i = 0; i < conf->rules->nelts; i++) {
        const djs_export_rule_t *rule = &APR_ARRAY_IDX(conf->rules, i, djs_export_rule_t);
        const djs_value_t *value = data != NULL ? djs_value_select(data, rule->selector) : NULL;

        teller->put(teller->baton, rule->name,
                    limited(teller, text_for(teller, value != NULL
                                                         ? djs_export_text(teller->ctx, value)
                                                         : NULL)));
    }
}

/* The largest that was left out: so that the application can tell it from "not there". */
static void tell_overflow(teller_t *teller, const char *name, apr_size_t *overflow)
{
    const char *size = NULL;

    if (teller->overflow > 0) {
        size = apr_psprintf(teller->ctx->pool, "%" APR_SIZE_T_FMT, teller->overflow);
    }
    tell_own(teller, name, size);
    if (overflow != NULL) {
        *overflow = teller->overflow;
    }
}

/* Looks at the session, as Django counts it. NULL: it could not be read. */
static const djs_value_t *look(const teller_t *teller)
{
    djs_session_t *session = teller->facts->session;
    const djs_value_t *data = djs_session_data(teller->ctx, session);

    return djs_session_status(session) == DJS_SESSION_ERROR ? NULL : data;
}

/* What a request without a session is told. Only where others' names are gone; else each is told. */
static void tell_env_nobody(teller_t *teller, const djs_export_conf_t *conf, djs_reason_t reason)
{
    tell_fitting(teller, "DJANGO_SESSION_STATUS", djs_session_status_name(DJS_SESSION_NEW));
    tell_fitting(teller, "DJANGO_SESSION_REASON", djs_reason_name(reason));
    tell_fitting(teller, "DJANGO_SESSION", conf->whole ? "{}" : NULL);
    tell_rules(teller, conf, NULL);
}

static apr_status_t lost(djs_ctx_t *ctx, const djs_session_t *session)
{
    const char *problem = djs_session_problem(session);

    return djs_fail(ctx, DJS_ESTORE, "%s", problem != NULL ? problem : "no answer from the store");
}

/* ---- Environment ----------------------------------------------------------------------------- */

static const char *flag(int truth)
{
    return truth ? "1" : "0";
}

/*
 * A JSON array. Nearly always they came with the user. Where they cannot be read nothing is told, which
 * is not the same as none.
 */
static const char *groups_of(const teller_t *teller, djs_user_t *user)
{
    djs_ctx_t quiet = *teller->ctx;
    const char *json = NULL;

    if (teller->facts->site->users != NULL && !user->lacks_groups
        && djs_rights_groups_json(&quiet, teller->facts->site, user, &json) != APR_SUCCESS) {
        json = NULL;
    }
    teller->ctx->patience = quiet.patience;
    return json;
}

static void tell_env_user(teller_t *teller, djs_user_t *user)
{
    if (user == NULL && teller->facts->add != NULL) {
        return;
    }
    tell_own(teller, "DJANGO_USER_GROUPS", user != NULL ? groups_of(teller, user) : NULL);
    tell_own(teller, "DJANGO_USER", user != NULL ? user->username : NULL);
    tell_own(teller, "DJANGO_USER_ID", user != NULL ? user->id : NULL);
    tell_own(teller, "DJANGO_USER_EMAIL", user != NULL ? user->email : NULL);
    tell_own(teller, "DJANGO_USER_NAME", user != NULL ? user->name : NULL);
    tell_own(teller, "DJANGO_USER_IS_STAFF", user != NULL ? flag(user->is_staff) : NULL);
    tell_own(teller, "DJANGO_USER_IS_SUPERUSER", user != NULL ? flag(user->is_superuser) : NULL);
}

/* Why there is no session, or else no user. */
static const char *reason_of(const djs_export_facts_t *facts)
{
    djs_reason_t reason = djs_session_reason(facts->session);

    if (reason == DJS_REASON_NONE) {
        reason = facts->reason;
    }
    return reason != DJS_REASON_NONE ? djs_reason_name(reason) : NULL;
}

/* When it ends; nothing when there is none, when what it says of its end is of no use, or when the
   store does not tell. */
static void tell_env_end(teller_t *teller)
{
    djs_session_t *session = teller->facts->session;
    djs_ctx_t quiet = *teller->ctx;
    const char *expires = NULL, *browser_close = NULL;
    djs_expiry_t expiry;

    if (djs_session_status(session) == DJS_SESSION_ACTIVE &&
        djs_session_expiry(&quiet, session, &expiry) == APR_SUCCESS) {
        if (djs_session_ends(session) != 0) {
            expires = apr_off_t_toa(teller->ctx->pool, apr_time_sec(djs_session_ends(session)));
        }
        browser_close = flag(expiry.browser_close);
    }
    tell_own(teller, "DJANGO_SESSION_EXPIRES", expires);
    tell_own(teller, "DJANGO_SESSION_EXPIRE_AT_BROWSER_CLOSE", browser_close);
}

/* The digest of a session key that does not change from request to request. */
static const char *id_of(djs_ctx_t *ctx, const djs_keyring_t *keys, const char *key)
{
    djs_bytes_t digest;
    int unused;

    if (!djs_memo_find(ctx, keys, djs_bytes(key), &digest, &unused)) {
        digest = djs_bytes(djs_secret_digest(ctx->pool, keys, key));
        djs_memo_note(ctx, keys, djs_bytes(key), digest, 0);
    }
    return digest.data;
}

static void tell_env_id(teller_t *teller)
{
    const djs_export_facts_t *facts = teller->facts;
    const char *key = djs_session_key(facts->session);

    if (djs_session_status(facts->session) == DJS_SESSION_ERROR) {
        key = NULL;
    }
    tell_own(teller, "DJANGO_SESSION_ID",
         key != NULL ? id_of(teller->ctx, facts->site->keys, key) : NULL);
}

apr_status_t djs_export_env(djs_ctx_t *ctx, const djs_export_facts_t *facts, djs_export_fn put,
                            void *baton, apr_size_t *overflow)
{
    const djs_export_conf_t *conf = facts->site->settings->env;
    teller_t teller = { ctx, facts, put, baton, 0, 0 };
    const djs_value_t *data;

    if (overflow != NULL) {
        *overflow = 0;
    }
    if (!conf->on) {
        return APR_SUCCESS;
    }
    if (facts->session == NULL) {
        tell_env_nobody(&teller, conf, DJS_REASON_NO_COOKIE);
        return APR_SUCCESS;
    }
    if (facts->add != NULL && facts->user == NULL && djs_session_finds_none(facts->session)) {
        tell_env_nobody(&teller, conf, djs_session_reason(facts->session));
        return APR_SUCCESS;
    }
    data = look(&teller);
    tell_own(&teller, "DJANGO_SESSION_STATUS",
         djs_session_status_name(djs_session_status(facts->session)));
    tell_own(&teller, "DJANGO_SESSION_REASON", reason_of(facts));
    tell_own(&teller, "DJANGO_SESSION",
         data != NULL && conf->whole ? whole_session(ctx, data) : NULL);
    tell_env_end(&teller);
    tell_env_id(&teller);
    tell_env_user(&teller, data != NULL ? facts->user : NULL);
    tell_rules(&teller, conf, data);
    tell_overflow(&teller, "DJANGO_SESSION_OVERFLOW", overflow);
    return data != NULL ? APR_SUCCESS : lost(ctx, facts->session);
}

/* ---- Request headers ------------------------------------------------------------------------- */

/* NULL: it cannot be signed, so nothing is said. */
static const char *session_for_header(djs_ctx_t *ctx, const djs_site_t *site,
                                      const djs_value_t *data)
{
    const char *json = whole_session(ctx, data);
    djs_ctx_t quiet = *ctx;
    djs_bytes_t text;

    if (!site->settings->header_signed) {
        return json;
    }
    if (djs_signing_dumps(&quiet, djs_signer_make(ctx->pool, site->keys, DJS_SALT_HEADER,
                                                  DJS_SIGNING_SHA256),
                          DJS_COMPRESS_NOT, djs_bytes(json), &text) != APR_SUCCESS) {
        return NULL;
    }
    return text.data;
}

apr_status_t djs_export_headers(djs_ctx_t *ctx, const djs_export_facts_t *facts, djs_export_fn put,
                                void *baton, apr_size_t *overflow)
{
    const djs_export_conf_t *conf = facts->site->settings->header;
    teller_t teller = { ctx, facts, put, baton, 1, 0 };
    djs_user_t *user;
    const djs_value_t *data;

    if (overflow != NULL) {
        *overflow = 0;
    }
    if (!conf->on) {
        return APR_SUCCESS;
    }
    data = look(&teller);
    user = data != NULL ? facts->user : NULL;
    tell_own(&teller, "Django-Session-Status",
         djs_session_status_name(djs_session_status(facts->session)));
    tell_own(&teller, "Django-Session",
         data != NULL && conf->whole ? session_for_header(ctx, facts->site, data) : NULL);
    tell_own(&teller, "Django-User", text_for(&teller, user != NULL ? user->username : NULL));
    tell_own(&teller, "Django-User-Id", text_for(&teller, user != NULL ? user->id : NULL));
    tell_own(&teller, "Django-User-Groups", user != NULL ? groups_of(&teller, user) : NULL);
    tell_rules(&teller, conf, data);
    tell_overflow(&teller, "Django-Session-Overflow", overflow);
    return data != NULL ? APR_SUCCESS : lost(ctx, facts->session);
}
