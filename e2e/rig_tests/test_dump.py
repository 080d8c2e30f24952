# SPDX-License-Identifier: MIT
"""Dumps, from a memory that the tests lay out by hand: what is read, what is written, and what
is said of a file that is none."""

import os
import signal
import struct

import pytest

from vq7rig.dump import live, take, windows
from vq7rig.dump.elfcore import Core, write_virtual
from vq7rig.dump.frozen import Frozen
from vq7rig.dump.paging import mappings, read, translate
from vq7rig.dump.runs import Run
from vq7rig.errors import RigError
from vq7rig.kd.errors import KdError, Unreadable

PAGE = 0x1000
ROOT, L3, L2, L1 = 0x1000, 0x2000, 0x3000, 0x4000       # page tables
LOW = 0xFFFF8000_00000000                               # a direct map of 2 MiB
KERNEL = LOW + 0x200000                                 # and four pages behind it
PCR, VERSION, DATA, PRCB, SHARED_PAGE = 0x8000, 0x9000, 0xA000, 0x8180, 0xB000
SHARED_L3, SHARED_L2, SHARED_L1 = 0x5000, 0x6000, 0x7000
CONTEXTS, BUGCHECK = 0xC000, 0xD000
SIZE = 0x10000
LINK_SYSTEM = 0xE000                                    # empty lists


def memory(valid=True):
    """64 KiB of physical memory with page tables and what a debugger looks for first."""
    raw = bytearray(SIZE)

    def put(at, layout, *values):
        struct.pack_into(layout, raw, at, *values)

    put(ROOT + 256 * 8, "<Q", L3 | 3)
    put(L3, "<Q", L2 | 3)
    put(L2, "<QQ", 0 | 0x83, L1 | 3)                    # a page of 2 MiB at 0; a table
    put(L1, "<4Q", 0xD000 | 3, 0xE000 | 3, 0, 0xF000 | 3)
    put(ROOT + 0x1EF * 8, "<Q", SHARED_L3 | 3)          # FFFFF780`00000000
    put(SHARED_L3, "<Q", SHARED_L2 | 3)
    put(SHARED_L2, "<Q", SHARED_L1 | 3)
    put(SHARED_L1, "<Q", SHARED_PAGE | 3)
    put(SHARED_PAGE + 8, "<IiI", 5, 6, 6)               # interrupt time
    put(SHARED_PAGE + 0x14, "<IiI", 7, 8, 8)            # system time
    put(SHARED_PAGE + 0x264, "<I", 1)
    put(PCR + 0x108, "<Q", LOW + VERSION if valid else 0x123456789)
    put(VERSION, "<HHBBHHBBBBHQQQ", 0xF, 7601, 6, 2, 6, 0x8664, 12, 3, 0x2E, 0, 0,
        LOW, LOW + LINK_SYSTEM, LOW + VERSION + 0x100)
    put(VERSION + 0x100, "<Q", LOW + DATA)
    put(DATA + 0x10, "<4sI", b"KDBG", 0x340)
    put(DATA + 0x48, "<QQ", LOW + LINK_SYSTEM, LOW + LINK_SYSTEM + 16)
    put(DATA + 0x88, "<Q", LOW + BUGCHECK)
    put(DATA + 0x218, "<Q", LOW + VERSION + 0x200)
    put(VERSION + 0x200, "<Q", LOW + PRCB)
    put(DATA + 0x2F2, "<H", 0x40)
    put(DATA + 0x338, "<H", 0x200)
    put(PRCB + 0x200, "<Q", LOW + CONTEXTS)
    put(BUGCHECK, "<5Q", 0xD1, 1, 2, 3, 4)
    raw[0xF000:0xF004] = b"\xAA\xBB\xCC\xDD"
    return bytes(raw)


def cpu_note(cr0=0x80000001):
    general = [0] * 18
    general[0], general[6], general[16], general[17] = 0x11, LOW + 0x8F00, LOW + 0x100, 0x202
    segments = [(8 + i, 0xFFFF, 0, 0, 0) for i in range(10)]
    segments[4] = (0x2B, 0, 0, 0, LOW + PCR)
    state = struct.pack("<II18Q", 1, 440, *general)
    state += b"".join(struct.pack("<IIIIQ", *each) for each in segments)
    state += struct.pack("<6Q", cr0, 0, 0, ROOT, 0x20, 0)
    return struct.pack("<III5s3x", 5, len(state), 0, b"QEMU\0") + state


def elf(path, raw, pieces=((0, SIZE),), notes=cpu_note()):
    """An ELF core as QEMU writes one, with pieces of physical memory."""
    at = 64 + 56 * (1 + len(pieces))
    out = bytearray(struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 4, 62, 1, 0, 64, 0, 0, 64,
                                56, 1 + len(pieces), 0, 0, 0))
    out += struct.pack("<IIQQQQQQ", 4, 0, at, 0, 0, len(notes), len(notes), 0)
    offset = at + len(notes)
    for start, size in pieces:
        out += struct.pack("<IIQQQQQQ", 1, 0, offset, start, start, size, size, 0)
        offset += size
    out += notes
    for start, size in pieces:
        out += raw[start:start + size]
    path.write_bytes(out)
    return path


