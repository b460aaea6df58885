/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engine file on a real directory: the contract, the files that Django left in the vectors, whatever
 * else can be in a directory, disks that are full, processes that end between any two steps, and many
 * processes at a time.
 *
 * The linker puts the functions below in the place of the system's (--wrap, t/local.mk), so that a
 * test can end the process or fail the call at each step of the engine.
 */
#include "engine_contract.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine_file.h"
#include "json.h"
#include "stores.h"

#define AGE apr_time_from_sec(1000)
#define LOCK ".mod_django_session.lock"
#define NOBODY 65534

/* ---- Steps at which a test can step in -------------------------------------------------------- */

ssize_t __real_write(int fd, const void *data, size_t len);
int __real_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags);
int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __real_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned int flags);
int __real_unlinkat(int dir, const char *name, int flags);

ssize_t __wrap_write(int fd, const void *data, size_t len);
int __wrap_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned int flags);
int __wrap_unlinkat(int dir, const char *name, int flags);

#define ENDED 99 /* of a process that came to the step at which it was to end */

enum { WRITE, LINK, RENAME, EXCHANGE, UNLINK, STEPS };

static struct {
    int error[STEPS];              /* that this call fails with; 0: it does not */
    int steps;                     /* how many there were */
    int end_at;                    /* the process ends as it comes to this step; 0: it does not */
    void (*before[STEPS])(void *); /* somebody else is faster; once */
    void *baton;
} steps;

/* 0, or the error that this step is to fail with. */
static int step(int which)
{
    void (*before)(void *) = steps.before[which];

    if (++steps.steps == steps.end_at) {
        _exit(ENDED);
    }
    steps.before[which] = NULL;
    if (before != NULL) {
        before(steps.baton);
    }
    errno = steps.error[which];
    return errno != 0;
}

/* Half of it first, so that a process can end with half a file. */
ssize_t __wrap_write(int fd, const void *data, size_t len)
{
    size_t half = len > 1 && steps.end_at != 0 ? len / 2 : len;

    return step(WRITE) ? -1 : __real_write(fd, data, half);
}

int __wrap_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    return step(LINK) ? -1 : __real_linkat(from_dir, from, to_dir, to, flags);
}

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return step(RENAME) ? -1 : __real_renameat(from_dir, from, to_dir, to);
}

int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned int flags)
{
    return step(EXCHANGE) ? -1 : __real_renameat2(from_dir, from, to_dir, to, flags);
}

int __wrap_unlinkat(int dir, const char *name, int flags)
{
    return step(UNLINK) ? -1 : __real_unlinkat(dir, name, flags);
}

/* ---- A directory of files --------------------------------------------------------------------- */

/* A test_t, too. */
typedef struct files_t {
    contract_state_t s;
    djs_site_t *site;
    djs_settings_t *settings;
    const char *directory;
} files_t;

static char directory[200];

static void remove_files(void)
{
    DIR *listing = opendir(directory);
    struct dirent *entry;

    while (listing != NULL && (entry = readdir(listing)) != NULL) {
        char path[600];

        apr_snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        if (entry->d_name[0] != '.' || strcmp(entry->d_name, LOCK) == 0) {
            remove(path);
        }
    }
    if (listing != NULL) {
        closedir(listing);
    }
}

/* Where we are root: a directory that is root's is of no use to a server. */
static void give_directory(uid_t owner)
{
    if (geteuid() == 0) {
        assert_int_equal(chown(directory, owner, (gid_t)owner), 0);
    }
}

static void make_directory(void)
{
    const char *top = getenv("TMPDIR");

    apr_snprintf(directory, sizeof(directory), "%s/djs-files-XXXXXX", top != NULL ? top : "/tmp");
    assert_non_null(mkdtemp(directory));
    give_directory(NOBODY);
}

static djs_settings_t *settings_of(test_t *test)
{
    djs_settings_t *settings = djs_settings_complete(test->pool, djs_settings_make(test->pool));

    settings->secret_key = "secret";
    settings->engine = "file";
    settings->file_path = directory;
    settings->cookie_age = AGE;
    return settings;
}

static djs_site_t *open_site(test_t *test, const djs_settings_t *settings)
{
    djs_site_t *site;

    assert_status(test->ctx, djs_stores_open(test->ctx, test->pool, settings, NULL, &site),
                  APR_SUCCESS, "open");
    return site;
}

static djs_engine_t *open_file(test_t *test, const void *baton)
{
    (void)baton;
    remove_files();
    return open_site(test, settings_of(test))->engine;
}

static int open_files(void **state)
{
    files_t *files;
    void *made;

    test_setup(&made);
    memset(&steps, 0, sizeof(steps));
    remove_files();
    files = apr_pcalloc(((test_t *)made)->pool, sizeof(*files));
    files->s.test = *(test_t *)made;
    files->settings = settings_of(&files->s.test);
    files->site = open_site(&files->s.test, files->settings);
    files->s.engine = files->site->engine;
    files->directory = directory;
    *state = files;
    return 0;
}

static const char *path_of(files_t *files, const char *name)
{
    return apr_pstrcat(files->s.test.pool, directory, "/", name, NULL);
}

static const char *session_path(files_t *files, const char *key)
{
    return path_of(files, apr_pstrcat(files->s.test.pool, files->settings->cookie_name, key, NULL));
}

static void set_mtime(const char *path, apr_time_t when)
{
    struct timeval times[2];

    times[0].tv_sec = times[1].tv_sec = (time_t)apr_time_sec(when);
    times[0].tv_usec = times[1].tv_usec = (suseconds_t)apr_time_usec(when);
    assert_int_equal(utimes(path, times), 0);
}

/* A file of somebody else's making, written in place. */
static void put_file(const char *path, djs_bytes_t content, apr_time_t mtime)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(__real_write(fd, content.data, content.len), content.len);
    close(fd);
    set_mtime(path, mtime);
}

/* The session in a file, as Django would have signed it. */
static djs_bytes_t signed_data(files_t *files, const char *json)
{
    djs_ctx_t *ctx = files->s.test.ctx;
    djs_value_t *value;
    djs_bytes_t data;

    assert_status(ctx, djs_json_loads(ctx, DJS_JSON_UTF8, djs_bytes(json), &value), APR_SUCCESS,
                  json);
    assert_status(ctx, djs_wire_write(ctx, files->site->wire, value, &data), APR_SUCCESS, json);
    return data;
}

static const char *put_session(files_t *files, const char *json, apr_time_t mtime)
{
    const char *key = contract_key(&files->s.test);

    put_file(session_path(files, key), signed_data(files, json), mtime);
    return key;
}

