# SPDX-License-Identifier: MIT
"""The power goes in the midst of writes, and with it what was in the disk's volatile cache
(our own vhost-user back end's), or QEMU is killed. Nothing that a flush has confirmed may be
missing; what was written later is there or not, sector by sector, and nothing else is."""

import random
import time

import pytest

from vq7rig import fault_steps, inflight
from vq7rig.journal import Journal
from vq7rig.workload import Workload

SPAN = 4096
CACHE = ("backend=vhost-user", "sectors=8192", "backend.cache=1")
SEEDS = 5


def cut(vm, seed):
    """Loads and flushes that are confirmed, then one that is cut off."""
    chance, journal = random.Random(seed), Journal(vm.expected)
    for number in range(4):
        load = Workload(ops=60, depth=8, write=80, sizes=(512, 4096), seed=10 * seed + number,
                        span=SPAN, flush=chance.choice((0, 7)))
        vm.console.command(load.command())
        vm.expected.ran(load)
        journal.ran(load)
        if number < 2 or chance.random() < 0.5:
            vm.console.command("blk flush")
            journal.flushed(vm.expected)
    load = Workload(ops=20000, depth=16, write=90, sizes=(512, 4096), seed=10 * seed + 9,
                    span=SPAN, flush=50)
    with inflight.background(vm.console.command, load.command(), timeout=60) as answer:
        vm.backend.wait("write", vm.backend.status()["write"] + chance.randrange(20, 400), 30)
        lost = vm.backend.cut(seed)
        vm.host.destroy(vm.dom)
        assert answer.exception() is not None, "the load was over before"
    journal.ran(load)
    return journal.check(), lost


@pytest.mark.nightly
@pytest.mark.fresh
@pytest.mark.fault("power cut with a volatile cache", "nothing that was flushed is missing")
@pytest.mark.on("interrupts_of_pc", options=CACHE)
@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_power_cut(vm, seed):
    newer, lost = cut(vm, seed)
    assert newer > 0 and lost["dropped"] > 0, "nothing was in the cache"


@pytest.mark.nightly
@pytest.mark.fault("power cut, a driver that isn't offered FLUSH", "every write is kept")
@pytest.mark.fresh
@pytest.mark.on("interrupts_of_pc", options=(*CACHE, "backend.flush=0"))
def test_power_cut_without_flush(vm):
    """Such a device writes through (5.2.6.2)."""
    load = Workload(ops=400, depth=16, write=80, seed=3, span=SPAN)
    vm.console.command(load.command())
    vm.expected.ran(load)
    assert vm.backend.cut(3) == {"dropped": 0, "older": 0, "kept": 0}
    vm.host.destroy(vm.dom)
    vm.expected.check()


@pytest.mark.nightly
@pytest.mark.fresh
@pytest.mark.fault("QEMU killed in the midst of writes", "what was completed is there")
@pytest.mark.on("interrupts_of_pc", options=fault_steps.OPTIONS)
def test_qemu_killed(vm):
    """QEMU's own device writes to the host's page cache, which a killed process leaves."""
    load = Workload(ops=20000, depth=16, write=90, sizes=(512, 4096), seed=5,
                    span=fault_steps.SPAN)
    with inflight.background(vm.console.command, load.command(), timeout=60) as answer:
        time.sleep(0.7)
        fault_steps.kill(vm)
        assert "SIGKILL" in str(answer.exception())
    fault_steps.old_or_new(vm, load)
