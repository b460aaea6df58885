/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See engine_contract.h.
 */
#include "engine_contract.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>

#define HOUR apr_time_from_sec(3600)

/* ---- Tools ----------------------------------------------------------------------------------- */

const char *contract_key(test_t *test)
{
    unsigned char chance[16];
    char *key = apr_palloc(test->pool, 33);
    int i;

    assert_int_equal(apr_generate_random_bytes(chance, sizeof(chance)), APR_SUCCESS);
    for (i = 0; i < 16; i++) {
        apr_snprintf(key + 2 * i, 3, "%02x", chance[i]);
    }
    return key;
}

djs_record_t contract_record(test_t *test, const char *data)
{
    djs_record_t record = { .data = djs_bytes(data), .expires = test->ctx->now + HOUR };

    return record;
}

static void must_create(contract_state_t *s, const char *key, const djs_record_t *record)
{
    assert_status(s->test.ctx, s->engine->ops->create(s->engine, s->test.ctx, key, record),
                  APR_SUCCESS, "create");
}

static void assert_end(const contract_state_t *s, apr_time_t found, apr_time_t expected,
                       const char *why)
{
    if (s->flags & CONTRACT_AGED) {
        return;
    }
    if ((s->flags & CONTRACT_VAGUE_END)
        && (found == 0 || (found <= expected && found > expected - apr_time_from_sec(1)))) {
        return;
    }
    assert_number(found, expected, why);
}

/* The record under a key is this one. */
static void assert_stored(contract_state_t *s, const char *key, const djs_record_t *expected,
                          const char *why)
{
    djs_record_t found;

    assert_status(s->test.ctx, s->engine->ops->load(s->engine, s->test.ctx, key, &found),
                  APR_SUCCESS, why);
    assert_bytes(found.data, expected->data, why);
    assert_end(s, found.expires, expected->expires, why);
}

static void assert_absent(contract_state_t *s, const char *key, const char *why)
{
    djs_record_t found;
    int exists = 1;

    assert_status(s->test.ctx, s->engine->ops->load(s->engine, s->test.ctx, key, &found),
                  APR_NOTFOUND, why);
    assert_status(s->test.ctx, s->engine->ops->exists(s->engine, s->test.ctx, key, &exists),
                  APR_SUCCESS, why);
    assert_number(exists, 0, why);
}

/* ---- Create, load ---------------------------------------------------------------------------- */

static void what_was_created_is_loaded(void **state)
{
    contract_state_t *s = *state;
    const char *key = contract_key(&s->test);
    djs_record_t record = contract_record(&s->test, "some data");

    record.expires += 250001; /* microseconds count */
    must_create(s, key, &record);
    assert_stored(s, key, &record, "what was created");
}

static void an_unknown_key_is_not_there(void **state)
{
    contract_state_t *s = *state;

    assert_absent(s, contract_key(&s->test), "nobody has this key");
    assert_null(s->test.ctx->problem);
}

static void a_taken_key_is_refused_and_left_alone(void **state)
{
    contract_state_t *s = *state;
    const char *key = contract_key(&s->test);
    djs_record_t first = contract_record(&s->test, "first");
    djs_record_t second = contract_record(&s->test, "second");

    must_create(s, key, &first);
    assert_status(s->test.ctx, s->engine->ops->create(s->engine, s->test.ctx, key, &second),
                  APR_EEXIST, "taken by a live record");
    assert_null(s->test.ctx->problem);
    assert_stored(s, key, &first, "left alone");
    if (s->flags & CONTRACT_FORGETS) {
        return;
    }
    s->test.ctx->now = first.expires + 1;
    assert_status(s->test.ctx, s->engine->ops->create(s->engine, s->test.ctx, key, &second),
                  APR_EEXIST, "taken by an expired record");
    s->test.ctx->now = TEST_NOW;
    assert_stored(s, key, &first, "left alone");
}