static djs_bytes_t content_of(files_t *files, const char *path)
{
    char *buffer = apr_palloc(files->s.test.pool, 65536);
    int fd = open(path, O_RDONLY);
    ssize_t len;

    assert_true(fd >= 0);
    len = read(fd, buffer, 65536);
    close(fd);
    return djs_bytes_of(buffer, (apr_size_t)len);
}

static int is_there(const char *path)
{
    struct stat info;

    return lstat(path, &info) == 0;
}

/* How many names there are beside ours, the lock's. */
static int count_files(void)
{
    DIR *listing = opendir(directory);
    struct dirent *entry;
    int count = 0;

    assert_non_null(listing);
    while ((entry = readdir(listing)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    closedir(listing);
    return count;
}

static apr_status_t create(files_t *files, const char *key, const char *data)
{
    djs_record_t record = contract_record(&files->s.test, data);

    return files->s.engine->ops->create(files->s.engine, files->s.test.ctx, key, &record);
}

/* seen NULL: whatever is there. */
static apr_status_t replace(files_t *files, const char *key, const char *seen, const char *data)
{
    djs_record_t was = contract_record(&files->s.test, seen);
    djs_record_t record = contract_record(&files->s.test, data);

    return files->s.engine->ops->replace(files->s.engine, files->s.test.ctx, key,
                                         seen != NULL ? &was : NULL, &record);
}

static apr_status_t remove_key(files_t *files, const char *key)
{
    return files->s.engine->ops->remove(files->s.engine, files->s.test.ctx, key);
}

static apr_status_t load(files_t *files, const char *key, djs_record_t *found)
{
    return files->s.engine->ops->load(files->s.engine, files->s.test.ctx, key, found);
}

static void assert_loaded(files_t *files, const char *key, const char *expected, const char *why)
{
    djs_record_t found;

    assert_status(files->s.test.ctx, load(files, key, &found), APR_SUCCESS, why);
    assert_bytes(found.data, djs_bytes(expected), why);
}

/* The failure is the store's, and says so with the directive and this. */
static void assert_refused(files_t *files, apr_status_t rv, const char *says, const char *why)
{
    djs_ctx_t *ctx = files->s.test.ctx;

    assert_status(ctx, rv, DJS_ESTORE, why);
    assert_non_null(ctx->problem);
    assert_non_null(strstr(ctx->problem, "DjangoSessionFilePath"));
    if (strstr(ctx->problem, says) == NULL) {
        fail_msg("%s: \"%s\" does not say %s", why, ctx->problem, says);
    }
    djs_forget(ctx);
}

/* ---- The vectors ------------------------------------------------------------------------------ */

/*
 * What is to hold after a case: what does for the newest Django; but what was written before 3.1 is
 * read, as by the oldest.
 */
static const json_t *case_to_follow(const json_t *cases, const json_t *a_case)
{
    const char *id = vector_need(a_case, "id");
    int wants_current = strcmp(id, "load-legacy") != 0;
    const json_t *other;
    size_t i;

    json_array_foreach(cases, i, other) {
        if (strcmp(vector_need(other, "id"), id) == 0
            && vector_is_current(other) == wants_current) {
            return other;
        }
    }
    fail_msg("%s: nothing to follow", id);
    return NULL;
}

static const char *put_case(files_t *files, const json_t *a_case)
{
    const char *name = vector_text(a_case, "file_name");
    djs_bytes_t content = djs_bytes(vector_text(a_case, "content"));
    const char *path;

    if (name == NULL) {
        return NULL;
    }
    path = path_of(files, name);
    vector_bytes(files->s.test.pool, a_case, "content", &content);
    put_file(path, content, test_time(json_object_get(a_case, "mtime")));
    return path;
}

static void prepare_site(files_t *files, const json_t *a_case)
{
    files->s.test.ctx->now = test_time(json_object_get(a_case, "now"));
    files->settings->cookie_age = test_time(json_object_get(a_case, "cookie_age"));
    files->settings->cookie_name = vector_need(a_case, "file_prefix");
    files->settings->secret_key = vector_need(a_case, "key");
    files->settings->use_tz = json_is_true(json_object_get(a_case, "use_tz"));
    files->settings->time_zone = "America/Chicago"; /* Django's default */
    files->site = open_site(&files->s.test, files->settings);
    files->s.engine = files->site->engine;
}

static const char *only_name(files_t *files)
{
    DIR *listing = opendir(directory);
    struct dirent *entry;
    const char *name = NULL;

    while ((entry = readdir(listing)) != NULL) {
        if (entry->d_name[0] != '.') {
            name = apr_pstrdup(files->s.test.pool, entry->d_name);
        }
    }
    closedir(listing);
    return name;
}

static const char *session_json(files_t *files, djs_session_t *session)
{
    return djs_json_dumps(files->s.test.ctx, DJS_JSON_COMPACT,
                          djs_session_data(files->s.test.ctx, session)).data;
}

/* The new session's file, after the save that the middleware does. */
static void check_new_file(files_t *files, djs_session_t *session, const char *expected,
                           const char *why)
{
    djs_ctx_t *ctx = files->s.test.ctx;
    djs_record_t record;
    djs_session_t *made;
    const char *key;

    assert_status(ctx, djs_session_save(ctx, session), APR_SUCCESS, why);
    key = djs_session_key(session);
    assert_text(only_name(files), apr_pstrcat(ctx->pool, files->settings->cookie_name, key, NULL),
                why);
    assert_status(ctx, load(files, key, &record), APR_SUCCESS, why);
    made = djs_session_make(ctx, files->site, &key, 1);
    assert_text(session_json(files, made), expected, why);
}

static void check_load(files_t *files, const json_t *a_case, const json_t *expected)
{
    const char *key = vector_need(a_case, "session_key");
    const char *after = vector_need(expected, "session_key_after");
    const char *why = vector_name(files->s.test.pool, a_case);
    int failed = vector_text(expected, "exception") != NULL;
    djs_ctx_t *ctx = files->s.test.ctx;
    djs_session_t *session = djs_session_make(ctx, files->site, &key, 1);
    const char *path = put_case(files, a_case);

    assert_status(ctx, djs_session_load(ctx, session), APR_SUCCESS, why);
    assert_text(session_json(files, session), failed ? "{}" : vector_need(expected, "json"), why);
    assert_number(djs_session_modified(session),
                  json_is_true(json_object_get(expected, "modified")), why);
    if (failed) {
        assert_number(djs_session_status(session), DJS_SESSION_INVALID, why);
    }
    if (strcmp(after, "same") == 0) {
        assert_text(djs_session_key(session), key, why);
    }
    else {
        assert_null(djs_session_key(session));
    }
    if (strcmp(after, "new") == 0) {
        check_new_file(files, session, vector_need(expected, "new_file_json"), why);
    }
    if (path != NULL) {
        assert_number(is_there(path), json_is_true(json_object_get(expected, "file_remains")), why);
    }
    assert_number(count_files(), json_integer_value(json_object_get(expected, "other_files"))
                                 + json_is_true(json_object_get(expected, "file_remains")), why);
}

static void check_clearing(files_t *files, const json_t *a_case, const json_t *expected)
{
    const char *why = vector_name(files->s.test.pool, a_case);
    djs_ctx_t *ctx = files->s.test.ctx;
    const char *path = put_case(files, a_case);
    int remains = json_is_true(json_object_get(expected, "file_remains"));
    apr_size_t removed;

    assert_status(ctx, files->s.engine->ops->clear_expired(files->s.engine, ctx, &removed),
                  APR_SUCCESS, why);
    assert_number(is_there(path), remains, why);
    assert_number(count_files(), json_integer_value(json_object_get(expected, "files_after")), why);
    assert_number(removed, !remains, why);
}

static void note_what_was_followed(const json_t *a_case, const json_t *followed)
{
    if (followed == a_case) {
        vector_done(a_case);
    }
    else {
        vector_left(a_case, vector_is_current(a_case) ? "Django 5 reads no file of before 3.1; we do"
                                                      : VECTOR_OF_ANOTHER_DJANGO);
    }
}

static void files_of_djangos_are_read_and_cleared_alike(void **state)
{
    files_t *files = *state;
    const json_t *cases = test_vectors(files->s.test.pool, "file_sessions.json", 119);
    const json_t *a_case;
    int loads = 0, clearings = 0;
    size_t i;

    json_array_foreach(cases, i, a_case) {
        const json_t *expected = case_to_follow(cases, a_case);

        remove_files();
        prepare_site(files, a_case);
        if (strcmp(vector_need(a_case, "action"), "load") == 0) {
            check_load(files, a_case, expected);
            loads++;
        }
        else {
            check_clearing(files, a_case, expected);
            clearings++;
        }
        note_what_was_followed(a_case, expected);
    }
    assert_number(loads, 69, "loaded");
    assert_number(clearings, 50, "cleared");
}

/* ---- What is written -------------------------------------------------------------------------- */

static void a_session_is_one_file_of_djangos_name_that_only_its_owner_reads(void **state)
{
    files_t *files = *state;
    const char *key = contract_key(&files->s.test);
    struct stat info;
    int i;

    assert_status(files->s.test.ctx, create(files, key, "one"), APR_SUCCESS, "create");
    for (i = 0; i < 2; i++) {
        assert_int_equal(lstat(session_path(files, key), &info), 0);
        assert_int_equal(info.st_mode, S_IFREG | 0600);
        assert_int_equal(info.st_nlink, 1);
        assert_number(count_files(), 1, "and nothing else");
        assert_status(files->s.test.ctx, replace(files, key, i == 0 ? "one" : NULL, "two"),
                      APR_SUCCESS, "replace");
    }
    assert_bytes(content_of(files, session_path(files, key)), djs_bytes("two"), "nothing around it");
}

static void what_django_left_half_done_is_empty_and_can_be_saved(void **state)
{
    files_t *files = *state;
    djs_ctx_t *ctx = files->s.test.ctx;
    const char *key = contract_key(&files->s.test);
    djs_session_t *session = djs_session_make(ctx, files->site, &key, 1);

    put_file(session_path(files, key), djs_bytes(""), TEST_NOW - 10 * AGE);
    djs_session_set(ctx, session, djs_bytes("a"), djs_value_make_int(ctx->pool, 1));
    assert_status(ctx, djs_session_save(ctx, session), APR_SUCCESS, "save");
    assert_text(djs_session_key(session), key, "its key is kept");
    session = djs_session_make(ctx, files->site, &key, 1);
    assert_text(session_json(files, session), "{\"a\":1}", "stored");
}

static void sections_with_another_cookie_have_other_files(void **state)
{
    files_t *files = *state;
    djs_ctx_t *ctx = files->s.test.ctx;
    djs_settings_t other = *files->settings;
    const char *key = put_session(files, "{\"a\":1}", TEST_NOW);
    djs_site_t *view, *same;
    djs_record_t found;
    int exists;

    other.cookie_name = "sid";
    view = djs_stores_view(ctx->pool, files->site, &other);
    same = djs_stores_view(ctx->pool, files->site, files->settings);
    assert_ptr_equal(view->settings, &other);
    assert_ptr_equal(view->wire, files->site->wire);
    assert_false(djs_stores_same(view, files->site));
    assert_true(djs_stores_same(same, files->site));
    assert_status(ctx, view->engine->ops->load(view->engine, ctx, key, &found), APR_NOTFOUND,
                  "another name, another file");
    assert_status(ctx, same->engine->ops->exists(same->engine, ctx, key, &exists), APR_SUCCESS, "");
    assert_number(exists, 1, "the same file");
}

static void no_key_leads_out_of_the_directory(void **state)
{
    static const char *const keys[] = { "../abcdefgh", "/abcdefgh", "abcdefgh/..", "abcd/efgh",
                                        "..", "", "ABCDEFGH", "abcdefgh.", "abcdefgh_out_12345678",
                                        "abcdefgh\n", "\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87" };
    files_t *files = *state;
    djs_ctx_t *ctx = files->s.test.ctx;
    djs_record_t found;
    apr_size_t i;
    int exists;

    put_file(path_of(files, "sessionidABCDEFGH"), signed_data(files, "{}"), TEST_NOW);
    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        assert_status(ctx, load(files, keys[i], &found), APR_NOTFOUND, keys[i]);
        assert_status(ctx, replace(files, keys[i], NULL, "x"), APR_NOTFOUND, keys[i]);
        assert_status(ctx, remove_key(files, keys[i]), APR_SUCCESS, keys[i]);
        assert_status(ctx, files->s.engine->ops->exists(files->s.engine, ctx, keys[i], &exists),
                      APR_SUCCESS, keys[i]);
        assert_number(exists, 0, keys[i]);
        assert_null(ctx->problem);
        assert_status(ctx, create(files, keys[i], "x"), DJS_EINVAL, keys[i]);
        djs_forget(ctx);
    }
    assert_number(count_files(), 1, "nothing was made, and nothing removed");
}

/* ---- Ages ------------------------------------------------------------------------------------- */

typedef struct listed_t {
    int count;
    apr_time_t expires;
    apr_status_t end_with;
} listed_t;

static apr_status_t note_listed(void *baton, djs_ctx_t *ctx, const djs_listed_t *listed)
{
    listed_t *noted = baton;

    (void)ctx;
    noted->count++;
    noted->expires = listed->record.expires;
    return noted->end_with;
}

static listed_t list(files_t *files)
{
    djs_ctx_t *ctx = files->s.test.ctx;
    listed_t noted = { 0, 0, APR_SUCCESS };

    assert_status(ctx, files->s.engine->ops->list(files->s.engine, ctx, note_listed, &noted),
                  APR_SUCCESS, "list");
    return noted;
}

static void the_end_follows_from_the_file_and_what_is_inside(void **state)
{
    static const struct {
        const char *json;
        int age;            /* seconds, of the file */
        apr_time_t expires; /* from now, in microseconds; 0: never; -1: it has expired */
    } cases[] = {
        { "{}", 0, APR_INT64_C(999000001) },
        { "{}", 999, 1 },
        { "{}", 1000, -1 },
        { "{\"_session_expiry\":0}", 999, 1 },
        { "{\"_session_expiry\":0}", 1000, -1 },
        { "{\"_session_expiry\":1}", 5000, 0 },
        { "{\"_session_expiry\":-1}", 0, -1 },
        { "{\"_session_expiry\":\"2025-01-01T00:00:02+00:00\"}", 5000, 1000001 },
        { "{\"_session_expiry\":\"2025-01-01T00:00:00.999999+00:00\"}", 0, -1 },
    };
    files_t *files = *state;
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int lives = cases[i].expires >= 0;
        apr_size_t removed;
        listed_t noted;

        remove_files();
        put_session(files, cases[i].json, TEST_NOW - apr_time_from_sec(cases[i].age));
        noted = list(files);
        assert_number(noted.count, lives, cases[i].json);
        if (lives) {
            assert_number(noted.expires, cases[i].expires ? TEST_NOW + cases[i].expires : 0,
                          cases[i].json);
        }
        assert_status(files->s.test.ctx,
                      files->s.engine->ops->clear_expired(files->s.engine, files->s.test.ctx,
                                                          &removed), APR_SUCCESS, cases[i].json);
        assert_number(removed, !lives, cases[i].json);
        assert_number(count_files(), lives, cases[i].json);
    }
}

