# SPDX-License-Identifier: Apache-2.0
"""
What a request asks of stores, by their own count: PostgreSQL's log, memcached's and Redis' statistics;
of SQLite, which is no server, its read locks, of which each statement takes one. And round trips: how
often httpd's child sends something to a store, by strace.
"""
import re
import signal
import subprocess
import time
from pathlib import Path

import client
from frame import say
from targets import WORKLOADS

REQUESTS = 20
CALLS = "sendto,sendmsg,write,writev,fcntl"


class Counters:
    """How much each store has been asked for so far."""

    def __init__(self, stores):
        self.stores = stores

    def __enter__(self):
        self.log("all")
        return self

    def __exit__(self, *_):
        self.log("none")

    def log(self, what):
        self.stores.postgres.sql("ALTER SYSTEM SET log_statement = '%s'" % what)
        self.stores.postgres.sql("SELECT pg_reload_conf()")

    def read(self):
        return {"PostgreSQL": self.in_postgres(), "memcached": self.in_memcached(),
                "Redis": self.in_redis()}

    def in_postgres(self):
        return len(re.findall(r"LOG:  (?:execute|statement)", self.stores.postgres.log.read_text()))

    def in_memcached(self):
        said = dict(re.findall(r"STAT (\w+) (\d+)", self.stores.memcached.ask(b"stats").decode()))
        return sum(int(said[name]) for name in ("cmd_get", "cmd_set", "cmd_touch", "delete_hits",
                                                "delete_misses"))

    def in_redis(self):
        said = self.stores.redis.ask(b"INFO commandstats").decode()
        return sum(int(calls) for name, calls in re.findall(r"cmdstat_([\w|]+):calls=(\d+)", said)
                   if name != "info")


class Trace:
    """System calls of a process's threads, as long as it is entered."""

    def __init__(self, pids, path):
        self.pids, self.path = pids, path

    def __enter__(self):
        command = ["strace", "-f", "-yy", "-q", "-e", "trace=" + CALLS, "-o", str(self.path)]
        self.process = subprocess.Popen(command + [word for pid in self.pids for word in ("-p", str(pid))],
                                        stderr=subprocess.DEVNULL)
        while not all(map(self.is_traced, self.pids)):
            if self.process.poll() is not None:
                raise SystemExit("strace cannot trace")
            time.sleep(0.02)
        return self

    @staticmethod
    def is_traced(pid):
        return all("TracerPid:\t0\n" not in (task / "status").read_text()
                   for task in Path("/proc/%d/task" % pid).iterdir())

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()

    def count(self, pattern):
        return len(re.findall(pattern, self.path.read_text(errors="replace"), re.M))


def count_requests(bench, counters, name, workload):
    """{store: statements, "round trips": …}, of one request"""
    server, target = bench.servers[name], bench.plan[name]
    path = WORKLOADS[workload].path
    cookie = target.cookie(WORKLOADS[workload], bench.cookies[bench.cookie(name)])
    cookie = client.browse(server.port, path, cookie, REQUESTS)  # connections are made
    before = counters.read()
    with Trace(server.processes(), server.dir / "strace") as trace:
        cookie = client.browse(server.port, path, cookie, REQUESTS)
    found = {"SQLite": trace.count(r"fcntl\(.*sqlite3-shm>, F_SETLK.*F_RDLCK")}
    found.update((store, count - before[store]) for store, count in counters.read().items())
    if WORKLOADS[workload].follows:
        bench.cookies[bench.cookie(name)] = cookie
    servers = "|".join([r"UNIX-STREAM"] + [r"TCP:\[[\d.:]*->127.0.0.1:%d\]" % store.port for store in
                                    (bench.stores.memcached, bench.stores.redis)])
    found["round trips"] = trace.count(r"(?:sendto|sendmsg|write|writev)\(\d+<(?:%s)" % servers)
    return {what: count / REQUESTS for what, count in found.items()}


def measure_statements(bench, workloads):
    """{(target, workload): what count_requests() says}, of ours and of Django"""
    found = {}
    with Counters(bench.stores) as counters:
        for name, workload in bench.pairs(workloads):
            if bench.plan[name].cookie_name == "sessionid":
                with bench.noted(name, workload, "statements"):
                    found[name, workload] = count_requests(bench, counters, name, workload)
                    say("statements: %s, %s: %s" % (name, workload, found[name, workload]))
    return found
