/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of settings.def at work. A row's kind says how its arguments are read and how its value
 * is written again (`kinds` below); everything else is the same for all rows.
 */
#include "settings.h"

#include <stddef.h>
#include <string.h>

#include <apr_lib.h>

#include "cookie.h"
#include "csrf.h"
#include "export.h"
#include "hashers.h"
#include "sso.h"
#include "url.h"
#include "value.h"

static const djs_setting_row_t rows[] = {
#define SETTING(ID, member, type, directive, option, kind, def, context, values, about)            \
    { DJS_SETTING_##ID, directive, option, DJS_KIND_##kind, def, context, values, about,           \
      offsetof(djs_settings_t, member), sizeof(type) },
#include "settings.def"
#undef SETTING
};

/* How the values of a kind are read and written. */
typedef struct kind_t {
    apr_status_t (*parse)(djs_ctx_t *ctx, const djs_setting_row_t *row, int argc,
                          const char *const *argv, void *member);
    /* NULL: there is nothing to write. */
    const char *(*print)(apr_pool_t *pool, const djs_setting_row_t *row, const void *member);
    int many;                          /* takes more than one argument */
    int (*is_allowed)(const char *text); /* of kinds that are text or lists of it */
    const char *allowed;               /* what is, for people; NULL: the row's syntax */
} kind_t;

static const kind_t kinds[DJS_KIND_COUNT];

/* Of a NUMBER, and of tries in a RATE. */
#define NUMBER_MAX 64
#define RATE_MAX   1000000

/* Say what is wrong with a value that is no secret. */
static apr_status_t refuse(djs_ctx_t *ctx, const djs_setting_row_t *row, const char *value)
{
    const char *allowed = kinds[row->kind].allowed;

    return djs_fail(ctx, DJS_EINVAL, "%s: \"%s\" is not allowed here; allowed: %s", row->directive,
                    value, allowed ? allowed : row->values);
}

/* ---- words ---- */

/* The position of a word in "one|two|three", in any case; -1: it is not there. */
static int find_word(const char *words, const char *word)
{
    apr_size_t len = strlen(word);
    int position;

    for (position = 0; words; position++) {
        const char *bar = strchr(words, '|');
        apr_size_t n = bar ? (apr_size_t)(bar - words) : strlen(words);

        if (n == len && strncasecmp(words, word, n) == 0) {
            return position;
        }
        words = bar ? bar + 1 : NULL;
    }
    return -1;
}

static const char *word_at(apr_pool_t *pool, const char *words, int position)
{
    for (; position > 0; position--) {
        words = strchr(words, '|') + 1;
    }
    return apr_pstrmemdup(pool, words, strcspn(words, "|"));
}

static apr_status_t parse_choice(djs_ctx_t *ctx, const djs_setting_row_t *row, int argc,
                                 const char *const *argv, void *member)
{
    int position = find_word(row->values, argv[0]);

    (void)argc;
    if (position < 0) {
        return refuse(ctx, row, argv[0]);
    }
    *(int *)member = position;
    return APR_SUCCESS;
}

static const char *print_choice(apr_pool_t *pool, const djs_setting_row_t *row, const void *member)
{
    return word_at(pool, row->values, *(const int *)member);
}

/* A flag is a choice whose words are On and Off, with On being 1. */
static apr_status_t parse_flag(djs_ctx_t *ctx, const djs_setting_row_t *row, int argc,
                               const char *const *argv, void *member)
{
    apr_status_t rv = parse_choice(ctx, row, argc, argv, member);

    if (rv == APR_SUCCESS) {
        *(int *)member = !*(int *)member;
    }
    return rv;
}

static const char *print_flag(apr_pool_t *pool, const djs_setting_row_t *row, const void *member)
{
    (void)pool;
    (void)row;
    return *(const int *)member ? "On" : "Off";
}

/* ---- durations ---- */

