# SPDX-License-Identifier: MIT
"""What the debugger makes of a target's memory: expressions, instructions, stacks,
breakpoints. Images are laid out here by the PE format and the x64 ABI."""

import struct

import pytest

from kd_target import KERNEL, KdTarget
from vq7rig.channel import SocketChannel
from vq7rig.errors import ProtocolError, UsageError
from vq7rig.kd import messages as m
from vq7rig.kd.breakpoints import Breakpoints
from vq7rig.kd.client import Client
from vq7rig.kd.context import GENERAL
from vq7rig.kd.disasm import instructions
from vq7rig.kd.errors import Unreadable
from vq7rig.kd.expr import evaluate
from vq7rig.kd.link import Link
from vq7rig.kd.nt import Kernel
from vq7rig.kd.pe import Image
from vq7rig.kd.unwind import BadUnwindData, Frame, step

NAMES = {"@$t1": 3, "@rax": 0x10, "rax": 0x10, "nt!KiFoo": 0xFFFFF80000001000, "a::b": 7}


@pytest.mark.parametrize("text, value", [
    ("10", 16), ("0x10", 16), ("0n10", 10), ("fffff800`00000000", 0xFFFFF80000000000),
    ("nt!KiFoo+8", 0xFFFFF80000001008), ("@rax*2", 32), ("1+2*3", 7), ("(1+2)*3", 9),
    ("-1", (1 << 64) - 1), ("poi(@rax)+1", 0x1235), ("poi(poi(10)-1224)", 0x1234), ("a::b", 7),
    ("add", 0xADD), ("by(10) + wo(10)", 0x34 + 0x1234), ("dwo(10) - 0n4660", 0),
    ("7 & 3 | 8", 11), ("1 + 1 == 2", 1), ("1 | 2 == 3", 1), ("4 >= 5", 0), ("4 != 5", 1),
    ("1 << 4 + 1", 0x20), ("0 - 1 > 1", 1), ("17 % 10", 7), ("17 mod 5", 3), ("@$t1 * 2", 6),
    ("not 1", 0), ("6 xor 3", 5), ("@@c++(sizeof(x)) + 1", 0x41), ("1 << 0n64", 0)])
def test_expression(text, value):
    """By WinDbg's "MASM Numbers and Operators"; 64 bits, unsigned."""
    def number(address, size):
        return {0x10: 0x1234}[address] % (1 << 8 * size)

    assert evaluate(text, NAMES.get, number, {"sizeof(x)": 0x40}.get) == value


@pytest.mark.parametrize("text", ["", "1+", "(1", "1)", "nt!Other", "@xyz", "1 2", "%", "0n",
                                  "poi(", "@@c++(1", "1 <", "@@c++(x)"])
def test_expression_that_is_none(text):
    with pytest.raises(UsageError, match="can't read|missing|closed|resolve"):
        evaluate(text, NAMES.get, lambda address, size: 0)


def test_instructions():
    code = bytes.fromhex("f0480fba2900 743d e800010000 ff1501020000 f3a4 48ffe0 0f05cc")
    found = instructions(code, KERNEL)
    assert b"".join(each.raw for each in found) == code
    assert [each.calls for each in found] == [False, False, True, True, True] + [False] * 3
    assert found[0].text.startswith("lock bts") and found[1].target == KERNEL + 8 + 0x3D
    assert found[2].target == found[2].end + 0x100 and found[3].target == found[3].end + 0x201
    assert instructions(b"\x90\x06\x90", KERNEL)[-1].raw == b"\x90"


# --- unwinding -------------------------------------------------------------------------

BASE, STACK = 0x10000, 0x20000
CODE, XDATA, PDATA = 0x1000, 0x2000, 0x3000


class Memory:
    """An image with some functions, and a stack."""

    def __init__(self, functions):
        """`functions`: (offset, size, unwind information)"""
        self.image_bytes = bytearray(0x4000)
        self.stack = bytearray(0x1000)
        at, pdata = XDATA, b""
        for offset, size, info in functions:
            self.image_bytes[at:at + len(info)] = info
            pdata += struct.pack("<III", CODE + offset, CODE + offset + size, at)
            at += len(info) + 3 & ~3
        self.image_bytes[PDATA:PDATA + len(pdata)] = pdata
        self._headers(len(pdata))
        self.image = Image(lambda rva, count: bytes(self.image_bytes[rva:rva + count]))

    def _headers(self, pdata):
        self.image_bytes[:2] = b"MZ"
        struct.pack_into("<I", self.image_bytes, 0x3C, 0x40)
        struct.pack_into("<4sHHIIIHH", self.image_bytes, 0x40, b"PE\0\0", 0x8664, 0, 0, 0, 0, 240,
                         0)
        struct.pack_into("<H", self.image_bytes, 0x58, 0x20B)
        struct.pack_into("<I", self.image_bytes, 0x58 + 56, 0x4000)
        struct.pack_into("<I", self.image_bytes, 0x58 + 108, 16)
        struct.pack_into("<II", self.image_bytes, 0x58 + 112 + 3 * 8, PDATA, pdata)

    def push(self, offset, *values):
        struct.pack_into(f"<{len(values)}Q", self.stack, offset, *values)

    def read(self, address, count):
        for start, data in ((BASE, self.image_bytes), (STACK, self.stack)):
            if start <= address and address + count <= start + len(data):
                return bytes(data[address - start:address - start + count])
        raise Unreadable(address, count, 0)

    def step(self, offset, rsp, exact=True, **registers):
        values = {name: registers.get(name, 0) for name in GENERAL} | {"rsp": rsp}
        return step(Frame(BASE + CODE + offset, values, exact), self.image, BASE, self.read)


