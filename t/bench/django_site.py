# SPDX-License-Identifier: Apache-2.0
"""
The same pages by Django itself, for mod_wsgi: a view that looks at the session, one that changes it,
one that needs a login. What the site is comes with the first request, by SetEnv.
"""
import json
import threading

SECRET = "bench-secret"  # as stores.SECRET; mod_wsgi loads this file alone


def database(environ):
    driver, params = environ["BENCH_DRIVER"], environ["BENCH_PARAMS"]
    if driver == "sqlite3":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": params,
                "OPTIONS": {"timeout": 10}, "CONN_MAX_AGE": None}
    said = dict(word.split("=", 1) for word in params.split())
    return {"ENGINE": "django.db.backends.postgresql", "NAME": said["dbname"],
            "HOST": said["host"], "PORT": said["port"], "USER": said["user"],
            "CONN_MAX_AGE": None}


def caches(environ):
    kind, _, place = environ.get("BENCH_CACHE", "none").partition(" ")
    backend = {"memcached": "django.core.cache.backends.memcached.PyMemcacheCache",
               "redis": "django_redis.cache.RedisCache",
               "none": "django.core.cache.backends.dummy.DummyCache"}[kind]
    return {"default": {"BACKEND": backend, "LOCATION": place}}


def configure(environ):
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY=SECRET, ALLOWED_HOSTS=["*"], USE_TZ=True, ROOT_URLCONF=__name__,
        DATABASES={"default": database(environ)}, CACHES=caches(environ),
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        SESSION_ENGINE="django.contrib.sessions.backends." + environ["BENCH_ENGINE"],
        SESSION_FILE_PATH=environ.get("BENCH_FILES"),
        SESSION_SERIALIZER="django.contrib.sessions.serializers.JSONSerializer",
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth",
                        "django.contrib.sessions"],
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware",
                    "django.contrib.auth.middleware.AuthenticationMiddleware"])
    django.setup()


def make_application(environ):
    global urlpatterns
    configure(environ)
    from django.contrib.auth.decorators import login_required
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path

    def answer(request):
        # what the module's environment holds, too: all of it as JSON
        text = json.dumps({k: v for k, v in request.session.items() if k[0] != "_"})
        response = HttpResponse("hello\n", content_type="text/plain")
        response["Seen"] = "active" if len(text) > 2 else "new"
        return response

    def seen(request):
        response = answer(request)
        response["Seen"] += " " + request.user.get_username()
        return response

    def change(request):
        request.session["n"] = request.session.get("n", 0) + 1
        return answer(request)

    urlpatterns = [path("index.txt", answer), path("write.asis", change),
                   path("protect/index.txt", login_required(answer)),
                   path("seen/index.txt", seen), path("protect/seen/index.txt", login_required(seen))]
    return get_wsgi_application()


made = None
making = threading.Lock()


def application(environ, start_response):
    global made
    if made is None:
        with making:
            made = made or make_application(environ)
    return made(environ, start_response)
