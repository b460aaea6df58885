# SPDX-License-Identifier: Apache-2.0
"""Changes by the application's response headers, and what the answer then looks like."""
import json
import re
import urllib.parse

import pytest

from harness import wait_until

ON = "DjangoSession On\nDjangoSessionUpdate On\n"
LOGIN = "DjangoSession On\nDjangoSessionUpdate Login\n"


def reply(*headers, status=None, body=None, path="/cgi/reply"):
    query = [("h", h) for h in headers]
    query += [("status", str(status))] if status else []
    query += [("body", body)] if body is not None else []
    return path + "?" + urllib.parse.urlencode(query)


def update(**operations):
    return "Django-Session-Update: " + json.dumps(operations)


# ---- what is applied ----------------------------------------------------------------------------

APPLIED = {
    "a text": ["Django-Session-Set: b=two"],
    "percent-decoded": ["Django-Session-Set: b=%74wo"],
    "comma-joined": ["Django-Session-Set: x=1, b=two"],
    "twice": ["Django-Session-Set: x=1", "Django-Session-Set: b=two"],
    "any case": ["dJANGO-sESSION-sET: b=two"],
    "JSON": [update(set={"b": "two"})],
    "JSON twice": [update(set={"b": "one"}), update(set={"b": "two"})],
    "JSON joined": [update(set={"b": "one"}) + ', {"set": {"b": "two"}}'],
    "text, then JSON": ["Django-Session-Set: b=one", update(set={"b": "two"})],
}


@pytest.mark.parametrize("case", APPLIED)
@pytest.mark.parametrize("how", ["cgi", "proxy"])
def test_what_the_application_asks_for_is_saved_and_not_sent_on(site, case, how):
    key = site.create_session({"a": 1})
    backend = site.backend()
    backend.answer = lambda request: (
        200, [tuple(h.split(": ", 1)) for h in APPLIED[case]], b"answered")
    server = site.httpd(ON + f"ProxyPass /app/ {backend.url}\n")
    path = "/app/" if how == "proxy" else reply(*APPLIED[case], body="answered")
    answer = server.get(path, cookie=f"sessionid={key}")
    assert answer.status == 200 and answer.text == "answered"
    assert not answer.all("Django-Session-Set") and not answer.all("Django-Session-Update")
    assert answer.cookie() == key and len(answer.all("Set-Cookie")) == 1
    assert answer.vary == ["Cookie"]
    found = site.read_session(key)
    assert found["a"] == 1 and found["b"] == "two"