static const struct {
    const char *name;
    apr_interval_time_t length;
} units[] = {
    /* The first that divides a duration is how it is written. */
    { "d", APR_INT64_C(86400) * APR_USEC_PER_SEC },
    { "h", APR_INT64_C(3600) * APR_USEC_PER_SEC },
    { "min", APR_INT64_C(60) * APR_USEC_PER_SEC },
    { "s", APR_USEC_PER_SEC },
    { "ms", 1000 },
    /* Only read. */
    { "w", APR_INT64_C(7 * 86400) * APR_USEC_PER_SEC },
    { "m", APR_INT64_C(60) * APR_USEC_PER_SEC },
    { "", APR_USEC_PER_SEC },
};

#define UNITS ((int)(sizeof(units) / sizeof(units[0])))

/* The length of a unit; 0: there is none of this name. */
static apr_interval_time_t unit_length(const char *name)
{
    int i;

    for (i = 0; i < UNITS; i++) {
        if (strcmp(units[i].name, name) == 0) {
            return units[i].length;
        }
    }
    return 0;
}

/* 0: not a duration. */
static int read_duration(const char *text, apr_interval_time_t *duration)
{
    apr_int64_t number = 0;
    apr_interval_time_t unit;
    const char *c;

    for (c = text; apr_isdigit(*c); c++) {
        /* Checked at each digit, so the sum below never overflows. */
        if (number > DJS_DURATION_MAX) {
            return 0;
        }
        number = number * 10 + (*c - '0');
    }
    unit = unit_length(c);
    if (c == text || !unit || number > DJS_DURATION_MAX / unit) {
        return 0;
    }
    *duration = number * unit;
    return 1;
}

apr_status_t djs_duration_parse(djs_ctx_t *ctx, const char *text, apr_interval_time_t *duration)
{
    if (!read_duration(text, duration)) {
        return djs_fail(ctx, DJS_EINVAL, "\"%s\" is no duration; allowed: %s", text,
                        kinds[DJS_KIND_TIMEOUT].allowed);
    }
    return APR_SUCCESS;
}

static apr_status_t parse_duration(djs_ctx_t *ctx, const djs_setting_row_t *row, int argc,
                                   const char *const *argv, void *member)
{
    apr_interval_time_t duration;

    (void)argc;
    if (!read_duration(argv[0], &duration) || apr_time_usec(duration) != 0) {
        return refuse(ctx, row, argv[0]);
    }
    *(apr_interval_time_t *)member = duration;
    return APR_SUCCESS;
}

static apr_status_t parse_timeout(djs_ctx_t *ctx, const djs_setting_row_t *row, int argc,
                                  const char *const *argv, void *member)
{
    apr_interval_time_t duration;

    (void)argc;
    if (!read_duration(argv[0], &duration) || duration == 0) {
        return refuse(ctx, row, argv[0]);
    }
    *(apr_interval_time_t *)member = duration;
    return APR_SUCCESS;
}

/* What stands for "none" of a LIMIT or PERIOD. */
static const char *word_for_none(const djs_setting_row_t *row)
{
    return row->kind == DJS_KIND_PERIOD ? "Off" : "None";
}

static apr_status_t parse_limit(djs_ctx_t *ctx, const djs_setting_row_t *row, int argc,
                                const char *const *argv, void *member)
{
    apr_interval_time_t limit = 0;

    (void)argc;
    if (strcasecmp(argv[0], word_for_none(row)) != 0
        && (!read_duration(argv[0], &limit) || limit == 0 || apr_time_usec(limit) != 0)) {
        return refuse(ctx, row, argv[0]);
    }
    *(apr_interval_time_t *)member = limit;
    return APR_SUCCESS;
}

