# SPDX-License-Identifier: MIT
"""What Setup, or an update's script, has said on COM1, how long it may take, and when it is beyond
help."""

import re

from ..errors import GuestCrash, GuestError, Hang, RigError

SAID = re.compile(r"vq7-setup (phase|step|failed step)=(\w+)(?: code=(-?\w+))?")
# Phase -> what it is, and how many seconds it may take until the next one, with KVM.
PHASES = {
    "start": ("Setup starts from the ISO and finds the answer file", 900),
    "windowspe": ("Setup formats the disk and copies Windows", 2400),
    "specialize": ("Windows starts from its disk and finds its devices", 1800),
    "firstlogon": ("the script of the first logon runs", 1200),
    "done": ("Windows shuts down", 600),
}
UPDATE_PHASES = {
    "start": ("Windows starts, and its agent finds the update disc", 900),
    "update": ("the update disc's script runs", 600),
    "done": ("Windows shuts down", 600),
}
# The first line of an agent that serves COM1.
SERVES = re.compile(r"vq7agent \d+ \w+ x\d\d\b")
EMULATED = 6            # times as long without KVM
MOST_LOG = 16384        # bytes that are kept, whatever the guest says
# Windows' own setup restarts the machine twice, with updates thrice; SeaBIOS resets it once
# more each time.
MOST_RESETS = 8


class Progress:
    """Fed with COM1's bytes and the machine's resets; `clock()` gives seconds."""

    phases = PHASES
    who, script = "Setup", "the first logon's script"

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
            self._line(line.decode("ascii", "replace"))

    def _line(self, line):
        found = SAID.search(line)
        if found:
            self._said(*found.groups())

    def _said(self, kind, name, code):
        if kind == "failed step":
            raise GuestError(f"{self.script} failed at {name} (exit code {code})")
        if kind == "step":
            self.step = name
            self._tell(f"  {name}")
        elif name in self.phases and self._number(name) > self._number(self.phase):
            self._tell(f"{name}: {self.phases[name][0]} ({self._clock() - self._since:.0f} s for "
                       f"{self.phase})")
            self.phase, self._since = name, self._clock()

    def _number(self, phase):
        return list(self.phases).index(phase)

    def go_on(self, phase, resets):
        """Where an earlier run of it was."""
        self.phase, self.resets = phase, resets

    def reset(self):
        """The machine started again."""
        self.resets += 1
        if self.resets > MOST_RESETS:
            raise GuestCrash(f"the machine restarts without end: {self.resets} times, and "
                             f"{self.who} is still in the phase {self.phase}")

    def check(self):
        """Raises Hang when the phase is over its time."""
        what, seconds = self.phases[self.phase]
        if self._clock() - self._since > seconds * self._slow:
            step = f", in the step {self.step}" if self.step else ""
            raise Hang(f"the end of the phase {self.phase}", self._clock() - self._since,
                       self.log[-4096:].decode("ascii", "replace"), "console.log",
                       f"{self.who} is stuck: {what}{step}")

    def ended(self):
        """The machine has turned itself off. Raises GuestCrash unless all was done."""
        if self.phase != "done":
            raise GuestCrash(f"the machine turned itself off in the phase {self.phase}")


class UpdateProgress(Progress):
    """Of a newer driver and agent that are put into an image."""

    phases = UPDATE_PHASES
    who, script = "the update", "the update disc's script"

    def _line(self, line):
        if SERVES.search(line):
            raise RigError("the image's agent serves COM1 although the update disc is in its "
                           "drive: it is older than that", "install the kit by hand in it once "
                           "(docs/guests.md), or take it as it is: UPDATE=no")
        super()._line(line)
