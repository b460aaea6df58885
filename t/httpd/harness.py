# SPDX-License-Identifier: Apache-2.0
"""
Real parts for end-to-end tests: httpd with the module, a real Django, real databases, applications
behind them. Everything listens on 127.0.0.1, runs unprivileged in a folder of its own, and is gone
when its test is.

From the environment: DJS_SRC and DJS_BUILD, the sources and a build of them; DJS_WRAP, a command in
front of httpd (memcheck); DJS_PRELOAD, libraries that httpd has to load first (a sanitizer); DJS_MPM,
the MPM to use where a test does not say.
"""
import datetime
import fcntl
import http.client
import http.server
import json
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
SRC = Path(os.environ.get("DJS_SRC", HERE.parents[1]))
BUILD = Path(os.environ.get("DJS_BUILD", SRC / ".build" / "gcc"))
sys.path.insert(0, str(HERE.parent))

import servers  # noqa: E402  (t/servers.py)

APACHE = "/usr/sbin/apache2"
MODULES = "/usr/lib/apache2/modules"
ACCOUNT = "www-data"
#: how long anything may take before the test counts as hung; nothing is expected to take long
PATIENCE = 120 if os.environ.get("DJS_WRAP") else 60
BASE_MODULES = ["authn_core", "authz_core", "authz_user", "authz_host", "dbd", "alias", "env",
                "dir", "headers", "proxy", "proxy_http", "rewrite", "include", "filter", "mime",
                "setenvif"]
#: what httpd itself says when a connection ends at an unlucky moment: the client closed it, or httpd
#: did, which closes the sockets under its workers when it is stopped; and when it is stopped before
#: mod_cgid's process has made its socket ready
HARMLESS = re.compile(r"AH0309[23]: |AH01244: .*cgid\.sock")
LEVELS = re.compile(r"\[(?:\w*:)?(?:emerg|alert|crit|error|warn)\]")


def module_path():
    found = sorted(BUILD.rglob("mod_django_session.so"))
    if not found:
        raise RuntimeError("no mod_django_session.so below %s: run build/make, or set DJS_BUILD"
                           % BUILD)
    return found[0]


def djsession_path():
    return BUILD / "djsession"


def wait_until(ready, what):
    """Until a condition holds. The limit only ends a test that would hang."""
    end = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > end:
            raise AssertionError("waited in vain: " + what)
        time.sleep(0.01)


def stop_listening(listener):
    """
    End an accept() that another thread waits in. To close the socket alone would leave it waiting, and
    when the system starts the call anew (after a pause of the machine), it would take connections of
    whoever has that descriptor then.
    """
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def identity():
    """Popen's arguments that make root the unprivileged account."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(ACCOUNT)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def hand_over(path):
    """Give a folder and what is in it to the account that the servers run as."""
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "%s:" % ACCOUNT, str(path)], check=True)


class Folder:
    """A temporary folder that the servers' account can use."""

    def __init__(self, name):
        self.path = Path(tempfile.mkdtemp(prefix="djs-%s-" % name))
        self.path.chmod(0o755)
        hand_over(self.path)

    def close(self):
        shutil.rmtree(self.path, ignore_errors=True)


class Secrets:
    """What must not show up in any log of a test."""

    def __init__(self):
        self.texts = set()

    def add(self, *texts):
        self.texts.update(t for t in texts if t and len(t) >= 6)

    def found_in(self, text):
        return sorted(t for t in self.texts if t in text)


# ---- databases ----------------------------------------------------------------------------------

