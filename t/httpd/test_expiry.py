# SPDX-License-Identifier: Apache-2.0
"""
set_expiry() in each form that is found in a stored session, in each kind of store: the cookie, the
row's end and the cache's TTL that follow are Django's.

Two sessions with the same expiry lie in the store. A page of Django's changes the one, an application
behind the module the other; then the same is asked of both. Debian's Django writes dates as pickles
only; ISO texts, of Django 4.1 and later, must come to the same as the date that they tell.
"""
import copy
import email.utils

import pytest

import servers
from test_matrix import STORES, Pair, Store
from test_policy import max_age

TOKYO = "Asia/Tokyo"


class LocalTimes(Store):
    """A site with USE_TZ off, in a zone of its own."""

    def settings(self):
        return dict(super().settings(), USE_TZ=False, TIME_ZONE=TOKYO)

    def directives(self):
        return super().directives() + "DjangoUseTZ Off\nDjangoTimeZone %s\n" % TOKYO


KINDS = {name: copy.copy(STORES[name]) for name in (
    "db, SQLite", "db, PostgreSQL", "db, pickled", "signed_cookies, pickled", "memcached, pymemcache",
    "Redis, django-redis as JSON", "cached_db, Redis as JSON")}
KINDS["db, pickled local times"] = LocalTimes(serializer="pickle", pickles=True)

#: what Django's page says, in Python; now() is the site's kind of date, aware or not
NUMBERS = {
    "nothing": "s.set_expiry(None)",
    "seconds": "s.set_expiry(300)",
    "more days than memcached counts in seconds": "s.set_expiry(40 * 86400)",
    "the browser's end": "s.set_expiry(0)",
    "negative": "s.set_expiry(-10)",
}
DATES = {
    "a date": "s.set_expiry(now() + timedelta(hours=2))",
    "a date in the past": "s.set_expiry(now() - timedelta(hours=2))",
    "a date far away": "s.set_expiry(now() + timedelta(days=400))",
    "a timedelta": "s.set_expiry(timedelta(days=3, seconds=5))",
    "a date of another zone": "s.set_expiry(now(5.5) + timedelta(hours=2))",
}
#: what a newer Django's page left, and the date that it tells
ISO = {
    "now and a bit": ("(now() + timedelta(hours=2)).isoformat()", "datetime.fromisoformat(text)"),
    "the past": ("(now() - timedelta(days=2)).isoformat()", "datetime.fromisoformat(text)"),
    "another zone": ("(now(-7) + timedelta(days=40)).isoformat()", "datetime.fromisoformat(text)"),
    "no fraction": ("now().replace(microsecond=0).isoformat()", "datetime.fromisoformat(text)"),
    "far away": ("'2099-01-01T00:00:00' + ('Z' if settings.USE_TZ else '')",
                 "datetime(2099, 1, 1, tzinfo=tz.utc if settings.USE_TZ else None)"),
}

PREPARE = """
from datetime import datetime, timedelta, timezone as tz
from importlib import import_module
import time
from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
SessionStore = import_module(settings.SESSION_ENGINE).SessionStore
engine = settings.SESSION_ENGINE.rsplit(".", 1)[1]

def now(offset=0):
    return timezone.now().astimezone(tz(timedelta(hours=offset))) if settings.USE_TZ \\
        else timezone.now()

def begin(expiry):
    "A session that lives, whatever its own expiry says of the next save."
    s = SessionStore()
    s["a"] = 1
    exec(expiry, globals(), {"s": s})
    s.get_expiry_age = lambda **_: 1000
    s.get_expiry_date = lambda **_: timezone.now() + timedelta(seconds=1000)
    s.save()
    return s.session_key

def change(key, date=None):
    "A page of Django's; gives what the visitor gets. With a date: as if the session held it."
    request, response = HttpRequest(), HttpResponse()
    request.COOKIES["sessionid"] = key
    s = request.session = SessionStore(key)
    assert s["a"] == 1
    s["a"] = 2
    if date is not None:
        s.get_expiry_age = lambda **_: SessionStore.get_expiry_age(s, expiry=date)
        s.get_expiry_date = lambda **_: SessionStore.get_expiry_date(s, expiry=date)
    SessionMiddleware(lambda _: response).process_response(request, response)
    cookie = response.cookies["sessionid"]
    return {"max-age": cookie["max-age"], "expires": cookie["expires"], "key": cookie.value}

def ends(key):
    "Of a session that was just saved: the ends that stores have noted, and by which instants."
    found = {}
    if engine in ("db", "cached_db"):
        end = Session.objects.filter(pk=key).values_list("expire_date", flat=True).first()
        if end is not None:
            end = end if settings.USE_TZ else timezone.make_aware(end)
            found["row"] = [end.timestamp(), end.timestamp()]
    if engine in ("cache", "cached_db"):
        name = cache.make_key("django.contrib.sessions." + engine + key)
        before = time.time()
        left = ttl(name)
        if left is not None:
            found["cache"] = [before + left - 1, time.time() + left + 1]
    return found

def ttl(name):
    if memcached:
        import socket
        with socket.create_connection(("127.0.0.1", memcached)) as s:
            s.sendall(b"mg %s t\\r\\n" % name.encode())
            answer = s.recv(4096)
        assert answer.startswith((b"HD t", b"EN")), answer
        return int(answer[4:]) if answer.startswith(b"HD t") else None
    import redis
    left = redis.Redis.from_url(settings.CACHES["default"]["LOCATION"]).ttl(name)
    assert left != -1
    return left if left >= 0 else None
"""


