/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DjangoStreamCheck: WebSockets and endless answers end with the session that opened them.
 *
 * An answer to a logged-in user is watched from its first bytes until the request is over. One thread
 * in each child, started with the first of them, asks from time to time whether the login still
 * holds: with a context, a pool and a session object of its own, and writing nothing, so that a check
 * is no activity. If the login is over, the client's socket is shut down; the worker that serves it
 * finds that out by itself, whatever it is waiting for. Of HTTP/2 that is the socket of all streams
 * of the connection: the browser opens another one for those that may go on.
 *
 * A store that does not answer ends nothing; only what is known does.
 *
 * What threads share is the list, under the lock. A stream lives in its request's pool and leaves the
 * list before that pool goes and before the socket is closed, so what is in the list is open. While
 * the store is asked the lock is free, and the stream may go: the checker has copies, and finds it
 * again by its number. A worker is taken by each stream, so the list is short.
 */
#include "mds.h"

#include <signal.h>

#include <ap_mpm.h>
#include <apr_strings.h>
#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>
#include <apr_thread_proc.h>
#include <http_connection.h>

#define NEVER APR_INT64_MAX

typedef struct stream_t {
    struct stream_t *next, **link; /* link: what points here; NULL: not in the list */
    apr_uint64_t number;
    conn_rec *connection;  /* whose socket it is */
    apr_socket_t *socket;
    request_rec *r;
    const djs_site_t *site;
    int transient;         /* the site goes with the request */
    const char *key;       /* secret */
    const char *user_id;   /* NULL: whoever it is now */
    apr_time_t due;
} stream_t;

/* What the checker takes along. */
typedef struct job_t {
    djs_ctx_t ctx;
    apr_uint64_t number;
    server_rec *server;
    const djs_site_t *site;
    const char *key, *user_id, *uri;
    djs_reason_t reason; /* of the end */
} job_t;

static struct {
    apr_pool_t *pool; /* not of the child's: threads use it at any time, under the lock */
    apr_thread_mutex_t *lock;
    apr_thread_cond_t *changed;
    apr_thread_t *thread; /* NULL: nothing was watched yet */
    stream_t *streams;
    apr_uint64_t numbers;
    apr_time_t wakes;     /* when the checker will look by itself */
    int stopping;
    int one_thread;       /* prefork: a signal may end the child inside of what it does */
} watch;

/* ---- the lock ---- */

/* The end of a child waits for the checker, which waits for the lock: so it must not come in here. */
static void enter(sigset_t *before)
{
    sigset_t all;

    if (watch.one_thread) {
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, before);
    }
    apr_thread_mutex_lock(watch.lock);
}

static void leave(const sigset_t *before)
{
    apr_thread_mutex_unlock(watch.lock);
    if (watch.one_thread) {
        pthread_sigmask(SIG_SETMASK, before, NULL);
    }
}

/* ---- the list ---- */

static void link_in(stream_t *stream)
{
    stream->next = watch.streams;
    stream->link = &watch.streams;
    if (stream->next) {
        stream->next->link = &stream->next;
    }
    mds_publish(&watch.streams, stream);
}

static void unlink_it(stream_t *stream)
{
    if (stream->link) {
        mds_publish(stream->link, stream->next);
        if (stream->next) {
            stream->next->link = stream->link;
        }
        stream->link = NULL;
    }
}

static stream_t *first_due(void)
{
    stream_t *first = watch.streams;
    stream_t *stream;

    for (stream = first; stream; stream = stream->next) {
        if (stream->due < first->due) {
            first = stream;
        }
    }
    return first;
}

static stream_t *find(apr_uint64_t number)
{
    stream_t *stream = watch.streams;

    while (stream && stream->number != number) {
        stream = stream->next;
    }
    return stream;
}

/* ---- the checker ---- */

