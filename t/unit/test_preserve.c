/* SPDX-License-Identifier: Apache-2.0 */
/* Forms that wait for a login: who gets them back, for how long, and what the store sees of them. */
#include "support.h"

#include <string.h>

#include "memory_engine.h"
#include "preserve.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BROWSER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static djs_preserved_t a_form(void)
{
    djs_preserved_t form = {
        .origin = "https://www.example.com", .address = "/order?a=1&b=%20", .back = "/form",
        .user_id = "7",
        .type = "application/x-www-form-urlencoded", .body = djs_bytes("name=ada\n&amount=5%00")
    };

    return form;
}

static const char *keep(test_t *test, memory_site_t *site, const djs_preserved_t *form)
{
    const char *id = NULL;

    assert_status(test->ctx, djs_preserve_keep(test->ctx, &site->site, form, BROWSER, &id),
                  APR_SUCCESS, "kept");
    assert_true(djs_preserve_is_id(id));
    return id;
}

static void a_form_comes_back_as_it_was_sent(void **state)
{
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    djs_preserved_t form = a_form(), found;
    const char *id;

    form.body = djs_bytes_of("a\0b\n\r\n\xff", 7);
    id = keep(test, site, &form);
    assert_status(test->ctx, djs_preserve_find(test->ctx, &site->site, id, BROWSER, &found),
                  APR_SUCCESS, "found");
    assert_text(found.origin, form.origin, "origin");
    assert_text(found.address, form.address, "address");
    assert_text(found.back, form.back, "back");
    assert_text(found.user_id, form.user_id, "user");
    assert_text(found.type, form.type, "type");
    assert_bytes(found.body, form.body, "body");
}

static void a_form_without_a_body_is_kept_too(void **state)
{
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    djs_preserved_t form = a_form(), found;
    const char *id;

    form.body = djs_bytes_of(NULL, 0);
    form.back = form.user_id = "";
    id = keep(test, site, &form);
    assert_status(test->ctx, djs_preserve_find(test->ctx, &site->site, id, BROWSER, &found),
                  APR_SUCCESS, "found");
    assert_number(found.body.len, 0, "nothing");
    assert_text(found.back, "", "not known");
}

static void a_form_is_taken_away_once(void **state)
{
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    djs_preserved_t form = a_form(), one, other;
    const char *id = keep(test, site, &form);

    assert_status(test->ctx, djs_preserve_find(test->ctx, &site->site, id, BROWSER, &one),
                  APR_SUCCESS, "one looks");
    assert_status(test->ctx, djs_preserve_find(test->ctx, &site->site, id, BROWSER, &other),
                  APR_SUCCESS, "another looks, too");
    assert_status(test->ctx, djs_preserve_claim(test->ctx, &one), APR_SUCCESS, "one gets it");
    assert_status(test->ctx, djs_preserve_claim(test->ctx, &other), APR_NOTFOUND, "the other not");
    assert_status(test->ctx, djs_preserve_find(test->ctx, &site->site, id, BROWSER, &other),
                  APR_NOTFOUND, "it is gone");
    assert_number(memory_engine_count(site->memory), 0, "nothing is left");
}

static void a_form_is_for_one_browser_and_under_one_id(void **state)
{
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    djs_preserved_t form = a_form(), found;
    const char *id = keep(test, site, &form);
    char *other = apr_pstrdup(test->pool, id);
    const struct {
        const char *id, *browser;
        apr_status_t rv;
        const char *why;
    } cases[] = {
        { id, "cccccccccccccccccccccccccccccccc", DJS_EINVAL, "another browser" },
        { id, "", DJS_EINVAL, "no cookie" },
        { other, BROWSER, APR_NOTFOUND, "another id" },
        { "", BROWSER, APR_NOTFOUND, "no id" },
        { "../../etc/passwd", BROWSER, APR_NOTFOUND, "no shape of one" },
        { id, BROWSER, APR_SUCCESS, "its own, after all of these" },
    };
    size_t i;

    other[0] = other[0] == 'a' ? 'b' : 'a';
    for (i = 0; i < COUNT(cases); i++) {
        djs_forget(test->ctx);
        assert_status(test->ctx, djs_preserve_find(test->ctx, &site->site, cases[i].id,
                                                   cases[i].browser, &found),
                      cases[i].rv, cases[i].why);
    }
}

static void a_record_under_another_forms_key_does_not_open(void **state)
{
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    djs_preserved_t form = a_form(), found;
    const char *first, *key;
    djs_record_t record;

    (void)keep(test, site, &form);
    first = memory_engine_key_beside(site->memory, "");
    record = *memory_engine_get(site->memory, first);
    memory_engine_put(site->memory, first, NULL);
    form.address = "/another";
    {
        const char *id = keep(test, site, &form);

        key = memory_engine_key_beside(site->memory, first);
        memory_engine_put(site->memory, key, &record);
        assert_status(test->ctx, djs_preserve_find(test->ctx, &site->site, id, BROWSER, &found),
                      DJS_EINVAL, "who writes the store cannot exchange forms");
    }
}

