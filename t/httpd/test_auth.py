# SPDX-License-Identifier: Apache-2.0
"""AuthType Django: who gets in, and what the others get."""
import http.client
import json
import threading
import urllib.parse

import pytest

from harness import PATIENCE

SECRET = "the protected page"
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
LOCATION = '<Location "/closed">\nAuthType Django\n%s\n</Location>\nAlias /closed "@DIR@/htdocs"\n'


def protect(site, directives="Require valid-user", more="", **options):
    server = site.httpd(LOCATION % directives + more, **options)
    (server.dir / "htdocs" / "secret.txt").write_text(SECRET + "\n")
    return server


PAGE = "/closed/secret.txt"


def outcome(answer):
    """Status; where it leads. Whatever is no 200 shows nothing of the page."""
    if answer.status != 200:
        assert SECRET not in answer.text
        assert not answer.all("Last-Modified") and not answer.all("ETag")
    else:
        assert SECRET in answer.text
    return answer.status, answer.get("Location")


# ---- who gets in --------------------------------------------------------------------------------

def test_a_login_of_django_gets_in_and_is_the_user(each_site):
    uid = each_site.create_user("ada", email="ada@example.org")
    key = each_site.login("ada")
    each_site.django.run("from django.contrib.auth.models import Group, User\n"
                         "for name in ['b, c', 'caf\\xe9']:\n"
                         "    User.objects.get().groups.add(Group.objects.create(name=name))\n")
    server = protect(each_site, more='<Location "/cgi/env">\nAuthType django\nRequire user ada\n'
                     "</Location>\n")
    assert outcome(server.get(PAGE, cookie=f"sessionid={key}"))[0] == 200
    env = server.env(cookie=f"sessionid={key}")
    assert (env["REMOTE_USER"], env["AUTH_TYPE"]) == ("ada", "Django")
    assert (env["DJANGO_USER"], env["DJANGO_USER_ID"], env["DJANGO_USER_EMAIL"]) \
        == ("ada", str(uid), "ada@example.org")
    assert env["DJANGO_USER_GROUPS"] == r'["b, c","caf\u00e9"]'
    assert "DJANGO_SESSION_REASON" not in env


def test_authtype_may_be_an_expression_and_differ_from_section_to_section(site):
    site.create_user("ada")
    key = site.login("ada")
    server = site.httpd("""
SetEnvIf Request_URI /django KIND=Django
SetEnvIf Request_URI /basic KIND=Basic
<Location "/cgi/env">
AuthType %{reqenv:KIND}
AuthName x
AuthBasicProvider django
Require valid-user
</Location>
<Location "/cgi/env/basic/fixed">
AuthType Django
</Location>
<Location "/cgi/env/django/fixed">
AuthType Basic
</Location>
<Location "/cgi/env/none">
AuthType None
Require all granted
</Location>
<Location "/cgi/env/odd">
AuthType Djang\\o
</Location>
<Directory "@DIR@/htdocs">
AllowOverride AuthConfig
</Directory>
""", modules=["setenvif", "auth_basic"])
    server.expect("AH01796")  # of what stands behind /cgi/env, which is of no kind
    (server.dir / "htdocs" / ".htaccess").write_text("AuthType %{reqenv:KIND}\nAuthName x\n"
                                                     "Require valid-user\nAuthBasicProvider django\n")
    for path in ("django", "basic"):
        (server.dir / "htdocs" / path).mkdir()
        (server.dir / "htdocs" / path / "page.txt").write_text("page\n")
    cookie = f"sessionid={key}"
    for path, kind in (("/cgi/env/django", "Django"), ("/cgi/env/basic", "Basic"),
                       ("/cgi/env/basic/fixed", "Django"), ("/cgi/env/django/fixed", "Basic"),
                       ("/cgi/env/none", None), ("/cgi/env/odd", "Django"),
                       ("/django/page.txt", "Django"), ("/basic/page.txt", "Basic")):
        nobody, ada = server.get(path), server.get(path, cookie=cookie)
        assert nobody.get("WWW-Authenticate", "").split(" ")[0] == (kind or ""), path
        assert nobody.status == (401 if kind else 200), path
        assert ada.status == (401 if kind == "Basic" else 200), path
        if path.startswith("/cgi") and ada.status == 200:
            assert ada.json().get("REMOTE_USER") == (kind and "ada"), path


