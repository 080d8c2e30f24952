# SPDX-License-Identifier: MIT
"""Devices that are unusual, and legal: where their registers are, what they insist on, where
they sit, how large they and the machine are. All of them carry the same verified load."""

import urllib.parse

import pytest

from vq7rig.errors import CommandError
from vq7rig.features import VirtioView
from vq7rig.workload import Workload

from test_workloads import run

ACCESS_PLATFORM = 1 << 33
LOAD = Workload(ops=300, depth=16, sizes=(512, 4096, 65536), segments=3, seed=91, span=16384)


def only_device(vm):
    (device,) = vm.console.command("devices").rows()
    return device


# --- registers (Virtio 1.2, 4.1.4) -------------------------------------------------------

@pytest.mark.on("transitional", nightly="modern_registers", options=("page-per-vq=on",))
def test_megabytes_of_notify_registers(vm):
    """A BAR of 8 MiB, 4 of them one register each page. With several CPUs there are as many
    queues, of which the driver sets up one."""
    assert only_device(vm)["transport"] == "modern"
    run(vm, LOAD)


@pytest.mark.needs("unload")
@pytest.mark.watched
@pytest.mark.nightly
@pytest.mark.on("one", options=("page-per-vq=on", "cpus=4", "num-queues=4"))
def test_power_cycles_keep_what_is_mapped(vm):
    """Started again and again: the registers are found where they are mapped already."""
    for _ in range(3):
        run(vm, Workload(ops=60, depth=8, sizes=(4096,), seed=92, span=4096))
        vm.console.command("driver unload")
        vm.console.command("driver load")


@pytest.mark.needs("kernel log")
@pytest.mark.on("one", options=("big-bar=4096",))
def test_registers_above_4_gib(vm):
    """A neighbour with a BAR of 4 GiB, so that the firmware moves 64-bit BARs up there."""
    bars = [line for line in vm.kernel_log().splitlines() if "BAR4 memory 0x" in line]
    assert any(int(line.split("memory ")[1].split()[0], 16) >> 32 for line in bars), bars
    run(vm, LOAD)


# --- what a device insists on (6.1) --------------------------------------------------------

@pytest.mark.on("one", options=("iommu_platform=on",))
def test_access_platform(vm):
    """Device addresses are physical addresses here: the feature is accepted."""
    device = only_device(vm)
    assert int(device["device_features"], 0) & ACCESS_PLATFORM
    assert int(device["driver_features"], 0) & ACCESS_PLATFORM
    run(vm, LOAD)


@pytest.mark.on("one", machine="q35", options=("place=root-port", "iommu_platform=on", "ats=on"))
def test_access_platform_with_ats(vm):
    assert int(only_device(vm)["driver_features"], 0) & ACCESS_PLATFORM
    run(vm, LOAD)


@pytest.mark.nightly
@pytest.mark.on("one", machine="q35", options=("iommu=intel", "iommu_platform=on"))
def test_access_platform_beside_an_iommu_that_is_off(vm):
    run(vm, LOAD)


@pytest.mark.on("one", options=("iommu_platform=on",), settings=("hal.DmaRemapping=1",))
def test_access_platform_behind_an_iommu_is_refused(vm):
    """With addresses that are translated the device isn't started, and the log says why."""
    assert vm.console.command("devices").num("devices") == 0
    assert "takes addresses that an IOMMU translates (ACCESS_PLATFORM)" in vm.kernel_log()
    with pytest.raises(CommandError) as refused:
        vm.console.command("blk read 0 1")
    assert refused.value.name == "NO_DEVICE"


@pytest.mark.on("one", settings=("hal.DmaRemapping=1",))
def test_a_device_without_access_platform_goes_round_the_iommu(vm):
    """It takes physical addresses whatever the platform does (6.1)."""
    run(vm, LOAD)


# --- where it sits ---------------------------------------------------------------------------

@pytest.mark.on("one", options=("place=bridge",))
def test_behind_bridges(vm):
    assert not only_device(vm)["pci"].startswith("00:")
    run(vm, LOAD)


@pytest.mark.nightly
@pytest.mark.on("transports", machine="q35", options=("place=bridge",))
def test_behind_bridges_on_q35(vm):
    run(vm, LOAD)


@pytest.mark.on("one", machine="q35", options=("place=root-port",))
def test_in_a_root_port(vm):
    assert only_device(vm)["pci"].endswith(":00.0")
    run(vm, LOAD)