static void a_record_lives_until_its_end(void **state)
{
    contract_state_t *s = *state;
    const char *key = contract_key(&s->test);
    djs_record_t record = contract_record(&s->test, "mortal");
    djs_record_t found;
    int exists;

    must_create(s, key, &record);
    s->test.ctx->now = record.expires - 1;
    assert_stored(s, key, &record, "a microsecond before its end");
    if (s->flags & CONTRACT_FORGETS) {
        return; /* its clock is not ours to move */
    }
    s->test.ctx->now = record.expires;
    assert_status(s->test.ctx, s->engine->ops->load(s->engine, s->test.ctx, key, &found),
                  APR_NOTFOUND, "at its end");
    assert_status(s->test.ctx, s->engine->ops->exists(s->engine, s->test.ctx, key, &exists),
                  APR_SUCCESS, "exists asks for no life");
    assert_number(exists, 1, "an expired record exists");
}

static void a_record_born_expired_is_stored_but_not_loaded(void **state)
{
    contract_state_t *s = *state;
    const char *key = contract_key(&s->test);
    djs_record_t record = contract_record(&s->test, "stillborn");
    djs_record_t found;

    record.expires = TEST_NOW - apr_time_from_sec(5);
    must_create(s, key, &record);
    if (s->flags & CONTRACT_FORGETS) {
        assert_absent(s, key, "dead at once");
        return;
    }
    assert_status(s->test.ctx, s->engine->ops->load(s->engine, s->test.ctx, key, &found),
                  APR_NOTFOUND, "a negative expiry stores a past date");
    s->test.ctx->now = record.expires - 1;
    assert_stored(s, key, &record, "seen from before its end");
}

static void any_data_comes_back_as_it_was(void **state)
{
    static const char *const data[] = {
        "", "x", " leading and trailing ", "'; DROP TABLE django_session; --", "%s%n%%d ? $1 :name",
        "back\\slash \\x00 \\' \"quoted\" `tick`", "line\r\nfeed\ttab", "\xc3\xa9 \xe2\x82\xac",
    };
    contract_state_t *s = *state;
    djs_record_t record = contract_record(&s->test, "");
    apr_size_t i;

    for (i = 0; i < sizeof(data) / sizeof(data[0]); i++) {
        const char *key = contract_key(&s->test);

        record.data = djs_bytes(data[i]);
        must_create(s, key, &record);
        assert_stored(s, key, &record, data[i]);
    }
}

static void large_data_comes_back_whole(void **state)
{
    static const apr_size_t sizes[] = { 255, 4096, 65535, 65536, 1048574, 1048576, 3000000 };
    contract_state_t *s = *state;
    djs_record_t record = contract_record(&s->test, "");
    djs_record_t longer = record;
    char *data = malloc(3000001);
    apr_size_t i;

    assert_non_null(data);
    for (i = 0; i < 3000001; i++) {
        data[i] = "abcdefghijklmnopqrstuvwxyz0123456789-_"[i * 7 % 38];
    }
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const char *key = contract_key(&s->test);

        record.data = djs_bytes_of(data, sizes[i]);
        longer.data = djs_bytes_of(data, sizes[i] + 1);
        must_create(s, key, &record);
        assert_stored(s, key, &record, apr_psprintf(s->test.pool, "%u bytes", (unsigned)sizes[i]));
        assert_status(s->test.ctx,
                      s->engine->ops->replace(s->engine, s->test.ctx, key, &record, &longer),
                      APR_SUCCESS, "compared with all of what was seen");
        assert_stored(s, key, &longer, "one byte more");
    }
    free(data);
}

/* ---- Keys ------------------------------------------------------------------------------------ */

static void keys_of_strangers_find_nothing(void **state)
{
    static const char *const keys[] = {
        "' OR '1'='1", "\" OR \"\"=\"", "%%%%%%%%", "________", "\\\\\\\\\\\\\\\\", "$1$1$1$1$1",
        "../../etc/passwd", "key with spaces", "\x01\x02\x03\x04\x05\x06\x07\x08",
        "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8", "\xc0\x80\xc0\x80\xc0\x80\xc0\x80",
        "\xed\xa0\x80\xed\xa0\x80\xed\xa0\x80", "\xf0\x9f\x8d\xaa\xf0\x9f\x8d\xaa\xf0\x9f\x8d\xaa",
        "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", "0x0000000000", "NULLNULL",
    };
    contract_state_t *s = *state;
    djs_record_t record = contract_record(&s->test, "not for strangers");
    apr_size_t i;

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        assert_absent(s, keys[i], keys[i]);
        assert_status(s->test.ctx,
                      s->engine->ops->replace(s->engine, s->test.ctx, keys[i], NULL, &record),
                      APR_NOTFOUND, keys[i]);
        assert_status(s->test.ctx, s->engine->ops->remove(s->engine, s->test.ctx, keys[i]),
                      APR_SUCCESS, keys[i]);
        assert_null(s->test.ctx->problem);
    }
}

