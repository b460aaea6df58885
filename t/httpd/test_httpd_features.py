# SPDX-License-Identifier: Apache-2.0
"""
Sessions across what else httpd does to a request: ways to get at a program, ways to answer, and the
servers of applications. What needs HTTP/2 is in test_http2.py, mod_cache in test_mod_cache.py.
"""
import glob
import gzip
import json
import socket
import subprocess
import threading
import urllib.parse

import pytest

import harness
import servers
from harness import PATIENCE
from test_snippets import Program

COUNT = "Django-Session-Update: " + json.dumps({"increment": {"n": 1}})
LONG = "".join("line %d of a long page\n" % i for i in range(2000))


class Place:
    """A site, and what the tests of a module share: an httpd, and ways to begin and read sessions."""

    def __init__(self, databases, config, **options):
        self.site = harness.Site(databases.get("sqlite"))
        self.backend = self.site.backend()
        self.server = self.site.httpd(config.replace("@APP@", self.backend.url), **options)

    def begin(self, **data):
        key = self.site.create_session(data)
        return key, "sessionid=" + key

    def program(self, path, text, mode=0o755):
        """A file below the server's folder; a program, unless the mode says otherwise."""
        path = self.server.dir / path
        path.parent.mkdir(exist_ok=True, parents=True)
        path.parent.chmod(0o755)
        path.write_text(text)
        path.chmod(mode)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=PATIENCE)


def reply(*headers, path="/cgi/reply", **more):
    """The address of a program that answers with these headers."""
    return path + "?" + urllib.parse.urlencode([("h", h) for h in headers] + list(more.items()))


def until(stream, mark, got=b""):
    """Read until this was there."""
    while mark not in got:
        part = stream.recv(65536)
        assert part, (mark, got)
        got += part
    return got


def check_one_cookie(answer, key):
    assert len(answer.all("Set-Cookie")) == 1 and answer.cookie() == key, answer
    assert not [name for name, _ in answer.headers if name.lower().startswith("django-")]
    assert "Cookie" in answer.vary


# ---- ways to a program --------------------------------------------------------------------------

WAYS = """
DjangoSession On
DjangoSessionUpdate On
DjangoSessionEnv On
RewriteEngine On
RewriteRule ^/by-server$ /count.cgi [PT]
RewriteRule ^/by-server-proxy$ @APP@count [P]
ProxyPass /app/ @APP@
Alias /by-alias @DIR@/htdocs/count.cgi
Alias /fallback @DIR@/fallback
ErrorDocument 404 /count.cgi
ErrorDocument 410 /count.cgi
Redirect 410 /gone
<Directory "@DIR@/fallback">
    FallbackResource /count.cgi
    Require all granted
</Directory>
<Directory "@DIR@/htdocs">
    Options +ExecCGI +MultiViews +Includes
    AddHandler cgi-script .cgi
    AddOutputFilter INCLUDES .shtml
    Action counted /count.cgi virtual
    MultiviewsMatch Handlers
    DirectoryIndex nothing.html count.cgi
    RewriteEngine On
    RewriteRule ^by-directory$ count.cgi
    RewriteRule ^by-directory-proxy$ @APP@count [P]
</Directory>
<Location "/by-action">
    SetHandler counted
</Location>
<LocationMatch "^/cgi/off-">
    DjangoSessionUpdate Off
</LocationMatch>
<LocationMatch "^/cgi/login-">
    DjangoSessionUpdate Login
</LocationMatch>
"""

#: path -> (status, how often the program is run for it and its update counts)
PATHS = {
    "/count.cgi": (200, 1), "/by-alias": (200, 1), "/by-action": (200, 1), "/count": (200, 1),
    "/folder/": (200, 1), "/fallback/any/thing": (200, 1), "/by-server": (200, 1),
    "/by-server-proxy": (200, 1), "/by-directory": (200, 1), "/by-directory-proxy": (200, 1),
    "/nothing/here": (404, 1), "/gone": (410, 1), "/app/count": (200, 1),
    "/cgi/there?/count.cgi": (200, 1), "/cgi/there?/app/count": (200, 1),
    "/cgi/there-and-count?/count.cgi": (200, 2), "/cgi/there-and-count?/page.txt": (200, 1),
    "/included.shtml": (200, 0),
}


