# SPDX-License-Identifier: Apache-2.0
"""DjangoPreservePost: a form that meets an expired login, kept, offered after the login, and sent."""
import hashlib
import html
import itertools
import re
import urllib.parse

import pytest

import harness
import servers

PASSWORD = "correct-horse"
PAIRS = "application/x-www-form-urlencoded"
PARTS = "multipart/form-data; boundary=B-9"
#: what the values of all forms here begin with: no page and no log may show it
VALUE = "planted-value-"

CONFIG = """
DjangoPasswordHashers md5
DjangoLoginThrottle Off
DjangoLoginURL /login
<Location "/login">
SetHandler django-login
</Location>
<Location "/cgi">
AuthType Django
Require valid-user
DjangoPreservePost On
</Location>
<Location "/cgi/body/off">
DjangoPreservePost Off
</Location>
<Location "/cgi/body/redirected">
DjangoPreservePost Off
DjangoUnauthenticated redirect
</Location>
<Location "/cgi/body/refused">
DjangoUnauthenticated 401
</Location>
<Location "/cgi/body/insession">
DjangoCsrf On
DjangoCsrfUseSessions On
</Location>
<Location "/cgi/body/own">
DjangoLoginTemplate @DIR@/own.html
</Location>
RewriteEngine On
RewriteRule ^/cgi/body/pretty /cgi/body/order?page=order [PT]
<Directory "@DIR@/htdocs">
AllowOverride All
</Directory>
<Location "/protected">
AuthType Django
Require valid-user
DjangoPreservePost On
</Location>
<Location "/cgi/body/optional">
DjangoUnauthenticated pass
Require all granted
</Location>
<Location "/cgi/body/checked">
DjangoCsrf On
</Location>
<Location "/cgi/body/injected">
DjangoCsrf On
DjangoCsrfInject On
</Location>
SetEnvIf X-Forwarded-Proto ^https$ HTTPS=on
RemoteIPHeader X-Forwarded-For
RemoteIPInternalProxy 127.0.0.1
<Location "/cgi/body/recent">
Require django-recent-login 1h
</Location>
<Location "/cgi/body/documented">
DjangoPreservePost Off
ErrorDocument 401 "the administrator's own"
</Location>
"""
#: a form of real Django's own, which checks its token itself
DJANGO = """
ProxyPass /dj/ http://127.0.0.1:%d/dj/
<Location "/dj/login">
AuthType Django
Require valid-user
DjangoPreservePost On
</Location>
"""


def part(name, value, more=b""):
    return (b'--B-9\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
            % (name.encode(), more, value))


def parts(*made):
    return b"".join(made) + b"--B-9--\r\n"


FORMS = {
    "urlencoded": (PAIRS, b"name=planted-value-1&amount=5&name=%00%ff+"),
    "urlencoded with a charset": (PAIRS + ";charset=utf-8", b"name=planted-value-1"),
    "multipart": (PARTS, parts(part("name", b"planted-value-1"), part("amount", b"5"))),
    "a file": (PARTS, parts(part("name", b"planted-value-1"), part(
        "amount", bytes(range(256)) * 200, b'; filename="x.bin"\r\nContent-Type: application/x'))),
    "the longest": (PAIRS, b"name=&amount=" + b"x" * (64 * 1024 - 13)),
    "empty": (PAIRS, b""),
}