static const char *print_duration(apr_pool_t *pool, const djs_setting_row_t *row,
                                  const void *member)
{
    apr_interval_time_t duration = *(const apr_interval_time_t *)member;
    int i = 0;

    (void)row;
    if (duration == 0) {
        return "0s";
    }
    while (duration % units[i].length != 0) {
        i++;
    }
    return apr_psprintf(pool, "%" APR_INT64_T_FMT "%s", duration / units[i].length, units[i].name);
}

static const char *print_limit(apr_pool_t *pool, const djs_setting_row_t *row, const void *member)
{
    return *(const apr_interval_time_t *)member == 0 ? word_for_none(row)
                                                     : print_duration(pool, row, member);
}

/* ---- texts ---- */

static int is_of(const char *text, const char *more)
{
    if (!*text) {
        return 0;
    }
    for (; *text; text++) {
        if (!apr_isalnum(*text) && !strchr(more, *text)) {
            return 0;
        }
    }
    return 1;
}

/* RFC 9110: what names of cookies, parameters and headers are made of. */
static int is_token(const char *text)
{
    return is_of(text, "!#$%&'*+-.^_`|~");
}

/* Python's http.cookies refuses to write a cookie that is called as one of its attributes. */
static int is_cookie_name(const char *text)
{
    return is_token(text)
           && find_word("expires|path|comment|domain|max-age|secure|httponly|version|samesite"
                        "|partitioned",
                        text) < 0;
}

static int is_cookie_path(const char *text)
{
    const char *c;

    if (*text != '/') {
        return 0;
    }
    for (c = text; *c; c++) {
        if (*c <= ' ' || *c >= 0x7f || *c == ';') {
            return 0;
        }
    }
    return 1;
}

/* A host name, perhaps with the leading dot of old. */
static int is_domain(const char *text)
{
    if (*text == '.') {
        text++;
    }
    return is_of(text, "-._") && *text != '.' && !strstr(text, "..")
           && text[strlen(text) - 1] != '.';
}

/* RFC 3986: what is never encoded in an address. */
static int is_param(const char *text)
{
    return is_of(text, "-._~");
}

static int is_identifier(const char *text)
{
    return is_of(text, "_$-") && strlen(text) <= 63;
}

static int is_table(const char *text)
{
    const char *dot = strchr(text, '.');

    return is_of(text, "_$-.") && text != dot && (!dot || is_identifier(dot + 1))
           && strcspn(text, ".") <= 63 && (dot || is_identifier(text));
}

static int is_login_url(const char *text)
{
    return djs_url_is_clean(text)
           && (*text == '/' || strncasecmp(text, "http://", 7) == 0
               || strncasecmp(text, "https://", 8) == 0);
}

/* Engines, zones, dotted paths: a word that leads to no other directory. */
static int is_name(const char *text)
{
    return is_of(text, "_-+./") && *text != '/' && *text != '.' && !strstr(text, "..");
}

/* A file or directory; what it is relative to is the host's to say. */
static int is_path(const char *text)
{
    const char *c;

    for (c = text; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            return 0;
        }
    }
    return c != text;
}

/* One of the forms of keys.h that names something, or a text. */
static int is_secret(const char *text)
{
    return *text && strcmp(text, "file:") != 0 && strcmp(text, "env:") != 0
           && strcmp(text, "exec:") != 0;
}

static apr_status_t parse_text(djs_ctx_t *ctx, const djs_setting_row_t *row, int argc,
                               const char *const *argv, void *member)
{
    (void)argc;
    if (!kinds[row->kind].is_allowed(argv[0])) {
        return refuse(ctx, row, argv[0]);
    }
    *(const char **)member = apr_pstrdup(ctx->pool, argv[0]);
    return APR_SUCCESS;
}

/* An argument, quoted if httpd would otherwise read it as several. */
static const char *quote(apr_pool_t *pool, const char *text)
{
    char *out, *o;

    if (*text && !strpbrk(text, " \t\"'\\")) {
        return text;
    }
    out = o = apr_palloc(pool, 2 * strlen(text) + 3);
    *o++ = '"';
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') {
            *o++ = '\\';
        }
        *o++ = *text;
    }
    *o++ = '"';
    *o = '\0';
    return out;
}

