# SPDX-License-Identifier: Apache-2.0
"""
Visits to a site, made up at random but the same each time, and how a side (Django, or the module in
front of an application) fares with them. Both sides are driven by this file, so that what they do
can be laid side by side.

A step of a sequence is one request:

    before   what happened since the last one: {"pass": seconds}, {"vanish": true}, {"expire": true}
    cookie   which cookie the browser sends: "jar" what it has, "none", "unknown", "short"
    look     the application looks into the session
    do       what it does to it: members of Django-Session-Update, in the order in which these count
    status   of its answer. With 500 the page does nothing to the session: the module takes what such
             an answer asks for out unread (interface 2.4). "insist": Django's page does it all the same
"""
import datetime
import random
import time

SEED = 3011
#: for SQLite at both sides: a crash is not what is looked at, and disks are slow
IN_A_HURRY = "PRAGMA synchronous = OFF"
ORDER = ("flush", "clear", "set", "setdefault", "delete", "increment", "append", "expiry",
         "test_cookie", "cycle_key")

#: Django's settings, and the directives that say the same
VARIANTS = [
    ({}, ""),
    ({"SESSION_SAVE_EVERY_REQUEST": True}, "DjangoSessionSaveEveryRequest On\n"),
    ({"SESSION_EXPIRE_AT_BROWSER_CLOSE": True}, "DjangoSessionExpireAtBrowserClose On\n"),
    ({"SESSION_SAVE_EVERY_REQUEST": True, "SESSION_EXPIRE_AT_BROWSER_CLOSE": True,
      "SESSION_COOKIE_NAME": "sid", "SESSION_COOKIE_AGE": 3600, "SESSION_COOKIE_PATH": "/v3/",
      "SESSION_COOKIE_DOMAIN": "www.example.org", "SESSION_COOKIE_HTTPONLY": False,
      "SESSION_COOKIE_SAMESITE": "Strict"},
     "DjangoSessionSaveEveryRequest On\nDjangoSessionExpireAtBrowserClose On\n"
     "DjangoSessionCookieName sid\nDjangoSessionCookieAge 1h\nDjangoSessionCookiePath /v3/\n"
     "DjangoSessionCookieDomain www.example.org\nDjangoSessionCookieHttpOnly Off\n"
     "DjangoSessionCookieSameSite Strict\n"),
    ({"SESSION_COOKIE_AGE": 300, "SESSION_COOKIE_SECURE": True, "SESSION_COOKIE_SAMESITE": "None"},
     "DjangoSessionCookieAge 300\nDjangoSessionCookieSecure On\nDjangoSessionCookieSameSite None\n"),
    ({"SESSION_COOKIE_SAMESITE": False, "SESSION_COOKIE_DOMAIN": ".example.org",
      "SESSION_COOKIE_NAME": "__Secure-id", "SESSION_COOKIE_SECURE": True},
     "DjangoSessionCookieSameSite Off\nDjangoSessionCookieDomain .example.org\n"
     "DjangoSessionCookieName __Secure-id\nDjangoSessionCookieSecure On\n"),
]


# ---- making them up -----------------------------------------------------------------------------

def make_operation(chance):
    key = chance.choice("abc")
    value = chance.choice([1, "text", None, [1, {"x": "y"}], "\u20ac", True, 0.5, {}])
    return chance.choice([
        ("set", {key: value}), ("set", {key: value, "d": 1}), ("set", {key: value}),
        ("delete", [key]), ("delete", [key, "d"]), ("setdefault", {key: value}),
        ("increment", {"n": 2}), ("append", {"l": value}), ("clear", True), ("flush", True),
        ("cycle_key", True), ("test_cookie", "set"), ("expiry", 0), ("expiry", None),
        ("expiry", 120), ("expiry", 40 * 86400), ("expiry", -10),
        ("expiry", "2099-01-01T00:00:00+00:00"), ("expiry", "2020-01-01T00:00:00+02:00")])


