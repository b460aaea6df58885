# SPDX-License-Identifier: Apache-2.0
"""SetHandler django-login and django-logout: the pages, what a login does, and what is refused."""
import base64
import html
import json
import re
import time
import urllib.parse

import pytest

import harness

PASSWORD = "correct-horse"
WRONG = "wrong-horse-7"
FORM = [("Content-Type", "application/x-www-form-urlencoded")]
BROWSER = [("Accept", "text/html")]
VECTORS = harness.SRC / "t" / "vectors" / "redirects.json"

CONFIG = """
DjangoPasswordHashers md5
DjangoLoginThrottle Off
<Location "/closed">
AuthType Django
Require valid-user
DjangoLoginURL /login
</Location>
ScriptAlias /closed "@DIR@/cgi/env"
<Location "/login">
SetHandler django-login
</Location>
<Location "/logout">
SetHandler django-logout
</Location>
<Location "/throttled">
SetHandler django-login
DjangoLoginThrottle 2/1h 20/1h
</Location>
<Location "/upgrade">
SetHandler django-login
DjangoPasswordHashers pbkdf2_sha256=2000 md5
</Location>
<Location "/elsewhere">
SetHandler django-login
DjangoLoginRedirectURL /welcome?x=1
DjangoRedirectFieldName go
</Location>
<Location "/logout-by-link">
SetHandler django-logout
DjangoLogoutGet On
DjangoLogoutRedirectURL /bye
</Location>
<Location "/own">
SetHandler django-login
DjangoLoginTemplate @DIR@/own.html
</Location>
<Location "/from-htaccess">
SetHandler django-login
</Location>
<FilesMatch "^[.]ht">
Require all denied
</FilesMatch>
<Directory "@DIR@/htdocs">
AllowOverride AuthConfig
</Directory>
<Location "/basic">
AuthType Basic
AuthName "here"
AuthBasicProvider django
Require valid-user
</Location>
ScriptAlias /basic "@DIR@/cgi/env"
<Location "/in-sessions">
SetHandler django-login
DjangoCsrfUseSessions On
</Location>
"""
OWN = ("{% if message %}M={{ message }};{% endif %}U={{ username }};N={{ next }};T={{ csrf_token }};"
       "{% if wrong %}wrong{% endif %}{% if not login %}no form{% endif %}")


class Visitor:
    """A browser as far as forms need one."""

    def __init__(self, server, cookies=None):
        self.server = server
        self.client = server.httpd.client(cookies=True)
        self.client.jar.update(cookies or {})

    def get(self, path):
        return self.client.get(path, BROWSER)

    def token(self, page):
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w{64})"', page.text).group(1)
        self.server.site.secrets.add(token, self.client.jar.get("csrftoken", ""))
        return token

    def submit(self, path, headers=(), **fields):
        """Fill in the form of the page and send it."""
        page = self.get(path)
        fields.setdefault("csrfmiddlewaretoken", self.token(page))
        return self.client.post(path, urllib.parse.urlencode(fields), FORM + list(headers))

    def log_in(self, name, password=PASSWORD, path="/login", **fields):
        return self.submit(path, username=name, password=password, **fields)


class Server:
    def __init__(self, databases):
        self.site = harness.Site(databases.get("sqlite"))
        self.site.secrets.add(PASSWORD, WRONG)
        self.httpd = self.site.httpd(CONFIG, start=False, modules=["auth_basic"])
        (self.httpd.dir / "own.html").write_text(OWN)
        self.httpd.start()
        self.httpd.expect(193, 210, "AH0161[78]: ")  # those are mod_auth_basic's own
        self.made = 0

    def user(self, **fields):
        self.made += 1
        self.site.create_user("user%d" % self.made, PASSWORD, **fields)
        return "user%d" % self.made

    def visitor(self, **cookies):
        return Visitor(self, cookies)

    def whose(self, key):
        """Who Django says is logged in by this session."""
        return self.site.django.run(
            "from django.contrib.auth import get_user\n"
            "from django.contrib.sessions.backends.db import SessionStore\n"
            "from django.http import HttpRequest\n"
            "r = HttpRequest()\n"
            "r.session = SessionStore(%r)\n"
            "result = get_user(r).username" % key)

    def last_login(self, name):
        return self.site.database.execute("SELECT last_login FROM auth_user WHERE username = %s",
                                          (name,))[0][0]


