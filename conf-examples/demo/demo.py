# SPDX-License-Identifier: Apache-2.0
"""
Start the demo's servers, say where they are, stop them. build/demo calls this.

    demo.py BUILD [--once]
"""
import ctypes
import html
import http.client
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

HERE = Path(__file__).resolve().parent
ACCOUNT = "www-data"
MODULES = "/usr/lib/apache2/modules"
PR_SET_PDEATHSIG = 1
START_WITHIN = 60  # seconds
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def free_port(wanted=0):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return free_port()
        return probe.getsockname()[1]


def is_open(address):
    """Whether somebody listens there: a path, or host and port."""
    family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
    with socket.socket(family) as probe:
        return probe.connect_ex(address) == 0


def die_with_parent():
    """In a child, before its program: even kill -9 of the demo leaves nothing running."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Demo:
    """The servers and their folder."""

    def __init__(self, build):
        self.build = Path(build)
        self.dir = Path(tempfile.mkdtemp(prefix="django-session-demo-"))
        self.processes = []
        self.port = free_port(8080)
        self.users = {name: name + "-" + secrets.token_hex(3) for name in ("ada", "grace")}
        account = pwd.getpwnam(ACCOUNT)
        if os.geteuid() == 0:
            os.chown(self.dir, account.pw_uid, account.pw_gid)
            self.unprivileged = {"user": account.pw_uid, "group": account.pw_gid,
                                 "extra_groups": []}
        else:
            self.unprivileged = {}

    def start_process(self, *command, **options):
        """In a session of its own, so that Ctrl-C is ours alone to handle."""
        log = open(self.dir / "servers.log", "ab")
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log, start_new_session=True,
                                   preexec_fn=die_with_parent, **options)
        log.close()
        self.processes.append(process)
        return process

    def wait_for(self, address, process, what):
        end = time.monotonic() + START_WITHIN
        while not is_open(address):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit("%s did not start:\n%s" % (what, self.logs()))
            time.sleep(0.05)

    def logs(self):
        """The end of what the servers said; their files go when the demo ends."""
        files = [self.dir / "servers.log", self.dir / "error.log"]
        return "".join(f.read_text("utf-8", "replace")[-3000:] for f in files if f.exists())

    def make_key(self):
        """The key that Django and the module share; httpd reads its file as root."""
        key = subprocess.run([str(self.build / "djsession"), "secret"], check=True,
                             stdout=subprocess.PIPE, universal_newlines=True).stdout.strip()
        path = self.dir / "secret-key"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
            out.write(key + "\n")
        return key

    def write_config(self):
        module = sorted(self.build.rglob("mod_django_session.so"))[0]
        values = {"DIR": self.dir, "PORT": self.port, "USER": ACCOUNT, "MODULES": MODULES,
                  "MODULE": module, "DEMO": HERE}
        text = (HERE / "httpd.conf.in").read_text()
        for name, value in values.items():
            text = text.replace("@%s@" % name, str(value))
        (self.dir / "httpd.conf").write_text(text)

    def start(self):
        environment = dict(os.environ, DEMO_SECRET_KEY=self.make_key(),
                           DEMO_DATABASE=str(self.dir / "db.sqlite3"),
                           DEMO_USERS=" ".join("%s=%s" % user for user in self.users.items()))
        sockets = [str(self.dir / name) for name in ("django.sock", "app.sock")]
        django = self.start_process("/usr/bin/python3", "-B", HERE / "site" / "serve.py",
                                    sockets[0], env=environment, **self.unprivileged)
        app = self.start_process("/usr/bin/python3", "-B", HERE / "app.py", sockets[1],
                                 **self.unprivileged)
        self.write_config()
        # The database is there once Django listens.
        self.wait_for(sockets[0], django, "Django")
        self.wait_for(sockets[1], app, "the proxied application")
        httpd = self.start_process("/usr/sbin/apache2", "-f", self.dir / "httpd.conf",
                                   "-DFOREGROUND")
        self.wait_for(("127.0.0.1", self.port), httpd, "httpd")

    def stop(self):
        """All of it, however impatient the reader: a second Ctrl-C changes nothing."""
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def stay(self):
        """Until a signal, or until one of the servers ends by itself."""
        while all(process.poll() is None for process in self.processes):
            time.sleep(0.5)
        raise SystemExit("a server ended by itself:\n" + self.logs())


# ---- the walk -----------------------------------------------------------------------------------

class Browser:
    """As much of one as the walk needs: cookies, forms, redirects one at a time."""

    def __init__(self, port):
        self.port, self.cookies = port, {}

    def request(self, method, path, form=None, forged=()):
        headers = {"Accept": "text/html", "Referer": "http://127.0.0.1:%d/" % self.port,
                   **dict(forged)}
        if self.cookies:
            headers["Cookie"] = "; ".join("%s=%s" % cookie for cookie in self.cookies.items())
        body = urllib.parse.urlencode(form) if form is not None else None
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, value = line.split(";")[0].split("=", 1)
            if "Max-Age=0" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        connection.close()
        location = answer.headers.get("Location") or ""
        return answer.status, urllib.parse.unquote(re.sub(r"^http://[^/]+", "", location)), text

    def get(self, path):
        return self.request("GET", path)

    def post(self, path, **form):
        """With the token of the page's own form, as a browser would."""
        page = self.get(path)[2]
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        if token:
            form["csrfmiddlewaretoken"] = token.group(1)
        return self.request("POST", path, form)


