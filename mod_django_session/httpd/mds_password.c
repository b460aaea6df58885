/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is it, by name and password: Django's authenticate() with ModelBackend, for the login page and
 * for AuthBasicProvider.
 *
 * In this order: may this account and this address try again; is it remembered (Basic), which is no
 * try; is one of a few turns free; only then the hash. What is counted and remembered is in a small
 * region of shared memory, under names that are digests.
 *
 * An account is counted for everybody together, so that many addresses have no more tries than one;
 * but where its user once logged in from, he is counted apart: who keeps an account busy from
 * elsewhere does not lock its owner out.
 */
#include "mds.h"

#include <apr_strings.h>

#include "../store/caches.h"
#include "../store/cache_shm.h"
#include "../store/throttle.h"
#include "../store/turns.h"
#include "username.h"

#define REGION_NAME ".logins"
#define REGION_SIZE (4 * 1024 * 1024)
/* How long a thread may wait for its turn, which then takes some tenths of a second. */
#define TURN_WAIT apr_time_from_sec(2)
/* How long it is known where an account logged in from. */
#define KNOWN_SECONDS (30 * 86400)
/* What is kept of forms for an address, and for all, in how much time: nobody is to fill the store. */
#define KEPT_UNIT (16 * 1024)
#define KEPT_UNITS 60
#define KEPT_UNITS_OF_ALL 1000
#define KEPT_SPAN apr_time_from_sec(10 * 60)
#define BASIC_SALT "mod_django_session.basic"

static const djs_cache_conf_t region = { .scheme = DJS_CACHE_SHM, .format = DJS_CACHE_OURS,
                                         .shm_name = REGION_NAME, .shm_size = REGION_SIZE };

/* Made at start, inherited by all children. */
static djs_cache_t *counts;
static djs_turns_t *turns;
static char basic_key[32]; /* of what is remembered; a new one with each start */

apr_status_t mds_password_begin(djs_ctx_t *ctx, apr_pool_t *pconf, apr_uid_t user, apr_gid_t group)
{
    djs_ctx_t own = *ctx;
    apr_status_t rv = djs_cache_shm_make(ctx, &region, user, group);

    own.pool = pconf;
    if (rv == APR_SUCCESS) {
        rv = djs_caches_open(&own, pconf, &region, &counts);
    }
    if (rv == APR_SUCCESS) {
        rv = djs_turns_make(&own, pconf, &turns);
    }
    if (rv == APR_SUCCESS) {
        rv = djs_random(&own, basic_key, sizeof(basic_key));
    }
    return rv == APR_SUCCESS ? rv
                             : djs_fail(ctx, rv, "logins cannot be counted: %s",
                                        own.problem ? own.problem : ctx->problem);
}

/* ---- names of counts ---- */

typedef struct names_t {
    const char *account; /* of the count that holds for this try */
    const char *address;
    const char *known;   /* that this user once logged in from this address */
    int is_known;
} names_t;

/* A household has a /64 of IPv6 and more. */
static const char *network_of(request_rec *r)
{
    const apr_sockaddr_t *address = r->useragent_addr;
    const unsigned char *bytes;

    if (address->family != APR_INET6 || address->ipaddr_len != 16
        || IN6_IS_ADDR_V4MAPPED((struct in6_addr *)address->ipaddr_ptr)) {
        return r->useragent_ip;
    }
    bytes = address->ipaddr_ptr;
    return apr_psprintf(r->pool, "%02x%02x:%02x%02x:%02x%02x:%02x%02x::/64", bytes[0], bytes[1],
                        bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]);
}

static const char *name_of(djs_ctx_t *ctx, const djs_site_t *site, const char *kind,
                           const char *text)
{
    return apr_pstrcat(ctx->pool, kind, djs_secret_digest(ctx->pool, site->keys, text), NULL);
}

/*
 * Names that a database may take for one are counted as one, whether somebody has them or not: or how
 * two spellings of a name are counted would tell. Somebody who is known here has a count of his own.
 */
static names_t name_counts(request_rec *r, djs_ctx_t *ctx, const djs_site_t *site,
                           const char *username, const djs_user_t *user)
{
    const char *account = djs_username_fold(ctx->pool, user ? user->username : username);
    const char *here = apr_pstrcat(ctx->pool, user ? user->id : "", "\n", network_of(r), NULL);
    names_t names;
    djs_bytes_t unused;
    apr_time_t expires;

    names.address = name_of(ctx, site, "from:", network_of(r));
    names.known = name_of(ctx, site, "known:", here);
    names.is_known = user
                     && counts->ops->get(counts, ctx, names.known, &unused, &expires)
                            == APR_SUCCESS;
    names.account = names.is_known ? name_of(ctx, site, "user:", here)
                                   : name_of(ctx, site, "account:", account);
    djs_forget(ctx);
    return names;
}

