# SPDX-License-Identifier: Apache-2.0
"""AuthBasicProvider django: Django's users and passwords for programs, and what guessing gets."""
import base64
import concurrent.futures
import re
import subprocess
import urllib.parse

import pytest

import harness

#: what real Django makes here, and the scrypt of later ones
HASHERS = {
    "pbkdf2_sha256": "PBKDF2PasswordHasher", "pbkdf2_sha1": "PBKDF2SHA1PasswordHasher",
    "argon2": "Argon2PasswordHasher", "bcrypt_sha256": "BCryptSHA256PasswordHasher",
    "bcrypt": "BCryptPasswordHasher", "md5": "MD5PasswordHasher",
    "unsalted_md5": "UnsaltedMD5PasswordHasher", "unsalted_sha1": "UnsaltedSHA1PasswordHasher",
}
SCRYPT = ("scrypt$16$salts$8$1$IjgO3Ln6+0wLmCh3zbHj0HujE7PsaJ+gwGFjqEgOdtwKJ5wp4/FhVu/4bsO0C9xjAJgVbapo"
          "cZjy6S3MzzpWFA==")  # of "hunter2s"
ALL = ("pbkdf2_sha1=7 pbkdf2_sha256 argon2 bcrypt_sha256 bcrypt scrypt md5 unsalted_md5 unsalted_sha1")
PASSWORD = "correct-horse"
WRONG = "wrong-horse-7"
#: mod_auth_basic's own word for a wrong password and for a name of nobody
SAID = "AH0161[78]: "

PLACES = {
    # No upgrade is due for what is not told; each costs nearly nothing.
    "all": f"DjangoPasswordHashers {ALL}\nDjangoLoginThrottle Off",
    "no-md5": "DjangoLoginThrottle Off",
    "upgrade": "DjangoPasswordHashers pbkdf2_sha256=5000 md5 pbkdf2_sha1\nDjangoLoginThrottle Off",
    "cache": "DjangoPasswordHashers md5 pbkdf2_sha1\nDjangoBasicCache 1h",
    "no-cache": "DjangoPasswordHashers md5 pbkdf2_sha1",
    "throttle": "DjangoPasswordHashers md5\nDjangoLoginThrottle 3/1h 6/1h",
    "cache-throttle": "DjangoPasswordHashers md5\nDjangoBasicCache 1h\nDjangoLoginThrottle 3/1h 30/1h",
}


class Server:
    """Many users, and an httpd with a place for each thing to be tried."""

    def __init__(self, databases):
        self.site = harness.Site(
            databases.get("sqlite"),
            PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]
            + ["django.contrib.auth.hashers." + name for name in HASHERS.values()
               if name != "MD5PasswordHasher"])
        self.site.secrets.add(PASSWORD, WRONG)
        config = "RemoteIPHeader X-Client\nRemoteIPInternalProxy 127.0.0.1\n"
        for name, lines in PLACES.items():
            config += ('<Location "/%s">\nAuthType Basic\nAuthName "here"\nAuthBasicProvider django\n'
                       'Require valid-user\n%s\n</Location>\n'
                       'ScriptAlias /%s "@DIR@/cgi/env"\n' % (name, lines, name))
        config += ('DavLockDB "@DIR@/locks"\nAlias /dav "@DIR@/dav"\n<Directory "@DIR@/dav">\nDav On\n'
                   'AuthType Basic\nAuthName "dav"\nAuthBasicProvider django\nRequire valid-user\n'
                   "DjangoPasswordHashers md5\nDjangoBasicCache 1h\n</Directory>\n"
                   '<Location "/svn">\nDAV svn\nSVNPath "@DIR@/svn"\nAuthType Basic\nAuthName "svn"\n'
                   "AuthBasicProvider django\nRequire valid-user\n"
                   "DjangoPasswordHashers md5\nDjangoBasicCache 1h\n</Location>\n")
        self.httpd = self.site.httpd(config, modules=["auth_basic", "remoteip", "dav", "dav_fs", "dav_svn"],
                                     start=False)
        (self.httpd.dir / "dav").mkdir()
        subprocess.run(["svnadmin", "create", str(self.httpd.dir / "svn")], check=True)
        harness.hand_over(self.httpd.dir)
        self.httpd.start()
        self.httpd.expect(192, 193, SAID)
        self.made = 0

    def user(self, column=None, password=PASSWORD, **fields):
        """With this stored password; or made by Django."""
        self.made += 1
        name = "user%d" % self.made
        self.site.create_user(name, password, **fields)
        if column is not None:
            self.set(name, column)
        return name

    def set(self, name, column):
        self.site.database.execute("UPDATE auth_user SET password = %s WHERE username = %s",
                                   (column, name))

    def column(self, name):
        return self.site.database.execute("SELECT password FROM auth_user WHERE username = %s",
                                          (name,))[0][0]

    def hashed(self, algorithm, password=PASSWORD):
        return self.site.django.run(
            "from django.contrib.auth.hashers import make_password\n"
            "result = make_password(%r, hasher=%r)" % (password, algorithm))

    def ask(self, place, name, password=PASSWORD, address=None):
        return self.httpd.get("/" + place, self.headers(name, password, address))

    def headers(self, name, password=PASSWORD, address=None):
        given = base64.b64encode(("%s:%s" % (name, password)).encode()).decode()
        self.site.secrets.add(given)
        headers = [("Authorization", "Basic " + given)]
        if address:
            headers.append(("X-Client", address))
        return headers

    def checked(self):
        """How many passwords were hashed so far."""
        return len(re.findall("DJS0195: ", self.httpd.log))


