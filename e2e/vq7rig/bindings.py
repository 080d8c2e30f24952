# SPDX-License-Identifier: MIT
"""libvirt's Python bindings and its event loop."""

import os
import threading
import time

from . import orphans
from .errors import RigError

# libvirt's errors come as exceptions; its own log would go to our stderr. It reads
# this when it is imported.
os.environ.setdefault("LIBVIRT_LOG_OUTPUTS", "4:file:/dev/null")

try:
    import libvirt
    import libvirt_qemu
except ImportError:                 # said by Host.open and by `check`
    libvirt = libvirt_qemu = None

INSTALL = "run `ci/setup.sh rig`, or install the rig packages of ci/packages-debian.txt"

_loop_lock = threading.Lock()
_loop_running = False


class MonitorError(RigError):
    """libvirt couldn't pass a command to QEMU; QEMU's own refusal is a plain RigError."""


def words(bad):
    """A libvirt error as one line."""
    return " ".join(str(bad).split())


def start_event_loop():
    """libvirt calls back only while its event loop runs; it must be there before `open`."""
    global _loop_running
    with _loop_lock:
        if _loop_running:
            return
        libvirt.registerErrorHandler(lambda *_: None, None)     # errors come as exceptions
        libvirt.virEventRegisterDefaultImpl()
        threading.Thread(target=_run_events, name="libvirt events", daemon=True).start()
        orphans.adopt()
        _loop_running = True


def _run_events():
    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError:
            time.sleep(0.1)
