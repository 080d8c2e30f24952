# SPDX-License-Identifier: MIT
"""A machine in the debugger is no hang, whatever the rig waits for; once it runs on, it is."""

import concurrent.futures
import socket
import time

import pytest

import fake_machine
from vq7rig import hotplug, inflight
from vq7rig.channel import SocketChannel
from vq7rig.errors import Hang
from vq7rig.kd import session
from vq7rig.machine import Config

LIMIT = 0.15            # seconds that are waited for each thing
BREAK = 3 * LIMIT


class Plug(hotplug.Plug):
    def is_in(self):
        return True


def boot(vm):
    vm.hello_timeout = LIMIT
    vm.boot()


# What is waited for, and the guest's faults.
WAITS = {
    "a command": (lambda vm: vm.console.command("info", quiet=LIMIT), ("hang",)),
    "a workload": (lambda vm: vm.console.command("blk run", timeout=LIMIT), ("busy",)),
    "a prompt": (lambda vm: vm.console.wait_prompt(LIMIT), ()),
    "a boot": (boot, ("silent",)),
    "its end": (lambda vm: vm.wait_off(LIMIT), ()),
    "a line in the log": (lambda vm: inflight.wait_log(vm, "x", timeout=LIMIT), ()),
    "a disk to go": (lambda vm: Plug(vm, 1).wait_out(LIMIT), ()),
    "devices": (lambda vm: hotplug.wait_devices(vm, 7, LIMIT), ()),
}


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """machine(faults) is a fake one with a kernel debugger's target on COM2."""
    monkeypatch.setenv("VQ7_FAKE_KD", "1")
    made = []

    def make(*faults):
        vm = fake_machine.make(Config(), tmp_path / "folder", faults)
        (vm.run / "debug.log").touch()
        made.append(vm)
        return vm

    yield make
    for vm in made:
        vm.com2.close()
        vm.destroy()


@pytest.mark.parametrize("what", [
    each if each in ("a command", "its end") else pytest.param(each, marks=pytest.mark.nightly)
    for each in WAITS])
def test_break_is_no_hang(machine, what):
    wait, faults = WAITS[what]
    vm = machine(*faults)
    if wait is not boot:
        vm.boot()
    with session.debugging(vm, []) as debugger, concurrent.futures.ThreadPoolExecutor(1) as pool:
        debugger.client.attach()
        waiting = pool.submit(wait, vm)
        time.sleep(BREAK)
        assert not waiting.done(), waiting.exception()
        debugger.client.go()
        with pytest.raises(Hang):
            waiting.result(10 * LIMIT)


def test_time_after_breaks_counts(machine):
    """Neither less nor more than what the guest ran."""
    vm = machine("hang")
    vm.boot()
    with session.debugging(vm, []) as debugger:
        debugger.client.attach()
        began, ran = vm.now(), 0.0
        for _ in range(2):
            debugger.client.go()
            went = time.monotonic()
            time.sleep(LIMIT)
            debugger.client.break_in()
            ran += time.monotonic() - went
            time.sleep(BREAK)
        assert LIMIT < vm.now() - began < ran + LIMIT
    assert vm.now() - began < ran + 2 * LIMIT + BREAK


def test_guest_that_takes_no_bytes():
    """Its serial port fills up while it stands still."""
    ours, theirs = socket.socketpair()
    stood_at = [0.0]
    with theirs, concurrent.futures.ThreadPoolExecutor(1) as pool:
        channel = SocketChannel(ours)
        filling = pool.submit(channel.send, bytes(1 << 24), LIMIT, lambda: stood_at[0])
        time.sleep(BREAK)
        assert not filling.done()
        stood_at[0] = LIMIT
        assert filling.result(10) is False
        channel.close()
