# SPDX-License-Identifier: Apache-2.0
"""
The stores that sessions of the benchmark live in: real servers, Django's tables, one user.

A store knows what httpd.conf says of it (`dbd`, `memcached`, …) and which processes its work is
done by, whose CPU time counts as the store's.
"""
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

SRC = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SRC / "t"))

import servers  # noqa: E402
from servers import TABLES, PostgreSQL  # noqa: E402

USER = "www-data"  # httpd's children
LOGIN = "ada"      # t/unit/django_tables makes her
SECRET = "bench-secret"

#: Tables of mod_session_dbd, as its manual has them.
PEER_TABLE = "CREATE TABLE session (key varchar(40) PRIMARY KEY, value text, expiry bigint);"


def dbd(driver, params, init=()):
    """mod_dbd with a connection for each thread, which none has to wait for."""
    lines = ['DBDriver ' + driver, 'DBDParams "%s"' % params, "DBDMin 1", "DBDKeep 16",
             "DBDMax 16"]
    return "\n".join(lines + ['DBDInitSQL "%s"' % sql for sql in init]) + "\n"


def processes_below(pid):
    """A process and its children."""
    out = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], stdout=subprocess.PIPE,
                         universal_newlines=True).stdout
    return [pid] + [int(child) for child in out.split()]


class ManyClients(PostgreSQL):
    """All targets have their connections at the same time."""

    def command(self):
        return super().command() + ["-c", "max_connections=400"]


class Stores:
    """All of them; closed as a whole."""

    def __init__(self, top):
        self.top = top
        self.running = []
        try:
            self.begin_all()
        except BaseException:
            self.close()
            raise

    def begin_all(self):
        self.postgres = self.begin(ManyClients)
        self.postgres.migrate()
        self.postgres.sql(PEER_TABLE)
        self.memcached = self.begin(servers.Memcached)
        self.redis = self.begin(servers.Redis)
        self.sqlite = self.make_sqlite()
        self.files = self.folder("files")

    def begin(self, kind):
        server = kind()
        self.running.append(server)
        return server

    def folder(self, name):
        path = self.top / name
        path.mkdir()
        shutil.chown(path, USER, USER)
        return path

    def make_sqlite(self):
        path = self.folder("sqlite") / "site.sqlite3"
        subprocess.run(["/usr/bin/python3", str(TABLES), "sqlite3", str(path)], check=True)
        with sqlite3.connect(str(path)) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute(PEER_TABLE)
        database.close()
        for entry in path.parent.iterdir():
            shutil.chown(entry, USER, USER)
        return path

    # ---- what httpd.conf says ----------------------------------------------------------------

    @property
    def sqlite_dbd(self):
        # in this order: what answers with a row ends mod_dbd's list
        return dbd("sqlite3", self.sqlite, ["PRAGMA synchronous=NORMAL",
                                            "PRAGMA busy_timeout=10000"])

    @property
    def postgres_params(self):
        """By its socket, as on one machine one would."""
        return "host=%s port=%d dbname=djs user=djs" % (self.postgres.folder, self.postgres.port)

    @property
    def postgres_dbd(self):
        return dbd("pgsql", self.postgres_params)

    # ---- whose CPU time ----------------------------------------------------------------------

    def processes(self, names):
        """Of the stores of these names; none for what lives in httpd itself."""
        return [pid for name in names.split()
                for pid in processes_below(getattr(self, name).process.pid)]

    def close(self):
        for server in self.running:
            server.close()
