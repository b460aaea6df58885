# SPDX-License-Identifier: Apache-2.0
"""DjangoSessionCookieSecure Auto: TLS here, TLS before a trusted proxy, and who is not believed."""
import http.client
import ssl
import subprocess
import urllib.parse

import pytest

import harness
import servers
from test_session import reply, update

CHANGE = reply(update(set={"a": 1}))
AUTO = "DjangoSession On\nDjangoSessionUpdate On\nDjangoSessionCookieSecure Auto\n"
#: the tests come from 127.0.0.1; nobody comes from 192.0.2.1
HOSTS = {
    "plain": "",
    "setenvif": "SetEnvIf X-Forwarded-Proto ^https$ HTTPS=on\n",
    "setenvif-us": "SetEnvIfExpr \"req('X-Forwarded-Proto') == 'https' && -R '127.0.0.1'\" HTTPS=on\n",
    "setenvif-others":
        "SetEnvIfExpr \"req('X-Forwarded-Proto') == 'https' && -R '192.0.2.1'\" HTTPS=on\n",
    "remoteip-internal": "RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy 127.0.0.1\n",
    "remoteip-trusted": "RemoteIPHeader X-Forwarded-For\nRemoteIPTrustedProxy 127.0.0.0/8\n",
    "remoteip-others": "RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy 192.0.2.1\n",
    "scheme": "ServerName https://scheme.example\n",
    "host-prefix": "DjangoSessionCookieName __Host-sid\n",
    "secure-prefix": "DjangoSessionCookieName __Secure-sid\nDjangoSessionCookiePath /cgi/\n",
    "third-party": "DjangoSessionCookieSameSite None\nDjangoSessionCookiePartitioned On\n",
}
FORWARDED = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https")]


@pytest.fixture(scope="module")
def server(databases):
    site = harness.Site(databases.get("sqlite"))
    port, proxied = servers.free_port(), servers.free_port()
    hosts = "".join(f"<VirtualHost *:@PORT@>\nServerName {name}.example\n{lines}</VirtualHost>\n"
                    for name, lines in HOSTS.items())
    made = site.httpd(AUTO + hosts + f"""
Listen 127.0.0.1:{port} https
Listen 127.0.0.1:{proxied}
<VirtualHost *:{port}>
SSLEngine On
Protocols h2 http/1.1
SSLCertificateFile "@DIR@/tls.pem"
</VirtualHost>
<VirtualHost *:{proxied}>
RemoteIPProxyProtocol On
</VirtualHost>
<Location "/closed">
AuthType Django
Require valid-user
DjangoLoginURL https://sso.example/in
DjangoUnauthenticated redirect
</Location>
ErrorDocument 404 /cgi/reply?h=Django-Session-Set:a=1
""", modules=["ssl", "socache_shmcb", "remoteip", "http2"], start=False)
    made.expect("AH01873", "AH01906", "AH01909")  # mod_ssl: no cache, a certificate of our own
    pem = made.dir / "tls.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", str(pem) + ".key", "-out", pem], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pem.write_text(pem.read_text() + (made.dir / "tls.pem.key").read_text())
    harness.hand_over(made.dir)
    made.start()
    made.tls_port, made.proxied_port = port, proxied
    yield made
    site.close()


def said(answer):
    """The Set-Cookie line's attributes."""
    lines = answer.all("Set-Cookie")
    assert len(lines) == 1, answer
    return lines[0].split("; ")[1:]


def is_secure(server, host, headers=(), path=CHANGE):
    return "Secure" in said(server.get(path, [("Host", host + ".example"), *headers]))


def get_by_tls(server, path=CHANGE):
    context = ssl.create_default_context(cafile=str(server.dir / "tls.pem"))
    connection = http.client.HTTPSConnection("127.0.0.1", server.tls_port, context=context,
                                             timeout=harness.PATIENCE)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return harness.Response(answer.status, answer.getheaders(), answer.read())
    finally:
        connection.close()


def test_over_tls_a_cookie_is_secure_and_over_plain_http_it_is_not(server):
    assert "Secure" in said(get_by_tls(server))
    assert "Secure" in said(get_by_tls(server, "/not-there"))
    assert not is_secure(server, "plain")


