# SPDX-License-Identifier: Apache-2.0
"""
Engine cache on memcached: what test_matrix.py has no row for. Several servers, many clients at once,
and a server that goes away and comes back.
"""
import json
import threading
import urllib.parse

import pytest

import servers
from harness import wait_until

ON = "DjangoSession On\nDjangoSessionUpdate On\nDjangoSessionEngine cache\n"
# Django's clients do not get over a server that was restarted; they shall not be what is tested.
STORE = ("from django.core.cache import cache\ncache.close()\n"
         "from importlib import import_module\nfrom django.conf import settings\n"
         "SessionStore = import_module(settings.SESSION_ENGINE).SessionStore\n")
BACKENDS = {"pymemcache": "PyMemcacheCache", "pylibmc": "PyLibMCCache",
            "python-memcached": "MemcachedCache"}
CLIENTS = 8
EACH = 250


class Cached:
    """Some memcacheds, and a site whose Django keeps its sessions there."""

    def __init__(self, make_site, count=1, client="pymemcache"):
        self.servers = [servers.Memcached() for _ in range(count)]
        self.where = ["127.0.0.1:%d" % server.port for server in self.servers]
        self.client = client
        self.site = make_site(
            SESSION_ENGINE="django.contrib.sessions.backends.cache",
            CACHES={"default": {"BACKEND": "django.core.cache.backends.memcached."
                                           + BACKENDS[client],
                                "KEY_PREFIX": "site", "VERSION": 2, "LOCATION": self.where}})
        self.backend = self.site.backend()
        self.backend.answer = lambda request: (200, [("Django-Session-Update", json.dumps(
            {"increment": {"hits": 1}}))], b"counted\n")

    @property
    def options(self):
        return ["memcached://" + ",".join(self.where), "format=" + self.client, "prefix=site",
                "version=2", "timeout=50s"]

    def httpd(self, more="", **options):
        return self.site.httpd("%sDjangoSessionCache %s\nDjangoSessionStoreTimeout 60s\n"
                               "ProxyPass /count %s\n%s"
                               % (ON, " ".join(self.options), self.backend.url, more), **options)

    def write(self, **data):
        """By Django; gives the key."""
        key = self.site.django.run(STORE + "s = SessionStore()\ns.update(%r)\ns.save()\n"
                                   "result = s.session_key" % data)
        self.site.secrets.add(key)
        return key

    def read(self, key):
        """By Django."""
        return self.site.django.run(STORE + "result = SessionStore(%r).load()" % key)


@pytest.fixture
def make_cached(make_site):
    made = []

    def make(**options):
        made.append(Cached(make_site, **options))
        return made[-1]

    yield make
    for cached in made:
        for server in cached.servers:
            server.close()


def update(operations):
    return "/cgi/reply?" + urllib.parse.urlencode(
        {"h": "Django-Session-Update: " + json.dumps(operations)})


def get(server, key, path="/cgi/env"):
    return server.get(path, cookie="sessionid=" + key)


def session(server, key):
    return json.loads(get(server, key).json()["DJANGO_SESSION"])


@pytest.mark.parametrize("client", BACKENDS)
def test_of_three_servers_each_session_is_on_the_one_of_the_client(make_cached, client):
    cached = make_cached(count=3, client=client)
    server = cached.httpd()
    for number in range(12):
        key = cached.write(hits=number)
        assert get(server, key, "/count").status == 200
        assert cached.read(key) == {"hits": number + 1}


def test_an_end_that_memcached_does_not_tell_is_not_told(make_cached):
    cached = make_cached()
    env = cached.httpd().env(cookie=f"sessionid={cached.write(hits=1)}")
    assert env["DJANGO_SESSION_STATUS"] == "active"
    assert "DJANGO_SESSION_EXPIRES" not in env
    assert env["DJANGO_SESSION_EXPIRE_AT_BROWSER_CLOSE"] == "0"


def test_no_increment_of_many_clients_is_lost(make_cached):
    cached = make_cached()
    server = cached.httpd(mpm="event")
    key = cached.write(hits=0)
    wrong = []

    def client():
        for _ in range(EACH):
            answer = get(server, key, "/count")
            if answer.status != 200:
                wrong.append(answer)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert cached.read(key)["hits"] == CLIENTS * EACH


def test_a_stopped_memcached_is_503_and_back_without_a_restart(make_cached):
    cached = make_cached()
    server = cached.httpd(mpm="worker")
    server.expect(111)
    key = cached.write(hits=0)
    assert session(server, key) == {"hits": 0}
    cached.servers[0].stop()
    for _ in range(10):  # were any of the 50 s waited for, this would take minutes
        answer = get(server, key)
        assert answer.status == 503
        assert answer.get("Retry-After")
        assert not answer.all("Set-Cookie")
    cached.servers[0].start()
    wait_until(lambda: get(server, key).status == 200, "recovery")
    key = cached.write(hits=0)  # what it had is gone
    assert [get(server, key, "/count").status for _ in range(10)] == [200] * 10
    assert cached.read(key) == {"hits": 10}


def test_a_restarted_memcached_costs_no_request(make_cached):
    cached = make_cached()
    server = cached.httpd(mpm="worker")
    for _ in range(3):
        key = cached.write(hits=0)
        assert [get(server, key, "/count").status for _ in range(5)] == [200] * 5
        cached.servers[0].restart("immediate")
        assert [get(server, key).status for _ in range(5)] == [200] * 5


def test_by_directive_pages_go_on_without_a_session_but_no_protected_one(make_cached):
    cached = make_cached()
    server = cached.httpd(more="DjangoSessionOnStoreError anonymous\n"
                          '<Location "/cgi/reply">\nAuthType Django\nRequire valid-user\n</Location>\n')
    server.expect(r"DJS\d+: ")
    key = cached.write(hits=0)
    assert session(server, key) == {"hits": 0}
    cached.servers[0].stop()
    assert get(server, key).status == 200
    assert get(server, key, "/cgi/reply").status != 200
    cached.servers[0].start()
    key = cached.write(hits=7)
    wait_until(lambda: "hits" in get(server, key).json().get("DJANGO_SESSION", ""), "recovery")


def test_a_session_larger_than_memcached_takes_is_refused_and_the_old_one_stays(make_cached):
    cached = make_cached()
    server = cached.httpd()
    server.expect(120, 132)  # it is too large for a variable, too
    key = cached.write(hits=7, text="x" * (1000 << 10))
    for number in range(10):  # 7 KB each; the limit is 1 MB
        answer = get(server, key, update({"set": {"more%d" % number: chr(97 + number) * 7000}}))
        if answer.status != 200:
            break
        stored = cached.read(key)
    assert answer.status == 503 and not answer.all("Set-Cookie"), number
    assert "takes no session of" in server.log
    assert stored["hits"] == 7 and cached.read(key) == stored
    assert get(server, key, "/count").status == 200, "what is smaller is saved"
    assert cached.read(key)["hits"] == 8