class Walk:
    """One step a line; the first that fails ends it."""

    def __init__(self, demo):
        self.demo, self.browser = demo, Browser(demo.port)

    def step(self, what, condition, seen):
        print("%s %s" % ("ok  " if condition else "FAIL", what), flush=True)
        if not condition:
            raise SystemExit("what came instead: %r\n%s" % (seen, self.demo.logs()))

    def log_in(self):
        go = self.browser
        seen = go.get("/legacy/shop.pl")
        self.step("the Perl shop sends a stranger to Django's login page",
                  seen[0] == 302 and seen[1] == "/accounts/login/?next=/legacy/shop.pl", seen)
        seen = go.post(seen[1], username="ada", password="wrong", next="/legacy/shop.pl")
        self.step("a wrong password is refused by Django", seen[0] == 200, seen)
        seen = go.post("/accounts/login/", username="ada", password=self.demo.users["ada"],
                       next="/legacy/shop.pl")
        self.step("ada logs in at Django, and is sent back to the shop",
                  seen[0] == 302 and seen[1] == "/legacy/shop.pl", seen)

    def use_legacy(self):
        go = self.browser
        seen = go.get("/legacy/shop.pl")
        self.step("the Perl shop knows ada", seen[0] == 200 and "Good day, ada" in seen[2], seen)
        seen = go.get("/legacy/hello.sh")
        self.step("the shell program greets her", "<h1>Hello, ada</h1>" in seen[2], seen)
        seen = go.get("/legacy/office.sh")
        self.step("what is for grace alone answers 403, and no login page", seen[0] == 403, seen)

    def change_cart(self):
        go = self.browser
        seen = go.request("POST", "/legacy/shop.pl", {"add": "apples"})
        self.step("she puts apples in the cart: the Perl program changes the Django session",
                  seen[0] == 303, seen)
        seen = go.get("/cart/")
        self.step("Django's page shows the apples",
                  re.search(r"<td>apples</td><td class=\"n\">1</td>", seen[2]), seen)
        seen = go.post("/cart/", item="pears")
        self.step("Django adds pears", seen[0] == 302, seen)
        seen = go.get("/legacy/shop.pl")
        self.step("the Perl shop shows the pears", "pears: 1" in seen[2], seen)
        seen = go.get("/inspect/")
        told = html.unescape(seen[2])
        self.step("the proxied application is told user and session, and not given the cookie",
                  "<code>ada</code>" in told and '"cart":{"apples":1,"pears":1}' in told
                  and "was not passed on" in told, seen)

    def forge(self):
        go = self.browser
        forged = {"Django-User": "grace", "Django_User": "grace"}
        seen = go.request("GET", "/inspect/", forged=forged)
        self.step("headers that pretend to be grace do not reach the application",
                  "<code>ada</code>" in seen[2] and "grace" not in seen[2], seen)
        seen = Browser(self.demo.port).request("GET", "/inspect/", forged=forged)
        self.step("and let no stranger in", seen[0] == 302, seen)

    def log_out(self):
        go = self.browser
        cookies = dict(go.cookies)
        seen = go.request("POST", "/accounts/logout/", {
            "csrfmiddlewaretoken": re.search(r'csrfmiddlewaretoken" value="([^"]+)"',
                                             go.get("/")[2]).group(1)})
        self.step("she logs out at Django", seen[0] == 302 and "sessionid" not in go.cookies, seen)
        seen = go.get("/legacy/shop.pl")
        self.step("the Perl shop is closed to her again",
                  seen[0] == 302 and seen[1].startswith("/accounts/login/"), seen)
        go.cookies = cookies
        seen = go.get("/legacy/shop.pl")
        self.step("also to the cookie that she had",
                  seen[0] == 302 and seen[1].startswith("/accounts/login/"), seen)

    def run(self):
        self.log_in()
        self.use_legacy()
        self.change_cart()
        self.forge()
        self.log_out()


WELCOME = """
The demo is at   http://127.0.0.1:{port}/

  user      password
  ada       {ada}
  grace     {grace}

Try: open the Shop without a login; log in as ada; put apples in the cart there and look at Django's
Cart page; add pears in Django and look at the Shop; see what the Inspector is told; open the Office
as ada (403) and as grace; log out.

httpd's configuration and logs: {dir}
Ctrl-C stops everything.
"""


def stop_on_signals():
    def leave(number, _):
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    for number in SIGNALS:
        signal.signal(number, leave)


def main():
    if sys.argv[2:] not in ([], ["--once"]):
        raise SystemExit("usage: build/demo [--once]")
    stop_on_signals()
    demo = Demo(sys.argv[1])
    is_up = False
    try:
        demo.start()
        if sys.argv[2:]:
            Walk(demo).run()
            print("all of it worked")
        else:
            is_up = True
            print(WELCOME.format(port=demo.port, dir=demo.dir, **demo.users), flush=True)
            demo.stay()
    except KeyboardInterrupt:
        print("\nstopping")
        if not is_up:
            raise SystemExit(128 + signal.SIGINT)  # not all of it was seen to work
    finally:
        demo.stop()


main()
