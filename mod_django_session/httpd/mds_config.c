/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directives, made from the rows of settings.def; what merges; what is judged at start.
 *
 * Directives of other modules are listened to as well (httpd hands a directive to every module that
 * knows it): DBDriver and DBDParams tell which database a virtual host has, which mod_dbd keeps to
 * itself, and AuthType tells at start which sections will need a session.
 */
#include "mds.h"

#include <apr_file_io.h>
#include <apr_lib.h>

#include <stdio.h>

/* ---- directives ---- */

/* Whether a row's directive may stand here; NULL: it may, else where it belongs. */
static const char *check_place(cmd_parms *cmd, const djs_setting_row_t *row)
{
    int in_sections = strchr(row->context, 'D') != NULL;
    const char *here = NULL;

    if (!strchr(row->context, 'H') && ap_check_cmd_context(cmd, NOT_IN_HTACCESS)) {
        here = ".htaccess files";
    }
    else if (!in_sections && ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT)) {
        here = "sections such as <Directory>, <Location> or <If>";
    }
    if (here) {
        return apr_psprintf(cmd->pool,
                            "%s is not allowed in %s: it belongs into the server's own "
                            "configuration (the server%s)",
                            cmd->cmd->name, here,
                            in_sections ? ", a virtual host, or a section such as <Directory> or "
                                          "<Location>"
                                        : " or a virtual host");
    }
    return ap_check_cmd_context(cmd, NOT_IN_LIMIT);
}

/* Paths of secrets are below ServerRoot, as all paths of the configuration. */
static const char *resolve_secret(apr_pool_t *pool, const char *spec)
{
    apr_size_t prefix;
    const char *path;

    if (strncmp(spec, "file:", 5) != 0 && strncmp(spec, "exec:", 5) != 0) {
        return spec;
    }
    prefix = 5;
    path = spec[prefix] ? ap_server_root_relative(pool, spec + prefix) : NULL;
    return path ? apr_pstrcat(pool, apr_pstrmemdup(pool, spec, prefix), path, NULL) : spec;
}

static const char *below(apr_pool_t *pool, const char *folder, const char *path)
{
    char *merged = NULL;

    return apr_filepath_merge(&merged, folder, path, APR_FILEPATH_SECUREROOT, pool) == APR_SUCCESS
               ? merged
               : "/"; /* no file, so it is never read */
}

/*
 * What only the server can make of a value. Whether there is an engine of this name is judged when
 * all modules are loaded.
 */
static void adapt(cmd_parms *cmd, const djs_setting_row_t *row, const char *value,
                  const char **adapted)
{
    const char *path;

    *adapted = value;
    if (row->kind == DJS_KIND_SECRET || row->kind == DJS_KIND_SECRETS) {
        *adapted = resolve_secret(cmd->pool, value);
    }
    else if (row->kind == DJS_KIND_PATH) {
        /* In an .htaccess file beside it, and not above. */
        path = ap_check_cmd_context(cmd, NOT_IN_HTACCESS)
                   ? below(cmd->pool, cmd->path, value)
                   : ap_server_root_relative(cmd->pool, value);
        *adapted = path ? path : value;
    }
    else if (row->id == DJS_SETTING_ENGINE && djs_stores_engine_name(value)) {
        *adapted = djs_stores_engine_name(value);
    }
}

static const char *set_directive(cmd_parms *cmd, void *section, int argc, char *const argv[])
{
    mds_dir_t *dir = section;
    const djs_setting_row_t *row = &djs_setting_rows()[(apr_size_t)cmd->info];
    djs_ctx_t ctx = { .pool = cmd->pool };
    const char **values = apr_pcalloc(cmd->pool, (argc + 1) * sizeof(*values));
    const char *error;
    int i;

    error = check_place(cmd, row);
    if (error) {
        return error;
    }
    for (i = 0; i < argc; i++) {
        adapt(cmd, row, argv[i], &values[i]);
    }
    if (djs_settings_set(&ctx, dir->set, row, argc, values) != APR_SUCCESS) {
        return ctx.problem;
    }
    return NULL;
}

