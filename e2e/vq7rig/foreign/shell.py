# SPDX-License-Identifier: MIT
"""A guest's text on COM1, and Linux' shell there (init.sh)."""

import re

from ..errors import GuestError, MachineGone
from ..patience import patience

TAIL = 3000             # characters of the kernel's log that a message shows


class Text:
    """What a guest says on COM1, waited for, and what is typed there."""

    def __init__(self, vm):
        self._vm, self._channel = vm, vm.console.channel
        self._log = open(vm.folder / "console.log", "ab", buffering=0)
        self._got = ""

    def close(self):
        self._log.close()

    def type(self, text):
        if not self._channel.send(text.encode()):
            raise GuestError(f"the guest takes nothing on COM1: {text!r}")

    def until(self, pattern, timeout):
        """Wait for a regular expression; what came before it is forgotten. Returns
        (the text before it, the match). Raises GuestError, MachineGone, RigError."""
        until = self._vm.now() + timeout * patience()
        while not (found := re.search(pattern, self._got, re.M)):
            left = until - self._vm.now()
            if left <= 0:
                raise GuestError(f"waited {timeout} s for {pattern!r} on COM1, which ends with:\n"
                                 f"{self._got[-TAIL:]}\n{self._log_ends()}")
            self._receive(left)
        before, self._got = self._got[:found.start()], self._got[found.end():]
        return before, found

    def _receive(self, timeout):
        data = self._channel.recv(min(timeout, 1.0))
        if data is None:
            raise self._vm.qemu_failure() or MachineGone(
                f"the machine went away: COM1 is closed\n{self._log_ends()}")
        self._log.write(data)
        self._got += data.decode("ascii", "replace").replace("\r\n", "\n")

    def _log_ends(self):
        return f"the kernel's log ends with:\n{self._vm.kernel_log()[-TAIL:]}"


class Shell(Text):
    """Commands of busybox' shell, one after the other."""

    def __init__(self, vm, boot_timeout=60):
        super().__init__(vm)
        self._number = 0
        self.rebooted(boot_timeout)

    def run(self, command, timeout=60, fails=False, meanwhile=lambda: None):
        """Execute a line. Returns what it says. Raises GuestError unless it ends with the status
        0, or another one where it is to fail. `meanwhile` is called while it runs."""
        self._number += 1
        self.type(f"{self._number} {command}\n")
        meanwhile()
        said, found = self.until(rf"^={self._number} (\d+)\n", timeout)
        if (found[1] != "0") != fails:
            raise GuestError(f"`{command}` ended with {found[1]} and said:\n{said.strip()}\n"
                             f"{self._log_ends()}")
        return said.strip()

    def number(self, command):
        return int(self.run(command))

    def rebooted(self, timeout=60):
        """Wait for the next start."""
        self.until("^=0 0\n", timeout)
