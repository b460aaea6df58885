# SPDX-License-Identifier: Apache-2.0
"""DjangoCsrfInject: forms of applications that know nothing of CSRF, and nothing else."""
import gzip
import os
import random
import re
import socket
import urllib.parse

import pytest

import harness

HTML = "Content-Type: text/html; charset=utf-8"
FORM = "<html><form method=post action='/cgi/body'><input name=a value=1></form></html>"
FIELD = re.compile(r'<input type="hidden" name="csrfmiddlewaretoken" value="(\w{64})">')

CONFIG = """
DjangoCsrf On
DjangoCsrfInject On
ProxyPass /app/ %(backend)s
ScriptAlias /off/ "@DIR@/cgi/"
<Location "/off/">
DjangoCsrfInject Off
</Location>
ScriptAlias /session/ "@DIR@/cgi/"
<Location "/session/">
DjangoCsrfUseSessions On
</Location>
ScriptAlias /packed/ "@DIR@/cgi/"
ProxyPass /packed-app/ %(backend)s
<LocationMatch "^/packed">
AddOutputFilterByType DEFLATE text/html
</LocationMatch>
ScriptAlias /packed-too/ "@DIR@/cgi/"
<Location "/packed-too/">
SetOutputFilter DEFLATE
</Location>
<Directory "@DIR@/htdocs">
AllowOverride All
Options +Includes +FollowSymLinks
</Directory>
AddOutputFilter INCLUDES .shtml
"""

DRIP = """#!/bin/sh
# A page whose rest comes when the gate is open.
printf 'Content-Type: text/html\\n\\n<p>first<form method=post><p>second'
flock -s "$QUERY_STRING/lock" true
printf '<p>third</form>'
"""


class Place:
    def __init__(self, databases):
        self.site = harness.Site(databases.get("sqlite"))
        self.backend = self.site.backend()
        self.server = self.site.httpd(CONFIG % {"backend": self.backend.url}, start=False,
                                      modules=["deflate"])
        self.server.expect(210)
        folder = self.server.dir / "htdocs"
        (folder / "form.html").write_text(FORM)
        (folder / "page.shtml").write_text("<!--#include virtual='/form.html' -->" + FORM)
        (folder / "front").mkdir()
        (folder / "front" / ".htaccess").write_text("RewriteEngine On\nRewriteRule . /form.html\n")
        drip = self.server.dir / "cgi" / "drip"
        drip.write_text(DRIP)
        drip.chmod(0o755)
        harness.hand_over(self.server.dir)
        self.server.start()

    def page(self, body, path="/cgi/reply", headers=(HTML,), sent=()):
        query = urllib.parse.urlencode([("h", h) for h in headers] + [("body", body)])
        return self.server.get(path + "?" + query, list(sent))

    def proxied(self, body, headers=(("Content-Type", "text/html"),), status=200, path="/app/x",
                sent=(), method="GET"):
        body = body.encode() if isinstance(body, str) else body
        self.backend.seen.clear()
        self.backend.answer = lambda request: (status, list(headers), body)
        return self.server.client().request(method, path, list(sent))


@pytest.fixture(scope="module")
def place(databases):
    made = Place(databases)
    yield made
    made.site.close()


def sent_back(place, answer, cookie=None):
    """Submit the form of a page."""
    text = gzip.decompress(answer.body).decode() if answer.get("Content-Encoding") else answer.text
    token, = FIELD.findall(text)
    cookie = cookie or "csrftoken=" + answer.cookie("csrftoken")
    return place.server.post("/cgi/body", "a=1&csrfmiddlewaretoken=" + token,
                             [("Content-Type", "application/x-www-form-urlencoded")], cookie)


# ---- what gets a field --------------------------------------------------------------------------

def test_a_form_of_a_program_passes_when_it_is_sent(place):
    answer = place.page(FORM)
    assert FIELD.sub("", answer.text) == FORM
    assert "action='/cgi/body'><input type=\"hidden\"" in answer.text
    assert sent_back(place, answer).status == 200


