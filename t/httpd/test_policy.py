# SPDX-License-Identifier: Apache-2.0
"""How long sessions live: sliding expiry, a hard end, keys in addresses, clean-up of what is over."""
import json
import os
import re
import subprocess
import threading
import time

import pytest

import harness
import servers
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

@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_save_interval_prolongs_a_session_without_a_write_each_time(make_site, kind):
    site = make_site(kind)
    key = site.create_session({"a": 1})
    server = site.httpd(ON + "DjangoSessionSaveEveryRequest On\n"
                             "DjangoSessionSaveInterval 1d\n")
    cookie = f"sessionid={key}"
    before = site.database.row(key)
    for _ in range(3):
        answer = server.get("/page.txt", cookie=cookie)
        assert answer.status == 200 and not answer.all("Set-Cookie")
    assert site.database.row(key) == before
    let_pass(site, key, DAY - 600)
    before = site.database.row(key)
    assert not server.get("/page.txt", cookie=cookie).all("Set-Cookie")
    assert site.database.row(key) == before
    let_pass(site, key, 600)
    answer = server.get("/page.txt", cookie=cookie)
    assert answer.cookie() == key and max_age(answer) == 14 * DAY and "Cookie" in answer.vary
    assert seconds_left(site, key) > 14 * DAY - 600
    assert not server.get("/page.txt", cookie=cookie).all("Set-Cookie")
    # A change is saved at once.
    answer = server.get(reply(update(set={"b": 2})), cookie=cookie)
    assert answer.cookie() == key and site.read_session(key) == {"a": 1, "b": 2}


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


def test_a_lifetime_begins_when_a_session_of_django_is_met_and_nothing_puts_it_off(site):
    key = site.create_session({"a": 1})
    server = site.httpd(ON + "DjangoSessionMaxLifetime 8h\nDjangoSessionSaveEveryRequest On\n")
    before = now(site)
    answer = server.get("/cgi/env", cookie=f"sessionid={key}")
    env = answer.json()
    assert json.loads(env["DJANGO_SESSION"]) == {"a": 1}
    assert int(before) <= start_of(site, key) <= now(site)
    assert before + 8 * 3600 - 1 <= int(env["DJANGO_SESSION_EXPIRES"]) <= now(site) + 8 * 3600
    assert answer.cookie() == key and 8 * 3600 - 600 < max_age(answer) <= 8 * 3600
    assert seconds_left(site, key) <= 8 * 3600
    began_ago(site, key, 7 * 3600)
    for operations in ({"set": {"b": 2}}, {"clear": True}, {"expiry": 86400}, {"cycle_key": True}):
        answer = server.get(reply(update(**operations)), cookie=f"sessionid={key}")
        key = answer.cookie()
        assert answer.status == 200 and 3600 - 600 < max_age(answer) <= 3600
        assert 3600 - 600 < seconds_left(site, key) <= 3600


def test_a_session_of_ours_says_when_it_began(site):
    server = site.httpd(ON + "DjangoSessionMaxLifetime 30m\n")
    before = now(site)
    key = server.get(reply(update(set={"a": 1}))).cookie()
    assert int(before) <= start_of(site, key) <= now(site)
    assert seconds_left(site, key) <= 1800
    began_ago(site, key, 1000)
    answer = server.get(reply(update(flush=True, set={"a": 2})), cookie=f"sessionid={key}")
    assert answer.cookie() != key and start_of(site, answer.cookie()) >= int(before)


