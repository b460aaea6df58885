# SPDX-License-Identifier: Apache-2.0
"""djsession: commands, options, exit codes, and what Django makes of what it wrote."""

import datetime
import json
import os
import pickle
import pty
import re
import subprocess
import zlib

import pytest

import harness

DONE, NOT_FOUND, USAGE, STORE_FAILED, ALREADY_THERE, UNREADABLE = range(6)
NO_KEY = "0" * 32
#: each kind of value that JSON has, as Python writes it
ALL_KINDS = ('{"text":"\\u00e9\\ud83d\\ude00\\u0000","lone":"\\ud800","int":1234567890123456789012,'
             '"float":1.5,"small":1e-07,"inf":Infinity,"no":false,"none":null,'
             '"list":[1,[],{"b":{}}],"":0}')


class Tool:
    """djsession with a site's settings; it runs as httpd does, with which it shares files."""

    def __init__(self, site, folder):
        self.site = site
        self.key_file = folder / "key"
        self.key_file.write_text(site.secret_key + "\n")
        self.key_file.chmod(0o644)
        self.options = ["--dbd", ":".join(site.database.dbd),
                        "--secret-key", f"file:{self.key_file}"]

    def __call__(self, *words, given="", expected=DONE, options=None, **more):
        """Run a command; (output, messages) when it ends as expected."""
        done = subprocess.run([str(harness.djsession_path()),
                               *(self.options if options is None else options), *words],
                              input=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              encoding="utf-8", errors="surrogateescape", **harness.identity(),
                              **more)
        assert done.returncode == expected, (done.returncode, done.stdout, done.stderr)
        assert not self.site.secrets.found_in(done.stderr), done.stderr
        assert "\n" not in done.stderr.rstrip("\n"), "a message is one line"
        return done.stdout, done.stderr

    def say(self, *words, **more):
        """Its one line of output; no message."""
        output, messages = self(*words, **more)
        assert messages == "" and output.endswith("\n") and output.count("\n") == 1
        return output[:-1]

    def create(self, data):
        key = self.say("create", data if isinstance(data, str) else json.dumps(data))
        self.site.secrets.add(key)
        return key


@pytest.fixture
def folder():
    """A folder that the tool may read."""
    made = harness.Folder("djsession")
    yield made.path
    made.close()


@pytest.fixture
def tool(site, folder):
    return Tool(site, folder)


@pytest.fixture
def each_tool(each_site, folder):
    """On each database in turn."""
    return Tool(each_site, folder)


def expire(tool, key):
    tool.site.database.execute("UPDATE django_session SET expire_date = '2001-01-01 00:00:00' "
                               "WHERE session_key = %s", (key,))


def spoil(tool, key):
    """Make a row unreadable."""
    tool.site.database.execute("UPDATE django_session SET session_data = 'of:no:use' "
                               "WHERE session_key = %s", (key,))


# ---- Sessions, there and back -------------------------------------------------------------------

def test_what_it_creates_django_reads_and_the_other_way_round(each_tool):
    key = each_tool.create(ALL_KINDS)
    assert re.fullmatch("[a-z0-9]{32}", key)
    # Django's process tells its answer as JSON: both sides are read by the same reader.
    assert each_tool.site.read_session(key) == json.loads(ALL_KINDS)

    made_by_django = each_tool.site.create_session(json.loads(ALL_KINDS))
    assert each_tool.say("get", made_by_django) == ALL_KINDS


def test_create_without_data_makes_an_empty_session(tool):
    assert tool.site.read_session(tool.say("create")) == {}


@pytest.mark.parametrize("data", ["[1]", "5", "null", "{", "{'a':1}", "", "{}x", "\udcff"])
def test_data_that_is_no_json_object_is_refused(tool, data):
    for words in (["create", data], ["save", tool.create({}), data]):
        output, message = tool(*words, expected=USAGE)
        assert output == "" and message.startswith("djsession: ")
    assert len(tool("list")[0].splitlines()) == 1, "nothing was made"


