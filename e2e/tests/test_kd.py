# SPDX-License-Identifier: MIT
"""The kernel debugger on COM2: what a debugger asks of a Windows 7 target, breaks, prints.

Expectations come from the images and PDBs themselves, from the LLVM tools, from the agent's
console and from the bytes of the code; never from the client's own word alone.
"""

import fcntl
import os
import pathlib
import pty
import select
import shlex
import socket
import struct
import subprocess
import sys
import termios
import time

import pytest

from kd_bench import (BUSY, DIRECT_MAP, DRIVER, IMAGES, MACHINE, SMALL, STEP, command,
                      miscompares, pump)
from vq7rig.errors import GuestCrash
from vq7rig.inflight import background
from vq7rig.kd import messages as m
from vq7rig.kd import session, wire
from vq7rig.kd.badline import BadLine
from vq7rig.kd.bridge import Bridge
from vq7rig.kd.errors import NoAnswer
from vq7rig.kd.pe import file_image

E2E_FOLDER = pathlib.Path(__file__).resolve().parents[1]


# --- what it says of itself ------------------------------------------------------------------

@pytest.mark.smoke
@pytest.mark.on("one", settings=MACHINE)
def test_version(kd):
    version = kd.client.version()
    assert (version.major, version.minor, version.protocol, version.secondary) == (0xF, 7601, 6, 2)
    assert version.machine == m.AMD64 and version.flags & ~m.MULTIPROCESSOR == 6
    assert kd.kernel.service_pack == 1
    assert version.module_list == kd.kernel.field(0x48)
    assert kd.read(version.kernel_base, 2) == b"MZ"
    processes = kd.kernel.processes()
    assert [(each.pid, each.name) for each in processes] == [(4, "System")]
    assert processes[0].directory_table & ~0xFFF == kd.client.special()["cr3"] & ~0xFFF
    threads = processes[0].threads()
    assert "vq7agent!AgentThread" in [kd.name_of(each.start) for each in threads]
    assert all(each.process == 4 for each in threads)
    assert all(each.priority >= 8 for each in threads), "a system thread's, or raised"


@pytest.mark.smoke
@pytest.mark.on("one", settings=MACHINE)
def test_modules(kd, vm):
    """Each is the very build whose file and PDB are in the guest's folder."""
    modules = kd.module_list.all()
    assert {each.name: each.file for each in modules} == IMAGES
    assert modules[0].base == kd.kernel.version.kernel_base
    for module in modules:
        file = file_image(vm.guest / module.file)
        assert module.pdb == file.pdb and module.pdb is not None
        assert (module.size, module.image.entry) == (file.size, file.entry)
        assert module.image.functions == file.functions, "the unwind data can be read"
        assert module.symbols, module.status


@pytest.mark.nightly
@pytest.mark.on("one", settings=MACHINE, options=("cpus=2",))
def test_one_processor_of_two(kd):
    """The kernel uses one, and says so: there is no other's state to ask for."""
    assert (kd.event.processors, kd.event.processor) == (1, 0)
    assert kd.client.version().flags & m.MULTIPROCESSOR == 0
    assert kd.kernel.field(0x218) and kd.number(kd.kernel.field(0x218) + 8) == 0
    assert kd.client.switch_processor(1).processor == 0


# --- break in, go on -------------------------------------------------------------------------

@pytest.mark.on("one", settings=MACHINE)
def test_break_in_from_idle(running, note):
    running.client.attach(running=True)
    times = []
    for _ in range(5):
        running.go()
        began = time.monotonic()
        event = running.break_in()
        times.append(time.monotonic() - began)
        assert event.code == m.BREAKPOINT and event.first_chance
        assert running.name_of(event.pc) == "nt!DbgBreakPointWithStatus"
        assert running.context["rcx"] == 1                  # DBG_STATUS_CONTROL_C
    note("break-in to prompt, ms", f"{1000 * sorted(times)[len(times) // 2]:.1f}")


