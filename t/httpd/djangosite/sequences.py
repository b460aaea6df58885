# SPDX-License-Identifier: Apache-2.0
"""
Django's side of t/httpd/differential.py: an engine, a page that does what a step says, and whole
requests through Django's handler.
"""
import datetime
import io
import json
import logging

from django.conf import settings
from django.contrib.sessions.backends import db
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.db.backends.signals import connection_created
from django.http import HttpResponse
from django.test import override_settings
from django.urls import re_path

import differential


class SessionStore(db.SessionStore):
    """With dates in `_session_expiry` as Django has them from 4.1 on: ISO 8601 text."""

    def expiry(self):
        stored = self.get("_session_expiry")
        return datetime.datetime.fromisoformat(stored) if isinstance(stored, str) else stored

    def get_expiry_age(self, **known):
        known.setdefault("expiry", self.expiry())
        return super().get_expiry_age(**known)

    def get_expiry_date(self, **known):
        known.setdefault("expiry", self.expiry())
        return super().get_expiry_date(**known)


def operate(session, name, value):
    if name in ("flush", "clear", "cycle_key"):
        getattr(session, name)()
    elif name == "set":
        session.update(value)
    elif name == "delete":
        for key in value:
            session.pop(key, None)
    elif name == "expiry":
        session.set_expiry(value)
    elif name == "test_cookie":
        session.set_test_cookie()
    for key, operand in value.items() if name in ("setdefault", "increment", "append") else ():
        if name == "setdefault":
            session.setdefault(key, operand)
        elif name == "increment":
            session[key] = session.get(key, 0) + operand
        else:
            session[key] = session.get(key, []) + [operand]


def page(request):
    step = json.loads(request.META["HTTP_X_STEP"])
    if step["look"]:
        request.session.get("a")
    for name in differential.ORDER:
        if name in step["do"] and (step["status"] < 500 or "insist" in step):
            operate(request.session, name, step["do"][name])
    return HttpResponse("answered", status=step["status"])


urlpatterns = [re_path("", page)]


class Side:
    def __init__(self):
        self.application = get_wsgi_application()

    def execute(self, sql, args):
        with connection.cursor() as cursor:
            cursor.execute(sql, args)
            return cursor.fetchall() if cursor.description else []

    def request(self, variant, cookie, step):
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SERVER_NAME": "localhost",
                   "SERVER_PORT": "80", "wsgi.input": io.BytesIO(), "wsgi.url_scheme": "http",
                   "HTTP_X_STEP": json.dumps(step)}
        if cookie:
            environ["HTTP_COOKIE"] = cookie
        got = {}

        def start(status, headers):
            got.update(status=int(status.split()[0]), headers=headers)

        with override_settings(**differential.VARIANTS[variant][0]):
            answer = self.application(environ, start)
            body = b"".join(answer)
            answer.close()
        headers = got["headers"]
        return (got["status"], [value.strip() for name, value in headers if name == "Set-Cookie"],
                any("Cookie" in value for name, value in headers if name == "Vary"), body)


def hurry(connection, **_):
    connection.cursor().execute(differential.IN_A_HURRY)


def decode(text):
    return None if text is None else SessionStore().decode(text)


def run(sequences):
    connection_created.connect(hurry)
    connection.close()
    side = Side()
    seen = [differential.play(side, sequence) for sequence in sequences]
    for steps in seen:
        for step in steps:
            step["stored"] = decode(step["stored"])
    return seen


assert settings.SESSION_ENGINE == __name__
logging.disable(logging.CRITICAL)  # of each status that is no 200
