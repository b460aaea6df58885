# SPDX-License-Identifier: Apache-2.0
"""
Pages of the test's Django site: login, logout, and a look at and into the session; Django's admin where
the settings name it.
"""
import json

from django.apps import apps
from django.contrib.auth import views
from django.http import JsonResponse
from django.urls import path


def whoami(request):
    user = request.user
    return JsonResponse({"user": user.get_username() if user.is_authenticated else None})


def session(request):
    """GET shows it; ?set={JSON} changes it, ?flush=1 ends it."""
    if "set" in request.GET:
        for key, value in json.loads(request.GET["set"]).items():
            request.session[key] = value
    if "flush" in request.GET:
        request.session.flush()
    return JsonResponse(dict(request.session.items()))


urlpatterns = [
    path("dj/login", views.LoginView.as_view()),
    path("dj/logout", views.LogoutView.as_view()),
    path("dj/whoami", whoami),
    path("dj/session", session),
]

if apps.is_installed("django.contrib.admin"):
    from django.contrib import admin

    urlpatterns.append(path("admin/", admin.site.urls))
