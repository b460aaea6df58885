# SPDX-License-Identifier: Apache-2.0
"""How long sessions live: sliding expiry, a hard end, keys in addresses, clean-up of what is over."""
import json
import re

from test_session import reply, update

ON = "DjangoSession On\nDjangoSessionUpdate On\n"
DAY = 86400


def seconds_left(site, key):
    """What Django says of the row's end."""
    return site.django.run(
        "from django.contrib.sessions.models import Session\n"
        "from django.utils import timezone\n"
        "result = (Session.objects.get(pk=%r).expire_date - timezone.now()).total_seconds()" % key)


def let_pass(site, key, seconds):
    """As if the session had been saved so much earlier."""
    site.django.run(
        "from django.contrib.sessions.models import Session\n"
        "import datetime\n"
        "s = Session.objects.get(pk=%r)\n"
        "s.expire_date -= datetime.timedelta(seconds=%r)\n"
        "s.save()" % (key, seconds))


def max_age(answer):
    found = re.search(r"Max-Age=(-?\d+)", answer.get("Set-Cookie", ""))
    return int(found.group(1)) if found else None


# ---- DjangoSessionSaveInterval ------------------------------------------------------------------

def test_a_save_interval_prolongs_a_session_without_a_write_each_time(each_site):
    key = each_site.create_session({"a": 1})
    server = each_site.httpd(ON + "DjangoSessionSaveEveryRequest On\n"
                             "DjangoSessionSaveInterval 1d\n")
    cookie = f"sessionid={key}"
    before = each_site.database.row(key)
    for _ in range(3):
        answer = server.get("/page.txt", cookie=cookie)
        assert answer.status == 200 and not answer.all("Set-Cookie")
    assert each_site.database.row(key) == before
    let_pass(each_site, key, DAY - 600)
    before = each_site.database.row(key)
    assert not server.get("/page.txt", cookie=cookie).all("Set-Cookie")
    assert each_site.database.row(key) == before
    let_pass(each_site, key, 600)
    answer = server.get("/page.txt", cookie=cookie)
    assert answer.cookie() == key and max_age(answer) == 14 * DAY and "Cookie" in answer.vary
    assert seconds_left(each_site, key) > 14 * DAY - 600
    assert not server.get("/page.txt", cookie=cookie).all("Set-Cookie")
    # A change is saved at once.
    answer = server.get(reply(update(set={"b": 2})), cookie=cookie)
    assert answer.cookie() == key and each_site.read_session(key) == {"a": 1, "b": 2}


def test_each_section_has_its_own_save_interval(site):
    key = site.create_session({"a": 1})
    server = site.httpd(ON + """DjangoSessionSaveEveryRequest On
DjangoSessionSaveInterval 1d
<Location "/each.txt">
DjangoSessionSaveInterval 0
</Location>
<Directory "@DIR@/htdocs">
AllowOverride AuthConfig
</Directory>
""")
    (server.dir / "htdocs" / "each.txt").write_text("each")
    folder = server.dir / "htdocs" / "tenant"
    folder.mkdir()
    (folder / "page.txt").write_text("page")
    (folder / ".htaccess").write_text("DjangoSessionSaveInterval 1h\n")
    let_pass(site, key, 2 * 3600)
    cookie = f"sessionid={key}"
    assert server.get("/page.txt", cookie=cookie).cookie() is None
    assert server.get("/tenant/page.txt", cookie=cookie).cookie() == key
    assert server.get("/tenant/page.txt", cookie=cookie).cookie() is None
    assert server.get("/each.txt", cookie=cookie).cookie() == key


def test_a_stored_date_is_left_where_it_is(site):
    """Sliding moves no date that the application has set."""
    key = site.create_session({"a": 1})
    site.django.run(
        "from django.contrib.sessions.backends.db import SessionStore\n"
        "from django.utils import timezone\n"
        "import datetime\n"
        "s = SessionStore(%r)\n"
        "s['_session_expiry'] = (timezone.now() + datetime.timedelta(hours=1)).isoformat()\n"
        "s.get_expiry_date = lambda **kw: datetime.datetime.fromisoformat(s['_session_expiry'])\n"
        "s.save()" % key)
    before = site.database.row(key)
    server = site.httpd(ON + "DjangoSessionSaveEveryRequest On\nDjangoSessionSaveInterval 1d\n")
    assert not server.get("/page.txt", cookie=f"sessionid={key}").all("Set-Cookie")
    assert site.database.row(key) == before


# ---- DjangoSessionMaxLifetime -------------------------------------------------------------------

def began_ago(site, key, seconds):
    """As if the session had begun so long ago; its row ends when Django says."""
    site.django.run(
        "from django.contrib.sessions.backends.db import SessionStore\n"
        "import time\n"
        "s = SessionStore(%r)\n"
        "s['_session_started'] = int(time.time()) - %r\n"
        "s.save()" % (key, seconds))


def start_of(site, key):
    return (site.read_session(key) or {}).get("_session_started")


def now(site):
    return site.django.run("import time\nresult = time.time()")


