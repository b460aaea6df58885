/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See turns.h.
 */
#include "turns.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

struct djs_turns_t {
    pthread_mutex_t turns[DJS_TURNS_MAX];
    pthread_mutex_t places[DJS_TURNS_MAX]; /* in front of the turn of the same number */
};

static apr_status_t unmap(void *memory)
{
    munmap(memory, sizeof(djs_turns_t));
    return APR_SUCCESS;
}

static int make_locks(djs_turns_t *turns)
{
    pthread_mutexattr_t attributes;
    int i, error = pthread_mutexattr_init(&attributes);

    if (error) {
        return error;
    }
    error = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (!error) {
        error = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    }
    for (i = 0; !error && i < DJS_TURNS_MAX; i++) {
        error = pthread_mutex_init(&turns->turns[i], &attributes);
        if (!error) {
            error = pthread_mutex_init(&turns->places[i], &attributes);
        }
    }
    pthread_mutexattr_destroy(&attributes);
    return error;
}

apr_status_t djs_turns_make(djs_ctx_t *ctx, apr_pool_t *pool, djs_turns_t **turns)
{
    void *memory = mmap(NULL, sizeof(djs_turns_t), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int error;

    if (memory == MAP_FAILED) {
        return djs_fail(ctx, DJS_ESTORE, "no memory that processes share: %s", strerror(errno));
    }
    error = make_locks(memory);
    if (error) {
        unmap(memory);
        return djs_fail(ctx, DJS_ESTORE, "no locks between processes: %s", strerror(error));
    }
    apr_pool_cleanup_register(pool, memory, unmap, apr_pool_cleanup_null);
    *turns = memory;
    return APR_SUCCESS;
}

/* What is kept under the lock is nothing: who died with it left nothing undone. */
static int has_it(pthread_mutex_t *lock, int outcome)
{
    if (outcome == EOWNERDEAD) {
        pthread_mutex_consistent(lock);
        outcome = 0;
    }
    return outcome == 0;
}

static int try_any(pthread_mutex_t *locks, int bound)
{
    int i;

    for (i = 0; i < bound; i++) {
        if (has_it(&locks[i], pthread_mutex_trylock(&locks[i]))) {
            return i;
        }
    }
    return -1;
}

static int wait_for(pthread_mutex_t *lock, apr_interval_time_t wait)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)apr_time_sec(wait);
    until.tv_nsec += (long)apr_time_usec(wait) * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return has_it(lock, pthread_mutex_timedlock(lock, &until));
}

apr_status_t djs_turns_take(djs_ctx_t *ctx, djs_turns_t *turns, int bound, apr_interval_time_t wait,
                            int *turn, int *waited)
{
    int place;

    *waited = 0;
    *turn = try_any(turns->turns, bound);
    if (*turn >= 0) {
        return APR_SUCCESS;
    }
    place = wait > 0 ? try_any(turns->places, bound) : -1;
    if (place >= 0) {
        *waited = 1;
        if (wait_for(&turns->turns[place], wait)) {
            *turn = place;
        }
        pthread_mutex_unlock(&turns->places[place]);
    }
    return *turn >= 0 ? APR_SUCCESS : djs_fail(ctx, APR_EBUSY, "all %d turns are taken", bound);
}

void djs_turns_give(djs_turns_t *turns, int turn)
{
    pthread_mutex_unlock(&turns->turns[turn]);
}
