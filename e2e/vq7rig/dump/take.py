# SPDX-License-Identifier: MIT
"""What is left of a machine that stopped: dumps for two debuggers, and the stack of each CPU."""

import pathlib
import re
from dataclasses import dataclass

from ..errors import GuestError, Lacking, RigError
from ..kd.debugger import Debugger
from ..kd.show import q, source
from ..paths import ROOT
from . import locks, queues, windows
from .elfcore import Core, write_virtual
from .frozen import Frozen
from .paging import mappings

MAX_MIB = 16384         # of memory: a dump takes a second or two a GiB, in which nothing runs
FRAMES_SHOWN = 6
CORE, DUMP, STACKS = "core.elf", "memory.dmp", "stacks.txt"
# The first lines of a bug check on the console.
STOP = re.compile(r"^\*\*\* STOP: (0x[0-9A-Fa-f]+).*\n(\w+)", re.M)
BLAMED = re.compile(r"^\*\*\* (\S+) - +Address ([0-9A-Fa-f`]+) base at", re.M)
STOPPING = ("KeBugCheckEx", "KeBugCheck", "KeBugCheck2", "KiBugCheckDebugBreak")


@dataclass(frozen=True)
class Taken:
    """`files`: names in the folder. `why_not`: of a dump that couldn't be made."""
    stacks: list                # of each CPU: its StackFrames
    files: list
    why_not: str = ""
    locks: list = ()            # lines on who holds which
    queues: list = ()           # of each: its lines

    def frame_at(self, address):
        """The StackFrame with that very address, or None."""
        return next((frame for stack in self.stacks for frame in stack
                     if frame.frame.rip == address), None)


def take(vm, folder):
    """Dumps and stacks of a machine into a folder. It stands still meanwhile.

    Raises Lacking where there is too much memory, RigError, OSError.
    """
    size = int(vm.config.option("memory", 0))
    if size > MAX_MIB:
        raise Lacking(f"the machine has {size} MiB of memory, and dumps are taken up to "
                      f"{MAX_MIB} MiB")
    written = vm.run / CORE
    try:
        vm.host.dump_memory(vm.dom, written)
        with Core(written) as core:
            return _made(core, vm.guest, folder, queues.rings_of(vm))
    finally:
        written.unlink(missing_ok=True)


def _made(core, symbols, folder, rings=()):
    """The files, as far as the kernel has come."""
    if not core.cpus:
        write_virtual(folder / CORE, core, [(run.start, run.size, run.start)
                                            for run in core.runs])
        return Taken([], [CORE], "no CPU uses paging: the machine is in its firmware or a loader")
    write_virtual(folder / CORE, core, mappings(core.read, core.cpus[0].special["cr3"]))
    files, why_not, held, stand = [CORE], "", [], []
    debugger = Debugger(Frozen(core), [symbols])
    try:
        try:
            stacks = [_stack(debugger, number) for number in range(len(core.cpus))]
            held = locks.report(debugger)
            stand = queues.report(debugger, rings)
            (folder / STACKS).write_text("\n".join([
                *map(_text, range(len(stacks)), stacks), *_others(debugger), *held,
                *sum(stand, []), ""]))
            files.append(STACKS)
        except (GuestError, RigError) as bad:       # what the guest left there can be anything
            stacks, why_not = [], f"no stacks: {bad}"
        try:
            windows.write(folder / DUMP, core, _stopping(stacks))
            files.append(DUMP)
        except GuestError as bad:
            why_not = why_not or f"no {DUMP}: {bad}"
            (folder / DUMP).unlink(missing_ok=True)
    finally:
        debugger.module_list.close()
    return Taken(stacks, files, why_not, held, stand)


def _stack(debugger, processor):
    debugger.look_at(processor)
    return debugger.stack()


def _others(debugger):
    """The stacks of threads that no CPU executes, as text."""
    running = {debugger.kernel.current_thread(n) for n in range(len(debugger.client.cpus))}
    for process in debugger.kernel.processes():
        for each in process.threads():
            if each.address not in running:
                yield _text(f"THREAD {each.address:#x} {each.state}, began in "
                            f"{debugger.name_of(each.start)}", debugger.stack_of(each.address))


def _stopping(stacks):
    """Number of the CPU that executes the bug check, else 0."""
    for number, stack in enumerate(stacks):
        if any(frame.name.partition("!")[2].partition("+")[0] in STOPPING for frame in stack):
            return number
    return 0


def _text(number, stack):
    title = number if isinstance(number, str) else f"CPU {number}"
    lines = [title, "Child-SP           RetAddr            Call Site"]
    for at, each in enumerate(stack):
        back = stack[at + 1].frame.rip if at + 1 < len(stack) else 0
        lines.append(f"{q(each.frame.rsp)}  {q(back)}  {each.name}{source(each.lines[-1:])}")
        lines += [f"{'(inline)':<38}{line.function}{source([line])}" for line in each.lines[:-1]]
    return "\n".join(lines) + "\n"


def headline(text, taken):
    """The first line of a verdict on a bug check: its name, and where it happened.

    `text` is what the console said, `taken` the Taken of the machine or None. None where
    the text is no bug check's.
    """
    stop = STOP.search(text)
    if stop is None:
        return None
    blamed = BLAMED.search(text)
    line = f"{stop[2]} ({stop[1]})"
    if blamed is None:
        return line
    frame = taken.frame_at(int(blamed[2].replace("`", ""), 16)) if taken else None
    if frame is None:
        return f"{line} in {blamed[1]}"
    known = next((each for each in frame.lines if each.line), None)
    if known is None:
        return f"{line} in {frame.name}"
    module = frame.name.partition("!")[0]
    return f"{line} in {module}!{known.function.removesuffix('()')}, {_place(known)}"


def _place(line):
    path = pathlib.Path(line.file)
    return f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}:{line.line}"


def whereabouts(taken):
    """A line a CPU: what it executes, and for whom."""
    return [f"CPU {number} in " + " < ".join(each.name for each in stack[:FRAMES_SHOWN])
            for number, stack in enumerate(taken.stacks)]


def explain(vm, error, folder):
    """Take a dump of a machine whose test has failed, and put what it shows into the error's
    text. Returns what to note in the report."""
    text = str(error)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = take(vm, folder)
    except (Lacking, RigError, OSError) as bad:
        taken, said = None, f"no dump: {bad}"
    else:
        said = f"{', '.join(taken.files)} in {folder}" + \
            (f"; {taken.why_not}" if taken.why_not else "")
    first = headline(text, taken)
    where = [*whereabouts(taken), *taken.locks, *(lines[0] for lines in taken.queues)] \
        if taken and first is None else []
    error.args = ("\n".join(filter(None, [first, text, *where, f"dump: {said}"])),
                  *error.args[1:])
    return said
