# SPDX-License-Identifier: MIT
"""Unload and reload, reset, power off, bug check."""

import pytest

from vq7rig.errors import CommandError, GuestCrash
from vq7rig.features import VirtioView
from vq7rig.workload import Workload

from test_workloads import run

SHORT = Workload(ops=200, depth=8, sizes=(4096,), seed=81, span=8192)


@pytest.mark.needs("unload")
@pytest.mark.watched
@pytest.mark.smoke
@pytest.mark.on("transports", nightly="machines")
def test_driver_unload_and_load(vm):
    run(vm, SHORT)
    vm.console.command("driver unload")
    assert VirtioView(vm).status == 0, "the device must be reset when its driver goes"
    assert vm.console.command("info")["driver"] == "unloaded"
    with pytest.raises(CommandError) as refused:
        vm.console.command("blk read 0 1")
    assert refused.value.name == "NO_DEVICE"
    vm.expected.check()
    for _ in range(3):
        assert vm.console.command("driver load").num("devices") == 1
        run(vm, SHORT)
        vm.console.command("driver unload")
    vm.console.command("driver load")
    run(vm, SHORT)


@pytest.mark.on("transports", nightly="flavours")
def test_reset_button(vm):
    """The host resets the machine; the guest starts again and the data stays."""
    run(vm, SHORT)
    before = vm.console.boot
    vm.reset()
    assert vm.console.boot != before
    vm.expected.check()
    run(vm, SHORT)


@pytest.mark.needs("restart")
@pytest.mark.on("transports", nightly="flavours")
def test_reset_command(vm):
    run(vm, SHORT)
    before = vm.console.boot
    vm.console.command("reset")
    vm.console.wait_boot(vm.hello_timeout)
    assert vm.console.boot != before
    run(vm, SHORT)


@pytest.mark.needs("poweroff")
@pytest.mark.smoke
@pytest.mark.fresh
@pytest.mark.on("transports", nightly="flavours")
def test_poweroff(vm):
    """Everything written is on the disk when the machine has turned itself off."""
    vm.console.command("blk write 77 8 seed=5 gen=6")
    vm.expected.wrote(77, 8, 5, 6)
    vm.console.command("poweroff")
    vm.wait_off()
    vm.expected.check()


@pytest.mark.needs("crash")
@pytest.mark.smoke
@pytest.mark.fresh
@pytest.mark.on("one")
def test_bug_check_is_a_guest_crash(vm):
    """A deliberate MANUALLY_INITIATED_CRASH is seen as one, at once."""
    with pytest.raises(GuestCrash) as crash:
        vm.console.command("crash")
    assert crash.value.code == 0xE2
    assert "*** STOP: 0x000000E2" in str(crash.value)


@pytest.mark.needs("settings")
@pytest.mark.on("transitional")
@pytest.mark.parametrize("transport", ["legacy", "modern", pytest.param(
    "auto", marks=pytest.mark.nightly)])
def test_forced_transport(pool, artefacts, config, transport):
    """The service parameter chooses the interface of a transitional device."""
    vm = pool.get(config.but(settings=(f"vq7test.Transport={transport}",)), fresh=True)
    (device,) = vm.console.command("devices").rows()
    assert device["transport"] == ("legacy" if transport == "legacy" else "modern")
    run(vm, SHORT)
    pool.release()


@pytest.mark.needs("settings")
@pytest.mark.on("transitional")
def test_invalid_transport_is_refused(pool, artefacts, config):
    """A value that isn't known starts no device, and the agent still answers."""
    vm = pool.get(config.but(settings=("vq7test.Transport=fastest",)), fresh=True)
    assert vm.console.command("devices").num("devices") == 0
    with pytest.raises(CommandError) as refused:
        vm.console.command("blk read 0 1")
    assert refused.value.name == "NO_DEVICE"
    pool.release()
