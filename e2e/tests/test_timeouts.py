# SPDX-License-Identifier: MIT
"""A device that does not answer, and its way back: the driver's time-out, restarts, and what
the driver says about both. Our own vhost-user back end keeps requests to itself."""

import contextlib
import time

import pytest

from vq7rig import inflight
from vq7rig.errors import CommandError
from vq7rig.workload import Workload

# What is taken back and sent again: DMA under way, requests completed twice, cancelled.
pytestmark = pytest.mark.watched

BACKEND = ("backend=vhost-user", "sectors=32768")
MS, RETRIES = 250, 1            # for tests: the driver's own is a minute


@contextlib.contextmanager
def timeout(vm, ms=MS, retries=RETRIES):
    """The driver's time-out, for the length of a `with`."""
    before = vm.console.command("device timeout")
    vm.console.command(f"device timeout ms={ms} retries={retries}")
    try:
        vm.console.command("stats clear")
        yield
    finally:
        vm.backend.behave()
        vm.backend.release()
        vm.console.command(f"device timeout ms={before['timeout_ms']} retries={before['retries']}")


def device(vm):
    return dict(field.split("=", 1) for field in vm.console.command("devices").lines[0].split())


def serves(vm, seed):
    """As if nothing had been: every operation is verified, then the whole image."""
    load = Workload(ops=60, depth=16, seed=seed, span=8192)
    assert vm.console.command(load.command()).num("errors") == 0
    vm.console.command("blk flush")
    vm.expected.ran(load)
    vm.expected.check()
    assert device(vm)["state"] == "running"


def check_unanswered(vm):
    """Some are not answered, and are when they come again: nobody gets to know of it."""
    load = Workload(ops=120, depth=16, seed=31, span=8192)
    with timeout(vm, retries=8):        # a host under load is slow, too
        vm.backend.misbehave("hold", kind="write", when="after:20", times=3)
        assert vm.console.command(load.command()).num("errors") == 0
        vm.expected.ran(load)
        stats = vm.console.command("stats")
    assert stats["failed"].startswith("time-out:")
    assert 3 <= stats.num("resent") <= 16 * stats.num("restarts")
    assert stats.num("timed_out") == stats.num("errors") == 0
    vm.console.command("blk flush")
    vm.expected.check()


def check_never(vm):
    """One that is never answered fails once, and those that came with it don't."""
    with timeout(vm):
        vm.backend.misbehave("hold", kind="read")
        began = time.monotonic()
        with pytest.raises(CommandError) as failed:
            vm.console.command("blk read 0 8 quiet=1")
        assert time.monotonic() - began > MS / 1000 * (1 + RETRIES)
        assert failed.value.name == "STATUS_IO_TIMEOUT"
        stats = vm.console.command("stats")
    assert stats["failed"] == f"time-out:{1 + RETRIES}"
    assert (stats.num("resent"), stats.num("timed_out")) == (RETRIES, 1)
    assert stats.num("restarts") == 1 + RETRIES
    assert device(vm)["failure"] == "time-out"
    vm.console.command("blk write 0 8 seed=5 gen=1")
    vm.expected.wrote(0, 8, 5, 1)


def check_restart(vm):
    """Asked for, also without need."""
    vm.console.command("stats clear")
    vm.console.command("device restart")
    vm.console.command("device restart")
    stats = vm.console.command("stats")
    assert (stats.num("restarts"), stats.num("failures")) == (2, 0)


@pytest.mark.on("one", nightly="interrupts_of_pc", options=BACKEND)
def test_a_device_that_does_not_answer(vm):
    check_unanswered(vm)
    check_never(vm)
    check_restart(vm)
    serves(vm, 32)


@pytest.mark.nightly
@pytest.mark.on("transports", options=BACKEND)
def test_a_machine_that_stands_still_is_not_late(vm):
    """A paused machine, longer than the time-out: its device has had no time to answer."""
    with timeout(vm, ms=2000):
        vm.backend.misbehave("hold", kind="read")
        held = vm.backend.status()["held"]
        with inflight.background(vm.console.command, "blk read 0 8 quiet=1") as answer:
            vm.backend.wait("held", held + 1)
            with vm.stopped():
                time.sleep(5)
                vm.backend.behave()
                vm.backend.release()
            assert answer.result().ok
        stats = vm.console.command("stats")
    assert (stats.num("restarts"), stats.num("failures")) == (0, 0)
    serves(vm, 33)


@pytest.mark.nightly
@pytest.mark.on("transports", options=BACKEND)
def test_off(vm):
    with timeout(vm, ms=0):
        vm.backend.misbehave("hold", kind="read")
        with inflight.background(vm.console.command, "blk read 0 8 quiet=1") as answer:
            time.sleep(3)
            assert not answer.done()
            vm.backend.behave()
            vm.backend.release()
            assert answer.result().ok
        assert vm.console.command("stats").num("restarts") == 0
    serves(vm, 34)


EVENTS = [("powercycle", 0), ("powercycle", 100), ("powercycle", 250), ("powercycle", 400),
          ("cancel", 0), ("close", 0), ("unload", 0)]


@pytest.mark.nightly
@pytest.mark.on("transports", nightly="interrupts_of_pc", options=BACKEND)
def test_a_time_out_meets_an_event(vm):
    """The device says nothing any more, and is reset for it, while it is powered down and up,
    while requests are cancelled and handles closed, and while the driver is to go."""
    for event, hold in EVENTS:
        load = Workload(ops=80, depth=8, write=0, seed=35, span=8192)
        with timeout(vm):
            for reading in (20, 30, 45):
                vm.backend.misbehave("hold", kind="read", when=f"after:{reading}", times=3)
            answer = vm.console.command(f"{load.command()} then={event} after=16 hold={hold}",
                                        timeout=90)
        assert answer.num("duplicates") == answer.num("miscompares") == 0, event
        serves(vm, 36)
