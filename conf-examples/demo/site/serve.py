# SPDX-License-Identifier: Apache-2.0
"""Make the demo's database and users, then serve the Django project on a Unix socket.

    serve.py SOCKET      with DEMO_SECRET_KEY, DEMO_DATABASE, and DEMO_USERS, as name=password words
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path += [HERE, os.path.dirname(HERE)]
os.environ["DJANGO_SETTINGS_MODULE"] = "shopsite.settings"

import unix_server  # noqa: E402


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
    unix_server.serve(sys.argv[1], get_wsgi_application())


main()
