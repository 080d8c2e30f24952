# SPDX-License-Identifier: MIT
"""The disk image, as the host sees it, and what it is expected to hold."""

import errno
import os
import shutil

import numpy as np

from . import pattern
from .errors import RigError
from .pattern import SECTOR
from .workload import final_generations

CHUNK = 16384           # sectors compared at a time
SPARE = 64 << 20        # bytes that must stay free for logs


def disk_full(path):
    """The error for a file system without room at `path`."""
    return RigError(f"no space left for {path}", f"free some on the file system of "
                    f"{os.path.dirname(path)} (df -h)")


class Disk:
    """A raw, sparse image. All positions are sectors of 512 bytes."""

    def __init__(self, path, sectors):
        self.path = str(path)
        self.capacity = sectors

    def create(self):
        """Make it, all zeros. Raises RigError if a full image wouldn't fit."""
        need = self.capacity * SECTOR + SPARE
        if shutil.disk_usage(os.path.dirname(self.path)).free < need:
            raise disk_full(self.path)
        try:
            with open(self.path, "wb") as image:
                image.truncate(self.capacity * SECTOR)
        except OSError as bad:
            raise RigError(f"can't make the disk image {self.path}: {bad.strerror}") from bad

    def write(self, sector, data):
        """Write bytes from the host's side."""
        try:
            with open(self.path, "r+b") as image:
                image.seek(sector * SECTOR)
                image.write(data)
                image.flush()
                os.fsync(image.fileno())
        except OSError as bad:
            if bad.errno == errno.ENOSPC:
                raise disk_full(self.path) from bad
            raise RigError(f"can't write {self.path}: {bad.strerror}") from bad

    def read(self, sector, count):
        """Read bytes from the host's side."""
        with open(self.path, "rb") as image:
            image.seek(sector * SECTOR)
            data = image.read(count * SECTOR)
        if len(data) != count * SECTOR:
            raise RigError(f"{self.path} is shorter than {sector + count} sectors")
        return data


class Expected:
    """What every sector of a disk must hold. Starts as all zeros."""

    def __init__(self, disk):
        self.disk = disk
        self.known = np.zeros(disk.capacity, dtype=bool)
        self.seed = np.zeros(disk.capacity, dtype=np.uint64)
        self.generation = np.zeros(disk.capacity, dtype=np.uint64)

    def wrote(self, start, count, seed, generation):
        """`count` sectors now hold one generation of the pattern."""
        part = slice(start, start + count)
        self.known[part] = True
        self.seed[part] = seed
        self.generation[part] = generation

    def ran(self, load):
        """A workload has run."""
        last = final_generations(load, self.disk.capacity)
        at = np.flatnonzero(last)
        self.known[at + load.start] = True
        self.seed[at + load.start] = load.seed
        self.generation[at + load.start] = last[at]

    def lost(self, start):
        """From `start` on there are zeros: the disk was shorter for a while."""
        self.known[start:] = False

    def host_writes(self, start, count, seed, generation):
        """The host puts the pattern on the image; expected from now on."""
        self.disk.write(start, pattern.content(seed, start, count, generation))
        self.wrote(start, count, seed, generation)

    def check(self, limit=8):
        """Compare the whole image. Raises AssertionError naming the bad sectors."""
        bad, total = [], 0
        for start in range(0, self.disk.capacity, CHUNK):
            count = min(CHUNK, self.disk.capacity - start)
            got = np.frombuffer(self.disk.read(start, count), dtype="<u8").reshape(count, -1)
            wrong = np.flatnonzero((got != self._content(start, count)).any(axis=1))
            total += len(wrong)
            for index in wrong[:limit - len(bad)].tolist():
                bad.append(f"sector {start + index}: want {self._words(start + index)}, "
                           f"holds {pattern.holds(got[index].tobytes())}")
        if total:
            raise AssertionError(f"{total} sectors of {self.disk.path} are not what they must be:\n"
                                 + "\n".join(bad))

    def _content(self, start, count):
        want = np.zeros((count, pattern.WORDS), dtype="<u8")
        at = np.flatnonzero(self.known[start:start + count])
        if len(at):
            want[at] = pattern.sectors(self.seed[start + at], start + at,
                                       self.generation[start + at])
        return want

    def _words(self, sector):
        if not self.known[sector]:
            return "zeros"
        return f"generation {self.generation[sector]}, seed {self.seed[sector]}"
