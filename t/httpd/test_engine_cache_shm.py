# SPDX-License-Identifier: Apache-2.0
"""Sessions in shared memory: the life of the memory is the server's, not its children's."""
import http.client
import json
import os
import re
import signal
import stat
import subprocess
import threading
import urllib.parse

import pytest

from harness import djsession_path, identity, wait_until

ON = "DjangoSession On\n"


def memory(more="size=8m"):
    """Sessions in shared memory, and applications may change them."""
    return ('DjangoSessionEngine cache\nDjangoSessionCache "shm://s?%s"\nDjangoSession On\n'
            "DjangoSessionUpdate On\n" % more)


def update(operations):
    return "/cgi/reply?" + urllib.parse.urlencode(
        {"h": "Django-Session-Update: " + json.dumps(operations)})


COUNT = update({"increment": {"hits": 1}})


def counting(site):
    """Directives of an application that counts at /count; it costs less than a CGI program."""
    backend = site.backend()
    backend.answer = lambda request: (
        200, [("Django-Session-Update", json.dumps({"increment": {"hits": 1}}))], b"")
    return "ProxyPass /count %s\n" % backend.url


def begin(server, **data):
    """A new session's cookie."""
    answer = server.get(update({"set": data}))
    assert answer.status == 200, answer
    return "sessionid=" + answer.cookie()


def session(server, cookie):
    """What an application is told of it; None when there is none."""
    found = server.env(cookie=cookie)
    if found["DJANGO_SESSION_STATUS"] != "active":
        return None
    return json.loads(found["DJANGO_SESSION"])


def workers(server):
    """The children that answer requests; another one of the server's starts CGI programs."""
    listing = subprocess.run(["ps", "--ppid", str(server.process.pid), "-o", "pid=,nlwp="],
                             stdout=subprocess.PIPE, universal_newlines=True).stdout
    found = [line.split() for line in listing.splitlines()]
    return [int(pid) for pid, threads in found if server.mpm == "prefork" or int(threads) > 1]


def count_from_clients(server, cookie, clients, each):
    """Concurrent increments; gives the answers' status codes, 0 where none came."""
    seen = []

    def client():
        for _ in range(each):
            try:
                seen.append(server.get("/count", cookie=cookie).status)
            except (OSError, http.client.HTTPException):
                seen.append(0)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


def test_the_memory_is_made_at_the_start_and_not_by_a_configtest(site):
    server = site.httpd(ON + 'DjangoSessionCache "shm://s?size=1m&file=@DIR@/sessions"\n',
                        start=False)
    file = server.dir / "sessions"
    code, said = server.configtest()
    assert code == 0, said
    assert not file.exists()
    server.start()
    assert server.get("/page.txt").status == 200
    found = os.lstat(file)
    assert stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o600
    assert found.st_size == 1 << 20


def test_a_server_without_its_memory_does_not_start(site):
    server = site.httpd(ON + 'DjangoSessionCache "shm://s?size=1m&file=@DIR@/no/where"\n',
                        start=False)
    server.expect(105, "AH00016", "AH00020")
    try:
        server.start()
        wait_until(lambda: server.process.poll() is not None, "the server ends")
    except RuntimeError:
        pass  # it had ended already
    assert "cannot be made: No such file" in server.log


def test_a_file_of_root_is_given_to_the_servers_user(site):
    if os.geteuid() != 0:
        return
    server = site.httpd(ON + 'DjangoSessionCache "shm://s?size=1m&file=@DIR@/sessions"\n',
                        as_root=True)
    assert server.get("/page.txt").status == 200
    assert os.lstat(server.dir / "sessions").st_uid == identity()["user"]


@pytest.mark.parametrize("mpm", ["prefork", "event"])
def test_sessions_stay_over_graceful_restarts(site, mpm):
    server = site.httpd(memory(), mpm=mpm)
    cookie = begin(server, hits=0, name="ada")
    for expected in range(1, 4):
        assert server.get(COUNT, cookie=cookie).status == 200
        assert session(server, cookie) == {"hits": expected, "name": "ada"}
        server.graceful()
    assert session(server, cookie) == {"hits": 3, "name": "ada"}
    assert server.get(update({"flush": True}), cookie=cookie).status == 200
    assert server.env(cookie=cookie)["DJANGO_SESSION_STATUS"] == "new"


def test_another_size_is_another_memory_and_is_told(site):
    server = site.httpd(memory("size=8m"))
    cookie = begin(server, a=1)
    text = (server.dir / "httpd.conf").read_text()
    (server.dir / "httpd.conf").write_text(text.replace("size=8m", "size=16m"))
    server.expect(106)
    server.graceful()
    assert server.env(cookie=cookie)["DJANGO_SESSION_STATUS"] == "new"
    assert "DJS0106: shared memory shm://s of 8m, with the sessions in it, is given up" in server.log