static void prepare(job_t *job, const stream_t *stream, apr_pool_t *scratch, apr_time_t now)
{
    memset(job, 0, sizeof(*job));
    job->ctx.pool = scratch;
    job->ctx.now = now;
    job->ctx.patience = stream->site->settings->store_timeout;
    job->number = stream->number;
    job->server = stream->r->server;
    job->site = stream->transient
                    ? djs_stores_view(scratch, stream->site,
                                      djs_settings_copy(scratch, stream->site->settings))
                    : stream->site;
    job->key = apr_pstrdup(scratch, stream->key);
    job->user_id = stream->user_id ? apr_pstrdup(scratch, stream->user_id) : NULL;
    job->uri = apr_pstrdup(scratch, stream->r->uri);
}

static const char *digest(const job_t *job)
{
    return djs_secret_digest(job->ctx.pool, job->site->keys, job->key);
}

/* Is the login known to be over? What djs_auth_user() would change is not saved. */
static int is_over(job_t *job)
{
    djs_session_t *session = djs_session_make(&job->ctx, job->site, &job->key, 1);
    djs_user_t *user;
    apr_status_t rv = djs_auth_user(&job->ctx, job->site, session, &user, &job->reason);

    if (rv != APR_SUCCESS) {
        if (mds_may_log(MDS_MSG_0171, job->ctx.now)) {
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, job->server,
                         DJSNO(0171) MDS_SESSION_MSG("whether it still lives is not known, so its "
                                                     "stream of %s goes on: %s"),
                         digest(job), job->uri, job->ctx.problem ? job->ctx.problem : "unknown");
        }
        return 0;
    }
    return !user || (job->user_id && strcmp(user->id, job->user_id) != 0);
}

static void cut(const job_t *job)
{
    stream_t *stream = find(job->number);

    if (stream) {
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, job->server,
                     DJSNO(0170) MDS_SESSION_MSG("its login is over (%s), so its stream of %s is "
                                                 "closed"),
                     digest(job), job->reason != DJS_REASON_NONE ? djs_reason_name(job->reason)
                                                                 : "it is another user's now",
                     job->uri);
        unlink_it(stream);
        (void)apr_socket_shutdown(stream->socket, APR_SHUTDOWN_READWRITE);
    }
}

/* Until the next stream is due, or one comes that is due earlier. Under the lock. */
static void rest(apr_time_t until, apr_time_t now)
{
    watch.wakes = until;
    if (until == NEVER) {
        (void)apr_thread_cond_wait(watch.changed, watch.lock);
    }
    else {
        (void)apr_thread_cond_timedwait(watch.changed, watch.lock, until - now);
    }
    watch.wakes = 0;
}

static void check(stream_t *stream, apr_pool_t *scratch, apr_time_t now)
{
    job_t job;
    int over;

    stream->due = now + stream->site->settings->stream_check;
    prepare(&job, stream, scratch, now);
    apr_thread_mutex_unlock(watch.lock);
    over = is_over(&job);
    apr_thread_mutex_lock(watch.lock);
    if (over) {
        cut(&job);
    }
    apr_pool_clear(scratch);
}

static void *APR_THREAD_FUNC check_all(apr_thread_t *thread, void *unused)
{
    apr_pool_t *scratch;
    stream_t *stream;
    apr_time_t now;

    (void)thread;
    (void)unused;
    apr_pool_create_unmanaged_ex(&scratch, NULL, NULL);
    apr_thread_mutex_lock(watch.lock);
    while (!watch.stopping) {
        stream = first_due();
        now = apr_time_now();
        if (stream && stream->due <= now) {
            check(stream, scratch, now);
        }
        else {
            rest(stream ? stream->due : NEVER, now);
        }
    }
    apr_thread_mutex_unlock(watch.lock);
    apr_pool_destroy(scratch);
    return NULL;
}

