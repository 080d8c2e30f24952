# SPDX-License-Identifier: MIT
"""`run --debugger`: the machine of the first test that fails is kept, stopped, until a person
has looked at it with a debugger."""

import contextlib

from .. import terminal
from ..channel import SocketChannel
from ..errors import CRASH, FAIL, HANG, GuestError, Lacking, RigError
from . import windbg
from .bridge import Bridge
from .client import Client
from .link import Link
from .show import q

HELD = (FAIL, HANG, CRASH)      # verdicts that a debugger has something to say about
STOP_S = 5.0                    # seconds for the kernel to stop
SOCKET = "kd.sock"
STOPPED = "is stopped in its kernel debugger"


def keep(vm, what, folder):
    """Hold a machine for a person, until Ctrl-] or its end. `what`: the line about the failure.
    Returns whether there was a machine to look at."""
    print(f"\n{what}", flush=True)
    if vm is None or vm.dom is None or vm.console is None or not vm.active():
        print("[no machine is left to debug]", flush=True)
        return False
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        where = _stop(vm)
        print(f"The machine {vm.config.name} {where}.\nCtrl-] ends it, and the run.", flush=True)
        if where.startswith(STOPPED):
            to_debugger = Bridge.at_some_port(windbg.note)
            held.callback(to_debugger.close)
            windbg.offer(vm, to_debugger)
        print(held.enter_context(_gdb(vm)) + "\n", flush=True)
        terminal.beside(vm, folder, terminal.Screen(prompted=True))
    return True


def _stop(vm):
    """Stop it, best in its own debugger, which stays as it is left. Returns where it is."""
    try:
        client = Client(Link(SocketChannel.connect(str(vm.run / SOCKET), STOP_S)))
    except RigError as bad:
        return _pause(vm, str(bad))
    try:
        event = client.attach(STOP_S)
        return f"{STOPPED}, at {q(event.pc)}"
    except GuestError as bad:
        return _pause(vm, str(bad))
    finally:
        client.close()


def _pause(vm, why):
    vm.dom.suspend()
    return f"is paused by QEMU, since WinDbg wouldn't get an answer ({why})"


@contextlib.contextmanager
def _gdb(vm):
    """Gives what to type into gdb, or why there is none."""
    from ..gdb import job
    with contextlib.ExitStack() as stub:
        try:
            program = job.need_gdb()
            file, _ = stub.enter_context(job.prepared(vm, agent=False))
            text = f"gdb, in another terminal:\n    {program} -q -x {file}"
        except (Lacking, RigError) as bad:
            text = f"no gdb: {bad}"
        yield text