def test_a_file_outlives_the_server_and_is_the_tools_too(site):
    server = site.httpd(memory("size=1m&file=@DIR@/sessions"))
    cookie = begin(server, name="ada")
    server.stop()
    server.start()
    assert session(server, cookie) == {"name": "ada"}

    def djsession(*arguments):
        done = subprocess.run(
            [str(djsession_path()), "--session-engine", "cache", "--session-cache",
             "shm://s?size=1m&file=%s/sessions" % server.dir, "--secret-key", site.secret_key,
             *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
            **identity())
        return done.returncode, done.stdout, done.stderr

    key = cookie.split("=")[1]
    assert djsession("get", key)[:2] == (0, '{"name":"ada"}\n')
    code, made, _ = djsession("create", '{"by": "the tool"}')
    site.secrets.add(made.strip())
    assert code == 0
    assert session(server, "sessionid=" + made.strip()) == {"by": "the tool"}
    assert djsession("list")[1].count("\n") == 2
    assert djsession("delete", key)[0] == 0
    assert session(server, cookie) is None
    code, said, _ = djsession("check")
    assert code == 0 and "1 sessions" in said, said


def test_what_is_inside_the_server_is_not_the_tools(site):
    done = subprocess.run(
        [str(djsession_path()), "--session-engine", "cache", "--session-cache", "shm://s",
         "--secret-key", site.secret_key, "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        universal_newlines=True)
    assert done.returncode == 3
    assert "inside the server" in done.stderr and "file=" in done.stderr


def test_before_living_sessions_have_to_go_the_log_says_so(site):
    backend = site.backend()
    backend.answer = lambda request: (
        200, [("Django-Session-Update", json.dumps({"set": {"x": "y" * 7000}}))], b"")
    server = site.httpd(memory("size=1m") + "ProxyPass /fill %s\n" % backend.url)
    server.expect(155)
    first = begin(server, name="ada")
    for _ in range(400):  # of which 1m holds about 130
        answer = server.get("/fill")
        site.secrets.add(answer.cookie())
        assert answer.status == 200
        if "DJS0155" in server.log:
            break
    assert " % full with " in server.log and "soon living ones will have to go" in server.log
    assert session(server, first) == {"name": "ada"}, "none has had to go"


def test_mod_status_tells_how_full_it_is(site):
    backend = site.backend()
    backend.answer = lambda request: (
        200, [("Django-Session-Update", json.dumps({"set": {"a": "x" * 4000}}))], b"")
    server = site.httpd(memory("size=1m") + "ProxyPass /app %s\n" % backend.url
                        + '<Location "/status">\nSetHandler server-status\n</Location>\n',
                        modules=["status"])

    def told():
        """What is told of this memory; there is one where logins are counted, too."""
        figures = dict(re.findall(r"^DjangoSessionShm(\d+\w+): (.*)$",
                                  server.get("/status?auto").text, re.M))
        number = [name[:-4] for name, text in figures.items() if name.endswith("Name")
                  and text == "s"][0]
        return {name[len(number):]: int(text) for name, text in figures.items()
                if name.startswith(number) and text.isdigit()}

    before = told()
    assert before["Entries"] == 0 and before["Size"] == 1024 * 1024
    for _ in range(60):
        site.secrets.add(key := server.get("/app").cookie())
    server.get("/cgi/env", cookie=f"sessionid={key}")
    after = told()
    assert after["Entries"] == 60 and after["Evicted"] == 0
    assert 20 < after["UsedPercent"] < 50
    assert after["Hits"] > before["Hits"]
    page = server.get("/status").text
    assert "Django sessions: shared memory" in page and "<td>s</td><td>1024 KiB</td>" in page
    assert key not in page


def test_2000_of_2000_increments_from_8_clients_survive(site):
    server = site.httpd(memory() + counting(site), log_level="warn")
    cookie = begin(server, hits=0)
    seen = count_from_clients(server, cookie, 8, 250)
    assert set(seen) == {200}
    assert session(server, cookie) == {"hits": 2000}


@pytest.mark.parametrize("mpm", ["prefork", "event"])
def test_children_that_are_killed_under_load_do_no_harm(site, mpm):
    server = site.httpd(memory() + counting(site), mpm=mpm, log_level="warn")
    server.expect(155, "AH00052|AH00051|AH00045|AH10392|AH01239")
    others = [begin(server, name="session %d" % i) for i in range(5)]
    cookie = begin(server, hits=0)
    seen = []
    ended = threading.Event()

    def load():
        while not ended.is_set():
            seen.extend(count_from_clients(server, cookie, 4, 5))

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for _ in range(3):
            before = seen.count(200)
            wait_until(lambda: seen.count(200) > before + 10, "counting goes on")
            for child in workers(server):
                os.kill(child, signal.SIGKILL)
        before = seen.count(200)
        wait_until(lambda: seen.count(200) > before, "new children count")
    finally:
        ended.set()
        thread.join()
    # Whoever was told that it was done can count on it; of what was killed nobody knows.
    assert seen.count(200) <= session(server, cookie)["hits"] <= len(seen)
    for i, other in enumerate(others):
        assert session(server, other) == {"name": "session %d" % i}
