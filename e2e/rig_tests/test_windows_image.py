# SPDX-License-Identifier: MIT
"""The build refuses a driver or an agent that Windows 7 would not load."""

import struct
import subprocess

import pytest

from kit_files import GUEST
import check_image
import pe_checksum

IMAGES = [(architecture, name) for architecture in ("x86", "x64")
          for name in ("vq7test.sys", "vq7agent.exe")]


def built(architecture, name):
    path = GUEST / architecture / name
    if not path.exists():
        pytest.skip(f"no {path}: make guest")
    return path.read_bytes()


def faults(data, name):
    """Those that are left when the checksum is right."""
    data = bytearray(data)
    offset = pe_checksum.checksum_offset(data)
    struct.pack_into("<I", data, offset, pe_checksum.checksum(data, offset))
    return list(check_image.faults(bytes(data), name.endswith(".sys")))


@pytest.mark.parametrize("architecture, name", IMAGES)
def test_what_is_built_is_sound(architecture, name):
    data = built(architecture, name)
    assert list(check_image.faults(data, name.endswith(".sys"))) == []
    image = check_image.Image(data)
    assert image.subsystem_version == ((6, 1) if name.endswith(".sys") else (5, 2))


@pytest.mark.parametrize("architecture", ["x86", "x64"])
def test_regression_resources_are_built_below_a_folder_of_any_name(architecture):
    """llvm-rc takes /check/... for its option /c."""
    built(architecture, "vq7agent.exe")
    commands = subprocess.run(
        ["ninja", "-C", GUEST / architecture / "obj", "-t", "commands", "vq7agent.exe"],
        capture_output=True, text=True, check=True).stdout
    (made,) = [line for line in commands.splitlines() if "llvm-rc" in line]
    source = made[made.index("llvm-rc"):].split()[3]
    assert source.endswith(".rc") and not source.startswith("/"), made


HEADER = {  # offset in the optional header, field, value, the fault
    "subsystem version": (48, "<HH", (6, 2), "above Windows 7's 6.1"),
    "subsystem": (68, "<H", (2,), "is not"),
    "entry": (16, "<I", (0,), "no entry point"),
    "flags": (70, "<H", (0,), "NX"),
    "section alignment": (32, "<I", (512,), "sections aligned"),
    "file alignment": (36, "<I", (4096,), "sections aligned"),
    "image size": (56, "<I", (0x200000,), "image size"),
    "headers size": (60, "<I", (0x600,), "after 0x600"),
}


@pytest.mark.parametrize("architecture, name", IMAGES)
def test_a_wrong_header_is_found(architecture, name):
    data = built(architecture, name)
    header = pe_checksum.checksum_offset(data) - 64
    for what, (at, layout, values, said) in HEADER.items():
        wrong = bytearray(data)
        struct.pack_into(layout, wrong, header + at, *values)
        assert any(said in fault for fault in faults(wrong, name)), what


@pytest.mark.parametrize("architecture, name", IMAGES)
def test_wrong_sections_and_directories_are_found(architecture, name):
    data = built(architecture, name)
    header = pe_checksum.checksum_offset(data) - 64
    wide = architecture == "x64"
    directories = header + (112 if wide else 96)
    table = header + (240 if wide else 224)
    for said, at, value in (
            ("writable code", table + 36, 0xE0000020), (".text at 0x2000", table + 12, 0x2000),
            (".text in the file", table + 20, 0x600), ("no relocations", directories + 44, 0),
            ("a tls directory", directories + 76, 24),
            ("a delay import directory", directories + 108, 32)):
        wrong = bytearray(data)
        struct.pack_into("<I", wrong, at, value)
        assert any(said in fault for fault in faults(wrong, name)), said
    assert any("its content at" in fault for fault in faults(data + bytes(512), name))
    assert "checksum 0x" in next(check_image.faults(data + bytes(8), name.endswith(".sys")))


@pytest.mark.parametrize("architecture, name", IMAGES)
def test_a_cookie_that_no_loader_replaces_is_found(architecture, name):
    """A load configuration put over the start of .rdata, with its cookie there, too."""
    data = bytearray(built(architecture, name))
    image = check_image.Image(bytes(data))
    header, wide = pe_checksum.checksum_offset(data) - 64, architecture == "x64"
    section = image.sections[1]
    at = section[4] + (88 if wide else 60)
    struct.pack_into("<II", data, header + (192 if wide else 176), section[2], 112)
    struct.pack_into("<Q" if wide else "<I", data, at, image.base + section[2])
    for value, expected in ((check_image.DEFAULT_COOKIE[wide], False), (0x1234, True)):
        struct.pack_into("<Q" if wide else "<I", data, section[4], value)
        found = check_image.cookie_faults(check_image.Image(bytes(data)))
        assert any("security cookie" in fault for fault in found) == expected


@pytest.mark.parametrize("architecture, name, imported", [
    ("x86", "vq7test.sys", b"MmMapIoSpace\0"), ("x64", "vq7test.sys", b"MmMapIoSpace\0"),
    ("x86", "vq7agent.exe", b"CreateFileW\0"), ("x64", "vq7agent.exe", b"CreateFileW\0")])
def test_an_import_that_windows_7_lacks_is_found(monkeypatch, architecture, name, imported):
    data = built(architecture, name)
    listed = check_image.exports()
    text = imported[:-1].decode()
    (key,) = [key for key in listed if key[1] == text]
    for wrong, said in ((((6, 2), []), "which Windows 7 does not have"),
                        (((5, 0), ["arm"]), "does not list"), (None, "does not list")):
        changed = {k: v for k, v in listed.items() if k != key} | ({key: wrong} if wrong else {})
        monkeypatch.setattr(check_image, "exports", lambda: changed)
        (fault,) = faults(data, name)
        assert said in fault and text in fault
    monkeypatch.undo()
    by_ordinal = bytearray(data)
    image = check_image.Image(data)
    at = image.offset(image.unpack("<5I", image.offset(image.directories["import"][0]))[0])
    layout, bit = ("<Q", 1 << 63) if image.is_64 else ("<I", 1 << 31)
    struct.pack_into(layout, by_ordinal, at, bit | 7)
    assert any("by ordinal, #7" in fault for fault in faults(by_ordinal, name))


@pytest.mark.parametrize("line, said", [
    ("kernel32.dll Sleep 5.1", "isn't module, name, version, source"),
    ("kernel32.dll Sleep XP SDK:System.Threading", "isn't module, name, version, source"),
])
def test_a_version_without_a_source_is_refused(monkeypatch, tmp_path, line, said):
    listed = tmp_path / "exports.txt"
    listed.write_text(check_image.EXPORTS.read_text("ascii") + line + "\n")
    monkeypatch.setattr(check_image, "EXPORTS", listed)
    with pytest.raises(ValueError, match=said):
        check_image.exports()


def test_every_version_is_windows_7s_or_older():
    """And those of the SDK are no older than the namespace's own data: Windows 2000."""
    for key, (since, _) in check_image.exports().items():
        assert (5, 0) <= since <= check_image.WINDOWS_7, key


def test_list_of_exports_has_nothing_unused():
    """Nor anything twice."""
    lines = [line.split()[:2] for line in check_image.EXPORTS.read_text("ascii").splitlines()
             if line.strip() and not line.startswith("#")]
    used = {(module.lower(), name) for architecture, file in IMAGES
            for module, names in check_image.Image(built(architecture, file)).imports()
            for name in names}
    assert sorted(map(tuple, lines)) == sorted(used)
