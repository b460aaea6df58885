# SPDX-License-Identifier: Apache-2.0
"""DjangoCsrf: tokens that Django takes and makes, and bodies that arrive as they were sent."""
import collections
import gzip
import hashlib
import json
import os
import re
import socket
import subprocess
import urllib.parse

import pytest

import harness
from test_hostile import FastCGI

FORM = "application/x-www-form-urlencoded"
KIB = 1024
PEEK = 128 * KIB

CONFIG = """
Protocols h2c http/1.1
DjangoCsrf On
<Location "/cgi/">
DjangoSessionHeader On
</Location>
ScriptAlias /origin/ "@DIR@/cgi/"
<Location "/origin/">
DjangoCsrf Origin
DjangoCsrfTrustedOrigins https://friend.test
</Location>
ScriptAlias /open/ "@DIR@/cgi/"
<Location "/open/">
DjangoCsrf Off
</Location>
ScriptAlias /session/ "@DIR@/cgi/"
<Location "/session/">
DjangoCsrfUseSessions On
</Location>
ScriptAlias /named/ "@DIR@/cgi/"
<Location "/named/">
DjangoCsrfCookieName xsrf
DjangoCsrfHeaderName X-XSRF-Token
DjangoCsrfCookiePath /named/
DjangoSessionHideCookie On
</Location>
ScriptAlias /private/ "@DIR@/cgi/"
<Location "/private/">
AuthType Django
Require valid-user
DjangoUnauthenticated 401
</Location>
ProxyPass /app/ %(backend)s
ErrorDocument 403 /cgi/form
<Directory "@DIR@/htdocs">
AllowOverride All
Options +Includes +FollowSymLinks
</Directory>
<Directory "@DIR@/htdocs/inflated">
SetInputFilter DEFLATE
</Directory>
AddOutputFilter INCLUDES .shtml
<VirtualHost *:@PORT@>
ServerName plain.test
</VirtualHost>
<VirtualHost *:@PORT@>
ServerName https://secure.test
DjangoCsrfCookieSecure Auto
DjangoCsrfTrustedOrigins https://friend.test https://*.friends.test old.test
</VirtualHost>
"""


VECTORS = json.loads((harness.SRC / "t/vectors/csrf_cookie.json").read_bytes())["cases"]
DIRECTIVES = {"CSRF_COOKIE_NAME": "DjangoCsrfCookieName", "CSRF_COOKIE_AGE": "DjangoCsrfCookieAge",
              "CSRF_COOKIE_DOMAIN": "DjangoCsrfCookieDomain",
              "CSRF_COOKIE_PATH": "DjangoCsrfCookiePath",
              "CSRF_COOKIE_SECURE": "DjangoCsrfCookieSecure",
              "CSRF_COOKIE_HTTPONLY": "DjangoCsrfCookieHttpOnly",
              "CSRF_COOKIE_SAMESITE": "DjangoCsrfCookieSameSite",
              "CSRF_USE_SESSIONS": "DjangoCsrfUseSessions"}


def number_of(case):
    """c7-none-nothing is of the settings c7."""
    return case["id"].split("-")[0]


def directive(name, value):
    """A setting of Django's as a line of configuration."""
    return f"{DIRECTIVES[name]} {({True: 'On', False: 'Off'}).get(value, value)}\n"


def sections_of_vectors():
    """A section for the settings of each vector; SameSite=None would need Secure here."""
    for number, settings in {number_of(case): case["settings"] for case in VECTORS}.items():
        if settings != {"CSRF_COOKIE_SAMESITE": "None"}:
            yield f'ScriptAlias /{number}/ "@DIR@/cgi/"\n<Location "/{number}/">\n'
            yield from (directive(name, value) for name, value in settings.items())
            yield "</Location>\n"


class Place:
    """An httpd with all sections, a site beside it, a backend behind it."""

    def __init__(self, databases):
        self.site = harness.Site(databases.get("sqlite"))
        self.backend = self.site.backend()
        config = CONFIG % {"backend": self.backend.url} + "".join(sections_of_vectors())
        self.server = self.site.httpd(config, start=False,
                                      modules=["deflate", "http2", "actions"])
        self.server.expect(210)
        folder = self.server.dir / "htdocs"
        for name, text in {
                "page.shtml": '<!--#echo var="DJANGO_CSRF_TOKEN"-->\n'
                              '<!--#include virtual="/cgi/form"-->\n',
                "static.html": "<p>static",
                "front/.htaccess": "RewriteEngine On\nRewriteRule . /cgi/body\n",
                "wrong/.htaccess": "DjangoCsrfCookieSameSite None\n",
                "wrong/page.txt": "page",
                "inflated/.htaccess": "RewriteEngine On\n"}.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        harness.hand_over(folder)
        self.server.start()
        self.cookie_value = self.django_secret()

    def django_secret(self):
        """A cookie as Django makes it."""
        value = self.site.django.run(
            "from django.middleware.csrf import _get_new_csrf_token\n"
            "result = _get_new_csrf_token()")
        self.site.secrets.add(value)
        return value

    def django_token(self, cookie):
        """What {%% csrf_token %%} shows to who has this cookie."""
        return self.site.django.run(
            "from django.http import HttpRequest\n"
            "from django.middleware.csrf import CsrfViewMiddleware, get_token\n"
            "r = HttpRequest(); r.COOKIES['csrftoken'] = %r\n"
            "CsrfViewMiddleware(lambda r: None).process_request(r)\n"
            "result = get_token(r)" % cookie)

    def django_accepts(self, cookie, token):
        """What Django's middleware says of a form: None, or the status of its refusal."""
        return self.site.django.run(
            "from django.test import RequestFactory\n"
            "from django.middleware.csrf import CsrfViewMiddleware\n"
            "r = RequestFactory(enforce_csrf_checks=True).post('/', {'csrfmiddlewaretoken': %r})\n"
            "r._dont_enforce_csrf_checks = False\n"
            "r.COOKIES['csrftoken'] = %r\n"
            "m = CsrfViewMiddleware(lambda r: None); m.process_request(r)\n"
            "answer = m.process_view(r, lambda r: None, (), {})\n"
            "result = answer.status_code if answer else None" % (token, cookie))

    def post(self, path, body, headers=(), cookie=True, host="plain.test", method="POST"):
        """A form; with a good cookie unless another is given."""
        headers = [("Host", host)] + list(headers)
        if not any(name.lower() == "content-type" for name, _ in headers):
            headers.append(("Content-Type", FORM))
        cookie = "csrftoken=" + self.cookie_value if cookie is True else cookie
        return self.server.client().request(method, path, headers, body, cookie)

    def get(self, path, headers=(), cookie=None, host="plain.test"):
        return self.server.get(path, [("Host", host)] + list(headers), cookie)

    def token(self):
        return self.django_token(self.cookie_value)


