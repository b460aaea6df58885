# SPDX-License-Identifier: Apache-2.0
"""build/demo, as its reader starts it: it works, and leaves nothing behind."""
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

import harness

DEMO = str(harness.SRC / "build" / "demo")


@pytest.fixture
def folder():
    """Where the demo puts its temporary folder, so that what it leaves is seen."""
    made = harness.Folder("demo")
    yield made.path
    made.close()


def environment(folder):
    # Its own servers are not what a sanitizer or memcheck of these tests looks at.
    unwanted = ("LD_PRELOAD", "DJS_WRAP", "DJS_PRELOAD")
    return dict({k: v for k, v in os.environ.items() if k not in unwanted}, TMPDIR=str(folder))


def is_alive(pid):
    """Not gone, and no zombie that waits for an init that this machine may not have."""
    try:
        stat = Path("/proc/%d/stat" % pid).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rsplit(")", 1)[1].split()[0] not in "ZX"


def descendants(pid):
    """All that a process started, and what those started."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rsplit(")", 1)[1].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            pass  # ended meanwhile
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def test_once_walks_through_and_tells_each_step(folder):
    done = subprocess.run([DEMO, "--once"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, env=environment(folder))
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    steps = [line for line in lines if line.startswith("ok ")]
    assert len(steps) >= 12 and lines[-1] == "all of it worked", done.stdout
    assert not [line for line in lines if line.startswith("FAIL")], done.stdout
    for what in ("logs in", "changes the Django session", "Django's page shows", "logs out"):
        assert [line for line in steps if what in line], (what, done.stdout)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_of_it(folder, number):
    demo = subprocess.Popen([DEMO], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            universal_newlines=True, env=environment(folder))
    try:
        said = ""
        for line in demo.stdout:
            said += line
            if line.startswith("Ctrl-C"):
                break
        port = re.search(r"http://127\.0\.0\.1:(\d+)", said)
        assert port, said
        assert len(list(folder.iterdir())) == 1
        assert harness.Client(int(port.group(1)), harness.Secrets()).get("/").status == 200
        started = descendants(demo.pid)
        names = {Path("/proc/%d/comm" % pid).read_text().strip() for pid in started}
        assert {"apache2", "python3"} <= names and len(started) > 4, names
        demo.send_signal(number)
        said = demo.stdout.read()
        status = demo.wait(harness.PATIENCE)
    finally:
        demo.kill()
        demo.wait()
        demo.stdout.close()
    assert status == (0 if number == signal.SIGINT else 128 + number), said
    harness.wait_until(lambda: not any(map(is_alive, started)), "the demo's servers to end")
    assert list(folder.iterdir()) == []


def test_a_walk_that_was_interrupted_is_no_success(folder):
    demo = subprocess.Popen([DEMO, "--once"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            universal_newlines=True, env=environment(folder))
    try:
        said = ""
        for line in demo.stdout:
            said += line
            if line.startswith("ok "):
                break
        demo.send_signal(signal.SIGINT)
        said += demo.stdout.read()
        status = demo.wait(harness.PATIENCE)
    finally:
        demo.kill()
        demo.wait()
        demo.stdout.close()
    assert "all of it worked" not in said and status == 128 + signal.SIGINT, said
    assert list(folder.iterdir()) == []


def test_a_misspelt_option_is_told_before_anything_else(folder):
    done = subprocess.run([DEMO, "--onec"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, env=environment(folder))
    assert (done.returncode, done.stdout) == (2, "usage: build/demo [--once]\n")
