# SPDX-License-Identifier: Apache-2.0
#
# Unit tests, one program for each t/unit/test_*.c and one line here for each program (a check
# compares); and the drift checks of t/checks. All of them speak TAP, so "make check" counts cases.

UNIT_TESTS = \
	t/unit/test_auth \
	t/unit/test_cache_shm \
	t/unit/test_cache_url \
	t/unit/test_clients \
	t/unit/test_column \
	t/unit/test_cookie \
	t/unit/test_csrf \
	t/unit/test_database \
	t/unit/test_deflate \
	t/unit/test_djs \
	t/unit/test_encode \
	t/unit/test_engine_cookies \
	t/unit/test_engine_db \
	t/unit/test_engine_dbm \
	t/unit/test_engine_file \
	t/unit/test_expiry \
	t/unit/test_export \
	t/unit/test_form \
	t/unit/test_hash_algorithms \
	t/unit/test_hashers \
	t/unit/test_inject \
	t/unit/test_json \
	t/unit/test_keys \
	t/unit/test_memo \
	t/unit/test_memory \
	t/unit/test_middleware \
	t/unit/test_moment \
	t/unit/test_password \
	t/unit/test_pickle_read \
	t/unit/test_pickle_scan \
	t/unit/test_pickle_write \
	t/unit/test_pickled_session \
	t/unit/test_preserve \
	t/unit/test_remember \
	t/unit/test_rights \
	t/unit/test_seal \
	t/unit/test_secret \
	t/unit/test_session \
	t/unit/test_settings \
	t/unit/test_signing \
	t/unit/test_sso \
	t/unit/test_stores \
	t/unit/test_support \
	t/unit/test_template \
	t/unit/test_throttle \
	t/unit/test_turns \
	t/unit/test_update \
	t/unit/test_url \
	t/unit/test_username \
	t/unit/test_users_db \
	t/unit/test_value \
	t/unit/test_value_ops \
	t/unit/test_value_types \
	t/unit/test_wire \
	t/unit/test_zone

# With a server or a client library that configure was told to leave out; redis_server.h has the fake
# that others use, too.
if WITH_REDIS
UNIT_TESTS += \
	t/unit/test_cache_redis \
	t/unit/test_engine_cached_db \
	t/unit/test_redis
if WITH_MEMCACHED
UNIT_TESTS += \
	t/unit/test_cache_memcached \
	t/unit/test_cache_vectors \
	t/unit/test_losses
endif
endif

# A program's source is its name and .c; these are for all of them.
AM_CPPFLAGS = -I$(srcdir)/t/unit $(store_cppflags) $(CMOCKA_CFLAGS)
AM_CFLAGS = $(DJS_CFLAGS)
AM_LDFLAGS = $(DJS_LDFLAGS)
LDADD = t/unit/libdjstest.la libdjsstore.la libdjscore.la $(CMOCKA_LIBS) $(APR_LIBS) $(FUZZ_LIBS)

if HAVE_CMOCKA
check_LTLIBRARIES += t/unit/libdjstest.la
check_PROGRAMS += $(UNIT_TESTS)
endif

# Fuzz targets, one program for each t/fuzz/fuzz_*.c and one line here for each program; its corpus is
# t/fuzz/corpus/*. Where configure was not told --enable-fuzz the main() that tries the corpus is taken
# from libdjsfuzz.la; with it libFuzzer's, by -fsanitize=fuzzer.
FUZZ_TARGETS = \
	t/fuzz/fuzz_cookie \
	t/fuzz/fuzz_csrf \
	t/fuzz/fuzz_form \
	t/fuzz/fuzz_inject \
	t/fuzz/fuzz_json \
	t/fuzz/fuzz_pickle \
	t/fuzz/fuzz_signed \
	t/fuzz/fuzz_ticket \
	t/fuzz/fuzz_wire

# As with the unit tests.
if WITH_REDIS
FUZZ_TARGETS += t/fuzz/fuzz_redis
endif
if WITH_MEMCACHED
FUZZ_TARGETS += t/fuzz/fuzz_memcached
endif

check_LTLIBRARIES += t/fuzz/libdjsfuzz.la
t_fuzz_libdjsfuzz_la_SOURCES = \
	t/fuzz/fuzz.c \
	t/fuzz/fuzz.h \
	t/fuzz/peer.c \
	t/fuzz/peer.h \
	t/fuzz/pools.c \
	t/fuzz/replies.c \
	t/fuzz/replies.h
