# SPDX-License-Identifier: Apache-2.0
from django.contrib.auth import views as auth
from django.shortcuts import redirect, render
from django.urls import path


def home(request):
    return render(request, "home.html")


def cart(request):
    """Django's own view of the cart that the Perl shop keeps in the session."""
    items = request.session.get("cart", {})
    if request.method == "POST":
        name = request.POST["item"][:40]
        items[name] = items.get(name, 0) + 1
        request.session["cart"] = items
        return redirect("cart")
    return render(request, "cart.html", {"items": sorted(items.items())})


urlpatterns = [
    path("", home, name="home"),
    path("cart/", cart, name="cart"),
    path("accounts/login/", auth.LoginView.as_view(), name="login"),
    path("accounts/logout/", auth.LogoutView.as_view(), name="logout"),
]
