# SPDX-License-Identifier: MIT
"""Any QEMU: what it can do is asked, what it lacks is skipped with the reason."""

import json
import os
import xml.etree.ElementTree as ET

import pytest

import tiny_guest
from test_cli import known_qemu, one_line, qemu, qemu_cli       # noqa: F401, fixtures
from test_suite import FAKE
from vq7rig import features
from vq7rig.emulator import Emulator
from vq7rig.errors import Lacking, RigError
from vq7rig.machine import Config, domain_xml

PROPERTIES = ["disable-legacy", "disable-modern", "indirect_desc", "vectors"]
FACTS = {"path": "/q", "version": "1.2.3", "machines": ["pc"],
         "sources": {"facts": "hmp", "queue": None},
         "refusals": {"facts": {}, "queue": {"qmp": "unknown", "hmp": "QEMU was ended by SIGABRT"}},
         "properties": {"virtio-blk-pci": PROPERTIES, "isa-debugcon": [],
                        "virtio-blk-pci-non-transitional": ["indirect_desc"],
                        "virtio-blk-pci-transitional": None}}


def need(config, **changes):
    Emulator({**FACTS, **changes}).need(domain_xml(config, "x", "/g", "/r"))


def test_what_a_machine_needs_of_qemu():
    need(Config(flavour="legacy", interrupt="line"))
    need(Config())
    need(Config(queue_size=16), ring=64)        # it heeded what it was asked
    need(Config(), ring=1024)                   # the usual size: no test depends on it


@pytest.mark.parametrize("config, changes, words", [
    (Config(machine="q35"), {}, "QEMU 1.2.3 has no machine type q35"),
    (Config(flavour="transitional"), {}, "has no device virtio-blk-pci-transitional"),
    (Config(interrupt="line"), {}, "virtio-blk-pci-non-transitional has no property vectors"),
    (Config(), {"properties": {**FACTS["properties"], "isa-debugcon": None}},
     "has no device isa-debugcon"),
    (Config(queue_size=16), {"ring": 1024},
     "doesn't heed queue-size: rings have 1024 entries, not 16"),
])
def test_what_qemu_lacks_is_named(config, changes, words):
    with pytest.raises(Lacking, match=words):
        need(config, **changes)


def test_sources():
    emulator = Emulator(FACTS)
    assert emulator.source("facts") == "hmp"
    with pytest.raises(Lacking, match="queue: qmp: unknown; hmp: QEMU was ended by SIGABRT"):
        emulator.source("queue")


def test_lacking_is_skipped_with_the_reason(cli, tmp_path):
    """In a test and in its fixtures; nothing is tried again, and it is no failure."""
    test = tmp_path / "test_x.py"
    test.write_text("import pytest\nfrom vq7rig.errors import Lacking\n"
                    "@pytest.fixture\ndef thing(): raise Lacking('no thing here')\n"
                    "def test_one(): raise Lacking('no such property')\n"
                    "def test_two(thing): pass\n")
    done = cli("run", *FAKE, test)
    assert done.returncode == 0, done.stdout + done.stderr
    cases = ET.parse(cli.build / "e2e/latest/junit.xml").findall(".//testcase")
    said = [case.find("skipped").get("message") for case in cases]
    assert said == ["Skipped: no such property", "Skipped: no thing here"]


@pytest.mark.parametrize("make, words", [
    (lambda path: None, "there is no such file"),
    (lambda path: path.write_text("x"), "it may not be executed"),
])
def test_path_that_is_no_program(cli, tmp_path, make, words):
    make(tmp_path / "q")
    for job in (("run",), ("vm", "modern")):
        assert f"--qemu {tmp_path}/q: {words}" in one_line(cli(*job, "--qemu", tmp_path / "q"), 2)
    assert "must be an absolute path" in one_line(cli("run", "--qemu", "q"), 2)


@qemu
def test_program_that_is_no_qemu(cli):
    line = one_line(cli("vm", "modern", "--qemu", "/bin/true"), 2)
    assert "--qemu /bin/true: libvirt can't use it as a QEMU for x86_64: " in line


