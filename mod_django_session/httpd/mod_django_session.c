/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module record and the table of hooks. What each hook does is in the file named beside it.
 */
#include "mds.h"

#include <http_connection.h>

static void register_hooks(apr_pool_t *pool)
{
    /*
     * Fixups of these see the session's variables: rewrite rules of a section, SetEnv and
     * RequestHeader, which may change or drop them.
     */
    static const char *const after_export[] = { "mod_rewrite.c", "mod_env.c", "mod_headers.c",
                                                NULL };
    static const char *const before_threads[] = { "mod_watchdog.c", NULL };

    mds_api_register();
    mds_basic_register(pool);
    /* mds_config.c */
    ap_hook_pre_config(mds_pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(mds_check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_test_config(mds_dump_config, NULL, NULL, APR_HOOK_MIDDLE);
    /* mds_shm.c: before there are children */
    ap_hook_post_config(mds_post_config, NULL, NULL, APR_HOOK_MIDDLE);
    /* mds_cache.c */
    ap_hook_post_config(mds_cache_post_config, NULL, NULL, APR_HOOK_MIDDLE);
    /* mds_clear.c: registered before mod_watchdog looks; told of the end before all threads are */
    ap_hook_post_config(mds_clear_post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(mds_clear_child_init, NULL, NULL, APR_HOOK_REALLY_LAST);
    /* mds_server.c: ready before mod_watchdog starts its threads */
    ap_hook_child_init(mds_child_init, NULL, before_threads, APR_HOOK_MIDDLE);
    /* mds_request.c: before anything can take a client's header for ours */
    mds_request_register();
    ap_hook_pre_connection(mds_pre_connection, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_read_request(mds_post_read_request, NULL, NULL, APR_HOOK_REALLY_FIRST);
    /* mds_export.c: before anybody makes something of the address, mod_rewrite's rules for one */
    ap_hook_translate_name(mds_export_early, NULL, NULL, APR_HOOK_REALLY_FIRST);
    /* mds_param.c: once more when all sections are known; before the address is logged */
    ap_hook_header_parser(mds_take_param_of_file, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_log_transaction(mds_hide_params, NULL, NULL, APR_HOOK_REALLY_FIRST);
    mds_expr_register();
    mds_require_register(pool);
    /* mds_basic.c: asks all others itself, so it is first */
    ap_hook_check_authn(mds_basic_authn, NULL, NULL, APR_HOOK_REALLY_FIRST,
                        AP_AUTH_INTERNAL_PER_CONF);
    /* mds_auth.c: the checkers ask all others themselves, so they are first */
    ap_hook_check_access_ex(mds_access_checker, NULL, NULL, APR_HOOK_REALLY_FIRST,
                            AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_authn(mds_check_authn, NULL, NULL, APR_HOOK_MIDDLE, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_authz(mds_auth_checker, NULL, NULL, APR_HOOK_REALLY_FIRST,
                        AP_AUTH_INTERNAL_PER_CONF);
    /* mds_export.c */
    ap_hook_fixups(mds_fixups, NULL, after_export, APR_HOOK_REALLY_FIRST);
    /* mds_stream.c: while the socket is open */
    ap_hook_pre_close_connection(mds_stream_pre_close, NULL, NULL, APR_HOOK_REALLY_FIRST);
    mds_preserve_register();
    mds_sso_register();
    mds_status_register();
    /* mds_login.c */
    ap_hook_handler(mds_login_handler, NULL, NULL, APR_HOOK_MIDDLE);
    mds_upgrade_register();
    mds_inject_register();
    /* mds_filter.c: puts the filters of those two in, too */
    mds_filter_register();
    ap_hook_insert_filter(mds_insert_filters, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_insert_error_filter(mds_insert_filter, NULL, NULL, APR_HOOK_MIDDLE);
    /* mds_cache.c: when the section's other filters are in their places */
    ap_hook_insert_filter(mds_guard_cache, NULL, NULL, APR_HOOK_LAST);
}

module AP_MODULE_DECLARE_DATA django_session_module = {
    STANDARD20_MODULE_STUFF,
    mds_dir_create,
    mds_dir_merge,
    mds_server_create,
    mds_server_merge,
    mds_commands,
    register_hooks,
    0
};