def physical(raw):
    def give(address, count):
        if not 0 <= address <= address + count <= len(raw):
            raise Unreadable(address, count, 0)
        return raw[address:address + count]
    return give


def test_pages():
    give = physical(memory())
    assert translate(give, ROOT, LOW + 0x1234) == (0x1234, 0x200000 - 0x1234)
    assert translate(give, ROOT, KERNEL + PAGE + 8) == (0xE008, PAGE - 8)
    assert translate(give, ROOT, KERNEL + 2 * PAGE) is None
    assert translate(give, ROOT, 0x1234) is None
    assert translate(give, ROOT, 1 << 60) is None           # not canonical
    assert translate(give, 0x123000, LOW) is None           # no table there
    assert read(give, ROOT, KERNEL + 3 * PAGE, 4) == b"\xAA\xBB\xCC\xDD"


def test_a_read_ends_where_nothing_is_mapped():
    with pytest.raises(Unreadable) as bad:
        read(physical(memory()), ROOT, KERNEL + 2 * PAGE - 6, 20)
    assert bad.value.done == 6


def test_mappings_that_touch_on_both_sides_are_one():
    found = mappings(physical(memory()), ROOT)
    assert found == [(LOW, 0x200000, 0), (KERNEL, 2 * PAGE, 0xD000),
                     (KERNEL + 3 * PAGE, PAGE, 0xF000),
                     (0xFFFFF780_00000000, PAGE, SHARED_PAGE)]


def test_core(tmp_path):
    with Core(elf(tmp_path / "core", memory())) as core:
        (cpu,) = core.cpus
        assert cpu.context["rip"] == LOW + 0x100 and cpu.context["rax"] == 0x11
        assert cpu.context["efl"] == 0x202 and cpu.context["gs"] == 0x2B
        assert cpu.special["cr3"] == ROOT and cpu.special["gsbase"] == LOW + PCR
        assert core.read(0xF000, 2) == b"\xAA\xBB"
        with pytest.raises(Unreadable) as bad:
            core.read(SIZE - 2, 4)
        assert bad.value.done == 2


def test_pieces_that_overlap_are_read_once(tmp_path):
    pieces = ((0, 0x9000), (0x8000, 0x8000), (0x8000, 0x1000))
    with Core(elf(tmp_path / "core", memory(), pieces)) as core:
        assert core.read(0, SIZE) == memory()
        assert [(run.start, run.end) for run in core.runs] == [(0, 0x9000), (0x9000, SIZE)]


def test_cpus_that_were_never_started_are_left_out(tmp_path):
    notes = cpu_note() + cpu_note(cr0=0x60000010)
    with Core(elf(tmp_path / "core", memory(), notes=notes)) as core:
        assert len(core.cpus) == 1
    with Core(elf(tmp_path / "core", memory(), notes=cpu_note(cr0=0x11))) as core:
        made = take._made(core, tmp_path, tmp_path)
    assert made.files == [take.CORE] and "no CPU uses paging" in made.why_not


@pytest.mark.parametrize("content, words", [
    (b"", "can't read"), (b"hello, world" * 20, "isn't ELF-64"),
    (b"\x7fELF\2\1\1", "cut short"),
    (struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 4, 62, 1, 0, 64, 0, 0, 64, 56, 0, 0, 0, 0),
     "QEMU's notes are missing")])
def test_no_core(tmp_path, content, words):
    (tmp_path / "core").write_bytes(content)
    with pytest.raises(RigError, match=words):
        Core(tmp_path / "core")


def test_core_for_gdb_has_the_virtual_addresses(tmp_path):
    with Core(elf(tmp_path / "core", memory())) as core:
        write_virtual(tmp_path / "gdb", core, mappings(core.read, ROOT))
    raw = (tmp_path / "gdb").read_bytes()
    count, = struct.unpack_from("<H", raw, 56)
    pieces = [struct.unpack_from("<IIQQQQQQ", raw, 64 + 56 * i) for i in range(1, count)]
    assert [(p[3], p[5]) for p in pieces] == [
        (LOW, SIZE), (KERNEL, 2 * PAGE), (KERNEL + 3 * PAGE, PAGE), (0xFFFFF780_00000000, PAGE)]
    (at,) = [p[2] for p in pieces if p[3] == KERNEL + 3 * PAGE]
    assert raw[at:at + 4] == b"\xAA\xBB\xCC\xDD"
    with Core(tmp_path / "gdb") as again:               # it still is one
        assert again.cpus[0].context["rip"] == LOW + 0x100


