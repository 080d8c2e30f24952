# SPDX-License-Identifier: MIT
"""Which of the suite's tests run with Driver Verifier, where the guest has it: those in whose
verdict ntcompat's own rules have a part."""

import importlib
import json
import os
import pathlib
import subprocess
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1] / "tests"
# What makes a driver give back all that it has.
ENDS = {"unload", "hotplug"}
# Whole files: buffers, cancelled and repeated requests, bounced data, lies of the device.
FILES = ("test_devices_odd", "test_errors", "test_hostile", "test_hotplug", "test_inflight",
         "test_ioctl", "test_timeouts")


def marked():
    """[file, test, names of its marks, what it needs] of the suite."""
    for path in sorted(TESTS.glob("test_*.py")):
        module = importlib.import_module(path.stem)
        every = getattr(module, "pytestmark", [])
        for name, value in vars(module).items():
            if name.startswith("test_") and getattr(value, "__module__", "") == path.stem:
                marks = [*(every if isinstance(every, list) else [every]),
                         *getattr(value, "pytestmark", [])]
                yield (path.stem, name, [mark.name for mark in marks],
                       [need for mark in marks if mark.name == "needs" for need in mark.args])


@pytest.fixture(scope="module")
def suite():
    # By a process of its own: some of these files are called as files of the rig's own tests.
    path = os.pathsep.join((str(TESTS), str(TESTS.parent)))
    done = subprocess.run([sys.executable, "-B", __file__], env={**os.environ, "PYTHONPATH": path},
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) > 150
    return [(file, name, set(marks), set(needs)) for file, name, marks, needs in found]


def test_what_ends_a_driver_is_watched(suite):
    # Of the others the verdict is ntcompat's alone: they need its rules or faults.
    assert [f"{file}:{name}" for file, name, marks, needs in suite
            if needs & ENDS and not needs & {"rules", "faults"} and "watched" not in marks] == []


def test_files_that_are_watched(suite):
    assert {file for file, *_ in suite} >= set(FILES)
    assert [f"{file}:{name}" for file, name, marks, _ in suite
            if file in FILES and "watched" not in marks] == []


def test_plain_io_is_watched(suite):
    """DMA verification and forced IRQL see it, too."""
    assert "watched" in {name: marks for _, name, marks, _ in suite}["test_random"]


if __name__ == "__main__":
    sys.path.pop(0)         # this folder, with its files of the same names
    json.dump(list(marked()), sys.stdout)