static const char *note_auth_type(cmd_parms *cmd, void *section, const char *type)
{
    mds_dir_t *dir = section;

    (void)cmd;
    dir->auth_set = 1;
    dir->auth = strcasecmp(type, "Django") == 0;
    dir->auth_varies = type[strcspn(type, "%$\\")] != '\0';
    return NULL;
}

/* One call for each provider of the line. */
static const char *note_provider(cmd_parms *cmd, void *section, const char *provider)
{
    mds_dir_t *dir = section;

    (void)cmd;
    dir->passwords_set = 1;
    dir->passwords |= strcasecmp(provider, "django") == 0;
    return NULL;
}

static const char *note_handler(cmd_parms *cmd, void *section, const char *handler)
{
    mds_dir_t *dir = section;

    (void)cmd;
    dir->handler_set = 1;
    dir->handler = mds_is_login_handler(handler);
    return NULL;
}

static const char *note_driver(cmd_parms *cmd, void *section, const char *driver)
{
    (void)section;
    mds_server_of(cmd->server)->driver = driver;
    return NULL;
}

static const char *note_params(cmd_parms *cmd, void *section, const char *params)
{
    (void)section;
    mds_server_of(cmd->server)->params = params;
    return NULL;
}

/*
 * Every row is listed for all contexts; set_directive() refuses what may not stand in .htaccess,
 * with a better reason than httpd's "not allowed here", and under AllowOverrideList too.
 */
#define CONTEXTS (RSRC_CONF | ACCESS_CONF | OR_AUTHCFG)

const command_rec mds_commands[] = {
#define SETTING(ID, member, type, directive, option, kind, def, context, values, about)            \
    AP_INIT_TAKE_ARGV(directive, set_directive, (void *)DJS_SETTING_##ID, CONTEXTS,                \
                      "[" values "] " about),
#include "settings.def"
#undef SETTING
    AP_INIT_TAKE1("AuthType", note_auth_type, NULL, OR_AUTHCFG, "noted by mod_django_session"),
    AP_INIT_ITERATE("AuthBasicProvider", note_provider, NULL, OR_AUTHCFG,
                    "noted by mod_django_session"),
    AP_INIT_ITERATE("AuthFormProvider", note_provider, NULL, OR_AUTHCFG,
                    "noted by mod_django_session"),
    AP_INIT_TAKE1("SetHandler", note_handler, NULL, OR_FILEINFO, "noted by mod_django_session"),
    AP_INIT_TAKE1("DBDriver", note_driver, NULL, RSRC_CONF, "noted by mod_django_session"),
    AP_INIT_TAKE1("DBDParams", note_params, NULL, RSRC_CONF, "noted by mod_django_session"),
    { .name = NULL }
};

/* ---- create and merge ---- */

void *mds_dir_create(apr_pool_t *pool, char *path)
{
    mds_dir_t *dir = apr_pcalloc(pool, sizeof(*dir));

    dir->set = djs_settings_make(pool);
    dir->where = apr_pstrdup(pool, path);
    dir->transient = mds_process.running;
    if (!dir->transient) {
        dir->next_section = mds_process.sections;
        mds_process.sections = dir;
    }
    return dir;
}

static mds_dir_t *merge(apr_pool_t *pool, const mds_dir_t *outer, const mds_dir_t *inner)
{
    mds_dir_t *merged = apr_pcalloc(pool, sizeof(*merged));

    merged->set = djs_settings_merge(pool, outer->set, inner->set);
    merged->where = inner->where ? inner->where : outer->where;
    merged->auth_set = outer->auth_set || inner->auth_set;
    merged->auth = inner->auth_set ? inner->auth : outer->auth;
    merged->auth_varies = inner->auth_set ? inner->auth_varies : outer->auth_varies;
    merged->handler_set = outer->handler_set || inner->handler_set;
    merged->handler = inner->handler_set ? inner->handler : outer->handler;
    merged->passwords_set = outer->passwords_set || inner->passwords_set;
    merged->passwords = inner->passwords_set ? inner->passwords : outer->passwords;
    merged->transient = outer->transient || inner->transient;
    merged->inner = inner;
    return merged;
}

