# SPDX-License-Identifier: Apache-2.0
"""
What Django's own tests of sessions assert, under the same names, in our words.

run.py sets `Backend.store` to the class under test and USE_TZ before anything here runs. Twins of
these tests for Django's async functions assert the same; Debian's Django has no such functions.
"""

import unittest
from datetime import timedelta
from unittest import mock

from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.models import Session
from django.core import signing
from django.core.management import call_command
from django.test import override_settings
from django.utils import timezone

UNKNOWN_KEY = "aaaaaaaabbbbbbbbccccccccdddddddd"


class Backend:
    """What is tested."""

    store = None  # the class

    @classmethod
    def backend(cls, session_key=None):
        return cls.store(session_key)

    def setUp(self):
        Session.objects.all().delete()
        self.session = self.backend()

    def again(self):
        """The same session as another request meets it."""
        return self.backend(self.session.session_key)

    def assert_flags(self, accessed, modified):
        self.assertEqual((self.session.accessed, self.session.modified), (accessed, modified),
                         "accessed and modified")

    def saved(self, **data):
        """Put data into the session, save it, and meet it again without flags."""
        self.session.update(data)
        self.session.save()
        self.session = self.again()


class SessionTestsMixin(Backend):

    # ---- Dictionary and flags

    def test_new_session(self):
        self.assert_flags(accessed=False, modified=False)

    def test_get_empty(self):
        self.assertIsNone(self.session.get("cat"))

    def test_store(self):
        self.session["cat"] = "dog"
        self.assertIs(self.session.modified, True)
        self.assertEqual(self.session.pop("cat"), "dog")

    def test_pop(self):
        self.saved(some="value", other=1)
        self.assert_flags(accessed=False, modified=False)
        self.assertEqual(self.session.pop("some"), "value")
        self.assert_flags(accessed=True, modified=True)
        self.assertIsNone(self.session.get("some"))
        self.assertEqual(self.session.get("other"), 1)

    def test_pop_default(self):
        self.assertEqual(self.session.pop("absent", "instead"), "instead")
        self.assert_flags(accessed=True, modified=False)

    def test_pop_default_named_argument(self):
        self.assertEqual(self.session.pop("absent", default="instead"), "instead")
        self.assert_flags(accessed=True, modified=False)

    def test_pop_no_default_keyerror_raised(self):
        with self.assertRaises(KeyError):
            self.session.pop("absent")

    def test_setdefault(self):
        self.assertEqual(self.session.setdefault("cat", "first"), "first")
        self.assert_flags(accessed=True, modified=True)
        self.assertEqual(self.session.setdefault("cat", "second"), "first")
        self.assertEqual(self.session.get("cat"), "first")

    def test_update(self):
        self.saved(kept=1, replaced=1)
        self.session.update({"replaced": 2, "added": 3})
        self.assert_flags(accessed=True, modified=True)
        self.assertEqual(dict(self.session.items()), {"kept": 1, "replaced": 2, "added": 3})

    def test_has_key(self):
        self.saved(some=1)
        self.assertIn("some", self.session)
        self.assertNotIn("other", self.session)
        self.assert_flags(accessed=True, modified=False)

    def test_values(self):
        self.assertEqual(list(self.session.values()), [])
        self.assert_flags(accessed=True, modified=False)
        self.saved(x=1, y="two")
        self.assertEqual(list(self.session.values()), [1, "two"])
        self.assert_flags(accessed=True, modified=False)

    def test_keys(self):
        self.saved(x=1, y=2)
        self.assertEqual(list(self.session.keys()), ["x", "y"])
        self.assert_flags(accessed=True, modified=False)

    def test_items(self):
        self.saved(x=1, y=[2])
        self.assertEqual(list(self.session.items()), [("x", 1), ("y", [2])])
        self.assert_flags(accessed=True, modified=False)

    def test_clear(self):
        self.saved(x=1)
        self.session.clear()
        self.assert_flags(accessed=True, modified=True)
        self.assertEqual(list(self.session.items()), [])

    # ---- Records

    def test_save(self):
        self.session.save()
        self.assertIs(self.session.exists(self.session.session_key), True)

    def test_delete(self):
        self.session.save()
        self.session.delete(self.session.session_key)
        self.assertIs(self.session.exists(self.session.session_key), False)

    def test_flush(self):
        self.session["some"] = "value"
        self.session.save()
        old_key = self.session.session_key
        self.session.flush()
        self.assertIs(self.session.exists(old_key), False)
        self.assertIsNone(self.session.session_key)
        self.assert_flags(accessed=True, modified=True)
        self.assertEqual(list(self.session.items()), [])

    def cycle(self, old_key, items):
        self.session.cycle_key()
        self.assertNotEqual(self.session.session_key, old_key)
        self.assertIs(self.session.exists(old_key), False)
        self.assertEqual(list(self.session.items()), items)
        self.assertEqual(list(self.again().items()), items)

    def test_cycle(self):
        self.session["x"] = 1
        self.session["y"] = [None]
        self.session.save()
        self.cycle(self.session.session_key, list(self.session.items()))

    def test_cycle_with_no_session_cache(self):
        self.saved(x=1, y=[None])
        self.assertIs(self.session.accessed, False)
        self.cycle(self.session.session_key, [("x", 1), ("y", [None])])

    def test_save_doesnt_clear_data(self):
        self.session["x"] = 1
        self.session.save()
        self.assertEqual(self.session["x"], 1)

    def test_session_load_does_not_create_record(self):
        session = self.backend(UNKNOWN_KEY)
        self.assertEqual(session.load(), {})
        self.assertIsNone(session.session_key)
        self.assertIs(session.exists(UNKNOWN_KEY), False)
        self.assertEqual(Session.objects.count(), 0)

    def test_session_save_does_not_resurrect_session_logged_out_in_other_context(self):
        self.session["here"] = 1
        self.session.save()
        here, elsewhere = self.again(), self.again()
        self.assertEqual(here["here"], 1)
        elsewhere.flush()
        here["here"] = 2
        with self.assertRaises(UpdateError):
            here.save()
        self.assertEqual(self.again().load(), {})
        self.assertEqual(Session.objects.count(), 0)

    # ---- Keys

    def test_invalid_key(self):
        session = self.backend("1")
        self.addCleanup(session.delete)
        session.save()
        self.assertNotEqual(session.session_key, "1")
        self.assertIsNone(session.get("cat"))

    def test_session_key_empty_string_invalid(self):
        self.assertIsNone(self.backend("").session_key)

    def test_session_key_too_short_invalid(self):
        self.assertIsNone(self.backend("1234567").session_key)

    def test_session_key_valid_string_saved(self):
        self.assertEqual(self.backend("12345678").session_key, "12345678")

    def test_session_key_is_read_only(self):
        with self.assertRaises(AttributeError):
            self.session.session_key = UNKNOWN_KEY

    # ---- Expiry

    def cookie_age(self):
        return settings.SESSION_COOKIE_AGE

    def assert_ends_after(self, seconds, modification):
        """Age and date are as if the session was last changed at `modification`."""
        self.assertEqual(self.session.get_expiry_date(modification=modification),
                         modification + timedelta(seconds=seconds))
        self.assertEqual(self.session.get_expiry_age(modification=modification), seconds)

    def test_default_expiry(self):
        self.assertEqual(self.session.get_expiry_age(), self.cookie_age())
        self.session.set_expiry(0)
        self.assertEqual(self.session.get_expiry_age(), self.cookie_age())

    def test_custom_expiry_seconds(self):
        self.session.set_expiry(10)
        self.assert_ends_after(10, timezone.now())

    def test_custom_expiry_timedelta(self):
        modification = timezone.now()
        with mock.patch("django.utils.timezone.now", return_value=modification):
            self.session.set_expiry(timedelta(seconds=10))
        self.assert_ends_after(10, modification)

    def test_custom_expiry_datetime(self):
        modification = timezone.now()
        self.session.set_expiry(modification + timedelta(seconds=10))
        self.assert_ends_after(10, modification)

    def test_custom_expiry_reset(self):
        for expiry in (None, 10, None):
            self.session.set_expiry(expiry)
        self.assertEqual(self.session.get_expiry_age(), self.cookie_age())

    def test_get_expire_at_browser_close(self):
        for setting in (False, True):
            with self.subTest(setting=setting), \
                    override_settings(SESSION_EXPIRE_AT_BROWSER_CLOSE=setting):
                for expiry, close in ((10, False), (0, True), (None, setting)):
                    self.session.set_expiry(expiry)
                    self.assertIs(self.session.get_expire_at_browser_close(), close)

    def test_actual_expiry(self):
        self.session["x"] = 1
        self.session.set_expiry(-timedelta(seconds=10))
        self.session.save()
        self.assertIs(self.session.exists(self.session.session_key), True)
        self.assertNotIn("x", self.again())

    # ---- Stored texts

    def test_decode(self):
        data = {"a test key": "a test value", "more": [1.5, None, "\u20ac"]}
        self.assertEqual(self.session.decode(self.session.encode(data)), data)

    def test_decode_failure_logged_to_security(self):
        for text in ("flaskdj:alkdjf", "no separator"):
            with self.subTest(text=text), \
                    self.assertLogs("django.security.SuspiciousSession", "WARNING") as log:
                self.assertEqual(self.session.decode(text), {})
            self.assertEqual([record.getMessage() for record in log.records],
                             ["Session data corrupted"])

    def test_decode_serializer_exception(self):
        signer = signing.TimestampSigner(salt="django.contrib.sessions.SessionStore")
        text = signer.sign(signing.b64_encode(b"flaskdj").decode())
        self.assertEqual(self.session.decode(text), {})


