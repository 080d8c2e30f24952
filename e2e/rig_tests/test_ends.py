# SPDX-License-Identifier: MIT
"""A machine's end is collected at once, and QEMU's own end isn't the guest's fault."""

import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

import tiny_guest
from test_cli import known_qemu, left_behind, qemu, qemu_cli, wait_for   # noqa: F401
from vq7rig import ends, orphans
from vq7rig.errors import RigError

LOG = """\
2026-01-01 00:00:00.000+0000: starting up libvirt version: 9.0.0
LC_ALL=C \\
/usr/bin/qemu-system-x86_64 \\
-name guest=x \\
-msg timestamp=on
char device redirected to /dev/pts/1 (label charserial0)
2026-01-01 00:00:00.100+0000: Domain id=3 is tainted: custom-monitor
qemu-system-x86_64: visit_start_struct: Assertion `*obj' failed.
2026-01-01 00:00:01.000+0000: shutting down, reason=crashed
"""


def test_last_words_are_qemus(tmp_path):
    log = tmp_path / "qemu.log"
    log.write_text(LOG)
    assert ends.last_words(log) == \
        "; its last words: qemu-system-x86_64: visit_start_struct: Assertion `*obj' failed."
    log.write_text(LOG.replace("qemu-system-x86_64: visit", "2026-01-01 00:00:00.200+0000: visit"))
    assert ends.last_words(log) == ""
    assert ends.last_words(tmp_path / "none") == ""


@pytest.mark.parametrize("code, words", [
    ("os.kill(os.getpid(), 9)", r"SIGKILL.*want of memory: look at `dmesg`"),
    ("os.abort()", "SIGABRT; its last words: x"), ("os._exit(3)", "exit code 3"),
    ("os._exit(0)", None)])
def test_how_a_process_ended(code, words):
    status = os.waitstatus_to_exitcode
    with subprocess.Popen([sys.executable, "-c", f"import os; {code}"]) as child:
        _, wait = os.waitpid(child.pid, 0)
        child.returncode = status(wait)
    error = ends._of_status(wait, "; its last words: x")
    if words is None:
        assert error is None
    else:
        with pytest.raises(RigError, match=words):
            raise error


DAEMON = """
import os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
if os.fork():
    os._exit(0)                                 # so that the daemon is an orphan
os.setsid()
open("/proc/self/comm", "w").write("qemu-system-x86")
(folder / "new").write_text(str(os.getpid()))
(folder / "new").rename(folder / "pid")
while not (folder / "end").exists():
    time.sleep(0.01)
os._exit(7)
"""

COLLECT = """
import os, pathlib, subprocess, sys, time
from vq7rig import orphans
orphans.adopt()
zombie = subprocess.Popen(["true"])             # nobody waits for it
time.sleep(0.3)
folder = pathlib.Path(sys.argv[2])
subprocess.run([sys.executable, "-c", sys.argv[1], folder], check=True)
while not (folder / "pid").exists():
    time.sleep(0.01)
pid = int((folder / "pid").read_text())
(folder / "end").touch()
status = orphans.how_ended(pid, 5)
assert status is not None and os.waitstatus_to_exitcode(status) == 7, status
assert not os.path.exists(f"/proc/{pid}")
assert zombie.poll() == 0, "another's child was taken from it"
print("collected")
"""


def test_zombie_of_something_else_does_not_hide_qemus_end(cli, tmp_path):
    done = cli(DAEMON, tmp_path, code=COLLECT)
    assert done.stdout == "collected\n", done.stderr


def test_children_are_found_without_the_kernels_list(monkeypatch):
    monkeypatch.setattr(orphans.pathlib.Path, "glob",
                        lambda self, pattern, real=orphans.pathlib.Path.glob:
                        [] if pattern == "*/children" else real(self, pattern))
    with subprocess.Popen(["sleep", "60"]) as child:
        assert child.pid in orphans._children()
        child.kill()


DETACHED = """
import subprocess, sys
words = ["qemu-system-x86_64", "-c", "import time; time.sleep(60)", sys.argv[1]]
print(subprocess.Popen(words, executable=sys.executable, start_new_session=True,
                       stdout=subprocess.DEVNULL).pid)
"""


def running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("word", ["{}/qemu.log", "file={},if=x", "unix:{}/monitor.sock",
                                  '{{"driver":"file","filename":"{}/disk"}}'])
def test_leftovers_of_this_folder_alone_are_ended(tmp_path, word):
    """Regression: those of a checkout whose path ends like this one's were, too."""
    root = f"{tmp_path}/vq7"
    pids = [int(subprocess.run([sys.executable, "-c", DETACHED, word.format(path)], check=True,
                               stdout=subprocess.PIPE).stdout)
            for path in (f"{root}/x", f"/elsewhere{root}/x", f"{root}2/x")]
    try:
        orphans.end_all(root)
        wait_for(lambda: not running(pids[0]))
        assert running(pids[1]) and running(pids[2])
    finally:
        for pid in filter(running, pids):
            os.kill(pid, signal.SIGKILL)


@qemu
def test_killed_qemu_is_a_rig_error(qemu_cli):                  # noqa: F811
    """Not a guest crash: it is tried again, and the signal is named."""
    (qemu_cli.build / "guest/x64/ntcompat.elf").write_bytes(
        tiny_guest.elf(tiny_guest.serial("up")))
    job = qemu_cli("run", "--accel=tcg", "tests/test_start.py::test_start[pc-modern]",
                   start_only=True)
    latest = qemu_cli.build / "e2e/latest"
    for number, attempt in ((signal.SIGKILL, "001"), (signal.SIGTERM, "002")):
        log = latest / f"machines/{attempt}-pc-modern/console.log"
        wait_for(lambda: log.exists() and b"up" in log.read_bytes())
        (pid,) = left_behind(qemu_cli)
        os.kill(int(pid), number)
    out, err = job.communicate(timeout=180)
    assert job.returncode == 3, out + err
    (case,) = ET.parse(latest / "junit.xml").findall(".//testcase")
    assert "QEMU was ended by SIGKILL; somebody killed it, or the kernel did for want of memory" \
        in case.find("system-err").text
    assert "QEMU was told to end; its last words: qemu-system-x86_64: terminating on signal 15" \
        in case.find("error").get("message")
