# SPDX-License-Identifier: Apache-2.0
"""mod_dbd's connections: borrowed for a statement, waited for with a limit, left to others."""
import threading

from harness import wait_until

ON = "DjangoSession On\nDjangoSessionUpdate On\n"
ONE = "DBDMin 0\nDBDKeep 1\nDBDMax 1\n"  # so many connections in a child
#: one child, so that it is one pool
ONE_CHILD = ("\nStartServers 1\nServerLimit 1\nThreadsPerChild 60\nMaxRequestWorkers 60\n"
             "MinSpareThreads 1\nMaxSpareThreads 60\n")


def one_child(config):
    return config + ONE_CHILD


class Requests:
    """Requests that run at the same time."""

    def __init__(self, server, count, path, **how):
        self.answers = []
        self.threads = [threading.Thread(target=self.one, args=(server, path, how))
                        for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def one(self, server, path, how):
        self.answers.append(server.get(path, **how))

    def join(self):
        for thread in self.threads:
            thread.join()
        return [answer.status for answer in self.answers]


def test_slow_applications_hold_no_connection(each_site):
    """D-13. The order is forced: the slow ones end only after the fast one has its answer."""
    key = each_site.create_session({"a": 1})
    gate = each_site.gate()
    server = each_site.httpd(one_child(ON), dbd=ONE)
    slow = Requests(server, 20, f"/cgi/slow?gate={gate.path}", cookie=f"sessionid={key}")
    gate.wait_for(20)
    env = server.env(cookie=f"sessionid={key}")
    assert env["DJANGO_SESSION_STATUS"] == "active"
    assert not slow.answers
    gate.open()
    assert slow.join() == [200] * 20


def test_many_requests_get_their_turns_on_one_connection(each_site):
    key = each_site.create_session({"a": 1})
    server = each_site.httpd(one_child(ON), dbd=ONE)
    for _ in range(5):
        assert Requests(server, 20, "/cgi/env", cookie=f"sessionid={key}").join() == [200] * 20


# mod_authn_dbd holds a connection from its check to the end of the request.
AUTHN_DBD = """
<Location "/cgi/slow">
    AuthType Basic
    AuthName "held"
    AuthBasicProvider dbd
    AuthDBDUserPWQuery "SELECT password FROM passwords WHERE name = %s"
    Require valid-user
</Location>
"""
BASIC = {"Authorization": "Basic aG9sZGVyOmhlbGQ="}  # holder:held
HELD = "{SHA}LANDlZY+0UwDsW47bgiaGq+2A/k="


def make_passwords(site):
    site.database.execute("CREATE TABLE passwords (name varchar(20), password varchar(60))")
    site.database.execute("INSERT INTO passwords VALUES (%s, %s)", ("holder", HELD))


def test_another_module_that_holds_the_connection_costs_a_bounded_wait(make_site):
    site = make_site("sqlite")
    make_passwords(site)
    key = site.create_session({"a": 1})
    gate = site.gate()
    server = site.httpd(one_child(ON + AUTHN_DBD + "DjangoSessionStoreTimeout 500ms\n"
                                  '<Location "/cgi/slow">\nDjangoSession Off\n</Location>\n'),
                        dbd=ONE, modules=["auth_basic", "authn_dbd"])
    holder = Requests(server, 1, f"/cgi/slow?gate={gate.path}", headers=BASIC)
    gate.wait_for(1)
    server.expect(111)
    answer = server.get("/cgi/env", cookie=f"sessionid={key}")
    assert answer.status == 503
    assert answer.get("Retry-After")
    gate.open()
    assert holder.join() == [200]
    wait_until(lambda: server.get("/cgi/env", cookie=f"sessionid={key}").status == 200, "recovery")


def test_another_module_gets_its_connection_while_we_are_busy(make_site):
    site = make_site("sqlite")
    make_passwords(site)
    key = site.create_session({"a": 1})
    gate = site.gate()
    gate_path = gate.path
    server = site.httpd(one_child(ON + AUTHN_DBD), dbd=ONE,
                        modules=["auth_basic", "authn_dbd"])
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            assert server.get("/page.txt", cookie=f"sessionid={key}").status in (200, 503)

    threads = [threading.Thread(target=busy) for _ in range(4)]
    server.expect(111)  # those that wait for it while it is held
    for thread in threads:
        thread.start()
    holder = Requests(server, 1, f"/cgi/slow?gate={gate_path}", headers=BASIC)
    gate.wait_for(1)  # it has the connection, or the test hangs
    gate.open()
    stop.set()
    for thread in threads:
        thread.join()
    assert holder.join() == [200]


def test_without_persistent_connections_it_works_too(each_site):
    key = each_site.create_session({"a": 1})
    server = each_site.httpd(ON, dbd="DBDPersist Off\n")
    for _ in range(3):
        assert Requests(server, 5, "/cgi/env", cookie=f"sessionid={key}").join() == [200] * 5


def test_what_the_administrator_set_on_the_connection_stays(make_site):
    """DBDInitSQL runs, and its busy_timeout is there for mod_dbd's other users."""
    site = make_site("sqlite")
    make_passwords(site)
    key = site.create_session({"a": 1})
    authn = AUTHN_DBD.replace("/cgi/slow", "/cgi/reply").replace(
        "FROM passwords WHERE", "FROM passwords, pragma_busy_timeout WHERE timeout = 1234 AND")
    server = site.httpd(
        one_child(ON + authn), dbd=ONE + 'DBDInitSQL "PRAGMA busy_timeout=1234"\n',
        modules=["auth_basic", "authn_dbd"])
    for _ in range(3):
        assert server.env(cookie=f"sessionid={key}")["DJANGO_SESSION_STATUS"] == "active"
        assert server.get("/cgi/reply", headers=BASIC).status == 200