static mds_dir_t *find_merged(const mds_dir_t *outer, const mds_dir_t *inner)
{
    mds_dir_t *merged = mds_load(&outer->merged);

    while (merged && merged->inner != inner) {
        merged = merged->next_merged;
    }
    return merged;
}

void *mds_dir_merge(apr_pool_t *pool, void *outer_, void *inner_)
{
    mds_dir_t *outer = outer_;
    mds_dir_t *inner = inner_;
    mds_dir_t *merged;

    if (outer->transient || inner->transient) {
        return merge(pool, outer, inner);
    }
    merged = find_merged(outer, inner);
    if (merged) {
        return merged;
    }
    mds_process_lock();
    merged = find_merged(outer, inner);
    if (!merged) {
        merged = merge(mds_process.pool, outer, inner);
        merged->next_merged = outer->merged;
        mds_publish(&outer->merged, merged);
    }
    mds_process_unlock();
    return merged;
}

void *mds_server_create(apr_pool_t *pool, server_rec *server)
{
    mds_server_t *mine = apr_pcalloc(pool, sizeof(*mine));

    mine->server = server;
    mine->params = "";
    return mine;
}

void *mds_server_merge(apr_pool_t *pool, void *outer_, void *inner_)
{
    const mds_server_t *outer = outer_;
    const mds_server_t *inner = inner_;
    mds_server_t *merged = apr_pmemdup(pool, inner, sizeof(*inner));

    /* As mod_dbd merges them. */
    merged->driver = inner->driver ? inner->driver : outer->driver;
    merged->params = *inner->params ? inner->params : outer->params;
    return merged;
}

int mds_pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    (void)plog;
    (void)ptemp;
    mds_process_begin(pconf);
    mds_shm_begin();
    return OK;
}

/* ---- every section of the configuration ---- */

typedef struct walk_t {
    int (*each)(struct walk_t *walk, mds_server_t *server, mds_dir_t *dir);
    apr_pool_t *pool;
    mds_server_t *server;
    server_rec *anywhere; /* not NULL: the section may be of any of these servers */
    int failures;
    int (*each_view)(void *baton, mds_view_t *view);
    void *baton;
    apr_array_header_t *checked; /* stores that were looked into, of const djs_site_t * */
} walk_t;

static void visit(walk_t *walk, mds_dir_t *dir)
{
    walk->failures += !walk->each(walk, walk->server, dir);
}

static void walk_sections(walk_t *walk, const apr_array_header_t *sections, mds_dir_t *outer)
{
    int i;

    for (i = 0; sections && i < sections->nelts; i++) {
        ap_conf_vector_t *section = APR_ARRAY_IDX(sections, i, ap_conf_vector_t *);
        const core_dir_config *core = ap_get_core_module_config(section);
        mds_dir_t *inner = ap_get_module_config(section, &django_session_module);
        mds_dir_t *dir = outer;

        if (inner) {
            inner->seen = 1;
            dir = mds_dir_merge(walk->pool, outer, inner);
            visit(walk, dir);
        }
        if (core) {
            walk_sections(walk, core->sec_file, dir);
            walk_sections(walk, core->sec_if, dir);
        }
    }
}

/* How many sections failed. */
static int walk_all(walk_t *walk, server_rec *main_server)
{
    server_rec *server;
    mds_dir_t *section;

    for (server = main_server; server; server = server->next) {
        const core_server_config *core = ap_get_core_module_config(server->module_config);
        const core_dir_config *dir = ap_get_core_module_config(server->lookup_defaults);
        mds_dir_t *base = ap_get_module_config(server->lookup_defaults, &django_session_module);

        walk->server = mds_server_of(server);
        visit(walk, base);
        base->seen = 1;
        walk_sections(walk, core->sec_dir, base);
        walk_sections(walk, core->sec_url, base);
        walk_sections(walk, dir->sec_file, base);
        walk_sections(walk, dir->sec_if, base);
    }
    /* What httpd's core does not list, <Proxy> for one; the servers' own are no sections. */
    walk->server = mds_server_of(main_server);
    walk->anywhere = main_server;
    for (section = mds_process.sections; section; section = section->next_section) {
        if (!section->seen && section->where) {
            visit(walk, mds_dir_merge(walk->pool,
                                      ap_get_module_config(main_server->lookup_defaults,
                                                           &django_session_module),
                                      section));
        }
    }
    return walk->failures;
}

