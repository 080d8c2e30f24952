# SPDX-License-Identifier: MIT
"""Runs in gdb: what `make gdb` adds to it."""

import gdb

from . import loads, unwinder, virtq


class Agent(gdb.Command):
    """agent LINE: type a line at the console of the guest's agent.
It reads the line while the machine runs: agent blk read 0 8, then continue."""

    def __init__(self, pipe):
        super().__init__("agent", gdb.COMMAND_USER)
        self._pipe = pipe

    def invoke(self, line, _from_tty):
        with open(self._pipe, "w", encoding="ascii", errors="replace") as pipe:
            pipe.write(line + "\n")


def install(modules, pipe=None, guest=None):
    """`modules`: (base, size) of each. `pipe`: who writes there types at the console. `guest`:
    folder with the images of modules that are loaded later."""
    unwinder.install(modules)
    virtq.install()
    if guest:
        loads.install(modules, guest)
    if pipe:
        Agent(pipe)