@pytest.fixture(scope="module", params=KINDS)
def pair(request, databases):
    made = Pair(KINDS[request.param], databases)
    memcached = getattr(made.store, "kind", None) is servers.Memcached
    made.site.django.run("memcached = %d" % (made.store.server.port if memcached else 0) + PREPARE)
    yield made
    made.close()


def begin(pair, expiry):
    key = pair.site.django.run("result = begin(%r)" % expiry)
    pair.site.secrets.add(key)
    return key


def by_django(pair, key, date=None):
    """What comes of a change by Django's page: (began, ended, Max-Age, expires, ends)."""
    began, said, ended, ends = pair.site.django.run(
        "began = time.time()\nx = change(%r, %s)\nended = time.time()\n"
        "result = [began, x, ended, ends(x['key'])]" % (key, date))
    pair.site.secrets.add(said["key"])
    return began, ended, None if said["max-age"] == "" else said["max-age"], said["expires"], ends


def by_the_module(pair, key):
    clock = "import time\nresult = time.time()"
    began = pair.site.django.run(clock)
    answer = pair.httpd.get('/cgi/reply?h=Django-Session-Update:{"set":{"a":2}}',
                            cookie="sessionid=" + key)
    ended = pair.site.django.run(clock)
    assert answer.status == 200 and len(answer.all("Set-Cookie")) == 1, answer
    expires = [part.split("=", 1)[1] for part in answer.get("Set-Cookie").split("; ")
               if part.startswith("expires=")]
    ends = pair.site.django.run("result = ends(%r)" % answer.cookie())
    return began, ended, max_age(answer), expires[0] if expires else "", ends


def overlap(a, b):
    return a[0] <= b[1] + 1 and b[0] <= a[1] + 1


def differences(ours, theirs, is_date):
    """A date is a point in time, and all else counts from the save."""
    def span(side, ends):
        began, ended = (0, 0) if is_date else side[:2]
        return ends[0] - ended, ends[1] - began

    def points(side):
        began, ended, age = side[:3]
        return began + age - 1, ended + age

    for began, ended, age, expires, _ in (ours, theirs):
        assert (age is None) == (expires == "")
        if age is not None:
            end = email.utils.parsedate_to_datetime(expires).timestamp()
            assert began - 1 <= end - age <= ended + 1
    if not (overlap(points(ours), points(theirs)) if is_date else ours[2] == theirs[2]):
        yield "Max-Age"
    if ours[4].keys() != theirs[4].keys():
        yield "where it is stored"
    for store in ours[4].keys() & theirs[4].keys():
        if not overlap(span(ours, ours[4][store]), span(theirs, theirs[4][store])):
            yield store


def compare(pair, ours, theirs, is_date, form):
    found = list(differences(ours, theirs, is_date))
    assert not found, "%s: %s\n  module: %s\n  Django: %s" % (form, found, ours, theirs)


def test_what_django_stored_has_djangos_end(pair):
    for form, expiry in NUMBERS.items():
        ours, theirs = begin(pair, expiry), begin(pair, expiry)
        compare(pair, by_the_module(pair, ours), by_django(pair, theirs), False, form)
    for form, expiry in DATES.items() if pair.store.pickles else ():
        pair.site.django.run("s = SessionStore()\n%s\ndate = s['_session_expiry']" % expiry)
        ours, theirs = (begin(pair, "s['_session_expiry'] = date") for _ in range(2))
        compare(pair, by_the_module(pair, ours), by_django(pair, theirs), True, form)


def test_an_iso_text_is_the_date_that_it_tells(pair):
    for form, (text, date) in ISO.items():
        pair.site.django.run("text = %s\ndate = %s" % (text, date))
        ours, theirs = begin(pair, "s['_session_expiry'] = text"), begin(pair, "pass")
        compare(pair, by_the_module(pair, ours), by_django(pair, theirs, "date"), True, form)
