# SPDX-License-Identifier: MIT
"""The kernel debugger on COM2: each request that Windows 7's target knows, as it answers.

The requests are made of numbers here, not by the client's own functions.
"""

import struct

import pytest

from kd_bench import DRIVER, MACHINE, STEP, calling, command, pump
from vq7rig.kd import messages as m
from vq7rig.kd.context import CONTEXT_SIZE

SUCCESS, UNSUCCESSFUL, INVALID, MISALIGNED = 0, 0xC0000001, 0xC000000D, 0x80000002
NO_MORE_ENTRIES = 0x8000001A
GET_CONTEXT_EX, SET_CONTEXT_EX, SET_CONTEXT = 0x315F, 0x3160, 0x3133
WRITE_BREAKPOINT, WRITE_BREAKPOINTS, RESTORE_BREAKPOINTS = 0x3134, 0x3147, 0x3148
READ_IO, WRITE_IO, READ_IO_EXTENDED, WRITE_IO_EXTENDED = 0x3139, 0x313A, 0x3144, 0x3145
CLEAR_INTERNAL, FILL, SEARCH, QUERY, LOW_MEMORY = 0x315A, 0x315B, 0x3156, 0x315C, 0x3159
GET_BUS_DATA, WRITE_VIRTUAL, SPECIAL = 0x3157, 0x3131, 2
# Special calls, internal breakpoints, page in, two old ones, partitions, a custom breakpoint;
# and what no version knows.
REFUSED = (*range(0x313F, 0x3144), 0x3151, 0x3154, 0x3155, 0x315D, 0x315E, 0x3161, 0x31FE,
           0, 0x3030, 0xFFFFFFFF)


def ask(kd, api, layout, *union, data=b"", processor=0):
    """(status, the union's members, what followed the header)"""
    got = kd.client.request(api, struct.pack(layout, *union), data, processor)
    assert (got.api, got.processor) == (api, processor)
    return got.status, struct.unpack_from(layout, got.union), got.data


@pytest.mark.on("one", settings=MACHINE)
def test_requests_nobody_answers(kd):
    """Each number is answered, and what isn't supported is refused as Windows does."""
    for api in REFUSED:
        assert ask(kd, api, "<I", 0)[0] == UNSUCCESSFUL, f"{api:#x}"
    kd.client.link.send(2, m.request(CLEAR_INTERNAL))           # the one without an answer
    assert ask(kd, LOW_MEMORY, "<I", 0)[0] == SUCCESS
    version = kd.client.version().raw
    assert version[10:13] == bytes((12, 3, 0x31)), "what it knows: packets, states, requests"
    for api in (0x3132, SET_CONTEXT, 0x3137, 0x3138, GET_CONTEXT_EX, SET_CONTEXT_EX):
        assert ask(kd, api, "<QI", 0, 8, data=bytes(8), processor=1)[0] == UNSUCCESSFUL, \
            f"{api:#x}: there is one processor"
    before = kd.client.stops
    assert kd.client.switch_processor(1).processor == 0, "as on Windows: the same one again"
    assert kd.client.stops == before + 1


@pytest.mark.on("one", settings=MACHINE)
def test_parts_of_the_context(kd):
    whole = bytes(kd.client.context())
    for offset, count in ((0, CONTEXT_SIZE), (0x78, 8), (0, 0), (CONTEXT_SIZE, 0), (0x4CF, 1)):
        status, (_, _, copied), data = ask(kd, GET_CONTEXT_EX, "<III", offset, count, 77)
        assert (status, copied, data) == (SUCCESS, count, whole[offset:offset + count])
    for offset, count in ((0, CONTEXT_SIZE + 1), (0x4CF, 2), (CONTEXT_SIZE + 1, 0),
                          (0xFFFFFFFF, 2), (2, 0xFFFFFFFF)):
        status, (_, _, copied), data = ask(kd, GET_CONTEXT_EX, "<III", offset, count, 77)
        assert (status, copied, data) == (UNSUCCESSFUL, 0, b""), (offset, count)
    r11 = 0xD0                                          # its offset in the context
    status, (_, _, copied), data = ask(kd, SET_CONTEXT_EX, "<III", r11, 8, 0, data=b"\x5a" * 8)
    assert (status, copied, data) == (SUCCESS, 8, b"")
    assert bytes(kd.client.context()) == whole[:r11] + b"\x5a" * 8 + whole[r11 + 8:]
    for offset, count, data in ((r11, 9, bytes(8)), (0x4CF, 2, bytes(2)),
                                (0xFFFFFFFF, 2, bytes(2))):
        status, (_, _, copied), _ = ask(kd, SET_CONTEXT_EX, "<III", offset, count, 0, data=data)
        assert (status, copied) == (UNSUCCESSFUL, 0), (offset, count)
    # What a debugger leaves out at the end stays.
    assert ask(kd, SET_CONTEXT, "<I", 0, data=whole[:r11 + 8])[0] == SUCCESS
    assert bytes(kd.client.context()) == whole


