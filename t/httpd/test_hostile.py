# SPDX-License-Identifier: Apache-2.0
"""Attacks: tables of them, each row with its reason. What they try must not come true."""
import http.client
import json
import os
import re
import socket
import threading
import urllib.parse

import pytest

from harness import PATIENCE, stop_listening
from test_config import CONTEXT

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
                        "DjangoSession On\nDjangoSessionHeader On\n"
                        f"ProxyPass /app/ {backend.url}\n")
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
        stop_listening(self.listener)


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


def test_an_included_program_of_a_section_that_is_off_is_told_nothing(site):
    key = site.create_session({"cart": "ours"})
    server = site.httpd('DjangoSession On\nDjangoSessionHeader On\n<Directory "@DIR@/htdocs">\n'
                        "Options +Includes\nAddOutputFilter INCLUDES .shtml\n</Directory>\n"
                        "<Location /off>\nDjangoSession Off\n</Location>\n"
                        'ScriptAlias /off/ "@DIR@/cgi/"\n')
    page(server, "x.shtml", '[<!--#echo var="DJANGO_SESSION_STATUS" -->]'
                            '<!--#include virtual="/off/env" -->')
    text = server.get("/x.shtml", cookie=f"sessionid={key}").text
    assert text.startswith("[active]{") and "DJANGO_" not in text


# ---- AuthType Django ----------------------------------------------------------------------------

CLOSED = ('<Location "/closed">\nAuthType Django\n%s\n</Location>\n'
          'Alias /closed "@DIR@/htdocs/closed"\n')


def protect(site, inside="Require valid-user", more="", before="", **options):
    server = site.httpd(before + CLOSED % inside + more, **options)
    server.expect("AH01276", "AH01630", "AH01629", "AH01631", "AH01797", "unable to include")
    page(server, "closed/secret.txt", SECRET + "\n")
    page(server, "closed/index.html", SECRET + "\n")
    page(server, "closed/env.cgi", f"#!/bin/sh\necho; echo {SECRET}; env\n", 0o755)
    return server


INTO = {
    "GET": "GET /closed/secret.txt HTTP/1.1",
    "HEAD": "HEAD /closed/secret.txt HTTP/1.1",
    "POST": "POST /closed/secret.txt HTTP/1.1",
    "OPTIONS": "OPTIONS /closed/secret.txt HTTP/1.1",
    "PROPFIND": "PROPFIND /closed/secret.txt HTTP/1.1",
    "unknown method": "BREW /closed/secret.txt HTTP/1.1",
    "HTTP/1.0": "GET /closed/secret.txt HTTP/1.0",
    "absolute": "GET http://a/closed/secret.txt HTTP/1.1",
    "absolute, other scheme": "GET https://a/closed/secret.txt HTTP/1.1",
    "absolute, odd scheme": "GET foo://a/closed/secret.txt HTTP/1.1",
    "two slashes": "GET //closed/secret.txt HTTP/1.1",
    "slashes inside": "GET /closed//secret.txt HTTP/1.1",
    "dot": "GET /./closed/./secret.txt HTTP/1.1",
    "dot dot": "GET /x/../closed/secret.txt HTTP/1.1",
    "dot dot encoded": "GET /x/%2e%2e/closed/secret.txt HTTP/1.1",
    "letter encoded": "GET /%63losed/secret.txt HTTP/1.1",
    "slash encoded": "GET /closed%2fsecret.txt HTTP/1.1",
    "backslash": "GET /closed\\secret.txt HTTP/1.1",
    "trailing": "GET /closed/secret.txt/ HTTP/1.1",
    "path info": "GET /closed/env.cgi/x HTTP/1.1",
    "index": "GET /closed/ HTTP/1.1",
    "no slash": "GET /closed HTTP/1.1",
    "query": "GET /closed/secret.txt?x HTTP/1.1",
    "star": "OPTIONS * HTTP/1.1",
    "connect": "CONNECT a:443 HTTP/1.1",
    "by rewriting": "GET /rewritten HTTP/1.1",
    "by rewriting in a folder": "GET /open/rewritten HTTP/1.1",
    "by an error document": "GET /nothing HTTP/1.1",
    "by a directory index": "GET /open/ HTTP/1.1",
    "by inclusion": "GET /open/include.shtml HTTP/1.1",
}


@pytest.mark.parametrize("policy", ["redirect", "401"])
def test_no_way_into_the_protected_part(site, policy):
    server = protect(site, "Require valid-user\nOptions +ExecCGI\nAddHandler cgi-script .cgi\n"
                           f"DjangoUnauthenticated {policy}",
                     'Options +Includes +FollowSymLinks\nRewriteEngine On\n'
                     'RewriteRule "^/rewritten$" "/closed/secret.txt" [PT]\n'
                     "ErrorDocument 404 /closed/secret.txt\n"
                     '<Directory "@DIR@/htdocs/open">\nOptions +Includes +FollowSymLinks\n'
                     'AddOutputFilter INCLUDES .shtml\nRewriteEngine On\n'
                     'RewriteRule "^rewritten$" "/closed/secret.txt"\n'
                     'DirectoryIndex /closed/index.html\n</Directory>\n')
    server.expect("AH")
    page(server, "open/include.shtml",
         '<!--#include virtual="/closed/secret.txt" --><!--#include virtual="/closed/env.cgi" -->'
         '<!--#fsize virtual="/closed/secret.txt" -->\n')
    for cookie in ("", "Cookie: sessionid=abcdefghijklmnop\r\n"):
        for extra in ("", "Range: bytes=0-20\r\n", "If-None-Match: *\r\n",
                      "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n"):
            for case, line in INTO.items():
                raw = server.client().raw(f"{line}\r\nHost: a\r\nAccept: text/html\r\n"
                                          f"Connection: close\r\n{cookie}{extra}\r\n"
                                          ).decode("latin-1")
                assert SECRET not in raw, (case, raw)
                status = int(raw.split()[1])
                assert "ETag" not in raw or "closed" not in line, (case, raw)
                assert status not in (206, 304), (case, raw)
                if case in ("GET", "HEAD", "POST", "absolute", "path info", "index", "by rewriting",
                            "by rewriting in a folder", "by a directory index"):
                    assert status in (401, 302), (case, raw)


