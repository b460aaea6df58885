#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Can a user's name be told from one that nobody has by the time that a refusal takes?

    t/bench/login_times.py [--pairs 200] [--hasher pbkdf2_sha256=260000]

Pairs of wrong passwords, for a user and for a name of nobody, one after the other, in an order that
changes by chance; by Basic authentication, since that is the check and little else. Printed are the
medians, their difference, and the spread of each (the middle half of the samples). Nothing can be told
as long as the difference is small beside the spreads.
"""
import argparse
import base64
import http.client
import random
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "httpd"))

import harness  # noqa: E402

CONFIG = """<Location "/page.txt">
AuthType Basic
AuthName x
AuthBasicProvider django
Require valid-user
DjangoPasswordHashers %s md5
DjangoLoginThrottle Off
</Location>
"""


def sample(connection, name):
    """How long a refusal takes, in milliseconds."""
    given = base64.b64encode((name + ":not-the-password").encode()).decode()
    began = time.perf_counter()
    connection.request("GET", "/page.txt", headers={"Authorization": "Basic " + given})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 401
    return (time.perf_counter() - began) * 1000


def right(server, name, password):
    """Log in once, so that the password is hashed as the first of the list would."""
    given = base64.b64encode((name + ":" + password).encode()).decode()
    answer = server.get("/page.txt", [("Authorization", "Basic " + given)])
    assert answer.status == 200, answer


def tell(kind, times):
    low, median, high = statistics.quantiles(times, n=4)
    print("%-8s median %8.2f ms   middle half %8.2f to %8.2f, %6.2f wide"
          % (kind, median, low, high, high - low))
    return median, high - low


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    options.add_argument("--pairs", type=int, default=200)
    options.add_argument("--hasher", default="pbkdf2_sha256=260000")
    options = options.parse_args()
    databases = harness.Databases()
    site = harness.Site(databases.get("sqlite"))
    try:
        site.create_user("known", "correct-horse")
        server = site.httpd(CONFIG % options.hasher, modules=["auth_basic"], log_level="warn")
        server.expect("AH0161[78]: ")
        right(server, "known", "correct-horse")
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        times = {"known": [], "unknown": []}
        for _ in range(options.pairs):
            for name in random.sample(sorted(times), 2):
                times[name].append(sample(connection, name))
        connection.close()
        print("%s, %d pairs" % (options.hasher, options.pairs))
        (known, spread), (unknown, other) = (tell(kind, times[kind]) for kind in times)
        print("difference of the medians %.2f ms, the smaller spread %.2f ms"
              % (abs(known - unknown), min(spread, other)))
    finally:
        site.close()
        databases.close()


if __name__ == "__main__":
    main()
