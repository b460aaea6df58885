# SPDX-License-Identifier: Apache-2.0
"""Attacks: tables of them, each row with its reason. What they try must not come true."""
import base64
import json
import re
import socket
import threading
import urllib.parse

import pytest

from harness import PATIENCE, wait_until

ON = "DjangoSession On\nDjangoSessionUpdate On\n"
BROWSER = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
SECRET = "PROTECTEDBYTES"


def reply(*headers, status=None, body=None, path="/cgi/reply"):
    query = [("h", h) for h in headers]
    query += [("status", str(status))] if status else []
    query += [("body", body)] if body is not None else []
    return path + "?" + urllib.parse.urlencode(query)


def update(**operations):
    return "Django-Session-Update: " + json.dumps(operations)


def page(server, name, text, mode=0o644):
    path = server.dir / "htdocs" / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.parent.chmod(0o755)
    path.write_text(text)
    path.chmod(mode)


# ---- header spoofing ----------------------------------------------------------------------------

#: name -> why a backend could take it for ours, or a filter could miss it
SPELLINGS = {
    "Django-User": "as it is",
    "django-user": "case",
    "DJANGO-USER": "case",
    "dJANGO-uSER": "case",
    "Django_User": "CGI and WSGI know no other (golang/vulndb#4113)",
    "django_user": "the same, case",
    "DJANGO_USER": "the variable's own name",
    "Django.User": "servers that map all that is no letter or digit to _",
    "Django~User": "the same", "Django!User": "the same", "Django#User": "the same",
    "Django$User": "the same", "Django%User": "the same", "Django&User": "the same",
    "Django'User": "the same", "Django*User": "the same", "Django+User": "the same",
    "Django^User": "the same", "Django`User": "the same", "Django|User": "the same",
    "Django-User-Id": "family", "Django_User_Id": "family", "Django-User_Id": "mixed",
    "Django_User-Id": "mixed", "Django-User-Groups": "family", "Django_User-Groups": "family",
    "Django-User-Email": "not sent now, may be one day", "Django-User-": "PHP strips nothing",
    "Django-Session": "family", "Django_Session": "family", "DJANGO-SESSION": "family",
    "Django-Session-Status": "family", "Django_Session_Status": "family",
    "Django-Session-Reason": "family", "Django-Session-Overflow": "family",
    "Django-Session-Cart": "a selected key", "Django-Session_Cart": "the same",
    "Django.Session.Cart": "the same", "django_session-CART": "the same",
    "Django-Session-Set": "an update, in the wrong direction",
    "Django-Session-Update": "an update, in the wrong direction",
    "Django-Csrf-Token": "family", "Django_Csrf_Token": "family",
    "X-Cart": "a custom name", "x-cart": "case", "X_Cart": "underscore", "X.Cart": "dot",
    "X_CART": "both",
}

SECTIONS = {
    "on": ("DjangoSession On\nDjangoSessionHeader On cart=X-Cart\n", ""),
    "off": ("DjangoSession Off\n", "<Location /elsewhere>\nDjangoSession On\n"
                                   "DjangoSessionHeader cart=X-Cart\n</Location>\n"),
    "named in <Proxy>": ("", '<Proxy "http://127.0.0.1:1/x">\nDjangoSession On\n'
                             "DjangoSessionHeader cart=X-Cart\n</Proxy>\n"),
    "named in <If>": ("", "<If \"-n req('X-Never')\">\nDjangoSession On\n"
                          "DjangoSessionHeader cart=X-Cart\n</If>\n"),
    "named in <Files>": ("", "<Directory />\n<FilesMatch never>\nDjangoSession On\n"
                             "DjangoSessionHeader cart=X-Cart\n</FilesMatch>\n</Directory>\n"),
}


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("vhost", [False, True])
def test_no_spelling_of_ours_arrives_and_ours_do(site, section, vhost):
    inside, outside = SECTIONS[section]
    backend = site.backend()
    key = site.create_session({"cart": "ours"})
    config = f"<Location />\n{inside}</Location>\n{outside}ProxyPass /app/ {backend.url}\n"
    if vhost:
        config = f"<VirtualHost *>\nServerName 127.0.0.1\n{config}</VirtualHost>\n"
    server = site.httpd(config)
    server.expect("AH01753", "AH02430")
    names = list(SPELLINGS)
    for start in range(0, len(names), 20):
        headers = []
        for name in names[start:start + 20]:
            headers += [(name, "mallory"), (name, "mallory, again"), ]
        headers += [("X-Stays", "stays")]
        got = server.get("/app/", headers, cookie=f"sessionid={key}").json()
        assert "mallory" not in json.dumps(got), got
        assert ["X-Stays", "stays"] in got
        env = server.env(headers=headers, cookie=f"sessionid={key}")
        assert "mallory" not in json.dumps(env)
        if section == "on":
            assert dict(got)["X-Cart"] == env["HTTP_X_CART"] == "ours"
            assert len([n for n, _ in got if n.lower() == "x-cart"]) == 1


