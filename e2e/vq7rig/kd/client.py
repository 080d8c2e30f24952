# SPDX-License-Identifier: MIT
"""A target, asked for one thing at a time."""

import struct
import threading

from ..clock import now
from ..errors import ProtocolError
from . import messages as m
from . import wire
from .context import CONTEXT_SIZE, SPECIAL_SIZE, Context, Special, control_set
from .errors import KdError, NoAnswer, Refused, StillRunning, Unreadable
from .link import Reset

QUIET_PROBE = 0.3       # seconds for a stopped target to answer a RESET
BREAK_AGAIN = 2.0       # seconds until a running one is asked again to stop
REPLY_AGAIN = 1.0       # seconds until a reply counts as lost, at least
REPLY_LIMIT = 15.0
SPACE_SPECIAL = 2       # of the control space: KSPECIAL_REGISTERS


class Client:
    """A debugger's end of the line.

    `event` is the last state change, None while the target runs. What the target prints
    goes to `on_print(text)`; a question of its gets the answer of `on_prompt(text)`.
    """

    def __init__(self, link, on_print=lambda text: None, on_prompt=lambda text: ""):
        self.link, self.on_print, self.on_prompt = link, on_print, on_prompt
        self.event = None
        self.processor = 0              # whose registers are asked for
        self.stops = 0                  # state changes so far
        self._stood, self._since, self._lock = 0.0, 0.0, threading.Lock()

    @property
    def stopped(self):
        return self.event is not None

    @property
    def stood(self):
        """Seconds in which the target was stopped: nobody's time-out may count them."""
        with self._lock:
            return self._stood + (now() - self._since if self.stopped else 0.0)

    def _set_event(self, event):
        with self._lock:                # others ask from their threads
            if event is not None and not self.stopped:
                self._since = now()
            elif event is None and self.stopped:
                self._stood += now() - self._since
            self.event = event

    # --- stop and go -------------------------------------------------------------

    def attach(self, timeout=20.0, running=False):
        """Connect with a target in any state; afterwards it is stopped. Returns the event.

        One that is stopped already, as the last debugger left it, answers a RESET; a
        running one has to be broken into first. `running`: it surely is.
        """
        deadline = now() + timeout
        answered = not running and self.link.resync(QUIET_PROBE)
        while not answered:
            if now() >= deadline:
                raise NoAnswer("no kernel debugger protocol on the serial port: no answer to "
                               f"break-in and RESET in {timeout:.0f} s. Another debugger may be "
                               "connected, or the kernel was booted with /nodebug")
            self.link.break_in()
            answered = self.link.resync(min(BREAK_AGAIN, max(0.1, deadline - now())))
        return self.wait(max(1.0, deadline - now()), "its state after a RESET")

    def break_in(self, timeout=10.0):
        """Stop a running target. Returns the event, which can be another one's."""
        deadline = now() + timeout
        while not self.stopped and (left := deadline - now()) > 0:
            self.link.break_in()
            self.poll(min(left, BREAK_AGAIN))
        if not self.stopped:
            raise NoAnswer(f"the target didn't stop within {timeout:.0f} s of a break-in")
        return self.event

    def poll(self, timeout=0.0):
        """Let the target speak for `timeout`, or until it stops. Returns the event or None."""
        deadline = now() + timeout
        while not self.stopped:
            try:
                packet = self.link.receive(max(0.0, deadline - now()))
            except Reset:
                continue                # the target begins anew: its state comes
            if packet is None:
                break
            self._take(packet)
        return self.event

    def wait(self, timeout, what="the target to stop"):
        """The event that stops the target. Raises NoAnswer."""
        if self.poll(timeout) is None:
            raise NoAnswer(f"waited {timeout:.0f} s for {what}")
        return self.event

    def _take(self, packet):
        if packet.type == wire.STATE_CHANGE64:
            self._set_event(m.state_change(packet.payload))
            self.processor = self.event.processor
            self.stops += 1
        elif packet.type == wire.DEBUG_IO:
            said = m.debug_io(packet.payload)
            if said.api == m.PRINT:
                self.on_print(said.text)
            else:
                answer = m.prompt_answer(said, self.on_prompt(said.text))
                self.link.send(wire.DEBUG_IO, answer)
        elif packet.type == wire.STATE_MANIPULATE:
            pass                        # the reply to a request that was given up
        else:
            raise ProtocolError(f"an unexpected packet: {packet}")

    def go(self, trace=False, dr7=None, handled=True):
        """Let it run, or execute one instruction; without waiting for what follows."""
        self._need_stopped()
        event = self.event
        status = m.DBG_CONTINUE if handled else m.DBG_EXCEPTION_NOT_HANDLED
        union = struct.pack("<I", status) + control_set(trace, event.dr7 if dr7 is None else dr7)
        self._set_event(None)
        try:
            self.link.send(wire.STATE_MANIPULATE,
                           m.request(m.Api.CONTINUE2, event.processor, union))
        except Reset:
            self.poll(REPLY_LIMIT)      # it didn't go: its state comes again
            raise KdError("the target began anew instead of going on") from None

    def reboot(self):
        """Restart the machine. There is no reply."""
        self._need_stopped()
        self.link.send(wire.STATE_MANIPULATE, m.request(m.Api.REBOOT))
        self._set_event(None)

    def switch_processor(self, number, timeout=REPLY_LIMIT):
        """Go over to another CPU; its state is the new event."""
        self._need_stopped()
        self._set_event(None)
        self.link.send(wire.STATE_MANIPULATE, m.request(m.Api.SWITCH_PROCESSOR, number))
        return self.wait(timeout, f"the state of CPU {number}")

    # --- requests ----------------------------------------------------------------

    def _need_stopped(self):
        if not self.stopped:
            raise StillRunning("the target is running: break in first")

    def request(self, api, union=b"", data=b"", processor=None):
        """Ask and get the Reply, failed or not. Raises NoAnswer, ProtocolError."""
        self._need_stopped()
        asked = m.request(api, self.processor if processor is None else processor, union, data)
        for _ in range(3):
            try:
                self.link.send(wire.STATE_MANIPULATE, asked)
                return self._reply(api)
            except Reset:
                self._set_event(None)
                self.wait(REPLY_LIMIT, "its state after a RESET of its own")
        raise KdError("the target begins anew again and again")

    def _reply(self, api):
        deadline = now() + REPLY_LIMIT
        while now() < deadline:
            packet = self.link.receive(max(REPLY_AGAIN, 2 * self.link.pace.wait()))
            if packet is None:
                self.link.ask_again()
            elif packet.type == wire.STATE_MANIPULATE:
                got = m.reply(packet.payload)
                if got.api != api:
                    raise ProtocolError(f"a reply to {got.api:#x} instead of {api:#x}")
                return got
            else:
                self._take(packet)
        raise NoAnswer(f"no reply to the request {api:#x}")

    def _must(self, what, api, union=b"", data=b"", processor=None):
        got = self.request(api, union, data, processor)
        if got.failed:
            raise Refused(what, got.status)
        return got

    def version(self):
        return m.version(self._must("version", m.Api.GET_VERSION).union)

    # --- memory ------------------------------------------------------------------

    def read(self, address, count):
        """Virtual memory. Raises Unreadable with the count that could be read."""
        return self._read(m.Api.READ_VIRTUAL, address, count)

    def read_physical(self, address, count):
        return self._read(m.Api.READ_PHYSICAL, address, count)

    def _read(self, api, address, count):
        data = bytearray()
        while len(data) < count:
            piece, failed = self.read_once(api, address + len(data),
                                           min(m.MAX_DATA, count - len(data)))
            data += piece
            if failed or not piece:
                raise Unreadable(address, count, len(data))
        return bytes(data)

    def read_once(self, api, address, count):
        """One request: (bytes, did it fail). Raises ProtocolError where they disagree."""
        got = self.request(api, struct.pack("<QI", address & (1 << 64) - 1, count))
        _, _, actual = got.unpack("<QII")
        if actual > count or actual != len(got.data):
            raise ProtocolError(f"{actual} of {count} bytes were read, and {len(got.data)} came")
        return got.data, got.failed

    def write(self, address, data):
        """Virtual memory. Raises Refused with the count that was written."""
        self._write(m.Api.WRITE_VIRTUAL, address, data)

    def write_physical(self, address, data):
        self._write(m.Api.WRITE_PHYSICAL, address, data)

    def _write(self, api, address, data):
        for at in range(0, len(data), m.MAX_DATA):
            piece = data[at:at + m.MAX_DATA]
            got = self.request(api, struct.pack("<QI", address + at & (1 << 64) - 1, len(piece)),
                               piece)
            _, _, actual = got.unpack("<QII")
            if got.failed or actual != len(piece):
                raise Refused(f"write of {len(data)} bytes to {address:#x}", got.status,
                              at + actual)

    def number(self, address, size=8):
        return int.from_bytes(self.read(address, size), "little")

    # --- registers ---------------------------------------------------------------

    def context(self, processor=None):
        return Context(self._must("registers", m.Api.GET_CONTEXT, processor=processor).data)

    def set_context(self, context, processor=None):
        assert len(context.raw) == CONTEXT_SIZE
        self._must("set registers", m.Api.SET_CONTEXT,
                   struct.pack("<I", context["contextflags"]), bytes(context), processor)

    def special(self, processor=None):
        return Special(self.control_space(SPACE_SPECIAL, SPECIAL_SIZE, processor))

    def set_special(self, special, processor=None):
        self._must("set special registers", m.Api.WRITE_CONTROL,
                   struct.pack("<QI", SPACE_SPECIAL, SPECIAL_SIZE), bytes(special), processor)

    def control_space(self, space, count, processor=None):
        """0: KPCR's address, 1: KPRCB's, 2: KSPECIAL_REGISTERS, 3: KTHREAD's."""
        got = self._must(f"control space {space}", m.Api.READ_CONTROL,
                         struct.pack("<QI", space, count), processor=processor)
        return got.data

    def read_msr(self, number):
        got = self._must(f"MSR {number:#x}", m.Api.READ_MSR, struct.pack("<I", number))
        _, low, high = got.unpack("<III")
        return high << 32 | low

    def write_msr(self, number, value):
        self._must(f"MSR {number:#x}", m.Api.WRITE_MSR,
                   struct.pack("<III", number, value & 0xFFFFFFFF, value >> 32))

    def read_io(self, port, size):
        got = self._must(f"port {port:#x}", m.Api.READ_IO, struct.pack("<QI", port, size))
        return got.unpack("<QII")[2] & (1 << 8 * size) - 1

    def write_io(self, port, size, value):
        self._must(f"port {port:#x}", m.Api.WRITE_IO, struct.pack("<QII", port, size, value))

    # --- breakpoints -------------------------------------------------------------

    def write_breakpoint(self, address):
        """A breakpoint instruction of the target's table. Returns its handle."""
        got = self._must(f"breakpoint at {address:#x}", m.Api.WRITE_BREAKPOINT,
                         struct.pack("<QI", address, 0))
        return got.unpack("<QI")[1]

    def restore_breakpoint(self, handle):
        """Remove it. False where the target has lifted it already."""
        got = self.request(m.Api.RESTORE_BREAKPOINT, struct.pack("<I", handle))
        return not got.failed

    def query_memory(self, address):
        """(address space, flags)"""
        got = self._must(f"kind of memory at {address:#x}", m.Api.QUERY_MEMORY,
                         struct.pack("<QQII", address, 0, 0, 0))
        return got.unpack("<QQII")[2:]

    def close(self):
        self.link.close()
