# SPDX-License-Identifier: Apache-2.0
"""
What people see, in a real browser: the pages for login and logout, protected pages, forms and their
protection, one login for two hosts; and real Django's own pages beside them.
"""
import html
import re
import urllib.parse

import pytest
from selenium.webdriver.common.keys import Keys

import browser
import harness

PASSWORD = "correct-horse"
WRONG = "wrong-horse-7"
SHOP, DESK = "shop.localhost", "desk.localhost"
#: another site, and another origin of the same site, whose forms come with the cookies of ours
STRANGERS = ["evil.localhost", "evil." + SHOP]
ADMIN = "/usr/lib/python3/dist-packages/django/contrib/admin/static/admin"

CONFIG = """
DjangoSession On
DjangoPasswordHashers md5
DjangoLoginThrottle Off
DjangoLoginURL /login
DjangoSsoHosts http://shop.localhost:@PORT@ http://desk.localhost:@PORT@
<If "%%{HTTP_HOST} =~ /^desk/">
    DjangoLoginURL /sso
</If>
<Location "/sso">
    SetHandler django-sso
</Location>
<Location "/login">
    SetHandler django-login
</Location>
<Location "/throttled">
    SetHandler django-login
    DjangoLoginThrottle 2/1h 50/1h
</Location>
<Location "/logout">
    SetHandler django-logout
</Location>
<Location "/logout/and-forget">
    SetHandler django-logout
    Header always set Clear-Site-Data '"cache"'
</Location>
<Location "/closed">
    AuthType Django
    Require valid-user
    DjangoSessionHeader On
</Location>
<Location "/closed/by-django">
    DjangoLoginURL /admin/login/
</Location>
<LocationMatch "^/(closed/)?(order|secret)">
    DjangoCsrf On
    DjangoSessionHeader On
</LocationMatch>
<Location "/closed/order/kept">
    DjangoPreservePost On
</Location>
<LocationMatch "^/legacy">
    DjangoCsrf On
    DjangoCsrfInject On
</LocationMatch>
<LocationMatch "^/origin">
    DjangoCsrf Origin
</LocationMatch>
ProxyPreserveHost On
ProxyPass /admin/ http://127.0.0.1:%(django)d/admin/
ProxyPassMatch "^/((closed|order|legacy|origin)(/.*)?)$" %(backend)s$1
Alias /static/admin/ %(admin)s/
<Directory %(admin)s>
Require all granted
</Directory>
AddType text/css .css
AddType text/javascript .js
AddType image/svg+xml .svg
"""

PAGE = """<!DOCTYPE html>
<html lang="en"><head><title>An application</title><link rel="icon" href="data:,"></head><body>
<p id="user">%(user)s</p><p id="asked">%(asked)s</p><p id="got">%(got)s</p>
<form method="post">%(field)s<input name="item"><button>Order</button></form>
</body></html>"""
FIELD = '<input type="hidden" name="csrfmiddlewaretoken" value="%s">'

SITE = {
    "INSTALLED_APPS": ["django.contrib." + name for name in (
        "admin", "auth", "contenttypes", "messages", "sessions")],
    "MIDDLEWARE": ["django.contrib.sessions.middleware.SessionMiddleware",
                   "django.middleware.csrf.CsrfViewMiddleware",
                   "django.contrib.auth.middleware.AuthenticationMiddleware",
                   "django.contrib.messages.middleware.MessageMiddleware"],
    "STATIC_URL": "/static/",
    "TEMPLATES": [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
                   "OPTIONS": {"context_processors": [
                       "django.template.context_processors.request",
                       "django.contrib.auth.context_processors.auth",
                       "django.contrib.messages.context_processors.messages"]}}],
}


def application(request):
    """Knows who is there by a header, and puts the token that it is told into its form."""
    method, path, headers, body = request
    told = {name.lower(): value for name, value in headers}
    token = told.get("django-csrf-token")
    answer = PAGE % {
        "user": html.escape(told.get("django-user", "")), "asked": html.escape(path),
        "got": html.escape(body.decode()) if method == "POST" else "",
        "field": FIELD % token if token else ""}
    caching = [("Cache-Control", "no-store")] if "/secret" in path else []
    return 200, [("Content-Type", "text/html; charset=utf-8"), *caching], answer.encode()