class Browser:
    def __init__(self, server):
        self.server = server
        self.origin = "http://127.0.0.1:%d" % server.httpd.port
        self.client = server.httpd.client(cookies=True)
        self.address = "192.0.2.%d" % next(server.addresses)  # how many forms are kept is counted

    def get(self, path):
        return self.client.get(path, [("Accept", "text/html")])

    def post(self, path, body, type=PAIRS, headers=(), without=(), method="POST"):
        sent = {"Accept": "text/html", "Content-Type": type, "Origin": self.origin,
                "Sec-Fetch-Mode": "navigate", "Referer": self.origin + "/form?a=1",
                "X-Forwarded-For": self.address}
        sent.update(headers)
        return self.client.request(method, path,
                                   [(k, v) for k, v in sent.items() if k not in without], body)

    def keep(self, path="/cgi/body/order?a=1&b=%20", body=b"name=planted-value-1&amount=5", **more):
        """Send a form that is kept; the address that leads back to it."""
        answer = self.post(path, body, **more)
        assert answer.status == 303, answer
        return next_of(answer)

    def log_in(self, back, name="ada"):
        page = self.get("/login?" + urllib.parse.urlencode({"next": back}))
        answer = self.post("/login", urllib.parse.urlencode(
            {"username": name, "password": PASSWORD, "next": back,
             "csrfmiddlewaretoken": field(page, "csrfmiddlewaretoken")}))
        assert answer.status == 302 and answer.get("Location") == back, answer
        return self.get(back)

    def press(self, page, button=(), without=(), headers=(), **fields):
        """The form of the page that asks."""
        sent = {name: field(page, name) for name in ("django_post", "csrfmiddlewaretoken")
                if name not in without}
        sent.update(fields)
        sent.update(button)
        action = html.unescape(re.search('<form method="post" action="([^"]*)"', page.text).group(1))
        return self.post(action, urllib.parse.urlencode(sent), headers=headers)


def next_of(answer):
    url = urllib.parse.urlsplit(answer.get("Location"))
    assert url.path == "/login"
    return dict(urllib.parse.parse_qsl(url.query))["next"]


def field(page, name):
    return html.unescape(re.search('name="%s" value="([^"]*)"' % name, page.text).group(1))


def reached(answer):
    return answer.get("X-Reached") == "yes"


def digest(body):
    return hashlib.sha256(body).hexdigest()


class Server:
    def __init__(self, databases):
        self.addresses = itertools.count(1)
        self.site = harness.Site(databases.get("sqlite"))
        self.site.secrets.add(PASSWORD, VALUE)
        for name in ("ada", "bob"):
            self.site.create_user(name, PASSWORD)
        self.httpd = self.site.httpd(CONFIG + DJANGO % self.site.django.port, start=False,
                                     modules=["remoteip"])
        self.httpd.expect(210, "AH01631: user ada: authorization failure")  # a login that is too old
        (self.httpd.dir / "own.html").write_text("own: {{ message }}")
        for folder in ("open", "protected"):
            (self.httpd.dir / "htdocs" / folder).mkdir()
            (self.httpd.dir / "htdocs" / folder / ".htaccess").write_text(
                "RewriteEngine On\nRewriteRule ^front$ /cgi/body/order\n")
        harness.hand_over(self.httpd.dir / "htdocs")
        self.httpd.start()

    def browser(self):
        return Browser(self)

    def rows(self):
        return self.site.database.execute("SELECT COUNT(*) FROM django_session")[0][0]

    def age(self, text, *args):
        self.site.database.execute(text, args)


@pytest.fixture(scope="module")
def server(databases):
    made = Server(databases)
    yield made
    made.site.close()


# ---- the way there ------------------------------------------------------------------------------

@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_sent_after_the_login(server, form):
    type, body = FORMS[form]
    browser = server.browser()
    answer = browser.post("/cgi/body/order?a=1&b=%20", body, type)
    assert answer.status == 303 and not reached(answer)
    assert answer.get("Cache-Control") == "no-store" and "Cookie" in answer.vary
    line, = answer.all("Set-Cookie")
    assert re.match(r"django_post=[a-z0-9]{32}; .*HttpOnly; Max-Age=1800; Path=/; SameSite=Lax$", line)
    back = next_of(answer)
    assert re.match(r"/cgi/body/order\?a=1&b=%20&django_post=[a-z0-9]{32}$", back)

    page = browser.log_in(back)
    assert page.status == 200 and not reached(page) and VALUE not in page.text
    assert "/cgi/body/order?a=1&amp;b=%20" in page.text and "<dd>ada</dd>" in page.text
    assert ("<dd>name, amount</dd>" in page.text) == (b"amount" in body)
    assert "no-store" in page.get("Cache-Control") and page.get("X-Frame-Options") == "DENY"
    assert "frame-ancestors 'none'" in page.get("Content-Security-Policy")

    answer = browser.press(page)
    assert answer.status == 200 and reached(answer)
    seen = answer.json()
    assert (seen["length"], seen["sha256"]) == (len(body), digest(body))
    assert (seen["CONTENT_TYPE"], seen["CONTENT_LENGTH"]) == (type, str(len(body)))
    assert (seen["REQUEST_METHOD"], seen["REMOTE_USER"]) == ("POST", "ada")
    assert seen["REQUEST_URI"] == "/cgi/body/order?a=1&b=%20"

    # once
    for again in (browser.press(page), browser.get(back)):
        assert again.status == 410 and not reached(again) and "not kept any more" in again.text


