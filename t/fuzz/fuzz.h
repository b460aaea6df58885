/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What fuzz targets share. A target is one file, t/fuzz/fuzz_NAME.c, with fuzz_one(): it gives hostile
 * bytes to one parser and checks what must hold for all of them. Beside it are corpus/NAME/, files
 * that are worth trying, and one line in t/local.mk.
 *
 *     build/make fuzz && .build/fuzz/t/fuzz/fuzz_pickle NEW_DIR t/fuzz/corpus/pickle
 *
 * looks for new ones with libFuzzer (clang). "make check" links the same targets with replay.c, by
 * any compiler, and tries the corpora.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "djs.h"

/** The target: @a bytes are in memory of just their length. The context lives for this call. */
void fuzz_one(djs_ctx_t *ctx, djs_bytes_t bytes);

/** Ends the program with a line when something does not hold. */
#define FUZZ_CHECK(holds) fuzz_check((holds) != 0, #holds, __FILE__, __LINE__)
void fuzz_check(int holds, const char *what, const char *file, int line);

/** What libFuzzer calls, in fuzz.c: a pool and a context around fuzz_one(). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
