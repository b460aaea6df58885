# SPDX-License-Identifier: Apache-2.0
"""djsession, called as a program."""

import subprocess

from django.conf import settings

DONE, NOT_FOUND, USAGE, STORE_FAILED, ALREADY_THERE, UNREADABLE = range(6)


class ToolFailed(Exception):
    """djsession ended in a way that its caller did not expect."""


def djsession(*words, options=(), given="", expected=(DONE,)):
    """
    Run a command with settings.DJSESSION, the program and its options. Keys and data are `given` on
    standard input, since a command line can be seen by others. Returns exit code and output.
    """
    done = subprocess.run([*settings.DJSESSION, *options, *words], input=given,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
    if done.returncode not in expected:
        raise ToolFailed(f"djsession {' '.join(words)}: exit {done.returncode}: {done.stderr}")
    return done.returncode, done.stdout.rstrip("\n")
