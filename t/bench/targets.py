# SPDX-License-Identifier: Apache-2.0
"""
What is measured: targets (an httpd with a configuration) and workloads (what is asked of it).

Every target that has sessions makes its own first, of about 500 bytes, with Ada logged in where it
knows of logins: GET /make.asis answers with the cookie. Django's targets read the session that
ours made in the same store.
"""
import json
import re
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

from openidc import CONFIG, login
from stores import LOGIN, SECRET

HERE = Path(__file__).resolve().parent

#: with what a login adds about 500 bytes of JSON, the kind of thing that sites keep
SESSION = {
    "cart": [{"sku": "A-%04d" % i, "n": i, "price": 19.5 + i} for i in range(1, 5)],
    "language": "en-gb",
    "last_seen": "2025-01-15T10:11:12.131415+00:00",
    "theme": {"dark": True, "columns": 3, "font": "serif"},
}
#: as much in mod_session's own form
PEER_SESSION = urllib.parse.urlencode(
    dict({k: json.dumps(v, separators=(",", ":")) for k, v in SESSION.items()},
         note="left at the counter, to be collected on Friday"))[:470]

PEER_AGE = 1209600
PEER_CONFIG = """
Session On
SessionEnv On
SessionHeader X-Replace-Session
SessionMaxAge %d
SessionExpiryUpdateInterval %d
""" % (PEER_AGE, PEER_AGE - 60)
PEER_SQL = """
DBDPrepareSQL "SELECT value FROM session WHERE key = %s AND (expiry = 0 OR expiry > %lld)" selectsession
DBDPrepareSQL "INSERT INTO session (value, expiry, key) VALUES (%s, %lld, %s)" insertsession
DBDPrepareSQL "UPDATE session SET value = %s, expiry = %lld, key = %s WHERE key = %s" updatesession
DBDPrepareSQL "DELETE FROM session WHERE key = %s" deletesession
SessionDBDCookieName session path=/
"""

SEEN = """
<Location "/seen">
    Header set Seen "expr=%{reqenv:HTTP_SESSION} %{reqenv:DJANGO_SESSION_STATUS} %{REMOTE_USER}"
</Location>
<Location "/protect/seen">
    Header set Seen "expr=%{reqenv:HTTP_SESSION} %{reqenv:DJANGO_SESSION_STATUS} %{REMOTE_USER}"
</Location>
"""

OURS_CONFIG = """
DjangoSession On
DjangoSecretKey %s
DjangoSessionStoreTimeout 60s
<Location "/make.asis">
    DjangoSessionUpdate Login
</Location>
<Location "/write.asis">
    DjangoSessionUpdate On
</Location>
<Location "/protect">
    AuthType Django
    Require valid-user
</Location>
<Location "/proxy">
    DjangoSessionHeader On
</Location>
""" % SECRET


@dataclass(frozen=True)
class Workload:
    name: str
    path: str
    cookie: str         # "session": the target's own; else as it stands
    follows: bool = False  # the client sends the cookie that the answer before brought


WORKLOADS = {w.name: w for w in [
    Workload("read", "/index.txt", "session"),
    Workload("write", "/write.asis", "session", follows=True),
    Workload("anonymous", "/index.txt", ""),
    Workload("protect", "/protect/index.txt", "session"),
    Workload("malformed", "/index.txt", "%s=short"),
    Workload("unknown", "/index.txt", "%s=zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"),
    Workload("proxy", "/proxy/index.txt", "session"),
]}
ALL = tuple(WORKLOADS)


@dataclass
class Target:
    name: str
    config: str = ""
    modules: list = field(default_factory=list)
    headers: dict = field(default_factory=dict)  # of the .asis pages
    cookie_name: str = ""      # "": no sessions
    cookie_of: str = ""        # the target whose session this one reads
    workloads: tuple = ALL
    store: str = ""            # attributes of Stores, for their CPU time
    peers: tuple = ()          # on the same store
    seen: str = ""             # what the application sees of the session
    expensive: bool = False    # so much that fewer requests tell as well
    fewer: int = 1             # requests under callgrind are divided by that
    private: bool = False      # another httpd does not see its sessions
    logs_in: bool = False      # its session comes from a provider, not from /make.asis

    def cookie(self, workload, own):
        if workload.cookie == "session":
            return own
        return workload.cookie % self.cookie_name if "%s" in workload.cookie else workload.cookie

    @property
    def ours(self):
        return self.name.startswith("ours")


# ---- ours ------------------------------------------------------------------------------------------

