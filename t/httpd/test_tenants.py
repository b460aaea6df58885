# SPDX-License-Identifier: Apache-2.0
"""
Shared hosting: two sites in one httpd never see each other's sessions, whatever keeps them apart:
databases, tables, folders, prefixes, keys. One child with one thread serves both over one connection,
so that what a process, a thread or a connection remembers is in play, and each is sent the cookies of
the other. What .htaccess files may say and may not is in test_config.py and test_directives.py.
"""
import http.client
import json
import re

import pytest

import harness
import servers

ON = "DjangoSession On\nDjangoSessionUpdate On\n"
ONE_THREAD = "ServerLimit 1\nThreadLimit 1\nThreadsPerChild 1\nMaxRequestWorkers 1\nStartServers 1\n" \
             "MaxKeepAliveRequests 0\nKeepAliveTimeout 60\n" \
             'CustomLog "@DIR@/served_by" "%P %{tid}P"\n'

#: what the two sites have in common, and what each has to itself
APART = {
    "databases": ("", ["DBDParams @FIRST@\n", "DBDParams @SECOND@\n"]),
    "databases and keys": ("", ["DBDParams @FIRST@\nDjangoSecretKey of-the-first\n",
                                "DBDParams @SECOND@\nDjangoSecretKey of-the-second\n"]),
    "tables": ("", ["DjangoSessionTable django_session\n", "DjangoSessionTable tenant\n"]),
    "keys": ("", ["DjangoSecretKey of-the-first\n", "DjangoSecretKey of-the-second\n"]),
    "folders": ("DjangoSessionEngine file\n", ["DjangoSessionFilePath @DIR@/first\n",
                                               "DjangoSessionFilePath @DIR@/second\n"]),
    "prefixes in memcached": ("DjangoSessionEngine cache\n", [
        "DjangoSessionCache @MEMCACHED@ prefix=first\n", "DjangoSessionCache @MEMCACHED@ prefix=second\n"]),
    "one prefix that begins as the other": ("DjangoSessionEngine cache\n", [
        "DjangoSessionCache @MEMCACHED@ prefix=site\n", "DjangoSessionCache @MEMCACHED@ prefix=site2\n"]),
    "prefixes in Redis": ("DjangoSessionEngine cache\n", [
        "DjangoSessionCache @REDIS@/3 timeout=60s prefix=first\n",
        "DjangoSessionCache @REDIS@/3 timeout=60s prefix=second\n"]),
    "databases of Redis": ("DjangoSessionEngine cache\n", [
        "DjangoSessionCache @REDIS@/1 timeout=60s\n",
        "DjangoSessionCache @REDIS@/2 timeout=60s\n"]),
    "shared memories": ("DjangoSessionEngine cache\n", [
        "DjangoSessionCache shm://first?size=1m\n", "DjangoSessionCache shm://second?size=1m\n"]),
    "prefixes in shared memory": ("DjangoSessionEngine cache\n", [
        "DjangoSessionCache shm://both?size=1m prefix=first\n",
        "DjangoSessionCache shm://both?size=1m prefix=second\n"]),
    "databases and prefixes": ("DjangoSessionEngine cached_db\n", [
        "DBDParams @FIRST@\nDjangoSessionCache @REDIS@/4 timeout=60s prefix=first\n",
        "DBDParams @SECOND@\nDjangoSessionCache @REDIS@/4 timeout=60s prefix=second\n"]),
    "keys of signed cookies": ("DjangoSessionEngine signed_cookies\n", [
        "DjangoSecretKey of-the-first\n", "DjangoSecretKey of-the-second\n"]),
    "keys of encrypted cookies": ("DjangoSessionEngine encrypted_cookies\n", [
        "DjangoSecretKey of-the-first\n", "DjangoSecretKey of-the-second\n"]),
}
#: answers with what it sees
PROGRAMS = {
    "look": "",
    "mine": 'echo "Django-Session-Set: owner=$HTTP_HOST"\n',
    "note": 'echo "Django-Session-Set: noted_by=$HTTP_HOST"\n',
    "flush": "echo 'Django-Session-Update: {\"flush\": true}'\n",
}


