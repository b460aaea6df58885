# SPDX-License-Identifier: Apache-2.0
"""
What was found wrong in httpd's mod_session, mod_session_cookie, mod_session_dbd and mod_auth_form,
reading the cookie, keeping data, its lifetime and its store: each defect with the tests that the module
would fail if it had it. DEFECTS is the list; tests that are not in another file are here.
"""
import json
import re

import harness
from test_policy import max_age
from test_session import ON, reply, update

HERE = "test_peers.py"
VALUES = ["test_session.py::test_all_values_go_both_ways",
          "test_session.py::test_all_values_that_an_application_sets_reach_django",
          "test_matrix.py::test_django_and_the_module_share_sessions"]
START = ["test_config.py::test_a_wrong_value_stops_the_start_and_is_named",
         "test_config.py::test_what_cannot_work_together_stops_the_start"]

#: number: (what mod_session does, the tests that we do not)
DEFECTS = {
    # Reading the cookie.
    "D-1": ("a comma in another cookie's value begins a session",
            [f"{HERE}::test_the_key_is_found_where_django_finds_it",
             "test_hostile.py::test_no_cookie_but_the_key_itself_finds_the_session"]),
    "D-2": ("two cookies of the name lose the session, and reach the application",
            ["test_session.py::test_of_several_cookies_a_stray_one_hides_no_valid_one",
             "test_export.py::test_the_hidden_cookie_leaves_the_others_byte_for_byte"]),
    "Cookie": ("the header without the session's cookie begins with a space or a semicolon",
               ["test_export.py::test_the_hidden_cookie_leaves_the_others_byte_for_byte"]),
    # What is kept.
    "D-3": ("Foo and foo are one key", [f"{HERE}::test_what_an_application_stores_is_there_as_it_was"]),
    "D-4": ("no empty text, null, number or list can be stored",
            [f"{HERE}::test_what_an_application_stores_is_there_as_it_was", *VALUES]),
    "D-5": ("a value with NUL is dropped without a word",
            [f"{HERE}::test_what_an_application_stores_is_there_as_it_was", *VALUES]),
    "D-6": ("the application's key `expiry` is the session's lifetime",
            [f"{HERE}::test_no_key_of_the_applications_moves_the_end",
             "test_hostile.py::test_no_refused_update_changes_anything_at_any_status",
             "test_update.py::test_the_expiry_of_an_application_obeys_djangos_rules"]),
    "attributes": ("cookie attributes are free text, and giving one takes HttpOnly and Secure away",
                   ["test_directives.py::test_the_inner_value_counts_in_each_context",
                    "test_directives.py::test_a_virtual_host_inherits_of_the_server_or_says_otherwise",
                    *START]),
    # How long it lives.
    "D-7": ("a request that takes long loses its session",
            ["test_session.py::test_a_slow_request_does_not_lose_its_session"]),
    "D-8": ("everyone gets a session, with a cookie and a row",
            ["test_session.py::test_no_cookie_no_query_no_cookie_no_vary",
             "test_session.py::test_without_anything_to_tell_nothing_is_looked_at"]),
    "D-9": ("a save interval above the age logs active users out", START[1:]),
    "D-10": ("an age of garbage is 0, and one below 0 is taken", START[:1]),
    "D-11": ("a login with the cookie of a session that is over is lost",
             [f"{HERE}::test_a_login_with_a_cookie_that_leads_nowhere_works_the_first_time",
              "test_update.py::test_an_application_logs_in_and_out"]),
    "lifetime": ("there is no end that activity cannot put off",
                 ["test_policy.py::test_after_its_lifetime_a_session_opens_nothing",
                  "test_policy.py::test_django_behind_the_module_cannot_put_off_the_end_by_saving_"
                  "each_time"]),
    "paths": ("/admin is /administrator as well, and a folder cannot take back what is above it",
              [f"{HERE}::test_sections_are_whole_folders_and_the_inner_one_wins"]),
    # How it is stored.
    "D-12": ("two changes at the same time make two sessions",
             ["test_session.py::test_changes_that_begin_together_all_take_effect",
              "test_session.py::test_eight_clients_add_two_thousand_beside_django"]),
    "D-13": ("a connection to the database is held for the whole request",
             ["test_session.py::test_slow_applications_hold_up_nobody",
              "test_store_pool.py::test_slow_applications_hold_no_connection",
              "test_store_pool.py::test_another_module_that_holds_the_connection_costs_a_bounded_wait"]),
    "D-14": ("without the store everybody is anonymous, with status 200",
             ["test_session.py::test_a_store_that_is_down_is_503_and_works_again_when_it_is_back",
              "test_store_outage.py::test_a_server_that_is_down_when_httpd_starts_is_found_later",
              "test_store_outage.py::test_a_server_that_dies_between_load_and_save_is_503_and_changes_"
              "nothing",
              "test_auth.py::test_without_the_store_nobody_gets_in"]),
    "connections": ("each dead connection of the pool is a failed request",
                    ["test_session.py::test_a_restart_of_the_database_fails_no_request",
                     "test_restarts.py::test_a_store_is_restarted_under_load"]),
    "D-15": ("a section with one directive of its own inherits no other",
             ["test_config.py::test_every_directive_inherits_into_a_section_with_others",
              "test_directives.py::test_each_value_is_merged_into_each_section"]),
    "start": ("what is missing is found at the first request",
              START[1:] + ["test_config.py::test_sessions_without_a_database_stop_the_start",
                           "test_config.py::test_sessions_without_mod_dbd_stop_the_start",
                           "test_config.py::test_an_engine_that_is_not_there_is_refused_with_those_"
                           "that_are"]),
    "MySQL": ("saving what is there already fails",
              ["test_store_outage.py::test_saving_what_is_there_already_is_no_conflict_on_mariadb"]),
    "logout": ("a logout leaves a cookie with a new key",
               [f"{HERE}::test_a_logout_leaves_one_cookie_which_is_over"]),
    "twice": ("Set-Cookie is sent twice",
              ["test_update.py::test_exactly_one_cookie_on_every_answer",
               "test_update.py::test_exactly_one_cookie_with_error_documents_and_internal_redirects"]),
    "expired rows": ("nobody removes them",
                     ["test_policy.py::test_expired_rows_go_in_the_background_and_no_request_fails",
                      "test_policy.py::test_each_store_of_the_sections_is_cleared_once"]),
    "log": ("session keys are in messages of errors and in debug lines",
            [f"{HERE}::test_no_log_names_a_key_when_things_go_wrong"]),
    "order": ("a session that was read before the authentication stays nobody's",
              [f"{HERE}::test_who_reads_the_session_first_makes_no_difference",
               "test_other_engine.py::test_modules_may_be_loaded_in_either_order"]),
    "notes": ("a pointer is in the request's notes, which can be logged",
              [f"{HERE}::test_notes_hold_nothing_but_words_of_the_source"]),
}


