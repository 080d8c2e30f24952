# SPDX-License-Identifier: MIT
"""Physical memory in pieces, in a file."""

import bisect
import mmap
import os
from dataclasses import dataclass

from ..errors import RigError
from ..kd.errors import Unreadable
from .paging import PAGE

STEP = 1 << 20                          # bytes that are looked at at once
ZEROS = bytes(PAGE)


@dataclass(frozen=True)
class Run:
    """A piece of physical memory, and where the file has it."""
    start: int
    size: int
    offset: int

    @property
    def end(self):
        return self.start + self.size


class Memory:
    """A file of runs, which the subclass sets, in order. Use as a context manager, or close()."""

    def __init__(self, path):
        self.path = path
        self.runs = []
        try:
            self._file = open(path, "rb")
            self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as bad:
            raise RigError(f"can't read {path}: {bad}") from bad

    def set_runs(self, runs):
        self.runs = runs
        self._starts = [run.start for run in runs]

    def read(self, address, count):
        """Physical memory. Raises Unreadable, with the count that could be read."""
        data = bytearray()
        while len(data) < count:
            at = address + len(data)
            number = bisect.bisect_right(self._starts, at) - 1
            if number < 0 or at >= self.runs[number].end:
                raise Unreadable(address, count, len(data))
            run = self.runs[number]
            start = run.offset + at - run.start
            data += self._map[start:start + min(count - len(data), run.end - at)]
        return bytes(data)

    def pieces(self, run):
        """(start, size) of what a run has beside zeros that take no space in the file."""
        at, end = run.offset, run.offset + run.size
        while at < end:
            try:
                at = os.lseek(self._file.fileno(), at, os.SEEK_DATA)
            except OSError:
                return                  # nothing but a hole is left
            hole = min(end, os.lseek(self._file.fileno(), at, os.SEEK_HOLE))
            while at < hole:
                size = min(STEP - at % STEP, hole - at)
                yield run.start + at - run.offset, size
                at += size

    def words_between(self, low, high):
        """(physical address, value) of all aligned words of 8 bytes with low <= value <= high."""
        import numpy as np
        for run in self.runs:
            for start, size in self.pieces(run):
                skip = -start % 8
                words = np.frombuffer(self.read(start + skip, size - skip & ~7), dtype="<u8")
                for index in np.flatnonzero((words >= low) & (words <= high)).tolist():
                    yield start + skip + 8 * index, int(words[index])

    def copy(self, start, size, file, at):
        """Physical memory into a file; pages of zeros take no space there."""
        file.flush()
        for run in self.runs:
            part = Run(max(run.start, start), min(run.end, start + size) - max(run.start, start),
                       run.offset + max(0, start - run.start))
            for first, count in self.pieces(part) if part.size > 0 else ():
                self._copy(first, count, file, at + first - start)

    def _copy(self, start, size, file, at):
        data = self.read(start, size)
        for page in range(0, size, PAGE):
            piece = data[page:page + PAGE]
            if piece != ZEROS[:len(piece)]:
                os.pwrite(file.fileno(), piece, at + page)

    def close(self):
        self._map.close()
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
