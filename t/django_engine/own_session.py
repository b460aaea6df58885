# SPDX-License-Identifier: Apache-2.0
"""
Our SessionBase with the face of Django's.

Each object is a process of t/unit/session_driver, which has one session object of core/session.h on
an engine of ours. Django's settings are handed on where tests change them.
"""

import contextlib
import json
import subprocess
from datetime import datetime, timedelta, timezone as utc_offset

from django.conf import settings
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.utils import timezone

from django_engine.through_djsession import Encoding

EPOCH = datetime(1970, 1, 1, tzinfo=utc_offset.utc)
NOTHING = object()


class DriverFailed(Exception):
    """An answer for which Django has no exception."""


EXCEPTIONS = {"APR_NOTFOUND": KeyError, "APR_EEXIST": CreateError, "DJS_EINTERRUPTED": UpdateError}


def microseconds(moment):
    """An instant; a naive date-time is one of the current zone, as in Django."""
    if timezone.is_naive(moment):
        moment = timezone.make_aware(moment)
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment(instant):
    """The other way, as Django's timezone.now() would be then."""
    when = EPOCH + timedelta(microseconds=instant)
    return when if settings.USE_TZ else timezone.make_naive(when)


class SessionStore(Encoding):

    def __init__(self, session_key=None):
        self.process = subprocess.Popen([*settings.SESSION_DRIVER, *self.options],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        encoding="utf-8")
        self.call("open", session_key)

    def __del__(self):
        with contextlib.suppress(AttributeError, OSError):
            self.process.stdin.close()
            self.process.wait()
            self.process.stdout.close()

    def call(self, *words):
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise EXCEPTIONS.get(answer["error"], DriverFailed)(words[0], answer)
        return answer["value"]

    # ---- The object

    session_key = property(lambda self: self.call("session_key"))
    accessed = property(lambda self: self.call("accessed"))
    modified = property(lambda self: self.call("modified"))

    def is_empty(self):
        return self.call("is_empty")

    # ---- Its dictionary

    def __contains__(self, key):
        return self.call("has_key", key)

    has_key = __contains__

    def __getitem__(self, key):
        return self.call("get", key)

    def __setitem__(self, key, value):
        self.call("set", key, value)

    def __delitem__(self, key):
        self.call("del", key)

    def get(self, key, default=None):
        try:
            return self[key]
        except KeyError:
            return default

    def pop(self, key, default=NOTHING):
        try:
            return self.call("pop", key)
        except KeyError:
            if default is NOTHING:
                raise
            return default

    def setdefault(self, key, value):
        return self.call("setdefault", key, value)

    def update(self, dict_):
        self.call("update", dict_)

    def keys(self):
        return self.call("data").keys()

    def values(self):
        return self.call("data").values()

    def items(self):
        return self.call("data").items()

    def load(self):
        self.call("load")
        return self.call("data")

    def clear(self):
        self.call("clear")

    def set_test_cookie(self):
        self.call("set_test_cookie")

    def test_cookie_worked(self):
        return self.call("test_cookie_worked")

    def delete_test_cookie(self):
        self.call("delete_test_cookie")

    # ---- Expiry

    def get_session_cookie_age(self):
        return settings.SESSION_COOKIE_AGE

    def set_expiry(self, value):
        if isinstance(value, timedelta):
            with self.clock(timezone.now()):
                self.call("set_expiry_span", value // timedelta(microseconds=1))
        elif isinstance(value, datetime):
            self.call("set_expiry", value.isoformat())
        else:
            self.call("set_expiry", value)

    @contextlib.contextmanager
    def clock(self, now):
        """Our time stands still at `now`."""
        self.call("clock", microseconds(now))
        yield
        self.call("clock", 0)

    def expiry(self, modification):
        close = "On" if settings.SESSION_EXPIRE_AT_BROWSER_CLOSE else "Off"
        self.call("setting", "session-expire-at-browser-close", close)
        self.call("setting", "session-cookie-age", str(self.get_session_cookie_age()))
        with self.clock(modification or timezone.now()):
            return self.call("expiry")

    def get_expiry_age(self, modification=None):
        return self.expiry(modification)[0] // 1000000

    def get_expiry_date(self, modification=None):
        return moment(self.expiry(modification)[1])

    def get_expire_at_browser_close(self):
        return self.expiry(None)[2]

    # ---- The store

    def create(self):
        self.call("create")

    def save(self, must_create=False):
        self.call("save_new" if must_create else "save")

    def delete(self, session_key=None):
        self.call("delete", session_key)

    def exists(self, session_key):
        return self.call("exists", session_key)

    def flush(self):
        self.call("flush")

    def cycle_key(self):
        self.call("cycle_key")

    @classmethod
    def clear_expired(cls):
        cls().call("clear_expired")
