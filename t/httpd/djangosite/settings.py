# SPDX-License-Identifier: Apache-2.0
"""Real Django's settings for a test: what DJS_SITE, a JSON document, says, and what it needs."""
import json
import os

ALLOWED_HOSTS = ["*"]
DEBUG = False
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
LOGGING_CONFIG = None
LOGIN_REDIRECT_URL = "/dj/whoami"
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
# Made for tests only: its hashes cost nothing.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ROOT_URLCONF = "djangosite.urls"
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {
        "registration/login.html": "<form method=post>{{ form }}</form>",
        "registration/logged_out.html": "logged out",
    })]},
}]
USE_TZ = True

globals().update(json.loads(os.environ["DJS_SITE"]))