def test_a_connection_remembers_no_login_that_is_over(each_site):
    """The password is changed between two requests on one connection."""
    each_site.create_user("ada")
    key = each_site.login("ada")
    server = protect(each_site)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)

    def ask():
        connection.request("GET", PAGE, headers={"Cookie": f"sessionid={key}"})
        answer = connection.getresponse()
        answer.read()
        return answer.status

    try:
        assert [ask() for _ in range(3)] == [200] * 3
        socket = connection.sock
        each_site.django.run("from django.contrib.auth.models import User\n"
                             + NOBODY["password changed"][0])
        assert ask() == 401
        assert connection.sock is socket, "one connection"
    finally:
        connection.close()


@pytest.mark.parametrize("what,value", [("username", "ada"), ("id", None), ("email", "a@b.c")])
def test_remote_user_is_what_the_directive_says(site, what, value):
    uid = site.create_user("ada", email="a@b.c")
    server = site.httpd('<Location "/cgi/env">\nAuthType Django\nRequire valid-user\n'
                        f"DjangoRemoteUser {what}\n</Location>\n")
    env = server.env(cookie=f"sessionid={site.login('ada')}")
    assert env["REMOTE_USER"] == (value or str(uid))


def test_a_user_without_an_address_is_nobody_where_addresses_are_asked_for(site):
    site.create_user("ada")
    server = protect(site, "Require valid-user\nDjangoRemoteUser email")
    server.expect(114)
    assert outcome(server.get(PAGE, cookie=f"sessionid={site.login('ada')}"))[0] == 403


NOBODY = {
    "no cookie": ("", "no-cookie"),
    "no login": ("pass", "no-login"),
    "user gone": ("User.objects.filter(username='ada').delete()", "user-unknown"),
    "user inactive": ("User.objects.filter(username='ada').update(is_active=False)",
                      "user-inactive"),
    "password changed": ("u = User.objects.get(username='ada'); u.set_password('x'); u.save()",
                         "password-changed"),
}


@pytest.mark.parametrize("case", NOBODY)
def test_what_ends_a_login_in_django_ends_it_here_and_is_told(each_site, case):
    code, reason = NOBODY[case]
    each_site.create_user("ada")
    key = each_site.create_session({"a": 1}) if case == "no login" else each_site.login("ada", a=1)
    server = protect(each_site, more="ErrorDocument 401 /cgi/env\n")
    cookie = f"sessionid={key}" if code else None
    if code and case != "no login":
        assert outcome(server.get(PAGE, cookie=cookie))[0] == 200
        each_site.django.run("from django.contrib.auth.models import User\n" + code)
    answer = server.get(PAGE, cookie=cookie)
    assert outcome(answer)[0] == 401
    assert answer.json()["REDIRECT_DJANGO_SESSION_REASON"] == reason
    # Django flushes a session whose hash is wrong, and leaves the others alone.
    flushed = case == "password changed"
    assert (each_site.database.row(key) is None) == flushed
    assert (answer.cookie() is not None) == flushed


def test_a_key_of_old_verifies_and_the_login_is_renewed(make_site):
    """SECRET_KEY_FALLBACKS."""
    site = make_site(SECRET_KEY="old-secret-key-of-this-site")
    site.create_user("ada")
    key = site.login("ada", a=1)
    server = site.httpd(
        site.database.directives() + "DjangoSecretKey new-secret-key-of-this-site\n"
        "DjangoSecretKeyFallbacks old-secret-key-of-this-site\n" + LOCATION % "Require valid-user",
        base=False)
    (server.dir / "htdocs" / "secret.txt").write_text(SECRET)
    answer = server.get(PAGE, cookie=f"sessionid={key}")
    assert answer.status == 200 and answer.cookie() not in (None, key)
    assert site.database.row(key) is None
    assert server.get(PAGE, cookie=f"sessionid={answer.cookie()}").status == 200