@pytest.fixture(scope="module")
def server(databases):
    made = Server(databases)
    yield made
    made.site.close()


# ---- who gets in --------------------------------------------------------------------------------

@pytest.mark.parametrize("algorithm", [*HASHERS, "scrypt"])
def test_passwords_of_every_hasher_of_django(server, algorithm):
    password = "hunter2s" if algorithm == "scrypt" else "p\u00e4ss-word:9"
    server.site.secrets.add(password)
    name = server.user(SCRYPT if algorithm == "scrypt" else server.hashed(algorithm, password))
    assert server.ask("all", name, password + "x").status == 401
    assert server.ask("all", name, "").status == 401
    answer = server.ask("all", name, password)
    assert answer.status == 200
    assert (answer.json()["REMOTE_USER"], answer.json()["AUTH_TYPE"]) == (name, "Basic")


NOBODY = {
    "unusable": "!" + "A" * 40,
    "empty": "",
    "text": PASSWORD,
    "malformed": "pbkdf2_sha256$many$salt$hash",
    "a hundred years": "pbkdf2_sha256$4000000000$salt$hash",
    "4 TiB": "argon2$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
}


@pytest.mark.parametrize("what", NOBODY)
def test_columns_that_no_password_fits(server, what):
    name = server.user(NOBODY[what])
    assert server.ask("all", name).status == 401
    assert server.column(name) == NOBODY[what]


def test_who_is_not_there_or_not_active_stays_out(server):
    assert server.ask("all", "nobody-of-this-name").status == 401
    name = server.user(is_active=False)
    assert server.ask("all", name).status == 401
    answer = server.httpd.get("/all")
    assert answer.status == 401 and answer.get("WWW-Authenticate").startswith("Basic ")


def test_md5_counts_only_where_it_is_named(server):
    name = server.user()
    assert server.column(name).startswith("md5$")
    assert server.ask("no-md5", name).status == 401
    assert server.httpd.has_logged(192)
    assert server.ask("all", name).status == 200


def test_users_of_each_database_log_in_by_password(each_site):
    each_site.create_user("ada", PASSWORD)
    httpd = each_site.httpd(
        '<Location "/cgi/env">\nAuthType Basic\nAuthName x\nAuthBasicProvider django\n'
        "Require user ada\nDjangoPasswordHashers pbkdf2_sha256=2000 md5\n</Location>\n",
        modules=["auth_basic"])
    given = base64.b64encode(("ada:" + PASSWORD).encode()).decode()
    assert httpd.env(headers=[("Authorization", "Basic " + given)])["REMOTE_USER"] == "ada"
    # The hash was made anew.
    made = each_site.database.execute("SELECT password FROM auth_user")[0][0]
    assert made.startswith("pbkdf2_sha256$2000$")