class Place:
    """An httpd with all of it, and a browser, which is where it was sent last."""

    def __init__(self, databases):
        self.site = harness.Site(databases.get("sqlite"), **SITE)
        self.site.secrets.add(PASSWORD, WRONG)
        self.site.django.run("from django.core.management import call_command\n"
                             "call_command('migrate', verbosity=0)")
        self.backend = self.site.backend()
        self.backend.answer = application
        self.httpd = self.site.httpd(CONFIG % {
            "backend": self.backend.url, "django": self.site.django.port, "admin": ADMIN})
        self.httpd.expect(193, 210)
        self.browser = None
        self.made = 0

    def user(self, **fields):
        self.made += 1
        self.site.create_user("user%d" % self.made, PASSWORD, **fields)
        return "user%d" % self.made

    def url(self, path, host=SHOP):
        return "http://%s:%d%s" % (host, self.httpd.port, path)

    def open(self, path, host=SHOP):
        self.browser.open(self.url(path, host))

    def log_in(self, name, password=PASSWORD):
        """By the page that is there."""
        self.browser.fill(username=name, password=password)
        self.browser.press("[type=submit]")

    def begin(self, path="/closed/", **fields):
        """Somebody who has just logged in and sees this page."""
        name = self.user(**fields)
        self.open(path)
        self.log_in(name)
        assert self.seen("user") == name
        return name

    def seen(self, what):
        """What the application's page tells."""
        return self.browser.find("#" + what).text

    def ordered(self):
        """The forms that the application got."""
        return [body.decode() for method, _, _, body in self.backend.seen if method == "POST"]

    def plant(self, name, text):
        """A page that is there for whoever asks."""
        (self.httpd.dir / "htdocs" / name).write_text(text)


@pytest.fixture(scope="module")
def chromium():
    made = browser.Browser()
    yield made
    made.close()


@pytest.fixture(scope="module")
def servers(databases):
    made = Place(databases)
    yield made
    made.site.close()


@pytest.fixture
def place(servers, chromium):
    servers.browser = chromium
    servers.backend.seen.clear()
    yield servers
    errors = chromium.errors()
    chromium.fresh()
    assert not errors, "told in the browser's console:\n" + "\n".join(errors)


# ---- login --------------------------------------------------------------------------------------

@pytest.mark.parametrize("scripts", [True, False], ids=["", "without JavaScript"])
def test_a_login_leads_to_the_page_that_was_asked_for_and_a_logout_ends_it(place, scripts):
    name = place.user()
    place.browser.scripts(scripts)
    place.open("/closed/list?a=b&c=%C3%A9%20%26")
    assert place.browser.url == place.url("/login?next=/closed/list%3Fa%3Db%26c%3D%25C3%25A9%2520%2526")
    place.log_in(name)
    assert place.browser.url == place.url("/closed/list?a=b&c=%C3%A9%20%26")
    assert (place.seen("user"), place.seen("asked")) == (name, "/closed/list?a=b&c=%C3%A9%20%26")
    key = place.browser.cookie("sessionid")
    place.site.secrets.add(key)
    place.open("/logout")
    place.browser.press("button")
    assert place.browser.title == "Logged out – " + SHOP
    assert "You are logged out." in place.browser.text
    assert place.browser.cookie("sessionid") is None and place.site.database.row(key) is None
    place.open("/closed/list")
    assert place.browser.url == place.url("/login?next=/closed/list")


def test_the_keyboard_is_enough(place):
    name = place.user()
    place.open("/closed/")
    here = place.browser.driver.switch_to
    for text, field in ((name, "username"), (PASSWORD, "password")):
        place.browser.wait_for_focus(field)
        here.active_element.send_keys(text, Keys.TAB)
    assert here.active_element.accessible_name == "Log in"
    with place.browser.another_page():
        here.active_element.send_keys(Keys.ENTER)
    assert place.seen("user") == name


