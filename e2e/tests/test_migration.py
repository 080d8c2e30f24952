# SPDX-License-Identifier: MIT
"""A machine that goes on in a second QEMU while its disk is under load, back and forth."""

import time

import pytest

from vq7rig import inflight
from vq7rig.migration import migrate
from vq7rig.workload import Workload

from test_host_faults import checked

HOPS = 20
LOAD = Workload(ops=4000, depth=16, sizes=(512, 4096, 65536), seed=141, flush=50)


def there_and_back(vm, hops, emulators=(None,)):
    """Loads run until it has moved so often. The load that runs at a move knows nothing of it."""
    done, seed = 0, LOAD.seed
    while done < hops:
        load = Workload(**{**LOAD.__dict__, "seed": seed})
        vm.console.command("stats clear")
        with inflight.background(vm.console.command, load.command(), timeout=120) as answer:
            time.sleep(0.05)
            while done < hops and not answer.done():
                migrate(vm, emulators[done % len(emulators)])
                done += 1
            answer = answer.result()
        checked(vm, load, answer)
        seed += 1


@pytest.mark.nightly
@pytest.mark.fresh
@pytest.mark.fault("migrated to a second QEMU and back, 20 times", "served")
@pytest.mark.on("interrupts_of_pc")
def test_migrated_under_load(vm):
    there_and_back(vm, HOPS)
