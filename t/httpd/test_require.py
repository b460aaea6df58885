# SPDX-License-Identifier: Apache-2.0
"""Require django-group, -perm, -staff, -superuser, -recent-login, -session; DjangoUnauthenticated pass."""
import re
import urllib.parse

import pytest

import harness

BROWSER = {"Accept": "text/html"}
PAGE = "page.txt"

#: name → fields; what Django then makes of them is in make_users()
USERS = {"ada": {}, "bob": {}, "sue": {"is_superuser": True}, "stan": {"is_staff": True}, "ora": {},
         "nil": {}, "iva": {"is_superuser": True, "is_staff": True}}
MAKE_USERS = r"""
from datetime import timedelta
from django.contrib.auth.models import Group, Permission, User
from django.utils import timezone
def group(name): return Group.objects.get_or_create(name=name)[0]
def perm(name): return Permission.objects.get(codename=name, content_type__app_label="auth")
User.objects.get(username="ada").groups.set([group("editors"), group("Site Editors \xe9")])
User.objects.get(username="ada").user_permissions.set([perm("view_user")])
User.objects.get(username="bob").groups.set([group("others")])
group("others").permissions.set([perm("add_user"), perm("change_group")])
User.objects.filter(username="ora").update(last_login=timezone.now() - timedelta(hours=2))
User.objects.filter(username="nil").update(last_login=None)
User.objects.filter(username="iva").update(is_active=False)
"""
#: the backend that lets inactive users in
INACTIVE = r"""
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
r = HttpRequest()
r.session = SessionStore()
login(r, User.objects.get(username="iva"), "django.contrib.auth.backends.AllowAllUsersModelBackend")
r.session.save()
result = r.session.session_key
"""
DATA = {"role": "editor", "n": 7, "yes": True, "no": False, "zero": 0, "nothing": None, "empty": [],
        "cart": {"apples": ["a b"]}}

EVERYBODY = [*USERS, "data", None]  # data: a session without a login; None: nothing at all


def answers(inside, others=403, nobody=401):
    """Status of each: 200 for those inside, then the other users, then who has not logged in."""
    return {who: 200 if who in inside else nobody if who in ("data", None) else others
            for who in EVERYBODY}