/* Signals are for httpd's own threads. */
static apr_status_t start_checker(void)
{
    sigset_t all, before;
    apr_status_t rv;

    if (watch.thread) {
        return APR_SUCCESS;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    rv = apr_thread_create(&watch.thread, NULL, check_all, NULL, watch.pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rv != APR_SUCCESS) {
        watch.thread = NULL;
    }
    return rv;
}

/* ---- a child ---- */

static apr_status_t stop(void *unused)
{
    sigset_t before;
    apr_status_t rv;

    (void)unused;
    enter(&before);
    watch.stopping = 1;
    apr_thread_cond_signal(watch.changed);
    leave(&before);
    if (watch.thread) {
        apr_thread_join(&rv, watch.thread);
    }
    return APR_SUCCESS;
}

void mds_stream_child_init(apr_pool_t *pchild, server_rec *server)
{
    int threaded = 0;
    apr_status_t rv;

    memset(&watch, 0, sizeof(watch));
    watch.one_thread = ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded) != APR_SUCCESS || !threaded;
    rv = apr_pool_create_unmanaged_ex(&watch.pool, NULL, NULL);
    if (rv == APR_SUCCESS) {
        rv = apr_thread_mutex_create(&watch.lock, APR_THREAD_MUTEX_DEFAULT, watch.pool);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_thread_cond_create(&watch.changed, watch.pool);
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, server,
                     DJSNO(0172) "what is needed to watch streams could not be made");
        watch.lock = NULL;
        return;
    }
    /* Before the stores end. */
    apr_pool_pre_cleanup_register(pchild, NULL, stop);
}

/* ---- a stream ---- */

static apr_status_t forget(void *stream)
{
    sigset_t before;

    enter(&before);
    unlink_it(stream);
    leave(&before);
    return APR_SUCCESS;
}

int mds_stream_pre_close(conn_rec *connection)
{
    stream_t *stream, *next;
    sigset_t before;

    if (!mds_load(&watch.streams)) {
        return OK;
    }
    enter(&before);
    for (stream = watch.streams; stream; stream = next) {
        next = stream->next;
        if (stream->connection == connection) {
            unlink_it(stream);
        }
    }
    leave(&before);
    return OK;
}

static apr_status_t enlist(stream_t *stream)
{
    sigset_t before;
    apr_status_t rv;

    enter(&before);
    rv = watch.stopping ? APR_EOF : start_checker();
    if (rv == APR_SUCCESS) {
        stream->number = ++watch.numbers;
        link_in(stream);
        if (stream->due < watch.wakes) {
            apr_thread_cond_signal(watch.changed);
        }
    }
    leave(&before);
    return rv;
}

void mds_stream_begin(request_rec *r, const char *new_key)
{
    mds_view_t *view = mds_view(r);
    mds_session_t *session;
    stream_t *stream;
    apr_status_t rv;

    if (view->settings->stream_check == 0 || !watch.lock || !mds_is_our_auth(r)) {
        return;
    }
    session = mds_session(r, view);
    if (!session || !session->user) {
        return;
    }
    stream = apr_pcalloc(r->pool, sizeof(*stream));
    stream->r = r;
    stream->connection = r->connection->master ? r->connection->master : r->connection;
    stream->socket = ap_get_conn_socket(stream->connection);
    stream->site = view->site;
    stream->transient = view->transient;
    stream->key = new_key ? new_key : djs_session_key(session->middleware->session);
    stream->user_id = new_key ? NULL : session->user->id;
    if (!stream->key || !*stream->key || !stream->socket) {
        return;
    }
    stream->due = apr_time_now() + view->settings->stream_check;
    apr_pool_pre_cleanup_register(r->pool, stream, forget);
    rv = enlist(stream);
    if (rv != APR_SUCCESS && mds_may_log(MDS_MSG_0173, r->request_time)) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, rv, r,
                      DJSNO(0173) "%s is not watched by DjangoStreamCheck: no thread could be "
                                  "started",
                      r->uri);
    }
}
