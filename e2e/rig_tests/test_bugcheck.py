# SPDX-License-Identifier: MIT
"""The bug check of a guest that says nothing of it, as Windows: found in its memory. First in
memory that is made here, of the three kinds of page tables; then in ntcompat's, as a user's image
that keeps silent on COM1."""

import pathlib
import re
import struct

import pytest

import nt_image
from test_cli import known_qemu, qemu, qemu_cli     # noqa: F401, fixtures
from test_guests import run_on, verdicts
from vq7rig import bugcheck
from vq7rig.dump import paging
from vq7rig.kd.errors import Unreadable

PAGE = 4096
# Where the memory that is made here has things, as offsets in the kernel's image.
DATA, BLOCK_AT, BUG_CHECK, MODULES, ENTRY, NAME, HANDLER = \
    0x3000, 0x3100, 0x3800, 0x3900, 0x3A00, 0x3B00, 0x1234
IMAGE_SIZE = 0x6000
DRIVER = {True: 0xFFFFF880_01000000, False: 0x90000000}


class Guest:
    """Physical memory with page tables, an interrupt table and a kernel that stands at a bug
    check. `kind`: x64, pae or ia32."""

    def __init__(self, kind, parameters=(0x50, 2, 1, None), code=0xD1):
        self.kind, self.wide = kind, kind == "x64"
        self.memory, self.free = bytearray(1 << 20), 0x10000
        self.root = self.new_page() & ~0x1F
        self.base = 0xFFFFF800_02A00000 if self.wide else 0x82800000
        self.idt = self.base - 0x10000
        for offset in range(0, IMAGE_SIZE, PAGE):
            self.map(self.base + offset)
        self.map(self.idt)
        self.code = code
        self.parameters = [DRIVER[self.wide] + 0x1234 if each is None else each
                           for each in parameters]
        self.fill()

    # --- page tables, written as the processor's manual has them ---------------

    def new_page(self):
        self.free += PAGE
        return self.free - PAGE

    def put_entry(self, at, value, size):
        self.memory[at:at + size] = value.to_bytes(size, "little")

    def entry(self, at, size):
        return int.from_bytes(self.memory[at:at + size], "little")

    def levels(self):
        return {"x64": ((39, 9), (30, 9), (21, 9), (12, 9)), "pae": ((30, 2), (21, 9), (12, 9)),
                "ia32": ((22, 10), (12, 10))}[self.kind]

    def place_of_entry(self, address, make=True):
        """Where the last level's entry is."""
        size = 4 if self.kind == "ia32" else 8
        table = self.root
        for shift, bits in self.levels():
            at = table + (address >> shift & (1 << bits) - 1) * size
            if shift == 12:
                return at, size
            if not self.entry(at, size) & 1:
                self.put_entry(at, self.new_page() | 1, size)
            table = self.entry(at, size) & 0xFFFFF000

    def map(self, address):
        at, size = self.place_of_entry(address)
        self.put_entry(at, self.new_page() | 3, size)

    def unmap(self, address):
        at, size = self.place_of_entry(address)
        self.put_entry(at, 0, size)

    def put(self, address, data):
        assert address % PAGE + len(data) <= PAGE
        at, size = self.place_of_entry(address)
        start = (self.entry(at, size) & 0xFFFFF000) + address % PAGE
        self.memory[start:start + len(data)] = data

    # --- a kernel ----------------------------------------------------------------

    def pointer(self, value):
        return struct.pack("<Q" if self.wide else "<I", value)

    def extended(self, value):
        """A 32-bit address in a field of 64 bits, with its sign."""
        return struct.pack("<Q", value if self.wide else value | 0xFFFFFFFF_00000000)

    def fill(self):
        handler = self.base + HANDLER
        if self.wide:
            gate = struct.pack("<HHHHI", handler & 0xFFFF, 0x10, 0x8E00, handler >> 16 & 0xFFFF,
                               handler >> 32)
        else:
            gate = struct.pack("<HHHH", handler & 0xFFFF, 8, 0x8E00, handler >> 16)
        self.put(self.idt + 3 * (16 if self.wide else 8), gate)
        self.put(self.base, b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x80))
        header = b"PE\0\0" + struct.pack("<HH12xHH", 0x8664, 2, 240, 0)
        self.put(self.base + 0x80, header)
        self.put(self.base + 0x80 + 24 + 56, struct.pack("<I", IMAGE_SIZE))
        sections = b"".join(struct.pack("<8sII20xI", name, size, at, flags)
                            for name, size, at, flags in ((b".text", 0x2000, 0x1000, 0x60000020),
                                                          (b".data", 0x2000, DATA, 0xC0000040)))
        self.put(self.base + 0x80 + 24 + 240, sections)
        block = bytearray(0x340)
        block[0x10:0x20] = b"KDBG" + struct.pack("<I", 0x340) + self.extended(self.base)
        block[0x48:0x50] = self.extended(self.base + MODULES)
        block[0x88:0x90] = self.extended(self.base + BUG_CHECK)
        self.put(self.base + BLOCK_AT, block)
        self.put(self.base + BUG_CHECK,
                 b"".join(map(self.pointer, (self.code, *self.parameters))))
        self.add_module()

    def add_module(self):
        base_at, size_at, name_at, pointer = \
            (0x30, 0x40, 0x58, 8) if self.wide else (0x18, 0x20, 0x2C, 4)
        name = "vq7test.sys".encode("utf-16-le")
        entry = bytearray(0x80)
        entry[:pointer] = self.pointer(self.base + MODULES)
        entry[base_at:base_at + pointer] = self.pointer(DRIVER[self.wide])
        entry[size_at:size_at + 4] = struct.pack("<I", 0x8000)
        entry[name_at:name_at + 2] = struct.pack("<H", len(name))
        entry[name_at + pointer:name_at + 2 * pointer] = self.pointer(self.base + NAME)
        self.put(self.base + MODULES, self.pointer(self.base + ENTRY))
        self.put(self.base + ENTRY, entry)
        self.put(self.base + NAME, name)

    # --- as the rig sees it --------------------------------------------------------

    def registers(self):
        """What QEMU's monitor says."""
        cr4 = {"x64": 0x6F8, "pae": 0x6F8, "ia32": 0x6D0}[self.kind]
        digits = 16 if self.wide else 8
        return (f"\nCPU#0\nEAX=00000001 EBX=0\nGS =0030 {0:0{digits}x} 00003748 00409300\n"
                f"GDT=     {0x1000:0{digits}x} 000003ff\nIDT=     {self.idt:0{digits}x} 000007ff\n"
                f"CR0=8001003b CR2={0x123:0{digits}x} CR3={self.root:0{digits}x} CR4={cr4:08x}\n"
                f"DR0=0 DR1=0\nEFER={0xD01 if self.wide else 0:016x}\n")

    def physical(self, address, count):
        if address + count > len(self.memory):
            raise Unreadable(address, count, 0)
        return bytes(self.memory[address:address + count])

    def found(self):
        cpu, = bugcheck.cpus(self.registers())
        return bugcheck.found_in(bugcheck.Memory(self.physical, cpu))