@pytest.fixture(scope="module")
def server(databases):
    made = Server(databases)
    yield made
    made.site.close()


def text_of(page):
    return html.unescape(page.text)


# ---- the page -----------------------------------------------------------------------------------

def test_the_page_is_a_form_that_browsers_and_people_understand(server):
    page = server.visitor().get("/login")
    assert page.status == 200
    assert page.get("Content-Type") == "text/html; charset=utf-8"
    for part in ('<html lang="en">', 'name="viewport"', '<label for="username">',
                 '<label for="password">', 'autocomplete="username"', 'autocapitalize="none"',
                 'autocomplete="current-password"', 'type="password"', "prefers-color-scheme: dark",
                 '<button type="submit">', "<title>Log in \u2013 127.0.0.1</title>"):
        assert part in page.text, part
    assert "<script" not in page.text and "{%" not in page.text and "{{" not in page.text
    assert page.get("Cache-Control") == "max-age=0, no-cache, no-store, must-revalidate, private"
    assert page.get("X-Frame-Options") == "DENY"
    assert page.get("Referrer-Policy") == "same-origin"
    assert page.get("X-Content-Type-Options") == "nosniff"
    policy = page.get("Content-Security-Policy")
    nonce = re.search(r"style-src 'nonce-([0-9a-f]{32})'", policy).group(1)
    assert '<style nonce="%s">' % nonce in page.text
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "Cookie" in page.vary
    assert page.cookie("csrftoken") and page.cookie() is None


def test_head_says_what_get_does_and_other_methods_are_not_known(server):
    client = server.httpd.client()
    head = client.request("HEAD", "/login")
    assert (head.status, head.body) == (200, b"") and head.cookie("csrftoken")
    for method in ("PUT", "DELETE", "PATCH"):
        answer = client.request(method, "/login")
        assert answer.status == 405
        assert {"GET", "HEAD", "POST"} <= {m.strip() for m in answer.get("Allow").split(",")}


def test_what_a_visitor_gave_is_escaped(server):
    evil = "\"><script>alert('1')</script>&"
    page = server.visitor().log_in(evil, next="/a\"><b>'")
    assert page.status == 200
    assert "<script>" not in page.text and "<b>" not in page.text
    assert 'value="&quot;&gt;&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;&amp;"' in page.text
    assert 'name="next" value="/a&quot;&gt;&lt;b&gt;&#x27;"' in page.text
    assert PASSWORD not in page.text


# ---- a login ------------------------------------------------------------------------------------

def test_a_protected_page_leads_to_the_login_and_back(server):
    name, visitor = server.user(), server.visitor()
    answer = visitor.get("/closed?a=b&c=d")
    assert answer.status == 302
    path = answer.get("Location")
    assert path == "/login?next=/closed%3Fa%3Db%26c%3Dd"
    assert 'name="next" value="/closed?a=b&amp;c=d"' in visitor.get(path).text
    before = time.time()
    answer = visitor.log_in(name, path=path)
    assert (answer.status, answer.get("Location")) == (302, "/closed?a=b&c=d")
    assert "no-store" in answer.get("Cache-Control")
    assert visitor.get("/closed?a=b&c=d").json()["REMOTE_USER"] == name
    # And Django says the same.
    key = visitor.client.jar["sessionid"]
    assert server.whose(key) == name
    assert server.site.read_session(key)["_auth_user_backend"] \
        == "django.contrib.auth.backends.ModelBackend"
    assert server.last_login(name) >= time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(before))


def test_the_key_is_cycled_and_what_was_in_the_session_stays(server):
    key = server.site.create_session({"cart": [1]})
    visitor = server.visitor(sessionid=key)
    assert visitor.log_in(server.user()).status == 302
    new = visitor.client.jar["sessionid"]
    assert new != key and server.site.database.row(key) is None
    assert server.site.read_session(new)["cart"] == [1]