LOOPS = {
    "401 in another section": "ErrorDocument 401 /inner/secret.txt\n",
    "403 in another section": "ErrorDocument 403 /inner/secret.txt\n",
    "302 in another section": "ErrorDocument 302 /inner/secret.txt\n",
    "all": "".join(f"ErrorDocument {n} /inner/secret.txt\n" for n in (302, 401, 403, 404, 500)),
    "by CGI": "ErrorDocument 401 /inner/env.cgi\nErrorDocument 403 /inner/env.cgi\n",
    "the login page itself is protected": "DjangoLoginURL /closed/login\n",
}


@pytest.mark.parametrize("case", LOOPS)
def test_error_documents_in_another_protected_section_end_and_show_nothing(site, case):
    """One of the very section that refuses is shown, as with httpd's own AuthType Basic."""
    for name in ("ada", "bob"):
        site.create_user(name)
    server = protect(site, "Require user ada", LOOPS[case] + 'Alias /inner "@DIR@/htdocs/closed"\n'
                     '<Location "/inner">\nAuthType Django\nRequire user eve\n</Location>\n')
    bob = f"sessionid={site.login('bob')}"
    for headers in (BROWSER, {}):
        for cookie, status in ((None, 302 if headers else 401), (bob, 403)):
            answer = server.get("/closed/secret.txt", headers, cookie=cookie)
            assert answer.status == status and SECRET not in answer.text, answer


COMBINATIONS = {
    # inside the section -> (nobody, bob, ada); Require user ada is said in each
    "Satisfy Any, denied": ("Require user ada\nOrder allow,deny\nSatisfy Any", (401, 403, 200)),
    "Satisfy Any, allowed": ("Require user ada\nOrder deny,allow\nAllow from all\nSatisfy Any",
                             (200, 200, 200)),
    "Satisfy All, denied": ("Require user ada\nOrder allow,deny\nSatisfy All", (403, 403, 403)),
    "Satisfy All, allowed": ("Require user ada\nAllow from all\nSatisfy All", (401, 403, 200)),
    "RequireAny with ip": ("<RequireAny>\nRequire ip 127.0.0.1\nRequire user ada\n</RequireAny>",
                           (200, 200, 200)),
    "RequireAny with another ip": ("<RequireAny>\nRequire ip 192.0.2.1\nRequire user ada\n"
                                   "</RequireAny>", (401, 403, 200)),
    "RequireAll with RequireNone": ("<RequireAll>\nRequire valid-user\n<RequireNone>\n"
                                    "Require user bob\n</RequireNone>\n</RequireAll>",
                                    (401, 403, 200)),
    "RequireAll with an ip kept out": ("<RequireAll>\nRequire valid-user\n<RequireNone>\n"
                                       "Require ip 127.0.0.1\n</RequireNone>\n</RequireAll>",
                                       (403, 403, 403)),
    "nested": ("<RequireAll>\n<RequireAny>\nRequire ip 192.0.2.1\n<RequireAll>\n"
               "Require valid-user\nRequire user ada\n</RequireAll>\n</RequireAny>\n"
               "Require method GET\n</RequireAll>",
               (401, 403, 200)),
    "Limit GET": ("<Limit GET>\nRequire user ada\n</Limit>", (401, 403, 200)),
    "LimitExcept POST": ("<LimitExcept POST>\nRequire user ada\n</LimitExcept>", (401, 403, 200)),
    "expression": ("Require expr %{REMOTE_USER} == 'ada'", (401, 403, 200)),
    "expression behind valid-user": ("<RequireAll>\nRequire valid-user\n"
                                     "Require expr %{REMOTE_USER} == 'ada'\n</RequireAll>",
                                     (401, 403, 200)),
    "no section of authz": ("Require all granted\nAuthMerging Off\nRequire user ada",
                            (200, 200, 200)),
}


@pytest.mark.parametrize("case", COMBINATIONS)
def test_combinations_of_require_are_httpds(site, case):
    inside, expected = COMBINATIONS[case]
    for name in ("ada", "bob"):
        site.create_user(name)
    server = protect(site, inside, modules=["access_compat"])
    got = []
    for name in (None, "bob", "ada"):
        cookie = f"sessionid={site.login(name)}" if name else None
        answer = server.get("/closed/secret.txt", cookie=cookie)
        assert (SECRET in answer.text) == (answer.status == 200)
        got.append(answer.status)
    assert tuple(got) == expected


def test_a_stricter_section_judges_the_login_again(site):
    """What a section with other DjangoAuthBackends found out is not said of the next one."""
    site.create_user("ada")
    cookie = f"sessionid={site.login('ada')}"
    server = protect(site, "Require valid-user\nDjangoAuthBackends some.other.Backend",
                     '<Location "/open">\nAuthType Django\nRequire valid-user\nRewriteEngine On\n'
                     'RewriteRule "go$" "/closed/secret.txt"\n</Location>\n'
                     '<Directory "@DIR@/htdocs/open">\nOptions +Includes +FollowSymLinks\n'
                     'AddOutputFilter INCLUDES .shtml\nDirectoryIndex /closed/index.html\n'
                     '</Directory>\n')
    server.expect("AH10410")
    page(server, "open/include.shtml", '[<!--#include virtual="/closed/secret.txt" -->]\n')
    page(server, "open/plain.txt", "plain\n")
    assert server.get("/open/plain.txt", cookie=cookie).status == 200
    assert server.get("/closed/secret.txt", cookie=cookie).status == 401
    for path in ("/open/include.shtml", "/open/go", "/open/"):
        assert SECRET not in server.get(path, cookie=cookie).text, path


