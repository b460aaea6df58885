/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the glue files share.
 *
 * Configuration. Each section has an mds_dir_t with what its directives say. Merging two sections
 * of the server's configuration always gives the same object, made once, so that what depends on
 * the merged settings (the defaults put in, the opened site: mds_view_t) is worked out once and
 * found again by a pointer. Only .htaccess files, which are read per request, are merged per
 * request; and they cannot change anything that a site is opened from.
 *
 * Requests. A client's request has one mds_request_t, shared by its subrequests and internal
 * redirects, and in it one mds_session_t for each site that its sections are of: nearly always one.
 */
#ifndef MDS_H
#define MDS_H

#include <httpd.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>

#include "auth.h"
#include "csrf.h"
#include "export.h"
#include "middleware.h"
#include "stores.h"
#include "url.h"

/* Declares django_session_module too. */
APLOG_USE_MODULE(django_session);

/* ---- log messages (messages.def) ---- */

/** The number at the head of a message. */
#define DJSNO(number) "DJS" #number ": "

/** Lines about a session start alike: which one, by its digest. */
#define MDS_SESSION_MSG(text) "session %s: " text

typedef enum mds_message_t {
#define MSG(number, level, meaning, remedy) MDS_MSG_##number,
#include "messages.def"
#undef MSG
    MDS_MESSAGES
} mds_message_t;

/**
 * May this message be written now? Once a minute, in each child: for what clients can cause at will
 * and for what every request would say while something is down.
 */
int mds_may_log(mds_message_t message, apr_time_t now);

/* ---- configuration: mds_config.c ---- */

typedef struct mds_server_t mds_server_t;
typedef struct mds_view_t mds_view_t;
typedef struct mds_dir_t mds_dir_t;

/** What the directives of one section, or of several merged, say. */
struct mds_dir_t {
    djs_settings_t *set;
    const char *where; /* the section's path, for messages; NULL: the server itself */
    int auth_set;      /* AuthType was said here */
    int auth;          /* and it was Django */
    int auth_varies;   /* and it is an expression, or looks like one */
    int passwords_set; /* a provider of users was said here */
    int passwords;     /* and it was django */
    int handler_set;   /* SetHandler was said here */
    int handler;       /* and it was a page of ours */
    int transient;     /* from an .htaccess file: lives with the request */
    int seen;          /* the check at start has judged it */
    mds_dir_t *next_section; /* the next that was made at start */
    const mds_dir_t *inner;  /* of a merged one: what was merged into its outer one */
    mds_dir_t *next_merged;  /* the next that was merged into the same outer one */
    mds_dir_t *merged;       /* what was merged into this one so far */
    mds_view_t *views;       /* one for each mds_server_t that uses it */
};

/** A virtual host. */
struct mds_server_t {
    server_rec *server;
    const char *driver;       /* DBDriver */
    const char *params;       /* DBDParams */
    djs_database_t *database; /* NULL: there is none */
    apr_array_header_t *header_names; /* that administrators gave, of const char *; NULL: none */
    apr_array_header_t *url_params;   /* of DjangoSessionUrlParam; NULL: none */
    int early;                        /* DjangoSessionEarly On */
};

/** Merged settings as requests use them. */
struct mds_view_t {
    mds_view_t *next;
    mds_server_t *server;
    const djs_settings_t *settings; /* complete */
    int auth;              /* AuthType Django in the configuration */
    int passwords;         /* passwords of its users are asked for */
    int pages;             /* there is a page of ours */
    const struct djs_template_t *page; /* of those; NULL: it is not read yet */
    int on;                /* DjangoSession On, or AuthType Django in the configuration */
    const djs_site_t *site; /* NULL until it is opened */
    int transient;         /* lives with a request */
};

extern const command_rec mds_commands[];

void *mds_dir_create(apr_pool_t *pool, char *path);
void *mds_dir_merge(apr_pool_t *pool, void *outer, void *inner);
void *mds_server_create(apr_pool_t *pool, server_rec *server);
void *mds_server_merge(apr_pool_t *pool, void *outer, void *inner);