def test_a_wrong_password_is_told_and_the_name_stays(place):
    name = place.user()
    place.open("/closed/list?a=b")
    place.log_in(name, WRONG)
    assert place.browser.find("[role=alert]").text == (
        "Please enter a correct username and password. Note that both fields may be case-sensitive.")
    told = place.browser.accessible()
    for field in ("Username", "Password"):
        said = next(node for node in told if node[:2] == ("textbox", field))
        assert said[2].startswith("Please enter a correct") and said[3]["invalid"] == "true"
    assert place.browser.find("[name=username]").get_property("value") == name
    assert place.browser.find("[name=password]").get_property("value") == ""
    place.browser.wait_for_focus("password")
    assert WRONG not in place.browser.source
    place.browser.fill(password=PASSWORD)
    place.browser.press("[type=submit]")
    assert place.seen("asked") == "/closed/list?a=b"


def test_who_guesses_is_told_to_wait(place):
    name = place.user()
    place.open("/throttled?next=/closed/")
    for password in (WRONG, WRONG, PASSWORD):
        place.log_in(name, password)
    assert place.browser.find("[role=alert]").text.startswith("Too many attempts to log in.")
    assert place.browser.cookie("sessionid") is None
    assert place.browser.find("[name=username]").get_property("value") == name


def test_the_browser_asks_for_what_is_missing(place):
    """Nothing is sent that the page knows to be of no use."""
    place.open("/login")
    place.browser.fill(username="somebody")
    place.browser.find("[type=submit]").click()
    place.browser.wait_for_focus("password")
    assert not place.browser.ask("return document.querySelector('form').checkValidity()")


def test_without_cookies_it_is_told_what_to_do(place):
    name = place.user()
    place.open("/login")
    place.browser.devtools("Network.clearBrowserCookies")
    place.log_in(name)
    assert "Please allow cookies" in place.browser.find("[role=alert]").text
    assert place.browser.find("[name=username]").get_property("value") == name
    place.log_in(name)  # they were only lost
    assert place.browser.cookie("sessionid")


def test_scripts_of_pages_cannot_read_the_session(place):
    place.begin()
    assert place.browser.cookie("sessionid") not in place.browser.ask("return document.cookie")


# ---- back, after the end ------------------------------------------------------------------------

def test_the_way_back_to_a_login_page_shows_no_password(place):
    place.begin()
    place.browser.back()
    assert place.browser.url == place.url("/login?next=/closed/")
    assert place.browser.find("[name=password]").get_property("value") == ""
    assert PASSWORD not in place.browser.source


@pytest.mark.parametrize("path, logout", [("/closed/secret", "/logout"),
                                          ("/closed/list", "/logout/and-forget")])
def test_the_way_back_after_a_logout_shows_no_protected_page(place, path, logout):
    """When the application says no-store, or the logout has the browser forget, as the README has it."""
    name = place.begin(path)
    place.open(logout)
    place.browser.press("button")
    for _ in range(2):
        place.browser.back()
        assert name not in place.browser.source
    assert place.browser.url == place.url("/login?next=" + path)


# ---- forms --------------------------------------------------------------------------------------

@pytest.mark.parametrize("path", ["/order/1", "/closed/order/1", "/legacy/1", "/origin/1"])
def test_the_applications_own_form_arrives(place, path):
    """With the field of its own, with the one that DjangoCsrfInject puts there, or with none."""
    if path.startswith("/closed"):
        place.begin(path)
    else:
        place.open(path)
    there = [e.get_attribute("value") for e in place.browser.all("[name=csrfmiddlewaretoken]")]
    assert len(there) == (path != "/origin/1")
    place.browser.fill(item="apples")
    place.browser.press("button")
    body = urllib.parse.parse_qs(place.seen("got"))
    assert body == {"item": ["apples"], **({"csrfmiddlewaretoken": there} if there else {})}


TRAP = """<!DOCTYPE html><link rel="icon" href="data:,"><title>Win!</title>
<form method="post" action="%s"><input type="hidden" name="item" value="stolen"><button>Win</button></form>
"""
FETCH = """
return fetch(arguments[0], {method: "POST", credentials: "include", body: "item=pears",
                            mode: arguments[2], headers: arguments[1]})
    .then(answer => answer.status, () => "failed")"""


def test_a_script_of_the_page_sends_the_header(place):
    place.open("/order/1")
    token = place.browser.ask("return document.querySelector('[type=hidden]').value")
    assert place.browser.ask(FETCH, "/order/2", {}, "cors") == 403
    assert place.browser.ask(FETCH, "/order/2", {"X-CSRFToken": "x" * 64}, "cors") == 403
    assert place.ordered() == []
    assert place.browser.ask(FETCH, "/order/2", {"X-CSRFToken": token}, "cors") == 200
    assert place.ordered() == ["item=pears"]


