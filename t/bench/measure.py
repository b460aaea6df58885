# SPDX-License-Identifier: Apache-2.0
"""
What is measured, of each target and workload:

    cpu           µs per request of httpd's processes and of the store's, as the scheduler counted
    instructions  per request of httpd, by callgrind: the difference of two numbers of requests, so
                  that start and end cancel out; the same from run to run
    throughput    requests a second, p50 and p99, with 1 and with 32 connections
    memory        bytes that httpd's processes have grown over many requests

CPU and throughput are taken in turns over all targets and workloads, in an order that is drawn anew
for each turn, so that a machine that slows down slows all of them. What fails is noted in `failed`
and left out from then on; the rest goes on.
"""
import random
import re
import statistics
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import client
from frame import say
from httpd import Httpd, cpu
from targets import ALONE, WORKLOADS, check, make_session

# No debugger is awaited: what one that was killed has left in /tmp ends whoever gets its number.
CALLGRIND = ["valgrind", "-q", "--vgdb=no", "--tool=callgrind", "--callgrind-out-file=@OUT@",
             "--dump-before=exit"]
SAMPLES = 10  # of memory
EXPENSIVE = ("read", "write")  # workloads whose instructions are counted of targets that take very many


def ask(server, workload, own, requests, connections=4, fresh=False):
    """The workload's requests; the cookie that the target's session is in afterwards."""
    cookie = server.target.cookie(workload, own)
    if workload.follows:
        return client.browse(server.port, workload.path, cookie, requests)
    client.ab(server.port, workload.path, cookie, requests, connections, fresh)
    return own


def slope(samples):
    """By how much a sample is more than the one before it, by the line that fits best."""
    middle, mean = (len(samples) - 1) / 2, statistics.mean(samples)
    return (sum((i - middle) * (y - mean) for i, y in enumerate(samples))
            / sum((i - middle) ** 2 for i in range(len(samples))))


def before_exit(path):
    """The profile without what came after exit(): how much of libcrypto's clean-up threads that end the
    process leave undone is chance, and was up to a thousand instructions of each request."""
    part = Path("%s.1" % path)
    if part.exists():
        part.replace(path)
    return path


def instructions_in(path):
    return int(re.search(r"^(?:totals|summary): (\d+)", path.read_text(), re.M).group(1))