if FUZZ
noinst_PROGRAMS += $(FUZZ_TARGETS)
else
check_PROGRAMS += $(FUZZ_TARGETS)
t_fuzz_libdjsfuzz_la_SOURCES += t/fuzz/replay.c
endif
# First, since it stands in for functions of the C library and of APR; and in no other program.
fuzz_ldadd = t/fuzz/libdjsfuzz.la $(LDADD)
t_fuzz_fuzz_cookie_LDADD = $(fuzz_ldadd)
t_fuzz_fuzz_csrf_LDADD = $(fuzz_ldadd)
t_fuzz_fuzz_form_LDADD = $(fuzz_ldadd)
t_fuzz_fuzz_inject_LDADD = $(fuzz_ldadd)
t_fuzz_fuzz_json_LDADD = $(fuzz_ldadd)
t_fuzz_fuzz_memcached_LDADD = $(fuzz_ldadd)
t_fuzz_fuzz_pickle_LDADD = $(fuzz_ldadd)
t_fuzz_fuzz_redis_LDADD = $(fuzz_ldadd)
t_fuzz_fuzz_signed_LDADD = $(fuzz_ldadd)
t_fuzz_fuzz_ticket_LDADD = $(fuzz_ldadd)
t_fuzz_fuzz_wire_LDADD = $(fuzz_ldadd)

t_unit_libdjstest_la_SOURCES = \
	t/unit/databases.c \
	t/unit/databases.h \
	t/unit/engine_contract.c \
	t/unit/engine_contract.h \
	t/unit/lossy.c \
	t/unit/lossy.h \
	t/unit/measure.c \
	t/unit/measure.h \
	t/unit/memcached_server.c \
	t/unit/memcached_server.h \
	t/unit/memory_cache.c \
	t/unit/memory_cache.h \
	t/unit/memory_engine.c \
	t/unit/memory_engine.h \
	t/unit/support.c \
	t/unit/support.h \
	t/unit/tagged.c \
	t/unit/tagged.h

if WITH_REDIS
t_unit_libdjstest_la_SOURCES += \
	t/unit/redis_server.c \
	t/unit/redis_server.h
endif

# The session object by remote control, for t/django_engine.
noinst_PROGRAMS += t/unit/session_driver
t_unit_session_driver_CPPFLAGS = -I$(djs_dir)/cli $(store_cppflags)
t_unit_session_driver_LDADD = libdjsstore.la libdjscore.la $(APR_LIBS)
t_unit_session_driver_SOURCES = \
	mod_django_session/cli/directives.c \
	mod_django_session/cli/options.c \
	mod_django_session/cli/site.c \
	t/unit/session_driver.c

# The bytes' own cost, for t/bench, which makes it at its first need.
EXTRA_PROGRAMS = t/bench/floor
t_bench_floor_CPPFLAGS = $(core_cppflags)
t_bench_floor_LDADD = libdjscore.la $(core_libs) $(APR_LIBS)
t_bench_floor_SOURCES = t/bench/floor.c
CLEANFILES += $(EXTRA_PROGRAMS)

# So is its application.
EXTRA_LTLIBRARIES = t/bench/mod_bench_answer.la
t_bench_mod_bench_answer_la_CPPFLAGS = $(other_cppflags)
t_bench_mod_bench_answer_la_LDFLAGS = $(other_ldflags)
t_bench_mod_bench_answer_la_LIBADD =
t_bench_mod_bench_answer_la_SOURCES = t/bench/answer.c
CLEANFILES += $(EXTRA_LTLIBRARIES)

# Other modules, as their authors would build them with apxs: one with an engine of its own, one that
# looks at and into sessions. They link with nothing of ours; without an rpath libtool would make no
# modules of what is not installed.
other_cppflags = $(core_includes) $(HTTPD_CPPFLAGS) $(APR_CPPFLAGS) $(DJS_CPPFLAGS)
other_ldflags = -module -avoid-version -shared -rpath /nowhere $(DJS_LDFLAGS)
noinst_LTLIBRARIES += t/engine_dbm/mod_django_session_dbm.la t/probe/mod_django_session_probe.la

t_probe_mod_django_session_probe_la_CPPFLAGS = $(other_cppflags)
t_probe_mod_django_session_probe_la_LDFLAGS = $(other_ldflags)
t_probe_mod_django_session_probe_la_LIBADD =
t_probe_mod_django_session_probe_la_SOURCES = t/probe/mod_django_session_probe.c

