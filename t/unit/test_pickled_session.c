/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions of Python's types that two requests change at the same time: what either changed is there
 * afterwards, and every other value is of the type that it was.
 */
#include "memory_engine.h"
#include "support.h"
#include "tagged.h"

#include <string.h>

#include "update.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KEY "abcdefghijklmnopqrstuvwxyz012345"
#define LATER (TEST_NOW + apr_time_from_sec(100))

/* ---- Values ---------------------------------------------------------------------------------- */

static djs_value_t *number(apr_pool_t *pool, int n)
{
    return djs_value_make_int(pool, n);
}

static djs_value_t *text(apr_pool_t *pool, const char *s)
{
    return djs_value_make_str(pool, djs_bytes(s));
}

static djs_value_t *group_of(apr_pool_t *pool, djs_type_t type, djs_value_t *item)
{
    djs_value_t *group = djs_value_make_group(pool, type);

    djs_value_append(group, item);
    return group;
}

static djs_value_t *at_hour(apr_pool_t *pool, int hour)
{
    djs_value_t *zone = djs_value_make_timezone(pool, DJS_TIMEZONE_FIXED, 0, NULL);

    return djs_value_make_time(pool, DJS_TYPE_DATETIME,
                               TEST_NOW + apr_time_from_sec(3600 * (apr_int64_t)hour), zone, 0);
}

/* A session of Django's, with one value of each kind that JSON would lose. */
static djs_value_t *typed(apr_pool_t *pool, int hour, int pair, int n)
{
    djs_value_t *dict = djs_value_make_dict(pool), *list = djs_value_make_list(pool);

    djs_value_append(list, group_of(pool, DJS_TYPE_TUPLE, text(pool, "a")));
    djs_value_set(dict, djs_bytes("when"), at_hour(pool, hour));
    djs_value_set(dict, djs_bytes("pair"), group_of(pool, DJS_TYPE_TUPLE, number(pool, pair)));
    djs_value_set(dict, djs_bytes("raw"),
                  djs_value_make_bytes(pool, DJS_TYPE_BYTES, djs_bytes_of("\0\xff", 2)));
    djs_value_set(dict, djs_bytes("price"), djs_value_make_decimal(pool, djs_bytes("1.10")));
    djs_value_set(dict, djs_bytes("seen"), group_of(pool, DJS_TYPE_SET, number(pool, 7)));
    djs_value_set(dict, djs_bytes("n"), number(pool, n));
    djs_value_set(dict, djs_bytes("list"), list);
    return dict;
}

/* ---- Sites ----------------------------------------------------------------------------------- */

/* Each of the layouts that hold pickles. */
static const struct {
    const char *name;
    djs_wire_layout_t layout;
} layouts[] = {
    { "a cache", DJS_WIRE_PICKLE },
    { "django-redis", DJS_WIRE_DJANGO_REDIS },
    { "rows of a PickleSerializer", DJS_WIRE_SIGNED },
};

static memory_site_t *site_of(test_t *test, size_t i)
{
    memory_site_t *site = memory_site_make(test->pool);

    site->site.wire = djs_wire_make_pickled(test->pool, site->site.keys, layouts[i].layout, NULL);
    return site;
}

static void put(test_t *test, memory_site_t *site, const djs_value_t *data)
{
    djs_record_t record = { .expires = LATER };

    assert_status(test->ctx, djs_wire_write(test->ctx, site->site.wire, data, &record.data),
                  APR_SUCCESS, "put");
    memory_engine_put(site->memory, KEY, &record);
}

static void assert_stored(test_t *test, const memory_site_t *site, const djs_value_t *expected,
                          const char *why)
{
    const djs_record_t *record = memory_engine_get(site->memory, KEY);
    djs_value_t *stored;

    assert_non_null(record);
    assert_status(test->ctx,
                  djs_wire_inspect(test->ctx, site->site.wire, record->data, &stored, NULL),
                  APR_SUCCESS, why);
    assert_text(tagged_text(test->pool, stored), tagged_text(test->pool, expected), why);
}

/* ---- Two at a time --------------------------------------------------------------------------- */