/** A new configuration begins. */
int mds_pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp);
/** Judge each section; open what it needs. Runs under `httpd -t` too; asks no store. */
int mds_check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *server);
/** What each section comes to, virtual host by virtual host. Gives for how many @a each gave 0. */
int mds_each_view(apr_pool_t *pconf, server_rec *server, int (*each)(void *baton, mds_view_t *view),
                  void *baton);
/** httpd -t -D DUMP_DJANGO */
void mds_dump_config(apr_pool_t *pconf, server_rec *server);

/* ---- life of the process: mds_server.c ---- */

/*
 * Lists that only grow are read without a lock: a new head is published when all of it is written.
 */
#define mds_load(head) __atomic_load_n(head, __ATOMIC_ACQUIRE)
#define mds_publish(head, item) __atomic_store_n(head, item, __ATOMIC_RELEASE)

/** Where what is made once is kept, and who may make it: the start, then each child for itself. */
typedef struct mds_process_t {
    apr_pool_t *pool;           /* the configuration's, then the child's own; under the lock */
    struct apr_thread_mutex_t *lock; /* NULL: only one thread is here */
    int running;                /* requests are being served */
    int stopping;               /* the child comes to its end */
    mds_dir_t *sections;        /* all that were made at start */
    djs_compressors_t *compressors; /* the child's; NULL before */
} mds_process_t;

extern mds_process_t mds_process;

void mds_process_begin(apr_pool_t *pconf);
void mds_process_lock(void);
void mds_process_unlock(void);

void mds_child_init(apr_pool_t *pchild, server_rec *server);

static inline mds_server_t *mds_server_of(const server_rec *server)
{
    return ap_get_module_config(server->module_config, &django_session_module);
}

/** The view of a section on a virtual host; in @a pool when it is of an .htaccess file. */
mds_view_t *mds_view_of(mds_dir_t *dir, mds_server_t *server, apr_pool_t *pool);

/**
 * Do its settings work together, and is there a database? Reads no secret, connects to nothing.
 * DJS_EINVAL: the problem names the directive.
 */
apr_status_t mds_view_check(djs_ctx_t *ctx, mds_view_t *view) DJS_MUST_CHECK;

/** Check the view and open its site, unless it is open. DJS_EINVAL as above. */
apr_status_t mds_view_open(djs_ctx_t *ctx, mds_view_t *view) DJS_MUST_CHECK;

/* ---- shared memory: mds_shm.c ---- */

/** A configuration begins. */
void mds_shm_begin(void);
/** Where users are remembered, made at the first call in ctx->pool, under the lock; NULL: nowhere. */
const djs_shared_t *mds_shm_users(djs_ctx_t *ctx);
/** Make what the configuration names. */
int mds_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *server);

/* ---- clean-up in the background: mds_clear.c ---- */

/** Is there what it needs? DJS_EINVAL: the problem names the directive. */
apr_status_t mds_clear_check(djs_ctx_t *ctx, const djs_settings_t *settings) DJS_MUST_CHECK;
/** Have mod_watchdog call us, where a virtual host wants it. */
int mds_clear_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                          server_rec *server);
/** A store that is cleared in the background, and how far that is. */
typedef struct mds_clearing_t {
    server_rec *server;           /* that wants it */
    const char *engine;
    apr_interval_time_t interval;
    apr_time_t begun;             /* last; 0: not yet */
    apr_time_t ended;             /* 0: it is at work, or was not yet */
    apr_uint64_t removed;         /* this time, so far */
    apr_uint64_t total;           /* all times that have ended since the last (re)start */
    int failed;                   /* the last time that ended */
} mds_clearing_t;

/** All of them; any thread of any process. */
void mds_clear_each(void (*each)(void *baton, const mds_clearing_t *clearing), void *baton);
/** A child begins: what is to be known when it ends. */
void mds_clear_child_init(apr_pool_t *pchild, server_rec *server);

/* ---- other modules: mds_api.c ---- */

void mds_api_register(void);

/** Is there an engine of this name, ours or another module's? DJS_EINVAL: tells which there are. */
apr_status_t mds_engine_check(djs_ctx_t *ctx, const char *name) DJS_MUST_CHECK;
/** Have another module open its engine. DJS_EINVAL. */
apr_status_t mds_engine_open(djs_ctx_t *ctx, apr_pool_t *pool, server_rec *server,
                             const char *name, djs_engine_t **engine) DJS_MUST_CHECK;
