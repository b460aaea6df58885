# SPDX-License-Identifier: Apache-2.0
"""Sessions over HTTP: found or not and why, shared with Django both ways, changed at once by many."""
import http.client
import json
import threading
import urllib.parse

import pytest

from harness import PATIENCE, wait_until

ON = "DjangoSession On\nDjangoSessionUpdate On\n"


def reply(*headers, status=None, body=None, path="/cgi/reply"):
    """The address of an application that answers with these headers."""
    query = [("h", h) for h in headers]
    query += [("status", str(status))] if status else []
    query += [("body", body)] if body is not None else []
    return path + "?" + urllib.parse.urlencode(query)


def update(**operations):
    return "Django-Session-Update: " + json.dumps(operations)


# ---- found or not -------------------------------------------------------------------------------

def facts(env):
    return env["DJANGO_SESSION_STATUS"], env.get("DJANGO_SESSION_REASON", "")


def test_a_session_of_django_is_there(each_site):
    key = each_site.create_session({"cart": [1, 2]})
    server = each_site.httpd()
    env = server.env(cookie=f"sessionid={key}")
    assert facts(env) == ("active", "")
    assert json.loads(env["DJANGO_SESSION"]) == {"cart": [1, 2]}


UNKNOWN = {
    "no cookie": (None, "no-cookie"),
    "another cookie": ("sessionidx=abcdefgh12345678", "no-cookie"),
    "empty": ("sessionid=", "bad-key"),
    "short": ("sessionid=1234567", "bad-key"),
    "unknown": ("sessionid=abcdefghijklmnopqrstuvwxyz012345", "unknown-key"),
    "not one of ours": ("sessionid=" + "A" * 32, "unknown-key"),
    "very long": ("sessionid=" + "a" * 5000, "unknown-key"),
    "SQL": ("sessionid=aaaaaaaa' OR '1'='1", "unknown-key"),
    "format": ("sessionid=%s%s%s%s%n%n%n%n", "unknown-key"),
    "beyond ASCII": ("sessionid=" + 8 * "\xc3\xa9", "unknown-key"),
    "few characters of many bytes": ("sessionid=" + 7 * "\xc3\xa9", "bad-key"),
    "invalid UTF-8": ("sessionid=\xff\xfe\xff\xfe\xff\xfe\xff\xfe", "unknown-key"),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_a_key_that_nobody_gave_never_becomes_a_session(each_site, case):
    cookie, reason = UNKNOWN[case]
    each_site.create_session({"a": 1})
    server = each_site.httpd(ON)
    before = each_site.database.execute("SELECT count(*) FROM django_session")
    assert facts(server.env(cookie=cookie)) == ("new", reason)
    answer = server.get(reply("Django-Session-Set: b=2"), cookie=cookie)
    assert answer.status == 200
    key = answer.cookie()
    assert key and len(key) == 32 and key not in (cookie or "")
    assert each_site.read_session(key) == {"b": "2"}
    after = each_site.database.execute("SELECT count(*) FROM django_session")
    assert after[0][0] == before[0][0] + 1


def test_an_expired_session_is_none(each_site):
    """CVE-2018-17199: expired by one second."""
    key = each_site.create_session({"a": 1})
    each_site.django.run(
        "from django.contrib.sessions.models import Session\n"
        "from django.utils import timezone\n"
        "import datetime\n"
        "Session.objects.filter(pk=%r).update("
        "expire_date=timezone.now() - datetime.timedelta(seconds=1))" % key)
    server = each_site.httpd(ON)
    assert facts(server.env(cookie=f"sessionid={key}")) == ("new", "unknown-key")


def test_a_session_that_another_site_signed_is_invalid_and_stays(make_site):
    site = make_site(SECRET_KEY="first-secret-key-of-this")
    key = site.create_session({"a": 1})
    row = site.database.row(key)
    server = site.httpd(site.database.directives() + "DjangoSecretKey another-secret-key\n" + ON,
                        base=False)
    assert facts(server.env(cookie=f"sessionid={key}")) == ("invalid", "bad-signature")
    answer = server.get(reply("Django-Session-Set: b=2"), cookie=f"sessionid={key}")
    assert answer.status == 200 and answer.cookie() not in (None, key)
    assert site.database.row(key) == row


@pytest.mark.parametrize("garbage", ["", "x", "e30", "gASVAA==", "a:b:c", "\u20ac" * 100])
def test_a_corrupt_row_is_invalid_served_anonymously_and_never_overwritten(each_site, garbage):
    key = each_site.create_session({"a": 1})
    each_site.database.execute("UPDATE django_session SET session_data = %s WHERE session_key = %s",
                               (garbage, key))
    row = each_site.database.row(key)
    server = each_site.httpd(ON + "DjangoSessionSaveEveryRequest On\n")
    env = server.env(cookie=f"sessionid={key}")
    assert env["DJANGO_SESSION_STATUS"] == "invalid" and env["DJANGO_SESSION"] == "{}"
    answer = server.get(reply(update(set={"b": 2})), cookie=f"sessionid={key}")
    assert answer.status == 200
    assert each_site.read_session(answer.cookie()) == {"b": 2}
    assert each_site.database.row(key) == row


def test_of_several_cookies_a_stray_one_hides_no_valid_one(site):
    """D-2; the last one first, as Django reads them."""
    key = site.create_session({"a": 1})
    other = site.create_session({"a": 2})
    server = site.httpd()
    for cookie, a in ((f"sessionid=strayabcdefgh; sessionid={key}", 1),
                      (f"sessionid={key}; sessionid=strayabcdefgh", 1),
                      (f"sessionid={key}; sessionid={other}", 2),
                      (f'sessionid="{key}"', 1), (f"a=b;sessionid={key}", 1),
                      (f"a=b;  sessionid = {key} ;", 1)):
        assert json.loads(server.env(cookie=cookie)["DJANGO_SESSION"]) == {"a": a}, cookie
    # D-1: not out of another cookie's value.
    for cookie in (f"theme=x,sessionid={key}", f"theme=x&sessionid={key}", f"SESSIONID={key}",
                   f"xsessionid={key}", f"theme=\"x\nsessionid={key}\""):
        if "\n" not in cookie:
            assert server.env(cookie=cookie)["DJANGO_SESSION"] == "{}", cookie


def test_no_cookie_no_query_no_cookie_no_vary(site):
    """D-8."""
    server = site.httpd(ON)
    answer = server.get("/page.txt")
    assert answer.status == 200 and not answer.all("Set-Cookie")
    assert site.database.execute("SELECT count(*) FROM django_session")[0][0] == 0


def test_without_anything_to_tell_nothing_is_looked_at(site):
    key = site.create_session({"a": 1})
    server = site.httpd("DjangoSession On\nDjangoSessionEnv Off")
    site.database.execute("DROP TABLE django_session")
    answer = server.get("/page.txt", cookie=f"sessionid={key}")
    assert answer.status == 200 and "Cookie" not in answer.vary


# ---- both ways ----------------------------------------------------------------------------------

# Python's text of values that JSON as Python writes it can hold; the names after their reason.
VALUES = {
    "empty": '""', "null": "null", "zero": "0", "false": "false", "true": "true",
    "wide": str(2 ** 70), "wider": "-" + "9" * 300, "float": "0.1", "exponent": "1e+22",
    "small": "5e-324", "negative zero": "-0.0", "infinity": "Infinity", "nan": "NaN",
    "minus infinity": "-Infinity", "text": '"text with \\"quotes\\" and \\\\"',
    "unicode": '"\\u20ac \\u00e9 \\ud83d\\ude00"', "lone surrogate": '"\\ud800"',
    "nul": '"a\\u0000b"', "controls": '"\\u0001\\u001f\\u007f"', "list": '[1, [2, [3, []]], {}]',
    "dict": '{"a": {"b": {"c": null}}, "": 1}', "": '"the empty key"', "Foo": "1", "foo": "2",
    "key with spaces": "1", "\u20ac": "1", "long": json.dumps("x" * 20000),
}
DOCUMENT = "{%s}" % ", ".join(f"{json.dumps(name)}: {text}" for name, text in VALUES.items())


def stored_text(site, key):
    """The session as Django reads it, written by Python: equal texts are equal values."""
    return site.django.run(
        "from django.contrib.sessions.backends.db import SessionStore\n"
        "import json\n"
        "result = json.dumps(SessionStore(%r).load())" % key)


def test_all_values_go_both_ways(each_site):
    """D-3, D-4, D-5: what Django saved the module changes, and nothing else of it; and back."""
    key = each_site.django.run(
        "from django.contrib.sessions.backends.db import SessionStore\n"
        "import json\n"
        "s = SessionStore(); s.update(json.loads(%r)); s.save(); result = s.session_key" % DOCUMENT)
    each_site.secrets.add(key)
    server = each_site.httpd(ON)
    expected = json.loads(DOCUMENT)

    # Django wrote, the module reads.
    env = server.env(cookie=f"sessionid={key}")
    assert env["DJANGO_SESSION"] == json.dumps(expected, separators=(",", ":"))
    # The module changes one key, Django reads all.
    assert server.get(reply(update(increment={"zero": 1})), cookie=f"sessionid={key}").status == 200
    expected["zero"] = 1
    assert stored_text(each_site, key) == json.dumps(expected)
    # Django changes another, the module reads all.
    each_site.django.run("s = SessionStore(%r); s['false'] = True; s.save()" % key)
    expected["false"] = True
    env = server.env(cookie=f"sessionid={key}")
    assert env["DJANGO_SESSION"] == json.dumps(expected, separators=(",", ":"))


def test_all_values_that_an_application_sets_reach_django(each_site):
    server = each_site.httpd(ON)
    backend = each_site.backend()
    server = each_site.httpd(ON + f"ProxyPass /app/ {backend.url}\n")
    document = json.dumps(json.loads(DOCUMENT))
    small = {k: v for k, v in json.loads(DOCUMENT).items() if k != "long"}
    backend.answer = lambda request: (200, [(
        "Django-Session-Update", '{"set": %s}' % json.dumps(small))], b"done")
    assert document
    answer = server.get("/app/")
    assert answer.status == 200, answer
    assert stored_text(each_site, answer.cookie()) == json.dumps(small)


# ---- many at once -------------------------------------------------------------------------------

DJANGO_WRITES = """
import threading
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connection, transaction

def write(key, times):
    for i in range(times):
        with transaction.atomic():
            if connection.vendor == 'sqlite':  # takes the lock before it reads
                Session.objects.filter(pk=key).update(session_key=key)
                row = Session.objects.get(pk=key)
            else:
                row = Session.objects.select_for_update().get(pk=key)
            data = row.get_decoded()
            data['django'] = data.get('django', 0) + 1
            row.session_data = SessionStore().encode(data)
            row.save()
    connection.close()

writer = threading.Thread(target=write, args=(%r, %d))
writer.start()
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_eight_clients_add_two_thousand_beside_django(make_site, kind):
    """D-12 too: one key throughout, every change in it."""
    site = make_site(kind)
    key = site.create_session({"hits": 0})
    backend = site.backend()
    backend.answer = lambda request: (200, [("Django-Session-Update", '{"increment": {"hits": 1}}')],
                                      b"counted")
    server = site.httpd(ON + f"DjangoSessionStoreTimeout 30s\nProxyPass /app/ {backend.url}\n")
    site.django.run(DJANGO_WRITES % (key, 100))
    wrong = []

    def client():
        for _ in range(250):
            answer = server.get("/app/", cookie=f"sessionid={key}")
            if answer.status != 200 or answer.cookie() != key:
                wrong.append(answer)

    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    site.django.run("writer.join()")
    assert not wrong, wrong[:3]
    assert site.read_session(key) == {"hits": 2000, "django": 100}
    assert site.database.execute("SELECT count(*) FROM django_session")[0][0] == 1


def test_changes_that_begin_together_all_take_effect(each_site):
    """All have read the session before any of them saves."""
    key = each_site.create_session({"log": []})
    gate = each_site.gate()
    server = each_site.httpd(ON)
    answers = []

    def client(i):
        path = reply(update(append={"log": i}), path="/cgi/slow") + f"&gate={gate.path}"
        answers.append(server.get(path, cookie=f"sessionid={key}"))

    threads = [threading.Thread(target=client, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    gate.wait_for(6)
    gate.open()
    for thread in threads:
        thread.join()
    assert [a.status for a in answers] == [200] * 6
    assert sorted(each_site.read_session(key)["log"]) == list(range(6))


def test_slow_applications_hold_up_nobody(each_site):
    """D-13: one connection in all, 20 applications that do not answer, and one that does."""
    key = each_site.create_session({"a": 1})
    gate = each_site.gate()
    server = each_site.httpd("ThreadsPerChild 50\n" + ON, dbd="DBDMin 1\nDBDKeep 1\nDBDMax 1")
    answers = []

    def client():
        answers.append(server.get(f"/cgi/slow?gate={gate.path}", cookie=f"sessionid={key}"))

    threads = [threading.Thread(target=client) for _ in range(20)]
    for thread in threads:
        thread.start()
    gate.wait_for(20)
    for _ in range(5):
        assert server.env(cookie=f"sessionid={key}")["DJANGO_SESSION_STATUS"] == "active"
    assert not answers
    gate.open()
    for thread in threads:
        thread.join()
    assert [a.status for a in answers] == [200] * 20


def test_a_slow_request_does_not_lose_its_session(site):
    """D-7: valid when it was read is valid to the end, and the whole of it is saved."""
    key = site.create_session({"a": 1, "user": "bob"})
    gate = site.gate()
    server = site.httpd(ON)
    answers = []
    path = reply(update(set={"b": 2}), path="/cgi/slow") + f"&gate={gate.path}"
    thread = threading.Thread(
        target=lambda: answers.append(server.get(path, cookie=f"sessionid={key}")))
    thread.start()
    gate.wait_for(1)
    site.database.execute("UPDATE django_session SET expire_date = '2001-01-01 00:00:00' "
                          "WHERE session_key = %s", (key,))
    gate.open()
    thread.join()
    assert answers[0].status == 200 and answers[0].cookie() == key
    assert site.read_session(key) == {"a": 1, "user": "bob", "b": 2}


def test_a_connection_remembers_nothing_that_has_changed(each_site):
    """What was worked out for a connection's last request is used only while it is true."""
    ours = each_site.create_session({"n": 1})
    others = each_site.create_session({"n": "another visitor's"})
    server = each_site.httpd(ON)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)

    def ask(key, path="/cgi/env"):
        connection.request("GET", path, headers={"Cookie": f"sessionid={key}"})
        body = connection.getresponse().read()
        assert connection.sock is not None, "httpd has closed the connection"
        env = json.loads(body) if path == "/cgi/env" else {}
        return env.get("DJANGO_SESSION_STATUS"), env.get("DJANGO_SESSION")

    try:
        first = [ask(ours) for _ in range(3)]
        socket = connection.sock
        assert first == [("active", '{"n":1}')] * 3
        assert ask(others) == ("active", '{"n":"another visitor\'s"}')
        ask(ours, reply(update(set={"n": 2})))
        assert ask(ours) == ("active", '{"n":2}')
        each_site.database.execute("UPDATE django_session SET session_data = %s "
                                   "WHERE session_key = %s", ("e30:1:forged", ours))
        assert ask(ours) == ("invalid", "{}")
        each_site.database.execute("DELETE FROM django_session WHERE session_key = %s", (others,))
        assert ask(others) == ("new", "{}")
        assert connection.sock is socket, "one connection"
    finally:
        connection.close()


