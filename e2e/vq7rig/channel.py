# SPDX-License-Identifier: MIT
"""Byte channels to the guest's COM1, and a fault injector to put between."""

import collections
import contextlib
import os
import select
import socket
import time

from .clock import now
from .errors import RigError


class SocketChannel:
    """A connected stream socket. `recv` returns b"" at a time-out, None at the end.

    One thread receives, another may say that the QEMU at the other end goes and where the next
    one listens: so often, it may be, that the first has several to catch up with.
    """

    def __init__(self, sock):
        self._sock = sock               # what is received from
        self._later = collections.deque()       # those after it, the newest is sent to
        self._past = []
        self._leaving = False
        sock.setblocking(False)

    @classmethod
    def connect(cls, path, timeout=5.0):
        """Connect to a UNIX socket that QEMU listens on."""
        deadline = now() + timeout
        while True:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.connect(path)
                return cls(sock)
            except OSError as bad:
                sock.close()
                if now() >= deadline:
                    raise RigError(f"can't reach the guest's console at {path}: "
                                   f"{os.strerror(bad.errno or 0)}") from bad
                time.sleep(0.02)

    def fileno(self):
        return self._sock.fileno()

    def recv(self, timeout):
        ready, _, _ = select.select([self._sock], [], [], max(0.0, timeout))
        if not ready:
            return b""
        try:
            data = self._sock.recv(65536)
        except BlockingIOError:
            return b""
        except ConnectionError:
            data = b""
        if not data and self._followed():
            return b""
        return data or None

    def _followed(self):
        """All that the QEMU that has ended said is read. False: there is no other."""
        leaving = self._leaving             # asked first: `move` ends that when there is a next
        if self._later:
            self._past.append(self._sock)   # who sends may just look at it
            self._sock = self._later[0]
            self._later.popleft()
        elif leaving:
            time.sleep(0.01)                # it is to come
        else:
            return False
        return True

    def _newest(self):
        try:
            return self._later[-1]
        except IndexError:
            return self._sock

    def leave(self, leaving=True):
        """The QEMU at the other end will end, and another go on: the end of the first is none."""
        self._leaving = leaving

    def hang_up(self):
        """End the connection, whoever waits for it."""
        with contextlib.suppress(OSError):
            self._newest().shutdown(socket.SHUT_RDWR)

    def move(self, path):
        """Go on with the QEMU that listens there, when what those before it said has been read."""
        self._later.append(SocketChannel.connect(path)._sock)
        self._leaving = False

    def send(self, data, timeout=5.0, clock=now):
        """Send all bytes. Returns False if the guest takes none for `timeout`, None at the end.

        `clock` gives the guest's time, which a debugger may stop.
        """
        deadline = clock() + timeout
        while data:
            left = max(0.01, deadline - clock())    # it may stand still
            sock = self._newest()
            _, ready, _ = select.select([], [sock], [], left)
            if not ready:
                if clock() < deadline:
                    continue
                return False
            try:
                data = data[sock.send(data):]
            except BlockingIOError:
                continue
            except ConnectionError:
                leaving = self._leaving
                if not leaving and sock is self._newest():
                    return None
                if clock() >= deadline:
                    return False
                time.sleep(0.01)            # until there is another
        return True

    def close(self):
        for each in (*self._past, self._sock, *self._later):
            each.close()


class FaultInjector:
    """A channel that damages chosen lines on their way, for tests.

    Framed lines (those beginning with `@`) are counted from 1 in each direction
    since `arm`; a fault is a function from the line's bytes, with its end, to the
    bytes that arrive instead. Each fault happens once.
    """

    def __init__(self, inner):
        self._inner = inner
        self.arm()

    def arm(self, to_guest=None, to_host=None):
        """Set the faults, as dictionaries from line number to function."""
        self._faults = {"to_guest": dict(to_guest or {}), "to_host": dict(to_host or {})}
        self._seen = {"to_guest": 0, "to_host": 0}
        self._partial = b""
        self.done = 0

    def _apply(self, way, line):
        if not line.lstrip(b"\r\n").startswith(b"@"):
            return line
        self._seen[way] += 1
        fault = self._faults[way].pop(self._seen[way], None)
        if fault is None:
            return line
        self.done += 1
        return fault(line)

    def fileno(self):
        return self._inner.fileno()

    def recv(self, timeout):
        data = self._inner.recv(timeout)
        if not data:
            return data
        *lines, rest = (self._partial + data).split(b"\n")
        out = b"".join(self._apply("to_host", line + b"\n") for line in lines)
        if rest.startswith(b"@") and self._faults["to_host"]:
            self._partial = rest        # wait for its end: it may be the one to damage
            return out
        self._partial = b""
        return out + rest

    def send(self, data, timeout=5.0, clock=now):
        out = b"".join(self._apply("to_guest", line) for line in data.splitlines(keepends=True))
        return self._inner.send(out, timeout, clock) if out else True

    def leave(self, leaving=True):
        self._inner.leave(leaving)

    def hang_up(self):
        self._inner.hang_up()

    def move(self, path):
        self._inner.move(path)

    def close(self):
        self._inner.close()


# Faults.

def flip(line):
    """One bit of a byte in the middle is wrong; the line stays printable."""
    at = len(line.rstrip(b"\r\n")) // 2
    return line[:at] + bytes([line[at] ^ 1]) + line[at + 1:]


def drop(_line):
    """The line is lost."""
    return b""


def no_end(line):
    """The end of the line is lost, so that it runs into the next one."""
    return line.rstrip(b"\r\n")


def interleave(line):
    """The kernel prints into the middle of the line."""
    at = len(line) // 2
    return line[:at] + b"KERNEL: a message\r\n" + line[at:]