def test_a_session_of_one_virtual_host_is_none_of_the_other(make_site):
    """CVE-2017-6807's kind: two sites, two databases, two keys."""
    one, two = make_site(), make_site()
    for site in (one, two):
        site.create_user("ada")
    key = one.login("ada")
    two.secrets.add(key)
    vhosts = "".join(
        f"<VirtualHost *:@PORT@>\nServerName {name}.example\nDocumentRoot @DIR@/htdocs\n"
        f"{site.directives()}{LOCATION % 'Require valid-user'}</VirtualHost>\n"
        for name, site in (("one", one), ("two", two)))
    server = one.httpd(vhosts, base=False)
    (server.dir / "htdocs" / "secret.txt").write_text(SECRET)
    for host, status in (("one.example", 200), ("two.example", 401), ("one.example", 200)):
        raw = server.client().raw(f"GET {PAGE} HTTP/1.1\r\nHost: {host}\r\n"
                                  f"Cookie: sessionid={key}\r\nConnection: close\r\n\r\n")
        assert raw.startswith(b"HTTP/1.1 %d " % status), (host, raw)


# ---- the others ---------------------------------------------------------------------------------

PAGE_VIEWS = {
    "browser": ("GET", BROWSER, True),
    "browser, navigating": ("GET", dict(BROWSER, **{"Sec-Fetch-Mode": "navigate"}), True),
    "browser, HEAD": ("HEAD", BROWSER, True),
    "fetch": ("GET", dict(BROWSER, **{"Sec-Fetch-Mode": "cors"}), False),
    "XMLHttpRequest": ("GET", dict(BROWSER, **{"X-Requested-With": "XMLHttpRequest"}), False),
    "form": ("POST", BROWSER, False),
    "curl": ("GET", {"Accept": "*/*"}, False),
    "JSON": ("GET", {"Accept": "application/json"}, False),
    "nothing said": ("GET", {}, False),
}


@pytest.mark.parametrize("case", PAGE_VIEWS)
@pytest.mark.parametrize("mode", ["auto", "redirect", "401"])
def test_who_is_sent_to_the_login_page(site, case, mode):
    method, headers, is_view = PAGE_VIEWS[case]
    server = protect(site, f"Require valid-user\nDjangoUnauthenticated {mode}\n"
                     "DjangoLoginURL /enter?lang=de")
    answer = server.client().request(method, PAGE + "?a=b&c=/d", headers)
    redirected = mode == "redirect" or (mode == "auto" and is_view)
    status, location = outcome(answer)
    assert answer.get("Cache-Control") == "no-store" and "Cookie" in answer.vary
    assert not answer.all("Set-Cookie")
    if redirected:
        assert status == 302
        path, _, query = location.partition("?")
        assert path.endswith("/enter")
        assert urllib.parse.parse_qs(query) == {"lang": ["de"], "next": [PAGE + "?a=b&c=/d"]}
        assert not answer.all("WWW-Authenticate")
    else:
        assert status == 401 and location is None
        assert answer.all("WWW-Authenticate") == ['Django login="/enter?lang=de"']


def test_a_login_page_that_needs_a_login_is_no_endless_way(site):
    server = site.httpd('<Location "/">\nAuthType Django\nRequire valid-user\nDjangoLoginURL /in?x=1\n'
                        '</Location>\n<Location "/in">\nSetHandler django-login\n</Location>\n'
                        '<Location "/in/open">\nSetHandler django-login\nRequire all granted\n'
                        '</Location>\n')
    server.expect(240)
    assert server.get("/page.txt", BROWSER).get("Location") == "/in?x=1&next=/page.txt"
    assert server.get("/inn", BROWSER).status == 302
    for path in ("/in", "/in?x=1&next=/page.txt"):
        assert server.get(path, BROWSER).status == 403
    assert server.has_logged(240)
    assert server.get("/in/open", BROWSER).status == 200


def test_a_client_of_json_is_told_in_json(site):
    server = protect(site, "Require valid-user\nDjangoLoginURL /enter?a=\"b\"&c=\xe9")
    for method in ("GET", "POST", "DELETE"):
        for accept in ("application/json", "application/vnd.api+json, */*;q=0.1"):
            answer = server.client().request(method, PAGE, {"Accept": accept},
                                             cookie="sessionid=unknownunknown")
            assert answer.status == 401 and answer.get("Content-Type") == "application/json"
            assert answer.json() == {"login": '/enter?a="b"&c=%C3%A9', "reason": "unknown-key"}
            assert answer.all("WWW-Authenticate") == ['Django login="/enter?a=\\"b\\"&c=%C3%A9"']
    assert server.get(PAGE, BROWSER).get("Location") \
        == "/enter?a=%22b%22&c=%C3%A9&next=/closed/secret.txt"
    answer = server.client().request("HEAD", PAGE, {"Accept": "application/json"})
    assert answer.status == 401 and not answer.body
    for accept in ("application/json, text/html", "text/plain", "*/*"):
        answer = server.get(PAGE, {"Accept": accept, "Sec-Fetch-Mode": "cors"})
        assert answer.status == 401 and answer.get("Content-Type").startswith("text/html")