def test_the_session_of_another_user_is_flushed_and_ones_own_kept(server):
    ada, bob = server.user(), server.user()
    key = server.site.login(ada, cart=[1])
    visitor = server.visitor(sessionid=key)
    assert visitor.log_in(ada).status == 302
    assert visitor.client.jar["sessionid"] == key
    assert visitor.log_in(bob).status == 302
    new = visitor.client.jar["sessionid"]
    assert new != key and server.site.database.row(key) is None
    assert "cart" not in server.site.read_session(new)
    assert server.whose(new) == bob


@pytest.mark.parametrize("path", ["/login", "/in-sessions"])
def test_the_csrf_secret_is_another_after_a_login(server, path):
    visitor = server.visitor()
    if path == "/in-sessions":
        visitor.client.jar["sessionid"] = server.site.create_session({"a": 1})
    name = server.user()
    old = visitor.token(visitor.get(path))
    assert visitor.log_in(name, path=path).status == 302
    # The old token is of no use.
    answer = visitor.log_in(name, path=path, csrfmiddlewaretoken=old)
    assert answer.status == 403
    assert visitor.log_in(name, path=path).status == 302
    assert ("csrftoken" in visitor.client.jar) == (path == "/login")


def test_a_hash_is_made_anew_and_the_login_is_of_the_new_one(server):
    name, visitor = server.user(), server.visitor()
    assert visitor.log_in(name, path="/upgrade").status == 302
    column = server.site.database.execute("SELECT password FROM auth_user WHERE username = %s",
                                          (name,))[0][0]
    assert column.startswith("pbkdf2_sha256$2000$")
    assert server.whose(visitor.client.jar["sessionid"]) == name
    assert visitor.get("/closed").json()["REMOTE_USER"] == name


def test_logins_on_each_database(each_site):
    each_site.create_user("ada", PASSWORD)
    server = Server.__new__(Server)
    server.site, server.made = each_site, 0
    server.httpd = each_site.httpd(CONFIG.replace("@DIR@/own.html", str(
        harness.SRC / "conf-examples" / "login.html")))
    visitor = server.visitor()
    assert visitor.log_in("ada", WRONG).status == 200
    assert visitor.log_in("ada").status == 302
    assert visitor.get("/closed").json()["REMOTE_USER"] == "ada"
    assert server.whose(visitor.client.jar["sessionid"]) == "ada"
    assert server.last_login("ada") is not None
    assert visitor.submit("/logout").status == 200
    assert visitor.get("/closed").status == 302


