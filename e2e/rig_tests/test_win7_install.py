# SPDX-License-Identifier: MIT
"""`win7-image` from the ISO to the sealed image, with a stand-in for Setup that boots from the ISO
(setup_standin.S), and with all that can go wrong there."""

import json
import re
import subprocess
import time

import pytest

import kit_files
import windows_iso
from test_cli import known_qemu, qemu, qemu_cli         # noqa: F401, fixtures

pytestmark = [pytest.mark.nightly, qemu]
HOME = {"NAME": "Windows 7 HOMEPREMIUM", "EDITIONID": "HomePremium"}
SHORT = ("--patience", "0.01")          # of 900 s for the first phase, six times that under TCG


@pytest.fixture(scope="module")
def standin(tmp_path_factory):
    """standin(fault): the program's bytes."""
    folder = tmp_path_factory.mktemp("standin")
    source = kit_files.PACKAGE.parents[1] / "e2e" / "rig_tests" / "setup_standin.S"
    subprocess.run(["clang", "--target=i386-unknown-none", "-c", source, "-o", folder / "s.o"],
                   check=True)
    subprocess.run(["ld.lld", "-m", "elf_i386", "--oformat", "binary", "-Ttext", "0x7C00",
                    "-o", folder / "s.bin", folder / "s.o"], check=True)
    program = (folder / "s.bin").read_bytes()
    assert len(program) == 2048
    return lambda fault: program.replace(b"FAULT=-", b"FAULT=" + fault)


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    out = tmp_path_factory.mktemp("kit")
    done = kit_files.make(out)
    assert done.returncode == 0, done.stderr
    return out / "nt-kit"


@pytest.fixture
def install(qemu_cli, tmp_path, standin, kit):          # noqa: F811
    """install(fault, option, ...) from an ISO with two editions; `.out` is the image."""
    def run(fault=b"-", *options, boot=True):
        iso = windows_iso.make(tmp_path / "win7.iso", [HOME, {}],
                               boot=standin(fault) if boot else bytes(2048))
        return qemu_cli("win7-image", "--iso", iso, "--out", run.out, "--kit", kit, *options)
    run.out = tmp_path / "win7.qcow2"
    return run


def folder_of(install):
    return {path.name for path in install.out.parent.iterdir()} - {"win7.iso"}


def test_from_the_iso_to_the_sealed_image(install):
    done = install(b"-", "--edition", "homepremium")
    assert done.returncode == 0, done.stdout + done.stderr
    log = (install.out.parent / "win7.qcow2.log" / "console.log").read_text()
    assert "stand-in: image 1" in log, "the answer file of the edition that was asked for"
    assert re.findall("phase=(\\w+)", log) == ["windowspe", "specialize", "firstlogon", "done"]
    facts = json.loads((install.out.parent / "win7.qcow2.json").read_text())
    assert facts["windows"] == "Windows 7 HOMEPREMIUM"
    assert not install.out.stat().st_mode & 0o222
    assert folder_of(install) == {"win7.qcow2", "win7.qcow2.json", "win7.qcow2.log"}
    again = install(b"-")
    assert again.returncode == 2 and "is there already" in again.stderr


@pytest.mark.parametrize("fault, options, words", [
    (b"s", (), "turned itself off in the phase start.*COM1 was silent; its screen: "),
    (b"h", SHORT, "Setup is stuck: Setup formats the disk.*its screen: "),
    (b"r", (), "the machine restarts without end: 7 times, and Setup is still in the phase "
               "specialize"),
    (b"f", (), r"the first logon's script failed at driver \(exit code 5\)"),
    (b"o", (), "the machine turned itself off in the phase firstlogon"),
])
def test_a_setup_that_fails(install, fault, options, words):
    """Said in the last line but for the picture; and nothing half made is left."""
    done = install(fault, *options)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(words, done.stderr, re.S), done.stderr
    assert folder_of(install) == {"win7.qcow2.log"}
    if fault == b"h":
        assert (install.out.parent / "win7.qcow2.log/screen.png").read_bytes()[1:4] == b"PNG"


def test_an_iso_that_does_not_boot(install):
    done = install(b"-", *SHORT, boot=False)
    assert done.returncode == 1
    assert "COM1 was silent" in done.stderr


def test_interrupted(qemu_cli, tmp_path, standin, kit):         # noqa: F811
    """Ctrl-C: the machine ends, and nothing half made is left."""
    iso = windows_iso.make(tmp_path / "win7.iso", boot=standin(b"h"))
    out = tmp_path / "win7.qcow2"
    running = qemu_cli("win7-image", "--iso", iso, "--out", out, "--kit", kit, start_only=True)
    log = tmp_path / "win7.qcow2.log" / "console.log"
    deadline = time.monotonic() + 120
    while not log.exists() or b"windowspe" not in log.read_bytes():
        assert running.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    running.terminate()
    assert running.wait(60) == 130
    assert {path.name for path in tmp_path.iterdir()} == {"win7.iso", "win7.qcow2.log"}


def test_wrong_use(install):
    assert "Windows 7 wants 16 GiB" in install(b"-", "--size", "8").stderr
    done = install(b"-", "--edition", "Ultimate")
    assert done.returncode == 2
    assert "the ISO has only HomePremium x64, Professional x64" in done.stderr
