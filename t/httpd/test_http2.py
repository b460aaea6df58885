# SPDX-License-Identifier: Apache-2.0
"""Sessions over HTTP/2 and TLS: many requests of one connection at once, of one visitor and of several."""
import json
import socket
import ssl
import subprocess
import threading

import h2.config
import h2.connection
import h2.events
import pytest

import harness
from harness import PATIENCE, Response

CONFIG = """
Protocols h2 http/1.1
SSLEngine on
SSLCertificateFile @DIR@/tls.pem
H2MinWorkers 16
DjangoSession On
DjangoSessionUpdate On
DjangoSessionHeader who=X-Who
DjangoSessionCookieSecure Auto
MergeTrailers On
ProxyPass /app/ %s
<Location "/app/closed">
    AuthType Django
    Require valid-user
    DjangoSessionHeader On who=X-Who
</Location>
"""

#: mod_http2 works on no more than this many streams of a new connection at once
AT_ONCE = 4


def update(**operations):
    return [("Django-Session-Update", json.dumps(operations))]


class Connection:
    """One HTTP/2 connection; requests are sent without waiting for answers."""

    def __init__(self, port):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket = context.wrap_socket(plain)
        assert self.socket.selected_alpn_protocol() == "h2"
        config = h2.config.H2Configuration(header_encoding="utf-8", validate_outbound_headers=False,
                                           normalize_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.streams = {}  # number -> [headers, body, ended]

    def send(self, path, headers=(), cookies=(), trailers=()):
        """Cookies go in fields of their own, as browsers send them. Gives the stream's number."""
        number = self.h2.get_next_available_stream_id()
        head = [(":method", "POST" if trailers else "GET"), (":scheme", "https"),
                (":authority", "x.example"), (":path", path), *headers]
        self.h2.send_headers(number, head + [("cookie", c) for c in cookies],
                             end_stream=not trailers)
        if trailers:
            self.h2.send_data(number, b"body")
            self.h2.send_headers(number, trailers, end_stream=True)
        self.streams[number] = [[], b"", False]
        return number

    def read(self):
        self.socket.sendall(self.h2.data_to_send())
        data = self.socket.recv(65536)
        assert data, "the server closed the connection"
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                self.streams[event.stream_id][0] = event.headers
            elif isinstance(event, h2.events.DataReceived):
                self.streams[event.stream_id][1] += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.streams[event.stream_id][2] = True
            elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                raise AssertionError(event)

    def until(self, condition):
        while not condition():
            self.read()

    def answer(self, number):
        stream = self.streams[number]
        self.until(lambda: stream[2])
        headers = [(k, v) for k, v in stream[0] if not k.startswith(":")]
        return Response(int(dict(stream[0])[":status"]), headers, stream[1])

    def get(self, path, **more):
        return self.answer(self.send(path, **more))

    def close(self):
        self.socket.close()


class Place:
    def __init__(self, databases):
        self.site = harness.Site(databases.get("sqlite"))
        self.backend = self.site.backend()
        self.server = self.site.httpd(CONFIG % self.backend.url, modules=["ssl", "http2"],
                                      start=False, mpm="event")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
                        "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "key.pem", "-out", "tls.pem"], check=True, cwd=self.server.dir,
                       stderr=subprocess.DEVNULL)
        with open(self.server.dir / "tls.pem", "a") as both:
            both.write((self.server.dir / "key.pem").read_text())
        harness.hand_over(self.server.dir)
        self.server.start()
        self.server.expect("AH01873")
        self.answers = {}  # path -> a function of the request, which gives (headers, body)
        self.backend.answer = self.answer
        for name in ("ada", "bob"):
            self.site.create_user(name)

    def answer(self, request):
        headers = dict(request[2])
        path = request[1].split("?")[0]
        return (200, *self.answers.get(path, lambda _: ([], headers.get("X-Who", "")))(headers))

    def serve(self, path, function):
        self.answers["/" + path] = lambda headers: [
            part.encode() if isinstance(part, str) else part for part in function(headers)]
        return "/app/" + path

    def begin(self, **data):
        key = self.site.create_session(data)
        return key, "sessionid=" + key


@pytest.fixture(scope="module")
def place(databases):
    made = Place(databases)
    yield made
    made.site.close()


@pytest.fixture
def connection(place):
    made = Connection(place.server.port)
    yield made
    made.close()


