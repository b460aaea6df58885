/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_password() and make_password() over a list of hashers. What they compute is in
 * hash_algorithms.c.
 */
#include "hashers_impl.h"

#include <string.h>

#include <apr_lib.h>

#include "encode.h"
#include "secret.h"

/* No more than there are. */
#define HASHERS_MAX 10
#define DJANGO_PATH "django.contrib.auth.hashers."
#define UNUSABLE '!'

typedef struct hasher_t {
    const djs_hash_algorithm_t *algorithm;
    apr_uint32_t cost[DJS_HASH_COSTS_MAX];
    apr_uint32_t told; /* the administrator told the cost */
} hasher_t;

struct djs_hashers_t {
    hasher_t list[HASHERS_MAX];
    apr_size_t count;
};

/* ---- the list ---- */

static const djs_hash_algorithm_t *find_algorithm(const char *name, apr_size_t len)
{
    const djs_hash_algorithm_t *a;
    apr_size_t path = sizeof(DJANGO_PATH) - 1;

    for (a = djs_hash_algorithms; a->name; a++) {
        if (strncmp(a->name, name, len) == 0 && !a->name[len]) {
            return a;
        }
        if (len > path && strncmp(name, DJANGO_PATH, path) == 0
            && strncmp(a->class_name, name + path, len - path) == 0 && !a->class_name[len - path]) {
            return a;
        }
    }
    return NULL;
}

static const char *algorithm_names(apr_pool_t *pool)
{
    const djs_hash_algorithm_t *a;
    const char *names = "";

    for (a = djs_hash_algorithms; a->name; a++) {
        names = apr_pstrcat(pool, names, *names ? ", " : "", a->name, NULL);
    }
    return names;
}

/* Are these costs within reason? */
static int is_bearable(const djs_hash_algorithm_t *algorithm, const apr_uint32_t *cost)
{
    apr_uint64_t work = 1;
    int i;

    for (i = 0; i < algorithm->costs; i++) {
        if (cost[i] < algorithm->cost_min[i] || cost[i] > algorithm->cost_max[i]) {
            return 0;
        }
        work *= cost[i];
    }
    return !algorithm->work_max || work <= algorithm->work_max;
}

/* "1,2,3"; 0: these are no costs of the algorithm. */
static int read_costs(const char *text, const djs_hash_algorithm_t *algorithm, apr_uint32_t *cost)
{
    int i;

    for (i = 0; i < algorithm->costs; i++) {
        char *end;
        apr_int64_t number = apr_isdigit(*text) ? apr_strtoi64(text, &end, 10) : -1;

        if (number < 0 || number > APR_UINT32_MAX
            || *end != (i + 1 < algorithm->costs ? ',' : '\0')) {
            return 0;
        }
        cost[i] = (apr_uint32_t)number;
        text = end + 1;
    }
    /* scrypt's N is a power of two. */
    return algorithm->costs > 0 && is_bearable(algorithm, cost)
           && (strcmp(algorithm->name, "scrypt") != 0 || (cost[0] & (cost[0] - 1)) == 0);
}

static const char *cost_ranges(apr_pool_t *pool, const djs_hash_algorithm_t *algorithm)
{
    const char *ranges = "";
    int i;

    for (i = 0; i < algorithm->costs; i++) {
        ranges = apr_psprintf(pool, "%s%s%u to %u", ranges, i ? ", " : "", algorithm->cost_min[i],
                              algorithm->cost_max[i]);
    }
    return ranges;
}

