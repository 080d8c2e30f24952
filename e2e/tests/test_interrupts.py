# SPDX-License-Identifier: MIT
"""Interrupts and notifications: the mode in use, and what EVENT_IDX saves."""

import dataclasses

import pytest

from vq7rig.workload import Workload

from test_workloads import run

BUSY = Workload(ops=2000, depth=32, sizes=(4096,), seed=71, span=32768)


@pytest.mark.needs("msi")
@pytest.mark.smoke
@pytest.mark.on("interrupts_of_pc", nightly="interrupts")
def test_interrupt_mode(vm, config):
    """Without MSI-X in the device the line is used, with it messages."""
    (device,) = vm.console.command("devices").rows()
    assert device["interrupt"] == ("line" if config.interrupt == "line" else "message")
    assert int(device["vectors"]) >= 1
    if config.interrupt == "line":
        assert device["vectors"] == "1"
    answer = run(vm, BUSY)
    assert answer.num("interrupts") > 0
    assert answer.num("dpcs") > 0


@pytest.mark.on("one", nightly="flavours", settings=("vq7test.MSISupported=0",))
def test_messages_refused_by_the_registry(vm):
    """MSISupported=0: the line is used although the device has MSI-X."""
    (device,) = vm.console.command("devices").rows()
    assert device["interrupt"] == "line"
    assert run(vm, BUSY).num("interrupts") > 0


@pytest.mark.on("interrupts_of_pc", nightly="interrupts")
def test_one_at_a_time_needs_an_interrupt_each(vm):
    """At depth 1 nothing can be shared: no interrupt may be lost, none is saved."""
    answer = run(vm, Workload(ops=300, depth=1, sizes=(512,), seed=72, span=4096))
    assert answer.num("interrupts") >= answer.num("submitted")
    assert answer.num("notifications") == answer.num("submitted")


@pytest.mark.on("event_idx")
def test_event_idx_suppresses_notifications(vm, note):
    """A device that is faster than the guest for a while asks for each of them: so the load is
    run until it was slower once."""
    for seed in range(BUSY.seed, BUSY.seed + 10):
        answer = run(vm, dataclasses.replace(BUSY, seed=seed))
        if answer.num("suppressed") > 0:
            break
    for name in ("notifications", "suppressed", "interrupts"):
        note(name, answer.num(name))
    assert answer.num("suppressed") > 0
    assert 0 < answer.num("notifications") < answer.num("submitted")


@pytest.mark.on("no_event_idx")
def test_without_event_idx(vm, note):
    answer = run(vm, BUSY)
    for name in ("notifications", "suppressed", "interrupts"):
        note(name, answer.num(name))
    assert answer.num("notifications") > 0
