# SPDX-License-Identifier: MIT
"""Packets on the wire: leader, type, length, id, checksum, payload, trailer."""

import struct
from dataclasses import dataclass

DATA_LEADER, CONTROL_LEADER = b"0000", b"iiii"
HEADER = struct.Struct("<4sHHII")
TRAILER = b"\xaa"
BREAK_IN = b"b"
PACKET_MAX = 4000               # bytes of payload

# Types of data packets, then of control packets.
STATE_MANIPULATE, DEBUG_IO, STATE_CHANGE64, FILE_IO = 2, 3, 7, 11
ACKNOWLEDGE, RESEND, RESET = 4, 5, 6
DATA_TYPES = (STATE_MANIPULATE, DEBUG_IO, STATE_CHANGE64, FILE_IO)
CONTROL_TYPES = (ACKNOWLEDGE, RESEND, RESET)
NAMES = {2: "manipulate", 3: "debug I/O", 4: "ACK", 5: "RESEND", 6: "RESET", 7: "state change",
         11: "file I/O"}

FIRST_ID = 0x80800000
SYNC = 0x800                    # in the id of the first packet after a start


@dataclass(frozen=True)
class Packet:
    control: bool
    type: int
    id: int
    payload: bytes = b""

    def encode(self):
        if self.control:
            return HEADER.pack(CONTROL_LEADER, self.type, 0, self.id, 0)
        return HEADER.pack(DATA_LEADER, self.type, len(self.payload), self.id,
                           checksum(self.payload)) + self.payload + TRAILER

    def __str__(self):
        return f"{NAMES.get(self.type, self.type)} id {self.id:#x}, {len(self.payload)} bytes"


def data(type_, id_, payload):
    if len(payload) > PACKET_MAX:
        raise ValueError(f"a packet holds {PACKET_MAX} bytes, not {len(payload)}")
    return Packet(False, type_, id_, payload)


def control(type_, id_=0):
    return Packet(True, type_, id_)


def checksum(payload):
    return sum(payload) & 0xFFFFFFFF


@dataclass(frozen=True)
class Damaged:
    """Bytes that began as a packet and aren't one."""
    why: str


class Parser:
    """Finds packets in what a serial line brings. Bytes between packets are passed over."""

    def __init__(self):
        self._buffer = bytearray()
        self.noise = 0              # bytes that belonged to no packet

    def feed(self, received):
        """The packets, and what was damaged, that these bytes complete."""
        self._buffer += received
        found = []
        while (item := self._next()) is not None:
            found.append(item)
        return found

    @property
    def partial(self):
        """Is there the beginning of a packet whose end hasn't come?"""
        return len(self._buffer) >= len(DATA_LEADER)

    def give_up(self):
        """The rest won't come. What followed the damaged packet, if anything."""
        if not self.partial:
            return []
        why = f"only {len(self._buffer)} bytes of a packet came"
        self._drop(len(DATA_LEADER))
        return [Damaged(why)] + self.feed(b"")

    def clear(self):
        self._buffer.clear()

    def _drop(self, count):
        self.noise += count
        del self._buffer[:count]

    def _hunt(self):
        """Drop what can't begin a packet."""
        at = [found for leader in (DATA_LEADER, CONTROL_LEADER)
              if (found := self._buffer.find(leader)) >= 0]
        if at:
            self._drop(min(at))
            return True
        keep = 0                    # a leader's first bytes may be the last ones here
        while keep < 3 and keep < len(self._buffer) and \
                self._buffer[-1 - keep] == self._buffer[-1] and self._buffer[-1] in b"0i":
            keep += 1
        self._drop(len(self._buffer) - keep)
        return False

    def _next(self):
        while self._hunt():
            if len(self._buffer) < HEADER.size:
                return None
            leader, type_, length, id_, total = HEADER.unpack_from(self._buffer)
            if leader == CONTROL_LEADER:
                if type_ in CONTROL_TYPES and length == 0 and total == 0:
                    del self._buffer[:HEADER.size]
                    return control(type_, id_)
            elif type_ in DATA_TYPES and length <= PACKET_MAX:
                return self._data(type_, length, id_, total)
            # One byte too many of a leader's value came before it, or this is no header.
            self._drop(1)
        return None

    def _data(self, type_, length, id_, total):
        end = HEADER.size + length
        if len(self._buffer) <= end:
            return None
        payload = bytes(self._buffer[HEADER.size:end])
        if self._buffer[end:end + 1] != TRAILER or checksum(payload) != total:
            why = "wrong checksum" if self._buffer[end:end + 1] == TRAILER else "no trailer"
            self._drop(len(DATA_LEADER))
            return Damaged(f"{NAMES[type_]} id {id_:#x}: {why}")
        del self._buffer[:end + 1]
        return data(type_, id_, payload)