def test_get_prints_all_keys_or_the_selected_ones(tool):
    key = tool.create('{"cart":[{"price":1.10}],"_auth_user_id":"7","none":null}')
    assert tool.say("get", key) == '{"cart":[{"price":1.1}],"_auth_user_id":"7","none":null}'
    assert tool("get", key, "/cart/0/price", "none", "_auth_user_id")[0] == '1.1\nnull\n"7"\n'


def test_get_of_what_the_session_lacks_prints_nothing(tool):
    key = tool.create({"a": 1})
    output, message = tool("get", key, "a", "b", expected=NOT_FOUND)
    assert output == "" and "has no b" in message
    tool("get", key, "/a~2", expected=USAGE)


def test_get_tells_missing_expired_and_unreadable_sessions_apart(tool):
    key = tool.create({"a": 1})
    tool("get", NO_KEY, expected=NOT_FOUND)
    tool("get", "short", expected=NOT_FOUND)
    spoil(tool, key)
    assert "cannot be read" in tool("get", key, expected=UNREADABLE)[1]
    expire(tool, key)
    tool("get", key, expected=NOT_FOUND)


def test_save_replaces_the_whole_data(each_tool):
    key = each_tool.create({"a": 1, "b": 2})
    assert each_tool.say("save", key, '{"c":3}') == key
    assert each_tool.site.read_session(key) == {"c": 3}


def test_save_replaces_whatever_is_there(tool):
    """As Django's save() does when nothing was loaded."""
    for harm in (expire, spoil):
        key = tool.create({"a": 1})
        harm(tool, key)
        tool.say("save", key, '{"b":2}')
        assert tool.site.read_session(key) == {"b": 2}


def test_save_makes_no_session_unless_told_to(each_tool):
    output, message = each_tool("save", NO_KEY, "{}", expected=NOT_FOUND)
    assert output == "" and "no session" in message
    each_tool("exists", NO_KEY, expected=NOT_FOUND)
    assert each_tool.say("save", NO_KEY, '{"a":1}', "--must-create") == NO_KEY
    assert each_tool.site.read_session(NO_KEY) == {"a": 1}


def test_save_must_create_leaves_what_is_there_alone(each_tool):
    key = each_tool.create({"a": 1})
    output, message = each_tool("save", "--must-create", key, '{"b":2}', expected=ALREADY_THERE)
    assert output == "" and message
    assert each_tool.site.read_session(key) == {"a": 1}


def test_save_refuses_keys_that_are_none(tool):
    """Django would store it under another key, unasked."""
    tool("save", "1234567", "{}", expected=NOT_FOUND)
    tool("save", "1234567", "{}", "--must-create", expected=USAGE)
    assert tool("list")[0] == ""


def test_delete_and_exists_say_it_by_their_exit_code(each_tool):
    key = each_tool.create({})
    assert each_tool("exists", key) == ("", "")
    assert each_tool("delete", key) == ("", "")
    assert each_tool("exists", key, expected=NOT_FOUND) == ("", "")
    assert each_tool("delete", key, expected=NOT_FOUND) == ("", "")
    assert each_tool.site.read_session(key) is None


def test_exists_and_delete_know_expired_sessions_as_django_does(tool):
    key = tool.create({})
    expire(tool, key)
    tool("exists", key)
    tool("delete", key)
    tool("exists", key, expected=NOT_FOUND)


def test_an_expiry_in_the_data_decides_when_the_row_ends(each_tool):
    data = '{"_session_expiry":90}'
    ends_in = {each_tool.create(data): 90, each_tool.create("{}"): 90, NO_KEY: 90,
               each_tool.create('{"_session_expiry":0}'): 1209600}
    each_tool("save", list(ends_in)[1], data)
    each_tool("save", "--must-create", NO_KEY, data)
    for key, seconds in ends_in.items():
        left = each_tool.site.django.run(
            "from datetime import datetime, timezone\n"
            "from django.contrib.sessions.models import Session\n"
            f"end = Session.objects.get(pk={key!r}).expire_date\n"
            "result = (end - datetime.now(timezone.utc)).total_seconds()")
        assert 0 <= seconds - left < 60
    for words in (["create"], ["save", NO_KEY], ["save", "--must-create", "1" * 8]):
        each_tool(*words, '{"_session_expiry":"soon"}', expected=USAGE)