static apr_status_t parse_hasher(djs_ctx_t *ctx, const char *word, hasher_t *hasher)
{
    apr_size_t len = strcspn(word, "=");
    const djs_hash_algorithm_t *algorithm = find_algorithm(word, len);

    if (!algorithm) {
        return djs_fail(ctx, DJS_EINVAL, "\"%s\" is no hasher; allowed: %s, or the dotted path of "
                                         "one of Django's classes for these",
                        word, algorithm_names(ctx->pool));
    }
    hasher->algorithm = algorithm;
    memcpy(hasher->cost, algorithm->cost, sizeof(hasher->cost));
    if (!word[len]) {
        return APR_SUCCESS;
    }
    hasher->told = 1;
    if (algorithm->costs == 0) {
        return djs_fail(ctx, DJS_EINVAL, "\"%s\": %s has no cost that could be set", word,
                        algorithm->name);
    }
    if (!read_costs(word + len + 1, algorithm, hasher->cost)) {
        return djs_fail(ctx, DJS_EINVAL,
                        "\"%s\": the cost is not allowed; allowed: %d number%s parted by commas, %s%s",
                        word, algorithm->costs, algorithm->costs > 1 ? "s" : "",
                        cost_ranges(ctx->pool, algorithm),
                        algorithm->work_max ? ", and not the highest of all together" : "");
    }
    return APR_SUCCESS;
}

static const hasher_t *find_hasher(const djs_hashers_t *hashers,
                                   const djs_hash_algorithm_t *algorithm)
{
    apr_size_t i;

    for (i = 0; i < hashers->count; i++) {
        if (hashers->list[i].algorithm == algorithm) {
            return &hashers->list[i];
        }
    }
    return NULL;
}

static apr_status_t add_words(djs_ctx_t *ctx, djs_hashers_t *hashers, const char *words)
{
    char *rest = apr_pstrdup(ctx->pool, words);
    char *word;

    for (word = apr_strtok(rest, " ", &rest); word; word = apr_strtok(NULL, " ", &rest)) {
        hasher_t hasher = { NULL, { 0 }, 0 };
        apr_status_t rv = parse_hasher(ctx, word, &hasher);

        if (rv != APR_SUCCESS) {
            return rv;
        }
        if (find_hasher(hashers, hasher.algorithm)) {
            return djs_fail(ctx, DJS_EINVAL, "\"%s\": %s is there twice", word,
                            hasher.algorithm->name);
        }
        hashers->list[hashers->count++] = hasher;
    }
    return APR_SUCCESS;
}

