# SPDX-License-Identifier: Apache-2.0
"""What checks share: the files of the tree, and how to say what is wrong."""

import os
import pathlib
import re
import sys

SRC = pathlib.Path(os.environ["DJS_SRC"])
BUILD = pathlib.Path(os.environ["DJS_BUILD"])

# What a build leaves in the sources, when it is made there or by autogen.sh.
_MADE_FOLDERS = {"build-aux", "m4", "autom4te.cache", "__pycache__"}
_MADE_FILES = {"Makefile", "Makefile.in", "aclocal.m4", "configure", "configure~", "config.log",
               "config.status", "libtool", "django_session.load"}
_MADE_SUFFIXES = {".o", ".lo", ".la", ".a", ".so", ".log", ".trs", ".pyc", ".gcno", ".gcda"}


class Findings:
    """Collects what is wrong; finish() prints it and ends the check."""

    def __init__(self):
        self.problems = []
        self.looked_at = 0

    def add(self, where, what):
        try:
            where = pathlib.Path(where).relative_to(SRC)
        except ValueError:
            pass
        self.problems.append(f"{where}: {what}")

    def finish(self, at_least):
        """`at_least` things must have been looked at: a check that finds nothing to check fails."""
        if self.looked_at < at_least:
            self.problems.append(
                f"looked at {self.looked_at} things only, {at_least} or more were expected: "
                "the check does not see its input")
        for problem in self.problems:
            print(problem)
        sys.exit(1 if self.problems else 0)


def files():
    """All files of the tree that are written by hand, dot folders (.git, .build) left out."""
    for folder, folders, names in os.walk(SRC):
        here = pathlib.Path(folder)
        folders[:] = sorted(
            name for name in folders
            if not (name.startswith(".") and name != ".ci") and name not in _MADE_FOLDERS
            and not _is_build(here / name))
        for name in sorted(names):
            path = here / name
            if name in _MADE_FILES or path.suffix in _MADE_SUFFIXES or path.is_symlink():
                continue
            # A program made in the tree: no suffix, and ELF inside.
            if path.suffix == "" and path.open("rb").read(4) == b"\x7fELF":
                continue
            yield path


def _is_build(path):
    return (path / "config.status").exists()


def text(path):
    return path.read_text(encoding="utf-8")


def without_comments(c_text):
    """C with its comments blanked; lines keep their numbers. Strings are kept."""
    pattern = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*', re.S)

    def blank(match):
        found = match.group(0)
        return re.sub(r"[^\n]", " ", found) if found.startswith("/") else found

    return pattern.sub(blank, c_text)


def line_of(whole, offset):
    return whole.count("\n", 0, offset) + 1
