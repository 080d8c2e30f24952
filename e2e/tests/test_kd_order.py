# SPDX-License-Identifier: MIT
"""The kernel debugger on COM2 as one asks it that isn't ours: WinDbg's order of requests, raw
packets, and the offsets of Windows 7 SP1 for x64 by heart."""

import struct
import time

import pytest

from kd_bench import MACHINE, connected
from kd_raw import MANIPULATE, RESEND, SWITCH_PROCESSOR, attached
from vq7rig.kd import session

pytestmark = pytest.mark.needs("debugger")
SUCCESS, UNSUCCESSFUL, NO_SUCH_DEVICE = 0, 0xC0000001, 0xC000000E
GET_CONTEXT, SET_CONTEXT, RESTORE, VERSION = 0x3132, 0x3133, 0x3135, 0x3146
READ, WRITE_CONTROL, READ_MSR, WRITE_MSR = 0x3130, 0x3138, 0x3152, 0x3153
GET_BUS, SET_BUS, CLEAR_INTERNAL, QUERY = 0x3157, 0x3158, 0x315A, 0x315C
SHARED = 0xFFFFF78000000000             # KUSER_SHARED_DATA
PKRS = 0x6E1                            # an MSR that takes 32 bits


@pytest.fixture
def raw(vm):
    connected.close()
    with attached(vm.run / session.SOCKET) as raw:
        yield raw
    vm.console.command("info")


def block_of(raw):
    """(version's kernel base, the debugger data block)"""
    status, version, data = raw.ask(VERSION, "<HHBBHHBBBBHQQQ", *[0] * 14)
    major, minor, protocol, secondary, flags, machine, packets, states, requests, *_ = version
    assert (status, data, major, minor) == (SUCCESS, b"", 0xF, 7601)
    assert (protocol, secondary, flags, machine) == (6, 2, 6, 0x8664)
    assert packets == 12 and states == 3 and requests >= 0x2D
    kernel, modules, head = version[-3:]
    at = raw.number(head)
    assert (raw.number(head + 8), raw.number(at), raw.number(at + 8)) == (at, head, head)
    assert struct.unpack("<4sI", raw.read(at + 0x10, 8)) == (b"KDBG", 0x340)
    block = raw.read(at, 0x340)
    assert struct.unpack_from("<Q", block, 0x18) == (kernel,)
    assert struct.unpack_from("<Q", block, 0x48) == (modules,)
    return block


def field(block, offset, size=8):
    return int.from_bytes(block[offset:offset + size], "little")


@pytest.mark.on("one", settings=MACHINE)
def test_what_a_debugger_asks_first(raw):
    """Breakpoints of one before it, version, data block, system, processor, registers."""
    state = raw.state
    kind, level, cpu, cpus, thread, pc = struct.unpack_from("<IHHI4xQQ", state)
    assert (kind, cpu, cpus, len(state)) == (0x3030, 0, 1, 240) and level
    assert struct.unpack_from("<I", state, 32) == (0x80000003,)
    raw.send(CLEAR_INTERNAL)
    for handle in range(1, 33):
        assert raw.ask(RESTORE, "<I", handle)[0] == UNSUCCESSFUL, handle
    block = block_of(raw)
    assert raw.read(field(block, 0x20), 1) == b"\xcc" and field(block, 0x36, 2) & 1
    assert raw.number(field(block, 0x268), 4) >> 8 & 0xFF == 1, "service pack"
    assert raw.read(field(block, 0x208), 5) == b"7601."
    assert raw.read(SHARED + 0x2E, 2) == b"\x64\x86"
    assert raw.read(SHARED + 0x30, 20).decode("utf-16-le") == "C:\\Windows"
    assert (raw.number(SHARED + 0x26C, 4), raw.number(SHARED + 0x270, 4)) == (6, 1)
    assert raw.number(SHARED + 0x2D4, 1) == 3, "debugger enabled, and there"
    check_processor(raw, block, thread)
    context = check_registers(raw, block)
    assert struct.unpack_from("<Q", context, 0xF8) == (pc,)
    assert struct.unpack_from("<H", context, 0x38) == struct.unpack_from("<H", state, 232)
    assert raw.read(pc, 16)[:1] == b"\xcc" == state[216:217]
    status, (_, zero, kind, flags), _ = raw.ask(QUERY, "<QQII", field(context, 0x98), 9, 0, 0)
    assert (status, zero, kind, flags) == (SUCCESS, 0, 2, 7)
    assert raw.ask(QUERY, "<QQII", 1 << 46, 0, 0, 0)[1][2] == 2, "above what a process has"
    for offset in (0x50, 0x88, 0xF8, 0x138, 0x220, 0x270):
        assert field(block, offset), f"{offset:#x}"
    assert raw.read(field(block, 0x88), 40) == bytes(40), "KiBugCheckData: none"