@pytest.fixture(scope="module")
def ways(databases):
    place = Place(databases, WAYS, modules=["actions", "negotiation"])
    count = f"#!/bin/sh\nprintf '%s\\n' 'Content-Type: text/plain' '{COUNT}' '' counted\n"
    place.program("htdocs/count.cgi", count)
    place.program("htdocs/folder/count.cgi", count)
    place.program("fallback/x", "")
    place.program("htdocs/included.shtml", '<!--#include virtual="/count.cgi" -->\n', 0o644)
    there = "#!/bin/sh\nprintf '%s\\n' \"Location: $QUERY_STRING\""
    place.program("cgi/there", there + " ''\n")
    place.program("cgi/there-and-count", f"{there} '{COUNT}' ''\n")
    login = 'Django-Session-Update: {"login": "ada"}'
    for rights in ("off", "on", "login"):
        place.program(f"cgi/{rights}-there", f"{there} '{login}' ''\n")
        place.program(f"cgi/{rights}-end", "#!/bin/sh\necho 'Content-Type: text/plain'\necho\n")
    place.site.create_user("ada")
    place.backend.answer = lambda request: (200, [tuple(COUNT.split(": ", 1))], b"counted\n")
    yield place
    place.site.close()


@pytest.mark.parametrize("path", PATHS)
def test_an_update_counts_once_whichever_way_led_to_it(ways, path):
    status, times = PATHS[path]
    key, cookie = ways.begin(n=0)
    answer = ways.server.get(path, cookie=cookie)
    assert answer.status == status, answer
    assert ways.site.read_session(key) == {"n": times}
    if times:
        check_one_cookie(answer, key)


#: (rights of the program's section, of the one that answers) -> (status, is the login made)
RIGHTS = {("off", "login"): (200, False), ("on", "login"): (500, False), ("login", "off"): (200, True),
          ("login", "on"): (200, True), ("login", "login"): (200, True)}


@pytest.mark.parametrize("program, target", RIGHTS)
def test_a_program_that_has_another_answer_has_its_own_rights(ways, program, target):
    """With a CGI program's local Location its other headers go into another section."""
    status, made = RIGHTS[program, target]
    ways.server.expect(130, 135)
    key, cookie = ways.begin(a=1)
    answer = ways.server.get(f"/cgi/{program}-there?/cgi/{target}-end", cookie=cookie)
    assert answer.status == status
    if made:
        check_one_cookie(answer, answer.cookie())
        assert ways.site.read_session(answer.cookie())["_auth_user_id"]
    else:
        assert not answer.all("Set-Cookie") and ways.site.read_session(key) == {"a": 1}


# ---- ways to answer -----------------------------------------------------------------------------

ANSWERS = """
DjangoSession On
DjangoSessionUpdate On
DjangoSessionSaveEveryRequest On
DjangoSessionEnv On
DjangoSessionHeader who=X-Who
ProxyPass /app/ @APP@
ScriptAliasMatch "^/raw/(.*)" "@DIR@/raw/nph-$1"
<Location "/raw/closed">
    AuthType Django
    Require valid-user
</Location>
<Location "/packed">
    SetOutputFilter DEFLATE
</Location>
Alias /packed/static @DIR@/htdocs/long.txt
ScriptAlias /packed/cgi/ @DIR@/cgi/
ProxyPass /packed/app/ @APP@
"""