static void a_key_of_any_length_finds_nothing(void **state)
{
    static const apr_size_t lengths[] = { 8, 39, 40, 41, 255, 256, 4096, 65536 };
    contract_state_t *s = *state;
    char *key = malloc(65537);
    apr_size_t i;

    assert_non_null(key);
    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        memset(key, 'k', lengths[i]);
        key[lengths[i]] = '\0';
        assert_absent(s, key, apr_psprintf(s->test.pool, "%u letters", (unsigned)lengths[i]));
    }
    free(key);
}

static void keys_are_compared_exactly(void **state)
{
    contract_state_t *s = *state;
    const char *key = apr_pstrcat(s->test.pool, "a", contract_key(&s->test) + 1, NULL);
    const char *others[3];
    djs_record_t record = contract_record(&s->test, "mine");
    djs_record_t other = contract_record(&s->test, "yours");
    int i;

    others[0] = apr_pstrcat(s->test.pool, "A", key + 1, NULL);
    others[1] = apr_pstrcat(s->test.pool, key, " ", NULL);
    others[2] = apr_pstrcat(s->test.pool, "\xc3\xa1", key + 1, NULL);
    must_create(s, key, &record);
    for (i = 0; i < 3; i++) {
        assert_absent(s, others[i], "another case, a space more, an accent");
        assert_status(s->test.ctx,
                      s->engine->ops->replace(s->engine, s->test.ctx, others[i], NULL, &other),
                      APR_NOTFOUND, "replace");
        assert_status(s->test.ctx,
                      s->engine->ops->replace(s->engine, s->test.ctx, others[i], &record, &other),
                      APR_NOTFOUND, "compare and replace");
        assert_status(s->test.ctx, s->engine->ops->remove(s->engine, s->test.ctx, others[i]),
                      APR_SUCCESS, "remove");
        assert_stored(s, key, &record, "untouched");
    }
}

/* ---- Replace --------------------------------------------------------------------------------- */

static void replace_stores_while_what_was_seen_is_there(void **state)
{
    contract_state_t *s = *state;
    const char *key = contract_key(&s->test);
    djs_record_t first = contract_record(&s->test, "first");
    djs_record_t second = contract_record(&s->test, "second");

    second.expires += HOUR + 1;
    must_create(s, key, &first);
    assert_status(s->test.ctx,
                  s->engine->ops->replace(s->engine, s->test.ctx, key, &first, &second), APR_SUCCESS,
                  "nobody was faster");
    assert_stored(s, key, &second, "data and end are new");
}

static void replace_refuses_what_another_has_changed(void **state)
{
    contract_state_t *s = *state;
    const char *key = contract_key(&s->test);
    djs_record_t first = contract_record(&s->test, "first");
    djs_record_t second = contract_record(&s->test, "second");
    djs_record_t third = contract_record(&s->test, "third");

    must_create(s, key, &first);
    assert_status(s->test.ctx,
                  s->engine->ops->replace(s->engine, s->test.ctx, key, &first, &second), APR_SUCCESS,
                  "the faster one");
    assert_status(s->test.ctx, s->engine->ops->replace(s->engine, s->test.ctx, key, &first, &third),
                  DJS_ECONFLICT, "the slower one");
    assert_stored(s, key, &second, "the slower one changed nothing");
}

static void bytes_that_differ_in_case_only_are_a_change(void **state)
{
    contract_state_t *s = *state;
    const char *key = contract_key(&s->test);
    djs_record_t stored = contract_record(&s->test, "data");
    djs_record_t ours = contract_record(&s->test, "ours");
    static const char *const seen[] = { "DATA", "data ", "dat\xc3\xa1", "dat", "" };
    apr_size_t i;

    must_create(s, key, &stored);
    for (i = 0; i < sizeof(seen) / sizeof(seen[0]); i++) {
        djs_record_t other = contract_record(&s->test, seen[i]);

        djs_forget(s->test.ctx);
        assert_status(s->test.ctx,
                      s->engine->ops->replace(s->engine, s->test.ctx, key, &other, &ours),
                      DJS_ECONFLICT, seen[i]);
        assert_stored(s, key, &stored, seen[i]);
    }
}