apr_status_t djs_hashers_parse(djs_ctx_t *ctx, int argc, const char *const *argv,
                               const djs_hashers_t **hashers)
{
    djs_hashers_t *made = apr_pcalloc(ctx->pool, sizeof(*made));
    apr_status_t rv;
    int i;

    for (i = 0; i < argc; i++) {
        rv = add_words(ctx, made, argv[i]);
        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    if (made->count == 0) {
        return djs_fail(ctx, DJS_EINVAL, "there must be one hasher; allowed: %s",
                        algorithm_names(ctx->pool));
    }
    *hashers = made;
    return APR_SUCCESS;
}

static const char *hasher_text(apr_pool_t *pool, const hasher_t *hasher)
{
    const char *text = hasher->algorithm->name;
    int i;

    for (i = 0; hasher->told && i < hasher->algorithm->costs; i++) {
        text = apr_psprintf(pool, "%s%c%u", text, i ? ',' : '=', hasher->cost[i]);
    }
    return text;
}

const char *djs_hashers_text(apr_pool_t *pool, const djs_hashers_t *hashers)
{
    const char *text = "";
    apr_size_t i;

    for (i = 0; i < hashers->count; i++) {
        text = apr_pstrcat(pool, text, i ? " " : "", hasher_text(pool, &hashers->list[i]), NULL);
    }
    return text;
}

djs_hashers_t *djs_hashers_copy(apr_pool_t *pool, const djs_hashers_t *hashers)
{
    return apr_pmemdup(pool, hashers, sizeof(*hashers));
}

int djs_hashers_equal(const djs_hashers_t *a, const djs_hashers_t *b)
{
    apr_size_t i;

    if (!a || !b || a->count != b->count) {
        return a == b;
    }
    for (i = 0; i < a->count; i++) {
        if (a->list[i].algorithm != b->list[i].algorithm || a->list[i].told != b->list[i].told
            || memcmp(a->list[i].cost, b->list[i].cost, sizeof(a->list[i].cost)) != 0) {
            return 0;
        }
    }
    return 1;
}

apr_status_t djs_hashers_available(djs_ctx_t *ctx, const djs_hashers_t *hashers)
{
    apr_size_t i;

    for (i = 0; i < hashers->count; i++) {
        const djs_hash_algorithm_t *algorithm = hashers->list[i].algorithm;

        if (!algorithm->is_there()) {
            return djs_fail(ctx, DJS_EINVAL, "%s is not in this build: %s", algorithm->name,
                            algorithm->package
                                ? apr_pstrcat(ctx->pool, "it was configured --without-",
                                              algorithm->package, NULL)
                                : "the system's libcrypt does not have it");
        }
    }
    return APR_SUCCESS;
}

/* ---- columns ---- */

/* identify_hasher(). NULL: none that we know. */
static const djs_hash_algorithm_t *identify(const char *column)
{
    apr_size_t len = strlen(column);
    const char *name = column;
    apr_size_t name_len = strcspn(column, "$");

    if ((len == 32 && name_len == len) || (len == 37 && strncmp(column, "md5$$", 5) == 0)) {
        name = "unsalted_md5";
        name_len = strlen(name);
    }
    else if (len == 46 && strncmp(column, "sha1$$", 6) == 0) {
        name = "unsalted_sha1";
        name_len = strlen(name);
    }
    /* A column is no dotted path. */
    return memchr(name, '.', name_len) ? NULL : find_algorithm(name, name_len);
}

/* A column of the preferred hasher, of which nobody wants to know: it is for the time it takes. */
static void spend(djs_ctx_t *ctx, const djs_hashers_t *hashers, djs_bytes_t password)
{
    djs_ctx_t aside = { .pool = ctx->pool };
    const char *column;
    /* Any text will do that no algorithm refuses. */
    djs_bytes_t text = password.len > 0 && memchr(password.data, '\0', password.len)
                           ? djs_bytes("password")
                           : password;

    if (djs_hashers_encode(&aside, hashers, text, &column) != APR_SUCCESS) {
        djs_trace(ctx, "no time was spent on a password that does not count: %s", aside.problem);
    }
}

static apr_size_t salt_length(const djs_hash_algorithm_t *algorithm, djs_bytes_t salt)
{
    apr_size_t i, characters = 0;

    if (algorithm->salt_is_bytes) {
        return salt.len;
    }
    for (i = 0; i < salt.len; i++) {
        characters += (salt.data[i] & 0xc0) != 0x80;
    }
    return characters;
}

/* must_update() of the preferred hasher, for a column of its algorithm. */
static int has_other_params(const hasher_t *preferred, const djs_hash_params_t *params)
{
    const djs_hash_algorithm_t *algorithm = preferred->algorithm;

    return (preferred->told
            && memcmp(preferred->cost, params->cost, sizeof(preferred->cost)) != 0)
           || salt_length(algorithm, params->salt) < (apr_size_t)algorithm->weak_salt
           || (algorithm->is_old && algorithm->is_old(params));
}

/* Take a column apart and see whether it can be checked. */
static apr_status_t examine(djs_ctx_t *ctx, const djs_hashers_t *hashers, const char *column,
                            const djs_hash_algorithm_t **algorithm, djs_hash_params_t *params)
{
    apr_status_t rv;

    *algorithm = identify(column);
    if (!*algorithm) {
        /* What is there instead of a name may be a password. */
        return djs_fail(ctx, DJS_EUNSUPPORTED,
                        "the stored password begins with no hasher's name that we know");
    }
    if (!find_hasher(hashers, *algorithm)) {
        return djs_fail(ctx, DJS_EUNSUPPORTED, "the stored password is of %s, which "
                                               "DjangoPasswordHashers does not name",
                        (*algorithm)->name);
    }
    if (!(*algorithm)->is_there()) {
        return djs_fail(ctx, DJS_EUNSUPPORTED,
                        "the stored password is of %s, which is not in this build",
                        (*algorithm)->name);
    }
    if (strlen(column) > DJS_PASSWORD_COLUMN_MAX) {
        return djs_fail(ctx, DJS_ELIMIT, "the stored password has %" APR_SIZE_T_FMT
                                         " bytes, allowed are %d",
                        strlen(column), DJS_PASSWORD_COLUMN_MAX);
    }
    rv = (*algorithm)->decode(ctx, column, params);
    if (rv == APR_SUCCESS && !is_bearable(*algorithm, params->cost)) {
        return djs_fail(ctx, DJS_ELIMIT,
                        "the stored password of %s would cost too much to check; allowed: %s",
                        (*algorithm)->name, cost_ranges(ctx->pool, *algorithm));
    }
    return rv;
}

/* "md5$$" stands in front of some. */
static const char *as_made(const djs_hash_algorithm_t *algorithm, const char *column)
{
    return strcmp(algorithm->name, "unsalted_md5") == 0 && strlen(column) == 37 ? column + 5
                                                                                : column;
}

apr_status_t djs_hashers_check(djs_ctx_t *ctx, const djs_hashers_t *hashers, djs_bytes_t password,
                               const char *column, djs_password_check_t *check)
{
    const hasher_t *preferred = &hashers->list[0];
    const djs_hash_algorithm_t *algorithm;
    djs_hash_params_t params = { { 0 } };
    char *again = NULL;
    apr_status_t rv;
    int same;

    memset(check, 0, sizeof(*check));
    if (password.len > DJS_PASSWORD_MAX) {
        return djs_fail(ctx, DJS_EINVAL, "a password of %" APR_SIZE_T_FMT " bytes, allowed are %d",
                        password.len, DJS_PASSWORD_MAX);
    }
    if (!column || *column == UNUSABLE) {
        spend(ctx, hashers, password);
        return APR_SUCCESS;
    }
    rv = examine(ctx, hashers, column, &algorithm, &params);
    if (rv == APR_SUCCESS) {
        djs_ctx_t aside = { .pool = ctx->pool };

        rv = algorithm->encode(&aside, algorithm, password, &params, &again);
        if (rv != APR_SUCCESS && rv != DJS_EINVAL) {
            (void)djs_fail(ctx, rv, "%s", aside.problem);
        }
    }
    if (rv != APR_SUCCESS) {
        spend(ctx, hashers, password);
        /* A password that the algorithm does not take is as wrong as any other. */
        return rv == DJS_EINVAL ? APR_SUCCESS : rv;
    }
    check->right = djs_secret_equal(djs_bytes(again), djs_bytes(as_made(algorithm, column)));
    djs_secret_wipe(again, strlen(again));
    same = algorithm == preferred->algorithm;
    if (check->right) {
        check->must_update = !same || has_other_params(preferred, &params);
    }
    else if (same && algorithm->make_up) {
        algorithm->make_up(ctx, algorithm, password, &params, preferred->cost);
    }
    return APR_SUCCESS;
}

apr_status_t djs_hashers_encode(djs_ctx_t *ctx, const djs_hashers_t *hashers, djs_bytes_t password,
                                const char **column)
{
    const hasher_t *preferred = &hashers->list[0];
    djs_hash_params_t params = { { 0 } };
    char *made = NULL;
    apr_status_t rv;

    if (password.len > DJS_PASSWORD_MAX) {
        return djs_fail(ctx, DJS_EINVAL, "a password of %" APR_SIZE_T_FMT " bytes, allowed are %d",
                        password.len, DJS_PASSWORD_MAX);
    }
    memcpy(params.cost, preferred->cost, sizeof(params.cost));
    rv = preferred->algorithm->make_salt(ctx, &params);
    if (rv == APR_SUCCESS) {
        rv = preferred->algorithm->encode(ctx, preferred->algorithm, password, &params, &made);
    }
    if (rv == APR_SUCCESS) {
        djs_secret_wipe_with(ctx->pool, made, strlen(made));
        *column = made;
    }
    return rv;
}
