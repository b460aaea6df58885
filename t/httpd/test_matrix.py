# SPDX-License-Identifier: Apache-2.0
"""
The module and Django on the same sessions: every store in every direction, made from two lists.
conftest.py prints what passed as a table at the end of the run.
"""
import base64
import datetime
import decimal
import json
import urllib.parse
import uuid

import pytest

import harness
import servers

# ---- the values ---------------------------------------------------------------------------------

# What every serializer holds. Python's source: Django makes them in its own process.
JSON_VALUES = """{
    "text": "Zo\\u00eb \\u20ac \\U0001f36a \\\\ / \\"", "empty": "", "control": "a\\0b\\x7f\\n",
    "surrogate": "\\ud83c", "one": 1, "true": True, "false": False, "none": None, "zero": 0,
    "minus": -1, "wide": 2 ** 100, "edge": 2 ** 63, "float": 0.1, "whole": 1.0, "tiny": 5e-324,
    "infinite": float("-inf"), "nan": float("nan"), "list": [1, [2, []], {}], "nested": {"b": {"a":
    [None]}, "a": 1.5}, "z": 1, "a": 2, "\\u00e9": 3, "": 4, "/~": 5}"""

# What pickles hold besides.
PICKLED_VALUES = """{
    "tuple": (1, (2,), ()), "set": {7}, "frozenset": frozenset(["x"]), "bytes": b"a\\0\\xff",
    "bytearray": bytearray(b"ab"), "keys": {1: "a", 2.5: "b", None: "c", True: "d"},
    "datetime": datetime.datetime(2024, 2, 29, 12, 30, 15, 123456),
    "aware": datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.timezone.utc),
    "offset": datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone(datetime.timedelta(hours=5))),
    "date": datetime.date(2024, 2, 29), "time": datetime.time(23, 59, 59),
    "timedelta": datetime.timedelta(days=-1, seconds=5), "decimal": decimal.Decimal("1.10"),
    "uuid": uuid.UUID(int=5)}"""

NAMES = {"datetime": datetime, "decimal": decimal, "uuid": uuid}

# In Django's process: a session as a tree in which every value tells its type.
TAGGED = """
import datetime, decimal, json, uuid
from importlib import import_module
from django.conf import settings
SessionStore = import_module(settings.SESSION_ENGINE).SessionStore

def tagged(value):
    if isinstance(value, dict):
        return ["dict", [[tagged(k), tagged(v)] for k, v in value.items()]]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [type(value).__name__, [tagged(v) for v in value]]
    return [type(value).__name__, repr(value)]
"""


def exported(value):
    """As the module tells the application of it (interface, section 8)."""
    if isinstance(value, dict):
        return {k if isinstance(k, str) else json.dumps(k): exported(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [exported(v) for v in value]
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.timedelta):
        seconds = value.total_seconds()
        return int(seconds) if seconds == int(seconds) else seconds
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (decimal.Decimal, uuid.UUID)):
        return str(value)
    return value


def same(a, b):
    """Equal as JSON texts: 1 is not 1.0 nor true, NaN is NaN, and the order is the same."""
    return json.dumps(a) == json.dumps(b)


# ---- the stores: each says what Django and what the module is told ------------------------------

class Store:
    """Sessions of Django's engine `db`, unless a subclass says otherwise."""

    engine = "db"
    database = "sqlite"
    pickles = False  # the values are pickled, not JSON
    serializer = None  # "pickle": Django's PickleSerializer

    def __init__(self, **differences):
        self.__dict__.update(differences)

    def start(self):
        """Start what it needs, at the first test that is about it."""

    def settings(self):
        """Django's, beside the database's."""
        settings = {"SESSION_ENGINE": "django.contrib.sessions.backends." + self.engine}
        if self.serializer == "pickle":
            settings["SESSION_SERIALIZER"] = "django.contrib.sessions.serializers.PickleSerializer"
        return settings

    def directives(self):
        """The module's, beside the database's."""
        return "DjangoSessionEngine %s\nDjangoSessionSerializer %s\n" % (
            self.engine, self.serializer or "json")

    def close(self):
        pass