@pytest.fixture(scope="module")
def answers(databases):
    place = Place(databases, ANSWERS, modules=["deflate"])
    place.program("htdocs/long.txt", LONG, 0o644)
    place.program("cgi/reads", "#!/bin/sh\ncat >/dev/null\nprintf '%s\\n' "
                  f"'Content-Type: text/plain' '{COUNT}' '' counted\n")
    place.program("raw/nph-env", "#!/bin/sh\nprintf '%s\\r\\n' 'HTTP/1.1 200 OK' 'X-Raw: 1' "
                  "'Connection: close' ''\necho \"$DJANGO_SESSION\"\n")
    place.program("raw/nph-closed", "#!/bin/sh\nprintf '%s\\r\\n' 'HTTP/1.1 200 OK' "
                  "'Connection: close' ''\necho SECRET\n")
    yield place
    place.site.close()


RANGES = {  # Range -> (status, body)
    "bytes=0-9": (206, LONG[:10]), "bytes=-10": (206, LONG[-10:]), "bytes=10-": (206, LONG[10:]),
    "bytes=99999999-": (416, None), "bytes=0-1,10-11": (206, None), "lines=1-2": (200, LONG),
}


@pytest.mark.parametrize("value", RANGES)
def test_a_part_of_a_page_comes_with_the_cookie(answers, value):
    status, body = RANGES[value]
    key, cookie = answers.begin(a=1)
    answer = answers.server.get("/long.txt", {"Range": value}, cookie=cookie)
    assert answer.status == status and (body is None or answer.text == body)
    check_one_cookie(answer, key)


def test_a_part_of_what_an_application_sends(answers):
    """httpd cuts it out, if all of it has come at once; the update is of the whole."""
    answers.backend.answer = lambda request: (
        200, [tuple(COUNT.split(": ", 1)), ("ETag", '"one"')], b"0123456789")
    key, cookie = answers.begin(n=0)
    for old, expected in ((None, {206: "4567", 200: "0123456789"}), ('"another"', {200: "0123456789"})):
        headers = {"Range": "bytes=4-7", **({"If-Range": old} if old else {})}
        answer = answers.server.get("/app/", headers, cookie)
        assert answer.text == expected[answer.status], answer
        check_one_cookie(answer, key)
    assert answers.site.read_session(key) == {"n": 2}


def test_a_program_that_sends_its_own_head_reads_the_session(answers):
    """Nothing of httpd sees the answer of an nph program: it is told, and guarded, but says nothing."""
    key, cookie = answers.begin(a=1)
    ask = "GET /raw/%s HTTP/1.1\r\nHost: x\r\nCookie: %s\r\n\r\n"
    raw = answers.server.client().raw(ask % ("env", cookie))
    assert raw.startswith(b"HTTP/1.1 200 OK\r\nX-Raw: 1\r\n") and raw.endswith(b'{"a":1}\n')
    raw = answers.server.client().raw(ask.replace("Host: x", "Host: x\r\nConnection: close")
                                      % ("closed", cookie))
    assert raw.startswith(b"HTTP/1.1 401 ") and b"SECRET" not in raw
    answers.site.create_user("nph")
    raw = answers.server.client().raw(ask % ("closed", "sessionid=" + answers.site.login("nph")))
    assert raw.endswith(b"SECRET\n")


class Raw:
    """An application that sends its answer in parts, each when it is told to."""

    def __init__(self, *parts):
        self.parts = parts
        self.gate = threading.Semaphore(0)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.answer, daemon=True)
        self.thread.start()

    def answer(self):
        connection, _ = self.listener.accept()
        with connection:
            until(connection, b"\r\n\r\n")
            for i, part in enumerate(self.parts):
                if i:
                    self.gate.acquire(timeout=PATIENCE)
                connection.sendall(part)

    def go_on(self):
        self.gate.release()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.thread.join(PATIENCE)
        harness.stop_listening(self.listener)