# ---- hashes made anew ---------------------------------------------------------------------------

def test_a_right_password_is_hashed_as_the_site_would_and_django_takes_it(server):
    name = server.user()
    old = server.column(name)
    assert server.ask("upgrade", name, WRONG).status == 401
    assert server.column(name) == old
    assert server.ask("upgrade", name).status == 200
    new = server.column(name)
    assert re.match(r"pbkdf2_sha256\$5000\$[A-Za-z0-9]{22}\$", new)
    assert server.site.django.run(
        "from django.contrib.auth.hashers import PBKDF2PasswordHasher, check_password\n"
        "class Hasher(PBKDF2PasswordHasher): iterations = 5000\n"
        "result = [check_password(%r, %r), check_password(%r, %r), Hasher().must_update(%r)]"
        % (PASSWORD, new, WRONG, new, new)) == [True, False, False]
    # It is as it would be made: it stays.
    assert server.ask("upgrade", name).status == 200
    assert server.column(name) == new


@pytest.mark.parametrize("hasher", ["pbkdf2_sha256=1000", "argon2=1024,1,2", "bcrypt_sha256=4",
                                    "bcrypt=4", "pbkdf2_sha1=1000", "md5"])
def test_django_takes_the_hashes_of_each_hasher(server, hasher):
    """Made by way of .htaccess' big sister, since the directive is of sections."""
    name = server.user(server.hashed("unsalted_md5"))
    place = "made-" + hasher.partition("=")[0]
    if not hasattr(server, "makers"):
        server.makers = server.site.httpd("\n".join(
            '<Location "/made-%s">\nAuthType Basic\nAuthName x\nAuthBasicProvider django\n'
            'Require valid-user\nDjangoPasswordHashers %s unsalted_md5\n</Location>\n'
            'ScriptAlias /made-%s "@DIR@/cgi/env"' % (h.partition("=")[0], h, h.partition("=")[0])
            for h in ["pbkdf2_sha256=1000", "argon2=1024,1,2", "bcrypt_sha256=4", "bcrypt=4",
                      "pbkdf2_sha1=1000", "md5"]), modules=["auth_basic"])
    given = base64.b64encode(("%s:%s" % (name, PASSWORD)).encode()).decode()
    answer = server.makers.get("/" + place, [("Authorization", "Basic " + given)])
    assert answer.status == 200
    made = server.column(name)
    assert made.startswith(hasher.partition("=")[0] + "$")
    assert server.site.django.run(
        "from django.contrib.auth.hashers import check_password\n"
        "result = [check_password(%r, %r), check_password(%r, %r)]"
        % (PASSWORD, made, WRONG, made)) == [True, False]


# ---- what is remembered -------------------------------------------------------------------------

def test_many_requests_cost_one_hash(server):
    name = server.user()
    before = server.checked()
    assert {server.ask("cache", name).status for _ in range(30)} == {200}
    assert server.checked() == before + 1
    # Elsewhere nothing is remembered.
    assert {server.ask("no-cache", name).status for _ in range(3)} == {200}
    assert server.checked() == before + 4


def test_what_is_remembered_is_of_one_password_and_void_when_that_changes(server):
    name = server.user()
    assert server.ask("cache", name).status == 200
    before = server.checked()
    assert server.ask("cache", name, WRONG).status == 401
    assert server.ask("cache", name, PASSWORD + "x").status == 401
    assert server.checked() == before + 2
    # By Django, and at once.
    server.set(name, server.hashed("md5", WRONG))
    assert server.ask("cache", name).status == 401
    assert server.ask("cache", name, WRONG).status == 200
    assert server.checked() == before + 4
    assert server.ask("cache", name, WRONG).status == 200
    assert server.checked() == before + 4
    server.site.django.run("from django.contrib.auth.models import User\n"
                           "User.objects.filter(username=%r).update(is_active=False)" % name)
    assert server.ask("cache", name, WRONG).status == 401