static void of_two_identical_changes_one_is_a_conflict(void **state)
{
    contract_state_t *s = *state;
    const char *key = contract_key(&s->test);
    djs_record_t one = contract_record(&s->test, "visits: 1");
    djs_record_t two = contract_record(&s->test, "visits: 2");

    must_create(s, key, &one);
    assert_status(s->test.ctx, s->engine->ops->replace(s->engine, s->test.ctx, key, &one, &two),
                  APR_SUCCESS, "one visitor");
    assert_status(s->test.ctx, s->engine->ops->replace(s->engine, s->test.ctx, key, &one, &two),
                  DJS_ECONFLICT, "the other one counted from the same number");
}

static void writing_what_is_there_already_succeeds(void **state)
{
    contract_state_t *s = *state;
    const char *key = contract_key(&s->test);
    djs_record_t record = contract_record(&s->test, "unchanged");
    djs_record_t later = record;
    int i;

    must_create(s, key, &record);
    for (i = 0; i < 2; i++) {
        assert_status(s->test.ctx,
                      s->engine->ops->replace(s->engine, s->test.ctx, key, &record, &record),
                      APR_SUCCESS, "compared, twice");
        assert_status(s->test.ctx,
                      s->engine->ops->replace(s->engine, s->test.ctx, key, NULL, &record),
                      APR_SUCCESS, "not compared, twice");
    }
    later.expires += HOUR;
    assert_status(s->test.ctx, s->engine->ops->replace(s->engine, s->test.ctx, key, &record, &later),
                  APR_SUCCESS, "prolonged");
    assert_stored(s, key, &later, "prolonged");
}

static void replace_without_seen_overwrites_what_is_there(void **state)
{
    contract_state_t *s = *state;
    const char *key = contract_key(&s->test);
    djs_record_t first = contract_record(&s->test, "first");
    djs_record_t second = contract_record(&s->test, "second");

    must_create(s, key, &first);
    assert_status(s->test.ctx, s->engine->ops->replace(s->engine, s->test.ctx, key, NULL, &second),
                  APR_SUCCESS, "as Django's save()");
    assert_stored(s, key, &second, "overwritten");
}

static void an_expired_record_can_be_replaced_and_revives(void **state)
{
    contract_state_t *s = *state;
    const char *key = contract_key(&s->test);
    djs_record_t first = contract_record(&s->test, "first");
    djs_record_t second = contract_record(&s->test, "second");

    must_create(s, key, &first);
    s->test.ctx->now = first.expires + 1;
    second.expires = s->test.ctx->now + HOUR;
    assert_status(s->test.ctx,
                  s->engine->ops->replace(s->engine, s->test.ctx, key, &first, &second), APR_SUCCESS,
                  "its end does not matter");
    assert_stored(s, key, &second, "revived");
}

static void a_deleted_record_is_never_resurrected(void **state)
{
    contract_state_t *s = *state;
    const char *key = contract_key(&s->test);
    djs_record_t record = contract_record(&s->test, "logged out");

    must_create(s, key, &record);
    assert_status(s->test.ctx, s->engine->ops->remove(s->engine, s->test.ctx, key), APR_SUCCESS,
                  "remove");
    assert_status(s->test.ctx,
                  s->engine->ops->replace(s->engine, s->test.ctx, key, &record, &record),
                  APR_NOTFOUND, "compared");
    assert_status(s->test.ctx, s->engine->ops->replace(s->engine, s->test.ctx, key, NULL, &record),
                  APR_NOTFOUND, "not compared");
    assert_absent(s, key, "still gone");
    assert_null(s->test.ctx->problem);
}

