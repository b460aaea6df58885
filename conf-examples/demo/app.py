# SPDX-License-Identifier: Apache-2.0
"""A proxied application that knows nothing of Django: it shows the request headers that httpd adds.

    app.py PORT
"""
import html
import http.server
import sys

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


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        rows = "".join("<tr><td>%s</td><td><code>%s</code></td></tr>\n"
                       % (html.escape(name), html.escape(value))
                       for name, value in sorted(self.headers.items())
                       if name.lower().startswith("django-"))
        cookie = ("It got the session cookie." if "sessionid" in self.headers.get("Cookie", "")
                  else "The session cookie was not passed on to it.")
        page = (PAGE % (rows, cookie)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
