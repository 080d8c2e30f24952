# SPDX-License-Identifier: MIT
"""What can go wrong between the client and a target."""

from ..errors import GuestError


class KdError(GuestError):
    """The target doesn't do as the protocol says."""


class NoAnswer(KdError):
    """Nothing, or nothing of use, came in time."""


class Refused(KdError):
    """The target answered a request with a failure. `done` bytes of it were done."""

    def __init__(self, what, status, done=0):
        super().__init__(f"{what}: the target says {status:#010x}")
        self.status, self.done = status, done


class StillRunning(KdError):
    """Something was asked that only a stopped target answers."""


class Unreadable(KdError):
    """Memory of the target that isn't mapped, or no such address."""

    def __init__(self, address, count, done):
        super().__init__(f"{count} bytes at {address:#x} can't be read; "
                         f"{done} could" if done else f"memory at {address:#x} can't be read")
        self.address, self.done = address, done
