# SPDX-License-Identifier: MIT
"""gdb on the guest: as it runs, through QEMU's gdbstub, and on the core of a crash. What gdb
says is held against the agent's answer and against what the kernel itself says."""

import re
import subprocess
import time

import pytest

from vq7rig.dump import take
from vq7rig.errors import GuestCrash, Lacking, RigError
from vq7rig.gdb import images, job
from vq7rig.kd.job import BREAK
from vq7rig.symbols import load_address

pytestmark = [pytest.mark.nightly, pytest.mark.needs("debugger")]
LIMIT = 120.0               # seconds: gdb reads some MB of DWARF first


@pytest.fixture
def gdb(pool):
    """Path of gdb; skipped without it, and without symbols."""
    if not (pool.guest / images.DWARF / "vq7test.sys").exists():
        raise Lacking(f"gdb needs images with DWARF in {pool.guest / images.DWARF}: "
                      "`make guest-dwarf`")
    try:
        return job.need_gdb()
    except RigError as bad:
        raise Lacking(str(bad)) from bad


def batch(gdb, file, *more):
    command = [gdb, "-nx", "-q", "-batch", "-x", str(file)]
    for each in more:
        command += ["-ex", each]
    return command


def wait_for(path, text, process):
    """Until the file that a process writes holds the text."""
    until = time.monotonic() + LIMIT
    while text not in path.read_text():
        assert process.poll() is None and time.monotonic() < until, path.read_text()
        time.sleep(0.05)


@pytest.mark.on("one")
@pytest.mark.fresh
def test_stop_where_a_buffer_is_taken(vm, gdb, artefacts):
    """Without an address typed: the stack has functions and lines from the library through the
    driver and the framework to the kernel's interrupt, and the queue is as it must be then."""
    out = artefacts / "gdb.txt"
    with job.prepared(vm) as (file, _), open(out, "w", encoding="utf-8") as said:
        process = subprocess.Popen(
            batch(gdb, file, "set pagination off", "break VirtqSplitGetUsed", "continue", "bt",
                  "virtq", "print *vq", "delete", "detach"), stdin=subprocess.DEVNULL, stdout=said,
            stderr=subprocess.STDOUT, text=True)
        try:
            wait_for(out, "Breakpoint 1 at", process)
            time.sleep(0.5)                     # it continues
            answer = vm.console.command("blk read 0 8", timeout=LIMIT, quiet=LIMIT)
            process.wait(LIMIT)
        finally:
            process.kill()
            process.wait()
    text = out.read_text()
    assert answer.ok and process.returncode == 0, text
    frames = re.findall(r"^#\d+ +(?:0x[0-9a-f]+ in )?(\S+) \(.*?\) at (\S+):(\d+)$",
                        text.replace("\n    ", " "), re.M)
    names = [name.rpartition("::")[2] for name, _, _ in frames]
    assert names[0] == "VirtqSplitGetUsed", text
    for name in ("BlkService", "Vq7EvtDpc", "DeferredRoutine", "KiRetireDpcs"):
        assert name in names, text
    for name, path, line in frames[:3]:
        code = open(path, encoding="utf-8").read().splitlines()
        assert 0 < int(line) <= len(code), (name, path, line)
    assert "1 in flight" in text and "1 waiting" in text, text
    assert re.search(r"used\[\d+\]: head \d+, 4097 bytes$", text, re.M), text
    assert re.search(r"^\$1 = size \d+, \d+ free, 1 in flight.*qsz = \d+", text, re.M | re.S), text
    assert "DIFFERS" not in text and "NO HEAD" not in text


def session(gdb, file, out, *commands):
    """A gdb that executes them, its output in a file. To be ended."""
    return subprocess.Popen(batch(gdb, file, "set pagination off", *commands), text=True,
                            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)