@pytest.mark.on("one", settings=MACHINE)
def test_context_is_set_by_who_has_read_it(kd):
    """At each stop anew, else an old one would be written."""
    context = bytes(kd.client.context())
    kd.client.link.resync(STEP)                         # the same stop, told again
    kd.client._set_event(None)
    kd.wait(STEP)
    assert ask(kd, SET_CONTEXT, "<I", 0, data=context)[0] == SUCCESS
    kd.go()
    kd.client.break_in()
    part = struct.pack("<III", 0x78, 8, 0)
    assert kd.client.request(SET_CONTEXT, data=context).status == UNSUCCESSFUL
    assert kd.client.request(SET_CONTEXT_EX, part, context[0x78:0x80]).status == UNSUCCESSFUL
    assert kd.client.request(GET_CONTEXT_EX, part).status == SUCCESS
    assert kd.client.request(SET_CONTEXT_EX, part, kd.client.request(GET_CONTEXT_EX, part).data) \
        .status == SUCCESS


@pytest.mark.on("one", settings=MACHINE)
def test_several_breakpoints_at_once(kd):
    where = [kd.evaluate(f"vq7test!{each}") for each in ("BlkService", "Vq7EvtIsr")]
    code = [kd.client.read(each, 1) for each in where]

    def write(*pairs, count=None):
        data = b"".join(struct.pack("<QII", *pair, 0) for pair in pairs)
        status, _, data = ask(kd, WRITE_BREAKPOINTS, "<II", len(pairs) if count is None else count,
                              0, data=data)
        return status, [handle for _, handle, _ in struct.iter_unpack("<QII", data)]

    status, handles = write((where[0], 0), (where[1], 0))
    assert status == SUCCESS and 0 not in handles and handles[0] != handles[1]
    assert [kd.client.read(each, 1) for each in where] == [b"\xcc"] * 2
    # The first one is to move to the second's place, where there is one already.
    status, moved = write((where[1], handles[0]), (0, 0))
    assert (status, moved) == (UNSUCCESSFUL, [0, 0])
    assert [kd.client.read(each, 1) for each in where] == [code[0], b"\xcc"]
    assert write((where[0], 0), (0x123, 0)) == (UNSUCCESSFUL, [handles[0], 0])
    assert ask(kd, WRITE_BREAKPOINT, "<QI", where[0], 77)[:2] == (UNSUCCESSFUL, (where[0], 0))
    assert write((where[0], 0), count=2)[0] == UNSUCCESSFUL
    restore = struct.pack("<III", handles[0], handles[1], 31)
    status, _, data = ask(kd, RESTORE_BREAKPOINTS, "<II", 3, 0, data=restore)
    assert (status, data) == (UNSUCCESSFUL, restore), "there is none with the last handle"
    assert [kd.client.read(each, 1) for each in where] == code, "but the others are gone"
    assert ask(kd, RESTORE_BREAKPOINTS, "<II", 2, 0, data=bytes(4))[0] == UNSUCCESSFUL
    # With the status of a failure it goes on at once: that exception wasn't handled.
    kd.client.request(WRITE_BREAKPOINTS, struct.pack("<II", 0, 0x80010001))
    kd.client._set_event(None)
    again = kd.wait(STEP)
    assert again.code == m.BREAKPOINT and not again.first_chance