class Database:
    """A database with Django's tables, empty but for what migrations put there."""

    def __init__(self, kind, django, dbd, server=None):
        self.kind = kind      # sqlite, postgresql, mariadb
        self.django = django  # for DATABASES
        self.dbd = dbd        # (driver, params)
        self.server = server  # of servers.py, or None

    def directives(self, extra=""):
        return 'DBDriver %s\nDBDParams "%s"\n%s\n' % (*self.dbd, extra)

    def connect(self):
        if self.kind == "sqlite":
            db = sqlite3.connect(self.dbd[1], isolation_level=None, timeout=30)
            return db
        if self.kind == "postgresql":
            import psycopg2
            db = psycopg2.connect(self.dbd[1])
            db.autocommit = True
            return db
        import MySQLdb
        db = MySQLdb.connect(host="127.0.0.1", port=self.server.port, user="djs", db="djs")
        db.autocommit(True)
        return db

    def execute(self, sql, args=()):
        """One statement on a connection of its own; placeholders are %s."""
        db = self.connect()
        try:
            cursor = db.cursor()
            cursor.execute(sql.replace("%s", "?") if self.kind == "sqlite" else sql, args)
            return cursor.fetchall() if cursor.description else []
        finally:
            db.close()

    def row(self, key):
        """(session_data, expire_date as the driver gives it), or None."""
        rows = self.execute("SELECT session_data, expire_date FROM django_session "
                            "WHERE session_key = %s", (key,))
        return rows[0] if rows else None

    def end_of(self, key):
        """When its row ends, in Unix time."""
        end = self.row(key)[1]
        if isinstance(end, str):
            end = datetime.datetime.fromisoformat(end)
        return end.replace(tzinfo=end.tzinfo or datetime.timezone.utc).timestamp()


class Databases:
    """Makes them; servers start at the first need and stay for the whole run."""

    TABLES = ["django_session", "auth_user_groups", "auth_user_user_permissions", "auth_user",
              "auth_group_permissions", "auth_group"]

    def __init__(self):
        self.servers = {}
        self.template = None
        self.folder = Folder("databases")

    def get(self, kind):
        return getattr(self, "make_" + kind)()

    def migrate(self, settings):
        django = Django({"SECRET_KEY": "of no use", "DATABASES": {"default": settings}})
        try:
            django.run("from django.core.management import call_command\n"
                       "call_command('migrate', verbosity=0)")
        finally:
            django.close()

    def make_sqlite(self):
        if self.template is None:
            self.template = self.folder.path / "template.sqlite3"
            self.migrate(self.sqlite_settings(self.template))
        folder = Path(tempfile.mkdtemp(dir=self.folder.path))
        folder.chmod(0o755)
        path = folder / "db.sqlite3"
        shutil.copy(self.template, path)
        hand_over(folder)
        return Database("sqlite", self.sqlite_settings(path), ("sqlite3", str(path)))

    @staticmethod
    def sqlite_settings(path):
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path),
                "OPTIONS": {"timeout": 60}}

    def server(self, kind, make, settings):
        if kind not in self.servers:
            self.servers[kind] = make()
            self.migrate(settings(self.servers[kind]))
        return self.servers[kind]

    def make_postgresql(self):
        def settings(server):
            return {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1",
                    "PORT": server.port, "NAME": "djs", "USER": "djs"}

        server = self.server("postgresql", servers.PostgreSQL, settings)
        database = Database("postgresql", settings(server), ("pgsql", server.params), server)
        database.execute("TRUNCATE %s CASCADE" % ", ".join(self.TABLES))
        return database

    def make_mariadb(self):
        def settings(server):
            return {"ENGINE": "django.db.backends.mysql", "HOST": "127.0.0.1",
                    "PORT": server.port, "NAME": "djs", "USER": "djs"}

        server = self.server("mariadb", servers.MariaDB, settings)
        database = Database("mariadb", settings(server), ("mysql", server.params), server)
        for table in self.TABLES:
            database.execute("DELETE FROM " + table)
        return database

    def close(self):
        for server in self.servers.values():
            server.close()
        Djangos.stop()
        self.folder.close()


# ---- Django -------------------------------------------------------------------------------------

