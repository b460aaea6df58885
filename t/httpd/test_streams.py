# SPDX-License-Identifier: Apache-2.0
"""WebSockets and endless answers: what they carry, and that they end with the login."""
import json
import subprocess

import pytest

import harness
from streams import Stream, StreamBackend, WebSocket
from test_djsession import Tool

MPMS = ["prefork", "worker", "event"]
#: by mod_proxy_http, and by mod_proxy_wstunnel
PATHS = ["/app/socket", "/raw/socket"]
CONFIG = """
DjangoSession On
DjangoSessionHeader On
DjangoSessionUpdate On
ProxyPass /app/ http://127.0.0.1:%(port)d/ upgrade=websocket disablereuse=on
ProxyPass /raw/ ws://127.0.0.1:%(port)d/
<Location "/app">
    AuthType Django
    Require valid-user
</Location>
<Location "/raw">
    ProxyWebsocketFallbackToProxyHttp Off
    AuthType Django
    Require valid-user
</Location>
<Directory "@DIR@/cgi">
    AllowOverride AuthConfig
</Directory>
<Location "/cgi/endless">
    AuthType Django
    Require valid-user
</Location>
"""


class Place:
    """A site, users, a backend with streams."""

    def __init__(self, databases):
        self.site = harness.Site(databases.get("sqlite"))
        self.backend = self.site.keep(StreamBackend())
        self.folder = self.site.keep(harness.Folder("streams"))
        self.tool = Tool(self.site, self.folder.path)
        self.opened, self.users = [], 0

    def httpd(self, extra="DjangoStreamCheck 1s\n", **options):
        made = self.site.httpd(CONFIG % {"port": self.backend.port} + extra,
                               modules=["proxy_wstunnel"], **options)
        # What httpd says of a client that is gone in the middle, and of a worker that serves one yet.
        made.expect(r"\[(proxy\w*|cgid?):error\]", "AH0004[56]: ", "AH00468: ")
        return made

    def login(self):
        """A user of its own, and a session."""
        self.users += 1
        name = "user%d" % self.users
        self.site.create_user(name)
        return name, self.site.login(name)

    def open(self, kind, server, path, key=None, headers=()):
        self.opened.append(kind(server.port, path, key, headers))
        return self.opened[-1]

    def close(self):
        for stream in self.opened:
            stream.close()
        self.backend.ended.set()
        harness.wait_until(lambda: self.backend.busy == 0, "the end of all streams")
        self.site.close()


@pytest.fixture(scope="module")
def place(databases):
    made = Place(databases)
    yield made
    made.close()


# ---- how a login ends ---------------------------------------------------------------------------

def change_user(site, name, code):
    site.django.run("from django.contrib.auth.models import User\n"
                    "u = User.objects.get(username=%r)\n%s\nu.save()" % (name, code))


def by_djsession(place, _name, key):
    place.tool("delete", key)


def by_django(place, _name, key):
    place.site.django.run(
        "from django.contrib.auth import logout\n"
        "from django.contrib.sessions.backends.db import SessionStore\n"
        "from django.http import HttpRequest\n"
        "r = HttpRequest()\n"
        "r.session = SessionStore(%r)\n"
        "logout(r)" % key)


def by_password(place, name, _key):
    change_user(place.site, name, "u.set_password('pass-word-2')")


def by_deactivation(place, name, _key):
    change_user(place.site, name, "u.is_active = False")


def by_deletion_of_the_user(place, name, _key):
    place.site.django.run("from django.contrib.auth.models import User\n"
                          "User.objects.get(username=%r).delete()" % name)


def by_time(place, _name, key):
    place.site.database.execute("UPDATE django_session SET expire_date = '2001-01-01 00:00:00' "
                                "WHERE session_key = %s", (key,))


ENDS = [by_djsession, by_django, by_password, by_deactivation, by_deletion_of_the_user, by_time]


@pytest.mark.parametrize("mpm", MPMS)
def test_a_websocket_ends_with_its_login_and_others_go_on(place, mpm):
    server = place.httpd(mpm=mpm)
    name, key = place.login()
    stays = [place.open(WebSocket, server, path, key) for path in PATHS]
    ending = []
    for end in ENDS:
        whose = place.login()
        ending.append((end, whose, place.open(WebSocket, server, "/app/socket", whose[1])))
    whose = place.login()
    ending.append((by_djsession, whose, place.open(WebSocket, server, "/raw/socket", whose[1])))
    for i, stream in enumerate([*stays, *(stream for _, _, stream in ending)]):
        assert stream.is_genuine(), (stream.line, stream.headers)
        assert stream.echoes("hello %d" % i)
    rows = place.site.database.row(key)
    for end, whose, _ in ending:
        end(place, *whose)
    for _, _, stream in ending:
        stream.wait_for_end()
    assert all(stream.echoes("still here") for stream in stays)
    assert place.site.database.row(key) == rows, "a check is no activity"
    harness.wait_until(lambda: server.log.count("DJS0170") == len(ending), "what the log says")
    for stream in stays:
        stream.close()


