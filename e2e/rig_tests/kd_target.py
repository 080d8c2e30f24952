# SPDX-License-Identifier: MIT
"""A kernel debugger's target without a kernel, strict, written from the protocol's layouts
and not from the client's code.

It "executes" the addresses of `program` round and round, one a millisecond, and stops where
memory holds a breakpoint instruction. What it must not be sent is in `complaints`.
"""

import socket
import struct
import threading
import time
from collections import deque

FIRST, SYNC = 0x80800000, 0x800
KERNEL, PAGE = 0xFFFFF80000000000, 0x1000
AGAIN = 0.3                 # seconds without acknowledgement until a packet is sent again


class Gone(Exception):
    """The other end is closed, or the test is over."""


class KdTarget:
    """Runs in a thread of its own; `host_end` is the debugger's end of the line."""

    def __init__(self, running=True):
        self.host_end, self._line = socket.socketpair()
        self._line.settimeout(0.001)
        self.memory = {KERNEL + i * PAGE: bytearray(PAGE) for i in range(3)}
        self.program = [KERNEL + 0x100 + i for i in range(8)]
        for at in self.program:
            self.poke(at, b"\x90")
        self.context, self.special = bytearray(0x4D0), bytearray(0xD8)
        self.table = [None] * 32                # (address, byte that was there)
        self.to_say = deque()                   # texts to print while it runs
        self.hits, self.resets, self.executed = 0, 0, 0
        self.complaints = []
        self.msr, self.port = {0xC0000080: 0xD01}, {0x80: 0x55}
        self._at = 0
        self._send_id, self._expect = FIRST | SYNC, FIRST
        self._pending_break = False
        self._held = deque()                    # bytes that were read and not used
        self._over = False
        self._running = running
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        self._over = True
        self._thread.join(10)
        self._line.close()

    def replace_line(self):
        """The debugger is gone; a new end for the next one."""
        self.host_end, line = socket.socketpair()
        line.settimeout(0.001)
        self._line, old = line, self._line
        old.close()
        return self.host_end

    def poke(self, address, data):
        for i, byte in enumerate(data):
            page = self.memory[(address + i) & ~(PAGE - 1)]
            page[(address + i) & (PAGE - 1)] = byte

    def peek(self, address, count):
        """As many bytes as are there."""
        out = bytearray()
        for at in range(address, address + count):
            page = self.memory.get(at & ~(PAGE - 1))
            if page is None:
                break
            out.append(page[at & (PAGE - 1)])
        return bytes(out)

    # --- bytes -------------------------------------------------------------------

    def _byte(self, deadline):
        while True:
            if self._over:
                raise Gone
            if self._held:
                return self._held.popleft()
            try:
                got = self._line.recv(4096)
                if got:
                    self._held += got
                else:
                    time.sleep(0.002)           # nobody is at the other end
            except TimeoutError:
                pass
            except OSError:
                time.sleep(0.002)               # the line is being replaced
            if not self._held and time.monotonic() >= deadline:
                return None

    def _write(self, data):
        try:
            self._line.sendall(data)
        except OSError:
            pass

    def _control(self, kind, id_):
        self._write(struct.pack("<IHHII", 0x69696969, kind, 0, id_, 0))

    def _packet(self, deadline):
        """("control", type, id), ("data", type, id, payload), "damaged" or None: too late."""
        last, count = None, 0
        while count < 4:
            byte = self._byte(deadline)
            if byte is None:
                return None
            if byte == 0x62 and count == 0:
                self._pending_break = True
                continue
            count = (count + 1 if byte == last else 1) if byte in (0x30, 0x69) else 0
            last = byte
        rest = self._exactly(12)
        if rest is None:
            return "damaged"
        kind, length, id_, total = struct.unpack("<HHII", rest)
        if last == 0x69:
            return ("control", kind, id_)
        if length > 4000:
            return "damaged"
        payload, end = self._exactly(length), self._exactly(1)
        if payload is None or end != b"\xaa" or sum(payload) != total:
            return "damaged"
        return ("data", kind, id_, payload)

    def _exactly(self, count):
        out = bytearray()
        while len(out) < count:
            byte = self._byte(time.monotonic() + 0.1)
            if byte is None:
                return None
            out.append(byte)
        return bytes(out)

    # --- packets -----------------------------------------------------------------

    def _send(self, kind, payload, patience=None):
        """Until it is acknowledged. False: a RESET came instead, or nobody is there."""
        began = time.monotonic()
        raw = struct.pack("<IHHII", 0x30303030, kind, len(payload), self._send_id,
                          sum(payload)) + payload + b"\xaa"
        while patience is None or time.monotonic() < began + patience:
            self._write(raw)
            again = time.monotonic() + AGAIN
            while time.monotonic() < again:
                got = self._packet(again)
                if got is None:
                    break
                if got == "damaged":
                    self._control(5, 0)
                elif got[0] == "data":
                    # Whoever sends now hasn't seen ours, or repeats itself.
                    if got[2] & ~SYNC == self._expect:
                        self._control(5, 0)
                    else:
                        self._control(4, got[2] & ~SYNC)
                elif got[1] == 4 and got[2] == self._send_id & ~SYNC:
                    self._send_id = (self._send_id & ~SYNC) ^ 1
                    return True
                elif got[1] == 5:
                    break
                elif got[1] == 6:
                    self._reset()
                    return False
        return False

    def _reset(self):
        self.resets += 1
        self._send_id = self._expect = FIRST
        self._control(6, 0)

    def _request(self):
        """The next request, or None when a RESET came."""
        while True:
            got = self._packet(time.monotonic() + 0.05)
            if got == "damaged":
                self._control(5, 0)
            elif got is not None and got[0] == "control":
                if got[1] == 6:
                    self._reset()
                    return None                 # others: stray
            elif got is not None:
                self._control(4, got[2] & ~SYNC)
                if got[2] == self._expect:
                    self._expect ^= 1
                    if got[1] == 2 and len(got[3]) >= 56:
                        return got[3]
                    self.complaints.append(f"packet of type {got[1]}, {len(got[3])} bytes")

    # --- life --------------------------------------------------------------------

    def _serve(self):
        try:
            if not self._running:
                self._stopped(0x80000003)
            while True:
                self._run()
        except Gone:
            pass

    def _run(self, trace=False):
        """Execute until something stops it, then be stopped until a continue."""
        while not self._over:
            if self.to_say:
                text = self.to_say.popleft().encode()
                self._send(3, struct.pack("<IHHII", 0x3230, 0, 0, len(text), 0) + text, patience=2)
            pc = self.program[self._at]
            if self.peek(pc, 1) == b"\xcc":
                self.hits += 1
                return self._stopped(0x80000003)
            self._at = (self._at + 1) % len(self.program)
            self.executed += 1
            if trace:
                return self._stopped(0x80000004)
            self._poll_break()
            if self._pending_break:
                self._pending_break = False
                return self._stopped(0x80000003)
        raise Gone

    def _poll_break(self):
        """As at a tick of the clock: everything up to a break-in is thrown away."""
        while (byte := self._byte(time.monotonic())) is not None:
            if byte == 0x62:
                self._pending_break = True
                return

    def _state(self, code):
        pc = self.program[self._at]
        for i, each in enumerate(self.table):   # lifted where the debugger looks
            if each and pc <= each[0] < pc + 16:
                self.poke(each[0], each[1])
                self.table[i] = None
        struct.pack_into("<Q", self.context, 0xF8, pc)
        out = bytearray(240)
        struct.pack_into("<IHHI4xQQ", out, 0, 0x3030, 6, 0, 1, 0xFFFFF80000002000, pc)
        struct.pack_into("<IIQQI", out, 32, code, 0, 0, pc, 0)
        struct.pack_into("<I", out, 184, 1)
        struct.pack_into("<QQIHH", out, 192, 0xFFFF0FF0, 0x400, 0x202, 16, 3)
        out[216:232] = self.peek(pc, 16)
        struct.pack_into("<HHHH", out, 232, 0x10, 0x2B, 0x2B, 0x53)
        return bytes(out)

    def _stopped(self, code):
        while True:
            if not self._send(7, self._state(code)):
                continue                        # a RESET: say it again
            while (asked := self._request()) is not None:
                going = self._answer(asked)
                if going is not None:
                    return self._run(trace=True) if going else None

    # --- requests ----------------------------------------------------------------

    def _answer(self, asked):
        """None: answered. Otherwise it goes on, with this trace flag."""
        (api,) = struct.unpack_from("<I", asked)
        if api == 0x313C:
            status, trace = struct.unpack_from("<II", asked, 16)
            if status not in (0x00010002, 0x80010001):
                self.complaints.append(f"continue with status {status:#x}")
            return bool(trace)
        handler = getattr(self, f"_api_{api:x}", None)
        head, data, status = bytearray(asked[:56]), b"", 0
        if handler is None:
            status = 0xC0000001
        else:
            status, data = handler(head, asked[56:])
        struct.pack_into("<I", head, 8, status)
        self._send(2, bytes(head) + data, patience=5)
        return None

    def _api_3130(self, head, _):
        address, count = struct.unpack_from("<QI", head, 16)
        if count > 4000 - 56:
            self.complaints.append(f"read of {count} bytes")
        data = self.peek(address, min(count, 4000 - 56))
        struct.pack_into("<I", head, 28, len(data))
        return (0 if len(data) == count else 0xC0000001), data

    def _api_3131(self, head, data):
        address, count = struct.unpack_from("<QI", head, 16)
        if count != len(data):
            self.complaints.append(f"write of {count} bytes with {len(data)}")
        done = len(self.peek(address, count))
        self.poke(address, data[:done])
        struct.pack_into("<I", head, 28, done)
        return (0 if done == count else 0xC0000001), b""

    def _api_3132(self, _head, _data):
        return 0, bytes(self.context)

    def _api_3133(self, _head, data):
        if len(data) != 0x4D0:
            self.complaints.append(f"context of {len(data)} bytes")
        self.context[:] = data
        pc = struct.unpack_from("<Q", data, 0xF8)[0]
        if pc in self.program:
            self._at = self.program.index(pc)
        return 0, b""

    def _api_3134(self, head, _):
        (address,) = struct.unpack_from("<Q", head, 16)
        before = self.peek(address, 1)
        if not before or None not in self.table or \
                address in [each[0] for each in self.table if each]:
            return 0xC0000001, b""
        slot = self.table.index(None)
        self.table[slot] = (address, before)
        self.poke(address, b"\xcc")
        struct.pack_into("<I", head, 24, slot + 1)
        return 0, b""

    def _api_3135(self, head, _):
        (handle,) = struct.unpack_from("<I", head, 16)
        if not 1 <= handle <= 32 or self.table[handle - 1] is None:
            return 0xC0000001, b""
        self.poke(*self.table[handle - 1])
        self.table[handle - 1] = None
        return 0, b""

    def _api_3137(self, head, _):
        space, count = struct.unpack_from("<QI", head, 16)
        if space != 2 or count != 0xD8:
            return 0xC0000001, b""
        struct.pack_into("<I", head, 28, count)
        return 0, bytes(self.special)

    def _api_3138(self, head, data):
        if struct.unpack_from("<QI", head, 16) != (2, 0xD8) or len(data) != 0xD8:
            return 0xC0000001, b""
        self.special[:] = data
        return 0, b""

    def _api_3139(self, head, _):
        port, size = struct.unpack_from("<QI", head, 16)
        struct.pack_into("<I", head, 28, self.port.get(port, (1 << 8 * size) - 1))
        return 0, b""

    def _api_313a(self, head, _):
        port, _, value = struct.unpack_from("<QII", head, 16)
        self.port[port] = value
        return 0, b""

    def _api_3146(self, head, _):
        struct.pack_into("<HHBBHHBBBBH", head, 16, 0xF, 7601, 6, 2, 6, 0x8664, 12, 3, 0, 0, 0)
        struct.pack_into("<QQQ", head, 32, KERNEL, KERNEL + 0x40, KERNEL + 0x80)
        return 0, b""

    def _api_3152(self, head, _):
        (number,) = struct.unpack_from("<I", head, 16)
        if number not in self.msr:
            return 0xC0000001, b""
        value = self.msr[number]
        struct.pack_into("<II", head, 20, value & 0xFFFFFFFF, value >> 32)
        return 0, b""

    def _api_3153(self, head, _):
        number, low, high = struct.unpack_from("<III", head, 16)
        self.msr[number] = high << 32 | low
        return 0, b""


class KdPort:
    """A machine's COM2: a UNIX socket for one debugger after another, as QEMU's. `answers`:
    is there a kernel that does?"""

    def __init__(self, path, answers=True):
        self.target = KdTarget()
        if answers:
            self.target.start()
        self.path = str(path)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(1)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.settimeout(0.001)
            self.target._line, old = client, self.target._line
            old.close()
            # The target polls it; QEMU would see its end and take the next one.

    def close(self):
        self._listener.close()
        self.target.stop()
