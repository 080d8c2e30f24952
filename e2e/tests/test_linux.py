# SPDX-License-Identifier: MIT
"""Linux' virtio_blk on our vhost-user device (e2e/hostile): a driver that isn't ours, on which
the device has to be right."""

import time

import pytest

from linux_guest import BACKEND, booted
from vq7rig import features
from vq7rig.foreign import work

pytestmark = [pytest.mark.nightly, pytest.mark.needs("firmware")]
CAPACITY = 131072


def negotiated(config):
    """The features that are chosen by the machine, and not by the device."""
    return ((features.VERSION_1 if config.flavour != "legacy" else 0)
            | (features.EVENT_IDX if config.event_idx else 0)
            | (features.INDIRECT if config.indirect else 0))


@pytest.mark.on("interrupts", nightly="ring_features", options=BACKEND)
def test_linux_reads_and_writes(linux, config):
    """What it sees of the device, its rings and its interrupts, and the data."""
    with booted(linux) as (shell, disk):
        chosen = features.VERSION_1 | features.EVENT_IDX | features.INDIRECT
        assert work.features(shell) & chosen == negotiated(config)
        assert shell.run("cat /sys/block/vda/serial") == "VQ7-DISK-0"
        assert shell.number("blockdev --getsz /dev/vda") == CAPACITY
        disk.copy(shell)
        disk.copy(shell)
        kind, count = work.interrupts(shell)
        assert kind == config.interrupt
        status = work.check(linux)
        assert 0 < count <= status["completed"]
        assert status["flush"] > 0 and status["id"] > 0
        assert work.complaints(shell) == []


@pytest.mark.on("flavours", nightly="interrupts_of_pc", options=BACKEND)
def test_linux_file_system(linux):
    """A partition with ext4, whose journal flushes; the host reads it without Linux."""
    with booted(linux, ext4=True) as (shell, disk):
        before = linux.backend.status()["flush"]
        shell.run("mount -t ext4 /dev/vda1 /mnt")
        shell.run(f"dd if=/dev/vda of=/mnt/a bs=1M skip={work.FIRST} count=1 && mkdir /mnt/b && "
                  "cp /mnt/a /mnt/b/c && cp -r /bin/busybox /modules /mnt/b && sync && "
                  "rm -r /mnt/b/modules")
        sums = shell.run("cat /mnt/a /mnt/b/* | sha256sum")
        shell.run("umount /mnt && echo 3 > /proc/sys/vm/drop_caches && "
                  "mount -t ext4 /dev/vda1 /mnt")
        assert shell.run("cat /mnt/a /mnt/b/* | sha256sum") == sums
        shell.run("umount /mnt")
        assert list(disk.of_ext4("/a", "/b/c")) == [disk.data] * 2
        assert work.check(linux)["flush"] >= before + 3
        assert work.complaints(shell) == []


def binds_again(vm, shell):
    """The driver lets the device go and starts it again: a reset. First the disk's, then the
    PCI device's."""
    for bus, driver, device in (("virtio", "virtio_blk", "virtio0"),
                                ("pci", "virtio-pci", "0000:00:04.0")):
        before = vm.backend.status()["starts"]
        shell.run(f"cd /sys/bus/{bus}/drivers/{driver} && echo {device} > unbind && "
                  f"test ! -e /dev/vda && echo {device} > bind && test -e /dev/vda")
        shell.run("dd if=/dev/vda of=/dev/null bs=4096 count=1 iflag=direct")
        assert vm.backend.status()["starts"] > before


def sees_new_sizes(vm, shell):
    for sectors in (CAPACITY // 2, 2 * CAPACITY, CAPACITY):
        vm.backend.set(capacity=sectors)
        shell.run(f"until [ $(blockdev --getsz /dev/vda) = {sectors} ]; do sleep 0.1; done")
        assert f"new size: {sectors} 512-byte" in shell.run("dmesg")


def reports_errors(vm, shell):
    """Just those that the device reports, and with no consequences."""
    at = work.FIRST * work.AREA // 8
    reading = f"dd if=/dev/vda of=/dev/null bs=4096 skip={at} count=1 iflag=direct"
    writing = f"dd if=/dev/vda of=/dev/vda bs=4096 skip={at} seek={at} count=1 conv=notrunc"
    for kind, command, operation in (("read", reading, "0x0:(READ)"),
                                     ("write", f"{writing} oflag=direct", "0x1:(WRITE)"),
                                     ("flush", f"{writing},fsync", "0x1:(WRITE)")):
        assert work.complaints(shell) == []
        with vm.backend.misbehaving("io-error", kind=kind, times=1) as rule:
            said = shell.run(command, fails=True)
            assert vm.backend.hits(rule) == 1
        assert "I/O error" in said or "Input/output error" in said
        found = work.complaints(shell)
        assert found and all("dev vda" in line for line in found), found
        assert operation in found[0], found
        shell.run(command)


@pytest.mark.on("interrupts_of_pc", nightly="flavours", options=BACKEND)
def test_linux_lives_with_it(linux):
    """Reset by the driver, a new size, errors of requests."""
    with booted(linux) as (shell, disk):
        disk.copy(shell)
        binds_again(linux, shell)
        disk.copy(shell)
        sees_new_sizes(linux, shell)
        disk.copy(shell)
        reports_errors(linux, shell)
        disk.copy(shell)
        work.check(linux)
        assert work.complaints(shell) == []


# What an honest device may do, and a host to it.
HONEST = {
    "slow": {"value": 2, "when": "every:3"},
    "shuffle": {"value": 20},
    "reverse": {"value": 20},
    "poll": {"value": 50, "when": "every:10"},
    "early-interrupt": {"value": 3, "when": "every:5"},
    "flicker": {"value": 30, "when": "every:10"},
    "storm": {"value": 5, "when": "every:20"},
}


def paused(vm):
    """The front end stops the rings, with what is in them, and starts them again."""
    for _ in range(5):
        with vm.stopped():
            time.sleep(0.05)
        time.sleep(0.2)


@pytest.mark.on("interrupts_of_pc", nightly="flavours", options=BACKEND)
def test_linux_on_an_odd_device(linux):
    """Late, in any order, at the wrong time, gone and back: all of it is allowed."""
    with booted(linux) as (shell, disk):
        for name, how in HONEST.items():
            with linux.backend.misbehaving(name, **how) as rule:
                disk.copy(shell)
                assert linux.backend.hits(rule) > 0, name
            assert work.complaints(shell) == [], name
        with linux.backend.misbehaving("shuffle", value=20):
            disk.copy(shell, meanwhile=lambda: paused(linux))
            with linux.backend.misbehaving("hang-up", value=100, when="on:30"):
                disk.copy(shell)
        status = work.check(linux)
        assert status["connections"] == 2 and status["resubmitted"] > 0
        assert work.complaints(shell) == []
