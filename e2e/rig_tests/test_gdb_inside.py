# SPDX-License-Identifier: MIT
"""What runs in gdb itself: a gdb is needed, and no machine."""

import shutil
import subprocess

import pytest

from vq7rig.paths import ROOT

GDB = shutil.which("gdb")
pytestmark = pytest.mark.skipif(GDB is None, reason="gdb is not installed")


def gdb(*commands):
    words = [word for each in commands for word in ("-ex", each)]
    done = subprocess.run([GDB, "-q", "-nx", "-batch", *words], text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=120, check=False)
    return done.stdout + done.stderr


def test_regression_a_kernel_without_symbols():
    """As where it is of another build than the DWARF beside it, and the driver isn't."""
    said = gdb(f"python import sys; sys.path.insert(0, {str(ROOT / 'e2e')!r})",
               "python from vq7rig.gdb import inside",
               "python inside.install([(0xfffff800000a0000, 0x18000)], None, '/nowhere')",
               "python print('the rest of the commands')")
    assert "[the kernel has no symbols: modules that come later bring none]" in said
    assert "the rest of the commands" in said and "Traceback" not in said
