# SPDX-License-Identifier: Apache-2.0
"""Directives: what apachectl configtest refuses and why, what sections inherit, .htaccess."""
import re

import pytest

import harness

SETTINGS = (harness.SRC / "mod_django_session" / "core" / "settings.def").read_text()
ROWS = re.findall(r'"(Django\w+)",\s*"[a-z-]+", (\w+), (?:NULL|"[^"]*"), "([SVDH]+)",\s*"([^"]*)"',
                  SETTINGS)
KIND = {row[0]: row[1] for row in ROWS}
CONTEXT = {row[0]: row[2] for row in ROWS}
VALUES = {row[0]: row[3] for row in ROWS}

# A good value, as it is printed again, and bad ones for each kind of row.
GOOD = {"DURATION": "5min", "TIMEOUT": "250ms", "LIMIT": "8h", "PERIOD": "8h", "TOKEN": "back", "COOKIE_NAME": "sid",
        "COOKIE_PATH": "/x", "COOKIE_DOMAIN": "x.example", "PARAM": "sid", "TABLE": "other.sessions",
        "IDENTIFIER": "login", "URL": "/enter", "NAME": "db", "PATH": "/x/y",
        "SECRET": "env:HOME",
        "SECRETS": "file:/one env:TWO", "NAMES": "a.b c.d", "EXPORT": "On cart=CART",
        "HASHERS": "pbkdf2_sha256=600000 argon2 md5", "NUMBER": "7", "THROTTLE": "9/2h Off",
        "ORIGINS": "https://*.x.example .y.example", "HOSTS": "www.x.example http://y.example:8080",
        "CACHE": "memcached://127.0.0.1:11211 format=pylibmc prefix=x timeout=250ms"}
BAD = {"FLAG": ["Maybe", '""'], "DURATION": ["garbage", "-5", "1.5", "9999999999999999999", '""'],
       "TIMEOUT": ["0", "-1s", "soon"], "LIMIT": ["0", "1500ms", "never"],
       "PERIOD": ["0", "None", "On"], "TOKEN": ["a/b", '""'],
       "COOKIE_NAME": ['"a;b"', "Path", '""'], "COOKIE_PATH": ["x", '"/x;y"'],
       "COOKIE_DOMAIN": ["a..b", '"a b"'], "PARAM": ["a=b", "a%20b", '""'], "TABLE": ["a.b.c", "\"a'b\""],
       "IDENTIFIER": ["a.b", '""'], "URL": ["x", '"/a b"', "javascript:x"],
       "NAME": ["../x", '""'], "PATH": ['""'], "SECRET": ["file:", '""'], "SECRETS": ['"" one'],
       "NAMES": ['"a;b"'], "ORIGINS": ["*", "https://x.example/", "*.x.example", '""'],
       "HOSTS": ["*", "https://x.example/", "*.x.example", "ftp://x.example", "a@x.example", '""'],
       "HASHERS": ["sha512", "md5=1", "pbkdf2_sha256=0", "md5 md5", '""'],
       "NUMBER": ["0", "65", "x", '""'],
       "THROTTLE": ["5/5min", "5/5min 1", "0/1s Off", "5/5min Off Off", '""'],
       "EXPORT": ["Off cart", "/a~2", "cart=A:B"], "CHOICE": ["Other", '""'],
       "CACHE": ["x://h", "memcached://h:0", "shm:// format=redis", '""']}
HTDOCS = '<Directory "@DIR@/htdocs">\nAllowOverride All\n</Directory>\n'


def good(directive):
    if directive == "DjangoSession":
        return "Off"  # On needs more than itself
    if directive == "DjangoCsrfCookieName":
        return "xsrf"  # not the session's
    if KIND[directive] in ("CHOICE", "FLAG"):
        return VALUES[directive].split("|")[-1]
    return GOOD[KIND[directive]]


def test_the_rows_are_seen():
    assert len(ROWS) >= 31 and len(ROWS) == SETTINGS.count("\nSETTING(")


@pytest.mark.parametrize("directive", CONTEXT)
def test_a_wrong_value_stops_the_start_and_is_named(site, directive):
    for value in BAD[KIND[directive]]:
        server = site.httpd(f"{directive} {value}", base=False, start=False)
        status, output = server.configtest()
        assert status == 1, (value, output)
        assert directive in output
        assert "Syntax error on line" in output
    server = site.httpd(f"{directive} {good(directive)}", base=False, start=False)
    status, output = server.configtest()
    assert status == 0
    assert re.sub(".*DJS0107: .*\n", "", output) == "Syntax OK\n"


