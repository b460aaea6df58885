#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A legacy greeting: whoever Django logged in is REMOTE_USER.
escape() { printf '%s' "$1" | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g'; }
user=$(escape "$REMOTE_USER")
name=$(escape "$DJANGO_USER_NAME")

cat <<PAGE
Content-Type: text/html; charset=utf-8

<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Greeting</title><link rel="stylesheet" href="/static/style.css"></head>
<body>
<header><div><strong>One login, one session</strong>
<a href="/">Home</a> <a href="/cart/">Cart</a> <a href="/legacy/shop.pl">Shop</a>
<a href="/legacy/hello.sh">Greeting</a> <a href="/inspect/">Inspector</a></div></header>
<main>
<p class="by">served by a shell CGI</p>
<h1>Hello, $user</h1>
<p>Your name is ${name:-not known}, your number $DJANGO_USER_ID, your session is
$DJANGO_SESSION_STATUS.</p>
</main></body></html>
PAGE