/* More than a batch. */
#define MANY 230

static void clearing_passes_by_what_cannot_be_read_and_what_is_no_session(void **state)
{
    files_t *files = *state;
    djs_ctx_t *ctx = files->s.test.ctx;
    const char *live = put_session(files, "{\"a\":1}", TEST_NOW);
    const char *old = put_session(files, "{\"_session_expiry\":\"junk\"}", TEST_NOW - 2 * AGE);
    const char *odd = path_of(files, "sessionidabcdefgh-x");
    apr_size_t removed;
    int i;

    put_file(odd, djs_bytes("x"), TEST_NOW - 2 * AGE);
    put_file(path_of(files, "sessionid"), djs_bytes("x"), TEST_NOW - 2 * AGE);
    put_file(path_of(files, "somethingelse"), djs_bytes("x"), TEST_NOW - 2 * AGE);
    for (i = 0; i < MANY; i++) {
        put_session(files, "{}", TEST_NOW - 2 * AGE);
    }
    put_file(session_path(files, "garbage1"), djs_bytes("\xff\xfe"), TEST_NOW - 2 * AGE);
    put_file(session_path(files, "garbage2"), djs_bytes("\xff\xfe"), TEST_NOW);
    assert_status(ctx, files->s.engine->ops->clear_expired(files->s.engine, ctx, &removed),
                  APR_SUCCESS, "clear");
    assert_number(removed, MANY + 1, "what has expired, and what nobody could read for so long");
    assert_true(is_there(session_path(files, live)) && is_there(session_path(files, old)));
    assert_true(is_there(odd) && is_there(session_path(files, "garbage2")));
    assert_number(count_files(), 6, "nothing else has gone");
}

