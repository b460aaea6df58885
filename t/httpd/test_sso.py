# SPDX-License-Identifier: Apache-2.0
"""SetHandler django-sso: a login that is carried from one host to another."""
import re
import threading
import urllib.parse

import pytest

import harness

HOSTS = ["www.one.example", "shop.two.example"]
CONFIG = """
DjangoSession On
%(engine)s
DjangoSsoHosts %(hosts)s
<Location "/sso">
    SetHandler django-sso
</Location>
<Location "/sso-own">
    SetHandler django-sso
    DjangoLoginTemplate @DIR@/own.html
</Location>
<Location "/sso-old">
    SetHandler django-sso
    DjangoLoginTemplate @DIR@/old.html
</Location>
DjangoLoginURL /sso
<Location "/cgi/env">
    AuthType Django
    Require valid-user
    DjangoUnauthenticated redirect
</Location>
<Location "/cgi/reply">
    DjangoSessionUpdate Login
</Location>
<If "%%{HTTP_HOST} == '%(first)s'">
    DjangoLoginURL /login-page
</If>
"""
ENGINES = {
    "db": "",
    "file": "DjangoSessionEngine file\nDjangoSessionFilePath @DIR@/sessions",
    "shm": 'DjangoSessionEngine cache\nDjangoSessionCache "shm://sso?size=4m"',
}
LOGIN = "/cgi/reply?h=" + urllib.parse.quote('Django-Session-Update: {"login": "ada"}')
PAGE = "/cgi/env?a=1&b=%20"


class Sso:
    """Two hosts of one store, and a browser, which has cookies for each."""

    def __init__(self, site, engine="", hosts=HOSTS):
        site.create_user("ada")
        config = CONFIG % dict(engine=engine, first=hosts[0],
                               hosts=" ".join("http://" + host for host in hosts))
        self.site = site
        self.server = site.httpd(config, start=False)
        (self.server.dir / "own.html").write_text("own: {% if again %}{{ message }} {{ link }}{% endif %}")
        (self.server.dir / "old.html").write_text("old: {{ message }}")
        folder = self.server.dir / "sessions"
        folder.mkdir()
        folder.chmod(0o777)
        self.server.start()

    def browser(self):
        return Browser(self)


class Browser:
    def __init__(self, sso):
        self.sso, self.jars = sso, {}

    def get(self, url, method="GET"):
        parts = urllib.parse.urlsplit(url)
        jar = self.jars.setdefault(parts.netloc, {})
        answer = self.sso.server.client().request(
            method, parts._replace(scheme="", netloc="").geturl(), [("Host", parts.netloc)],
            cookie="; ".join("%s=%s" % item for item in jar.items()) or None)
        for line in answer.all("Set-Cookie"):
            name, value = line.split(";")[0].split("=", 1)
            jar[name] = value
            self.sso.site.secrets.add(value)
        return answer

    def log_in(self, host=HOSTS[0]):
        answer = self.get("http://" + host + LOGIN)
        assert answer.status == 200 and answer.cookie()

    def follow(self, url, until=None, most=10):
        """Redirects; the addresses that were gone through, and the last answer."""
        way = [url]
        while len(way) < most:
            answer = self.get(way[-1])
            if answer.status != 302 or until and until in answer.get("Location"):
                return way, answer
            assert answer.get("Cache-Control") == "no-store"
            way.append(urllib.parse.urljoin(way[-1], answer.get("Location")))
        raise AssertionError("no end: %r" % way)


def ticket_of(sso, browser):
    """The address with the ticket, which nobody has gone to yet."""
    _, answer = browser.follow("http://shop.two.example" + PAGE, until="ticket=")
    return answer.get("Location")


@pytest.fixture(scope="module", params=ENGINES)
def sso(request, databases):
    site = harness.Site(databases.get("sqlite"))
    yield Sso(site, ENGINES[request.param])
    site.close()


@pytest.fixture(scope="module")
def plain(databases):
    site = harness.Site(databases.get("sqlite"))
    yield Sso(site, hosts=HOSTS + ["third.example"])
    site.close()


# ---- the way there ------------------------------------------------------------------------------

