# SPDX-License-Identifier: Apache-2.0
"""User models of the site's own, on each database: Django logs in, and changes what then holds here."""
import pytest

import harness

#: name → directives, the login name that is used, what a new user must be given
MODELS = {
    "Person": ("DjangoUserTable people_person\nDjangoUsernameField email\n", "ada@example.org", "email"),
    "Member": ("DjangoUserTable people_member\nDjangoUsernameField number\n"
               "DjangoUserIdField number\n", "A-1", "number"),
    "Customer": ("DjangoUserTable kunden\nDjangoUsernameField login_name\n"
                 "DjangoUserIdField customer_no\n", "\u00c9ve", "login"),
}
PRELUDE = r"""
from django.contrib.auth import get_user_model, login
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from django.http import HttpRequest
User = get_user_model()
user = User.objects.all()
def logged_in():
    r = HttpRequest()
    r.session = SessionStore()
    login(r, User.objects.get(), "django.contrib.auth.backends.ModelBackend")
    r.session.save()
    return r.session.session_key
"""
SECTION = """
Alias "/%s/" "@DIR@/htdocs/"
<Location "/%s/">
    AuthType Django
    Require %s
</Location>
"""
CGI = """
<Location "/cgi/env">
    AuthType Django
    Require valid-user
</Location>
"""


class Place:
    def __init__(self, site, model):
        self.site, self.model = site, model
        directives, self.name, field = MODELS[model]
        self.run(PRELUDE + "with connection.schema_editor() as editor: editor.create_model(User)\n"
                 "u = User(**{%r: %r})\nu.set_password('pass-word-1')\nu.save()" % (field, self.name))
        self.server = site.httpd(directives + CGI + "".join(
            SECTION % (name, name, require) for name, require in
            [("in", "valid-user"), ("group", "django-group editors"),
             ("perm", "django-perm auth.view_group")]))
        self.server.expect("AH01631")

    def run(self, code):
        return self.site.django.run(code)

    def login(self):
        key = self.run("result = logged_in()")
        self.site.secrets.add(key)
        return key

    def status(self, path, key):
        return self.server.get(f"/{path}/page.txt", cookie=f"sessionid={key}").status

    def close(self):
        self.run("with connection.schema_editor() as editor: editor.delete_model(User)")


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def kind(request):
    return request.param


@pytest.fixture(params=MODELS)
def place(request, kind, make_site):
    made = Place(make_site(kind, AUTH_USER_MODEL="people." + request.param, INSTALLED_APPS=[
        "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
        "djangosite.people"]), request.param)
    yield made
    made.close()


def test_a_model_of_the_sites_own_logs_in_has_rights_and_loses_them(place):
    key = place.login()
    env = place.server.env(cookie=f"sessionid={key}")
    assert env["REMOTE_USER"].encode("latin-1").decode() == place.name
    assert env["DJANGO_USER_ID"] == place.run("result = str(user.get().pk)")
    assert env["DJANGO_USER_GROUPS"] == "[]"
    assert [place.status(path, key) for path in ("in", "group", "perm")] == [200, 403, 403]

    if place.model != "Member":  # which has neither
        place.run("u = user.get()\nu.groups.add(Group.objects.create(name='editors'))\n"
                  "u.user_permissions.add(Permission.objects.get(codename='view_group'))")
        assert [place.status(path, key) for path in ("in", "group", "perm")] == [200] * 3
        assert place.server.env(cookie=f"sessionid={key}")["DJANGO_USER_GROUPS"] == '["editors"]'
        place.run("user.get().groups.clear()")
        assert place.status("group", key) == 403

    if place.model == "Person":  # the only one with the column
        place.run("user.update(is_active=False)")
        assert place.status("in", key) == 401
        place.run("user.update(is_active=True)")
        assert place.status("in", key) == 200

    place.run("u = user.get()\nu.set_password('another-word-2')\nu.save()")
    assert place.status("in", key) == 401
    key = place.login()
    assert place.status("in", key) == 200
    place.run("user.delete()")
    assert place.status("in", key) == 401