def test_a_session_that_is_deleted_meanwhile_is_not_resurrected(each_site):
    """Django's SessionInterrupted: 400, nothing of the application's answer, no cookie."""
    key = each_site.create_session({"a": 1})
    gate = each_site.gate()
    server = each_site.httpd(ON)
    answers = []
    path = reply(update(set={"b": 2}), "X-App: yes", body="the application's answer",
                 path="/cgi/slow") + f"&gate={gate.path}"
    thread = threading.Thread(
        target=lambda: answers.append(server.get(path, cookie=f"sessionid={key}")))
    thread.start()
    gate.wait_for(1)
    each_site.database.execute("DELETE FROM django_session WHERE session_key = %s", (key,))
    gate.open()
    thread.join()
    answer = answers[0]
    assert answer.status == 400 and not answer.all("Set-Cookie")
    assert "application" not in answer.text and not answer.all("X-App")
    assert each_site.database.row(key) is None


# ---- stores that fail ---------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_store_that_is_down_is_503_and_works_again_when_it_is_back(make_site, kind):
    """D-14, at start, between two requests, and in the middle of one."""
    site = make_site(kind)
    key = site.create_session({"a": 1})
    server = site.httpd(ON + '<Location "/cgi/env">\nDjangoSessionOnStoreError anonymous\n'
                        "</Location>\n")
    server.expect(111, 132, r"\[dbd:")
    assert server.get("/cgi/reply", cookie=f"sessionid={key}").status == 200
    gate = site.gate()
    answers = []
    path = reply(update(set={"b": 2}), path="/cgi/slow", body="secret answer")
    thread = threading.Thread(target=lambda: answers.append(
        server.get(f"{path}&gate={gate.path}", cookie=f"sessionid={key}")))
    thread.start()
    gate.wait_for(1)
    site.database.server.stop()
    try:
        gate.open()
        thread.join()
        for answer in (answers[0], server.get("/cgi/reply", cookie=f"sessionid={key}")):
            assert answer.status == 503 and answer.get("Retry-After")
            assert not answer.all("Set-Cookie") and "answer" not in answer.text
        env = server.env(cookie=f"sessionid={key}")
        assert facts(env) == ("error", "store-error") and env.get("DJANGO_SESSION", "{}") == "{}"
        # Who brings no cookie needs no store.
        assert server.get("/cgi/reply").status == 200
    finally:
        site.database.server.start()

    def is_back():
        return server.get("/cgi/reply", cookie=f"sessionid={key}").status == 200

    wait_until(is_back, "the store works again")
    site.django.run("from django.db import connection\nconnection.close()")
    assert site.read_session(key) == {"a": 1}


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_restart_of_the_database_fails_no_request(make_site, kind):
    site = make_site(kind)
    key = site.create_session({"a": 1})
    server = site.httpd(ON)
    server.expect(r"\[dbd:")
    for _ in range(3):
        for _ in range(5):
            assert server.env(cookie=f"sessionid={key}")["DJANGO_SESSION_STATUS"] == "active"
        site.database.server.stop()
        site.database.server.start()
    assert server.env(cookie=f"sessionid={key}")["DJANGO_SESSION_STATUS"] == "active"


def test_a_request_that_holds_a_connection_needs_no_second_one(site):
    """mod_authn_dbd keeps the only connection there is for the rest of its request."""
    site.create_user("ada")
    key = site.create_session({"a": 1})
    server = site.httpd(
        ON + '<Location "/cgi/">\nAuthType Basic\nAuthName x\nAuthBasicProvider dbd\n'
        "Require valid-user\nAuthDBDUserPWQuery "
        "\"SELECT '{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=' FROM auth_user WHERE username = %s\"\n"
        "</Location>\n", dbd="DBDMin 1\nDBDKeep 1\nDBDMax 1", mpm="worker",
        modules=["auth_basic", "authn_dbd"])
    headers = {"Authorization": "Basic YWRhOnBhc3N3b3Jk"}
    for hits in range(1, 4):
        answer = server.get(reply(update(increment={"hits": 1})), headers,
                            cookie=f"sessionid={key}")
        assert answer.status == 200, answer
        assert site.read_session(key) == {"a": 1, "hits": hits}