static const char *print_text(apr_pool_t *pool, const djs_setting_row_t *row, const void *member)
{
    const char *text = *(const char *const *)member;

    (void)row;
    return text ? quote(pool, text) : NULL;
}

static apr_status_t parse_text_or_none(djs_ctx_t *ctx, const djs_setting_row_t *row, int argc,
                                       const char *const *argv, void *member)
{
    if (strcasecmp(argv[0], "None") == 0) {
        *(const char **)member = NULL;
        return APR_SUCCESS;
    }
    return parse_text(ctx, row, argc, argv, member);
}

static const char *print_text_or_none(apr_pool_t *pool, const djs_setting_row_t *row,
                                      const void *member)
{
    const char *text = print_text(pool, row, member);

    return text ? text : "None";
}

static apr_status_t parse_texts(djs_ctx_t *ctx, const djs_setting_row_t *row, int argc,
                                const char *const *argv, void *member)
{
    apr_array_header_t *texts = apr_array_make(ctx->pool, argc, sizeof(const char *));
    int i;

    for (i = 0; i < argc; i++) {
        if (!kinds[row->kind].is_allowed(argv[i])) {
            return refuse(ctx, row, argv[i]);
        }
        APR_ARRAY_PUSH(texts, const char *) = apr_pstrdup(ctx->pool, argv[i]);
    }
    *(apr_array_header_t **)member = texts;
    return APR_SUCCESS;
}

static const char *print_texts(apr_pool_t *pool, const djs_setting_row_t *row, const void *member)
{
    const apr_array_header_t *texts = *(apr_array_header_t *const *)member;
    const char *line = NULL;
    int i;

    (void)row;
    for (i = 0; texts && i < texts->nelts; i++) {
        const char *text = quote(pool, APR_ARRAY_IDX(texts, i, const char *));

        line = line ? apr_pstrcat(pool, line, " ", text, NULL) : text;
    }
    return line;
}

static apr_status_t parse_texts_or_none(djs_ctx_t *ctx, const djs_setting_row_t *row, int argc,
                                        const char *const *argv, void *member)
{
    if (argc == 1 && strcasecmp(argv[0], "None") == 0) {
        *(apr_array_header_t **)member = NULL;
        return APR_SUCCESS;
    }
    return parse_texts(ctx, row, argc, argv, member);
}

static const char *print_texts_or_none(apr_pool_t *pool, const djs_setting_row_t *row,
                                       const void *member)
{
    const char *line = print_texts(pool, row, member);

    return line ? line : "None";
}

/* ---- secrets: the same, but what they hold is never said ---- */

static const char *mask(apr_pool_t *pool, const char *secret)
{
    if (strncmp(secret, "file:", 5) == 0 || strncmp(secret, "env:", 4) == 0
        || strncmp(secret, "exec:", 5) == 0) {
        return quote(pool, secret);
    }
    return "********";
}

static apr_status_t parse_secrets(djs_ctx_t *ctx, const djs_setting_row_t *row, int argc,
                                  const char *const *argv, void *member)
{
    int i;

    for (i = 0; i < argc; i++) {
        if (!is_secret(argv[i])) {
            return djs_fail(ctx, DJS_EINVAL, "%s: an empty secret is not allowed; allowed: %s",
                            row->directive, row->values);
        }
    }
    if (row->kind == DJS_KIND_SECRET) {
        return parse_text(ctx, row, argc, argv, member);
    }
    return parse_texts(ctx, row, argc, argv, member);
}

static const char *print_secret(apr_pool_t *pool, const djs_setting_row_t *row, const void *member)
{
    const char *secret = *(const char *const *)member;

    (void)row;
    return secret ? mask(pool, secret) : NULL;
}

