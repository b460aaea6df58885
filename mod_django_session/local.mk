# SPDX-License-Identifier: Apache-2.0
#
# The layers, one library each. What a layer may include is its include path: core's has no
# directory of httpd's or of another layer in it.

djs_dir = $(srcdir)/mod_django_session

core_includes = -I$(djs_dir) -I$(djs_dir)/core
core_cppflags = $(core_includes) $(APR_CPPFLAGS) $(OPENSSL_CFLAGS) $(ZLIB_CFLAGS) \
	$(JANSSON_CFLAGS) $(UTF8PROC_CFLAGS) $(ARGON2_CFLAGS) $(LIBDEFLATE_CFLAGS) \
	$(ISAL_CFLAGS) $(DJS_CPPFLAGS)
store_cppflags = -I$(djs_dir)/store $(core_cppflags) $(MEMCACHED_CFLAGS) $(HIREDIS_CFLAGS)
httpd_cppflags = -I$(djs_dir)/httpd $(store_cppflags) $(HTTPD_CPPFLAGS)

core_libs = $(OPENSSL_LIBS) $(ZLIB_LIBS) $(JANSSON_LIBS) $(UTF8PROC_LIBS) $(ARGON2_LIBS) \
	$(LIBDEFLATE_LIBS) $(ISAL_LIBS) $(CRYPT_LIBS)
store_libs = $(MEMCACHED_LIBS) $(HIREDIS_LIBS)

noinst_LTLIBRARIES += libdjscore.la libdjsstore.la

# ---- core: decisions -------------------------------------------------------------------------

libdjscore_la_CPPFLAGS = $(core_cppflags)
libdjscore_la_CFLAGS = $(DJS_CFLAGS) -fvisibility=hidden
libdjscore_la_LIBADD = $(core_libs)
libdjscore_la_SOURCES = \
	mod_django_session/core/auth.c \
	mod_django_session/core/auth.h \
	mod_django_session/core/cache_url.c \
	mod_django_session/core/cache_url.h \
	mod_django_session/core/cookie.c \
	mod_django_session/core/csrf.c \
	mod_django_session/core/cookie.h \
	mod_django_session/core/csrf.h \
	mod_django_session/core/deflate.c \
	mod_django_session/core/deflate.h \
	mod_django_session/core/djs.c \
	mod_django_session/core/encode.c \
	mod_django_session/core/encode.h \
	mod_django_session/core/expiry.c \
	mod_django_session/core/expiry.h \
	mod_django_session/core/form.c \
	mod_django_session/core/form.h \
	mod_django_session/core/export.c \
	mod_django_session/core/export.h \
	mod_django_session/core/hash_algorithms.c \
	mod_django_session/core/hashers.c \
	mod_django_session/core/hashers.h \
	mod_django_session/core/hashers_impl.h \
	mod_django_session/core/inject.c \
	mod_django_session/core/inject.h \
	mod_django_session/core/inject_impl.h \
	mod_django_session/core/inject_tags.c \
	mod_django_session/core/json_float.c \
	mod_django_session/core/json.h \
	mod_django_session/core/json_impl.h \
	mod_django_session/core/json_read.c \
	mod_django_session/core/json_scan.c \
	mod_django_session/core/json_write.c \
	mod_django_session/core/memo.c \
	mod_django_session/core/memo.h \
	mod_django_session/core/middleware.c \
	mod_django_session/core/middleware.h \
	mod_django_session/core/moment.c \
	mod_django_session/core/moment.h \
	mod_django_session/core/password.c \
	mod_django_session/core/password.h \
	mod_django_session/core/pickle.h \
	mod_django_session/core/pickle_calls.c \
	mod_django_session/core/pickle_fill.c \
	mod_django_session/core/pickle_read.c \
	mod_django_session/core/pickle_read_impl.h \
	mod_django_session/core/pickle_scalars.c \
	mod_django_session/core/pickle_scan.c \
	mod_django_session/core/pickle_scan_impl.h \
	mod_django_session/core/pickle_write.c \
	mod_django_session/core/preserve.c \
	mod_django_session/core/preserve.h \
	mod_django_session/core/remember.c \
	mod_django_session/core/remember.h \
	mod_django_session/core/rights.c \
	mod_django_session/core/rights.h \
	mod_django_session/core/seal.c \
	mod_django_session/core/seal.h \
	mod_django_session/core/secret.c \
	mod_django_session/core/secret.h \
	mod_django_session/core/session.c \
	mod_django_session/core/session_impl.h \
	mod_django_session/core/session_read.c \
	mod_django_session/core/session_save.c \
	mod_django_session/core/session.h \
	mod_django_session/core/settings.c \
	mod_django_session/core/settings.def \
	mod_django_session/core/settings.h \
	mod_django_session/core/settings_impl.h \
	mod_django_session/core/settings_kinds.c \
	mod_django_session/core/settings_texts.c \
	mod_django_session/core/signing.c \
	mod_django_session/core/signing.h \
	mod_django_session/core/sso.c \
	mod_django_session/core/sso.h \
	mod_django_session/core/template.c \
	mod_django_session/core/template.h \
	mod_django_session/core/update.c \
	mod_django_session/core/update.h \
	mod_django_session/core/url.c \
	mod_django_session/core/url.h \
	mod_django_session/core/username.c \
	mod_django_session/core/username.h \
	mod_django_session/core/value.c \
	mod_django_session/core/value.h \
	mod_django_session/core/value_impl.h \
	mod_django_session/core/value_ops.c \
	mod_django_session/core/value_types.c \
	mod_django_session/core/wire.c \
	mod_django_session/core/wire.h