/** Tell it that this process begins to use it; nothing for an engine of ours. */
apr_status_t mds_engine_child_init(djs_ctx_t *ctx, apr_pool_t *pool, const char *name,
                                   djs_engine_t *engine) DJS_MUST_CHECK;

/* ---- requests: mds_request.c ---- */

/** The session of a client's request on one site. */
typedef struct mds_session_t mds_session_t;
struct mds_session_t {
    mds_session_t *next;
    const djs_site_t *site;
    djs_middleware_t *middleware;
    const djs_settings_t *asked; /* whose say the user was looked for by; NULL: not yet */
    apr_status_t outcome;   /* of that */
    djs_user_t *user;       /* NULL: nobody */
    djs_reason_t reason;    /* why nobody */
    const char *named;      /* the name that another AuthType has told; NULL: none yet */
    djs_user_t *named_user; /* whose it is; NULL: nobody's */
    apr_array_header_t *operations; /* what modules ask for, const char *; NULL: nothing */
    djs_update_t *update;   /* those, parsed; NULL: none */
};

typedef struct mds_csrf_t mds_csrf_t; /* mds_csrf.c */
typedef struct mds_body_t mds_body_t; /* mds_body.c */
typedef struct mds_preserve_t mds_preserve_t; /* mds_preserve.c */

/** Whom an answer is for; each narrower than the one before. */
typedef enum mds_audience_t {
    MDS_FOR_ALL,
    MDS_FOR_ONE_UNLESS_PUBLIC, /* made with a look at a visitor's session */
    MDS_FOR_ONE                /* a login let him in, or it has a cookie */
} mds_audience_t;

/** A client's request with all its subrequests and internal redirects. */
typedef struct mds_request_t {
    djs_ctx_t ctx;
    const char *cookie;        /* the Cookie header as the client sent it */
    const char *url_param;     /* the parameter that was taken out of the address */
    const char *url_key;       /* what it held; secret */
    int located;               /* the request got so far that its sections are known */
    request_rec *unlocated;    /* the one of which not even <Location> is known; NULL: none */
    const djs_settings_t *early; /* by whose say DjangoSessionEarly has told; NULL: nobody's */
    mds_session_t *sessions;
    int finished;              /* the sessions are saved; what the answer is to carry is known: */
    int status;                /* 0, or what it must be instead of the application's */
    int vary;                  /* it depends on the cookie */
    int told_nobody;           /* somebody looked for a session when none had come */
    apr_array_header_t *cookies; /* Set-Cookie lines, const char *; NULL: none, or sent by a 101 */
    int told_headers;          /* request headers of ours are in headers_in */
    int hid_cookie;            /* headers_in has another Cookie than the client sent */
    mds_audience_t audience;   /* of the answer */
    int inside_authz;          /* mds_auth.c is asking the others */
    mds_session_t *lost;       /* a Require could not be judged without its store; NULL: none */
    int not_recent;            /* a Require wants a younger login */
    int as_if_recent;          /* and is to say what it would of one */
    int inside_authn;          /* mds_basic_authn is */
    int authn_status;          /* 0, or what its answer is to be */
    int asking;                /* an expression is looking for the session */
    int blind;                 /* Require has decided without the store */
    mds_csrf_t *csrf;          /* the secrets that forms are made with; NULL: nobody has asked */
    int csrf_passed;           /* djs_csrf_mode_t: what it was judged by, and passed */
    const char *accept_encoding; /* kept from the application; NULL: nothing is */
    mds_body_t *body;          /* the beginning of its body; NULL: nobody has looked */
    const char *refusal_type;  /* Content-Type of the body of a 401 of ours; NULL: it has none */
    mds_preserve_t *preserve;  /* a page about a kept form is the answer; NULL: none is */
} mds_request_t;

void mds_request_register(void);

/** The request that a call is made for; NULL: none. */
request_rec *mds_request_of(const djs_ctx_t *ctx);

/** At the start of a client's request: what looks like ours is taken out of its headers. */
int mds_pre_connection(conn_rec *connection, void *socket);
int mds_post_read_request(request_rec *r);

/** For mds_request(), the first time that a request, subrequest or internal redirect is asked for it. */
mds_request_t *mds_request_join(request_rec *r);