def test_a_chunked_form_is_kept(server):
    browser = server.browser()
    raw = browser.client.raw(
        "POST /cgi/body/order HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nOrigin: %s\r\nAccept: text/html\r\n"
        "Content-Type: %s\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n"
        "Connection: close\r\n\r\n5\r\nname=\r\n3\r\nada\r\n0\r\n\r\n"
        % (server.httpd.port, browser.origin, PAIRS)).decode()
    assert re.search(r"^HTTP/1.1 303 ", raw, re.M), raw
    browser.client.jar["django_post"] = re.search("django_post=([a-z0-9]{32});", raw).group(1)
    back = urllib.parse.parse_qs(re.search(r"^Location: \S*\?(\S+)", raw, re.M).group(1))["next"][0]
    seen = browser.press(browser.log_in(back)).json()
    assert seen["sha256"] == digest(b"name=ada") and seen["CONTENT_LENGTH"] == "8"


def test_two_windows_have_two_forms(server):
    browser = server.browser()
    backs = [browser.keep(body=body) for body in (b"name=1", b"name=2")]
    assert backs[0] != backs[1]
    pages = [browser.log_in(backs[0]), browser.get(backs[1])]
    for page, body in ((pages[1], b"name=2"), (pages[0], b"name=1")):
        assert browser.press(page).json()["sha256"] == digest(body)


@pytest.mark.parametrize("type,body", [
    (PAIRS, b"csrfmiddlewaretoken=%s&name=1&csrfmiddlewaretoken="),
    (PARTS, parts(part("csrfmiddlewaretoken", b"%s"), part("name", b"1"))),
])
@pytest.mark.parametrize("place", ["order", "checked", "injected", "insession"])
def test_the_form_gets_the_token_that_counts_now(server, place, type, body):
    old = b"x" * 64
    browser = server.browser()
    page = browser.log_in(browser.keep("/cgi/body/" + place, body.replace(b"%s", old), type=type))
    assert "<dd>name</dd>" in page.text
    answer = browser.press(page)
    seen = answer.json()
    length = len(body) - 2 + 64 + (64 if body.endswith(b"=") else 0)
    assert seen["length"] == length and seen["CONTENT_LENGTH"] == str(length)
    assert seen["sha256"] != digest(body.replace(b"%s", old))
    if place != "order":  # where the application is told a token, it is the same
        token = seen["DJANGO_CSRF_TOKEN"].encode()
        sent = body.replace(b"%s", token)
        assert seen["sha256"] == digest(sent + token if body.endswith(b"=") else sent)


def test_django_takes_the_form_with_its_new_token(server):
    browser = server.browser()
    body = urllib.parse.urlencode({"csrfmiddlewaretoken": "x" * 64, "username": "ada",
                                   "password": PASSWORD}).encode()
    page = browser.log_in(browser.keep("/dj/login", body))
    assert "<dd>username, password</dd>" in page.text and PASSWORD not in page.text
    assert browser.post("/dj/login", body).status == 403  # as it was sent it would be refused
    answer = browser.press(page)
    assert answer.status == 302 and answer.get("Location") == "/dj/whoami"


def test_a_login_that_expires_again_finds_the_form_again(server):
    browser = server.browser()
    back = browser.keep()
    page = browser.log_in(back)
    key = browser.client.jar.pop("sessionid")
    before = server.rows()
    answer = browser.press(page)
    assert answer.status == 303 and next_of(answer) == back and server.rows() == before
    browser.client.jar["sessionid"] = key
    assert reached(browser.press(browser.get(back)))