# ---- store: what reaches outside -------------------------------------------------------------

libdjsstore_la_CPPFLAGS = $(store_cppflags)
libdjsstore_la_CFLAGS = $(DJS_CFLAGS) -fvisibility=hidden
libdjsstore_la_LIBADD = $(store_libs)
libdjsstore_la_SOURCES = \
	mod_django_session/store/cache.h \
	mod_django_session/store/cache_shm.c \
	mod_django_session/store/cache_shm.h \
	mod_django_session/store/caches.c \
	mod_django_session/store/caches.h \
	mod_django_session/store/clients.c \
	mod_django_session/store/clients.h \
	mod_django_session/store/column.c \
	mod_django_session/store/column.h \
	mod_django_session/store/connection.c \
	mod_django_session/store/connection.h \
	mod_django_session/store/connection_impl.h \
	mod_django_session/store/connection_sqlite.c \
	mod_django_session/store/database.c \
	mod_django_session/store/database.h \
	mod_django_session/store/dbd_direct.c \
	mod_django_session/store/engine_cache.c \
	mod_django_session/store/engine_cache.h \
	mod_django_session/store/engine_cached_db.c \
	mod_django_session/store/engine_cached_db.h \
	mod_django_session/store/engine_cookies.c \
	mod_django_session/store/engine_db.c \
	mod_django_session/store/engine_db_all.c \
	mod_django_session/store/engine_db_impl.h \
	mod_django_session/store/engine_file.c \
	mod_django_session/store/engine_file_all.c \
	mod_django_session/store/engine_file_lock.c \
	mod_django_session/store/engine_file_impl.h \
	mod_django_session/store/engine_file.h \
	mod_django_session/store/keys.c \
	mod_django_session/store/keys.h \
	mod_django_session/store/memcached_clients.c \
	mod_django_session/store/memcached_clients.h \
	mod_django_session/store/shm_entries.c \
	mod_django_session/store/shm_rebuild.c \
	mod_django_session/store/shm_region.c \
	mod_django_session/store/shm_region.h \
	mod_django_session/store/shm_table.c \
	mod_django_session/store/shm_table.h \
	mod_django_session/store/shm_table_impl.h \
	mod_django_session/store/shm_verify.c \
	mod_django_session/store/stores.c \
	mod_django_session/store/stores.h \
	mod_django_session/store/throttle.c \
	mod_django_session/store/throttle.h \
	mod_django_session/store/turns.c \
	mod_django_session/store/turns.h \
	mod_django_session/store/users_cache.c \
	mod_django_session/store/users_cache.h \
	mod_django_session/store/users_db.c \
	mod_django_session/store/users_db_impl.h \
	mod_django_session/store/users_table.c \
	mod_django_session/store/zone.c \
	mod_django_session/store/zone.h