def svn(server, folder, password, name, *words):
    """What Subversion's client said; the password goes by standard input."""
    return subprocess.run(
        ["svn", *words, "--username", name, "--password-from-stdin", "--no-auth-cache", "--non-interactive",
         "--config-dir", str(folder / "config")], input=password, capture_output=True, text=True, cwd=folder,
        timeout=120, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(folder)})


def test_subversion_with_one_hash(server, tmp_path):
    name = server.user()
    address = "http://127.0.0.1:%d/svn" % server.httpd.port
    refused = svn(server, tmp_path, WRONG, name, "checkout", address, "out")
    assert refused.returncode != 0 and "uthentication" in refused.stderr, refused
    before = server.checked()
    assert svn(server, tmp_path, PASSWORD, name, "checkout", address, "out").returncode == 0
    for number in range(20):
        (tmp_path / "out" / ("file%d" % number)).write_text("apples\n")
    assert svn(server, tmp_path, PASSWORD, name, "add", *("out/file%d" % n for n in range(20))).returncode == 0
    done = svn(server, tmp_path, PASSWORD, name, "commit", "-m", "twenty", "out")
    assert done.returncode == 0 and "Committed revision 1" in done.stdout, done
    log = svn(server, tmp_path, PASSWORD, name, "log", address).stdout
    assert "r1 | %s |" % name in log
    requests = len(re.findall('"[A-Z]+ /svn', (server.httpd.dir / "access.log").read_text()))
    assert (requests > 30, server.checked() - before) == (True, 1)


def test_webdav_with_one_hash(server):
    name, before = server.user(), server.checked()
    headers = server.headers(name)
    client = server.httpd.client()
    assert client.request("PUT", "/dav/x.txt", body="x").status == 401
    assert client.request("PUT", "/dav/x.txt", server.headers(name, WRONG), "x").status == 401
    assert client.request("PUT", "/dav/x.txt", headers, "hello").status == 201
    assert client.get("/dav/x.txt", headers).text == "hello"
    listing = client.request("PROPFIND", "/dav/", headers + [("Depth", "1")])
    assert listing.status == 207 and "/dav/x.txt" in listing.text
    assert client.request("MKCOL", "/dav/folder/", headers).status == 201
    moved = headers + [("Destination", "http://127.0.0.1:%d/dav/folder/y.txt" % server.httpd.port)]
    assert client.request("MOVE", "/dav/x.txt", moved).status == 201
    assert client.request("DELETE", "/dav/folder/", headers).status == 204
    assert server.checked() == before + 2
    server.set(name, server.hashed("md5", WRONG))
    assert client.request("PUT", "/dav/x.txt", headers, "x").status == 401


# ---- guessing -----------------------------------------------------------------------------------

def test_an_account_has_so_many_tries(server):
    name, other = server.user(), server.user()
    for i in range(3):
        assert server.ask("throttle", name, WRONG, "10.1.0.%d" % i).status == 401
    before = server.checked()
    answer = server.ask("throttle", name, PASSWORD, "10.1.0.9")
    assert answer.status == 429
    assert 0 < int(answer.get("Retry-After")) <= 3600
    assert server.checked() == before
    assert server.ask("throttle", other, PASSWORD, "10.1.0.9").status == 200
    assert server.httpd.has_logged(193)


def test_a_success_clears_the_accounts_record_where_it_was(server):
    name = server.user()
    for wrong in (2, 2, 1):  # six are the address's
        for _ in range(wrong):
            assert server.ask("throttle", name, WRONG, "10.2.0.1").status == 401
        assert server.ask("throttle", name, PASSWORD, "10.2.0.1").status == 200


