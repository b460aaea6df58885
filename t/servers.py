# SPDX-License-Identifier: Apache-2.0
"""
Database servers for tests: Debian's binaries, unprivileged, in folders of their own, on 127.0.0.1.

    with PostgreSQL() as server:
        server.params       what DBDParams says
        server.driver       what DBDriver says
        server.stop(), server.start(), server.restart(): the same data, the same port

All accept user "djs" without a password on TCP and on their socket, and user "djs_mortal", whose
connections a test may kill without harm to others. stop() can be "fast", as a
restart by the administrator is, or "immediate", as a crash is.
"""

import glob
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

START_WITHIN = 60  # seconds, on a machine that does other things, too
TABLES = Path(__file__).resolve().parent / "unit" / "django_tables"


def free_port():
    """
    A port that nobody listens on, below those that the system gives to clients: one of theirs could
    be some client's by the time that the server takes it. pytest's workers have ports of their own.
    """
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    while True:
        port = random.randrange(min(10000, first // 2), first) // workers * workers + worker
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Server:
    """One server process and its folder."""

    driver = None   # apr_dbd's name
    account = None  # whose it is when root runs the tests

    def __init__(self):
        self.port = free_port()
        self.process = None
        self.folder = Path(tempfile.mkdtemp(prefix=f"djs-{self.driver}-"))
        self.folder.chmod(0o755)
        self.log = self.folder / "log"
        self.identity = {}
        if os.geteuid() == 0:
            entry = pwd.getpwnam(self.account)
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
            self.identity = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        try:
            self.make()
            self.start()
            self.make_database()
        except BaseException:
            self.close()
            raise

    def run(self, *command, **options):
        """A program of the server's, to its end."""
        done = subprocess.run([str(word) for word in command], cwd=self.folder,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              universal_newlines=True, **self.identity, **options)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]}: {done.stdout}")
        return done.stdout

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([str(word) for word in self.command()],
                                            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True, **self.identity)
        end = time.monotonic() + START_WITHIN
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.driver} did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self, how="fast"):
        if self.process is None:
            return
        self.process.send_signal(self.signals[how])
        self.process.wait()
        self.process = None

    def restart(self, how="fast"):
        self.stop(how)
        self.start()

    def migrate(self):
        """Django's tables, and users."""
        subprocess.run(["/usr/bin/python3", str(TABLES), self.driver, self.params], check=True)

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class PostgreSQL(Server):
    driver = "pgsql"
    account = "postgres"
    # immediate: no farewell to clients, recovery at the next start
    signals = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}

    @property
    def params(self):
        return f"host=127.0.0.1 port={self.port} dbname=djs user=djs"

    @staticmethod
    def program(name):
        found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
        if not found:
            raise RuntimeError(f"PostgreSQL's {name} is not installed")
        return found[-1]

    def make(self):
        self.run(self.program("initdb"), "-D", self.folder / "data", "-U", "djs", "-A", "trust",
                 "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")

    def command(self):
        return [self.program("postgres"), "-D", self.folder / "data", "-p", self.port,
                "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}",
                "-c", "fsync=off", "-c", "max_connections=60"]

    def is_ready(self):
        done = subprocess.run([self.program("pg_isready"), "-q", "-h", "127.0.0.1",
                               "-p", str(self.port)], stdout=subprocess.DEVNULL)
        return done.returncode == 0

    def sql(self, text, database="djs"):
        """Run statements; what they answer, without decoration."""
        return self.run(self.program("psql"), "-X", "-q", "-A", "-t", "-h", "127.0.0.1",
                        "-p", self.port, "-U", "djs", "-d", database, "-c", text)

    def make_database(self):
        self.sql("CREATE DATABASE djs", database="postgres")
        self.sql("CREATE ROLE djs_mortal SUPERUSER LOGIN")


class MariaDB(Server):
    driver = "mysql"
    account = "mysql"
    signals = {"fast": signal.SIGTERM, "immediate": signal.SIGKILL}

    @property
    def params(self):
        return f"host=127.0.0.1,port={self.port},user=djs,dbname=djs"

    def make(self):
        self.run("/usr/bin/mariadb-install-db", "--no-defaults", f"--datadir={self.folder}/data",
                 "--auth-root-authentication-method=normal", "--skip-test-db")

    def command(self):
        return ["/usr/sbin/mariadbd", "--no-defaults", f"--datadir={self.folder}/data",
                f"--socket={self.folder}/sock", f"--port={self.port}", "--bind-address=127.0.0.1",
                f"--pid-file={self.folder}/pid", "--skip-name-resolve",
                "--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=16M",
                "--max-allowed-packet=64M", "--skip-log-bin"]

    def is_ready(self):
        done = subprocess.run(["/usr/bin/mariadb-admin", "--no-defaults",
                               f"--socket={self.folder}/sock", "-u", "root", "--silent", "ping"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return done.returncode == 0

    def sql(self, text, database=""):
        return self.run("/usr/bin/mariadb", "--no-defaults", f"--socket={self.folder}/sock",
                        "-u", "root", "-N", "-B", "-e", text, database)

    def make_database(self):
        self.sql("CREATE DATABASE djs CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
        for user in ["djs@127.0.0.1", "djs@localhost", "djs_mortal@127.0.0.1"]:
            self.sql(f"CREATE USER {user}; GRANT ALL ON djs.* TO {user}")


class Cache(Server):
    """A cache: nothing to make, nothing is kept."""

    signals = {"fast": signal.SIGTERM, "immediate": signal.SIGKILL}
    account = "nobody"

    def make(self):
        pass

    make_database = make

    def ask(self, line):
        """One line to the server, what it answers at once; "" when it is not there."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=START_WITHIN) as s:
                s.sendall(line + b"\r\n")
                return s.recv(4096)
        except ConnectionError:
            return b""


class Memcached(Cache):
    driver = "memcached"

    def command(self):
        return ["/usr/bin/memcached", "-l", "127.0.0.1", "-p", self.port, "-U", "0", "-m", "64"]

    def is_ready(self):
        return self.ask(b"version").startswith(b"VERSION")


class Redis(Cache):
    driver = "redis"

    @property
    def socket(self):
        return self.folder / "sock"

    def command(self):
        return ["/usr/bin/redis-server", "--port", self.port, "--bind", "127.0.0.1", "--dir",
                self.folder, "--unixsocket", self.socket, "--save", "", "--appendonly", "no"]

    def is_ready(self):
        return self.ask(b"PING").startswith(b"+PONG")


def main():
    """t/unit/with_servers COMMAND …"""
    with PostgreSQL() as pgsql, MariaDB() as mysql:
        environment = dict(os.environ)
        for name, server in (("DJS_TEST_PGSQL", pgsql), ("DJS_TEST_MYSQL", mysql)):
            server.migrate()
            environment[name] = server.params
        return subprocess.run(sys.argv[1:], env=environment).returncode


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: with_servers COMMAND [ARGUMENT ...]")
    # An end by a signal is an end, too: what was started is stopped.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    sys.exit(main())
