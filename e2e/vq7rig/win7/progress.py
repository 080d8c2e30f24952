# SPDX-License-Identifier: MIT
"""What Setup has said on COM1, how long it may take, and when it is beyond help."""

import re

from ..errors import GuestCrash, GuestError, Hang

SAID = re.compile(r"vq7-setup (phase|step|failed step)=(\w+)(?: code=(-?\w+))?")
# Phase -> what it is, and how many seconds it may take until the next one, with KVM.
PHASES = {
    "start": ("Setup starts from the ISO and finds the answer file", 900),
    "windowspe": ("Setup formats the disk and copies Windows", 2400),
    "specialize": ("Windows starts from its disk and finds its devices", 1800),
    "firstlogon": ("the script of the first logon runs", 1200),
    "done": ("Windows shuts down", 600),
}
EMULATED = 6            # times as long without KVM
MOST_LOG = 16384        # bytes that are kept, whatever the guest says
MOST_RESETS = 6         # Windows' own setup restarts the machine twice, with updates thrice


class Progress:
    """Fed with COM1's bytes and the machine's resets; `clock()` gives seconds."""

    def __init__(self, clock, tell, slow=1.0):
        self._clock, self._tell, self._slow = clock, tell, slow
        self.phase, self._since = "start", clock()
        self.step, self.resets, self._rest = None, 0, b""
        self.log = b""

    def feed(self, data):
        """Raises GuestError for a step that failed."""
        self.log = (self.log + data)[-MOST_LOG:]
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-MOST_LOG:]
        for line in lines:
            found = SAID.search(line.decode("ascii", "replace"))
            if found:
                self._said(*found.groups())

    def _said(self, kind, name, code):
        if kind == "failed step":
            raise GuestError(f"the first logon's script failed at {name} (exit code {code})")
        if kind == "step":
            self.step = name
            self._tell(f"  {name}")
        elif name in PHASES and list(PHASES).index(name) > list(PHASES).index(self.phase):
            self._tell(f"{name}: {PHASES[name][0]} ({self._clock() - self._since:.0f} s for "
                       f"{self.phase})")
            self.phase, self._since = name, self._clock()

    def reset(self):
        """The machine started again."""
        self.resets += 1
        if self.resets > MOST_RESETS:
            raise GuestCrash(f"the machine restarts without end: {self.resets} times, and Setup "
                             f"is still in the phase {self.phase}")

    def check(self):
        """Raises Hang when the phase is over its time."""
        what, seconds = PHASES[self.phase]
        if self._clock() - self._since > seconds * self._slow:
            step = f", in the step {self.step}" if self.step else ""
            raise Hang(f"the end of the phase {self.phase}", self._clock() - self._since,
                       self.log[-4096:].decode("ascii", "replace"), "console.log",
                       f"Setup is stuck: {what}{step}")

    def ended(self):
        """The machine has turned itself off. Raises GuestCrash unless all was done."""
        if self.phase != "done":
            raise GuestCrash(f"the machine turned itself off in the phase {self.phase}")
