# SPDX-License-Identifier: MIT
"""A rig that is killed at any moment: its next start finds no machine, file or lock of it,
and leaves alone what isn't its own. Two rigs side by side; a disk that is full."""

import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

import pytest

from test_cli import known_qemu, left_behind, qemu, qemu_cli, wait_for     # noqa: F401
from vq7rig import temps

KILLS = 20
SEED = 2026
PATIENT = {"VQ7_PATIENCE": "10"}        # with a guest that says nothing


def foreign(folder):
    """What others have there."""
    (folder / "notes.txt").write_text("mine")
    (folder / "vq7-0123abcd-xyz").mkdir()
    (folder / "vq7-0123abcd-xyz/disk.img").write_text("another rig's")


def remove(folder):
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def check_foreign(folder):
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert names == ["notes.txt", "vq7-0123abcd-xyz", "vq7-0123abcd-xyz/disk.img"], names


def wait_for_machine(build, rig):
    """Process ids of its QEMU; none if the rig has ended."""
    until = time.monotonic() + 300    # the first asks QEMU what it can
    while not (found := running(build, rig)) and rig.poll() is None:
        assert time.monotonic() < until, "there is no machine"
        time.sleep(0.05)
    return found


@qemu
@pytest.mark.nightly
def test_killed_at_any_moment(qemu_cli):                            # noqa: F811
    chance, with_machine = random.Random(SEED), 0
    foreign(qemu_cli.temps)
    for number in range(KILLS):
        job = qemu_cli(*(("vm", "modern") if number % 2 else
                         ("run", "--accel=tcg", "-k", "test_start and pc-modern")),
                       start_only=True)
        if number % 4 > 1:          # on a busy host a machine takes its time
            wait_for_machine(qemu_cli.build, job)
        time.sleep(chance.uniform(0, 2))
        with_machine += bool(running(qemu_cli.build))
        job.kill()
        job.communicate()
        done = qemu_cli("check")
        assert "another rig" not in done.stdout + done.stderr, f"kill {number}: a lock was left"
        wait_for(lambda: not left_behind(qemu_cli))
        check_foreign(qemu_cli.temps)
    assert with_machine > KILLS // 4, "a machine was hardly ever running"
    remove(qemu_cli.temps)


@qemu
@pytest.mark.parametrize("job", [("vm", "modern"),
                                 pytest.param(("run", "--accel=tcg", "--jobs=2", "-k",
                                               "test_start and pc-modern"),
                                              marks=pytest.mark.nightly)], ids=" ".join)
def test_its_machines_end_without_a_next_start(qemu_cli, job):      # noqa: F811
    """QEMU is a daemon, which nobody else would end."""
    rig = qemu_cli(*job, start_only=True, env=PATIENT)
    until = time.monotonic() + 120
    while not running(qemu_cli.build):
        assert time.monotonic() < until and rig.poll() is None, "there is no machine"
        time.sleep(0.05)
    rig.kill()
    rig.communicate()
    wait_for(lambda: not left_behind(qemu_cli), 30)
    remove(qemu_cli.temps)              # files stay for the next start


@qemu
@pytest.mark.nightly
def test_two_rigs_side_by_side(qemu_cli, short_path):               # noqa: F811
    """One is killed and cleaned up after; the other's machine knows nothing of it."""
    other = short_path / "o"
    shutil.copytree(qemu_cli.build, other)
    first = qemu_cli("vm", "modern", start_only=True, env=PATIENT)
    second = qemu_cli("vm", "modern", start_only=True,
                      env={**PATIENT, "VQ7_BUILD": str(other)})
    try:
        wait_for_machine(qemu_cli.build, first)
        mine = wait_for_machine(other, second)
        first.kill()
        first.communicate()
        qemu_cli("check")
        wait_for(lambda: not left_behind(qemu_cli))
        assert running(other, second) == mine and second.poll() is None
        assert list(qemu_cli.temps.glob("vq7-*")), "the second's files are gone"
    finally:
        second.terminate()
        second.communicate(timeout=60)
    assert not running(other)


def running(build, rig=None):
    """Process ids of the QEMUs below a build folder; those that are machines of a rig."""
    mark = f"guest=vq7-{rig.pid}-1" if rig else f"{build}/"
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read()
        except OSError:
            continue
        if words.startswith(b"/usr/bin/qemu") and all(
                each.encode() in words for each in (mark, str(build))):
            found.append(int(pid))
    return found


@qemu
@pytest.mark.nightly
@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to mount a small file system")
def test_a_full_disk(qemu_cli, short_path):                         # noqa: F811
    """Said in one line; nothing of the rig's stays, and what was there does."""
    small = short_path / "s"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", small], check=True)
    try:
        foreign(small)
        done = qemu_cli("vm", "modern", env={"TMPDIR": str(small)})
        assert done.returncode == 3
        assert "no space left for" in done.stderr and "free some" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        check_foreign(small)
    finally:
        subprocess.run(["umount", small], check=True)


def test_foreign_names_are_foreign():
    assert not "vq7-0123abcd-xyz".startswith(temps.temp_prefix())


TESTS = """
import os, subprocess, sys
from conftest import end_with_parent
rig = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"],
                       preexec_fn=end_with_parent)
print(rig.pid, flush=True)
rig.wait()
"""


def test_a_rig_ends_with_its_tests():
    """Those that were killed once left a rig behind that waited for Setup for two hours."""
    tests = subprocess.Popen([sys.executable, "-c", TESTS], stdout=subprocess.PIPE, text=True,
                             cwd=pathlib.Path(__file__).parent)
    rig = int(tests.stdout.readline())
    assert os.path.exists(f"/proc/{rig}")
    tests.kill()
    tests.communicate()
    wait_for(lambda: has_ended(rig), 30)


def has_ended(pid):
    """Or nobody has collected it yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
