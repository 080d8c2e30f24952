# SPDX-License-Identifier: MIT
"""What Linux does with the disk, and how it is judged: the host fills the first area, Linux
copies each area to the next one, in several ways at once, and the host compares. Before the
areas there is a partition with a file system."""

import re
import shutil
import subprocess

from .. import pattern
from ..errors import GuestError, RigError
from ..pattern import SECTOR

AREA = 2048                     # sectors
PARTITION, SECTORS = 2048, 32768
FIRST = (PARTITION + SECTORS) // AREA       # area
# The parts of an area, each copied by a job of its own: block size and dd's other words.
DIRECT, CACHED = "iflag=direct oflag=direct", ""
JOBS = ((512, DIRECT), (4096, DIRECT), (65536, DIRECT), (131072, CACHED))
SEED = 93
# What a kernel says that something is wrong: errors and worse, and warnings about this driver.
COMPLAINT = re.compile(r"^<[0-3]>|^<4>.*(virtio|vda|blk)|\bBUG\b|WARNING|Call Trace"
                       r"|is not a head|I/O error|hung_task|blocked for more than")
# Errors at each boot of a machine like these.
USUAL = re.compile(r"MMCONFIG|Not enough CPUs to check|PM-Timer")


class Disk:
    """The disk that a Linux in a machine has as /dev/vda."""

    def __init__(self, vm):
        self._vm = vm
        self.data = pattern.content(SEED, 0, AREA, 1)
        self._last = FIRST      # the area written last

    def fill(self):
        """Before the machine starts: the host's part."""
        self._vm.disk.write(0, _partition_table(int(self._vm.config.option("block", SECTOR))))
        self._vm.disk.write(FIRST * AREA, self.data)
        return self

    def copy(self, shell, jobs=JOBS, meanwhile=lambda: None):
        """Linux copies the last area to the next one. Raises AssertionError, GuestError."""
        source, target = self._last, self._last + 1
        if (target + 1) * AREA > self._vm.disk.capacity:
            target = FIRST
        shell.run("together " + " ".join(
            f"'{self._job(source, target, number, len(jobs), *each)}'"
            for number, each in enumerate(jobs)), timeout=120, meanwhile=meanwhile)
        assert self._vm.disk.read(target * AREA, AREA) == self.data, f"area {target}"
        self._last = target

    def make_ext4(self):
        """A file system in the partition, before the machine starts."""
        image = self._vm.run / "ext4.img"
        _tool("mke2fs", "-q", "-t", "ext4", str(image), f"{SECTORS * SECTOR // 1024}k")
        self._vm.disk.write(PARTITION, image.read_bytes())
        return self

    def of_ext4(self, *names, cut=False):
        """What files hold, of a file system that must be without fault; of one whose power was cut
        when its journal has been replayed."""
        image, content = self._vm.run / "ext4.img", self._vm.run / "content"
        image.write_bytes(self._vm.disk.read(PARTITION, SECTORS))
        if cut:
            _tool("e2fsck", "-E", "journal_only", "-y", str(image), good=(0, 1))    # 1: was changed
        _tool("e2fsck", "-f", "-n", str(image))
        for name in names:
            _tool("debugfs", "-R", f"dump {name} {content}", str(image))
            yield content.read_bytes()

    def _job(self, source, target, number, jobs, size, words):
        count = AREA * SECTOR // jobs // size
        skip, seek = (area * AREA * SECTOR // size + number * count for area in (source, target))
        end = "conv=notrunc" if words else "conv=notrunc,fsync"
        return (f"dd if=/dev/vda of=/dev/vda bs={size} count={count} skip={skip} "
                f"seek={seek} {end} {words} status=none")


def _partition_table(block):
    """An MBR with one partition of Linux'; it counts in blocks."""
    entry = bytes((0, 0xFE, 0xFF, 0xFF, 0x83, 0xFE, 0xFF, 0xFF)) + b"".join(
        (count * SECTOR // block).to_bytes(4, "little") for count in (PARTITION, SECTORS))
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"


def _tool(program, *words, good=(0,)):
    """One of e2fsprogs'. Raises AssertionError with its words, RigError where it isn't there."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if path is None:
        raise RigError(f"there is no program {program}", "apt-get install e2fsprogs")
    done = subprocess.run([path, *words], capture_output=True, text=True)
    assert done.returncode in good, f"{program}: {done.stdout}{done.stderr}"


def complaints(shell):
    """What Linux' kernel has complained of since this was last asked."""
    return [line for line in shell.run("dmesg -r -c").splitlines()
            if COMPLAINT.search(line) and not USUAL.search(line)]


def features(shell, device="virtio0"):
    """Those that the driver has accepted, as a mask."""
    bits = shell.run(f"cat /sys/bus/virtio/devices/{device}/features")
    return sum(1 << bit for bit, each in enumerate(bits) if each == "1")


def interrupts(shell):
    """How the disk's requests are told: "line" or "msix"; how many interrupts there were."""
    rows = [line for line in shell.run("cat /proc/interrupts").splitlines() if "virtio0" in line]
    requests = [row for row in rows if "virtio0-req" in row] or rows
    if not requests:
        raise GuestError("Linux has no interrupt for virtio0")
    count = sum(int(word) for row in requests for word in row.split()[1:]
                if word.isdecimal() and len(row.split()) > 2)
    return "msix" if "MSI" in requests[0] else "line", count


def check(vm):
    """The device's own view of a driver that does nothing wrong. Returns its counters."""
    status = vm.backend.status()
    bad = {name: status[name] for name in ("ring_errors", "limits_exceeded", "failed")}
    assert not any(bad.values()), f"{bad}: {vm.backend.last_words()}"
    return status
