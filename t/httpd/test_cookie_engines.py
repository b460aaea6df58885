# SPDX-License-Identifier: Apache-2.0
"""
Sessions that live in their cookies, and what old sites left: rows and cookies of Django 3.0.
What each value type becomes in both directions is test_matrix.py's.
"""
import base64
import hashlib
import hmac
import json
import os
import re
import struct
import urllib.parse
import zlib

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import harness
from test_djsession import NOT_FOUND, UNREADABLE, USAGE, Tool, folder  # noqa: F401 (a fixture)

ENGINES = ["signed_cookies", "encrypted_cookies"]
BACKEND = "django.contrib.sessions.backends.signed_cookies"


def config(engine, more=""):
    return "DjangoSession On\nDjangoSessionUpdate On\nDjangoSessionEngine %s\n%s" % (engine, more)


@pytest.fixture
def cookie_site(make_site):
    return make_site(SESSION_ENGINE=BACKEND, SESSION_COOKIE_AGE=1000)


@pytest.fixture
def without_database(cookie_site):
    """without_database(engine, more): httpd with the site's key and nothing else."""
    def start(engine, more=""):
        key = "DjangoSecretKey %s\n" % cookie_site.secret_key
        return cookie_site.httpd(key + config(engine, more), base=False)

    return start


def reply(*operations, **query):
    headers = [("h", "Django-Session-Update: " + json.dumps(o)) for o in operations]
    return "/cgi/reply?" + urllib.parse.urlencode(headers + list(query.items()))


def session_of(server, value, name="sessionid"):
    """What an application is told of a cookie: its variables."""
    return server.env(cookie="%s=%s" % (name, value))


# ---- one life -----------------------------------------------------------------------------------

@pytest.mark.parametrize("engine", ENGINES)
def test_a_session_lives_in_its_cookie_and_needs_no_store(without_database, cookie_site, engine):
    server = without_database(engine, "DjangoSessionCookieAge 1000\n")
    client = server.client(cookies=True)

    first = client.get(reply({"set": {"a": 1, "secret-word": "xyzzy"}})).cookie()
    cookie_site.secrets.add(first)
    env = session_of(server, first)
    assert json.loads(env["DJANGO_SESSION"]) == {"a": 1, "secret-word": "xyzzy"}
    assert env["DJANGO_SESSION_STATUS"] == "active"
    assert len(env["DJANGO_SESSION_ID"]) == 16 and env["DJANGO_SESSION_ID"] not in first
    assert "DJANGO_SESSION_REASON" not in env

    answer = client.get(reply({"delete": ["secret-word"], "increment": {"a": 4}}))
    second = answer.cookie()
    cookie_site.secrets.add(second)
    assert second != first and answer.vary == ["Cookie"]
    assert json.loads(session_of(server, second)["DJANGO_SESSION"]) == {"a": 5}

    answer = client.get(reply({"cycle_key": True, "expiry": 30}))
    assert "Max-Age=30;" in answer.get("Set-Cookie")
    third = answer.cookie()
    cookie_site.secrets.add(third)
    assert json.loads(session_of(server, third)["DJANGO_SESSION"]) == {"a": 5}

    assert not client.get("/cgi/reply").all("Set-Cookie")
    answer = client.get(reply({"flush": True}))
    assert 'sessionid="";' in answer.get("Set-Cookie") and "Max-Age=0" in answer.get("Set-Cookie")


@pytest.mark.parametrize("engine", ENGINES)
def test_the_end_is_counted_from_when_the_value_was_made(without_database, cookie_site, engine):
    server = without_database(engine, "DjangoSessionCookieAge 1000\n")
    cookie = server.get(reply({"set": {"a": 1}, "expiry": 30})).cookie()
    cookie_site.secrets.add(cookie)
    if engine == "signed_cookies":
        made = cookie_site.django.run("from django.utils import baseconv\n"
                                      "result = baseconv.base62.decode(%r)" % cookie.split(":")[1])
    else:
        made = unseal(cookie_site.secret_key, "sessionid", cookie)[1]
    env = session_of(server, cookie)
    assert int(env["DJANGO_SESSION_EXPIRES"]) == made + 1000
    assert env["DJANGO_SESSION_EXPIRE_AT_BROWSER_CLOSE"] == "0"


# ---- Django on the same cookies -----------------------------------------------------------------

OF_DJANGO = """
import json, time
from unittest import mock
from django.contrib.sessions.backends.signed_cookies import SessionStore
def made(data, ago=0, **more):
    with mock.patch("time.time", return_value=time.time() - ago):
        s = SessionStore()
        s.update(data)
        s.save()
        return s.session_key
def read(value):
    s = SessionStore(value)
    return [dict(s.items()), s.modified]
"""


