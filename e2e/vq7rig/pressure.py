# SPDX-License-Identifier: MIT
"""A host that is short of memory: what a QEMU has in memory is paged out, as reclaim does it.

Its code goes to where it came from, the guest's memory where there is swap. Nothing else on the
host is asked for memory.
"""

import ctypes
import os
import re

from .errors import Lacking, RigError

PROCESS_MADVISE = 440           # the same number on every architecture; Linux 5.10
MADV_PAGEOUT = 21
LEAST = 1 << 20                 # bytes of a mapping that is worth it
MOST = 1 << 30                  # and of one call, of which the kernel takes 2 GiB


class _Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def page_out(pid):
    """Returns how many KiB are gone. Raises Lacking where this user may not."""
    call = ctypes.CDLL(None, use_errno=True).syscall
    before = resident(pid)
    process = os.pidfd_open(pid)
    try:
        for start, end in _mappings(pid):
            while start < end:
                part = _Iovec(start, min(MOST, end - start))
                if call(PROCESS_MADVISE, process, ctypes.byref(part), 1, MADV_PAGEOUT, 0) < 0:
                    number = ctypes.get_errno()
                    if number in (1, 38):           # EPERM, ENOSYS
                        raise Lacking("another process's memory can't be paged out: it wants "
                                      f"CAP_SYS_NICE and Linux 5.10 ({os.strerror(number)})")
                start += part.length
    finally:
        os.close(process)
    return before - resident(pid)


def resident(pid):
    """KiB of it that are in memory."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            return int(re.search(r"^VmRSS:\s+(\d+) kB", file.read(), re.M)[1])
    except (OSError, TypeError) as bad:
        raise RigError(f"process {pid} has ended") from bad


def _mappings(pid):
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
        for line in file:
            start, end = (int(each, 16) for each in line.split()[0].split("-"))
            if end - start >= LEAST:
                yield start, end
