# SPDX-License-Identifier: MIT
"""What a device says of itself while it starts and runs: a modern interface that doesn't work,
a configuration that changes, DEVICE_NEEDS_RESET. QEMU's gdbstub stops the guest at the moment
that matters."""

import contextlib
import threading

import libvirt
import pytest

from vq7rig import symbols
from vq7rig.errors import CommandError
from vq7rig.features import VirtioView
from vq7rig.gdbstub import GdbStub
from vq7rig.workload import Workload

from test_workloads import run

pytestmark = pytest.mark.needs("debugger")

STATUS_NOT_SUPPORTED = 0xC00000BB
DIRECT_MAP = 0xFFFF_8000_0000_0000      # of ntcompat: all physical memory
SHORT = Workload(ops=200, depth=8, sizes=(4096,), seed=97, span=8192)


def spoil_next_publish(vm, failures):
    """Attach, and return a thread that spoils the next entry of the avail ring once the driver
    has published it: no descriptor has that number, so that the device breaks down (2.1.2)."""
    queue = VirtioView(vm).queue(0)
    index = queue["vring-avail"] + 2
    stub = GdbStub(vm)
    stub.watch(DIRECT_MAP + index, 2)

    def wait():
        try:
            with stub:
                stub.go()
                stub.watch(DIRECT_MAP + index, 2, on=False)
                published = int.from_bytes(stub.read_physical(index, 2), "little") - 1
                entry = index + 2 + 2 * (published % queue["vring-num"])
                stub.write_physical(entry, b"\xff\xff")
        except Exception as bad:                # noqa: BLE001, shown by the test
            failures.append(bad)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.on("modern_interrupts")
def test_needs_reset(vm):
    """The request in flight fails, later ones are refused; started again, all is well."""
    run(vm, SHORT)
    failures = []
    thread = spoil_next_publish(vm, failures)
    with pytest.raises(CommandError) as refused:
        vm.console.command("blk read 0 1")
    thread.join()
    assert not failures
    assert refused.value.name == "STATUS_DEVICE_PROTOCOL_ERROR"
    assert "the device asks for a reset" in vm.kernel_log()
    with pytest.raises(CommandError) as refused:
        vm.console.command("blk read 0 1")
    assert refused.value.name == "STATUS_DEVICE_NOT_READY"
    assert VirtioView(vm).status == 0, "it was reset"
    vm.console.command("driver unload")
    vm.console.command("driver load")
    run(vm, SHORT)


@contextlib.contextmanager
def restarted_up_to(vm, function):
    """The machine is reset, and stopped where the driver calls a function. Its driver must be
    the one that was loaded at the start: after a reset it is at that place again."""
    target = symbols.address(vm, "vq7test.sys", function)
    with GdbStub(vm) as stub:
        stub.break_at(target)
        vm.dom.reset(0)
        stub.go()
        yield stub
        stub.break_at(target, on=False)
    vm.console.wait_boot(vm.hello_timeout)


@pytest.mark.fresh
@pytest.mark.on("one", nightly="interrupts_of_pc")
def test_a_change_just_before_driver_ok(vm):
    """The device doesn't tell of what changes before DRIVER_OK (2.1.2, 4.1.5.4): the driver has
    read the old capacity by then, and looks again."""
    grown = vm.disk.capacity + 8
    with restarted_up_to(vm, "VirtioPciDriverOk"):
        vm.dom.blockResize("vda", grown * 512, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
    assert vm.console.command("blk info").num("capacity") == grown
    assert vm.console.command("stats").num("config_changes") == 1


@pytest.mark.fresh
@pytest.mark.on("transitional", interrupt="line")
def test_a_modern_interface_that_does_not_start(vm):
    """Its registers are where they have to be, but it agrees on no features (3.1.1): the legacy
    interface takes over, and the log says so."""
    with restarted_up_to(vm, "VirtioPciNegotiate") as stub:
        stub.return_from_function(STATUS_NOT_SUPPORTED)
    transports = [device["transport"] for device in vm.console.command("devices").rows()]
    assert transports == ["legacy"]
    assert "its modern interface can't be started, status 0xc00000bb" in vm.kernel_log()
    run(vm, SHORT)


@pytest.mark.fresh
@pytest.mark.on("one")
def test_without_a_legacy_interface_it_is_refused(vm):
    with restarted_up_to(vm, "VirtioPciNegotiate") as stub:
        stub.return_from_function(STATUS_NOT_SUPPORTED)
    assert vm.console.command("devices").num("devices") == 0
    assert "cannot start 00:04.0 (block device), status 0xc00000bb" in vm.kernel_log()
