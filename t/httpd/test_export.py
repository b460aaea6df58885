# SPDX-License-Identifier: Apache-2.0
"""What applications see: environment, request headers, subrequests, redirects, error documents."""
import json

import pytest

from harness import wait_until

DATA = {"cart": [{"price": 3, "name": "caf\u00e9"}], "note": "two words", "flag": True,
        "nothing": None, "_hidden": "x", "a.b": 1.5}


@pytest.fixture
def key(site):
    return site.create_session(DATA)


def test_the_whole_session_less_djangos_own(site, key):
    env = site.httpd().env(cookie=f"sessionid={key}")
    seen = {k: v for k, v in DATA.items() if not k.startswith("_")}
    assert json.loads(env["DJANGO_SESSION"]) == seen
    assert env["DJANGO_SESSION"].isascii() and " " not in env["DJANGO_SESSION"].replace(
        "two words", "")
    assert env["DJANGO_SESSION_STATUS"] == "active"
    assert env["DJANGO_SESSION_EXPIRE_AT_BROWSER_CLOSE"] == "0"
    assert int(env["DJANGO_SESSION_EXPIRES"]) > 1_600_000_000
    assert len(env["DJANGO_SESSION_ID"]) == 16 and key not in json.dumps(
        {k: v for k, v in env.items() if k != "HTTP_COOKIE"})


def test_selected_values_alone(site, key):
    server = site.httpd("DjangoSession On\nDjangoSessionEnv /cart/0/price=PRICE note flag nothing "
                        "_hidden=H a.b missing /cart/0/name=NAME\n")
    env = server.env(cookie=f"sessionid={key}")
    assert "DJANGO_SESSION" not in env
    assert (env["PRICE"], env["DJANGO_SESSION_NOTE"], env["DJANGO_SESSION_FLAG"]) \
        == ("3", "two words", "true")
    assert env["DJANGO_SESSION_NOTHING"] == "" and env["H"] == "x"
    assert env["DJANGO_SESSION_A_B"] == "1.5"
    assert env["NAME"].encode("latin-1").decode() == "caf\u00e9"
    assert "DJANGO_SESSION_MISSING" not in env


def test_headers_of_a_proxied_application(site, key):
    backend = site.backend()
    server = site.httpd("DjangoSession On\nDjangoSessionHeader On /cart/0/name=X-Name note\n"
                        f"ProxyPass /app/ {backend.url}\n")
    got = dict(server.get("/app/", cookie=f"sessionid={key}").json())
    assert json.loads(got["Django-Session"])["cart"] == DATA["cart"]
    assert got["X-Name"] == "caf%C3%A9" and got["Django-Session-Note"] == "two words"
    assert got["Django-Session-Status"] == "active"
    got = dict(server.get("/app/").json())
    assert got["Django-Session-Status"] == "new" and "X-Name" not in got


def test_off_tells_nothing(site, key):
    backend = site.backend()
    server = site.httpd("DjangoSession On\nDjangoSessionEnv Off\n"
                        f"ProxyPass /app/ {backend.url}\n")
    assert "Django" not in server.get("/app/", cookie=f"sessionid={key}").text
    assert not [n for n in server.env(cookie=f"sessionid={key}") if n.startswith("DJANGO")]


def test_an_inner_section_tells_what_it_says(site, key):
    server = site.httpd("DjangoSession On\nDjangoSessionEnv note=OUTER\n"
                        '<Location "/cgi/env">\nDjangoSessionEnv note=INNER\n</Location>\n')
    env = server.env(cookie=f"sessionid={key}")
    assert env["INNER"] == "two words" and "OUTER" not in env


def test_the_hidden_cookie_leaves_the_others_byte_for_byte(site, key):
    server = site.httpd("DjangoSession On\nDjangoSessionHideCookie On\n")
    for cookie, left in (
            (f"a=1; sessionid={key}; b=2", "a=1; b=2"), (f"sessionid={key}", None),
            (f"sessionid={key}; b=2", "b=2"), (f"a=1; sessionid={key}", "a=1"),
            (f"sessionid=x; a=1; sessionid={key}", "a=1"),
            (f"csrftoken=abc; a=1; sessionid={key}", "a=1"),
            (f"sessionidx=1; sessionid={key}", "sessionidx=1")):
        env = server.env(cookie=cookie)
        assert env["DJANGO_SESSION_STATUS"] == "active", cookie
        assert env.get("HTTP_COOKIE") == left, cookie


def test_too_much_is_left_out_and_said_so(site):
    key = site.create_session({"big": "x" * 70000})
    backend = site.backend()
    server = site.httpd("DjangoSession On\nDjangoSessionHeader On\n"
                        f"ProxyPass /app/ {backend.url}\n")
    server.expect(120)
    env = server.env(cookie=f"sessionid={key}")
    assert "DJANGO_SESSION" not in env and int(env["DJANGO_SESSION_OVERFLOW"]) > 70000
    got = dict(server.get("/app/", cookie=f"sessionid={key}").json())
    assert "Django-Session" not in got and int(got["Django-Session-Overflow"]) > 70000


