# SPDX-License-Identifier: Apache-2.0
"""Serve a WSGI application on a Unix socket that only this account can open."""
import os
import socket
import socketserver
import wsgiref.simple_server


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    address_family = socket.AF_UNIX
    daemon_threads = True

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", 80
        self.setup_environ()

    def get_request(self):
        # Clients of such a socket have no address, and wsgiref wants one.
        return super().get_request()[0], ("127.0.0.1", 0)


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        pass


def serve(path, application):
    os.umask(0o077)
    server = Server(path, Quiet)
    server.set_app(application)
    server.serve_forever()
