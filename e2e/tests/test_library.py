# SPDX-License-Identifier: MIT
"""The library in ring 0, all of it: vq7lib.sys (guest_driver/libtest) calls each function of
lib/ across from a device of its own, with real MDLs, and what it can refuse."""

import re
import time

import pytest

from vq7rig.errors import RigError
from vq7rig.machine import Config
from vq7rig.paths import ROOT
from vq7rig.vm import VM

SOURCES = ROOT / "guest_driver" / "libtest"
BOOT_TIMEOUT = 30.0


@pytest.fixture
def machine(pool, artefacts, tmp_path):
    """One whose guest has vq7lib.sys in place of the driver, not started yet."""
    pool.release()                  # one machine at a time
    archive = pool.guest / "guest_library.cpio"
    if not archive.exists():
        raise RigError(f"{archive} is missing", "build the target library_archive")
    guest = tmp_path / "guest"
    guest.mkdir()
    for name, file in (("guest.cpio", archive), ("ntcompat.elf", pool.guest / "ntcompat.elf"),
                       ("vq7lib.sys", pool.guest / "vq7lib.sys")):
        (guest / name).symlink_to(file)
    folder = artefacts.parent / "machines" / "library"      # where counters are looked for
    with VM(pool.host, Config(flavour="modern"), guest, folder, disk_mib=1,
            hello_timeout=BOOT_TIMEOUT) as vm:
        yield vm.prepare().start()


def cases():
    """The names in the driver's tables."""
    found = []
    for path in sorted(SOURCES.glob("*.cpp")):
        found += re.findall(r'\{"([a-z-]+)", \w+\}', path.read_text())
    return found


@pytest.mark.rules
def test_every_case_passes(machine):
    """And what it leaves behind would stop the guest when the driver is unloaded."""
    machine.boot()
    deadline = time.monotonic() + BOOT_TIMEOUT
    while "cases passed" not in machine.kernel_log() and time.monotonic() < deadline:
        time.sleep(0.05)
    said = re.findall(r"^vq7lib: (.*)", machine.kernel_log(), re.M)
    wanted = cases()
    assert len(wanted) == len(set(wanted)) > 30
    passed = [re.fullmatch(r"ok \((.*)\)", line)[1] for line in said if line.startswith("ok ")]
    assert said[-1:] == [f"{len(wanted)} of {len(wanted)} cases passed"], "\n".join(said)
    assert sorted(passed) == sorted(wanted)
    machine.console.command("info")