CASES = {
    "group": ("Require django-group editors", answers(["ada"])),
    "group of none": ("Require django-group nobody", answers([])),
    "group, another case": ("Require django-group Editors", answers([])),
    "groups": ("Require django-group nobody others editors", answers(["ada", "bob"])),
    "group in quotes": ('Require django-group "Site Editors \u00e9"', answers(["ada"])),
    "group by half its name": ("Require django-group Site", answers([])),
    "group by expression": ('Require django-group "%{tolower:EDITORS}"', answers(["ada"])),
    "group by path": ('Require django-group %{reqenv:GROUP}', answers(["bob"])),
    "permission of the user": ("Require django-perm auth.view_user", answers(["ada", "sue"])),
    "permission of the group": ("Require django-perm auth.add_user", answers(["bob", "sue"])),
    "permissions": ("Require django-perm auth.add_user auth.view_user",
                    answers(["ada", "bob", "sue"])),
    "permission that is none": ("Require django-perm shop.none", answers(["sue"])),
    "permission of another app": ("Require django-perm sessions.view_user", answers(["sue"])),
    "staff": ("Require django-staff", answers(["stan"])),
    "superuser": ("Require django-superuser", answers(["sue"])),
    "recent": ("Require django-recent-login 1h",
               dict(answers(["ada", "bob", "sue", "stan", "iva"]), ora=401, nil=403)),
    "recent, long": ("Require django-recent-login 3h",
                     dict(answers(["ada", "bob", "sue", "stan", "iva", "ora"]), nil=403)),
    "any": ("<RequireAny>\nRequire django-group editors\nRequire django-staff\n</RequireAny>",
            answers(["ada", "stan"])),
    "all": ("<RequireAll>\nRequire django-group editors\nRequire django-perm auth.view_user\n"
            "</RequireAll>", answers(["ada"])),
    "all, one lacks": ("<RequireAll>\nRequire django-group editors\nRequire django-staff\n"
                       "</RequireAll>", answers([])),
    "none": ("<RequireAll>\nRequire valid-user\n<RequireNone>\nRequire django-group editors\n"
             "Require django-staff\n</RequireNone>\n</RequireAll>",
             answers(["bob", "sue", "ora", "nil", "iva"])),
    "not": ("<RequireAll>\nRequire valid-user\nRequire not django-superuser\n</RequireAll>",
            answers([u for u in USERS if u != "sue"])),
    "network or group": ("<RequireAny>\nRequire ip 127.0.0.1\nRequire django-group editors\n"
                         "</RequireAny>", answers(EVERYBODY)),
    "other network or group": ("<RequireAny>\nRequire ip 192.0.2.1\nRequire django-group editors\n"
                               "</RequireAny>", answers(["ada"])),
    "network and group": ("<RequireAll>\nRequire ip 127.0.0.1\nRequire django-group editors\n"
                          "</RequireAll>", answers(["ada"])),
    "other network and group": ("<RequireAll>\nRequire ip 192.0.2.1\n"
                                "Require django-group editors\n</RequireAll>",
                                answers([], nobody=403)),
    "recent and group": ("<RequireAll>\nRequire django-recent-login 1h\n"
                         "Require django-group editors\n</RequireAll>", answers(["ada"])),
    "recent or group": ("<RequireAny>\nRequire django-recent-login 1h\n"
                        "Require django-group editors\n</RequireAny>",
                        dict(answers(["ada", "bob", "sue", "stan", "iva"]), ora=401, nil=403)),
    "not recent": ("<RequireAll>\nRequire valid-user\nRequire not django-recent-login 1h\n"
                   "</RequireAll>", answers(["ora", "nil"])),
    "forbidden said": ("Require django-group editors\nAuthzSendForbiddenOnFailure On",
                       answers(["ada"])),
    "recent, forbidden said": ("Require django-recent-login 1h\nAuthzSendForbiddenOnFailure On",
                               dict(answers(["ada", "bob", "sue", "stan", "iva"]), ora=401, nil=403)),
    "satisfy any, network": ("Order deny,allow\nDeny from all\nAllow from 127.0.0.1\nSatisfy Any\n"
                             "Require django-group editors", answers(EVERYBODY)),
    "satisfy any, group": ("Order deny,allow\nDeny from all\nSatisfy Any\n"
                           "Require django-group editors", answers(["ada"])),
    "satisfy all, group": ("Order deny,allow\nDeny from all\nSatisfy All\n"
                           "Require django-group editors", answers([], nobody=403)),
}

#: what the session holds; of the users' nothing is there
HOLDS = {
    "role": True, "role editor": True, "role author editor": True, "role author": False,
    "role Editor": False, "n 7": True, "n 07": False, "yes": True, "yes true": True, "no": False,
    "no false": True, "zero": False, "zero 0": True, "nothing": False, 'nothing ""': False,
    "empty": False, "missing": False, "/cart/apples/0": True, '/cart/apples/0 "a b"': True,
    "/cart/apples/1": False, "/cart/pears": False, "role %{reqenv:ROLE}": True,
}
for arguments, holds in HOLDS.items():
    CASES["session: " + arguments] = (
        "DjangoSession On\nRequire django-session " + arguments,
        answers(["data"] if holds else [], 403, 403))
CASES["session, login page"] = ("AuthType Django\nRequire django-session role",
                                dict(answers(["data"])))
CASES["session or login"] = ("AuthType Django\n<RequireAny>\nRequire django-session role\n"
                             "Require django-staff\n</RequireAny>", answers(["data", "stan"]))
CASES["session and login"] = ("AuthType Django\n<RequireAll>\nRequire django-session _auth_user_id\n"
                              "Require django-staff\n</RequireAll>", answers(["stan"]))
CASES["session of the user"] = ("DjangoSession On\nRequire django-session _auth_user_id",
                                answers(USERS, nobody=403))

LOCATION = ('Alias "/c%d/" "@DIR@/htdocs/"\n<Location "/c%d/">\n%s\n</Location>\n')