def test_a_form_may_be_thrown_away(server):
    browser = server.browser()
    back = browser.keep()
    page = browser.log_in(back)
    answer = browser.press(page, button={"discard": "1"})
    assert answer.status == 303 and answer.get("Location") == "/form?a=1" and not reached(answer)
    assert browser.get(back).status == 410


def test_a_look_sends_nothing(server):
    browser = server.browser()
    back = browser.keep()
    browser.log_in(back)
    head = browser.client.request("HEAD", back, [("Accept", "text/html")])
    assert head.status == 200 and not head.body and not reached(head)
    assert reached(browser.press(browser.get(back)))


@pytest.mark.parametrize("path,seen_as", [("/cgi/body/pretty?a=1", "/cgi/body/pretty?a=1"),
                                          ("/protected/front?a=1", "/protected/front?a=1")])
def test_addresses_that_are_rewritten_lead_back(server, path, seen_as):
    browser = server.browser()
    page = browser.log_in(browser.keep(path, b"name=planted-value-1"))
    assert page.status == 200 and "<dd>%s</dd>" % path in page.text
    answer = browser.press(page)
    seen = answer.json()
    assert seen["sha256"] == digest(b"name=planted-value-1") and seen["REMOTE_USER"] == "ada"
    assert seen["REQUEST_URI"] == seen_as


ENGINES = {
    "file": "DjangoSessionEngine file\nDjangoSessionFilePath @DIR@/sessions",
    "shared memory": "DjangoSessionEngine cache\nDjangoSessionCache shm://preserve?size=1m",
    "memcached": "DjangoSessionEngine cache\nDjangoSessionCache memcached://127.0.0.1:%d timeout=60s",
    "redis": "DjangoSessionEngine cache\nDjangoSessionCache redis://127.0.0.1:%d/0 timeout=60s",
    "cached_db": "DjangoSessionEngine cached_db\nDjangoSessionCache redis://127.0.0.1:%d/0 timeout=60s",
}


@pytest.fixture(scope="module")
def caches():
    with servers.Memcached() as memcached, servers.Redis() as redis:
        yield {"memcached": memcached, "redis": redis, "cached_db": redis}


class Small(Server):
    """One protected place, and an engine other than db."""

    def __init__(self, make_site, engine=""):
        self.addresses = itertools.count(1)
        self.site = make_site()
        self.site.secrets.add(PASSWORD, VALUE)
        self.site.create_user("ada", PASSWORD)
        self.httpd = self.site.httpd(
            engine + '\nRemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy 127.0.0.1\nDjangoPasswordHashers md5\nDjangoLoginURL /login\n<Location "/login">\n'
            'SetHandler django-login\n</Location>\n<Location "/cgi/body">\nAuthType Django\n'
            "Require valid-user\nDjangoPreservePost On\n</Location>\n", start=False,
            modules=["remoteip"])
        folder = self.httpd.dir / "sessions"
        folder.mkdir()
        folder.chmod(0o777)
        self.httpd.start()


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_that_stores_keeps_forms(make_site, caches, engine):
    text = ENGINES[engine]
    server = Small(make_site, text % caches[engine].port if "%d" in text else text)
    browser = server.browser()
    type, body = FORMS["the longest"]
    page = browser.log_in(browser.keep(body=body))
    answer = browser.press(page)
    assert reached(answer) and answer.json()["sha256"] == digest(body)
    assert browser.press(page).status == 410


def test_without_its_store_no_form_is_kept_and_none_is_sent(make_site):
    with servers.Memcached() as memcached:
        server = Small(make_site, ENGINES["memcached"] % memcached.port)
        server.httpd.expect(111)
        browser = server.browser()
        page = browser.log_in(browser.keep())
        memcached.stop()
        answer = browser.press(page)
        assert answer.status == 503 and not reached(answer)
        answer = server.browser().post("/cgi/body/order", b"name=planted-value-1")
        assert answer.status == 401 and "the form was not sent" in answer.text
        assert not answer.all("Set-Cookie") and server.httpd.has_logged(111)


# ---- what is kept from whom ---------------------------------------------------------------------

