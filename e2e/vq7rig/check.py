# SPDX-License-Identifier: MIT
"""`vq7rig check`: what this machine lacks, each with its remedy."""

import importlib.util
import os
import pathlib
import shutil
import sys

from . import guests
from .bindings import INSTALL
from .errors import EXIT_PASS, EXIT_RIG, RigError, UsageError
from .libvirt_host import Host
from .paths import BUILD, E2E, GUEST, GUEST_FILES, need_names

NEED_MIB = 512


def need_guest(folder):
    """Raises RigError unless the guest's files are there."""
    folder = pathlib.Path(folder)
    missing = [name for name in GUEST_FILES if not (folder / name).is_file()]
    if missing:
        remedy = "run `make guest`" if folder == GUEST else f"look at --guest {folder}"
        raise RigError(f"the guest isn't built: {folder} has no {' and no '.join(missing)}", remedy)


def need_system(args):
    """The guest that the options name, with all that it needs. Raises UsageError, RigError."""
    system = guests.chosen(args.system, args.image, args.arch, args.lacks, args.no_update)
    system.check()
    if system.needs_files:
        need_guest(args.guest)
    return system


def need_python():
    """Raises RigError unless this Python has the modules of the rig."""
    lacking = [name for name in ("libvirt", "libvirt_qemu", "numpy", "pytest")
               if importlib.util.find_spec(name) is None]
    if lacking:
        raise RigError(f"{sys.executable} lacks {', '.join(lacking)}",
                       f"use /usr/bin/python3; {INSTALL}")
    return f"{sys.executable} with libvirt, numpy and pytest"


def need_xdist():
    """Raises RigError unless pytest can run in several processes."""
    if importlib.util.find_spec("xdist") is None:
        raise RigError(f"--jobs: {sys.executable} lacks xdist",
                       "install python3-pytest-xdist, or leave --jobs out")


def _qemu():
    path = shutil.which("qemu-system-x86_64")
    if not path:
        raise RigError("qemu-system-x86_64 is not installed", INSTALL)
    return path


def _names(guest):
    need_names(guest)
    return "of the folders can be given to libvirt"


def _space():
    place = E2E
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free >> 20
    if free < NEED_MIB:
        raise RigError(f"{free} MiB free at {place}, {NEED_MIB} needed", "free some")
    if not os.access(place, os.W_OK):
        raise RigError(f"{place} may not be written", f"chown it, or set VQ7_BUILD (now {BUILD})")
    return f"{free} MiB free at {place}"


def _libvirt(args):
    from .probe import accelerator
    with Host(args.connect, qemu=args.qemu, pool=args.pool) as host:
        accel, note = accelerator(host)
        return f"{host.uri}, {host.emulator}, {note}"


def main(args):
    """Print a line a check; returns the exit code. `args` are those of the command line."""
    checks = [("python", need_python), ("names", lambda: _names(args.guest)), ("qemu", _qemu),
              ("space", _space), ("libvirt", lambda: _libvirt(args)),
              ("guest", lambda: need_guest(args.guest) or args.guest)]
    if args.connect or args.qemu:
        checks = [check for check in checks if check[0] != "qemu"]      # libvirt says it
    bad = 0
    for name, function in checks:
        try:
            print(f"ok       {name:8} {function()}")
        except (RigError, UsageError) as why:
            bad += 1
            print(f"MISSING  {name:8} {why}")
    return EXIT_RIG if bad else EXIT_PASS