@pytest.mark.parametrize("stranger", STRANGERS)
def test_what_pages_of_another_host_send_is_refused(place, stranger):
    place.begin()
    for path in ("/order/1", "/closed/order/1", "/legacy/1", "/origin/1"):
        place.open(path)  # now there is a cookie with a token, too
        place.plant("win.html", TRAP % place.url(path))
        place.open("/win.html", stranger)
        place.browser.press("button")
        # To another site no cookie of ours is sent, and a protected page asks who it is.
        if (path, stranger) != ("/closed/order/1", STRANGERS[0]):
            assert "Forbidden" in place.browser.title, path
        assert not place.browser.all("#got")
        place.open("/win.html", stranger)
        place.browser.ask(FETCH, place.url(path), {"Content-Type": "text/plain"}, "no-cors")
    assert place.ordered() == []


# ---- how it looks -------------------------------------------------------------------------------

def show_login(place):
    place.open("/closed/list?a=b")


def show_refusal(place):
    place.open("/login")
    place.log_in("somebody", WRONG)


def show_missing_fields(place):
    place.open("/login")
    place.browser.ask("document.querySelector('form').noValidate = true")
    place.browser.press("[type=submit]")


def show_button_for_logout(place):
    place.open("/logout")


def show_end(place):
    place.open("/logout")
    place.browser.press("button")


def show_question(place):
    place.log_in(send_too_late(place, "/closed/order/kept"))


def show_not_sent(place):
    send_too_late(place, "/closed/order/1")


def show_not_carried_over(place):
    place.open("/sso?ticket=x", DESK)


SHOWN = {"login": show_login, "refusal": show_refusal, "missing fields": show_missing_fields,
         "logout": show_button_for_logout, "logged out": show_end, "question": show_question,
         "not sent": show_not_sent, "not carried over": show_not_carried_over}
shown = pytest.mark.parametrize("page", SHOWN)

#: each text, and each field's border, with its contrast (WCAG 2.1) to what is behind it
CONTRASTS = """
const parts = color => [...color.match(/[\\d.]+/g).map(Number), 1].slice(0, 4);
const over = (top, under) => top.slice(0, 3).map((v, i) => v * top[3] + under[i] * (1 - top[3]));
const behind = e => !e ? [255, 255, 255]
    : over(parts(getComputedStyle(e).backgroundColor), behind(e.parentElement));
const light = color => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
    const v = color[i] / 255;
    return sum + weight * (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
}, 0);
const contrast = (a, b) => {
    const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
};
const found = [];
for (const e of document.querySelectorAll("body *")) {
    const style = getComputedStyle(e), back = behind(e);
    const field = e.matches("input:not([type=hidden])");
    if (field || [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim())) {
        found.push(["text", e.outerHTML, contrast(over(parts(style.color), back), back)]);
    }
    if (field) {
        const around = behind(e.parentElement);
        found.push(["border", e.outerHTML, contrast(over(parts(style.borderTopColor), around), around)]);
    }
}
return found;
"""


@shown
def test_everything_can_be_read_in_the_light_and_in_the_dark(place, page):
    SHOWN[page](place)
    for dark in (False, True):
        place.browser.look(dark=dark)
        found = place.browser.ask(CONTRASTS)
        assert len(found) >= 3
        for kind, element, contrast in found:
            assert contrast >= {"text": 4.5, "border": 3}[kind], (dark, element, contrast)
        background = place.browser.ask("return getComputedStyle(document.body).backgroundColor")
        assert (max(map(int, re.findall(r"\d+", background))) < 128) == dark


@shown
def test_it_fits_on_a_phone_and_when_all_is_twice_as_large(place, page):
    """320 pixels: the narrowest phones, and a window of 640 at 200 %."""
    place.browser.look(320, 568, phone=True)
    SHOWN[page](place)
    for size in ("100%", "200%"):
        place.browser.ask("document.documentElement.style.fontSize = arguments[0]", size)
        assert place.browser.ask("return document.documentElement.scrollWidth") == 320, size
        for element in place.browser.all("input:not([type=hidden]), button, a"):
            assert element.rect["height"] >= 44 and element.rect["x"] >= 0, element.rect
            # A phone would zoom in on a field with smaller letters.
            assert float(element.value_of_css_property("font-size")[:-2]) >= 16


