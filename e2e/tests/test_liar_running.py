# SPDX-License-Identifier: MIT
"""Devices that begin to lie while they run: a reset that sticks in a time-out, a restart that
fails, a device that says that it is gone, and one that finishes more whenever it is looked at."""

import contextlib
import time

import pytest

from vq7rig import inflight, symbols
from vq7rig.errors import CommandError
from vq7rig.gdbstub import GdbStub
from vq7rig.workload import Workload

from test_liar import COMMON, Liar, Lie
from test_timeouts import BACKEND, device, serves, timeout

pytestmark = pytest.mark.needs("faults", "unload", "kernel log")

STATUS = {"modern": (COMMON, 20), "legacy": ("legacy", 18)}
MAX_ROUNDS = 4          # of one DPC (blk_complete.cpp)


def lies(vm, **more):
    """What the status register says in place of what it holds, from now on."""
    place, at = STATUS[vm.config.flavour]
    return Lie("status", place, at, 1, more.pop("value"), "", **more)


@contextlib.contextmanager
def told(liar, *each):
    """Lies for the length of a `with`; the driver must have heard of each."""
    for lie in each:
        liar.tell(lie)
    yield
    heard = liar.told()
    liar.vm.console.command("lie clear")
    assert heard, "the driver did not hear of a lie"


def refused(vm, command):
    """The name of the status that a command fails with."""
    with pytest.raises(CommandError) as failed:
        vm.console.command(command)
    return failed.value.name


def stuck(vm):
    """A status that never is 0 (Virtio 1.2, 4.1.4.3.2)."""
    return lies(vm, value=0x0F, op="or")


def given_up(vm, failure, failed):
    """The driver says why, and takes nothing more."""
    said = device(vm)
    assert (said["state"], said["failure"]) == ("failed", failure)
    assert vm.console.command("stats")["failed"] == failed
    assert refused(vm, "blk read 0 1 quiet=1") == "STATUS_DEVICE_NOT_READY"


def check_reset_that_sticks(vm, liar):
    """Neither answered nor reset: the time-out fails what is at the device, once."""
    with timeout(vm), told(liar, stuck(vm)):
        vm.backend.misbehave("hold", kind="read")
        assert refused(vm, "blk read 0 8 quiet=1") == "STATUS_IO_TIMEOUT"
        given_up(vm, "reset-stuck", "time-out:1,reset-stuck:1")
        assert refused(vm, "device restart") == "STATUS_IO_TIMEOUT"
    vm.console.command("device restart")
    serves(vm, 41)


def check_restart_that_fails(vm, liar):
    """The reset ends, and then the device can't be started: of what it had each ends once."""
    load = Workload(ops=40, depth=8, write=0, seed=42, span=8192)
    # FEATURES_OK doesn't stay (3.1.1); the legacy interface has no such bit, but a queue's size.
    wrong = lies(vm, value=0xF7, op="and") if vm.config.flavour == "modern" \
        else Lie("size", "legacy", 12, 2, 3, "")
    with timeout(vm), told(liar, wrong):
        vm.backend.misbehave("hold", kind="read", when="after:10")
        answer = vm.console.command(f"{load.command()} then=removal", check=False, timeout=60)
        assert answer.num("duplicates") == answer.num("miscompares") == 0
        statuses = set(inflight.failures(answer).values())
        assert "STATUS_IO_DEVICE_ERROR" in statuses
        assert statuses <= {"STATUS_IO_DEVICE_ERROR", "STATUS_DEVICE_NOT_READY"}
        given_up(vm, "start-failed", "time-out:1,start-failed:1")
        vm.backend.behave()
        assert refused(vm, "device restart") != "STATUS_SUCCESS"
        assert device(vm)["state"] == "failed"
    vm.console.command("device restart")
    serves(vm, 43)


def check_gone(vm, liar):
    """All ones: said where the configuration changes, and where a reset is waited for."""
    vm.console.command("stats clear")
    with told(liar, lies(vm, value=0xFF)):
        vm.backend.set(capacity=vm.disk.capacity - 8)
        inflight.wait_log(vm, "the device is gone")
        given_up(vm, "gone", "gone:2")          # seen, and by the reset that followed
        assert refused(vm, "device restart") == "STATUS_DEVICE_DOES_NOT_EXIST"
    vm.backend.set(capacity=vm.disk.capacity)
    vm.console.command("device restart")
    serves(vm, 44)
    vm.console.command("stats clear")
    with told(liar, lies(vm, value=0x0F, op="or", times=8), lies(vm, value=0xFF, skip=8)):
        assert refused(vm, "device restart") == "STATUS_DEVICE_DOES_NOT_EXIST"
    assert vm.console.command("stats")["failed"] == "gone:1"
    vm.console.command("device restart")
    serves(vm, 45)


def restless(vm):
    """What a capacity is read with that never stands still (2.5.1, 2.5.4)."""
    if vm.config.flavour == "modern":
        return Lie("generation", COMMON, 21, 1, 1, "", op="count")
    at = 20 if vm.config.interrupt == "line" else 24        # 4.1.4.10
    return Lie("capacity", "legacy", at, 4, 1, "", op="count")


def capacity(vm):
    return vm.console.command("blk info").num("capacity")


def check_restless(vm, liar):
    """A configuration that changes and never stands still: what it was holds."""
    before = capacity(vm)       # QEMU's front end may not have heard of the last change
    with told(liar, restless(vm)):
        vm.backend.set(capacity=before - 16)
        deadline = time.monotonic() + 10
        while not liar.told():
            assert time.monotonic() < deadline, "the driver hasn't looked at its capacity"
            time.sleep(0.02)
        assert capacity(vm) == before
        assert device(vm)["state"] == "running"
    vm.backend.set(capacity=vm.disk.capacity)
    serves(vm, 46)


@pytest.mark.on("one", nightly="interrupts_of_pc", options=BACKEND)
def test_it_begins_to_lie(vm):
    """Each time, with the truth told again, a restart brings it back."""
    liar = Liar(vm)
    check_reset_that_sticks(vm, liar)
    check_restart_that_fails(vm, liar)
    check_gone(vm, liar)
    check_restless(vm, liar)


@pytest.mark.fresh
@pytest.mark.needs("debugger")
@pytest.mark.on("one", nightly="interrupts_of_pc", options=BACKEND)
def test_a_dpc_that_is_queued_again(vm):
    """A device that has finished more whenever the driver looks: the DPC ends, and another one
    goes on. Here the library says so, with interrupts left off; no request is lost by it."""
    load = Workload(ops=60, depth=8, seed=47, span=8192)
    target = symbols.address(vm, "vq7test.sys", "VirtqSplitEnableInterrupts")
    before = vm.console.command("stats").num("dpcs")
    stub = GdbStub(vm)
    stub.break_at(target)
    with inflight.background(vm.console.command, load.command(), timeout=60) as answer:
        with stub:
            for _ in range(MAX_ROUNDS):
                stub.go()
                stub.return_from_function(0)
            stub.break_at(target, on=False)
        answer = answer.result()
    assert answer.num("errors") == answer.num("miscompares") == 0
    assert answer.num("completed") == load.ops
    stats = vm.console.command("stats")
    assert stats.num("dpcs") > before + 1 and stats.num("lost_interrupts") == 0
    vm.console.command("blk flush")
    vm.expected.ran(load)
    vm.expected.check()
