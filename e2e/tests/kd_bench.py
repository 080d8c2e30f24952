# SPDX-License-Identifier: MIT
"""What the tests of the kernel debugger share: a debugger, and the agent at work meanwhile."""

import contextlib
import re
import struct
import subprocess

import pytest

from vq7rig import clock
from vq7rig.errors import Lacking
from vq7rig.inflight import background
from vq7rig.kd import messages as m
from vq7rig.kd import session
from vq7rig.kd.context import Context
from vq7rig.kd.pdb import tool
from vq7rig.workload import Workload

# The default port, named: so that these tests have a machine of their own. A kernel that a
# debugger has left still believes in it, as Windows does, and would wait for it in a crash.
MACHINE = ("/debugport=com2",)
DRIVER = "vq7test"
IMAGES = {"nt": "ntoskrnl.exe", "hal": "hal.dll", "WDFLDR": "WDFLDR.SYS", DRIVER: "vq7test.sys",
          "vq7agent": "vq7agent.sys"}
PAGE, DIRECT_MAP = 0x1000, 0xFFFF800000000000
SMALL = Workload(ops=6, depth=1, sizes=(4096,), seed=71)
BUSY = Workload(ops=2500, depth=16, sizes=(4096, 16384), seed=72)
STACKS = 3 * 12288          # bytes of the stacks for double faults, NMIs and machine checks
STEP = 20.0                 # seconds for what takes milliseconds


@pytest.fixture
def com2():
    """What is between the debugger and COM2; a test may put a bad line there."""
    return lambda channel: channel


def _need_images(vm):
    if not all((vm.guest / name).exists() for name in IMAGES.values()):
        raise Lacking(f"a debugger needs the images and PDBs, too: they aren't in {vm.guest}")


@pytest.fixture
def running(vm, artefacts, com2):
    """A debugger that has not attached yet. Afterwards the machine runs without one."""
    _need_images(vm)
    connected.close()
    said = []
    with open(artefacts / "kd.log", "w", encoding="utf-8") as log, \
            session.debugging(vm, [vm.guest], log, said.append, com2) as debugger:
        debugger.said = said
        yield debugger
        if vm.usable:
            debugger.detach()
    if vm.usable:
        vm.console.command("info")


class _Connected:
    """The debugger that stays connected from test to test: what it knows of the modules it
    needn't read again."""

    def __init__(self):
        self._vm = self._debugger = None
        self._open = contextlib.ExitStack()

    def of(self, vm):
        if self._vm is not vm:
            self.close()
            said = []
            self._debugger = self._open.enter_context(
                session.debugging(vm, [vm.guest], None, said.append))
            self._debugger.said = said
            self._debugger.client.attach(running=True)
            self._vm = vm
        elif not self._debugger.client.stopped:
            self._debugger.break_in()
        return self._debugger

    def close(self):
        self._vm = self._debugger = None
        self._open.close()


connected = _Connected()


@pytest.fixture(scope="session", autouse=True)
def _disconnect():
    yield
    connected.close()


@pytest.fixture
def kd(vm, artefacts):
    """A debugger; the machine is stopped at the agent's prompt."""
    _need_images(vm)
    ended = False
    try:
        with open(artefacts / "kd.log", "w", encoding="utf-8") as log:
            debugger = connected.of(vm)
            debugger.client.link.log = log
            debugger.client.on_prompt = lambda text: ""
            debugger.said.clear()
            yield debugger
            if vm.usable:
                debugger.detach()
            debugger.client.link.log = None
        if vm.usable:
            vm.console.command("info")
            ended = True
    finally:
        if not ended:
            connected.close()


@contextlib.contextmanager
def command(kd, vm, text):
    """The agent executes a command meanwhile; gives the answer's future. A test that fails
    leaves the target running, else the command would never end."""
    with background(vm.console.command, text, timeout=120) as answer:
        try:
            yield answer
        except BaseException:
            vm.console.now = clock.now
            kd.detach()
            raise


def miscompares(answer):
    return answer.num("errors"), answer.num("miscompares")


@contextlib.contextmanager
def stopped_at(kd, vm, symbol, load=SMALL):
    """A workload, stopped at a breakpoint that is removed then; gives the answer's future."""
    made = kd.breakpoints.add(symbol, kd.evaluate(symbol))
    kd.go()
    with command(kd, vm, load.command()) as answer:
        event = kd.wait(STEP)
        assert event.code == m.BREAKPOINT and event.pc == made.address
        kd.breakpoints.remove(made)
        yield answer


def finish(kd, answer):
    """Let the workload end, without breakpoints; returns its answer."""
    kd.breakpoints.all.clear()
    kd.go()
    return answer.result(60)


def pump(kd, answer):
    """The target runs on, and says what it says, until the agent has answered."""
    while not answer.done():
        if kd.client.poll(0.05) is not None and (event := kd.arrived()) is not None:
            raise AssertionError(f"it stopped: {event} at {kd.name_of(event.pc)}")
    answer.result()


@contextlib.contextmanager
def calling(kd, function, *arguments):
    """The target, broken into, calls a function. Within the context it is on its way; at the
    end it must have returned, and stands where it stood. Its stack, and strings, are where
    nothing is in use (below the thread's own the target is at work)."""
    before, back = bytes(kd.context), kd.context["rip"]
    assert kd.event.code == m.BREAKPOINT, "stopped at a break instruction"
    kd.turn = not getattr(kd, "turn", False)    # the last one's half may hold the trap frame
    stack = kd.evaluate("nt!KiIstStacks") + (STACKS if kd.turn else STACKS // 2) - 0x208
    strings, values = b"", []
    for each in arguments:
        if isinstance(each, str):
            strings, each = strings + each.encode() + b"\0", stack + 0x80 + len(strings)
        values.append(each)
    values += [0] * (4 - len(values))
    frame = struct.pack(f"<Q4Q{len(values) - 4}Q", back, 0, 0, 0, 0, *values[4:])
    kd.write(stack, frame.ljust(0x80, b"\0") + strings)
    context = Context(before)
    for name, value in zip(("rip", "rsp", "rcx", "rdx", "r8", "r9"),
                           (kd.evaluate(function), stack, *values)):
        context[name] = value
    set_context(kd, context)
    kd.go()
    yield
    event = kd.event or kd.wait(STEP)
    assert (event.code, event.pc, kd.context["rsp"]) == (m.BREAKPOINT, back, stack + 8), event
    kd.result = kd.context["rax"]
    set_context(kd, Context(before))


def set_context(kd, context):
    kd.client.set_context(context)
    kd._context = context


def call(kd, function, *arguments):
    """Calls it; returns what it returned, and what it printed."""
    kd.said.clear()
    with calling(kd, function, *arguments):
        kd.wait(STEP)
    return kd.result & 0xFFFFFFFF, "".join(kd.said)


def offset_of(vm, structure, member):
    """Where the driver's compiler has put a member, from its PDB."""
    types = subprocess.run([tool("llvm-pdbutil"), "dump", "--types",
                            str(vm.guest / f"{DRIVER}.pdb")],
                           capture_output=True, text=True, check=True).stdout
    fields = re.search(rf"LF_STRUCTURE .*`{structure}`\n.*\n.*field list: (0x[0-9A-F]+)\n", types)
    listed = types.partition(f" {fields[1]} | LF_FIELDLIST")[2].partition(" | LF_")[0]
    return int(re.search(rf"`{member}`, .*offset = (\d+),", listed)[1])