/** The client's request that @a r is a part of. */
static inline mds_request_t *mds_request(request_rec *r)
{
    mds_request_t *request = ap_get_module_config(r->request_config, &django_session_module);

    return request ? request : mds_request_join(r);
}

/** Its view of the configuration. */
static inline mds_view_t *mds_view(request_rec *r)
{
    mds_dir_t *dir = ap_get_module_config(r->per_dir_config, &django_session_module);
    mds_view_t *view = mds_load(&dir->views);

    /* Nearly always a section is of one virtual host. */
    return view && view->server == mds_server_of(r->server)
               ? view : mds_view_of(dir, mds_server_of(r->server), r->pool);
}

/**
 * The client's side of it is TLS: here, or before a proxy that the server's configuration trusts. No
 * client makes a request less secure by what it sends; more, only behind such a proxy.
 */
int mds_is_secure(request_rec *r);

/** For mds_is_our_auth(), where AuthType is an expression. */
int mds_is_our_auth_by_expression(request_rec *r);

/** AuthType Django holds for @a r. */
static inline int mds_is_our_auth(request_rec *r)
{
    const mds_dir_t *dir = ap_get_module_config(r->per_dir_config, &django_session_module);

    return dir->auth_varies ? mds_is_our_auth_by_expression(r) : dir->auth;
}

/** The site of @a view, opened at first need. NULL: it cannot be; logged, and the answer is 500. */
const djs_site_t *mds_site(request_rec *r, mds_view_t *view);

/**
 * The session of @a r on the site of @a view, begun at first need; nothing is read.
 * NULL: the site cannot be opened; that was logged, and the answer is 500.
 */
mds_session_t *mds_session(request_rec *r, mds_view_t *view);

/**
 * May a session have come with the request, or has one begun? If not, and until the application asks
 * for one, there is nothing to be read, saved or removed: most requests are such.
 */
int mds_may_have_session(const mds_request_t *request, const djs_settings_t *settings);

/** Who is logged in, by a section's say; asked once where they agree. As djs_auth_user(). */
apr_status_t mds_session_user(request_rec *r, const mds_view_t *view,
                              mds_session_t *session) DJS_MUST_CHECK;

/** What stands for the session in the log. */
const char *mds_session_digest(request_rec *r, const mds_session_t *session);

/** Take every header or variable that could pass for one of ours out of a table. */
void mds_strip_table(apr_table_t *table, const apr_array_header_t *custom);

/** The same for r->headers_in; and what Connection says of them. */
void mds_strip_headers(request_rec *r, const apr_array_header_t *custom);

/** The header names that the settings give, of const char *. */
const apr_array_header_t *mds_header_names(apr_pool_t *pool, const djs_settings_t *settings);

/** Log that the store did not answer, and forget it: the caller decides what that means. */
void mds_store_failed(request_rec *r, mds_session_t *session);

/** Answer with 503, and say when to come back. */
int mds_unavailable(request_rec *r);

/* ---- passwords: mds_password.c ---- */

/** What comes of a name and a password. */
typedef enum mds_login_t {
    MDS_LOGIN_RIGHT,
    MDS_LOGIN_WRONG,
    MDS_LOGIN_UNKNOWN,   /* nobody of this name */
    MDS_LOGIN_INACTIVE,  /* all is right, but the user is not active */
    MDS_LOGIN_THROTTLED, /* too many tries of this account, or from this address */
    MDS_LOGIN_BUSY,      /* too many passwords are being checked */
    MDS_LOGIN_FAILED     /* the store failed; logged */
} mds_login_t;

typedef struct mds_attempt_t {
    const char *username;
    djs_bytes_t password;         /* the caller wipes it */
    apr_interval_time_t remember; /* how long; 0: neither look nor keep */
    djs_user_t *user;             /* out: who it is; NULL unless MDS_LOGIN_RIGHT */
    apr_interval_time_t wait;     /* out: how long, when throttled */
} mds_attempt_t;

/** At start: memory for what is counted. */
apr_status_t mds_password_begin(djs_ctx_t *ctx, apr_pool_t *pconf, apr_uid_t user,
                                apr_gid_t group) DJS_MUST_CHECK;