def break_in_often(kd, vm, count, note):
    """Break in `count` times while I/O goes on; nothing is lost."""
    began, done, answers = time.monotonic(), 0, []
    before = kd.client.link.counts.copy()
    while done < count:
        with command(kd, vm, BUSY.command()) as answer:
            kd.go()
            while done < count and not answer.done():
                time.sleep(0.002 * (done % 7))
                kd.break_in()
                assert kd.client.version().minor == 7601
                kd.go()
                done += 1
            while not answer.done():
                kd.client.poll(0.05)
            answers.append(answer.result())
            kd.break_in()
    took = time.monotonic() - began
    note("break-ins", f"{count} in {took:.1f} s, {len(answers)} workloads")
    assert all(miscompares(each) == (0, 0) and each.num("ops") == BUSY.ops for each in answers)
    # What a busy host answered late and was sent twice was acknowledged twice: none is lost.
    # One whose rest it kept back was asked for again, and that rest is noise when it comes.
    counts = kd.client.link.counts - before
    assert counts["again"] == counts["stray"], counts
    assert counts["damaged"] == 0 or counts["late"] > 0, counts


@pytest.mark.on("one", settings=MACHINE)
def test_break_in_under_load(kd, vm, note):
    break_in_often(kd, vm, 8, note)


@pytest.mark.nightly
@pytest.mark.on("one", settings=MACHINE)
def test_thousand_break_ins(kd, vm, note):
    break_in_often(kd, vm, 1000, note)


@pytest.mark.on("one", settings=MACHINE)
def test_killed_debugger(running, vm, artefacts):
    """In the middle of a packet, with a breakpoint set; the next one finds the machine as it
    was left, and it goes on."""
    running.client.attach(running=True)
    running.client.write_breakpoint(running.evaluate("vq7test!VirtqSplitGetUsed"))
    raw = m.request(m.Api.READ_VIRTUAL, 0, struct.pack("<QI", DIRECT_MAP, 64))
    running.client.link.channel.send(wire.data(2, running.client.link._mine, raw).encode()[:30])
    running.client.link.channel.close()
    with session.debugging(vm, [vm.guest]) as second:
        where = second.evaluate
        event = second.client.attach()
        assert running.event.pc == event.pc
        second.client.request(m.Api.RESTORE_BREAKPOINT, struct.pack("<I", 1))
        assert second.client.read(where("vq7test!VirtqSplitGetUsed"), 1) != b"\xcc"
        second.go()
        assert miscompares(vm.console.command(SMALL.command())) == (0, 0)
        second.break_in()
        second.detach()
    # For the fixture, whose line is cut.
    running.client.link.channel = session.SocketChannel.connect(str(vm.run / session.SOCKET))
    running.client._set_event(None)
    running.client.attach()


def interrupt_time(kd):
    """In 100 ns; of the page that Windows shares with everybody."""
    return kd.client.number(0xFFFFF78000000008)


def long_break(kd, vm, seconds):
    """The I/O goes on where it was, and the guest's time knows nothing of the break."""
    up, began = interrupt_time(kd), time.monotonic()
    kd.go()
    with command(kd, vm, BUSY.command()) as answer:
        time.sleep(0.1)
        kd.break_in()
        assert not answer.done()
        time.sleep(seconds)
        kd.go()
        pump(kd, answer)
    assert miscompares(answer.result()) == (0, 0) and answer.result().num("ops") == BUSY.ops
    kd.break_in()
    passed = (interrupt_time(kd) - up) / 1e7
    assert passed <= time.monotonic() - began - seconds


@pytest.mark.nightly
@pytest.mark.on("one", settings=MACHINE)
def test_break_of_seconds(kd, vm):
    long_break(kd, vm, 0.5)


@pytest.mark.nightly
@pytest.mark.on("one", settings=MACHINE)
def test_break_of_minutes(kd, vm):
    """Longer than every time-out of driver, agent and rig."""
    long_break(kd, vm, 150)


# --- what the target says by itself ----------------------------------------------------------

