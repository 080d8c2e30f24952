# SPDX-License-Identifier: MIT
"""QEMU's gdbstub, as far as tests need it: stop where the guest writes a word, and change its
memory there (GDB manual, "GDB Remote Serial Protocol"; QEMU's physical memory mode)."""

import re
import socket
import time

from .errors import Lacking, RigError

RAX, RSP, RIP = 0, 7, 16            # their numbers for x86-64

LIMIT = 20.0            # seconds for an answer, or until the guest gets to a watchpoint


class GdbStub:
    """A connection. The machine stands still from its start until `go` or close()."""

    def __init__(self, vm):
        if not vm.host.embedded:
            raise Lacking("QEMU's gdbstub is a socket beside QEMU: the embedded driver has it here")
        path = str(vm.run / "gdb.sock")
        vm.qmp("human-monitor-command",
               **{"command-line": f"gdbserver unix:{path},server=on,wait=off"})
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(LIMIT)
        self._buffer = b""
        try:
            self._socket.connect(path)
        except OSError as bad:
            raise RigError(f"can't connect to the gdbstub at {path}: {bad}") from bad

    def read_physical(self, address, length):
        """Guest memory by physical address."""
        self._expect_ok("Qqemu.PhyMemMode:1")
        answer = self._ask(f"m{address:x},{length:x}")
        self._expect_ok("Qqemu.PhyMemMode:0")
        return bytes.fromhex(answer)

    def write_physical(self, address, data):
        """Change guest memory by physical address."""
        self._expect_ok("Qqemu.PhyMemMode:1")
        self._expect_ok(f"M{address:x},{len(data):x}:{data.hex()}")
        self._expect_ok("Qqemu.PhyMemMode:0")

    def watch(self, address, length, on=True):
        """Stop where the guest writes there (a virtual address); or no longer."""
        self._expect_ok(f"{'Z' if on else 'z'}2,{address:x},{length:x}")

    def break_at(self, address, on=True):
        """Stop where the guest executes this address; or no longer."""
        self._expect_ok(f"{'Z' if on else 'z'}1,{address:x},1")

    def return_from_function(self, value):
        """At a function's first instruction: leave it at once, with this value (x64)."""
        self._send("qXfer:features:read:target.xml:0,10")
        self._receive()             # QEMU has registers by number once it was asked which
        top = int.from_bytes(bytes.fromhex(self._ask(f"p{RSP:x}")), "little")
        back = bytes.fromhex(self._ask(f"m{top:x},8"))
        for register, content in ((RAX, value.to_bytes(8, "little")), (RIP, back),
                                  (RSP, (top + 8).to_bytes(8, "little"))):
            self._expect_ok(f"P{register:x}={content.hex()}")

    def go(self):
        """Continue, and wait for the next stop. Raises RigError if none comes."""
        self.resume()
        self.wait_stop()

    def resume(self):
        self._send("c")

    def wait_stop(self):
        answer = self._receive()
        if not answer.startswith(("T", "S")):
            raise RigError(f"the gdbstub says {answer!r} instead of where it stopped")

    def leave(self):
        """Without letting the machine go on: who connects next finds it stopped."""
        self._socket.close()

    def close(self):
        """Let the machine go on, without us."""
        try:
            self._expect_ok("D")
        finally:
            self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _expect_ok(self, packet):
        self._send(packet)
        answer = self._receive()
        while answer.startswith("T"):           # it stopped since we are here
            answer = self._receive()
        if answer != "OK":
            raise RigError(f"the gdbstub refuses {packet.partition(':')[0]}: {answer!r}")

    def _ask(self, packet):
        """The answer of a packet that asks for bytes, in hexadecimal."""
        self._send(packet)
        answer = self._receive()
        if not re.fullmatch("([0-9a-f]{2})+", answer):
            raise RigError(f"the gdbstub refuses {packet}: {answer!r}")
        return answer

    def _send(self, packet):
        self._socket.sendall(f"${packet}#{sum(packet.encode()) % 256:02x}".encode())

    def _receive(self):
        """The next packet, acknowledged."""
        deadline = time.monotonic() + LIMIT
        while True:
            start = self._buffer.find(b"$")
            end = self._buffer.find(b"#", start)
            if start >= 0 and 0 <= end <= len(self._buffer) - 3:
                packet, self._buffer = self._buffer[start + 1:end], self._buffer[end + 3:]
                self._socket.sendall(b"+")
                return packet.decode("ascii", "replace")
            if time.monotonic() > deadline:
                raise RigError("the gdbstub doesn't answer")
            try:
                more = self._socket.recv(4096)
            except OSError as bad:
                raise RigError(f"the gdbstub doesn't answer: {bad}") from bad
            if not more:
                raise RigError("QEMU closed its gdbstub")
            self._buffer += more