def test_a_laxer_section_judges_the_login_again(site):
    site.create_user("ada")
    cookie = f"sessionid={site.login('ada')}"
    server = protect(site, "Require valid-user", '<Directory "@DIR@/htdocs/open">\n'
                     'Options +Includes\nAddOutputFilter INCLUDES .shtml\n</Directory>\n'
                     '<Location "/open">\nDjangoSession On\nDjangoAuthBackends some.other.Backend\n'
                     '</Location>\n')
    page(server, "open/include.shtml", '[<!--#include virtual="/closed/secret.txt" -->]\n')
    assert SECRET in server.get("/open/include.shtml", cookie=cookie).text


def test_a_forged_backend_counts_where_it_is_named_only(site):
    site.create_user("ada")
    key = site.login("ada")
    site.django.run(
        "from django.contrib.sessions.backends.db import SessionStore\n"
        f"s = SessionStore({key!r})\ns['_auth_user_backend'] = 'evil.Backend'\n"
        "s.save()\nresult = 1")
    server = protect(site, "Require valid-user\n"
                     "DjangoAuthBackends django.contrib.auth.backends.ModelBackend")
    answer = server.get("/closed/secret.txt", cookie=f"sessionid={key}")
    assert answer.status == 401 and SECRET not in answer.text


TARGETS = {
    "//evil.example/closed/../../closed/secret.txt": "a host",
    "///evil.example/../closed/secret.txt": "a host, in some browsers",
    "/\\evil.example/../closed/secret.txt": "browsers read it as //",
    "/\\\\evil.example/../closed/secret.txt": "the same",
    "/%5cevil.example/../closed/secret.txt": "decoded by whom?",
    "/%2f%2fevil.example/../closed/secret.txt": "the same",
    "/%0d%0aLocation:%20http://evil.example/../closed/secret.txt": "another header",
    "/closed/%0d%0aSet-Cookie:%20a=b": "another header",
    "/closed/%00": "NUL",
    "/closed/a?next=//evil.example": "its own next",
    "/closed/a?x&next=http://evil.example#x": "the same, with a fragment",
    "/closed/a;b&c=d%26next=//evil.example": "joins the login's query",
    "http://evil.example/closed/secret.txt": "absolute",
    "http://evil.example//evil.example/../closed/secret.txt": "absolute with two slashes",
    "http://evil.example\\@a/closed/secret.txt": "which host?",
    "http://a@evil.example/closed/secret.txt": "user information",
    "http:/closed/secret.txt": "one slash",
    "http:closed/secret.txt": "none",
    "https:///closed/secret.txt": "no host",
    "javascript://%0aalert(1)/closed/secret.txt": "a scheme",
    "/closed/\xe9\xff": "no UTF-8",
    "/closed/\u2028": "beyond latin-1",
    "/closed/<script>alert(1)</script>\"'": "for the page that shows it",
    "/./closed/.//evil.example": "dots",
    "/\t/evil.example/../closed/secret.txt": "browsers drop tabs",
}


@pytest.mark.parametrize("unsafe", ["", "HttpProtocolOptions Unsafe\n"])
def test_no_request_makes_a_redirect_off_the_site(site, unsafe):
    """D-20. The Location is our login page, whatever was asked for; next stays on this site."""
    server = protect(site, more=unsafe)
    server.expect("AH")
    for target, why in TARGETS.items():
        data = f"GET {target} HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n" \
               "Connection: close\r\n\r\n"
        raw = server.client().raw(data.encode("utf-8")).decode("latin-1")
        head = raw.split("\r\n\r\n")[0]
        lines = [line for line in head.split("\r\n") if line.lower().startswith("location:")]
        assert not re.search(r"^set-cookie", head, re.I | re.M), (why, head)
        if not lines:
            assert " 302 " not in head.split("\r\n")[0], (why, head)
            continue
        assert len(lines) == 1
        location = lines[0][10:]
        parts = urllib.parse.urlsplit(location)
        if not location.startswith("http://a/closed/"):  # mod_dir's
            assert (parts.scheme, parts.netloc, parts.path) == ("", "", "/accounts/login/"), (
                why, head)
            query = urllib.parse.parse_qs(parts.query, strict_parsing=True)
            assert list(query) == ["next"] and len(query["next"]) == 1, (why, head)
            assert re.fullmatch(r"/(?![/\\]).*", query["next"][0], re.S), (why, head)
            assert not re.search(r"[\0-\x20\"<>\\]", location), (why, head)
            assert site.django.run(
                "from django.utils.http import url_has_allowed_host_and_scheme\n"
                f"result = url_has_allowed_host_and_scheme({query['next'][0]!r}, 'a')"), (why, head)


def test_a_login_by_an_old_key_is_renewed_and_still_djangos(make_site):
    old, new = "old-" + "o" * 30, "new-" + "n" * 30
    before = make_site(SECRET_KEY=old)
    before.create_user("ada")
    key = before.login("ada", cart=1)
    before.secrets.add(new)
    server = before.httpd(before.database.directives() + f"DjangoSecretKey {new}\n"
                          f"DjangoSecretKeyFallbacks {old}\n"
                          '<Location "/">\nAuthType Django\nRequire valid-user\n</Location>\n',
                          base=False)
    answer = server.get("/page.txt", cookie=f"sessionid={key}")
    renewed = answer.cookie()
    assert answer.status == 200 and renewed and renewed != key
    assert before.database.row(key) is None
    server2 = before.httpd(before.database.directives() + f"DjangoSecretKey {new}\n"
                           '<Location "/">\nAuthType Django\nRequire valid-user\n</Location>\n',
                           base=False)
    assert server2.get("/page.txt", cookie=f"sessionid={renewed}").status == 200
    assert server2.get("/page.txt", cookie=f"sessionid={key}").status == 401


