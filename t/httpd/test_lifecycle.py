# SPDX-License-Identifier: Apache-2.0
"""The server's life: each MPM, restarts, children that come and go."""
import json
import signal
import threading
import urllib.parse

import pytest

from harness import wait_until

ON = "DjangoSession On\nDjangoSessionUpdate On\n"
COUNT = "/cgi/reply?" + urllib.parse.urlencode(
    {"h": "Django-Session-Update: " + json.dumps({"increment": {"hits": 1}})})


@pytest.mark.parametrize("mpm", ["prefork", "worker", "event"])
def test_reading_changing_and_protecting_under_each_mpm(each_site, mpm):
    each_site.create_user("ada")
    key = each_site.login("ada", hits=0)
    server = each_site.httpd(ON + '<Location "/cgi/env">\nAuthType Django\nRequire valid-user\n'
                             "</Location>\n", mpm=mpm)
    wrong = []

    def client():
        for _ in range(5):
            answer = server.get(COUNT, cookie=f"sessionid={key}")
            if answer.status != 200:
                wrong.append(answer)

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert each_site.read_session(key)["hits"] == 20
    assert server.env(cookie=f"sessionid={key}")["REMOTE_USER"] == "ada"
    assert server.get("/cgi/env").status == 401


@pytest.mark.parametrize("mpm", ["prefork", "event"])
def test_graceful_restarts_lose_no_session(each_site, mpm):
    key = each_site.create_session({"hits": 0})
    server = each_site.httpd(ON, mpm=mpm)
    for expected in range(1, 4):
        assert server.get(COUNT, cookie=f"sessionid={key}").status == 200
        assert each_site.read_session(key)["hits"] == expected
        server.graceful()
    assert server.get(COUNT, cookie=f"sessionid={key}").status == 200


def test_a_child_that_is_killed_takes_nothing_with_it(each_site):
    key = each_site.create_session({"hits": 0})
    server = each_site.httpd(ON, mpm="prefork")
    server.expect("AH00052")
    for _ in range(3):
        assert server.get(COUNT, cookie=f"sessionid={key}").status == 200
    import os
    import subprocess
    children = subprocess.run(["ps", "--ppid", str(server.process.pid), "-o", "pid="],
                              stdout=subprocess.PIPE, universal_newlines=True).stdout.split()
    for child in children:
        os.kill(int(child), signal.SIGKILL)

    def counts():
        try:
            return server.get(COUNT, cookie=f"sessionid={key}").status == 200
        except OSError:
            return False

    wait_until(counts, "new children serve")
    assert each_site.read_session(key)["hits"] >= 4


def test_the_server_stops_while_its_database_is_down(make_site):
    site = make_site("postgresql")
    key = site.create_session({"a": 1})
    server = site.httpd(ON)
    server.expect(111, r"\[dbd:")
    assert server.env(cookie=f"sessionid={key}")["DJANGO_SESSION_STATUS"] == "active"
    site.database.server.stop()
    try:
        assert server.get("/cgi/env", cookie=f"sessionid={key}").status == 503
        server.stop()
    finally:
        site.database.server.start()