COMBINATIONS = {
    "signed values": ("DjangoSession On\nDjangoSecretKey x\nDjangoSessionHeader cart\n"
                      "DjangoSessionHeaderSigned On", "DjangoSessionHeaderSigned"),
    "no secret": ("DjangoSession On", "DjangoSecretKey"),
    "SameSite": ("DjangoSession On\nDjangoSecretKey x\nDjangoSessionCookieSameSite None",
                 "DjangoSessionCookieSecure"),
    "host cookie": ("DjangoSession On\nDjangoSecretKey x\nDjangoSessionCookieName __Host-x\n"
                    "DjangoSessionCookieSecure On\nDjangoSessionCookieDomain x.example",
                    "DjangoSessionCookieDomain"),
    "names": ("DjangoSession On\nDjangoSecretKey x\nDjangoSessionEnv a.b a_b", "DjangoSessionEnv"),
    "interval": ("DjangoSession On\nDjangoSecretKey x\nDjangoSessionCookieAge 1h\n"
                 "DjangoSessionSaveInterval 1h", "DjangoSessionSaveInterval"),
    "no file": ("DjangoSession On\nDjangoSecretKey file:/nowhere/at-all", "/nowhere/at-all"),
    "no variable": ("DjangoSession On\nDjangoSecretKey env:NOT_THERE_AT_ALL", "NOT_THERE_AT_ALL"),
    "no program": ("DjangoSession On\nDjangoSecretKey exec:/nowhere/at-all", "/nowhere/at-all"),
    "no zone": ("DjangoSession On\nDjangoSecretKey x\nDjangoUseTZ Off\nDjangoTimeZone Mars/Olympus",
                "DjangoTimeZone"),
}


@pytest.mark.parametrize("case", COMBINATIONS)
@pytest.mark.parametrize("place", ["server", "vhost", "location", "auth"])
def test_what_cannot_work_together_stops_the_start(site, case, place):
    conf, names = COMBINATIONS[case]
    sqlite = "DBDriver sqlite3\nDBDParams /nowhere/db\n"
    if place == "server":
        conf = sqlite + conf
    elif place == "vhost":
        conf = f"<VirtualHost *:@PORT@>\nServerName v.example\n{sqlite}{conf}\n</VirtualHost>"
    elif place == "location":
        conf = f'{sqlite}<Location "/x">\n{conf}\n</Location>'
    else:
        conf = re.sub("DjangoSession On\n?", "", conf)
        conf = f'{sqlite}{conf}\n<Location "/x">\nAuthType Django\nRequire valid-user\n</Location>'
    status, output = site.httpd(conf, base=False, start=False).configtest()
    assert status == 1, output
    assert names in output and "DJS0101" in output
    if place == "location":
        assert "section /x" in output


def test_an_engine_that_is_not_there_is_refused_with_those_that_are(site):
    status, output = site.httpd("DjangoSessionEngine tape", start=False).configtest()
    assert status == 1 and '"tape"' in output and "db" in output


def test_djangos_dotted_path_means_the_engine(site):
    server = site.httpd("DjangoSession On\n"
                        "DjangoSessionEngine django.contrib.sessions.backends.db", start=False)
    assert server.configtest() == (0, "Syntax OK\n")


def test_sessions_without_a_database_stop_the_start(site):
    server = site.httpd("DjangoSession On\nDjangoSecretKey x", base=False, start=False)
    status, output = server.configtest()
    assert status == 1 and "DBDriver" in output


def test_sessions_without_mod_dbd_stop_the_start(site, monkeypatch):
    monkeypatch.setattr(harness, "BASE_MODULES", [m for m in harness.BASE_MODULES if m != "dbd"])
    server = site.httpd("DBDriver sqlite3\nDjangoSession On\nDjangoSecretKey x", base=False,
                        start=False)
    status, output = server.configtest()
    assert status == 1 and "mod_dbd" in output


def test_a_section_that_is_off_needs_nothing(site):
    server = site.httpd("DjangoSessionCookieName sid", base=False, start=False)
    assert server.configtest() == (0, "Syntax OK\n")


def test_a_database_that_is_down_stops_no_start_and_no_restart(site):
    server = site.httpd('DBDriver pgsql\nDBDParams "host=127.0.0.1 port=1 dbname=x"\n'
                        "DjangoSession On\nDjangoSecretKey x", base=False, start=False)
    server.expect(r"\[dbd:")
    assert server.configtest() == (0, "Syntax OK\n")
    server.start()
    assert server.get("/page.txt").status == 200
    server.graceful()
    assert server.get("/page.txt").status == 200