@pytest.mark.on("one", settings=MACHINE)
def test_loads_and_prints(kd, vm):
    """The driver goes and comes while a debugger is there, which may stop it at its entry."""
    kd.breakpoints.add("vq7test!DriverEntry", kd.evaluate("vq7test!DriverEntry"))
    kd.go()
    with command(kd, vm, "driver unload") as answer:
        pump(kd, answer)
    assert kd.breakpoints.all[0].address is None
    with command(kd, vm, "driver load") as answer:
        event = kd.wait(STEP)
        assert kd.name_of(event.pc) == "vq7test!DriverEntry"
        kd.go()
        pump(kd, answer)
    said = "".join(kd.said)
    events = [line.split()[0] for line in said.splitlines() if line.endswith("vq7test.sys")]
    assert events == ["ModUnload:", "ModLoad:"], said
    assert "vq7test: loaded" in said
    kd.break_in()


@pytest.mark.on("one", settings=MACHINE)
@pytest.mark.fresh
def test_bug_check(kd, vm):
    """It breaks in before the screen, and after `g` goes its normal way."""
    values = (0x1111, 0x2222, 0x3333, 0x4444)
    kd.set_register("rip", kd.evaluate("nt!KeBugCheckEx"))
    kd.set_register("rcx", 0xE2)
    for name, value in zip(("rdx", "r8", "r9"), values):
        kd.set_register(name, value)
    kd.write(kd.context["rsp"] + 0x28, struct.pack("<Q", values[3]))
    kd.go()
    event = kd.wait(STEP)
    assert event.code == m.BREAKPOINT and kd.context["rcx"] == 3      # BUGCHECK_FIRST
    assert "*** Fatal System Error: 0x000000e2" in "".join(kd.said)
    assert any(each.name.startswith("nt!KeBugCheckEx") for each in kd.stack())
    with background(vm.console.command, "info", timeout=STEP) as answer, \
            pytest.raises(GuestCrash) as crash:
        kd.go()
        answer.result(STEP)
    kd.wait(STEP)
    assert kd.context["rcx"] == 4                                     # BUGCHECK_SECOND
    assert crash.value.code == 0xE2
    vm.broken(crash.value)


@pytest.mark.nightly
@pytest.mark.on("one", settings=("/debug",))
def test_reboot(kd, vm):
    """The next kernel finds the debugger and its breakpoints again."""
    kd.breakpoints.add("vq7test!DriverEntry", kd.evaluate("vq7test!DriverEntry"))
    kd.reboot()
    event = kd.wait(STEP)
    assert kd.name_of(event.pc) == "vq7test!DriverEntry"
    assert [each.name for each in kd.module_list.all()] == ["nt", "hal", "WDFLDR", DRIVER]
    kd.breakpoints.all.clear()
    kd.go()
    with background(vm.console.wait_boot) as booted:
        pump(kd, booted)
    kd.break_in()


# --- a person's prompt -----------------------------------------------------------------------

SESSION = """\
vertarget
lm
bp vq7test!VirtqSplitGetUsed
bl
r
k
u nt!KeBugCheckEx L2
x vq7test!virtqsplitgetused*
db nt L10
dq fffff78000000008 L1
? poi(nt+3c) )
ln nt!KiRetireDpcs+8
!process
p
t
r rip
eq 0 1
r nonsense
rdmsr c0000080
ib 71
what
bc *
qd
"""


@pytest.mark.nightly
@pytest.mark.fresh              # the other tests' debugger stays on the port of their machine
@pytest.mark.on("one", settings=MACHINE)
def test_prompt_through_a_tcp_port(vm):
    """What `make kd ATTACH=` shows through what `make windbg` offers."""
    notes = []
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = f"127.0.0.1:{probe.getsockname()[1]}"
    bridge = Bridge(port, notes.append)
    bridge.serve(str(vm.run / session.SOCKET))
    try:
        ran = subprocess.run([sys.executable, "-m", "vq7rig", "kd", "--attach", port,
                              f"--guest={vm.guest}"], input=SESSION, capture_output=True,
                             text=True, timeout=60, cwd=E2E_FOLDER, check=False)
    finally:
        bridge.close()
    assert (ran.returncode, ran.stderr) == (0, "")
    for text in ("Break instruction exception - code 80000003 (first chance)",
                 "Windows 7 Kernel Version 7601 Service Pack 1 UP", "nt        (pdb symbols",
                 " 0 e fffff800`", "vq7test!VirtqSplitGetUsed\n", "nt!KeBugCheckEx:\n",
                 "4d 5a ", "nt!KiRetireDpcs+0x8", "Image: System", "vq7agent!AgentThread",
                 "write of 8 bytes to 0x0: the target says", "no register 'nonsense'",
                 "msr[c0000080] = ", "0071: ", "unknown command 'what'", "can't read ')'"):
        assert text in ran.stdout, ran.stdout
    assert vm.console.command("info")["driver"] == "loaded"
    assert any("debugger connected from 127.0.0.1" in note for note in notes)


