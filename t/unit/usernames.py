#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What Django's login form makes of names, a line "GIVEN CLEANED" each, in hex: every character that has
another form, and random sequences of all. Characters are those that this Python knows."""

import random
import sys
import unicodedata

import django
from django.conf import settings

settings.configure(SECRET_KEY="of these tests",
                   INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"])
django.setup()

from django.contrib.auth.forms import UsernameField  # noqa: E402


def names():
    known = [chr(c) for c in range(1, 0x110000)
             if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
    changing = [c for c in known if unicodedata.normalize("NFKC", c) != c]
    marks = [c for c in known if unicodedata.combining(c)]
    blanks = [c for c in known if c.isspace()]
    rng = random.Random(5)

    yield from ("ada", " ada ", "", " ", "a b", "\u00a0ada\u3000", "ada\u00ad", "\ufb01", "a" * 1024)
    yield from (f"{blank}a{blank}" for blank in blanks)
    yield from (c for c in changing if not "\u3400" <= c <= "\u9fff")
    for _ in range(5000):
        kinds = rng.choices([known, changing, marks, blanks], [3, 2, 4, 1], k=rng.randint(1, 8))
        yield "".join(rng.choice(kind) for kind in kinds)


field = UsernameField(required=False)
for name in names():
    sys.stdout.write("%s %s\n" % tuple(text.encode().hex() or "-"
                                       for text in (name, field.to_python(name))))