def test_what_comes_before_the_answer_carries_nothing(answers):
    """100, asked for by the client; 103, sent by a proxied application."""
    key, cookie = answers.begin(n=0)
    with answers.connect() as stream:
        stream.sendall(f"POST /cgi/reads HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n"
                       "Expect: 100-continue\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"
                       .encode())
        got = until(stream, b"\r\n\r\n")
        assert got == b"HTTP/1.1 100 Continue\r\n\r\n"
        stream.sendall(b"body")
        got = until(stream, b"counted\n", got)
    assert got.count(b"Set-Cookie: sessionid=" + key.encode()) == 1

    with Raw(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n",
             b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nDjango-Session-Update: "
             b'{"increment":{"n":1}}\r\n\r\nend') as application:
        server = answers.site.httpd("DjangoSession On\nDjangoSessionUpdate On\n"
                                    f"ProxyPass /app/ http://127.0.0.1:{application.port}/\n")
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as stream:
            stream.sendall(f"GET /app/ HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n"
                           "Connection: close\r\n\r\n".encode())
            early = until(stream, b"\r\n\r\n")
            assert early.startswith(b"HTTP/1.1 103 ") and b"Link: </a.css>" in early
            assert b"Set-Cookie" not in early and answers.site.read_session(key) == {"n": 1}
            application.go_on()
            got = until(stream, b"end")
    assert got.count(b"Set-Cookie: sessionid=" + key.encode()) == 1 and b"Django-" not in got
    assert answers.site.read_session(key) == {"n": 2}


def test_a_proxied_stream_is_not_held_back(answers):
    """In chunks; the first one is with the client, and all is saved, before the next is made."""
    key, cookie = answers.begin(n=0)
    with Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
             + COUNT.encode() + b"\r\n\r\n5\r\nfirst\r\n",
             b"6\r\nsecond\r\n0\r\nDjango-Session-Set: a=trailer\r\n\r\n") as application:
        server = answers.site.httpd("DjangoSession On\nDjangoSessionUpdate On\n"
                                    f"ProxyPass /app/ http://127.0.0.1:{application.port}/\n")
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as stream:
            stream.sendall(f"GET /app/ HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n"
                           "Connection: close\r\n\r\n".encode())
            got = until(stream, b"first")
            assert b"Set-Cookie: sessionid=" + key.encode() in got and b"second" not in got
            assert answers.site.read_session(key) == {"n": 1}
            application.go_on()
            got = until(stream, b"second", got)
    assert got.count(b"Set-Cookie") == 1 and b"Django-Session" not in got
    assert answers.site.read_session(key) == {"n": 1}


def test_requests_in_one_packet_are_answered_each_for_itself(answers):
    """Two visitors behind one proxy that keeps its connection, and does not wait for answers."""
    (ada, ada_cookie), (bob, bob_cookie) = answers.begin(who="ada"), answers.begin(who="bob")
    answers.backend.answer = lambda request: (
        200, [tuple(COUNT.split(": ", 1))], dict(request[2]).get("X-Who", "nobody").encode())
    turns = [(ada_cookie, "ada"), (bob_cookie, "bob"), (None, "nobody")] * 4
    with answers.connect() as stream:
        stream.sendall("".join(
            f"{method} /app/ HTTP/1.1\r\nHost: x\r\n" + (f"Cookie: {cookie}\r\n" if cookie else "")
            + "\r\n" for cookie, _ in turns for method in ("GET", "HEAD")).encode())
        with stream.makefile("rb") as got:
            for cookie, who in turns:
                for method in ("GET", "HEAD"):
                    head, line = [], None
                    while line != b"\r\n":
                        line = got.readline()
                        head.append(line.decode())
                    text = "".join(head)
                    assert head[0] == "HTTP/1.1 200 OK\r\n", text
                    assert got.read(len(who)).decode() == who if method == "GET" else True
                    assert text.count("Set-Cookie: sessionid=") == 1
                    assert (cookie or "Set-Cookie") in text
    for key, who in ((ada, "ada"), (bob, "bob")):
        assert answers.site.read_session(key) == {"who": who, "n": 8}


PACKED = {"static": ("/packed/static", LONG), "cgi": (reply(COUNT, body=LONG[:3000],
                                                            path="/packed/cgi/reply"), LONG[:3000]),
          "proxied": ("/packed/app/", LONG)}