def configuration():
    lines = ["SetEnvIf Request_URI ^ GROUP=others ROLE=editor"]
    for i, (directives, _) in enumerate(CASES.values()):
        if "DjangoSession On" not in directives and "AuthType" not in directives:
            directives = "AuthType Django\n" + directives
        lines.append(LOCATION % (i, i, directives))
    return "\n".join(lines)


MORE = """
Alias "/perm/" "@DIR@/htdocs/"
<Location "/perm/">
    AuthType Django
    Require django-perm %{req:X-Perm}
</Location>
Alias "/recent/" "@DIR@/htdocs/"
<Location "/recent/">
    AuthType Django
    Require django-recent-login 1h
    ErrorDocument 401 /cgi/env
    ErrorDocument 403 /cgi/env
</Location>
Alias "/unprepared/" "@DIR@/htdocs/"
<Location "/unprepared/">
    Require django-session role
</Location>
<Location "/cgi/env/pass">
    AuthType Django
    DjangoUnauthenticated pass
    Require all granted
</Location>
<Location "/cgi/env/pass/in">
    Require valid-user
</Location>
<Location "/cgi/env/pass/session">
    Require django-session role
</Location>
<Location "/cgi/env/pass/closed">
    Require ip 192.0.2.1
</Location>
<Location "/cgi/env/named">
    AuthType Basic
    AuthName x
    AuthBasicProvider file
    AuthUserFile @DIR@/users
    DjangoSession On
    Require django-group editors
    Require django-perm auth.add_user
</Location>
"""


class Place:
    def __init__(self, database):
        self.site = harness.Site(database)
        for name, fields in USERS.items():
            self.site.create_user(name, **fields)
        self.site.django.run(MAKE_USERS)
        self.keys = {None: None, "data": self.site.create_session(DATA)}
        for name in USERS:
            if name not in ("iva", "ora", "nil"):
                self.keys[name] = self.site.login(name)
        for name in ("ora", "nil"):
            self.keys[name] = self.site.login(name)
        self.keys["iva"] = self.site.django.run(INACTIVE)
        self.site.secrets.add(self.keys["iva"])
        self.site.django.run(MAKE_USERS)  # the logins have told their time
        self.server = self.site.httpd(configuration() + MORE + "SetEnvIf X-TLS on HTTPS=on\n",
                                      modules=["access_compat", "auth_basic", "authn_file"])
        # SHA1 of "password"
        (self.server.dir / "users").write_text(
            "".join("%s:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n" % name for name in [*USERS, "stranger"]))
        self.server.expect("AH01629", "AH01630", "AH01631", "AH01797")

    def get(self, path, who=None, headers=()):
        key = self.keys[who]
        return self.server.get(path, headers, cookie=f"sessionid={key}" if key else None)


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def each_place(request, databases):
    made = Place(databases.get(request.param))
    yield made
    made.site.close()


@pytest.fixture(scope="module")
def place(databases):
    made = Place(databases.get("sqlite"))
    yield made
    made.site.close()


# ---- who gets in --------------------------------------------------------------------------------

def check(place, case):
    number = list(CASES).index(case)
    expected = CASES[case][1]
    found = {}
    for who in EVERYBODY:
        answer = place.get(f"/c{number}/{PAGE}", who)
        found[who] = answer.status
        assert (answer.text == "page\n") == (answer.status == 200)
        assert bool(answer.all("WWW-Authenticate")) == (answer.status == 401)
    assert found == expected


@pytest.mark.parametrize("case", CASES)
def test_who_gets_in(place, case):
    check(place, case)


@pytest.mark.parametrize("case", ["groups", "group, another case", "group in quotes", "permissions",
                                  "staff", "superuser", "recent", "session: role editor"])
def test_who_gets_in_by_each_database(each_place, case):
    check(each_place, case)


def test_permissions_are_what_django_says(place):
    compare_permissions(place)


def test_permissions_are_what_django_says_by_each_database(each_place):
    compare_permissions(each_place)