static const char *place(apr_pool_t *pool, const mds_server_t *server, const mds_dir_t *dir)
{
    const server_rec *s = server->server;
    const char *host = s->is_virtual
                           ? apr_psprintf(pool, "virtual host %s", s->server_hostname)
                           : "the main server";

    return dir->where ? apr_psprintf(pool, "section %s of %s", dir->where, host) : host;
}

static int visit_view(walk_t *walk, mds_server_t *server, mds_dir_t *dir)
{
    return walk->each_view(walk->baton, mds_view_of(dir, server, walk->pool));
}

int mds_each_view(apr_pool_t *pconf, server_rec *server, int (*each)(void *baton, mds_view_t *view),
                  void *baton)
{
    walk_t walk = { .each = visit_view, .pool = pconf, .each_view = each, .baton = baton };

    return walk_all(&walk, server);
}

/* ---- what is judged at start ---- */

static int starts_with_exec(const char *spec)
{
    return spec && strncmp(spec, "exec:", 5) == 0;
}

/* exec: is run once at start, so not when httpd reads its configuration for the first time. */
static int must_wait(const djs_settings_t *settings)
{
    int i;

    if (ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_CREATE_PRE_CONFIG
        || ap_state_query(AP_SQ_RUN_MODE) != AP_SQ_RM_NORMAL) {
        return 0;
    }
    if (starts_with_exec(settings->secret_key)) {
        return 1;
    }
    for (i = 0; settings->secret_key_fallbacks && i < settings->secret_key_fallbacks->nelts; i++) {
        if (starts_with_exec(
                APR_ARRAY_IDX(settings->secret_key_fallbacks, i, const char *))) {
            return 1;
        }
    }
    return 0;
}

static void collect_header_names(mds_server_t *server, const apr_array_header_t *names,
                                 apr_pool_t *pool)
{
    if (names->nelts == 0) {
        return;
    }
    if (!server->header_names) {
        server->header_names = apr_array_make(pool, 4, sizeof(const char *));
    }
    apr_array_cat(server->header_names, names);
}

static void warn_of_url_param(const mds_server_t *server, const char *name)
{
    if (ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_CREATE_PRE_CONFIG
        || ap_state_query(AP_SQ_RUN_MODE) != AP_SQ_RM_NORMAL) {
        ap_log_error(APLOG_MARK, APLOG_WARNING | APLOG_STARTUP, 0, server->server,
                     DJSNO(0107) "DjangoSessionUrlParam %s: whoever sees an address of this kind, "
                                 "in a history, a chat or another server's log, has the session",
                     name);
    }
}

static void collect_url_param(mds_server_t *server, const djs_settings_t *settings,
                              apr_pool_t *pool)
{
    apr_array_header_t *all = server->url_params;
    int i;

    for (i = 0; all && i < all->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(all, i, const char *), settings->url_param) == 0) {
            return;
        }
    }
    if (!all) {
        all = server->url_params = apr_array_make(pool, 1, sizeof(const char *));
    }
    APR_ARRAY_PUSH(all, const char *) = settings->url_param;
    warn_of_url_param(server, settings->url_param);
}

/* What a virtual host must know of its sections. */
static void collect_from(mds_server_t *server, const djs_settings_t *settings, apr_pool_t *pool)
{
    collect_header_names(server, mds_header_names(pool, settings), pool);
    if (settings->url_param) {
        collect_url_param(server, settings, pool);
    }
}

/* A <Proxy> section may be of any virtual host. */
static void collect_everywhere(server_rec *server, const djs_settings_t *settings,
                               apr_pool_t *pool)
{
    for (; server; server = server->next) {
        collect_from(mds_server_of(server), settings, pool);
    }
}

/* ---- httpd -t -D DJANGO_CHECK ---- */

static void say(void *failed, int ok, const char *what)
{
    if (!ok) {
        (*(int *)failed)++;
    }
    printf("%s: %s\n", ok ? "ok" : "FAIL", what);
}