@qemu
def test_another_qemu(qemu_cli, short_path):          # noqa: F811
    """By another path and name, as its own build would be; its end is noticed like any."""
    other = short_path / "my emulator, 2"
    other.symlink_to(os.path.realpath("/usr/bin/qemu-system-x86_64"))
    (qemu_cli.build / "guest/x64/ntcompat.elf").write_bytes(
        tiny_guest.elf(tiny_guest.serial("*** STOP: 0x0000007B (0,0,0,0)\r\n")))
    done = qemu_cli("run", "--accel=tcg", "--qemu", other,
                    "tests/test_start.py::test_start[pc-modern]")
    assert done.returncode == 1 and "1 guest crash" in done.stdout, done.stdout + done.stderr
    assert f", {other}" in done.stdout
    (folder,) = (qemu_cli.build / "e2e/latest/machines").iterdir()
    assert ET.parse(folder / "domain.xml").findtext("devices/emulator") == str(other)
    assert f"{other}" in (folder / "qemu.log").read_text()


DEADLY = """
import os, signal, sys
from vq7rig import cli, features
class Deadly:
    def __init__(self, vm):
        self.vm = vm
    def facts(self):
        pid = self.vm.host._pids[self.vm.name]
        os.kill(pid, signal.SIGABRT)
        while True:
            self.vm.qmp("query-status")
    def queue(self, number):
        raise features.RigError("no such thing")
features.SOURCES = {"deadly": Deadly, "hmp": features.HmpSource,
                    "registers": features.RegisterSource}
sys.exit(cli.main())
"""


@qemu
def test_command_that_ends_qemu_is_found_out_on_a_scrap_machine(qemu_cli):      # noqa: F811
    """And isn't used; the next best is."""
    (qemu_cli.build / "e2e/libvirt/emulators.json").unlink(missing_ok=True)
    done = qemu_cli("check", code=DEADLY)
    assert done.returncode == 0, done.stdout + done.stderr
    (facts,) = json.loads((qemu_cli.build / "e2e/libvirt/emulators.json").read_text()).values()
    assert facts["sources"] == {"facts": "hmp", "queue": "hmp"}
    assert facts["refusals"]["facts"] == {"deadly": "QEMU was ended by SIGABRT"}
    assert facts["refusals"]["queue"] == {"deadly": "no such thing"}


STATUS = """\
/machine/x/virtio-backend:
  device_name:             virtio-blk
  broken:                  false
  started:                 true
  status:
\tVIRTIO_CONFIG_S_ACKNOWLEDGE: Valid virtio device found,
\tVIRTIO_CONFIG_S_DRIVER: Guest OS compatible with device
  unknown-statuses(0x00000020)
  Guest features:

  unknown-features(0x0000000000000002)
  Host features:
\tVIRTIO_RING_F_EVENT_IDX: Used & avail. event fields enabled
\tVIRTIO_BLK_F_FLUSH: Flush command supported
  unknown-features(0x0000010000000000)
  Backend features:

"""


class Monitor:
    def __init__(self, text):
        self.text = text

    def hmp(self, command):
        return "/machine/x/virtio-backend [virtio-blk]\n" if command == "info virtio" else self.text


def test_text_of_the_monitor():
    facts = features.HmpSource(Monitor(STATUS)).facts()
    assert facts == features.Facts(0x23, 1 << 29 | 1 << 9 | 1 << 40, 2, False, True)
    queue = features.HmpSource(Monitor("x:\n  last_avail_idx:       3\n  used_idx:    2\n  VRing:\n"
                                       "    num:          256\n    used:    0x10\n")).queue(0)
    assert queue == {"last-avail-idx": 3, "used-idx": 2, "vring-num": 256, "vring-used": 16}
    for text in ("unknown command: 'info'", STATUS.replace("Guest features", "Gast")):
        with pytest.raises(RigError, match="QEMU's monitor"):
            features.HmpSource(Monitor(text)).facts()