class DatabaseTests(SessionTestsMixin):
    """What Django's database classes share."""

    def row(self):
        return Session.objects.get(pk=self.session.session_key)

    def test_session_str(self):
        self.session["x"] = 1
        self.session.save()
        self.assertEqual(str(self.row()), self.session.session_key)

    def test_session_get_decoded(self):
        self.session["x"] = 1
        self.session.save()
        self.assertEqual(self.row().get_decoded(), {"x": 1})

    def test_sessionmanager_save(self):
        self.session["y"] = 1
        self.session.save()
        row = self.row()
        Session.objects.save(row.session_key, {"y": 2}, row.expire_date)
        self.assertEqual(self.again()["y"], 2)

    def test_clearsessions_command(self):
        self.session["live"] = 1
        self.session.set_expiry(3600)
        self.session.save()
        expired = self.backend()
        expired["expired"] = 1
        expired.set_expiry(-3600)
        expired.save()
        self.assertEqual(Session.objects.count(), 2)
        call_command("clearsessions")
        self.assertEqual([row.session_key for row in Session.objects.all()],
                         [self.session.session_key])


class DatabaseSessionTests(DatabaseTests, unittest.TestCase):
    use_tz = False


class DatabaseSessionWithTimeZoneTests(DatabaseTests, unittest.TestCase):
    use_tz = True


class CustomDatabaseSessionTests(DatabaseTests, unittest.TestCase):
    """A site's own subclass, whose sessions live for a day."""

    use_tz = False
    age = 24 * 60 * 60

    @classmethod
    def backend(cls, session_key=None):
        class DailySessionStore(cls.store):
            options = ("--session-cookie-age", f"{cls.age}")

            def get_session_cookie_age(self):
                return cls.age

        return DailySessionStore(session_key)

    def cookie_age(self):
        return self.age

    def test_custom_expiry_reset(self):
        super().test_custom_expiry_reset()
        self.assert_row_ends_after(self.age)

    def test_default_expiry(self):
        super().test_default_expiry()
        self.assert_row_ends_after(self.age)

    def assert_row_ends_after(self, seconds):
        """And the row says so, too."""
        before = timezone.now()
        self.session.save()
        left = self.row().expire_date - before
        self.assertTrue(timedelta(0) <= left - timedelta(seconds=seconds) < timedelta(minutes=5))
