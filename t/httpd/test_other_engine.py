# SPDX-License-Identifier: Apache-2.0
"""Other modules: one that brings an engine of its own, and one that looks at and into sessions."""
import json
import re
import threading
import urllib.parse

import pytest

import harness


def load(name):
    found = sorted(harness.BUILD.glob("t/*/.libs/mod_django_session_%s.so" % name))
    assert len(found) == 1, "mod_django_session_%s.so is not built" % name
    return "LoadModule django_session_%s_module %s\n" % (name, found[0])


# ---- an engine of another module ----------------------------------------------------------------

DBM = """
DbmSessionFile @DIR@/sessions/file
DjangoSession On
DjangoSessionEngine dbm
DjangoSessionUpdate Login
"""


def dbm_httpd(site, config="", database=True, key=True, **options):
    """httpd whose sessions are in a DBM file below it."""
    base = site.database.directives() if database else ""
    base += "DjangoSecretKey %s\n" % site.secret_key if key else ""
    server = site.httpd(base + DBM + config, base=False, start=False, before=load("dbm"), **options)
    (server.dir / "sessions").mkdir()
    harness.hand_over(server.dir)
    return server


@pytest.fixture
def dbm(site):
    server = dbm_httpd(site, database=False)
    server.start()
    return server


def reply(**operations):
    return "/cgi/reply?" + urllib.parse.urlencode(
        {"h": "Django-Session-Update: " + json.dumps(operations)})


def shown(client):
    return json.loads(client.get("/cgi/env").json().get("DJANGO_SESSION", "{}"))


def test_sessions_live_in_an_engine_of_another_module(dbm):
    client = dbm.client(cookies=True)
    assert client.get("/cgi/env").json()["DJANGO_SESSION_STATUS"] == "new"
    assert client.get(reply(set={"cart": ["book"]})).status == 200
    first = client.jar["sessionid"]
    assert shown(client) == {"cart": ["book"]}
    assert client.get(reply(append={"cart": "pen"}, cycle_key=True)).status == 200
    assert client.jar["sessionid"] != first
    assert shown(client) == {"cart": ["book", "pen"]}
    assert dbm.env(cookie="sessionid=" + first)["DJANGO_SESSION_STATUS"] == "new"
    last = client.jar["sessionid"]
    assert client.get(reply(flush=True)).status == 200
    assert client.jar == {}
    assert dbm.env(cookie="sessionid=" + last)["DJANGO_SESSION_REASON"] == "unknown-key"
    assert (dbm.dir / "sessions" / "file").stat().st_mode & 0o777 == 0o600


def test_a_session_of_another_engine_expires(dbm):
    client = dbm.client(cookies=True)
    client.get(reply(set={"a": 1}, expiry=-1))
    key = client.jar.get("sessionid")
    answer = dbm.env(cookie="sessionid=%s" % key)
    assert answer["DJANGO_SESSION_STATUS"] == "new" and "DJANGO_SESSION_EXPIRES" not in answer


def test_records_of_another_engine_are_the_sites_signed_texts(site):
    """What a DBM file keeps is what Django would have in a row."""
    server = dbm_httpd(site, database=False)
    server.start()
    client = server.client(cookies=True)
    client.get(reply(set={"who": "Zo\u00eb"}))
    stored = (server.dir / "sessions" / "file").read_bytes()
    texts = re.findall(rb"eyJ[\w-]+:\w{6}:[\w-]{43}", stored)
    assert len(texts) == 1
    assert site.django.run(
        "from django.core import signing\n"
        "from django.contrib.sessions.serializers import JSONSerializer\n"
        "result = signing.loads(%r, salt='django.contrib.sessions.SessionStore', "
        "serializer=JSONSerializer)" % texts[0].decode()) == {"who": "Zo\u00eb"}


