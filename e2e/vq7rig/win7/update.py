# SPDX-License-Identifier: MIT
"""A newer driver and agent for a finished image: a layer over the image, made by starting Windows
once with the update disc in a drive, and kept until image, build or script changes."""

import contextlib
import fcntl
import hashlib
import pathlib
import shutil

from ..errors import RigError
from ..paths import BUILD
from ..patience import asked
from ..screen import say
from . import answer, install
from .layers import qemu_img
from .progress import UpdateProgress


class Updates:
    """The layers of one image; `made` is its manifest, or None; `form` its format."""

    def __init__(self, image, form, made, kit=None):
        self.image, self.form, self.made = pathlib.Path(image), form, made
        self.kit = pathlib.Path(kit or BUILD / "nt-kit")
        self.folder = BUILD / "guests"

    def wanted(self, verifier):
        """Does the image lack this build, or the verifier that is asked for?"""
        if verifier and not (self.made and self.made.get("verifier")):
            return True
        if not self.kit.is_dir():
            say(f"no kit in {self.kit}: {self.image} is taken with the driver that it has")
            return False
        return not self.made or self.made.get("build") != build_of(self.kit, self.made["arch"])

    def over(self, host, verifier=False):
        """(file, format) to boot from, through an overlay; makes the layer first, if need be."""
        if not self.wanted(verifier):
            return self.image, self.form
        answer.need_kit(self.kit)
        path = self.folder / f"{self._stem()}-{self._key(verifier)}.qcow2"
        with self._alone():
            if not path.exists():
                self._remove_older(verifier)
                self._make(host, path, verifier)
        return path, "qcow2"

    def _stem(self):
        stat = self.image.stat()
        ident = f"{self.image} {stat.st_size} {stat.st_mtime_ns}"
        return f"{self.image.stem}-{hashlib.sha256(ident.encode()).hexdigest()[:12]}"

    def _key(self, verifier):
        hashed = hashlib.sha256((answer.SOURCE / "update.cmd").read_bytes())
        for arch in answer.ARCHITECTURES:
            hashed.update(build_of(self.kit, arch).encode())
        return ("verifier-" if verifier else "update-") + hashed.hexdigest()[:12]

    @contextlib.contextmanager
    def _alone(self):
        """One of several workers makes it, and the others wait."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / f"{self._stem()}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _remove_older(self, verifier):
        kind = "verifier" if verifier else "update"
        for old in self.folder.glob(f"{self._stem()}-{kind}-*.qcow2"):
            old.unlink()

    def _make(self, host, path, verifier):
        if not host.embedded:
            raise RigError("an image is updated through the embedded libvirt alone",
                           "leave --connect out once, or UPDATE=no")
        say(f"{self.image.name}: putting this build into a layer over it"
            f"{', with Driver Verifier' if verifier else ''}")
        log = path.with_suffix(".log")
        shutil.rmtree(log, ignore_errors=True)
        log.mkdir()
        part, disc = log / "disk.qcow2", log / "update.iso"
        try:
            qemu_img("create", "-q", "-f", "qcow2", "-F", self.form, "-b", self.image, part)
            answer.make_update(disc, verifier, self.kit)
            with install.Machine(host, part, [disc], log, say, asked(), UpdateProgress) as machine:
                machine.watch()
            install.wait_written(part)
            part.rename(path)
        finally:
            disc.unlink(missing_ok=True)
            part.unlink(missing_ok=True)


def build_of(kit, arch):
    """What tells a kit's build from another."""
    try:
        return (kit / arch / "build.txt").read_text().strip()
    except OSError as bad:
        raise RigError(f"{kit} is no kit of this build: {bad.strerror}: {bad.filename}",
                       "make nt-kit") from bad
