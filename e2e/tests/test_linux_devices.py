# SPDX-License-Identifier: MIT
"""Linux' virtio_blk on devices that say other things of themselves, and in other machines."""

import pytest

from linux_guest import BACKEND, booted
from vq7rig import features
from vq7rig.errors import Lacking
from vq7rig.foreign import work

pytestmark = [pytest.mark.nightly, pytest.mark.needs("firmware")]
LARGE = tuple((max(size, 4096), words) for size, words in work.JOBS)


def has(shell, name, value):
    assert shell.run(f"cat /sys/block/vda/{name}") == value


def served(vm, shell, disk, jobs=work.JOBS):
    """Returns the device's counters."""
    disk.copy(shell, jobs)
    disk.copy(shell, jobs)
    assert work.complaints(shell) == []
    return work.check(vm)


@pytest.mark.on("interrupts_of_pc",
                options=BACKEND + ("cpus=2", "num-queues=4", "backend.queues=4"))
def test_linux_many_queues(linux, config):
    """One for each of its CPUs; the others aren't used. Both CPUs copy at once."""
    with booted(linux) as (shell, disk):
        assert shell.run("ls /sys/block/vda/mq").split() == ["0", "1"]
        served(linux, shell, disk)
        for cpu in (1, 2):
            shell.run(f"taskset {cpu} dd if=/dev/vda of=/dev/null bs=4096 count=64 iflag=direct")
        rows = [row.split() for row in shell.run("cat /proc/interrupts").splitlines()
                if ("virtio0-req" if config.interrupt == "msix" else "virtio0") in row]
        assert len(rows) == (2 if config.interrupt == "msix" else 1)
        assert all(int(row[1]) + int(row[2]) > 0 for row in rows), rows


@pytest.mark.on("interrupts_of_pc", queue_size=16, event_idx=False, indirect=False,
                options=BACKEND + ("backend.seg_max=14",))
def test_linux_small_ring(linux):
    """Which is full all the time, without any of the ring's features."""
    with booted(linux) as (shell, disk):
        has(shell, "mq/0/nr_tags", "8")             # a request takes two descriptors
        served(linux, shell, disk)


@pytest.mark.on("transports", queue_size=1024, options=BACKEND + ("memory=5120",))
def test_linux_large_ring_and_memory(linux):
    """A ring larger than the usual one; memory beyond 4 GiB, where Linux' caches begin."""
    with booted(linux) as (shell, disk):
        has(shell, "mq/0/nr_tags", "1024")
        served(linux, shell, disk)


@pytest.mark.on("transports", options=BACKEND + ("backend.seg_max=4", "backend.size_max=8192"))
def test_linux_keeps_to_limits(linux):
    with booted(linux) as (shell, disk):
        has(shell, "queue/max_segments", "4")
        assert served(linux, shell, disk)["most_segments"] == 4
        if not work.features(shell) & features.BLK_SIZE_MAX:
            raise Lacking(f"{linux.host.emulator} keeps VIRTIO_BLK_F_SIZE_MAX from the driver")
        has(shell, "queue/max_segment_size", "8192")


@pytest.mark.on("transports", options=BACKEND + ("block=4096", "serial=ABCDEFGHIJKLMNOPQRST"))
def test_linux_large_blocks(linux):
    """And a serial number that has no end."""
    with booted(linux) as (shell, disk):
        has(shell, "queue/logical_block_size", "4096")
        has(shell, "serial", "ABCDEFGHIJKLMNOPQRST")
        served(linux, shell, disk, LARGE)


@pytest.mark.on("transports", options=BACKEND + ("backend.flush=0", "serial="))
def test_linux_without_flush(linux):
    with booted(linux) as (shell, disk):
        has(shell, "queue/write_cache", "write through")
        has(shell, "serial", "")
        assert served(linux, shell, disk)["flush"] == 0


@pytest.mark.on("transports", options=BACKEND + ("backend.config_wce=1",))
def test_linux_changes_the_cache(linux):
    """By a write to the configuration."""
    with booted(linux) as (shell, disk):
        for mode, flushes in (("write back", True), ("write through", False),
                              ("write back", True)):
            shell.run(f"echo '{mode}' > /sys/block/vda/cache_type")
            has(shell, "cache_type", mode)
            before = linux.backend.status()["flush"]
            assert (served(linux, shell, disk)["flush"] > before) == flushes


@pytest.mark.on("read_only", options=BACKEND)
def test_linux_read_only(linux):
    with booted(linux) as (shell, disk):
        assert shell.run("blockdev --getro /dev/vda") == "1"
        shell.run("dd if=/dev/zero of=/dev/vda bs=4096 count=1 oflag=direct", fails=True)
        shell.run("dd if=/dev/vda of=/dev/null bs=64k")
        assert work.check(linux)["write"] == 0
        assert work.complaints(shell) == []


def discard(vm, shell):
    """A whole area, by a command; its neighbours are as they were. Returns how many requests."""
    first, count = work.FIRST * work.AREA, vm.backend.status()["discard"]
    before = vm.disk.read(first - 8, work.AREA + 16)
    shell.run(f"blkdiscard -o {first * 512} -l {work.AREA * 512} /dev/vda")
    after = vm.disk.read(first - 8, work.AREA + 16)
    assert before[4096:-4096] != bytes(work.AREA * 512) == after[4096:-4096]
    assert (before[:4096], before[-4096:]) == (after[:4096], after[-4096:])
    return vm.backend.status()["discard"] - count


@pytest.mark.on("transports", options=BACKEND + ("backend.discard=512", "backend.write_zeroes=256"))
def test_linux_discards(linux):
    """By command, and by a file system; and the zeros that ext4 writes into its new tables."""
    with booted(linux, ext4=True) as (shell, disk):
        has(shell, "queue/discard_max_bytes", str(512 * 512))
        has(shell, "queue/write_zeroes_max_bytes", str(256 * 512))
        disk.copy(shell)
        requests = discard(linux, shell)
        assert 1 <= requests <= work.AREA // 512        # of up to 16 ranges each
        shell.run("mount -t ext4 /dev/vda1 /mnt")
        shell.run(f"dd if=/dev/vda of=/mnt/a bs=1M skip={work.FIRST + 1} count=1")
        shell.run("cp /mnt/a /mnt/b && sync && rm /mnt/b && sync && fstrim /mnt")
        linux.backend.wait("zeroes", 1, 60)
        shell.run("umount /mnt")
        assert list(disk.of_ext4("/a")) == [disk.data]
        assert served(linux, shell, disk)["discard"] > requests