def compare_permissions(place):
    names = ["auth.view_user", "auth.add_user", "auth.change_group", "auth.delete_user", "shop.none",
             "sessions.view_user", "Auth.view_user", "auth.View_user", "auth.view_user.x", "auth.%"]
    said = place.site.django.run(
        "from django.contrib.auth.models import User\n"
        "result = [[u.has_perm(p) for p in %r] for u in "
        "(User.objects.get(username=n) for n in %r)]" % (names, list(USERS)))
    found = [[place.get("/perm/" + PAGE, who, {"X-Perm": name}).status == 200 for name in names]
             for who in USERS]
    assert found == said
    assert sum(map(sum, said)) == 13  # ten of the superuser, one and two of others


def test_what_changes_in_django_holds_at_once(each_place):
    number = list(CASES).index("group")
    try:
        each_place.site.django.run("User.objects.get(username='bob').groups.add(group('editors'))")
        assert each_place.get(f"/c{number}/{PAGE}", "bob").status == 200
    finally:
        each_place.site.django.run(MAKE_USERS)
    assert each_place.get(f"/c{number}/{PAGE}", "bob").status == 403


def test_a_value_of_an_expression_that_can_be_no_permission_is_an_error(place):
    place.server.expect(181)
    for name in ("view_user", ".x", "x."):
        assert place.get("/perm/" + PAGE, "sue", {"X-Perm": name}).status == 500
    assert place.get("/perm/" + PAGE, "sue").status == 500
    assert place.server.has_logged(r'DJS0181: Require django-perm %\{req:X-Perm\}: "view_user" can be')


def test_without_sessions_there_is_an_error_that_says_so(place):
    place.server.expect(180)
    assert place.get("/unprepared/" + PAGE, "data").status == 500
    assert place.server.has_logged("DJS0180: Require django-session: there are no sessions here")


def test_names_of_another_auth_type_are_looked_up(place):
    """mod_auth_basic says who it is; Django's tables say what they may."""
    import base64
    for name, status in {"ada": 200, "bob": 200, "sue": 200, "stan": 401, "iva": 401,
                         "stranger": 401}.items():
        token = base64.b64encode(f"{name}:password".encode()).decode()
        answer = place.server.get("/cgi/env/named", {"Authorization": "Basic " + token})
        assert answer.status == status, name
    assert place.server.get("/cgi/env/named").status == 401


# ---- a login of long ago ------------------------------------------------------------------------

def test_a_login_of_long_ago_leads_to_the_login_page_and_a_new_one_back(place):
    answer = place.get("/recent/" + PAGE + "?a=b", "ora", BROWSER)
    assert answer.status == 302 and answer.get("Cache-Control") == "no-store"
    address = urllib.parse.urlsplit(answer.get("Location"))
    assert address.path == "/accounts/login/"
    assert urllib.parse.parse_qs(address.query) == {"next": ["/recent/" + PAGE + "?a=b"]}
    asked = answer.cookie("django_login_asked")
    assert "; Secure" not in answer.get("Set-Cookie")
    assert "; Secure" in place.get("/recent/" + PAGE, "ora", dict(BROWSER, **{"X-TLS": "on"})).get(
        "Set-Cookie")
    try:
        place.site.django.run("User.objects.filter(username='ora').update(last_login=timezone.now())")
        cookie = f"sessionid={place.keys['ora']}; django_login_asked={asked}"
        assert place.server.get("/recent/" + PAGE, BROWSER, cookie=cookie).status == 200
    finally:
        place.site.django.run(MAKE_USERS)


def test_a_login_page_that_lets_old_logins_pass_makes_no_loop(place):
    """Django's LoginView with redirect_authenticated_user."""
    asked = place.get("/recent/" + PAGE, "ora", BROWSER).cookie("django_login_asked")
    cookie = f"sessionid={place.keys['ora']}; django_login_asked="
    answer = place.server.get("/recent/" + PAGE, BROWSER, cookie=cookie + asked)
    assert answer.status == 403 and not answer.all("Location")
    assert answer.json()["REDIRECT_DJANGO_SESSION_REASON"] == "not-recent"
    assert place.server.get("/recent/" + PAGE, BROWSER, cookie=cookie + "another").status == 302