class Djangos:
    """The process whose children are the tests' Djangos (django_worker.py), from the first need on."""

    def __init__(self):
        self.folder = Folder("django")
        self.path = str(self.folder.path / "socket")
        # On SQLite they share files with httpd, so they run as the same user.
        self.process = subprocess.Popen(
            ["/usr/bin/python3", "-B", str(HERE / "django_worker.py"), self.path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, **identity())
        line = self.process.stdout.readline()
        assert line == b"ready\n", "there is no Django"

    running = None

    @classmethod
    def connect(cls):
        if cls.running is None:
            cls.running = cls()
        made = socket.socket(socket.AF_UNIX)
        made.connect(cls.running.path)
        return made

    @classmethod
    def stop(cls):
        if cls.running is not None:
            cls.running.process.communicate()
            cls.running.folder.close()
            cls.running = None


class Django:
    """A real Django with settings of its own, in a process of its own."""

    def __init__(self, settings):
        self.connection = Djangos.connect()
        self.lines = self.connection.makefile("rw", encoding="utf-8")
        self.send(dict(os.environ, DJS_SITE=json.dumps(settings)))
        self.lock = threading.Lock()
        self.served = None

    def send(self, document):
        self.lines.write(json.dumps(document) + "\n")
        self.lines.flush()

    def ask(self, job):
        with self.lock:
            self.send(job)
            line = self.lines.readline()
        assert line, "Django's process ended"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer

    def run(self, code):
        """Run Python in the site; gives what it left in `result`, by way of JSON."""
        return self.ask({"code": code})["result"]

    @property
    def port(self):
        """Of its HTTP server, which starts when asked for."""
        if self.served is None:
            self.served = self.ask({"serve": True})["port"]
        return self.served

    def close(self):
        """And wait until it has ended."""
        self.connection.shutdown(socket.SHUT_WR)
        while self.connection.recv(4096):
            pass
        self.lines.close()
        self.connection.close()


# ---- HTTP ---------------------------------------------------------------------------------------

class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def all(self, name):
        return [v for k, v in self.headers if k.lower() == name.lower()]

    def get(self, name, default=None):
        return (self.all(name) or [default])[0]

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)

    def cookie(self, name="sessionid"):
        """The value that Set-Cookie gives this cookie; None when none does."""
        for line in self.all("Set-Cookie"):
            if line.split("=", 1)[0] == name:
                return line.split("=", 1)[1].split(";")[0]
        return None

    @property
    def vary(self):
        return [v.strip() for line in self.all("Vary") for v in line.split(",")]

    def __repr__(self):
        return "<%d %r %r>" % (self.status, self.headers, self.body[:300])


