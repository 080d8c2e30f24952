# SPDX-License-Identifier: MIT
"""A bad serial line between a debugger and its target: packets that are lost, damaged,
repeated or cut, both ways, at random but the same each time."""

import random

from .wire import Damaged, Parser


HEADER = 16             # bytes; all of a control packet
# The checksum is that of the payload. A packet that comes with another type is acknowledged, and
# nobody sends it again: no such protocol heals that.
TYPE = range(4, 6)


class BadLine:
    """A channel in front of another. Each packet has `rate` as its chance of a fault."""

    KINDS = ("lost", "flipped", "repeated", "cut")

    def __init__(self, inner, rate=0.05, seed=1, kinds=KINDS):
        self._inner, self._rate, self._kinds = inner, rate, kinds
        self._random = random.Random(seed)
        self._parser = Parser()
        self.faults = 0

    def _spoil(self, raw):
        if self._random.random() >= self._rate:
            return raw
        self.faults += 1
        kind, at = self._random.choice(self._kinds), self._random.randrange(len(raw))
        if at in TYPE and len(raw) > HEADER:
            at += len(TYPE)
        return {"lost": b"", "flipped": raw[:at] + bytes([raw[at] ^ 0x10]) + raw[at + 1:],
                "repeated": raw + raw, "cut": raw[:at] + raw[at + 1:]}[kind]

    def recv(self, timeout):
        data = self._inner.recv(timeout)
        if not data:
            return data
        items = self._parser.feed(data)
        assert not any(isinstance(item, Damaged) for item in items), "the target's own line is good"
        return b"".join(self._spoil(item.encode()) for item in items)

    def send(self, data, timeout=5.0):
        data = self._spoil(data) if len(data) > 1 else data     # not the break-in byte
        return self._inner.send(data, timeout) if data else True

    def close(self):
        self._inner.close()
