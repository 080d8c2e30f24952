# SPDX-License-Identifier: MIT
"""Time in which this process ran.

A rig that is stopped (SIGSTOP, a debugger, a hypervisor that pauses the machine it
runs in) would find all its deadlines passed when it goes on, although the guest had
no chance, or has long answered. A thread that ticks shows such a gap, and the time
of this clock doesn't count it.
"""

import threading
import time

TICK = 0.2              # seconds between ticks
GAP = 1.0               # a tick that is later than this: the process stood still


class Clock:
    """`now` is like time.monotonic() without the gaps, `lost` the seconds in them."""

    def __init__(self, source=time.monotonic):
        self._source = source
        self._lock = threading.Lock()
        self._last = source()
        self.lost = 0.0
        self._thread = None

    def now(self):
        if self._thread is None:
            self._start()
        with self._lock:
            return self._look()

    def _look(self):
        seen = self._source()
        if seen - self._last > GAP:
            self.lost += seen - self._last - TICK
        self._last = seen
        return seen - self.lost

    def _start(self):
        with self._lock:
            if self._thread is None:
                self._last = self._source()         # before that nobody ticked
                self._thread = threading.Thread(target=self._tick, name="clock", daemon=True)
                self._thread.start()

    def _tick(self):
        while True:
            time.sleep(TICK)
            with self._lock:
                self._look()


CLOCK = Clock()
now = CLOCK.now


def lost():
    """Seconds in which this process stood still, since it began to look."""
    now()
    return CLOCK.lost