static void temporary_files_that_nobody_writes_any_more_are_removed(void **state)
{
    files_t *files = *state;
    djs_ctx_t *ctx = files->s.test.ctx;
    const char *temporary = path_of(files, "sessionidabcdefgh_out_ab12_xyz");
    const char *other = path_of(files, "sessionidabcdefgh_out_ab12");
    const char *strange = path_of(files, "sidabcdefgh_out_ab12_xyz");
    apr_size_t removed;
    int later;

    for (later = 0; later < 2; later++) {
        put_file(temporary, djs_bytes("x"), TEST_NOW - apr_time_from_sec(864000));
        put_file(other, djs_bytes("x"), TEST_NOW - apr_time_from_sec(864000));
        put_file(strange, djs_bytes("x"), TEST_NOW - apr_time_from_sec(864000));
        /* When it was made is the system's to say. */
        ctx->now = apr_time_now() + apr_time_from_sec(later ? 86460 : 86340);
        assert_status(ctx, files->s.engine->ops->clear_expired(files->s.engine, ctx, &removed),
                      APR_SUCCESS, "clear");
        assert_number(removed, 0, "they are no sessions");
        assert_number(is_there(temporary), !later, "a day old");
        assert_true(is_there(other) && is_there(strange));
    }
}

static void a_listing_ends_with_what_its_reader_says(void **state)
{
    static const apr_status_t ends[] = { DJS_EINVAL, APR_NOTFOUND };
    files_t *files = *state;
    int i;

    put_session(files, "{}", TEST_NOW);
    put_session(files, "{}", TEST_NOW);
    for (i = 0; i < 2; i++) {
        listed_t noted = { 0, 0, ends[i] };

        assert_status(files->s.test.ctx,
                      files->s.engine->ops->list(files->s.engine, files->s.test.ctx, note_listed,
                                                 &noted), ends[i], "its result");
        assert_number(noted.count, 1, "and at once");
    }
}

static void an_expired_session_that_was_saved_meanwhile_stays(void **state)
{
    files_t *files = *state;
    djs_ctx_t *ctx = files->s.test.ctx;
    const char *key = put_session(files, "{\"a\":1}", TEST_NOW - 2 * AGE);
    djs_session_t *session = djs_session_make(ctx, files->site, &key, 1);
    djs_bytes_t saved = signed_data(files, "{\"a\":2}");

    assert_text(session_json(files, session), "{}", "expired");
    assert_number(djs_session_status(session), DJS_SESSION_EXPIRED, "expired");
    put_file(session_path(files, key), saved, TEST_NOW);
    assert_status(ctx, djs_session_save(ctx, session), APR_SUCCESS, "as Django's, a new one");
    assert_string_not_equal(djs_session_key(session), key);
    assert_bytes(content_of(files, session_path(files, key)), saved, "the other one is not ours");
    assert_number(count_files(), 2, "both");
}

/* ---- What else can be in a directory ---------------------------------------------------------- */

static void make_link(const char *path)
{
    char target[300];

    apr_snprintf(target, sizeof(target), "%s/elsewhere", directory);
    assert_int_equal(symlink(target, path), 0);
}

static void make_folder(const char *path)
{
    assert_int_equal(mkdir(path, 0700), 0);
}

static void make_fifo(const char *path)
{
    assert_int_equal(mkfifo(path, 0600), 0);
}

