# SPDX-License-Identifier: MIT
"""What hosts and operators do to a machine while its disk is under load: every operation is
verified by the guest, and the whole image by the host afterwards."""

import itertools
import time

import pytest

from vq7rig import inflight
from vq7rig.blkdebug import ENOSPC, bad_sectors, resume_until
from vq7rig.errors import GuestCrash
from vq7rig.moving import save_and_restore
from vq7rig.workload import Workload

LOAD = Workload(ops=6000, depth=16, sizes=(512, 4096, 65536), seed=131, flush=50)
WRITES = Workload(ops=2000, depth=16, write=100, sizes=(65536,), seed=132, span=16384)


def checked(vm, load, answer):
    """Nothing was lost, nothing done twice, no error reached the guest."""
    assert (answer.num("errors"), answer.num("miscompares")) == (0, 0)
    vm.expected.ran(load)
    vm.expected.check()
    stats = vm.console.command("stats")
    assert stats.num("in_flight") == stats.num("errors") == 0


def under_load(vm, fault, times, load=LOAD):
    """The fault comes so often while the load runs."""
    vm.console.command("stats clear")
    with inflight.background(vm.console.command, load.command(), timeout=60) as answer:
        done = 0
        while done < times and not answer.done():
            fault(vm)
            done += 1
        answer = answer.result()
    assert done == times, f"the load was over after {done}"
    checked(vm, load, answer)


def paused(vm):
    vm.dom.suspend()
    time.sleep(0.05)
    vm.resume()
    time.sleep(0.02)


@pytest.mark.nightly
@pytest.mark.fault("paused and resumed, 30 times", "served")
@pytest.mark.on("interrupts_of_pc")
def test_paused_and_resumed(vm):
    under_load(vm, paused, 30)


@pytest.mark.nightly
@pytest.mark.fault("saved, restored in another QEMU, 3 times", "served")
@pytest.mark.on("interrupts_of_pc")
def test_saved_and_restored(vm):
    under_load(vm, save_and_restore, 3)


@pytest.mark.nightly
@pytest.mark.fault("the disk grows, 8 times", "served, capacity told")
@pytest.mark.on("interrupts_of_pc")
def test_grows_again_and_again(vm):
    """Each time the capacity that the guest is told is the disk's."""
    capacity, sizes = vm.disk.capacity, itertools.count(1)

    def grow(vm):
        kib = capacity // 2 + 512 * next(sizes)
        vm.dom.blockResize("vda", kib)
        time.sleep(0.05)
    try:
        load = Workload(ops=6000, depth=16, sizes=(512, 4096, 65536), seed=133, span=capacity)
        under_load(vm, grow, 8, load)
        assert vm.console.command("blk info").num("capacity") == capacity + 8 * 1024
    finally:
        vm.dom.blockResize("vda", capacity // 2)


@pytest.mark.nightly
@pytest.mark.fault("no space: stop, room, go on", "served")
@pytest.mark.on("interrupts_of_pc", options=("request-merging=off", "werror=enospc"))
def test_no_space_stops_the_machine(vm):
    """QEMU stops the machine (werror=enospc), somebody makes room, and it goes on: the guest
    is told nothing of it. Requests that failed are done by QEMU when it goes on."""
    full = [(sector, "write") for sector in range(0, 16384, 1024)]
    with bad_sectors(vm, *full, errno=ENOSPC, once=True):
        vm.console.command("stats clear")
        with inflight.background(vm.console.command, WRITES.command(), timeout=60) as answer:
            stops = resume_until(vm, answer)
            answer = answer.result()
    assert stops >= 1
    checked(vm, WRITES, answer)


@pytest.mark.nightly
@pytest.mark.fault("NMI", "bug check 0x80")
@pytest.mark.on("interrupts_of_pc")
def test_nmi_under_load(vm):
    """A host's NMI (`virsh inject-nmi`) is Windows' way to a dump of a machine that hangs."""
    with pytest.raises(GuestCrash, match="0x00000080"):
        with inflight.background(vm.console.command, LOAD.command(), timeout=60) as answer:
            time.sleep(0.5)
            vm.dom.injectNMI(0)
            answer.result()