def shell_at_a_terminal(command):
    """A shell with a terminal of its own that says, last, that no signal ended it."""
    ours, theirs = pty.openpty()
    ran = subprocess.Popen(["/bin/sh", "-c", f"{command}; echo no signal"], stdin=theirs,
                           stdout=theirs, stderr=theirs, cwd=E2E_FOLDER, start_new_session=True,
                           preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    os.close(theirs)
    return ran, ours


def read_until(terminal, text):
    got, end = b"", time.monotonic() + STEP
    while text not in got:
        left = end - time.monotonic()
        assert left > 0 and select.select([terminal], [], [], left)[0], got
        try:
            got += os.read(terminal, 4096)
        except OSError:
            raise AssertionError(f"the session ended: {got}") from None


@pytest.mark.nightly
@pytest.mark.on("one", settings=MACHINE)
def test_ctrl_c_at_a_terminal(vm):
    """It breaks in, from within a line, too, and is no signal that would end a `make` above."""
    command = shlex.join([sys.executable, "-m", "vq7rig", "kd", "--attach",
                          str(vm.run / session.SOCKET), f"--guest={vm.guest}"])
    ran, terminal = shell_at_a_terminal(command)
    try:
        read_until(terminal, b"kd> ")
        for typed in (b"\x03", b"half a line\x03"):
            os.write(terminal, b"g\r")
            read_until(terminal, b"\n")
            time.sleep(0.5)
            os.write(terminal, typed)
            read_until(terminal, b"kd> ")
        os.write(terminal, b"\x03\r")              # at the prompt it does nothing
        read_until(terminal, b"kd> ")
        os.write(terminal, b"qd\r")
        read_until(terminal, b"no signal")
        assert ran.wait(STEP) == 0
    finally:
        ran.kill()
        os.close(terminal)
    assert vm.console.command("info")["driver"] == "loaded"


# --- a bad line, a wrong one -----------------------------------------------------------------

class TestBadLine:
    @pytest.fixture
    def com2(self):
        return BadLine

    @pytest.mark.nightly
    @pytest.mark.on("one", settings=MACHINE)
    def test_five_percent_are_lost(self, running, vm):
        """Of the packets of both ways; also damaged, repeated and cut ones."""
        running.client.attach(60)
        module = running.module_list.named(DRIVER)
        text = running.client.read(module.base, 0x8000)
        for _ in range(5):
            assert running.client.read(module.base, 0x8000) == text
        for _ in range(30):
            running.go()
            running.break_in(STEP)
        assert running.client.link.channel.faults > 20
        assert miscompares(self._under_load(running, vm)) == (0, 0)
        running.break_in(STEP)

    @staticmethod
    def _under_load(kd, vm):
        with command(kd, vm, SMALL.command()) as answer:
            kd.go()
            pump(kd, answer)
            return answer.result()


@pytest.mark.nightly
@pytest.mark.on("one", settings=MACHINE)
def test_garbage(vm, running):
    """Bytes that are no packet do nothing; a debugger comes afterwards as ever."""
    channel = running.client.link.channel
    for data in (b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)).replace(b"b", b"") * 4,
                 b"0000" * 64, b"iiii" * 64, b"00000000\x02\x00\xa0\x0f" + b"\xff" * 300):
        channel.send(data)
    vm.console.command("info")
    with pytest.raises(NoAnswer):
        running.client.wait(0.2)
    running.client.attach()
    assert running.client.version().minor == 7601
