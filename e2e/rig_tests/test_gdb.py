# SPDX-License-Identifier: MIT
"""What `make gdb` tells gdb, and how a queue is shown: without gdb and without a machine."""

import copy
import struct

import pytest

from test_cli import one_line
from vq7rig.errors import RigError
from vq7rig.gdb import images, job, virtq
from vq7rig.kd.pe import file_image

IMAGE_BASE, LOADED_AT = 0x1_4000_0000, 0xFFFFF800_000A0000
TEXT = b"\x56\x57\xc3"


def pe(path, text=TEXT, extra=(), guid=b"G" * 16):
    """An image with code at 0x1000, its PDB's identity at 0x2000, and more behind it."""
    record = b"RSDS" + guid + struct.pack("<I", 1) + b"vq7test.pdb\0"
    entry = struct.pack("<IIHHIIII", 0, 0, 0, 0, 2, len(record), 0x2000 + 28, 0)
    sections = [(b".text", text), (b".buildid", entry + record), *extra]
    raw = bytearray(0x400)
    raw[:2] = b"MZ"
    struct.pack_into("<I", raw, 0x3C, 0x80)
    struct.pack_into("<4sHHIIIHH", raw, 0x80, b"PE\0\0", 0x8664, len(sections), 0, 0, 0, 240, 0)
    struct.pack_into("<H", raw, 0x98, 0x20B)
    struct.pack_into("<Q", raw, 0x98 + 24, IMAGE_BASE)
    struct.pack_into("<I", raw, 0x98 + 108, 16)
    struct.pack_into("<II", raw, 0x98 + 112 + 8 * 6, 0x2000, 28)
    for number, (name, content) in enumerate(sections):
        struct.pack_into("<8sIIII", raw, 0x188 + 40 * number, name, len(content),
                         0x1000 * (number + 1), len(content), len(raw))
        raw += content
    path.write_bytes(raw)
    return path


class Module:
    """As the kernel's list and its image in the machine have it."""
    file, base, size = "VQ7TEST.SYS", LOADED_AT, 0x17000

    def __init__(self, image):
        self.pdb = image and file_image(image).pdb


@pytest.fixture
def guest(tmp_path):
    (tmp_path / images.DWARF).mkdir()
    pe(tmp_path / "vq7test.sys")
    pe(tmp_path / images.DWARF / "vq7test.sys", extra=[(b"/4", b"dwarf")], guid=b"D" * 16)
    return tmp_path


@pytest.fixture
def module(guest):
    return Module(guest / "vq7test.sys")


# --- symbols and addresses ---------------------------------------------------------------------

def test_symbols_are_moved_to_where_the_module_is(guest, module):
    found = images.of(module, guest)
    assert found.symbols == guest / images.DWARF / "vq7test.sys"
    text = job.commands([found], "target remote /run/x", "/run/agent", "/guest").splitlines()
    (line,) = [each for each in text if each.startswith("add-symbol-file ")]
    assert line == f'add-symbol-file "{found.symbols}" -o {LOADED_AT - IMAGE_BASE:#x}'
    assert text[-1] == "target remote /run/x"           # its stack wants the unwinder
    assert f"inside.install([({LOADED_AT}, 94208)], '/run/agent', '/guest')" in text[-2]


def test_file_names_are_words_of_gdb(tmp_path):
    folder = tmp_path / 'my "guest"'
    folder.mkdir()
    module = images.Loaded("a.sys", LOADED_AT, 0x1000, pe(folder / "a.sys"))
    assert f'"{tmp_path}/my \\"guest\\"/a.sys" -o' in job.commands([module], "core-file x")


def test_other_code_than_in_the_machine_has_no_symbols(guest, module):
    pe(guest / images.DWARF / "vq7test.sys", text=TEXT[::-1])
    found = images.of(module, guest)
    assert found.symbols is None and "is of other sources than" in found.why_not
    with pytest.raises(RigError, match="is of other sources than") as bad:
        images.need_symbols([found])
    assert bad.value.remedy == images.REMEDY


def test_another_build_in_the_machine_has_no_symbols(guest, module):
    pe(guest / "vq7test.sys", guid=b"Y" * 16)
    assert "is of another build than" in images.of(module, guest).why_not
    assert "is of another build than" in images.of(Module(None), guest).why_not


@pytest.mark.parametrize("gone, words", [(images.DWARF + "/vq7test.sys", "dwarf has no"),
                                         ("vq7test.sys", "has no VQ7TEST.SYS")])
def test_image_that_is_not_there(guest, module, gone, words):
    (guest / gone).unlink()
    assert words in images.of(module, guest).why_not


def test_one_module_with_symbols_is_enough():
    known = images.Loaded("a.sys", 0, 1, "a.sys")
    assert images.need_symbols([images.Loaded("b.sys", 2, 1, None, "no"), known]) == [known]
    with pytest.raises(RigError, match="no list of modules"):
        images.need_symbols([])


# --- bad input ---------------------------------------------------------------------------------

def test_no_gdb(cli, tmp_path):
    assert "gdb is not installed; run `ci/setup.sh gdb`" in \
        one_line(cli("gdb", env={"PATH": str(tmp_path)}), 3)


@pytest.fixture
def with_gdb(tmp_path):
    """A PATH with a gdb that must not be started."""
    program = tmp_path / "gdb"
    program.write_text("#!/bin/sh\necho started\n")
    program.chmod(0o755)
    return {"PATH": str(tmp_path)}