@pytest.fixture(scope="module")
def place(databases):
    made = Place(databases)
    yield made
    made.site.close()


@pytest.fixture(scope="module")
def token(place):
    return place.token()


def field(token):
    return "csrfmiddlewaretoken=" + token


def token_of(answer):
    return re.search(r'value="(\w+)"', answer.text).group(1)


# ---- tokens: Django's and ours ------------------------------------------------------------------

def test_a_token_of_djangos_passes_here(place, token):
    for body, headers in ((field(token), []), ("a=1&" + field(token) + "&b=2", []),
                          ("a=1", [("X-CSRFToken", token)]),
                          (field(place.cookie_value), []), (field(""), [("X-CSRFToken", token)])):
        answer = place.post("/cgi/body", body, headers)
        assert answer.status == 200, answer
        assert answer.json()["sha256"] == hashlib.sha256(body.encode()).hexdigest()
    answer = place.post("/cgi/body", "", [("X-CSRFToken", token)], method="DELETE")
    assert answer.status == 200


def test_a_token_of_ours_passes_at_django_and_here(place):
    answer = place.get("/cgi/form")
    cookie, token = answer.cookie("csrftoken"), token_of(answer)
    assert len(cookie) == 64 and len(token) == 64 and cookie != token
    assert place.django_accepts(cookie, token) is None
    assert place.django_accepts(cookie, token[:-1] + ("a" if token[-1] != "a" else "b")) == 403
    assert place.django_accepts(place.cookie_value, token) == 403
    assert place.post("/cgi/body", field(token), cookie="csrftoken=" + cookie).status == 200


def test_a_bare_secret_of_djangos_since_4_1_is_as_good(place):
    secret = "JK5WoqsWseKlr5yU2xx2kYE7ytOgAdeJ"
    answer = place.get("/cgi/form", cookie="csrftoken=" + secret)
    assert answer.cookie("csrftoken") == secret, "what Django will find is what it left there"
    token = token_of(answer)
    assert place.post("/cgi/body", field(token), cookie="csrftoken=" + secret).status == 200
    assert place.django_accepts(secret, token) is None


def test_each_request_has_a_mask_of_its_own(place):
    cookie = "csrftoken=" + place.cookie_value
    seen = {place.get("/cgi/body", cookie=cookie).json()["DJANGO_CSRF_TOKEN"] for _ in range(5)}
    assert len(seen) == 5 and place.cookie_value not in seen


def test_the_application_has_the_token_in_its_environment_and_headers(place):
    seen = place.get("/cgi/body", cookie="csrftoken=" + place.cookie_value).json()
    assert seen["HTTP_DJANGO_CSRF_TOKEN"] == seen["DJANGO_CSRF_TOKEN"]
    assert place.django_accepts(place.cookie_value, seen["DJANGO_CSRF_TOKEN"]) is None
    for path in ("/open/body", "/origin/body"):
        assert "DJANGO_CSRF_TOKEN" not in place.get(path).json()


def test_a_clients_word_is_not_the_token(place):
    seen = place.get("/cgi/body", [("Django-Csrf-Token", "mine"), ("DJANGO_CSRF_TOKEN", "mine")])
    assert "mine" not in seen.text


def test_all_of_a_page_has_one_token_and_its_cookie(place):
    answer = place.get("/page.shtml")
    tokens = set(re.findall(r"\b\w{64}\b", answer.text))
    assert len(tokens) == 1 and len(answer.all("Set-Cookie")) == 1
    assert place.django_accepts(answer.cookie("csrftoken"), tokens.pop()) is None


# ---- the cookie ---------------------------------------------------------------------------------

def test_the_cookie_goes_with_html_only(place):
    answer = place.get("/cgi/form")
    line = answer.get("Set-Cookie")
    assert re.fullmatch(r"csrftoken=\w{64}; expires=[^;]*; Max-Age=31449600; Path=/; SameSite=Lax",
                        line)
    assert "Cookie" in answer.vary and "private" in answer.get("Cache-Control")
    assert place.get("/static.html").cookie("csrftoken")
    for path in ("/page.txt", "/cgi/body", "/cgi/form?type=text/plain", "/open/form"):
        answer = place.get(path)
        assert answer.status == 200 and not answer.all("Set-Cookie"), path


