# SPDX-License-Identifier: MIT
"""What happens to a machine with Linux and our vhost-user device: resets in the middle of its
work, memory that comes and goes, and power that goes."""

import xml.etree.ElementTree as ET

import pytest

from linux_guest import BACKEND, booted, machine
from vq7rig.foreign import work
from vq7rig.foreign.linux import DIMM, DIMM_MIB
from vq7rig.hotplug import Plug
from vq7rig.libvirt_host import libvirt

pytestmark = [pytest.mark.nightly, pytest.mark.needs("firmware")]


def in_the_middle(vm, shell, then):
    """Begin `then` while requests are at the device, and wait for the next start."""
    with vm.backend.misbehaving("slow", value=200, kind="write"):
        shell.type("x dd if=/dev/zero of=/dev/vda1 bs=1M count=16\n")
        vm.backend.wait("pending", 2)
        then()
    shell.rebooted()


@pytest.mark.on("interrupts_of_pc", options=BACKEND)
def test_linux_starts_again(linux):
    """By the reset button, with requests at the device, and by itself."""
    with booted(linux) as (shell, disk):
        disk.copy(shell)
        in_the_middle(linux, shell, lambda: linux.dom.reset(0))
        disk.copy(shell)
        shell.type("x reboot -f\n")
        shell.rebooted()
        disk.copy(shell)
        assert work.complaints(shell) == []
        status = work.check(linux)
        assert status["pending"] == 0 and status["connections"] == 1


@pytest.fixture
def roomy(pool, artefacts, config):
    """A machine that takes more memory."""
    with machine(pool, artefacts, config, slots=2) as vm:
        yield vm


def memory_is(shell, mib, timeout=30):
    shell.run(f"until [ $(awk '/MemTotal/ {{ print int($2 / 1024) }}' /proc/meminfo) -{mib} ]; "
              "do sleep 0.1; done", timeout)


@pytest.mark.on("transports", options=BACKEND)
def test_linux_memory_comes_and_goes(roomy):
    """While it copies, also by what is in that memory: Linux has its caches there first."""
    with booted(roomy) as (shell, disk):
        disk.copy(shell)
        regions = roomy.backend.status()["regions"]
        disk.copy(shell, meanwhile=lambda: roomy.dom.attachDeviceFlags(DIMM, 0))
        memory_is(shell, f"ge {DIMM_MIB + 128}")
        assert roomy.backend.status()["regions"] == regions + 1
        for _ in range(4):
            disk.copy(shell)
        shell.run("dd if=/dev/vda of=/dev/null bs=64k")
        disk.copy(shell, meanwhile=lambda: roomy.dom.detachDeviceFlags(DIMM, 0))
        memory_is(shell, f"lt {DIMM_MIB + 128}")
        shell.run("sleep 1")
        assert roomy.backend.status()["regions"] == regions
        disk.copy(shell)
        work.check(roomy)
        assert work.complaints(shell) == []


def disk_xml(vm):
    """Of the disk that the machine has begun with. libvirt's overrides are for the start alone: a
    legacy device comes back as a transitional one."""
    root = ET.fromstring((vm.folder / "domain.xml").read_text())
    return ET.tostring(root.find("devices/disk"), encoding="unicode")


@pytest.mark.on("transports", options=BACKEND)
def test_linux_disk_comes_and_goes(linux):
    """Linux lets it go when it is asked, and finds it when it is there again."""
    plug = Plug(linux)
    with booted(linux) as (shell, disk):
        for _ in range(2):
            disk.copy(shell)
            plug.ask_out()
            plug.wait_out(30)
            shell.run("test ! -e /dev/vda")
            assert linux.backend.status()["connected"] == 0
            linux.dom.attachDeviceFlags(disk_xml(linux), libvirt.VIR_DOMAIN_AFFECT_LIVE)
            shell.run("until test -e /dev/vda; do sleep 0.1; done")
        disk.copy(shell)
        assert work.check(linux)["connections"] == 3
        assert work.complaints(shell) == []


@pytest.mark.on("interrupts_of_pc", options=BACKEND + ("backend.cache=1",))
def test_linux_power_is_cut(linux):
    """While it writes to ext4. What Linux was told is safe is there, and the journal's order was
    kept: the file system is whole when it has been replayed."""
    names = [f"f{number}" for number in range(6)]
    with booted(linux, ext4=True) as (shell, disk):
        shell.run("mount -t ext4 /dev/vda1 /mnt")
        for name in names:
            shell.run(f"dd if=/dev/vda of=/mnt/{name} bs=64k skip={work.FIRST * 16} count=16 "
                      "conv=fsync")
        shell.run("sync")
        shell.type("x while cp /mnt/f0 /mnt/g; do cp -r /bin/busybox /modules /mnt; sync; "
                   "rm -r /mnt/g /mnt/modules; done\n")
        linux.backend.wait("write", linux.backend.status()["write"] + 100, 60)
        linux.backend.misbehave("slow", value=500, kind="flush")    # else the cache may be empty
        linux.backend.wait("cached", 50, 60)
        lost = linux.backend.cut(1)
        linux.host.destroy(linux.dom)
        assert lost["dropped"] > 0, "nothing was in the cache"
        assert list(disk.of_ext4(*(f"/{name}" for name in names), cut=True)) \
            == [disk.data] * len(names)
        work.check(linux)