static void what_is_no_regular_file_is_no_session(void **state)
{
    static const struct { void (*make)(const char *path); const char *what; } kinds[] = {
        { make_link, "a link to a genuine session" },
        { make_folder, "a directory" },
        { make_fifo, "a pipe that nobody writes" },
    };
    files_t *files = *state;
    djs_ctx_t *ctx = files->s.test.ctx;
    djs_bytes_t genuine = signed_data(files, "{\"a\":1}");
    apr_size_t i, removed;

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const char *key = contract_key(&files->s.test);
        const char *path = session_path(files, key);
        djs_record_t found;
        int exists;

        put_file(path_of(files, "elsewhere"), genuine, TEST_NOW - 2 * AGE);
        kinds[i].make(path);
        assert_status(ctx, load(files, key, &found), APR_NOTFOUND, kinds[i].what);
        assert_status(ctx, replace(files, key, NULL, "x"), APR_NOTFOUND, kinds[i].what);
        assert_status(ctx, create(files, key, "x"), APR_EEXIST, kinds[i].what);
        assert_status(ctx, files->s.engine->ops->exists(files->s.engine, ctx, key, &exists),
                      APR_SUCCESS, kinds[i].what);
        assert_number(exists, 0, kinds[i].what);
        assert_status(ctx, files->s.engine->ops->clear_expired(files->s.engine, ctx, &removed),
                      APR_SUCCESS, kinds[i].what);
        assert_number(list(files).count, 0, kinds[i].what);
        assert_status(ctx, remove_key(files, key), APR_SUCCESS, kinds[i].what);
        assert_true(is_there(path));
        assert_number(count_files(), 2, "nothing was left behind");
        remove(path);
    }
    assert_bytes(content_of(files, path_of(files, "elsewhere")), genuine, "untouched");
}

static void a_file_of_any_size_is_read_up_to_the_limit(void **state)
{
    files_t *files = *state;
    djs_ctx_t *ctx = files->s.test.ctx;
    const char *key = put_session(files, "{}", TEST_NOW);
    djs_session_t *session = djs_session_make(ctx, files->site, &key, 1);
    djs_record_t found;

    assert_int_equal(truncate(session_path(files, key), (off_t)4 << 30), 0);
    set_mtime(session_path(files, key), TEST_NOW);
    assert_status(ctx, load(files, key, &found), APR_SUCCESS, "load");
    assert_number(found.data.len, DJS_SIGNED_TEXT_MAX + 1, "no more");
    assert_text(session_json(files, session), "{}", "nothing that could be read");
    assert_number(djs_session_status(session), DJS_SESSION_INVALID, "and is not overwritten");
}

/* ---- Directories and disks that fail ---------------------------------------------------------- */

/* Run in a process of its own. Gives what `run` gives: 0, or the line that went wrong. */
static int in_child(files_t *files, int (*run)(files_t *files))
{
    pid_t child;
    int status;

    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(run(files));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int as_nobody(files_t *files)
{
    djs_ctx_t *ctx = files->s.test.ctx;
    djs_record_t found;

    if (geteuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)) {
        return 1;
    }
    if (load(files, "abcdefgh", &found) != DJS_ESTORE || ctx->problem == NULL) {
        return 2;
    }
    djs_forget(ctx);
    return create(files, "abcdefgh", "x") == DJS_ESTORE ? 0 : 3;
}

static void a_directory_that_is_not_usable_is_a_failure_until_it_is(void **state)
{
    files_t *files = *state;
    const char *key = put_session(files, "{}", TEST_NOW);
    const char *aside = apr_pstrcat(files->s.test.pool, directory, ".aside", NULL);
    djs_record_t found;
    int exists;

    assert_int_equal(rename(directory, aside), 0);
    assert_refused(files, load(files, key, &found), "No such file", "not there");
    assert_refused(files, create(files, key, "x"), "No such file", "not there");
    assert_refused(files, replace(files, key, NULL, "x"), "No such file", "not there");
    assert_refused(files, remove_key(files, key), "No such file", "not there");
    assert_refused(files, files->s.engine->ops->exists(files->s.engine, files->s.test.ctx, key,
                                                       &exists), "No such file", "not there");
    put_file(directory, djs_bytes("x"), TEST_NOW);
    assert_refused(files, load(files, key, &found), "Not a directory", "a file");
    assert_int_equal(remove(directory), 0);
    assert_int_equal(rename(aside, directory), 0);
    assert_int_equal(chmod(directory, 0), 0);
    assert_number(in_child(files, as_nobody), 0, "not ours to read or write");
    assert_int_equal(chmod(directory, 0700), 0);
    assert_status(files->s.test.ctx, load(files, key, &found), APR_SUCCESS, "back again");
}

/* With room for one more descriptor. */
static int with_one_descriptor(files_t *files)
{
    djs_record_t found;
    int lowest = dup(STDIN_FILENO);
    struct rlimit limit;

    if (lowest < 0 || close(lowest) != 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 1;
    }
    limit.rlim_cur = (rlim_t)lowest + 1; /* memcheck lets nobody change the other one */
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 1;
    }
    if (load(files, "abcdefgh", &found) != APR_SUCCESS || !djs_bytes_is(found.data, "old")) {
        return 2;
    }
    return replace(files, "abcdefgh", "old", "new") == DJS_ESTORE ? 0 : 3;
}

static void a_load_opens_nothing_but_the_session(void **state)
{
    files_t *files = *state;

    assert_status(files->s.test.ctx, create(files, "abcdefgh", "old"), APR_SUCCESS, "create");
    assert_number(in_child(files, with_one_descriptor), 0, "a change needs more");
    assert_loaded(files, "abcdefgh", "old", "it was not made");
}

static void a_failed_write_leaves_the_old_session_and_nothing_else(void **state)
{
    static const struct { int which, error; const char *says; } failures[] = {
        { WRITE, ENOSPC, "No space left" },
        { WRITE, EDQUOT, "quota" },
        { WRITE, EIO, "Input/output" },
        { RENAME, EACCES, "Permission denied" },
    };
    files_t *files = *state;
    const char *key = contract_key(&files->s.test);
    apr_size_t i;

    assert_status(files->s.test.ctx, create(files, key, "old"), APR_SUCCESS, "create");
    steps.error[EXCHANGE] = EINVAL; /* this file system cannot */
    for (i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        steps.error[failures[i].which] = failures[i].error;
        assert_refused(files, replace(files, key, "old", "new"), failures[i].says, "replace");
        assert_refused(files, replace(files, key, NULL, "new"), failures[i].says, "overwrite");
        if (failures[i].which == WRITE) {
            assert_refused(files, create(files, "abcdefgh", "new"), failures[i].says, "create");
        }
        steps.error[failures[i].which] = 0;
        assert_loaded(files, key, "old", failures[i].says);
        assert_number(count_files(), 1, failures[i].says);
    }
    assert_status(files->s.test.ctx, replace(files, key, "old", "new"), APR_SUCCESS, "well again");
}

