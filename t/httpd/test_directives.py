# SPDX-License-Identifier: Apache-2.0
"""
The table: directive × context × effect.

Every row of settings.def has a case: two values, how to see which of them is in effect, and what each
looks like. Each directive has a virtual host of its own, with the one value, and in it a <Directory>,
a <Location>, an <If> and an .htaccess file with the other, so that the inner value has to win over
the outer one in each. In a second httpd the values stand in the server's own configuration, all at
once, and virtual hosts inherit them or have one of their own. Where a directive may not stand, it is
refused. That wrong values are refused, all of them, is in test_config.py.
"""
import collections
import re
import time
import urllib.parse

import pytest

import harness
from test_config import CONTEXT, KIND, dumped

ON = "DjangoSession On\nDjangoSessionUpdate On\n"
CSRF = ON + "DjangoCsrf On\n"
LOGIN = '<Location "/">\nAuthType Django\nRequire valid-user\n</Location>\n'
HOUR = 3600

# ---- what is asked ------------------------------------------------------------------------------

#: CGI programs; what they see goes back in the body, as `env -0` writes it
PROGRAMS = {"look": "", "page": "echo 'Content-Type: text/html'\n",
            "form": "echo 'Content-Type: text/html'\necho\necho '<form method=post>'\n", "change": 'echo \'Django-Session-Update: {"set": {"n": 1}}\'\n'}
PROGRAM = "#!/bin/sh\necho 'Content-Type: application/octet-stream'\n%secho\nexec env -0\n"


class Place:
    """Somewhere in a server. Sessions, and answers to requests with them."""

    def __init__(self, table, host, folder="plain", name="sessionid", age=14 * 24 * HOUR):
        self.table, self.host, self.folder = table, host, folder
        self.name, self.age = name, age  # of the cookie and the session, unless that is looked at

    def ask(self, program="look", key=None, query=None):
        self.began = time.time()
        query = "?" + urllib.parse.urlencode(query) if query else ""
        answer = self.table.server.get(
            "/%s/%s%s" % (self.folder, program, query),
            [("Host", self.host), ("Accept", "text/html")],
            cookie="%s=%s" % (self.name, key) if key else None)
        self.ended = time.time()
        for line in answer.all("Set-Cookie"):  # whatever its name is
            self.table.site.secrets.add(line.partition("=")[2].partition(";")[0])
        return answer

    def env(self, *args, **options):
        answer = self.ask(*args, **options)
        assert answer.status == 200, answer
        return dict(line.split("=", 1) for line in answer.text.split("\0") if "=" in line)

    def status(self, **options):
        return self.env(**options).get("DJANGO_SESSION_STATUS")

    def new_key(self):
        """Of a session that is begun here."""
        return self.ask("change").get("Set-Cookie").split("=", 1)[1].split(";")[0]

    def lives_for(self, *spans, offset=0):
        """Which of these the row of a session that is begun here has, in seconds."""
        end = self.table.site.database.end_of(self.new_key())
        return [span for span in spans
                if self.began - 1 <= end - self.age * bool(offset) - span <= self.ended + 1]


def attribute(name, program="change"):
    """What Set-Cookie says of it; True for one without a value, None when it is not there."""
    def look(place):
        said = [part.partition("=") for part in place.ask(program).get("Set-Cookie").split("; ")]
        found = [value if is_ else True for key, is_, value in said[1:] if key.lower() == name]
        assert len(found) <= 1
        return found[0] if found else None

    return look


def location(part):
    """Of where a visitor without a login is sent."""
    def look(place):
        url = urllib.parse.urlsplit(place.ask().get("Location"))
        return url.path if part == "path" else url.query.split("=")[0]

    return look


def user(name):
    """What REMOTE_USER is for ada; or the status, where she does not get in."""
    def look(place):
        answer = place.ask(key=place.table.login)
        if answer.status != 200:
            return answer.status
        return re.search(r"(?:^|\0)%s=([^\0]*)" % name, answer.text).group(1)

    return look


