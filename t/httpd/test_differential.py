# SPDX-License-Identifier: Apache-2.0
"""
The module and a real Django with the same settings, given the same visits: the same status, cookies,
Vary, and stored sessions. Every way in which they may differ is in EXPLAINED, with its reason, or in
the test of answers that fail.
"""
import collections
import email.utils
import http.client
import json

import pytest

import differential
from harness import PATIENCE

SEQUENCES = 306


class Side:
    """The module in front of a proxied application that answers as the step says."""

    def __init__(self, site):
        self.site = site
        backend = site.backend()
        backend.answer = self.answer
        sections = "".join(
            f'<Location "/v{i}/">\n{directives}</Location>\n'
            f'<Location "/v{i}/look">\nDjangoSessionHeader On\n</Location>\n'
            for i, (_, directives) in enumerate(differential.VARIANTS))
        server = site.httpd("DjangoSession On\nDjangoSessionUpdate On\nDjangoSessionEnv Off\n"
                            f"{sections}ProxyPass / {backend.url}\nMaxKeepAliveRequests 0\n",
                            dbd='DBDInitSQL "%s"' % differential.IN_A_HURRY, log_level="warn")
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        self.database = site.database.connect()
        self.database.execute(differential.IN_A_HURRY)

    @staticmethod
    def answer(request):
        step = json.loads(dict(request[2])["X-Step"])
        headers = [("Django-Session-Update", json.dumps(step["do"]))] if step["do"] else []
        return step["status"], headers, b"answered"

    def execute(self, sql, args):
        return self.database.execute(sql.replace("%s", "?"), args).fetchall()

    def request(self, variant, cookie, step):
        headers = {"X-Step": json.dumps(step)}
        if cookie:
            headers["Cookie"] = cookie
        self.connection.request("GET", "/v%d/%s" % (variant, "look" if step["look"] else ""),
                                headers=headers)
        answer = self.connection.getresponse()
        body = answer.read()
        for line in answer.headers.get_all("Set-Cookie", []):
            self.site.secrets.add(line.split("=", 1)[1].split(";")[0])
        return (answer.status, answer.headers.get_all("Set-Cookie", []),
                any("Cookie" in value for value in answer.headers.get_all("Vary", [])), body)

    def close(self):
        self.connection.close()
        self.database.close()


# ---- comparing ----------------------------------------------------------------------------------

def same_moment(a, b):
    """Ends of both sides: so long after each request, or the same date."""
    if a is None or b is None:
        return a == b
    return a[0] <= b[1] and b[0] <= a[1]


def differences(django, module):
    """The names of what differs at a step."""
    found = [name for name in ("status", "answered", "vary", "rows", "stored", "old_is_there")
             if django[name] != module[name]]
    if [(c["name"], c["value"], c["attributes"]) for c in django["cookies"]] \
            != [(c["name"], c["value"], c["attributes"]) for c in module["cookies"]]:
        return found + ["cookies"]
    for ours, theirs in zip(module["cookies"], django["cookies"]):
        if ours["exact_age"] != theirs["exact_age"] and not same_moment(ours["age"], theirs["age"]):
            found.append("age")
    if not same_end(django, module):
        found.append("end")
    return found


def same_end(django, module):
    """Of the rows: as long after the request, or the same date. The clock runs on while they work."""
    if django["end"] is None or module["end"] is None:
        return django["end"] == module["end"]
    slack = (django["ended"] - django["began"]) + (module["ended"] - module["began"]) + 1
    return abs(django["left"] - module["left"]) <= slack or abs(django["end"] - module["end"]) <= 1


#: (what differs, when that is right, why); at most these, and each of them does occur
EXPLAINED = [
    ({"vary"},
     lambda step, django, module: module["vary"] and module["cookies"] and not django["vary"],
     "an answer with a cookie varies with it: so have Djangos newer than Debian's, and interface 2.4"),
    ({"vary"},
     lambda step, django, module: module["vary"] and module["status"] == 400
     and not module["answered"] and not django["answered"],
     "a session that was deleted meanwhile: that this is a 400 hangs on the cookie, but what Django "
     "makes of its exception has lost the header that says so"),
]


