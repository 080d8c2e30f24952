# SPDX-License-Identifier: MIT
"""Other people's guests, as far as it can be known without one."""

import lzma
import shutil
import subprocess

import pytest

from vq7rig.errors import Lacking
from vq7rig.foreign import cpio, linux, parts, work


def test_archive_is_one_that_others_read(tmp_path):
    if not shutil.which("cpio"):
        pytest.skip("no program cpio")
    entries = [("bin", cpio.DIRECTORY, b""), ("bin/abc", cpio.FILE, b"12345"),
               ("init", cpio.FILE, b"")]
    subprocess.run(["cpio", "-i", "--quiet"], input=cpio.archive(entries), cwd=tmp_path, check=True)
    assert (tmp_path / "bin/abc").read_bytes() == b"12345"
    assert (tmp_path / "bin/abc").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "init").read_bytes() == b""


def test_missing_guests_are_said_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "FOLDER", tmp_path / "none")
    with pytest.raises(Lacking, match="run `ci/other_guests.sh .*none`"):
        parts.find("boot/vmlinuz-*")


def test_modules_are_loaded_unless_the_kernel_has_them(tmp_path, monkeypatch):
    """As Debian 12's kernel has them, and Debian 13's: packed, and few."""
    monkeypatch.setattr(parts, "FOLDER", tmp_path)
    monkeypatch.setattr(parts, "ROOT", tmp_path)
    for name, content in (("ready", b""), ("bin/busybox", b"shell"),
                          ("lib/drivers/virtio_blk.ko.xz", lzma.compress(b"driver")),
                          ("lib/modules.builtin", "".join(
                              f"kernel/drivers/virtio/{each}.ko\n" for each in linux.MODULES
                              if each != "virtio_blk").encode())):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    found = {name: content for name, _, content in linux._entries()}
    assert found["modules/order"] == b"virtio_blk.ko"
    assert found["modules/virtio_blk.ko"] == b"driver"
    (tmp_path / "lib/modules.builtin").write_bytes(b"")
    with pytest.raises(Lacking, match="virtio_ring"):
        linux._entries()


class Says:
    def __init__(self, text):
        self.text = text

    def run(self, _command):
        return self.text


def test_complaints_are_told_from_what_is_usual():
    bad = ["<3>[ 9.0] I/O error, dev vda, sector 8 op 0x0:(READ) flags 0x0",
           "<4>[ 9.1] virtio_blk virtio0: something odd",
           "<4>[ 9.2] WARNING: CPU: 0 PID: 1 at drivers/virtio/virtio_ring.c:1",
           "<3>[ 9.3] virtio_blk virtio0: req.0:id 7 is not a head!"]
    good = ["<6>[ 5.0] virtio_blk virtio0: 1/0/0 default/read/poll queues",
            "<4>[ 4.4] acpi PNP0A03:00: fail to add MMCONFIG information, can't access extended",
            "<4>[ 0.1] tsc: Unable to calibrate against PIT"]
    assert work.complaints(Says("\n".join(good + bad))) == bad


@pytest.mark.parametrize("rows, kind, count", [
    ("24: 0 PCI-MSI 65536-edge virtio0-config\n25: 2 3 PCI-MSI 65537-edge virtio0-req.0", "msix",
     5),
    ("11: 70 IO-APIC 11-fasteoi virtio0", "line", 70)])
def test_interrupts(rows, kind, count):
    assert work.interrupts(Says(rows)) == (kind, count)
