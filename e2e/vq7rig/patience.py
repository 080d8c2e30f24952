# SPDX-License-Identifier: MIT
"""How long the rig waits before it calls a guest hung: VQ7_PATIENCE times the usual.

Below 1 for whoever expects hangs (ci/mutate.py), above 1 on a slow machine. A guest that
is slower than ntcompat multiplies it, once for the process.
"""

import os

from .errors import UsageError

_pace = 1.0


def set_pace(factor):
    """The guest takes so many times longer."""
    global _pace
    _pace = factor


def asked(environment=os.environ):
    """VQ7_PATIENCE. Raises UsageError unless it is a number from 0.1 to 100."""
    text = environment.get("VQ7_PATIENCE", "1")
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0.1 <= factor <= 100:
        raise UsageError(f"VQ7_PATIENCE={text!r}: it must be a number from 0.1 to 100")
    return factor


def patience(environment=os.environ):
    """That, times the guest's pace."""
    return asked(environment) * _pace
