/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_django_session for other modules of httpd: bring an engine, or look at and into the current
 * request's session. Nothing here has to be linked: engines are providers, functions are optional
 * functions of APR, and a module that uses them loads in either order with ours, or without it.
 *
 * ---- Engines ----
 *
 * A module that can keep records (djs_engine.h) registers a provider:
 *
 *     ap_register_provider(pool, DJANGO_SESSION_ENGINE_GROUP, "dbm",
 *                          DJANGO_SESSION_ENGINE_VERSION, &provider);
 *
 * and "DjangoSessionEngine dbm" then means it. Names are letters, digits, "_", "-" and "."; those of
 * the built-in engines stay theirs. How the engine is configured (a path, a server) is for directives
 * of its own module. What is stored are the site's signed texts, as in Django's table: an engine has
 * nothing to do with keys, signatures or JSON. The module does all the rest, too: cookies, expiry
 * policy, comparing and saving again.
 *
 * Of djs.h an engine can use types, status codes and macros: its functions are not exported. Where
 * djs_engine.h speaks of djs_fail(), django_session_fail() below is that. ctx->host and ctx->baton
 * are not the engine's. The members `wire` of its records stay NULL.
 *
 * ---- Sessions ----
 *
 *     static APR_OPTIONAL_FN_TYPE(django_session_json) *session_json;
 *     …
 *     session_json = APR_RETRIEVE_OPTIONAL_FN(django_session_json);     in post_config or later
 *     if (session_json && session_json(r, "/cart/0/price", &price) == APR_SUCCESS) …
 *
 * The functions work from the fixups phase on (from check_authn on, where the section is already
 * known), in subrequests, redirected requests and error documents too, which all share the client's
 * session. They are called by the thread that serves the request, with any of its request_recs.
 * Texts that they give live as long as the client's request. All of them may answer
 *
 *     APR_ENOTIMPL  DjangoSession is Off where r is
 *     APR_EGENERAL  the site cannot be opened; that was logged
 *     DJS_ESTORE    the store did not answer in time: nothing is known, neither that there is a
 *                   session nor that there is none. Who protects something answers 503
 *
 * beside what is said below. The session is read at the first need, once; looking at it makes the
 * answer depend on the cookie (Vary), as everything that looks at it does.
 */
#ifndef MOD_DJANGO_SESSION_H
#define MOD_DJANGO_SESSION_H

#include <stdarg.h>

#include <httpd.h>
#include <apr_optional.h>

#include "djs_engine.h"

#define DJANGO_SESSION_ENGINE_GROUP   "django-session-engine"
#define DJANGO_SESSION_ENGINE_VERSION "0"

/** What is registered. Constant; the same for all names and servers that it is used for. */
typedef struct django_session_engine_provider_t {
    /**
     * Make an engine ready for one virtual host.
     *
     * Called when the configuration has been read (check_config: all directives were seen,
     * post_config has not run), as the user who starts httpd, often root; under `httpd -t` too, and
     * each time that httpd reads its configuration. So it asks no store and makes no file: the
     * store may be down, and what root makes the children cannot use. Sections of a virtual host
     * that differ in nothing that concerns the store share one engine. Seldom it is called in a
     * child, for a combination of sections that was first met in a request.
     *
     * @param ctx     ctx->problem tells what went wrong; it stops the start and should name the
     *                directive that would be right
     * @param pool    lives as long as the engine must; its clean-up is the engine's
     * @param server  the virtual host, whose configuration the module looks its directives up in
     * @param name    which DjangoSessionEngine names
     * @return APR_SUCCESS; anything else stops the start
     */
    apr_status_t (*open)(djs_ctx_t *ctx, apr_pool_t *pool, server_rec *server, const char *name,
                         djs_engine_t **engine);

    /**
     * A process begins to use an engine: after this any of its threads may call its operations, at
     * the same time. Called as the user of the children; under `httpd -t -D DJANGO_CHECK` as the
     * one who runs it. NULL: nothing to do.
     *
     * @param pool  the child's: its clean-up runs when the child ends and nothing is used any more
     * @return APR_SUCCESS; else it is logged, and what the operations then answer (DJS_ESTORE) is
     *         the engine's to see to
     */
    apr_status_t (*child_init)(djs_ctx_t *ctx, apr_pool_t *pool, djs_engine_t *engine);
} django_session_engine_provider_t;