def test_programs_are_told_that_the_login_is_too_old(place):
    answer = place.get("/recent/" + PAGE, "ora", {"Accept": "application/json"})
    assert answer.status == 401 and not answer.all("Set-Cookie")
    assert answer.get("WWW-Authenticate") == 'Django login="/accounts/login/"'
    answer = place.get("/recent/" + PAGE, "ora")
    assert answer.json()["REDIRECT_DJANGO_SESSION_REASON"] == "not-recent"


def test_who_never_has_a_last_login_is_not_sent_in_circles(place):
    answer = place.get("/recent/" + PAGE, "nil", BROWSER)
    assert answer.status == 403
    assert answer.json()["REDIRECT_DJANGO_SESSION_REASON"] == "not-recent"


# ---- DjangoUnauthenticated pass -----------------------------------------------------------------

def test_who_is_logged_in_is_the_user_where_nobody_must_be(place):
    env = place.get("/cgi/env/pass", "ada").json()
    assert (env["REMOTE_USER"], env["AUTH_TYPE"], env["DJANGO_USER"]) == ("ada", "Django", "ada")
    assert env["DJANGO_USER_GROUPS"] == r'["Site Editors \u00e9","editors"]'
    for who, reason in (("data", "no-login"), (None, "no-cookie")):
        answer = place.get("/cgi/env/pass", who, BROWSER)
        assert answer.status == 200
        env = answer.json()
        assert "REMOTE_USER" not in env and "DJANGO_USER" not in env
        assert env["DJANGO_SESSION_REASON"] == reason


def test_pass_lets_nobody_in_where_a_login_is_required(place):
    assert place.get("/cgi/env/pass/in", "ada").json()["REMOTE_USER"] == "ada"
    assert place.get("/cgi/env/pass/in", None, BROWSER).status == 302
    answer = place.get("/cgi/env/pass/in", "data")
    assert answer.status == 401 and answer.get("WWW-Authenticate").startswith("Django login=")
    assert place.get("/cgi/env/pass/closed", None, BROWSER).status == 403
    answer = place.get("/cgi/env/pass/closed", "ada", BROWSER)
    assert answer.status == 403


def test_pass_and_what_the_session_holds(place):
    env = place.get("/cgi/env/pass/session", "data").json()
    assert "REMOTE_USER" not in env and '"role":"editor"' in env["DJANGO_SESSION"]
    assert place.get("/cgi/env/pass/session", "ada").status == 403
    assert place.get("/cgi/env/pass/session", None, BROWSER).status == 302


# ---- without the store --------------------------------------------------------------------------

@pytest.mark.parametrize("policy", ["deny", "anonymous"])
def test_without_the_store_nothing_is_concluded(make_site, policy):
    site = make_site("postgresql")
    site.create_user("ada")
    key = site.login("ada", role="editor")
    sections = {
        "group": "AuthType Django\nRequire django-group x",
        "not": "AuthType Django\n<RequireAll>\nRequire valid-user\nRequire not django-group x\n"
               "</RequireAll>",
        "session": "DjangoSession On\nRequire django-session role",
        "no session": "DjangoSession On\n<RequireAll>\nRequire all granted\n"
                      "Require not django-session banned\n</RequireAll>",
        "pass": "AuthType Django\nDjangoUnauthenticated pass\nRequire all granted",
        "pass, in": "AuthType Django\nDjangoUnauthenticated pass\nRequire valid-user",
    }
    server = site.httpd(f"DjangoSessionOnStoreError {policy}\n" + "".join(
        LOCATION % (i, i, directives) for i, directives in enumerate(sections.values())))
    server.expect(111, r"\[dbd:", "AH01631")
    cookie = f"sessionid={key}"

    def ask():
        return {name: server.get(f"/c{i}/{PAGE}", cookie=cookie).status
                for i, name in enumerate(sections)}

    up = {"group": 403, "not": 200, "session": 200, "no session": 200, "pass": 200, "pass, in": 200}
    assert ask() == up
    site.database.server.stop()
    try:
        down = dict.fromkeys(sections, 503)
        if policy == "anonymous":
            down["pass"] = 200
        assert ask() == down
        answer = server.get(f"/c0/{PAGE}", cookie=cookie)
        assert answer.get("Retry-After") and not answer.all("Location")
    finally:
        site.database.server.start()