def test_whose_name_is_nearly_the_same_clears_no_record(server):
    """Somebody who calls himself as another, but for case, cannot guess at that one without end."""
    name = server.user()
    server.site.create_user(name.upper(), PASSWORD)
    for _ in range(3):
        assert server.ask("throttle", name.upper(), PASSWORD, "10.10.0.1").status == 200
        assert server.ask("throttle", name, WRONG, "10.10.0.1").status == 401
    assert server.ask("throttle", name.upper(), PASSWORD, "10.10.0.1").status == 200
    assert server.ask("throttle", name, PASSWORD, "10.10.0.1").status == 429


def test_names_of_nobody_have_as_many_tries_as_others(server):
    seen = [server.ask("throttle", "Nobody-At-All", WRONG, "10.3.0.%d" % i).status
            for i in range(4)]
    assert seen == [401, 401, 401, 429]
    assert server.ask("throttle", "nobody-at-ALL", WRONG, "10.3.0.9").status == 429


def test_spellings_of_a_name_do_not_tell_whether_somebody_has_it(server):
    """They are counted together, whether the database takes them for one or not."""
    server.site.create_user("jos\u00e9-spelt", PASSWORD)
    for number, name in enumerate(["jos\u00e9-spelt", "ren\u00e9-spelt"]):
        typed = [name.upper(), name.replace("\u00e9", "e"), name.replace("\u00e9", "e\u0301"), name]
        seen = [server.ask("throttle", each, WRONG, "10.8.%d.%d" % (number, i)).status
                for i, each in enumerate(typed)]
        assert seen == [401, 401, 401, 429], name


def test_what_is_remembered_is_not_guessed_at_without_end(server):
    """From where the account never logged in; its owner goes on."""
    name = server.user()
    assert server.ask("cache-throttle", name, PASSWORD, "10.9.0.1").status == 200
    before = server.checked()
    seen = [server.ask("cache-throttle", name, WRONG, "10.9.1.1").status for i in range(3)]
    assert seen == [401] * 3 and server.checked() == before + 3
    answer = server.ask("cache-throttle", name, PASSWORD, "10.9.1.1")
    assert answer.status == 429 and 0 < int(answer.get("Retry-After")) <= 3600
    for _ in range(3):  # and what is remembered clears the record, as a right password does
        for password, status in [(WRONG, 401), (WRONG, 401), (PASSWORD, 200)]:
            assert server.ask("cache-throttle", name, password, "10.9.0.1").status == status
    assert server.checked() == before + 9


def test_an_address_has_so_many_tries_whatever_the_names(server):
    seen = [server.ask("throttle", "name-%d" % i, WRONG, "10.4.0.1").status for i in range(7)]
    assert seen == [401] * 6 + [429]
    name = server.user()
    assert server.ask("throttle", name, PASSWORD, "10.4.0.1").status == 429
    assert server.ask("throttle", name, PASSWORD, "10.4.0.2").status == 200


def test_right_passwords_do_not_use_up_an_addresss_tries(server):
    for _ in range(8):
        assert server.ask("throttle", server.user(), PASSWORD, "10.5.0.1").status == 200


def test_a_network_of_ipv6_is_one_address(server):
    seen = [server.ask("throttle", "six-%d" % i, WRONG, "2001:db8:0:1::%x" % (i + 1)).status
            for i in range(7)]
    assert seen == [401] * 6 + [429]
    assert server.ask("throttle", "six-7", WRONG, "2001:db8:0:2::1").status == 401
    # Addresses of IPv4 in clothes of IPv6 are not all in one network.
    assert server.ask("throttle", "six-8", WRONG, "::ffff:10.6.0.1").status == 401


def test_who_keeps_an_account_busy_does_not_lock_its_owner_out(server):
    """Where it once logged in from it is counted apart."""
    name = server.user()
    assert server.ask("throttle", name, PASSWORD, "10.7.0.1").status == 200
    seen = [server.ask("throttle", name, WRONG, "10.7.1.%d" % i).status for i in range(5)]
    assert seen == [401, 401, 401, 429, 429]
    assert server.ask("throttle", name, PASSWORD, "10.7.0.1").status == 200
    assert server.ask("throttle", name, PASSWORD, "10.7.2.1").status == 429
    # And is counted there, too.
    seen = [server.ask("throttle", name, WRONG, "10.7.0.1").status for i in range(4)]
    assert seen == [401, 401, 401, 429]