# What configure was told to leave out is missing here, and caches.c says so.
if WITH_MEMCACHED
libdjsstore_la_SOURCES += \
	mod_django_session/store/cache_memcached.c
endif
if WITH_REDIS
libdjsstore_la_SOURCES += \
	mod_django_session/store/cache_redis.c \
	mod_django_session/store/redis.c \
	mod_django_session/store/redis.h
endif

# ---- httpd: the module -----------------------------------------------------------------------

# APR is in the server already; the module takes the server's, not one of its own. httpd declares
# no visibility for the module record, so the list of what is exported is the linker's.
module_LTLIBRARIES += mod_django_session/mod_django_session.la
mod_django_session_mod_django_session_la_CPPFLAGS = $(httpd_cppflags)
mod_django_session_mod_django_session_la_CFLAGS = $(DJS_CFLAGS)
mod_django_session_mod_django_session_la_LDFLAGS = -module -avoid-version -shared \
	-export-symbols-regex '^django_session_module$$' $(DJS_LDFLAGS)
mod_django_session_mod_django_session_la_LIBADD = libdjsstore.la libdjscore.la
mod_django_session_mod_django_session_la_SOURCES = \
	mod_django_session/httpd/mds.h \
	mod_django_session/httpd/mds_api.c \
	mod_django_session/httpd/mds_auth.c \
	mod_django_session/httpd/mds_body.c \
	mod_django_session/httpd/mds_cache.c \
	mod_django_session/httpd/mds_clear.c \
	mod_django_session/httpd/mds_basic.c \
	mod_django_session/httpd/mds_config.c \
	mod_django_session/httpd/mds_csrf.c \
	mod_django_session/httpd/mds_export.c \
	mod_django_session/httpd/mds_expr.c \
	mod_django_session/httpd/mds_inject.c \
	mod_django_session/httpd/mds_login.c \
	mod_django_session/httpd/mds_login_page.c \
	mod_django_session/httpd/mds_page.c \
	mod_django_session/httpd/mds_page.h \
	mod_django_session/httpd/mds_param.c \
	mod_django_session/httpd/mds_filter.c \
	mod_django_session/httpd/mds_password.c \
	mod_django_session/httpd/mds_preserve.c \
	mod_django_session/httpd/mds_request.c \
	mod_django_session/httpd/mds_require.c \
	mod_django_session/httpd/mds_server.c \
	mod_django_session/httpd/mds_shm.c \
	mod_django_session/httpd/mds_sso.c \
	mod_django_session/httpd/mds_status.c \
	mod_django_session/httpd/mds_stream.c \
	mod_django_session/httpd/mds_upgrade.c \
	mod_django_session/httpd/messages.def \
	mod_django_session/httpd/mod_django_session.c

# What another module needs to bring an engine; each compiles alone, beside httpd's.
httpdinclude_HEADERS += \
	mod_django_session/core/djs.h \
	mod_django_session/djs_engine.h \
	mod_django_session/mod_django_session.h

# ---- cli: the administrator's tool -----------------------------------------------------------

bin_PROGRAMS += djsession
djsession_CPPFLAGS = -I$(djs_dir)/cli $(store_cppflags)
djsession_CFLAGS = $(DJS_CFLAGS)
djsession_LDFLAGS = $(DJS_LDFLAGS)
djsession_LDADD = libdjsstore.la libdjscore.la $(APR_LIBS)
djsession_SOURCES = \
	mod_django_session/cli/check.c \
	mod_django_session/cli/cli.h \
	mod_django_session/cli/commands.c \
	mod_django_session/cli/directives.c \
	mod_django_session/cli/directives.h \
	mod_django_session/cli/djsession.c \
	mod_django_session/cli/inout.c \
	mod_django_session/cli/listing.c \
	mod_django_session/cli/options.c \
	mod_django_session/cli/options.h \
	mod_django_session/cli/site.c \
	mod_django_session/cli/site.h \
	mod_django_session/cli/values.c

dist_man_MANS = mod_django_session/cli/djsession.1
