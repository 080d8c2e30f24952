# SPDX-License-Identifier: MIT
"""`blk run`, recomputed: which operations it makes and what the disk holds after.

The rules are those of docs/console-protocol.md, written from that document.
"""

from dataclasses import dataclass

import numpy as np

from .pattern import GOLDEN, MASK, SECTOR, mix_array


@dataclass(frozen=True)
class Workload:
    """Parameters of a `blk run`; the names and defaults are the command's.

    `block` is the disk's logical block size in bytes, which the command asks the disk for.
    """
    pattern: str = "random"
    write: int = 50
    sizes: tuple = (4096,)
    depth: int = 1
    segments: int = 0
    ops: int = 1000
    seed: int = 1
    start: int = 0
    span: int = 0
    base: int = 0
    flush: int = 0
    block: int = SECTOR

    def command(self, dev=0):
        sizes = ",".join(str(size) for size in self.sizes)
        return (f"blk run pattern={self.pattern} write={self.write} sizes={sizes} "
                f"depth={self.depth} segments={self.segments} ops={self.ops} seed={self.seed} "
                f"start={self.start} span={self.span} base={self.base} flush={self.flush}"
                + (f" dev={dev}" if dev else ""))

    def sectors(self, capacity):
        """Sectors in the range worked on."""
        unit = self.block // SECTOR
        return self.span or (capacity - self.start) // unit * unit


@dataclass(frozen=True)
class Operations:
    """What a workload does: arrays with an entry an operation."""
    is_write: np.ndarray
    place: np.ndarray       # first sector
    count: np.ndarray       # sectors

    @property
    def writes(self):
        return int(self.is_write.sum())

    @property
    def reads(self):
        return len(self.is_write) - self.writes

    @property
    def bytes(self):
        return int(self.count.sum()) * SECTOR


def operations(load, capacity):
    """The operations of a workload on a disk of `capacity` sectors."""
    span = load.sectors(capacity)
    with np.errstate(over="ignore"):
        k = np.arange(load.ops, dtype=np.uint64) * np.uint64(4)
        draws = [mix_array(np.uint64(load.seed & MASK) + (k + np.uint64(j + 1)) * np.uint64(GOLDEN))
                 for j in range(3)]
    is_write = draws[0] % np.uint64(100) < np.uint64(load.write)
    sizes = np.array(load.sizes, dtype=np.uint64) // np.uint64(SECTOR)
    count = sizes[(draws[1] % np.uint64(len(sizes))).astype(np.int64)]
    if load.pattern == "random":
        unit = np.uint64(load.block // SECTOR)
        places = (np.uint64(span) - count) // unit + np.uint64(1)
        place = np.uint64(load.start) + draws[2] % places * unit
    else:
        place = _sequential(load.start, span, count)
    return Operations(is_write, place.astype(np.int64), count.astype(np.int64))


def _sequential(start, span, counts):
    place, cursor, end = np.zeros(len(counts), dtype=np.uint64), start, start + span
    for k, count in enumerate(counts.tolist()):
        if cursor + count > end:
            cursor = start
        place[k] = cursor
        cursor += count
    return place


def final_generations(load, capacity):
    """Generation that each sector of the range ends with; 0: never written.

    Overlapping writes are never in flight together and operations are issued in
    order, so the last write of the sequence is the one that stays.
    """
    done = operations(load, capacity)
    last = np.zeros(load.sectors(capacity), dtype=np.uint64)
    for k in np.flatnonzero(done.is_write).tolist():
        at = int(done.place[k]) - load.start
        last[at:at + int(done.count[k])] = k + 1
    return last


def expected_counts(load, capacity):
    """The counters of the answer that depend on the parameters alone."""
    done = operations(load, capacity)
    return {"ops": load.ops, "reads": done.reads, "writes": done.writes, "bytes": done.bytes,
            "flushes": load.ops // load.flush if load.flush else 0,
            "errors": 0, "miscompares": 0}