def test_a_login_is_carried_to_another_host(sso):
    browser = sso.browser()
    browser.log_in()
    way, answer = browser.follow("http://shop.two.example" + PAGE)
    assert [urllib.parse.urlsplit(url).netloc + urllib.parse.urlsplit(url).path for url in way] == [
        "shop.two.example/cgi/env", "shop.two.example/sso", "www.one.example/sso",
        "shop.two.example/sso", "shop.two.example/cgi/env"]
    assert way[-1] == "http://shop.two.example" + PAGE
    assert answer.json()["REMOTE_USER"] == "ada"
    # each host has a session of its own
    assert browser.jars[HOSTS[0]]["sessionid"] != browser.jars[HOSTS[1]]["sessionid"]
    # and it lasts
    assert browser.get("http://shop.two.example" + PAGE).status == 200


def test_who_is_nobody_is_sent_to_the_login_page_and_comes_back(plain):
    browser = plain.browser()
    way, answer = browser.follow("http://shop.two.example" + PAGE, until="/login-page")
    back = urllib.parse.parse_qs(urllib.parse.urlsplit(answer.get("Location")).query)["next"][0]
    assert back == "/sso?" + urllib.parse.urlsplit(way[-1]).query
    browser.log_in()
    assert browser.follow("http://www.one.example" + back)[1].json()["REMOTE_USER"] == "ada"


def test_django_knows_who_has_come(plain):
    browser = plain.browser()
    browser.log_in()
    browser.follow("http://shop.two.example" + PAGE)
    session = plain.site.read_session(browser.jars[HOSTS[1]]["sessionid"])
    assert set(session) == {"_auth_user_id", "_auth_user_backend", "_auth_user_hash"}
    assert plain.site.django.run(
        "from django.contrib.auth import get_user\n"
        "from django.contrib.sessions.backends.db import SessionStore\n"
        "from django.http import HttpRequest\n"
        "r = HttpRequest()\n"
        "r.session = SessionStore(%r)\n"
        "result = get_user(r).username" % browser.jars[HOSTS[1]]["sessionid"]) == "ada"


def test_who_is_logged_in_already_goes_straight_on(plain):
    browser = plain.browser()
    browser.log_in("shop.two.example")
    way, _ = browser.follow("http://shop.two.example/sso?next=/cgi/env")
    assert way[1:] == ["http://shop.two.example/cgi/env"]


def test_carrying_a_login_over_is_no_login_of_last_login(plain):
    browser = plain.browser()
    browser.log_in()
    before = plain.site.database.execute("SELECT last_login FROM auth_user")
    browser.follow("http://shop.two.example" + PAGE)
    assert plain.site.database.execute("SELECT last_login FROM auth_user") == before


# ---- what a ticket is not good for --------------------------------------------------------------

def refused(sso, answer):
    sso.server.expect("DJS0221")
    return answer.status == 403 and not answer.cookie() and "Try again" in answer.text


def test_a_ticket_is_good_once_whoever_is_faster(sso):
    browser = sso.browser()
    browser.log_in()
    address = ticket_of(sso, browser)
    answers, start = [], threading.Barrier(8)

    def bring():
        twin = sso.browser()
        twin.jars = {host: dict(jar) for host, jar in browser.jars.items()}
        start.wait()
        answers.append(twin.get(address))

    threads = [threading.Thread(target=bring) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status for answer in answers) == [302] + [403] * 7
    assert sum(bool(answer.cookie()) for answer in answers) == 1
    assert refused(sso, browser.get(address))


def test_a_ticket_is_good_in_one_browser(plain):
    browser, thief, victim = plain.browser(), plain.browser(), plain.browser()
    browser.log_in()
    address = ticket_of(plain, browser)
    assert refused(plain, thief.get(address))
    # nor in one that has a cookie of its own: an attacker's ticket logs nobody in as the attacker
    victim.follow("http://shop.two.example" + PAGE, until="/login-page")
    assert victim.jars[HOSTS[1]]["django_sso"]
    assert refused(plain, victim.get(address))
    # and it is still there for whom it is for
    assert browser.get(address).status == 302
    assert browser.get("http://shop.two.example" + PAGE).status == 200


