# SPDX-License-Identifier: Apache-2.0
"""
Sessions in Django's files. That each value survives in both directions is test_matrix.py's to say;
this is about the directory, ages, and many at a time.
"""
import json
import os
import re
import subprocess
import threading
import time
import urllib.parse

import pytest

import harness

AGE = 1000
ON = "DjangoSession On\nDjangoSessionUpdate On\nDjangoSessionEngine file\n"


def reply(**operations):
    return "/cgi/reply?" + urllib.parse.urlencode(
        {"h": "Django-Session-Update: " + json.dumps(operations)})


class Files:
    """A directory of sessions, a Django and a module on it."""

    def __init__(self, make_site):
        self.folder = harness.Folder("sessions")
        self.path = self.folder.path
        self.path.chmod(0o700)
        self.site = make_site(SESSION_ENGINE="django.contrib.sessions.backends.file",
                              SESSION_FILE_PATH=str(self.path), SESSION_COOKIE_AGE=AGE)
        self.django = self.site.django
        self.django.run("from django.contrib.sessions.backends.file import SessionStore")
        self.conf = ON + "DjangoSessionFilePath %s\nDjangoSessionCookieAge %d\n" % (self.path, AGE)

    def httpd(self, more="", **options):
        return self.site.httpd(self.conf + more, **options)

    def create(self, data, age=0):
        """By Django, so many seconds ago; gives the key."""
        key = self.django.run("s = SessionStore()\ns.update(%r)\ns.save()\nresult = s.session_key"
                              % data)
        self.site.secrets.add(key)
        os.utime(self.file(key), (time.time() - age,) * 2)
        return key

    def file(self, key, name="sessionid"):
        return self.path / (name + key)

    def read(self, key):
        """As Django reads it; None when there is none."""
        return self.django.run("s = SessionStore(%r)\nd = s.load()\n"
                               "result = d if s.session_key == %r else None" % (key, key))

    def names(self):
        """All files, but for the lock of ours."""
        return sorted(p.name for p in self.path.iterdir()
                      if p.name != ".mod_django_session.lock")

    def tool(self, *arguments, settings=()):
        """djsession; gives its exit code, and what it said."""
        done = subprocess.run(
            [str(harness.djsession_path()), "--session-engine", "file", "--session-file-path",
             str(self.path), "--session-cookie-age", str(AGE), "--secret-key", "env:KEY",
             *settings, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
            env=dict(os.environ, KEY=self.site.secret_key))
        return done.returncode, done.stdout.strip(), done.stderr

    def close(self):
        self.path.chmod(0o700)
        self.folder.close()


@pytest.fixture
def files(make_site):
    made = Files(make_site)
    yield made
    made.close()


def cookie(key, name="sessionid"):
    return "%s=%s" % (name, key)


# ---- what is in the directory -------------------------------------------------------------------

def test_a_file_of_ours_is_one_of_djangos(files):
    server = files.httpd()
    key = server.get(reply(set={"a": 1})).cookie()
    files.site.secrets.add(key)
    assert files.names() == ["sessionid" + key]
    assert os.lstat(files.file(key)).st_mode == 0o100600
    assert files.read(key) == {"a": 1}
    files.django.run("s = SessionStore(%r)\ns['b'] = 2\ns.save()" % key)
    assert json.loads(server.env(cookie=cookie(key))["DJANGO_SESSION"]) == {"a": 1, "b": 2}
    moved = server.get(reply(cycle_key=True), cookie=cookie(key)).cookie()
    assert moved != key and files.names() == ["sessionid" + moved]
    assert server.get(reply(flush=True), cookie=cookie(moved)).status == 200
    assert files.names() == []


def test_sections_have_files_of_their_cookies_name(files):
    server = files.httpd('<Location "/cgi/env">\nDjangoSessionCookieName other\n</Location>\n')
    key = files.create({"a": 1})
    assert server.env(cookie=cookie(key, "other"))["DJANGO_SESSION_REASON"] == "unknown-key"
    files.file(key).rename(files.file(key, "other"))
    assert server.env(cookie=cookie(key, "other"))["DJANGO_SESSION_STATUS"] == "active"


def test_no_key_leads_out_of_the_directory(files):
    server = files.httpd()
    key = files.create({"a": 1})
    outside = files.path.parent / ("outside-" + key)
    outside.write_bytes(files.file(key).read_bytes())
    try:
        for bad in ("/../../" + outside.name, "%2f..%2f" + outside.name, key.upper(), key + "."):
            assert server.env(cookie=cookie(bad))["DJANGO_SESSION_STATUS"] == "new"
    finally:
        outside.unlink()


def test_no_database_is_needed_where_nobody_asks_for_users(files):
    server = files.site.httpd("%sDjangoSecretKey %s\n" % (files.conf, files.site.secret_key),
                              base=False)
    key = files.create({"a": 1})
    assert json.loads(server.env(cookie=cookie(key))["DJANGO_SESSION"]) == {"a": 1}


# ---- ages ---------------------------------------------------------------------------------------

def test_a_session_ends_with_its_files_age(files):
    server = files.httpd()
    key = files.create({"a": 1})
    env = server.env(cookie=cookie(key))
    end = files.file(key).stat().st_mtime + AGE
    assert end - 2 < int(env["DJANGO_SESSION_EXPIRES"]) <= end
    lasting = files.create({"_session_expiry": 5}, age=10 * AGE)
    env = server.env(cookie=cookie(lasting))
    assert env["DJANGO_SESSION_STATUS"] == "active" and "DJANGO_SESSION_EXPIRES" not in env


def test_an_expired_session_gives_way_to_an_empty_one_with_another_key(files):
    server = files.httpd('<Location "/page.txt">\nDjangoSessionEnv Off\n</Location>\n')
    key = files.create({"a": 1}, age=AGE + 1)
    assert server.get("/page.txt", cookie=cookie(key)).cookie() is None
    assert files.names() == ["sessionid" + key]  # nobody has looked at it
    assert server.get("/cgi/reply?status=500", cookie=cookie(key)).cookie() is None
    assert files.names() == ["sessionid" + key]  # an answer that fails changes nothing
    answer = server.get("/cgi/env", cookie=cookie(key))
    env = answer.json()
    assert env["DJANGO_SESSION_STATUS"] == env["DJANGO_SESSION_REASON"] == "expired"
    assert files.names() == ["sessionid" + answer.cookie()]
    assert files.read(answer.cookie()) == {}


def test_what_cannot_be_read_is_not_overwritten(files):
    server = files.httpd()
    server.expect(r"DJS01\d\d: ")
    key = files.create({"a": 1})
    garbage = b"\xff" + files.file(key).read_bytes()[:-1]
    for content in (garbage, garbage[1:]):
        files.file(key).write_bytes(content)
        assert server.env(cookie=cookie(key))["DJANGO_SESSION_STATUS"] == "invalid"
        made = server.get(reply(set={"a": 2}), cookie=cookie(key)).cookie()
        assert made not in (None, key)
        assert files.file(key).read_bytes() == content
        assert files.read(made) == {"a": 2}


CLEAR = "from django.core.management import call_command\ncall_command('clearsessions')"


def fill(files):
    """Sessions of all ages. Gives the names of those that Django's clearsessions leaves."""
    left = [files.create({"n": n}, age) for n, age in enumerate((0, 10, AGE // 2))]
    left.append(files.create({"_session_expiry": 1}, 3 * AGE))
    for data, age in (({}, AGE), ({"n": 1}, 5 * AGE), ({"_session_expiry": -1}, 0),
                      ({"_session_expiry": 0}, 2 * AGE)):
        files.create(data, age)
    names = ["sessionid" + key for key in left]
    for name, age in (("sessionidgarbage1", 0), ("sessionidgarbage2", 2 * AGE),
                      ("sessionidempty111", 2 * AGE), ("otherthing", 2 * AGE),
                      ("sessionidabcdefgh_out_12345678", 2 * AGE), ("sessionidABCDEFGH", 2 * AGE)):
        path = files.path / name
        path.write_text("" if "empty" in name else "garbage")
        os.utime(path, (time.time() - age,) * 2)
        harness.hand_over(path)
        if name != "sessionidgarbage2":
            names.append(name)
    return sorted(names)


def test_djangos_clearsessions_and_ours_leave_the_same(files):
    left = fill(files)
    files.django.run(CLEAR)
    assert files.names() == left
    for path in files.path.iterdir():
        path.unlink()
    left = fill(files)
    assert files.tool("clearsessions")[:2] == (0, "5")
    assert files.names() == left


def test_expired_files_go_in_the_background(files):
    left = fill(files)
    server = files.httpd('DjangoSessionClearInterval 1s\n<Location "/x">\n'
                         "DjangoSessionCookieAge 1\n</Location>\n")
    server.expect(r"AH0004[5-7]: ")
    harness.wait_until(lambda: files.names() == left, "the expired ones to go, no others")


# ---- many at a time -----------------------------------------------------------------------------

def test_no_increment_of_eight_clients_is_lost(files):
    backend = files.site.backend()
    backend.answer = lambda request: (
        200, [("Django-Session-Update", json.dumps({"increment": {"hits": 1}}))], b"")
    server = files.httpd("DjangoSessionStoreTimeout 60s\nProxyPass /count %s\n" % backend.url)
    key = files.create({"hits": 0})
    statuses = []

    def client():
        statuses.extend(server.get("/count", cookie=cookie(key)).status for _ in range(250))

    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 2000
    assert files.read(key) == {"hits": 2000}
    assert files.names() == ["sessionid" + key]


# ---- directories that fail ----------------------------------------------------------------------

def test_a_directory_that_cannot_be_used_is_503_until_it_can(files):
    server = files.httpd("DjangoSessionStoreTimeout 60s\n")
    server.expect(r"DJS01\d\d: ")
    key = files.create({"a": 1})
    aside = files.path.with_name(files.path.name + ".aside")
    for spoil, mend in ((lambda: files.path.rename(aside), lambda: aside.rename(files.path)),
                        (lambda: files.path.chmod(0), lambda: files.path.chmod(0o700))):
        spoil()
        try:
            answer = server.get("/cgi/env", cookie=cookie(key))
            assert answer.status == 503 and answer.get("Retry-After"), answer
            assert answer.cookie() is None
            assert server.get(reply(set={"b": 1})).status == 503
        finally:
            mend()
        assert server.env(cookie=cookie(key))["DJANGO_SESSION_STATUS"] == "active"
    assert str(files.path) in server.log


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts a server that changes its user")
def test_a_server_that_root_starts_makes_nothing_as_root(files):
    server = files.httpd(as_root=True)
    assert list(files.path.iterdir()) == []
    key = server.get(reply(set={"a": 1})).cookie()
    files.site.secrets.add(key)
    assert server.get(reply(set={"a": 2}), cookie=cookie(key)).status == 200
    owners = {path.stat().st_uid for path in files.path.iterdir()}
    assert owners == {harness.identity()["user"]}
    assert files.tool("update", key, '{"set": {"a": 3}}')[0] == 0  # as root, too
    assert {path.stat().st_uid for path in files.path.iterdir()} == owners
    assert files.read(key) == {"a": 3}


# ---- the configuration --------------------------------------------------------------------------

def test_a_missing_directive_stops_the_start(site):
    status, output = site.httpd(ON, start=False).configtest()
    assert status == 1 and "DjangoSessionFilePath" in output and "DJS0101" in output


def test_a_path_is_below_the_servers_root(site):
    server = site.httpd(ON + "DjangoSessionFilePath sessions\n", start=False)
    status, output = server.configtest("DUMP_DJANGO")
    assert status == 0
    assert "DjangoSessionFilePath %s/sessions\n" % server.dir in output


def test_the_directory_may_come_later_but_a_check_misses_it(site):
    server = site.httpd(ON + "DjangoSessionFilePath sessions\n", start=False)
    assert server.configtest()[0] == 0
    status, output = server.configtest("DJANGO_CHECK")
    assert status == 1
    assert re.search(r"^FAIL: DjangoSessionFilePath .*sessions", output, re.M), output
    (server.dir / "sessions").mkdir(0o700)
    harness.hand_over(server.dir)
    status, output = server.configtest("DJANGO_CHECK")
    assert status == 0, output
    assert "ok: directory" in output
    assert list((server.dir / "sessions").iterdir()) == []


def test_htaccess_may_not_say_where_sessions_are(site):
    server = site.httpd('<Directory "@DIR@/htdocs">\nAllowOverride All\n</Directory>\n')
    server.expect("DjangoSessionFilePath is not allowed in .htaccess")
    (server.dir / "htdocs" / ".htaccess").write_text("DjangoSessionFilePath /tmp\n")
    assert server.get("/page.txt").status == 500


# ---- djsession ----------------------------------------------------------------------------------

def test_every_command_of_djsession_works_on_files(files):
    code, key, _ = files.tool("create", '{"n": 1}')
    files.site.secrets.add(key)
    assert code == 0 and files.read(key) == {"n": 1}
    assert files.tool("get", key, "n")[:2] == (0, "1")
    assert files.tool("update", key, '{"increment": {"n": 4}}')[:2] == (0, key)
    assert files.read(key) == {"n": 5}
    assert files.tool("save", key, '{"m": 2}')[:2] == (0, key)
    assert files.tool("save", "--must-create", key, "{}")[0] == 4
    assert files.tool("save", "unknownkey", "{}")[0] == 1
    assert files.tool("exists", key)[0] == 0 and files.tool("exists", "UNKNOWN-KEY")[0] == 1
    old = files.create({"a": 1}, age=2 * AGE)
    lasting = files.create({"_session_expiry": 60}, age=2 * AGE)
    code, listed, _ = files.tool("list", "--keys")
    ends = {line["key"]: line["expires"] for line in map(json.loads, listed.splitlines())}
    assert code == 0 and sorted(ends) == sorted([key, lasting])
    assert ends[lasting] is None
    assert abs(ends[key] - files.file(key).stat().st_mtime - AGE) < 2
    assert "expires: never" in files.tool("explain", lasting)[1]
    assert re.search(r"expires: 20\d\d-", files.tool("explain", key)[1])
    code, said, _ = files.tool("explain", old)
    assert code == 1 and "expires: it has expired" in said
    assert files.tool("get", old)[0] == 1 and files.file(old).exists()
    code, said, _ = files.tool("check")
    assert code == 0 and "2 live, 1 expired and 0 unreadable" in said, said
    assert files.tool("clearsessions")[:2] == (0, "1")
    assert files.tool("delete", key)[0] == 0 and files.tool("delete", key)[0] == 1
    files.file(lasting).write_text("garbage")
    assert files.tool("get", lasting)[0] == 5
    assert files.tool("get", lasting, settings=["--session-cookie-name", "other"])[0] == 1


def test_djsession_says_what_is_wrong_with_the_directory(files):
    gone = ["--session-file-path", str(files.path / "nowhere")]
    code, said, _ = files.tool("check", settings=gone)
    assert code == 3 and "FAIL: DjangoSessionFilePath" in said
    assert files.tool("create", settings=gone)[0] == 3
    code, _, problem = files.tool("create", settings=["--session-file-path", "relative"])
    assert code == 2 and "absolute" in problem