def test_each_defect_has_its_tests():
    assert {"D-%d" % n for n in range(1, 16)} <= set(DEFECTS)
    named = {test for _, tests in DEFECTS.values() for test in tests}
    for test in named:
        file, name = test.split("::")
        assert re.search(r"^def %s\(" % name, (harness.HERE / file).read_text(), re.M), test
    here = re.findall(r"^def (test_\w+)\(", (harness.HERE / HERE).read_text(), re.M)
    assert {f"{HERE}::{name}" for name in here[1:]} <= named


# ---- reading the cookie -------------------------------------------------------------------------

#: with KEY for a session's key
COOKIES = [
    "sessionid=KEY", "theme=x,sessionid=KEY", "theme=x, sessionid=KEY", "theme=x;sessionid=KEY",
    "theme=x ;sessionid=KEY", "theme=\"x;sessionid=KEY\"", "theme=x&sessionid=KEY",
    "theme=x\tsessionid=KEY", "theme=x sessionid=KEY", "sessionid=KEY,", "sessionid=KEY,x=1",
    "sessionid=\"KEY\"", "sessionid=\"KEY", "sessionid = KEY", "sessionid=KEY x", " sessionid=KEY ",
    "$Version=1; sessionid=KEY; $Path=/", "$Version=1, sessionid=KEY", "SESSIONID=KEY",
    "Sessionid=KEY", "xsessionid=KEY", "sessionid[]=KEY", "sessionid=KEY=", "sessionid==KEY",
    "sessionid=%KEY", "sessionid", "=KEY", "sessionid;KEY", "a=b;;sessionid=KEY;;", "sessionid=KEY;",
    "sessionid=; sessionid=KEY", "sessionid=KEY;path=/", "sessionid:KEY",
]