static const char *print_secrets(apr_pool_t *pool, const djs_setting_row_t *row,
                                 const void *member)
{
    const apr_array_header_t *secrets = *(apr_array_header_t *const *)member;
    const char *line = NULL;
    int i;

    (void)row;
    for (i = 0; secrets && i < secrets->nelts; i++) {
        const char *text = mask(pool, APR_ARRAY_IDX(secrets, i, const char *));

        line = line ? apr_pstrcat(pool, line, " ", text, NULL) : text;
    }
    return line;
}

/* ---- exports ---- */

/*
 * A variable may be called anything but what others rely on: HTTP_… is what clients sent, and a
 * few are the server's own word.
 */
static int is_env_name(const char *name)
{
    return is_of(name, "_") && !apr_isdigit(*name) && strncasecmp(name, "HTTP_", 5) != 0
           && strncasecmp(name, "REDIRECT_", 9) != 0 && strncasecmp(name, "LD_", 3) != 0
           && find_word("REMOTE_USER|REMOTE_ADDR|AUTH_TYPE|PATH|PATH_INFO|SCRIPT_NAME"
                        "|SCRIPT_FILENAME|QUERY_STRING|REQUEST_METHOD|REQUEST_URI|CONTENT_LENGTH"
                        "|CONTENT_TYPE|SERVER_PROTOCOL|GATEWAY_INTERFACE|DJANGO_SESSION"
                        "|DJANGO_SESSION_STATUS|DJANGO_SESSION_REASON|DJANGO_SESSION_EXPIRES"
                        "|DJANGO_SESSION_EXPIRE_AT_BROWSER_CLOSE|DJANGO_SESSION_ID"
                        "|DJANGO_SESSION_OVERFLOW",
                        name) < 0
           && strncasecmp(name, "DJANGO_USER", 11) != 0;
}

/* Letters, digits and dashes: servers and backends disagree about all else. */
static int is_header_name(const char *name)
{
    return is_of(name, "-")
           && find_word("Host|Connection|Content-Length|Content-Type|Transfer-Encoding|TE|Trailer"
                        "|Upgrade|Expect|Cookie|Keep-Alive|Proxy-Connection|Django-Session"
                        "|Django-Session-Status|Django-Session-Overflow|Django-User"
                        "|Django-User-Id|Django-User-Groups|Django-Csrf-Token",
                        name) < 0;
}

static apr_status_t parse_rule(djs_ctx_t *ctx, const djs_setting_row_t *row, const char *text,
                               djs_export_rule_t *rule)
{
    int is_env = row->id == DJS_SETTING_ENV;
    const char *equals = strrchr(text, '=');

    rule->selector = apr_pstrmemdup(ctx->pool, text,
                                    equals ? (apr_size_t)(equals - text) : strlen(text));
    if (!djs_value_selector_is_valid(rule->selector) || find_word("On|Off", text) >= 0) {
        return refuse(ctx, row, text);
    }
    if (equals) {
        rule->name = apr_pstrdup(ctx->pool, equals + 1);
    }
    else {
        rule->name = is_env ? djs_export_env_name(ctx->pool, rule->selector)
                            : djs_export_header_name(ctx->pool, rule->selector);
    }
    if (!(is_env ? is_env_name(rule->name) : is_header_name(rule->name))) {
        return djs_fail(ctx, DJS_EINVAL,
                        "%s: \"%s\" would be called \"%s\", which is no name for %s or has a "
                        "meaning of its own; write SELECTOR=NAME with another name",
                        row->directive, text, rule->name, is_env ? "a variable" : "a header");
    }
    return APR_SUCCESS;
}