@pytest.fixture
def of_django(cookie_site):
    """of_django(expression): in Django's process, with made() and read() above."""
    cookie_site.django.run(OF_DJANGO)

    def run(expression):
        return cookie_site.django.run("result = " + expression)

    return run


def test_django_goes_on_with_our_cookie_and_we_with_djangos(without_database, cookie_site,
                                                           of_django):
    server = without_database("django.contrib.sessions.backends.signed_cookies")
    theirs = of_django("made({'cart': [1, 2], 'name': 'Zo\\u00eb', 'long': 'x' * 500})")
    cookie_site.secrets.add(theirs)
    assert theirs.startswith("."), "compressed"
    assert json.loads(session_of(server, theirs)["DJANGO_SESSION"])["name"] == "Zo\u00eb"
    ours = server.get(reply({"append": {"cart": 3}, "delete": ["long"]}),
                      cookie="sessionid=" + theirs).cookie()
    cookie_site.secrets.add(ours)
    assert of_django("read(%r)" % ours) == [{"cart": [1, 2, 3], "name": "Zo\u00eb"}, False]


def test_a_value_dies_at_the_cookies_age(without_database, cookie_site, of_django):
    """A replay: what an old cookie held is gone, and whoever looks gets an empty one instead."""
    server = without_database("signed_cookies", "DjangoSessionCookieAge 1000\n")
    old, living = of_django("[made({'a': 1}, ago=1100), made({'a': 1, '_session_expiry': 5}, "
                            "ago=800)]")
    cookie_site.secrets.add(old, living)
    assert session_of(server, living)["DJANGO_SESSION"] == '{"a":1}'
    env = session_of(server, old)
    assert env["DJANGO_SESSION"] == "{}"
    assert (env["DJANGO_SESSION_STATUS"], env["DJANGO_SESSION_REASON"]) == ("expired", "expired")
    fresh = server.get("/cgi/reply", cookie="sessionid=" + old).cookie()
    assert of_django("read(%r)" % fresh) == [{}, False]


def test_every_changed_character_is_noticed(without_database, cookie_site):
    for engine in ENGINES:
        server = without_database(engine)
        value = server.get(reply({"set": {"admin": False}})).cookie()
        cookie_site.secrets.add(value)
        for at in range(0, len(value), 5):
            changed = value[:at] + ("B" if value[at] == "A" else "A") + value[at + 1:]
            env = session_of(server, changed)
            assert (env["DJANGO_SESSION_STATUS"], env["DJANGO_SESSION_REASON"],
                    env["DJANGO_SESSION"]) == ("invalid", "bad-signature", "{}"), changed


# ---- encrypted ----------------------------------------------------------------------------------

def seal_key(secret):
    """As Django's salted_hmac(), from the description in core/seal.h and nothing else."""
    key = hashlib.sha256(b"mod_django_session.encrypted_cookies" + secret.encode()).digest()
    return hmac.new(key, b"AES-256-GCM", hashlib.sha256).digest()


def seal(secret, name, data, when):
    nonce = os.urandom(12)
    plain = b"\0" + struct.pack(">q", when) + json.dumps(data).encode()
    sealed = AESGCM(seal_key(secret)).encrypt(nonce, plain, b"\1" + name.encode())
    return base64.urlsafe_b64encode(b"\1" + nonce + sealed).rstrip(b"=").decode()


def unseal(secret, name, text):
    """The data, and when they were sealed."""
    message = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert message[0] == 1
    plain = AESGCM(seal_key(secret)).decrypt(message[1:13], message[13:], b"\1" + name.encode())
    data = zlib.decompress(plain[9:]) if plain[0] else plain[9:]
    return json.loads(data), struct.unpack(">q", plain[1:9])[0]


def test_another_implementation_opens_what_we_seal_and_we_what_it_seals(without_database,
                                                                       cookie_site):
    server = without_database("encrypted_cookies")
    for data in ({"a": 1}, {"long": "x" * 1000}):
        value = server.get(reply({"set": data})).cookie()
        cookie_site.secrets.add(value)
        found, made = unseal(cookie_site.secret_key, "sessionid", value)
        assert found == data
        theirs = seal(cookie_site.secret_key, "sessionid", dict(data, b=2), made)
        cookie_site.secrets.add(theirs)
        assert json.loads(session_of(server, theirs)["DJANGO_SESSION"]) == dict(data, b=2)


