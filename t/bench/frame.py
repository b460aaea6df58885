# SPDX-License-Identifier: Apache-2.0
"""What the benchmark's programs have in common: the module to measure, a folder, a report with its heading."""
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from httpd import ANSWER
from stores import SRC

HERE = SRC / "t" / "bench"

#: Debian's packages of what takes part, for the heading
PACKAGES = ["apache2", "libssl3", "zlib1g", "libdeflate0", "libisal2", "postgresql-15", "libsqlite3-0",
            "memcached", "redis-server", "python3-django", "libapache2-mod-auth-openidc",
            "libapache2-mod-wsgi-py3"]


def say(text):
    print(text, file=sys.stderr, flush=True)


def add_common_options(parser):
    parser.add_argument("--quick", action="store_true", help="does it run at all; the figures mean nothing")
    parser.add_argument("--build", default=os.environ.get("DJS_BUILD", SRC / ".build" / "gcc"))
    parser.add_argument("--write", action="store_true", help="into t/bench, too")


def find_module(build):
    found = sorted(Path(build).rglob("mod_django_session.so"))
    if not found:
        raise SystemExit("no mod_django_session.so below %s: run build/make first" % build)
    return found[0]


def make_answer(build, top):
    """The application's module, into this folder."""
    subprocess.run(["make", "-s", "-C", str(build), "t/bench/mod_bench_answer.la"], check=True,
                   stdout=subprocess.DEVNULL)
    shutil.copy(Path(build) / "t" / "bench" / ".libs" / ANSWER, top)


def end(*_):
    """An end by a signal is not the failure of what is being measured, after which the next would be."""
    raise KeyboardInterrupt


@contextmanager
def work_folder(build):
    """A folder that other accounts can read, and in it the module and the application. It goes away,
    however this ends."""
    signal.signal(signal.SIGTERM, end)
    with tempfile.TemporaryDirectory(prefix="djs-bench-") as top:
        os.chmod(top, 0o755)
        make_answer(build, top)
        yield Path(top), shutil.copy(find_module(build), top)


def processor():
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return found.group(1) if found else platform.machine()


def versions():
    out = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n"] + PACKAGES,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                         universal_newlines=True).stdout
    return ", ".join(line for line in out.splitlines() if " " in line.strip())


def load():
    return os.getloadavg()[0]


def heading(title, program, load_before):
    """@load_before: of the machine, before anything was started."""
    return ("# %s\n\nMade by `t/bench/%s` on %s: %d cores (%s), Linux %s, load before it %.1f. %s. What is "
            "measured and how: [README.md](README.md).\n"
            % (title, program, date.today(), os.cpu_count(), processor(), platform.release(),
               load_before, versions()))


class Report:
    """Sections, each of which may be set anew. All of it is written each time: an end too early loses
    nothing of what was measured."""

    def __init__(self, path, first):
        self.path, self.first, self.sections = path, first, {}

    def set(self, heading, text):
        self.sections[heading] = text
        if self.path:
            self.path.write_text(self.text())

    def text(self):
        return "\n".join([self.first] + ["## %s\n\n%s\n" % pair for pair in self.sections.items()
                                       if pair[1]])