@pytest.mark.parametrize("case", PACKED)
def test_compressed_answers_are_whole_and_have_one_cookie(answers, case):
    path, text = PACKED[case]
    answers.backend.answer = lambda request: (
        200, [tuple(COUNT.split(": ", 1)), ("Content-Type", "text/plain")], text.encode())
    key, cookie = answers.begin(n=0)
    answer = answers.server.get(path, {"Accept-Encoding": "gzip"}, cookie)
    assert answer.status == 200 and answer.get("Content-Encoding") == "gzip"
    assert gzip.decompress(answer.body).decode() == text
    check_one_cookie(answer, key)
    assert "Accept-Encoding" in answer.vary
    assert answers.site.read_session(key) == {"n": 0 if case == "static" else 1}


def test_a_refused_update_behind_compression_is_a_plain_error(answers):
    answers.server.expect(131)
    key, cookie = answers.begin(n=0)
    answer = answers.server.get(reply("Django-Session-Update: {", path="/packed/cgi/reply",
                                      body="SECRETPART" * 500), {"Accept-Encoding": "gzip"}, cookie)
    body = answer.body if answer.get("Content-Encoding") is None else gzip.decompress(answer.body)
    assert answer.status == 500 and b"Internal Server Error" in body and b"SECRETPART" not in body
    assert answers.site.read_session(key) == {"n": 0}


# ---- servers of applications --------------------------------------------------------------------

PHP = """<?php
header('Content-Type: text/plain');
header('Django-Session-Update: {"increment": {"n": 1}}');
echo $_SERVER['REMOTE_USER'], ' ', $_SERVER['DJANGO_SESSION'];
"""

WSGI = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Django-Session-Update", '{"increment": {"n": 1}}')])
    return [(environ["REMOTE_USER"] + " " + environ["DJANGO_SESSION"]).encode()]
"""

FPM = """
[global]
error_log = %(folder)s/fpm.log
daemonize = no
[www]
listen = 127.0.0.1:%(port)d
pm = static
pm.max_children = 2
"""

DJANGO = """
import json, os, sys
sys.dont_write_bytecode = True
sys.path.insert(0, %r)
os.environ["DJS_SITE"] = %r
os.environ["DJANGO_SETTINGS_MODULE"] = "djangosite.settings"
from django.core.wsgi import get_wsgi_application
django = get_wsgi_application()

def application(environ, start_response):
    environ["PATH_INFO"] = environ.pop("SCRIPT_NAME") + environ["PATH_INFO"]
    return django(dict(environ, SCRIPT_NAME=""), start_response)
"""

SERVERS = """
DjangoSession On
DjangoSessionUpdate On
DjangoSessionHeader n=X-N
DjangoSessionSaveEveryRequest On
<Location "/closed">
    AuthType Django
    Require valid-user
</Location>
Alias /closed/php @DIR@/php
<FilesMatch "\\.php$">
    SetHandler "proxy:fcgi://127.0.0.1:%(fpm)d"
</FilesMatch>
ProxyPass /closed/uwsgi/ uwsgi://127.0.0.1:%(uwsgi)d/
ScriptAlias /closed/cgi/ @DIR@/cgi/
<Proxy "balancer://both">
    BalancerMember http://127.0.0.1:%(one)d
    BalancerMember http://127.0.0.1:%(two)d
    BalancerMember http://127.0.0.1:%(none)d
