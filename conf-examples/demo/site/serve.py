# SPDX-License-Identifier: Apache-2.0
"""Make the demo's database and users, then serve the Django project on a loopback port.

    serve.py PORT        with DEMO_SECRET_KEY, DEMO_DATABASE, and DEMO_USERS, as name=password words
"""
import os
import socketserver
import sys
import wsgiref.simple_server

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
os.environ["DJANGO_SETTINGS_MODULE"] = "shopsite.settings"


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        pass


def main():
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application

    call_command("migrate", verbosity=0)
    for word in os.environ.pop("DEMO_USERS", "").split():
        name, password = word.split("=", 1)
        User.objects.create_user(name, email="%s@example.com" % name, password=password,
                                 first_name=name.title())
    server = Server(("127.0.0.1", int(sys.argv[1])), Quiet)
    server.set_app(get_wsgi_application())
    server.serve_forever()


main()
