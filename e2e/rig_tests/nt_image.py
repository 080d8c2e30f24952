# SPDX-License-Identifier: MIT
"""ntcompat as a user's own NT would come: an image that the firmware boots, and of which the
rig knows nothing. The loader is ISOLINUX, which starts ntcompat as it starts Linux."""

import pathlib
import shutil
import subprocess

import pytest

ISOLINUX = pathlib.Path("/usr/lib/ISOLINUX")
MODULES = pathlib.Path("/usr/lib/syslinux/modules/bios")
GUEST = pathlib.Path(__file__).resolve().parents[2] / "build" / "guest" / "x64"
POOR = ("vq7test.MSISupported=0", "vq7agent.Unload=no")

# A minimum of what the loader's own time-out, in tenths of a second, delays the start.
CONFIGURATION = """\
DEFAULT nt
PROMPT 1
TIMEOUT {tenths}
LABEL nt
    LINUX /ntcompat.elf
    INITRD /guest.cpio
    APPEND {settings}
"""


def make(image, settings=POOR, late_s=3, archive="guest.cpio", files=None):
    """An ISO that is a disk as well (its first sector is a boot sector, too). `files`: more of
    them, path -> bytes."""
    for needed in (ISOLINUX / "isolinux.bin", GUEST / "ntcompat.elf"):
        if not needed.exists():
            pytest.skip(f"no {needed}")
    tree = image.parent / f"{image.name}.tree"
    tree.mkdir()
    for source in (ISOLINUX / "isolinux.bin", MODULES / "ldlinux.c32", GUEST / "ntcompat.elf"):
        shutil.copy(source, tree)
    shutil.copy(GUEST / archive, tree / "guest.cpio")
    for name, data in (files or {}).items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    (tree / "isolinux.cfg").write_text(CONFIGURATION.format(tenths=round(late_s * 10),
                                                            settings=" ".join(settings)))
    subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-V", "NTCOMPAT", "-r",
                    "-b", "isolinux.bin", "-c", "boot.cat", "-no-emul-boot", "-boot-load-size",
                    "4", "-boot-info-table", "-isohybrid-mbr", ISOLINUX / "isohdpfx.bin",
                    "-o", image, tree], check=True, capture_output=True)
    shutil.rmtree(tree)
    return image


def as_qcow2(iso):
    """The same as a disk."""
    image = iso.with_suffix(".qcow2")
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", iso, image], check=True)
    return image