/* mod_dbd lends connections only to children. */
static apr_status_t open_database(djs_ctx_t *ctx, const mds_server_t *server,
                                  djs_database_t **database)
{
    djs_dbd_source_t source;
    apr_status_t rv;

    if (!server->database) {
        return APR_SUCCESS;
    }
    rv = djs_dbd_direct_source(ctx, ctx->pool, server->driver, server->params, &source);
    if (rv == APR_SUCCESS) {
        rv = djs_database_open(ctx, ctx->pool, &source, server->driver, database);
    }
    return rv;
}

/* A site of its own, as a child would have. */
static apr_status_t open_directly(djs_ctx_t *ctx, const mds_view_t *view, djs_site_t **site)
{
    const char *name = view->settings->engine;
    djs_database_t *database = NULL;
    djs_engine_t *engine;
    apr_status_t rv = open_database(ctx, view->server, &database);

    if (rv == APR_SUCCESS && djs_stores_engine_name(name)) {
        return djs_stores_open(ctx, ctx->pool, view->settings, database, site);
    }
    if (rv == APR_SUCCESS) {
        rv = mds_engine_open(ctx, ctx->pool, view->server->server, name, &engine);
    }
    if (rv == APR_SUCCESS) {
        rv = mds_engine_child_init(ctx, ctx->pool, name, engine);
    }
    if (rv == APR_SUCCESS) {
        rv = djs_stores_open_around(ctx, ctx->pool, view->settings, database, engine, site);
    }
    return rv;
}

static apr_status_t look_into(djs_ctx_t *ctx, const mds_view_t *view, int *failed)
{
    djs_site_t *site;
    apr_status_t rv = open_directly(ctx, view, &site);

    ctx->patience = view->settings->store_timeout;
    if (rv == APR_SUCCESS && site->engine->ops->check) {
        rv = site->engine->ops->check(site->engine, ctx, say, failed);
    }
    if (rv == APR_SUCCESS && *failed == 0 && site->users) {
        rv = site->users->ops->check(site->users, ctx, say, failed);
    }
    return rv;
}

static int check_store(walk_t *walk, mds_server_t *server, const mds_dir_t *dir,
                       const mds_view_t *view)
{
    djs_ctx_t ctx = { .now = apr_time_now() };
    int failed = 0;
    int i;

    for (i = 0; i < walk->checked->nelts; i++) {
        if (djs_stores_same(APR_ARRAY_IDX(walk->checked, i, const djs_site_t *), view->site)) {
            return 1;
        }
    }
    APR_ARRAY_PUSH(walk->checked, const djs_site_t *) = view->site;
    printf("# %s\n", place(walk->pool, server, dir));
    /* Connections end now, before apr_dbd unloads its drivers. */
    apr_pool_create(&ctx.pool, walk->pool);
    if (look_into(&ctx, view, &failed) != APR_SUCCESS && failed == 0) {
        say(&failed, 0, ctx.problem);
    }
    apr_pool_destroy(ctx.pool);
    fflush(stdout);
    return failed == 0;
}

/* ---- the check of every start ---- */

/* Engines of other modules included. */
static apr_status_t check_url_param(djs_ctx_t *ctx, const mds_view_t *view)
{
    const djs_settings_t *settings = view->settings;

    if (settings->url_param && view->site->engine->ops->flags & DJS_ENGINE_STATELESS) {
        return djs_fail(ctx, DJS_EINVAL,
                        "DjangoSessionUrlParam %s: an address can carry the key of a session, but with "
                        "engine %s there is only the whole session, which changes with each save; "
                        "write DjangoSessionUrlParam None here, or use an engine with a store",
                        settings->url_param, settings->engine);
    }
    return APR_SUCCESS;
}

static apr_status_t check_preserve_post(djs_ctx_t *ctx, const mds_view_t *view)
{
    const djs_settings_t *settings = view->settings;

    if (view->auth && settings->preserve_post
        && view->site->engine->ops->flags & DJS_ENGINE_STATELESS) {
        return djs_fail(ctx, DJS_EINVAL,
                        "DjangoPreservePost On: forms are kept in the session store, and engine %s has "
                        "none; write DjangoPreservePost Off here, or use an engine with a store",
                        settings->engine);
    }
    return APR_SUCCESS;
}

