# SPDX-License-Identifier: MIT
"""`python3 -m vq7rig kd`: a machine and a debugger's prompt, or a prompt for one that runs."""

import pathlib

from .. import check, choice
from ..errors import EXIT_PASS, UsageError
from ..libvirt_host import Host
from ..paths import need_names

DEBUG, BREAK = "/debug", "/break"       # boot options of the kernel


def add_arguments(parser):
    choice.add_arguments(parser, "stop as soon as the kernel can, before drivers are loaded")


def add_parser(jobs):
    """The job's own arguments; those of all jobs are added by cli."""
    parser = jobs.add_parser("kd", help="boot a machine and debug its kernel at a prompt")
    add_arguments(parser)
    parser.add_argument("--attach", metavar="SOCKET",
                        help="debug a machine that runs: the socket of its COM2, path or host:port")
    parser.add_argument("--dump", metavar="FILE",
                        help="look at a complete memory dump (memory.dmp), as windbg -z does")
    parser.add_argument("--symbols", action="append", default=[], metavar="DIR",
                        help="another folder with images and PDBs")
    parser.set_defaults(function=_job)
    return parser


def config_of(args):
    """The machine's configuration, and settings. Raises UsageError."""
    return choice.config_of(args, BREAK if args.wait else DEBUG)


def _job(args, _rest):
    symbols = [pathlib.Path(folder) for folder in args.symbols]
    for folder in symbols:
        if not folder.is_dir():
            raise UsageError(f"--symbols {folder}: there is no such folder")
    folders = symbols + [pathlib.Path(args.guest).absolute()]
    check.need_python()
    if args.attach and args.dump:
        raise UsageError("--attach and --dump: a machine that runs, or a dump; not both")
    if args.dump:
        from . import session
        session.look_at(args.dump, folders)
        return EXIT_PASS
    if args.attach:
        from . import session
        session.attach(args.attach, folders)
        return EXIT_PASS
    config, settings = config_of(args)
    need_names(args.guest)
    check.need_guest(args.guest)
    from . import session               # numpy and the like, which need_python looks for
    from ..workers import Lock
    with Lock(), Host(args.connect, qemu=args.qemu, pool=args.pool) as host:
        session.boot(host, config, pathlib.Path(args.guest).absolute(), folders, settings)
    return EXIT_PASS