# ---- caches -------------------------------------------------------------------------------------

CACHE = "CacheRoot @DIR@\nCacheEnable disk /\nCacheQuickHandler %s\n"


@pytest.mark.parametrize("quick", ["On", "Off"])
def test_a_cache_gives_nobody_a_new_visitors_session(site, quick):
    """Vary: Cookie keeps those without a cookie together: one's Set-Cookie must not be kept."""
    backend = site.backend()
    backend.answer = lambda request: (
        200, [("Cache-Control", "max-age=100"), ("Django-Session-Set", "a=1")], b"new")
    server = site.httpd(ON + CACHE % quick + f"ProxyPass /app/ {backend.url}\n",
                        modules=["cache", "cache_disk"])
    first, second = server.get("/app/"), server.get("/app/")
    assert first.cookie() and first.cookie() != second.cookie()


@pytest.mark.parametrize("quick", ["On", "Off"])
@pytest.mark.parametrize("gone", ["logout", "deactivated"])
def test_a_cache_shows_no_protected_page_when_the_login_ended(site, quick, gone):
    site.create_user("ada")
    key = site.login("ada")
    server = protect(site, more=CACHE % quick + "CacheHeader On\n",
                     modules=["cache", "cache_disk"])
    page(server, "open.txt", "open\n")
    for name in ("open.txt", "closed/secret.txt"):  # old enough for a guess at their lifetime
        os.utime(server.dir / "htdocs" / name, (1e9, 1e9))
    server.get("/open.txt")
    assert server.get("/open.txt").get("X-Cache").startswith("HIT")
    cookie = f"sessionid={key}"
    for _ in range(3):
        assert SECRET in server.get("/closed/secret.txt", cookie=cookie).text
    if gone == "logout":
        site.database.execute("DELETE FROM django_session WHERE session_key = %s", (key,))
    else:
        site.django.run("from django.contrib.auth.models import User\n"
                        "User.objects.update(is_active=False)\nresult = 1")
    assert SECRET not in server.get("/closed/secret.txt", cookie=cookie).text
    assert SECRET not in server.get("/closed/secret.txt").text


# ---- rows ---------------------------------------------------------------------------------------

#: name -> (how it is made: Python with `sign(bytes, compress)` at hand, the status that it has)
ROWS = {
    "empty": ("''", "invalid"),
    "blank": ("' '", "invalid"),
    "colons": ("':::'", "invalid"),
    "bad signature": ("good[:-1] + ('A' if good[-1] != 'A' else 'B')", "invalid"),
    "no signature": ("good.rsplit(':', 1)[0]", "invalid"),
    "no time": ("good.split(':')[0] + ':' + good.rsplit(':', 1)[1]", "invalid"),
    "truncated": ("good[:len(good) // 2]", "invalid"),
    "doubled": ("good + good", "invalid"),
    "line feed behind": ("good + chr(10)", "invalid"),
    "blank in front": ("' ' + good", "invalid"),
    "another salt": ("signing.dumps({'a': 1}, salt='x')", "invalid"),
    "other session's text": ("sign(b'{}')[:-3] + good[-3:]", "invalid"),
    "zlib bomb": ("sign(b'{\"a\":\"' + b'0' * 300000000 + b'\"}', True)", "invalid"),
    "not zlib": ("sign_raw('.' + b64(b'no zlib at all'))", "invalid"),
    "half of zlib": ("sign_raw('.' + b64(zlib.compress(b'{\"a\": 1}' * 99)[:-6]))", "invalid"),
    "not base64": ("sign_raw('\\u20ac!!')", "invalid"),
    "base64 of odd length": ("sign_raw('a')", "invalid"),
    "deep list": ("sign(b'{\"a\":' + b'[' * 100000 + b']' * 100000 + b'}')", "invalid"),
    "deep object": ("sign(b'{\"a\":' * 100000 + b'1' + b'}' * 100000)", "invalid"),
    "unclosed": ("sign(b'[' * 100000)", "invalid"),
    "a list": ("sign(b'[1]')", "invalid"),
    "a text": ("sign(b'\"abc\"')", "invalid"),
    "a number": ("sign(b'1')", "invalid"),
    "null": ("sign(b'null')", "invalid"),
    "nothing": ("sign(b'')", "invalid"),
    "two objects": ("sign(b'{}{}')", "invalid"),
    "comment": ("sign(b'{/**/}')", "invalid"),
    "trailing comma": ("sign(b'{\"a\":1,}')", "invalid"),
    "NUL in the text": ("sign(b'{\"a\":\"\\0\"}')", "invalid"),
    "NUL at the end": ("sign(b'{\"a\":1}\\0')", "invalid"),
    "not latin-1 clean": ("sign(b'{\"a\":\"\\xff\\xfe\"}')", None),
    "half an escape": ("sign(b'{\"a\":\"\\\\u12\"}')", "invalid"),
    "pickle": ("sign(b'\\x80\\x04}.')", "invalid"),
    "legacy, bad hash": ("base64.b64encode(b'0' * 40 + b':{\"a\":1}').decode()", "invalid"),
    "legacy, no hash": ("base64.b64encode(b'{\"a\":1}').decode()", "invalid"),
    "5 MB": ("sign(b'{\"a\":\"' + b'x' * 5000000 + b'\"}')", None),
    "long number": ("sign(b'{\"a\":' + b'9' * 5000 + b'}')", None),
    "longer number": ("sign(b'{\"a\":' + b'9' * 1000000 + b'}')", None),
    "large exponent": ("sign(b'{\"a\":1e999999999}')", None),
    "NaN": ("sign(b'{\"a\":NaN}')", "active"),
    "doubled names": ("sign(b'{\"a\":1,\"a\":2}')", "active"),
    "lone surrogate": ("sign(b'{\"a\":\"\\\\ud800\"}')", "active"),
    "NUL escaped": ("sign(b'{\"a\":\"\\\\u0000\"}')", "active"),
    "odd expiry": ("sign(b'{\"_session_expiry\":[1]}')", None),
    "odd login": ("sign(b'{\"_auth_user_id\":{},\"_auth_user_backend\":1,\"_auth_user_hash\":[]}')",
                  "active"),
    "login with no hash": ("sign(b'{\"_auth_user_id\":\"1\",\"_auth_user_backend\":'"
                           "b'\"django.contrib.auth.backends.ModelBackend\"}')", None),
    "login with an empty hash": ("sign(b'{\"_auth_user_id\":\"1\",\"_auth_user_hash\":\"\",'"
                                 "b'\"_auth_user_backend\":"
                                 "\"django.contrib.auth.backends.ModelBackend\"}')", None),
    "login by SQL": ("sign(b'{\"_auth_user_id\":\"1 OR 1=1\",\"_auth_user_hash\":\"\",'"
                     "b'\"_auth_user_backend\":"
                     "\"django.contrib.auth.backends.ModelBackend\"}')", None),
}

