/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry of engines, and sites opened from settings: what is right, and what is named when it
 * is wrong.
 */
#include "databases.h"

#include <string.h>

#include "stores.h"

/* Complete settings with a secret key. */
static djs_settings_t *settings_of(test_t *test)
{
    djs_settings_t *settings = djs_settings_complete(test->pool, djs_settings_make(test->pool));

    settings->secret_key = "a key that is long enough to be a key";
    return settings;
}

static void an_engine_is_known_by_its_name_and_djangos(void **state)
{
    test_t *test = *state;

    assert_text(djs_stores_engine_name("db"), "db", "ours");
    assert_text(djs_stores_engine_name("django.contrib.sessions.backends.db"), "db", "Django's");
    assert_null(djs_stores_engine_name("DB"));
    assert_null(djs_stores_engine_name(""));
    assert_null(djs_stores_engine_name("django.contrib.sessions.backends.nothing"));
    assert_text(djs_stores_engine_name("django.contrib.sessions.backends.signed_cookies"),
                "signed_cookies", "Django's");
    assert_text(djs_stores_engine_name("encrypted_cookies"), "encrypted_cookies", "ours alone");
    assert_text(djs_stores_names(test->pool),
                "db, file, cache, cached_db, signed_cookies or encrypted_cookies", "for messages");
    assert_true(djs_stores_needs_database("db"));
    assert_false(djs_stores_needs_database("file"));
    assert_false(djs_stores_needs_database("cache"));
    assert_false(djs_stores_needs_database("signed_cookies"));
    assert_false(djs_stores_needs_database("nothing"));
}

static void a_site_is_opened_from_its_settings_without_asking_the_database(void **state)
{
    test_t *test = *state;
    test_database_t nowhere = { "nowhere", "sqlite3", NULL, "/nowhere/at/all/db.sqlite3" };
    djs_database_t *database = test_database_open(test, &nowhere);
    djs_settings_t *settings = settings_of(test);
    djs_site_t *site = NULL;

    assert_status(test->ctx, djs_stores_open(test->ctx, test->pool, settings, database, &site),
                  APR_SUCCESS, "the database may be down");
    assert_ptr_equal(site->settings, settings);
    assert_text(site->engine->ops->name, "db", "engine");
    assert_non_null(site->users);
    assert_non_null(site->wire);
    assert_number(djs_keyring_count(site->keys), 1, "keys");
    assert_null(site->zone);
}

static void without_use_tz_a_site_has_a_zone(void **state)
{
    test_t *test = *state;
    djs_database_t *database = test_database_open(test, &test_databases()[0]);
    djs_settings_t *settings = settings_of(test);
    djs_site_t *site = NULL;

    settings->use_tz = 0;
    settings->time_zone = "Asia/Kolkata";
    assert_status(test->ctx, djs_stores_open(test->ctx, test->pool, settings, database, &site),
                  APR_SUCCESS, "open");
    assert_non_null(site->zone);
    assert_number(site->zone->offset_at(site->zone, TEST_NOW), 19800, "5:30 east");
}

static void a_site_is_opened_around_an_engine_of_the_host(void **state)
{
    test_t *test = *state;
    djs_settings_t *settings = settings_of(test);
    djs_engine_t engine = { NULL, NULL };
    djs_site_t *site = NULL;

    settings->engine = "one that only the host knows";
    assert_status(test->ctx, djs_stores_open_around(test->ctx, test->pool, settings, NULL, &engine,
                                                    &site), APR_SUCCESS, "needs no database");
    assert_ptr_equal(site->engine, &engine);
    assert_null(site->users);
    assert_non_null(site->wire);
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *key, *engine, *zone;
        int use_tz, has_database;
        const char *named;
    } wrong[] = {
        { NULL, "db", NULL, 1, 1, "DjangoSecretKey" },
        { "file:/nowhere", "db", NULL, 1, 1, "/nowhere" },
        { "key", "nothing", NULL, 1, 1, "nothing" },
        { "key", "db", NULL, 1, 0, "DBDriver" },
        { "key", "cache", NULL, 1, 0, "DjangoSessionCache" },
        { "key", "file", NULL, 1, 0, "DjangoSessionFilePath" },
        { "key", "cached_db", NULL, 1, 0, "DBDriver" },
        { "key", "cached_db", NULL, 1, 1, "DjangoSessionCache" },
        { "key", "db", "Europe/Atlantis", 0, 1, "Europe/Atlantis" },
    };
    test_t *test = *state;
    djs_database_t *database = test_database_open(test, &test_databases()[0]);
    apr_size_t i;

    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        djs_settings_t *settings = settings_of(test);
        djs_site_t *site;

        settings->secret_key = wrong[i].key;
        settings->engine = wrong[i].engine;
        settings->use_tz = wrong[i].use_tz;
        settings->time_zone = wrong[i].zone;
        test->ctx->problem = NULL;
        assert_status(test->ctx,
                      djs_stores_open(test->ctx, test->pool, settings,
                                      wrong[i].has_database ? database : NULL, &site),
                      DJS_EINVAL, wrong[i].named);
        if (strstr(test->ctx->problem, wrong[i].named) == NULL) {
            fail_msg("\"%s\" does not name %s", test->ctx->problem, wrong[i].named);
        }
    }
}

static void a_driver_that_nobody_knows_is_refused(void **state)
{
    test_t *test = *state;
    djs_dbd_source_t source;
    djs_database_t *database;

    assert_status(test->ctx,
                  djs_dbd_direct_source(test->ctx, test->pool, "sqlite9", "x", &source),
                  DJS_EUNSUPPORTED, "apr-util has none");
    memset(&source, 0, sizeof(source));
    assert_status(test->ctx,
                  djs_database_open(test->ctx, test->pool, &source, "oracle", &database),
                  DJS_EUNSUPPORTED, "we have no dialect for it");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(an_engine_is_known_by_its_name_and_djangos),
        TEST(a_site_is_opened_from_its_settings_without_asking_the_database),
        TEST(without_use_tz_a_site_has_a_zone),
        TEST(a_site_is_opened_around_an_engine_of_the_host),
        TEST(what_is_wrong_is_named),
        TEST(a_driver_that_nobody_knows_is_refused),
    };
    int failed = RUN_TESTS(tests);

    test_databases_end();
    return failed;
}