def test_groups_that_cannot_be_read_refuse_only_those_who_are_asked_for_them(make_site):
    """The database lets httpd read users, but not their groups."""
    site = make_site("postgresql")
    site.create_user("ada")
    key = site.login("ada")
    site.database.execute("ALTER TABLE auth_group RENAME TO auth_group_away")
    try:
        server = site.httpd("".join(LOCATION % (i, i, "AuthType Django\n" + r) for i, r in enumerate(
            ["Require valid-user", "Require django-group x"])))
        server.expect(111, 115)
        cookie = f"sessionid={key}"
        assert server.get(f"/c0/{PAGE}", cookie=cookie).status == 200
        assert server.get(f"/c1/{PAGE}", cookie=cookie).status == 503
        assert server.get(f"/c0/{PAGE}", cookie=cookie).status == 200
        assert server.has_logged("DJS0115: cannot read the groups in table .auth_user_groups.")
    finally:
        site.database.execute("ALTER TABLE auth_group_away RENAME TO auth_group")


# ---- what can never match -----------------------------------------------------------------------

WRONG = {
    "Require django-group": "name of a group is needed",
    'Require django-group ""': "name of a group is needed",
    "Require django-perm": "a permission is needed",
    "Require django-perm view_user": '"view_user" can be no permission',
    "Require django-perm auth.view_user view_user": '"view_user" can be no permission',
    "Require django-perm .view_user": '".view_user" can be no permission',
    "Require django-perm auth.": '"auth." can be no permission',
    "Require django-staff now": "take no arguments",
    "Require django-superuser root": "take no arguments",
    "Require django-session": "a SELECTOR is needed",
    "Require django-session /a~2": '"/a~2" is no SELECTOR',
    "Require django-session /a~": '"/a~" is no SELECTOR',
    "Require django-recent-login": "one DURATION is needed",
    "Require django-recent-login soon": '"soon" is no duration',
    "Require django-recent-login 0": "no login is ever younger",
    "Require django-recent-login -1s": '"-1s" is no duration',
    "Require django-recent-login 1h 2h": "one DURATION is needed",
    "Require django-group %{nothing}": "",
    "Require django-group %{req:X": "",
}


def test_what_can_never_match_stops_the_start(site):
    server = site.httpd("AuthType Django\n@REQUIRE@", start=False)
    template = (server.dir / "httpd.conf").read_text()
    for require, why in WRONG.items():
        (server.dir / "httpd.conf").write_text(template.replace(
            "AuthType Django\n@REQUIRE@", f'<Location "/x">\nAuthType Django\n{require}\n</Location>'))
        status, output = server.configtest()
        assert status == 1, (require, output)
        assert "Syntax error on line" in output and why in output, (require, output)
        assert re.search(re.escape(require.split()[1]) + "|arguments|expression", output), output


def test_htaccess_files_may_require_too(place):
    folder = place.server.dir / "htdocs" / "inner"
    folder.mkdir()
    (folder / PAGE).write_text("page\n")
    (folder / ".htaccess").write_text("AuthType Django\nRequire django-group editors\n")
    config = place.server.dir / "httpd.conf"
    if "AllowOverride AuthConfig" not in config.read_text():
        with config.open("a") as file:
            file.write(f'<Directory "{folder}">\nAllowOverride AuthConfig\n</Directory>\n')
        place.server.graceful()
    assert place.get("/inner/" + PAGE, "ada").status == 200
    assert place.get("/inner/" + PAGE, "bob").status == 403
    assert place.get("/inner/" + PAGE).status == 401
    place.server.expect("AH00526|inner/.htaccess")
    (folder / ".htaccess").write_text("AuthType Django\nRequire django-perm nodot\n")
    assert place.get("/inner/" + PAGE, "sue").status == 500
