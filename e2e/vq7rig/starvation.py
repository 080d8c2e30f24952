# SPDX-License-Identifier: MIT
"""Time in which a machine's threads were ready to run and got no CPU.

A guest on a host that has more to do than CPUs is slow, not hung. Linux says for each thread
how long it has waited in a run queue (/proc/PID/task/TID/schedstat, the second number, in
nanoseconds; Documentation/scheduler/sched-stats.rst). A guest that spins, or waits for an
interrupt that never comes, waits for no CPU: it is found as late as ever.
"""

import pathlib

from .clock import now

EVERY = 0.25            # seconds between two looks
MOST = 0.9              # of the time: what waits for ever is found all the same


class Starvation:
    """`pid` is a function that gives QEMU's process, None where it isn't known."""

    def __init__(self, pid, proc=pathlib.Path("/proc"), clock=now):
        self._pid, self._proc, self._clock = pid, proc, clock
        self._looked, self._waited, self._seconds = clock(), {}, 0.0
        self._new()

    def seconds(self):
        """Since this object was made. Goes up more slowly than the clock, and never down."""
        at = self._clock()
        if at - self._looked >= EVERY:
            self._seconds += min(self._new(), MOST * (at - self._looked))
            self._looked = at
        return self._seconds

    def _new(self):
        """Seconds since the last look, of all threads."""
        waited = self._threads()
        grown = sum(max(0, ns - self._waited.get(thread, 0)) for thread, ns in waited.items())
        self._waited = waited
        return grown / 1e9

    def _threads(self):
        pid = self._pid()
        found = {}
        if pid is None:
            return found
        try:
            for task in (self._proc / str(pid) / "task").iterdir():
                found[task.name] = int((task / "schedstat").read_text().split()[1])
        except (OSError, ValueError, IndexError):
            pass            # it ends, or this kernel doesn't say: what was read counts
        return found
