# SPDX-License-Identifier: Apache-2.0
"""Engine cached_db beside Django's own: a database, and a Redis in front of it."""
import json
import urllib.parse

import pytest

import harness
import servers

KEY = "django.contrib.sessions.cached_db"


@pytest.fixture(scope="module")
def redis():
    with servers.Redis() as server:
        yield server


@pytest.fixture
def cache(redis):
    """Running, and empty."""
    if redis.process is None:
        redis.start()
    redis.ask(b"FLUSHALL")
    yield redis


SERIALIZERS = {"django-redis": "django_redis.serializers.pickle.PickleSerializer",
               "django-redis-json": "django_redis.serializers.json.JSONSerializer"}


@pytest.fixture
def form():
    """Of the cached values. Pickles, as nearly every site has them, where a test asks for them."""
    return "django-redis-json"


pickled = pytest.mark.parametrize("form", ["django-redis"])


@pytest.fixture
def site(make_site, cache, form):
    return make_site(SESSION_ENGINE="django.contrib.sessions.backends.cached_db", CACHES={
        "default": {"BACKEND": "django_redis.cache.RedisCache",
                    "LOCATION": "redis://127.0.0.1:%d/0" % cache.port,
                    "OPTIONS": {"SERIALIZER": SERIALIZERS[form]}}})


def directive(cache, form="django-redis-json"):
    return ("DjangoSessionCache redis://127.0.0.1:%d/0 format=%s timeout=60s\n"
            "DjangoSessionStoreTimeout 120s\n" % (cache.port, form))


@pytest.fixture
def server(site, cache, form):
    return site.httpd("DjangoSession On\nDjangoSessionEngine cached_db\nDjangoSessionUpdate Login\n"
                      + directive(cache, form))


STORE = ("from django.contrib.sessions.backends.cached_db import SessionStore\n"
         "from django.contrib.sessions.backends.db import SessionStore as Rows\n"
         "from django.contrib.sessions.models import Session\n"
         "from django.core.cache import cache\n")


def django(site, code):
    return site.django.run(STORE + code)


def create(site, **data):
    key = django(site, "s = SessionStore()\ns.update(%r)\ns.save()\nresult = s.session_key" % data)
    site.secrets.add(key)
    return key


def cached(site, key):
    """What Django's cache has, whatever the row is."""
    return django(site, "result = cache.get(%r)" % (KEY + key))


def row(site, key):
    return django(site, "s = Rows(%r)\nd = s.load()\nresult = d if s.session_key else None" % key)


def delete_row(site, key):
    django(site, "Session.objects.filter(pk=%r).delete()" % key)


def update(server, key, **operations):
    return server.get("/cgi/reply?" + urllib.parse.urlencode(
        {"h": "Django-Session-Update: " + json.dumps(operations)}), cookie="sessionid=" + key)


def shown(server, key):
    page = server.env(cookie="sessionid=" + key)
    return json.loads(page["DJANGO_SESSION"]) if page["DJANGO_SESSION_STATUS"] == "active" else None


def test_a_hit_needs_no_row_and_a_miss_no_cache(site, server, cache):
    key = create(site, a=1)
    assert shown(server, key) == {"a": 1}
    cache.ask(b"FLUSHALL")
    assert cached(site, key) is None
    assert shown(server, key) == {"a": 1}
    assert cached(site, key) == {"a": 1}  # filled
    delete_row(site, key)
    assert shown(server, key) == {"a": 1}  # as Django believes its cache


def test_a_save_goes_to_both_and_django_sees_it_in_either(site, server):
    key = create(site, n=1)
    assert update(server, key, increment={"n": 1}, set={"by": "module"}).status == 200
    assert cached(site, key) == row(site, key) == {"n": 2, "by": "module"}
    made = update(server, "x" * 32, set={"new": True}).cookie()
    assert cached(site, made) == row(site, made) == {"new": True}


def test_a_deleted_session_is_deleted_in_both(site, server):
    key = create(site, n=1)
    assert shown(server, key) == {"n": 1}
    assert update(server, key, flush=True).status == 200
    assert cached(site, key) is None and row(site, key) is None
    assert shown(server, key) is None


def test_what_django_changed_in_the_row_alone_is_not_overwritten(site, server):
    """As while the cache was out of Django's reach: the row is newer than what is cached."""
    key = create(site, n=1)
    django(site, "s = Rows(%r)\ns['n'] = 5\ns.save()" % key)
    assert shown(server, key) == {"n": 1}
    assert update(server, key, increment={"n": 1}).status == 200
    assert cached(site, key) == row(site, key) == {"n": 6}


def test_a_session_that_is_deleted_by_hand_is_not_made_again(site, server):
    key = create(site, n=1)
    assert shown(server, key) == {"n": 1}
    delete_row(site, key)
    assert update(server, key, increment={"n": 1}).status == 400
    assert row(site, key) is None and cached(site, key) is None
    assert shown(server, key) is None


@pickled
def test_a_tuple_that_django_has_cached_is_the_list_of_its_row(site, server):
    key = django(site, "s = SessionStore()\ns['t'] = (1, 2)\ns.save()\nresult = s.session_key")
    site.secrets.add(key)
    assert django(site, "result = repr(cache.get(%r))" % (KEY + key)) == "{'t': (1, 2)}"
    assert update(server, key, set={"n": 1}).status == 200
    assert row(site, key) == {"t": [1, 2], "n": 1}
    assert shown(server, key) == {"t": [1, 2], "n": 1}


@pickled
def test_what_json_cannot_hold_is_refused_and_changes_nothing(site, server):
    """Put there by somebody else: Django's save fails at the row with a TypeError, which is a 500."""
    key = create(site, n=1)
    django(site, "cache.set(%r, {'n': 1, 'bytes': b'x'})" % (KEY + key))
    server.expect(132)
    assert update(server, key, increment={"n": 1}).status == 500
    assert row(site, key) == {"n": 1}


def test_a_dead_cache_costs_a_warning_a_minute_and_nothing_else(site, server, cache):
    key = create(site, n=0)
    cache.stop("immediate")
    server.expect(115)
    for n in range(20):
        assert shown(server, key) == {"n": n}
        assert update(server, key, increment={"n": 1}).status == 200
    children = {line.split("[pid ")[1].split(":")[0] for line in server.log.splitlines()
                if "[pid " in line and "django_session:" in line}
    warnings = server.log.count("DJS0115")
    assert 1 <= warnings <= 2 * len(children)  # a minute may begin anew meanwhile
    cache.start()
    harness.wait_until(lambda: shown(server, key) and cached(site, key) == {"n": 20},
                       "the cache is in use again")
    assert row(site, key) == {"n": 20}


def test_a_cache_that_restarts_is_filled_again(site, server, cache):
    key = create(site, n=0)
    assert shown(server, key) == {"n": 0}
    server.expect(115)
    cache.restart("immediate")
    harness.wait_until(lambda: shown(server, key) == {"n": 0} and cached(site, key) == {"n": 0},
                       "the cache is in use again")


CONFIGS = {
    "no cache": ("", True, "DjangoSessionCache"),
    "no database": ("DjangoSessionCache redis://127.0.0.1:1\n", False, "DBDriver"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_both_stores_have_to_be_named(make_site, case):
    config, database, named = CONFIGS[case]
    site = make_site()
    base = site.database.directives() if database else ""
    server = site.httpd(base + "DjangoSecretKey x\nDjangoSession On\n"
                        "DjangoSessionEngine django.contrib.sessions.backends.cached_db\n" + config,
                        base=False, start=False)
    status, output = server.configtest()
    assert status == 1 and named in output, output
