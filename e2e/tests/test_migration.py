# SPDX-License-Identifier: MIT
"""A machine that goes on in a second QEMU while its disk is under load, back and forth."""

import time

import pytest

from vq7rig import inflight, orphans
from vq7rig.bindings import libvirt, words
from vq7rig.errors import Lacking
from vq7rig.migration import migrate
from vq7rig.moving import emulator_of, save_and_restore
from vq7rig.workload import Workload

from test_host_faults import checked, under_load

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


@pytest.fixture
def other_qemu(request, vm):
    """A QEMU of another version, that knows the machine's type, too."""
    path = request.config.getoption("--qemu2")
    if not path:
        raise Lacking("a second QEMU wasn't named: run --qemu2 PATH")
    try:
        vm.host.conn.getDomainCapabilities(path, "x86_64", None, vm.host.accel, 0)
    except libvirt.libvirtError as bad:
        raise Lacking(f"this libvirt can't use {path}: {words(bad)}") from bad
    orphans.also_named(path)
    return path


@pytest.mark.nightly
@pytest.mark.fresh
@pytest.mark.fault("migrated to another QEMU version and back, twice", "served")
@pytest.mark.on("interrupts_of_pc")
def test_migrated_between_versions(vm, other_qemu):
    there_and_back(vm, 4, (other_qemu, emulator_of(vm)))


@pytest.mark.nightly
@pytest.mark.fresh
@pytest.mark.fault("saved, restored in another QEMU version and back", "served")
@pytest.mark.on("interrupts_of_pc")
def test_saved_and_restored_between_versions(vm, other_qemu):
    own = emulator_of(vm)

    def move(vm):
        save_and_restore(vm, own if emulator_of(vm) == other_qemu else other_qemu)

    under_load(vm, move, 2)