t_engine_dbm_mod_django_session_dbm_la_CPPFLAGS = $(other_cppflags)
t_engine_dbm_mod_django_session_dbm_la_LDFLAGS = $(other_ldflags)
t_engine_dbm_mod_django_session_dbm_la_LIBADD =
t_engine_dbm_mod_django_session_dbm_la_SOURCES = \
	t/engine_dbm/engine_dbm.c \
	t/engine_dbm/engine_dbm.h \
	t/engine_dbm/mod_django_session_dbm.c

t_unit_test_engine_dbm_CPPFLAGS = -I$(srcdir)/t/engine_dbm $(AM_CPPFLAGS) $(HTTPD_CPPFLAGS)
t_unit_test_engine_dbm_SOURCES = \
	t/engine_dbm/engine_dbm.c \
	t/unit/test_engine_dbm.c

# Its test ends the process at each of the engine's steps.
t_unit_test_engine_file_LDFLAGS = -Wl,--wrap=write,--wrap=linkat,--wrap=renameat \
	-Wl,--wrap=renameat2,--wrap=unlinkat $(DJS_LDFLAGS)

# Its test counts how often a connection is looked at.
t_unit_test_database_LDFLAGS = -Wl,--wrap=poll $(DJS_LDFLAGS)

# What is wiped is seen by its test.
t_unit_test_memo_LDFLAGS = -Wl,--wrap=djs_secret_wipe $(DJS_LDFLAGS)

# In the order in which they are started: what takes long is not left for the end.
TESTS = t/checks/run $(check_PROGRAMS)

# Behind the tests, which note what they have run: that all golden vectors were. Only where all of the
# tests are built. Without a suffix of its own automake would take the dependency for the whole rule.
TEST_EXTENSIONS = .py
PY_LOG_DRIVER = $(LOG_DRIVER)
vectors_run = t/unit/vectors-run
if HAVE_CMOCKA
if WITH_REDIS
if WITH_MEMCACHED
TESTS += t/unit/all_vectors.py
t/unit/all_vectors.log: $(UNIT_TESTS:=.log)
endif
endif
endif

LOG_COMPILER = $(srcdir)/t/unit/tap
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
AM_TESTS_ENVIRONMENT = \
	CMOCKA_MESSAGE_OUTPUT=TAP; export CMOCKA_MESSAGE_OUTPUT; \
	DJS_SRC='$(abs_top_srcdir)'; export DJS_SRC; \
	DJS_BUILD='$(abs_top_builddir)'; export DJS_BUILD; \
	DJS_VECTORS='$(abs_top_srcdir)/t/vectors'; export DJS_VECTORS; \
	$(MKDIR_P) $(vectors_run); \
	DJS_VECTORS_RUN='$(abs_top_builddir)/$(vectors_run)'; export DJS_VECTORS_RUN; \
	LSAN_OPTIONS='suppressions=$(abs_top_srcdir)/t/lsan.supp:print_suppressions=0'; \
	export LSAN_OPTIONS;

clean-local: clean-vectors-run
.PHONY: clean-vectors-run
clean-vectors-run:
	rm -rf $(vectors_run)

check-local:
if !HAVE_CMOCKA
	@echo 'make check: cmocka not found: install libcmocka-dev (Debian), then run configure' >&2
	@exit 1
endif

# The unit tests and no drift checks: what looks at the sources sees the same in each build.
.PHONY: check-programs
check-programs:
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(check_PROGRAMS)'

# The unit tests once more, under memcheck, a tenth of what is nothing but repetition (support.h).
# No debugger is awaited: its files in /tmp, left by a process that was killed, end another account's
# process that gets the same number.
VALGRIND_FLAGS = --quiet --vgdb=no --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
	--show-leak-kinds=definite --suppressions=$(srcdir)/t/valgrind.supp
.PHONY: check-valgrind
check-valgrind:
	@test -n '$(VALGRIND)' || \
	    { echo 'make check-valgrind: valgrind not found: install valgrind' >&2; exit 1; }
	DJS_TEST_PART=10; export DJS_TEST_PART; \
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(check_PROGRAMS)' \
	    AM_LOG_FLAGS='$(VALGRIND) $(VALGRIND_FLAGS)'

EXTRA_DIST += t/bench t/checks t/django_engine t/fuzz/cookie.dict t/fuzz/corpus \
	t/fuzz/csrf.dict t/fuzz/form.dict t/fuzz/inject.dict t/fuzz/memcached.dict t/fuzz/redis.dict t/fuzz/seeds \
	t/fuzz/wire.dict t/lsan.supp t/servers.py t/valgrind.supp \
	t/vectors t/httpd t/unit/all_vectors.py t/unit/django_memcached t/unit/django_tables \
	t/unit/pickles.py t/unit/usernames.py \
	t/unit/tap t/unit/with_servers
