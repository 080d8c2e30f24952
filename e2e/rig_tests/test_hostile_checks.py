# SPDX-License-Identifier: MIT
"""The list of checks that ci/hostile_checks.py switches off: that it can't go stale."""

import sys

import pytest

from vq7rig.paths import ROOT

sys.path.insert(0, str(ROOT / "ci"))
import hostile_checks       # noqa: E402
import hostile_list         # noqa: E402
from hostile_bench import BenchError, test_of as the_test_of        # noqa: E402

ENTRY = {"name": "a", "file": "guest_driver/driver/blk.cpp", "old": "if (queue_size < 3) {",
         "new": "if (FALSE) {", "lie": "modern queue-size-1"}


@pytest.fixture
def rows():
    return hostile_list.rows()


def test_each_kind_is_there(rows):
    checks, _ = rows
    assert {hostile_list.kind(check) for check in checks} == set(hostile_list.KINDS)


MISSING = {"a queue has room for header, data and status": "blk.cpp:",
           "a used id is below the queue size": "virtqueue_split_private.h:",
           "a device that asks for a reset has failed": "VQ7_FAILURE_NEEDS_RESET"}


def test_a_check_that_is_missing_is_named(rows):
    checks, others = rows
    left = [check for check in checks if check["name"] not in MISSING]
    assert len(left) == len(checks) - len(MISSING)
    stale = {"file": "lib/virtio_pci", "at": ["no such text"], "why": ""}
    with pytest.raises(BenchError) as bad:
        hostile_list.is_whole(left, [*others, stale])
    for said in (*MISSING.values(), "lib/virtio_pci has no 'no such text' any more"):
        assert said in str(bad.value)


@pytest.mark.parametrize("change, said", [
    ({"old": "if (queue_size < 4) {"}, "0 times, not once"), ({"old": "queue_size"}, "not once"),
    ({"lie": "modern queue-size-7"}, "there is no lie modern queue-size-7"),
    ({"lie": "odd queue-size-1"}, "there is no lie odd"),
    ({"way": "used length 0"}, "one of way, start, lie"),
    ({"lie": None, "way": "used length 7"}, "there is no way"),
    ({"lie": None, "start": "block size 7"}, "there is no start"),
    ({"lie": None, "library": "no-case"}, "there is no library"),
    ({"lie": None, "test": "tests/test_liar.py::test_x"}, "there is no test"),
    ({"lie": None, "unit": "driver_host_test Liar.Nothing"}, "there is no unit")])
def test_an_entry_that_does_not_fit(change, said):
    entry = {name: value for name, value in {**ENTRY, **change}.items() if value}
    with pytest.raises(BenchError) as bad:
        hostile_list.fits(entry)
    assert said in str(bad.value) and "'a'" in str(bad.value)


def test_the_test_of_an_entry():
    assert the_test_of(ENTRY).name == \
        "tests/test_liar.py::test_modern_registers_lie[pc-modern-queue-size-1]"
    unit = the_test_of({"unit": "driver_host_test Line.IsShared"})
    assert unit.is_unit and unit.name == "Line.IsShared"


def test_parts():
    seven = list(range(7))
    assert hostile_checks.part_of(seven, "") == seven
    parts = [hostile_checks.part_of(seven, f"{k}/3") for k in (1, 2, 3)]
    assert sorted(sum(parts, [])) == seven and parts[1] == [1, 4]
    for wrong in ("0/3", "4/3", "3", "a/b"):
        with pytest.raises(ValueError):
            hostile_checks.part_of(seven, wrong)
