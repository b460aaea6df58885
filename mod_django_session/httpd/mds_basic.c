/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AuthBasicProvider django, and AuthFormProvider: users and passwords of Django's for httpd's own
 * mod_auth_basic and mod_auth_form.
 *
 * A provider can say that it failed, and httpd then answers with 500. Who tries too often is to hear
 * 429, and who came while too many passwords were being checked 503: so we ask for the user ourselves,
 * first, and correct that answer.
 */
#include "mds.h"

#include <ap_provider.h>
#include <mod_auth.h>

#include "username.h"

static authn_status refuse(request_rec *r, mds_login_t outcome, const mds_attempt_t *attempt)
{
    switch (outcome) {
    case MDS_LOGIN_UNKNOWN:
        return AUTH_USER_NOT_FOUND; /* another provider may know him */
    case MDS_LOGIN_WRONG:
    case MDS_LOGIN_INACTIVE:
        return AUTH_DENIED;
    case MDS_LOGIN_THROTTLED:
        mds_request(r)->authn_status = mds_password_too_often(r, attempt);
        return AUTH_GENERAL_ERROR;
    default:
        mds_request(r)->authn_status = mds_unavailable(r);
        return AUTH_GENERAL_ERROR;
    }
}

static authn_status check_password(request_rec *r, const char *username, const char *password)
{
    mds_view_t *view = mds_view(r);
    const djs_site_t *site = mds_site(r, view);
    mds_attempt_t attempt = { .username = djs_username_clean(r->pool, username),
                              .password = djs_bytes(password),
                              .remember = view->settings->basic_cache };
    mds_login_t outcome;

    if (!site) {
        return AUTH_GENERAL_ERROR;
    }
    outcome = mds_password_check(r, site, &attempt);
    if (outcome != MDS_LOGIN_RIGHT) {
        return refuse(r, outcome, &attempt);
    }
    /* The database may take several spellings for one name; the user has one. */
    r->user = apr_pstrdup(r->pool, attempt.user->username);
    return AUTH_GRANTED;
}

/* No digest can be told: passwords are hashed. */
static const authn_provider provider = { check_password, NULL };

int mds_basic_authn(request_rec *r)
{
    const mds_dir_t *dir = ap_get_module_config(r->per_dir_config, &django_session_module);
    mds_request_t *request = mds_request(r);
    int answer;

    if (!dir->passwords || request->inside_authn) {
        return DECLINED;
    }
    request->inside_authn = 1;
    request->authn_status = 0;
    answer = ap_run_check_user_id(r);
    request->inside_authn = 0;
    return answer == HTTP_INTERNAL_SERVER_ERROR && request->authn_status ? request->authn_status
                                                                        : answer;
}

void mds_basic_register(apr_pool_t *pool)
{
    ap_register_auth_provider(pool, AUTHN_PROVIDER_GROUP, "django", AUTHN_PROVIDER_VERSION,
                              &provider, AP_AUTH_INTERNAL_PER_CONF);
}
