# SPDX-License-Identifier: Apache-2.0
"""Logins, Basic, rights and CSRF under each MPM. Under prefork each request has a process of its own: what
is counted and remembered is everybody's."""
import base64
import types
import urllib.parse

import pytest

import harness
from test_login import FORM, PASSWORD, WRONG, Visitor

CONFIG = """
DjangoPasswordHashers md5
<IfModule mpm_prefork_module>
MaxConnectionsPerChild 1
</IfModule>
<Location "/login">
SetHandler django-login
DjangoLoginThrottle 3/1h 50/1h
</Location>
<Location "/logout">
SetHandler django-logout
</Location>
<Location "/closed/">
AuthType Django
DjangoLoginURL /login
Require django-perm auth.view_user
</Location>
<Location "/basic/">
AuthType Basic
AuthName "here"
AuthBasicProvider django
Require valid-user
DjangoBasicCache 1h
DjangoLoginThrottle 3/1h 50/1h
</Location>
<Location "/guarded/">
DjangoCsrf On
</Location>
""" + "".join(f'ScriptAlias /{name}/ "@DIR@/cgi/"\n' for name in ("closed", "basic", "guarded"))


@pytest.fixture(scope="module", params=["prefork", "worker", "event"])
def place(request, databases):
    site = harness.Site(databases.get("sqlite"))
    site.secrets.add(PASSWORD, WRONG)
    httpd = site.httpd(CONFIG, modules=["auth_basic"], mpm=request.param)
    httpd.expect(193, 210, "AH0161[78]: ", "AH01631: ")
    made = types.SimpleNamespace(site=site, httpd=httpd, mpm=request.param)
    yield made
    site.close()


def basic(place, name, password=PASSWORD):
    given = base64.b64encode(f"{name}:{password}".encode()).decode()
    return place.httpd.get("/basic/env", [("Authorization", "Basic " + given)])


def test_in_and_out_and_by_right_only(place):
    name = f"in-{place.mpm}"
    place.site.create_user(name, PASSWORD)
    visitor = Visitor(place)
    there = visitor.get("/closed/env")
    assert there.status == 302 and there.get("Location") == "/login?next=/closed/env"
    assert visitor.log_in(name, WRONG).status == 200
    there = visitor.submit(there.get("Location"), username=name, password=PASSWORD,
                           next="/closed/env")
    assert there.status == 302 and there.get("Location") == "/closed/env"
    assert visitor.get("/closed/env").status == 403
    place.site.django.run(
        "from django.contrib.auth.models import Permission, User\n"
        "User.objects.get(username=%r).user_permissions.add("
        "Permission.objects.get(codename='view_user'))\nresult = 1" % name)
    assert visitor.get("/closed/env").json()["REMOTE_USER"] == name
    assert visitor.submit("/logout").status == 200
    assert visitor.get("/closed/env").status == 302


def test_tries_are_counted_for_all_processes_together(place):
    name = f"guessed-{place.mpm}"
    place.site.create_user(name, PASSWORD)
    seen = [Visitor(place).log_in(name, WRONG).status for _ in range(2)]
    seen += [basic(place, name, WRONG).status]
    assert seen == [200, 200, 401]
    assert basic(place, name).status == 429
    assert Visitor(place).log_in(name).status == 429


def test_what_one_process_verified_another_remembers(place):
    name = f"basic-{place.mpm}"
    place.site.create_user(name, PASSWORD)
    before = place.httpd.log.count("DJS0195: ")
    assert [basic(place, name).status for _ in range(4)] == [200] * 4
    assert place.httpd.log.count("DJS0195: ") == before + 1
    assert basic(place, name, WRONG).status == 401


def test_a_token_of_one_process_is_good_at_another(place):
    page = place.httpd.get("/guarded/form")
    cookie = "csrftoken=" + page.cookie("csrftoken")
    token = Visitor(place).token(page)
    for fields, status in [({"csrfmiddlewaretoken": token}, 200), ({}, 403)]:
        answer = place.httpd.post("/guarded/body", urllib.parse.urlencode(fields), FORM, cookie)
        assert answer.status == status
