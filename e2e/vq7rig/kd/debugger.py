# SPDX-License-Identifier: MIT
"""A target with symbols, breakpoints and a stack: what the prompt and the tests work with."""

import re
from dataclasses import dataclass

from ..errors import UsageError
from . import messages as m
from . import nt, unwind
from .breakpoints import Breakpoints
from .disasm import LONGEST, instructions
from .errors import KdError, Unreadable
from .expr import evaluate
from .modules import ModuleList

BLOCK = 0x200           # bytes that are read at once and kept while the target is stopped
INT3 = b"\xcc"
TRAP_FLAG, RESUME_FLAG = 0x100, 0x10000
STEP_LIMIT = 10.0


@dataclass(frozen=True)
class StackFrame:
    frame: unwind.Frame
    module: object              # a Module, or None
    name: str                   # module!function+displacement
    lines: list                 # of the PDB: inlined functions first


@dataclass(frozen=True)
class _Memory:
    """A client whose memory is read once at each stop."""
    version: object
    read: object
    number: object


class Debugger:
    """`folders` are searched for images and PDBs. The target has been attached to."""

    def __init__(self, client, folders, say=lambda text: None):
        self.client, self.say = client, say
        self.breakpoints = Breakpoints(client)
        self.hit = []                           # breakpoints of the last event
        self._blocks, self._context = {}, None
        self._loaded_dr7 = None
        self._kernel = None
        self.pseudo = {f"$t{n}": 0 for n in range(20)}      # registers of a person's own
        self.module_list = ModuleList(self, folders)

    @property
    def event(self):
        return self.client.event

    @property
    def kernel(self):
        if self._kernel is None:
            self._kernel = nt.Kernel(_Memory(self.client.version, self.read, self.number))
        return self._kernel

    # --- memory and registers ------------------------------------------------------

    def read(self, address, count):
        """Virtual memory, kept until the target goes on or is written to."""
        out = bytearray()
        while len(out) < count:
            at = address + len(out)
            block = at & ~(BLOCK - 1)
            if block not in self._blocks:
                try:
                    self._blocks[block] = self.client.read(block, BLOCK)
                except Unreadable:
                    raise Unreadable(address, count, len(out)) from None
            out += self._blocks[block][at - block:at - block + count - len(out)]
        return bytes(out)

    def number(self, address, size=8):
        return int.from_bytes(self.read(address, size), "little")

    def write(self, address, data):
        self._blocks.clear()
        self.client.write(address, data)

    @property
    def context(self):
        if self._context is None:
            self._context = self.client.context()
        return self._context

    def look_at(self, processor):
        """From now on the registers are those of another CPU; the target isn't asked."""
        self.client.processor = processor
        self._forget()

    def set_register(self, name, value):
        if name in self.pseudo:
            self.pseudo[name] = value
            return
        self._forget()
        special = self.client.special()
        if name in self.context:
            context = self.context
            context[name] = value
            self.client.set_context(context)
        elif name in special:
            special[name] = value
            self.client.set_special(special)
        else:
            raise UsageError(f"no register {name!r}; `r` shows them")
        self._forget()

    def _forget(self):
        self._blocks.clear()
        self._context = None

    # --- names ---------------------------------------------------------------------

    def evaluate(self, text):
        """The value of an expression; see expr.py."""
        return evaluate(text, self._lookup, self.number, self._cxx)

    def _cxx(self, text):
        """What is of use of @@c++(...): sizeof(type) and #FIELD_OFFSET(type, field)."""
        found = re.fullmatch(r"\s*(?:sizeof\s*\(\s*([\w!:]+)\s*\)|#FIELD_OFFSET\s*\(\s*"
                             r"([\w!:]+)\s*,\s*(\w+)\s*\))\s*", text)
        if not found:
            raise UsageError(f"@@c++({text}): here it can be sizeof(type) or "
                             "#FIELD_OFFSET(type, field)")
        _, struct = self.type_named(found[1] or found[2])
        if found[1]:
            return struct.size
        try:
            return struct[found[3]].offset
        except KeyError as bad:
            raise UsageError(f"@@c++: {bad.args[0]}") from None

    def type_named(self, text):
        """(module, type) of `module!name`, or of a name in the first module that has it."""
        module, mark, name = text.strip().partition("!")
        chosen = self.module_list.all() if not mark else [self.module_list.named(module)]
        if chosen == [None]:
            raise UsageError(f"no module {module!r}; `lm` shows them")
        for each in chosen:
            found = each.types.named(name if mark else text.strip()) if each.types else None
            if found is not None:
                return each, found
        raise UsageError(f"no type {text.strip()!r}; dt module!pattern* shows names")

    def _lookup(self, name):
        if "!" in name:
            return self.module_list.address_of(*name.split("!", 1))
        bare = name.lstrip("@").lower()
        if bare in self.pseudo:
            return self.pseudo[bare]
        if self.client.stopped:
            if bare in self.context:
                return self.context[bare]
            if name.startswith("@") and bare in (special := self.client.special()):
                return special[bare]
        return None if name.startswith("@") else self.module_list.address_of(None, name)

    def name_of(self, address):
        return self.module_list.name_of(address)

    def stack_of(self, thread, limit=64):
        """The same of a thread that doesn't run."""
        return self.stack(limit, unwind.switched_out(*nt.switched_out(self, thread)))

    def stack(self, limit=64, frame=None):
        """StackFrames, the innermost first. The walk ends where memory does."""
        frame, found = frame or unwind.first(self.context), []
        while len(found) < limit:
            module = self.module_list.holding(frame.lookup)
            found.append(StackFrame(frame, module, self.name_of(frame.rip),
                                    module.lines(frame.lookup) if module else []))
            if frame.rip == 0 or (module is None and len(found) > 1):
                break
            try:
                frame = unwind.step(frame, module.image if module else None,
                                    module.base if module else 0, self.read)
            except (Unreadable, unwind.BadUnwindData):
                break
            if frame.rip == 0:
                break
        return found

    def disassemble(self, address, count):
        code = b""
        try:
            code = self.read(address, count * LONGEST)
        except Unreadable as bad:
            if not bad.done:
                raise
            code = self.read(address, bad.done)
        return instructions(code, address)[:count]

    # --- stop and go -----------------------------------------------------------------

    def go(self):
        """Let it run, past a breakpoint that it stands at. Returns an event where that
        step stopped for another reason."""
        self._pass_hard_breakpoint()
        here = self.context["rip"]
        at = self.breakpoints.at(here)
        if any(not each.kind for each in at):
            self.breakpoints.insert(but=here)
            self._continue(trace=True)
            event = self._stopped(self.client.wait(STEP_LIMIT))
            if not isinstance(event, m.ExceptionStop) or event.code != m.SINGLE_STEP or self.hit:
                return event
        elif at:
            self.set_register("efl", self.context["efl"] | RESUME_FLAG)
        self.breakpoints.insert()
        self._continue(trace=False)
        return None

    def step(self):
        """One instruction. Returns the event."""
        self._pass_hard_breakpoint()
        self._continue(trace=True)
        return self._stopped(self.client.wait(STEP_LIMIT))

    def step_over(self, wait):
        """One instruction, or all that it calls. `wait()` waits for the event."""
        at = self.disassemble(self.context["rip"], 1)
        if not at or not at[0].calls:
            return self.step()
        return self._run_to(at[0].end, wait)

    def step_out(self, wait):
        """Until the current function has returned."""
        frames = self.stack(2)
        if len(frames) < 2:
            raise KdError("nobody called this: the stack ends here")
        return self._run_to(frames[1].frame.rip, wait, frames[1].frame.rsp)

    def _run_to(self, address, wait, rsp=None):
        stack = self.context["rsp"] if rsp is None else rsp
        goal = self.breakpoints.add("(step)", address)
        try:
            while True:
                event = self.go() or wait()
                # The same place deeper in the stack is another call, of a recursion.
                if goal not in self.hit or self.context["rsp"] >= stack:
                    return event
        finally:
            self.breakpoints.remove(goal)

    def wait(self, timeout):
        """The next event. Raises NoAnswer."""
        while True:
            self._stopped(self.client.wait(timeout))
            if not self.passed_over(self.event):
                return self.event

    def break_in(self, timeout=10.0):
        return self._stopped(self.client.break_in(timeout))

    def arrived(self):
        """To be called when `client.poll` has brought an event. Returns it, or None where
        the target goes on by itself: a module has come or gone."""
        event = self._stopped(self.event)
        return None if self.passed_over(event) else self.event

    def passed_over(self, event):
        """Does the target go on by itself after this event?"""
        if not isinstance(event, m.ModuleStop):
            return False
        self.module_list.changed(event)
        self.say(f"{event}\n")
        for each in self.breakpoints.all:
            if each.address is None or event.unload and \
                    event.base <= each.address < event.base + event.size:
                self._resolve(each, event)
        return self.go() is None

    def _resolve(self, breakpoint_, event):
        try:
            address = self.evaluate(breakpoint_.text)
        except UsageError:
            address = None
        if event.unload and address is not None and \
                event.base <= address < event.base + event.size:
            address = None
        breakpoint_.address = address

    def _stopped(self, event):
        self._forget()
        self.breakpoints.withdraw()
        self.hit = self.breakpoints.hit(event) if isinstance(event, m.ExceptionStop) else []
        return event

    def _pass_hard_breakpoint(self):
        """A breakpoint instruction of the code's own is gone past, as it can't be executed."""
        event = self.event
        if not isinstance(event, m.ExceptionStop) or event.code != m.BREAKPOINT:
            return
        if self.context["rip"] == event.pc and self._byte(event.pc) == INT3:
            self.set_register("rip", event.pc + 1)

    def _byte(self, address):
        try:
            return self.client.read(address, 1)
        except Unreadable:
            return b""

    def _continue(self, trace):
        dr7 = self.breakpoints.dr7
        if dr7 != self._loaded_dr7 and (self._loaded_dr7 is not None or
                                        any(each.kind for each in self.breakpoints.all)):
            self.breakpoints.load_registers(self.event.processors)
            self._loaded_dr7 = dr7
        self._forget()
        self.client.go(trace=trace, dr7=dr7)

    def reboot(self):
        """Restart the machine. Breakpoints are set again as their modules are loaded."""
        self.client.reboot()
        self._forget()
        self.module_list.close()
        self._kernel = self._loaded_dr7 = None
        for each in self.breakpoints.all:
            each.address = each.handle = None

    def detach(self):
        """Leave it running, without breakpoints."""
        if not self.client.stopped:
            self.break_in()
        self.breakpoints.all.clear()
        self._pass_hard_breakpoint()
        self._continue(trace=False)

    def close(self):
        self.module_list.close()
        self.client.close()
