# SPDX-License-Identifier: Apache-2.0
"""
Databases that restart, stop, come back, say nothing, change their tables; each with a real server.
D-14, and "one dead pooled connection = one failed request".
"""
import json
import socket
import threading
import urllib.parse

import pytest

from harness import wait_until

ON = "DjangoSession On\nDjangoSessionUpdate On\n"
PROTECTED = '<Location "/cgi/env">\nAuthType Django\nRequire valid-user\n</Location>\n'
COUNT = "/cgi/reply?" + urllib.parse.urlencode(
    {"h": "Django-Session-Update: " + json.dumps({"increment": {"hits": 1}})})
SERVERS = ["postgresql", "mariadb"]
STOPS = ["fast", "immediate"]


@pytest.fixture(params=SERVERS)
def site(request, make_site):
    """A site whose server is running again when the test is over."""
    site = make_site(request.param)
    yield site
    server = site.database.server
    if server.process is None:
        server.start()


def get(server, key, path="/cgi/env"):
    return server.get(path, cookie=f"sessionid={key}")


def hits(server, key):
    return json.loads(get(server, key).json()["DJANGO_SESSION"])["hits"]


@pytest.mark.parametrize("how", STOPS)
def test_a_restarted_server_costs_no_request(site, how):
    key = site.create_session({"hits": 0})
    server = site.httpd(ON, mpm="worker")
    server.expect(r"\[dbd:")  # a child that is born meanwhile, to mod_dbd
    for expected in range(1, 4):
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(get(server, key).status))
                   for _ in range(8)]  # several connections in each pool
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [200] * 8
        site.database.server.restart(how)
        assert get(server, key, COUNT).status == 200
        assert [get(server, key).status for _ in range(20)] == [200] * 20
        assert hits(server, key) == expected


@pytest.mark.parametrize("how", STOPS)
def test_a_stopped_server_is_503_at_once_and_back_without_a_restart(site, how):
    site.create_user("ada")
    key = site.login("ada", hits=0)
    server = site.httpd(ON + PROTECTED + "DjangoSessionStoreTimeout 50s\n", mpm="worker")
    server.expect(111, r"\[dbd:")
    assert get(server, key).status == 200
    site.database.server.stop(how)
    for _ in range(10):  # were any of the 50 s waited for, this would take minutes
        answer = get(server, key)
        assert answer.status == 503
        assert answer.get("Retry-After")
        assert not answer.all("Set-Cookie")
        assert not answer.all("Location")
        assert "REMOTE_USER" not in answer.text
        assert get(server, key, COUNT).status == 503
    site.database.server.start()
    wait_until(lambda: get(server, key).status == 200, "recovery")
    assert get(server, key, COUNT).status == 200
    assert [get(server, key).status for _ in range(10)] == [200] * 10


def test_a_server_that_is_down_when_httpd_starts_is_found_later(site):
    key = site.create_session({"a": 1})
    site.database.server.stop()
    server = site.httpd(ON, mpm="event")
    server.expect(111, r"\[dbd:")
    assert get(server, key).status == 503
    site.database.server.start()
    wait_until(lambda: get(server, key).status == 200, "recovery")


def test_by_directive_pages_go_on_without_a_session_but_no_protected_one(site):
    site.create_user("ada")
    key = site.login("ada")
    server = site.httpd(ON + PROTECTED + "DjangoSessionOnStoreError anonymous\n")
    server.expect(r"DJS\d+: ", r"\[dbd:")
    assert get(server, key).status == 200
    site.database.server.stop()
    assert get(server, key, "/page.txt").status == 200
    answer = get(server, key)
    assert answer.status != 200
    assert "REMOTE_USER" not in answer.text
    site.database.server.start()
    wait_until(lambda: get(server, key).status == 200, "recovery")


def test_a_server_that_dies_between_load_and_save_is_503_and_changes_nothing(site):
    key = site.create_session({"hits": 0})
    gate = site.gate()
    server = site.httpd(ON)
    server.expect(r"DJS\d+: ", r"\[dbd:")
    query = urllib.parse.urlencode({"gate": str(gate.path), "h": "Django-Session-Update: " +
                                    json.dumps({"increment": {"hits": 1}})})
    answers = []
    thread = threading.Thread(target=lambda: answers.append(get(server, key, "/cgi/slow?" + query)))
    thread.start()
    gate.wait_for(1)
    site.database.server.stop()
    gate.open()
    thread.join()
    assert answers[0].status == 503
    assert not answers[0].all("Set-Cookie")
    site.database.server.start()
    wait_until(lambda: get(server, key).status == 200, "recovery")
    assert hits(server, key) == 0


