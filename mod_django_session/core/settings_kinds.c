/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of values that settings have: how the arguments of a directive are read, and how a
 * value is written again.
 */
#include "settings_impl.h"

#include <string.h>

#include <apr_lib.h>

#include "csrf.h"
#include "export.h"
#include "hashers.h"
#include "sso.h"
#include "value.h"

/* Of a NUMBER, and of tries in a RATE. */
#define NUMBER_MAX 64
#define RATE_MAX   1000000

/* Say what is wrong with a value that is no secret. */
static apr_status_t refuse(djs_ctx_t *ctx, const djs_setting_row_t *row, const char *value)
{
    const char *allowed = djs_setting_kinds[row->kind].allowed;

    return djs_fail(ctx, DJS_EINVAL, "%s: \"%s\" is not allowed here; allowed: %s", row->directive,
                    value, allowed ? allowed : row->values);
}

/* ---- words ---- */

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
    int position = djs_find_word(row->values, argv[0]);

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
                        djs_setting_kinds[DJS_KIND_TIMEOUT].allowed);
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

const char *djs_setting_print_duration(apr_pool_t *pool, const djs_setting_row_t *row,
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
    return *(const apr_interval_time_t *)member == 0
               ? word_for_none(row)
               : djs_setting_print_duration(pool, row, member);
}

/* ---- texts ---- */

static apr_status_t parse_text(djs_ctx_t *ctx, const djs_setting_row_t *row, int argc,
                               const char *const *argv, void *member)
{
    (void)argc;
    if (!djs_setting_kinds[row->kind].is_allowed(argv[0])) {
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
        if (!djs_setting_kinds[row->kind].is_allowed(argv[i])) {
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
        if (!djs_setting_is_secret(argv[i])) {
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
    return djs_setting_is_of(name, "_") && !apr_isdigit(*name)
           && strncasecmp(name, "HTTP_", 5) != 0 && strncasecmp(name, "REDIRECT_", 9) != 0
           && strncasecmp(name, "LD_", 3) != 0
           && djs_find_word("REMOTE_USER|REMOTE_ADDR|AUTH_TYPE|PATH|PATH_INFO|SCRIPT_NAME"
                            "|SCRIPT_FILENAME|QUERY_STRING|REQUEST_METHOD|REQUEST_URI"
                            "|CONTENT_LENGTH|CONTENT_TYPE|SERVER_PROTOCOL|GATEWAY_INTERFACE"
                            "|DJANGO_SESSION|DJANGO_SESSION_STATUS|DJANGO_SESSION_REASON"
                            "|DJANGO_SESSION_EXPIRES|DJANGO_SESSION_EXPIRE_AT_BROWSER_CLOSE"
                            "|DJANGO_SESSION_ID|DJANGO_SESSION_OVERFLOW|DJANGO_CSRF_TOKEN",
                            name) < 0
           && strncasecmp(name, "DJANGO_USER", 11) != 0;
}

/* Letters, digits and dashes: servers and backends disagree about all else. */
static int is_header_name(const char *name)
{
    return djs_setting_is_of(name, "-")
           && djs_find_word("Host|Connection|Content-Length|Content-Type|Transfer-Encoding|TE"
                            "|Trailer|Upgrade|Expect|Cookie|Keep-Alive|Proxy-Connection"
                            "|Django-Session|Django-Session-Status|Django-Session-Overflow"
                            "|Django-User|Django-User-Id|Django-User-Groups|Django-Csrf-Token",
                            name) < 0;
}

static apr_status_t parse_rule(djs_ctx_t *ctx, const djs_setting_row_t *row, const char *text,
                               djs_export_rule_t *rule)
{
    int is_env = row->id == DJS_SETTING_ENV;
    const char *equals = strrchr(text, '=');

    rule->selector = apr_pstrmemdup(ctx->pool, text,
                                    equals ? (apr_size_t)(equals - text) : strlen(text));
    if (!djs_value_selector_is_valid(rule->selector) || djs_find_word("On|Off", text) >= 0) {
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
                                           djs_setting_print_duration(pool, NULL, &rate->span));
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

const djs_kind_t djs_setting_kinds[DJS_KIND_COUNT] = {
    [DJS_KIND_FLAG] = { parse_flag, print_flag, 0, NULL, NULL },
    [DJS_KIND_DURATION] = { parse_duration, djs_setting_print_duration, 0, NULL,
                            "whole seconds, or a number with s, min (or m), h, d or w, from 0 to "
                            "36500d" },
    [DJS_KIND_TIMEOUT] = { parse_timeout, djs_setting_print_duration, 0, NULL,
                           "seconds, or a number with ms, s, min (or m), h, d or w, from 1ms to "
                           "36500d" },
    [DJS_KIND_LIMIT] = { parse_limit, print_limit, 0, NULL,
                         "None, seconds, or a number with s, min (or m), h, d or w, from 1s to "
                         "36500d" },
    [DJS_KIND_PERIOD] = { parse_limit, print_limit, 0, NULL,
                          "Off, seconds, or a number with s, min (or m), h, d or w, from 1s to "
                          "36500d" },
    [DJS_KIND_CHOICE] = { parse_choice, print_choice, 0, NULL, NULL },
    [DJS_KIND_TOKEN] = { parse_text, print_text, 0, djs_setting_is_token, TOKEN_ALLOWED },
    [DJS_KIND_COOKIE_NAME] = { parse_text, print_text, 0, djs_setting_is_cookie_name,
                               TOKEN_ALLOWED ", but no attribute of cookies" },
    [DJS_KIND_COOKIE_PATH] = { parse_text, print_text, 0, djs_setting_is_cookie_path,
                               "a path that begins with / and has no ; or space" },
    [DJS_KIND_COOKIE_DOMAIN] = { parse_text_or_none, print_text_or_none, 0, djs_setting_is_domain,
                                 "a host name, or None" },
    [DJS_KIND_PARAM] = { parse_text_or_none, print_text_or_none, 0, djs_setting_is_param,
                         "letters, digits and -._~, or None" },
    [DJS_KIND_TABLE] = { parse_text, print_text, 0, djs_setting_is_table,
                         "[SCHEMA.]TABLE of letters, digits, _, $ and -, each at most 63" },
    [DJS_KIND_IDENTIFIER] = { parse_text, print_text, 0, djs_setting_is_identifier,
                              "at most 63 letters, digits, _, $ and -" },
    [DJS_KIND_URL] = { parse_text, print_text, 0, djs_setting_is_login_url,
                       "an address that begins with /, http:// or https:// and has no space" },
    [DJS_KIND_NAME] = { parse_text, print_text, 0, djs_setting_is_name,
                        "letters, digits and _-+./, no / or . in front, no .." },
    [DJS_KIND_PATH] = { parse_text, print_text, 0, djs_setting_is_path,
                        "a path without control characters" },
    [DJS_KIND_SECRET] = { parse_secrets, print_secret, 0, djs_setting_is_secret, NULL },
    [DJS_KIND_SECRETS] = { parse_secrets, print_secrets, 1, djs_setting_is_secret, NULL },
    [DJS_KIND_NAMES] = { parse_texts, print_texts, 1, djs_setting_is_name,
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