HOSTILE = {
    "no equals sign": ["Django-Session-Set: novalue"],
    "half a percent": ["Django-Session-Set: a=%4"],
    "not JSON": ["Django-Session-Update: {"],
    "a list": ["Django-Session-Update: [1]"],
    "a number": ["Django-Session-Update: 1"],
    "unknown member": [update(steal=True)],
    "wrong type": [update(set=[1])],
    "increment of a text": [update(increment={"text": 1})],
    "increment by a text": [update(increment={"a": "1"})],
    "append to a number": [update(append={"a": 1})],
    "flush false": [update(flush="yes")],
    "expiry": [update(expiry="tomorrow")],
    "good, then bad": [update(set={"b": 1}), "Django-Session-Update: {"],
    "good text, bad JSON": ["Django-Session-Set: b=1", update(increment={"text": 1})],
    "deep": ["Django-Session-Update: " + '{"set":{"a":' + "[" * 3000 + "]" * 3000 + "}}"],
    "wide": ['Django-Session-Update: {"increment": {"a": %s}}' % ("9" * 5000)],
    "somebody's login": [update(set={"_auth_user_id": "1"})],
    "login": [update(login="ada")],
    "logout": [update(logout=True)],
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_bad_update_is_500_changes_nothing_and_is_explained(site, case):
    data = {"a": 1, "text": "x"}
    key = site.create_session(data)
    row = site.database.row(key)
    backend = site.backend()
    backend.answer = lambda request: (
        200, [tuple(h.split(": ", 1)) for h in HOSTILE[case]] + [("X-App", "1")], b"the answer")
    server = site.httpd(ON + f"ProxyPass /app/ {backend.url}\n")
    server.expect(131, 135)
    answer = server.get("/app/", cookie=f"sessionid={key}")
    assert answer.status == 500, answer
    assert "the answer" not in answer.text and not answer.all("X-App")
    assert not answer.all("Set-Cookie")
    assert site.database.row(key) == row
    wait_until(lambda: server.has_logged(131) or server.has_logged(135), "why")


def test_an_answer_of_500_changes_nothing(site):
    key = site.create_session({"a": 1})
    server = site.httpd(ON)
    for status in (500, 503, 599):
        answer = server.get(reply(update(set={"b": 2}), status=status), cookie=f"sessionid={key}")
        assert answer.status == status and not answer.all("Django-Session-Update")
        assert not answer.all("Set-Cookie")
    assert site.read_session(key) == {"a": 1}


@pytest.mark.parametrize("config", ["DjangoSession On\n", "", "DjangoSession On\n"
                                    "DjangoSessionUpdate On\n<Location />\n"
                                    "DjangoSessionUpdate Off\n</Location>\n"])
@pytest.mark.parametrize("status", [200, 404, 500])
def test_where_updates_are_off_they_are_removed_and_logged(site, config, status):
    key = site.create_session({"a": 1})
    server = site.httpd(config)
    server.expect(130)
    for _ in range(5):
        answer = server.get(reply(update(set={"b": 2}), "Django-Session-Set: c=3", status=status),
                            cookie=f"sessionid={key}")
        assert answer.status == status
        assert not [h for h, _ in answer.headers if h.lower().startswith("django")]
        assert not answer.all("Set-Cookie")
    assert site.read_session(key) == {"a": 1}
    wait_until(lambda: server.has_logged(130), "the line")
    # One a minute in each of two children, the minute may have changed.
    assert server.log.count("DJS0130") <= 4


# ---- logins by the application ------------------------------------------------------------------

def test_an_application_logs_in_and_out(each_site):
    """D-11: also with a cookie of a session that is gone."""
    uid = each_site.create_user("ada")
    key = each_site.create_session({"cart": 1})
    server = each_site.httpd(LOGIN + '<Location "/cgi/env">\nAuthType Django\nRequire valid-user\n'
                             "</Location>\n")
    for cookie in (None, f"sessionid={key}", "sessionid=goneabcdefghijkl"):
        answer = server.get(reply(update(login="ada")), cookie=cookie)
        fresh = answer.cookie()
        assert answer.status == 200 and fresh and fresh not in (cookie or "")
        env = server.env(cookie=f"sessionid={fresh}")
        assert (env["REMOTE_USER"], env["AUTH_TYPE"], env["DJANGO_USER_ID"]) \
            == ("ada", "Django", str(uid))
        assert each_site.django.run(
            "from django.contrib.auth.models import User\n"
            "result = User.objects.get(username='ada').last_login is not None")
    assert each_site.database.row(key) is None  # its data went to the new key
    answer = server.get(reply(update(logout=True)), cookie=f"sessionid={fresh}")
    assert re.match(r'sessionid="";.*Max-Age=0', answer.get("Set-Cookie"))
    assert len(answer.all("Set-Cookie")) == 1
    assert each_site.database.row(fresh) is None
    assert server.get("/cgi/env", cookie=f"sessionid={fresh}").status == 401


def test_a_login_of_nobody_changes_nothing(site):
    site.create_user("gone", is_active=False)
    key = site.create_session({"a": 1})
    server = site.httpd(LOGIN)
    server.expect(131)
    for name in ("nobody", "gone", ""):
        answer = server.get(reply(update(set={"b": 1}, login=name)), cookie=f"sessionid={key}")
        assert answer.status == 500
    assert site.read_session(key) == {"a": 1}


# ---- the answer ---------------------------------------------------------------------------------

@pytest.mark.parametrize("status", [200, 201, 204, 302, 304, 403, 404, 410])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_exactly_one_cookie_on_every_answer(site, status, method):
    key = site.create_session({"a": 1})
    server = site.httpd(ON)
    location = ["Location: /elsewhere"] if status in (201, 302) else []
    path = reply(update(set={"b": 2}), *location, status=status)
    answer = server.client().request(method, path, cookie=f"sessionid={key}")
    assert answer.status == status
    assert len(answer.all("Set-Cookie")) == 1 and answer.cookie() == key
    assert answer.vary == ["Cookie"]
    assert site.read_session(key) == {"a": 1, "b": 2}


def test_exactly_one_cookie_with_error_documents_and_internal_redirects(site):
    """SaveEveryRequest makes every answer carry one."""
    key = site.create_session({"a": 1})
    server = site.httpd(ON + "DjangoSessionSaveEveryRequest On\nErrorDocument 404 /cgi/env\n"
                        "ErrorDocument 403 /page.txt\nDirectoryIndex index.html\n"
                        "RewriteEngine On\nRewriteRule ^/there$ /cgi/env [PT]\n"
                        '<Location "/closed">\nRequire all denied\n</Location>\n'
                        "FallbackResource disabled\n")
    server.expect("AH01630")
    for path, status in (("/nothing", 404), ("/closed", 403), ("/", 200), ("/there", 200),
                         ("/page.txt", 200), ("/nothing/at/all?x", 404)):
        answer = server.get(path, cookie=f"sessionid={key}")
        assert answer.status == status, path
        assert len(answer.all("Set-Cookie")) == 1 and answer.cookie() == key, path
        assert answer.vary == ["Cookie"], path


def test_a_page_that_has_not_changed_is_304_with_the_cookie(site):
    key = site.create_session({"a": 1})
    server = site.httpd(ON + "DjangoSessionSaveEveryRequest On\n")
    etag = server.get("/page.txt").get("ETag")
    answer = server.get("/page.txt", {"If-None-Match": etag}, cookie=f"sessionid={key}")
    assert answer.status == 304 and answer.cookie() == key
    assert len(answer.all("Set-Cookie")) == 1 and "Cookie" in answer.vary


def test_vary_is_merged(site):
    key = site.create_session({"a": 1})
    server = site.httpd(ON)
    for given, expected in (("Accept", ["Accept", "Cookie"]), ("cookie", ["cookie"]),
                            ("Accept, COOKIE", ["Accept", "COOKIE"]), ("*", ["*"])):
        answer = server.get(reply(f"Vary: {given}"), cookie=f"sessionid={key}")
        assert sorted(answer.vary) == sorted(expected), given


def test_the_cookie_is_as_the_directives_say(site):
    key = site.create_session({"a": 1})
    server = site.httpd(
        ON + '<Location "/cgi/reply">\nDjangoSessionCookieName sid\nDjangoSessionCookieAge 1h\n'
        "DjangoSessionCookieDomain .example.org\nDjangoSessionCookiePath /cgi\n"
        "DjangoSessionCookieHttpOnly Off\nDjangoSessionCookieSameSite Strict\n"
        "DjangoSessionCookieSecure On\n</Location>\n")
    line = server.get(reply(update(set={"b": 2})), cookie=f"sid={key}").get("Set-Cookie")
    assert re.fullmatch(
        rf"sid={key}; Domain=\.example\.org; expires=\w+, \d+ \w+ \d+ [\d:]+ GMT; Max-Age=3600; "
        r"Path=/cgi; SameSite=Strict; Secure", line), line


def test_the_applications_own_session_cookie_wins(site):
    """The application is Django, or wants to be."""
    key = site.create_session({"a": 1})
    backend = site.backend()
    server = site.httpd(ON + f"ProxyPass /app/ {backend.url}\n")
    backend.answer = lambda request: (200, [
        tuple(update(set={"b": 2}).split(": ", 1)), ("Set-Cookie", "sessionid=itsown123; Path=/"),
        ("Set-Cookie", "other=1")], b"")
    answer = server.get("/app/", cookie=f"sessionid={key}")
    assert sorted(answer.all("Set-Cookie")) == ["other=1", "sessionid=itsown123; Path=/"]
    assert site.read_session(key) == {"a": 1}
    # One whose name only begins so does not.
    answer = server.get(reply(update(set={"b": 2}), "Set-Cookie: sessionid2=x"),
                        cookie=f"sessionid={key}")
    assert sorted(c.split("=")[0] for c in answer.all("Set-Cookie")) == ["sessionid", "sessionid2"]
    assert site.read_session(key) == {"a": 1, "b": 2}


def test_emptying_deletes_the_cookie_and_the_row(site):
    key = site.create_session({"a": 1})
    server = site.httpd(ON)
    answer = server.get(reply(update(flush=True)), cookie=f"sessionid={key}")
    assert answer.get("Set-Cookie") == ('sessionid=""; expires=Thu, 01 Jan 1970 00:00:00 GMT; '
                                        "Max-Age=0; Path=/; SameSite=Lax")
    assert len(answer.all("Set-Cookie")) == 1 and site.database.row(key) is None


def test_the_expiry_of_an_application_obeys_djangos_rules(site):
    """D-6: no key of an application is our metadata."""
    key = site.create_session({"a": 1})
    server = site.httpd(ON)
    answer = server.get(reply("Django-Session-Set: expiry=99999999999999999"),
                        cookie=f"sessionid={key}")
    assert "Max-Age=1209600" in answer.get("Set-Cookie")
    assert site.read_session(key)["expiry"] == "99999999999999999"
    answer = server.get(reply(update(expiry=60)), cookie=f"sessionid={key}")
    assert "Max-Age=60" in answer.get("Set-Cookie")
    answer = server.get(reply(update(expiry=0)), cookie=f"sessionid={key}")
    assert "Max-Age" not in answer.get("Set-Cookie")


def test_a_stream_is_not_held_back(site):
    """The first part is with the client while the application is still at work."""
    key = site.create_session({"a": 1})
    gate = site.gate()
    server = site.httpd(ON)
    program = server.dir / "cgi" / "stream"
    program.write_text("#!/bin/sh\nprintf 'Content-Type: text/plain\\n"
                       "Django-Session-Set: b=2\\n\\nfirst\\n'\n"
                       f"touch {gate.path}/arrived-1\nflock -s {gate.path}/lock true\necho second\n")
    program.chmod(0o755)
    import socket
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as s:
        s.sendall(f"GET /cgi/stream HTTP/1.1\r\nHost: x\r\nCookie: sessionid={key}\r\n"
                  "Connection: close\r\n\r\n".encode())
        got = b""
        while b"first" not in got:
            part = s.recv(65536)
            assert part, got
            got += part
        assert b"Set-Cookie: sessionid=" in got and b"second" not in got
        assert site.read_session(key) == {"a": 1, "b": "2"}
        gate.wait_for(1)
        gate.open()
        while True:
            part = s.recv(65536)
            if not part:
                break
            got += part
    assert b"second" in got


def test_no_byte_of_a_replaced_answer_is_sent(site):
    """An application that writes a lot, in parts, after headers that are refused."""
    key = site.create_session({"a": 1})
    server = site.httpd(ON)
    server.expect(131)
    program = server.dir / "cgi" / "chatty"
    program.write_text("#!/bin/sh\nprintf 'Content-Type: text/plain\\nX-App: 1\\n"
                       "Django-Session-Update: {\\n\\n'\n"
                       "i=0; while [ $i -lt 2000 ]; do echo SECRETPART; i=$((i+1)); done\n")
    program.chmod(0o755)
    for extra in ("", "?x"):
        raw = server.client().raw(f"GET /cgi/chatty{extra} HTTP/1.1\r\nHost: x\r\n"
                                  f"Cookie: sessionid={key}\r\nConnection: close\r\n\r\n")
        assert raw.startswith(b"HTTP/1.1 500 ") and b"SECRETPART" not in raw
        assert b"X-App" not in raw
    # With an error document of one's own, too.
    server = site.httpd(ON + "ErrorDocument 500 /page.txt\n")
    server.expect(131)
    answer = server.get(reply("Django-Session-Update: {", body="SECRETPART"),
                        cookie=f"sessionid={key}")
    assert answer.status == 500 and answer.text == "page\n"


def test_caches_keep_answers_apart(site):
    """mod_cache sees Vary: what one visitor got is not another's."""
    one, two = site.create_session({"who": "one"}), site.create_session({"who": "two"})
    backend = site.backend()
    backend.answer = lambda request: (
        200, [("Cache-Control", "max-age=100")], dict(request[2]).get("Django-Session", "-").encode())
    server = site.httpd(ON + f"DjangoSessionHeader On\nCacheRoot @DIR@\nCacheEnable disk /app/\n"
                        f"CacheQuickHandler Off\nProxyPass /app/ {backend.url}\n",
                        modules=["cache", "cache_disk"])
    for _ in range(2):
        assert "one" in server.get("/app/", cookie=f"sessionid={one}").text
        assert "two" in server.get("/app/", cookie=f"sessionid={two}").text
        assert "o" not in server.get("/app/").text.replace("no", "")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_secure_auto_is_secure_when_the_request_is(site, scheme):
    """ServerName tells the scheme, as behind something that ends TLS."""
    key = site.create_session({"a": 1})
    server = site.httpd(f"ServerName {scheme}://test.example:443\n" + ON
                        + "DjangoSessionCookieSecure Auto\n")
    line = server.get(reply(update(set={"b": 2})), cookie=f"sessionid={key}").get("Set-Cookie")
    assert line.endswith("; Secure") == (scheme == "https")