class Connection:
    """One connection over which requests for several hosts go."""

    def __init__(self, port, secrets):
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=harness.PATIENCE)
        self.secrets, self.socket = secrets, None

    def ask(self, host, path="/cgi/look", cookie=None):
        headers = {"Host": host}
        if cookie is not None:
            headers["Cookie"] = cookie
        self.http.request("GET", path, headers=headers)
        assert self.socket in (None, self.http.sock), "a new connection"
        self.socket = self.http.sock
        answer = self.http.getresponse()
        answer = harness.Response(answer.status, answer.getheaders(), answer.read())
        self.secrets.add(answer.cookie() or "")
        return answer

    def sees(self, host, cookie, path="/cgi/look"):
        """Status and session that the application is told."""
        env = dict(line.split("=", 1) for line in self.ask(host, path, cookie).text.split("\0")
                   if "=" in line)
        return env["DJANGO_SESSION_STATUS"], json.loads(env["DJANGO_SESSION"])

    def close(self):
        self.http.close()


def start(site, config, **options):
    # Under event httpd may close a connection that waits when its only thread is at work.
    server = site.httpd(ONE_THREAD + config, start=False, mpm="worker", **options)
    server.expect("AH0028[67]: ")  # that its only thread is at work
    for folder in ("first", "second"):
        (server.dir / folder).mkdir()
    for name, says in PROGRAMS.items():
        (server.dir / "cgi" / name).write_text(
            "#!/bin/sh\necho 'Content-Type: application/octet-stream'\n%secho\nexec env -0\n" % says)
        (server.dir / "cgi" / name).chmod(0o755)
    harness.hand_over(server.dir)
    server.start()
    return server


def virtual_host(name, lines):
    return f"<VirtualHost *:@PORT@>\nServerName {name}\n{ON}{lines}</VirtualHost>\n"


def hosts_of(case):
    return ["%s.%s" % (which, re.sub(r"\W+", "-", case).lower()) for which in ("first", "second")]


@pytest.fixture(scope="module")
def server(databases):
    first, second = (databases.get("sqlite") for _ in range(2))
    site = harness.Site(first)
    first.execute("CREATE TABLE tenant AS SELECT * FROM django_session")
    first.execute("CREATE UNIQUE INDEX tenant_key ON tenant (session_key)")
    with servers.Memcached() as memcached, servers.Redis() as redis:
        config = "".join(virtual_host(host, both + own[i]) for case, (both, own) in APART.items()
                         for i, host in enumerate(hosts_of(case)))
        for name, value in (("FIRST", first.dbd[1]), ("SECOND", second.dbd[1]),
                            ("MEMCACHED", "memcached://127.0.0.1:%d timeout=60s" % memcached.port),
                            ("REDIS", "redis://127.0.0.1:%d" % redis.port)):
            config = config.replace("@%s@" % name, value)
        yield start(site, config)
        site.close()


@pytest.fixture
def connection(server):
    made = Connection(server.port, server.secrets)
    yield made
    made.close()


@pytest.mark.parametrize("case", APART)
def test_no_site_sees_what_is_the_others(server, connection, case):
    first, second = hosts = hosts_of(case)
    cookies = {host: "sessionid=" + connection.ask(host, "/cgi/mine").cookie() for host in hosts}
    assert cookies[first] != cookies[second]
    # There and back, with what the connection has come to know in between.
    for host, other in (hosts, hosts, hosts[::-1], hosts, hosts[::-1], hosts[::-1]):
        assert connection.sees(host, cookies[host]) == ("active", {"owner": host})
        status, session = connection.sees(other, cookies[host])
        assert status in ("new", "invalid", "expired") and session == {}
    # Among several cookies each finds its own.
    for both in ("; ".join(cookies.values()), "; ".join(list(cookies.values())[::-1])):
        for host in hosts:
            assert connection.sees(host, both) == ("active", {"owner": host})
    # What is done there with it begins a session of its own, or ends nothing.
    for host, other in (hosts, hosts[::-1]):
        begun = connection.ask(other, "/cgi/note", cookies[host])
        assert begun.status == 200 and begun.cookie() not in (None, cookies[host].split("=", 1)[1])
        assert connection.sees(other, "sessionid=" + begun.cookie()) == ("active",
                                                                         {"noted_by": other})
        assert connection.ask(other, "/cgi/flush", cookies[host]).status == 200
    for host in hosts:
        assert connection.sees(host, cookies[host]) == ("active", {"owner": host})
        assert connection.ask(host, "/cgi/flush", cookies[host]).status == 200
        if "cookies" not in case:
            assert connection.sees(host, cookies[host]) == ("new", {})


