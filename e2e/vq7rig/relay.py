# SPDX-License-Identifier: MIT
"""Serial ports of a machine whose hypervisor shares no files with this rig.

Their bytes come through libvirt's streams. A relay makes of one what the rest of the
rig knows: a UNIX socket to connect to, or a file that grows.
"""

import select
import socket
import threading
import time
from collections import deque

from .bindings import libvirt, words
from .errors import RigError

CHUNK = 65536
RETRY = 0.005           # seconds until a stream that is full is tried again


class Relay:
    """One serial port's stream; a subclass says in `feed` and `ended` what becomes of it."""

    _stream = None

    def open(self, conn, dom, alias):
        """Attach to a paused machine, so that nothing of its output is lost."""
        self._stream = conn.newStream(libvirt.VIR_STREAM_NONBLOCK)
        try:
            dom.openConsole(alias, self._stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
            self._stream.eventAddCallback(
                libvirt.VIR_STREAM_EVENT_READABLE | libvirt.VIR_STREAM_EVENT_ERROR
                | libvirt.VIR_STREAM_EVENT_HANGUP, self._event, None)
        except libvirt.libvirtError as bad:
            raise RigError(f"libvirt can't open the serial port {alias}: {words(bad)}") from bad

    def _event(self, _stream, _events, _opaque):
        """Runs in the thread of libvirt's event loop, which must not wait for anybody."""
        try:
            while (data := self._stream.recv(CHUNK)) != -2:
                if not data:
                    break
                self.feed(data)
            else:
                return                          # -2: there is no more just now
        except (libvirt.libvirtError, OSError, ValueError):
            pass                # the machine has ended and its port with it, or the file is closed
        self._release()
        self.ended()

    def _release(self):
        if self._stream is None:
            return
        try:
            self._stream.eventRemoveCallback()
            self._stream.abort()
        except libvirt.libvirtError:
            pass                                # ended already

    def close(self):
        self._release()
        self.ended()


class FileRelay(Relay):
    """What the port says is appended to a file."""

    def __init__(self, path):
        self._file = open(path, "ab", buffering=0)

    def feed(self, data):
        self._file.write(data)

    def ended(self):
        self._file.close()


class SocketRelay(Relay):
    """Both ways, for one client of a UNIX socket after another."""

    def __init__(self, path):
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(path)
        self._listener.listen(1)
        self._read, self._write = socket.socketpair()           # wakes the thread
        self._waiting, self._over = deque(), False
        self._thread = threading.Thread(target=self._serve, name="relay", daemon=True)

    def open(self, conn, dom, alias):
        super().open(conn, dom, alias)
        self._thread.start()

    def close(self):
        super().close()
        if self._thread.ident is None:          # it would close the listener
            self._listener.close()

    def feed(self, data):
        self._waiting.append(data)
        self._write.send(b"x")

    def ended(self):
        if not self._over:
            self._over = True
            self._write.send(b"x")

    def _serve(self):
        try:
            while self._wait(self._listener):
                client, _ = self._listener.accept()
                with client:
                    if not self._attend(client):
                        break
                self._waiting.clear()           # a port with nobody at it keeps nothing
        except OSError:
            pass                                # the listener's end
        finally:
            self._listener.close()

    def _attend(self, client):
        """Serve one client. False when the port ended, True when the client has gone."""
        try:
            while self._wait(client):
                data = client.recv(CHUNK)
                if not data:
                    return True
                if not self._send(data):
                    return False
                self._flush(client)
        except OSError:
            return True
        return False

    def _wait(self, source):
        """Until `source` is readable, passing on what has come. False when the port ended."""
        while True:
            over = self._over                   # asked first: what came before it is passed on
            if source is not self._listener:
                self._flush(source)
            if over:
                return False
            ready, _, _ = select.select([source, self._read], [], [])
            if self._read in ready:
                self._read.recv(CHUNK)
            if source in ready:
                return True

    def _flush(self, client):
        while self._waiting:
            client.sendall(self._waiting.popleft())

    def _send(self, data):
        try:
            while data and not self._over:
                sent = self._stream.send(data)
                if sent == -2:
                    time.sleep(RETRY)
                else:
                    data = data[sent:]
        except libvirt.libvirtError:
            return False
        return not data
