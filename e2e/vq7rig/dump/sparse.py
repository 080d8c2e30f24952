# SPDX-License-Identifier: MIT
"""A file that somebody else writes from its beginning to its end, without its zeros.

QEMU's dump of a machine's memory is as large as that memory, and most of it is zeros. So QEMU
writes into a pipe, and what comes out is put into a file with holes. Where a daemon's QEMU
can't reach our pipe, it is fetched (volumes.py), and put there likewise.
"""

import contextlib
import fcntl
import os
import select
import threading
import time

from ..errors import RigError
from .paging import PAGE

CHUNK = 1 << 16
PIPE_SIZE = 1 << 20                     # bytes; the kernel's own limit for users
LOOK_S = 0.1                            # how often a pipe without a writer is looked at
FILL_S = 0.001                          # QEMU writes single pages: several come at once then
_ZEROS = bytes(CHUNK)


@contextlib.contextmanager
def receiving(path):
    """Gives the name of a pipe; what is written there within the block is in the file behind
    it. Raises RigError where it can't be written."""
    pipe = path.with_name(path.name + ".pipe")
    os.mkfifo(pipe)
    try:
        with open(path, "wb", buffering=0) as file:
            receiver = _Receiver(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), file)
            receiver.start()
            try:
                yield pipe
            finally:
                receiver.finish()
                if receiver.bad is not None:    # which is why the writer has failed, too
                    raise RigError(f"can't write {path}: {receiver.bad.strerror}",
                                   "free some space") from receiver.bad
    finally:
        pipe.unlink()


class Writer:
    """Puts pieces into a file, one after the other; pages of zeros become holes."""

    def __init__(self, file):
        self._file, self._at = file, 0

    def put(self, data):
        for start in range(0, len(data), CHUNK):
            piece = data[start:start + CHUNK]
            if piece != _ZEROS[:len(piece)]:
                self._put_pages(piece)
            self._at += len(piece)

    def _put_pages(self, piece):
        """Without those that are zeros; they begin where the file's own do."""
        start = 0
        while start < len(piece):
            end = min(len(piece), start + PAGE - (self._at + start) % PAGE)
            page = piece[start:end]
            if page != _ZEROS[:len(page)]:
                os.pwrite(self._file.fileno(), page, self._at + start)
            start = end

    def skip(self, size):
        """So many zeros."""
        self._at += size

    def end(self):
        """The last pieces may have been zeros."""
        self._file.truncate(self._at)


class _Receiver(threading.Thread):
    def __init__(self, source, file):
        super().__init__(name="dump", daemon=True)
        self._source, self._writer = source, Writer(file)
        self._over = threading.Event()
        self.bad = None                 # an OSError
        with contextlib.suppress(OSError):      # a smaller pipe does, too
            fcntl.fcntl(source, fcntl.F_SETPIPE_SZ, PIPE_SIZE)

    def finish(self):
        """The writer has ended, or will never come."""
        self._over.set()
        self.join()

    def run(self):
        try:
            while self._wait() and (data := os.read(self._source, PIPE_SIZE)):
                self._writer.put(data)
                if len(data) < CHUNK:
                    time.sleep(FILL_S)
            self._writer.end()
        except OSError as bad:
            self.bad = bad
        finally:
            os.close(self._source)      # a writer that goes on gets EPIPE

    def _wait(self):
        """Until something can be read, or the end. False: nobody wrote anything."""
        while not select.select([self._source], [], [], LOOK_S)[0]:
            if self._over.is_set():
                return False
        return True