# ---- too many at once ---------------------------------------------------------------------------

@pytest.mark.parametrize("mpm, page", [("prefork", False), ("event", True)])
def test_checks_are_bounded_and_others_are_served_meanwhile(site, mpm, page):
    """Of Basic, and of the login page."""
    site.create_user("ada", PASSWORD)
    httpd = site.httpd(
        '<Location "/closed">\nAuthType Basic\nAuthName x\nAuthBasicProvider django\n'
        'Require valid-user\n</Location>\n<Location "/login">\nSetHandler django-login\n</Location>\n'
        "DjangoPasswordHashers pbkdf2_sha256=3000000\n"
        "DjangoLoginThreads 1\nDjangoLoginThrottle Off\n", modules=["auth_basic"], mpm=mpm)
    httpd.expect(194, 192, SAID)
    given = base64.b64encode(("ada:" + PASSWORD).encode()).decode()

    form = httpd.get("/login")
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text).group(1)
    filled = urllib.parse.urlencode({"username": "ada", "password": PASSWORD,
                                     "csrfmiddlewaretoken": token})

    def ask(_):
        if page:
            return httpd.post("/login", filled,
                              [("Content-Type", "application/x-www-form-urlencoded")],
                              "csrftoken=" + form.cookie("csrftoken"))
        return httpd.get("/closed", [("Authorization", "Basic " + given)])

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(ask, i) for i in range(12)]
        pages = 0
        while not all(one.done() for one in asked):
            assert httpd.get("/page.txt").status == 200
            pages += 1
        answers = [one.result() for one in asked]
    # md5 is not named: nobody gets in, but it takes its time.
    assert {a.status for a in answers} == {200 if page else 401, 503}
    assert not page or all("Too many people" in a.text and 'type="password"' in a.text
                           for a in answers if a.status == 503)
    assert all(a.get("Retry-After") for a in answers if a.status == 503)
    assert pages > 0
    assert httpd.has_logged(194)


# ---- mod_auth_form; starts ----------------------------------------------------------------------

def test_mod_auth_form_asks_the_same_users(site):
    site.create_user("ada", PASSWORD)
    httpd = site.httpd(
        '<Location "/cgi/env">\nAuthType form\nAuthName x\nAuthFormProvider django\n'
        "Require valid-user\nDjangoPasswordHashers md5\nDjangoBasicCache 1h\n"
        "Session On\nSessionCookieName form path=/\n</Location>\n"
        '<Location "/in">\nSetHandler form-login-handler\nAuthType form\nAuthName x\n'
        "AuthFormProvider django\nAuthFormLoginSuccessLocation /cgi/env\n"
        "DjangoPasswordHashers md5\nDjangoLoginThrottle 2/1h Off\n"
        "Require all granted\nSession On\nSessionCookieName form path=/\n</Location>\n",
        modules=["request", "session", "session_cookie", "auth_form"])
    httpd.expect("AH01807: ")
    client = httpd.client(cookies=True)

    def log_in(password):
        return client.post("/in", urllib.parse.urlencode({"httpd_username": "ada",
                                                          "httpd_password": password}),
                           [("Content-Type", "application/x-www-form-urlencoded")])

    assert log_in(WRONG).status == 401
    assert log_in(PASSWORD).status == 302
    answer = client.get("/cgi/env")
    assert answer.status == 200 and answer.json()["REMOTE_USER"] == "ada"


@pytest.mark.parametrize("lines,told", [
    ("DjangoSecretKey x", "DBDriver"),
    ("DBDriver sqlite3\nDBDParams /nowhere", "DjangoSecretKey"),
])
def test_what_it_needs_is_missed_at_start(site, lines, told):
    httpd = site.httpd(lines + '\n<Location "/x">\nAuthType Basic\nAuthBasicProvider django\n'
                       "</Location>\n", modules=["auth_basic"], base=False, start=False)
    code, said = httpd.configtest()
    assert code != 0 and told in said