/* ---- what is remembered ---- */

static const char *remembered_name(djs_ctx_t *ctx, const djs_site_t *site, const djs_user_t *user)
{
    return name_of(ctx, site, "basic:", user->id);
}

/* Of the password and of the column that it was right for. */
static int remembered_digest(djs_ctx_t *ctx, djs_bytes_t password, const djs_user_t *user,
                             unsigned char *digest)
{
    apr_size_t column = strlen(user->password);
    apr_size_t len = column + 1 + password.len;
    char *both = apr_palloc(ctx->pool, len);
    int done;

    memcpy(both, user->password, column + 1);
    memcpy(both + column + 1, password.data, password.len);
    done = djs_signing_salted_hmac(DJS_HMAC_SHA256, BASIC_SALT,
                                   djs_bytes_of(basic_key, sizeof(basic_key)),
                                   djs_bytes_of(both, len), digest);
    djs_secret_wipe(both, len);
    return done;
}

static int is_remembered(djs_ctx_t *ctx, const djs_site_t *site, const mds_attempt_t *attempt)
{
    unsigned char digest[DJS_SIGNING_MAC_MAX];
    djs_bytes_t found;
    apr_time_t expires;
    int len;

    if (attempt->remember == 0 || !attempt->user
        || counts->ops->get(counts, ctx, remembered_name(ctx, site, attempt->user), &found,
                            &expires)
               != APR_SUCCESS) {
        djs_forget(ctx);
        return 0;
    }
    len = remembered_digest(ctx, attempt->password, attempt->user, digest);
    return len > 0 && djs_secret_equal(found, djs_bytes_of((char *)digest, (apr_size_t)len));
}

static void remember(djs_ctx_t *ctx, const djs_site_t *site, const mds_attempt_t *attempt)
{
    unsigned char digest[DJS_SIGNING_MAC_MAX];
    int len = attempt->remember > 0
                  ? remembered_digest(ctx, attempt->password, attempt->user, digest)
                  : 0;

    if (len > 0
        && counts->ops->set(counts, ctx, remembered_name(ctx, site, attempt->user),
                            djs_bytes_of((char *)digest, (apr_size_t)len),
                            apr_time_sec(attempt->remember))
               != APR_SUCCESS) {
        djs_forget(ctx);
    }
}

/* ---- the check ---- */

/* A password that goes on being right is hashed as the site would. */
static void upgrade(request_rec *r, djs_ctx_t *ctx, const djs_site_t *site, mds_attempt_t *attempt)
{
    djs_user_t *user = attempt->user;
    const char *column = NULL;
    apr_status_t rv = djs_hashers_encode(ctx, site->settings->password_hashers, attempt->password,
                                         &column);

    if (rv == APR_SUCCESS) {
        rv = site->users->ops->set_password(site->users, ctx, user->id, user->password, column);
    }
    if (rv == APR_SUCCESS) {
        user->password = column;
        return;
    }
    ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                  DJSNO(0197) "the password of user %s was not hashed anew: %s", user->username,
                  ctx->problem);
    djs_forget(ctx);
}

static void warn_of_column(request_rec *r, const djs_user_t *user, const char *problem)
{
    if (mds_may_log(MDS_MSG_0192, r->request_time)) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      DJSNO(0192) "the password of user %s cannot be checked: %s", user->username,
                      problem);
    }
}

/* In a turn. */
static mds_login_t compare(request_rec *r, djs_ctx_t *ctx, const djs_site_t *site,
                           mds_attempt_t *attempt)
{
    const djs_user_t *user = attempt->user;
    djs_password_check_t check;
    apr_status_t rv = djs_hashers_check(ctx, site->settings->password_hashers, attempt->password,
                                        user ? user->password : NULL, &check);

    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, DJSNO(0195) "a password was checked");
    if (rv != APR_SUCCESS && user && rv != DJS_EINVAL) {
        warn_of_column(r, user, ctx->problem);
    }
    djs_forget(ctx);
    if (!check.right) {
        return user ? MDS_LOGIN_WRONG : MDS_LOGIN_UNKNOWN;
    }
    if (!user->is_active) {
        return MDS_LOGIN_INACTIVE;
    }
    if (check.must_update) {
        upgrade(r, ctx, site, attempt);
    }
    return MDS_LOGIN_RIGHT;
}