static int on_a_full_disk(files_t *files)
{
    struct rlimit limit = { 4096, 4096 };
    djs_ctx_t *ctx = files->s.test.ctx;
    char *large = malloc(100001);
    apr_status_t rv;

    memset(large, 'x', 100000);
    large[100000] = '\0';
    signal(SIGXFSZ, SIG_IGN); /* as httpd */
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) {
        return 1;
    }
    rv = replace(files, "abcdefgh", "old", large);
    free(large);
    return rv == DJS_ESTORE && strstr(ctx->problem, "as it was") != NULL ? 0 : 2;
}

static void no_more_is_written_than_there_is_room_for(void **state)
{
    files_t *files = *state;

    assert_status(files->s.test.ctx, create(files, "abcdefgh", "old"), APR_SUCCESS, "create");
    assert_number(in_child(files, on_a_full_disk), 0, "a limit of the kernel's");
    assert_loaded(files, "abcdefgh", "old", "nothing is lost");
    assert_number(count_files(), 1, "nothing is left");
}

static void without_links_a_name_is_reserved_first(void **state)
{
    static const int errors[] = { EPERM, EOPNOTSUPP, ENOSYS, EMLINK };
    files_t *files = *state;
    apr_size_t i;

    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        const char *key = contract_key(&files->s.test);

        steps.error[LINK] = errors[i];
        assert_status(files->s.test.ctx, create(files, key, "one"), APR_SUCCESS, "create");
        assert_loaded(files, key, "one", "whole");
        assert_status(files->s.test.ctx, create(files, key, "two"), APR_EEXIST, "taken");
        assert_loaded(files, key, "one", "left alone");
        steps.error[RENAME] = EIO;
        assert_refused(files, create(files, contract_key(&files->s.test), "x"), "Input/output",
                       "create");
        steps.error[RENAME] = 0;
        assert_number(count_files(), (int)i + 1, "and nothing else is left");
    }
    steps.error[LINK] = EIO;
    assert_refused(files, create(files, "abcdefgh", "x"), "Input/output", "create");
}

/* ---- Others at the same time ------------------------------------------------------------------ */

static void djangos_logout(void *baton)
{
    files_t *files = baton;

    assert_int_equal(unlink(session_path(files, "abcdefgh")), 0);
}

static void djangos_save(void *baton)
{
    files_t *files = baton;
    const char *temporary = path_of(files, "sessionidabcdefgh_out_djang0_9");

    put_file(temporary, djs_bytes("django's"), TEST_NOW);
    assert_int_equal(rename(temporary, session_path(files, "abcdefgh")), 0);
}

static void what_django_does_between_two_steps_counts(void **state)
{
    static const char *const seen[] = { "old", NULL };
    files_t *files = *state;
    djs_record_t found;
    int i;

    steps.baton = files;
    for (i = 0; i < 2; i++) {
        assert_status(files->s.test.ctx, create(files, "abcdefgh", "old"), APR_SUCCESS, "create");
        steps.before[EXCHANGE] = djangos_save;
        assert_status(files->s.test.ctx, replace(files, "abcdefgh", seen[i], "ours"),
                      DJS_ECONFLICT, "its save");
        djs_forget(files->s.test.ctx);
        assert_loaded(files, "abcdefgh", "django's", "is there");
        assert_number(count_files(), 1, "alone");
        steps.before[EXCHANGE] = djangos_logout;
        assert_status(files->s.test.ctx, replace(files, "abcdefgh", i ? NULL : "django's", "ours"),
                      APR_NOTFOUND, "its logout");
        assert_null(files->s.test.ctx->problem);
        assert_status(files->s.test.ctx, load(files, "abcdefgh", &found), APR_NOTFOUND, "gone");
        assert_number(count_files(), 0, "with all");
    }
}

/* Another process, which holds the lock until it is killed, or this one has ended. */
typedef struct holder_t {
    pid_t process;
    int says[2], ends[2];
} holder_t;

static void say_and_stay(void *baton)
{
    const holder_t *holder = baton;
    char end;

    close(holder->ends[1]);
    if (__real_write(holder->says[1], "x", 1) == 1) {
        _exit((int)read(holder->ends[0], &end, 1));
    }
    _exit(1);
}

static holder_t hold_lock(files_t *files, const char *key)
{
    holder_t holder;
    char said;

    assert_int_equal(pipe(holder.says), 0);
    assert_int_equal(pipe(holder.ends), 0);
    fflush(NULL);
    holder.process = fork();
    assert_true(holder.process >= 0);
    if (holder.process == 0) {
        steps.baton = &holder;
        steps.before[EXCHANGE] = say_and_stay;
        replace(files, key, NULL, "never");
        _exit(1);
    }
    assert_int_equal(read(holder.says[0], &said, 1), 1);
    return holder;
}

static void end_holder(holder_t *holder)
{
    int status;

    assert_int_equal(kill(holder->process, SIGKILL), 0);
    assert_int_equal(waitpid(holder->process, &status, 0), holder->process);
    close(holder->says[0]);
    close(holder->says[1]);
    close(holder->ends[0]);
    close(holder->ends[1]);
}

static void a_lock_is_waited_for_no_longer_than_patience_and_ends_with_its_holder(void **state)
{
    files_t *files = *state;
    djs_ctx_t *ctx = files->s.test.ctx;
    const char *other = contract_key(&files->s.test);
    apr_interval_time_t patience = ctx->patience;
    holder_t holder;

    assert_status(ctx, create(files, "abcdefgh", "old"), APR_SUCCESS, "create");
    assert_status(ctx, create(files, other, "old"), APR_SUCCESS, "create");
    holder = hold_lock(files, "abcdefgh");
    assert_loaded(files, "abcdefgh", "old", "readers wait for nobody");
    assert_status(ctx, replace(files, other, "old", "new"), APR_SUCCESS, "another session");
    ctx->patience = 30000;
    assert_refused(files, replace(files, "abcdefgh", "old", "new"), "locked", "replace");
    assert_number(ctx->patience, 0, "used up");
    ctx->patience = 30000;
    assert_refused(files, remove_key(files, "abcdefgh"), "locked", "remove");
    ctx->patience = patience;
    assert_loaded(files, "abcdefgh", "old", "as it was");
    end_holder(&holder);
    assert_status(ctx, replace(files, "abcdefgh", "old", "new"), APR_SUCCESS, "free again");
}

static void a_lock_file_that_was_tidied_away_locks_nobody_out_or_in(void **state)
{
    files_t *files = *state;
    djs_ctx_t *ctx = files->s.test.ctx;

    assert_status(ctx, create(files, "abcdefgh", "1"), APR_SUCCESS, "create");
    assert_status(ctx, replace(files, "abcdefgh", "1", "2"), APR_SUCCESS, "replace");
    assert_int_equal(unlink(path_of(files, LOCK)), 0);
    assert_status(ctx, replace(files, "abcdefgh", "2", "3"), APR_SUCCESS, "made again");
    assert_true(is_there(path_of(files, LOCK)));
}