def test_a_lifetime_begins_when_a_session_of_django_is_met_and_nothing_puts_it_off(each_site):
    key = each_site.create_session({"a": 1})
    server = each_site.httpd(ON + "DjangoSessionMaxLifetime 8h\nDjangoSessionSaveEveryRequest On\n")
    before = now(each_site)
    answer = server.get("/cgi/env", cookie=f"sessionid={key}")
    env = answer.json()
    assert json.loads(env["DJANGO_SESSION"]) == {"a": 1}
    assert int(before) <= start_of(each_site, key) <= now(each_site)
    assert before + 8 * 3600 - 1 <= int(env["DJANGO_SESSION_EXPIRES"]) <= now(each_site) + 8 * 3600
    assert answer.cookie() == key and 8 * 3600 - 600 < max_age(answer) <= 8 * 3600
    assert seconds_left(each_site, key) <= 8 * 3600
    began_ago(each_site, key, 7 * 3600)
    for operations in ({"set": {"b": 2}}, {"clear": True}, {"expiry": 86400}, {"cycle_key": True}):
        answer = server.get(reply(update(**operations)), cookie=f"sessionid={key}")
        key = answer.cookie()
        assert answer.status == 200 and 3600 - 600 < max_age(answer) <= 3600
        assert 3600 - 600 < seconds_left(each_site, key) <= 3600


def test_a_session_of_ours_says_when_it_began(site):
    server = site.httpd(ON + "DjangoSessionMaxLifetime 30m\n")
    before = now(site)
    key = server.get(reply(update(set={"a": 1}))).cookie()
    assert int(before) <= start_of(site, key) <= now(site)
    assert seconds_left(site, key) <= 1800
    began_ago(site, key, 1000)
    answer = server.get(reply(update(flush=True, set={"a": 2})), cookie=f"sessionid={key}")
    assert answer.cookie() != key and start_of(site, answer.cookie()) >= int(before)


def test_after_its_lifetime_a_session_opens_nothing(each_site):
    each_site.create_user("ada")
    key = each_site.login("ada")
    server = each_site.httpd("""
<Location "/closed">
AuthType Django
Require valid-user
DjangoSessionMaxLifetime 8h
</Location>
<Location "/cgi">
DjangoSession On
DjangoSessionUpdate On
DjangoSessionMaxLifetime 8h
</Location>
Alias /closed "@DIR@/htdocs"
""")
    cookie = f"sessionid={key}"
    assert server.get("/closed/page.txt", cookie=cookie).status == 200
    began_ago(each_site, key, 8 * 3600 - 600)
    assert server.get("/closed/page.txt", cookie=cookie).status == 200
    began_ago(each_site, key, 8 * 3600)
    answer = server.get("/closed/page.txt", cookie=cookie)
    assert answer.status == 401 and "page" not in answer.text
    assert "expired max-lifetime" in (server.dir / "access.log").read_text()
    answer = server.get("/cgi/env", cookie=cookie)
    env = answer.json()
    assert (env["DJANGO_SESSION_STATUS"], env["DJANGO_SESSION_REASON"]) == ("expired",
                                                                            "max-lifetime")
    assert env["DJANGO_SESSION"] == "{}" and answer.cookie() in ("", '""')
    answer = server.get(reply(update(set={"b": 2})), cookie=cookie)
    assert answer.cookie() != key and "_auth_user_id" not in each_site.read_session(answer.cookie())


def test_django_behind_the_module_cannot_put_off_the_end_by_saving_each_time(make_site):
    site = make_site(SESSION_SAVE_EVERY_REQUEST=True)
    key = site.create_session({"a": 1})
    server = site.httpd('<Location "/dj">\nDjangoSession On\nDjangoSessionMaxLifetime 8h\n'
                        f'</Location>\nProxyPass /dj http://127.0.0.1:{site.django.port}/dj\n')
    cookie = f"sessionid={key}"
    answer = server.get("/dj/session?set=%7B%22b%22:2%7D", cookie=cookie)
    assert answer.json() == {"a": 1, "b": 2} and len(answer.all("Set-Cookie")) == 1
    start = start_of(site, key)
    assert start is not None and site.read_session(key)["b"] == 2
    for _ in range(2):
        server.get("/dj/session", cookie=cookie)
        assert start_of(site, key) == start
    began_ago(site, key, 8 * 3600)
    server.get("/dj/session", cookie=cookie)
    assert "expired max-lifetime" in (server.dir / "access.log").read_text()


def test_a_tenant_may_shorten_lifetimes_and_None_takes_a_limit_back(site):
    key = site.create_session({"a": 1})
    began_ago(site, key, 7200)
    server = site.httpd("""DjangoSession On
DjangoSessionMaxLifetime 3h
<Directory "@DIR@/cgi">
AllowOverride AuthConfig
</Directory>
""")
    file = server.dir / "cgi" / ".htaccess"
    for text, status in (("", "active"), ("DjangoSessionMaxLifetime 1h\n", "expired"),
                         ("DjangoSessionMaxLifetime None\n", "active")):
        file.write_text(text)
        assert server.env(cookie=f"sessionid={key}")["DJANGO_SESSION_STATUS"] == status
