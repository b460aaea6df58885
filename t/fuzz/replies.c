/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See replies.h.
 */
#include "replies.h"

#include <string.h>

#include "engine_cache.h"
#include "memory_engine.h"
#include "middleware.h"

/* So long nobody waits: the peer speaks at once, or never. */
#define PATIENCE apr_time_from_sec(60)

typedef struct visit_t {
    djs_ctx_t *ctx;
    djs_cache_t *cache;
    const djs_wire_t *wire;
    apr_int64_t life;
    djs_bytes_t said; /* by the server, if it came to an end */
    const char *const *nothing;
} visit_t;

/* ---- What must hold -------------------------------------------------------------------------- */

/* A failure has its sentence, which tells nothing that is secret, and nothing of the server's. */
static void check_problem(djs_ctx_t *ctx, apr_status_t rv)
{
    const unsigned char *c = (const unsigned char *)ctx->problem;

    FUZZ_CHECK((rv == DJS_ESTORE || rv == DJS_ELIMIT) == (ctx->problem != NULL));
    FUZZ_CHECK(ctx->patience >= 0 && ctx->patience <= PATIENCE);
    if (ctx->problem != NULL) {
        FUZZ_CHECK(strstr(ctx->problem, FUZZ_KEY) == NULL);
        FUZZ_CHECK(strstr(ctx->problem, FUZZ_SEEN) == NULL);
        FUZZ_CHECK(strstr(ctx->problem, FUZZ_VALUE) == NULL);
        FUZZ_CHECK(strstr(ctx->problem, FUZZ_PASSWORD) == NULL);
        for (; *c != '\0'; c++) {
            FUZZ_CHECK(*c >= 0x20 && *c != 0x7f);
        }
    }
}

/* It is one of these; the last is repeated where there are fewer. */
static void check_outcome(visit_t *visit, apr_status_t rv, apr_status_t a, apr_status_t b)
{
    FUZZ_CHECK(rv == APR_SUCCESS || rv == a || rv == b || rv == DJS_ESTORE);
    check_problem(visit->ctx, rv);
    djs_forget(visit->ctx);
}

/* ---- Operations ------------------------------------------------------------------------------ */

static int has_said(const visit_t *visit, const char *text)
{
    return memmem(visit->said.data, visit->said.len, text, strlen(text)) != NULL;
}

static int has_said_nothing(const visit_t *visit)
{
    int i;

    for (i = 0; visit->nothing[i] != NULL && !has_said(visit, visit->nothing[i]); i++) {
    }
    return visit->nothing[i] != NULL;
}

static void do_get(visit_t *visit)
{
    djs_bytes_t value = djs_bytes_of(NULL, 0);
    apr_time_t expires = -1;
    apr_status_t rv = visit->cache->ops->get(visit->cache, visit->ctx, FUZZ_KEY, &value, &expires);

    check_outcome(visit, rv, APR_NOTFOUND, APR_NOTFOUND);
    FUZZ_CHECK(rv != APR_NOTFOUND || has_said_nothing(visit));
    if (rv == APR_SUCCESS) {
        FUZZ_CHECK(expires >= 0);
        FUZZ_CHECK(value.len <= fuzz_unpacked_max(visit->said.len));
        (void)fuzz_stored(visit->ctx, visit->wire, value, fuzz_unpacked_max(value.len));
    }
}

static void do_add(visit_t *visit)
{
    apr_status_t rv = visit->cache->ops->add(visit->cache, visit->ctx, FUZZ_KEY,
                                             djs_bytes(FUZZ_VALUE), visit->life);

    check_outcome(visit, rv, APR_EEXIST, DJS_ELIMIT);
}

static void do_set(visit_t *visit)
{
    apr_status_t rv = visit->cache->ops->set(visit->cache, visit->ctx, FUZZ_KEY,
                                             djs_bytes(FUZZ_VALUE), visit->life);

    check_outcome(visit, rv, DJS_ELIMIT, DJS_ELIMIT);
}

static void do_swap(visit_t *visit)
{
    apr_status_t rv = visit->cache->ops->swap(visit->cache, visit->ctx, FUZZ_KEY,
                                              djs_bytes(FUZZ_SEEN), djs_bytes(FUZZ_VALUE),
                                              visit->life);

    if (rv == DJS_ELIMIT) {
        check_outcome(visit, rv, DJS_ELIMIT, DJS_ELIMIT);
        return;
    }
    check_outcome(visit, rv, APR_NOTFOUND, DJS_ECONFLICT);
}

static void do_overwrite(visit_t *visit)
{
    apr_status_t rv = visit->cache->ops->overwrite(visit->cache, visit->ctx, FUZZ_KEY,
                                                   djs_bytes(FUZZ_VALUE), visit->life);

    check_outcome(visit, rv, APR_NOTFOUND, DJS_ELIMIT);
}

