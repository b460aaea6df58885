#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# A CGI program: shows the session, if its header is genuine and not older than 30 seconds.
import json
import os

from django.conf import settings
from django.core import signing

with open("/srv/site/secret-key") as file:
    settings.configure(SECRET_KEY=file.read().rstrip("\n"))
try:
    header = os.environ.get("HTTP_DJANGO_SESSION", "")
    session = signing.loads(header, salt="mod_django_session.header", max_age=30)
    print("Content-Type: application/json\n\n" + json.dumps(session))
except signing.BadSignature:
    print("Status: 403\nContent-Type: text/plain\n\nNot signed by the site, or too old.")