@pytest.mark.parametrize("target,back", [
    ("/closed/x?y=%C3%A9&z=a+b", "/closed/x?y=%C3%A9&z=a+b"),
    ("/closed/a%20b", "/closed/a%20b"),
    ("//closed/x", "/%2Fclosed/x"),
    ("http://test.example/closed/x?y", "/closed/x?y"),
    ("/closed/%2F..%2Fx", None),
    ("/closed/../closed/x", "/closed/../closed/x"),
])
def test_the_way_back_is_as_the_client_asked_and_on_this_site(site, target, back):
    server = protect(site)
    raw = server.client().raw(f"GET {target} HTTP/1.1\r\nHost: test.example\r\n"
                              "Accept: text/html\r\nConnection: close\r\n\r\n").decode()
    if back is None:
        assert raw.startswith("HTTP/1.1 404 ")  # AllowEncodedSlashes Off
        return
    assert raw.startswith("HTTP/1.1 302 "), raw
    location = [line[10:] for line in raw.split("\r\n") if line.startswith("Location: ")][0]
    assert urllib.parse.parse_qs(urllib.parse.urlsplit(location).query)["next"] == [back]


def test_a_login_page_elsewhere_gets_the_whole_address(site):
    server = protect(site, "Require valid-user\nDjangoLoginURL https://sso.example/in\n"
                     "DjangoRedirectFieldName goto")
    location = server.get(PAGE + "?a", BROWSER).get("Location")
    parts = urllib.parse.urlsplit(location)
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "sso.example", "/in")
    assert urllib.parse.parse_qs(parts.query) == {
        "goto": [f"http://127.0.0.1:{server.port}{PAGE}?a"]}


# ---- rights -------------------------------------------------------------------------------------

REQUIREMENTS = {
    "valid-user": ("Require valid-user", {"ada": 200, "bob": 200, None: 401}),
    "user": ("Require user ada", {"ada": 200, "bob": 403, None: 401}),
    "users": ("Require user bob ada", {"ada": 200, "bob": 200, None: 401}),
    "not": ("<RequireAll>\nRequire valid-user\nRequire not user bob\n</RequireAll>",
            {"ada": 200, "bob": 403, None: 401}),
    "any of network": ("<RequireAny>\nRequire ip 127.0.0.1\nRequire user ada\n</RequireAny>",
                       {"ada": 200, "bob": 200, None: 200}),
    "any": ("<RequireAny>\nRequire ip 192.0.2.1\nRequire user ada\n</RequireAny>",
            {"ada": 200, "bob": 403, None: 401}),
    "all": ("<RequireAll>\nRequire ip 192.0.2.1\nRequire valid-user\n</RequireAll>",
            {"ada": 403, "bob": 403, None: 403}),
    "denied": ("Require all denied", {"ada": 403, "bob": 403, None: 403}),
    "granted": ("Require all granted", {"ada": 200, "bob": 200, None: 200}),
    "method": ("Require method POST", {"ada": 403, "bob": 403, None: 403}),
    "forbidden said": ("Require user ada\nAuthzSendForbiddenOnFailure On",
                       {"ada": 200, "bob": 403, None: 401}),
}


@pytest.mark.parametrize("case", REQUIREMENTS)
def test_a_user_without_the_right_gets_403_and_nobody_401(site, case):
    require, expected = REQUIREMENTS[case]
    for name in ("ada", "bob"):
        site.create_user(name)
    server = protect(site, require)
    server.expect("AH01630", "AH01631", "AH01629")
    for name, status in expected.items():
        cookie = f"sessionid={site.login(name)}" if name else None
        answer = server.get(PAGE, cookie=cookie)
        assert outcome(answer)[0] == status, name
        if status == 403 and name and require.count("Require user"):
            assert not answer.all("WWW-Authenticate")


