# SPDX-License-Identifier: Apache-2.0
"""
Engine cache on Redis: what test_matrix.py has no row for. Compressors, ways in, many clients at once,
and a server that goes away and comes back.
"""
import json
import threading

import pytest

import servers
from harness import wait_until

ON = "DjangoSession On\nDjangoSessionUpdate On\nDjangoSessionEngine cache\n"
PASSWORD = "pass-word-of-redis"
JSON = "django_redis.serializers.json.JSONSerializer"
ZLIB = "django_redis.compressors.zlib.ZlibCompressor"
STORE = ("from importlib import import_module\nfrom django.conf import settings\n"
         "SessionStore = import_module(settings.SESSION_ENGINE).SessionStore\n")
# More than 15 bytes, which django-redis leaves plain.
LONG = "long " * 100
CLIENTS = 8
EACH = 250


class Cached:
    """A Redis, and a site whose Django keeps its sessions there."""

    def __init__(self, make_site, **options):
        self.redis = servers.Redis()
        self.site = make_site(
            SESSION_ENGINE="django.contrib.sessions.backends.cache",
            CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "KEY_PREFIX": "site",
                                "VERSION": 2, "LOCATION": "redis://127.0.0.1:%d/1" % self.redis.port,
                                "OPTIONS": dict(options, SERIALIZER=JSON)}})
        self.site.secrets.add(PASSWORD)
        self.backend = self.site.backend()
        self.backend.answer = lambda request: (200, [("Django-Session-Update", json.dumps(
            {"increment": {"hits": 1}}))], b"counted\n")

    def httpd(self, url=None, more="", **options):
        url = url or "redis://127.0.0.1:%d/1" % self.redis.port
        return self.site.httpd(
            "%sDjangoSessionCache %s format=django-redis-json prefix=site version=2 timeout=50s\n"
            "DjangoSessionStoreTimeout 60s\nProxyPass /count %s\n%s"
            % (ON, url, self.backend.url, more), **options)

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
        cached.redis.close()


def get(server, key, path="/cgi/env"):
    return server.get(path, cookie="sessionid=" + key)


def session(server, key):
    return json.loads(get(server, key).json()["DJANGO_SESSION"])


def test_what_django_redis_compressed_is_read_and_what_we_write_it_reads(make_cached):
    cached = make_cached(COMPRESSOR=ZLIB)
    server = cached.httpd()
    key = cached.write(text=LONG, hits=41)
    raw = cached.site.django.run(
        "from django_redis import get_redis_connection\nr = get_redis_connection()\n"
        "result = r.get('site:2:django.contrib.sessions.cache%s').hex()" % key)
    assert raw.startswith("789c")  # it is compressed, and the swap compares these bytes
    assert session(server, key) == {"text": LONG, "hits": 41}
    assert get(server, key, "/count").status == 200
    assert cached.read(key) == {"text": LONG, "hits": 42}


def test_a_user_and_a_socket_lead_to_the_same_sessions(make_cached):
    cached = make_cached()
    cached.redis.ask(b"ACL SETUSER web on >%s ~site:* +@all -@scripting" % PASSWORD.encode())
    cached.redis.socket.chmod(0o777)
    key = cached.write(hits=0)
    urls = ["redis://web:%s@127.0.0.1:%d/1" % (PASSWORD, cached.redis.port),
            "redis+unix://web:%s@%s?db=1" % (PASSWORD, cached.redis.socket)]
    for count, url in enumerate(urls, 1):
        server = cached.httpd(url)
        assert get(server, key, "/count").status == 200
        assert cached.read(key) == {"hits": count}


def test_a_wrong_password_is_503_and_told_without_it(make_cached):
    cached = make_cached()
    server = cached.httpd("redis://web:%s@127.0.0.1:%d/1" % (PASSWORD, cached.redis.port))
    server.expect(111)
    assert get(server, cached.write(hits=0)).status == 503
    assert "refuses this user or password" in server.log


def test_rediss_is_refused_at_start(make_cached):
    cached = make_cached()
    server = cached.httpd("rediss://127.0.0.1:%d/1" % cached.redis.port, start=False)
    code, said = server.configtest()
    if code == 0:
        return  # this hiredis has TLS: t/unit/test_redis.c speaks it
    assert "rediss://" in said and "hiredis" in said


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


def test_a_stopped_redis_is_503_at_once_and_back_without_a_restart(make_cached):
    cached = make_cached()
    server = cached.httpd(mpm="worker")
    server.expect(111)
    key = cached.write(hits=0)
    assert session(server, key) == {"hits": 0}
    cached.redis.stop()
    for _ in range(10):  # were any of the 50 s waited for, this would take minutes
        answer = get(server, key)
        assert answer.status == 503
        assert answer.get("Retry-After")
        assert not answer.all("Set-Cookie")
    cached.redis.start()
    wait_until(lambda: get(server, key).status == 200, "recovery")
    key = cached.write(hits=0)  # what it had is gone
    assert [get(server, key, "/count").status for _ in range(10)] == [200] * 10
    assert cached.read(key) == {"hits": 10}


def test_a_restarted_redis_costs_no_request(make_cached):
    cached = make_cached()
    server = cached.httpd(mpm="worker")
    for _ in range(3):
        key = cached.write(hits=0)
        assert [get(server, key, "/count").status for _ in range(5)] == [200] * 5
        cached.redis.restart("immediate")
        assert [get(server, key).status for _ in range(5)] == [200] * 5


def test_by_directive_pages_go_on_without_a_session_but_no_protected_one(make_cached):
    cached = make_cached()
    server = cached.httpd(more="DjangoSessionOnStoreError anonymous\n"
                          '<Location "/cgi/reply">\nAuthType Django\nRequire valid-user\n</Location>\n')
    server.expect(r"DJS\d+: ")
    key = cached.write(hits=0)
    assert session(server, key) == {"hits": 0}
    cached.redis.stop()
    assert get(server, key).status == 200
    assert get(server, key, "/cgi/reply").status != 200
    cached.redis.start()
    key = cached.write(hits=7)
    wait_until(lambda: "hits" in get(server, key).json().get("DJANGO_SESSION", ""), "recovery")