class Client:
    """Requests with full say over headers. cookies=True keeps a jar as a browser does."""

    def __init__(self, port, secrets, cookies=False):
        self.port, self.secrets = port, secrets
        self.jar = {} if cookies else None

    def request(self, method, path, headers=(), body=None, cookie=None):
        """@headers: pairs, or a dict; sent as they are, doubles too. @cookie: a Cookie header."""
        headers = list(headers.items()) if isinstance(headers, dict) else list(headers)
        if self.jar:
            cookie = "; ".join("%s=%s" % item for item in self.jar.items())
        if cookie is not None:
            headers.append(("Cookie", cookie))
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True,
                                  skip_host=any(name.lower() == "host" for name, _ in headers))
            if body is not None:
                body = body.encode() if isinstance(body, str) else body
                connection.putheader("Content-Length", str(len(body)))
            for name, value in headers:
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            response = Response(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()
        self.remember(response)
        return response

    def remember(self, response):
        for line in response.all("Set-Cookie"):
            name, _, rest = line.partition("=")
            value, _, attributes = rest.partition(";")
            if "session" in name.lower():
                self.secrets.add(value)
            if self.jar is None:
                continue
            if re.search(r"max-age=(0|-\d+)\b", attributes, re.I):
                self.jar.pop(name, None)
            else:
                self.jar[name] = value

    def get(self, path, headers=(), cookie=None):
        return self.request("GET", path, headers, cookie=cookie)

    def post(self, path, body="", headers=(), cookie=None):
        return self.request("POST", path, headers, body, cookie)

    def raw(self, data):
        """Send bytes as they are, read until the server closes."""
        data = data.encode("latin-1") if isinstance(data, str) else data
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as s:
            s.sendall(data)
            with s.makefile("rb") as answer:
                return answer.read()


class Backend:
    """
    A proxied application in the test's own process. answer(request) decides; the default tells the
    request's headers as JSON. What came is in `seen`: (method, path, [(name, value)…], body).
    """

    def __init__(self):
        self.seen = []
        self.answer = lambda request: (200, [("Content-Type", "application/json")],
                                       json.dumps(request[2]).encode())
        backend = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else each body waits for an acknowledgement

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Transfer-Encoding") == "chunked":
                    body = self.read_chunks()
                request = (self.command, self.path, list(self.headers.items()), body)
                backend.seen.append(request)
                status, headers, data = backend.answer(request)
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            def read_chunks(self):
                parts = []
                while not parts or parts[-1]:
                    parts.append(self.rfile.read(int(self.rfile.readline(), 16)))
                    self.rfile.readline()
                return b"".join(parts)

            do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = do_OPTIONS = handle_any

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.socket.settimeout(1)  # one that is gone before it is taken is not waited for
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    url = property(lambda self: "http://127.0.0.1:%d/" % self.port)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Gate:
    """
    Holds CGI programs (/cgi/slow?gate=PATH) until it is opened. Forces an order, no clock.

    It is a lock: the test has it for itself, the programs want to share it. So one that comes late
    finds an open gate open.
    """

    def __init__(self):
        self.folder = Folder("gate")
        self.path = self.folder.path
        self.lock = open(self.path / "lock", "w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        hand_over(self.path)

    def arrived(self):
        return len(list(self.path.glob("arrived-*")))

    def wait_for(self, count):
        wait_until(lambda: self.arrived() >= count, "%d programs at the gate" % count)

    def open(self):
        """Let all pass, who wait and who will come."""
        fcntl.flock(self.lock, fcntl.LOCK_UN)

    def close(self):
        self.lock.close()
        self.folder.close()


# ---- httpd --------------------------------------------------------------------------------------

class Httpd:
    """
    A real httpd with the module.

    At close() every line of its error log at warning or above must have been announced by expect(),
    and no secret may stand in any log.
    """

    def __init__(self, config, secrets, mpm=None, modules=(), as_root=False, start=True,
                 log_level=None, load=True, before=""):
        self.secrets, self.as_root, self.config = secrets, as_root, config
        self.mpm = mpm or os.environ.get("DJS_MPM") or "event"
        self.folder = Folder("httpd")
        self.dir = self.folder.path
        self.port = servers.free_port()
        self.process = None
        self.expected = []
        shutil.copytree(HERE / "cgi", self.dir / "cgi")
        (self.dir / "htdocs").mkdir()
        (self.dir / "htdocs" / "index.html").write_text("<p>index\n")
        (self.dir / "htdocs" / "page.txt").write_text("page\n")
        (self.dir / "mime.types").write_text("text/html html shtml\ntext/plain txt\n")
        if log_level is None:
            log_level = "warn django_session:trace8" if load else "warn"
        self.write(list(modules), log_level, load, before)
        hand_over(self.dir)
        if start:
            try:
                self.start()
            except BaseException:
                self.folder.close()
                raise

    def write(self, modules, log_level, load, before):
        names = ["mpm_" + self.mpm, "cgi" if self.mpm == "prefork" else "cgid"]
        names += BASE_MODULES + [m for m in modules if m not in BASE_MODULES]
        lines = ["LoadModule %s_module %s/mod_%s.so" % (n, MODULES, n) for n in names]
        if load:
            lines.append("LoadModule django_session_module %s" % module_path())
        lines.append(before)
        lines.append("""
ServerRoot "{dir}"
PidFile "{dir}/pid"
Mutex file:{dir}
Listen 127.0.0.1:{port}
ServerName 127.0.0.1:{port}
User {account}
Group {account}
DocumentRoot "{dir}/htdocs"
TypesConfig "{dir}/mime.types"
ErrorLog "{dir}/error.log"
CustomLog "{dir}/access.log" "%h %t \\"%r\\" %>s %b %{{DJANGO_SESSION_ID}}e %{{DJANGO_SESSION_STATUS}}e %{{DJANGO_SESSION_REASON}}e"
LogLevel {log_level}
StartServers 2
MaxRequestWorkers {workers}
KeepAliveTimeout 5
Timeout {patience}
ScriptAlias /cgi/ "{dir}/cgi/"
{sock}
""".format(dir=self.dir, port=self.port, account=ACCOUNT, log_level=log_level, patience=PATIENCE,
           workers=32 if self.mpm == "prefork" else 100,
           sock="" if self.mpm == "prefork" else 'ScriptSock "%s/cgid.sock"' % self.dir))
        lines.append(self.config.replace("@DIR@", str(self.dir)).replace("@PORT@", str(self.port)))
        (self.dir / "httpd.conf").write_text("\n".join(lines) + "\n")

    def command(self, *options):
        return [APACHE, "-f", str(self.dir / "httpd.conf"), *options]

    def environment(self):
        environment = {k: v for k, v in os.environ.items() if k != "DJS_SITE"}
        if os.environ.get("DJS_PRELOAD"):
            environment["LD_PRELOAD"] = os.environ["DJS_PRELOAD"]
        return environment

    def identity(self):
        return {} if self.as_root else identity()

    def configtest(self, *defines):
        """apachectl configtest: exit code and what it said."""
        done = subprocess.run(self.command("-t", *["-D" + d for d in defines]),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              universal_newlines=True, env=self.environment(), **self.identity())
        return done.returncode, done.stdout

    def start(self):
        wrap = shlex.split(os.environ.get("DJS_WRAP", ""))
        self.console = open(self.dir / "console", "ab")
        self.process = subprocess.Popen(
            wrap + self.command("-DFOREGROUND"), stdin=subprocess.DEVNULL, stdout=self.console,
            stderr=self.console, env=self.environment(), start_new_session=True, **self.identity())
        wait_until(self.is_up, "httpd")
        if self.process.poll() is not None:
            raise RuntimeError("httpd did not start:\n%s%s"
                               % ((self.dir / "console").read_text("utf-8", "replace"), self.log))

    def is_up(self):
        if self.process.poll() is not None:
            return True
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def graceful(self):
        """A graceful restart; back when the next generation is at work."""
        def generations():
            return self.log.count("resuming normal operations")

        before = generations()
        self.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: generations() > before or self.process.poll() is not None, "a restart")
        assert self.process.poll() is None, "httpd ended at a graceful restart:\n" + self.log

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError("httpd did not stop when told to")
        finally:
            self.process = None
            self.console.close()

    @property
    def log(self):
        path = self.dir / "error.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def expect(self, *what):
        """Announce warnings and errors: our message's number, or a regular expression."""
        self.expected += [r"DJS%04d: " % w if isinstance(w, int) else w for w in what]

    def has_logged(self, what):
        pattern = r"DJS%04d: " % what if isinstance(what, int) else what
        return re.search(pattern, self.log) is not None

    def client(self, cookies=False):
        return Client(self.port, self.secrets, cookies)

    def get(self, path, headers=(), cookie=None):
        return self.client().get(path, headers, cookie)

    def post(self, path, body="", headers=(), cookie=None):
        return self.client().post(path, body, headers, cookie)

    def env(self, path="/cgi/env", headers=(), cookie=None):
        """What a CGI program sees."""
        response = self.get(path, headers, cookie)
        assert response.status == 200, response
        return response.json()

    def unexpected(self):
        """Lines of the error log that nobody announced."""
        return [line for line in self.log.splitlines()
                if LEVELS.search(line) and not HARMLESS.search(line)
                and not any(re.search(e, line) for e in self.expected)]

    def close(self):
        try:
            self.stop()
            logs = self.log + "".join(
                p.read_text("utf-8", "replace") for p in
                [self.dir / "access.log", self.dir / "console"] if p.exists())
            leaked = self.secrets.found_in(logs)
            lines = self.unexpected()
        finally:
            self.folder.close()
        assert not leaked, "secrets in the logs: %d of them, e.g. %r" % (len(leaked), leaked[0])
        assert not lines, "unannounced in the error log:\n" + "\n".join(lines)


# ---- all together -------------------------------------------------------------------------------

class Site:
    """A database, the real Django on it, and httpd with the module beside it."""

    def __init__(self, database, **settings):
        self.database = database
        self.secrets = Secrets()
        self.secret_key = settings.pop("SECRET_KEY", "key-" + uuid.uuid4().hex)
        self.secrets.add(self.secret_key)
        self.settings = dict(settings, SECRET_KEY=self.secret_key,
                             DATABASES={"default": database.django})
        self.opened = []
        self._django = None

    def keep(self, thing):
        self.opened.append(thing)
        return thing

    @property
    def django(self):
        if self._django is None:
            self._django = self.keep(Django(self.settings))
        return self._django

    def directives(self, extra=""):
        """
        What every configuration needs: the database and the key. And patience with a store on a machine
        that does other things, too: where the limit is the matter, the test sets its own behind this.
        """
        return (self.database.directives(extra) + "DjangoSessionStoreTimeout 60s\n"
                + "DjangoSecretKey %s\n" % self.secret_key)

    def httpd(self, config="DjangoSession On", dbd="", base=True, **options):
        """A started httpd with this site's database and key."""
        config = (self.directives(dbd) if base else "") + config
        return self.keep(Httpd(config, self.secrets, **options))

    def backend(self):
        return self.keep(Backend())

    def gate(self):
        return self.keep(Gate())

    def create_session(self, data, expiry=None):
        """By Django; gives the key. @expiry: for set_expiry()."""
        key = self.django.run(
            "from django.contrib.sessions.backends.db import SessionStore\n"
            "import json\n"
            "s = SessionStore()\n"
            "s.update(json.loads(%r))\n"
            "if %r is not None: s.set_expiry(%r)\n"
            "s.save()\n"
            "result = s.session_key" % (json.dumps(data), expiry, expiry))
        self.secrets.add(key)
        return key

    def read_session(self, key):
        """As Django reads it; None when there is none that lives."""
        text = self.django.run(
            "from django.contrib.sessions.backends.db import SessionStore\n"
            "import json\n"
            "s = SessionStore(%r)\n"
            "d = s.load()\n"
            "result = json.dumps(d) if s.session_key else None" % key)
        return None if text is None else json.loads(text)

    def create_user(self, name, password="pass-word-1", **fields):
        """By Django; gives the id."""
        self.secrets.add(password)
        return self.django.run(
            "from django.contrib.auth.models import User\n"
            "u = User.objects.create_user(%r, password=%r, **%r)\n"
            "result = u.pk" % (name, password, fields))

    def login(self, name, **data):
        """A session in which Django's login() logged this user in; gives the key."""
        key = self.django.run(
            "from django.contrib.auth import login\n"
            "from django.contrib.auth.models import User\n"
            "from django.contrib.sessions.backends.db import SessionStore\n"
            "from django.http import HttpRequest\n"
            "r = HttpRequest()\n"
            "r.session = SessionStore()\n"
            "r.session.update(%r)\n"
            "login(r, User.objects.get(username=%r), 'django.contrib.auth.backends.ModelBackend')\n"
            "r.session.save()\n"
            "result = r.session.session_key" % (data, name))
        self.secrets.add(key)
        return key

    def close(self):
        problems = []
        for thing in reversed(self.opened):
            try:
                thing.close()
            except AssertionError as problem:
                problems.append(str(problem))
        assert not problems, "\n".join(problems)
