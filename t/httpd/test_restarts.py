# SPDX-License-Identifier: Apache-2.0
"""
Stores that are restarted under load: no crash, nobody is taken for somebody else, nothing that was
confirmed is lost by a store that keeps what it has, answers are right or 503, and all is well again
when the store is.

The order is forced: the store stops when every user has been served, comes back when every user has
met a failure, and the load ends when every user has been served again.

    DJS_RESTART_SECONDS=30 /usr/bin/python3 -m pytest t/httpd/test_restarts.py

goes on with that for so long, prints how long the slowest request took and how long after a return
of the store the last one failed, and compares with what is promised: the timeout and one connect,
and a second. On a machine that does other things these are no test, so otherwise nobody measures.
"""
import json
import os
import threading
import time
import urllib.parse

import pytest

import servers
from harness import wait_until

USERS = ["ada", "bob", "cyd", "dan", "eve", "fay"]
LEAST = float(os.environ.get("DJS_RESTART_SECONDS", "0"))
SLOWEST = 2.0 + 1.0  # DjangoSessionStoreTimeout, its default; one connect and the application itself
RETURN_WITHIN = 1.0
SERVED = 5  # so often, one after the other, is served

CONFIG = """
DjangoSession On
DjangoSessionStoreTimeout 2s
DjangoSessionUpdate Login
<Location "/cgi/env">
AuthType Django
Require valid-user
</Location>
"""


def reply(**operations):
    return "/cgi/reply?" + urllib.parse.urlencode(
        {"h": "Django-Session-Update: " + json.dumps(operations)})


class User:
    """One who clicks all the time, in a thread: counts a hit, looks at the page."""

    def __init__(self, server, name, forgetful):
        self.client, self.name, self.forgetful = server.client(cookies=True), name, forgetful
        self.confirmed = self.unknown = 0  # hits that were counted; that may have been
        self.served = self.failed = 0      # answers since the test looked last
        self.requests, self.slowest = 0, 0.0
        self.last_failure = 0.0            # when the last request that failed began
        self.wrong = []
        self.leaving = False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            while not self.leaving and not self.wrong:
                self.click()
        except Exception as problem:  # the server hung up, or said something that is no HTTP
            self.wrong.append(repr(problem))

    def get(self, path):
        began = time.monotonic()
        answer = self.client.get(path)
        self.requests += 1
        self.slowest = max(self.slowest, time.monotonic() - began)
        if answer.status == 503:
            self.last_failure = began
        return answer

    def click(self):
        page = self.get("/cgi/env")
        if page.status == 503:
            self.fail(page)
        elif page.status == 200:
            self.look_at(page.json())
        elif page.status == 401 and (self.forgetful or not self.client.jar):
            self.login()
        else:
            self.wrong.append(page)

    def fail(self, answer):
        self.failed += 1
        self.served = 0
        if answer.all("Set-Cookie") or not answer.get("Retry-After"):
            self.wrong.append(answer)

    def login(self):
        answer = self.get(reply(login=self.name, set={"hits": 0, "owner": self.name}))
        if answer.status == 503:
            self.fail(answer)
        elif answer.status == 200:
            self.confirmed = self.unknown = 0
        else:
            self.wrong.append(answer)

    def look_at(self, page):
        data = json.loads(page["DJANGO_SESSION"])
        right = range(self.confirmed, self.confirmed + self.unknown + 1)
        if (page["REMOTE_USER"], data.get("owner")) != (self.name, self.name):
            self.wrong.append("taken for %s" % page["REMOTE_USER"])
        elif data["hits"] not in right:
            self.wrong.append("%s hits, not %s" % (data["hits"], right))
        else:
            self.confirmed, self.unknown = data["hits"], 0
            self.count()

    def count(self):
        answer = self.get(reply(increment={"hits": 1}))
        if answer.status == 200 and answer.cookie():
            self.confirmed += 1
            self.served += 1
        elif answer.status == 503:
            self.unknown += 1
            self.fail(answer)
        elif answer.status in (200, 400) and self.forgetful:
            self.client.jar.clear()  # deleted between load and save
        else:
            self.wrong.append(answer)


class PostgreSQL:
    database = "postgresql"
    forgetful = False
    config = ""
    stops = ["fast", "immediate"]
    expected = [r"\[dbd:"]

    def start(self, site):
        return site.database.server


class Memcached:
    """Sessions go with it; users stay."""

    database = "sqlite"
    forgetful = True
    stops = ["fast", "immediate"]
    expected = []

    def start(self, site):
        server = site.keep(servers.Memcached())
        self.config = ("DjangoSessionEngine cache\nDjangoSessionCache memcached://127.0.0.1:%d\n"
                       % server.port)
        return server


class Redis:
    """Sessions go with it; users stay."""

    database = "sqlite"
    forgetful = True
    stops = ["fast", "immediate"]
    expected = []

    def start(self, site):
        server = site.keep(servers.Redis())
        self.config = ("DjangoSessionEngine cache\nDjangoSessionCache redis://127.0.0.1:%d "
                       "format=django-redis-json\n" % server.port)
        return server


STORES = {"PostgreSQL": PostgreSQL(), "Memcached": Memcached(), "Redis": Redis()}
CASES = [(name, how) for name, store in STORES.items() for how in store.stops]


def wait_for_all(users, condition, what):
    wait_until(lambda: any(u.wrong for u in users) or all(condition(u) for u in users), what)


def served_anew(users, what):
    for user in users:
        user.served = 0
    wait_for_all(users, lambda u: u.served >= SERVED, what)


def restart_once(users, store, how):
    """Gives how long after the store's return a request began that failed."""
    served_anew(users, "everybody is served")
    for user in users:
        user.failed = 0
    store.stop(how)
    wait_for_all(users, lambda u: u.failed > 0, "everybody meets the failure")
    store.start()
    returned = time.monotonic()
    served_anew(users, "everybody is served again")
    return max(0.0, max(user.last_failure for user in users) - returned)


def measured(users, name, how, delays, capsys):
    """What the long run is for."""
    slowest = max(user.slowest for user in users)
    with capsys.disabled():
        print("\n%s, stopped %s: %d requests, %d restarts in %g s; the slowest request took %.2f s, "
              "the last failure began %.2f s after a return"
              % (name, how, sum(user.requests for user in users), len(delays), LEAST, slowest,
                 max(delays)))
    assert slowest <= SLOWEST and max(delays) <= RETURN_WITHIN


@pytest.mark.parametrize("name,how", CASES)
def test_a_store_is_restarted_under_load(make_site, name, how, capsys):
    store = STORES[name]
    site = make_site(store.database)
    under_test = store.start(site)
    server = site.httpd(CONFIG + store.config, mpm="event")
    server.expect(111, 132, *store.expected)
    for user in USERS:
        site.create_user(user)
    users = [User(server, user, store.forgetful) for user in USERS]
    end = time.monotonic() + LEAST
    try:
        for user in users:
            user.thread.start()
        delays = [restart_once(users, under_test, how)]
        while time.monotonic() < end and not any(user.wrong for user in users):
            delays.append(restart_once(users, under_test, how))
    finally:
        for user in users:
            user.leaving = True
        for user in users:
            user.thread.join()
        if under_test.process is None:
            under_test.start()
    assert [user.wrong for user in users] == [[]] * len(users)
    assert server.process.poll() is None
    assert "exit signal" not in server.log
    for user in users:
        page = user.client.get("/cgi/env")
        assert page.status == 200 and page.json()["REMOTE_USER"] == user.name
    if LEAST:
        measured(users, name, how, delays, capsys)
