# SPDX-License-Identifier: Apache-2.0
"""
A session engine for Django that keeps its sessions with djsession.

SESSION_ENGINE = "django_engine.through_djsession"; settings.DJSESSION is the command line of the
tool with its options, which have to say the same as Django's settings. It is slow, a process for
each access; it is there to show that djsession keeps Django's rules.
"""

import json
import logging
from datetime import datetime

import django
from django.conf import settings
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError

from django_engine.tool import ALREADY_THERE, DONE, NOT_FOUND, UNREADABLE, djsession

# Django 4.1 and later keep an end that is a date-time as text; before, JSON could not hold it.
EXPIRY_IS_TEXT = django.VERSION >= (4, 1)


def dumps(data):
    return json.dumps(data, separators=(",", ":"), default=datetime.isoformat)


def loads(text):
    data = json.loads(text)
    if not EXPIRY_IS_TEXT and isinstance(data, dict):
        expiry = data.get("_session_expiry")
        if isinstance(expiry, str):
            data["_session_expiry"] = datetime.fromisoformat(expiry)
    return data


class Encoding:
    """encode() and decode() of Django's SessionBase by djsession."""

    options = ()  # of djsession, beside those of the settings

    def encode(self, session_dict):
        # Django 3.1 and 3.2 can be told to write for older ones.
        sha1 = getattr(settings, "DEFAULT_HASHING_ALGORITHM", None) == "sha1"
        return djsession("encode", *(["--legacy"] if sha1 else []), options=self.options,
                         given=dumps(session_dict))[1]

    def decode(self, session_data):
        code, text = djsession("decode", options=self.options, given=session_data,
                               expected=(DONE, UNREADABLE))
        if code == UNREADABLE:
            logging.getLogger("django.security.SuspiciousSession").warning("Session data corrupted")
            return {}
        return loads(text)


class SessionStore(Encoding, SessionBase):

    def call(self, *words, given="", expected=(DONE,)):
        return djsession(*words, options=self.options, given=given, expected=expected)

    def load(self):
        code, text = self.call("get", "-", given=f"{self.session_key}\n",
                               expected=(DONE, NOT_FOUND, UNREADABLE))
        if code == NOT_FOUND:
            self._session_key = None
        return loads(text) if code == DONE else {}

    def exists(self, session_key):
        code, _ = self.call("exists", "-", given=f"{session_key}\n", expected=(DONE, NOT_FOUND))
        return code == DONE

    def create(self):
        data = self._get_session(no_load=True)
        _, self._session_key = self.call("create", "-", given=dumps(data))
        self.modified = True

    def save(self, must_create=False):
        if self.session_key is None:
            self.create()
            return
        data = self._get_session(no_load=must_create)
        option = ("--must-create",) if must_create else ()
        code, _ = self.call("save", "-", "-", *option, given=f"{self.session_key}\n{dumps(data)}",
                            expected=(DONE, NOT_FOUND, ALREADY_THERE))
        if code == ALREADY_THERE:
            raise CreateError
        if code == NOT_FOUND:
            raise UpdateError

    def delete(self, session_key=None):
        session_key = session_key or self.session_key
        if session_key is not None:
            self.call("delete", "-", given=f"{session_key}\n", expected=(DONE, NOT_FOUND))

    @classmethod
    def clear_expired(cls):
        djsession("clearsessions", options=cls.options)
