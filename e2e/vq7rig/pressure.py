# SPDX-License-Identifier: MIT
"""A host that is short of memory: what a QEMU has in memory is paged out, as reclaim does it.

Its code goes to where it came from; the guest's memory into its file, where it has one
(`memory-backing=file`), else into swap, where there is some. Nothing else on the host is asked
for memory.
"""

import ctypes
import mmap
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
    before, files = resident(pid), guest_memory(pid)
    for path in files:
        _let_go(path)           # a page of a large folio that is dirty isn't taken
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
    gone = before - resident(pid)
    for path in files:
        _let_go(path)
    return gone


def guest_memory(pid):
    """Paths of the files that a QEMU shares its guest's memory with."""
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
        lines = [line.rstrip("\n").split(maxsplit=5) for line in file]
    return sorted({words[5] for words in lines
                   if words[1] == "rw-s" and words[5:] and os.path.isfile(words[5])
                   and os.path.getsize(words[5]) >= LEAST})


def _let_go(path):
    """A shared page that is taken from a process stays in the page cache; a clean one that
    nobody has mapped is let go when that is asked for."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fdatasync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(file)


def cached(path):
    """How many KiB of a file are in memory."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    page, size = mmap.PAGESIZE, os.path.getsize(path)
    seen = (ctypes.c_ubyte * -(-size // page))()
    with open(path, "rb") as file:
        at = libc.mmap(None, ctypes.c_size_t(size), mmap.PROT_READ, mmap.MAP_SHARED,
                       file.fileno(), ctypes.c_long(0))
    if at == ctypes.c_void_p(-1).value:
        raise RigError(f"{path}: can't be mapped ({os.strerror(ctypes.get_errno())})")
    try:
        if libc.mincore(ctypes.c_void_p(at), ctypes.c_size_t(size), seen):
            raise RigError(f"{path}: {os.strerror(ctypes.get_errno())}")
    finally:
        libc.munmap(ctypes.c_void_p(at), ctypes.c_size_t(size))
    return sum(each & 1 for each in seen) * page // 1024


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