@pytest.mark.parametrize("mpm", ["prefork", "event"])
def test_endless_answers_end_with_their_login(place, mpm):
    server = place.httpd(mpm=mpm)
    _, key = place.login()
    stays = place.open(Stream, server, "/app/events", key)
    assert stays.status == 200
    # What is read for one request is gone with it.
    (server.dir / "cgi" / ".htaccess").write_text("DjangoSessionCookieAge 1h\n")
    for path in ("/app/events", "/app/idle", "/cgi/endless"):
        whose = place.login()
        stream = place.open(Stream, server, path, whose[1])
        assert stream.status == 200 and stream.goes_on(), path
        place.tool("delete", whose[1])
        stream.wait_for_end()
    assert stays.goes_on()
    stays.close()
    place.backend.ended.set()  # else /idle would keep a worker
    harness.wait_until(lambda: server.log.count("DJS0170") == 3, "what the log says")
    place.backend.ended.clear()


@pytest.mark.parametrize("mpm", ["prefork", "event"])
def test_streams_outlive_a_graceful_restart_and_are_still_watched(place, mpm):
    server = place.httpd(mpm=mpm)
    one, other = place.login()[1], place.login()[1]
    ends, stays = (place.open(WebSocket, server, "/app/socket", key) for key in (one, other))
    assert ends.echoes("before") and stays.echoes("before")
    server.graceful()
    assert ends.echoes("after") and stays.echoes("after")
    place.tool("delete", one)
    ends.wait_for_end()
    assert stays.echoes("later")
    new = place.open(WebSocket, server, "/app/socket", other)
    assert new.echoes("in the next generation")
    place.tool("delete", other)
    for stream in (stays, new):
        stream.wait_for_end()


@pytest.mark.parametrize("mpm, path", [("prefork", "/app/socket"), ("event", "/app/events")])
def test_the_server_stops_with_a_stream_open(place, mpm, path):
    """A WebSocket would keep a child of event for 10 s, with or without the module: httpd's own doing."""
    server = place.httpd(mpm=mpm)
    _, key = place.login()
    stream = place.open(WebSocket, server, path, key)
    assert stream.goes_on() if path == "/app/events" else stream.echoes("hello")
    server.stop()
    stream.wait_for_end()


def test_a_section_has_its_own_check(place):
    """Without one nothing ends."""
    server = place.httpd("DjangoStreamCheck Off\n<Location /app>\nDjangoStreamCheck 1s\n</Location>\n")
    _, key = place.login()
    ends, stays = (place.open(WebSocket, server, path, key) for path in PATHS)
    assert ends.echoes("hello") and stays.echoes("hello")
    place.tool("delete", key)
    ends.wait_for_end()
    assert stays.echoes("still here")
    stays.close()


def test_a_store_that_fails_ends_nothing(place):
    server = place.httpd()
    server.expect(171, r"\[dbd:")
    _, key = place.login()
    stream = place.open(WebSocket, server, "/app/socket", key)
    assert stream.echoes("before")
    place.site.database.execute("ALTER TABLE django_session RENAME TO gone")
    try:
        harness.wait_until(lambda: server.has_logged(171), "a check that fails")
        assert stream.echoes("meanwhile")
    finally:
        place.site.database.execute("ALTER TABLE gone RENAME TO django_session")
    place.tool("delete", key)
    stream.wait_for_end()


def test_over_http2_the_connection_ends(place):
    server = place.site.httpd("Protocols h2c http/1.1\n" + CONFIG % {"port": place.backend.port}
                              + "DjangoStreamCheck 1s\n", modules=["proxy_wstunnel", "http2"])
    server.expect(r"\[(proxy\w*|http2):(error|warn)\]")
    _, key = place.login()
    curl = subprocess.Popen(
        ["curl", "-sSN", "--http2-prior-knowledge", "-H", "Cookie: sessionid=" + key,
         "http://127.0.0.1:%d/app/events" % server.port], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL)
    try:
        assert curl.stdout.read(4) == b"data"
        place.tool("delete", key)
        curl.communicate(timeout=harness.PATIENCE)
        assert curl.returncode != 0
    finally:
        curl.kill()
        curl.wait()
    harness.wait_until(lambda: server.has_logged(170), "what the log says")


