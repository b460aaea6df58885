# SPDX-License-Identifier: Apache-2.0
"""The session and its user in httpd's expressions, and before the server's own rewrite rules."""
import re

import pytest

import harness

DATA = {"cart": {"apples": [3, 4.5]}, "note": "two words", "yes": True, "no": False, "null": None,
        "role": "editor", "caf\u00e9": "\u00fc", "nul": "a\0b", "_hidden": "x"}

#: what a selector comes to
SELECTED = {
    "note": "two words", "/cart/apples/0": "3", "/cart/apples/1": "4.5", "/cart/apples": "[3,4.5]",
    "yes": "true", "no": "false", "null": "", "missing": "", "/cart/pears": "", "_hidden": "x",
    "nul": "", "caf\u00e9": "\u00fc",
}
FIELDS = ["username", "id", "email", "name", "is_staff", "is_superuser", "groups"]


@pytest.fixture(scope="module")
def place(databases):
    made = harness.Site(databases.get("sqlite"))
    made.create_user("ada", email="ada@example.org", first_name="Ada", last_name="Byron",
                     is_staff=True)
    made.django.run("from django.contrib.auth.models import Group, User\n"
                    "for name in ('writers', 'editors'):\n"
                    "    User.objects.get().groups.add(Group.objects.create(name=name))")
    made.key = made.create_session(DATA)
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(place):
    """One httpd for all that is only looked at."""
    values = ["Header set X-S%d \"expr=%%{django_session:%s}\"\n" % (i, selector)
              for i, selector in enumerate(SELECTED)]
    values += ["Header set X-U-%s \"expr=%%{django_user:%s}\"\n" % (f.replace("_", "-"), f)
               for f in FIELDS]
    asked = "django_session('role') == 'editor'"
    httpd = place.httpd("""
DjangoSession On
DjangoSessionEnv Off
<Location "/page.txt">
%s
</Location>
<Location "/cgi/env/set">
    SetEnvIfExpr "django_session('note') =~ /^two (.*)/" SECOND=$1
    SetEnvIfExpr "-T django_user('is_staff')" STAFF
</Location>
<Location "/cgi/env/required">
    Require expr "%s"
</Location>
<Location "/cgi/env/both">
    AuthType Django
    <RequireAll>
        Require valid-user
        Require expr "django_user('username') == 'ada' && django_session('role') != 'editor'"
    </RequireAll>
</Location>
<Location "/cgi/env/if">
    <If "%s">
        SetEnv EDITOR yes
    </If>
</Location>
<Location "/cgi/env/rule">
    RewriteEngine On
    RewriteCond expr "%s"
    RewriteRule ^ - [E=RULE:yes]
</Location>
<Location "/off">
    DjangoSession Off
    Header set X-Off "expr=<%%{django_session:note}%%{django_user:id}>"
</Location>
CustomLog "@DIR@/editors.log" "%%U" "expr=%s"
RewriteEngine On
RewriteCond expr "%s"
RewriteRule ^/beta$ /page.txt [PT]
""" % ("".join(values), asked, asked, asked, asked, asked))
    httpd.expect("AH01630: ")  # denied by Require
    return httpd


def get(server, path, key=None):
    return server.get(path, cookie=key and "sessionid=" + key)


def test_a_selector_gives_what_applications_see(place, server):
    page = get(server, "/page.txt", place.key)
    assert page.status == 200 and "Cookie" in page.vary
    for i, (selector, text) in enumerate(SELECTED.items()):
        seen = page.get("X-S%d" % i, "").encode("latin-1").decode()
        assert seen == text, selector
    page = get(server, "/page.txt")
    assert all(not page.get("X-S%d" % i) for i in range(len(SELECTED))) and "Cookie" in page.vary


def test_a_user_has_fields_and_nobody_has_none(place, server):
    page = get(server, "/page.txt", place.login("ada"))
    seen = {f: page.get("X-U-" + f.replace("_", "-")) for f in FIELDS}
    assert seen == {"username": "ada", "id": str(place.django.run(
        "from django.contrib.auth.models import User\nresult = User.objects.get().pk")),
        "email": "ada@example.org", "name": "Ada Byron", "is_staff": "1", "is_superuser": "0",
        "groups": '["editors","writers"]'}
    page = get(server, "/page.txt", place.key)
    assert not any(page.get("X-U-" + f.replace("_", "-")) for f in FIELDS)