def info(*codes, prolog=16, frame=0, flags=0, chained=b""):
    """UNWIND_INFO, version 1; `codes` are 16-bit slots."""
    raw = struct.pack("<BBBB", 1 | flags << 3, prolog, len(codes), frame)
    return raw + struct.pack(f"<{len(codes)}H", *codes) + b"\0\0" * (len(codes) % 2) + chained


def slot(offset, op, number=0):
    return offset | op << 8 | number << 12


SAVES = info(slot(8, 2, 3), slot(4, 0, 3), slot(2, 0, 5))       # push rbp; push rbx; sub rsp, 32


@pytest.mark.parametrize("offset, undone", [(0, 0), (2, 1), (4, 2), (8, 6), (0x40, 6)])
def test_prologue_is_undone_as_far_as_it_came(offset, undone):
    memory = Memory([(0, 0x100, SAVES)])
    memory.image_bytes[CODE:CODE + 0x100] = b"\x90" * 0x100
    memory.push(0x200, 1, 2, 3, 4, 0xBBB, 0x555, BASE + CODE + 0x500)      # locals, rbx, rbp
    up = memory.step(offset, STACK + 0x200 + 8 * (6 - undone))
    assert up.rip == BASE + CODE + 0x500 and not up.exact and up.rsp == STACK + 0x238
    assert (up.registers["rbx"], up.registers["rbp"]) == (
        0xBBB if undone > 1 else 0, 0x555 if undone > 0 else 0)


@pytest.mark.parametrize("code, popped", [
    ("4883c420 5b 5d c3", 0), ("5b 5d c3", 4), ("5d c3", 5), ("c3", 6), ("5b 5d 48ffe0", 4),
    ("5b 5d e9 00100000", 4), ("5b 5d ff2500000000", 4), ("f3c3", 6)])
def test_epilogue(code, popped):
    memory = Memory([(0, 0x100, SAVES)])
    code = bytes.fromhex(code)
    memory.image_bytes[CODE + 0x40:CODE + 0x40 + len(code)] = code
    memory.push(0x200, 1, 2, 3, 4, 0xBBB, 0x555, BASE + CODE + 0x500)
    up = memory.step(0x40, STACK + 0x200 + 8 * popped)
    assert (up.rip, up.rsp) == (BASE + CODE + 0x500, STACK + 0x238)


def test_jump_within_the_function_is_no_epilogue():
    memory = Memory([(0, 0x100, SAVES)])
    memory.image_bytes[CODE + 0x40:CODE + 0x42] = b"\xeb\x10"
    memory.push(0x200, 1, 2, 3, 4, 0xBBB, 0x555, BASE + CODE + 0x500)
    assert memory.step(0x40, STACK + 0x200).rip == BASE + CODE + 0x500


def test_leaf_and_a_call_at_the_end_of_a_function():
    memory = Memory([(0, 0x100, SAVES)])
    memory.push(0, 0xABC)
    assert memory.step(0x300, STACK).rip == 0xABC           # no function holds it
    memory.push(0x200, 1, 2, 3, 4, 0xBBB, 0x555, 0xDEF)
    assert memory.step(0x100, STACK + 0x200, exact=False).rip == 0xDEF


@pytest.mark.parametrize("error_code", [0, 1])
def test_machine_frame(error_code):
    """What was interrupted is exact: not behind a call."""
    memory = Memory([(0, 0x100, info(slot(8, 2, 0), slot(0, 10, error_code)))])
    memory.image_bytes[CODE:CODE + 0x100] = b"\x90" * 0x100
    memory.push(0x208, *([0xE] * error_code), 0x1234, 0x10, 0x202, 0x7770, 0x18)
    up = memory.step(0x50, STACK + 0x200)
    assert (up.rip, up.rsp, up.exact, up.lookup) == (0x1234, 0x7770, True, 0x1234)


