# SPDX-License-Identifier: MIT
"""radare2, a reader of crash dumps and a client of the kernel debugger's protocol that isn't
ours."""

import os
import re
import select
import shutil
import struct
import subprocess
import time

from vq7rig.dump.elfcore import Cpu
from vq7rig.dump.frozen import Frozen
from vq7rig.errors import Lacking
from vq7rig.kd.context import Context, Special
from vq7rig.kd.errors import Unreadable

PAGE = 0x1000
CONTEXT = 0x348                         # of the registers, in the file
PROCESSOR_BLOCK, PRCB_SPECIAL = 0x218, 0x2F2        # of KDDEBUGGER_DATA64
TERMINAL = re.compile(r"\x1b\[[?0-9;]*[a-zA-Z]")
LIMIT = 180.0                           # seconds: it makes a section of each page


class Radare:
    """A session with it. Use as a context manager."""

    def __init__(self, *arguments):
        program = shutil.which("radare2")
        if program is None:
            raise Lacking("needs radare2, which this release of Debian lacks or nobody has "
                          "installed: ci/setup.sh gdb")
        self._process = subprocess.Popen([program, "-N", "-q0", *map(str, arguments)],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.STDOUT, bufsize=0)
        self._said = b""
        self.greeting = self._answer()

    def _answer(self):
        """What it says, up to a byte 0; without what is meant for a terminal."""
        until = time.monotonic() + LIMIT
        while b"\0" not in self._said:
            left = until - time.monotonic()
            assert left > 0 and select.select([self._process.stdout], [], [], left)[0], \
                f"radare2 said {self._said!r} and no more"
            data = os.read(self._process.stdout.fileno(), 65536)
            assert data, f"radare2 ended: {self._said!r}"
            self._said += data
        answer, self._said = self._said.split(b"\0", 1)
        return TERMINAL.sub("", answer.decode(errors="replace"))

    def ask(self, command):
        self._process.stdin.write(command.encode() + b"\n")
        return self._answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


class RadareDump:
    """A crash dump as radare2 reads it: for dump.frozen.Frozen, physical memory and registers."""

    def __init__(self, radare):
        self._radare, self._pages = radare, {}
        self.header = {name: int(value, 16) for name, value in
                       re.findall(r"^\s+(\w+) : (0x[0-9a-f]+)$", radare.ask("iH"), re.M)}
        radare.ask("e io.va=false")             # the header is no memory
        context = Context(self._bytes(CONTEXT, Context.size))
        radare.ask("e io.va=true")
        special = Special(bytes(Special.size))
        special["cr3"] = self.header["DirectoryTableBase"]
        self.cpus = [Cpu(context, special)]
        frozen, block = Frozen(self), self.header["KdDebuggerDataBlock"]
        prcb = frozen.number(frozen.number(block + PROCESSOR_BLOCK))
        at = frozen.number(block + PRCB_SPECIAL, 2)
        self.cpus = [Cpu(context, Special(frozen.read(prcb + at, Special.size)))]

    def _bytes(self, address, count):
        return bytes.fromhex(self._radare.ask(f"p8 {count} @ {address}"))

    def read(self, address, count):
        """Physical memory. Raises Unreadable."""
        data = bytearray()
        while len(data) < count:
            at = address + len(data)
            first = at - at % PAGE
            if first not in self._pages:
                self._pages[first] = self._bytes(first, PAGE)
            if len(self._pages[first]) != PAGE:
                raise Unreadable(address, count, len(data))
            data += self._pages[first][at - first:at - first + count - len(data)]
        return bytes(data)

    def words(self, address, count):
        """Virtual memory."""
        return struct.unpack(f"<{count}Q", Frozen(self).read(address, 8 * count))
