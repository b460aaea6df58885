/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine of another module (t/engine_dbm) under the contract that ours are under.
 */
#include "engine_contract.h"
#include "engine_dbm.h"

#include <stdlib.h>
#include <unistd.h>

#include <apr_file_io.h>

static char *folder;

static const char *path_of(test_t *test, const char *name)
{
    return apr_pstrcat(test->pool, folder, "/", name, NULL);
}

static djs_engine_t *open_dbm(test_t *test, const void *baton)
{
    djs_engine_t *engine = engine_dbm_make(test->pool, "DB", path_of(test, baton));

    assert_status(test->ctx, engine_dbm_begin(test->ctx, test->pool, engine), APR_SUCCESS, "begin");
    return engine;
}

static void an_engine_that_did_not_begin_has_no_answers(void **state)
{
    test_t *test = *state;
    djs_engine_t *engine = engine_dbm_make(test->pool, "DB", "/nowhere/at/all");
    int found;

    assert_int_not_equal(engine_dbm_begin(test->ctx, test->pool, engine), APR_SUCCESS);
    assert_non_null(test->ctx->problem);
    assert_status(test->ctx, engine->ops->exists(engine, test->ctx, "somebody", &found), DJS_ESTORE,
                  "as while a store is down");
}

static void a_file_that_is_no_dbm_has_no_answers(void **state)
{
    test_t *test = *state;
    const char *path = path_of(test, "text");
    djs_engine_t *engine = open_dbm(test, "text");
    apr_file_t *file;
    djs_record_t found;

    assert_int_equal(apr_file_open(&file, path, APR_FOPEN_WRITE | APR_FOPEN_CREATE,
                                   APR_FPROT_OS_DEFAULT, test->pool), APR_SUCCESS);
    apr_file_puts("This is no DBM file, which has another beginning than such a sentence.", file);
    apr_file_close(file);
    assert_status(test->ctx, engine->ops->load(engine, test->ctx, "somebody", &found), DJS_ESTORE,
                  "no miss");
    assert_non_null(test->ctx->problem);
}

static void remove_folder(void)
{
    static const char *const names[] = { "contract", "contract.lock", "text", "text.lock" };
    char path[200];
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        apr_snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

int main(void)
{
    static const contract_t contract = { "dbm", open_dbm, "contract" };
    static struct CMUnitTest tests[CONTRACT_TESTS_MAX + 2] = {
        TEST(an_engine_that_did_not_begin_has_no_answers),
        TEST(a_file_that_is_no_dbm_has_no_answers)
    };
    /* The file is synchronised at each step: in memory, if there is such a place. */
    static char in_memory[] = "/dev/shm/djs-dbm-XXXXXX";
    static char on_disk[] = "/tmp/djs-dbm-XXXXXX";
    size_t count = contract_tests(&contract, tests, 2);
    int failed;

    folder = mkdtemp(access("/dev/shm", W_OK) == 0 ? in_memory : on_disk);
    if (folder == NULL) {
        return 1;
    }
    failed = test_run("dbm", tests, count);
    remove_folder();
    return failed;
}
