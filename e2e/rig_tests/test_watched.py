# SPDX-License-Identifier: MIT
"""Which of the suite's tests run with Driver Verifier, where the guest has it: those in whose
verdict ntcompat's own rules have a part."""

import importlib
import pathlib
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1] / "tests"
# What makes a driver give back all that it has.
ENDS = {"unload", "hotplug"}
# Whole files: buffers, cancelled and repeated requests, bounced data, lies of the device.
FILES = ("test_devices_odd", "test_errors", "test_hostile", "test_hotplug", "test_inflight",
         "test_ioctl", "test_timeouts")


def marked():
    """(file, test, its marks) of the suite."""
    sys.path.insert(0, str(TESTS))
    try:
        for path in sorted(TESTS.glob("test_*.py")):
            module = importlib.import_module(path.stem)
            every = getattr(module, "pytestmark", [])
            for name, value in vars(module).items():
                if name.startswith("test_") and getattr(value, "__module__", "") == path.stem:
                    yield path.stem, name, [*(every if isinstance(every, list) else [every]),
                                            *getattr(value, "pytestmark", [])]
    finally:
        sys.path.remove(str(TESTS))


@pytest.fixture(scope="module")
def suite():
    found = list(marked())
    assert len(found) > 150
    return [(file, name, {mark.name for mark in marks},
             {need for mark in marks if mark.name == "needs" for need in mark.args})
            for file, name, marks in found]


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
