#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Run Django's session behaviour on one database.

    run.py STORE USE-TZ DRIVER PARAMS

STORE     djsession: Django's SessionBase on an engine that calls djsession
          own: our SessionBase
USE-TZ    on, off
DRIVER, PARAMS as DBDriver and DBDParams; Django's tables are there. All sessions are deleted.

Prints one line of JSON a test: {"test": "Class.name", "failed": null or the traceback}. DJS_BUILD is
the top of the build.
"""

import json
import os
import sys
import tempfile
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

SECRET_KEY = "of-the-behaviour-tests-%Q$7"
TIME_ZONE = "Europe/Paris"
STORES = {"djsession": "django_engine.through_djsession", "own": "django_engine.own_session"}


def write_directives(path, use_tz, driver, params):
    """The same settings for our side."""
    path.write_text(f"""# made by {Path(__file__).name}
DBDriver  {driver}
DBDParams "{params}"
DjangoSecretKey '{SECRET_KEY}'
DjangoUseTZ {'On' if use_tz else 'Off'}
DjangoTimeZone {TIME_ZONE}
DjangoSessionStoreTimeout 60s
""")


def database(driver, params):
    """The database as Django's settings name it."""
    if driver == "sqlite3":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": params}
    named = dict(word.split("=", 1) for word in params.split())
    return {"ENGINE": "django.db.backends.postgresql", "NAME": named["dbname"],
            "HOST": named["host"], "PORT": named["port"], "USER": named["user"]}


def configure(store, use_tz, driver, params, directives):
    import django
    from django.conf import settings

    build = Path(os.environ["DJS_BUILD"])
    settings.configure(
        DATABASES={"default": database(driver, params)},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=["django.contrib.sessions"], SECRET_KEY=SECRET_KEY, USE_TZ=use_tz,
        TIME_ZONE=TIME_ZONE, SESSION_ENGINE=STORES[store],
        DJSESSION=[str(build / "djsession"), "--config", str(directives)],
        SESSION_DRIVER=[str(build / "t/unit/session_driver"), "--config", str(directives)])
    # As Django does it for a module of settings.
    os.environ["TZ"] = TIME_ZONE
    time.tzset()
    django.setup()


class Report(unittest.TestResult):
    """A line of JSON for each test."""

    def startTest(self, test):
        super().startTest(test)
        self.trace = None

    def note(self, error):
        self.trace = (self.trace or "") + self._exc_info_to_string(error, self.current)

    def run_one(self, test):
        self.current = test
        test.run(self)
        print(json.dumps({"test": f"{type(test).__name__}.{test._testMethodName}",
                          "failed": self.trace}), flush=True)

    def addError(self, test, error):
        self.note(error)

    def addFailure(self, test, error):
        self.note(error)

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.note(error)

    def addSkip(self, test, reason):
        self.trace = f"skipped: {reason}"


def tests(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests(test)
        else:
            yield test


def main():
    store, use_tz, driver, params = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        directives = Path(folder) / "directives.conf"
        write_directives(directives, use_tz == "on", driver, params)
        configure(store, use_tz == "on", driver, params, directives)

        from importlib import import_module

        from django_engine import behaviour

        behaviour.Backend.store = import_module(STORES[store]).SessionStore
        report = Report()
        for test in tests(unittest.defaultTestLoader.loadTestsFromModule(behaviour)):
            if test.use_tz == (use_tz == "on"):
                report.run_one(test)


if __name__ == "__main__":
    main()