def test_a_lifetime_ends_a_stream(place):
    server = place.httpd("DjangoStreamCheck 1s\nDjangoSessionMaxLifetime 1h\n")
    _, key = place.login()
    stream = place.open(WebSocket, server, "/app/socket", key)
    assert stream.echoes("hello")
    place.site.django.run(
        "from django.contrib.sessions.backends.db import SessionStore\n"
        "s = SessionStore(%r)\n"
        "s['_session_started'] = 1\n"
        "s.save()" % key)
    stream.wait_for_end()


def test_a_short_answer_is_not_watched(place):
    server = place.httpd()
    _, key = place.login()
    assert server.get("/page.txt", cookie="sessionid=" + key).status == 200
    assert "DJS017" not in server.log


# ---- how they begin -----------------------------------------------------------------------------

@pytest.fixture(scope="module")
def plain(place):
    """Without the check."""
    return place.httpd("DjangoSessionSaveEveryRequest On\n")


@pytest.fixture
def extra(place):
    """Lines that the backend adds to the heads of its answers."""
    yield place.backend.extra
    place.backend.extra.clear()


@pytest.mark.parametrize("path", PATHS)
def test_a_backend_is_told_of_the_login_and_never_by_the_client(place, plain, path):
    name, key = place.login()
    stream = place.open(WebSocket, plain, path, key,
                        [("Django-User", "root"), ("Django_Session", "{}"),
                         ("DJANGO-USER-ID", "0"), ("Connection", "Django-User")])
    assert stream.is_genuine() and stream.echoes("hello")
    headers = [(k.lower().replace("_", "-"), v) for k, v in place.backend.heads[-1][1]]
    assert [v for k, v in headers if k == "django-user"] == [name]
    assert [v for k, v in headers if k == "django-session-status"] == ["active"]
    assert len([v for k, v in headers if k == "django-user-id"]) == 1
    assert [json.loads(v) for k, v in headers if k == "django-session"] == [{}]


@pytest.mark.parametrize("path", PATHS)
def test_nobody_gets_no_websocket(place, plain, path):
    before = len(place.backend.heads)
    stream = place.open(WebSocket, plain, path)
    assert stream.status == 401 and len(place.backend.heads) == before


@pytest.mark.parametrize("path", PATHS)
def test_the_answer_101_carries_the_cookie_and_else_what_the_application_said(
        place, plain, extra, path):
    _, key = place.login()
    extra += ["X-Mine: a, b", "Set-Cookie: mine=1; Path=/", "x-odd:  c"]
    stream = place.open(WebSocket, plain, path, key)
    assert stream.is_genuine() and stream.echoes("hello")
    assert stream.all("X-Mine") == ["a, b"] and stream.all("X-Odd") == ["c"]
    cookies = stream.all("Set-Cookie")
    assert cookies[0] == "mine=1; Path=/" and len(cookies) == 2
    assert cookies[1].startswith("sessionid=%s; " % key)


@pytest.mark.parametrize("path", PATHS)
def test_an_update_with_the_answer_101_is_taken_out_and_applied(place, plain, extra, path):
    _, key = place.login()
    extra += ['Django-Session-Update: {"set": {"socket": 1}}', "django-session-set: text=two"]
    stream = place.open(WebSocket, plain, path, key)
    assert stream.is_genuine() and stream.echoes("hello")
    assert not [k for k, _ in stream.headers if k.lower().startswith("django-")]
    data = place.site.read_session(key)
    assert (data["socket"], data["text"]) == (1, "two")


@pytest.mark.parametrize("path", PATHS)
def test_a_refused_update_refuses_the_websocket(place, plain, extra, path):
    plain.expect(131)
    _, key = place.login()
    extra.append("Django-Session-Update: {")
    stream = place.open(WebSocket, plain, path, key)
    assert stream.status == 500 and not stream.all("Upgrade")
    stream.wait_for_end()
    assert "socket" not in place.site.read_session(key)


@pytest.mark.parametrize("path", PATHS)
def test_a_head_without_an_end_is_no_answer(place, plain, extra, path):
    plain.expect(174)
    _, key = place.login()
    extra += ["X-%d: %s" % (i, "a" * 7000) for i in range(12)]
    stream = place.open(WebSocket, plain, path, key)
    assert stream.status == 502
    stream.wait_for_end()


def test_an_ordinary_answer_to_who_asked_for_another_protocol(place, plain):
    _, key = place.login()
    stream = place.open(Stream, plain, "/app/events", key, [("Upgrade", "websocket"),
                                                           ("Connection", "Upgrade")])
    assert stream.status == 200 and stream.goes_on()
    assert [c for c in stream.all("Set-Cookie") if c.startswith("sessionid=")]
    page = plain.get("/page.txt", [("Upgrade", "other")], cookie="sessionid=" + key)
    assert page.status == 200 and page.text == "page\n" and page.cookie() == key
    stream.close()
