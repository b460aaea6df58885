#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each case of each golden vector was run by some test of this `make check`, or why it was not.

The tests note the fate of each case that they meet (support.h: vector_done, vector_left) in the folder
DJS_VECTORS_RUN; the Makefile runs this behind all of them. That a case was left out is allowed only for
one of the reasons below, and printed.
"""

import collections
import json
import os
import pathlib
import sys

VECTORS = pathlib.Path(os.environ["DJS_VECTORS"])
RUN = pathlib.Path(os.environ["DJS_VECTORS_RUN"])
UNIT = pathlib.Path(os.environ["DJS_SRC"]) / "t" / "unit"
NEWEST = "5.1"
OTHER_DJANGO = "what an older Django answers; the module answers as the newest"

# All that there are: a file that is lost, or that nobody has listed, is no success.
FILES = """
    auth_hash auth_session base62 cache_files cache_keys cache_reads cache_ttl cache_values
    cookie_header csrf_cookie csrf_requests csrf_tokens db_rows db_sql expiry file_sessions json_text
    middleware passwords permissions pickles pickles_bad session_data set_cookie signed_cookies
    signing signing_bad
""".split()
# Where these are not set, t/unit/with_servers is not around us and the database's tests are skipped.
SERVERS = {"postgresql": "DJS_TEST_PGSQL", "mysql": "DJS_TEST_MYSQL"}
# Tables of our own beside them.
OWN = ["redirects"]

# How many cases each file may leave out, and why. Those of OTHER_DJANGO count by themselves.
MAY_BE_LEFT = {
    ("auth_session", "passwords are changed by the site, which then renews its session"): 2,
    ("cache_keys", "a KEY_FUNCTION of the site's own is out of reach"): 7,
    ("cache_reads", "a client that no format= is for: MessagePack"): 16,
    ("cache_values", "a client that no format= is for: MessagePack"): 28,
    ("csrf_cookie", "nothing is stored, which the host decides: t/httpd/test_csrf.py"): 15,
    ("file_sessions", "Django 5 reads no file of before 3.1; we do"): 1,
    ("passwords", "a password that Django itself cannot hash, bcrypt and NUL"): 1,
    ("set_cookie", "our settings know no SameSite in small letters"): 1,
}

problems = []
left = collections.Counter()
fates = collections.defaultdict(set)


def read_fates():
    """What each program that there is has noted."""
    for source in sorted(UNIT.glob("test_*.c")):
        notes = RUN / source.stem
        if not notes.exists():
            continue
        for line in notes.read_text(encoding="utf-8").splitlines():
            name, number, reason = line.split("\t")
            fates[name, int(number)].add(reason)


def check_case(name, number, case):
    known = fates.get((f"{name}.json", number), set())
    if "" in known:
        return
    server = SERVERS.get(case.get("database"))
    if not known and server is not None and server not in os.environ:
        left[name, f"{server} is not set"] += 1
        return
    where = f"{name}.json: {case['id']} ({', '.join(case['django'])})"
    if not known:
        problems.append(f"{where} was run by no test")
    for reason in sorted(known)[:1]:
        left[name, reason] += 1
        if reason == OTHER_DJANGO and case["django"][-1] == NEWEST:
            problems.append(f"{where} holds for {NEWEST}, but was left out as an older Django's")


read_fates()
there = {path.stem for path in VECTORS.glob("*.json")}
for name in sorted(set(FILES) - there):
    problems.append(f"t/vectors/{name}.json is missing")
for name in sorted(there - set(FILES) - set(OWN)):
    problems.append(f"t/vectors/{name}.json: list it in t/unit/all_vectors.py")
count = 0
for name in sorted(there & set(FILES)):
    for number, case in enumerate(json.loads((VECTORS / f"{name}.json").read_bytes())["cases"]):
        check_case(name, number, case)
        count += 1
for (name, reason), times in sorted(left.items()):
    print(f"# {name}.json: {times} left out: {reason}")
    if reason in (OTHER_DJANGO, *(f"{server} is not set" for server in SERVERS.values())):
        continue
    if times != MAY_BE_LEFT.get((name, reason), 0):
        problems.append(f"{name}.json: {times} cases left out because {reason!r}, allowed are "
                        f"{MAY_BE_LEFT.get((name, reason), 0)}")

print("1..1")
for problem in problems[:40]:
    print(f"# {problem}")
if len(problems) > 40:
    print(f"# and {len(problems) - 40} more")
print(f"{'not ' if problems else ''}ok 1 - all {count} cases of {len(FILES)} golden vectors are run")
sys.exit(1 if problems else 0)
