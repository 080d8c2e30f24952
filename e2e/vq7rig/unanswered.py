# SPDX-License-Identifier: MIT
"""A QEMU that doesn't answer libvirt, which would wait for it for ever.

QEMU 7.2 now and then leaves a command of the monitor lying, its first one too, and does nothing
any more: a whole run then stood still.
"""

import contextlib
import threading

from .bindings import libvirt
from .errors import RigError
from .patience import patience

LIMIT_S = 60.0
SLICE_S = 1.0           # a rig that is stopped for long has waited for one of these


@contextlib.contextmanager
def answered(end):
    """Around a call that waits for a QEMU: `end()` ends that when no answer has come in
    LIMIT_S, and the call fails. Raises RigError then."""
    limit, over, ended = LIMIT_S * patience(), threading.Event(), threading.Event()

    def watch():
        for _ in range(max(1, round(limit / SLICE_S))):
            if over.wait(SLICE_S):
                return
        ended.set()
        end()

    threading.Thread(target=watch, name="unanswered", daemon=True).start()
    try:
        yield
    except libvirt.libvirtError as bad:
        if ended.is_set():
            raise RigError(f"QEMU hasn't answered libvirt for {limit:.0f} s, and was "
                           "ended") from bad
        raise
    finally:
        over.set()
