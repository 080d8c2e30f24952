# SPDX-License-Identifier: MIT
"""`vq7rig win7-image`: from the user's own ISO to an image on which the suite runs."""

import os
import pathlib
import shutil

from .. import check
from ..errors import EXIT_PASS, RigError, UsageError
from ..libvirt_host import Host
from ..paths import BUILD, need_names
from ..probe import accelerator
from ..screen import say
from ..workers import Lock
from . import answer, install, manifest, media


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
    edition = media.choose(editions, args.edition, args.arch)
    out = _out(args.out)
    if args.size < install.LEAST_GIB:
        raise UsageError(f"--size {args.size}: Windows 7 wants {install.LEAST_GIB} GiB and more")
    need_names(BUILD, out.parent)
    kit = answer.need_kit(pathlib.Path(args.kit).absolute())
    say(f"installing {edition.name}, {edition.arch}, {edition.language}, {edition.release}")
    work = pathlib.Path(f"{out}.part")
    log = pathlib.Path(f"{out}.log")
    for folder in (work, log):
        _make_anew(folder)
    try:
        _install(args, iso, edition, kit, work, log)
        (work / "disk.qcow2").rename(out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    manifest.seal(out, iso, edition, kit, {"verifier": args.verifier})
    say(f"{out} is ready: make e2e GUEST=win7 IMAGE={out}")
    return EXIT_PASS


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


def _install(args, iso, edition, kit, work, log):
    check.need_python()
    disc = answer.make(work / "answer.iso", edition, args.key, args.verifier, kit)
    install.new_disk(work / "disk.qcow2", args.size)
    with Lock(), Host(args.connect, qemu=args.qemu, pool=args.pool) as host:
        if not host.embedded:
            raise RigError("win7-image works through the embedded libvirt alone",
                           "leave --connect out")
        host.accel, why = accelerator(host)
        say(f"{host.emulator}, {why}; logs: {log}")
        with install.Installation(host, iso, disc, work / "disk.qcow2", log, say,
                                  args.patience) as setup:
            setup.watch()
    install.wait_written(work / "disk.qcow2")
