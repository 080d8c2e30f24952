# SPDX-License-Identifier: MIT
"""The virtio-blk drivers of OVMF and U-Boot on our vhost-user device (e2e/hostile); SeaBIOS' is
test_firmware.py's."""

import contextlib
import time

import pytest

from vq7rig import pattern
from vq7rig.errors import GuestError
from vq7rig.foreign import work
from vq7rig.foreign.firmware import Fat, Firmware
from vq7rig.foreign.shell import Text
from vq7rig.runner import keep_logs

pytestmark = [pytest.mark.nightly, pytest.mark.needs("firmware")]
BACKEND = ("backend=vhost-user",)
DATA = pattern.content(94, 0, 4096, 1)
SCRIPT = """\
@echo -off
fs0:
cp a.bin b.bin
echo vq7: copied %lasterror%
comp a.bin b.bin
echo vq7: compared %lasterror%
mkdir c
mkdir d
mv b.bin c
cp c\\b.bin d
rm a.bin
echo vq7: moved %lasterror%
reset -s
"""


@contextlib.contextmanager
def machine_of(pool, artefacts, config, firmware):
    """One with another firmware, not started."""
    vm = pool.new(config, Firmware(firmware))
    try:
        yield vm
    finally:
        keep_logs(vm, artefacts)
        pool.release()


@pytest.fixture
def ovmf(pool, artefacts, config):
    with machine_of(pool, artefacts, config, "ovmf") as vm:
        yield vm


@pytest.fixture
def uboot(pool, artefacts, config):
    with machine_of(pool, artefacts, config, "u-boot") as vm:
        yield vm


def off(vm, timeout=60):
    until = time.monotonic() + timeout
    while vm.active():
        if time.monotonic() > until:
            raise GuestError(f"the machine isn't off after {timeout} s")
        time.sleep(0.1)


@pytest.mark.on("machines", options=BACKEND)
def test_ovmf_shell(ovmf):
    """UEFI's shell finds a FAT file system on the disk, and does what its script says."""
    fat = Fat(ovmf.disk)
    fat.make({"a.bin": DATA, "startup.nsh": SCRIPT.replace("\n", "\r\n").encode()})
    ovmf.start()
    ovmf.resume()
    with contextlib.closing(Text(ovmf)) as console:
        for word in ("copied", "compared", "moved"):
            console.until(rf"vq7: {word} 0x0\b", 120)
    off(ovmf)
    assert fat.read("c/b.bin") == fat.read("d/b.bin") == DATA
    status = work.check(ovmf)
    assert status["write"] > 0 and status["flush"] > 0


@pytest.mark.on("machines", options=BACKEND)
def test_uboot_commands(uboot):
    """U-Boot's commands read, write, and read again."""
    uboot.disk.write(0, DATA)
    uboot.start()
    uboot.resume()
    blocks = len(DATA) // pattern.SECTOR
    with contextlib.closing(Text(uboot)) as console:
        console.until("Hit any key to stop autoboot", 60)
        console.type(" ")
        console.until("^=> ", 60)
        for command, answer in (("virtio scan", ""), ("virtio info", "VirtIO Block"),
                                (f"virtio read 2000000 0 {blocks:x}", "blocks read: OK"),
                                (f"virtio write 2000000 2000 {blocks:x}", "blocks written: OK"),
                                (f"virtio read 4000000 2000 {blocks:x}", "blocks read: OK"),
                                (f"cmp.b 2000000 4000000 {len(DATA):x}", "were the same")):
            console.type(command + "\n")
            said, _ = console.until("^=> ", 60)
            assert answer in said
    assert uboot.disk.read(0x2000, blocks) == DATA
    assert work.check(uboot)["write"] > 0