KINDS = ("x64", "pae", "ia32")


@pytest.mark.parametrize("kind", KINDS)
def test_a_bug_check_is_found(kind):
    guest = Guest(kind)
    found = guest.found()
    where = DRIVER[guest.wide]
    assert (found.code, found.parameters) == (0xD1, (0x50, 2, 1, where + 0x1234))
    assert found.blamed == [("vq7test.sys", where + 0x1234, where)]
    crash = found.crash()
    assert crash.code == 0xD1
    width = 16 if guest.wide else 8
    assert str(crash).splitlines() == [
        f"*** STOP: 0x000000D1 (0x{0x50:0{width}X},0x{2:0{width}X},0x{1:0{width}X},"
        f"0x{where + 0x1234:0{width}X})",
        "DRIVER_IRQL_NOT_LESS_OR_EQUAL, as its kernel's memory says",
        f"*** vq7test.sys - Address {where + 0x1234:0{width}x} base at {where:0{width}x}"]


def clear(guest, offset, count):
    guest.put(guest.base + offset, bytes(count))


# What isn't a bug check, or can't be read: a hang, then.
NOTHING_FOUND = {
    "it runs": lambda guest: clear(guest, BUG_CHECK, 8),
    "no block for debuggers": lambda guest: clear(guest, BLOCK_AT, 0x20),
    "another's block": lambda guest: guest.put(guest.base + BLOCK_AT + 0x18, b"\0\0\1"),
    "a block of no known size": lambda guest: guest.put(guest.base + BLOCK_AT + 0x14, b"\x10\0"),
    "the block's page is gone": lambda guest: guest.unmap(guest.base + DATA),
    "no interrupt table": lambda guest: guest.unmap(guest.idt),
    "no image around the handler": lambda guest: clear(guest, 0, 2),
    "the handler is beyond the image":
        lambda guest: guest.put(guest.base + 0x80 + 24 + 56, struct.pack("<I", PAGE)),
    "no page tables": lambda guest: guest.memory.__setitem__(
        slice(guest.root, guest.root + PAGE), bytes(PAGE)),
    "a pointer to nowhere": lambda guest: guest.put(
        guest.base + BLOCK_AT + 0x88, guest.extended(guest.base + 0x100000)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", NOTHING_FOUND)
def test_what_is_none(kind, what):
    guest = Guest(kind)
    NOTHING_FOUND[what](guest)
    assert guest.found() is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_tag_that_is_none_comes_first(kind):
    """As in the code or the data of who looks for it."""
    guest = Guest(kind)
    guest.put(guest.base + DATA, b"KDBG" * 16)
    assert guest.found().code == 0xD1


def test_regression_sections_without_end():
    """What the image's header says doesn't keep the rig for long."""
    guest = Guest("x64")
    clear(guest, BLOCK_AT, 0x20)
    sections = [struct.pack("<8sII20xI", b".data", 31 << 20, 0x1000, 0xC0000040)] * 20
    guest.put(guest.base + 0x80 + 6, struct.pack("<H", len(sections)))
    guest.put(guest.base + 0x80 + 24 + 240, b"".join(sections))
    cpu, = bugcheck.cpus(guest.registers())
    memory = bugcheck.Memory(guest.physical, cpu)
    reads, read = [], memory.read
    memory.read = lambda address, count: reads.append(address) or read(address, count)
    assert bugcheck.found_in(memory) is None
    assert len(reads) < 10000


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_list_of_modules_blames_nobody(kind):
    guest = Guest(kind)
    guest.put(guest.base + MODULES, guest.pointer(0x1000))
    assert guest.found().blamed == []
    guest = Guest(kind)
    guest.put(guest.base + ENTRY, guest.pointer(guest.base + ENTRY))    # for ever
    assert guest.found().code == 0xD1


def test_a_code_without_a_name():
    assert "BUG_CHECK, as its" in str(Guest("x64", code=0x12345).found().crash())


def test_a_cpu_without_paging_is_left_out():
    """As one that the kernel hasn't started; and a machine in its firmware."""
    guest = Guest("x64")
    off = guest.registers().replace("CR0=8001003b", "CR0=00000010")
    assert list(bugcheck.cpus(off)) == []
    assert len(list(bugcheck.cpus(off.replace("CPU#0", "CPU#1") + guest.registers()))) == 1


@pytest.mark.parametrize("translate, entry, size, address, physical", [
    (paging.translate_ia32, (0x1FE000 | 0x00800000 | 0x81), 4, 0x82812345, 0xFF00812345),
    (paging.translate_pae, 0x1_00A00000 | 0x81, 8, 0x40212345, 0x1_00A12345),
])
def test_large_pages_of_32_bit_systems(translate, entry, size, address, physical):
    """4 MiB with its address above 4 GiB (PSE-36), and 2 MiB with PAE."""
    def read(at, count):
        if size == 8 and 0x1000 <= at < 0x1020:
            return (0x2000 | 1).to_bytes(8, "little")   # the page directory pointers
        return entry.to_bytes(size, "little")
    found, left = translate(read, 0x1000, address)
    page = 1 << (22 if size == 4 else 21)
    assert (found, left) == (physical, page - address % page)


# --- ntcompat, which keeps silent as Windows does ---------------------------------------

CRASHING = '''
import pytest

@pytest.mark.on("one")
def test_crash(vm):
    vm.console.command("crash")

@pytest.mark.on("one")
def test_afterwards(vm):
    assert vm.console.command("info").ok
'''


@qemu
@pytest.mark.nightly
def test_a_silent_guest_that_bug_checks(qemu_cli, tmp_path):     # noqa: F811
    """The verdict is its bug check, not a hang; the next test has another machine."""
    image = nt_image.make(tmp_path / "nt.iso", settings=("/silentstop",), late_s=0.1)
    (tmp_path / "test_crashing.py").write_text(CRASHING)
    done = run_on(qemu_cli, image, tmp_path / "test_crashing.py", "--lacks", "unload",
                  env={"VQ7_PATIENCE": "0.1"})
    assert done.returncode == 1, done.stdout + done.stderr
    found = verdicts(qemu_cli)
    assert {name: verdict for name, (verdict, _) in found.items()} == \
        {"test_crash": "guest crash", "test_afterwards": "pass"}
    text = found["test_crash"][1]
    assert "MANUALLY_INITIATED_CRASH (0x000000E2)" in text
    assert "seen when a quiet line" in text
    (shown,) = re.findall(r"its screen: (\S*)", text)
    with open(shown, "rb") as picture:
        assert picture.read(4) == b"\x89PNG"
    assert "STOP" not in (pathlib.Path(shown).parent / "console.log").read_text()


@qemu
@pytest.mark.nightly
def test_a_guest_that_waits_for_a_debugger(qemu_cli, tmp_path):     # noqa: F811
    """Nobody is there to let it go on: no hang, either."""
    image = nt_image.make(tmp_path / "nt.iso", settings=("/silentstop",), late_s=0.1)
    (tmp_path / "test_waiting.py").write_text(CRASHING.split("@pytest")[0] + '''
from vq7rig.channel import SocketChannel
from vq7rig.kd.client import Client
from vq7rig.kd.link import Link

@pytest.mark.on("one")
def test_stop(vm):
    client = Client(Link(SocketChannel.connect(str(vm.run / "kd.sock"))))
    client.attach(running=True)
    client.close()
    vm.console.command("info")
''')
    done = run_on(qemu_cli, image, tmp_path / "test_waiting.py", "--lacks", "unload",
                  env={"VQ7_PATIENCE": "0.1"})
    assert done.returncode == 1, done.stdout + done.stderr
    verdict, text = verdicts(qemu_cli)["test_stop"]
    assert verdict == "guest crash"
    assert re.search(r"waits for a debugger on COM2: Break instruction exception - code 80000003 "
                     r"\(first chance\) at ntoskrnl\.exe\+0x[0-9a-f]+", text), text


@qemu
@pytest.mark.nightly
def test_a_silent_guest_that_hangs(qemu_cli, tmp_path):     # noqa: F811
    """It isn't taken for one that has crashed."""
    image = nt_image.make(tmp_path / "nt.iso", settings=("/silentstop",), late_s=0.1)
    (tmp_path / "test_hanging.py").write_text(CRASHING.split("@pytest")[0] + '''
@pytest.mark.on("one")
def test_hang(vm):
    vm.dom.suspend()
    vm.console.command("info")
''')
    done = run_on(qemu_cli, image, tmp_path / "test_hanging.py", "--lacks", "unload",
                  env={"VQ7_PATIENCE": "0.1"})
    assert done.returncode == 1, done.stdout + done.stderr
    verdict, text = verdicts(qemu_cli)["test_hang"]
    assert verdict == "hang" and "STOP" not in text
