# SPDX-License-Identifier: MIT
"""Machine types by name: families, order, the oldest, the newest that two QEMUs have."""

import pytest

from vq7rig.emulator import Emulator
from vq7rig.errors import Lacking
from vq7rig.machine import Config
from vq7rig.machine_types import newest_of_both, resolved, versioned

NAMES = ["none", "microvm", "pc", "q35", "isapc", "xenfv-4.2", "pc-i440fx-10.0", "pc-i440fx-2.12",
         "pc-i440fx-2.9", "pc-i440fx-9.2", "pc-q35-4.0.1", "pc-q35-4.0", "pc-q35-10.0"]


def emulator(machines, *properties):
    return Emulator({"path": "/qemu", "version": "1.2.3", "sources": {}, "refusals": {},
                     "machines": machines, "properties": {"virtio-blk-pci": properties}})


def test_versions_are_numbers():
    assert versioned(NAMES, "pc") == ["pc-i440fx-2.9", "pc-i440fx-2.12", "pc-i440fx-9.2",
                                      "pc-i440fx-10.0"]
    assert versioned(NAMES, "q35") == ["pc-q35-4.0", "pc-q35-4.0.1", "pc-q35-10.0"]


def test_oldest_is_what_qemu_has():
    config = Config(machine="q35", options=("cpus=2", "type=oldest"))
    assert resolved(config, emulator(NAMES)).options == ("cpus=2", "type=pc-q35-4.0")
    with pytest.raises(Lacking, match="no versioned machine type of q35"):
        resolved(config, emulator(["none", "q35"]))


def test_scsi_commands_are_off_on_types_that_offer_them():
    config = Config(options=("type=pc-i440fx-2.4",))
    assert resolved(config, emulator([], "scsi")).option("scsi") == "off"
    assert resolved(config, emulator([])) == config
    for other in (config.but(flavour="legacy"), config.but(options=("type=pc-i440fx-2.5",))):
        assert resolved(other, emulator([], "scsi")) == other


def test_no_other_machine_is_changed():
    for options in ((), ("type=pc-q35-4.0",)):
        config = Config(options=options)
        assert resolved(config, None) is config


@pytest.fixture
def other(tmp_path):
    def make(*lines, status=0):
        path = tmp_path / "qemu"
        path.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in lines)
                        + f"exit {status}\n")
        path.chmod(0o755)
        return str(path)
    return make


def test_newest_of_both(other):
    path = other("Supported machines are:", "pc-i440fx-7.2  Standard PC (default)",
                 "pc-i440fx-9.2        Standard PC", "pc-i440fx-11.0       Standard PC", "")
    assert newest_of_both(emulator(NAMES), path, "pc") == "pc-i440fx-9.2"
    with pytest.raises(Lacking, match="no machine type of q35 in common"):
        newest_of_both(emulator(NAMES), path, "q35")


def test_one_that_does_not_say(other, tmp_path):
    for path in (other(status=1), str(tmp_path / "none")):
        with pytest.raises(Lacking, match=f"{path} doesn't say which machine types"):
            newest_of_both(emulator(NAMES), path, "pc")
