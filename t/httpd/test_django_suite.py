# SPDX-License-Identifier: Apache-2.0
"""
What Django's own session tests assert, through djsession and on our session object: t/django_engine.
"""

import json
import os
import subprocess

import pytest

import harness
from django_engine import names

RUN = harness.SRC / "t" / "django_engine" / "run.py"

#: which classes a run has: Django's two differ in USE_TZ alone
CLASSES = {
    "off": ["DatabaseSessionTests", "CustomDatabaseSessionTests"],
    "on": ["DatabaseSessionWithTimeZoneTests"],
}
BEHAVIOURS = [
    pytest.param(store, kind, use_tz, f"{test_class}.{name}",
                 id=f"{store}-{kind}-{test_class}-{name}")
    for store in ("djsession", "own")
    for kind in ("sqlite", "postgresql")
    for use_tz, classes in CLASSES.items()
    for test_class in classes
    for name in names.wanted(test_class)
]


class Outcomes:
    """A process runs all behaviour of a store on a database; each test here looks up its own."""

    def __init__(self, databases):
        self.databases = databases
        self.runs = {}

    def run(self, store, kind, use_tz):
        database = self.databases.get(kind)
        done = subprocess.run([str(RUN), store, use_tz, *database.dbd], stdout=subprocess.PIPE,
                              env=dict(os.environ, DJS_BUILD=str(harness.BUILD)),
                              universal_newlines=True, **harness.identity())
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 0, f"after {len(lines)} tests"
        return {line["test"]: line["failed"] for line in lines}

    def get(self, *run):
        if run not in self.runs:
            self.runs[run] = self.run(*run)
        return self.runs[run]


@pytest.fixture(scope="module")
def outcomes(databases):
    return Outcomes(databases)


@pytest.mark.parametrize("store, kind, use_tz, name", BEHAVIOURS)
def test_behaviour(outcomes, store, kind, use_tz, name):
    failed = outcomes.get(store, kind, use_tz)[name]
    assert failed is None, failed


def test_no_behaviour_has_a_name_that_django_lacks(outcomes):
    """So that a misspelt name is not one behaviour less and another one more."""
    for use_tz, classes in CLASSES.items():
        known = {f"{c}.{name}" for c in classes for name in names.wanted(c)}
        assert set(outcomes.get("djsession", "sqlite", use_tz)) == known


def test_every_class_of_djangos_is_run():
    assert sorted(c for classes in CLASSES.values() for c in classes) == sorted(names.CLASSES)


def test_the_list_of_names_is_whole():
    """The counts of Django 5.1."""
    assert (len(names.MIXIN), len(names.DATABASE), len(names.CUSTOM)) == (65, 5, 5)
    assert len(set(names.MIXIN + names.DATABASE)) == 70