def test_naive_times_are_those_of_the_site(make_site, folder):
    """USE_TZ = False: the row holds what clocks in TIME_ZONE show."""
    site = make_site(USE_TZ=False, TIME_ZONE="America/New_York")
    tool = Tool(site, folder)
    of_django = site.create_session({"a": 1}, expiry=60)
    tool("get", of_django, expected=NOT_FOUND)  # taken for UTC it ended hours ago
    tool.options += ["--use-tz", "off", "--time-zone", "America/New_York"]
    assert tool.say("get", of_django) == '{"a":1,"_session_expiry":60}'
    ours = tool.create({"_session_expiry": 60})
    assert site.read_session(ours) == {"_session_expiry": 60}
    ends = [site.database.row(key)[1] for key in (of_django, ours)]
    assert ends[0] <= ends[1], "one after the other, by the same clock"


# ---- update -------------------------------------------------------------------------------------

def test_update_applies_operations(each_tool):
    key = each_tool.create({"n": 1, "gone": 1, "list": []})
    operations = {"set": {"a": [1]}, "setdefault": {"n": 5, "d": 6}, "delete": ["gone"],
                  "increment": {"n": 2}, "append": {"list": "x"}, "test_cookie": "set"}
    assert each_tool.say("update", key, json.dumps(operations)) == key
    assert each_tool.site.read_session(key) == {"n": 3, "list": ["x"], "a": [1], "d": 6,
                                                "testcookie": "worked"}


def test_update_prints_the_key_that_a_session_has_now(tool):
    key = tool.create({"a": 1})
    cycled = tool.say("update", key, '{"cycle_key":true}')
    assert cycled != key
    tool("exists", key, expected=NOT_FOUND)
    assert tool.site.read_session(cycled) == {"a": 1}


def test_update_may_end_a_session(tool):
    key = tool.create({"a": 1})
    assert tool("update", key, '{"flush":true}') == ("", "")
    tool("exists", key, expected=NOT_FOUND)
    assert tool("list")[0] == "", "and no other one was made"


def test_update_of_nothing_is_not_done(tool):
    tool("update", NO_KEY, '{"set":{"a":1}}', expected=NOT_FOUND)
    assert tool("list")[0] == ""


@pytest.mark.parametrize("operations", ['{"sit":{"a":1}}', '{"increment":{"text":1}}', "[]", "{",
                                        '{"set":{"b":1},"append":{"text":1}}', '{"expiry":"soon"}'])
def test_a_malformed_update_changes_nothing(tool, operations):
    key = tool.create({"text": "x"})
    output, message = tool("update", key, operations, expected=USAGE)
    assert output == "" and message
    assert tool.say("get", key) == '{"text":"x"}'


def test_an_unreadable_session_is_not_updated(tool):
    key = tool.create({})
    spoil(tool, key)
    tool("update", key, '{"set":{"a":1}}', expected=UNREADABLE)
    assert tool.site.database.row(key)[0] == "of:no:use"


def test_updates_at_the_same_time_all_take_effect(each_tool):
    key = each_tool.create({"n": 0})
    command = [str(harness.djsession_path()), *each_tool.options, "--session-store-timeout", "60s",
               "update", key, '{"increment":{"n":1}}']
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL, **harness.identity())
               for _ in range(16)]
    assert [process.wait() for process in running] == [DONE] * 16
    assert each_tool.site.read_session(key) == {"n": 16}


def test_update_logs_in_and_out(tool):
    ada = tool.site.create_user("ada")
    key = tool.create({"cart": 1})
    logged_in = tool.say("update", key, '{"login":"ada"}')
    assert logged_in != key, "as Django's login() does"
    assert tool.site.read_session(logged_in)["_auth_user_id"] == str(ada)
    user = tool.site.django.run(
        "from django.contrib.auth import get_user\n"
        "from django.contrib.sessions.backends.db import SessionStore\n"
        "from types import SimpleNamespace\n"
        f"user = get_user(SimpleNamespace(session=SessionStore({logged_in!r})))\n"
        "result = [user.get_username(), user.last_login is not None]")
    assert user == ["ada", True]
    assert "user: \"ada\"" in tool("explain", logged_in)[0]
    assert tool("update", logged_in, '{"logout":true}') == ("", "")
    tool("exists", logged_in, expected=NOT_FOUND)
    tool("update", tool.create({}), '{"login":"nobody"}', expected=USAGE)