RAW_HEADERS = {
    "obs-fold in the value": "Django-User:\r\n mallory\r\n",
    "obs-fold with a second name": "X-A: b\r\n\tDjango-User: mallory\r\n",
    "blank before the colon": "Django-User : mallory\r\n",
    "tab before the colon": "Django-User\t: mallory\r\n",
    "blank in front of the first": " Django-User: mallory\r\n",
    "bare CR in the value": "X-A: b\rDjango-User: mallory\r\n",
    "bare LF": "X-A: b\nDjango-User: mallory\r\n",
    "NUL in the name": "Django\0-User: mallory\r\n",
    "NUL behind the name": "Django-User\0: mallory\r\n",
    "no-break space": "Django\xa0User: mallory\r\n",
    "vertical tab": "Django-User\v: mallory\r\n",
}


@pytest.mark.parametrize("strict", ["Strict", "Unsafe"])
def test_no_bytes_around_a_name_bring_it_through(site, strict):
    backend = site.backend()
    server = site.httpd(f"HttpProtocolOptions {strict}\nErrorDocument 400 /cgi/env\n"
                        f"DjangoSession On\nDjangoSessionHeader On\nProxyPass /app/ {backend.url}\n")
    server.expect("AH")
    for case, line in RAW_HEADERS.items():
        for path in ("/app/", "/cgi/env"):
            raw = server.client().raw(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                                      f"Connection: close\r\n{line}\r\n").decode("latin-1")
            # Inside another header's value it is that header's, whoever reads it.
            names = re.findall(r'"(HTTP_DJANGO[^"]*|DJANGO[-_.]USER[^"]*)"', raw, re.I)
            values = [n for n in names if not n.upper().startswith("HTTP_DJANGO_SESSION")]
            assert not values, (case, raw)


#: answers that httpd makes before a request is whole
BROKEN = {
    "no Host": ("GET / HTTP/1.1\r\n", 400),
    "bad Host": ("GET / HTTP/1.1\r\nHost: a b\r\n", 400),
    "two lengths": ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n", 400),
    "unknown coding": ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: odd\r\n", 400),
    "expectation": ("GET / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\n", 417),
    "bad escape": ("GET /%zz HTTP/1.1\r\nHost: a\r\n", 400),
    "too long": ("GET /" + "a" * 9000 + " HTTP/1.1\r\nHost: a\r\n", 414),
    "not there": ("GET /nothing HTTP/1.1\r\nHost: a\r\n", 404),
    "large body": ("POST /page.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n", 413),
    "no such method": ("BREW / HTTP/1.1\r\nHost: a\r\n", 501),
}


@pytest.mark.parametrize("case", BROKEN)
def test_the_error_document_of_a_broken_request_gets_no_forged_header(site, case):
    head, status = BROKEN[case]
    server = site.httpd("LimitRequestBody 50\nDjangoSession On\nDjangoSessionHeader On\n"
                        + "".join(f"ErrorDocument {n} /cgi/env\n"
                                  for n in (400, 404, 413, 414, 417, 500, 501)))
    server.expect("AH")
    raw = server.client().raw(head + "Django-User: mallory\r\nDjango-Session: mallory\r\n"
                              "Connection: close, Django-User\r\n\r\n").decode("latin-1")
    assert raw.startswith("HTTP/1.1 "), raw
    assert "mallory" not in raw, (status, raw)


CONNECTIONS = {
    "one": ["Django-User"],
    "case": ["dJANGO-uSER"],
    "underscore": ["Django_User, django_session"],
    "quoted": ['"Django-User", "X-Cart"'],
    "parameters": ["Django-User;q=1, X-Cart;a=b;c"],
    "semicolons": ["Django-User;X-Cart;Django-Session"],
    "comma runs": [",,,Django-User,,,,X-Cart,,"],
    "blanks": ["  Django-User \t , \t X-Cart  "],
    "blanks for commas": ["close Django-User X-Cart"],
    "two headers": ["Django-User", "X-Cart"],
    "forty headers": ["keep-alive"] * 38 + ["Django-User", "X-Cart"],
    "with close": ["close, Django-Session, Django-Session-Status"],
    "unclosed quote": ['"Django-User', "X-Cart"],
    "backslash": ['"a\\"', "X-Cart, Django-User"],
    "all of it": [", ".join(SPELLINGS)],
    "long": [", ".join(["a"] * 2000 + ["Django-User", "X-Cart"])],
}