def test_frame_register_large_frames_and_saved_registers():
    """rbp = rsp + 32 in a frame of 0x10018 bytes; rsi at 0x100 of it, r12 far away."""
    codes = (slot(30, 5, 12), 0x800, 0, slot(24, 4, 6), 0x100 // 8, slot(20, 3), slot(10, 1, 1),
             0x818, 0, slot(1, 0, 5))
    memory = Memory([(0, 0x100, info(*codes, prolog=30, frame=5 | 2 << 4))])
    memory.image_bytes[CODE:CODE + 0x100] = b"\x90" * 0x100
    memory.push(0x100, 0x666)
    memory.push(0x800, 0xCCC)
    memory.push(0x818, 0x555, 0xABC)
    up = memory.step(0x50, STACK - 0x50, rbp=STACK + 32)    # rsp has moved on: alloca
    assert (up.rip, up.rsp) == (0xABC, STACK + 0x828)
    assert [up.registers[name] for name in ("rsi", "r12", "rbp")] == [0x666, 0xCCC, 0x555]


def test_chained():
    first = info(slot(2, 0, 5))
    at = XDATA + (len(first) + 3 & ~3)
    part = info(slot(4, 0, 3), prolog=4, flags=4, chained=struct.pack("<III", CODE, CODE + 0x40,
                                                                      XDATA))
    memory = Memory([(0, 0x40, first), (0x40, 0x40, part)])
    assert bytes(memory.image_bytes[at:at + len(part)]) == part
    memory.image_bytes[CODE:CODE + 0x100] = b"\x90" * 0x100
    memory.push(0x200, 0xBBB, 0x555, 0xABC)
    up = memory.step(0x60, STACK + 0x200)
    assert (up.rip, up.registers["rbx"], up.registers["rbp"]) == (0xABC, 0xBBB, 0x555)


@pytest.mark.parametrize("bad", [
    b"\x07\x00\x00\x00", info(slot(8, 1, 1), 0x100), info(slot(8, 7)), info(
        flags=4, chained=struct.pack("<III", CODE, CODE + 0x100, XDATA))])
def test_unwind_data_that_is_none(bad):
    memory = Memory([(0, 0x100, bad)])
    memory.image_bytes[CODE:CODE + 0x100] = b"\x90" * 0x100
    with pytest.raises(BadUnwindData):
        memory.step(0x50, STACK + 0x200)


# --- breakpoints, version ------------------------------------------------------------------

@pytest.fixture
def client():
    target = KdTarget().start()
    made = Client(Link(SocketChannel(target.host_end)))
    made.attach()
    made.target = target
    yield made
    made.close()
    target.stop()


def test_breakpoints_are_in_memory_only_while_it_runs(client):
    points, where = Breakpoints(client), client.target.program[2] + 0x40
    for _ in range(2):                                      # two at one place are one there
        points.add("there", where)
    points.add("nowhere", None)
    points.insert()
    assert client.target.peek(where, 1) == b"\xcc"
    assert [each.handle for each in points.all] == [1, 1, None]
    points.withdraw()
    assert client.target.peek(where, 1) == b"\x00" and client.target.table[0] is None
    points.insert(but=where)
    assert client.target.peek(where, 1) == b"\x00"


def test_hardware_breakpoints(client):
    """Dr7: LE and reserved bits as Windows sets them, L, R/W and LEN of each (SDM 18.2.4)."""
    points = Breakpoints(client)
    points.add("w", KERNEL + 8, "w", 8)
    points.add("e", KERNEL + 1, "e", 1)
    points.add("r", KERNEL + 4, "r", 4)
    assert points.load_registers(1) == points.dr7 == 0x400 | 0b101010 | 0b1001 << 16 | 0xF << 24
    special = client.special()
    assert [special[f"kdr{n}"] for n in range(4)] == [KERNEL + 8, KERNEL + 1, KERNEL + 4, 0]
    for kind, length, address in (("x", 1, KERNEL), ("w", 3, KERNEL), ("e", 4, KERNEL),
                                  ("w", 4, KERNEL + 2)):
        with pytest.raises(UsageError, match="^ba"):
            points.add("bad", address, kind, length)
    points.add("fourth", KERNEL, "w", 1)
    with pytest.raises(UsageError, match="all in use"):
        points.add("fifth", KERNEL, "w", 1)


def test_numbers_of_breakpoints(client):
    points = Breakpoints(client)
    first, second = points.add("a", 1), points.add("b", 2)
    points.remove(first)
    assert points.add("c", 3).number == 0 and points.numbered(1) is second
    with pytest.raises(UsageError, match="no breakpoint 7"):
        points.numbered(7)


def test_another_version_of_the_protocol(client, monkeypatch):
    real = m.version

    def older(union):
        return real(union[:4] + b"\x05" + union[5:])

    monkeypatch.setattr(m, "version", older)
    with pytest.raises(ProtocolError, match="speaks version 5 .* this debugger version 6"):
        Kernel(client)


def test_debugger_data_that_is_none(client):
    """The list's head points to something else."""
    client.write(KERNEL + 0x80, struct.pack("<Q", KERNEL + 0x1000))
    with pytest.raises(ProtocolError, match="debugger data block"):
        Kernel(client)