def test_the_cookie_is_prolonged_as_it_is(place):
    answer = place.get("/cgi/form", cookie="csrftoken=" + place.cookie_value)
    assert answer.cookie("csrftoken") == place.cookie_value


@pytest.mark.parametrize("bad", ["short", "x" * 63, "a-b" * 10 + "ab", ""])
def test_a_bad_cookie_is_replaced_at_once(place, bad):
    answer = place.get("/page.txt", cookie="csrftoken=" + bad)
    assert len(answer.cookie("csrftoken")) == 64
    answer = place.post("/cgi/body", field("x" * 64), cookie="csrftoken=" + bad)
    assert answer.status == 403 and len(answer.cookie("csrftoken")) == 64


def test_an_application_that_sets_the_cookie_itself_has_its_way(place):
    theirs = "h=Set-Cookie:csrftoken=" + "y" * 64
    answer = place.get("/cgi/form?" + theirs)
    assert answer.all("Set-Cookie") == ["csrftoken=" + "y" * 64]


def test_secure_follows_the_scheme(place):
    assert "; Secure" in place.get("/cgi/form", host="secure.test").get("Set-Cookie")
    assert "; Secure" not in place.get("/cgi/form").get("Set-Cookie")


def test_names_of_its_own_and_nothing_for_the_application(place):
    answer = place.get("/named/form")
    assert answer.get("Set-Cookie").startswith("xsrf=") and "Path=/named/" in answer.get("Set-Cookie")
    cookie = "xsrf=%s; a=b" % answer.cookie("xsrf")
    answer = place.post("/named/body", "x=1", [("X-XSRF-Token", token_of(answer))], cookie=cookie)
    assert answer.status == 200 and answer.json()["HTTP_COOKIE"] == "a=b"
    assert place.post("/named/body", "x=1", [("X-CSRFToken", place.token())], cookie=cookie).status \
        == 403


# ---- the secret in the session ------------------------------------------------------------------

def test_the_session_keeps_the_secret(place):
    answer = place.get("/session/form")
    key = answer.cookie()
    assert key and not answer.cookie("csrftoken")
    stored = place.site.read_session(key)["_csrftoken"]
    assert len(stored) == 64 and place.django_accepts(stored, token_of(answer)) is None
    cookie = "sessionid=" + key
    assert place.post("/session/body", field(token_of(answer)), cookie=cookie).status == 200
    assert place.post("/session/body", field(place.token()), cookie=cookie).status == 403
    assert not place.get("/session/body").all("Set-Cookie"), "nothing was shown"
    again = place.get("/session/form", cookie=cookie)
    assert place.site.read_session(key)["_csrftoken"] == stored
    assert place.post("/session/body", field(token_of(again)), cookie=cookie).status == 200


def test_what_django_keeps_in_a_session_is_taken(place):
    for stored in (place.cookie_value, "JK5WoqsWseKlr5yU2xx2kYE7ytOgAdeJ"):
        key = place.site.create_session({"_csrftoken": stored, "n": 1})
        answer = place.get("/session/form", cookie="sessionid=" + key)
        assert place.django_accepts(stored, token_of(answer)) is None
        assert place.post("/session/body", field(token_of(answer)),
                          cookie="sessionid=" + key).status == 200
        assert place.site.read_session(key)["_csrftoken"] == stored


def test_a_cookie_is_nothing_where_the_session_keeps_the_secret(place, token):
    assert place.post("/session/body", field(token)).status == 403
    key = place.site.create_session({"n": 1})
    assert place.post("/session/body", field(token), cookie="sessionid=%s; csrftoken=%s"
                      % (key, place.cookie_value)).status == 403


@pytest.mark.parametrize("value", [1, None, ["x"], {"a": 1}, "", "x" * 31, "é" * 32, "\x00" * 32])
def test_a_session_with_nonsense_for_a_secret_gets_another(place, value):
    key = place.site.create_session({"_csrftoken": value})
    answer = place.get("/session/form", cookie="sessionid=" + key)
    assert answer.status == 200
    stored = place.site.read_session(key)["_csrftoken"]
    assert place.django_accepts(stored, token_of(answer)) is None


def test_a_login_by_the_application_rotates(make_site):
    site = make_site()
    site.create_user("ada")
    server = site.httpd("DjangoSession On\nDjangoSessionUpdate Login\nDjangoCsrf On\n")
    page = server.get("/cgi/form")
    cookie = page.cookie("csrftoken")
    header = urllib.parse.quote('Django-Session-Update: {"login": "ada"}')
    answer = server.get("/cgi/reply?h=" + header, cookie="csrftoken=" + cookie)
    assert answer.cookie() and answer.cookie("csrftoken") not in (None, cookie)


def attributes(line):
    """What a cookie's line says but for its value and the clock."""
    return {part for part in line.split("; ")[1:] if not part.startswith("expires=")}