def test_each_directive_that_takes_an_expression(place, server):
    other = place.create_session({"role": "reader", "note": "one"})
    ada = place.login("ada", role="boss")
    for path, key, status in [("required", place.key, 200), ("required", other, 403),
                              ("required", None, 403), ("both", ada, 200),
                              ("both", place.login("ada", role="editor"), 403),
                              ("both", place.key, 403)]:
        page = get(server, "/cgi/env/" + path, key)
        assert page.status == status and "Cookie" in page.vary, (path, page)
    assert get(server, "/cgi/env/set", place.key).json()["SECOND"] == "words"
    assert "SECOND" not in get(server, "/cgi/env/set", other).json()
    assert get(server, "/cgi/env/set", ada).json()["STAFF"] == "1"
    assert get(server, "/cgi/env/if", place.key).json()["EDITOR"] == "yes"
    assert "EDITOR" not in get(server, "/cgi/env/if", other).json()
    assert get(server, "/cgi/env/rule", place.key).json()["RULE"] == "yes"
    assert "RULE" not in get(server, "/cgi/env/rule", other).json()


def test_rules_of_the_server_ask_by_themselves(place, server):
    """<Location> is known there; DjangoSessionEarly is for the environment."""
    assert get(server, "/beta", place.key).status == 200
    assert get(server, "/beta").status == 404


def test_a_log_has_only_what_the_expression_lets_in(place, server):
    get(server, "/page.txt?a=in", place.key)
    get(server, "/index.html?a=out", place.create_session({"role": "reader"}))
    get(server, "/off")
    log = server.dir / "editors.log"
    harness.wait_until(lambda: "/page.txt" in log.read_text(), "the access log")
    assert "/index.html" not in log.read_text()


def test_where_there_is_no_session_there_is_nothing(place, server):
    (server.dir / "htdocs" / "off").write_text("off\n")
    page = get(server, "/off", place.key)
    assert page.get("X-Off") == "<>"


def test_nothing_is_looked_at_that_is_not_asked_for(place):
    httpd = place.httpd("DjangoSession On\nDjangoSessionEnv Off\n<Location /cgi>\n"
                        "Require expr \"django_session('role') == 'editor'\"\n</Location>\n")
    page = get(httpd, "/page.txt", place.key)
    assert page.status == 200 and "Cookie" not in page.vary
    assert "session loaded" not in httpd.log