#define PROCESSES 8
#define INCREMENTS 250

static int count_up(files_t *files)
{
    djs_engine_t *engine = files->s.engine;
    int i = 0;

    while (i < INCREMENTS) {
        djs_record_t seen, next = { .expires = 0 };
        djs_ctx_t *ctx;
        apr_pool_t *pool;
        apr_status_t rv;

        if (apr_pool_create(&pool, NULL) != APR_SUCCESS) {
            return 1;
        }
        ctx = test_ctx(pool);
        rv = engine->ops->load(engine, ctx, "abcdefgh", &seen);
        if (rv == APR_SUCCESS) {
            next.data = djs_bytes(apr_itoa(pool, atoi(seen.data.data) + 1));
            rv = engine->ops->replace(engine, ctx, "abcdefgh", &seen, &next);
        }
        if (rv != APR_SUCCESS && rv != DJS_ECONFLICT) {
            fprintf(stderr, "# %s\n", ctx->problem);
            return 2;
        }
        i += rv == APR_SUCCESS;
        apr_pool_destroy(pool);
    }
    return 0;
}

static void no_increment_of_many_processes_is_lost(void **state)
{
    files_t *files = *state;
    pid_t processes[PROCESSES];
    int i, status;

    assert_status(files->s.test.ctx, create(files, "abcdefgh", "0"), APR_SUCCESS, "create");
    fflush(NULL);
    for (i = 0; i < PROCESSES; i++) {
        processes[i] = fork();
        assert_true(processes[i] >= 0);
        if (processes[i] == 0) {
            _exit(count_up(files));
        }
    }
    for (i = 0; i < PROCESSES; i++) {
        assert_int_equal(waitpid(processes[i], &status, 0), processes[i]);
        assert_true(WIFEXITED(status));
        assert_number(WEXITSTATUS(status), 0, "it counted to the end");
    }
    assert_loaded(files, "abcdefgh", "2000", "2,000 of 2,000");
    assert_number(count_files(), 1, "and nothing is left");
}

/* ---- Processes that end at any step ----------------------------------------------------------- */

static int run_create(files_t *files)
{
    return create(files, "newnewnew", "new new new") != APR_SUCCESS;
}

static int run_create_without_links(files_t *files)
{
    steps.error[LINK] = EPERM;
    return run_create(files);
}

static int run_replace(files_t *files)
{
    return replace(files, "abcdefgh", "old old old", "new new new") != APR_SUCCESS;
}

static int run_replace_by_rename(files_t *files)
{
    steps.error[EXCHANGE] = EINVAL;
    return run_replace(files);
}

static int run_remove(files_t *files)
{
    return remove_key(files, "abcdefgh") != APR_SUCCESS;
}

static int run_clear(files_t *files)
{
    apr_size_t removed;

    files->s.test.ctx->now = apr_time_now() + 2 * AGE;
    return files->s.engine->ops->clear_expired(files->s.engine, files->s.test.ctx, &removed)
           != APR_SUCCESS;
}

/* Each session there is is the old or the new one, and can be changed. */
static void assert_whole(files_t *files, const char *key, const char *old, const char *what)
{
    djs_ctx_t *ctx = files->s.test.ctx;
    djs_record_t found;
    apr_status_t rv = load(files, key, &found);

    if (rv == APR_NOTFOUND) {
        return;
    }
    assert_status(ctx, rv, APR_SUCCESS, what);
    if (!djs_bytes_is(found.data, old) && !djs_bytes_is(found.data, "new new new")) {
        fail_msg("%s: half of a session", what);
    }
    assert_status(ctx, replace(files, key, NULL, "later"), APR_SUCCESS, what);
}

static void a_process_that_ends_at_any_step_leaves_the_old_or_the_new(void **state)
{
    static const struct {
        int (*run)(files_t *files);
        const char *what;
        const char *first; /* content of a new one that is not written yet */
        int stays;         /* the old one must be there */
    } cases[] = {
        { run_create, "create", "new new new", 1 },
        { run_create_without_links, "create without links", "", 1 },
        { run_replace, "replace", "", 1 },
        { run_replace_by_rename, "replace by rename", "", 1 },
        { run_remove, "remove", "", 0 },
        { run_clear, "clear_expired", "", 0 },
    };
    files_t *files = *state;
    djs_ctx_t *ctx = files->s.test.ctx;
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int end_at, code = ENDED;

        for (end_at = 1; code == ENDED; end_at++) {
            djs_record_t found;

            assert_in_range(end_at, 1, 20);
            remove_files();
            assert_status(ctx, create(files, "abcdefgh", "old old old"), APR_SUCCESS, "before");
            steps.steps = 0;
            steps.end_at = end_at;
            code = in_child(files, cases[i].run);
            steps.end_at = 0;
            assert_true(code == ENDED || code == 0);
            assert_true(load(files, "abcdefgh", &found) == APR_SUCCESS || !cases[i].stays);
            assert_whole(files, "abcdefgh", "old old old", cases[i].what);
            assert_whole(files, "newnewnew", cases[i].first, cases[i].what);
        }
        assert_true(end_at > 2);
    }
}

/* ---- Descriptors, rights ---------------------------------------------------------------------- */

static int count_descriptors(int *inherited)
{
    int fd, count = 0;

    *inherited = 0;
    for (fd = 3; fd < 256; fd++) {
        int flags = fcntl(fd, F_GETFD);

        count += flags >= 0;
        *inherited += flags >= 0 && !(flags & FD_CLOEXEC);
    }
    return count;
}

typedef struct descriptors_t {
    int open, inherited;
} descriptors_t;

static void look_at_descriptors(void *baton)
{
    descriptors_t *seen = baton;

    seen->open = count_descriptors(&seen->inherited);
}

static void descriptors_are_closed_and_none_is_inherited(void **state)
{
    files_t *files = *state;
    djs_ctx_t *ctx = files->s.test.ctx;
    descriptors_t before, during, after;
    apr_size_t removed;

    assert_status(ctx, create(files, "abcdefgh", "1"), APR_SUCCESS, "create");
    before.open = count_descriptors(&before.inherited);
    steps.baton = &during;
    steps.before[EXCHANGE] = look_at_descriptors;
    assert_status(ctx, replace(files, "abcdefgh", "1", "2"), APR_SUCCESS, "replace");
    assert_true(during.open > before.open);
    assert_number(during.inherited, before.inherited, "programs that are started get none");
    assert_status(ctx, replace(files, "abcdefgh", "1", "3"), DJS_ECONFLICT, "replace");
    assert_status(ctx, create(files, "abcdefgh", "3"), APR_EEXIST, "create");
    list(files);
    files->s.engine->ops->clear_expired(files->s.engine, ctx, &removed);
    steps.error[WRITE] = ENOSPC;
    assert_status(ctx, replace(files, "abcdefgh", "2", "3"), DJS_ESTORE, "replace");
    assert_status(ctx, remove_key(files, "abcdefgh"), APR_SUCCESS, "remove");
    after.open = count_descriptors(&after.inherited);
    assert_number(after.open, before.open, "all are closed");
}