def test_another_browser_has_not_the_form(server):
    browser, other = server.browser(), server.browser()
    back = browser.keep()
    page = browser.log_in(back)
    assert other.log_in(back).status == 410
    other.client.jar["django_post"] = "a" * 32
    assert other.get(back).status == 410
    answer = other.press(page, csrfmiddlewaretoken=other.client.jar["csrftoken"])
    assert answer.status == 410 and not reached(answer)
    assert reached(browser.press(page))  # still there for whom it is for


def test_another_address_has_not_the_form(server):
    browser = server.browser()
    back = browser.keep()
    page = browser.log_in(back)
    assert browser.get(back.replace("order", "other")).status == 410
    body = urllib.parse.urlencode({name: field(page, name)
                                   for name in ("django_post", "csrfmiddlewaretoken")})
    answer = browser.post("/cgi/body/other", body)
    assert answer.status == 410 and not reached(answer)
    assert reached(browser.press(page))


@pytest.mark.parametrize("headers", [{"Host": "other.example", "Origin": "http://other.example"},
                                     {"X-Forwarded-Proto": "https"}])
def test_another_host_has_not_the_form(server, headers):
    browser = server.browser()
    back = browser.keep()
    page = browser.log_in(back)
    cookies = dict(browser.client.jar, **{"__Host-django_post": browser.client.jar["django_post"]})
    sent = "; ".join("%s=%s" % item for item in cookies.items())
    answer = server.httpd.get(back, list(headers.items()) + [("Accept", "text/html")], cookie=sent)
    assert answer.status == 410 and "not kept any more" in answer.text
    assert server.httpd.has_logged("DJS0233: .*it is for another host")
    assert reached(browser.press(page))


def test_the_page_has_to_be_ours(server):
    browser = server.browser()
    page = browser.log_in(browser.keep())
    for refused in (dict(without=["csrfmiddlewaretoken"]),
                    dict(csrfmiddlewaretoken="a" * 64),
                    dict(headers={"Origin": "http://evil.example"}),
                    dict(headers={"Origin": "null"}),
                    dict(button={"discard": "1"}, csrfmiddlewaretoken="")):
        answer = browser.press(page, **refused)
        assert answer.status == 403 and not reached(answer), refused
        assert field(answer, "django_post") == field(page, "django_post")
    assert reached(browser.press(page))


def test_a_login_that_is_too_old_keeps_the_form_for_its_user(server):
    browser = server.browser()
    assert browser.log_in("/cgi/body/order").status == 200
    server.age("UPDATE auth_user SET last_login = '2001-02-03 04:05:06' WHERE username = 'ada'")
    back = browser.keep("/cgi/body/recent")
    other = server.browser()
    other.client.jar["django_post"] = browser.client.jar["django_post"]
    assert other.log_in(back, "bob").status == 410
    page = browser.log_in(back)
    assert page.status == 200 and reached(browser.press(page))


def test_a_form_is_not_kept_for_ever(server):
    browser = server.browser()
    before = {row[0] for row in server.site.database.execute("SELECT session_key FROM django_session")}
    back = browser.keep()
    after = {row[0] for row in server.site.database.execute("SELECT session_key FROM django_session")}
    key, = after - before
    end = server.site.database.end_of(key)
    text = server.site.database.row(key)
    assert VALUE not in str(text)
    server.age("UPDATE django_session SET expire_date = '2001-02-03 04:05:06' WHERE session_key = %s",
               key)
    assert end and browser.log_in(back).status == 410


def test_over_tls_no_other_host_can_set_the_cookie(server):
    browser = server.browser()
    answer = browser.post("/cgi/body/order", b"name=1", headers={
        "X-Forwarded-Proto": "https", "Origin": browser.origin.replace("http", "https")})
    line, = answer.all("Set-Cookie")
    assert answer.status == 303 and re.match("__Host-django_post=.*; Path=/; .*Secure$", line)
    assert "domain" not in line.lower()


# ---- what is not kept ---------------------------------------------------------------------------

