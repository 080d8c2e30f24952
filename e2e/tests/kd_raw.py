# SPDX-License-Identifier: MIT
"""A debugger that shares nothing with the rig's own: bytes and numbers of the protocol alone, in
the order in which WinDbg sends them."""

import contextlib
import socket
import struct

from vq7rig.clock import now

PATIENCE = 20.0
FIRST = 0x80800000
ACKNOWLEDGE, RESEND, RESET = 4, 5, 6
MANIPULATE, DEBUG_IO, STATE_CHANGE = 2, 3, 7
CONTINUE2, SWITCH_PROCESSOR = 0x313C, 0x3150


class Raw:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(str(path))
        self.received = b""
        self.mine = self.theirs = FIRST
        self.state = None               # the last state change

    # --- packets -----------------------------------------------------------------

    def control(self, kind, id_=0):
        self.socket.sendall(b"iiii" + struct.pack("<HHII", kind, 0, id_, 0))

    def data(self, payload, kind=MANIPULATE, id_=None):
        self.socket.sendall(b"0000" + struct.pack(
            "<HHII", kind, len(payload), self.mine if id_ is None else id_, sum(payload)) +
            payload + b"\xaa")

    def _take(self, count):
        while len(self.received) < count:
            try:
                more = self.socket.recv(65536)
            except TimeoutError:
                raise AssertionError(f"the target said nothing for {PATIENCE:.0f} s") from None
            assert more, "the machine has gone"
            self.received += more
        taken, self.received = self.received[:count], self.received[count:]
        return taken

    def packet(self):
        """(is it data, type, id, payload); nothing else is on the line."""
        leader, kind, length, id_, total = struct.unpack("<4sHHII", self._take(16))
        assert leader in (b"0000", b"iiii"), leader
        if leader == b"iiii":
            assert (length, total) == (0, 0)
            return False, kind, id_, b""
        payload = self._take(length)
        assert (self._take(1), total) == (b"\xaa", sum(payload))
        return True, kind, id_, payload

    def said(self, kind):
        """The next data packet, which is of this type; one that comes again is passed over."""
        until = now() + PATIENCE
        while now() < until:
            is_data, got, id_, payload = self.packet()
            if not is_data:
                continue
            self.control(ACKNOWLEDGE, id_)
            if id_ == self.theirs:
                self.theirs ^= 1
                if got == kind:
                    return payload
                assert got == DEBUG_IO, "prints alone may come in between"
        raise AssertionError(f"no packet of type {kind} came")

    # --- stop and go -------------------------------------------------------------

    def attach(self):
        """A break-in, a RESET, and two acknowledgements of the state."""
        self.socket.sendall(b"b")
        self.control(RESET)
        while self.packet()[:2] != (False, RESET):
            pass
        self.mine = self.theirs = FIRST
        self.stop()
        self.control(ACKNOWLEDGE, FIRST)

    def stop(self):
        self.state = self.said(STATE_CHANGE)
        return self.state

    def go(self, trace=0, dr7=0x400):
        """As WinDbg goes on: without a range of symbols."""
        self.send(CONTINUE2, struct.pack("<IIQQQ", 0x00010002, trace, dr7, 1, 1))

    def send(self, api, union=b"", data=b"", processor=0):
        """A request, until it is acknowledged."""
        header = struct.pack("<IHHII", api, 0, processor, 0, 0) + union
        self.data(header.ljust(56, b"\0") + data)
        while (got := self.packet()[:3]) != (False, ACKNOWLEDGE, self.mine):
            assert not got[0] or got[2] != self.theirs, "an answer before the acknowledgement"
            if got[0]:
                self.control(ACKNOWLEDGE, got[2])
        self.mine ^= 1

    # --- requests ----------------------------------------------------------------

    def ask(self, api, layout, *union, data=b"", processor=0):
        """(status, the union's members, what followed the header)"""
        self.send(api, struct.pack(layout, *union), data, processor)
        payload = self.said(MANIPULATE)
        assert struct.unpack_from("<IHH", payload)[0::2] == (api, processor)
        return (struct.unpack_from("<I", payload, 8)[0],
                struct.unpack_from(layout, payload, 16), payload[56:])

    def read(self, address, count):
        status, (_, _, actual), data = self.ask(0x3130, "<QII", address & (1 << 64) - 1, count, 0)
        assert (status, actual) == (0, count) and len(data) == count, \
            f"{count} bytes at {address:#x}: {status:#x}, {actual}, {len(data)}"
        return data

    def number(self, address, size=8):
        return int.from_bytes(self.read(address, size), "little")

    def space(self, number, count):
        status, (_, _, actual), data = self.ask(0x3137, "<QII", number, count, 0)
        assert (status, actual, len(data)) == (0, count, count), f"control space {number}"
        return data

    def list(self, head, link=0):
        """The entries of a LIST_ENTRY, whose backward links must agree."""
        before, at = head, self.number(head)
        while at != head:
            assert self.number(at + 8) == before, f"backward link at {at:#x}"
            yield at - link
            before, at = at, self.number(at)

    def text(self, address):
        """Of a UNICODE_STRING."""
        length, room, buffer = struct.unpack("<HH4xQ", self.read(address, 16))
        assert length <= room
        return self.read(buffer, length).decode("utf-16-le")


@contextlib.contextmanager
def attached(path):
    raw = Raw(path)
    try:
        raw.attach()
        yield raw
        raw.go()
    finally:
        raw.socket.close()