def check_processor(raw, block, thread):
    """KPCR and KPRCB, by control space, array, MSR, and each other."""
    pcr, prcb, now = (field(raw.space(each, 8), 0) for each in (0, 1, 3))
    assert (now, prcb) == (thread, pcr + 0x180)
    assert raw.number(pcr + 0x18) == pcr and raw.number(pcr + 0x20) == prcb
    assert raw.read(field(block, 0x218), 16) == struct.pack("<QQ", prcb, 0)
    assert raw.ask(READ_MSR, "<III", 0xC0000101, 0, 0) == \
        (SUCCESS, (0xC0000101, pcr & 0xFFFFFFFF, pcr >> 32), b"")
    assert raw.read(pcr + 0x60, 4) == raw.read(prcb + 0x638, 4) == b"\1\0\1\0"
    assert raw.number(prcb + 8) == thread and raw.number(prcb + 0x18)
    assert raw.number(prcb + 0x24, 4) == 0 == raw.number(prcb + 4, 1)
    assert raw.number(prcb + 0x5F1, 1) == 1 and raw.number(prcb + 0x5F4, 4) > 0
    assert raw.read(prcb + 0x63D, 3) in (b"\2\1\1", b"\1\1\1")
    assert raw.number(prcb + 0x660) == 1
    assert raw.read(prcb + 0x4BB8, 13) in (b"GenuineIntel\0", b"AuthenticAMD\0")
    assert raw.number(prcb + 0x21DA, 1) in (0, 1) and raw.number(prcb + 0x4718, 1) <= 15
    assert raw.number(prcb + 0x4BD8) == prcb + 0x120
    for offset, value in ((0x2B2, 0x21DA), (0x2B4, 8), (0x2B6, 0x5F4), (0x2B8, 0x5F0),
                          (0x2BA, 0x4BB8), (0x2BC, 0x120), (0x2BE, 0x24), (0x2F2, 0x40),
                          (0x2E2, 0x18), (0x2E4, 0x20), (0x2E6, 0x180), (0x338, 0x4BD8),
                          (0x2B0, 0x4D00), (0x2A8 + 8, 0x4D00), (0x2AA, 0x338), (0x2AE, 0x28)):
        assert field(block, offset, 2) == value, f"{offset:#x}"


def check_registers(raw, block):
    """The same by request and in the KPRCB; descriptor tables as the KPCR has them."""
    pcr, prcb, thread = (field(raw.space(each, 8), 0) for each in (0, 1, 3))
    special = raw.space(2, 0xD8)
    status, _, context = raw.ask(GET_CONTEXT, "<I", 0)
    assert (status, len(context)) == (SUCCESS, 0x4D0)
    assert field(context, 0x30, 4) & 0x10000F == 0x10000F
    assert raw.read(prcb + 0x40, 0xD8) == special and raw.read(prcb + 0x120, 0x4D0) == context
    gdt, idt = field(special, 0x58), field(special, 0x68)
    assert (raw.number(pcr), raw.number(pcr + 0x38)) == (gdt, idt)
    code = raw.number(gdt + (field(context, 0x38, 2) & ~7))
    assert code >> 47 & 1 and code >> 53 & 1 and code >> 43 & 3 == 3, "present, 64-bit code"
    task = raw.read(gdt + (field(special, 0x70, 2) & ~7), 16)
    base = field(task, 2, 2) | task[4] << 16 | task[7] << 24 | field(task, 8, 4) << 32
    assert raw.number(pcr + 8) == base and field(special, 0x56, 2) >= 0x40
    kernel = field(block, 0x18)
    size = raw.number(kernel + raw.number(kernel + 0x3C, 4) + 0x50, 4)
    for vector in (0, 3, 8, 14, 0x2D):
        low, selector, middle, high = struct.unpack("<HH2xHI", raw.read(idt + 16 * vector, 12))
        at = low | middle << 16 | high << 32
        assert kernel < at < kernel + size and selector == field(context, 0x38, 2), vector
    process = raw.number(thread + 0x70)
    assert raw.number(process + 0x28) & ~0xFFF == field(special, 0x10) & ~0xFFF
    return context