@pytest.mark.parametrize("path", ["/form.html", "/front/x"])
def test_so_does_one_of_a_file_and_caches_are_told(place, path):
    answer = place.server.get(path, [("Range", "bytes=0-9")])
    assert answer.status == 200 and FIELD.sub("", answer.text) == FORM
    assert sent_back(place, answer).status == 200
    assert "Cookie" in answer.vary and "private" in answer.get("Cache-Control")
    for name in ("ETag", "Last-Modified", "Content-Range"):
        assert answer.get(name) is None, name
    assert answer.get("Accept-Ranges") in (None, "none")
    assert int(answer.get("Content-Length", len(answer.body))) == len(answer.body)


def test_so_does_one_of_a_proxied_application(place):
    answer = place.proxied(FORM, [("Content-Type", "text/html"), ("ETag", '"x"'),
                                  ("Content-MD5", "x"), ("Digest", "x"), ("Accept-Ranges", "bytes")])
    assert FIELD.sub("", answer.text) == FORM and sent_back(place, answer).status == 200
    for name in ("ETag", "Content-MD5", "Digest"):
        assert answer.get(name) is None, name


def test_an_included_page_has_the_same_field(place):
    answer = place.server.get("/page.shtml")
    tokens = FIELD.findall(answer.text)
    assert len(tokens) == 2 and len(set(tokens)) == 1


def test_the_session_keeps_the_secret_if_it_is_told_to(place):
    answer = place.page(FORM, "/session/reply")
    key, token = answer.cookie(), FIELD.findall(answer.text)[0]
    assert place.server.post("/session/body", "csrfmiddlewaretoken=" + token,
                             [("Content-Type", "application/x-www-form-urlencoded")],
                             "sessionid=" + key).status == 200


# ---- compression --------------------------------------------------------------------------------

@pytest.mark.parametrize("path", ["/packed/reply", "/packed-too/reply"])
def test_a_page_is_compressed_behind_us(place, path):
    page = FORM + " " * 2000
    answer = place.page(page, path, sent=[("Accept-Encoding", "gzip")])
    assert answer.get("Content-Encoding") == "gzip"
    assert FIELD.sub("", gzip.decompress(answer.body).decode()) == page
    assert sent_back(place, answer).status == 200


def test_the_application_is_not_asked_for_compressed_pages_but_clients_get_them(place):
    page = FORM + " " * 2000
    answer = place.proxied(page, path="/packed-app/x", sent=[("Accept-Encoding", "gzip, br")])
    (_, _, headers, _), = place.backend.seen
    assert not [name for name, _ in headers if name.lower() == "accept-encoding"]
    assert answer.get("Content-Encoding") == "gzip" and sent_back(place, answer).status == 200


def test_one_that_comes_compressed_is_left_alone(place):
    place.server.expect(213)
    body = gzip.compress(FORM.encode())
    answer = place.proxied(body, [("Content-Type", "text/html"), ("Content-Encoding", "gzip"),
                                  ("ETag", '"x"')], sent=[("Accept-Encoding", "gzip")])
    assert answer.body == body and answer.get("ETag") == '"x"'
    assert place.server.has_logged(213)


def test_where_nothing_is_put_in_applications_are_asked_as_ever(place):
    env = place.server.get("/off/env", [("Accept-Encoding", "gzip")]).json()
    assert env["HTTP_ACCEPT_ENCODING"] == "gzip"


# ---- what is left alone -------------------------------------------------------------------------

@pytest.mark.parametrize("body", [
    "<form>x</form>", "<form method=post action='https://evil.test/'>x</form>",
    "<base href='//evil.test'><form method=post action=x>x</form>",
    "<!-- <form method=post></form> --><script>'<form method=post>'</script>",
    "<form method=post><input name=csrfmiddlewaretoken value=theirs></form>"])
def test_forms_that_are_none_of_ours_are_left_alone(place, body):
    assert place.page(body).text == body
    assert place.proxied(body).text == body


@pytest.mark.parametrize("type", ["text/plain", "application/json", "text/html; charset=utf-16",
                                  "application/xhtml+xml", "image/svg+xml"])
def test_what_is_no_html_is_left_alone(place, type):
    answer = place.proxied(FORM, [("Content-Type", type), ("ETag", '"x"')])
    assert answer.text == FORM and answer.get("ETag") == '"x"'


