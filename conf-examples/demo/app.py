# SPDX-License-Identifier: Apache-2.0
"""A proxied application that knows nothing of Django: it shows the request headers that httpd adds.

    app.py SOCKET
"""
import html
import sys

import unix_server

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Inspector</title><link rel="stylesheet" href="/static/style.css"></head>
<body>
<header><div><strong>One login, one session</strong>
<a href="/">Home</a> <a href="/cart/">Cart</a> <a href="/legacy/shop.pl">Shop</a>
<a href="/legacy/hello.sh">Greeting</a> <a href="/inspect/">Inspector</a></div></header>
<main>
<p class="by">served by a proxied application</p>
<h1>What this application is told</h1>
<table><tr><th>Request header</th><th>Value</th></tr>
%s</table>
<p>%s</p>
</main></body></html>
"""


def application(environ, start_response):
    told = sorted((name[len("HTTP_"):].replace("_", "-").title(), value)
                  for name, value in environ.items() if name.startswith("HTTP_DJANGO_"))
    rows = "".join("<tr><td>%s</td><td><code>%s</code></td></tr>\n"
                   % (html.escape(name), html.escape(value)) for name, value in told)
    cookie = ("It got the session cookie." if "sessionid" in environ.get("HTTP_COOKIE", "")
              else "The session cookie was not passed on to it.")
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [(PAGE % (rows, cookie)).encode()]


unix_server.serve(sys.argv[1], application)