# ---- All sessions -------------------------------------------------------------------------------

def test_list_tells_of_live_sessions(each_tool):
    keys = [each_tool.create({"_auth_user_id": "7", "secret": "in here"}), each_tool.create({})]
    expire(each_tool, each_tool.create({}))
    output, _ = each_tool("list")
    lines = [json.loads(line) for line in output.splitlines()]
    assert [sorted(line) for line in lines] == [["expires", "id", "user_id"]] * 2
    assert sorted(str(line["user_id"]) for line in lines) == ["7", "None"]
    assert all(re.fullmatch("[0-9a-f]{16}", line["id"]) for line in lines)
    assert not any(key in output for key in keys) and "in here" not in output
    now = each_tool.site.django.run("import time\nresult = time.time()")
    assert all(0 <= now + 1209600 - line["expires"] < 60 for line in lines)

    with_keys = [json.loads(line) for line in each_tool("list", "--keys")[0].splitlines()]
    assert sorted(line["key"] for line in with_keys) == sorted(keys)


def test_list_goes_on_after_a_session_that_cannot_be_read(tool):
    spoil(tool, tool.create({}))
    tool.create({})
    output, message = tool("list")
    assert len(output.splitlines()) == 2 and "1 of 2" in message


def test_clearsessions_removes_what_expired_and_counts(each_tool):
    live = each_tool.create({})
    for _ in range(3):
        expire(each_tool, each_tool.create({}))
    assert each_tool.say("clearsessions") == "3"
    assert each_tool.say("clearsessions") == "0"
    each_tool("exists", live)


def on_a_terminal(tool, *words):
    """Standard output, and what a terminal gets of standard error."""
    ours, its = pty.openpty()
    done = subprocess.run([str(harness.djsession_path()), *tool.options, *words],
                          stdout=subprocess.PIPE, stderr=its, encoding="ascii",
                          **harness.identity())
    os.close(its)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:
        pass  # the other side is closed, and all of it was read
    os.close(ours)
    assert done.returncode == DONE
    return done.stdout, shown.decode("ascii")


def test_long_work_shows_on_a_terminal_how_far_it_is(tool):
    tool.site.django.run(
        "from datetime import datetime, timezone\n"
        "from django.contrib.sessions.models import Session\n"
        "past, future = (datetime(year, 1, 1, tzinfo=timezone.utc) for year in (2001, 2999))\n"
        "Session.objects.bulk_create(Session(pk=f'{n:032}', session_data='x',\n"
        "    expire_date=future if n == 0 else past) for n in range(1201))")
    output, shown = on_a_terminal(tool, "list")
    assert output.count("\n") == 1 and shown.startswith("\rsessions listed: 1\r\x1b[K")
    output, shown = on_a_terminal(tool, "clearsessions")
    assert output == "1200\n"
    assert shown.startswith("\rsessions removed: 25\r"), "a step is 25"
    assert shown.endswith("\r\x1b[K"), "the line is taken away"


# ---- decode, encode, secret ---------------------------------------------------------------------

KEY = ["--secret-key", "env:DJS_TEST_KEY"]
ENVIRONMENT = dict(os.environ, DJS_TEST_KEY="decode-and-encode")


@pytest.mark.parametrize("layout", [[], ["--legacy"], ["--format", "legacy"],
                                    ["--format", "signed"], ["--format", "json"],
                                    ["--salt", "another"]])
def test_encode_and_decode_need_no_store(tool, layout):
    stored = tool.say("encode", *layout, ALL_KINDS, options=KEY, env=ENVIRONMENT)
    assert tool.say(*layout, "decode", stored, options=KEY, env=ENVIRONMENT) == ALL_KINDS


