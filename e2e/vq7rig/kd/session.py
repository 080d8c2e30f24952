# SPDX-License-Identifier: MIT
"""A person, a debugger's prompt, and a machine."""

import contextlib
import os
import shutil
import socket

from ..channel import SocketChannel
from ..console import PROMPT
from ..dump import live
from ..dump.frozen import Frozen
from ..dump.windows import Dump
from ..errors import GuestCrash, RigError
from ..paths import E2E
from ..probe import accelerator
from ..terminal import Screen
from ..vm import RUNNING, VM
from .bridge import address_of
from .client import Client
from .debugger import Debugger
from .link import Link
from .shell import Shell, write

SOCKET = "kd.sock"              # of COM2, in the machine's temporary folder


def attach(path, folders):
    """A prompt for the machine behind a socket, a UNIX one's path or host:port. `qd` lets it
    run on afterwards, `q` leaves it stopped."""
    client = Client(Link(SocketChannel(connect(path))), on_print=write)
    debugger = Debugger(client, folders, say=write)
    try:
        Shell(debugger).run(client.attach())
    finally:
        debugger.close()


def look_at(path, folders):
    """A prompt for a complete memory dump of Windows."""
    dump = Dump(path)
    code, *parameters = dump.header.bugcheck
    write(f"{path}: complete memory dump, {dump.header.pages >> 8} MiB\n" + (
        f"BugCheck {code:X}, {{{', '.join(f'{each:x}' for each in parameters)}}}\n" if code
        else "No bug check: taken of a machine that ran, or hung\n"))
    debugger = Debugger(Frozen(dump), folders, say=write)
    try:
        Shell(debugger).run(debugger.event)
    finally:
        debugger.close()


def connect(path):
    """A socket connected with a path or host:port. Raises RigError, UsageError."""
    try:
        if not os.path.exists(path) and ":" in path:
            return socket.create_connection(address_of(path, "--attach"), timeout=5)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.connect(path)
        return made
    except OSError as bad:
        raise RigError(f"--attach {path}: {bad.strerror or bad}",
                       "give the socket that `make windbg` names, while it runs") from bad


def boot(host, config, guest, folders, settings):
    host.accel, why = accelerator(host)
    folder = E2E / "kd"
    shutil.rmtree(folder, ignore_errors=True)
    print(f"{config.name}, {host.emulator}, {why}; logs: {folder}\n"
          "The machine runs: what you type goes to the agent. Ctrl-C breaks into the kernel,\n"
          ".help at kd> lists the commands, q ends both.", flush=True)
    with VM(host, config, guest, folder, settings["disk_mib"], settings["hello_timeout_s"]) as vm:
        vm.start()
        with open(folder / "kd.log", "w", buffering=1, encoding="utf-8") as log, \
                debugging(vm, folders, log, write) as debugger:
            vm.state = RUNNING
            vm.resume()
            with live.on_request(vm, folder):
                Shell(debugger, AgentConsole(vm)).run(None)


@contextlib.contextmanager
def debugging(vm, folders, log=None, say=lambda text: None, wrap=lambda channel: channel):
    """A Debugger for a machine of the rig's, not attached yet. What it stops is no hang: the
    time that the target stands still doesn't count on its console."""
    channel = SocketChannel.connect(str(vm.run / SOCKET))
    debugger = Debugger(Client(Link(wrap(channel), log), on_print=say), folders, say=say)
    before = vm.console.now
    vm.console.now = lambda: before() - debugger.client.stood
    try:
        yield debugger
    finally:
        if vm.console is not None:      # who has waited since before doesn't get it now
            stood = debugger.client.stood
            vm.console.now = lambda: before() - stood
        debugger.close()


class AgentConsole:
    """The agent's lines beside the debugger's."""

    def __init__(self, vm):
        self._console, self._screen = vm.console, Screen()
        self.channel = vm.console.channel
        self.at_prompt = self._mid_line = False
        self._tail = b""

    def show(self):
        """What the agent has said. Raises MachineGone."""
        self._console._receive(0)
        said, self._console._buffer = self._console._buffer, b""
        if said:
            self._screen.write(said)
            self._tail = (self._tail + said)[-len(PROMPT):]     # it may come in pieces
            self.at_prompt = self._tail == PROMPT.encode()
            self._mid_line = not said.endswith(b"\n")

    def type(self, line):
        self.at_prompt = False
        if not self.channel.send(line.encode("utf-8", "replace") + b"\r"):
            raise GuestCrash("the guest doesn't read its console")

    def end_line(self):
        if self._mid_line:
            write("\n")
            self._mid_line = False
