# SPDX-License-Identifier: Apache-2.0
"""
DjangoUserCache. Sessions are in signed cookies here, so that a request whose user is remembered has
nothing to ask of the database: it may be down.
"""
import pytest

LOGIN = r"""
from django.contrib.auth import login
from django.contrib.auth.models import Group, User
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.http import HttpRequest
def logged_in(name):
    r = HttpRequest()
    r.session = SessionStore()
    login(r, User.objects.get(username=name), "django.contrib.auth.backends.ModelBackend")
    r.session.save()
    return r.session.session_key
"""
CONFIG = """
DjangoSessionEngine signed_cookies
Alias "/cached/" "@DIR@/htdocs/"
<Location "/cached/">
    AuthType Django
    DjangoUserCache 1h
    Require valid-user
</Location>
Alias "/editors/" "@DIR@/htdocs/"
<Location "/editors/">
    AuthType Django
    DjangoUserCache 1h
    <RequireAll>
        Require django-group editors
        Require django-perm auth.view_user
        Require django-recent-login 1h
    </RequireAll>
</Location>
Alias "/fresh/" "@DIR@/htdocs/"
<Location "/fresh/">
    AuthType Django
    Require valid-user
</Location>
"""


class Place:
    def __init__(self, site):
        self.site = site
        for name in ("ada", "bob"):
            site.create_user(name)
        site.django.run(LOGIN + "from django.contrib.auth.models import Permission\n"
                        "u = User.objects.get(username='ada')\n"
                        "u.groups.add(Group.objects.create(name='editors'))\n"
                        "u.user_permissions.add(Permission.objects.get(codename='view_user'))")
        self.server = site.httpd(CONFIG)
        self.server.expect(111, r"\[dbd:", "AH01631")

    def login(self, name):
        value = self.site.django.run("result = logged_in(%r)" % name)
        self.site.secrets.add(value)
        return value

    def get(self, path, cookie):
        return self.server.get(path + "page.txt", cookie="sessionid=" + cookie).status


@pytest.fixture
def place(make_site):
    return Place(make_site("postgresql"))


def test_for_a_user_who_is_remembered_the_database_is_not_asked(place):
    ada, bob = place.login("ada"), place.login("bob")
    assert [place.get(path, ada) for path in ("/cached/", "/editors/", "/fresh/")] == [200] * 3
    place.site.database.server.stop()
    try:
        for _ in range(6):  # whichever process answers
            assert place.get("/cached/", ada) == 200
            assert place.get("/editors/", ada) == 200
        assert place.get("/fresh/", ada) == 503
        assert place.get("/cached/", bob) == 503
        assert place.get("/cached/", ada) == 200
        place.server.graceful()
        assert place.get("/cached/", ada) == 200
    finally:
        place.site.database.server.start()


def test_no_change_keeps_anybody_out_who_may_come_in(place):
    old = place.login("ada")
    assert place.get("/cached/", old) == 200
    place.site.django.run("u = User.objects.get(username='ada')\nu.set_password('another-1')\nu.save()")
    assert place.get("/fresh/", old) == 401
    new = place.login("ada")
    assert place.get("/cached/", new) == 200
    assert place.get("/cached/", old) == 401, "the new login has told of the new password"
    place.site.django.run("User.objects.filter(username='ada').update(is_active=False)")
    assert place.get("/fresh/", new) == 401
    assert place.get("/cached/", new) == 200, "for as long as the directive says"


def test_a_new_login_is_recent_whatever_is_remembered(place):
    key = place.login("ada")
    past = "from datetime import timedelta\nfrom django.utils import timezone\n" \
           "User.objects.update(last_login=timezone.now() - timedelta(hours=2))"
    place.site.django.run(past)
    assert place.get("/editors/", key) == 401
    new = place.login("ada")  # which writes the last_login, without our knowing
    assert place.get("/editors/", new) == 200