@pytest.mark.on("one", settings=MACHINE)
def test_a_breakpoint_that_is_hit_is_lifted(kd):
    """By the target itself, with those in the 16 bytes that it shows."""
    where = kd.evaluate("nt!RtlRandomEx")
    code = kd.client.read(where, 40)
    handles = [kd.client.write_breakpoint(where + each) for each in (0, 15, 16)]
    with calling(kd, "nt!RtlRandomEx", kd.evaluate("nt!KiIstStacks")):
        event = kd.client.wait(STEP, "the breakpoint")
        assert (event.code, event.pc, event.instructions) == (m.BREAKPOINT, where, code[:16])
        assert kd.client.read(where, 40) == code[:16] + b"\xcc" + code[17:]
        assert [kd.client.restore_breakpoint(each) for each in handles] == [False, False, True]
        kd._forget()
        kd.go()
        kd.wait(STEP)


@pytest.mark.on("one", settings=MACHINE)
def test_ports(kd):
    isa, bus, space = 1, 0, 1
    for api_out, api_in, before in ((WRITE_IO, READ_IO, None),
                                    (WRITE_IO_EXTENDED, READ_IO_EXTENDED, (isa, bus, space))):
        def access(api, port, size, value, before=before):
            if before is None:
                status, (_, size, value), _ = ask(kd, api, "<QII", port, size, value)
            else:
                status, (size, _, _, _, _, value), _ = ask(kd, api, "<IIIIQI", size, *before,
                                                           port, value)
            return status, size, value
        assert access(api_out, 0x70, 1, 0x0D) == (SUCCESS, 1, 0x0D)
        assert access(api_in, 0x71, 1, 0xFFFFFFFF) == (SUCCESS, 1, 0x80), "the RTC's battery"
        assert access(api_out, 0xCF8, 4, 0x80000000) == (SUCCESS, 4, 0x80000000)
        assert access(api_in, 0xCFC, 4, 0)[2] & 0xFFFF == 0x8086, "the host bridge"
        assert access(api_in, 0xCFC, 2, 0xFFFFFFFF) == (SUCCESS, 2, 0x8086)
        assert access(api_in, 0x71, 2, 0) == (MISALIGNED, 0, 0)
        for port, size in ((0x70, 3), (0x70, 0), (0x10000, 1), (0xFFFF, 2)):
            assert access(api_in, port, size, 0)[:2] != (SUCCESS, size), (port, size)
    for wrong in ((isa + 1, bus, space), (isa, 1, space), (isa, bus, 0)):
        assert ask(kd, READ_IO_EXTENDED, "<IIIIQI", 1, *wrong, 0x71, 0)[:2] == \
            (INVALID, (0, *wrong, 0x71, 0))
    # Configuration space of bus 0, slot 0, by offset.
    status, union, data = ask(kd, GET_BUS_DATA, "<IIIII", 4, 0, 0, 0, 4)
    assert (status, union[4], data[:2]) == (SUCCESS, 4, b"\x86\x80")


@pytest.mark.on("one", settings=MACHINE)
def test_memory_by_pattern(kd):
    """Search, fill, what kind of memory it is; on the driver's image and a stack's end."""
    module = kd.module_list.named(DRIVER)
    code = kd.evaluate("vq7test!BlkService")
    wanted = kd.client.read(code, 12)
    status, (found, _, _), _ = ask(kd, SEARCH, "<QQI", module.base, module.size, 12, data=wanted)
    assert status == SUCCESS and kd.client.read(found, 12) == wanted and found <= code
    assert ask(kd, SEARCH, "<QQI", code, 12, 12, data=wanted)[:2] == (SUCCESS, (code, 12, 12))
    assert ask(kd, SEARCH, "<QQI", code, 11, 12, data=wanted)[0] == NO_MORE_ENTRIES
    assert ask(kd, SEARCH, "<QQI", code, 64, 0)[0] == INVALID
    # Beyond a hole: pages that aren't there are passed over.
    assert ask(kd, SEARCH, "<QQI", code - (1 << 20), 1 << 21, 12, data=wanted)[0] == SUCCESS
    stack = kd.context["rsp"] - 0x200
    kept = kd.client.read(stack, 16)
    status, (_, length, _, _), _ = ask(kd, FILL, "<QIHH", stack, 7, 1, 3, data=b"abc")
    assert (status, length) == (SUCCESS, 7)
    assert kd.client.read(stack, 16) == b"abcabca" + kept[7:]
    assert ask(kd, FILL, "<QIHH", 0, 7, 1, 3, data=b"abc")[:2] == (UNSUCCESSFUL, (0, 0, 1, 3))
    assert ask(kd, FILL, "<QIHH", stack, 7, 4, 3, data=b"abc")[0] == INVALID
    kd.client.write(stack, kept)
    for address, space, kind in ((0x1000, 0, 0), (module.base, 0, 2)):
        assert ask(kd, QUERY, "<QQII", address, 99, space, 0)[:2] == \
            (SUCCESS, (address, 0, kind, 7))
    assert ask(kd, QUERY, "<QQII", module.base, 0, 1, 0)[0] == INVALID
    # A write is as long as what comes with it.
    assert ask(kd, WRITE_VIRTUAL, "<QII", stack, 99, 0, data=kept[:5])[:2] == \
        (SUCCESS, (stack, 99, 5))


