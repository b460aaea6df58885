/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See memory_engine.h.
 */
#include "memory_engine.h"

#include <string.h>

#include <apr_hash.h>

#include "json.h"
#include "support.h"

static memory_engine_t *begin(djs_engine_t *engine, const char *operation, int *count)
{
    memory_engine_t *memory = engine->data;

    ++*count;
    if (memory->step != NULL) {
        memory->step(memory->baton, memory, operation);
    }
    return memory;
}

static apr_status_t no_answer(djs_ctx_t *ctx)
{
    return djs_fail(ctx, DJS_ESTORE, "the hash table is down");
}

const djs_record_t *memory_engine_get(const memory_engine_t *memory, const char *key)
{
    return apr_hash_get(memory->records, key, APR_HASH_KEY_STRING);
}

void memory_engine_put(memory_engine_t *memory, const char *key, const djs_record_t *record)
{
    djs_record_t *copy = NULL;

    if (record != NULL) {
        copy = apr_palloc(memory->pool, sizeof(*copy));
        copy->data = djs_bytes_copy(memory->pool, record->data);
        copy->expires = memory->aged ? 0 : record->expires;
        copy->written = record->written;
    }
    apr_hash_set(memory->records, apr_pstrdup(memory->pool, key), APR_HASH_KEY_STRING, copy);
}

/* By a caller, at the time that is now. */
static void write_record(memory_engine_t *memory, const djs_ctx_t *ctx, const char *key,
                         const djs_record_t *record)
{
    djs_record_t written = *record;

    written.written = ctx->now;
    memory_engine_put(memory, key, &written);
}

static apr_status_t memory_load(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                                djs_record_t *found)
{
    memory_engine_t *memory = engine->data;
    const djs_record_t *record;

    begin(engine, "load", &memory->loads);
    if (memory->down) {
        return no_answer(ctx);
    }
    record = memory_engine_get(memory, key);
    if (record == NULL || (record->expires != 0 && record->expires <= ctx->now)) {
        return APR_NOTFOUND;
    }
    found->data = djs_bytes_copy(ctx->pool, record->data);
    found->expires = record->expires;
    found->written = record->written;
    return APR_SUCCESS;
}

static apr_status_t memory_create(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                                  const djs_record_t *record)
{
    memory_engine_t *memory = engine->data;

    begin(engine, "create", &memory->creates);
    if (memory->down) {
        return no_answer(ctx);
    }
    if (memory->taken > 0 || memory_engine_get(memory, key) != NULL) {
        memory->taken--;
        return APR_EEXIST;
    }
    write_record(memory, ctx, key, record);
    return APR_SUCCESS;
}

static apr_status_t memory_replace(djs_engine_t *engine, djs_ctx_t *ctx, const char *key,
                                   const djs_record_t *seen, const djs_record_t *record)
{
    memory_engine_t *memory = engine->data;
    const djs_record_t *there;

    begin(engine, "replace", &memory->replaces);
    if (memory->down) {
        return no_answer(ctx);
    }
    there = memory_engine_get(memory, key);
    if (there == NULL) {
        return APR_NOTFOUND;
    }
    if (seen != NULL && !djs_bytes_equal(seen->data, there->data)) {
        return DJS_ECONFLICT;
    }
    write_record(memory, ctx, key, record);
    return APR_SUCCESS;
}

static apr_status_t memory_remove(djs_engine_t *engine, djs_ctx_t *ctx, const char *key)
{
    memory_engine_t *memory = engine->data;

    begin(engine, "remove", &memory->removes);
    if (memory->down) {
        return no_answer(ctx);
    }
    memory_engine_put(memory, key, NULL);
    return APR_SUCCESS;
}

/* Not counted: it is no work of the session's. */
static apr_status_t memory_exists(djs_engine_t *engine, djs_ctx_t *ctx, const char *key, int *found)
{
    memory_engine_t *memory = engine->data;

    *found = memory_engine_get(memory, key) != NULL;
    return memory->down ? no_answer(ctx) : APR_SUCCESS;
}

