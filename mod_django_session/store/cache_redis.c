/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Redis server as a cache (cache.h), used as Django's RedisCache and django-redis use it: a string
 * under each key, with an end of life of Redis's own.
 *
 *     get        GET
 *     add        SET … EX … NX       life over already: EXISTS, and nothing is stored
 *     set        SET … EX …          life over already: DEL
 *     overwrite  SET … EX … XX       life over already: DEL
 *     swap       a script: one round trip. Where the server or our ACL forbids scripts: WATCH GET,
 *                then MULTI SET EXEC
 *     remove     DEL
 *     list       SCAN in steps, each with GET and PTTL of what it found
 *
 * A connection that lay idle is looked at before it is used, so most of those that a restart of the
 * server has cut are found before anything was sent. One that breaks later is worth a second attempt
 * when the first surely was not run, or when running twice does no harm; a lost answer to add or swap
 * is a failure: what stands there now tells nothing of who wrote it.
 */
#include "caches.h"

#include <string.h>

#include <apr_atomic.h>
#include <apr_hash.h>
#include <apr_sha1.h>

#include "../core/encode.h"
#include "../core/secret.h"
#include "clients.h"
#include "redis.h"

/* Redis refuses lives whose end no longer fits its clock; this one ends after the year 5000. */
#define LIFE_MAX APR_INT64_C(100000000000)
/* Keys that SCAN looks at in one step, so that it does not keep others waiting. */
#define SCAN_STEP "500"
/* Values that are asked for at once in a listing. */
#define LIST_STEP 16
/* How often a compare-and-swap is begun again that was disturbed by others' writes. */
#define SWAPS_MAX 3
/*
 * What a check writes lies under this, and chance. An ACL may allow the keys of one engine only: this is
 * the beginning of both engines' keys, and no session's, in whose keys Django has no '-'.
 */
#define CHECK_PREFIX "django.contrib.sessions.cached_db-mod_django_session-check-"
/* Of one pipeline, and of one that does not list: MULTI, SET, EXEC. */
#define COMMANDS_MAX (2 * LIST_STEP)
#define COMMANDS_FEW 3

typedef struct redis_cache_t {
    djs_cache_t cache;
    djs_redis_where_t where;
    djs_clients_t *clients;
    apr_interval_time_t timeout; /* of one operation */
    const char *check_key;       /* the beginning of what a check writes */
    const char *script;          /* hexadecimal SHA-1 of swap_script */
    volatile apr_uint32_t no_scripts;
} redis_cache_t;

/* ---- Conversations --------------------------------------------------------------------------- */

/* The commands of one conversation, and what was answered to each. */
typedef struct talk_t {
    djs_redis_command_t *commands;
    djs_redis_reply_t **replies;
    int count;
    int again; /* does no harm when it is run twice */
} talk_t;

/* Of at most so many commands. */
static talk_t *begin_long_talk(djs_ctx_t *ctx, int again, apr_size_t most)
{
    talk_t *talk = apr_palloc(ctx->pool, sizeof(*talk));

    talk->commands = apr_palloc(ctx->pool, most * sizeof(*talk->commands));
    talk->replies = apr_pcalloc(ctx->pool, most * sizeof(*talk->replies));
    talk->count = 0;
    talk->again = again;
    return talk;
}

static talk_t *begin_talk(djs_ctx_t *ctx, int again)
{
    return begin_long_talk(ctx, again, COMMANDS_FEW);
}

static djs_redis_command_t *command(talk_t *talk, const char *name)
{
    djs_redis_command_t *added = &talk->commands[talk->count++];

    added->count = 0;
    djs_redis_add_text(added, name);
    return added;
}

/* NAME key */
static djs_redis_command_t *command_on(talk_t *talk, const char *name, const char *key)
{
    djs_redis_command_t *added = command(talk, name);

    djs_redis_add_text(added, key);
    return added;
}

/* One that is fit for use, of those that are idle or new. */
static apr_status_t borrow(redis_cache_t *cache, djs_ctx_t *ctx, djs_redis_t **redis, int *fresh)
{
    void *client = NULL;
    apr_status_t rv;

    for (;;) {
        rv = djs_clients_borrow(ctx, cache->clients, &client, fresh);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        if (*fresh || djs_redis_is_quiet(client)) {
            *redis = client;
            return APR_SUCCESS;
        }
        djs_clients_give_back(cache->clients, client, DJS_LOAN_STALE);
    }
}

