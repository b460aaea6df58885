# SPDX-License-Identifier: Apache-2.0
"""
djsession on every engine: each command on each store, on real servers, made from two lists. What an
engine cannot do is said, and has the exit code of the interface.
"""
import json
import re
import subprocess
import uuid

import pytest

import harness
from test_djsession import (ALREADY_THERE, NO_KEY, NOT_FOUND, STORE_FAILED, UNREADABLE, USAGE, Tool)
from test_matrix import STORES, Store


class SharedMemory(Store):
    """In a file, which a server makes: what is inside of one is not the tool's."""

    engine = "cache"
    is_the_servers = True

    def start(self):
        self.folder = harness.Folder("shared-memory")

    def directives(self):
        return super().directives() + 'DjangoSessionCache "shm://s?size=1m&file=%s/sessions"\n' % (
            self.folder.path)

    def close(self):
        self.folder.close()


ENGINES = {name: STORES[name] for name in (
    "db, SQLite", "db, PostgreSQL", "db, MariaDB", "file", "memcached, pymemcache",
    "Redis, Django", "Redis, django-redis as JSON", "cached_db, memcached", "cached_db, Redis",
    "signed_cookies")}
ENGINES["encrypted_cookies"] = Store(engine="encrypted_cookies")
ENGINES["shm"] = SharedMemory()


class EngineTool(Tool):
    """djsession with the directives of one store."""

    def __init__(self, name, site, folder):
        super().__init__(site, folder)
        store = ENGINES[name]
        self.in_cookies = store.engine.endswith("_cookies")
        self.lists = not self.in_cookies and not name.startswith("memcached")
        #: what has expired stays until it is cleared
        self.keeps_expired = store.engine in ("db", "cached_db", "file")
        self.conf = folder / "site.conf"
        self.conf.write_text(
            "DBDriver %s\nDBDParams \"%s\"\nDjangoSecretKey file:%s\n%s"
            % (*site.database.dbd, self.key_file, store.directives()))
        self.conf.chmod(0o644)
        self.options = ["--config", str(self.conf)]

    def read(self, key):
        return json.loads(self.say("get", key))

    def say_key(self, *words, **more):
        """A line that is a key, of which nothing may be said anywhere else."""
        key = self.say(*words, **more)
        self.site.secrets.add(key)
        return key


@pytest.fixture(scope="module")
def sites(databases):
    """One for each database; the other engines are at SQLite's, which has the users."""
    made = {}

    def site(kind):
        if kind not in made:
            made[kind] = harness.Site(databases.get(kind))
            made[kind].ada = made[kind].create_user("ada")
        return made[kind]

    yield site
    for one in made.values():
        one.close()


@pytest.fixture(scope="module", params=ENGINES)
def tool(request, sites):
    store = ENGINES[request.param]
    folder = harness.Folder("djsession")
    store.start()
    site = sites(store.database)
    if getattr(store, "is_the_servers", False):
        server = site.httpd("DjangoSession On\n" + store.directives())
        server.env()  # it is there when it answers
        server.stop()
    yield EngineTool(request.param, site, folder.path)
    store.close()
    folder.close()


# ---- the commands -------------------------------------------------------------------------------

def get(tool):
    key = tool.create('{"a":{"b":[1,"x"]},"c":null}')
    assert tool.say("get", key) == '{"a":{"b":[1,"x"]},"c":null}'
    assert tool("get", key, "/a/b/1", "c")[0] == '"x"\nnull\n'
    assert "has no d" in tool("get", key, "d", expected=NOT_FOUND)[1]
    tool("get", NO_KEY, expected=UNREADABLE if tool.in_cookies else NOT_FOUND)


def create(tool):
    key = tool.create({"a": 1})
    assert tool.in_cookies or re.fullmatch("[a-z0-9]{32}", key)
    assert tool.create({}) != key and tool.read(key) == {"a": 1}
    assert tool("create", "[1]", expected=USAGE)[0] == ""


def save(tool):
    key = tool.create({"a": 1, "b": 2})
    saved = tool.say_key("save", key, '{"c":3}')
    assert tool.read(saved) == {"c": 3} and (saved != key) == tool.in_cookies
    assert "session" in tool("save", NO_KEY, "{}", expected=NOT_FOUND)[1]
    tool("save", "--must-create", saved, "{}", expected=ALREADY_THERE)
    assert tool.read(saved) == {"c": 3}
    new = uuid.uuid4().hex
    made = tool.say_key("save", "--must-create", new, '{"d":4}')
    assert tool.read(made) == {"d": 4} and (made != new) == tool.in_cookies