class Bench:
    """The targets as they run; the cookie of each one's session."""

    def __init__(self, top, stores, plan, wanted):
        self.top, self.stores, self.plan = top, stores, plan
        self.servers, self.cookies, self.failed = {}, {}, {}
        self.wanted = wanted

    @contextmanager
    def noted(self, *what):
        """A part that may fail: it is noted, and others go on."""
        try:
            yield
        except (Exception, SystemExit) as problem:
            self.failed[what] = " ".join(str(problem).split())[:300] or type(problem).__name__
            say("%s: %s" % (", ".join(map(str, what)), problem))

    def start(self):
        """Those that do not start, or do not do what is to be measured, are left out."""
        for name, target in self.plan.items():
            with self.noted(name):
                self.servers[name] = Httpd(self.top, name, target)
                self.cookies[name] = self.first_cookie(name)
                if target.cookie_name:
                    check(self.servers[name], self.cookies[name])
        if (ALONE,) in self.failed:
            raise SystemExit("%s does not run: %s" % (ALONE, self.failed[(ALONE,)]))

    def first_cookie(self, name):
        target = self.plan[name]
        if not target.cookie_name:
            return ""
        return self.cookies[target.cookie_of] if target.cookie_of else make_session(self.servers[name])

    def pairs(self, workloads=None):
        """(target, workload) that are measured: of those that run."""
        return [(name, workload) for name, target in self.plan.items() if (name,) not in self.failed
                for workload in target.workloads if workload in (workloads or self.wanted)]

    def cookie(self, name):
        """Whose session it reads: Django's targets share that of ours."""
        return self.plan[name].cookie_of or name

    def run(self, name, workload, requests, **options):
        holder = self.cookie(name)
        self.cookies[holder] = ask(self.servers[name], WORKLOADS[workload], self.cookies[holder],
                                   requests, **options)

    # ---- CPU -----------------------------------------------------------------------------------

    def one_turn(self, name, workload, requests, fresh):
        server, target = self.servers[name], self.plan[name]
        requests = max(requests // 10, 50) if target.expensive else requests
        own, store = server.processes(), self.stores.processes(target.store)
        before = cpu(own), cpu(store)
        self.run(name, workload, requests, fresh=fresh)
        after = cpu(own), cpu(store)
        return [(b - a) / 1000 / requests for a, b in zip(before, after)]

    def measure_cpu(self, turns, requests, workloads=None, fresh=False):
        """(target, workload) → (µs of httpd, µs of the store): what else runs on the machine only
        ever adds, so the first decile of the turns."""
        what = "fresh" if fresh else "cpu"
        samples = {pair: [] for pair in self.pairs(workloads)}
        for turn in range(turns + 1):
            for pair in random.sample(list(samples), len(samples)):
                if (*pair, what) in self.failed:
                    continue
                with self.noted(*pair, what):
                    sample = self.one_turn(*pair, requests, fresh)
                    if turn > 0:  # the first only warms up
                        samples[pair].append(sample)
            say("%s: turn %d of %d" % (what, turn, turns))
        return {pair: tuple(statistics.quantiles(column, n=10)[0] for column in zip(*found))
                for pair, found in samples.items() if len(found) > 1}

    # ---- instructions ----------------------------------------------------------------------------

    def under_callgrind(self, name, workload, count):
        """Its profile of so many requests, in the order that they came."""
        server = Httpd(self.top, name, self.plan[name], wrap=CALLGRIND,
                       variant="-%s-%d" % (workload, count))
        try:
            own = (make_session(server) if self.plan[name].private
                   else self.cookies[self.cookie(name)])
            ask(server, WORKLOADS[workload], own, count, connections=1)
        finally:
            server.stop()
        return before_exit(server.callgrind)

    def instructions_of(self, name, workload, counts):
        few = max(counts[0] // self.plan[name].fewer, 2)
        many = max(counts[1] // self.plan[name].fewer, few * 2)
        totals = [instructions_in(self.under_callgrind(name, workload, count)) for count in (few, many)]
        return (totals[1] - totals[0]) / (many - few)

    def measure_instructions(self, counts):
        """Two at a time, which changes nothing; but what writes into SQLite, which all others read
        their users from, comes alone, at the end."""
        found = {}

        def measure(pair):
            with self.noted(*pair, "instructions"):
                found[pair] = self.instructions_of(*pair, counts)
                say("instructions: %s, %s: %.1f k" % (*pair, found[pair] / 1000))

        pairs = [(name, workload) for name, workload in self.pairs()
                 if workload in EXPENSIVE or not self.plan[name].expensive]
        alone = [pair for pair in pairs if "SQLite" in pair[0] and pair[1] == "write"]
        groups = {}  # whose session it is: nobody else changes it meanwhile
        for pair in pairs:
            if pair not in alone:
                groups.setdefault(self.cookie(pair[0]), []).append(pair)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda group: [measure(pair) for pair in group], groups.values()))
        for pair in alone:
            measure(pair)
        return {pair: found[pair] for pair in pairs if pair in found}

    # ---- throughput ------------------------------------------------------------------------------

    def measure_throughput(self, turns, seconds, workloads, connections=(1, 32)):
        """(target, workload, connections) → (requests a second, p50, p99), medians of the turns"""
        todo = [(name, workload, n) for name, workload in self.pairs(workloads) for n in connections
                if not WORKLOADS[workload].follows]
        samples = {key: [] for key in todo}
        for turn in range(turns):
            for name, workload, n in random.sample(todo, len(todo)):
                with self.noted(name, workload, "throughput, turn %d, %d connections" % (turn + 1, n)):
                    cookie = self.plan[name].cookie(WORKLOADS[workload],
                                                    self.cookies[self.cookie(name)])
                    samples[name, workload, n].append(client.wrk(
                        self.servers[name].port, WORKLOADS[workload].path, cookie, n, seconds)[:3])
            say("throughput: turn %d of %d" % (turn + 1, turns))
        return {key: tuple(statistics.median(column) for column in zip(*found))
                for key, found in samples.items() if found}

    # ---- memory ----------------------------------------------------------------------------------

    def grow(self, name, workload, requests):
        """(bytes more at the end, bytes per request by the line through all samples)"""
        server = self.servers[name]
        block = requests // SAMPLES // (4 if workload.follows else 1)
        cookie = server.target.cookie(workload, self.cookies[self.cookie(name)])
        samples = []
        for _ in range(SAMPLES + 1):  # the first only warms up
            client.ab(server.port, workload.path, cookie, block, 1 if workload.follows else 4)
            samples.append(server.memory())
        return samples[-1] - samples[0], slope(samples) / block

    def measure_memory(self, requests, workloads):
        """(target, workload) → what grow() says. Of ours: what peers leak is theirs to find."""
        found = {}
        pairs = [pair for pair in self.pairs(workloads) if self.plan[pair[0]].ours or pair[0] == ALONE]
        for name, workload in pairs:
            with self.noted(name, workload, "memory"):
                found[name, workload] = self.grow(name, WORKLOADS[workload], requests)
                say("memory: %s, %s: %d KiB, %.2f bytes per request"
                    % (name, workload, found[name, workload][0] // 1024, found[name, workload][1]))
        return found

    def stop(self):
        for server in self.servers.values():
            server.stop()