@pytest.mark.on("one")
@pytest.mark.fresh
def test_driver_that_is_loaded_later(vm, gdb, artefacts):
    """It goes and comes while gdb is there: its symbols go and come with it, and a breakpoint
    in its first function stops there, where the kernel has loaded it."""
    out = artefacts / "gdb.txt"
    with job.prepared(vm) as (file, _), open(out, "w", encoding="utf-8") as said:
        process = session(gdb, file, said, "break DriverEntry", "continue", "bt 3",
                          "delete", "detach")
        try:
            wait_for(out, "Breakpoint 1 at", process)
            time.sleep(0.5)                     # it continues
            for line in ("driver unload", "driver load"):
                assert vm.console.command(line, timeout=LIMIT, quiet=LIMIT).ok
            process.wait(LIMIT)
        finally:
            process.kill()
            process.wait()
    text = out.read_text()
    assert process.returncode == 0, text
    assert re.search(r"^\[vq7test\.sys is unloaded\]$", text, re.M), text
    at, = re.findall(r"^\[vq7test\.sys is loaded at 0x([0-9a-f]+)\]$", text, re.M)
    assert int(at, 16) == load_address(vm, "vq7test.sys")
    assert re.search(r"^#0 .*DriverEntry ", text, re.M), text


@pytest.mark.on("one", settings=(BREAK,))
def test_stop_before_the_first_driver(blank, pool, gdb, artefacts):
    """`make gdb WAIT=1`: the kernel alone is there, and the driver's first function is stopped
    at when it comes, by its name, which nobody knew before."""
    vm, out = blank, artefacts / "gdb.txt"
    vm.start()
    job.stop_before_drivers(vm)
    assert "vq7test" not in vm.kernel_log()
    with job.prepared(vm) as (file, _), open(out, "w", encoding="utf-8") as said:
        process = session(gdb, file, said, "bt", "break DriverEntry", "continue", "bt",
                          "finish", "delete", "detach")
        try:
            process.wait(LIMIT)
        finally:
            process.kill()
            process.wait()
    text = out.read_text()
    assert process.returncode == 0, text
    assert 'Function "DriverEntry" not defined.' in text, text
    assert re.search(r"^#\d .*KiSystemStartup", text, re.M) or \
        re.search(r"^#\d .*in \S+ .*ntcompat/", text, re.M), text
    at, = re.findall(r"^\[vq7test\.sys is loaded at 0x([0-9a-f]+)\]$", text, re.M)
    assert int(at, 16) == load_address(vm, "vq7test.sys")
    assert re.search(r"^Breakpoint 1.* DriverEntry ", text, re.M), text
    vm.console.wait_boot(LIMIT)
    vm.state = "running"
    assert vm.console.command("info")["driver"] == "loaded"


@pytest.mark.on("one")
@pytest.mark.fresh
def test_core_of_a_crash(vm, gdb, artefacts):
    """gdb's stack of a core has the frames that the rig's own reader finds, and lines."""
    with pytest.raises(GuestCrash):
        vm.console.command("crash")
    taken = take.take(vm, artefacts)
    core = artefacts / take.CORE
    file = artefacts / job.COMMANDS
    file.write_text(job.commands(images.need_symbols(images.loaded(core, vm.guest)),
                                 f"core-file {core}"))
    done = subprocess.run(batch(gdb, file, "set pagination off", "bt"), capture_output=True,
                          text=True, timeout=LIMIT, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    walked = [frame.frame.rip for frame in taken.stacks[0] if frame.module]
    said = re.findall(r"^#\d+ +0x([0-9a-f]+) in", done.stdout, re.M)
    theirs = [at for at in dict.fromkeys(int(each, 16) for each in said) if at]  # 0: the end
    assert len(theirs) > 5 and theirs == [at for at in walked if at in theirs], done.stdout
    assert walked[-1] in theirs, done.stdout
    assert re.search(r"in KeBugCheckEx .*bugcheck\.cpp:\d+", done.stdout.replace("\n    ", " "))
    assert re.search(r"platform::Crash .*entry\.cpp:\d+", done.stdout.replace("\n    ", " "))
