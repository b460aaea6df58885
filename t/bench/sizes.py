# SPDX-License-Identifier: Apache-2.0
"""
Sessions of 1 KB to 1 MB: what a read costs, beside what their bytes cost by themselves (floor.c), and
how often anything was serialised, or made into a tree, for it.

The application asks for one short value of the session (DjangoSessionEnv language): the rest is what it
is read along with. Each request has a connection of its own, on which nothing is remembered. httpd keeps
the memory of a request for the next (MaxMemFree): see the operations guide.
"""
import json
import pickle
import random
import re
import shutil
import statistics
import subprocess
from concurrent.futures import ThreadPoolExecutor

import client
from frame import say
from httpd import ANSWER, Httpd, cpu
from measure import CALLGRIND, before_exit, instructions_in
from targets import ALONE, ours

SIZES = (1000, 10000, 100000, 1000000)
REQUESTS = {1000: 400, 10000: 300, 100000: 100, 1000000: 15}
#: under callgrind: two numbers of requests, whose difference counts
COUNTS = {1000: (40, 240), 10000: (20, 120), 100000: (5, 25), 1000000: (3, 9)}
BLOCK = 4000  # of JSON, in one header

CONFIG = """
DjangoSessionEnv language
MaxMemFree 16384
<Location "/grow">
    DjangoSessionUpdate On
</Location>
"""

PATHS = {"read": "/index.txt", "write": "/write.asis"}

#: which functions make trees of values, and which make bytes of them
TREES = r"djs_value_make_\w+"
WRITERS = r"djs_json_dumps\w*|djs_pickle_dumps|djs_signing_dumps|djs_deflate\w*|djs_wire_write"


def item(number):
    chance = random.Random(number)
    return {"sku": "%05d-%s" % (chance.randrange(100000), "".join(chance.choices("ABCDEFGH", k=3))),
            "n": chance.randrange(1, 9), "price": chance.randrange(100, 99999) / 100,
            "title": " ".join(chance.choices(["green", "large", "old", "chair", "of", "wood", "lamp",
                                             "small", "for", "garden", "with", "steel", "paper"], k=5)),
            "seen": "2025-01-%02dT%02d:00:00Z" % (chance.randrange(1, 29), chance.randrange(24))}


def text_of(value):
    return json.dumps(value, separators=(",", ":"))


def session_of(size):
    """About @size bytes of JSON: a list of lists of items."""
    session, number = {"language": "en-gb", "archive": []}, 0
    left = size - len(text_of(session))
    while left > 0:
        block = []
        while left > 0 and len(text_of(block)) < BLOCK:
            block.append(item(number))
            number += 1
            left -= len(text_of(block[-1])) + 1
        session["archive"].append(block)
    return session


def updates_of(session):
    """The headers that make this session of an empty one."""
    lines = [{"set": {"language": session["language"]}}]
    lines += [{"append": {"archive": block}} for block in session["archive"]]
    return "\n".join("Django-Session-Update: " + text_of(line) for line in lines)


SESSIONS = {size: session_of(size) for size in SIZES}


def engines(stores):
    """(engine, what of its bytes costs, its configuration, largest)"""
    def cache(url, client_format, engine="cache"):
        return ('DjangoSessionEngine %s\nDjangoSessionCache "%s" format=%s\n' % (engine, url, client_format))

    memcached = "memcached://127.0.0.1:%d" % stores.memcached.port
    sqlite, postgres = stores.sqlite_dbd, stores.postgres_dbd
    return [
        ("signed_cookies", "signed", "DjangoSessionEngine signed_cookies\n" + sqlite, 1000),
        ("encrypted_cookies", "", "DjangoSessionEngine encrypted_cookies\n" + sqlite, 1000),
        ("shm", "json", 'DjangoSessionEngine cache\nDjangoSessionCache "shm://sizes?size=64m"\n' + sqlite,
         1000000),
        ("file", "signed", "DjangoSessionEngine file\nDjangoSessionFilePath %s\n" % stores.files + sqlite,
         1000000),
        ("db on SQLite", "signed", sqlite, 1000000),
        ("db on PostgreSQL", "signed", postgres, 1000000),
        ("memcached", "pickle", cache(memcached, "pymemcache") + sqlite, 1000000),
        ("Redis", "pickle", cache("redis://127.0.0.1:%d/0" % stores.redis.port, "django-redis") + sqlite,
         1000000),
        ("cached_db, memcached", "pickle", cache(memcached, "pymemcache", "cached_db") + postgres, 1000000),
    ]


