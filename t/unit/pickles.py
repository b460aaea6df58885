#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Python's part of test_pickle_write: makes random values of all types that we read, and says whether
what came back is the same.

    pickles.py make SEED COUNT FILE     a pickle in hex a line, protocols 0 to 5 in turn
    pickles.py compare FILE             lines "WHAT WE READ WHAT WE WROTE": exits 1 for a difference
"""

import datetime as dt
import decimal
import math
import pickle
import random
import sys
import uuid


def text(rng):
    alphabet = rng.choice(["abcXYZ_$0", "\0\n\r\\'\"\x1a\x7f", "é\xa0ÿ", "日本語", "😀\ud800\udfff"])
    return "".join(rng.choice(alphabet) for _ in range(rng.choice([0, 1, 5, 40, 300])))


def zone(rng):
    offset = dt.timedelta(seconds=rng.choice([0, 3600, -10800, 20700, 86399, -86399]),
                          microseconds=rng.choice([0, 0, 5]))
    return rng.choice([None, None, dt.timezone.utc, dt.timezone(offset), dt.timezone(offset, text(rng))])


def clock(rng):
    return dict(hour=rng.randrange(24), minute=rng.randrange(60), second=rng.randrange(60),
                microsecond=rng.choice([0, 1, 999999, rng.randrange(10**6)]),
                tzinfo=zone(rng), fold=rng.randrange(2))


def date(rng):
    return dt.date.fromordinal(rng.choice([1, 719163, dt.date.max.toordinal(), rng.randrange(1, 3652060)]))


def number(rng):
    return rng.choice([0, 1, -1, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -2**31, -2**31 - 1, 2**63, -2**63,
                       rng.randrange(-10**6, 10**6), rng.randrange(-2**90, 2**90), 2**2040, -2**4000,
                       -2**7, -2**15, -2**1000])


def real(rng):
    return rng.choice([0.0, -0.0, 1.5, 0.1, math.inf, -math.inf, math.nan, 5e-324, 1e300, rng.gauss(0, 1e6)])


def digits(rng):
    return decimal.Decimal(rng.choice(["0", "-0", "1.50", "1E+10", "NaN", "sNaN1", "-Infinity", "0E-20",
                                       "-123456789012345678901234567890.5", "1E-9999"]))


SCALARS = [
    lambda rng: None, lambda rng: True, lambda rng: False, number, real, text,
    lambda rng: rng.randbytes(rng.choice([0, 1, 5, 300])), date, digits,
    lambda rng: dt.datetime.combine(date(rng), dt.time(**clock(rng))), lambda rng: dt.time(**clock(rng)),
    lambda rng: dt.timedelta(rng.choice([0, -1, 999999999, -999999999]), rng.randrange(86400),
                             rng.choice([0, 1, 999999])),
    lambda rng: zone(rng), lambda rng: uuid.UUID(int=rng.choice([0, 1, 2**31, 2**128 - 1, rng.randrange(2**128)])),
]


def hashable(rng, depth):
    if depth and rng.random() < 0.2:
        kind = rng.choice([tuple, frozenset])
        return kind(hashable(rng, depth - 1) for _ in range(rng.randrange(5)))
    while True:
        value = rng.choice(SCALARS)(rng)
        # NaN is no key that could be found again, and a signaling one has no hash.
        if not (isinstance(value, float) and value != value) and not (
                isinstance(value, decimal.Decimal) and value.is_nan()):
            return value


def value(rng, depth, pool):
    kind = rng.randrange(12) if depth else 11
    size = rng.choice([0, 1, 2, 3, 4, 7])
    if kind < 2:
        made = [value(rng, depth - 1, pool) for _ in range(size)]
    elif kind < 4:
        made = {hashable(rng, 2) if rng.random() < 0.4 else text(rng): value(rng, depth - 1, pool)
                for _ in range(size)}
    elif kind == 4:
        made = tuple(value(rng, depth - 1, pool) for _ in range(size))
    elif kind < 7:
        made = (set if kind == 5 else frozenset)(hashable(rng, 2) for _ in range(size))
    elif kind == 7:
        made = bytearray(rng.randbytes(rng.choice([0, 1, 300])))
    elif kind == 8 and pool:
        made = rng.choice(pool)     # the same object again
    else:
        made = rng.choice(SCALARS)(rng)
    pool.append(made)
    return made


def large(rng):
    n = rng.choice([999, 1000, 1001, 2001])
    return {"list": list(range(n)), "dict": {str(i): i for i in range(n)}, "ints": {i: None for i in range(n)},
            "set": set(range(n)), "frozenset": frozenset(range(n)), "tuple": tuple(range(n))}


def same(a, b, protocol, seen):
    """Equal, of the same types, in the same order, and what was one object is one."""
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, dict, set, bytearray)):
        if id(a) in seen:
            return seen[id(a)] is b
        seen[id(a)] = b
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y, protocol, seen) for x, y in zip(a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(
            same(k, l, protocol, seen) and same(v, w, protocol, seen) for (k, v), (l, w) in zip(a.items(), b.items()))
    if isinstance(a, (set, frozenset)):
        return a == b and sorted(map(repr, a)) == sorted(map(repr, b))
    if isinstance(a, (dt.datetime, dt.time)):
        return repr(a) == repr(b) and a.fold == b.fold
    if isinstance(a, uuid.UUID):
        return a == b and a.is_safe == b.is_safe
    return repr(a) == repr(b)


def make(seed, count, file):
    with open(file, "w", encoding="ascii") as out:
        for i in range(count):
            rng = random.Random(f"{seed}-{i}")
            made = large(rng) if i % 100 == 99 else value(rng, 4, [])
            print(pickle.dumps(made, i % 6).hex(), file=out)


def compare(file):
    count = 0
    with open(file, encoding="ascii") as lines:
        for count, line in enumerate(lines, 1):
            read, written = map(bytes.fromhex, line.split())
            a, b = pickle.loads(read), pickle.loads(written)
            if not same(a, b, read, {}):
                sys.exit(f"line {count}: {a!r}\nbecame {b!r}\n{read.hex()}\n{written.hex()}"[:4000])
    print(count)


if sys.argv[1] == "make":
    make(sys.argv[2], int(sys.argv[3]), sys.argv[4])
else:
    compare(sys.argv[2])
