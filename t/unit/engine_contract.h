/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract of djs_engine.h as tests, for any engine.
 *
 * A test program says how its engine is opened, appends the contract's tests for each engine that
 * it has to a table, and runs the table. Each test gets an engine of its own on the same store, uses
 * keys that nobody else has, and expects others' records in it, except where it lists and clears.
 */
#ifndef ENGINE_CONTRACT_H
#define ENGINE_CONTRACT_H

#include "support.h"

#include "djs_engine.h"

/** What a test of the contract gets as *state. A test_t, too. */
typedef struct contract_state_t {
    test_t test;
    djs_engine_t *engine;
    unsigned int flags; /* the contract's */
} contract_state_t;

/* How an engine under test is different. */
#define CONTRACT_VAGUE_END 1u /* the end of what it loads may be 0, or less than a second too early */
#define CONTRACT_OWN_CLOCK 2u /* its store has a clock of its own: ctx->now makes nothing expire */
#define CONTRACT_FORGETS   4u /* what has expired, by the store's own clock, is not there */

#define CONTRACT_AGED      8u /* it stores no end: what it loads tells when it was written */

/** An engine under test. */
typedef struct contract_t {
    const char *name; /* stands before the names of the tests: "sqlite" */
    djs_engine_t *(*open)(test_t *test, const void *baton);
    const void *baton;
    unsigned int flags; /* CONTRACT_… */
} contract_t;

/** So many tests are appended at most. */
#define CONTRACT_TESTS_MAX 40

/** Append the contract's tests. @a contract must live until they have run. Gives the new count. */
size_t contract_tests(const contract_t *contract, struct CMUnitTest *tests, size_t count);

/** For further tests of one engine: a test with the contract's state. */
struct CMUnitTest contract_test(const contract_t *contract, const char *name, CMUnitTestFunction run);

/** A key that nobody has. */
const char *contract_key(test_t *test);

/** A record with this data that lives for an hour from ctx->now. */
djs_record_t contract_record(test_t *test, const char *data);

#endif