def test_the_key_is_found_where_django_finds_it(site):
    """D-1. Where it is the only one: that of several we try each is ours (interface 2.4)."""
    key = site.create_session({"a": 1})
    server = site.httpd()
    texts = [text.replace("KEY", key) for text in COOKIES]
    found = site.django.run("from django.http.cookie import parse_cookie\n"
                            "result = [parse_cookie(t).get('sessionid') for t in %r]" % texts)
    assert 5 < found.count(key) < len(COOKIES) - 5
    for text, value in zip(texts, found):
        active = server.env(cookie=text)["DJANGO_SESSION_STATUS"] == "active"
        assert active == (value == key), text


# ---- what is kept -------------------------------------------------------------------------------

def test_what_an_application_stores_is_there_as_it_was(site):
    """D-3, D-4, D-5: by pairs, by operations, and to the next program and to Django."""
    server = site.httpd(ON)
    pairs = ["Foo=1", "foo=2", "empty=", "nul=a%00b", "comma=a%2Cb", "equals=a=b", "percent=%25"]
    answer = server.get(reply(*("Django-Session-Set: " + pair for pair in pairs),
                              update(set={"none": None, "zero": 0, "no": False, "": "x", "FOO": [],
                                          "list": [1, {"a": ""}]})))
    assert answer.status == 200
    kept = {"Foo": "1", "foo": "2", "FOO": [], "empty": "", "nul": "a\0b", "comma": "a,b",
            "equals": "a=b", "percent": "%", "none": None, "zero": 0, "no": False, "": "x",
            "list": [1, {"a": ""}]}
    assert site.read_session(answer.cookie()) == kept
    env = server.env(cookie="sessionid=" + answer.cookie())
    assert json.loads(env["DJANGO_SESSION"]) == kept


def test_no_key_of_the_applications_moves_the_end(site):
    """D-6: nor one of a client's cookies."""
    server = site.httpd(ON + "DjangoSessionCookieAge 1h\nDjangoSessionMaxLifetime 2h\n")
    for name in ("expiry", "_expiry", "session_expiry", "Expiry"):
        for header in (f"Django-Session-Set: {name}=99999999999999999",
                       update(set={name: 99999999999999999})):
            answer = server.get(reply(header), cookie="expiry=99999999999999999")
            assert answer.status == 200 and max_age(answer) == 3600, (name, answer)
            env = server.env(cookie="sessionid=" + answer.cookie())
            assert name in site.read_session(answer.cookie())
            if not name.startswith("_"):
                assert str(json.loads(env["DJANGO_SESSION"])[name]) == "99999999999999999"
    # Nor does what may move it, beyond what the administrator says.
    answer = server.get(reply(update(set={"a": 1}, expiry=999999)))
    assert 0 < max_age(answer) <= 7200


# ---- how long it lives --------------------------------------------------------------------------

def test_a_login_with_a_cookie_that_leads_nowhere_works_the_first_time(site):
    """D-11."""
    site.create_user("ada")
    execute = site.database.execute
    made = {name: site.create_session({"old": name}) for name in ("expired", "broken", "deleted")}
    execute("UPDATE django_session SET expire_date = '2001-01-01 00:00:00' WHERE session_key = %s",
            (made["expired"],))
    execute("UPDATE django_session SET session_data = 'x' WHERE session_key = %s", (made["broken"],))
    execute("DELETE FROM django_session WHERE session_key = %s", (made["deleted"],))
    server = site.httpd("""
<Location "/cgi/">
DjangoSession On
DjangoSessionUpdate Login
</Location>
<Location "/cgi/env">
AuthType Django
Require valid-user
DjangoUnauthenticated 401
</Location>
""")
    for cookie in ["sessionid=" + key for key in made.values()] + [
            "sessionid=%00%ff", "sessionid=\"\\377\\376\\375\\374\\373\"", "sessionid=short"]:
        assert server.get("/cgi/env", cookie=cookie).status == 401
        answer = server.get(reply(update(login="ada")), cookie=cookie)
        assert answer.status == 200 and len(answer.all("Set-Cookie")) == 1, cookie
        assert answer.cookie() not in made.values()
        env = server.env(cookie="sessionid=" + answer.cookie())
        assert env["REMOTE_USER"] == "ada" and "old" not in env["DJANGO_SESSION"]


