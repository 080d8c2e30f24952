# SPDX-License-Identifier: MIT
"""How long to wait for an acknowledgement before a packet is sent again.

As TCP does (RFC 6298): by the time that round trips have taken, and longer after each packet
sent in vain. On a busy host, where the target gets to run late, a fixed short time would send
everything twice.
"""

FIRST = 1.0             # seconds, before any round trip was seen
SHORTEST, LONGEST = 0.4, 2.5


class Pace:
    def __init__(self, shortest=SHORTEST, first=FIRST):
        self._shortest, self._first = shortest, first
        self._mean = self._spread = None

    def took(self, seconds):
        """A packet that was sent once was acknowledged after that time."""
        if self._mean is None:
            self._mean, self._spread = seconds, seconds / 2
        else:
            self._spread += (abs(seconds - self._mean) - self._spread) / 4
            self._mean += (seconds - self._mean) / 8

    def wait(self, tries=0):
        """Seconds until it is sent again, after so many times in vain."""
        learned = self._first if self._mean is None else self._mean + 4 * self._spread
        return min(max(learned, self._shortest) * 2 ** tries, LONGEST)