def test_a_browser_without_the_right_is_in_no_loop(site):
    site.create_user("bob")
    server = protect(site, "Require user ada", more="ErrorDocument 403 /cgi/env\n")
    server.expect("AH01631")
    answer = server.get(PAGE, BROWSER, cookie=f"sessionid={site.login('bob')}")
    assert answer.status == 403 and not answer.all("Location")
    assert answer.json()["REDIRECT_DJANGO_SESSION_REASON"] == "no-permission"


def test_an_inner_section_may_ask_for_more(site):
    for name in ("ada", "bob"):
        site.create_user(name)
    server = protect(site, more='<Location "/closed/secret.txt">\nRequire user ada\n</Location>\n')
    server.expect("AH01631")
    assert server.get("/closed/page.txt", cookie=f"sessionid={site.login('bob')}").status == 200
    assert outcome(server.get(PAGE, cookie=f"sessionid={site.login('bob')}"))[0] == 403
    assert outcome(server.get(PAGE, cookie=f"sessionid={site.login('ada')}"))[0] == 200


def test_an_included_page_is_protected_too(site):
    site.create_user("ada")
    server = protect(site, more='<Directory "@DIR@/htdocs">\nOptions +Includes\n'
                     "AddOutputFilter INCLUDES .shtml\n</Directory>\n")
    server.expect("unable to include")
    (server.dir / "htdocs" / "open.shtml").write_text(
        f'before|<!--#include virtual="{PAGE}" -->|after\n')
    answer = server.get("/open.shtml")
    assert answer.status == 200 and SECRET not in answer.text
    assert SECRET in server.get("/open.shtml", cookie=f"sessionid={site.login('ada')}").text


def test_other_kinds_of_authentication_are_left_alone(site):
    server = site.httpd("DjangoSession On\n"
                        '<Location "/page.txt">\nAuthType Basic\nAuthName x\n'
                        "AuthBasicProvider file\nAuthUserFile @DIR@/users\nRequire valid-user\n"
                        "</Location>\n", modules=["auth_basic", "authn_file"])
    (server.dir / "users").write_text("ada:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n")  # password
    answer = server.get("/page.txt")
    assert answer.status == 401 and answer.get("WWW-Authenticate") == 'Basic realm="x"'
    assert server.get("/page.txt", {"Authorization": "Basic YWRhOnBhc3N3b3Jk"}).status == 200


# ---- without the store --------------------------------------------------------------------------

@pytest.mark.parametrize("policy", ["deny", "anonymous"])
def test_without_the_store_nobody_gets_in(make_site, policy):
    site = make_site("postgresql")
    site.create_user("ada")
    key = site.login("ada")
    server = protect(site, f"Require valid-user\nDjangoSessionOnStoreError {policy}")
    server.expect(111, r"\[dbd:")
    assert outcome(server.get(PAGE, cookie=f"sessionid={key}"))[0] == 200
    site.database.server.stop()
    try:
        for headers in ({}, BROWSER, {"Accept": "application/json"}):
            answer = server.get(PAGE, headers, cookie=f"sessionid={key}")
            assert outcome(answer) == (503, None)
            assert answer.get("Retry-After") and not answer.all("Set-Cookie")
        assert outcome(server.get(PAGE))[0] == 401  # no cookie: no question to the store
    finally:
        site.database.server.start()


def test_a_login_ends_for_those_who_come_after(site):
    """Logging out while another request of the user is under way."""
    site.create_user("ada")
    key = site.login("ada")
    gate = site.gate()
    server = site.httpd('<Location "/cgi">\nAuthType Django\nRequire valid-user\n</Location>\n')
    answers = []
    thread = threading.Thread(target=lambda: answers.append(
        server.get(f"/cgi/slow?gate={gate.path}", cookie=f"sessionid={key}")))
    thread.start()
    gate.wait_for(1)
    site.django.run("from django.contrib.sessions.backends.db import SessionStore\n"
                    "SessionStore(%r).flush()" % key)
    assert server.get("/cgi/env", cookie=f"sessionid={key}").status == 401
    gate.open()
    thread.join()
    assert answers[0].status == 200 and json.dumps(answers[0].headers)
