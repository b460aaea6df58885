# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests. What they give is in harness.py."""
import os
import re
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import harness  # noqa: E402

#: DJS_KINDS: those of the databases that a test is run on for each
KINDS = os.environ.get("DJS_KINDS", "sqlite postgresql mariadb").split()
#: seconds after which a test hangs and not only waits: it fails, and the stacks of all threads are shown
LIMIT = 3600 if os.environ.get("DJS_WRAP") else 300
#: what takes longest, longest first: what is left for the end would keep one worker waiting
LONG = ["test_hostile", "test_session", "test_browser", "test_store_outage", "test_restarts",
        "test_update", "test_djsession", "test_lifecycle", "test_auth", "test_policy", "test_matrix"]


def pytest_configure(config):
    """An end by a signal, a time limit's for example, is an end, too: what was started is stopped."""
    def leave(number, _):
        signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt("signal %d" % number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    if not config.pluginmanager.hasplugin("timeout"):
        config.addinivalue_line("markers", "timeout: of pytest-timeout, without which nothing ends a hang")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LIMIT))
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


def pytest_terminal_summary(terminalreporter):
    """What test_matrix.py found, as a table of its own. build/check shows it."""
    cells = {}  # (store, direction), in the order of the tests; the worst outcome is the last
    for outcome in ("", "passed", "skipped", "error", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            found = re.search(r"::test_django_and_the_module_share_sessions\[(.*)-(.*)\]$",
                              getattr(report, "nodeid", ""))
            if found:
                cells[found.groups()] = outcome
    if not cells:
        return
    stores, directions = (list(dict.fromkeys(part)) for part in zip(*cells))
    lines = [[""] + directions]
    lines += [[store] + [cells.get((store, d), "-") for d in directions] for store in stores]
    widths = [max(map(len, column)) for column in zip(*lines)]
    terminalreporter.section("the matrix")
    for line in lines:
        terminalreporter.write_line("  ".join(map(str.ljust, line, widths)).rstrip())


@pytest.fixture(scope="session")
def databases():
    made = harness.Databases()
    yield made
    made.close()


@pytest.fixture
def make_site(databases):
    """make_site(kind="sqlite", **Django settings)"""
    sites = []

    def make(kind="sqlite", **settings):
        sites.append(harness.Site(databases.get(kind), **settings))
        return sites[-1]

    yield make
    problems = []
    for site in sites:
        try:
            site.close()
        except AssertionError as problem:
            problems.append(str(problem))
    assert not problems, "\n".join(problems)


@pytest.fixture
def site(make_site):
    """A site on SQLite."""
    return make_site()


@pytest.fixture(params=KINDS)
def each_site(request, make_site):
    """A site on each database in turn."""
    return make_site(request.param)