def test_a_secret_file_is_read_as_root_below_server_root(site):
    key = site.create_session({"a": 1})
    server = site.httpd(site.database.directives() + "DjangoSecretKey file:secret\nDjangoSession On",
                        base=False, as_root=True, start=False)
    secret = server.dir / "secret"
    secret.write_text(site.secret_key + "\n")
    secret.chmod(0o600)
    server.start()
    assert server.env(cookie=f"sessionid={key}")["DJANGO_SESSION"] == '{"a":1}'


def test_exec_is_run_once_at_start(site):
    key = site.create_session({"a": 1})
    server = site.httpd(site.database.directives() + "DjangoSecretKey exec:secret.sh\n"
                        "DjangoSession On", base=False, start=False)
    program = server.dir / "secret.sh"
    program.write_text(f"#!/bin/sh\necho ran >>{server.dir}/runs\necho {site.secret_key}\n")
    program.chmod(0o755)
    server.start()
    assert server.env(cookie=f"sessionid={key}")["DJANGO_SESSION"] == '{"a":1}'
    assert (server.dir / "runs").read_text() == "ran\n"


# ---- sections -----------------------------------------------------------------------------------

def dumped(server):
    """DUMP_DJANGO as {place: {directive: value}}."""
    status, output = server.configtest("DUMP_DJANGO")
    assert status == 0, output
    places = {}
    for line in output.splitlines():
        if line.startswith("# "):
            here = places.setdefault(line[2:].split(", AuthType")[0], {})
        elif line.startswith("Django"):
            name, value = line.split(" ", 1)
            here[name] = value.replace("    # default", "")
    return places


INHERITING = [name for name in CONTEXT if name != "DjangoSecretKey" and KIND[name] != "EXPORT"]


@pytest.mark.parametrize("outer,inner", [
    ("server", "vhost"), ("server", "location"), ("server", "directory"), ("vhost", "location"),
    ("server", "files in directory"), ("server", "if in location")])
def test_every_directive_inherits_into_a_section_with_others(site, outer, inner):
    """D-15, with httpd's own merging."""
    all_of_them = "\n".join(f"{name} {good(name)}" for name in INHERITING)
    own = "DjangoSecretKey of-the-inner-section"
    conf = {
        "vhost": f"<VirtualHost *:@PORT@>\nServerName v.example\n{own}\n</VirtualHost>",
        "location": f'<Location "/in">\n{own}\n</Location>',
        "directory": f'<Directory "@DIR@/in">\n{own}\n</Directory>',
        "files in directory":
            f'<Directory "@DIR@/in">\n<Files "x.html">\n{own}\n</Files>\n</Directory>',
        "if in location": f'<Location "/in">\n<If "true">\n{own}\n</If>\n</Location>',
    }[inner]
    conf = f"{all_of_them}\n{conf}"
    if outer == "vhost":
        conf = f"<VirtualHost *:@PORT@>\nServerName v.example\n{conf}\n</VirtualHost>"
    places = dumped(site.httpd(conf, base=False, start=False))
    found = [values for values in places.values() if values.get("DjangoSecretKey") == "********"]
    assert len(found) == 1, places.keys()
    for name in INHERITING:
        assert found[0][name] == good(name), name


def test_the_dump_masks_secrets_and_marks_defaults(site):
    server = site.httpd("DjangoSecretKey planted-key\n"
                        "DjangoSecretKeyFallbacks planted-old file:/etc/old-key\n"
                        '<Location "/x">\nDjangoSessionCookieAge 30m\n</Location>', base=False,
                        start=False)
    status, output = server.configtest("DUMP_DJANGO")
    assert status == 0
    assert "planted" not in output
    assert "DjangoSecretKeyFallbacks ******** file:/etc/old-key" in output
    assert "DjangoSessionCookieAge 30min\n" in output
    assert "DjangoSessionCookieAge 14d    # default" in output
    assert "section /x of the main server" in output


# ---- .htaccess ----------------------------------------------------------------------------------

def write(server, path, text):
    file = server.dir / "htdocs" / path
    file.parent.mkdir(exist_ok=True)
    file.parent.chmod(0o755)
    file.write_text(text)