def test_over_http_2_a_cookie_is_secure(server):
    said_of_it = subprocess.run(
        ["curl", "-sS", "--http2", "--cacert", str(server.dir / "tls.pem"), "-D", "-", "-o", "/dev/null",
         f"https://127.0.0.1:{server.tls_port}{CHANGE}"], check=True, stdout=subprocess.PIPE,
        universal_newlines=True).stdout
    assert said_of_it.startswith("HTTP/2 200")
    lines = [line for line in said_of_it.splitlines() if line.lower().startswith("set-cookie:")]
    assert len(lines) == 1 and "Secure" in lines[0].split("; ")


@pytest.mark.parametrize("host,believed", [
    ("plain", False), ("setenvif", True), ("setenvif-us", True), ("setenvif-others", False),
    ("remoteip-internal", True), ("remoteip-trusted", True), ("remoteip-others", False)])
def test_a_forwarded_protocol_counts_from_whom_the_server_trusts(server, host, believed):
    assert is_secure(server, host, FORWARDED) is believed
    assert not is_secure(server, host)
    assert not is_secure(server, host, [FORWARDED[0], ("X-Forwarded-Proto", "http")])
    # What is no word of the server's own says nothing, however it is spelt.
    for name in ("HTTPS", "Https", "X-Forwarded-Ssl", "Front-End-Https", "X_Forwarded_Proto"):
        assert not is_secure(server, host, [FORWARDED[0], (name, "on"), (name, "https")])


def test_an_error_document_is_as_secure_as_its_request(server):
    for host in ("setenvif", "remoteip-internal"):
        assert is_secure(server, host, FORWARDED, path="/not-there")
        assert not is_secure(server, host, path="/not-there")


@pytest.mark.parametrize("value,secure", [
    ("https", True), ("HTTPS", True), (" https , http", True), ("https,http", True),
    ("http, https", False), ("", False), (",", False), ("httpsx", False), ("x https", False)])
def test_of_several_protocols_the_clients_is_the_first(server, value, secure):
    """As Django takes its SECURE_PROXY_SSL_HEADER."""
    headers = [FORWARDED[0], ("X-Forwarded-Proto", value)]
    assert is_secure(server, "remoteip-internal", headers) is secure


def test_a_proxy_that_nobody_told_of_a_client_vouches_for_nothing(server):
    assert not is_secure(server, "remoteip-internal", FORWARDED[1:])
    assert not is_secure(server, "remoteip-internal", [("X-Forwarded-For", "nonsense")] + FORWARDED[1:])


def test_a_load_balancer_that_speaks_the_proxy_protocol_is_trusted(server):
    def lines(*headers):
        client = harness.Client(server.proxied_port, server.secrets)
        answer = client.raw("PROXY TCP4 203.0.113.9 127.0.0.1 4711 80\r\n"
                            f"GET {CHANGE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                            + "".join(h + "\r\n" for h in headers) + "\r\n").decode("latin-1")
        return [line for line in answer.split("\r\n") if line.lower().startswith("set-cookie:")]

    assert ["; Secure" in line for line in lines("X-Forwarded-Proto: https")] == [True]
    assert ["; Secure" in line for line in lines()] == [False]


@pytest.mark.parametrize("headers,scheme", [(FORWARDED, "https"), ([], "http")])
def test_the_way_back_from_a_login_page_elsewhere_has_the_clients_scheme(server, headers, scheme):
    for host in ("setenvif", "remoteip-internal"):
        answer = server.get("/closed?a", [("Host", f"{host}.example:8443"), *headers])
        assert answer.status == 302
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(answer.get("Location")).query)
        assert query == {"next": [f"{scheme}://{host}.example:8443/closed?a"]}


def test_a_server_that_says_https_of_itself_is_believed(server):
    """ServerName https://…: httpd's own way of saying that a proxy before it does TLS."""
    assert is_secure(server, "scheme")


@pytest.mark.parametrize("host,attributes", [
    ("host-prefix", ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"]),
    ("secure-prefix", ["HttpOnly", "Path=/cgi/", "SameSite=Lax", "Secure"]),
    ("third-party", ["HttpOnly", "Path=/", "SameSite=None", "Secure", "Partitioned"])])
def test_what_browsers_take_only_with_secure_has_it_even_where_tls_is_not_seen(server, host,
                                                                               attributes):
    answer = server.get(CHANGE, [("Host", host + ".example")])
    assert [a for a in said(answer) if not a.lower().startswith(("max-age", "expires"))] == attributes
    name = answer.get("Set-Cookie").split("=")[0]
    gone = server.get(reply(update(flush=True)), [("Host", host + ".example")],
                      cookie=f"{name}={answer.cookie(name)}")
    assert "Max-Age=0" in said(gone) and set(attributes[1:]) <= set(said(gone))
