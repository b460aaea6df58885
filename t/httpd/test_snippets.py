# SPDX-License-Identifier: Apache-2.0
"""
What the README shows. The programs of conf-examples/applications: each runs as it stands there, with
the configuration that stands there, and Django reads what it wrote. The smallest configuration: it does
what it says.
"""
import shutil
import socket
import subprocess

import pytest

import harness
import servers

APPLICATIONS = harness.SRC / "conf-examples" / "applications"
CARTS = ["cart.pl", "cart.php", "cart.py"]
SIGNED = {"signed.py": "/applications/signed.py", "signed.php": "/applications/signed.php",
          "Signed.java": "/signed/"}
#: where those find the key
KEY_FILE = "/srv/site/secret-key"
VISITS = {"/applications/visits.sh": "a shell, in CGI", "/java/": "Java, proxied"}
#: a cart that needs care: a name beyond ASCII, and one that JSON has to escape
CART = {"pâté": 2, 'a "large" %2C loaf': 1}


class Program:
    """A server of applications on a port of its own: Java's, or PHP's FastCGI."""

    def __init__(self, command, port=None, **options):
        self.port = port or servers.free_port()
        self.process = subprocess.Popen([word.format(port=self.port) for word in command],
                                        stdin=subprocess.DEVNULL, **harness.identity(), **options)
        harness.wait_until(self.is_up, command[0])

    def is_up(self):
        assert self.process.poll() is None, "it ended by itself"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self):
        self.process.terminate()
        self.process.wait()


@pytest.fixture(scope="module")
def key_file():
    """For the key of each test's site."""
    made = harness.Folder("key")
    yield made.path / "secret-key"
    made.close()


@pytest.fixture(scope="module")
def folder(key_file):
    """The programs where the servers' account can run them."""
    made = harness.Folder("applications")
    for path in APPLICATIONS.iterdir():
        shutil.copy(path, made.path)
        if path.name in SIGNED:
            text = path.read_text()
            for there, here in ((KEY_FILE, str(key_file)), ("30)", "3600)")):
                assert text.count(there) == 1  # 30 s may be short while tests run
                text = text.replace(there, here)
            (made.path / path.name).write_text(text)
    yield made.path
    made.close()


@pytest.fixture(scope="module")
def php():
    program = Program(["/usr/bin/php-cgi", "-b", "127.0.0.1:{port}"])
    yield program
    program.close()


@pytest.fixture(scope="module")
def java(folder):
    program = Program(["/usr/bin/java", "Visits.java", "{port}"], cwd=folder)
    yield program
    program.close()


@pytest.fixture(scope="module")
def signed_java(folder):
    program = Program(["/usr/bin/java", "Signed.java", "{port}"], cwd=folder)
    yield program
    program.close()


@pytest.fixture
def httpd(site, folder, php, java, key_file, signed_java):
    """With the .conf files; php-cgi stands in for PHP-FPM, and knows only plain file names."""
    key_file.write_text(site.secret_key + "\n")
    config = (folder / "applications.conf").read_text() + (folder / "signed.conf").read_text()
    for there, here in (("/srv/site/applications", folder),
                        ("127.0.0.1:9000", "127.0.0.1:%d" % php.port),
                        ("127.0.0.1:8000", "127.0.0.1:%d" % java.port),
                        ("127.0.0.1:8001", "127.0.0.1:%d" % signed_java.port)):
        assert there in config
        config = config.replace(there, str(here))
    return site.httpd("ProxyFCGIBackendType GENERIC\n" + config, modules=["proxy_fcgi"])


def shown(cart):
    return ["%s: %d" % item for item in sorted(cart.items())]


@pytest.mark.parametrize("name", CARTS)
def test_a_cart_that_django_made_is_shown_and_changed(site, httpd, name):
    key = site.create_session({"cart": CART, "other": [1, None]})
    page = httpd.get("/applications/" + name, cookie="sessionid=" + key)
    assert page.status == 200 and sorted(page.text.splitlines()) == shown(CART), page
    assert site.read_session(key) == {"cart": CART, "other": [1, None]}

    for number in (1, 2):
        page = httpd.post("/applications/" + name, cookie="sessionid=" + key)
        cart = dict(CART, apples=number)
        assert page.status == 200 and sorted(page.text.splitlines()) == shown(cart), page
        assert page.all("Django-Session-Update") == []
        assert site.read_session(key) == {"cart": cart, "other": [1, None]}


@pytest.mark.parametrize("name", CARTS)
def test_the_first_apple_begins_a_session(site, httpd, name):
    page = httpd.get("/applications/" + name)
    assert (page.status, page.text, page.cookie()) == (200, "", None), page
    page = httpd.post("/applications/" + name)
    assert (page.status, page.text) == (200, "apples: 1\n"), page
    assert site.read_session(page.cookie()) == {"cart": {"apples": 1}}


@pytest.mark.parametrize("path", VISITS)
def test_visits_are_counted(site, httpd, path):
    key = site.create_session({"visits": 41, "other": "ö"})
    for number in (41, 42):
        page = httpd.post(path, cookie="sessionid=" + key)
        assert (page.status, page.text) == (200, "Visits before this one: %d\n" % number), page
        assert page.all("Django-Session-Update") == page.all("Django-Session-Set") == []
    page = httpd.get(path, cookie="sessionid=" + key)
    assert (page.status, page.text) == (200, "Visits before this one: 43\n"), page
    assert site.read_session(key) == {"visits": 43, "other": "ö", "received_by": VISITS[path]}