class FileStore(Store):
    """Django's engine `file`."""

    engine = "file"

    def start(self):
        self.folder = harness.Folder("sessions")

    def settings(self):
        return dict(super().settings(), SESSION_FILE_PATH=str(self.folder.path))

    def directives(self):
        return super().directives() + "DjangoSessionFilePath %s\n" % self.folder.path

    def close(self):
        self.folder.close()


class CacheStore(Store):
    """Django's engine `cache` on a server of its own; say `kind`, `backend`, `format`, `options`."""

    engine = "cache"
    pickles = True
    options = {}

    def start(self):
        self.server = self.kind()

    def settings(self):
        address = "127.0.0.1:%d" % self.server.port
        if self.kind is servers.Redis:
            address = "redis://%s/1" % address
        return dict(super().settings(), CACHES={"default": {
            "BACKEND": self.backend, "LOCATION": address, "KEY_PREFIX": "site", "VERSION": 3,
            "OPTIONS": self.options}})

    def directives(self):
        end = "/1" if self.kind is servers.Redis else ""
        return super().directives() + (
            "DjangoSessionCache %s://127.0.0.1:%d%s format=%s prefix=site version=3 timeout=60s\n"
            % (self.kind.driver, self.server.port, end, self.format))

    def close(self):
        self.server.close()


MEMCACHED = "django.core.cache.backends.memcached."

STORES = {
    "db, SQLite": Store(),
    "db, PostgreSQL": Store(database="postgresql"),
    "db, MariaDB": Store(database="mariadb"),
    "db, pickled": Store(serializer="pickle", pickles=True),
    "file": FileStore(),
    "signed_cookies": Store(engine="signed_cookies"),
    "signed_cookies, pickled": Store(engine="signed_cookies", serializer="pickle", pickles=True),
    "memcached, pymemcache": CacheStore(kind=servers.Memcached, format="pymemcache",
                                        backend=MEMCACHED + "PyMemcacheCache"),
    "memcached, pylibmc": CacheStore(kind=servers.Memcached, format="pylibmc",
                                     backend=MEMCACHED + "PyLibMCCache"),
    "memcached, python-memcached": CacheStore(kind=servers.Memcached, format="python-memcached",
                                              backend=MEMCACHED + "MemcachedCache"),
    "Redis, Django": CacheStore(kind=servers.Redis, format="redis",
                                backend="djangosite.redis_of_django.RedisCache"),
    "Redis, django-redis": CacheStore(kind=servers.Redis, format="django-redis",
                                      backend="django_redis.cache.RedisCache"),
    "Redis, django-redis as JSON": CacheStore(
        kind=servers.Redis, format="django-redis-json", backend="django_redis.cache.RedisCache",
        pickles=False,
        options={"SERIALIZER": "django_redis.serializers.json.JSONSerializer"}),
    "cached_db, memcached": CacheStore(engine="cached_db", kind=servers.Memcached, pickles=False,
                                       format="pymemcache", backend=MEMCACHED + "PyMemcacheCache"),
    "cached_db, Redis as JSON": CacheStore(
        engine="cached_db", kind=servers.Redis, format="django-redis-json", pickles=False,
        backend="django_redis.cache.RedisCache",
        options={"SERIALIZER": "django_redis.serializers.json.JSONSerializer"}),
    "cached_db, Redis": CacheStore(engine="cached_db", kind=servers.Redis, pickles=False,
                                   format="django-redis", backend="django_redis.cache.RedisCache"),
}


