# SPDX-License-Identifier: MIT
"""What a run says on stderr while it goes on."""

import sys

from .report import WIDTH


def say(text):
    """A line that stays."""
    clear = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(clear + text, file=sys.stderr, flush=True)


def progress(text):
    """A line that the next one replaces; nothing where stderr is no terminal."""
    if sys.stderr.isatty():
        print("\r\x1b[K" + text[:WIDTH - 1], end="", file=sys.stderr, flush=True)
