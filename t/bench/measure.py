# SPDX-License-Identifier: Apache-2.0
"""
What is measured, of each target and workload:

    cpu           µs per request of httpd's processes and of the store's, as the scheduler counted
    instructions  per request of httpd, by callgrind: the difference of two numbers of requests, so
                  that start and end cancel out; the same from run to run
    throughput    requests a second, p50 and p99, with 1 and with 32 connections
    memory        bytes that httpd's processes have grown over many requests

CPU and throughput are taken in turns over all targets and workloads, in an order that is drawn anew
for each turn, so that a machine that slows down slows all of them.
"""
import random
import re
import statistics
import sys

import client
from httpd import Httpd, cpu
from targets import WORKLOADS, check, make_session

CALLGRIND = ["valgrind", "-q", "--tool=callgrind", "--callgrind-out-file=@OUT@"]


def say(text):
    print(text, file=sys.stderr, flush=True)


def ask(server, workload, own, requests, connections=4, fresh=False):
    """The workload's requests; the cookie that the target's session is in afterwards."""
    cookie = server.target.cookie(workload, own)
    if workload.follows:
        return client.browse(server.port, workload.path, cookie, requests)
    client.ab(server.port, workload.path, cookie, requests, connections, fresh)
    return own


class Bench:
    """The targets as they run; the cookie of each one's session."""

    def __init__(self, top, stores, plan, wanted):
        self.top, self.stores, self.plan = top, stores, plan
        self.servers, self.cookies = {}, {}
        self.pairs = [(name, workload) for name, target in plan.items()
                      for workload in target.workloads if workload in wanted]

    def start(self):
        for name, target in self.plan.items():
            server = self.servers[name] = Httpd(self.top, name, target)
            if not target.cookie_name:
                self.cookies[name] = ""
                continue
            self.cookies[name] = (self.cookies[target.cookie_of] if target.cookie_of
                                  else make_session(server))
            check(server, self.cookies[name])

    def cookie(self, name):
        """Django's targets share the session of ours."""
        return self.plan[name].cookie_of or name

    def run(self, name, workload, requests, server=None, **options):
        holder = self.cookie(name)
        self.cookies[holder] = ask(server or self.servers[name], WORKLOADS[workload],
                                   self.cookies[holder], requests, **options)

    # ---- CPU -----------------------------------------------------------------------------------

    def one_turn(self, name, workload, requests, fresh):
        server, target = self.servers[name], self.plan[name]
        requests = max(requests // 10, 50) if target.expensive else requests
        own, store = server.processes(), self.stores.processes(target.store)
        before = cpu(own), cpu(store)
        self.run(name, workload, requests, fresh=fresh)
        after = cpu(own), cpu(store)
        return [(b - a) / 1000 / requests for a, b in zip(before, after)]

    def measure_cpu(self, turns, requests, fresh=False):
        """(target, workload) → (µs of httpd, µs of the store): what else runs on the machine only
        ever adds, so the first decile of the turns."""
        samples = {pair: [] for pair in self.pairs}
        for turn in range(turns + 1):
            for pair in random.sample(self.pairs, len(self.pairs)):
                sample = self.one_turn(*pair, requests, fresh)
                if turn > 0:  # the first only warms up
                    samples[pair].append(sample)
            say("cpu: turn %d of %d" % (turn, turns))
        return {pair: tuple(statistics.quantiles(column, n=10)[0] for column in zip(*found))
                for pair, found in samples.items()}

    # ---- instructions ----------------------------------------------------------------------------

    def instructions_of(self, name, workload, counts):
        totals = []
        for count in counts:
            server = Httpd(self.top, name, self.plan[name], wrap=CALLGRIND,
                           variant="-%s-%d" % (workload, count))
            kept = dict(self.cookies)
            try:
                if self.plan[name].private:
                    self.cookies[name] = make_session(server)
                self.run(name, workload, count, server=server, connections=1)
            finally:
                server.stop()
            if self.plan[name].private:
                self.cookies = kept
            totals.append(int(re.search(r"^(?:totals|summary): (\d+)",
                                        server.callgrind.read_text(), re.M).group(1)))
        return (totals[1] - totals[0]) / (counts[1] - counts[0])

    def measure_instructions(self, counts):
        found = {}
        for i, pair in enumerate(self.pairs):
            few = [count // 5 for count in counts] if self.plan[pair[0]].expensive else counts
            found[pair] = self.instructions_of(*pair, few)
            say("instructions: %d of %d: %s, %s: %.1f k"
                % (i + 1, len(self.pairs), *pair, found[pair] / 1000))
        return found

    # ---- throughput ------------------------------------------------------------------------------

    def measure_throughput(self, turns, seconds, connections=(1, 32)):
        """(target, workload, connections) → (requests a second, p50, p99), medians of the turns"""
        todo = [(name, workload, n) for name, workload in self.pairs for n in connections
                if not WORKLOADS[workload].follows]
        samples = {key: [] for key in todo}
        for turn in range(turns):
            for name, workload, n in random.sample(todo, len(todo)):
                cookie = self.plan[name].cookie(WORKLOADS[workload],
                                                self.cookies[self.cookie(name)])
                samples[name, workload, n].append(client.wrk(
                    self.servers[name].port, WORKLOADS[workload].path, cookie, n, seconds)[:3])
            say("throughput: turn %d of %d" % (turn + 1, turns))
        return {key: tuple(statistics.median(column) for column in zip(*found))
                for key, found in samples.items()}

    # ---- memory ----------------------------------------------------------------------------------

    def measure_memory(self, requests):
        """(target, workload) → bytes grown; measured after a tenth of the requests and at the end."""
        found = {}
        for i, (name, workload) in enumerate(self.pairs):
            count = requests // 50 if self.plan[name].expensive else requests
            if WORKLOADS[workload].follows:
                count //= 10
            self.run(name, workload, max(count // 10, 100))
            before = self.servers[name].memory()
            self.run(name, workload, count)
            found[name, workload] = self.servers[name].memory() - before
            say("memory: %d of %d: %s, %s: %d KiB" % (i + 1, len(self.pairs), name, workload,
                                                     found[name, workload] // 1024))
        return found

    def stop(self):
        for server in self.servers.values():
            server.stop()