@pytest.mark.on("one", settings=MACHINE)
def test_lists_that_a_debugger_walks(raw):
    """Modules with their PDBs' identities; processes and threads."""
    block = block_of(raw)
    names = []
    for entry in raw.list(field(block, 0x48)):
        base, start, size = struct.unpack("<QQI", raw.read(entry + 0x30, 20))
        name, path = raw.text(entry + 0x58), raw.text(entry + 0x48)
        assert path.endswith(name) and base <= start < base + size
        names.append(name)
        pe = base + raw.number(base + 0x3C, 4)
        assert raw.read(base, 2) == b"MZ" and raw.read(pe, 6) == b"PE\0\0\x64\x86"
        assert raw.number(pe + 24, 2) == 0x20B and raw.number(pe + 0x50, 4) == size
        debug = base + raw.number(pe + 24 + 112 + 6 * 8, 4)
        kind, length, rva = struct.unpack("<III", raw.read(debug + 12, 12))
        record = raw.read(base + rva, length)
        assert kind == 2 and record[:4] == b"RSDS" and any(record[4:20])
        assert b".pdb" in record[24:].lower()
    assert names[0] == "ntoskrnl.exe" and names[1] == "hal.dll" and "vq7test.sys" in names
    assert raw.number(next(raw.list(field(block, 0x48))) + 0x30) == field(block, 0x18)
    process, = raw.list(field(block, 0x50), 0x188)
    assert raw.number(process, 1) == 3, "the dispatcher header's type"
    assert (raw.number(process + 0x180), raw.number(process + 0x338)) == (4, 0)
    assert raw.read(process + 0x2E0, 7) == b"System\0"
    threads = list(raw.list(process + 0x308, 0x420))
    assert len(threads) == raw.number(process + 0x328, 4) > 1
    assert threads == list(raw.list(process + 0x30, 0x2F8))
    for each in threads:
        limit, saved, base = (raw.number(each + at) for at in (0x30, 0x38, 0x278))
        assert raw.number(each, 1) == 6 and limit < saved < base
        assert raw.number(each + 0x210) == raw.number(each + 0x70) == process
        assert raw.number(each + 0x3B0) == 4 and raw.number(each + 0x3B8) % 4 == 0
        assert 0 <= raw.number(each + 0x164, 1) <= 8 and raw.number(each + 0x388)
        assert raw.number(each + 0xB8) == 0 and 1 <= raw.number(each + 0x7B, 1) <= 31


@pytest.mark.on("one", settings=MACHINE)
def test_at_the_edges(raw):
    """Reads of no byte, of more than fits, across a page that isn't there; an unknown id; a
    processor that isn't there; registers that the processor refuses."""
    kernel = field(block_of(raw), 0x18)
    end = kernel + (raw.number(kernel + raw.number(kernel + 0x3C, 4) + 0x50, 4) + 0xFFF & ~0xFFF)
    assert raw.ask(READ, "<QII", kernel, 0, 9) == (SUCCESS, (kernel, 0, 0), b"")
    assert raw.ask(READ, "<QII", 0, 0, 9) == (SUCCESS, (0, 0, 0), b"")
    for count in (3945, 0xFFFFFFFF):
        status, (_, _, actual), data = raw.ask(READ, "<QII", kernel, count, 0)
        assert (status, actual, len(data)) == (SUCCESS, 3944, 3944)
    status, (_, _, actual), data = raw.ask(READ, "<QII", end - 8, 64, 0)
    assert (status, actual, len(data)) == (UNSUCCESSFUL, 8, 8)
    assert raw.ask(READ, "<QII", 0x10, 64, 0)[0::2] == (UNSUCCESSFUL, b"")
    request = struct.pack("<IHHII", VERSION, 0, 0, 0, 0).ljust(56, b"\0")
    for id_ in (0, 0x12345678, 0x80800002, 0x80801000):
        raw.data(request, id_=id_)
        assert raw.packet() == (False, RESEND, 0, b""), f"{id_:#x}"
    block_of(raw)
    check_no_processor(raw)
    assert raw.ask(WRITE_MSR, "<III", PKRS, 0, 1)[0] == NO_SUCH_DEVICE
    # Bits that are reserved in DR7 and CR8, which a processor refuses. (QEMU's own never gets
    # over a CR4 that it refuses, and refuses no other control register.)
    before = raw.space(2, 0xD8)
    assert raw.ask(WRITE_CONTROL, "<QII", 2, 0xD8, 0, data=before[:0x48] + b"\xff" * 8 +
                   before[0x50:0xA0] + struct.pack("<Q", 0xFFF0 | before[0xA0]) +
                   before[0xA8:])[0] == SUCCESS
    raw.go(dr7=0xFFFFFFFFFFFFFC00)
    raw.attach()
    after = raw.space(2, 0xD8)
    assert after[0xA0:0xA8] == before[0xA0:0xA8] and after[0x4C:0x50] == bytes(4)
    assert raw.ask(WRITE_CONTROL, "<QII", 2, 0xD8, 0, data=before)[0] == SUCCESS