def test_an_encrypted_cookie_is_refused_under_another_name(without_database, cookie_site):
    server = without_database("encrypted_cookies", '<Location "/cgi/env/admin">\n'
                              "DjangoSessionCookieName adminid\n</Location>\n")
    value = server.get(reply({"set": {"a": 1}})).cookie()
    cookie_site.secrets.add(value)
    assert session_of(server, value)["DJANGO_SESSION"] == '{"a":1}'
    env = server.env("/cgi/env/admin", cookie="adminid=" + value)
    assert env["DJANGO_SESSION"] == "{}" and env["DJANGO_SESSION_REASON"] == "bad-signature"


# ---- size ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("engine", ENGINES)
def test_a_cookie_that_no_browser_would_keep_is_refused_and_the_old_one_stays(
        without_database, cookie_site, engine):
    server = without_database(engine)
    server.expect(136)
    client = server.client(cookies=True)
    value = client.get(reply({"set": {"a": 1}})).cookie()
    cookie_site.secrets.add(value)
    noise = base64.b64encode(hashlib.shake_256(b"noise").digest(3000)).decode()
    answer = client.get(reply({"set": {"noise": noise}}, body="the answer"))
    assert answer.status == 500 and not answer.all("Set-Cookie")
    assert "the answer" not in answer.text
    harness.wait_until(lambda: server.has_logged(136), "the line")
    size = re.search(r"DJS0136: .* a cookie of (\d+) bytes, .* keep 4096", server.log)
    assert int(size.group(1)) > 4096
    assert session_of(server, value)["DJANGO_SESSION"] == '{"a":1}'
    answer = client.get(reply({"set": {"noise": noise[:1500]}}))
    assert answer.status == 200 and len(answer.get("Set-Cookie")) <= 4096
    cookie_site.secrets.add(answer.cookie())


# ---- old sites ----------------------------------------------------------------------------------

def legacy_row(secret, data):
    """As SessionBase.encode() of Django 3.0 and earlier."""
    text = json.dumps(data, separators=(",", ":")).encode()
    key = hashlib.sha1(b"django.contrib.sessionsSessionStore" + secret.encode()).digest()
    mac = hmac.new(key, text, hashlib.sha1).hexdigest().encode()
    return base64.b64encode(mac + b":" + text).decode()


def test_rows_from_before_django_3_1_are_read_and_saved_in_todays_layout(each_site):
    server = each_site.httpd("DjangoSession On\nDjangoSessionUpdate On\n")
    key = each_site.create_session({"new": 1})
    row = legacy_row(each_site.secret_key, {"old": [1, "\u00e9"]})
    each_site.database.execute("UPDATE django_session SET session_data = %s "
                               "WHERE session_key = %s", (row, key))
    env = server.env(cookie="sessionid=" + key)
    assert json.loads(env["DJANGO_SESSION"]) == {"old": [1, "\u00e9"]}
    assert each_site.database.row(key)[0] == row, "reading changes nothing"
    assert server.get(reply({"set": {"b": 2}}), cookie="sessionid=" + key).status == 200
    stored = each_site.database.row(key)[0]
    assert stored.count(":") == 2 and len(stored.split(":")[2]) == 43, "signed with SHA-256"
    assert each_site.read_session(key) == {"old": [1, "\u00e9"], "b": 2}


def test_cookies_signed_with_sha1_are_read_and_signed_anew_with_sha256(without_database,
                                                                      cookie_site):
    server = without_database("signed_cookies")
    cookie_site.django.run(OF_DJANGO)
    new = cookie_site.django.run("result = made({'a': 1})")
    signed = new.rsplit(":", 1)[0]
    key = hashlib.sha1((BACKEND + "signer" + cookie_site.secret_key).encode()).digest()
    mac = hmac.new(key, signed.encode(), hashlib.sha1).digest()
    old = signed + ":" + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
    cookie_site.secrets.add(new, old)
    assert session_of(server, old)["DJANGO_SESSION"] == '{"a":1}'
    saved = server.get(reply({"set": {"b": 2}}), cookie="sessionid=" + old).cookie()
    cookie_site.secrets.add(saved)
    assert len(saved.split(":")[2]) == 43
    assert cookie_site.django.run("result = read(%r)" % saved) == [{"a": 1, "b": 2}, False]