def one_of(*names):
    """Which of these variables the application sees."""
    def look(place):
        env = place.env(key=place.table.session({"n": 1}))
        return [name for name in names if name in env]

    return look


def cookies_of_a_page(place):
    """Their names."""
    return [line.split("=")[0] for line in place.ask("page").all("Set-Cookie")]


def begun(ago):
    """What a session holds whose beginning is known."""
    return {"n": 1, "_session_started": int(time.time()) - ago}


def look_at_name(place):
    return place.ask("change").get("Set-Cookie").split("=")[0]


def look_at_age(place):
    return place.lives_for(HOUR // 2, 2 * HOUR)


def look_at_every_request(place):
    """An hour after the last save."""
    key = place.table.session(begun(0), HOUR)
    return place.ask(key=key).cookie(place.name) == key


def look_at_interval(place):
    """Five minutes after it."""
    key = place.table.session(begun(0), place.age - 300)
    return place.ask(key=key).cookie(place.name) == key


def look_at_lifetime(place):
    """Three hours after the beginning."""
    return place.status(key=place.table.session(begun(3 * HOUR), HOUR))


def look_at_param(place):
    """Two keys come, each in a parameter: whose session is it? The other one's is no secret here."""
    keys = {name: place.table.session({"n": name}, secret=False)
            for name in ("outer_key", "inner_key")}
    return place.env(query=keys)["DJANGO_SESSION"]


def look_at_engine(place):
    return "a key" if re.fullmatch(r"[a-z0-9]{32}", place.new_key()) else "all of it"


def look_at_serializer(place):
    data = place.table.site.database.row(place.new_key())[0]
    return {"ey": "json", "gA": "pickle"}[data[:2]]


def look_at_table(place):
    """The same key is in both tables."""
    key = place.table.session({"n": "the site's"})
    place.table.site.database.execute(
        "INSERT INTO tenant SELECT session_key, %s, expire_date FROM django_session "
        "WHERE session_key = %s", (place.table.encode({"n": "the tenant's"}), key))
    return place.env(key=key)["DJANGO_SESSION"]


def look_at_zone(place):
    """How much later a row seems to end that is read as UTC."""
    return place.lives_for(0, 19800, 9 * HOUR, offset=1)


def look_at_file_path(place):
    found = place.table.server.dir.glob("*/sessionid" + place.new_key())
    return [path.parent.name for path in found]


def look_at_cache(place):
    return place.status(key=place.table.place(place.host).new_key())


# ---- the table ----------------------------------------------------------------------------------

#: outer, inner: the directive's values, as they are printed again, and what is seen of each
#: look: how, at a place; a text: the test elsewhere that proves the effect
#: also: what the virtual host needs so that there is something to see
Case = collections.namedtuple("Case", "outer seen_outer inner seen_inner look also")
Case.__new__.__defaults__ = (ON,)

CASES = {
    # Section 2.2: what happens to cookies, and when sessions end.
    "DjangoSessionCookieName": Case("outer_id", "outer_id", "inner_id", "inner_id", look_at_name),
    "DjangoSessionCookieAge": Case("2h", [2 * HOUR], "30min", [HOUR // 2], look_at_age),
    "DjangoSessionCookieDomain": Case("outer.example", "outer.example", "None", None,
                                      attribute("domain")),
    "DjangoSessionCookiePath": Case("/outer/", "/outer/", "/inner", "/inner", attribute("path")),
    "DjangoSessionCookieSecure": Case("On", True, "Auto", None, attribute("secure")),
    "DjangoSessionCookieHttpOnly": Case("Off", None, "On", True, attribute("httponly")),
    "DjangoSessionCookieSameSite": Case("Strict", "Strict", "None", "None", attribute("samesite"),
                                        ON + "DjangoSessionCookieSecure On\n"),
    "DjangoSessionCookiePartitioned": Case("On", True, "Off", None, attribute("partitioned"),
                                           ON + "DjangoSessionCookieSecure On\n"),
    "DjangoSessionExpireAtBrowserClose": Case("On", None, "Off", "1209600", attribute("max-age")),
    "DjangoSessionSaveEveryRequest": Case("On", True, "Off", False, look_at_every_request),
    "DjangoSessionSaveInterval": Case("10min", False, "1min", True, look_at_interval,
                                      ON + "DjangoSessionSaveEveryRequest On\n"),
    "DjangoSessionMaxLifetime": Case("4h", "active", "2h", "expired", look_at_lifetime),
    "DjangoSessionUrlParam": Case("outer_key", '{"n":"outer_key"}', "inner_key",
                                  '{"n":"inner_key"}', look_at_param),
    "DjangoSessionClearInterval": Case(
        "1h", None, "None", None,
        "httpd/test_directives.py::test_a_virtual_host_has_its_own_clearing_of_expired_sessions"),

    # Engine and store.
    "DjangoSession": Case("Off", None, "On", "new", Place.status, ""),
    "DjangoSessionEngine": Case("signed_cookies", "all of it", "db", "a key", look_at_engine),
    "DjangoSecretKey": Case("of-another-site", "invalid", "@KEY@", "active",
                            lambda place: place.status(key=place.table.session({"n": 1}))),
    "DjangoSecretKeyFallbacks": Case("@KEY@", "active", "of-another-site", "invalid",
                                     lambda place: place.status(key=place.table.session({"n": 1})),
                                     ON + "DjangoSecretKey brand-new-key\n"),
    "DjangoSessionSerializer": Case("pickle", "pickle", "json", "json", look_at_serializer),
    "DjangoSessionTable": Case("tenant", '{"n":"the tenant\'s"}', "django_session",
                               '{"n":"the site\'s"}', look_at_table),
    "DjangoUseTZ": Case("Off", [9 * HOUR], "On", [0], look_at_zone,
                        ON + "DjangoTimeZone Asia/Tokyo\n"),
    "DjangoTimeZone": Case("Asia/Tokyo", [9 * HOUR], "Asia/Kolkata", [19800], look_at_zone,
                           ON + "DjangoUseTZ Off\n"),
    "DjangoSessionFilePath": Case("@DIR@/outer", ["outer"], "@DIR@/inner", ["inner"],
                                  look_at_file_path, ON + "DjangoSessionEngine file\n"),
    "DjangoSessionCache": Case("shm://outer?size=1m", "active", "shm://inner?size=1m", "new",
                               look_at_cache, ON + "DjangoSessionEngine cache\n"),
    "DjangoSessionOnStoreError": Case(
        "anonymous", 200, "deny", 503,
        lambda place: place.ask(key=place.table.session({"n": 1})).status,
        ON + "DjangoSessionEngine cache\nDjangoSessionCache memcached://127.0.0.1:1\n"),
    "DjangoSessionStoreTimeout": Case(
        "3s", None, "250ms", None,
        "httpd/test_store_outage.py::test_a_server_that_says_nothing_costs_no_more_than_patience"),

    # What the application sees and may do.
    "DjangoSessionEarly": Case(
        "On", None, "Off", None, "httpd/test_expr.py::test_early_belongs_to_each_virtual_host"),
    "DjangoStreamCheck": Case(
        "1h", None, "Off", None, "httpd/test_streams.py::test_a_section_has_its_own_check"),
    "DjangoSessionEnv": Case("n=OUTER", ["OUTER"], "n=INNER", ["INNER"], one_of("OUTER", "INNER")),
    "DjangoSessionHeader": Case("On n=X-Outer", ["HTTP_X_OUTER"], "On n=X-Inner", ["HTTP_X_INNER"],
                                one_of("HTTP_X_OUTER", "HTTP_X_INNER")),
    "DjangoSessionHeaderSigned": Case(
        "On", True, "Off", False,
        lambda place: place.env(key=place.table.session({"n": 1}))["HTTP_DJANGO_SESSION"].count(":")
        == 2,
        ON + "DjangoSessionHeader On\n"),
    "DjangoSessionHideCookie": Case("On", [], "Off", ["HTTP_COOKIE"], one_of("HTTP_COOKIE")),
    "DjangoSessionUpdate": Case("On", True, "Off", False,
                                lambda place: place.ask("change").cookie() is not None,
                                "DjangoSession On\n"),

    # Logins.
    "DjangoLoginURL": Case("/outer", "/outer", "/inner", "/inner", location("path"),
                           LOGIN + "DjangoUnauthenticated redirect\n"),
    "DjangoRedirectFieldName": Case("outer", "outer", "inner", "inner", location("query"),
                                    LOGIN + "DjangoUnauthenticated redirect\n"),
    "DjangoUnauthenticated": Case("redirect", 302, "401", 401, lambda place: place.ask().status,
                                  LOGIN),
    "DjangoRemoteUser": Case("email", "a@b.example", "username", "ada", user("REMOTE_USER"), LOGIN),
    "DjangoUserTable": Case("members", "eve", "auth_user", "ada", user("REMOTE_USER"), LOGIN),
    "DjangoUsernameField": Case("email", "a@b.example", "username", "ada", user("REMOTE_USER"),
                                LOGIN),
    "DjangoUserIdField": Case("member_no", 302, "id", "ada", user("REMOTE_USER"), LOGIN),
    "DjangoLoginTemplate": Case("@DIR@/outer", None, "@DIR@/inner", None,
                                "httpd/test_login.py::test_an_administrators_template_is_filled_in"),
    "DjangoLoginRedirectURL": Case(
        "/outer", None, "/inner", None,
        "httpd/test_login.py::test_the_settings_say_where_to_go_and_by_which_field"),
    "DjangoLogoutRedirectURL": Case("/outer", None, "/inner", None,
                                    "httpd/test_login.py::test_where_links_may_log_out_they_do"),
    "DjangoLogoutGet": Case("On", None, "Off", None,
                            "httpd/test_login.py::test_where_links_may_log_out_they_do"),
    "DjangoPasswordHashers": Case("md5", None, "pbkdf2_sha256=870000 md5", None,
                                  "httpd/test_basic.py::test_md5_counts_only_where_it_is_named"),
    "DjangoLoginThreads": Case(
        "1", None, "2", None,
        "httpd/test_basic.py::test_checks_are_bounded_and_others_are_served_meanwhile"),
    "DjangoLoginThrottle": Case("3/1h 6/1h", None, "Off", None,
                                "httpd/test_basic.py::test_an_account_has_so_many_tries"),
    "DjangoBasicCache": Case("1h", None, "0s", None,
                             "httpd/test_basic.py::test_many_requests_cost_one_hash"),
    "DjangoUserCache": Case("1h", None, "2h", None, "httpd/test_user_cache.py::"
                            "test_for_a_user_who_is_remembered_the_database_is_not_asked"),
    "DjangoAuthBackends": Case("some.other.Backend", 302, "django.contrib.auth.backends.ModelBackend",
                               "ada", user("REMOTE_USER"), LOGIN),

    "DjangoPreservePost": Case("On", None, "Off", None,
                               "httpd/test_preserve.py::test_a_form_is_sent_after_the_login"),
    "DjangoSsoHosts": Case("https://outer.example", None, "None", None,
                           "httpd/test_sso.py::test_tickets_are_for_the_hosts_that_are_named"),

    # Against forged requests.
    "DjangoCsrf": Case("On", ["DJANGO_CSRF_TOKEN"], "Off", [], one_of("DJANGO_CSRF_TOKEN")),
    "DjangoCsrfTrustedOrigins": Case(
        "https://*.outer.example", None, "None", None,
        "httpd/test_csrf.py::test_under_tls_pages_of_ours_and_trusted_ones_pass"),
    "DjangoCsrfUseSessions": Case("On", ["sessionid"], "Off", ["csrftoken"], cookies_of_a_page, CSRF),
    "DjangoCsrfCookieName": Case("outer_csrf", ["outer_csrf"], "inner_csrf", ["inner_csrf"],
                                 cookies_of_a_page, CSRF),
    "DjangoCsrfCookieAge": Case("2h", "7200", "None", None, attribute("max-age", "page"), CSRF),
    "DjangoCsrfCookieDomain": Case("outer.example", "outer.example", "None", None,
                                   attribute("domain", "page"), CSRF),
    "DjangoCsrfCookiePath": Case("/outer/", "/outer/", "/inner", "/inner",
                                 attribute("path", "page"), CSRF),
    "DjangoCsrfCookieSecure": Case("On", True, "Auto", None, attribute("secure", "page"), CSRF),
    "DjangoCsrfCookieHttpOnly": Case("On", True, "Off", None, attribute("httponly", "page"), CSRF),
    "DjangoCsrfCookieSameSite": Case("Strict", "Strict", "None", "None",
                                     attribute("samesite", "page"),
                                     CSRF + "DjangoCsrfCookieSecure On\n"),
    "DjangoCsrfInject": Case(
        "On", True, "Off", False,
        lambda place: "csrfmiddlewaretoken" in place.ask("form").text, CSRF),
    "DjangoCsrfHeaderName": Case(
        "X-Outer-Token", None, "X-Inner-Token", None,
        "httpd/test_csrf.py::test_names_of_its_own_and_nothing_for_the_application"),
}
PROVED_HERE = [name for name in CASES if callable(CASES[name].look)]
POLICY = [name for name in list(CASES)[:14] if name in PROVED_HERE]
#: section 2.2 of the interface
ASKED_FOR = {"CookieName", "CookieAge", "CookieDomain", "CookiePath", "CookieSecure",
             "CookieHttpOnly", "CookieSameSite", "CookiePartitioned", "ExpireAtBrowserClose",
             "SaveEveryRequest", "SaveInterval", "MaxLifetime", "UrlParam"}
FOLDERS = ["plain", "directory", "location", "if", "htaccess", "both"]


def test_every_directive_has_a_case():
    assert not CONTEXT.keys() - CASES.keys(), "a new row of settings.def: give it a case above"
    assert not CASES.keys() - CONTEXT.keys()
    written = re.findall(r'^    "(Django\w+)": Case\(', (harness.HERE / "test_directives.py").read_text(),
                         re.M)
    assert sorted(written) == sorted(CASES), "one case each"
    assert set(POLICY) == {"DjangoSession" + name for name in ASKED_FOR}
    for name in PROVED_HERE:
        assert CASES[name].seen_outer != CASES[name].seen_inner, name
    for name in CASES.keys() - set(PROVED_HERE):
        file, _, test = CASES[name].look.partition("::")
        written = (harness.HERE.parent / file).read_text()
        assert re.search(r"^(def|static void) %s\(" % test, written, re.M), (name, test)


# ---- the servers --------------------------------------------------------------------------------

def host_of(name):
    return name.lower() + ".example"


def virtual_host(name, lines):
    return ('<VirtualHost *:@PORT@>\nServerName %s\nDocumentRoot "@DIR@/table/%s"\n%s\n'
            "</VirtualHost>\n" % (host_of(name), name, lines))


def sections(name, line, outer):
    """With the inner value, where it may stand; and a <Location>, which counts for more."""
    if "D" not in CONTEXT[name]:
        return ""
    folder = "@DIR@/table/%s" % name
    return (f'<Directory "{folder}/directory">\n{line}\n</Directory>\n'
            f'<Location "/location/">\n{line}\n</Location>\n'
            f'<If "%{{REQUEST_URI}} =~ m#^/if/#">\n{line}\n</If>\n'
            f'<Directory "{folder}/both">\n{line}\n</Directory>\n'
            f'<Location "/both/">\n{outer}\n</Location>\n')


class Table:
    """A site, with an httpd that has a folder for each place of the table."""

    def __init__(self, databases):
        self.site = harness.Site(databases.get("sqlite"))
        for sql in ("CREATE TABLE tenant AS SELECT * FROM django_session",
                    "CREATE UNIQUE INDEX tenant_key ON tenant (session_key)",
                    "ALTER TABLE auth_user ADD COLUMN member_no INTEGER"):
            self.site.database.execute(sql)
        self.site.create_user("ada", email="a@b.example")
        self.login = self.site.login("ada")
        self.site.database.execute("CREATE TABLE members AS SELECT * FROM auth_user")
        self.site.database.execute("UPDATE members SET username = 'eve'")
        self.made = 0

    def line(self, name, which):
        value = getattr(CASES[name], which).replace("@KEY@", self.site.secret_key)
        return "%s %s" % (name, value)

    def start(self, config, hosts):
        self.server = self.site.httpd('<Directory "@DIR@/table">\nSetHandler cgi-script\n'
                                      "Options +ExecCGI\nAllowOverride AuthConfig\n</Directory>\n"
                                      + config, start=False)
        self.server.expect(107, 111, 130)
        root = self.server.dir
        for name in ("outer", "inner", "table"):
            (root / name).mkdir()
        for name in hosts:
            for folder in FOLDERS:
                (root / "table" / name / folder).mkdir(parents=True)
                for program, says in PROGRAMS.items():
                    file = root / "table" / name / folder / program
                    file.write_text(PROGRAM % says)
                    file.chmod(0o755)
            if name in CASES and "H" in CONTEXT[name]:
                file = root / "table" / name / "htaccess" / ".htaccess"
                file.write_text(self.line(name, "inner") + "\n")
        harness.hand_over(root)
        self.server.start()
        return self

    def place(self, host, folder="plain", **options):
        return Place(self, host, folder, **options)

    def encode(self, data):
        return self.site.django.run(
            "from django.contrib.sessions.backends.db import SessionStore\n"
            "result = SessionStore().encode(%r)" % data)

    def session(self, data, lives=14 * 24 * HOUR, secret=True):
        """A row of its own, which ends then."""
        self.made += 1
        key = "madebythetest%019d" % self.made
        end = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() + lives))
        self.site.database.execute("INSERT INTO django_session VALUES (%s, %s, %s)",
                                   (key, self.encode(data), end))
        if secret:
            self.site.secrets.add(key)
        return key


@pytest.fixture(scope="module")
def table(databases):
    """A virtual host for each directive."""
    made = Table(databases)
    config = ""
    for name in PROVED_HERE:
        outer, inner = (made.line(name, which) for which in ("outer", "inner"))
        config += virtual_host(name, CASES[name].also + outer + "\n" + sections(name, inner, outer))
    yield made.start(config, PROVED_HERE)
    made.site.close()


@pytest.mark.parametrize("name", PROVED_HERE)
def test_the_inner_value_counts_in_each_context(table, name):
    case = CASES[name]
    expected = {"plain": case.seen_outer, "both": case.seen_outer}
    expected.update(dict.fromkeys(("directory", "location", "if"), case.seen_inner))
    if "H" in CONTEXT[name]:
        expected["htaccess"] = case.seen_inner
    seen = {folder: case.look(table.place(host_of(name), folder)) for folder in expected}
    assert seen == expected


@pytest.fixture(scope="module")
def inherited(databases):
    """Section 2.2 in the server's own configuration, all of it, and virtual hosts."""
    made = Table(databases)
    config = ON + "\n".join(made.line(name, "outer") for name in POLICY) + "\n"
    # Without this Auto would mean On: Partitioned needs it.
    others = {"DjangoSessionCookieSecure": "DjangoSessionCookiePartitioned Off\n"}
    for name in POLICY:
        config += virtual_host(name, others.get(name, "") + made.line(name, "inner"))
    yield made.start(config + virtual_host("Nothing", ""), POLICY + ["Nothing"])
    made.site.close()


@pytest.mark.parametrize("name", POLICY)
def test_a_virtual_host_inherits_of_the_server_or_says_otherwise(inherited, name):
    case = CASES[name]
    options = {"name": "outer_id", "age": 2 * HOUR}
    assert case.look(inherited.place("nothing.example", **options)) == case.seen_outer
    seen = case.look(inherited.place(host_of(name), **options))
    assert seen == ("7200" if case.seen_inner == "1209600" else case.seen_inner)  # the age of all


def test_each_value_is_merged_into_each_section(table):
    """Of the whole of settings.def, by what httpd -t prints. Secrets are masked."""
    names = [name for name in CASES if not KIND[name].startswith("SECRET")]
    lines = {which: {name: table.line(name, which) for name in names} for which in ("outer", "inner")}
    # Keys in addresses are for engines with a store.
    lines["outer"]["DjangoSessionEngine"] = "DjangoSessionEngine file"

    def all_of(which, context):
        return "\n".join(lines[which][name] for name in names if context in CONTEXT[name]) + "\n"

    folder = '<Directory "@DIR@/htdocs">\n'
    inner = all_of("inner", "D")
    config = f"""{all_of("outer", "S")}
<VirtualHost *:@PORT@>
ServerName v.example
{all_of("inner", "V")}
</VirtualHost>
{folder}{inner}</Directory>
<Location "/x">
{inner}</Location>
<If "true">
{inner}</If>
{folder}<Files "x">
{inner}</Files>
</Directory>
"""
    server = table.site.httpd(config, start=False)
    for place, values in dumped(server).items():
        which = "outer" if place == "the main server" else "inner"
        for name in names:
            if which == "inner" and "D" not in CONTEXT[name] and place.startswith("section"):
                continue
            value = lines[which][name].split(" ", 1)[1].replace("@DIR@", str(server.dir))
            assert values.get(name, "None").strip('"') == value, (place, name)


# ---- where they may not stand -------------------------------------------------------------------

@pytest.mark.parametrize("section", ["Location", "Directory", "Files", "If", "Proxy"])
@pytest.mark.parametrize("name", [name for name in CASES if "D" not in CONTEXT[name]])
def test_what_belongs_to_a_server_is_refused_in_a_section(table, name, section):
    argument = '"true"' if section == "If" else '"/x"'
    server = table.site.httpd(f"<{section} {argument}>\n{table.line(name, 'outer')}\n</{section}>\n",
                              start=False)
    status, output = server.configtest()
    assert status == 1
    assert f"{name} is not allowed in sections such as <Directory>, <Location> or <If>: it belongs " \
           "into the server's own configuration (the server or a virtual host)" in output


# ---- DjangoSessionClearInterval -----------------------------------------------------------------

def test_a_virtual_host_has_its_own_clearing_of_expired_sessions(make_site):
    """None in a virtual host takes back what the server says, and one without a word inherits it."""
    site = make_site()
    for name in ("own", "mine", "inheriting"):
        site.database.execute(f"CREATE TABLE {name} AS SELECT * FROM django_session")
        site.database.execute(f"CREATE UNIQUE INDEX {name}_key ON {name} (session_key)")

    def expire(*tables):
        for name in tables:
            site.database.execute(f"INSERT INTO {name} VALUES ('x', 'x', '2001-01-01 00:00:00')")

    def left(name):
        return site.database.execute(f"SELECT count(*) FROM {name}")[0][0]

    expire("own", "mine", "inheriting")
    hosts = {"own": "DjangoSessionClearInterval None\n", "mine": "DjangoSessionClearInterval 1s\n",
             "inheriting": ""}
    site.httpd("DjangoSessionClearInterval 1s\nDjangoSessionStoreTimeout 60s\n" + "".join(
        f"<VirtualHost *:@PORT@>\nServerName {name}.example\nDjangoSession On\n"
        f"DjangoSessionTable {name}\n{line}</VirtualHost>\n" for name, line in hosts.items()))
    for _ in range(2):  # what is never cleared is not just cleared later
        for name in ("mine", "inheriting"):
            harness.wait_until(lambda: left(name) == 0, "the clearing of " + name)
        assert left("own") == 1
        expire("mine", "inheriting")