MAKE_ROWS = """
import base64, json, time, zlib
from datetime import timedelta
from django.core import signing
from django.contrib.sessions.models import Session
from django.utils import timezone
SALT = 'django.contrib.sessions.SessionStore'
def b64(data): return signing.b64_encode(data).decode()
def sign_raw(text): return signing.TimestampSigner(salt=SALT).sign(text)
def sign(data, compress=False):
    return sign_raw('.' + b64(zlib.compress(data, 9)) if compress else b64(data))
good = sign(b'{"a":1}')
result = {}
for i, (name, code) in enumerate(json.loads(%r).items()):
    key = 'hostilerow%%022d' %% i
    Session.objects.create(session_key=key, session_data=eval(code),
                           expire_date=timezone.now() + timedelta(days=1))
    result[name] = key
"""


def test_no_row_harms_and_none_that_is_invalid_changes(each_site):
    site = each_site
    site.create_user("ada")
    keys = site.django.run(MAKE_ROWS % json.dumps({n: code for n, (code, _) in ROWS.items()}))
    every = '<Location "/every">\nDjangoSessionSaveEveryRequest On\n</Location>\n'
    server = site.httpd(ON + "DjangoSessionHeader On\nDjangoSessionUpdate Login\n"
                        'ScriptAlias /every/ "@DIR@/cgi/"\n' + every
                        + '<Location "/page.txt">\nAuthType Django\nRequire valid-user\n'
                        "</Location>\n")
    server.expect(120, 132)
    wrong = []
    for name, key in keys.items():
        status, cookie, row = ROWS[name][1], f"sessionid={key}", site.database.row(key)
        answer = server.get("/cgi/env", cookie=cookie)
        if answer.status != 200:
            wrong.append((name, answer.status))
            continue
        env = answer.json()
        found = env["DJANGO_SESSION_STATUS"]
        if status and found != status:
            wrong.append((name, found))
        if server.get("/page.txt", cookie=cookie).status != 401:
            wrong.append((name, "let in"))
        if found != "invalid":
            # Django raises TypeError at an end that is a list.
            if server.get("/every/env", cookie=cookie).status != (500 if name == "odd expiry"
                                                                  else 200):
                wrong.append((name, "saving it"))
            continue
        if env.get("DJANGO_SESSION_REASON") not in ("bad-signature", "unreadable"):
            wrong.append((name, env.get("DJANGO_SESSION_REASON")))
        if "DJANGO_USER" in env or env.get("DJANGO_SESSION", "{}") != "{}":
            wrong.append((name, env))
        for path in ("/every/env", reply(update(set={"b": 1})), reply("Django-Session-Set: b=1"),
                     reply(update(logout=True)), reply(update(flush=True)),
                     reply(update(clear=True)), reply(update(cycle_key=True)),
                     reply(update(login="ada"))):
            answer = server.get(path, cookie=cookie)
            if answer.status != 200 or answer.cookie() == key:
                wrong.append((name, path, answer.status, answer.cookie()))
            if site.database.row(key) != row:
                wrong.append((name, path, "row changed"))
                break
    assert not wrong, wrong


# ---- cookies ------------------------------------------------------------------------------------

