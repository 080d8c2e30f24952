# SPDX-License-Identifier: MIT
"""A machine that goes on in a QEMU of another version (run --qemu2 PATH), and comes back."""

import pytest

from vq7rig import machine_types, orphans
from vq7rig.bindings import libvirt, words
from vq7rig.errors import Lacking
from vq7rig.moving import emulator_of, save_and_restore
from vq7rig.plugin import running_machine

from test_host_faults import under_load
from test_migration import there_and_back

pytestmark = [pytest.mark.nightly, pytest.mark.fresh, pytest.mark.on("interrupts_of_pc")]


@pytest.fixture
def other_qemu(request, pool):
    path = request.config.getoption("--qemu2")
    if not path:
        raise Lacking("a second QEMU wasn't named: run --qemu2 PATH")
    try:
        pool.host.conn.getDomainCapabilities(path, "x86_64", None, pool.host.accel, 0)
    except libvirt.libvirtError as bad:
        raise Lacking(f"this libvirt can't use {path}: {words(bad)}") from bad
    orphans.also_named(path)
    return path


@pytest.fixture
def vm(request, pool, artefacts, config, other_qemu):
    """Of the newest machine type that both know."""
    name = machine_types.newest_of_both(pool.host.emulator, other_qemu, config.machine)
    config = config.but(options=config.options + (f"type={name}",))
    with running_machine(request, pool, artefacts, config) as machine:
        yield machine


@pytest.mark.fault("migrated to another QEMU version and back, twice", "served")
def test_migrated_between_versions(vm, other_qemu):
    there_and_back(vm, 4, (other_qemu, emulator_of(vm)))


@pytest.mark.fault("saved, restored in another QEMU version and back", "served")
def test_saved_and_restored_between_versions(vm, other_qemu):
    own = emulator_of(vm)

    def move(vm):
        save_and_restore(vm, own if emulator_of(vm) == other_qemu else other_qemu)

    under_load(vm, move, 2)