static apr_status_t parse_export(djs_ctx_t *ctx, const djs_setting_row_t *row, int argc,
                                 const char *const *argv, void *member)
{
    djs_export_conf_t *conf = apr_pcalloc(ctx->pool, sizeof(*conf));
    int i = 0;

    conf->rules = apr_array_make(ctx->pool, argc, sizeof(djs_export_rule_t));
    conf->whole = strcasecmp(argv[0], "On") == 0;
    conf->on = strcasecmp(argv[0], "Off") != 0;
    if (conf->whole || !conf->on) {
        i = 1;
    }
    if (!conf->on && argc > 1) {
        return refuse(ctx, row, apr_pstrcat(ctx->pool, "Off ", argv[1], NULL));
    }
    for (; i < argc; i++) {
        djs_export_rule_t *rule = apr_array_push(conf->rules);
        apr_status_t rv = parse_rule(ctx, row, argv[i], rule);

        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    *(djs_export_conf_t **)member = conf;
    return APR_SUCCESS;
}

static const char *print_export(apr_pool_t *pool, const djs_setting_row_t *row, const void *member)
{
    const djs_export_conf_t *conf = *(djs_export_conf_t *const *)member;
    const char *line = "";
    int i;

    (void)row;
    if (!conf) {
        return NULL;
    }
    if (conf->whole || !conf->on) {
        line = conf->on ? "On" : "Off";
    }
    for (i = 0; i < conf->rules->nelts; i++) {
        const djs_export_rule_t *rule = &APR_ARRAY_IDX(conf->rules, i, djs_export_rule_t);

        line = apr_pstrcat(pool, line, *line ? " " : "",
                           quote(pool, apr_pstrcat(pool, rule->selector, "=", rule->name, NULL)),
                           NULL);
    }
    return line;
}

/* ---- caches ---- */

static apr_status_t parse_cache(djs_ctx_t *ctx, const djs_setting_row_t *row, int argc,
                                const char *const *argv, void *member)
{
    djs_ctx_t aside = { .pool = ctx->pool };
    apr_status_t rv = djs_cache_url_parse(&aside, argc, argv, (const djs_cache_conf_t **)member);

    if (rv != APR_SUCCESS) {
        return djs_fail(ctx, rv, "%s: %s", row->directive, aside.problem);
    }
    return APR_SUCCESS;
}

static const char *print_cache(apr_pool_t *pool, const djs_setting_row_t *row, const void *member)
{
    const djs_cache_conf_t *conf = *(const djs_cache_conf_t *const *)member;
    const char *line = NULL;
    int i;

    (void)row;
    for (i = 0; conf && i < conf->argc; i++) {
        const char *word = i == 0 ? djs_cache_url_mask(pool, conf->argv[0]) : conf->argv[i];
        const char *text = quote(pool, word);

        line = line ? apr_pstrcat(pool, line, " ", text, NULL) : text;
    }
    return line;
}

/* ---- password hashers ---- */

static apr_status_t parse_hashers(djs_ctx_t *ctx, const djs_setting_row_t *row, int argc,
                                  const char *const *argv, void *member)
{
    djs_ctx_t aside = { .pool = ctx->pool };
    apr_status_t rv = djs_hashers_parse(&aside, argc, argv, (const djs_hashers_t **)member);

    if (rv != APR_SUCCESS) {
        return djs_fail(ctx, rv, "%s: %s", row->directive, aside.problem);
    }
    return APR_SUCCESS;
}

static const char *print_hashers(apr_pool_t *pool, const djs_setting_row_t *row,
                                 const void *member)
{
    const djs_hashers_t *hashers = *(const djs_hashers_t *const *)member;

    (void)row;
    return hashers ? djs_hashers_text(pool, hashers) : NULL;
}

/* ---- numbers and rates ---- */

/* Digits alone; 0: not a number from 1 to @a most. */
static apr_int64_t read_count(const char *text, apr_int64_t most)
{
    apr_int64_t number = 0;

    for (; apr_isdigit(*text) && number <= most; text++) {
        number = number * 10 + (*text - '0');
    }
    return *text || number > most ? 0 : number;
}

static apr_status_t parse_number(djs_ctx_t *ctx, const djs_setting_row_t *row, int argc,
                                 const char *const *argv, void *member)
{
    int number = (int)read_count(argv[0], NUMBER_MAX);

    (void)argc;
    if (number == 0) {
        return refuse(ctx, row, argv[0]);
    }
    *(int *)member = number;
    return APR_SUCCESS;
}

static const char *print_number(apr_pool_t *pool, const djs_setting_row_t *row, const void *member)
{
    (void)row;
    return apr_itoa(pool, *(const int *)member);
}

/* "5/5min" or "Off"; 0: neither. */
static int read_rate(apr_pool_t *pool, const char *word, djs_rate_t *rate)
{
    const char *slash = strchr(word, '/');

    memset(rate, 0, sizeof(*rate));
    if (strcasecmp(word, "Off") == 0) {
        return 1;
    }
    if (!slash) {
        return 0;
    }
    rate->count = read_count(apr_pstrmemdup(pool, word, (apr_size_t)(slash - word)), RATE_MAX);
    return rate->count > 0 && read_duration(slash + 1, &rate->span) && rate->span > 0
           && apr_time_usec(rate->span) == 0;
}

static apr_status_t parse_throttle(djs_ctx_t *ctx, const djs_setting_row_t *row, int argc,
                                   const char *const *argv, void *member)
{
    djs_throttle_conf_t conf;
    djs_rate_t *rates[] = { &conf.account, &conf.address };
    char *rest = apr_pstrcat(ctx->pool, argv[0], " ", argc > 1 ? argv[1] : "", NULL);
    char *word;
    int count = 0;

    memset(&conf, 0, sizeof(conf));
    for (word = apr_strtok(rest, " ", &rest); word; word = apr_strtok(NULL, " ", &rest)) {
        if (count == 2 || !read_rate(ctx->pool, word, rates[count])) {
            return refuse(ctx, row, word);
        }
        count++;
    }
    if (argc > 2 || count == 0 || (count == 1 && conf.account.count > 0)) {
        return refuse(ctx, row, argc > 2 ? argv[2] : argv[0]);
    }
    *(djs_throttle_conf_t *)member = conf;
    return APR_SUCCESS;
}

static const char *print_rate(apr_pool_t *pool, const djs_rate_t *rate)
{
    return rate->count == 0 ? "Off"
                            : apr_psprintf(pool, "%" APR_INT64_T_FMT "/%s", rate->count,
                                           print_duration(pool, NULL, &rate->span));
}

static const char *print_throttle(apr_pool_t *pool, const djs_setting_row_t *row,
                                  const void *member)
{
    const djs_throttle_conf_t *conf = member;

    (void)row;
    if (conf->account.count == 0 && conf->address.count == 0) {
        return "Off";
    }
    return apr_pstrcat(pool, print_rate(pool, &conf->account), " ",
                       print_rate(pool, &conf->address), NULL);
}

/* ---- the kinds ---- */

#define TOKEN_ALLOWED "a token: letters, digits and !#$%&'*+-.^_`|~"

static const kind_t kinds[DJS_KIND_COUNT] = {
    [DJS_KIND_FLAG] = { parse_flag, print_flag, 0, NULL, NULL },
    [DJS_KIND_DURATION] = { parse_duration, print_duration, 0, NULL,
                            "whole seconds, or a number with s, min (or m), h, d or w, from 0 to "
                            "36500d" },
    [DJS_KIND_TIMEOUT] = { parse_timeout, print_duration, 0, NULL,
                           "seconds, or a number with ms, s, min (or m), h, d or w, from 1ms to "
                           "36500d" },
    [DJS_KIND_LIMIT] = { parse_limit, print_limit, 0, NULL,
                         "None, seconds, or a number with s, min (or m), h, d or w, from 1s to "
                         "36500d" },
    [DJS_KIND_PERIOD] = { parse_limit, print_limit, 0, NULL,
                          "Off, seconds, or a number with s, min (or m), h, d or w, from 1s to "
                          "36500d" },
    [DJS_KIND_CHOICE] = { parse_choice, print_choice, 0, NULL, NULL },
    [DJS_KIND_TOKEN] = { parse_text, print_text, 0, is_token, TOKEN_ALLOWED },
    [DJS_KIND_COOKIE_NAME] = { parse_text, print_text, 0, is_cookie_name,
                               TOKEN_ALLOWED ", but no attribute of cookies" },
    [DJS_KIND_COOKIE_PATH] = { parse_text, print_text, 0, is_cookie_path,
                               "a path that begins with / and has no ; or space" },
    [DJS_KIND_COOKIE_DOMAIN] = { parse_text_or_none, print_text_or_none, 0, is_domain,
                                 "a host name, or None" },
    [DJS_KIND_PARAM] = { parse_text_or_none, print_text_or_none, 0, is_param,
                         "letters, digits and -._~, or None" },
    [DJS_KIND_TABLE] = { parse_text, print_text, 0, is_table,
                         "[SCHEMA.]TABLE of letters, digits, _, $ and -, each at most 63" },
    [DJS_KIND_IDENTIFIER] = { parse_text, print_text, 0, is_identifier,
                              "at most 63 letters, digits, _, $ and -" },
    [DJS_KIND_URL] = { parse_text, print_text, 0, is_login_url,
                       "an address that begins with /, http:// or https:// and has no space" },
    [DJS_KIND_NAME] = { parse_text, print_text, 0, is_name,
                        "letters, digits and _-+./, no / or . in front, no .." },
    [DJS_KIND_PATH] = { parse_text, print_text, 0, is_path,
                        "a path without control characters" },
    [DJS_KIND_SECRET] = { parse_secrets, print_secret, 0, is_secret, NULL },
    [DJS_KIND_SECRETS] = { parse_secrets, print_secrets, 1, is_secret, NULL },
    [DJS_KIND_NAMES] = { parse_texts, print_texts, 1, is_name,
                         "dotted paths: letters, digits and _-+./" },
    [DJS_KIND_ORIGINS] = { parse_texts_or_none, print_texts_or_none, 1, djs_csrf_is_origin,
                           "https://HOST[:PORT], https://*.HOST, or as before Django 4.0 HOST and "
                           ".HOST; no path" },
    [DJS_KIND_HOSTS] = { parse_texts_or_none, print_texts_or_none, 1, djs_sso_is_host,
                         "https://HOST[:PORT], http://HOST[:PORT], or HOST[:PORT], which is https; "
                         "no path" },
    [DJS_KIND_EXPORT] = { parse_export, print_export, 1, NULL, NULL },
    [DJS_KIND_CACHE] = { parse_cache, print_cache, 1, NULL, NULL },
    [DJS_KIND_HASHERS] = { parse_hashers, print_hashers, 1, NULL, NULL },
    [DJS_KIND_NUMBER] = { parse_number, print_number, 0, NULL, "1 to 64" },
    [DJS_KIND_THROTTLE] = { parse_throttle, print_throttle, 1, NULL,
                            "Off, or COUNT/DURATION for an account and for an address, each of "
                            "which may be Off" },
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
    const kind_t *kind = &kinds[row->kind];
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
            (void)kinds[rows[i].kind].parse(&ctx, &rows[i], 1, &text,
                                            (char *)complete + rows[i].offset);
        }
    }
    return complete;
}

const char *djs_settings_text(apr_pool_t *pool, const djs_settings_t *settings,
                              const djs_setting_row_t *row)
{
    return kinds[row->kind].print(pool, row, (const char *)settings + row->offset);
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
                        print_duration(ctx->pool, NULL, &settings->save_interval),
                        print_duration(ctx->pool, NULL, &settings->cookie_age));
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