def ours(name, module, config, **others):
    headers = {
        "make.asis": "Django-Session-Update: " + json.dumps({"set": SESSION, "login": LOGIN}),
        "write.asis": 'Django-Session-Update: {"increment": {"n": 1}}',
    }
    return Target("ours, " + name, modules=[], headers=headers, cookie_name="sessionid",
                  config="LoadModule django_session_module %s\n" % module + config + OURS_CONFIG + SEEN,
                  seen="active", **others)


def our_targets(stores, module):
    def make(name, engine, users, **others):
        return ours(name, module, users + engine, **others)

    def cache(url, client):
        return 'DjangoSessionEngine cache\nDjangoSessionCache "%s" format=%s\n' % (url, client)

    memcached = "memcached://127.0.0.1:%d" % stores.memcached.port
    redis = "redis://127.0.0.1:%d/0" % stores.redis.port
    sqlite, postgres = stores.sqlite_dbd, stores.postgres_dbd
    return [
        make("signed_cookies", "DjangoSessionEngine signed_cookies\n", sqlite,
             peers=("mod_session_cookie",)),
        make("encrypted_cookies", "DjangoSessionEngine encrypted_cookies\n", sqlite,
             peers=("mod_session_cookie, encrypted", "mod_auth_openidc, cookie")),
        make("shm", 'DjangoSessionEngine cache\nDjangoSessionCache "shm://bench?size=64m"\n', sqlite,
             peers=("mod_auth_openidc, shm",), private=True),
        make("file", "DjangoSessionEngine file\nDjangoSessionFilePath %s\n" % stores.files, sqlite,
             peers=("mod_auth_openidc, file",)),
        make("db on SQLite", "", sqlite, peers=("mod_session_dbd, SQLite",)),
        make("db on PostgreSQL", "", postgres, peers=("mod_session_dbd, PostgreSQL",),
             store="postgres"),
        make("memcached", cache(memcached, "pymemcache"), sqlite, store="memcached",
             peers=("mod_auth_openidc, memcached",)),
        make("Redis", cache(redis, "django-redis"), sqlite, store="redis",
             peers=("mod_auth_openidc, Redis",)),
        make("cached_db, memcached", 'DjangoSessionEngine cached_db\n'
             'DjangoSessionCache "%s" format=pymemcache\n' % memcached, postgres,
             store="memcached postgres"),
    ] + [make(name + ", DjangoUserCache", engine + "DjangoUserCache 1min\n", users,
              # who has just logged in is not remembered for a minute; here he logged in elsewhere
              cookie_of="ours, " + name, workloads=("read", "protect"), **others)
         for name, engine, users, others in (
             ("signed_cookies", "DjangoSessionEngine signed_cookies\n", sqlite, {}),
             ("db on SQLite", "", sqlite, {}),
             ("db on PostgreSQL", "", postgres, {"store": "postgres"}))]


# ---- the peers ---------------------------------------------------------------------------------------

def peer(name, config, modules, **others):
    replace = "X-Replace-Session: " + PEER_SESSION
    return Target(name, config=config + PEER_CONFIG + SEEN, modules=["session"] + modules,
                  headers={"make.asis": replace, "write.asis": replace.replace("Friday", "Monday")},
                  cookie_name="session", workloads=("read", "write", "anonymous", "unknown", "proxy"),
                  seen="en-gb", **others)


def peer_targets(stores):
    return [
        peer("mod_session_cookie", "SessionCookieName session path=/\n", ["session_cookie"]),
        peer("mod_session_cookie, encrypted",
             "SessionCookieName session path=/\nSessionCryptoPassphrase %s\n" % SECRET,
             ["session_cookie", "session_crypto"], expensive=True, fewer=100),
        peer("mod_session_dbd, SQLite", stores.sqlite_dbd + PEER_SQL, ["session_dbd"]),
        peer("mod_session_dbd, PostgreSQL", stores.postgres_dbd + PEER_SQL, ["session_dbd"],
             store="postgres"),
    ]


def openidc(name, config, **others):
    """Its session is its login, so that is what it has to show."""
    return Target("mod_auth_openidc, " + name, modules=["auth_openidc"], logs_in=True,
                  config=CONFIG + config + """
<Location "/protect">
    AuthType openid-connect
    Require valid-user
</Location>
<Location "/protect/seen">
    Header set Seen "expr=%{REMOTE_USER}"
</Location>
""", cookie_name="mod_auth_openidc_session", workloads=("protect",), **others)


