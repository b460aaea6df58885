# SPDX-License-Identifier: Apache-2.0
"""
Clients: ab for a counted number of requests, wrk for throughput and latency, and one of our own
that sends back the cookies it gets, as browsers do and neither of these can.
"""
import re
import socket
import subprocess
from collections import namedtuple

SET_COOKIE = re.compile(rb"^Set-Cookie: ([^=;\r]+=[^;\r]+)", re.M)
LENGTH = re.compile(rb"^Content-Length: (\d+)", re.M | re.I)


class Browser:
    """One kept-alive connection. The answers have a length, or end with their last chunk."""

    def __init__(self, port, path, cookie):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=600)
        self.path, self.cookie = path, cookie
        self.rest = b""

    def receive(self):
        more = self.socket.recv(65536)
        if not more:
            raise SystemExit("the connection ended")
        self.rest += more

    def request(self):
        self.socket.sendall(("GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n" % (
            self.path, "Cookie: %s\r\n" % self.cookie if self.cookie else "")).encode())
        while b"\r\n\r\n" not in self.rest:
            self.receive()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit("%s: %s" % (self.path, head.decode("latin-1")))
        length = LENGTH.search(head)
        if length:
            while len(self.rest) < int(length.group(1)):
                self.receive()
            self.rest = self.rest[int(length.group(1)):]
        else:
            while not self.rest.endswith(b"0\r\n\r\n"):
                self.receive()
            self.rest = b""
        for cookie in SET_COOKIE.findall(head):
            self.cookie = cookie.decode("latin-1")

    def close(self):
        self.socket.close()


def browse(port, path, cookie, requests):
    """Requests one after the other; the cookie at the end."""
    browser = Browser(port, path, cookie)
    for _ in range(requests):
        browser.request()
    browser.close()
    return browser.cookie


def ab(port, path, cookie, requests, connections=1, fresh=False):
    """A counted number of requests. @fresh: each on a connection of its own."""
    command = ["ab", "-q", "-s", "600", "-n", str(requests), "-c", str(connections)] + ([] if fresh else ["-k"])
    if cookie:
        command += ["-H", "Cookie: " + cookie]
    out = subprocess.run(command + ["http://127.0.0.1:%d%s" % (port, path)], check=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         universal_newlines=True).stdout
    if "Non-2xx" in out or "Failed requests:        0" not in out:
        raise SystemExit("%s: not every request succeeded\n%s" % (path, out))


#: requests a second; milliseconds; how many there were
Load = namedtuple("Load", "rate p50 p99 requests")

UNITS = {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}


def milliseconds(text):
    number, unit = re.match(r"([\d.]+)([a-z]+)", text).groups()
    return float(number) * UNITS[unit]


def wrk(port, path, cookie, connections, seconds, script=(), more=()):
    """@script: a program of wrk's with its arguments, that says what is asked for. @more: options of wrk's."""
    command = ["wrk", "-t", "1", "-c", str(connections), "-d", "%ds" % seconds, "--latency",
               "--timeout", "60s", *more]
    if cookie:
        command += ["-H", "Cookie: " + cookie]
    if script:
        command += ["-s", str(script[0])]
    command.append("http://127.0.0.1:%d%s" % (port, path))
    out = subprocess.run(command + (["--"] + [str(word) for word in script[1:]] if script else []),
                         check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout
    # httpd may close a connection between two requests: "read"
    if "Non-2xx" in out or re.search(r"Socket errors: (?!connect 0, read \d+, write 0, timeout 0)", out):
        raise SystemExit("%s: not every request succeeded\n%s" % (path, out))
    # not the "50%" that a share in the lines above may end with
    middle, end = (re.search(r"^\s+%d%%\s+(\d\S*)" % part, out, re.M) for part in (50, 99))
    if not middle or not end:
        raise SystemExit("%s: no request was answered\n%s" % (path, out))
    return Load(float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)),
                milliseconds(middle.group(1)), milliseconds(end.group(1)),
                int(re.search(r"(\d+) requests in", out).group(1)))
