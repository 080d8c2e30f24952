# SPDX-License-Identifier: MIT
"""Requests in flight: a command in the background, what the device took and in which
order, and what the disk may hold when some of the writes have failed."""

import concurrent.futures
import contextlib
import re
import time

import numpy as np

from .pattern import SECTOR
from .errors import Hang, RigError
from .workload import operations

TAKEN = ("virtio_blk_handle_read", "virtio_blk_handle_write")
_TAKEN_LINE = re.compile(rb"virtio_blk_handle_(read|write).*\bsector (\d+) nsectors (\d+)")


@contextlib.contextmanager
def background(talk, *arguments, **more):
    """Talk to the console while the block runs; yields the answer's future.

    `talk` is Console.command or .type. Nothing else may use the console meanwhile.
    """
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        yield pool.submit(talk, *arguments, **more)


def wait_until(is_so, answer, timeout=30.0):
    """Wait until `is_so()` while a command runs in the background, and no longer."""
    began = time.monotonic()
    while not is_so():
        if answer.done():
            raise AssertionError(f"the command was over before it was so: {answer.result()}")
        if time.monotonic() - began > timeout:
            raise RigError(f"not so within {timeout:.0f} s")
        time.sleep(0.02)


def wait_log(vm, text, start=0, timeout=30.0):
    """Wait until the guest kernel's log holds the text, behind its first `start` bytes."""
    began = vm.now()
    while text.encode() not in (vm.run / "debug.log").read_bytes()[start:]:
        if vm.now() - began > timeout:
            raise Hang(f"{text!r} in the kernel's log", timeout, "", vm.console.log_path,
                       "not said")
        time.sleep(0.02)


class Taken:
    """What the block device takes from its queue, in order, as QEMU logs it."""

    def __init__(self, vm):
        self.path = vm.host.log_of(vm.name)
        if self.path is None:
            raise RigError("QEMU's log is not here to be read")
        self.start = self.path.stat().st_size

    def list(self):
        """(kind, sector, sectors) of each request since the start."""
        with open(self.path, "rb") as log:
            log.seek(self.start)
            return [(kind.decode(), int(sector), int(count))
                    for kind, sector, count in _TAKEN_LINE.findall(log.read())]


@contextlib.contextmanager
def taken(vm):
    """QEMU's own record of the requests it takes while the block runs."""
    seen = Taken(vm)
    for name in TAKEN:
        vm.qmp("trace-event-set-state", name=name, enable=True)
    yield seen
    for name in TAKEN:
        vm.qmp("trace-event-set-state", name=name, enable=False)


def failures(answer):
    """{operation: status's name} of the operations that an answer says have failed."""
    rows = [row for row in answer.rows() if "op" in row and row["kind"] != "flush"]
    assert len({row["op"] for row in rows}) == len(rows), "an operation is told of twice"
    return {int(row["op"]): row["name"] for row in rows}


def settle(vm, load, answer, disk=None):
    """Compare the disk with a run whose first operations were issued and some failed.

    A write that succeeded is on the disk, one that failed may be: its sectors hold what
    they held, or the whole of what it wrote. Later writes come on top of either. What is
    there is expected from then on. Operations that the machine's end has cut off
    (STATUS_PENDING) count as failed. Returns the failures.
    """
    disk = disk or vm.expected
    failed = failures(answer)
    done = operations(load, disk.disk.capacity)
    left = sum(name == "STATUS_PENDING" for name in failed.values())
    issued = answer.num("ops") + left
    assert answer.num("errors") == len(failed) - left
    assert all(k < issued for k in failed), "one failed that was not issued"
    for k in np.flatnonzero(done.is_write[:issued]).tolist():
        for sector in range(int(done.place[k]), int(done.place[k] + done.count[k])):
            if k not in failed:
                disk.wrote(sector, 1, load.seed, k + 1)
    for k in sorted(failed):
        for sector in range(int(done.place[k]), int(done.place[k] + done.count[k])):
            older = disk.seed[sector] != load.seed or disk.generation[sector] < k + 1
            if done.is_write[k] and older and holds(disk, sector, load.seed, k + 1):
                disk.wrote(sector, 1, load.seed, k + 1)
    disk.check()
    return failed


def holds(disk, sector, seed, generation):
    words = np.frombuffer(disk.disk.read(sector, 1), dtype="<u8")
    assert len(words) * 8 == SECTOR
    return words[:3].tolist() == [sector, generation, seed]