def openidc_targets(stores):
    def cached(kind, config):
        return "OIDCSessionType server-cache\nOIDCCacheType %s\n%s\n" % (kind, config)

    return [
        openidc("cookie", "OIDCSessionType client-cookie\n"),
        openidc("shm", cached("shm", ""), private=True),
        openidc("file", cached("file", "OIDCCacheDir %s" % stores.folder("openidc"))),
        openidc("memcached", cached("memcache", "OIDCMemCacheServers 127.0.0.1:%d"
                                    % stores.memcached.port),
                store="memcached"),
        openidc("Redis", cached("redis", "OIDCRedisCacheServer 127.0.0.1:%d" % stores.redis.port),
                store="redis"),
    ]


# ---- Django itself ---------------------------------------------------------------------------------

def django(name, reads, settings, **others):
    config = """
WSGIApplicationGroup %%{GLOBAL}
WSGIScriptAlias / "%s"
<Directory "%s">
    Require all granted
</Directory>
<Location "/proxy">
    SetHandler none
</Location>
""" % (HERE / "django_site.py", HERE)
    for key, value in settings.items():
        config += "SetEnv %s '%s'\n" % (key, value)
    return Target("Django in mod_wsgi, " + name, config=config, modules=["wsgi"],
                  cookie_name="sessionid", cookie_of="ours, " + reads, expensive=True, fewer=5,
                  workloads=("read", "write", "anonymous", "protect", "unknown"),
                  seen="active", **others)


def django_targets(stores):
    sqlite = {"BENCH_DRIVER": "sqlite3", "BENCH_PARAMS": stores.sqlite}
    postgres = {"BENCH_DRIVER": "pgsql", "BENCH_PARAMS": stores.postgres_params}
    memcached = {"BENCH_CACHE": "memcached 127.0.0.1:%d" % stores.memcached.port}
    redis = {"BENCH_CACHE": "redis redis://127.0.0.1:%d/0" % stores.redis.port}
    return [
        django("signed_cookies", "signed_cookies", dict(sqlite, BENCH_ENGINE="signed_cookies")),
        django("file", "file", dict(sqlite, BENCH_ENGINE="file", BENCH_FILES=stores.files)),
        django("db on SQLite", "db on SQLite", dict(sqlite, BENCH_ENGINE="db")),
        django("db on PostgreSQL", "db on PostgreSQL", dict(postgres, BENCH_ENGINE="db"),
               store="postgres"),
        django("memcached", "memcached", dict(sqlite, BENCH_ENGINE="cache", **memcached),
               store="memcached"),
        django("Redis", "Redis", dict(sqlite, BENCH_ENGINE="cache", **redis), store="redis"),
        django("cached_db, memcached", "cached_db, memcached",
               dict(postgres, BENCH_ENGINE="cached_db", **memcached), store="memcached postgres"),
    ]


# ---- all of them ---------------------------------------------------------------------------------

ALONE = "httpd alone"


def targets(stores, module, backend_port):
    """By name, in the order of the tables."""
    # httpd walks through as many sections there, which say something else
    sections = re.sub("(?m)^ .*\n", "    LimitRequestBody 0\n", OURS_CONFIG + SEEN)
    alone = Target(ALONE, config=sections[sections.index("<"):])
    found = [alone] + our_targets(stores, module)
    found += peer_targets(stores) + openidc_targets(stores) + django_targets(stores)
    for target in found:
        target.config += '\nProxyPass "/proxy" "http://127.0.0.1:%d"\n' % backend_port
        for other in found:
            if other.cookie_of == target.name and not other.ours:
                target.peers += (other.name,)
    return {target.name: target for target in found}


def make_session(server, page="make.asis"):
    """The cookie of a new session."""
    if server.target.logs_in:
        return login(server, SESSION)
    answer = server.ask("/" + page)
    found = re.search("^Set-Cookie: (%s=[^;\r]+)" % server.target.cookie_name, answer, re.M)
    if not found:
        raise SystemExit("%s made no session:\n%s\n%s"
                         % (server.name, answer, (server.dir / "error.log").read_text()[-2000:]))
    return found.group(1)


def check(server, cookie):
    """A benchmark of something that does not happen is worth nothing."""
    target = server.target
    seen = server.seen("/seen/index.txt", cookie)
    if "read" in target.workloads and target.seen not in seen:
        raise SystemExit("%s: the application saw %r, not %r" % (target.name, seen, target.seen))
    if "protect" in target.workloads and target.cookie_name:
        seen = server.seen("/protect/seen/index.txt", cookie)
        if LOGIN not in seen:
            raise SystemExit("%s: nobody is logged in: %r" % (target.name, seen))