def test_django_decodes_what_encode_wrote_and_the_other_way_round(tool):
    for option, layout in (([], "sha256"), (["--legacy"], "sha1")):
        stored = tool.say("encode", ALL_KINDS, *option)
        store = ("from django.contrib.sessions.backends.db import SessionStore\n"
                 "from django.test import override_settings\n"
                 "import json\n"
                 f"with override_settings(DEFAULT_HASHING_ALGORITHM={layout!r}):\n")
        assert tool.site.django.run(
            store + f"    result = json.dumps(SessionStore().decode({stored!r}))"
        ) == json.dumps(json.loads(ALL_KINDS))
        by_django = tool.site.django.run(
            store + f"    result = SessionStore().encode(json.loads({ALL_KINDS!r}))")
        assert tool.say("decode", by_django) == ALL_KINDS


def test_decode_of_what_is_no_object_prints_it(tool):
    for text in ("[1]", "5", '"x"', "null", "NaN"):
        assert tool.say("decode", tool.say("encode", text)) == text


def test_decode_refuses_what_no_key_signed(tool):
    stored = tool.say("encode", "{}")
    for text in (stored[:-1], stored + "A", "x" + stored, "", "no", ":::"):
        output, message = tool("decode", text, expected=UNREADABLE)
        assert output == "" and message
    tool("decode", stored, "--salt", "another", expected=UNREADABLE)


def test_decode_reads_with_fallback_keys(tool):
    stored = tool.say("encode", '{"a":1}')
    other = ["--secret-key", "env:DJS_TEST_KEY"]
    tool("decode", stored, options=other, env=ENVIRONMENT, expected=UNREADABLE)
    other += ["--secret-key-fallbacks", "env:PATH",
              "--secret-key-fallbacks", f"file:{tool.key_file}"]
    assert tool.say("decode", stored, options=other, env=ENVIRONMENT) == '{"a":1}'


def test_decode_looks_at_the_age_when_told_to(tool):
    old = tool.site.django.run(
        "from unittest import mock\n"
        "from django.contrib.sessions.backends.db import SessionStore\n"
        "with mock.patch('time.time', return_value=1600000000): result = SessionStore().encode({})")
    assert tool.say("decode", old) == "{}"
    assert tool.say("decode", old, "--max-age", "36500d") == "{}"
    assert "allowed are 3600 s" in tool("decode", old, "--max-age", "1h", expected=UNREADABLE)[1]
    tool("decode", old, "--max-age", "soon", expected=USAGE)
    legacy = tool.say("encode", "{}", "--legacy")
    tool("decode", legacy, "--max-age", "1h", expected=UNREADABLE)


def run_binary(*words, given, expected=DONE):
    """Of a store's value that is no text."""
    done = subprocess.run([str(harness.djsession_path()), *words], input=given,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **harness.identity())
    assert done.returncode == expected, (done.returncode, done.stdout, done.stderr)
    return done.stdout


@pytest.mark.parametrize("layout", ["pickle", "django-redis"])
def test_python_unpickles_what_encode_wrote_and_the_other_way_round(layout):
    value = json.loads(ALL_KINDS)
    pickled = run_binary("encode", "--format", layout, given=ALL_KINDS.encode())
    assert pickle.loads(pickled) == value and pickled.endswith(b".")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        stored = pickle.dumps(value, protocol)
        assert run_binary("decode", "--format", layout, given=stored) == ALL_KINDS.encode() + b"\n"
    typed = {"pair": (1, b"ab"), "when": datetime.datetime(2024, 2, 29, 12)}
    assert json.loads(run_binary("decode", "--format", layout, given=pickle.dumps(typed))) == {
        "pair": [1, "YWI="], "when": "2024-02-29T12:00:00"}
    run_binary("decode", "--format", layout, given=b"{}", expected=UNREADABLE)
    run_binary("decode", "--format", layout, given=pickle.dumps(json.loads), expected=UNREADABLE)


