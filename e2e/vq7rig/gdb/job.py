# SPDX-License-Identifier: MIT
"""`python3 -m vq7rig gdb`: a machine and gdb on its kernel, or gdb on the core of a crash."""

import contextlib
import os
import pathlib
import select
import shutil
import signal
import subprocess

from .. import check, choice
from ..errors import EXIT_PASS, GuestCrash, RigError
from ..kd.job import BREAK
from ..libvirt_host import Host
from ..paths import E2E, ROOT, need_names

SOCKET, PIPE, COMMANDS = "gdb.sock", "agent", "gdb-commands"


def add_parser(jobs):
    """The job's own arguments; those of all jobs are added by cli."""
    parser = jobs.add_parser("gdb", help="boot a machine and debug its kernel with gdb")
    choice.add_arguments(parser, "stop before the first driver is loaded")
    parser.add_argument("--core", metavar="FILE",
                        help="look at core.elf, as the folder of a test that crashed has it")
    parser.set_defaults(function=_job)
    return parser


def need_gdb():
    """Path of gdb. Raises RigError."""
    path = shutil.which("gdb")
    if path is None:
        raise RigError("gdb is not installed", "run `ci/setup.sh gdb`")
    return path


def _job(args, _rest):
    program = need_gdb()
    check.need_python()
    need_names(args.guest)
    guest = pathlib.Path(args.guest).absolute()
    if args.core:
        look_at(program, pathlib.Path(args.core).absolute(), guest)
        return EXIT_PASS
    config, settings = choice.config_of(args, *([BREAK] if args.wait else []))
    check.need_guest(args.guest)
    from ..workers import Lock
    with Lock(), Host(args.connect, qemu=args.qemu, pool=args.pool) as host:
        boot(program, host, config, guest, settings, args.wait)
    return EXIT_PASS


def commands(modules, target, pipe=None, guest=None):
    """What gdb is started with. `modules` are those with symbols, `target` is the command that
    connects gdb with the machine or the core. `guest` is the folder for modules that are loaded
    later; None: none will be."""
    lines = ["set confirm off", "set print entry-values no", "set architecture i386:x86-64",
             "set breakpoint pending on"]
    for each in modules:
        lines.append(f"add-symbol-file {_quoted(each.symbols)} -o {each.offset:#x}")
    lines += [f"python import sys; sys.path.insert(0, {str(ROOT / 'e2e')!r})",
              "python from vq7rig.gdb import inside",
              f"python inside.install({[(each.base, each.size) for each in modules]!r}, "
              f"{str(pipe) if pipe else None!r}, {str(guest) if guest else None!r})",
              target]
    return "\n".join(lines) + "\n"


def _quoted(path):
    """As gdb splits the words of a command."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def look_at(program, core, guest):
    """gdb on the ELF core of a crash."""
    from .images import loaded
    modules = _with_symbols(loaded(core, guest))
    folder = E2E / "gdb"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / COMMANDS
    file.write_text(commands(modules, f"core-file {core}"))
    with _keys_for_gdb():
        subprocess.call([program, "-q", "-x", str(file)])


def _with_symbols(modules):
    """Raises RigError where none has any; says which of the others have none."""
    from .images import need_symbols
    found = need_symbols(modules)
    for each in modules:
        if not each.symbols:
            print(f"no symbols of {each.file}: {each.why_not}")
    return found


def boot(program, host, config, guest, settings, wait=False):
    from ..probe import accelerator
    from ..vm import VM
    host.accel, why = accelerator(host)
    folder = E2E / "gdb"
    shutil.rmtree(folder, ignore_errors=True)
    print(f"{config.name}, {host.emulator}, {why}; logs: {folder}\n"
          "`agent LINE` types at the agent's console, `virtq` shows a queue; quit ends both",
          flush=True)
    with VM(host, config, guest, folder, settings["disk_mib"], settings["hello_timeout_s"]) as vm:
        vm.start()
        if wait:
            stop_before_drivers(vm)
        else:
            vm.boot()
        with prepared(vm) as (file, pipe), _keys_for_gdb():
            _together(vm, pipe, subprocess.Popen([program, "-q", "-x", str(file)]))


def stop_before_drivers(vm):
    """Let a machine that was booted with /break come as far as that, and stop it there for gdb.

    The kernel waits in its own debugger, which is let go on while QEMU stops it at the next
    instruction. Raises GuestError, RigError.
    """
    from ..gdbstub import GdbStub
    from ..kd import session
    from ..vm import RUNNING
    vm.state = RUNNING
    vm.resume()
    with session.debugging(vm, [vm.guest]) as debugger:
        # It comes by itself. A break-in would be kept, and stop it once more later on.
        event = debugger.wait(vm.hello_timeout)
        stub = GdbStub(vm)
        try:
            stub.break_at(event.pc + 1)
            stub.resume()
            debugger.go()
            stub.wait_stop()
            stub.break_at(event.pc + 1, on=False)
        finally:
            stub.leave()


@contextlib.contextmanager
def prepared(vm, agent=True):
    """QEMU's gdbstub waits for a gdb. Gives the file of commands for it, which is in the
    machine's folder, and the open pipe of its `agent` command; None: it has no such command.
    Raises RigError."""
    from ..dump.take import MAX_MIB
    from .images import loaded
    if not vm.host.embedded:
        raise RigError("QEMU's gdbstub is a socket beside QEMU, and so are the addresses",
                       "leave --connect out")
    size = int(vm.config.option("memory", 0))
    if size > MAX_MIB:
        raise RigError(f"the machine has {size} MiB of memory; the addresses are read from a dump "
                       "of it", f"give it at most {MAX_MIB}")
    core, socket, path = vm.run / "core.elf", vm.run / SOCKET, vm.run / PIPE
    try:
        vm.host.dump_memory(vm.dom, core)
        modules = _with_symbols(loaded(core, vm.guest))
    finally:
        core.unlink(missing_ok=True)
    if not socket.exists():                 # no earlier visitor has had it opened
        said = vm.host.hmp(vm.dom, f"gdbserver unix:{socket},server=on,wait=off")
        if not socket.exists():
            raise RigError(f"QEMU opens no gdbstub at {socket}: {said.strip()}")
    pipe = _pipe(path) if agent else None
    try:
        file = vm.folder / COMMANDS
        file.write_text(commands(modules, f"target remote {socket}", path if agent else None,
                                 vm.guest))
        yield file, pipe
    finally:
        if agent:
            os.close(pipe)


def _pipe(path):
    os.mkfifo(path)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK)     # its own writer, too: never at its end


@contextlib.contextmanager
def _keys_for_gdb():
    """Ctrl-C is gdb's while it runs, and goes to all processes of the terminal."""
    before = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _together(vm, pipe, gdb):
    """The agent's console beside gdb, until gdb or the machine ends."""
    from ..kd.session import AgentConsole
    console = AgentConsole(vm)
    typed = b""
    try:
        while gdb.poll() is None:
            ready, _, _ = select.select([pipe, console.channel.fileno()], [], [], 0.2)
            if pipe in ready:
                *lines, typed = (typed + os.read(pipe, 4096)).split(b"\n")
                for line in lines:
                    console.type(line.decode("ascii", "replace"))
            console.show()
    except GuestCrash as gone:
        print(f"\n[{gone}]", flush=True)
        gdb.wait()
    finally:
        if gdb.poll() is None:
            gdb.terminate()
            gdb.wait()