static mds_login_t compare_in_turn(request_rec *r, djs_ctx_t *ctx, const djs_site_t *site,
                                   mds_attempt_t *attempt)
{
    mds_login_t outcome;
    int turn, waited;

    if (djs_turns_take(ctx, turns, site->settings->login_threads, TURN_WAIT, &turn, &waited)
        != APR_SUCCESS) {
        djs_forget(ctx);
        if (mds_may_log(MDS_MSG_0194, r->request_time)) {
            ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                          DJSNO(0194) "too many passwords to check at once: DjangoLoginThreads %d",
                          site->settings->login_threads);
        }
        return MDS_LOGIN_BUSY;
    }
    /* Another request of the same client may have been in front. */
    outcome = waited && is_remembered(ctx, site, attempt) ? MDS_LOGIN_RIGHT
                                                          : compare(r, ctx, site, attempt);
    djs_turns_give(turns, turn);
    return outcome;
}

/* ---- what is counted ---- */

static mds_login_t cannot_count(request_rec *r, djs_ctx_t *ctx)
{
    if (mds_may_log(MDS_MSG_0198, r->request_time)) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, DJSNO(0198) "no login: %s", ctx->problem);
    }
    djs_forget(ctx);
    return MDS_LOGIN_FAILED;
}

/* MDS_LOGIN_RIGHT: go on. */
static mds_login_t may_go_on(request_rec *r, djs_ctx_t *ctx, apr_status_t rv, const char *what)
{
    if (rv == DJS_ELIMIT) {
        if (mds_may_log(MDS_MSG_0193, r->request_time)) {
            ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                          DJSNO(0193) "throttled: %s for one %s", ctx->problem, what);
        }
        djs_forget(ctx);
        return MDS_LOGIN_THROTTLED;
    }
    return rv == APR_SUCCESS ? MDS_LOGIN_RIGHT : cannot_count(r, ctx);
}

static mds_login_t count_try(request_rec *r, djs_ctx_t *ctx, const names_t *names,
                             const djs_throttle_conf_t *limits, mds_attempt_t *attempt)
{
    const char *what = "address";
    apr_status_t rv = djs_throttle_take(ctx, counts, names->address, &limits->address,
                                        &attempt->wait);

    if (rv == APR_SUCCESS) {
        what = "account";
        rv = djs_throttle_take(ctx, counts, names->account, &limits->account, &attempt->wait);
        if (rv == DJS_ELIMIT) {
            /* Nothing is tried: an address is not to pay for others' tries at the account. */
            djs_throttle_give_back(ctx, counts, names->address, &limits->address);
        }
    }
    return may_go_on(r, ctx, rv, what);
}

/*
 * The record of a user at this address is clean. What counts for all addresses stays, for it may count
 * the tries at somebody whose name is nearly the same.
 */
static void make_known(djs_ctx_t *ctx, const names_t *names)
{
    if (names->is_known) {
        djs_throttle_clear(ctx, counts, names->account);
    }
    if (counts->ops->set(counts, ctx, names->known, djs_bytes("1"), KNOWN_SECONDS) != APR_SUCCESS) {
        djs_forget(ctx);
    }
}

/*
 * A password that is remembered is no try, but who is to wait does not learn that it was right: or
 * what is remembered could be guessed at without end, and fast.
 */
static mds_login_t welcome_back(request_rec *r, djs_ctx_t *ctx, const names_t *names,
                                const djs_throttle_conf_t *limits, mds_attempt_t *attempt)
{
    const char *what = "address";
    apr_int64_t tries;
    apr_status_t rv = djs_throttle_look(ctx, counts, names->address, &limits->address, &tries,
                                        &attempt->wait);

    if (rv == APR_SUCCESS) {
        what = "account";
        rv = djs_throttle_look(ctx, counts, names->account, &limits->account, &tries,
                               &attempt->wait);
    }
    if (rv == APR_SUCCESS && (tries > 0 || !names->is_known)) {
        make_known(ctx, names);
    }
    return may_go_on(r, ctx, rv, what);
}

static void settle(djs_ctx_t *ctx, const names_t *names, const djs_throttle_conf_t *limits,
                   mds_login_t outcome)
{
    if (outcome == MDS_LOGIN_RIGHT || outcome == MDS_LOGIN_BUSY) {
        djs_throttle_give_back(ctx, counts, names->address, &limits->address);
        djs_throttle_give_back(ctx, counts, names->account, &limits->account);
    }
    if (outcome == MDS_LOGIN_RIGHT) {
        make_known(ctx, names);
    }
}

