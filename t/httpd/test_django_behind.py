# SPDX-License-Identifier: Apache-2.0
"""
The application is the Django site itself, behind the module on the same sessions: what Django saves and
sends is what counts, and nothing is saved over it. The module is told to save at every request, which
is where the two would get in each other's way.
"""
import json
import urllib.parse

import pytest

import harness

ENGINES = ["db", "file", "signed_cookies"]


@pytest.fixture(params=ENGINES)
def behind(request, make_site):
    """(site, server) with Django at /dj/ behind the module."""
    folder = harness.Folder("sessions")
    site = make_site(SESSION_ENGINE="django.contrib.sessions.backends." + request.param,
                     SESSION_FILE_PATH=str(folder.path))
    site.create_user("ada")
    yield site, site.httpd(f"""
DjangoSessionEngine {request.param}
DjangoSessionFilePath {folder.path}
DjangoSession On
DjangoSessionUpdate On
DjangoSessionSaveEveryRequest On
DjangoSessionHeader On
ProxyPass /dj/ http://127.0.0.1:{site.django.port}/dj/
""")
    folder.close()


class Browser:
    """One that has the session's cookie, and sees that each answer has at most one of them."""

    def __init__(self, server):
        self.client = server.client(cookies=True)

    def ask(self, path, status=200, cookies=1, method="GET", body=None, headers=()):
        answer = self.client.request(method, path, headers, body)
        assert answer.status == status, answer
        assert len([c for c in answer.all("Set-Cookie") if c.startswith("sessionid=")]) == cookies
        return answer

    def page(self, **query):
        return self.ask("/dj/session?" + urllib.parse.urlencode(query)).json()

    @property
    def key(self):
        return self.client.jar.get("sessionid")


def test_what_django_saves_is_not_saved_over(behind):
    browser = Browser(behind[1])
    assert browser.page(set='{"a": 1}') == {"a": 1}
    first = browser.key
    assert browser.page(set='{"a": 2, "b": 1}') == {"a": 2, "b": 1}
    assert browser.page() == {"a": 2, "b": 1}  # the module saved here, and nothing else
    assert browser.page(set='{"a": 3}') == {"a": 3, "b": 1}
    assert browser.page() == {"a": 3, "b": 1}
    assert browser.key == first or behind[0].settings["SESSION_ENGINE"].endswith("signed_cookies")


def test_what_django_ends_is_over(behind):
    site, server = behind
    browser = Browser(server)
    browser.page(set='{"a": 1}')
    old = browser.key
    assert browser.page(flush=1) == {} and browser.key is None
    assert browser.ask("/dj/session", cookies=0).json() == {}
    if not site.settings["SESSION_ENGINE"].endswith("signed_cookies"):
        env = server.env(cookie="sessionid=" + old)
        assert (env["DJANGO_SESSION_STATUS"], env["DJANGO_SESSION_REASON"]) == ("new", "unknown-key")


def test_a_login_and_a_logout_of_django_are_djangos(behind):
    site, server = behind
    browser = Browser(server)
    browser.page(set='{"cart": 1}')
    before = browser.key
    form = urllib.parse.urlencode({"username": "ada", "password": "pass-word-1"})
    token = browser.client.jar["csrftoken"] = "a" * 64
    browser.ask("/dj/login", 302, method="POST", body=form, headers={
        "Content-Type": "application/x-www-form-urlencoded", "X-CSRFToken": token})
    assert browser.key != before
    assert browser.ask("/dj/whoami").json() == {"user": "ada"}
    assert json.loads(server.env(cookie="sessionid=" + browser.key)["DJANGO_SESSION"]) == {"cart": 1}
    browser.ask("/dj/logout")
    assert browser.key is None and browser.ask("/dj/whoami", cookies=0).json() == {"user": None}
