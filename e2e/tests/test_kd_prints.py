# SPDX-License-Identifier: MIT
"""The kernel debugger on COM2: what is printed, asked, asserted. The target, broken into, calls
the functions that a driver calls."""

import pytest

from kd_bench import MACHINE, STEP, call, calling
from vq7rig.kd import messages as m

ERROR, INFO, ALWAYS, NO_COMPONENT = 0, 3, 0xFFFFFFFF, 146
# Numbers of dpfilter.h.
COMPONENTS = {"SYSTEM": 0, "IHVDRIVER": 77, "DEFAULT": 101, "ALPC": 105, "DRIVEEXTENDER": 145}
INVALID_1 = 0xC00000EF
QUESTION = ("Break repeatedly, break Once, Ignore, terminate Process, or terminate Thread "
            "(boipt)? ")


def mask(kd, name, value):
    """`ed nt!Kd_<name>_Mask`"""
    kd.write(kd.evaluate(f"nt!Kd_{name}_Mask"), value.to_bytes(4, "little"))


@pytest.mark.nightly
@pytest.mark.on("one", settings=MACHINE)
def test_each_component_has_its_mask(kd):
    """The first one, the last one, and where numbers would be wrong by one."""
    names = list(COMPONENTS)
    for name, number in COMPONENTS.items():
        mask(kd, name, 1 << INFO)
        other = COMPONENTS[names[names.index(name) - 1]]
        for component, level, wanted in ((number, INFO, 1), (other, INFO, 0), (other, ERROR, 1)):
            assert call(kd, "nt!DbgQueryDebugFilterState", component, level)[0] == wanted, name
        mask(kd, name, 0)


@pytest.mark.nightly
@pytest.mark.on("one", settings=MACHINE)
def test_prints_are_filtered(kd):
    """By component and level, with the masks that a debugger sets."""
    def printed(component, level):
        status, said = call(kd, "nt!DbgPrintEx", component, level, "%s %d\n", "said", 42)
        assert (status, said) in ((0, ""), (0, "said 42\n"))
        return said != ""

    def state(component, level):
        return call(kd, "nt!DbgQueryDebugFilterState", component, level)[0]

    assert not printed(77, INFO) and printed(77, ERROR)
    # From 32 on a level is a mask of its own.
    mask(kd, "IHVDRIVER", 0x88)
    assert printed(77, INFO) and state(77, 7) == 1
    assert state(77, 0x1080) == 1 and state(77, 0x1040) == 0
    mask(kd, "IHVDRIVER", 0)
    # Of Windows 2000: a mask for all.
    mask(kd, "WIN2000", 1 << INFO)
    assert state(77, INFO) == 1 and not printed(77, ERROR)
    mask(kd, "WIN2000", 0)
    assert state(0, ERROR) == 0 and printed(ALWAYS, ERROR)
    mask(kd, "WIN2000", 1)
    assert not printed(NO_COMPONENT, ERROR) and state(0x7FFFFFFF, ERROR) == INVALID_1
    assert call(kd, "nt!DbgSetDebugFilterState", 77, INFO, 1)[0] == 0 and state(77, INFO) == 1
    assert call(kd, "nt!DbgSetDebugFilterState", 77, INFO, 0)[0] == 0 and state(77, INFO) == 0
    assert call(kd, "nt!DbgSetDebugFilterState", NO_COMPONENT, INFO, 1)[0] == INVALID_1
    # DbgPrint is of the default component.
    mask(kd, "DEFAULT", 1 << INFO)
    assert call(kd, "nt!DbgPrint", "plain\n")[1] == "plain\n"
    mask(kd, "DEFAULT", 0)


@pytest.mark.on("one", settings=MACHINE)
def test_assertion(kd):
    """ASSERT asks what to do, until it is told to go on."""
    asked, answers = [], ["x", "", "Break", "p", "o", "i"]

    def answer(text):
        asked.append(text)
        return answers.pop(0)

    kd.client.on_prompt = answer
    kd.said.clear()
    with calling(kd, "nt!RtlAssert", "a == b", "driver.c", 12, "why: "):
        for breaks in range(2):                     # after "b" it asks again, after "o" not
            event = kd.wait(STEP)
            assert kd.name_of(event.pc) == "nt!DbgBreakPoint" and event.code == m.BREAKPOINT
            assert any(each.name.startswith("nt!RtlAssert") for each in kd.stack())
            assert len(asked) == (3, 5)[breaks]
            kd.go()
        kd.wait(STEP)
    assert asked == [QUESTION] * 5 and answers == ["i"]
    said = "".join(kd.said)
    assert said.count("\n*** Assertion failed: why: a == b\n***   Source File: driver.c, "
                      "line 12\n\n") == 5
    assert said.count("Execute '.cxr ") == 2
    _, said = call(kd, "nt!RtlAssert", "a == b", "driver.c", 12, 0)
    assert answers == [] and "*** Assertion failed: a == b\n" in said
    answers.append("abcdef")
    room = kd.evaluate("nt!KiIstStacks")
    kd.write(room, b"******")
    assert call(kd, "nt!DbgPrompt", "name? ", room, 4)[0] == 4
    assert kd.client.read(room, 6) == b"abcd**" and asked[-1] == "name? "


@pytest.mark.on("one", settings=MACHINE)
def test_nt_assert(kd):
    """The instruction behind NT_ASSERT: first chance, at its own address; who goes on gets
    behind it."""
    where = kd.evaluate("nt!RtlRandomEx")
    code = kd.client.read(where, 3)
    kd.write(where, b"\xcd\x2c\xc3")               # int 2ch; ret
    with calling(kd, "nt!RtlRandomEx", 0):
        event = kd.wait(STEP)
        assert (event.code, event.pc, event.address) == (0xC0000420, where, where)
        assert event.first_chance
        kd.go()
        kd.wait(STEP)
    kd.write(where, code)
