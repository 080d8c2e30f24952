# SPDX-License-Identifier: MIT
"""Machine types by name: families, order, the oldest."""

import pytest

from vq7rig.errors import RigError
from vq7rig.machine import Config
from vq7rig.machine_types import Facts, resolved, versioned

NAMES = ["none", "microvm", "pc", "q35", "isapc", "xenfv-4.2", "pc-i440fx-10.0", "pc-i440fx-2.12",
         "pc-i440fx-2.9", "pc-i440fx-9.2", "pc-q35-4.0.1", "pc-q35-4.0", "pc-q35-10.0"]


def test_versions_are_numbers():
    assert versioned(NAMES, "pc") == ["pc-i440fx-2.9", "pc-i440fx-2.12", "pc-i440fx-9.2",
                                      "pc-i440fx-10.0"]
    assert versioned(NAMES, "q35") == ["pc-q35-4.0", "pc-q35-4.0.1", "pc-q35-10.0"]


def test_oldest_is_what_qemu_has():
    config = Config(machine="q35", options=("cpus=2", "type=oldest"))
    facts = Facts(tuple(NAMES), scsi=True)
    assert resolved(config, lambda: facts).options == ("cpus=2", "type=pc-q35-4.0")
    with pytest.raises(RigError, match="no versioned machine type of q35"):
        resolved(config, lambda: Facts(("none", "q35"), scsi=True))


def test_scsi_commands_are_off_on_types_that_offer_them():
    config = Config(options=("type=pc-i440fx-2.4",))
    assert resolved(config, lambda: Facts((), scsi=True)).option("scsi") == "off"
    assert resolved(config, lambda: Facts((), scsi=False)) == config
    for other in (config.but(flavour="legacy"), config.but(options=("type=pc-i440fx-2.5",))):
        assert resolved(other, lambda: Facts((), scsi=True)) == other


def test_qemu_is_asked_for_what_depends_on_it_alone():
    for options in ((), ("type=pc-q35-4.0",)):
        config = Config(options=options)
        assert resolved(config, None) is config
