# SPDX-License-Identifier: MIT
"""The suite through each kind of libvirt connection, with daemons of its own."""

import os
import pathlib
import pwd
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from vq7rig.paths import GUEST, GUEST_FILES

HERE = pathlib.Path(__file__).resolve().parent
NAMESPACES = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc"]
CONNECTIONS = {
    "system-root": ("qemu:///system", ()),
    "system-group": ("qemu:///system", ("--user", "nobody")),
    "session": ("qemu:///session", ("--user", "nobody")),
    "tcp": ("qemu+tcp://127.0.0.1/system", ("--elsewhere",)),
}
# Images both ways, console, kernel's log, end of a machine by the guest and by the rig, dump of
# one that has stopped.
FEW = ["tests/test_io.py::test_guest_reads_what_the_host_wrote[pc-modern]",
       "tests/test_io.py::test_host_reads_what_the_guest_wrote[pc-modern]",
       "tests/test_lifecycle.py::test_poweroff[pc-modern]",
       "tests/test_dump.py::test_dump_agrees_with_the_machine[pc-modern]"]


def obstacle():
    """Why this can't be tried here; "" if it can."""
    if os.getuid() != 0:
        return "needs root, for daemons in name spaces of their own"
    for program in ("libvirtd", "virtlogd", "virsh", "qemu-system-x86_64"):
        if not shutil.which(program, path=f"/usr/sbin:{os.environ['PATH']}"):
            return f"needs {program}"
    done = subprocess.run([*NAMESPACES, "true"], capture_output=True, text=True, check=False)
    return f"needs name spaces: {done.stderr.strip()}" if done.returncode else ""


@pytest.fixture(scope="module", autouse=True)
def _possible():
    why = obstacle()
    if why:
        pytest.skip(why)
    if not all((GUEST / name).exists() for name in GUEST_FILES):
        pytest.skip("needs the guest: make guest-x64")


@pytest.fixture
def rig(short_path):
    """rig(connection, *arguments) runs the suite there; returns what it and virsh said."""
    build, temps = short_path / "b", short_path / "t"
    (build / "guest/x64").mkdir(parents=True)
    temps.mkdir()
    for file in GUEST.iterdir():                # a debugger wants images and PDBs, too
        if file.is_file():
            shutil.copy(file, build / "guest/x64")

    def run(connection, *arguments, job="run"):
        uri, options = CONNECTIONS[connection]
        if "--user" in options:
            user = pwd.getpwnam(options[1])
            for path in (short_path, *short_path.rglob("*")):
                os.chown(path, user.pw_uid, user.pw_gid)
        words = [sys.executable, "-B", "-m", "vq7rig", job, "--connect", uri, *arguments]
        # The second half: nothing is left on the hypervisor.
        script = ('"$@"; code=$?; virsh -q -c "$0" list --all --name; '
                  'virsh -q -c "$0" pool-list --all --name; exit $code')
        command = [*NAMESPACES, sys.executable, "-B", HERE / "private_libvirt.py", *options, "--",
                   "bash", "-c", script, uri, *words]
        return subprocess.run(command, cwd=HERE.parent, text=True, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=600, check=False,
                              env={**os.environ, "VQ7_BUILD": str(build), "TMPDIR": str(temps)})

    run.latest = build / "e2e/latest"
    run.temps = temps
    return run


def check(rig, done, at_least):
    assert done.returncode == 0, done.stdout + done.stderr
    assert "vq7-" not in done.stdout.rpartition("junit.xml")[2], "left on the hypervisor"
    assert not list(rig.temps.iterdir()), "temporary files were left behind"
    cases = ET.parse(rig.latest / "junit.xml").findall(".//testcase")
    verdicts = [p.get("value") for case in cases for p in case.findall("properties/property")
                if p.get("name") == "verdict"]
    # What needs files shared with QEMU, as the vhost-user back end, is skipped.
    assert set(verdicts) <= {"pass", "skipped"} and verdicts.count("pass") >= at_least, verdicts
    # Of those that were started.
    logs = {path.parent.name: path.read_text(errors="replace")
            for path in rig.latest.glob("machines/*/debug.log")
            if path.with_name("console.log").exists()}
    lost = {name: text[-200:] for name, text in logs.items() if "vq7test" not in text}
    assert logs and not lost, f"the kernel's log is lost: {lost}"


@pytest.mark.parametrize("connection", ["system-group", pytest.param(
    "tcp", marks=pytest.mark.nightly)])
def test_few(rig, connection):
    check(rig, rig(connection, "--accel=tcg", *FEW), len(FEW))


DUMPED = """
import time, pytest
from vq7rig.dump import take
@pytest.mark.on('one')
def test_it(vm, artefacts):
    size = vm.dom.info()[1] >> 10
    start = time.monotonic()
    taken = take.take(vm, artefacts)
    print(f'{size} MiB in {time.monotonic() - start:.1f} s')
    assert taken.files == ['core.elf', 'stacks.txt', 'memory.dmp'], taken.why_not
    small = [(artefacts / name).stat().st_blocks >> 11 for name in taken.files]
    assert max(small) < 32, 'zeros take space'
    assert vm.console.command('info').ok
    vm.console.command('crash')
"""


@pytest.mark.nightly
@pytest.mark.parametrize("connection", list(CONNECTIONS))
def test_dumps(rig, connection, short_path):
    """Of a machine that goes on, and without being asked of one whose test fails."""
    test = short_path / "test_x.py"
    test.write_text(DUMPED)
    done = rig(connection, "--accel=tcg", "-s", str(test))
    assert done.returncode == 1, done.stdout + done.stderr
    folder, = rig.latest.glob("test_it-*")
    assert {"core.elf", "stacks.txt", "memory.dmp"} <= set(os.listdir(folder))
    assert "MANUALLY_INITIATED_CRASH (0x000000E2) in vq7agent!platform::Crash, " in done.stdout
    assert "vq7-" not in done.stdout.rpartition("junit.xml")[2], "left on the hypervisor"
    print(connection, re.search(r"\d+ MiB in .*", done.stdout)[0])


@pytest.mark.nightly
@pytest.mark.parametrize("connection", list(CONNECTIONS))
def test_smoke_set(rig, connection):
    """With KVM's probe, as the default is."""
    check(rig, rig(connection, "-m", "smoke"), 40)


KILLED = """
import os, pathlib, pytest
@pytest.mark.on('one')
def test_it(vm):
    for entry in pathlib.Path('/proc').glob('[0-9]*'):
        if f'guest={vm.name},'.encode() in (entry / 'cmdline').read_bytes():
            os.kill(int(entry.name), 9)
    vm.console.command('info')
"""


@pytest.mark.nightly
def test_killed_qemu_of_a_daemon(rig, short_path):
    """Its parent isn't this rig, so no signal can be known; but it wasn't the guest."""
    test = short_path / "test_x.py"
    test.write_text(KILLED)
    done = rig("system-root", "--accel=tcg", str(test))
    assert done.returncode == 3, done.stdout + done.stderr
    assert "QEMU ended by itself, or was killed" in done.stderr.splitlines()[-1]
