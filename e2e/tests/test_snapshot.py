# SPDX-License-Identifier: MIT
"""Snapshots with memory (qcow2, libvirt's internal ones): taken and reverted to while the disk
is under load, and between commands. What the guest knows of its disk and what is there must
be of the same moment; its own reads see any other."""

import time

import pytest

from vq7rig import inflight, snapshot
from vq7rig.workload import Workload

LOAD = Workload(ops=3000, depth=16, sizes=(512, 4096, 65536), seed=161, span=16384, flush=50)
SHORT = Workload(ops=200, depth=8, seed=163, span=16384, flush=40)
QCOW2 = ("format=qcow2",)


def run(vm, load):
    assert vm.console.command(load.command()).num("errors") == 0
    vm.expected.ran(load)


def agrees(vm):
    """The image is what the guest was told."""
    vm.console.command("blk flush")
    vm.expected.check()


def reverted_under_load(vm):
    """The load goes on from the middle twice, and nobody notices: its reads verify what its
    writes have left, by what its memory says."""
    vm.console.command("stats clear")
    with inflight.background(vm.console.command, LOAD.command(), timeout=180) as answer:
        time.sleep(0.3)
        snapshot.take(vm, "middle")
        assert not answer.done(), "the load was over before the snapshot was taken"
        for _ in range(2):
            time.sleep(0.3)
            assert not answer.done(), "the load was over before it was reverted"
            snapshot.revert(vm, "middle")
        answer = answer.result()
    assert answer.num("errors") == answer.num("miscompares") == 0
    assert answer.num("ops") == LOAD.ops
    vm.expected.ran(LOAD)
    stats = vm.console.command("stats")
    assert stats.num("in_flight") == stats.num("errors") == 0
    agrees(vm)


def reverted_at_the_prompt(vm):
    """What was written since is gone, on the disk as in the guest's memory."""
    run(vm, SHORT)
    vm.console.command("blk flush")
    snapshot.take(vm, "prompt")
    known = [field.copy() for field in (vm.expected.known, vm.expected.seed,
                                        vm.expected.generation)]
    run(vm, Workload(**{**SHORT.__dict__, "seed": 164, "write": 100}))
    vm.console.command("blk write 20000 8 seed=5 gen=7")
    vm.expected.wrote(20000, 8, 5, 7)
    agrees(vm)
    snapshot.revert(vm, "prompt")
    vm.expected.known, vm.expected.seed, vm.expected.generation = known
    agrees(vm)
    run(vm, Workload(**{**SHORT.__dict__, "seed": 165}))
    agrees(vm)


@pytest.mark.nightly
@pytest.mark.fresh
@pytest.mark.fault("snapshot with memory, reverted to under load, 2 times", "served")
@pytest.mark.on("interrupts_of_pc", options=QCOW2)
def test_snapshot_and_revert(vm):
    reverted_under_load(vm)
    reverted_at_the_prompt(vm)