static djs_redis_outcome_t converse(redis_cache_t *cache, djs_ctx_t *ctx, djs_redis_t *redis,
                                    talk_t *talk)
{
    return djs_redis_ask(ctx, redis, cache->timeout, talk->commands, talk->count, talk->replies);
}

/*
 * After these answers the connection has no future: another one finds the new primary under the
 * server's name, or has the new password.
 */
static djs_loan_t judge(const talk_t *talk, djs_redis_outcome_t outcome, int fresh)
{
    int i;

    if (outcome != DJS_REDIS_ANSWERED) {
        return fresh || outcome == DJS_REDIS_LATE ? DJS_LOAN_BROKEN : DJS_LOAN_STALE;
    }
    for (i = 0; i < talk->count; i++) {
        if (djs_redis_is_error(talk->replies[i], "READONLY")
            || djs_redis_is_error(talk->replies[i], "NOAUTH")) {
            return DJS_LOAN_STALE;
        }
    }
    return DJS_LOAN_GOOD;
}

static apr_status_t fail_outcome(redis_cache_t *cache, djs_ctx_t *ctx, djs_redis_outcome_t outcome)
{
    static const char *const what[] = {
        [DJS_REDIS_ANSWERED] = "answered",
        [DJS_REDIS_UNSENT] = "the connection broke",
        [DJS_REDIS_LOST] = "the connection broke before the answer came",
        [DJS_REDIS_LATE] = "no answer in time",
        [DJS_REDIS_GARBLED] = "the answer is too large, or not Redis's protocol"
    };

    return djs_fail(ctx, DJS_ESTORE, "Redis at %s: %s", cache->where.name, what[outcome]);
}

static apr_status_t fail_reply(redis_cache_t *cache, djs_ctx_t *ctx, const djs_redis_reply_t *reply)
{
    return djs_fail(ctx, DJS_ESTORE, "Redis at %s %s", cache->where.name,
                    djs_redis_explain(ctx->pool, reply));
}

static int is_worth_another(const talk_t *talk, djs_redis_outcome_t outcome)
{
    return outcome == DJS_REDIS_UNSENT || (outcome == DJS_REDIS_LOST && talk->again);
}

/* APR_SUCCESS: each command has a reply, an error perhaps. */
static apr_status_t ask(redis_cache_t *cache, djs_ctx_t *ctx, talk_t *talk)
{
    djs_redis_outcome_t outcome;
    djs_redis_t *redis = NULL;
    int attempt, fresh = 0;
    apr_status_t rv;

    for (attempt = 0; ; attempt++) {
        rv = borrow(cache, ctx, &redis, &fresh);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        outcome = converse(cache, ctx, redis, talk);
        djs_clients_give_back(cache->clients, redis, judge(talk, outcome, fresh));
        if (outcome == DJS_REDIS_ANSWERED) {
            return APR_SUCCESS;
        }
        if (fresh || attempt > 0 || !is_worth_another(talk, outcome)) {
            return fail_outcome(cache, ctx, outcome);
        }
    }
}