static const djs_engine_ops_t memory_ops = {
    .name = "memory",
    .load = memory_load,
    .create = memory_create,
    .replace = memory_replace,
    .remove = memory_remove,
    .exists = memory_exists
};

static const djs_engine_ops_t aged_ops = {
    .name = "memory, aged",
    .flags = DJS_ENGINE_AGED,
    .load = memory_load,
    .create = memory_create,
    .replace = memory_replace,
    .remove = memory_remove,
    .exists = memory_exists
};

void memory_engine_age(memory_engine_t *memory)
{
    memory->engine.ops = &aged_ops;
    memory->aged = 1;
}

memory_engine_t *memory_engine_make(apr_pool_t *pool)
{
    memory_engine_t *memory = apr_pcalloc(pool, sizeof(*memory));

    memory->engine.ops = &memory_ops;
    memory->engine.data = memory;
    memory->pool = pool;
    memory->records = apr_hash_make(pool);
    return memory;
}

int memory_engine_count(const memory_engine_t *memory)
{
    return (int)apr_hash_count(memory->records);
}

int memory_engine_calls(const memory_engine_t *memory)
{
    return memory->loads + memory->creates + memory->replaces + memory->removes;
}

const char *memory_engine_key_beside(const memory_engine_t *memory, const char *other)
{
    apr_hash_index_t *index;

    for (index = apr_hash_first(memory->pool, memory->records); index != NULL;
         index = apr_hash_next(index)) {
        const char *key = apr_hash_this_key(index);

        if (other == NULL || strcmp(key, other) != 0) {
            return key;
        }
    }
    return NULL;
}

memory_site_t *memory_site_make_with(apr_pool_t *pool, const djs_keyring_t *keys)
{
    memory_site_t *site = apr_pcalloc(pool, sizeof(*site));

    site->settings.cookie_name = "sessionid";
    site->settings.cookie_age = apr_time_from_sec(1209600);
    site->settings.cookie_path = "/";
    site->settings.cookie_httponly = 1;
    site->settings.cookie_samesite = DJS_SAMESITE_LAX;
    site->settings.use_tz = 1;
    site->memory = memory_engine_make(pool);
    site->site.settings = &site->settings;
    site->site.keys = keys;
    site->site.wire = djs_wire_make(pool, keys, DJS_WIRE_SIGNED, NULL);
    site->site.engine = &site->memory->engine;
    return site;
}

memory_site_t *memory_site_make(apr_pool_t *pool)
{
    return memory_site_make_with(pool, djs_keyring_make(pool, djs_bytes("secret"), NULL, 0));
}

void memory_site_put(djs_ctx_t *ctx, memory_site_t *site, const char *key, const char *json,
                     apr_time_t expires)
{
    djs_value_t *value;
    djs_record_t record = { .written = ctx->now };

    assert_status(ctx, djs_json_loads(ctx, DJS_JSON_UTF8, djs_bytes(json), &value), APR_SUCCESS,
                  json);
    assert_status(ctx, djs_wire_write(ctx, site->site.wire, value, &record.data), APR_SUCCESS,
                  json);
    record.expires = expires;
    memory_engine_put(site->memory, key, &record);
}

const char *memory_site_get(djs_ctx_t *ctx, const memory_site_t *site, const char *key)
{
    const djs_record_t *record = memory_engine_get(site->memory, key);
    djs_ctx_t quiet = *ctx;
    djs_value_t *value;

    if (record == NULL) {
        return NULL;
    }
    if (djs_wire_inspect(&quiet, site->site.wire, record->data, &value, NULL) != APR_SUCCESS) {
        return "(unreadable)";
    }
    return djs_json_dumps(ctx, DJS_JSON_COMPACT, value).data;
}

djs_session_t *memory_site_session(djs_ctx_t *ctx, const memory_site_t *site, const char *key)
{
    return djs_session_make(ctx, &site->site, &key, key != NULL);
}

const char *memory_session_json(djs_ctx_t *ctx, djs_session_t *session)
{
    return djs_json_dumps(ctx, DJS_JSON_COMPACT, djs_session_data(ctx, session)).data;
}