</Proxy>
ProxyPass /both/ balancer://both/
WSGISocketPrefix @DIR@/wsgi
WSGIDaemonProcess django processes=1 threads=4
WSGIScriptAlias /dj @DIR@/wsgi/site.wsgi process-group=django application-group=%%{GLOBAL}
"""


@pytest.fixture(scope="module")
def apps(databases):
    site = harness.Site(databases.get("sqlite"))
    folder = site.keep(harness.Folder("applications")).path
    port = servers.free_port()
    (folder / "fpm.conf").write_text(FPM % {"folder": folder, "port": port})
    (folder / "app.py").write_text(WSGI)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    fpm = site.keep(Program([max(glob.glob("/usr/sbin/php-fpm*")), "-n", "-F", "-y", str(folder / "fpm.conf")],
                            port=port, **quiet))
    uwsgi = site.keep(Program(["/usr/bin/uwsgi", "--plugin", "python3", "--die-on-term",
                               "--uwsgi-socket", "127.0.0.1:{port}", "--need-app",
                               "--wsgi-file", str(folder / "app.py")], **quiet))
    made = {"one": site.backend(), "two": site.backend()}
    config = SERVERS % {"fpm": fpm.port, "uwsgi": uwsgi.port, "one": made["one"].port,
                        "two": made["two"].port, "none": servers.free_port()}
    server = site.httpd(config, start=False,
                        modules=["proxy_fcgi", "proxy_uwsgi", "proxy_balancer", "lbmethod_byrequests",
                                 "slotmem_shm", "wsgi"])
    for name, text in (("php/app.php", PHP),
                       ("wsgi/site.wsgi", DJANGO % (str(harness.HERE), json.dumps(site.settings)))):
        (server.dir / name).parent.mkdir()
        (server.dir / name).write_text(text)
    harness.hand_over(server.dir)
    server.start()
    site.create_user("ada", "pass-word-1")
    yield site, server, made
    site.close()


@pytest.mark.parametrize("path", ["/closed/php/app.php", "/closed/uwsgi/"])
def test_a_server_of_applications_is_told_and_changes_the_session(apps, path):
    site, server, _ = apps
    assert server.get(path).status == 401
    key = site.login("ada", n=41)
    for number in (41, 42):
        answer = server.get(path, cookie="sessionid=" + key)
        assert answer.status == 200 and answer.text == 'ada {"n":%d}' % number, answer
        check_one_cookie(answer, key)
    assert site.read_session(key)["n"] == 43


def test_a_balanced_application_has_one_session_on_all_members(apps):
    """One of which is not there: what was asked of it another one is asked, once."""
    site, server, members = apps
    server.expect("AH00957", "AH01114", "AH00959", "AH01167", "AH10229")
    for member in members.values():
        member.answer = lambda request: (200, [tuple(COUNT.split(": ", 1))],
                                         dict(request[2])["X-N"].encode())
    key = site.create_session({"n": 0})
    for number in range(8):
        answer = server.get("/both/", cookie="sessionid=" + key)
        assert answer.status == 200 and answer.text == str(number), answer
        check_one_cookie(answer, key)
    assert all(member.seen for member in members.values())
    assert sum(len(member.seen) for member in members.values()) == 8


def test_django_itself_under_mod_wsgi_beside_what_it_protects(apps):
    site, server, _ = apps
    client = server.client(cookies=True)
    assert client.get("/closed/cgi/env").status == 401
    client.jar["csrftoken"] = token = "t" * 64
    answer = client.post("/dj/login",
                         f"username=ada&password=pass-word-1&csrfmiddlewaretoken={token}",
                         {"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status == 302 and sorted(c.split("=")[0] for c in answer.all("Set-Cookie")) == [
        "csrftoken", "sessionid"]
    env = client.get("/closed/cgi/env").json()
    assert env["REMOTE_USER"] == "ada"
    # Both write, and both read what the other wrote; never two cookies.
    for path in ("/dj/session?set=%7B%22n%22:1%7D", reply(COUNT, path="/closed/cgi/reply"),
                 "/dj/whoami"):
        answer = client.get(path)
        assert answer.status == 200 and len(answer.all("Set-Cookie")) == 1, answer
    assert client.get("/dj/session").json()["n"] == 2
    assert json.loads(client.get("/closed/cgi/env").json()["DJANGO_SESSION"]) == {"n": 2}
    before = dict(client.jar)
    answer = client.get("/dj/logout")
    assert answer.status == 200 and len(answer.all("Set-Cookie")) == 1
    assert client.get("/closed/cgi/env").status == 401
    client.jar = before
    assert client.get("/closed/cgi/env").status == 401