def test_decode_reads_compressed_values_of_django_redis_and_of_memcached():
    stored = zlib.compress(pickle.dumps({"a": 1}))
    assert run_binary("decode", "--format", "django-redis", given=stored) == b'{"a":1}\n'
    assert run_binary("decode", "--flags", "9", given=stored) == b'{"a":1}\n'
    assert run_binary("decode", "--flags", "1", given=pickle.dumps({"a": 1})) == b'{"a":1}\n'
    for flags, given, expected in (("1", stored, UNREADABLE), ("0", b"bytes", UNREADABLE),
                                   ("16", b"text", UNREADABLE), ("2", b"5", UNREADABLE),
                                   ("x", b"5", USAGE), ("-1", b"5", USAGE), ("1k", b"5", USAGE),
                                   ("99999999999", b"5", USAGE)):
        run_binary("decode", "--flags", flags, given=given, expected=expected)


def test_django_redis_json_has_spaces(tool):
    assert tool.say("encode", '{"a":[1,2]}', "--format", "django-redis-json") == '{"a": [1, 2]}'
    assert tool.say("decode", '{"a": [1, 2]}', "--format", "django-redis-json") == '{"a":[1,2]}'


@pytest.mark.parametrize("layout", ["signed", "legacy"])
def test_signed_values_hold_what_the_serializer_says(tool, layout):
    words = ["--format", layout, "--session-serializer", "pickle"]
    stored = tool.say("encode", ALL_KINDS, *words)
    assert tool.say("decode", stored, *words) == ALL_KINDS
    tool("decode", stored, "--format", layout, expected=UNREADABLE)
    tool("decode", tool.say("encode", "{}", "--format", layout), *words, expected=UNREADABLE)


def test_formats_that_are_not_there_are_named(tool):
    for words in (["--format", "xml"], ["--format", "json", "--legacy"],
                  ["--flags", "1"]):
        tool("encode", "{}", *words, expected=USAGE)


def test_secret_is_a_new_secret_key_each_time(tool):
    secrets = [tool.say("secret", options=[]) for _ in range(2)]
    assert secrets[0] != secrets[1]
    for secret in secrets:
        assert re.fullmatch(r"[a-z0-9!@#$%^&*(\-_=+)]{50}", secret)


# ---- check and explain --------------------------------------------------------------------------

def test_check_of_a_sound_site_is_ok(each_tool):
    each_tool.create({})
    output, message = each_tool("check")
    assert message == "" and len(output.splitlines()) >= 4
    assert all(line.startswith("ok: ") for line in output.splitlines()), output
    assert "reads 1 of 1" in output


def failures(tool, *options):
    output, message = tool("check", *options, expected=STORE_FAILED)
    assert message == "", "the lines say it all"
    return [line for line in output.splitlines() if line.startswith("FAIL: ")]


def test_check_sees_another_key(tool):
    tool.create({})
    tool.options[-1] = "env:DJS_TEST_KEY"
    output, _ = tool("check", env=ENVIRONMENT, expected=STORE_FAILED)
    assert "FAIL: DjangoSecretKey" in output


def test_check_sees_a_table_that_is_not_there(tool):
    assert len(failures(tool, "--session-table", "nosuch")) >= 1
    assert any("nosuch" in line for line in failures(tool, "--user-table", "nosuch"))


def test_check_sees_a_column_that_is_not_there(tool):
    tool.site.database.execute("ALTER TABLE django_session RENAME COLUMN expire_date TO ends")
    assert failures(tool)


def test_check_sees_a_database_that_is_not_there(tool, folder):
    tool.options[1] = f"sqlite3:{folder}/no/such/file"
    assert failures(tool)


def test_check_sees_that_use_tz_differs(make_site, folder):
    tool = Tool(make_site(USE_TZ=False, TIME_ZONE="Asia/Tokyo"), folder)
    tool.site.create_session({"a": 1})
    assert any("540 minutes later" in line and "DjangoUseTZ" in line for line in failures(tool))
    assert "FAIL" not in tool("check", "--use-tz", "off", "--time-zone", "Asia/Tokyo")[0]