def test_a_pickling_site_keeps_its_types_and_a_json_site_leaves_them_alone(make_site):
    site = make_site(SESSION_SERIALIZER="django.contrib.sessions.serializers.PickleSerializer",
                     SESSION_ENGINE=BACKEND)
    key = site.django.run("import datetime\n"
                          "from django.contrib.sessions.backends.signed_cookies import SessionStore\n"
                          "s = SessionStore()\n"
                          "s['when'], s['pair'] = datetime.date(2024, 2, 29), (1, 2)\n"
                          "s.save()\nresult = s.session_key")
    site.secrets.add(key)
    pickling = site.httpd(config("signed_cookies", "DjangoSessionSerializer pickle\n"))
    saved = pickling.get(reply({"set": {"b": 2}}), cookie="sessionid=" + key).cookie()
    site.secrets.add(saved)
    assert site.django.run("result = repr(sorted(SessionStore(%r).items()))" % saved) == repr(
        [("b", 2), ("pair", (1, 2)), ("when", "@")]).replace("'@'", "datetime.date(2024, 2, 29)")
    plain = site.httpd(config("signed_cookies"))
    env = session_of(plain, key)
    assert (env["DJANGO_SESSION_STATUS"], env["DJANGO_SESSION_REASON"]) == ("invalid", "unreadable")
    assert not plain.get("/cgi/reply", cookie="sessionid=" + key).all("Set-Cookie")


# ---- addresses ----------------------------------------------------------------------------------

@pytest.mark.parametrize("engine", ENGINES)
def test_no_address_can_carry_a_session_that_is_no_key(cookie_site, engine):
    key = "DjangoSecretKey %s\n" % cookie_site.secret_key
    section = "<Location /here>\nDjangoSessionUrlParam %s\n</Location>\n"
    server = cookie_site.httpd(key + config(engine, section % "sid"), base=False, start=False)
    status, output = server.configtest()
    assert status == 1 and "DJS0101" in output
    assert "DjangoSessionUrlParam sid" in output and "engine " + engine in output
    server = cookie_site.httpd(key + config(engine, section % "None"), base=False, start=False)
    assert server.configtest()[0] == 0


# ---- djsession ----------------------------------------------------------------------------------

@pytest.fixture(params=ENGINES)
def tool(request, cookie_site, folder):  # noqa: F811
    made = Tool(cookie_site, folder)
    made.options = made.options[2:] + ["--session-engine", request.param,
                                       "--session-cookie-age", "1000"]
    return made


def test_djsession_does_all_of_its_commands_on_cookies(tool):
    key = tool.create({"a": 1})
    assert json.loads(tool.say("get", key)) == {"a": 1}
    assert tool.say("get", key, "a") == "1"
    tool("exists", key)
    updated = tool.say("update", key, '{"increment": {"a": 1}}')
    saved = tool.say("save", key, '{"b": 3}')
    tool.site.secrets.add(updated, saved)
    assert json.loads(tool.say("get", updated)) == {"a": 2}
    assert json.loads(tool.say("get", saved)) == {"b": 3}
    assert json.loads(tool.say("get", key)) == {"a": 1}, "nothing can be taken back"
    assert "can use it until" in tool("delete", key)[1]
    assert tool.say("clearsessions") == "0"
    assert "cannot list" in tool("list", expected=USAGE)[1]
    assert tool("check")[0].startswith("ok: ")
    said = tool("explain", key)[0]
    assert "genuine, by the secret key" in said and "an object of 1 keys" in said
    tool("save", key, "{}", "--must-create", expected=4)
    made = tool.say("save", "somethingelse", '{"c": 4}', "--must-create")
    tool.site.secrets.add(made)
    assert json.loads(tool.say("get", made)) == {"c": 4}


def test_djsession_verifies_the_cookie_that_it_is_given(tool):
    key = tool.create({"a": 1})
    forged = ("B" if key[0] == "A" else "A") + key[1:]
    tool("get", forged, expected=UNREADABLE)
    for command in (["exists"], ["delete"]):
        tool(*command, forged, expected=NOT_FOUND)
    tool("save", forged, "{}", expected=NOT_FOUND)
    tool("update", forged, "{}", expected=UNREADABLE)
    assert "unreadable" in tool("explain", forged, expected=UNREADABLE)[0]
    if "encrypted_cookies" in tool.options:
        old = seal(tool.site.secret_key, "sessionid", {"a": 1}, 1500000000)
        tool.site.secrets.add(old)
        tool("get", old, expected=NOT_FOUND)
        tool("exists", old, expected=NOT_FOUND)
        assert "it has expired" in tool("explain", old, expected=NOT_FOUND)[0]


def test_djsession_makes_no_cookie_that_no_browser_keeps(tool):
    noise = base64.b64encode(hashlib.shake_256(b"noise").digest(3000)).decode()
    assert "keep 4096" in tool("create", json.dumps({"n": noise}), expected=USAGE)[1]
