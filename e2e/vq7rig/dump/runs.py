# SPDX-License-Identifier: MIT
"""Physical memory in pieces, in a file."""

import bisect
import mmap
import os
from dataclasses import dataclass

from ..errors import RigError
from ..kd.errors import Unreadable
from .paging import PAGE

STEP = 1 << 20                          # bytes that are copied at once


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

    def copy(self, start, size, file, at):
        """Physical memory into a file; pages of zeros take no space there."""
        file.flush()
        for done in range(0, size, STEP):
            data = self.read(start + done, min(STEP, size - done))
            for page in range(0, len(data), PAGE):
                piece = data[page:page + PAGE]
                if piece.count(0) != len(piece):
                    os.pwrite(file.fileno(), piece, at + done + page)

    def close(self):
        self._map.close()
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