static void removing_twice_is_no_failure(void **state)
{
    contract_state_t *s = *state;
    const char *key = contract_key(&s->test);
    const char *bystander = contract_key(&s->test);
    djs_record_t record = contract_record(&s->test, "short-lived");

    must_create(s, key, &record);
    must_create(s, bystander, &record);
    assert_status(s->test.ctx, s->engine->ops->remove(s->engine, s->test.ctx, key), APR_SUCCESS,
                  "the first time");
    assert_status(s->test.ctx, s->engine->ops->remove(s->engine, s->test.ctx, key), APR_SUCCESS,
                  "the second time");
    assert_absent(s, key, "gone");
    assert_stored(s, bystander, &record, "others stay");
}

/* ---- Clearing, listing ----------------------------------------------------------------------- */

/* More than a batch, or a page. */
#define MANY 620

static const char *numbered_key(test_t *test, const char *prefix, int i)
{
    return apr_psprintf(test->pool, "%s%04d", prefix, i);
}

static const char *key_prefix(test_t *test)
{
    return apr_pstrndup(test->pool, contract_key(test), 24);
}

static void clearing_removes_what_has_expired_and_nothing_else(void **state)
{
    contract_state_t *s = *state;
    const char *prefix = key_prefix(&s->test);
    const char *live = contract_key(&s->test);
    const char *ends_now = contract_key(&s->test);
    djs_record_t record = contract_record(&s->test, "x");
    apr_size_t removed = 0;
    int i, exists;

    must_create(s, live, &record);
    record.expires = TEST_NOW;
    must_create(s, ends_now, &record);
    assert_status(s->test.ctx, s->engine->ops->clear_expired(s->engine, s->test.ctx, &removed),
                  APR_SUCCESS, "what other tests left");
    record.expires = TEST_NOW - 1;
    for (i = 0; i < MANY; i++) {
        must_create(s, numbered_key(&s->test, prefix, i), &record);
    }
    assert_status(s->test.ctx, s->engine->ops->clear_expired(s->engine, s->test.ctx, &removed),
                  APR_SUCCESS, "clear");
    assert_number(removed, s->flags & CONTRACT_FORGETS ? 0 : MANY, "all of them were counted");
    assert_absent(s, numbered_key(&s->test, prefix, 0), "the first");
    assert_absent(s, numbered_key(&s->test, prefix, MANY - 1), "the last");
    assert_status(s->test.ctx, s->engine->ops->exists(s->engine, s->test.ctx, ends_now, &exists),
                  APR_SUCCESS, "at equality");
    assert_number(exists, !(s->flags & CONTRACT_FORGETS), "at equality neither live nor removed");
    assert_status(s->test.ctx, s->engine->ops->exists(s->engine, s->test.ctx, live, &exists),
                  APR_SUCCESS, "live");
    assert_number(exists, 1, "live");
}

typedef struct listing_t {
    const char *prefix;
    int seen[MANY];
    int expired;
    int stop_after;
    int calls;
} listing_t;

static apr_status_t note_listed(void *baton, djs_ctx_t *ctx, const djs_listed_t *listed)
{
    listing_t *listing = baton;
    apr_size_t len = strlen(listing->prefix);

    listing->calls++;
    listing->expired += listed->record.expires <= ctx->now;
    if (strncmp(listed->key, listing->prefix, len) == 0) {
        assert_bytes(listed->record.data, djs_bytes(listed->key), "the record of this key");
        listing->seen[atoi(listed->key + len)]++;
    }
    return listing->calls == listing->stop_after ? DJS_EINVAL : APR_SUCCESS;
}

static void a_listing_shows_each_live_record_once(void **state)
{
    contract_state_t *s = *state;
    listing_t listing = { NULL, { 0 }, 0, 0, 0 };
    djs_record_t record = contract_record(&s->test, "");
    int i;

    if (s->engine->ops->list == NULL) {
        return; /* this engine cannot list, and says so */
    }
    listing.prefix = key_prefix(&s->test);
    for (i = 0; i < MANY; i++) {
        const char *key = numbered_key(&s->test, listing.prefix, i);

        record.data = djs_bytes(key);
        record.expires = i % 10 == 0 ? TEST_NOW : TEST_NOW + HOUR;
        must_create(s, key, &record);
    }
    assert_status(s->test.ctx, s->engine->ops->list(s->engine, s->test.ctx, note_listed, &listing),
                  APR_SUCCESS, "list");
    assert_number(listing.expired, 0, "live records only");
    for (i = 0; i < MANY; i++) {
        assert_number(listing.seen[i], i % 10 != 0 || (s->flags & CONTRACT_AGED),
                      numbered_key(&s->test, "", i));
    }
    memset(&listing.calls, 0, sizeof(listing.calls));
    listing.stop_after = 3;
    assert_status(s->test.ctx, s->engine->ops->list(s->engine, s->test.ctx, note_listed, &listing),
                  DJS_EINVAL, "it ends with what its reader says");
    assert_number(listing.calls, 3, "and at once");
}

