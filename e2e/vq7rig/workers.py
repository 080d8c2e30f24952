# SPDX-License-Identifier: MIT
"""A run in several processes (`--jobs`): pytest-xdist's workers, each a rig of its own.

A worker has its own embedded libvirt, named after it, so that none sees the machines of
another one. The process that started them, the controller, has no machine: it collects
the results. This room knows of locks, names and signals; plugin.py of tests.
"""

import fcntl
import os
import signal
import sys
import time

from .errors import RigError, UsageError
from .paths import E2E

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MAX_JOBS = 64
# The workers of a controller that was killed see it, and end their machines meanwhile.
LINGER_S = 20.0
_LOOK_AGAIN_S = 0.1


class Lock:
    """A lock of the build tree: one rig at a time uses an embedded libvirt.

    `worker` is the name of a worker, None: the lock of the whole tree, which a controller
    holds for its workers. It waits for at most `patience` seconds.
    """

    def __init__(self, worker=None, patience=0.0):
        self._path = E2E / (f"lock-{worker}" if worker else "lock")
        self._patience = patience

    def __enter__(self):
        try:
            E2E.mkdir(parents=True, exist_ok=True)
            self._file = open(self._path, "a+", encoding="ascii")
        except OSError as bad:
            raise RigError(f"can't write below {E2E}: {bad.strerror}") from bad
        self._take()
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()
        return self

    def _take(self):
        until = time.monotonic() + self._patience
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError as bad:
                if time.monotonic() < until:
                    time.sleep(_LOOK_AGAIN_S)
                    continue
                self._file.seek(0)
                owner = self._file.read().strip()
                self._file.close()
                raise RigError(f"{E2E} is in use by another rig (process {owner})",
                               "wait for it, or give VQ7_BUILD another folder") from bad

    def __exit__(self, *_):
        self._file.close()


def jobs_of(text):
    """How many processes: a number, or `auto`, one for each CPU that this process may use."""
    if text == "auto":
        return min(len(os.sched_getaffinity(0)), MAX_JOBS)
    if not text.isdecimal() or not 1 <= int(text) <= MAX_JOBS:
        raise UsageError(f"--jobs {text}: it must be a number from 1 to {MAX_JOBS}, or auto")
    return int(text)


def jobs_with_debugger(text):
    """The same where a person debugs the first failure, which is one process's business."""
    if not sys.stdin.isatty():
        raise UsageError("--debugger: standard input is no terminal, so nobody can say when it "
                         "is over; without it a failure's folder has a dump")
    if text != "auto" and jobs_of(text) != 1:
        raise UsageError(f"--debugger keeps one machine, and --jobs {text} has several; give "
                         "--jobs 1 (make e2e JOBS=1)")
    return 1


def name_of(config):
    """Name of the worker that this process is, as `gw0`; None: it is no worker."""
    return config.workerinput["workerid"] if hasattr(config, "workerinput") else None


def is_controller(config):
    """Does this process only collect the results of workers?"""
    return name_of(config) is None and bool(config.getoption("numprocesses", None))


def first_signal_ends():
    """In a worker: the first signal ends the run; what that then cleans up isn't broken by
    those that follow, from the terminal and from the controller."""
    def end(_number, _frame):
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each in SIGNALS:
        signal.signal(each, end)


def interrupt(names):
    """In the controller: send the workers on their way. pytest-xdist's own takes 5 s."""
    for name in names:
        try:
            with open(E2E / f"lock-{name}", encoding="ascii") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    continue            # nobody holds it: that worker has ended
                except OSError:
                    os.kill(int(file.read()), signal.SIGINT)
        except (OSError, ValueError):
            pass                        # it never began, or has just ended