def test_a_ticket_is_good_at_one_host(plain):
    browser = plain.browser()
    browser.log_in()
    address = ticket_of(plain, browser)
    browser.jars["third.example"] = dict(browser.jars[HOSTS[1]])
    assert refused(plain, browser.get(address.replace("shop.two.example", "third.example")))
    assert browser.get(address).status == 302


def test_a_ticket_of_a_minute_ago_is_too_old(plain):
    browser = plain.browser()
    browser.log_in()
    address = ticket_of(plain, browser)
    ticket = urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)["ticket"][0]
    identity = plain.site.django.run("from django.core import signing\n"
                                     "s = signing.TimestampSigner(salt='mod_django_session.sso')\n"
                                     "result = s.unsign(%r)" % ticket)
    old = plain.site.django.run(
        "import time\nfrom unittest import mock\nfrom django.core import signing\n"
        "with mock.patch('time.time', return_value=time.time() - 62):\n"
        "    result = signing.TimestampSigner(salt='mod_django_session.sso').sign(%r)" % identity)
    plain.site.secrets.add(old)
    assert refused(plain, browser.get(address.replace(urllib.parse.quote(ticket), urllib.parse.quote(old))))
    assert browser.get(address).status == 302  # the same one with its own time


def test_the_end_of_a_ticket_is_stored_with_it(plain):
    browser = plain.browser()
    browser.log_in()
    keys = {row[0] for row in plain.site.database.execute(
        "SELECT session_key FROM django_session")}
    ticket_of(plain, browser)
    rows = [row for row in plain.site.database.execute(
        "SELECT session_key, expire_date FROM django_session") if row[0] not in keys]
    assert len(rows) == 1 and re.fullmatch("[0-9a-f]{40}", rows[0][0])
    record = plain.site.read_session(rows[0][0])
    assert record["_sso"]["origin"] == "http://shop.two.example"
    assert set(record) == {"_auth_user_id", "_auth_user_backend", "_auth_user_hash",
                           "_session_expiry", "_sso"}
    plain.site.secrets.add(rows[0][0])
    assert 50 < plain.site.django.run(
        "from django.contrib.sessions.models import Session\n"
        "from django.utils import timezone\n"
        "s = Session.objects.get(session_key=%r)\n"
        "result = (s.expire_date - timezone.now()).total_seconds()" % rows[0][0]) <= 60


@pytest.mark.parametrize("what, sql", [
    ("deactivated", "UPDATE auth_user SET is_active = 0"),
    ("with another password", "UPDATE auth_user SET password = 'pbkdf2_sha256$1$x$y'"),
    ("deleted", "DELETE FROM auth_user"),
])
def test_a_user_who_is_out_meanwhile_does_not_come_in(plain, what, sql):
    browser = plain.browser()
    browser.log_in()
    address = ticket_of(plain, browser)
    columns = "id, password, is_superuser, username, first_name, last_name, email, is_staff, " \
              "is_active, date_joined"
    kept = plain.site.database.execute("SELECT %s FROM auth_user" % columns)[0]
    plain.site.database.execute(sql)
    assert refused(plain, browser.get(address)), what
    plain.site.database.execute("DELETE FROM auth_user")
    plain.site.database.execute("INSERT INTO auth_user (%s) VALUES (?,?,?,?,?,?,?,?,?,?)" % columns,
                                tuple(kept))


@pytest.mark.parametrize("ticket", ["", "x", "a:b:c", "x" * 5000,
                                    "0123456789abcdef0123456789abcdef:1abcde:" + "A" * 43])
def test_what_is_no_ticket_is_refused(plain, ticket):
    browser = plain.browser()
    browser.follow("http://shop.two.example" + PAGE, until="/login-page")
    assert refused(plain, browser.get("http://shop.two.example/sso?ticket=" + ticket))


def test_the_page_that_says_so_is_of_the_template_that_has_a_place_for_it(plain):
    browser = plain.browser()
    own = browser.get("http://shop.two.example/sso-own?ticket=x&next=/cgi/env%3Fa%3D%26")
    assert own.status == 403 and own.text.startswith("own: Your login could not be carried over")
    assert own.text.endswith(" /sso-own?next=/cgi/env%3Fa%3D%26")
    old = browser.get("http://shop.two.example/sso-old?ticket=x")
    assert old.status == 403 and "old:" not in old.text and 'href="/sso-old?next=/"' in old.text
    for answer in (own, old):
        assert answer.get("Cache-Control") == "no-store"
        assert answer.all("Referrer-Policy") == ["no-referrer"]
        assert "default-src 'none'" in answer.get("Content-Security-Policy")


