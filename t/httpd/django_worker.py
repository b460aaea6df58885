# SPDX-License-Identifier: Apache-2.0
"""
Real Django in processes of their own, so that each test can have its own settings.

    django_worker.py SOCKET

To load Django takes longer than most tests. So one process does that and then waits at SOCKET, until
its standard input ends; each connection gets a child of it, which becomes a Django of its own. The
first line of a connection is a JSON object, the child's environment, with DJS_SITE in it for
djangosite/settings.py. Then each line is {"code": Python} or {"serve": true}, answered with one:
{"result": ...} (what the code left in `result`; what JSON lacks as its repr), {"port": n}, or
{"error": traceback}.
"""
import importlib
import json
import os
import selectors
import signal
import socket
import socketserver
import sys
import threading
import traceback
import wsgiref.simple_server

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

#: what looks at no settings while it is imported
LOADED = [
    "django.contrib.auth.hashers", "django.contrib.sessions.backends.base",
    "django.core.management.commands.migrate", "django.core.wsgi",
    "django.db.backends.mysql.base", "django.db.backends.postgresql.base",
    "django.db.backends.sqlite3.base", "django.db.models", "django.forms",
    "django.template.backends.django", "django.template.loader_tags", "django.test",
    "django.urls", "django.views.generic",
]


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        pass


def serve():
    from django.core.wsgi import get_wsgi_application

    server = Server(("127.0.0.1", 0), Quiet)
    server.set_app(get_wsgi_application())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def answer(job, names):
    if job.get("serve"):
        return {"port": serve()}
    names.pop("result", None)
    exec(job["code"], names)
    return {"result": names.get("result")}


def be_django(connection):
    import django

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    lines = connection.makefile("rw", encoding="utf-8")
    os.environ.clear()
    os.environ.update(json.loads(lines.readline()))
    os.environ["DJANGO_SETTINGS_MODULE"] = "djangosite.settings"
    django.setup()
    names = {}
    for line in lines:
        try:
            text = json.dumps(answer(json.loads(line), names), default=repr)
        except Exception:
            text = json.dumps({"error": traceback.format_exc()})
        print(text, file=lines, flush=True)
    # Who waits for the connection's end may look at the database's files then.
    from django.db import connections
    connections.close_all()


def child(listener, connection):
    """Never comes back: what the parent has open is the parent's to close."""
    status = 1
    try:
        listener.close()
        be_django(connection)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def main():
    for name in LOADED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as selector:
        listener.bind(sys.argv[1])
        listener.listen(128)
        selector.register(sys.stdin, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        print("ready", flush=True)
        while all(key.fileobj is listener for key, _ in selector.select()):
            connection, _ = listener.accept()
            if os.fork() == 0:
                child(listener, connection)
            connection.close()


main()