MALFORMED = {
    "no selector": ("django_session('')", "a SELECTOR is needed"),
    "a pointer that escapes nothing": ("django_session('/a~2')", "a SELECTOR is needed"),
    "what the client decides": ("django_session(req('X'))", "a SELECTOR is needed"),
    "an unknown field": ("django_user('password')", "username, id, email"),
    "a field in capitals": ("django_user('ID')", "username, id, email"),
    "no field": ("django_user('')", "username, id, email"),
    "a field of the client's": ("django_user(%{HTTP_USER_AGENT})", "username, id, email"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_question_is_an_error_at_start(place, case):
    text, why = MALFORMED[case]
    httpd = place.httpd("DjangoSession On\n<Location />\nRequire expr \"%s == 'x'\"\n</Location>\n"
                        % text, start=False)
    status, said = httpd.configtest()
    assert status != 0 and why in said, said


# ---- a store that fails -------------------------------------------------------------------------

@pytest.mark.parametrize("mode", ["deny", "anonymous"])
def test_no_failure_of_the_store_becomes_a_yes(make_site, mode):
    site = make_site()
    key = site.create_session({"role": "editor"})
    httpd = site.httpd("""
DjangoSession On
DjangoSessionEnv Off
DjangoSessionOnStoreError %s
<Location "/cgi/env/closed">
    Require expr "django_session('banned') != 'yes'"
</Location>
<Location "/cgi/env/user">
    Require expr "django_user('username') != 'eve'"
</Location>
<Location "/cgi/env/open">
    Require expr "django_session('role') == 'editor'"
</Location>
<Location "/cgi/env/if">
    <If "django_session('banned') == 'yes'">
        Require all denied
    </If>
</Location>
""" % mode)
    for path in ("closed", "user", "open", "if"):
        assert get(httpd, "/cgi/env/" + path, key).status == 200, path
    httpd.expect(111, "AH01630: ", r"\[dbd:")
    site.database.execute("ALTER TABLE django_session RENAME TO gone")
    for path in ("closed", "user", "open"):
        page = get(httpd, "/cgi/env/" + path, key)
        assert page.status == 503 and page.get("Retry-After"), (path, page)
        assert not page.all("Set-Cookie"), path
    # Anonymous is what a visitor without a cookie is.
    assert get(httpd, "/cgi/env/if", key).status == (503 if mode == "deny" else 200)
    site.database.execute("ALTER TABLE gone RENAME TO django_session")
    harness.wait_until(lambda: get(httpd, "/cgi/env/open", key).status == 200, "recovery")


# ---- DjangoSessionEarly -------------------------------------------------------------------------

EARLY = """
DjangoSession On
DjangoSessionEnv role=ROLE
SetEnvIfExpr "django_session('role') == 'editor'" FIRST
RewriteEngine On
RewriteCond %{ENV:ROLE} =editor
RewriteRule ^/here$ /cgi/env/editor [PT]
RewriteCond %{ENV:DJANGO_SESSION_STATUS} =new
RewriteRule ^/here$ /cgi/env/new [PT]
RewriteRule ^/here$ /cgi/env/nobody [PT]
RewriteRule ^/elsewhere$ /cgi/env/off [PT]
<Location "/cgi/env/off">
    DjangoSession Off
</Location>
<Location "/other">
    DjangoSessionCookieName other
    DjangoSessionEnv role=ROLE
</Location>
RewriteCond %{ENV:ROLE} =reader
RewriteRule ^/other/here$ /cgi/env/other [PT]
"""


def test_early_shows_the_session_to_the_servers_rules(site):
    key = site.create_session({"role": "editor"})
    reader = site.create_session({"role": "reader"})
    httpd = site.httpd("DjangoSessionEarly On\n" + EARLY)
    env = get(httpd, "/here", key).json()
    assert env["PATH_INFO"] == "/editor" and env["ROLE"] == "editor" and env["FIRST"] == "1"
    env = get(httpd, "/here").json()
    assert env["PATH_INFO"] == "/new" and "ROLE" not in env and "FIRST" not in env
    # Where the rule leads says what is told there.
    env = get(httpd, "/elsewhere", key).json()
    assert env["PATH_INFO"] == "/off"
    assert not [n for n in env if n.startswith("DJANGO_") or n == "ROLE"], env
    # Another cookie in a section is another session there.
    page = httpd.get("/other/here", cookie="sessionid=%s; other=%s" % (key, reader))
    assert page.json()["PATH_INFO"] == "/other" and page.json()["ROLE"] == "editor"


def test_without_early_the_servers_rules_see_nothing(site):
    key = site.create_session({"role": "editor"})
    env = get(site.httpd(EARLY), "/here", key).json()
    assert env["PATH_INFO"] == "/nobody" and env["ROLE"] == "editor" and "FIRST" not in env


def test_early_reads_once(site):
    key = site.create_session({"role": "editor"})
    httpd = site.httpd("DjangoSessionEarly On\n" + EARLY)
    assert get(httpd, "/here", key).json()["PATH_INFO"] == "/editor"
    assert len(re.findall("session loaded", httpd.log)) == 1


def test_an_early_failure_is_the_sections_to_judge(site):
    key = site.create_session({"role": "editor"})
    httpd = site.httpd("DjangoSessionEarly On\n" + EARLY)
    httpd.expect(111, r"\[dbd:")
    site.database.execute("ALTER TABLE django_session RENAME TO gone")
    assert get(httpd, "/elsewhere", key).status == 200
    assert get(httpd, "/here", key).status == 503


def test_early_belongs_to_each_virtual_host(site):
    key = site.create_session({"role": "editor"})
    host = "<VirtualHost *:@PORT@>\nServerName %s.example\nRewriteEngine On\n%s" \
           "RewriteRule ^/here$ /cgi/env/role-%%{ENV:DJANGO_SESSION_STATUS} [PT]\n</VirtualHost>\n"
    httpd = site.httpd("DjangoSession On\nDjangoSessionEarly On\n" + host % ("inherits", "")
                       + host % ("off", "DjangoSessionEarly Off\n"))
    for name, status in [("inherits", "active"), ("off", "")]:
        page = httpd.get("/here", [("Host", name + ".example")], cookie="sessionid=" + key)
        assert page.json()["PATH_INFO"] == "/role-" + status, name


def test_early_belongs_to_a_server(site):
    httpd = site.httpd("<Location />\nDjangoSessionEarly On\n</Location>\n", start=False)
    status, said = httpd.configtest()
    assert status != 0 and "DjangoSessionEarly" in said