@pytest.mark.parametrize("path", VISITS)
def test_the_first_visit_begins_a_session(site, httpd, path):
    page = httpd.post(path)
    assert (page.status, page.text) == (200, "Visits before this one: 0\n"), page
    assert site.read_session(page.cookie()) == {"visits": 1, "received_by": VISITS[path]}


@pytest.mark.parametrize("name", SIGNED)
def test_a_session_that_httpd_signed_is_believed(site, httpd, name):
    data = {"cart": CART, "numbers": [1, 2.5, None, True]}
    key = site.create_session(data)
    for headers in ({}, {"Django-Session": "{}"}, {"Django_Session": forged(site)["genuine"]}):
        page = httpd.get(SIGNED[name], headers, cookie="sessionid=" + key)
        assert page.status == 200 and page.json() == data, page
    page = httpd.get(SIGNED[name])
    assert page.status == 200 and page.json() == {}, page


def forged(site):
    """Headers, by Django's own means. The first is as it should be."""
    return site.django.run(
        "import time\n"
        "from unittest import mock\n"
        "from django.core import signing\n"
        "salt = 'mod_django_session.header'\n"
        "good = signing.dumps({'a': 'b'}, salt=salt)\n"
        "payload, stamp, signature = good.split(':')\n"
        "with mock.patch('time.time', return_value=time.time() - 7200):\n"
        "    old = signing.dumps({'a': 'b'}, salt=salt)\n"
        "result = {\n"
        "    'genuine': good, 'too old': old,\n"
        "    'of another key': signing.dumps({'a': 'b'}, key='another', salt=salt),\n"
        "    'of another salt': signing.dumps({'a': 'b'}, salt='django.core.signing'),\n"
        "    'another payload': signing.b64_encode(b'{\"a\":\"c\"}').decode() + ':' + stamp + ':'\n"
        "                       + signature,\n"
        "    'an old signature with a new time': ':'.join([old.split(':')[0], stamp,\n"
        "                                                  old.split(':')[2]]),\n"
        "    'cut short': good[:-1], 'more': good + ':x', 'no signature': payload + ':' + stamp + ':',\n"
        "    'not signed': '{\"a\":\"b\"}', 'nothing': '', 'separators': '::'}")


def status_of(name, header, folder, signed_java):
    """Of a program that somebody else than httpd asks."""
    if name == "Signed.java":
        client = harness.Client(signed_java.port, harness.Secrets())
        return client.get("/", {"Django-Session": header}).status
    command = ["/usr/bin/python3"] if name.endswith(".py") else ["/usr/bin/php-cgi", "-q"]
    done = subprocess.run(command + [str(folder / name)], stdout=subprocess.PIPE, check=True,
                          env={"HTTP_DJANGO_SESSION": header})
    return 403 if b"Not signed" in done.stdout else 200


@pytest.mark.parametrize("name", SIGNED)
def test_what_httpd_did_not_sign_is_refused(site, folder, key_file, signed_java, name):
    key_file.write_text(site.secret_key + "\n")
    seen = {case: status_of(name, header, folder, signed_java)
            for case, header in forged(site).items()}
    assert seen == dict(dict.fromkeys(seen, 403), genuine=200)
    assert len(seen) == 12


def test_php_as_a_cgi_program_too(site, folder):
    """By an internal redirect, as mod_actions does it: the section has to cover both paths."""
    shutil.copy("/usr/bin/php-cgi", folder)
    httpd = site.httpd("""
        ScriptAlias /php-cgi "%s/php-cgi"
        Alias /applications/ "%s/"
        <Directory "%s">
            Require all granted
            AddHandler php .php
            Action php /php-cgi
        </Directory>
        DjangoSession On
        DjangoSessionEnv cart
        DjangoSessionUpdate On
    """ % (folder, folder, folder), modules=["actions"])
    key = site.create_session({"cart": CART})
    page = httpd.post("/applications/cart.php", cookie="sessionid=" + key)
    cart = dict(CART, apples=1)
    assert page.status == 200 and sorted(page.text.splitlines()) == shown(cart), page
    assert site.read_session(key) == {"cart": cart}


def test_the_smallest_configuration(site):
    config = (harness.SRC / "conf-examples" / "smallest.conf").read_text()
    key = site.keep(harness.Folder("key")).path / "key"
    key.write_text(site.secret_key + "\n")
    for there, here in (("modules/mod_django_session.so", harness.module_path()),
                        ("/srv/site/db.sqlite3", site.database.dbd[1]),
                        ("/etc/apache2/django-secret", key)):
        assert there in config
        config = config.replace(there, str(here))
    httpd = site.httpd('ScriptAlias /legacy/ "@DIR@/cgi/"\n' + config, base=False, load=False)
    page = httpd.get("/legacy/env", headers={"Accept": "text/html"})
    assert (page.status, page.get("Location")) == (302, "/accounts/login/?next=/legacy/env"), page
    site.create_user("ada")
    seen = httpd.env("/legacy/env", cookie="sessionid=" + site.login("ada", cart={"apples": 1}))
    assert seen["REMOTE_USER"] == "ada"
    assert seen["DJANGO_SESSION"] == '{"cart":{"apples":1}}'
    assert httpd.get("/page.txt").status == 200