def test_explain_says_why_a_session_counts_or_not(tool):
    key = tool.create({"a": 1})
    output, _ = tool("explain", key)
    assert "by the secret key" in output and "nobody" in output
    assert key not in output
    old = tool.options
    tool.options = [*old[:3], "env:DJS_TEST_KEY", "--secret-key-fallbacks", old[3]]
    assert "by fallback key 1" in tool("explain", key, env=ENVIRONMENT)[0]
    tool.options = old
    assert "not there" in tool("explain", NO_KEY, expected=NOT_FOUND)[0]
    spoil(tool, key)
    assert "unreadable" in tool("explain", key, expected=UNREADABLE)[0]
    expire(tool, key)
    assert "expired" in tool("explain", key, expected=NOT_FOUND)[0]


def test_explain_changes_nothing(tool):
    """Asking Django who is logged in would end a session with another password's hash."""
    tool.site.create_user("ada")
    key = tool.site.login("ada")
    tool.site.django.run("from django.contrib.auth.models import User\n"
                         "u = User.objects.get()\nu.set_password('new')\nu.save()")
    before = tool.site.database.row(key)
    assert "password-changed" in tool("explain", key)[0]
    assert tool.site.database.row(key) == before


# ---- The command line ---------------------------------------------------------------------------

def test_arguments_come_from_standard_input_where_they_are_a_dash(tool):
    key = tool.say("create", "-", given='{"a":1}\n')
    assert tool.say("get", "-", given=key + "\n") == '{"a":1}'
    assert tool.say("save", "-", "-", given=f'{key}\n{{"b":2}}') == key
    assert tool.say("update", key, "-", given='{"increment":{"b":1}}') == key
    assert tool.say("get", "-", "b", given=key) == "3"
    stored = tool.say("encode", given='{"c":1}')
    assert tool.say("decode", given=stored + "\n") == '{"c":1}'
    tool("create", "-", given="", expected=USAGE)
    tool("save", key, "-", given="", expected=USAGE)


def test_options_stand_before_or_after_the_command(tool):
    for line in ([*tool.options, "create", "{}"], ["create", *tool.options, "{}"],
                 ["create", "{}", *tool.options], [*tool.options, "--", "create", "{}"]):
        tool.say(*line, options=[])
    joined = [f"--dbd={tool.options[1]}", f"--secret-key={tool.options[3]}"]
    tool.say("create", options=joined)


@pytest.mark.parametrize("words", [
    [], ["nosuch"], ["get"], ["exists", "a" * 8, "b"], ["list", "x"], ["--nosuch", "list"],
    ["list", "--must-create"], ["list", "--keys=1"], ["--session-cookie-age", "soon", "list"],
    ["--session-engine", "nosuch", "list"], ["--use-tz", "maybe", "list"], ["list", "--dbd"],
    ["--DjangoUseTZ", "on", "list"], ["--dbd", "nosuch:x", "list"], ["--dbd", "sqlite3", "list"],
    ["--config", "/nosuch", "list"], ["--time-zone", "No/Where", "--use-tz", "off", "list"],
])
def test_wrong_usage_is_exit_2_and_a_message(tool, words):
    output, message = tool(*words, expected=USAGE)
    assert output == "" and message.startswith("djsession: ")


def test_what_is_needed_is_asked_for(tool):
    assert "--dbd" in tool("list", options=tool.options[2:], expected=USAGE)[1]
    assert "DjangoSecretKey" in tool("list", options=tool.options[:2], expected=USAGE)[1]
    assert "--secret-key" in tool("encode", "{}", options=[], expected=USAGE)[1]


def test_a_store_that_fails_is_exit_3(tool, folder):
    tool.options[1] = f"sqlite3:{folder}/no/such/file"
    for words in (["get", NO_KEY], ["create"], ["save", NO_KEY, "{}"], ["delete", NO_KEY],
                  ["update", NO_KEY, "{}"], ["exists", NO_KEY], ["list"]):
        output, message = tool(*words, expected=STORE_FAILED)
        assert output == "" and message