def test_after_its_lifetime_a_session_opens_nothing(site):
    site.create_user("ada")
    key = site.login("ada")
    server = site.httpd("""
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
    began_ago(site, key, 8 * 3600 - 600)
    assert server.get("/closed/page.txt", cookie=cookie).status == 200
    began_ago(site, key, 8 * 3600)
    answer = server.get("/closed/page.txt", cookie=cookie)
    assert answer.status == 401 and "page" not in answer.text
    harness.wait_until(lambda: "expired max-lifetime" in (server.dir / "access.log").read_text(),
                       "the line that httpd writes behind the answer")
    answer = server.get("/cgi/env", cookie=cookie)
    env = answer.json()
    assert (env["DJANGO_SESSION_STATUS"], env["DJANGO_SESSION_REASON"]) == ("expired",
                                                                            "max-lifetime")
    assert env["DJANGO_SESSION"] == "{}" and answer.cookie() in ("", '""')
    answer = server.get(reply(update(set={"b": 2})), cookie=cookie)
    assert answer.cookie() != key and "_auth_user_id" not in site.read_session(answer.cookie())


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
    harness.wait_until(lambda: "expired max-lifetime" in (server.dir / "access.log").read_text(),
                       "the line that httpd writes behind the answer")


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


# ---- DjangoSessionUrlParam ----------------------------------------------------------------------

PARAM = ON + """
<Location "/other">
DjangoSessionUrlParam None
</Location>
DjangoSessionUrlParam sid
DjangoSessionEnv On
Alias /other "@DIR@/cgi"
<Directory "@DIR@/cgi">
SetHandler cgi-script
Options +ExecCGI
</Directory>
ErrorDocument 404 /cgi/env
"""


def with_param(site, config=PARAM, **options):
    server = site.httpd(config, **options)
    server.expect(107)
    return server


def status_of(env):
    return env["DJANGO_SESSION_STATUS"], env.get("DJANGO_SESSION_REASON")


def is_kept_private(answer):
    return answer.get("Referrer-Policy") == "no-referrer" \
        and "private" in ", ".join(answer.all("Cache-Control"))


def test_a_key_in_the_address_counts_where_it_may_and_no_cookie_came(site):
    key = site.create_session({"a": 1})
    other = site.create_session({"a": 2})
    server = with_param(site)
    for query in (f"sid={key}", f"x=1&sid={key}", f"%73id={key[:5]}%{ord(key[5]):x}{key[6:]}",
                  f"sid=strayabcdefgh&sid={key}"):
        answer = server.get("/cgi/env?" + query)
        env = answer.json()
        assert status_of(env) == ("active", None) and json.loads(env["DJANGO_SESSION"]) == {"a": 1}
        assert is_kept_private(answer) and "Cookie" in answer.vary
    env = server.env(f"/cgi/env?sid={key}", cookie=f"sessionid={other}")
    assert json.loads(env["DJANGO_SESSION"]) == {"a": 2}
    env = server.env(f"/cgi/env?sid={key}", cookie="sessionid=strayabcdefgh")
    assert status_of(env) == ("new", "unknown-key")
    answer = server.get("/other/env?x=1&sid=somethingelse")
    assert status_of(answer.json()) == ("new", "no-cookie")
    assert answer.json()["QUERY_STRING"] == "x=1&sid=somethingelse"
    assert answer.get("Referrer-Policy") is None


def test_a_key_that_nobody_gave_is_not_taken_from_an_address(site):
    server = with_param(site)
    answer = server.get(reply("Django-Session-Set: b=2") + "&sid=abcdefghijklmnopqrstuvwxyz012345")
    assert answer.status == 200 and is_kept_private(answer)
    assert answer.cookie() not in (None, "abcdefghijklmnopqrstuvwxyz012345")
    assert site.database.execute("SELECT count(*) FROM django_session")[0][0] == 1
    assert not server.get("/cgi/env?sid=abcdefgh12345678").all("Set-Cookie")


def test_the_application_and_its_redirects_do_not_see_the_key(site):
    key = site.create_session({"a": 1})
    backend = site.backend()
    backend.answer = lambda request: (302, [("Location", request[1])], json.dumps(
        [request[1], request[2]]).encode())
    server = with_param(site, PARAM + f"""
ProxyPass /app/ {backend.url}
ProxyPass /raw/ {backend.url} nocanon
RewriteEngine On
RewriteRule ^/moved(.*) /there$1 [R]
RewriteRule ^/inside /cgi/env [PT]
DjangoSessionHeader On
<Location "/closed">
AuthType Django
Require valid-user
DjangoUnauthenticated redirect
</Location>
""")
    (server.dir / "htdocs" / "folder").mkdir()
    for query, rest in ((f"?sid={key}", ""), (f"?a=1&sid={key}&b", "?a=1&b")):
        for path in ("/app/x", "/raw/x"):
            answer = server.get(path + query)
            assert backend.seen[-1][1] == "/x" + rest
            assert dict(backend.seen[-1][2])["Django-Session"] == '{"a":1}'
            assert key not in answer.text and key not in answer.get("Location")
            assert is_kept_private(answer)
        env = server.env("/cgi/env" + query)
        assert env["REQUEST_URI"] == "/cgi/env" + rest and env["QUERY_STRING"] == rest[1:]
        assert key not in json.dumps(env)
        for path, target in (("/folder", "/folder/"), ("/moved", "/there")):
            answer = server.get(path + query)
            assert answer.status in (301, 302) and key not in answer.text
            assert answer.get("Location").endswith(target + rest) and is_kept_private(answer)
        env = server.env("/inside" + query)
        assert status_of(env) == ("active", None) and key not in json.dumps(env)
        answer = server.get("/closed/x" + query)
        assert answer.status == 302 and key not in str(answer.headers)
        answer = server.get("/nowhere" + query)
        assert answer.status == 404 and is_kept_private(answer)
        assert key not in answer.text and answer.json()["DJANGO_SESSION"] == '{"a":1}'


def test_a_parameter_of_files_is_found_and_hidden(site):
    """A <Directory> is known only when the address has become a file."""
    key = site.create_session({"a": 1})
    server = with_param(site, """DjangoSession On
<Directory "@DIR@/cgi">
DjangoSessionUrlParam sid
</Directory>
""")
    env = server.env(f"/cgi/env?sid={key}&a=1")
    assert status_of(env) == ("active", None) and env["REQUEST_URI"] == "/cgi/env?a=1"


def test_no_log_has_the_key(site):
    """%r, %q, %U and all else; also of requests that are refused before anybody looks at them."""
    key = site.create_session({"a": 1})
    server = with_param(site, PARAM + 'CustomLog "@DIR@/access.log" "%r|%q|%U|%>r|%>q|%{QUERY_STRING}e'
                        '|%{THE_REQUEST}e"\nLimitRequestLine 400\n<Location "/server-status">\n'
                        "SetHandler server-status\n</Location>\nExtendedStatus On\n",
                        modules=["status"])
    assert server.get(f"/cgi/env?sid={key}").status == 200
    assert server.get(f"/page.txt?a=1&sid={key}&b=2").status == 200
    page = server.get(f"/server-status?sid={key}").text
    assert "server-status" in page and key not in page
    client = server.client()
    server.expect("AH00135: ")  # a method that nobody knows
    for line in (f"GET /page.txt?sid={key} HTTP/1.1\r\nHost: a b\r\n\r\n",
                 f"GET /page.txt?sid={key} HTTP/1.1\r\n\r\n",
                 f"GET /page.txt?sid={key} extra HTTP/1.1\r\nHost: x\r\n\r\n",
                 f"GET /page.txt?sid={key}&{'x' * 500} HTTP/1.1\r\nHost: x\r\n\r\n",
                 f"GET /%2f%00?sid={key} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                 f"NOTHING /page.txt?sid={key} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                 f"GET /page.txt?sid={key}\r\n\r\n"):
        assert key.encode() not in client.raw(line)
    server.stop()
    log = (server.dir / "access.log").read_text()
    assert log.count("/page.txt") > 12 and key not in log
    assert "/page.txt?a=1&b=2" in log and "sid=-" in log


def test_a_visitor_with_the_parameter_goes_on_with_a_cookie_once_it_is_saved(site):
    key = site.create_session({"a": 1})
    server = with_param(site)
    answer = server.get(reply(update(set={"b": 2})) + f"&sid={key}")
    assert answer.cookie() == key and site.read_session(key) == {"a": 1, "b": 2}
    answer = server.get(reply(update(flush=True)) + f"&sid={key}")
    assert answer.status == 200 and site.read_session(key) is None


def test_without_the_directive_an_address_is_left_alone(site):
    key = site.create_session({"a": 1})
    server = site.httpd(ON)
    answer = server.get("/cgi/env?sid=abcdefgh&sessionid=" + key[:7])
    assert answer.json()["QUERY_STRING"].startswith("sid=abcdefgh&sessionid=")
    assert status_of(answer.json()) == ("new", "no-cookie")
    assert answer.get("Referrer-Policy") is None
    assert not server.has_logged(107)


# ---- DjangoSessionClearInterval -----------------------------------------------------------------

def add_expired(site, count, key="expired"):
    """Rows whose time is over, as many, with keys of their own."""
    site.database.execute(
        "INSERT INTO django_session (session_key, session_data, expire_date) "
        "WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < %s) "
        "SELECT '%s' || i, '%s', '2001-01-01 00:00:00' FROM numbers" % (count, key, "x" * 100))


def rows(site, keys="%"):
    return site.database.execute("SELECT count(*) FROM django_session WHERE session_key LIKE %s",
                                 (keys,))[0][0]


def clearing(site, config, **options):
    """
    A server that clears each second. Its store may take its time, and its end too: on a machine that is
    busy a batch is not over when httpd has waited a little for its children, which it then says.
    """
    server = site.httpd("DjangoSessionClearInterval 1s\nDjangoSessionStoreTimeout 60s\n" + config,
                        **options)
    server.expect(r"AH0004[5-7]: ")
    return server


#: the real thing: DJS_EXPIRED=100000 pytest t/httpd/test_policy.py -k expired_rows -s
EXPIRED = int(os.environ.get("DJS_EXPIRED", 2000))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_expired_rows_go_in_the_background_and_no_request_fails(make_site, kind):
    """Eight clients read and write meanwhile, each its own session."""
    site = make_site(kind)
    keys = [site.create_session({"n": 0}) for _ in range(8)]
    add_expired(site, EXPIRED)
    server = clearing(site, ON)
    asked = {key: 0 for key in keys}
    wrong = []
    over = threading.Event()
    began = time.monotonic()

    def client(key):
        cookie = f"sessionid={key}"
        while not over.is_set():
            answer = server.get(reply(update(increment={"n": 1})), cookie=cookie)
            asked[key] += 1
            env = server.env(cookie=cookie)
            if answer.status != 200 or json.loads(env["DJANGO_SESSION"])["n"] != asked[key]:
                wrong.append((answer, env))

    threads = [threading.Thread(target=client, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    try:
        for left in range(EXPIRED, -1, -2000):  # that much in each wait
            harness.wait_until(lambda: rows(site, "expired%") <= left, "the clean-up")
        # One process at a time did it, in its time, and said so.
        harness.wait_until(lambda: sum(cleared(server)) == EXPIRED, "the log")
    finally:
        over.set()
        for thread in threads:
            thread.join()
    print("%s: %d rows in %.1f s, beside %d changes and as many looks of 8 clients"
          % (kind, EXPIRED, time.monotonic() - began, sum(asked.values())))
    assert not wrong and all(asked.values())
    assert {key: site.read_session(key)["n"] for key in keys} == asked
    # It comes again, for what expires later.
    add_expired(site, 10, "later")
    harness.wait_until(lambda: rows(site, "later%") == 0, "the next time")
    assert rows(site) == 8


def cleared(server, engine=r"\w+"):
    """How many each clearing removed, by the log."""
    return [int(n) for n in re.findall(r"DJS0109: engine %s: (\d+) expired sessions removed\b" % engine,
                                       server.log)]


def test_each_store_of_the_sections_is_cleared_once(site):
    site.database.execute("CREATE TABLE tenant AS SELECT * FROM django_session")
    site.database.execute("CREATE UNIQUE INDEX tenant_key ON tenant (session_key)")
    add_expired(site, 3)
    site.database.execute("INSERT INTO tenant SELECT * FROM django_session")
    server = clearing(site, """
<Location "/a">
DjangoSession On
</Location>
<Location "/b">
DjangoSession On
DjangoSessionCookieName other
</Location>
<Location "/tenant">
DjangoSession On
DjangoSessionTable tenant
</Location>
""")
    harness.wait_until(lambda: rows(site) == 0, "the site's table")
    harness.wait_until(lambda: site.database.execute("SELECT count(*) FROM tenant")[0][0] == 0,
                       "the tenant's")
    harness.wait_until(lambda: len(cleared(server)) >= 2, "the log")
    assert sorted(cleared(server)) == [3, 3]


def test_each_engine_is_cleared_as_django_clears_it(site):
    """Rows of db and cached_db (files: test_engine_file.py). Caches and cookies forget by themselves,
    as far as nobody but us can clear what is in shared memory."""
    site.database.execute("CREATE TABLE tenant AS SELECT * FROM django_session")
    site.database.execute("CREATE UNIQUE INDEX tenant_key ON tenant (session_key)")
    add_expired(site, 2)
    site.database.execute("INSERT INTO tenant SELECT * FROM django_session")
    with servers.Memcached() as memcached:
        cache = "DjangoSessionCache memcached://127.0.0.1:%d timeout=60s" % memcached.port
        engines = {"rows": "db", "both": f"cached_db\nDjangoSessionTable tenant\n{cache}",
                   "memory": "cache\nDjangoSessionCache shm://memory?size=1m",
                   "memcached": f"cache\n{cache}", "cookies": "signed_cookies"}
        server = clearing(site, ON + "".join(
            f'ScriptAlias /{name}/ "@DIR@/cgi/"\n<Location "/{name}/">\nDjangoSessionEngine {engine}\n'
            "</Location>\n" for name, engine in engines.items()))
        cookies = {}
        for name in engines:
            living, dying = (server.get(reply(update(set={"a": 1}, **more), path=f"/{name}/reply"))
                             .cookie() for more in ({}, {"expiry": 1}))
            assert dying != living
            cookies[name] = f"sessionid={living}"
        harness.wait_until(lambda: [sum(cleared(server, e)) for e in ("db", "cached_db", "cache")]
                           == [3, 3, 1], "what has expired to go")
        assert rows(site) == 1 and site.database.execute("SELECT count(*) FROM tenant") == [(1,)]
        for name, cookie in cookies.items():
            assert server.env(f"/{name}/env", cookie=cookie)["DJANGO_SESSION"] == '{"a":1}', name


def test_mod_status_tells_how_far_the_clearing_is(site):
    add_expired(site, 3)
    holder = site.database.connect()
    holder.execute("BEGIN EXCLUSIVE")
    server = clearing(site, 'DjangoSession On\n<Location "/status">\nSetHandler server-status\n'
                            "</Location>\n", modules=["status"])

    def told():
        lines = server.get("/status?auto").text.splitlines()
        return dict(line.split(": ", 1) for line in lines if line.startswith("DjangoSessionClear"))

    harness.wait_until(lambda: told()["DjangoSessionClear0State"] == "running", "the store is locked")
    assert told()["DjangoSessionClear0Ended"] == "0" and told()["DjangoSessionClear0Begun"] != "0"
    holder.rollback()
    holder.close()
    harness.wait_until(lambda: told()["DjangoSessionClear0TotalRemoved"] == "3", "the end")
    assert told()["DjangoSessionClear0Engine"] == "db"
    page = server.get("/status").text
    assert "removal of expired ones" in page and "<td>3</td></tr>" in page
    plain = site.httpd('DjangoSession On\n<Location "/status">\nSetHandler server-status\n'
                       "</Location>\n", modules=["status"])
    assert "DjangoSessionClear" not in plain.get("/status?auto").text


def test_a_clearing_that_fails_is_told_and_tried_again(site):
    site.database.execute("ALTER TABLE django_session RENAME TO away")
    server = clearing(site, "DjangoSession On\n")
    server.expect(108)
    harness.wait_until(lambda: server.has_logged(108), "the failure")
    site.database.execute("ALTER TABLE away RENAME TO django_session")
    add_expired(site, 3)
    harness.wait_until(lambda: rows(site) == 0, "the next time")


#: stands before libaprutil: as if mod_watchdog, which Debian's httpd has built in, were not there
WITHOUT_WATCHDOG = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
void *apr_dynamic_fn_retrieve(const char *name)
{
    void *(*next)(const char *) = (void *(*)(const char *))dlsym(RTLD_NEXT, __func__);
    return strncmp(name, "ap_watchdog_", 12) == 0 ? 0 : next(name);
}
"""


def test_without_mod_watchdog_the_start_is_stopped(site, monkeypatch):
    server = site.httpd("DjangoSessionClearInterval 1h\n", start=False)
    library = server.dir / "without-watchdog.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)], check=True,
                   input=WITHOUT_WATCHDOG.encode())
    assert server.configtest() == (0, "Syntax OK\n")
    loaded = os.environ.get("DJS_PRELOAD")
    monkeypatch.setenv("DJS_PRELOAD", f"{loaded}:{library}" if loaded else str(library))
    status, output = server.configtest()
    assert status == 1
    assert "DJS0101" in output and "DjangoSessionClearInterval needs mod_watchdog" in output


def test_without_the_directive_nothing_is_removed(site):
    add_expired(site, 3)
    site.httpd(ON).stop()
    assert rows(site) == 3


@pytest.mark.parametrize("mpm", ["prefork", "worker"])
def test_a_server_stops_in_the_middle_of_a_clearing(site, mpm):
    add_expired(site, 10000)
    server = clearing(site, "DjangoSession On\n", mpm=mpm)
    harness.wait_until(lambda: rows(site) < 10000, "the first batch")
    server.stop()
    server.start()
    harness.wait_until(lambda: rows(site) == 0, "the rest")