def test_unknown_machines(cli, with_gdb):
    assert "unknown flavour 'foo'" in one_line(cli("gdb", "foo", env=with_gdb), 2)
    assert "unknown machine 'vax'" in one_line(cli("gdb", "--machine", "vax", env=with_gdb), 2)


@pytest.mark.parametrize("content, words", [(None, "No such file"), (b"text", "is no ELF core"),
                                            (b"", "can't read")])
def test_core_that_is_none(cli, with_gdb, tmp_path, content, words):
    core = tmp_path / "core.elf"
    if content is not None:
        core.write_bytes(content)
    done = cli("gdb", "--core", core, env=with_gdb)
    line = one_line(done, 3)
    assert str(core) in line and words in line and "started" not in done.stdout


# --- a queue -----------------------------------------------------------------------------------

def queue():
    """Of 4 descriptors: one chain of two in flight, one of one that the device has finished."""
    def chain(next_, state=0, count=0, cookie=0, table=0xFFFF, writable=0):
        return {"next": next_, "state": state, "count": count, "cookie": cookie, "table": table,
                "writable": writable}

    return {
        "qsz": 4, "event_idx": 1, "indirect": 0, "num_free": 1, "free_head": 3, "avail_idx": 6,
        "last_used_idx": 4, "num_added": 1, "interrupts_off": 0, "misuse_count": 0,
        "used_length_cut": 0, "broken_status": 0, "broken_in_flight": 0,
        "indirect_table_count": 0, "indirect_max_desc": 0, "indirect_num_free": 0,
        "own_tables": 0, "indirect_table_stride": 0, "indirect_pool_va": [],
        "chains": [chain(1, 2, 2, 0xAA0, writable=512), chain(0xFFFF),
                   chain(0xFFFF, 2, 1, 0xBB0, writable=1), chain(0xFFFF)],
        "desc": [{"addr": 0x1000, "len": 16, "flags": 1, "next": 1},
                 {"addr": 0x2000, "len": 512, "flags": 2, "next": 0},
                 {"addr": 0x3000, "len": 1, "flags": 2, "next": 0},
                 {"addr": 0, "len": 0, "flags": 0, "next": 0}],
        "avail": {"flags": 0, "idx": 6, "ring": [0, 2, 0, 2, 5]},
        "used": {"flags": 0, "idx": 5, "ring": [{"id": 2, "len": 1}, {"id": 0, "len": 0},
                                                {"id": 0, "len": 0}, {"id": 0, "len": 0},
                                                {"id": 0xABCD_0006, "len": 0}]},
    }


def shown(vq):
    return "\n".join(virtq.describe(vq))


def test_queue_as_it_should_be():
    text = shown(queue())
    assert text.startswith("size 4, 1 free, 2 in flight, avail_idx 6, last_used_idx 4, event_idx")
    for line in ("  avail idx            6         6", "1 waiting", "free list: 3",
                 "used_event                     5", "avail_event                    6",
                 "used[0]: head 2, 1 bytes",
                 "head 0 in flight: 2 descriptor(s), 512 bytes writable, cookie 0xaa0",
                 "desc[0]: 0x1000 16 bytes read, next 1", "desc[1]: 0x2000 512 bytes write",
                 "head 2 in flight: 1 descriptor(s)"):
        assert line in text, text
    assert not any(word in text for word in ("DIFFERS", "IT ", "NO HEAD", "RECORD", "BROKEN"))


@pytest.mark.parametrize("path, value, words", [
    (("avail", "idx"), 7, "avail idx            6         7   DIFFERS"),
    (("used", "idx"), 9, "5 WAITING IN A RING OF 4"),
    (("used", "ring", 0, "id"), 3, "used[0]: head 3, 1 bytes   NO HEAD IN FLIGHT"),
    (("used", "ring", 0, "id"), 0x10000, "head 65536, 1 bytes   NO HEAD IN FLIGHT"),
    (("desc", 0, "next"), 3, "DIFFERS: next is 3 here, 1 in the record"),
    (("desc", 1, "flags"), 3, "DIFFERS: next is 0 here, the end in the record"),
    (("desc", 0, "flags"), 0, "DIFFERS: next is the end here, 1 in the record"),
    (("free_head",), 0xFFFF, "free list: empty   IT ends after 0 of 1"),
    (("chains", 0, "next"), 0, "THE RECORD has 1 twice"),
    (("broken_status",), -0x3FFFFFF3, "BROKEN 0xc000000d"),
])
def test_what_is_wrong_is_shown(path, value, words):
    vq = copy.deepcopy(queue())
    place = vq
    for each in path[:-1]:
        place = place[each]
    place[path[-1]] = value
    assert words in shown(vq)


@pytest.mark.parametrize("table, own", [(1, 0), (0xFFFE, 1)])
def test_indirect_table(table, own):
    """Tables are `stride` bytes apart, which may be more than their descriptors take."""
    vq = queue()
    vq.update(indirect=1, indirect_table_count=2, indirect_max_desc=3, own_tables=own,
              indirect_table_stride=64, indirect_num_free=1)
    pool = [{"addr": 0x9000 + at, "len": 8, "flags": 0, "next": 0} for at in range(16)]
    vq["indirect_pool_va"] = pool
    head = 2
    vq["chains"][head]["table"] = table
    vq["desc"][head].update(len=32, flags=4)
    text = shown(vq)
    first = 4 * (head if own else table)
    assert f"[0] {0x9000 + first:#x} 8 bytes" in text and f"[1] {0x9001 + first:#x} " in text
    assert "      [2]" not in text
    assert ("its own table" if own else "table 1") in text


def test_no_queue():
    assert virtq.describe({"qsz": 0}) == ["no queue: size 0"]
