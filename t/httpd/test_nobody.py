# SPDX-License-Identifier: Apache-2.0
"""Visitors who bring no session: how a cookie that is no key goes, and what is told of them."""
import json

import pytest

from test_session import reply, update

MALFORMED = ["short", "", '""', "1234567", '"\\0001234567"', "  x  "]


def gone(name="sessionid", domain=None, path="/", samesite="Lax", *flags):
    """The line with which Django deletes the cookie."""
    parts = ['%s=""' % name, domain and "Domain=" + domain, "expires=Thu, 01 Jan 1970 00:00:00 GMT",
             "Max-Age=0", "Path=" + path, samesite and "SameSite=" + samesite, *flags]
    return "; ".join(part for part in parts if part)


# ---- each section's cookie ----------------------------------------------------------------------

SECTIONS = """DjangoSession On
DjangoSessionUpdate On
DjangoSessionCookieDomain a.example
<Directory "@DIR@/htdocs">
AllowOverride AuthConfig
</Directory>
<Directory "@DIR@/htdocs/directory">
DjangoSessionCookieDomain None
DjangoSessionCookiePath /directory/
</Directory>
<Location "/location/">
DjangoSessionCookieSameSite Strict
</Location>
<Location "/location/inner/">
DjangoSessionCookiePath /location/inner/
DjangoSessionCookieName inner
</Location>
<If "%{REQUEST_URI} =~ m#^/if/#">
DjangoSessionCookieSameSite None
DjangoSessionCookieSecure On
</If>
<Location "/untold/">
DjangoSessionEnv Off
DjangoSessionCookieSameSite Off
</Location>
<Location "/off/">
DjangoSession Off
</Location>
<VirtualHost *:@PORT@>
ServerName first.example
</VirtualHost>
<VirtualHost *:@PORT@>
ServerName second.example
DjangoSessionCookieDomain second.example
DjangoSessionCookieSecure Auto
DjangoSessionCookiePartitioned On
</VirtualHost>
"""

#: path -> how it describes its cookie
LINES = {
    "/page.txt": gone(domain="a.example"),
    "/directory/page.txt": gone(path="/directory/"),
    "/location/page.txt": gone(domain="a.example", samesite="Strict"),
    "/location/inner/page.txt": gone("inner", "a.example", "/location/inner/", "Strict"),
    "/if/page.txt": gone("sessionid", "a.example", "/", "None", "Secure"),
    "/untold/page.txt": gone(domain="a.example", samesite=None),
    "/htaccess/page.txt": gone("tenant", "a.example", "/htaccess/"),
    "/htaccess/inner/page.txt": gone("tenant", None, "/htaccess/", "Strict"),
    "/off/page.txt": None,
}