def test_a_session_of_djangos_is_no_ticket(plain):
    """Whoever knows the secret key could sign anything; but no key of a session leads here."""
    browser = plain.browser()
    browser.log_in()
    plain.site.secrets.add(signed := plain.site.django.run(
        "from django.core import signing\n"
        "result = signing.TimestampSigner(salt='mod_django_session.sso').sign(%r)"
        % browser.jars[HOSTS[0]]["sessionid"]))
    browser.jars[HOSTS[1]] = {"django_sso": "a" * 32}
    assert refused(plain, browser.get("http://shop.two.example/sso?ticket=" + signed))


# ---- where it leads -----------------------------------------------------------------------------

@pytest.mark.parametrize("to", [
    "http://evil.example", "https://shop.two.example", "http://shop.two.example.evil.example",
    "http://shop.two.example@evil.example", "http://evil.example/http://shop.two.example",
    "http://shop.two.example:81", "//shop.two.example", "javascript:alert(1)", "", "%0d%0aX:1",
    "http://shop.two.example/", "http://shop.two.example%5c.evil.example",
    "//shop.two.example://x", "://shop.two.example"])
def test_tickets_are_for_the_hosts_that_are_named(plain, to):
    browser = plain.browser()
    browser.log_in()
    plain.server.expect("DJS0223")
    answer = browser.get("http://www.one.example/sso?next=/&browser=%s&to=%s" % ("0" * 64, to))
    assert answer.status == 400 and not answer.get("Location")


@pytest.mark.parametrize("after", [
    "http://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "https:evil.example",
    "/%0d%0aSet-Cookie:x=1", "%09//evil.example", "javascript:alert(1)", "///evil.example", "", "x"])
def test_it_leads_nowhere_else(plain, after):
    browser = plain.browser()
    browser.log_in()
    way, answer = browser.follow("http://shop.two.example/sso?next=" + after, until="/nowhere")
    assert way[-1] == "http://shop.two.example/" and "Set-Cookie: x" not in str(answer.headers)


# ---- how it is asked, how it is set up ----------------------------------------------------------

@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE"])
def test_only_get_uses_a_ticket(plain, method):
    browser = plain.browser()
    browser.log_in()
    address = ticket_of(plain, browser)
    answer = browser.get(address, method)
    assert answer.status == 405 and "GET" in answer.get("Allow")
    assert browser.get(address).status == 302


def test_a_host_that_is_not_named_has_none(plain):
    plain.server.expect("DJS0220")
    answer = plain.browser().get("http://other.example/sso?next=/")
    assert answer.status == 500 and not answer.get("Location")


def test_cookies_hold_no_tickets(site):
    sso = Sso(site, "DjangoSessionEngine signed_cookies")
    sso.server.expect("DJS0220")
    assert sso.browser().get("http://shop.two.example/sso?next=/").status == 500


def test_tickets_reach_no_log(plain):
    browser = plain.browser()
    browser.log_in()
    address = ticket_of(plain, browser)
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)
    plain.site.secrets.add(query["ticket"][0])
    plain.site.secrets.add(urllib.parse.quote(query["ticket"][0]))
    assert browser.get(address).status == 302


def test_the_cookie_is_for_the_handler_alone(plain):
    answer = plain.browser().follow("http://shop.two.example" + PAGE, until="www.one.example")[1]
    line = [l for l in answer.all("Set-Cookie") if l.startswith("django_sso=")][0]
    assert "; HttpOnly" in line and "; Path=/sso" in line and "; SameSite=Lax" in line
    assert answer.get("Referrer-Policy") == "no-referrer"


def test_no_store_means_503(site):
    sso = Sso(site)
    browser = sso.browser()
    browser.log_in()
    address = ticket_of(sso, browser)
    site.database.execute("ALTER TABLE django_session RENAME TO gone")
    sso.server.expect("DJS0111", "DJS0132")
    assert browser.get(address).status == 503
    site.database.execute("ALTER TABLE gone RENAME TO django_session")
    assert browser.get(address).status == 302
