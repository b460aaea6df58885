/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools out of malloc(), so that sanitizers and memcheck see a step beyond what was asked for: APR puts
 * one thing directly behind the other. This program's apr_palloc() stands in for APR's, in APR's own
 * functions, too.
 */
#include "fuzz.h"

#include <dlfcn.h>
#include <stdlib.h>

typedef struct block_t {
    struct block_t *next;
    double align; /* what comes behind is fit for anything */
} block_t;

typedef void *(*palloc_fn)(apr_pool_t *pool, apr_size_t size);

static block_t *blocks;
static int apart;

void *apr_palloc(apr_pool_t *pool, apr_size_t size)
{
    static palloc_fn of_apr;
    block_t *block;

    if (of_apr == NULL) {
        *(void **)&of_apr = dlsym(RTLD_NEXT, "apr_palloc");
        FUZZ_CHECK(of_apr != NULL);
    }
    if (!apart) {
        return of_apr(pool, size);
    }
    block = malloc(sizeof(*block) + size);
    FUZZ_CHECK(block != NULL);
    block->next = blocks;
    blocks = block;
    return block + 1;
}

int fuzz_pools_apart(int now)
{
    const int before = apart;

    apart = now;
    return before;
}

void fuzz_pools_free(void)
{
    while (blocks != NULL) {
        block_t *next = blocks->next;

        free(blocks);
        blocks = next;
    }
}
