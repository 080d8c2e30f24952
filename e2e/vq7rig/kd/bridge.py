# SPDX-License-Identifier: MIT
"""COM2 as a TCP port, for a debugger that isn't ours. One at a time, one after another."""

import errno
import os
import socket
import threading

from ..errors import RigError, UsageError
from .wire import BREAK_IN, Parser

DEFAULT = "127.0.0.1:4440"
TRIED = 16              # ports, from the usual one on, where nobody has said which
GARBAGE = 256           # bytes without a packet among them, after which it is said


def address_of(text, option="--listen"):
    """(host, port) of `host:port`. Raises UsageError that names the option."""
    host, mark, port = text.rpartition(":")
    if not mark or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"{option} {text}: it must be address:port, as {DEFAULT}")
    return host.strip("[]"), int(port)


class Bridge:
    """`note(text)` tells the person who came and went."""

    def __init__(self, listen, note):
        self._address, self._note = address_of(listen), note
        self._path = None
        self._busy = threading.Lock()
        self._open = set()              # sockets to close at the end
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind(self._address)
            self._listener.listen(4)
        except OSError as bad:
            self._listener.close()
            raise _refused(listen, bad) from bad
        except OverflowError as bad:
            self._listener.close()
            raise UsageError(f"--listen {listen}: {bad}") from bad

    @classmethod
    def at_some_port(cls, note):
        """At the usual port, or at the first one behind it that is free. Raises RigError."""
        host, first = address_of(DEFAULT)
        for port in range(first, first + TRIED):
            try:
                return cls(f"{host}:{port}", note)
            except RigError as bad:
                taken = bad
        raise taken

    @property
    def address(self):
        return self._address

    def serve(self, path):
        """Give out the UNIX socket `path` from now on. It is connected to only while a
        debugger is here, so that it can be used by hand otherwise."""
        self._path = path
        threading.Thread(target=self._accept, name="kd bridge", daemon=True).start()

    def close(self):
        for each in [self._listener, *self._open]:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass                    # it isn't connected, or not any more
            each.close()

    def _accept(self):
        while True:
            try:
                client, peer = self._listener.accept()
            except OSError:
                return                  # closed: the session is over
            name = f"{peer[0]}:{peer[1]}"
            if not self._busy.acquire(blocking=False):
                self._note(f"a second debugger, {name}, was turned away: one at a time")
                client.close()
                continue
            threading.Thread(target=self._attend, args=(client, name), daemon=True).start()

    def _attend(self, client, name):
        port = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._open |= {client, port}
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            port.connect(self._path)
            self._note(f"debugger connected from {name}")
            back = threading.Thread(target=self._copy, args=(port, client, None), daemon=True)
            back.start()
            watch = _Watch(self._note, name)
            self._copy(client, port, watch)
            back.join()
            watch.end()
            self._note(f"debugger {name} has gone; the machine stays as it was left, "
                       "another debugger may come")
        except OSError as bad:
            self._note(f"debugger {name}: no way to the machine's COM2: {bad.strerror}")
        finally:
            self._open -= {client, port}
            client.close()
            port.close()
            self._busy.release()

    @staticmethod
    def _copy(source, target, watch):
        try:
            while data := source.recv(65536):
                if watch is not None:
                    watch.look(data)
                target.sendall(data)
        except OSError:
            pass                        # one of them has gone
        for each in (source, target):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class _Watch:
    """Says, once, when what comes is no debugger's."""

    def __init__(self, note, name):
        self._note, self._name = note, name
        self._parser, self._first, self._done = Parser(), b"", False

    def look(self, data):
        if self._done:
            return
        self._first = (self._first + data)[:16]
        found = self._parser.feed(data.replace(BREAK_IN, b"") if len(data) == 1 else data)
        self._done = bool(found)
        if not found and self._parser.noise > GARBAGE:
            self.end()

    def end(self):
        """One that has gone is judged by less."""
        if not self._done and self._parser.noise >= len(self._first) > 1:
            self._done = True
            self._note(f"debugger {self._name} sends {self._first!r}..., which is no kernel "
                       "debugger's packet: it must be one for serial ports, as windbg -k com:...")


def _refused(listen, bad):
    if bad.errno == errno.EADDRINUSE:
        return RigError(f"--listen {listen}: that port is taken",
                        "end what uses it, or choose another one")
    if isinstance(bad, socket.gaierror) or bad.errno == errno.EADDRNOTAVAIL:
        return UsageError(f"--listen {listen}: it is no address of this machine")
    return RigError(f"--listen {listen}: {bad.strerror or os.strerror(bad.errno or 0)}")