def test_a_low_window_shows_the_message_with_the_field_that_has_the_focus(place):
    """As on a phone that lies on its side: the browser brings the field in sight, and it alone."""
    place.browser.look(480, 300)
    show_refusal(place)
    place.browser.wait_for_focus("password")
    sides = place.browser.ask("return ['[role=alert]', ':focus'].map(selector => "
                              "document.querySelector(selector).getBoundingClientRect())")
    assert sides[0]["top"] >= 0 and sides[1]["bottom"] <= 300


CONTROLS = {
    "Log in": [("textbox", "Username"), ("textbox", "Password"), ("button", "Log in")],
    "Log out": [("button", "Log out")],
    "Logged out": [("link", "Go to " + SHOP)],
    "Send the form?": [("button", "Send the form"), ("button", "Throw it away")],
    "Not sent": [("link", "Log in")],
    "Not logged in": [("link", "Try again")],
}


@shown
def test_who_hears_the_page_gets_all_of_it(place, page):
    SHOWN[page](place)
    assert place.browser.find("html").get_attribute("lang") == "en"
    title, host = place.browser.title.split(" – ")
    assert host == (DESK if page == "not carried over" else SHOP)
    told = place.browser.accessible()
    assert [node[1] for node in told if node[0] == "heading"] == [title]
    assert len([node for node in told if node[0] == "main"]) == 1
    assert [node[:2] for node in told if node[0] in ("textbox", "button", "link")] == CONTROLS[title]
    if page == "missing fields":
        said = [(node[2], node[3]["invalid"]) for node in told if node[0] == "textbox"]
        assert said == [("This field is required.", "true")] * 2


def test_password_managers_know_what_the_fields_are_for(place):
    show_login(place)
    name, password = (place.browser.find("[name=%s]" % n) for n in ("username", "password"))
    assert name.get_property("autocomplete") == "username"
    assert (password.get_property("autocomplete"), password.get_property("type")) \
        == ("current-password", "password")
    assert name.get_property("form") == password.get_property("form")
    # A phone's keyboard leaves a name as it is typed.
    assert name.get_property("autocapitalize") == "none" and not name.get_property("spellcheck")


HOSTILE = [
    "\u202emoc.elpmaxe\u202c", "\u05e9\u05dc\u05d5\u05dd",  # from right to left
    "x" * 250, "W" * 250, "\U0001f980" * 60, "a\u0301" * 100,
    "</title><script>document.title = 'x'</script>", "\"><img src=x onerror=\"document.title = 'x'\">",
    "{{ csrf_token }}{% if login %}", "a\u2028b", "%00%0d%0a",
]


def test_whatever_is_typed_the_page_stays_what_it_is(place):
    place.browser.look(320, 568, phone=True)
    place.open("/login?" + urllib.parse.urlencode({"next": "/a\"'><b>{{title}}"}))
    for name in HOSTILE:
        place.browser.ask("document.querySelector('[name=username]').value = arguments[0]", name)
        place.browser.fill(password=WRONG)
        place.browser.press("[type=submit]")
        assert place.browser.find("[name=username]").get_property("value") == name
        assert place.browser.title == "Log in – " + SHOP
        assert place.browser.ask("return document.documentElement.scrollWidth") == 320
        assert not place.browser.all("img, b, script")
        assert place.browser.find("[name=next]").get_property("value") == "/a\"'><b>{{title}}"


# ---- forms that meet an expired login -----------------------------------------------------------

ORDER = "grüne Äpfel & \u202e\"<b>"


def send_too_late(place, path):
    """A form that was filled in when its sender's login was still good."""
    name = place.begin(path)
    place.browser.fill(item=ORDER)
    place.site.database.execute("DELETE FROM django_session")
    place.browser.press("button")
    return name


