/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What databases say of a date-time. Statements and arguments are tested on real ones, by the engine.
 */
#include "support.h"

#include "column.h"

static void an_epoch_is_read_to_the_microsecond(void **state)
{
    static const struct { const char *text; apr_time_t instant; const char *why; } good[] = {
        { "1735689600", TEST_NOW, "no fraction" },
        { "1735689600.25", TEST_NOW + 250000, "a short one" },
        { "1735689600.250001", TEST_NOW + 250001, "microseconds" },
        { "1735689600.2500014", TEST_NOW + 250001, "more digits than count" },
        { "0", 0, "1970" },
        { "-0.5", -500000, "before it" },
        { "-62135596800", DJS_MOMENT_MIN, "year 1" },
        { "Infinity", DJS_MOMENT_MAX - 1, "never" },
        { "-Infinity", DJS_MOMENT_MIN, "always" },
        { "253402300799.99997", DJS_MOMENT_MAX - 30, "year 9999, as a double" },
    };
    static const char *const bad[] = {
        "", "-", ".5", "1.5e+10", "infinity", "NaN", "1735689600 ", "1735689600.5x",
        "99999999999999999999999999", "2025-01-01 00:00:00",
    };
    test_t *test = *state;
    djs_column_t column = { .is_epoch = 1 };
    apr_time_t instant;
    apr_size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_status(test->ctx, djs_column_read(test->ctx, &column, djs_bytes(good[i].text),
                                                 &instant), APR_SUCCESS, good[i].why);
        assert_number(instant, good[i].instant, good[i].why);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_status(NULL, djs_column_read(test->ctx, &column, djs_bytes(bad[i]), &instant),
                      DJS_EFORMAT, bad[i]);
        djs_forget(test->ctx);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(an_epoch_is_read_to_the_microsecond),
    };

    return RUN_TESTS(tests);
}
