# SPDX-License-Identifier: MIT
"""The device as guest and QEMU see it: both must say the same."""

import re
import urllib.parse

import pytest

from vq7rig import features
from vq7rig.features import NAMED, VirtioView, names

# Features of the legacy interface alone; QEMU doesn't offer them on the modern one.
LEGACY_ONLY = 1 << 7 | 1 << 24 | 1 << 27


def only_device(vm):
    (device,) = vm.console.command("devices").rows()
    return device


def expected_transport(config):
    return "legacy" if config.flavour == "legacy" else "modern"


@pytest.mark.smoke
@pytest.mark.on("machines")
def test_enumeration(vm, config):
    device = only_device(vm)
    assert device["type"] == "blk"
    assert device["transport"] == expected_transport(config)
    assert [int(part, 16) for part in re.split("[:.]", device["pci"])] == [0, 4, 0]
    assert device["id"] == ("1af4:1042" if config.flavour == "modern" else "1af4:1001")
    assert int(device["queues"]) >= 1


@pytest.mark.smoke
@pytest.mark.on("machines")
def test_features_agree_with_qemu(vm):
    device, view = only_device(vm), VirtioView(vm)
    modern = device["transport"] == "modern"
    offered, accepted = int(device["device_features"], 0), int(device["driver_features"], 0)
    shown = NAMED if modern else NAMED & 0xFFFFFFFF
    different = (offered ^ view.host_features) & shown & ~(LEGACY_ONLY if modern else 0)
    assert not different, f"offered features differ: {names(different)}"
    assert accepted & ~offered == 0, f"never offered: {names(accepted & ~offered)}"
    different = (accepted ^ view.guest_features) & NAMED
    assert not different, f"accepted features differ: {names(different)}"
    assert bool(accepted & features.VERSION_1) == modern
    assert int(device["status"], 0) == view.status == (0x0F if modern else 0x07)
    assert view.started and not view.broken


@pytest.mark.on("ring_features_of_modern", nightly="ring_features")
def test_ring_features_follow_the_offer(vm, config):
    device = only_device(vm)
    offered, accepted = int(device["device_features"], 0), int(device["driver_features"], 0)
    for bit, wanted in ((features.EVENT_IDX, config.event_idx),
                        (features.INDIRECT, config.indirect)):
        assert bool(offered & bit) == wanted, names(bit)
        assert bool(accepted & bit) == wanted, names(bit)


@pytest.mark.on("queue_sizes")
def test_queue_size_agrees_with_qemu(vm, config):
    (queue,) = [q for q in vm.console.command("queues").rows() if q["queue"] == "0"]
    qemu = VirtioView(vm).queue(0)
    # What QEMU makes of queue-size is its affair (10.0 offers 1024 whatever is asked
    # for); that the guest sees what QEMU has, and uses no more, is ours.
    assert int(queue["max_size"]) == qemu["vring-num-default"]
    assert int(queue["size"]) == qemu["vring-num"] <= qemu["vring-num-default"]
    assert queue["broken"] == "0"


@pytest.mark.smoke
@pytest.mark.on("flavours")
def test_disk_facts(vm):
    info = vm.console.command("blk info")
    assert info.num("capacity") == vm.disk.capacity
    assert info.num("block_size") == 512
    assert info.num("read_only") == 0
    assert info.num("flush") == 1
    assert urllib.parse.unquote(vm.console.command("blk id")["id"]).rstrip("\0 ") == "VQ7-DISK-0"