def test_streams_of_several_visitors_never_mix(place, connection):
    """A proxy may put its visitors' requests on one connection."""
    path = place.serve("who", lambda headers: ([], headers.get("X-Who", "nobody")))
    cookies = {name: place.begin(who=name)[1] for name in ("ada", "bob")}
    turns = ["ada", "bob", "nobody", "ada", "ada", "nobody"] * 6
    numbers = [connection.send(path, cookies=["a=1", cookies[who], "b=2"] if who in cookies else [])
               for who in turns]
    assert [connection.answer(n).text for n in numbers] == turns


def test_updates_of_streams_at_once_all_take_effect(place, connection):
    """Each waits until the others are there, too."""
    barrier = threading.Barrier(AT_ONCE, timeout=PATIENCE)

    def meet(_):
        barrier.wait()
        return update(increment={"n": 1}, append={"list": 1}), "counted"

    path = place.serve("meet", meet)
    key, cookie = place.begin(n=0, list=[])
    assert connection.get("/app/who", cookies=[cookie]).status == 200  # what is remembered is in use
    numbers = [connection.send(path, cookies=[cookie]) for _ in range(3 * AT_ONCE)]
    for number in numbers:
        answer = connection.answer(number)
        assert answer.status == 200 and answer.text == "counted", answer
        assert len(answer.all("set-cookie")) == 1 and answer.cookie() == key
        assert "; Secure" in answer.get("set-cookie") and "Cookie" in answer.vary
        assert not [name for name, _ in answer.headers if name.lower().startswith("django")]
    assert place.site.read_session(key) == {"n": 3 * AT_ONCE, "list": [1] * (3 * AT_ONCE)}


def test_when_one_stream_logs_out_the_others_and_later_ones_are_out(place, connection):
    here, go_on = threading.Semaphore(0), threading.Event()

    def wait(_):
        here.release()
        assert go_on.wait(PATIENCE)
        return update(set={"late": 1}), "late"

    closed = place.serve("closed/page", lambda headers: ([], headers["Django-User"]))
    late = place.serve("late", wait)
    out = place.serve("out", lambda _: (update(flush=True), "out"))
    cookie = "sessionid=" + place.site.login("ada")
    for _ in range(3):
        assert connection.get(closed, cookies=[cookie]).text == "ada"
    number = connection.send(late, cookies=[cookie])
    connection.socket.sendall(connection.h2.data_to_send())
    assert here.acquire(timeout=PATIENCE)
    answer = connection.get(out, cookies=[cookie])
    assert answer.status == 200 and answer.cookie() == '""'
    go_on.set()
    answer = connection.answer(number)  # it is not resurrected
    assert answer.status == 400 and not answer.all("set-cookie") and "late" not in answer.text
    assert connection.get(closed, cookies=[cookie]).status == 401


def test_a_stream_is_not_held_back(place, connection):
    """The first part is there, and the session saved, while the program is at work."""
    gate = place.site.gate()
    program = place.server.dir / "cgi" / "stream"
    program.write_text("#!/bin/sh\nprintf 'Content-Type: text/plain\\n"
                       "Django-Session-Set: b=2\\n\\nfirst\\n'\n"
                       f"flock -s {gate.path}/lock true\necho second\n")
    program.chmod(0o755)
    key, cookie = place.begin(a=1)
    number = connection.send("/cgi/stream", cookies=[cookie])
    stream = connection.streams[number]
    connection.until(lambda: b"first" in stream[1])
    assert b"second" not in stream[1] and place.site.read_session(key) == {"a": 1, "b": "2"}
    assert any(k == "set-cookie" and key in v for k, v in stream[0])
    other = connection.get("/app/who", cookies=[cookie])  # and the others go on meanwhile
    assert other.status == 200
    gate.open()
    assert connection.answer(number).text == "first\nsecond\n"


NAMES = ["django-user", "django_user", "django-user_id", "django-session", "django_session_status",
         "x-who", "x_who", "django-session-set", "django-csrf-token"]


def test_what_a_client_sends_in_our_name_reaches_nobody(place, connection):
    """In the head, and behind the body, where MergeTrailers puts it among the headers."""
    place.server.expect("AH01753", "AH02430")
    path = place.serve("closed/echo", lambda headers: ([], json.dumps(headers)))
    cookie = "sessionid=" + place.site.login("bob", who="bob")
    forged = [(name, "mallory") for name in NAMES]
    for more in ({"headers": forged + [("x-kept", "kept")]},
                 {"trailers": forged, "headers": [("x-kept", "kept")]}):
        answer = connection.get(path, cookies=[cookie], **more)
        seen = json.loads(answer.text)
        assert answer.status == 200 and "mallory" not in answer.text, answer
        assert seen["Django-User"] == seen["X-Who"] == "bob" and "kept" in answer.text
