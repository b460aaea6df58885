/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the list of hashers (hashers.c) needs of the algorithms (hash_algorithms.c).
 */
#ifndef DJS_HASHERS_IMPL_H
#define DJS_HASHERS_IMPL_H

#include "hashers.h"

#define DJS_HASH_COSTS_MAX 3

/** All of a column but the hash itself. */
typedef struct djs_hash_params_t {
    apr_uint32_t cost[DJS_HASH_COSTS_MAX];
    djs_bytes_t salt;
    const char *variant;  /* of bcrypt: "2b"; of argon2: "argon2id" */
    apr_uint32_t version; /* of argon2; 0: it is not told */
    apr_size_t hash_len;  /* of argon2 */
} djs_hash_params_t;

typedef struct djs_hash_algorithm_t djs_hash_algorithm_t;
struct djs_hash_algorithm_t {
    const char *name;
    const char *class_name; /* Django's */
    const char *package;    /* of configure's option; NULL: it is always there */
    int costs;              /* how many there are */
    apr_uint32_t cost[DJS_HASH_COSTS_MAX];     /* without a word of the administrator's */
    apr_uint32_t cost_min[DJS_HASH_COSTS_MAX]; /* limits for columns and configuration */
    apr_uint32_t cost_max[DJS_HASH_COSTS_MAX];
    apr_uint64_t work_max;  /* of all costs multiplied; 0: none */
    int salt_chars;         /* of a new salt; 0: none */
    int weak_salt;          /* shorter ones are renewed; 0: none is */
    int salt_is_bytes;      /* its length counts as bytes, not as characters */
    int (*is_there)(void);  /* can this build compute it? */
    /* DJS_EFORMAT; borrows from @a column, or is in ctx->pool. Judges no cost. */
    apr_status_t (*decode)(djs_ctx_t *ctx, const char *column, djs_hash_params_t *params);
    /* The column, in ctx->pool. DJS_EINVAL: not with this password. */
    apr_status_t (*encode)(djs_ctx_t *ctx, const djs_hash_algorithm_t *algorithm,
                           djs_bytes_t password, const djs_hash_params_t *params, char **column);
    apr_status_t (*make_salt)(djs_ctx_t *ctx, djs_hash_params_t *params);
    /* As long as the work that @a wanted has more than @a had; NULL: nothing is known to do. */
    void (*make_up)(djs_ctx_t *ctx, const djs_hash_algorithm_t *algorithm, djs_bytes_t password,
                    const djs_hash_params_t *had, const apr_uint32_t *wanted);
    int (*is_old)(const djs_hash_params_t *params); /* a variant that is made anew; NULL: none */
};

/** All there are; the end has no name. */
extern const djs_hash_algorithm_t djs_hash_algorithms[];

#endif