def cookie_attacks(key):
    """(cookie header, does Django find the session by it)"""
    stray = "strayabcdefghijklmnopqrstuvw1234"
    return {
        "plain": (f"sessionid={key}", True),
        "comma smuggling": (f"theme=x,sessionid={key}", False),           # D-1
        "comma behind": (f"sessionid={key},a=b", False),
        "stray last": (f"sessionid={key}; sessionid={stray}", True),      # D-2, ours is kinder
        "stray first": (f"sessionid={stray}; sessionid={key}", True),
        "many strays": ("sessionid=x" * 3 + "; " + f"sessionid={key}", True),
        "quoted": (f'sessionid="{key}"', True),
        "quoted with octals": ('sessionid="\\%03o%s"' % (ord(key[0]), key[1:]), True),
        "half quoted": (f'sessionid="{key}', False),
        "quotes protect no semicolon": (f'a="; sessionid={key}; "', True),
        "$Version": (f"$Version=1; sessionid={key}; $Path=/", True),
        "path attribute": (f"sessionid={key}; Path=/x", True),
        "blanks": (f"  sessionid \t=\t {key}  ", True),
        "tab inside": (f"sessionid={key[:16]}\t{key[16:]}", False),
        "escaped": ("sessionid=%%%02x%s" % (ord(key[0]), key[1:]), False),
        "upper case": (f"sessionid={key.upper()}", key.upper() == key),
        "first letter upper": (f"sessionid={key.swapcase()}", False),
        "blank behind, quoted": (f'sessionid="{key} "', False),
        "blank in front, quoted": (f'sessionid=" {key}"', False),
        "NUL behind, quoted": (f'sessionid="{key}\\000"', False),
        "name's case": (f"SessionID={key}", False),
        "name's prefix": (f"sessionid2={key}; xsessionid={key}", False),
        "no name": (f"={key}", False),
        "only the value": (key, False),
        "7 characters": ("sessionid=" + key[:7], False),
        "41 characters": ("sessionid=" + key + "123456789", False),
        "300 characters": ("sessionid=" + key * 9, False),
        "6 kB": ("sessionid=" + key * 190, False),
        "beyond the column": ("sessionid=" + "a" * 41, False),
        "wildcards": ("sessionid=%%%%%%%%%%%%; sessionid=________", False),
        "SQL": (f"sessionid={key}' OR '1'='1", False),
        "SQL, backslash": (f"sessionid={key}\\' OR 1=1 -- ", False),
        "accent": (f"sessionid={key[:-1]}\xc3\xa1", False),
        "full width": ("sessionid=" + "".join(chr(0xfee0 + ord(c)) for c in key), False),
        "invalid UTF-8": (f"sessionid={key}\xff", False),
        "combining": (f"sessionid={key}\u0301", False),
        "zero width": (f"sessionid={key}\u200b", False),
        "many others": ("; ".join(f"c{i}=1" for i in range(900)) + f"; sessionid={key}", True),
        "semicolons": (";" * 3000 + f"sessionid={key}" + ";" * 3000, True),
        "a thousand strays behind": (f"sessionid={key}; "
                                     + "; ".join(["sessionid=abcdefgh"] * 390), False),
    }