def check_no_processor(raw):
    context = raw.ask(GET_CONTEXT, "<I", 0)[2]
    assert raw.ask(GET_CONTEXT, "<I", 0, processor=1)[0::2] == (UNSUCCESSFUL, b"")
    assert raw.ask(SET_CONTEXT, "<I", 0, data=context, processor=1)[0] == UNSUCCESSFUL
    for number in range(4):
        status, (_, _, actual), data = raw.ask(0x3137, "<QII", number, 8, 0, processor=7)
        assert (status, actual, data) == (UNSUCCESSFUL, 0, b"")
    assert raw.ask(SET_CONTEXT, "<I", 0, data=context)[0] == SUCCESS
    state = raw.state
    for number in (1, 0):
        raw.send(SWITCH_PROCESSOR, processor=number)
        assert raw.stop() == state, "the same stop"
    # A stop of its own, though: who hasn't read its registers can't write them.
    assert raw.ask(SET_CONTEXT, "<I", 0, data=context)[0] == UNSUCCESSFUL
    assert raw.ask(GET_CONTEXT, "<I", 0)[2] == context
    assert raw.ask(SET_CONTEXT, "<I", 0, data=context)[0] == SUCCESS


@pytest.mark.on("one", settings=MACHINE)
def test_configuration_space(raw):
    """Of the host bridge: read, a write that is read back, a function that isn't there."""
    status, union, data = raw.ask(GET_BUS, "<IIIII", 4, 0, 0, 0, 64)
    assert (status, union[4], len(data), data[:2]) == (SUCCESS, 64, 64, b"\x86\x80")
    latency = data[0x0D:0x0E]
    for value in (b"\x40", latency):
        assert raw.ask(SET_BUS, "<IIIII", 4, 0, 1, 0x3C, 1, data=value)[:2] == \
            (SUCCESS, (4, 0, 1, 0x3C, 1))
    for number in (0, 5000):
        status, union, data = raw.ask(GET_BUS, "<IIIII", 4, 0, 0, 0, number)
        assert union[4] == len(data) <= 256 and (status == SUCCESS) == bool(number)
    status, union, data = raw.ask(GET_BUS, "<IIIII", 4, 0, 31, 0, 4)
    assert (union[4], data) in ((2, b"\xff\xff"), (0, b"")), "as HalGetBusDataByOffset says"
    assert raw.ask(GET_BUS, "<IIIII", 77, 0, 0, 0, 4)[0::2] == (UNSUCCESSFUL, b"")


@pytest.mark.on("one", settings=MACHINE)
def test_steps_and_goes(raw):
    """One instruction, behind a break that the debugger has stepped over."""
    pc = struct.unpack_from("<Q", raw.state, 24)[0]
    assert raw.read(pc, 2) == b"\xcc\xc3", "DbgBreakPointWithStatus"
    _, _, context = raw.ask(GET_CONTEXT, "<I", 0)
    back = raw.number(field(context, 0x98))
    behind = context[:0xF8] + struct.pack("<Q", pc + 1) + context[0x100:]
    assert raw.ask(SET_CONTEXT, "<I", field(behind, 0x30, 4), data=behind)[0] == SUCCESS
    raw.go(trace=1)
    state = raw.stop()
    assert struct.unpack_from("<I", state, 32) == (0x80000004,), "single step"
    assert struct.unpack_from("<Q", state, 24) == (back,)
    assert struct.unpack_from("<I", state, 184) == (1,), "first chance"


@pytest.mark.on("one", settings=MACHINE)
def test_regression_a_debugger_that_reads_slowly(raw):
    """What the line has no room for waited 0.1 s, then it was lost."""
    kernel = field(block_of(raw), 0x18)
    once = raw.read(kernel, 3944)
    raw.send(READ, struct.pack("<QI", kernel, 3944))
    time.sleep(0.4)
    assert raw.said(MANIPULATE)[56:] == once