static void as_root_files_are_made_for_the_directorys_owner(void **state)
{
    files_t *files = *state;
    djs_ctx_t *ctx = files->s.test.ctx;
    struct stat info;

    if (geteuid() != 0) {
        return; /* whoever runs this owns all that it makes */
    }
    assert_status(ctx, create(files, "abcdefgh", "1"), APR_SUCCESS, "create");
    assert_int_equal(stat(session_path(files, "abcdefgh"), &info), 0);
    assert_number(info.st_uid, NOBODY, "the session");
    assert_status(ctx, replace(files, "abcdefgh", "1", "2"), APR_SUCCESS, "replace");
    assert_int_equal(stat(session_path(files, "abcdefgh"), &info), 0);
    assert_number(info.st_uid, NOBODY, "the session");
    assert_int_equal(stat(path_of(files, LOCK), &info), 0);
    assert_number(info.st_uid, NOBODY, "the lock");
}

typedef struct said_t {
    int good, bad;
    const char *last;
} said_t;

static void note_said(void *baton, int ok, const char *what)
{
    said_t *said = baton;

    said->good += ok;
    said->bad += !ok;
    said->last = what;
}

static said_t check(files_t *files)
{
    djs_ctx_t *ctx = files->s.test.ctx;
    said_t said = { 0, 0, NULL };

    if (files->s.engine->ops->check(files->s.engine, ctx, note_said, &said) != APR_SUCCESS) {
        djs_forget(ctx);
    }
    return said;
}

static void a_check_looks_at_the_directory_and_makes_nothing(void **state)
{
    files_t *files = *state;
    const char *aside = apr_pstrcat(files->s.test.pool, directory, ".aside", NULL);
    said_t said;

    put_session(files, "{}", TEST_NOW);
    assert_int_equal(chmod(directory, 01777), 0);
    said = check(files);
    assert_number(said.bad, 0, "as /tmp");
    assert_number(said.good, 2, "reading and writing");
    assert_false(is_there(path_of(files, LOCK)));
    assert_number(count_files(), 1, "as it was");
    assert_int_equal(chmod(directory, 0777), 0);
    said = check(files);
    assert_number(said.bad, 1, "everybody's");
    assert_non_null(strstr(said.last, "chmod"));
    assert_int_equal(chmod(directory, 0700), 0);
    assert_number(check(files).bad, 0, "ours");
    give_directory(0);
    said = check(files);
    assert_number(said.bad, geteuid() == 0, "root's alone");
    give_directory(NOBODY);
    assert_int_equal(rename(directory, aside), 0);
    said = check(files);
    assert_number(said.bad, 1, "not there");
    assert_non_null(strstr(said.last, "DjangoSessionFilePath"));
    assert_int_equal(rename(aside, directory), 0);
}

static void a_path_must_be_there_and_absolute(void **state)
{
    static const char *const paths[] = { NULL, "relative", "./relative" };
    files_t *files = *state;
    djs_ctx_t *ctx = files->s.test.ctx;
    djs_site_t *site;
    int i;

    for (i = 0; i < 3; i++) {
        files->settings->file_path = paths[i];
        assert_status(ctx, djs_stores_open(ctx, ctx->pool, files->settings, NULL, &site),
                      DJS_EINVAL, paths[i] ? paths[i] : "none");
        assert_non_null(strstr(ctx->problem, "DjangoSessionFilePath"));
        djs_forget(ctx);
    }
}

/* ---- The table -------------------------------------------------------------------------------- */

#define FILE_TEST(name) { #name, name, open_files, test_teardown, NULL }

int main(void)
{
    static const struct CMUnitTest own[] = {
        FILE_TEST(files_of_djangos_are_read_and_cleared_alike),
        FILE_TEST(a_session_is_one_file_of_djangos_name_that_only_its_owner_reads),
        FILE_TEST(what_django_left_half_done_is_empty_and_can_be_saved),
        FILE_TEST(sections_with_another_cookie_have_other_files),
        FILE_TEST(no_key_leads_out_of_the_directory),
        FILE_TEST(the_end_follows_from_the_file_and_what_is_inside),
        FILE_TEST(clearing_passes_by_what_cannot_be_read_and_what_is_no_session),
        FILE_TEST(temporary_files_that_nobody_writes_any_more_are_removed),
        FILE_TEST(a_listing_ends_with_what_its_reader_says),
        FILE_TEST(an_expired_session_that_was_saved_meanwhile_stays),
        FILE_TEST(what_is_no_regular_file_is_no_session),
        FILE_TEST(a_file_of_any_size_is_read_up_to_the_limit),
        FILE_TEST(a_directory_that_is_not_usable_is_a_failure_until_it_is),
        FILE_TEST(a_load_opens_nothing_but_the_session),
        FILE_TEST(a_failed_write_leaves_the_old_session_and_nothing_else),
        FILE_TEST(no_more_is_written_than_there_is_room_for),
        FILE_TEST(without_links_a_name_is_reserved_first),
        FILE_TEST(what_django_does_between_two_steps_counts),
        FILE_TEST(a_lock_is_waited_for_no_longer_than_patience_and_ends_with_its_holder),
        FILE_TEST(a_lock_file_that_was_tidied_away_locks_nobody_out_or_in),
        FILE_TEST(no_increment_of_many_processes_is_lost),
        FILE_TEST(a_process_that_ends_at_any_step_leaves_the_old_or_the_new),
        FILE_TEST(descriptors_are_closed_and_none_is_inherited),
        FILE_TEST(as_root_files_are_made_for_the_directorys_owner),
        FILE_TEST(a_check_looks_at_the_directory_and_makes_nothing),
        FILE_TEST(a_path_must_be_there_and_absolute),
    };
    static const contract_t contract = { "file", open_file, NULL,
                                         CONTRACT_AGED | CONTRACT_OWN_CLOCK };
    static struct CMUnitTest tests[CONTRACT_TESTS_MAX + sizeof(own) / sizeof(own[0])];
    size_t count = sizeof(own) / sizeof(own[0]);
    int failed;

    make_directory();
    memcpy(tests, own, sizeof(own));
    count = contract_tests(&contract, tests, count);
    failed = test_run("engine_file", tests, count);
    remove_files();
    rmdir(directory);
    return failed;
}