def test_dump_of_windows(tmp_path):
    with Core(elf(tmp_path / "core", memory())) as core:
        windows.write(tmp_path / "memory.dmp", core)
    with windows.Dump(tmp_path / "memory.dmp") as dump:
        head = dump.header
        assert (head.major, head.minor, head.root, head.machine) == (0xF, 7601, ROOT, 0x8664)
        assert head.bugcheck == (0xD1, 1, 2, 3, 4)
        assert head.debugger_data == LOW + DATA and head.processors == 1
        assert head.modules == LOW + LINK_SYSTEM and head.processes == LOW + LINK_SYSTEM + 16
        assert head.runs == [(0, SIZE // PAGE)]
        assert head.system_time == 8 << 32 | 7 and head.up_time == 6 << 32 | 5
        assert head.context["rip"] == LOW + 0x100
        assert dump.read(0xF000, 4) == b"\xAA\xBB\xCC\xDD"
        # Where Windows would have saved the registers of a CPU.
        assert dump.cpus[0].context["rax"] == 0x11
        assert dump.cpus[0].special["gsbase"] == LOW + PCR
        assert Frozen(dump).version().minor == 7601
    assert (tmp_path / "memory.dmp").stat().st_size == 0x2000 + SIZE
    raw = (tmp_path / "memory.dmp").read_bytes()
    assert raw[:8] == b"PAGEDU64" and raw[0xFA0:0xFA8] == struct.pack("<Q", 0x2000 + SIZE)


def test_no_kernel_no_dump(tmp_path):
    with Core(elf(tmp_path / "core", memory(valid=False))) as core:
        with pytest.raises(KdError, match="no CPU points to a kernel's version block"):
            windows.write(tmp_path / "memory.dmp", core)


def test_a_damaged_data_block_is_said(tmp_path):
    """The guest's memory can hold anything: what can't be made of it is named, and no more."""
    raw = bytearray(memory())
    raw[DATA + 0x10:DATA + 0x14] = b"XXXX"
    with Core(elf(tmp_path / "core", bytes(raw))) as core:
        made = take._made(core, tmp_path, tmp_path)
    assert made.files == [take.CORE] and "is tagged b'XXXX'" in made.why_not


def test_a_mark_of_a_killed_rig_is_nobodys(tmp_path, monkeypatch):
    """Its process id may be another process's: that gets no signal."""
    got = []
    before = signal.signal(signal.SIGUSR1, lambda *_: got.append(1))
    monkeypatch.setattr(live, "MARK", tmp_path / "live")
    (tmp_path / "live").write_text(str(os.getpid()))
    try:
        with pytest.raises(RigError, match="no machine runs here"):
            live._job(None, None)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not got


def test_the_mark_of_a_rig_that_lives(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "MARK", tmp_path / "live")
    with live.on_request(None, tmp_path):
        assert live._owner() == os.getpid()
    assert not (tmp_path / "live").exists()


@pytest.mark.parametrize("change, words", [
    (lambda raw: raw[:100], "doesn't begin with PAGEDU64"),
    (lambda raw: b"PAGEDUMP" + raw[8:], "doesn't begin with PAGEDU64"),
    (lambda raw: raw[:0xF98] + b"\2" + raw[0xF99:], "its type is 2"),
    (lambda raw: raw[:0x90] + b"\7" + raw[0x91:], "16 pages in its runs, 7 in all"),
    (lambda raw: raw[:0x5000], "cut short")])
def test_no_dump(tmp_path, change, words):
    with Core(elf(tmp_path / "core", memory())) as core:
        windows.write(tmp_path / "good", core)
    (tmp_path / "bad").write_bytes(change((tmp_path / "good").read_bytes()))
    with pytest.raises(RigError, match=words):
        windows.Dump(tmp_path / "bad")


def test_runs_are_whole_pages_and_no_more_than_fit():
    runs = [Run(0x800, 0x2800, 0), Run(0x3000, 0x1000, 0)]
    assert [(r.start, r.size) for r in windows.page_runs(runs)] == [(0x1000, 0x3000)]
    many = [Run(i * 0x10000, PAGE * (1 + (i == 7)), 0) for i in range(60)]
    kept = windows.page_runs(many)
    assert len(kept) == windows.MAX_RUNS and Run(0x70000, 2 * PAGE, 0) in kept
    assert kept == sorted(kept, key=lambda run: run.start)


STOPPED = """\
*** STOP: 0x000000D1 (0x0000000000000010,0x0000000000000002,0x0000000000000000,0xFFFFF80000091234)
DRIVER_IRQL_NOT_LESS_OR_EQUAL
*** vq7test.sys - Address FFFFF80000091234 base at FFFFF80000090000, DateStamp 6b02fbf0
"""


def test_headline_without_a_dump():
    assert take.headline(STOPPED, None) == \
        "DRIVER_IRQL_NOT_LESS_OR_EQUAL (0x000000D1) in vq7test.sys"
    assert take.headline("the guest restarted by itself", None) is None
    assert take.headline("*** STOP: 0x0000000A (0x0)\nIRQL_NOT_LESS_OR_EQUAL\n", None) == \
        "IRQL_NOT_LESS_OR_EQUAL (0x0000000A)"