@pytest.mark.parametrize("scripts", [True, False], ids=["", "without JavaScript"])
def test_a_form_that_was_kept_is_sent_when_its_sender_says_so(place, scripts):
    place.browser.scripts(scripts)
    name = send_too_late(place, "/closed/order/kept?a=b&c=%26")
    assert place.browser.title == "Log in – " + SHOP
    place.log_in(name)
    assert place.browser.title == "Send the form? – " + SHOP
    for told in ("/closed/order/kept?a=b&c=%26", "item", name):
        assert told in [element.text for element in place.browser.all("dd")]
    assert ORDER not in place.browser.source and place.ordered() == []
    place.browser.press("[type=submit]")
    assert (place.seen("user"), place.seen("asked")) == (name, "/closed/order/kept?a=b&c=%26")
    sent, = place.ordered()
    assert urllib.parse.parse_qs(sent)["item"] == [ORDER]
    # Once: what the way back leads to sends nothing.
    place.browser.back()
    assert place.browser.title == "Not sent – " + SHOP
    place.browser.press("a")
    assert place.seen("asked") == "/closed/order/kept?a=b&c=%26" and len(place.ordered()) == 1


def test_a_form_that_was_kept_can_be_thrown_away(place):
    name = send_too_late(place, "/closed/order/kept?a=b")
    place.log_in(name)
    place.browser.press("[name=discard]")
    assert (place.seen("user"), place.seen("asked")) == (name, "/closed/order/kept?a=b")
    assert place.ordered() == []


def test_else_it_is_told_that_the_form_was_not_sent(place):
    name = send_too_late(place, "/closed/order/1?a=b")
    assert place.browser.title == "Not sent – " + SHOP
    assert "the form was not sent" in place.browser.find("[role=alert]").text
    place.browser.press("a")
    place.log_in(name)
    assert place.seen("asked") == "/closed/order/1?a=b"
    assert place.ordered() == []


# ---- two hosts ----------------------------------------------------------------------------------

def test_a_login_on_one_host_carries_to_the_other(place):
    name = place.user()
    place.open("/closed/list?a=b", DESK)
    assert urllib.parse.urlsplit(place.browser.url).netloc.startswith(SHOP)
    place.log_in(name)
    assert place.browser.url == place.url("/closed/list?a=b", DESK)
    assert (place.seen("user"), place.seen("asked")) == (name, "/closed/list?a=b")
    desk = place.browser.cookie("sessionid")
    place.open("/closed/")
    assert place.seen("user") == name
    assert place.browser.cookie("sessionid") not in (None, desk)


def test_no_ticket_is_left_behind_and_none_is_good_twice(place):
    place.begin()
    place.open("/closed/list", DESK)
    assert place.browser.url == place.url("/closed/list", DESK)
    entries = place.browser.devtools("Page.getNavigationHistory")["entries"]
    assert entries and not [entry for entry in entries if "ticket" in entry["url"]]
    log = (place.httpd.dir / "access.log").read_text()
    ticket = re.findall(r'"GET (/sso\?\S*ticket=\S+) ', log)[-1]
    place.open("/logout", DESK)
    place.browser.press("button")
    place.open(ticket, DESK)
    assert "Try again" in place.browser.text and not place.browser.cookie("sessionid")
    place.browser.press("a")  # for a new one
    assert place.browser.url == place.url("/closed/list", DESK)


# ---- Django beside it ---------------------------------------------------------------------------

def test_who_logs_in_on_djangos_page_sees_ours(place):
    name = place.user(is_staff=True)
    place.open("/closed/by-django?a=b")
    assert place.browser.title == "Log in | Django site admin"
    place.log_in(name)
    assert (place.seen("user"), place.seen("asked")) == (name, "/closed/by-django?a=b")
    # And Django's logout counts here.
    place.open("/admin/logout/")
    assert "Logged out" in place.browser.title
    place.open("/closed/")
    assert place.browser.url == place.url("/login?next=/closed/")


def test_who_logs_in_on_our_page_sees_djangos(place):
    name = place.user(is_staff=True, is_superuser=True)
    place.open("/login?next=/admin/auth/user/add/")
    place.log_in(name)
    assert place.browser.title == "Add user | Django site admin"
    assert name.upper() in place.browser.find("#user-tools").text
    # Django takes a form with the token that goes with the cookie of our login.
    place.browser.fill(username="made-by-%s" % name, password1=PASSWORD, password2=PASSWORD)
    place.browser.press("[name=_save]")
    assert "was added successfully" in place.browser.text
    # And our logout counts there.
    place.open("/logout")
    place.browser.press("button")
    place.open("/admin/")
    assert place.browser.title == "Log in | Django site admin"
