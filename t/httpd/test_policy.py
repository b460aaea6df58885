# SPDX-License-Identifier: Apache-2.0
"""How long sessions live: sliding expiry, a hard end, keys in addresses, clean-up of what is over."""
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