def test_cookies_and_sessions_get_what_djangos_would(place):
    """The vectors: a page that shows a token, and one that nobody asked for one."""
    paths = {"get_token": "form", "nothing": "body"}
    count = 0
    for case in VECTORS:
        if "5.1" not in case["django"] or case["view"] not in paths or number_of(case) == "c8":
            continue
        path, why = f"/{number_of(case)}/{paths[case['view']]}", case["id"]
        in_session = case["settings"].get("CSRF_USE_SESSIONS")
        sent = case["sent"]
        name = case["settings"].get("CSRF_COOKIE_NAME", "csrftoken")
        cookie = f"{name}={sent}" if sent else None
        if in_session:
            key = place.site.create_session({"_csrftoken": sent} if sent else {"a": 1})
            cookie = "sessionid=" + key
        answer = place.get(path, cookie=cookie)
        lines = [line for line in answer.all("Set-Cookie") if line.startswith(name + "=")]
        assert answer.status == 200, why
        assert [attributes(line) for line in lines] \
            == ([attributes(case["set_cookie"])] if case["set_cookie"] else []), why
        if case["view"] == "get_token":
            stored = answer.cookie(name) if not in_session \
                else place.site.read_session(key)["_csrftoken"]
            assert place.django_accepts(stored, token_of(answer)) is None, why
            assert stored == sent or sent in (None, "abc"), why
        elif in_session:
            assert place.site.read_session(key).get("_csrftoken") == sent, why
        count += 1
    assert count >= 25


# ---- who is asked, and when ---------------------------------------------------------------------

def test_safe_methods_are_free(place):
    for method in ("GET", "HEAD", "OPTIONS"):
        answer = place.server.client().request(method, "/cgi/body", [
            ("Host", "plain.test"), ("Origin", "https://evil.test")])
        assert answer.status == 200, method


def test_who_may_not_come_is_told_so_first(place):
    answer = place.post("/private/body", "x=1", cookie=None)
    assert answer.status == 401


def test_the_error_document_is_a_page_as_any(place):
    """The refusal's own page is made by a GET and has a token, with which the next try passes."""
    answer = place.post("/cgi/body", "x=1", cookie=None)
    assert answer.status == 403 and answer.get("X-Reached") is None
    assert place.post("/cgi/body", field(token_of(answer)),
                      cookie="csrftoken=" + answer.cookie("csrftoken")).status == 200


def test_an_internal_redirect_is_checked_once_and_keeps_the_body(place, token):
    for body in (field(token), field(token) + "&x=" + "y" * (300 * KIB)):
        answer = place.post("/front/page", body)
        assert answer.status == 200
        assert answer.json()["sha256"] == hashlib.sha256(body.encode()).hexdigest()
    assert place.post("/front/page", "x=1").status == 403


def test_directives_in_htaccess_that_cannot_work_are_an_error(place):
    place.server.expect(212)
    assert place.get("/wrong/page.txt").status == 500


def test_a_refusal_is_logged_with_djangos_reason(place, token):
    place.post("/cgi/body", "x=1", cookie=None)
    assert place.server.has_logged(r"DJS021[01]: Forbidden \(CSRF cookie not set\.\): /cgi/body")
    place.post("/cgi/body", "x=1")
    assert place.server.has_logged(r"Forbidden \(CSRF token missing\.\): /cgi/body")
    place.post("/cgi/body", field(token), [("Origin", "https://evil.test")])
    assert place.server.has_logged(r"Origin checking failed - https://evil\.test does not match")
    assert len(re.findall("DJS0210: ", place.server.log)) <= 12, "once a minute and process"


# ---- bodies -------------------------------------------------------------------------------------

def multipart(fields, boundary="----Boundary7MA4"):
    parts = []
    for name, value, filename in fields:
        extra = b'; filename="%s"\r\nContent-Type: application/octet-stream' % filename \
            if filename else b""
        parts.append(b'--%s\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
                     % (boundary.encode(), name, extra, value))
    return (b"".join(parts) + b"--%s--\r\n" % boundary.encode(),
            "multipart/form-data; boundary=" + boundary)


def bodies(token):
    noise = os.urandom(KIB) * 1024
    first = field(token).encode()
    yield first + b"&x=", FORM, "small"
    for size in (PEEK - 1, PEEK, PEEK + 1, 8192, 1024 * KIB + 7):
        yield first + b"&x=" + b"y" * (size - len(first) - 3), FORM, "of %d bytes" % size
    yield b"x=" + b"y" * (PEEK - len(first) - 4) + b"&" + first + b"&", FORM, "at the very end of it"
    yield (*multipart([(b"csrfmiddlewaretoken", token.encode(), None), (b"f", noise, b"f.bin")]),
           "a large file")
    yield (*multipart([(b"f", noise[:50000], b"f"), (b"csrfmiddlewaretoken", token.encode(), None)]),
           "behind a small file")
    yield (*multipart([(b"csrfmiddlewaretoken", token.encode(), None), (b"e", b"", b"e")]),
           "an empty file")


def chunked(body, size):
    out = b""
    for start in range(0, len(body), size):
        part = body[start:start + size]
        out += b"%x\r\n%s\r\n" % (len(part), part)
    return out + b"0\r\n\r\n"


