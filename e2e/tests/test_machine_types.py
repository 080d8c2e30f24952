# SPDX-License-Identifier: MIT
"""Machine types of other QEMU versions, the oldest too: the same guest boots on each."""

import pytest

from vq7rig import machine_types
from vq7rig.machine import Config
from vq7rig.vm import VM
from vq7rig.workload import Workload

from test_workloads import run

LOAD = Workload(ops=200, depth=16, sizes=(512, 4096, 65536), seed=91, span=16384)


@pytest.mark.on("one", flavour="legacy", options=("type=oldest",))
def test_oldest_machine_type(vm):
    run(vm, LOAD)


@pytest.mark.needs("msi", "poweroff")
@pytest.mark.nightly
@pytest.mark.on("oldest_types")
def test_oldest_machine_types_do_io(vm, config):
    (device,) = vm.console.command("devices").rows()
    assert device["transport"] == config.flavour
    assert device["interrupt"] == "message"
    run(vm, LOAD)
    vm.reset()
    vm.expected.check()
    vm.console.command("poweroff")
    vm.wait_off()


@pytest.mark.needs("firmware")
@pytest.mark.nightly
@pytest.mark.parametrize("flavour", ["legacy", "modern"])
@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_every_machine_type_boots(pool, artefacts, machine, flavour):
    """Every versioned type that this QEMU has, whatever they are."""
    pool.release()                      # one machine at a time
    base = Config(machine=machine, flavour=flavour)
    types = machine_types.versioned(pool.host.emulator.machines, machine)
    assert types
    failed = {}
    for name in types:
        config = base.but(options=(f"type={name}",))
        with VM(pool.host, config, pool.guest, artefacts / name, disk_mib=8,
                hello_timeout=pool.hello_timeout) as vm:
            try:
                vm.start()
                vm.boot()
                (device,) = vm.console.command("devices").rows()
                assert device["transport"] == flavour
                run(vm, LOAD)
            except Exception as bad:    # pylint: disable=broad-except
                failed[name] = f"{type(bad).__name__}: {bad}".splitlines()[0]
    assert not failed, f"{len(failed)} of {len(types)}: {failed}"