@pytest.mark.on("one", settings=MACHINE)
def test_special_registers_are_loaded(kd):
    """When the target goes on: bits of CR0, CR3 and CR4 that change nothing for it, and the
    IRQL. What is read then is what the processor has."""
    harmless = {"cr0": 1 << 18, "cr3": 1 << 3, "cr4": 1 << 2}   # AM, PWT, TSD
    first = kd.client.special()
    for flip in (True, False):
        special = kd.client.special()
        for name, bit in harmless.items():
            special[name] ^= bit
        kd.client.set_special(special)
        kd.go()
        kd.break_in()
        for name, bit in harmless.items():
            assert kd.client.special()[name] ^ first[name] == bit * flip, name
    irql = first["cr8"]
    prcb = int.from_bytes(kd.client.control_space(1, 8), "little")
    assert kd.number(prcb + 0x4718, 1) == irql, "KPRCB.DebuggerSavedIRQL"
    for wanted in (15, irql):
        kd.set_register("cr8", wanted)
        kd.step()
        assert kd.client.special()["cr8"] == wanted


@pytest.mark.on("one", settings=MACHINE)
def test_who_only_says_go_on(kd):
    """Hardware breakpoints are on as a continue says; and off the instruction that it stands
    at the target moves by itself."""
    where, ticks = kd.evaluate("nt!KdCheckForDebugBreak"), kd.evaluate("nt!KiTickCount")
    special = kd.client.special()
    special["kdr0"], special["kdr7"] = where, 0x400
    kd.client.set_special(special)
    before = 0
    for _ in range(2):                                  # from the break, then from this one
        kd.client.go(dr7=0x402)
        event = kd.client.wait(STEP)
        assert (event.code, event.pc, event.dr6 & 1) == (m.SINGLE_STEP, where, 1), event
        assert kd.client.number(ticks) > before, "it went on in between"
        before = kd.client.number(ticks)
    kd.client.go(dr7=0x400)
    assert kd.client.break_in().code == m.BREAKPOINT
    special["kdr0"] = 0
    kd.client.set_special(special)
    kd._forget()


@pytest.mark.on("one", settings=MACHINE)
def test_data_block(kd, vm):
    """RAM as QEMU has it, and images that have gone, with the breakpoints in them."""
    descriptor = kd.number(kd.kernel.field(0x270))
    runs, pages = kd.number(descriptor, 4), kd.number(descriptor + 8)
    listed = [struct.unpack("<QQ", kd.read(descriptor + 16 + 16 * n, 16)) for n in range(runs)]
    assert sum(count for _, count in listed) == pages == kd.number(kd.kernel.field(0xF8))
    whole = int(vm.hmp("info memory_size_summary").split()[2])
    assert 0.9 < pages * 4096 / whole <= 1
    for first, count in listed:
        kd.client.read_physical(first << 12, 8)
        kd.client.read_physical((first + count << 12) - 8, 8)
    handle = kd.client.write_breakpoint(kd.evaluate("vq7test!DriverEntry"))
    module, next_ = kd.module_list.named(DRIVER), kd.number(kd.kernel.field(0x228), 4)
    kd.go()
    for text in ("driver unload", "driver load"):
        with command(kd, vm, text) as answer:
            pump(kd, answer)
    kd.break_in()
    assert not kd.client.restore_breakpoint(handle)
    gone = {}
    for n in range(next_, kd.number(kd.kernel.field(0x228), 4)):
        raw = kd.read(kd.number(kd.kernel.field(0x220)) + 40 * n, 32)
        length, buffer, start, end = struct.unpack("<H6xQQQ", raw)
        gone[kd.read(buffer, length).decode("utf-16-le")] = start, end
    assert gone["vq7test.sys"] == (module.base, module.base + module.size), gone