SITE = ("Origin", "Referer")
NOT_KEPT = {
    "off": dict(path="/cgi/body/off"),
    "401": dict(path="/cgi/body/refused"),
    "behind an internal redirect": dict(path="/open/front"),
    "too long": dict(body=b"a=" + b"x" * (64 * 1024)),
    "much too long": dict(body=b"a=" + b"x" * (512 * 1024)),
    "a long address": dict(path="/cgi/body/order?" + "x" * 2000),
    "compressed": dict(headers={"Content-Encoding": "gzip"}),
    "another site's": dict(headers={"Origin": "http://evil.example"}),
    "another port's": dict(headers={"Origin": "http://127.0.0.1:1"}),
    "nobody's": dict(headers={"Origin": "null"}, without=["Referer"]),
    "of unknown origin": dict(without=SITE),
    "another site's, by Referer": dict(headers={"Referer": "http://evil.example/"}, without=["Origin"]),
    "another site's, by Sec-Fetch-Site": dict(headers={"Sec-Fetch-Site": "cross-site"}, without=SITE),
}


@pytest.mark.parametrize("case", NOT_KEPT)
def test_who_sends_what_is_not_kept_is_told_so(server, case):
    browser = server.browser()
    before = server.rows()
    args = dict(dict(path="/cgi/body/order?x=1", body=b"name=planted-value-1"), **NOT_KEPT[case])
    answer = browser.post(**args)
    assert answer.status == 401 and answer.get("Content-Type") == "text/html; charset=utf-8"
    assert answer.get("WWW-Authenticate") == 'Django login="/login"'
    assert "the form was not sent" in answer.text and VALUE not in answer.text
    assert not answer.all("Set-Cookie") and server.rows() == before
    link = html.unescape(re.search('<a href="([^"]*)"', answer.text).group(1))
    back = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(link).query))["next"]
    ours = "Referer" not in args.get("without", ()) and "evil" not in str(args.get("headers", {}).get("Referer"))
    assert link.startswith("/login?next=")
    assert back == ("/form?a=1" if ours else args["path"])


NO_FORMS = {
    "fetch": dict(headers={"Sec-Fetch-Mode": "cors"}),
    "XMLHttpRequest": dict(headers={"X-Requested-With": "XMLHttpRequest"}),
    "a program": dict(headers={"Accept": "*/*"}),
    "JSON": dict(headers={"Accept": "application/json"}),
    "a document": dict(type="application/json"),
    "PUT": dict(method="PUT"),
    "DELETE": dict(method="DELETE"),
}


@pytest.mark.parametrize("case", NO_FORMS)
def test_what_no_browser_sends_gets_401_as_ever(server, case):
    before = server.rows()
    answer = server.browser().post("/cgi/body/order", b"name=1", **NO_FORMS[case])
    assert answer.status == 401 and "the form was not sent" not in answer.text
    assert not answer.all("Set-Cookie") and server.rows() == before


def test_where_all_are_redirected_forms_are_led_back_to_their_page(server):
    browser = server.browser()
    answer = browser.post("/cgi/body/redirected", b"name=1")
    assert answer.status == 302 and next_of(answer) == "/form?a=1"
    page = browser.get(answer.get("Location"))
    assert "the form was not sent" in page.text and 'name="password"' in page.text
    assert "the form was not sent" not in browser.get(answer.get("Location")).text  # once


def test_where_nobody_may_send_it_nobody_does(server):
    answer = server.browser().post("/cgi/body/optional", b"name=1")
    assert reached(answer) and answer.json()["sha256"] == digest(b"name=1")


def test_an_error_page_of_the_administrators_stays(server):
    answer = server.browser().post("/cgi/body/documented", b"name=1")
    assert answer.status == 401 and answer.text == "the administrator's own"


def test_a_template_that_has_no_place_for_forms_is_not_used_for_them(server):
    browser = server.browser()
    lost = browser.post("/cgi/body/own", b"name=1", without=SITE)
    assert lost.status == 401 and "own:" not in lost.text and "<a href=" in lost.text
    page = browser.log_in(browser.keep("/cgi/body/own"))
    assert "own:" not in page.text and "script-src" not in page.get("Content-Security-Policy")
    assert reached(browser.press(page))


