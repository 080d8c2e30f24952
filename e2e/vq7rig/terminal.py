# SPDX-License-Identifier: MIT
"""A person at the guest's console: `python3 -m vq7rig vm <flavour>`."""

import os
import select
import shutil
import sys
import termios
import tty
from contextlib import contextmanager

from .clock import now
from .console import PROMPT
from .dump import live
from .errors import GuestCrash, Hang
from .frames import parse
from .probe import accelerator
from .vm import VM

QUIT = b"\x1d"          # Ctrl-]


@contextmanager
def raw_mode(stream):
    """Keys go to the guest as they are, Ctrl-C too. No effect where stdin is no terminal."""
    if not stream.isatty():
        yield
        return
    saved = termios.tcgetattr(stream)
    try:
        tty.setraw(stream, termios.TCSADRAIN)       # what was typed already isn't lost
        yield
    finally:
        termios.tcsetattr(stream, termios.TCSADRAIN, saved)


def session(host, config, guest, folder, settings, ready=None, system=None):
    """Boot a machine and connect it with the terminal until Ctrl-] or its end.

    `ready(vm)` is called before it runs: somebody else may stop it, who takes his time.
    """
    host.accel, why = accelerator(host)
    shutil.rmtree(folder, ignore_errors=True)
    print(f"{config.name}, {host.emulator}, {why}; logs: {folder}\n"
          "Ctrl-] ends the machine", flush=True)
    boot_s = system.boot_s * system.pace if system and system.boot_s else \
        settings["hello_timeout_s"]
    with VM(host, config, guest, folder, settings["disk_mib"], boot_s, system) as vm:
        vm.start()
        if ready is not None:
            ready(vm)
            vm.hello_timeout = float("inf")
        began = now()
        vm.state = "running"
        vm.resume()
        beside(vm, folder, Screen(began, vm.hello_timeout))


def beside(vm, folder, screen):
    """A running machine's console at the terminal, until Ctrl-] or the machine's end. Dumps
    that are asked for meanwhile go into the folder."""
    with live.on_request(vm, folder), raw_mode(sys.stdin):
        ended = _relay(vm, screen)
    print(f"\r\n[{ended}]")


def _relay(vm, show):
    """Copy both ways. Returns what ended it. Raises Hang where nobody can press Ctrl-]."""
    keys, held = [sys.stdin.fileno()], b""
    while True:
        ready, _, _ = select.select(keys + [vm.console.channel.fileno()], [], [], 1.0)
        try:
            vm.console._receive(0)
        except GuestCrash:
            return "the machine has turned itself off"
        show.write(vm.console._buffer)
        vm.console._buffer = b""
        if show.check_prompt() and not sys.stdin.isatty():
            raise Hang(f"the prompt {PROMPT!r}", vm.hello_timeout, "", vm.console.log_path,
                       "no prompt")
        if keys and keys[0] in ready:
            typed = os.read(keys[0], 4096)
            if not typed:
                keys = []                       # end of a piped input: watch on
            if QUIT in typed:
                return "ended by Ctrl-]"
            held += typed
        if held and show.prompted:              # earlier the serial port would lose them
            if not vm.console.channel.send(held):
                return "the guest doesn't read its console"
            held = b""


class Screen:
    """The guest's output for a person: framed lines for programs are left out."""

    def __init__(self, began=0.0, limit=float("inf"), prompted=False):
        self.began, self.limit = began, limit
        self.prompted = prompted        # keys may be sent
        self._line = b""

    def write(self, data):
        for piece in data.splitlines(keepends=True):
            start, self._line = self._line, self._line + piece
            if b"vq7> " in self._line and not self.prompted:
                self.prompted = True
            held = _for_programs(self._line)
            if not held or not parse(self._line.decode("ascii", "replace").strip()):
                fresh = self._line if _for_programs(start) else piece
                if not (held and not self._line.endswith(b"\n")):
                    os.write(1, fresh)
            if self._line.endswith(b"\n"):
                self._line = b""

    def check_prompt(self):
        """True once, and said, when the prompt is late."""
        late = not self.prompted and now() - self.began > self.limit
        if late:
            os.write(2, f"\r\n[no prompt after {self.limit:.0f} s; Ctrl-] ends it]\r\n".encode())
            self.prompted = True
        return late


def _for_programs(line):
    """Is it the beginning of a framed line, or may it become one?"""
    return line != b"" and line[:3] == b"@0 "[:len(line)]