def explain(step, django, module, found):
    """Why that is right; None: it is not."""
    for what, when, why in EXPLAINED:
        if set(found) <= what and when(step, django, module):
            return why
    return None


def check_expires(cookie, seen):
    """Ours: that the date says the same as the age."""
    if cookie["expires"] is None:
        assert cookie["exact_age"] in (None, 0)
        return
    end = email.utils.parsedate_to_datetime(cookie["expires"]).timestamp()
    assert seen["began"] - 1 <= end - cookie["exact_age"] <= seen["ended"] + 1, cookie


@pytest.fixture
def both(make_site):
    """(play at Django's side, play at ours, decode)"""
    django = make_site(SESSION_ENGINE="djangosite.sequences", ROOT_URLCONF="djangosite.sequences")
    ours = make_site(SECRET_KEY=django.secret_key)
    side = Side(ours)
    yield django, side
    side.close()


def run(django, code):
    return django.django.run("from djangosite import sequences\nimport json\n" + code)


def play_at(both, sequences):
    """Pairs of what was seen at each step."""
    django, side = both
    theirs = run(django, "result = sequences.run(json.loads(%r))" % json.dumps(sequences))
    mine = [differential.play(side, sequence) for sequence in sequences]
    stored = [step["stored"] for steps in mine for step in steps]
    decoded = iter(run(django, "result = [sequences.decode(t) for t in json.loads(%r)]"
                       % json.dumps(stored)))
    for steps in mine:
        for step in steps:
            step["stored"] = next(decoded)
    return theirs, mine


def test_django_and_the_module_answer_the_same_visits_alike(both):
    sequences = differential.make_sequences(SEQUENCES)
    assert len(sequences) >= 300
    theirs, mine = play_at(both, sequences)
    wrong, explained = [], collections.Counter()
    for number, (variant, steps) in enumerate(sequences):
        for at, step in enumerate(steps):
            django, module = theirs[number][at], mine[number][at]
            found = differences(django, module)
            why = explain(step, django, module, found) if found else None
            if found and why is None:
                wrong.append("sequence %d (variant %d), step %d: %s\n  %s\n  Django: %s\n  module: %s"
                             % (number, variant, at, found, steps[:at + 1], django, module))
                break
            if found:
                explained[why] += 1
            for cookie in module["cookies"]:
                check_expires(cookie, module)
    assert not wrong, "%d sequences differ\n%s" % (len(wrong), "\n".join(wrong[:3]))
    assert set(explained) == {why for _, _, why in EXPLAINED}, explained
    cookies = [c for steps in mine for step in steps for c in step["cookies"]]
    assert {c["value"] for c in cookies} == {"same", "new", "empty"}
    assert {step["status"] for steps in mine for step in steps} == {200, 302, 400, 404, 500}


@pytest.mark.parametrize("operation", ["flush", "cycle_key"])
def test_an_answer_that_failed_changes_nothing_here_and_much_in_django(both, operation):
    """
    Django's flush() and cycle_key() are at the store when its page fails. An update of the module's
    application comes with the answer, and one of 500 asks for nothing (interface 2.4, section 8).
    """
    step = {"before": {}, "cookie": "jar", "look": True, "status": 200}
    sequence = (0, [dict(step, do={"set": {"a": 1}}),
                    dict(step, do={operation: True}, status=500, insist=True)])
    theirs, mine = play_at(both, [sequence])
    (made, django), (same, module) = theirs[0], mine[0]
    assert not differences(made, same) and made["cookies"][0]["value"] == "new"
    assert not django["old_is_there"]
    assert [c["value"] for c in django["cookies"]] == (["empty"] if operation == "flush" else [])
    assert module["old_is_there"] and not module["cookies"]
    assert (module["status"], module["rows"], module["stored"]) == (500, 1, {"a": 1})