def raw_post(place, path, head, data):
    answer = place.server.client().raw(
        ("POST %s HTTP/1.1\r\nHost: plain.test\r\nConnection: close\r\n"
         "Cookie: csrftoken=%s\r\n%s\r\n" % (path, place.cookie_value, head)).encode() + data)
    head, _, body = answer.partition(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 100"):
        head, _, body = body.partition(b"\r\n\r\n")
    return int(head.split()[1]), head, body


def unchunked(head, body):
    if b"chunked" not in head.lower():
        return body
    out = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        size = int(size, 16)
        out, body = out + body[:size], body[size + 2:]
        if size == 0:
            break
    return out


def test_a_program_gets_the_body_byte_for_byte(place, token):
    for body, kind, why in bodies(token):
        answer = place.post("/cgi/body", body, [("Content-Type", kind)])
        assert answer.status == 200, why
        seen = answer.json()
        assert seen["length"] == len(body), why
        assert seen["sha256"] == hashlib.sha256(body).hexdigest(), why
        assert seen["CONTENT_LENGTH"] == str(len(body)), why


def test_a_chunked_body_too(place, token):
    for body, kind, why in bodies(token):
        for size in (7, 8192, 200 * KIB):
            if size == 7 and len(body) > 2 * PEEK:
                continue
            status, head, said = raw_post(
                place, "/cgi/body",
                "Content-Type: %s\r\nTransfer-Encoding: chunked\r\n" % kind, chunked(body, size))
            assert status == 200, (why, size)
            seen = json.loads(unchunked(head, said))
            assert seen["sha256"] == hashlib.sha256(body).hexdigest(), (why, size)


def test_a_proxied_application_gets_it_byte_for_byte(place, token):
    for body, kind, why in bodies(token):
        for coding in ("length", "chunked"):
            place.backend.seen.clear()
            head = "Content-Type: %s\r\n" % kind
            head += "Content-Length: %d\r\n" % len(body) if coding == "length" \
                else "Transfer-Encoding: chunked\r\n"
            status, _, _ = raw_post(place, "/app/x", head,
                                    body if coding == "length" else chunked(body, 5000))
            assert status == 200, (why, coding)
            (method, _, headers, arrived), = place.backend.seen
            assert method == "POST" and arrived == body, (why, coding)


def test_over_http2_too(place, token):
    body, kind = multipart([(b"csrfmiddlewaretoken", token.encode(), None),
                            (b"f", os.urandom(300 * KIB), b"f")])
    for data, passes in ((body, True), (body.replace(token.encode(), b"x" * 64), False)):
        done = subprocess.run(
            ["curl", "-s", "--http2-prior-knowledge", "-H", "Host: plain.test", "-H",
             "Content-Type: " + kind, "-H", "Cookie: csrftoken=" + place.cookie_value,
             "--data-binary", "@-", "-w", "\n%{http_code} %{http_version}",
             "http://127.0.0.1:%d/cgi/body" % place.server.port],
            input=data, stdout=subprocess.PIPE, check=True)
        said, _, last = done.stdout.rpartition(b"\n")
        assert last == (b"200 2" if passes else b"403 2")
        if passes:
            seen = json.loads(said)
            assert seen["sha256"] == hashlib.sha256(data).hexdigest()
            assert seen["SERVER_PROTOCOL"] == "HTTP/2.0"


def test_a_client_that_waits_for_100_continue_gets_it(place, token):
    body = field(token) + "&x=" + "y" * 5000
    done = subprocess.run(
        ["curl", "-s", "-H", "Host: plain.test", "-H", "Expect: 100-continue",
         "--expect100-timeout", str(harness.PATIENCE), "-H",
         "Cookie: csrftoken=" + place.cookie_value, "--data-binary", "@-", "-i",
         "http://127.0.0.1:%d/cgi/body" % place.server.port],
        input=body.encode(), stdout=subprocess.PIPE, check=True)
    assert done.stdout.startswith(b"HTTP/1.1 100 Continue")
    seen = json.loads(done.stdout.rpartition(b"\r\n\r\n")[2])
    assert seen["sha256"] == hashlib.sha256(body.encode()).hexdigest()


def test_who_is_refused_for_the_source_is_not_asked_for_the_body(place, token):
    """The answer comes though the body never does."""
    for headers in ("Origin: https://evil.test\r\n", "Cookie: csrftoken=bad\r\n"):
        status, head, _ = raw_post(place, "/cgi/body", headers + "Content-Type: %s\r\n"
                                   "Content-Length: 1000\r\nExpect: 100-continue\r\n" % FORM, b"")
        assert status == 403 and b"100 Continue" not in head


def test_a_body_cut_short_is_no_form(place, token):
    for head, data in (("Content-Length: 5000\r\n", field(token)),
                       ("Transfer-Encoding: chunked\r\n", "zz\r\n" + field(token))):
        place.server.expect("AH")
        with socket.create_connection(("127.0.0.1", place.server.port),
                                      timeout=harness.PATIENCE) as s:
            s.sendall(("POST /cgi/body HTTP/1.1\r\nHost: plain.test\r\nContent-Type: %s\r\n"
                       "Cookie: csrftoken=%s\r\n%s\r\n%s"
                       % (FORM, place.cookie_value, head, data)).encode())
            s.shutdown(socket.SHUT_WR)
            with s.makefile("rb") as answer:
                assert b"X-Reached" not in answer.read()


def test_a_field_beyond_the_beginning_is_not_found(place, token):
    for body in (b"x=" + b"y" * PEEK + b"&" + field(token).encode(),
                 b"x=" + b"y" * (PEEK - 40) + b"&" + field(token).encode()):
        assert place.post("/cgi/body", body).status == 403
        assert place.post("/cgi/body", body, [("X-CSRFToken", token)]).status == 200


def test_a_body_that_is_inflated_on_its_way_comes_with_the_header(place, token):
    body = b"x=" + b"y" * 5000
    (place.server.dir / "htdocs" / "inflated" / "body").symlink_to(place.server.dir / "cgi" / "body")
    (place.server.dir / "htdocs" / "inflated" / ".htaccess").write_text(
        "Options +ExecCGI\nSetHandler cgi-script\nSetInputFilter DEFLATE\n")
    answer = place.post("/inflated/body", gzip.compress(body),
                        [("Content-Encoding", "gzip"), ("X-CSRFToken", token)])
    assert answer.status == 200, answer
    assert answer.json()["sha256"] == hashlib.sha256(body).hexdigest()


# ---- by where they come from --------------------------------------------------------------------

@pytest.mark.parametrize("headers", [
    [("Origin", "http://plain.test")], [("Origin", "https://friend.test")],
    [("Sec-Fetch-Site", "same-origin")], [("Referer", "http://plain.test/page")],
    [("Origin", "null"), ("Sec-Fetch-Site", "same-origin")],
    [("Referer", "https://friend.test/x"), ("Sec-Fetch-Site", "cross-site")]])
def test_origin_needs_no_token(place, headers):
    assert place.post("/origin/body", "x=1", headers, cookie=None).status == 200


def test_under_tls_pages_of_ours_and_trusted_ones_pass(place, token):
    for name, value in (("Origin", "https://secure.test"), ("Referer", "https://secure.test/a?b"),
                        ("Origin", "https://friend.test"), ("Origin", "https://a.friends.test"),
                        ("Referer", "https://a.friends.test/"), ("Referer", "https://old.test/x"),
                        ("Origin", "https://old.test")):
        answer = place.post("/cgi/body", field(token), [(name, value)], host="secure.test")
        assert answer.status == 200, value


# ---- attempts -----------------------------------------------------------------------------------

#: an attempt: what is sent beside a good cookie and a good token; what it should circumvent; source
Attempt = collections.namedtuple("Attempt", "why host headers body cookie method path source")
Attempt.__new__.__defaults__ = ("plain.test", (), None, True, "POST", "/cgi/body", None)
DJANGO = "Django, tests/csrf_tests/tests.py"
OWASP = "OWASP, CSRF Prevention Cheat Sheet"
PORTSWIGGER = "PortSwigger, Web Security Academy: CSRF"
GO = "golang.org/issue/73626, net/http.CrossOriginProtection"
FETCH = "W3C, Fetch Metadata Request Headers"
T = "@TOKEN@"      # Django's, for the cookie that is sent
GOOD = field(T)
TLS = "secure.test"

ATTEMPTS = [
    # Without a token, or with a poor one.
    Attempt("no token", body="a=1", source=PORTSWIGGER + ", validation depends on token being present"),
    Attempt("no body", body="", source=DJANGO + ": test_csrf_cookie_bad_or_missing_token"),
    Attempt("an empty field", body=field(""),
            source="OWASP WSTG-SESS-05, an empty token"),
    Attempt("an empty header", headers=[("X-CSRFToken", "")], body="a=1",
            source="OWASP WSTG-SESS-05, an empty token"),
    Attempt("another visitor's token", body=field("@OTHER@"),
            source=PORTSWIGGER + ", token not tied to the session"),
    Attempt("a token of no cookie", body=GOOD, cookie=None, source=DJANGO + ": test_no_csrf_cookie"),
    Attempt("a token with one letter changed", body=field("@NEARLY@"), source=OWASP),
    Attempt("a token cut short", body=field("@SHORT@"),
            source=DJANGO + ": test_csrf_cookie_bad_or_missing_token"),
    Attempt("a token and more", body=field(T + "x"),
            source=DJANGO + ": test_csrf_cookie_bad_or_missing_token"),
    Attempt("64 characters that are none of it", body=field("*" * 64),
            source=DJANGO + ": test_csrf_cookie_bad_or_missing_token"),
    Attempt("an empty token for an empty cookie", body=field(""), cookie="csrftoken=",
            source=OWASP + ": naive double submit"),
    Attempt("cookie and token the attacker's choice, both too short", body=field("a"),
            cookie="csrftoken=a", source=PORTSWIGGER + ", token duplicated in cookie"),
    Attempt("null for null", body=field("null"), cookie="csrftoken=null",
            source=PORTSWIGGER + ", token duplicated in cookie"),
    Attempt("a well-formed token of no one", body=field("a" * 64),
            source=DJANGO + ": test_csrf_cookie_bad_or_missing_token"),
    Attempt("a token in the query only", path="/cgi/body?" + GOOD, body="a=1",
            source=OWASP + ": tokens in addresses"),
    Attempt("a token in a cookie only", body="a=1", cookie="csrftoken=@COOKIE@; csrfmiddlewaretoken=@COOKIE@",
            source=OWASP + ": naive double submit"),
    Attempt("a wrong field beside a good header", body=field("x" * 64),
            headers=[("X-CSRFToken", T)], source="CsrfViewMiddleware: the field wins"),
    Attempt("a wrong field behind a good one", body=GOOD + "&" + field("x" * 64),
            source="HTTP parameter pollution, OWASP WSTG-INPV-04"),
    Attempt("a field by another name", body="CsrfMiddlewareToken=" + T, source="QueryDict: names have case"),
    Attempt("a field of an array", body="csrfmiddlewaretoken[]=" + T, source="names of PHP's arrays, "
            "OWASP WSTG-INPV-04"),
    Attempt("a cookie inside another one's value", body=field("a" * 64),
            cookie="_ga=x]csrftoken=" + "a" * 64, source="CVE-2016-7401: cookies parted at brackets"),
    Attempt("a script's word for itself", headers=[("X-Requested-With", "XMLHttpRequest")], body="a=1",
            source="CVE-2011-0696: X-Requested-With is no proof"),
    # Other media types, which a form of another site can have.
    Attempt("a token in text/plain", headers=[("Content-Type", "text/plain")], body=GOOD,
            source="pentestmonkey: JSON CSRF by enctype=text/plain"),
    Attempt("JSON in text/plain", headers=[("Content-Type", "text/plain")],
            body='{"a":"=","csrfmiddlewaretoken":"x"}', source="the same"),
    Attempt("a token in JSON", headers=[("Content-Type", "application/json")],
            body='{"csrfmiddlewaretoken": "%s"}' % T, source=DJANGO + ": form fields only"),
    Attempt("no media type", headers=[("Content-Type", "")], body=GOOD,
            source="CVE-2021-20718: a POST without Content-Type"),
    Attempt("a made-up media type", headers=[("Content-Type", "x/y")], body=GOOD,
            source="navigator.sendBeacon, crbug.com/490015"),
    Attempt("a token in a file", headers=[("Content-Type", "multipart/form-data; boundary=B")],
            body='--B\r\nContent-Disposition: form-data; name="csrfmiddlewaretoken"; filename="x"'
                 "\r\n\r\n%s\r\n--B--\r\n" % T, source="Django, MultiPartParser: files are no fields"),
    Attempt("a token in a value", headers=[("Content-Type", "multipart/form-data; boundary=B")],
            body='--B\r\nContent-Disposition: form-data; name="a; name=csrfmiddlewaretoken"'
                 "\r\n\r\n%s\r\n--B--\r\n" % T, source="quotes in names, WHATWG HTML 4.10.21.8"),
    Attempt("another boundary", headers=[("Content-Type", "multipart/form-data; boundary=C")],
            body='--B\r\nContent-Disposition: form-data; name="csrfmiddlewaretoken"\r\n\r\n%s'
                 "\r\n--B--\r\n" % T, source="boundary confusion, RFC 2046, 5.1.1"),
    # Other methods.
    Attempt("PUT", method="PUT", body=GOOD, source=DJANGO + ": test_put_and_delete_rejected"),
    Attempt("DELETE", method="DELETE", source=DJANGO + ": test_put_and_delete_rejected"),
    Attempt("PATCH", method="PATCH", body="a=1", source="RFC 9110, 9.2.1"),
    Attempt("a method that nobody knows", method="FOO", source="RFC 9110, 9.2.1: only four methods are safe"),
    Attempt("a method in small letters", method="post", body="a=1", source="RFC 9110, 9.1: case"),
    Attempt("an override of GET", method="GET", headers=[("X-HTTP-Method-Override", "DELETE")],
            source=PORTSWIGGER + ", SameSite Lax bypass via method override"),
    Attempt("the same by another name", method="GET", headers=[("X-Method-Override", "PUT")],
            source="the same"),
    # Where it comes from, with a token: who can plant cookies has both.
    Attempt("another site's Origin", headers=[("Origin", "https://evil.test")], body=GOOD,
            source=DJANGO + ": test_bad_origin_bad_domain"),
    Attempt("null", headers=[("Origin", "null")], body=GOOD,
            source=DJANGO + ": test_bad_origin_null_origin"),
    Attempt("an empty Origin", headers=[("Origin", "")], body=GOOD,
            source="CsrfViewMiddleware: any Origin is looked at"),
    Attempt("our host below another", headers=[("Origin", "http://plain.test.evil.test")], body=GOOD,
            source="suffix confusion, " + OWASP),
    Attempt("our host behind another", headers=[("Origin", "http://evilplain.test")], body=GOOD,
            source="prefix confusion, " + OWASP),
    Attempt("our host, another scheme", host=TLS, headers=[("Origin", "http://secure.test")],
            body=GOOD, source=DJANGO + ": test_bad_origin_bad_protocol"),
    Attempt("our host, another port", headers=[("Origin", "http://plain.test:8080")], body=GOOD,
            source="cookies know no ports, RFC 6265, 8.5"),
    Attempt("two Origins", headers=[("Origin", "http://plain.test"), ("Origin", "https://evil.test")],
            body=GOOD, source="RFC 6454, 7.3: one Origin"),
    Attempt("a good Referer does not mend a bad Origin", host=TLS,
            headers=[("Origin", "https://evil.test"), ("Referer", "https://secure.test/")],
            body=GOOD, source="CsrfViewMiddleware: Origin before Referer"),
    Attempt("a wildcard's neighbour", host=TLS, headers=[("Origin", "https://evilfriends.test")],
            body=GOOD, source="is_same_domain: a dot in front"),
    Attempt("a wildcard's name without TLS", host=TLS, headers=[("Origin", "http://a.friends.test")],
            body=GOOD, source=DJANGO + ": test_bad_origin_csrf_trusted_origin_bad_protocol"),
    Attempt("a wildcard by a backslash", host=TLS,
            headers=[("Origin", "https://evil.test\\.friends.test")], body=GOOD,
            source="WHATWG URL, 4.4: a backslash ends the host, for urlsplit() not"),
    Attempt("no Referer under TLS", host=TLS, body=GOOD,
            source=PORTSWIGGER + ", Referer validation depends on header being present"),
    Attempt("an empty Referer under TLS", host=TLS, headers=[("Referer", "")], body=GOOD,
            source=DJANGO + ": test_https_malformed_referer"),
    Attempt("a Referer without TLS", host=TLS, headers=[("Referer", "http://secure.test/")],
            body=GOOD, source=DJANGO + ": test_https_reject_insecure_referer"),
    Attempt("our name in the query of a Referer", host=TLS,
            headers=[("Referer", "https://evil.test/?https://secure.test")], body=GOOD,
            source=PORTSWIGGER + ", Referer validation broken"),
    Attempt("our name as a user in a Referer", host=TLS,
            headers=[("Referer", "https://secure.test@evil.test/")], body=GOOD,
            source=PORTSWIGGER + ", Referer validation broken"),
    Attempt("our name below another in a Referer", host=TLS,
            headers=[("Referer", "https://secure.test.evil.test/")], body=GOOD,
            source=PORTSWIGGER + ", Referer validation broken"),
    Attempt("a Referer of no form", host=TLS, headers=[("Referer", "https://[bad/")], body=GOOD,
            source=DJANGO + ": test_https_malformed_referer"),
    Attempt("a Referer without a scheme", host=TLS, headers=[("Referer", "//secure.test/")], body=GOOD,
            source=DJANGO + ": test_https_malformed_referer"),
    Attempt("blanks in front of a Referer", host=TLS, headers=[("Referer", "\t https://evil.test/")],
            body=GOOD, source="CVE-2023-24329: blanks in front of an address"),
    Attempt("somebody in front of our host", headers=[("Origin", "http://evil.test@plain.test")],
            body=GOOD, source="golang.org/issue/78563: userinfo in Origin"),
    # DjangoCsrf Origin.
    Attempt("nothing is told", path="/origin/body", body="a=1", source=GO),
    Attempt("another Origin", path="/origin/body", headers=[("Origin", "https://evil.test")],
            body="a=1", source=GO),
    Attempt("null", path="/origin/body", headers=[("Origin", "null")], body="a=1", source=GO),
    Attempt("cross-site", path="/origin/body", headers=[("Sec-Fetch-Site", "cross-site")], body="a=1",
            source=FETCH),
    Attempt("same-site", path="/origin/body", headers=[("Sec-Fetch-Site", "same-site")], body="a=1",
            source=FETCH + ": sibling hosts"),
    Attempt("two words", path="/origin/body", body="a=1",
            headers=[("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")], source=FETCH),
    Attempt("a token instead", path="/origin/body", body=GOOD, source="no token is looked at"),
    Attempt("a Referer that Sec-Fetch-Site denies", path="/origin/body", body="a=1",
            headers=[("Referer", "http://plain.test/"), ("Sec-Fetch-Site", "cross-site")], source=FETCH),
    # The session's secret.
    Attempt("a cookie planted by a sibling host", path="/session/body", body=GOOD,
            source="cookie tossing, " + OWASP + ": naive double submit"),
]


def test_there_are_enough_attempts_and_each_has_a_source():
    assert len(ATTEMPTS) >= 40 and all(attempt.source for attempt in ATTEMPTS)


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.why)
def test_an_attempt_reaches_nobody(place, token, attempt):
    words = {"@TOKEN@": token, "@COOKIE@": place.cookie_value, "@SHORT@": token[:-1],
             "@OTHER@": place.django_token("x" * 64) if "@OTHER@" in str(attempt) else "",
             "@NEARLY@": token[:-1] + ("a" if token[-1] != "a" else "b")}

    def fill(text):
        for word, value in words.items():
            text = text.replace(word, value) if isinstance(text, str) else text
        return text

    answer = place.post(fill(attempt.path), fill(attempt.body),
                        [(name, fill(value)) for name, value in attempt.headers],
                        fill(attempt.cookie), attempt.host, attempt.method)
    assert answer.status == 403 and answer.get("X-Reached") is None, answer