/* The one reply of a conversation, when it is no error. */
static apr_status_t ask_one(redis_cache_t *cache, djs_ctx_t *ctx, talk_t *talk,
                            djs_redis_reply_t **reply)
{
    apr_status_t rv = ask(cache, ctx, talk);

    if (rv == APR_SUCCESS && talk->replies[0]->type == DJS_REDIS_ERROR) {
        return fail_reply(cache, ctx, talk->replies[0]);
    }
    *reply = talk->replies[0];
    return rv;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static apr_status_t redis_get(djs_cache_t *handle, djs_ctx_t *ctx, const char *key,
                              djs_bytes_t *value, apr_time_t *expires)
{
    redis_cache_t *cache = handle->data;
    talk_t *talk = begin_talk(ctx, 1);
    djs_redis_reply_t *reply = NULL;
    apr_status_t rv;

    command_on(talk, "GET", key);
    rv = ask_one(cache, ctx, talk, &reply);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (reply->type == DJS_REDIS_NIL) {
        return APR_NOTFOUND;
    }
    if (reply->type != DJS_REDIS_STRING) {
        return fail_reply(cache, ctx, reply);
    }
    *value = reply->text;
    *expires = 0;
    return APR_SUCCESS;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static apr_status_t check_size(djs_ctx_t *ctx, djs_bytes_t value)
{
    if (value.len > DJS_REDIS_VALUE_MAX) {
        return djs_fail(ctx, DJS_ELIMIT, "a value of %" APR_SIZE_T_FMT " bytes for Redis, allowed "
                        "are %d", value.len, DJS_REDIS_VALUE_MAX);
    }
    return APR_SUCCESS;
}

static const char *life_text(djs_ctx_t *ctx, apr_int64_t life)
{
    return apr_psprintf(ctx->pool, "%" APR_INT64_T_FMT, life < LIFE_MAX ? life : LIFE_MAX);
}

/* SET key value EX life [condition]; DEL key when its life is over already. */
static void command_set(talk_t *talk, djs_ctx_t *ctx, const char *key, djs_bytes_t value,
                        apr_int64_t life, const char *condition)
{
    djs_redis_command_t *set;

    if (life <= 0) {
        command_on(talk, "DEL", key);
        return;
    }
    set = command_on(talk, "SET", key);
    djs_redis_add(set, value);
    djs_redis_add_text(set, "EX");
    djs_redis_add_text(set, life_text(ctx, life));
    if (condition != NULL) {
        djs_redis_add_text(set, condition);
    }
}

/* What SET, DEL and EXISTS tell: 1, 0 (nothing was there, or the condition not met), or -1: no answer
   of theirs. */
static int took_effect(const djs_redis_reply_t *reply)
{
    if (reply->type == DJS_REDIS_INTEGER) {
        return reply->integer > 0;
    }
    if (reply->type == DJS_REDIS_NIL) {
        return 0;
    }
    return djs_redis_is_ok(reply) ? 1 : -1;
}

/* Ask, and look whether it took effect; @a otherwise: what it means that it did not. */
static apr_status_t ask_effect(redis_cache_t *cache, djs_ctx_t *ctx, talk_t *talk,
                               apr_status_t otherwise)
{
    djs_redis_reply_t *reply = NULL;
    apr_status_t rv = ask_one(cache, ctx, talk, &reply);
    int effect;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    effect = took_effect(reply);
    if (effect < 0) {
        return fail_reply(cache, ctx, reply);
    }
    return effect ? APR_SUCCESS : otherwise;
}

static apr_status_t redis_add(djs_cache_t *handle, djs_ctx_t *ctx, const char *key,
                              djs_bytes_t value, apr_int64_t life)
{
    redis_cache_t *cache = handle->data;
    talk_t *talk = begin_talk(ctx, life <= 0);
    apr_status_t rv = check_size(ctx, value);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (life <= 0) {
        command_on(talk, "EXISTS", key);
        rv = ask_effect(cache, ctx, talk, APR_NOTFOUND);
        return rv == APR_SUCCESS ? APR_EEXIST : rv == APR_NOTFOUND ? APR_SUCCESS : rv;
    }
    command_set(talk, ctx, key, value, life, "NX");
    return ask_effect(cache, ctx, talk, APR_EEXIST);
}

static apr_status_t redis_set(djs_cache_t *handle, djs_ctx_t *ctx, const char *key,
                              djs_bytes_t value, apr_int64_t life)
{
    talk_t *talk = begin_talk(ctx, 1);
    apr_status_t rv = check_size(ctx, value);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    command_set(talk, ctx, key, value, life, NULL);
    return ask_effect(handle->data, ctx, talk, APR_SUCCESS);
}

static apr_status_t redis_overwrite(djs_cache_t *handle, djs_ctx_t *ctx, const char *key,
                                    djs_bytes_t value, apr_int64_t life)
{
    talk_t *talk = begin_talk(ctx, life > 0); /* a second DEL would find nothing */
    apr_status_t rv = check_size(ctx, value);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    command_set(talk, ctx, key, value, life, "XX");
    return ask_effect(handle->data, ctx, talk, APR_NOTFOUND);
}

static apr_status_t redis_remove(djs_cache_t *handle, djs_ctx_t *ctx, const char *key)
{
    talk_t *talk = begin_talk(ctx, 1);

    command_on(talk, "DEL", key);
    return ask_effect(handle->data, ctx, talk, APR_SUCCESS);
}

/* ---- Compare and swap ------------------------------------------------------------------------ */

/* Answers OK: swapped; 0: nothing is there; 1: something else is; or the error of a command. */
static const char swap_script[] =
    "local found = redis.pcall('GET', KEYS[1])\n"
    "if not found then return 0 end\n"
    "if type(found) == 'table' then return found end\n"
    "if found ~= ARGV[1] then return 1 end\n"
    "if tonumber(ARGV[3]) > 0 then\n"
    "  return redis.pcall('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])\n"
    "end\n"
    "local gone = redis.pcall('DEL', KEYS[1])\n"
    "if type(gone) == 'table' then return gone end\n"
    "return {ok = 'OK'}\n";

/* One compare-and-swap. */
typedef struct swap_t {
    const char *key;
    djs_bytes_t seen, value;
    apr_int64_t life;
} swap_t;

/* The reply of the script, by its name (EVALSHA) or its text (EVAL). */
static apr_status_t run_script(redis_cache_t *cache, djs_ctx_t *ctx, const swap_t *swap,
                               const char *how, const char *script, djs_redis_reply_t **reply)
{
    talk_t *talk = begin_talk(ctx, 0);
    djs_redis_command_t *eval = command_on(talk, how, script);
    apr_status_t rv;

    djs_redis_add_text(eval, "1");
    djs_redis_add_text(eval, swap->key);
    djs_redis_add(eval, swap->seen);
    djs_redis_add(eval, swap->value);
    djs_redis_add_text(eval, life_text(ctx, swap->life));
    rv = ask(cache, ctx, talk);
    *reply = talk->replies[0];
    return rv;
}

static apr_status_t judge_script(redis_cache_t *cache, djs_ctx_t *ctx,
                                 const djs_redis_reply_t *reply)
{
    if (djs_redis_is_ok(reply)) {
        return APR_SUCCESS;
    }
    if (reply->type == DJS_REDIS_INTEGER) {
        return reply->integer == 0 ? APR_NOTFOUND : DJS_ECONFLICT;
    }
    if (djs_redis_is_error(reply, "WRONGTYPE")) {
        return DJS_ECONFLICT;
    }
    return fail_reply(cache, ctx, reply);
}

/* Scripts were not run because there are none for us: no such command, or not allowed. */
static int forbids_scripts(const djs_redis_reply_t *reply)
{
    return djs_redis_is_error(reply, "NOPERM")
           || (djs_redis_is_error(reply, "ERR")
               && strncmp(reply->text.data, "ERR unknown command", 19) == 0);
}

/* What the second half of a transaction answers: OK, QUEUED, and the array of what was run. */
static apr_status_t judge_exec(redis_cache_t *cache, djs_ctx_t *ctx, const talk_t *talk, int *done)
{
    const djs_redis_reply_t *exec = talk->replies[2];
    int i;

    *done = 1;
    for (i = 0; i < talk->count; i++) {
        if (talk->replies[i]->type == DJS_REDIS_ERROR) {
            return fail_reply(cache, ctx, talk->replies[i]);
        }
    }
    if (exec->type == DJS_REDIS_NIL) { /* somebody has written since WATCH */
        *done = 0;
        return DJS_ECONFLICT;
    }
    if (exec->type != DJS_REDIS_ARRAY || exec->count != 1 || took_effect(exec->members[0]) != 1) {
        return fail_reply(cache, ctx, exec->type == DJS_REDIS_ARRAY && exec->count == 1
                                          ? exec->members[0] : exec);
    }
    return APR_SUCCESS;
}

/* What stands there, as the first half of a transaction found it. */
static apr_status_t judge_watched(redis_cache_t *cache, djs_ctx_t *ctx, const swap_t *swap,
                                  const talk_t *talk)
{
    const djs_redis_reply_t *found = talk->replies[1];

    if (!djs_redis_is_ok(talk->replies[0])) {
        return fail_reply(cache, ctx, talk->replies[0]);
    }
    if (found->type == DJS_REDIS_NIL) {
        return APR_NOTFOUND;
    }
    if (djs_redis_is_error(found, "WRONGTYPE")) {
        return DJS_ECONFLICT;
    }
    if (found->type != DJS_REDIS_STRING) {
        return fail_reply(cache, ctx, found);
    }
    return djs_bytes_equal(found->text, swap->seen) ? APR_SUCCESS : DJS_ECONFLICT;
}

/* On a connection that is ours until EXEC, or UNWATCH. @a talk: what was said last. */
static apr_status_t transact(redis_cache_t *cache, djs_ctx_t *ctx, const swap_t *swap,
                             djs_redis_t *redis, talk_t **talk, djs_redis_outcome_t *outcome,
                             int *done)
{
    apr_status_t rv;

    *talk = begin_talk(ctx, 0);
    command_on(*talk, "WATCH", swap->key);
    command_on(*talk, "GET", swap->key);
    *outcome = converse(cache, ctx, redis, *talk);
    if (*outcome != DJS_REDIS_ANSWERED) {
        return fail_outcome(cache, ctx, *outcome);
    }
    rv = judge_watched(cache, ctx, swap, *talk);
    if (rv != APR_SUCCESS && rv != APR_NOTFOUND && rv != DJS_ECONFLICT) {
        return rv;
    }
    *talk = begin_talk(ctx, 0);
    if (rv != APR_SUCCESS) {
        command(*talk, "UNWATCH");
        *outcome = converse(cache, ctx, redis, *talk);
        return rv; /* which is certain, whatever becomes of the connection */
    }
    command(*talk, "MULTI");
    command_set(*talk, ctx, swap->key, swap->value, swap->life, NULL);
    command(*talk, "EXEC");
    *outcome = converse(cache, ctx, redis, *talk);
    return *outcome == DJS_REDIS_ANSWERED ? judge_exec(cache, ctx, *talk, done)
                                          : fail_outcome(cache, ctx, *outcome);
}

static apr_status_t swap_by_watch(redis_cache_t *cache, djs_ctx_t *ctx, const swap_t *swap)
{
    djs_redis_outcome_t outcome = DJS_REDIS_ANSWERED;
    apr_status_t rv = DJS_ECONFLICT;
    djs_redis_t *redis = NULL;
    talk_t *talk = NULL;
    int tries, fresh, done = 0;

    for (tries = 0; tries < SWAPS_MAX && !done; tries++) {
        rv = borrow(cache, ctx, &redis, &fresh);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        done = 1;
        rv = transact(cache, ctx, swap, redis, &talk, &outcome, &done);
        djs_clients_give_back(cache->clients, redis, judge(talk, outcome, fresh));
    }
    return rv;
}

static apr_status_t redis_swap(djs_cache_t *handle, djs_ctx_t *ctx, const char *key,
                               djs_bytes_t seen, djs_bytes_t value, apr_int64_t life)
{
    redis_cache_t *cache = handle->data;
    swap_t swap = { key, seen, value, life };
    djs_redis_reply_t *reply = NULL;
    apr_status_t rv = check_size(ctx, value);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (apr_atomic_read32(&cache->no_scripts)) {
        return swap_by_watch(cache, ctx, &swap);
    }
    rv = run_script(cache, ctx, &swap, "EVALSHA", cache->script, &reply);
    if (rv == APR_SUCCESS && djs_redis_is_error(reply, "NOSCRIPT")) {
        rv = run_script(cache, ctx, &swap, "EVAL", swap_script, &reply);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (!forbids_scripts(reply)) {
        return judge_script(cache, ctx, reply);
    }
    rv = swap_by_watch(cache, ctx, &swap);
    if (rv != DJS_ESTORE) { /* so it was the script, and not the key, that is not allowed */
        djs_trace(ctx, "Redis at %s runs no scripts for us: WATCH from now on", cache->where.name);
        apr_atomic_set32(&cache->no_scripts, 1);
    }
    return rv;
}

/* ---- Listing --------------------------------------------------------------------------------- */

/* One listing. */
typedef struct listing_t {
    redis_cache_t *cache;
    const char *prefix;
    const char *pattern;
    const char *cursor;
    apr_hash_t *told; /* SCAN may find a key twice */
    djs_cache_list_fn each;
    void *baton;
} listing_t;

/* A prefix as SCAN's MATCH wants it: what it would take for a wildcard has a backslash before it. */
static const char *make_pattern(apr_pool_t *pool, const char *prefix)
{
    char *pattern = apr_palloc(pool, 2 * strlen(prefix) + 2);
    char *end = pattern;

    for (; *prefix != '\0'; prefix++) {
        if (strchr("*?[]\\^-", *prefix) != NULL) {
            *end++ = '\\';
        }
        *end++ = *prefix;
    }
    *end++ = '*';
    *end = '\0';
    return pattern;
}

/* GET and PTTL of each, in pairs. */
static apr_status_t ask_entries(listing_t *listing, djs_ctx_t *ctx, djs_redis_reply_t **keys,
                                int count, talk_t **talk)
{
    int i;

    *talk = begin_long_talk(ctx, 1, COMMANDS_MAX);
    for (i = 0; i < count; i++) {
        command_on(*talk, "GET", keys[i]->text.data);
        command_on(*talk, "PTTL", keys[i]->text.data);
    }
    return ask(listing->cache, ctx, *talk);
}

/* Tell of an entry, unless it has gone meanwhile or is no string. */
static apr_status_t tell_entry(listing_t *listing, djs_ctx_t *ctx, const char *key,
                               const djs_redis_reply_t *value, const djs_redis_reply_t *ttl)
{
    apr_time_t expires = 0;

    if (djs_redis_is_error(value, "WRONGTYPE") || value->type == DJS_REDIS_NIL) {
        return APR_SUCCESS;
    }
    if (value->type != DJS_REDIS_STRING || ttl->type != DJS_REDIS_INTEGER) {
        return fail_reply(listing->cache, ctx, value->type == DJS_REDIS_STRING ? ttl : value);
    }
    if (ttl->integer == -2) {
        return APR_SUCCESS;
    }
    if (ttl->integer >= 0 && ttl->integer <= LIFE_MAX * 1000) {
        expires = ctx->now + ttl->integer * 1000;
    }
    return listing->each(listing->baton, ctx, key, value->text, expires);
}

/* A text with the prefix, whatever the server takes MATCH for, that was not told yet. */
static int is_new(const listing_t *listing, const djs_redis_reply_t *key)
{
    return key->type == DJS_REDIS_STRING && strlen(key->text.data) == key->text.len
           && strncmp(key->text.data, listing->prefix, strlen(listing->prefix)) == 0
           && apr_hash_get(listing->told, key->text.data, (apr_ssize_t)key->text.len) == NULL;
}

/* Of the keys of one step, those that are new, in steps of their own: values may be large. */
static apr_status_t tell_keys(listing_t *listing, djs_ctx_t *ctx, const djs_redis_reply_t *found)
{
    djs_redis_reply_t *keys[LIST_STEP];
    apr_status_t rv = APR_SUCCESS;
    talk_t *talk = NULL;
    apr_size_t at = 0;
    int i, count;

    while (at < found->count && rv == APR_SUCCESS) {
        for (count = 0; count < LIST_STEP && at < found->count; at++) {
            djs_redis_reply_t *key = found->members[at];

            if (is_new(listing, key)) {
                const char *copy = apr_pstrdup(apr_hash_pool_get(listing->told), key->text.data);

                apr_hash_set(listing->told, copy, (apr_ssize_t)key->text.len, "");
                keys[count++] = key;
            }
        }
        if (count > 0) {
            rv = ask_entries(listing, ctx, keys, count, &talk);
        }
        for (i = 0; i < count && rv == APR_SUCCESS; i++) {
            rv = tell_entry(listing, ctx, keys[i]->text.data, talk->replies[2 * i],
                            talk->replies[2 * i + 1]);
        }
    }
    return rv;
}

/* One step of SCAN; listing->cursor moves on. */
static apr_status_t list_step(listing_t *listing, djs_ctx_t *ctx, apr_pool_t *keep)
{
    talk_t *talk = begin_talk(ctx, 1);
    djs_redis_command_t *scan = command_on(talk, "SCAN", listing->cursor);
    djs_redis_reply_t *reply = NULL;
    apr_status_t rv;

    djs_redis_add_text(scan, "MATCH");
    djs_redis_add_text(scan, listing->pattern);
    djs_redis_add_text(scan, "COUNT");
    djs_redis_add_text(scan, SCAN_STEP);
    rv = ask_one(listing->cache, ctx, talk, &reply);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (reply->type != DJS_REDIS_ARRAY || reply->count != 2
        || reply->members[0]->type != DJS_REDIS_STRING
        || reply->members[1]->type != DJS_REDIS_ARRAY) {
        return fail_reply(listing->cache, ctx, reply);
    }
    listing->cursor = apr_pstrdup(keep, reply->members[0]->text.data);
    return tell_keys(listing, ctx, reply->members[1]);
}

static apr_status_t redis_list(djs_cache_t *handle, djs_ctx_t *ctx, const char *prefix,
                               djs_cache_list_fn each, void *baton)
{
    listing_t listing = { handle->data, prefix, NULL, "0", NULL, each, baton };
    djs_ctx_t step = *ctx;
    apr_pool_t *keep;
    apr_status_t rv;

    apr_pool_create(&keep, ctx->pool);
    apr_pool_create(&step.pool, ctx->pool);
    listing.pattern = make_pattern(keep, prefix);
    listing.told = apr_hash_make(keep);
    do {
        rv = list_step(&listing, &step, keep);
        if (rv == APR_SUCCESS) {
            apr_pool_clear(step.pool);
        }
    } while (rv == APR_SUCCESS && strcmp(listing.cursor, "0") != 0);
    ctx->patience = step.patience;
    if (step.problem != NULL) {
        djs_fail(ctx, rv, "%s", step.problem);
    }
    apr_pool_destroy(step.pool);
    apr_pool_destroy(keep);
    return rv;
}

/* ---- Check ----------------------------------------------------------------------------------- */

typedef void (*say_fn)(void *baton, int ok, const char *what);

/* "name:value\r\n" of INFO; NULL: not told. */
static const char *info_member(djs_ctx_t *ctx, djs_bytes_t info, const char *name)
{
    const char *at = strstr(info.data, apr_pstrcat(ctx->pool, "\n", name, ":", NULL));

    if (at == NULL) {
        return NULL;
    }
    at += strlen(name) + 2;
    return apr_pstrmemdup(ctx->pool, at, strcspn(at, "\r\n"));
}

/* What the server tells of itself, when it does. */
static void check_nature(redis_cache_t *cache, djs_ctx_t *ctx, djs_bytes_t info, say_fn say,
                         void *baton)
{
    const char *role = info_member(ctx, info, "role");
    const char *policy = info_member(ctx, info, "maxmemory_policy");
    const char *most = info_member(ctx, info, "maxmemory");

    if (role != NULL && strcmp(role, "slave") == 0) {
        say(baton, 0, apr_psprintf(ctx->pool, "Redis at %s is a replica: name the primary",
                                   cache->where.name));
    }
    if (policy != NULL && most != NULL && strcmp(most, "0") != 0) {
        say(baton, 1,
            apr_psprintf(ctx->pool, strcmp(policy, "noeviction") == 0
                             ? "Redis at %s takes no sessions any more when its memory of %s bytes "
                               "is full: maxmemory-policy %s"
                             : "warning: Redis at %s drops living sessions when its memory of %s "
                               "bytes is full: maxmemory-policy %s", cache->where.name, most,
                         policy));
    }
}

static apr_status_t check_server(redis_cache_t *cache, djs_ctx_t *ctx, say_fn say, void *baton)
{
    talk_t *talk = begin_talk(ctx, 1);
    const djs_redis_reply_t *info;
    apr_status_t rv;
    int ok;

    command(talk, "PING");
    command(talk, "INFO");
    rv = ask(cache, ctx, talk);
    if (rv != APR_SUCCESS) {
        say(baton, 0, ctx->problem);
        return rv;
    }
    info = talk->replies[1];
    ok = talk->replies[0]->type == DJS_REDIS_STATUS;
    if (!ok && !djs_redis_is_error(talk->replies[0], "NOPERM")) {
        rv = fail_reply(cache, ctx, talk->replies[0]);
        say(baton, 0, ctx->problem);
        return rv;
    }
    say(baton, 1, apr_psprintf(ctx->pool, "Redis at %s answers", cache->where.name));
    if (info->type == DJS_REDIS_STRING) {
        check_nature(cache, ctx, info->text, say, baton);
    }
    return APR_SUCCESS;
}

/* All that sessions need, with an entry of our own. */
static apr_status_t try_entry(redis_cache_t *cache, djs_ctx_t *ctx, const char *key)
{
    djs_cache_t *handle = &cache->cache;
    djs_bytes_t found;
    apr_time_t expires;
    apr_status_t rv = redis_add(handle, ctx, key, djs_bytes("first"), 60);

    if (rv == APR_SUCCESS) {
        rv = redis_swap(handle, ctx, key, djs_bytes("first"), djs_bytes("second"), 60);
    }
    if (rv == APR_SUCCESS) {
        rv = redis_get(handle, ctx, key, &found, &expires);
    }
    if (rv == APR_SUCCESS) {
        rv = redis_remove(handle, ctx, key);
    }
    return rv;
}

static apr_status_t check_entry(redis_cache_t *cache, djs_ctx_t *ctx, say_fn say, void *baton)
{
    unsigned char chance[16];
    apr_status_t rv = djs_random(ctx, chance, sizeof(chance));

    if (rv == APR_SUCCESS) {
        rv = try_entry(cache, ctx,
                       apr_pstrcat(ctx->pool, cache->check_key,
                                   djs_hex(ctx->pool, djs_bytes_of((char *)chance, 16)), NULL));
    }
    if (rv != APR_SUCCESS && ctx->problem == NULL) {
        djs_fail(ctx, rv, "Redis at %s loses what was written a moment ago", cache->where.name);
    }
    say(baton, rv == APR_SUCCESS,
        rv != APR_SUCCESS ? ctx->problem
                          : apr_psprintf(ctx->pool, "Redis at %s can be read and written; changes "
                                         "are compared %s", cache->where.name,
                                         apr_atomic_read32(&cache->no_scripts)
                                             ? "by WATCH, since scripts are not allowed"
                                             : "by a script"));
    return rv;
}

static apr_status_t redis_check(djs_cache_t *handle, djs_ctx_t *ctx, say_fn say, void *baton)
{
    apr_status_t rv = check_server(handle->data, ctx, say, baton);

    return rv == APR_SUCCESS ? check_entry(handle->data, ctx, say, baton) : rv;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static const djs_cache_ops_t ops = {
    .name = "redis",
    .get = redis_get,
    .add = redis_add,
    .set = redis_set,
    .swap = redis_swap,
    .overwrite = redis_overwrite,
    .remove = redis_remove,
    .list = redis_list,
    .check = redis_check
};

static void *open_client(void *baton, djs_ctx_t *ctx, apr_interval_time_t within)
{
    redis_cache_t *cache = baton;

    return djs_redis_open(ctx, &cache->where, within < cache->timeout ? within : cache->timeout);
}

static void close_client(void *client)
{
    djs_redis_close(client);
}

static const char *hash_script(apr_pool_t *pool)
{
    unsigned char digest[APR_SHA1_DIGESTSIZE];
    apr_sha1_ctx_t sha1;

    apr_sha1_init(&sha1);
    apr_sha1_update(&sha1, swap_script, sizeof(swap_script) - 1);
    apr_sha1_final(digest, &sha1);
    return djs_hex(pool, djs_bytes_of((const char *)digest, sizeof(digest)));
}

static const djs_clients_kind_t kind = { open_client, close_client };

static void take_where(redis_cache_t *cache, const djs_cache_conf_t *conf)
{
    const djs_cache_server_t *server = &conf->servers[0];

    cache->where.name = server->name;
    cache->where.host = server->host;
    cache->where.port = server->port;
    cache->where.path = server->path;
    cache->where.user = conf->user;
    cache->where.password = conf->password;
    cache->where.database = conf->database;
}

apr_status_t djs_cache_redis_open(djs_ctx_t *ctx, apr_pool_t *pool, const djs_cache_conf_t *conf,
                                  djs_cache_t **opened)
{
    redis_cache_t *cache = apr_pcalloc(pool, sizeof(*cache));

    cache->cache.ops = &ops;
    cache->cache.data = cache;
    cache->timeout = conf->timeout;
    cache->check_key = djs_cache_key(pool, conf, CHECK_PREFIX, "");
    cache->script = hash_script(pool);
    take_where(cache, conf);
    if (conf->tls) {
        apr_status_t rv = djs_redis_tls_make(ctx, pool, cache->where.host, &cache->where.tls);

        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    cache->clients = djs_clients_make(pool, &kind, cache, cache->where.name, conf->pool_max);
    *opened = &cache->cache;
    return APR_SUCCESS;
}
