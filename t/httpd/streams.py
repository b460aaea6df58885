# SPDX-License-Identifier: Apache-2.0
"""
Answers without an end: a backend with WebSockets and event streams, and clients for them. Of RFC 6455
it has what echoes short texts.
"""
import base64
import hashlib
import os
import socket
import threading
import time

from harness import PATIENCE, stop_listening

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(text, mask=b""):
    """One text frame; a client's has a mask of four bytes."""
    data = text.encode()
    assert len(data) < 126
    if mask:
        data = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
    return bytes([0x81, len(data) | (0x80 if mask else 0)]) + mask + data


def read_frame(file):
    """The text of a frame; None at the end."""
    head = file.read(2)
    if len(head) < 2:
        return None
    mask = file.read(4) if head[1] & 0x80 else b"\0\0\0\0"
    data = file.read(head[1] & 0x7f)
    return bytes(byte ^ mask[i % 4] for i, byte in enumerate(data)).decode()


def read_head(file):
    """First line and [(name, value)…]; bytes as latin-1."""
    lines = []
    for line in iter(lambda: file.readline().decode("latin-1"), ""):
        if not line.strip("\r\n"):
            break
        lines.append(line.rstrip("\r\n"))
    headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]
    return (lines or [""])[0], headers


class StreamBackend:
    """
    /socket: a WebSocket that echoes. /events: an event stream that goes on as long as anybody reads.
    /idle: one that says one thing, and then nothing.
    `heads` has what came; `extra` are lines for the heads of answers; so many connections are `busy`.
    """

    def __init__(self):
        self.heads, self.extra, self.busy = [], [], 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port = self.listener.getsockname()[1]
        self.ended = threading.Event()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            self.count(1)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def count(self, change):
        with self.lock:
            self.busy += change

    def serve(self, connection):
        try:
            with connection, connection.makefile("rb") as file:
                line, headers = read_head(file)
                if not line:
                    return
                self.heads.append((line, headers))
                {"socket": self.echo, "events": self.tell, "idle": self.wait}[
                    line.split()[1].strip("/")](connection, file, dict(headers))
        except OSError:
            pass
        finally:
            self.count(-1)

    def answer(self, connection, *lines):
        connection.sendall("".join(line + "\r\n" for line in [*lines, *self.extra, ""]).encode())

    def echo(self, connection, file, headers):
        key = next(v for k, v in headers.items() if k.lower() == "sec-websocket-key")
        proof = base64.b64encode(hashlib.sha1(key.encode() + MAGIC).digest()).decode()
        self.answer(connection, "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket",
                    "Connection: Upgrade", "Sec-WebSocket-Accept: " + proof)
        for text in iter(lambda: read_frame(file), None):
            connection.sendall(frame(text))

    def tell(self, connection, _file, _headers):
        self.answer(connection, "HTTP/1.1 200 OK", "Content-Type: text/event-stream",
                    "Transfer-Encoding: chunked")
        while not self.ended.wait(0.02):
            connection.sendall(b"c\r\ndata: tick\n\n\r\n")

    def wait(self, connection, _file, _headers):
        self.answer(connection, "HTTP/1.1 200 OK", "Content-Type: text/event-stream",
                    "Transfer-Encoding: chunked")
        connection.sendall(b"c\r\ndata: once\n\n\r\n")
        self.ended.wait(PATIENCE)

    def close(self):
        self.ended.set()
        stop_listening(self.listener)


class Stream:
    """A client of any of them."""

    def __init__(self, port, path, cookie=None, headers=()):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.file = self.socket.makefile("rb")
        lines = ["GET %s HTTP/1.1" % path, "Host: 127.0.0.1"]
        lines += ["%s: %s" % header for header in headers]
        lines += ["Cookie: sessionid=" + cookie] if cookie else []
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        self.line, self.headers = read_head(self.file)
        self.status = int(self.line.split()[1]) if self.line else None

    def all(self, name):
        return [v for k, v in self.headers if k.lower() == name.lower()]

    def goes_on(self):
        """Something comes."""
        return len(self.file.read(1)) == 1

    def wait_for_end(self):
        """Read until nothing more comes."""
        end = time.monotonic() + PATIENCE
        try:
            while self.file.read(1):
                assert time.monotonic() < end, "it goes on and on"
        except ConnectionResetError:
            pass

    def close(self):
        self.file.close()
        self.socket.close()


class WebSocket(Stream):
    def __init__(self, port, path, cookie=None, headers=()):
        self.key = base64.b64encode(os.urandom(16)).decode()
        super().__init__(port, path, cookie, [
            ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", self.key), *headers])

    def is_genuine(self):
        proof = base64.b64encode(hashlib.sha1(self.key.encode() + MAGIC).digest()).decode()
        return self.status == 101 and self.all("Sec-WebSocket-Accept") == [proof]

    def echoes(self, text):
        self.socket.sendall(frame(text, os.urandom(4)))
        return read_frame(self.file) == text