/* ---- Many at a time -------------------------------------------------------------------------- */

#define CLIENTS 8
#define STEPS 25

typedef struct client_t {
    djs_engine_t *engine;
    const char *key;
    pthread_t thread;
    int stamp; /* nobody else's */
    int conflicts;
    apr_status_t rv;
    char problem[300];
} client_t;

/* Count one further than what is there, until nobody was faster. */
static apr_status_t count_up(client_t *client, djs_ctx_t *ctx)
{
    for (;;) {
        djs_record_t seen, next;
        apr_status_t rv = client->engine->ops->load(client->engine, ctx, client->key, &seen);

        if (rv != APR_SUCCESS) {
            return rv;
        }
        next = seen;
        /* As in life: two requests of the same microsecond that change the same are too rare to tell
           them apart when an answer is lost. */
        next.expires = TEST_NOW + HOUR + apr_time_from_sec(++client->stamp);
        next.data = djs_bytes(apr_itoa(ctx->pool, atoi(seen.data.data) + 1));
        rv = client->engine->ops->replace(client->engine, ctx, client->key, &seen, &next);
        if (rv != DJS_ECONFLICT) {
            return rv;
        }
        djs_forget(ctx);
        client->conflicts++;
    }
}

static void *run_client(void *data)
{
    client_t *client = data;
    int i;

    for (i = 0; i < STEPS && client->rv == APR_SUCCESS; i++) {
        apr_pool_t *pool;
        djs_ctx_t *ctx;

        if (apr_pool_create(&pool, NULL) != APR_SUCCESS) {
            client->rv = APR_ENOMEM;
            break;
        }
        ctx = test_ctx(pool);
        client->rv = count_up(client, ctx);
        apr_cpystrn(client->problem, ctx->problem != NULL ? ctx->problem : "",
                    sizeof(client->problem));
        apr_pool_destroy(pool);
    }
    return NULL;
}

static void start_clients(contract_state_t *s, const char *key, client_t *clients)
{
    int i;

    memset(clients, 0, CLIENTS * sizeof(*clients));
    for (i = 0; i < CLIENTS; i++) {
        clients[i].engine = s->engine;
        clients[i].key = key;
        clients[i].stamp = i * 1000000;
        assert_int_equal(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]), 0);
    }
}

static void await_clients(client_t *clients)
{
    int i;

    for (i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
    }
}

static void no_change_is_lost_among_many_clients(void **state)
{
    contract_state_t *s = *state;
    const char *key = contract_key(&s->test);
    djs_record_t record = contract_record(&s->test, "0");
    client_t clients[CLIENTS];
    int i;

    must_create(s, key, &record);
    start_clients(s, key, clients);
    await_clients(clients);
    for (i = 0; i < CLIENTS; i++) {
        assert_status(NULL, clients[i].rv, APR_SUCCESS, clients[i].problem);
    }
    assert_status(s->test.ctx, s->engine->ops->load(s->engine, s->test.ctx, key, &record),
                  APR_SUCCESS, "load");
    assert_bytes(record.data, djs_bytes(apr_itoa(s->test.pool, CLIENTS * STEPS)),
                 "each of them counted");
}

/* Wherever among the changes it comes: who is later finds nothing, and makes nothing. */
static void a_removal_among_many_changes_is_final(void **state)
{
    contract_state_t *s = *state;
    const char *key = contract_key(&s->test);
    djs_record_t record = contract_record(&s->test, "0");
    client_t clients[CLIENTS];
    apr_status_t rv;
    int i;

    must_create(s, key, &record);
    start_clients(s, key, clients);
    rv = s->engine->ops->remove(s->engine, s->test.ctx, key);
    await_clients(clients);
    assert_status(s->test.ctx, rv, APR_SUCCESS, "remove");
    for (i = 0; i < CLIENTS; i++) {
        if (clients[i].rv != APR_SUCCESS) { /* it was done before */
            assert_status(NULL, clients[i].rv, APR_NOTFOUND, clients[i].problem);
        }
    }
    assert_absent(s, key, "nobody made it again");
}

