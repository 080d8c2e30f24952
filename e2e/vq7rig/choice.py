# SPDX-License-Identifier: MIT
"""Which machine a person wants: the arguments of the jobs vm, kd, windbg and gdb."""

from . import machine
from . import options as machine_options


def add_arguments(parser, wait=None):
    """`wait`: what --wait does in this job; None: it has no such argument."""
    parser.add_argument("flavour", nargs="?", default="modern",
                        help="legacy, transitional or modern (default)")
    parser.add_argument("--machine", default="pc", help="pc or q35")
    parser.add_argument("--set", action="append", default=[], metavar="service.Value=text",
                        help="a registry value for the guest, as vq7test.Transport=legacy")
    parser.add_argument("--option", action="append", default=[], metavar="name=value",
                        help="of the machine, as cpus=2, page-per-vq=on, memory=5120")
    if wait:
        parser.add_argument("--wait", action="store_true", help=wait)


def config_of(args, *boot_options):
    """(the machine's configuration, settings of a machine for a person). `boot_options` are
    words of the kernel's command line, beside --set. Raises UsageError."""
    matrix = machine.load_matrix()
    machine.check_axis("flavour", args.flavour, matrix)
    machine.check_axis("machine", args.machine, matrix)
    machine.check_settings(args.set)
    for option in args.option:
        machine_options.parse(option)
    return machine.Config(args.machine, args.flavour, settings=(*args.set, *boot_options),
                          options=tuple(args.option)), matrix["vm"]
