# SPDX-License-Identifier: Apache-2.0
"""
Tables of millions of sessions: Django's schema with all its indexes, keys as random as Django's, and
100 different values of the size that sessions have. Session number i has the MD5 of i for its key;
every tenth has expired.
"""
import hashlib
import random
import sqlite3
import time
from datetime import datetime, timedelta

from stores import SECRET, ManyClients
from targets import SESSION

VALUES = 100
EXPIRED = 10  # one of so many
DAY = 86400


def key_of(number):
    return hashlib.md5(b"%d" % number).hexdigest()


def values():
    """As Django writes them into session_data."""
    from django.conf import settings
    from django.core import signing
    from django.contrib.sessions.serializers import JSONSerializer

    if not settings.configured:
        settings.configure(SECRET_KEY=SECRET)
    return [signing.dumps(dict(SESSION, visitor="%032x" % random.getrandbits(128), visits=n), compress=True,
                          salt="django.contrib.sessions.SessionStore", serializer=JSONSerializer)
            for n in range(VALUES)]


def live_keys(rows, count):
    """Of sessions all over the table."""
    numbers = (random.randrange(1, rows + 1) for _ in range(count * 2))
    return [key_of(number) for number in numbers if number % EXPIRED][:count]


# ---- PostgreSQL ------------------------------------------------------------------------------------

class BigPostgreSQL(ManyClients):
    """Set up as who has millions of rows does, and so that filling a table writes no log."""

    def command(self):
        return super().command() + [word for setting in (
            "wal_level=minimal", "max_wal_senders=0", "max_wal_size=4GB", "shared_buffers=1GB",
            "maintenance_work_mem=1GB") for word in ("-c", setting)]


def fill_postgres(server, database, rows):
    """Without indexes, which are made anew when all rows are there."""
    indexes = server.sql("SELECT indexdef FROM pg_indexes WHERE tablename = 'django_session'"
                         " AND indexname <> 'django_session_pkey'", database).splitlines()
    names = [definition.split(" INDEX ")[1].split(" ON ")[0] for definition in indexes]
    texts = ", ".join("(%d, '%s')" % pair for pair in enumerate(values()))
    server.sql("CREATE TABLE bench_value (n int, data text); INSERT INTO bench_value VALUES %s" % texts,
               database)
    server.sql("BEGIN; TRUNCATE django_session;"
               "ALTER TABLE django_session DROP CONSTRAINT django_session_pkey; DROP INDEX %s;"
               "INSERT INTO django_session (session_key, session_data, expire_date)"
               " SELECT md5(i::text), v.data,"
               " now() + CASE WHEN i %% %d = 0 THEN -1 ELSE 1 END * interval '1 second' * (%d + i %% %d)"
               " FROM generate_series(1, %d) AS i JOIN bench_value v ON v.n = i %% %d;"
               "ALTER TABLE django_session ADD CONSTRAINT django_session_pkey PRIMARY KEY (session_key);"
               "%s; COMMIT"
               % (", ".join(names), EXPIRED, DAY, 12 * DAY, rows, VALUES, "; ".join(indexes)), database)
    server.sql("VACUUM ANALYZE django_session", database)


def size_of_postgres(server, database):
    """(bytes of the table, bytes of its indexes)"""
    return tuple(int(server.sql("SELECT %s('django_session')" % what, database))
                 for what in ("pg_table_size", "pg_indexes_size"))


def read_all_of_postgres(server, database, keys):
    """Once, so that where they are is in memory, as it is of sessions in use."""
    for i in range(0, len(keys), 1000):
        server.sql("SELECT count(session_data) FROM django_session WHERE session_key IN (%s)"
                   % ", ".join("'%s'" % key for key in keys[i:i + 1000]), database)


def expired_in_postgres(server, database):
    return int(server.sql("SELECT count(*) FROM django_session WHERE expire_date < now()", database))


# ---- SQLite ----------------------------------------------------------------------------------------

def fill_sqlite(path, rows):
    texts, now = values(), datetime.utcnow()

    def row(i):
        away = timedelta(seconds=DAY + i % (12 * DAY))
        return key_of(i), texts[i % VALUES], str(now - away if i % EXPIRED == 0 else now + away)

    database = sqlite3.connect(str(path))
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-2000000"):
        database.execute("PRAGMA " + pragma)
    name, index = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index'"
                                   " AND tbl_name = 'django_session' AND sql IS NOT NULL").fetchone()
    database.execute('DROP INDEX "%s"' % name)
    database.execute("DELETE FROM django_session")
    database.executemany("INSERT INTO django_session (session_key, session_data, expire_date)"
                         " VALUES (?, ?, ?)", map(row, range(1, rows + 1)))
    database.execute(index)
    database.commit()
    database.execute("ANALYZE")
    database.execute("PRAGMA journal_mode=WAL")
    database.close()


def read_all_of_sqlite(path, keys):
    database = sqlite3.connect(str(path))
    for key in keys:
        database.execute("SELECT session_data FROM django_session WHERE session_key = ?", (key,)).fetchone()
    database.close()


def expired_in_sqlite(path):
    database = sqlite3.connect(str(path))
    found = database.execute("SELECT count(*) FROM django_session WHERE expire_date < ?",
                             (str(datetime.utcnow()),)).fetchone()[0]
    database.close()
    return found


def timed(function, *arguments):
    begun = time.monotonic()
    function(*arguments)
    return time.monotonic() - begun