def test_logins_in_cookies(make_site):
    site = make_site(SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies")
    site.create_user("ada", PASSWORD)
    server = Server.__new__(Server)
    server.site, server.made = site, 0
    server.httpd = site.httpd(CONFIG.replace("@DIR@/own.html", str(
        harness.SRC / "conf-examples" / "login.html")) + "DjangoSessionEngine signed_cookies\n")
    visitor = server.visitor()
    assert visitor.log_in("ada").status == 302
    assert visitor.get("/closed").json()["REMOTE_USER"] == "ada"


# ---- refusals -----------------------------------------------------------------------------------

def test_refusals_say_what_django_says_and_change_nothing(server):
    messages = server.site.django.run(
        "from django.contrib.auth.forms import AuthenticationForm\n"
        "form = AuthenticationForm(None, {'username': 'x', 'password': 'y'})\n"
        "empty = AuthenticationForm(None, {})\n"
        "result = [form.non_field_errors()[0], empty.errors['username'][0],"
        " empty.errors['password'][0]]")
    inactive = server.user(is_active=False)
    cases = {(server.user(), WRONG): messages[0], ("nobody-at-all", PASSWORD): messages[0],
             (inactive, PASSWORD): messages[0], ("", PASSWORD): messages[1],
             (server.user(), ""): messages[2], ("x" * 3000, PASSWORD): messages[0]}
    for (name, password), message in cases.items():
        key = server.site.create_session({"a": 1})
        visitor = server.visitor(sessionid=key)
        page = visitor.log_in(name, password)
        assert page.status == 200, name
        assert message in text_of(page), (name, page.text)
        assert page.cookie() is None and server.site.read_session(key) == {"a": 1}
        assert server.last_login(inactive) is None
        if name and len(name) < 100:
            assert 'value="%s"' % name in page.text
    assert 'role="alert"' in server.visitor().log_in("nobody", WRONG).text


def test_names_are_stripped_and_passwords_are_not(server):
    name = server.user()
    assert server.visitor().log_in("  %s\t" % name).status == 302
    assert server.visitor().log_in(name, " " + PASSWORD).status == 200
    assert server.visitor().log_in(name.upper()).status == 200


#: Users whose names Django brought into its form, and one that came past it.
UNICODE = ["jos\u00e9", "fiona123", "\u03a9mega", "stra\u00dfe", "\uae40", "\u010drt\u0323"]
RAW = "\ufb01ona"
TYPED = [
    *UNICODE, RAW,
    "jose\u0301", "jose", "JOS\u00c9", "jos\u00e8", " jos\u00e9\u00a0", "\u3000jose\u0301\u2028", "jo s\u00e9",
    "\uff4a\uff4f\uff53\u00e9", "jos\u00e9\u200d", "jos\u00e9\u00ad", "\ufeffjos\u00e9", "jos\ufffd", "j\u043es\u00e9",
    "fiona\u00b9\u00b2\u00b3", "\ufb01ona123", "fiona\u2460\u2461\u2462", "fiona\u0661\u0662\u0663", "fiona",
    "\u2126mega", "\u03c9mega", "\U0001d6c0mega", "strasse", "stra\u1e9ee", "\u1100\u1175\u11b7", "\uffa1\uffc2\uffb1",
    "\u010drt\u0323", "c\u030crt\u0323", "c\u0323\u030crt", "\u010dr\u1e6d", "\ufdfa", "\u0344", "e" + "\u0301" * 100,
]


def test_names_are_read_as_djangos_form_reads_them(server):
    """Of the page and of Basic; what is expected is what AuthenticationForm says now."""
    for name in UNICODE:
        server.site.create_user(name, PASSWORD)
    raw = server.user()
    server.site.database.execute("UPDATE auth_user SET username = %s WHERE username = %s", (RAW, raw))
    expected = server.site.django.run(
        "from django.contrib.auth.forms import AuthenticationForm\n"
        "result = []\n"
        "for name in %r:\n"
        "    form = AuthenticationForm(None, {'username': name, 'password': %r})\n"
        "    result.append(form.get_user().username if form.is_valid() else None)"
        % (TYPED, PASSWORD))
    assert len([name for name in expected if name]) > 15 and expected.count(None) > 10
    for typed, name in zip(TYPED, expected):
        answer = server.visitor().log_in(typed)
        assert answer.status == (302 if name else 200), ascii(typed)
        assert not name or server.whose(answer.cookie()) == name, ascii(typed)
        if not name:
            assert 'value="%s"' % typed in answer.text
        given = base64.b64encode(("%s:%s" % (typed, PASSWORD)).encode()).decode()
        answer = server.httpd.get("/basic", [("Authorization", "Basic " + given)])
        assert answer.status == (200 if name else 401), ascii(typed)
        assert not name or answer.json()["REMOTE_USER"].encode("latin-1").decode() == name


def test_a_name_writes_no_line_of_its_own_into_the_log(server):
    name = "eve\n[fake] DJS0196: user root logged in \x1b[2J\r\nx"
    server.site.create_user(name, PASSWORD)
    assert server.visitor().log_in(name, WRONG).status == 200
    assert server.visitor().log_in(name).status == 302
    lines = [line for line in server.httpd.log.splitlines() if "user root" in line]
    assert len(lines) >= 2 and all(" user eve\\n[fake] DJS0196" in line for line in lines)
    assert "\x1b" not in server.httpd.log


FORGED = {
    "no token": {"csrfmiddlewaretoken": ""},
    "another token": {"csrfmiddlewaretoken": "a" * 64},
    "no cookie": {"cookie": None},
    "another cookie": {"cookie": "b" * 32},
    "another origin": {"headers": [("Origin", "https://example.com")]},
    "no origin": {"headers": [("Origin", "null")]},
}


@pytest.mark.parametrize("what", FORGED)
def test_forms_of_others_log_nobody_in(server, what):
    """Whatever DjangoCsrf says: it is Off here."""
    case, visitor = dict(FORGED[what]), server.visitor()
    token = visitor.token(visitor.get("/login"))
    if "cookie" in case:
        cookie = case.pop("cookie")
        visitor.client.jar.pop("csrftoken")
        visitor.client.jar.update({"csrftoken": cookie} if cookie else {})
    headers = case.pop("headers", [])
    fields = {"username": server.user(), "password": PASSWORD, "csrfmiddlewaretoken": token, **case}
    page = visitor.client.post("/login", urllib.parse.urlencode(fields), FORM + headers)
    assert page.status == 403 and page.cookie() is None
    assert "Please allow cookies" in page.text and 'type="password"' in page.text


def test_forms_that_are_too_long_or_none_are_refused(server):
    client = server.httpd.client()
    assert client.post("/login", "username=" + "x" * 200000, FORM).status == 413
    assert client.post("/login", "{}", [("Content-Type", "application/json")]).status == 403


def test_who_guesses_gets_429_and_nothing_is_hashed(server):
    name, visitor = server.user(), server.visitor()
    assert [visitor.log_in(name, WRONG, "/throttled").status for _ in range(2)] == [200, 200]
    before = server.httpd.log.count("DJS0195: ")
    page = visitor.log_in(name, PASSWORD, "/throttled")
    assert page.status == 429 and 0 < int(page.get("Retry-After")) <= 3600
    assert "Too many attempts" in page.text and 'type="password"' in page.text
    assert server.httpd.log.count("DJS0195: ") == before
    assert visitor.log_in(server.user(), PASSWORD, "/throttled").status == 302


# ---- where it goes then -------------------------------------------------------------------------

def redirects(safe):
    cases = json.loads(VECTORS.read_text("utf-8"))["cases"]
    return [case["next"] for case in cases if case["safe"] == safe]


def test_attacks_on_next_lead_to_where_everybody_goes(server):
    host = "127.0.0.1:%d" % server.httpd.port
    attacks = redirects(False) + ["/a\0b", "//example.com\0/"]
    assert len(attacks) >= 60
    name, visitor = server.user(), server.visitor()
    token = visitor.token(visitor.get("/login"))
    cookie = visitor.client.jar["csrftoken"]
    for attack in attacks:
        attack = attack.replace("@HOST@", host)
        fields = {"username": name, "password": PASSWORD, "csrfmiddlewaretoken": token}
        for path, body in (("/login", {**fields, "next": attack}),
                           ("/login?" + urllib.parse.urlencode({"next": attack}), fields)):
            answer = server.httpd.post(path, urllib.parse.urlencode(body), FORM,
                                       cookie="csrftoken=" + cookie)
            if answer.status == 404 and "\0" in attack:
                continue  # httpd itself
            assert (answer.status, answer.get("Location")) == (302, "/accounts/profile/"), attack
            assert answer.all("Location") == ["/accounts/profile/"]
            if len(attack) > 100:
                break


def test_harmless_addresses_are_gone_to_as_django_writes_them(server):
    host = "127.0.0.1:%d" % server.httpd.port
    wanted = [url.replace("@HOST@", host) for url in redirects(True)]
    written = server.site.django.run("from django.utils.encoding import iri_to_uri\n"
                                     "result = [iri_to_uri(u.strip()) for u in %r]" % wanted)
    name, visitor = server.user(), server.visitor()
    token = visitor.token(visitor.get("/login"))
    cookie = visitor.client.jar["csrftoken"]
    for url, location in zip(wanted, written):
        body = urllib.parse.urlencode({"username": name, "password": PASSWORD, "next": url,
                                       "csrfmiddlewaretoken": token})
        answer = server.httpd.post("/login", body, FORM, cookie="csrftoken=" + cookie)
        # httpd makes a path absolute.
        assert answer.get("Location") in (location, "http://%s%s" % (host, location)), url


def test_the_settings_say_where_to_go_and_by_which_field(server):
    name = server.user()
    assert server.visitor().log_in(name, path="/elsewhere").get("Location") == "/welcome?x=1"
    assert server.visitor().log_in(name, path="/elsewhere", next="/x").get("Location") \
        == "/welcome?x=1"
    assert server.visitor().log_in(name, path="/elsewhere", go="/x").get("Location") == "/x"


# ---- logout -------------------------------------------------------------------------------------

def test_a_logout_flushes_the_session(server):
    name, visitor = server.user(), server.visitor()
    visitor.log_in(name)
    key = visitor.client.jar["sessionid"]
    page = visitor.submit("/logout")
    assert page.status == 200 and "You are logged out" in page.text
    assert "sessionid" not in visitor.client.jar
    assert server.site.database.row(key) is None
    assert visitor.get("/closed").status == 302


def test_a_link_logs_nobody_out_but_shows_the_button(server):
    visitor = server.visitor()
    visitor.log_in(server.user())
    page = visitor.get("/logout?next=/page.txt")
    assert page.status == 405 and page.get("Allow") == "POST"
    assert '<button type="submit">Log out</button>' in page.text
    assert visitor.get("/closed").status == 200
    # Nor does a form of another site.
    assert visitor.client.post("/logout", "", FORM).status == 403
    assert visitor.get("/closed").status == 200
    answer = visitor.submit("/logout?next=/page.txt")
    assert (answer.status, answer.get("Location")) == (302, "/page.txt")
    assert visitor.get("/closed").status == 302


def test_where_links_may_log_out_they_do(server):
    visitor = server.visitor()
    visitor.log_in(server.user())
    answer = visitor.get("/logout-by-link?next=//example.com")
    assert (answer.status, answer.get("Location")) == (302, "/bye")
    assert visitor.get("/closed").status == 302


# ---- templates; starts --------------------------------------------------------------------------

def test_an_administrators_template_is_filled_in(server):
    visitor = server.visitor()
    page = visitor.get("/own?next=/x%3Fa%26b")
    token = re.fullmatch(r"U=;N=/x\?a&amp;b;T=(\w{64});", page.text).group(1)
    body = urllib.parse.urlencode({"username": "<u>", "password": WRONG,
                                   "csrfmiddlewaretoken": token})
    page = visitor.client.post("/own", body, FORM)
    assert re.fullmatch(r"M=Please enter [^;]*;U=&lt;u&gt;;N=;T=\w{64};wrong", page.text)
    assert "script-src 'nonce-" in page.get("Content-Security-Policy")


def test_an_htaccess_file_names_only_templates_that_are_served(server):
    folder = server.httpd.dir / "htdocs" / "from-htaccess"
    folder.mkdir()
    (folder / "login.html").write_text("mine: {{ csrf_token }}")
    (server.httpd.dir / "secret.html").write_text("another's")
    server.httpd.expect(202, 201, "AH01630")

    def page_of(path):
        (folder / ".htaccess").write_text('DjangoLoginTemplate "%s"\n' % path)
        harness.hand_over(folder)
        return server.httpd.get("/from-htaccess/")

    assert page_of("login.html").text.startswith("mine: ")
    for path in ("../../secret.html", str(server.httpd.dir / "secret.html"), ".htaccess",
                 "nothing.html", "../own.html"):
        page = page_of(path)
        assert page.status == 500 and "another" not in page.text, path


BAD_STARTS = {
    "no database": ("DjangoSecretKey x\n", "SetHandler django-login", "DBDriver"),
    "no key": ("DBDriver sqlite3\nDBDParams /nowhere\n", "SetHandler django-logout", "DjangoSecretKey"),
    "no template": (None, "SetHandler django-login\nDjangoLoginTemplate /nowhere/at-all.html",
                    "DjangoLoginTemplate /nowhere/at-all.html: "),
    "bad template": (None, "SetHandler django-login\nDjangoLoginTemplate @DIR@/mime.types",
                     "line 2: there is no &quot;nothing&quot;"),
}


@pytest.mark.parametrize("what", BAD_STARTS)
def test_what_cannot_work_is_told_at_start(site, what):
    base, lines, told = BAD_STARTS[what]
    httpd = site.httpd('%s<Location "/x">\n%s\n</Location>\n' % (base or "", lines),
                       base=base is None, start=False)
    (httpd.dir / "mime.types").write_text("\n# {{ nothing }}\n")
    code, said = httpd.configtest()
    assert code != 0 and html.unescape(told) in said
