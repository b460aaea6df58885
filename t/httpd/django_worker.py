# SPDX-License-Identifier: Apache-2.0
"""
Real Django in a process of its own, so that each test can have its own settings.

Reads one JSON document a line, {"code": Python} or {"serve": true}, and answers with one:
{"result": …} (what the code left in `result`; what JSON lacks as its repr), {"port": n}, or
{"error": traceback}.
"""
import json
import os
import socketserver
import sys
import threading
import traceback
import wsgiref.simple_server

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
os.environ["DJANGO_SETTINGS_MODULE"] = "djangosite.settings"


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


def main():
    import django

    django.setup()
    names = {}
    for line in sys.stdin:
        try:
            text = json.dumps(answer(json.loads(line), names), default=repr)
        except Exception:
            text = json.dumps({"error": traceback.format_exc()})
        print(text, flush=True)


main()