def test_no_change_is_lost_in_another_engine(dbm):
    """Compare-and-swap across processes: a few clients, each its own connections."""
    client = dbm.client(cookies=True)
    client.get(reply(set={"visits": 0}))
    cookie = "sessionid=" + client.jar["sessionid"]
    failed = []

    def visit():
        for _ in range(10):
            answer = dbm.get(reply(increment={"visits": 1}), cookie=cookie)
            if answer.status != 200:
                failed.append(answer)

    threads = [threading.Thread(target=visit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert shown(client) == {"visits": 40}


def test_users_of_the_database_log_in_to_sessions_of_another_engine(site):
    user = site.create_user("ada")
    server = dbm_httpd(site, '<Location "/cgi/env">\nAuthType Django\nRequire valid-user\n'
                             "</Location>\n")
    server.start()
    client = server.client(cookies=True)
    assert client.get("/cgi/env").status == 401
    assert client.get(reply(login="ada")).status == 200
    seen = client.get("/cgi/env").json()
    assert (seen["REMOTE_USER"], seen["DJANGO_USER_ID"]) == ("ada", str(user))


def test_each_virtual_host_has_an_engine_of_its_own(site):
    server = dbm_httpd(site, "".join("""
<VirtualHost *:@PORT@>
ServerName %s.example
DbmSessionFile @DIR@/sessions/%s
</VirtualHost>
""" % (name, name) for name in ("one", "two")), database=False)
    server.start()

    def ask_host(host, path, cookie=""):
        return server.client().raw("GET %s HTTP/1.1\r\nHost: %s.example\r\n%sConnection: close"
                                   "\r\n\r\n" % (path, host, cookie)).decode()

    key = re.search("sessionid=(\\w+)", ask_host("one", reply(set={"a": 1}))).group(1)
    site.secrets.add(key)
    status = {host: re.search('"DJANGO_SESSION_STATUS": "(\\w+)"',
                              ask_host(host, "/cgi/env", "Cookie: sessionid=%s\r\n" % key)).group(1)
              for host in ("one", "two")}
    assert status == {"one": "active", "two": "new"}
    assert (server.dir / "sessions" / "one").exists()
    assert not (server.dir / "sessions" / "file").exists()


def test_another_engine_that_does_not_answer_is_a_store_that_is_down(site):
    server = dbm_httpd(site, database=False)
    (server.dir / "sessions").rmdir()
    server.expect(104, 111)
    server.start()
    answer = server.get("/cgi/env", cookie="sessionid=" + "k" * 32)
    assert answer.status == 503 and answer.get("Retry-After")
    server.stop()
    assert "sessions/file.lock cannot be opened" in server.log


# ---- what stops the start -----------------------------------------------------------------------

def test_an_unknown_engine_is_refused_with_all_that_there_are(site):
    server = dbm_httpd(site, "DjangoSessionEngine tape\n", database=False)
    status, output = server.configtest()
    assert status == 1 and "DJS0101" in output
    assert 'no engine "tape"' in output and "of other modules: dbm" in output
    assert re.search(r"there is: .*\bdb\b", output)


def test_an_unknown_engine_is_refused_where_sessions_are_off_too(site):
    server = site.httpd("DjangoSessionEngine tape\n", base=False, start=False)
    status, output = server.configtest()
    assert status == 1 and 'no engine "tape"' in output and "other modules" not in output


def test_what_the_engines_own_module_finds_wrong_stops_the_start(site):
    server = dbm_httpd(site, database=False)
    path = server.dir / "httpd.conf"
    path.write_text(path.read_text().replace("DbmSessionFile", "#"))
    status, output = server.configtest()
    assert status == 1 and "DbmSessionFile" in output and "DJS0101" in output


def test_authtype_django_needs_users_whatever_the_engine(site):
    server = dbm_httpd(site, '<Location "/x">\nAuthType Django\nRequire valid-user\n</Location>\n',
                       database=False)
    status, output = server.configtest()
    assert status == 1 and "DBDriver" in output


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_modules_may_be_loaded_in_either_order(site, first):
    ours = "LoadModule django_session_module %s\n" % harness.module_path()
    theirs = load("dbm")
    server = site.httpd("DjangoSecretKey x\n" + DBM, base=False, start=False, load=False,
                        before=ours + theirs if first == "ours" else theirs + ours)
    assert server.configtest() == (0, "Syntax OK\n")


def test_the_check_looks_into_another_engine_too(site):
    server = dbm_httpd(site, database=False)
    status, output = server.configtest("DJANGO_CHECK")
    assert status == 0 and "ok: %s/sessions/file can be opened" % server.dir in output
    (server.dir / "sessions" / "file").write_text("no DBM file " * 100)
    status, output = server.configtest("DJANGO_CHECK")
    assert status != 0 and "FAIL: " in output and "sessions/file" in output


# ---- sessions in the hands of another module ----------------------------------------------------

PROBE = """
DjangoSession On
DjangoSessionUpdate Login
<Location "/probe">
SetHandler django-session-probe
</Location>
<Location "/probe/off">
DjangoSession Off
</Location>
<Location "/probe/readonly">
DjangoSessionUpdate Off
</Location>
<Location "/probe/nologin">
DjangoSessionUpdate On
</Location>
"""


@pytest.fixture
def probe(site):
    return site.httpd(PROBE, before=load("probe"))


def ask(server, question, cookie=None, path="/probe", headers=()):
    answer = server.get(path + "?" + urllib.parse.quote(question), headers, cookie)
    assert answer.status == 200, answer
    outcome, _, told = answer.text.partition("\n")
    return outcome, told, answer


DATA = {"cart": [{"title": "a \u20ac book", "price": 3.5}], "n": 2 ** 70, "none": None, "yes": True,
        "nul": "a\0b", "_own": 1}


QUESTIONS = {
    "json:/cart/0/title": ("ok", '"a \\u20ac book"'),
    "json:n": ("ok", str(2 ** 70)),
    "json:_own": ("ok", "1"),
    "json:nul": ("ok", '"a\\u0000b"'),
    "json:absent": ("not found", ""),
    "json:/cart/1": ("not found", ""),
    "json:/a~2": ("invalid", ""),
    "text:/cart/0/title": ("ok", "a \u20ac book"),
    "text:/cart/0/price": ("ok", "3.5"),
    "text:/cart/0": ("ok", '{"title":"a \\u20ac book","price":3.5}'),
    "text:none": ("ok", ""),
    "text:yes": ("ok", "true"),
    "text:nul": ("no text", ""),
    "text:absent": ("not found", ""),
    "text": ("invalid", ""),
}


def test_another_module_reads_the_session(site, probe):
    cookie = "sessionid=" + site.create_session(DATA)
    for question, expected in QUESTIONS.items():
        outcome, told, answer = ask(probe, question, cookie)
        assert (outcome, told) == expected, question
        assert outcome == "invalid" or answer.vary == ["Cookie"]
    outcome, told, _ = ask(probe, "json", cookie)
    assert outcome == "ok"
    assert json.loads(told) == {k: v for k, v in DATA.items() if k != "_own"}
    assert ask(probe, "json")[:2] == ("ok", "{}")
    assert ask(probe, "json:n")[:2] == ("not found", "")


def test_another_module_is_told_how_the_session_stands(site, probe):
    key = site.create_session({"a": 1}, 600)
    told = ask(probe, "state", "sessionid=" + key)[1].split("|")
    assert told[:2] == ["active", ""] and int(told[2]) > 10 ** 9
    assert re.fullmatch("[0-9a-f]{8,}", told[3]) and told[3] not in key
    assert ask(probe, "state")[1] == "new|no-cookie|0|-"
    assert ask(probe, "state", "sessionid=" + "x" * 32)[1].startswith("new|unknown-key|0|")


def test_another_module_is_told_who_is_logged_in(site, probe):
    site.create_user("ada", email="ada@example.org", first_name="Ada", is_staff=True)
    key = site.login("ada")
    outcome, told, _ = ask(probe, "user", "sessionid=" + key)
    assert outcome == "ok" and told.split("|")[1:] == ["ada", "ada@example.org", "Ada", "1", "0"]
    assert ask(probe, "user")[:2] == ("not found", "no-cookie")
    site.django.run("from django.contrib.auth.models import User\n"
                    "User.objects.filter(username='ada').update(is_active=False)")
    assert ask(probe, "user", "sessionid=" + key)[:2] == ("not found", "user-inactive")


def test_there_is_nothing_to_see_where_sessions_are_off(site, probe):
    cookie = "sessionid=" + site.create_session({"a": 1})
    for question in ("json", "text:a", "state", "user", "update:{}"):
        outcome, told, answer = ask(probe, question, cookie, path="/probe/off")
        assert outcome == "no sessions here" and "Cookie" not in answer.vary


def change(**operations):
    return "update:" + json.dumps(operations)


def test_what_another_module_asks_for_is_saved(site, probe):
    key = site.create_session({"n": 1})
    outcome, _, answer = ask(probe, change(increment={"n": 2}, set={"by": "probe"}),
                             "sessionid=" + key)
    assert outcome == "ok" and answer.cookie() == key
    assert site.read_session(key) == {"n": 3, "by": "probe"}


def test_another_module_begins_a_session_and_logs_somebody_in(site, probe):
    site.create_user("ada")
    _, _, answer = ask(probe, change(login="ada"))
    key = answer.cookie()
    assert ask(probe, "user", "sessionid=" + key)[1].split("|")[1] == "ada"


def test_the_application_has_the_last_word(site, probe):
    key = site.create_session({})
    ask(probe, change(set={"who": "module", "m": 1}), "sessionid=" + key,
        headers=[("X-Update", '{"set": {"who": "application"}}')])
    assert site.read_session(key) == {"who": "application", "m": 1}


def test_all_updates_are_applied_or_none(site, probe):
    key = site.create_session({"text": "x"})
    probe.expect(131)
    for headers in ([("X-Update", "{")], [("X-Update", '{"increment": {"text": 1}}')]):
        answer = probe.get("/probe?" + urllib.parse.quote(change(set={"m": 1})), headers,
                           "sessionid=" + key)
        assert answer.status == 500
    assert site.read_session(key) == {"text": "x"}


REFUSED = {
    "malformed": ("/probe", "update:{", "invalid"),
    "unknown": ("/probe", change(steal=True), "invalid"),
    "updates off": ("/probe/readonly", change(set={"a": 1}), "not allowed"),
    "login": ("/probe/nologin", change(login="ada"), "not allowed"),
    "too late": ("/probe", "late:" + json.dumps({"set": {"a": 1}}), "-"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_update_that_is_refused_changes_nothing(site, probe, case):
    key = site.create_session({"n": 1})
    path, question, expected = REFUSED[case]
    outcome, told, answer = ask(probe, question, "sessionid=" + key, path=path)
    assert outcome == expected and len(told) > 4
    if case == "too late":
        assert told.startswith("too late\n")
    assert site.read_session(key) == {"n": 1}


def test_an_answer_that_fails_drops_what_another_module_asked_for(site, probe):
    key = site.create_session({"n": 1})
    answer = probe.get("/probe?" + urllib.parse.quote(change(set={"a": 1})), [("X-Status", "500")],
                       "sessionid=" + key)
    assert answer.status == 500
    assert site.read_session(key) == {"n": 1}


def test_another_module_is_told_that_the_store_is_down(site):
    server = site.httpd('DBDriver pgsql\nDBDParams "host=127.0.0.1 port=1 dbname=x"\n'
                        "DjangoSecretKey x\nDjangoSessionEnv Off\n" + PROBE, base=False,
                        before=load("probe"))
    server.expect(111, r"\[dbd:", r"DJS0132")
    for question in ("json", "json:a", "text:a", "user"):
        answer = server.get("/probe?" + question, cookie="sessionid=" + "k" * 32)
        assert answer.text.split("\n")[0] == "no answer", question
    answer = server.get("/probe?state", cookie="sessionid=" + "k" * 32)
    assert answer.text == "no answer\nerror|store-error|0|" + answer.text.rsplit("|", 1)[1]