static apr_status_t prepare(djs_ctx_t *ctx, mds_view_t *view)
{
    apr_status_t rv = mds_engine_check(ctx, view->settings->engine);

    if (rv == APR_SUCCESS) {
        rv = mds_clear_check(ctx, view->settings);
    }
    if (rv == APR_SUCCESS && view->settings->csrf != DJS_CSRF_MODE_OFF) {
        rv = djs_csrf_check_settings(ctx, view->settings);
    }
    if (rv != APR_SUCCESS || !(view->on || view->passwords)) {
        return rv;
    }
    if (must_wait(view->settings)) {
        return mds_view_check(ctx, view);
    }
    rv = mds_view_open(ctx, view);
    if (rv == APR_SUCCESS) {
        rv = check_url_param(ctx, view);
    }
    return rv == APR_SUCCESS ? check_preserve_post(ctx, view) : rv;
}

static int judge(walk_t *walk, mds_server_t *server, mds_dir_t *dir)
{
    mds_view_t *view = mds_view_of(dir, server, walk->pool);
    djs_ctx_t ctx = { .pool = walk->pool, .now = apr_time_now() };

    if (walk->anywhere) {
        collect_everywhere(walk->anywhere, view->settings, walk->pool);
    }
    else {
        collect_from(server, view->settings, walk->pool);
        server->early |= !dir->where && view->settings->early;
    }
    if (prepare(&ctx, view) == APR_SUCCESS) {
        return view->on && walk->checked ? check_store(walk, server, dir, view) : 1;
    }
    ap_log_error(APLOG_MARK, APLOG_ERR | APLOG_STARTUP, 0, server->server,
                 DJSNO(0101) "in the configuration of %s: %s",
                 place(walk->pool, server, dir), ctx.problem);
    return 0;
}

/* A virtual host without a directive of ours shares the main server's configuration in httpd. */
static void part_servers(apr_pool_t *pool, server_rec *server)
{
    for (; server; server = server->next) {
        mds_server_t *mine = mds_server_of(server);

        if (mine->server != server) {
            mine = apr_pmemdup(pool, mine, sizeof(*mine));
            mine->server = server;
            ap_set_module_config(server->module_config, &django_session_module, mine);
        }
    }
}

int mds_check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *server)
{
    walk_t walk = { .each = judge, .pool = pconf };

    (void)plog;
    (void)ptemp;
    if (ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_CONFIG_TEST
        && ap_exists_config_define("DJANGO_CHECK")) {
        walk.checked = apr_array_make(pconf, 4, sizeof(const djs_site_t *));
    }
    part_servers(pconf, server);
    return walk_all(&walk, server) == 0 ? OK : HTTP_INTERNAL_SERVER_ERROR;
}

/* ---- httpd -t -D DUMP_DJANGO ---- */

static int dump(walk_t *walk, mds_server_t *server, mds_dir_t *dir)
{
    const mds_view_t *view = mds_view_of(dir, server, walk->pool);
    const djs_setting_row_t *rows = djs_setting_rows();
    apr_file_t *out;
    int i;

    if (apr_file_open_stdout(&out, walk->pool) != APR_SUCCESS) {
        return 0;
    }
    apr_file_printf(out, "# %s%s\n", place(walk->pool, server, dir),
                    dir->auth ? ", AuthType Django" : "");
    for (i = 0; i < DJS_SETTING_COUNT; i++) {
        const char *text = djs_settings_text(walk->pool, view->settings, &rows[i]);

        if (text) {
            apr_file_printf(out, "%s %s%s\n", rows[i].directive, text,
                            dir->set->is_set[i] ? "" : "    # default");
        }
    }
    apr_file_printf(out, "\n");
    return 1;
}

void mds_dump_config(apr_pool_t *pconf, server_rec *server)
{
    walk_t walk = { .each = dump, .pool = pconf };

    if (ap_exists_config_define("DUMP_DJANGO")) {
        walk_all(&walk, server);
    }
}