class Pair:
    """A store with a Django and a module on it."""

    def __init__(self, store, databases):
        self.store = store
        store.start()
        self.site = harness.Site(databases.get(store.database), **store.settings())
        self.httpd = self.site.httpd("DjangoSession On\nDjangoSessionUpdate On\n"
                                     + store.directives())
        self.site.django.run(TAGGED)

    def close(self):
        try:
            self.site.close()
        finally:
            self.store.close()

    @property
    def values(self):
        """Python's source of all that the store can hold."""
        return "{**%s, **%s}" % (JSON_VALUES, PICKLED_VALUES if self.store.pickles else "{}")

    def django_writes(self):
        key = self.site.django.run("s = SessionStore()\ns.update(%s)\ns.save()\n"
                                   "result = s.session_key" % self.values)
        self.site.secrets.add(key)
        return key

    def django_reads(self, key):
        """[[tagged key, tagged value]…], in its order."""
        return self.site.django.run("s = SessionStore(%r)\nd = s.load()\n"
                                    "result = tagged(d)[1]" % key)

    def module_reads(self, key):
        return json.loads(self.httpd.env(cookie="sessionid=" + key)["DJANGO_SESSION"])

    def module_changes(self, key, **operations):
        """Gives the key of what it saved."""
        headers = {"h": "Django-Session-Update: " + json.dumps(operations)}
        cookie = None if key is None else "sessionid=" + key
        answer = self.httpd.get("/cgi/reply?" + urllib.parse.urlencode(headers), cookie=cookie)
        assert answer.status == 200, answer
        return answer.cookie()


# ---- the directions -----------------------------------------------------------------------------

def django_writes_and_the_module_reads(pair):
    key = pair.django_writes()
    assert same(pair.module_reads(key), exported(eval(pair.values, dict(NAMES))))


def the_module_writes_and_django_reads(pair):
    values = eval(JSON_VALUES)
    key = pair.module_changes(None, set=values)
    expected = pair.site.django.run("result = tagged(%s)[1]" % JSON_VALUES)
    assert pair.django_reads(key) == expected


def the_module_changes_one_value_of_djangos(pair):
    key = pair.django_writes()
    before = pair.django_reads(key)
    assert len(before) == len(eval(pair.values, dict(NAMES)))
    key = pair.module_changes(key, set={"one": [2]})
    after = pair.django_reads(key)
    assert after == [[k, ["list", [["int", "2"]]] if k == ["str", "'one'"] else v]
                     for k, v in before]


DIRECTIONS = {
    "Django writes, module reads": django_writes_and_the_module_reads,
    "module writes, Django reads": the_module_writes_and_django_reads,
    "module changes one value": the_module_changes_one_value_of_djangos,
}


@pytest.fixture(scope="module", params=STORES)
def pair(request, databases):
    made = Pair(STORES[request.param], databases)
    yield made
    made.close()


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_django_and_the_module_share_sessions(pair, direction):
    DIRECTIONS[direction](pair)


# ---- the stand-in -------------------------------------------------------------------------------

STORE_AS_VECTOR = """
import json, pickle
from django.core.cache import caches
from djangosite.redis_of_django import RedisCache
result = []
for case in json.loads(%r):
    conf = case["conf"]
    cache = RedisCache(%r, {"KEY_PREFIX": conf["KEY_PREFIX"], "VERSION": conf["VERSION"]})
    key = "django.contrib.sessions." + case["engine"] + case["session_key"]
    cache.set(key, pickle.loads(bytes.fromhex(case["value_hex"])), 1000)
    stored = cache.client.get(case["cache_key"])
    result.append([stored is not None and stored.hex(), 990 < cache.client.ttl(case["cache_key"])])
"""


def test_the_stand_in_stores_what_djangos_own_redis_backend_stores(make_site):
    """Debian's Django is older than its backend: djangosite/redis_of_django.py takes its place."""
    vectors = json.loads((harness.SRC / "t" / "vectors" / "cache_values.json").read_text())
    cases = [case for case in vectors["cases"]
             if case["client"] == "redis" and case.get("value_hex")]
    assert len(cases) > 90
    with servers.Redis() as redis:
        address = "redis://127.0.0.1:%d/1" % redis.port
        stored = make_site().django.run(STORE_AS_VECTOR % (json.dumps(cases), address))
    assert stored == [[case["value_hex"], True] for case in cases]
