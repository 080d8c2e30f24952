# SPDX-License-Identifier: MIT
"""What a disk may hold after its power went, or after a machine was set back, from what the
guest was told.

What a flush has confirmed is there, or something that was written later. Each sector is one
or the other as a whole.
"""

import numpy as np

from . import pattern
from .workload import operations

CHUNK = 16384


class Journal:
    """The journal of one disk, from what it is expected to hold now (disk.Expected)."""

    def __init__(self, expected):
        self.disk = expected.disk
        self._since = []                # loads since the last flush
        self._keep(expected)

    def _keep(self, expected):
        self._known = expected.known.copy()
        self._seed, self._generation = expected.seed.copy(), expected.generation.copy()

    def ran(self, load):
        """It has run, or was cut off at some moment."""
        self._since.append(load)

    def flushed(self, expected):
        """A flush was confirmed that was asked for when all that has run had ended."""
        self._since = []
        self._keep(expected)

    def check(self, limit=8):
        """Returns how many sectors hold something newer than the last flush. Raises
        AssertionError that names those that hold what they can't."""
        newer, bad, total = 0, [], 0
        for start in range(0, self.disk.capacity, CHUNK):
            count = min(CHUNK, self.disk.capacity - start)
            got = np.frombuffer(self.disk.read(start, count), dtype="<u8").reshape(count, -1)
            kept = self._is_kept(start, got)
            new = ~kept & self._is_newer(start, got)
            newer += int(new.sum())
            wrong = np.flatnonzero(~kept & ~new).tolist()
            total += len(wrong)
            bad += [f"sector {start + at}: flushed was {self._words(start + at)}, holds "
                    f"{pattern.holds(got[at].tobytes())}" for at in wrong[:limit - len(bad)]]
        if total:
            raise AssertionError(f"{total} sectors of {self.disk.path} hold neither what was "
                                 "flushed nor what was written later:\n" + "\n".join(bad))
        return newer

    def _is_kept(self, start, got):
        part = slice(start, start + len(got))
        want = np.zeros_like(got)
        at = np.flatnonzero(self._known[part])
        want[at] = pattern.sectors(self._seed[part][at], start + at, self._generation[part][at])
        return (got == want).all(axis=1)

    def _is_newer(self, start, got):
        may = np.zeros(len(got), dtype=bool)
        for load in self._since:
            at = np.flatnonzero(got[:, 2] == load.seed)
            by = written_by(load, self.disk.capacity, start + at, got[at, 1])
            may[at] |= by
        at = np.flatnonzero(may)
        may[at] = (got[at] == pattern.sectors(got[at, 2], start + at, got[at, 1])).all(axis=1)
        return may

    def _words(self, sector):
        if not self._known[sector]:
            return "zeros"
        return f"generation {self._generation[sector]}, seed {self._seed[sector]}"


def written_by(load, capacity, sectors, generations):
    """Of each sector: is this generation of it one that a write of the load makes?"""
    done = operations(load, capacity)
    k = np.asarray(generations).astype(np.int64) - 1
    known = (k >= 0) & (k < load.ops)
    k = np.where(known, k, 0)
    inside = (done.place[k] <= sectors) & (sectors < done.place[k] + done.count[k])
    return known & done.is_write[k] & inside
