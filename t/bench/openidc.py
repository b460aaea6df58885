# SPDX-License-Identifier: Apache-2.0
"""
Logins for mod_auth_openidc, whose session there is only at the end of one: what a browser brings back
from a provider that answers with the identity itself (response type id_token).
"""
import base64
import hashlib
import hmac
import json
import re
import time
import urllib.parse

from stores import LOGIN

ISSUER = "https://provider.invalid"
CLIENT = "bench"
CLIENT_SECRET = "0123456789abcdef0123456789abcdef"

CONFIG = """
OIDCProviderIssuer %s
OIDCProviderAuthorizationEndpoint %s/authorize
OIDCResponseType id_token
OIDCResponseMode form_post
OIDCIDTokenSignedResponseAlg HS256
OIDCClientID %s
OIDCClientSecret %s
OIDCCryptoPassphrase bench-passphrase
OIDCRedirectURI /protect/redirect
OIDCSessionInactivityTimeout 86400
""" % (ISSUER, ISSUER, CLIENT, CLIENT_SECRET)


def part(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=")


def token(claims, nonce):
    """A JWT, signed with the client's secret."""
    now = int(time.time())
    claims = dict(claims, iss=ISSUER, sub=LOGIN, aud=CLIENT, iat=now, exp=now + 3600, nonce=nonce)
    signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    mac = hmac.new(CLIENT_SECRET.encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + part(mac)).decode()


def header(answer, name):
    return re.findall("^%s: ([^\r]+)" % name, answer, re.M | re.I)


def login(server, claims):
    """The session's cookie."""
    answer = server.ask("/protect/index.txt")
    states = [cookie.split(";")[0] for cookie in header(answer, "Set-Cookie")]
    where = header(answer, "Location")
    if not where or not states:
        raise SystemExit("%s does not send to its provider:\n%s" % (server.name, answer))
    sent = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(where[0]).query))
    answer = server.ask("/protect/redirect", "; ".join(states), urllib.parse.urlencode(
        {"state": sent["state"], "id_token": token(claims, sent["nonce"])}))
    for cookie in header(answer, "Set-Cookie"):
        if cookie.startswith(server.target.cookie_name + "="):
            return cookie.split(";")[0]
    raise SystemExit("%s: no session after the login:\n%s\n%s" % (
        server.name, answer, (server.dir / "error.log").read_text()[-2000:]))
