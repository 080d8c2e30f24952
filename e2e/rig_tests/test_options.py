# SPDX-License-Identifier: MIT
"""Options of a machine: what each of them does to the domain XML."""

import xml.etree.ElementTree as ET

import pytest

from vq7rig import options
from vq7rig.errors import RigError, UsageError
from vq7rig.machine import Config, configs, domain_xml, load_matrix
from vq7rig.options import Q
from vq7rig.paths import CONFIGS


def xml_of(*chosen, **axes):
    return ET.fromstring(domain_xml(Config(options=chosen, **axes), "x", "/g", "/r"))


def properties(root, alias="ua-blk0"):
    front = root.find(f"{Q}override/{Q}device[@alias='{alias}']/{Q}frontend")
    return {p.get("name"): (p.get("type"), p.get("value")) for p in front}


def test_unknown_names_are_properties_of_the_device():
    found = properties(xml_of("page-per-vq=on", "num-queues=3", "x-y=text"))
    assert found["page-per-vq"] == ("bool", "true")
    assert found["num-queues"] == ("unsigned", "3")
    assert found["x-y"] == ("string", "text")


def test_the_machine():
    root = xml_of("type=pc-i440fx-2.7", "memory=5120", "cpus=8")
    assert root.find("os/type").get("machine") == "pc-i440fx-2.7"
    assert root.find("memory").text == "5120" and root.find("vcpu").text == "8"


def test_a_neighbour_with_a_big_bar():
    words = [a.get("value") for a in xml_of("big-bar=4096").iter(f"{Q}arg")]
    assert "memory-backend-memfd,id=bigbar,size=4096M,share=on" in words


def test_the_disk():
    root = xml_of("block=4096", "serial=12345678901234567890")
    assert root.find("devices/disk/blockio").get("logical_block_size") == "4096"
    assert root.find("devices/disk/serial").text == "12345678901234567890"
    assert xml_of("serial=").find("devices/disk/serial") is None


@pytest.mark.parametrize("order", [1, -1])
def test_regression_our_device_takes_options_of_the_disk(order):
    chosen = ("backend=vhost-user", "block=4096", "serial=x", "page-per-vq=on")[::order]
    root = xml_of(*chosen)
    disk = root.find("devices/disk")
    assert disk.get("type") == "vhostuser"
    assert disk.find("serial") is None and disk.find("blockio") is None     # the device says them
    assert properties(root)["page-per-vq"] == ("bool", "true")


def test_more_disks_are_alike():
    root = xml_of("disks=29", "block=4096", "page-per-vq=on")
    disks = root.findall("devices/disk")
    assert [d.find("target").get("dev") for d in disks][-4:] == ["vdz", "vdaa", "vdab", "vdac"]
    assert disks[28].find("source").get("file") == "/r/disk28.img"
    assert disks[28].find("alias").get("name") == "ua-blk28"
    assert disks[28].find("blockio") is not None and disks[28].find("address") is None
    assert properties(root, "ua-blk28") == properties(root)


@pytest.mark.parametrize("place, machine, models", [
    ("bridge", "pc", ["pci-bridge"] * 2), ("root-port", "q35", ["pcie-root-port"]),
    ("bridge", "q35", ["dmi-to-pci-bridge", "pci-bridge"])])
def test_behind_a_bridge(place, machine, models):
    root = xml_of(f"place={place}", machine=machine)
    assert [c.get("model") for c in root.findall("devices/controller[@type='pci']")] == models
    assert root.find("devices/disk/address").get("bus") == f"0x{len(models):02x}"


@pytest.mark.parametrize("option, message", [
    ("page-per-vq", "must be name=value"), ("a=b,c", "without spaces and commas"),
    ("memory=lots", "decimal number"), ("place=moon", "known: bridge"),
    ("place=root-port", "q35 alone")])
def test_bad_options_are_refused(option, message):
    with pytest.raises(UsageError, match=message):
        xml_of(option)


def test_the_last_one_counts():
    assert options.get(("cpus=1", "cpus=4"), "cpus") == "4"
    assert Config(options=("cpus=1",)).option("memory", "256") == "256"


def test_name():
    assert Config(options=("page-per-vq=on",)).name == "pc-modern-page-per-vq-on"


def test_options_in_the_matrix(tmp_path):
    path = tmp_path / "matrix.toml"
    text = (CONFIGS / "matrix.toml").read_text()
    path.write_text(text + "\n[group.x]\noptions = [[], ['cpus=2', 'memory=64']]\n")
    assert [c.options for c in configs("x", load_matrix(path))] == [(), ("cpus=2", "memory=64")]
    path.write_text(text + "\n[group.x]\noptions = [['cpus']]\n")
    with pytest.raises(RigError, match=r"\[group.x\] options: option 'cpus'"):
        load_matrix(path)
