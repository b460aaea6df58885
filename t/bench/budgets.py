# SPDX-License-Identifier: Apache-2.0
"""
What was to be reached, and whether it was: one line for each budget, from the figures of a run.

figures: {measure: what it found}. A line whose figure was not measured says so.
"""
import re

from targets import ALONE

ENGINES = ["signed_cookies", "encrypted_cookies", "shm", "file", "db on SQLite", "db on PostgreSQL", "memcached",
           "Redis", "cached_db, memcached"]

#: thousand instructions that may be added
READ = {"signed_cookies": 50, "encrypted_cookies": 60, "shm": 40, "file": 60, "db on SQLite": 75,
        "db on PostgreSQL": 70, "memcached": 80, "Redis": 80}
WRITE = {"db on SQLite": 150, "db on PostgreSQL": 130}
ANONYMOUS, MALFORMED = 1.5, 5
PROTECT, REMEMBERED = 40, 10       # beside a read; with DjangoUserCache
DJANGO = 0.1                       # of the CPU that it adds
RATE = 0.9                         # of httpd alone, at 32 connections
BYTES = 1.2                        # of the bytes' own cost, for each byte more
GROWTH = 16                        # bytes per request that are still none: a page in 256 requests
CACHED = 1.05                      # cached_db, of its cache's

#: statements and commands of a request
STATEMENTS = {"read": 1, "write": 2, "protect": 2}
DATABASES = {"db on SQLite": "SQLite", "db on PostgreSQL": "PostgreSQL"}
CACHES = {"memcached": "memcached", "Redis": "Redis"}