@pytest.mark.parametrize("status,headers", [
    (206, [("Content-Range", "bytes 0-%d/999" % (len(FORM) - 1))]), (304, []), (204, [])])
def test_parts_and_confirmations_are_left_alone(place, status, headers):
    body = FORM if status == 206 else ""
    headers = [("Content-Type", "text/html"), ("ETag", '"x"')] + headers
    answer = place.proxied(body, headers, status)
    assert answer.status == status and answer.text == body and answer.get("ETag") == '"x"'


def test_an_application_with_a_secret_of_its_own_is_left_alone(place):
    answer = place.proxied(FORM, [("Content-Type", "text/html"),
                                  ("Set-Cookie", "csrftoken=" + "y" * 64)])
    assert answer.text == FORM and answer.all("Set-Cookie") == ["csrftoken=" + "y" * 64]


def test_where_it_is_off_pages_stay_as_they_are(place):
    assert place.page(FORM, "/off/reply").text == FORM


def test_the_head_is_that_of_the_page(place):
    answer = place.proxied(FORM, [("Content-Type", "text/html"), ("ETag", '"x"')], method="HEAD")
    assert answer.status == 200 and answer.get("ETag") is None and answer.body == b""
    assert answer.cookie("csrftoken")


# ---- as it comes --------------------------------------------------------------------------------

def test_a_page_is_not_held_back(place):
    gate = place.site.gate()
    with socket.create_connection(("127.0.0.1", place.server.port), timeout=harness.PATIENCE) as s:
        s.sendall(("GET /cgi/drip?%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                   % gate.path).encode())
        seen = b""
        while b"second" not in seen:  # though the form has not ended
            more = s.recv(4096)
            assert more, seen
            seen += more
        gate.open()
        while True:
            more = s.recv(4096)
            if not more:
                break
            seen += more
    assert b"third" in seen and len(FIELD.findall(seen.decode())) == 1


def test_a_long_page_is_the_same_but_for_its_fields(place):
    chance = random.Random(5)
    parts = [FORM, "<p>" + "x" * 300, "<!--" + FORM + "-->", "é" * 50, "<form></form>", "</form>",
             "<script>" + FORM + "</script>", "<form method=post action=//evil.test></form>"]
    page = "".join(chance.choice(parts) for _ in range(12000))
    (place.server.dir / "htdocs" / "long.html").write_text(page)
    os.chmod(place.server.dir / "htdocs" / "long.html", 0o644)
    from_file = place.server.get("/long.html").text
    assert FIELD.sub("", from_file) == page and len(FIELD.findall(from_file)) > 500
    proxied = place.proxied(page).text
    assert FIELD.sub("@", proxied) == FIELD.sub("@", from_file)


# ---- Django itself behind us --------------------------------------------------------------------

def test_a_page_of_djangos_without_a_token_passes_here_and_there(make_site):
    """Its login view insists on a token, which the template of this site forgot."""
    site = make_site()
    site.create_user("ada")
    server = site.httpd("DjangoCsrf On\nDjangoCsrfInject On\n"
                        f"ProxyPass /dj/ http://127.0.0.1:{site.django.port}/dj/\n")
    server.expect(210)
    client = server.client(cookies=True)
    page = client.get("/dj/login")
    first, token = client.jar["csrftoken"], FIELD.findall(page.text)[0]
    form = {"username": "ada", "password": "pass-word-1", "csrfmiddlewaretoken": token}
    kind = [("Content-Type", "application/x-www-form-urlencoded")]
    bad = dict(form, csrfmiddlewaretoken="a" * 64)
    assert client.post("/dj/login", urllib.parse.urlencode(bad), kind).status == 403
    answer = client.post("/dj/login", urllib.parse.urlencode(form), kind)
    assert answer.status == 302 and answer.get("Location") == "/dj/whoami", answer
    # The secret that its login made is the one from now on.
    assert len(answer.all("Set-Cookie")) == 2 and client.jar["csrftoken"] != first
    assert client.get("/dj/whoami").json() == {"user": "ada"}
    token = FIELD.findall(client.get("/dj/login").text)[0]
    form["csrfmiddlewaretoken"] = token
    assert client.post("/dj/login", urllib.parse.urlencode(form), kind).status == 302
