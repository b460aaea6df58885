/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A proxy before a real server that loses one answer, or one request: what a broken network or a
 * server that dies does, at the moment that the test chooses.
 */
#ifndef LOSSY_H
#define LOSSY_H

#include "support.h"

typedef struct lossy_t lossy_t;

typedef enum loss_t {
    LOSE_ANSWER, /* the server gets it and answers; then the connection ends, without the answer */
    LOSE_REQUEST /* the connection ends before the server gets it */
} loss_t;

/** Listens on a free port of 127.0.0.1; ends with the test's pool. */
lossy_t *lossy_start(test_t *test, int server_port);
int lossy_port(const lossy_t *lossy);

/**
 * Lose the next request that contains @a marker, or its answer. @a meanwhile, when not NULL, is
 * called on another thread after the server has answered (or did not get it), before the client
 * notices.
 */
void lossy_lose(lossy_t *lossy, loss_t loss, const char *marker, void (*meanwhile)(void *baton),
                void *baton);
/** Lose whichever request comes after @a passes others, or its answer. */
void lossy_lose_nth(lossy_t *lossy, loss_t loss, int passes);
/** How many were lost. */
int lossy_count(lossy_t *lossy);

#endif
