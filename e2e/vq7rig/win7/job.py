# SPDX-License-Identifier: MIT
"""`vq7rig win7-image`: from the user's own ISO to an image on which the suite runs."""

import hashlib
import os
import pathlib
import re
import shutil

from .. import check
from ..errors import EXIT_PASS, GuestError, RigError, UsageError
from ..libvirt_host import Host
from ..paths import BUILD, need_names
from ..probe import accelerator
from ..screen import say
from ..workers import Lock
from . import answer, install, layers, manifest, media, update


KEY = re.compile("[0-9A-Z]{5}(-[0-9A-Z]{5}){4}")
MARK = ".vq7-win7-image"        # in the folders of a run


def add_parser(jobs):
    job = jobs.add_parser("win7-image", help="install Windows 7, unattended, from your own ISO")
    job.add_argument("--iso", required=True, metavar="FILE")
    job.add_argument("--out", metavar="FILE", help="the image that is made, qcow2")
    job.add_argument("--edition", help="as Professional; without it the largest that is there")
    job.add_argument("--key", default="", help="the product key, where the medium wants one")
    job.add_argument("--arch", help="x64 or x86, where the ISO has both")
    job.add_argument("--size", type=int, default=install.DISK_GIB, metavar="GIB")
    job.add_argument("--verifier", action="store_true", help="Driver Verifier on vq7test.sys")
    job.add_argument("--look", action="store_true", help="only say what the ISO has")
    job.add_argument("--kit", default=str(BUILD / "nt-kit"), help="the folder of `make nt-kit`")
    job.add_argument("--patience", type=float, default=1.0, help="stretches each phase's time")
    job.set_defaults(function=run)
    return job


def run(args, _rest):
    iso = pathlib.Path(args.iso).absolute()
    editions = media.look(iso)
    for each in editions:
        say(f"{each.index}: {each.name}, {each.arch}, {each.language}, {each.release} (build "
            f"{each.build})")
    if args.look:
        return EXIT_PASS
    if args.key and not KEY.fullmatch(args.key):
        raise UsageError(f"--key {args.key}: a product key has five groups of five, as "
                         "ABCDE-12345-ABCDE-12345-ABCDE")
    edition = media.choose(editions, args.edition, args.arch)
    out = _out(args.out)
    least = install.LEAST_GIB[edition.arch]
    if args.size < least:
        raise UsageError(f"--size {args.size}: Windows 7 {edition.arch} wants {least} GiB and more")
    need_names(BUILD, out.parent)
    kit = answer.need_kit(pathlib.Path(args.kit).absolute())
    say(f"installing {edition.name}, {edition.arch}, {edition.language}, {edition.release}")
    work, log = pathlib.Path(f"{out}.part"), pathlib.Path(f"{out}.log")
    disk = layers.Layers(work, _settings(args, iso, edition))
    check.need_python()
    with Lock(), Host(args.connect, qemu=args.qemu, pool=args.pool) as host:
        # Which has ended the machine of a rig that was killed.
        began = _begin(disk, args.size)
        _make_anew(log)
        try:
            _install(args, host, [iso, answer.make(work / "answer.iso", edition, args.key,
                                                   args.verifier, kit)], disk, log)
            disk.flatten().rename(out)
            shutil.rmtree(work)
        except BaseException as bad:
            _end(disk, bad)
            raise
    manifest.seal(out, iso, edition, kit, {
        "verifier": args.verifier, "build": update.build_of(kit, edition.arch),
        "gone on after an interrupt": began})
    say(f"{out} is ready: make e2e GUEST=win7 IMAGE={out}")
    return EXIT_PASS


def _settings(args, iso, edition):
    """What a run must have in common with the one that it goes on with."""
    stat = iso.stat()
    return {"ISO": [str(iso), stat.st_size, stat.st_mtime_ns], "edition": edition.index,
            "key": hashlib.sha256(args.key.encode()).hexdigest(), "size": args.size,
            "option --verifier": args.verifier}


def _begin(disk, gib):
    """Goes on where an interrupted run was, if that is possible. Returns whether it does."""
    if os.path.lexists(disk.folder):
        if not (disk.folder / MARK).is_file():
            raise UsageError(f"{disk.folder} is in the way; remove it, or name another image")
        why = disk.go_on()
        if why is None:
            say("an earlier run was interrupted: Windows goes on from its disk as it was at the "
                "last restart")
            return True
        say(f"an earlier run was interrupted, but {why}: begun anew")
    _make_anew(disk.folder)
    disk.begin(gib)
    return False


def _end(disk, bad):
    """What is of use to a later run stays: unless it was Windows itself that failed."""
    if disk.restarted and not isinstance(bad, GuestError):
        say(f"the same command goes on from the last restart; remove {disk.folder} to begin anew")
        return
    shutil.rmtree(disk.folder, ignore_errors=True)
    if not isinstance(bad, GuestError):
        say("nothing half made is left: Setup had not restarted the machine yet")


def _make_anew(folder):
    """What an earlier run left is removed, and nothing else that has the name."""
    if os.path.lexists(folder):
        if not (folder / MARK).is_file():
            raise UsageError(f"{folder} is in the way; remove it, or name another image")
        shutil.rmtree(folder)
    folder.mkdir()
    (folder / MARK).touch()


def _out(name):
    if not name:
        raise UsageError("--out is missing: the image that is to be made (OUT=win7.qcow2)")
    out = pathlib.Path(name).absolute()
    if out.exists():
        raise UsageError(f"{out} is there already; remove it, or name another one")
    if not out.parent.is_dir():
        raise UsageError(f"{out.parent} is no folder")
    return out


def _install(args, host, discs, disk, log):
    if not host.embedded:
        raise RigError("win7-image works through the embedded libvirt alone",
                       "leave --connect out")
    host.accel, why = accelerator(host)
    say(f"{host.emulator}, {why}; logs: {log}")
    with install.Machine(host, disk.top, discs, log, say, args.patience, layers=disk) as setup:
        if disk.restarted:
            setup.progress.go_on(disk.phase, disk.resets)
        setup.watch()
    install.wait_written(disk.top)