/**
 * Note what failed, unless an earlier failure is noted already, and give back @a status. The
 * sentence quotes neither a session's key nor its data.
 */
static inline apr_status_t django_session_fail(djs_ctx_t *ctx, apr_status_t status,
                                               const char *format, ...)
    __attribute__((format(printf, 3, 4), unused));
static inline apr_status_t django_session_fail(djs_ctx_t *ctx, apr_status_t status,
                                               const char *format, ...)
{
    if (ctx->problem == NULL) {
        va_list args;

        va_start(args, format);
        ctx->problem = apr_pvsprintf(ctx->pool, format, args);
        va_end(args);
    }
    return status;
}

/**
 * A value as JSON: ASCII, compact, as Python writes it; what JSON lacks as the environment has it.
 *
 * @param selector  a top-level key, or a JSON Pointer when it begins with "/". Any key, Django's own
 *                  ("_auth_user_id") too. NULL: the whole session without those that begin with "_"
 * @return APR_SUCCESS; APR_NOTFOUND: there is no such value, or no session (with NULL: {});
 *         APR_EINVAL: this is no selector
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, django_session_json,
                        (request_rec *r, const char *selector, const char **json));

/**
 * A value as the environment has it: a string as it is (UTF-8), numbers, "true", "false", "" for
 * null, JSON for the rest. @a selector must not be NULL.
 * As django_session_json(); DJS_EFORMAT: a string with NUL or a lone surrogate, which is no text.
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, django_session_text,
                        (request_rec *r, const char *selector, const char **text));

/** What is known of a session beside its values. */
typedef struct django_session_state_t {
    const char *status; /* DJANGO_SESSION_STATUS: "active", "new", "expired", "invalid", "error" */
    const char *reason; /* DJANGO_SESSION_REASON, or "": "no-cookie", "unknown-key", … */
    apr_time_t ends;    /* when it expires; 0: there is none, or it is not known */
    const char *digest; /* DJANGO_SESSION_ID: what stands for it in logs; NULL: there is none. The
                           key itself is given to nobody */
} django_session_state_t;

/** How the session stands. With DJS_ESTORE @a state is filled, too: "error", "store-error". */
APR_DECLARE_OPTIONAL_FN(apr_status_t, django_session_state,
                        (request_rec *r, django_session_state_t *state));

/** Who is logged in. */
typedef struct django_session_user_t {
    const char *id;       /* primary key as text */
    const char *username;
    const char *email;    /* "" when there is none */
    const char *name;     /* first and last name */
    int is_staff;
    int is_superuser;
    apr_time_t last_login; /* 0: never */
} django_session_user_t;

/**
 * The user that is logged in by this session: he exists, is active, came by a backend that the
 * section accepts, and his password is the one that he logged in with, all as under AuthType Django.
 * Asks the database, once a request.
 *
 * @param reason  NULL, or gets why there is nobody ("no-login", "password-changed", …)
 * @return APR_SUCCESS; APR_NOTFOUND: nobody
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, django_session_user,
                        (request_rec *r, django_session_user_t *user, const char **reason));

/**
 * Change the session: what the header Django-Session-Update does for an application, with the
 * application's rights.
 *
 * The operations ("{"set": {"cart": []}, "increment": {"visits": 1}}", several objects joined by
 * commas) are judged now and carried out when the answer begins to be sent, before those of the
 * application's Django-Session-Update: then all of them are applied, or none and the answer is 500;
 * and saved, or the answer says what DjangoSessionOnStoreError says. As operations they are applied
 * again to what another request has stored meanwhile. Until then the functions above show the
 * session without them. An answer of status 500 and above drops them; so does one in which the
 * application sets the session's cookie itself.
 *
 * @param operations  UTF-8, copied
 * @param why         NULL, or gets what is wrong with them, without their content
 * @return APR_SUCCESS: they will be carried out
 *         APR_EACCES  DjangoSessionUpdate does not allow them where r is (Off; or a login or logout
 *                     where it is not Login)
 *         APR_EINVAL  malformed
 *         APR_EOF     too late: the answer is being sent
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, django_session_update,
                        (request_rec *r, const char *operations, const char **why));

#endif