static void do_remove(visit_t *visit)
{
    apr_status_t rv = visit->cache->ops->remove(visit->cache, visit->ctx, FUZZ_KEY);

    check_outcome(visit, rv, DJS_ESTORE, DJS_ESTORE);
}

static apr_status_t take_listed(void *baton, djs_ctx_t *ctx, const djs_listed_t *listed)
{
    visit_t *visit = baton;

    FUZZ_CHECK(has_said(visit, apr_pstrcat(ctx->pool, FUZZ_PREFIX, listed->key, NULL)));
    FUZZ_CHECK(listed->record.expires >= 0);
    (void)fuzz_stored(ctx, visit->wire, listed->record.data,
                      fuzz_unpacked_max(listed->record.data.len));
    return APR_SUCCESS;
}

static void do_list(visit_t *visit)
{
    djs_engine_t *engine = djs_engine_cache_make(visit->ctx->pool, visit->cache, FUZZ_PREFIX);

    if (engine->ops->list != NULL) {
        check_outcome(visit, engine->ops->list(engine, visit->ctx, take_listed, visit), DJS_ESTORE,
                      DJS_ESTORE);
    }
}

static void hear(void *baton, int ok, const char *what)
{
    (void)ok;
    FUZZ_CHECK(what != NULL && *what != '\0');
    *(int *)baton += 1;
}

static void do_check(visit_t *visit)
{
    int said = 0;
    apr_status_t rv = visit->cache->ops->check(visit->cache, visit->ctx, hear, &said);

    FUZZ_CHECK(said > 0);
    FUZZ_CHECK(rv == APR_SUCCESS || visit->ctx->problem != NULL);
    check_problem(visit->ctx, visit->ctx->problem != NULL ? DJS_ESTORE : APR_SUCCESS);
    djs_forget(visit->ctx);
}

/* As a request does it: read a session, change it, save it. */
static void do_visit(visit_t *visit)
{
    djs_ctx_t *ctx = visit->ctx;
    memory_site_t *site = memory_site_make(ctx->pool);
    djs_middleware_t *mw;
    djs_answer_t answer;
    apr_status_t rv;

    site->site.engine = djs_engine_cache_make(ctx->pool, visit->cache, FUZZ_PREFIX);
    site->site.wire = visit->wire;
    mw = djs_middleware_begin(ctx, &site->site, "sessionid=0123456789abcdefghijklmnopqrstuv");
    rv = djs_session_load(ctx, mw->session);
    FUZZ_CHECK(rv == APR_SUCCESS || rv == DJS_ESTORE);
    FUZZ_CHECK(djs_value_type(djs_session_data(ctx, mw->session)) == DJS_TYPE_DICT);
    djs_forget(ctx);
    djs_session_set(ctx, mw->session, djs_bytes("ours"), djs_value_make_int(ctx->pool, 1));
    rv = djs_middleware_finish(ctx, mw, 200, 0, NULL, 0, &answer);
    FUZZ_CHECK((rv == APR_SUCCESS) == answer.saved);
    FUZZ_CHECK(answer.saved == (answer.set_cookie != NULL));
    FUZZ_CHECK(answer.status == 0 || answer.status == 400 || answer.status == 500 ||
               answer.status == 503);
    djs_forget(ctx);
}

static const struct {
    void (*run)(visit_t *visit);
    int stores;
} operations[FUZZ_OPERATIONS] = {
    { do_get, 0 }, { do_add, 1 }, { do_set, 1 }, { do_swap, 1 }, { do_overwrite, 1 },
    { do_remove, 0 }, { do_list, 0 }, { do_check, 0 }, { do_visit, 1 }
};

int fuzz_stores(int operation)
{
    return operations[operation].stores;
}

void fuzz_cache(djs_ctx_t *ctx, const char *const *argv, djs_bytes_t script,
                peer_filter_fn filter, int operation, djs_wire_layout_t layout, apr_int64_t life,
                const char *const *nothing)
{
    visit_t visit = { .ctx = ctx, .life = life, .nothing = nothing };
    const djs_cache_conf_t *conf;
    apr_pool_t *pool;
    int argc = 0;

    while (argv[argc] != NULL) {
        argc++;
    }
    ctx->patience = PATIENCE;
    apr_pool_create(&pool, ctx->pool);
    FUZZ_CHECK(djs_cache_url_parse(ctx, argc, argv, &conf) == APR_SUCCESS);
    FUZZ_CHECK(djs_caches_open(ctx, pool, conf, &visit.cache) == APR_SUCCESS);
    visit.wire = djs_wire_make(ctx->pool, NULL, layout, NULL);
    visit.said = peer_begin(ctx->pool, script, filter);
    operations[operation].run(&visit);
    do_get(&visit);
    apr_pool_destroy(pool); /* its connections are closed: farewell */
    peer_end();
}