# ---- parts of one client's request --------------------------------------------------------------

def test_an_ssi_page_and_what_it_includes_see_one_session(site, key):
    server = site.httpd("DjangoSession On\nDjangoSessionEnv note=NOTE\n"
                        '<Directory "@DIR@/htdocs">\nOptions +Includes\n'
                        "AddOutputFilter INCLUDES .shtml\n</Directory>\n"
                        '<Location "/cgi/env">\nDjangoSessionEnv On\n</Location>\n')
    (server.dir / "htdocs" / "page.shtml").write_text(
        '<!--#echo var="NOTE" -->|<!--#include virtual="/cgi/env" -->|<!--#echo var="NOTE" -->\n')
    before, inside, after = server.get("/page.shtml", cookie=f"sessionid={key}").text.split("|")
    assert before == "two words" and after.strip() == "two words"
    assert json.loads(json.loads(inside)["DJANGO_SESSION"])["note"] == "two words"


def test_a_subrequest_leaves_the_headers_of_its_request_alone(site, key):
    """mod_dir and mod_negotiation look files up in sections of their own."""
    backend = site.backend()
    server = site.httpd("DjangoSession On\n"
                        '<Location "/app/">\nDjangoSessionHeader note=X-Note\n</Location>\n'
                        '<Location "/page.txt">\nDjangoSessionHeader note=X-Other\n'
                        "DjangoSessionHideCookie On\n</Location>\n"
                        "RewriteEngine On\n"
                        'RewriteCond "%{LA-U:REQUEST_FILENAME}" "page"\n'
                        "RewriteRule ^/look /app/ [PT]\n"
                        f"ProxyPass /app/ {backend.url}\n")
    got = dict(server.get("/app/", cookie=f"sessionid={key}").json())
    assert got["X-Note"] == "two words" and "X-Other" not in got and "Cookie" in got


def test_an_internal_redirect_is_told_anew(site, key):
    server = site.httpd("DjangoSession On\n"
                        '<Directory "@DIR@/htdocs">\nRewriteEngine On\n'
                        "RewriteRule ^away$ /cgi/env\n</Directory>\n"
                        '<Location "/cgi/env">\nDjangoSessionEnv note=NOTE\n</Location>\n'
                        '<Location "/away">\nDjangoSessionEnv note=FIRST\n'
                        "DjangoSessionHeader note=X-First\nDjangoSessionHideCookie On\n"
                        "</Location>\n")
    env = server.env("/away", cookie=f"a=1; sessionid={key}")
    assert env["NOTE"] == "two words" and env["REDIRECT_FIRST"] == "two words"
    assert "FIRST" not in env and "HTTP_X_FIRST" not in env
    assert env["HTTP_COOKIE"] == f"a=1; sessionid={key}"


def test_rewrite_rules_of_a_section_see_the_session(site, key):
    server = site.httpd("DjangoSession On\nDjangoSessionEnv note=NOTE\n"
                        '<Directory "@DIR@/htdocs">\nRewriteEngine On\n'
                        'RewriteCond %{ENV:NOTE} "^two words$"\nRewriteRule ^page page.txt [L]\n'
                        "RewriteRule ^page - [F]\n</Directory>\n")
    assert server.get("/page", cookie=f"sessionid={key}").text == "page\n"
    assert server.get("/page").status == 403


def test_error_documents_and_the_access_log_are_told_why(site):
    server = site.httpd('ErrorDocument 401 /cgi/env\n<Location "/closed">\nAuthType Django\n'
                        "Require valid-user\nDjangoUnauthenticated 401\n</Location>\n"
                        '<Location "/cgi/env">\nDjangoSession On\n</Location>\n')
    answer = server.get("/closed", cookie="sessionid=unknownunknown")
    assert answer.status == 401
    env = answer.json()
    assert env["REDIRECT_DJANGO_SESSION_REASON"] == "unknown-key"
    assert env["DJANGO_SESSION_REASON"] == "unknown-key"
    wait_until(lambda: "new unknown-key" in (server.dir / "access.log").read_text(), "the line")


def test_one_session_of_each_site_in_one_request(make_site):
    """An included page of another site never gets the first one's session."""
    one, two = make_site(), make_site()
    key = one.create_session({"who": "one"})
    two.secrets.add(key)
    server = one.httpd("DjangoSession On\nDjangoSessionEnv who=WHO\n"
                       '<Directory "@DIR@/htdocs">\nOptions +Includes\n'
                       "AddOutputFilter INCLUDES .shtml\n</Directory>\n"
                       f'<Location "/cgi/env">\nDjangoSecretKey {two.secret_key}\n</Location>\n')
    (server.dir / "htdocs" / "page.shtml").write_text(
        '<!--#echo var="WHO" -->|<!--#include virtual="/cgi/env" -->\n')
    outer, inside = server.get("/page.shtml", cookie=f"sessionid={key}").text.split("|")
    assert outer == "one"
    env = json.loads(inside)
    assert env["DJANGO_SESSION_STATUS"] == "invalid" and "WHO" not in env