static void a_rebase_keeps_the_types_of_what_it_does_not_change(void **state)
{
    test_t *test = *state;
    djs_ctx_t *ctx = test->ctx;
    size_t i;

    for (i = 0; i < COUNT(layouts); i++) {
        memory_site_t *site = site_of(test, i);
        djs_value_t *expected = typed(test->pool, 15, 9, 5);
        djs_session_t *session;

        put(test, site, typed(test->pool, 12, 1, 1));
        session = memory_site_session(ctx, site, KEY);
        djs_session_set(ctx, session, djs_bytes("when"), at_hour(test->pool, 15));
        assert_non_null(djs_session_pop(ctx, session, djs_bytes("price")));
        put(test, site, typed(test->pool, 12, 9, 5)); /* another tuple, another number */
        assert_status(ctx, djs_session_save(ctx, session), DJS_ECONFLICT, layouts[i].name);
        djs_forget(ctx);
        assert_status(ctx, djs_session_rebase(ctx, session, djs_session_changes(ctx, session)),
                      APR_SUCCESS, layouts[i].name);
        assert_status(ctx, djs_session_save(ctx, session), APR_SUCCESS, layouts[i].name);
        (void)djs_value_delete(expected, djs_bytes("price"));
        assert_stored(test, site, expected, layouts[i].name);
    }
}

static void operations_applied_again_keep_the_types_of_the_rest(void **state)
{
    static const char operations[] = "{\"increment\":{\"n\":1},\"append\":{\"list\":\"b\"},"
                                     "\"set\":{\"pair\":\"text\"},\"delete\":[\"raw\"]}";
    test_t *test = *state;
    djs_ctx_t *ctx = test->ctx;
    size_t i;

    for (i = 0; i < COUNT(layouts); i++) {
        memory_site_t *site = site_of(test, i);
        djs_update_t *update = djs_update_make(ctx);
        djs_value_t *expected = typed(test->pool, 15, 9, 6);
        djs_session_t *session;

        put(test, site, typed(test->pool, 12, 1, 1));
        assert_status(ctx, djs_update_parse_json(ctx, update, djs_bytes(operations)), APR_SUCCESS,
                      "parse");
        session = memory_site_session(ctx, site, KEY);
        assert_status(ctx, djs_update_apply(ctx, &site->site, session, update), APR_SUCCESS, "once");
        put(test, site, typed(test->pool, 15, 9, 5)); /* another time, tuple and number */
        assert_status(ctx, djs_session_save(ctx, session), DJS_ECONFLICT, layouts[i].name);
        djs_forget(ctx);
        assert_status(ctx, djs_session_reload(ctx, session), APR_SUCCESS, "reload");
        assert_status(ctx, djs_update_apply(ctx, &site->site, session, update), APR_SUCCESS, "again");
        assert_status(ctx, djs_session_save(ctx, session), APR_SUCCESS, layouts[i].name);
        djs_value_append(djs_value_get(expected, djs_bytes("list")), text(test->pool, "b"));
        djs_value_set(expected, djs_bytes("pair"), text(test->pool, "text"));
        (void)djs_value_delete(expected, djs_bytes("raw"));
        assert_stored(test, site, expected, layouts[i].name);
    }
}

static void a_typed_value_is_no_number_and_no_list_to_an_operation(void **state)
{
    static const char *const refused[] = {
        "{\"increment\":{\"when\":1}}", "{\"append\":{\"pair\":1}}", "{\"append\":{\"seen\":1}}",
    };
    test_t *test = *state;
    djs_ctx_t *ctx = test->ctx;
    memory_site_t *site = site_of(test, 0);
    size_t i;

    put(test, site, typed(test->pool, 12, 1, 1));
    for (i = 0; i < COUNT(refused); i++) {
        djs_session_t *session = memory_site_session(ctx, site, KEY);
        djs_update_t *update = djs_update_make(ctx);

        djs_forget(ctx);
        assert_status(ctx, djs_update_parse_json(ctx, update, djs_bytes(refused[i])), APR_SUCCESS,
                      refused[i]);
        assert_status(ctx, djs_update_apply(ctx, &site->site, session, update), DJS_EINVAL,
                      refused[i]);
        assert_false(djs_session_modified(session));
    }
    assert_stored(test, site, typed(test->pool, 12, 1, 1), "as it was");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_rebase_keeps_the_types_of_what_it_does_not_change),
        TEST(operations_applied_again_keep_the_types_of_the_rest),
        TEST(a_typed_value_is_no_number_and_no_list_to_an_operation),
    };

    return RUN_TESTS(tests);
}