static void without_patience_nothing_is_waited_for(void **state)
{
    contract_state_t *s = *state;
    djs_record_t found;

    s->test.ctx->patience = 0;
    assert_status(s->test.ctx,
                  s->engine->ops->load(s->engine, s->test.ctx, contract_key(&s->test), &found),
                  DJS_ESTORE, "no answer is no miss");
    assert_non_null(s->test.ctx->problem);
}

static int bad_news;

static void note_said(void *baton, int ok, const char *what)
{
    (void)baton;
    bad_news += !ok;
    assert_non_null(what);
}

static void a_healthy_store_passes_its_check(void **state)
{
    contract_state_t *s = *state;

    bad_news = 0;
    if (s->engine->ops->check != NULL) {
        assert_status(s->test.ctx, s->engine->ops->check(s->engine, s->test.ctx, note_said, NULL),
                      APR_SUCCESS, "check");
        assert_number(bad_news, 0, "all is well");
    }
}

/* ---- The table ------------------------------------------------------------------------------- */


static int open_engine(void **state)
{
    const contract_t *contract = *state;
    contract_state_t *s;
    void *made;

    test_setup(&made);
    s = apr_pcalloc(((test_t *)made)->pool, sizeof(*s));
    s->test = *(test_t *)made;
    s->flags = contract->flags;
    s->engine = contract->open(&s->test, contract->baton);
    *state = s;
    return 0;
}

struct CMUnitTest contract_test(const contract_t *contract, const char *name, CMUnitTestFunction run)
{
    struct CMUnitTest test = { NULL, run, open_engine, test_teardown, (void *)contract };
    apr_size_t size = strlen(contract->name) + strlen(name) + 3;
    char *full = malloc(size); /* the program's for good */

    apr_snprintf(full, size, "%s: %s", contract->name, name);
    test.name = full;
    return test;
}

size_t contract_tests(const contract_t *contract, struct CMUnitTest *tests, size_t count)
{
#define ROW(name) { #name, name, 0 }
#define NOT_FOR(flags, name) { #name, name, flags }
    static const struct {
        const char *name;
        CMUnitTestFunction run;
        unsigned int not_for; /* contracts with one of these flags */
    } rows[] = {
        ROW(what_was_created_is_loaded),
        ROW(an_unknown_key_is_not_there),
        ROW(a_taken_key_is_refused_and_left_alone),
        NOT_FOR(CONTRACT_OWN_CLOCK, a_record_lives_until_its_end),
        NOT_FOR(CONTRACT_AGED, a_record_born_expired_is_stored_but_not_loaded),
        ROW(any_data_comes_back_as_it_was),
        ROW(large_data_comes_back_whole),
        ROW(keys_of_strangers_find_nothing),
        ROW(a_key_of_any_length_finds_nothing),
        ROW(keys_are_compared_exactly),
        ROW(replace_stores_while_what_was_seen_is_there),
        ROW(replace_refuses_what_another_has_changed),
        ROW(bytes_that_differ_in_case_only_are_a_change),
        ROW(of_two_identical_changes_one_is_a_conflict),
        ROW(writing_what_is_there_already_succeeds),
        ROW(replace_without_seen_overwrites_what_is_there),
        NOT_FOR(CONTRACT_OWN_CLOCK, an_expired_record_can_be_replaced_and_revives),
        ROW(a_deleted_record_is_never_resurrected),
        ROW(removing_twice_is_no_failure),
        NOT_FOR(CONTRACT_AGED, clearing_removes_what_has_expired_and_nothing_else),
        ROW(a_listing_shows_each_live_record_once),
        ROW(no_change_is_lost_among_many_clients),
        ROW(a_removal_among_many_changes_is_final),
        ROW(without_patience_nothing_is_waited_for),
        ROW(a_healthy_store_passes_its_check),
    };
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!(contract->flags & rows[i].not_for)) {
            tests[count++] = contract_test(contract, rows[i].name, rows[i].run);
        }
    }
    return count;
}