def test_it_was_one_thread(server):
    """Of one process: behind all that the tests before asked."""
    assert len(set((server.dir / "served_by").read_text().splitlines())) == 1


def test_two_djangos_with_the_same_key_and_the_same_id_are_two(make_site):
    """A session key and a user's id that both sites have are another visitor's at each."""
    sites = {"first.example": make_site(), "second.example": make_site()}
    names = dict(zip(sites, ("ada", "bob")))
    ids, keys = set(), {}
    for host, site in sites.items():
        ids.add(site.create_user(names[host]))
        keys[host] = site.login(names[host], owner=host)
    assert len(ids) == 1
    first, second = sites.values()
    key = keys["first.example"]
    data, end = second.database.row(keys["second.example"])
    second.database.execute("INSERT INTO django_session VALUES (%s, %s, %s)", (key, data, end))
    login = '<Location "/">\nAuthType Django\nRequire valid-user\nDjangoUnauthenticated 401\n</Location>\n'
    server = start(first, "".join(virtual_host(host, site.directives() + login)
                                  for host, site in sites.items()), base=False)
    connection = Connection(server.port, first.secrets)
    first.secrets.texts |= second.secrets.texts
    cookie = "sessionid=" + key
    hosts = list(sites)
    for host in (hosts + hosts[::-1]) * 3:
        answer = connection.ask(host, cookie=cookie)
        assert "\0REMOTE_USER=%s\0" % names[host] in "\0" + answer.text
        assert connection.sees(host, cookie) == ("active", {"owner": host})
    # The very bytes of the first one's session, which the connection has just verified there.
    second.database.execute("UPDATE django_session SET session_data = %s WHERE session_key = %s",
                            (first.database.row(key)[0], key))
    for host in (hosts + hosts[::-1]) * 2:
        answer = connection.ask(host, cookie=cookie)
        assert answer.status == (200 if host == hosts[0] else 401), host
        assert ("ada" in answer.text) == (host == hosts[0])
    connection.close()
    assert len(set((server.dir / "served_by").read_text().splitlines())) == 1


def test_a_tenants_folder_shapes_its_own_sessions_and_reaches_no_others(site):
    """Two tenants in folders of one virtual host, each with an .htaccess of its own."""
    site.database.execute("CREATE TABLE tenant AS SELECT * FROM django_session")
    site.database.execute("CREATE UNIQUE INDEX tenant_key ON tenant (session_key)")
    server = start(site, ON + """
<Directory "@DIR@/cgi">
AllowOverride AuthConfig
</Directory>
<Directory "@DIR@/cgi/second">
DjangoSessionTable tenant
</Directory>
""")
    shapes = {"first": "DjangoSessionCookieName first\nDjangoSessionCookieAge 1h\n",
              "second": "DjangoSessionCookieName second\nDjangoSessionCookiePath /cgi/second/\n"
                        "DjangoSessionEnv On owner=OWNER\n"}
    for name, lines in shapes.items():
        folder = server.dir / "cgi" / name
        folder.mkdir()
        (folder / ".htaccess").write_text(lines)
        for program in PROGRAMS:
            (folder / program).symlink_to(server.dir / "cgi" / program)
    connection = Connection(server.port, site.secrets)
    keys = {}
    for name in shapes:
        answer = connection.ask("x", f"/cgi/{name}/mine")
        keys[name] = answer.cookie(name)
        site.secrets.add(keys[name])
        assert ("Max-Age=3600;" in answer.get("Set-Cookie")) == (name == "first")
        assert ("Path=/cgi/second/" in answer.get("Set-Cookie")) == (name == "second")
    for name, other in (("first", "second"), ("second", "first")):
        path = f"/cgi/{name}/look"
        assert connection.sees("x", f"{name}={keys[name]}", path) == ("active", {"owner": "x"})
        for cookie in (f"{other}={keys[other]}", f"{name}={keys[other]}"):
            assert connection.sees("x", cookie, path) == ("new", {})
    assert "\0OWNER=x\0" in connection.ask("x", "/cgi/second/look", f"second={keys['second']}").text
    connection.close()