@pytest.mark.on("legacy", options=("place=function",))
def test_a_function_of_a_device(vm):
    assert only_device(vm)["pci"] == "00:07.3"
    run(vm, LOAD)


# --- sizes -----------------------------------------------------------------------------------

def data_addresses(vm):
    """Device addresses in the descriptor table, as QEMU's monitor shows the guest's memory."""
    table = VirtioView(vm).queue(0)["vring-desc"]
    text = vm.qmp("human-monitor-command", **{"command-line": f"xp /512gx {table:#x}"})
    words = [int(word, 16) for line in text.splitlines() for word in line.split(":")[1].split()]
    return words[::2]


@pytest.mark.on("one", indirect=False, options=("memory=5120",))
def test_buffers_above_4_gib(vm):
    run(vm, Workload(ops=300, depth=80, sizes=(65536,), seed=93, span=65536))
    assert any(address >> 32 for address in data_addresses(vm))


@pytest.mark.nightly
@pytest.mark.on("transports", indirect=False, options=("memory=20480",))
def test_20_gib(vm):
    run(vm, Workload(ops=2000, depth=80, sizes=(65536,), seed=94, span=65536))
    assert any(address >> 34 for address in data_addresses(vm))


@pytest.mark.on("one", options=("sectors=0",))
def test_a_disk_without_sectors(vm):
    assert vm.console.command("blk info").num("capacity") == 0
    with pytest.raises(CommandError) as refused:
        vm.console.command("blk read 0 1")
    assert refused.value.name == "STATUS_IO_DEVICE_ERROR"
    vm.console.command("blk flush")


@pytest.mark.on("transports", options=("sectors=12347",))
def test_a_disk_of_an_odd_size(vm):
    assert vm.console.command("blk info").num("capacity") == 12347
    run(vm, Workload(ops=200, depth=16, sizes=(512, 4096), seed=95, span=12347))
    vm.console.command("blk write 12346 1 seed=1 gen=1")
    vm.expected.wrote(12346, 1, 1, 1)
    for command in ("blk write 12346 2 seed=1 gen=2", "blk write 12347 1 seed=1 gen=2"):
        with pytest.raises(CommandError) as refused:
            vm.console.command(command)
        assert refused.value.name == "STATUS_IO_DEVICE_ERROR"
    vm.expected.check()


@pytest.mark.parametrize("serial", ["", "12345678901234567890"], ids=["0", "20"])
@pytest.mark.on("one")
def test_serial(pool, artefacts, config, serial):
    """GET_ID: an ID of 20 bytes has no NUL behind it (5.2.6)."""
    vm = pool.get(config.but(options=(f"serial={serial}",)))
    answer = urllib.parse.unquote(vm.console.command("blk id")["id"])
    assert answer.rstrip("\0") == serial


# --- limits of a request (5.2.4) ---------------------------------------------------------------

SMALL = Workload(ops=200, depth=16, sizes=(512, 4096, 32768), seed=96, span=8192)


@pytest.mark.parametrize("queue_size", [4, pytest.param(8, marks=pytest.mark.nightly)])
@pytest.mark.on("one", nightly="transports")
def test_few_segments(pool, artefacts, config, queue_size):
    """seg_max is what the queue leaves: 2 and 6. What lies in more pieces is cut, or goes
    through memory of the driver."""
    vm = pool.get(config.but(queue_size=queue_size))
    assert vm.console.command("blk info").num("seg_max") == queue_size - 2
    run(vm, SMALL)
    assert vm.console.command("stats").num("bounced") == 0
    for segments in (3, 7, 101):
        run(vm, Workload(ops=60, depth=8, sizes=(4096, 32768), segments=segments,
                         seed=96 + segments, span=8192))
    assert vm.console.command("stats").num("bounced") > 0


@pytest.mark.on("one", nightly="transports")
def test_more_pieces_than_segments(vm):
    """4096 pieces of 2 bytes: no sector of them fits into a request."""
    vm.console.command("stats clear")
    vm.console.command("blk write 8 16 seed=3 gen=4 segments=4096")
    vm.expected.wrote(8, 16, 3, 4)
    vm.expected.check()
    vm.console.command("blk verify 8 16 seed=3 gen=4 segments=4096")
    assert vm.console.command("stats").num("bounced") == 2
