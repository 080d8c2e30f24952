# SPDX-License-Identifier: MIT
"""The driver package's scripts, and a kit made by them, for tests."""

import pathlib
import subprocess
import sys

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parents[2] / "guest_driver" / "package"
GUEST = PACKAGE.parents[1] / "build" / "guest"
sys.path.insert(0, str(PACKAGE))


def make(out, *arguments, env=None):
    """What nt_kit.py does in a process of its own."""
    for architecture in ("x86", "x64"):
        if not (GUEST / architecture / "vq7test.sys").exists():
            pytest.skip(f"no {GUEST / architecture}: make guest")
    return subprocess.run([sys.executable, "-B", PACKAGE / "nt_kit.py", "--guest", GUEST,
                           "--out", out, *arguments], text=True, capture_output=True, env=env)