class Budgets:
    def __init__(self, figures, plan):
        self.figures, self.plan, self.lines = figures, plan, []

    def line(self, what, figure, most, unit="", least=False):
        """@figure: None where it was not measured."""
        if figure is None:
            self.lines.append([what, "", "%s%g%s" % (">= " if least else "", most, unit), "not measured"])
            return
        reached = figure >= most if least else figure <= most
        self.lines.append([what, "%.2f%s" % (figure, unit),
                           "%s%.4g%s" % (">= " if least else "", most, unit),
                           "reached" if reached else "**not reached**"])

    def added(self, name, workload):
        """Thousand instructions"""
        found = self.figures.get("instructions", {})
        base = found.get((ALONE, workload), found.get((ALONE, "read")))
        figure = found.get(("ours, " + name, workload))
        return None if figure is None or base is None else (figure - base) / 1000

    def microseconds(self, name, workload):
        return self.figures.get("cpu", {}).get((name, workload), (None,))[0]

    def more_microseconds(self, name, workload):
        """Than httpd alone, which serves the same page in both."""
        figure, base = self.microseconds(name, workload), self.microseconds(ALONE, workload)
        return None if figure is None or base is None else figure - base

    # ---- the lines -----------------------------------------------------------------------------

    def instructions(self):
        for name, most in READ.items():
            self.line(name + ", read: instructions added", self.added(name, "read"), most, " k")
        cache = self.added("memcached", "read")
        if cache is not None:
            self.line("cached_db, read (hit): instructions, to its cache's",
                      self.ratio(self.added("cached_db, memcached", "read"), cache), CACHED)
        for name, most in WRITE.items():
            self.line(name + ", write: instructions added", self.added(name, "write"), most, " k")
        self.all_engines("anonymous", ANONYMOUS)
        self.all_engines("malformed", MALFORMED)
        for name in ENGINES:
            self.more_than_read(name, name, "protect", PROTECT)
        for name in [name for name in ENGINES if "ours, %s, DjangoUserCache" % name in self.plan]:
            self.more_than_read(name, name + ", DjangoUserCache", "protect with DjangoUserCache", REMEMBERED)

    @staticmethod
    def ratio(figure, to):
        return None if figure is None or not to else figure / to

    def all_engines(self, workload, most):
        for name in ENGINES:
            self.line("%s, %s: instructions added" % (name, workload), self.added(name, workload), most, " k")

    def more_than_read(self, name, target, what, most):
        read, protect = self.added(name, "read"), self.added(target, "protect")
        self.line("%s, %s: instructions more than a read" % (name, what),
                  None if read is None or protect is None else protect - read, most, " k")

    def peers(self):
        cookie = self.figures.get("instructions", {}).get(("mod_session_cookie", "read"))
        ours = self.figures.get("instructions", {}).get(("ours, signed_cookies", "read"))
        self.line("signed_cookies, read: instructions, to mod_session_cookie", self.ratio(ours, cookie), 1)
        for name, store in DATABASES.items():
            for workload in ("read", "write"):
                self.line("%s, %s: CPU, to mod_session_dbd" % (name, workload),
                          self.ratio(self.microseconds("ours, " + name, workload),
                                     self.microseconds("mod_session_dbd, " + store, workload)), 1)
        for name in ENGINES:
            django = "Django in mod_wsgi, " + name
            for workload in [w for w in ("read", "write", "protect") if django in self.plan]:
                self.line("%s, %s: CPU added, to Django in mod_wsgi" % (name, workload),
                          self.ratio(self.more_microseconds("ours, " + name, workload),
                                     self.more_microseconds(django, workload)), DJANGO)

    def statements(self):
        found = self.figures.get("statements", {})

        def count(name, workload, *what):
            figures = found.get(("ours, " + name, workload))
            return None if figures is None else sum(figures[one] for one in what)

        for name, store in DATABASES.items():
            for workload, most in STATEMENTS.items():
                self.line("%s, %s: statements" % (name, workload), count(name, workload, store), most)
        for workload, most in STATEMENTS.items():
            self.line("db on PostgreSQL, %s: round trips" % workload,
                      count("db on PostgreSQL", workload, "round trips"), most)
        for name, store in CACHES.items():
            for workload in ("read", "write"):
                self.line("%s, %s: round trips" % (name, workload), count(name, workload, "round trips"),
                          STATEMENTS[workload])
        self.line("cached_db, read (hit): database statements",
                  count("cached_db, memcached", "read", "PostgreSQL", "SQLite"), 0)
        for name in ENGINES:
            for workload in ("anonymous", "malformed"):
                self.line("%s, %s: anything asked of a store" % (name, workload),
                          count(name, workload, "SQLite", "PostgreSQL", "memcached", "Redis"), 0)
        for name in DATABASES:
            self.line(name + ", protect with DjangoUserCache: statements",
                      count(name + ", DjangoUserCache", "protect", DATABASES[name]), STATEMENTS["read"])

    def throughput(self):
        found = self.figures.get("throughput", {})
        alone = found.get((ALONE, "read", 32), (None,))[0]
        for name in ("signed_cookies", "shm"):
            self.line(name + ", read, 32 connections: requests a second, to httpd alone",
                      self.ratio(found.get(("ours, " + name, "read", 32), (None,))[0], alone), RATE,
                      least=True)

    def memory(self):
        for (name, workload), (_, each) in self.figures.get("memory", {}).items():
            if name != ALONE:
                self.line("%s, %s: memory, bytes per request" % (re.sub("^ours, ", "", name), workload), each, GROWTH)

    def sizes(self):
        found = self.figures.get("sizes", {})
        for (name, size), ratio in growth_of_instructions(found).items():
            self.line("%s, %s bytes: instructions for each byte more, to the bytes' own"
                      % (name, "{:,}".format(size)), ratio, BYTES)
        for (name, size), (ratio, _) in growth(found).items():
            self.line("%s, %s bytes: CPU for each byte more, to the bytes' own"
                      % (name, "{:,}".format(size)), ratio, BYTES)
        for (name, what, size), (_, _, writes) in found.get("calls", {}).items():
            if what == "read":
                self.line("%s, %s bytes, unchanged: calls that serialise" % (name, "{:,}".format(size)),
                          writes, 0)
        calls = found.get("calls", {})
        for (name, what, size), (_, nodes, _) in calls.items():
            if what == "read" and (name, what, size // 10) in calls:
                self.line("%s, %s bytes: nodes of trees for each of a tenth of the size" % (name, "{:,}".format(size)),
                          nodes / calls[name, what, size // 10][1], 1)

    def all(self):
        for part in (self.instructions, self.peers, self.statements, self.throughput, self.memory,
                     self.sizes):
            part()
        return self.lines


def own_cost(floors, form, size):
    return sum(floors[form, size][1:])


def growth(sizes):
    """{(engine, size): (µs for each byte more than the next smaller one, to the bytes' own; the same of
    httpd and the store)}"""
    found, ratios = sizes.get("cpu", {}), {}
    for (name, size), (own, store) in found.items():
        form, less = sizes["forms"].get(name), size // 10
        if form and (name, less) in found:
            floor = own_cost(sizes["floors"], form, size) - own_cost(sizes["floors"], form, less)
            before = found[name, less]
            ratios[name, size] = ((own - before[0]) / floor, (own + store - sum(before)) / floor)
    return ratios


def growth_of_instructions(sizes):
    """{(engine, size): instructions of a read for each byte more than the next smaller one, to the
    bytes' own}"""
    calls, floors, ratios = sizes.get("calls", {}), sizes.get("floor instructions", {}), {}
    for name, what, size in calls:
        form, less = sizes["forms"][name], size // 10
        if what == "read" and (name, what, less) in calls and (form, less) in floors:
            ratios[name, size] = ((calls[name, what, size][0] - calls[name, what, less][0])
                                  / (floors[form, size] - floors[form, less]))
    return ratios
