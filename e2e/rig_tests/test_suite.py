# SPDX-License-Identifier: MIT
"""The e2e suite itself, against a guest without a machine: it passes a sound guest
and finds each of the faults, with the right verdict and without waiting for ever."""

import xml.etree.ElementTree as ET

import pytest

FAKE = ("-p", "fake_machine", "--accel=tcg")


def verdicts(cli):
    xml = ET.parse(cli.build / "e2e" / "latest" / "junit.xml")
    return {p.get("value") for p in xml.findall(".//testcase/properties/property")
            if p.get("name") == "verdict"}


def test_sound_guest_passes(cli):
    done = cli("run", "-m", "smoke", "-k", "not vhost_user and not test_kd", *FAKE)
    assert done.returncode == 0, done.stdout + done.stderr
    head = [line.split() for line in done.stdout.splitlines() if line.startswith("test ")]
    assert head and {"pc", "q35"} <= set(head[0])
    assert verdicts(cli) == {"pass"}


def test_the_long_set_has_more_configurations(cli):
    """`on("one", nightly="transports")`: the others only there, and none twice."""
    chosen = ("run", "--collect-only", "-k", "test_interrupts_not_ours")
    names = [{line for line in cli(*chosen, *marks).stdout.splitlines() if "::" in line}
             for marks in ((), ("-m", "nightly"))]
    assert ["pc-modern" in name for name in names[0]] == [True]
    assert ["pc-legacy" in name for name in names[1]] == [True]


@pytest.mark.parametrize("fault, tests, verdict", [
    ("lost_write", "test_random", "fail"),
    ("wrong_data", "test_host_reads_what_the_guest_wrote", "fail"),
    ("stray", "test_random", "fail"),
    ("stop", "test_host_reads_what_the_guest_wrote", "guest crash"),
    ("restart", "test_host_reads_what_the_guest_wrote", "guest crash"),
])
def test_fault_is_found(cli, fault, tests, verdict):
    done = cli("run", *FAKE, "-k", f"{tests} and pc-modern", env={"VQ7_FAKE_FAULTS": fault})
    assert done.returncode == 1, done.stdout + done.stderr
    assert verdicts(cli) == {verdict}


def test_hanging_guest_is_given_up_on(cli):
    """Two hangs of one machine; the tests that follow on it are skipped, saying why."""
    done = cli("run", *FAKE, "-k", "test_noise_is_refused and (at or crc)",
               env={"VQ7_FAKE_FAULTS": "hang", "VQ7_PATIENCE": "0.3"})
    assert done.returncode == 1, done.stdout + done.stderr
    assert verdicts(cli) == {"hang", "skipped"}
    assert "virtqueue: device: " in done.stderr and "; driver: " in done.stderr
    assert "given up on pc-modern after 2 failures" in \
        (cli.build / "e2e" / "latest" / "junit.xml").read_text()
    said = [path.read_text() for path in (cli.build / "e2e" / "latest").glob("*/machine.txt")]
    assert len(said) == 2, "one that QEMU says nothing of is kept, too"
    assert all("(HMP info pic: a fake machine has no monitor)" in text for text in said)


def test_artefacts(cli):
    cli("run", *FAKE, "-k", "test_enumeration and pc-modern")
    (folder,) = (cli.build / "e2e" / "latest").glob("test_enumeration*")
    assert "devices" in (folder / "console.log").read_text()
    assert "virtio-non-transitional" in (folder / "domain.xml").read_text()
    assert "machine vq7-" in (folder / "rig.log").read_text()
    xml = (cli.build / "e2e" / "latest" / "junit.xml").read_text()
    assert 'name="commit"' in xml and 'name="sha256 ntcompat.elf"' in xml


DISK_FULL = """
import errno, sys
from vq7rig import cli, disk
def create(self):
    raise OSError(errno.ENOSPC, "No space left on device", "disk.img")
disk.Disk.create = create
sys.exit(cli.main())
"""

REPORT_FULL = """
import errno, sys
from vq7rig import cli, report
def write(*_):
    raise OSError(errno.ENOSPC, "No space left on device", "junit.xml")
report.write_junit = write
sys.exit(cli.main())
"""


def test_rig_errors_end_the_run(cli):
    """A full disk is said three times, not by every test, and once more in the last line."""
    done = cli("run", "-m", "smoke", *FAKE, code=DISK_FULL)
    assert done.returncode == 3, done.stdout + done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("vq7rig: rig error in ") and "No space left on device" in last
    xml = ET.parse(cli.build / "e2e" / "latest" / "junit.xml")
    assert len(xml.findall(".//testcase")) == 3 and verdicts(cli) == {"rig error"}


def test_report_that_cannot_be_written(cli):
    done = cli("run", *FAKE, "-k", "test_help", code=REPORT_FULL)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "can't write" in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr
