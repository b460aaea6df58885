# SPDX-License-Identifier: Apache-2.0
"""What clients send in our name reaches nobody, wherever the module is loaded (D-18, D-19)."""
import json

import pytest

OURS = ["Django-Session", "Django-Session-Status", "Django-Session-Overflow", "Django-User",
        "Django-User-Id", "Django-User-Groups", "Django-Csrf-Token", "Django-Session-Cart",
        "Django-Session-Anything-At-All"]


def spellings(name):
    """Every way in which a backend could take a header for this one."""
    return {name, name.lower(), name.upper(), name.replace("-", "_"), name.replace("-", "_", 1),
            name.lower().replace("-", "_"), name.upper().replace("-", "_"), name.swapcase(),
            "_".join(name.rsplit("-", 1))}


CONFIGS = {
    "session off": "",
    "session on": "DjangoSession On\n",
    "headers on": "DjangoSession On\nDjangoSessionHeader On\n",
    "off here, on elsewhere": '<Location "/other">\nDjangoSession On\nDjangoSessionHeader On\n'
                              "</Location>\n",
    "under Django": '<Location "/app/">\nAuthType Django\nDjangoSessionHeader On\n'
                    "Require all granted\n</Location>\n",
}


def canonical(name):
    return name.lower().replace("_", "-")


@pytest.mark.parametrize("case", CONFIGS)
def test_a_clients_word_for_ours_never_arrives(site, case):
    backend = site.backend()
    server = site.httpd(CONFIGS[case] + f"ProxyPass /app/ {backend.url}\n")
    server.expect("AH01753", "AH02430")  # httpd's own word about strange header names
    sent = [(spelling, "mallory") for name in OURS for spelling in spellings(name)]
    sent += [("Django-User", "mallory")] * 3 + [("X-Other", "stays"), ("Djangosession", "stays"),
                                                ("X-Django-User", "stays")]
    for start in range(0, len(sent), 40):  # LimitRequestFields
        part = sent[start:start + 40]
        answer = server.get("/app/", part)
        assert answer.status == 200
        got = answer.json()
        assert "mallory" not in json.dumps(got), got
        for name, value in part:
            if value == "stays":
                assert [name, value] in got
        env = server.env(headers=part)
        assert "mallory" not in json.dumps(env)


def test_names_that_administrators_gave_are_removed_in_the_whole_server(site):
    backend = site.backend()
    server = site.httpd('<Location "/far/away">\nDjangoSession On\n'
                        "DjangoSessionHeader cart=X-Shop-Cart\n</Location>\n"
                        f"ProxyPass /app/ {backend.url}\n")
    for name in spellings("X-Shop-Cart"):
        assert "mallory" not in server.get("/app/", [(name, "mallory")]).text, name
    assert "stays" in server.get("/app/", [("X-Shop-Carts", "stays")]).text


def test_names_given_in_htaccess_are_removed_there(site):
    server = site.httpd('<Directory "@DIR@/htdocs">\nAllowOverride All\nOptions +ExecCGI\n'
                        "AddHandler cgi-script .cgi\n</Directory>\n")
    folder = server.dir / "htdocs" / "x"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / ".htaccess").write_text("DjangoSession On\nDjangoSessionHeader cart=X-Shop-Cart\n")
    (folder / "env.cgi").write_text("#!/bin/sh\necho; env\n")
    (folder / "env.cgi").chmod(0o755)
    key = site.create_session({"cart": "ours"})
    for name in spellings("X-Shop-Cart"):
        text = server.get("/x/env.cgi", [(name, "mallory")], cookie=f"sessionid={key}").text
        assert "mallory" not in text and "HTTP_X_SHOP_CART=ours" in text, name


@pytest.mark.parametrize("connection", [
    "Django-Session, keep-alive, Django-User", "keep-alive,django-user", "DJANGO_SESSION, close",
    "close, X-Shop-Cart", "django-session", "Django-User , Django-Session;, close",
    ",,Django-User,,", "close, Django-Session-Status"])
def test_connection_takes_no_header_of_ours_away(site, connection):
    """CVE-2022-31813's kind: the proxy drops what Connection names."""
    site.create_user("ada")
    key = site.login("ada", cart="full")
    backend = site.backend()
    server = site.httpd('<Location "/app/">\nAuthType Django\nRequire valid-user\n'
                        "DjangoSessionHeader On cart=X-Shop-Cart\n"
                        f"ProxyPass {backend.url}\n</Location>\n")
    answer = server.get("/app/", [("Connection", connection), ("X-Drop", "1")],
                        cookie=f"sessionid={key}")
    got = dict(answer.json())
    assert got["Django-User"] == "ada" and got["X-Shop-Cart"] == "full"
    assert json.loads(got["Django-Session"])["cart"] == "full"
    assert got["Django-Session-Status"] == "active"


def test_connection_still_names_what_is_not_ours(site):
    backend = site.backend()
    server = site.httpd(f"ProxyPass /app/ {backend.url}\n")
    got = dict(server.get("/app/", [("Connection", "Django-User, X-Drop, close"),
                                    ("X-Drop", "1"), ("X-Keep", "1")]).json())
    assert "X-Drop" not in got and got["X-Keep"] == "1"


def test_no_variable_of_ours_comes_from_a_header(site):
    """D-18."""
    server = site.httpd("")
    env = server.env(headers=[("Session", "user=admin"), ("Proxy", "x"),
                              ("Remote-User", "admin"), ("DJANGO-SESSION-ID", "x")])
    assert not [name for name in env if name.startswith("DJANGO")]
    assert "REMOTE_USER" not in env


@pytest.mark.parametrize("request_line", [
    "OPTIONS * HTTP/1.1", "GET http://host HTTP/1.1", "GET http://host/page.txt HTTP/1.1",
    "GET http://host?x HTTP/1.1", "CONNECT host:443 HTTP/1.1", "GET / HTTP/1.0",
    "HEAD /page.txt HTTP/1.0", "TRACE / HTTP/1.1", "GET //page.txt HTTP/1.1"])
def test_requests_without_a_path_and_their_like_crash_nothing(site, request_line):
    """CVE-2010-1452's kind."""
    server = site.httpd('<Location "/">\nAuthType Django\nRequire valid-user\n'
                        "DjangoSessionHeader On\n</Location>\n")
    server.expect("AH")
    for cookie in ("", "Cookie: sessionid=abcdefghijklmnop\r\n", "Cookie:\r\n", "Cookie: ;\r\n"):
        raw = server.client().raw(f"{request_line}\r\nHost: host\r\n{cookie}"
                                  "Accept: text/html\r\nConnection: close\r\n\r\n")
        assert raw.startswith(b"HTTP/1.1 ") and b"page\n" not in raw


def test_http_0_9_gets_an_answer(site):
    server = site.httpd("DjangoSession On\n")
    server.expect("AH")
    assert server.client().raw("GET /page.txt\r\n\r\n")