def test_sections_are_whole_folders_and_the_inner_one_wins(site):
    key = site.create_session({"a": 1})
    server = site.httpd("""
<Location "/cgi/env/on">
DjangoSession On
</Location>
<Location "/cgi/env/on/off">
DjangoSession Off
</Location>
<Location "/cgi/env/on/off/on">
DjangoSession On
</Location>
""")
    for path, on in (("on", 1), ("on/x", 1), ("only", 0), ("on.txt", 0), ("on/off", 0), ("on/off/x", 0),
                     ("on/offer", 1), ("on/off/on", 1), ("", 0), ("x/on", 0)):
        env = server.env("/cgi/env/" + path, cookie="sessionid=" + key)
        assert ("DJANGO_SESSION" in env) == bool(on), path


# ---- how it is stored ---------------------------------------------------------------------------

def test_a_logout_leaves_one_cookie_which_is_over(site):
    site.create_user("ada")
    server = site.httpd("DjangoSession On\nDjangoSessionUpdate Login\n")
    for operation in ("logout", "flush"):
        key = site.login("ada")
        answer = server.get(reply(update(**{operation: True})), cookie="sessionid=" + key)
        lines = answer.all("Set-Cookie")
        assert len(lines) == 1 and 'sessionid="";' in lines[0] and "Max-Age=0" in lines[0]
        assert site.database.row(key) is None
        assert site.database.execute("SELECT count(*) FROM django_session") == [(0,)]


def test_no_log_names_a_key_when_things_go_wrong(site):
    """
    At trace8. httpd's own modules write all headers there. The harness looks into each test's logs at
    its end; this is about failures.
    """
    site.create_user("ada", password="pass-word-of-ada")
    keys = [site.login("ada"), site.create_session({"what": "is-in-the-session"})]
    server = site.httpd(ON + "DjangoSessionSaveEveryRequest On\nDjangoSessionHeader On\n"
                        '<Location "/cgi/env">\nAuthType Django\nRequire valid-user\n</Location>\n',
                        log_level="debug django_session:trace8 dbd:trace8")
    server.expect(111, 131, 132, r"\[dbd:", "AH")

    def ask():
        for key in keys:
            for path in ("/cgi/env", "/page.txt", "/not-there", reply(update(increment={"what": 1})),
                         reply(update(set={"a": 2}))):
                server.get(path, cookie=f"x={key}; sessionid={key}")

    ask()
    for sql in ("UPDATE django_session SET session_data = 'x' || session_data",
                "UPDATE auth_user SET password = 'x'", "DROP TABLE auth_user",
                "ALTER TABLE django_session RENAME COLUMN session_data TO elsewhere",
                "DROP TABLE django_session"):
        site.database.execute(sql)
        ask()
    harness.wait_until(lambda: server.has_logged(111) and server.has_logged(140), "a failure")
    server.stop()
    written = server.log + (server.dir / "access.log").read_text()
    assert not [secret for secret in (*keys, site.secret_key, "pass-word-of-ada", "is-in-the-session")
                if secret in written]


def test_who_reads_the_session_first_makes_no_difference(site):
    """A rule of mod_rewrite before the authentication, here."""
    site.create_user("ada")
    key = site.login("ada", a=1)
    server = site.httpd("""
DjangoSessionEarly On
DjangoSession On
RewriteEngine On
RewriteCond %{ENV:DJANGO_SESSION_STATUS} =active
RewriteRule ^/early /cgi/env [PT]
<Location "/cgi/env">
AuthType Django
Require valid-user
</Location>
""")
    for path in ("/early", "/cgi/env"):
        env = server.env(path, cookie="sessionid=" + key)
        assert env["REMOTE_USER"] == "ada" and env["DJANGO_SESSION"] == '{"a":1}'
    assert server.get("/early").status == 404


def test_notes_hold_nothing_but_words_of_the_source():
    sources = list((harness.SRC / "mod_django_session" / "httpd").glob("*.c"))
    assert len(sources) > 8
    for path in sources:
        for put in re.findall(r"apr_table_(?:set|add|merge)n?\(\s*\w+->notes,\s*[^;]*;",
                              path.read_text()):
            # A literal, or the name of one of a list of outcomes.
            assert re.search(r'->notes,\s*[^,]+,\s*("\w*"|djs_\w+_name\(\w+\))\);$', put), (path.name, put)