def test_no_cookie_but_the_key_itself_finds_the_session(each_site):
    key = each_site.create_session({"a": 1})
    assert key != key.upper()
    server = each_site.httpd()
    server.expect("AH00561", "AH00566")
    wrong = []
    for name, (cookie, there) in cookie_attacks(key).items():
        cookie = cookie.encode("utf-8") if any(ord(c) > 255 for c in cookie) else \
            cookie.encode("latin-1")
        raw = server.client().raw(b"GET /cgi/env HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                                  b"Cookie: " + cookie + b"\r\n\r\n")
        if not raw.startswith(b"HTTP/1.1 200"):
            wrong.append((name, raw[:100]))
        elif (b'"DJANGO_SESSION_STATUS": "active"' in raw) != there:
            wrong.append((name, re.findall(rb'"DJANGO_SESSION_\w+": "[^"]*"', raw)))
    assert not wrong, wrong


@pytest.mark.parametrize("data", [b"\0", b"a\0b", b"\x01", b"\x7f", b"\r", b"\x1b[2J"])
def test_control_bytes_in_a_cookie_are_refused_or_harmless(site, data):
    key = site.create_session({"a": 1})
    server = site.httpd()
    server.expect("AH")
    raw = server.client().raw(b"GET /cgi/env HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                              b"Cookie: sessionid=" + key.encode() + data + b"\r\n\r\n")
    assert b'"active"' not in raw


def test_several_cookie_headers_are_one_as_for_wsgi(site):
    """httpd joins them by ", "; HTTP/2 splits them, and mod_http2 joins them by "; "."""
    key = site.create_session({"a": 1})
    server = site.httpd()
    for headers in ([("Cookie", f"sessionid={key}"), ("Cookie", "a=b")],
                    [("Cookie", "a=b"), ("Cookie", f"sessionid={key}")]):
        env = server.env(headers=headers)
        assert env["DJANGO_SESSION_STATUS"] in ("new", "active")


# ---- updates ------------------------------------------------------------------------------------

#: headers of the application's answer, none of which may change anything
REFUSED = {
    "forged id": [update(set={"_auth_user_id": "1"})],
    "forged id, setdefault": [update(setdefault={"_auth_user_id": "1"})],
    "forged id, increment": [update(increment={"_auth_user_id": 1})],
    "forged id, append": [update(append={"_auth_user_id": "1"})],
    "forged id, delete": [update(delete=["_auth_user_id"])],
    "forged id, pair": ["Django-Session-Set: _auth_user_id=1"],
    "forged id, percent": ["Django-Session-Set: %5fauth%5Fuser_id=1"],
    "forged id, blank in front": ["Django-Session-Set:   _auth_user_id=1"],
    "forged id, escaped": ['Django-Session-Update: {"set":{"\\u005fauth_user_id":"1"}}'],
    "forged id, second of two": [
        'Django-Session-Update: {"set":{"a":1}},{"set":{"_auth_user_id":1}}'],
    "forged id, doubled member": ['Django-Session-Update: {"set":{},"set":{"_auth_user_id":1}}'],
    "forged hash": [update(set={"_auth_user_hash": "x"})],
    "forged backend": [update(set={"_auth_user_backend": "x"})],
    "forged expiry": [update(set={"_session_expiry": 9999999})],
    "forged expiry, pair": ["Django-Session-Set: _session_expiry=9999999"],
    "deleted expiry": [update(delete=["_session_expiry"])],
    "expiry of a list": [update(expiry=[1])],
    "expiry too large": [update(expiry=10 ** 30)],
    "expiry beyond dates": [update(expiry=10 ** 17)],
    "expiry before dates": [update(expiry=-10 ** 17)],
    "expiry of words": [update(expiry="9999-99-99T99:99:99Z")],
    "NaN expiry": ['Django-Session-Update: {"expiry":NaN}'],
    "deep": ['Django-Session-Update: {"set":{"a":%s}}' % ("[" * 1000 + "]" * 1000)],
    "deep, unclosed": ['Django-Session-Update: {"set":{"a":' + "[" * 1000],
    "malformed": ["Django-Session-Update: {'a': 1}"],
    "half": ['Django-Session-Update: {"set":{"a":1}'],
    "no object": ["Django-Session-Update: null"],
    "two objects without a comma": ['Django-Session-Update: {"set":{"a":2}}{}'],
    "half a percent": ["Django-Session-Set: a=%"], "odd percent": ["Django-Session-Set: a=%zz"],
    "no UTF-8": ["Django-Session-Set: a=%ff"], "overlong": ["Django-Session-Set: a=%c0%af"],
    "surrogate": ["Django-Session-Set: a=%ed%a0%80"],
    "comma by mistake": ["Django-Session-Set: a=1,2"],
    "increment of an object": ['Django-Session-Update: {"increment":{"a":{}}}'],
    "append to a number": [update(append={"a": 1})],
    "login": [update(login="ada")], "login of SQL": [update(login="' OR 1=1 --")],
    "logout": [update(logout=True)],
    "one good, one bad": [update(set={"a": 2}), "Django-Session-Set: a"],
    "unknown": [update(become="root")],
}


@pytest.mark.parametrize("how", ["proxy", "cgi"])
def test_no_refused_update_changes_anything_at_any_status(site, how):
    site.create_user("ada")
    key = site.create_session({"a": 1})
    row, cookie = site.database.row(key), f"sessionid={key}"
    backend = site.backend()
    server = site.httpd(ON + f"ProxyPass /app/ {backend.url}\nErrorDocument 404 /page.txt\n"
                        '<Location /off>\nDjangoSessionUpdate Off\n</Location>\n'
                        'ScriptAlias /off/ "@DIR@/cgi/"\n')
    server.expect(130, 131, 132, 135)
    server.expect("AH")
    wrong = []
    for name, headers in REFUSED.items():
        for status in (200, 302, 304, 404, 500, 503):
            expected = 500 if status < 500 else status
            if how == "proxy":
                backend.answer = lambda request: (
                    status, [tuple(h.split(": ", 1)) for h in headers], b"")
                answer = server.get("/app/", cookie=cookie)
            else:
                answer = server.get(reply(*headers, status=status), cookie=cookie)
            if answer.status != expected or answer.all("Set-Cookie") \
                    or [h for h, _ in answer.headers if h.lower().startswith("django")]:
                wrong.append((name, status, answer))
        if how == "cgi":
            answer = server.get(reply(*headers, path="/off/reply"), cookie=cookie)
            if answer.status != 200 or [h for h, _ in answer.headers if "jango" in h]:
                wrong.append((name, "off", answer))
        if site.database.row(key) != row:
            wrong.append((name, "row changed"))
            row = site.database.row(key)
    assert not wrong, wrong
    # Whatever an application says is not for the log.
    assert "9999999" not in server.log.replace(key, "")


def test_updates_as_large_as_headers_can_be(site):
    key = site.create_session({"a": 1})
    cookie, backend = f"sessionid={key}", site.backend()
    server = site.httpd(ON + f"ProxyPass /app/ {backend.url} responsefieldsize=2000000\n"
                        "LimitRequestFieldSize 8190\n")
    server.expect(131, "AH")
    for headers in ([("Django-Session-Set", "a=" + "x" * 7000)] * 90,
                    [("Django-Session-Set", ",".join(f"k{i}={i}" for i in range(600)))],
                    [("Django-Session-Update", json.dumps({"set": {"a": "y" * 1900000}}))],
                    [("Django-Session-Update", json.dumps({"set": {"z": 1}}))] * 90):
        backend.answer = lambda request: (200, headers, b"done")
        answer = server.get("/app/", cookie=cookie)
        assert answer.status in (200, 500, 502), answer
        assert site.read_session(key)["a"]
    assert server.get("/page.txt").status == 200


def test_an_included_answer_changes_nothing_and_leaks_nothing(site):
    """Only the client's answer can: an included program's headers go nowhere, as with httpd."""
    key = site.create_session({"a": 1})
    server = site.httpd(ON + '<Directory "@DIR@/htdocs">\nOptions +Includes\n'
                        'AddOutputFilter INCLUDES .shtml\n</Directory>\n')
    target = reply(update(set={"b": 1}), "Django-Session-Set: c=1", body="included")
    page(server, "x.shtml", f'<!--#include virtual="{target}" -->\n')
    answer = server.get("/x.shtml", cookie=f"sessionid={key}")
    assert "included" in answer.text and "jango" not in answer.text
    assert not [h for h, _ in answer.headers if h.startswith("Django")]
    assert site.read_session(key) == {"a": 1}


def test_an_error_documents_update_counts_and_the_replaced_answers_does_not(site):
    key = site.create_session({"a": 1})
    backend = site.backend()
    backend.answer = lambda request: (404, [("Django-Session-Set", "lost=1")], b"")
    server = site.httpd(ON + f"ProxyPass /app/ {backend.url}\nProxyErrorOverride On\n"
                        f"ErrorDocument 404 {reply('Django-Session-Set: kept=1', status=404)}\n")
    answer = server.get("/app/", cookie=f"sessionid={key}")
    assert answer.status == 404
    assert not [h for h, _ in answer.headers if h.startswith("Django")]
    assert site.read_session(key) == {"a": 1, "kept": "1"}


# ---- the configuration --------------------------------------------------------------------------

KEYS = {
    # what stands in the configuration -> what the message has to say
    "missing file": ("DjangoSecretKey file:@DIR@/not-there", "DjangoSecretKey"),
    "unreadable folder": ("DjangoSecretKey file:@DIR@", "DjangoSecretKey"),
    "empty file": ("DjangoSecretKey file:/dev/null", "DjangoSecretKey"),
    "no name": ("DjangoSecretKey file:", "DjangoSecretKey"),
    "unset variable": ("DjangoSecretKey env:DJS_NOT_SET", "DjangoSecretKey"),
    "empty": ('DjangoSecretKey ""', "DjangoSecretKey"),
    "missing program": ("DjangoSecretKey exec:@DIR@/not-there", "DjangoSecretKey"),
    "silent program": ("DjangoSecretKey exec:/bin/true", "DjangoSecretKey"),
    "failing program": ("DjangoSecretKey exec:/bin/false", "DjangoSecretKey"),
    "endless file": ("DjangoSecretKey file:/dev/zero", "DjangoSecretKey"),
    "none": ("", "DjangoSecretKey"),
    "empty fallback": ('DjangoSecretKey long-secret-text-one\nDjangoSecretKeyFallbacks ""',
                       "DjangoSecretKeyFallbacks"),
    "fallback not there": ("DjangoSecretKey long-secret-text-one\n"
                           "DjangoSecretKeyFallbacks file:@DIR@/not-there",
                           "DjangoSecretKeyFallbacks"),
    "two keys": ("DjangoSecretKey long-secret-text-one long-secret-text-two", "DjangoSecretKey"),
}


@pytest.mark.parametrize("case", KEYS)
def test_a_key_that_cannot_be_had_stops_the_start_and_no_key_is_printed(site, case):
    lines, said = KEYS[case]
    server = site.httpd(site.database.directives() + lines + "\nDjangoSession On\n", base=False,
                        start=False)
    for defines in ((), ("DUMP_DJANGO",), ("DUMP_CONFIG",), ("DJANGO_CHECK",)):
        code, text = server.configtest(*defines)
        assert code != 0 and said in text, (defines, text)
        if defines != ("DUMP_CONFIG",):  # httpd's own: the configuration as it is
            assert "long-secret-text" not in text, text


GARBAGE = ["", " ", "\\", "\"", "%", "%s%n", "-1", "0x", "99999999999999999999999", "1e9", "on off",
           "\t", "\x01", "\xff\xfe", "a" * 8000, "${NOT_SET}", "=", "/", "//", "file:", "exec:",
           "env:", "'; DROP TABLE django_session; --", "../../../etc/passwd"]


def test_garbage_in_any_directive_neither_crashes_nor_prints_the_key(site):
    """Each directive with each value would be slow: values take turns."""
    server = site.httpd(start=False)
    path = server.dir / "httpd.conf"
    good = path.read_text()
    for i, directive in enumerate(CONTEXT):
        for j in range(3):
            value = GARBAGE[(i * 3 + j) % len(GARBAGE)]
            quoted = '"%s"' % value.replace("\\", "\\\\").replace('"', '\\"')
            path.write_text(good + f"{directive} {quoted}\n", encoding="latin-1")
            code, text = server.configtest()
            assert code in (0, 1), (directive, value, code, text)
            assert site.secret_key not in text
            assert code == 0 or directive in text or "AH" in text or "DJS" in text, (
                directive, value, text)


# ---- at the same time ---------------------------------------------------------------------------

def test_two_sites_on_one_connection_never_mix(make_site):
    """One child, one thread, one connection that changes its Host."""
    one, two = make_site(), make_site()
    keys = {}
    for name, site in (("one", one), ("two", two)):
        site.create_user(name)
        keys[name] = site.login(name, cart=name)
    one.secrets.add(*keys.values())
    config = "".join(
        f"<VirtualHost *>\nServerName {name}.example\n{site.directives()}"
        '<Location "/">\nAuthType Django\nRequire valid-user\nDjangoSessionHeader On cart=X-Cart\n'
        "</Location>\nDjangoSession On\n</VirtualHost>\n"
        for name, site in (("one", one), ("two", two)))
    server = one.httpd(config + "StartServers 1\nMaxRequestWorkers 1\n", base=False,
                       mpm="prefork")
    server.expect("AH")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    for turn in range(40):
        host = ("one", "two")[turn % 2]
        whose = ("one", "two")[turn // 2 % 2]
        connection.request("GET", "/cgi/env", headers={"Host": host + ".example", "Accept": "*/*",
                                                       "Cookie": "sessionid=" + keys[whose]})
        answer = connection.getresponse()
        body = answer.read()
        if host == whose:
            env = json.loads(body)
            assert answer.status == 200 and env["REMOTE_USER"] == host
            assert env["HTTP_X_CART"] == host
            assert json.loads(env["DJANGO_SESSION"]) == {"cart": host}
        else:
            assert answer.status == 401 and whose.encode() not in body
    connection.close()


def test_a_logout_wins_over_those_who_write_at_the_same_time(each_site):
    site = each_site
    site.create_user("ada")
    key = site.login("ada", a=1)
    gate = site.gate()
    server = site.httpd(ON + "DjangoSessionUpdate Login\n")
    answers = []

    def write(i):
        target = reply(update(set={f"k{i}": i}), path="/cgi/slow") + f"&gate={gate.path}"
        answers.append(server.get(target, cookie=f"sessionid={key}"))

    threads = [threading.Thread(target=write, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    gate.wait_for(6)
    out = server.get(reply(update(logout=True)), cookie=f"sessionid={key}")
    assert out.status == 200 and "Max-Age=0" in out.get("Set-Cookie")
    gate.open()
    for thread in threads:
        thread.join(PATIENCE)
    assert [a.status for a in answers] in ([200] * 6, [400] * 6), answers
    assert site.database.row(key) is None
    assert site.database.execute("SELECT COUNT(*) FROM django_session")[0][0] == 0
