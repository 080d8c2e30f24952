# SPDX-License-Identifier: MIT
"""`python3 -m vq7rig windbg`: a machine for a debugger that isn't ours, and what to type."""

import pathlib
import sys

from .. import check
from ..errors import EXIT_PASS, UsageError
from ..libvirt_host import Host
from ..paths import E2E, ROOT, need_names
from . import bridge, job

LINES = """\
COM2 of the machine is TCP port {port} of {host}, one debugger at a time.

WinDbg in another VM: give that VM a serial port which connects to it (QEMU: -serial
tcp:{host}:{port}), copy {symbols} there, and
    windbg -k com:port=com1,baud=115200 -y C:\\vq7\\symbols -srcpath C:\\vq7
WinDbg under Wine here, the first line in a terminal of its own:
    socat pty,link=$HOME/vq7-com1,raw,echo=0 tcp:{host}:{port}
    wine reg add 'HKLM\\Software\\Wine\\Ports' /v COM1 /t REG_SZ /d "$HOME/vq7-com1" /f
    wineserver -k; wine windbg -k com:port=com1,baud=115200 \\
        -y '{wine_symbols}' -srcpath '{wine_source}'
WinDbg on another machine, with {pipe} and {symbols} copied
there: bring the port there, have it given out as a named pipe, each in a window, and
    ssh -L {port}:{host}:{port} {user}@THIS-HOST
    powershell -ExecutionPolicy Bypass -File pipe.ps1 127.0.0.1 {port} vq7
    windbg -k com:pipe,port=\\\\.\\pipe\\vq7,resets=0,reconnect -y C:\\vq7\\symbols -srcpath C:\\vq7
Without Windows, in another terminal, instead of all that:
    make kd ATTACH={host}:{port}
Only a UNIX socket is wanted, or another port:
    socat TCP-LISTEN:{other},bind=127.0.0.1,reuseaddr UNIX-CONNECT:{socket}
A queue in WinDbg: $$>a<{script} @rcx

symbol path: {symbols}
source path: {source}
"""


HERE = pathlib.Path(__file__).parent


def add_parser(jobs):
    parser = jobs.add_parser("windbg", help="boot a machine for WinDbg, and say what to type")
    job.add_arguments(parser)
    parser.add_argument("--listen", default=bridge.DEFAULT, metavar="ADDRESS:PORT",
                        help="where the debugger connects; default %(default)s")
    parser.set_defaults(function=_job)
    return parser


def lines(host, port, guest, socket):
    """What to type, for a debugger here, on another machine or in another VM."""
    import getpass
    return LINES.format(host=host, port=port, other=port + 1, symbols=guest, source=ROOT,
                        wine_symbols=_wine(guest), wine_source=_wine(ROOT), socket=socket,
                        user=getpass.getuser(), pipe=HERE / "pipe.ps1", script=HERE / "virtq.wds")


def _wine(path):
    """A path as Wine has it: its drive Z: is this machine's root."""
    return "Z:" + str(path).replace("/", "\\").replace("'", "'\\''")


def offer(vm, to_debugger):
    """Give out a machine's COM2, and say what to type."""
    socket = vm.run / "kd.sock"
    print("\n" + lines(*to_debugger.address, vm.guest, socket), flush=True)
    to_debugger.serve(str(socket))


def note(text):
    """Beside the agent's console, which is in raw mode."""
    sys.stdout.write(f"\r\n[{text}]\r\n")
    sys.stdout.flush()


def _job(args, _rest):
    config, settings = job.config_of(args)
    bridge.address_of(args.listen)
    check.need_python()
    need_names(args.guest)
    system = check.need_system(args)
    if args.wait and not system.needs_files:
        raise UsageError("--wait: ntcompat alone waits for a debugger because it is told so")
    from .. import terminal
    from ..workers import Lock
    guest = pathlib.Path(args.guest).absolute()
    if system.arch:
        guest = guest.parent / system.arch      # symbols of the driver
    to_debugger = bridge.Bridge(args.listen, note)
    try:
        with Lock(), Host(args.connect, qemu=args.qemu, pool=args.pool) as host:
            def ready(vm):
                offer(vm, to_debugger)
            terminal.session(host, config, guest, E2E / "windbg", settings, ready,
                             system)
    finally:
        to_debugger.close()
    return EXIT_PASS
