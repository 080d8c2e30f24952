# SPDX-License-Identifier: MIT
"""A disk image of the format qcow2, which can keep snapshots with the memory of its machine.

The host sees what QEMU has written to the file: after a flush of the guest's, and while
nobody writes.
"""

import os
import subprocess

from .disk import Disk
from .errors import RigError
from .pattern import SECTOR

PROGRAM = "qemu-img"


class Qcow2Disk(Disk):
    """All positions are sectors of 512 bytes of the disk, not of the file."""

    def create(self):
        self._run("create", "-q", "-f", "qcow2", self.path, str(self.capacity * SECTOR))

    def write(self, sector, data):
        raise RigError("a qcow2 image is written by its machine alone")

    def read(self, sector, count):
        """From the host's side, beside the QEMU that has it open."""
        copy = f"{self.path}.part"
        whole = sector % count == 0         # a single block of dd's, or as many as sectors
        size, skip, blocks = (count * SECTOR, sector // count, 1) if whole else \
            (SECTOR, sector, count)
        try:
            # `count` is of the input, or, since QEMU 9.2, of what is copied: more, then.
            self._run("dd", "-U", "-f", "qcow2", "-O", "raw", f"bs={size}", f"skip={skip}",
                      f"count={skip + blocks}", f"if={self.path}", f"of={copy}")
            with open(copy, "rb") as file:
                data = file.read(count * SECTOR)
        finally:
            if os.path.exists(copy):
                os.unlink(copy)
        if len(data) != count * SECTOR:
            raise RigError(f"{self.path} is shorter than {sector + count} sectors")
        return data

    def _run(self, *arguments):
        try:
            subprocess.run([PROGRAM, *arguments], check=True, capture_output=True, text=True)
        except OSError as bad:
            raise RigError(f"{PROGRAM}: {bad.strerror}", "install qemu-utils") from bad
        except subprocess.CalledProcessError as bad:
            raise RigError(f"{PROGRAM} {arguments[0]}: {bad.stderr.strip()}") from bad