def test_a_database_file_that_is_not_there_is_not_made(tool, folder):
    """SQLite would; a mistyped path leaves an empty file then, of root perhaps."""
    os.chmod(folder, 0o777)
    tool.options[1] = f"sqlite3:{folder}/mistyped"
    assert f"{folder}/mistyped" in tool("list", expected=STORE_FAILED)[1]
    assert not (folder / "mistyped").exists()


def test_a_server_that_is_down_is_exit_3(make_site, folder):
    tool = Tool(make_site("postgresql"), folder)
    tool.options[1] = f"pgsql:host=127.0.0.1 port={harness.servers.free_port()} dbname=x user=x"
    assert tool("get", NO_KEY, expected=STORE_FAILED)[1]


def test_output_that_cannot_be_written_is_no_success(tool):
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([str(harness.djsession_path()), "secret"], stdout=full,
                              stderr=subprocess.PIPE)
    assert done.returncode == STORE_FAILED and b"cannot be written" in done.stderr


def test_a_secret_on_the_command_line_is_warned_of_and_hidden(tool, folder):
    """By other users who look at the list of processes."""
    command = [str(harness.djsession_path()), *tool.options[:2],
               "--secret-key", tool.site.secret_key, "--dbd", "pgsql:password=pass-in-dbd",
               "decode"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, encoding="ascii") as process:
        warning = process.stderr.readline()
        with open(f"/proc/{process.pid}/cmdline", encoding="ascii") as file:
            line = file.read()
        process.communicate("x")
    assert "warning" in warning and "decode" in line
    for secret in (tool.site.secret_key, "pass-in-dbd"):
        assert secret not in warning and secret not in line


def test_directives_come_from_a_file(tool, folder):
    conf = folder / "site.conf"
    driver, params = tool.site.database.dbd
    conf.write_text(f"""# of the site
LoadModule django_session_module modules/mod_django_session.so
  DBDriver {driver}\r
dbdparams "{params}"
DBDMax 5
DjangoSecretKey \\
    "{tool.site.secret_key}"
DjangoSessionCookieAge 1h
DjangoAuthBackends a.b c.d
Require valid-user
""")
    key = tool.say("create", options=["--config", str(conf)])
    assert tool.site.read_session(key) == {}
    line = json.loads(tool.say("list", options=["--config", str(conf)]))
    two_weeks = json.loads(
        tool.say("list", options=["--config", str(conf), "--session-cookie-age", "14d"]))
    assert line == two_weeks, "the row's own end counts"
    later = tool.say("create", "--session-cookie-age", "14d", options=["--config", str(conf)])
    ends = {item["key"]: item["expires"] for item in map(json.loads, tool(
        "list", "--keys", options=["--config", str(conf)])[0].splitlines())}
    assert abs(ends[later] - ends[key] - (14 * 86400 - 3600)) < 60, "options win"


@pytest.mark.parametrize("line, says", [
    ("<VirtualHost *:80>", "section"),
    ("Include other.conf", "Include"),
    ("DjangoNoSuch On", "DjangoNoSuch"),
    ("DjangoUseTZ maybe", "maybe"),
    ("DjangoUseTZ", "takes"),
    ("DBDriver a b", "DBDriver"),
    ("DjangoSecretKey ${KEY}", "${"),
    ("session On", None),
])
def test_a_wrong_line_is_named(tool, folder, line, says):
    conf = folder / "site.conf"
    conf.write_text(f"# first\n{line}\n")
    if says is None:
        tool("list", "--config", str(conf))
        return
    message = tool("list", "--config", str(conf), expected=USAGE)[1]
    assert f"{conf} line 2: " in message and says in message


def test_help_tells_of_every_command_and_the_manual_of_every_option(tool):
    help_text, _ = tool("--help", options=[])
    manual = (harness.SRC / "mod_django_session/cli/djsession.1").read_text("utf-8")
    options = set(re.findall(r"--[a-z][a-z-]+", help_text))
    commands = set(re.findall(r"^  ([a-z]+)\b", help_text, re.M))
    assert len(options) > 30 and len(commands) == 15
    for word in commands | {option.replace("-", r"\-") for option in options}:
        assert word in manual, word
    assert re.fullmatch(r"djsession \d+\.\d+\.\d+\n", tool("--version", options=[])[0])
