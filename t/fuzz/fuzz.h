/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What fuzz targets share. A target is one file, t/fuzz/fuzz_NAME.c, with fuzz_one(): it gives hostile
 * bytes to one parser and checks what must hold for all of them. Beside it are corpus/NAME/, files
 * that are worth trying (t/fuzz/seeds makes the first of them from t/vectors), NAME.dict, words that
 * are, and one line in t/local.mk.
 *
 *     build/make fuzz
 *     .build/fuzz/t/fuzz/fuzz_pickle -dict=t/fuzz/pickle.dict NEW_DIR t/fuzz/corpus/pickle
 *
 * looks for new ones with libFuzzer (clang). "make check" links the same targets with replay.c, by
 * any compiler, and tries the corpora.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "djs.h"
#include "measure.h"
#include "wire.h"

/** The target: @a bytes are in memory of just their length. The context lives for this call. */
void fuzz_one(djs_ctx_t *ctx, djs_bytes_t bytes);

/** Ends the program with a line when something does not hold. */
#define FUZZ_CHECK(holds) fuzz_check((holds) != 0, #holds, __FILE__, __LINE__)
void fuzz_check(int holds, const char *what, const char *file, int line);

/**
 * Stored bytes, whatever they are: read within the memory that wire.h promises; and what could be read
 * is written and read again the same.
 *
 * @param inside  at most so many bytes are in there, unpacked
 * @return 1: they could be read
 */
int fuzz_stored(djs_ctx_t *ctx, const djs_wire_t *wire, djs_bytes_t stored, apr_size_t inside);

/** The most that zlib makes of so many bytes, and that we let it. */
apr_size_t fuzz_unpacked_max(apr_size_t len);

/** measure_memory(), of pools as APR has them. */
apr_size_t fuzz_memory(measured_fn run, djs_bytes_t bytes, void *baton);

/**
 * Is what pools give apart from each other, each in memory of just its size? Gives how it was before.
 * In fuzz_one() it is.
 */
int fuzz_pools_apart(int now);

/** Free all that was apart: no pool is there any more. */
void fuzz_pools_free(void);

/** What libFuzzer calls, in fuzz.c: a pool and a context around fuzz_one(). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