def test_what_can_leak_is_refused_in_htaccess_with_all_of_allowoverride(site):
    """D-17: no file, command, server or secret from .htaccess."""
    refused = [name for name in CONTEXT if "H" not in CONTEXT[name]]
    assert len(refused) >= 18
    server = site.httpd(HTDOCS + "".join(
        f'<Directory "@DIR@/htdocs/{name}-listed">\nAllowOverride None\nAllowOverrideList {name}\n'
        "</Directory>\n" for name in refused), base=False)
    for name in refused:
        refusal = f"{name} is not allowed in .htaccess files: it belongs into the server's own " \
                  r"configuration \(the server" + \
                  (", a virtual host, or a section" if "D" in CONTEXT[name] else " or a virtual host")
        server.expect(refusal)
        for folder in (name, name + "-listed"):
            write(server, f"{folder}/index.html", "protected")
            write(server, f"{folder}/.htaccess", f"{name} {good(name)}\n")
            answer = server.get(f"/{folder}/index.html")
            assert answer.status == 500 and "protected" not in answer.text
        harness.wait_until(lambda: len(re.findall(refusal, server.log)) == 2, refusal)


def test_a_program_named_in_htaccess_is_never_run(site):
    server = site.httpd(HTDOCS)
    server.expect("not allowed in .htaccess")
    write(server, "x/run", f"#!/bin/sh\ntouch {server.dir}/htdocs/ran\necho x\n")
    (server.dir / "htdocs/x/run").chmod(0o755)
    write(server, "x/.htaccess", f"DjangoSecretKey exec:{server.dir}/htdocs/x/run\nDjangoSession On\n")
    assert server.get("/x/run").status == 500
    assert not (server.dir / "htdocs" / "ran").exists()


def test_the_rest_may_stand_in_htaccess(site):
    server = site.httpd(HTDOCS)
    for name in CONTEXT:
        if "H" not in CONTEXT[name]:
            continue
        write(server, f"{name}/index.html", "here")
        write(server, f"{name}/.htaccess", f"{name} {good(name)}\n")
        assert server.get(f"/{name}/index.html").status == 200, name
        write(server, f"{name}/.htaccess", f"{name} {BAD[KIND[name]][0]}\n")
        server.expect(rf"\.htaccess: {name}")
        assert server.get(f"/{name}/index.html").status == 500, name


def test_htaccess_switches_sessions_on_and_names_its_cookie(site):
    server = site.httpd(HTDOCS + 'Options +ExecCGI\nAddHandler cgi-script .cgi')
    write(server, "x/.htaccess", "DjangoSession On\nDjangoSessionCookieName other\n"
          "DjangoSessionEnv a=A\n")
    write(server, "x/env.cgi", '#!/bin/sh\necho "Content-Type: text/plain"; echo; echo "A=$A"\n')
    (server.dir / "htdocs/x/env.cgi").chmod(0o755)
    key = site.create_session({"a": "one"})
    for _ in range(3):
        assert server.get("/x/env.cgi", cookie=f"other={key}").text == "A=one\n"
        assert server.get("/x/env.cgi", cookie=f"sessionid={key}").text == "A=\n"


def test_a_combination_in_htaccess_that_cannot_work_is_an_error(site):
    server = site.httpd(HTDOCS)
    write(server, "x/index.html", "here")
    write(server, "x/.htaccess", "DjangoSession On\nDjangoSessionCookieSameSite None\n")
    server.expect(110)
    assert server.get("/x/index.html").status == 500
    harness.wait_until(lambda: server.has_logged("DJS0110: .*DjangoSessionCookieSecure"), "why")


def test_a_directive_inside_limit_is_refused(site):
    status, output = site.httpd('<Location "/x">\n<Limit GET>\nDjangoSession On\n</Limit>\n'
                                "</Location>", start=False).configtest()
    assert status == 1 and "Limit" in output


# ---- httpd -t -D DJANGO_CHECK -------------------------------------------------------------------

def test_django_check_looks_into_each_store_once(each_site):
    server = each_site.httpd('DjangoSession On\n<Location "/x">\nDjangoSessionCookieName x\n'
                             "</Location>\n", start=False)
    status, output = server.configtest("DJANGO_CHECK")
    assert status == 0 and "FAIL" not in output, output
    assert output.count("# the main server") == 1 and output.count("section /x") == 0
    assert "ok: " in output and each_site.secret_key not in output


def test_django_check_finds_a_table_that_is_not_there(each_site):
    server = each_site.httpd("DjangoSession On\nDjangoSessionTable other_table", start=False)
    assert server.configtest() == (0, "Syntax OK\n")
    status, output = server.configtest("DJANGO_CHECK")
    assert status == 1 and "FAIL: " in output and "other_table" in output


def test_django_check_finds_a_database_that_is_down(site):
    server = site.httpd('DBDriver pgsql\nDBDParams "host=127.0.0.1 port=1 dbname=x"\n'
                        "DjangoSession On\nDjangoSecretKey x", base=False, start=False)
    status, output = server.configtest("DJANGO_CHECK")
    assert status == 1 and "FAIL: " in output