def test_with_a_login_forms_go_through(server):
    browser = server.browser()
    browser.log_in(browser.keep())  # so that it has all cookies
    for body in (b"name=1", b"django_post=1", b"django_post=" + b"a" * 31, b""):
        answer = browser.post("/cgi/body/order", body)
        assert reached(answer) and answer.json()["sha256"] == digest(body)
    answer = browser.get("/cgi/body/order?django_post=short")
    assert reached(answer) and answer.json()["REQUEST_URI"].endswith("django_post=short")


# ---- hostile texts ------------------------------------------------------------------------------

EVIL = "\"'><script>alert(1)</script>&amp;{{ nonce }}{% if x %}"
HOSTILE = {
    "a query of no pairs": dict(path="/cgi/body/x?flag&&a=&b;c=%C3%BC+%2F"),
    "the name of a field": dict(body=urllib.parse.urlencode({EVIL: "1"}).encode()),
    "a name in parts": dict(type=PARTS, body=parts(part("'><script>alert(1)</script>", b"1"))),
    "the name of a file": dict(type=PARTS, body=parts(
        part("f", b"1", b"; filename=\"'><script>alert(1)</script>\""))),
    "control characters": dict(body=b"a%0d%0ab%00c%1b=1"),
    "no UTF-8": dict(body=b"%ff%fe%c3=1"),
    "a long name": dict(body=b"x" * 5000 + b"=1"),
    "a long name in UTF-8": dict(body=b"a" + b"%c3%a4" * 3000 + b"=1"),
    "many names": dict(body="&".join("name%d=1" % i for i in range(5000)).encode()),
    "the address": dict(path="/cgi/body/" + urllib.parse.quote(EVIL)),
    "the query": dict(path="/cgi/body/x?\"'><script>alert(1)</script>"),
    "the page before": dict(headers={"Referer": "%s/?\"'><script>alert(1)</script>"}),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_nothing_of_a_form_is_markup(server, case):
    browser = server.browser()
    args = dict(dict(path="/cgi/body/order", body=b"name=1"), **HOSTILE[case])
    args["headers"] = {k: v.replace("%s", browser.origin) for k, v in args.get("headers", {}).items()}
    lost = browser.post(args["path"].replace("/cgi/body", "/cgi/body/off", 1),
                        **{k: v for k, v in args.items() if k != "path"})
    assert "<script" not in lost.text
    answer = browser.post(**args)
    if answer.status != 303:  # what httpd itself refuses, or what is nothing of ours
        assert answer.status in (400, 404) and "<script" not in answer.text
        return
    page = browser.log_in(next_of(answer))
    assert page.status == 200 and "<script" not in page.text
    assert len(page.text) < 20000
    for url in re.findall('(?:action|href)="([^"]*)"', page.text):
        assert re.match("/(?![/\\\\])", html.unescape(url))
    assert reached(browser.press(page))


# ---- how many are kept ---------------------------------------------------------------------------

def until_refused(browser, length):
    kept = 0
    while browser.post("/cgi/body/order", b"x" * length).status == 303:
        kept += 1
        assert kept <= 60
    return kept


def test_so_much_of_forms_is_kept(make_site):
    server = Small(make_site)
    assert until_refused(server.browser(), 6) == 60
    browser = server.browser()
    assert until_refused(browser, 48 * 1024) == 15
    before = server.rows()
    answer = browser.post("/cgi/body/order", b"name=1")
    assert answer.status == 401 and "the form was not sent" in answer.text
    assert server.rows() == before and server.httpd.has_logged("DJS0231: .*too many came lately")
    of_each = [until_refused(server.browser(), 48 * 1024) for _ in range(16)]
    assert of_each == [15] * 14 + [10, 0]  # 1000 of all: 2 * 60, 14 * 60, 40


# ---- at start -----------------------------------------------------------------------------------

@pytest.mark.parametrize("engine", ["signed_cookies", "encrypted_cookies"])
def test_cookies_hold_no_forms(server, engine):
    section = ("DjangoSessionEngine " + engine + "\n<Location /here>\nAuthType Django\n"
               "Require valid-user\nDjangoPreservePost %s\n</Location>\n")
    refused = server.site.httpd(section % "On", start=False)
    status, output = refused.configtest()
    assert status == 1 and "DJS0101" in output and "DjangoPreservePost" in output
    assert server.site.httpd(section % "Off", start=False).configtest()[0] == 0