def update(tool):
    key = tool.create({"n": 1, "gone": 1})
    updated = tool.say_key("update", key, '{"increment":{"n":2},"delete":["gone"]}')
    assert tool.read(updated) == {"n": 3} and (updated != key) == tool.in_cookies
    tool("update", updated, '{"sit":{}}', expected=USAGE)
    tool("update", NO_KEY, "{}", expected=UNREADABLE if tool.in_cookies else NOT_FOUND)
    cycled = tool.say_key("update", updated, '{"cycle_key":true}')
    assert tool.read(cycled) == {"n": 3}
    if not tool.in_cookies:  # which of the same second are the same
        assert cycled != updated
        tool("exists", updated, expected=NOT_FOUND)


def delete(tool):
    key = tool.create({})
    message = tool("delete", key)[1]
    if tool.in_cookies:
        assert "can use it until" in message
        tool("exists", key)
        return
    assert message == ""
    tool("exists", key, expected=NOT_FOUND)
    assert tool("delete", key, expected=NOT_FOUND) == ("", "")


def exists(tool):
    assert tool("exists", tool.create({})) == ("", "")
    assert tool("exists", NO_KEY, expected=NOT_FOUND) == ("", "")
    tool("exists", "short", expected=NOT_FOUND)


def cannot_list(tool, *words):
    output, message = tool(*words, expected=USAGE)
    assert output == "" and re.search("engine (cache|[a-z]+_cookies) cannot list its sessions",
                                      message)


def list_(tool):
    if not tool.lists:
        cannot_list(tool, "list")
        return
    key = tool.create({"_auth_user_id": "7"})
    lines = {line["key"]: line for line in map(json.loads, tool("list", "--keys")[0].splitlines())}
    assert lines[key]["user_id"] == "7" and re.fullmatch("[0-9a-f]{16}", lines[key]["id"])
    tool("delete", key)
    assert lines[key]["id"] not in tool("list")[0]


def decode_and_encode(tool):
    for layout in ([], ["--format", "legacy"], ["--format", "json"]):
        stored = tool.say("encode", '{"a":[1]}', *layout)
        assert tool.say("decode", stored, *layout) == '{"a":[1]}'


def clearsessions(tool):
    tool("clearsessions")
    live = tool.create({"a": 1})
    if not tool.in_cookies:
        tool.create({"_session_expiry": -5})
    assert tool.say("clearsessions") == str(int(tool.keeps_expired))
    assert tool.say("clearsessions") == "0" and tool.read(live) == {"a": 1}


def user_and_logout(tool):
    data = {"_auth_user_id": str(tool.site.ada)}
    assert "no user" in tool("user", "nobody", expected=NOT_FOUND)[1]
    tool("logout", "nobody", expected=NOT_FOUND)
    if not tool.lists:
        for command in ("user", "logout"):
            cannot_list(tool, command, "ada")
        return
    assert tool("user", "ada") == ("", "") and tool.say("logout", "ada") == "0"
    keys = [tool.create(data), tool.create({"_auth_user_id": tool.site.ada})]
    others = [tool.create({"_auth_user_id": "12345"}), tool.create({})]
    lines = [json.loads(line) for line in tool("user", "ada", "--keys")[0].splitlines()]
    assert sorted(line["key"] for line in lines) == sorted(keys)
    assert {str(line["user_id"]) for line in lines} == {data["_auth_user_id"]}
    assert tool.say("logout", "ada") == "2"
    for key in keys:
        tool("exists", key, expected=NOT_FOUND)
    for key in others:
        tool("exists", key)


def explain(tool):
    key = tool.create({"a": 1})
    said = tool("explain", key)[0]
    assert ("record: the key itself" if tool.in_cookies else "record: there") in said
    assert "content: an object of 1 keys" in said and "user: nobody: no-login" in said
    assert key not in said
    output, _ = tool("explain", NO_KEY, expected=UNREADABLE if tool.in_cookies else NOT_FOUND)
    assert ("unreadable" if tool.in_cookies else "record: not there") in output


def check(tool):
    tool.create({})
    said, message = tool("check")
    assert message == "" and said and all(line.startswith("ok: ") for line in said.splitlines())
    tool("check", "--dbd", "sqlite3:/nowhere/at/all", expected=STORE_FAILED)


COMMANDS = {one.__name__.rstrip("_"): one for one in (
    get, create, save, update, delete, exists, list_, decode_and_encode, clearsessions,
    user_and_logout, explain, check)}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_on_every_engine(tool, command):
    COMMANDS[command](tool)


def test_no_command_is_forgotten():
    """secret has no engine: it is test_djsession.py's."""
    text = subprocess.run([str(harness.djsession_path()), "--help"], stdout=subprocess.PIPE,
                          encoding="utf-8", check=True).stdout
    run = {word for name in COMMANDS for word in name.split("_and_")}
    assert set(re.findall(r"^  ([a-z]+)\b", text, re.M)) - run == {"secret"}


def test_users_are_in_the_database(sites):
    folder = harness.Folder("djsession")
    tool = Tool(sites("sqlite"), folder.path)
    for command in ("user", "logout"):
        assert "--dbd" in tool("--session-engine", "signed_cookies", command, "ada",
                               options=tool.options[2:], expected=USAGE)[1]
    folder.close()