int mds_password_may_keep(request_rec *r, const djs_site_t *site, apr_size_t len)
{
    static const djs_rate_t one = { .count = KEPT_UNITS, .span = KEPT_SPAN };
    static const djs_rate_t all = { .count = KEPT_UNITS_OF_ALL, .span = KEPT_SPAN };
    djs_ctx_t *ctx = &mds_request(r)->ctx;
    const char *name_of_one = name_of(ctx, site, "kept:", network_of(r));
    const char *name_of_all = name_of(ctx, site, "kept:", "all");
    apr_interval_time_t wait;
    apr_status_t rv = APR_SUCCESS;
    apr_size_t unit;

    for (unit = 0; rv == APR_SUCCESS && unit <= len / KEPT_UNIT; unit++) {
        rv = djs_throttle_take(ctx, counts, name_of_one, &one, &wait);
        if (rv == APR_SUCCESS) {
            rv = djs_throttle_take(ctx, counts, name_of_all, &all, &wait);
        }
    }
    djs_forget(ctx);
    return rv == APR_SUCCESS;
}

/* ---- all together ---- */

static const char *reason_of(mds_login_t outcome)
{
    switch (outcome) {
    case MDS_LOGIN_UNKNOWN:
        return "there is none of this name";
    case MDS_LOGIN_INACTIVE:
        return "not active";
    case MDS_LOGIN_THROTTLED:
        return "throttled";
    case MDS_LOGIN_BUSY:
        return "too many at once";
    case MDS_LOGIN_FAILED:
        return "the store failed";
    default:
        return "wrong password";
    }
}

static mds_login_t find_user(request_rec *r, djs_ctx_t *ctx, const djs_site_t *site,
                             mds_attempt_t *attempt)
{
    apr_status_t rv = site->users->ops->find_by_name(site->users, ctx, attempt->username,
                                                     &attempt->user);

    if (rv == APR_SUCCESS || rv == APR_NOTFOUND) {
        djs_forget(ctx);
        return MDS_LOGIN_RIGHT;
    }
    if (mds_may_log(MDS_MSG_0191, ctx->now)) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, DJSNO(0191) "a user is not to be read: %s",
                      ctx->problem ? ctx->problem : "unknown");
    }
    return MDS_LOGIN_FAILED;
}

static mds_login_t check(request_rec *r, djs_ctx_t *ctx, const djs_site_t *site,
                         mds_attempt_t *attempt)
{
    const djs_throttle_conf_t *limits = &site->settings->login_throttle;
    mds_login_t outcome = find_user(r, ctx, site, attempt);
    names_t names;

    if (outcome != MDS_LOGIN_RIGHT) {
        return outcome;
    }
    names = name_counts(r, ctx, site, attempt->username, attempt->user);
    if (attempt->user && attempt->user->is_active && is_remembered(ctx, site, attempt)) {
        return welcome_back(r, ctx, &names, limits, attempt);
    }
    outcome = count_try(r, ctx, &names, limits, attempt);
    if (outcome != MDS_LOGIN_RIGHT) {
        return outcome;
    }
    outcome = compare_in_turn(r, ctx, site, attempt);
    settle(ctx, &names, limits, outcome);
    if (outcome == MDS_LOGIN_RIGHT) {
        remember(ctx, site, attempt);
    }
    return outcome;
}

mds_login_t mds_password_check(request_rec *r, const djs_site_t *site, mds_attempt_t *attempt)
{
    djs_ctx_t ctx = mds_request(r)->ctx;
    mds_login_t outcome;

    attempt->user = NULL;
    attempt->wait = 0;
    ctx.now = apr_time_now();
    ctx.patience = site->settings->store_timeout;
    ctx.problem = NULL;
    /* A server that went on through a restart, although the memory could not be made. */
    outcome = counts && turns ? check(r, &ctx, site, attempt) : MDS_LOGIN_FAILED;
    if (outcome != MDS_LOGIN_RIGHT) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, DJSNO(0190) "no login for %s%s: %s",
                      attempt->user ? "user " : "a name",
                      attempt->user ? attempt->user->username : "", reason_of(outcome));
        attempt->user = NULL;
    }
    return outcome;
}

int mds_password_too_often(request_rec *r, const mds_attempt_t *attempt)
{
    apr_int64_t seconds = apr_time_sec(attempt->wait + APR_USEC_PER_SEC - 1);

    apr_table_setn(r->err_headers_out, "Retry-After",
                   apr_psprintf(r->pool, "%" APR_INT64_T_FMT, seconds > 0 ? seconds : 1));
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    return HTTP_TOO_MANY_REQUESTS;
}