/** ModelBackend's authenticate(). The hash is made anew where Django would. */
mds_login_t mds_password_check(request_rec *r, const djs_site_t *site, mds_attempt_t *attempt);

/** May one more form of so many bytes be kept for the address that this comes from? Counted. */
int mds_password_may_keep(request_rec *r, const djs_site_t *site, apr_size_t len);

/** Answer with 429, and say when to come back. */
int mds_password_too_often(request_rec *r, const mds_attempt_t *attempt);

/* ---- our own pages: mds_login.c, mds_page.c ---- */

int mds_login_handler(request_rec *r);
/** Is this the name of one? */
int mds_is_login_handler(const char *handler);

/* ---- mds_basic.c ---- */

void mds_basic_register(apr_pool_t *pool);
int mds_basic_authn(request_rec *r);

/* ---- keys in addresses: mds_param.c ---- */

/** Take the parameter of the section that is known by now out of the address. */
void mds_take_param(request_rec *r);
/** The same once all sections are known. */
int mds_take_param_of_file(request_rec *r);
/** Before the access log: hide what a request held that did not get so far. */
int mds_hide_params(request_rec *r);
/** The key that came in these settings' parameter; NULL: none. Secret. */
const char *mds_url_key(const mds_request_t *request, const djs_settings_t *settings);
/** Hide what a parameter holds from all that tell of the address: logs, mod_status. */
void mds_hide_in_address(request_rec *r, const char *name);
/** Keys come here in addresses, or one did: no cache and no other site is to hear of it. */
int mds_has_param(request_rec *r);

/* ---- DjangoStreamCheck: mds_stream.c ---- */

void mds_stream_child_init(apr_pool_t *pchild, server_rec *server);
/** The socket of a connection will be closed. */
int mds_stream_pre_close(conn_rec *connection);
/**
 * An answer begins that may have no end: close it when the login does, if the section wants that.
 * @a new_key: of the session that the answer itself has begun; NULL: the request's.
 */
void mds_stream_begin(request_rec *r, const char *new_key);

/* ---- WebSockets: mds_upgrade.c ---- */

void mds_upgrade_register(void);
/** Look out for the answer 101, if it may come. */
void mds_upgrade_insert(request_rec *r);

/* ---- the hooks of the other files ---- */

int mds_access_checker(request_rec *r); /* mds_auth.c */
int mds_check_authn(request_rec *r);
int mds_auth_checker(request_rec *r);
/** Path and query of what the client asked for, as it sent them: Django's get_full_path(). */
const char *mds_asked_for(request_rec *r);

void mds_require_register(apr_pool_t *pool); /* mds_require.c */
/** Is there a Require of ours anywhere? */
int mds_require_in_use(void);

int mds_fixups(request_rec *r);        /* mds_export.c */
/** Takes the key out of the address; DjangoSessionEarly: the environment for the server's rules. */
int mds_export_early(request_rec *r);
/** DJANGO_SESSION_STATUS and DJANGO_SESSION_REASON for a request that ends before fixups. */
void mds_export_refusal(request_rec *r, mds_session_t *session);

void mds_expr_register(void);          /* mds_expr.c */
/** DECLINED, or the answer to a request that an expression has judged without the store. */
int mds_expr_fixups(request_rec *r, mds_view_t *view);

/* DECLINED, or the answer, for the two. mds_csrf.c */
/** Before all else in fixups: may this request change things? */
int mds_csrf_check(request_rec *r, mds_view_t *view);
/** After all else there: the application's token. */
int mds_csrf_tell(request_rec *r, mds_view_t *view);
/** Before the sessions are saved: put what goes along into them, or among the cookies. */
void mds_csrf_finish(request_rec *r, mds_request_t *request);

/*
 * For forms of our own pages, whatever DjangoCsrf says. Secrets are where the section keeps them.
 * DJS_ESTORE: the session could not be read, and that was logged; APR_EGENERAL.
 */
/** A token for a form; what it belongs to goes with the answer. */
apr_status_t mds_csrf_token(request_rec *r, mds_view_t *view, const char **token) DJS_MUST_CHECK;
/** Somebody has logged in: a new secret, which goes with the answer. */
apr_status_t mds_csrf_rotate(request_rec *r, mds_view_t *view) DJS_MUST_CHECK;
/** Did the visitor send this form from a page of ours? A refusal was logged. @a field may be NULL */
int mds_csrf_accepts(request_rec *r, mds_view_t *view, const char *field);

