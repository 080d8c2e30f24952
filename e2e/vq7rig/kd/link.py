# SPDX-License-Identifier: MIT
"""A reliable line of packets: ids, acknowledgements, resending, resynchronizing.

Each side numbers its data packets with one bit (id 0x80800000 or 0x80800001) and sends the
next one when the last was acknowledged. Whoever gets a good packet acknowledges it, also
one it has had already; that one isn't delivered again.
"""

from collections import Counter, deque

from ..clock import now
from ..errors import MachineGone
from . import wire
from .errors import NoAnswer
from .pace import Pace

GAP = 0.15              # seconds of silence within a packet, at least: its rest won't come
LIMIT = 15.0            # seconds for an acknowledgement in all


class Reset(Exception):
    """The target has begun anew: what was on its way is void."""


class Link:
    """One end of the line. `channel` is like channel.SocketChannel. Not thread safe."""

    def __init__(self, channel, log=None, pace=None):
        self.channel, self.log, self.pace = channel, log, pace or Pace()
        self._parser = wire.Parser()
        self._inbox = deque()
        self._mine = self._theirs = wire.FIRST_ID
        self._sync_payload = None       # of a first packet that may come again
        self._acked = self._resend = False
        self._resets = 0
        self._last = 0.0                # when something came
        self._resyncing = False
        self.counts = Counter()         # sent, received, again, repeated, damaged ...

    # --- bytes -----------------------------------------------------------------

    def _put(self, packet):
        self._note(">", packet)
        self._write(packet.encode())

    def _write(self, raw):
        sent = self.channel.send(raw)
        if sent is None:
            raise MachineGone("the machine went away: its debugger port is closed")
        if not sent:
            raise NoAnswer("the target takes no bytes: its serial port is full")

    def _note(self, way, what):
        if self.log is not None:
            self.log.write(f"{now():.3f} {way} {what}\n")

    def _pump(self, timeout):
        """Take in what comes within `timeout`. Returns whether anything did."""
        gap = max(GAP, self.pace.wait() / 2)
        wait = min(timeout, gap) if self._parser.partial else timeout
        received = self.channel.recv(wait)
        if received is None:
            raise MachineGone("the machine went away: its debugger port is closed")
        if received:
            self._last = now()
            items = self._parser.feed(received)
        elif self._parser.partial and now() - self._last >= gap:
            items = self._parser.give_up()
            self.counts["late"] += 1
        else:
            items = []
        for item in items:
            self._note("<", item)
            self._take(item)
        return bool(received)

    def _take(self, item):
        if isinstance(item, wire.Damaged):
            self.counts["damaged"] += 1
            if not self._resyncing:
                self._put(wire.control(wire.RESEND))
        elif not item.control:
            self._take_data(item)
        elif item.type == wire.ACKNOWLEDGE and item.id & ~wire.SYNC == self._mine:
            self._acked = True
        elif item.type == wire.RESEND:
            self._resend = True
        elif item.type == wire.RESET:
            self._resets += 1
            self._mine = self._theirs = wire.FIRST_ID
            self._sync_payload = None
            self._resyncing = False
        else:
            self.counts["stray"] += 1

    def _take_data(self, packet):
        if self._resyncing:             # of before the reset: it will come again
            self.counts["stray"] += 1
            return
        self._put(wire.control(wire.ACKNOWLEDGE, packet.id & ~wire.SYNC))
        if packet.id & wire.SYNC:
            if self._sync_payload == packet.payload:
                self.counts["repeated"] += 1
                return
            self._mine, self._theirs = wire.FIRST_ID, wire.FIRST_ID ^ 1
            self._sync_payload = packet.payload
        elif packet.id == self._theirs:
            self._theirs ^= 1
            self._sync_payload = None
        else:
            self.counts["repeated"] += 1
            return
        self.counts["received"] += 1
        self._inbox.append(packet)

    # --- packets ---------------------------------------------------------------

    def break_in(self):
        """Ask a running target to stop. It looks at its port at every tick of its clock."""
        self._note(">", "break-in")
        self._write(wire.BREAK_IN)

    def send(self, type_, payload, limit=LIMIT):
        """Deliver a packet. Raises NoAnswer, or Reset where the target began anew."""
        packet = wire.data(type_, self._mine, payload)
        deadline, resets, sent, in_vain = now() + limit, self._resets, 0, 0
        self._acked = False
        while True:
            self._resend = False
            self._put(packet)
            self.counts["again" if sent else "sent"] += 1
            sent += 1
            put = now()
            again = put + self.pace.wait(in_vain)
            while not self._acked and not self._resend and now() < again:
                self._pump(max(0.0, min(again, deadline) - now()))
                if self._resets != resets:
                    raise Reset
            if self._acked:
                self._mine ^= 1
                if sent == 1:           # else nobody knows which of them was acknowledged
                    self.pace.took(now() - put)
                return
            if now() >= deadline:
                raise NoAnswer(f"the target doesn't acknowledge a packet: {packet}")
            in_vain += 0 if self._resend else 1

    def receive(self, timeout):
        """The next packet, or None when none comes in time. Raises Reset."""
        deadline, resets = now() + timeout, self._resets
        while not self._inbox:
            left = deadline - now()
            came = self._pump(max(0.0, left))
            if self._resets != resets:
                raise Reset
            if left <= 0 and not came and not self._inbox:
                return None
        return self._inbox.popleft()

    def ask_again(self):
        """The target's last packet seems to be lost."""
        self._put(wire.control(wire.RESEND))

    def resync(self, timeout):
        """Begin anew: RESET, until the target has answered it. Returns whether it has."""
        deadline, resets = now() + timeout, self._resets
        self._inbox.clear()
        self._resyncing = True
        self._put(wire.control(wire.RESET))
        while self._resets == resets and (left := deadline - now()) > 0:
            self._pump(left)
        answered = self._resets != resets
        if not answered:
            self._resyncing = False
        return answered

    def close(self):
        self.channel.close()