class Silence:
    """Accepts connections and says nothing."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(100)
        self.port = self.listener.getsockname()[1]

    def close(self):
        self.listener.close()  # and with it those that nobody accepted


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_that_says_nothing_costs_no_more_than_patience(make_site, kind):
    site = make_site(kind)
    silence = Silence()
    driver, params = site.database.dbd
    site.database.dbd = (driver, params.replace(str(site.database.server.port), str(silence.port)))
    try:
        server = site.httpd(ON + "DjangoSessionStoreTimeout 300ms\nServerLimit 1\nStartServers 1\n"
                            "ThreadsPerChild 60\nMaxRequestWorkers 60\nMinSpareThreads 1\n"
                            "MaxSpareThreads 60\n", dbd="DBDMin 0\nDBDKeep 0\n")
        server.expect(111, r"\[dbd:")
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(
            get(server, "abcdefghijklmnopqrstuvwxyz012345").status)) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [503] * 30
        assert server.get("/page.txt").status == 200  # without a cookie nothing is asked
    finally:
        silence.close()


MIGRATION = ["CREATE TABLE migrated (id integer)",
             "ALTER TABLE django_session ADD COLUMN note varchar(20)",
             "CREATE INDEX migrated_index ON django_session (note)",
             "DROP TABLE migrated"]


@pytest.mark.parametrize("mpm", ["prefork", "event"])
@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_that_says_nothing_does_not_keep_children_from_ending(make_site, kind, mpm):
    site = make_site(kind)
    silence = Silence()
    driver, params = site.database.dbd
    site.database.dbd = (driver, params.replace(str(site.database.server.port), str(silence.port)))
    try:
        server = site.httpd(ON + "DjangoSessionStoreTimeout 300ms\n", mpm=mpm,
                            dbd="DBDMin 0\nDBDKeep 0\n")
        server.expect(103, 111, r"\[dbd:")
        assert get(server, "abcdefghijklmnopqrstuvwxyz012345").status == 503
        before = children(server)
        server.graceful()
        wait_until(lambda: not before & children(server), "the children's end")
        assert server.get("/page.txt").status == 200
    finally:
        silence.close()


def children(server):
    with open(f"/proc/{server.process.pid}/task/{server.process.pid}/children") as pids:
        return set(pids.read().split())


@pytest.mark.parametrize("kind", ["sqlite"] + SERVERS)
def test_a_migration_while_we_run_costs_no_request(make_site, kind):
    site = make_site(kind)
    key = site.create_session({"a": 1})
    server = site.httpd(ON)
    assert [get(server, key).status for _ in range(20)] == [200] * 20
    try:
        for sql in MIGRATION:
            site.database.execute(sql)
            assert [get(server, key).status for _ in range(10)] == [200] * 10, sql
            assert json.loads(get(server, key).json()["DJANGO_SESSION"]) == {"a": 1}
            assert get(server, key, COUNT).status == 200
            reset(site, key)
    finally:
        if kind != "sqlite":  # these are other tests' tables, too
            site.database.execute("ALTER TABLE django_session DROP COLUMN note")
    assert get(server, key).status == 200


def reset(site, key):
    site.django.run("from django.contrib.sessions.backends.db import SessionStore\n"
                    "s = SessionStore(%r)\ns.clear()\ns['a'] = 1\ns.save()" % key)


@pytest.mark.parametrize("flags", ["", ",flags=CLIENT_FOUND_ROWS"])
def test_saving_what_is_there_already_is_no_conflict_on_mariadb(make_site, flags):
    """MySQL counts changed rows, unless it is told to count found ones."""
    site = make_site("mariadb")
    key = site.create_session({"hits": 0}, expiry=None)
    driver, params = site.database.dbd
    site.database.dbd = (driver, params + flags)
    server = site.httpd(ON + "DjangoSessionSaveEveryRequest On\n")
    same = "/cgi/reply?" + urllib.parse.urlencode(
        {"h": "Django-Session-Update: " + json.dumps({"set": {"hits": 0}})})
    threads = [threading.Thread(target=lambda: answers.append(get(server, key, same).status))
               for _ in range(20)]
    answers = []
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 20


def test_sqlites_lock_is_waited_for_and_no_longer_than_patience(make_site):
    site = make_site("sqlite")
    key = site.create_session({"hits": 0})
    server = site.httpd(ON + "DjangoSessionStoreTimeout 500ms\n")
    server.expect(r"DJS\d+: ")
    assert get(server, key).status == 200
    other = site.database.connect()
    other.execute("BEGIN EXCLUSIVE")
    assert get(server, key).status == 503
    answers = []
    thread = threading.Thread(target=lambda: answers.append(get(server, key).status))
    thread.start()
    other.execute("ROLLBACK")
    other.close()
    thread.join()
    assert answers[0] == 200
    assert get(server, key, COUNT).status == 200
