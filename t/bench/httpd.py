# SPDX-License-Identifier: Apache-2.0
"""An httpd of the benchmark: one target, event MPM, one child, all workloads as locations."""
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

from stores import USER, processes_below, servers

MODULES = "/usr/lib/apache2/modules"
BASE_MODULES = ["mpm_event", "authz_core", "authz_user", "authn_core", "alias", "dir", "env",
                "headers", "mime", "proxy", "proxy_http", "dbd"]
PATIENCE = 60
PATH_LEN = 70  # from the folder of all targets to the pages of one

CONFIG = """
ServerRoot "%(dir)s"
PidFile "%(dir)s/pid"
Listen 127.0.0.1:%(port)d
ServerName localhost
User %(user)s
Group %(user)s
DocumentRoot "%(pages)s"
DefaultRuntimeDir "%(dir)s"
ErrorLog "%(dir)s/error.log"
LogLevel warn
StartServers 1
ServerLimit 1
ThreadsPerChild 40
MaxRequestWorkers 40
ThreadLimit 40
MaxConnectionsPerChild 0
KeepAlive On
MaxKeepAliveRequests 0
TypesConfig /etc/mime.types
AddHandler bench-answer asis
"""

#: the application (answer.c), which frame.work_folder() puts beside the servers' folders
ANSWER = "mod_bench_answer.so"

# What there is to get. The handler is as little as httpd has: a file of six bytes.
PAGES = ["index.txt", "seen/index.txt", "protect/index.txt", "protect/seen/index.txt"]


def wait_until(ready, process, what, logs=()):
    """The end of the process is the failure, and a very late answer; not a slow one."""
    end = time.monotonic() + PATIENCE
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            said = "".join(log.read_text()[-2000:] for log in logs if log.exists())
            raise SystemExit("%s did not get ready\n%s" % (what, said))
        time.sleep(0.02)


def accepts(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Httpd:
    def __init__(self, top, name, target, wrap=(), variant=""):
        self.name, self.target = name, target
        self.dir = top / ("".join(c if c.isalnum() else "-" for c in name) + variant)
        # httpd looks through the path, so that no target's may be longer than another's
        self.pages = self.dir / "htdocs".ljust(PATH_LEN - len(self.dir.name), "-")
        self.port = servers.free_port()
        self.make_site()
        self.callgrind = self.dir / "callgrind.out"
        command = ["/usr/sbin/apache2", "-f", str(self.dir / "httpd.conf")]
        if wrap:
            # One process, as the user that children are: nothing is forked, nobody changes
            command = (["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", "--"]
                       + [word.replace("@OUT@", str(self.callgrind)) for word in wrap] + command + ["-X"])
        else:
            command.append("-DFOREGROUND")
        with open(self.dir / "stderr", "wb") as errors:
            self.process = subprocess.Popen(command, stderr=errors)
        wait_until(lambda: accepts(self.port), self.process, "httpd of " + name,
                   [self.dir / "stderr", self.dir / "error.log"])

    def make_site(self):
        for page in PAGES:
            (self.pages / page).parent.mkdir(parents=True, exist_ok=True)
            (self.pages / page).write_text("hello\n")
        for page in {"write.asis", "make.asis", *self.target.headers}:
            header = self.target.headers.get(page, "Unused: 1")
            (self.pages / page).parent.mkdir(parents=True, exist_ok=True)
            (self.pages / page).write_text("%s\nContent-Type: text/plain\n\nhello\n" % header)
        load = "".join("LoadModule %s_module %s/mod_%s.so\n" % (module, MODULES, module)
                       for module in BASE_MODULES + self.target.modules)
        load += "LoadModule bench_answer_module %s\n" % (self.dir.parent / ANSWER)
        (self.dir / "httpd.conf").write_text(
            load + CONFIG % dict(dir=self.dir, pages=self.pages, port=self.port, user=USER) + self.target.config)
        for path in [self.dir, *self.dir.rglob("*")]:
            os.chmod(path, 0o777 if path.is_dir() else 0o644)

    # ---- asking --------------------------------------------------------------------------------

    def ask(self, path, cookie="", form=None):
        """The answer to one request, as text."""
        head = "%s %s HTTP/1.0\r\nHost: 127.0.0.1:%d\r\nAccept: text/html\r\n" % ("POST" if form else "GET", path,
                                                           self.port)
        head += "Cookie: %s\r\n" % cookie if cookie else ""
        if form:
            head += ("Content-Type: application/x-www-form-urlencoded\r\n"
                     "Content-Length: %d\r\n" % len(form))
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as s:
            s.sendall((head + "\r\n" + (form or "")).encode())
            return s.makefile("rb").read().decode("latin-1")

    def seen(self, path, cookie):
        """What the application saw of the session."""
        found = re.search("^Seen: (.*?)\r$", self.ask(path, cookie), re.M)
        return found.group(1) if found else ""

    # ---- what it has used ----------------------------------------------------------------------

    def processes(self):
        return processes_below(self.process.pid)

    def memory(self):
        """Bytes that are its own: what it has written, not what it shares with files."""
        total = 0
        for pid in self.processes():
            for line in Path("/proc/%d/smaps_rollup" % pid).read_text().splitlines():
                if line.startswith("Private_Dirty:"):
                    total += int(line.split()[1]) * 1024
        return total

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def cpu(pids):
    """Nanoseconds that all threads of these processes have run so far."""
    total = 0
    for pid in pids:
        try:
            for task in Path("/proc/%d/task" % pid).iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        except OSError:
            pass  # ended meanwhile
    return total