@pytest.fixture
def sections(site):
    server = site.httpd(SECTIONS)
    htdocs = server.dir / "htdocs"
    for path in LINES:
        (htdocs / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (htdocs / path[1:]).write_text("page\n")
    (htdocs / "htaccess" / ".htaccess").write_text(
        "DjangoSessionCookieName tenant\nDjangoSessionCookiePath /htaccess/\n")
    (htdocs / "htaccess" / "inner" / ".htaccess").write_text(
        "DjangoSessionCookieDomain None\nDjangoSessionCookieSameSite Strict\n")
    return server


def cookie_of(line):
    return line.split("=")[0] if line else "sessionid"


def test_each_section_deletes_its_own_cookie(sections):
    """Twice, since what is the same for all requests is made once."""
    for _ in range(2):
        for path, line in LINES.items():
            answer = sections.get(path, cookie=cookie_of(line) + "=short")
            assert answer.status == 200 and answer.all("Set-Cookie") == [line] * bool(line), path
            assert ("Cookie" in answer.vary) == bool(line), path
            for cookie in ("other=short", None, "x" + cookie_of(line) + "=short"):
                assert sections.get(path, cookie=cookie).all("Set-Cookie") == [], path


def test_each_virtual_host_deletes_its_own_cookie(sections):
    second = gone("sessionid", "second.example", "/", "Lax", "Secure", "Partitioned")
    for host, line in (("first.example", gone(domain="a.example")), ("second.example", second)):
        for path in ("/page.txt", "/none.txt"):
            answer = sections.get(path, [("Host", host)], cookie="sessionid=short")
            assert answer.all("Set-Cookie") == [line], (host, path)


def test_a_session_that_ends_has_the_same_line(site):
    server = site.httpd(SECTIONS + 'Alias /location/inner/ "@DIR@/cgi/"\n<Directory "@DIR@/cgi">\n'
                                   "SetHandler cgi-script\nOptions +ExecCGI\n</Directory>\n")
    for name, path in (("sessionid", "/cgi/reply"), ("inner", "/location/inner/reply")):
        key = site.create_session({"a": 1})
        answer = server.get(reply(update(flush=True), path=path), cookie=f"{name}={key}")
        expected = LINES["/page.txt" if name == "sessionid" else "/location/inner/page.txt"]
        assert answer.all("Set-Cookie") == [expected] and site.read_session(key) is None


def test_an_error_document_deletes_the_cookie_once(site):
    server = site.httpd("DjangoSession On\nErrorDocument 404 /cgi/env\n")
    for path, status in (("/none.txt", 404), (reply(status=500), 500), (reply(status=503), 503)):
        answer = server.get(path, cookie="sessionid=short")
        assert answer.status == status and answer.all("Set-Cookie") == [gone()], path


# ---- what stands beside it -----------------------------------------------------------------------

@pytest.mark.parametrize("value", MALFORMED)
def test_a_cookie_that_is_no_key_is_told_of_and_goes(site, value):
    backend = site.backend()
    server = site.httpd("DjangoSession On\nProxyPass /app/ " + backend.url + "\n"
                        '<Location "/app/">\nDjangoSessionHeader On\n</Location>\n'
                        '<Location "/cgi/env/selected">\nDjangoSessionEnv a=A_NAME\n</Location>\n')
    for cookie in ("sessionid=%s", "a=1; sessionid=%s; b=2", "sessionid=1; sessionid=%s",
                   "sessionid=%s; sessionid=%s"):
        cookie = cookie.replace("%s", value)
        answer = server.get("/cgi/env", cookie=cookie)
        env = answer.json()
        assert {name: env[name] for name in env if name.startswith("DJANGO")} == {
            "DJANGO_SESSION_STATUS": "new", "DJANGO_SESSION_REASON": "bad-key",
            "DJANGO_SESSION": "{}"}, cookie
        assert env["HTTP_COOKIE"] == cookie.strip()
        assert answer.all("Set-Cookie") == [gone()] and "Cookie" in answer.vary
        assert answer.get("Cache-Control") == "private"
        env = server.env("/cgi/env/selected", cookie=cookie)
        assert {name: env[name] for name in env if name.startswith("DJANGO")} == {
            "DJANGO_SESSION_STATUS": "new", "DJANGO_SESSION_REASON": "bad-key"}, cookie
        assert "A_NAME" not in env
        answer = server.get("/app/", cookie=cookie)
        got = {name: text for name, text in answer.json() if name.startswith("Django")}
        assert got == {"Django-Session-Status": "new", "Django-Session": "{}"}, cookie
        assert answer.all("Set-Cookie") == [gone()]


def test_a_valid_key_beside_one_that_is_none_keeps_its_cookie(site):
    key = site.create_session({"a": 1})
    server = site.httpd("DjangoSession On\n")
    for value in MALFORMED:
        for cookie in (f"sessionid={key}; sessionid={value}", f"sessionid={value}; sessionid={key}"):
            answer = server.get("/cgi/env", cookie=cookie)
            assert answer.json()["DJANGO_SESSION"] == '{"a":1}' and not answer.all("Set-Cookie")


def test_who_comes_with_no_key_gets_a_session_when_the_application_begins_one(site):
    server = site.httpd("DjangoSession On\nDjangoSessionUpdate On\n")
    for cookie in ("sessionid=short", "sessionid=", None, "other=1"):
        answer = server.get(reply(update(set={"a": 1})), cookie=cookie)
        assert len(answer.all("Set-Cookie")) == 1 and site.read_session(answer.cookie()) == {"a": 1}


def test_a_cookie_that_the_application_sets_itself_is_not_deleted(site):
    backend = site.backend()
    backend.answer = lambda request: (200, [("Set-Cookie", "sessionid=ofitsown; Path=/")], b"here")
    server = site.httpd("DjangoSession On\nProxyPass /app/ " + backend.url + "\n")
    answer = server.get("/app/", cookie="sessionid=short")
    assert answer.all("Set-Cookie") == ["sessionid=ofitsown; Path=/"] and "Cookie" in answer.vary


def test_nothing_that_a_client_says_stands_where_there_is_no_session(site):
    """In headers, in variables that mod_setenvif makes of them, and in those of an included page."""
    backend = site.backend()
    server = site.httpd("DjangoSession On\nSetEnvIf X-Any (.*) DJANGO_USER=$1 DJANGO_SESSION_ID=$1 "
                        "DJANGO_SESSION=$1\nProxyPass /app/ " + backend.url + "\n",
                        modules=["setenvif"])
    sent = [("Django-User", "mallory"), ("X-Any", "mallory"), ("django_session", "mallory"),
            ("Connection", "close, Django-User")]
    for cookie in (None, "sessionid=short", "other=1"):
        env = server.env(headers=sent, cookie=cookie)
        assert env["DJANGO_SESSION"] == "{}" and "HTTP_DJANGO_USER" not in env
        assert "mallory" not in json.dumps({k: v for k, v in env.items() if k != "HTTP_X_ANY"})
        got = server.get("/app/", sent, cookie=cookie).json()
        assert [value for _, value in got].count("mallory") == 1, got  # X-Any