def test_the_attempts_would_pass_without_what_is_wrong_with_them(place, token):
    for host, headers in (("plain.test", []), (TLS, [("Referer", "https://secure.test/")])):
        assert place.post("/cgi/body", field(token), headers, host=host).get("X-Reached") == "yes"


# ---- trailers -----------------------------------------------------------------------------------

@pytest.mark.parametrize("path,csrf", [("/app", "On"), ("/front/x", "On"), ("/front/x", "Off")])
def test_trailers_bring_no_header_of_ours_wherever_the_body_is_read(make_site, path, csrf):
    """MergeTrailers On puts them among the headers (CVE-2013-5704): here when the form is looked at, or
    behind an internal redirect."""
    site = make_site()
    program = site.keep(FastCGI())
    server = site.httpd(f"MergeTrailers On\nDjangoCsrf {csrf}\nDjangoSessionHeader On\n"
                        "DjangoSession On\n<Location /app>\n"
                        f"SetHandler proxy:fcgi://127.0.0.1:{program.port}/\n</Location>\n"
                        '<Directory "@DIR@/htdocs">\nAllowOverride All\n'
                        "Options +FollowSymLinks\n</Directory>\n",
                        modules=["proxy_fcgi"])
    front = server.dir / "htdocs" / "front"
    front.mkdir()
    (front / ".htaccess").write_text("RewriteEngine On\nRewriteRule . /app\n")
    harness.hand_over(front)
    body = field("a" * 64)
    raw = server.client().raw(
        f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
        f"Cookie: csrftoken={'a' * 64}\r\nContent-Type: {FORM}\r\n\r\n"
        f"{len(body):x}\r\n{body}\r\n0\r\n"
        "Django-User: mallory\r\nDjango-Csrf-Token: mallory\r\nX-Stays: stays\r\n\r\n")
    assert b"200 OK" in raw and b"mallory" not in raw, raw
    assert b'"HTTP_X_STAYS": "stays"' in raw
    assert (b'"HTTP_DJANGO_CSRF_TOKEN"' in raw) == (csrf == "On"), raw
