# SPDX-License-Identifier: MIT
"""`win7-image` from the ISO to the sealed image, with a stand-in for Setup that boots from the ISO
(setup_standin.S), and with all that can go wrong there."""

import json
import os
import re
import signal
import subprocess
import time

import pytest

import kit_files
import standins
import windows_iso
from test_cli import known_qemu, qemu, qemu_cli         # noqa: F401, fixtures
from vq7rig.win7.picture import is_black

pytestmark = [pytest.mark.nightly, qemu]
HOME = {"NAME": "Windows 7 HOMEPREMIUM", "EDITIONID": "HomePremium"}
SHORT = ("--patience", "0.004")         # of 900 s for the first phase, six times that under TCG


@pytest.fixture(scope="module")
def standin(tmp_path_factory):
    """standin(fault): the program's bytes."""
    return standins.assemble(tmp_path_factory.mktemp("standin"), "setup_standin.S", 0x7C00)


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
    (b"g", SHORT, "Setup is stuck: Windows starts from its disk.*its screen: "),
    (b"l", SHORT, "Setup is stuck: the script of the first logon runs, in the step driver"),
    (b"n", SHORT, "Setup is stuck: Setup starts from the ISO and finds the answer file.*COM1 was "
                  "silent; its screen: "),
    (b"e", SHORT, "Setup is stuck: Setup formats the disk and copies Windows.*its screen: "),
    (b"d", SHORT, "Setup is stuck: Setup formats the disk and copies Windows.*its screen: "),
    (b"b", SHORT, "COM1 was silent; its screen, which is black: "),
    (b"r", (), "the machine restarts without end: 9 times, and Setup is still in the phase "
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
    if SHORT in (options,):
        picture = install.out.parent / "win7.qcow2.log/screen.png"
        assert picture.read_bytes()[1:4] == b"PNG" and is_black(picture) == (fault == b"b")


def test_an_iso_that_does_not_boot(install):
    done = install(b"-", *SHORT, boot=False)
    assert done.returncode == 1
    assert "COM1 was silent" in done.stderr


@pytest.fixture
def interrupted(qemu_cli, tmp_path, standin, kit):              # noqa: F811
    """interrupted(fault, phase): a run that hangs by this fault and gets Ctrl-C in that phase.
    What it said."""
    iso = windows_iso.make(tmp_path / "win7.iso", [HOME, {}], boot=standin(b"-"))
    out, log = tmp_path / "win7.qcow2", tmp_path / "win7.qcow2.log" / "console.log"

    def start(*options, **more):
        return qemu_cli("win7-image", "--iso", iso, "--out", out, "--kit", kit, *options, **more)

    def run(fault, phase, by=signal.SIGTERM):
        times = iso.stat()
        windows_iso.make(iso, [HOME, {}], boot=standin(fault))
        os.utime(iso, ns=(times.st_atime_ns, times.st_mtime_ns))     # the same ISO to the rig
        running = start(start_only=True)
        deadline = time.monotonic() + 180
        while not log.exists() or f"phase={phase}".encode() not in log.read_bytes():
            assert running.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
        time.sleep(2)                   # a restart's layer is there
        running.send_signal(by)
        _, said = running.communicate(timeout=60)
        assert running.returncode == (130 if by != signal.SIGKILL else -signal.SIGKILL)
        return said
    run.again, run.folder, run.log = start, tmp_path, log
    return run


def files_of(run):
    return {path.name for path in run.folder.iterdir()} - {"win7.iso"}


def mend(run, standin):
    """The program that went to the disk no longer hangs: it would, again and again."""
    program = standin(b"-")
    at = program.index(b"FAULT=") + 6
    subprocess.run(["qemu-io", "-c", f"write -P {ord('-')} {at} 1",
                    run.folder / "win7.qcow2.part" / "disk.qcow2"], check=True,
                   capture_output=True)


def test_interrupted_before_the_first_restart(interrupted):
    """There is nothing to go on with: the machine ends, and nothing half made is left."""
    said = interrupted(b"h", "windowspe")
    assert "nothing half made is left: Setup had not restarted the machine yet" in said
    assert files_of(interrupted) == {"win7.qcow2.log"}


def test_interrupted_in_mid_setup(interrupted, standin):
    """It goes on from the disk as the last restart left it, not from the ISO; what was written
    since is forgotten. The image is one file."""
    said = interrupted(b"g", "specialize", signal.SIGINT)
    assert "the same command goes on from the last restart; remove " in said
    assert files_of(interrupted) == {"win7.qcow2.log", "win7.qcow2.part"}
    mend(interrupted, standin)
    done = interrupted.again()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "goes on from its disk as it was at the last restart" in done.stderr
    said = interrupted.log.read_text()
    # The stand-in may have gone on a little before its disk was kept.
    phases = re.findall("phase=(\\w+)", said)
    assert phases == ["specialize", "firstlogon", "done"][-len(phases):] and len(phases) >= 2
    assert files_of(interrupted) == {"win7.qcow2", "win7.qcow2.json", "win7.qcow2.log"}
    shown = json.loads(subprocess.run(["qemu-img", "info", "--output=json",
                                       interrupted.folder / "win7.qcow2"], check=True,
                                      capture_output=True, text=True).stdout)
    assert "backing-filename" not in shown
    assert json.loads((interrupted.folder / "win7.qcow2.json").read_text())[
        "gone on after an interrupt"] is True


def test_killed_in_mid_setup(interrupted):
    """Nobody could say anything, and its machine still runs: the next run ends it, and goes on."""
    interrupted(b"g", "specialize", signal.SIGKILL)
    assert files_of(interrupted) == {"win7.qcow2.log", "win7.qcow2.part"}
    running = interrupted.again(start_only=True)
    try:
        said = ""
        while not re.search("(specialize|firstlogon): ", said):
            line = running.stderr.readline()
            assert line, said
            said += line
    finally:
        running.terminate()
        running.communicate(timeout=60)
    assert "goes on from its disk as it was at the last restart" in said
    assert "windowspe" not in interrupted.log.read_text()


@pytest.mark.parametrize("options, why", [
    (("--edition", "HomePremium"), "it had another edition"),
    (("--verifier",), "it had another option --verifier"),
])
def test_another_run_begins_anew(interrupted, standin, options, why):
    interrupted(b"l", "firstlogon")
    assert files_of(interrupted) == {"win7.qcow2.log", "win7.qcow2.part"}
    running = interrupted.again(*options, start_only=True)
    said = ""
    while "logs: " not in said:
        said += running.stderr.readline()
    running.terminate()
    running.communicate(timeout=60)
    assert f"an earlier run was interrupted, but {why}: begun anew" in said


def test_wrong_use(install):
    assert "Windows 7 x64 wants 20 GiB" in install(b"-", "--size", "16").stderr
    done = install(b"-", "--edition", "Ultimate")
    assert done.returncode == 2
    assert "the ISO has only HomePremium x64, Professional x64" in done.stderr
