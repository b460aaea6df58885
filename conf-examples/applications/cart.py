#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# A CGI program: shows the cart; a POST puts an apple in.
import json
import os
import sys

cart = json.loads(os.environ.get("DJANGO_SESSION_CART", "{}"))
if os.environ["REQUEST_METHOD"] == "POST":
    cart["apples"] = cart.get("apples", 0) + 1
    print("Django-Session-Update:", json.dumps({"set": {"cart": cart}}))
print("Content-Type: text/plain; charset=utf-8\n")
sys.stdout.reconfigure(encoding="utf-8")
for item, number in sorted(cart.items()):
    print(f"{item}: {number}")