static void a_form_lives_half_an_hour_whatever_the_store_says(void **state)
{
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    djs_preserved_t form = a_form(), found;
    const char *id = keep(test, site, &form);
    const char *key = memory_engine_key_beside(site->memory, "");
    djs_record_t record = *memory_engine_get(site->memory, key);

    assert_number(record.expires, TEST_NOW + DJS_PRESERVE_AGE, "its end is in the store");
    record.expires = 0; /* as caches have it */
    memory_engine_put(site->memory, key, &record);
    test->ctx->now = TEST_NOW + DJS_PRESERVE_AGE - apr_time_from_sec(1);
    assert_status(test->ctx, djs_preserve_find(test->ctx, &site->site, id, BROWSER, &found),
                  APR_SUCCESS, "still");
    test->ctx->now = TEST_NOW + DJS_PRESERVE_AGE + apr_time_from_sec(1);
    assert_status(test->ctx, djs_preserve_find(test->ctx, &site->site, id, BROWSER, &found),
                  APR_NOTFOUND, "no longer");
}

static void the_store_sees_nothing_of_a_form(void **state)
{
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    djs_preserved_t form = a_form();
    const char *id = keep(test, site, &form);
    const char *key = memory_engine_key_beside(site->memory, "");
    const char *json = memory_site_get(test->ctx, site, key);

    assert_null(strstr(json, "amount"));
    assert_null(strstr(json, "/order"));
    assert_null(strstr(json, id));
    assert_null(strstr(json, BROWSER));
    assert_null(strstr(key, id));
    assert_non_null(strstr(json, "_post"));
}

static void a_form_of_an_older_key_is_found(void **state)
{
    test_t *test = *state;
    djs_bytes_t fallback = djs_bytes("secret");
    memory_site_t *site = memory_site_make(test->pool);
    memory_site_t *newer = memory_site_make_with(
        test->pool, djs_keyring_make(test->pool, djs_bytes("newer"), &fallback, 1));
    djs_preserved_t form = a_form(), found;
    const char *id = keep(test, site, &form);

    newer->site.engine = site->site.engine;
    assert_status(test->ctx, djs_preserve_find(test->ctx, &newer->site, id, BROWSER, &found),
                  APR_SUCCESS, "by the fallback");
    assert_text(found.address, form.address, "address");
}

static void what_is_too_long_or_has_line_ends_is_not_kept(void **state)
{
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    char *large = apr_palloc(test->pool, DJS_PRESERVE_MAX + 1);
    djs_preserved_t form = a_form(), found;
    const char *id = NULL;

    memset(large, 'x', DJS_PRESERVE_MAX + 1);
    form.body = djs_bytes_of(large, DJS_PRESERVE_MAX);
    id = keep(test, site, &form);
    assert_status(test->ctx, djs_preserve_find(test->ctx, &site->site, id, BROWSER, &found),
                  APR_SUCCESS, "the longest");
    assert_bytes(found.body, form.body, "the longest");
    form.body.len++;
    assert_status(test->ctx, djs_preserve_keep(test->ctx, &site->site, &form, BROWSER, &id),
                  DJS_ELIMIT, "a byte more");
    form = a_form();
    form.type = "application/x-www-form-urlencoded\nx";
    djs_forget(test->ctx);
    assert_status(test->ctx, djs_preserve_keep(test->ctx, &site->site, &form, BROWSER, &id),
                  DJS_EINVAL, "a line end");
    assert_number(memory_engine_count(site->memory), 1, "nothing more is stored");
}

static void a_session_is_no_form_and_a_store_that_is_down_says_nothing(void **state)
{
    test_t *test = *state;
    memory_site_t *site = memory_site_make(test->pool);
    djs_preserved_t form = a_form(), found;
    const char *id = keep(test, site, &form);
    const char *key = memory_engine_key_beside(site->memory, "");

    site->memory->down = 1;
    assert_status(test->ctx, djs_preserve_find(test->ctx, &site->site, id, BROWSER, &found),
                  DJS_ESTORE, "down");
    assert_status(test->ctx, djs_preserve_keep(test->ctx, &site->site, &form, BROWSER, &id),
                  DJS_ESTORE, "down");
    site->memory->down = 0;
    djs_forget(test->ctx);
    memory_site_put(test->ctx, site, key, "{\"_auth_user_id\": \"1\"}",
                    TEST_NOW + apr_time_from_sec(60));
    assert_status(test->ctx, djs_preserve_find(test->ctx, &site->site, id, BROWSER, &found),
                  APR_NOTFOUND, "a session");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_form_comes_back_as_it_was_sent),
        TEST(a_form_without_a_body_is_kept_too),
        TEST(a_form_is_taken_away_once),
        TEST(a_form_is_for_one_browser_and_under_one_id),
        TEST(a_record_under_another_forms_key_does_not_open),
        TEST(a_form_lives_half_an_hour_whatever_the_store_says),
        TEST(the_store_sees_nothing_of_a_form),
        TEST(a_form_of_an_older_key_is_found),
        TEST(what_is_too_long_or_has_line_ends_is_not_kept),
        TEST(a_session_is_no_form_and_a_store_that_is_down_says_nothing),
    };

    return RUN_TESTS(tests);
}