/** Is it known to come from a page of this site, or of one that is trusted? */
int mds_csrf_is_own(request_rec *r, mds_view_t *view);

/** A token for a page that is about to be answered; NULL: it is not to have one. */
const char *mds_csrf_page_token(request_rec *r, mds_view_t *view);

/* ---- fields in pages: mds_inject.c ---- */

void mds_inject_register(void);
/** In fixups: have the application answer what can be read. */
void mds_inject_prepare(request_rec *r, const mds_view_t *view);
void mds_inject_insert(request_rec *r);

/* ---- bodies: mds_body.c ---- */

/** How much of a body is looked at. */
#define MDS_BODY_PEEK_MAX (128 * 1024)

void mds_body_register(void);
/**
 * Look at the beginning of the body; who reads it later gets it whole. Waits for it.
 * @param whole  that was all
 * @return OK, or the answer to a body that cannot be read
 */
int mds_body_peek(request_rec *r, djs_bytes_t *beginning, int *whole);
/** Who reads the body that was looked at gets this one instead. Borrowed. */
void mds_body_replace(request_rec *r, djs_bytes_t body);
/** An internal redirect of a request whose body was looked at: it has filters of its own. */
void mds_body_follow(request_rec *r);

/* ---- DjangoPreservePost: mds_preserve.c ---- */

void mds_preserve_register(void);
/**
 * Keep the form that nobody sends. Where to go then, when there is a login; NULL: it is not kept, and
 * that was logged.
 */
const char *mds_preserve_keep(request_rec *r, mds_view_t *view, mds_session_t *session);
/** Where to begin again with a form that is not: the page that it was on, or its address. */
const char *mds_preserve_back(request_rec *r);
/** Have the login page, if it is one of ours, say that the form was not sent. */
void mds_preserve_note_lost(request_rec *r);
/** What it is to say, once; NULL: nothing. */
const char *mds_preserve_lost_message(request_rec *r);
/** Have the answer 401 say that the form was not sent. @a login: where to begin again */
void mds_preserve_tell_lost(request_rec *r, mds_view_t *view, const char *login);
/** In fixups of a section with it, before all else: is it about a kept form? DECLINED, or the answer. */
int mds_preserve_fixups(request_rec *r, mds_view_t *view);

void mds_sso_register(void);           /* mds_sso.c */
void mds_status_register(void);        /* mds_status.c */

/** The answer is for no more than these; of a part of a page: that part, and the page. */
void mds_narrow(request_rec *r, mds_audience_t audience); /* mds_cache.c */
/** It was made with a look at the session. */
void mds_note_look(request_rec *r, const mds_session_t *session);
/** The same, when mds_protect_answer() may have been called already. */
void mds_note_late_look(request_rec *r, const mds_session_t *session);
/** Say so in the answer's headers: no cache may show it to others. */
void mds_protect_answer(request_rec *r);
/** Is there a mod_cache? */
int mds_cache_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                          server_rec *server);
/** Before a request's handler: keep from mod_cache what it would get before our filter. */
void mds_guard_cache(request_rec *r);

void mds_filter_register(void);        /* mds_filter.c */
/** The answer has a Set-Cookie of this name. */
int mds_sets_cookie(request_rec *r, const char *name);
/** The answer is to have this Set-Cookie. */
void mds_add_cookie(mds_request_t *request, const char *line);
void mds_insert_filter(request_rec *r);
/** The same with what only pages of the application go through. */
void mds_insert_filters(request_rec *r);
/** The request has another address answer: what it asked for is judged now, and applied in the end. */
void mds_keep_update(request_rec *r);
/** The application's headers that change the session. */
#define MDS_SET_HEADER    "Django-Session-Set"
#define MDS_UPDATE_HEADER "Django-Session-Update"
/**
 * Finish the sessions of a request that is answered with 101 and these headers. Puts what is to be sent
 * into @a cookies, of const char *. 0, or the status that the answer must have instead.
 */
int mds_finish_upgrade(request_rec *r, apr_table_t *headers, apr_array_header_t *cookies);

#endif