def make_step(chance, first):
    do = dict(make_operation(chance) for _ in range(chance.choice([0, 1, 1, 1, 2, 3])))
    status = chance.choice([200] * 8 + [302, 400, 404, 500])
    before = chance.choice([{}] * 8 + [{"pass": 200}, {"pass": 5000}, {"vanish": True},
                                       {"expire": True}])
    return {"before": {} if first else before, "look": chance.random() < 0.4, "do": do,
            "cookie": chance.choice(["jar"] * 9 + ["none", "unknown", "short"]), "status": status}


def make_sequences(count):
    """(variant, steps) each."""
    chance = random.Random(SEED)
    return [(i % len(VARIANTS), [make_step(chance, n == 0) for n in range(chance.randint(3, 5))])
            for i in range(count)]


# ---- going through one --------------------------------------------------------------------------

class Visitor:
    """A browser at one side, which can look behind it. Sides give request() and execute()."""

    UNKNOWN = "unknownabcdefghijklmnopqrstuvwxyz"

    def __init__(self, side, variant):
        self.side, self.variant = side, variant
        self.name = VARIANTS[variant][0].get("SESSION_COOKIE_NAME", "sessionid")
        self.key = None

    def row(self, key):
        rows = self.side.execute("SELECT session_data, expire_date FROM django_session "
                                 "WHERE session_key = %s", (key,)) if key else []
        return rows[0] if rows else (None, None)

    def end_of(self, text):
        """Unix time of a row's end: SQLite's text, or what Django makes of it."""
        if isinstance(text, datetime.datetime):
            return text.replace(tzinfo=datetime.timezone.utc).timestamp()
        return datetime.datetime.fromisoformat(text + "+00:00").timestamp()

    def happen(self, before):
        _, end = self.row(self.key)
        if "vanish" in before:
            self.side.execute("DELETE FROM django_session WHERE session_key = %s", (self.key,))
        elif before and end is not None:
            end = self.end_of(end) - before["pass"] if "pass" in before else time.time() - 1
            text = datetime.datetime.utcfromtimestamp(end).isoformat(" ", "microseconds")
            self.side.execute("UPDATE django_session SET expire_date = %s WHERE session_key = %s",
                              (text, self.key))

    def cookie(self, kind):
        value = {"jar": self.key, "none": None, "unknown": self.UNKNOWN, "short": "short"}[kind]
        return "%s=%s" % (self.name, value) if value else None

    def take(self, line, sent, began, ended):
        """A Set-Cookie line, without what differs from side to side by its nature."""
        pair, *attributes = line.split("; ")
        name, value = pair.split("=", 1)
        said = dict(a.partition("=")[::2] for a in attributes)
        age = int(said["Max-Age"]) if "Max-Age" in said else None
        value = value.strip('"')
        old, self.key = self.key, value or None
        return {"name": name, "value": "empty" if not value else "same" if value == old else "new",
                "attributes": [a if a.split("=")[0] not in ("Max-Age", "expires") or age == 0
                               else a.split("=")[0] for a in attributes],
                "age": None if age is None else [began + age - 1, ended + age + 1],
                "exact_age": age, "expires": said.get("expires") if age != 0 else None}

    def visit(self, step):
        self.happen(step["before"])
        old = self.key
        began = time.time()
        status, lines, vary, body = self.side.request(self.variant, self.cookie(step["cookie"]),
                                                      step)
        ended = time.time()
        seen = {"status": status, "vary": vary, "answered": body == b"answered", "began": began, "ended": ended,
                "cookies": [self.take(line, old, began, ended) for line in lines]}
        data, end = self.row(self.key)
        seen["stored"] = data
        seen["end"] = None if end is None else self.end_of(end)
        seen["left"] = None if end is None else seen["end"] - began
        seen["old_is_there"] = self.row(old)[0] is not None
        seen["rows"] = self.side.execute("SELECT count(*) FROM django_session", ())[0][0]
        return seen


def play(side, sequence):
    """What is seen at each step."""
    variant, steps = sequence
    side.execute("DELETE FROM django_session WHERE 1 = %s", (1,))
    visitor = Visitor(side, variant)
    return [visitor.visit(step) for step in steps]