@pytest.mark.parametrize("case", CONNECTIONS)
def test_connection_takes_nothing_of_ours_away(site, case):
    """D-19, CVE-2022-31813's kind."""
    site.create_user("ada")
    key = site.login("ada", cart="full")
    backend = site.backend()
    server = site.httpd('<Location "/app/">\nAuthType Django\nRequire valid-user\n'
                        "DjangoSessionHeader On cart=X-Cart\n"
                        f"ProxyPass {backend.url}\n</Location>\n")
    server.expect("AH")
    got = dict(server.get("/app/", [("Connection", c) for c in CONNECTIONS[case]],
                          cookie=f"sessionid={key}").json())
    assert got["Django-User"] == "ada" and got["X-Cart"] == "full"
    assert got["Django-Session-Status"] == "active" and "Django-Session" in got


class FastCGI:
    """The least that speaks FastCGI: answers with the parameters of the request as JSON."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:
                self.answer(stream)

    @staticmethod
    def length(data, at):
        if data[at] < 128:
            return data[at], at + 1
        return int.from_bytes(data[at:at + 4], "big") & 0x7fffffff, at + 4

    def answer(self, stream):
        params = b""
        while True:
            head = stream.read(8)
            kind, size, padding = head[1], int.from_bytes(head[4:6], "big"), head[6]
            body = stream.read(size + padding)[:size]
            if kind == 4:
                params += body
            if kind == 5 and not body:
                break
        found, at = {}, 0
        while at < len(params):
            name, at = self.length(params, at)
            value, at = self.length(params, at)
            found[params[at:at + name].decode("latin-1")] = \
                params[at + name:at + name + value].decode("latin-1")
            at += name + value
        out = b"Content-Type: application/json\r\n\r\n" + json.dumps(found).encode()
        stream.write(bytes([1, 6, 0, 1]) + len(out).to_bytes(2, "big") + b"\0\0" + out)
        stream.write(bytes([1, 6, 0, 1, 0, 0, 0, 0]) + bytes([1, 3, 0, 1, 0, 8, 0, 0]) + bytes(8))
        stream.flush()

    def close(self):
        self.listener.close()


@pytest.mark.parametrize("merge", ["Off", "On"])
def test_trailers_bring_no_header_of_ours(site, merge):
    """MergeTrailers On puts them among the headers when the body was read (CVE-2013-5704)."""
    site.create_user("ada")
    key = site.login("ada", cart="ours")
    program = site.keep(FastCGI())
    server = site.httpd(f"MergeTrailers {merge}\n<Location /app>\nAuthType Django\n"
                        "Require valid-user\nDjangoSessionHeader On cart=X-Cart\n"
                        f"SetHandler proxy:fcgi://127.0.0.1:{program.port}/\n</Location>\n",
                        modules=["proxy_fcgi"])
    raw = server.client().raw(
        "POST /app HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
        f"Cookie: sessionid={key}\r\n\r\n3\r\nabc\r\n0\r\n"
        "Django-User: mallory\r\nX-Cart: mallory\r\nDjango-User-Extra: mallory\r\n"
        "X-Stays: stays\r\n\r\n").decode("latin-1")
    assert "mallory" not in raw, raw
    assert '"HTTP_DJANGO_USER": "ada"' in raw and '"HTTP_X_CART": "ours"' in raw, raw
    assert ('"HTTP_X_STAYS": "stays"' in raw) == (merge == "On")


def test_ours_arrive_behind_a_directory_index(site):
    """The headers of mod_dir's look are the request's own from then on."""
    key = site.create_session({"cart": "ours"})
    server = site.httpd("DjangoSession On\nDjangoSessionHeader cart=X-Cart\n"
                        "<Directory @DIR@/htdocs/x>\nDirectoryIndex no.html env.cgi\n"
                        "Options +ExecCGI\nAddHandler cgi-script .cgi\n</Directory>\n")
    page(server, "x/env.cgi", "#!/bin/sh\necho; env\n", 0o755)
    text = server.get("/x/", [("X-Cart", "mallory")], cookie=f"sessionid={key}").text
    assert "mallory" not in text and "HTTP_X_CART=ours" in text