def target_of(name, module, config):
    target = ours(name, module, config + CONFIG)
    for size, session in SESSIONS.items():
        target.headers["grow/%d.asis" % size] = updates_of(session)
    return target


class Sizes:
    def __init__(self, bench, module, floor):
        self.bench, self.module, self.floor = bench, module, floor
        self.top = bench.top / "sizes"
        self.top.mkdir()
        self.top.chmod(0o755)
        shutil.copy(bench.top / ANSWER, self.top)
        self.servers, self.cookies, self.forms, self.targets, self.refused = {}, {}, {}, {}, {}
        self.files = self.write_files()

    def write_files(self):
        """For the floor: {(form, size): path}"""
        files = {}
        for size, session in SESSIONS.items():
            for form in ("json", "signed"):
                files[form, size] = self.top / ("%d.json" % size)
                files[form, size].write_text(text_of(session))
            files["pickle", size] = self.top / ("%d.pickle" % size)
            files["pickle", size].write_bytes(pickle.dumps(session, 4))
        return files

    def start(self):
        self.servers[ALONE] = self.bench.servers[ALONE]
        for name, form, config, largest in engines(self.bench.stores):
            with self.bench.noted("ours, " + name, "sizes"):
                self.targets[name] = target_of(name, self.module, config)
                server = self.servers[name] = Httpd(self.top, name, self.targets[name])
                self.forms[name] = form
                for size in SIZES:
                    if size > largest:
                        continue
                    cookie = self.make(server, size)
                    if cookie:
                        self.cookies[name, size] = cookie

    def make(self, server, size):
        """The cookie of a session of that size; none where there cannot be one."""
        answer = server.ask("/grow/%d.asis" % size)
        found = re.search("^Set-Cookie: (sessionid=[^;\r]+)", answer, re.M)
        if not found:
            self.refused[server.name, size] = answer.split("\r\n")[0].partition(" ")[2]
            return None
        if "active" not in server.seen("/seen/index.txt", found.group(1)):
            raise SystemExit("a session of %d bytes is not seen" % size)
        return found.group(1)

    # ---- CPU -----------------------------------------------------------------------------------

    def one_turn(self, name, size):
        """(µs of httpd, of the store) for a request"""
        server, cookie = self.servers[name], self.cookies.get((name, size), "")
        store = self.bench.stores.processes(self.store_of(name))
        own = server.processes()
        before = cpu(own), cpu(store)
        client.ab(server.port, "/index.txt", cookie, REQUESTS[size], 1, fresh=True)
        return [(b - a) / 1000 / REQUESTS[size] for a, b in zip(before, (cpu(own), cpu(store)))]

    @staticmethod
    def store_of(name):
        return {"db on PostgreSQL": "postgres", "memcached": "memcached", "Redis": "redis",
                "cached_db, memcached": "memcached postgres"}.get(name, "")

    def run_floor(self, form, size):
        """[stored bytes, µs of hashing, base64, inflating, parsing]"""
        out = subprocess.run([str(self.floor), form, str(self.files[form, size]),
                              str(max(100000 // size, 1))], check=True, stdout=subprocess.PIPE,
                             universal_newlines=True).stdout
        return [float(word) for word in out.split()]

    def measure_cpu(self, turns):
        """({(engine, size): (µs added of httpd, µs of the store)}, {(form, size): what run_floor says})"""
        samples, floors = {(ALONE, 1000): []}, {}
        samples.update({key: [] for key in self.cookies})
        for turn in range(turns):
            for name, size in random.sample(list(samples), len(samples)):
                with self.bench.noted(name, size, "sizes, turn %d" % (turn + 1)):
                    samples[name, size].append(self.one_turn(name, size))
            for key in self.files:
                floors.setdefault(key, []).append(self.run_floor(*key))
            say("sizes: turn %d of %d" % (turn + 1, turns))
        found = {key: low(sample) for key, sample in samples.items() if len(sample) > 1}
        alone = found.pop((ALONE, 1000))
        return ({key: (own - alone[0], store) for key, (own, store) in found.items()},
                {key: low(sample) for key, sample in floors.items()})

    # ---- calls ---------------------------------------------------------------------------------

    def profile(self, name, size, path, count):
        """(instructions, {function: calls}) of so many requests"""
        server = Httpd(self.top, name, self.targets[name], wrap=CALLGRIND,
                       variant="-%d-%d-%s" % (size, count, path.strip("/").replace("/", "-")))
        try:
            cookie = self.make(server, size) if self.forms[name] == "json" else self.cookies[name, size]
            client.ab(server.port, path, cookie, count, 1, fresh=True)
        finally:
            server.stop()
        profile = before_exit(server.callgrind)
        return instructions_in(profile), calls_in(profile)

    def calls_of(self, name, what, size):
        """(instructions, nodes of trees, serialisations) of a request"""
        counts = COUNTS[size]
        few, many = (self.profile(name, size, PATHS[what], count) for count in counts)
        span = counts[1] - counts[0]
        return ((many[0] - few[0]) / span,) + tuple(
            (total(many[1], which) - total(few[1], which)) / span for which in (TREES, WRITERS))

    def measure_calls(self, written, sizes):
        """{(engine, what, size): what calls_of() says}: reads of each, writes of the engine @written"""
        todo = [(name, "read", size) for name, size in self.cookies if size in sizes]
        todo += [(written, "write", size) for size in sizes if (written, size) in self.cookies]
        found = {}

        def measure(key):
            with self.bench.noted(*key, "calls of functions"):
                found[key] = self.calls_of(*key)
                say("sizes: %s, %s, %d: %.0f k" % (*key, found[key][0] / 1000))

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(measure, todo))
        return {key: found[key] for key in todo if key in found}

    def measure_floor_instructions(self, sizes):
        """{(form, size): instructions}: the program runs each step three times as often as it is told"""
        def once(key, count):
            out = self.top / ("floor-%s-%d-%d" % (*key, count))
            subprocess.run([word.replace("@OUT@", str(out)) for word in CALLGRIND]
                           + [str(self.floor), key[0], str(self.files[key]), str(count)], check=True,
                           stdout=subprocess.DEVNULL)
            return instructions_in(before_exit(out))

        return {key: (once(key, 2) - once(key, 1)) / 3 for key in self.files if key[1] in sizes}

    def stop(self):
        for name, server in self.servers.items():
            if name != ALONE:
                server.stop()


def low(samples):
    return tuple(statistics.quantiles(column, n=10)[0] for column in zip(*samples))


def total(calls, pattern):
    return sum(count for name, count in calls.items() if re.fullmatch(pattern, name))


def calls_in(path):
    """{function: how often it was called} of a profile: a name is written out where it first comes."""
    names, calls, called = {}, {}, None
    with open(path) as file:
        for line in file:
            if line.startswith(("fn=", "cfn=")):
                number, _, name = line.partition("=")[2].strip().partition(" ")
                names[number] = name or names[number]
                called = names[number]
            elif line.startswith("calls="):
                base = called.split("'")[0]
                calls[base] = calls.get(base, 0) + int(line[6:].split()[0])
    return calls


def make_floor(build):
    subprocess.run(["make", "-s", "-C", str(build), "t/bench/floor"], check=True,
                   stdout=subprocess.DEVNULL)
    return build / "t" / "bench" / "floor"
