# SPDX-License-Identifier: MIT
"""The kernel debugger on COM2: descriptor tables and task register that a debugger writes, what
comes with an answer, also when that is sent again, and what one who died has left."""

import struct

import pytest

from kd_bench import MACHINE, STEP
from vq7rig.clock import now
from vq7rig.kd import wire
from vq7rig.kd import messages as m
from vq7rig.kd.context import SPECIAL_SIZE

SUCCESS, UNSUCCESSFUL = 0, 0xC0000001
SPECIAL, RESTORE_BREAKPOINTS = 2, 0x3148
BUSY = 1 << 41                          # of a task's descriptor, Intel SDM volume 3A, 7.2.3
# Longer than an answer, and its check sum is wrong.
DAMAGED = struct.pack("<IHHII", 0x30303030, 2, 200, 0x80800000, 1) + b"\x70" * 200 + b"\xaa"
pytestmark = pytest.mark.needs("debugger")


def loaded(kd, **values):
    """The special registers that the processor has after it was told these."""
    special = kd.client.special()
    for name, value in values.items():
        special[name] = value
    kd.client.set_special(special)
    kd.go()
    kd.break_in()
    return kd.client.special()


@pytest.mark.on("one", settings=MACHINE)
def test_descriptor_tables_are_loaded(kd):
    """Both move to copies; then the task register to another descriptor; and back."""
    first, place = kd.client.special(), kd.evaluate("nt!KiIstStacks")
    gdt = kd.client.read(first["gdtr"], first["gdtl"] + 1)
    idt = kd.client.read(first["idtr"], first["idtl"] + 1)
    task = gdt[first["tr"]:first["tr"] + 16]
    assert int.from_bytes(task[:8], "little") & BUSY
    kept = kd.client.read(place, len(idt) + len(gdt) + 16)
    kd.client.write(place, idt + gdt + task)
    moved = {"gdtr": place + len(idt), "gdtl": len(gdt) + 15, "idtr": place}
    has = loaded(kd, **moved)
    assert {name: has[name] for name in moved} == moved and has["tr"] == first["tr"]
    assert loaded(kd, tr=len(gdt))["tr"] == len(gdt)
    # The processor refuses a selector of code.
    code = kd.client.context()["cs"]
    has = loaded(kd, tr=code, ldtr=code)
    assert (has["tr"], has["ldtr"]) == (len(gdt), first["ldtr"])
    old = {name: first[name] for name in ("gdtr", "gdtl", "idtr", "tr")}
    has = loaded(kd, **old)
    assert {name: has[name] for name in old} == old
    assert kd.client.read(first["gdtr"], len(gdt)) == gdt
    kd.client.write(place, kept)


@pytest.mark.on("one", settings=MACHINE)
def test_an_answer_has_what_was_written(kd):
    """Special registers, as Windows answers; in full, by half, and of no processor."""
    special = bytes(kd.client.special())
    for data in (special, special[:0x50], b""):
        got = kd.client.request(m.Api.WRITE_CONTROL, struct.pack("<QI", SPECIAL, 77), data)
        assert (got.status, got.data) == (SUCCESS, data)
        assert struct.unpack_from("<QII", got.union)[2] == len(data)
    got = kd.client.request(m.Api.WRITE_CONTROL, struct.pack("<QI", 0, 8), bytes(8))
    assert (got.status, got.data) == (UNSUCCESSFUL, bytes(8))
    assert bytes(kd.client.special())[:SPECIAL_SIZE] == special


@pytest.mark.on("one", settings=MACHINE)
def test_regression_an_answer_is_the_same_when_sent_again(kd):
    """It was sent from where the next bytes come in."""
    link, data, came = kd.client.link, bytes(range(0x40, 0x40 + 40)), []
    take, link._take = link._take, lambda item: (came.append(item), take(item))
    request = m.request(RESTORE_BREAKPOINTS, 0, struct.pack("<II", 10, 0), data)
    try:
        link._put(wire.data(wire.STATE_MANIPULATE, link._mine, request))
        link._write(DAMAGED)
        link.ask_again()
        until = now() + STEP
        while len(answers := [each for each in came if not each.control]) < 2 and now() < until:
            link._pump(0.1)
    finally:
        link._take = take
        link._mine ^= 1
        link._inbox.clear()
    first, again = (m.reply(each.payload) for each in answers[:2])
    assert (first.api, first.status, first.data) == (RESTORE_BREAKPOINTS, UNSUCCESSFUL, data)
    assert (again.api, again.status, again.data) == (RESTORE_BREAKPOINTS, UNSUCCESSFUL, data)


@pytest.mark.on("one", settings=MACHINE)
def test_a_break_in_finds_it_stopped(kd):
    """Without a RESET behind it: the state comes once more, and nothing is left of it."""
    event, stops = kd.client.event, kd.client.stops
    kd.client.link.break_in()
    kd.client._set_event(None)
    again = kd.wait(STEP)
    assert (again.pc, again.code, kd.client.stops) == (event.pc, event.code, stops + 1)
    kd.go()
    assert kd.client.poll(0.5) is None, "it broke in once more"
    kd.break_in()


@pytest.mark.on("one", settings=MACHINE)
def test_breakpoints_of_a_debugger_that_died(kd):
    """None can be set twice, so who comes after it takes them out first."""
    where = kd.evaluate("vq7test!VirtqSplitGetUsed")
    code = kd.client.read(where, 1)
    kd.client.write_breakpoint(where)           # nobody knows of it
    made = kd.breakpoints.add("where", where)
    kd.breakpoints.insert()
    assert kd.client.read(where, 1) == b"\xcc" and made.handle is not None
    kd.breakpoints.withdraw()
    kd.breakpoints.remove(made)
    assert kd.client.read(where, 1) == code
