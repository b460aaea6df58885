/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the bytes of a stored session cost by themselves: CPU µs for hashing, base64, inflating and
 * parsing one value, many times over, in a process that does nothing else.
 *
 *     floor json|pickle|signed FILE COUNT
 *
 * FILE holds the session as JSON or as a pickle, which is written anew as the module does; with
 * "signed" it is JSON, and what Django makes of it for a row or a file is made here first. Hashing
 * and inflating are OpenSSL's and zlib's, base64 and parsing the module's own: the text or pickle
 * is checked, and where its values are is noted; no nodes are made, since nobody asks here. Prints
 * "STORED-BYTES HASH BASE64 INFLATE PARSE", the least of three rounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <apr_file_io.h>
#include <apr_general.h>
#include <openssl/evp.h>
#include <zlib.h>

#include "encode.h"
#include "json.h"
#include "pickle.h"

#define ROUNDS 3
#define KEY "0123456789abcdef0123456789abcdef"

/* A value, as far as it is unpacked. */
typedef struct value_t {
    apr_pool_t *pool;   /* of results; cleared before each */
    djs_bytes_t plain;  /* JSON or a pickle */
    djs_bytes_t packed; /* by zlib */
    djs_bytes_t text;   /* base64 of that */
    int is_pickle;
} value_t;

typedef void step_fn(const value_t *value);

static void fail(const char *what)
{
    fprintf(stderr, "floor: %s\n", what);
    exit(1);
}

static djs_ctx_t context(const value_t *value)
{
    djs_ctx_t ctx = { .pool = value->pool };

    apr_pool_clear(value->pool);
    return ctx;
}

static void hash(const value_t *value)
{
    static EVP_PKEY *key;
    unsigned char mac[EVP_MAX_MD_SIZE];
    size_t len = sizeof(mac);
    EVP_MD_CTX *md = EVP_MD_CTX_new();

    if (!key) {
        key = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, (const unsigned char *)KEY,
                                           sizeof(KEY) - 1);
    }
    if (!md || EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key) != 1
        || EVP_DigestSign(md, mac, &len, (const unsigned char *)value->text.data,
                          value->text.len) != 1) {
        fail("HMAC");
    }
    EVP_MD_CTX_free(md);
}

static void decode(const value_t *value)
{
    djs_ctx_t ctx = context(value);
    djs_bytes_t data;

    if (djs_base64_decode(&ctx, DJS_BASE64_URL, value->text, &data) != APR_SUCCESS
        || data.len != value->packed.len) {
        fail("base64");
    }
}

static void inflate_it(const value_t *value)
{
    djs_ctx_t ctx = context(value);
    uLongf len = value->plain.len;
    char *out = apr_palloc(ctx.pool, len + 1);

    if (uncompress((Bytef *)out, &len, (const Bytef *)value->packed.data, value->packed.len) != Z_OK
        || len != value->plain.len) {
        fail("zlib");
    }
}

static void parse(const value_t *value)
{
    djs_ctx_t ctx = context(value);
    djs_value_t *tree;
    apr_status_t rv = value->is_pickle
                      ? djs_pickle_loads(&ctx, value->plain, &tree)
                      : djs_json_loads(&ctx, DJS_JSON_LATIN1, value->plain, &tree);

    if (rv != APR_SUCCESS) {
        fail(ctx.problem);
    }
}

static double now(void)
{
    struct timespec spent;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return spent.tv_sec * 1e6 + spent.tv_nsec / 1e3;
}

/* µs of CPU for one value. */
static double cost(step_fn *step, const value_t *value, int count)
{
    double least = 0;
    int round;

    for (round = 0; round < ROUNDS; round++) {
        double begun = now(), spent;
        int i;

        for (i = 0; i < count; i++) {
            step(value);
        }
        spent = (now() - begun) / count;
        least = round == 0 || spent < least ? spent : least;
    }
    return least;
}

static djs_bytes_t contents(apr_pool_t *pool, const char *path)
{
    apr_file_t *file;
    apr_finfo_t info;
    apr_size_t len;
    char *data;

    if (apr_file_open(&file, path, APR_READ, 0, pool) != APR_SUCCESS
        || apr_file_info_get(&info, APR_FINFO_SIZE, file) != APR_SUCCESS) {
        fail("no such file");
    }
    len = (apr_size_t)info.size;
    data = apr_palloc(pool, len + 1);
    if (apr_file_read_full(file, data, len, &len) != APR_SUCCESS) {
        fail("cannot read the file");
    }
    return (djs_bytes_t){ data, len };
}

/* The session is stored by the module, which shares more of a pickle's texts than Python does. */
static void pickle_it(value_t *value, apr_pool_t *pool)
{
    djs_ctx_t ctx = { .pool = pool };
    djs_value_t *tree;

    if (djs_pickle_loads(&ctx, value->plain, &tree) != APR_SUCCESS
        || djs_pickle_dumps(&ctx, DJS_PICKLE_PROTOCOL, tree, &value->plain) != APR_SUCCESS) {
        fail(ctx.problem);
    }
}

static void sign(value_t *value, apr_pool_t *pool)
{
    djs_ctx_t ctx = { .pool = pool };

    if (djs_deflate(&ctx, value->plain, &value->packed) != APR_SUCCESS) {
        fail("zlib");
    }
    value->text = djs_base64_encode(&ctx, DJS_BASE64_URL, value->packed);
}

int main(int argc, char **argv)
{
    value_t value = { NULL };
    apr_pool_t *pool;
    int count = argc == 4 ? atoi(argv[3]) : 0;

    if (count < 1) {
        fail("usage: floor json|pickle|signed FILE COUNT");
    }
    apr_initialize();
    apr_pool_create(&pool, NULL);
    apr_pool_create(&value.pool, pool);
    value.plain = contents(pool, argv[2]);
    value.is_pickle = strcmp(argv[1], "pickle") == 0;
    if (value.is_pickle) {
        pickle_it(&value, pool);
    }
    if (strcmp(argv[1], "signed") != 0) {
        printf("%" APR_SIZE_T_FMT " 0 0 0 %.3f\n", value.plain.len, cost(parse, &value, count));
        return 0;
    }
    sign(&value, pool);
    printf("%" APR_SIZE_T_FMT " %.3f %.3f %.3f %.3f\n", value.text.len, cost(hash, &value, count),
           cost(decode, &value, count), cost(inflate_it, &value, count), cost(parse, &value, count));
    return 0;
}
